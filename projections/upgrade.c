// SPDX-License-Identifier: Apache-2.0
//
// A plan that changed. What the file was made for stands in _leat_parts: the statement of every
// table, the fingerprint of every operator that keeps rows (which covers everything upstream of
// it). Compared with the plan at hand:
//
//   same                                   nothing to do
//   view, index, query; anything stateless in place: made anew, or nothing in the file
//   column added at the end, nullable or
//   with a constant default                in place: ALTER TABLE ADD COLUMN
//   operator or table gone                 in place; its rows stay in the file until it is rebuilt
//   anything else                          rebuild: refused until the version is bumped, or
//   from_now is given
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "projections/jobfile_internal.h"
#include "projections/sql_text.h"
#include "runtime/base/heap.h"

enum change { CHANGE_NONE, CHANGE_IN_PLACE, CHANGE_REBUILD };

struct comparison {
    enum change change;
    struct buf text; // a line per difference
};

static bool keeps_rows(const struct plan_node *n)
{
    enum node_kind k = n->kind;

    if (k == NODE_JOIN) // the waiting records' rows stand at their expiry, which the interval made
        return n->join.with == JOIN_STREAM;
    return k == NODE_AGGREGATE || k == NODE_MATCH || k == NODE_INTO;
}

static void differs(struct comparison *c, enum change change, const char *what, const char *name,
                    const char *how)
{
    if (change > c->change)
        c->change = change;
    buf_printf(&c->text, "%s %s %s%s\n", what, name, how,
               change == CHANGE_REBUILD ? ": needs a rebuild" : "");
}

// 1 and the content (in the arena), or 0.
static int part_get(struct jobfile *jf, const char *kind, const char *name, struct arena *a,
                    const char **content, struct err *e)
{
    struct db_stmt *s;
    int rc = jf_own(jf, JF_PART_GET, &s, e);

    if (rc < 0)
        return rc;
    db_bind_str(s, 1, kind);
    db_bind_str(s, 2, name);
    rc = db_next(s, e);
    if (rc == 1)
        *content = (const char *)arena_copy(a, db_column_text(s, 0)).p;
    db_reset(s);
    return rc;
}

static int part_put(struct jobfile *jf, const char *kind, const char *name, const char *content,
                    struct err *e)
{
    struct db_stmt *s;
    int rc = jf_own(jf, JF_PART_PUT, &s, e);

    if (rc < 0)
        return rc;
    db_bind_str(s, 1, kind);
    db_bind_str(s, 2, name);
    db_bind_str(s, 3, content);
    return db_run(s, e);
}

