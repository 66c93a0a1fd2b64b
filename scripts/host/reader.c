// SPDX-License-Identifier: Apache-2.0
//
// From the prelude's description to struct plan. The prelude has checked everything a user can get
// wrong, so this only copies; what can still fail is memory.
//
// Every struct that may own a function is attached to the plan before it is filled: whatever is
// raised in between, plan_free finds it.
#include "runtime/base/heap.h"
#include "scripts/host/script_host.h"
#include "scripts/host/values.h"

struct reading {
    lua_State *L;
    struct script *script;
    struct plan *plan;
};

static const char *get_text(struct reading *r, int t, const char *name)
{
    const char *s = NULL;

    if (lua_getfield(r->L, t, name) == LUA_TSTRING)
        s = (const char *)arena_copy(&r->plan->arena, lua_bytes(r->L, -1)).p;
    lua_pop(r->L, 1);
    return s;
}

static int64_t get_int(struct reading *r, int t, const char *name, int64_t fallback)
{
    int64_t v = fallback;

    if (lua_getfield(r->L, t, name) == LUA_TNUMBER)
        v = lua_tointeger(r->L, -1);
    lua_pop(r->L, 1);
    return v;
}

static double get_number(struct reading *r, int t, const char *name)
{
    double v;

    (void)lua_getfield(r->L, t, name);
    v = lua_tonumber(r->L, -1);
    lua_pop(r->L, 1);
    return v;
}

static bool get_bool(struct reading *r, int t, const char *name)
{
    bool b;

    (void)lua_getfield(r->L, t, name);
    b = lua_toboolean(r->L, -1);
    lua_pop(r->L, 1);
    return b;
}

// Pushes the table and returns its length; 0 and an empty stack change when it is not there.
static int open_list(struct reading *r, int t, const char *name)
{
    luaL_checkstack(r->L, 10, "plan");
    if (lua_getfield(r->L, t, name) == LUA_TTABLE)
        return (int)lua_rawlen(r->L, -1);
    return 0;
}

static void close_list(struct reading *r)
{
    lua_pop(r->L, 1);
}

static void *zeroed(struct reading *r, int n, size_t size)
{
    return arena_zalloc(&r->plan->arena, (size_t)(n > 0 ? n : 1) * size);
}

// The expression whose description is at index t.
static void read_expr(struct reading *r, int t, struct plan_expr *x)
{
    lua_State *L = r->L;
    int fn = (int)get_int(r, t, "fn", 0);

    x->line = (int)get_int(r, t, "line", 0);
    if (fn > 0) {
        x->fn = script_fn_new(r->script, fn, x->line);
        return;
    }
    x->text = get_text(r, t, "text");
    if (x->text == NULL) {
        (void)lua_getfield(L, t, "const");
        value_take(L, -1, &r->plan->arena, &x->constant);
        lua_pop(L, 1);
        return;
    }
    (void)open_list(r, t, "binds"); // may hold nils: counted by n
    x->n_binds = (int)get_int(r, lua_gettop(L), "n", 0);
    x->binds = zeroed(r, x->n_binds, sizeof(*x->binds));
    for (int i = 0; i < x->n_binds; i++) {
        (void)lua_rawgeti(L, -1, i + 1);
        value_take(L, -1, &r->plan->arena, &x->binds[i]);
        lua_pop(L, 1);
    }
    close_list(r);
}

static bool read_expr_field(struct reading *r, int t, const char *name, struct plan_expr *x)
{
    bool there = lua_getfield(r->L, t, name) == LUA_TTABLE;

    if (there)
        read_expr(r, lua_gettop(r->L), x);
    lua_pop(r->L, 1);
    return there;
}

static void read_fields(struct reading *r, int t, const char *name, struct plan_field **out, int *n)
{
    lua_State *L = r->L;
    int count = open_list(r, t, name);

    *out = zeroed(r, count, sizeof(**out));
    *n = count;
    for (int i = 0; i < count; i++) {
        (void)lua_rawgeti(L, -1, i + 1);
        (*out)[i].name = bytes_str(get_text(r, lua_gettop(L), "name"));
        (void)read_expr_field(r, lua_gettop(L), "expr", &(*out)[i].expr);
        lua_pop(L, 1);
    }
    close_list(r);
}

