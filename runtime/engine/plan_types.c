// SPDX-License-Identifier: Apache-2.0
//
// What is known of the values on their way through a plan before any record is seen: from a
// source's schema or a table's columns, through each operator, into the expressions of the next.
//
//   schema            the fields that it declares
//   where by dedupe   what they got
//   select            exactly its fields, each of its expression's type
//   set explode join  what they got, with fields put over it
//   aggregate         its key, its window, its results
//   changes           the row, and the same of $old
//   map process ...   nothing: a function may return anything
//
// A function in an expression's place gives anything as well.
#include "runtime/engine/plan_passes.h"

#include "runtime/expr/expr.h"

static const struct type *or_any(const struct type *t)
{
    return t != NULL ? t : &type_any;
}

static const struct type *expr_gives(const struct plan_expr *x)
{
    if (x->compiled != NULL)
        return expr_type(x->compiled);
    return x->fn != NULL ? &type_any : type_of_value(&x->constant);
}

// --- aggregates ---

static const struct type *fields_type(struct plan *p, const struct plan_field *fields, int n)
{
    struct type_field *f = arena_alloc(&p->arena, ((size_t)n + 1) * sizeof *f);

    for (int i = 0; i < n; i++)
        f[i] = (struct type_field){fields[i].name, expr_gives(&fields[i].expr)};
    return type_object(&p->arena, f, (size_t)n, false);
}

const struct type *plan_result_type(struct plan *p, const struct plan_aggregate *a)
{
    const struct type *arg = a->has_arg ? expr_gives(&a->arg) : &type_any;

    switch (a->kind) {
    case AGG_COUNT:
    case AGG_DISTINCT:
        return &type_integer;
    case AGG_SUM:
        if (arg->kind == TYPE_DECIMAL && arg->precision > 0)
            return type_decimal_of(arg->scale);
        return arg->kind == TYPE_DECIMAL || arg->kind == TYPE_INTEGER ? arg : &type_number;
    case AGG_AVG:
    case AGG_STDDEV:
    case AGG_QUANTILE:
        return &type_number;
    case AGG_MIN:
    case AGG_MAX:
    case AGG_FIRST:
    case AGG_LAST:
        return arg;
    case AGG_TOP:
        return type_array(&p->arena, fields_type(p, a->fields, a->n_fields));
    case AGG_COLLECT:
        return type_array(&p->arena, arg);
    case AGG_KINDS:
        break;
    }
    return &type_any;
}

static void add_results(struct plan *p, const struct plan_node *n, struct type_field *f, size_t *k)
{
    for (int i = 0; i < n->aggregate.n; i++) {
        const struct plan_aggregate *a = &n->aggregate.aggs[i];
        f[(*k)++] = (struct type_field){a->name, plan_result_type(p, a)};
    }
}

static size_t add_keys(const struct plan_node *n, struct type_field *f)
{
    size_t k = 0;

    for (int i = 0; i < n->n_key_names; i++)
        f[k++] = (struct type_field){bytes_str(n->key_names[i]), n->key_types[i]};
    if (n->n_key_names == 0)
        f[k++] = (struct type_field){BYTES_LIT("key"), or_any(n->in.key)};
    return k;
}

// Of a closed window, or of a row as changes() sees it.
static const struct type *group_type(struct plan *p, const struct plan_node *n, bool windowed)
{
    size_t room = (size_t)(n->n_key_names + n->aggregate.n) + 4, k;
    struct type_field *f = arena_alloc(&p->arena, room * sizeof *f);

    k = add_keys(n, f);
    if (windowed) {
        f[k++] = (struct type_field){BYTES_LIT("window_start"), &type_time};
        f[k++] = (struct type_field){BYTES_LIT("window_end"), &type_time};
    }
    add_results(p, n, f, &k);
    return type_object(&p->arena, f, k, false);
}

static const struct type *aggregate_type(struct plan *p, const struct plan_node *n)
{
    struct type_field *f;
    size_t k = 0;

    if (n->aggregate.window.kind != WINDOW_LAST)
        return group_type(p, n, n->aggregate.window.kind != WINDOW_NONE);
    f = arena_alloc(&p->arena, ((size_t)n->aggregate.n + 1) * sizeof *f);
    add_results(p, n, f, &k);
    return type_with(or_any(n->in.value), f, k, &p->arena);
}

// --- in ---

static struct plan_types emitted(struct plan *p, const struct plan_input *in)
{
    const struct plan_node *from = &p->nodes[in->node];

    if (in->port == OUT_CHANGES && from->kind == NODE_AGGREGATE)
        return (struct plan_types){from->out.value, from->out.value, from->out.key};
    if (in->port == OUT_CHANGES)
        return (struct plan_types){0};
    return in->port == OUT_LATE ? from->in : from->out;
}

