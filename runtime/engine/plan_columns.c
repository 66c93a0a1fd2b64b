// SPDX-License-Identifier: Apache-2.0
//
// What a table's declaration says of its rows, as far as it can be told by reading it: names and
// types, so that expressions over rows are checked when the job is loaded. What is wrong with a
// declaration is not said here: the job file makes the table, and SQLite judges it.
//
//   id text primary key, "unit price" decimal(10,2) not null, n integer, check (n > 0)
//      -> id text, unit price decimal(10,2), n integer
#include "runtime/engine/plan_passes.h"

#include "runtime/base/sql_text.h"

struct columns {
    struct sql_lexer lexer;
    struct sql_token next;
    struct arena *arena;
    struct type_field *fields;
    size_t n, cap;
};

static void step(struct columns *c)
{
    c->next = sql_next(&c->lexer);
}

static bool at_end(const struct columns *c)
{
    return c->next.kind == SQL_END || c->next.kind == SQL_BAD;
}

// Over the rest of a column, its comma included.
static void skip_part(struct columns *c)
{
    int depth = 0;

    for (; !at_end(c); step(c)) {
        depth += sql_is_punct(c->next, '(') - sql_is_punct(c->next, ')');
        if (depth == 0 && sql_is_punct(c->next, ',')) {
            step(c);
            return;
        }
    }
}

static bool at_constraint(const struct columns *c)
{
    static const char *const words[] = {"constraint", "primary", "unique", "check", "foreign"};

    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (sql_is(c->next, words[i]))
            return true;
    return false;
}

// decimal ( p , s )
static const struct type *read_decimal(struct columns *c)
{
    struct buf text = BUF_EMPTY;
    const struct type *t = &type_any;

    buf_append_str(&text, "decimal");
    for (step(c); !at_end(c); step(c)) {
        bool last = sql_is_punct(c->next, ')');
        buf_append_bytes(&text, c->next.text);
        if (last)
            step(c);
        if (last || text.n > 40)
            break;
    }
    if (type_parse(buf_bytes(&text), c->arena, &t, NULL) != 0)
        t = &type_any;
    buf_deinit(&text);
    return t;
}

static const struct type *read_type(struct columns *c)
{
    static const struct {
        const char *word;
        const struct type *type;
    } types[] = {
        {"text", &type_text}, {"integer", &type_integer}, {"int", &type_integer},
        {"real", &type_number}, {"number", &type_number}, {"blob", &type_text},
        {"time", &type_time}, {"bool", &type_bool},
    };

    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (sql_is(c->next, types[i].word))
            return types[i].type;
    return sql_is(c->next, "decimal") ? read_decimal(c) : &type_any;
}

static void add_column(struct columns *c, struct bytes name, const struct type *t)
{
    if (c->n == c->cap) {
        size_t cap = c->cap > 0 ? 2 * c->cap : 16;
        struct type_field *grown = arena_alloc(c->arena, cap * sizeof *grown);
        if (c->n > 0)
            memcpy(grown, c->fields, c->n * sizeof *grown);
        c->fields = grown;
        c->cap = cap;
    }
    c->fields[c->n++] = (struct type_field){name, t};
}

static const struct type *read_row(const struct plan_table *t, struct arena *a)
{
    struct columns c = {.arena = a};
    struct type *row = arena_alloc(a, sizeof *row);

    sql_lexer_init(&c.lexer, bytes_str(t->body));
    for (step(&c); !at_end(&c); skip_part(&c)) {
        struct bytes name;

        if (at_constraint(&c) || (c.next.kind != SQL_WORD && c.next.kind != SQL_NAME))
            continue;
        name = bytes_str(sql_name(c.next, a));
        step(&c);
        add_column(&c, name, read_type(&c));
    }
    if (c.next.kind == SQL_BAD || c.n == 0)
        return &type_any;
    *row = *type_object(a, c.fields, c.n, false);
    row->name = arena_printf(a, "table %s", t->name);
    return row;
}

const struct type *plan_row_type(struct plan *p, int table)
{
    struct plan_table *t = &p->tables[table];

    if (t->row == NULL)
        t->row = read_row(t, &p->arena);
    return t->row;
}
