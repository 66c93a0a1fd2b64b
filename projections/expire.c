// SPDX-License-Identifier: Apache-2.0
//
// Rows that go by time. The engine comes to each moment at which some are due in order, and lets
// those of one moment go at a time, so what a job sees never depends on how many go per commit.
//
//   rows of a table with a ttl   at the first watermark past their column + ttl, that is at
//                                column + ttl + 1 ms
//   versions in its history      when nobody may ask for them any more (valid_to + the history's
//                                duration): together, at the next multiple of 1/64 of that
//
// What is remembered of each is the smallest value of the column, or something smaller: it is
// lowered as rows are written, and looked up again (one step into an index) only when the watermark
// has come to it. So a record that finds nothing due costs a comparison.
#include "projections/expire.h"

#define SQLITE_ENABLE_PREUPDATE_HOOK
#include <inttypes.h>
#include <sqlite3.h>

#include "projections/history.h"
#include "projections/hook.h"
#include "projections/sql_text.h"
#include "runtime/base/heap.h"

struct expiry_rows {
    const struct jobtable *t;
    const struct column *column; // NULL: nothing goes by time here
    int64_t after;               // value of the column + this: what the watermark has to reach
    int64_t grain;               // moments are multiples of it; versions only, else 0
    bool known;                  // first is no later than the first row
    bool exact;                  // first is the first row's
    int64_t first;               // value of the column; INT64_MAX: no row
    struct db_stmt *min, *drop;
};

struct expiry {
    struct expiry_rows *rows; // by table, then by table of their versions
    int n_tables, n;
};

static void keep_time(struct jobfile *jf, struct expiry_rows *x, const struct jobtable *t)
{
    const struct jobtable *h = t->history;
    bool versions = x >= jf->expiry->rows + jf->expiry->n_tables;

    if (!versions && t->ttl_column != NULL)
        *x = (struct expiry_rows){.t = t, .column = t->ttl_column};
    else if (versions && h != NULL)
        *x = (struct expiry_rows){.t = h, .column = &h->columns[h->n_columns - 1]};
    if (x->column == NULL)
        return;
    x->grain = versions ? t->history_ms / 64 + 1 : 0;
    if (versions)
        x->after = t->history_ms;
    else if (__builtin_add_overflow(t->ttl_ms, 1, &x->after))
        x->after = INT64_MAX;
}

void expire_load(struct jobfile *jf)
{
    int n = jf->ddl.n_tables;
    bool any = false;

    for (int i = 0; i < n; i++)
        any = any || jf->ddl.tables[i].ttl_column != NULL || jf->ddl.tables[i].history != NULL;
    if (!any)
        return;
    jf->expiry = heap_zalloc(sizeof *jf->expiry);
    *jf->expiry = (struct expiry){.rows = heap_zalloc(2 * (size_t)n * sizeof *jf->expiry->rows),
                                  .n_tables = n,
                                  .n = 2 * n};
    for (int i = 0; i < 2 * n; i++)
        keep_time(jf, &jf->expiry->rows[i], &jf->ddl.tables[i % n]);
    for (int i = 0; i < n; i++)
        if (jf->ddl.tables[i].ttl_column != NULL)
            hook_watch(jf, i, HOOK_EXPIRY);
}

void expire_unload(struct jobfile *jf)
{
    if (jf->expiry == NULL)
        return;
    for (int i = 0; i < jf->expiry->n; i++) {
        db_stmt_free(jf->expiry->rows[i].min);
        db_stmt_free(jf->expiry->rows[i].drop);
    }
    heap_free(jf->expiry->rows);
    heap_free(jf->expiry);
    jf->expiry = NULL;
}

void expire_forget(struct jobfile *jf)
{
    for (int i = 0; jf->expiry != NULL && i < jf->expiry->n; i++)
        jf->expiry->rows[i].known = false;
}

// --- the first row ---

// The hook counts columns as they are stored: behind a computed one the number is another.
static bool is_behind_computed(const struct expiry_rows *x)
{
    for (const struct column *c = x->t->columns; c < x->column; c++)
        if (c->generated)
            return true;
    return false;
}

void expire_note(struct jobfile *jf, sqlite3 *h, int op, int table)
{
    struct expiry_rows *x = &jf->expiry->rows[table];
    sqlite3_value *v;
    int64_t at;

    x->exact = false;
    if (op == SQLITE_DELETE || !x->known)
        return;
    if (is_behind_computed(x) ||
        sqlite3_preupdate_new(h, (int)(x->column - x->t->columns), &v) != SQLITE_OK) {
        x->known = false;
        return;
    }
    at = sqlite3_value_int64(v);
    if (sqlite3_value_type(v) == SQLITE_INTEGER && at < x->first)
        x->first = at;
}

void expire_version(struct jobfile *jf, int table, int64_t end)
{
    struct expiry_rows *x = &jf->expiry->rows[jf->expiry->n_tables + table];

    x->exact = false;
    if (end < x->first)
        x->first = end;
}

