// SPDX-License-Identifier: Apache-2.0
#include "runtime/base/random.h"

#include <sys/random.h>

#include "runtime/base/assert.h"

void random_seed(struct random *r, uint64_t seed)
{
    r->state = seed;
}

uint64_t random_next(struct random *r)
{
    uint64_t z = (r->state += 0x9e3779b97f4a7c15u);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

uint64_t random_below(struct random *r, uint64_t below)
{
    ASSERT(below > 0);
    return (uint64_t)(((__uint128_t)random_next(r) * below) >> 64);
}

void random_entropy(void *p, size_t n)
{
    ssize_t got = getrandom(p, n, 0);

    ASSERT(n <= 256 && got == (ssize_t)n);
}

uint64_t random_entropy_u64(void)
{
    uint64_t v;

    random_entropy(&v, sizeof v);
    return v;
}
