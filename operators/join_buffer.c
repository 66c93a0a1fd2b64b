// SPDX-License-Identifier: Apache-2.0
//
// Records that wait, as rows (expiry, key..., side, number) -> time, flags, value, and in memory.
//
//   by key    a key in memory has a lane per side: its records by time. Of older ones than the
//             lane's `from` there may be more in rows; they are read when a record looks back that
//             far, through an index by (key, side, expiry), which within a side is the order of
//             time
//   by time   a heap of the records of kept sides. It need not have all: rows that expire behind
//             the horizon are read, in their order, when the watermark comes near
//   flush     dirty records are written in row order; some of the rows that have expired are
//             deleted: more than were written. That cannot be seen, since what has expired is
//             passed over wherever it stands
//   commit    keys may be evicted, least recently used first. Of a job that began with nothing and
//             has evicted nothing, nothing is read
//   abort     everything is forgotten
//
// Records that expire in the same millisecond are read together.
#include "operators/join_buffer.h"

#include <stdlib.h>

#include "operators/keyed.h"
#include "operators/pack.h"
#include "runtime/base/heap.h"

#define LOAD_BYTES (1024 * 1024)
#if LEAT_TESTING
#define LOAD_ROWS 3
#define PURGE_ROWS_MIN 3
#else
#define LOAD_ROWS 512
#define PURGE_ROWS_MIN 1000
#endif
#define HEAP_NOT SIZE_MAX

enum row_flag { ROW_MATCHED = 1, ROW_OWN_KEY = 2 };

static int64_t plus(int64_t a, int64_t b)
{
    int64_t v;

    return __builtin_add_overflow(a, b, &v) ? (b > 0 ? INT64_MAX : INT64_MIN) : v;
}

int64_t join_expiry(const struct join_buffer *b, int side, int64_t t)
{
    const struct plan_join *x = &b->op->node->join;
    int64_t ahead = side == SIDE_LEFT ? x->hi_ms : -x->lo_ms;

    return plus(plus(t, ahead > 0 ? ahead : 0), x->grace_ms);
}

// --- the heap ---

static int record_cmp(const struct join_record *a, const struct join_record *b)
{
    int c;

    if (a->expires != b->expires)
        return a->expires < b->expires ? -1 : 1;
    c = a->key == b->key ? 0 : bytes_cmp(a->key->k.key, b->key->k.key);
    if (c != 0)
        return c;
    if (a->side != b->side)
        return a->side < b->side ? -1 : 1;
    return a->seq < b->seq ? -1 : a->seq > b->seq;
}

static void heap_put(struct join_buffer *b, size_t i, struct join_record *x)
{
    b->heap[i] = x;
    x->heap_at = i;
}

static void heap_up(struct join_buffer *b, size_t i)
{
    struct join_record *x = b->heap[i];

    for (; i > 0 && record_cmp(x, b->heap[(i - 1) / 2]) < 0; i = (i - 1) / 2)
        heap_put(b, i, b->heap[(i - 1) / 2]);
    heap_put(b, i, x);
}

static void heap_down(struct join_buffer *b, size_t i)
{
    struct join_record *x = b->heap[i];

    for (;;) {
        size_t c = 2 * i + 1;
        if (c + 1 < b->n_heap && record_cmp(b->heap[c + 1], b->heap[c]) < 0)
            c++;
        if (c >= b->n_heap || record_cmp(b->heap[c], x) >= 0)
            break;
        heap_put(b, i, b->heap[c]);
        i = c;
    }
    heap_put(b, i, x);
}

static void heap_add(struct join_buffer *b, struct join_record *x)
{
    if (x->heap_at != HEAP_NOT || !b->kept[x->side])
        return;
    if (b->n_heap == b->cap_heap) {
        b->cap_heap = b->cap_heap ? b->cap_heap * 2 : 64;
        b->heap = heap_realloc(b->heap, b->cap_heap * sizeof(struct join_record *));
    }
    heap_put(b, b->n_heap++, x);
    heap_up(b, x->heap_at);
}

