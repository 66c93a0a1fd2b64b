// SPDX-License-Identifier: Apache-2.0
//
// The words of a test that look at the job: what it has published, its rows, what failed. Each
// compares what it finds with what the test wants and ends the test when that is something else.
//
//   t:expect(topic, {…})       order and count exact, fields partial; empties the capture
//   t:rows(sql, {…})           whole rows, as SQLite has them
//   t:query(name, params, {…}) columns partial
//   t:parked {…}  t:skipped(n)  t:late(name, {…})  t:stopped "pattern"
//
// Where a test looks is noted among its acts: a variation of the test must show the same there.
#include "runtime/base/datetime.h"
#include "runtime/base/suggest.h"
#include "runtime/engine/store.h"
#include "scripts/host/pattern.h"
#include "scripts/host/testing.h"
#include "scripts/host/values.h"

static struct testing *test_observes(lua_State *L)
{
    struct testing *t = test_of(L);

    if (t->batching)
        luaL_error(L, "t:batch runs at its end: look at the job behind it");
    test_runs(L, t);
    test_note(L, t, &(struct act){.kind = ACT_OBSERVE});
    return t;
}

struct list {
    struct value_array array;
    size_t cap;
};

static void list_add(struct testing *t, struct list *l, struct value v)
{
    if (l->array.n == l->cap) {
        struct value *grown;
        l->cap = l->cap > 0 ? l->cap * 2 : 8;
        grown = arena_alloc(&t->arena, l->cap * sizeof(*grown));
        if (l->array.n > 0)
            memcpy(grown, l->array.items, l->array.n * sizeof(*grown));
        l->array.items = grown;
    }
    l->array.items[l->array.n++] = v;
}

static struct value list_value(const struct list *l)
{
    return (struct value){.type = VALUE_ARRAY, .array = &l->array};
}

static struct value_object *object_new(struct testing *t, size_t cap)
{
    struct value_object *o = arena_alloc(&t->arena, sizeof(*o));

    o->n = 0;
    o->names = arena_alloc(&t->arena, cap * sizeof(*o->names));
    o->values = arena_alloc(&t->arena, cap * sizeof(*o->values));
    return o;
}

static void object_add(struct value_object *o, const char *name, struct value v)
{
    o->names[o->n] = bytes_str(name);
    o->values[o->n++] = v;
}

static struct value text_or_null(struct testing *t, struct bytes b)
{
    if (bytes_is_null(b))
        return VALUE_OF_NULL;
    b = arena_copy(&t->arena, b);
    return bytes_is_utf8(b) ? value_text(b) : (struct value){.type = VALUE_BYTES, .s = b};
}

// What the job writes to the topic as. Text stays what it looks like.
static enum format format_of(const struct testing *t, const char *topic)
{
    for (int i = 0; i < t->plan->n_nodes; i++) {
        const struct plan_node *n = &t->plan->nodes[i];
        if (n->kind == NODE_TO && n->to.has_format && strcmp(n->to.topic, topic) == 0)
            return n->to.format == FORMAT_MSGPACK ? FORMAT_MSGPACK : FORMAT_JSON;
    }
    return FORMAT_JSON;
}

// The published record as one object: its fields, and $key and $header.x beside them.
static struct value record_value(struct testing *t, const struct batch_record *r, enum format f)
{
    struct value root = VALUE_OF_NULL, x;
    struct header *headers = NULL;
    struct value_object *o;
    struct value_iter it;
    struct bytes name, raw = arena_copy(&t->arena, r->value);

