// SPDX-License-Identifier: Apache-2.0
//
// Where a driven job can die. Stands between the job and its store and publisher, counts the
// moments at which a crash would leave something different behind, and refuses everything from the
// n-th on: whoever drives the job then throws it away and opens it again on what is committed.
#ifndef LEAT_ENGINE_CRASH_POINTS_H
#define LEAT_ENGINE_CRASH_POINTS_H

#include "runtime/engine/publisher.h"
#include "runtime/engine/store.h"

struct crash_points {
    int64_t at;     // the point to die at, from 1; 0: none
    int64_t passed; // points so far
    bool dead;
    char where[160]; // it died, for a person
    // Steps that were committed, and how many records each took.
    int64_t *steps;
    size_t n_steps, cap_steps;
    int64_t records; // of all of them
    // What is stood between. The tables of functions are copies with some entries replaced; an
    // entry finds its way back from the table it was called through.
    struct store_ops store_ops;
    struct publisher_ops publisher_ops;
    const struct store_ops *store_was;
    const struct publisher_ops *publisher_was;
};

void crash_points_deinit(struct crash_points *c);
// Between the store and its user, until crash_points_leave: a store that is opened again needs it
// again.
void crash_points_store(struct crash_points *c, struct store *s);
void crash_points_leave(struct crash_points *c, struct store *s);
void crash_points_publisher(struct crash_points *c, struct publisher *p);
// The process is up again; it will not die a second time.
void crash_points_revive(struct crash_points *c);

#endif
