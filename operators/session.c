// SPDX-License-Identifier: Apache-2.0
//
// Sessions: windows that grow with their records. A record at t opens [t, t + gap); sessions of one
// key that overlap are one. Touching is not overlapping: a record exactly a gap after the last one
// begins a new session.
//
//   record     finds the open sessions of its key that overlap its own [t, t + gap). None: a new
//              one, or late when that would have closed already. One: it grows. Several: the
//              earliest takes in the others (a bridge), which are gone with their rows
//   watermark  sessions whose end + grace it has reached are closed by end, then key bytes
//   flush      rows that are left behind are deleted, dirty sessions written, in (start, key) order
//   commit     accumulators that are clean are evicted down to the memory cap
//   abort      everything is forgotten and found again in state
//
// A row's key begins with the session's start. A record that comes before the start moves it, so
// the row is deleted and written again under the new start, in one transaction.
//
// What is in memory: of every open session its bounds (which session a record belongs to and when
// it closes cannot be asked from rows by key), some 150 bytes; accumulators only while there is
// room. Starting reads the bounds of all open sessions.
//
// A record that is late by itself may join an open session and pull its start to where a closed
// session began. Both would be the same row of a table: the open one's replaces it.
//
// Undo: a record remembers its session's bounds and accumulators and the list of its key's
// sessions. Absorbed sessions are kept as they were until the commit. The heap of deadlines is not
// undone: an entry may name a session that is dead, or come earlier than it closes by now; both
// are found out when it is reached.
//
// The blob: version u8 = 3, end i64, the key's parts (results.h), the accumulators.
#include "operators/groupkey.h"
#include "operators/operators.h"
#include "operators/pack.h"
#include "operators/results.h"
#include "operators/window.h"
#include "runtime/base/hashmap.h"
#include "runtime/base/heap.h"

#include <stdlib.h>

#define BLOB_VERSION 3

enum session_flag {
    SESSION_DIRTY = 1,  // differs from its row
    SESSION_STORED = 2, // has a row, under its start
    SESSION_OVER = 4,   // absorbed, closed, or its record failed
};

struct session_key {
    struct bytes key; // group_key_encode'd
    struct session **list; // open ones, by start
    size_t n, cap;
    size_t refs; // session structs that point here
    bool idle;   // noted for removal
};

struct session {
    struct session_key *key;
    void *acc; // NULL: in its row only
    struct bytes exact;
    bool in_heap;
    bool listed; // among the dirty
    bool recent; // touched since the eviction's hand passed
    struct session_bounds {
        int64_t start, end;
        uint64_t flags;
    } b; // what a record changes
};

struct deadline {
    int64_t at; // at most end + grace
    struct session *s;
};

// What happens to a row in the flush; of several for one row the last counts.
struct row_op {
    int64_t start;
    struct session *s;
    bool leave; // delete it
    size_t order;
};

struct sessions {
    struct operator op;
    const struct plan_window *window;
    struct results r;
    bool stale; // the memory is void: read the bounds again
    struct hashmap keys;
    struct deadline *heap;
    size_t n_heap, cap_heap;
    struct row_op *ops;
    size_t n_ops, cap_ops;
    struct session **dirty;
    size_t n_dirty, cap_dirty;
    struct session **absorbed; // in this step: their accumulators are kept for undo
    size_t n_absorbed, cap_absorbed;
    struct session **graves; // freed at the end of the step
    size_t n_graves, cap_graves;
    struct session_key **idle;
    size_t n_idle, cap_idle;
    size_t n_loaded; // accumulators in memory
    size_t hand;     // where eviction goes on
};

// --- memory ---

static void session_push(struct session ***list, size_t *n, size_t *cap, struct session *s)
{
    if (*n == *cap) {
        *cap = *cap > 0 ? *cap * 2 : 16;
        *list = heap_realloc(*list, *cap * sizeof(struct session *));
    }
    (*list)[(*n)++] = s;
}

static struct session_key *key_find(const struct sessions *x, struct bytes key)
{
    return hashmap_get(&x->keys, key);
}

static struct session_key *key_add(struct sessions *x, struct bytes key)
{
    struct session_key *k = heap_zalloc(sizeof(*k) + key.n);

    memcpy(k + 1, key.p, key.n);
    k->key = bytes_of(k + 1, key.n);
    hashmap_put(&x->keys, k->key, k);
    return k;
}

