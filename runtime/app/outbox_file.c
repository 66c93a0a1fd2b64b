// SPDX-License-Identifier: Apache-2.0
//
// The outbox of an application: a table of its own SQLite database, into which it writes a row in
// the same transaction that changes its business data.
//
//   look     has anybody committed (PRAGMA data_version)? then: how far do the rows go; make that
//            durable
//   read     rows by rowid -> records, the rowid is the offset
//   clean    rows whose step has committed are deleted, or marked, a slice at a time
//
// SQLite has one writer at a time, and gives a new row the number after the largest. So numbers are
// given in the order of commits, and reading on from a number misses nothing, if no number is given
// twice. AUTOINCREMENT promises that. Without it, it holds as long as the newest row stays: the
// application must leave it, and so do we. A table without an INTEGER PRIMARY KEY has numbers that
// VACUUM may change, and is refused.
//
// Exactly once. The job's step keeps the number it has come to, together with everything it made of
// the rows. Only when that is on disk are the rows cleaned. A crash in between leaves rows that
// have been read: the number says so, and they are cleaned after the restart. The other direction,
// rows that are published but that a power cut takes back from the application, is closed by
// syncing its database before its rows are shown (db_guest_settle).
//
// What can go wrong, and what happens:
//
//   the file or the table is not there          the job waits, and says for what
//   the application holds its lock              again at the next look; said after some seconds
//   no outbox: columns, row numbers, rights     the job stops, and says what to do
//   rows went back (an older copy of the file)  the job stops
//   the file was replaced or removed            it is opened again, or waited for
//   a row appears behind what has been deleted  the job stops: its number was picked by hand
//   a row that is too large                     the job stops: it cannot be passed over silently
#include "runtime/app/outbox_file.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>

#include "runtime/base/failpoint.h"
#include "runtime/base/heap.h"
#include "runtime/base/limits.h"
#include "runtime/engine/row_record.h"

#define MARK_COLUMN "published_at"

void outbox_file_init(struct outbox_file *f, const struct plan_source *s, struct clock *c)
{
    *f = (struct outbox_file){
        .plan = &s->outbox, .name = s->topic, .clock = c, .end = 1, .committed = -1, .cleaned = -1};
    arena_init(&f->arena);
    batch_builder_init(&f->batch);
}

static void close_db(struct outbox_file *f)
{
    for (int i = 0; i < OUTBOX_STATEMENTS; i++) {
        db_stmt_free(f->own[i]);
        f->own[i] = NULL;
    }
    db_close(f->db);
    f->db = NULL;
    f->looked = false;
}

void outbox_file_deinit(struct outbox_file *f)
{
    close_db(f);
    batch_builder_deinit(&f->batch);
    arena_deinit(&f->arena);
}

static int stop(struct outbox_file *f, struct err *e, const char *fmt, ...) LEAT_PRINTF(3, 4);

// "outbox shop: table outbox in app.db: WHY"
static int stop(struct outbox_file *f, struct err *e, const char *fmt, ...)
{
    char why[ERR_TEXT_MAX];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(why, sizeof why, fmt, ap);
    va_end(ap);
    return err_set(e, LEAT_ESTOPPED, "outbox %s: table %s in %s: %s", f->name, f->plan->table,
                   f->plan->path, why);
}

static int64_t mono_ms(const struct outbox_file *f)
{
    return clock_mono_ms(f->clock) + 1; // 0 is for never
}

// The application's lock is its good right for a while. 0 or, when it has lasted, LEAT_EBUSY.
static int locked(struct outbox_file *f, int64_t *since, struct err *e)
{
    int64_t now = mono_ms(f);

    if (*since == 0)
        *since = now;
    if (now - *since < OUTBOX_LOCKED_MS_MAX)
        return 0;
    return err_set(e, LEAT_EBUSY, "outbox %s: %s has been locked by another program for %lld s",
                   f->name, f->plan->path, (long long)((now - *since) / 1000));
}

// --- opening ---

