// SPDX-License-Identifier: Apache-2.0
#include "runtime/base/bytes.h"

#include "runtime/base/endian.h"

// The multiply-and-fold of the wyhash family: one 64x64->128 product per 16 bytes.
static uint64_t mix(uint64_t a, uint64_t b)
{
    __uint128_t r = (__uint128_t)a * b;

    return (uint64_t)r ^ (uint64_t)(r >> 64);
}

static uint64_t load_tail(const uint8_t *p, size_t n)
{
    uint64_t v = 0;

    memcpy(&v, p, n);
    return v;
}

uint64_t bytes_hash(struct bytes b, uint64_t seed)
{
    const uint64_t k0 = 0x9e3779b97f4a7c15u, k1 = 0xd6e8feb86659fd93u;
    const uint8_t *p = b.p;
    size_t n = b.n;
    uint64_t h = seed ^ k0;

    for (; n >= 16; p += 16, n -= 16)
        h = mix(load_tail(p, 8) ^ k1 ^ h, load_tail(p + 8, 8) ^ k0);
    if (n >= 8)
        h = mix(load_tail(p, 8) ^ k1 ^ h, load_tail(p + n - 8, 8) ^ k0);
    else if (n > 0)
        h = mix(load_tail(p, n) ^ k1 ^ h, k0);
    return mix(h ^ b.n, k1);
}

uint32_t bytes_murmur2(struct bytes b)
{
    const uint32_t m = 0x5bd1e995;
    const uint8_t *p = b.p;
    size_t n = b.n;
    uint32_t h = 0x9747b28cu ^ (uint32_t)n;

    for (; n >= 4; p += 4, n -= 4) {
        uint32_t k =
            (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
        k *= m;
        k ^= k >> 24;
        k *= m;
        h *= m;
        h ^= k;
    }
    if (n >= 3)
        h ^= (uint32_t)p[2] << 16;
    if (n >= 2)
        h ^= (uint32_t)p[1] << 8;
    if (n >= 1) {
        h ^= p[0];
        h *= m;
    }
    h ^= h >> 13;
    h *= m;
    h ^= h >> 15;
    return h;
}

// The length of the well-formed sequence at p, or 0.
static size_t utf8_sequence(const uint8_t *p, size_t left)
{
    uint8_t c = p[0];

    if (c < 0x80)
        return 1;
    if (c < 0xc2 || left < 2 || (p[1] & 0xc0) != 0x80)
        return 0;
    if (c < 0xe0)
        return 2;
    if (left < 3 || (p[2] & 0xc0) != 0x80)
        return 0;
    if (c < 0xf0) {
        bool overlong = c == 0xe0 && p[1] < 0xa0, surrogate = c == 0xed && p[1] > 0x9f;
        return overlong || surrogate ? 0 : 3;
    }
    if (c > 0xf4 || left < 4 || (p[3] & 0xc0) != 0x80)
        return 0;
    return (c == 0xf0 && p[1] < 0x90) || (c == 0xf4 && p[1] > 0x8f) ? 0 : 4;
}

size_t bytes_utf8_prefix(struct bytes b)
{
    size_t i = 0;

    while (i < b.n) {
        if (b.n - i >= 8 && (load_tail(b.p + i, 8) & 0x8080808080808080u) == 0) {
            i += 8;
            continue;
        }
        size_t n = utf8_sequence(b.p + i, b.n - i);
        if (n == 0)
            break;
        i += n;
    }
    return i;
}

// No byte beyond ASCII: eight at a time, the last eight overlapping what was seen before.
static bool is_ascii(struct bytes b)
{
    const uint64_t high = 0x8080808080808080u;
    uint64_t seen = 0;

    if (b.n < 8)
        return b.n == 0 || (load_tail(b.p, b.n) & high) == 0;
    for (size_t i = 0; i + 8 <= b.n; i += 8)
        seen |= load_tail(b.p + i, 8);
    return ((seen | load_tail(b.p + b.n - 8, 8)) & high) == 0;
}

bool bytes_is_utf8(struct bytes b)
{
    return is_ascii(b) || bytes_utf8_prefix(b) == b.n;
}
