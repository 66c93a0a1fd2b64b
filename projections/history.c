// SPDX-License-Identifier: Apache-2.0
//
// The versions of a table's rows, in event time. A version is a row as a write left it, from the
// write's event time on (valid_from), until the next one's (valid_to, not included); the one that
// is still so has valid_to = 9999-12-31T23:59:59.999Z. Versions of one key never overlap, and the
// open one is always the row of the table.
//
//   write at t    versions that begin at t or later go, the one that t falls into ends at t, the
//                 row as it is now begins at t; a row that is gone begins nothing
//
// So a write with an older time than one before it replaces everything from its time on, in the
// history as in the table, where the last write wins: at any t the history says what the last of
// the writes up to t made of the row. A write that changes nothing is none.
//
// Whatever writes (verbs, changelogs, free SQL, foreign key actions, a ttl), the hook notes the
// keys, and behind the statement their versions are written in the same transaction, from the table
// itself; a row's values never pass through here.
//
// Asking for a time that is older than the watermark less the history's duration is an error, and
// not "there was no row", whether or not the versions of that time are still in the file.
#include "projections/history.h"

#define SQLITE_ENABLE_PREUPDATE_HOOK
#include <inttypes.h>
#include <sqlite3.h>
#include <string.h>

#include "projections/expire.h"
#include "projections/hook.h"
#include "projections/rows.h"
#include "projections/sql_text.h"
#include "runtime/base/heap.h"

struct history_table {
    const struct jobtable *t; // NULL: no history
    int n_stored;             // columns before the first computed one: what the hook can see
    int64_t since;            // before it nothing is known, however young
    struct db_stmt *drop, *close, *open, *at;
};

// A row that a statement has written.
struct history_note {
    int table;
    struct value *key;
};

struct history {
    struct history_table *tables; // by table
    int n;
    struct history_note *notes;
    size_t n_notes, cap_notes;
    struct arena arena; // of the notes
    int failed;         // what kept the hook from taking a note
};

// --- loading ---

static int count_stored(const struct jobtable *t)
{
    int n = 0;

    while (n < t->n_columns && !t->columns[n].generated)
        n++;
    return n;
}

static int read_since(struct jobfile *jf, struct history_table *h, struct err *e)
{
    const char *name = history_number(h->t, &jf->arena);
    int rc;

    h->since = INT64_MIN;
    rc = jobfile_store_ops.number_get(&jf->store, name, &h->since, e);
    return rc < 0 ? rc : 0;
}

int history_load(struct jobfile *jf, struct err *e)
{
    int rc = 0;

    for (int i = 0; i < jf->ddl.n_tables && rc == 0; i++) {
        struct history_table *h;

        if (jf->ddl.tables[i].history == NULL)
            continue;
        if (jf->history == NULL) {
            jf->history = heap_zalloc(sizeof *jf->history);
            jf->history->n = jf->ddl.n_tables;
            jf->history->tables =
                heap_zalloc((size_t)jf->history->n * sizeof *jf->history->tables);
            arena_init(&jf->history->arena);
        }
        h = &jf->history->tables[i];
        h->t = &jf->ddl.tables[i];
        h->n_stored = count_stored(h->t);
        hook_watch(jf, i, HOOK_HISTORY);
        rc = read_since(jf, h, e);
    }
    return rc;
}

void history_unload(struct jobfile *jf)
{
    struct history *hs = jf->history;

    if (hs == NULL)
        return;
    for (int i = 0; i < hs->n; i++) {
        db_stmt_free(hs->tables[i].drop);
        db_stmt_free(hs->tables[i].close);
        db_stmt_free(hs->tables[i].open);
        db_stmt_free(hs->tables[i].at);
    }
    arena_deinit(&hs->arena);
    heap_free(hs->tables);
    heap_free(hs->notes);
    heap_free(hs);
    jf->history = NULL;
}

// --- notes ---

typedef int preupdate_get(sqlite3 *, int, sqlite3_value **);

