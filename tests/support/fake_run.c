// SPDX-License-Identifier: Apache-2.0
#include "tests/support/fake_run.h"

#include "runtime/base/heap.h"
#include "runtime/expr/expr.h"

// --- tables ---

static void text_value(struct run *r, const struct value *v)
{
    if (v->type == VALUE_MISSING)
        buf_append_str(&r->text, "-");
    else if (value_write_json(v, &r->text, NULL) < 0)
        buf_append_str(&r->text, "?");
}

static int tables_columns(struct tables *t, int table, const char *const **names,
                          const char *const **types)
{
    static const char *const all_any[] = {"integer", "any", "any", "any", "any", "any"};
    struct run *r = ((struct fake_tables *)(void *)t)->run;

    (void)table;
    *names = r->columns;
    *types = all_any;
    return r->n_columns;
}

static int tables_primary_key(struct tables *t, int table, const char *const **names)
{
    struct run *r = ((struct fake_tables *)(void *)t)->run;

    (void)table;
    *names = r->columns;
    return r->n_primary;
}

static int tables_prepare(struct tables *t, const struct table_shape *s, struct table_action **out,
                          struct err *e)
{
    struct run *r = ((struct fake_tables *)(void *)t)->run;
    struct table_action *a = &r->actions[r->n_actions++];
    struct bytes *names = arena_alloc(&r->keep, 64 * sizeof(*names));

    ASSERT(r->n_actions < 64 && s->n_key + s->n_cells < 64);
    for (int i = 0; i < s->n_key + s->n_cells; i++) {
        struct bytes name = i < s->n_key ? s->key_columns[i] : s->columns[i - s->n_key];
        bool known = false;

        for (int c = 0; c < r->n_columns; c++)
            known = known || bytes_eq_str(name, r->columns[c]);
        if (!known)
            return err_set(e, LEAT_EINVAL, "table %s has no column %.*s",
                           r->plan.tables[s->table].name, BYTES_FMT(name));
        names[i] = arena_copy(&r->keep, name);
    }
    a->shape = *s;
    a->shape.key_columns = names;
    a->shape.columns = names + s->n_key;
    a->tables = t;
    *out = a;
    return 0;
}

// "put t k=1 a=2 b=-": a cell that is absent is written as -.
static int tables_run(struct table_action *a, const struct value *key, const struct value *cells,
                      bool *changed, struct err *e)
{
    struct run *r = ((struct fake_tables *)(void *)a->tables)->run;
    const struct table_shape *s = &a->shape;
    int rc = fake_fault(r, e);

    (void)changed;
    if (rc < 0)
        return rc;
    buf_printf(&r->text, "%s %s", table_verb_name(s->verb), r->plan.tables[s->table].name);
    for (int i = 0; i < s->n_key; i++) {
        buf_printf(&r->text, " [%.*s]=", BYTES_FMT(s->key_columns[i]));
        text_value(r, &key[i]);
    }
    for (int i = 0; i < s->n_cells; i++) {
        buf_printf(&r->text, " %.*s=", BYTES_FMT(s->columns[i]));
        text_value(r, &cells[i]);
    }
    buf_append_str(&r->text, "\n");
    return 0;
}

static const struct tables_ops tables_ops = {.prepare = tables_prepare,
                                             .run = tables_run,
                                             .columns = tables_columns,
                                             .primary_key = tables_primary_key};

// --- what operators ask for ---

static int sink_process(struct operator *o, struct event *ev, int input, struct err *e)
{
    struct run *r = o->run;
    int rc = fake_fault(r, e);

    (void)input;
    if (rc < 0)
        return rc;
    buf_printf(&r->text, "%s key=", o->node->name);
    text_value(r, &ev->key);
    buf_printf(&r->text, " time=%lld ", (long long)ev->time);
    text_value(r, &ev->view.root);
    buf_append_str(&r->text, "\n");
    return 0;
}

static const struct operator_type sink = {
    .kind = FAKE_SINK, .size = sizeof(struct operator), .process = sink_process};

