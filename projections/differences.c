// SPDX-License-Identifier: Apache-2.0
#include "projections/differences.h"

#include <string.h>

#include "projections/differences_parts.h"
#include "projections/sql_text.h"


void finding_add(struct finding *f, const struct difference *d)
{
    struct differences *out = f->out;

    if (out->n == f->cap) {
        int cap = f->cap ? 2 * f->cap : 16;
        struct difference *grown = arena_alloc(f->arena, (size_t)cap * sizeof *grown);
        if (out->n > 0)
            memcpy(grown, out->items, (size_t)out->n * sizeof *grown);
        out->items = grown;
        f->cap = cap;
    }
    out->items[out->n++] = *d;
    if (d->class > out->class)
        out->class = d->class;
    if (d->class == UPGRADE_REBUILD && !d->from_now)
        out->from_now = false;
}

static int line_of(const struct value *config)
{
    return (int)outline_int(config, "line", 0);
}

// --- columns and constraints ---

static void table_differs(struct finding *f, const struct outline_table *t, char sign,
                          const char *text, const char *why)
{
    enum upgrade_class class = why == NULL ? UPGRADE_IN_PLACE : UPGRADE_REBUILD;

    finding_add(f, &(struct difference){.class = class,
                                        .sign = sign,
                                        .what = "table",
                                        .name = t->name,
                                        .text = text,
                                        .why = why != NULL ? why : "",
                                        .line = line_of(&t->config)});
}

// What keeps SQLite from adding the column to a table that has rows, or its rows from meaning
// something there; NULL: nothing.
static const char *not_addable(struct bytes line, struct arena *a)
{
    struct sql_lexer l;
    struct sql_token t, before = {0};
    bool not_null = false, fallback = false, constant = true, references = false, null = false;

    sql_lexer_init(&l, line);
    for (t = sql_next(&l); t.kind != SQL_END && t.kind != SQL_BAD; before = t, t = sql_next(&l)) {
        if (sql_is(t, "primary") || sql_is(t, "unique"))
            return "a key cannot be added to rows that are there";
        if (sql_is(t, "generated") || sql_is(t, "as"))
            return "a computed column cannot be added to rows that are there";
        not_null = not_null || (sql_is(before, "not") && sql_is(t, "null"));
        references = references || sql_is(t, "references");
        fallback = fallback || sql_is(before, "default");
        null = null || (sql_is(before, "default") && sql_is(t, "null"));
        constant = constant && !(sql_is(before, "default") &&
                                 (sql_is_punct(t, '(') ||
                                  bytes_starts(bytes_str(sql_name(t, a)), BYTES_LIT("current_"))));
    }
    if (t.kind == SQL_BAD)
        return "its default has more than one line";
    if (!constant)
        return "its default is no constant";
    if (references && fallback && !null)
        return "a reference with a default cannot be added to rows that are there";
    return not_null && (!fallback || null) ? "no default" : NULL;
}

static const char *column_text(struct finding *f, const struct outline_column *c)
{
    struct sql_lexer l;
    struct sql_token t, before = {0};
    struct buf out = BUF_EMPTY;
    const char *text;

    buf_printf(&out, "column %s %s", c->name, c->type != NULL ? c->type : "");
    sql_lexer_init(&l, c->line);
    for (t = sql_next(&l); t.kind != SQL_END && t.kind != SQL_BAD; before = t, t = sql_next(&l)) {
        if (sql_is(before, "not") && sql_is(t, "null"))
            buf_append_str(&out, " not null");
        if (sql_is(before, "default"))
            buf_printf(&out, " default %.*s", BYTES_FMT(t.text));
    }
    text = arena_strdup(f->arena, buf_cstr(&out));
    buf_deinit(&out);
    return text;
}

static bool types_equal(const struct outline_column *a, const struct outline_column *b)
{
    return a->type == NULL || b->type == NULL || strcmp(a->type, b->type) == 0;
}

// A column that is there on both sides.
static void compare_column(struct finding *f, const struct outline_table *t,
                           const struct outline_column *was, const struct outline_column *is)
{
    if (!types_equal(was, is))
        table_differs(f, t, '~',
                      arena_printf(f->arena, "column %s %s → %s", is->name, was->type, is->type),
                      "its type is another");
    else if (!bytes_eq(was->line, is->line))
        table_differs(f, t, '~', column_text(f, is), "its constraints are others");
}

