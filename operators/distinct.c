// SPDX-License-Identifier: Apache-2.0
//
// distinct(e): how many different values. Numbers are equal by value, whatever their type; text,
// bytes and booleans by content. Objects and lists are class `type`.
//
//   up to 1024 values   their 64-bit hashes are kept, and counted (that two of so few values share
//                       a hash has a chance below one in 10^13)
//   more                HyperLogLog: 16384 registers of a byte, each the longest run of zeros among
//                       the hashes that fell to it. Standard error 0.8 %; the estimate is Ertl's
//                       ("New cardinality estimation algorithms for HyperLogLog sketches", 2017),
//                       which has no bias that would need a table
//
// Both hold a set of hashes, so order and division of the records do not matter.
//
// State: 0, n u32, the hashes in order; or 1, the registers.
#include "operators/aggregates.h"
#include "operators/groupkey.h"
#include "operators/pack.h"
#include "runtime/base/endian.h"
#include "runtime/base/heap.h"

#include <math.h>
#include <stdlib.h>

#define EXACT_MAX 1024
#define ROOM_MIN 16
#define INDEX_BITS 14
#define REGISTERS (1 << INDEX_BITS)
#define RUN_MAX (64 - INDEX_BITS + 1)

struct acc_distinct {
    void *block;  // uint64_t[room] as a hash table, 0 is free; or uint8_t[REGISTERS]
    uint32_t n;   // hashes
    uint32_t room;
    uint64_t sketch; // 0, 1
};

// --- hashes ---

static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static int hash_of(struct agg_env *env, const struct value *v, uint64_t *hash, struct err *e)
{
    int rc;

    if (value_is_object(v) || value_is_array(v))
        return err_set(e, LEAT_ETYPE, "distinct cannot tell %s apart: give it a field of them",
                       value_type_name(v));
    buf_clear(&env->scratch);
    rc = group_key_encode(&env->scratch, v, 1, e);
    if (rc == 0 && v->type == VALUE_BOOL) // true is not 1
        buf_append_byte(&env->scratch, 'b');
    *hash = mix(bytes_hash(buf_bytes(&env->scratch), 0));
    *hash += *hash == 0;
    return rc;
}

static uint64_t *hash_find(uint64_t *table, uint32_t room, uint64_t hash)
{
    uint64_t i = hash & (room - 1);

    while (table[i] != 0 && table[i] != hash)
        i = (i + 1) & (room - 1);
    return &table[i];
}

static void table_grow(struct agg_env *env, struct acc_distinct *d)
{
    uint32_t room = d->room > 0 ? d->room * 2 : ROOM_MIN;
    uint64_t *old = d->block, *table = block_begin(env, room * sizeof(*table));

    for (uint32_t i = 0; i < d->room; i++)
        if (old[i] != 0)
            *hash_find(table, room, old[i]) = old[i];
    block_retire(env, old);
    d->block = table;
    d->room = room;
}

// --- registers ---

static uint32_t register_of(uint64_t hash)
{
    return (uint32_t)(hash >> (64 - INDEX_BITS));
}

static uint8_t run_of(uint64_t hash)
{
    uint64_t rest = hash << INDEX_BITS;

    return rest == 0 ? RUN_MAX : (uint8_t)(__builtin_clzll(rest) + 1);
}

static void sketch_raise(struct agg_env *env, uint8_t *reg, uint8_t run)
{
    if (run <= *reg)
        return;
    agg_undo_bytes(env, reg, 1);
    *reg = run;
}

static void become_sketch(struct agg_env *env, struct acc_distinct *d)
{
    uint64_t *old = d->block;
    uint8_t *registers = block_begin(env, REGISTERS);

    for (uint32_t i = 0; i < d->room; i++) {
        uint8_t *reg = &registers[register_of(old[i])];

        if (old[i] != 0 && run_of(old[i]) > *reg)
            *reg = run_of(old[i]);
    }
    block_retire(env, old);
    *d = (struct acc_distinct){.block = registers, .sketch = 1};
}

static double sigma(double x)
{
    double y = 1, z = x, before;

    if (x >= 1)
        return INFINITY;
    do {
        x *= x;
        before = z;
        z += x * y;
        y += y;
    } while (z != before);
    return z;
}

static double tau(double x)
{
    double y = 1, z = 1 - x, before;

    if (x <= 0 || x >= 1)
        return 0;
    do {
        x = sqrt(x);
        before = z;
        y *= 0.5;
        z -= (1 - x) * (1 - x) * y;
    } while (z != before);
    return z / 3;
}

static int64_t sketch_count(const uint8_t *registers)
{
    double m = REGISTERS, z;
    int histogram[RUN_MAX + 1] = {0};

    for (int i = 0; i < REGISTERS; i++)
        histogram[registers[i]]++;
    z = m * tau((m - histogram[RUN_MAX]) / m);
    for (int run = RUN_MAX - 1; run >= 1; run--)
        z = 0.5 * (z + histogram[run]);
    z += m * sigma(histogram[0] / m);
    return (int64_t)llround(m / (2 * 0.69314718055994530942) * m / z);
}