static int table_of(struct reading *r, int t)
{
    const char *name = get_text(r, t, "table_name");

    return plan_table_find(r->plan, name);
}

static enum table_verb verb_of(const char *name)
{
    for (enum table_verb v = VERB_INSERT; v <= VERB_DELETE; v++) {
        if (strcmp(table_verb_name(v), name) == 0)
            return v;
    }
    UNREACHABLE("the prelude has checked the verb");
}

static void read_action(struct reading *r, int t, struct plan_action *a)
{
    a->table = table_of(r, t);
    a->verb = verb_of(get_text(r, t, "verb"));
    a->line = (int)get_int(r, t, "line", 0);
    read_fields(r, t, "key", &a->key, &a->n_key);
    read_fields(r, t, "cells", &a->cells, &a->n_cells);
}

static void read_case(struct reading *r, int t, struct plan_case *c)
{
    lua_State *L = r->L;
    int fn = (int)get_int(r, t, "fn", 0);
    const char *type = get_text(r, t, "type");
    int n;

    c->type = strcmp(type, "_") == 0 ? BYTES_NULL : bytes_str(type);
    c->line = (int)get_int(r, t, "line", 0);
    if (fn > 0)
        c->fn = script_fn_new(r->script, fn, c->line);
    n = open_list(r, t, "actions");
    c->actions = zeroed(r, n, sizeof(*c->actions));
    c->n_actions = n;
    for (int i = 0; i < n; i++) {
        (void)lua_rawgeti(L, -1, i + 1);
        read_action(r, lua_gettop(L), &c->actions[i]);
        lua_pop(L, 1);
    }
    close_list(r);
}

static void read_match(struct reading *r, int t, struct plan_node *node)
{
    int n;

    (void)read_expr_field(r, t, "on", &node->match.on);
    n = open_list(r, t, "cases");
    node->match.cases = zeroed(r, n, sizeof(*node->match.cases));
    node->match.n = n;
    for (int i = 0; i < n; i++) {
        (void)lua_rawgeti(r->L, -1, i + 1);
        read_case(r, lua_gettop(r->L), &node->match.cases[i]);
        lua_pop(r->L, 1);
    }
    close_list(r);
}

static enum agg_kind agg_of(const char *name)
{
    for (enum agg_kind k = 0; k < AGG_KINDS; k++) {
        if (strcmp(agg_kind_name(k), name) == 0)
            return k;
    }
    UNREACHABLE("the prelude has checked the aggregate");
}

static void read_window(struct reading *r, int t, struct plan_node *node)
{
    struct plan_window *w = &node->aggregate.window;

    if (lua_getfield(r->L, t, "window") == LUA_TTABLE) {
        int at = lua_gettop(r->L);
        w->size_ms = get_int(r, at, "size", 0);
        w->every_ms = get_int(r, at, "every", 0);
        w->grace_ms = get_int(r, at, "grace", 0);
        w->tz = get_text(r, at, "tz");
        w->line = (int)get_int(r, at, "line", 0);
        w->kind = strcmp(get_text(r, at, "kind"), "gap") == 0    ? WINDOW_SESSION
                  : strcmp(get_text(r, at, "kind"), "last") == 0 ? WINDOW_LAST
                  : w->every_ms == w->size_ms                    ? WINDOW_TUMBLING
                                                                 : WINDOW_HOPPING;
        node->name = get_text(r, at, "name");
    }
    lua_pop(r->L, 1);
}

static void read_aggregate(struct reading *r, int t, struct plan_node *node)
{
    int n;

    read_window(r, t, node);
    node->aggregate.ttl_ms = get_int(r, t, "ttl", -1);
    n = open_list(r, t, "aggs");
    node->aggregate.aggs = zeroed(r, n, sizeof(*node->aggregate.aggs));
    node->aggregate.n = n;
    for (int i = 0; i < n; i++) {
        struct plan_aggregate *a = &node->aggregate.aggs[i];
        int at;
        (void)lua_rawgeti(r->L, -1, i + 1);
        at = lua_gettop(r->L);
        a->name = bytes_str(get_text(r, at, "name"));
        a->kind = agg_of(get_text(r, at, "kind"));
        a->has_arg = read_expr_field(r, at, "arg", &a->arg);
        a->q = get_number(r, at, "q");
        a->limit = get_int(r, at, "limit", 0);
        read_fields(r, at, "fields", &a->fields, &a->n_fields);
        lua_pop(r->L, 1);
    }
    close_list(r);
}

