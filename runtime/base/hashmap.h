// SPDX-License-Identifier: Apache-2.0
//
// Bytes to pointer. Keys are copied; values are the caller's. Open addressing, linear probing,
// tombstone-free (removal shifts back). Iteration order is arbitrary and must not reach a result:
// sort what you print.
#ifndef LEAT_BASE_HASHMAP_H
#define LEAT_BASE_HASHMAP_H

#include "runtime/base/bytes.h"
#include "runtime/base/assert.h"

struct hashmap_slot {
    struct bytes key; // owned; p == NULL marks a free slot
    uint64_t hash;
    void *value;
};

struct hashmap {
    struct hashmap_slot *slots;
    size_t n, cap;
    uint64_t seed;
};

void hashmap_init(struct hashmap *m, uint64_t seed);
// Frees the keys, not the values.
void hashmap_deinit(struct hashmap *m);
// NULL when absent.
void *hashmap_get(const struct hashmap *m, struct bytes key);
// Replaces and returns the old value, or NULL when the key is new.
void *hashmap_put(struct hashmap *m, struct bytes key, void *value);
// Returns the removed value, or NULL.
void *hashmap_remove(struct hashmap *m, struct bytes key);
// for (size_t i = 0; hashmap_next(&m, &i, &key, &value);)  Do not change the map inside.
bool hashmap_next(const struct hashmap *m, size_t *i, struct bytes *key, void **value);

#endif
