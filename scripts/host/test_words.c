// SPDX-License-Identifier: Apache-2.0
//
// The words of a test, over a driver (engine/driver.h): the real engine, operators and store, with
// topics in memory and a clock that only the test moves.
//
//   t:send(topic, value, {key, time, headers, partition})    one batch, run to the end
//   t:batch(function() … end)                                several in one
//   t:advance "5m"                                           moves the clock, fires what is due
//   t:restart()  t:upgrade "other.lua"
//
// and those of test_expect.c. What a word does is an act (engine/acts.h): it is noted and done, so
// that the same can be done again.
//
// The clock follows what is sent: `time` where it is given (it is the record's timestamp too), else
// the event time that the source's own time expression finds in the value; never back.
//
// A failure is written down with the test's line before it is raised, so it counts even if the test
// catches it. If the job stops and the test does not ask for that, the next word fails.
#include "runtime/base/datetime.h"
#include "runtime/base/suggest.h"
#include "runtime/engine/row_record.h"
#include "runtime/expr/expr.h"
#include "scripts/host/testing.h"
#include "scripts/host/values.h"

#define DAY_MS INT64_C(86400000)
#define HEADERS_MAX 64

struct testing *test_of(lua_State *L)
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

_Noreturn void test_fails(lua_State *L, struct testing *t, const char *what,
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

void test_runs(lua_State *L, struct testing *t)
{
    if (t->stopped)
        test_fails(L, t, "the job has stopped", t->why);
}

void test_note(lua_State *L, struct testing *t, struct act *a)
{
    a->line = host_line(L);
    acts_add(&t->acts, a);
}

void test_perform(lua_State *L, struct testing *t, struct act *a)
{
    struct err e = {0};
    int rc;

    test_note(L, t, a);
    rc = act_do(t->driver, a, &e);
    if (rc == 0)
        return;
    t->stopped = true;
    (void)snprintf(t->why, sizeof(t->why), "%s", e.text[0] != 0 ? e.text : err_name(rc));
}

static void perform_kind(lua_State *L, struct testing *t, enum act_kind kind)
{
    test_perform(L, t, &(struct act){.kind = kind});
}

// --- send ---

// "12:00:10" on the clock's day, a full time as text, or milliseconds.
static int64_t take_time(lua_State *L, struct testing *t, int i)
{
    int64_t now = driver_now(t->driver), ms;
    const char *s, *full;

    if (lua_isinteger(L, i)) {
        ms = lua_tointeger(L, i);
        if (ms < DATETIME_MIN || ms > DATETIME_MAX)
            luaL_error(L, "time: %I is outside of the years 1 to 9999", (LUAI_UACINT)ms);
        return ms;
    }
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

// A record that nobody reads would make any test pass that looks for what must not happen.
static void must_be_read(lua_State *L, const struct testing *t, const char *topic)
{
    struct suggestion s = {.name = topic};

    if (source_of(t, topic) != NULL)
        return;
    for (int i = 0; i < t->plan->n_nodes; i++)
        if (t->plan->nodes[i].kind == NODE_SOURCE)
            suggest(&s, t->plan->nodes[i].source.topic);
    luaL_error(L, "t:send: the job does not read \"%s\"%s", topic, suggest_text(&s));
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
        ms = v.i;
    else if (v.type == VALUE_TEXT && datetime_parse(v.s, &ms) != 0)
        return -1;
    return ms <= DATETIME_MAX ? ms : -1; // the record will say that this is no time
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

void test_options(lua_State *L, int i, const char *word, const char *const *known, size_t n)
{
    luaL_checktype(L, i, LUA_TTABLE);
    lua_pushnil(L);
    while (lua_next(L, i) != 0) {
        struct suggestion s = {.name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "?"};
        bool found = false;
        for (size_t k = 0; k < n; k++) {
            found = found || strcmp(known[k], s.name) == 0;
            suggest(&s, known[k]);
        }
        if (!found)
            luaL_error(L, "unknown option '%s' of %s%s", s.name, word, suggest_text(&s));
        lua_pop(L, 1);
    }
}

static void check_options(lua_State *L, int i)
{
    static const char *const known[] = {"key", "time", "headers", "partition"};

    if (!lua_isnoneornil(L, i))
        test_options(L, i, "t:send", known, ARRAY_LEN(known));
}

static int option(lua_State *L, int i, const char *name)
{
    if (lua_isnoneornil(L, i)) {
        lua_pushnil(L);
        return LUA_TNIL;
    }
    return lua_getfield(L, i, name);
}

// A row of an outbox becomes what the real source makes of it: key and headers come from it.
static void take_row(lua_State *L, struct testing *t, const struct value *v,
                     struct driver_record *r)
{
    struct row_record row;

    if (v->type != VALUE_OBJECT)
        luaL_error(L, "t:send: an outbox takes a row: a table of its columns");
    if (option(L, 4, "key") != LUA_TNIL || option(L, 4, "headers") != LUA_TNIL ||
        option(L, 4, "partition") != LUA_TNIL)
        luaL_error(L, "t:send: the key and the headers of an outbox come from its row");
    row_record_make(v, &t->arena, &row);
    r->key = row.key;
    r->value = row.value;
    r->headers = row.headers;
    r->n_headers = row.n_headers;
}

static void take_record(lua_State *L, struct testing *t, const struct plan_node *source,
                        const struct value *v, struct driver_record *r)
{
    struct header *headers = arena_alloc(&t->arena, HEADERS_MAX * sizeof(*headers));

    r->value = encode_value(L, t, source, v);
    (void)option(L, 4, "key");
    r->key = take_key(L, t, lua_gettop(L));
    (void)option(L, 4, "headers");
    r->headers = headers;
    r->n_headers = take_headers(L, t, lua_gettop(L), headers);
    if (option(L, 4, "partition") != LUA_TNIL)
        r->partition = (int32_t)luaL_checkinteger(L, -1);
    if (r->partition < 0 || r->partition > 1000)
        luaL_error(L, "t:send: partition: from 0 to 1000");
}

// The clock goes to the time given, else to the event's, and never back. A record without a time of
// its own has the clock's, which is written into it: sent again, it is the same.
static void take_times(lua_State *L, struct testing *t, const struct plan_node *source,
                       struct act *act)
{
    int64_t now = driver_now(t->driver);

    act->record.timestamp = -1;
    if (option(L, 4, "time") != LUA_TNIL)
        act->ms = act->record.timestamp = take_time(L, t, lua_gettop(L));
    else
        act->ms = source != NULL ? event_time(t, source, act->record.value) : -1;
    if (act->ms < now)
        act->ms = now;
    if (act->record.timestamp < 0)
        act->record.timestamp = act->ms;
}

void test_not_in_batch(lua_State *L, const struct testing *t, const char *word)
{
    if (t->batching)
        luaL_error(L, "%s inside t:batch", word);
}

static int test_send(lua_State *L)
{
    struct testing *t = test_of(L);
    const char *topic = luaL_checkstring(L, 2);
    const struct plan_node *source = source_of(t, topic);
    struct act act = {.kind = ACT_SEND, .quiet = t->batching};
    struct value v;

    lua_settop(L, 4);
    check_options(L, 4);
    test_runs(L, t);
    must_be_read(L, t, topic);
    act.topic = arena_strdup(&t->arena, topic);
    value_take(L, 3, &t->arena, &v);
    if (source != NULL && source->source.outbox.path != NULL)
        take_row(L, t, &v, &act.record);
    else
        take_record(L, t, source, &v, &act.record);
    take_times(L, t, source, &act);
    test_perform(L, t, &act);
    return 0;
}

static int test_batch(lua_State *L)
{
    struct testing *t = test_of(L);

    luaL_checktype(L, 2, LUA_TFUNCTION);
    test_runs(L, t);
    if (t->batching)
        return luaL_error(L, "t:batch inside t:batch");
    t->batching = true;
    perform_kind(L, t, ACT_BATCH_BEGIN);
    lua_settop(L, 2);
    lua_call(L, 0, 0); // if it raises, the test is over and so is its driver
    t->batching = false;
    perform_kind(L, t, ACT_BATCH_END);
    perform_kind(L, t, ACT_RUN);
    return 0;
}

static int test_advance(lua_State *L)
{
    struct testing *t = test_of(L);
    struct act act = {.kind = ACT_ADVANCE};

    if (lua_isinteger(L, 2))
        act.ms = lua_tointeger(L, 2);
    else if (luaL_checkstring(L, 2), duration_parse(lua_bytes(L, 2), &act.ms) != 0)
        return luaL_error(L, "t:advance: \"%s\" is not a duration", lua_tostring(L, 2));
    if (act.ms < 0)
        return luaL_error(L, "t:advance: the clock does not go back");
    test_not_in_batch(L, t, "t:advance");
    test_runs(L, t);
    test_perform(L, t, &act);
    return 0;
}

static int test_restart(lua_State *L)
{
    struct testing *t = test_of(L);

    test_not_in_batch(L, t, "t:restart");
    perform_kind(L, t, ACT_RESTART);
    return 0;
}

static const luaL_Reg test_methods[] = {
    {"send", test_send},       {"batch", test_batch},   {"advance", test_advance},
    {"restart", test_restart}, {"upgrade", test_upgrade}, {NULL, NULL},
};

static int test_unknown(lua_State *L)
{
    struct suggestion s = {.name = luaL_checkstring(L, 2)};

    for (int i = 0; test_methods[i].name != NULL; i++)
        suggest(&s, test_methods[i].name);
    for (int i = 0; test_expectations[i].name != NULL; i++)
        suggest(&s, test_expectations[i].name);
    return luaL_error(L, "t has no '%s'%s", s.name, suggest_text(&s));
}

void test_words_open(lua_State *L)
{
    lua_newtable(L); // metatable of t
    lua_newtable(L); // its methods
    luaL_setfuncs(L, test_methods, 0);
    luaL_setfuncs(L, test_expectations, 0);
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
