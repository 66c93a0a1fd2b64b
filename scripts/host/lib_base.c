// SPDX-License-Identifier: Apache-2.0
//
// The basic functions of the environment. Taken from Lua as they are: those that cannot loop, leak
// an address or change what others see. Ours:
//
//   pairs         a fixed order: 1..n, other integers, then text; other keys are refused, because
//                 the stock order follows addresses and hash seeds
//   next          only to ask whether a table is empty
//   pcall xpcall  let through what a job must not catch (host.c)
//   setmetatable  no __gc (code that runs with hooks off), no __mode (shows the collector's timing)
//   tostring      no addresses
#include "scripts/host/host.h"

#include <lualib.h>
#include <stdlib.h>

#include "runtime/base/limits.h"
#include "scripts/host/values.h"

static int base_pcall(lua_State *L)
{
    int status;

    luaL_checkany(L, 1);
    status = lua_pcall(L, lua_gettop(L) - 1, LUA_MULTRET, 0);
    host_check_fatal(L, status);
    lua_pushboolean(L, status == LUA_OK);
    lua_insert(L, 1);
    return lua_gettop(L);
}

// The handler of xpcall: the user's own, unless the error is not for the user.
static int guarded_handler(lua_State *L)
{
    if (host_of(L)->fatal != 0)
        return 1;
    lua_settop(L, 1);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, 1, 1);
    return 1;
}

static int base_xpcall(lua_State *L)
{
    int n = lua_gettop(L);
    int status;

    luaL_checktype(L, 2, LUA_TFUNCTION);
    lua_pushvalue(L, 2);
    lua_pushcclosure(L, guarded_handler, 1);
    lua_replace(L, 2); // [f, handler, args...]
    lua_pushvalue(L, 1);
    lua_insert(L, 3); // [f, handler, f, args...]
    status = lua_pcall(L, n - 2, LUA_MULTRET, 2);
    host_check_fatal(L, status);
    lua_pushboolean(L, status == LUA_OK);
    lua_replace(L, 2);
    return lua_gettop(L) - 1;
}

static int base_setmetatable(lua_State *L)
{
    static const char *const refused[] = {"__gc", "__mode", NULL};
    int type = lua_type(L, 2);

    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_argexpected(L, type == LUA_TNIL || type == LUA_TTABLE, 2, "nil or table");
    if (freeze_is_frozen(L, 1) || luaL_getmetafield(L, 1, "__metatable") != LUA_TNIL)
        return luaL_error(L, "cannot change a protected metatable");
    for (int i = 0; type == LUA_TTABLE && refused[i] != NULL; i++) {
        lua_pushstring(L, refused[i]);
        if (lua_rawget(L, 2) != LUA_TNIL)
            return luaL_error(L, "setmetatable: '%s' is not available in a job", refused[i]);
        lua_pop(L, 1);
    }
    lua_settop(L, 2);
    lua_setmetatable(L, 1);
    return 1;
}

static int base_getmetatable(lua_State *L)
{
    luaL_checkany(L, 1);
    if (!lua_getmetatable(L, 1)) {
        lua_pushnil(L);
        return 1;
    }
    if (lua_type(L, 1) != LUA_TTABLE) {
        lua_pushboolean(L, false);
        return 1;
    }
    if (luaL_getmetafield(L, 1, "__metatable") != LUA_TNIL)
        return 1;
    return 1; // the metatable itself
}

void lib_tostring(lua_State *L, int i)
{
    i = lua_absindex(L, i);
    if (luaL_getmetafield(L, i, "__tostring") != LUA_TNIL) {
        lua_pushvalue(L, i);
        lua_call(L, 1, 1);
        if (!lua_isstring(L, -1))
            luaL_error(L, "'__tostring' must return a string");
        return;
    }
    switch (lua_type(L, i)) {
    case LUA_TNUMBER:
    case LUA_TSTRING:
    case LUA_TBOOLEAN:
    case LUA_TNIL:
        (void)luaL_tolstring(L, i, NULL);
        break;
    case LUA_TLIGHTUSERDATA:
        lua_pushstring(L, lua_touserdata(L, i) == value_null() ? "null" : "userdata");
        break;
    default:
        lua_pushstring(L, luaL_typename(L, i));
    }
}

