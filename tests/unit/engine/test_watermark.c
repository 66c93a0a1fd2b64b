// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "runtime/engine/watermark.h"

struct rig {
    struct watermark m;
    struct watermark_part parts[3];
    bool drained[3];
};

static void given(struct rig *r, int n, int64_t disorder, int64_t idle)
{
    *r = (struct rig){.m = {.disorder_ms = disorder, .idle_ms = idle, .w = WATERMARK_NONE, .n = n}};
    r->m.parts = r->parts;
    for (int i = 0; i < n; i++)
        r->parts[i] = (struct watermark_part){
            .w = WATERMARK_NONE, .last_time = WATERMARK_NONE, .drained_since = DRAINED_NOT};
}

static bool clock_at(struct watermark *m, const bool *drained, int64_t now)
{
    watermark_look(m, drained, now);
    return watermark_clock(m, now);
}

// W is the newest event time minus the disorder, and never goes back.
static void test_record(void **state)
{
    struct rig r;

    (void)state;
    given(&r, 1, 5, 100);
    assert_true(watermark_record(&r.m, 0, 50));
    assert_int_equal(r.m.w, 45);
    assert_false(watermark_record(&r.m, 0, 40));
    assert_int_equal(r.m.w, 45);
    assert_true(watermark_record(&r.m, 0, 60));
    assert_int_equal(r.m.w, 55);
}

// A source stands where its slowest partition stands; one that was never heard of holds it.
static void test_minimum(void **state)
{
    struct rig r;

    (void)state;
    given(&r, 2, 0, 100);
    assert_false(watermark_record(&r.m, 0, 50));
    assert_int_equal(r.m.w, WATERMARK_NONE);
    assert_true(watermark_record(&r.m, 1, 30));
    assert_int_equal(r.m.w, 30);
    assert_true(watermark_record(&r.m, 1, 70));
    assert_int_equal(r.m.w, 50);
}

// A partition that is drained for idle_ms holds nobody back; coming back with older records it
// moves nothing backwards.
static void test_idle(void **state)
{
    struct rig r;

    (void)state;
    given(&r, 2, 0, 100);
    (void)watermark_record(&r.m, 0, 50);
    (void)watermark_record(&r.m, 1, 10);
    r.drained[1] = true;
    assert_false(clock_at(&r.m, r.drained, 1000));
    assert_int_equal(watermark_next(&r.m, 1000, INT64_MAX), 1100);
    assert_false(clock_at(&r.m, r.drained, 1099));
    assert_true(clock_at(&r.m, r.drained, 1100));
    assert_int_equal(r.m.w, 50);
    assert_false(watermark_record(&r.m, 1, 20));
    assert_int_equal(r.m.w, 50);
    (void)watermark_record(&r.m, 0, 90);
    assert_int_equal(r.m.w, 50); // now partition 1 counts again
    assert_true(watermark_record(&r.m, 1, 80));
    assert_int_equal(r.m.w, 80);
}

// When everything has been drained for idle_ms, the clock moves W; idle = false turns that off.
static void test_clock(void **state)
{
    struct rig r;

    (void)state;
    given(&r, 1, 5, 100);
    (void)watermark_record(&r.m, 0, 500);
    r.drained[0] = true;
    (void)clock_at(&r.m, r.drained, 1000);
    assert_int_equal(r.m.w, 495);
    assert_int_equal(watermark_at(&r.m, 1100), 995);
    assert_true(clock_at(&r.m, r.drained, 1100));
    assert_int_equal(r.m.w, 995);
    assert_int_equal(watermark_next(&r.m, 1100, 2000), 2105);
    given(&r, 1, 5, -1);
    (void)watermark_record(&r.m, 0, 500);
    r.drained[0] = true;
    assert_false(clock_at(&r.m, r.drained, 1000));
    assert_false(clock_at(&r.m, r.drained, 1000000));
    assert_int_equal(watermark_next(&r.m, 1000, 2000), INT64_MAX);
}

// Looking at the clock moves nothing and makes nothing idle; it says what a step would do.
static void test_look(void **state)
{
    struct rig r;

    (void)state;
    given(&r, 1, 5, 100);
    (void)watermark_record(&r.m, 0, 500);
    r.drained[0] = true;
    watermark_look(&r.m, r.drained, 1000);
    watermark_look(&r.m, r.drained, 1100);
    assert_int_equal(watermark_at(&r.m, 1100), 995);
    assert_int_equal(watermark_next(&r.m, 1100, 2000), 2105);
    assert_int_equal(r.m.w, 495);
    assert_false(r.parts[0].idle);
    r.drained[0] = false; // something came: as if nobody had looked
    watermark_look(&r.m, r.drained, 1200);
    assert_int_equal(watermark_at(&r.m, 1200), 495);
    assert_false(watermark_clock(&r.m, 1200));
    assert_int_equal(r.m.w, 495);
}

// The clock does not overtake what waits to be read: an idle partition's backlog (the job was down)
// is as little late as it would have been.
static void test_backlog(void **state)
{
    struct rig r;

    (void)state;
    given(&r, 2, 5, 100);
    (void)watermark_record(&r.m, 0, 500);
    r.drained[0] = r.drained[1] = true;
    (void)clock_at(&r.m, r.drained, 1000);
    assert_true(clock_at(&r.m, r.drained, 1100)); // both are idle
    assert_int_equal(r.m.w, 995);
    r.drained[1] = false;
    assert_false(clock_at(&r.m, r.drained, 9000));
    assert_int_equal(r.m.w, 995);
    assert_false(watermark_record(&r.m, 1, 990));
    assert_true(watermark_record(&r.m, 1, 1200)); // the other one is idle still
    assert_int_equal(r.m.w, 1195);
    r.drained[1] = true;
    assert_false(clock_at(&r.m, r.drained, 9100));
    assert_true(clock_at(&r.m, r.drained, 9200));
    assert_int_equal(r.m.w, 9095);
}

// What the partitions keep is enough: a restart in between changes no W that comes after.
static void test_restart(void **state)
{
    static const int64_t times[][2] = {{0, 10}, {1, 40}, {0, 60}, {1, 20}, {0, 90}, {1, 95}};
    struct rig a, b;

    (void)state;
    given(&a, 2, 3, 100);
    given(&b, 2, 3, 100);
    for (size_t i = 0; i < 6; i++) {
        bool drained[2] = {i != 2, i == 3};
        (void)watermark_record(&a.m, (int)times[i][0], times[i][1]);
        (void)watermark_record(&b.m, (int)times[i][0], times[i][1]);
        (void)clock_at(&a.m, drained, 1000 + 60 * (int64_t)i);
        (void)clock_at(&b.m, drained, 1000 + 60 * (int64_t)i);
        b.m.w = WATERMARK_NONE;
        watermark_loaded(&b.m);
        assert_int_equal(a.m.w, b.m.w);
    }
}

// Event times near the ends of int64 saturate instead of wrapping.
static void test_extremes(void **state)
{
    struct rig r;

    (void)state;
    given(&r, 1, 1000, 100);
    (void)watermark_record(&r.m, 0, INT64_MIN + 5);
    assert_true(r.m.w < INT64_MIN + 10);
    (void)watermark_record(&r.m, 0, INT64_MAX);
    assert_int_equal(r.m.w, INT64_MAX - 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_record),  cmocka_unit_test(test_minimum),
        cmocka_unit_test(test_idle),    cmocka_unit_test(test_clock),
        cmocka_unit_test(test_backlog), cmocka_unit_test(test_restart),
        cmocka_unit_test(test_extremes), cmocka_unit_test(test_look),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
