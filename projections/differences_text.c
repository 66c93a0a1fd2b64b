// SPDX-License-Identifier: Apache-2.0
//
// Two settings objects of a plan's JSON, and what differs between them in words:
//
//   Booked: amount "v" → "v + fee"; disorder 5s → 10s; and 2 more
//
// Lists whose elements have names (fields, aggregates, cases) are compared by name, others by
// place. A function differs when its code does; where it stands does not matter.
#include <inttypes.h>
#include <string.h>

#include "projections/differences_parts.h"
#include "runtime/base/datetime.h"

enum { SHOWN_MAX = 3, VALUE_BYTES_MAX = 60 };

struct wording {
    struct arena *arena;
    struct buf out;
    int n; // differences so far
    bool texts; // functions count as equal
};

static bool in_list(const char *const *list, struct bytes name)
{
    for (; *list != NULL; list++)
        if (bytes_eq_str(name, *list))
            return true;
    return false;
}

// Says when something happens, how long it is kept or where it lies, not what it is.
static bool is_timing(struct bytes name)
{
    static const char *const names[] = {"idle_ms", "ahead_ms", "from",  "ttl_ms",
                                        "ttl",     "sqlite",   "after", NULL};

    return in_list(names, name);
}

static bool is_bookkeeping(struct bytes name)
{
    static const char *const names[] = {"node", "kind", "id", "line", "native", "inputs", "own",
                                        "fingerprint", "shape", "indexes", "body", "name",
                                        "aggregate", "writes", NULL};

    return in_list(names, name);
}

// Part of the structure that nobody wrote.
static bool is_silent(struct bytes name)
{
    static const char *const names[] = {"fields", "cells", "cases", "actions", "parts",
                                        "columns", "aggregates", "headers", "params", NULL};

    return in_list(names, name);
}

static bool is_fn(const struct value *v, struct arena *a)
{
    struct value line;

    if (!value_is_object(v))
        return false;
    line = outline_member(v, "function", a);
    return line.type == VALUE_INT;
}

// --- values ---

static void show_value(struct wording *w, const char *label, const struct value *v)
{
    size_t n = strlen(label);
    struct buf json = BUF_EMPTY;
    char text[32];

    if (value_is_nil(v)) {
        buf_append_str(&w->out, "none");
    } else if (is_fn(v, w->arena)) {
        buf_printf(&w->out, "the function at line %" PRId64, outline_int(v, "function", 0));
    } else if (v->type == VALUE_INT && n > 3 && strcmp(label + n - 3, "_ms") == 0 && v->i >= 0) {
        duration_format(v->i, text);
        buf_append_str(&w->out, text);
    } else if (v->type == VALUE_TEXT) {
        buf_append_byte(&w->out, '"');
        buf_append_cut(&w->out, v->s, VALUE_BYTES_MAX);
        buf_append_byte(&w->out, '"');
    } else if (value_write_json(v, &json, NULL) == 0) {
        buf_append_cut(&w->out, buf_bytes(&json), VALUE_BYTES_MAX);
    }
    buf_deinit(&json);
}

static void show(struct wording *w, const char *label, const struct value *was,
                 const struct value *is)
{
    size_t n = strlen(label);

    if (w->n++ >= SHOWN_MAX)
        return;
    if (n > 3 && strcmp(label + n - 3, "_ms") == 0)
        n -= 3;
    buf_printf(&w->out, "%s%.*s%s", w->n > 1 ? "; " : "", (int)n, label, n > 0 ? " " : "");
    if (is_fn(was, w->arena) && is_fn(is, w->arena)) {
        buf_append_str(&w->out, "the code of ");
        show_value(w, label, is);
        return;
    }
    show_value(w, label, was);
    buf_append_str(&w->out, " → ");
    show_value(w, label, is);
}

// --- structure ---

static void compare(struct wording *w, const char *label, const struct value *was,
                    const struct value *is);

// What an element of a list is known by; BYTES_NULL: its place.
static struct bytes name_of(const struct value *v, struct arena *a)
{
    static const char *const members[] = {"name", "type"};
    struct value name = VALUE_OF_MISSING;

    if (value_is_array(v) && value_count(v) > 1 && value_element(v, 1, a, &name, NULL) != 0)
        return BYTES_NULL;
    for (size_t i = 0; value_is_object(v) && i < ARRAY_LEN(members); i++)
        if (name.type != VALUE_TEXT)
            name = outline_member(v, members[i], a);
    return name.type == VALUE_TEXT ? name.s : BYTES_NULL;
}

// The element of that name, or at that place (from 1).
static struct value element(const struct value *list, struct bytes name, int64_t at,
                            struct arena *a)
{
    struct value v = VALUE_OF_MISSING;
    struct value_iter it;
    struct bytes none;

    if (bytes_is_null(name))
        return value_element(list, at, a, &v, NULL) == 0 ? v : VALUE_OF_MISSING;
    value_iter_init(&it, list, a);
    while (value_iter_next(&it, &none, &v, NULL) == 1)
        if (bytes_eq(name_of(&v, a), name))
            return v;
    return VALUE_OF_MISSING;
}

// What a named element is: of a pair the second, of a longer list the rest.
static struct value rest_of(const struct value *v, struct arena *a)
{
    struct value_array *rest;
    size_t n;

