// SPDX-License-Identifier: Apache-2.0
//
// flatmap: a function's list goes on, element by element, instead of the record. What ctx:emit said
// comes first, as in map. nil and the empty list drop the record; anything but a list is class
// `type`: a single value is what map is for.
#include "operators/calls.h"

static int emit_element(struct operator *o, struct event *ev, const struct value *v, struct err *e)
{
    struct event out = event_with_value(ev, *v, run_arena(o->run));

    return operator_emit(o, OUT_MAIN, &out, e);
}

static int emit_list(struct operator *o, struct event *ev, const struct value *list, struct err *e)
{
    struct value_iter it;
    struct bytes name;
    struct value v;
    int rc;

    value_iter_init(&it, list, run_arena(o->run));
    while ((rc = value_iter_next(&it, &name, &v, e)) > 0) {
        if (value_is_nil(&v))
            continue;
        rc = emit_element(o, ev, &v, e);
        if (rc < 0)
            return rc;
    }
    return rc;
}

// Lua has one empty table for both.
static bool is_list(const struct value *v)
{
    return value_is_array(v) || (value_is_object(v) && value_count(v) == 0);
}

static int flatmap_process(struct operator *o, struct event *ev, int input, struct err *e)
{
    struct fn_call call = {0};
    int rc = operator_call(o, o->node->map.fn, ev, &call, e);

    (void)input;
    if (rc < 0)
        return rc;
    rc = operator_emit_emitted(o, ev, &call, e);
    if (rc < 0 || value_is_nil(&call.result))
        return rc;
    if (!is_list(&call.result))
        return err_set(e, LEAT_ETYPE, "flatmap's function returned %s: it must return a list",
                       value_type_name(&call.result));
    return emit_list(o, ev, &call.result, e);
}

const struct operator_type operator_flatmap = {
    .kind = NODE_FLATMAP,
    .size = sizeof(struct operator),
    .process = flatmap_process,
};
