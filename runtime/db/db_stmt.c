// SPDX-License-Identifier: Apache-2.0
//
// Prepared statements: prepare once, bind without copying, step, reset.
//
// A bind cannot fail for a reason of the outside except that a text is too large or memory is
// short; so it returns nothing, and the first failure is kept in the statement and reported by the
// step that would have used it.
#include <stdio.h>
#include <string.h>

#include "runtime/base/heap.h"
#include "runtime/db/db_internal.h"

static bool is_blank(const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r' || *p == ';'))
        p++;
    return p >= end;
}

static int prepare(struct db *db, struct bytes sql, sqlite3_stmt **h, struct err *e)
{
    const char *text = (const char *)sql.p, *tail = NULL;
    int rc;

    if (sql.n > 1000000)
        return err_set(e, LEAT_ETOOBIG, "the statement is %zu bytes long", sql.n);
    rc = sqlite3_prepare_v3(db->h, text, (int)sql.n, SQLITE_PREPARE_PERSISTENT, h, &tail);
    if (rc != SQLITE_OK)
        return db_error(db, rc, e);
    if (*h == NULL)
        return err_set(e, LEAT_EINVAL, "there is no statement");
    if (!is_blank(tail, text + sql.n))
        return err_set(e, LEAT_EINVAL, "one statement is allowed, but more follows: %.40s", tail);
    if (db->mode == DB_READER && !sqlite3_stmt_readonly(*h))
        return err_set(e, LEAT_EINVAL, "only statements that read are allowed here");
    return 0;
}

int db_prepare_bytes(struct db *db, struct bytes sql, struct db_stmt **out, struct err *e)
{
    sqlite3_stmt *h = NULL;
    int rc = prepare(db, sql, &h, e);

    *out = NULL;
    if (rc < 0) {
        (void)sqlite3_finalize(h);
        return rc;
    }
    *out = heap_zalloc(sizeof **out);
    (*out)->db = db;
    (*out)->h = h;
    return 0;
}

int db_prepare(struct db *db, const char *sql, struct db_stmt **out, struct err *e)
{
    return db_prepare_bytes(db, bytes_str(sql), out, e);
}

void db_stmt_free(struct db_stmt *s)
{
    if (s == NULL)
        return;
    (void)sqlite3_finalize(s->h);
    heap_free(s);
}

bool db_stmt_readonly(struct db_stmt *s)
{
    return sqlite3_stmt_readonly(s->h) != 0;
}

static void bound(struct db_stmt *s, int rc)
{
    // An index that does not exist is a bug of the caller, who counted parameters.
    ASSERT(rc != SQLITE_RANGE && rc != SQLITE_MISUSE);
    if (rc != SQLITE_OK && s->bind_rc == SQLITE_OK)
        s->bind_rc = rc;
}

void db_bind_int(struct db_stmt *s, int i, int64_t v)
{
    bound(s, sqlite3_bind_int64(s->h, i, v));
}

void db_bind_bool(struct db_stmt *s, int i, bool v)
{
    bound(s, sqlite3_bind_int(s->h, i, v));
}

void db_bind_double(struct db_stmt *s, int i, double v)
{
    bound(s, sqlite3_bind_double(s->h, i, v));
}

void db_bind_text(struct db_stmt *s, int i, struct bytes v)
{
    bound(s, sqlite3_bind_text64(s->h, i, (const char *)v.p, v.n, SQLITE_STATIC, SQLITE_UTF8));
}

void db_bind_str(struct db_stmt *s, int i, const char *v)
{
    db_bind_text(s, i, bytes_str(v));
}

void db_bind_blob(struct db_stmt *s, int i, struct bytes v)
{
    bound(s, sqlite3_bind_blob64(s->h, i, v.p, v.n, SQLITE_STATIC));
}

void db_bind_null(struct db_stmt *s, int i)
{
    bound(s, sqlite3_bind_null(s->h, i));
}

int db_bind_count(struct db_stmt *s)
{
    return sqlite3_bind_parameter_count(s->h);
}

int db_bind_index(struct db_stmt *s, const char *name)
{
    return sqlite3_bind_parameter_index(s->h, name);
}

const char *db_bind_name(struct db_stmt *s, int i)
{
    return sqlite3_bind_parameter_name(s->h, i);
}

int db_next(struct db_stmt *s, struct err *e)
{
    int rc = s->bind_rc;

    if (rc != SQLITE_OK) {
        db_reset(s);
        return err_set(e, db_code(rc), "a value cannot be bound: %s", sqlite3_errstr(rc));
    }
    rc = sqlite3_step(s->h);
    if (rc == SQLITE_ROW)
        return 1;
    if (rc == SQLITE_DONE) {
        db_reset(s);
        return 0;
    }
    rc = db_error(s->db, rc, e);
    db_reset(s);
    return rc;
}

int db_run(struct db_stmt *s, struct err *e)
{
    int rc;

    while ((rc = db_next(s, e)) > 0)
        ;
    return rc;
}

void db_reset(struct db_stmt *s)
{
    // Repeats the error of the last step, which was reported then.
    (void)sqlite3_reset(s->h);
    s->bind_rc = SQLITE_OK;
}

int db_column_count(struct db_stmt *s)
{
    return sqlite3_column_count(s->h);
}

const char *db_column_name(struct db_stmt *s, int i)
{
    return sqlite3_column_name(s->h, i);
}

const char *db_column_decltype(struct db_stmt *s, int i)
{
    return sqlite3_column_decltype(s->h, i);
}

const char *db_column_table(struct db_stmt *s, int i)
{
    return sqlite3_column_table_name(s->h, i);
}

const char *db_column_origin(struct db_stmt *s, int i)
{
    return sqlite3_column_origin_name(s->h, i);
}

enum db_type db_column_type(struct db_stmt *s, int i)
{
    return (enum db_type)sqlite3_column_type(s->h, i);
}

int64_t db_column_int(struct db_stmt *s, int i)
{
    return sqlite3_column_int64(s->h, i);
}

double db_column_double(struct db_stmt *s, int i)
{
    return sqlite3_column_double(s->h, i);
}

struct bytes db_column_text(struct db_stmt *s, int i)
{
    const unsigned char *p = sqlite3_column_text(s->h, i);

    return bytes_of(p, p != NULL ? (size_t)sqlite3_column_bytes(s->h, i) : 0);
}

struct bytes db_column_blob(struct db_stmt *s, int i)
{
    const void *p = sqlite3_column_blob(s->h, i);

    if (p == NULL && sqlite3_column_type(s->h, i) != SQLITE_NULL)
        return BYTES_LIT("");
    return bytes_of(p, p != NULL ? (size_t)sqlite3_column_bytes(s->h, i) : 0);
}

int db_exec(struct db *db, const char *sql, struct err *e)
{
    int rc = sqlite3_exec(db->h, sql, NULL, NULL, NULL);

    return rc == SQLITE_OK ? 0 : db_error(db, rc, e);
}

int db_query_int(struct db *db, const char *sql, int64_t *out, struct err *e)
{
    struct db_stmt *s;
    int rc = db_prepare(db, sql, &s, e);

    if (rc < 0)
        return rc;
    rc = db_next(s, e);
    if (rc == 1)
        *out = db_column_int(s, 0);
    db_stmt_free(s);
    if (rc == 0)
        return err_set(e, LEAT_ENOTFOUND, "no row");
    return rc < 0 ? rc : 0;
}

int64_t db_changes(struct db *db)
{
    return sqlite3_changes64(db->h);
}

int64_t db_last_rowid(struct db *db)
{
    return sqlite3_last_insert_rowid(db->h);
}
