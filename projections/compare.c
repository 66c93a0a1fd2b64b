// SPDX-License-Identifier: Apache-2.0
//
// The two sides of a comparison: the plan that a job file was made for, out of the file, and the
// plan at hand. In the file stand the plan's JSON (_leat_meta), the statements of its tables
// (_leat_parts) and the types that their columns were declared with (_leat_columns).
//
// A job that has not read or made anything yet has no history to keep: every change is in place.
#include <string.h>

#include "projections/jobfile_internal.h"

// --- the file ---

static int each_row(struct db *db, const char *sql, int (*row)(void *arg, struct db_stmt *s),
                    void *arg, struct err *e)
{
    struct db_stmt *s;
    int rc = db_prepare(db, sql, &s, e);

    if (rc < 0)
        return rc;
    while ((rc = db_next(s, e)) == 1) {
        rc = row(arg, s);
        if (rc < 0)
            break;
    }
    db_stmt_free(s);
    return rc < 0 ? rc : 0;
}

struct reading {
    struct outline *o;
    struct arena *arena;
};

static int statement_row(void *arg, struct db_stmt *s)
{
    struct reading *r = arg;
    const char *name = (const char *)arena_copy(r->arena, db_column_text(s, 0)).p,
               *create = (const char *)arena_copy(r->arena, db_column_text(s, 1)).p;
    struct outline_table *t = outline_find_table(r->o, name);

    if (t != NULL)
        outline_statement(t, create, r->arena);
    return 0;
}

static int type_row(void *arg, struct db_stmt *s)
{
    struct reading *r = arg;
    const char *table = (const char *)arena_copy(r->arena, db_column_text(s, 0)).p,
               *name = (const char *)arena_copy(r->arena, db_column_text(s, 1)).p;
    struct outline_table *t = outline_find_table(r->o, table);
    struct outline_column *c = t != NULL ? outline_find_column(t, name) : NULL;

    if (c != NULL)
        c->type = (const char *)arena_copy(r->arena, db_column_text(s, 2)).p;
    return 0;
}

int outline_of_file(struct db *db, struct arena *a, struct outline *o, struct err *e)
{
    struct reading r = {o, a};
    struct db_stmt *s;
    int rc = db_prepare(db, "SELECT value FROM _leat_meta WHERE name = 'plan'", &s, e);

    if (rc < 0)
        return rc;
    rc = db_next(s, e);
    if (rc == 0)
        rc = err_set(e, LEAT_ECORRUPT, "the file holds no plan");
    else if (rc > 0)
        rc = outline_read(o, db_column_text(s, 0), a, e);
    db_stmt_free(s);
    if (rc == 0)
        rc = each_row(db, "SELECT name, content FROM _leat_parts WHERE kind = 'table'",
                      statement_row, &r, e);
    if (rc == 0)
        rc = each_row(db, "SELECT \"table\", name, type FROM _leat_columns", type_row, &r, e);
    return err_wrap(e, rc, "the plan stored in the job file");
}

// --- the plan ---

int outline_of_plan(const struct plan *p, const struct ddl *d, struct arena *a, struct outline *o,
                    struct err *e)
{
    struct buf json = BUF_EMPTY;
    int rc;

    plan_write_json(p, &json);
    rc = outline_read(o, buf_bytes(&json), a, e);
    buf_deinit(&json);
    for (int i = 0; i < d->n_tables && rc == 0; i++) {
        struct outline_table *t = outline_find_table(o, d->tables[i].name);
        ASSERT(t != NULL);
        outline_statement(t, d->tables[i].create, a);
        for (int k = 0; k < d->tables[i].n_columns; k++) {
            struct outline_column *c = outline_find_column(t, d->tables[i].columns[k].name);
            if (c != NULL)
                c->type = d->tables[i].columns[k].type_text;
        }
    }
    return rc;
}

// --- both ---