    if (!bytes_is_null(r->value) && value_decode(f, raw, &t->arena, &root, NULL) != 0)
        root = text_or_null(t, raw);
    if (batch_record_headers(r, &t->arena, &headers, NULL) != 0)
        headers = NULL;
    o = object_new(t, value_count(&root) + (size_t)r->n_headers + 4);
    if (value_is_object(&root)) {
        value_iter_init(&it, &root, &t->arena);
        while (value_iter_next(&it, &name, &x, NULL) == 1) {
            o->names[o->n] = name;
            o->values[o->n++] = x;
        }
    } else {
        object_add(o, "$value", root);
    }
    object_add(o, "$key", text_or_null(t, r->key));
    for (int i = 0; headers != NULL && i < r->n_headers; i++) {
        const char *h = arena_printf(&t->arena, "$header.%.*s", BYTES_FMT(headers[i].name));
        object_add(o, h, text_or_null(t, headers[i].value));
    }
    return (struct value){.type = VALUE_OBJECT, .object = o};
}

static void take_list(lua_State *L, struct testing *t, int i, const char *word, struct value *out)
{
    luaL_argexpected(L, lua_type(L, i) == LUA_TTABLE, i, "a list of what is expected");
    value_take(L, i, &t->arena, out);
    if (out->type == VALUE_OBJECT && out->object->n > 0)
        luaL_error(L, "%s: wants a list: { { ... }, { ... } }", word);
}

static _Noreturn void differs(lua_State *L, struct testing *t, const char *what, const char *diff)
{
    test_fails(L, t, what, arena_printf(&t->arena, "%s%s", diff, test_hint(t)));
}

// What the job never publishes to is empty whatever it does. A version before may have.
static void must_be_published(lua_State *L, const struct testing *t, const char *topic)
{
    const char *dead = t->plan->errors.dead;
    struct suggestion s = {.name = topic};

    if (dead != NULL && strcmp(dead, topic) == 0)
        return;
    for (int i = 0; i < t->plan->n_nodes; i++) {
        const struct plan_node *n = &t->plan->nodes[i];
        if (n->kind == NODE_TO && strcmp(n->to.topic, topic) == 0)
            return;
        if (n->kind == NODE_TO)
            suggest(&s, n->to.topic);
    }
    luaL_error(L, "t:expect: the job does not publish to \"%s\"%s", topic, suggest_text(&s));
}

static int test_expect(lua_State *L)
{
    struct testing *t = test_observes(L);
    const char *topic = luaL_checkstring(L, 2);
    const struct batch_record *records;
    struct list got = {0};
    struct value want, have;
    const char *diff;
    size_t n;

    take_list(L, t, 3, "t:expect", &want);
    n = driver_take(t->driver, topic, &records);
    if (n == 0)
        must_be_published(L, t, topic);
    for (size_t i = 0; i < n; i++)
        list_add(t, &got, record_value(t, &records[i], format_of(t, topic)));
    have = list_value(&got);
    diff = test_diff(t, &want, &have, test_matches);
    if (diff != NULL)
        differs(L, t, arena_printf(&t->arena, "records of \"%s\"", topic), diff);
    return 0;
}

static void run_sql(lua_State *L, struct testing *t, struct bytes sql, const struct value *params,
                    struct value *rows)
{
    struct tables *tables = driver_store(t->driver)->tables;
    struct err e = {0};

    if (tables->ops->sql(tables, sql, params, &t->arena, rows, &e) != 0)
        test_fails(L, t, "sql", e.text);
}

static int test_rows(lua_State *L)
{
    struct testing *t = test_observes(L);
    struct value want, got = VALUE_OF_MISSING;
    const char *diff;

    (void)luaL_checkstring(L, 2);
    take_list(L, t, 3, "t:rows", &want);
    run_sql(L, t, lua_bytes(L, 2), NULL, &got);
    diff = test_diff(t, &want, &got, test_row_equals);
    if (diff != NULL)
        differs(L, t, "rows", diff);
    return 0;
}

static const struct plan_query *find_query(lua_State *L, struct testing *t, const char *name)
{
    struct suggestion s = {.name = name};

    for (int i = 0; i < t->plan->n_queries; i++) {
        if (strcmp(t->plan->queries[i].name, name) == 0)
            return &t->plan->queries[i];
        suggest(&s, t->plan->queries[i].name);
    }
    luaL_error(L, "unknown query '%s'%s", name, suggest_text(&s));
    UNREACHABLE("luaL_error returned");
}

