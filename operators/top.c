// SPDX-License-Identifier: Apache-2.0
//
// top(n, by, {fields}): the n records with the greatest `by`, greatest first, each as an object of
// its fields. `by` is numbers or text, not both. Of equals the earlier event time comes first, then
// the one that arrived first. Records without `by` do not take part.
//
// Kept as an array of pointers in that order. A record that gets in moves those behind it; the
// array is remembered before, so undo costs n pointers, whatever the objects weigh.
//
// State: n u32, then per item: event time, by, the object.
#include "operators/aggregates.h"
#include "operators/pack.h"

struct item {
    int64_t time;
    struct value by;    // its bytes lie behind
    struct bytes object; // packed; behind them
};

struct acc_top {
    struct item **items; // block; room for spec->limit
    uint64_t n;
};

// --- items ---

static bool has_bytes(const struct value *v)
{
    return v->type == VALUE_TEXT || v->type == VALUE_BYTES;
}

static struct item *item_fill(struct item *it, const struct value *by, struct bytes object,
                              int64_t time)
{
    uint8_t *p = (uint8_t *)(it + 1);

    it->time = time;
    it->by = *by;
    if (has_bytes(by)) {
        if (by->s.n > 0)
            memcpy(p, by->s.p, by->s.n);
        it->by.s.p = p;
        p += by->s.n;
    }
    memcpy(p, object.p, object.n);
    it->object = bytes_of(p, object.n);
    return it;
}

static size_t item_size(const struct value *by, struct bytes object)
{
    return sizeof(struct item) + object.n + (has_bytes(by) ? by->s.n : 0);
}

static struct item **items_of(struct agg_env *env, struct acc_top *t)
{
    if (t->items == NULL)
        t->items = block_begin(env, (size_t)env->spec->limit * sizeof(*t->items));
    return t->items;
}

// Where it belongs: behind all that are before it or equal.
static int place_of(const struct acc_top *t, const struct value *by, int64_t time, uint64_t *place,
                    struct err *e)
{
    for (*place = t->n; *place > 0; --*place) {
        const struct item *before = t->items[*place - 1];
        int cmp, rc = value_cmp(by, &before->by, &cmp, e);

        if (rc < 0)
            return rc;
        if (cmp < 0 || (cmp == 0 && time >= before->time))
            break;
    }
    return 0;
}

static void put_at(struct agg_env *env, struct acc_top *t, uint64_t place, struct item *it)
{
    struct item **items = items_of(env, t);

    agg_undo_bytes(env, items, (size_t)env->spec->limit * sizeof(*items));
    if (t->n == (uint64_t)env->spec->limit)
        block_retire(env, items[--t->n]);
    memmove(items + place + 1, items + place, (t->n - place) * sizeof(*items));
    items[place] = it;
    t->n++;
}

// --- the function ---

static int top_add(struct agg_env *env, void *acc, const struct value *v, int64_t time,
                   struct err *e)
{
    struct acc_top *t = acc;
    struct bytes object;
    uint64_t place;
    int rc;

    if (v->type == VALUE_BOOL || value_is_object(v) || value_is_array(v))
        return err_set(e, LEAT_ETYPE, "top cannot compare %s", value_type_name(v));
    rc = place_of(t, v, time, &place, e);
    if (rc < 0 || place == (uint64_t)env->spec->limit)
        return rc;
    buf_clear(&env->scratch);
    rc = pack_value(&env->scratch, &v[1], e);
    if (rc < 0)
        return rc;
    object = buf_bytes(&env->scratch);
    put_at(env, t, place, item_fill(block_begin(env, item_size(v, object)), v, object, time));
    return 0;
}

static int top_merge(struct agg_env *env, void *acc, const void *other, struct err *e)
{
    struct acc_top *t = acc;
    const struct acc_top *o = other;

    for (uint64_t i = 0; i < o->n; i++) {
        const struct item *it = o->items[i];
        size_t size = item_size(&it->by, it->object);
        uint64_t place;
        int rc = place_of(t, &it->by, it->time, &place, e);

        if (rc < 0)
            return rc;
        if (place < (uint64_t)env->spec->limit)
            put_at(env, t, place,
                   item_fill(block_begin(env, size), &it->by, it->object, it->time));
    }
    return 0;
}

static struct value top_result(const struct plan_aggregate *spec, const void *acc, struct arena *a)
{
    const struct acc_top *t = acc;
    struct value_array *array = arena_alloc(a, sizeof(*array));

    (void)spec;
    array->n = t->n;
    array->items = arena_alloc(a, (t->n + 1) * sizeof(*array->items));
    for (uint64_t i = 0; i < t->n; i++) {
        struct bytes object = t->items[i]->object;
        int rc = unpack_value(&object, &array->items[i]);

        ASSERT(rc == 0);
    }
    return (struct value){.type = VALUE_ARRAY, .array = array};
}

// --- state ---

static int top_pack(const void *acc, struct buf *out, struct err *e)
{
    const struct acc_top *t = acc;
    int rc = 0;

    buf_append_be32(out, (uint32_t)t->n);
    for (uint64_t i = 0; i < t->n && rc == 0; i++) {
        pack_i64(out, t->items[i]->time);
        rc = pack_value(out, &t->items[i]->by, e);
        buf_append_bytes(out, t->items[i]->object);
    }
    return rc;
}

static int unpack_item(struct agg_env *env, struct acc_top *t, struct bytes *in)
{
    struct value by, object;
    struct bytes packed;
    int64_t time;
    int rc = unpack_i64(in, &time);

    rc = rc < 0 ? rc : unpack_value(in, &by);
    packed = *in;
    rc = rc < 0 ? rc : unpack_value(in, &object);
    if (rc < 0 || !value_is_object(&object))
        return LEAT_ECORRUPT;
    packed.n -= in->n;
    t->items[t->n++] = item_fill(block_new(env, item_size(&by, packed)), &by, packed, time);
    return 0;
}

static int top_unpack(struct agg_env *env, void *acc, struct bytes *in)
{
    struct acc_top *t = acc;
    uint32_t n;
    int rc = unpack_u32(in, &n);

    if (rc < 0 || n > (uint64_t)env->spec->limit)
        return LEAT_ECORRUPT;
    if (n > 0)
        t->items = block_new(env, (size_t)env->spec->limit * sizeof(*t->items));
    for (uint32_t i = 0; i < n && rc == 0; i++)
        rc = unpack_item(env, t, in);
    return rc;
}

static void top_drop(void *acc)
{
    struct acc_top *t = acc;

    for (uint64_t i = 0; i < t->n; i++)
        block_free(t->items[i]);
    block_free(t->items);
    *t = (struct acc_top){0};
}

const struct agg_type agg_top = {
    .size = sizeof(struct acc_top),
    .add = top_add,
    .merge = top_merge,
    .result = top_result,
    .pack = top_pack,
    .unpack = top_unpack,
    .drop = top_drop,
};
