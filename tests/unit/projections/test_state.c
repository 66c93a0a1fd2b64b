// SPDX-License-Identifier: Apache-2.0
#include "fixture.h"

static void nothing(void **state)
{
    (void)state;
}
const struct CMUnitTest state_tests[] = {T(nothing)};
const size_t n_state_tests = sizeof state_tests / sizeof state_tests[0];