// The table is written as @. Without AUTOINCREMENT the newest row stays, so that its number is not
// given again.
static const char *sql_of(const struct outbox_file *f, enum outbox_statement which)
{
    switch (which) {
    case OUTBOX_END:
        return f->rowid.autoincrement ? "SELECT seq + 1 FROM sqlite_sequence"
                                        " WHERE name = ?1 COLLATE NOCASE"
                                     
                                      : "SELECT max(rowid) + 1 FROM @ WHERE ?1 IS NOT NULL";
    case OUTBOX_LEAST:
        return "SELECT min(rowid) FROM @";
    case OUTBOX_ROWS:
        return "SELECT rowid, * FROM @ WHERE rowid >= ?1 AND rowid < ?2 ORDER BY rowid";
    case OUTBOX_SPAN:
        return "SELECT max(r) FROM (SELECT rowid AS r FROM @ WHERE rowid >= ?1 AND rowid < ?2"
               " ORDER BY rowid LIMIT ?3)";
    case OUTBOX_MARKED:
        return "SELECT rowid + 1 FROM @ WHERE rowid < ?1 AND " MARK_COLUMN " IS NOT NULL"
               " ORDER BY rowid DESC LIMIT 1";
    case OUTBOX_CLEAN:
        if (f->plan->after == OUTBOX_MARK)
            return "UPDATE @ SET " MARK_COLUMN " = ?3 WHERE rowid >= ?1 AND rowid <= ?2"
                   " AND " MARK_COLUMN " IS NULL";
        return f->rowid.autoincrement ? "DELETE FROM @ WHERE rowid >= ?1 AND rowid <= ?2"
                                      : "DELETE FROM @ WHERE rowid >= ?1 AND rowid <= ?2"
                                        " AND rowid < (SELECT max(rowid) FROM @)";
    case OUTBOX_STATEMENTS:
        break;
    }
    UNREACHABLE("no such statement");
}

static void append_name(struct buf *b, const char *name)
{
    buf_append_byte(b, '"');
    for (; *name; name++) {
        if (*name == '"')
            buf_append_byte(b, '"');
        buf_append_byte(b, (uint8_t)*name);
    }
    buf_append_byte(b, '"');
}

static int own(struct outbox_file *f, enum outbox_statement which, struct db_stmt **out,
               struct err *e)
{
    struct buf sql = BUF_EMPTY;
    int rc = 0;

    if (f->own[which] == NULL) {
        for (const char *p = sql_of(f, which); *p; p++)
            if (*p == '@')
                append_name(&sql, f->plan->table);
            else
                buf_append_byte(&sql, (uint8_t)*p);
        rc = db_prepare_bytes(f->db, buf_bytes(&sql), &f->own[which], e);
        buf_deinit(&sql);
    }
    *out = f->own[which];
    return rc;
}

static bool has_column(struct db_stmt *s, const char *name)
{
    for (int i = 1; i < db_column_count(s); i++)
        if (strcmp(db_column_name(s, i), name) == 0)
            return true;
    return false;
}

static int check_columns(struct outbox_file *f, struct err *e)
{
    static const char *const want[] = {"id", "aggregatetype", "aggregateid", "type", "payload"};
    struct db_stmt *s;
    int rc = own(f, OUTBOX_ROWS, &s, e);

    for (size_t i = 0; i < ARRAY_LEN(want) && rc == 0; i++)
        if (!has_column(s, want[i]))
            rc = stop(f, e,
                      "it has no column %s; an outbox has id, aggregatetype, aggregateid, type and "
                      "payload, as Debezium names them",
                      want[i]);
    if (rc == 0 && f->plan->after == OUTBOX_MARK && !has_column(s, MARK_COLUMN))
        rc = stop(f, e,
                  "after = \"mark\" writes the time into a column " MARK_COLUMN
                  ": alter table %s add column " MARK_COLUMN " integer",
                  f->plan->table);
    return rc;
}

static int check_table(struct outbox_file *f, struct err *e)
{
    int64_t n = 0;
    struct db_stmt *s;
    int rc = db_prepare(f->db, "SELECT type = 'table' FROM sqlite_schema WHERE name = ?1 COLLATE "
                               "NOCASE AND type IN ('table', 'view')", &s, e);

    if (rc < 0)
        return rc;
    db_bind_str(s, 1, f->plan->table);
    rc = db_next(s, e);
    n = rc == 1 ? db_column_int(s, 0) : 0;
    db_stmt_free(s);
    if (rc == 0)
        return err_set(e, LEAT_ENOTFOUND, "%s has no table %s yet", f->plan->path, f->plan->table);
    if (rc == 1 && n == 0)
        return stop(f, e, "it is a view; an outbox is a table, whose rows are numbered");
    return rc < 0 ? rc : 0;
}

static int check_numbers(struct outbox_file *f, struct err *e)
{
    int rc = db_rowid_column(f->db, f->plan->table, &f->rowid, e);

    if (rc == LEAT_ESQL)
        return stop(f, e, "it is WITHOUT ROWID: its rows have no order of commits. Give it a "
                          "column  seq integer primary key autoincrement");
    if (rc == 0 && !f->rowid.own_column)
        return stop(f, e,
                    "its row numbers are not kept in a column, so VACUUM may change them. Give it "
                    "a column  seq integer primary key autoincrement");
    return rc;
}

