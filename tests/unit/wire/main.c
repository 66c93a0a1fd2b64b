// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/wire/wire_tests.h"

#include <stdlib.h>

uint64_t test_seed = 1;

void each_version(void (*visit)(const struct wire_message *m, int version))
{
    for (size_t i = 0; i < wire_n_messages; i++)
        for (int v = wire_messages[i]->min; v <= wire_messages[i]->max; v++)
            visit(wire_messages[i], v);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        test_seed = strtoull(argv[1], NULL, 0);
    return run_golden_tests() + run_round_trip_tests() + run_encode_tests() + run_frame_tests() +
           run_hostile_tests();
}
