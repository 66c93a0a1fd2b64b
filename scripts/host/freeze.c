// SPDX-License-Identifier: Apache-2.0
//
// Jobs have no memory of their own. Once a job file has run, every table that one of its functions
// can reach is made read-only:
//
//   table  { a = 1, {…} }        becomes      table {}  with metatable
//                                               __index     the contents (a plain table)
//                                               __newindex  an error that says what to do
//                                               __len       the contents' length
//
// Variables are not tables: a function that assigns to a local of the file, or to a global, is
// refused by looking at its code (bytecode.c).
//
// The contents keep the table's own metatable, so an __index chain of the job still works; other
// metamethods are copied. What belongs to us (handles, the environment) has a protected metatable
// or an origin outside of the job's file, and is left alone.
#include "scripts/host/host.h"

#include "scripts/host/bytecode.h"

static const char contents_key; // metatable[&contents_key] = the contents

bool freeze_is_frozen(lua_State *L, int i)
{
    bool frozen;

    if (!lua_getmetatable(L, i))
        return false;
    frozen = lua_rawgetp(L, -1, &contents_key) != LUA_TNIL;
    lua_pop(L, 2);
    return frozen;
}

void freeze_see_through(lua_State *L, int i)
{
    if (!lua_getmetatable(L, i))
        return;
    if (lua_rawgetp(L, -1, &contents_key) != LUA_TNIL)
        lua_replace(L, i);
    else
        lua_pop(L, 1);
    lua_pop(L, 1);
}

static int refuse_write(lua_State *L)
{
    const char *name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : NULL;

    return luaL_error(L,
                      "%s%s%s belongs to the job file; what a function changes there would be "
                      "lost on restart: keep it in a table of the job",
                      name != NULL ? "'" : "this table", name != NULL ? name : "",
                      name != NULL ? "'" : "");
}

static int contents_length(lua_State *L)
{
    lua_settop(L, 1);
    freeze_see_through(L, 1);
    lua_pushinteger(L, (lua_Integer)lua_rawlen(L, 1));
    return 1;
}

static void freeze_value(lua_State *L, int i, int depth);

// [.., t] with contents moved out of it: fills `meta` at index m.
static void fill_metatable(lua_State *L, int m, int contents, bool has_meta)
{
    if (has_meta) { // the job's own metamethods but for what we define
        (void)lua_getmetatable(L, contents);
        lua_pushnil(L);
        while (lua_next(L, -2) != 0) { // [own, key, value]
            lua_pushvalue(L, -2);
            lua_insert(L, -2); // [own, key, key, value]
            lua_rawset(L, m);
        }
        lua_pop(L, 1);
    }
    if (lua_getfield(L, m, "__len") == LUA_TNIL) {
        lua_pushcfunction(L, contents_length);
        lua_setfield(L, m, "__len");
    }
    lua_pop(L, 1);
    lua_pushvalue(L, contents);
    lua_setfield(L, m, "__index");
    lua_pushcfunction(L, refuse_write);
    lua_setfield(L, m, "__newindex");
    lua_pushboolean(L, false);
    lua_setfield(L, m, "__metatable");
    lua_pushvalue(L, contents);
    lua_rawsetp(L, m, &contents_key);
}

static void freeze_contents(lua_State *L, int t, int depth)
{
    int contents, m;
    bool has_meta = lua_getmetatable(L, t) != 0;

    if (has_meta)
        lua_pop(L, 1);
    if (has_meta && luaL_getmetafield(L, t, "__metatable") != LUA_TNIL) {
        lua_pop(L, 1); // ours, or frozen already
        return;
    }
    lua_newtable(L);
    contents = lua_gettop(L);
    lua_newtable(L);
    m = lua_gettop(L); // [contents, meta]
    lua_pushnil(L);
    while (lua_next(L, t) != 0) { // [.., key, value]
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        lua_rawset(L, contents);
    }
    if (has_meta) {
        (void)lua_getmetatable(L, t);
        lua_setmetatable(L, contents);
    }
    lua_pushnil(L);
    while (lua_next(L, contents) != 0) { // clear t; the keys come from the copy
        lua_pop(L, 1);
        lua_pushvalue(L, -1);
        lua_pushnil(L);
        lua_rawset(L, t);
    }
    fill_metatable(L, m, contents, has_meta);
    lua_pushvalue(L, m);
    lua_setmetatable(L, t); // from here on t counts as frozen, so cycles end
    lua_pushnil(L);
    while (lua_next(L, contents) != 0) {
        freeze_value(L, lua_gettop(L), depth + 1);
        lua_pop(L, 1);
    }
    if (has_meta) {
        (void)lua_getmetatable(L, contents);
        freeze_value(L, lua_gettop(L), depth + 1);
        lua_pop(L, 1);
    }
    lua_pop(L, 2);
}

// Functions have no metatable to mark them with: a set in the registry does.
static bool seen_before(lua_State *L, int i)
{
    bool seen;

    host_push_key(L, KEY_FROZEN);
    lua_pushvalue(L, i);
    seen = lua_rawget(L, -2) != LUA_TNIL;
    lua_pop(L, 1);
    lua_pushvalue(L, i);
    lua_pushboolean(L, true);
    lua_rawset(L, -3);
    lua_pop(L, 1);
    return seen;
}

static bool is_job_function(lua_State *L, int i)
{
    lua_Debug ar;

    if (lua_iscfunction(L, i))
        return false;
    lua_pushvalue(L, i);
    lua_getinfo(L, ">S", &ar);
    return ar.source[0] == '@';
}

static void check_function(lua_State *L, int i)
{
    struct bytecode_write w;
    struct err e = {0};
    const char *file;
    lua_Debug ar;

    lua_pushvalue(L, i);
    lua_getinfo(L, ">S", &ar);
    file = ar.source + 1; // a job's file or a module's
    if (bytecode_find_write(L, i, &w, &e) != 0)
        luaL_error(L, "%s", e.text);
    if (w.line == 0)
        return;
    if (w.global)
        luaL_error(L, "%s:%d: a global is changed here, which a job does not have: use a local",
                   file, w.line);
    luaL_error(L,
               "%s:%d: '%s' is changed here but is lost on restart: keep it in a table of the "
               "job",
               file, w.line, w.name);
}

static void freeze_value(lua_State *L, int i, int depth)
{
    luaL_checkstack(L, 12, "tables nested too deep");
    if (depth > 150)
        luaL_error(L, "tables that functions use are nested too deep");
    if (lua_type(L, i) == LUA_TTABLE) {
        host_push_key(L, KEY_ENV);
        if (!lua_rawequal(L, i, -1))
            freeze_contents(L, i, depth);
        lua_pop(L, 1);
        return;
    }
    if (lua_type(L, i) != LUA_TFUNCTION || !is_job_function(L, i) || seen_before(L, i))
        return;
    check_function(L, i);
    for (int n = 1; lua_getupvalue(L, i, n) != NULL; n++) {
        freeze_value(L, lua_gettop(L), depth + 1);
        lua_pop(L, 1);
    }
}

static void open_set(lua_State *L)
{
    host_push_key(L, KEY_FROZEN);
    if (lua_isnil(L, -1)) {
        lua_newtable(L);
        host_set_key(L, KEY_FROZEN);
    }
    lua_pop(L, 1);
}

void freeze_function(lua_State *L, int i)
{
    open_set(L);
    freeze_value(L, lua_absindex(L, i), 0);
}

void freeze_table(lua_State *L, int i)
{
    open_set(L);
    freeze_contents(L, lua_absindex(L, i), 0);
}
