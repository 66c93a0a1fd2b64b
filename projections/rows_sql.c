// SPDX-License-Identifier: Apache-2.0
//
// ctx.db:sql, for what the verbs cannot say. One statement of the job's author, on the writing
// connection inside the step, so the policy is narrow: reading the job's tables, views and the
// public _leat tables; writing the job's own tables only. What could end the transaction is refused
// by its words (OR ROLLBACK and its kin) before SQLite sees it. Statements are kept by their text.
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "projections/changes.h"
#include "projections/history.h"
#include "projections/rows.h"
#include "projections/sql_text.h"
#include "runtime/base/limits.h"

enum { STATEMENTS_MAX = 256 };

static const struct jobtable *find_table(const struct ddl *d, const char *name)
{
    for (int i = 0; i < d->n_tables; i++)
        if (strcasecmp(d->tables[i].name, name) == 0)
            return &d->tables[i];
    return NULL;
}

static bool may(void *ctx, const struct db_access *a)
{
    const struct ddl *d = ctx;

    switch (a->kind) {
    case DB_ACCESS_READ:
        return query_may(ctx, a);
    case DB_ACCESS_INSERT:
    case DB_ACCESS_DELETE:
        return find_table(d, a->table) != NULL;
    case DB_ACCESS_UPDATE:
        return find_table(d, a->table) != NULL && strncmp(a->column, "_leat_", 6) != 0;
    case DB_ACCESS_CREATE_TABLE:
    case DB_ACCESS_CREATE_INDEX:
    case DB_ACCESS_CREATE_VIEW:
        return false;
    }
    return false;
}

static int check_words(struct bytes sql, struct err *e)
{
    static const char *const bad[] = {"rollback", "replace", "fail"};
    struct sql_lexer l;
    struct sql_token t, before = {0};

    sql_lexer_init(&l, sql);
    while ((t = sql_next(&l)).kind != SQL_END) {
        if (t.kind == SQL_BAD)
            return err_set(e, LEAT_EINVAL, "a quote or comment does not end");
        for (size_t i = 0; i < ARRAY_LEN(bad); i++)
            if (sql_is(t, bad[i]) && (sql_is(before, "or") || before.kind == SQL_END))
                return err_set(e, LEAT_EINVAL, "'%s' is not allowed here: it could end the step",
                               bad[i]);
        before = t;
    }
    return 0;
}

void rows_forget_statements(struct rows *rows)
{
    struct bytes key;
    void *s;

    for (size_t i = 0; hashmap_next(&rows->statements, &i, &key, &s);)
        db_stmt_free(s);
    hashmap_deinit(&rows->statements);
    hashmap_init(&rows->statements, 0);
}

static int find_statement(struct jobfile *jf, struct bytes sql, struct db_stmt **out, struct err *e)
{
    struct hashmap *kept = &rows_of(jf)->statements;
    struct db_policy policy = {.may = may, .ctx = &jf->ddl};
    int rc;

    *out = hashmap_get(kept, sql);
    if (*out != NULL)
        return 0;
    if (kept->n == STATEMENTS_MAX)
        rows_forget_statements(rows_of(jf)); // texts with values in them never come again
    rc = check_words(sql, e);
    if (rc < 0)
        return rc;
    db_set_policy(jf->db, &policy);
    rc = db_prepare_bytes(jf->db, sql, out, e);
    db_set_policy(jf->db, NULL);
    if (rc == 0)
        hashmap_put(kept, sql, *out);
    else if (e != NULL && strncmp(e->text, "not authorized", 14) == 0)
        rc = err_wrap(e, rc, "only the job's own tables and SQL's pure functions are allowed here");
    return rc;
}

static int param_value(struct db_stmt *s, int i, const struct value *params, struct arena *a,
                       struct value *out, struct err *e)
{
    const char *name = db_bind_name(s, i);

    *out = VALUE_OF_MISSING;
    if (params == NULL || value_is_nil(params))
        return 0;
    if (name != NULL && name[0] != '?' && value_is_object(params))
        return value_member(params, bytes_str(name + 1), a, out, e);
    if (value_is_array(params))
        return value_element(params, i, a, out, e);
    return 0;
}

static int bind_params(struct db_stmt *s, const struct value *params, struct arena *a,
                       struct err *e)
{
    int n = db_bind_count(s), rc = 0;

    for (int i = 1; i <= n && rc == 0; i++) {
        const char *name = db_bind_name(s, i);
        struct column any = {
            .name = name != NULL ? name : "?", .type = LOGICAL_ANY, .type_text = "any"};
        struct value v;
        rc = param_value(s, i, params, a, &v, e);
        if (rc == 0 && v.type == VALUE_MISSING)
            db_bind_null(s, i);
        else if (rc == 0)
            rc = cell_bind(s, i, &any, &v, a, e);
    }
    return rc;
}

const struct column *rows_origin(const struct ddl *d, struct db_stmt *s, int i)
{
    const char *table = db_column_table(s, i);
    const struct jobtable *t = table != NULL ? ddl_readable(d, table) : NULL;

    return t != NULL ? jobtable_column(t, bytes_str(db_column_origin(s, i))) : NULL;
}

bool rows_hidden(struct db_stmt *s, int i)
{
    const char *origin = db_column_origin(s, i);

    return origin != NULL && strncmp(origin, "_leat_", 6) == 0;
}

static int read_row(struct jobfile *jf, struct db_stmt *s, struct arena *a, struct value *row,
                    struct err *e)
{
    struct value_object *o = arena_alloc(a, sizeof *o);
    int n = db_column_count(s), rc = 0;

