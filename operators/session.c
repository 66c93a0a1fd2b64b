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
//   flush      rows that are left behind are deleted, dirty sessions written, each once (see
//              session_rows.c)
//   changes    a bridge tells of the rows that go, then of the one that grew
//   commit     keys may be evicted, least recently used first
//   abort      everything is forgotten
//
// A row's key begins with the session's start. A record that comes before the start moves it, so
// the row is deleted and written again under the new start, in one transaction.
//
// A key is in memory with all of its open sessions, or not at all: then they are read by key, or,
// when the watermark has reached one of them, found in the due index. Of a job that began with
// nothing and has evicted nothing, nothing is read.
//
// A record that is late by itself may join an open session and pull its start to where a closed
// session began. Both would be the same row of a table: the open one's replaces it (and is told as
// a new one).
//
// Undo: a record remembers its session's bounds and accumulators, and how to make the list of its
// key's sessions what it was. Absorbed sessions are kept as they were until the commit. When a key
// has to be looked at is not undone: it may be looked at too early, which finds nothing to do.
#include "operators/session.h"

#include "operators/groupkey.h"
#include "operators/operators.h"
#include "operators/pack.h"
#include "operators/window.h"
#include "runtime/base/heap.h"

// --- sessions ---

static void list_room(struct session_key *k, size_t at, size_t n)
{
    while (k->n + n > k->cap) {
        k->cap = k->cap > 0 ? k->cap * 2 : 2;
        k->list = heap_realloc(k->list, k->cap * sizeof(struct session *));
    }
    memmove(k->list + at + n, k->list + at, (k->n - at) * sizeof(struct session *));
    k->n += n;
}

static void list_cut(struct session_key *k, size_t at, size_t n)
{
    k->n -= n;
    memmove(k->list + at, k->list + at + n, (k->n - at) * sizeof(struct session *));
}

struct begun {
    struct sessions *x;
    struct session *s;
    size_t at;
};

// What its accumulators own is undone before.
static void undo_begin(void *arg)
{
    struct begun *u = arg;
    struct session_key *k = u->s->key;

    list_cut(k, u->at, 1);
    session_free(u->x, u->s);
}

// The row under the session's start is no longer its own. In a table the row may be a closed
// session's that began there too; it goes whether or not a commit came between.
static void leave_row(struct sessions *x, struct session *s)
{
    if (!x->r.fused && !(s->b.flags & SESSION_STORED))
        return;
    session_row_op(x, s, true);
    s->b.flags &= ~(uint64_t)SESSION_STORED;
}

static void touch(struct sessions *x, struct session *s)
{
    s->b.flags |= SESSION_DIRTY;
    session_key_list(x, s->key);
}

static void remember(struct sessions *x, struct session *s)
{
    run_undo_bytes(x->op.run, &s->b, sizeof(s->b));
    if (x->r.f.bytes > 0)
        run_undo_bytes(x->op.run, s->acc, x->r.f.bytes);
}

static int begin(struct sessions *x, struct session_key *k, size_t at, struct event *ev,
                 const struct value *parts, struct err *e)
{
    struct begun *u = arena_alloc(run_arena(x->op.run), sizeof(*u));
    struct session *s;
    int rc = results_exact(&x->r, parts, e);

    if (rc < 0)
        return rc;
    s = session_new(x, k, buf_bytes(&x->r.blob));
    *u = (struct begun){x, s, at};
    list_room(k, at, 1);
    k->list[at] = s;
    run_undo_call(x->op.run, undo_begin, u);
    s->b = (struct session_bounds){.start = ev->time, .end = ev->time + x->window->size_ms};
    if (!k->in_heap || session_deadline(x, s) < k->at)
        session_key_move(x, k, session_deadline(x, s));
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
    session_keep(&x->absorbed, &x->n_absorbed, &x->cap_absorbed, s);
    into->b.end = s->b.end > into->b.end ? s->b.end : into->b.end;
    leave_row(x, s);
    s->b.flags |= SESSION_OVER;
    return 0;
}

