// SPDX-License-Identifier: Apache-2.0
//
// ctx and ctx.db as a function sees them:
//
//   ctx.key .time .now .topic .partition .offset .headers      the record
//   ctx:emit(value, {key = …})                                 one more result, in order
//   ctx:retry "why"                                            class missing: tried again later
//   ctx.state  ctx:timer(name, at)  ctx:cancel(name)           in :process: what the key keeps
//   ctx.db.orders:get(key) :insert{…} :put{…} :patch(key, {…}) :add(key, {…}) :delete(key)
//   ctx.db:sql("select …", {…})
//
// ctx is one userdata per state; what it answers comes from host.call, which is set while a
// function runs. ctx.db.orders is a userdata with the table's index, made when first asked for.
#include "scripts/host/context.h"

#include "runtime/engine/fn.h"
#include "runtime/engine/plan.h"
#include "runtime/base/suggest.h"
#include "scripts/host/values.h"

#define EMITS_MAX 100000

static struct fn_call *current_call(lua_State *L)
{
    struct fn_call *c = host_of(L)->call;

    if (c == NULL)
        luaL_error(L, "ctx is only there while a function handles a record");
    return c;
}

static void push_headers(lua_State *L, const struct event *ev)
{
    lua_newtable(L);
    for (size_t i = 0; i < ev->n_headers; i++) {
        const struct header *h = &ev->headers[i];
        lua_pushlstring(L, (const char *)h->name.p, h->name.n);
        if (bytes_is_null(h->value))
            lua_pushlightuserdata(L, value_null());
        else
            lua_pushlstring(L, (const char *)h->value.p, h->value.n);
        lua_rawset(L, -3);
    }
}

enum ctx_field {
    CTX_KEY = 1,
    CTX_TIME,
    CTX_NOW,
    CTX_TOPIC,
    CTX_PARTITION,
    CTX_OFFSET,
    CTX_HEADERS,
    CTX_DB,
    CTX_EMIT,
    CTX_RETRY,
    CTX_STATE,
    CTX_TIMER,
    CTX_CANCEL,
};

static const struct {
    const char *name;
    enum ctx_field field;
} ctx_fields[] = {
    {"key", CTX_KEY},
    {"time", CTX_TIME},
    {"now", CTX_NOW},
    {"topic", CTX_TOPIC},
    {"partition", CTX_PARTITION},
    {"offset", CTX_OFFSET},
    {"headers", CTX_HEADERS},
    {"db", CTX_DB},
    {"emit", CTX_EMIT},
    {"retry", CTX_RETRY},
    {"state", CTX_STATE},
    {"timer", CTX_TIMER},
    {"cancel", CTX_CANCEL},
};

static int ctx_unknown(lua_State *L)
{
    struct suggestion s = {.name = luaL_checkstring(L, 2)};

    for (size_t i = 0; i < ARRAY_LEN(ctx_fields); i++)
        suggest(&s, ctx_fields[i].name);
    return luaL_error(L, "ctx has no '%s'%s", s.name, suggest_text(&s));
}

static int ctx_retry(lua_State *L)
{
    (void)current_call(L);
    host_raise_class(L, LEAT_EMISSING, "%s", luaL_optstring(L, 2, "retry"));
}

static int ctx_emit(lua_State *L)
{
    struct host *h = host_of(L);
    struct fn_call *c = current_call(L);
    struct fn_emit x = {.key = VALUE_OF_MISSING};
    struct fn_emit *grown;

    luaL_argcheck(L, !lua_isnoneornil(L, 2), 2, "a value to emit");
    value_take(L, 2, c->arena, &x.value);
    if (!lua_isnoneornil(L, 3)) {
        luaL_checktype(L, 3, LUA_TTABLE);
        lua_getfield(L, 3, "key");
        value_take(L, -1, c->arena, &x.key);
    }
    if (h->n_emits == EMITS_MAX)
        host_raise_fatal(L, LEAT_EBUDGET, "one record emits more than %d others", EMITS_MAX);
    if (h->n_emits == h->cap_emits) {
        h->cap_emits = h->cap_emits > 0 ? h->cap_emits * 2 : 8;
        grown = arena_alloc(c->arena, h->cap_emits * sizeof(*grown));
        if (h->n_emits > 0)
            memcpy(grown, h->emits, h->n_emits * sizeof(*grown));
        h->emits = grown;
    }
    h->emits[h->n_emits++] = x;
    return 0;
}

// --- of :process ---

#define TIMER_REQUESTS_MAX 10000
#define USER_DB 1    // user values of ctx
#define USER_STATE 2 // ctx.state of this call, once it was looked at

static struct fn_keyed *current_keyed(lua_State *L, const char *what)
{
    struct fn_call *c = current_call(L);

