// SPDX-License-Identifier: Apache-2.0
//
// What a node means, in three numbers that are kept in the job file and compared with the plan at
// the next start (projections/differences.c):
//
//   own          kind and settings, expressions in canonical form with their constants, the code of
//                its functions
//   fingerprint  own, and the fingerprints of the inputs: what everything up to here means
//   shape        how the rows are laid out that it keeps between records; 0 when it keeps none.
//                While this stays, another meaning can go on from the rows of the old one
//
// Comments, moved lines, renamed locals and the spacing of expressions leave them alone. So do
// settings that say when something happens and not what: idle, ahead, from, ttl.
//
// The numbers outlive the program: another way to compute them is another FINGERPRINT_FORMAT.
#include "runtime/engine/plan_passes.h"

#include "runtime/expr/expr.h"

// What has no JSON form (a float that is not finite) counts by its kind alone.
static void add_value(struct buf *b, const struct value *v)
{
    size_t before = b->n;

    buf_printf(b, "=%s ", value_type_name(v));
    if (!value_is_nil(v) && value_write_json(v, b, NULL) != 0)
        b->n = before;
}

static int add_expr(void *arg, struct plan_expr *x)
{
    struct buf *b = arg;

    if (x->compiled != NULL)
        expr_normalised(x->compiled, b);
    else if (x->fn != NULL)
        x->fn->ops->fingerprint(x->fn, b);
    else
        add_value(b, &x->constant);
    buf_append_byte(b, ';');
    return 0;
}

static void add_fn(void *arg, struct fn *f)
{
    f->ops->fingerprint(f, arg);
    buf_append_byte(arg, ';');
}

static void add_names(struct buf *b, const struct plan_field *f, int n)
{
    for (int i = 0; i < n; i++)
        buf_printf(b, "%zu:%.*s,", f[i].name.n, BYTES_FMT(f[i].name));
}

static void add_action(struct buf *b, const struct plan *p, const struct plan_action *a)
{
    buf_printf(b, "%s:%s(", p->tables[a->table].name, table_verb_name(a->verb));
    add_names(b, a->key, a->n_key);
    add_names(b, a->cells, a->n_cells);
}

static void add_match(struct buf *b, const struct plan *p, const struct plan_node *n)
{
    for (int i = 0; i < n->match.n; i++) {
        const struct plan_case *c = &n->match.cases[i];
        buf_printf(b, "case %.*s,", BYTES_FMT(c->type));
        for (int k = 0; k < c->n_actions; k++)
            add_action(b, p, &c->actions[k]);
    }
}

static void add_window(struct buf *b, const struct plan_node *n)
{
    const struct plan_window *w = &n->aggregate.window;

    buf_printf(b, "%d,%lld,%lld,%lld,", (int)w->kind, (long long)w->size_ms, (long long)w->every_ms,
               (long long)w->grace_ms);
    if (w->tz != NULL)
        buf_printf(b, "tz %s,", w->tz);
    for (int i = 0; i < n->n_key_names; i++)
        buf_printf(b, "%s,", n->key_names[i]);
    for (int i = 0; i < n->aggregate.n; i++) {
        const struct plan_aggregate *a = &n->aggregate.aggs[i];
        buf_printf(b, "%s %.*s,", agg_kind_name(a->kind), BYTES_FMT(a->name));
        if (a->kind == AGG_QUANTILE)
            buf_append(b, &a->q, sizeof a->q);
        if (a->kind == AGG_TOP)
            buf_printf(b, "%lld,", (long long)a->limit);
        add_names(b, a->fields, a->n_fields);
    }
}

static void add_join(struct buf *b, const struct plan *p, const struct plan_node *n)
{
    const struct plan_join *j = &n->join;

    buf_printf(b, "%d,%d,%.*s,", (int)j->with, (int)j->kind, BYTES_FMT(j->as));
    if (j->with != JOIN_STREAM) {
        buf_printf(b, "%s,%lld,", p->tables[j->table].name, (long long)j->wait_ms);
        add_names(b, j->on, j->n_on);
        return;
    }
    buf_printf(b, "%lld,%lld,%lld,", (long long)j->lo_ms, (long long)j->hi_ms,
               (long long)j->grace_ms);
}

