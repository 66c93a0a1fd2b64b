// SPDX-License-Identifier: Apache-2.0
//
// What is allowed and seldom meant: warnings of `leat check`, each with the line and what to do.
// A job runs in spite of them. (projections/check.c has those that need the tables.)
#include "runtime/engine/plan_passes.h"

#include "runtime/base/datetime.h"

// --- what grows ---

static void lint_growth(struct plan *p, const struct plan_node *n)
{
    if (n->kind == NODE_AGGREGATE && n->aggregate.window.kind == WINDOW_NONE &&
        n->aggregate.ttl_ms < 0)
        plan_warn(p, n->line,
                  "in aggregate: without a window its state grows with the number of keys; a ttl "
                  "forgets those that have gone quiet: :aggregate({...}, {ttl = \"30d\"})");
}

// --- what is not used ---

static void found_fn(void *arg, struct fn *f)
{
    (void)f;
    *(bool *)arg = true;
}

// A function may write tables, so that what it returns is not all that it is for.
static bool may_write(struct plan *p, struct plan_node *n)
{
    bool lua = false;

    plan_node_fns(n, found_fn, &lua);
    return n->kind == NODE_MATCH || (lua && p->n_tables > 0);
}

static bool is_read(const struct plan_node *n)
{
    for (int port = 0; port < OUT_PORTS; port++)
        if (n->n_outs[port] > 0)
            return true;
    return false;
}

static void lint_unread(struct plan *p, struct plan_node *n)
{
    if (n->kind == NODE_TO || n->kind == NODE_INTO || is_read(n) || may_write(p, n))
        return;
    if (n->kind == NODE_AGGREGATE)
        plan_warn(p, n->line,
                  "in aggregate: nobody sees its results: write :into \"name\", :final() or "
                  ":changes()");
    else
        plan_warn(p, n->line, "in %s: nothing reads this stream: end it with :to or :into",
                  node_kind_name(n->kind));
}

static bool writes(const struct plan_node *n, int table)
{
    if (n->kind == NODE_INTO)
        return n->into.table == table;
    for (int i = 0; n->kind == NODE_MATCH && i < n->match.n; i++)
        for (int k = 0; k < n->match.cases[i].n_actions; k++)
            if (n->match.cases[i].actions[k].table == table)
                return true;
    return false;
}

static void lint_unwritten(struct plan *p, int table)
{
    bool written = false;

    for (int i = 0; i < p->n_nodes; i++)
        written = written || !p->nodes[i].native || writes(&p->nodes[i], table);
    if (!written)
        plan_warn(p, p->tables[table].line, "table %s: nothing writes it", p->tables[table].name);
}

// --- what goes round ---

static const struct plan_node *source_of(const struct plan *p, const char *topic)
{
    for (int i = 0; i < p->n_nodes; i++)
        if (p->nodes[i].kind == NODE_SOURCE && strcmp(p->nodes[i].source.topic, topic) == 0)
            return &p->nodes[i];
    return NULL;
}

static void lint_circles(struct plan *p)
{
    const struct plan_node *source;

    if (p->errors.dead != NULL && (source = source_of(p, p->errors.dead)) != NULL)
        plan_warn(p, source->line,
                  "from \"%s\" is also where dead records go (errors.dead): each would fail again, "
                  "for ever",
                  p->errors.dead);
    for (int i = 0; i < p->n_nodes; i++) {
        const struct plan_node *n = &p->nodes[i];
        if (n->kind == NODE_TO && (source = source_of(p, n->to.topic)) != NULL)
            plan_warn(p, n->line,
                      "in to: the job reads \"%s\" too (line %d): what it writes comes back",
                      n->to.topic, source->line);
    }
}

// --- what does not end ---

static bool feeds(const struct plan *p, int from, int to)
{
    for (int k = 0; k < p->nodes[to].n_inputs; k++)
        if (p->nodes[to].inputs[k].node == from || feeds(p, from, p->nodes[to].inputs[k].node))
            return true;
    return false;
}

// What waits for the watermark of its inputs.
static const char *waits(const struct plan_node *n)
{
    if (n->kind == NODE_AGGREGATE && n->aggregate.window.kind != WINDOW_NONE)
        return "windows";
    if (n->kind == NODE_PROCESS && n->process.timer != NULL)
        return "timers";
    if (n->kind == NODE_JOIN && n->join.with == JOIN_STREAM && n->join.kind != JOIN_INNER)
        return "unmatched records";
    return NULL;
}

static void lint_idle(struct plan *p, int source)
{
    const struct plan_node *s = &p->nodes[source];

    if (s->kind != NODE_SOURCE || s->source.idle_ms >= 0 || s->source.changelog)
        return;
    for (int i = source + 1; i < p->n_nodes; i++) {
        const struct plan_node *n = &p->nodes[i];
        if (waits(n) == NULL || !feeds(p, source, i))
            continue;
        plan_warn(p, s->line,
                  "from \"%s\" has idle = false: the %s of line %d wait for its next record, "
                  "however long that takes",
                  s->source.topic, waits(n), n->line);
        return;
    }
}

// --- what comes too late ---

static bool passes_on(const struct plan_node *n)
{
    return n->kind != NODE_AGGREGATE && n->kind != NODE_PROCESS && n->kind != NODE_CHANGES &&
           !(n->kind == NODE_JOIN && n->join.with == JOIN_STREAM);
}

// The aggregate whose closed windows come to n longer after their end than this; NULL: none.
static const struct plan_node *slower(const struct plan *p, const struct plan_node *n, int64_t ms)
{
    const struct plan_node *found = NULL;

    for (int i = 0; i < n->n_inputs && found == NULL; i++) {
        const struct plan_node *from = &p->nodes[n->inputs[i].node];
        if (n->inputs[i].port == OUT_FINAL)
            found = from->aggregate.window.grace_ms > ms ? from : NULL;
        else if (passes_on(from))
            found = slower(p, from, ms);
    }
    return found;
}

// A window is closed by W, and W does not wait for the windows before it that are still in grace.
static void lint_grace(struct plan *p, const struct plan_node *n)
{
    const struct plan_window *w = &n->aggregate.window;
    const struct plan_node *from;
    char grace[32];

    if (n->kind != NODE_AGGREGATE || w->kind == WINDOW_NONE || w->kind == WINDOW_LAST)
        return;
    from = slower(p, n, w->grace_ms);
    if (from == NULL)
        return;
    duration_format(from->aggregate.window.grace_ms, grace);
    plan_warn(p, w->line,
              "in window: what final() gives of line %d comes %s after the end of its window, and "
              "is late here when both end together: grace = \"%s\" waits for it",
              from->line, grace, grace);
}

void plan_pass_lint(struct plan *p)
{
    for (int i = 0; i < p->n_nodes; i++) {
        lint_growth(p, &p->nodes[i]);
        lint_unread(p, &p->nodes[i]);
        lint_idle(p, i);
        lint_grace(p, &p->nodes[i]);
    }
    for (int i = 0; i < p->n_tables; i++)
        lint_unwritten(p, i);
    lint_circles(p);
}
