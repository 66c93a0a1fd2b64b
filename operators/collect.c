// SPDX-License-Identifier: Apache-2.0
//
// collect(e): all values as a list, by event time, of equal times as they arrived. Any value but
// nil. At most 10000 of them and 1 MiB: the record that would go past that is class `budget`, since
// a list that silently leaves things out would be a wrong answer.
//
// Kept in order of arrival, so that adding only appends; sorted when the result is asked for.
//
// State: n u32, then per value: event time, the value.
#include "operators/aggregates.h"
#include "operators/pack.h"
#include "runtime/base/limits.h"

#include <stdlib.h>

#define ROOM_MIN 8

struct item {
    int64_t time;
    struct value value; // kept
};

struct acc_collect {
    struct item *items; // block
    uint32_t n, room;
    uint64_t bytes; // of texts and documents
};

static size_t bytes_in(const struct value *v)
{
    return v->type == VALUE_TEXT || v->type == VALUE_BYTES || v->type == VALUE_DOC_ARRAY ||
                   v->type == VALUE_DOC_OBJECT
               ? v->s.n
               : 0;
}

static void make_room(struct agg_env *env, struct acc_collect *c)
{
    uint32_t room = c->room > 0 ? c->room * 2 : ROOM_MIN;
    struct item *grown;

    if (c->n < c->room)
        return;
    grown = block_begin(env, room * sizeof(*grown));
    if (c->n > 0)
        memcpy(grown, c->items, c->n * sizeof(*grown));
    block_retire(env, c->items);
    c->items = grown;
    c->room = room;
}

static int collect_add(struct agg_env *env, void *acc, const struct value *v, int64_t time,
                       struct err *e)
{
    struct acc_collect *c = acc;
    struct item it = {.time = time, .value = VALUE_OF_MISSING};
    int rc;

    if (c->n == AGG_COLLECT_MAX)
        return err_set(e, LEAT_EBUDGET, "collect holds %d values of this group already",
                       AGG_COLLECT_MAX);
    rc = kept_set(env, &it.value, v, e);
    if (rc < 0)
        return rc;
    c->bytes += bytes_in(&it.value) + sizeof(it);
    if (c->bytes > STATE_BYTES_MAX)
        return err_set(e, LEAT_EBUDGET, "collect would hold more than %d bytes of this group",
                       STATE_BYTES_MAX);
    make_room(env, c);
    c->items[c->n++] = it; // behind n: undone with it
    return 0;
}

static int collect_merge(struct agg_env *env, void *acc, const void *other, struct err *e)
{
    const struct acc_collect *o = other;
    int rc = 0;

    for (uint32_t i = 0; i < o->n && rc == 0; i++)
        rc = collect_add(env, acc, &o->items[i].value, o->items[i].time, e);
    return rc;
}

struct place {
    int64_t time;
    uint32_t i;
};

static int place_cmp(const void *a, const void *b)
{
    const struct place *x = a, *y = b;

    if (x->time != y->time)
        return x->time < y->time ? -1 : 1;
    return (x->i > y->i) - (x->i < y->i);
}

static struct value collect_result(const struct plan_aggregate *spec, const void *acc,
                                   struct arena *a)
{
    const struct acc_collect *c = acc;
    struct value_array *array = arena_alloc(a, sizeof(*array));
    struct place *places = arena_alloc(a, (c->n + 1) * sizeof(*places));

    (void)spec;
    array->n = c->n;
    array->items = arena_alloc(a, (c->n + 1) * sizeof(*array->items));
    for (uint32_t i = 0; i < c->n; i++)
        places[i] = (struct place){.time = c->items[i].time, .i = i};
    qsort(places, c->n, sizeof(*places), place_cmp);
    for (uint32_t i = 0; i < c->n; i++)
        array->items[i] = c->items[places[i].i].value;
    return (struct value){.type = VALUE_ARRAY, .array = array};
}

static int collect_pack(const void *acc, struct buf *out, struct err *e)
{
    const struct acc_collect *c = acc;
    int rc = 0;

    buf_append_be32(out, c->n);
    for (uint32_t i = 0; i < c->n && rc == 0; i++) {
        pack_i64(out, c->items[i].time);
        rc = pack_value(out, &c->items[i].value, e);
    }
    return rc;
}

static int collect_unpack(struct agg_env *env, void *acc, struct bytes *in)
{
    struct acc_collect *c = acc;
    uint32_t n;
    int rc = unpack_u32(in, &n);

    if (rc < 0 || n > AGG_COLLECT_MAX)
        return LEAT_ECORRUPT;
    for (c->room = ROOM_MIN; c->room < n;)
        c->room *= 2;
    c->items = block_new(env, c->room * sizeof(*c->items));
    for (; c->n < n && rc == 0; c->n++) {
        struct item *it = &c->items[c->n];

        rc = unpack_i64(in, &it->time);
        rc = rc < 0 ? rc : kept_unpack(env, in, &it->value);
        c->bytes += bytes_in(&it->value) + sizeof(*it);
    }
    return rc;
}

static void collect_drop(void *acc)
{
    struct acc_collect *c = acc;

    for (uint32_t i = 0; i < c->n; i++)
        kept_drop(&c->items[i].value);
    block_free(c->items);
    *c = (struct acc_collect){0};
}

const struct agg_type agg_collect = {
    .size = sizeof(struct acc_collect),
    .add = collect_add,
    .merge = collect_merge,
    .result = collect_result,
    .pack = collect_pack,
    .unpack = collect_unpack,
    .drop = collect_drop,
};