static int note_key(struct history *hs, int table, sqlite3 *h, preupdate_get *get)
{
    const struct jobtable *t = hs->tables[table].t;
    struct history_note note = {.table = table};

    note.key = arena_alloc(&hs->arena, (size_t)t->n_pk * sizeof *note.key);
    for (int i = 0; i < t->n_pk; i++) {
        sqlite3_value *v;
        int rc = get(h, t->pk[i], &v);

        if (rc != SQLITE_OK)
            return rc;
        note.key[i] = hook_value(v, &hs->arena);
    }
    if (hs->n_notes == hs->cap_notes) {
        hs->cap_notes = hs->cap_notes ? hs->cap_notes * 2 : 16;
        hs->notes = heap_realloc(hs->notes, hs->cap_notes * sizeof *hs->notes);
    }
    hs->notes[hs->n_notes++] = note;
    return SQLITE_OK;
}

static bool same_cell(sqlite3_value *a, sqlite3_value *b)
{
    int type = sqlite3_value_type(a), n;

    if (type != sqlite3_value_type(b))
        return false;
    if (type == SQLITE_INTEGER)
        return sqlite3_value_int64(a) == sqlite3_value_int64(b);
    if (type == SQLITE_FLOAT)
        return sqlite3_value_double(a) == sqlite3_value_double(b);
    if (type == SQLITE_NULL)
        return true;
    n = sqlite3_value_bytes(a);
    return n == sqlite3_value_bytes(b) &&
           (n == 0 || memcmp(sqlite3_value_blob(a), sqlite3_value_blob(b), (size_t)n) == 0);
}

// Which of the columns an update gives another value; the key counts by itself.
static int compare_rows(const struct history_table *x, sqlite3 *h, bool *row, bool *key)
{
    *row = *key = false;
    for (int i = 0; i < x->n_stored; i++) {
        sqlite3_value *was, *is;
        int rc = sqlite3_preupdate_old(h, i, &was);

        if (rc == SQLITE_OK)
            rc = sqlite3_preupdate_new(h, i, &is);
        if (rc != SQLITE_OK)
            return rc;
        if (same_cell(was, is))
            continue;
        *row = true;
        *key = *key || x->t->columns[i].pk > 0;
    }
    return SQLITE_OK;
}

void history_note(struct jobfile *jf, sqlite3 *h, int op, int table)
{
    struct history *hs = jf->history;
    bool changed = true, moved = false;
    int rc = SQLITE_OK;

    if (op == SQLITE_UPDATE)
        rc = compare_rows(&hs->tables[table], h, &changed, &moved);
    if (rc == SQLITE_OK && changed && (op == SQLITE_DELETE || moved))
        rc = note_key(hs, table, h, sqlite3_preupdate_old);
    if (rc == SQLITE_OK && changed && op != SQLITE_DELETE)
        rc = note_key(hs, table, h, sqlite3_preupdate_new);
    if (rc != SQLITE_OK)
        hs->failed = rc == SQLITE_NOMEM ? LEAT_ENOMEM : LEAT_EIO;
}

void history_forget(struct jobfile *jf)
{
    if (jf->history == NULL)
        return;
    jf->history->n_notes = 0;
    jf->history->failed = 0;
    arena_reset(&jf->history->arena);
}

// --- writing ---

static void append_table(struct buf *sql, const char *text, const char *name)
{
    buf_append_str(sql, text);
    sql_append_name(sql, name);
}

// " WHERE key = ?1 AND ..."; what follows the key is parameter n_pk + 1.
static void append_key(const struct jobtable *t, struct buf *sql)
{
    for (int i = 0; i < t->n_pk; i++) {
        append_table(sql, i ? " AND " : " WHERE ", t->pk_names[i]);
        buf_printf(sql, " = ?%d", i + 1);
    }
}

static int prepare(struct jobfile *jf, struct buf *sql, struct db_stmt **out, struct err *e)
{
    int rc = db_prepare(jf->db, buf_cstr(sql), out, e);

    buf_clear(sql);
    return rc;
}

static void append_columns(const struct jobtable *t, struct buf *sql)
{
    for (int i = 0; i < t->n_columns; i++)
        append_table(sql, i ? ", " : "", t->columns[i].name);
}

