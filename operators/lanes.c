// SPDX-License-Identifier: Apache-2.0
//
// Records by key and time, as rows (window, key..., side, number) -> time, flags, values, and in
// memory.
//
//   by key    a key in memory has a lane per side: its records by time. Of older ones than the
//             lane's `from` there may be more in rows; they are read when a record looks back that
//             far, through an index by (key, side, window), which within a side is the order of
//             time
//   by time   a heap of the records of kept sides that have to come out. It need not have all: rows
//             behind the horizon are read, in their order, when the watermark comes near
//   flush     dirty records are written in row order; some of the rows that are dead are deleted,
//             more than were written. That cannot be seen, since the dead are passed over wherever
//             they stand
//   commit    keys may be evicted, least recently used first. Of a job that began with nothing and
//             has evicted nothing, nothing is read
//   abort     everything is forgotten
//
// Records of one window, a millisecond, are read together.
#include "operators/lanes.h"

#include <stdlib.h>

#include "operators/groupkey.h"
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

enum row_flag { ROW_DONE = 1, ROW_OWN_KEY = 2 };

static int64_t plus(int64_t a, int64_t b)
{
    int64_t v;

    return __builtin_add_overflow(a, b, &v) ? (b > 0 ? INT64_MAX : INT64_MIN) : v;
}

int64_t lanes_window(const struct lanes *b, int side, int64_t t)
{
    return plus(t, b->spec.ahead[side]);
}

// Windows before it are dead.
static int64_t alive_from(const struct lanes *b)
{
    return plus(b->op->watermark, -b->spec.dead_ms);
}

bool lanes_dead(const struct lanes *b, int64_t window)
{
    return window < alive_from(b);
}

// --- the heap ---

static int record_cmp(const struct lane_record *a, const struct lane_record *b)
{
    int c;

    if (a->window != b->window)
        return a->window < b->window ? -1 : 1;
    c = a->key == b->key ? 0 : bytes_cmp(a->key->k.key, b->key->k.key);
    if (c != 0)
        return c;
    if (a->side != b->side)
        return a->side < b->side ? -1 : 1;
    return a->seq < b->seq ? -1 : a->seq > b->seq;
}

static void heap_put(struct lanes *b, size_t i, struct lane_record *x)
{
    b->heap[i] = x;
    x->heap_at = i;
}

static void heap_up(struct lanes *b, size_t i)
{
    struct lane_record *x = b->heap[i];

    for (; i > 0 && record_cmp(x, b->heap[(i - 1) / 2]) < 0; i = (i - 1) / 2)
        heap_put(b, i, b->heap[(i - 1) / 2]);
    heap_put(b, i, x);
}

