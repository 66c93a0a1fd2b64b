// SPDX-License-Identifier: Apache-2.0
//
// The tests of values, formats and views: one program, several files.
#ifndef TESTS_UNIT_RECORD_VALUE_TESTS_H
#define TESTS_UNIT_RECORD_VALUE_TESTS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "runtime/base/heap.h"
#include "runtime/base/limits.h"
#include "runtime/base/random.h"
#include "runtime/record/fieldplan.h"
#include "runtime/record/json_index.h"

extern uint64_t test_seed;

// A random value as a tree of built objects and arrays; text holds every kind of character.
struct value random_value(struct random *r, struct arena *a, int depth);
// Its JSON as text in the arena.
struct bytes json_of(const struct value *v, struct arena *a);
struct bytes msgpack_of(const struct value *v, struct arena *a);
// A copy on the heap with nothing behind it, so that the sanitizer sees one byte too many.
uint8_t *exact_copy(struct bytes b);

int run_json_tests(void);
int run_value_tests(void);
int run_view_tests(void);

#endif