static void compare_columns(struct finding *f, const struct outline_table *was,
                            const struct outline_table *is)
{
    int seen = 0; // old columns so far

    for (int i = 0; i < is->n_columns; i++) {
        const struct outline_column *c = &is->columns[i], *old = outline_find_column(was, c->name);
        const char *why;
        if (old != NULL) {
            compare_column(f, is, old, c);
            seen++;
            continue;
        }
        why = not_addable(c->line, f->arena);
        if (why == NULL && seen < was->n_columns)
            why = "it stands before others: put it behind them";
        table_differs(f, is, '+', column_text(f, c), why);
    }
    for (int i = 0; i < was->n_columns; i++)
        if (outline_find_column(is, was->columns[i].name) == NULL)
            table_differs(f, is, '-', column_text(f, &was->columns[i]), "its values would go");
}

static bool has_line(const struct bytes *lines, int n, struct bytes line)
{
    for (int i = 0; i < n; i++)
        if (bytes_eq(lines[i], line))
            return true;
    return false;
}

static void compare_constraints(struct finding *f, const struct outline_table *was,
                                const struct outline_table *is)
{
    for (int i = 0; i < is->n_constraints; i++)
        if (!has_line(was->constraints, was->n_constraints, is->constraints[i]))
            table_differs(f, is, '+',
                          arena_printf(f->arena, "%.*s", BYTES_FMT(is->constraints[i])),
                          "rows that are there may break it");
    for (int i = 0; i < was->n_constraints; i++)
        if (!has_line(is->constraints, is->n_constraints, was->constraints[i]))
            table_differs(f, is, '-',
                          arena_printf(f->arena, "%.*s", BYTES_FMT(was->constraints[i])),
                          "a constraint cannot be taken from a table");
}

// Old columns keep their order, or what is written by position would go elsewhere.
static bool same_order(const struct outline_table *was, const struct outline_table *is)
{
    int at = -1;

    for (int i = 0; i < is->n_columns; i++) {
        struct outline_column *old = outline_find_column(was, is->columns[i].name);
        if (old == NULL)
            continue;
        if ((int)(old - was->columns) < at)
            return false;
        at = (int)(old - was->columns);
    }
    return true;
}

static void compare_statements(struct finding *f, const struct outline_table *was,
                               const struct outline_table *is)
{
    int before = f->out->n;

    if (was->create == NULL || is->create == NULL || strcmp(was->create, is->create) == 0)
        return;
    compare_columns(f, was, is);
    compare_constraints(f, was, is);
    if (!same_order(was, is))
        table_differs(f, is, '~', "the order of its columns", "they are stored in the old one");
    if (strcmp(was->end, is->end) != 0 || f->out->n == before)
        table_differs(f, is, '~', "how its rows are stored", "they are stored the old way");
}

// --- tables ---

static bool list_has(const struct value *list, const struct value *item, struct arena *a)
{
    struct value_iter it;
    struct value v;
    struct bytes none;

    value_iter_init(&it, list, a);
    while (value_iter_next(&it, &none, &v, NULL) == 1)
        if (value_eq(&v, item, a))
            return true;
    return false;
}

static void indexes_only_in(struct finding *f, const struct outline_table *t, char sign,
                            const struct value *list, const struct value *other)
{
    struct value_iter it;
    struct value v;
    struct bytes none;

    value_iter_init(&it, list, f->arena);
    while (value_iter_next(&it, &none, &v, NULL) == 1)
        if (v.type == VALUE_TEXT && !list_has(other, &v, f->arena))
            table_differs(f, t, sign, arena_printf(f->arena, "index %.*s", BYTES_FMT(v.s)), NULL);
}

static void compare_history(struct finding *f, const struct outline_table *was,
                            const struct outline_table *is)
{
    const char *old = outline_text(&was->config, "history", f->arena),
               *new = outline_text(&is->config, "history", f->arena);
    struct difference d = {.what = "history of table",
                           .name = is->name,
                           .why = "",
                           .line = line_of(&is->config)};

    if (old == new || (old != NULL && new != NULL && strcmp(old, new) == 0))
        return;
    if (old == NULL)
        d = (struct difference){UPGRADE_REBUILD, true, '+', d.what, d.name, "is new",
                                "it would begin now", d.line};
    else if (new == NULL)
        d = (struct difference){UPGRADE_REMOVED, false, '-', d.what, d.name, "is gone",
                                "its versions go with it", d.line};
    else
        d.class = UPGRADE_IN_PLACE, d.sign = '~',
        d.text = arena_printf(f->arena, "%s → %s", old, new);
    finding_add(f, &d);
}

static void compare_options(struct finding *f, const struct outline_table *was,
                            const struct outline_table *is)
{
    struct arena *a = f->arena;
    struct value old = outline_member(&was->config, "indexes", a),
                 new = outline_member(&is->config, "indexes", a);
    const char *text;

    indexes_only_in(f, is, '+', &new, &old);
    indexes_only_in(f, is, '-', &old, &new);
    text = settings_text(a, &was->config, &is->config, SETTINGS_TIMING);
    if (text[0])
        table_differs(f, is, '~', text, NULL);
}

