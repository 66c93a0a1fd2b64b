// SPDX-License-Identifier: Apache-2.0
#include "tests/support/plan_build.h"

#include "runtime/base/heap.h"

struct c_fn {
    struct fn fn;
    plan_build_fn call;
    void *arg;
};

static int c_call(struct fn *f, struct fn_call *c, struct err *e)
{
    struct c_fn *x = container_of(f, struct c_fn, fn);

    c->result = c->event->view.root;
    return x->call(x->arg, c, e);
}

static void c_fingerprint(struct fn *f, struct buf *out)
{
    (void)f;
    buf_append_str(out, "C");
}

static void c_free(struct fn *f)
{
    heap_free(container_of(f, struct c_fn, fn));
}

static const struct fn_ops c_ops = {.call = c_call, .fingerprint = c_fingerprint, .free = c_free};

struct plan *plan_build(const char *job)
{
    struct plan *p = plan_new("jobs/test.lua");

    p->job = arena_strdup(&p->arena, job);
    return p;
}

struct plan_expr plan_build_expr(struct plan *p, const char *text)
{
    return (struct plan_expr){.text = arena_strdup(&p->arena, text), .line = 1};
}

static int add(struct plan *p, enum node_kind kind, int from, enum plan_port port)
{
    int i = plan_add_node(p, kind, p->n_nodes + 1);

    if (from >= 0) {
        p->nodes[i].inputs = arena_alloc(&p->arena, sizeof *p->nodes[i].inputs);
        p->nodes[i].inputs[0] = (struct plan_input){.node = from, .port = port};
        p->nodes[i].n_inputs = 1;
    }
    return i;
}

int plan_build_source(struct plan *p, const char *topic, const char *time)
{
    int i = add(p, NODE_SOURCE, -1, OUT_MAIN);

    p->nodes[i].source.topic = arena_strdup(&p->arena, topic);
    p->nodes[i].source.has_time = time != NULL;
    if (time != NULL)
        p->nodes[i].source.time = plan_build_expr(p, time);
    return i;
}

int plan_build_every(struct plan *p, int64_t interval_ms)
{
    int i = add(p, NODE_EVERY, -1, OUT_MAIN);

    p->nodes[i].every.interval_ms = interval_ms;
    return i;
}

void plan_build_merge(struct plan *p, int node, int from)
{
    struct plan_node *n = &p->nodes[node];
    struct plan_input *in = arena_alloc(&p->arena, ((size_t)n->n_inputs + 1) * sizeof *in);

    memcpy(in, n->inputs, (size_t)n->n_inputs * sizeof *in);
    in[n->n_inputs] = (struct plan_input){.node = from, .port = OUT_MAIN};
    n->inputs = in;
    n->n_inputs++;
}

int plan_build_where(struct plan *p, int from, const char *condition)
{
    int i = add(p, NODE_WHERE, from, OUT_MAIN);

    p->nodes[i].where.condition = plan_build_expr(p, condition);
    return i;
}

int plan_build_select(struct plan *p, int from, const char *const *names)
{
    int i = add(p, NODE_SELECT, from, OUT_MAIN), n = 0;

    while (names[2 * n] != NULL)
        n++;
    p->nodes[i].select.n = n;
    p->nodes[i].select.fields = arena_zalloc(&p->arena, (size_t)n * sizeof(struct plan_field));
    for (int k = 0; k < n; k++)
        p->nodes[i].select.fields[k] = (struct plan_field){
            .name = bytes_str(names[2 * k]), .expr = plan_build_expr(p, names[2 * k + 1])};
    return i;
}

int plan_build_set(struct plan *p, int from, const char *name, const char *text)
{
    const char *const fields[] = {name, text, NULL};
    int i = plan_build_select(p, from, fields);

    p->nodes[i].kind = NODE_SET;
    return i;
}

int plan_build_map(struct plan *p, int from, plan_build_fn call, void *arg)
{
    int i = add(p, NODE_MAP, from, OUT_MAIN);
    struct c_fn *f = heap_zalloc(sizeof *f);

    *f = (struct c_fn){.fn = {.ops = &c_ops, .file = p->file, .line = i}, .call = call, .arg = arg};
    p->nodes[i].map.fn = &f->fn;
    return i;
}

int plan_build_by(struct plan *p, int from, const char *text)
{
    int i = add(p, NODE_BY, from, OUT_MAIN);

    p->nodes[i].by.n = 1;
    p->nodes[i].by.parts = arena_zalloc(&p->arena, sizeof(struct plan_field));
    p->nodes[i].by.parts[0].expr = plan_build_expr(p, text);
    return i;
}

int plan_build_count(struct plan *p, int from, enum window_kind kind, int64_t size_ms)
{
    int i = add(p, NODE_AGGREGATE, from, OUT_MAIN);

    p->nodes[i].aggregate.window = (struct plan_window){
        .kind = kind, .size_ms = size_ms, .every_ms = size_ms, .line = p->nodes[i].line};
    p->nodes[i].aggregate.n = 1;
    p->nodes[i].aggregate.aggs = arena_zalloc(&p->arena, sizeof(struct plan_aggregate));
    p->nodes[i].aggregate.aggs[0] =
        (struct plan_aggregate){.name = BYTES_LIT("n"), .kind = AGG_COUNT};
    return i;
}

int plan_build_into(struct plan *p, int from, const char *table)
{
    int i = add(p, NODE_INTO, from, OUT_MAIN);

    p->nodes[i].into.name = arena_strdup(&p->arena, table);
    return i;
}

int plan_build_to(struct plan *p, int from, enum plan_port port, const char *topic)
{
    int i = add(p, NODE_TO, from, port);

    p->nodes[i].to.topic = arena_strdup(&p->arena, topic);
    return i;
}

int plan_build_changes(struct plan *p, const char *table)
{
    int i = plan_add_node(p, NODE_CHANGES, p->n_nodes + 1);

    p->nodes[i].changes.name = arena_strdup(&p->arena, table);
    return i;
}

void plan_build_table(struct plan *p, const char *name, const char *body)
{
    struct plan_table *t = arena_zalloc(&p->arena, ((size_t)p->n_tables + 1) * sizeof *t);

    if (p->n_tables > 0)
        memcpy(t, p->tables, (size_t)p->n_tables * sizeof *t);
    t[p->n_tables] = (struct plan_table){
        .name = arena_strdup(&p->arena, name), .body = arena_strdup(&p->arena, body), .line = 1};
    p->tables = t;
    p->n_tables++;
}

int64_t plan_build_int(struct fn_call *c, const char *name)
{
    struct value v;

    if (view_member(&c->event->view, bytes_str(name), &v, NULL) != 0 || v.type != VALUE_INT)
        return -1;
    return v.i;
}

bool plan_build_is(struct fn_call *c, const char *name, const char *s)
{
    struct value v;

    return view_member(&c->event->view, bytes_str(name), &v, NULL) == 0 && v.type == VALUE_TEXT &&
           bytes_eq_str(v.s, s);
}
