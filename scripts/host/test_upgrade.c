// SPDX-License-Identifier: Apache-2.0
//
// t:upgrade "other.lua": the job goes on as another file says, on what it has stored.
//
//   t:upgrade("v2.lua")                        as a start with that file; the test fails if the
//                                              change asks for more
//   t:upgrade("v2.lua", { from_now = true })   as with --from-now
//   t:upgrade("v2.lua", { drop = true })       as with --yes
//   t:upgrade("v2.lua", { refused = "text" })  it must be refused, for a reason that the Lua
//                                              pattern finds; the job is started again as it was
//
// The file is looked for beside the test's, one folder up, and where leat was started. A file with
// another version number is another database, made from the start of its topics beside this one:
// that is no upgrade of what is stored, and not done here.
#include <stdio.h>

#include "runtime/base/suggest.h"
#include "scripts/host/testing.h"
#include "scripts/host/values.h"

struct upgrade {
    struct driver_version to;
    const char *refused; // the pattern; NULL: it must succeed
};

static void take_options(lua_State *L, struct upgrade *u)
{
    static const char *const known[] = {"from_now", "drop", "refused"};

    if (lua_isnoneornil(L, 3))
        return;
    test_options(L, 3, "t:upgrade", known, ARRAY_LEN(known));
    (void)lua_getfield(L, 3, "from_now");
    u->to.from_now = lua_toboolean(L, -1);
    (void)lua_getfield(L, 3, "drop");
    u->to.drop = lua_toboolean(L, -1);
    if (lua_getfield(L, 3, "refused") != LUA_TNIL)
        u->refused = luaL_checkstring(L, -1);
}

// The places where a file may be, NULL behind the last.
static const char *place(lua_State *L, struct testing *t, int i, const char *name)
{
    const char *file = host_of(L)->file, *slash = strrchr(file, '/');
    int folder = slash != NULL ? (int)(slash - file) + 1 : 0;

    if (i == 0)
        return arena_printf(&t->arena, "%.*s%s", folder, file, name);
    if (i == 1)
        return arena_printf(&t->arena, "%.*s../%s", folder, file, name);
    return i == 2 ? name : NULL;
}

static struct plan *load(lua_State *L, struct testing *t, const char *name)
{
    struct script_options o = t->options->script;
    struct plan *p = NULL;
    struct err e = {0};
    int rc = LEAT_ENOTFOUND;

    o.text = BYTES_NULL;
    o.operators = t->options->operators;
    for (int i = 0; rc == LEAT_ENOTFOUND && (o.file = place(L, t, i, name)) != NULL; i++)
        rc = script_load(&p, &o, &e);
    if (rc == LEAT_ENOTFOUND)
        test_fails(L, t, "t:upgrade", arena_printf(&t->arena, "there is no file %s", name));
    if (rc != 0)
        test_fails(L, t, "t:upgrade", e.text);
    test_keep_plan(t, p);
    if (strcmp(p->job, t->plan->job) != 0)
        test_fails(L, t, "t:upgrade",
                   arena_printf(&t->arena, "%s is job %s, not %s", name, p->job, t->plan->job));
    if (p->version != t->plan->version)
        test_fails(L, t, "t:upgrade",
                   arena_printf(&t->arena,
                                "%s is version %d: it is built beside version %d from the start of "
                                "its topics, and takes over nothing that a test could look at",
                                name, p->version, t->plan->version));
    return p;
}

static void check_refusal(lua_State *L, struct testing *t, const struct upgrade *u,
                          const struct err *e)
{
    if (u->refused == NULL)
        test_fails(L, t, "t:upgrade", e->text);
    if (!test_finds(L, "t:upgrade", u->refused, e->text))
        test_fails(L, t, "t:upgrade is refused for another reason", e->text);
}

int test_upgrade(lua_State *L)
{
    struct testing *t = test_of(L);
    const char *name = luaL_checkstring(L, 2);
    struct upgrade u = {0};
    struct act act = {.kind = ACT_UPGRADE};
    struct err e = {0};
    int rc;

    lua_settop(L, 3);
    test_not_in_batch(L, t, "t:upgrade");
    test_runs(L, t);
    take_options(L, &u);
    u.to.plan = load(L, t, name);
    rc = driver_upgrade(t->driver, &u.to, &e);
    if (rc == 0) {
        t->plan = u.to.plan;
        act.to = u.to;
    } else {
        act.kind = ACT_RESTART; // which is all that has happened
    }
    test_note(L, t, &act);
    if (rc != 0)
        check_refusal(L, t, &u, &e);
    else if (u.refused != NULL)
        test_fails(L, t, "t:upgrade", "it was expected to be refused, and is not");
    test_perform(L, t, &(struct act){.kind = ACT_RUN});
    return 0;
}
