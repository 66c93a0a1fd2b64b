// SPDX-License-Identifier: Apache-2.0
//
// Topics in memory. Batches are kept as they came, with their offsets stamped in, so that the
// engine reads and writes the same bytes as against a real log. The publishing end recognises
// repeats as the log does: the batch of one producer that starts at or below the last sequence is
// the original's, if its bytes agree, and a fork if they do not.
#include "runtime/engine/driver_log.h"

#include "runtime/base/heap.h"
#include "runtime/base/limits.h"

void driver_log_deinit(struct driver_log *l)
{
    while (l->n_topics > 0)
        driver_log_delete(l, l->topics[0]->name);
    heap_free(l->topics);
    arena_deinit(&l->arena);
}

struct driver_topic *driver_log_find(const struct driver_log *l, const char *name)
{
    for (size_t i = 0; i < l->n_topics && name != NULL; i++)
        if (strcmp(l->topics[i]->name, name) == 0)
            return l->topics[i];
    return NULL;
}

static void topic_free(struct driver_topic *t)
{
    for (int32_t i = 0; i < t->n_parts; i++) {
        for (size_t k = 0; k < t->parts[i].n; k++)
            heap_free((void *)(uintptr_t)t->parts[i].batches[k].bytes.p);
        heap_free(t->parts[i].batches);
    }
    heap_free(t->parts);
    heap_free(t->published);
    heap_free(t->name);
    heap_free(t);
}

void driver_log_delete(struct driver_log *l, const char *name)
{
    for (size_t i = 0; i < l->n_topics && name != NULL; i++)
        if (strcmp(l->topics[i]->name, name) == 0) {
            topic_free(l->topics[i]);
            l->topics[i] = l->topics[--l->n_topics];
            return;
        }
}

static void grow_partitions(struct driver_topic *t, int32_t n)
{
    if (n <= t->n_parts)
        return;
    t->parts = heap_realloc(t->parts, (size_t)n * sizeof *t->parts);
    memset(t->parts + t->n_parts, 0, (size_t)(n - t->n_parts) * sizeof *t->parts);
    t->n_parts = n;
}

// Ids count, so that two runs of the same test give the same bytes.
static struct uuid count_id(struct driver_log *l)
{
    struct uuid u = {{0}};

    l->next_id++;
    memcpy(u.b, &l->next_id, sizeof l->next_id);
    return u;
}

struct driver_topic *driver_log_topic(struct driver_log *l, const char *name, int32_t partition)
{
    struct driver_topic *t = driver_log_find(l, name);

    if (t == NULL) {
        t = heap_zalloc(sizeof *t);
        t->name = heap_strdup(name);
        t->id = count_id(l);
        l->topics = heap_realloc(l->topics, (l->n_topics + 1) * sizeof *l->topics);
        l->topics[l->n_topics++] = t;
        grow_partitions(t, l->n_partitions);
    }
    grow_partitions(t, partition + 1);
    return t;
}

int64_t driver_log_append(struct driver_topic *t, int32_t partition, struct bytes batch,
                          bool published)
{
    struct driver_partition *p = &t->parts[partition];
    struct batch_header h;
    uint8_t *copy = heap_alloc(batch.n);
    int rc = batch_read(batch, &h, NULL);

    ASSERT(rc == 0 && partition < t->n_parts);
    memcpy(copy, batch.p, batch.n);
    batch_stamp(copy, p->end, 0);
    if (p->n == p->cap) {
        p->cap = p->cap ? p->cap * 2 : 8;
        p->batches = heap_realloc(p->batches, p->cap * sizeof *p->batches);
    }
    p->batches[p->n] = (struct driver_batch){.bytes = bytes_of(copy, batch.n),
                                             .first = p->end,
                                             .last = p->end + h.last_offset_delta,
                                             .published = published};
    if (published) {
        t->published = heap_realloc(t->published, (t->n_published + 1) * sizeof *t->published);
        t->published[t->n_published++] = (struct driver_taken){partition, p->n};
    }
    p->end += h.last_offset_delta + 1;
    return p->batches[p->n++].first;
}

