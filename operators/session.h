// SPDX-License-Identifier: Apache-2.0
//
// Sessions, for their tests: small numbers find big bugs.
#ifndef LEAT_OPERATORS_SESSION_H
#define LEAT_OPERATORS_SESSION_H

#include "runtime/engine/operator.h"

void sessions_limits(struct operator *o, size_t cache_bytes);

#endif