struct bridged {
    const struct sessions *x;
    struct session_key *k;
    size_t at, n;   // where they were in the list
    size_t gone_at; // where they are among the absorbed
};

static void undo_bridge(void *arg)
{
    const struct bridged *u = arg;

    list_room(u->k, u->at, u->n);
    memcpy(u->k->list + u->at, u->x->absorbed + u->gone_at, u->n * sizeof(struct session *));
}

static int bridge(struct sessions *x, struct session *into, size_t at, size_t n, struct err *e)
{
    struct session_key *k = into->key;
    struct bridged *u = arena_alloc(run_arena(x->op.run), sizeof(*u));
    int rc = 0;

    *u = (struct bridged){.x = x, .k = k, .at = at, .n = n, .gone_at = x->n_absorbed};
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = absorb(x, into, k->list[at + i], e);
    if (rc < 0)
        return rc;
    list_cut(k, at, n);
    run_undo_call(x->op.run, undo_bridge, u);
    return 0;
}

// The record lies in list[at .. at + n).
static int grow(struct sessions *x, struct session_key *k, size_t at, size_t n, struct event *ev,
                struct err *e)
{
    struct session *s = k->list[at];
    int64_t end = ev->time + x->window->size_ms;
    int rc = 0;

    remember(x, s);
    run_undo_bytes(x->op.run, &x->n_ops, sizeof(x->n_ops));
    if (n > 1)
        rc = bridge(x, s, at + 1, n - 1, e);
    if (rc < 0)
        return rc;
    if (ev->time < s->b.start) {
        leave_row(x, s);
        s->b.start = ev->time;
    }
    s->b.end = end > s->b.end ? end : s->b.end;
    touch(x, s);
    return functions_add(&x->r.f, s->acc, x->r.f.args, ev->time, e);
}

// --- changes ---

// Rows as changes() tells of them, and the starts under which they stand.
struct told {
    size_t n;
    struct value *rows;
    int64_t *starts;
};

static struct value *parts_of(struct sessions *x, const struct session *s)
{
    struct arena *a = run_arena(x->op.run);
    struct value *parts = arena_alloc(a, (size_t)x->r.n_key * sizeof(*parts));

    results_parts(&x->r, s->key->k.key, s->exact, parts, a);
    return parts;
}

static struct value row_of(struct sessions *x, const struct session *s)
{
    return results_row(&x->r, parts_of(x, s), s->acc, s->b.start, s->b.end);
}

static void rows_of(struct sessions *x, struct session *const *list, size_t n, struct told *out)
{
    struct arena *a = run_arena(x->op.run);

    *out = (struct told){.n = n,
                         .rows = arena_alloc(a, n * sizeof(*out->rows)),
                         .starts = arena_alloc(a, n * sizeof(*out->starts))};
    for (size_t i = 0; i < n; i++) {
        out->rows[i] = row_of(x, list[i]);
        out->starts[i] = list[i]->b.start;
    }
}

// What a record has made of the rows before it: those of sessions that were taken in are gone, and
// so is that of one whose start has moved.
static int tell(struct sessions *x, const struct session *s, const struct told *before,
                const struct event *ev, struct err *e)
{
    struct value none = VALUE_OF_MISSING, row = row_of(x, s), *parts = parts_of(x, s);
    const struct value *old = &none;
    int rc = 0;

    for (size_t i = 0; i < before->n && rc == 0; i++) {
        if (before->starts[i] == s->b.start)
            old = &before->rows[i];
        else
            rc = results_changed(&x->r, ev, parts, &before->rows[i], &none, e);
    }
    return rc != 0 ? rc : results_changed(&x->r, ev, parts, old, &row, e);
}

// --- a record ---

