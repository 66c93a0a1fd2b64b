// SPDX-License-Identifier: Apache-2.0
//
// Segment files and walking over them. The walk is the only code that finds batches in a file:
// recovery, index rebuilding, producer replay and time look-up all use it, with or without the
// records behind the headers.
//
// It reads in chunks, so small batches cost one read per chunk and large ones, when only headers
// are wanted, one read each. Headers are believed only as far as they fit: length within the range,
// offsets in sequence.
#include "runtime/log/segment.h"

#include <stdio.h>

#include "runtime/base/heap.h"

enum { CHUNK_HEADERS = 16 * 1024, CHUNK_WHOLE = 1024 * 1024, OFFSET_DIGITS = 20 };

void segment_name(char out[SEGMENT_NAME_SIZE], int64_t offset, const char *suffix)
{
    ASSERT(offset >= 0);
    snprintf(out, SEGMENT_NAME_SIZE, "%020lld%s", (long long)offset, suffix);
}

bool segment_name_parse(const char *name, const char *suffix, int64_t *offset)
{
    int64_t v = 0;

    if (strlen(name) != OFFSET_DIGITS + strlen(suffix) || strcmp(name + OFFSET_DIGITS, suffix) != 0)
        return false;
    for (int i = 0; i < OFFSET_DIGITS; i++) {
        if (name[i] < '0' || name[i] > '9' || __builtin_mul_overflow(v, 10, &v) ||
            __builtin_add_overflow(v, name[i] - '0', &v))
            return false;
    }
    *offset = v;
    return true;
}

int segment_open(struct fs *fs, const char *dir, int64_t base_offset, struct segment **out,
                 struct err *e)
{
    struct segment *s;
    struct fs_file *file;
    char name[SEGMENT_NAME_SIZE];
    char *path;
    int rc;

    segment_name(name, base_offset, ".log");
    path = heap_printf("%s/%s", dir, name);
    rc = fs->open(fs, path, FS_WRITE, &file, e);
    if (rc != 0) {
        heap_free(path);
        return rc;
    }
    s = heap_zalloc(sizeof *s);
    s->fs = fs;
    s->file = file;
    s->path = path;
    s->base_offset = s->end_offset = base_offset;
    s->max_timestamp = INT64_MIN;
    s->index_loaded = true;
    s->refs = 1;
    index_init(&s->index);
    *out = s;
    return 0;
}

struct segment *segment_ref(struct segment *s)
{
    ASSERT(s->refs > 0);
    s->refs++;
    return s;
}

void segment_unref(struct segment *s)
{
    if (s == NULL || --s->refs > 0)
        return;
    s->fs->close(s->fs, s->file);
    index_deinit(&s->index);
    heap_free(s->path);
    heap_free(s);
}

void segment_note(struct segment *s, const struct batch_header *h, int64_t end_offset)
{
    index_note(&s->index, (struct index_entry){end_offset - 1 - h->last_offset_delta, s->size,
                                               s->max_timestamp});
    if (h->max_timestamp > s->max_timestamp)
        s->max_timestamp = h->max_timestamp;
    s->end_offset = end_offset;
    s->size += (int64_t)batch_size(h);
}

// --- seals ---

static char *index_path(const struct segment *s, const char *dir)
{
    char name[SEGMENT_NAME_SIZE];

    segment_name(name, s->base_offset, ".index");
    return heap_printf("%s/%s", dir, name);
}

void segment_encode_index(const struct segment *s, int64_t pos, int64_t end_offset,
                          struct buf *out)
{
    struct index_seal seal = {s->base_offset, end_offset, pos, s->max_timestamp};
    struct index below = s->index;

    while (below.n > 0 && below.entries[below.n - 1].pos >= pos)
        below.n--;
    index_encode(&below, &seal, out);
}

int segment_write_index(struct segment *s, const char *dir, struct bytes encoded, struct err *e)
{
    struct fs_file *file;
    char *path = index_path(s, dir);
    int rc = s->fs->open(s->fs, path, FS_WRITE, &file, e);

    heap_free(path);
    if (rc != 0)
        return rc;
    rc = s->fs->write(s->fs, file, encoded.p, encoded.n, 0, e);
    if (rc == 0)
        rc = s->fs->truncate(s->fs, file, (int64_t)encoded.n, e);
    s->fs->close(s->fs, file);
    return rc;
}

int segment_seal(struct segment *s, const char *dir, struct err *e)
{
    struct buf out = BUF_EMPTY;
    int rc;

    segment_encode_index(s, s->size, s->end_offset, &out);
    rc = segment_write_index(s, dir, buf_bytes(&out), e);
    buf_deinit(&out);
    return rc;
}

