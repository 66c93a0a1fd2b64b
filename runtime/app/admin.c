// SPDX-License-Identifier: Apache-2.0
#include "runtime/app/admin.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "runtime/base/buf.h"
#include "runtime/base/heap.h"
#include "runtime/base/random.h"
#include "runtime/record/value.h"

void admin_make_token(char out[ADMIN_TOKEN_SIZE])
{
    uint8_t secret[(ADMIN_TOKEN_SIZE - 1) / 2];

    random_entropy(secret, sizeof secret);
    for (size_t i = 0; i < sizeof secret; i++)
        snprintf(out + 2 * i, 3, "%02x", secret[i]);
}

static int write_new(const char *path, struct bytes text, struct err *e)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600), rc = 0;

    if (fd < 0)
        return err_errno(e, errno, "%s", path);
    if (write(fd, text.p, text.n) != (ssize_t)text.n)
        rc = err_errno(e, errno, "%s", path);
    (void)close(fd);
    return rc;
}

// Made beside and renamed: whoever reads it reads it whole.
int admin_write(const char *data_dir, const struct admin *admin, struct err *e)
{
    char *path = heap_printf("%s/admin.json", data_dir), *beside = heap_printf("%s.new", path);
    struct buf text = BUF_EMPTY;
    int rc;

    buf_append_str(&text, "{\"http\":");
    json_write_text(bytes_str(admin->http), &text);
    buf_printf(&text, ",\"token\":\"%s\"}\n", admin->token);
    (void)unlink(beside);
    rc = write_new(beside, buf_bytes(&text), e);
    if (rc == 0 && rename(beside, path) != 0)
        rc = err_errno(e, errno, "%s", path);
    buf_deinit(&text);
    heap_free(path);
    heap_free(beside);
    return rc;
}

void admin_remove(const char *data_dir)
{
    char *path = heap_printf("%s/admin.json", data_dir);

    (void)unlink(path);
    heap_free(path);
}

static int parse(struct bytes text, struct arena *a, struct admin *out, struct err *e)
{
    struct value root, http, token;
    int rc = value_decode(FORMAT_JSON, text, a, &root, e);

    if (rc == 0)
        rc = value_member(&root, BYTES_LIT("http"), a, &http, e);
    if (rc == 0)
        rc = value_member(&root, BYTES_LIT("token"), a, &token, e);
    if (rc == 0 && (http.type != VALUE_TEXT || token.type != VALUE_TEXT))
        rc = err_set(e, LEAT_EDECODE, "not as a server writes it");
    if (rc != 0)
        return rc;
    out->http = (const char *)arena_copy(a, http.s).p;
    out->token = (const char *)arena_copy(a, token.s).p;
    return 0;
}

int admin_read(const char *data_dir, struct arena *a, struct admin *out, struct err *e)
{
    const char *path = arena_printf(a, "%s/admin.json", data_dir);
    char *text = arena_alloc(a, 4096);
    int fd = open(path, O_RDONLY | O_CLOEXEC), rc;
    ssize_t n;

    if (fd < 0)
        return err_errno(e, errno, "%s", path);
    n = read(fd, text, 4096);
    (void)close(fd);
    if (n < 0)
        return err_errno(e, errno, "%s", path);
    rc = parse(bytes_of(text, (size_t)n), a, out, e);
    return rc != 0 ? err_wrap(e, rc, "%s", path) : 0;
}
