// SPDX-License-Identifier: Apache-2.0
//
// The table of operators, one entry per kind of node that does something with records, and what
// they share. Sources and clocks are the engine's.
#include "operators/operators.h"

static const struct operator_type *const types[] = {
    &operator_where,
    &operator_select,
    &operator_set,
    &operator_map,
    &operator_match,
    &operator_by,
    &operator_aggregate,
    &operator_session,
    &operator_last,
    &operator_into,
    &operator_to,
    &operator_flatmap,
    &operator_explode,
    &operator_split,
    &operator_merge,
    &operator_dedupe,
    &operator_changes,
    &operator_process,
    &operator_join,
    NULL,
};

const struct operator_type *const *operator_types(void)
{
    return types;
}

struct event event_with_value(const struct event *ev, struct value v, struct arena *a)
{
    struct event out = *ev;

    view_of(&out.view, NULL, v, a);
    return out;
}

static bool kind_keeps_rows(enum node_kind k)
{
    return k == NODE_WHERE || k == NODE_SELECT || k == NODE_SET || k == NODE_BY ||
           k == NODE_MERGE;
}

bool plan_is_changelog(const struct plan *p, const struct plan_node *n)
{
    while (n->n_inputs == 1 && n->inputs[0].port == OUT_MAIN) {
        n = &p->nodes[n->inputs[0].node];
        if (n->kind == NODE_SOURCE)
            return n->source.changelog;
        if (!kind_keeps_rows(n->kind))
            return false;
    }
    return false;
}

int event_key_parts(const struct event *ev, const struct value **parts)
{
    if (value_is_nil(&ev->key)) {
        *parts = NULL;
        return 0;
    }
    if (ev->key.type == VALUE_ARRAY) {
        *parts = ev->key.array->items;
        return (int)ev->key.array->n;
    }
    *parts = &ev->key;
    return 1;
}
