// SPDX-License-Identifier: Apache-2.0
//
// The verbs of ctx.db: Lua arguments to one prepared action and its values.
//
// An action is prepared once per (table, verb, columns) and kept in a cache that hangs on the
// tables object (tables.attachment, NULL in a fresh one), so that a job that is reopened never
// meets the actions of its predecessor. The caches themselves belong to the script.
//
// Columns come out of a Lua table sorted by name, so the same set of columns is the same action
// however it was written.
#include "runtime/base/hashmap.h"
#include "runtime/base/heap.h"
#include "runtime/engine/fn.h"
#include "runtime/engine/table.h"
#include "scripts/host/context.h"
#include "runtime/base/suggest.h"
#include "scripts/host/values.h"

#define COLUMNS_MAX 64

struct action_cache {
    struct action_cache *next; // of older tables
    struct tables *tables;
    struct hashmap actions; // verb, table, columns -> struct table_action
};

struct verb_call {
    struct tables *tables;
    int table;
    int n_key, n_cells;
    struct bytes key_names[COLUMNS_MAX], cell_names[COLUMNS_MAX];
    struct value key[COLUMNS_MAX], cells[COLUMNS_MAX];
};

void actions_free(struct action_cache *c)
{
    while (c != NULL) {
        struct action_cache *next = c->next;
        hashmap_deinit(&c->actions);
        heap_free(c);
        c = next;
    }
}

static struct action_cache *cache_of(struct host *h, struct tables *t)
{
    struct action_cache *c = t->attachment;

    if (c == NULL) {
        c = heap_zalloc(sizeof(*c));
        hashmap_init(&c->actions, 0);
        c->tables = t;
        c->next = h->actions;
        h->actions = c;
        t->attachment = c;
    }
    return c;
}

static const char *table_name(struct host *h, int table)
{
    return h->plan->tables[table].name;
}

static struct tables *current_tables(lua_State *L)
{
    struct fn_call *c = host_of(L)->call;

    if (c == NULL || c->tables == NULL)
        luaL_error(L, "ctx.db is only there while a function handles a record");
    return c->tables;
}

// Raises with a suggestion if the table has no such column.
static void check_columns(lua_State *L, const struct verb_call *v, const struct bytes *names, int n)
{
    const char *const *columns, *const *types;
    int n_columns = v->tables->ops->columns(v->tables, v->table, &columns, &types);

    for (int i = 0; i < n; i++) {
        struct suggestion s = {.name = (const char *)names[i].p};
        int k = 0;

        while (k < n_columns && !bytes_eq_str(names[i], columns[k]))
            k++;
        if (k < n_columns)
            continue;
        for (k = 0; k < n_columns; k++)
            suggest(&s, columns[k]);
        luaL_error(L, "table %s has no column '%s'%s", table_name(host_of(L), v->table), s.name,
                   suggest_text(&s));
    }
}

// The members of an object as names and values.
static int take_columns(lua_State *L, const struct verb_call *v, const struct value *object,
                        struct bytes *names, struct value *values)
{
    struct fn_call *c = host_of(L)->call;
    struct value_iter it;
    struct err e = {0};
    int n = 0, rc;

    value_iter_init(&it, object, c->arena);
    while (n < COLUMNS_MAX && (rc = value_iter_next(&it, &names[n], &values[n], &e)) == 1) {
        names[n] = arena_copy(c->arena, names[n]); // with a NUL behind, for messages
        n++;
    }
    if (n == COLUMNS_MAX)
        luaL_error(L, "more than %d columns in one call", COLUMNS_MAX - 1);
    if (rc < 0)
        host_raise_err(L, &e);
    check_columns(L, v, names, n);
    return n;
}

static void take_cells(lua_State *L, int i, struct verb_call *v)
{
    struct value object;

    if (lua_type(L, i) != LUA_TTABLE && lua_type(L, i) != LUA_TUSERDATA)
        luaL_error(L, "ctx.db.%s: wants a table of columns, got %s",
                   table_name(host_of(L), v->table), luaL_typename(L, i));
    value_take(L, i, host_of(L)->call->arena, &object);
    if (!value_is_object(&object))
        luaL_error(L, "ctx.db.%s: wants columns by name: {column = value}",
                   table_name(host_of(L), v->table));
    v->n_cells = take_columns(L, v, &object, v->cell_names, v->cells);
}