static const char *node_content(const struct plan_node *n, char out[24])
{
    snprintf(out, 24, "%016" PRIx64, n->fingerprint);
    return out;
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

int upgrade_record(struct jobfile *jf, struct err *e)
{
    char text[24];
    int rc = 0;

    for (int i = 0; i < jf->ddl.n_tables && rc == 0; i++) {
        rc = part_put(jf, "table", jf->ddl.tables[i].name, jf->ddl.tables[i].create, e);
        if (rc == 0)
            rc = put_columns(jf, &jf->ddl.tables[i], e);
    }
    for (int i = 0; i < jf->plan->n_nodes && rc == 0; i++) {
        const struct plan_node *n = &jf->plan->nodes[i];
        if (keeps_rows(n))
            rc = part_put(jf, "node", n->id, node_content(n, text), e);
    }
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

// A table's statement by lines: its start, one per column (they begin with a quoted name), one per
// constraint, its end.
struct lines {
    const char *p;
};

// The next line without its comma; false at the end.
static bool next_line(struct lines *l, struct bytes *out)
{
    const char *end;

    if (l->p == NULL || *l->p == 0)
        return false;
    end = strchr(l->p, '\n');
    *out = bytes_of(l->p, end != NULL ? (size_t)(end - l->p) : strlen(l->p));
    l->p = end != NULL ? end + 1 : NULL;
    if (out->n > 0 && out->p[out->n - 1] == ',')
        out->n--;
    return true;
}

static bool is_column(struct bytes line)
{
    return line.n > 0 && line.p[0] == '"';
}

static int count_columns(const char *create)
{
    struct lines l = {create};
    struct bytes line;
    int n = 0;

    while (next_line(&l, &line))
        n += is_column(line);
    return n;
}

// How many columns are new, behind the old ones. -1 when anything else differs.
static int columns_added(const struct jobtable *t, const char *old)
{
    struct lines was = {old}, is = {t->create};
    struct bytes x = BYTES_NULL, y;
    int n_old = count_columns(old), seen = 0;
    bool more = next_line(&was, &x);

    // A line break inside of a text would make lines that are no columns.
    if (count_columns(t->create) != t->n_columns)
        return -1;
    while (next_line(&is, &y)) {
        if (is_column(y) && seen++ >= n_old)
            continue;
        if (!more || !bytes_eq(x, y))
            return -1;
        more = next_line(&was, &x);
    }
    return more ? -1 : t->n_columns - n_old;
}

static bool addable(const struct column *c)
{
    return !c->generated && c->pk == 0 && (!c->not_null || c->fallback != NULL);
}

static int compare_table(struct jobfile *jf, const struct jobtable *t, struct comparison *c,
                         struct arena *a, struct err *e)
{
    const char *old;
    int rc = part_get(jf, "table", t->name, a, &old, e);
    int n;

    if (rc < 0)
        return rc;
    if (rc == 0) {
        differs(c, CHANGE_REBUILD, "table", t->name, "is new");
        return 0;
    }
    if (strcmp(old, t->create) == 0)
        return 0;
    n = columns_added(t, old);
    for (int i = t->n_columns - n; n > 0 && i < t->n_columns; i++)
        if (!addable(&t->columns[i]))
            n = -1;
    if (n <= 0)
        differs(c, CHANGE_REBUILD, "table", t->name, "has other columns or constraints");
    else
        differs(c, CHANGE_IN_PLACE, "table", t->name, "has new columns");
    return 0;
}

static int compare_nodes(struct jobfile *jf, struct comparison *c, struct arena *a, struct err *e)
{
    char text[24];
    const char *old;

    for (int i = 0; i < jf->plan->n_nodes; i++) {
        const struct plan_node *n = &jf->plan->nodes[i];
        int rc;
        if (!keeps_rows(n))
            continue;
        rc = part_get(jf, "node", n->id, a, &old, e);
        if (rc < 0)
            return rc;
        if (rc == 0)
            differs(c, CHANGE_REBUILD, "operator", n->id, "is new");
        else if (strcmp(old, node_content(n, text)) != 0)
            differs(c, CHANGE_REBUILD, "operator", n->id, "means something else");
    }
    return 0;
}

static bool in_plan(const struct jobfile *jf, struct bytes kind, struct bytes name)
{
    if (bytes_eq_str(kind, "table")) {
        for (int i = 0; i < jf->ddl.n_tables; i++)
            if (bytes_eq_str(name, jf->ddl.tables[i].name))
                return true;
        return false;
    }
    for (int i = 0; i < jf->plan->n_nodes; i++)
        if (keeps_rows(&jf->plan->nodes[i]) && bytes_eq_str(name, jf->plan->nodes[i].id))
            return true;
    return false;
}

static int compare_gone(struct jobfile *jf, struct comparison *c, struct err *e)
{
    struct db_stmt *s;
    int rc = db_prepare(jf->db, "SELECT kind, name FROM _leat_parts ORDER BY kind, name", &s, e);

    if (rc < 0)
        return rc;
    while ((rc = db_next(s, e)) == 1) {
        struct bytes kind = db_column_text(s, 0), name = db_column_text(s, 1);
        if (!in_plan(jf, kind, name))
            differs(c, CHANGE_IN_PLACE, bytes_eq_str(kind, "table") ? "table" : "operator",
                    (const char *)name.p, "is gone: its rows stay until a rebuild");
    }
    db_stmt_free(s);
    return rc;
}

static int compare(struct jobfile *jf, struct comparison *c, struct arena *a, struct err *e)
{
    int rc = 0;

    for (int i = 0; i < jf->ddl.n_tables && rc == 0; i++)
        rc = compare_table(jf, &jf->ddl.tables[i], c, a, e);
    if (rc == 0)
        rc = compare_nodes(jf, c, a, e);
    if (rc == 0)
        rc = compare_gone(jf, c, e);
    return rc;
}

static int add_columns(struct jobfile *jf, const struct jobtable *t, const char *old, struct err *e)
{
    struct lines l = {t->create};
    struct buf sql = BUF_EMPTY;
    struct bytes line;
    int skip = count_columns(old), rc = 0;

    while (rc == 0 && next_line(&l, &line)) {
        if (!is_column(line) || skip-- > 0)
            continue;
        buf_clear(&sql);
        buf_append_str(&sql, "ALTER TABLE ");
        sql_append_name(&sql, t->name);
        buf_append_str(&sql, " ADD COLUMN ");
        buf_append_bytes(&sql, line);
        rc = db_exec(jf->db, buf_cstr(&sql), e);
    }
    buf_deinit(&sql);
    return rc;
}

static int apply_tables(struct jobfile *jf, struct arena *a, struct err *e)
{
    int rc = 0;

    for (int i = 0; i < jf->ddl.n_tables && rc >= 0; i++) {
        const struct jobtable *t = &jf->ddl.tables[i];
        const char *old;
        rc = part_get(jf, "table", t->name, a, &old, e);
        if (rc == 0)
            rc = db_exec(jf->db, t->create, e);
        else if (rc == 1 && strcmp(old, t->create) == 0)
            continue;
        else if (rc == 1 && columns_added(t, old) > 0)
            rc = add_columns(jf, t, old, e);
        else if (rc == 1)
            rc = err_set(e, LEAT_EINVAL,
                         "table %s has other columns or constraints: bump the version", t->name);
    }
    return rc < 0 ? rc : 0;
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

static int apply_views(struct jobfile *jf, struct err *e)
{
    int rc = drop_old(jf, "view", e);

    if (rc == 0)
        rc = drop_old(jf, "index", e);
    for (int i = 0; i < jf->ddl.n_indexes && rc == 0; i++)
        rc = make_new(jf, jf->ddl.indexes[i].name, jf->ddl.indexes[i].create, e);
    for (int i = 0; i < jf->ddl.n_views && rc == 0; i++)
        rc = make_new(jf, jf->ddl.views[i].name, jf->ddl.views[i].create, e);
    return rc;
}

static int refuse(const struct comparison *c, const struct plan *p, struct err *e)
{
    struct bytes first = bytes_of(c->text.p, c->text.n);
    const uint8_t *line = memchr(first.p, '\n', first.n);

    return err_set(
        e, LEAT_EINVAL,
        "the job has changed since its file was made: %.*s. Set version = %d to build it "
        "beside version %d",
        (int)(line - first.p), (const char *)first.p, p->version + 1, p->version);
}

int upgrade_apply(struct jobfile *jf, bool from_now, struct err *e)
{
    struct comparison c = {0};
    struct arena a;
    int rc;

    arena_init(&a);
    rc = compare(jf, &c, &a, e);
    if (rc == 0 && c.change == CHANGE_REBUILD && !from_now)
        rc = refuse(&c, jf->plan, e);
    if (rc == 0 && c.change != CHANGE_NONE)
        rc = apply_tables(jf, &a, e);
    if (rc == 0)
        rc = apply_views(jf, e);
    if (rc == 0 && c.change != CHANGE_NONE)
        rc = upgrade_record(jf, e);
    if (rc == 0)
        rc = put_plan(jf, e);
    buf_deinit(&c.text);
    arena_deinit(&a);
    return rc;
}
