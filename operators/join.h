// SPDX-License-Identifier: Apache-2.0
//
// The two ways to join behind one kind of node: with the rows of a table (join.c) and with another
// stream (join_streams.c).
#ifndef LEAT_OPERATORS_JOIN_H
#define LEAT_OPERATORS_JOIN_H

#include "operators/lanes.h"
#include "operators/operators.h"

struct join {
    struct operator op;
    int *pk_of; // table: which `on` is the i-th part of the primary key
    int n_pk;
    bool changelog; // a delete travels
    struct lanes buffer; // streams
    struct arena arena;        // of one unmatched record
};

// The left value with the right one as its member `as`; nil counts as {}. LEAT_ETYPE.
int join_values(const struct join *j, const struct value *left, const struct value *right,
                struct arena *a, struct value *out, struct err *e) LEAT_CHECKED;

int join_streams_open(struct join *j, struct err *e) LEAT_CHECKED;
int join_streams_process(struct join *j, struct event *ev, int side, struct err *e) LEAT_CHECKED;
int join_streams_watermark(struct join *j, int64_t w, struct err *e) LEAT_CHECKED;
int64_t join_streams_due(struct join *j);
int join_streams_flush(struct join *j, struct err *e) LEAT_CHECKED;
void join_streams_committed(struct join *j);
void join_streams_aborted(struct join *j);
size_t join_streams_held(struct join *j);
void join_streams_shrink(struct join *j, size_t bytes);
void join_streams_close(struct join *j);

#endif
