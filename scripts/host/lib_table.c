// SPDX-License-Identifier: Apache-2.0
//
// The table library over raw lengths: no metamethod can claim a length of 2^60 and keep C busy.
// Tables with holes are refused where every element is touched. sort is a stable merge sort (the
// stock one picks its pivot by the clock). move is left out.
#include "scripts/host/host.h"

#include "runtime/base/limits.h"

#define UNPACK_MAX 100000

// The table at 1 for reading; its raw length.
static lua_Integer check_table(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    freeze_see_through(L, 1);
    return (lua_Integer)lua_rawlen(L, 1);
}

static lua_Integer check_own_table(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    if (freeze_is_frozen(L, 1))
        luaL_error(L, "this table belongs to the job file and cannot be changed by a function");
    return (lua_Integer)lua_rawlen(L, 1);
}

static int table_concat(lua_State *L)
{
    lua_Integer n = check_table(L);
    size_t n_sep;
    const char *sep = luaL_optlstring(L, 2, "", &n_sep);
    lua_Integer from = luaL_optinteger(L, 3, 1);
    lua_Integer to = luaL_optinteger(L, 4, n);
    luaL_Buffer b;

    if (to > n)
        to = n + 1; // so that the first hole is reported, and no more
    luaL_buffinit(L, &b);
    for (lua_Integer i = from; i <= to; i++) {
        if (lua_rawgeti(L, 1, i), !lua_isstring(L, -1))
            return luaL_error(L, "table.concat: element %I is a %s", (LUAI_UACINT)i,
                              luaL_typename(L, -1));
        luaL_addvalue(&b);
        if (i < to)
            luaL_addlstring(&b, sep, n_sep);
        if (luaL_bufflen(&b) > TEXT_BYTES_MAX)
            return luaL_error(L, "table.concat: the result is larger than %d bytes",
                              TEXT_BYTES_MAX);
    }
    luaL_pushresult(&b);
    return 1;
}

static int table_insert(lua_State *L)
{
    lua_Integer n = check_own_table(L);
    lua_Integer at;

    switch (lua_gettop(L)) {
    case 2:
        lua_rawseti(L, 1, n + 1);
        return 0;
    case 3:
        at = luaL_checkinteger(L, 2);
        luaL_argcheck(L, at >= 1 && at <= n + 1, 2, "position out of bounds");
        for (lua_Integer i = n; i >= at; i--) {
            lua_rawgeti(L, 1, i);
            lua_rawseti(L, 1, i + 1);
        }
        lua_rawseti(L, 1, at);
        return 0;
    default:
        return luaL_error(L, "wrong number of arguments to 'insert'");
    }
}

static int table_remove(lua_State *L)
{
    lua_Integer n = check_own_table(L);
    lua_Integer at = luaL_optinteger(L, 2, n);

    if (lua_isnoneornil(L, 2) && n == 0) {
        lua_pushnil(L);
        return 1;
    }
    luaL_argcheck(L, (at >= 1 && at <= n + 1) || (n == 0 && at == 0), 2, "position out of bounds");
    lua_rawgeti(L, 1, at);
    for (lua_Integer i = at; i < n; i++) {
        lua_rawgeti(L, 1, i + 1);
        lua_rawseti(L, 1, i);
    }
    if (at <= n) {
        lua_pushnil(L);
        lua_rawseti(L, 1, n);
    }
    return 1;
}

static int table_unpack(lua_State *L)
{
    lua_Integer from = luaL_optinteger(L, 2, 1);
    lua_Integer to = luaL_optinteger(L, 3, luaL_len(L, 1));

    if (from > to)
        return 0;
    if ((uint64_t)to - (uint64_t)from >= UNPACK_MAX || !lua_checkstack(L, (int)(to - from) + 2))
        return luaL_error(L, "too many results to unpack");
    for (lua_Integer i = from;; i++) {
        lua_geti(L, 1, i);
        if (i == to)
            return (int)(to - from) + 1;
    }
}

static int table_pack(lua_State *L)
{
    int n = lua_gettop(L);

    lua_createtable(L, n, 1);
    lua_insert(L, 1);
    for (int i = n; i >= 1; i--)
        lua_rawseti(L, 1, i);
    lua_pushinteger(L, n);
    lua_setfield(L, 1, "n");
    return 1;
}

// Whether the value at a must come before the one at b; the comparator, if any, is at 2.
static bool sort_before(lua_State *L, int a, int b)
{
    bool before;

    if (lua_isnil(L, 2))
        return lua_compare(L, a, b, LUA_OPLT);
    a = lua_absindex(L, a);
    b = lua_absindex(L, b);
    lua_pushvalue(L, 2);
    lua_pushvalue(L, a);
    lua_pushvalue(L, b);
    lua_call(L, 2, 1);
    before = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return before;
}

// Merges [from, mid) and [mid, to) of the sequence at index src into dst.
static void merge(lua_State *L, int src, int dst, const lua_Integer bounds[3])
{
    lua_Integer a = bounds[0], b = bounds[1];

    for (lua_Integer out = bounds[0]; out < bounds[2]; out++) {
        bool take_b = a >= bounds[1];
        if (!take_b && b < bounds[2]) {
            lua_rawgeti(L, src, a);
            lua_rawgeti(L, src, b);
            take_b = sort_before(L, -1, -2); // only if strictly before: stable
            lua_pop(L, 2);
        }
        lua_rawgeti(L, src, take_b ? b++ : a++);
        lua_rawseti(L, dst, out);
    }
}

static lua_Integer smaller(lua_Integer a, lua_Integer b)
{
    return a < b ? a : b;
}

static int table_sort(lua_State *L)
{
    lua_Integer n = check_own_table(L);
    int src = 3, dst = 4;

    if (!lua_isnoneornil(L, 2))
        luaL_checktype(L, 2, LUA_TFUNCTION);
    lua_settop(L, 2);
    lua_createtable(L, (int)smaller(n, INT32_MAX), 0);
    lua_createtable(L, (int)smaller(n, INT32_MAX), 0); // [t, f, src, dst]
    for (lua_Integer i = 1; i <= n; i++) {
        if (lua_rawgeti(L, 1, i) == LUA_TNIL)
            return luaL_error(L, "table.sort: element %I is nil", (LUAI_UACINT)i);
        lua_rawseti(L, src, i);
    }
    for (lua_Integer width = 1; width < n; width *= 2) {
        for (lua_Integer from = 1; from <= n; from += 2 * width) {
            merge(L, src, dst,
                  (lua_Integer[]){from, smaller(from + width, n + 1),
                                  smaller(from + 2 * width, n + 1)});
            host_check_time(L);
        }
        src = 7 - src;
        dst = 7 - dst;
    }
    for (lua_Integer i = 1; i <= n; i++) {
        lua_rawgeti(L, src, i);
        lua_rawseti(L, 1, i);
    }
    return 0;
}

void lib_table_open(lua_State *L)
{
    static const luaL_Reg ours[] = {
        {"concat", table_concat},
        {"insert", table_insert},
        {"remove", table_remove},
        {"unpack", table_unpack},
        {"pack", table_pack},
        {"sort", table_sort},
        {NULL, NULL},
    };

    lua_newtable(L);
    luaL_setfuncs(L, ours, 0);
    lua_setfield(L, -2, "table");
}
