// SPDX-License-Identifier: Apache-2.0
//
// Questions to a job's read model. One read transaction holds the rows and the offsets they follow
// from, so an answer and its position agree. Statements run on a hardened connection under a
// deadline, and stop at a number of rows and bytes.
//
// A position is "topic:partition@offset,...": the last record of each partition that the rows
// reflect. It is reached when that record has been committed, so the position of an answer, or of a
// produced record, asks the next question for at least that much.
//
// In memory (tests) there is one connection: the reader borrows the store's, between steps, with
// the same policy.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "projections/rows.h"
#include "projections/sql_text.h"
#include "runtime/base/datetime.h"
#include "runtime/base/heap.h"
#include "runtime/base/limits.h"
#include "runtime/base/number.h"

struct reader {
    struct query_reader base;
    const struct plan *plan;
    struct plan *stored; // the plan, when it was read from the file: its tables and queries
    struct db *db;
    bool borrowed;
    struct arena arena;
    struct ddl own_ddl;
    const struct ddl *ddl;
    struct db_stmt **named; // per query of the plan
    struct db_stmt *position, *next;
    struct db_stmt *source; // whether a stored plan reads a topic
};

bool query_may(void *ctx, const struct db_access *a)
{
    const struct ddl *d = ctx;

    if (a->kind != DB_ACCESS_READ)
        return false;
    if (strncmp(a->table, "_leat_", 6) == 0)
        return true;
    if (ddl_readable(d, a->table) != NULL)
        return true;
    for (int i = 0; i < d->n_views; i++)
        if (strcasecmp(d->views[i].name, a->table) == 0)
            return true;
    return false;
}

static int prepare(struct reader *r, struct bytes sql, struct db_stmt **out, struct err *e)
{
    struct db_policy policy = {.may = query_may, .ctx = (void *)(uintptr_t)r->ddl};
    int rc;

    db_set_policy(r->db, &policy);
    rc = db_prepare_bytes(r->db, sql, out, e);
    // On a hardened connection a policy always stands: ours is lifted for our own statements only.
    if (r->borrowed)
        db_set_policy(r->db, NULL);
    if (rc == 0 && !db_stmt_readonly(*out)) {
        db_stmt_free(*out);
        *out = NULL;
        rc = err_set(e, LEAT_EINVAL, "only statements that read are allowed here");
    }
    return rc;
}

// --- parameters ---

struct bytes query_param_type(const struct plan_param *p)
{
    size_t n = 0;

    while (p->type[n] && p->type[n] != '?' && p->type[n] != '=' && p->type[n] != ' ')
        n++;
    return bytes_of(p->type, n);
}

static int text_to_value(enum logical type, struct bytes text, struct value *out)
{
    int rc = 0;

    *out = value_text(text);
    switch (type) {
    case LOGICAL_INTEGER:
        out->type = VALUE_INT;
        return number_parse_int(text, &out->i);
    case LOGICAL_REAL:
        out->type = VALUE_FLOAT;
        return number_parse_float(text, &out->f);
    case LOGICAL_TIME:
        if (number_parse_int(text, &out->i) == 0)
            out->type = VALUE_INT;
        return rc;
    case LOGICAL_BOOL:
        *out = value_bool(bytes_eq_str(text, "true") || bytes_eq_str(text, "1"));
        if (!out->b && !bytes_eq_str(text, "false") && !bytes_eq_str(text, "0"))
            return LEAT_EINVAL;
        return rc;
    default:
        return rc;
    }
}

