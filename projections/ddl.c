// SPDX-License-Identifier: Apache-2.0
//
// A table's body is SQL from the job's author. It is read in three passes, each for what the others
// cannot do:
//
//   tokens     finds the columns' types and rewrites ours (time, bool, decimal, json), which STRICT
//   would refuse; refuses what
//              could end a step's transaction or escape from the parentheses: conflict clauses,
//              deferred keys, ";"
//   SQLite     makes the table in a scratch database, as one statement under an authorizer; its
//   message is the user's message pragmas    columns, key, defaults and foreign keys are read back
//   from what SQLite understood
//
// A table whose key is not one INTEGER column is made WITHOUT ROWID: a quarter faster with text
// keys, and it makes the key NOT NULL, which SQLite forgets in ordinary tables.
#include "projections/ddl.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "projections/history.h"
#include "projections/retention.h"
#include "projections/sql_text.h"

struct tokens {
    struct sql_token *items;
    size_t n;
};

// One table on its way.
struct draft {
    const struct plan_table *plan;
    struct arena *arena;
    struct buf sql; // inside of the parentheses
    struct column *columns;
    int n_columns, cap_columns;
};

static int tokens_read(struct arena *a, const char *text, struct tokens *out, struct err *e)
{
    size_t n = strlen(text);
    struct sql_lexer l;

    sql_lexer_init(&l, bytes_of(text, n));
    *out = (struct tokens){.items = arena_alloc(a, (n + 1) * sizeof(struct sql_token))};
    for (;;) {
        struct sql_token t = sql_next(&l);
        if (t.kind == SQL_END)
            return 0;
        if (t.kind == SQL_BAD)
            return err_set(e, LEAT_ELOAD, "a quote or comment does not end: %.*s",
                           (int)(t.text.n < 30 ? t.text.n : 30), (const char *)t.text.p);
        out->items[out->n++] = t;
    }
}

static int tokens_check(const struct tokens *t, struct err *e)
{
    int depth = 0;

    for (size_t i = 0; i < t->n; i++) {
        struct sql_token x = t->items[i],
                         y = i + 1 < t->n ? t->items[i + 1] : (struct sql_token){0};
        depth += sql_is_punct(x, '(') - sql_is_punct(x, ')');
        if (depth < 0)
            return err_set(e, LEAT_ELOAD, "a ')' closes more than was opened");
        if (sql_is_punct(x, ';'))
            return err_set(e, LEAT_ELOAD, "';' does not belong here");
        if (sql_is(x, "on") && sql_is(y, "conflict"))
            return err_set(e, LEAT_ELOAD,
                           "'on conflict' is not allowed: it could end the step behind our back");
        if (sql_is(x, "initially") && sql_is(y, "deferred"))
            return err_set(e, LEAT_ELOAD,
                           "deferred foreign keys are not allowed: a violation could not be "
                           "blamed on a record");
    }
    return depth == 0 ? 0 : err_set(e, LEAT_ELOAD, "a '(' is not closed");
}

static bool starts_constraint(struct sql_token t)
{
    static const char *const words[] = {"constraint", "primary", "unique", "check", "foreign"};

    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (sql_is(t, words[i]))
            return true;
    return false;
}

static bool ends_type(struct sql_token t)
{
    static const char *const words[] = {
        "constraint", "primary", "not",       "null",       "unique",     "check",     "default",
        "collate",    "as",      "generated", "references", "deferrable", "initially", "on"};

    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (sql_is(t, words[i]))
            return true;
    return t.kind != SQL_WORD && t.kind != SQL_NAME;
}

// The tokens of a type, joined: "decimal(10,2)". Returns how many there are.
static size_t declared_type(const struct sql_token *t, size_t n, struct buf *out)
{
    size_t i = 0;

    while (i < n && !ends_type(t[i]))
        sql_append(out, t[i++]);
    if (i == 0 || i >= n || !sql_is_punct(t[i], '('))
        return i;
    for (; i < n; i++) {
        buf_append_bytes(out, t[i].text);
        if (sql_is_punct(t[i], ')'))
            return i + 1;
    }
    return i;
}

