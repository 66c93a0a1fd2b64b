// SPDX-License-Identifier: Apache-2.0
//
// One field plan per stream, so that a record is scanned once however many expressions read it.
//
//   starts a plan    source, every, select, map, match, join and the like: what they emit is new
//   shares           where, by, split, merge and dedupe emit what they got; into and to nothing
//   merge            two streams with different plans meet: the node gets a plan of its own, and
//                    the engine resolves the value again for it
//
// OUT_LATE passes an aggregate's input on, so its readers share the input's plan.
#include "runtime/engine/plan_passes.h"

#include "runtime/expr/expr.h"

static bool starts_plan(enum node_kind k)
{
    switch (k) {
    case NODE_SOURCE:
    case NODE_EVERY:
    case NODE_SELECT:
    case NODE_SET:
    case NODE_MAP:
    case NODE_MATCH:
    case NODE_AGGREGATE:
    case NODE_FLATMAP:
    case NODE_EXPLODE:
    case NODE_CHANGES:
    case NODE_PROCESS:
    case NODE_JOIN:
        return true;
    default:
        return false;
    }
}

static struct fieldplan *emitted(const struct plan *p, const struct plan_input *in)
{
    const struct plan_node *from = &p->nodes[in->node];

    return in->port == OUT_LATE ? from->fields : from->out_fields;
}

static void assign(struct plan *p, struct plan_node *n)
{
    if (starts_plan(n->kind)) {
        n->out_fields = fieldplan_new();
        n->owns_out = true;
    }
    if (n->n_inputs == 0) {
        n->fields = n->out_fields;
        return;
    }
    n->fields = emitted(p, &n->inputs[0]);
    for (int i = 1; i < n->n_inputs && !n->owns_fields; i++)
        if (emitted(p, &n->inputs[i]) != n->fields) {
            n->fields = fieldplan_new();
            n->owns_fields = true;
        }
    if (!n->owns_out)
        n->out_fields = n->fields;
}

// The fields of a schema are read whether an expression wants them or not.
static void assign_schema(struct plan *p, struct plan_node *n)
{
    const struct type *t = n->source.schema;

    n->source.schema_slots = arena_alloc(&p->arena, (t->n_fields + 1) * sizeof(int));
    for (size_t i = 0; i < t->n_fields; i++) {
        struct path_step step = {.name = t->fields[i].name};
        n->source.schema_slots[i] = fieldplan_add(n->fields, &step, 1);
    }
}

struct compile {
    struct plan *plan;
    struct plan_node *node;
    struct err *err;
    bool lua;
};

static int compile_expr(void *arg, struct plan_expr *x)
{
    struct compile *c = arg;
    const struct plan_types *in = &c->node->in;
    struct expr_binds binds = {.values = x->binds, .n = x->n_binds};
    struct expr_scope scope = {c->node->fields, in->value, in->old, in->key};

    if (x->fn != NULL)
        c->lua = true;
    if (x->text == NULL || x->fn != NULL || x->compiled != NULL)
        return 0;
    if (expr_compile_typed(&x->compiled, bytes_str(x->text), &binds, &scope, c->err) != 0)
        return plan_error(c->plan, c->node, x->line, c->err);
    return 0;
}

static void found_fn(void *arg, struct fn *f)
{
    (void)f;
    *(bool *)arg = true;
}

// A function may reach ctx.db wherever it stands, so with tables around it counts as a writer.
static void set_flags(struct plan *p, struct plan_node *n, bool lua)
{
    plan_node_fns(n, found_fn, &lua);
    n->native = !lua;
    if (lua || n->kind == NODE_INTO)
        fieldplan_add_members(n->fields); // both read by name
    n->writes_rows = lua && p->n_tables > 0;
    for (int i = 0; n->kind == NODE_MATCH && i < n->match.n; i++)
        if (n->match.cases[i].n_actions > 0)
            n->writes_rows = true;
    if (n->kind == NODE_INTO) // plan_pass_tables takes it back for an aggregate's own table
        n->writes_rows = true;
}

int plan_pass_fields(struct plan *p, struct err *e)
{
    for (int i = 0; i < p->n_nodes; i++) {
        struct compile c = {.plan = p, .node = &p->nodes[i], .err = e};
        int rc;

        assign(p, &p->nodes[i]);
        if (p->nodes[i].kind == NODE_SOURCE && p->nodes[i].source.schema != NULL)
            assign_schema(p, &p->nodes[i]);
        plan_types_in(p, &p->nodes[i]);
        rc = plan_node_exprs(&p->nodes[i], compile_expr, &c);
        if (rc == 0)
            rc = plan_key_names(p, &p->nodes[i], e);
        if (rc != 0)
            return rc;
        plan_types_out(p, &p->nodes[i]);
        rc = plan_types_check(p, &p->nodes[i], e);
        if (rc != 0)
            return rc;
        set_flags(p, &p->nodes[i], c.lua);
    }
    return 0;
}
