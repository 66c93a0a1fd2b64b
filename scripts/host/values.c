// SPDX-License-Identifier: Apache-2.0
//
// Lua values and engine values, both ways.
//
//   Lua                          engine
//   nil                          missing
//   null                         null
//   integer, float, boolean      the same; NaN and infinity are refused
//   string                       text if it is UTF-8, else bytes
//   table with keys 1..n         array
//   table with text keys, or {}  object, members sorted by name (a Lua table has no order)
//   array {…}                    array, also when empty
//   view                         what it views, as its original bytes where untouched
//
// A table may hold another several times, so its size as a value has no relation to its size in
// Lua: items and bytes are counted against a budget, depth against VALUE_DEPTH_MAX (which also ends
// cycles).
#include "scripts/host/values.h"

#include <math.h>

#include "runtime/base/datetime.h"
#include "runtime/base/limits.h"
#include "scripts/host/host.h"

#define TAKE_ITEMS_MAX 1000000
#define SMALL_OBJECT_MAX 16

static const char null_tag;

struct take {
    lua_State *L;
    struct arena *arena;
    size_t items, bytes;
    int depth;
};

void *value_null(void)
{
    return (void *)&null_tag;
}

static void take_any(struct take *t, int i, struct value *out);

static void check_budget(const struct take *t)
{
    if (t->items > TAKE_ITEMS_MAX)
        host_raise_class(t->L, LEAT_ETYPE, "a value has more than %d parts", TAKE_ITEMS_MAX);
    if (t->bytes > TEXT_BYTES_MAX)
        host_raise_class(t->L, LEAT_ETYPE, "a value is larger than %d bytes", TEXT_BYTES_MAX);
}

static void take_text(struct take *t, int i, struct value *out)
{
    struct bytes s = lua_bytes(t->L, i);

    t->bytes += s.n;
    check_budget(t);
    out->type = bytes_is_utf8(s) ? VALUE_TEXT : VALUE_BYTES;
    out->s = arena_copy(t->arena, s);
}

static void take_array(struct take *t, int i, size_t n, struct value *out)
{
    struct value_array *a = arena_alloc(t->arena, sizeof(*a));

    a->n = n;
    a->items = arena_alloc(t->arena, (n > 0 ? n : 1) * sizeof(*a->items));
    for (size_t k = 0; k < n; k++) {
        (void)lua_rawgeti(t->L, i, (lua_Integer)k + 1);
        take_any(t, lua_gettop(t->L), &a->items[k]);
        if (a->items[k].type == VALUE_MISSING)
            host_raise_class(t->L, LEAT_ETYPE,
                             "a list has a hole at %zu; write null for a missing element", k + 1);
        lua_pop(t->L, 1);
    }
    *out = (struct value){.type = VALUE_ARRAY, .array = a};
}

// [.., keys] with n text keys in order.
static void take_object(struct take *t, int i, int keys, size_t n, struct value *out)
{
    struct value_object *o = arena_alloc(t->arena, sizeof(*o));

    o->n = n;
    o->names = arena_alloc(t->arena, (n > 0 ? n : 1) * sizeof(*o->names));
    o->values = arena_alloc(t->arena, (n > 0 ? n : 1) * sizeof(*o->values));
    for (size_t k = 0; k < n; k++) {
        struct value name;
        if (lua_rawgeti(t->L, keys, (lua_Integer)k + 1) != LUA_TSTRING)
            host_raise_class(t->L, LEAT_ETYPE,
                             "a table must be a list or an object, not both: it has the key %s "
                             "beside text",
                             luaL_tolstring(t->L, -1, NULL));
        take_text(t, lua_gettop(t->L), &name);
        o->names[k] = name.s;
        (void)lua_rawget(t->L, i); // [.., value]
        take_any(t, lua_gettop(t->L), &o->values[k]);
        lua_pop(t->L, 1);
    }
    *out = (struct value){.type = VALUE_OBJECT, .object = o};
}

struct member {
    struct bytes name; // Lua's, until copied
    struct value value;
};