// The version that has not ended by a time is the last one.
static void close_text(const struct history_table *x, struct buf *sql)
{
    int at = x->t->n_pk + 1;

    append_table(sql, "UPDATE OR ABORT ", x->t->history->name);
    buf_printf(sql, " SET valid_to = ?%d", at);
    append_key(x->t, sql);
    append_table(sql, " AND valid_from = (SELECT max(valid_from) FROM ", x->t->history->name);
    append_key(x->t, sql);
    buf_printf(sql, ") AND valid_to > ?%d", at);
}

static int prepare_writes(struct jobfile *jf, struct history_table *x, struct err *e)
{
    struct buf sql = BUF_EMPTY;
    int at = x->t->n_pk + 1, rc;

    close_text(x, &sql);
    rc = prepare(jf, &sql, &x->close, e);
    append_table(&sql, "INSERT OR ABORT INTO ", x->t->history->name);
    buf_append_str(&sql, " (");
    append_columns(x->t, &sql);
    buf_append_str(&sql, ", valid_from, valid_to) SELECT ");
    append_columns(x->t, &sql);
    buf_printf(&sql, ", ?%d, %" PRId64, at, (int64_t)HISTORY_FOREVER);
    append_table(&sql, " FROM ", x->t->name);
    append_key(x->t, &sql);
    if (rc == 0)
        rc = prepare(jf, &sql, &x->open, e);
    buf_clear(&sql);
    append_table(&sql, "DELETE FROM ", x->t->history->name);
    append_key(x->t, &sql);
    buf_printf(&sql, " AND valid_from >= ?%d", at);
    if (rc == 0)
        rc = prepare(jf, &sql, &x->drop, e); // last: says that all are there
    buf_deinit(&sql);
    return rc;
}

// As it was stored: the column takes it.
static void bind_stored(struct db_stmt *s, int i, const struct value *v)
{
    switch ((enum value_type)v->type) {
    case VALUE_INT:
        db_bind_int(s, i, v->i);
        return;
    case VALUE_FLOAT:
        db_bind_double(s, i, v->f);
        return;
    case VALUE_TEXT:
        db_bind_text(s, i, v->s);
        return;
    case VALUE_BYTES:
        db_bind_blob(s, i, v->s);
        return;
    default:
        db_bind_null(s, i);
    }
}

static int run_for(struct jobfile *jf, struct db_stmt *s, const struct jobtable *t,
                   const struct value *key, int64_t at, struct err *e)
{
    (void)jf;
    for (int i = 0; i < t->n_pk; i++)
        bind_stored(s, i + 1, &key[i]);
    db_bind_int(s, t->n_pk + 1, at);
    return db_run(s, e);
}

static int write_one(struct jobfile *jf, const struct history_note *note, int64_t at,
                     struct err *e)
{
    struct history_table *x = &jf->history->tables[note->table];
    int rc = x->drop == NULL ? prepare_writes(jf, x, e) : 0;

    if (rc == 0)
        rc = run_for(jf, x->drop, x->t, note->key, at, e);
    if (rc == 0)
        rc = run_for(jf, x->close, x->t, note->key, at, e);
    if (rc == 0 && db_changes(jf->db) > 0)
        expire_version(jf, note->table, at);
    if (rc == 0)
        rc = run_for(jf, x->open, x->t, note->key, at, e);
    return rc < 0 ? err_wrap(e, rc, "table %s", x->t->history->name) : 0;
}

// The end of time is not a time that something can begin at.
static int64_t time_now(const struct jobfile *jf)
{
    return jf->tables.time < HISTORY_FOREVER ? jf->tables.time : HISTORY_FOREVER - 1;
}

int history_write(struct jobfile *jf, struct err *e)
{
    struct history *hs = jf->history;
    int rc = 0;

    if (hs == NULL)
        return 0;
    if (hs->failed != 0)
        rc = err_set(e, hs->failed, "a change of a row could not be noted");
    for (size_t i = 0; i < hs->n_notes && rc == 0; i++)
        rc = write_one(jf, &hs->notes[i], time_now(jf), e);
    history_forget(jf);
    return rc;
}

// --- asking ---

