// SPDX-License-Identifier: Apache-2.0
//
// Rows of tables with a ttl. A row is due at the first watermark past its column + ttl, that is at
// column + ttl + 1 ms; the engine comes to each such moment in order and lets the rows of one
// moment go at a time, so what a job sees never depends on how many go per commit.
//
// What is remembered per table is the smallest value of the column, or something smaller: the hook
// lowers it as rows are written, and it is looked up again (one step into an index) only when the
// watermark has come to it. So a record that finds nothing due costs a comparison.
#include "projections/expire.h"

#define SQLITE_ENABLE_PREUPDATE_HOOK
#include <sqlite3.h>

#include "projections/hook.h"
#include "projections/sql_text.h"
#include "runtime/base/heap.h"

struct expiry_table {
    const struct jobtable *t; // NULL: no ttl
    bool known;    // first is no later than the first row
    bool exact;    // first is the first row's
    int64_t first; // value of the column; INT64_MAX: no row
    struct db_stmt *min, *drop;
};

struct expiry {
    struct expiry_table *tables; // by table
    int n;
};

void expire_load(struct jobfile *jf)
{
    for (int i = 0; i < jf->ddl.n_tables; i++) {
        if (jf->ddl.tables[i].ttl_column == NULL)
            continue;
        if (jf->expiry == NULL) {
            jf->expiry = heap_zalloc(sizeof *jf->expiry);
            jf->expiry->n = jf->ddl.n_tables;
            jf->expiry->tables =
                heap_zalloc((size_t)jf->expiry->n * sizeof *jf->expiry->tables);
        }
        jf->expiry->tables[i].t = &jf->ddl.tables[i];
        hook_watch(jf, i, HOOK_EXPIRY);
    }
}

void expire_unload(struct jobfile *jf)
{
    if (jf->expiry == NULL)
        return;
    for (int i = 0; i < jf->expiry->n; i++) {
        db_stmt_free(jf->expiry->tables[i].min);
        db_stmt_free(jf->expiry->tables[i].drop);
    }
    heap_free(jf->expiry->tables);
    heap_free(jf->expiry);
    jf->expiry = NULL;
}

void expire_forget(struct jobfile *jf)
{
    for (int i = 0; jf->expiry != NULL && i < jf->expiry->n; i++)
        jf->expiry->tables[i].known = false;
}

// --- the first row -----------------------------------------------------------------------------

// The hook counts columns as they are stored: behind a computed one the number is another.
static bool is_behind_computed(const struct jobtable *t)
{
    for (const struct column *c = t->columns; c < t->ttl_column; c++)
        if (c->generated)
            return true;
    return false;
}

void expire_note(struct jobfile *jf, sqlite3 *h, int op, int table)
{
    struct expiry_table *x = &jf->expiry->tables[table];
    sqlite3_value *v;
    int64_t at;

    x->exact = false;
    if (op == SQLITE_DELETE || !x->known)
        return;
    if (is_behind_computed(x->t) ||
        sqlite3_preupdate_new(h, (int)(x->t->ttl_column - x->t->columns), &v) != SQLITE_OK) {
        x->known = false;
        return;
    }
    at = sqlite3_value_int64(v);
    if (sqlite3_value_type(v) == SQLITE_INTEGER && at < x->first)
        x->first = at;
}

static int prepare_min(struct jobfile *jf, struct expiry_table *x, struct err *e)
{
    struct buf sql = BUF_EMPTY;
    int rc;

    buf_append_str(&sql, "SELECT min(");
    sql_append_name(&sql, x->t->ttl_column->name);
    buf_append_str(&sql, ") FROM ");
    sql_append_name(&sql, x->t->name);
    rc = db_prepare(jf->db, buf_cstr(&sql), &x->min, e);
    buf_deinit(&sql);
    return rc;
}

static int look_up(struct jobfile *jf, struct expiry_table *x, struct err *e)
{
    int rc = x->min == NULL ? prepare_min(jf, x, e) : 0;

    if (rc == 0)
        rc = db_next(x->min, e);
    if (rc < 0)
        return err_wrap(e, jf_error(jf, rc, e), "table %s", x->t->name);
    x->first = db_column_type(x->min, 0) == DB_NULL ? INT64_MAX : db_column_int(x->min, 0);
    x->known = x->exact = true;
    db_reset(x->min);
    return 0;
}

