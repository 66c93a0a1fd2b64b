// SPDX-License-Identifier: Apache-2.0
//
// What the benchmark programs share: clocks, medians, a result line that the runner reads.
#ifndef LEAT_TESTS_BENCH_H
#define LEAT_TESTS_BENCH_H

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static inline uint64_t bench_now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static inline _Noreturn void bench_die(const char *what)
{
    fprintf(stderr, "bench: %s: %s\n", what, strerror(errno));
    exit(1);
}

static inline int bench_compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

// Sorts, and returns the value at `share` (0.5: the median).
static inline double bench_quantile(double *v, size_t n, double share)
{
    qsort(v, n, sizeof *v, bench_compare);
    return v[(size_t)(share * (double)(n - 1) + 0.5)];
}

// xorshift64*: the same sequence everywhere.
static inline uint64_t bench_random(uint64_t *state)
{
    uint64_t x = *state;

    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    *state = x;
    return x * 2685821657736338717u;
}

#endif
