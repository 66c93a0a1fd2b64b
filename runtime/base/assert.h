// SPDX-License-Identifier: Apache-2.0
//
// Assertions are a language here: ASSERT is a bug of ours and stays on in releases; DEBUG_ASSERT is
// for checks too dear for a hot path; UNREACHABLE names why. What the outside can cause is never an
// assert.
#ifndef LEAT_BASE_ASSERT_H
#define LEAT_BASE_ASSERT_H

#include <stddef.h>

// Prints "assertion failed" with the expression and place to stderr, then aborts.
_Noreturn void assert_failed(const char *expr, const char *file, int line, const char *func);

#define ASSERT(x) ((x) ? (void)0 : assert_failed(#x, __FILE__, __LINE__, __func__))
#define UNREACHABLE(why) assert_failed("unreachable: " why, __FILE__, __LINE__, __func__)
#if LEAT_TESTING
#define DEBUG_ASSERT(x) ASSERT(x)
#else
#define DEBUG_ASSERT(x) ((void)0)
#endif

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

// Every function that returns an error code carries this.
#define LEAT_CHECKED __attribute__((warn_unused_result))
#define LEAT_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

#endif