// The parameters given, the declared defaults for the others; time as text becomes milliseconds.
static struct value query_params(lua_State *L, struct testing *t, const struct plan_query *q,
                                 const struct value *given)
{
    struct value_object *o = object_new(t, (size_t)q->n_params + 1);

    for (int i = 0; i < q->n_params; i++) {
        const struct plan_param *p = &q->params[i];
        struct value v = VALUE_OF_MISSING;
        int64_t ms;
        if (value_is_object(given) &&
            value_member(given, bytes_str(p->name), &t->arena, &v, NULL) != 0)
            v = VALUE_OF_MISSING;
        if (v.type == VALUE_MISSING)
            v = p->fallback;
        if (v.type == VALUE_MISSING && !p->nullable)
            luaL_error(L, "query %s: parameter '%s' is missing", q->name, p->name);
        if (strcmp(p->type, "time") == 0 && v.type == VALUE_TEXT && datetime_parse(v.s, &ms) == 0)
            v = value_int(ms);
        object_add(o, p->name, v);
    }
    return (struct value){.type = VALUE_OBJECT, .object = o};
}

// Like records: what a query answers besides is not the test's business.
static int test_query(lua_State *L)
{
    struct testing *t = test_observes(L);
    const struct plan_query *q = find_query(L, t, luaL_checkstring(L, 2));
    struct value given = VALUE_OF_MISSING, params, want, got = VALUE_OF_MISSING;
    const char *diff;

    if (!lua_isnoneornil(L, 3))
        value_take(L, 3, &t->arena, &given);
    take_list(L, t, 4, "t:query", &want);
    params = query_params(L, t, q, &given);
    run_sql(L, t, bytes_str(q->sql), &params, &got);
    diff = test_diff(t, &want, &got, test_matches);
    if (diff != NULL)
        differs(L, t, arena_printf(&t->arena, "query \"%s\"", q->name), diff);
    return 0;
}

struct parked_scan {
    struct testing *t;
    struct list list;
};

static int parked_each(void *arg, const struct parked_row *r)
{
    struct parked_scan *x = arg;
    struct testing *t = x->t;
    struct value_object *o = object_new(t, 8);
    const char *class = r->state == PARKED_SEQUENCE ? "sequence" : err_name(r->class);

    object_add(o, "key", text_or_null(t, r->key));
    object_add(o, "class", value_text(bytes_str(class)));
    object_add(o, "topic", text_or_null(t, r->topic));
    object_add(o, "partition", value_int(r->partition));
    object_add(o, "offset", value_int(r->offset));
    object_add(o, "tries", value_int(r->tries));
    object_add(o, "message", text_or_null(t, r->message));
    list_add(t, &x->list, (struct value){.type = VALUE_OBJECT, .object = o});
    return 0;
}

static int test_parked(lua_State *L)
{
    struct testing *t = test_observes(L);
    struct parked_scan x = {.t = t};
    struct store *s = driver_store(t->driver);
    struct value want, got;
    struct err e = {0};
    const char *diff;

    take_list(L, t, 2, "t:parked", &want);
    if (s->ops->park_scan(s, NULL, NULL, parked_each, &x, &e) != 0)
        test_fails(L, t, "parked records", e.text);
    got = list_value(&x.list);
    diff = test_diff(t, &want, &got, test_matches);
    if (diff != NULL)
        test_fails(L, t, "parked records", diff);
    return 0;
}

static int test_skipped(lua_State *L)
{
    struct testing *t = test_observes(L);
    lua_Integer want = luaL_checkinteger(L, 2);
    struct store *s = driver_store(t->driver);
    int64_t got = 0;
    struct err e = {0};

    if (s->ops->number_get(s, "skipped", &got, &e) < 0)
        test_fails(L, t, "skipped records", e.text);
    if (got != want)
        test_fails(L, t, "skipped records",
                   arena_printf(&t->arena, "expected %lld, got %lld", (long long)want,
                                (long long)got));
    return 0;
}

