// SPDX-License-Identifier: Apache-2.0
//
// A job on an empty database in memory, with topics in memory: to find out about it without
// touching anything.
#ifndef LEAT_APP_REHEARSAL_H
#define LEAT_APP_REHEARSAL_H

#include "runtime/engine/driver.h"

// Job files in memory.
struct driver_store_factory rehearsal_stores(void);
// A driver over the plan, in virtual time. Operators NULL: the ones of this program.
int rehearsal_open(struct driver **out, const struct plan *p,
                   const struct operator_type *const *operators, struct err *e) LEAT_CHECKED;

// What the operators find wrong with the plan when they are opened ("table o has no column x").
int rehearse(const struct plan *p, struct err *e) LEAT_CHECKED;

#endif
