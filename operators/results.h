// SPDX-License-Identifier: Apache-2.0
//
// What all kinds of windows share: the functions, the shape of results, and how a group's key and
// accumulators stand in a state row.
//
// A result is an object: the key's parts, window_start, window_end, then the aggregates in the
// plan's order. The key of a group in memory is group_key_encode'd; what that forgets (that 1 was
// true or 1.0, and in a fused table whatever column types convert) is kept beside it as `exact`:
// the parts packed, or null when the key tells them.
#ifndef LEAT_OPERATORS_RESULTS_H
#define LEAT_OPERATORS_RESULTS_H

#include "operators/functions.h"

struct results {
    struct operator *op;
    struct functions f;
    int n_key;
    int n_fields;
    struct bytes *names;
    struct state *state;
    bool fused;      // the state's rows are those of a table
    bool typed_keys; // fused, and the key's columns change what is written into them
    // scratch
    struct buf key, blob;
    struct arena arena;
};

int results_open(struct results *r, struct operator *o, struct err *e) LEAT_CHECKED;
void results_close(struct results *r); // after a failed open too

// The event's key into r->key. Class `key` when it has none.
int results_key(struct results *r, const struct event *ev, const struct value **parts,
                struct err *e) LEAT_CHECKED;
// What a group that begins with these parts keeps beside its key, into r->blob; empty for nothing.
int results_exact(struct results *r, const struct value *parts, struct err *e) LEAT_CHECKED;
// The parts as they came.
void results_parts(const struct results *r, struct bytes key, struct bytes exact,
                   struct value *parts, struct arena *a);
// The parts as they stand in a state row, in r->arena; with room for one more.
struct value *results_row_parts(struct results *r, struct bytes key, struct bytes exact);

// The front of a state blob: number of parts that follow u8 (all or 0), the parts. Reading it:
// parts may be NULL; `exact` borrows.
void results_pack_exact(const struct results *r, struct bytes exact, struct buf *out);
int results_unpack_exact(const struct results *r, struct bytes *in, struct value *parts,
                         struct bytes *exact) LEAT_CHECKED;

// For changes(): the row as it is now, deep in the run's arena.
struct value results_row(struct results *r, struct value *parts, const void *acc, int64_t start,
                         int64_t end);
// Sends the change that `cause` has made on OUT_CHANGES, unless the row is as it was. old: MISSING
// for a new row.
int results_changed(struct results *r, const struct event *cause, struct value *parts,
                    const struct value *old, const struct value *row, struct err *e) LEAT_CHECKED;

// The event of a window that has closed; everything in it borrows, or lies in the arena.
struct event results_event(struct results *r, struct value *parts, const void *acc, int64_t start,
                           int64_t end, struct arena *a);

#endif