static int check_rights(struct outbox_file *f, struct err *e)
{
    if (f->plan->after == OUTBOX_KEEP || !db_guest_readonly(f->db))
        return 0;
    return stop(f, e, "rows are to be %s, but the file cannot be written by this user; or say "
                      "after = \"keep\"",
                f->plan->after == OUTBOX_MARK ? "marked" : "deleted");
}

static int open_db(struct outbox_file *f, const struct stat *st, struct err *e)
{
    static int (*const checks[])(struct outbox_file *, struct err *) = {
        check_table, check_numbers, check_columns, check_rights};
    struct db_options o = {.mode = DB_GUEST, .readonly = f->plan->after == OUTBOX_KEEP};
    int rc = db_open(&f->db, f->plan->path, &o, e);

    f->dev = st->st_dev;
    f->ino = st->st_ino;
    for (size_t i = 0; i < ARRAY_LEN(checks) && rc == 0; i++)
        rc = checks[i](f, e);
    if (rc != 0)
        close_db(f);
    return rc;
}

// The file that bears the name now: an application that is restored from a copy gets another.
static int reach(struct outbox_file *f, struct err *e)
{
    struct stat st;

    if (stat(f->plan->path, &st) != 0) {
        int code = errno;
        close_db(f);
        return err_errno(e, code, "%s", f->plan->path);
    }
    if (f->db != NULL && (st.st_dev != f->dev || st.st_ino != f->ino))
        close_db(f);
    return f->db == NULL ? open_db(f, &st, e) : 0;
}

// --- looking ---

static int one_int(struct outbox_file *f, enum outbox_statement which, int64_t otherwise,
                   int64_t *out, struct err *e)
{
    struct db_stmt *s;
    int rc = own(f, which, &s, e);

    if (rc < 0)
        return rc;
    if (which == OUTBOX_END)
        db_bind_str(s, 1, f->plan->table);
    rc = db_next(s, e);
    *out = rc == 1 && db_column_type(s, 0) == DB_INT ? db_column_int(s, 0) : otherwise;
    db_reset(s);
    return rc < 0 ? rc : 0;
}

static int check_least(struct outbox_file *f, struct err *e)
{
    int64_t least;
    int rc = one_int(f, OUTBOX_LEAST, INT64_MAX, &least, e);

    if (rc == 0 && least < 1)
        return stop(f, e, "it has a row with the number %lld; they are read from 1 up",
                    (long long)least);
    if (rc == 0 && f->plan->after == OUTBOX_DELETE && f->rowid.autoincrement &&
        least < f->cleaned)
        return stop(f, e,
                    "row %lld appeared behind row %lld, which has been read already: numbers must "
                    "be left to SQLite",
                    (long long)least, (long long)f->cleaned - 1);
    return rc;
}

static int see_end(struct outbox_file *f, struct err *e)
{
    int64_t end;
    int rc = one_int(f, OUTBOX_END, 1, &end, e);

    if (rc == 0 && end < f->end)
        return stop(f, e,
                    f->rowid.autoincrement
                        ? "it ends at row %lld, but rows up to %lld have been seen: was the file "
                          "restored from a backup?"
                        : "it ends at row %lld, but rows up to %lld have been seen: the newest row "
                          "must stay, or its number is given again; or make the key autoincrement",
                    (long long)end - 1, (long long)f->end - 1);
    if (rc == 0)
        rc = check_least(f, e);
    if (rc == 0 && end > f->end) {
        rc = db_guest_settle(f->db, e);
        if (rc == 0) {
            f->end = end;
            f->moved_ms = mono_ms(f);
        }
    }
    return rc;
}

static int look(struct outbox_file *f, struct err *e)
{
    int64_t version = 0;
    int rc = db_data_version(f->db, &version, e);

    if (rc != 0 || (f->looked && version == f->version))
        return rc;
    rc = see_end(f, e);
    if (rc == 0) {
        f->version = version;
        f->looked = true;
    }
    return rc;
}