static void append_check(struct draft *d, const struct column *c)
{
    static const char nines[] = "999999999999999999";

    // json_valid(NULL) is 0 in older SQLite.
    if (c->type == LOGICAL_JSON) {
        buf_append_str(&d->sql, " CHECK (");
        sql_append_name(&d->sql, c->name);
        buf_append_str(&d->sql, " IS NULL OR json_valid(");
        sql_append_name(&d->sql, c->name);
        buf_append_str(&d->sql, "))");
    }
    if (c->type == LOGICAL_BOOL || c->type == LOGICAL_DECIMAL) {
        buf_append_str(&d->sql, " CHECK (");
        sql_append_name(&d->sql, c->name);
    }
    if (c->type == LOGICAL_BOOL)
        buf_append_str(&d->sql, " IN (0, 1))");
    if (c->type == LOGICAL_DECIMAL)
        buf_printf(&d->sql, " BETWEEN -%.*s AND %.*s)", c->precision, nines, c->precision, nines);
}

static struct column *draft_column(struct draft *d)
{
    if (d->n_columns == d->cap_columns) {
        int cap = d->cap_columns ? 2 * d->cap_columns : 16;
        struct column *grown = arena_zalloc(d->arena, (size_t)cap * sizeof *grown);
        if (d->n_columns > 0)
            memcpy(grown, d->columns, (size_t)d->n_columns * sizeof *grown);
        d->columns = grown;
        d->cap_columns = cap;
    }
    return &d->columns[d->n_columns++];
}

// name type constraint...
static int column_def(struct draft *d, const struct sql_token *t, size_t n, struct err *e)
{
    struct column *c = draft_column(d);
    struct buf type = BUF_EMPTY;
    bool ours;
    size_t i;

    *c = (struct column){.name = sql_name(t[0], d->arena)};
    i = 1 + declared_type(t + 1, n - 1, &type);
    c->type_text = arena_strdup(d->arena, buf_cstr(&type));
    ours = logical_parse(buf_bytes(&type), &c->type, &c->precision, &c->scale);
    buf_deinit(&type);
    if (strncasecmp(c->name, "_leat", 5) == 0)
        return err_set(e, LEAT_ELOAD, "column %s: names that begin with _leat are leat's", c->name);
    if (!ours && strncasecmp(c->type_text, "decimal", 7) == 0)
        return err_set(e, LEAT_ELOAD, "column %s: decimal(p,s) wants 1 <= p <= 18 and 0 <= s <= p",
                       c->name);
    sql_append_name(&d->sql, c->name);
    if (c->type_text[0]) {
        buf_append_byte(&d->sql, ' ');
        buf_append_str(&d->sql, ours ? logical_storage(c->type) : c->type_text);
    }
    if (ours)
        append_check(d, c);
    for (; i < n; i++)
        sql_append(&d->sql, t[i]);
    return 0;
}

static int draft_part(struct draft *d, const struct sql_token *t, size_t n, struct err *e)
{
    if (n == 0)
        return err_set(e, LEAT_ELOAD, "two commas with nothing between, or one at an end");
    if (d->sql.n > 0)
        buf_append_str(&d->sql, ",\n");
    if (!starts_constraint(t[0]))
        return column_def(d, t, n, e);
    for (size_t i = 0; i < n; i++)
        sql_append(&d->sql, t[i]);
    return 0;
}

// Splits at the commas outside of parentheses.
static int draft_body(struct draft *d, struct err *e)
{
    struct tokens t;
    size_t from = 0;
    int depth = 0;
    int rc = tokens_read(d->arena, d->plan->body, &t, e);

    if (rc == 0)
        rc = tokens_check(&t, e);
    for (size_t i = 0; rc == 0 && i <= t.n; i++) {
        if (i < t.n)
            depth += sql_is_punct(t.items[i], '(') - sql_is_punct(t.items[i], ')');
        if (i == t.n || (depth == 0 && sql_is_punct(t.items[i], ','))) {
            rc = draft_part(d, t.items + from, i - from, e);
            from = i + 1;
        }
    }
    return rc;
}

static const char *create_text(struct draft *d, bool without_rowid)
{
    struct buf out = BUF_EMPTY;
    const char *text;

    buf_append_str(&out, "CREATE TABLE ");
    sql_append_name(&out, d->plan->name);
    buf_append_str(&out, " (\n");
    buf_append_bytes(&out, buf_bytes(&d->sql));
    buf_append_str(&out, without_rowid ? "\n) STRICT, WITHOUT ROWID" : "\n) STRICT");
    text = arena_strdup(d->arena, buf_cstr(&out));
    buf_deinit(&out);
    return text;
}

