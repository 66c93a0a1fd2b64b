// SPDX-License-Identifier: Apache-2.0
//
// The history of table x is table x__history: x's columns, valid_from and valid_to, its key x's key
// and valid_from. Public, and read-only like everything that leat writes by itself:
//
//   SELECT * FROM prices__history WHERE sku = :sku AND :t >= valid_from AND :t < valid_to
//
// An aggregate's rows are written once per commit, so versions of them would depend on where
// commits fall: a table that an aggregate feeds has none.
//
// In a file that is there a history can begin (with the rows as they are), end, and be kept longer
// or shorter. What it cannot know then is noted: a number says from when on it can be asked.
#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "projections/history.h"
#include "projections/sql_text.h"

#define NUMBER_PREFIX "history:"

static const char *const own_columns[] = {"valid_from", "valid_to"};

// --- at load ---

static int check_columns(const struct jobtable *t, struct err *e)
{
    bool computed = false;

    for (int i = 0; i < t->n_columns; i++) {
        const struct column *c = &t->columns[i];
        for (size_t k = 0; k < ARRAY_LEN(own_columns); k++)
            if (strcasecmp(c->name, own_columns[k]) == 0)
                return err_set(e, LEAT_ELOAD,
                               "history: the column %s is its own; call the table's otherwise",
                               c->name);
        // SQLite numbers the columns behind it differently where changes are told.
        if (computed && !c->generated)
            return err_set(e, LEAT_ELOAD,
                           "history: the computed columns must stand behind the others, and %s "
                           "comes later",
                           c->name);
        computed = computed || c->generated;
    }
    return 0;
}

static int check_name(const struct plan *p, const char *name, struct err *e)
{
    int line = 0;

    for (int i = 0; i < p->n_tables; i++)
        if (strcasecmp(p->tables[i].name, name) == 0)
            line = p->tables[i].line;
    for (int i = 0; i < p->n_views; i++)
        if (strcasecmp(p->views[i].name, name) == 0)
            line = p->views[i].line;
    if (line == 0)
        return 0;
    return err_set(e, LEAT_ELOAD, "history: its table is %s, which stands on line %d already", name,
                   line);
}

static int check(const struct plan *p, const struct plan_table *pt, struct jobtable *t,
                 const char *name, struct err *e)
{
    int rc;

    if (duration_parse(bytes_str(pt->history), &t->history_ms) < 0 || t->history_ms <= 0)
        return err_set(e, LEAT_ELOAD, "history = \"%s\" is no duration; write \"30d\"",
                       pt->history);
    if (pt->aggregate >= 0)
        return err_set(e, LEAT_ELOAD,
                       "history: the rows are an aggregate's, which are written once per commit, "
                       "so their versions would depend on where commits fall; write its :changes() "
                       "into a table with a history");
    rc = check_columns(t, e);
    return rc < 0 ? rc : check_name(p, name, e);
}

// The key compares as the table's does.
static int append_collation(struct db *db, const struct jobtable *t, const struct column *c,
                            struct buf *sql, struct err *e)
{
    struct db_stmt *s;
    int rc;

    if (c->pk == 0)
        return 0;
    rc = db_prepare(db,
                    "SELECT i.coll FROM pragma_index_list(?1) l, pragma_index_xinfo(l.name) i"
                    " WHERE l.origin = 'pk' AND i.name = ?2 AND i.key",
                    &s, e);
    if (rc < 0)
        return rc;
    db_bind_str(s, 1, t->name);
    db_bind_str(s, 2, c->name);
    rc = db_next(s, e);
    if (rc == 1) {
        buf_append_str(sql, " COLLATE ");
        sql_append_name(sql, (const char *)db_column_text(s, 0).p);
    }
    db_stmt_free(s);
    return rc < 0 ? rc : 0;
}

static int create_text(struct db *db, const struct jobtable *t, const char *name, struct arena *a,
                       const char **out, struct err *e)
{
    struct buf sql = BUF_EMPTY;
    int rc = 0;

    buf_append_str(&sql, "CREATE TABLE ");
    sql_append_name(&sql, name);
    buf_append_str(&sql, " (\n");
    for (int i = 0; i < t->n_columns && rc == 0; i++) {
        sql_append_name(&sql, t->columns[i].name);
        buf_printf(&sql, " %s", logical_storage(t->columns[i].type));
        rc = append_collation(db, t, &t->columns[i], &sql, e);
        buf_append_str(&sql, ",\n");
    }
    buf_append_str(&sql, "valid_from INTEGER NOT NULL,\nvalid_to INTEGER NOT NULL,\n"
                         "PRIMARY KEY (");
    for (int i = 0; i < t->n_pk; i++) {
        sql_append_name(&sql, t->pk_names[i]);
        buf_append_str(&sql, ", ");
    }
    buf_append_str(&sql, "valid_from)\n) STRICT, WITHOUT ROWID");
    *out = arena_strdup(a, buf_cstr(&sql));
    buf_deinit(&sql);
    return rc;
}

