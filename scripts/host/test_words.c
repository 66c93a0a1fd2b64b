// SPDX-License-Identifier: Apache-2.0
//
// The words of a test, over a driver (engine/driver.h): the real engine, operators and store, with
// topics in memory and a clock that only the test moves.
//
//   t:send(topic, value, {key, time, headers, partition})    one batch, run to the end
//   t:batch(function() … end)                                several in one
//   t:advance "5m"                                           moves the clock, fires what is due
//   t:expect(topic, {…})       order and count exact, fields partial; empties the capture
//   t:rows(sql, {…})           whole rows, as SQLite has them
//   t:query(name, params, {…}) columns partial
//   t:parked {…}  t:skipped(n)  t:late(name, {…})  t:stopped "pattern"
//   t:restart()
//
// The clock follows what is sent: `time` where it is given (it is the record's timestamp too), else
// the event time that the source's own time expression finds in the value; never back.
//
// A failure is written down with the test's line before it is raised, so it counts even if the test
// catches it. If the job stops and the test does not ask for that, the next word fails.
#include "runtime/base/datetime.h"
#include "runtime/engine/store.h"
#include "runtime/expr/expr.h"
#include "scripts/host/pattern.h"
#include "runtime/base/suggest.h"
#include "scripts/host/testing.h"
#include "scripts/host/values.h"

#define DAY_MS INT64_C(86400000)
#define HEADERS_MAX 64

static struct testing *to_test(lua_State *L)
{
    struct testing **t = lua_touserdata(L, 1);
    bool ours = false;

    if (lua_type(L, 1) == LUA_TUSERDATA && lua_getmetatable(L, 1)) {
        host_push_key(L, KEY_TEST_META);
        ours = lua_rawequal(L, -1, -2);
        lua_pop(L, 2);
    }
    if (!ours || *t == NULL)
        luaL_error(L, "write t: with a colon, inside its test");
    return *t;
}

_Noreturn static void fail_test(lua_State *L, struct testing *t, const char *what,
                                const char *difference)
{
    const char *file = host_of(L)->file;
    const char *text = arena_printf(&t->arena, "%s:%d: %s%s%s", file, host_line(L), what,
                                    difference[0] == '\n' ? ":" : ": ", difference);

    if (t->failure == NULL)
        t->failure = text;
    lua_pushstring(L, text);
    lua_error(L);
    UNREACHABLE("lua_error returned");
}

static void check_stopped(lua_State *L, struct testing *t)
{
    if (t->stopped)
        fail_test(L, t, "the job has stopped", t->why);
}

static void ran(struct testing *t, int rc, const struct err *e)
{
    if (rc == 0)
        return;
    t->stopped = true;
    (void)snprintf(t->why, sizeof(t->why), "%s", e->text[0] != 0 ? e->text : err_name(rc));
}

// --- send ---

// "12:00:10" on the clock's day, a full time as text, or milliseconds.
static int64_t take_time(lua_State *L, struct testing *t, int i)
{
    int64_t now = driver_now(t->driver), ms;
    const char *s, *full;

    if (lua_isinteger(L, i))
        return lua_tointeger(L, i);
    s = luaL_checkstring(L, i);
    if (datetime_parse(bytes_str(s), &ms) == 0)
        return ms;
    full = arena_printf(&t->arena, "1970-01-01T%s", s);
    if (datetime_parse(bytes_str(full), &ms) != 0)
        luaL_error(L, "time: \"%s\" is neither \"12:00:10\" nor a date and time", s);
    return now - now % DAY_MS + ms;
}

static const struct plan_node *source_of(const struct testing *t, const char *topic)
{
    for (int i = 0; i < t->plan->n_nodes; i++) {
        const struct plan_node *n = &t->plan->nodes[i];
        if (n->kind == NODE_SOURCE && strcmp(n->source.topic, topic) == 0)
            return n;
    }
    return NULL;
}

// The bytes of the value as the topic's source reads them.
static struct bytes encode_value(lua_State *L, struct testing *t, const struct plan_node *source,
                                 const struct value *v)
{
    enum format f = source != NULL ? source->source.format : FORMAT_JSON;
    struct buf out = BUF_EMPTY;
    struct bytes copy;
    struct err e = {0};
    int rc;

    if (v->type == VALUE_MISSING)
        return BYTES_NULL;
    if ((f == FORMAT_TEXT || f == FORMAT_BYTES) &&
        (v->type == VALUE_TEXT || v->type == VALUE_BYTES))
        return v->s;
    rc = f == FORMAT_MSGPACK ? value_write_msgpack(v, &out, &e) : value_write_json(v, &out, &e);
    copy = arena_copy(&t->arena, buf_bytes(&out));
    buf_deinit(&out);
    if (rc != 0)
        luaL_error(L, "t:send: %s", e.text);
    return copy;
}

