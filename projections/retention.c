// SPDX-License-Identifier: Apache-2.0
//
// The `ttl` of a table, "90d after placed_at", at load. What can be known to go wrong when a row
// has to go, later and in the middle of a job's work, is refused here:
//
//   a child without ON DELETE CASCADE   its parent's row could not be deleted. SET NULL will do for
//                                       a column that may be NULL
//   rows that are an aggregate's state  a row must outlive its window; without a window it is the
//                                       aggregate that forgets, by a ttl of its own
//
// A row whose column is NULL stays.
#include "projections/retention.h"

#include <string.h>
#include <strings.h>

#include "runtime/base/datetime.h"

static struct bytes trimmed(struct bytes s)
{
    while (s.n > 0 && s.p[0] == ' ')
        s = bytes_of(s.p + 1, s.n - 1);
    while (s.n > 0 && s.p[s.n - 1] == ' ')
        s.n--;
    return s;
}

static int refuse(const struct plan_table *p, struct err *e)
{
    return err_set(e, LEAT_ELOAD,
                   "ttl = \"%s\" is not understood: write \"90d after COLUMN\", a time column",
                   p->ttl);
}

// "90d after placed_at"
static int parse(const struct plan_table *p, struct jobtable *t, struct err *e)
{
    static const char after[] = " after ";
    const char *word = strstr(p->ttl, after), *name;
    struct bytes span;

    if (word == NULL)
        return refuse(p, e);
    span = trimmed(bytes_of(p->ttl, (size_t)(word - p->ttl)));
    name = word + sizeof after - 1;
    if (duration_parse(span, &t->ttl_ms) < 0 || t->ttl_ms < 0)
        return refuse(p, e);
    t->ttl_column = jobtable_column(t, trimmed(bytes_str(name)));
    if (t->ttl_column == NULL)
        return err_set(e, LEAT_ELOAD, "ttl = \"%s\": the table has no column %s", p->ttl, name);
    if (t->ttl_column->type != LOGICAL_TIME)
        return err_set(e, LEAT_ELOAD, "ttl = \"%s\": column %s is %s, and must be time", p->ttl,
                       t->ttl_column->name, t->ttl_column->type_text);
    if (t->ttl_column->generated)
        return err_set(e, LEAT_ELOAD, "ttl = \"%s\": column %s is computed, and must be stored",
                       p->ttl, t->ttl_column->name);
    return 0;
}

// --- rows of an aggregate ---

static int too_short(const struct plan_table *p, const struct jobtable *t, int64_t needed,
                     struct err *e)
{
    char text[32];

    if (t->ttl_ms >= needed)
        return 0;
    duration_format(needed, text);
    return err_set(e, LEAT_ELOAD,
                   "ttl = \"%s\": rows would go while their window is open: at least %s after %s",
                   p->ttl, text, t->ttl_column->name);
}

static int check_aggregate(const struct plan *p, const struct plan_table *pt, struct jobtable *t,
                           struct err *e)
{
    const struct plan_window *w;

    if (pt->aggregate < 0 || p->n_nodes == 0) // of a stored plan: it was checked when it was made
        return 0;
    w = &p->nodes[pt->aggregate].aggregate.window;
    if (w->kind == WINDOW_NONE)
        return err_set(e, LEAT_ELOAD,
                       "ttl: the rows are what an aggregate without a window remembers: give the "
                       "aggregate the ttl, :aggregate({...}, {ttl = \"90d\"})");
    if (strcmp(t->ttl_column->name, "window_end") == 0)
        return too_short(pt, t, w->grace_ms, e);
    if (strcmp(t->ttl_column->name, "window_start") == 0 && w->kind != WINDOW_SESSION)
        return too_short(pt, t, w->size_ms + w->grace_ms, e);
    return err_set(e, LEAT_ELOAD, "ttl = \"%s\": rows of a window go some time after %s", pt->ttl,
                   w->kind == WINDOW_SESSION ? "window_end" : "window_end or window_start");
}

// --- rows that reference rows that go ---

static bool may_be_null(const struct jobtable *t, const struct foreign_key *fk)
{
    for (int i = 0; i < fk->n; i++)
        for (int c = 0; c < t->n_columns; c++)
            if (strcasecmp(t->columns[c].name, fk->from[i]) == 0 && t->columns[c].not_null)
                return false;
    return true;
}

static enum by_time child_of(const struct jobtable *child, const struct foreign_key *fk)
{
    if (strcasecmp(fk->on_delete, "CASCADE") == 0)
        return BY_TIME_GONE;
    if (strcasecmp(fk->on_delete, "SET NULL") == 0 && may_be_null(child, fk))
        return BY_TIME_CHANGED;
    return BY_TIME_NOTHING;
}