static void heap_down(struct lanes *b, size_t i)
{
    struct lane_record *x = b->heap[i];

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

static void heap_add(struct lanes *b, struct lane_record *x)
{
    if (x->heap_at != HEAP_NOT || !b->spec.kept[x->side])
        return;
    if (b->n_heap == b->cap_heap) {
        b->cap_heap = b->cap_heap ? b->cap_heap * 2 : 64;
        b->heap = heap_realloc(b->heap, b->cap_heap * sizeof(struct lane_record *));
    }
    heap_put(b, b->n_heap++, x);
    heap_up(b, x->heap_at);
}

static void heap_remove(struct lanes *b, struct lane_record *x)
{
    size_t i = x->heap_at;
    struct lane_record *last;

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

static size_t key_bytes(const struct lane_key *k)
{
    return keyblock_bytes(sizeof(*k), &k->k) + k->k.key.n + 2 * sizeof(struct hashmap_slot);
}

static size_t record_bytes(const struct lane_record *x)
{
    return sizeof(*x) + x->packed.n + 2 * sizeof(struct lane_record *) + 16;
}

static void record_free(struct lanes *b, struct lane_record *x)
{
    heap_remove(b, x);
    b->bytes -= record_bytes(x) + (size_t)b->spec.n_values * sizeof(struct value);
    heap_free(x);
}

static void key_free(struct lanes *b, struct lane_key *k)
{
    for (int side = 0; side < SIDES; side++) {
        for (size_t i = 0; i < k->lanes[side].n; i++)
            record_free(b, k->lanes[side].list[i]);
        heap_free(k->lanes[side].list);
    }
    b->bytes -= key_bytes(k);
    heap_free(k);
}

// Its parts in one form, whichever record brings it in; records whose key came in another form keep
// their own.
static struct lane_key *key_new(struct lanes *b, const struct value *parts)
{
    struct value plain[LANES_PARTS_MAX];
    struct lane_key *k;
    struct arena a;

    arena_init(&a);
    if (b->spec.plain)
        group_key_decode(buf_bytes(&b->scratch), plain, b->spec.n_key, &a);
    else
        group_key_plain(parts, b->spec.n_key, plain);
    k = keyblock_new(sizeof(*k), buf_bytes(&b->scratch), plain, b->spec.n_key);
    arena_deinit(&a);
    for (int side = 0; side < SIDES; side++)
        k->lanes[side].from = b->whole ? INT64_MIN : INT64_MAX;
    b->bytes += key_bytes(k);
    (void)hashmap_put(&b->keys, k->k.key, k);
    return k;
}

int lanes_find(struct lanes *b, const struct value *parts, struct lane_key **out, struct err *e)
{
    int rc = b->spec.encode(&b->scratch, parts, b->spec.n_key, e);

    if (rc < 0)
        return rc;
    *out = hashmap_get(&b->keys, buf_bytes(&b->scratch));
    if (*out == NULL)
        *out = key_new(b, parts);
    (*out)->recent = true;
    return 0;
}

size_t lane_index(const struct lane *l, int64_t time, int64_t seq)
{
    size_t lo = 0, hi = l->n;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        const struct lane_record *x = l->list[mid];

        if (x->time < time || (x->time == time && x->seq < seq))
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

int lanes_parts(const struct lanes *b, const struct lane_record *x, struct value *parts,
                struct bytes *rest)
{
    int rc = 0;

    *rest = x->packed;
    for (int i = 0; i < b->spec.n_key && rc == 0; i++) {
        parts[i] = x->key->k.array.items[i];
        if (x->own_key)
            rc = unpack_value(rest, &parts[i]);
    }
    return rc;
}

// Of one that is done the last value is missing.
static int unpack_values(const struct lanes *b, struct lane_record *x)
{
    struct value parts[LANES_PARTS_MAX];
    struct bytes rest;
    int n = b->spec.n_values, rc;

    if (n == 0)
        return 0;
    rc = lanes_parts(b, x, parts, &rest);
    for (int i = 0; i < n && rc == 0; i++) {
        if (i == n - 1)
            x->spent_n = x->packed.n - rest.n;
        if (i == n - 1 && rest.n == 0)
            x->values[i] = VALUE_OF_MISSING;
        else
            rc = unpack_value(&rest, &x->values[i]);
    }
    return rc == 0 && rest.n > 0 ? LEAT_ECORRUPT : rc;
}

static struct lane_record *record_new(const struct lanes *b, struct lane_key *k, int side,
                                      const struct lane_new *r)
{
    size_t values = (size_t)b->spec.n_values * sizeof(struct value);
    struct lane_record *x = heap_alloc(sizeof(*x) + values + r->packed.n + 1);
    uint8_t *packed = (uint8_t *)(x + 1) + values;

    *x = (struct lane_record){.key = k,
                              .side = side,
                              .time = r->time,
                              .window = lanes_window(b, side, r->time),
                              .seq = r->seq,
                              .heap_at = HEAP_NOT,
                              .flags = {.done = r->done},
                              .own_key = r->own_key,
                              .values = (struct value *)(void *)(x + 1),
                              .packed = bytes_of(packed, r->packed.n),
                              .spent_n = r->packed.n};
    if (r->packed.n > 0)
        memcpy(packed, r->packed.p, r->packed.n);
    return x;
}

// A record that was not in memory, into its lane only.
static struct lane_record *lane_add(struct lanes *b, struct lane_key *k, int side,
                                    const struct lane_new *r)
{
    struct lane *l = &k->lanes[side];
    struct lane_record *x = record_new(b, k, side, r);
    size_t i = lane_index(l, r->time, r->seq);

    if (unpack_values(b, x) < 0) {
        heap_free(x);
        return NULL;
    }
    if (l->n == l->cap) {
        l->cap = l->cap ? l->cap * 2 : 4;
        l->list = heap_realloc(l->list, l->cap * sizeof(struct lane_record *));
    }
    memmove(l->list + i + 1, l->list + i, (l->n - i) * sizeof(struct lane_record *));
    l->list[i] = x;
    l->n++;
    b->bytes += record_bytes(x) + (size_t)b->spec.n_values * sizeof(struct value);
    return x;
}

struct lane_record *lanes_add(struct lanes *b, struct lane_key *k, int side,
                              const struct lane_new *r)
{
    struct lane_record *x = lane_add(b, k, side, r);

    if (x != NULL && !r->done)
        heap_add(b, x);
    return x;
}

static void unlist(struct lanes *b, struct lane_record *x)
{
    if (!x->listed)
        return;
    b->dirty[x->dirty_at] = b->dirty[--b->n_dirty];
    b->dirty[x->dirty_at]->dirty_at = x->dirty_at;
    x->listed = false;
}

void lanes_drop(struct lanes *b, struct lane_record *x)
{
    struct lane *l = &x->key->lanes[x->side];
    size_t i = lane_index(l, x->time, x->seq);

    ASSERT(l->list[i] == x);
    l->n--;
    memmove(l->list + i, l->list + i + 1, (l->n - i) * sizeof(struct lane_record *));
    unlist(b, x);
    record_free(b, x);
}

void lanes_list(struct lanes *b, struct lane_record *x)
{
    x->flags.dirty = true;
    if (x->listed)
        return;
    if (b->n_dirty == b->cap_dirty) {
        b->cap_dirty = b->cap_dirty ? b->cap_dirty * 2 : 64;
        b->dirty = heap_realloc(b->dirty, b->cap_dirty * sizeof(struct lane_record *));
    }
    x->dirty_at = b->n_dirty;
    b->dirty[b->n_dirty++] = x;
    x->listed = true;
}

void lanes_trim(struct lanes *b, struct lane_key *k)
{
    for (int side = 0; side < SIDES; side++) {
        struct lane *l = &k->lanes[side];
        size_t n = 0;

        while (n < l->n && lanes_dead(b, l->list[n]->window) && !l->list[n]->listed &&
               l->list[n]->heap_at == HEAP_NOT)
            record_free(b, l->list[n++]);
        l->n -= n;
        if (n > 0)
            memmove(l->list, l->list + n, l->n * sizeof(struct lane_record *));
    }
}

// --- reading rows ---

struct loading {
    struct lanes *b;
    struct lane_key *key; // NULL: of whoever's it is, into the heap
    int n;
    size_t bytes;
    int64_t last; // window of the last row
    bool more;
    struct err *err;
};

static int row_damaged(struct err *e)
{
    return err_set(e, LEAT_ECORRUPT, "a waiting record was not written by leat");
}

static struct lane_record *record_of(const struct lane *l, const struct lane_new *r)
{
    size_t i = lane_index(l, r->time, r->seq);
    bool is = i < l->n && l->list[i]->time == r->time && l->list[i]->seq == r->seq;

    return is ? l->list[i] : NULL;
}

static int load_record(struct loading *l, const struct state_key *row, struct bytes blob)
{
    struct lanes *b = l->b;
    const struct value *tail = row->parts + b->spec.n_key;
    int side = (int)tail[0].i;
    struct lane_key *k = l->key;
    struct lane_new r = {.seq = tail[1].i};
    struct lane_record *x;
    uint8_t flags;
    int rc = unpack_int(&blob, &r.time);

    rc = rc < 0 ? rc : unpack_u8(&blob, &flags);
    if (rc < 0)
        return row_damaged(l->err);
    r.own_key = (flags & ROW_OWN_KEY) != 0;
    r.done = (flags & ROW_DONE) != 0;
    r.packed = blob;
    if (k == NULL && (!b->spec.kept[side] || r.done))
        return 0;
    if (k == NULL)
        rc = lanes_find(b, row->parts, &k, l->err);
    if (rc < 0)
        return rc;
    x = record_of(&k->lanes[side], &r);
    if (x == NULL) {
        x = lane_add(b, k, side, &r);
        if (x == NULL)
            return row_damaged(l->err);
        x->flags.stored = true;
    }
    if (l->key == NULL)
        heap_add(b, x);
    return 0;
}

static int load_row(void *arg, const struct state_key *row, struct bytes blob)
{
    struct loading *l = arg;
    const struct value *tail = row->parts + l->b->spec.n_key;

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

int lanes_cover(struct lanes *b, struct lane_key *k, int side, int64_t time,
                    struct err *e)
{
    struct lane *l = &k->lanes[side];
    struct loading load = {.b = b, .key = k, .err = e};
    struct value prefix[LANES_PARTS_MAX + 1];
    int64_t from = lanes_window(b, side, time), to = lanes_window(b, side, l->from);
    int rc;

    if (time >= l->from)
        return 0;
    from = from < alive_from(b) ? alive_from(b) : from;
    memcpy(prefix, k->k.array.items, (size_t)b->spec.n_key * sizeof(*prefix));
    prefix[b->spec.n_key] = value_int(side);
    rc = from < to ? run_states(b->op->run)
                         ->ops->scan_key(b->state, prefix, from, to, load_row, &load, e)
                   : 0;
    if (rc >= 0)
        l->from = time;
    return rc < 0 ? rc : 0;
}

// --- by time ---

int lanes_know(struct lanes *b, struct err *e)
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
                 ->ops->first(b->state, alive_from(b), INT64_MAX, &first, e);
    if (rc < 0)
        return rc;
    b->whole = rc == 0;
    b->horizon = b->whole ? INT64_MAX : plus(plus(b->op->watermark, -b->spec.out_ms), -1);
    b->beyond = b->whole ? INT64_MAX : INT64_MIN;
    b->known = true;
    return 0;
}

static int know_beyond(struct lanes *b, struct err *e)
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

// The first window of what has to come out, or earlier.
static int first_window(struct lanes *b, int64_t *at, struct err *e)
{
    int rc = lanes_know(b, e);

    *at = INT64_MAX;
    if (rc < 0 || (!b->spec.kept[SIDE_LEFT] && !b->spec.kept[SIDE_RIGHT]))
        return rc;
    rc = know_beyond(b, e);
    *at = b->n_heap > 0 && b->heap[0]->window < b->beyond ? b->heap[0]->window : b->beyond;
    return rc;
}

int lanes_due(struct lanes *b, int64_t *at, struct err *e)
{
    int rc = first_window(b, at, e);

    *at = *at == INT64_MAX ? *at : plus(plus(*at, b->spec.out_ms), 1);
    return rc;
}

// The first rows behind the horizon.
static int load_next(struct lanes *b, struct err *e)
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

int lanes_next(struct lanes *b, int64_t w, struct lane_record **out, struct err *e)
{
    int64_t first, before = plus(w, -b->spec.out_ms);
    int rc = 0;

    while (rc == 0) {
        struct lane_record *x = b->n_heap > 0 ? b->heap[0] : NULL;

        rc = first_window(b, &first, e);
        if (rc < 0 || first >= before)
            return rc;
        if (x != NULL && x->window <= b->horizon) {
            heap_remove(b, x);
            *out = x;
            return 1;
        }
        if (x != NULL && x->window < b->beyond) {
            b->horizon = x->window; // no rows up to there
            continue;
        }
        rc = load_next(b, e);
    }
    return rc;
}

// --- writing ---

struct row_key {
    struct state_key key;
    struct value parts[LANES_PARTS_MAX + 2]; // key..., side, number
};

static void row_key(const struct lanes *b, const struct lane_record *x, struct row_key *out)
{
    size_t n = (size_t)b->spec.n_key;

    memcpy(out->parts, x->key->k.array.items, n * sizeof(*out->parts));
    out->parts[n] = value_int(x->side);
    out->parts[n + 1] = value_int(x->seq);
    out->key = (struct state_key){.window = x->window,
                                  .window_end = x->window,
                                  .parts = out->parts,
                                  .fresh = !x->flags.stored};
}

static int write_row(struct lanes *b, struct lane_record *x, struct err *e)
{
    struct row_key k;

    row_key(b, x, &k);
    buf_clear(&b->scratch);
    pack_int(&b->scratch, x->time);
    pack_u8(&b->scratch,
            (uint8_t)((x->flags.done ? ROW_DONE : 0) | (x->own_key ? ROW_OWN_KEY : 0)));
    buf_append(&b->scratch, x->packed.p, x->flags.done ? x->spent_n : x->packed.n);
    b->written++;
    return run_states(b->op->run)->ops->put(b->state, &k.key, NULL, buf_bytes(&b->scratch), e);
}

static int by_row(const void *a, const void *b)
{
    return record_cmp(*(struct lane_record *const *)a, *(struct lane_record *const *)b);
}

static int write_dirty(struct lanes *b, struct err *e)
{
    int rc = 0;

    if (b->n_dirty > 1)
        qsort(b->dirty, b->n_dirty, sizeof(struct lane_record *), by_row);
    for (size_t i = 0; i < b->n_dirty; i++)
        b->dirty[i]->dirty_at = i;
    for (size_t i = 0; i < b->n_dirty && rc == 0; i++) {
        struct lane_record *x = b->dirty[i];

        // The dead need no row any more; one that they have goes by itself.
        if (!x->flags.dirty || lanes_dead(b, x->window))
            continue;
        run_undo_bytes(b->op->run, &x->flags, sizeof(x->flags));
        rc = write_row(b, x, e);
        x->flags.dirty = false;
        x->flags.stored = true;
        b->beyond = x->window > b->horizon && x->window < b->beyond ? x->window : b->beyond;
    }
    return rc;
}

// At least twice as many as were written, so that they cannot pile up.
static int purge(struct lanes *b, struct err *e)
{
    size_t most = 2 * b->written > PURGE_ROWS_MIN ? 2 * b->written : PURGE_ROWS_MIN;
    int rc;

    b->written = 0;
    if (alive_from(b) <= b->purged_to)
        return 0;
    rc = run_states(b->op->run)->ops->purge(b->state, alive_from(b), (int)most, e);
    if (rc == 0)
        b->purged_to = alive_from(b);
    return rc < 0 ? rc : 0;
}

int lanes_flush(struct lanes *b, struct err *e)
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
static void heap_trim(struct lanes *b)
{
    size_t n = 0;

    if (b->horizon == INT64_MAX)
        return;
    for (size_t i = 0; i < b->n_heap; i++) {
        struct lane_record *x = b->heap[i];

        x->heap_at = HEAP_NOT;
        if (x->window <= b->horizon)
            heap_put(b, n++, x);
    }
    b->n_heap = n;
    for (size_t i = n / 2; i-- > 0;)
        heap_down(b, i);
}

void lanes_committed(struct lanes *b)
{
    for (size_t i = 0; i < b->n_dirty; i++)
        b->dirty[i]->listed = false;
    b->n_dirty = 0;
    heap_trim(b);
}

static void clear(struct lanes *b)
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

void lanes_aborted(struct lanes *b)
{
    clear(b);
}

// What it takes out of the heap is behind the horizon from then on.
static void evict(struct lanes *b, struct lane_key *k)
{
    for (int side = 0; side < SIDES; side++)
        for (size_t i = 0; i < k->lanes[side].n; i++) {
            const struct lane_record *x = k->lanes[side].list[i];

            if (!lanes_dead(b, x->window))
                b->whole = false;
            if (x->heap_at != HEAP_NOT && x->window <= b->horizon) {
                b->horizon = x->window - 1;
                b->beyond = INT64_MIN;
            }
        }
    (void)hashmap_remove(&b->keys, k->k.key);
    key_free(b, k);
}

// A clock's hand over the slots of the map. What it removes moves others to where the hand stands.
void lanes_shrink(struct lanes *b, size_t bytes)
{
    ASSERT(b->n_dirty == 0);
    for (size_t left = 2 * b->keys.cap; left > 0 && b->bytes > bytes; left--) {
        struct lane_key *k = b->keys.slots[b->hand & (b->keys.cap - 1)].value;

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

int lanes_open(struct lanes *b, struct operator *o, const struct lanes_spec *spec, struct err *e)
{
    struct states *s = run_states(o->run);
    const char *names[LANES_PARTS_MAX + 2];
    struct state_spec rows = {.id = o->node->id,
                              .table = -1,
                              .windowed = true,
                              .key_names = names,
                              .n_key = spec->n_key + 2,
                              .n_prefix = spec->n_key + 1};

    b->op = o;
    b->spec = *spec;
    b->purged_to = INT64_MIN;
    b->number = heap_printf("arrival:%s", o->node->id);
    hashmap_init(&b->keys, 0);
    if (spec->n_key > LANES_PARTS_MAX)
        return err_set(e, LEAT_EINVAL, "a key has at most %d parts", LANES_PARTS_MAX);
    for (int i = 0; i < spec->n_key; i++)
        names[i] = spec->key_names[i];
    names[spec->n_key] = "_side";
    names[spec->n_key + 1] = "_number";
    return s->ops->open(s, &rows, &b->state, e);
}

void lanes_close(struct lanes *b)
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
