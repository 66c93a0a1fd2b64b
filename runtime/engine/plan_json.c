// SPDX-License-Identifier: Apache-2.0
//
// The plan as JSON: for `leat check --json`, and stored in the job file, from which `leat query`
// reads named queries without the job's source, and with which a changed job is compared
// (projections/outline.c). What the author said, in file order, and of what plan_finish derives the
// ids and the numbers that say what each operator means. A function is its line and a number for
// its code.
#include "runtime/engine/plan.h"

static const char *const formats[] = {"json", "msgpack", "text", "bytes"}; // enum format

static void text(struct buf *out, const char *name, const char *value)
{
    buf_printf(out, ",\"%s\":", name);
    if (value == NULL)
        buf_append_str(out, "null");
    else
        json_write_text(bytes_str(value), out);
}

static void number(struct buf *out, const char *name, int64_t value)
{
    buf_printf(out, ",\"%s\":%lld", name, (long long)value);
}

static void hash(struct buf *out, const char *name, uint64_t value)
{
    buf_printf(out, ",\"%s\":\"%016llx\"", name, (unsigned long long)value);
}

static void flag(struct buf *out, const char *name, bool value)
{
    buf_printf(out, ",\"%s\":%s", name, value ? "true" : "false");
}

// A constant that JSON cannot hold (a float that is not finite) is written as null.
static void value_json(const struct value *v, struct buf *out)
{
    size_t before = out->n;

    if (value_is_nil(v) || value_write_json(v, out, NULL) != 0) {
        out->n = before;
        buf_append_str(out, "null");
    }
}

static void fn_json(struct fn *f, struct buf *out)
{
    struct buf code = BUF_EMPTY;

    f->ops->fingerprint(f, &code);
    buf_printf(out, "{\"function\":%d", f->line);
    hash(out, "code", bytes_hash(buf_bytes(&code), 0));
    buf_append_byte(out, '}');
    buf_deinit(&code);
}

static void named_fn(struct buf *out, const char *name, struct fn *f)
{
    buf_printf(out, ",\"%s\":", name);
    fn_json(f, out);
}

static void expr_json(const struct plan_expr *x, struct buf *out)
{
    if (x->fn != NULL) {
        fn_json(x->fn, out);
    } else if (x->text == NULL) {
        value_json(&x->constant, out);
    } else if (x->n_binds == 0) {
        json_write_text(bytes_str(x->text), out);
    } else {
        buf_append_str(out, "{\"expr\":");
        json_write_text(bytes_str(x->text), out);
        buf_append_str(out, ",\"binds\":[");
        for (int i = 0; i < x->n_binds; i++) {
            buf_append_str(out, i ? "," : "");
            value_json(&x->binds[i], out);
        }
        buf_append_str(out, "]}");
    }
}

static void named_expr(struct buf *out, const char *name, const struct plan_expr *x)
{
    buf_printf(out, ",\"%s\":", name);
    expr_json(x, out);
}

static void fields_json(struct buf *out, const char *name, const struct plan_field *f, int n)
{
    buf_printf(out, ",\"%s\":[", name);
    for (int i = 0; i < n; i++) {
        buf_append_str(out, i ? ",[" : "[");
        json_write_text(f[i].name, out);
        buf_append_byte(out, ',');
        expr_json(&f[i].expr, out);
        buf_append_byte(out, ']');
    }
    buf_append_byte(out, ']');
}

static void action_json(const struct plan *p, const struct plan_action *a, struct buf *out)
{
    buf_printf(out, "{\"verb\":\"%s\"", table_verb_name(a->verb));
    text(out, "table", p->tables[a->table].name);
    fields_json(out, "key", a->key, a->n_key);
    fields_json(out, "cells", a->cells, a->n_cells);
    buf_append_byte(out, '}');
}

static void case_json(const struct plan *p, const struct plan_case *c, struct buf *out)
{
    buf_append_str(out, "{\"type\":");
    if (bytes_is_null(c->type))
        buf_append_str(out, "null");
    else
        json_write_text(c->type, out);
    if (c->fn != NULL)
        named_fn(out, "run", c->fn);
    buf_append_str(out, ",\"actions\":[");
    for (int i = 0; i < c->n_actions; i++) {
        buf_append_str(out, i ? "," : "");
        action_json(p, &c->actions[i], out);
    }
    buf_append_str(out, "]}");
}

