// SPDX-License-Identifier: Apache-2.0
//
// Rows of an operator that are forgotten when they were not touched for a while. Two columns more:
//
//   touched   event time of the last touch; every put writes it
//   due       touched + ttl when the row was new, or looked at last: no later than what it would be
//             now. Indexed, and left alone by puts, so a row that is touched again and again costs
//             no more than any other; whoever comes to it too early puts the right time there
//
// In an aggregate's table they are hidden, and called _leat_touched and _leat_due.
//
// A number in the file says which ttl it was written with. When that is another now, the columns
// are brought up to it, once and in a transaction of their own, before anything is read: rows that
// were there before there was a ttl count as touched when it came.
#include <inttypes.h>
#include <string.h>

#include "projections/sql_text.h"
#include "projections/state_rows.h"

#define NUMBER_PREFIX "ttl:"
#define TTL_MS_MAX (INT64_C(1) << 60) // more is for ever, and sums stay numbers

static const struct column touched_column = {
    .name = "touched", .type_text = "integer", .type = LOGICAL_INTEGER};

// --- opening ---

static int run_text(struct state *st, struct buf *sql, struct err *e)
{
    int rc = db_exec(st->jf->db, buf_cstr(sql), e);

    buf_clear(sql);
    return rc;
}

static int has_column(struct state *st, const char *name, struct err *e)
{
    struct db_stmt *s;
    int rc = db_prepare(st->jf->db, "SELECT 1 FROM pragma_table_xinfo(?1) WHERE name = ?2", &s, e);

    if (rc < 0)
        return rc;
    db_bind_str(s, 1, st->table);
    db_bind_str(s, 2, name);
    rc = db_next(s, e);
    db_stmt_free(s);
    return rc;
}

static int add_columns(struct state *st, struct err *e)
{
    struct buf sql = BUF_EMPTY;
    int rc = has_column(st, st->ttl.due, e);

    if (rc != 0)
        return rc < 0 ? rc : 0;
    for (int i = 0; i < 2; i++) {
        buf_append_str(&sql, "ALTER TABLE ");
        sql_append_name(&sql, st->table);
        buf_printf(&sql, " ADD COLUMN %s INTEGER;", i == 0 ? st->ttl.touched : st->ttl.due);
    }
    buf_append_str(&sql, "CREATE INDEX ");
    sql_append_name(&sql, arena_printf(&st->jf->arena, "_leat_due_%s", st->table));
    buf_append_str(&sql, " ON ");
    sql_append_name(&sql, st->table);
    buf_printf(&sql, " (%s) WHERE %s IS NOT NULL", st->ttl.due, st->ttl.due);
    rc = run_text(st, &sql, e);
    buf_deinit(&sql);
    return rc;
}

// What rows have that were written without a ttl, or with another.
static int bring_up(struct state *st, int64_t was, struct err *e)
{
    const struct state_ttl *t = &st->ttl;
    struct buf sql = BUF_EMPTY;
    int rc = add_columns(st, e);

    buf_append_str(&sql, "UPDATE OR ABORT ");
    sql_append_name(&sql, st->table);
    if (t->ms <= 0)
        buf_printf(&sql, " SET %s = NULL, %s = NULL WHERE %s IS NOT NULL", t->touched, t->due,
                   t->due);
    else if (was > 0)
        buf_printf(&sql, " SET %s = %s + %" PRId64, t->due, t->touched, t->ms);
    else
        buf_printf(&sql,
                   " SET %s = w.at, %s = w.at + %" PRId64
                   " FROM (SELECT max(watermark) AS at FROM _leat_offsets) w"
                   " WHERE %s IS NOT NULL AND w.at > -9223372036854775807",
                   t->touched, t->due, t->ms, st->blob);
    if (rc == 0)
        rc = run_text(st, &sql, e);
    buf_deinit(&sql);
    return rc;
}

static int change(struct state *st, const char *number, int64_t was, struct err *e)
{
    struct db *db = st->jf->db;
    struct db_stmt *s;
    int rc = db_begin(db, e);

    if (rc < 0)
        return rc;
    rc = bring_up(st, was, e);
    if (rc == 0)
        rc = jf_own(st->jf, JF_NUMBER_PUT, &s, e);
    if (rc == 0) {
        db_bind_str(s, 1, number);
        db_bind_int(s, 2, st->ttl.ms);
        rc = db_run(s, e);
    }
    if (rc == 0)
        return db_commit(db, e);
    db_rollback(db);
    return rc;
}

// The last of the columns that a put writes.
static void add_touched(struct state *st)
{
    struct arena *a = &st->jf->arena;
    int n = st->n_columns;
    const char **names = arena_zalloc(a, (size_t)(n + 1) * sizeof *names);
    const struct column **columns = arena_zalloc(a, (size_t)(n + 1) * sizeof *columns);

    for (int i = 0; i < n; i++) {
        names[i] = st->column_names[i];
        columns[i] = st->columns[i];
    }
    names[n] = st->ttl.touched;
    columns[n] = &touched_column;
    st->column_names = names;
    st->columns = columns;
    st->n_columns++;
}

