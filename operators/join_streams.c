// SPDX-License-Identifier: Apache-2.0
//
// join of two streams: records with equal keys whose times are right for each other, right time -
// left time in [lo, hi].
//
// A record meets those of the other side that are there, in the order of their times, and then
// waits for those that come until nothing that is on time can match it:
//
//   left   expires at time + max(hi, 0) + grace
//   right  expires at time + max(-lo, 0) + grace
//
// Once W has passed that, it goes, and if it belongs to a side that is kept (left of a left join,
// both of an outer one) and has met nobody it is emitted alone, with the moment of its expiry as
// event time: with its own it would be late for everything that follows. A record that has expired
// when it arrives is late.
//
// All of the waiting records are in memory, and in rows (expiry, key..., side, number) -> time,
// matched, value. They are read back when the job starts.
#include "operators/join.h"

#include <stdlib.h>

#include "operators/keyed.h"
#include "operators/pack.h"
#include "runtime/base/heap.h"

#define JOIN_BUFFER_BYTES_MAX ((size_t)1 << 30) // more: the job stops

enum { SIDE_LEFT, SIDE_RIGHT, SIDES };

struct join_key {
    struct bytes enc;
    struct value parts; // an array
    struct arena arena;
    struct join_record **records[SIDES]; // by time, then number
    size_t n[SIDES], cap[SIDES];
};

struct join_record {
    struct join_key *key;
    int side;
    int64_t time, expires, seq;
    size_t heap_at;
    struct join_flags {
        bool matched;
        bool dirty, stored;
    } flags;
    bool listed;
    size_t dirty_at; // while listed
    size_t n;
    uint8_t value[]; // packed
};

static int64_t plus(int64_t a, int64_t b)
{
    int64_t v;

    return __builtin_add_overflow(a, b, &v) ? (b > 0 ? INT64_MAX : INT64_MIN) : v;
}

static int64_t expiry(const struct join *j, int side, int64_t t)
{
    const struct plan_join *x = &j->op.node->join;
    int64_t ahead = side == SIDE_LEFT ? x->hi_ms : -x->lo_ms;

    return plus(plus(t, ahead > 0 ? ahead : 0), x->grace_ms);
}

static bool is_kept(const struct join *j, int side)
{
    enum join_kind kind = j->op.node->join.kind;

    return kind == JOIN_OUTER || (kind == JOIN_LEFT && side == SIDE_LEFT);
}

// --- the heap ---

static int record_cmp(const struct join_record *a, const struct join_record *b)
{
    int c;

    if (a->expires != b->expires)
        return a->expires < b->expires ? -1 : 1;
    c = a->key == b->key ? 0 : bytes_cmp(a->key->enc, b->key->enc);
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
    struct join_record *last = b->heap[--b->n_heap];

    if (last == x)
        return;
    heap_put(b, i, last);
    heap_up(b, i);
    heap_down(b, last->heap_at);
}

// --- keys and their records ---

static void key_free(struct join_key *k)
{
    for (int side = 0; side < SIDES; side++) {
        for (size_t i = 0; i < k->n[side]; i++)
            heap_free(k->records[side][i]);
        heap_free(k->records[side]);
    }
    arena_deinit(&k->arena);
    heap_free(k);
}

static int key_find(struct join_buffer *b, const struct value *parts, struct join_key **out,
                    struct err *e)
{
    struct value_array array = {.n = (size_t)b->n_key, .items = (struct value *)parts};
    struct value v = {.type = VALUE_ARRAY, .array = &array};
    struct join_key *k;
    int rc = keyed_encode(&b->scratch, parts, b->n_key, e);

    if (rc < 0)
        return rc;
    k = hashmap_get(&b->keys, buf_bytes(&b->scratch));
    if (k == NULL) {
        k = heap_zalloc(sizeof(*k));
        arena_init(&k->arena);
        k->enc = arena_copy(&k->arena, buf_bytes(&b->scratch));
        k->parts = value_copy(&v, &k->arena);
        (void)hashmap_put(&b->keys, k->enc, k);
    }
    *out = k;
    return 0;
}

static void key_drop_if_empty(struct join_buffer *b, struct join_key *k)
{
    if (k->n[SIDE_LEFT] + k->n[SIDE_RIGHT] > 0)
        return;
    (void)hashmap_remove(&b->keys, k->enc);
    key_free(k);
}

