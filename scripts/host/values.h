// SPDX-License-Identifier: Apache-2.0
//
// Values between Lua and the engine. See values.c and views.c. All of these may raise; they own
// nothing but arena memory, so nothing is lost when they do.
#ifndef LEAT_SCRIPTS_VALUES_H
#define LEAT_SCRIPTS_VALUES_H

#include <lua.h>

#include "runtime/record/view.h"

// The address that `null` is.
void *value_null(void);

// A scalar as itself, nil for missing and null, a lazy view of an object or array.
void value_push(lua_State *L, const struct value *v, struct arena *a);
// The same with tables in place of views. Null members of objects are left out, null elements of
// arrays are `null`.
void value_push_copy(lua_State *L, const struct value *v, struct arena *a);
// The value at index i, copied into the arena (views are taken as they are). nil gives MISSING.
void value_take(lua_State *L, int i, struct arena *a, struct value *out);

// The view of a call's own record, made once per state (it is at index `kept`) and pointed at each
// record in turn.
void view_push_root(lua_State *L, int kept, struct view *v);
// Whether the value at i is a view; then *out is its value.
bool view_value(lua_State *L, int i, struct value *out);
// If the value at i is a view: pushes its keys in order and returns true.
bool view_push_keys(lua_State *L, int i);

// A decimal as a userdata; whether the value at i is one.
void decimal_push(lua_State *L, const struct value *v);
bool decimal_take(lua_State *L, int i, struct value *out);
// dec, and tonumber with decimals, into the table of words on top of the stack.
void decimals_open(lua_State *L);

// null array dur has with copy, into the table of words on top of the stack.
void values_open(lua_State *L);

#endif
