// SPDX-License-Identifier: Apache-2.0
//
// How what came out differs from what a test wants, for a person.
//
//   1    as expected
//   2    want  {"id":"a","total":3}
//        got   {"id":"a","total":2,"$key":"a"}
//              total: want 3, got 2
//   3    want  {"id":"b"}
//        got   nothing
//   +    got   {"id":"c","total":1}
//
// The two lists are laid beside each other so that as much as possible agrees, in order, as diff
// does with lines: one record too many is then one difference and not as many as stand behind it.
// Of those that do not agree, two with fields in common are taken for one with a mistake in it (a
// near miss), and of fields only those that differ are told. Numbers on the left are places in
// the test's list.
#include "scripts/host/testing.h"

enum {
    LAID_MAX = 150, // longer lists are compared place by place
    SHOWN_MAX = 8,  // differences
    FIELDS_MAX = 6, // of one record
    VALUE_BYTES_MAX = 400,
    SAME = 1000, // score of a pair that agrees; a near miss gets its share of NEAR
    NEAR = 100,
    ALIKE = 1, // that they stand at one place
};

struct laying {
    struct testing *test;
    test_matcher *matches;
    const struct value *want, *got;
    int n_want, n_got;
    struct buf out;
    int shown, differ, missing, extra;
    bool rows; // whole rows: a column too many is a difference
};

static const struct value *items_of(struct testing *t, const struct value *list, int *n)
{
    size_t count = value_is_array(list) ? value_count(list) : 0, i = 0;
    struct value *items = arena_alloc(&t->arena, (count + 1) * sizeof(*items));
    struct value_iter it;
    struct bytes name;

    *n = (int)count;
    value_iter_init(&it, list, &t->arena);
    while (i < count && value_iter_next(&it, &name, &items[i], NULL) == 1)
        i++;
    while (i < count)
        items[i++] = VALUE_OF_NULL;
    return items;
}

// --- laying side by side ---

static int score(struct laying *l, int w, int g)
{
    const struct value *want = &l->want[w], *got = &l->got[g];
    size_t equal = 0;

    if (l->matches(l->test, want, got))
        return SAME;
    if (want->type != VALUE_OBJECT || want->object->n == 0 || !value_is_object(got))
        return ALIKE;
    for (size_t i = 0; i < want->object->n; i++) {
        struct value x;
        if (value_member(got, want->object->names[i], &l->test->arena, &x, NULL) == 0 &&
            test_matches(l->test, &want->object->values[i], &x))
            equal++;
    }
    return ALIKE + (int)(equal * NEAR / want->object->n);
}

// best[w][g]: the best that the rest from w and g on can give, scores of pairs summed up.
struct table {
    int *best, *pair;
    int width;
};

static int best_of(const struct table *t, int w, int g)
{
    return t->best[w * t->width + g];
}

static void fill(struct laying *l, struct table *t)
{
    for (int w = l->n_want - 1; w >= 0; w--)
        for (int g = l->n_got - 1; g >= 0; g--) {
            int at = w * t->width + g;
            int skip_w = best_of(t, w + 1, g), skip_g = best_of(t, w, g + 1);
            int paired = (t->pair[at] = score(l, w, g)) + best_of(t, w + 1, g + 1);
            t->best[at] = skip_w > skip_g ? skip_w : skip_g;
            if (paired >= t->best[at])
                t->best[at] = paired;
            else
                t->pair[at] = 0;
        }
}

// --- telling ---

static void write_value(struct buf *out, const struct value *v)
{
    size_t from = out->n;

    if (v->type == VALUE_MISSING)
        buf_append_str(out, "nothing");
    else if (value_write_json(v, out, NULL) != 0)
        buf_append_str(out, "a value that cannot be shown");
    if (out->n - from > VALUE_BYTES_MAX) {
        out->n = from + bytes_utf8_prefix(bytes_of(out->p + from, VALUE_BYTES_MAX));
        buf_append_str(out, " ...");
    }
}

static void tell_sides(struct laying *l, int place, const struct value *want,
                       const struct value *got)
{
    if (place > 0)
        buf_printf(&l->out, "\n  %-4d", place);
    else
        buf_append_str(&l->out, "\n  +   ");
    if (want != NULL) {
        buf_append_str(&l->out, " want  ");
        write_value(&l->out, want);
        buf_append_str(&l->out, "\n      ");
    }
    buf_append_str(&l->out, " got   ");
    if (got != NULL)
        write_value(&l->out, got);
    else
        buf_append_str(&l->out, "nothing");
}

