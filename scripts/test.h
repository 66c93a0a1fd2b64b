// SPDX-License-Identifier: Apache-2.0
//
// Running the tests that stand in a job file, each over a fresh job and a fresh store.
#ifndef LEAT_SCRIPTS_TEST_H
#define LEAT_SCRIPTS_TEST_H

#include "runtime/engine/chaos.h"
#include "scripts/script.h"

struct script_test_options {
    struct script_options script; // the job
    const char *tests_file;       // where its tests are; NULL: in the job's file
    const struct operator_type *const *operators;
    struct driver_store_factory stores;
    const char *only;     // run tests whose name contains this; NULL: all
    int32_t n_partitions; // of every topic; 0: 1
    bool chaos;           // a test that passes is done again in variations (engine/chaos.h)
    enum chaos_kind only_kind;
    int64_t only_number; // of that kind, this variation and no other; 0: all
};

struct script_test_result {
    const char *name;
    int line;
    bool passed;
    const char *message; // what differed, begins with FILE:LINE; NULL when passed
    // With chaos, of a test that passes by itself: what its variations gave. A failure there is one
    // of the test.
    bool varied;
    struct chaos_result chaos;
    int64_t ns; // that all of it took
};

struct script_test_results {
    struct arena arena; // everything below lives here
    struct script_test_result *items;
    size_t n, n_failed;
};

void script_test_results_init(struct script_test_results *r);
void script_test_results_deinit(struct script_test_results *r);
// 0 when the tests could be run, whether they passed or not; LEAT_ELOAD when the file does not
// load. Appends to `out`.
int script_tests_run(const struct script_test_options *o, struct script_test_results *out,
                     struct err *e) LEAT_CHECKED;

#endif
