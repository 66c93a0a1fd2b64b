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
// Where they wait is lanes.c's; a row's window is the moment of expiry.
#include "operators/join.h"

#include "operators/groupkey.h"
#include "operators/keyed.h"
#include "operators/pack.h"
#include "runtime/base/heap.h"

static int64_t plus(int64_t a, int64_t b)
{
    int64_t v;

    return __builtin_add_overflow(a, b, &v) ? (b > 0 ? INT64_MAX : INT64_MIN) : v;
}

// --- what is packed ---

// The key's parts as they came, where the key in memory may show them differently, then the value.
static int pack_record(struct lanes *b, const struct event *ev, const struct value *parts,
                       bool own_key, struct err *e)
{
    int rc = 0;

    buf_clear(&b->scratch);
    for (int i = 0; i < b->spec.n_key && rc == 0 && own_key; i++)
        rc = pack_value(&b->scratch, &parts[i], e);
    return rc < 0 ? rc : pack_value(&b->scratch, &ev->view.root, e);
}

static int unpack_record(const struct lanes *b, const struct lane_record *x, struct value *parts,
                         struct value *v, struct err *e)
{
    struct bytes rest;
    int rc = lanes_parts(b, x, parts, &rest);

    rc = rc < 0 ? rc : unpack_value(&rest, v);
    return rc < 0 ? err_set(e, rc, "a waiting record was not written by leat") : 0;
}

// --- records ---

static int emit_pair(struct join *j, struct event *ev, int side, const struct lane_record *other,
                     struct err *e)
{
    struct arena *a = run_arena(j->op.run);
    struct value parts[LANES_PARTS_MAX], theirs, v;
    struct event out;
    int rc = unpack_record(&j->buffer, other, parts, &theirs, e);

    if (rc < 0)
        return rc;
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

static void match(struct join *j, struct lane_record *x)
{
    if (!j->buffer.spec.kept[x->side] || x->flags.done)
        return;
    run_undo_bytes(j->op.run, &x->flags, sizeof(x->flags));
    x->flags.done = true;
    lanes_list(&j->buffer, x);
}

// Those of the other side with a time in [from, to], in order; `met` when there is one.
static int meet(struct join *j, struct lane_key *k, struct event *ev, int side, bool *met,
                struct err *e)
{
    const struct plan_join *x = &j->op.node->join;
    int other = side == SIDE_LEFT ? SIDE_RIGHT : SIDE_LEFT;
    int64_t from = side == SIDE_LEFT ? plus(ev->time, x->lo_ms) : plus(ev->time, -x->hi_ms);
    int64_t to = side == SIDE_LEFT ? plus(ev->time, x->hi_ms) : plus(ev->time, -x->lo_ms);
    struct lane *l = &k->lanes[other];
    int rc = lanes_cover(&j->buffer, k, other, from, e);

    for (size_t i = lane_index(l, from, INT64_MIN); i < l->n && rc == 0; i++) {
        struct lane_record *y = l->list[i];

        if (y->time > to)
            break;
        if (lanes_dead(&j->buffer, y->window))
            continue;
        *met = true;
        match(j, y);
        rc = emit_pair(j, ev, side, y, e);
    }
    return rc;
}

struct added {
    struct lanes *buffer;
    struct lane_record *record;
};

static void take_back(void *arg)
{
    struct added *u = arg;

    lanes_drop(u->buffer, u->record);
}

static int wait_for_others(struct join *j, struct lane_key *k, struct event *ev, int side, bool met,
                           struct err *e)
{
    struct lanes *b = &j->buffer;
    struct added *u = arena_alloc(run_arena(j->op.run), sizeof(*u));
    struct lane_new r = {.time = ev->time, .seq = b->next_seq};
    const struct value *parts;
    int n = event_key_parts(ev, &parts), rc;

