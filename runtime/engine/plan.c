// SPDX-License-Identifier: Apache-2.0
//
// A plan's memory and its small questions. Everything lives in the plan's arena but what other
// layers made for it (compiled expressions, field plans, functions): plan_free walks the nodes for
// those, in whatever state a failed load left them.
#include "runtime/engine/plan.h"

#include "runtime/base/heap.h"
#include "runtime/base/limits.h"
#include "runtime/expr/expr.h"
#include "runtime/record/schema.h"

static const int64_t RETRY_DEFAULT_MS[] = {1000, 10 * 1000, 60 * 1000, 600 * 1000};

struct plan *plan_new(const char *file)
{
    struct plan *p = heap_zalloc(sizeof *p);

    arena_init(&p->arena);
    p->file = arena_strdup(&p->arena, file);
    p->version = 1;
    p->errors.n_retry = ARRAY_LEN(RETRY_DEFAULT_MS);
    p->errors.retry_ms = arena_alloc(&p->arena, sizeof RETRY_DEFAULT_MS);
    memcpy(p->errors.retry_ms, RETRY_DEFAULT_MS, sizeof RETRY_DEFAULT_MS);
    p->errors.limit = PARKED_MAX_DEFAULT;
    p->rebuild = (struct plan_rebuild){.mute = true, .keep_ms = INT64_C(7) * 24 * 3600 * 1000};
    p->commit = (struct plan_commit){
        .records = STEP_RECORDS_MAX, .bytes = STEP_OUTPUT_BYTES_MAX, .every_ms = STEP_MS_MAX};
    return p;
}

static void node_defaults(struct plan_node *n)
{
    if (n->kind == NODE_SOURCE) {
        n->source.idle_ms = 30 * 1000;
        n->source.ahead_ms = 3600 * 1000;
        n->source.format = FORMAT_JSON;
    } else if (n->kind == NODE_INTO) {
        n->into.table = -1;
    } else if (n->kind == NODE_AGGREGATE) {
        n->aggregate.table = -1;
        n->aggregate.ttl_ms = -1;
    } else if (n->kind == NODE_CHANGES) {
        n->changes.table = -1;
    } else if (n->kind == NODE_PROCESS) {
        n->process.ttl_ms = -1;
    } else if (n->kind == NODE_JOIN) {
        n->join.table = -1;
        n->join.wait_ms = -1;
    }
}

int plan_add_node(struct plan *p, enum node_kind kind, int line)
{
    struct plan_node *grown;

    if (p->n_nodes == p->cap_nodes) {
        p->cap_nodes = p->cap_nodes ? p->cap_nodes * 2 : 16;
        grown = arena_alloc(&p->arena, (size_t)p->cap_nodes * sizeof *grown);
        if (p->n_nodes > 0)
            memcpy(grown, p->nodes, (size_t)p->n_nodes * sizeof *grown);
        p->nodes = grown;
    }
    p->nodes[p->n_nodes] = (struct plan_node){.kind = kind, .line = line};
    node_defaults(&p->nodes[p->n_nodes]);
    return p->n_nodes++;
}

static int visit_fields(struct plan_field *f, int n, int (*visit)(void *arg, struct plan_expr *x),
                        void *arg)
{
    int rc = 0;

    for (int i = 0; i < n && rc == 0; i++)
        rc = visit(arg, &f[i].expr);
    return rc;
}

static int visit_match(struct plan_node *n, int (*visit)(void *arg, struct plan_expr *x), void *arg)
{
    int rc = visit(arg, &n->match.on);

    for (int i = 0; i < n->match.n && rc == 0; i++) {
        struct plan_case *c = &n->match.cases[i];
        for (int k = 0; k < c->n_actions && rc == 0; k++) {
            rc = visit_fields(c->actions[k].key, c->actions[k].n_key, visit, arg);
            if (rc == 0)
                rc = visit_fields(c->actions[k].cells, c->actions[k].n_cells, visit, arg);
        }
    }
    return rc;
}

static int visit_function(struct plan_aggregate *a, int (*visit)(void *arg, struct plan_expr *x),
                          void *arg)
{
    int rc = a->has_arg ? visit(arg, &a->arg) : 0;

    return rc != 0 ? rc : visit_fields(a->fields, a->n_fields, visit, arg);
}