// What the source's time expression gives for the value; -1 when it gives nothing.
static int64_t event_time(struct testing *t, const struct plan_node *source, struct bytes value)
{
    struct event ev = {.topic = bytes_str(source->source.topic)};
    struct expr_env env = {.event = &ev, .now = driver_now(t->driver), .arena = &t->arena};
    struct value v;
    int64_t ms = -1;

    if (!source->source.has_time || bytes_is_null(value) ||
        plan_source_scan(&source->source, source->fields, value, &t->arena, &ev.view, NULL) != 0 ||
        plan_expr_eval(&source->source.time, &env, NULL, &v, NULL) != 0)
        return -1;
    if (v.type == VALUE_INT)
        return v.i;
    if (v.type == VALUE_TEXT && datetime_parse(v.s, &ms) != 0)
        return -1;
    return ms;
}

static struct bytes take_key(lua_State *L, struct testing *t, int i)
{
    struct buf out = BUF_EMPTY;
    struct bytes copy;
    struct value v;
    struct err e = {0};
    int rc;

    value_take(L, i, &t->arena, &v);
    if (value_is_nil(&v))
        return BYTES_NULL;
    rc = value_key_bytes(&v, &out, &e);
    copy = arena_copy(&t->arena, buf_bytes(&out));
    buf_deinit(&out);
    if (rc != 0)
        luaL_error(L, "t:send: key: %s", e.text);
    return copy;
}

static size_t take_headers(lua_State *L, struct testing *t, int i, struct header *out)
{
    struct value v;

    value_take(L, i, &t->arena, &v);
    if (value_is_nil(&v))
        return 0;
    if (v.type != VALUE_OBJECT || v.object->n > HEADERS_MAX)
        luaL_error(L, "t:send: headers are names and texts");
    for (size_t k = 0; k < v.object->n; k++) {
        const struct value *x = &v.object->values[k];
        if (x->type != VALUE_TEXT && x->type != VALUE_BYTES && x->type != VALUE_NULL)
            luaL_error(L, "t:send: a header's value is a text");
        out[k].name = v.object->names[k];
        out[k].value = x->type == VALUE_NULL ? BYTES_NULL : x->s;
    }
    return v.object->n;
}

static void check_options(lua_State *L, int i)
{
    static const char *const known[] = {"key", "time", "headers", "partition"};

    if (lua_isnoneornil(L, i))
        return;
    luaL_checktype(L, i, LUA_TTABLE);
    lua_pushnil(L);
    while (lua_next(L, i) != 0) {
        struct suggestion s = {.name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "?"};
        bool found = false;
        for (size_t k = 0; k < ARRAY_LEN(known); k++) {
            found = found || strcmp(known[k], s.name) == 0;
            suggest(&s, known[k]);
        }
        if (!found)
            luaL_error(L, "unknown option '%s' of t:send%s", s.name, suggest_text(&s));
        lua_pop(L, 1);
    }
}

static int option(lua_State *L, int i, const char *name)
{
    if (lua_isnoneornil(L, i)) {
        lua_pushnil(L);
        return LUA_TNIL;
    }
    return lua_getfield(L, i, name);
}

static void run_driver(struct testing *t)
{
    struct err e = {0};

    if (!t->batching && !t->stopped)
        ran(t, driver_run(t->driver, &e), &e);
}

static int test_send(lua_State *L)
{
    struct testing *t = to_test(L);
    const char *topic = luaL_checkstring(L, 2);
    const struct plan_node *source = source_of(t, topic);
    struct header headers[HEADERS_MAX];
    struct driver_record r = {.headers = headers, .timestamp = -1};
    struct value v;
    struct err e = {0};
    int64_t follow;

    lua_settop(L, 4);
    check_options(L, 4);
    check_stopped(L, t);
    value_take(L, 3, &t->arena, &v);
    r.value = encode_value(L, t, source, &v);
    (void)option(L, 4, "key");
    r.key = take_key(L, t, lua_gettop(L));
    (void)option(L, 4, "headers");
    r.n_headers = take_headers(L, t, lua_gettop(L), headers);
    if (option(L, 4, "partition") != LUA_TNIL)
        r.partition = (int32_t)luaL_checkinteger(L, -1);
    if (r.partition < 0 || r.partition > 1000)
        return luaL_error(L, "t:send: partition: from 0 to 1000");
    if (option(L, 4, "time") != LUA_TNIL)
        follow = r.timestamp = take_time(L, t, lua_gettop(L));
    else
        follow = source != NULL ? event_time(t, source, r.value) : -1;
    driver_set_now(t->driver, follow);
    if (driver_send(t->driver, topic, &r, &e) != 0)
        return luaL_error(L, "t:send: %s", e.text);
    run_driver(t);
    return 0;
}

