// SPDX-License-Identifier: Apache-2.0
//
// split and merge: streams part and meet. Of a split one condition is one node: what it takes goes
// to OUT_MAIN, everything else, false and nil alike, to OUT_REST, where the next condition or the
// reader of the rest stands; so each record goes exactly one way. A merge passes on what comes, in
// the order in which it comes.
#include "operators/operators.h"

static int split_process(struct operator *o, struct event *ev, int input, struct err *e)
{
    struct value v;
    int rc = operator_eval(o, &o->node->where.condition, ev, &v, e);

    (void)input;
    if (rc < 0)
        return rc;
    return operator_emit(o, value_truthy(&v) ? OUT_MAIN : OUT_REST, ev, e);
}

const struct operator_type operator_split = {
    .kind = NODE_SPLIT,
    .size = sizeof(struct operator),
    .process = split_process,
};

static int merge_process(struct operator *o, struct event *ev, int input, struct err *e)
{
    (void)input;
    return operator_emit(o, OUT_MAIN, ev, e);
}

const struct operator_type operator_merge = {
    .kind = NODE_MERGE,
    .size = sizeof(struct operator),
    .process = merge_process,
};
