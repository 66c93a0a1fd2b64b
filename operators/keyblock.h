// SPDX-License-Identifier: Apache-2.0
//
// An entry of a cache and its key in one block of the heap: the entry's struct, the parts of the
// key, the encoded key, the texts of the parts.
#ifndef LEAT_OPERATORS_KEYBLOCK_H
#define LEAT_OPERATORS_KEYBLOCK_H

#include "runtime/record/value.h"

// What of the block is the key's; the entry's first member.
struct keyblock {
    struct bytes key;   // encoded, comparable
    struct value parts; // an array
    struct value_array array;
};

// A zeroed entry of `size` bytes with the key; freed with heap_free.
void *keyblock_new(size_t size, struct bytes key, const struct value *parts, int n);
// Bytes of the block, the allocator's own included.
size_t keyblock_bytes(size_t size, const struct keyblock *b);

#endif
