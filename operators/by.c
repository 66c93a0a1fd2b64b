// SPDX-License-Identifier: Apache-2.0
//
// by: gives everything after it another key. One expression makes a scalar key, several a composite
// (an array; its bytes are a msgpack array). A part that is nil, or no scalar, is class `key`.
#include "operators/operators.h"

static int part_check(const struct plan_field *f, const struct value *v, struct err *e)
{
    if (value_is_nil(v))
        return err_set(e, LEAT_EKEY, "the key %.*s is nil", BYTES_FMT(f->name));
    if (value_is_object(v) || value_is_array(v))
        return err_set(e, LEAT_EKEY, "the key %.*s is %s: a key is text, a number or a boolean",
                       BYTES_FMT(f->name), value_type_name(v));
    return 0;
}

static int by_process(struct operator *o, struct event *ev, int input, struct err *e)
{
    int n = o->node->by.n, rc = 0;
    struct arena *a = run_arena(o->run);
    struct value *parts = arena_alloc(a, (size_t)n * sizeof(*parts));
    struct event out = *ev;

    (void)input;
    for (int i = 0; i < n; i++) {
        const struct plan_field *f = &o->node->by.parts[i];

        rc = operator_eval(o, &f->expr, ev, &parts[i], e);
        if (rc == 0)
            rc = part_check(f, &parts[i], e);
        if (rc < 0)
            return rc;
    }
    out.key = parts[0];
    if (n > 1) {
        struct value_array *array = arena_alloc(a, sizeof(*array));

        *array = (struct value_array){.n = (size_t)n, .items = parts};
        out.key = (struct value){.type = VALUE_ARRAY, .array = array};
    }
    out.key_raw = BYTES_NULL;
    return operator_emit(o, OUT_MAIN, &out, e);
}

static int by_open(struct operator *o, struct err *e)
{
    if (o->node->by.n < 1)
        return err_set(e, LEAT_EINVAL, "by needs at least one expression");
    return 0;
}

const struct operator_type operator_by = {
    .kind = NODE_BY,
    .size = sizeof(struct operator),
    .open = by_open,
    .process = by_process,
};
