// SPDX-License-Identifier: Apache-2.0
//
// What a function does, as bytes: its code and constants, and everything that it reads from
// outside, followed through variables, tables, metatables and other functions of the job. Comments,
// lines and the names of variables are not in it.
//
// Each table and function is described once and has a number from then on, so that what refers to
// itself ends. What is not of the job (the library, the words of a job file) is known by its name
// alone: another version of them is the same word.
//
// The stack while describing: [the function, seen = object -> number, names = object -> name].
#include "scripts/host/script_host.h"

#include "scripts/host/bytecode.h"

#define DEPTH_MAX 150 // as deep as freezing goes

enum { SLOT_SEEN = 2, SLOT_NAMES = 3 };

struct description {
    lua_State *L;
    struct buf *out;
    lua_Integer n; // objects so far
    bool names_db; // a function does
};

static void describe_value(struct description *d, int i, int depth);

static void describe_text(struct description *d, int i)
{
    struct bytes s = lua_bytes(d->L, i);

    buf_printf(d->out, "%zu:", s.n);
    buf_append_bytes(d->out, s);
}

static void describe_contents(struct description *d, int i, int depth)
{
    lua_State *L = d->L;
    int keys;

    lib_ordered_keys(L, i); // [keys]
    keys = lua_gettop(L);
    for (lua_Integer k = 1; lua_rawgeti(L, keys, k) != LUA_TNIL; k++) { // [keys, key]
        describe_value(d, lua_gettop(L), depth);
        (void)lua_rawget(L, i); // [keys, value]
        describe_value(d, lua_gettop(L), depth);
        lua_pop(L, 1);
    }
    lua_settop(L, keys - 1);
}

// A table with a protected metatable that is no frozen one is a handle of ours.
static bool is_handle(lua_State *L, int i)
{
    if (freeze_is_frozen(L, i) || luaL_getmetafield(L, i, "__metatable") == LUA_TNIL)
        return false;
    lua_pop(L, 1);
    return true;
}

static void describe_table(struct description *d, int i, int depth)
{
    lua_State *L = d->L;

    if (is_handle(L, i)) {
        buf_append_str(d->out, "handle");
        return;
    }
    lua_pushvalue(L, i);
    i = lua_gettop(L);
    freeze_see_through(L, i);
    buf_append_byte(d->out, '{');
    describe_contents(d, i, depth);
    if (lua_getmetatable(L, i)) {
        buf_append_str(d->out, "meta");
        describe_value(d, lua_gettop(L), depth);
    }
    buf_append_byte(d->out, '}');
    lua_settop(L, i - 1);
}

static void describe_function(struct description *d, int i, int depth)
{
    lua_State *L = d->L;
    struct err e = {0};

    buf_append_str(d->out, "function(");
    if (bytecode_describe(L, i, d->out, &d->names_db, &e) != 0)
        luaL_error(L, "%s", e.text);
    for (int n = 1; lua_getupvalue(L, i, n) != NULL; n++) {
        describe_value(d, lua_gettop(L), depth);
        lua_pop(L, 1);
    }
    buf_append_byte(d->out, ')');
}

static bool is_of_job(lua_State *L, int i)
{
    lua_Debug ar;

    if (lua_type(L, i) == LUA_TTABLE)
        return true;
    if (lua_iscfunction(L, i))
        return false;
    lua_pushvalue(L, i);
    lua_getinfo(L, ">S", &ar);
    return ar.source[0] == '@';
}

// Tables and functions: by name, by number, or whole.
static void describe_object(struct description *d, int i, int depth)
{
    lua_State *L = d->L;

    lua_pushvalue(L, i);
    if (lua_rawget(L, SLOT_NAMES) != LUA_TNIL) {
        buf_append_str(d->out, "word ");
        describe_text(d, -1);
        lua_pop(L, 1);
        return;
    }
    lua_pushvalue(L, i);
    if (lua_rawget(L, SLOT_SEEN) != LUA_TNIL) {
        buf_printf(d->out, "#%lld", (long long)lua_tointeger(L, -1));
        lua_pop(L, 2);
        return;
    }
    lua_pop(L, 2);
    lua_pushvalue(L, i);
    lua_pushinteger(L, ++d->n);
    lua_rawset(L, SLOT_SEEN);
    if (!is_of_job(L, i))
        buf_append_str(d->out, "library");
    else if (lua_type(L, i) == LUA_TTABLE)
        describe_table(d, i, depth);
    else
        describe_function(d, i, depth);
}

static void describe_value(struct description *d, int i, int depth)
{
    lua_State *L = d->L;
    int type = lua_type(L, i);

    luaL_checkstack(L, 12, "too deep");
    if (depth > DEPTH_MAX)
        luaL_error(L, "what the function uses is nested too deep");
    if (lua_isinteger(L, i))
        type = LUA_NUMTYPES; // 1 and 1.0 are two constants
    buf_printf(d->out, "\n%d ", type);
    if (type == LUA_TTABLE || type == LUA_TFUNCTION) {
        describe_object(d, i, depth + 1);
        return;
    }
    if (type == LUA_TNUMBER) {
        lua_Number x = lua_tonumber(L, i);
        buf_append(d->out, &x, sizeof x);
        return;
    }
    lib_tostring(L, i);
    describe_text(d, -1);
    lua_pop(L, 1);
}

// [names]: adds what the table at `from` holds, each as prefix and its key.
static void add_names(lua_State *L, int from, const char *prefix)
{
    lua_pushnil(L);
    while (lua_next(L, from) != 0) { // [key, value]
        if (lua_type(L, -2) == LUA_TSTRING &&
            (lua_type(L, -1) == LUA_TFUNCTION || lua_type(L, -1) == LUA_TTABLE)) {
            lua_pushvalue(L, -1);
            lua_pushfstring(L, "%s%s", prefix, lua_tostring(L, -3));
            lua_rawset(L, SLOT_NAMES);
        }
        lua_pop(L, 1);
    }
}

static void push_names(lua_State *L)
{
    static const char *const libraries[] = {"string", "table", "math", "utf8"};

    lua_newtable(L); // [names]
    host_push_key(L, KEY_ENV);
    lua_pushliteral(L, "_ENV");
    lua_rawset(L, SLOT_NAMES);
    host_push_key(L, KEY_WORDS);
    for (size_t i = 0; i < ARRAY_LEN(libraries); i++) {
        lua_getfield(L, SLOT_NAMES + 1, libraries[i]); // [names, words, library]
        freeze_see_through(L, lua_gettop(L));
        add_names(L, lua_gettop(L), libraries[i]);
        lua_pop(L, 1);
    }
    add_names(L, SLOT_NAMES + 1, "");
    lua_pop(L, 1);
}

bool function_describe(lua_State *L, int i, struct buf *out)
{
    struct description d = {.L = L, .out = out};

    lua_pushvalue(L, i);
    lua_replace(L, 1);
    lua_settop(L, 1);
    lua_newtable(L);
    push_names(L);
    describe_value(&d, 1, 0);
    return d.names_db;
}
