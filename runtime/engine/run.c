// SPDX-License-Identifier: Apache-2.0
//
// A running plan: operators made from their types, and the way of one record through them.
//
// Happy path: run_enter hands an event to the readers of a source; each operator processes it and
// emits to its own readers before it returns, so one call goes through the whole plan, depth first.
// What the record changes is remembered (undo list, lengths of the output buffers) or lies inside a
// savepoint, which is opened when the record first reaches an operator that writes rows: a record
// that a `where` drops costs none.
//
//   failure in an operator      undo newest first, rollback, the record is the caller's to park
//   failure in a born record    the same, but back to the operator that made it, which goes on
//   failure of the machine      the same; the caller aborts the step
//
// Nothing here allocates per record but the growth of buffers that are kept.
#include "runtime/engine/run.h"

#include "runtime/base/heap.h"
#include "runtime/base/limits.h"
#include "runtime/engine/class.h"
#include "runtime/expr/expr.h"

#include <stdio.h>

// --- making and closing ---

static int open_operator(struct run *r, int i, const struct operator_type *const *types,
                         struct err *e)
{
    const struct plan_node *n = &r->plan->nodes[i];
    const struct operator_type *t = plan_operator_type(r->plan, n, types);
    struct operator* o;
    int rc;

    ASSERT(t != NULL && t->size >= sizeof *o);
    o = heap_zalloc(t->size);
    o->type = t;
    o->node = n;
    o->run = r;
    o->watermark = INT64_MIN;
    r->ops[i] = o;
    r->closes = r->closes || t->watermark != NULL;
    rc = t->open != NULL ? t->open(o, e) : 0;
    if (rc != 0)
        return err_wrap(e, rc, "%s:%d: in %s", r->plan->file, n->line, node_kind_name(n->kind));
    return 0;
}

// `nth`: a stream may be joined with itself.
static int input_of(const struct plan_node *reader, int node, enum plan_port port, int nth)
{
    for (int i = 0; i < reader->n_inputs; i++)
        if (reader->inputs[i].node == node && reader->inputs[i].port == port && nth-- == 0)
            return i;
    UNREACHABLE("a reader that does not read");
}

static void make_routes(struct run *r, int node, enum plan_port port)
{
    const struct plan_node *n = &r->plan->nodes[node];
    struct run_routes *to = &r->ports[node * OUT_PORTS + (int)port];

    to->n = n->n_outs[port];
    to->routes = heap_alloc((size_t)to->n * sizeof *to->routes + 1);
    for (int i = 0; i < to->n; i++) {
        int reader = n->outs[port][i].node;
        const struct plan_node *m = &r->plan->nodes[reader];
        int nth = 0;

        for (int k = 0; k < i; k++)
            nth += n->outs[port][k].node == reader;
        to->routes[i] = (struct run_route){.op = r->ops[reader],
                                           .fields = m->fields,
                                           .input = input_of(m, node, port, nth),
                                           .writes = m->writes_rows};
    }
}

static struct run_number *number_of(struct run *r, const char *name)
{
    struct run_number *x;

    for (size_t i = 0; i < r->n_numbers; i++)
        if (strcmp(r->numbers[i]->name, name) == 0)
            return r->numbers[i];
    r->numbers = heap_realloc(r->numbers, (r->n_numbers + 1) * sizeof *r->numbers);
    x = heap_zalloc(sizeof *x);
    x->name = heap_strdup(name);
    r->numbers[r->n_numbers++] = x;
    return x;
}

static void make_counters(struct run *r)
{
    char name[512];

    r->skipped = number_of(r, "skipped");
    r->late = number_of(r, "late");
    for (int i = 0; i < r->plan->n_nodes; i++) {
        snprintf(name, sizeof name, "late:%s", r->plan->nodes[i].id);
        if (r->plan->nodes[i].kind == NODE_AGGREGATE || r->plan->nodes[i].kind == NODE_JOIN)
            r->late_of[i] = number_of(r, name);
        if (r->plan->nodes[i].kind == NODE_TO)
            r->dest_of[i] = outputs_dest(&r->out, r->plan->nodes[i].to.topic);
    }
}

int run_open(struct run *r, const struct plan *p, const struct operator_type *const *types,
             struct store *s, struct err *e)
{
    size_t n = (size_t)p->n_nodes;
    int rc;

