// SPDX-License-Identifier: Apache-2.0
//
// The statements over the rows of one operator, made once when its state is opened.
#include <inttypes.h>

#include "projections/sql_text.h"
#include "projections/state_rows.h"

// " WHERE win = ?n AND key = ?n+1 ..."
static void append_where(const struct state *st, struct buf *sql, int param)
{
    const char *word = " WHERE ";

    if (st->win != NULL) {
        buf_append_str(sql, word);
        sql_append_name(sql, st->win);
        buf_printf(sql, " = ?%d", param++);
        word = " AND ";
    }
    for (int i = 0; i < st->n_key; i++) {
        buf_append_str(sql, word);
        sql_append_name(sql, st->key_names[i]);
        buf_printf(sql, " = ?%d", param++);
        word = " AND ";
    }
}

// Every column that a put writes, in the order of its parameters: results, win_end, state, then the
// key.
static int n_written(const struct state *st)
{
    return st->n_columns + (st->win_end != NULL) + 1;
}

static const char *written(const struct state *st, int i)
{
    if (i < st->n_columns)
        return st->column_names[i];
    return i == st->n_columns && st->win_end != NULL ? st->win_end : st->blob;
}

int state_prepare_update(struct state *st, struct err *e)
{
    struct buf sql = BUF_EMPTY;
    int n = n_written(st), rc;

    buf_append_str(&sql, "UPDATE OR ABORT ");
    sql_append_name(&sql, st->table);
    for (int i = 0; i < n; i++) {
        buf_append_str(&sql, i ? ", " : " SET ");
        sql_append_name(&sql, written(st, i));
        buf_printf(&sql, " = ?%d", i + 1);
    }
    append_where(st, &sql, n + 1);
    rc = db_prepare(st->jf->db, buf_cstr(&sql), &st->update, e);
    buf_deinit(&sql);
    return rc;
}

// Parameters of an inserted row.
int state_n_inserted(const struct state *st)
{
    return n_written(st) + (st->win != NULL) + st->n_key;
}

int state_prepare_insert(struct state *st, int rows, struct db_stmt **out, struct err *e)
{
    struct buf sql = BUF_EMPTY;
    int n = n_written(st), all = state_n_inserted(st), rc;

    buf_append_str(&sql, "INSERT OR ABORT INTO ");
    sql_append_name(&sql, st->table);
    for (int i = 0; i < n; i++) {
        buf_append_str(&sql, i ? ", " : " (");
        sql_append_name(&sql, written(st, i));
    }
    if (st->win != NULL) {
        buf_append_str(&sql, ", ");
        sql_append_name(&sql, st->win);
    }
    for (int i = 0; i < st->n_key; i++) {
        buf_append_str(&sql, ", ");
        sql_append_name(&sql, st->key_names[i]);
    }
    if (st->ttl.ms > 0)
        buf_printf(&sql, ", %s", st->ttl.due);
    buf_append_str(&sql, ") VALUES ");
    for (int r = 0; r < rows; r++) {
        for (int i = 0; i < all; i++)
            buf_printf(&sql, "%s?%d", i ? ", " : r ? ", (" : "(", r * all + i + 1);
        if (st->ttl.ms > 0) // the last of the columns is when the row was touched
            buf_printf(&sql, ", ?%d + %" PRId64, r * all + st->n_columns, st->ttl.ms);
        buf_append_str(&sql, ")");
    }
    rc = db_prepare(st->jf->db, buf_cstr(&sql), out, e);
    buf_deinit(&sql);
    return rc;
}

int state_prepare_get(struct state *st, struct err *e)
{
    struct buf sql = BUF_EMPTY;
    int rc;

    buf_append_str(&sql, "SELECT ");
    sql_append_name(&sql, st->blob);
    if (st->ttl.ms > 0)
        buf_printf(&sql, ", %s", st->ttl.touched);
    buf_append_str(&sql, " FROM ");
    sql_append_name(&sql, st->table);
    append_where(st, &sql, 1);
    rc = db_prepare(st->jf->db, buf_cstr(&sql), &st->get, e);
    buf_clear(&sql);
    buf_append_str(&sql, "DELETE FROM ");
    sql_append_name(&sql, st->table);
    append_where(st, &sql, 1);
    if (rc == 0)
        rc = db_prepare(st->jf->db, buf_cstr(&sql), &st->del, e);
    buf_clear(&sql);
    buf_append_str(&sql, "UPDATE OR ABORT ");
    sql_append_name(&sql, st->table);
    buf_append_str(&sql, " SET ");
    sql_append_name(&sql, st->blob);
    buf_append_str(&sql, " = ?1");
    append_where(st, &sql, 2);
    if (rc == 0)
        rc = db_prepare(st->jf->db, buf_cstr(&sql), &st->touch, e);
    buf_deinit(&sql);
    return rc;
}