static int test_batch(lua_State *L)
{
    struct testing *t = to_test(L);
    struct err e = {0};

    luaL_checktype(L, 2, LUA_TFUNCTION);
    check_stopped(L, t);
    if (t->batching)
        return luaL_error(L, "t:batch inside t:batch");
    t->batching = true;
    driver_batch_begin(t->driver);
    lua_settop(L, 2);
    lua_call(L, 0, 0); // if it raises, the test is over and so is its driver
    t->batching = false;
    if (driver_batch_end(t->driver, &e) != 0)
        return luaL_error(L, "t:batch: %s", e.text);
    run_driver(t);
    return 0;
}

static int test_advance(lua_State *L)
{
    struct testing *t = to_test(L);
    struct err e = {0};
    int64_t ms;

    if (lua_isinteger(L, 2))
        ms = lua_tointeger(L, 2);
    else if (luaL_checkstring(L, 2), duration_parse(lua_bytes(L, 2), &ms) != 0)
        return luaL_error(L, "t:advance: \"%s\" is not a duration", lua_tostring(L, 2));
    if (ms < 0)
        return luaL_error(L, "t:advance: the clock does not go back");
    check_stopped(L, t);
    ran(t, driver_advance(t->driver, ms, &e), &e);
    return 0;
}

static int test_restart(lua_State *L)
{
    struct testing *t = to_test(L);
    struct err e = {0};

    ran(t, driver_restart(t->driver, &e), &e);
    run_driver(t);
    return 0;
}

// --- expectations ---

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

// The published record as one object: its fields, and $key and $header.x beside them.
static struct value record_value(struct testing *t, const struct batch_record *r)
{
    struct value root = VALUE_OF_NULL, x;
    struct header *headers = NULL;
    struct value_object *o;
    struct value_iter it;
    struct bytes name, raw = arena_copy(&t->arena, r->value);

    if (!bytes_is_null(r->value) && value_decode(FORMAT_JSON, raw, &t->arena, &root, NULL) != 0)
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

static int test_expect(lua_State *L)
{
    struct testing *t = to_test(L);
    const char *topic = luaL_checkstring(L, 2);
    const struct batch_record *records;
    struct list got = {0};
    struct value want, have;
    const char *diff;
    size_t n;

    check_stopped(L, t);
    take_list(L, t, 3, "t:expect", &want);
    n = driver_take(t->driver, topic, &records);
    for (size_t i = 0; i < n; i++)
        list_add(t, &got, record_value(t, &records[i]));
    have = list_value(&got);
    diff = test_diff(t, &want, &have, test_matches);
    if (diff != NULL)
        fail_test(L, t, arena_printf(&t->arena, "records of \"%s\"", topic), diff);
    return 0;
}

static void run_sql(lua_State *L, struct testing *t, struct bytes sql, const struct value *params,
                    struct value *rows)
{
    struct tables *tables = driver_store(t->driver)->tables;
    struct err e = {0};