static void key_free(struct session_key *k)
{
    heap_free(k->list);
    heap_free(k);
}

static void acc_free(struct sessions *x, struct session *s)
{
    if (s->acc == NULL)
        return;
    functions_drop(&x->r.f, s->acc);
    heap_free(s->acc);
    s->acc = NULL;
    x->n_loaded--;
}

static void acc_new(struct sessions *x, struct session *s)
{
    s->acc = heap_zalloc(x->r.f.bytes + 1);
    x->n_loaded++;
}

static struct session *session_new(struct session_key *k, struct bytes exact)
{
    struct session *s = heap_zalloc(sizeof(*s) + exact.n);

    if (exact.n > 0)
        memcpy(s + 1, exact.p, exact.n);
    s->exact = bytes_of(s + 1, exact.n);
    s->key = k;
    k->refs++;
    return s;
}

static void session_free(struct sessions *x, struct session *s)
{
    struct session_key *k = s->key;

    acc_free(x, s);
    heap_free(s);
    if (--k->refs > 0 || k->idle)
        return;
    k->idle = true;
    if (x->n_idle == x->cap_idle) {
        x->cap_idle = x->cap_idle > 0 ? x->cap_idle * 2 : 16;
        x->idle = heap_realloc(x->idle, x->cap_idle * sizeof(struct session_key *));
    }
    x->idle[x->n_idle++] = k;
}

static void bury(struct sessions *x, struct session *s)
{
    session_push(&x->graves, &x->n_graves, &x->cap_graves, s);
}

static void graves_clear(struct sessions *x)
{
    for (size_t i = 0; i < x->n_absorbed; i++)
        acc_free(x, x->absorbed[i]);
    x->n_absorbed = 0;
    for (size_t i = 0; i < x->n_graves; i++)
        session_free(x, x->graves[i]);
    x->n_graves = 0;
    for (size_t i = 0; i < x->n_idle; i++) {
        struct session_key *k = x->idle[i];

        k->idle = false;
        if (k->refs > 0)
            continue;
        hashmap_remove(&x->keys, k->key);
        key_free(k);
    }
    x->n_idle = 0;
}

static void forget_all(struct sessions *x)
{
    struct bytes key;
    void *k;

    for (size_t i = 0; i < x->n_heap; i++)
        bury(x, x->heap[i].s);
    x->n_heap = x->n_dirty = x->n_ops = 0;
    graves_clear(x);
    for (size_t i = 0; hashmap_next(&x->keys, &i, &key, &k);)
        key_free(k);
    hashmap_deinit(&x->keys);
    hashmap_init(&x->keys, 0);
    ASSERT(x->n_loaded == 0);
}

// --- the heap of deadlines: by time, then key bytes ---

static bool earlier(const struct deadline *a, const struct deadline *b)
{
    if (a->at != b->at)
        return a->at < b->at;
    return bytes_cmp(a->s->key->key, b->s->key->key) < 0;
}

static void sift_up(struct sessions *x, size_t i)
{
    for (; i > 0 && earlier(&x->heap[i], &x->heap[(i - 1) / 2]); i = (i - 1) / 2) {
        struct deadline d = x->heap[i];

        x->heap[i] = x->heap[(i - 1) / 2];
        x->heap[(i - 1) / 2] = d;
    }
}

static void sift_down(struct sessions *x, size_t i)
{
    for (;;) {
        size_t least = i, child = 2 * i + 1;
        struct deadline d = x->heap[i];

        for (size_t c = child; c < child + 2 && c < x->n_heap; c++)
            if (earlier(&x->heap[c], &x->heap[least]))
                least = c;
        if (least == i)
            return;
        x->heap[i] = x->heap[least];
        x->heap[least] = d;
        i = least;
    }
}

static void heap_push(struct sessions *x, struct session *s)
{
    if (x->n_heap == x->cap_heap) {
        x->cap_heap = x->cap_heap > 0 ? x->cap_heap * 2 : 64;
        x->heap = heap_realloc(x->heap, x->cap_heap * sizeof(*x->heap));
    }
    x->heap[x->n_heap] = (struct deadline){.at = s->b.end + x->window->grace_ms, .s = s};
    s->in_heap = true;
    sift_up(x, x->n_heap++);
}

static struct session *heap_pop(struct sessions *x)
{
    struct session *s = x->heap[0].s;

    x->heap[0] = x->heap[--x->n_heap];
    sift_down(x, 0);
    s->in_heap = false;
    return s;
}