int state_ttl_open(struct state *st, const struct state_spec *spec, struct err *e)
{
    const char *number = arena_printf(&st->jf->arena, NUMBER_PREFIX "%s", st->table);
    int64_t was = 0;
    int rc;

    st->ttl = (struct state_ttl){.ms = spec->ttl_ms < TTL_MS_MAX ? spec->ttl_ms : TTL_MS_MAX,
                                 .touched = st->fused != NULL ? "_leat_touched" : "touched",
                                 .due = st->fused != NULL ? "_leat_due" : "due"};
    rc = number_get(&st->jf->store, number, &was, e);
    if (rc >= 0 && was != st->ttl.ms)
        rc = change(st, number, was, e);
    if (rc >= 0 && st->ttl.ms > 0)
        add_touched(st);
    return rc < 0 ? rc : 0;
}

void state_ttl_close(struct state *st)
{
    db_stmt_free(st->ttl.min);
    db_stmt_free(st->ttl.later);
    db_stmt_free(st->ttl.drop);
}

// --- sweeping ---

void state_ttl_note(struct state *st, int64_t touched)
{
    int64_t due;

    if (!__builtin_add_overflow(touched, st->ttl.ms, &due) && due < st->ttl.first)
        st->ttl.first = due;
}

static int prepare_min(struct state *st, struct err *e)
{
    struct buf sql = BUF_EMPTY;
    int rc;

    buf_printf(&sql, "SELECT min(%s) FROM ", st->ttl.due);
    sql_append_name(&sql, st->table);
    buf_printf(&sql, " WHERE %s IS NOT NULL", st->ttl.due);
    rc = db_prepare(st->jf->db, buf_cstr(&sql), &st->ttl.min, e);
    buf_deinit(&sql);
    return rc;
}

// A row is due at the first watermark past touched + ttl.
int state_sweep_due(struct state *st, int64_t *w, struct err *e)
{
    struct state_ttl *t = &st->ttl;
    int rc = 0;

    if (!t->known) {
        if (t->min == NULL)
            rc = prepare_min(st, e);
        if (rc == 0)
            rc = db_next(t->min, e);
        if (rc < 0)
            return err_wrap(e, jf_error(st->jf, rc, e), "table %s", st->table);
        t->first = db_column_type(t->min, 0) == DB_NULL ? INT64_MAX : db_column_int(t->min, 0);
        t->known = true;
        db_reset(t->min);
    }
    *w = t->first < INT64_MAX ? t->first + 1 : INT64_MAX;
    return 0;
}

// " WHERE (key) IN (the first ?2 that are due before ?1) AND touched + ttl OP ?1"
static void append_first(const struct state *st, struct buf *sql, const char *op)
{
    for (int pass = 0; pass < 2; pass++) {
        buf_append_str(sql, pass == 0 ? " WHERE (" : ") IN (SELECT ");
        buf_append_str(sql, st->win != NULL ? st->win : "");
        for (int i = 0; i < st->n_key; i++) {
            buf_append_str(sql, i == 0 && st->win == NULL ? "" : ", ");
            sql_append_name(sql, st->key_names[i]);
        }
    }
    buf_append_str(sql, " FROM ");
    sql_append_name(sql, st->table);
    buf_printf(sql, " WHERE %s < ?1 ORDER BY %s LIMIT ?2) AND %s + %" PRId64 " %s ?1", st->ttl.due,
               st->ttl.due, st->ttl.touched, st->ttl.ms, op);
}

static int prepare_sweep(struct state *st, struct err *e)
{
    struct buf sql = BUF_EMPTY;
    int rc;

    buf_append_str(&sql, "UPDATE OR ABORT ");
    sql_append_name(&sql, st->table);
    buf_printf(&sql, " SET %s = %s + %" PRId64, st->ttl.due, st->ttl.touched, st->ttl.ms);
    append_first(st, &sql, ">=");
    rc = db_prepare(st->jf->db, buf_cstr(&sql), &st->ttl.later, e);
    buf_clear(&sql);
    buf_append_str(&sql, "DELETE FROM ");
    sql_append_name(&sql, st->table);
    append_first(st, &sql, "<");
    if (rc == 0)
        rc = db_prepare(st->jf->db, buf_cstr(&sql), &st->ttl.drop, e);
    buf_deinit(&sql);
    return rc;
}

static int run_sweep(struct db_stmt *s, int64_t w, int max, struct err *e)
{
    db_bind_int(s, 1, w);
    db_bind_int(s, 2, max);
    return db_run(s, e);
}

int state_sweep(struct state *st, int64_t w, int max, struct err *e)
{
    int rc = jf_inside(st->jf, e);

    st->ttl.known = false;
    if (rc == 0 && st->ttl.drop == NULL)
        rc = prepare_sweep(st, e);
    if (rc == 0)
        rc = run_sweep(st->ttl.later, w, max, e);
    if (rc == 0)
        rc = run_sweep(st->ttl.drop, w, max, e);
    return rc < 0 ? err_wrap(e, jf_error(st->jf, rc, e), "table %s", st->table) : 0;
}
