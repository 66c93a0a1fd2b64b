// SPDX-License-Identifier: Apache-2.0
//
// The string library, bounded. What the stock library does in time linear to its arguments is taken
// from it as it is; what can loop in C without end (rep, find, match, gmatch, gsub) and what shows
// addresses (format) is ours.
//
// One call of a pattern function may take STEPS_BASE steps plus some per byte of its subject: about
// a tenth of a second at worst. The hook stops a loop of such calls.
#include "scripts/host/host.h"

#include <lualib.h>

#include "runtime/base/limits.h"
#include "scripts/host/pattern.h"

#define STEPS_BASE 4000000
#define STEPS_PER_BYTE 8

struct search {
    const struct pattern *p;
    struct bytes subject;
    struct pattern_match m;
    int64_t steps;
};

static int string_rep(lua_State *L)
{
    size_t n, n_sep;
    const char *s = luaL_checklstring(L, 1, &n);
    lua_Integer times = luaL_checkinteger(L, 2);
    const char *sep = luaL_optlstring(L, 3, "", &n_sep);
    size_t total, done;
    luaL_Buffer b;
    char *p;

    if (times <= 0 || n + n_sep == 0) {
        lua_pushliteral(L, "");
        return 1;
    }
    if ((uint64_t)times > TEXT_BYTES_MAX / (n + n_sep))
        return luaL_error(L, "string.rep: the result would be larger than %d bytes",
                          TEXT_BYTES_MAX);
    total = (size_t)times * (n + n_sep);
    p = luaL_buffinitsize(L, &b, total);
    memcpy(p, s, n);
    memcpy(p + n, sep, n_sep);
    for (done = n + n_sep; done < total; done *= 2) // copies what is there behind itself
        memcpy(p + done, p, done < total - done ? done : total - done);
    luaL_pushresultsize(&b, total - n_sep);
    return 1;
}

// Compiles the pattern at stack index i; its memory is a userdata pushed on the stack.
static const struct pattern *push_pattern(lua_State *L, int i)
{
    struct bytes text;
    struct pattern *p;
    struct err e = {0};

    (void)luaL_checkstring(L, i);
    text = lua_bytes(L, i);
    if (text.n > EXPR_BYTES_MAX)
        luaL_error(L, "the pattern is longer than %d bytes", EXPR_BYTES_MAX);
    p = lua_newuserdatauv(L, pattern_size(text), 0);
    if (pattern_compile(p, text, &e) != 0)
        luaL_error(L, "%s", e.text);
    return p;
}

static bool search_next(lua_State *L, struct search *s, size_t from)
{
    struct err e = {0};
    int rc = pattern_find(s->p, s->subject, from, &s->steps, &s->m, &e);

    if (rc == LEAT_EBUDGET)
        host_raise_class(L, LEAT_EBUDGET, "%s", e.text);
    if (rc < 0)
        luaL_error(L, "%s", e.text);
    return rc == 1;
}

static void search_init(struct search *s, const struct pattern *p, struct bytes subject)
{
    s->p = p;
    s->subject = subject;
    s->steps = STEPS_BASE + (int64_t)subject.n * STEPS_PER_BYTE;
}

// Capture i; with no captures at all, 0 stands for the whole match.
static void push_capture(lua_State *L, const struct search *s, int i)
{
    const struct pattern_capture *c = &s->m.captures[i];

    if (s->m.n_captures == 0 && i == 0)
        lua_pushlstring(L, (const char *)s->subject.p + s->m.start, s->m.end - s->m.start);
    else if (i >= s->m.n_captures)
        luaL_error(L, "invalid capture index %%%d", i + 1);
    else if (c->n == CAPTURE_POSITION)
        lua_pushinteger(L, (lua_Integer)c->pos + 1);
    else
        lua_pushlstring(L, (const char *)s->subject.p + c->pos, (size_t)c->n);
}

static int push_captures(lua_State *L, const struct search *s, bool whole_if_none)
{
    int n = s->m.n_captures == 0 && whole_if_none ? 1 : s->m.n_captures;

    luaL_checkstack(L, n, "too many captures");
    for (int i = 0; i < n; i++)
        push_capture(L, s, i);
    return n;
}

// The start position, from 0; subject.n + 1 when it lies behind the end.
static size_t init_position(lua_State *L, int i, size_t n)
{
    lua_Integer init = luaL_optinteger(L, i, 1);

    if (init < 0)
        init = init < -(lua_Integer)n ? 1 : (lua_Integer)n + init + 1;
    if (init == 0)
        init = 1;
    return (uint64_t)init > n + 1 ? n + 1 : (size_t)init - 1;
}

