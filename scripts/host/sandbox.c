// SPDX-License-Identifier: Apache-2.0
//
// The environment of job code: an allow-list, never the stock globals with names taken out.
//
//   _ENV of the job   {}            reading a name that is in no table: "unknown name 'frm'"
//     __index         words         assert, string, from, ...: ours, and read-only through the
//                                   indirection
//
// There is no coroutine, io, os, package, debug, load, dofile, collectgarbage or print.
#include "scripts/host/host.h"

#include "runtime/base/suggest.h"

void lib_allow(lua_State *L, const char *const *names)
{
    for (int i = 0; names[i] != NULL; i++) {
        lua_getfield(L, -1, names[i]);
        lua_setfield(L, -3, names[i]);
    }
}

static int unknown_name(lua_State *L)
{
    const char *name = lua_tostring(L, 2);
    struct suggestion s = {.name = name};

    if (name == NULL)
        return luaL_error(L, "names of the environment are text");
    host_push_key(L, KEY_WORDS);
    lua_pushnil(L);
    while (lua_next(L, -2) != 0) { // [words, key, value]
        lua_pop(L, 1);
        if (lua_type(L, -1) == LUA_TSTRING)
            suggest(&s, lua_tostring(L, -1));
    }
    return luaL_error(L, "unknown name '%s'%s", name, suggest_text(&s));
}

static int refuse_global(lua_State *L)
{
    const char *name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "?";

    return luaL_error(
        L, "'%s' would be a global, which a job does not have: write 'local %s = ...'", name, name);
}

void sandbox_open(lua_State *L)
{
    lua_newtable(L); // [words]
    lib_base_open(L);
    lib_string_open(L);
    lib_table_open(L);
    lib_math_open(L);

    lua_newtable(L); // metatable of words: what is missing there is an error
    lua_pushcfunction(L, unknown_name);
    lua_setfield(L, -2, "__index");
    lua_pushvalue(L, -2);
    host_set_key(L, KEY_WORDS);

    lua_newtable(L); // [words, words_meta, env]
    lua_newtable(L); // its metatable
    lua_pushvalue(L, -4);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, refuse_global);
    lua_setfield(L, -2, "__newindex");
    lua_pushboolean(L, false);
    lua_setfield(L, -2, "__metatable");
    lua_setmetatable(L, -2);
    host_set_key(L, KEY_ENV);
    lua_setmetatable(L, -2); // [words]
    lua_pop(L, 1);
}
