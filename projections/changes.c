// SPDX-License-Identifier: Apache-2.0
//
// Changes of the rows of watched tables, in the order in which they were made, whatever made them:
// verbs, free SQL, foreign key actions. The hook tells of each before it is done, with the row as
// it was and as it will be.
//
// A queue per job file, taken by the engine before the record ends. What is rolled back leaves the
// queue: with the savepoint all of it, with a single statement that failed (and whose error the job
// may have caught) what that statement added. A write that leaves the row as it was is no change;
// one that gives it another primary key is two, as for a session that begins earlier: the row of
// the old key has gone, and one of the new key is there.
//
// Tables with computed columns cannot be watched: the hook sees what is stored.
#include "projections/changes.h"

#define SQLITE_ENABLE_PREUPDATE_HOOK
#include <sqlite3.h>
#include <string.h>

#include "projections/hook.h"
#include "runtime/base/heap.h"

struct change {
    int table;
    struct value old, row;
};

struct changes {
    struct change *queue;
    size_t first, n, cap;
    struct arena arena; // of what is in the queue
    int failed;         // what kept the hook from noting a change
};

// A whole number may be stored as an integer in a column of reals.
static struct value cell_value(sqlite3_value *v, const struct column *c, struct arena *a)
{
    struct value stored = hook_value(v, a), decoded;

    if (c->type == LOGICAL_REAL && stored.type == VALUE_INT)
        return value_float((double)stored.i);
    if (c->type == LOGICAL_BOOL && stored.type == VALUE_INT)
        return value_bool(stored.i != 0);
    if (c->type == LOGICAL_DECIMAL && stored.type == VALUE_INT)
        return (struct value){.type = VALUE_DECIMAL, .scale = (uint8_t)c->scale, .i = stored.i};
    if (c->type == LOGICAL_JSON && stored.type == VALUE_TEXT &&
        value_decode(FORMAT_JSON, stored.s, a, &decoded, NULL) == 0 &&
        value_force(&decoded, a, NULL) == 0)
        return decoded;
    return stored;
}

typedef int preupdate_get(sqlite3 *, int, sqlite3_value **);

static int read_row(struct changes *ch, const struct jobtable *t, sqlite3 *h, preupdate_get *get,
                    struct value *out)
{
    struct value_object *o = arena_alloc(&ch->arena, sizeof *o);
    size_t n = (size_t)t->n_columns;

    *o = (struct value_object){.n = n,
                               .names = arena_alloc(&ch->arena, n * sizeof *o->names),
                               .values = arena_alloc(&ch->arena, n * sizeof *o->values)};
    for (int i = 0; i < t->n_columns; i++) {
        sqlite3_value *v;
        int rc = get(h, i, &v);

        if (rc != SQLITE_OK)
            return rc == SQLITE_NOMEM ? LEAT_ENOMEM : LEAT_EIO;
        o->names[i] = bytes_str(t->columns[i].name);
        o->values[i] = cell_value(v, &t->columns[i], &ch->arena);
    }
    *out = (struct value){.type = VALUE_OBJECT, .object = o};
    return 0;
}

static bool same_column(struct changes *ch, const struct change *c, int i)
{
    const struct value *x = &c->old.object->values[i], *y = &c->row.object->values[i];

    return x->type == y->type && value_eq(x, y, &ch->arena);
}

static bool same_row(struct changes *ch, const struct jobtable *t, const struct change *c)
{
    for (int i = 0; i < t->n_columns; i++)
        if (!same_column(ch, c, i))
            return false;
    return true;
}

static bool same_key(struct changes *ch, const struct jobtable *t, const struct change *c)
{
    for (int i = 0; i < t->n_pk; i++)
        if (!same_column(ch, c, t->pk[i]))
            return false;
    return true;
}

static struct change *queue_push(struct changes *ch)
{
    if (ch->n == ch->cap) {
        ch->cap = ch->cap ? ch->cap * 2 : 32;
        ch->queue = heap_realloc(ch->queue, ch->cap * sizeof *ch->queue);
    }
    return &ch->queue[ch->n++];
}