static int find_plain(lua_State *L, struct bytes s, struct bytes what, size_t from)
{
    const uint8_t *hit = what.n == 0 ? s.p + from : memmem(s.p + from, s.n - from, what.p, what.n);

    if (hit == NULL) {
        lua_pushnil(L);
        return 1;
    }
    lua_pushinteger(L, hit - s.p + 1);
    lua_pushinteger(L, hit - s.p + (lua_Integer)what.n);
    return 2;
}

static bool has_specials(struct bytes p)
{
    for (size_t i = 0; i < p.n; i++) {
        if (p.p[i] != 0 && strchr("^$*+?.([%-)]", p.p[i]) != NULL)
            return true;
    }
    return false;
}

static int find_or_match(lua_State *L, bool find)
{
    struct bytes s, pattern;
    struct search x;
    size_t from;

    (void)luaL_checkstring(L, 1);
    (void)luaL_checkstring(L, 2);
    s = lua_bytes(L, 1);
    pattern = lua_bytes(L, 2);
    from = init_position(L, 3, s.n);
    if (from > s.n) {
        lua_pushnil(L);
        return 1;
    }
    if (find && (lua_toboolean(L, 4) || !has_specials(pattern)))
        return find_plain(L, s, pattern, from);
    search_init(&x, push_pattern(L, 2), s);
    if (!search_next(L, &x, from)) {
        lua_pushnil(L);
        return 1;
    }
    if (!find)
        return push_captures(L, &x, true);
    lua_pushinteger(L, (lua_Integer)x.m.start + 1);
    lua_pushinteger(L, (lua_Integer)x.m.end);
    return 2 + push_captures(L, &x, false);
}

static int string_find(lua_State *L)
{
    return find_or_match(L, true);
}

static int string_match(lua_State *L)
{
    return find_or_match(L, false);
}

// Upvalues: subject, compiled pattern, next position (from 0), end of the last match or -1.
static int gmatch_next(lua_State *L)
{
    size_t from = (size_t)lua_tointeger(L, lua_upvalueindex(3));
    lua_Integer last = lua_tointeger(L, lua_upvalueindex(4));
    struct search s;

    search_init(&s, lua_touserdata(L, lua_upvalueindex(2)), lua_bytes(L, lua_upvalueindex(1)));
    while (from <= s.subject.n && search_next(L, &s, from)) {
        if ((lua_Integer)s.m.end == last) { // an empty match where the last one ended
            if (pattern_anchored(s.p))
                break;
            from = s.m.start + 1;
            continue;
        }
        lua_pushinteger(L, (lua_Integer)s.m.end);
        lua_copy(L, -1, lua_upvalueindex(3));
        lua_replace(L, lua_upvalueindex(4));
        return push_captures(L, &s, true);
    }
    lua_pushinteger(L, (lua_Integer)s.subject.n + 1);
    lua_replace(L, lua_upvalueindex(3));
    return 0;
}

static int string_gmatch(lua_State *L)
{
    size_t from;

    (void)luaL_checkstring(L, 1);
    (void)luaL_checkstring(L, 2);
    from = init_position(L, 3, lua_bytes(L, 1).n);
    lua_pushvalue(L, 1);
    (void)push_pattern(L, 2);
    lua_pushinteger(L, (lua_Integer)from);
    lua_pushinteger(L, -1);
    lua_pushcclosure(L, gmatch_next, 4);
    return 1;
}

// %0 the whole match, %1..%9 captures, %% a percent sign.
static void add_template(lua_State *L, luaL_Buffer *b, const struct search *s, int i)
{
    size_t n;
    const char *t = lua_tolstring(L, i, &n);

    for (size_t k = 0; k < n; k++) {
        if (t[k] != '%') {
            luaL_addchar(b, t[k]);
            continue;
        }
        k++;
        if (k < n && t[k] == '%') {
            luaL_addchar(b, '%');
        } else if (k < n && t[k] == '0') {
            luaL_addlstring(b, (const char *)s->subject.p + s->m.start, s->m.end - s->m.start);
        } else if (k < n && t[k] >= '1' && t[k] <= '9') {
            push_capture(L, s, t[k] - '1');
            (void)luaL_tolstring(L, -1, NULL); // a position is a number
            lua_remove(L, -2);
            luaL_addvalue(b);
        } else {
            luaL_error(L, "invalid use of '%%' in replacement string");
        }
    }
}

