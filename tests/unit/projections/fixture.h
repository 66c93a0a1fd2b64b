// SPDX-License-Identifier: Apache-2.0
//
// A shop's plan, made by hand, and a job file of it in a directory of its own.
#ifndef LEAT_TESTS_PROJECTIONS_FIXTURE_H
#define LEAT_TESTS_PROJECTIONS_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "projections/jobfile_internal.h"

struct fixture {
    char dir[64], path[96];
    struct plan plan;
    struct plan_table tables[4];
    struct plan_node nodes[4];
    struct store *s;
    struct arena a;
    struct err e;
};

int fixture_setup(void **state);
int fixture_teardown(void **state);

// The file in the directory, or one in memory.
void open_file(struct fixture *fx);
void open_memory(struct fixture *fx);
void close_file(struct fixture *fx);
void reopen(struct fixture *fx);

// Fails the test with the error's text.
void ok(struct fixture *fx, int rc);
int64_t ask(struct fixture *fx, const char *sql);
void begin(struct fixture *fx);
// Commits a step that moves topic:0 to `next`.
int commit_to(struct fixture *fx, int64_t next);
int commit_on(struct fixture *fx, int64_t next, int64_t now);
struct uuid topic_id(uint8_t n);
int add_out(struct fixture *fx, uint8_t topic, int32_t partition, int64_t batch, const char *value);

extern const struct CMUnitTest ddl_tests[], history_tests[], jobfile_tests[], query_tests[],
    retention_tests[], rows_tests[], state_tests[];
extern const size_t n_ddl_tests, n_history_tests, n_jobfile_tests, n_query_tests, n_retention_tests,
    n_rows_tests, n_state_tests;

#define T(f) cmocka_unit_test_setup_teardown(f, fixture_setup, fixture_teardown)

#endif
