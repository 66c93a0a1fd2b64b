// SPDX-License-Identifier: Apache-2.0
//
// The randomness seam: a small seeded generator (splitmix64), and entropy from the kernel for ids.
// Nothing that reaches a job's result may come from here.
#ifndef LEAT_BASE_RANDOM_H
#define LEAT_BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

struct random {
    uint64_t state;
};

void random_seed(struct random *r, uint64_t seed);
uint64_t random_next(struct random *r);
// Uniform in [0, below); below > 0.
uint64_t random_below(struct random *r, uint64_t below);
// From getrandom(2); ends the process if the kernel has none.
void random_entropy(void *p, size_t n);
uint64_t random_entropy_u64(void);

#endif
