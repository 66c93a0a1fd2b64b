// SPDX-License-Identifier: Apache-2.0
//
// Record views: what `v` is in a function. A userdata that decodes a field when it is asked for,
// about three times cheaper than a table of all fields. Read-only: with(v, {…}) makes a changed
// value, copy(v) a table.
//
// The record of a call is always seen through one and the same userdata, pointed at each record in
// turn; objects inside it get a small userdata of their own. Each carries the number of the call it
// was made in, so that one that somehow outlives its record is refused and not read.
#include "scripts/host/values.h"

#include "scripts/host/host.h"

struct lua_view {
    struct value value;  // an object or array
    struct view *record; // of the root: read through its slots; else NULL
    struct arena *arena;
    uint64_t generation;
};

static struct lua_view *to_view(lua_State *L, int i)
{
    struct lua_view *v;
    bool ours;

    if (lua_type(L, i) != LUA_TUSERDATA || !lua_getmetatable(L, i))
        return NULL;
    host_push_key(L, KEY_VIEW_META);
    ours = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
    if (!ours)
        return NULL;
    v = lua_touserdata(L, i);
    if (v->generation != host_of(L)->generation)
        luaL_error(L, "this record is over: a value of it was kept longer than its call");
    return v;
}

// The view a metamethod is called for. Its metatable is out of the job's reach, so nothing else can
// be the first argument.
static struct lua_view *self_view(lua_State *L)
{
    struct lua_view *v = lua_touserdata(L, 1);

    if (v->generation != host_of(L)->generation)
        luaL_error(L, "this record is over: a value of it was kept longer than its call");
    return v;
}

static struct lua_view *new_view(lua_State *L)
{
    struct lua_view *v = lua_newuserdatauv(L, sizeof(*v), 0);

    *v = (struct lua_view){.value = VALUE_OF_MISSING};
    host_push_key(L, KEY_VIEW_META);
    lua_setmetatable(L, -2);
    return v;
}

void view_push(lua_State *L, const struct value *v, struct arena *a);

void view_push(lua_State *L, const struct value *v, struct arena *a)
{
    struct lua_view *x = new_view(L);

    x->value = *v;
    x->arena = a;
    x->generation = host_of(L)->generation;
}

void view_push_root(lua_State *L, int kept, struct view *v)
{
    struct lua_view *x;

    if (!value_is_object(&v->root) && !value_is_array(&v->root)) {
        value_push(L, &v->root, v->arena);
        return;
    }
    x = lua_touserdata(L, kept);
    x->value = v->root;
    x->record = v;
    x->arena = v->arena;
    x->generation = host_of(L)->generation;
    lua_pushvalue(L, kept);
}

bool view_value(lua_State *L, int i, struct value *out)
{
    struct lua_view *v = to_view(L, i);

    if (v != NULL)
        *out = v->value;
    return v != NULL;
}

static void view_get(lua_State *L, struct lua_view *v, struct bytes name, struct value *out)
{
    struct err e; // not zeroed: 512 bytes per field
    int rc;

    err_clear(&e);
    *out = VALUE_OF_MISSING;
    if (!value_is_object(&v->value))
        return; // list.name: not there, as in a table
    rc = v->record != NULL ? view_member(v->record, name, out, &e)
                           : value_member(&v->value, name, v->arena, out, &e);
    if (rc != 0)
        host_raise_err(L, &e);
}

// The element whose number is at index 2.
static void view_element(lua_State *L, struct lua_view *v, struct value *out)
{
    struct err e;

    err_clear(&e);
    *out = VALUE_OF_MISSING;
    if (lua_isinteger(L, 2) && value_is_array(&v->value) &&
        value_element(&v->value, lua_tointeger(L, 2), v->arena, out, &e) != 0)
        host_raise_err(L, &e);
}

static int view_index(lua_State *L)
{
    struct lua_view *v = self_view(L);
    struct value out;

    if (lua_type(L, 2) == LUA_TSTRING)
        view_get(L, v, lua_bytes(L, 2), &out);
    else
        view_element(L, v, &out);
    value_push(L, &out, v->arena);
    return 1;
}

static int view_newindex(lua_State *L)
{
    return luaL_error(L,
                      "a record cannot be changed: use with(v, {%s = ...}) for a changed value, "
                      "or copy(v) for a table",
                      lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "name");
}

static int view_len(lua_State *L)
{
    struct lua_view *v = self_view(L);

    if (!value_is_array(&v->value))
        return luaL_error(L, "attempt to get the length of an object; only lists have one");
    lua_pushinteger(L, (lua_Integer)value_count(&v->value));
    return 1;
}

static int view_tostring(lua_State *L)
{
    struct lua_view *v = self_view(L);
    struct buf out = BUF_EMPTY;
    struct err e = {0};
    int rc = value_write_json(&v->value, &out, &e);
    struct bytes text = arena_copy(v->arena, buf_bytes(&out)); // so that nothing is held below

    buf_deinit(&out);
    if (rc != 0)
        host_raise_err(L, &e);
    lua_pushlstring(L, (const char *)text.p, text.n);
    return 1;
}

