// SPDX-License-Identifier: Apache-2.0
//
// Named failpoints and negative-control switches, in test builds only (release builds compile them
// away). The environment variable LEAT_FAIL arms them: "before_commit=kill@3,nosync" means: at the
// third passage of `before_commit` the process kills itself with SIGKILL, and the switch `nosync`
// is on. Actions: kill, eio, enospc, sleep (until killed), drop. @N counts passages from 1; without
// it every passage acts. "lua_call=kill#bad" kills when the value that passes has "bad" in it.
#ifndef LEAT_BASE_FAILPOINT_H
#define LEAT_BASE_FAILPOINT_H

#include <stdbool.h>

#include "runtime/base/bytes.h"

#if LEAT_TESTING
// 0: go on. LEAT_EIO, LEAT_ENOSPC: pretend that the step failed so. LEAT_ECANCELED: "drop", skip
// the step.
int failpoint(const char *name);
// Of a place that a value passes.
void failpoint_value(const char *name, struct bytes value);
// A switch named without an action.
bool fail_switch(const char *name);
// Replaces what LEAT_FAIL said; for unit tests. The text is copied. NULL disarms.
void failpoint_arm(const char *spec);
#else
#define failpoint(name) 0
#define failpoint_value(name, value) (void)0
#define fail_switch(name) false
#endif

#endif