static int bind_declared(struct db_stmt *s, int i, const struct plan_param *p,
                         const struct bytes *text, struct arena *a, struct err *e)
{
    struct bytes type = query_param_type(p);
    struct column c = {.name = p->name, .type_text = p->type};
    struct value v;
    int rc;

    if (!logical_parse(type, &c.type, &c.precision, &c.scale))
        return err_set(e, LEAT_EINVAL, "parameter %s: the type %s is unknown", p->name, p->type);
    if (text == NULL && value_is_nil(&p->fallback)) {
        if (!p->nullable)
            return err_set(e, LEAT_EINVAL, "parameter %s is missing (%s)", p->name, p->type);
        db_bind_null(s, i);
        return 0;
    }
    rc = text != NULL ? text_to_value(c.type, *text, &v) : 0;
    if (text == NULL)
        v = p->fallback;
    if (rc == 0)
        rc = cell_bind(s, i, &c, &v, a, NULL);
    if (rc < 0 && text != NULL)
        return err_set(e, LEAT_EINVAL, "parameter %s wants %.*s, not \"%.*s\"", p->name,
                       BYTES_FMT(type), (int)(text->n < 60 ? text->n : 60), (const char *)text->p);
    return rc < 0 ? err_set(e, LEAT_EINVAL, "parameter %s: its default is not %.*s", p->name,
                            BYTES_FMT(type))
                  : 0;
}

// Without a declared type: what looks like a JSON number is one.
static int bind_guessed(struct db_stmt *s, int i, struct bytes text)
{
    int64_t n;
    double f;

    if (number_parse_int(text, &n) == 0)
        db_bind_int(s, i, n);
    else if (number_parse_float(text, &f) == 0)
        db_bind_double(s, i, f);
    else
        db_bind_text(s, i, text);
    return 0;
}

static const struct bytes *given(const struct query_request *q, const char *name)
{
    for (size_t i = 0; i < q->n_params; i++)
        if (bytes_eq_str(q->names[i], name))
            return &q->texts[i];
    return NULL;
}

static const struct plan_param *declared(const struct plan_query *q, struct bytes name)
{
    for (int i = 0; i < q->n_params; i++)
        if (bytes_eq_str(name, q->params[i].name))
            return &q->params[i];
    return NULL;
}

static int check_names(const struct query_request *q, struct db_stmt *s, struct err *e)
{
    for (size_t i = 0; i < q->n_params; i++) {
        bool known = q->named != NULL && declared(q->named, q->names[i]) != NULL;
        for (int k = 1; k <= db_bind_count(s) && !known && q->named == NULL; k++) {
            const char *name = db_bind_name(s, k);
            known = name != NULL && bytes_eq_str(q->names[i], name + 1);
        }
        if (!known)
            return err_set(e, LEAT_EINVAL, "there is no parameter %.*s", BYTES_FMT(q->names[i]));
    }
    return 0;
}

static int bind_params(const struct query_request *q, struct db_stmt *s, struct arena *a,
                       struct err *e)
{
    int rc = check_names(q, s, e);

    for (int i = 1; i <= db_bind_count(s) && rc == 0; i++) {
        const char *name = db_bind_name(s, i);
        const struct bytes *text = name != NULL ? given(q, name + 1) : NULL;
        if (name == NULL)
            return err_set(e, LEAT_EINVAL, "parameters have names here: write :name and not ?");
        const struct plan_param *p =
            q->named != NULL ? declared(q->named, bytes_str(name + 1)) : NULL;
        if (p != NULL)
            rc = bind_declared(s, i, p, text, a, e);
        else if (text != NULL)
            rc = bind_guessed(s, i, *text);
        else
            rc = err_set(e, LEAT_EINVAL, "parameter %s is missing", name + 1);
    }
    return rc;
}

// --- the answer ---

struct collector {
    struct query_answer *out;
    struct arena *arena;
    const struct column **origins;
    int *shown; // result column of each answer column
    size_t cap, bytes, rows_max, bytes_max;
};

static void describe(struct reader *r, struct db_stmt *s, struct collector *c)
{
    size_t n = (size_t)db_column_count(s);
    struct query_answer *out = c->out;

    out->columns = arena_zalloc(c->arena, (n + 1) * sizeof *out->columns);
    out->types = arena_zalloc(c->arena, (n + 1) * sizeof *out->types);
    c->origins = arena_zalloc(c->arena, (n + 1) * sizeof *c->origins);
    c->shown = arena_zalloc(c->arena, (n + 1) * sizeof *c->shown);
    for (int i = 0; i < (int)n; i++) {
        if (rows_hidden(s, i))
            continue;
        c->origins[out->n_columns] = rows_origin(r->ddl, s, i);
        c->shown[out->n_columns] = i;
        out->columns[out->n_columns] = arena_copy(c->arena, bytes_str(db_column_name(s, i)));
        if (c->origins[out->n_columns] != NULL)
            out->types[out->n_columns] = c->origins[out->n_columns]->type_text;
        out->n_columns++;
    }
}