// A type as declare.lua describes it, at index t.
static const struct type *read_type(struct reading *r, int t)
{
    const char *kind = get_text(r, t, "kind");
    struct arena *a = &r->plan->arena;
    struct type_field *fields;
    const struct type *type;
    int n;

    luaL_checkstack(r->L, 10, "schema");
    if (kind != NULL) {
        int rc = type_parse(bytes_str(kind), a, &type, NULL);
        ASSERT(rc == 0);
        return type;
    }
    if (lua_getfield(r->L, t, "element") == LUA_TTABLE) {
        type = type_array(a, read_type(r, lua_gettop(r->L)));
        lua_pop(r->L, 1);
        return type;
    }
    lua_pop(r->L, 1);
    n = open_list(r, t, "fields");
    fields = zeroed(r, n, sizeof(*fields));
    for (int i = 0; i < n; i++) {
        (void)lua_rawgeti(r->L, -1, i + 1);
        fields[i].name = bytes_str(get_text(r, lua_gettop(r->L), "name"));
        (void)lua_getfield(r->L, -1, "type");
        fields[i].type = read_type(r, lua_gettop(r->L));
        lua_pop(r->L, 2);
    }
    close_list(r);
    return type_object(a, fields, (size_t)n, false);
}

// NULL when there is none.
static const struct type *read_schema(struct reading *r, int t)
{
    struct type *named = NULL;

    if (lua_getfield(r->L, t, "schema") == LUA_TTABLE) {
        named = arena_alloc(&r->plan->arena, sizeof(*named));
        *named = *read_type(r, lua_gettop(r->L));
        named->name = get_text(r, lua_gettop(r->L), "name");
    }
    lua_pop(r->L, 1);
    return named;
}

static int word_index(const char *word, const char *const *words, int n)
{
    for (int i = 0; i < n; i++) {
        if (strcmp(words[i], word) == 0)
            return i;
    }
    UNREACHABLE("the prelude has checked the word");
}

static void read_outbox(struct reading *r, int t, struct plan_outbox *o)
{
    static const char *const after[] = {"delete", "mark", "keep"}; // enum outbox_after

    o->path = get_text(r, t, "sqlite");
    if (o->path == NULL)
        return;
    o->table = get_text(r, t, "table_name");
    o->after = (enum outbox_after)word_index(get_text(r, t, "after"), after, ARRAY_LEN(after));
}

// Whether it is given.
static bool read_format(struct reading *r, int t, enum format *f)
{
    static const char *const formats[] = {"json", "msgpack", "text", "bytes"}; // enum format
    const char *format = get_text(r, t, "format");

    for (size_t i = 0; format != NULL && i < ARRAY_LEN(formats); i++) {
        if (strcmp(format, formats[i]) == 0)
            *f = (enum format)i;
    }
    return format != NULL;
}

static void read_source(struct reading *r, int t, struct plan_source *s)
{
    s->topic = get_text(r, t, "topic");
    read_outbox(r, t, &s->outbox);
    s->has_time = read_expr_field(r, t, "time", &s->time);
    s->disorder_ms = get_int(r, t, "disorder", s->disorder_ms);
    s->idle_ms = get_int(r, t, "idle", s->idle_ms);
    s->ahead_ms = get_int(r, t, "ahead", s->ahead_ms);
    s->changelog = get_bool(r, t, "changelog");
    s->from_latest = get_bool(r, t, "latest");
    s->schema = read_schema(r, t);
    (void)read_format(r, t, &s->format);
}

static void read_to(struct reading *r, int t, struct plan_node *node)
{
    node->to.topic = get_text(r, t, "topic");
    node->to.has_key = read_expr_field(r, t, "key", &node->to.key);
    read_fields(r, t, "headers", &node->to.headers, &node->to.n_headers);
    node->to.has_format = read_format(r, t, &node->to.format);
    node->to.schema = read_schema(r, t);
}

