// SPDX-License-Identifier: Apache-2.0
//
// One Lua state of one job file: memory and time limits, the environment, protected calls.
//
// Everything that can raise a Lua error runs inside host_run or host_call. Code in between follows
// one order: read and check arguments; call core functions that cannot raise; push results. Nothing
// that would have to be freed is held while Lua may raise.
#ifndef LEAT_SCRIPTS_HOST_H
#define LEAT_SCRIPTS_HOST_H

#include <lua.h>
#include <lauxlib.h>

#include "runtime/base/buf.h"
#include "runtime/base/bytes.h"
#include "runtime/base/err.h"
#include "runtime/base/random.h"

struct fn_call;
struct plan;
struct watchdog;

#define HOST_TEST_MS_MAX 60000 // CPU time of one test function, the engine's work included

enum host_key {     // values kept in the registry, by address of host_keys[k]
    KEY_WORDS,      // the table behind the environment
    KEY_ENV,        // what job code sees as _ENV: empty, reads through to the words
    KEY_FUNCTIONS,  // [i] = the i-th function of the plan
    KEY_PLAN,       // the description that the prelude builds
    KEY_FINISH,     // prelude function: call once after the file has run
    KEY_ARRAY_META, // metatable of array {}
    KEY_VIEW_META,
    KEY_CTX_META,
    KEY_DB_META,
    KEY_TABLE_META,
    KEY_DECIMAL_META,
    KEY_TEST_META,
    KEY_VIEW, // the one view of the record of a call
    KEY_CTX,
    KEY_INVOKE,     // calls a function of the plan (function.c)
    KEY_LAST_ERROR, // the text that carries host.error_class
    KEY_FORMAT,     // stock string.format
    KEY_TOSTRING,
    KEY_FROZEN,  // set of tables already frozen, while freezing
    KEY_MODULES, // of require
    KEYS
};
extern const char host_keys[KEYS];

struct host {
    lua_State *L;
    struct watchdog *watchdog;
    size_t memory_used, memory_max;
    const char *file; // as the user gave it; chunk name without the '@'
    const char *const *params; // "name=value", NULL-terminated; may be NULL
    bool loading;
    bool spent; // out of memory or time: the state must not run again
    // An error that pcall must not catch; 0 for none.
    int fatal;
    struct err fatal_err;
    int error_class; // of the text at KEY_LAST_ERROR
    bool has_class;  // set by the message handler: the error is that text
    struct random random;
    struct fn_call *call; // while a user function runs
    uint64_t generation;  // counts calls
    size_t arena_before;  // what the call's arena held when it began
    struct fn_emit *emits;
    size_t n_emits, cap_emits;
    const struct plan *plan; // names of tables, for ctx.db
    struct action_cache *actions;
};

static inline struct host *host_of(lua_State *L)
{
    return *(struct host **)lua_getextraspace(L);
}

static inline struct bytes lua_bytes(lua_State *L, int i) // of a string on the stack
{
    size_t n = 0;
    const char *p = lua_tolstring(L, i, &n);

    return bytes_of(p, n);
}

// A fresh state with its environment, nothing of the job run yet. time_ms: limit of one call.
int host_open(struct host *h, int64_t time_ms, struct err *e) LEAT_CHECKED;
void host_close(struct host *h);

// Runs f(L) with `arg` as its light userdata argument, protected and under the limits. The stack is
// as before afterwards, but for n_results values on success.
int host_run(struct host *h, lua_CFunction f, void *arg, int n_results, struct err *e) LEAT_CHECKED;
// The same for a function that is kept in the registry; no results.
int host_run_kept(struct host *h, enum host_key k, void *arg, struct err *e) LEAT_CHECKED;
// The same for a function and its arguments on the stack.
int host_call(struct host *h, int n_args, int n_results, struct err *e) LEAT_CHECKED;

// Raises an error that no pcall of the job catches; `code` becomes the call's result.
_Noreturn void host_raise_fatal(lua_State *L, int code, const char *fmt, ...) LEAT_PRINTF(3, 4);
// Raises a text with the job's file and line that keeps its class unless the job replaces it.
_Noreturn void host_raise_class(lua_State *L, int code, const char *fmt, ...) LEAT_PRINTF(3, 4);
// Either, by the code of e: classes of records are catchable, the rest is not.
_Noreturn void host_raise_err(lua_State *L, const struct err *e);
// Raises again what a protected call caught if it must not be caught.
void host_check_fatal(lua_State *L, int status);
// Whether what the call has handed out so far (emitted values, rows it read) is over its limit.
void host_check_results(lua_State *L);
// Whether this call is over its time; for loops in C.
void host_check_time(lua_State *L);

void host_push_key(lua_State *L, enum host_key k);
void host_set_key(lua_State *L, enum host_key k); // pops the value

// The line in the job's file that is running; 0 outside of it.
int host_line(lua_State *L);

// Cuts to n bytes and makes valid UTF-8 of it, in place, for messages.
void host_clean_text(char *s, size_t n);

// --- the environment (sandbox.c and lib_*.c) ---
void sandbox_open(lua_State *L);
void lib_base_open(lua_State *L); // each adds to the table of words on top of the stack
void lib_string_open(lua_State *L);
void lib_table_open(lua_State *L);
void lib_math_open(lua_State *L);
void context_open(lua_State *L); // ctx, ctx.db (context.c)
// Copies the named members of the table at -1 into the table at -2; pops nothing.
void lib_allow(lua_State *L, const char *const *names);
// The value's text as tostring gives it, without addresses; pushes it.
void lib_tostring(lua_State *L, int i);
// Pushes the keys of the table or view at i in iteration order as a sequence.
void lib_ordered_keys(lua_State *L, int i);

// --- freezing (freeze.c) ---
// Makes every table that the function at i can reach read-only.
void freeze_function(lua_State *L, int i);
// One table, at stack index i, with all that it holds.
void freeze_table(lua_State *L, int i);
// Replaces a frozen table at stack index i by the table that holds its contents.
void freeze_see_through(lua_State *L, int i);
bool freeze_is_frozen(lua_State *L, int i);

#endif