static int check_child(const struct plan_table *pt, const struct jobtable *child,
                       const struct foreign_key *fk, struct err *e)
{
    enum by_time how = child_of(child, fk);

    if (how != BY_TIME_NOTHING && pt->aggregate >= 0)
        return err_set(e, LEAT_ELOAD,
                       "its rows would go or change with those of %s, which have a ttl, but they "
                       "are an aggregate's",
                       fk->parent);
    if (how != BY_TIME_NOTHING)
        return 0;
    return err_set(e, LEAT_ELOAD,
                   "rows of %s go by their ttl, and %s.%s would hold them back: write "
                   "'references %s on delete cascade'",
                   fk->parent, child->name, fk->from[0], fk->parent);
}

static int blame(const struct plan *p, int table, struct err *e)
{
    if (e != NULL)
        e->code = LEAT_ELOAD;
    return err_wrap(e, LEAT_ELOAD, "%s:%d: table %s", p->file, p->tables[table].line,
                    p->tables[table].name);
}

// Children of `parent`, and theirs where they go with it.
static int follow(const struct plan *p, struct ddl *d, const struct jobtable *parent,
                  struct err *e)
{
    for (int i = 0; i < d->n_tables; i++)
        for (int f = 0; f < d->tables[i].n_fks; f++) {
            struct jobtable *child = &d->tables[i];
            const struct foreign_key *fk = &child->fks[f];
            enum by_time how = child_of(child, fk);

            if (strcasecmp(fk->parent, parent->name) != 0)
                continue;
            if (check_child(&p->tables[i], child, fk, e) < 0)
                return blame(p, i, e);
            if (how <= child->by_time)
                continue;
            child->by_time = how;
            if (how == BY_TIME_GONE && follow(p, d, child, e) < 0)
                return LEAT_ELOAD;
        }
    return 0;
}

// Rows of such a table are swept behind the aggregate's back, where nothing is told of them.
static int check_forgotten(const struct plan *p, const struct ddl *d, struct err *e)
{
    for (int i = 0; i < d->n_tables; i++)
        for (int f = 0; f < d->tables[i].n_fks; f++)
            for (int k = 0; k < d->n_tables; k++) {
                int node = p->tables[k].aggregate;

                if (strcasecmp(d->tables[i].fks[f].parent, d->tables[k].name) != 0 || node < 0 ||
                    node >= p->n_nodes || p->nodes[node].aggregate.ttl_ms <= 0)
                    continue;
                (void)err_set(e, LEAT_ELOAD,
                              "it references %s, whose rows are forgotten by the ttl of their "
                              "aggregate: that cannot be referenced",
                              d->tables[k].name);
                return blame(p, i, e);
            }
    return 0;
}

int retention_read(const struct plan *p, struct ddl *d, struct err *e)
{
    for (int i = 0; i < d->n_tables; i++) {
        const struct plan_table *pt = &p->tables[i];
        int rc;

        if (pt->ttl == NULL)
            continue;
        rc = parse(pt, &d->tables[i], e);
        if (rc == 0)
            rc = check_aggregate(p, pt, &d->tables[i], e);
        if (rc < 0)
            return blame(p, i, e);
        d->tables[i].by_time = BY_TIME_GONE;
    }
    if (check_forgotten(p, d, e) < 0)
        return LEAT_ELOAD;
    for (int i = 0; i < d->n_tables; i++)
        if (d->tables[i].ttl_column != NULL && follow(p, d, &d->tables[i], e) < 0)
            return LEAT_ELOAD;
    return 0;
}

int retention_has_index(struct db *db, const struct jobtable *t, bool *has, struct err *e)
{
    struct db_stmt *s;
    int rc;

    // An INTEGER PRIMARY KEY is in no list.
    *has = t->pk[0] == t->ttl_column - t->columns;
    if (*has)
        return 0;
    rc = db_prepare(db,
                    "SELECT 1 FROM pragma_index_list(?1) l, pragma_index_info(l.name) i"
                    " WHERE l.partial = 0 AND i.seqno = 0 AND i.name = ?2",
                    &s, e);
    if (rc < 0)
        return rc;
    db_bind_str(s, 1, t->name);
    db_bind_str(s, 2, t->ttl_column->name);
    rc = db_next(s, e);
    *has = rc == 1;
    db_stmt_free(s);
    return rc < 0 ? rc : 0;
}