    if (tables->ops->sql(tables, sql, params, &t->arena, rows, &e) != 0)
        fail_test(L, t, "sql", e.text);
}

static int test_rows(lua_State *L)
{
    struct testing *t = to_test(L);
    struct value want, got = VALUE_OF_MISSING;
    const char *diff;

    (void)luaL_checkstring(L, 2);
    check_stopped(L, t);
    take_list(L, t, 3, "t:rows", &want);
    run_sql(L, t, lua_bytes(L, 2), NULL, &got);
    diff = test_diff(t, &want, &got, test_row_equals);
    if (diff != NULL)
        fail_test(L, t, "rows", diff);
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
    struct testing *t = to_test(L);
    const struct plan_query *q = find_query(L, t, luaL_checkstring(L, 2));
    struct value given = VALUE_OF_MISSING, params, want, got = VALUE_OF_MISSING;
    const char *diff;

    check_stopped(L, t);
    if (!lua_isnoneornil(L, 3))
        value_take(L, 3, &t->arena, &given);
    take_list(L, t, 4, "t:query", &want);
    params = query_params(L, t, q, &given);
    run_sql(L, t, bytes_str(q->sql), &params, &got);
    diff = test_diff(t, &want, &got, test_matches);
    if (diff != NULL)
        fail_test(L, t, arena_printf(&t->arena, "query \"%s\"", q->name), diff);
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

    object_add(o, "key", text_or_null(t, r->record_key));
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
    struct testing *t = to_test(L);
    struct parked_scan x = {.t = t};
    struct store *s = driver_store(t->driver);
    struct value want, got;
    struct err e = {0};
    const char *diff;

    check_stopped(L, t);
    take_list(L, t, 2, "t:parked", &want);
    if (s->ops->park_scan(s, NULL, NULL, parked_each, &x, &e) != 0)
        fail_test(L, t, "parked records", e.text);
    got = list_value(&x.list);
    diff = test_diff(t, &want, &got, test_matches);
    if (diff != NULL)
        fail_test(L, t, "parked records", diff);
    return 0;
}

static int test_skipped(lua_State *L)
{
    struct testing *t = to_test(L);
    lua_Integer want = luaL_checkinteger(L, 2);
    struct job_status s;

    check_stopped(L, t);
    job_status(driver_job(t->driver), &s);
    if (s.skipped != want)
        fail_test(L, t, "skipped records",
                  arena_printf(&t->arena, "expected %lld, got %lld", (long long)want,
                               (long long)s.skipped));
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
    struct testing *t = to_test(L);
    const char *name = luaL_checkstring(L, 2);
    const char *id = late_operator(t, name);
    struct value_object *params = object_new(t, 1);
    struct value want, p, rows = VALUE_OF_MISSING, row, raw, got;
    struct list list = {0};
    const char *diff;

    check_stopped(L, t);
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
        fail_test(L, t, arena_printf(&t->arena, "late records of \"%s\"", name), diff);
    return 0;
}

// Asks for the stop and takes note of it. The argument is a Lua pattern, or nothing.
static int test_stopped(lua_State *L)
{
    struct testing *t = to_test(L);
    struct pattern_match m;
    struct bytes text;
    struct err e = {0};
    int64_t steps = 1000000;
    int rc = 1;

    if (!t->stopped)
        fail_test(L, t, "the job", "has not stopped");
    if (!lua_isnoneornil(L, 2)) {
        (void)luaL_checkstring(L, 2);
        text = lua_bytes(L, 2);
        rc = pattern_compile(lua_newuserdatauv(L, pattern_size(text), 0), text, &e);
        if (rc == 0)
            rc = pattern_find(lua_touserdata(L, -1), bytes_str(t->why), 0, &steps, &m, &e);
    }
    if (rc < 0)
        return luaL_error(L, "t:stopped: %s", e.text);
    if (rc == 0)
        fail_test(L, t, "the job has stopped for another reason", t->why);
    t->stopped = false;
    return 0;
}

static int test_later(lua_State *L)
{
    return luaL_error(L, "t:upgrade is not supported by this version");
}

static const luaL_Reg test_methods[] = {
    {"send", test_send},
    {"batch", test_batch},
    {"advance", test_advance},
    {"expect", test_expect},
    {"rows", test_rows},
    {"query", test_query},
    {"parked", test_parked},
    {"skipped", test_skipped},
    {"late", test_late},
    {"stopped", test_stopped},
    {"restart", test_restart},
    {"upgrade", test_later},
    {NULL, NULL},
};

static int test_unknown(lua_State *L)
{
    struct suggestion s = {.name = luaL_checkstring(L, 2)};

    for (int i = 0; test_methods[i].name != NULL; i++)
        suggest(&s, test_methods[i].name);
    return luaL_error(L, "t has no '%s'%s", s.name, suggest_text(&s));
}

void test_words_open(lua_State *L)
{
    lua_newtable(L); // metatable of t
    lua_newtable(L); // its methods
    luaL_setfuncs(L, test_methods, 0);
    lua_newtable(L);
    lua_pushcfunction(L, test_unknown);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, -2);
    lua_setfield(L, -2, "__index");
    lua_pushboolean(L, false);
    lua_setfield(L, -2, "__metatable");
    host_set_key(L, KEY_TEST_META);
}

void test_words_push(lua_State *L, struct testing *t)
{
    *(struct testing **)lua_newuserdatauv(L, sizeof(t), 0) = t;
    host_push_key(L, KEY_TEST_META);
    lua_setmetatable(L, -2);
}
