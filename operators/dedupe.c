// SPDX-License-Identifier: Apache-2.0
//
// dedupe: of the records with one id the first goes on, the others are dropped, until the watermark
// is past the first one's event time + within. Then the id is forgotten, and a record with it is
// the first again. An id that is nil is class `key`.
//
// One state row for each id remembered: (bucket, id) and the first one's time. A bucket is a span
// of event time at least as long as within, so an id that is looked for can only be in the few
// buckets that are not over: each is asked. Those that are over are deleted in slices, a few
// hundred rows a step; that cannot be seen, since a row's time is always weighed against the
// watermark.
//
//   record     the id in memory, else in the rows of each bucket; noted, undone if the record fails
//   flush      what is new is written once, in key order; a slice of what is over is deleted
//   abort      everything is forgotten and found again in state
#include "operators/groupkey.h"
#include "operators/operators.h"
#include "operators/pack.h"
#include "runtime/base/hashmap.h"
#include "runtime/base/heap.h"

#include <stdlib.h>

#define BUCKET_MIN_MS (INT64_C(3600) * 1000)
#define SLICE_ROWS 500

struct seen {
    struct value part; // the id as it stands in its row; owned
    bool listed;       // among the dirty
    bool recent;       // used since the eviction's hand passed
    bool stored;       // there is a row, under stored_time
    int64_t stored_time;
    struct seen_now {
        int64_t time;
        int64_t there;
    } now; // what a record changes
};

struct dedupe {
    struct operator op;
    struct state *state;
    int64_t bucket_ms;
    bool known;       // buckets have been read
    int64_t *buckets; // their starts, ascending
    size_t n_buckets, cap_buckets;
    struct hashmap ids; // id -> struct seen
    struct seen **dirty;
    size_t n_dirty, cap_dirty;
    size_t bytes; // of ids
    size_t hand;  // where eviction goes on
    struct buf id;
    struct arena arena;
};

static int64_t bucket_of(const struct dedupe *d, int64_t t)
{
    int64_t rest = t % d->bucket_ms;

    return t - (rest < 0 ? rest + d->bucket_ms : rest);
}

// Whether the watermark is past t + within.
static bool is_over(const struct dedupe *d, int64_t t)
{
    int64_t end;

    return !__builtin_add_overflow(t, d->op.node->dedupe.within_ms, &end) && d->op.watermark > end;
}

static bool is_bucket_over(const struct dedupe *d, int64_t start)
{
    return is_over(d, start + d->bucket_ms - 1);
}

static int dedupe_open(struct operator *o, struct err *e)
{
    static const char *const names[] = {"id"};
    struct dedupe *d = (struct dedupe *)o;
    struct states *states = run_states(o->run);
    struct state_spec spec = {
        .id = o->node->id, .table = -1, .windowed = true, .key_names = names, .n_key = 1};
    int64_t within = o->node->dedupe.within_ms;

    d->bucket_ms = within > BUCKET_MIN_MS ? within : BUCKET_MIN_MS;
    hashmap_init(&d->ids, 0);
    arena_init(&d->arena);
    return states->ops->open(states, &spec, &d->state, e);
}

// --- what is in memory ---

static void forget_ids(struct dedupe *d)
{
    struct bytes key;
    void *v;

    for (size_t i = 0; hashmap_next(&d->ids, &i, &key, &v);) {
        struct seen *s = v;

        heap_free((void *)(uintptr_t)s->part.s.p);
        heap_free(s);
    }
    hashmap_deinit(&d->ids);
    hashmap_init(&d->ids, 0);
    d->n_dirty = d->bytes = 0;
}

static void bucket_add(struct dedupe *d, int64_t start)
{
    size_t i = d->n_buckets;

    while (i > 0 && d->buckets[i - 1] > start)
        i--;
    if (i > 0 && d->buckets[i - 1] == start)
        return;
    if (d->n_buckets == d->cap_buckets) {
        d->cap_buckets = d->cap_buckets ? d->cap_buckets * 2 : 8;
        d->buckets = heap_realloc(d->buckets, d->cap_buckets * sizeof(*d->buckets));
    }
    memmove(d->buckets + i + 1, d->buckets + i, (d->n_buckets - i) * sizeof(*d->buckets));
    d->buckets[i] = start;
    d->n_buckets++;
}

// One look for each bucket there is: the rows are ordered by it.
static int read_buckets(struct dedupe *d, struct err *e)
{
    const struct states_ops *ops = run_states(d->op.run)->ops;
    int64_t from = INT64_MIN, found;
    int rc;

    d->n_buckets = 0;
    while ((rc = ops->first(d->state, from, INT64_MAX, &found, e)) == 1) {
        bucket_add(d, found);
        from = found + 1;
    }
    d->known = rc == 0;
    return rc;
}

// --- a record ---

