// SPDX-License-Identifier: Apache-2.0
//
// The rules of a step: when one starts, when it ends, what a failure means.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "runtime/base/assert.h"
#include "runtime/base/err.h"
#include "runtime/base/limits.h"
#include "runtime/engine/step.h"

// A job with nothing to do does not commit; any one thing to do is a reason.
static void test_nothing_to_do(void **state)
{
    const struct step_wish none = {.since_commit_ms = 1000, .gap_ms = 2, .outbox_max = 10};
    struct step_wish w = none;

    (void)state;
    assert_int_equal(step_wanted(&w), STEP_NO);
    w = none, w.record = true;
    assert_int_equal(step_wanted(&w), STEP_YES);
    w = none, w.retry = true;
    assert_int_equal(step_wanted(&w), STEP_YES);
    w = none, w.tick = true;
    assert_int_equal(step_wanted(&w), STEP_YES);
    w = none, w.closing = true;
    assert_int_equal(step_wanted(&w), STEP_YES);
    w = none, w.unplaced = true;
    assert_int_equal(step_wanted(&w), STEP_YES);
}

// A drained input is committed at once, but not more often than every 2 ms.
static void test_gap(void **state)
{
    struct step_wish w = {.record = true, .gap_ms = STEP_GAP_MS_MIN, .outbox_max = 10};

    (void)state;
    assert_int_equal(STEP_GAP_MS_MIN, 2);
    w.since_commit_ms = 1;
    assert_int_equal(step_wanted(&w), STEP_TOO_SOON);
    w.since_commit_ms = 2;
    assert_int_equal(step_wanted(&w), STEP_YES);
}

// While too many rows wait for their destinations no step starts, whatever there is to do.
static void test_outbox_holds_the_job(void **state)
{
    struct step_wish w = {.record = true,
                          .since_commit_ms = 1000,
                          .gap_ms = 2,
                          .outbox_waiting = 9,
                          .outbox_max = 10};

    (void)state;
    assert_int_equal(step_wanted(&w), STEP_YES);
    w.outbox_waiting = 10;
    assert_int_equal(step_wanted(&w), STEP_BLOCKED);
}

// Whichever cap is met first ends the step.
static void test_caps(void **state)
{
    const struct step_caps caps = {.records = 100, .bytes = 1000, .every_ms = 50, .parked = 7};
    const struct step_size below = {.records = 99, .bytes = 999, .elapsed_ms = 49, .parked = 6};
    struct step_size s = below;

    (void)state;
    assert_false(step_full(&s, &caps));
    s = below, s.records++;
    assert_true(step_full(&s, &caps));
    s = below, s.bytes++;
    assert_true(step_full(&s, &caps));
    s = below, s.elapsed_ms++;
    assert_true(step_full(&s, &caps));
    s = below, s.parked++;
    assert_true(step_full(&s, &caps));
    s = below, s.memory = true;
    assert_true(step_full(&s, &caps));
}

// Where writing takes longer than the cap of time, a step collects as long as that, ten caps at
// most; and a cap that is no cap stays one.
static void test_slow_writing(void **state)
{
    (void)state;
    assert_int_equal(step_collect_ms(100, 0), 100);
    assert_int_equal(step_collect_ms(100, 99), 100);
    assert_int_equal(step_collect_ms(100, 450), 450);
    assert_int_equal(step_collect_ms(100, 5000), 1000);
    assert_int_equal(step_collect_ms(INT64_MAX, 5000), INT64_MAX);
}

// What names no record is found by running the batch again record by record, once; what passes by
// itself is waited for; the rest, and whatever fails in the commit, needs a person.
static void test_failures(void **state)
{
    (void)state;
    assert_int_equal(step_judge(STEP_FLUSH, LEAT_ECONSTRAINT, false), STEP_AGAIN_CAREFUL);
    assert_int_equal(step_judge(STEP_RECORDS, LEAT_ETYPE, false), STEP_AGAIN_CAREFUL);
    assert_int_equal(step_judge(STEP_FLUSH, LEAT_ECONSTRAINT, true), STEP_STOP);
    assert_int_equal(step_judge(STEP_COMMIT, LEAT_ECONSTRAINT, false), STEP_STOP);
    assert_int_equal(step_judge(STEP_RECORDS, LEAT_EOVERRUN, false), STEP_AGAIN);
    assert_int_equal(step_judge(STEP_FLUSH, LEAT_EOVERRUN, false), STEP_STOP);
    assert_int_equal(step_judge(STEP_RECORDS, LEAT_ENOSPC, false), STEP_WAIT);
    assert_int_equal(step_judge(STEP_FLUSH, LEAT_ENOSPC, true), STEP_WAIT);
    assert_int_equal(step_judge(STEP_RECORDS, LEAT_EIO, false), STEP_STOP);
}

// A step that waits tries again after a second, then ever later, half a minute at most.
static void test_backoff(void **state)
{
    static const int64_t want[] = {1000, 2000, 4000, 8000, 16000, 30000, 30000};
    int64_t ms = 0;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        ms = step_backoff(ms);
        assert_int_equal(ms, want[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_to_do),
        cmocka_unit_test(test_gap),
        cmocka_unit_test(test_outbox_holds_the_job),
        cmocka_unit_test(test_caps),
        cmocka_unit_test(test_slow_writing),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_backoff),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
