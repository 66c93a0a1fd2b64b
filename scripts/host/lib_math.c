// SPDX-License-Identifier: Apache-2.0
//
// math without the stock random: ours is seeded for each record from its topic, partition and
// offset, so that a replay draws the same numbers.
#include "scripts/host/host.h"

#include <lualib.h>

static int math_random(lua_State *L)
{
    struct random *r = &host_of(L)->random;
    lua_Integer low = 1, high;

    switch (lua_gettop(L)) {
    case 0:
        lua_pushnumber(L, (lua_Number)(random_next(r) >> 11) * 0x1p-53);
        return 1;
    case 1:
        high = luaL_checkinteger(L, 1);
        break;
    default:
        low = luaL_checkinteger(L, 1);
        high = luaL_checkinteger(L, 2);
    }
    luaL_argcheck(L, low <= high, 1, "interval is empty");
    if ((uint64_t)high - (uint64_t)low == UINT64_MAX)
        lua_pushinteger(L, (lua_Integer)random_next(r));
    else
        lua_pushinteger(
            L, (lua_Integer)((uint64_t)low + random_below(r, (uint64_t)high - (uint64_t)low + 1)));
    return 1;
}

void lib_math_open(lua_State *L)
{
    static const char *const math[] = {
        "abs",  "acos", "asin", "atan", "ceil",       "cos",  "deg",        "exp",  "floor",
        "fmod", "huge", "log",  "max",  "maxinteger", "min",  "mininteger", "modf", "pi",
        "rad",  "sin",  "sqrt", "tan",  "tointeger",  "type", "ult",        NULL};
    static const char *const utf8[] = {"char", "charpattern", "codepoint", "codes",
                                       "len",  "offset",      NULL};

    lua_newtable(L);
    lua_pushcfunction(L, luaopen_math);
    lua_call(L, 0, 1); // [words, ours, stock]
    lib_allow(L, math);
    lua_pop(L, 1);
    lua_pushcfunction(L, math_random);
    lua_setfield(L, -2, "random");
    lua_setfield(L, -2, "math");

    lua_newtable(L);
    lua_pushcfunction(L, luaopen_utf8);
    lua_call(L, 0, 1);
    lib_allow(L, utf8);
    lua_pop(L, 1);
    lua_setfield(L, -2, "utf8");
}