// The operator whose late records a name means: its :name, or the topic or table its late() feeds.
static const char *late_operator(const struct testing *t, const char *name)
{
    for (int i = 0; i < t->plan->n_nodes; i++) {
        const struct plan_node *n = &t->plan->nodes[i];
        const char *target = n->kind == NODE_TO     ? n->to.topic
                             : n->kind == NODE_INTO ? n->into.name
                                                    : NULL;
        if (n->kind == NODE_AGGREGATE && n->name != NULL && strcmp(n->name, name) == 0)
            return n->id;
        for (int k = 0; target != NULL && strcmp(target, name) == 0 && k < n->n_inputs; k++) {
            if (n->inputs[k].port == OUT_LATE)
                return t->plan->nodes[n->inputs[k].node].id;
        }
    }
    return NULL;
}

static int test_late(lua_State *L)
{
    struct testing *t = test_observes(L);
    const char *name = luaL_checkstring(L, 2);
    const char *id = late_operator(t, name);
    struct value_object *params = object_new(t, 1);
    struct value want, p, rows = VALUE_OF_MISSING, row, raw, got;
    struct list list = {0};
    const char *diff;

    if (id == NULL)
        return luaL_error(L, "t:late: no window is named \"%s\" and no late() feeds it", name);
    take_list(L, t, 3, "t:late", &want);
    object_add(params, "op", value_text(bytes_str(id)));
    p = (struct value){.type = VALUE_OBJECT, .object = params};
    run_sql(L, t, BYTES_LIT("select value from _leat_late where op = :op order by n"), &p, &rows);
    for (size_t i = 0; i < value_count(&rows); i++) {
        if (value_element(&rows, (int64_t)i + 1, &t->arena, &row, NULL) != 0 ||
            value_member(&row, BYTES_LIT("value"), &t->arena, &raw, NULL) != 0 ||
            value_decode(FORMAT_JSON, raw.s, &t->arena, &got, NULL) != 0)
            got = VALUE_OF_NULL;
        list_add(t, &list, got);
    }
    got = list_value(&list);
    diff = test_diff(t, &want, &got, test_matches);
    if (diff != NULL)
        test_fails(L, t, arena_printf(&t->arena, "late records of \"%s\"", name), diff);
    return 0;
}

bool test_finds(lua_State *L, const char *word, const char *wanted, const char *text)
{
    struct pattern_match m;
    struct bytes source = bytes_str(wanted);
    struct err e = {0};
    int64_t steps = 1000000;
    int rc = pattern_compile(lua_newuserdatauv(L, pattern_size(source), 0), source, &e);

    if (rc == 0)
        rc = pattern_find(lua_touserdata(L, -1), bytes_str(text), 0, &steps, &m, &e);
    if (rc < 0)
        luaL_error(L, "%s: %s", word, e.text);
    return rc == 1;
}

// Asks for the stop and takes note of it. The argument is a Lua pattern, or nothing.
static int test_stopped(lua_State *L)
{
    struct testing *t = test_of(L);

    test_note(L, t, &(struct act){.kind = ACT_OBSERVE});
    if (!t->stopped)
        test_fails(L, t, "the job", "has not stopped");
    if (!lua_isnoneornil(L, 2) && !test_finds(L, "t:stopped", luaL_checkstring(L, 2), t->why))
        test_fails(L, t, "the job has stopped for another reason", t->why);
    t->stopped = false;
    return 0;
}

const luaL_Reg test_expectations[] = {
    {"expect", test_expect},   {"rows", test_rows},       {"query", test_query},
    {"parked", test_parked},   {"skipped", test_skipped}, {"late", test_late},
    {"stopped", test_stopped}, {NULL, NULL},
};