static int prepare_at(struct jobfile *jf, struct history_table *x, struct err *e)
{
    struct buf sql = BUF_EMPTY;
    int rc;

    buf_append_str(&sql, "SELECT ");
    append_columns(x->t, &sql);
    append_table(&sql, ", valid_to FROM ", x->t->history->name);
    append_key(x->t, &sql);
    buf_printf(&sql, " AND valid_from <= ?%d ORDER BY valid_from DESC LIMIT 1", x->t->n_pk + 1);
    rc = prepare(jf, &sql, &x->at, e);
    buf_deinit(&sql);
    return rc;
}

static void time_text(int64_t ms, char *out)
{
    if (ms >= DATETIME_MIN && ms <= DATETIME_MAX)
        datetime_format(ms, out);
    else
        memcpy(out, "?", 2);
}

static int check_reach(const struct jobfile *jf, const struct history_table *x, int64_t at,
                       struct err *e)
{
    char want[DATETIME_TEXT_SIZE], has[DATETIME_TEXT_SIZE];
    int64_t from;

    if (__builtin_sub_overflow(jf->tables.watermark, x->t->history_ms, &from) || from < x->since)
        from = x->since;
    if (at >= from)
        return 0;
    time_text(at, want);
    time_text(from, has);
    return err_set(e, LEAT_EHISTORY, "its history reaches back to %s, not to %s", has, want);
}

// A row that is still there although its ttl is over by then will be gone by then.
static bool outlives(const struct jobtable *t, const struct value *row, int64_t at)
{
    const struct value *v;
    int64_t end;

    if (t->ttl_column == NULL)
        return true;
    v = &row->object->values[t->ttl_column - t->columns];
    return v->type != VALUE_INT || __builtin_add_overflow(v->i, t->ttl_ms, &end) || at <= end;
}

static int read_version(struct history_table *x, const struct table_moment *m, struct arena *a,
                        struct value *row, struct err *e)
{
    int64_t to = db_column_int(x->at, x->t->n_columns);
    int rc;

    if (m->at >= to)
        return 0;
    rc = rows_read(x->at, x->t, a, row, e);
    if (rc == 0 && to == HISTORY_FOREVER && !outlives(x->t, row, m->at))
        *row = VALUE_OF_MISSING;
    return rc;
}

static int look(struct jobfile *jf, struct history_table *x, const struct table_moment *m,
                struct arena *a, struct value *row, struct err *e)
{
    const struct jobtable *t = x->t;
    int rc = x->at == NULL ? prepare_at(jf, x, e) : 0;

    for (int i = 0; i < m->n_key && rc == 0; i++)
        rc = cell_bind(x->at, i + 1, &t->columns[t->pk[i]], &m->key[i], &jf->scratch, e);
    if (rc < 0)
        return rc;
    db_bind_int(x->at, t->n_pk + 1, m->at);
    rc = db_next(x->at, e);
    if (rc == 1)
        rc = read_version(x, m, a, row, e);
    db_reset(x->at);
    return rc;
}

int history_get_at(struct tables *tables, const struct table_moment *m, struct arena *a,
                   struct value *row, struct err *e)
{
    struct jobfile *jf = container_of(tables, struct jobfile, tables);
    const struct jobtable *t = &jf->ddl.tables[m->table];
    int rc;

    *row = VALUE_OF_MISSING;
    if (t->history == NULL)
        return err_set(e, LEAT_EINVAL, "table %s has no history", t->name);
    if (m->n_key != t->n_pk)
        return err_set(e, LEAT_EINVAL, "table %s: the primary key has %d columns, not %d", t->name,
                       t->n_pk, m->n_key);
    arena_reset(&jf->scratch);
    rc = check_reach(jf, &jf->history->tables[m->table], m->at, e);
    for (int i = 0; i < m->n_key && rc == 0; i++)
        if (value_is_nil(&m->key[i]))
            return 0;
    if (rc == 0)
        rc = look(jf, &jf->history->tables[m->table], m, a, row, e);
    return rc < 0 ? err_wrap(e, jf_error(jf, rc, e), "table %s", t->name) : 0;
}
