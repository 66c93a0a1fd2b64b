// SPDX-License-Identifier: Apache-2.0
//
// Which operator runs which node. The table of types that the app hands over is the one list of
// what this version can do: a kind of node that is not in it is refused when the job is loaded.
#include "runtime/engine/operator.h"

static int sink_process(struct operator* o, struct event *ev, int input, struct err *e)
{
    (void)o, (void)ev, (void)input, (void)e;
    return 0;
}

// Sources and clocks are driven by the job, and a table that is an aggregate's own is written by
// the aggregate: these need a place in the plan but do nothing.
static const struct operator_type passive = {.size = sizeof(struct operator),
                                             .process = sink_process};

static bool is_passive(const struct plan *p, const struct plan_node *n)
{
    return n->kind == NODE_SOURCE || n->kind == NODE_EVERY ||
           (n->kind == NODE_INTO && p->tables[n->into.table].aggregate >= 0);
}

const struct operator_type *plan_operator_type(const struct plan *p, const struct plan_node *n,
                                               const struct operator_type *const *types)
{
    if (is_passive(p, n))
        return &passive;
    for (; types != NULL && *types != NULL; types++)
        if ((*types)->kind == n->kind && ((*types)->takes == NULL || (*types)->takes(n)))
            return *types;
    return NULL;
}

int plan_check_operators(const struct plan *p, const struct operator_type *const *types,
                         struct err *e)
{
    for (int i = 0; i < p->n_nodes; i++)
        if (plan_operator_type(p, &p->nodes[i], types) == NULL)
            return err_set(e, LEAT_EUNSUPPORTED, "%s:%d: :%s is not supported by this version",
                           p->file, p->nodes[i].line, node_kind_name(p->nodes[i].kind));
    return 0;
}
