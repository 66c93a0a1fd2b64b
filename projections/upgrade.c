// SPDX-License-Identifier: Apache-2.0
//
// A plan that changed, taken up by the file that an older one made: everything in the transaction
// that opens the file, or nothing.
//
//   same        nothing to do
//   in place    columns added, views and indexes made anew
//   from now    nothing in the file
//   removed     refused, or with `drop`: the rows go; the tables of operators go in the first step,
//               when it is known which of them are still opened
//   rebuild     refused, or with `from_now` where it can be: new tables begin empty, and what is
//               kept goes on under the new meaning
//
// What was taken up stands in _leat_upgrades, with the commit behind which it holds. The rows of
// process with another shape of state stay as they are; a number in the file tells the operator
// which of them `upgrade` has not seen (operators/process.c).
#include <stdio.h>
#include <string.h>

#include "projections/history.h"
#include "projections/jobfile_internal.h"
#include "projections/sql_text.h"
#include "runtime/base/failpoint.h"
#include "runtime/base/heap.h"

static int run_with(struct jobfile *jf, const char *sql, const char *const *texts, struct err *e)
{
    struct db_stmt *s;
    int rc = db_prepare(jf->db, sql, &s, e);

    if (rc < 0)
        return rc;
    for (int i = 0; texts[i] != NULL; i++)
        db_bind_str(s, i + 1, texts[i]);
    rc = db_run(s, e);
    db_stmt_free(s);
    return rc;
}

// --- what the file was made for ---

static int put_statement(struct jobfile *jf, const struct jobtable *t, struct err *e)
{
    const char *texts[] = {t->name, t->create, NULL};

    return run_with(jf,
                    "INSERT OR ABORT INTO _leat_parts VALUES ('table', ?1, ?2)"
                    " ON CONFLICT DO UPDATE SET content = excluded.content",
                    texts, e);
}

static int put_columns(struct jobfile *jf, const struct jobtable *t, struct err *e)
{
    struct db_stmt *s;
    int rc = db_prepare(jf->db,
                        "INSERT OR ABORT INTO _leat_columns VALUES (?1, ?2, ?3)"
                        " ON CONFLICT DO UPDATE SET type = excluded.type",
                        &s, e);

    if (rc < 0)
        return rc;
    for (int i = 0; i < t->n_columns && rc == 0; i++) {
        db_bind_str(s, 1, t->name);
        db_bind_str(s, 2, t->columns[i].name);
        db_bind_str(s, 3, t->columns[i].type_text);
        rc = db_run(s, e);
    }
    db_stmt_free(s);
    return rc;
}

// As it is now, queries and settings included, for those who have the file and not the job.
static int put_plan(struct jobfile *jf, struct err *e)
{
    struct buf json = BUF_EMPTY;
    int rc;

    plan_write_json(jf->plan, &json);
    rc = jf_meta_put_text(jf, "plan", buf_bytes(&json), e);
    if (rc == 0)
        rc = jf_meta_put_int(jf, "fingerprint", (int64_t)jf->plan->fingerprint, e);
    buf_deinit(&json);
    return rc;
}

int upgrade_record(struct jobfile *jf, struct err *e)
{
    int rc = put_plan(jf, e);

    for (int i = 0; i < jf->ddl.n_tables && rc == 0; i++) {
        rc = put_statement(jf, &jf->ddl.tables[i], e);
        if (rc == 0)
            rc = put_columns(jf, &jf->ddl.tables[i], e);
        if (rc == 0 && jf->ddl.tables[i].history != NULL)
            rc = put_columns(jf, jf->ddl.tables[i].history, e);
    }
    return rc;
}

