// SPDX-License-Identifier: Apache-2.0
//
// The operator tree that `leat explain` prints: one operator a line, children indented below what
// feeds them.
//
//   from weather.readings       native   time=time
//   ├ by station                native
//   │ └ aggregate n low high    native   window 1d   rows: daily
//   │   └ final → where ...     native
//   no Lua runs per record
#include "runtime/base/datetime.h"
#include "runtime/engine/plan.h"

enum { MARK_COLUMN = 44 };

static void expr_text_of(const struct plan_expr *x, struct buf *out)
{
    if (x->fn != NULL)
        buf_printf(out, "function at line %d", x->fn->line);
    else if (x->text != NULL)
        buf_append_str(out, x->text);
    else if (value_is_nil(&x->constant) || value_write_json(&x->constant, out, NULL) != 0)
        buf_append_str(out, "nil");
}

static void field_names(const struct plan_field *f, int n, struct buf *out)
{
    for (int i = 0; i < n; i++)
        buf_printf(out, " %.*s", BYTES_FMT(f[i].name));
}

static void aggregate_names(const struct plan_node *n, struct buf *out)
{
    for (int i = 0; i < n->aggregate.n; i++)
        buf_printf(out, " %.*s", BYTES_FMT(n->aggregate.aggs[i].name));
}

static void more_what(const struct plan *p, const struct plan_node *n, struct buf *out)
{
    switch (n->kind) {
    case NODE_EXPLODE:
        buf_append_byte(out, ' ');
        expr_text_of(&n->explode.list, out);
        buf_printf(out, " as %.*s", BYTES_FMT(n->explode.name));
        break;
    case NODE_DEDUPE:
        for (int i = 0; i < n->dedupe.n; i++) {
            buf_append_byte(out, ' ');
            expr_text_of(&n->dedupe.by[i].expr, out);
        }
        break;
    case NODE_CHANGES:
        buf_printf(out, "%s%s%s", n->changes.name != NULL ? " of " : "",
                   n->changes.name != NULL ? n->changes.name : "",
                   n->changes.latest ? ", the latest of a commit" : "");
        break;
    case NODE_JOIN:
        if (n->join.with != JOIN_STREAM)
            buf_printf(out, " %s", p->tables[n->join.table].name);
        buf_printf(out, " as %.*s", BYTES_FMT(n->join.as));
        break;
    default:
        break;
    }
}

// "where temperature > 90": what the operator is.
static void what(const struct plan *p, const struct plan_node *n, struct buf *out)
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
        aggregate_names(n, out);
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

static void duration(struct buf *out, const char *label, int64_t ms)
{
    char text[32];

    duration_format(ms, text);
    buf_printf(out, "  %s%s", label, text);
}

static void match_details(const struct plan_node *n, struct buf *out)
{
    int lua = 0;

    for (int i = 0; i < n->match.n; i++)
        lua += n->match.cases[i].fn != NULL;
    buf_printf(out, "  %d types, %d of them in Lua", n->match.n, lua);
}

static void aggregate_details(const struct plan *p, const struct plan_node *n, struct buf *out)
{
    const struct plan_window *w = &n->aggregate.window;

    if (w->kind == WINDOW_NONE) {
        buf_append_str(out, "  state: 1 row per key");
    } else {
        duration(out, "window ", w->size_ms);
        if (w->kind == WINDOW_HOPPING)
            duration(out, "every ", w->every_ms);
        if (w->grace_ms > 0)
            duration(out, "grace ", w->grace_ms);
        buf_append_str(out, "  state: 1 row per key and open window");
    }
    if (n->aggregate.table >= 0)
        buf_printf(out, " of %s", p->tables[n->aggregate.table].name);
}

static void details(const struct plan *p, const struct plan_node *n, struct buf *out)
{
    if (n->kind == NODE_SOURCE && n->source.has_time) {
        buf_append_str(out, "  time=");
        expr_text_of(&n->source.time, out);
    }
    if (n->kind == NODE_SOURCE && n->source.disorder_ms > 0)
        duration(out, "disorder=", n->source.disorder_ms);
    if (n->kind == NODE_SOURCE && n->source.schema != NULL)
        buf_printf(out, "  %s", n->source.schema->name);
    if (n->kind == NODE_EVERY)
        duration(out, "", n->every.interval_ms);
    if (n->kind == NODE_DEDUPE)
        duration(out, "within ", n->dedupe.within_ms);
    if (n->kind == NODE_PROCESS && n->process.ttl_ms >= 0)
        duration(out, "ttl ", n->process.ttl_ms);
    if (n->kind == NODE_MATCH)
        match_details(n, out);
    if (n->kind == NODE_AGGREGATE)
        aggregate_details(p, n, out);
}

static size_t columns_of(const struct buf *line)
{
    size_t n = 0;

    for (size_t i = 0; i < line->n; i++)
        n += (line->p[i] & 0xc0) != 0x80;
    return n;
}

struct tree {
    const struct plan *p;
    struct buf *out;
};

static void print_node(struct tree *t, int index, const char *via, struct buf *indent, bool last,
                       bool root);

// The changes of a table stand below no writer: they are a root of their own.
static bool is_root(const struct plan_node *n)
{
    return n->n_inputs == 0 || (n->kind == NODE_CHANGES && n->changes.name != NULL);
}

static void print_children(struct tree *t, int index, struct buf *indent)
{
    static const char *const via[] = {"", "final → ", "late → ", "rest → ", ""};
    const struct plan_node *n = &t->p->nodes[index];
    int total = 0, done = 0;

    for (int port = 0; port < OUT_PORTS; port++)
        for (int i = 0; i < n->n_outs[port]; i++)
            total += !is_root(&t->p->nodes[n->outs[port][i].node]);
    for (int port = 0; port < OUT_PORTS; port++)
        for (int i = 0; i < n->n_outs[port]; i++)
            if (!is_root(&t->p->nodes[n->outs[port][i].node]))
                print_node(t, n->outs[port][i].node, via[port], indent, ++done == total, false);
}

static void print_node(struct tree *t, int index, const char *via, struct buf *indent, bool last,
                       bool root)
{
    const struct plan_node *n = &t->p->nodes[index];
    struct buf line = BUF_EMPTY;
    size_t before = indent->n;

    buf_append_bytes(&line, buf_bytes(indent));
    buf_append_str(&line, root ? "" : last ? "└ " : "├ ");
    buf_append_str(&line, via);
    what(t->p, n, &line);
    for (size_t width = columns_of(&line); width < MARK_COLUMN; width++)
        buf_append_byte(&line, ' ');
    buf_append_str(&line, n->native ? " native" : " lua   ");
    details(t->p, n, &line);
    buf_append_byte(&line, '\n');
    buf_append_bytes(t->out, buf_bytes(&line));
    buf_deinit(&line);
    buf_append_str(indent, root ? "" : last ? "  " : "│ ");
    print_children(t, index, indent);
    indent->n = before;
}

void plan_explain(const struct plan *p, struct buf *out)
{
    struct tree t = {p, out};
    struct buf indent = BUF_EMPTY;
    int lua = 0;

    for (int i = 0; i < p->n_nodes; i++) {
        lua += !p->nodes[i].native;
        if (is_root(&p->nodes[i]))
            print_node(&t, i, "", &indent, true, true);
    }
    if (lua == 0)
        buf_append_str(out, "no Lua runs per record\n");
    else
        buf_printf(out, "Lua runs in %d of %d operators\n", lua, p->n_nodes);
    buf_deinit(&indent);
}