// The first watermark past column + ttl.
static int64_t moment(const struct expiry_table *x)
{
    int64_t at;

    if (x->first == INT64_MAX || __builtin_add_overflow(x->first, x->t->ttl_ms, &at) ||
        at == INT64_MAX)
        return INT64_MAX;
    return at + 1;
}

int expire_due(struct tables *tables, int64_t w, int64_t *at, struct err *e)
{
    struct jobfile *jf = container_of(tables, struct jobfile, tables);

    *at = INT64_MAX;
    for (int i = 0; jf->expiry != NULL && i < jf->expiry->n; i++) {
        struct expiry_table *x = &jf->expiry->tables[i];
        int64_t due;
        int rc = 0;

        if (x->t == NULL)
            continue;
        if (!x->known || (!x->exact && moment(x) <= w))
            rc = look_up(jf, x, e);
        if (rc < 0)
            return rc;
        due = moment(x);
        *at = due < *at ? due : *at;
    }
    return 0;
}

// --- letting go ----------------------------------------------------------------------------------

static void append_key(const struct jobtable *t, struct buf *sql)
{
    for (int i = 0; i < t->n_pk; i++) {
        buf_append_str(sql, i ? ", " : "");
        sql_append_name(sql, t->pk_names[i]);
    }
}

// The rows of one value of the column, lowest keys first.
static int prepare_drop(struct jobfile *jf, struct expiry_table *x, struct err *e)
{
    struct buf sql = BUF_EMPTY;
    int rc;

    buf_append_str(&sql, "DELETE FROM ");
    sql_append_name(&sql, x->t->name);
    buf_append_str(&sql, " WHERE (");
    append_key(x->t, &sql);
    buf_append_str(&sql, ") IN (SELECT ");
    append_key(x->t, &sql);
    buf_append_str(&sql, " FROM ");
    sql_append_name(&sql, x->t->name);
    buf_append_str(&sql, " WHERE ");
    sql_append_name(&sql, x->t->ttl_column->name);
    buf_append_str(&sql, " = ?1 ORDER BY ");
    append_key(x->t, &sql);
    buf_append_str(&sql, " LIMIT ?2)");
    rc = db_prepare(jf->db, buf_cstr(&sql), &x->drop, e);
    buf_deinit(&sql);
    return rc;
}

static int cannot_go(struct jobfile *jf, const struct expiry_table *x, int rc, struct err *e)
{
    rc = jf_error(jf, rc, e);
    if (rc != LEAT_ECONSTRAINT && rc != LEAT_EMISSING)
        return err_wrap(e, rc, "table %s", x->t->name);
    if (e != NULL)
        e->code = LEAT_ESTOPPED; // the sentence stays
    return err_wrap(e, LEAT_ESTOPPED, "table %s: a row past its ttl cannot be deleted", x->t->name);
}

static int drop(struct jobfile *jf, struct expiry_table *x, int max, int *n, struct err *e)
{
    int rc = x->drop == NULL ? prepare_drop(jf, x, e) : 0;

    if (rc < 0)
        return err_wrap(e, rc, "table %s", x->t->name);
    db_bind_int(x->drop, 1, x->first);
    db_bind_int(x->drop, 2, max);
    x->exact = false;
    rc = db_run(x->drop, e);
    if (rc < 0)
        return cannot_go(jf, x, rc, e);
    *n += (int)db_changes(jf->db);
    return 0;
}

int expire_rows(struct tables *tables, int64_t at, int max, int *n, struct err *e)
{
    struct jobfile *jf = container_of(tables, struct jobfile, tables);
    int rc = jf_inside(jf, e);

    *n = 0;
    for (int i = 0; rc == 0 && i < jf->expiry->n && *n < max; i++) {
        struct expiry_table *x = &jf->expiry->tables[i];

        if (x->t != NULL && x->known && moment(x) == at)
            rc = drop(jf, x, max - *n, n, e);
    }
    return rc;
}

bool expire_may(const struct tables *tables, int table)
{
    const struct jobfile *jf = container_of(tables, struct jobfile, tables);

    return jf->ddl.tables[table].by_time != BY_TIME_NOTHING;
}
