// SPDX-License-Identifier: Apache-2.0
//
// process: a function of the user's per record, with a state of the record's key and timers in
// event time.
//
//   record       on(v, ctx) over the key's state; what it emits, then what it returns, goes on
//   timer        when W >= its time: timer(name, ctx), with the timer's time as event time
//   old version  a state that another version of the job wrote, or this version before the shape of
//                its states changed, goes through upgrade(old, version) when it is first used
//
// Timers fire in the order (time, key, name), each as a record of its own: it is gone from the key
// when it fires, and if its function fails, the firing is parked, not the key's next records. The
// state is kept as MessagePack and written when that has changed.
#include "operators/calls.h"
#include "operators/keyed.h"

#include "runtime/base/limits.h"

struct process {
    struct operator op;
    struct keyed keyed;
    struct arena arena; // of the timer that fires
    int64_t version;    // that states are written with: the job's, and the generation of the shape
};

// In a state's version: the job's below, the generation above.
#define GENERATION_SHIFT 32
#define JOB_VERSION(v) ((v) & ((INT64_C(1) << GENERATION_SHIFT) - 1))

static int process_open(struct operator *o, struct err *e)
{
    struct process *p = (struct process *)o;
    int64_t generation = 0;
    int rc;

    arena_init(&p->arena);
    if (o->node->process.on == NULL)
        return err_set(e, LEAT_EINVAL, "process needs a function: on = function(v, ctx)");
    rc = run_number_get(o->run, arena_printf(&p->arena, GENERATION_NUMBER "%s", o->node->id),
                        &generation, e);
    if (rc < 0)
        return rc;
    p->version = run_plan(o->run)->version | generation << GENERATION_SHIFT;
    return keyed_open(&p->keyed, o, o->node->process.ttl_ms, e);
}

// --- timers of a key ---

// Where the name is, or belongs.
static size_t timer_index(const struct keyed_body *b, struct bytes name)
{
    size_t i = 0;

    while (i < b->n_timers && bytes_cmp(b->timers[i].name, name) < 0)
        i++;
    return i;
}

static void timer_remove(struct keyed_body *b, size_t i)
{
    b->n_timers--;
    memmove(b->timers + i, b->timers + i + 1, (b->n_timers - i) * sizeof(*b->timers));
}

static int timer_apply(struct keyed_body *b, const struct fn_timer *t, struct arena *a,
                       struct err *e)
{
    size_t i = timer_index(b, t->name);
    bool there = i < b->n_timers && bytes_eq(b->timers[i].name, t->name);
    struct keyed_timer *grown;

    if (t->cancel) {
        if (there)
            timer_remove(b, i);
        return 0;
    }
    if (there) {
        b->timers[i].at = t->at;
        return 0;
    }
    if (b->n_timers == KEYED_TIMERS_MAX)
        return err_set(e, LEAT_EBUDGET, "one key has more than %d timers", KEYED_TIMERS_MAX);
    grown = arena_alloc(a, (b->n_timers + 1) * sizeof(*grown));
    if (b->n_timers > 0) {
        memcpy(grown, b->timers, i * sizeof(*grown));
        memcpy(grown + i + 1, b->timers + i, (b->n_timers - i) * sizeof(*grown));
    }
    grown[i] = (struct keyed_timer){.name = t->name, .at = t->at};
    b->timers = grown;
    b->n_timers++;
    return 0;
}

// --- calls ---

static int upgraded(struct operator *o, struct event *ev, struct keyed_body *b, struct value *state,
                    struct err *e)
{
    struct process *p = (struct process *)o;
    struct fn_call call = {.upgrade_from = JOB_VERSION(b->version)};
    struct event old = *ev;
    int rc;

    if (o->node->process.upgrade == NULL || b->version == p->version ||
        state->type == VALUE_MISSING)
        return 0;
    view_of(&old.view, NULL, *state, run_arena(o->run));
    rc = operator_call(o, o->node->process.upgrade, &old, &call, e);
    if (rc == 0)
        *state = call.result;
    return rc < 0 ? err_wrap(e, rc, "upgrade") : 0;
}

// The state as the function shall see it.
static int state_of(struct operator *o, struct event *ev, struct keyed_body *b, struct value *out,
                    struct err *e)
{
    struct process *p = (struct process *)o;
    int rc;

    *out = VALUE_OF_MISSING;
    if (!bytes_is_null(b->state) && keyed_expired(&p->keyed, b))
        b->state = BYTES_NULL;
    if (bytes_is_null(b->state)) {
        *out = o->node->process.state;
        return 0;
    }
    rc = value_decode(FORMAT_STATE, b->state, run_arena(o->run), out, e);
    if (rc == 0)
        rc = value_force(out, run_arena(o->run), e);
    return rc < 0 ? rc : upgraded(o, ev, b, out, e);
}

static int keep_state(struct process *p, const struct fn_keyed *k, struct keyed_body *b,
                      struct buf *packed, struct err *e)
{
    int rc = 0;

    if (!k->used)
        return 0;
    b->state = BYTES_NULL;
    if (!value_is_nil(&k->state)) {
        rc = value_write_state(&k->state, packed, e);
        b->state = buf_bytes(packed);
        b->version = p->version;
    }
    return rc;
}