static int base_tostring(lua_State *L)
{
    luaL_checkany(L, 1);
    lib_tostring(L, 1);
    return 1;
}

// --- pairs ---

static int key_rank(lua_State *L, int i)
{
    if (lua_type(L, i) == LUA_TSTRING)
        return 1;
    if (lua_isinteger(L, i))
        return 0;
    return luaL_error(L, "pairs: a key is a %s; only integers and text have a fixed order",
                      luaL_typename(L, i));
}

// Whether the key at a comes before the key at b.
static bool key_before(lua_State *L, int a, int b)
{
    int ra = key_rank(L, a), rb = key_rank(L, b);

    if (ra != rb)
        return ra < rb;
    if (ra == 0)
        return lua_tointeger(L, a) < lua_tointeger(L, b);
    return bytes_cmp(lua_bytes(L, a), lua_bytes(L, b)) < 0;
}

// Sorts the sequence of keys at index t with n elements: heapsort, in place, no allocation.
static void sift(lua_State *L, int t, lua_Integer at, lua_Integer n)
{
    for (;;) {
        lua_Integer child = 2 * at;
        if (child > n)
            return;
        lua_rawgeti(L, t, child); // [child]
        if (child < n) {
            lua_rawgeti(L, t, child + 1); // [child, other]
            if (key_before(L, -2, -1)) {
                lua_remove(L, -2);
                child++;
            } else {
                lua_pop(L, 1);
            }
        }
        lua_rawgeti(L, t, at); // [child, parent]
        if (!key_before(L, -1, -2)) {
            lua_pop(L, 2);
            return;
        }
        lua_rawseti(L, t, child);
        lua_rawseti(L, t, at);
        at = child;
    }
}

static void sort_keys(lua_State *L, int t, lua_Integer n)
{
    for (lua_Integer at = n / 2; at >= 1; at--)
        sift(L, t, at, n);
    for (lua_Integer end = n; end > 1; end--) {
        lua_rawgeti(L, t, 1);
        lua_rawgeti(L, t, end);
        lua_rawseti(L, t, 1);
        lua_rawseti(L, t, end);
        sift(L, t, 1, end - 1);
    }
}

static void reverse(lua_State *L, int t, lua_Integer from, lua_Integer to)
{
    for (; from < to; from++, to--) {
        lua_rawgeti(L, t, from);
        lua_rawgeti(L, t, to);
        lua_rawseti(L, t, from);
        lua_rawseti(L, t, to);
    }
}

// The sorted keys begin with integers below 1: those go behind 1..n.
static void array_first(lua_State *L, int t, lua_Integer n)
{
    lua_Integer below = 0, end;

    while (below < n && lua_rawgeti(L, t, below + 1) == LUA_TNUMBER && lua_tointeger(L, -1) < 1) {
        lua_pop(L, 1);
        below++;
    }
    end = below;
    while (end < n && lua_rawgeti(L, t, end + 1) == LUA_TNUMBER &&
           lua_tointeger(L, -1) == end + 1 - below) {
        lua_pop(L, 1);
        end++;
    }
    lua_settop(L, t);
    reverse(L, t, 1, below);
    reverse(L, t, below + 1, end);
    reverse(L, t, 1, end);
}

void lib_ordered_keys(lua_State *L, int i)
{
    lua_Integer n = 0;
    bool sorted = true;

    i = lua_absindex(L, i);
    lua_newtable(L); // [keys]
    lua_pushnil(L);
    while (lua_next(L, i) != 0) { // [keys, key, value]
        lua_pop(L, 1);
        (void)key_rank(L, -1);
        lua_pushvalue(L, -1);
        lua_rawseti(L, -3, ++n);
        sorted = sorted && lua_isinteger(L, -1) && lua_tointeger(L, -1) == n;
        if (n % 4096 == 0)
            host_check_time(L);
    }
    if (sorted)
        return;
    sort_keys(L, lua_gettop(L), n);
    array_first(L, lua_gettop(L), n);
}