static void match_json(const struct plan *p, const struct plan_node *n, struct buf *out)
{
    named_expr(out, "on", &n->match.on);
    buf_append_str(out, ",\"cases\":[");
    for (int i = 0; i < n->match.n; i++) {
        buf_append_str(out, i ? "," : "");
        case_json(p, &n->match.cases[i], out);
    }
    buf_append_byte(out, ']');
}

static void type_json(struct buf *out, const char *name, const struct type *t)
{
    struct buf b = BUF_EMPTY;

    if (t != NULL)
        type_print(t, &b);
    text(out, name, t != NULL ? buf_cstr(&b) : NULL);
    buf_deinit(&b);
}

static void source_json(const struct plan_source *s, struct buf *out)
{
    static const char *const after[] = {"delete", "mark", "keep"};

    text(out, "topic", s->topic);
    if (s->outbox.path != NULL) {
        text(out, "sqlite", s->outbox.path);
        text(out, "table", s->outbox.table);
        text(out, "after", after[s->outbox.after]);
    }
    if (s->has_time)
        named_expr(out, "time", &s->time);
    number(out, "disorder_ms", s->disorder_ms);
    number(out, "idle_ms", s->idle_ms);
    number(out, "ahead_ms", s->ahead_ms);
    text(out, "format", formats[s->format]);
    type_json(out, "schema", s->schema);
    flag(out, "changelog", s->changelog);
    text(out, "from", s->from_latest ? "latest" : "earliest");
}

// What quantile and top are given beside their expression.
static void function_json(const struct plan_aggregate *a, struct buf *out)
{
    struct value q = value_float(a->q);

    if (a->kind == AGG_QUANTILE) {
        buf_append_str(out, ",{\"q\":");
        value_json(&q, out);
        buf_append_byte(out, '}');
    } else if (a->kind == AGG_TOP) {
        buf_printf(out, ",{\"limit\":%lld", (long long)a->limit);
        fields_json(out, "fields", a->fields, a->n_fields);
        buf_append_byte(out, '}');
    }
}

static void aggregate_json(const struct plan *p, const struct plan_node *n, struct buf *out)
{
    static const char *const kinds[] = {"none", "tumbling", "hopping", "session", "last"};
    const struct plan_window *w = &n->aggregate.window;

    text(out, "window", kinds[w->kind]);
    if (w->kind != WINDOW_NONE) {
        number(out, "size_ms", w->size_ms);
        number(out, "every_ms", w->every_ms);
        number(out, "grace_ms", w->grace_ms);
    }
    if (w->tz != NULL)
        text(out, "tz", w->tz);
    buf_append_str(out, ",\"aggregates\":[");
    for (int i = 0; i < n->aggregate.n; i++) {
        const struct plan_aggregate *a = &n->aggregate.aggs[i];
        buf_append_str(out, i ? ",[" : "[");
        json_write_text(a->name, out);
        buf_printf(out, ",\"%s\"", agg_kind_name(a->kind));
        if (a->has_arg) {
            buf_append_byte(out, ',');
            expr_json(&a->arg, out);
        }
        function_json(a, out);
        buf_append_byte(out, ']');
    }
    buf_append_byte(out, ']');
    if (n->aggregate.ttl_ms >= 0)
        number(out, "ttl_ms", n->aggregate.ttl_ms);
    if (n->aggregate.table >= 0)
        text(out, "table", p->tables[n->aggregate.table].name);
}

static void join_json(const struct plan *p, const struct plan_node *n, struct buf *out)
{
    static const char *const with[] = {"stream", "table", "as-of"};
    static const char *const kinds[] = {"inner", "left", "outer"};
    const struct plan_join *j = &n->join;

    text(out, "with", with[j->with]);
    text(out, "join", kinds[j->kind]);
    buf_append_str(out, ",\"as\":");
    json_write_text(j->as, out);
    if (j->with == JOIN_STREAM) {
        number(out, "lo_ms", j->lo_ms);
        number(out, "hi_ms", j->hi_ms);
        number(out, "grace_ms", j->grace_ms);
        return;
    }
    text(out, "table", p->tables[j->table].name);
    fields_json(out, "on", j->on, j->n_on);
    if (j->with == JOIN_AS_OF)
        named_expr(out, "at", &j->at);
    if (j->wait_ms >= 0)
        number(out, "wait_ms", j->wait_ms);
}

