// SPDX-License-Identifier: Apache-2.0
//
// The aggregate functions of one node, side by side: their arguments, and their accumulators as one
// run of bytes.
#ifndef LEAT_OPERATORS_FUNCTIONS_H
#define LEAT_OPERATORS_FUNCTIONS_H

#include "operators/aggregates.h"

struct functions {
    struct operator *op;
    const struct plan_aggregate *specs;
    int n;
    const struct agg_type **types;
    size_t *at; // of each accumulator, in bytes
    size_t bytes; // of all
    bool drops;   // some of them own blocks
    int n_args;
    int *arg_at;     // of each function, in args; equal arguments share a place
    bool *evaluates; // whether the function's argument is not there by an earlier one
    struct value *args; // of the record being counted
    struct agg_env env;
};

int functions_open(struct functions *f, struct operator *o, struct err *e) LEAT_CHECKED;
void functions_close(struct functions *f); // after a failed open too

// The arguments over the event, into f->args.
int functions_eval(struct functions *f, struct event *ev, struct err *e) LEAT_CHECKED;
// acc's own bytes are the caller's to remember for undo.
int functions_add(struct functions *f, void *acc, const struct value *args, int64_t time,
                  struct err *e) LEAT_CHECKED;
int functions_merge(struct functions *f, void *acc, const void *other, struct err *e) LEAT_CHECKED;
void functions_results(const struct functions *f, const void *acc, struct value *out,
                       struct arena *a);
int functions_pack(const struct functions *f, const void *acc, struct buf *out,
                   struct err *e) LEAT_CHECKED;
// Into zeroed bytes. LEAT_ECORRUPT; what was read until then is dropped as usual.
int functions_unpack(struct functions *f, void *acc, struct bytes *in) LEAT_CHECKED;
void functions_drop(const struct functions *f, void *acc);

#endif
