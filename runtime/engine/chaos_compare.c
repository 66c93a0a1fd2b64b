// SPDX-License-Identifier: Apache-2.0
//
// Two pictures of the same moment of a test, side by side: the first part that differs, in it the
// first line, in it the first field. A line that only one of them has is found by its key, so that
// a missing row is not told as a change of the one behind it.
#include <math.h>

#include "runtime/engine/chaos_picture.h"

#define ROUNDING 1e-9 // of two reals of any size

static bool close_values(const struct value *a, const struct value *b, struct arena *tmp);

static bool is_number(const struct value *v)
{
    return v->type == VALUE_INT || v->type == VALUE_FLOAT;
}

static double as_double(const struct value *v)
{
    return v->type == VALUE_INT ? (double)v->i : v->f;
}

static bool close_numbers(const struct value *a, const struct value *b)
{
    double x = as_double(a), y = as_double(b);

    if (a->type == VALUE_INT && b->type == VALUE_INT)
        return a->i == b->i;
    return fabs(x - y) <= ROUNDING * fmax(1, fmax(fabs(x), fabs(y)));
}

// Member by member, in order: both were written by the same job.
static bool close_members(const struct value *a, const struct value *b, struct arena *tmp)
{
    struct value_iter ia, ib;
    struct bytes na, nb;
    struct value x, y;

    if (value_count(a) != value_count(b))
        return false;
    value_iter_init(&ia, a, tmp);
    value_iter_init(&ib, b, tmp);
    while (value_iter_next(&ia, &na, &x, NULL) == 1)
        if (value_iter_next(&ib, &nb, &y, NULL) != 1 || !bytes_eq(na, nb) ||
            !close_values(&x, &y, tmp))
            return false;
    return true;
}

static bool close_values(const struct value *a, const struct value *b, struct arena *tmp)
{
    if (is_number(a) && is_number(b))
        return close_numbers(a, b);
    if ((value_is_object(a) && value_is_object(b)) || (value_is_array(a) && value_is_array(b)))
        return close_members(a, b, tmp);
    return value_eq(a, b, tmp);
}

static bool texts_equal(struct bytes a, struct bytes b, const struct picture_rules *r,
                        struct arena *tmp)
{
    struct value x, y;

    if (bytes_eq(a, b))
        return true;
    return r->any_order && value_decode(FORMAT_JSON, a, tmp, &x, NULL) == 0 &&
           value_decode(FORMAT_JSON, b, tmp, &y, NULL) == 0 && close_values(&x, &y, tmp);
}

static bool keys_equal(const struct picture_line *a, const struct picture_line *b)
{
    return bytes_is_null(a->key) == bytes_is_null(b->key) && bytes_eq(a->key, b->key);
}

static bool lines_equal(const struct picture_line *a, const struct picture_line *b,
                        const struct picture_rules *r, struct arena *tmp)
{
    return keys_equal(a, b) && bytes_eq(a->more, b->more) && texts_equal(a->text, b->text, r, tmp);
}

// The first member of either that the other has not or has otherwise.
static struct bytes field_that_differs(struct bytes was, struct bytes is,
                                       const struct picture_rules *r, struct arena *tmp)
{
    struct value sides[2], x, y;
    struct value_iter it;
    struct bytes name;

    if (value_decode(FORMAT_JSON, was, tmp, &sides[0], NULL) != 0 ||
        value_decode(FORMAT_JSON, is, tmp, &sides[1], NULL) != 0 || !value_is_object(&sides[0]) ||
        !value_is_object(&sides[1]))
        return BYTES_NULL;
    for (int i = 0; i < 2; i++) {
        value_iter_init(&it, &sides[i], tmp);
        while (value_iter_next(&it, &name, &x, NULL) == 1)
            if (value_member(&sides[1 - i], name, tmp, &y, NULL) == 0 &&
                !(r->any_order ? close_values(&x, &y, tmp) : value_eq(&x, &y, tmp)))
                return name;
    }
    return BYTES_NULL;
}

static struct bytes shown(const struct picture_part *p, const struct picture_line *l,
                          struct arena *a)
{
    const char *text;

    if (p->kind != PICTURE_TOPIC)
        return l->text;
    text = bytes_is_null(l->key)
               ? arena_printf(a, "%.*s  (no key, %.*s)", BYTES_FMT(l->text), BYTES_FMT(l->more))
               : arena_printf(a, "%.*s  (key %.*s, %.*s)", BYTES_FMT(l->text), BYTES_FMT(l->key),
                              BYTES_FMT(l->more));
    return bytes_str(text);
}

static bool has_key(const struct picture_part *p, size_t from, const struct picture_line *l)
{
    for (size_t i = from; i < p->n; i++)
        if (keys_equal(&p->lines[i], l) && (p->kind != PICTURE_TOPIC ||
                                            bytes_eq(p->lines[i].text, l->text)))
            return true;
    return false;
}

static void describe(const struct picture_part *was, const struct picture_part *is, size_t i,
                     struct arena *a, struct picture_difference *out)
{
    const struct picture_line *x = i < was->n ? &was->lines[i] : NULL;
    const struct picture_line *y = i < is->n ? &is->lines[i] : NULL;

    if (x != NULL && y != NULL && !keys_equal(x, y) && was->n != is->n) {
        if (was->n < is->n && !has_key(was, i, y))
            x = NULL;
        else if (was->n > is->n && !has_key(is, i, x))
            y = NULL;
    }
    out->was = x != NULL ? shown(was, x, a) : BYTES_NULL;
    out->is = y != NULL ? shown(is, y, a) : BYTES_NULL;
}

static bool part_differs(const struct picture_part *was, const struct picture_part *is,
                         const struct picture_rules *r, struct arena *a,
                         struct picture_difference *out)
{
    size_t n = was->n > is->n ? was->n : is->n;

    for (size_t i = 0; i < n; i++) {
        if (i < was->n && i < is->n && lines_equal(&was->lines[i], &is->lines[i], r, a))
            continue;
        *out = (struct picture_difference){.part = was};
        describe(was, is, i, a, out);
        if (i < was->n && i < is->n && keys_equal(&was->lines[i], &is->lines[i]) &&
            !bytes_is_null(out->was) && !bytes_is_null(out->is))
            out->field = field_that_differs(was->lines[i].text, is->lines[i].text, r, a);
        return true;
    }
    return false;
}

bool picture_differs(const struct picture *was, const struct picture *is,
                     const struct picture_rules *rules, struct arena *a,
                     struct picture_difference *out)
{
    ASSERT(was->n == is->n); // the same plan made both
    for (size_t i = 0; i < was->n; i++)
        if (part_differs(&was->parts[i], &is->parts[i], rules, a, out))
            return true;
    return false;
}
