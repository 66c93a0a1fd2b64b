// SPDX-License-Identifier: Apache-2.0
//
// What a user function gave back, sent down the chain: first what ctx:emit said, in order, then the
// value it returned; nil sends nothing. For map and for the functions of match.
#ifndef LEAT_OPERATORS_CALLS_H
#define LEAT_OPERATORS_CALLS_H

#include "operators/operators.h"

// What ctx:emit said in a call, with the keys it was given.
int operator_emit_emitted(struct operator *o, struct event *ev, const struct fn_call *call,
                          struct err *e) LEAT_CHECKED;
int operator_call_and_emit(struct operator *o, struct fn *f, struct event *ev,
                           struct err *e) LEAT_CHECKED;

// Only the second half.
int operator_emit_call(struct operator *o, struct event *ev, const struct fn_call *call,
                       struct err *e) LEAT_CHECKED;

#endif