// What a statement that makes one object may touch: the schema, and reading the user's tables.
static bool may_make(void *ctx, const struct db_access *a)
{
    const char *name = ctx;

    switch (a->kind) {
    case DB_ACCESS_CREATE_INDEX:
        // A table's keys are indexes that SQLite names itself.
        if (strcmp(a->column, name) == 0 && strncmp(a->table, "sqlite_autoindex_", 17) == 0)
            return true;
        return strcmp(a->table, name) == 0;
    case DB_ACCESS_CREATE_TABLE:
    case DB_ACCESS_CREATE_VIEW:
        return strcmp(a->table, name) == 0;
    case DB_ACCESS_READ:
        return true;
    case DB_ACCESS_INSERT:
    case DB_ACCESS_UPDATE:
    case DB_ACCESS_DELETE:
        return strcmp(a->table, "sqlite_master") == 0;
    }
    return false;
}

static bool may_insert(void *ctx, const struct db_access *a)
{
    (void)ctx;
    return a->kind <= DB_ACCESS_DELETE;
}

static int make(struct db *db, const char *name, const char *sql, struct err *e)
{
    struct db_policy policy = {.may = may_make, .ctx = (void *)(uintptr_t)name};
    struct db_stmt *s;
    int rc;

    db_set_policy(db, &policy);
    rc = db_prepare(db, sql, &s, e);
    db_set_policy(db, NULL);
    if (rc < 0)
        return rc;
    rc = db_run(s, e);
    db_stmt_free(s);
    return rc;
}

static int drop(struct db *db, const char *name, struct err *e)
{
    struct buf sql = BUF_EMPTY;
    int rc;

    buf_append_str(&sql, "DROP TABLE ");
    sql_append_name(&sql, name);
    rc = db_exec(db, buf_cstr(&sql), e);
    buf_deinit(&sql);
    return rc;
}

const struct jobtable *ddl_readable(const struct ddl *d, const char *name)
{
    for (int i = 0; i < d->n_tables; i++) {
        const struct jobtable *t = &d->tables[i];
        if (strcasecmp(t->name, name) == 0)
            return t;
        if (t->history != NULL && strcasecmp(t->history->name, name) == 0)
            return t->history;
    }
    return NULL;
}

const struct column *jobtable_column(const struct jobtable *t, struct bytes name)
{
    for (int i = 0; i < t->n_columns; i++)
        if (bytes_eq_str(name, t->columns[i].name))
            return &t->columns[i];
    return NULL;
}

static int read_columns(struct db *db, struct draft *d, struct err *e)
{
    struct db_stmt *s;
    int rc = db_prepare(
        db, "SELECT name, \"notnull\", dflt_value, pk, hidden FROM pragma_table_xinfo(?1)", &s, e);

    if (rc < 0)
        return rc;
    db_bind_str(s, 1, d->plan->name);
    while ((rc = db_next(s, e)) == 1) {
        for (int i = 0; i < d->n_columns; i++) {
            struct column *c = &d->columns[i];
            if (!bytes_eq_str(db_column_text(s, 0), c->name))
                continue;
            c->pk = (int)db_column_int(s, 3);
            c->not_null = db_column_int(s, 1) != 0 || c->pk > 0;
            c->generated = db_column_int(s, 4) > 1;
            if (db_column_type(s, 2) != DB_NULL)
                c->fallback = (const char *)arena_copy(d->arena, db_column_text(s, 2)).p;
        }
    }
    db_stmt_free(s);
    return rc;
}

static int pk_count(const struct draft *d)
{
    int n = 0;

    for (int i = 0; i < d->n_columns; i++)
        n += d->columns[i].pk > 0;
    return n;
}

static bool has_integer_key(const struct draft *d)
{
    for (int i = 0; i < d->n_columns; i++)
        if (d->columns[i].pk > 0)
            return pk_count(d) == 1 && strcmp(logical_storage(d->columns[i].type), "INTEGER") == 0;
    return false;
}

