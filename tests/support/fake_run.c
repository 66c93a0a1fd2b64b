// SPDX-License-Identifier: Apache-2.0
#include "tests/support/fake_run.h"

#include "runtime/base/heap.h"
#include "runtime/expr/expr.h"

// --- faults ---

static int fault(struct run *r, struct err *e)
{
    if (r->fail_at < 0 || r->fail_at-- > 0)
        return 0;
    return err_set(e, LEAT_EIO, "a fake fault");
}

// --- state rows ---

static int type_rank(const struct value *v)
{
    return v->type == VALUE_TEXT ? 1 : v->type == VALUE_BYTES ? 2 : 0;
}

static double number_of(const struct value *v)
{
    return v->type == VALUE_BOOL ? v->b : v->type == VALUE_INT ? (double)v->i : v->f;
}

static int part_cmp(const struct value *a, const struct value *b)
{
    int ra = type_rank(a), rb = type_rank(b);

    if (ra != rb)
        return ra < rb ? -1 : 1;
    if (ra > 0)
        return bytes_cmp(a->s, b->s);
    if (a->type == VALUE_INT && b->type == VALUE_INT)
        return (a->i > b->i) - (a->i < b->i);
    return (number_of(a) > number_of(b)) - (number_of(a) < number_of(b));
}

static int row_cmp(const struct fake_row *a, int64_t window, const struct value *parts)
{
    if (a->window != window)
        return a->window < window ? -1 : 1;
    for (int i = 0; i < a->n_parts; i++) {
        int c = part_cmp(&a->parts[i], &parts[i]);

        if (c != 0)
            return c;
    }
    return 0;
}

static size_t row_at(const struct fake_rows *rows, int64_t window, const struct value *parts,
                     bool *found)
{
    size_t i = 0;
    int c = 1;

    while (i < rows->n && (c = row_cmp(&rows->rows[i], window, parts)) < 0)
        i++;
    *found = i < rows->n && c == 0;
    return i;
}

static void rows_copy(struct fake_rows *to, const struct fake_rows *from)
{
    if (to->cap < from->n) {
        to->cap = from->n * 2;
        to->rows = heap_realloc(to->rows, to->cap * sizeof(*to->rows));
    }
    if (from->n > 0)
        memcpy(to->rows, from->rows, from->n * sizeof(*to->rows));
    to->n = from->n;
}

static int states_open(struct states *s, const struct state_spec *spec, struct state **out,
                       struct err *e)
{
    struct run *r = container_of(s, struct run, states);
    struct state *st = NULL;

    (void)e;
    for (int i = 0; i < r->n_states; i++)
        if (strcmp(r->state[i].id, spec->id) == 0)
            st = &r->state[i];
    if (st == NULL)
        st = &r->state[r->n_states++];
    st->run = r;
    st->id = arena_strdup(&r->keep, spec->id);
    st->fused = spec->table >= 0;
    st->n_key = spec->n_key;
    st->n_prefix = spec->n_prefix;
    st->by_key = spec->by_key && spec->table < 0;
    st->n_columns = spec->n_columns;
    *out = st;
    return 0;
}

static int state_get(struct state *st, const struct state_key *k, struct arena *a,
                     struct bytes *blob, struct err *e)
{
    bool found;
    size_t i = row_at(&st->now, k->window, k->parts, &found);
    int rc = fault(st->run, e);

    st->run->gets++;
    if (rc < 0 || !found || bytes_is_null(st->now.rows[i].blob))
        return rc;
    *blob = arena_copy(a, st->now.rows[i].blob);
    return 1;
}

static int state_get_many(struct state *st, const struct state_key *keys, int n,
                          int (*each)(void *arg, int i, struct bytes blob), void *arg,
                          struct err *e)
{
    int rc = 0;

    for (int i = 0; i < n && rc == 0; i++) {
        struct bytes blob = BYTES_NULL;

        rc = state_get(st, &keys[i], &st->run->record, &blob, e);
        rc = rc < 0 ? rc : each(arg, i, blob);
    }
    return rc;
}

static struct value *values_keep(struct run *r, const struct value *v, int n)
{
    struct value *kept = arena_alloc(&r->keep, (size_t)(n + 1) * sizeof(*kept));

    for (int i = 0; i < n; i++)
        kept[i] = value_copy(&v[i], &r->keep);
    return kept;
}

// SQL keeps booleans as integers.
static void parts_as_sql(struct value *parts, int n)
{
    for (int i = 0; i < n; i++)
        if (parts[i].type == VALUE_BOOL)
            parts[i] = value_int(parts[i].b);
}

static void check_order(struct state *st, const struct state_key *k)
{
    struct fake_row last = {.window = st->last_window, .n_parts = st->n_key};

    if (!st->run->check_order || strchr(st->id, '/') != NULL) // an index's rows are taken before
        return;
    if (!bytes_is_null(st->last_put)) {
        last.parts = (struct value *)st->last_put.p;
        last.window = st->by_key ? k->window : last.window;
        ASSERT(row_cmp(&last, k->window, k->parts) <
               (st->by_key && st->last_window < k->window ? 1 : 0));
    }
    st->last_put = bytes_of(values_keep(st->run, k->parts, st->n_key), 1);
    st->last_window = k->window;
}