int operator_emit(struct operator *o, enum plan_port port, struct event *ev, struct err *e)
{
    int rc = 0;

    for (int i = 0; i < o->node->n_outs[port] && rc == 0; i++) {
        struct operator *to = o->run->ops[o->node->outs[port][i].node];

        rc = to->type->process(to, ev, 0, e);
    }
    return rc;
}

// Of the engine's alone: its own tests have them.
int operator_self(struct operator *o, struct event *ev, struct err *e)
{
    return o->type->process(o, ev, INPUT_SELF, e);
}

bool operator_pause(struct operator *o)
{
    (void)o;
    return false;
}

void operator_waits(struct operator *o, int64_t ms)
{
    (void)o;
    (void)ms;
}

void operator_overdue(struct operator *o)
{
    (void)o;
}

int operator_eval(struct operator *o, const struct plan_expr *x, struct event *ev,
                  struct value *out, struct err *e)
{
    struct expr_env env = {.event = ev, .now = o->run->now, .arena = &o->run->record};
    struct fn_call call = {0};
    int rc;

    if (x->compiled != NULL)
        return expr_eval(x->compiled, &env, out, e);
    *out = x->constant;
    if (x->fn == NULL)
        return 0;
    rc = operator_call(o, x->fn, ev, &call, e);
    *out = call.result;
    return rc;
}

int operator_call(struct operator *o, struct fn *f, struct event *ev, struct fn_call *out,
                  struct err *e)
{
    *out = (struct fn_call){.event = ev,
                            .now = o->run->now,
                            .arena = &o->run->record,
                            .keyed = out->keyed,
                            .upgrade_from = out->upgrade_from};
    return fn_call(f, out, e);
}

struct arena *run_arena(struct run *r)
{
    return &r->record;
}

struct tables *run_tables(struct run *r)
{
    return &r->tables.tables;
}

struct states *run_states(struct run *r)
{
    return &r->states;
}

const struct plan *run_plan(struct run *r)
{
    return &r->plan;
}

bool run_is_careful(const struct run *r)
{
    return r->careful;
}

int64_t run_now(struct run *r)
{
    return r->now;
}

int run_output(struct run *r, const struct plan_node *to, struct event *ev, struct value key,
               struct bytes value, const struct header *headers, size_t n_headers, struct err *e)
{
    int rc = fake_fault(r, e);

    (void)ev;
    if (rc < 0)
        return rc;
    buf_printf(&r->text, "to %s key=", to->to.topic);
    text_value(r, &key);
    for (size_t i = 0; i < n_headers; i++)
        buf_printf(&r->text, " %.*s:%.*s", BYTES_FMT(headers[i].name), BYTES_FMT(headers[i].value));
    if (bytes_is_null(value))
        buf_append_str(&r->text, " null\n");
    else
        buf_printf(&r->text, " %.*s\n", BYTES_FMT(value));
    return 0;
}

void run_late(struct run *r, struct operator *o, struct event *ev, int64_t watermark)
{
    (void)o, (void)ev, (void)watermark;
    run_undo_bytes(r, &r->late, sizeof(r->late));
    r->late++;
}

void run_skipped(struct run *r, struct operator *o)
{
    (void)o;
    run_undo_bytes(r, &r->skipped, sizeof(r->skipped));
    r->skipped++;
}

void run_undo_bytes(struct run *r, void *p, size_t n)
{
    struct fake_undo *u = &r->undo[r->n_undo++];

    ASSERT(r->n_undo < ARRAY_LEN(r->undo));
    *u = (struct fake_undo){.p = p, .n = n, .bytes = heap_alloc(n)};
    memcpy(u->bytes, p, n);
    r->undo_bytes += (int64_t)n;
}

void run_undo_call(struct run *r, void (*undo)(void *arg), void *arg)
{
    ASSERT(r->n_undo + 1 < ARRAY_LEN(r->undo));
    r->undo[r->n_undo++] = (struct fake_undo){.p = arg, .call = undo};
}

int run_number_get(struct run *r, const char *name, int64_t *v, struct err *e)
{
    int rc = fake_fault(r, e);

    (void)name;
    *v = r->number;
    return rc < 0 ? rc : r->has_number;
}

int run_number_put(struct run *r, const char *name, int64_t v, struct err *e)
{
    (void)name;
    r->number = v;
    r->has_number = true;
    return fake_fault(r, e);
}

