// SPDX-License-Identifier: Apache-2.0
//
// select and set: both build an object from expressions. select starts from nothing, set from the
// value's own members, in their order; a field that exists is replaced in its place, a new one goes
// to the end. A field whose expression gives nil is left out, so set also removes.
//
// The plan has the fields in writing order already (positional ones first, then named, sorted).
// Deletes of a changelog stream go through untouched.
#include "operators/cells.h"
#include "operators/operators.h"

struct select {
    struct operator op;
    bool changelog;
};

static int select_open(struct operator *o, struct err *e)
{
    (void)e;
    ((struct select *)o)->changelog = plan_is_changelog(run_plan(o->run), o->node);
    return 0;
}

static struct value_object *object_new(size_t cap, struct arena *a)
{
    struct value_object *obj = arena_alloc(a, sizeof(*obj));

    obj->n = 0;
    obj->names = arena_alloc(a, (cap ? cap : 1) * sizeof(*obj->names));
    obj->values = arena_alloc(a, (cap ? cap : 1) * sizeof(*obj->values));
    return obj;
}

static void object_add(struct value_object *obj, struct bytes name, struct value v)
{
    obj->names[obj->n] = name;
    obj->values[obj->n++] = v;
}

// Replaces in place; of members that came twice the last counts, the others go.
static void object_put(struct value_object *obj, struct bytes name, struct value v)
{
    bool found = false;

    for (size_t i = obj->n; i-- > 0;) {
        if (!bytes_eq(obj->names[i], name))
            continue;
        obj->values[i] = found ? VALUE_OF_MISSING : v;
        found = true;
    }
    if (!found)
        object_add(obj, name, v);
}

// A nil member stays as MISSING, which writers leave out and readers read as nil.
static int eval_fields(struct operator *o, struct event *ev, struct value_object *obj,
                       struct err *e)
{
    for (int i = 0; i < o->node->select.n; i++) {
        const struct plan_field *f = &o->node->select.fields[i];
        struct value v;
        int rc = operator_eval(o, &f->expr, ev, &v, e);

        if (rc < 0)
            return cells_blame(e, rc, f->name);
        object_put(obj, f->name, value_is_nil(&v) ? VALUE_OF_MISSING : v);
    }
    return 0;
}

static void object_drop_missing(struct value_object *obj)
{
    size_t n = 0;

    for (size_t i = 0; i < obj->n; i++) {
        if (obj->values[i].type == VALUE_MISSING)
            continue;
        obj->names[n] = obj->names[i];
        obj->values[n++] = obj->values[i];
    }
    obj->n = n;
}

static int copy_members(const struct value *root, struct value_object *obj, struct arena *a,
                        struct err *e)
{
    struct value_iter it;
    struct bytes name;
    struct value v;
    int rc;

    value_iter_init(&it, root, a);
    while ((rc = value_iter_next(&it, &name, &v, e)) > 0)
        object_add(obj, name, v);
    return rc;
}

static int select_emit(struct operator *o, struct event *ev, struct value_object *obj,
                       struct err *e)
{
    struct event out;
    int rc = eval_fields(o, ev, obj, e);

    if (rc < 0)
        return rc;
    object_drop_missing(obj);
    out = event_with_value(ev, (struct value){.type = VALUE_OBJECT, .object = obj},
                           run_arena(o->run));
    return operator_emit(o, OUT_MAIN, &out, e);
}

static int select_process(struct operator *o, struct event *ev, int input, struct err *e)
{
    (void)input;
    if (((struct select *)o)->changelog && value_is_nil(&ev->view.root))
        return operator_emit(o, OUT_MAIN, ev, e);
    return select_emit(o, ev, object_new((size_t)o->node->select.n, run_arena(o->run)), e);
}

static int set_process(struct operator *o, struct event *ev, int input, struct err *e)
{
    const struct value *root = &ev->view.root;
    struct value_object *obj;
    int rc;

    (void)input;
    if (((struct select *)o)->changelog && value_is_nil(root))
        return operator_emit(o, OUT_MAIN, ev, e);
    if (!value_is_nil(root) && !value_is_object(root))
        return err_set(e, LEAT_ETYPE, "the value is not an object but %s", value_type_name(root));
    obj = object_new(value_count(root) + (size_t)o->node->select.n, run_arena(o->run));
    rc = copy_members(root, obj, run_arena(o->run), e);
    if (rc < 0)
        return rc;
    return select_emit(o, ev, obj, e);
}

const struct operator_type operator_select = {
    .kind = NODE_SELECT,
    .size = sizeof(struct select),
    .open = select_open,
    .process = select_process,
};

const struct operator_type operator_set = {
    .kind = NODE_SET,
    .size = sizeof(struct select),
    .open = select_open,
    .process = set_process,
};
