// SPDX-License-Identifier: Apache-2.0
#include "runtime/app/flight_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "runtime/base/heap.h"

enum { PAGE_BYTES = 4096 };

static int map(const char *path, struct flight **out, struct err *e)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644), code;
    void *p = MAP_FAILED;

    if (fd < 0)
        return err_errno(e, errno, "%s", path);
    // Reserved, so that a store into it never finds the disk full.
    code = posix_fallocate(fd, 0, PAGE_BYTES);
    if (code == 0) {
        p = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        code = p == MAP_FAILED ? errno : 0;
    }
    (void)close(fd);
    if (code != 0)
        return err_errno(e, code, "%s", path);
    *out = p;
    return 0;
}

int flight_file_map(const char *db, struct flight **out, struct err *e)
{
    size_t n = strlen(db);
    char *path;
    int rc;

    if (n > 3 && strcmp(db + n - 3, ".db") == 0)
        n -= 3;
    path = heap_printf("%.*s.flight", (int)n, db);
    *out = NULL;
    rc = map(path, out, e);
    heap_free(path);
    return rc;
}

void flight_file_unmap(struct flight *f)
{
    if (f != NULL)
        (void)munmap(f, PAGE_BYTES);
}
