// SPDX-License-Identifier: Apache-2.0
//
// require "name": code that several jobs share. A module is lib/name.lua, in the folder of the
// job's file or beside that folder, and nowhere else:
//
//   shop/jobs/orders.lua     require "money"  ->  shop/jobs/lib/money.lua, shop/lib/money.lua
//
// It runs once, in the job's own sandbox, under its limits, and gives what it returns; what a
// function of the job uses of it is part of the function, so that a change of the module is a
// change of the job. Modules require each other, but not in a circle: then one of them would have
// to do with half of the other. Their text is kept: a job whose state is made anew runs again as
// the job it was, whatever has been saved meanwhile.
#include "runtime/base/limits.h"
#include "scripts/host/script_host.h"
#include "scripts/host/source.h"

enum { MODULES_MAX = 100 };

static const struct script_module *find(const struct script *s, const char *name)
{
    for (const struct script_module *m = s->modules; m != NULL; m = m->next)
        if (strcmp(m->name, name) == 0)
            return m;
    return NULL;
}

// The folder of the file, with its slash; the folder that one is in, or -1 when the path does not
// tell.
static int folder_length(const char *file)
{
    const char *slash = strrchr(file, '/');

    return slash != NULL ? (int)(slash - file) + 1 : 0;
}

static int parent_length(const char *file, int folder)
{
    int start = folder - 1;

    if (folder <= 1)
        return -1;
    while (start > 0 && file[start - 1] != '/')
        start--;
    return file[start] == '.' ? -1 : start; // "./" and "../" have no parent by name
}

// The first place, or the second.
static const char *place(struct script *s, bool second, const char *name)
{
    const char *file = s->host.file;
    int folder = folder_length(file), parent = parent_length(file, folder);

    if (!second)
        return arena_printf(&s->arena, "%.*slib/%s.lua", folder, file, name);
    if (parent < 0)
        return arena_printf(&s->arena, "%.*s../lib/%s.lua", folder, file, name);
    return arena_printf(&s->arena, "%.*slib/%s.lua", parent, file, name);
}

// Finds and reads it. The room is Lua's, so that raising is fine.
static const struct script_module *read_module(lua_State *L, struct script *s, const char *name)
{
    uint8_t *room = lua_newuserdatauv(L, JOB_SOURCE_BYTES_MAX + 1, 0);
    struct script_module *m;
    const char *path = place(s, false, name);
    struct err e = {0};
    size_t n;
    int rc = source_read(path, room, JOB_SOURCE_BYTES_MAX + 1, &n, &e);

    if (rc == LEAT_ENOTFOUND) {
        path = place(s, true, name);
        rc = source_read(path, room, JOB_SOURCE_BYTES_MAX + 1, &n, &e);
    }
    if (rc == LEAT_ENOTFOUND)
        luaL_error(L, "require \"%s\": there is no %s and no %s", name, place(s, false, name),
                   path);
    if (rc != 0)
        luaL_error(L, "require \"%s\": %s", name, e.text);
    if (n > JOB_SOURCE_BYTES_MAX)
        luaL_error(L, "require \"%s\": %s is larger than %d bytes", name, path,
                   JOB_SOURCE_BYTES_MAX);
    if (s->n_modules++ == MODULES_MAX)
        luaL_error(L, "require \"%s\": more than %d modules", name, MODULES_MAX);
    m = arena_zalloc(&s->arena, sizeof(*m));
    *m = (struct script_module){.next = s->modules,
                                .name = arena_strdup(&s->arena, name),
                                .path = path,
                                .source = arena_copy(&s->arena, bytes_of(room, n))};
    s->modules = m;
    return m;
}

static void check_name(lua_State *L, const char *name)
{
    if (name[0] == 0 || strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                     "0123456789_-") != strlen(name))
        luaL_error(L, "require \"%s\": a module is a name, without path or extension", name);
}

// KEY_MODULES holds what each has returned, false while it runs.
static int word_require(lua_State *L)
{
    struct host *h = host_of(L);
    struct script *s = container_of(h, struct script, host);
    const char *name = luaL_checkstring(L, 1);
    const struct script_module *m;

    lua_settop(L, 1);
    host_push_key(L, KEY_MODULES);
    if (lua_getfield(L, 2, name) == LUA_TBOOLEAN && !lua_toboolean(L, -1))
        return luaL_error(L, "require \"%s\": modules require each other in a circle", name);
    if (!lua_isnil(L, -1))
        return 1;
    if (!h->loading)
        return luaL_error(L, "require belongs to the top of the file");
    check_name(L, name);
    m = find(s, name);
    if (m == NULL)
        m = read_module(L, s, name);
    lua_pushboolean(L, false);
    lua_setfield(L, 2, name);
    script_load_text(L, m->source, m->path);
    lua_call(L, 0, 1);
    if (!lua_toboolean(L, -1)) { // nothing to give, but it has run
        lua_pop(L, 1);
        lua_pushboolean(L, true);
    }
    lua_pushvalue(L, -1);
    lua_setfield(L, 2, name);
    return 1;
}

void modules_open(lua_State *L)
{
    lua_newtable(L);
    host_set_key(L, KEY_MODULES);
    host_push_key(L, KEY_WORDS);
    lua_pushcfunction(L, word_require);
    lua_setfield(L, -2, "require");
    lua_pop(L, 1);
}
