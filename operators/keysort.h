// SPDX-License-Identifier: Apache-2.0
//
// Sorts things by byte keys, memcmp order. Keys of one stream look alike ("sensor-0000017"), so
// what they all share in front is skipped, the next eight bytes are sorted as numbers (radix), and
// only where those are equal whole keys are compared.
#ifndef LEAT_OPERATORS_KEYSORT_H
#define LEAT_OPERATORS_KEYSORT_H

#include "runtime/base/bytes.h"

struct keysort_item {
    uint64_t prefix; // the sort's own
    struct bytes key;
    void *what;
};

// `spare` has room for n items.
void keysort(struct keysort_item *items, struct keysort_item *spare, size_t n);

#endif
