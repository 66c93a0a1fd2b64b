// SPDX-License-Identifier: Apache-2.0
//
// quantile(q, e): the value at rank ceil(q * n) of the sorted ones (nearest rank).
//
//   up to 256 values   all of them are kept, and the answer is one of them
//   more               counts per bucket. A bucket is all floats that agree in sign, exponent and
//                      the first 7 bits of the mantissa, and stands for its middle: at most 1/256
//                      (0.4 %) of the value away. When more than 1024 buckets are in use, which
//                      takes values spread over more than a factor of 256, all buckets are joined
//                      in pairs and the error doubles; and so on. Never outside of the least and
//                      greatest value seen, so a constant stays exact
//
// Which buckets there are depends on the values alone, not on their order nor on how they were
// divided between accumulators: merging is exact. A t-digest would be smaller and sharper at the
// ends, but its answer depends on the order of arrival.
//
// State: 0, n u32, per value type u8, scale u8, 8 bytes; or
//        1, joined u8, total, least, greatest, n u32, per bucket index u32, count (by index)
#include "operators/aggregates.h"
#include "operators/pack.h"
#include "runtime/base/heap.h"

#include <math.h>
#include <stdlib.h>

#define EXACT_MAX 256
#define EXACT_MIN 8 // room at first
#define BUCKETS_MAX 1024
#define BUCKETS_ROOM (4 * EXACT_MAX) // at first; a power of two
#define JOINED_MAX 16
#define BUCKET_SHIFT 45 // of a double: 1 bit sign, 11 exponent, 7 mantissa are left
#define SIGN (UINT64_C(1) << 63)

struct number {
    int64_t bits;
    uint8_t type, scale;
};

struct bucket {
    int64_t count; // 0: free
    int32_t index;
};

struct acc_quantile {
    void *block;  // struct number[room], or struct bucket[room] as a hash table
    uint32_t n;   // numbers, or buckets in use
    uint32_t room;
    bool sketch;
    uint8_t joined; // how often
    int64_t total;
    double least, greatest;
};

// --- numbers ---

static struct number number_of(const struct value *v)
{
    struct number x = {.type = v->type, .scale = v->type == VALUE_DECIMAL ? v->scale : 0};

    if (v->type == VALUE_FLOAT)
        memcpy(&x.bits, &v->f, sizeof(x.bits));
    else
        x.bits = v->i;
    return x;
}

static struct value number_value(struct number x)
{
    struct value v = {.type = x.type, .scale = x.scale};

    if (x.type == VALUE_FLOAT)
        memcpy(&v.f, &x.bits, sizeof(v.f));
    else
        v.i = x.bits;
    return v;
}

static double number_float(struct number x)
{
    struct value v = number_value(x);

    if (v.type == VALUE_FLOAT)
        return v.f;
    return (double)v.i / pow(10, v.scale);
}

// Equal numbers of different types are told apart too, so that order of arrival never matters.
static int number_cmp(const void *a, const void *b)
{
    const struct number *x = a, *y = b;
    struct value vx = number_value(*x), vy = number_value(*y);
    int cmp = 0;
    int rc = value_cmp(&vx, &vy, &cmp, NULL);

    ASSERT(rc == 0);
    if (cmp == 0)
        cmp = (x->type > y->type) - (x->type < y->type);
    return cmp != 0 ? cmp : (x->scale > y->scale) - (x->scale < y->scale);
}

// --- buckets ---

static int32_t bucket_of(double d, int joined)
{
    uint64_t bits;
    int32_t size;

    memcpy(&bits, &d, sizeof(bits));
    size = (int32_t)((bits & ~SIGN) >> BUCKET_SHIFT);
    return (bits & SIGN ? ~size : size) >> joined;
}

static double bucket_middle(int32_t index, int joined)
{
    int32_t size = index < 0 ? ~index : index;
    uint64_t bits = (uint64_t)size << (BUCKET_SHIFT + joined);
    double d;

    bits += UINT64_C(1) << (BUCKET_SHIFT + joined - 1);
    memcpy(&d, &bits, sizeof(d));
    return index < 0 ? -d : d;
}

// Its bucket, or the free one where it belongs.
static struct bucket *bucket_find(struct bucket *table, uint32_t room, int32_t index)
{
    uint32_t i = ((uint32_t)index * UINT32_C(2654435761)) >> 7;

    for (i &= room - 1; table[i].count != 0 && table[i].index != index;)
        i = (i + 1) & (room - 1);
    return &table[i];
}

// Another table with the same counts, joined once more or not.
static void table_replace(struct agg_env *env, struct acc_quantile *q, uint32_t room, int join)
{
    struct bucket *old = q->block, *table = block_begin(env, room * sizeof(*table));
    uint32_t n = 0;

    for (uint32_t i = 0; i < q->room; i++) {
        struct bucket *b;

        if (old[i].count == 0)
            continue;
        b = bucket_find(table, room, old[i].index >> join);
        n += b->count == 0;
        b->index = old[i].index >> join;
        b->count += old[i].count;
    }
    block_retire(env, old);
    q->block = table;
    q->room = room;
    q->n = n;
    q->joined = (uint8_t)(q->joined + join);
}

