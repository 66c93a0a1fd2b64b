// SPDX-License-Identifier: Apache-2.0
//
// One deadline on a loop. Arming again replaces the old deadline; after timer_free nothing fires
// any more.
#ifndef LEAT_IO_TIMER_H
#define LEAT_IO_TIMER_H

#include "runtime/io/loop.h"

struct timer;

struct timer *timer_new(struct loop *l, void (*fired)(void *arg), void *arg);
// Fires once, `ms` from now (0: in the next turn); a negative delay counts as 0.
void timer_arm(struct timer *t, int64_t ms);
void timer_disarm(struct timer *t);
void timer_free(struct timer *t); // NULL is fine

#endif
