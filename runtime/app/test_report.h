// SPDX-License-Identifier: Apache-2.0
//
// What tests gave, for people, for programs and for CI servers.
#ifndef LEAT_APP_TEST_REPORT_H
#define LEAT_APP_TEST_REPORT_H

#include "runtime/app/test_files.h"
#include "runtime/base/buf.h"
#include "scripts/test.h"

// A line for the file, and what failed.
void test_print_text(const struct test_file *f, const struct script_test_results *r);
// A line for each test: an object.
void test_print_json(const struct test_file *f, const struct script_test_results *r);

// A JUnit report: one suite per file.
struct junit {
    struct buf suites;
    size_t tests, failures, errors;
    int64_t ns;
};

void junit_add(struct junit *j, const struct test_file *f, const struct script_test_results *r);
// A file that did not load.
void junit_add_broken(struct junit *j, const struct test_file *f, const struct err *why);
int junit_write(const struct junit *j, const char *path, struct err *e) LEAT_CHECKED;
void junit_deinit(struct junit *j);

#endif