// --- the function ---

static void distinct_hash(struct agg_env *env, struct acc_distinct *d, uint64_t hash)
{
    uint64_t *slot;

    if (!d->sketch) {
        if ((d->n + 1) * 2 > d->room)
            table_grow(env, d);
        slot = hash_find(d->block, d->room, hash);
        if (*slot == hash)
            return;
        if (d->n < EXACT_MAX) {
            agg_undo_bytes(env, slot, sizeof(*slot));
            *slot = hash;
            d->n++;
            return;
        }
        become_sketch(env, d);
    }
    sketch_raise(env, (uint8_t *)d->block + register_of(hash), run_of(hash));
}

static int distinct_add(struct agg_env *env, void *acc, const struct value *v, int64_t time,
                        struct err *e)
{
    uint64_t hash = 0; // for gcc, which does not see that hash_of sets it
    int rc = hash_of(env, v, &hash, e);

    (void)time;
    if (rc == 0)
        distinct_hash(env, acc, hash);
    return rc;
}

static int distinct_merge(struct agg_env *env, void *acc, const void *other, struct err *e)
{
    struct acc_distinct *d = acc;
    const struct acc_distinct *o = other;

    (void)e;
    if (o->sketch && !d->sketch)
        become_sketch(env, d);
    for (uint32_t i = 0; o->sketch && i < REGISTERS; i++)
        sketch_raise(env, (uint8_t *)d->block + i, ((const uint8_t *)o->block)[i]);
    for (uint32_t i = 0; !o->sketch && i < o->room; i++)
        if (((const uint64_t *)o->block)[i] != 0)
            distinct_hash(env, d, ((const uint64_t *)o->block)[i]);
    return 0;
}

static struct value distinct_result(const struct plan_aggregate *spec, const void *acc,
                                    struct arena *a)
{
    const struct acc_distinct *d = acc;

    (void)spec, (void)a;
    return value_int(d->sketch ? sketch_count(d->block) : d->n);
}

// --- state ---

static int hash_cmp(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static int distinct_pack(const void *acc, struct buf *out, struct err *e)
{
    const struct acc_distinct *d = acc;
    const uint64_t *table = d->block;
    uint64_t *sorted;
    uint32_t n = 0;

    (void)e;
    pack_u8(out, (uint8_t)d->sketch);
    if (d->sketch) {
        buf_append(out, d->block, REGISTERS);
        return 0;
    }
    sorted = heap_alloc((d->n + 1) * sizeof(*sorted));
    for (uint32_t i = 0; i < d->room; i++)
        if (table[i] != 0)
            sorted[n++] = table[i];
    ASSERT(n == d->n);
    qsort(sorted, n, sizeof(*sorted), hash_cmp);
    buf_append_be32(out, n);
    for (uint32_t i = 0; i < n; i++)
        buf_append_be64(out, sorted[i]);
    heap_free(sorted);
    return 0;
}

static int unpack_registers(struct agg_env *env, struct acc_distinct *d, struct bytes *in)
{
    if (in->n < REGISTERS)
        return LEAT_ECORRUPT;
    d->sketch = 1;
    d->block = block_new(env, REGISTERS);
    memcpy(d->block, in->p, REGISTERS);
    *in = bytes_of(in->p + REGISTERS, in->n - REGISTERS);
    for (int i = 0; i < REGISTERS; i++)
        if (((const uint8_t *)d->block)[i] > RUN_MAX)
            return LEAT_ECORRUPT;
    return 0;
}

static int distinct_unpack(struct agg_env *env, void *acc, struct bytes *in)
{
    struct acc_distinct *d = acc;
    uint8_t sketch;
    uint32_t n;
    int rc = unpack_u8(in, &sketch);

    if (rc == 0 && sketch == 1)
        return unpack_registers(env, d, in);
    rc = rc < 0 || sketch != 0 ? LEAT_ECORRUPT : unpack_u32(in, &n);
    if (rc < 0 || n > EXACT_MAX || in->n < n * sizeof(uint64_t))
        return LEAT_ECORRUPT;
    d->room = ROOM_MIN;
    while (d->room < n * 2)
        d->room *= 2;
    d->block = block_new(env, d->room * sizeof(uint64_t));
    for (; d->n < n; d->n++) {
        uint64_t hash = load_be64(in->p), *slot = hash_find(d->block, d->room, hash);

        if (hash == 0 || *slot != 0)
            return LEAT_ECORRUPT;
        *slot = hash;
        *in = bytes_of(in->p + 8, in->n - 8);
    }
    return 0;
}

static void distinct_drop(void *acc)
{
    struct acc_distinct *d = acc;

    block_free(d->block);
    d->block = NULL;
}

const struct agg_type agg_distinct = {
    .size = sizeof(struct acc_distinct),
    .add = distinct_add,
    .merge = distinct_merge,
    .result = distinct_result,
    .pack = distinct_pack,
    .unpack = distinct_unpack,
    .drop = distinct_drop,
};
