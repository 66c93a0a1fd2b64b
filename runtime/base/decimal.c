// SPDX-License-Identifier: Apache-2.0
//
// Decimals. Everything is decided in 128 bits, where 2^63 * 10^18 still fits, and then has to go
// back into 64.
#include "runtime/base/decimal.h"

#include <math.h>
#include <stdlib.h>

#include "runtime/base/err.h"
#include "runtime/base/number.h"

typedef __int128 wide;

static int64_t power(int n)
{
    int64_t p = 1;

    ASSERT(n >= 0 && n <= DECIMAL_SCALE_MAX);
    while (n-- > 0)
        p *= 10;
    return p;
}

static int narrow(wide i, int scale, struct decimal *out)
{
    if (i > INT64_MAX || i < INT64_MIN)
        return LEAT_ERANGE;
    *out = (struct decimal){(int64_t)i, scale};
    return 0;
}

// --- text ---

struct digits {
    uint64_t u;
    bool over, any, point;
    int behind;   // digits behind the point
    size_t zeros; // behind the point, that nothing has followed yet
};

static bool digit_put(struct digits *d, unsigned digit)
{
    uint64_t u;

    if (__builtin_mul_overflow(d->u, 10, &u) || __builtin_add_overflow(u, digit, &u))
        return false;
    d->u = u;
    d->behind += d->point;
    return true;
}

static void digit_add(struct digits *d, unsigned digit)
{
    d->any = true;
    if (d->point && digit == 0) {
        d->zeros++;
        return;
    }
    for (; d->zeros > 0 && !d->over; d->zeros--)
        d->over = !digit_put(d, 0);
    d->over = d->over || !digit_put(d, digit);
}

// The zeros at the end count for the scale, as far as there is room for them.
static void digits_end(struct digits *d)
{
    for (; d->zeros > 0 && d->behind < DECIMAL_SCALE_MAX && d->u <= INT64_MAX / 10; d->zeros--)
        if (!digit_put(d, 0))
            break;
}

// The exponent from 'e' on; far beyond what could matter it stays where it is.
static int read_exponent(struct bytes s, int *exponent)
{
    bool negative = s.n > 1 && s.p[1] == '-';
    size_t i = s.n > 1 && (s.p[1] == '-' || s.p[1] == '+') ? 2 : 1;

    *exponent = 0;
    if (i >= s.n)
        return LEAT_EINVAL;
    for (; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return LEAT_EINVAL;
        if (*exponent < 10000)
            *exponent = *exponent * 10 + (s.p[i] - '0');
    }
    *exponent = negative ? -*exponent : *exponent;
    return 0;
}

// u * 10^-scale for any scale: zeros behind are dropped, zeros before the point are added.
static int scaled(struct digits d, bool negative, int scale, struct decimal *out)
{
    wide i = d.u;

    for (; scale > DECIMAL_SCALE_MAX && i % 10 == 0 && i != 0; scale--)
        i /= 10;
    if (i == 0)
        scale = scale < 0 ? 0 : scale > DECIMAL_SCALE_MAX ? DECIMAL_SCALE_MAX : scale;
    for (; scale < 0 && i <= INT64_MAX; scale++)
        i *= 10;
    if (d.over || scale < 0 || scale > DECIMAL_SCALE_MAX)
        return LEAT_ERANGE;
    return narrow(negative ? -i : i, scale, out);
}

int decimal_parse(struct bytes text, struct decimal *out)
{
    bool negative = text.n > 0 && text.p[0] == '-';
    struct digits d = {0};
    int exponent = 0;

    for (size_t i = negative; i < text.n; i++) {
        unsigned digit = (unsigned)text.p[i] - '0';

        if (digit <= 9) {
            digit_add(&d, digit);
        } else if (text.p[i] == '.' && !d.point) {
            d.point = true;
        } else if ((text.p[i] | 0x20) == 'e' && d.any) {
            int rc = read_exponent(bytes_of(text.p + i, text.n - i), &exponent);
            if (rc != 0)
                return rc;
            break;
        } else {
            return LEAT_EINVAL;
        }
    }
    digits_end(&d);
    return d.any ? scaled(d, negative, d.behind - exponent, out) : LEAT_EINVAL;
}