static void append_only_ended(const struct expiry_rows *x, const char *word, struct buf *sql)
{
    if (x->grain > 0)
        buf_printf(sql, "%s valid_to < %" PRId64, word, (int64_t)HISTORY_FOREVER);
}

static int prepare_min(struct jobfile *jf, struct expiry_rows *x, struct err *e)
{
    struct buf sql = BUF_EMPTY;
    int rc;

    buf_append_str(&sql, "SELECT min(");
    sql_append_name(&sql, x->column->name);
    buf_append_str(&sql, ") FROM ");
    sql_append_name(&sql, x->t->name);
    append_only_ended(x, " WHERE", &sql);
    rc = db_prepare(jf->db, buf_cstr(&sql), &x->min, e);
    buf_deinit(&sql);
    return rc;
}

static int look_up(struct jobfile *jf, struct expiry_rows *x, struct err *e)
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

// The watermark at which the first row is due.
static int64_t moment(const struct expiry_rows *x)
{
    int64_t at, over;

    if (x->first == INT64_MAX || __builtin_add_overflow(x->first, x->after, &at))
        return INT64_MAX;
    if (x->grain == 0)
        return at;
    over = at % x->grain;
    if (over == 0 || __builtin_add_overflow(at, (over < 0 ? 0 : x->grain) - over, &at))
        return over == 0 ? at : INT64_MAX;
    return at;
}

int expire_due(struct tables *tables, int64_t w, int64_t *at, struct err *e)
{
    struct jobfile *jf = container_of(tables, struct jobfile, tables);

    *at = INT64_MAX;
    for (int i = 0; jf->expiry != NULL && i < jf->expiry->n; i++) {
        struct expiry_rows *x = &jf->expiry->rows[i];
        int64_t due;
        int rc = 0;

        if (x->column == NULL)
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

// --- letting go ---

static void append_key(const struct jobtable *t, struct buf *sql)
{
    for (int i = 0; i < t->n_pk; i++) {
        buf_append_str(sql, i ? ", " : "");
        sql_append_name(sql, t->pk_names[i]);
    }
}

// The rows of one value of the column, lowest keys first; versions up to one, as they ended.
static int prepare_drop(struct jobfile *jf, struct expiry_rows *x, struct err *e)
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
    sql_append_name(&sql, x->column->name);
    buf_append_str(&sql, x->grain > 0 ? " <= ?1" : " = ?1");
    append_only_ended(x, " AND", &sql);
    buf_append_str(&sql, " ORDER BY ");
    if (x->grain > 0)
        buf_append_str(&sql, "valid_to, ");
    append_key(x->t, &sql);
    buf_append_str(&sql, " LIMIT ?2)");
    rc = db_prepare(jf->db, buf_cstr(&sql), &x->drop, e);
    buf_deinit(&sql);
    return rc;
}

static int cannot_go(struct jobfile *jf, const struct expiry_rows *x, int rc, struct err *e)
{
    rc = jf_error(jf, rc, e);
    if (rc != LEAT_ECONSTRAINT && rc != LEAT_EMISSING)
        return err_wrap(e, rc, "table %s", x->t->name);
    if (e != NULL)
        e->code = LEAT_ESTOPPED; // the sentence stays
    return err_wrap(e, LEAT_ESTOPPED, "table %s: a row past its ttl cannot be deleted", x->t->name);
}

static int drop(struct jobfile *jf, struct expiry_rows *x, int64_t at, int max, int *n,
                struct err *e)
{
    int rc = x->drop == NULL ? prepare_drop(jf, x, e) : 0;

    if (rc < 0)
        return err_wrap(e, rc, "table %s", x->t->name);
    db_bind_int(x->drop, 1, at - x->after);
    db_bind_int(x->drop, 2, max);
    x->exact = false;
    rc = db_run(x->drop, e);
    if (rc < 0) {
        history_forget(jf);
        return cannot_go(jf, x, rc, e);
    }
    *n += (int)db_changes(jf->db);
    return jf_error(jf, history_write(jf, e), e);
}

int expire_rows(struct tables *tables, int64_t at, int max, int *n, struct err *e)
{
    struct jobfile *jf = container_of(tables, struct jobfile, tables);
    int rc = jf_inside(jf, e);

    *n = 0;
    for (int i = 0; rc == 0 && i < jf->expiry->n && *n < max; i++) {
        struct expiry_rows *x = &jf->expiry->rows[i];

        if (x->column != NULL && x->known && moment(x) == at)
            rc = drop(jf, x, at, max - *n, n, e);
    }
    return rc;
}

bool expire_may(const struct tables *tables, int table)
{
    const struct jobfile *jf = container_of(tables, struct jobfile, tables);

    return jf->ddl.tables[table].by_time != BY_TIME_NOTHING;
}
