// SPDX-License-Identifier: Apache-2.0
//
// recovery-point is two slots in two sectors, written in turn, so that a torn write leaves the
// older one whole and no rename or folder sync is needed:
//
//   slot at 512 * (generation & 1), big-endian:
//    0  magic "LTRP"   uint32
//    4  version        uint32   1
//    8  generation     int64
//   16  offset         int64
//   24  base           int64
//   32  pos            int64
//   40  start offset   int64
//   48  unsynced max   int64
//   56  crc of 0..56   uint32
#include "runtime/log/checkpoint.h"

#include "runtime/base/crc32c.h"
#include "runtime/base/endian.h"
#include "runtime/base/failpoint.h"
#include "runtime/base/heap.h"

enum { SLOT_MAGIC = 0x4c545250, SLOT_VERSION = 1, SLOT_STRIDE = 512, SLOT_BYTES = 60 };
enum { EPOCHS_MAX = 100000, SMALL_FILE_MAX = 64 * 1024 * 1024 };

static bool slot_decode(const uint8_t *p, struct checkpoint *c)
{
    if (load_be32(p) != SLOT_MAGIC || load_be32(p + 4) != SLOT_VERSION ||
        load_be32(p + 56) != crc32c(bytes_of(p, 56)))
        return false;
    *c = (struct checkpoint){
        .generation = (int64_t)load_be64(p + 8),
        .offset = (int64_t)load_be64(p + 16),
        .base = (int64_t)load_be64(p + 24),
        .pos = (int64_t)load_be64(p + 32),
        .start_offset = (int64_t)load_be64(p + 40),
        .unsynced_max = (int64_t)load_be64(p + 48),
    };
    return true;
}

int checkpoint_load(struct fs *fs, struct fs_file *f, struct checkpoint *c, struct err *e)
{
    uint8_t room[2 * SLOT_STRIDE] = {0};
    struct checkpoint slot;
    int64_t n = fs->read(fs, f, room, sizeof room, 0, e);
    int found = 0;

    if (n < 0)
        return (int)n;
    for (int i = 0; i < 2; i++) {
        if (!slot_decode(room + i * SLOT_STRIDE, &slot) || slot.generation <= c->generation)
            continue;
        *c = slot;
        found = 1;
    }
    return found;
}

int checkpoint_store(struct fs *fs, struct fs_file *f, struct checkpoint *c, struct err *e)
{
    uint8_t p[SLOT_BYTES];
    int rc;

    c->generation++;
    store_be32(p, SLOT_MAGIC);
    store_be32(p + 4, SLOT_VERSION);
    store_be64(p + 8, (uint64_t)c->generation);
    store_be64(p + 16, (uint64_t)c->offset);
    store_be64(p + 24, (uint64_t)c->base);
    store_be64(p + 32, (uint64_t)c->pos);
    store_be64(p + 40, (uint64_t)c->start_offset);
    store_be64(p + 48, (uint64_t)c->unsynced_max);
    store_be32(p + 56, crc32c(bytes_of(p, 56)));
    rc = fs->write(fs, f, p, sizeof p, SLOT_STRIDE * (c->generation & 1), e);
    if (rc == 0 && !fail_switch("nosync"))
        rc = fs->sync(fs, f, e);
    return rc;
}

// --- leader epochs ---

void epochs_deinit(struct epochs *es)
{
    heap_free(es->list);
    *es = (struct epochs){0};
}

static void epochs_push(struct epochs *es, int32_t epoch, int64_t start)
{
    es->list = heap_realloc(es->list, sizeof *es->list * (es->n + 1));
    es->list[es->n++] = (struct epoch_start){epoch, start};
}

bool epochs_begin(struct epochs *es, int32_t epoch, int64_t end)
{
    size_t before = es->n;

    while (es->n > 0 && es->list[es->n - 1].start_offset > end)
        es->n--;
    if (es->n > 0 && es->list[es->n - 1].epoch >= epoch)
        return es->n != before;
    while (es->n > 0 && es->list[es->n - 1].start_offset == end) // nothing was written under it
        es->n--;
    epochs_push(es, epoch, end);
    return true;
}