int outbox_file_look(struct outbox_file *f, struct err *e)
{
    int rc = reach(f, e);

    if (rc == LEAT_ENOTFOUND || rc == LEAT_ESTOPPED)
        return rc;
    if (rc != 0) // names the file
        return err_wrap(e, rc, "outbox %s", f->name);
    rc = look(f, e);
    if (rc == 0)
        f->locked_ms = 0;
    if (rc == LEAT_EBUSY && f->looked)
        return locked(f, &f->locked_ms, e);
    if (rc == 0 || rc == LEAT_ESTOPPED)
        return rc;
    return err_wrap(e, rc, "outbox %s: %s", f->name, f->plan->path);
}

// --- reading ---

static void cell(struct db_stmt *s, int i, struct value *out)
{
    switch (db_column_type(s, i)) {
    case DB_INT:
        *out = value_int(db_column_int(s, i));
        return;
    case DB_DOUBLE:
        *out = value_float(db_column_double(s, i));
        return;
    case DB_TEXT:
        *out = value_text(db_column_text(s, i));
        return;
    case DB_BLOB:
        *out = (struct value){.type = VALUE_BYTES, .s = db_column_blob(s, i)};
        return;
    case DB_NULL:
        *out = VALUE_OF_NULL;
        return;
    }
    UNREACHABLE("a column's type");
}

// The mark is empty when a row is read: no part of what the application says.
static void take_row(struct outbox_file *f, struct db_stmt *s, struct row_record *out)
{
    int n = db_column_count(s);
    struct value_object *o = arena_zalloc(&f->arena, sizeof *o);
    struct value row = {.type = VALUE_OBJECT, .object = o};

    o->names = arena_alloc(&f->arena, (size_t)n * sizeof *o->names);
    o->values = arena_alloc(&f->arena, (size_t)n * sizeof *o->values);
    for (int i = 1; i < n; i++) {
        const char *name = db_column_name(s, i);
        if (f->plan->after == OUTBOX_MARK && strcmp(name, MARK_COLUMN) == 0)
            continue;
        o->names[o->n] = bytes_str(name);
        cell(s, i, &o->values[o->n++]);
    }
    row_record_make(&row, &f->arena, out);
}

// Offsets inside a batch have no gaps here: a gap ends it.
static int end_batch(struct outbox_file *f, int64_t behind, struct buf *out, struct err *e)
{
    int64_t first = behind - f->batch.h.n_records;
    struct bytes batch;
    size_t pos = out->n;
    int rc;

    if (f->batch.h.n_records == 0)
        return 0;
    rc = batch_builder_finish(&f->batch, CODEC_NONE, &batch, e);
    if (rc != 0)
        return rc;
    buf_append_bytes(out, batch);
    batch_stamp(out->p + pos, first, 0);
    batch_builder_reset(&f->batch);
    return 0;
}

static int add_row(struct outbox_file *f, int64_t rowid, struct db_stmt *s, struct err *e)
{
    struct row_record r;

    arena_reset(&f->arena);
    take_row(f, s, &r);
    if (r.value.n > TEXT_BYTES_MAX)
        return stop(f, e, "row %lld has %zu bytes, more than %d: delete it or make it smaller, "
                          "then start the job again",
                    (long long)rowid, r.value.n, TEXT_BYTES_MAX);
    batch_builder_add(&f->batch, clock_wall_ms(f->clock), r.key, r.value, r.headers, r.n_headers);
    return 0;
}

static int read_rows(struct outbox_file *f, struct db_stmt *s, size_t bytes_max, struct buf *out,
                     int64_t *next, struct err *e)
{
    int rows = 0, rc;

    while ((rc = db_next(s, e)) == 1) {
        int64_t rowid = db_column_int(s, 0);
        if (rowid != *next)
            rc = end_batch(f, *next, out, e);
        if (rc >= 0)
            rc = add_row(f, rowid, s, e);
        if (rc < 0)
            return rc;
        *next = rowid + 1;
        if (++rows == OUTBOX_SLICE_ROWS || out->n + f->batch.buf.n >= bytes_max)
            return end_batch(f, *next, out, e);
    }
    if (rc == 0)
        rc = end_batch(f, *next, out, e);
    if (rc == 0)
        *next = f->end; // no more rows: what is missing is not coming
    return rc;
}

