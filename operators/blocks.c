// SPDX-License-Identifier: Apache-2.0
#include "operators/blocks.h"

#include "operators/pack.h"
#include "runtime/base/heap.h"

struct block {
    struct agg_env *env;
    size_t n;
    uint64_t bytes[]; // aligned for whatever is put there
};

static struct block *block_of(void *p)
{
    return (struct block *)(void *)((uint8_t *)p - offsetof(struct block, bytes));
}

void *block_new(struct agg_env *env, size_t n)
{
    struct block *b = heap_zalloc(sizeof(*b) + n);

    b->env = env;
    b->n = sizeof(*b) + n;
    env->bytes += b->n;
    return b->bytes;
}

void block_free(void *p)
{
    struct block *b;

    if (p == NULL)
        return;
    b = block_of(p);
    b->env->bytes -= b->n;
    heap_free(b);
}

void *block_begin(struct agg_env *env, size_t n)
{
    void *p = block_new(env, n);

    if (env->run != NULL)
        run_undo_call(env->run, block_free, p);
    return p;
}

void block_retire(struct agg_env *env, void *p)
{
    if (p == NULL || env->run == NULL) {
        block_free(p);
        return;
    }
    if (env->n_trash == env->cap_trash) {
        env->cap_trash = env->cap_trash ? env->cap_trash * 2 : 64;
        env->trash = heap_realloc(env->trash, env->cap_trash * sizeof(*env->trash));
    }
    run_undo_bytes(env->run, &env->n_trash, sizeof(env->n_trash));
    env->trash[env->n_trash++] = p;
}

void agg_env_clear(struct agg_env *env)
{
    for (size_t i = 0; i < env->n_trash; i++)
        block_free(env->trash[i]);
    env->n_trash = 0;
}

void agg_env_deinit(struct agg_env *env)
{
    agg_env_clear(env);
    ASSERT(env->bytes == 0);
    heap_free(env->trash);
    buf_deinit(&env->scratch);
    *env = (struct agg_env){0};
}

void agg_undo_bytes(struct agg_env *env, void *p, size_t n)
{
    if (env->run != NULL)
        run_undo_bytes(env->run, p, n);
}

// --- values ---

static bool owns_block(const struct value *v)
{
    return v->type == VALUE_TEXT || v->type == VALUE_BYTES || v->type == VALUE_DOC_ARRAY ||
           v->type == VALUE_DOC_OBJECT;
}

static struct value in_block(struct value v, uint8_t *block)
{
    if (v.s.n > 0)
        memcpy(block, v.s.p, v.s.n);
    v.s.p = block;
    return v;
}

int kept_set(struct agg_env *env, struct value *slot, const struct value *v, struct err *e)
{
    struct value flat = *v;

    if (v->type == VALUE_OBJECT || v->type == VALUE_ARRAY) {
        int rc;

        buf_clear(&env->scratch);
        rc = value_write_state(v, &env->scratch, e);
        if (rc < 0)
            return rc;
        flat = (struct value){.type = v->type == VALUE_OBJECT ? VALUE_DOC_OBJECT : VALUE_DOC_ARRAY,
                              .format = FORMAT_STATE,
                              .s = buf_bytes(&env->scratch)};
    }
    if (owns_block(slot))
        block_retire(env, (void *)slot->s.p);
    *slot = owns_block(&flat) ? in_block(flat, block_begin(env, flat.s.n)) : flat;
    return 0;
}

void kept_drop(struct value *v)
{
    if (owns_block(v))
        block_free((void *)v->s.p);
    *v = VALUE_OF_MISSING;
}

int kept_unpack(struct agg_env *env, struct bytes *in, struct value *v)
{
    struct value borrowed;
    int rc = unpack_value(in, &borrowed);

    if (rc == 0)
        *v = owns_block(&borrowed) ? in_block(borrowed, block_new(env, borrowed.s.n)) : borrowed;
    return rc;
}