static const struct type *text_or_bytes(struct plan *p, enum format f)
{
    struct type_field *field = arena_zalloc(&p->arena, sizeof *field);

    field->name = bytes_str(f == FORMAT_TEXT ? "text" : "bytes");
    field->type = &type_text;
    return type_object(&p->arena, field, 1, false);
}

static void source_types(struct plan *p, struct plan_node *n)
{
    enum format f = n->source.format;

    n->in.value = n->source.schema;
    if (n->in.value == NULL && (f == FORMAT_TEXT || f == FORMAT_BYTES))
        n->in.value = text_or_bytes(p, f);
}

void plan_types_in(struct plan *p, struct plan_node *n)
{
    if (n->kind == NODE_SOURCE)
        source_types(p, n);
    if (n->kind == NODE_CHANGES && n->changes.table >= 0) {
        n->in.value = n->in.old = plan_row_type(p, n->changes.table);
        return;
    }
    if (n->n_inputs > 0)
        n->in = emitted(p, &n->inputs[0]);
    for (int i = 1; i < n->n_inputs && n->kind == NODE_MERGE; i++) {
        struct plan_types other = emitted(p, &n->inputs[i]);

        n->in.value = type_either(or_any(n->in.value), or_any(other.value), &p->arena);
        n->in.old = type_either(or_any(n->in.old), or_any(other.old), &p->arena);
        n->in.key = type_either(or_any(n->in.key), or_any(other.key), &p->arena);
    }
}

// --- out ---

static const struct type *put_over(struct plan *p, const struct plan_node *n, struct bytes name,
                                   const struct type *t)
{
    struct type_field f = {name, t};

    return type_with(or_any(n->in.value), &f, 1, &p->arena);
}

static const struct type *set_type(struct plan *p, const struct plan_node *n)
{
    const struct type *set = fields_type(p, n->select.fields, n->select.n);

    return type_with(or_any(n->in.value), set->fields, set->n_fields, &p->arena);
}

static const struct type *join_type(struct plan *p, const struct plan_node *n)
{
    const struct type *right;

    if (n->join.with != JOIN_STREAM)
        right = plan_row_type(p, n->join.table);
    else
        right = or_any(emitted(p, &n->inputs[1]).value);
    return put_over(p, n, n->join.as, right);
}

static const struct type *element_type(const struct plan_expr *list)
{
    const struct type *t = expr_gives(list);

    return t->kind == TYPE_ARRAY ? t->element : &type_any;
}

static const struct type *by_type(struct plan *p, const struct plan_node *n)
{
    return n->by.n == 1 ? expr_gives(&n->by.parts[0].expr) : type_array(&p->arena, &type_any);
}

void plan_types_out(struct plan *p, struct plan_node *n)
{
    n->out = n->in;
    switch (n->kind) {
    case NODE_SELECT:
        n->out.value = fields_type(p, n->select.fields, n->select.n);
        return;
    case NODE_SET:
        n->out.value = set_type(p, n);
        return;
    case NODE_EXPLODE:
        n->out.value = put_over(p, n, n->explode.name, element_type(&n->explode.list));
        return;
    case NODE_JOIN:
        n->out.value = join_type(p, n);
        return;
    case NODE_BY:
        n->out.key = by_type(p, n);
        return;
    case NODE_AGGREGATE:
        n->out.value = aggregate_type(p, n);
        n->out.old = NULL;
        return;
    case NODE_EVERY:
    case NODE_MAP:
    case NODE_FLATMAP:
    case NODE_MATCH:
    case NODE_PROCESS:
        n->out = (struct plan_types){0};
        return;
    default:
        return;
    }
}

const struct type *plan_part_type(const struct plan_node *by, int i)
{
    return expr_gives(&by->by.parts[i].expr);
}

// --- what is written ---

static void print_short(const struct type *t, struct buf *out)
{
    struct type plain = *t;

    plain.optional = false;
    if (t->kind == TYPE_OBJECT || t->kind == TYPE_ARRAY)
        buf_append_str(out, type_kind_name(t->kind));
    else
        type_print(&plain, out);
}

static int refuse_cell(const struct plan *p, const struct plan_node *n, int line,
                       const struct type_field *column, const struct type *have, struct err *e)
{
    struct buf is = BUF_EMPTY, wants = BUF_EMPTY;
    int rc;

    print_short(have, &is);
    print_short(column->type, &wants);
    rc = plan_refuse(p, line, e, "in %s: %.*s is %s and is given %s", node_kind_name(n->kind),
                     BYTES_FMT(column->name), buf_cstr(&wants), buf_cstr(&is));
    buf_deinit(&is);
    buf_deinit(&wants);
    return rc;
}