    *r = (struct run){
        .plan = p, .store = s, .memory = {.cache = JOB_CACHE_BYTES, .step = JOB_STEP_BYTES}};
    arena_init(&r->born_arena);
    arena_init(&r->expire_arena);
    r->ops = heap_zalloc(n * sizeof *r->ops);
    r->ports = heap_zalloc(n * OUT_PORTS * sizeof *r->ports);
    r->dest_of = heap_zalloc(n * sizeof *r->dest_of);
    r->late_of = heap_zalloc(n * sizeof *r->late_of);
    outputs_init(&r->out, p);
    make_counters(r);
    r->expires = run_expires(r);
    rc = plan_check_operators(p, types, e);
    for (int i = 0; i < p->n_nodes && rc == 0; i++)
        rc = open_operator(r, i, types, e);
    if (rc != 0)
        return rc;
    for (int i = 0; i < p->n_nodes; i++)
        for (int port = 0; port < OUT_PORTS; port++)
            make_routes(r, i, (enum plan_port)port);
    return run_watch(r, e);
}

void run_close(struct run *r)
{
    if (r->plan == NULL)
        return;
    for (int i = 0; i < r->plan->n_nodes; i++) {
        if (r->ops[i] != NULL && r->ops[i]->type->close != NULL)
            r->ops[i]->type->close(r->ops[i]);
        heap_free(r->ops[i]);
        for (int port = 0; port < OUT_PORTS; port++)
            heap_free(r->ports[i * OUT_PORTS + port].routes);
    }
    for (size_t i = 0; i < r->n_numbers; i++) {
        heap_free(r->numbers[i]->name);
        heap_free(r->numbers[i]);
    }
    outputs_deinit(&r->out);
    buf_deinit(&r->undo_bytes);
    buf_deinit(&r->sample_bytes);
    arena_deinit(&r->born_arena);
    arena_deinit(&r->expire_arena);
    heap_free(r->ops);
    heap_free(r->ports);
    heap_free(r->dest_of);
    heap_free(r->late_of);
    heap_free(r->numbers);
    heap_free(r->undo);
    heap_free(r->samples);
    *r = (struct run){0};
}

// --- undo ---

static struct run_undo *undo_push(struct run *r)
{
    if (r->n_undo == r->cap_undo) {
        r->cap_undo = r->cap_undo ? r->cap_undo * 2 : 64;
        r->undo = heap_realloc(r->undo, r->cap_undo * sizeof *r->undo);
    }
    return &r->undo[r->n_undo++];
}

void run_undo_bytes(struct run *r, void *p, size_t n)
{
    ASSERT(n > 0);
    *undo_push(r) = (struct run_undo){.p = p, .n = n, .pos = r->undo_bytes.n};
    buf_append(&r->undo_bytes, p, n);
}

void run_undo_call(struct run *r, void (*undo)(void *arg), void *arg)
{
    *undo_push(r) = (struct run_undo){.p = arg, .call = undo};
}

struct run_mark {
    size_t undo, undo_bytes, samples, sample_bytes;
    struct outputs_mark out;
};

static struct run_mark mark(const struct run *r)
{
    return (struct run_mark){.undo = r->n_undo,
                             .undo_bytes = r->undo_bytes.n,
                             .samples = r->n_samples,
                             .sample_bytes = r->sample_bytes.n,
                             .out = outputs_mark(&r->out)};
}

static void take_back(struct run *r, const struct run_mark *m)
{
    while (r->n_undo > m->undo) {
        const struct run_undo *u = &r->undo[--r->n_undo];
        if (u->call != NULL)
            u->call(u->p);
        else
            memcpy(u->p, r->undo_bytes.p + u->pos, u->n);
    }
    r->undo_bytes.n = m->undo_bytes;
    r->n_samples = m->samples;
    r->sample_bytes.n = m->sample_bytes;
    outputs_undo(&r->out, m->out);
}

// --- the way of a record ---

static int open_savepoint(struct run *r, struct err *e)
{
    int rc = r->store->ops->savepoint(r->store, e);

    r->sp = rc == 0;
    return rc;
}

// A reader compiled against another field plan (the second side of a merge, or behind a new value)
// gets the same value with its own slots.
static void look_again(struct event *copy, const struct event *ev, const struct fieldplan *fields)
{
    *copy = *ev;
    view_of(&copy->view, fields, ev->view.root, ev->view.arena);
    copy->view.raw = ev->view.raw;
    copy->view.format = ev->view.format;
}

static int deliver(struct run *r, const struct run_route *to, struct event *ev, struct err *e)
{
    struct event copy;
    int rc;

    if (to->writes && !r->sp) {
        rc = open_savepoint(r, e);
        if (rc != 0)
            return rc;
    }
    if (ev->view.plan != to->fields) {
        if (ev->view.arena == NULL)
            ev->view.arena = r->arena;
        look_again(&copy, ev, to->fields);
        ev = &copy;
    }
    rc = to->op->type->process(to->op, ev, to->input, e);
    if (rc != 0 && r->guilty == NULL)
        r->guilty = to->op->node;
    return rc;
}