int decimal_of_float(double f, struct decimal *out)
{
    char text[NUMBER_TEXT_SIZE];
    struct decimal d;
    int rc;

    if (!isfinite(f))
        return LEAT_ERANGE;
    rc = decimal_parse(bytes_of(text, number_format_float(f, text)), &d);
    if (rc == 0 && d.scale == 1 && d.i % 10 == 0) // 5.0 is 5
        d = (struct decimal){d.i / 10, 0};
    if (rc == 0)
        *out = d;
    return rc;
}

// --- scales ---

int decimal_rescale(struct decimal d, int scale, struct decimal *out)
{
    if (scale >= d.scale)
        return narrow((wide)d.i * power(scale - d.scale), scale, out);
    if (d.i % power(d.scale - scale) != 0)
        return LEAT_EINVAL;
    *out = (struct decimal){d.i / power(d.scale - scale), scale};
    return 0;
}

bool decimal_fits(struct decimal d, int precision, int scale)
{
    int64_t limit = power(precision);

    return decimal_rescale(d, scale, &d) == 0 && d.i < limit && d.i > -limit;
}

// Both at the larger scale.
static int align(struct decimal a, struct decimal b, wide *x, wide *y)
{
    int scale = a.scale > b.scale ? a.scale : b.scale;

    *x = (wide)a.i * power(scale - a.scale);
    *y = (wide)b.i * power(scale - b.scale);
    return scale;
}

int decimal_round(struct decimal d, int digits, struct decimal *out)
{
    int64_t p, rest;

    if (digits >= d.scale) {
        *out = d;
        return 0;
    }
    p = power(d.scale - digits);
    rest = d.i % p;
    rest = rest < 0 ? -rest : rest;
    return narrow((wide)(d.i / p) + (rest >= p - rest ? (d.i < 0 ? -1 : 1) : 0), digits, out);
}

int64_t decimal_floor(struct decimal d)
{
    int64_t p = power(d.scale);

    return d.i / p - (d.i % p < 0);
}

// --- arithmetic ---

int decimal_add(struct decimal a, struct decimal b, struct decimal *out)
{
    wide x, y;
    int scale = align(a, b, &x, &y);

    return narrow(x + y, scale, out);
}

int decimal_sub(struct decimal a, struct decimal b, struct decimal *out)
{
    wide x, y;
    int scale = align(a, b, &x, &y);

    return narrow(x - y, scale, out);
}

static wide divide_half_even(wide i, int64_t by)
{
    wide q = i / by, rest = i % by, twice = 2 * (rest < 0 ? -rest : rest);

    if (twice > by || (twice == by && q % 2 != 0))
        q += i < 0 ? -1 : 1;
    return q;
}

int decimal_mul(struct decimal a, struct decimal b, struct decimal *out)
{
    wide i = (wide)a.i * b.i;
    int scale = a.scale + b.scale;

    if (scale > DECIMAL_SCALE_MAX) {
        i = divide_half_even(i, power(scale - DECIMAL_SCALE_MAX));
        scale = DECIMAL_SCALE_MAX;
    }
    return narrow(i, scale, out);
}

int decimal_idiv(struct decimal a, struct decimal b, struct decimal *out)
{
    wide x, y;

    ASSERT(b.i != 0);
    (void)align(a, b, &x, &y);
    return narrow(x / y - (x % y != 0 && (x < 0) != (y < 0)), 0, out);
}

int decimal_mod(struct decimal a, struct decimal b, struct decimal *out)
{
    wide x, y, rest;
    int scale = align(a, b, &x, &y);

    ASSERT(b.i != 0);
    rest = x % y;
    return narrow(rest != 0 && (rest < 0) != (y < 0) ? rest + y : rest, scale, out);
}

int decimal_neg(struct decimal d, struct decimal *out)
{
    return narrow(-(wide)d.i, d.scale, out);
}

int decimal_cmp(struct decimal a, struct decimal b)
{
    wide x, y;

    (void)align(a, b, &x, &y);
    return (x > y) - (x < y);
}

double decimal_to_float(struct decimal d)
{
    char text[NUMBER_TEXT_SIZE];

    if (d.i < INT64_C(1) << 53 && d.i > -(INT64_C(1) << 53))
        return (double)d.i / (double)power(d.scale); // both exact: one rounding
    (void)number_format_decimal(d.i, d.scale, text);
    return strtod(text, NULL);
}