static int visit_aggregate(struct plan_node *n, int (*visit)(void *arg, struct plan_expr *x),
                           void *arg)
{
    int rc = 0;

    for (int i = 0; i < n->aggregate.n && rc == 0; i++)
        rc = visit_function(&n->aggregate.aggs[i], visit, arg);
    return rc;
}

int plan_node_exprs(struct plan_node *n, int (*visit)(void *arg, struct plan_expr *x), void *arg)
{
    int rc = 0;

    switch (n->kind) {
    case NODE_SOURCE:
        return n->source.has_time ? visit(arg, &n->source.time) : 0;
    case NODE_WHERE:
    case NODE_SPLIT:
        return visit(arg, &n->where.condition);
    case NODE_EXPLODE:
        return visit(arg, &n->explode.list);
    case NODE_DEDUPE:
        return visit_fields(n->dedupe.by, n->dedupe.n, visit, arg);
    case NODE_JOIN:
        rc = visit_fields(n->join.on, n->join.n_on, visit, arg);
        return rc == 0 && n->join.with == JOIN_AS_OF ? visit(arg, &n->join.at) : rc;
    case NODE_SELECT:
    case NODE_SET:
        return visit_fields(n->select.fields, n->select.n, visit, arg);
    case NODE_MATCH:
        return visit_match(n, visit, arg);
    case NODE_BY:
        return visit_fields(n->by.parts, n->by.n, visit, arg);
    case NODE_AGGREGATE:
        return visit_aggregate(n, visit, arg);
    case NODE_INTO:
        return visit_fields(n->into.columns, n->into.n, visit, arg);
    case NODE_TO:
        if (n->to.has_key)
            rc = visit(arg, &n->to.key);
        return rc != 0 ? rc : visit_fields(n->to.headers, n->to.n_headers, visit, arg);
    case NODE_EVERY:
    case NODE_MAP:
    case NODE_FLATMAP:
    case NODE_MERGE:
    case NODE_CHANGES:
    case NODE_PROCESS:
    case NODE_KINDS:
        return 0;
    }
    return 0;
}

void plan_node_fns(struct plan_node *n, void (*visit)(void *arg, struct fn *f), void *arg)
{
    if ((n->kind == NODE_MAP || n->kind == NODE_FLATMAP) && n->map.fn != NULL)
        visit(arg, n->map.fn);
    if (n->kind == NODE_PROCESS && n->process.on != NULL)
        visit(arg, n->process.on);
    if (n->kind == NODE_PROCESS && n->process.timer != NULL)
        visit(arg, n->process.timer);
    if (n->kind == NODE_PROCESS && n->process.upgrade != NULL)
        visit(arg, n->process.upgrade);
    for (int i = 0; n->kind == NODE_MATCH && i < n->match.n; i++)
        if (n->match.cases[i].fn != NULL)
            visit(arg, n->match.cases[i].fn);
}

static void fn_free(void *arg, struct fn *f)
{
    (void)arg;
    if (f->ops->free != NULL)
        f->ops->free(f);
}

static int plan_expr_free(void *arg, struct plan_expr *x)
{
    expr_free(x->compiled);
    x->compiled = NULL;
    if (x->fn != NULL)
        fn_free(arg, x->fn);
    x->fn = NULL;
    return 0;
}

void plan_free(struct plan *p)
{
    if (p == NULL)
        return;
    for (int i = 0; i < p->n_nodes; i++) {
        struct plan_node *n = &p->nodes[i];
        int rc = plan_node_exprs(n, plan_expr_free, NULL);

        ASSERT(rc == 0);
        plan_node_fns(n, fn_free, NULL);
        if (n->owns_fields)
            fieldplan_free(n->fields);
        if (n->owns_out)
            fieldplan_free(n->out_fields);
    }
    if (p->owner_free != NULL)
        p->owner_free(p->owner);
    arena_deinit(&p->arena);
    heap_free(p);
}