// The sessions that overlap [t, t + gap): *at is the first, or where it would be.
static size_t overlapping(const struct sessions *x, const struct session_key *k, int64_t t,
                          size_t *at)
{
    size_t n = 0, above = k->n;

    *at = 0;
    while (*at < above) {
        size_t mid = *at + (above - *at) / 2;

        if (k->list[mid]->b.end <= t)
            *at = mid + 1;
        else
            above = mid;
    }
    while (*at + n < k->n && k->list[*at + n]->b.start < t + x->window->size_ms)
        n++;
    return n;
}

static int sessions_process(struct operator *o, struct event *ev, int input, struct err *e)
{
    struct sessions *x = (struct sessions *)o;
    const struct value *parts;
    struct session_key *k;
    struct told before = {0};
    size_t at, n;
    int rc = session_keys_know(x, e);

    (void)input;
    rc = rc < 0 ? rc : window_time_check(ev->time, e);
    rc = rc < 0 ? rc : results_key(&x->r, ev, &parts, e);
    rc = rc < 0 ? rc : session_key_find(x, parts, &k, e);
    if (rc < 0)
        return rc;
    n = overlapping(x, k, ev->time, &at);
    if (n == 0 && ev->time + x->window->size_ms + x->window->grace_ms <= o->watermark) {
        run_late(o->run, o, ev, o->watermark);
        return operator_emit(o, OUT_LATE, ev, e);
    }
    rc = functions_eval(&x->r.f, ev, e);
    if (rc < 0)
        return rc;
    if (o->node->n_outs[OUT_CHANGES] > 0)
        rows_of(x, k->list + at, n, &before);
    rc = n == 0 ? begin(x, k, at, ev, parts, e) : grow(x, k, at, n, ev, e);
    if (rc < 0 || o->node->n_outs[OUT_CHANGES] == 0)
        return rc;
    return tell(x, k->list[at], &before, ev, e);
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
    results_parts(&x->r, s->key->k.key, s->exact, parts, a);
    ev = results_event(&x->r, parts, s->acc, s->b.start, s->b.end, a);
    return operator_emit(&x->op, OUT_FINAL, &ev, e);
}

// The first of its key.
static int close_session(struct sessions *x, struct session *s, struct err *e)
{
    int rc;

    list_cut(s->key, 0, 1);
    s->b.flags |= SESSION_OVER;
    session_keep(&x->graves, &x->n_graves, &x->cap_graves, s);
    session_key_list(x, s->key);
    rc = emit_final(x, s, e);
    if (rc == 0 && x->r.fused)
        session_row_op(x, s, false);
    else if (rc == 0)
        leave_row(x, s);
    return rc;
}

// The session of the key that closes first, if that is now.
static int close_of(struct sessions *x, struct session_key *k, struct err *e)
{
    int rc = 0;

    if (session_key_next(x, k) == k->at)
        rc = close_session(x, k->list[0], e);
    session_key_move(x, k, session_key_next(x, k));
    return rc;
}

// A row of the due index is gone. Its session has closed by the flush, or is put where it belongs
// by then. Whose it was is found near the front.
static void unplace(struct sessions *x, struct session_key *k, int64_t at)
{
    size_t i = 0;

    while (i < k->n && k->list[i]->due_at != at)
        i++;
    if (i == k->n)
        return;
    k->list[i]->due_at = DUE_NEVER;
    touch(x, k->list[i]);
}

static int take_due(void *arg, const struct due_row *row, struct err *e)
{
    struct sessions *x = arg;
    struct bytes note = row->note;
    struct value *parts;
    struct session_key *k;
    int rc = 0;

    arena_reset(&x->r.arena);
    parts = arena_alloc(&x->r.arena, (size_t)x->r.n_key * sizeof(*parts));
    for (int i = 0; i < x->r.n_key && rc == 0 && x->r.typed_keys; i++)
        rc = note.n > 1 ? unpack_value(&note, &parts[i]) : 0;
    if (rc < 0)
        return err_set(e, rc, "a state row of %s cannot be read", x->op.node->id);
    if (!x->r.typed_keys || row->note.n == 1)
        group_key_decode(row->parts[0].s, parts, x->r.n_key, &x->r.arena);
    buf_clear(&x->r.key);
    buf_append_bytes(&x->r.key, row->parts[0].s);
    rc = session_key_find(x, parts, &k, e);
    if (rc < 0)
        return rc;
    unplace(x, k, row->at);
    return 0;
}

