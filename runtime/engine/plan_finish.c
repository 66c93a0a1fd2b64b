// SPDX-License-Identifier: Apache-2.0
//
// From what the loader wrote down to what the engine can run: checks, then passes over the nodes.
//
//   zones         time zones that windows name are read from the system
//   writers       what writes a table stands before its changes()
//   order         inputs before readers; who reads which port
//   fields        one field plan per stream; expressions compiled against it and the types that
//                 reach them; names of key parts
//   names         operator ids
//   tables        an aggregate and the table that shows it become one
//   fingerprints  what each node means, its inputs included
//   lint          warnings
//
// The first thing found wrong ends it with "FILE:LINE: in WORD: what": LEAT_ELOAD. Memory of a plan
// that did not finish is freed by plan_free as usual.
#include "runtime/engine/plan_passes.h"

#include "runtime/base/limits.h"
#include "runtime/base/zone.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int plan_refuse(const struct plan *p, int line, struct err *e, const char *fmt, ...)
{
    char text[ERR_TEXT_MAX];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return err_set(e, LEAT_ELOAD, "%s:%d: %s", p->file, line, text);
}

int plan_error(const struct plan *p, const struct plan_node *n, int line, struct err *e)
{
    if (e != NULL)
        e->code = LEAT_ELOAD; // first: wrapping keeps the cause of an equal code only
    return err_wrap(e, LEAT_ELOAD, "%s:%d: in %s", p->file, line > 0 ? line : n->line,
                    node_kind_name(n->kind));
}

void plan_warn(struct plan *p, int line, const char *fmt, ...)
{
    char text[ERR_TEXT_MAX];
    const char **grown;
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    grown = arena_alloc(&p->arena, ((size_t)p->n_warnings + 1) * sizeof *grown);
    if (p->n_warnings > 0)
        memcpy(grown, p->warnings, (size_t)p->n_warnings * sizeof *grown);
    grown[p->n_warnings] = arena_printf(&p->arena, "%s:%d: %s", p->file, line, text);
    p->warnings = grown;
    p->n_warnings++;
}

// Of a table: its writers, put there by plan_pass_writers.
static int check_changes(const struct plan *p, const struct plan_node *n,
                         const struct plan_node *from, struct err *e)
{
    if (n->kind != NODE_CHANGES)
        return plan_refuse(p, n->line, e, "in %s: it cannot read changes", node_kind_name(n->kind));
    if (n->changes.name == NULL &&
        (from->kind != NODE_AGGREGATE || from->aggregate.window.kind == WINDOW_LAST))
        return plan_refuse(p, n->line, e, "in changes: it needs a table or an aggregate before it");
    return 0;
}

static int check_port(const struct plan *p, const struct plan_node *n, const struct plan_input *in,
                      struct err *e)
{
    const struct plan_node *from = &p->nodes[in->node];

    if (in->port == OUT_CHANGES)
        return check_changes(p, n, from, e);
    ASSERT(in->port != OUT_REST || from->kind == NODE_SPLIT);
    if (from->kind == NODE_INTO || from->kind == NODE_TO)
        return plan_refuse(p, n->line, e, "in %s: nothing comes out of %s", node_kind_name(n->kind),
                           node_kind_name(from->kind));
    if (in->port == OUT_MAIN || in->port == OUT_REST)
        return 0;
    if (from->kind != NODE_AGGREGATE)
        return plan_refuse(p, n->line, e, "in %s: %s() needs an aggregate before it",
                           node_kind_name(n->kind), in->port == OUT_LATE ? "late" : "final");
    if (from->aggregate.window.kind == WINDOW_NONE)
        return plan_refuse(p, n->line, e, "in %s: %s() needs a window: without one nothing closes",
                           node_kind_name(n->kind), in->port == OUT_LATE ? "late" : "final");
    return 0;
}

static int check_inputs(const struct plan *p, const struct plan_node *n, struct err *e)
{
    bool source = n->kind == NODE_SOURCE || n->kind == NODE_EVERY;

    if (source != (n->n_inputs == 0))
        return plan_refuse(p, n->line, e, "in %s: it has %s input", node_kind_name(n->kind),
                           source ? "an" : "no");
    for (int i = 0; i < n->n_inputs; i++) {
        int rc;

        ASSERT(n->inputs[i].node >= 0 && n->inputs[i].node < p->n_nodes);
        rc = check_port(p, n, &n->inputs[i], e);
        if (rc != 0)
            return rc;
    }
    return 0;
}

static int check_function(const struct plan *p, const struct plan_node *n,
                          const struct plan_aggregate *a, struct err *e)
{
    if (a->kind != AGG_COUNT && !a->has_arg)
        return plan_refuse(p, n->line, e, "in aggregate: %s needs an expression",
                           agg_kind_name(a->kind));
    if (a->kind == AGG_QUANTILE && !(a->q >= 0 && a->q <= 1))
        return plan_refuse(p, n->line, e, "in aggregate: a quantile is from 0 to 1");
    if (a->kind == AGG_TOP && (a->limit < 1 || a->limit > AGG_TOP_MAX))
        return plan_refuse(p, n->line, e, "in aggregate: top keeps 1 to %d records", AGG_TOP_MAX);
    if (a->kind == AGG_TOP && a->n_fields == 0)
        return plan_refuse(p, n->line, e, "in aggregate: top needs fields to keep");
    return 0;
}