void epochs_end_of(const struct epochs *es, int32_t epoch, int64_t end, int32_t *found,
                   int64_t *found_end)
{
    *found = -1;
    *found_end = -1;
    for (size_t i = 0; i < es->n && es->list[i].epoch <= epoch; i++) {
        *found = es->list[i].epoch;
        *found_end = i + 1 < es->n ? es->list[i + 1].start_offset : end;
    }
}

void epochs_encode(const struct epochs *es, struct buf *out)
{
    buf_printf(out, "0\n%zu\n", es->n);
    for (size_t i = 0; i < es->n; i++)
        buf_printf(out, "%d %lld\n", es->list[i].epoch, (long long)es->list[i].start_offset);
}

// One decimal number and the byte behind it.
static bool take_number(struct bytes *b, char stop, int64_t *v)
{
    size_t n = 0;

    for (*v = 0; n < b->n && b->p[n] >= '0' && b->p[n] <= '9'; n++)
        if (__builtin_mul_overflow(*v, 10, v) || __builtin_add_overflow(*v, b->p[n] - '0', v))
            return false;
    if (n == 0 || n == b->n || b->p[n] != (uint8_t)stop)
        return false;
    *b = bytes_of(b->p + n + 1, b->n - n - 1);
    return true;
}

int epochs_decode(struct epochs *es, struct bytes text, struct err *e)
{
    int64_t version, n, epoch, start;

    if (!take_number(&text, '\n', &version) || version != 0 || !take_number(&text, '\n', &n) ||
        n > EPOCHS_MAX)
        goto damaged;
    for (; n > 0; n--) {
        if (!take_number(&text, ' ', &epoch) || !take_number(&text, '\n', &start) ||
            epoch > INT32_MAX)
            goto damaged;
        if (es->n > 0 && (epoch <= es->list[es->n - 1].epoch ||
                          start < es->list[es->n - 1].start_offset))
            goto damaged;
        epochs_push(es, (int32_t)epoch, start);
    }
    if (text.n == 0)
        return 0;
damaged:
    epochs_deinit(es);
    return err_set(e, LEAT_ECORRUPT, "leader-epoch-checkpoint is damaged");
}

// --- small files ---

static int write_synced(struct fs *fs, const char *path, struct bytes contents, struct err *e)
{
    struct fs_file *f;
    int rc = fs->open(fs, path, FS_WRITE, &f, e);

    if (rc != 0)
        return rc;
    rc = fs->truncate(fs, f, 0, e);
    if (rc == 0)
        rc = fs->write(fs, f, contents.p, contents.n, 0, e);
    if (rc == 0 && !fail_switch("nosync"))
        rc = fs->sync(fs, f, e);
    fs->close(fs, f);
    return rc;
}

int file_replace(struct fs *fs, const char *dir, const char *name, struct bytes contents,
                 struct err *e)
{
    char *path = heap_printf("%s/%s", dir, name);
    char *tmp = heap_printf("%s/%s.tmp", dir, name);
    int rc = write_synced(fs, tmp, contents, e);

    if (rc == 0)
        rc = fs->rename(fs, tmp, path, e);
    else
        (void)!fs->unlink(fs, tmp, NULL); // room for others when the disk is full
    heap_free(path);
    heap_free(tmp);
    return rc;
}

int file_read(struct fs *fs, const char *dir, const char *name, struct buf *out, struct err *e)
{
    char *path = heap_printf("%s/%s", dir, name);
    struct fs_file *f;
    int64_t n;
    int rc = fs->open(fs, path, FS_READ, &f, e);

    heap_free(path);
    if (rc != 0)
        return rc;
    n = fs->size(fs, f, e);
    if (n > SMALL_FILE_MAX)
        n = err_set(e, LEAT_ECORRUPT, "%s/%s is larger than it can be", dir, name);
    if (n > 0) {
        buf_reserve(out, (size_t)n);
        n = fs->read(fs, f, out->p + out->n, (size_t)n, 0, e);
    }
    fs->close(fs, f);
    if (n < 0)
        return (int)n;
    out->n += (size_t)n;
    return 0;
}