static int put_difference(struct jobfile *jf, const struct difference *d, struct err *e)
{
    char sign[] = {d->sign, 0};
    const char *class = d->class == UPGRADE_REBUILD ? "rebuild, taken from now on"
                                                    : upgrade_class_name(d->class);
    const char *texts[] = {class, d->what, d->name, sign, d->text, d->why, NULL};

    return run_with(jf,
                    "INSERT OR ABORT INTO _leat_upgrades (commit_id, class, what, name, sign, text,"
                    " why) SELECT coalesce(max(id), 0), ?1, ?2, ?3, ?4, ?5, ?6 FROM _leat_commits",
                    texts, e);
}

// --- tables ---

static int add_column(struct jobfile *jf, const char *table, struct bytes line, struct err *e)
{
    struct buf sql = BUF_EMPTY;
    int rc;

    buf_append_str(&sql, "ALTER TABLE ");
    sql_append_name(&sql, table);
    buf_append_str(&sql, " ADD COLUMN ");
    buf_append_bytes(&sql, line);
    rc = db_exec(jf->db, buf_cstr(&sql), e);
    buf_deinit(&sql);
    return rc;
}

static int add_columns(struct jobfile *jf, const struct outline_table *was,
                       const struct outline_table *is, struct err *e)
{
    int rc = 0;

    for (int i = 0; i < is->n_columns && rc == 0; i++)
        if (outline_find_column(was, is->columns[i].name) == NULL)
            rc = add_column(jf, is->name, is->columns[i].line, e);
    return err_wrap(e, rc, "table %s", is->name);
}

static int drop_table(struct jobfile *jf, const char *name, struct err *e)
{
    struct buf sql = BUF_EMPTY;
    int rc;

    buf_append_str(&sql, "DROP TABLE ");
    sql_append_name(&sql, name);
    rc = db_exec(jf->db, buf_cstr(&sql), e);
    buf_deinit(&sql);
    return rc;
}

static int forget_table(struct jobfile *jf, const char *name, struct err *e)
{
    const char *texts[] = {name, NULL};
    int rc = run_with(jf, "DELETE FROM _leat_parts WHERE kind = 'table' AND name = ?1", texts, e);

    return rc == 0 ? run_with(jf, "DELETE FROM _leat_columns WHERE \"table\" = ?1", texts, e) : rc;
}

// Tables that refer to each other go in the order that their foreign keys allow: whoever cannot go
// yet is tried again after the others.
static int drop_tables(struct jobfile *jf, const struct outline *was, const struct outline *is,
                       struct err *e)
{
    bool *gone = arena_zalloc(&jf->arena, ((size_t)was->n_tables + 1) * sizeof *gone);
    int rc = 0;

    for (bool moved = true; moved;) {
        moved = false;
        rc = 0;
        for (int i = 0; i < was->n_tables; i++) {
            const char *name = was->tables[i].name;
            int one;
            if (gone[i] || outline_find_table(is, name) != NULL)
                continue;
            one = drop_table(jf, name, e);
            if (one == 0)
                one = forget_table(jf, name, e);
            gone[i] = one == 0;
            moved = moved || gone[i];
            rc = one < 0 ? one : rc;
        }
    }
    return rc;
}

static int make_tables(struct jobfile *jf, const struct outline *was, const struct outline *is,
                       struct err *e)
{
    int rc = 0;

    for (int i = 0; i < jf->ddl.n_tables && rc == 0; i++) {
        const struct jobtable *t = &jf->ddl.tables[i];
        const struct outline_table *old = outline_find_table(was, t->name);
        if (old == NULL)
            rc = db_exec(jf->db, t->create, e);
        else
            rc = add_columns(jf, old, outline_find_table(is, t->name), e);
    }
    return rc;
}