static int deliver_all(struct run *r, int node, enum plan_port port, struct event *ev,
                       struct err *e)
{
    const struct run_routes *to = &r->ports[node * OUT_PORTS + (int)port];

    if (port == OUT_SELF) {
        struct run_route self = {.op = r->ops[node],
                                 .fields = ev->view.plan,
                                 .input = INPUT_SELF,
                                 .writes = r->plan->nodes[node].writes_rows};
        return deliver(r, &self, ev, e);
    }
    for (int i = 0; i < to->n; i++) {
        int rc = deliver(r, &to->routes[i], ev, e);
        if (rc != 0)
            return rc;
    }
    return 0;
}

// Inside the record: deliver, and in careful mode write what it dirtied while it can be blamed.
static int attempt(struct run *r, int node, enum plan_port port, struct event *ev, struct err *e)
{
    int rc = 0;

    bool flush = r->careful && !r->nested;

    if (flush)
        rc = open_savepoint(r, e);
    if (rc == 0)
        rc = deliver_all(r, node, port, ev, e);
    if (rc == 0 && r->watches)
        rc = run_changes(r, ev, e);
    if (rc == 0 && flush)
        rc = run_flush(r, e);
    return rc;
}

// The machine's error outranks the record's. When it is what the record failed with, SQLite may
// have ended the whole transaction with it, and nothing is left to go back to: it stays the reason.
static int take_back_rows(struct run *r, int rc, struct err *e)
{
    struct err second;
    int rc2;

    r->sp = false;
    err_clear(&second);
    rc2 = r->store->ops->rollback_to(r->store, &second);
    if (rc2 == 0 || class_of(rc) == 0)
        return rc;
    if (e != NULL)
        *e = second;
    return rc2;
}

int run_enter(struct run *r, int node, enum plan_port port, struct event *ev, struct err *e)
{
    struct run_mark m = mark(r);
    int rc;

    ASSERT(!r->sp);
    r->guilty = NULL;
    r->wait_ms = -1;
    r->out_start = m.out;
    if (r->expires)
        r->store->tables->time = ev->time;
    rc = r->overrun.known ? overrun_meet(&r->overrun, node, port, ev, e) : 0;
    if (rc == 0)
        rc = attempt(r, node, port, ev, e);
    if (rc != 0)
        take_back(r, &m);
    if (rc == LEAT_EOVERRUN) { // no savepoint is left to go back to
        r->sp = false;
        overrun_note(&r->overrun, node, port, ev, e != NULL ? e->text : err_name(rc));
    } else if (r->sp && rc != 0) {
        rc = take_back_rows(r, rc, e);
    } else if (r->sp) {
        r->sp = false;
        rc = r->store->ops->release(r->store, e);
    }
    r->n_undo = 0;
    r->undo_bytes.n = 0;
    return rc;
}

// A record born while an operator closes its windows: an own all-or-nothing, and a failure is not
// the operator's. Not flushed in careful mode: the operator that closes is half-way through a
// change.
static int enter_born(struct operator* o, enum plan_port port, struct event *ev, struct err *e)
{
    struct run *r = o->run;
    int rc;

    if (r->born.enter != NULL) {
        rc = r->born.enter(r->born.arg, o, port, ev, e);
        if (rc != 0)
            return rc < 0 ? rc : 0;
    }
    r->closing = false; // readers emit as usual
    r->nested = true;
    rc = run_enter(r, (int)(o->node - r->plan->nodes), port, ev, e);
    r->nested = false;
    r->closing = true;
    if (r->born.left != NULL)
        r->born.left(r->born.arg);
    if (rc != 0 && class_of(rc) != 0 && r->born.failed != NULL)
        rc = r->born.failed(r->born.arg, o, port, ev, rc, e);
    return rc;
}

int operator_emit(struct operator* o, enum plan_port port, struct event *ev, struct err *e)
{
    struct run *r = o->run;

    if (r->closing)
        return enter_born(o, port, ev, e);
    return deliver_all(r, (int)(o->node - r->plan->nodes), port, ev, e);
}

int operator_self(struct operator* o, struct event *ev, struct err *e)
{
    struct run *r = o->run;
    struct arena *outer = r->arena;
    int rc;

    ASSERT(r->closing);
    arena_reset(&r->born_arena);
    r->arena = &r->born_arena;
    rc = enter_born(o, OUT_SELF, ev, e);
    r->arena = outer;
    return rc;
}

