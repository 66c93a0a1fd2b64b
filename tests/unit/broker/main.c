// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/broker/broker_tests.h"

int main(void)
{
    int failed = 0;

    failed += group_tests();
    failed += metadata_tests();
    failed += request_tests();
    return failed;
}