// The commits are trimmed, so they alone do not say.
int file_is_unused(struct db *db, bool *unused, struct err *e)
{
    static const char sql[] =
        "SELECT EXISTS (SELECT 1 FROM _leat_offsets WHERE next > 0 OR last_time IS NOT NULL)"
        " OR EXISTS (SELECT 1 FROM _leat_commits WHERE records > 0)"
        " OR EXISTS (SELECT 1 FROM _leat_parked) OR EXISTS (SELECT 1 FROM _leat_outbox)"
        " OR EXISTS (SELECT 1 FROM _leat_relay)"
        " OR EXISTS (SELECT 1 FROM _leat_numbers WHERE name GLOB 'every:*')";
    int64_t used = 0;
    int rc = db_query_int(db, sql, &used, e);

    *unused = used == 0;
    return rc;
}

static void make_harmless(struct differences *d)
{
    for (int i = 0; i < d->n; i++) {
        d->items[i].class = UPGRADE_IN_PLACE;
        d->items[i].why = "nothing has been read yet";
    }
    d->class = d->n > 0 ? UPGRADE_IN_PLACE : UPGRADE_SAME;
}

static int64_t number_or(struct db *db, const char *sql, int64_t fallback)
{
    int64_t v;

    return db_query_int(db, sql, &v, NULL) == 0 ? v : fallback;
}

static int compare_with(struct db *db, const struct plan *p, struct arena *a,
                        struct jobfile_comparison *out, struct err *e)
{
    struct outline was, is;
    struct ddl ddl;
    bool unused = false;
    int rc = jf_scratch(p, a, &ddl, NULL, e);

    if (rc == 0)
        rc = outline_of_file(db, a, &was, e);
    if (rc == 0)
        rc = outline_of_plan(p, &ddl, a, &is, e);
    if (rc == 0)
        rc = file_is_unused(db, &unused, e);
    if (rc < 0)
        return rc;
    differences_find(&was, &is, a, &out->differences);
    if (unused)
        make_harmless(&out->differences);
    out->unused = unused;
    out->records = number_or(db, "SELECT coalesce(sum(next), 0) FROM _leat_offsets", -1);
    out->per_second = number_or(db,
                                "SELECT sum(records) * 1000000 / sum(micros) FROM _leat_commits"
                                " HAVING sum(micros) > 0",
                                -1);
    return 0;
}

int file_open_made(const char *path, struct db **out, struct err *e)
{
    struct db_options o = {.mode = DB_READER};
    int64_t made = 0;
    int rc = db_open(out, path, &o, e);

    if (rc < 0)
        return rc;
    db_set_policy(*out, NULL);
    rc = db_begin(*out, e);
    if (rc == 0)
        rc = db_query_int(*out, "SELECT count(*) FROM sqlite_schema WHERE name = '_leat_meta'",
                          &made, e);
    if (rc == 0 && made == 0)
        rc = err_set(e, LEAT_ENOTFOUND, "no job has been made in it yet");
    if (rc < 0)
        db_close(*out);
    return rc;
}

int jobfile_compare(const struct plan *p, const char *path, struct arena *a,
                    struct jobfile_comparison *out, struct err *e)
{
    struct db *db;
    int rc = file_open_made(path, &db, e);

    *out = (struct jobfile_comparison){0};
    if (rc == 0) {
        rc = compare_with(db, p, a, out, e);
        db_close(db);
    }
    return err_wrap(e, rc, "%s", path);
}

int jobfile_may_open(const struct plan *p, const struct jobfile_options *o, struct err *e)
{
    struct jobfile_comparison c;
    struct arena a;
    int rc;

    arena_init(&a);
    rc = jobfile_compare(p, o->path, &a, &c, e);
    if (rc == 0)
        rc = err_wrap(e, upgrade_allowed(p, &c.differences, o, e), "%s", o->path);
    else if (rc == LEAT_ENOTFOUND)
        rc = 0;
    arena_deinit(&a);
    return rc;
}

int jobfile_used(const char *path, bool *used, struct err *e)
{
    struct db *db;
    int rc = file_open_made(path, &db, e);
    bool unused = true;

    if (rc == 0) {
        rc = file_is_unused(db, &unused, e);
        db_close(db);
    }
    *used = !unused;
    return rc == LEAT_ENOTFOUND ? 0 : err_wrap(e, rc, "%s", path);
}
