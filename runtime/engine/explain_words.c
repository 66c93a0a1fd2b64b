// SPDX-License-Identifier: Apache-2.0
//
// The words of a line of explain: what an operator is, and what it keeps, reads and waits for.
#include "runtime/base/datetime.h"
#include "runtime/engine/explain.h"
#include "runtime/record/schema.h"

enum { EXPR_BYTES_MAX = 48 };

// --- pieces ---

static void expr_text_of(const struct plan_expr *x, struct buf *out)
{
    if (x->fn != NULL)
        buf_printf(out, "function at line %d", x->fn->line);
    else if (x->text != NULL)
        buf_append_cut(out, bytes_str(x->text), EXPR_BYTES_MAX);
    else if (value_is_nil(&x->constant) || value_write_json(&x->constant, out, NULL) != 0)
        buf_append_str(out, "nil");
}

static void field_names(const struct plan_field *f, int n, struct buf *out)
{
    for (int i = 0; i < n; i++)
        buf_printf(out, " %.*s", BYTES_FMT(f[i].name));
}

static void exprs(const struct plan_field *f, int n, struct buf *out)
{
    for (int i = 0; i < n; i++) {
        buf_append_byte(out, ' ');
        expr_text_of(&f[i].expr, out);
    }
}

static void duration(struct buf *out, const char *label, int64_t ms)
{
    char text[32];

    duration_format(ms < 0 ? -ms : ms, text);
    buf_printf(out, "%s%s%s", label, ms < 0 ? "-" : "", text);
}

// --- what it is ---

static void more_what(const struct plan *p, const struct plan_node *n, struct buf *out)
{
    switch (n->kind) {
    case NODE_EVERY:
        duration(out, " ", n->every.interval_ms);
        return;
    case NODE_EXPLODE:
        buf_append_byte(out, ' ');
        expr_text_of(&n->explode.list, out);
        buf_printf(out, " as %.*s", BYTES_FMT(n->explode.name));
        return;
    case NODE_DEDUPE:
        exprs(n->dedupe.by, n->dedupe.n, out);
        return;
    case NODE_CHANGES:
        if (n->changes.name != NULL)
            buf_printf(out, " of %s", n->changes.name);
        return;
    case NODE_JOIN:
        if (n->join.with != JOIN_STREAM)
            buf_printf(out, " %s", p->tables[n->join.table].name);
        buf_printf(out, " as %.*s", BYTES_FMT(n->join.as));
        return;
    default:
        return;
    }
}

void explain_what(const struct plan *p, const struct plan_node *n, struct buf *out)
{
    buf_append_str(out, node_kind_name(n->kind));
    switch (n->kind) {
    case NODE_SOURCE:
        buf_printf(out, " %s", n->source.topic);
        break;
    case NODE_WHERE:
    case NODE_SPLIT:
        buf_append_byte(out, ' ');
        expr_text_of(&n->where.condition, out);
        break;
    case NODE_SELECT:
    case NODE_SET:
        field_names(n->select.fields, n->select.n, out);
        break;
    case NODE_MATCH:
        buf_append_byte(out, ' ');
        expr_text_of(&n->match.on, out);
        break;
    case NODE_BY:
        field_names(n->by.parts, n->by.n, out);
        break;
    case NODE_AGGREGATE:
        for (int i = 0; i < n->aggregate.n; i++)
            buf_printf(out, " %.*s", BYTES_FMT(n->aggregate.aggs[i].name));
        break;
    case NODE_INTO:
        buf_printf(out, " %s", p->tables[n->into.table].name);
        break;
    case NODE_TO:
        buf_printf(out, " %s", n->to.topic);
        break;
    default:
        more_what(p, n, out);
        break;
    }
}

void explain_window(const struct plan_window *w, struct buf *out)
{
    buf_append_str(out, "window");
    duration(out, w->kind == WINDOW_SESSION ? " gap " : w->kind == WINDOW_LAST ? " last " : " ",
             w->size_ms);
    if (w->kind == WINDOW_HOPPING)
        duration(out, " every ", w->every_ms);
    if (w->tz != NULL)
        buf_printf(out, " %s", w->tz);
    if (w->grace_ms > 0)
        duration(out, " +", w->grace_ms);
}

// --- details ---

static void source_details(const struct plan_source *s, struct buf *out)
{
    static const char *const formats[] = {"json", "msgpack", "text", "bytes"};

    if (s->outbox.path != NULL)
        buf_printf(out, "  outbox %s in %s", s->outbox.table, s->outbox.path);
    if (s->has_time) {
        buf_append_str(out, "  time=");
        expr_text_of(&s->time, out);
    }
    if (s->disorder_ms > 0)
        duration(out, "  disorder=", s->disorder_ms);
    if (s->idle_ms < 0)
        buf_append_str(out, "  idle=off");
    else if (!s->changelog)
        duration(out, "  idle=", s->idle_ms);
    if (s->format != FORMAT_JSON)
        buf_printf(out, "  format=%s", formats[s->format]);
    if (s->schema != NULL)
        buf_printf(out, "  %s", s->schema->name);
    if (s->changelog)
        buf_append_str(out, "  changelog");
    if (s->from_latest)
        buf_append_str(out, "  from=latest");
}

