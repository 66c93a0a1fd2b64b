// SPDX-License-Identifier: Apache-2.0
//
// One operator a line, children below what feeds them, a window on a line before its aggregate:
//
//   from telemetry             native            time=ts  disorder=5s  idle=30s
//   └ by assetId               native     61 ns
//     └ window 1m +30s         native
//       └ aggregate n avg      native     94 ns  state: 1 row per key and open window
//         ├ into telemetry_1m  native            1 upsert per dirty key and commit
//         └ late → to strays   native     80 ns
//   no Lua runs per record
//
// An operator that several streams meet in is drawn below the first of them, the others point at
// it. Lines are collected before they are printed, for the width of the columns.
#include "runtime/engine/explain.h"

enum { LEFT_COLUMNS_MAX = 64, COST_COLUMNS = 10 };

struct line {
    struct buf left, right;
    int node;  // whose mark and cost stand between; -1: none
    bool cost; // its cost stands here
};

struct tree {
    const struct plan *p;
    const struct plan_cost *costs;
    struct line *lines;
    int n, cap;
    bool *drawn;
    struct buf indent;
};

static size_t columns_of(const struct buf *line)
{
    size_t n = 0;

    for (size_t i = 0; i < line->n; i++)
        n += (line->p[i] & 0xc0) != 0x80;
    return n;
}

// Where a line stands: below what, through which of its ports.
struct place {
    const char *via;
    bool last, root;
};

static struct line *add_line(struct tree *t, const struct place *at, int node)
{
    struct line *l;

    ASSERT(t->n < t->cap);
    l = &t->lines[t->n++];
    l->node = node;
    buf_append_bytes(&l->left, buf_bytes(&t->indent));
    buf_append_str(&l->left, at->root ? "" : at->last ? "└ " : "├ ");
    buf_append_str(&l->left, at->via);
    return l;
}

static void deeper(struct tree *t, const struct place *at)
{
    buf_append_str(&t->indent, at->root ? "" : at->last ? "  " : "│ ");
}

static void draw(struct tree *t, int index, const struct place *at);

// The changes of a table stand below no writer: they are a root of their own.
static bool is_root(const struct plan_node *n)
{
    return n->n_inputs == 0 || (n->kind == NODE_CHANGES && n->changes.name != NULL);
}

static void draw_children(struct tree *t, int index)
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
                draw(t, n->outs[port][i].node, &(struct place){via[port], ++done == total, false});
}

// An aggregate's window, and the place below it.
static struct place draw_window(struct tree *t, int index, const struct place *at)
{
    struct line *l = add_line(t, at, index);

    explain_window(&t->p->nodes[index].aggregate.window, &l->left);
    deeper(t, at);
    return (struct place){"", true, false};
}

static void draw(struct tree *t, int index, const struct place *at)
{
    const struct plan_node *n = &t->p->nodes[index];
    size_t before = t->indent.n;
    struct place here = *at;
    struct line *l;

    if (n->kind == NODE_AGGREGATE && n->aggregate.window.kind != WINDOW_NONE)
        here = draw_window(t, index, at);
    l = add_line(t, &here, t->drawn[index] ? -1 : index);
    explain_what(t->p, n, &l->left);
    if (t->drawn[index]) {
        buf_append_str(&l->left, "  (above)");
        t->indent.n = before;
        return;
    }
    t->drawn[index] = true;
    l->cost = true;
    explain_details(t->p, n, &l->right);
    deeper(t, &here);
    draw_children(t, index);
    t->indent.n = before;
}

// --- printing ---

static void pad(struct buf *out, size_t have, size_t want)
{
    for (; have < want; have++)
        buf_append_byte(out, ' ');
}

static void print_cost(const struct tree *t, const struct line *l, struct buf *out)
{
    const struct plan_cost *c = &t->costs[l->node];
    struct buf text = BUF_EMPTY;

    if (l->cost && c->records > 0)
        buf_printf(&text, "%lld ns", (long long)((c->ns + c->records / 2) / c->records));
    pad(out, columns_of(&text), COST_COLUMNS);
    buf_append_bytes(out, buf_bytes(&text));
    buf_deinit(&text);
}

static void print_line(const struct tree *t, const struct line *l, size_t width, struct buf *out)
{
    buf_append_bytes(out, buf_bytes(&l->left));
    if (l->node >= 0) {
        pad(out, columns_of(&l->left), width);
        buf_append_str(out, t->p->nodes[l->node].native ? "  native" : "  lua   ");
        if (t->costs != NULL)
            print_cost(t, l, out);
        buf_append_bytes(out, buf_bytes(&l->right));
    }
    while (out->n > 0 && out->p[out->n - 1] == ' ')
        out->n--;
    buf_append_byte(out, '\n');
}

static void print_lua(const struct plan *p, struct buf *out)
{
    int lua = 0, n = 0;

    for (int i = 0; i < p->n_nodes; i++)
        lua += !p->nodes[i].native;
    if (lua == 0) {
        buf_append_str(out, "no Lua runs per record\n");
        return;
    }
    buf_printf(out, "Lua runs in %d of %d operators:", lua, p->n_nodes);
    for (int i = 0; i < p->n_nodes; i++)
        if (!p->nodes[i].native)
            buf_printf(out, "%s %s (line %d)", n++ ? "," : "", node_kind_name(p->nodes[i].kind),
                       p->nodes[i].line);
    buf_append_byte(out, '\n');
}

// A node is drawn once, and once more for each further input; an aggregate takes two lines.
static int lines_at_most(const struct plan *p)
{
    int n = 0;

    for (int i = 0; i < p->n_nodes; i++)
        n += 2 * (1 + p->nodes[i].n_inputs);
    return n;
}

void plan_explain(const struct plan *p, const struct plan_cost *costs, struct buf *out)
{
    struct tree t = {.p = p, .costs = costs, .cap = lines_at_most(p)};
    struct arena a;
    size_t width = 0;

    arena_init(&a);
    t.lines = arena_zalloc(&a, (size_t)t.cap * sizeof *t.lines);
    t.drawn = arena_zalloc(&a, (size_t)p->n_nodes * sizeof *t.drawn);
    for (int i = 0; i < p->n_nodes; i++)
        if (is_root(&p->nodes[i]))
            draw(&t, i, &(struct place){"", true, true});
    for (int i = 0; i < t.n; i++) {
        size_t left = columns_of(&t.lines[i].left);
        if (left > width)
            width = left < LEFT_COLUMNS_MAX ? left : LEFT_COLUMNS_MAX;
    }
    for (int i = 0; i < t.n; i++) {
        print_line(&t, &t.lines[i], width, out);
        buf_deinit(&t.lines[i].left);
        buf_deinit(&t.lines[i].right);
    }
    print_lua(p, out);
    buf_deinit(&t.indent);
    arena_deinit(&a);
}
