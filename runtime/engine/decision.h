// SPDX-License-Identifier: Apache-2.0
//
// What a person decides about a parked record. Essay in decision.c.
#ifndef LEAT_ENGINE_DECISION_H
#define LEAT_ENGINE_DECISION_H

#include "runtime/engine/store.h"

enum decision_kind {
    DECISION_RETRY, // try it again now
    DECISION_SKIP,  // give it up; those behind it go on
    DECISION_EDIT,  // put another value in the place of its own
};

struct decision {
    enum decision_kind kind;
    int64_t id;          // in _leat_parked
    struct bytes reason; // skip: a sentence
    struct bytes value;  // edit
};

// Inside a step. LEAT_ENOTFOUND: no such parked record. LEAT_EINVAL: that cannot be decided; the
// step should be aborted then.
int decision_apply(struct store *s, const struct decision *d, int64_t now,
                   struct err *e) LEAT_CHECKED;

#endif
