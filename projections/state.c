// SPDX-License-Identifier: Apache-2.0
//
// Operator state as rows, one table per operator.
//
//   own table    _leat_windows_<id> or _leat_state_<id>: (win, win_end, key parts..., state), key
//   (win, key parts...) fused        the aggregate's result table: its columns, and the state
//   packed in the hidden column
//
// In a table of its own a key part keeps its type: what SQL has no type for (booleans, decimals)
// and bytes are blobs with a tag in front. In a fused table the columns' logical types do that.
#include <stdio.h>
#include <string.h>

#include "projections/history.h"
#include "projections/sql_text.h"
#include "projections/state_rows.h"
#include "runtime/base/endian.h"
#include "runtime/base/heap.h"

enum { TAG_BYTES = 0, TAG_BOOL = 1, TAG_DECIMAL = 2 };

struct opstates {
    struct state *first;
};

// --- opening ---

static const char *own_name(struct arena *a, const struct state_spec *spec)
{
    char *name = arena_printf(a, "_leat_%s_%s_%04x", spec->windowed ? "windows" : "state", spec->id,
                              (unsigned)(bytes_hash(bytes_str(spec->id), 1) & 0xffff));

    for (char *p = name; *p; p++)
        if (!((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9')))
            *p = '_';
    return name;
}

static void append_parts(const struct state *st, int from, int to, struct buf *sql)
{
    for (int i = from; i < to; i++) {
        buf_append_str(sql, i > from ? ", " : "");
        sql_append_name(sql, st->key_names[i]);
    }
}

// An index that is needed for what `why` says, on the columns in `sql`, which is freed.
static int make_index(struct state *st, const char *why, struct buf *columns, struct err *e)
{
    struct buf sql = BUF_EMPTY;
    int rc;

    buf_append_str(&sql, "CREATE INDEX IF NOT EXISTS ");
    sql_append_name(&sql, arena_printf(&st->jf->arena, "_leat_%s_%s", why, st->table));
    buf_append_str(&sql, " ON ");
    sql_append_name(&sql, st->table);
    buf_printf(&sql, " (%s)", buf_cstr(columns));
    if (st->fused != NULL)
        buf_append_str(&sql, " WHERE " HIDDEN_COLUMN " IS NOT NULL");
    rc = db_exec(st->jf->db, buf_cstr(&sql), e);
    buf_deinit(&sql);
    buf_deinit(columns);
    return rc;
}

// Finds rows by the first parts of their key.
static int index_prefix(struct state *st, struct err *e)
{
    struct buf columns = BUF_EMPTY;

    append_parts(st, 0, st->n_prefix, &columns);
    buf_printf(&columns, ", %s", st->win);
    if (st->n_prefix < st->n_key)
        buf_append_str(&columns, ", ");
    append_parts(st, st->n_prefix, st->n_key, &columns);
    return make_index(st, "keys", &columns, e);
}

static int make_own(struct state *st, const struct state_spec *spec, struct err *e)
{
    struct arena *a = &st->jf->arena;
    struct buf sql = BUF_EMPTY;
    int rc;

    st->table = own_name(a, spec);
    st->win = "win";
    st->win_end = "win_end";
    st->blob = "state";
    buf_append_str(&sql, "CREATE TABLE IF NOT EXISTS ");
    sql_append_name(&sql, st->table);
    buf_append_str(&sql, " (win INTEGER, win_end INTEGER");
    for (int i = 0; i < st->n_key; i++) {
        st->key_names[i] = arena_printf(a, "key_%s", spec->key_names[i]);
        buf_append_str(&sql, ", ");
        sql_append_name(&sql, st->key_names[i]);
        buf_append_str(&sql, " ANY");
    }
    buf_append_str(&sql, ", state BLOB, PRIMARY KEY (");
    buf_append_str(&sql, spec->by_key ? "" : "win, ");
    append_parts(st, 0, st->n_key, &sql);
    buf_append_str(&sql, spec->by_key ? ", win" : "");
    buf_append_str(&sql, ")) STRICT, WITHOUT ROWID");
    rc = db_exec(st->jf->db, buf_cstr(&sql), e);
    buf_deinit(&sql);
    return rc < 0 || spec->n_prefix == 0 || spec->by_key ? rc : index_prefix(st, e);
}

static int add_hidden_column(struct state *st, struct err *e)
{
    struct buf sql = BUF_EMPTY;
    struct db_stmt *s;
    int rc = db_prepare(
        st->jf->db, "SELECT 1 FROM pragma_table_xinfo(?1) WHERE name = '" HIDDEN_COLUMN "'", &s, e);

    if (rc < 0)
        return rc;
    db_bind_str(s, 1, st->table);
    rc = db_next(s, e);
    db_stmt_free(s);
    if (rc != 0)
        return rc < 0 ? rc : 0;
    buf_append_str(&sql, "ALTER TABLE ");
    sql_append_name(&sql, st->table);
    buf_append_str(&sql, " ADD COLUMN " HIDDEN_COLUMN " BLOB");
    rc = db_exec(st->jf->db, buf_cstr(&sql), e);
    buf_deinit(&sql);
    return rc;
}

static int find_columns(struct state *st, const char *const *names, int n, const char **out_names,
                        const struct column **out, struct err *e)
{
    for (int i = 0; i < n; i++) {
        out[i] = jobtable_column(st->fused, bytes_str(names[i]));
        if (out[i] == NULL)
            return err_set(e, LEAT_EINVAL, "table %s has no column %s", st->table, names[i]);
        out_names[i] = out[i]->name;
    }
    return 0;
}

static bool key_is_in_order(const struct state *st)
{
    const struct jobtable *t = st->fused;

    if (t->n_pk != st->n_key + 1 || strcmp(t->pk_names[0], st->win) != 0)
        return false;
    for (int i = 0; i < st->n_key; i++)
        if (strcmp(t->pk_names[i + 1], st->key_names[i]) != 0)
            return false;
    return true;
}

// Unless the primary key has the order of windows, finding the open ones would read the closed ones
// too, and going through one would sort all of it first.
static int index_windows(struct state *st, struct err *e)
{
    struct buf columns = BUF_EMPTY;

    if (st->win == NULL || key_is_in_order(st))
        return 0;
    buf_printf(&columns, "%s, ", st->win);
    append_parts(st, 0, st->n_key, &columns);
    return make_index(st, "open", &columns, e);
}

static int use_fused(struct state *st, const struct state_spec *spec, struct err *e)
{
    struct arena *a = &st->jf->arena;
    int rc;

    st->fused = &st->jf->ddl.tables[spec->table];
    st->table = st->fused->name;
    st->blob = HIDDEN_COLUMN;
    st->win = spec->windowed ? "window_start" : NULL;
    if (spec->windowed && jobtable_column(st->fused, BYTES_LIT("window_start")) == NULL)
        return err_set(e, LEAT_EINVAL, "table %s has no column window_start", st->table);
    if (spec->windowed && jobtable_column(st->fused, BYTES_LIT("window_end")) != NULL)
        st->win_end = "window_end";
    st->n_columns = spec->n_columns;
    st->column_names = arena_zalloc(a, (size_t)(spec->n_columns + 1) * sizeof *st->column_names);
    st->columns = arena_zalloc(a, (size_t)(spec->n_columns + 1) * sizeof *st->columns);
    rc = find_columns(st, spec->key_names, spec->n_key, st->key_names, st->keys, e);
    if (rc == 0)
        rc = find_columns(st, spec->columns, spec->n_columns, st->column_names, st->columns, e);
    if (rc == 0)
        rc = add_hidden_column(st, e);
    if (rc < 0)
        return rc;
    return spec->n_prefix > 0 ? index_prefix(st, e) : index_windows(st, e);
}

static void state_free(struct state *st)
{
    db_stmt_free(st->get);
    db_stmt_free(st->update);
    db_stmt_free(st->insert);
    db_stmt_free(st->insert_many);
    db_stmt_free(st->clear);
    db_stmt_free(st->purge_to);
    db_stmt_free(st->purge);
    db_stmt_free(st->touch);
    db_stmt_free(st->del);
    db_stmt_free(st->scan);
    db_stmt_free(st->scan_key);
    db_stmt_free(st->first);
    state_ttl_close(st);
    heap_free(st);
}

static int state_open(struct states *states, const struct state_spec *spec, struct state **out,
                      struct err *e)
{
    struct jobfile *jf = container_of(states, struct jobfile, states);
    struct state *st;
    int rc;

    if (spec->n_key > KEY_PARTS_MAX)
        return err_set(e, LEAT_EINVAL, "%s: a key has at most %d parts", spec->id, KEY_PARTS_MAX);
    st = heap_zalloc(sizeof *st);
    st->jf = jf;
    st->n_key = spec->n_key;
    st->n_prefix = spec->n_prefix;
    st->key_names = arena_zalloc(&jf->arena, (size_t)(st->n_key + 1) * sizeof *st->key_names);
    st->keys = arena_zalloc(&jf->arena, (size_t)(st->n_key + 1) * sizeof *st->keys);
    rc = spec->table >= 0 ? use_fused(st, spec, e) : make_own(st, spec, e);
    if (rc == 0)
        rc = state_ttl_open(st, spec, e);
    if (rc == 0)
        rc = state_prepare_get(st, e);
    if (rc == 0)
        rc = state_prepare_update(st, e);
    if (rc == 0)
        rc = state_prepare_insert(st, 1, &st->insert, e);
    if (rc == 0)
        rc = state_prepare_scan(st, e);
    if (rc == 0)
        rc = state_prepare_first(st, e);
    if (rc == 0 && st->n_prefix > 0)
        rc = state_prepare_scan_key(st, e);
    if (rc < 0) {
        state_free(st);
        return err_wrap(e, rc, "state of %s", spec->id);
    }
    if (jf->states_open == NULL)
        jf->states_open = heap_zalloc(sizeof *jf->states_open);
    st->next = jf->states_open->first;
    jf->states_open->first = st;
    *out = st;
    return 0;
}

static bool is_open(const struct jobfile *jf, struct bytes table)
{
    const struct state *st = jf->states_open != NULL ? jf->states_open->first : NULL;

    for (; st != NULL; st = st->next)
        if (st->fused == NULL && bytes_eq_str(table, st->table))
            return true;
    return false;
}

int states_drop_unused(struct jobfile *jf, struct err *e)
{
    struct db_stmt *s;
    struct buf drops = BUF_EMPTY;
    int rc = db_prepare(jf->db,
                        "SELECT name FROM sqlite_schema WHERE type = 'table'"
                        " AND (name GLOB '_leat_state_*' OR name GLOB '_leat_windows_*')",
                        &s, e);

    if (rc < 0)
        return rc;
    while ((rc = db_next(s, e)) == 1) {
        if (is_open(jf, db_column_text(s, 0)))
            continue;
        buf_append_str(&drops, "DROP TABLE ");
        sql_append_name(&drops, (const char *)db_column_text(s, 0).p);
        buf_append_str(&drops, ";");
    }
    db_stmt_free(s);
    if (rc == 0)
        rc = db_exec(jf->db, buf_cstr(&drops), e);
    buf_deinit(&drops);
    return rc;
}

void states_taken_back(struct jobfile *jf)
{
    struct state *st = jf->states_open != NULL ? jf->states_open->first : NULL;

    for (; st != NULL; st = st->next)
        st->ttl.known = false;
}

void states_unload(struct jobfile *jf)
{
    while (jf->states_open != NULL && jf->states_open->first != NULL) {
        struct state *st = jf->states_open->first;
        jf->states_open->first = st->next;
        state_free(st);
    }
    heap_free(jf->states_open);
    jf->states_open = NULL;
}

// --- key parts ---

static void bind_tagged(struct db_stmt *s, int i, uint8_t tag, struct bytes b,
                        struct arena *scratch)
{
    uint8_t *p = arena_alloc(scratch, b.n + 1);

    p[0] = tag;
    if (b.n > 0)
        memcpy(p + 1, b.p, b.n);
    db_bind_blob(s, i, bytes_of(p, b.n + 1));
}

// NULL: of a table of its own.
static const struct column *key_column(const struct state *st, int part)
{
    return st->fused != NULL ? st->keys[part] : NULL;
}

static int bind_part(struct db_stmt *s, int i, const struct column *column, const struct value *v,
                     struct arena *scratch, struct err *e)
{
    static const struct column any = {.name = "key", .type_text = "any", .type = LOGICAL_ANY};
    uint8_t b[9];

    if (column != NULL)
        return cell_bind(s, i, column, v, scratch, e);
    switch ((enum value_type)v->type) {
    case VALUE_BOOL:
        b[0] = v->b;
        bind_tagged(s, i, TAG_BOOL, bytes_of(b, 1), scratch);
        return 0;
    case VALUE_DECIMAL:
        b[0] = v->scale;
        store_be64(b + 1, (uint64_t)v->i);
        bind_tagged(s, i, TAG_DECIMAL, bytes_of(b, 9), scratch);
        return 0;
    case VALUE_BYTES:
        bind_tagged(s, i, TAG_BYTES, v->s, scratch);
        return 0;
    default:
        return cell_bind(s, i, &any, v, scratch, e);
    }
}

static int read_part(struct state *st, struct db_stmt *s, int part, struct arena *a,
                     struct value *out, struct err *e)
{
    struct bytes b;
    int rc = cell_read(s, 3 + part, st->fused != NULL ? st->keys[part] : NULL, a, out, e);

    if (rc < 0 || st->fused != NULL || out->type != VALUE_BYTES)
        return rc;
    b = out->s;
    if (b.n >= 1 && b.p[0] == TAG_BYTES)
        out->s = bytes_of(b.p + 1, b.n - 1);
    else if (b.n == 2 && b.p[0] == TAG_BOOL)
        *out = value_bool(b.p[1] != 0);
    else if (b.n == 10 && b.p[0] == TAG_DECIMAL)
        *out = (struct value){
            .type = VALUE_DECIMAL, .scale = b.p[1], .i = (int64_t)load_be64(b.p + 2)};
    else
        return err_set(e, LEAT_ECORRUPT, "table %s holds a key that leat did not write", st->table);
    return 0;
}

int state_bind_key(const struct state *st, struct db_stmt *s, int param, const struct state_key *k,
                   struct arena *scratch, struct err *e)
{
    int rc = 0;

    if (st->win != NULL)
        db_bind_int(s, param++, k->window);
    for (int i = 0; i < st->n_key && rc == 0; i++)
        rc = bind_part(s, param++, key_column(st, i), &k->parts[i], scratch, e);
    return rc;
}

static int bind_key(struct state *st, struct db_stmt *s, int param, const struct state_key *k,
                    struct err *e)
{
    return state_bind_key(st, s, param, k, &st->jf->scratch, e);
}

// --- hooks ---

static int fail(struct state *st, int rc, struct err *e)
{
    return rc < 0 ? err_wrap(e, jf_error(st->jf, rc, e), "table %s", st->table) : rc;
}

static struct bytes with_touched(struct state *st, struct bytes blob, struct arena *a)
{
    uint8_t *p = arena_alloc(a, blob.n + 8);

    memcpy(p, blob.p, blob.n);
    store_be64(p + blob.n, (uint64_t)db_column_int(st->get, 1));
    return bytes_of(p, blob.n + 8);
}

static int state_get(struct state *st, const struct state_key *k, struct arena *a,
                     struct bytes *blob, struct err *e)
{
    int rc;

    arena_reset(&st->jf->scratch);
    rc = bind_key(st, st->get, 1, k, e);
    if (rc == 0)
        rc = db_next(st->get, e);
    if (rc == 1) {
        *blob = db_column_blob(st->get, 0);
        if (bytes_is_null(*blob))
            rc = 0;
        else
            *blob = st->ttl.ms > 0 ? with_touched(st, *blob, a) : arena_copy(a, *blob);
    }
    db_reset(st->get);
    return fail(st, rc, e);
}

static int state_del(struct state *st, const struct state_key *k, struct err *e)
{
    int rc = jf_inside(st->jf, e);

    arena_reset(&st->jf->scratch);
    if (rc == 0)
        rc = bind_key(st, st->del, 1, k, e);
    if (rc == 0)
        rc = db_run(st->del, e);
    if (rc == 0 && st->fused != NULL) // rows that reference it may go with it
        rc = history_write(st->jf, e);
    return fail(st, rc, e);
}

static int bind_written(struct state *st, struct db_stmt *s, int param,
                        const struct state_row *row, struct err *e)
{
    const struct value *columns = row->columns;
    int rc = 0;

    for (int i = 0; i < st->n_columns && rc == 0; i++, param++) {
        if (columns[i].type == VALUE_MISSING)
            db_bind_null(s, param);
        else
            rc = cell_bind(s, param, st->columns[i], &columns[i], &st->jf->scratch, e);
    }
    if (rc < 0)
        return rc;
    if (st->ttl.ms > 0)
        state_ttl_note(st, columns[st->n_columns - 1].i);
    if (st->win_end != NULL)
        db_bind_int(s, param++, row->key.window_end);
    db_bind_blob(s, param++, row->blob);
    return bind_key(st, s, param, &row->key, e);
}

static int run_written(struct state *st, struct db_stmt *s, const struct state_row *row,
                       struct err *e)
{
    int rc = bind_written(st, s, 1, row, e);

    return rc < 0 ? rc : db_run(s, e);
}

static int touch(struct state *st, const struct state_key *k, struct bytes blob, struct err *e)
{
    int rc;

    db_bind_blob(st->touch, 1, blob);
    rc = bind_key(st, st->touch, 2, k, e);
    return rc < 0 ? rc : db_run(st->touch, e);
}

// A new row is one statement; the row that is there against expectation is found by its key.
static int write_row(struct state *st, const struct state_row *row, struct err *e)
{
    int rc = row->key.fresh ? run_written(st, st->insert, row, e) : LEAT_ECONSTRAINT;

    if (rc != LEAT_ECONSTRAINT)
        return rc;
    rc = run_written(st, st->update, row, e);
    if (rc == 0 && db_changes(st->jf->db) == 0)
        rc = run_written(st, st->insert, row, e);
    return rc;
}

static int state_put(struct state *st, const struct state_key *k, const struct value *columns,
                     struct bytes blob, struct err *e)
{
    struct state_row row = {.columns = columns, .blob = blob};
    int rc = jf_inside(st->jf, e);

    if (rc < 0)
        return rc;
    if (st->fused == NULL && bytes_is_null(blob))
        return state_del(st, k, e);
    arena_reset(&st->jf->scratch);
    if (st->fused != NULL && columns == NULL)
        return fail(st, touch(st, k, blob, e), e);
    row.key = *k;
    return fail(st, write_row(st, &row, e), e);
}

static int write_together(struct state *st, const struct state_row *rows, struct err *e)
{
    int rc = 0;

    if (st->insert_many == NULL)
        rc = state_prepare_insert(st, ROWS_TOGETHER, &st->insert_many, e);
    for (int i = 0; i < ROWS_TOGETHER && rc == 0; i++)
        rc = bind_written(st, st->insert_many, 1 + i * state_n_inserted(st), &rows[i], e);
    return rc < 0 ? rc : db_run(st->insert_many, e);
}

// Rows in one statement keep the place in the tree from one to the next, which halves their cost.
// When one is refused, none is in, and one by one tells which it was.
static int state_put_rows(struct state *st, const struct state_row *rows, int n, struct err *e)
{
    int rc = jf_inside(st->jf, e), left = n;

    while (rc == 0 && left >= ROWS_TOGETHER && state_n_inserted(st) <= PARAMS_MAX / ROWS_TOGETHER) {
        arena_reset(&st->jf->scratch);
        rc = write_together(st, rows + n - left, e);
        if (rc == 0)
            left -= ROWS_TOGETHER;
    }
    if (rc < 0 && rc != LEAT_ECONSTRAINT)
        return fail(st, rc, e);
    for (rc = 0; rc == 0 && left > 0; left--)
        rc = state_put(st, &rows[n - left].key, rows[n - left].columns, rows[n - left].blob, e);
    return rc;
}

static int state_clear(struct state *st, int64_t window, struct err *e)
{
    int rc = jf_inside(st->jf, e);

    ASSERT(st->fused != NULL && st->win != NULL);
    if (rc == 0 && st->clear == NULL)
        rc = state_prepare_clear(st, e);
    if (rc < 0)
        return fail(st, rc, e);
    db_bind_int(st->clear, 1, window);
    return fail(st, db_run(st->clear, e), e);
}

static int state_first(struct state *st, int64_t from, int64_t to, int64_t *window, struct err *e)
{
    int rc;

    if (st->win == NULL && (from > 0 || to <= 0))
        return 0;
    if (st->win != NULL) {
        db_bind_int(st->first, 1, from);
        db_bind_int(st->first, 2, to);
    }
    rc = db_next(st->first, e);
    if (rc == 1)
        *window = db_column_int(st->first, 0);
    db_reset(st->first);
    return fail(st, rc, e);
}

// The first window that stays though it is before `before`; that when all go.
static int purge_bound(struct state *st, int64_t before, int most, int64_t *to, struct err *e)
{
    int rc;

    db_bind_int(st->purge_to, 1, before);
    db_bind_int(st->purge_to, 2, most);
    rc = db_next(st->purge_to, e);
    if (rc == 1)
        *to = db_column_int(st->purge_to, 0);
    db_reset(st->purge_to);
    return rc;
}

static int state_purge(struct state *st, int64_t before, int most, struct err *e)
{
    int64_t to = before, first;
    int rc = jf_inside(st->jf, e), more;

    ASSERT(st->fused == NULL && st->win != NULL);
    if (rc == 0 && st->purge == NULL)
        rc = state_prepare_purge(st, e);
    if (rc < 0)
        return fail(st, rc, e);
    more = rc = purge_bound(st, before, most, &to, e);
    if (rc == 1)
        rc = state_first(st, INT64_MIN, before, &first, e);
    if (rc < 0)
        return fail(st, rc, e);
    if (more == 1 && first == to)
        to++; // a window of more rows than `most`
    db_bind_int(st->purge, 1, to);
    rc = db_run(st->purge, e);
    return rc < 0 ? fail(st, rc, e) : more;
}

struct scan {
    struct db_stmt *s;
    int (*each)(void *arg, const struct state_key *k, struct bytes blob);
    void *arg;
};

static int scan_row(struct state *st, const struct scan *scan, struct value *parts,
                    struct arena *a, struct err *e)
{
    struct state_key k = {.window = db_column_int(scan->s, 1),
                          .window_end = db_column_int(scan->s, 2),
                          .parts = parts};
    int rc = 0;

    arena_reset(a);
    for (int i = 0; i < st->n_key && rc == 0; i++)
        rc = read_part(st, scan->s, i, a, &parts[i], e);
    return rc < 0 ? rc : scan->each(scan->arg, &k, db_column_blob(scan->s, 0));
}

static int scan_rows(struct state *st, const struct scan *scan, struct err *e)
{
    struct value parts[KEY_PARTS_MAX];
    struct arena a;
    int rc;

    arena_init(&a);
    while ((rc = db_next(scan->s, e)) == 1) {
        rc = scan_row(st, scan, parts, &a, e);
        if (rc != 0)
            break;
    }
    db_reset(scan->s);
    arena_deinit(&a);
    return rc < 0 ? fail(st, rc, e) : rc;
}

static int state_scan(struct state *st, int64_t from, int64_t to,
                      int (*each)(void *arg, const struct state_key *k, struct bytes blob),
                      void *arg, struct err *e)
{
    struct scan scan = {st->scan, each, arg};

    if (st->win == NULL && (from > 0 || to <= 0))
        return 0;
    if (st->win != NULL) {
        db_bind_int(st->scan, 1, from);
        db_bind_int(st->scan, 2, to);
    }
    return scan_rows(st, &scan, e);
}

static int state_scan_key(struct state *st, const struct value *prefix, int64_t from, int64_t to,
                          int (*each)(void *arg, const struct state_key *k, struct bytes blob),
                          void *arg, struct err *e)
{
    struct scan scan = {st->scan_key, each, arg};
    struct arena bound; // as long as the scan, which others may read in between
    int rc = 0;

    arena_init(&bound);
    db_bind_int(st->scan_key, 1, from);
    db_bind_int(st->scan_key, 2, to);
    for (int i = 0; i < st->n_prefix && rc == 0; i++)
        rc = bind_part(st->scan_key, i + 3, key_column(st, i), &prefix[i], &bound, e);
    rc = rc < 0 ? fail(st, rc, e) : scan_rows(st, &scan, e);
    arena_deinit(&bound);
    return rc;
}

const struct states_ops jobfile_states_ops = {
    .open = state_open,
    .get = state_get,
    .get_many = state_get_many,
    .put = state_put,
    .put_rows = state_put_rows,
    .clear = state_clear,
    .del = state_del,
    .purge = state_purge,
    .first = state_first,
    .scan = state_scan,
    .scan_key = state_scan_key,
    .sweep_due = state_sweep_due,
    .sweep = state_sweep,
};