static void process_json(const struct plan_process *x, struct buf *out)
{
    named_fn(out, "on", x->on);
    if (x->timer != NULL)
        named_fn(out, "timer", x->timer);
    if (x->upgrade != NULL)
        named_fn(out, "upgrade", x->upgrade);
    number(out, "ttl_ms", x->ttl_ms);
    buf_append_str(out, ",\"state\":");
    value_json(&x->state, out);
}

// The rest of config_json.
static void more_json(const struct plan *p, const struct plan_node *n, struct buf *out)
{
    switch (n->kind) {
    case NODE_EXPLODE:
        named_expr(out, "list", &n->explode.list);
        buf_append_str(out, ",\"element\":");
        json_write_text(n->explode.name, out);
        break;
    case NODE_DEDUPE:
        fields_json(out, "by", n->dedupe.by, n->dedupe.n);
        number(out, "within_ms", n->dedupe.within_ms);
        break;
    case NODE_CHANGES:
        text(out, "table", n->changes.name);
        flag(out, "latest", n->changes.latest);
        break;
    case NODE_PROCESS:
        process_json(&n->process, out);
        break;
    case NODE_JOIN:
        join_json(p, n, out);
        break;
    default:
        break;
    }
}

static void config_json(const struct plan *p, const struct plan_node *n, struct buf *out)
{
    switch (n->kind) {
    case NODE_SOURCE:
        source_json(&n->source, out);
        break;
    case NODE_EVERY:
        number(out, "interval_ms", n->every.interval_ms);
        break;
    case NODE_WHERE:
    case NODE_SPLIT:
        named_expr(out, "condition", &n->where.condition);
        break;
    case NODE_SELECT:
    case NODE_SET:
        fields_json(out, "fields", n->select.fields, n->select.n);
        break;
    case NODE_MAP:
    case NODE_FLATMAP:
        named_fn(out, "run", n->map.fn);
        break;
    case NODE_MATCH:
        match_json(p, n, out);
        break;
    case NODE_BY:
        fields_json(out, "parts", n->by.parts, n->by.n);
        break;
    case NODE_AGGREGATE:
        aggregate_json(p, n, out);
        break;
    case NODE_INTO:
        text(out, "table", p->tables[n->into.table].name);
        fields_json(out, "columns", n->into.columns, n->into.n);
        break;
    case NODE_TO:
        text(out, "topic", n->to.topic);
        if (n->to.has_key)
            named_expr(out, "key", &n->to.key);
        fields_json(out, "headers", n->to.headers, n->to.n_headers);
        if (n->to.has_format)
            text(out, "format", formats[n->to.format]);
        type_json(out, "schema", n->to.schema);
        break;
    default:
        more_json(p, n, out);
        break;
    }
}

static void fn_writes(void *arg, struct fn *f)
{
    bool *writes = arg;

    *writes = *writes || f->ops->names_db == NULL || f->ops->names_db(f);
}

static int expr_writes(void *arg, struct plan_expr *x)
{
    if (x->fn != NULL)
        fn_writes(arg, x->fn);
    return 0;
}

// Whether its functions may write tables.
static bool writes_by_hand(const struct plan *p, struct plan_node *n)
{
    bool writes = false;
    int rc = plan_node_exprs(n, expr_writes, &writes);

    ASSERT(rc == 0);
    plan_node_fns(n, fn_writes, &writes);
    return writes && p->n_tables > 0;
}

static void node_json(const struct plan *p, int i, struct buf *out)
{
    static const char *const ports[] = {"main", "final", "late", "rest", "changes"};
    const struct plan_node *n = &p->nodes[i];

    buf_printf(out, "{\"node\":%d,\"kind\":\"%s\"", i, node_kind_name(n->kind));
    text(out, "id", n->id);
    number(out, "line", n->line);
    flag(out, "native", n->native);
    flag(out, "writes", !n->native && writes_by_hand(p, &p->nodes[i]));
    hash(out, "own", n->own);
    hash(out, "fingerprint", n->fingerprint);
    hash(out, "shape", n->shape);
    buf_append_str(out, ",\"inputs\":[");
    for (int k = 0; k < n->n_inputs; k++)
        buf_printf(out, "%s[%d,\"%s\"]", k ? "," : "", n->inputs[k].node, ports[n->inputs[k].port]);
    buf_append_byte(out, ']');
    config_json(p, n, out);
    buf_append_byte(out, '}');
}