// After the call: the key's new body.
static int keep(struct operator *o, struct keyed_entry *x, struct keyed_body *b,
                const struct event *ev, const struct fn_keyed *k, struct err *e)
{
    struct process *p = (struct process *)o;
    struct buf packed = BUF_EMPTY;
    int rc = keep_state(p, k, b, &packed, e);

    for (size_t i = 0; i < k->n_timers && rc == 0; i++)
        rc = timer_apply(b, &k->timers[i], run_arena(o->run), e);
    if (p->keyed.ttl_ms > 0 && ev->time > b->touched)
        b->touched = ev->time;
    if (p->keyed.ttl_ms <= 0)
        b->touched = INT64_MIN;
    if (rc == 0)
        rc = keyed_set(&p->keyed, x, b, true, e);
    buf_deinit(&packed);
    if (rc == 0 && x->next <= o->watermark)
        operator_overdue(o);
    return rc;
}

static int check_timers(const struct operator *o, const struct event *ev, const struct fn_keyed *k,
                        bool firing, struct err *e)
{
    for (size_t i = 0; i < k->n_timers; i++) {
        if (k->timers[i].cancel)
            continue;
        if (o->node->process.timer == NULL)
            return err_set(e, LEAT_ELUA, "ctx:timer is used, but process has no timer function");
        if (firing && k->timers[i].at <= ev->time)
            return err_set(e, LEAT_ELUA,
                           "timer \"%.*s\" is set for a time that is not after the timer that sets "
                           "it: they would fire for ever",
                           BYTES_FMT(k->timers[i].name));
    }
    return 0;
}

static int process_process(struct operator *o, struct event *ev, int input, struct err *e)
{
    struct process *p = (struct process *)o;
    bool firing = input == INPUT_SELF;
    struct fn *f = firing ? o->node->process.timer : o->node->process.on;
    struct fn_keyed k = {.state = VALUE_OF_MISSING};
    struct fn_call call = {.keyed = &k};
    struct keyed_entry *x;
    struct keyed_body b;
    int rc = keyed_find(&p->keyed, &ev->key, &x, e);

    if (rc == 0)
        rc = keyed_unpack(x, run_arena(o->run), &b, e);
    if (rc == 0 && f == NULL)
        rc = err_set(e, LEAT_ELUA, "process has no timer function any more");
    if (rc == 0)
        rc = state_of(o, ev, &b, &k.state, e);
    if (rc == 0)
        rc = operator_call(o, f, ev, &call, e);
    if (rc == 0)
        rc = check_timers(o, ev, &k, firing, e);
    if (rc == 0)
        rc = keep(o, x, &b, ev, &k, e);
    return rc < 0 ? rc : operator_emit_call(o, ev, &call, e);
}

// --- firing ---

static int fire(struct process *p, struct keyed_entry *x, struct err *e)
{
    struct event ev = {.topic = bytes_str(p->op.node->id), .partition = -1, .offset = -1};
    struct keyed_body b;
    struct value name;
    size_t i = 0;
    int rc;

    arena_reset(&p->arena);
    rc = keyed_unpack(x, &p->arena, &b, e);
    if (rc < 0)
        return rc;
    while (b.timers[i].at != x->next)
        i++;
    name = value_text(arena_copy(&p->arena, b.timers[i].name));
    ev.time = ev.timestamp = x->next;
    ev.key = p->keyed.n_key == 1 ? x->k.array.items[0] : x->k.parts;
    ev.key = value_copy(&ev.key, &p->arena);
    timer_remove(&b, i);
    rc = keyed_set(&p->keyed, x, &b, false, e);
    view_of(&ev.view, NULL, name, &p->arena);
    return rc < 0 ? rc : operator_self(&p->op, &ev, e);
}

static int process_watermark(struct operator *o, int64_t w, struct err *e)
{
    struct process *p = (struct process *)o;
    struct keyed_entry *x;
    int rc;

    while ((rc = keyed_next(&p->keyed, w, &x, e)) == 1) {
        rc = fire(p, x, e);
        if (rc < 0 || operator_pause(o))
            break;
    }
    return rc;
}

static int64_t process_due(struct operator *o)
{
    return keyed_due(&((struct process *)o)->keyed);
}

static int process_flush(struct operator *o, struct err *e)
{
    return keyed_flush(&((struct process *)o)->keyed, e);
}

static void process_committed(struct operator *o)
{
    keyed_committed(&((struct process *)o)->keyed);
}

static void process_aborted(struct operator *o)
{
    keyed_aborted(&((struct process *)o)->keyed);
}

static size_t process_held(struct operator *o)
{
    return keyed_held(&((struct process *)o)->keyed);
}

static void process_shrink(struct operator *o, size_t bytes)
{
    keyed_shrink(&((struct process *)o)->keyed, bytes);
}

static void process_close(struct operator *o)
{
    struct process *p = (struct process *)o;

    keyed_close(&p->keyed);
    arena_deinit(&p->arena);
}

const struct operator_type operator_process = {
    .kind = NODE_PROCESS,
    .size = sizeof(struct process),
    .open = process_open,
    .process = process_process,
    .watermark = process_watermark,
    .due = process_due,
    .flush = process_flush,
    .committed = process_committed,
    .aborted = process_aborted,
    .held = process_held,
    .shrink = process_shrink,
    .close = process_close,
};