// Lua's order is no order: by name, as they come.
static void member_place(struct member *m, size_t n, const struct member *x)
{
    size_t k;

    for (k = n; k > 0 && bytes_cmp(x->name, m[k - 1].name) < 0; k--)
        m[k] = m[k - 1];
    m[k] = *x;
}

// What needs no look at a metatable and raises nothing; a text stays Lua's.
static bool take_scalar(lua_State *L, int i, struct value *out)
{
    switch (lua_type(L, i)) {
    case LUA_TBOOLEAN:
        *out = value_bool(lua_toboolean(L, i));
        return true;
    case LUA_TNUMBER:
        *out = lua_isinteger(L, i) ? value_int(lua_tointeger(L, i))
                                   : value_float(lua_tonumber(L, i));
        return out->type == VALUE_INT || isfinite(out->f);
    case LUA_TSTRING:
        out->s = lua_bytes(L, i);
        out->type = bytes_is_utf8(out->s) ? VALUE_TEXT : VALUE_BYTES;
        return true;
    default:
        return false;
    }
}

// As arena_copy does: with a NUL behind, which some readers rely on.
static struct bytes put_bytes(uint8_t **at, struct bytes s)
{
    uint8_t *p = *at;

    if (s.n > 0)
        memcpy(p, s.p, s.n);
    p[s.n] = 0;
    *at += s.n + 1;
    return bytes_of(p, s.n);
}

// The members, object, names and texts in one piece of memory.
static void flat_object(struct take *t, const struct member *m, size_t n, size_t bytes,
                        struct value *out)
{
    struct value_object *o;
    uint8_t *at;

    t->items += n;
    t->bytes += bytes;
    check_budget(t);
    o = arena_alloc(t->arena,
                    sizeof(*o) + n * (sizeof(*o->values) + sizeof(*o->names) + 2) + bytes);
    o->n = n;
    o->values = (struct value *)(o + 1);
    o->names = (struct bytes *)(o->values + n);
    at = (uint8_t *)(o->names + n);
    for (size_t k = 0; k < n; k++) {
        o->names[k] = put_bytes(&at, m[k].name);
        o->values[k] = m[k].value;
        if (m[k].value.type == VALUE_TEXT || m[k].value.type == VALUE_BYTES)
            o->values[k].s = put_bytes(&at, m[k].value.s);
    }
    out->type = VALUE_OBJECT;
    out->object = o;
}

// What most functions return, a few scalars by name, in one walk over the table. False when it is
// anything else, with nothing done.
static bool take_flat(struct take *t, int i, struct value *out)
{
    struct member m[SMALL_OBJECT_MAX];
    lua_State *L = t->L;
    size_t n = 0, bytes = 0;

    lua_pushnil(L);
    for (; lua_next(L, i) != 0; n++) { // [.., key, value]
        struct member x = {.value = VALUE_OF_MISSING};

        if (n == SMALL_OBJECT_MAX || lua_type(L, -2) != LUA_TSTRING ||
            !take_scalar(L, -1, &x.value)) {
            lua_pop(L, 2);
            return false;
        }
        x.name = lua_bytes(L, -2);
        bytes += x.name.n;
        if (x.value.type == VALUE_TEXT || x.value.type == VALUE_BYTES)
            bytes += x.value.s.n;
        member_place(m, n, &x);
        lua_pop(L, 1);
    }
    if (n > 0)
        flat_object(t, m, n, bytes, out);
    return n > 0;
}

// Decided before a member is looked at: taking members twice, level by level, would double the work
// with each level of nesting.
static bool is_small_object(lua_State *L, int i)
{
    size_t n = 0;

    lua_pushnil(L);
    for (; lua_next(L, i) != 0; n++) {
        lua_pop(L, 1);
        if (n == SMALL_OBJECT_MAX || lua_type(L, -1) != LUA_TSTRING) {
            lua_pop(L, 1);
            return false;
        }
    }
    return n > 0;
}