// --- rows ---

static int unreadable(const struct sessions *x, struct err *e)
{
    return err_set(e, LEAT_ECORRUPT, "a state row of %s cannot be read", x->op.node->id);
}

static int unpack_front(const struct sessions *x, struct bytes *in, int64_t *end,
                        struct value *parts, struct bytes *exact)
{
    uint8_t version;
    int rc = unpack_u8(in, &version);

    if (rc < 0 || version != BLOB_VERSION)
        return LEAT_ECORRUPT;
    rc = unpack_i64(in, end);
    return rc < 0 ? rc : results_unpack_exact(&x->r, in, parts, exact);
}

static struct state_key row_key(struct sessions *x, int64_t start, int64_t end,
                                struct session_key *k, struct bytes exact)
{
    arena_reset(&x->r.arena);
    return (struct state_key){
        .window = start, .window_end = end, .parts = results_row_parts(&x->r, k->key, exact)};
}

// Its accumulators, read from its row when they are not here.
static int session_load(struct sessions *x, struct session *s, struct err *e)
{
    struct states *states = run_states(x->op.run);
    struct bytes blob, exact;
    struct state_key k;
    int64_t end;
    int rc;

    s->recent = true;
    if (s->acc != NULL)
        return 0;
    k = row_key(x, s->b.start, s->b.end, s->key, s->exact);
    rc = states->ops->get(x->r.state, &k, &x->r.arena, &blob, e);
    if (rc < 0)
        return rc;
    acc_new(x, s);
    if (rc == 0 || unpack_front(x, &blob, &end, NULL, &exact) < 0 ||
        functions_unpack(&x->r.f, s->acc, &blob) < 0 || blob.n > 0) {
        acc_free(x, s);
        return unreadable(x, e);
    }
    return 0;
}

// state.h hands out errors through the scan's return alone.
struct reload {
    struct sessions *x;
    struct err *err;
};

static int reload_row(void *arg, const struct state_key *row, struct bytes blob)
{
    struct reload *l = arg;
    struct sessions *x = l->x;
    struct value *parts;
    struct session_key *k;
    struct session *s;
    struct bytes exact;
    int64_t end;
    int rc;

    arena_reset(&x->r.arena);
    parts = arena_alloc(&x->r.arena, (size_t)x->r.n_key * sizeof(*parts));
    if (unpack_front(x, &blob, &end, parts, &exact) < 0)
        return unreadable(x, l->err);
    buf_clear(&x->r.key);
    rc = group_key_encode(&x->r.key, exact.n > 0 ? parts : row->parts, x->r.n_key, l->err);
    if (rc < 0)
        return rc;
    k = key_find(x, buf_bytes(&x->r.key));
    if (k == NULL)
        k = key_add(x, buf_bytes(&x->r.key));
    s = session_new(k, exact);
    s->b = (struct session_bounds){.start = row->window, .end = end, .flags = SESSION_STORED};
    session_push(&k->list, &k->n, &k->cap, s); // rows come by start
    heap_push(x, s);
    return 0;
}

static int reload(struct sessions *x, struct err *e)
{
    struct reload l = {.x = x, .err = e};
    int rc;

    forget_all(x);
    rc = run_states(x->op.run)
             ->ops->scan(x->r.state, INT64_MIN, INT64_MAX, reload_row, &l, e);
    x->stale = rc < 0;
    return rc;
}

static void op_push(struct sessions *x, struct session *s, bool leave)
{
    if (x->n_ops == x->cap_ops) {
        x->cap_ops = x->cap_ops > 0 ? x->cap_ops * 2 : 16;
        x->ops = heap_realloc(x->ops, x->cap_ops * sizeof(*x->ops));
    }
    x->ops[x->n_ops] = (struct row_op){
        .start = s->b.start, .s = s, .leave = leave, .order = x->n_ops};
    x->n_ops++;
}

// The row under the session's start is no longer its own. In a table the row may be a closed
// session's that began there too; it goes whether or not a commit came between.
static void leave_row(struct sessions *x, struct session *s)
{
    if (!x->r.fused && !(s->b.flags & SESSION_STORED))
        return;
    op_push(x, s, true);
    s->b.flags &= ~(uint64_t)SESSION_STORED;
}