const char *table_verb_name(enum table_verb v)
{
    static const char *const names[] = {"insert", "put", "patch", "add", "delete"};

    return names[v];
}

const char *agg_kind_name(enum agg_kind k)
{
    static const char *const names[] = {"count", "sum", "avg", "min", "max", "first",
                                        "last",
                                        "stddev", "quantile", "distinct", "top", "collect"};

    return names[k];
}

// --- driving ---

struct run *fake_new(void)
{
    struct run *r = heap_zalloc(sizeof(*r));

    arena_init(&r->keep);
    arena_init(&r->record);
    r->plan.file = "jobs/t.lua";
    r->plan.nodes = r->nodes;
    r->plan.tables = arena_zalloc(&r->keep, 2 * sizeof(*r->plan.tables));
    r->plan.tables[0].name = "t";
    r->plan.tables[1].name = "u";
    r->plan.n_tables = 2;
    r->states.ops = &fake_states_ops;
    r->tables.tables.ops = &tables_ops;
    r->tables.run = r;
    for (int i = 0; i < FAKE_NODES_MAX; i++)
        r->watermarks[i] = INT64_MIN;
    r->cache_bytes = SIZE_MAX;
    r->fail_at = -1;
    return r;
}

static void undo_drop(struct run *r)
{
    while (r->n_undo > 0)
        heap_free(r->undo[--r->n_undo].bytes);
}

static void undo_run(struct run *r)
{
    while (r->n_undo > 0) {
        struct fake_undo *u = &r->undo[--r->n_undo];

        if (u->call != NULL)
            u->call(u->p);
        else
            memcpy(u->p, u->bytes, u->n);
        heap_free(u->bytes);
    }
}

void fake_free(struct run *r)
{
    fake_close(r);
    for (int i = 0; i < r->n_states; i++) {
        heap_free(r->state[i].now.rows);
        heap_free(r->state[i].committed.rows);
    }
    for (int i = 0; i < r->n_exprs; i++)
        expr_free(r->exprs[i]);
    undo_drop(r);
    buf_deinit(&r->text);
    arena_deinit(&r->keep);
    arena_deinit(&r->record);
    heap_free(r);
}

int fake_node(struct run *r, enum node_kind kind, int input, enum plan_port port)
{
    int i = r->plan.n_nodes++;
    struct plan_node *n = &r->nodes[i];

    ASSERT(i < FAKE_NODES_MAX);
    n->kind = kind;
    n->id = n->name = arena_printf(&r->keep, "n%d", i);
    if (kind == NODE_AGGREGATE)
        n->aggregate.table = -1;
    if (input >= 0) {
        struct plan_node *from = &r->nodes[input];

        n->inputs = arena_zalloc(&r->keep, sizeof(*n->inputs));
        n->inputs[0] = (struct plan_input){.node = input, .port = port};
        n->n_inputs = 1;
        from->outs[port] = r->outs[input][port];
        from->outs[port][from->n_outs[port]++] = (struct plan_input){.node = i};
    }
    return i;
}

struct plan_expr fake_expr(struct run *r, const char *name)
{
    struct plan_expr x = {.text = name};
    int rc;

    if (strcmp(name, "!") == 0)
        x.text = "$key < 1";
    else if (name[0] == '=')
        x.text = arena_printf(&r->keep, "%s or nil", name + 1);
    rc = expr_compile(&x.compiled, bytes_str(x.text), NULL, NULL, NULL);

    ASSERT(rc == 0 && r->n_exprs < (int)ARRAY_LEN(r->exprs));
    r->exprs[r->n_exprs++] = x.compiled;
    return x;
}

struct plan_field fake_field(struct run *r, const char *name, const char *expr)
{
    return (struct plan_field){.name = bytes_str(name), .expr = fake_expr(r, expr)};
}

static int source_process(struct operator *o, struct event *ev, int input, struct err *e)
{
    (void)input;
    return operator_emit(o, OUT_MAIN, ev, e);
}

static const struct operator_type source = {
    .kind = NODE_SOURCE, .size = sizeof(struct operator), .process = source_process};

