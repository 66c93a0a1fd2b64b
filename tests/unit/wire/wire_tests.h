// SPDX-License-Identifier: Apache-2.0
//
// What the files of this folder share.
#ifndef LEAT_TESTS_WIRE_H
#define LEAT_TESTS_WIRE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "runtime/base/random.h"
#include "runtime/wire/messages.h"

// From the first argument of the program, else 1. Printed when a random test fails.
extern uint64_t test_seed;

// Random values for every field that the version has, defaults for the rest.
void wire_fill(struct random *r, const struct wire_message *m, int version, struct arena *a,
               void *out);

// Calls `visit` for every message in every version it has.
void each_version(void (*visit)(const struct wire_message *m, int version));

int run_encode_tests(void);
int run_frame_tests(void);
int run_golden_tests(void);
int run_hostile_tests(void);
int run_round_trip_tests(void);

#endif
