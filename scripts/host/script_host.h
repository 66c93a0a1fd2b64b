// SPDX-License-Identifier: Apache-2.0
//
// A job file and the Lua state it runs in. Shared by the loader, the functions and the tests.
#ifndef LEAT_SCRIPTS_SCRIPT_HOST_H
#define LEAT_SCRIPTS_SCRIPT_HOST_H

#include "scripts/host/host.h"
#include "scripts/script.h"

// A file that the job requires, as it was when it was first read: should the job's file have to
// run again, it is the same job.
struct script_module {
    struct script_module *next;
    const char *name, *path;
    struct bytes source;
};

struct script {
    struct host host;
    struct arena arena; // file name, source, parameters: to run it all again
    struct bytes source;
    int64_t time_ms;
    const char *tests_of; // as in the options
    int n_functions;
    struct script_module *modules;
    int n_modules;
};

struct script_test {
    const char *name; // in the script's arena
    int line;
};

// Copies what it needs out of the options and reads the file.
int script_new(struct script **out, const struct script_options *o, struct err *e) LEAT_CHECKED;
void script_free(void *script);
// A fresh state with the file run in it; the description is left at KEY_PLAN.
int script_run_file(struct script *s, struct err *e) LEAT_CHECKED;
// Compiles text, never bytecode, against the job's environment; pushes the function.
void script_load_text(lua_State *L, struct bytes source, const char *file);
// The word require. In modules.c.
void modules_open(lua_State *L);
// Fills the plan from the description at KEY_PLAN. In reader.c.
int plan_read(struct script *s, struct plan *p, struct err *e) LEAT_CHECKED;
// Makes KEY_INVOKE, once the functions' table, the view and ctx are there. Raises. In function.c.
void script_fn_open(lua_State *L);
// A struct fn for function number `index`. In function.c.
struct fn *script_fn_new(struct script *s, int index, int line);
// Appends what the function at i does (describe.c), and whether it names ctx.db; the stack is lost.
// Raises.
bool function_describe(lua_State *L, int i, struct buf *out);
// Opens the prelude's host table: words and helpers. In words.c.
void words_open(lua_State *L);

#endif
