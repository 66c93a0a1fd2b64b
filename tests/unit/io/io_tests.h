// SPDX-License-Identifier: Apache-2.0
#ifndef LEAT_TESTS_UNIT_IO_TESTS_H
#define LEAT_TESTS_UNIT_IO_TESTS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

int loop_tests(void);
int conn_tests(void);

#endif
