// SPDX-License-Identifier: Apache-2.0
//
// What the prelude needs from C, and running it. `host` is a table that only the prelude sees:
//
//   host.file           the job's file, for messages
//   host.line()         the line in it that is running
//   host.fn(f)          gives the function a number (function.c)
//   host.param(name)    the value given on the command line, or nil
//   host.duration(s)    milliseconds, or nil
//   host.type(s)        nil, or what is wrong with the name of a type
//   host.suggest(x, l)  " (did you mean 'y'?)", or ""
//   host.finish         set by the prelude
#include "runtime/base/datetime.h"
#include "runtime/record/type.h"
#include "scripts/host/script_host.h"
#include "runtime/base/suggest.h"
#include "scripts/host/values.h"

extern const unsigned char prelude_lua[];
extern const size_t prelude_lua_size;

static int words_line(lua_State *L)
{
    lua_pushinteger(L, host_line(L));
    return 1;
}

static int words_fn(lua_State *L)
{
    lua_Integer n;

    luaL_checktype(L, 1, LUA_TFUNCTION);
    if (lua_iscfunction(L, 1))
        return luaL_error(L, "a function of the library cannot stand here: wrap it in a function");
    host_push_key(L, KEY_FUNCTIONS);
    n = (lua_Integer)lua_rawlen(L, -1) + 1;
    lua_pushvalue(L, 1);
    lua_rawseti(L, -2, n);
    lua_pushinteger(L, n);
    return 1;
}

static int words_param(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);
    const char *const *params = host_of(L)->params;
    size_t n = strlen(name);

    for (int i = 0; params != NULL && params[i] != NULL; i++) {
        if (strncmp(params[i], name, n) == 0 && params[i][n] == '=') {
            lua_pushstring(L, params[i] + n + 1);
            return 1;
        }
    }
    return 0;
}

static int words_duration(lua_State *L)
{
    int64_t ms;

    (void)luaL_checkstring(L, 1);
    if (duration_parse(lua_bytes(L, 1), &ms) != 0)
        return 0;
    lua_pushinteger(L, ms);
    return 1;
}

static int words_type(lua_State *L)
{
    const struct type *t;
    struct arena a;
    struct err e = {0};
    int rc;

    (void)luaL_checkstring(L, 1);
    arena_init(&a);
    rc = type_parse(lua_bytes(L, 1), &a, &t, &e);
    arena_deinit(&a);
    if (rc == 0)
        return 0;
    lua_pushstring(L, e.text);
    return 1;
}

static int words_suggest(lua_State *L)
{
    struct suggestion s = {.name = luaL_checkstring(L, 1)};

    luaL_checktype(L, 2, LUA_TTABLE);
    for (lua_Integer i = 1; lua_rawgeti(L, 2, i) == LUA_TSTRING; i++) {
        suggest(&s, lua_tostring(L, -1));
        lua_pop(L, 1);
    }
    lua_pushstring(L, suggest_text(&s));
    return 1;
}

// The libraries are tables too: nobody may write into them.
static void lock_libraries(lua_State *L)
{
    static const char *const names[] = {"string", "table", "math", "utf8"};

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        lua_getfield(L, -1, names[i]); // [words, library]
        freeze_table(L, lua_gettop(L));
        lua_pop(L, 1);
    }
}

void words_open(lua_State *L)
{
    static const luaL_Reg helpers[] = {
        {"line", words_line},         {"fn", words_fn},           {"param", words_param},
        {"duration", words_duration}, {"suggest", words_suggest}, {"type", words_type},
        {NULL, NULL},
    };

    lua_newtable(L);
    host_set_key(L, KEY_FUNCTIONS);
    host_push_key(L, KEY_WORDS);
    values_open(L);
    context_open(L);
    if (luaL_loadbufferx(L, (const char *)prelude_lua, prelude_lua_size, "=prelude", "t") != 0)
        lua_error(L);
    lua_pushvalue(L, -2);
    (void)lua_setupvalue(L, -2, 1); // its _ENV
    lua_newtable(L);                // [words, prelude, host]
    luaL_setfuncs(L, helpers, 0);
    lua_pushstring(L, host_of(L)->file);
    lua_setfield(L, -2, "file");
    lua_pushvalue(L, -1);
    lua_insert(L, -3);    // [words, host, prelude, host]
    lua_pushvalue(L, -4); // [words, host, prelude, host, words]
    lua_call(L, 2, 0);
    lua_getfield(L, -1, "finish");
    host_set_key(L, KEY_FINISH);
    lua_pop(L, 1);
    lock_libraries(L);
    lua_pop(L, 1);
}
