// SPDX-License-Identifier: Apache-2.0
//
// map: a function's values go on instead of the record. A function that returns the value it was
// given changes nothing: the event goes on with its original bytes.
#include "operators/calls.h"

static bool value_is_same(const struct value *a, const struct value *b)
{
    if (a->type != b->type)
        return false;
    switch (a->type) {
    case VALUE_DOC_OBJECT:
    case VALUE_DOC_ARRAY:
        return a->s.p == b->s.p && a->s.n == b->s.n;
    case VALUE_OBJECT:
        return a->object == b->object;
    case VALUE_ARRAY:
        return a->array == b->array;
    default:
        return false;
    }
}

static int emit_value(struct operator *o, struct event *ev, const struct value *v,
                      const struct value *key, struct err *e)
{
    struct event out;

    if (value_is_same(v, &ev->view.root))
        out = *ev;
    else
        out = event_with_value(ev, *v, run_arena(o->run));
    if (key != NULL && key->type != VALUE_MISSING) {
        out.key = *key;
        out.key_raw = BYTES_NULL;
    }
    return operator_emit(o, OUT_MAIN, &out, e);
}

int operator_emit_emitted(struct operator *o, struct event *ev, const struct fn_call *call,
                          struct err *e)
{
    int rc = 0;

    for (size_t i = 0; i < call->n_emits && rc == 0; i++)
        rc = emit_value(o, ev, &call->emits[i].value, &call->emits[i].key, e);
    return rc;
}

int operator_emit_call(struct operator *o, struct event *ev, const struct fn_call *call,
                       struct err *e)
{
    int rc = operator_emit_emitted(o, ev, call, e);

    if (rc < 0 || call->result.type == VALUE_MISSING)
        return rc;
    return emit_value(o, ev, &call->result, NULL, e);
}

int operator_call_and_emit(struct operator *o, struct fn *f, struct event *ev, struct err *e)
{
    struct fn_call call = {0};
    int rc = operator_call(o, f, ev, &call, e);

    return rc < 0 ? rc : operator_emit_call(o, ev, &call, e);
}

static int map_process(struct operator *o, struct event *ev, int input, struct err *e)
{
    (void)input;
    return operator_call_and_emit(o, o->node->map.fn, ev, e);
}

const struct operator_type operator_map = {
    .kind = NODE_MAP,
    .size = sizeof(struct operator),
    .process = map_process,
};
