// SPDX-License-Identifier: Apache-2.0
//
// The aggregate operator's insides, shared by the files that make it up: aggregate.c (records in,
// rows out), close.c (windows that end) and lives.c (groups that do).
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
    int64_t ttl_ms;    // without windows; 0: groups are remembered for ever
    struct buf lives;  // accumulators of groups that have begun anew in this step (lives.c)
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

// lives.c, for groups that are forgotten when they were not touched for a while.
int64_t *group_touched(const struct aggregate *g, struct group *group);
bool group_is_over(const struct aggregate *g, struct group *group);
// Makes the group one that nobody has counted into.
void group_begin_anew(struct aggregate *g, struct group *group);
// The record has counted.
void group_touch(const struct aggregate *g, struct group *group, int64_t time, bool first);
int64_t lives_due(struct aggregate *g);
int lives_sweep(struct aggregate *g, struct err *e) LEAT_CHECKED;
void lives_clear(struct aggregate *g); // the step has ended, in whatever way

// close.c: ends the first window: emits its groups in key order and leaves them to the flush. 1: it
// has paused.
int aggregate_close_first(struct aggregate *g, struct err *e) LEAT_CHECKED;
// Writes and frees what was closed.
int aggregate_flush_closing(struct aggregate *g, struct err *e) LEAT_CHECKED;
void aggregate_drop_closing(struct aggregate *g);

#endif