static void read_into(struct reading *r, int t, struct plan_node *node)
{
    node->into.table = table_of(r, t);
    node->into.name = get_text(r, t, "table_name");
    read_fields(r, t, "columns", &node->into.columns, &node->into.n);
}

static void read_dedupe(struct reading *r, int t, struct plan_node *node)
{
    read_fields(r, t, "by", &node->dedupe.by, &node->dedupe.n);
    node->dedupe.within_ms = get_int(r, t, "within", 0);
}

static void read_changes(struct reading *r, int t, struct plan_node *node)
{
    node->changes.name = get_text(r, t, "table_name");
    node->changes.latest = get_bool(r, t, "latest");
}

static struct fn *get_fn(struct reading *r, int t, const char *name, int line)
{
    int fn = (int)get_int(r, t, name, 0);

    return fn > 0 ? script_fn_new(r->script, fn, line) : NULL;
}

static void read_process(struct reading *r, int t, struct plan_node *node)
{
    struct plan_process *x = &node->process;

    x->on = get_fn(r, t, "on", node->line);
    x->timer = get_fn(r, t, "timer", node->line);
    x->upgrade = get_fn(r, t, "upgrade", node->line);
    x->ttl_ms = get_int(r, t, "ttl", -1);
    (void)lua_getfield(r->L, t, "state");
    value_take(r->L, -1, &r->plan->arena, &x->state);
    lua_pop(r->L, 1);
}

static void read_join(struct reading *r, int t, struct plan_node *node)
{
    static const char *const with[] = {"stream", "table", "as-of"}; // enum join_with
    static const char *const kinds[] = {"inner", "left", "outer"};  // enum join_kind
    struct plan_join *j = &node->join;

    j->with = (enum join_with)word_index(get_text(r, t, "with"), with, ARRAY_LEN(with));
    j->kind = (enum join_kind)word_index(get_text(r, t, "join"), kinds, ARRAY_LEN(kinds));
    j->as = bytes_str(get_text(r, t, "as"));
    j->lo_ms = get_int(r, t, "lo", 0);
    j->hi_ms = get_int(r, t, "hi", 0);
    j->grace_ms = get_int(r, t, "grace", 0);
    j->wait_ms = get_int(r, t, "wait", -1);
    if (j->with == JOIN_STREAM)
        return;
    j->name = get_text(r, t, "table_name");
    j->table = plan_table_find(r->plan, j->name);
    read_fields(r, t, "on", &j->on, &j->n_on);
    (void)read_expr_field(r, t, "at", &j->at);
}

static void read_body(struct reading *r, int t, struct plan_node *node)
{
    int fn = (int)get_int(r, t, "fn", 0);

    switch (node->kind) {
    case NODE_SOURCE:
        read_source(r, t, &node->source);
        return;
    case NODE_EVERY:
        node->every.interval_ms = get_int(r, t, "interval", 0);
        return;
    case NODE_WHERE:
    case NODE_SPLIT:
        (void)read_expr_field(r, t, "condition", &node->where.condition);
        return;
    case NODE_SELECT:
    case NODE_SET:
        read_fields(r, t, "fields", &node->select.fields, &node->select.n);
        return;
    case NODE_MAP:
    case NODE_FLATMAP:
        node->map.fn = script_fn_new(r->script, fn, node->line);
        return;
    case NODE_MATCH:
        read_match(r, t, node);
        return;
    case NODE_BY:
        read_fields(r, t, "parts", &node->by.parts, &node->by.n);
        return;
    case NODE_AGGREGATE:
        read_aggregate(r, t, node);
        return;
    case NODE_INTO:
        read_into(r, t, node);
        return;
    case NODE_TO:
        read_to(r, t, node);
        return;
    case NODE_EXPLODE:
        (void)read_expr_field(r, t, "list", &node->explode.list);
        node->explode.name = bytes_str(get_text(r, t, "element"));
        return;
    case NODE_MERGE:
        return;
    case NODE_DEDUPE:
        read_dedupe(r, t, node);
        return;
    case NODE_CHANGES:
        read_changes(r, t, node);
        return;
    case NODE_PROCESS:
        read_process(r, t, node);
        return;
    case NODE_JOIN:
        read_join(r, t, node);
        return;
    case NODE_KINDS:
        UNREACHABLE("not a kind");
    }
}

