// SPDX-License-Identifier: Apache-2.0
//
// Pictures of a driven job.
//
//   table     its columns, in the order of the primary key, and the versions of its rows if it has
//             a history; operators' hidden columns are not there
//   topic     what went out since the last picture, by partition in order. A topic that is fed by
//             changes {latest} shows the last value of each key since the beginning instead: how
//             many records there are depends on where commits are, by design. A key whose last
//             value is null is gone, as one that came and went within a commit
//   parked    class, key and place of each, not when it is tried again
//   counters  late and skipped records
//   job       runs, or why not
//
// With any_order, records are sorted by key, those without one by their text: between partitions
// nothing is promised. Sums of reals taken in another order differ in their last digits; that is
// not what anybody wants to be told.
#include "runtime/engine/chaos_picture.h"

#include "runtime/engine/driver_log.h"

struct drawing {
    struct picture *picture;
    struct driver *driver;
    const struct plan *plan;
    const struct picture_rules *rules;
    struct arena *arena;
    struct buf text;
    struct picture_part part; // being drawn
    size_t cap;
};

// --- lines ---

static struct bytes kept(struct drawing *d)
{
    struct bytes copy = arena_copy(d->arena, buf_bytes(&d->text));

    buf_clear(&d->text);
    return copy;
}

static void add_line(struct drawing *d, const struct picture_line *line)
{
    struct picture_part *p = &d->part;

    if (p->n == d->cap) {
        struct picture_line *grown;
        d->cap = d->cap > 0 ? d->cap * 2 : 8;
        grown = arena_alloc(d->arena, d->cap * sizeof *grown);
        if (p->n > 0)
            memcpy(grown, p->lines, p->n * sizeof *grown);
        p->lines = grown;
    }
    p->lines[p->n++] = *line;
}

static void begin_part(struct drawing *d, enum picture_kind kind, const char *name, int line)
{
    d->part = (struct picture_part){.kind = kind, .name = name, .job_line = line};
    d->cap = 0;
}

static void end_part(struct drawing *d)
{
    struct picture *p = d->picture;
    struct picture_part *grown = arena_alloc(d->arena, (p->n + 1) * sizeof *grown); // few

    if (p->n > 0)
        memcpy(grown, p->parts, p->n * sizeof *grown);
    grown[p->n++] = d->part;
    p->parts = grown;
}

static bool same_key(const struct picture_line *a, const struct picture_line *b)
{
    return bytes_is_null(a->key) == bytes_is_null(b->key) && bytes_eq(a->key, b->key);
}

// Whether a goes behind b; of one key, what came first stays first.
static bool goes_behind(const struct picture_line *a, const struct picture_line *b)
{
    if (bytes_is_null(a->key) != bytes_is_null(b->key))
        return bytes_is_null(b->key);
    if (bytes_is_null(a->key))
        return bytes_cmp(a->text, b->text) > 0;
    return bytes_cmp(a->key, b->key) > 0;
}

// By insertion: what a test publishes between two looks at it is little.
static void sort_lines(struct picture_line *lines, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        struct picture_line x = lines[i];
        size_t k = i;
        for (; k > 0 && goes_behind(&lines[k - 1], &x); k--)
            lines[k] = lines[k - 1];
        lines[k] = x;
    }
}

// --- tables ---

static int writer_line(const struct plan *p, int table)
{
    int line = 0, n = 0;

    for (int i = 0; i < p->n_nodes; i++)
        if (p->nodes[i].kind == NODE_INTO && p->nodes[i].into.table == table) {
            line = p->nodes[i].line;
            n++;
        }
    return n == 1 ? line : p->tables[table].line;
}

static void write_columns(struct buf *out, const char *const *names, int n)
{
    for (int i = 0; i < n; i++) {
        buf_append_str(out, i > 0 ? ", \"" : "\"");
        for (const char *c = names[i]; *c != 0; c++) {
            if (*c == '"')
                buf_append_byte(out, '"');
            buf_append_byte(out, (uint8_t)*c);
        }
        buf_append_byte(out, '"');
    }
}

static int row_key(struct drawing *d, const struct value *row, const char *const *names, int n,
                   struct bytes *out, struct err *e)
{
    for (int i = 0; i < n; i++) {
        struct value v;
        int rc = value_member(row, bytes_str(names[i]), d->arena, &v, e);
        if (rc == 0 && i > 0)
            buf_append_byte(&d->text, ',');
        if (rc == 0)
            rc = value_write_json(&v, &d->text, e);
        if (rc != 0)
            return rc;
    }
    *out = kept(d);
    return 0;
}