// Upvalues: contents, keys, last index.
static int pairs_next(lua_State *L)
{
    lua_Integer i = lua_tointeger(L, lua_upvalueindex(3));

    for (;;) {
        i++;
        if (lua_rawgeti(L, lua_upvalueindex(2), i) == LUA_TNIL)
            return 1;
        lua_pushvalue(L, -1);
        lua_gettable(L, lua_upvalueindex(1)); // [key, value]
        if (!lua_isnil(L, -1))
            break;
        lua_pop(L, 2); // removed while we were going over it
    }
    lua_pushinteger(L, i);
    lua_replace(L, lua_upvalueindex(3));
    return 2;
}

static int base_pairs(lua_State *L)
{
    luaL_checkany(L, 1);
    if (luaL_getmetafield(L, 1, "__pairs") != LUA_TNIL) {
        lua_pushvalue(L, 1);
        lua_call(L, 1, 3);
        return 3;
    }
    lua_settop(L, 1);
    if (view_push_keys(L, 1)) {
        lua_pushvalue(L, 1);
        lua_insert(L, -2); // [v, v, keys]
    } else {
        luaL_checktype(L, 1, LUA_TTABLE);
        freeze_see_through(L, 1);
        lua_pushvalue(L, 1);
        lib_ordered_keys(L, 1); // [t, t, keys]
    }
    lua_pushinteger(L, 0);
    lua_pushcclosure(L, pairs_next, 3);
    return 1;
}

static int base_next(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    if (!lua_isnoneornil(L, 2))
        return luaL_error(L, "next(t, key) follows no fixed order: use pairs");
    freeze_see_through(L, 1);
    lua_settop(L, 1);
    lua_pushnil(L);
    if (lua_next(L, 1) == 0) {
        lua_pushnil(L);
        return 1;
    }
    lua_settop(L, 1);
    lib_ordered_keys(L, 1); // [t, keys]
    lua_rawgeti(L, 2, 1);
    lua_pushvalue(L, -1);
    lua_rawget(L, 1);
    return 2;
}

static int base_rawset(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    return luaL_error(L, "rawset is not available in a job");
}

static int base_rawget(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_checkany(L, 2);
    lua_settop(L, 2);
    freeze_see_through(L, 1);
    lua_rawget(L, 1);
    return 1;
}

static int base_rawlen(lua_State *L)
{
    luaL_argexpected(L, lua_type(L, 1) == LUA_TTABLE || lua_type(L, 1) == LUA_TSTRING, 1,
                     "table or string");
    if (lua_type(L, 1) == LUA_TTABLE)
        freeze_see_through(L, 1);
    lua_pushinteger(L, (lua_Integer)lua_rawlen(L, 1));
    return 1;
}

void lib_base_open(lua_State *L)
{
    static const char *const allowed[] = {"assert",   "error", "ipairs",   "rawequal", "select",
                                          "tonumber", "type",  "_VERSION", NULL};
    static const luaL_Reg ours[] = {
        {"pairs", base_pairs},
        {"next", base_next},
        {"pcall", base_pcall},
        {"xpcall", base_xpcall},
        {"setmetatable", base_setmetatable},
        {"getmetatable", base_getmetatable},
        {"tostring", base_tostring},
        {"rawget", base_rawget},
        {"rawlen", base_rawlen},
        {"rawset", base_rawset},
        {NULL, NULL},
    };

    lua_pushcfunction(L, luaopen_base);
    lua_call(L, 0, 1); // [words, stock]
    lib_allow(L, allowed);
    lua_pop(L, 1);
    lua_newtable(L); // the stock globals are dropped
    lua_rawseti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
    luaL_setfuncs(L, ours, 0);
}