    if (c->keyed == NULL)
        luaL_error(L, "ctx%s is only there in :process", what);
    return c->keyed;
}

// The same table for the whole call; it is read back when the function has returned.
static void push_state(lua_State *L, struct fn_call *c)
{
    struct fn_keyed *k = current_keyed(L, ".state");

    if (!k->used) {
        value_push_copy(L, &k->state, c->arena);
        (void)lua_setiuservalue(L, 1, USER_STATE);
        k->used = true;
    }
    (void)lua_getiuservalue(L, 1, USER_STATE);
}

void context_take_state(lua_State *L, struct fn_call *c)
{
    if (!c->keyed->used)
        return;
    host_push_key(L, KEY_CTX);
    (void)lua_getiuservalue(L, -1, USER_STATE);
    value_take(L, -1, c->arena, &c->keyed->state);
    lua_pushnil(L);
    (void)lua_setiuservalue(L, -3, USER_STATE);
    lua_pop(L, 2);
}

static int add_timer(lua_State *L, struct fn_keyed *k, struct fn_timer t)
{
    struct fn_call *c = current_call(L);
    struct fn_timer *grown;
    size_t n = k->n_timers;

    host_check_results(L);
    if (n == TIMER_REQUESTS_MAX)
        host_raise_fatal(L, LEAT_EBUDGET, "one call sets more than %d timers", TIMER_REQUESTS_MAX);
    luaL_argcheck(L, t.name.n > 0 && t.name.n <= 255, 2, "a name of 1 to 255 bytes");
    t.name = arena_copy(c->arena, t.name);
    if ((n & (n - 1)) == 0) { // 0, 1, 2, 4, ...: full
        grown = arena_alloc(c->arena, (n > 0 ? 2 * n : 1) * sizeof(*grown));
        if (n > 0)
            memcpy(grown, k->timers, n * sizeof(*grown));
        k->timers = grown;
    }
    k->timers[k->n_timers++] = t;
    return 0;
}

static int ctx_timer(lua_State *L)
{
    struct fn_keyed *k = current_keyed(L, ":timer");

    (void)luaL_checkstring(L, 2);
    return add_timer(L, k,
                     (struct fn_timer){.name = lua_bytes(L, 2), .at = luaL_checkinteger(L, 3)});
}

static int ctx_cancel(lua_State *L)
{
    struct fn_keyed *k = current_keyed(L, ":cancel");

    (void)luaL_checkstring(L, 2);
    return add_timer(L, k, (struct fn_timer){.name = lua_bytes(L, 2), .cancel = true});
}

static void push_position(lua_State *L, const struct event *ev, enum ctx_field f)
{
    if (ev->offset < 0) // born in the job
        lua_pushnil(L);
    else if (f == CTX_TOPIC)
        lua_pushlstring(L, (const char *)ev->topic.p, ev->topic.n);
    else
        lua_pushinteger(L, f == CTX_PARTITION ? ev->partition : ev->offset);
}

static int push_field(lua_State *L, enum ctx_field f)
{
    struct fn_call *c = current_call(L);
    struct event *ev = c->event;

    switch (f) {
    case CTX_KEY:
        value_push(L, &ev->key, c->arena);
        return 1;
    case CTX_TIME:
        lua_pushinteger(L, ev->time);
        return 1;
    case CTX_NOW:
        lua_pushinteger(L, c->now);
        return 1;
    case CTX_TOPIC:
    case CTX_PARTITION:
    case CTX_OFFSET:
        push_position(L, ev, f);
        return 1;
    case CTX_HEADERS:
        push_headers(L, ev);
        return 1;
    case CTX_DB:
        if (c->tables == NULL)
            return luaL_error(L, "ctx.db is not available here: only in :map and :match");
        return lua_getiuservalue(L, 1, USER_DB), 1;
    case CTX_EMIT:
        lua_pushcfunction(L, ctx_emit);
        return 1;
    case CTX_RETRY:
        lua_pushcfunction(L, ctx_retry);
        return 1;
    case CTX_STATE:
        push_state(L, c);
        return 1;
    case CTX_TIMER:
        lua_pushcfunction(L, ctx_timer);
        return 1;
    case CTX_CANCEL:
        lua_pushcfunction(L, ctx_cancel);
        return 1;
    }
    return ctx_unknown(L);
}

// Upvalue 1: name -> ctx_field.
static int ctx_index(lua_State *L)
{
    lua_pushvalue(L, 2);
    lua_rawget(L, lua_upvalueindex(1));
    return push_field(L, (enum ctx_field)lua_tointeger(L, -1));
}