static int check_aggregate(const struct plan *p, const struct plan_node *n, struct err *e)
{
    const struct plan_window *w = &n->aggregate.window;

    if (n->aggregate.n == 0)
        return plan_refuse(p, n->line, e, "in aggregate: it computes nothing");
    if (w->kind != WINDOW_NONE && w->size_ms <= 0)
        return plan_refuse(p, w->line, e, "in window: the size must be more than 0");
    if (w->kind == WINDOW_HOPPING && (w->every_ms <= 0 || w->every_ms > w->size_ms))
        return plan_refuse(p, w->line, e,
                           "in window: every must be more than 0 and at most the size");
    if (w->grace_ms < 0)
        return plan_refuse(p, w->line, e, "in window: grace must not be negative");
    if (w->kind != WINDOW_NONE && n->aggregate.ttl_ms >= 0)
        return plan_refuse(p, n->line, e,
                           "in aggregate: ttl is for aggregates without a window; rows of windows "
                           "go by the ttl of their table");
    if (n->aggregate.ttl_ms == 0)
        return plan_refuse(p, n->line, e, "in aggregate: ttl must be longer than nothing");
    for (int i = 0; i < n->aggregate.n; i++) {
        int rc = check_function(p, n, &n->aggregate.aggs[i], e);
        if (rc != 0)
            return rc;
    }
    return 0;
}

static int check_join(const struct plan *p, const struct plan_node *n, struct err *e)
{
    const struct plan_join *j = &n->join;

    if (n->n_inputs != (j->with == JOIN_STREAM ? 2 : 1))
        return plan_refuse(p, n->line, e, "in join: it has %d inputs", n->n_inputs);
    if (j->with == JOIN_STREAM)
        return j->lo_ms <= j->hi_ms && j->grace_ms >= 0
                   ? 0
                   : plan_refuse(p, n->line, e, "in join: within ends before it starts");
    if (j->table < 0 || j->table >= p->n_tables)
        return plan_refuse(p, n->line, e, "in join: unknown table");
    if (j->with == JOIN_AS_OF && p->tables[j->table].history == NULL)
        return plan_refuse(p, n->line, e,
                           "in join: at asks for rows as they were, and table %s keeps none of "
                           "them: table \"%s\" [[...]] { history = \"30d\" }",
                           p->tables[j->table].name, p->tables[j->table].name);
    if (j->kind == JOIN_OUTER)
        return plan_refuse(p, n->line, e, "in join: with a table, kind is \"inner\" or \"left\"");
    if (j->n_on == 0)
        return plan_refuse(p, n->line, e, "in join: it needs on: an expression for the key of %s",
                           p->tables[j->table].name);
    return 0;
}

static int check_settings(const struct plan *p, const struct plan_node *n, struct err *e)
{
    if (n->kind == NODE_EXPLODE && n->explode.name.n == 0)
        return plan_refuse(p, n->line, e, "in explode: it needs a name for the element");
    if (n->kind == NODE_DEDUPE && (n->dedupe.n == 0 || n->dedupe.within_ms <= 0))
        return plan_refuse(p, n->line, e, "in dedupe: it needs by and within");
    if (n->kind == NODE_PROCESS && n->process.on == NULL)
        return plan_refuse(p, n->line, e, "in process: it needs on = function(value, ctx)");
    if (n->kind == NODE_JOIN)
        return check_join(p, n, e);
    return 0;
}

static int check_tables_of(const struct plan *p, const struct plan_node *n, struct err *e)
{
    if (n->kind == NODE_INTO && n->into.table >= p->n_tables)
        return plan_refuse(p, n->line, e, "in into: unknown table");
    for (int i = 0; n->kind == NODE_MATCH && i < n->match.n; i++)
        for (int k = 0; k < n->match.cases[i].n_actions; k++) {
            const struct plan_action *a = &n->match.cases[i].actions[k];
            if (a->table < 0 || a->table >= p->n_tables)
                return plan_refuse(p, a->line, e, "in match: unknown table");
        }
    return 0;
}

// What no broker would take as a topic: a job would wait for it for ever. An outbox is none.
static int check_topic(const struct plan *p, const struct plan_node *n, struct err *e)
{
    const char *topic = n->kind == NODE_SOURCE ? n->source.topic : n->to.topic;
    size_t length = 0;

    if (topic == NULL || topic[0] == 0)
        return plan_refuse(p, n->line, e, "in %s: it needs a topic", node_kind_name(n->kind));
    if (n->kind == NODE_SOURCE && n->source.outbox.path != NULL)
        return 0;
    while (isalnum((unsigned char)topic[length]) ||
           (topic[length] != 0 && strchr("._-", topic[length]) != NULL))
        length++;
    if (topic[length] != 0)
        return plan_refuse(p, n->line, e,
                           "in %s: \"%s\" is no name of a topic: those have letters, digits, '.', "
                           "'_' and '-'",
                           node_kind_name(n->kind), topic);
    if (length > TOPIC_NAME_MAX)
        return plan_refuse(p, n->line, e, "in %s: the name of a topic has at most %d letters",
                           node_kind_name(n->kind), TOPIC_NAME_MAX);
    return 0;
}