// A column that does not exist is found with the tables.
static int check_cells(struct plan *p, const struct plan_node *n, const struct type *row,
                       const struct plan_field *cells, int n_cells, struct err *e)
{
    for (int i = 0; i < n_cells; i++) {
        const struct type_field *column =
            row->kind == TYPE_OBJECT ? type_field(row, cells[i].name) : NULL;
        const struct type *have = expr_gives(&cells[i].expr);

        if (column != NULL && !type_fits(have, column->type, NULL))
            return refuse_cell(p, n, cells[i].expr.line, column, have, e);
    }
    return 0;
}

static int check_actions(struct plan *p, const struct plan_node *n, const struct plan_case *c,
                         struct err *e)
{
    int rc = 0;

    for (int i = 0; i < c->n_actions && rc == 0; i++) {
        const struct plan_action *a = &c->actions[i];
        const struct type *row = plan_row_type(p, a->table);

        rc = check_cells(p, n, row, a->cells, a->n_cells, e);
        if (rc == 0 && a->n_key > 0 && !bytes_is_null(a->key[0].name))
            rc = check_cells(p, n, row, a->key, a->n_key, e);
    }
    return rc;
}

// Every field that the schema wants, of a type that can fit, and none that it does not know.
static int check_output(struct plan *p, const struct plan_node *n, struct err *e)
{
    const struct type *have = or_any(n->in.value), *want = n->to.schema;
    const struct type_field *bad;

    if (have->kind != TYPE_OBJECT)
        return type_is_known(have) ? plan_refuse(p, n->line, e, "in to: %s wants an object, not %s",
                                                 want->name, type_kind_name(have->kind))
                                   : 0;
    for (size_t i = 0; i < have->n_fields && !type_eq(have, want); i++)
        if (type_member(want, have->fields[i].name) == NULL && have->name == NULL)
            return plan_refuse(p, n->line, e, "in to: %s has no field '%.*s'%s", want->name,
                               BYTES_FMT(have->fields[i].name),
                               type_suggest(want, have->fields[i].name, &p->arena));
    if (type_fits(have, want, &bad))
        return 0;
    if (type_member(have, bad->name) == NULL)
        return plan_refuse(p, n->line, e, "in to: %s wants the field '%.*s', which is not there",
                           want->name, BYTES_FMT(bad->name));
    return refuse_cell(p, n, n->line, bad, type_member(have, bad->name), e);
}

// What an aggregate cannot take of any record; NULL: it may.
static const char *aggregate_wants(enum agg_kind kind, const struct type *arg)
{
    switch (kind) {
    case AGG_SUM:
    case AGG_AVG:
    case AGG_STDDEV:
    case AGG_QUANTILE:
        return type_is_number(arg) ? NULL : "numbers";
    case AGG_MIN:
    case AGG_MAX:
    case AGG_TOP:
        return type_is_number(arg) || arg->kind == TYPE_TEXT ? NULL : "numbers or text";
    case AGG_DISTINCT:
        return arg->kind == TYPE_ARRAY || arg->kind == TYPE_OBJECT ? "single values" : NULL;
    default:
        return NULL;
    }
}

static int check_aggregates(const struct plan *p, const struct plan_node *n, struct err *e)
{
    for (int i = 0; i < n->aggregate.n; i++) {
        const struct plan_aggregate *a = &n->aggregate.aggs[i];
        const struct type *arg = a->has_arg ? expr_gives(&a->arg) : &type_any;
        const char *wants = type_is_known(arg) ? aggregate_wants(a->kind, arg) : NULL;

        if (wants != NULL)
            return plan_refuse(p, a->arg.line, e, "in aggregate: %.*s: %s wants %s, not %s",
                               BYTES_FMT(a->name), agg_kind_name(a->kind), wants,
                               type_kind_name(arg->kind));
    }
    return 0;
}

static int check_explode(const struct plan *p, const struct plan_node *n, struct err *e)
{
    const struct type *list = expr_gives(&n->explode.list);

    if (!type_is_known(list) || list->kind == TYPE_ARRAY)
        return 0;
    return plan_refuse(p, n->explode.list.line, e, "in explode: it wants a list, not %s",
                       type_kind_name(list->kind));
}

int plan_types_check(struct plan *p, struct plan_node *n, struct err *e)
{
    int rc = 0;

    if (n->kind == NODE_AGGREGATE)
        return check_aggregates(p, n, e);
    if (n->kind == NODE_EXPLODE)
        return check_explode(p, n, e);
    if (n->kind == NODE_INTO && n->into.table >= 0)
        return check_cells(p, n, plan_row_type(p, n->into.table), n->into.columns, n->into.n, e);
    if (n->kind == NODE_TO && n->to.schema != NULL)
        return check_output(p, n, e);
    for (int i = 0; n->kind == NODE_MATCH && i < n->match.n && rc == 0; i++)
        rc = check_actions(p, n, &n->match.cases[i], e);
    return rc;
}