static int ctx_newindex(lua_State *L)
{
    if (lua_type(L, 2) == LUA_TSTRING && strcmp(lua_tostring(L, 2), "state") == 0) {
        current_keyed(L, ".state")->used = true;
        lua_settop(L, 3);
        (void)lua_setiuservalue(L, 1, USER_STATE);
        return 0;
    }
    return luaL_error(L, "ctx.%s cannot be assigned",
                      lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "?");
}

// --- ctx.db ---

static int table_index_of(lua_State *L)
{
    const int *p = luaL_checkudata(L, 1, "leat.table");

    return *p;
}

static int verb_get(lua_State *L)
{
    actions_get(L, table_index_of(L));
    return 1;
}

static int verb_insert(lua_State *L)
{
    actions_run(L, table_index_of(L), VERB_INSERT);
    return 0;
}

static int verb_put(lua_State *L)
{
    actions_run(L, table_index_of(L), VERB_PUT);
    return 0;
}

static int verb_patch(lua_State *L)
{
    actions_run(L, table_index_of(L), VERB_PATCH);
    return 0;
}

static int verb_add(lua_State *L)
{
    actions_run(L, table_index_of(L), VERB_ADD);
    return 0;
}

static int verb_delete(lua_State *L)
{
    actions_run(L, table_index_of(L), VERB_DELETE);
    return 0;
}

static const luaL_Reg verbs[] = {
    {"get", verb_get}, {"insert", verb_insert}, {"put", verb_put}, {"patch", verb_patch},
    {"add", verb_add}, {"delete", verb_delete}, {NULL, NULL},
};

static int verb_unknown(lua_State *L)
{
    struct suggestion s = {.name = luaL_checkstring(L, 2)};
    int table = table_index_of(L);

    for (int i = 0; verbs[i].name != NULL; i++)
        suggest(&s, verbs[i].name);
    return luaL_error(L, "ctx.db.%s has no '%s'%s", host_of(L)->plan->tables[table].name, s.name,
                      suggest_text(&s));
}

static int db_sql(lua_State *L)
{
    actions_sql(L);
    return 1;
}

static int db_unknown(lua_State *L, const char *name)
{
    const struct plan *p = host_of(L)->plan;
    struct suggestion s = {.name = name};

    for (int i = 0; i < p->n_tables; i++)
        suggest(&s, p->tables[i].name);
    return luaL_error(L, "unknown table '%s' in ctx.db%s", name, suggest_text(&s));
}

// Upvalue 1: cache of handles by name.
static int db_index(lua_State *L)
{
    const char *name = luaL_checkstring(L, 2);
    const struct plan *p = host_of(L)->plan;
    int table;

    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL)
        return 1;
    table = p != NULL ? plan_table_find(p, name) : -1;
    if (table < 0)
        return p != NULL ? db_unknown(L, name) : luaL_error(L, "there are no tables here");
    *(int *)lua_newuserdatauv(L, sizeof(int), 0) = table;
    luaL_setmetatable(L, "leat.table");
    lua_pushvalue(L, 2);
    lua_pushvalue(L, -2);
    lua_rawset(L, lua_upvalueindex(1));
    return 1;
}

static void open_db(lua_State *L)
{
    (void)luaL_newmetatable(L, "leat.table");
    lua_newtable(L);
    luaL_setfuncs(L, verbs, 0);
    lua_newtable(L);
    lua_pushcfunction(L, verb_unknown);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, -2);
    lua_setfield(L, -2, "__index");
    lua_pushboolean(L, false);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);

    (void)lua_newuserdatauv(L, 0, 0); // [db]
    lua_newtable(L);                  // its metatable
    lua_newtable(L);                  // cache of handles
    lua_pushcfunction(L, db_sql);
    lua_setfield(L, -2, "sql");
    lua_pushcclosure(L, db_index, 1);
    lua_setfield(L, -2, "__index");
    lua_pushboolean(L, false);
    lua_setfield(L, -2, "__metatable");
    lua_setmetatable(L, -2);
}

void context_open(lua_State *L)
{
    (void)lua_newuserdatauv(L, 0, USER_STATE); // [ctx]
    lua_newtable(L);                  // [ctx, meta]
    lua_newtable(L);                  // names
    for (size_t i = 0; i < ARRAY_LEN(ctx_fields); i++) {
        lua_pushinteger(L, ctx_fields[i].field);
        lua_setfield(L, -2, ctx_fields[i].name);
    }
    lua_pushcclosure(L, ctx_index, 1);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, ctx_newindex);
    lua_setfield(L, -2, "__newindex");
    lua_pushboolean(L, false);
    lua_setfield(L, -2, "__metatable");
    lua_setmetatable(L, -2);
    open_db(L); // [ctx, db]
    (void)lua_setiuservalue(L, -2, USER_DB);
    host_set_key(L, KEY_CTX);
}
