// SPDX-License-Identifier: Apache-2.0
//
// An aggregate and the table that shows it become one: the operator's state lives in a hidden
// column of the table's own rows, so that a dirty key costs one row write per commit instead of
// two.
//
// A table that nobody declared is made here. Its primary key starts with the window, because rows
// of the windows that are open then lie beside each other: a commit touches few pages, and the
// B-tree grows at its right edge only. Keys, min, max, first, last and sum keep the type they came
// with (`any`, or a decimal whose scale is known, so that SQL's own sum of them is exact too).
#include "runtime/engine/plan_passes.h"

#include <ctype.h>
#include <strings.h>

static bool word_at(const char *s, const char *word)
{
    size_t n = strlen(word);

    return strncasecmp(s, word, n) == 0 && !isalnum((unsigned char)s[n]) && s[n] != '_';
}

// Errs on the side of yes: a yes costs a flush per record, a wrong no would blame the wrong one.
static bool has_constraints(const char *body)
{
    bool start = true;

    for (const char *s = body; *s != 0; s++) {
        if (start && (word_at(s, "check") || word_at(s, "unique") || word_at(s, "references")))
            return true;
        start = !isalnum((unsigned char)*s) && *s != '_';
    }
    return false;
}

static void column_name(struct buf *b, struct bytes name)
{
    buf_append_byte(b, '"');
    for (size_t i = 0; i < name.n; i++) {
        if (name.p[i] == '"')
            buf_append_byte(b, '"');
        buf_append_byte(b, name.p[i]);
    }
    buf_append_byte(b, '"');
}

// Decimals keep their scale; what else keeps its own type is `any`.
static const char *decimal_type(struct plan *p, const struct type *t)
{
    if (t->kind != TYPE_DECIMAL || t->precision == 0)
        return "any";
    return arena_printf(&p->arena, "decimal(%d,%d)", t->precision, t->scale);
}

static const char *column_type(struct plan *p, const struct plan_aggregate *a)
{
    switch (a->kind) {
    case AGG_COUNT:
    case AGG_DISTINCT:
        return "integer";
    case AGG_AVG:
    case AGG_STDDEV:
        return "real";
    case AGG_TOP:
    case AGG_COLLECT:
        return "json";
    default:
        return decimal_type(p, plan_result_type(p, a));
    }
}

static void declare_key(struct plan *p, struct buf *b, const struct plan_node *n)
{
    for (int i = 0; i < n->n_key_names; i++) {
        column_name(b, bytes_str(n->key_names[i]));
        buf_printf(b, " %s not null,\n", decimal_type(p, n->key_types[i]));
    }
    if (n->n_key_names == 0)
        buf_append_str(b, "\"key\" any not null,\n");
}

static void write_key(struct buf *b, const struct plan_node *n)
{
    for (int i = 0; i < n->n_key_names; i++) {
        column_name(b, bytes_str(n->key_names[i]));
        buf_append_str(b, i + 1 < n->n_key_names ? ", " : "");
    }
    if (n->n_key_names == 0)
        buf_append_str(b, "\"key\"");
}

static const char *body_of(struct plan *p, const struct plan_node *n)
{
    bool windowed = n->aggregate.window.kind != WINDOW_NONE;
    struct buf b = BUF_EMPTY;
    const char *body;

    if (windowed)
        buf_append_str(&b, "window_start time not null,\nwindow_end time not null,\n");
    declare_key(p, &b, n);
    for (int i = 0; i < n->aggregate.n; i++) {
        column_name(&b, n->aggregate.aggs[i].name);
        buf_printf(&b, " %s,\n", column_type(p, &n->aggregate.aggs[i]));
    }
    buf_append_str(&b, windowed ? "primary key (window_start, " : "primary key (");
    write_key(&b, n);
    buf_append_str(&b, ")");
    body = arena_strdup(&p->arena, buf_cstr(&b));
    buf_deinit(&b);
    return body;
}

static bool is_key_name(const struct plan_node *n, struct bytes name)
{
    for (int i = 0; i < n->n_key_names; i++)
        if (bytes_eq_str(name, n->key_names[i]))
            return true;
    return n->n_key_names == 0 && bytes_eq_str(name, "key");
}

static int check_names(const struct plan *p, const struct plan_node *n, struct err *e)
{
    for (int i = 0; i < n->aggregate.n; i++) {
        struct bytes name = n->aggregate.aggs[i].name;
        bool taken = is_key_name(n, name) || bytes_eq_str(name, "window_start") ||
                     bytes_eq_str(name, "window_end");
        for (int k = 0; k < i; k++)
            taken = taken || bytes_eq(name, n->aggregate.aggs[k].name);
        if (taken)
            return plan_refuse(p, n->line, e,
                               "in aggregate: the name \"%.*s\" is taken by the key or the window",
                               BYTES_FMT(name));
    }
    return 0;
}