static int put_session(struct sessions *x, struct session *s, struct err *e)
{
    struct states *states = run_states(x->op.run);
    struct state_key k = row_key(x, s->b.start, s->b.end, s->key, s->exact);
    struct value *columns = NULL;
    bool closed = (s->b.flags & SESSION_OVER) != 0;
    int rc = 0;

    ASSERT(s->acc != NULL);
    if (x->r.fused) {
        columns = arena_alloc(&x->r.arena, (size_t)(x->r.f.n + 1) * sizeof(*columns));
        functions_results(&x->r.f, s->acc, columns, &x->r.arena);
    }
    if (!closed) {
        buf_clear(&x->r.blob);
        pack_u8(&x->r.blob, BLOB_VERSION);
        pack_i64(&x->r.blob, s->b.end);
        results_pack_exact(&x->r, s->exact, &x->r.blob);
        rc = functions_pack(&x->r.f, s->acc, &x->r.blob, e);
    }
    if (rc == 0)
        rc = states->ops->put(x->r.state, &k, columns, closed ? BYTES_NULL : buf_bytes(&x->r.blob),
                              e);
    if (rc == 0 && !closed)
        s->b.flags = SESSION_STORED;
    return rc;
}

static int op_cmp(const void *a, const void *b)
{
    const struct row_op *x = a, *y = b;
    int cmp;

    if (x->start != y->start)
        return x->start < y->start ? -1 : 1;
    cmp = bytes_cmp(x->s->key->key, y->s->key->key);
    return cmp != 0 ? cmp : (x->order > y->order) - (x->order < y->order);
}

static int run_op(struct sessions *x, const struct row_op *op, struct err *e)
{
    struct states *states = run_states(x->op.run);
    struct state_key k;

    if (!op->leave)
        return put_session(x, op->s, e);
    k = row_key(x, op->start, 0, op->s->key, op->s->exact);
    return states->ops->del(x->r.state, &k, e);
}

static int sessions_flush(struct operator *o, struct err *e)
{
    struct sessions *x = (struct sessions *)o;
    int rc = 0;

    for (size_t i = 0; i < x->n_dirty; i++) {
        struct session *s = x->dirty[i];

        s->listed = false;
        if ((s->b.flags & SESSION_DIRTY) && !(s->b.flags & SESSION_OVER))
            op_push(x, s, false);
    }
    x->n_dirty = 0;
    if (x->n_ops > 0)
        qsort(x->ops, x->n_ops, sizeof(*x->ops), op_cmp);
    for (size_t i = 0; i < x->n_ops && rc == 0; i++) {
        const struct row_op *op = &x->ops[i], *next = op + 1;
        bool last = i + 1 == x->n_ops || next->start != op->start || next->s->key != op->s->key;

        if (last)
            rc = run_op(x, op, e);
    }
    x->n_ops = 0;
    return rc;
}

// --- records ---

// Undo of a session that a record began. What its accumulators own is undone before.
static void undo_new(void *arg)
{
    struct session *s = arg;

    s->b.flags = SESSION_OVER; // the heap finds out
}

static void touch(struct sessions *x, struct session *s)
{
    s->b.flags |= SESSION_DIRTY;
    if (s->listed)
        return;
    s->listed = true;
    session_push(&x->dirty, &x->n_dirty, &x->cap_dirty, s);
}

static void remember(struct sessions *x, struct session *s)
{
    run_undo_bytes(x->op.run, &s->b, sizeof(s->b));
    if (x->r.f.bytes > 0)
        run_undo_bytes(x->op.run, s->acc, x->r.f.bytes);
}

// Room first: a block that moves is not undone.
static void remember_list(struct sessions *x, struct session_key *k)
{
    if (k->n == k->cap) {
        k->cap = k->cap > 0 ? k->cap * 2 : 2;
        k->list = heap_realloc(k->list, k->cap * sizeof(struct session *));
    }
    if (k->n > 0)
        run_undo_bytes(x->op.run, k->list, k->n * sizeof(struct session *));
    run_undo_bytes(x->op.run, &k->n, sizeof(k->n));
}

