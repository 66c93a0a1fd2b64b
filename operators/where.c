// SPDX-License-Identifier: Apache-2.0
//
// where: keeps what is truthy; false and nil are dropped. A condition of the wrong type is the
// record's error, never "false". The delete of a changelog stream has no fields to ask about and
// always goes on: what it deletes may have passed earlier.
#include "operators/operators.h"

struct where {
    struct operator op;
    bool changelog;
};

static int where_open(struct operator *o, struct err *e)
{
    (void)e;
    ((struct where *)o)->changelog = plan_is_changelog(run_plan(o->run), o->node);
    return 0;
}

static int where_process(struct operator *o, struct event *ev, int input, struct err *e)
{
    struct value v;
    int rc;

    (void)input;
    if (((struct where *)o)->changelog && value_is_nil(&ev->view.root))
        return operator_emit(o, OUT_MAIN, ev, e);
    rc = operator_eval(o, &o->node->where.condition, ev, &v, e);
    if (rc < 0)
        return rc;
    return value_truthy(&v) ? operator_emit(o, OUT_MAIN, ev, e) : 0;
}

const struct operator_type operator_where = {
    .kind = NODE_WHERE,
    .size = sizeof(struct where),
    .open = where_open,
    .process = where_process,
};