static int make_table(struct plan *p, const struct plan_node *agg, const struct plan_node *into)
{
    struct plan_table *grown;

    grown = arena_alloc(&p->arena, ((size_t)p->n_tables + 1) * sizeof *grown);
    if (p->n_tables > 0)
        memcpy(grown, p->tables, (size_t)p->n_tables * sizeof *grown);
    grown[p->n_tables] = (struct plan_table){
        .name = into->into.name,
        .body = body_of(p, agg),
        .line = into->line,
        .without_rowid = true,
        .generated = true,
        .aggregate = -1,
    };
    p->tables = grown;
    return p->n_tables++;
}

static bool written_elsewhere(const struct plan *p, const struct plan_node *into)
{
    for (int i = 0; i < p->n_nodes; i++) {
        const struct plan_node *n = &p->nodes[i];
        if (n->kind == NODE_INTO && n != into && n->into.table == into->into.table)
            return true;
        for (int c = 0; n->kind == NODE_MATCH && c < n->match.n; c++)
            for (int k = 0; k < n->match.cases[c].n_actions; k++)
                if (n->match.cases[c].actions[k].table == into->into.table)
                    return true;
    }
    return false;
}

static int fuse(struct plan *p, struct plan_node *agg, struct plan_node *into, struct err *e)
{
    struct plan_table *t;

    if (into->into.n > 0 || into->n_inputs > 1)
        return plan_refuse(p, into->line, e,
                           "in into: a table of an aggregate takes its columns by name, from this "
                           "aggregate alone");
    for (int i = 0; i < p->n_nodes; i++)
        if (p->nodes[i].kind == NODE_CHANGES && p->nodes[i].changes.table >= 0 &&
            p->nodes[i].changes.table == into->into.table)
            return plan_refuse(p, p->nodes[i].line, e,
                               "in changes: table %s is an aggregate's: write :changes() behind "
                               "the :aggregate",
                               into->into.name);
    if (agg->aggregate.table >= 0)
        return plan_refuse(p, into->line, e, "in into: the aggregate feeds a table already");
    if (into->into.table < 0)
        into->into.table = make_table(p, agg, into);
    if (written_elsewhere(p, into))
        return plan_refuse(
            p, into->line, e,
            "in into: table %s is also written elsewhere; an aggregate needs its own",
            p->tables[into->into.table].name);
    t = &p->tables[into->into.table];
    t->aggregate = (int)(agg - p->nodes);
    t->constrained = has_constraints(t->body);
    agg->aggregate.table = into->into.table;
    into->writes_rows = false;
    return 0;
}

static int into_table(struct plan *p, struct plan_node *into, struct err *e)
{
    struct plan_node *from = &p->nodes[into->inputs[0].node];
    bool of_aggregate = from->kind == NODE_AGGREGATE && into->inputs[0].port == OUT_MAIN &&
                        from->aggregate.window.kind != WINDOW_LAST;

    if (into->into.table < 0 && into->into.name != NULL)
        into->into.table = plan_table_find(p, into->into.name);
    if (of_aggregate)
        return fuse(p, from, into, e);
    if (into->into.table < 0)
        return plan_refuse(p, into->line, e,
                           "in into: table \"%s\" is not declared; write  table \"%s\" [[columns]]",
                           into->into.name, into->into.name);
    return 0;
}

// A table may change its mind, a stream may not: nothing but a table reads an aggregate as it is.
static int check_readers(const struct plan *p, const struct plan_node *agg, struct err *e)
{
    if (agg->aggregate.window.kind == WINDOW_LAST)
        return 0;
    for (int i = 0; i < agg->n_outs[OUT_MAIN]; i++) {
        const struct plan_node *n = &p->nodes[agg->outs[OUT_MAIN][i].node];
        if (n->kind != NODE_INTO)
            return plan_refuse(p, n->line, e,
                               "in %s: an aggregate is a table; put :final() before it for the "
                               "windows that have closed",
                               node_kind_name(n->kind));
    }
    return 0;
}

int plan_pass_tables(struct plan *p, struct err *e)
{
    for (int i = 0; i < p->n_nodes; i++) {
        struct plan_node *n = &p->nodes[i];
        int rc = 0;

        if (n->kind == NODE_AGGREGATE) {
            rc = check_names(p, n, e);
            if (rc == 0)
                rc = check_readers(p, n, e);
        } else if (n->kind == NODE_INTO) {
            rc = into_table(p, n, e);
        }
        if (rc != 0)
            return rc;
    }
    return 0;
}
