// SPDX-License-Identifier: Apache-2.0
//
// The orders in which records of several partitions can arrive.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/base/heap.h"
#include "runtime/engine/chaos_orders.h"

enum { RECORDS_MAX = 8, ALL_MAX = 2600 };

// Every record once, and those of one partition in the order in which they were sent.
static void expect_an_order(const int32_t *partitions, int n, const int *order)
{
    bool seen[RECORDS_MAX] = {false};

    for (int i = 0; i < n; i++) {
        assert_in_range(order[i], 0, n - 1);
        assert_false(seen[order[i]]);
        seen[order[i]] = true;
        for (int k = 0; k < i; k++)
            if (partitions[order[k]] == partitions[order[i]])
                assert_true(order[k] < order[i]);
    }
}

static void expect_all(const int32_t *partitions, int n, int64_t count)
{
    int(*orders)[RECORDS_MAX] = heap_zalloc(ALL_MAX * sizeof *orders);

    assert_int_equal(orders_count(partitions, n), count);
    assert_true(count <= ALL_MAX);
    for (int64_t i = 0; i < count; i++) {
        orders_nth(partitions, n, i, orders[i]);
        expect_an_order(partitions, n, orders[i]);
        for (int64_t k = 0; k < i; k++) // all different, so all there are
            assert_int_not_equal(memcmp(orders[k], orders[i], sizeof orders[i]), 0);
    }
    for (int i = 0; i < n; i++)
        assert_int_equal(orders[0][i], i);
    heap_free(orders);
}

// Each order that keeps every partition's own has one number, and number 0 is the order given.
static void test_each_order_once(void **state)
{
    (void)state;
    expect_all((int32_t[]){0}, 1, 1);
    expect_all((int32_t[]){4, 4, 4}, 3, 1);
    expect_all((int32_t[]){0, 3}, 2, 2);
    expect_all((int32_t[]){7, 0, 7, 0}, 4, 6);
    expect_all((int32_t[]){2, 1, 0, 1, 2, 1}, 6, 60);
    expect_all((int32_t[]){0, 0, 1, 1, 2, 2, 3, 3}, 8, 2520);
}

// More orders than a number holds are that many, not fewer.
static void test_a_great_many(void **state)
{
    int32_t partitions[200];

    (void)state;
    for (int i = 0; i < 200; i++)
        partitions[i] = i % 3;
    assert_true(orders_count(partitions, 200) == INT64_MAX);
    assert_int_equal(orders_count(partitions, 12), 34650);
}

// A sample holds orders too, is the same for the same seed and does not stand still.
static void test_samples(void **state)
{
    const int32_t partitions[] = {0, 1, 0, 2, 1, 0, 2, 2};
    int a[8], b[8], different = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= 100; seed++) {
        orders_random(partitions, 8, seed, a);
        orders_random(partitions, 8, seed, b);
        expect_an_order(partitions, 8, a);
        assert_memory_equal(a, b, sizeof a);
        orders_random(partitions, 8, seed + 1, b);
        different += memcmp(a, b, sizeof a) != 0;
    }
    assert_true(different > 90);
}

// One partition far ahead of the others, which stay as they were.
static void test_one_ahead(void **state)
{
    const int32_t partitions[] = {5, 1, 5, 2, 1};
    int order[5];

    (void)state;
    assert_int_equal(orders_partitions(partitions, 5), 3);
    orders_first(partitions, 5, 2, order);
    assert_memory_equal(order, ((int[]){3, 0, 1, 2, 4}), sizeof order);
    orders_first(partitions, 5, 1, order);
    assert_memory_equal(order, ((int[]){1, 4, 0, 2, 3}), sizeof order);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_order_once),
        cmocka_unit_test(test_a_great_many),
        cmocka_unit_test(test_samples),
        cmocka_unit_test(test_one_ahead),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
