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
//   stddev     of a sample (n - 1); a float, nil of fewer than two (Welford; merged by Chan's rule)
//   quantile   nearest rank: exact up to 256 values, then within 0.4 % (quantile.c)
//   distinct   how many different values: exact up to 1024, then within about 1 % (distinct.c)
//   top        the n records with the greatest `by`, as objects of the fields; of equals the
//              earlier event time, then the one that arrived first (top.c)
//   collect    all values, by event time, then arrival; bounded (collect.c)
//
// merge joins two accumulators of one group, as when two sessions become one. What comes out does
// not depend on how records were divided between the two, but for the last bits of floats and the
// order of what is equal.
#ifndef LEAT_OPERATORS_AGGREGATES_H
#define LEAT_OPERATORS_AGGREGATES_H

#include "operators/blocks.h"

#define AGG_ARGS_MAX 2 // values that one function is given

struct agg_type {
    size_t size; // a multiple of 8
    // v[0] is not nil; for count without argument it is `true`. top: v[1] is the object.
    int (*add)(struct agg_env *env, void *acc, const struct value *v, int64_t time, struct err *e);
    int (*merge)(struct agg_env *env, void *acc, const void *other, struct err *e);
    // Texts borrow from the accumulator, or lie in the arena. NULL for nothing.
    struct value (*result)(const struct plan_aggregate *spec, const void *acc, struct arena *a);
    int (*pack)(const void *acc, struct buf *out, struct err *e);
    int (*unpack)(struct agg_env *env, void *acc, struct bytes *in); // LEAT_ECORRUPT
    void (*drop)(void *acc); // frees blocks; NULL when there are none
};

const struct agg_type *agg_type(enum agg_kind kind); // NULL: no such function

extern const struct agg_type agg_quantile;
extern const struct agg_type agg_distinct;
extern const struct agg_type agg_top;
extern const struct agg_type agg_collect;

// A number as a float; class `type` for what is none.
int agg_number(const struct agg_env *env, const struct value *v, double *d,
               struct err *e) LEAT_CHECKED;

#endif