static const struct operator_type *type_of(const struct plan_node *n)
{
    const struct operator_type *const *t = operator_types();

    if (n->kind == FAKE_SINK || n->kind == NODE_SOURCE)
        return n->kind == FAKE_SINK ? &sink : &source;
    while ((*t)->kind != n->kind || ((*t)->takes != NULL && !(*t)->takes(n)))
        t++;
    return *t;
}

int fake_open(struct run *r)
{
    for (int i = 0; i < r->plan.n_nodes; i++) {
        const struct operator_type *type = type_of(&r->nodes[i]);
        struct operator *o = heap_zalloc(type->size);
        int rc = 0;

        o->type = type;
        o->node = &r->nodes[i];
        o->run = r;
        o->watermark = r->watermarks[i];
        r->ops[i] = o;
        if (type->open != NULL)
            rc = type->open(o, &r->err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

void fake_close(struct run *r)
{
    for (int i = 0; i < FAKE_NODES_MAX; i++) {
        if (r->ops[i] != NULL && r->ops[i]->type->close != NULL)
            r->ops[i]->type->close(r->ops[i]);
        heap_free(r->ops[i]);
        r->ops[i] = NULL;
    }
    undo_drop(r);
    r->n_actions = 0;
}

int fake_send(struct run *r, int node, const char *json, struct value key, int64_t time)
{
    struct event ev = {.topic = BYTES_LIT("in"), .time = time, .timestamp = time, .key = key};
    struct bytes raw = json != NULL ? bytes_str(json) : BYTES_NULL;
    size_t text = r->text.n;
    int rc = view_scan(&ev.view, NULL, FORMAT_JSON, raw, &r->record, &r->err);

    ASSERT(rc == 0);
    rc = r->ops[node]->type->process(r->ops[node], &ev, 0, &r->err);
    if (rc < 0) {
        undo_run(r);
        r->text.n = text;
    }
    undo_drop(r);
    arena_reset(&r->record);
    return rc;
}

int fake_watermark(struct run *r, int64_t w)
{
    int rc = 0;

    for (int i = 0; i < r->plan.n_nodes && rc == 0; i++) {
        struct operator *o = r->ops[i];

        if (o->type->due != NULL && o->type->due(o) <= w)
            rc = o->type->watermark(o, w, &r->err);
        o->watermark = w;
        undo_drop(r);
        arena_reset(&r->record);
    }
    return rc;
}

int fake_commit(struct run *r)
{
    int rc = 0;

    for (int i = 0; i < r->plan.n_nodes && rc == 0; i++)
        if (r->ops[i]->type->flush != NULL)
            rc = r->ops[i]->type->flush(r->ops[i], &r->err);
    if (rc < 0)
        return rc;
    for (int i = 0; i < r->n_states; i++) {
        fake_rows_copy(&r->state[i].committed, &r->state[i].now);
        r->state[i].last_put = BYTES_NULL;
    }
    undo_drop(r);
    r->text_committed = r->text.n;
    r->number_committed = r->number;
    r->late_committed = r->late;
    for (int i = 0; i < r->plan.n_nodes; i++) {
        r->watermarks[i] = r->ops[i]->watermark;
        if (r->ops[i]->type->committed != NULL)
            r->ops[i]->type->committed(r->ops[i]);
    }
    for (int i = 0; i < r->plan.n_nodes; i++)
        if (r->ops[i]->type->shrink != NULL)
            r->ops[i]->type->shrink(r->ops[i], r->cache_bytes);
    return 0;
}

void fake_abort(struct run *r)
{
    for (int i = 0; i < r->n_states; i++) {
        fake_rows_copy(&r->state[i].now, &r->state[i].committed);
        r->state[i].last_put = BYTES_NULL;
    }
    r->text.n = r->text_committed;
    r->number = r->number_committed;
    r->late = r->late_committed;
    for (int i = 0; i < r->plan.n_nodes; i++) {
        r->ops[i]->watermark = r->watermarks[i];
        if (r->ops[i]->type->aborted != NULL)
            r->ops[i]->type->aborted(r->ops[i]);
    }
}

const char *fake_text(struct run *r)
{
    return buf_cstr(&r->text);
}
