// SPDX-License-Identifier: Apache-2.0
//
// Row verbs: insert, put, patch, add, delete, get.
//
// An action is one verb over one column set. A record may lack some of the columns, so an action
// has variants, one per set of cells that were there, each with its statements prepared once:
//
//   insert   INSERT OR ABORT
//   put      UPDATE OR ABORT of the other columns by key; no row: INSERT OR ABORT
//   patch    UPDATE OR ABORT by key; no row: LEAT_EMISSING
//   add      UPDATE OR ABORT, column + value, by key; no row: INSERT OR ABORT from the columns'
//   defaults delete   DELETE by key; no row is fine
//
// Two statements and not an upsert: SQLite checks NOT NULL before it looks for the conflict, so an
// upsert of some columns fails on a row that exists. Parameter i is present cell i; the key's
// follow the cells'. Texts are bound where they lie.
#include "projections/rows.h"

#include <stdio.h>
#include <string.h>

#include "projections/changes.h"
#include "projections/expire.h"
#include "projections/history.h"
#include "projections/sql_text.h"
#include "runtime/base/heap.h"

enum { CELLS_MAX = 128, VARIANTS_MAX = 32 };

struct variant {
    uint64_t present[CELLS_MAX / 64];
    int n_present;
    struct db_stmt *update, *insert; // insert: of insert, put and add; update: of the rest
    const char *required;            // a column that an insert would need and does not have
    struct variant *next;
};

struct table_action {
    struct jobfile *jf;
    const struct jobtable *t;
    enum table_verb verb;
    bool replaces;
    const struct column **cells;
    int n_cells;
    const struct column **key;
    int n_key;
    struct variant *variants; // the last used first
    int n_variants;
    struct table_action *next;
};

static void variant_free(struct variant *v)
{
    db_stmt_free(v->update);
    db_stmt_free(v->insert);
    heap_free(v);
}

static bool has(const struct variant *v, int i)
{
    return v->present[i / 64] >> (i % 64) & 1;
}

static bool in_key(const struct table_action *a, const struct column *c)
{
    for (int i = 0; i < a->n_key; i++)
        if (a->key[i] == c)
            return true;
    return false;
}

// --- SQL ---

static void append_start(struct buf *sql, const char *text, const char *table)
{
    buf_append_str(sql, text);
    sql_append_name(sql, table);
}

static void append_default(struct buf *sql, const struct column *c)
{
    if (c->fallback != NULL)
        buf_printf(sql, ", (%s)", c->fallback);
    buf_append_str(sql, ", 0)");
}

// put takes the key from the cells, the others after them.
static void append_where(const struct table_action *a, const struct variant *v, struct buf *sql)
{
    for (int k = 0; k < a->n_key; k++) {
        int param = v->n_present + k + 1;
        buf_append_str(sql, k == 0 ? " WHERE " : " AND ");
        sql_append_name(sql, a->key[k]->name);
        if (a->verb == VERB_PUT) {
            param = 0;
            for (int i = 0; i < a->n_cells; i++) {
                param += has(v, i);
                if (a->cells[i] == a->key[k])
                    break;
            }
        }
        buf_printf(sql, " = ?%d", param);
    }
}

static void update_text(const struct table_action *a, const struct variant *v, struct buf *sql)
{
    const char *comma = " SET ";
    int param = 0;

    append_start(sql, "UPDATE OR ABORT ", a->t->name);
    for (int i = 0; i < a->n_cells; i++) {
        param += has(v, i);
        if ((!has(v, i) && !a->replaces) || (a->verb == VERB_PUT && in_key(a, a->cells[i])))
            continue;
        buf_append_str(sql, comma);
        comma = ", ";
        sql_append_name(sql, a->cells[i]->name);
        buf_append_str(sql, " = ");
        if (!has(v, i)) {
            buf_printf(sql, "(%s)", a->cells[i]->fallback ? a->cells[i]->fallback : "NULL");
            continue;
        }
        if (a->verb == VERB_ADD) {
            buf_append_str(sql, "coalesce(");
            sql_append_name(sql, a->cells[i]->name);
            append_default(sql, a->cells[i]);
            buf_append_str(sql, " + ");
        }
        buf_printf(sql, "?%d", param);
    }
    // Nothing to set: still finds out whether the row is there.
    if (comma[0] == ' ') {
        buf_append_str(sql, " SET ");
        sql_append_name(sql, a->key[0]->name);
        buf_append_str(sql, " = ");
        sql_append_name(sql, a->key[0]->name);
    }
    append_where(a, v, sql);
}

