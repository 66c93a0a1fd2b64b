// SPDX-License-Identifier: Apache-2.0
//
// A Lua state under limits.
//
// Memory: the allocator counts and refuses past memory_max; Lua then collects once more and raises
// "not enough memory". Time: the watchdog arms a hook that raises. After either the state is
// `spent`: its heap may be full and its hook armed for good, so it is thrown away (function.c makes
// a new one from the same source).
//
// Errors, by who may catch them:
//
//   class     raised as plain text with file:line; pcall catches it. If it comes out of the job
//             unchanged it still carries its class (missing, constraint, ...): the text is kept in
//             the registry and compared by identity.
//   fatal     time, memory, the machine's troubles: `fatal` is set outside Lua and stays set; every
//             pcall, xpcall and sort of ours looks at it and raises again.
//   others    class lua.
#include "scripts/host/host.h"

#include <stdarg.h>
#include <stdio.h>

#include "runtime/base/heap.h"
#include "runtime/base/limits.h"
#include "runtime/engine/fn.h"
#include "scripts/host/watchdog.h"

const char host_keys[KEYS];

static void *host_alloc(void *ud, void *p, size_t was, size_t n)
{
    struct host *h = ud;
    void *q;

    if (p == NULL)
        was = 0; // it is a type tag then
    if (n == 0) {
        heap_free(p);
        h->memory_used -= was;
        return NULL;
    }
    if (n > was && h->memory_used - was + n > h->memory_max)
        return NULL;
    q = heap_try_realloc(p, n);
    if (q == NULL)
        return n <= was ? p : NULL; // Lua relies on shrinking
    h->memory_used += n - was;
    return q;
}

static int on_panic(lua_State *L)
{
    (void)L;
    UNREACHABLE("a Lua error outside of a protected call");
}

static void on_expired(lua_State *L, void *ar)
{
    (void)ar;
    host_raise_fatal(L, LEAT_EBUDGET, "runs longer than its time limit");
}

void host_push_key(lua_State *L, enum host_key k)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &host_keys[k]);
}

void host_set_key(lua_State *L, enum host_key k)
{
    lua_rawsetp(L, LUA_REGISTRYINDEX, &host_keys[k]);
}

int host_line(lua_State *L)
{
    lua_Debug ar;

    for (int level = 0; lua_getstack(L, level, &ar); level++) {
        lua_getinfo(L, "Sl", &ar);
        if (ar.source[0] == '@' && ar.currentline > 0)
            return ar.currentline;
    }
    return 0;
}

// "jobs/a.lua:12: " of the innermost job code that runs; empty outside of it.
static void write_where(lua_State *L, char *out, size_t n)
{
    lua_Debug ar;

    out[0] = 0;
    for (int level = 0; lua_getstack(L, level, &ar); level++) {
        lua_getinfo(L, "Sl", &ar);
        if (ar.source[0] == '@' && ar.currentline > 0) {
            (void)snprintf(out, n, "%s:%d: ", ar.source + 1, ar.currentline);
            return;
        }
    }
}

static void push_where(lua_State *L)
{
    char where[ERR_TEXT_MAX];

    write_where(L, where, sizeof(where));
    lua_pushstring(L, where);
}

void host_raise_fatal(lua_State *L, int code, const char *fmt, ...)
{
    struct host *h = host_of(L);
    char *text = h->fatal_err.text;
    size_t n;
    va_list ap;

    if (h->fatal == 0) {
        h->fatal = code;
        h->fatal_err.code = code;
        write_where(L, text, ERR_TEXT_MAX / 2);
        n = strlen(text);
        va_start(ap, fmt);
        (void)vsnprintf(text + n, ERR_TEXT_MAX - n, fmt, ap);
        va_end(ap);
    }
    lua_pushlightuserdata(L, &h->fatal); // no allocation on this path
    lua_error(L);
    UNREACHABLE("lua_error returned");
}

void host_raise_class(lua_State *L, int code, const char *fmt, ...)
{
    char text[ERR_TEXT_MAX];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    push_where(L);
    lua_pushstring(L, text);
    lua_concat(L, 2);
    lua_pushvalue(L, -1);
    host_set_key(L, KEY_LAST_ERROR);
    host_of(L)->error_class = code;
    lua_error(L);
    UNREACHABLE("lua_error returned");
}