void operator_waits(struct operator* o, int64_t ms)
{
    o->run->wait_ms = ms;
}

void operator_overdue(struct operator* o)
{
    o->run->overdue = true;
}

// --- end of step ---

int run_flush(struct run *r, struct err *e)
{
    for (int i = 0; i < r->plan->n_nodes; i++) {
        int rc = r->ops[i]->type->flush != NULL ? r->ops[i]->type->flush(r->ops[i], e) : 0;
        if (rc != 0) {
            r->guilty = &r->plan->nodes[i];
            return rc;
        }
    }
    return 0;
}

static int write_sample(struct run *r, const struct run_sample *x, struct err *e)
{
    const uint8_t *p = r->sample_bytes.p + x->pos;
    struct late_row row = {.op = bytes_str(x->node->id),
                           .topic = bytes_of(p, x->topic_n),
                           .partition = x->partition,
                           .offset = x->offset,
                           .time = x->time,
                           .watermark = x->watermark};

    row.key = x->null_key ? BYTES_NULL : bytes_of(p + x->topic_n, x->key_n);
    row.value = x->null_value ? BYTES_NULL : bytes_of(p + x->topic_n + x->key_n, x->value_n);
    return r->store->ops->late_add(r->store, &row, e);
}

int run_trim(struct run *r, struct err *e)
{
    int rc = 0;

    for (size_t i = 0; i < r->n_samples && rc == 0; i++)
        rc = write_sample(r, &r->samples[i], e);
    r->n_samples = 0;
    r->sample_bytes.n = 0;
    return rc;
}

int run_write(struct run *r, struct err *e)
{
    int rc = outputs_write(&r->out, r->store, e);

    if (rc == 0)
        rc = run_trim(r, e);
    for (size_t i = 0; i < r->n_numbers && rc == 0; i++) {
        struct run_number *x = r->numbers[i];
        if (x->dirty)
            rc = r->store->ops->number_put(r->store, x->name, x->value, e);
    }
    return rc;
}

static void forget(struct run *r)
{
    r->n_samples = 0;
    r->sample_bytes.n = 0;
    r->n_undo = 0;
    r->undo_bytes.n = 0;
    r->sp = false;
    r->closing = r->nested = r->overdue = r->held = r->paused = false;
}

void run_committed(struct run *r)
{
    outputs_committed(&r->out);
    for (size_t i = 0; i < r->n_numbers; i++)
        r->numbers[i]->dirty = false;
    for (int i = 0; i < r->plan->n_nodes; i++)
        if (r->ops[i]->type->committed != NULL)
            r->ops[i]->type->committed(r->ops[i]);
    r->overrun.known = r->overrun.met = false;
    r->was_paused = r->paused;
    run_shrink(r);
    forget(r);
}

void run_aborted(struct run *r)
{
    outputs_aborted(&r->out);
    for (size_t i = 0; i < r->n_numbers; i++)
        r->numbers[i]->known = r->numbers[i]->dirty = false;
    for (int i = 0; i < r->plan->n_nodes; i++) {
        r->ops[i]->watermark = INT64_MIN;
        if (r->ops[i]->type->aborted != NULL)
            r->ops[i]->type->aborted(r->ops[i]);
    }
    r->overrun.met = false;
    forget(r);
}

void run_where(const struct run *r, char *out, size_t n)
{
    if (r->guilty == NULL)
        snprintf(out, n, "%s", r->plan->file);
    else
        snprintf(out, n, "%s:%d: in %s", r->plan->file, r->guilty->line,
                 node_kind_name(r->guilty->kind));
}

// --- what operators ask for ---

int operator_eval(struct operator* o, const struct plan_expr *x, struct event *ev,
                  struct value *out, struct err *e)
{
    struct expr_env env = {.event = ev, .now = o->run->now, .arena = o->run->arena};

    if (x->compiled != NULL)
        return expr_eval(x->compiled, &env, out, e);
    return plan_expr_eval(x, &env, o->run->store->tables, out, e);
}

int operator_call(struct operator* o, struct fn *f, struct event *ev, struct fn_call *out,
                  struct err *e)
{
    *out = (struct fn_call){
        .event = ev,
        .now = o->run->now,
        .arena = o->run->arena,
        .tables = o->run->store->tables,
        .keyed = out->keyed,
        .upgrade_from = out->upgrade_from,
        .seed = bytes_hash(ev->topic, (uint64_t)ev->partition << 48 ^ (uint64_t)ev->offset)};
    return fn_call(f, out, e);
}

