// SPDX-License-Identifier: Apache-2.0
#include "fixture.h"

static void nothing(void **state)
{
    (void)state;
}
const struct CMUnitTest rows_tests[] = {T(nothing)};
const size_t n_rows_tests = sizeof rows_tests / sizeof rows_tests[0];