static int seal_decode(const struct segment *s, struct bytes b, struct index_seal *seal,
                       struct index *ix, struct err *e)
{
    int rc = ix != NULL ? index_decode(b, seal, ix, e) : index_decode_seal(b, seal, e);

    if (rc == 0 && (seal->base_offset != s->base_offset || seal->size < 0 ||
                    seal->end_offset < seal->base_offset))
        rc = err_set(e, LEAT_ECORRUPT, "the index belongs to another segment");
    return rc;
}

int segment_read_seal(struct segment *s, const char *dir, struct index_seal *seal, struct index *ix,
                      struct err *e)
{
    struct fs_file *file;
    struct buf in = BUF_EMPTY;
    char *path = index_path(s, dir);
    int64_t n;
    int rc = s->fs->open(s->fs, path, FS_READ, &file, e);

    if (rc != 0)
        goto done;
    n = ix != NULL ? s->fs->size(s->fs, file, e) : INDEX_SEAL_BYTES;
    if (n > 0) {
        buf_reserve(&in, (size_t)n);
        n = s->fs->read(s->fs, file, in.p, (size_t)n, 0, e);
    }
    s->fs->close(s->fs, file);
    rc = n < 0 ? (int)n : seal_decode(s, bytes_of(in.p, (size_t)n), seal, ix, e);
done:
    buf_deinit(&in);
    heap_free(path);
    return rc;
}

// --- walking ---

void walk_init(struct walk *w, struct segment *s, struct index_entry from, int64_t end, bool whole)
{
    *w = (struct walk){
        .segment = s,
        .pos = from.pos,
        .end = end,
        .expect = from.pos == 0 ? s->base_offset : from.offset,
        .chunk = whole ? CHUNK_WHOLE : CHUNK_HEADERS,
        .whole = whole,
    };
}

void walk_deinit(struct walk *w)
{
    buf_deinit(&w->buf);
}

// Makes n bytes from w->pos on available. The range was checked against w->end.
static int walk_fill(struct walk *w, size_t n, struct err *e)
{
    struct segment *s = w->segment;
    int64_t got, want = (int64_t)(n > w->chunk ? n : w->chunk);

    if (w->pos >= w->buf_pos && w->pos + (int64_t)n <= w->buf_pos + (int64_t)w->buf.n)
        return 0;
    if (want > w->end - w->pos)
        want = w->end - w->pos;
    buf_clear(&w->buf);
    if (buf_try_reserve(&w->buf, (size_t)want) != 0)
        return err_set(e, LEAT_ENOMEM, "no memory to read %s", s->path);
    got = s->fs->read(s->fs, s->file, w->buf.p, (size_t)want, w->pos, e);
    if (got < 0)
        return (int)got;
    w->buf.n = (size_t)got;
    w->buf_pos = w->pos;
    if ((size_t)got < n)
        return err_set(e, LEAT_ETORN, "%s ends at %lld", s->path, (long long)(w->pos + got));
    return 0;
}

static int walk_damage(const struct walk *w, int rc, struct err *e)
{
    return err_wrap(e, rc, "%s at position %lld", w->segment->path, (long long)w->pos);
}

int walk_next(struct walk *w, struct err *e)
{
    int64_t left = w->end - w->pos;
    size_t need;
    int rc;

    if (left == 0)
        return 0;
    if (left < BATCH_HEADER_BYTES)
        return walk_damage(
            w, err_set(e, LEAT_ETORN, "%lld bytes are less than a batch", (long long)left), e);
    rc = walk_fill(w, BATCH_HEADER_BYTES, e);
    if (rc != 0)
        return rc;
    rc = batch_read_header(bytes_of(w->buf.p + (w->pos - w->buf_pos), BATCH_HEADER_BYTES), &w->h,
                           e);
    if (rc != 0)
        return walk_damage(w, rc, e);
    // TODO when compaction exists: offsets may leave holes, then >= must do.
    if (w->expect >= 0 && w->h.base_offset != w->expect)
        return walk_damage(w, err_set(e, LEAT_ECORRUPT, "batch at offset %lld, expected %lld",
                                      (long long)w->h.base_offset, (long long)w->expect), e);
    if ((int64_t)batch_size(&w->h) > left)
        return walk_damage(w, err_set(e, LEAT_ETORN, "batch of %zu bytes, of which %lld are there",
                                      batch_size(&w->h), (long long)left), e);
    need = w->whole ? batch_size(&w->h) : BATCH_HEADER_BYTES;
    rc = walk_fill(w, need, e);
    if (rc != 0)
        return rc;
    w->at = w->pos;
    w->bytes = bytes_of(w->buf.p + (w->pos - w->buf_pos), need);
    w->pos += (int64_t)batch_size(&w->h);
    w->expect = batch_last_offset(&w->h) + 1;
    return 1;
}
