// SPDX-License-Identifier: Apache-2.0
//
// One running test: the job under test, and what its words share.
#ifndef LEAT_SCRIPTS_TESTING_H
#define LEAT_SCRIPTS_TESTING_H

#include "scripts/host/script_host.h"
#include "scripts/test.h"
#include "runtime/engine/acts.h"

#define TEST_START_MS INT64_C(1767225600000) // 2026-01-01T00:00:00Z

struct testing {
    struct driver *driver;
    const struct script_test_options *options;
    const struct plan *plan;   // of the job under test, in a state of its own
    struct plan_list *plans;   // loaded by the test
    struct arena arena;      // values and messages, as long as the test
    struct acts acts;        // what it has done so far; their bytes are in the arena
    bool batching;
    bool stopped; // the job has stopped; t:stopped has not asked yet
    char why[ERR_TEXT_MAX];
    const char *failure; // the first; NULL
};

// The metatable of `t`, into KEY_TEST_META (test_words.c).
void test_words_open(lua_State *L);
void test_words_push(lua_State *L, struct testing *t); // pushes `t`

// The test behind `t`, the first argument of a word.
struct testing *test_of(lua_State *L);
// Ends the test: "FILE:LINE: what: difference".
_Noreturn void test_fails(lua_State *L, struct testing *t, const char *what,
                          const char *difference);
// Ends it if the job has stopped and nobody asked for that.
void test_runs(lua_State *L, struct testing *t);
void test_not_in_batch(lua_State *L, const struct testing *t, const char *word);
// Notes an act, and does it. Once the job has stopped the next word fails.
void test_note(lua_State *L, struct testing *t, struct act *a);
void test_perform(lua_State *L, struct testing *t, struct act *a);
// Refuses options at i that are not among those known.
void test_options(lua_State *L, int i, const char *word, const char *const *known, size_t n);
// Whether the Lua pattern is found in the text.
bool test_finds(lua_State *L, const char *word, const char *wanted, const char *text);
// The plan lives as long as the test. (tests.c)
void test_keep_plan(struct testing *t, struct plan *p);
int test_upgrade(lua_State *L); // test_upgrade.c
// Lines about parked records, each behind a line break; empty when there are none. (test_hint.c)
const char *test_hint(struct testing *t);

extern const luaL_Reg test_expectations[]; // test_expect.c

// --- test_match.c ---

// Whether `got` is what is `want`ed: objects may have more fields, a list inside may be longer.
bool test_matches(struct testing *t, const struct value *want, const struct value *got);
// The same, but rows of a table: no column more, none less (a null column may be left out).
bool test_row_equals(struct testing *t, const struct value *want, const struct value *got);

// --- test_diff.c ---

typedef bool test_matcher(struct testing *t, const struct value *want, const struct value *got);

// Compares two lists in order; NULL when they agree, else the difference for a person.
const char *test_diff(struct testing *t, const struct value *want, const struct value *got,
                      test_matcher *matches);

#endif