static const char *stored_type(struct db_stmt *s, int i)
{
    switch (db_column_type(s, i)) {
    case DB_INT:
        return "integer";
    case DB_DOUBLE:
        return "real";
    case DB_TEXT:
        return "text";
    case DB_BLOB:
        return "blob";
    case DB_NULL:
        break;
    }
    return NULL;
}

static int add_row(struct db_stmt *s, struct collector *c, struct err *e)
{
    struct query_answer *out = c->out;
    struct value *row;

    if (out->n_rows == c->cap) {
        size_t cap = c->cap ? 2 * c->cap : 16;
        struct value *grown = arena_alloc(c->arena, (cap * out->n_columns + 1) * sizeof *grown);
        if (c->cap > 0)
            memcpy(grown, out->cells, c->cap * out->n_columns * sizeof *grown);
        out->cells = grown;
        c->cap = cap;
    }
    row = &out->cells[out->n_rows * out->n_columns];
    for (size_t k = 0; k < out->n_columns; k++) {
        int i = c->shown[k];
        int rc = cell_read(s, i, c->origins[k], c->arena, &row[k], e);
        if (rc == 0)
            rc = cell_show(&row[k], c->origins[k], c->arena, e);
        if (rc < 0)
            return rc;
        if (out->types[k] == NULL)
            out->types[k] = stored_type(s, i);
        c->bytes += sizeof *row + (row[k].type >= VALUE_TEXT ? db_column_text(s, i).n : 0);
    }
    out->n_rows++;
    return 0;
}

static int collect(struct reader *r, struct db_stmt *s, struct collector *c, struct err *e)
{
    int rc;

    describe(r, s, c);
    while ((rc = db_next(s, e)) == 1) {
        if (c->out->n_rows == c->rows_max || c->bytes > c->bytes_max) {
            c->out->truncated = true;
            break;
        }
        rc = add_row(s, c, e);
        if (rc < 0)
            break;
    }
    db_reset(s);
    for (size_t k = 0; k < c->out->n_columns; k++)
        if (c->out->types[k] == NULL)
            c->out->types[k] = "any";
    return rc < 0 ? rc : 0;
}

static int read_position(struct reader *r, struct arena *a, struct bytes *out, struct err *e)
{
    struct buf b = BUF_EMPTY;
    char topic[TOPIC_NAME_MAX + 1] = "";
    int rc;

    while ((rc = db_next(r->position, e)) == 1) {
        const char *name = (const char *)db_column_text(r->position, 0).p;
        if (strcmp(topic, name) != 0)
            buf_printf(&b, "%s%s:", b.n ? ";" : "", name);
        else
            buf_append_byte(&b, ',');
        snprintf(topic, sizeof topic, "%s", name);
        buf_printf(&b, "%" PRId64 "@%" PRId64, db_column_int(r->position, 1),
                   db_column_int(r->position, 2) - 1);
    }
    *out = arena_copy(a, b.n ? buf_bytes(&b) : BYTES_LIT(""));
    buf_deinit(&b);
    return rc;
}

// *kept: the statement is the reader's. A query that is not in the reader's plan is prepared each
// time.
static int find_statement(struct reader *r, const struct query_request *q, struct db_stmt **out,
                          bool *kept, struct err *e)
{
    *kept = false;
    if (q->named == NULL)
        return prepare(r, q->sql, out, e);
    for (int i = 0; r->plan != NULL && i < r->plan->n_queries; i++) {
        int rc = 0;
        if (&r->plan->queries[i] != q->named)
            continue;
        if (r->named[i] == NULL)
            rc = prepare(r, bytes_str(q->named->sql), &r->named[i], e);
        *out = r->named[i];
        *kept = true;
        return rc;
    }
    return prepare(r, bytes_str(q->named->sql), out, e);
}