static int select_rows(struct drawing *d, struct tables *t, int table, struct value *rows,
                       struct err *e)
{
    const char *const *names, *const *types, *const *key;
    int n = t->ops->columns(t, table, &names, &types), n_key = t->ops->primary_key(t, table, &key);
    struct bytes sql;

    buf_append_str(&d->text, "select ");
    write_columns(&d->text, names, n);
    buf_append_str(&d->text, " from ");
    write_columns(&d->text, &d->plan->tables[table].name, 1);
    buf_append_str(&d->text, " order by ");
    write_columns(&d->text, key, n_key);
    sql = kept(d);
    return t->ops->sql(t, sql, NULL, d->arena, rows, e);
}

static int select_history(struct drawing *d, struct tables *t, int table, struct value *rows,
                          struct err *e)
{
    const char *const *key;
    int n_key = t->ops->primary_key(t, table, &key);
    struct bytes sql;

    buf_append_str(&d->text, "select * from ");
    write_columns(&d->text, &d->part.name, 1);
    buf_append_str(&d->text, " order by ");
    write_columns(&d->text, key, n_key);
    buf_append_str(&d->text, ", valid_from");
    sql = kept(d);
    return t->ops->sql(t, sql, NULL, d->arena, rows, e);
}

static int add_rows(struct drawing *d, struct tables *t, int table, const struct value *rows,
                    struct err *e)
{
    const char *const *key;
    int rc = 0, n_key = t->ops->primary_key(t, table, &key);

    for (size_t i = 1; i <= value_count(rows) && rc == 0; i++) {
        struct picture_line line = {.more = BYTES_LIT("")};
        struct value row;
        rc = value_element(rows, (int64_t)i, d->arena, &row, e);
        if (rc == 0)
            rc = row_key(d, &row, key, n_key, &line.key, e);
        if (rc == 0)
            rc = value_write_json(&row, &d->text, e);
        line.text = kept(d);
        add_line(d, &line);
    }
    return rc;
}

// Its rows, or the versions of its rows.
static int draw_table(struct drawing *d, int table, bool history, struct err *e)
{
    struct tables *t = driver_store(d->driver)->tables;
    const char *name = d->plan->tables[table].name;
    struct value rows = VALUE_OF_MISSING;
    int rc;

    if (history)
        name = arena_printf(d->arena, "%s__history", name);
    begin_part(d, PICTURE_TABLE, name, writer_line(d->plan, table));
    rc = history ? select_history(d, t, table, &rows, e) : select_rows(d, t, table, &rows, e);
    if (rc == 0)
        rc = add_rows(d, t, table, &rows, e);
    end_part(d);
    return rc;
}

// --- topics ---

static bool reaches(const struct plan *p, int node, const char *topic)
{
    const struct plan_node *n = &p->nodes[node];

    if (n->kind == NODE_TO && strcmp(n->to.topic, topic) == 0)
        return true;
    for (int port = 0; port < OUT_PORTS; port++)
        for (int i = 0; i < n->n_outs[port]; i++)
            if (reaches(p, n->outs[port][i].node, topic))
                return true;
    return false;
}

static bool only_latest(const struct plan *p, const char *topic)
{
    for (int i = 0; i < p->n_nodes; i++)
        if (p->nodes[i].kind == NODE_CHANGES && p->nodes[i].changes.latest &&
            reaches(p, i, topic))
            return true;
    return false;
}

static void record_line(struct drawing *d, const struct batch_record *r, struct picture_line *out)
{
    struct header *headers = NULL;

    *out = (struct picture_line){
        .key = bytes_is_null(r->key) ? BYTES_NULL : arena_copy(d->arena, r->key),
        .text =
            bytes_is_null(r->value) ? BYTES_LIT("null") : arena_copy(d->arena, r->value)};
    buf_printf(&d->text, "time %lld", (long long)r->timestamp);
    if (batch_record_headers(r, d->arena, &headers, NULL) != 0)
        headers = NULL;
    for (int i = 0; headers != NULL && i < r->n_headers; i++) {
        buf_printf(&d->text, ", header %.*s ", BYTES_FMT(headers[i].name));
        json_write_text(headers[i].value, &d->text);
    }
    out->more = kept(d);
}

static void keep_latest(struct drawing *d, const struct picture_line *line)
{
    for (size_t i = 0; i < d->part.n; i++)
        if (same_key(&d->part.lines[i], line)) {
            d->part.lines[i] = *line;
            return;
        }
    add_line(d, line);
}

static void drop_gone(struct drawing *d)
{
    size_t n = 0;

    for (size_t i = 0; i < d->part.n; i++)
        if (!bytes_eq_str(d->part.lines[i].text, "null"))
            d->part.lines[n++] = d->part.lines[i];
    d->part.n = n;
}