// Without a table of keys: members go into their place as they come.
static void take_small_object(struct take *t, int i, struct value *out)
{
    struct member m[SMALL_OBJECT_MAX];
    struct value_object *o;
    size_t n = 0;

    lua_pushnil(t->L);
    for (; lua_next(t->L, i) != 0; n++) { // [.., key, value]
        struct member x = {0};
        x.name = lua_bytes(t->L, -2);
        take_any(t, lua_gettop(t->L), &x.value);
        member_place(m, n, &x);
        lua_pop(t->L, 1);
    }
    o = arena_alloc(t->arena, sizeof(*o));
    o->n = n;
    o->names = arena_alloc(t->arena, n * sizeof(*o->names));
    o->values = arena_alloc(t->arena, n * sizeof(*o->values));
    for (size_t k = 0; k < n; k++) {
        o->names[k] = arena_copy(t->arena, m[k].name);
        o->values[k] = m[k].value;
        t->bytes += m[k].name.n;
    }
    t->items += n;
    *out = (struct value){.type = VALUE_OBJECT, .object = o};
}

static bool is_marked_array(lua_State *L, int i)
{
    bool marked;

    if (!lua_getmetatable(L, i))
        return false;
    host_push_key(L, KEY_ARRAY_META);
    marked = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
    return marked;
}

static void take_table(struct take *t, int i, struct value *out)
{
    lua_State *L = t->L;
    bool marked;
    size_t n;
    int keys;

    luaL_checkstack(L, 12, "tables nested too deep");
    if (!lua_getmetatable(L, i)) {
        if (take_flat(t, i, out))
            return;
    } else {
        lua_pop(L, 1);
    }
    lua_pushvalue(L, i);
    i = lua_gettop(L);
    freeze_see_through(L, i);
    check_budget(t);
    marked = is_marked_array(L, i);
    if (!marked && is_small_object(L, i)) {
        take_small_object(t, i, out);
        lua_settop(L, i - 1);
        return;
    }
    lib_ordered_keys(L, i);
    keys = lua_gettop(L); // [.., t, keys]
    n = lua_rawlen(L, keys);
    t->items += n;
    check_budget(t);
    // Keys come in order: integers first. 1..n exactly makes a list.
    if (n > 0 && lua_rawgeti(L, keys, (lua_Integer)n) == LUA_TNUMBER) {
        bool list = lua_tointeger(L, -1) == (lua_Integer)n;
        (void)lua_rawgeti(L, keys, 1);
        if (!list || lua_tointeger(L, -1) != 1)
            host_raise_class(L, LEAT_ETYPE, "a list has holes: its keys are not 1 to %zu", n);
        take_array(t, i, n, out);
    } else if (n == 0 && marked) {
        take_array(t, i, 0, out);
    } else {
        take_object(t, i, keys, n, out);
    }
    lua_settop(L, i - 1);
}

static void take_number(struct take *t, int i, struct value *out)
{
    lua_Number f;

    if (lua_isinteger(t->L, i)) {
        *out = value_int(lua_tointeger(t->L, i));
        return;
    }
    f = lua_tonumber(t->L, i);
    if (!isfinite(f))
        host_raise_class(t->L, LEAT_ENUMBER, "a number is not finite");
    *out = value_float(f);
}

static bool take_userdata(lua_State *L, int i, struct value *out)
{
    if (lua_type(L, i) == LUA_TLIGHTUSERDATA) {
        *out = VALUE_OF_NULL;
        return lua_touserdata(L, i) == value_null();
    }
    return view_value(L, i, out) || decimal_take(L, i, out);
}

static void take_any(struct take *t, int i, struct value *out)
{
    lua_State *L = t->L;

    *out = VALUE_OF_MISSING;
    switch (lua_type(L, i)) {
    case LUA_TNIL:
        return;
    case LUA_TBOOLEAN:
        *out = value_bool(lua_toboolean(L, i));
        return;
    case LUA_TNUMBER:
        take_number(t, i, out);
        return;
    case LUA_TSTRING:
        take_text(t, i, out);
        return;
    case LUA_TTABLE:
        if (++t->depth > VALUE_DEPTH_MAX)
            host_raise_class(L, LEAT_ETYPE, "a value is nested deeper than %d (or holds itself)",
                             VALUE_DEPTH_MAX);
        take_table(t, i, out);
        t->depth--;
        return;
    default:
        if (lua_type(L, i) == LUA_TFUNCTION || !take_userdata(L, i, out))
            host_raise_class(L, LEAT_ETYPE, "a %s cannot be part of a value", luaL_typename(L, i));
    }
}

