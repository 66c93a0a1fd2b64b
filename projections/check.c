// SPDX-License-Identifier: Apache-2.0
//
// What `leat check` finds without a file: every statement of the plan is prepared against an empty
// database in memory that has the plan's tables, and SQLite is asked how it would run the queries.
#include <string.h>
#include <strings.h>

#include "projections/jobfile_internal.h"
#include "projections/sql_text.h"

static int check_params(const struct plan_query *q, struct db_stmt *s, struct err *e)
{
    int n = db_bind_count(s);

    for (int i = 1; i <= n; i++) {
        const char *name = db_bind_name(s, i);
        bool known = false;
        for (int k = 0; k < q->n_params && name != NULL; k++)
            known = known || strcmp(q->params[k].name, name + 1) == 0;
        if (!known)
            return err_set(e, LEAT_ELOAD, "the parameter %s is not declared in params",
                           name != NULL ? name : "?");
    }
    for (int k = 0; k < q->n_params; k++) {
        enum logical type;
        int p, scale;
        bool used = false;
        if (!logical_parse(query_param_type(&q->params[k]), &type, &p, &scale))
            return err_set(e, LEAT_ELOAD, "the type of parameter %s is unknown: %s",
                           q->params[k].name, q->params[k].type);
        for (int i = 1; i <= n; i++)
            used = used || strcmp(db_bind_name(s, i) + 1, q->params[k].name) == 0;
        if (!used)
            return err_set(e, LEAT_ELOAD, "the parameter %s is declared but not used",
                           q->params[k].name);
    }
    return 0;
}

static bool is_table(const struct ddl *d, struct bytes name)
{
    for (int i = 0; i < d->n_tables; i++)
        if (name.n == strlen(d->tables[i].name) &&
            strncasecmp(d->tables[i].name, (const char *)name.p, name.n) == 0)
            return true;
    return false;
}

// "SCAN orders": the whole table is read. "SCAN orders USING INDEX ..." is a choice.
static int warn_scans(struct db *db, const struct ddl *d, const struct plan *p,
                      const struct plan_query *q, struct buf *warnings, struct err *e)
{
    struct buf sql = BUF_EMPTY;
    struct db_stmt *s;
    int rc;

    buf_append_str(&sql, "EXPLAIN QUERY PLAN ");
    buf_append_str(&sql, q->sql);
    rc = db_prepare(db, buf_cstr(&sql), &s, e);
    buf_deinit(&sql);
    if (rc < 0)
        return rc;
    while ((rc = db_next(s, e)) == 1) {
        struct bytes detail = db_column_text(s, 3);
        struct bytes name = bytes_of(detail.p + 5, detail.n > 5 ? detail.n - 5 : 0);
        if (bytes_starts(detail, BYTES_LIT("SCAN ")) && is_table(d, name))
            buf_printf(warnings,
                       "%s:%d: query %s reads all of table %.*s: an index on what it asks for "
                       "would help\n",
                       p->file, q->line, q->name, BYTES_FMT(name));
    }
    db_stmt_free(s);
    return rc;
}

static int check_query(struct db *db, const struct ddl *d, const struct plan *p,
                       const struct plan_query *q, struct buf *warnings, struct err *e)
{
    struct db_policy policy = {.may = query_may, .ctx = (void *)(uintptr_t)d};
    struct db_stmt *s;
    int rc;

    db_set_policy(db, &policy);
    rc = db_prepare(db, q->sql, &s, e);
    db_set_policy(db, NULL);
    if (rc < 0)
        return rc;
    rc = db_stmt_readonly(s) ? check_params(q, s, e)
                             : err_set(e, LEAT_ELOAD, "a query may only read");
    db_stmt_free(s);
    if (rc == 0 && warnings != NULL)
        rc = warn_scans(db, d, p, q, warnings, e);
    return rc;
}

// --- indexes that cost more than they give ---

static bool reads_the_clock(const struct plan_expr *x)
{
    return x->text != NULL &&
           (strstr(x->text, "$time") != NULL || strstr(x->text, "$now") != NULL ||
            strstr(x->text, "$offset") != NULL);
}

static const struct plan_field *cell_of(const struct plan_field *f, int n, struct bytes name)
{
    for (int i = 0; i < n; i++)
        if (bytes_eq(f[i].name, name))
            return &f[i];
    return NULL;
}

// How writers of one table treat one column of rows that are there.
struct churn {
    int updates, changes; // actions that update rows, and those of them that change the column
};

static void count_action(struct churn *c, const struct plan_action *a, struct bytes column)
{
    const struct plan_field *f = cell_of(a->cells, a->n_cells, column);

    if (a->verb != VERB_PUT && a->verb != VERB_PATCH && a->verb != VERB_ADD)
        return;
    c->updates++;
    c->changes += f != NULL && (a->verb == VERB_ADD || reads_the_clock(&f->expr));
}

