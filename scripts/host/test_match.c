// SPDX-License-Identifier: Apache-2.0
//
// What a test expects against what came out.
//
// Records match by the fields that are named; count and order are exact. Inside a record objects
// match in the same way, and a list by its first elements. null stands for "missing or null".
// Rows are compared whole. A boolean column is 0 or 1 in SQLite, a decimal its scaled integer or
// text, a json column text: each way of writing them is taken.
#include "scripts/host/testing.h"

static bool same_number(const struct value *want, const struct value *got)
{
    if (want->type != VALUE_INT)
        return false;
    if (got->type == VALUE_BOOL)
        return want->i == got->b;
    return got->type == VALUE_DECIMAL && want->i == got->i;
}

// "10.50", as a topic and a query's answer show it.
static bool same_decimal(const struct value *want, const struct value *got)
{
    struct decimal d;

    return got->type == VALUE_DECIMAL && want->type == VALUE_TEXT &&
           value_decimal(want, &d) == 0 &&
           decimal_cmp(d, (struct decimal){got->i, got->scale}) == 0;
}

static bool object_matches(struct testing *t, const struct value *want, const struct value *got)
{
    for (size_t i = 0; i < want->object->n; i++) {
        struct value x = VALUE_OF_MISSING;
        if (value_member(got, want->object->names[i], &t->arena, &x, NULL) != 0 ||
            !test_matches(t, &want->object->values[i], &x))
            return false;
    }
    return true;
}

static bool array_matches(struct testing *t, const struct value *want, const struct value *got)
{
    for (size_t i = 0; i < want->array->n; i++) {
        struct value x = VALUE_OF_MISSING;
        if (value_element(got, (int64_t)i + 1, &t->arena, &x, NULL) != 0 ||
            !test_matches(t, &want->array->items[i], &x))
            return false;
    }
    return want->array->n <= value_count(got);
}

bool test_matches(struct testing *t, const struct value *want, const struct value *got)
{
    if (want->type == VALUE_OBJECT && value_is_object(got))
        return object_matches(t, want, got);
    if (want->type == VALUE_OBJECT && want->object->n == 0 && value_is_array(got))
        return value_count(got) == 0; // {} is written for an empty list too
    if (want->type == VALUE_ARRAY && value_is_array(got))
        return array_matches(t, want, got);
    return same_number(want, got) || same_decimal(want, got) || value_eq(want, got, &t->arena);
}

static bool same_json(const struct value *want, const struct value *got)
{
    struct buf text = BUF_EMPTY;
    bool same = want->type == VALUE_TEXT && (value_is_object(got) || value_is_array(got)) &&
                value_write_json(got, &text, NULL) == 0 && bytes_eq(want->s, buf_bytes(&text));

    buf_deinit(&text);
    return same;
}

static bool columns_match(struct testing *t, const struct value *want, const struct value *got)
{
    for (size_t i = 0; i < want->object->n; i++) {
        const struct value *w = &want->object->values[i];
        struct value x = VALUE_OF_MISSING;
        if (value_member(got, want->object->names[i], &t->arena, &x, NULL) != 0 ||
            !(same_json(w, &x) || test_matches(t, w, &x)))
            return false;
    }
    return true;
}

bool test_row_equals(struct testing *t, const struct value *want, const struct value *got)
{
    struct value_iter it;
    struct bytes name;
    struct value x, w;

    if (want->type != VALUE_OBJECT || !value_is_object(got) || !columns_match(t, want, got))
        return false;
    value_iter_init(&it, got, &t->arena);
    while (value_iter_next(&it, &name, &x, NULL) == 1) {
        if (value_is_nil(&x))
            continue;
        if (value_member(want, name, &t->arena, &w, NULL) != 0 || w.type == VALUE_MISSING)
            return false;
    }
    for (size_t i = 0; i < want->object->n; i++) { // a column that is not there is not null
        if (value_member(got, want->object->names[i], &t->arena, &x, NULL) != 0 ||
            x.type == VALUE_MISSING)
            return false;
    }
    return true;
}
