// SPDX-License-Identifier: Apache-2.0
//
// Look-back windows: each reading comes out once, with what the readings of its key from `last`
// before it up to itself give ([t - last, t], both ends in). Its own fields stay; an aggregate of
// the same name takes a field's place.
//
//   record     is kept, with the functions' arguments. What the watermark has reached already comes
//              out at once
//   watermark  readings with t + grace <= W come out by (time, key bytes, arrival)
//
// Readings are kept in lanes (lanes.h), until no later one can look back to them.
//
// A reading sees those of its own time that are there when it comes out, also later arrivals (as
// SQL's RANGE does). One that comes after the watermark has passed it (t + grace < W) is late: it
// goes to OUT_LATE and comes out no more, but later readings that look back that far count it.
//
// A reading costs a few steps for each one that it looks back to. A value changes hands as it came;
// what an operator built travels as MessagePack that keeps decimals.
//
// What is packed of a reading: the arguments, the value; the value goes when it is out.
#include "operators/groupkey.h"
#include "operators/lanes.h"
#include "operators/operators.h"
#include "operators/pack.h"
#include "operators/results.h"
#include "operators/window.h"
#include "runtime/base/heap.h"

struct last {
    struct operator op;
    const struct plan_window *window;
    struct results r;
    struct lanes lanes;
    uint64_t *acc; // scratch
};

// --- results ---

static void object_put(struct value_object *obj, struct bytes name, struct value v)
{
    for (size_t i = 0; i < obj->n; i++)
        if (bytes_eq(obj->names[i], name))
            obj->values[i] = VALUE_OF_MISSING; // the last of a name counts
    obj->names[obj->n] = name;
    obj->values[obj->n++] = v;
}

static int result_object(struct last *x, const struct lane_record *r, struct arena *a,
                         struct value_object **out, struct err *e)
{
    const struct value *v = &r->values[x->r.f.n_args];
    size_t room = value_count(v) + (size_t)x->r.f.n + 1;
    struct value_object *obj = arena_zalloc(a, sizeof(*obj));
    struct value *results = arena_alloc(a, room * sizeof(*results));
    struct value_iter it;
    struct bytes name;
    struct value member;
    int rc;

    obj->names = arena_alloc(a, room * sizeof(*obj->names));
    obj->values = arena_alloc(a, room * sizeof(*obj->values));
    value_iter_init(&it, v, a);
    while ((rc = value_iter_next(&it, &name, &member, e)) > 0)
        object_put(obj, name, member);
    functions_results(&x->r.f, x->acc, results, a);
    for (int i = 0; i < x->r.f.n; i++)
        object_put(obj, x->r.f.specs[i].name, results[i]);
    *out = obj;
    return rc;
}

// The readings of its key from `last` before it up to `to`, into x->acc. Nothing here needs undo:
// it is dropped after use.
static int look_back(struct last *x, const struct lane_record *r, int64_t to, struct err *e)
{
    const struct lane *l = &r->key->lanes[SIDE_LEFT];
    int64_t from = r->time - x->window->size_ms;
    int rc = lanes_cover(&x->lanes, r->key, SIDE_LEFT, from, e);

    for (size_t i = lane_index(l, from, INT64_MIN); i < l->n && rc == 0; i++) {
        const struct lane_record *y = l->list[i];

        if (y->time > to)
            break;
        if (!lanes_dead(&x->lanes, y->window))
            rc = functions_add(&x->r.f, x->acc, y->values, y->time, e);
    }
    return rc;
}

static void acc_clear(struct last *x)
{
    functions_drop(&x->r.f, x->acc);
    memset(x->acc, 0, x->r.f.bytes);
}

// Whether its arguments go with those of all whom it may meet in an answer: a record that does not
// fit is to fail itself, not the readings that look back to it.
static int check_fit(struct last *x, const struct lane_record *r, struct err *e)
{
    int rc = look_back(x, r, r->time + x->window->size_ms, e);

    acc_clear(x);
    return rc;
}