static void count_node(struct churn *c, const struct plan_node *n, int table, struct bytes column)
{
    const struct plan_field *f;

    if (n->kind == NODE_INTO && n->into.table == table) {
        f = cell_of(n->into.columns, n->into.n, column);
        c->updates++;
        c->changes += f != NULL && reads_the_clock(&f->expr);
    }
    for (int i = 0; n->kind == NODE_MATCH && i < n->match.n; i++)
        for (int k = 0; k < n->match.cases[i].n_actions; k++)
            if (n->match.cases[i].actions[k].table == table)
                count_action(c, &n->match.cases[i].actions[k], column);
}

static bool is_result(const struct plan_node *n, struct bytes column)
{
    for (int i = 0; i < n->aggregate.n; i++)
        if (bytes_eq(n->aggregate.aggs[i].name, column))
            return true;
    return false;
}

// Whether every event that touches a row gives this column another value.
static bool always_changes(const struct plan *p, int table, struct bytes column)
{
    struct churn c = {0};

    if (p->tables[table].aggregate >= 0)
        return is_result(&p->nodes[p->tables[table].aggregate], column);
    for (int i = 0; i < p->n_nodes; i++)
        count_node(&c, &p->nodes[i], table, column);
    return c.updates > 0 && c.changes == c.updates;
}

// The columns of "customer, placed_at desc where ...", each the first word of its part.
static void warn_index(const struct plan *p, int table, const struct plan_index *x, struct arena *a,
                       struct buf *warnings)
{
    struct sql_lexer l;
    struct sql_token t;
    bool first = true;
    int depth = 0;

    sql_lexer_init(&l, bytes_str(x->sql));
    for (t = sql_next(&l); t.kind != SQL_END && t.kind != SQL_BAD && !sql_is(t, "where");
         t = sql_next(&l)) {
        const char *name = sql_name(t, a);
        depth += sql_is_punct(t, '(') - sql_is_punct(t, ')');
        if (first && depth == 0 && always_changes(p, table, bytes_str(name)))
            buf_printf(warnings,
                       "%s:%d: index \"%s\" of table %s: every event changes %s, and then the "
                       "index too: it slows down each write\n",
                       p->file, x->line, x->sql, p->tables[table].name, name);
        first = depth == 0 && sql_is_punct(t, ',');
    }
}

static void warn_indexes(const struct plan *p, struct arena *a, struct buf *warnings)
{
    for (int i = 0; i < p->n_tables; i++)
        for (int k = 0; k < p->tables[i].n_indexes; k++)
            warn_index(p, i, &p->tables[i].indexes[k], a, warnings);
}

// --- the columns that a plan names ---

static int check_names(const struct plan *p, const struct jobtable *t, int line,
                       const struct plan_field *f, int n, struct err *e)
{
    for (int i = 0; i < n; i++)
        if (!bytes_is_null(f[i].name) && jobtable_column(t, f[i].name) == NULL)
            return err_set(e, LEAT_ELOAD, "%s:%d: table %s has no column %.*s", p->file, line,
                           t->name, BYTES_FMT(f[i].name));
    return 0;
}

static int check_match(const struct plan *p, const struct ddl *d, const struct plan_node *n,
                       struct err *e)
{
    int rc = 0;

    for (int i = 0; i < n->match.n; i++)
        for (int k = 0; k < n->match.cases[i].n_actions && rc == 0; k++) {
            const struct plan_action *a = &n->match.cases[i].actions[k];
            const struct jobtable *t = &d->tables[a->table];
            rc = check_names(p, t, a->line, a->key, a->n_key, e);
            if (rc == 0)
                rc = check_names(p, t, a->line, a->cells, a->n_cells, e);
        }
    return rc;
}

int jf_check_columns(const struct plan *p, const struct ddl *d, struct err *e)
{
    int rc = 0;

    for (int i = 0; i < p->n_nodes && rc == 0; i++) {
        const struct plan_node *n = &p->nodes[i];
        if (n->kind == NODE_MATCH)
            rc = check_match(p, d, n, e);
        else if (n->kind == NODE_INTO && p->tables[n->into.table].aggregate < 0)
            rc = check_names(p, &d->tables[n->into.table], n->line, n->into.columns, n->into.n, e);
    }
    return rc;
}

int jobfile_check(const struct plan *p, struct buf *warnings, struct err *e)
{
    struct arena a;
    struct ddl d;
    struct db *db = NULL;
    int rc;

    arena_init(&a);
    rc = jf_scratch(p, &a, &d, &db, e);
    for (int i = 0; i < p->n_queries && rc == 0; i++) {
        const struct plan_query *q = &p->queries[i];
        rc = check_query(db, &d, p, q, warnings, e);
        if (rc < 0) {
            if (e != NULL && rc != LEAT_ENOMEM)
                e->code = rc = LEAT_ELOAD;
            rc = err_wrap(e, rc, "%s:%d: query %s", p->file, q->line, q->name);
        }
    }
    if (rc == 0 && warnings != NULL)
        warn_indexes(p, &a, warnings);
    db_close(db);
    arena_deinit(&a);
    return rc;
}
