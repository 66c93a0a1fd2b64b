// SPDX-License-Identifier: Apache-2.0
//
// What hangs until a high watermark moves or its time is up: produce acks, long polls, journal
// writes. Each is looked at again after every round of the flusher; a look reads a few atomics, so
// one list serves all.
#ifndef LEAT_BROKER_WAITS_H
#define LEAT_BROKER_WAITS_H

#include "runtime/io/timer.h"

struct wait {
    struct link link;
    int64_t deadline; // of loop_now_ms; INT64_MAX: none
    // True: it is over, the wait may be gone. Called with expired = true once its deadline has
    // passed; then it must be over.
    bool (*check)(struct wait *w, bool expired);
};

struct waits {
    struct loop *loop;
    struct timer *timer;
    struct link list;
    int64_t armed; // when the timer fires
};

void waits_init(struct waits *ws, struct loop *l);
void waits_deinit(struct waits *ws);
void waits_add(struct waits *ws, struct wait *w);
// Forgets it; nothing when it does not wait. w->link must have been initialised.
void waits_remove(struct wait *w);
void waits_wake(struct waits *ws);

#endif