static void heap_remove(struct join_buffer *b, struct join_record *x)
{
    size_t i = x->heap_at;
    struct join_record *last;

    if (i == HEAP_NOT)
        return;
    x->heap_at = HEAP_NOT;
    last = b->heap[--b->n_heap];
    if (last == x)
        return;
    heap_put(b, i, last);
    heap_up(b, i);
    heap_down(b, last->heap_at);
}

// --- keys and their records ---

static size_t key_bytes(const struct join_key *k)
{
    return keyblock_bytes(sizeof(*k), &k->k) + k->k.key.n + 2 * sizeof(struct hashmap_slot);
}

static size_t record_bytes(const struct join_record *x)
{
    return sizeof(*x) + x->n + 2 * sizeof(struct join_record *) + 16;
}

static void record_free(struct join_buffer *b, struct join_record *x)
{
    heap_remove(b, x);
    b->bytes -= record_bytes(x);
    heap_free(x);
}

static void key_free(struct join_buffer *b, struct join_key *k)
{
    for (int side = 0; side < SIDES; side++) {
        for (size_t i = 0; i < k->lanes[side].n; i++)
            record_free(b, k->lanes[side].list[i]);
        heap_free(k->lanes[side].list);
    }
    b->bytes -= key_bytes(k);
    heap_free(k);
}

static struct join_key *key_new(struct join_buffer *b, const struct value *parts)
{
    struct join_key *k = keyblock_new(sizeof(*k), buf_bytes(&b->scratch), parts, b->n_key);

    for (int side = 0; side < SIDES; side++)
        k->lanes[side].from = b->whole ? INT64_MIN : INT64_MAX;
    b->bytes += key_bytes(k);
    (void)hashmap_put(&b->keys, k->k.key, k);
    return k;
}

int join_key_find(struct join_buffer *b, const struct value *parts, struct join_key **out,
                  struct err *e)
{
    int rc = keyed_encode(&b->scratch, parts, b->n_key, e);

    if (rc < 0)
        return rc;
    *out = hashmap_get(&b->keys, buf_bytes(&b->scratch));
    if (*out == NULL)
        *out = key_new(b, parts);
    (*out)->recent = true;
    return 0;
}

