// SPDX-License-Identifier: Apache-2.0
//
// The limit of reading flat JSON, for pipe.c: cuts one object into names and raw values, and
// trusts it. No check of UTF-8, of numbers or of anything between tokens; nested values and
// backslashes give up. What leat does above this is the price of never taking a broken record for
// a good one. AVX2 only; bytes are read up to the next multiple of 64 behind the text.
#ifndef LEAT_TESTS_PIPE_SCAN_H
#define LEAT_TESTS_PIPE_SCAN_H

#include <immintrin.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { SCAN_FIELDS_MAX = 24, SCAN_BYTES_MAX = 512 };

struct scan_field {
    const char *name, *value; // text without its quotes
    uint32_t name_n, value_n;
    bool text;
};

struct scan {
    struct scan_field fields[SCAN_FIELDS_MAX];
    int n;
};

static inline uint64_t scan_join(__m256i low, __m256i high)
{
    return (uint64_t)(uint32_t)_mm256_movemask_epi8(low) |
           (uint64_t)(uint32_t)_mm256_movemask_epi8(high) << 32;
}

static inline uint64_t scan_eq(const __m256i v[2], char c)
{
    const __m256i want = _mm256_set1_epi8(c);

    return scan_join(_mm256_cmpeq_epi8(v[0], want), _mm256_cmpeq_epi8(v[1], want));
}

// The positions of quotes, and of structural characters outside of strings.
static inline int scan_positions(const char *p, size_t n, uint16_t *at)
{
    uint64_t in_string = 0;
    int n_at = 0;

    for (size_t b = 0; b < n; b += 64) {
        uint64_t live = n - b >= 64 ? UINT64_MAX : (UINT64_C(1) << (n - b)) - 1;
        __m256i v[2] = {_mm256_loadu_si256((const void *)(p + b)),
                        _mm256_loadu_si256((const void *)(p + b + 32))};
        uint64_t quote = scan_eq(v, '"') & live, string, found;

        if ((scan_eq(v, '\\') & live) != 0)
            return -1;
        string = (uint64_t)_mm_cvtsi128_si64(_mm_clmulepi64_si128(
                     _mm_set_epi64x(0, (int64_t)quote), _mm_set1_epi8((char)0xff), 0)) ^
                 in_string;
        in_string = (uint64_t)((int64_t)string >> 63);
        found = ((scan_eq(v, ',') | scan_eq(v, ':') | scan_eq(v, '{') | scan_eq(v, '}')) & live &
                 ~string) |
                quote;
        for (; found != 0; found &= found - 1)
            at[n_at++] = (uint16_t)(b + (unsigned)__builtin_ctzll(found));
    }
    return n_at;
}

// False when it is not the flat object of plain tokens that the benchmark sends.
static inline bool scan_object(struct scan *s, const char *p, size_t n)
{
    uint16_t at[SCAN_BYTES_MAX + 64];
    int n_at = n <= SCAN_BYTES_MAX ? scan_positions(p, n, at) : -1, i = 1;

    s->n = 0;
    if (n_at < 2 || p[at[0]] != '{')
        return false;
    while (i + 3 < n_at && p[at[i]] == '"' && p[at[i + 2]] == ':' && s->n < SCAN_FIELDS_MAX) {
        struct scan_field *f = &s->fields[s->n++];
        bool text = p[at[i + 3]] == '"';
        uint16_t from = (uint16_t)(at[i + 2] + 1 + text), to = at[i + 3 + text];

        if (i + 4 + 2 * text > n_at)
            return false;
        f->name = p + at[i] + 1;
        f->name_n = (uint32_t)(at[i + 1] - at[i] - 1);
        f->value = p + from;
        f->value_n = (uint32_t)(to - from);
        f->text = text;
        i += 4 + 2 * text;
        if (p[at[i - 1]] == '}')
            return true;
    }
    return false;
}

static inline const struct scan_field *scan_find(const struct scan *s, const char *name, uint32_t n)
{
    for (int i = 0; i < s->n; i++)
        if (s->fields[i].name_n == n && memcmp(s->fields[i].name, name, n) == 0)
            return &s->fields[i];
    return NULL;
}

// Digits with a point at most: what the benchmark sends.
static inline double scan_number(const struct scan_field *f)
{
    static const double tens[] = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9};
    bool minus = f->value_n > 0 && f->value[0] == '-', point = false;
    uint32_t decimals = 0;
    int64_t m = 0;
    double d;

    for (uint32_t i = minus; i < f->value_n; i++) {
        if (f->value[i] == '.') {
            point = true;
            continue;
        }
        m = m * 10 + (f->value[i] - '0');
        decimals += point;
    }
    d = (double)m / tens[decimals < 9 ? decimals : 9];
    return minus ? -d : d;
}

#endif
