// SPDX-License-Identifier: Apache-2.0
//
// Numbers as text. Both directions have short ways for what records are full of, and a slow way
// that is always right:
//
//   reading   at most 19 digits and |exponent| <= 22: one integer and one exact power of ten, so a
//             single correctly rounded multiplication or division (Clinger 1990); anything else
//             goes to strtod
//   writing   up to 15 digits (95.5, 0.125, 42.0): m / 10^k, found by multiplying, proved by
//             dividing. 16 or 17 (what sums and averages are like): the same in long double, where
//             it has bits to spare; what hangs on its last bits, and anything else, asks printf
//             for 1 to 17 digits, by bisection, until the text reads back
//
// The C locale is never changed by this program, so strtod and printf speak '.'.
#include "runtime/base/number.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "runtime/base/err.h"
#include "runtime/base/heap.h"

static const double powers_of_ten[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                       1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                       1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

// What is left of NUMBER_TEXT_SIZE behind a sign; the longest text is "2.2250738585072014e-308".
#define FLOAT_ROOM (NUMBER_TEXT_SIZE - 1)
#define EXACT_MAX 9007199254740992.0 // 2^53: integers up to here are exact doubles

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

int number_parse_int(struct bytes s, int64_t *v)
{
    bool negative = s.n > 0 && s.p[0] == '-';
    size_t i = negative ? 1 : 0;
    uint64_t limit = (uint64_t)INT64_MAX + (negative ? 1 : 0), u = 0;
    bool over = false;

    if (i == s.n)
        return LEAT_EINVAL;
    for (; i < s.n; i++) {
        unsigned digit = (unsigned)s.p[i] - '0';
        if (digit > 9)
            return LEAT_EINVAL;
        over = over || (i >= 18 && u > (limit - digit) / 10); // 18 digits fit in any case
        if (!over)
            u = u * 10 + digit;
    }
    if (over)
        return LEAT_ERANGE;
    *v = negative ? (int64_t)(0 - u) : (int64_t)u;
    return 0;
}

// A number taken apart: digits without the point, as many as fit, and the power of ten they are
// scaled by.
struct parts {
    bool negative;
    bool truncated; // more digits than `digits` could take
    uint64_t digits;
    int64_t exponent;
};

static size_t parts_digits(struct bytes s, size_t i, struct parts *out, bool fraction)
{
    for (; i < s.n && is_digit(s.p[i]); i++) {
        if (out->digits > (UINT64_MAX - 9) / 10) {
            out->truncated = true;
            continue;
        }
        out->digits = out->digits * 10 + (uint64_t)(s.p[i] - '0');
        out->exponent -= fraction;
    }
    return i;
}

static int parts_exponent(struct bytes s, size_t i, struct parts *out)
{
    bool negative = false;
    int64_t x = 0;
    size_t first;

    if (i < s.n && (s.p[i] == '+' || s.p[i] == '-'))
        negative = s.p[i++] == '-';
    for (first = i; i < s.n && is_digit(s.p[i]); i++)
        x = x < 1000000 ? x * 10 + (s.p[i] - '0') : x;
    if (i == first || i != s.n)
        return LEAT_EINVAL;
    out->exponent += negative ? -x : x;
    return 0;
}

// JSON's number grammar, whole: -?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?
static int parts_read(struct bytes s, struct parts *out)
{
    size_t i = 0, first;

    *out = (struct parts){.negative = s.n > 0 && s.p[0] == '-'};
    first = i = out->negative ? 1 : 0;
    i = parts_digits(s, i, out, false);
    if (i == first || (s.p[first] == '0' && i - first > 1))
        return LEAT_EINVAL;
    if (i < s.n && s.p[i] == '.') {
        first = ++i;
        i = parts_digits(s, i, out, true);
        if (i == first)
            return LEAT_EINVAL;
    }
    if (i == s.n)
        return 0;
    if (s.p[i] != 'e' && s.p[i] != 'E')
        return LEAT_EINVAL;
    return parts_exponent(s, i + 1, out);
}

static int parse_slowly(struct bytes s, double *v)
{
    char small[128], *copy = s.n < sizeof small ? small : heap_try_alloc(s.n + 1);

    if (copy == NULL)
        return LEAT_ENOMEM;
    memcpy(copy, s.p, s.n);
    copy[s.n] = 0;
    *v = strtod(copy, NULL);
    if (copy != small)
        heap_free(copy);
    return isfinite(*v) ? 0 : LEAT_ERANGE;
}

int number_parse_float(struct bytes s, double *v)
{
    struct parts parts;
    double d;
    int rc = parts_read(s, &parts);

    if (rc != 0)
        return rc;
    if (parts.truncated || parts.digits > (uint64_t)EXACT_MAX || parts.exponent < -22 ||
        parts.exponent > 22)
        return parse_slowly(s, v);
    d = (double)parts.digits;
    d = parts.exponent < 0 ? d / powers_of_ten[-parts.exponent] : d * powers_of_ten[parts.exponent];
    *v = parts.negative ? -d : d;
    return 0;
}

// Digits of u, most significant first, at least `width` of them; returns the count.
static size_t put_digits(uint64_t u, size_t width, char *out)
{
    char reversed[24];
    size_t n = 0;

    do {
        reversed[n++] = (char)('0' + u % 10);
        u /= 10;
    } while (u != 0);
    while (n < width)
        reversed[n++] = '0';
    for (size_t i = 0; i < n; i++)
        out[i] = reversed[n - 1 - i];
    return n;
}

static uint64_t magnitude(int64_t v)
{
    return v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
}

size_t number_format_int(int64_t v, char out[NUMBER_TEXT_SIZE])
{
    return number_format_decimal(v, 0, out);
}

// The digits of u with a point before the last `scale` of them.
static size_t put_scaled(uint64_t u, size_t scale, char *out)
{
    size_t n = put_digits(u, scale + 1, out), whole = n - scale;

    if (scale == 0)
        return n;
    memmove(out + whole + 1, out + whole, scale);
    out[whole] = '.';
    return n + 1;
}

size_t number_format_decimal(int64_t v, int scale, char out[NUMBER_TEXT_SIZE])
{
    size_t n = 0;

    ASSERT(scale >= 0 && scale <= 18);
    if (v < 0)
        out[n++] = '-';
    n += put_scaled(magnitude(v), (size_t)scale, out + n);
    out[n] = 0;
    return n;
}

// v in [1e-4, 1e15). 0: it needs more than 15 digits.
static size_t format_short(double v, char *out)
{
    for (size_t k = 1; k < 19; k++) {
        double scaled = v * powers_of_ten[k], m = nearbyint(scaled);

        if (m >= 1e15)
            return 0;
        if (m / powers_of_ten[k] == v)
            return put_scaled((uint64_t)m, k, out);
    }
    return 0;
}

// v in [1e-4, 1e15), and 15 digits do not do: the nearest number of 16 or else of 17. A product is
// off by less than 0.01 of its last digit; 0 when that could decide.
static size_t format_long(double v, char *out)
{
#if LDBL_MANT_DIG >= 64
    static const long double off = 0.01L;
    long double scaled = 0, m, reach;
    int exponent;
    size_t k = 0;

    if (frexp(v, &exponent) == 0.5)
        return 0; // its lower neighbour is nearer than the upper
    while (scaled < 1e15L)
        scaled = v * (long double)powers_of_ten[++k];
    m = nearbyintl(scaled);
    reach = ldexpl((long double)powers_of_ten[k], exponent - 54); // half of the way to neighbours
    if (fabsl(fabsl(scaled - m) - reach) < off)
        return 0;
    if (fabsl(scaled - m) > reach) {
        scaled = v * (long double)powers_of_ten[++k];
        m = nearbyintl(scaled);
    }
    if (fabsl(fabsl(scaled - m) - 0.5L) < off || (uint64_t)m % 10 == 0)
        return 0;
    return put_scaled((uint64_t)m, k, out);
#else
    (void)v, (void)out;
    return 0;
#endif
}

static bool reads_back(double v, int digits, char text[40])
{
    snprintf(text, 40, "%.*e", digits - 1, v);
    return strtod(text, NULL) == v;
}

// From "d.ddde[+-]xx" to plain notation where that is short, as JavaScript and Python write it.
static size_t format_exponent(const char *text, char *out)
{
    const char *e = strchr(text, 'e');
    int x = (int)strtol(e + 1, NULL, 10), n = 0, digits = 0;
    char all[24];

    for (const char *p = text; p < e; p++)
        if (*p != '.')
            all[digits++] = *p;
    while (digits > 1 && all[digits - 1] == '0')
        digits--;
    all[digits] = 0;
    if (x >= 0 && x < 16)
        n = digits <= x + 1
                ? snprintf(out, FLOAT_ROOM, "%s%.*s.0", all, x + 1 - digits, "000000000000000")
                : snprintf(out, FLOAT_ROOM, "%.*s.%s", x + 1, all, all + x + 1);
    else if (x < 0 && x >= -4)
        n = snprintf(out, FLOAT_ROOM, "0.%.*s%s", -x - 1, "000", all);
    else
        n = snprintf(out, FLOAT_ROOM, "%c%s%se%c%02d", all[0], digits > 1 ? "." : "", all + 1,
                     x < 0 ? '-' : '+', x < 0 ? -x : x);
    return (size_t)n;
}

static size_t format_slowly(double v, char *out)
{
    char text[40];
    int low = 1, high = 17;

    while (low < high) {
        int mid = (low + high) / 2;
        if (reads_back(v, mid, text))
            high = mid;
        else
            low = mid + 1;
    }
    snprintf(text, sizeof text, "%.*e", high - 1, v);
    return format_exponent(text, out);
}

size_t number_format_float(double v, char out[NUMBER_TEXT_SIZE])
{
    size_t n = 0, m;

    ASSERT(isfinite(v));
    if (signbit(v))
        out[n++] = '-';
    v = fabs(v);
    m = v == 0 ? put_scaled(0, 1, out + n) : 0;
    if (v >= 1e-4 && v < 1e15) {
        m = format_short(v, out + n);
        m = m != 0 ? m : format_long(v, out + n);
    }
    n += m != 0 ? m : format_slowly(v, out + n);
    out[n] = 0;
    return n;
}

static int size_unit(struct bytes s, int64_t *unit)
{
    static const char prefixes[] = "KMGT";
    int64_t base = 1000;
    const char *at;

    *unit = 1;
    if (s.n == 0 || bytes_eq_str(s, "B"))
        return 0;
    at = s.p[0] ? strchr(prefixes, s.p[0]) : NULL;
    if (at == NULL)
        return LEAT_EINVAL;
    if (s.n == 3 && s.p[1] == 'i')
        base = 1024;
    else if (s.n != 2)
        return LEAT_EINVAL;
    if (s.p[s.n - 1] != 'B')
        return LEAT_EINVAL;
    for (const char *p = prefixes; p <= at; p++)
        *unit *= base;
    return 0;
}

int number_parse_size(struct bytes s, int64_t *v)
{
    size_t i = 0;
    int64_t count, unit;
    int rc;

    while (i < s.n && is_digit(s.p[i]))
        i++;
    rc = number_parse_int(bytes_of(s.p, i), &count);
    if (rc != 0)
        return rc;
    if (i < s.n && s.p[i] == ' ')
        i++;
    rc = size_unit(bytes_of(s.p + i, s.n - i), &unit);
    if (rc != 0)
        return rc;
    return __builtin_mul_overflow(count, unit, v) ? LEAT_ERANGE : 0;
}
