// SPDX-License-Identifier: Apache-2.0
#include "runtime/base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "runtime/base/endian.h"
#include "runtime/base/err.h"
#include "runtime/base/heap.h"

void buf_deinit(struct buf *b)
{
    heap_free(b->p);
    *b = BUF_EMPTY;
}

static size_t grown(const struct buf *b, size_t more)
{
    size_t cap = b->cap ? b->cap : 64;

    ASSERT(more <= SIZE_MAX / 4 && b->n <= SIZE_MAX / 4);
    while (cap < b->n + more)
        cap *= 2;
    return cap;
}

int buf_try_reserve(struct buf *b, size_t more)
{
    size_t cap;
    uint8_t *p;

    if (b->cap - b->n >= more)
        return 0;
    cap = grown(b, more);
    p = heap_try_realloc(b->p, cap);
    if (p == NULL)
        return LEAT_ENOMEM;
    b->p = p;
    b->cap = cap;
    return 0;
}

void buf_reserve(struct buf *b, size_t more)
{
    if (b->cap - b->n >= more)
        return;
    size_t cap = grown(b, more);
    b->p = heap_realloc(b->p, cap);
    b->cap = cap;
}

void buf_append(struct buf *b, const void *p, size_t n)
{
    if (n == 0)
        return;
    buf_reserve(b, n);
    memcpy(b->p + b->n, p, n);
    b->n += n;
}

void buf_append_cut(struct buf *b, struct bytes s, size_t max)
{
    size_t n = s.n;

    if (n > max)
        for (n = max; n > 0 && (s.p[n] & 0xc0) == 0x80; n--)
            continue;
    for (size_t i = 0; i < n; i++)
        buf_append_byte(b, s.p[i] < 0x20 ? ' ' : s.p[i]);
    if (n < s.n)
        buf_append_str(b, "…");
}

void buf_append_bytes(struct buf *b, struct bytes s)
{
    buf_append(b, s.p, s.n);
}

void buf_append_str(struct buf *b, const char *s)
{
    buf_append(b, s, strlen(s));
}

void buf_append_byte(struct buf *b, uint8_t c)
{
    buf_reserve(b, 1);
    b->p[b->n++] = c;
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    ASSERT(n >= 0);
    buf_reserve(b, (size_t)n + 1);
    va_start(ap, fmt);
    vsnprintf((char *)b->p + b->n, (size_t)n + 1, fmt, ap);
    va_end(ap);
    b->n += (size_t)n;
}

void buf_append_be16(struct buf *b, uint16_t v)
{
    buf_reserve(b, 2);
    store_be16(b->p + b->n, v);
    b->n += 2;
}

void buf_append_be32(struct buf *b, uint32_t v)
{
    buf_reserve(b, 4);
    store_be32(b->p + b->n, v);
    b->n += 4;
}

void buf_append_be64(struct buf *b, uint64_t v)
{
    buf_reserve(b, 8);
    store_be64(b->p + b->n, v);
    b->n += 8;
}

void buf_consume(struct buf *b, size_t n)
{
    ASSERT(n <= b->n);
    if (n > 0 && b->n > n)
        memmove(b->p, b->p + n, b->n - n);
    b->n -= n;
}

const char *buf_cstr(struct buf *b)
{
    buf_reserve(b, 1);
    b->p[b->n] = 0;
    return (const char *)b->p;
}
