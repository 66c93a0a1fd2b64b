// SPDX-License-Identifier: Apache-2.0
#include "runtime/base/uuid.h"

#include <stdio.h>

#include "runtime/base/err.h"
#include "runtime/base/random.h"

struct uuid uuid_random(void)
{
    struct uuid u;

    random_entropy(u.b, sizeof u.b);
    u.b[6] = (uint8_t)((u.b[6] & 0x0f) | 0x40);
    u.b[8] = (uint8_t)((u.b[8] & 0x3f) | 0x80);
    return u;
}

bool uuid_is_zero(struct uuid u)
{
    static const struct uuid zero;

    return uuid_eq(u, zero);
}

bool uuid_eq(struct uuid a, struct uuid b)
{
    return memcmp(a.b, b.b, sizeof a.b) == 0;
}

static bool dash_before(size_t i)
{
    return i == 4 || i == 6 || i == 8 || i == 10;
}

void uuid_text(struct uuid u, char out[UUID_TEXT_SIZE])
{
    static const char hex[] = "0123456789abcdef";
    char *p = out;

    for (size_t i = 0; i < sizeof u.b; i++) {
        if (dash_before(i))
            *p++ = '-';
        *p++ = hex[u.b[i] >> 4];
        *p++ = hex[u.b[i] & 15];
    }
    *p = 0;
}

static int hex_value(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int uuid_parse(struct bytes s, struct uuid *u)
{
    size_t pos = 0;

    if (s.n != UUID_TEXT_SIZE - 1)
        return LEAT_EINVAL;
    for (size_t i = 0; i < sizeof u->b; i++) {
        if (dash_before(i) && s.p[pos++] != '-')
            return LEAT_EINVAL;
        int hi = hex_value(s.p[pos]), lo = hex_value(s.p[pos + 1]);
        if (hi < 0 || lo < 0)
            return LEAT_EINVAL;
        u->b[i] = (uint8_t)(hi << 4 | lo);
        pos += 2;
    }
    return 0;
}

void uuid_base64(struct uuid u, char out[UUID_BASE64_SIZE])
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    uint32_t acc = 0, bits = 0;
    char *p = out;

    for (size_t i = 0; i < sizeof u.b; i++) {
        acc = acc << 8 | u.b[i];
        for (bits += 8; bits >= 6; bits -= 6)
            *p++ = digits[(acc >> (bits - 6)) & 63];
    }
    *p++ = digits[(acc << (6 - bits)) & 63];
    *p = 0;
}
