// SPDX-License-Identifier: Apache-2.0
//
// What accumulators own beside their few bytes inside a group: blocks of the heap, counted, so that
// a cache knows how much it holds.
//
// A record changes an accumulator by changing its bytes (which the caller has remembered for undo),
// by writing into a block it owns (run_undo_bytes first), or by putting another block in the place
// of one: the new one is begun, the old one retired. If the record fails the new one is freed and
// the old one is back; when the step is committed the retired ones are freed.
#ifndef LEAT_OPERATORS_BLOCKS_H
#define LEAT_OPERATORS_BLOCKS_H

#include "runtime/engine/operator.h"

struct agg_env {
    struct run *run;                   // NULL: nothing is undone, accumulators are for one use
    const struct plan_aggregate *spec; // of the function being called
    size_t bytes;                      // of all blocks
    void **trash;                      // retired
    size_t n_trash, cap_trash;
    struct buf scratch;
};

// Frees what was retired: the step is committed, or everything is dropped.
void agg_env_clear(struct agg_env *env);
void agg_env_deinit(struct agg_env *env);

// Not undone: for what is read from state. Zeroed.
void *block_new(struct agg_env *env, size_t n) LEAT_CHECKED;
// Freed again if the record fails. Zeroed.
void *block_begin(struct agg_env *env, size_t n) LEAT_CHECKED;
// Freed when the step is committed; still there if the record fails. NULL is fine.
void block_retire(struct agg_env *env, void *block);
void block_free(void *block); // now; NULL is fine

// run_undo_bytes, where undo is wanted.
void agg_undo_bytes(struct agg_env *env, void *p, size_t n);

// A value whose bytes, if it has any, are a block.
int kept_set(struct agg_env *env, struct value *slot, const struct value *v,
             struct err *e) LEAT_CHECKED;
void kept_drop(struct value *v);
int kept_unpack(struct agg_env *env, struct bytes *in, struct value *v) LEAT_CHECKED;

#endif