static void insert_text(const struct table_action *a, const struct variant *v, struct buf *sql)
{
    int n_key = a->verb == VERB_ADD ? a->n_key : 0;

    append_start(sql, "INSERT OR ABORT INTO ", a->t->name);
    if (v->n_present + n_key == 0) {
        buf_append_str(sql, " DEFAULT VALUES");
        return;
    }
    for (int i = 0, n = 0; i < a->n_cells; i++)
        if (has(v, i)) {
            buf_append_str(sql, n++ ? ", " : " (");
            sql_append_name(sql, a->cells[i]->name);
        }
    for (int k = 0; k < n_key; k++) {
        buf_append_str(sql, v->n_present + k ? ", " : " (");
        sql_append_name(sql, a->key[k]->name);
    }
    buf_append_str(sql, ") VALUES (");
    for (int i = 0, n = 0; i < a->n_cells; i++)
        if (has(v, i)) {
            buf_append_str(sql, n ? ", " : "");
            if (a->verb == VERB_ADD) {
                buf_append_str(sql, "coalesce(NULL");
                append_default(sql, a->cells[i]);
                buf_append_str(sql, " + ");
            }
            buf_printf(sql, "?%d", ++n);
        }
    for (int k = 0; k < n_key; k++)
        buf_printf(sql, "%s?%d", v->n_present + k ? ", " : "", v->n_present + k + 1);
    buf_append_str(sql, ")");
}

static const char *required_column(const struct table_action *a, const struct variant *v)
{
    for (int j = 0; j < a->t->n_columns; j++) {
        const struct column *c = &a->t->columns[j];
        bool given = a->verb == VERB_ADD && in_key(a, c);
        for (int i = 0; i < a->n_cells && !given; i++)
            given = a->cells[i] == c && has(v, i);
        // An INTEGER PRIMARY KEY numbers itself.
        if (!given && c->not_null && c->fallback == NULL && !c->generated &&
            !(c->pk > 0 && a->t->n_pk == 1 && c->type == LOGICAL_INTEGER))
            return c->name;
    }
    return NULL;
}

static int prepare_text(struct table_action *a, struct buf *sql, struct db_stmt **out,
                        struct err *e)
{
    int rc = db_prepare(a->jf->db, buf_cstr(sql), out, e);

    buf_clear(sql);
    return rc;
}

static int variant_prepare(struct table_action *a, struct variant *v, struct err *e)
{
    struct buf sql = BUF_EMPTY;
    int rc = 0;

    if (a->verb == VERB_DELETE) {
        append_start(&sql, "DELETE FROM ", a->t->name);
        append_where(a, v, &sql);
        rc = prepare_text(a, &sql, &v->update, e);
    } else if (a->verb != VERB_INSERT) {
        update_text(a, v, &sql);
        rc = prepare_text(a, &sql, &v->update, e);
    }
    if (rc == 0 && a->verb != VERB_DELETE && a->verb != VERB_PATCH) {
        insert_text(a, v, &sql);
        v->required = required_column(a, v);
        rc = prepare_text(a, &sql, &v->insert, e);
    }
    buf_deinit(&sql);
    return rc;
}

// --- actions ---

static const struct column *find_column(const struct jobtable *t, struct bytes name, struct err *e)
{
    const struct column *c = jobtable_column(t, name);

    if (c == NULL)
        err_set(e, LEAT_EINVAL, "table %s has no column %.*s", t->name, BYTES_FMT(name));
    return c;
}

static int check_cell(const struct table_action *a, const struct column *c, struct err *e)
{
    if (c->generated)
        return err_set(e, LEAT_EINVAL, "column %s of table %s is computed: it cannot be written",
                       c->name, a->t->name);
    if (a->verb == VERB_ADD && (c->type == LOGICAL_TEXT || c->type == LOGICAL_BLOB ||
                                c->type == LOGICAL_BOOL || c->type == LOGICAL_JSON))
        return err_set(e, LEAT_EINVAL, "column %s of table %s is %s: nothing can be added to it",
                       c->name, a->t->name, c->type_text);
    return 0;
}