int state_prepare_clear(struct state *st, struct err *e)
{
    struct buf sql = BUF_EMPTY;
    int rc;

    buf_append_str(&sql, "UPDATE OR ABORT ");
    sql_append_name(&sql, st->table);
    buf_printf(&sql, " SET %s = NULL WHERE %s = ?1 AND %s IS NOT NULL", st->blob, st->win,
               st->blob);
    rc = db_prepare(st->jf->db, buf_cstr(&sql), &st->clear, e);
    buf_deinit(&sql);
    return rc;
}

// Columns: state, win, win_end, key parts.
static void append_select(const struct state *st, struct buf *sql)
{
    buf_append_str(sql, "SELECT ");
    sql_append_name(sql, st->blob);
    buf_append_str(sql, ", ");
    buf_append_str(sql, st->win != NULL ? st->win : "0");
    buf_append_str(sql, ", ");
    buf_append_str(sql, st->win_end != NULL ? st->win_end : "0");
    for (int i = 0; i < st->n_key; i++) {
        buf_append_str(sql, ", ");
        sql_append_name(sql, st->key_names[i]);
    }
    buf_append_str(sql, " FROM ");
    sql_append_name(sql, st->table);
    buf_append_str(sql, " WHERE ");
    sql_append_name(sql, st->blob);
    buf_append_str(sql, " IS NOT NULL");
    if (st->win != NULL)
        buf_printf(sql, " AND %s >= ?1 AND %s < ?2", st->win, st->win);
}

// By window, then the parts of the key from `part` on.
static void append_order(const struct state *st, int part, struct buf *sql)
{
    const char *word = " ORDER BY ";

    if (st->win != NULL) {
        buf_printf(sql, "%s%s", word, st->win);
        word = ", ";
    }
    for (int i = part; i < st->n_key; i++) {
        buf_append_str(sql, word);
        sql_append_name(sql, st->key_names[i]);
        word = ", ";
    }
}

int state_prepare_scan(struct state *st, struct err *e)
{
    struct buf sql = BUF_EMPTY;
    int rc;

    append_select(st, &sql);
    append_order(st, 0, &sql);
    rc = db_prepare(st->jf->db, buf_cstr(&sql), &st->scan, e);
    buf_deinit(&sql);
    return rc;
}

int state_prepare_scan_key(struct state *st, struct err *e)
{
    struct buf sql = BUF_EMPTY;
    int rc;

    append_select(st, &sql);
    for (int i = 0; i < st->n_prefix; i++) {
        buf_append_str(&sql, " AND ");
        sql_append_name(&sql, st->key_names[i]);
        buf_printf(&sql, " = ?%d", i + 3);
    }
    append_order(st, st->n_prefix, &sql);
    rc = db_prepare(st->jf->db, buf_cstr(&sql), &st->scan_key, e);
    buf_deinit(&sql);
    return rc;
}

int state_prepare_first(struct state *st, struct err *e)
{
    struct buf sql = BUF_EMPTY;
    const char *win = st->win != NULL ? st->win : "0";
    int rc;

    buf_printf(&sql, "SELECT %s FROM ", win);
    sql_append_name(&sql, st->table);
    buf_printf(&sql, " WHERE %s IS NOT NULL", st->blob);
    if (st->win != NULL)
        buf_printf(&sql, " AND %s >= ?1 AND %s < ?2 ORDER BY %s", win, win, win);
    buf_append_str(&sql, " LIMIT 1");
    rc = db_prepare(st->jf->db, buf_cstr(&sql), &st->first, e);
    buf_deinit(&sql);
    return rc;
}

int state_prepare_ahead(const struct state *st, struct db *db, struct db_stmt **out, struct err *e)
{
    struct buf sql = BUF_EMPTY;
    int rc;

    buf_printf(&sql, "SELECT %s IS NULL FROM ", st->blob);
    sql_append_name(&sql, st->table);
    append_where(st, &sql, 1);
    rc = db_prepare(db, buf_cstr(&sql), out, e);
    buf_deinit(&sql);
    return rc;
}

int state_prepare_purge(struct state *st, struct err *e)
{
    struct buf sql = BUF_EMPTY;
    int rc;

    buf_printf(&sql, "SELECT %s FROM ", st->win);
    sql_append_name(&sql, st->table);
    buf_printf(&sql, " WHERE %s < ?1 ORDER BY %s LIMIT 1 OFFSET ?2", st->win, st->win);
    rc = db_prepare(st->jf->db, buf_cstr(&sql), &st->purge_to, e);
    buf_clear(&sql);
    buf_append_str(&sql, "DELETE FROM ");
    sql_append_name(&sql, st->table);
    buf_printf(&sql, " WHERE %s < ?1", st->win);
    if (rc == 0)
        rc = db_prepare(st->jf->db, buf_cstr(&sql), &st->purge, e);
    buf_deinit(&sql);
    return rc;
}