static int begin(struct sessions *x, struct session_key *k, size_t at, struct event *ev,
                 const struct value *parts, struct err *e)
{
    struct session *s;
    int rc = results_exact(&x->r, parts, e);

    if (rc < 0)
        return rc;
    if (k == NULL)
        k = key_add(x, buf_bytes(&x->r.key));
    s = session_new(k, buf_bytes(&x->r.blob));
    s->b = (struct session_bounds){.start = ev->time, .end = ev->time + x->window->size_ms};
    acc_new(x, s);
    remember_list(x, k);
    memmove(k->list + at + 1, k->list + at, (k->n - at) * sizeof(struct session *));
    k->list[at] = s;
    k->n++;
    heap_push(x, s);
    run_undo_call(x->op.run, undo_new, s);
    remember(x, s); // so that what an undone record leaves behind can be dropped
    touch(x, s);
    return functions_add(&x->r.f, s->acc, x->r.f.args, ev->time, e);
}

static int absorb(struct sessions *x, struct session *into, struct session *s, struct err *e)
{
    int rc = functions_merge(&x->r.f, into->acc, s->acc, e);

    if (rc < 0)
        return rc;
    run_undo_bytes(x->op.run, &s->b, sizeof(s->b));
    run_undo_bytes(x->op.run, &x->n_absorbed, sizeof(x->n_absorbed));
    session_push(&x->absorbed, &x->n_absorbed, &x->cap_absorbed, s);
    into->b.end = s->b.end > into->b.end ? s->b.end : into->b.end;
    leave_row(x, s);
    s->b.flags |= SESSION_OVER;
    return 0;
}

// The record lies in list[at .. at + n).
static int grow(struct sessions *x, struct session_key *k, size_t at, size_t n, struct event *ev,
                struct err *e)
{
    struct session *s = k->list[at];
    int64_t end = ev->time + x->window->size_ms;
    int rc = 0;

    for (size_t i = 0; i < n && rc == 0; i++)
        rc = session_load(x, k->list[at + i], e);
    if (rc < 0)
        return rc;
    remember(x, s);
    run_undo_bytes(x->op.run, &x->n_ops, sizeof(x->n_ops));
    if (n > 1)
        remember_list(x, k);
    for (size_t i = 1; i < n && rc == 0; i++)
        rc = absorb(x, s, k->list[at + i], e);
    if (rc < 0)
        return rc;
    memmove(k->list + at + 1, k->list + at + n, (k->n - at - n) * sizeof(struct session *));
    k->n -= n - 1;
    if (ev->time < s->b.start) {
        leave_row(x, s);
        s->b.start = ev->time;
    }
    s->b.end = end > s->b.end ? end : s->b.end;
    touch(x, s);
    return functions_add(&x->r.f, s->acc, x->r.f.args, ev->time, e);
}

// The sessions that overlap [t, t + gap): *at is the first, or where it would be.
static size_t overlapping(const struct sessions *x, const struct session_key *k, int64_t t,
                          size_t *at)
{
    size_t n = 0;

    *at = 0;
    if (k == NULL)
        return 0;
    while (*at < k->n && k->list[*at]->b.end <= t)
        ++*at;
    while (*at + n < k->n && k->list[*at + n]->b.start < t + x->window->size_ms)
        n++;
    return n;
}

static int sessions_process(struct operator *o, struct event *ev, int input, struct err *e)
{
    struct sessions *x = (struct sessions *)o;
    const struct value *parts;
    struct session_key *k;
    size_t at, n;
    int rc = x->stale ? reload(x, e) : 0;

    (void)input;
    rc = rc < 0 ? rc : window_time_check(ev->time, e);
    rc = rc < 0 ? rc : results_key(&x->r, ev, &parts, e);
    if (rc < 0)
        return rc;
    k = key_find(x, buf_bytes(&x->r.key));
    n = overlapping(x, k, ev->time, &at);
    if (n == 0 && ev->time + x->window->size_ms + x->window->grace_ms <= o->watermark) {
        run_late(o->run, o, ev, o->watermark);
        return operator_emit(o, OUT_LATE, ev, e);
    }
    rc = functions_eval(&x->r.f, ev, e);
    if (rc < 0)
        return rc;
    return n == 0 ? begin(x, k, at, ev, parts, e) : grow(x, k, at, n, ev, e);
}

// --- the watermark ---

static int emit_final(struct sessions *x, const struct session *s, struct err *e)
{
    struct arena *a = &x->r.arena;
    struct value *parts;
    struct event ev;

    if (x->op.node->n_outs[OUT_FINAL] == 0)
        return 0;
    arena_reset(a);
    parts = arena_alloc(a, (size_t)x->r.n_key * sizeof(*parts));
    results_parts(&x->r, s->key->key, s->exact, parts, a);
    ev = results_event(&x->r, parts, s->acc, s->b.start, s->b.end, a);
    return operator_emit(&x->op, OUT_FINAL, &ev, e);
}