static void describe(struct jobtable *h, const struct jobtable *t, struct arena *a)
{
    h->n_columns = t->n_columns + 2;
    h->columns = arena_zalloc(a, (size_t)h->n_columns * sizeof *h->columns);
    for (int i = 0; i < t->n_columns; i++) {
        h->columns[i] = t->columns[i];
        h->columns[i].generated = false;
    }
    h->n_pk = t->n_pk + 1;
    h->pk_names = arena_zalloc(a, (size_t)h->n_pk * sizeof *h->pk_names);
    for (int i = 0; i < t->n_pk; i++)
        h->pk_names[i] = t->pk_names[i];
    h->pk_names[t->n_pk] = own_columns[0];
    for (int i = 0; i < 2; i++)
        h->columns[t->n_columns + i] = (struct column){.name = own_columns[i],
                                                       .type_text = "time",
                                                       .type = LOGICAL_TIME,
                                                       .not_null = true};
}

static int build_one(struct db *scratch, const struct plan *p, int table, struct arena *a,
                     struct ddl *d, struct err *e)
{
    const struct plan_table *pt = &p->tables[table];
    struct jobtable *t = &d->tables[table], *h = arena_zalloc(a, sizeof *h);
    int rc;

    h->name = arena_printf(a, "%s__history", t->name);
    rc = check(p, pt, t, h->name, e);
    if (rc == 0)
        rc = create_text(scratch, t, h->name, a, &h->create, e);
    if (rc == 0)
        rc = db_exec(scratch, h->create, e);
    if (rc < 0)
        return rc;
    describe(h, t, a);
    t->history = h;
    return 0;
}

int history_build(struct db *scratch, const struct plan *p, struct arena *a, struct ddl *d,
                  struct err *e)
{
    for (int i = 0; i < d->n_tables; i++) {
        int rc = p->tables[i].history != NULL ? build_one(scratch, p, i, a, d, e) : 0;

        if (rc < 0)
            return err_wrap(e, rc, "%s:%d: table %s", p->file, p->tables[i].line,
                            p->tables[i].name);
    }
    return 0;
}

// --- in files ---

int history_create(struct jobfile *jf, struct err *e)
{
    int rc = 0;

    for (int i = 0; i < jf->ddl.n_tables && rc == 0; i++)
        if (jf->ddl.tables[i].history != NULL)
            rc = db_exec(jf->db, jf->ddl.tables[i].history->create, e);
    return rc;
}

const char *history_number(const struct jobtable *t, struct arena *a)
{
    return arena_printf(a, NUMBER_PREFIX "%s", t->name);
}

// No source has come further than this.
static int last_watermark(struct jobfile *jf, int64_t *w, struct err *e)
{
    return db_query_int(jf->db,
                        "SELECT coalesce(max(watermark), -9223372036854775807 - 1)"
                        " FROM _leat_offsets",
                        w, e);
}

// It can be asked from here on; never sooner than before.
static int put_since(struct jobfile *jf, const struct jobtable *t, int64_t since, struct err *e)
{
    struct db_stmt *s;
    int rc = db_prepare(jf->db,
                        "INSERT OR ABORT INTO _leat_numbers VALUES (?1, ?2)"
                        " ON CONFLICT DO UPDATE SET value = max(value, excluded.value)",
                        &s, e);

    if (rc < 0)
        return rc;
    db_bind_str(s, 1, history_number(t, &jf->arena));
    db_bind_int(s, 2, since);
    rc = db_run(s, e);
    db_stmt_free(s);
    return rc;
}

static void append_columns(const struct jobtable *t, struct buf *sql)
{
    for (int i = 0; i < t->n_columns; i++) {
        buf_append_str(sql, i ? ", " : "");
        sql_append_name(sql, t->columns[i].name);
    }
}