size_t driver_log_read(struct driver_log *l, const char *topic, size_t *from,
                       const struct batch_record **out)
{
    struct driver_topic *t = driver_log_find(l, topic);
    struct batch_record *all = NULL;
    size_t n = 0, cap = 0;

    arena_reset(&l->arena);
    for (; t != NULL && *from < t->n_published; (*from)++) {
        struct driver_taken *at = &t->published[*from];
        struct batch_iter it;
        struct batch_record r;
        int rc = batch_iter_init(&it, t->parts[at->partition].batches[at->batch].bytes,
                                 BATCH_INFLATED_MAX, &l->arena, NULL);

        ASSERT(rc == 0);
        while ((rc = batch_iter_next(&it, &r, NULL)) == 1) {
            if (n == cap) {
                struct batch_record *grown;
                cap = cap ? cap * 2 : 16;
                grown = arena_alloc(&l->arena, cap * sizeof *grown);
                if (n > 0)
                    memcpy(grown, all, n * sizeof *grown);
                all = grown;
            }
            all[n++] = r;
        }
        ASSERT(rc == 0);
    }
    *out = all;
    return n;
}

size_t driver_log_take(struct driver_log *l, const char *topic, const struct batch_record **out)
{
    struct driver_topic *t = driver_log_find(l, topic);
    size_t none = 0;

    return driver_log_read(l, topic, t != NULL ? &t->taken : &none, out);
}

// --- source ---

static int source_topic(struct source *s, const char *topic, struct source_topic *out,
                        struct err *e)
{
    struct driver_log *l = container_of(s, struct driver_log, source);
    const struct driver_topic *t = driver_log_find(l, topic);

    if (t == NULL)
        return err_set(e, LEAT_ENOTFOUND, "topic %s does not exist", topic);
    *out = (struct source_topic){.id = t->id, .n_partitions = t->n_parts};
    return 0;
}

static struct driver_partition *partition_of(struct driver_log *l, const char *topic, int32_t i)
{
    struct driver_topic *t = driver_log_find(l, topic);

    return t != NULL && i < t->n_parts ? &t->parts[i] : NULL;
}

static int source_bounds(struct source *s, const char *topic, int32_t partition, int64_t *start,
                         int64_t *stable, struct err *e)
{
    struct driver_log *l = container_of(s, struct driver_log, source);
    const struct driver_partition *p = partition_of(l, topic, partition);

    if (p == NULL)
        return err_set(e, LEAT_ENOTFOUND, "topic %s/%d does not exist", topic, partition);
    *start = p->n > 0 ? p->batches[0].first : p->end;
    *stable = p->end;
    return 0;
}

static int source_fetch(struct source *s, const char *topic, int32_t partition, int64_t offset,
                        size_t bytes_max, struct buf *out, int64_t *next, struct err *e)
{
    struct driver_log *l = container_of(s, struct driver_log, source);
    const struct driver_partition *p = partition_of(l, topic, partition);
    size_t lo = 0, hi;

    if (p == NULL)
        return err_set(e, LEAT_ENOTFOUND, "topic %s/%d does not exist", topic, partition);
    if (offset > p->end || (p->n > 0 && offset < p->batches[0].first))
        return err_set(e, LEAT_ERANGE, "offset %lld is not in the log", (long long)offset);
    hi = p->n;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (p->batches[mid].last < offset)
            lo = mid + 1;
        else
            hi = mid;
    }
    for (size_t i = lo; i < p->n && (i == lo || out->n < bytes_max); i++) {
        if (p->away && p->batches[i].first >= p->away_from)
            break;
        buf_append_bytes(out, p->batches[i].bytes);
        *next = p->batches[i].last + 1;
    }
    return 0;
}

static bool source_coming(struct source *s, const char *topic, int32_t partition)
{
    struct driver_log *l = container_of(s, struct driver_log, source);
    const struct driver_partition *p = partition_of(l, topic, partition);

    return p != NULL && p->coming;
}