static int sessions_watermark(struct operator *o, int64_t w, struct err *e)
{
    struct sessions *x = (struct sessions *)o;
    int rc = session_keys_know(x, e);

    while (rc >= 0) {
        struct session_key *k = x->n_heap > 0 ? x->heap[0] : NULL;
        int64_t first;

        rc = dueindex_first(&x->due, &first, e);
        if (rc < 0 || (first > w && (k == NULL || k->at > w)))
            break;
        rc = k == NULL ? 0 : dueindex_is_next(&x->due, k->at, k->k.key, e);
        if (rc == 1) {
            rc = close_of(x, k, e);
            if (rc == 0 && operator_pause(o))
                break;
        } else if (rc == 0) {
            rc = dueindex_take(&x->due, w, take_due, x, e);
        }
    }
    return rc;
}

static int64_t sessions_due(struct operator *o)
{
    struct sessions *x = (struct sessions *)o;
    int64_t first;

    // An error comes up again, with its words, where the operator is called.
    if (dueindex_first(&x->due, &first, NULL) < 0)
        return INT64_MIN + 1; // any watermark there is
    return x->n_heap > 0 && x->heap[0]->at < first ? x->heap[0]->at : first;
}

// --- the end of a step ---

static int sessions_flush(struct operator *o, struct err *e)
{
    return session_rows_flush((struct sessions *)o, e);
}

static void sessions_committed(struct operator *o)
{
    struct sessions *x = (struct sessions *)o;

    for (size_t i = 0; i < x->n_absorbed; i++)
        session_free(x, x->absorbed[i]);
    for (size_t i = 0; i < x->n_graves; i++)
        session_free(x, x->graves[i]);
    x->n_absorbed = x->n_graves = 0;
    agg_env_clear(&x->r.f.env);
}

static void sessions_aborted(struct operator *o)
{
    struct sessions *x = (struct sessions *)o;

    session_keys_clear(x);
    agg_env_clear(&x->r.f.env);
    dueindex_forget(&x->due);
}

static size_t sessions_held(struct operator *o)
{
    const struct sessions *x = (const struct sessions *)o;

    return x->bytes + x->r.f.env.bytes;
}

static void sessions_shrink(struct operator *o, size_t bytes)
{
    session_keys_evict((struct sessions *)o, bytes);
}

// --- open and close ---

static bool sessions_takes(const struct plan_node *n)
{
    return n->aggregate.window.kind == WINDOW_SESSION;
}

static int encode_due(struct buf *out, const struct value *parts, int n, struct err *e)
{
    (void)n, (void)e;
    buf_append_bytes(out, parts[0].s);
    return 0;
}

static int sessions_open(struct operator *o, struct err *e)
{
    static const char *const key[] = {"key"};
    struct sessions *x = (struct sessions *)o;
    int rc;

    x->window = &o->node->aggregate.window;
    x->due.encode = encode_due;
    hashmap_init(&x->keys, 0);
    rc = window_check(x->window, e);
    rc = rc < 0 ? rc : results_open(&x->r, o, e);
    return rc < 0 ? rc : dueindex_open(&x->due, o, "/due", key, 1, e);
}

static void sessions_close(struct operator *o)
{
    struct sessions *x = (struct sessions *)o;

    session_keys_clear(x);
    hashmap_deinit(&x->keys);
    dueindex_close(&x->due);
    heap_free(x->heap);
    heap_free(x->ops);
    heap_free(x->dues);
    heap_free(x->dirty);
    heap_free(x->absorbed);
    heap_free(x->graves);
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
