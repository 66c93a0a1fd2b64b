// SPDX-License-Identifier: Apache-2.0
//
// The index file, big-endian like everything beside it:
//
//    0  magic "LTIX"   uint32
//    4  version        uint32   1
//    8  base offset    int64
//   16  end offset     int64    first offset behind the segment's last batch
//   24  size           int64    bytes of the segment that are covered, synced before this file
//   32  max timestamp  int64
//   40  entries        uint32
//   44  entries' crc   uint32
//   48  reserved       uint32   0
//   52  crc of 0..52   uint32
//   56  entries        24 bytes each: offset, pos, max timestamp before
//
// The file is not synced when it is written: a torn one fails a checksum and is rebuilt.
#include "runtime/log/index.h"

#include "runtime/base/crc32c.h"
#include "runtime/base/endian.h"
#include "runtime/base/heap.h"
#include "runtime/base/limits.h"

enum { INDEX_MAGIC = 0x4c544958, INDEX_VERSION = 1, ENTRY_BYTES = 24 };
#if LEAT_TESTING
enum { INDEX_ENTRIES_MAX = 64 };
#else
enum { INDEX_ENTRIES_MAX = 16384 };
#endif

void index_init(struct index *ix)
{
    *ix = (struct index){.interval = INDEX_INTERVAL_BYTES};
}

void index_deinit(struct index *ix)
{
    heap_free(ix->entries);
    index_init(ix);
}

static void index_thin(struct index *ix)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < ix->n; i += 2)
        ix->entries[n++] = ix->entries[i];
    ix->n = n;
    ix->interval *= 2;
}

void index_note(struct index *ix, struct index_entry batch)
{
    if (ix->n > 0 && batch.pos - ix->entries[ix->n - 1].pos < ix->interval)
        return;
    if (ix->entries == NULL)
        ix->entries = heap_alloc(sizeof *ix->entries * INDEX_ENTRIES_MAX);
    if (ix->n == INDEX_ENTRIES_MAX)
        index_thin(ix);
    ix->entries[ix->n++] = batch;
}

enum index_key { BY_OFFSET, BY_POS, BY_TIME };

static bool entry_is_past(const struct index_entry *e, enum index_key key, int64_t v)
{
    switch (key) {
    case BY_OFFSET:
        return e->offset > v;
    case BY_POS:
        return e->pos > v;
    case BY_TIME:
        return e->max_before >= v;
    }
    UNREACHABLE("no such key");
}

// All three keys rise along the entries.
static struct index_entry index_find(const struct index *ix, enum index_key key, int64_t v)
{
    uint32_t low = 0, high = ix->n; // entries below `low` are not past v, from `high` on they are

    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (entry_is_past(&ix->entries[mid], key, v))
            high = mid;
        else
            low = mid + 1;
    }
    if (low == 0)
        return (struct index_entry){.offset = -1, .pos = 0, .max_before = INT64_MIN};
    return ix->entries[low - 1];
}

struct index_entry index_find_offset(const struct index *ix, int64_t offset)
{
    return index_find(ix, BY_OFFSET, offset);
}

struct index_entry index_find_pos(const struct index *ix, int64_t pos)
{
    return index_find(ix, BY_POS, pos);
}

struct index_entry index_find_time(const struct index *ix, int64_t timestamp)
{
    return index_find(ix, BY_TIME, timestamp);
}

void index_cut(struct index *ix, int64_t pos)
{
    while (ix->n > 0 && ix->entries[ix->n - 1].pos > pos)
        ix->n--;
}

void index_encode(const struct index *ix, const struct index_seal *seal, struct buf *out)
{
    size_t head = out->n;

    buf_append_be32(out, INDEX_MAGIC);
    buf_append_be32(out, INDEX_VERSION);
    buf_append_be64(out, (uint64_t)seal->base_offset);
    buf_append_be64(out, (uint64_t)seal->end_offset);
    buf_append_be64(out, (uint64_t)seal->size);
    buf_append_be64(out, (uint64_t)seal->max_timestamp);
    buf_append_be32(out, ix->n);
    for (int i = 0; i < 3; i++)
        buf_append_be32(out, 0);
    ASSERT(out->n - head == INDEX_SEAL_BYTES);
    for (uint32_t i = 0; i < ix->n; i++) {
        buf_append_be64(out, (uint64_t)ix->entries[i].offset);
        buf_append_be64(out, (uint64_t)ix->entries[i].pos);
        buf_append_be64(out, (uint64_t)ix->entries[i].max_before);
    }
    uint8_t *p = out->p + head;
    store_be32(p + 44, crc32c(bytes_of(p + INDEX_SEAL_BYTES, (size_t)ix->n * ENTRY_BYTES)));
    store_be32(p + 52, crc32c(bytes_of(p, 52)));
}

int index_decode_seal(struct bytes b, struct index_seal *seal, struct err *e)
{
    if (b.n < INDEX_SEAL_BYTES || load_be32(b.p) != INDEX_MAGIC ||
        load_be32(b.p + 4) != INDEX_VERSION || load_be32(b.p + 52) != crc32c(bytes_of(b.p, 52)))
        return err_set(e, LEAT_ECORRUPT, "the index is damaged");
    *seal = (struct index_seal){
        .base_offset = (int64_t)load_be64(b.p + 8),
        .end_offset = (int64_t)load_be64(b.p + 16),
        .size = (int64_t)load_be64(b.p + 24),
        .max_timestamp = (int64_t)load_be64(b.p + 32),
    };
    return 0;
}

int index_decode(struct bytes b, struct index_seal *seal, struct index *ix, struct err *e)
{
    struct bytes rest;
    uint32_t n;
    int rc = index_decode_seal(b, seal, e);

    if (rc != 0)
        return rc;
    n = load_be32(b.p + 40);
    rest = bytes_of(b.p + INDEX_SEAL_BYTES, b.n - INDEX_SEAL_BYTES);
    if (n > INDEX_ENTRIES_MAX || rest.n != (size_t)n * ENTRY_BYTES ||
        crc32c(rest) != load_be32(b.p + 44))
        return err_set(e, LEAT_ECORRUPT, "the index is damaged");
    index_deinit(ix);
    ix->entries = heap_alloc(sizeof *ix->entries * INDEX_ENTRIES_MAX);
    for (; ix->n < n; ix->n++, rest.p += ENTRY_BYTES)
        ix->entries[ix->n] = (struct index_entry){(int64_t)load_be64(rest.p),
                                                  (int64_t)load_be64(rest.p + 8),
                                                  (int64_t)load_be64(rest.p + 16)};
    while (n > 1 && ix->interval < seal->size / n) // go on as coarse as it has become
        ix->interval *= 2;
    return 0;
}