static void sketch_add(struct agg_env *env, struct acc_quantile *q, int32_t finest, int64_t count)
{
    struct bucket *b = bucket_find(q->block, q->room, finest >> q->joined);

    while (b->count == 0 && q->n == BUCKETS_MAX) {
        table_replace(env, q, q->room, 1);
        b = bucket_find(q->block, q->room, finest >> q->joined);
    }
    if (b->count == 0 && (q->n + 1) * 2 > q->room) {
        table_replace(env, q, q->room * 2, 0);
        b = bucket_find(q->block, q->room, finest >> q->joined);
    }
    agg_undo_bytes(env, b, sizeof(*b));
    q->n += b->count == 0;
    b->index = finest >> q->joined;
    b->count += count;
    q->total += count;
}

static void sketch_number(struct agg_env *env, struct acc_quantile *q, double d)
{
    q->least = q->total == 0 || d < q->least ? d : q->least;
    q->greatest = q->total == 0 || d > q->greatest ? d : q->greatest;
    sketch_add(env, q, bucket_of(d, 0), 1);
}

static void become_sketch(struct agg_env *env, struct acc_quantile *q)
{
    struct number *old = q->block;
    uint32_t n = q->n;

    q->sketch = true;
    q->block = block_begin(env, BUCKETS_ROOM * sizeof(struct bucket));
    q->room = BUCKETS_ROOM;
    q->n = 0;
    for (uint32_t i = 0; i < n; i++)
        sketch_number(env, q, number_float(old[i]));
    block_retire(env, old);
}

// --- the function ---

static void exact_add(struct agg_env *env, struct acc_quantile *q, struct number x)
{
    if (q->n == q->room) {
        uint32_t room = q->room > 0 ? q->room * 2 : EXACT_MIN;
        struct number *grown = block_begin(env, room * sizeof(*grown));

        if (q->n > 0)
            memcpy(grown, q->block, q->n * sizeof(*grown));
        block_retire(env, q->block);
        q->block = grown;
        q->room = room;
    }
    ((struct number *)q->block)[q->n++] = x; // behind n: undone with it
}

static void quantile_number(struct agg_env *env, struct acc_quantile *q, struct number x)
{
    if (!q->sketch && q->n == EXACT_MAX)
        become_sketch(env, q);
    if (q->sketch)
        sketch_number(env, q, number_float(x));
    else
        exact_add(env, q, x);
}

static int quantile_add(struct agg_env *env, void *acc, const struct value *v, int64_t time,
                        struct err *e)
{
    double d;
    int rc = agg_number(env, v, &d, e);

    (void)time;
    if (rc == 0)
        quantile_number(env, acc, number_of(v));
    return rc;
}

static int quantile_merge(struct agg_env *env, void *acc, const void *other, struct err *e)
{
    struct acc_quantile *q = acc;
    const struct acc_quantile *o = other;
    const struct bucket *b = o->block;

    (void)e;
    for (uint32_t i = 0; !o->sketch && i < o->n; i++)
        quantile_number(env, q, ((const struct number *)o->block)[i]);
    if (!o->sketch)
        return 0;
    if (!q->sketch)
        become_sketch(env, q);
    while (q->joined < o->joined)
        table_replace(env, q, q->room, 1);
    q->least = q->total == 0 || o->least < q->least ? o->least : q->least;
    q->greatest = q->total == 0 || o->greatest > q->greatest ? o->greatest : q->greatest;
    for (uint32_t i = 0; i < o->room; i++)
        if (b[i].count > 0) // to its first finest one: the same bucket from here on
            sketch_add(env, q, b[i].index * (INT32_C(1) << o->joined), b[i].count);
    return 0;
}

static int bucket_cmp(const void *a, const void *b)
{
    int32_t x = ((const struct bucket *)a)->index, y = ((const struct bucket *)b)->index;

    return (x > y) - (x < y);
}

static void buckets_sorted(const struct acc_quantile *q, struct bucket *out)
{
    const struct bucket *table = q->block;
    uint32_t n = 0;

    for (uint32_t i = 0; i < q->room; i++)
        if (table[i].count > 0)
            out[n++] = table[i];
    ASSERT(n == q->n);
    qsort(out, n, sizeof(*out), bucket_cmp);
}

// From 1. The product may lie a rounding above a whole number, as 0.07 * 100 does.
static int64_t rank_of(double quantile, int64_t n)
{
    int64_t rank = (int64_t)ceil(quantile * (double)n * (1 - 1e-12));

    return rank < 1 ? 1 : rank > n ? n : rank;
}

static struct value quantile_result(const struct plan_aggregate *spec, const void *acc,
                                    struct arena *a)
{
    const struct acc_quantile *q = acc;
    struct bucket *buckets;
    struct number *numbers;
    int64_t rank;
    uint32_t i = 0;
    double d;

