// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/io/io_tests.h"

int main(void)
{
    int failed = 0;

    failed += loop_tests();
    failed += conn_tests();
    return failed;
}