static int run_inside(struct reader *r, const struct query_request *q, struct db_stmt *s,
                      struct arena *a, struct query_answer *out, struct err *e)
{
    struct collector c = {.out = out,
                          .arena = a,
                          .rows_max = q->rows_max ? q->rows_max : QUERY_ROWS_MAX,
                          .bytes_max = q->bytes_max ? q->bytes_max : QUERY_BYTES_MAX};
    int64_t ms = q->deadline_ms ? q->deadline_ms : QUERY_MS_MAX;
    int rc = r->borrowed ? 0 : db_begin(r->db, e);

    if (rc < 0)
        return rc;
    db_set_deadline(r->db, clock_mono_ns(clock_system()) + ms * 1000000);
    rc = collect(r, s, &c, e);
    db_set_deadline(r->db, 0);
    if (rc == LEAT_ETIMEDOUT)
        rc = err_set(e, rc, "the query ran longer than %d ms", (int)ms);
    if (rc == 0)
        rc = read_position(r, a, &out->position, e);
    if (!r->borrowed)
        db_rollback(r->db);
    return rc;
}

static int reader_run(struct query_reader *base, const struct query_request *q, struct arena *a,
                      struct query_answer *out, struct err *e)
{
    struct reader *r = container_of(base, struct reader, base);
    struct db_stmt *s = NULL;
    bool kept;
    int rc = find_statement(r, q, &s, &kept, e);

    *out = (struct query_answer){0};
    if (rc == 0)
        rc = bind_params(q, s, a, e);
    if (rc == 0)
        rc = run_inside(r, q, s, a, out, e);
    if (!kept)
        db_stmt_free(s);
    else if (s != NULL)
        db_reset(s);
    return rc;
}

// --- positions ---

// A stored plan is read without its operators: its text says.
static int reads(struct reader *r, struct bytes topic, struct err *e)
{
    int rc;

    if (r->stored == NULL)
        return plan_reads(r->plan, topic);
    db_bind_text(r->source, 1, topic);
    rc = db_next(r->source, e);
    db_reset(r->source);
    return rc;
}

// "0@12" behind a topic. 1 reached, 0 not yet.
static int reached_one(struct reader *r, struct bytes topic, struct bytes part, struct err *e)
{
    const uint8_t *at = memchr(part.p, '@', part.n);
    int64_t partition, offset;
    int rc;

    if (at == NULL || number_parse_int(bytes_of(part.p, (size_t)(at - part.p)), &partition) < 0 ||
        number_parse_int(bytes_of(at + 1, part.n - (size_t)(at - part.p) - 1), &offset) < 0)
        return err_set(e, LEAT_EINVAL, "\"%.*s\" is no position: it reads topic:partition@offset",
                       BYTES_FMT(part));
    db_bind_text(r->next, 1, topic);
    db_bind_int(r->next, 2, partition);
    rc = db_next(r->next, e);
    if (rc == 1)
        rc = db_column_int(r->next, 0) > offset;
    else if (rc == 0 && (rc = reads(r, topic, e)) == 0)
        rc = err_set(e, LEAT_EINVAL, "job %s does not read %.*s", r->plan->job, BYTES_FMT(topic));
    else if (rc == 1)
        rc = offset < 0;
    db_reset(r->next);
    return rc;
}

static struct bytes cut(struct bytes *rest, uint8_t by)
{
    const uint8_t *p = rest->n > 0 ? memchr(rest->p, by, rest->n) : NULL;
    struct bytes head = *rest;

    if (p == NULL) {
        *rest = bytes_of(rest->p + rest->n, 0);
        return head;
    }
    head.n = (size_t)(p - rest->p);
    *rest = bytes_of(p + 1, rest->n - head.n - 1);
    return head;
}

static int reader_reached(struct query_reader *base, struct bytes position, struct err *e)
{
    struct reader *r = container_of(base, struct reader, base);
    int all = 1;

    while (position.n > 0) {
        struct bytes parts = cut(&position, ';');
        const uint8_t *colon = parts.n > 0 ? memrchr(parts.p, ':', parts.n) : NULL;
        struct bytes topic = bytes_of(parts.p, colon != NULL ? (size_t)(colon - parts.p) : 0);
        if (topic.n == 0)
            return err_set(e, LEAT_EINVAL,
                           "\"%.*s\" is no position: it reads topic:partition@offset",
                           BYTES_FMT(parts));
        parts = bytes_of(colon + 1, parts.n - topic.n - 1);
        do {
            int rc = reached_one(r, topic, cut(&parts, ','), e);
            if (rc < 0)
                return rc;
            all = all && rc;
        } while (parts.n > 0);
    }
    return all;
}