    if (q->n == 0)
        return VALUE_OF_NULL;
    rank = rank_of(spec->q, q->sketch ? q->total : q->n);
    if (!q->sketch) {
        numbers = arena_alloc(a, q->n * sizeof(*numbers));
        memcpy(numbers, q->block, q->n * sizeof(*numbers));
        qsort(numbers, q->n, sizeof(*numbers), number_cmp);
        return number_value(numbers[rank - 1]);
    }
    buckets = arena_alloc(a, q->n * sizeof(*buckets));
    buckets_sorted(q, buckets);
    while (rank > buckets[i].count)
        rank -= buckets[i++].count;
    d = bucket_middle(buckets[i].index, q->joined);
    return value_float(d < q->least ? q->least : d > q->greatest ? q->greatest : d);
}

// --- state ---

static int quantile_pack(const void *acc, struct buf *out, struct err *e)
{
    const struct acc_quantile *q = acc;
    struct bucket *buckets;

    (void)e;
    pack_u8(out, q->sketch);
    if (!q->sketch) {
        const struct number *x = q->block;

        buf_append_be32(out, q->n);
        for (uint32_t i = 0; i < q->n; i++) {
            pack_u8(out, x[i].type);
            pack_u8(out, x[i].scale);
            pack_i64(out, x[i].bits);
        }
        return 0;
    }
    pack_u8(out, q->joined);
    pack_i64(out, q->total);
    pack_f64(out, q->least);
    pack_f64(out, q->greatest);
    buf_append_be32(out, q->n);
    buckets = heap_alloc(q->n * sizeof(*buckets));
    buckets_sorted(q, buckets);
    for (uint32_t i = 0; i < q->n; i++) {
        buf_append_be32(out, (uint32_t)buckets[i].index);
        pack_i64(out, buckets[i].count);
    }
    heap_free(buckets);
    return 0;
}

static int unpack_numbers(struct agg_env *env, struct acc_quantile *q, struct bytes *in)
{
    struct number *x;
    int rc = unpack_u32(in, &q->n);

    if (rc < 0 || q->n > EXACT_MAX)
        return LEAT_ECORRUPT;
    q->room = EXACT_MIN;
    while (q->room < q->n)
        q->room *= 2;
    x = q->block = block_new(env, q->room * sizeof(*x));
    for (uint32_t i = 0; i < q->n && rc == 0; i++) {
        rc = unpack_u8(in, &x[i].type);
        rc = rc < 0 ? rc : unpack_u8(in, &x[i].scale);
        rc = rc < 0 ? rc : unpack_i64(in, &x[i].bits);
        if (rc == 0 && ((x[i].type != VALUE_INT && x[i].type != VALUE_FLOAT &&
                         x[i].type != VALUE_DECIMAL) || x[i].scale > 18))
            rc = LEAT_ECORRUPT;
    }
    return rc;
}

static int unpack_buckets(struct agg_env *env, struct acc_quantile *q, uint32_t n,
                          struct bytes *in)
{
    int rc = 0;

    q->room = BUCKETS_ROOM;
    while (q->room < n * 2)
        q->room *= 2;
    q->block = block_new(env, q->room * sizeof(struct bucket));
    for (q->n = 0; q->n < n && rc == 0; q->n++) {
        struct bucket *b;
        uint32_t index;
        int64_t count;

        rc = unpack_u32(in, &index);
        rc = rc < 0 ? rc : unpack_i64(in, &count);
        if (rc < 0 || count <= 0)
            return LEAT_ECORRUPT;
        b = bucket_find(q->block, q->room, (int32_t)index);
        if (b->count != 0)
            return LEAT_ECORRUPT;
        *b = (struct bucket){.count = count, .index = (int32_t)index};
    }
    return rc;
}

static int quantile_unpack(struct agg_env *env, void *acc, struct bytes *in)
{
    struct acc_quantile *q = acc;
    uint8_t sketch;
    uint32_t n;
    int rc = unpack_u8(in, &sketch);

    if (rc < 0 || sketch > 1)
        return LEAT_ECORRUPT;
    if (!sketch)
        return unpack_numbers(env, q, in);
    rc = unpack_u8(in, &q->joined);
    rc = rc < 0 ? rc : unpack_i64(in, &q->total);
    rc = rc < 0 ? rc : unpack_f64(in, &q->least);
    rc = rc < 0 ? rc : unpack_f64(in, &q->greatest);
    rc = rc < 0 ? rc : unpack_u32(in, &n);
    if (rc < 0 || n == 0 || n > BUCKETS_MAX || q->joined > JOINED_MAX)
        return LEAT_ECORRUPT;
    q->sketch = true;
    return unpack_buckets(env, q, n, in);
}

static void quantile_drop(void *acc)
{
    struct acc_quantile *q = acc;

    block_free(q->block);
    q->block = NULL;
}

const struct agg_type agg_quantile = {
    .size = sizeof(struct acc_quantile),
    .add = quantile_add,
    .merge = quantile_merge,
    .result = quantile_result,
    .pack = quantile_pack,
    .unpack = quantile_unpack,
    .drop = quantile_drop,
};