    if (!value_is_array(v))
        return *v;
    n = value_count(v);
    rest = arena_alloc(a, sizeof *rest);
    *rest = (struct value_array){.n = n - 1, .items = arena_zalloc(a, n * sizeof *rest->items)};
    for (size_t i = 2; i <= n; i++)
        if (value_element(v, (int64_t)i, a, &rest->items[i - 2], NULL) != 0)
            return VALUE_OF_MISSING;
    if (n == 2)
        return rest->items[0];
    return (struct value){.type = VALUE_ARRAY, .array = rest};
}

static const char *deeper(struct wording *w, const char *label, struct bytes name, bool of_case)
{
    return arena_printf(w->arena, "%s%s%.*s%s", label, label[0] ? " " : "", BYTES_FMT(name),
                        of_case ? ":" : "");
}

static void compare_element(struct wording *w, const char *label, struct bytes name,
                            const struct value *was, const struct value *is)
{
    struct value old = *was, new = *is;

    if (!bytes_is_null(name)) {
        label = deeper(w, label, name, value_is_object(value_is_nil(is) ? was : is));
        old = rest_of(was, w->arena);
        new = rest_of(is, w->arena);
    }
    compare(w, label, &old, &new);
}

static void compare_lists(struct wording *w, const char *label, const struct value *was,
                          const struct value *is)
{
    struct value_iter it;
    struct value v, other;
    struct bytes none;
    int64_t at = 0;

    value_iter_init(&it, is, w->arena);
    while (value_iter_next(&it, &none, &v, NULL) == 1) {
        other = element(was, name_of(&v, w->arena), ++at, w->arena);
        compare_element(w, label, name_of(&v, w->arena), &other, &v);
    }
    at = 0;
    value_iter_init(&it, was, w->arena);
    while (value_iter_next(&it, &none, &v, NULL) == 1) {
        other = element(is, name_of(&v, w->arena), ++at, w->arena);
        if (other.type == VALUE_MISSING)
            compare_element(w, label, name_of(&v, w->arena), &v, &other);
    }
}

static void compare_member(struct wording *w, const char *label, struct bytes name,
                           const struct value *was, const struct value *is)
{
    compare(w, is_silent(name) ? label : deeper(w, label, name, false), was, is);
}

static void compare_objects(struct wording *w, const char *label, const struct value *was,
                            const struct value *is)
{
    struct value_iter it;
    struct value v, other;
    struct bytes name;

    value_iter_init(&it, is, w->arena);
    while (value_iter_next(&it, &name, &v, NULL) == 1) {
        if (is_bookkeeping(name) || is_timing(name))
            continue;
        if (value_member(was, name, w->arena, &other, NULL) == 0)
            compare_member(w, label, name, &other, &v);
    }
    value_iter_init(&it, was, w->arena);
    while (value_iter_next(&it, &name, &v, NULL) == 1) {
        if (is_bookkeeping(name) || is_timing(name) ||
            value_member(is, name, w->arena, &other, NULL) != 0)
            continue;
        if (other.type == VALUE_MISSING)
            compare_member(w, label, name, &v, &other);
    }
}

static bool same_code(struct wording *w, const struct value *was, const struct value *is)
{
    struct value old, new;

    if (!is_fn(was, w->arena) || !is_fn(is, w->arena))
        return false;
    old = outline_member(was, "code", w->arena);
    new = outline_member(is, "code", w->arena);
    return w->texts || value_eq(&old, &new, w->arena);
}

static void compare(struct wording *w, const char *label, const struct value *was,
                    const struct value *is)
{
    bool functions = is_fn(was, w->arena) || is_fn(is, w->arena);

    if ((value_is_nil(was) && value_is_nil(is)) || value_eq(was, is, w->arena) ||
        same_code(w, was, is))
        return;
    if (value_is_object(was) && value_is_object(is) && !functions)
        compare_objects(w, label, was, is);
    else if (value_is_array(was) && value_is_array(is))
        compare_lists(w, label, was, is);
    else
        show(w, label, was, is);
}

// The members that say when, on either side.
static void compare_timing(struct wording *w, const struct value *was, const struct value *is)
{
    const struct value *sides[] = {is, was};
    struct value_iter it;
    struct value v, old, new;
    struct bytes name;

    for (int side = 0; side < 2; side++) {
        value_iter_init(&it, sides[side], w->arena);
        while (value_iter_next(&it, &name, &v, NULL) == 1) {
            if (!is_timing(name) || value_member(was, name, w->arena, &old, NULL) != 0 ||
                value_member(is, name, w->arena, &new, NULL) != 0)
                continue;
            if (side == 0 || new.type == VALUE_MISSING)
                compare(w, deeper(w, "", name, false), &old, &new);
        }
    }
}

const char *settings_text(struct arena *a, const struct value *was, const struct value *is,
                          enum settings which)
{
    struct wording w = {.arena = a, .texts = which == SETTINGS_TEXTS};
    const char *text;

    if (which == SETTINGS_TIMING)
        compare_timing(&w, was, is);
    else if (value_is_object(was) && value_is_object(is))
        compare_objects(&w, "", was, is);
    if (w.n > SHOWN_MAX)
        buf_printf(&w.out, "; and %d more", w.n - SHOWN_MAX);
    text = arena_strdup(a, buf_cstr(&w.out));
    buf_deinit(&w.out);
    return text;
}