static void add_replacement(lua_State *L, luaL_Buffer *b, const struct search *s)
{
    int type = lua_type(L, 3);

    if (type == LUA_TSTRING || type == LUA_TNUMBER) {
        add_template(L, b, s, 3);
        return;
    }
    if (type == LUA_TTABLE) {
        push_capture(L, s, 0);
        lua_gettable(L, 3);
    } else {
        lua_pushvalue(L, 3);
        lua_call(L, push_captures(L, s, true), 1);
    }
    if (!lua_toboolean(L, -1)) { // keep the original
        lua_pop(L, 1);
        luaL_addlstring(b, (const char *)s->subject.p + s->m.start, s->m.end - s->m.start);
    } else if (!lua_isstring(L, -1)) {
        luaL_error(L, "invalid replacement value (a %s)", luaL_typename(L, -1));
    } else {
        luaL_addvalue(b);
    }
}

static void gsub_loop(lua_State *L, struct search *s, lua_Integer max, lua_Integer *count)
{
    struct bytes t = s->subject;
    size_t done = 0, from = 0; // copied up to; search from
    size_t last = SIZE_MAX;    // end of the last match
    luaL_Buffer b;

    luaL_buffinit(L, &b);
    while (*count < max && from <= t.n && search_next(L, s, from)) {
        if (s->m.end == last) { // empty, where the last one ended
            from = s->m.start + 1;
            continue;
        }
        luaL_addlstring(&b, (const char *)t.p + done, s->m.start - done);
        add_replacement(L, &b, s);
        if (luaL_bufflen(&b) > TEXT_BYTES_MAX)
            luaL_error(L, "string.gsub: the result is larger than %d bytes", TEXT_BYTES_MAX);
        done = last = s->m.end;
        from = s->m.end;
        ++*count;
        if (pattern_anchored(s->p))
            break;
    }
    luaL_addlstring(&b, (const char *)t.p + done, t.n - done);
    luaL_pushresult(&b);
}

static int string_gsub(lua_State *L)
{
    struct search s;
    lua_Integer max, count = 0;
    int type = lua_type(L, 3);

    (void)luaL_checkstring(L, 1);
    luaL_argexpected(L,
                     type == LUA_TNUMBER || type == LUA_TSTRING || type == LUA_TTABLE ||
                         type == LUA_TFUNCTION,
                     3, "string/function/table");
    search_init(&s, NULL, lua_bytes(L, 1));
    max = luaL_optinteger(L, 4, (lua_Integer)s.subject.n + 1);
    s.p = push_pattern(L, 2);
    gsub_loop(L, &s, max, &count);
    lua_pushinteger(L, count);
    return 2;
}

// string.format with %s going through our tostring and %p refused.
static int string_format(lua_State *L)
{
    int n_args = lua_gettop(L);
    const char *f = luaL_checkstring(L, 1);
    int arg = 1;

    for (; *f != 0; f++) {
        if (*f != '%')
            continue;
        f++;
        if (*f == '%')
            continue;
        f += strspn(f, "-+ #0123456789.");
        arg++;
        if (*f == 'p')
            return luaL_error(L, "string.format: '%%p' is not available (addresses differ)");
        if (*f == 's' && arg <= n_args && lua_type(L, arg) != LUA_TSTRING) {
            lib_tostring(L, arg);
            lua_replace(L, arg);
        }
        if (*f == 0)
            break;
    }
    host_push_key(L, KEY_FORMAT);
    lua_insert(L, 1);
    lua_call(L, n_args, 1);
    return 1;
}

void lib_string_open(lua_State *L)
{
    static const char *const allowed[] = {"byte", "char",   "len",   "lower",    "pack", "reverse",
                                          "sub",  "unpack", "upper", "packsize", NULL};
    static const luaL_Reg ours[] = {
        {"rep", string_rep},
        {"find", string_find},
        {"match", string_match},
        {"gmatch", string_gmatch},
        {"gsub", string_gsub},
        {"format", string_format},
        {NULL, NULL},
    };

    lua_newtable(L);
    lua_pushcfunction(L, luaopen_string); // also gives strings their metatable
    lua_call(L, 0, 1);                    // [words, ours, stock]
    lib_allow(L, allowed);
    lua_getfield(L, -1, "format");
    host_set_key(L, KEY_FORMAT);
    lua_pop(L, 1);
    luaL_setfuncs(L, ours, 0); // [words, ours]
    lua_pushliteral(L, "");
    (void)lua_getmetatable(L, -1); // [words, ours, "", meta]
    lua_pushvalue(L, -3);
    lua_setfield(L, -2, "__index"); // arithmetic on strings stays as it is in Lua
    lua_pushboolean(L, false);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 2); // [words, ours]
    lua_setfield(L, -2, "string");
}
