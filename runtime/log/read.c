// SPDX-License-Identifier: Apache-2.0
//
// Reading: runs of batches as they lie in the file, and look-ups by time.
//
// A read goes: under the lock, choose the segment, take a reference and a place to start from
// (where the last reader went on, or the sparse index); without the lock, hop over headers to the
// batch that holds the offset; one read straight into the caller's buffer; then keep the whole
// batches below the limit.
//
// Sizes are taken under the lock once, so an append at the same time is simply not seen. A segment
// that retention drops meanwhile stays readable through the reference.
#include "runtime/base/arena.h"
#include "runtime/base/limits.h"
#include "runtime/log/partition_impl.h"

// A segment as seen at one moment.
struct glimpse {
    struct segment *segment;
    struct index_entry from;
    int64_t size, max_timestamp, end_offset;
};

// The last segment whose base is at or below the offset. Under lock.
static size_t find_segment(const struct partition *p, int64_t offset)
{
    size_t low = 0, high = p->n_segments;

    while (high - low > 1) {
        size_t mid = low + (high - low) / 2;
        if (p->segments[mid]->base_offset <= offset)
            low = mid;
        else
            high = mid;
    }
    return low;
}

static bool find_place(const struct partition *p, int64_t base, int64_t offset,
                       struct index_entry *from)
{
    for (int i = 0; i < READ_PLACES; i++) {
        const struct read_place *at = &p->places[i];
        if (at->pos == 0 || at->offset != offset || at->base != base)
            continue;
        *from = (struct index_entry){.offset = offset, .pos = at->pos};
        return true;
    }
    return false;
}

static void keep_place(struct partition *p, struct read_place place)
{
    pthread_mutex_lock(&p->lock);
    p->places[p->place_next++ % READ_PLACES] = place;
    pthread_mutex_unlock(&p->lock);
}

static int glimpse(struct partition *p, int64_t offset, struct glimpse *g, struct err *e)
{
    struct segment *s;
    int rc = 0;

    pthread_mutex_lock(&p->lock);
    s = p->segments[find_segment(p, offset)];
    if (s->base_offset > offset) // retention passed by since the caller looked at start
        rc = err_set(e, LEAT_ERANGE, "offset %lld of %s/%d is gone", (long long)offset,
                     p->config.topic, p->config.partition);
    else if (!find_place(p, s->base_offset, offset, &g->from)) {
        rc = partition_load_index(p, s, e);
        g->from = index_find_offset(&s->index, offset);
    }
    if (rc == 0) {
        g->segment = segment_ref(s);
        g->size = s->size;
        g->end_offset = s->end_offset;
    }
    pthread_mutex_unlock(&p->lock);
    return rc;
}

// --- runs of batches ---

static int locate(struct glimpse *g, int64_t offset, int64_t *pos, size_t *size, struct err *e)
{
    struct walk w;
    int rc;

    walk_init(&w, g->segment, g->from, g->size, false);
    while ((rc = walk_next(&w, e)) == 1)
        if (batch_last_offset(&w.h) >= offset)
            break;
    *pos = w.at;
    *size = rc == 1 ? batch_size(&w.h) : 0;
    walk_deinit(&w);
    if (rc == 1)
        return 0;
    if (rc == 0)
        return err_set(e, LEAT_ECORRUPT, "offset %lld is missing in %s", (long long)offset,
                       g->segment->path);
    return rc == LEAT_ETORN ? LEAT_ECORRUPT : rc;
}

// The bytes at the front of b that are whole batches below the limit; *next follows the last.
static size_t whole_batches(struct bytes b, int64_t limit, int64_t *next)
{
    struct batch_header h;
    size_t n = 0;

    while (batch_read_header(bytes_of(b.p + n, b.n - n), &h, NULL) == 0 &&
           batch_size(&h) <= b.n - n && batch_last_offset(&h) < limit &&
           (n == 0 || h.base_offset == *next)) {
        n += batch_size(&h);
        *next = batch_last_offset(&h) + 1;
    }
    return n;
}

struct run {
    int64_t offset, limit;
    size_t bytes_max;
    struct buf *out;
    int64_t next;
};

static int read_run(struct partition *p, struct glimpse *g, struct run *run, struct err *e)
{
    struct segment *s = g->segment;
    struct buf *out = run->out;
    size_t first, n;
    int64_t pos, got;
    int rc = locate(g, run->offset, &pos, &first, e);

    if (rc != 0)
        return rc;
    n = run->bytes_max > first ? run->bytes_max : first;
    if ((int64_t)n > g->size - pos)
        n = (size_t)(g->size - pos);
    if (buf_try_reserve(out, n) != 0)
        return err_set(e, LEAT_ENOMEM, "no memory to read %zu bytes", n);
    got = s->fs->read(s->fs, s->file, out->p + out->n, n, pos, e);
    if (got < 0)
        return (int)got;
    n = whole_batches(bytes_of(out->p + out->n, (size_t)got), run->limit, &run->next);
    out->n += n;
    if (n > 0)
        keep_place(p, (struct read_place){run->next, s->base_offset, pos + (int64_t)n});
    return 0;
}

int partition_read(struct partition *p, int64_t offset, int64_t limit, size_t bytes_max,
                   struct buf *out, int64_t *next, struct err *e)
{
    struct glimpse g;
    int64_t end = p->end;
    int rc;