static int state_put(struct state *st, const struct state_key *k, const struct value *columns,
                     struct bytes blob, struct err *e)
{
    struct run *r = st->run;
    bool found;
    size_t i = row_at(&st->now, k->window, k->parts, &found);
    int rc = fault(r, e);
    struct fake_row *row;

    if (rc < 0)
        return rc;
    r->puts++;
    check_order(st, k);
    ASSERT(st->fused == (columns != NULL));
    if (!found) {
        ASSERT(!bytes_is_null(blob) || st->fused);
        if (st->now.n == st->now.cap) {
            st->now.cap = st->now.cap ? st->now.cap * 2 : 64;
            st->now.rows = heap_realloc(st->now.rows, st->now.cap * sizeof(*st->now.rows));
        }
        memmove(st->now.rows + i + 1, st->now.rows + i, (st->now.n - i) * sizeof(*row));
        st->now.n++;
        st->now.rows[i] = (struct fake_row){.window = k->window,
                                            .window_end = k->window_end,
                                            .parts = values_keep(r, k->parts, st->n_key),
                                            .n_parts = st->n_key};
        parts_as_sql(st->now.rows[i].parts, st->n_key);
    }
    row = &st->now.rows[i];
    row->window_end = k->window_end;
    row->blob = bytes_is_null(blob) ? BYTES_NULL : arena_copy(&r->keep, blob);
    if (columns != NULL)
        row->columns = values_keep(r, columns, st->n_columns);
    row->n_columns = columns != NULL ? st->n_columns : 0;
    if (bytes_is_null(blob) && !st->fused) {
        st->now.n--;
        memmove(row, row + 1, (st->now.n - i) * sizeof(*row));
    }
    return 0;
}

static int state_del(struct state *st, const struct state_key *k, struct err *e)
{
    bool found;
    size_t i = row_at(&st->now, k->window, k->parts, &found);
    int rc = fault(st->run, e);

    if (rc < 0)
        return rc;
    check_order(st, k);
    if (found) {
        st->now.n--;
        memmove(st->now.rows + i, st->now.rows + i + 1, (st->now.n - i) * sizeof(*st->now.rows));
    }
    return 0;
}

static int state_scan(struct state *st, int64_t from, int64_t to,
                      int (*each)(void *arg, const struct state_key *k, struct bytes blob),
                      void *arg, struct err *e)
{
    int rc = fault(st->run, e);

    for (size_t i = 0; i < st->now.n && rc == 0; i++) {
        const struct fake_row *row = &st->now.rows[i];
        struct state_key k = {
            .window = row->window, .window_end = row->window_end, .parts = row->parts};

        if (row->window >= from && row->window < to && !bytes_is_null(row->blob))
            rc = each(arg, &k, row->blob);
    }
    return rc;
}

static int state_first(struct state *st, int64_t from, int64_t to, int64_t *window, struct err *e)
{
    int rc = fault(st->run, e);

    for (size_t i = 0; i < st->now.n && rc == 0; i++) {
        *window = st->now.rows[i].window;
        rc = *window >= from && *window < to && !bytes_is_null(st->now.rows[i].blob);
    }
    return rc;
}

static bool has_prefix(const struct state *st, const struct fake_row *row,
                       const struct value *prefix)
{
    for (int i = 0; i < st->n_prefix; i++)
        if (part_cmp(&row->parts[i], &prefix[i]) != 0)
            return false;
    return true;
}

static int state_scan_key(struct state *st, const struct value *prefix, int64_t from, int64_t to,
                          int (*each)(void *arg, const struct state_key *k, struct bytes blob),
                          void *arg, struct err *e)
{
    int rc = fault(st->run, e);

    for (size_t i = 0; i < st->now.n && rc == 0; i++) {
        const struct fake_row *row = &st->now.rows[i];
        struct state_key k = {
            .window = row->window, .window_end = row->window_end, .parts = row->parts};

        if (row->window >= from && row->window < to && !bytes_is_null(row->blob) &&
            has_prefix(st, row, prefix))
            rc = each(arg, &k, row->blob);
    }
    return rc;
}

static int state_purge(struct state *st, int64_t before, int most, struct err *e)
{
    size_t n = 0;

    (void)e;
    while (n < st->now.n && st->now.rows[n].window < before &&
           (n < (size_t)most || st->now.rows[n].window == st->now.rows[n - 1].window))
        n++;
    st->now.n -= n;
    if (n > 0)
        memmove(st->now.rows, st->now.rows + n, st->now.n * sizeof(*st->now.rows));
    return st->now.n > 0 && st->now.rows[0].window < before;
}

static const struct states_ops states_ops = {
    .open = states_open, .get = state_get, .get_many = state_get_many,
    .put = state_put, .del = state_del, .first = state_first, .scan = state_scan,
    .scan_key = state_scan_key, .purge = state_purge};

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
    int rc = fault(r, e);

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
    int rc = fault(r, e);

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
    int rc = fault(r, e);

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
    int rc = fault(r, e);

    (void)name;
    *v = r->number;
    return rc < 0 ? rc : r->has_number;
}

int run_number_put(struct run *r, const char *name, int64_t v, struct err *e)
{
    (void)name;
    r->number = v;
    r->has_number = true;
    return fault(r, e);
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
    r->states.ops = &states_ops;
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
        rows_copy(&r->state[i].committed, &r->state[i].now);
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
        rows_copy(&r->state[i].now, &r->state[i].committed);
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