// Views and indexes follow the plan: what it does not have goes, what the file does not have is
// made.
static int drop_old(struct jobfile *jf, const char *type, struct err *e)
{
    struct db_stmt *s;
    struct buf drops = BUF_EMPTY;
    bool views = strcmp(type, "view") == 0;
    int rc = db_prepare(jf->db,
                        "SELECT name, sql FROM sqlite_schema WHERE type = ?1 AND sql IS NOT NULL"
                        " AND (type = 'view' OR name GLOB '_leat_index_*')",
                        &s, e);

    if (rc < 0)
        return rc;
    db_bind_str(s, 1, type);
    while ((rc = db_next(s, e)) == 1) {
        bool kept = false;
        for (int i = 0; i < (views ? jf->ddl.n_views : jf->ddl.n_indexes) && !kept; i++)
            kept = bytes_eq_str(db_column_text(s, 1),
                                views ? jf->ddl.views[i].create : jf->ddl.indexes[i].create);
        if (kept)
            continue;
        buf_printf(&drops, "DROP %s ", type);
        sql_append_name(&drops, (const char *)db_column_text(s, 0).p);
        buf_append_str(&drops, ";");
    }
    db_stmt_free(s);
    if (rc == 0)
        rc = db_exec(jf->db, buf_cstr(&drops), e);
    buf_deinit(&drops);
    return rc;
}

static int make_new(struct jobfile *jf, const char *name, const char *sql, struct err *e)
{
    struct db_stmt *s;
    int rc = db_prepare(jf->db, "SELECT 1 FROM sqlite_schema WHERE name = ?1", &s, e);

    if (rc < 0)
        return rc;
    db_bind_str(s, 1, name);
    rc = db_next(s, e);
    db_stmt_free(s);
    return rc == 0 ? db_exec(jf->db, sql, e) : rc < 0 ? rc : 0;
}

int upgrade_make_views(struct jobfile *jf, struct err *e)
{
    int rc = 0;

    for (int i = 0; i < jf->ddl.n_indexes && rc == 0; i++)
        rc = make_new(jf, jf->ddl.indexes[i].name, jf->ddl.indexes[i].create, e);
    for (int i = 0; i < jf->ddl.n_views && rc == 0; i++)
        rc = make_new(jf, jf->ddl.views[i].name, jf->ddl.views[i].create, e);
    return rc;
}

// --- operators ---

// States of this shape are of a new generation.
static int new_generation(struct jobfile *jf, const char *id, struct err *e)
{
    const char *texts[] = {arena_printf(&jf->arena, GENERATION_NUMBER "%s", id), NULL};

    return run_with(jf,
                    "INSERT OR ABORT INTO _leat_numbers VALUES (?1, 1)"
                    " ON CONFLICT DO UPDATE SET value = value + 1",
                    texts, e);
}

static int apply_shapes(struct jobfile *jf, const struct outline *was, const struct outline *is,
                        struct err *e)
{
    int rc = 0;

    for (int i = 0; i < is->n_nodes && rc == 0; i++) {
        int old = outline_find_node(was, is->nodes[i].id);
        if (old >= 0 && strcmp(is->nodes[i].kind, "process") == 0 &&
            was->nodes[old].shape != is->nodes[i].shape)
            rc = new_generation(jf, is->nodes[i].id, e);
    }
    return rc;
}

// --- all ---

static const struct difference *first_of(const struct differences *d, enum upgrade_class class,
                                         bool only_hard)
{
    for (int i = 0; i < d->n; i++)
        if (d->items[i].class == class && !(only_hard && d->items[i].from_now))
            return &d->items[i];
    return NULL;
}

static int refuse(const struct differences *d, const struct plan *p, bool from_now, struct err *e)
{
    const struct difference *first = first_of(d, UPGRADE_REBUILD, from_now);
    struct buf text = BUF_EMPTY;
    int rc;

    difference_print(first, &text);
    if (from_now)
        rc = err_set(e, LEAT_EINVAL,
                     "%.200s: this cannot be taken from now on, only by building the file anew: "
                     "set version = %d",
                     buf_cstr(&text), p->version + 1);
    else
        rc = err_set(e, LEAT_EINVAL,
                     "the job has changed since its file was made: %.200s. Set version = %d to "
                     "build it anew beside version %d%s%s (`leat plan` lists all changes)",
                     buf_cstr(&text), p->version + 1, p->version, plan_again(p),
                     d->from_now ? ", or start it with --from-now" : "");
    buf_deinit(&text);
    return rc;
}