    *next = offset;
    if (offset < p->start || offset > end)
        return err_set(e, LEAT_ERANGE, "offset %lld of %s/%d; there is %lld to %lld",
                       (long long)offset, p->config.topic, p->config.partition,
                       (long long)p->start, (long long)end);
    if (limit > end)
        limit = end;
    if (offset >= limit)
        return 0;
    rc = glimpse(p, offset, &g, e);
    if (rc != 0)
        return rc;
    struct run run = {offset, limit, bytes_max, out, offset};
    rc = read_run(p, &g, &run, e);
    *next = run.next;
    segment_unref(g.segment);
    return rc;
}

// --- by time ---

// The first record at or after `timestamp`, at or above `from`, of the batch that the walk stands
// on.
static int find_in_batch(struct walk *w, int64_t timestamp, int64_t from, int64_t *offset,
                         int64_t *found, struct err *e)
{
    struct segment *s = w->segment;
    size_t n = batch_size(&w->h);
    struct batch_record r;
    struct batch_iter it;
    struct arena arena;
    uint8_t *p;
    int64_t got;
    int rc;

    arena_init(&arena);
    p = arena_try_alloc(&arena, n);
    got = p != NULL ? s->fs->read(s->fs, s->file, p, n, w->at, e)
                    : err_set(e, LEAT_ENOMEM, "no memory for a batch of %zu bytes", n);
    rc = got < 0 ? (int)got
                 : batch_iter_init(&it, bytes_of(p, (size_t)got), BATCH_INFLATED_MAX, &arena, e);
    while (rc == 0 && (rc = batch_iter_next(&it, &r, e)) == 1) {
        if (r.offset >= from && r.timestamp >= timestamp)
            break;
        rc = 0;
    }
    if (rc == 1) {
        *offset = r.offset;
        *found = r.timestamp;
    }
    arena_deinit(&arena);
    return rc;
}

struct time_query {
    int64_t timestamp, from, limit;
    int64_t *offset, *found;
};

// 1: found. 0: not in this segment.
static int find_in_segment(const struct glimpse *g, const struct time_query *q, struct err *e)
{
    struct walk w;
    int rc;

    walk_init(&w, g->segment, g->from, g->size, false);
    while ((rc = walk_next(&w, e)) == 1) {
        if (w.h.base_offset >= q->limit) {
            rc = 0;
            break;
        }
        if (w.h.max_timestamp < q->timestamp || batch_last_offset(&w.h) < q->from)
            continue;
        rc = find_in_batch(&w, q->timestamp, q->from, q->offset, q->found, e);
        if (rc != 0)
            break;
    }
    walk_deinit(&w);
    return rc;
}

// The i-th segment, if there is one, with the place where a look-up by time begins.
static int glimpse_at(struct partition *p, size_t i, int64_t timestamp, struct glimpse *g,
                      struct err *e)
{
    int rc = 0;

    *g = (struct glimpse){0};
    pthread_mutex_lock(&p->lock);
    if (i < p->n_segments) {
        struct segment *s = p->segments[i];
        if (s->max_timestamp >= timestamp)
            rc = partition_load_index(p, s, e);
        *g = (struct glimpse){segment_ref(s), index_find_time(&s->index, timestamp), s->size,
                              s->max_timestamp, s->end_offset};
    }
    pthread_mutex_unlock(&p->lock);
    if (rc != 0)
        segment_unref(g->segment);
    return rc;
}

int partition_find_time(struct partition *p, int64_t timestamp, int64_t limit, int64_t *offset,
                        int64_t *found_timestamp, struct err *e)
{
    struct time_query q = {timestamp, p->start, limit, offset, found_timestamp};
    struct glimpse g;
    int rc = 0;

    *offset = *found_timestamp = -1;
    for (size_t i = 0; rc == 0; i++) {
        rc = glimpse_at(p, i, timestamp, &g, e);
        if (rc != 0 || g.segment == NULL)
            break;
        if (g.max_timestamp >= timestamp && g.segment->base_offset < limit)
            rc = find_in_segment(&g, &q, e);
        segment_unref(g.segment);
    }
    if (rc == 1 && *offset >= limit)
        *offset = *found_timestamp = -1;
    return rc < 0 ? rc : 0;
}

// The largest timestamp of a segment's batches between start and limit; needs the headers only when
// the segment reaches beyond one of them.
static int segment_max_time(const struct glimpse *g, int64_t start, int64_t limit, int64_t *max,
                            struct err *e)
{
    struct index_entry front = {.offset = -1};
    struct walk w;
    int rc;

    *max = INT64_MIN;
    if (g->segment->base_offset >= start && g->end_offset <= limit) {
        *max = g->max_timestamp;
        return 0;
    }
    walk_init(&w, g->segment, front, g->size, false);
    while ((rc = walk_next(&w, e)) == 1 && batch_last_offset(&w.h) < limit)
        if (batch_last_offset(&w.h) >= start && w.h.max_timestamp > *max)
            *max = w.h.max_timestamp;
    walk_deinit(&w);
    return rc < 0 ? rc : 0;
}

int partition_max_time(struct partition *p, int64_t limit, int64_t *offset, int64_t *timestamp,
                       struct err *e)
{
    int64_t start = p->start, best = INT64_MIN;
    int rc = 0;

    *offset = *timestamp = -1;
    for (size_t i = 0; rc == 0; i++) {
        struct glimpse g;
        int64_t max;
        rc = glimpse_at(p, i, INT64_MAX, &g, e);
        if (rc != 0 || g.segment == NULL)
            break;
        rc = segment_max_time(&g, start, limit, &max, e);
        if (rc == 0 && max > best)
            best = max;
        segment_unref(g.segment);
    }
    if (rc != 0 || best == INT64_MIN)
        return rc;
    return partition_find_time(p, best, limit, offset, timestamp, e);
}