static int emit(struct last *x, struct lane_record *r, struct err *e)
{
    struct event ev = {.partition = -1, .offset = -1, .time = r->time, .timestamp = r->time};
    struct value parts[LANES_PARTS_MAX];
    struct value_array array = {.n = (size_t)x->r.n_key, .items = parts};
    struct value_object *obj;
    struct bytes rest;
    struct arena a;
    int rc = lanes_parts(&x->lanes, r, parts, &rest);

    rc = rc < 0 ? rc : look_back(x, r, r->time, e);
    arena_init(&a);
    if (rc == 0)
        rc = result_object(x, r, &a, &obj, e);
    if (rc == 0) {
        ev.key = x->r.n_key == 1 ? parts[0] : (struct value){.type = VALUE_ARRAY, .array = &array};
        view_of(&ev.view, NULL, (struct value){.type = VALUE_OBJECT, .object = obj}, &a);
        rc = operator_emit(&x->op, OUT_MAIN, &ev, e);
    }
    acc_clear(x);
    arena_deinit(&a);
    return rc;
}

// --- records ---

struct kept {
    struct lanes *lanes;
    struct lane_record *r;
};

static void undo_keep(void *arg)
{
    struct kept *u = arg;

    lanes_drop(u->lanes, u->r);
}

static int pack_reading(struct last *x, const struct event *ev, const struct value *parts,
                        struct lane_new *r, struct err *e)
{
    struct buf *b = &x->r.blob;
    int rc = 0;

    r->own_key = !group_key_is_exact(parts, x->r.n_key);
    buf_clear(b);
    for (int i = 0; i < x->r.n_key && rc == 0 && r->own_key; i++)
        rc = pack_value(b, &parts[i], e);
    for (int i = 0; i < x->r.f.n_args && rc == 0; i++)
        rc = pack_value(b, &x->r.f.args[i], e);
    if (rc == 0)
        rc = pack_value(b, &ev->view.root, e);
    r->packed = buf_bytes(b);
    return rc;
}

// `late`: only those that look back to it will see it.
static int keep(struct last *x, struct event *ev, const struct value *parts, bool late,
                struct lane_record **out, struct err *e)
{
    struct kept *u = arena_alloc(run_arena(x->op.run), sizeof(*u));
    struct lane_new r = {.time = ev->time, .done = late};
    struct lane_key *k;
    int rc = functions_eval(&x->r.f, ev, e);

    rc = rc < 0 ? rc : pack_reading(x, ev, parts, &r, e);
    rc = rc < 0 ? rc : lanes_find(&x->lanes, parts, &k, e);
    if (rc < 0)
        return rc;
    lanes_trim(&x->lanes, k);
    r.seq = x->lanes.next_seq++;
    *u = (struct kept){&x->lanes, lanes_add(&x->lanes, k, SIDE_LEFT, &r)};
    ASSERT(u->r != NULL);
    run_undo_call(x->op.run, undo_keep, u);
    lanes_list(&x->lanes, u->r);
    *out = u->r;
    return check_fit(x, u->r, e);
}

static int emit_now(struct last *x, struct lane_record *r, struct err *e)
{
    run_undo_bytes(x->op.run, &r->flags, sizeof(r->flags));
    r->flags.done = true;
    lanes_list(&x->lanes, r);
    return emit(x, r, e);
}