static int encode_id(struct dedupe *d, struct event *ev, struct value *part, struct err *e)
{
    const struct plan_node *n = d->op.node;
    struct value *parts =
        arena_alloc(run_arena(d->op.run), (size_t)n->dedupe.n * sizeof(*parts));
    int rc = 0;

    for (int i = 0; i < n->dedupe.n && rc == 0; i++) {
        rc = operator_eval(&d->op, &n->dedupe.by[i].expr, ev, &parts[i], e);
        if (rc == 0 && value_is_nil(&parts[i]))
            rc = err_set(e, LEAT_EKEY, "the id to dedupe by is nil");
    }
    buf_clear(&d->id);
    if (rc == 0)
        rc = group_key_encode(&d->id, parts, n->dedupe.n, e);
    if (n->dedupe.n == 1 && rc == 0 && parts[0].type == VALUE_TEXT)
        *part = parts[0];
    else
        *part = (struct value){.type = VALUE_BYTES, .s = buf_bytes(&d->id)};
    return rc;
}

static int find_row(struct dedupe *d, struct seen *s, struct err *e)
{
    const struct states_ops *ops = run_states(d->op.run)->ops;
    struct bytes blob;
    int rc = 0;

    arena_reset(&d->arena);
    for (size_t i = d->n_buckets; i-- > 0 && rc == 0;) {
        struct state_key k = {.window = d->buckets[i], .parts = &s->part};

        rc = is_bucket_over(d, k.window) ? 0 : ops->get(d->state, &k, &d->arena, &blob, e);
    }
    if (rc <= 0)
        return rc;
    if (unpack_i64(&blob, &s->stored_time) < 0)
        return err_set(e, LEAT_ECORRUPT, "a state row of %s cannot be read", d->op.node->id);
    s->stored = true;
    s->now = (struct seen_now){.time = s->stored_time, .there = true};
    return 0;
}

static size_t id_bytes(struct bytes id, const struct seen *s)
{
    return sizeof(*s) + 2 * sizeof(struct hashmap_slot) + id.n + s->part.s.n + 3 * 16;
}

static int find(struct dedupe *d, const struct value *part, struct seen **out, struct err *e)
{
    struct bytes id = buf_bytes(&d->id);
    struct seen *s = hashmap_get(&d->ids, id);
    uint8_t *copy;
    int rc;

    *out = s;
    if (s != NULL) {
        s->recent = true;
        return 0;
    }
    copy = heap_alloc(part->s.n + 1);
    memcpy(copy, part->s.p, part->s.n);
    s = heap_zalloc(sizeof(*s));
    s->part = *part;
    s->part.s = bytes_of(copy, part->s.n);
    rc = find_row(d, s, e);
    if (rc < 0) {
        heap_free(copy);
        heap_free(s);
        return rc;
    }
    s->recent = true;
    d->bytes += id_bytes(id, s);
    (void)hashmap_put(&d->ids, id, s);
    *out = s;
    return 0;
}

static void remember(struct dedupe *d, struct seen *s, int64_t time)
{
    run_undo_bytes(d->op.run, &s->now, sizeof(s->now));
    s->now = (struct seen_now){.time = time, .there = true};
    if (s->listed)
        return;
    s->listed = true;
    if (d->n_dirty == d->cap_dirty) {
        d->cap_dirty = d->cap_dirty ? d->cap_dirty * 2 : 64;
        d->dirty = heap_realloc(d->dirty, d->cap_dirty * sizeof(struct seen *));
    }
    d->dirty[d->n_dirty++] = s;
}

static int dedupe_process(struct operator *o, struct event *ev, int input, struct err *e)
{
    struct dedupe *d = (struct dedupe *)o;
    struct value part;
    struct seen *s;
    int rc = d->known ? 0 : read_buckets(d, e);

    (void)input;
    if (rc == 0)
        rc = encode_id(d, ev, &part, e);
    if (rc == 0)
        rc = find(d, &part, &s, e);
    if (rc != 0)
        return rc;
    if (s->now.there && !is_over(d, s->now.time))
        return 0;
    remember(d, s, ev->time);
    return operator_emit(o, OUT_MAIN, ev, e);
}

// Nothing is ever due; but who has no watermark() is not told how far it is.
static int64_t dedupe_due(struct operator *o)
{
    (void)o;
    return INT64_MAX;
}

static int dedupe_watermark(struct operator *o, int64_t w, struct err *e)
{
    (void)o, (void)w, (void)e;
    return 0;
}

// --- end of step ---

static int in_row_order(const void *a, const void *b)
{
    const struct seen *x = *(struct seen *const *)a, *y = *(struct seen *const *)b;

    if (x->stored_time != y->stored_time) // by now the bucket
        return x->stored_time < y->stored_time ? -1 : 1;
    if (x->part.type != y->part.type)
        return x->part.type == VALUE_TEXT ? -1 : 1;
    return bytes_cmp(x->part.s, y->part.s);
}

static int del(struct dedupe *d, int64_t bucket, const struct value *part, struct err *e)
{
    struct state_key k = {.window = bucket, .parts = part};

    return run_states(d->op.run)->ops->del(d->state, &k, e);
}

