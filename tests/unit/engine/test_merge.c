// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "runtime/base/random.h"
#include "runtime/engine/merge.h"

enum { PARTS = 7, LENGTH = 40 };

struct lists {
    int64_t time[PARTS][LENGTH];
    int n[PARTS], at[PARTS];
    uint32_t rank[PARTS];
};

static void given_lists(struct lists *l, struct random *r)
{
    for (int p = 0; p < PARTS; p++) {
        l->n[p] = (int)random_below(r, LENGTH);
        l->at[p] = 0;
        l->rank[p] = (uint32_t)((p * 3 + 5) % PARTS);
        for (int i = 0; i < l->n[p]; i++) // many equal times, out of order within a partition
            l->time[p][i] = (int64_t)random_below(r, 20);
    }
}

static int smallest_head(const struct lists *l)
{
    int best = -1;

    for (int p = 0; p < PARTS; p++) {
        if (l->at[p] == l->n[p])
            continue;
        if (best < 0 || l->time[p][l->at[p]] < l->time[best][l->at[best]] ||
            (l->time[p][l->at[p]] == l->time[best][l->at[best]] && l->rank[p] < l->rank[best]))
            best = p;
    }
    return best;
}

static struct merge_head head(const struct lists *l, int p)
{
    return (struct merge_head){.time = l->time[p][l->at[p]], .rank = l->rank[p], .part = p};
}

// The head that goes next is the smallest by (event time, rank), whatever the heap's history.
static void test_order(void **state)
{
    uint64_t seed = getenv("SEED") != NULL ? strtoull(getenv("SEED"), NULL, 10) : 42;
    struct random r;

    (void)state;
    printf("seed %llu\n", (unsigned long long)seed);
    random_seed(&r, seed);
    for (int round = 0; round < 500; round++) {
        struct merge_head heap[PARTS];
        struct merge m = {.heads = heap};
        struct lists l;
        int p;

        given_lists(&l, &r);
        for (p = PARTS - 1; p >= 0; p--)
            if (l.n[p] > 0)
                merge_push(&m, head(&l, p));
        while ((p = smallest_head(&l)) >= 0) {
            assert_int_equal(merge_top(&m)->part, p);
            l.at[p]++;
            if (l.at[p] < l.n[p])
                merge_replace(&m, head(&l, p));
            else
                merge_pop(&m);
        }
        assert_int_equal(m.n, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_order)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
