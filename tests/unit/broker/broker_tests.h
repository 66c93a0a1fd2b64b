// SPDX-License-Identifier: Apache-2.0
#ifndef LEAT_TESTS_UNIT_BROKER_TESTS_H
#define LEAT_TESTS_UNIT_BROKER_TESTS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

int group_tests(void);
int metadata_tests(void);
int request_tests(void);

#endif