static void note_update(struct changes *ch, const struct jobtable *t, const struct change *c)
{
    if (same_row(ch, t, c))
        return;
    if (same_key(ch, t, c)) {
        *queue_push(ch) = *c;
    } else {
        *queue_push(ch) = (struct change){.table = c->table, .old = c->old};
        *queue_push(ch) = (struct change){.table = c->table, .row = c->row};
    }
}

void changes_note(struct jobfile *jf, sqlite3 *h, int op, int table)
{
    struct changes *ch = jf->changes;
    const struct jobtable *t = &jf->ddl.tables[table];
    struct change c = {.table = table};
    int rc = 0;

    if (op != SQLITE_INSERT)
        rc = read_row(ch, t, h, sqlite3_preupdate_old, &c.old);
    if (rc == 0 && op != SQLITE_DELETE)
        rc = read_row(ch, t, h, sqlite3_preupdate_new, &c.row);
    if (rc < 0)
        ch->failed = rc;
    else if (op == SQLITE_UPDATE)
        note_update(ch, t, &c);
    else
        *queue_push(ch) = c;
}

int changes_watch(struct tables *tables, int table, struct err *e)
{
    struct jobfile *jf = container_of(tables, struct jobfile, tables);
    const struct jobtable *t = &jf->ddl.tables[table];

    for (int i = 0; i < t->n_columns; i++)
        if (t->columns[i].generated)
            return err_set(e, LEAT_EUNSUPPORTED,
                           "table %s has a computed column, %s: changes() of such a table is not "
                           "supported by this version",
                           t->name, t->columns[i].name);
    if (jf->changes == NULL) {
        jf->changes = heap_zalloc(sizeof *jf->changes);
        arena_init(&jf->changes->arena);
    }
    hook_watch(jf, table, HOOK_CHANGES);
    return 0;
}

static struct value key_of(const struct jobtable *t, const struct value *row, struct arena *a)
{
    struct value_array *array = arena_alloc(a, sizeof *array);
    struct value *parts = arena_alloc(a, (size_t)t->n_pk * sizeof *parts);

    for (int i = 0; i < t->n_pk; i++)
        parts[i] = value_copy(&row->object->values[t->pk[i]], a);
    if (t->n_pk == 1)
        return parts[0];
    *array = (struct value_array){.n = (size_t)t->n_pk, .items = parts};
    return (struct value){.type = VALUE_ARRAY, .array = array};
}

int changes_next(struct tables *tables, struct arena *a, struct table_change *out, struct err *e)
{
    struct jobfile *jf = container_of(tables, struct jobfile, tables);
    struct changes *ch = jf->changes;
    struct change *c;

    if (ch == NULL)
        return 0;
    if (ch->failed != 0)
        return err_set(e, ch->failed, "a change of a row could not be noted");
    if (ch->first == ch->n) {
        changes_forget(jf);
        return 0;
    }
    c = &ch->queue[ch->first++];
    *out = (struct table_change){.table = c->table, .old = c->old, .row = c->row};
    if (c->old.type == VALUE_OBJECT)
        out->old = value_copy(&c->old, a);
    if (c->row.type == VALUE_OBJECT)
        out->row = value_copy(&c->row, a);
    out->key = key_of(&jf->ddl.tables[c->table], value_is_nil(&out->row) ? &out->old : &out->row,
                      a);
    return 1;
}

size_t changes_mark(const struct jobfile *jf)
{
    return jf->changes != NULL ? jf->changes->n : 0;
}

void changes_undo(struct jobfile *jf, size_t mark)
{
    if (jf->changes != NULL && jf->changes->n > mark)
        jf->changes->n = mark;
}

void changes_forget(struct jobfile *jf)
{
    if (jf->changes == NULL)
        return;
    jf->changes->first = jf->changes->n = 0;
    jf->changes->failed = 0;
    arena_reset(&jf->changes->arena);
}

void changes_unload(struct jobfile *jf)
{
    if (jf->changes == NULL)
        return;
    arena_deinit(&jf->changes->arena);
    heap_free(jf->changes->queue);
    heap_free(jf->changes);
    jf->changes = NULL;
}
