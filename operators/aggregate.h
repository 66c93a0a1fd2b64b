// SPDX-License-Identifier: Apache-2.0
//
// The aggregate operator's insides, shared by the files that make it up: aggregate.c (records in,
// rows out) and close.c (windows that end).
#ifndef LEAT_OPERATORS_AGGREGATE_H
#define LEAT_OPERATORS_AGGREGATE_H

#include "operators/groups.h"
#include "operators/operators.h"
#include "operators/results.h"

struct aggregate {
    struct operator op;
    const struct plan_window *window;
    struct results r;
    bool stale; // the cache is void: windows must be found again in state
    struct groups groups;
    struct group_window **closing; // closed in this step, not flushed yet; in order
    size_t n_closing, cap_closing;
    struct {
        struct arena arena;
        struct awaited **all;
        size_t n, cap;
    } awaited;         // of this step
    size_t close_rows; // a closing window is read from state in pieces of this many rows
};

// For tests: small numbers find big bugs.
void aggregate_limits(struct operator *o, size_t close_rows);

// The key of a state row, into g->r.key.
int aggregate_row_key(struct aggregate *g, const struct state_key *k, struct bytes blob,
                      struct err *e) LEAT_CHECKED;
// Fills an empty group from its blob.
int aggregate_unpack(struct aggregate *g, struct group *group, struct bytes blob,
                     struct err *e) LEAT_CHECKED;
// Writes the row; `closed` clears its state.
int aggregate_put(struct aggregate *g, const struct group_window *w, struct group *group,
                  bool closed, struct err *e) LEAT_CHECKED;

// The same for all of `items`; new rows together.
int aggregate_put_all(struct aggregate *g, const struct group_window *w,
                      const struct keysort_item *items, size_t n, bool closed,
                      struct err *e) LEAT_CHECKED;

uint64_t aggregate_hash(struct bytes key);

// Finds the windows that have state.
int aggregate_reload(struct aggregate *g, struct err *e) LEAT_CHECKED;

// close.c: ends the first window: emits its groups in key order and leaves them to the flush.
int aggregate_close_first(struct aggregate *g, struct err *e) LEAT_CHECKED;
// Writes and frees what was closed.
int aggregate_flush_closing(struct aggregate *g, struct err *e) LEAT_CHECKED;
void aggregate_drop_closing(struct aggregate *g);

#endif