static void table_json(const struct plan_table *t, struct buf *out)
{
    buf_append_str(out, "{\"name\":");
    json_write_text(bytes_str(t->name), out);
    text(out, "body", t->body);
    flag(out, "without_rowid", t->without_rowid);
    text(out, "ttl", t->ttl);
    text(out, "history", t->history);
    number(out, "aggregate", t->aggregate);
    buf_append_str(out, ",\"indexes\":[");
    for (int i = 0; i < t->n_indexes; i++) {
        buf_append_str(out, i ? "," : "");
        json_write_text(bytes_str(t->indexes[i].sql), out);
    }
    buf_append_str(out, "]}");
}

static void query_json(const struct plan_query *q, struct buf *out)
{
    buf_append_str(out, "{\"name\":");
    json_write_text(bytes_str(q->name), out);
    text(out, "sql", q->sql);
    text(out, "path", q->path);
    flag(out, "one", q->one);
    buf_append_str(out, ",\"params\":[");
    for (int i = 0; i < q->n_params; i++) {
        const struct plan_param *x = &q->params[i];
        buf_append_str(out, i ? ",{\"name\":" : "{\"name\":");
        json_write_text(bytes_str(x->name), out);
        text(out, "type", x->type);
        flag(out, "nullable", x->nullable);
        flag(out, "required", x->fallback.type == VALUE_MISSING && !x->nullable);
        buf_append_str(out, ",\"fallback\":");
        value_json(&x->fallback, out);
        buf_append_byte(out, '}');
    }
    buf_append_str(out, "]}");
}

static void errors_json(const struct plan_errors *x, struct buf *out)
{
    static const char *const modes[] = {"key", "record", "stop"};

    buf_append_str(out, ",\"errors\":{\"retry_ms\":");
    if (x->n_retry < 0)
        buf_append_str(out, "null");
    for (int i = 0; i < x->n_retry; i++)
        buf_printf(out, "%s%lld", i ? "," : "[", (long long)x->retry_ms[i]);
    if (x->n_retry >= 0)
        buf_append_str(out, x->n_retry ? "]" : "[]");
    text(out, "park", modes[x->park]);
    text(out, "dead", x->dead);
    number(out, "limit", x->limit);
    buf_append_byte(out, '}');
}

void plan_write_json(const struct plan *p, struct buf *out)
{
    buf_append_str(out, "{\"job\":");
    json_write_text(bytes_str(p->job), out);
    number(out, "version", p->version);
    number(out, "fingerprint_format", FINGERPRINT_FORMAT);
    hash(out, "fingerprint", p->fingerprint);
    errors_json(&p->errors, out);
    buf_printf(out, ",\"commit\":{\"records\":%lld,\"bytes\":%lld,\"every_ms\":%lld}",
               (long long)p->commit.records, (long long)p->commit.bytes,
               (long long)p->commit.every_ms);
    buf_printf(out, ",\"rebuild\":{\"mute\":%s,\"keep_ms\":%lld}",
               p->rebuild.mute ? "true" : "false", (long long)p->rebuild.keep_ms);
    buf_append_str(out, ",\n\"nodes\":[");
    for (int i = 0; i < p->n_nodes; i++) {
        buf_append_str(out, i ? ",\n " : "\n ");
        node_json(p, i, out);
    }
    buf_append_str(out, "],\n\"tables\":[");
    for (int i = 0; i < p->n_tables; i++) {
        buf_append_str(out, i ? ",\n " : "\n ");
        table_json(&p->tables[i], out);
    }
    buf_append_str(out, "],\n\"views\":[");
    for (int i = 0; i < p->n_views; i++) {
        buf_append_str(out, i ? ",{\"name\":" : "{\"name\":");
        json_write_text(bytes_str(p->views[i].name), out);
        text(out, "sql", p->views[i].sql);
        buf_append_byte(out, '}');
    }
    buf_append_str(out, "],\n\"queries\":[");
    for (int i = 0; i < p->n_queries; i++) {
        buf_append_str(out, i ? ",\n " : "\n ");
        query_json(&p->queries[i], out);
    }
    buf_append_str(out, "]}");
}
