// SPDX-License-Identifier: Apache-2.0
#include "runtime/base/arena.h"

#include <stdarg.h>
#include <stdio.h>

#include "runtime/base/heap.h"

enum { ARENA_FIRST = 4096, ARENA_BLOCK_MAX = 1 << 20, ARENA_ALIGN = 16 };

struct arena_block {
    struct arena_block *next;
    size_t size;
    _Alignas(16) uint8_t data[];
};

void arena_init(struct arena *a)
{
    *a = (struct arena){0};
}

static void blocks_free(struct arena_block *b)
{
    while (b != NULL) {
        struct arena_block *next = b->next;
        heap_free(b);
        b = next;
    }
}

void arena_deinit(struct arena *a)
{
    blocks_free(a->blocks);
    arena_init(a);
}

void arena_reset(struct arena *a)
{
    struct arena_block *b = a->blocks;

    a->used = 0;
    if (b == NULL)
        return;
    blocks_free(b->next);
    b->next = NULL;
    a->at = b->data;
    a->end = b->data + b->size;
}

static void *arena_grow(struct arena *a, size_t n, bool must)
{
    size_t size = a->blocks != NULL ? a->blocks->size * 2 : ARENA_FIRST;
    struct arena_block *b;
    uint8_t *p;

    if (size > ARENA_BLOCK_MAX)
        size = ARENA_BLOCK_MAX;
    if (size < n)
        size = n;
    b = must ? heap_alloc(sizeof *b + size) : heap_try_alloc(sizeof *b + size);
    if (b == NULL)
        return NULL;
    b->size = size;
    b->next = a->blocks;
    a->blocks = b;
    p = b->data;
    a->at = p + n;
    a->end = p + size;
    return p;
}

static void *arena_take(struct arena *a, size_t n, bool must)
{
    uint8_t *p = a->at;

    ASSERT(n <= SIZE_MAX / 4);
    n = (n + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
    if (!must && a->limit != 0 && a->used + n > a->limit)
        return NULL;
    if (p == NULL || (size_t)(a->end - p) < n)
        p = arena_grow(a, n, must);
    else
        a->at = p + n;
    if (p != NULL)
        a->used += n;
    return p;
}

void *arena_try_alloc(struct arena *a, size_t n)
{
    return arena_take(a, n, false);
}

void *arena_alloc(struct arena *a, size_t n)
{
    return arena_take(a, n, true);
}

void *arena_zalloc(struct arena *a, size_t n)
{
    return memset(arena_alloc(a, n), 0, n);
}

struct bytes arena_copy(struct arena *a, struct bytes b)
{
    uint8_t *p = arena_alloc(a, b.n + 1);

    if (b.n > 0)
        memcpy(p, b.p, b.n);
    p[b.n] = 0;
    return (struct bytes){p, b.n};
}

char *arena_strdup(struct arena *a, const char *s)
{
    return (char *)(uintptr_t)arena_copy(a, bytes_str(s)).p;
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list ap;
    char *p;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    ASSERT(n >= 0);
    p = arena_alloc(a, (size_t)n + 1);
    va_start(ap, fmt);
    vsnprintf(p, (size_t)n + 1, fmt, ap);
    va_end(ap);
    return p;
}
