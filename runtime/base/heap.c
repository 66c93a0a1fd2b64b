// SPDX-License-Identifier: Apache-2.0
#include "runtime/base/heap.h"

#include <malloc.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEPT_BLOCK_BYTES (8 * 1024 * 1024)
#define KEPT_BYTES (16 * 1024 * 1024) // free memory at an arena's end, before it is given back

#if LEAT_TESTING
#include <stdatomic.h>

static _Atomic int64_t fault_left = -1;
static atomic_bool fault_forever, fault_has_fired;

void heap_fault_arm(int64_t n, bool forever)
{
    atomic_store(&fault_has_fired, false);
    atomic_store(&fault_forever, forever);
    atomic_store(&fault_left, n);
}

bool heap_fault_fired(void)
{
    return atomic_load(&fault_has_fired);
}

__attribute__((noinline)) void heap_fault_hit(void)
{
    __asm__ volatile("");
}

static bool fault_now(void)
{
    int64_t left = atomic_load(&fault_left);

    if (left < 0)
        return false;
    if (left > 0) {
        atomic_store(&fault_left, left - 1);
        return false;
    }
    if (!atomic_load(&fault_forever))
        atomic_store(&fault_left, -1);
    atomic_store(&fault_has_fired, true);
    heap_fault_hit();
    return true;
}
#else
static bool fault_now(void)
{
    return false;
}
#endif

static _Noreturn void heap_exhausted(size_t n)
{
    fprintf(stderr, "leat: out of memory: an allocation of %zu bytes failed\n", n);
    abort();
}

void *heap_try_alloc(size_t n)
{
    return fault_now() ? NULL : malloc(n ? n : 1);
}

void *heap_try_zalloc(size_t n)
{
    return fault_now() ? NULL : calloc(1, n ? n : 1);
}

void *heap_try_realloc(void *p, size_t n)
{
    return fault_now() ? NULL : realloc(p, n ? n : 1);
}

void *heap_alloc(size_t n)
{
    void *p = malloc(n ? n : 1);

    if (p == NULL)
        heap_exhausted(n);
    return p;
}

void *heap_zalloc(size_t n)
{
    void *p = calloc(1, n ? n : 1);

    if (p == NULL)
        heap_exhausted(n);
    return p;
}

void *heap_realloc(void *p, size_t n)
{
    void *q = realloc(p, n ? n : 1);

    if (q == NULL)
        heap_exhausted(n);
    return q;
}

char *heap_strndup(const char *s, size_t n)
{
    char *p = heap_alloc(n + 1);

    memcpy(p, s, n);
    p[n] = 0;
    return p;
}

char *heap_strdup(const char *s)
{
    return heap_strndup(s, strlen(s));
}

char *heap_printf(const char *fmt, ...)
{
    va_list ap;
    char *p;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    ASSERT(n >= 0);
    p = heap_alloc((size_t)n + 1);
    va_start(ap, fmt);
    vsnprintf(p, (size_t)n + 1, fmt, ap);
    va_end(ap);
    return p;
}

void heap_free(void *p)
{
    free(p);
}

void heap_keep_large_blocks(void)
{
    (void)mallopt(M_MMAP_THRESHOLD, KEPT_BLOCK_BYTES);
    (void)mallopt(M_TRIM_THRESHOLD, KEPT_BYTES);
}
