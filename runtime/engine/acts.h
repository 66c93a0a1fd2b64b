// SPDX-License-Identifier: Apache-2.0
//
// What a test does to a driven job, as a list: written down while the test runs, done again as
// often as one likes, also in other ways (chaos.h).
#ifndef LEAT_ENGINE_ACTS_H
#define LEAT_ENGINE_ACTS_H

#include "runtime/engine/driver.h"

enum act_kind {
    ACT_SEND,
    ACT_BATCH_BEGIN,
    ACT_BATCH_END,
    ACT_RUN,
    ACT_ADVANCE,
    ACT_RESTART,
    ACT_UPGRADE,
    ACT_OBSERVE, // the test looks at something: nothing is moved across it
    // Only in lists that were made from others:
    ACT_CLOCK,
    ACT_COMING, // from now on the partition has more to come
    ACT_CAME,   // nothing more
};

// Bytes and texts are the writer's and must live as long as the list.
struct act {
    enum act_kind kind;
    int line;                    // in the test's file
    const char *topic;           // send, coming, came
    struct driver_record record; // send; coming and came: its partition
    int64_t ms;                  // send, clock: the clock goes there, never back. advance: how far
    bool quiet;                  // send: nothing runs behind it
    struct driver_version to;    // upgrade
};

struct acts {
    struct act *items;
    size_t n, cap;
};

void acts_add(struct acts *a, const struct act *act);
void acts_clear(struct acts *a);
void acts_deinit(struct acts *a);

// 0, or the error that stopped the job.
int act_do(struct driver *d, const struct act *a, struct err *e) LEAT_CHECKED;

#endif