static int set_cells(struct table_action *a, const struct table_shape *s, struct err *e)
{
    if (s->n_cells > CELLS_MAX)
        return err_set(e, LEAT_EINVAL, "table %s: more than %d columns at once", a->t->name,
                       CELLS_MAX);
    a->cells = arena_zalloc(&a->jf->arena, (size_t)(s->n_cells + 1) * sizeof *a->cells);
    a->n_cells = s->n_cells;
    for (int i = 0; i < s->n_cells; i++) {
        a->cells[i] = find_column(a->t, s->columns[i], e);
        if (a->cells[i] == NULL)
            return LEAT_EINVAL;
        for (int j = 0; j < i; j++)
            if (a->cells[i] == a->cells[j])
                return err_set(e, LEAT_EINVAL, "table %s: column %s is given twice", a->t->name,
                               a->cells[i]->name);
        int rc = check_cell(a, a->cells[i], e);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int key_is_wrong(const struct table_action *a, struct err *e)
{
    char names[256] = "";
    size_t n = 0;

    for (int i = 0; i < a->t->n_pk && n < sizeof names; i++)
        n +=
            (size_t)snprintf(names + n, sizeof names - n, "%s%s", i ? ", " : "", a->t->pk_names[i]);
    return err_set(e, LEAT_EINVAL, "%s of table %s wants the whole primary key: %s",
                   a->verb == VERB_PUT ? "put" : "this verb", a->t->name, names);
}

// The key is the primary key: in its own order, or by name in any order.
static int set_key(struct table_action *a, const struct table_shape *s, struct err *e)
{
    bool by_name = s->n_key > 0 && !bytes_is_null(s->key_columns[0]);

    if (a->verb == VERB_INSERT)
        return 0;
    a->n_key = a->t->n_pk;
    a->key = arena_zalloc(&a->jf->arena, (size_t)a->n_key * sizeof *a->key);
    if (s->n_key > 0 && s->n_key != a->n_key)
        return key_is_wrong(a, e);
    for (int i = 0; i < a->n_key; i++) {
        a->key[i] = by_name ? find_column(a->t, s->key_columns[i], e) : &a->t->columns[a->t->pk[i]];
        if (a->key[i] == NULL)
            return LEAT_EINVAL;
        if (a->key[i]->pk == 0)
            return key_is_wrong(a, e);
        bool given = a->verb != VERB_PUT;
        for (int j = 0; j < a->n_cells && !given; j++)
            given = a->cells[j] == a->key[i];
        if (!given)
            return key_is_wrong(a, e);
    }
    return 0;
}

struct rows *rows_of(struct jobfile *jf)
{
    if (jf->rows == NULL) {
        jf->rows = heap_zalloc(sizeof *jf->rows);
        jf->rows->gets = heap_zalloc((size_t)(jf->ddl.n_tables + 1) * sizeof(struct db_stmt *));
        hashmap_init(&jf->rows->statements, 0);
    }
    return jf->rows;
}

int rows_prepare(struct tables *tables, const struct table_shape *shape, struct table_action **out,
                 struct err *e)
{
    struct jobfile *jf = container_of(tables, struct jobfile, tables);
    struct table_action *a;
    int rc;

    ASSERT(shape->table >= 0 && shape->table < jf->ddl.n_tables);
    a = heap_zalloc(sizeof *a);
    *a = (struct table_action){.jf = jf,
                               .t = &jf->ddl.tables[shape->table],
                               .verb = shape->verb,
                               .replaces = shape->replaces};
    rc = set_cells(a, shape, e);
    if (rc == 0)
        rc = set_key(a, shape, e);
    if (rc < 0) {
        heap_free(a);
        return rc;
    }
    a->next = rows_of(jf)->actions;
    jf->rows->actions = a;
    *out = a;
    return 0;
}

static void variants_drop_last(struct table_action *a)
{
    struct variant **p = &a->variants;

    while ((*p)->next != NULL)
        p = &(*p)->next;
    variant_free(*p);
    *p = NULL;
    a->n_variants--;
}

static int variant_find(struct table_action *a, const struct variant *want, struct variant **out,
                        struct err *e)
{
    struct variant *v;
    int rc;

    for (struct variant **p = &a->variants; *p != NULL; p = &(*p)->next) {
        v = *p;
        if (memcmp(v->present, want->present, sizeof v->present) != 0)
            continue;
        *p = v->next;
        v->next = a->variants;
        *out = a->variants = v;
        return 0;
    }
    v = heap_alloc(sizeof *v);
    *v = *want;
    rc = variant_prepare(a, v, e);
    if (rc < 0) {
        variant_free(v);
        return rc;
    }
    if (a->n_variants == VARIANTS_MAX)
        variants_drop_last(a);
    a->n_variants++;
    v->next = a->variants;
    *out = a->variants = v;
    return 0;
}

// --- running ---

static int bind_row(struct table_action *a, const struct variant *v, struct db_stmt *s,
                    const struct value *key, const struct value *cells, struct err *e)
{
    int param = 0, rc = 0;

    for (int i = 0; i < a->n_cells && rc == 0; i++)
        if (has(v, i))
            rc = cell_bind(s, ++param, a->cells[i], &cells[i], &a->jf->scratch, e);
    if (a->verb == VERB_PUT || a->verb == VERB_INSERT)
        return rc;
    for (int k = 0; k < a->n_key && rc == 0; k++) {
        if (value_is_nil(&key[k]))
            return err_set(e, LEAT_EKEY, "the key column %s is nil", a->key[k]->name);
        rc = cell_bind(s, v->n_present + k + 1, a->key[k], &key[k], &a->jf->scratch, e);
    }
    return rc;
}

static int exec(struct table_action *a, const struct variant *v, struct db_stmt *s,
                const struct value *key, const struct value *cells, struct err *e)
{
    int rc = bind_row(a, v, s, key, cells, e);

    if (rc == 0)
        rc = db_run(s, e);
    else
        db_reset(s);
    return rc;
}

static int run_variant(struct table_action *a, struct variant *v, const struct value *key,
                       const struct value *cells, bool *changed, struct err *e)
{
    int rc;

    if (v->update != NULL) {
        rc = exec(a, v, v->update, key, cells, e);
        if (rc < 0)
            return rc;
        *changed = db_changes(a->jf->db) > 0;
        if (*changed || a->verb == VERB_DELETE)
            return 0;
        if (a->verb == VERB_PATCH)
            return err_set(e, LEAT_EMISSING, "there is no row with that key");
    }
    if (v->required != NULL)
        return err_set(e, LEAT_EMISSING,
                       a->verb == VERB_INSERT
                           ? "column %s is required"
                           : "there is no row with that key yet, and a new one needs column %s",
                       v->required);
    *changed = true;
    return exec(a, v, v->insert, key, cells, e);
}

static int find_present(const struct table_action *a, const struct value *cells,
                        struct variant *out, struct err *e)
{
    *out = (struct variant){0};
    for (int i = 0; i < a->n_cells; i++) {
        if (cells[i].type == VALUE_MISSING) {
            if (a->verb == VERB_PUT && in_key(a, a->cells[i]))
                return err_set(e, LEAT_EMISSING, "the key column %s is missing", a->cells[i]->name);
            continue;
        }
        if (a->verb == VERB_ADD && cells[i].type == VALUE_NULL)
            return err_set(e, LEAT_ETYPE, "nil cannot be added to column %s", a->cells[i]->name);
        out->present[i / 64] |= UINT64_C(1) << (i % 64);
        out->n_present++;
    }
    return 0;
}

int rows_run(struct table_action *a, const struct value *key, const struct value *cells,
             bool *changed, struct err *e)
{
    struct variant want, *v;
    bool ignored;
    size_t mark = changes_mark(a->jf);
    int rc = jf_inside(a->jf, e);

    if (rc < 0)
        return rc;
    arena_reset(&a->jf->scratch);
    rc = find_present(a, cells, &want, e);
    if (rc == 0)
        rc = variant_find(a, &want, &v, e);
    if (rc == 0)
        rc = run_variant(a, v, key, cells, changed != NULL ? changed : &ignored, e);
    if (rc == 0)
        rc = history_write(a->jf, e);
    if (rc == 0)
        return 0;
    changes_undo(a->jf, mark);
    history_forget(a->jf);
    rc = jf_error(a->jf, rc, e);
    if (rc == LEAT_EMISSING && db_in_transaction(a->jf->db))
        rows_explain_missing(a->jf, a->t, a->cells, a->n_cells, cells, e);
    return err_wrap(e, rc, "table %s", a->t->name);
}

// --- get ---

static int get_prepare(struct jobfile *jf, const struct jobtable *t, struct db_stmt **out,
                       struct err *e)
{
    struct buf sql = BUF_EMPTY;
    int rc;

    for (int i = 0; i < t->n_columns; i++) {
        buf_append_str(&sql, i ? ", " : "SELECT ");
        sql_append_name(&sql, t->columns[i].name);
    }
    append_start(&sql, " FROM ", t->name);
    for (int i = 0; i < t->n_pk; i++) {
        buf_append_str(&sql, i ? " AND " : " WHERE ");
        sql_append_name(&sql, t->pk_names[i]);
        buf_printf(&sql, " = ?%d", i + 1);
    }
    rc = db_prepare(jf->db, buf_cstr(&sql), out, e);
    buf_deinit(&sql);
    return rc;
}

int rows_read(struct db_stmt *s, const struct jobtable *t, struct arena *a, struct value *row,
              struct err *e)
{
    struct value_object *o = arena_alloc(a, sizeof *o);
    size_t n = (size_t)t->n_columns;
    int rc = 0;

    *o = (struct value_object){.n = n,
                               .names = arena_alloc(a, n * sizeof *o->names),
                               .values = arena_alloc(a, n * sizeof *o->values)};
    for (int i = 0; i < t->n_columns && rc == 0; i++) {
        o->names[i] = bytes_str(t->columns[i].name);
        rc = cell_read(s, i, &t->columns[i], a, &o->values[i], e);
    }
    *row = (struct value){.type = VALUE_OBJECT, .object = o};
    return rc;
}

int rows_get(struct tables *tables, int table, const struct value *key, int n_key, struct arena *a,
             struct value *row, struct err *e)
{
    struct jobfile *jf = container_of(tables, struct jobfile, tables);
    const struct jobtable *t = &jf->ddl.tables[table];
    struct db_stmt **s = &rows_of(jf)->gets[table];
    int rc = 0;

    *row = VALUE_OF_MISSING;
    if (n_key != t->n_pk)
        return err_set(e, LEAT_EINVAL, "table %s: the primary key has %d columns, not %d", t->name,
                       t->n_pk, n_key);
    arena_reset(&jf->scratch);
    if (*s == NULL)
        rc = get_prepare(jf, t, s, e);
    for (int i = 0; i < n_key && rc == 0; i++) {
        if (value_is_nil(&key[i]))
            return 0;
        rc = cell_bind(*s, i + 1, &t->columns[t->pk[i]], &key[i], &jf->scratch, e);
    }
    if (rc == 0)
        rc = db_next(*s, e);
    if (rc == 1)
        rc = rows_read(*s, t, a, row, e);
    if (*s != NULL)
        db_reset(*s);
    return rc < 0 ? err_wrap(e, jf_error(jf, rc, e), "table %s", t->name) : 0;
}

static int rows_columns(struct tables *tables, int table, const char *const **names,
                        const char *const **types)
{
    const struct jobtable *t = &container_of(tables, struct jobfile, tables)->ddl.tables[table];

    if (names != NULL)
        *names = t->names;
    if (types != NULL)
        *types = t->types;
    return t->n_names;
}

static int rows_primary_key(struct tables *tables, int table, const char *const **names)
{
    const struct jobtable *t = &container_of(tables, struct jobfile, tables)->ddl.tables[table];

    if (names != NULL)
        *names = t->pk_names;
    return t->n_pk;
}

void rows_unload(struct jobfile *jf)
{
    if (jf->rows == NULL)
        return;
    while (jf->rows->actions != NULL) {
        struct table_action *a = jf->rows->actions;
        jf->rows->actions = a->next;
        while (a->variants != NULL) {
            struct variant *v = a->variants;
            a->variants = v->next;
            variant_free(v);
        }
        heap_free(a);
    }
    for (int i = 0; i < jf->ddl.n_tables; i++)
        db_stmt_free(jf->rows->gets[i]);
    rows_forget_statements(jf->rows);
    heap_free(jf->rows->gets);
    heap_free(jf->rows);
    jf->rows = NULL;
}

const struct tables_ops jobfile_tables_ops = {
    .prepare = rows_prepare,
    .run = rows_run,
    .get = rows_get,
    .get_at = history_get_at,
    .sql = rows_sql,
    .columns = rows_columns,
    .primary_key = rows_primary_key,
    .watch = changes_watch,
    .next_change = changes_next,
    .due = expire_due,
    .expire = expire_rows,
    .expires = expire_may,
};
