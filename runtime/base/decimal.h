// SPDX-License-Identifier: Apache-2.0
//
// Exact decimal numbers: an int64 scaled by 10^scale, scale 0 to 18. What is not exact is refused,
// never rounded, with two exceptions that say so: a product of more than 18 digits behind the point
// (half to even) and decimal_round (half away from zero).
//
// 1.5 and 1.50 are equal and differ in how they are written.
#ifndef LEAT_BASE_DECIMAL_H
#define LEAT_BASE_DECIMAL_H

#include "runtime/base/assert.h"
#include "runtime/base/bytes.h"

#define DECIMAL_SCALE_MAX 18

struct decimal {
    int64_t i;
    int scale;
};

// "10.50", "-3", "007", ".5", "1.5e3": the scale is the number of digits behind the point, less the
// exponent. LEAT_EINVAL for no number, LEAT_ERANGE for one that does not fit.
int decimal_parse(struct bytes text, struct decimal *out) LEAT_CHECKED;
// The decimal that a float is written as: 0.1 gives 0.1. LEAT_ERANGE when that does not fit or the
// float is not finite.
int decimal_of_float(double f, struct decimal *out) LEAT_CHECKED;
// The same number with another scale. LEAT_ERANGE when it does not fit, LEAT_EINVAL when digits
// would be lost.
int decimal_rescale(struct decimal d, int scale, struct decimal *out) LEAT_CHECKED;
// Whether it has at most precision digits, scale of them behind the point.
bool decimal_fits(struct decimal d, int precision, int scale);

// LEAT_ERANGE on overflow.
int decimal_add(struct decimal a, struct decimal b, struct decimal *out) LEAT_CHECKED;
int decimal_sub(struct decimal a, struct decimal b, struct decimal *out) LEAT_CHECKED;
int decimal_mul(struct decimal a, struct decimal b, struct decimal *out) LEAT_CHECKED;
// Floor division (of scale 0) and what it leaves, whose sign is b's, as in Lua; b is not zero.
int decimal_idiv(struct decimal a, struct decimal b, struct decimal *out) LEAT_CHECKED;
int decimal_mod(struct decimal a, struct decimal b, struct decimal *out) LEAT_CHECKED;
int decimal_neg(struct decimal d, struct decimal *out) LEAT_CHECKED;
// To `digits` behind the point; fewer digits than that stay as they are.
int decimal_round(struct decimal d, int digits, struct decimal *out) LEAT_CHECKED;
// The greatest whole number not above it.
int64_t decimal_floor(struct decimal d);
int decimal_cmp(struct decimal a, struct decimal b);
// The nearest double.
double decimal_to_float(struct decimal d);

#endif
