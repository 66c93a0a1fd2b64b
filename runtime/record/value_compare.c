// SPDX-License-Identifier: Apache-2.0
//
// Equality and order of values. Numbers compare by what they are worth, exactly, across int, float
// and decimal: an int64 is never rounded to a double on the way.
#include "runtime/record/fieldplan.h"

#include <math.h>
#include <stdlib.h>

#include "runtime/base/limits.h"

static bool is_number(const struct value *v)
{
    return v->type == VALUE_INT || v->type == VALUE_FLOAT || v->type == VALUE_DECIMAL;
}

static bool is_string(const struct value *v)
{
    return v->type == VALUE_TEXT || v->type == VALUE_BYTES;
}

static int64_t power_of_ten(int n)
{
    int64_t p = 1;

    while (n-- > 0)
        p *= 10;
    return p;
}

// i / 10^scale against d, which is finite.
static int scaled_cmp_float(int64_t i, int scale, double d)
{
    int64_t power = power_of_ten(scale), whole = i / power, rest = i % power;
    double whole_d = trunc(d), fraction;

    if (d >= 0x1p63)
        return -1;
    if (d < -0x1p63)
        return 1;
    if (whole != (int64_t)whole_d)
        return whole > (int64_t)whole_d ? 1 : -1;
    // The fraction of d times 10^scale needs at most 53 + 60 bits; long double's 64 decide all but
    // ties that no decimal of 18 digits and no double can both be near.
    fraction = d - whole_d;
    long double there = (long double)fraction * (long double)power;
    return ((long double)rest > there) - ((long double)rest < there);
}

static int exact_scale(const struct value *v)
{
    return v->type == VALUE_DECIMAL ? v->scale : 0;
}

static int number_cmp(const struct value *a, const struct value *b)
{
    if (a->type == VALUE_FLOAT && b->type == VALUE_FLOAT)
        return (a->f > b->f) - (a->f < b->f);
    if (a->type == VALUE_FLOAT)
        return -scaled_cmp_float(b->i, exact_scale(b), a->f);
    if (b->type == VALUE_FLOAT)
        return scaled_cmp_float(a->i, exact_scale(a), b->f);
    return decimal_cmp((struct decimal){a->i, exact_scale(a)},
                       (struct decimal){b->i, exact_scale(b)});
}

int value_cmp(const struct value *a, const struct value *b, int *cmp, struct err *e)
{
    if (is_number(a) && is_number(b)) {
        *cmp = number_cmp(a, b);
        return 0;
    }
    if (is_string(a) && is_string(b)) {
        *cmp = bytes_cmp(a->s, b->s);
        return 0;
    }
    return err_set(e, LEAT_ETYPE, "cannot compare %s with %s", value_type_name(a),
                   value_type_name(b));
}

static bool equal(const struct value *a, const struct value *b, struct arena *tmp, int depth);

static bool arrays_equal(const struct value *a, const struct value *b, struct arena *tmp, int depth)
{
    struct value_iter ia, ib;
    struct value va, vb;
    struct bytes name;

    value_iter_init(&ia, a, tmp);
    value_iter_init(&ib, b, tmp);
    for (;;) {
        int ra = value_iter_token(&ia, &name, &va, NULL);
        int rb = value_iter_token(&ib, &name, &vb, NULL);
        if (ra != 1 || rb != 1)
            return ra == 0 && rb == 0;
        if (!equal(&va, &vb, tmp, depth))
            return false;
    }
}

struct member {
    struct bytes name;
    size_t i;
    struct value value;
};

static int member_order(const void *a, const void *b)
{
    const struct member *ma = a, *mb = b;
    int c = bytes_cmp(ma->name, mb->name);

    return c != 0 ? c : (ma->i > mb->i) - (ma->i < mb->i);
}

// The members that read as something, sorted by name, the last of each name. n < 0: cannot be read.
static struct member *members_sorted(const struct value *v, struct arena *tmp, int64_t *n)
{
    size_t count = value_count(v), kept = 0;
    struct member *m = arena_alloc(tmp, count * sizeof *m);
    struct value_iter it;

    *n = -1;
    value_iter_init(&it, v, tmp);
    for (size_t i = 0; i < count; i++) {
        m[i].i = i;
        if (value_iter_token(&it, &m[i].name, &m[i].value, NULL) != 1)
            return m;
    }
    if (count > 0)
        qsort(m, count, sizeof *m, member_order);
    for (size_t i = 0; i < count; i++) {
        bool last = i + 1 == count || !bytes_eq(m[i].name, m[i + 1].name);
        if (last && !value_is_nil(&m[i].value))
            m[kept++] = m[i];
    }
    *n = (int64_t)kept;
    return m;
}

static bool objects_equal(const struct value *a, const struct value *b, struct arena *tmp,
                          int depth)
{
    int64_t na, nb;
    const struct member *ma = members_sorted(a, tmp, &na), *mb = members_sorted(b, tmp, &nb);

    if (na < 0 || na != nb)
        return false;
    for (int64_t i = 0; i < na; i++)
        if (!bytes_eq(ma[i].name, mb[i].name) || !equal(&ma[i].value, &mb[i].value, tmp, depth))
            return false;
    return true;
}

// Numbers that fit nowhere are equal when they are written alike.
static bool equal(const struct value *a, const struct value *b, struct arena *tmp, int depth)
{
    struct value va = *a, vb = *b;
    int ra = value_force(&va, tmp, NULL), rb = value_force(&vb, tmp, NULL);

    if (ra != 0 || rb != 0)
        return ra == rb && a->format == b->format && bytes_eq(a->s, b->s);
    if (value_is_nil(&va) || value_is_nil(&vb))
        return value_is_nil(&va) && value_is_nil(&vb);
    if (is_number(&va) && is_number(&vb))
        return number_cmp(&va, &vb) == 0;
    if (is_string(&va) && is_string(&vb))
        return bytes_eq(va.s, vb.s);
    if (va.type == VALUE_BOOL && vb.type == VALUE_BOOL)
        return va.b == vb.b;
    if (depth == 0)
        return false;
    if (value_is_array(&va) && value_is_array(&vb))
        return arrays_equal(&va, &vb, tmp, depth - 1);
    return value_is_object(&va) && value_is_object(&vb) && objects_equal(&va, &vb, tmp, depth - 1);
}

bool value_eq(const struct value *a, const struct value *b, struct arena *tmp)
{
    return equal(a, b, tmp, VALUE_DEPTH_MAX + 1);
}