static enum node_kind kind_of(const char *name)
{
    for (enum node_kind k = 0; k < NODE_KINDS; k++) {
        if (strcmp(node_kind_name(k), name) == 0)
            return k;
    }
    UNREACHABLE("the prelude has made a node of no kind");
}

static void read_inputs(struct reading *r, int t, struct plan_node *node)
{
    static const char *const ports[OUT_PORTS] = {"main", "final", "late", "rest", "changes"};
    int n = open_list(r, t, "inputs");

    node->inputs = zeroed(r, n, sizeof(*node->inputs));
    node->n_inputs = n;
    for (int i = 0; i < n; i++) {
        const char *port;
        (void)lua_rawgeti(r->L, -1, i + 1);
        port = get_text(r, lua_gettop(r->L), "port");
        node->inputs[i].node = (int)get_int(r, lua_gettop(r->L), "node", 0) - 1;
        for (int k = 0; k < OUT_PORTS; k++) {
            if (strcmp(port, ports[k]) == 0)
                node->inputs[i].port = (enum plan_port)k;
        }
        lua_pop(r->L, 1);
    }
    close_list(r);
}

static void read_nodes(struct reading *r, int t)
{
    int n = open_list(r, t, "nodes");

    for (int i = 0; i < n; i++) {
        int at, k;
        const char *name;
        (void)lua_rawgeti(r->L, -1, i + 1);
        at = lua_gettop(r->L);
        k = plan_add_node(r->plan, kind_of(get_text(r, at, "kind")),
                          (int)get_int(r, at, "line", 0));
        read_inputs(r, at, &r->plan->nodes[k]);
        read_body(r, at, &r->plan->nodes[k]);
        name = get_text(r, at, "name");
        if (name != NULL)
            r->plan->nodes[k].name = name;
        lua_pop(r->L, 1);
    }
    close_list(r);
}

static void read_table(struct reading *r, int t, struct plan_table *table)
{
    int n;

    table->name = get_text(r, t, "name");
    table->body = get_text(r, t, "body");
    table->line = (int)get_int(r, t, "line", 0);
    table->without_rowid = get_bool(r, t, "without_rowid");
    table->ttl = get_text(r, t, "ttl");
    table->history = get_text(r, t, "history");
    table->aggregate = -1;
    n = open_list(r, t, "indexes");
    table->indexes = zeroed(r, n, sizeof(*table->indexes));
    table->n_indexes = n;
    for (int i = 0; i < n; i++) {
        (void)lua_rawgeti(r->L, -1, i + 1);
        table->indexes[i].sql = get_text(r, lua_gettop(r->L), "sql");
        table->indexes[i].line = (int)get_int(r, lua_gettop(r->L), "line", 0);
        lua_pop(r->L, 1);
    }
    close_list(r);
}

static void read_tables(struct reading *r, int t)
{
    int n = open_list(r, t, "tables");

    r->plan->tables = zeroed(r, n, sizeof(*r->plan->tables));
    r->plan->n_tables = n;
    for (int i = 0; i < n; i++) {
        (void)lua_rawgeti(r->L, -1, i + 1);
        read_table(r, lua_gettop(r->L), &r->plan->tables[i]);
        lua_pop(r->L, 1);
    }
    close_list(r);
}

static void read_views(struct reading *r, int t)
{
    int n = open_list(r, t, "views");

    r->plan->views = zeroed(r, n, sizeof(*r->plan->views));
    r->plan->n_views = n;
    for (int i = 0; i < n; i++) {
        struct plan_view *v = &r->plan->views[i];
        (void)lua_rawgeti(r->L, -1, i + 1);
        v->name = get_text(r, lua_gettop(r->L), "name");
        v->sql = get_text(r, lua_gettop(r->L), "sql");
        v->line = (int)get_int(r, lua_gettop(r->L), "line", 0);
        lua_pop(r->L, 1);
    }
    close_list(r);
}

