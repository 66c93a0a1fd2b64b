// SPDX-License-Identifier: Apache-2.0
//
// An event loop. It belongs to the thread that runs it; everything of this folder that hangs on a
// loop must be called there, with one exception: loop_post and loop_stop may be called from any
// thread.
#ifndef LEAT_IO_LOOP_H
#define LEAT_IO_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/base/err.h"
#include "runtime/base/list.h"

struct loop;

// A message owns what it points to. It is the loop's from post until run is called, and run's
// afterwards.
struct loop_message {
    struct link link;
    void (*run)(struct loop_message *m);
};

// Called at the end of each turn, before the loop waits again. May add work for the next turn, not
// remove hooks.
struct loop_hook {
    struct link link;
    void (*turn_ended)(struct loop_hook *h);
};

struct loop *loop_new(struct err *e);
// Closes what is the loop's own. Connections, listeners and timers must have been closed; their
// last handles are waited for here.
void loop_free(struct loop *l);

// Runs until loop_stop. The calling thread is the loop's from now on.
void loop_run(struct loop *l);
// One turn without waiting: for tests and for shutting down.
void loop_turn(struct loop *l);
// Any thread.
void loop_stop(struct loop *l);
// Any thread; messages run in the order of their posting.
void loop_post(struct loop *l, struct loop_message *m);

void loop_hook_add(struct loop *l, struct loop_hook *h);
void loop_hook_remove(struct loop *l, struct loop_hook *h);

// Whether the caller may touch what hangs on this loop: it runs the loop, or nobody does.
bool loop_on_thread(const struct loop *l);
// Monotonic milliseconds, as of the start of the turn.
int64_t loop_now_ms(const struct loop *l);

#endif
