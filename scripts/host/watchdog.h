// SPDX-License-Identifier: Apache-2.0
//
// The time limit of user code. See watchdog.c.
#ifndef LEAT_SCRIPTS_WATCHDOG_H
#define LEAT_SCRIPTS_WATCHDOG_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/base/err.h"

struct lua_State;
struct watchdog;

// `expire` is installed as a count-1 hook on L when a run has used up `limit_ms` of CPU time; it
// must raise. L may be set later and changed between runs.
struct watchdog *watchdog_new(void (*expire)(struct lua_State *L, void *ar), int64_t limit_ms,
                              struct err *e);
void watchdog_free(struct watchdog *w); // NULL is fine; not from inside a run

// Brackets one run of L on the calling thread. Runs of different watchdogs may nest on a thread.
void watchdog_enter(struct watchdog *w, struct lua_State *L);
void watchdog_leave(struct watchdog *w);
// Whether the current run is over its limit: for long loops in C.
bool watchdog_expired(const struct watchdog *w);

#endif