// The tables that actions write, each once.
static void written_tables(const struct plan *p, const struct plan_node *n, struct buf *out)
{
    const char *before = "  writes ";

    for (int t = 0; t < p->n_tables; t++) {
        bool writes = false;
        for (int i = 0; i < n->match.n; i++)
            for (int k = 0; k < n->match.cases[i].n_actions; k++)
                writes = writes || n->match.cases[i].actions[k].table == t;
        if (!writes)
            continue;
        buf_printf(out, "%s%s", before, p->tables[t].name);
        before = ", ";
    }
}

static void match_details(const struct plan *p, const struct plan_node *n, struct buf *out)
{
    const char *before = "  Lua for ";

    buf_printf(out, "  %d type%s", n->match.n, n->match.n == 1 ? "" : "s");
    for (int i = 0; i < n->match.n; i++) {
        const struct plan_case *c = &n->match.cases[i];
        if (c->fn == NULL)
            continue;
        buf_printf(out, "%s%.*s", before, BYTES_FMT(bytes_is_null(c->type) ? BYTES_LIT("_")
                                                                           : c->type));
        before = ", ";
    }
    written_tables(p, n, out);
}

static void aggregate_details(const struct plan *p, const struct plan_node *n, struct buf *out)
{
    static const char *const state[] = {
        [WINDOW_NONE] = "1 row per key",
        [WINDOW_TUMBLING] = "1 row per key and open window",
        [WINDOW_HOPPING] = "1 row per key and open window",
        [WINDOW_SESSION] = "1 row per key and open session",
        [WINDOW_LAST] = "1 row per key and reading in the window",
    };

    buf_printf(out, "  state: %s", state[n->aggregate.window.kind]);
    if (n->aggregate.table >= 0)
        buf_printf(out, " (of %s)", p->tables[n->aggregate.table].name);
    if (n->aggregate.ttl_ms >= 0)
        duration(out, ", forgotten after ", n->aggregate.ttl_ms);
}

static void into_details(const struct plan *p, const struct plan_node *n, struct buf *out)
{
    if (p->tables[n->into.table].aggregate >= 0)
        buf_append_str(out, "  1 upsert per dirty key and commit");
    else
        buf_append_str(out, "  1 row written per record");
    if (p->tables[n->into.table].ttl != NULL)
        buf_printf(out, "  rows go %s", p->tables[n->into.table].ttl);
    if (p->tables[n->into.table].history != NULL)
        buf_printf(out, "  history of %s", p->tables[n->into.table].history);
}

static void process_details(const struct plan_process *x, struct buf *out)
{
    buf_append_str(out, "  state: 1 row per key");
    if (x->ttl_ms >= 0)
        duration(out, ", forgotten after ", x->ttl_ms);
    if (x->timer != NULL)
        buf_append_str(out, "  timers");
}

// The topic that a stream comes from first of all.
static const char *origin_of(const struct plan *p, int node)
{
    const struct plan_node *n = &p->nodes[node];

    while (n->n_inputs > 0)
        n = &p->nodes[n->inputs[0].node];
    return n->kind == NODE_SOURCE ? n->source.topic : node_kind_name(n->kind);
}

static void join_details(const struct plan *p, const struct plan_node *n, struct buf *out)
{
    static const char *const kinds[] = {"inner", "left", "outer"};
    const struct plan_join *j = &n->join;

    buf_printf(out, "  %s", kinds[j->kind]);
    if (j->with == JOIN_STREAM) {
        buf_printf(out, " with %s", origin_of(p, n->inputs[1].node));
        duration(out, "  within ", j->lo_ms);
        duration(out, " to ", j->hi_ms);
        if (j->grace_ms > 0)
            duration(out, " +", j->grace_ms);
        buf_append_str(out, "  state: both sides, until no match can come");
        return;
    }
    buf_append_str(out, "  1 row read per record by");
    exprs(j->on, j->n_on, out);
    if (j->with == JOIN_AS_OF) {
        buf_append_str(out, "  at ");
        expr_text_of(&j->at, out);
    }
    if (j->wait_ms >= 0)
        duration(out, "  waits ", j->wait_ms);
}

// Who makes the changes.
static void changes_details(const struct plan *p, const struct plan_node *n, struct buf *out)
{
    const char *before = "  made by ";

    for (int i = 0; n->changes.name != NULL && i < n->n_inputs; i++) {
        const struct plan_node *from = &p->nodes[n->inputs[i].node];
        buf_printf(out, "%s%s (line %d)", before, node_kind_name(from->kind), from->line);
        before = ", ";
    }
    if (n->changes.latest)
        buf_append_str(out, "  the latest of a commit per key");
}

void explain_details(const struct plan *p, const struct plan_node *n, struct buf *out)
{
    switch (n->kind) {
    case NODE_SOURCE:
        source_details(&n->source, out);
        return;
    case NODE_DEDUPE:
        duration(out, "  within ", n->dedupe.within_ms);
        buf_append_str(out, "  state: 1 row per id seen within");
        return;
    case NODE_PROCESS:
        process_details(&n->process, out);
        return;
    case NODE_MATCH:
        match_details(p, n, out);
        return;
    case NODE_AGGREGATE:
        aggregate_details(p, n, out);
        return;
    case NODE_INTO:
        into_details(p, n, out);
        return;
    case NODE_JOIN:
        join_details(p, n, out);
        return;
    case NODE_CHANGES:
        changes_details(p, n, out);
        return;
    case NODE_TO:
        if (n->to.has_key) {
            buf_append_str(out, "  key=");
            expr_text_of(&n->to.key, out);
        }
        return;
    default:
        return;
    }
}