struct arena *run_arena(struct run *r)
{
    return r->arena;
}

struct tables *run_tables(struct run *r)
{
    return r->store->tables;
}

struct states *run_states(struct run *r)
{
    return r->store->states;
}

const struct plan *run_plan(struct run *r)
{
    return r->plan;
}

int64_t run_now(struct run *r)
{
    return r->now;
}

bool run_is_careful(const struct run *r)
{
    return r->careful;
}

int run_output(struct run *r, const struct plan_node *to, struct event *ev, struct value key,
               struct bytes value, const struct header *headers, size_t n_headers, struct err *e)
{
    struct buf b = BUF_EMPTY;
    struct output_new row = {.dest = r->dest_of[to - r->plan->nodes],
                             .value = value,
                             .headers = headers,
                             .n_headers = n_headers,
                             .time = ev->time,
                             .topic = ev->topic,
                             .partition = ev->partition,
                             .offset = ev->offset};
    int rc = 0;

    if (r->out.n - r->out_start.n >= RECORD_OUTPUTS_MAX)
        return err_set(e, LEAT_EBUDGET, "one record makes more than %d outputs",
                       RECORD_OUTPUTS_MAX);
    if (key.type == VALUE_TEXT || key.type == VALUE_BYTES) {
        row.key = key.s.p != NULL ? key.s : BYTES_LIT("");
    } else if (!value_is_nil(&key)) {
        rc = value_key_bytes(&key, &b, e);
        row.key = buf_bytes(&b);
    }
    if (rc == 0)
        rc = outputs_add(&r->out, &row, e);
    buf_deinit(&b);
    return rc;
}

static int number_load(struct run *r, struct run_number *x, struct err *e)
{
    int rc;

    if (x->known)
        return 0;
    x->value = 0;
    rc = r->store->ops->number_get(r->store, x->name, &x->value, e);
    if (rc < 0)
        return rc;
    x->known = true;
    return rc;
}

int run_number_get(struct run *r, const char *name, int64_t *v, struct err *e)
{
    struct run_number *x = number_of(r, name);
    int rc;

    if (x->known && x->dirty) {
        *v = x->value;
        return 1;
    }
    rc = r->store->ops->number_get(r->store, name, v, e);
    return rc;
}

int run_number_put(struct run *r, const char *name, int64_t v, struct err *e)
{
    struct run_number *x = number_of(r, name);

    (void)e;
    run_undo_bytes(r, x, sizeof *x);
    x->value = v;
    x->known = x->dirty = true;
    return 0;
}

static void count(struct run *r, struct run_number *x)
{
    struct err e;

    if (number_load(r, x, &e) < 0)
        return; // the store is broken; the step will find out when it writes
    run_undo_bytes(r, x, sizeof *x);
    x->value++;
    x->dirty = true;
}

void run_skipped(struct run *r, struct operator* o)
{
    (void)o;
    count(r, r->skipped);
}

void run_late(struct run *r, struct operator* o, struct event *ev, int64_t watermark)
{
    struct run_number *of = r->late_of[o->node - r->plan->nodes];
    struct run_sample *x;
    struct buf key = BUF_EMPTY;

    count(r, r->late);
    if (of != NULL)
        count(r, of);
    if (r->n_samples == r->cap_samples) {
        r->cap_samples = r->cap_samples ? r->cap_samples * 2 : 16;
        r->samples = heap_realloc(r->samples, r->cap_samples * sizeof *r->samples);
    }
    x = &r->samples[r->n_samples++];
    *x = (struct run_sample){.node = o->node,
                             .offset = ev->offset,
                             .time = ev->time,
                             .watermark = watermark,
                             .partition = ev->partition,
                             .pos = r->sample_bytes.n,
                             .topic_n = ev->topic.n};
    buf_append_bytes(&r->sample_bytes, ev->topic);
    x->null_key = value_is_nil(&ev->key) || value_key_bytes(&ev->key, &key, NULL) != 0;
    x->key_n = x->null_key ? 0 : key.n;
    buf_append(&r->sample_bytes, key.p, x->key_n);
    buf_deinit(&key);
    x->null_value = ev->view.root.type == VALUE_MISSING;
    x->value_n = r->sample_bytes.n;
    if (!x->null_value && !bytes_is_null(ev->view.raw))
        buf_append_bytes(&r->sample_bytes, ev->view.raw);
    else if (!x->null_value && value_write_json(&ev->view.root, &r->sample_bytes, NULL) != 0)
        x->null_value = true;
    x->value_n = r->sample_bytes.n - x->value_n;
}
