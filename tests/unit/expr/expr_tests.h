// SPDX-License-Identifier: Apache-2.0
#ifndef TESTS_UNIT_EXPR_EXPR_TESTS_H
#define TESTS_UNIT_EXPR_EXPR_TESTS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "runtime/base/random.h"
#include "runtime/expr/expr.h"

struct row {
    const char *text;
    const char *json; // NULL: {}
    const char *want;
};

extern uint64_t test_seed;

void expect_rows(const struct row *rows, size_t n, const struct expr_binds *binds);
int run_row_tests(void);
int run_type_tests(void);
int run_rule_tests(void);

#endif
