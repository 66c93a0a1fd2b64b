// SPDX-License-Identifier: Apache-2.0
//
// Groups whose rows have not been read yet.
//
// A key that is not in memory costs a read, and when there are more keys than memory nearly every
// record does, at a random place. So the read is put off: the group is counted from nothing, and
// what its records brought is kept. At the flush the rows of all such groups are read in key order,
// just before they are written again, and the records are counted anew into what the rows hold.
// That gives to the last bit what reading at once would have given.
//
// Counting from nothing tells a record at once what is wrong with its own values. What is wrong
// only with those of before (a sum that overflows) comes out when the row is read; then the step is
// run again with nothing put off, which finds the record.
#ifndef LEAT_OPERATORS_AWAITED_H
#define LEAT_OPERATORS_AWAITED_H

#include "operators/aggregate.h"

bool awaited_may(const struct aggregate *g, const struct group_window *w);
// A new group that waits for its row.
struct group *awaited_add(struct aggregate *g, struct group_window *w, uint64_t hash);
// Counts the record, whose arguments are in g->r.f.args. The group's flags are the caller's.
int awaited_count(struct aggregate *g, struct group *group, int64_t time,
                  struct err *e) LEAT_CHECKED;
// Frees what the group has counted.
void awaited_drop(struct aggregate *g, struct group *group);

// Reads the rows of those among `items`, which are groups of one window in key order.
int awaited_read(struct aggregate *g, const struct group_window *w,
                 const struct keysort_item *items, size_t n, struct err *e) LEAT_CHECKED;
// Reads the rows of all of the window's groups that wait for them.
int awaited_read_all(struct aggregate *g, struct group_window *w, struct err *e) LEAT_CHECKED;

size_t awaited_bytes(const struct aggregate *g);
// Forgets what was kept, and groups that only a failed record brought in; `void_all`: the groups
// are gone already.
void awaited_clear(struct aggregate *g, bool void_all);
void awaited_deinit(struct aggregate *g);

#endif