static void fill_lists(struct jobtable *t, struct arena *a)
{
    size_t n = (size_t)t->n_columns;

    t->names = arena_alloc(a, (n + 1) * sizeof *t->names);
    t->types = arena_alloc(a, (n + 1) * sizeof *t->types);
    t->pk = arena_zalloc(a, (n + 1) * sizeof *t->pk);
    t->pk_names = arena_zalloc(a, (n + 1) * sizeof *t->pk_names);
    for (int i = 0; i < t->n_columns; i++) {
        struct column *c = &t->columns[i];
        if (!c->generated) {
            t->names[t->n_names] = c->name;
            t->types[t->n_names++] = c->type_text;
        }
        if (c->pk > 0) {
            t->pk[c->pk - 1] = i;
            t->pk_names[c->pk - 1] = c->name;
            t->n_pk++;
        }
    }
}

static int build_table(struct db *db, struct draft *d, struct jobtable *out, struct err *e)
{
    bool bare = d->plan->without_rowid;
    int rc = draft_body(d, e);

    if (rc < 0)
        return rc;
    if (strncasecmp(d->plan->name, "_leat", 5) == 0 ||
        strncasecmp(d->plan->name, "sqlite_", 7) == 0)
        return err_set(e, LEAT_ELOAD, "names that begin with _leat or sqlite_ are taken");
    out->create = create_text(d, bare);
    rc = make(db, d->plan->name, out->create, e);
    if (rc == 0)
        rc = read_columns(db, d, e);
    if (rc < 0)
        return rc;
    if (pk_count(d) == 0)
        return err_set(e, LEAT_ELOAD, "a primary key is required");
    if (!bare && !has_integer_key(d)) {
        out->create = create_text(d, true);
        rc = drop(db, d->plan->name, e);
        if (rc == 0)
            rc = make(db, d->plan->name, out->create, e);
    }
    out->name = d->plan->name;
    out->columns = d->columns;
    out->n_columns = d->n_columns;
    fill_lists(out, d->arena);
    return rc;
}

static int fk_row(struct db_stmt *s, struct jobtable *t, struct arena *a)
{
    int n = (int)db_column_int(s, 1), cap = (int)db_column_int(s, 5);
    struct foreign_key *fk;

    if (n == 0) {
        fk = &t->fks[t->n_fks++];
        fk->parent = (const char *)arena_copy(a, db_column_text(s, 2)).p;
        fk->on_delete = (const char *)arena_copy(a, db_column_text(s, 6)).p;
        fk->n = cap;
        fk->from = arena_zalloc(a, (size_t)cap * sizeof *fk->from);
        fk->to = arena_zalloc(a, (size_t)cap * sizeof *fk->to);
    }
    fk = &t->fks[t->n_fks - 1];
    fk->from[n] = (const char *)arena_copy(a, db_column_text(s, 3)).p;
    if (db_column_type(s, 4) != DB_NULL)
        fk->to[n] = (const char *)arena_copy(a, db_column_text(s, 4)).p;
    return 0;
}

static int read_foreign_keys(struct db *db, struct jobtable *t, struct arena *a, struct err *e)
{
    struct db_stmt *s;
    int rc =
        db_prepare(db,
                   "SELECT id, seq, \"table\", \"from\", \"to\", count(*) OVER (PARTITION BY id),"
                   " on_delete FROM pragma_foreign_key_list(?1) ORDER BY id, seq",
                   &s, e);

    if (rc < 0)
        return rc;
    t->fks = arena_zalloc(a, (size_t)t->n_columns * 8 * sizeof *t->fks);
    db_bind_str(s, 1, t->name);
    while ((rc = db_next(s, e)) == 1 && t->n_fks < t->n_columns * 8)
        fk_row(s, t, a);
    db_stmt_free(s);
    return rc;
}

static int prepares(struct db *db, struct buf *sql, struct err *e)
{
    struct db_policy policy = {.may = may_insert};
    struct db_stmt *s;
    int rc;

    db_set_policy(db, &policy);
    rc = db_prepare(db, buf_cstr(sql), &s, e);
    db_set_policy(db, NULL);
    if (rc == 0)
        db_stmt_free(s);
    return rc;
}

