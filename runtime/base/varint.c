// SPDX-License-Identifier: Apache-2.0
#include "runtime/base/varint.h"

size_t varint_u64(struct bytes b, uint64_t *v)
{
    uint64_t r = 0;

    // Two bytes: the lengths and offsets of most records that are not small.
    if (b.n >= 2 && b.p[0] >= 0x80 && b.p[1] < 0x80) {
        *v = (b.p[0] & 0x7fu) | (uint64_t)b.p[1] << 7;
        return 2;
    }
    for (size_t i = 0; i < b.n && i < VARINT64_MAX; i++) {
        uint64_t group = b.p[i] & 0x7f;
        if (i == VARINT64_MAX - 1 && group > 1)
            return 0;
        r |= group << (7 * i);
        if ((b.p[i] & 0x80) == 0) {
            *v = r;
            return i + 1;
        }
    }
    return 0;
}

size_t varint_u32(struct bytes b, uint32_t *v)
{
    uint64_t wide;
    size_t n;

    if (b.n > VARINT32_MAX)
        b.n = VARINT32_MAX;
    n = varint_u64(b, &wide);
    if (n == 0 || wide > UINT32_MAX)
        return 0;
    *v = (uint32_t)wide;
    return n;
}

size_t varint_z32(struct bytes b, int32_t *v)
{
    uint32_t u;
    size_t n = varint_u32(b, &u);

    if (n != 0)
        *v = (int32_t)((u >> 1) ^ (~(u & 1) + 1));
    return n;
}

size_t varint_z64(struct bytes b, int64_t *v)
{
    uint64_t u;
    size_t n = varint_u64(b, &u);

    if (n != 0)
        *v = (int64_t)((u >> 1) ^ (~(u & 1) + 1));
    return n;
}

size_t varint_put_u64(uint8_t *p, uint64_t v)
{
    size_t n = 0;

    for (; v >= 0x80; v >>= 7)
        p[n++] = (uint8_t)(v | 0x80);
    p[n++] = (uint8_t)v;
    return n;
}

size_t varint_put_u32(uint8_t *p, uint32_t v)
{
    return varint_put_u64(p, v);
}

size_t varint_put_z32(uint8_t *p, int32_t v)
{
    return varint_put_u64(p, ((uint32_t)v << 1) ^ (uint32_t)(v >> 31));
}

size_t varint_put_z64(uint8_t *p, int64_t v)
{
    return varint_put_u64(p, ((uint64_t)v << 1) ^ (uint64_t)(v >> 63));
}

size_t varint_size_u32(uint32_t v)
{
    size_t n = 1;

    for (; v >= 0x80; v >>= 7)
        n++;
    return n;
}

size_t varint_size_z64(int64_t v)
{
    uint64_t u = ((uint64_t)v << 1) ^ (uint64_t)(v >> 63);
    size_t n = 1;

    for (; u >= 0x80; u >>= 7)
        n++;
    return n;
}
