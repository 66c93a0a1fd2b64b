// SPDX-License-Identifier: Apache-2.0
#include "runtime/base/hashmap.h"

#include "runtime/base/heap.h"

void hashmap_init(struct hashmap *m, uint64_t seed)
{
    *m = (struct hashmap){.seed = seed};
}

void hashmap_deinit(struct hashmap *m)
{
    for (size_t i = 0; i < m->cap; i++)
        heap_free((void *)(uintptr_t)m->slots[i].key.p);
    heap_free(m->slots);
    *m = (struct hashmap){.seed = m->seed};
}

// The slot that holds the key, or the free slot where it would go. cap is a power of two, never
// full.
static size_t find(const struct hashmap *m, struct bytes key, uint64_t hash)
{
    size_t i = hash & (m->cap - 1);

    while (m->slots[i].key.p != NULL &&
           (m->slots[i].hash != hash || !bytes_eq(m->slots[i].key, key)))
        i = (i + 1) & (m->cap - 1);
    return i;
}

void *hashmap_get(const struct hashmap *m, struct bytes key)
{
    if (m->n == 0)
        return NULL;
    return m->slots[find(m, key, bytes_hash(key, m->seed))].value;
}

static void grow(struct hashmap *m)
{
    struct hashmap old = *m;

    m->cap = old.cap ? old.cap * 2 : 16;
    m->slots = heap_zalloc(m->cap * sizeof *m->slots);
    for (size_t i = 0; i < old.cap; i++)
        if (old.slots[i].key.p != NULL)
            m->slots[find(m, old.slots[i].key, old.slots[i].hash)] = old.slots[i];
    heap_free(old.slots);
}

void *hashmap_put(struct hashmap *m, struct bytes key, void *value)
{
    uint64_t hash = bytes_hash(key, m->seed);
    struct hashmap_slot *s;

    ASSERT(value != NULL);
    if ((m->n + 1) * 4 > m->cap * 3)
        grow(m);
    s = &m->slots[find(m, key, hash)];
    if (s->key.p != NULL) {
        void *old = s->value;
        s->value = value;
        return old;
    }
    s->key = bytes_str(heap_strndup((const char *)key.p, key.n));
    s->key.n = key.n;
    s->hash = hash;
    s->value = value;
    m->n++;
    return NULL;
}

// Moves back what was pushed past the hole at i (Knuth 6.4, algorithm R).
static void shift_back(struct hashmap *m, size_t i)
{
    size_t mask = m->cap - 1;

    for (size_t j = (i + 1) & mask; m->slots[j].key.p != NULL; j = (j + 1) & mask) {
        size_t home = m->slots[j].hash & mask;
        if (((j - home) & mask) >= ((j - i) & mask)) {
            m->slots[i] = m->slots[j];
            i = j;
        }
    }
    m->slots[i] = (struct hashmap_slot){0};
}

void *hashmap_remove(struct hashmap *m, struct bytes key)
{
    void *value;
    size_t i;

    if (m->n == 0)
        return NULL;
    i = find(m, key, bytes_hash(key, m->seed));
    if (m->slots[i].key.p == NULL)
        return NULL;
    value = m->slots[i].value;
    heap_free((void *)(uintptr_t)m->slots[i].key.p);
    shift_back(m, i);
    m->n--;
    return value;
}

bool hashmap_next(const struct hashmap *m, size_t *i, struct bytes *key, void **value)
{
    for (; *i < m->cap; (*i)++) {
        const struct hashmap_slot *s = &m->slots[*i];
        if (s->key.p == NULL)
            continue;
        if (key != NULL)
            *key = s->key;
        *value = s->value;
        (*i)++;
        return true;
    }
    return false;
}