size_t join_lane_index(const struct join_lane *l, int64_t time, int64_t seq)
{
    size_t lo = 0, hi = l->n;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        const struct join_record *x = l->list[mid];

        if (x->time < time || (x->time == time && x->seq < seq))
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

// A record that was not in memory, into its lane only.
static struct join_record *lane_add(struct join_buffer *b, struct join_key *k, int side,
                                    const struct join_new *r)
{
    struct join_lane *l = &k->lanes[side];
    struct join_record *x = heap_alloc(sizeof(*x) + r->value.n);
    size_t i = join_lane_index(l, r->time, r->seq);

    *x = (struct join_record){.key = k,
                              .side = side,
                              .time = r->time,
                              .expires = join_expiry(b, side, r->time),
                              .seq = r->seq,
                              .heap_at = HEAP_NOT,
                              .own_key = r->own_key,
                              .n = r->value.n};
    memcpy(x->value, r->value.p, r->value.n);
    if (l->n == l->cap) {
        l->cap = l->cap ? l->cap * 2 : 4;
        l->list = heap_realloc(l->list, l->cap * sizeof(struct join_record *));
    }
    memmove(l->list + i + 1, l->list + i, (l->n - i) * sizeof(struct join_record *));
    l->list[i] = x;
    l->n++;
    b->bytes += record_bytes(x);
    return x;
}

struct join_record *join_record_add(struct join_buffer *b, struct join_key *k, int side,
                                    const struct join_new *r)
{
    struct join_record *x = lane_add(b, k, side, r);

    heap_add(b, x);
    return x;
}

static void unlist(struct join_buffer *b, struct join_record *x)
{
    if (!x->listed)
        return;
    b->dirty[x->dirty_at] = b->dirty[--b->n_dirty];
    b->dirty[x->dirty_at]->dirty_at = x->dirty_at;
    x->listed = false;
}

void join_record_drop(struct join_buffer *b, struct join_record *x)
{
    struct join_lane *l = &x->key->lanes[x->side];
    size_t i = join_lane_index(l, x->time, x->seq);

    ASSERT(l->list[i] == x);
    l->n--;
    memmove(l->list + i, l->list + i + 1, (l->n - i) * sizeof(struct join_record *));
    unlist(b, x);
    record_free(b, x);
}

void join_record_list(struct join_buffer *b, struct join_record *x)
{
    x->flags.dirty = true;
    if (x->listed)
        return;
    if (b->n_dirty == b->cap_dirty) {
        b->cap_dirty = b->cap_dirty ? b->cap_dirty * 2 : 64;
        b->dirty = heap_realloc(b->dirty, b->cap_dirty * sizeof(struct join_record *));
    }
    x->dirty_at = b->n_dirty;
    b->dirty[b->n_dirty++] = x;
    x->listed = true;
}

void join_key_trim(struct join_buffer *b, struct join_key *k)
{
    for (int side = 0; side < SIDES; side++) {
        struct join_lane *l = &k->lanes[side];
        size_t n = 0;

        while (n < l->n && l->list[n]->expires < b->op->watermark && !l->list[n]->listed &&
               l->list[n]->heap_at == HEAP_NOT)
            record_free(b, l->list[n++]);
        l->n -= n;
        if (n > 0)
            memmove(l->list, l->list + n, l->n * sizeof(struct join_record *));
    }
}

// --- reading rows ---

struct loading {
    struct join_buffer *b;
    struct join_key *key; // NULL: of whoever's it is, into the heap
    int n;
    size_t bytes;
    int64_t last; // expiry of the last row
    bool more;
    struct err *err;
};

static int row_damaged(struct err *e)
{
    return err_set(e, LEAT_ECORRUPT, "a waiting record was not written by leat");
}

static int load_record(struct loading *l, const struct state_key *row, struct bytes blob)
{
    struct join_buffer *b = l->b;
    const struct value *tail = row->parts + b->n_key;
    int side = (int)tail[0].i;
    struct join_key *k = l->key;
    struct join_new r = {.seq = tail[1].i};
    struct join_record *x;
    struct join_lane *lane;
    uint8_t flags;
    size_t i;
    int rc = unpack_int(&blob, &r.time);

    rc = rc < 0 ? rc : unpack_u8(&blob, &flags);
    if (rc < 0)
        return row_damaged(l->err);
    if (l->key == NULL && (!b->kept[side] || (flags & ROW_MATCHED)))
        return 0;
    if (k == NULL)
        rc = join_key_find(b, row->parts, &k, l->err);
    if (rc < 0)
        return rc;
    lane = &k->lanes[side];
    i = join_lane_index(lane, r.time, r.seq);
    if (i < lane->n && lane->list[i]->time == r.time && lane->list[i]->seq == r.seq) {
        x = lane->list[i];
    } else {
        r.own_key = (flags & ROW_OWN_KEY) != 0;
        r.value = blob;
        x = lane_add(b, k, side, &r);
        x->flags = (struct join_flags){.matched = (flags & ROW_MATCHED) != 0, .stored = true};
    }
    if (l->key == NULL)
        heap_add(b, x);
    return 0;
}

static int load_row(void *arg, const struct state_key *row, struct bytes blob)
{
    struct loading *l = arg;
    const struct value *tail = row->parts + l->b->n_key;

    if (tail[0].type != VALUE_INT || tail[0].i < 0 || tail[0].i >= SIDES ||
        tail[1].type != VALUE_INT)
        return row_damaged(l->err);
    if (l->key == NULL && (l->n >= LOAD_ROWS || l->bytes >= LOAD_BYTES) &&
        row->window != l->last) {
        l->more = true;
        return 1;
    }
    l->n++;
    l->bytes += blob.n;
    l->last = row->window;
    return load_record(l, row, blob);
}

int join_lane_cover(struct join_buffer *b, struct join_key *k, int side, int64_t time,
                    struct err *e)
{
    struct join_lane *l = &k->lanes[side];
    struct loading load = {.b = b, .key = k, .err = e};
    struct value prefix[JOIN_PARTS_MAX + 1];
    int64_t from = join_expiry(b, side, time), to = join_expiry(b, side, l->from);
    int rc;

    if (time >= l->from)
        return 0;
    from = from < b->op->watermark ? b->op->watermark : from;
    memcpy(prefix, k->k.array.items, (size_t)b->n_key * sizeof(*prefix));
    prefix[b->n_key] = value_int(side);
    rc = from < to ? run_states(b->op->run)
                         ->ops->scan_key(b->state, prefix, from, to, load_row, &load, e)
                   : 0;
    if (rc >= 0)
        l->from = time;
    return rc < 0 ? rc : 0;
}

// --- by time ---

int join_buffer_know(struct join_buffer *b, struct err *e)
{
    int64_t first;
    int rc;

    if (b->known)
        return 0;
    b->next_seq = 0;
    rc = run_number_get(b->op->run, b->number, &b->next_seq, e);
    b->stored_seq = b->next_seq;
    if (rc >= 0)
        rc = run_states(b->op->run)
                 ->ops->first(b->state, b->op->watermark, INT64_MAX, &first, e);
    if (rc < 0)
        return rc;
    b->whole = rc == 0;
    b->horizon = b->whole ? INT64_MAX : plus(b->op->watermark, -1);
    b->beyond = b->whole ? INT64_MAX : first;
    b->known = true;
    return 0;
}

static int know_beyond(struct join_buffer *b, struct err *e)
{
    int64_t first = INT64_MAX;
    int rc;

    if (b->beyond != INT64_MIN)
        return 0;
    rc = b->horizon == INT64_MAX
             ? 0
             : run_states(b->op->run)
                   ->ops->first(b->state, b->horizon + 1, INT64_MAX, &first, e);
    b->beyond = first;
    return rc < 0 ? rc : 0;
}

int join_buffer_first(struct join_buffer *b, int64_t *at, struct err *e)
{
    int rc = join_buffer_know(b, e);

    *at = INT64_MAX;
    if (rc < 0 || (!b->kept[SIDE_LEFT] && !b->kept[SIDE_RIGHT]))
        return rc;
    rc = know_beyond(b, e);
    *at = b->n_heap > 0 && b->heap[0]->expires < b->beyond ? b->heap[0]->expires : b->beyond;
    return rc;
}

// The first rows behind the horizon.
static int load_next(struct join_buffer *b, struct err *e)
{
    struct loading l = {.b = b, .err = e};
    int rc = run_states(b->op->run)
                 ->ops->scan(b->state, b->horizon + 1, INT64_MAX, load_row, &l, e);

    if (rc < 0)
        return rc;
    b->horizon = l.more ? l.last : INT64_MAX;
    b->beyond = l.more ? INT64_MIN : INT64_MAX;
    return 0;
}

int join_buffer_next(struct join_buffer *b, int64_t w, struct join_record **out, struct err *e)
{
    int64_t first;
    int rc = 0;

    while (rc == 0) {
        struct join_record *x = b->n_heap > 0 ? b->heap[0] : NULL;

        rc = join_buffer_first(b, &first, e);
        if (rc < 0 || first >= w)
            return rc;
        if (x != NULL && x->expires <= b->horizon) {
            heap_remove(b, x);
            *out = x;
            return 1;
        }
        if (x != NULL && x->expires < b->beyond) {
            b->horizon = x->expires; // no rows up to there
            continue;
        }
        rc = load_next(b, e);
    }
    return rc;
}

// --- writing ---

struct row_key {
    struct state_key key;
    struct value parts[JOIN_PARTS_MAX + 2]; // key..., side, number
};

static void row_key(const struct join_buffer *b, const struct join_record *x, struct row_key *out)
{
    size_t n = (size_t)b->n_key;

    memcpy(out->parts, x->key->k.array.items, n * sizeof(*out->parts));
    out->parts[n] = value_int(x->side);
    out->parts[n + 1] = value_int(x->seq);
    out->key = (struct state_key){.window = x->expires,
                                  .window_end = x->expires,
                                  .parts = out->parts,
                                  .fresh = !x->flags.stored};
}

static int write_row(struct join_buffer *b, struct join_record *x, struct err *e)
{
    struct row_key k;

    row_key(b, x, &k);
    buf_clear(&b->scratch);
    pack_int(&b->scratch, x->time);
    pack_u8(&b->scratch, (uint8_t)((x->flags.matched ? ROW_MATCHED : 0) |
                                   (x->own_key ? ROW_OWN_KEY : 0)));
    buf_append(&b->scratch, x->value, x->n);
    b->written++;
    return run_states(b->op->run)->ops->put(b->state, &k.key, NULL, buf_bytes(&b->scratch), e);
}

static int by_row(const void *a, const void *b)
{
    return record_cmp(*(struct join_record *const *)a, *(struct join_record *const *)b);
}

static int write_dirty(struct join_buffer *b, struct err *e)
{
    int rc = 0;

    if (b->n_dirty > 1)
        qsort(b->dirty, b->n_dirty, sizeof(struct join_record *), by_row);
    for (size_t i = 0; i < b->n_dirty; i++)
        b->dirty[i]->dirty_at = i;
    for (size_t i = 0; i < b->n_dirty && rc == 0; i++) {
        struct join_record *x = b->dirty[i];

        // What has expired needs no row any more; one that it has goes by itself.
        if (!x->flags.dirty || x->expires < b->op->watermark)
            continue;
        run_undo_bytes(b->op->run, &x->flags, sizeof(x->flags));
        rc = write_row(b, x, e);
        x->flags.dirty = false;
        x->flags.stored = true;
        b->beyond = x->expires > b->horizon && x->expires < b->beyond ? x->expires : b->beyond;
    }
    return rc;
}

// At least twice as many as were written, so that they cannot pile up.
static int purge(struct join_buffer *b, struct err *e)
{
    size_t most = 2 * b->written > PURGE_ROWS_MIN ? 2 * b->written : PURGE_ROWS_MIN;
    int rc;

    b->written = 0;
    if (b->op->watermark <= b->purged_to)
        return 0;
    rc = run_states(b->op->run)->ops->purge(b->state, b->op->watermark, (int)most, e);
    if (rc == 0)
        b->purged_to = b->op->watermark;
    return rc < 0 ? rc : 0;
}

int join_buffer_flush(struct join_buffer *b, struct err *e)
{
    int rc = b->known ? write_dirty(b, e) : 0;

    if (rc == 0 && b->known && b->next_seq != b->stored_seq) {
        run_undo_bytes(b->op->run, &b->stored_seq, sizeof(b->stored_seq));
        rc = run_number_put(b->op->run, b->number, b->next_seq, e);
        b->stored_seq = b->next_seq;
    }
    return rc < 0 ? rc : purge(b, e);
}

// --- the end of a step ---

// Of those behind the horizon there are rows now.
static void heap_trim(struct join_buffer *b)
{
    size_t n = 0;

    if (b->horizon == INT64_MAX)
        return;
    for (size_t i = 0; i < b->n_heap; i++) {
        struct join_record *x = b->heap[i];

        x->heap_at = HEAP_NOT;
        if (x->expires <= b->horizon)
            heap_put(b, n++, x);
    }
    b->n_heap = n;
    for (size_t i = n / 2; i-- > 0;)
        heap_down(b, i);
}

void join_buffer_committed(struct join_buffer *b)
{
    for (size_t i = 0; i < b->n_dirty; i++)
        b->dirty[i]->listed = false;
    b->n_dirty = 0;
    heap_trim(b);
}

static void clear(struct join_buffer *b)
{
    struct bytes key;
    void *k;

    b->n_dirty = 0;
    for (size_t i = 0; hashmap_next(&b->keys, &i, &key, &k);)
        key_free(b, k);
    hashmap_deinit(&b->keys);
    hashmap_init(&b->keys, 0);
    ASSERT(b->n_heap == 0 && b->bytes == 0);
    b->written = 0;
    b->purged_to = INT64_MIN;
    b->known = false;
}

void join_buffer_aborted(struct join_buffer *b)
{
    clear(b);
}

// What it takes out of the heap is behind the horizon from then on.
static void evict(struct join_buffer *b, struct join_key *k)
{
    for (int side = 0; side < SIDES; side++)
        for (size_t i = 0; i < k->lanes[side].n; i++) {
            const struct join_record *x = k->lanes[side].list[i];

            if (x->expires >= b->op->watermark)
                b->whole = false;
            if (x->heap_at != HEAP_NOT && x->expires <= b->horizon) {
                b->horizon = x->expires - 1;
                b->beyond = INT64_MIN;
            }
        }
    (void)hashmap_remove(&b->keys, k->k.key);
    key_free(b, k);
}

// A clock's hand over the slots of the map. What it removes moves others to where the hand stands.
void join_buffer_shrink(struct join_buffer *b, size_t bytes)
{
    ASSERT(b->n_dirty == 0);
    for (size_t left = 2 * b->keys.cap; left > 0 && b->bytes > bytes; left--) {
        struct join_key *k = b->keys.slots[b->hand & (b->keys.cap - 1)].value;

        if (k != NULL && !k->recent) {
            evict(b, k);
            continue;
        }
        if (k != NULL)
            k->recent = false;
        b->hand++;
    }
    heap_trim(b);
}

// --- open and close ---

int join_buffer_open(struct join_buffer *b, struct operator *o, struct err *e)
{
    const struct plan_node *n = o->node;
    struct states *s = run_states(o->run);
    const char *names[JOIN_PARTS_MAX + 2] = {"key"};
    struct state_spec spec = {.id = n->id, .table = -1, .windowed = true, .key_names = names};

    b->op = o;
    b->purged_to = INT64_MIN;
    b->number = heap_printf("arrival:%s", n->id);
    hashmap_init(&b->keys, 0);
    b->n_key = n->n_key_names > 0 ? n->n_key_names : 1;
    b->kept[SIDE_LEFT] = n->join.kind != JOIN_INNER;
    b->kept[SIDE_RIGHT] = n->join.kind == JOIN_OUTER;
    if (b->n_key > JOIN_PARTS_MAX)
        return err_set(e, LEAT_EINVAL, "a key has at most %d parts", JOIN_PARTS_MAX);
    for (int i = 0; i < n->n_key_names; i++)
        names[i] = n->key_names[i];
    names[b->n_key] = "_side";
    names[b->n_key + 1] = "_number";
    spec.n_key = b->n_key + 2;
    spec.n_prefix = b->n_key + 1;
    return s->ops->open(s, &spec, &b->state, e);
}

void join_buffer_close(struct join_buffer *b)
{
    if (b->op == NULL)
        return;
    clear(b);
    hashmap_deinit(&b->keys);
    heap_free(b->heap);
    heap_free(b->dirty);
    heap_free(b->number);
    buf_deinit(&b->scratch);
}
