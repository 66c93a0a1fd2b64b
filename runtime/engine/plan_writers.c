// SPDX-License-Identifier: Apache-2.0
//
// changes() of a table stands behind whatever writes the table: into, actions of match, and every
// function, since ctx.db reaches all tables. They become its inputs, for the order of nodes and for
// watermarks; the changes themselves come from the table.
//
// What stands behind changes() cannot stand before it too. A function there is left out (that it
// does not write this table is checked as it runs: the engine bounds how long one record may go
// on), an into or an action there would feed itself and is refused.
#include "runtime/engine/plan_passes.h"

static int has_fn(void *arg, struct plan_expr *x)
{
    if (x->fn != NULL)
        *(bool *)arg = true;
    return 0;
}

static void found_fn(void *arg, struct fn *f)
{
    (void)f;
    *(bool *)arg = true;
}

static bool calls_lua(struct plan_node *n)
{
    bool found = false;
    int rc = plan_node_exprs(n, has_fn, &found);

    ASSERT(rc == 0);
    plan_node_fns(n, found_fn, &found);
    return found;
}

static bool writes_table(const struct plan *p, const struct plan_node *n, int table)
{
    if (n->kind == NODE_INTO)
        return n->into.table == table ||
               (n->into.name != NULL && strcmp(n->into.name, p->tables[table].name) == 0);
    for (int i = 0; n->kind == NODE_MATCH && i < n->match.n; i++)
        for (int k = 0; k < n->match.cases[i].n_actions; k++)
            if (n->match.cases[i].actions[k].table == table)
                return true;
    return false;
}

static bool reads_marked(const struct plan_node *n, const bool *marked)
{
    for (int i = 0; i < n->n_inputs; i++)
        if (marked[n->inputs[i].node])
            return true;
    return false;
}

// Everything that `from` feeds, itself included.
static bool *mark_behind(struct plan *p, int from)
{
    bool *marked = arena_zalloc(&p->arena, (size_t)p->n_nodes * sizeof *marked);
    bool more = true;

    marked[from] = true;
    while (more) {
        more = false;
        for (int i = 0; i < p->n_nodes; i++)
            if (!marked[i] && reads_marked(&p->nodes[i], marked))
                marked[i] = more = true;
    }
    return marked;
}

static int stand_behind(struct plan *p, int index, struct err *e)
{
    struct plan_node *n = &p->nodes[index];
    const bool *behind = mark_behind(p, index);

    n->inputs = arena_zalloc(&p->arena, (size_t)p->n_nodes * sizeof *n->inputs);
    n->n_inputs = 0;
    for (int i = 0; i < p->n_nodes; i++) {
        bool writes = writes_table(p, &p->nodes[i], n->changes.table);

        if (writes && behind[i])
            return plan_refuse(p, p->nodes[i].line, e,
                               "in %s: it writes table %s, whose changes() (line %d) lead here: "
                               "that would never end",
                               node_kind_name(p->nodes[i].kind), n->changes.name, n->line);
        if (!behind[i] && (writes || calls_lua(&p->nodes[i])))
            n->inputs[n->n_inputs++] = (struct plan_input){.node = i, .port = OUT_CHANGES};
    }
    if (n->n_inputs == 0)
        return plan_refuse(p, n->line, e, "in changes: nothing writes table %s", n->changes.name);
    return 0;
}

int plan_pass_writers(struct plan *p, struct err *e)
{
    int rc = 0;

    for (int i = 0; i < p->n_nodes && rc == 0; i++) {
        struct plan_node *n = &p->nodes[i];

        if (n->kind != NODE_CHANGES || n->changes.name == NULL)
            continue;
        n->changes.table = plan_table_find(p, n->changes.name);
        if (n->changes.table < 0)
            return plan_refuse(p, n->line, e, "in changes: unknown table \"%s\"", n->changes.name);
        rc = stand_behind(p, i, e);
    }
    return rc;
}