static void draw_topic(struct drawing *d, const char *topic, int job_line)
{
    struct driver_log *log = driver_topics(d->driver);
    const struct batch_record *records;
    bool latest = only_latest(d->plan, topic);
    size_t first = 0;
    size_t n = latest ? driver_log_read(log, topic, &first, &records)
                      : driver_log_take(log, topic, &records);

    begin_part(d, PICTURE_TOPIC, topic, job_line);
    for (size_t i = 0; i < n; i++) {
        struct picture_line line;
        record_line(d, &records[i], &line);
        if (latest)
            keep_latest(d, &line);
        else
            add_line(d, &line);
    }
    if (latest)
        drop_gone(d);
    if (latest || d->rules->any_order)
        sort_lines(d->part.lines, d->part.n);
    end_part(d);
}

static bool drawn(const struct drawing *d, const char *topic)
{
    for (size_t i = 0; i < d->picture->n; i++)
        if (d->picture->parts[i].kind == PICTURE_TOPIC &&
            strcmp(d->picture->parts[i].name, topic) == 0)
            return true;
    return false;
}

static void draw_topics(struct drawing *d)
{
    const struct plan *p = d->plan;

    for (int i = 0; i < p->n_nodes; i++)
        if (p->nodes[i].kind == NODE_TO && !drawn(d, p->nodes[i].to.topic))
            draw_topic(d, p->nodes[i].to.topic, p->nodes[i].line);
    if (p->errors.dead != NULL && !drawn(d, p->errors.dead))
        draw_topic(d, p->errors.dead, 0);
}

// --- the rest ---

static int parked_line(void *arg, const struct parked_row *r)
{
    struct drawing *d = arg;
    struct picture_line line = {.more = BYTES_LIT("")};

    buf_append_str(&d->text, "{\"class\":");
    json_write_text(bytes_str(r->state == PARKED_SEQUENCE ? "sequence" : err_name(r->class)),
                    &d->text);
    buf_append_str(&d->text, ",\"key\":");
    json_write_text(r->record_key, &d->text);
    buf_append_str(&d->text, ",\"topic\":");
    json_write_text(r->topic, &d->text);
    buf_printf(&d->text, ",\"partition\":%d,\"offset\":%lld}", r->partition, (long long)r->offset);
    line.text = kept(d);
    line.key = line.text;
    add_line(d, &line);
    return 0;
}

static int draw_parked(struct drawing *d, struct err *e)
{
    struct store *s = driver_store(d->driver);
    int rc;

    begin_part(d, PICTURE_PARKED, "parked records", 0);
    rc = s->ops->park_scan(s, NULL, NULL, parked_line, d, e);
    if (d->rules->any_order)
        sort_lines(d->part.lines, d->part.n);
    end_part(d);
    return rc;
}

static int draw_counter(struct drawing *d, const char *name, const char *shown, struct err *e)
{
    struct store *s = driver_store(d->driver);
    struct picture_line line = {.key = bytes_str(name), .more = BYTES_LIT("")};
    int64_t v = 0;
    int rc = s->ops->number_get(s, name, &v, e);

    begin_part(d, PICTURE_COUNTER, shown, 0);
    buf_printf(&d->text, "%lld", (long long)v);
    line.text = kept(d);
    add_line(d, &line);
    end_part(d);
    return rc < 0 ? rc : 0;
}

static void draw_job(struct drawing *d)
{
    struct picture_line line = {.key = BYTES_LIT("job"), .more = BYTES_LIT("")};

    begin_part(d, PICTURE_JOB, "the job", 0);
    buf_append_str(&d->text, d->rules->stopped != NULL ? d->rules->stopped : "runs");
    line.text = kept(d);
    add_line(d, &line);
    end_part(d);
}

int picture_draw(struct picture *p, struct driver *driver, const struct picture_rules *rules,
                 struct arena *a, struct err *e)
{
    struct drawing d = {.picture = p,
                        .driver = driver,
                        .plan = driver_plan(driver),
                        .rules = rules,
                        .arena = a,
                        .text = BUF_EMPTY};
    int rc = 0;

    draw_job(&d);
    for (int i = 0; i < d.plan->n_tables && rc == 0; i++) {
        rc = draw_table(&d, i, false, e);
        if (rc == 0 && d.plan->tables[i].history != NULL)
            rc = draw_table(&d, i, true, e);
    }
    draw_topics(&d);
    if (rc == 0)
        rc = draw_parked(&d, e);
    if (rc == 0)
        rc = draw_counter(&d, "skipped", "the number of skipped records", e);
    if (rc == 0)
        rc = draw_counter(&d, "late", "the number of late records", e);
    buf_deinit(&d.text);
    return rc;
}