struct path {
    char text[160];
    int told;
};

static void tell_field(struct laying *l, struct path *p, const struct value *want,
                       const struct value *got)
{
    if (p->told++ >= FIELDS_MAX)
        return;
    buf_printf(&l->out, "\n             %s: want ", p->text);
    write_value(&l->out, want);
    buf_append_str(&l->out, ", got ");
    write_value(&l->out, got);
}

static void tell_fields(struct laying *l, struct path *p, const struct value *want,
                        const struct value *got);

// Goes into the field or element that the path is extended by.
static void tell_inside(struct laying *l, struct path *p, const char *step,
                        const struct value *want, const struct value *got)
{
    size_t n = strlen(p->text);

    if (test_matches(l->test, want, got))
        return;
    (void)snprintf(p->text + n, sizeof(p->text) - n, "%s%s", n > 0 && step[0] != '[' ? "." : "",
                   step);
    tell_fields(l, p, want, got);
    p->text[n] = 0;
}

static void tell_members(struct laying *l, struct path *p, const struct value *want,
                         const struct value *got)
{
    for (size_t i = 0; i < want->object->n; i++) {
        struct value x = VALUE_OF_MISSING;
        const char *name = arena_printf(&l->test->arena, "%.*s", BYTES_FMT(want->object->names[i]));
        if (value_member(got, want->object->names[i], &l->test->arena, &x, NULL) != 0)
            x = VALUE_OF_MISSING;
        tell_inside(l, p, name, &want->object->values[i], &x);
    }
}

static void tell_elements(struct laying *l, struct path *p, const struct value *want,
                          const struct value *got)
{
    for (size_t i = 0; i < want->array->n; i++) {
        struct value x = VALUE_OF_MISSING;
        if (value_element(got, (int64_t)i + 1, &l->test->arena, &x, NULL) != 0)
            x = VALUE_OF_MISSING;
        tell_inside(l, p, arena_printf(&l->test->arena, "[%zu]", i + 1), &want->array->items[i],
                    &x);
    }
}

static void tell_fields(struct laying *l, struct path *p, const struct value *want,
                        const struct value *got)
{
    if (want->type == VALUE_OBJECT && want->object->n > 0 && value_is_object(got))
        tell_members(l, p, want, got);
    else if (want->type == VALUE_ARRAY && value_is_array(got))
        tell_elements(l, p, want, got);
    else if (p->text[0] != 0)
        tell_field(l, p, want, got);
}

// Columns that the test does not name, where it has to name all.
static void tell_columns(struct laying *l, struct path *p, const struct value *want,
                         const struct value *got)
{
    struct value_iter it;
    struct bytes name;
    struct value x, w;

    if (!l->rows || want->type != VALUE_OBJECT || !value_is_object(got))
        return;
    value_iter_init(&it, got, &l->test->arena);
    while (value_iter_next(&it, &name, &x, NULL) == 1)
        if (!value_is_nil(&x) && (value_member(want, name, &l->test->arena, &w, NULL) != 0 ||
                                  w.type == VALUE_MISSING)) {
            (void)snprintf(p->text, sizeof(p->text), "%.*s", BYTES_FMT(name));
            tell_field(l, p, &VALUE_OF_MISSING, &x);
        }
}

static void tell_pair(struct laying *l, int w, int g)
{
    struct path p = {.told = 0};

    l->differ++;
    if (l->shown++ >= SHOWN_MAX)
        return;
    tell_sides(l, w + 1, &l->want[w], &l->got[g]);
    tell_fields(l, &p, &l->want[w], &l->got[g]);
    tell_columns(l, &p, &l->want[w], &l->got[g]);
    if (p.told > FIELDS_MAX)
        buf_printf(&l->out, "\n             and %d more fields", p.told - FIELDS_MAX);
}

static void tell_missing(struct laying *l, int w)
{
    l->missing++;
    if (l->shown++ < SHOWN_MAX)
        tell_sides(l, w + 1, &l->want[w], NULL);
}

static void tell_extra(struct laying *l, int g)
{
    l->extra++;
    if (l->shown++ < SHOWN_MAX)
        tell_sides(l, 0, NULL, &l->got[g]);
}