static const struct plan *reader_plan(struct query_reader *base)
{
    return container_of(base, struct reader, base)->plan;
}

static void reader_close(struct query_reader *base)
{
    struct reader *r = container_of(base, struct reader, base);

    for (int i = 0; r->named != NULL && i < r->plan->n_queries; i++)
        db_stmt_free(r->named[i]);
    db_stmt_free(r->position);
    db_stmt_free(r->next);
    db_stmt_free(r->source);
    if (!r->borrowed)
        db_close(r->db);
    arena_deinit(&r->arena);
    plan_free(r->stored);
    heap_free(r->named);
    heap_free(r);
}

static const struct query_ops reader_ops = {
    .run = reader_run, .plan = reader_plan, .reached = reader_reached, .close = reader_close};

static struct reader *reader_new(void)
{
    struct reader *r = heap_zalloc(sizeof *r);

    r->base.ops = &reader_ops;
    arena_init(&r->arena);
    return r;
}

static void use_plan(struct reader *r, const struct plan *p)
{
    r->plan = p;
    r->named = heap_zalloc((size_t)(p->n_queries + 1) * sizeof(struct db_stmt *));
}

static int read_stored_plan(struct reader *r, struct err *e)
{
    struct db_stmt *s;
    int rc;

    db_set_policy(r->db, NULL);
    rc = db_prepare(r->db, "SELECT value FROM _leat_meta WHERE name = 'plan'", &s, e);
    if (rc < 0)
        return rc;
    rc = db_next(s, e);
    if (rc == 0)
        rc = err_set(e, LEAT_ENOTFOUND, "the file holds no plan: has the job ever started?");
    else if (rc > 0)
        rc = plan_read_json(&r->stored, db_column_text(s, 0), e);
    db_stmt_free(s);
    return rc;
}

static int prepare_own(struct reader *r, struct err *e)
{
    int rc;

    db_set_policy(r->db, NULL);
    rc = db_prepare(r->db,
                    "SELECT topic, partition, next FROM _leat_offsets WHERE next > 0"
                    " ORDER BY topic, partition",
                    &r->position, e);
    if (rc == 0)
        rc = db_prepare(r->db, "SELECT next FROM _leat_offsets WHERE topic = ?1 AND partition = ?2",
                        &r->next, e);
    if (rc == 0 && r->stored != NULL)
        rc = db_prepare(r->db,
                        "SELECT 1 FROM _leat_meta AS m, json_each(m.value, '$.nodes') AS node"
                        " WHERE m.name = 'plan' AND node.value ->> 'kind' = 'from'"
                        " AND node.value ->> 'topic' = ?1",
                        &r->source, e);
    return rc;
}

int jobfile_reader(struct query_reader **out, const struct plan *p, const char *path, struct err *e)
{
    struct db_options o = {.mode = DB_READER};
    struct reader *r = reader_new();
    int rc;

    r->ddl = &r->own_ddl;
    rc = db_open(&r->db, path, &o, e);
    if (rc == 0 && p == NULL)
        rc = read_stored_plan(r, e);
    if (rc == 0) {
        use_plan(r, p != NULL ? p : r->stored);
        rc = jf_scratch(r->plan, &r->arena, &r->own_ddl, NULL, e);
    }
    if (rc == 0)
        rc = prepare_own(r, e);
    *out = rc == 0 ? &r->base : NULL;
    if (rc < 0)
        reader_close(&r->base);
    return rc;
}

int jobfile_reader_of(struct query_reader **out, struct store *s, struct err *e)
{
    struct jobfile *jf = jobfile_of(s);
    struct reader *r = reader_new();
    int rc;

    use_plan(r, jf->plan);
    r->db = jf->db;
    r->borrowed = true;
    r->ddl = &jf->ddl;
    rc = prepare_own(r, e);
    *out = rc == 0 ? &r->base : NULL;
    if (rc < 0)
        reader_close(&r->base);
    return rc;
}