static int check_node(const struct plan *p, const struct plan_node *n, struct err *e)
{
    int rc = check_inputs(p, n, e);

    if (rc == 0)
        rc = check_tables_of(p, n, e);
    if (rc == 0 && n->kind == NODE_AGGREGATE)
        rc = check_aggregate(p, n, e);
    if (rc == 0)
        rc = check_settings(p, n, e);
    if (rc == 0 && n->kind == NODE_EVERY && n->every.interval_ms <= 0)
        rc = plan_refuse(p, n->line, e, "in every: the interval must be more than 0");
    if (rc == 0 && n->kind == NODE_BY && n->by.n == 0)
        rc = plan_refuse(p, n->line, e, "in by: it needs an expression");
    if (rc == 0 && (n->kind == NODE_SOURCE || n->kind == NODE_TO))
        rc = check_topic(p, n, e);
    return rc;
}

// Offsets are kept per topic: two readers of one topic would move each other's.
static int check_sources(const struct plan *p, struct err *e)
{
    for (int i = 0; i < p->n_nodes; i++)
        for (int k = 0; k < i && p->nodes[i].kind == NODE_SOURCE; k++)
            if (p->nodes[k].kind == NODE_SOURCE &&
                strcmp(p->nodes[k].source.topic, p->nodes[i].source.topic) == 0)
                return plan_refuse(p, p->nodes[i].line, e,
                                   "from \"%s\" stands on line %d already: keep that stream in a "
                                   "local and use it twice",
                                   p->nodes[i].source.topic, p->nodes[k].line);
    return 0;
}

// An outbox is no topic; a name that stood for both would make positions say either.
static int check_outboxes(const struct plan *p, struct err *e)
{
    for (int i = 0; i < p->n_nodes; i++) {
        const struct plan_node *n = &p->nodes[i];
        bool written = p->errors.dead != NULL && n->kind == NODE_SOURCE &&
                       strcmp(p->errors.dead, n->source.topic) == 0;

        if (n->kind != NODE_SOURCE || n->source.outbox.path == NULL)
            continue;
        for (int k = 0; k < p->n_nodes && !written; k++)
            written = p->nodes[k].kind == NODE_TO &&
                      strcmp(p->nodes[k].to.topic, n->source.topic) == 0;
        if (written)
            return plan_refuse(p, n->line, e,
                               "in from.outbox: \"%s\" is a topic that this job writes; give the "
                               "outbox a name of its own",
                               n->source.topic);
    }
    return 0;
}

static int check_plan(const struct plan *p, struct err *e)
{
    int rc;

    if (p->job == NULL)
        return plan_refuse(p, 1, e, "the job has no name: start with  job \"name\" {}");
    if (p->n_nodes == 0)
        return plan_refuse(p, 1, e, "the job reads nothing: it needs a  from \"topic\"");
    for (int i = 0; i < p->n_tables; i++)
        if (plan_table_find(p, p->tables[i].name) != i)
            return plan_refuse(p, p->tables[i].line, e, "table %s is declared twice",
                               p->tables[i].name);
    for (int i = 0; i < p->n_nodes; i++) {
        rc = check_node(p, &p->nodes[i], e);
        if (rc != 0)
            return rc;
    }
    rc = check_sources(p, e);
    return rc == 0 ? check_outboxes(p, e) : rc;
}

static int read_zones(struct plan *p, struct err *e)
{
    for (int i = 0; i < p->n_nodes; i++) {
        struct plan_window *w = &p->nodes[i].aggregate.window;
        struct err why;

        if (p->nodes[i].kind != NODE_AGGREGATE || w->tz == NULL)
            continue;
        if (zone_load(w->tz, &p->arena, &w->zone, &why) != 0)
            return plan_refuse(p, w->line, e, "in window: %s", why.text);
    }
    return 0;
}

int plan_finish(struct plan *p, struct err *e)
{
    int rc;

    for (int i = 0; i < p->n_tables; i++)
        p->tables[i].aggregate = -1;
    rc = plan_pass_writers(p, e);
    if (rc == 0)
        rc = check_plan(p, e);
    if (rc == 0)
        rc = read_zones(p, e);
    if (rc == 0)
        rc = plan_pass_order(p, e);
    if (rc == 0)
        rc = plan_pass_fields(p, e);
    if (rc == 0)
        rc = plan_pass_names(p, e);
    if (rc == 0)
        rc = plan_pass_tables(p, e);
    if (rc != 0)
        return rc;
    plan_pass_fingerprints(p);
    plan_pass_lint(p);
    return 0;
}