static int last_process(struct operator *o, struct event *ev, int input, struct err *e)
{
    struct last *x = (struct last *)o;
    int64_t out = ev->time + x->window->grace_ms;
    const struct value *parts;
    struct lane_record *r;
    int rc = lanes_know(&x->lanes, e);

    (void)input;
    rc = rc < 0 ? rc : window_time_check(ev->time, e);
    rc = rc < 0 ? rc : results_key(&x->r, ev, &parts, e);
    if (rc < 0)
        return rc;
    if (!value_is_object(&ev->view.root))
        return err_set(e, LEAT_ETYPE, "a look-back window adds to the fields of an object, not to "
                                      "%s", value_type_name(&ev->view.root));
    if (out < o->watermark) {
        if (!lanes_dead(&x->lanes, ev->time))
            rc = keep(x, ev, parts, true, &r, e);
        if (rc < 0)
            return rc;
        run_late(o->run, o, ev, o->watermark);
        return operator_emit(o, OUT_LATE, ev, e);
    }
    rc = keep(x, ev, parts, false, &r, e);
    return rc == 0 && out == o->watermark ? emit_now(x, r, e) : rc;
}

// --- the watermark ---

static int last_watermark(struct operator *o, int64_t w, struct err *e)
{
    struct last *x = (struct last *)o;
    struct lane_record *r;
    int rc;

    while ((rc = lanes_next(&x->lanes, w, &r, e)) == 1) {
        rc = r->flags.done ? 0 : emit_now(x, r, e);
        if (rc < 0 || operator_pause(o))
            break;
    }
    return rc;
}

static int64_t last_due(struct operator *o)
{
    int64_t at;

    if (lanes_due(&((struct last *)o)->lanes, &at, NULL) != 0) // said again where it is called
        return INT64_MIN + 1;
    return at;
}

// --- the rest ---

static int last_flush(struct operator *o, struct err *e)
{
    return lanes_flush(&((struct last *)o)->lanes, e);
}

static void last_committed(struct operator *o)
{
    lanes_committed(&((struct last *)o)->lanes);
}

static void last_aborted(struct operator *o)
{
    lanes_aborted(&((struct last *)o)->lanes);
}

static size_t last_held(struct operator *o)
{
    return ((struct last *)o)->lanes.bytes;
}

static void last_shrink(struct operator *o, size_t bytes)
{
    lanes_shrink(&((struct last *)o)->lanes, bytes);
}

static bool last_takes(const struct plan_node *n)
{
    return n->aggregate.window.kind == WINDOW_LAST;
}

static int encode_key(struct buf *out, const struct value *parts, int n, struct err *e)
{
    buf_clear(out);
    return group_key_encode(out, parts, n, e);
}

static int open_lanes(struct last *x, struct err *e)
{
    static const char *const own_key[] = {"key"};
    const struct plan_node *n = x->op.node;
    struct lanes_spec spec = {
        .key_names = n->n_key_names > 0 ? n->key_names : own_key,
        .n_key = x->r.n_key,
        .encode = encode_key,
        .plain = true,
        .kept = {true, false},
        .out_ms = x->window->grace_ms - 1,
        .dead_ms = x->window->grace_ms + x->window->size_ms,
        .n_values = x->r.f.n_args + 1,
    };

    return lanes_open(&x->lanes, &x->op, &spec, e);
}

static int last_open(struct operator *o, struct err *e)
{
    struct last *x = (struct last *)o;
    int rc;

    x->window = &o->node->aggregate.window;
    rc = window_check(x->window, e);
    rc = rc < 0 ? rc : results_open(&x->r, o, e);
    if (rc < 0)
        return rc;
    x->r.f.env.run = NULL; // accumulators do not outlive a call
    x->acc = heap_zalloc(x->r.f.bytes + 1);
    return open_lanes(x, e);
}

static void last_close(struct operator *o)
{
    struct last *x = (struct last *)o;

    lanes_close(&x->lanes);
    heap_free(x->acc);
    results_close(&x->r);
}

const struct operator_type operator_last = {
    .kind = NODE_AGGREGATE,
    .takes = last_takes,
    .size = sizeof(struct last),
    .open = last_open,
    .process = last_process,
    .watermark = last_watermark,
    .due = last_due,
    .flush = last_flush,
    .committed = last_committed,
    .aborted = last_aborted,
    .held = last_held,
    .shrink = last_shrink,
    .close = last_close,
};