// SQLite looks at the parents of foreign keys when a row is written, and asks the policy about the
// functions in a default never: let it do both, without writing.
static int check_insert(struct db *db, const struct jobtable *t, struct err *e)
{
    struct buf sql = BUF_EMPTY;
    int rc;

    buf_append_str(&sql, "INSERT OR ABORT INTO ");
    sql_append_name(&sql, t->name);
    buf_append_str(&sql, " DEFAULT VALUES");
    rc = prepares(db, &sql, e);
    for (int i = 0; i < t->n_columns && rc == 0; i++) {
        if (t->columns[i].fallback == NULL)
            continue;
        buf_clear(&sql);
        buf_printf(&sql, "SELECT %s", t->columns[i].fallback);
        rc = prepares(db, &sql, e);
        if (rc < 0)
            rc = err_wrap(e, rc, "default of column %s", t->columns[i].name);
    }
    buf_deinit(&sql);
    return rc;
}

static int check_foreign_keys(struct db *db, const struct ddl *d, const struct jobtable *t,
                              struct err *e)
{
    for (int i = 0; i < t->n_fks; i++) {
        bool found = false;
        for (int j = 0; j < d->n_tables; j++)
            found = found || strcasecmp(d->tables[j].name, t->fks[i].parent) == 0;
        if (!found)
            return err_set(e, LEAT_ELOAD,
                           "it references the table %s, which this job does not have",
                           t->fks[i].parent);
    }
    return check_insert(db, t, e);
}

// "customer, placed_at desc where status = 'placed'" as columns and condition.
static int index_text(struct buf *out, struct arena *a, const char *text, struct err *e)
{
    struct tokens t;
    int depth = 0;
    bool where = false;
    int rc = tokens_read(a, text, &t, e);

    if (rc == 0)
        rc = tokens_check(&t, e);
    if (rc < 0)
        return rc;
    buf_append_str(out, " (");
    for (size_t i = 0; i < t.n; i++) {
        depth += sql_is_punct(t.items[i], '(') - sql_is_punct(t.items[i], ')');
        if (depth == 0 && !where && sql_is(t.items[i], "where")) {
            where = true;
            buf_append_str(out, ") WHERE");
        } else {
            sql_append(out, t.items[i]);
        }
    }
    if (!where)
        buf_append_str(out, ")");
    return 0;
}

static int build_index(struct db *db, const struct plan_table *t, const struct plan_index *x,
                       struct arena *a, struct jobindex *out, struct err *e)
{
    struct buf sql = BUF_EMPTY;
    int rc;

    out->name = arena_printf(a, "_leat_index_%s_%08x", t->name,
                             (unsigned)(bytes_hash(bytes_str(x->sql), 1) & 0xffffffff));
    buf_append_str(&sql, "CREATE INDEX ");
    sql_append_name(&sql, out->name);
    buf_append_str(&sql, " ON ");
    sql_append_name(&sql, t->name);
    rc = index_text(&sql, a, x->sql, e);
    if (rc == 0) {
        out->create = arena_strdup(a, buf_cstr(&sql));
        rc = make(db, out->name, out->create, e);
    }
    buf_deinit(&sql);
    return rc;
}

static int build_view(struct db *db, const struct plan_view *v, struct arena *a,
                      struct jobview *out, struct err *e)
{
    struct buf sql = BUF_EMPTY;
    struct db_stmt *s;
    int rc;

    buf_append_str(&sql, "CREATE VIEW ");
    sql_append_name(&sql, v->name);
    buf_append_str(&sql, " AS ");
    buf_append_str(&sql, v->sql);
    out->name = v->name;
    out->create = arena_strdup(a, buf_cstr(&sql));
    rc = make(db, v->name, out->create, e);
    // SQLite looks at a view's names only when it is used.
    buf_clear(&sql);
    buf_append_str(&sql, "SELECT * FROM ");
    sql_append_name(&sql, v->name);
    if (rc == 0) {
        rc = db_prepare(db, buf_cstr(&sql), &s, e);
        if (rc == 0)
            db_stmt_free(s);
    }
    buf_deinit(&sql);
    return rc;
}

static int blame(const struct plan *p, int line, const char *what, const char *name, int rc,
                 struct err *e)
{
    if (e != NULL && rc != LEAT_ENOMEM && rc != LEAT_EUNSUPPORTED)
        e->code = rc = LEAT_ELOAD;
    return err_wrap(e, rc, "%s:%d: %s %s", p->file, line, what, name);
}

static int build_tables(struct db *db, const struct plan *p, struct arena *a, struct ddl *out,
                        struct err *e)
{
    int rc = 0;

