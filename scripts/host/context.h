// SPDX-License-Identifier: Apache-2.0
//
// ctx: the second argument of every function. See context.c.
#ifndef LEAT_SCRIPTS_CONTEXT_H
#define LEAT_SCRIPTS_CONTEXT_H

#include <lua.h>

#include "scripts/host/host.h"

// After a function of :process: what it has made of ctx.state, into the call.
void context_take_state(lua_State *L, struct fn_call *c);

// Prepared verbs, kept per tables object; freed when the host closes.
void actions_free(struct action_cache *c);
// Runs verb `verb` of the table with index `table`; arguments from stack index 2 on. Raises.
void actions_run(lua_State *L, int table, int verb);
void actions_get(lua_State *L, int table); // pushes the row or nil
void actions_sql(lua_State *L);            // pushes the rows

#endif