// A scalar for a primary key of one column, {a = …, b = …} for more. In the primary key's order.
static void take_key(lua_State *L, int i, struct verb_call *v)
{
    const char *const *primary;
    int n = v->tables->ops->primary_key(v->tables, v->table, &primary);
    struct fn_call *c = host_of(L)->call;
    struct err e = {0};
    struct value key;

    value_take(L, i, c->arena, &key);
    if (value_is_nil(&key))
        host_raise_class(L, LEAT_EKEY, "ctx.db.%s: the key is nil",
                         table_name(host_of(L), v->table));
    if (n < 1 || n > COLUMNS_MAX)
        luaL_error(L, "ctx.db.%s: its primary key is not known", table_name(host_of(L), v->table));
    if (n > 1 && !value_is_object(&key))
        luaL_error(L,
                   "ctx.db.%s: its primary key has %d columns: give them by name, as in {%s = ...}",
                   table_name(host_of(L), v->table), n, primary[0]);
    v->n_key = n;
    for (int k = 0; k < n; k++) {
        v->key_names[k] = bytes_str(primary[k]);
        v->key[k] = key;
        if (value_is_object(&key) && value_member(&key, v->key_names[k], c->arena, &v->key[k], &e))
            host_raise_err(L, &e);
        if (value_is_nil(&v->key[k]))
            host_raise_class(L, LEAT_EKEY, "ctx.db.%s: column '%s' of the key is nil",
                             table_name(host_of(L), v->table), primary[k]);
    }
}

static struct table_action *action_of(lua_State *L, struct verb_call *v, enum table_verb verb)
{
    struct action_cache *cache = cache_of(host_of(L), v->tables);
    struct table_action *a;
    struct buf name = BUF_EMPTY;
    struct err e = {0};
    int rc = 0;
    struct table_shape shape = {.table = v->table,
                                .verb = verb,
                                .key_columns = v->key_names,
                                .n_key = v->n_key,
                                .columns = v->cell_names,
                                .n_cells = v->n_cells};

    buf_printf(&name, "%d %d", (int)verb, v->table);
    for (int i = 0; i < v->n_cells; i++) {
        buf_append_byte(&name, 0);
        buf_append_bytes(&name, v->cell_names[i]);
    }
    a = hashmap_get(&cache->actions, buf_bytes(&name));
    if (a == NULL) {
        rc = v->tables->ops->prepare(v->tables, &shape, &a, &e);
        if (rc == 0)
            (void)hashmap_put(&cache->actions, buf_bytes(&name), a);
    }
    buf_deinit(&name);
    if (rc != 0)
        host_raise_err(L, &e);
    return a;
}

void actions_run(lua_State *L, int table, int verb)
{
    struct verb_call v = {.tables = current_tables(L), .table = table};
    struct table_action *a;
    struct err e = {0};
    bool keyed = verb != VERB_INSERT && verb != VERB_PUT;

    lua_settop(L, 3);
    if (keyed)
        take_key(L, 2, &v);
    if (verb != VERB_DELETE)
        take_cells(L, keyed ? 3 : 2, &v);
    a = action_of(L, &v, (enum table_verb)verb);
    if (v.tables->ops->run(a, v.key, v.cells, NULL, &e) != 0)
        host_raise_err(L, &e);
}

void actions_get(lua_State *L, int table)
{
    struct verb_call v = {.tables = current_tables(L), .table = table};
    struct arena *arena = host_of(L)->call->arena;
    struct value row = VALUE_OF_MISSING;
    struct err e = {0};

    lua_settop(L, 2);
    take_key(L, 2, &v);
    if (v.tables->ops->get(v.tables, table, v.key, v.n_key, arena, &row, &e) != 0)
        host_raise_err(L, &e);
    value_push_copy(L, &row, arena);
}

void actions_sql(lua_State *L)
{
    struct tables *t = current_tables(L);
    struct arena *arena = host_of(L)->call->arena;
    struct value params = VALUE_OF_MISSING, rows = VALUE_OF_MISSING;
    struct err e = {0};

    host_check_results(L);
    (void)luaL_checkstring(L, 2);
    if (!lua_isnoneornil(L, 3))
        value_take(L, 3, arena, &params);
    if (t->ops->sql(t, lua_bytes(L, 2), &params, arena, &rows, &e) != 0)
        host_raise_err(L, &e);
    value_push_copy(L, &rows, arena);
}