static const struct source_ops source_ops = {.topic = source_topic,
                                             .bounds = source_bounds,
                                             .fetch = source_fetch,
                                             .coming = source_coming};

// --- publisher ---

static int publisher_topic(struct publisher *p, const char *topic, struct publisher_topic *out,
                           struct err *e)
{
    struct driver_log *l = container_of(p, struct driver_log, publisher);
    const struct driver_topic *t = driver_log_topic(l, topic, 0);

    (void)e;
    *out = (struct publisher_topic){.id = t->id, .n_partitions = t->n_parts};
    return 0;
}

// 1: the log has this batch already, up to *end. 0: it is the next. A producer's sequences ascend,
// so the search goes back from the newest batch to the first that starts no later.
static int find_repeat(const struct driver_partition *p, const struct batch_header *h,
                       struct bytes batch, int64_t *end, struct err *e)
{
    int32_t next = -1;

    for (size_t i = p->n; i-- > 0;) {
        struct batch_header o;
        int rc = batch_read(p->batches[i].bytes, &o, e);

        ASSERT(rc == 0);
        if (o.producer_id != h->producer_id)
            continue;
        if (next < 0)
            next = o.base_sequence + o.n_records;
        if (o.base_sequence > h->base_sequence)
            continue;
        if (o.base_sequence < h->base_sequence)
            break;
        if (o.crc != h->crc || batch_size(&o) != batch.n)
            return err_set(e, LEAT_EFORK, "sequence %d has other content", h->base_sequence);
        *end = p->batches[i].last + 1;
        return 1;
    }
    if (h->base_sequence != (next < 0 ? 0 : next))
        return err_set(e, LEAT_ESEQUENCE, "sequence %d after %d", h->base_sequence, next - 1);
    return 0;
}

static int publisher_append(struct publisher *pub, const char *topic, struct uuid id,
                            int32_t partition, struct bytes batch, int64_t *end, struct err *e)
{
    struct driver_log *l = container_of(pub, struct driver_log, publisher);
    struct driver_topic *t = driver_log_find(l, topic);
    struct batch_header h;
    int rc = batch_read(batch, &h, e);

    if (rc != 0)
        return rc;
    if (t == NULL || !uuid_eq(t->id, id) || partition >= t->n_parts)
        return err_set(e, LEAT_ENOTFOUND, "topic %s/%d is gone", topic, partition);
    if (l->faults.append != 0)
        return err_set(e, l->faults.append, "append refused");
    if (l->faults.stuck != NULL && strcmp(l->faults.stuck, topic) == 0)
        return err_set(e, LEAT_EBUSY, "topic %s is stuck", topic);
    rc = l->faults.no_dedupe ? 0 : find_repeat(&t->parts[partition], &h, batch, end, e);
    if (rc < 0)
        return rc;
    if (rc == 0) {
        (void)driver_log_append(t, partition, batch, true);
        *end = t->parts[partition].end;
    }
    return l->faults.lose_answer ? err_set(e, LEAT_ETIMEDOUT, "no answer") : 0;
}

static int publisher_durable(struct publisher *pub, const char *topic, struct uuid id,
                             int32_t partition, int64_t *offset, struct err *e)
{
    struct driver_log *l = container_of(pub, struct driver_log, publisher);
    const struct driver_topic *t = driver_log_find(l, topic);

    if (t == NULL || !uuid_eq(t->id, id) || partition >= t->n_parts)
        return err_set(e, LEAT_ENOTFOUND, "topic %s/%d is gone", topic, partition);
    *offset = l->faults.hold_durable ? 0 : t->parts[partition].end;
    return 0;
}

static const struct publisher_ops publisher_ops = {
    .topic = publisher_topic, .append = publisher_append, .durable = publisher_durable};

void driver_log_init(struct driver_log *l, int32_t n_partitions)
{
    *l = (struct driver_log){.source = {.ops = &source_ops},
                             .publisher = {.ops = &publisher_ops},
                             .n_partitions = n_partitions > 0 ? n_partitions : 1};
    arena_init(&l->arena);
}