bool view_push_keys(lua_State *L, int i)
{
    struct lua_view *v = to_view(L, i);
    struct value_iter it;
    struct bytes name;
    struct value x;
    struct err e = {0};
    lua_Integer n = 0;
    int rc;

    if (v == NULL)
        return false;
    lua_newtable(L); // as a set first: a name may come twice
    value_iter_init(&it, &v->value, v->arena);
    while ((rc = value_iter_next(&it, &name, &x, &e)) == 1) {
        if (value_is_array(&v->value))
            lua_pushinteger(L, ++n);
        else
            lua_pushlstring(L, name.n > 0 ? (const char *)name.p : "", name.n);
        lua_pushboolean(L, true);
        lua_rawset(L, -3);
    }
    if (rc < 0)
        host_raise_err(L, &e);
    lib_ordered_keys(L, -1);
    lua_remove(L, -2);
    return true;
}

// --- words ---

static int word_has(lua_State *L)
{
    struct lua_view *v = to_view(L, 1);
    struct value out;

    if (v == NULL && lua_isnil(L, 1)) {
        lua_pushboolean(L, false);
        return 1;
    }
    if (v != NULL) {
        (void)luaL_checkstring(L, 2);
        view_get(L, v, lua_bytes(L, 2), &out);
        lua_pushboolean(L, out.type != VALUE_MISSING);
        return 1;
    }
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_checkany(L, 2);
    lua_settop(L, 2);
    lua_gettable(L, 1);
    lua_pushboolean(L, !lua_isnil(L, -1));
    return 1;
}

static void put_member(struct value_object *o, struct bytes name, const struct value *x)
{
    for (size_t i = 0; i < o->n; i++) {
        if (bytes_eq(o->names[i], name)) {
            o->values[i] = *x;
            return;
        }
    }
    o->names[o->n] = name;
    o->values[o->n++] = *x;
}

static int put_members(struct value_object *o, const struct value *of, struct arena *a,
                       struct err *e)
{
    struct value_iter it;
    struct bytes name;
    struct value x;
    int rc;

    value_iter_init(&it, of, a);
    while ((rc = value_iter_next(&it, &name, &x, e)) == 1)
        put_member(o, name, &x);
    return rc;
}

// with(v, {x = 1}): v's members in their order, changed ones in place, new ones behind.
static int word_with(lua_State *L)
{
    struct lua_view *v = to_view(L, 1);
    struct value changes, out;
    struct value_object *o;
    struct err e = {0};
    size_t n;

    if (v == NULL || !value_is_object(&v->value))
        return luaL_error(L, "with(v, {...}) wants a record as its first argument");
    luaL_checktype(L, 2, LUA_TTABLE);
    value_take(L, 2, v->arena, &changes);
    if (changes.type != VALUE_OBJECT)
        return luaL_error(L, "with(v, {...}) wants names and values");
    n = value_count(&v->value) + changes.object->n;
    o = arena_alloc(v->arena, sizeof(*o));
    o->n = 0;
    o->names = arena_alloc(v->arena, (n > 0 ? n : 1) * sizeof(*o->names));
    o->values = arena_alloc(v->arena, (n > 0 ? n : 1) * sizeof(*o->values));
    if (put_members(o, &v->value, v->arena, &e) != 0 || put_members(o, &changes, v->arena, &e) != 0)
        host_raise_err(L, &e);
    out = (struct value){.type = VALUE_OBJECT, .object = o};
    view_push(L, &out, v->arena);
    return 1;
}

// A table copied deep, without what marks it as frozen.
static void copy_table(lua_State *L, int i, int depth)
{
    luaL_checkstack(L, 8, "a table is nested too deep");
    if (depth > 64)
        luaL_error(L, "copy: the table is nested deeper than 64 (or holds itself)");
    lua_pushvalue(L, i);
    i = lua_gettop(L);
    freeze_see_through(L, i);
    lua_newtable(L);
    lua_pushnil(L);
    while (lua_next(L, i) != 0) { // [.., t, copy, key, value]
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        if (lua_type(L, -1) == LUA_TTABLE) {
            copy_table(L, lua_gettop(L), depth + 1);
            lua_remove(L, -2);
        }
        lua_rawset(L, i + 1);
    }
    lua_remove(L, i);
}

static int word_copy(lua_State *L)
{
    struct lua_view *v = to_view(L, 1);

    if (v != NULL)
        value_push_copy(L, &v->value, v->arena);
    else if (lua_type(L, 1) == LUA_TTABLE)
        copy_table(L, 1, 0);
    else
        lua_settop(L, 1);
    return 1;
}

void views_open(lua_State *L);

void views_open(lua_State *L)
{
    static const luaL_Reg meta[] = {
        {"__index", view_index},
        {"__newindex", view_newindex},
        {"__len", view_len},
        {"__tostring", view_tostring},
        {NULL, NULL},
    };
    static const luaL_Reg words[] = {
        {"has", word_has}, {"with", word_with}, {"copy", word_copy}, {NULL, NULL}};

    lua_newtable(L);
    luaL_setfuncs(L, meta, 0);
    lua_pushboolean(L, false);
    lua_setfield(L, -2, "__metatable");
    lua_pushliteral(L, "record");
    lua_setfield(L, -2, "__name");
    host_set_key(L, KEY_VIEW_META);
    (void)new_view(L);
    host_set_key(L, KEY_VIEW);
    luaL_setfuncs(L, words, 0);
}
