// SPDX-License-Identifier: Apache-2.0
#include "operators/functions.h"

#include "operators/cells.h"
#include "runtime/base/heap.h"
#include "runtime/expr/expr.h"

static int check_function(const struct plan_aggregate *a, struct err *e)
{
    if (agg_type(a->kind) == NULL)
        return err_set(e, LEAT_EUNSUPPORTED, "%.*s: this aggregate is not supported yet",
                       BYTES_FMT(a->name));
    if (!a->has_arg && a->kind != AGG_COUNT)
        return err_set(e, LEAT_EINVAL, "%.*s: %s needs an expression", BYTES_FMT(a->name),
                       agg_kind_name(a->kind));
    return 0;
}

// sum "x", min "x", max "x": one evaluation. Only expressions: a Lua function is called as often as
// it is written.
static bool is_same_argument(const struct plan_aggregate *a, const struct plan_aggregate *b)
{
    const struct expr *x = a->arg.compiled, *y = b->arg.compiled;
    struct buf s = BUF_EMPTY, t = BUF_EMPTY;
    bool same;

    if (!a->has_arg || !b->has_arg || x == NULL || y == NULL || a->kind == AGG_TOP ||
        b->kind == AGG_TOP)
        return false;
    expr_normalised(x, &s);
    expr_normalised(y, &t);
    same = bytes_eq(buf_bytes(&s), buf_bytes(&t));
    buf_deinit(&s);
    buf_deinit(&t);
    return same;
}

// The arguments of function i: those of an earlier one, or its own.
static void place_arguments(struct functions *f, int i)
{
    f->evaluates[i] = f->specs[i].has_arg;
    for (int k = 0; k < i; k++)
        if (is_same_argument(&f->specs[k], &f->specs[i])) {
            f->arg_at[i] = f->arg_at[k];
            f->evaluates[i] = false;
            return;
        }
    f->arg_at[i] = f->n_args;
    f->args[f->n_args] = value_bool(true); // what count without an argument counts
    f->n_args += f->specs[i].kind == AGG_TOP ? 2 : 1;
}

int functions_open(struct functions *f, struct operator *o, struct err *e)
{
    size_t room = (size_t)o->node->aggregate.n + 1;

    f->op = o;
    f->env.run = o->run;
    f->specs = o->node->aggregate.aggs;
    f->types = heap_zalloc(room * sizeof(*f->types));
    f->at = heap_zalloc(room * sizeof(*f->at));
    f->arg_at = heap_zalloc(room * sizeof(*f->arg_at));
    f->evaluates = heap_zalloc(room * sizeof(*f->evaluates));
    f->args = heap_zalloc(room * AGG_ARGS_MAX * sizeof(*f->args));
    for (int i = 0; i < o->node->aggregate.n; i++) {
        int rc = check_function(&f->specs[i], e);

        if (rc < 0)
            return rc;
        f->types[i] = agg_type(f->specs[i].kind);
        f->at[i] = f->bytes;
        f->bytes += f->types[i]->size;
        f->drops = f->drops || f->types[i]->drop != NULL;
        place_arguments(f, i);
        f->n++;
    }
    return 0;
}

void functions_close(struct functions *f)
{
    agg_env_deinit(&f->env);
    heap_free(f->types);
    heap_free(f->at);
    heap_free(f->arg_at);
    heap_free(f->evaluates);
    heap_free(f->args);
    *f = (struct functions){0};
}

// The fields of top, as an object.
static int eval_object(struct functions *f, const struct plan_aggregate *a, struct event *ev,
                       struct value *out, struct err *e)
{
    struct arena *arena = run_arena(f->op->run);
    struct value_object *obj = arena_alloc(arena, sizeof(*obj));

    obj->n = (size_t)a->n_fields;
    obj->names = arena_alloc(arena, (obj->n + 1) * sizeof(*obj->names));
    obj->values = arena_alloc(arena, (obj->n + 1) * sizeof(*obj->values));
    for (int i = 0; i < a->n_fields; i++) {
        int rc = operator_eval(f->op, &a->fields[i].expr, ev, &obj->values[i], e);

        if (rc < 0)
            return cells_blame(e, rc, a->fields[i].name);
        obj->names[i] = a->fields[i].name;
        if (value_is_nil(&obj->values[i]))
            obj->values[i] = VALUE_OF_MISSING;
    }
    *out = (struct value){.type = VALUE_OBJECT, .object = obj};
    return 0;
}

int functions_eval(struct functions *f, struct event *ev, struct err *e)
{
    for (int i = 0; i < f->n; i++) {
        const struct plan_aggregate *a = &f->specs[i];
        struct value *arg = &f->args[f->arg_at[i]];
        int rc;

        if (!f->evaluates[i])
            continue;
        rc = operator_eval(f->op, &a->arg, ev, arg, e);
        if (rc == 0 && a->kind == AGG_TOP && !value_is_nil(arg))
            rc = eval_object(f, a, ev, arg + 1, e);
        if (rc < 0)
            return cells_blame(e, rc, a->name);
    }
    return 0;
}

int functions_add(struct functions *f, void *acc, const struct value *args, int64_t time,
                  struct err *e)
{
    for (int i = 0; i < f->n; i++) {
        const struct value *arg = &args[f->arg_at[i]];
        int rc;

        if (value_is_nil(arg))
            continue;
        f->env.spec = &f->specs[i];
        rc = f->types[i]->add(&f->env, (uint8_t *)acc + f->at[i], arg, time, e);
        if (rc < 0)
            return err_wrap(e, rc, "%.*s", BYTES_FMT(f->specs[i].name));
    }
    return 0;
}

int functions_merge(struct functions *f, void *acc, const void *other, struct err *e)
{
    for (int i = 0; i < f->n; i++) {
        int rc;

        f->env.spec = &f->specs[i];
        rc = f->types[i]->merge(&f->env, (uint8_t *)acc + f->at[i],
                                (const uint8_t *)other + f->at[i], e);
        if (rc < 0)
            return err_wrap(e, rc, "%.*s", BYTES_FMT(f->specs[i].name));
    }
    return 0;
}

void functions_results(const struct functions *f, const void *acc, struct value *out,
                       struct arena *a)
{
    for (int i = 0; i < f->n; i++)
        out[i] = f->types[i]->result(&f->specs[i], (const uint8_t *)acc + f->at[i], a);
}

int functions_pack(const struct functions *f, const void *acc, struct buf *out, struct err *e)
{
    int rc = 0;

    for (int i = 0; i < f->n && rc == 0; i++)
        rc = f->types[i]->pack((const uint8_t *)acc + f->at[i], out, e);
    return rc;
}

int functions_unpack(struct functions *f, void *acc, struct bytes *in)
{
    int rc = 0;

    for (int i = 0; i < f->n && rc == 0; i++) {
        f->env.spec = &f->specs[i];
        rc = f->types[i]->unpack(&f->env, (uint8_t *)acc + f->at[i], in);
    }
    return rc;
}

void functions_drop(const struct functions *f, void *acc)
{
    for (int i = 0; i < f->n && f->drops; i++)
        if (f->types[i]->drop != NULL)
            f->types[i]->drop((uint8_t *)acc + f->at[i]);
}