// Drops what a failed record left as it was, and the rows of ids that came again; then
// stored_time is the bucket of the new row, to sort by.
static int prepare_dirty(struct dedupe *d, struct err *e)
{
    size_t kept = 0;
    int rc = 0;

    for (size_t i = 0; i < d->n_dirty && rc == 0; i++) {
        struct seen *s = d->dirty[i];

        s->listed = false;
        if (!s->now.there || (s->stored && s->stored_time == s->now.time))
            continue;
        if (s->stored)
            rc = del(d, bucket_of(d, s->stored_time), &s->part, e);
        s->stored_time = bucket_of(d, s->now.time);
        d->dirty[kept++] = s;
    }
    d->n_dirty = kept;
    return rc;
}

static int put_dirty(struct dedupe *d, struct err *e)
{
    const struct states_ops *ops = run_states(d->op.run)->ops;
    int rc = prepare_dirty(d, e);

    if (d->n_dirty > 1)
        qsort(d->dirty, d->n_dirty, sizeof(struct seen *), in_row_order);
    for (size_t i = 0; i < d->n_dirty && rc == 0; i++) {
        struct seen *s = d->dirty[i];
        struct state_key k = {.window = s->stored_time, .parts = &s->part, .fresh = !s->stored};

        buf_clear(&d->id);
        pack_i64(&d->id, s->now.time);
        rc = ops->put(d->state, &k, NULL, buf_bytes(&d->id), e);
        bucket_add(d, k.window);
        s->stored = true;
        s->stored_time = s->now.time;
    }
    d->n_dirty = 0;
    return rc;
}

struct slice {
    struct dedupe *d;
    struct value parts[SLICE_ROWS];
    int n;
};

static int slice_row(void *arg, const struct state_key *k, struct bytes blob)
{
    struct slice *s = arg;

    (void)blob;
    s->parts[s->n++] = value_copy(&k->parts[0], &s->d->arena);
    return s->n == SLICE_ROWS;
}

// Of the first bucket, if it is over. Ids of it that are in memory are over too.
static int delete_slice(struct dedupe *d, struct err *e)
{
    const struct states_ops *ops = run_states(d->op.run)->ops;
    struct slice s = {.d = d};
    int64_t start;
    int rc;

    if (d->n_buckets == 0 || !is_bucket_over(d, d->buckets[0]))
        return 0;
    start = d->buckets[0];
    arena_reset(&d->arena);
    rc = ops->scan(d->state, start, start + 1, slice_row, &s, e);
    if (rc < 0)
        return rc;
    if (rc == 0)
        memmove(d->buckets, d->buckets + 1, --d->n_buckets * sizeof(*d->buckets));
    rc = 0;
    for (int i = 0; i < s.n && rc == 0; i++)
        rc = del(d, start, &s.parts[i], e);
    if (rc == 0 && s.n > 0)
        forget_ids(d); // their rows are gone
    return rc;
}

static int dedupe_flush(struct operator *o, struct err *e)
{
    struct dedupe *d = (struct dedupe *)o;
    int rc = d->known ? put_dirty(d, e) : 0;

    return rc < 0 || !d->known ? rc : delete_slice(d, e);
}

static size_t dedupe_held(struct operator *o)
{
    return ((struct dedupe *)o)->bytes;
}

// A clock's hand over the slots of the map. What it removes moves others to where the hand stands.
static void dedupe_shrink(struct operator *o, size_t bytes)
{
    struct dedupe *d = (struct dedupe *)o;

    ASSERT(d->n_dirty == 0);
    for (size_t left = 2 * d->ids.cap; left > 0 && d->bytes > bytes; left--) {
        struct hashmap_slot *slot = &d->ids.slots[d->hand & (d->ids.cap - 1)];
        struct seen *s = slot->value;

        if (s != NULL && !s->recent) {
            d->bytes -= id_bytes(slot->key, s);
            (void)hashmap_remove(&d->ids, slot->key);
            heap_free((void *)(uintptr_t)s->part.s.p);
            heap_free(s);
            continue;
        }
        if (s != NULL)
            s->recent = false;
        d->hand++;
    }
}

static void dedupe_aborted(struct operator *o)
{
    struct dedupe *d = (struct dedupe *)o;

    forget_ids(d);
    d->known = false;
}

static void dedupe_close(struct operator *o)
{
    struct dedupe *d = (struct dedupe *)o;

    forget_ids(d);
    hashmap_deinit(&d->ids);
    heap_free(d->buckets);
    heap_free(d->dirty);
    buf_deinit(&d->id);
    arena_deinit(&d->arena);
}

const struct operator_type operator_dedupe = {
    .kind = NODE_DEDUPE,
    .size = sizeof(struct dedupe),
    .open = dedupe_open,
    .process = dedupe_process,
    .watermark = dedupe_watermark,
    .due = dedupe_due,
    .flush = dedupe_flush,
    .aborted = dedupe_aborted,
    .held = dedupe_held,
    .shrink = dedupe_shrink,
    .close = dedupe_close,
};