static void tell_same(struct laying *l, int w)
{
    if (l->shown < SHOWN_MAX && l->n_want <= SHOWN_MAX)
        buf_printf(&l->out, "\n  %-4d as expected", w + 1);
}

// --- walking ---

static void walk_laid(struct laying *l, const struct table *t)
{
    int w = 0, g = 0;

    while (w < l->n_want || g < l->n_got) {
        int pair = w < l->n_want && g < l->n_got ? t->pair[w * t->width + g] : 0;
        if (pair >= SAME) {
            tell_same(l, w++);
            g++;
        } else if (pair > 0) {
            tell_pair(l, w++, g++);
        } else if (w < l->n_want &&
                   (g == l->n_got || best_of(t, w + 1, g) >= best_of(t, w, g + 1))) {
            tell_missing(l, w++);
        } else {
            tell_extra(l, g++);
        }
    }
}

static void walk_places(struct laying *l)
{
    for (int i = 0; i < l->n_want || i < l->n_got; i++) {
        if (i >= l->n_got)
            tell_missing(l, i);
        else if (i >= l->n_want)
            tell_extra(l, i);
        else if (!l->matches(l->test, &l->want[i], &l->got[i]))
            tell_pair(l, i, i);
    }
}

static void lay(struct laying *l)
{
    struct table t = {.width = l->n_got + 1};
    size_t n = ((size_t)l->n_want + 1) * ((size_t)l->n_got + 1) * sizeof(int);

    if (l->n_want > LAID_MAX || l->n_got > LAID_MAX) {
        walk_places(l);
        return;
    }
    t.best = arena_zalloc(&l->test->arena, n);
    t.pair = arena_zalloc(&l->test->arena, n);
    fill(l, &t);
    walk_laid(l, &t);
}

// "expected 3, got 4: 1 differs, 1 was not expected"
static const char *headline(const struct laying *l)
{
    struct buf out = BUF_EMPTY;
    const char *text, *between = ": ";
    const struct {
        int n;
        const char *what;
    } parts[] = {{l->differ, l->differ == 1 ? "differs" : "differ"},
                 {l->missing, l->missing == 1 ? "is missing" : "are missing"},
                 {l->extra, l->extra == 1 ? "was not expected" : "were not expected"}};

    buf_printf(&out, "expected %d, got %d", l->n_want, l->n_got);
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        if (parts[i].n == 0)
            continue;
        buf_printf(&out, "%s%d %s", between, parts[i].n, parts[i].what);
        between = ", ";
    }
    text = arena_strdup(&l->test->arena, buf_cstr(&out));
    buf_deinit(&out);
    return text;
}

// Each that is wanted is there once, but not where it should be.
static bool in_another_order(struct laying *l)
{
    bool *used;
    int n = 0;

    if (l->n_want != l->n_got || l->n_want > LAID_MAX)
        return false;
    used = arena_zalloc(&l->test->arena, (size_t)l->n_got);
    for (int w = 0; w < l->n_want; w++)
        for (int g = 0; g < l->n_got; g++)
            if (!used[g] && l->matches(l->test, &l->want[w], &l->got[g])) {
                used[g] = true;
                n++;
                break;
            }
    return n == l->n_want;
}

static bool agree(struct laying *l)
{
    bool same = l->n_want == l->n_got;

    for (int i = 0; i < l->n_want && same; i++)
        same = l->matches(l->test, &l->want[i], &l->got[i]);
    return same;
}

const char *test_diff(struct testing *t, const struct value *want, const struct value *got,
                      test_matcher *matches)
{
    struct laying l = {.test = t, .matches = matches, .out = BUF_EMPTY};
    const char *text;

    l.rows = matches == test_row_equals;
    l.want = items_of(t, want, &l.n_want);
    l.got = items_of(t, got, &l.n_got);
    if (agree(&l))
        return NULL;
    lay(&l);
    if (l.shown > SHOWN_MAX)
        buf_printf(&l.out, "\n  and %d more differences", l.shown - SHOWN_MAX);
    text = arena_printf(&t->arena, "%s%s%s", headline(&l),
                        in_another_order(&l) ? " (all are there, in another order)" : "",
                        buf_cstr(&l.out));
    buf_deinit(&l.out);
    return text;
}