    *o = (struct value_object){.names = arena_alloc(a, (size_t)(n + 1) * sizeof *o->names),
                               .values = arena_alloc(a, (size_t)(n + 1) * sizeof *o->values)};
    for (int i = 0; i < n && rc == 0; i++) {
        if (rows_hidden(s, i))
            continue;
        o->names[o->n] = arena_copy(a, bytes_str(db_column_name(s, i)));
        rc = cell_read(s, i, rows_origin(&jf->ddl, s, i), a, &o->values[o->n++], e);
    }
    *row = (struct value){.type = VALUE_OBJECT, .object = o};
    return rc;
}

static int read_rows(struct jobfile *jf, struct db_stmt *s, struct arena *a, struct value *rows,
                     struct err *e)
{
    struct value_array *out = arena_zalloc(a, sizeof *out);
    size_t cap = 0, before = a->used;
    int rc;

    *rows = (struct value){.type = VALUE_ARRAY, .array = out};
    while ((rc = db_next(s, e)) == 1) {
        if (out->n == RECORD_OUTPUTS_MAX) {
            rc = err_set(e, LEAT_EBUDGET, "more than %d rows", RECORD_OUTPUTS_MAX);
            break;
        }
        if (a->used - before > CALL_RESULT_BYTES_MAX) {
            rc = err_set(e, LEAT_EBUDGET, "the rows are more than %d MiB",
                         CALL_RESULT_BYTES_MAX >> 20);
            break;
        }
        if (out->n == cap) {
            struct value *grown = arena_alloc(a, (cap ? 2 * cap : 16) * sizeof *grown);
            if (cap > 0)
                memcpy(grown, out->items, cap * sizeof *grown);
            out->items = grown;
            cap = cap ? 2 * cap : 16;
        }
        rc = read_row(jf, s, a, &out->items[out->n++], e);
        if (rc < 0)
            break;
    }
    db_reset(s);
    return rc;
}

int rows_sql(struct tables *tables, struct bytes sql, const struct value *params, struct arena *a,
             struct value *rows, struct err *e)
{
    struct jobfile *jf = container_of(tables, struct jobfile, tables);
    struct db_stmt *s;
    size_t mark = changes_mark(jf);
    bool reads;
    int rc = find_statement(jf, sql, &s, e);

    if (rc < 0)
        return err_wrap(e, jf_error(jf, rc, e), "in sql");
    reads = db_stmt_readonly(s);
    if (!reads)
        rc = jf_inside(jf, e);
    if (rc == 0)
        rc = bind_params(s, params, a, e);
    if (rc < 0)
        return err_wrap(e, rc, "in sql");
    db_set_deadline(jf->db, clock_mono_ns(clock_system()) + LUA_TIME_MS_MAX * INT64_C(1000000));
    rc = read_rows(jf, s, a, rows, e);
    if (rc >= 0 && !reads)
        rc = history_write(jf, e);
    db_set_deadline(jf->db, 0);
    if (rc == LEAT_ETIMEDOUT) // an interrupted write has ended the step's transaction
        rc = err_set(e, reads ? LEAT_EBUDGET : LEAT_EOVERRUN,
                     "the statement ran longer than %d ms", LUA_TIME_MS_MAX);
    if (rc >= 0)
        return 0;
    changes_undo(jf, mark);
    history_forget(jf);
    return err_wrap(e, jf_error(jf, rc, e), "in sql");
}

// --- foreign keys ---

static int parent_there(struct jobfile *jf, const struct foreign_key *fk, const struct column *c,
                        const struct value *v)
{
    const struct jobtable *parent = find_table(&jf->ddl, fk->parent);
    const char *to = fk->to[0] != NULL ? fk->to[0] : parent->pk_names[0];
    struct buf sql = BUF_EMPTY;
    struct db_stmt *s;
    int rc;

    buf_append_str(&sql, "SELECT 1 FROM ");
    sql_append_name(&sql, fk->parent);
    buf_append_str(&sql, " WHERE ");
    sql_append_name(&sql, to);
    buf_append_str(&sql, " = ?1");
    rc = db_prepare(jf->db, buf_cstr(&sql), &s, NULL);
    buf_deinit(&sql);
    if (rc < 0)
        return rc;
    rc = cell_bind(s, 1, c, v, &jf->scratch, NULL);
    if (rc == 0)
        rc = db_next(s, NULL);
    db_stmt_free(s);
    return rc;
}

static void explain(struct jobfile *jf, const struct jobtable *t, const struct foreign_key *fk,
                    const struct value *v, struct err *e)
{
    struct buf text = BUF_EMPTY;

    (void)jf;
    if (v->type == VALUE_TEXT)
        buf_append_bytes(&text, v->s);
    else if (value_write_json(v, &text, NULL) < 0)
        buf_append_str(&text, "?");
    err_set(e, LEAT_EMISSING, "FOREIGN KEY %s.%s -> %s[%.100s] is not there", t->name, fk->from[0],
            fk->parent, buf_cstr(&text));
    buf_deinit(&text);
}

void rows_explain_missing(struct jobfile *jf, const struct jobtable *t,
                          const struct column *const *columns, int n, const struct value *cells,
                          struct err *e)
{
    if (e == NULL || strstr(e->text, "FOREIGN KEY") == NULL)
        return;
    for (int f = 0; f < t->n_fks; f++)
        for (int i = 0; i < n && t->fks[f].n == 1; i++) {
            if (strcasecmp(columns[i]->name, t->fks[f].from[0]) != 0 || value_is_nil(&cells[i]))
                continue;
            if (parent_there(jf, &t->fks[f], columns[i], &cells[i]) == 0) {
                explain(jf, t, &t->fks[f], &cells[i], e);
                return;
            }
        }
}