static void find_tables(struct finding *f)
{
    for (int i = 0; i < f->is->n_tables; i++) {
        const struct outline_table *t = &f->is->tables[i],
                                   *old = outline_find_table(f->was, t->name);
        if (old != NULL) {
            compare_statements(f, old, t);
            compare_options(f, old, t);
            compare_history(f, old, t);
            continue;
        }
        finding_add(f, &(struct difference){.class = UPGRADE_REBUILD,
                                            .from_now = true,
                                            .sign = '+',
                                            .what = "table",
                                            .name = t->name,
                                            .text = "is new",
                                            .why = "it would begin empty",
                                            .line = line_of(&t->config)});
    }
    for (int i = 0; i < f->was->n_tables; i++)
        if (outline_find_table(f->is, f->was->tables[i].name) == NULL)
            finding_add(f, &(struct difference){.class = UPGRADE_REMOVED,
                                                .sign = '-',
                                                .what = "table",
                                                .name = f->was->tables[i].name,
                                                .text = "is gone",
                                                .why = "its rows go with it"});
}

// --- views, queries, settings ---

struct list {
    const char *member, *what;
};

static bool find_named(const struct value *list, const char *name, struct arena *a,
                       struct value *out)
{
    struct value_iter it;
    struct bytes none;

    value_iter_init(&it, list, a);
    while (value_iter_next(&it, &none, out, NULL) == 1) {
        const char *is = outline_text(out, "name", a);
        if (is != NULL && strcmp(is, name) == 0)
            return true;
    }
    return false;
}

static void list_differs(struct finding *f, const struct list *l, char sign, const char *name,
                         const char *text)
{
    finding_add(f, &(struct difference){.class = UPGRADE_IN_PLACE,
                                        .sign = sign,
                                        .what = l->what,
                                        .name = name,
                                        .text = text,
                                        .why = ""});
}

static void find_list(struct finding *f, const struct list *l)
{
    struct value was = outline_member(&f->was->whole, l->member, f->arena),
                 is = outline_member(&f->is->whole, l->member, f->arena), item, old;
    struct value_iter it;
    struct bytes none;
    const char *name, *text;

    value_iter_init(&it, &is, f->arena);
    while (value_iter_next(&it, &none, &item, NULL) == 1) {
        name = outline_text(&item, "name", f->arena);
        if (name == NULL)
            continue;
        if (!find_named(&was, name, f->arena, &old)) {
            list_differs(f, l, '+', name, "is new");
            continue;
        }
        text = settings_text(f->arena, &old, &item, SETTINGS_MEANING);
        if (text[0])
            list_differs(f, l, '~', name, text);
    }
    value_iter_init(&it, &was, f->arena);
    while (value_iter_next(&it, &none, &item, NULL) == 1) {
        name = outline_text(&item, "name", f->arena);
        if (name != NULL && !find_named(&is, name, f->arena, &old))
            list_differs(f, l, '-', name, "is gone");
    }
}

static void find_settings(struct finding *f)
{
    static const char *const members[] = {"errors", "commit", "rebuild"};

    for (size_t i = 0; i < ARRAY_LEN(members); i++) {
        struct value was = outline_member(&f->was->whole, members[i], f->arena),
                     is = outline_member(&f->is->whole, members[i], f->arena);
        const char *text = settings_text(f->arena, &was, &is, SETTINGS_MEANING);
        if (text[0] && !value_is_nil(&was))
            list_differs(f, &(struct list){members[i], "job"}, '~', members[i], text);
    }
}

void differences_find(const struct outline *was, const struct outline *is, struct arena *a,
                      struct differences *out)
{
    struct finding f = {.was = was, .is = is, .arena = a, .out = out};

    *out = (struct differences){.from_now = true};
    find_tables(&f);
    find_nodes(&f);
    find_list(&f, &(struct list){"views", "view"});
    find_list(&f, &(struct list){"queries", "query"});
    find_settings(&f);
}

const char *upgrade_class_name(enum upgrade_class c)
{
    static const char *const names[] = {"nothing", "in place", "in place, from now on", "removed",
                                        "rebuild"};

    ASSERT(c < (int)ARRAY_LEN(names));
    return names[c];
}

void difference_print(const struct difference *d, struct buf *out)
{
    buf_printf(out, "%s %s: ", d->what, d->name);
    if (d->sign != '~')
        buf_printf(out, "%c ", d->sign);
    buf_printf(out, "%s%s%s", d->text, d->why[0] ? ": " : "", d->why);
}