static void list_remove(struct session_key *k, const struct session *s)
{
    size_t i = 0;

    while (k->list[i] != s)
        i++;
    memmove(k->list + i, k->list + i + 1, (k->n - i - 1) * sizeof(struct session *));
    k->n--;
}

static int close_session(struct sessions *x, struct session *s, struct err *e)
{
    int rc = session_load(x, s, e);

    list_remove(s->key, s);
    s->b.flags |= SESSION_OVER;
    bury(x, s);
    if (rc == 0)
        rc = emit_final(x, s, e);
    if (rc == 0 && x->r.fused)
        op_push(x, s, false);
    else if (rc == 0)
        leave_row(x, s);
    return rc;
}

static int sessions_watermark(struct operator *o, int64_t w, struct err *e)
{
    struct sessions *x = (struct sessions *)o;
    int rc = x->stale ? reload(x, e) : 0;

    while (rc == 0 && x->n_heap > 0 && x->heap[0].at <= w) {
        struct session *s = x->heap[0].s;
        int64_t at = s->b.end + x->window->grace_ms;

        if (s->b.flags & SESSION_OVER) {
            bury(x, heap_pop(x));
        } else if (at > x->heap[0].at) {
            x->heap[0].at = at; // it has grown
            sift_down(x, 0);
        } else {
            rc = close_session(x, heap_pop(x), e);
        }
    }
    return rc;
}

static int64_t sessions_due(struct operator *o)
{
    struct sessions *x = (struct sessions *)o;

    if (x->stale)
        return INT64_MIN + 1; // any watermark there is
    return x->n_heap > 0 ? x->heap[0].at : INT64_MAX;
}

// --- the end of a step ---

static size_t held_bytes(const struct sessions *x)
{
    return x->n_loaded * (x->r.f.bytes + 32) + x->r.f.env.bytes;
}

static void evict(struct sessions *x, size_t bytes)
{
    for (size_t left = 2 * x->n_heap; left > 0 && held_bytes(x) > bytes; left--) {
        struct session *s;

        x->hand = x->hand + 1 < x->n_heap ? x->hand + 1 : 0;
        s = x->heap[x->hand].s;
        if (s->acc != NULL && !s->recent && s->b.flags == SESSION_STORED)
            acc_free(x, s);
        s->recent = false;
    }
}

static void sessions_committed(struct operator *o)
{
    struct sessions *x = (struct sessions *)o;

    agg_env_clear(&x->r.f.env);
    graves_clear(x);
}

static size_t sessions_held(struct operator *o)
{
    return held_bytes((struct sessions *)o);
}

static void sessions_shrink(struct operator *o, size_t bytes)
{
    evict((struct sessions *)o, bytes);
}

static void sessions_aborted(struct operator *o)
{
    struct sessions *x = (struct sessions *)o;

    forget_all(x);
    agg_env_clear(&x->r.f.env);
    x->stale = true;
}

// --- open and close ---

static bool sessions_takes(const struct plan_node *n)
{
    return n->aggregate.window.kind == WINDOW_SESSION;
}

static int sessions_open(struct operator *o, struct err *e)
{
    struct sessions *x = (struct sessions *)o;
    int rc;

    x->window = &o->node->aggregate.window;
    hashmap_init(&x->keys, 0);
    rc = window_check(x->window, e);
    rc = rc < 0 ? rc : results_open(&x->r, o, e);
    return rc < 0 ? rc : reload(x, e);
}

static void sessions_close(struct operator *o)
{
    struct sessions *x = (struct sessions *)o;

    forget_all(x);
    hashmap_deinit(&x->keys);
    heap_free(x->heap);
    heap_free(x->ops);
    heap_free(x->dirty);
    heap_free(x->absorbed);
    heap_free(x->graves);
    heap_free(x->idle);
    results_close(&x->r);
}

const struct operator_type operator_session = {
    .kind = NODE_AGGREGATE,
    .takes = sessions_takes,
    .size = sizeof(struct sessions),
    .open = sessions_open,
    .process = sessions_process,
    .watermark = sessions_watermark,
    .due = sessions_due,
    .flush = sessions_flush,
    .committed = sessions_committed,
    .aborted = sessions_aborted,
    .held = sessions_held,
    .shrink = sessions_shrink,
    .close = sessions_close,
};