static void add_settings(struct buf *b, const struct plan *p, const struct plan_node *n)
{
    switch (n->kind) {
    case NODE_SOURCE:
        buf_printf(b, "%s,%lld,%d,%d,", n->source.topic, (long long)n->source.disorder_ms,
                   (int)n->source.format, n->source.changelog);
        if (n->source.schema != NULL)
            type_print(n->source.schema, b);
        if (n->source.outbox.path != NULL) // where the file lies means nothing
            buf_printf(b, "outbox %s,", n->source.outbox.table);
        return;
    case NODE_EVERY:
        buf_printf(b, "%lld,", (long long)n->every.interval_ms);
        return;
    case NODE_SELECT:
    case NODE_SET:
        add_names(b, n->select.fields, n->select.n);
        return;
    case NODE_MATCH:
        add_match(b, p, n);
        return;
    case NODE_BY:
        add_names(b, n->by.parts, n->by.n);
        return;
    case NODE_AGGREGATE:
        add_window(b, n);
        return;
    case NODE_INTO:
        buf_printf(b, "%s,", p->tables[n->into.table].name);
        add_names(b, n->into.columns, n->into.n);
        return;
    case NODE_TO:
        buf_printf(b, "%s,", n->to.topic);
        add_names(b, n->to.headers, n->to.n_headers);
        if (n->to.has_format)
            buf_printf(b, "format %d,", (int)n->to.format);
        if (n->to.schema != NULL)
            type_print(n->to.schema, b);
        return;
    case NODE_EXPLODE:
        buf_printf(b, "%.*s,", BYTES_FMT(n->explode.name));
        return;
    case NODE_DEDUPE:
        buf_printf(b, "%lld,", (long long)n->dedupe.within_ms);
        return;
    case NODE_CHANGES:
        buf_printf(b, "%s,%d,", n->changes.name != NULL ? n->changes.name : "", n->changes.latest);
        return;
    case NODE_PROCESS:
        buf_printf(b, "%d%d,", n->process.timer != NULL, n->process.upgrade != NULL);
        add_value(b, &n->process.state);
        return;
    case NODE_JOIN:
        add_join(b, p, n);
        return;
    default:
        return;
    }
}

// The names of a state's fields and the kinds of their values: what a function finds in a state
// that another one wrote.
static void add_state_shape(struct buf *b, const struct value *v)
{
    const struct value_object *o = v->object;

    if (v->type != VALUE_OBJECT) {
        buf_printf(b, "%s,", value_is_array(v) ? "array" : value_type_name(v));
        return;
    }
    buf_append_byte(b, '{');
    for (size_t i = 0; i < o->n; i++) {
        buf_printf(b, "%.*s:", BYTES_FMT(o->names[i]));
        add_state_shape(b, &o->values[i]);
    }
    buf_append_byte(b, '}');
}

// Of an operator that keeps rows of its own; nothing is added for the others.
static void add_shape(struct buf *b, const struct plan_node *n)
{
    switch (n->kind) {
    case NODE_AGGREGATE:
        add_window(b, n);
        return;
    case NODE_DEDUPE:
        buf_printf(b, "%d,%lld,", n->dedupe.n, (long long)n->dedupe.within_ms);
        return;
    case NODE_PROCESS:
        add_state_shape(b, &n->process.state);
        buf_printf(b, ",%d", n->n_key_names);
        return;
    case NODE_JOIN:
        if (n->join.with == JOIN_STREAM)
            buf_printf(b, "%d,%lld,%lld,%lld,", n->n_key_names, (long long)n->join.lo_ms,
                       (long long)n->join.hi_ms, (long long)n->join.grace_ms);
        return;
    default:
        return;
    }
}

static uint64_t own_of(struct buf *b, const struct plan *p, struct plan_node *n)
{
    int rc;

    buf_clear(b);
    buf_printf(b, "%s(", node_kind_name(n->kind));
    add_settings(b, p, n);
    rc = plan_node_exprs(n, add_expr, b);
    ASSERT(rc == 0);
    plan_node_fns(n, add_fn, b);
    return bytes_hash(buf_bytes(b), 0);
}

static uint64_t shape_of(struct buf *b, const struct plan_node *n)
{
    buf_clear(b);
    add_shape(b, n);
    return b->n > 0 ? bytes_hash(buf_bytes(b), 0) | 1 : 0;
}

static uint64_t fingerprint_of(struct buf *b, const struct plan *p, const struct plan_node *n)
{
    buf_clear(b);
    buf_append_be64(b, n->own);
    for (int k = 0; k < n->n_inputs; k++)
        buf_printf(b, "<%d:%016llx", (int)n->inputs[k].port,
                   (unsigned long long)p->nodes[n->inputs[k].node].fingerprint);
    return bytes_hash(buf_bytes(b), 0);
}

void plan_pass_fingerprints(struct plan *p)
{
    struct buf b = BUF_EMPTY;

    for (int i = 0; i < p->n_nodes; i++) {
        struct plan_node *n = &p->nodes[i];

        n->own = own_of(&b, p, n);
        n->shape = shape_of(&b, n);
        n->fingerprint = fingerprint_of(&b, p, n);
    }
    buf_clear(&b);
    buf_printf(&b, "%s/%d", p->job, p->version);
    for (int i = 0; i < p->n_nodes; i++)
        buf_append_be64(&b, p->nodes[i].fingerprint);
    for (int i = 0; i < p->n_tables; i++)
        buf_printf(&b, "%s(%s)", p->tables[i].name, p->tables[i].body);
    p->fingerprint = bytes_hash(buf_bytes(&b), 0);
    buf_deinit(&b);
}