static void read_params(struct reading *r, int t, struct plan_query *q)
{
    int n = open_list(r, t, "params");

    q->params = zeroed(r, n, sizeof(*q->params));
    q->n_params = n;
    for (int i = 0; i < n; i++) {
        struct plan_param *p = &q->params[i];
        int at;
        (void)lua_rawgeti(r->L, -1, i + 1);
        at = lua_gettop(r->L);
        p->name = get_text(r, at, "name");
        p->type = get_text(r, at, "type");
        p->nullable = get_bool(r, at, "nullable");
        p->line = (int)get_int(r, at, "line", 0);
        (void)lua_getfield(r->L, at, "fallback");
        value_take(r->L, -1, &r->plan->arena, &p->fallback);
        lua_pop(r->L, 2);
    }
    close_list(r);
}

static void read_queries(struct reading *r, int t)
{
    int n = open_list(r, t, "queries");

    r->plan->queries = zeroed(r, n, sizeof(*r->plan->queries));
    r->plan->n_queries = n;
    for (int i = 0; i < n; i++) {
        struct plan_query *q = &r->plan->queries[i];
        int at;
        (void)lua_rawgeti(r->L, -1, i + 1);
        at = lua_gettop(r->L);
        q->name = get_text(r, at, "name");
        q->sql = get_text(r, at, "sql");
        q->path = get_text(r, at, "path");
        q->one = get_bool(r, at, "one");
        q->line = (int)get_int(r, at, "line", 0);
        read_params(r, at, q);
        lua_pop(r->L, 1);
    }
    close_list(r);
}

static void read_errors(struct reading *r, int t, struct plan_errors *x)
{
    const char *park = get_text(r, t, "park");
    int n;

    if (park != NULL)
        x->park = strcmp(park, "record") == 0 ? PARK_RECORD
                  : strcmp(park, "stop") == 0 ? PARK_STOP
                                              : PARK_KEY;
    x->dead = get_text(r, t, "dead");
    x->limit = get_int(r, t, "limit", x->limit);
    n = open_list(r, t, "retry");
    if (lua_istable(r->L, -1)) {
        x->retry_ms = zeroed(r, n, sizeof(*x->retry_ms));
        x->n_retry = n;
    }
    for (int i = 0; i < n; i++) {
        (void)lua_rawgeti(r->L, -1, i + 1);
        x->retry_ms[i] = lua_tointeger(r->L, -1);
        lua_pop(r->L, 1);
    }
    close_list(r);
}

static void read_job(struct reading *r, int t)
{
    lua_State *L = r->L;
    struct plan_commit *c = &r->plan->commit;
    int job;

    (void)lua_getfield(L, t, "job");
    job = lua_gettop(L);
    r->plan->job = get_text(r, job, "name");
    r->plan->version = (int)get_int(r, job, "version", 1);
    if (lua_getfield(L, job, "errors") == LUA_TTABLE)
        read_errors(r, lua_gettop(L), &r->plan->errors);
    lua_pop(L, 1);
    if (lua_getfield(L, job, "commit") == LUA_TTABLE) {
        c->records = get_int(r, lua_gettop(L), "records", c->records);
        c->bytes = get_int(r, lua_gettop(L), "bytes", c->bytes);
        c->every_ms = get_int(r, lua_gettop(L), "every", c->every_ms);
    }
    lua_pop(L, 1);
    if (lua_getfield(L, job, "rebuild") == LUA_TTABLE) {
        r->plan->rebuild.mute = get_bool(r, lua_gettop(L), "mute");
        r->plan->rebuild.keep_ms = get_int(r, lua_gettop(L), "keep", r->plan->rebuild.keep_ms);
    }
    lua_pop(L, 2);
}

static int read_all(lua_State *L)
{
    struct reading *r = lua_touserdata(L, 1);
    int t;

    host_push_key(L, KEY_PLAN);
    t = lua_gettop(L);
    read_job(r, t);
    read_tables(r, t); // before the nodes, which name them
    read_views(r, t);
    read_queries(r, t);
    read_nodes(r, t);
    return 0;
}

int plan_read(struct script *s, struct plan *p, struct err *e)
{
    struct reading r = {s->host.L, s, p};

    return host_run(&s->host, read_all, &r, 0, e);
}