    out->tables = arena_zalloc(a, (size_t)(p->n_tables + 1) * sizeof *out->tables);
    for (int i = 0; i < p->n_tables && rc == 0; i++) {
        struct draft d = {.plan = &p->tables[i], .arena = a};
        rc = build_table(db, &d, &out->tables[out->n_tables++], e);
        buf_deinit(&d.sql);
        if (rc < 0)
            return blame(p, p->tables[i].line, "table", p->tables[i].name, rc, e);
    }
    for (int i = 0; i < out->n_tables; i++) {
        rc = read_foreign_keys(db, &out->tables[i], a, e);
        if (rc == 0)
            rc = check_foreign_keys(db, out, &out->tables[i], e);
        if (rc < 0)
            return blame(p, p->tables[i].line, "table", p->tables[i].name, rc, e);
    }
    return 0;
}

// An index of ours, over one column.
static int build_own(struct db *db, const char *name, const char *on, struct arena *a,
                     struct ddl *out, struct err *e)
{
    struct jobindex *x = &out->indexes[out->n_indexes++];
    struct buf sql = BUF_EMPTY;

    x->name = name;
    buf_append_str(&sql, "CREATE INDEX ");
    sql_append_name(&sql, name);
    buf_append_str(&sql, " ON ");
    buf_append_str(&sql, on);
    x->create = arena_strdup(a, buf_cstr(&sql));
    buf_deinit(&sql);
    return make(db, name, x->create, e);
}

// Rows that go by time must be found without reading the table: those past a ttl by its column,
// versions by their end.
static int build_time_indexes(struct db *db, const struct jobtable *t, struct arena *a,
                              struct ddl *out, struct err *e)
{
    struct buf on = BUF_EMPTY;
    bool has = true;
    int rc = t->ttl_column != NULL ? retention_has_index(db, t, &has, e) : 0;

    if (rc == 0 && !has) {
        sql_append_name(&on, t->name);
        buf_append_str(&on, " (");
        sql_append_name(&on, t->ttl_column->name);
        buf_append_str(&on, ")");
        rc = build_own(db, arena_printf(a, "_leat_index_%s_ttl", t->name), buf_cstr(&on), a, out,
                       e);
    }
    buf_clear(&on);
    if (rc == 0 && t->history != NULL) {
        sql_append_name(&on, t->history->name);
        buf_printf(&on, " (valid_to) WHERE valid_to < %" PRId64, (int64_t)HISTORY_FOREVER);
        rc = build_own(db, arena_printf(a, "_leat_index_%s_to", t->history->name), buf_cstr(&on),
                       a, out, e);
    }
    buf_deinit(&on);
    return rc;
}

static int build_indexes(struct db *db, const struct plan *p, struct arena *a, struct ddl *out,
                         struct err *e)
{
    int n = 2 * p->n_tables, rc; // ours

    for (int i = 0; i < p->n_tables; i++)
        n += p->tables[i].n_indexes;
    out->indexes = arena_zalloc(a, (size_t)(n + 1) * sizeof *out->indexes);
    for (int i = 0; i < p->n_tables; i++) {
        const struct plan_table *t = &p->tables[i];
        for (int j = 0; j < t->n_indexes; j++) {
            rc = build_index(db, t, &t->indexes[j], a, &out->indexes[out->n_indexes++], e);
            if (rc < 0)
                return blame(p, t->indexes[j].line, "index of table", t->name, rc, e);
        }
        rc = build_time_indexes(db, &out->tables[i], a, out, e);
        if (rc < 0)
            return blame(p, t->line, "ttl of table", t->name, rc, e);
    }
    return 0;
}

int ddl_build(struct db *scratch, const struct plan *p, struct arena *a, struct ddl *out,
              struct err *e)
{
    int rc;

    *out = (struct ddl){0};
    rc = build_tables(scratch, p, a, out, e);
    if (rc == 0)
        rc = retention_read(p, out, e);
    if (rc == 0)
        rc = history_build(scratch, p, a, out, e);
    if (rc == 0)
        rc = build_indexes(scratch, p, a, out, e);
    out->views = arena_zalloc(a, (size_t)(p->n_views + 1) * sizeof *out->views);
    for (int i = 0; i < p->n_views && rc == 0; i++) {
        rc = build_view(scratch, &p->views[i], a, &out->views[out->n_views++], e);
        if (rc < 0)
            return blame(p, p->views[i].line, "view", p->views[i].name, rc, e);
    }
    return rc;
}
