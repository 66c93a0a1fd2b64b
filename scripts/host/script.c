// SPDX-License-Identifier: Apache-2.0
//
// Loading a job file:
//
//   source text -> fresh state, prelude -> the file runs once -> description (Lua tables)
//     -> checked and frozen functions -> plan_read -> plan_finish
//
// Only text is loaded, never bytecode. After the file has run nothing in it may change: assignments
// to outside variables in functions are refused with their line, tables they can reach are frozen.
#include "scripts/script.h"

#include "runtime/base/heap.h"
#include "runtime/base/limits.h"
#include "scripts/host/context.h"
#include "scripts/host/script_host.h"
#include "scripts/host/source.h"

void script_load_text(lua_State *L, struct bytes source, const char *file)
{
    lua_pushfstring(L, "@%s", file);
    if (luaL_loadbufferx(L, (const char *)source.p, source.n, lua_tostring(L, -1), "t") != LUA_OK)
        lua_error(L);
    lua_remove(L, -2);
    host_push_key(L, KEY_ENV);
    (void)lua_setupvalue(L, -2, 1);
}

// --- running the file ---

static int run_file(lua_State *L)
{
    struct script *s = lua_touserdata(L, 1);
    int functions, n;

    words_open(L);
    script_fn_open(L);
    modules_open(L);
    script_load_text(L, s->source, s->host.file);
    lua_call(L, 0, 1);
    s->host.loading = false;
    host_push_key(L, KEY_FINISH);
    lua_insert(L, -2);
    lua_pushstring(L, s->tests_of); // nil for NULL
    lua_call(L, 2, 1);
    host_set_key(L, KEY_PLAN);
    host_push_key(L, KEY_FUNCTIONS);
    functions = lua_gettop(L);
    n = (int)lua_rawlen(L, functions);
    for (int i = 1; i <= n; i++) {
        (void)lua_rawgeti(L, functions, i);
        freeze_function(L, lua_gettop(L));
        lua_settop(L, functions);
    }
    ASSERT(s->n_functions == 0 || s->n_functions == n); // a second run gives the same numbers
    s->n_functions = n;
    return 0;
}

int script_run_file(struct script *s, struct err *e)
{
    int rc;

    host_close(&s->host);
    rc = host_open(&s->host, s->time_ms, e);
    if (rc != 0)
        return rc;
    s->host.loading = true;
    rc = host_run(&s->host, run_file, s, 0, e);
    s->host.loading = false;
    if (rc == LEAT_ELUA && e != NULL)
        e->code = LEAT_ELOAD;
    return rc == LEAT_ELUA ? LEAT_ELOAD : rc;
}

// --- the script ---

static const char *const *copy_params(struct arena *a, const char *const *params)
{
    const char **copy;
    size_t n = 0;

    while (params != NULL && params[n] != NULL)
        n++;
    copy = arena_zalloc(a, (n + 1) * sizeof(*copy));
    for (size_t i = 0; i < n; i++)
        copy[i] = arena_strdup(a, params[i]);
    return copy;
}

static int read_source(struct script *s, const char *path, struct err *e)
{
    uint8_t *p = arena_alloc(&s->arena, JOB_SOURCE_BYTES_MAX + 1);

    s->source.p = p;
    return source_read(path, p, JOB_SOURCE_BYTES_MAX + 1, &s->source.n, e);
}

int script_new(struct script **out, const struct script_options *o, struct err *e)
{
    struct script *s = heap_zalloc(sizeof(*s));
    int rc = 0;

    arena_init(&s->arena);
    s->time_ms = LUA_TIME_MS_MAX;
    s->host.file = arena_strdup(&s->arena, o->file);
    s->host.params = copy_params(&s->arena, o->params);
    s->tests_of = o->tests_of != NULL ? arena_strdup(&s->arena, o->tests_of) : NULL;
    if (!bytes_is_null(o->text))
        s->source = arena_copy(&s->arena, o->text);
    else
        rc = read_source(s, o->file, e);
    if (rc == 0 && s->source.n > JOB_SOURCE_BYTES_MAX)
        rc = err_set(e, LEAT_ELOAD, "%s: the file has %zu bytes; a job may have %d", o->file,
                     s->source.n, JOB_SOURCE_BYTES_MAX);
    if (rc != 0) {
        script_free(s);
        return rc;
    }
    *out = s;
    return 0;
}

void script_free(void *script)
{
    struct script *s = script;

    if (s == NULL)
        return;
    host_close(&s->host);
    actions_free(s->host.actions);
    arena_deinit(&s->arena);
    heap_free(s);
}

int script_load(struct plan **out, const struct script_options *o, struct err *e)
{
    struct script *s;
    struct plan *p;
    int rc = script_new(&s, o, e);

    if (rc != 0)
        return rc;
    p = plan_new(s->host.file);
    p->owner = s;
    p->owner_free = script_free;
    rc = script_run_file(s, e);
    if (rc == 0)
        rc = plan_read(s, p, e);
    if (rc == 0) {
        s->host.plan = p;
        rc = plan_finish(p, e);
    }
    if (rc == 0 && o->operators != NULL)
        rc = plan_check_operators(p, o->operators, e);
    if (rc != 0) {
        plan_free(p);
        return rc;
    }
    *out = p;
    return 0;
}