static bool is_record_class(int code)
{
    switch (code) {
    case LEAT_EDECODE:
    case LEAT_ESCHEMA:
    case LEAT_ENUMBER:
    case LEAT_ETYPE:
    case LEAT_ETIME:
    case LEAT_EKEY:
    case LEAT_ELUA:
    case LEAT_ECONSTRAINT:
    case LEAT_EMISSING:
    case LEAT_EHISTORY:
    case LEAT_EINVAL:
    case LEAT_ESQL:
        return true;
    default:
        return false;
    }
}

void host_raise_err(lua_State *L, const struct err *e)
{
    if (is_record_class(e->code))
        host_raise_class(L, e->code == LEAT_EINVAL || e->code == LEAT_ESQL ? LEAT_ELUA : e->code,
                         "%s", e->text);
    host_raise_fatal(L, e->code, "%s", e->text);
}

void host_check_fatal(lua_State *L, int status)
{
    struct host *h = host_of(L);

    if (status == LUA_ERRMEM)
        host_raise_fatal(L, LEAT_EBUDGET, "uses more than its memory limit");
    if (h->fatal != 0)
        host_raise_fatal(L, h->fatal, "stopped");
}

void host_check_results(lua_State *L)
{
    struct host *h = host_of(L);

    if (h->call != NULL && h->call->arena->used - h->arena_before > CALL_RESULT_BYTES_MAX)
        host_raise_fatal(L, LEAT_EBUDGET, "what it reads, writes and emits is more than %d MiB",
                         CALL_RESULT_BYTES_MAX >> 20);
}

void host_check_time(lua_State *L)
{
    struct host *h = host_of(L);

    if (watchdog_expired(h->watchdog))
        on_expired(L, NULL);
}

void host_clean_text(char *s, size_t n)
{
    size_t len = strnlen(s, n);

    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)s[i] < ' ' && s[i] != '\n')
            s[i] = '?';
    }
    if (bytes_is_utf8(bytes_of(s, len)))
        return;
    while (len > 0 && ((unsigned char)s[len - 1] & 0xC0) == 0x80) // a character that was cut
        len--;
    if (len > 0 && ((unsigned char)s[len - 1] & 0x80) != 0)
        s[--len] = 0;
    s[len] = 0;
    for (size_t i = 0; i < len && !bytes_is_utf8(bytes_of(s, len)); i++) {
        if ((unsigned char)s[i] >= 0x80)
            s[i] = '?';
    }
}

// "name:12: ...", as Lua and the prelude write it.
static bool has_position(const char *s)
{
    const char *colon = strchr(s, ':');
    size_t digits = colon != NULL ? strspn(colon + 1, "0123456789") : 0;

    return digits > 0 && colon[1 + digits] == ':' && colon[2 + digits] == ' ' &&
           strcspn(s, " \n") > (size_t)(colon - s);
}

// Turns whatever was raised into text that begins with the job's file and line. Runs at the point
// of the error, so the lines are still there.
static int on_error(lua_State *L)
{
    struct host *h = host_of(L);
    size_t n = 0;
    const char *s;

    if (h->fatal != 0)
        return 1;
    host_push_key(L, KEY_LAST_ERROR);
    h->has_class = lua_type(L, 1) == LUA_TSTRING && lua_rawequal(L, 1, -1);
    lua_settop(L, 1); // [error]
    if (h->has_class)
        return 1;
    if (lua_type(L, 1) == LUA_TNIL)
        lua_pushliteral(L, "error with no message");
    else if (lua_type(L, 1) == LUA_TSTRING)
        lua_pushvalue(L, 1);
    else
        lib_tostring(L, 1); // [error, text]
    if (lua_type(L, 1) == LUA_TTABLE && strcmp(lua_tostring(L, 2), "table") == 0) {
        lua_pushliteral(L, "error with a table: it takes a text that says what is wrong");
        lua_replace(L, 2);
    }
    s = lua_tolstring(L, 2, &n);
    if (n > ERR_TEXT_MAX) { // a message of megabytes must not be copied again
        lua_pushlstring(L, s, ERR_TEXT_MAX);
        lua_replace(L, 2);
        s = lua_tostring(L, 2);
    }
    if (has_position(s))
        return 1;
    push_where(L);
    lua_insert(L, 2); // [error, where, text]
    lua_concat(L, 2);
    return 1;
}