void value_take(lua_State *L, int i, struct arena *a, struct value *out)
{
    struct take t = {.L = L, .arena = a};

    host_check_results(L);
    take_any(&t, lua_absindex(L, i), out);
}

// Everything but objects and arrays; false for those.
static bool push_scalar(lua_State *L, const struct value *v)
{
    switch ((enum value_type)v->type) {
    case VALUE_MISSING:
    case VALUE_NULL:
        lua_pushnil(L);
        return true;
    case VALUE_BOOL:
        lua_pushboolean(L, v->b);
        return true;
    case VALUE_INT:
        lua_pushinteger(L, v->i);
        return true;
    case VALUE_FLOAT:
        lua_pushnumber(L, v->f);
        return true;
    case VALUE_DECIMAL:
        decimal_push(L, v);
        return true;
    case VALUE_TEXT:
    case VALUE_BYTES:
        lua_pushlstring(L, v->s.n > 0 ? (const char *)v->s.p : "", v->s.n);
        return true;
    default:
        return false;
    }
}

void view_push(lua_State *L, const struct value *v, struct arena *a); // views.c

void value_push(lua_State *L, const struct value *v, struct arena *a)
{
    struct value forced;
    struct err e;

    if (push_scalar(L, v))
        return;
    forced = *v;
    err_clear(&e);
    if (forced.type == VALUE_LAZY && value_force(&forced, a, &e) != 0)
        host_raise_err(L, &e);
    if (!push_scalar(L, &forced))
        view_push(L, &forced, a);
}

void value_push_copy(lua_State *L, const struct value *v, struct arena *a)
{
    struct value_iter it;
    struct bytes name;
    struct value x;
    struct err e = {0};
    bool array = value_is_array(v);
    lua_Integer n = 0;
    int rc;

    luaL_checkstack(L, 6, "a value is nested too deep");
    if (!array && !value_is_object(v)) {
        value_push(L, v, a);
        return;
    }
    lua_newtable(L);
    if (array) {
        host_push_key(L, KEY_ARRAY_META);
        lua_setmetatable(L, -2);
    }
    value_iter_init(&it, v, a);
    while ((rc = value_iter_next(&it, &name, &x, &e)) == 1) {
        if (array && value_is_nil(&x)) {
            lua_pushlightuserdata(L, value_null());
        } else {
            value_push_copy(L, &x, a);
        }
        if (array) {
            lua_rawseti(L, -2, ++n);
            continue;
        }
        lua_pushlstring(L, name.n > 0 ? (const char *)name.p : "", name.n);
        lua_insert(L, -2);
        lua_rawset(L, -3);
    }
    if (rc < 0)
        host_raise_err(L, &e);
}

static int word_array(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    host_push_key(L, KEY_ARRAY_META);
    lua_setmetatable(L, 1);
    return 1;
}

static int word_dur(lua_State *L)
{
    int64_t ms;

    (void)luaL_checkstring(L, 1);
    if (duration_parse(lua_bytes(L, 1), &ms) != 0)
        return luaL_error(L, "\"%s\" is not a duration; write \"1h30m\", \"500ms\", \"7d\"",
                          lua_tostring(L, 1));
    lua_pushinteger(L, ms);
    return 1;
}

void views_open(lua_State *L); // views.c

void values_open(lua_State *L)
{
    lua_newtable(L);
    lua_pushboolean(L, false);
    lua_setfield(L, -2, "__metatable");
    host_set_key(L, KEY_ARRAY_META);

    lua_pushlightuserdata(L, value_null());
    lua_setfield(L, -2, "null");
    lua_pushcfunction(L, word_array);
    lua_setfield(L, -2, "array");
    lua_pushcfunction(L, word_dur);
    lua_setfield(L, -2, "dur");
    views_open(L);
    decimals_open(L);
}