// With the rows that are there.
static int begin(struct jobfile *jf, const struct jobtable *t, struct err *e)
{
    struct buf sql = BUF_EMPTY;
    int64_t since = INT64_MIN;
    int rc = last_watermark(jf, &since, e);

    if (rc == 0)
        rc = db_exec(jf->db, t->history->create, e);
    buf_append_str(&sql, "INSERT OR ABORT INTO ");
    sql_append_name(&sql, t->history->name);
    buf_append_str(&sql, " SELECT ");
    append_columns(t, &sql);
    buf_printf(&sql, ", %" PRId64 ", %" PRId64 " FROM ",
               since > DATETIME_MIN ? since : DATETIME_MIN, (int64_t)HISTORY_FOREVER);
    sql_append_name(&sql, t->name);
    if (rc == 0)
        rc = db_exec(jf->db, buf_cstr(&sql), e);
    buf_deinit(&sql);
    return rc == 0 ? put_since(jf, t, since, e) : rc;
}

static int drop(struct jobfile *jf, const char *table, struct err *e)
{
    struct buf sql = BUF_EMPTY;
    int rc;

    buf_printf(&sql, "DROP TABLE \"%s__history\"; DELETE FROM _leat_columns WHERE \"table\" = "
                     "'%s__history'; DELETE FROM _leat_numbers WHERE name = '" NUMBER_PREFIX "%s'",
               table, table, table);
    rc = db_exec(jf->db, buf_cstr(&sql), e);
    buf_deinit(&sql);
    return rc;
}

// The columns that the table has got, with what its old rows were given.
static int add_columns(struct jobfile *jf, const struct jobtable *t,
                       const struct outline_table *was, struct err *e)
{
    struct buf sql = BUF_EMPTY;
    int rc = 0;

    for (int i = 0; i < t->n_columns && rc == 0; i++) {
        const struct column *c = &t->columns[i];

        if (outline_find_column(was, c->name) != NULL)
            continue;
        buf_clear(&sql);
        buf_append_str(&sql, "ALTER TABLE ");
        sql_append_name(&sql, t->history->name);
        buf_append_str(&sql, " ADD COLUMN ");
        sql_append_name(&sql, c->name);
        buf_printf(&sql, " %s", logical_storage(c->type));
        if (c->fallback != NULL)
            buf_printf(&sql, " DEFAULT %s", c->fallback);
        rc = db_exec(jf->db, buf_cstr(&sql), e);
    }
    buf_deinit(&sql);
    return rc;
}

// Kept longer than until now: what has gone does not come back.
static int keep(struct jobfile *jf, const struct jobtable *t, const char *was, struct err *e)
{
    int64_t before = 0, since = INT64_MIN;
    int rc;

    if (duration_parse(bytes_str(was), &before) < 0 || before >= t->history_ms)
        return 0;
    rc = last_watermark(jf, &since, e);
    if (rc < 0 || __builtin_sub_overflow(since, before, &since))
        return rc;
    return put_since(jf, t, since, e);
}

static int go_on(struct jobfile *jf, const struct jobtable *t, const struct outline_table *was,
                 const char *history, struct err *e)
{
    int rc = add_columns(jf, t, was, e);

    return rc == 0 ? keep(jf, t, history, e) : rc;
}

static const struct jobtable *find(const struct jobfile *jf, const char *name)
{
    for (int i = 0; i < jf->ddl.n_tables; i++)
        if (strcmp(jf->ddl.tables[i].name, name) == 0)
            return &jf->ddl.tables[i];
    return NULL;
}

int history_upgrade(struct jobfile *jf, const struct outline *was, struct err *e)
{
    int rc = 0;

    for (int i = 0; i < was->n_tables && rc == 0; i++) {
        const struct outline_table *old = &was->tables[i];
        const char *history = outline_text(&old->config, "history", &jf->arena);
        const struct jobtable *t = find(jf, old->name);

        if (history != NULL && (t == NULL || t->history == NULL))
            rc = drop(jf, old->name, e);
        else if (history != NULL)
            rc = go_on(jf, t, old, history, e);
        else if (t != NULL && t->history != NULL)
            rc = begin(jf, t, e);
    }
    for (int i = 0; i < jf->ddl.n_tables && rc == 0; i++) {
        const struct jobtable *t = &jf->ddl.tables[i];

        if (t->history != NULL && outline_find_table(was, t->name) == NULL)
            rc = db_exec(jf->db, t->history->create, e);
    }
    return err_wrap(e, rc, "history");
}
