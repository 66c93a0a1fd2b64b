// SPDX-License-Identifier: Apache-2.0
//
// What a function's code says about itself. See bytecode.c.
#ifndef LEAT_SCRIPTS_BYTECODE_H
#define LEAT_SCRIPTS_BYTECODE_H

#include <lua.h>

#include "runtime/base/buf.h"
#include "runtime/base/err.h"

struct bytecode_write {
    int line;      // where it writes; 0: nowhere
    char name[64]; // the variable, as written
    bool global;   // through _ENV
};

// Looks for code in the function at index i, or in functions inside it, that assigns to a variable
// that lives outside of it, or to a field of one. LEAT_EUNSUPPORTED: not the bytecode we know.
int bytecode_find_write(lua_State *L, int i, struct bytecode_write *out, struct err *e);
// Appends the code and constants, without names and lines: equal for functions that do the same.
// *names_db becomes true when a constant is "db", as in ctx.db; else it is left alone.
int bytecode_describe(lua_State *L, int i, struct buf *out, bool *names_db,
                      struct err *e) LEAT_CHECKED;

#endif