int outbox_file_read(struct outbox_file *f, int64_t from, size_t bytes_max, struct buf *out,
                     int64_t *next, struct err *e)
{
    int64_t at = from;
    struct db_stmt *s;
    int rc = f->db == NULL ? LEAT_EBUSY : own(f, OUTBOX_ROWS, &s, e);

    *next = from;
    if (rc == 0) {
        db_bind_int(s, 1, from);
        db_bind_int(s, 2, f->end);
        batch_builder_reset(&f->batch);
        rc = read_rows(f, s, bytes_max, out, &at, e);
        db_reset(s);
    }
    if (rc == 0) {
        *next = at;
        return 0;
    }
    buf_clear(out);
    if (rc == LEAT_EBUSY)
        return locked(f, &f->locked_ms, e);
    if (rc == LEAT_ETOOBIG)
        return stop(f, e, "row %lld or a later one is larger than %d bytes: delete it or make it "
                          "smaller, then start the job again",
                    (long long)at, TEXT_BYTES_MAX);
    return rc == LEAT_ESTOPPED ? rc : err_wrap(e, rc, "outbox %s: %s", f->name, f->plan->path);
}

// --- cleaning ---

// Below this everything may be cleaned now.
static int64_t clean_end(const struct outbox_file *f)
{
    bool newest_stays = f->plan->after == OUTBOX_DELETE && !f->rowid.autoincrement;

    return newest_stays && f->end - 1 < f->committed ? f->end - 1 : f->committed;
}

// Rows are marked in order: all below the last marked one are.
static int find_cleaned(struct outbox_file *f, struct err *e)
{
    struct db_stmt *s;
    int rc;

    f->cleaned = 0;
    if (f->plan->after != OUTBOX_MARK)
        return 0;
    rc = own(f, OUTBOX_MARKED, &s, e);
    if (rc == 0) {
        db_bind_int(s, 1, f->committed);
        rc = db_next(s, e);
        f->cleaned = rc == 1 ? db_column_int(s, 0) : 0;
        db_reset(s);
    }
    if (rc < 0)
        f->cleaned = -1;
    return rc < 0 ? rc : 0;
}

// The last row of the next slice, found before anything is locked; 0: there is none.
static int find_span(struct outbox_file *f, int64_t *last, struct err *e)
{
    struct db_stmt *s;
    int rc = own(f, OUTBOX_SPAN, &s, e);

    if (rc < 0)
        return rc;
    db_bind_int(s, 1, f->cleaned);
    db_bind_int(s, 2, clean_end(f));
    db_bind_int(s, 3, OUTBOX_SLICE_ROWS);
    rc = db_next(s, e);
    *last = rc == 1 && db_column_type(s, 0) == DB_INT ? db_column_int(s, 0) : 0;
    db_reset(s);
    return rc < 0 ? rc : 0;
}

static int clean_span(struct outbox_file *f, int64_t last, struct err *e)
{
    struct db_stmt *s;
    int rc = own(f, OUTBOX_CLEAN, &s, e);

    if (rc == 0)
        rc = db_begin(f->db, e);
    if (rc < 0)
        return rc;
    db_bind_int(s, 1, f->cleaned);
    db_bind_int(s, 2, last);
    if (f->plan->after == OUTBOX_MARK)
        db_bind_int(s, 3, clock_wall_ms(f->clock));
    rc = db_run(s, e);
    if (rc == 0 && failpoint("outbox_cleaning") < 0)
        rc = err_set(e, LEAT_EIO, "failpoint outbox_cleaning");
    if (rc == 0)
        return db_commit(f->db, e);
    db_rollback(f->db);
    return rc;
}

static int clean(struct outbox_file *f, struct err *e)
{
    int64_t last = 0;
    int rc = f->cleaned < 0 ? find_cleaned(f, e) : 0;

    if (rc == 0)
        rc = find_span(f, &last, e);
    if (rc == 0 && last > 0)
        rc = clean_span(f, last, e);
    if (rc < 0)
        return rc;
    f->clean_locked_ms = 0;
    f->cleaned = last > 0 ? last + 1 : clean_end(f);
    f->moved_ms = mono_ms(f);
    return f->cleaned < clean_end(f);
}

int outbox_file_clean(struct outbox_file *f, struct err *e)
{
    struct err why = {0};
    int rc;

    if (f->db == NULL || f->plan->after == OUTBOX_KEEP || f->cleaned >= clean_end(f))
        return 0;
    rc = failpoint("outbox_clean");
    rc = rc < 0 ? err_set(&why, rc, "failpoint outbox_clean") : clean(f, &why);
    if (rc >= 0)
        return rc;
    if (rc == LEAT_EBUSY)
        return locked(f, &f->clean_locked_ms, e);
    if (rc == LEAT_ENOSPC)
        return err_set(e, rc, "outbox %s: %s: %s", f->name, f->plan->path, why.text);
    return stop(f, e, "rows that are published cannot be %s: %s",
                f->plan->after == OUTBOX_MARK ? "marked" : "deleted", why.text);
}
