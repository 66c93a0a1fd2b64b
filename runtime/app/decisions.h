// SPDX-License-Identifier: Apache-2.0
//
// Decisions about parked records on their way from a command to a running server:
//
//   {"decisions":[{"retry":118},
//                 {"skip":119,"reason":"a test order"},
//                 {"edit":120,"value":"{\\"total\\":5}"}]}
//
// A value that is no UTF-8 goes as "hex".
#ifndef LEAT_APP_DECISIONS_H
#define LEAT_APP_DECISIONS_H

#include "runtime/base/arena.h"
#include "runtime/base/buf.h"
#include "runtime/engine/decision.h"

enum { DECISIONS_MAX = 1000 }; // of one request

void decisions_write(const struct decision *d, size_t n, struct buf *json);
// LEAT_EDECODE, LEAT_EINVAL: the sentence says what is wrong with it.
int decisions_read(struct bytes json, struct arena *a, struct decision **out, size_t *n,
                   struct err *e) LEAT_CHECKED;

#endif