int plan_expr_eval(const struct plan_expr *x, const struct expr_env *env, struct tables *tables,
                   struct value *out, struct err *e)
{
    struct fn_call call = {.event = env->event, .now = env->now, .arena = env->arena};
    int rc;

    if (x->compiled != NULL)
        return expr_eval(x->compiled, env, out, e);
    if (x->fn == NULL) {
        *out = x->constant;
        return 0;
    }
    call.tables = tables;
    call.seed = bytes_hash(env->event->topic,
                           (uint64_t)env->event->partition << 48 ^ (uint64_t)env->event->offset);
    rc = fn_call(x->fn, &call, e);
    *out = call.result;
    return rc;
}

int plan_source_scan(const struct plan_source *s, const struct fieldplan *fields,
                     struct bytes value, struct arena *a, struct view *v, struct err *e)
{
    int rc = view_scan(v, fields, s->format, value, a, e);

    if (rc == 0 && s->schema != NULL)
        rc = schema_check_view(s->schema, s->schema_slots, v, e);
    return rc;
}

int plan_table_find(const struct plan *p, const char *name)
{
    for (int i = 0; i < p->n_tables; i++)
        if (strcmp(p->tables[i].name, name) == 0)
            return i;
    return -1;
}

bool node_kind_stateless(enum node_kind k)
{
    return k == NODE_WHERE || k == NODE_SELECT || k == NODE_SET || k == NODE_MAP ||
           k == NODE_FLATMAP || k == NODE_EXPLODE || k == NODE_SPLIT || k == NODE_MERGE;
}

const char *node_kind_name(enum node_kind k)
{
    static const char *const names[NODE_KINDS] = {
        [NODE_SOURCE] = "from",     [NODE_EVERY] = "every",     [NODE_WHERE] = "where",
        [NODE_SELECT] = "select",   [NODE_SET] = "set",         [NODE_MAP] = "map",
        [NODE_MATCH] = "match",     [NODE_BY] = "by",           [NODE_AGGREGATE] = "aggregate",
        [NODE_INTO] = "into",       [NODE_TO] = "to",           [NODE_FLATMAP] = "flatmap",
        [NODE_EXPLODE] = "explode", [NODE_SPLIT] = "split",     [NODE_MERGE] = "merge",
        [NODE_DEDUPE] = "dedupe",   [NODE_CHANGES] = "changes", [NODE_PROCESS] = "process",
        [NODE_JOIN] = "join",
    };

    ASSERT(k < NODE_KINDS);
    return names[k];
}

const char *agg_kind_name(enum agg_kind k)
{
    static const char *const names[AGG_KINDS] = {
        [AGG_COUNT] = "count", [AGG_SUM] = "sum",     [AGG_AVG] = "avg",   [AGG_MIN] = "min",
        [AGG_MAX] = "max",     [AGG_FIRST] = "first", [AGG_LAST] = "last",
        [AGG_STDDEV] = "stddev", [AGG_QUANTILE] = "quantile", [AGG_DISTINCT] = "distinct",
        [AGG_TOP] = "top", [AGG_COLLECT] = "collect",
    };

    ASSERT(k < AGG_KINDS);
    return names[k];
}

const char *table_verb_name(enum table_verb v)
{
    static const char *const names[] = {[VERB_INSERT] = "insert",
                                        [VERB_PUT] = "put",
                                        [VERB_PATCH] = "patch",
                                        [VERB_ADD] = "add",
                                        [VERB_DELETE] = "delete"};

    ASSERT(v < (int)ARRAY_LEN(names));
    return names[v];
}

bool plan_reads(const struct plan *p, struct bytes topic)
{
    for (int i = 0; i < p->n_nodes; i++)
        if (p->nodes[i].kind == NODE_SOURCE && bytes_eq_str(topic, p->nodes[i].source.topic))
            return true;
    return false;
}

bool plan_publishes(const struct plan *p)
{
    for (int i = 0; i < p->n_nodes; i++)
        if (p->nodes[i].kind == NODE_TO)
            return true;
    return p->errors.dead != NULL;
}

const char *plan_again(const struct plan *p)
{
    return plan_publishes(p) && p->rebuild.mute
               ? " (and rebuild = { outputs = \"publish\" }: its outputs are published again)"
               : "";
}
