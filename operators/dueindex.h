// SPDX-License-Identifier: Apache-2.0
//
// Finds by time what is too much to keep in memory by time: rows (time, key) in a state table of
// their own.
//
// A key's row stands at the time at which the key has to be looked at next, or earlier, never
// later: what moves to the future does not move its row; whoever comes to it too early puts it back
// where it belongs. So a time that every record pushes ahead costs no write here. A key may have
// several rows; all but the first are found too early, or find nothing to do.
//
// The keys of rows that have been taken are in memory, where their owner has them by time as well.
// What is next is the smaller of the two: dueindex_is_next.
#ifndef LEAT_OPERATORS_DUEINDEX_H
#define LEAT_OPERATORS_DUEINDEX_H

#include "runtime/engine/operator.h"

#define DUE_NEVER INT64_MAX

struct due_row {
    int64_t at;
    const struct value *parts; // of the key
    struct bytes note;         // anything, not empty
};

struct dueindex {
    struct operator *op;
    struct state *rows;
    int n_key;
    bool known;    // `first` is the smallest row's time
    int64_t first; // DUE_NEVER: no row
    // Of the rows at `first`, those up to this key have been taken.
    bool partly;
    struct buf taken;
    // The key as bytes in the order of the rows.
    int (*encode)(struct buf *out, const struct value *parts, int n, struct err *e);
};

// suffix: of the operator's id, for the table's name. Fill in `encode` first.
int dueindex_open(struct dueindex *d, struct operator *o, const char *suffix,
                  const char *const *names, int n, struct err *e) LEAT_CHECKED;
void dueindex_close(struct dueindex *d);
// Rows were written, or taken back: what is first is not known any more.
void dueindex_forget(struct dueindex *d);

// The smallest row's time; DUE_NEVER.
int dueindex_first(struct dueindex *d, int64_t *at, struct err *e) LEAT_CHECKED;
// 1: nothing that is in rows only comes before (at, key); 0: something may.
int dueindex_is_next(struct dueindex *d, int64_t at, struct bytes key, struct err *e) LEAT_CHECKED;
// Takes some of the first rows up to w away, in order, and says whose they were.
int dueindex_take(struct dueindex *d, int64_t w,
                  int (*each)(void *arg, const struct due_row *row, struct err *e), void *arg,
                  struct err *e) LEAT_CHECKED;

int dueindex_put(struct dueindex *d, const struct due_row *row, struct err *e) LEAT_CHECKED;
int dueindex_del(struct dueindex *d, int64_t at, const struct value *parts,
                 struct err *e) LEAT_CHECKED;

#endif
