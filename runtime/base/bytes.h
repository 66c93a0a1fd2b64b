// SPDX-License-Identifier: Apache-2.0
//
// A borrowed run of bytes: pointer and length, no ownership, may hold NULs. {NULL, 0} is "none"
// where a caller must tell none from empty (a Kafka null key); bytes_is_null asks that.
#ifndef LEAT_BASE_BYTES_H
#define LEAT_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct bytes {
    const uint8_t *p;
    size_t n;
};

#define BYTES_NULL ((struct bytes){NULL, 0})
#define BYTES_LIT(lit) ((struct bytes){(const uint8_t *)("" lit), sizeof(lit) - 1})
// For printf's "%.*s".
#define BYTES_FMT(b) (int)(b).n, (const char *)(b).p

static inline struct bytes bytes_of(const void *p, size_t n)
{
    return (struct bytes){p, n};
}

static inline struct bytes bytes_str(const char *s)
{
    return (struct bytes){(const uint8_t *)s, s != NULL ? strlen(s) : 0};
}

static inline bool bytes_is_null(struct bytes b)
{
    return b.p == NULL;
}

static inline bool bytes_eq(struct bytes a, struct bytes b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline bool bytes_eq_str(struct bytes a, const char *s)
{
    return bytes_eq(a, bytes_str(s));
}

// memcmp order, a prefix before the longer.
static inline int bytes_cmp(struct bytes a, struct bytes b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int c = n ? memcmp(a.p, b.p, n) : 0;

    return c ? c : (a.n > b.n) - (a.n < b.n);
}

static inline bool bytes_starts(struct bytes a, struct bytes prefix)
{
    return a.n >= prefix.n && (prefix.n == 0 || memcmp(a.p, prefix.p, prefix.n) == 0);
}

// A fast non-cryptographic hash. Hash order must never reach a result: seed it from random() for
// tables that the outside fills.
uint64_t bytes_hash(struct bytes b, uint64_t seed);

// Kafka's murmur2 (seed 0x9747b28c) as the Java client's partitioner uses it; mask with 0x7fffffff.
uint32_t bytes_murmur2(struct bytes b);

// Whether `b` is well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms, at most U+10FFFF).
bool bytes_is_utf8(struct bytes b);
// The length of the longest well-formed prefix.
size_t bytes_utf8_prefix(struct bytes b);

#endif