    r.own_key = !group_key_is_exact(parts, n);
    rc = pack_record(b, ev, parts, r.own_key, e);
    if (rc < 0)
        return rc;
    r.packed = buf_bytes(&b->scratch);
    r.done = met && b->spec.kept[side];
    b->next_seq++;
    *u = (struct added){b, lanes_add(b, k, side, &r)};
    run_undo_call(j->op.run, take_back, u);
    lanes_list(b, u->record);
    return 0;
}

int join_streams_process(struct join *j, struct event *ev, int side, struct err *e)
{
    struct lanes *b = &j->buffer;
    const struct value *parts;
    struct lane_key *k;
    bool met = false;
    int n = event_key_parts(ev, &parts), rc = lanes_know(b, e);

    if (rc < 0)
        return rc;
    if (n == 0)
        return err_set(e, LEAT_EKEY, "the record has no key: put :by before the join");
    if (n != b->spec.n_key)
        return err_set(e, LEAT_EKEY, "the key has %d parts, not %d", n, b->spec.n_key);
    if (lanes_dead(b, lanes_window(b, side, ev->time))) {
        run_late(j->op.run, &j->op, ev, j->op.watermark);
        return 0;
    }
    rc = lanes_find(b, parts, &k, e);
    if (rc < 0)
        return rc;
    lanes_trim(b, k);
    rc = meet(j, k, ev, side, &met, e);
    return rc < 0 ? rc : wait_for_others(j, k, ev, side, met, e);
}

// --- expiry ---

static int emit_alone(struct join *j, const struct lane_record *x, struct err *e)
{
    struct arena *a = &j->arena;
    struct event ev = {.topic = bytes_str(j->op.node->id), .partition = -1, .offset = -1};
    struct value_array array = {.n = (size_t)j->buffer.spec.n_key};
    struct value key = {.type = VALUE_ARRAY, .array = &array}, v;
    int rc;

    arena_reset(a);
    array.items = arena_alloc(a, array.n * sizeof(*array.items));
    rc = unpack_record(&j->buffer, x, array.items, &v, e);
    if (rc == 0 && x->side == SIDE_RIGHT)
        rc = join_values(j, &VALUE_OF_MISSING, &v, a, &v, e);
    if (rc < 0)
        return rc;
    ev.time = ev.timestamp = x->window;
    ev.key = value_copy(array.n == 1 ? &array.items[0] : &key, a);
    view_of(&ev.view, NULL, v, a);
    return operator_emit(&j->op, OUT_MAIN, &ev, e);
}

int join_streams_watermark(struct join *j, int64_t w, struct err *e)
{
    struct lane_record *x;
    int rc;

    while ((rc = lanes_next(&j->buffer, w, &x, e)) == 1) {
        if (x->flags.done)
            continue;
        rc = emit_alone(j, x, e);
        x->flags.done = true;
        lanes_list(&j->buffer, x); // is written only when the rest has to wait
        if (rc < 0 || operator_pause(&j->op))
            break;
    }
    return rc;
}

int64_t join_streams_due(struct join *j)
{
    int64_t at;

    if (lanes_due(&j->buffer, &at, NULL) != 0) // said again where it is called
        return INT64_MIN;
    return at;
}

// --- the rest ---

int join_streams_flush(struct join *j, struct err *e)
{
    return lanes_flush(&j->buffer, e);
}

void join_streams_committed(struct join *j)
{
    lanes_committed(&j->buffer);
}

void join_streams_aborted(struct join *j)
{
    lanes_aborted(&j->buffer);
}

size_t join_streams_held(struct join *j)
{
    return j->buffer.bytes;
}

void join_streams_shrink(struct join *j, size_t bytes)
{
    lanes_shrink(&j->buffer, bytes);
}

int join_streams_open(struct join *j, struct err *e)
{
    static const char *const own_key[] = {"key"};
    const struct plan_node *n = j->op.node;
    const struct plan_join *x = &n->join;
    struct lanes_spec spec = {
        .key_names = n->n_key_names > 0 ? n->key_names : own_key,
        .n_key = n->n_key_names > 0 ? n->n_key_names : 1,
        .encode = keyed_encode,
        .kept = {x->kind != JOIN_INNER, x->kind == JOIN_OUTER},
        .ahead = {plus(x->hi_ms > 0 ? x->hi_ms : 0, x->grace_ms),
                  plus(x->lo_ms < 0 ? -x->lo_ms : 0, x->grace_ms)},
    };

    arena_init(&j->arena);
    if (x->lo_ms > x->hi_ms)
        return err_set(e, LEAT_EINVAL, "within = {from, to}: from is after to");
    return lanes_open(&j->buffer, &j->op, &spec, e);
}

void join_streams_close(struct join *j)
{
    lanes_close(&j->buffer);
    arena_deinit(&j->arena);
}
