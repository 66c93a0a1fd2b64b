// SPDX-License-Identifier: Apache-2.0
//
// The aggregate functions: one table, one row per function. An accumulator is a few bytes inside a
// group, at 8-byte alignment; zeroed memory is the empty one. All functions skip nil.
//
//   count      records, or records where the argument is truthy; 0 of nothing
//   sum        integers: checked int64; with a float among them: a float (compensated, so that the
//              order of records hardly matters); decimals: exact. nil of nothing
//   avg        the exact sum divided once
//   min max    numbers with numbers, text with text; the first of equals
//   first last by event time; of equal times the first (last) that arrived. Any value
//
// Texts that an accumulator keeps are heap blocks of its own. What a record replaces stays
// allocated until the step is committed, so that a failing record can be undone by restoring the
// accumulator's bytes.
#ifndef LEAT_OPERATORS_AGGREGATES_H
#define LEAT_OPERATORS_AGGREGATES_H

#include "runtime/engine/operator.h"

// What adding needs beside the accumulator: where undo goes, and replaced texts.
struct agg_env {
    struct run *run;
    void **trash;
    size_t n_trash, cap_trash;
};

// Frees the replaced texts: the step is committed, or everything is dropped.
void agg_env_clear(struct agg_env *env);
void agg_env_deinit(struct agg_env *env);

struct agg_type {
    size_t size; // a multiple of 8
    // v is not nil; for count without argument it is `true`.
    int (*add)(struct agg_env *env, void *acc, const struct value *v, int64_t time, struct err *e);
    // Adds another accumulator, whose records all came later where that matters.
    int (*merge)(struct agg_env *env, void *acc, const void *other, struct err *e);
    // Texts borrow from the accumulator. NULL for nothing.
    struct value (*result)(const void *acc);
    int (*pack)(const void *acc, struct buf *out, struct err *e);
    int (*unpack)(void *acc, struct bytes *in); // LEAT_ECORRUPT
    void (*drop)(void *acc);                    // frees texts; NULL when there are none
};

const struct agg_type *agg_type(enum agg_kind kind); // NULL: no such function

#endif