static int refuse_removal(const struct differences *d, struct err *e)
{
    const struct difference *first = first_of(d, UPGRADE_REMOVED, false);

    return err_set(e, LEAT_EINVAL,
                   "%s %s is gone from the job: start it with --yes to drop what it keeps, or put "
                   "it back",
                   first->what, first->name);
}

int upgrade_allowed(const struct plan *p, const struct differences *d,
                    const struct jobfile_options *o, struct err *e)
{
    if (d->class == UPGRADE_REBUILD && !(o->from_now && d->from_now))
        return refuse(d, p, o->from_now, e);
    if (first_of(d, UPGRADE_REMOVED, false) != NULL && !o->drop)
        return refuse_removal(d, e);
    return 0;
}

// What is done, one behind the other.
struct upgrading {
    struct jobfile *jf;
    struct outline was, is;
    struct differences differences;
};

static int stage_old_views(struct upgrading *u, struct err *e)
{
    int rc = drop_old(u->jf, "view", e);

    return rc == 0 ? drop_old(u->jf, "index", e) : rc;
}

static int stage_drop_tables(struct upgrading *u, struct err *e)
{
    return drop_tables(u->jf, &u->was, &u->is, e);
}

static int stage_tables(struct upgrading *u, struct err *e)
{
    return make_tables(u->jf, &u->was, &u->is, e);
}

static int stage_history(struct upgrading *u, struct err *e)
{
    return history_upgrade(u->jf, &u->was, e);
}

static int stage_views(struct upgrading *u, struct err *e)
{
    return upgrade_make_views(u->jf, e);
}

static int stage_operators(struct upgrading *u, struct err *e)
{
    int rc = apply_shapes(u->jf, &u->was, &u->is, e);

    if (rc == 0 && first_of(&u->differences, UPGRADE_REMOVED, false) != NULL)
        rc = jf_meta_put_int(u->jf, "unused_state", 1, e);
    return rc;
}

static int stage_record(struct upgrading *u, struct err *e)
{
    int rc = 0;

    for (int i = 0; i < u->differences.n && rc == 0; i++)
        rc = put_difference(u->jf, &u->differences.items[i], e);
    return rc == 0 ? upgrade_record(u->jf, e) : rc;
}

static int take_up(struct upgrading *u, struct err *e)
{
    static int (*const stages[])(struct upgrading *u, struct err *e) = {
        stage_old_views, stage_drop_tables, stage_tables, stage_history,
        stage_views,     stage_operators,   stage_record};
    int rc = 0;

    for (size_t i = 0; i < ARRAY_LEN(stages) && rc == 0; i++) {
        rc = stages[i](u, e);
        if (rc == 0 && failpoint("upgrade_stage") < 0)
            rc = err_set(e, LEAT_EIO, "failpoint upgrade_stage");
    }
    return rc;
}

int upgrade_apply(struct jobfile *jf, const struct jobfile_options *o, struct err *e)
{
    struct upgrading u = {.jf = jf};
    bool unused = false;
    int rc = outline_of_file(jf->db, &jf->arena, &u.was, e);

    if (rc == 0)
        rc = outline_of_plan(jf->plan, &jf->ddl, &jf->arena, &u.is, e);
    if (rc == 0)
        rc = file_is_unused(jf->db, &unused, e);
    if (rc < 0)
        return rc;
    differences_find(&u.was, &u.is, &jf->arena, &u.differences);
    if (unused && u.differences.class > UPGRADE_FROM_NOW)
        return UPGRADE_ANEW;
    rc = upgrade_allowed(jf->plan, &u.differences, o, e);
    return rc == 0 ? take_up(&u, e) : rc;
}