// The first one that is not before (time, seq).
static size_t record_index(const struct join_key *k, int side, int64_t time, int64_t seq)
{
    size_t lo = 0, hi = k->n[side];

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        const struct join_record *x = k->records[side][mid];

        if (x->time < time || (x->time == time && x->seq < seq))
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static struct join_record *record_add(struct join *j, struct join_key *k, int side, int64_t time,
                                      int64_t seq, struct bytes value)
{
    struct join_buffer *b = &j->buffer;
    struct join_record *x = heap_alloc(sizeof(*x) + value.n);
    size_t i = record_index(k, side, time, seq);

    *x = (struct join_record){.key = k,
                              .side = side,
                              .time = time,
                              .expires = expiry(j, side, time),
                              .seq = seq,
                              .n = value.n};
    memcpy(x->value, value.p, value.n);
    if (k->n[side] == k->cap[side]) {
        k->cap[side] = k->cap[side] ? k->cap[side] * 2 : 4;
        k->records[side] =
            heap_realloc(k->records[side], k->cap[side] * sizeof(struct join_record *));
    }
    memmove(k->records[side] + i + 1, k->records[side] + i,
            (k->n[side] - i) * sizeof(struct join_record *));
    k->records[side][i] = x;
    k->n[side]++;
    heap_add(b, x);
    b->bytes += sizeof(*x) + value.n;
    return x;
}

// Takes it out of everything; the record itself lives on.
static void record_detach(struct join_buffer *b, struct join_record *x)
{
    struct join_key *k = x->key;
    size_t i = record_index(k, x->side, x->time, x->seq);

    ASSERT(k->records[x->side][i] == x);
    k->n[x->side]--;
    memmove(k->records[x->side] + i, k->records[x->side] + i + 1,
            (k->n[x->side] - i) * sizeof(struct join_record *));
    heap_remove(b, x);
    b->bytes -= sizeof(*x) + x->n;
    if (x->listed) {
        b->dirty[x->dirty_at] = b->dirty[--b->n_dirty];
        b->dirty[x->dirty_at]->dirty_at = x->dirty_at;
        x->listed = false;
    }
}

static void list_dirty(struct join_buffer *b, struct join_record *x)
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

static void clear(struct join_buffer *b)
{
    struct bytes key;
    void *k;

    for (size_t i = 0; hashmap_next(&b->keys, &i, &key, &k);)
        key_free(k);
    hashmap_deinit(&b->keys);
    hashmap_init(&b->keys, 0);
    b->n_heap = b->n_dirty = b->bytes = 0;
    b->next_seq = 0;
    b->loaded = false;
}

// --- rows ---

struct row_key {
    struct state_key key;
    struct value *parts; // key..., side, seq
};

static void row_key(struct join_buffer *b, const struct join_record *x, struct row_key *out)
{
    size_t n = (size_t)b->n_key;

    arena_reset(&b->arena);
    out->parts = arena_alloc(&b->arena, (n + 2) * sizeof(*out->parts));
    memcpy(out->parts, x->key->parts.array->items, n * sizeof(*out->parts));
    out->parts[n] = value_int(x->side);
    out->parts[n + 1] = value_int(x->seq);
    out->key = (struct state_key){
        .window = x->expires, .window_end = x->expires, .parts = out->parts};
}

struct loading {
    struct join *j;
    struct err *e;
};

static int load_row(void *arg, const struct state_key *k, struct bytes blob)
{
    struct loading *l = arg;
    struct join_buffer *b = &l->j->buffer;
    const struct value *tail = k->parts + b->n_key;
    struct join_key *key;
    struct join_record *x;
    uint8_t matched;
    int64_t time;
    int rc = unpack_i64(&blob, &time);

    if (rc == 0)
        rc = unpack_u8(&blob, &matched);
    if (rc < 0 || tail[0].type != VALUE_INT || tail[0].i < 0 || tail[0].i >= SIDES ||
        tail[1].type != VALUE_INT)
        return err_set(l->e, LEAT_ECORRUPT, "a waiting record was not written by leat");
    rc = key_find(b, k->parts, &key, l->e);
    if (rc < 0)
        return rc;
    x = record_add(l->j, key, (int)tail[0].i, time, tail[1].i, blob);
    x->flags = (struct join_flags){.matched = matched != 0, .stored = true};
    if (x->seq >= b->next_seq)
        b->next_seq = x->seq + 1;
    return 0;
}

static int load(struct join *j, struct err *e)
{
    struct join_buffer *b = &j->buffer;
    struct loading l = {j, e};
    int rc;

    if (b->loaded)
        return 0;
    rc = run_states(j->op.run)->ops->scan(b->state, INT64_MIN, INT64_MAX, load_row, &l, e);
    if (rc < 0)
        clear(b);
    else
        b->loaded = true;
    return rc < 0 ? rc : 0;
}

static int write_row(struct join *j, struct join_record *x, struct err *e)
{
    struct join_buffer *b = &j->buffer;
    struct row_key k;

    row_key(b, x, &k);
    buf_clear(&b->scratch);
    pack_i64(&b->scratch, x->time);
    pack_u8(&b->scratch, x->flags.matched);
    buf_append(&b->scratch, x->value, x->n);
    return run_states(j->op.run)->ops->put(b->state, &k.key, NULL, buf_bytes(&b->scratch), e);
}

static int by_row(const void *a, const void *b)
{
    return record_cmp(*(struct join_record *const *)a, *(struct join_record *const *)b);
}

int join_streams_flush(struct join *j, struct err *e)
{
    struct join_buffer *b = &j->buffer;
    int rc = 0;

    if (b->n_dirty > 1)
        qsort(b->dirty, b->n_dirty, sizeof(struct join_record *), by_row);
    for (size_t i = 0; i < b->n_dirty; i++)
        b->dirty[i]->dirty_at = i;
    for (size_t i = 0; i < b->n_dirty && rc == 0; i++) {
        struct join_record *x = b->dirty[i];

        if (!x->flags.dirty)
            continue;
        run_undo_bytes(j->op.run, &x->flags, sizeof(x->flags));
        rc = write_row(j, x, e);
        x->flags.dirty = false;
        x->flags.stored = true;
    }
    return rc;
}

// --- records ---

static int emit_pair(struct join *j, struct event *ev, int side, const struct join_record *other,
                     struct err *e)
{
    struct arena *a = run_arena(j->op.run);
    struct bytes packed = bytes_of(other->value, other->n);
    struct event out;
    struct value theirs, v;
    int rc = unpack_value(&packed, &theirs);

    if (rc < 0)
        return err_set(e, rc, "a waiting record was not written by leat");
    rc = side == SIDE_LEFT ? join_values(j, &ev->view.root, &theirs, a, &v, e)
                           : join_values(j, &theirs, &ev->view.root, a, &v, e);
    if (rc < 0)
        return rc;
    out = event_with_value(ev, v, a);
    out.time = ev->time > other->time ? ev->time : other->time;
    out.headers = NULL;
    out.n_headers = 0;
    return operator_emit(&j->op, OUT_MAIN, &out, e);
}

static void match(struct join *j, struct join_record *x)
{
    if (!is_kept(j, x->side) || x->flags.matched)
        return;
    run_undo_bytes(j->op.run, &x->flags, sizeof(x->flags));
    x->flags.matched = true;
    list_dirty(&j->buffer, x);
}

// Those of the other side with a time in [from, to], in order; `met` when there is one.
static int meet(struct join *j, struct join_key *k, struct event *ev, int side, bool *met,
                struct err *e)
{
    const struct plan_join *x = &j->op.node->join;
    int other = side == SIDE_LEFT ? SIDE_RIGHT : SIDE_LEFT;
    int64_t from = side == SIDE_LEFT ? plus(ev->time, x->lo_ms) : plus(ev->time, -x->hi_ms);
    int64_t to = side == SIDE_LEFT ? plus(ev->time, x->hi_ms) : plus(ev->time, -x->lo_ms);

    for (size_t i = record_index(k, other, from, INT64_MIN); i < k->n[other]; i++) {
        struct join_record *y = k->records[other][i];
        int rc;

        if (y->time > to)
            break;
        *met = true;
        match(j, y);
        rc = emit_pair(j, ev, side, y, e);
        if (rc < 0)
            return rc;
    }
    return 0;
}

struct added {
    struct join_buffer *buffer;
    struct join_record *record;
};

static void take_back(void *arg)
{
    struct added *u = arg;
    struct join_key *k = u->record->key;

    record_detach(u->buffer, u->record);
    heap_free(u->record);
    key_drop_if_empty(u->buffer, k);
}

static int wait_for_others(struct join *j, struct join_key *k, struct event *ev, int side, bool met,
                           struct err *e)
{
    struct join_buffer *b = &j->buffer;
    struct added *u = arena_alloc(run_arena(j->op.run), sizeof(*u));
    int rc;

    buf_clear(&b->scratch);
    rc = pack_value(&b->scratch, &ev->view.root, e);
    if (rc < 0)
        return rc;
    if (b->bytes > JOIN_BUFFER_BYTES_MAX)
        return err_set(e, LEAT_ESTOPPED,
                       "the join holds more than %zu bytes of records that wait: make its interval "
                       "shorter",
                       JOIN_BUFFER_BYTES_MAX);
    *u = (struct added){b, record_add(j, k, side, ev->time, b->next_seq++, buf_bytes(&b->scratch))};
    run_undo_call(j->op.run, take_back, u);
    u->record->flags.matched = met && is_kept(j, side);
    list_dirty(b, u->record);
    return 0;
}

int join_streams_process(struct join *j, struct event *ev, int side, struct err *e)
{
    struct join_buffer *b = &j->buffer;
    const struct value *parts;
    struct join_key *k = NULL;
    bool met = false;
    int n = event_key_parts(ev, &parts), rc = load(j, e);

    if (rc < 0)
        return rc;
    if (n == 0)
        return err_set(e, LEAT_EKEY, "the record has no key: put :by before the join");
    if (n != b->n_key)
        return err_set(e, LEAT_EKEY, "the key has %d parts, not %d", n, b->n_key);
    if (expiry(j, side, ev->time) < j->op.watermark) {
        run_late(j->op.run, &j->op, ev, j->op.watermark);
        return 0;
    }
    rc = key_find(b, parts, &k, e);
    if (rc == 0)
        rc = meet(j, k, ev, side, &met, e);
    if (rc == 0)
        rc = wait_for_others(j, k, ev, side, met, e);
    if (rc < 0 && k != NULL)
        key_drop_if_empty(b, k);
    return rc;
}

// --- expiry ---

static int emit_alone(struct join *j, const struct join_record *x, struct err *e)
{
    struct arena *a = &j->buffer.arena;
    struct bytes packed = bytes_of(x->value, x->n);
    struct event ev = {.topic = bytes_str(j->op.node->id), .partition = -1, .offset = -1};
    struct value v;
    int rc = unpack_value(&packed, &v);

    arena_reset(a);
    if (rc < 0)
        return err_set(e, rc, "a waiting record was not written by leat");
    if (x->side == SIDE_RIGHT)
        rc = join_values(j, &VALUE_OF_MISSING, &v, a, &v, e);
    if (rc < 0)
        return rc;
    ev.time = ev.timestamp = x->expires;
    ev.key = j->buffer.n_key == 1 ? x->key->parts.array->items[0] : x->key->parts;
    ev.key = value_copy(&ev.key, a);
    view_of(&ev.view, NULL, v, a);
    return operator_emit(&j->op, OUT_MAIN, &ev, e);
}

static int expire(struct join *j, struct join_record *x, struct err *e)
{
    struct join_buffer *b = &j->buffer;
    struct row_key k;
    int rc = 0;

    record_detach(b, x);
    if (x->flags.stored) {
        row_key(b, x, &k);
        rc = run_states(j->op.run)->ops->del(b->state, &k.key, e);
    }
    if (rc == 0 && is_kept(j, x->side) && !x->flags.matched)
        rc = emit_alone(j, x, e);
    key_drop_if_empty(b, x->key);
    heap_free(x);
    return rc;
}

int join_streams_watermark(struct join *j, int64_t w, struct err *e)
{
    struct join_buffer *b = &j->buffer;
    int rc = load(j, e);

    while (rc == 0 && b->n_heap > 0 && b->heap[0]->expires < w)
        rc = expire(j, b->heap[0], e);
    return rc;
}

int64_t join_streams_due(struct join *j)
{
    if (load(j, NULL) != 0) // said again, with words, where the operator is called
        return INT64_MIN;
    return j->buffer.n_heap > 0 ? plus(j->buffer.heap[0]->expires, 1) : INT64_MAX;
}

void join_streams_committed(struct join *j)
{
    struct join_buffer *b = &j->buffer;

    for (size_t i = 0; i < b->n_dirty; i++)
        b->dirty[i]->listed = false;
    b->n_dirty = 0;
}

void join_streams_aborted(struct join *j)
{
    clear(&j->buffer);
}

int join_streams_open(struct join *j, struct err *e)
{
    const struct plan_node *n = j->op.node;
    struct join_buffer *b = &j->buffer;
    struct states *s = run_states(j->op.run);
    struct state_spec spec = {.id = n->id, .table = -1, .windowed = true};
    const char **names;

    hashmap_init(&b->keys, 0);
    arena_init(&b->arena);
    if (n->join.lo_ms > n->join.hi_ms)
        return err_set(e, LEAT_EINVAL, "within = {from, to}: from is after to");
    b->n_key = n->n_key_names > 0 ? n->n_key_names : 1;
    names = arena_alloc(&b->arena, ((size_t)b->n_key + 2) * sizeof(*names));
    for (int i = 0; i < b->n_key; i++)
        names[i] = n->n_key_names > 0 ? n->key_names[i] : "key";
    names[b->n_key] = "_side";
    names[b->n_key + 1] = "_number";
    spec.key_names = names;
    spec.n_key = b->n_key + 2;
    return s->ops->open(s, &spec, &b->state, e);
}

void join_streams_close(struct join *j)
{
    struct join_buffer *b = &j->buffer;

    clear(b);
    hashmap_deinit(&b->keys);
    heap_free(b->heap);
    heap_free(b->dirty);
    buf_deinit(&b->scratch);
    arena_deinit(&b->arena);
}
