// SPDX-License-Identifier: Apache-2.0
//
// explode(list, "name"): one record for each element of a list. The record keeps its fields; the
// element stands under the name, in the place of a field that had it. A nil or empty list gives
// nothing (Lua's empty table may be either); anything but a list is class `type`.
#include "operators/operators.h"

// The record's members, with room for one more; *at is where the element goes.
static int copy_members(const struct value *root, struct bytes name, struct value_object *obj,
                        size_t *at, struct arena *a, struct err *e)
{
    size_t room = value_count(root) + 1;
    struct value_iter it;
    struct value v;
    int rc;

    obj->n = 0;
    obj->names = arena_alloc(a, room * sizeof(*obj->names));
    obj->values = arena_alloc(a, room * sizeof(*obj->values));
    *at = SIZE_MAX;
    value_iter_init(&it, root, a);
    while ((rc = value_iter_next(&it, &obj->names[obj->n], &v, e)) > 0) {
        if (!bytes_eq(obj->names[obj->n], name))
            obj->values[obj->n++] = v;
        else if (*at == SIZE_MAX)
            *at = obj->n++;
    }
    if (*at == SIZE_MAX)
        *at = obj->n++;
    obj->names[*at] = name;
    return rc;
}

// Readers may keep what they got until the record ends, so each element gets an object of its own.
static int emit_element(struct operator *o, struct event *ev, const struct value_object *like,
                        size_t at, struct value element, struct err *e)
{
    struct arena *a = run_arena(o->run);
    struct value_object *obj = arena_alloc(a, sizeof(*obj));
    struct event out;

    *obj = *like;
    obj->values = arena_alloc(a, like->n * sizeof(*obj->values));
    memcpy(obj->values, like->values, like->n * sizeof(*obj->values));
    obj->values[at] = element;
    out = event_with_value(ev, (struct value){.type = VALUE_OBJECT, .object = obj}, a);
    return operator_emit(o, OUT_MAIN, &out, e);
}

static int explode_process(struct operator *o, struct event *ev, int input, struct err *e)
{
    struct arena *a = run_arena(o->run);
    struct value_object like;
    struct value_iter it;
    struct value list, v;
    struct bytes ignored;
    size_t at;
    int rc = operator_eval(o, &o->node->explode.list, ev, &list, e);

    (void)input;
    if (rc < 0 || value_is_nil(&list))
        return rc;
    if (!value_is_array(&list) && (!value_is_object(&list) || value_count(&list) > 0))
        return err_set(e, LEAT_ETYPE, "explode wants a list, not %s", value_type_name(&list));
    rc = copy_members(&ev->view.root, o->node->explode.name, &like, &at, a, e);
    value_iter_init(&it, &list, a);
    while (rc == 0 && (rc = value_iter_next(&it, &ignored, &v, e)) > 0)
        rc = emit_element(o, ev, &like, at, v, e);
    return rc;
}

const struct operator_type operator_explode = {
    .kind = NODE_EXPLODE,
    .size = sizeof(struct operator),
    .process = explode_process,
};
