// SPDX-License-Identifier: Apache-2.0
#include "operators/keyblock.h"

#include "runtime/base/heap.h"

#define ALLOCATOR_BYTES 16

static size_t text_bytes(const struct value *v)
{
    switch ((enum value_type)v->type) {
    case VALUE_TEXT:
    case VALUE_BYTES:
    case VALUE_LAZY:
        return v->s.n;
    default:
        return 0;
    }
}

static size_t parts_at(size_t size)
{
    return (size + 15) & ~(size_t)15;
}

void *keyblock_new(size_t size, struct bytes key, const struct value *parts, int n)
{
    size_t at = parts_at(size), room = (size_t)n * sizeof(*parts), texts = 0;
    struct keyblock *b;
    struct value *items;
    uint8_t *p;

    for (int i = 0; i < n; i++)
        texts += text_bytes(&parts[i]);
    b = heap_alloc(at + room + key.n + texts + 1);
    memset(b, 0, at);
    items = (struct value *)(void *)((uint8_t *)b + at);
    p = (uint8_t *)b + at + room;
    b->key = bytes_of(memcpy(p, key.p, key.n), key.n);
    p += key.n;
    for (int i = 0; i < n; i++) {
        size_t k = text_bytes(&parts[i]);

        ASSERT(!value_is_object(&parts[i]) && !value_is_array(&parts[i]));
        items[i] = parts[i];
        if (k > 0)
            items[i].s.p = memcpy(p, parts[i].s.p, k);
        p += k;
    }
    b->array = (struct value_array){.n = (size_t)n, .items = items};
    b->parts = (struct value){.type = VALUE_ARRAY, .array = &b->array};
    return b;
}

size_t keyblock_bytes(size_t size, const struct keyblock *b)
{
    size_t n = parts_at(size) + b->array.n * sizeof(struct value) + b->key.n + ALLOCATOR_BYTES;

    for (size_t i = 0; i < b->array.n; i++)
        n += text_bytes(&b->array.items[i]);
    return n;
}