static int translate(struct host *h, int status, struct err *e)
{
    lua_State *L = h->L;
    int code = h->has_class ? h->error_class : LEAT_ELUA;
    const char *s;

    if (h->fatal != 0) {
        code = h->fatal;
        h->spent = h->spent || code == LEAT_EBUDGET;
        (void)err_set(e, code, "%s", h->fatal_err.text);
    } else if (status == LUA_ERRMEM) {
        code = LEAT_EBUDGET;
        h->spent = true;
        (void)err_set(e, code, "%s: uses more than %zu bytes of memory",
                      h->file != NULL ? h->file : "script", h->memory_max);
    } else {
        s = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "error in error handling";
        (void)err_set(e, code, "%s", s);
        if (e != NULL)
            host_clean_text(e->text, sizeof(e->text));
    }
    return code;
}

// The stack is [.., handler, function, args...]; the handler's place is given.
static int protected_call(struct host *h, int handler, int n_args, int n_results, struct err *e)
{
    lua_State *L = h->L;
    int status, rc;

    ASSERT(!h->spent);
    h->fatal = 0;
    h->has_class = false;
    watchdog_enter(h->watchdog, L);
    status = lua_pcall(L, n_args, n_results, handler);
    watchdog_leave(h->watchdog);
    // A job whose __close or error handler swallowed the sentinel is over all the same.
    if (status == LUA_OK && h->fatal != 0)
        status = LUA_ERRRUN;
    if (status != LUA_OK) {
        rc = translate(h, status, e);
        lua_settop(L, handler - 1);
        return rc;
    }
    if (n_results == 0)
        lua_settop(L, handler - 1);
    else
        lua_remove(L, handler);
    return 0;
}

int host_call(struct host *h, int n_args, int n_results, struct err *e)
{
    int base = lua_gettop(h->L) - n_args; // where the function is

    lua_pushcfunction(h->L, on_error);
    lua_insert(h->L, base);
    return protected_call(h, base, n_args, n_results, e);
}

int host_run(struct host *h, lua_CFunction f, void *arg, int n_results, struct err *e)
{
    lua_State *L = h->L;

    ASSERT(lua_checkstack(L, 8));
    lua_pushcfunction(L, on_error); // light C functions and userdata allocate nothing
    lua_pushcfunction(L, f);
    lua_pushlightuserdata(L, arg);
    return protected_call(h, lua_gettop(L) - 2, 1, n_results, e);
}

int host_run_kept(struct host *h, enum host_key k, void *arg, struct err *e)
{
    lua_State *L = h->L;

    ASSERT(lua_checkstack(L, 8));
    lua_pushcfunction(L, on_error);
    host_push_key(L, k);
    lua_pushlightuserdata(L, arg);
    return protected_call(h, lua_gettop(L) - 2, 1, 0, e);
}

static int open_environment(lua_State *L)
{
    lua_gc(L, LUA_GCGEN, 0, 0);
    sandbox_open(L);
    return 0;
}

int host_open(struct host *h, int64_t time_ms, struct err *e)
{
    int rc;

    h->memory_used = 0;
    if (h->memory_max == 0)
        h->memory_max = LUA_MEMORY_MAX;
    h->spent = false;
    h->watchdog = watchdog_new((void (*)(lua_State *, void *))on_expired, time_ms, e);
    if (h->watchdog == NULL)
        return e != NULL ? e->code : LEAT_ENOMEM;
    h->L = lua_newstate(host_alloc, h);
    if (h->L == NULL) {
        rc = err_set(e, LEAT_ENOMEM, "not enough memory for a Lua state");
        host_close(h);
        return rc;
    }
    *(struct host **)lua_getextraspace(h->L) = h;
    lua_atpanic(h->L, on_panic);
    rc = host_run(h, open_environment, NULL, 0, e);
    if (rc != 0)
        host_close(h);
    return rc;
}

void host_close(struct host *h)
{
    if (h->L != NULL)
        lua_close(h->L); // there are no finalizers that could raise
    h->L = NULL;
    watchdog_free(h->watchdog);
    h->watchdog = NULL;
}
