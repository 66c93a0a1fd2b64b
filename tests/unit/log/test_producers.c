// SPDX-License-Identifier: Apache-2.0
//
// Idempotent producers: duplicates, gaps, epochs, wrap, forks, and ids of jobs.
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "runtime/base/limits.h"
#include "tests/support/log_rig.h"

enum { CLIENT = 7 };
#define JOB (PRODUCER_ID_RESERVED + 1)

static int setup(void **state)
{
    static struct rig rig;

    rig_init(&rig, 5);
    assert_int_equal(rig_open(&rig), 0);
    *state = &rig;
    return 0;
}

static int teardown(void **state)
{
    rig_deinit(*state);
    return 0;
}

// One-letter records, the same bytes for the same arguments.
static int send(struct rig *r, int64_t id, int16_t epoch, int32_t sequence, int n,
                const char *value, struct append_result *result)
{
    struct bytes out;

    batch_builder_reset(&r->builder);
    batch_builder_producer(&r->builder, id, epoch, sequence);
    for (int i = 0; i < n; i++)
        batch_builder_add(&r->builder, 1700000000000, BYTES_NULL, bytes_str(value), NULL, 0);
    assert_int_equal(batch_builder_finish(&r->builder, CODEC_NONE, &out, &r->e), 0);
    return rig_append_built(r, out, result);
}

static void reopen(struct rig *r)
{
    rig_close(r);
    assert_int_equal(rig_open(r), 0);
}

static void reopen_killed(struct rig *r)
{
    assert_int_equal(rig_sync(r), 0);
    fs_fake_arm(r->fake, 0, FS_FAULT_POWER);
    rig_close(r);
    fs_fake_arm(r->fake, 0, FS_FAULT_NONE);
    assert_int_equal(rig_open(r), 0);
}

static void expect_duplicate(struct rig *r, int64_t id, int32_t sequence, int n, int64_t base)
{
    struct append_result result;

    assert_int_equal(send(r, id, 0, sequence, n, "v", &result), 0);
    assert_true(result.duplicate);
    assert_int_equal(result.base_offset, base);
}

static void expect_appended(struct rig *r, int64_t id, int32_t sequence, int n)
{
    struct append_result result;

    assert_int_equal(send(r, id, 0, sequence, n, "v", &result), 0);
    assert_false(result.duplicate);
}

static void expect_refused(struct rig *r, int64_t id, int32_t sequence, int n, int code)
{
    struct append_result result;
    int64_t end = partition_end(r->p);

    assert_int_equal(send(r, id, 0, sequence, n, "v", &result), code);
    assert_int_equal(partition_end(r->p), end);
}

static void five_kept(struct rig *r, int64_t id, int32_t first)
{
    for (int i = 0; i < 5; i++)
        expect_duplicate(r, id, first + 2 * i, 2, first + 2 * i);
}

static void test_duplicates(void **state)
{
    // The last five batches are recognised, also after a clean restart and after a
    // kill.
    struct rig *r = *state;

    for (int i = 0; i < 7; i++)
        expect_appended(r, CLIENT, 2 * i, 2);
    five_kept(r, CLIENT, 4);
    expect_refused(r, CLIENT, 2, 2, LEAT_ESEQUENCE);
    reopen(r);
    five_kept(r, CLIENT, 4);
    reopen_killed(r);
    five_kept(r, CLIENT, 4);
    expect_refused(r, CLIENT, 2, 2, LEAT_ESEQUENCE);
    expect_appended(r, CLIENT, 14, 2);
    reopen_killed(r);
    five_kept(r, CLIENT, 6);
}

static void test_gaps_and_boundaries(void **state)
{
    // A gap and a repeat with other boundaries are out of order, and nothing is
    // appended.
    struct rig *r = *state;

    expect_appended(r, CLIENT, 0, 1);
    expect_refused(r, CLIENT, 2, 1, LEAT_ESEQUENCE);
    expect_appended(r, CLIENT, 1, 10);
    expect_refused(r, CLIENT, 1, 20, LEAT_ESEQUENCE);
    expect_refused(r, CLIENT, 5, 3, LEAT_ESEQUENCE);
    expect_appended(r, CLIENT, 11, 1);
}

static void test_first_sight(void **state)
{
    // KIP-360: a client that is not known may begin anywhere; a job's id must begin at 0.
    struct rig *r = *state;

    expect_appended(r, CLIENT, 500, 1);
    expect_refused(r, JOB, 1, 1, LEAT_ESEQUENCE);
    expect_appended(r, JOB, 0, 1);
}

static void test_epochs(void **state)
{
    // An older epoch is fenced; a newer one begins at 0 and forgets the batches of the
    // old.
    struct rig *r = *state;
    struct append_result result;

    assert_int_equal(send(r, CLIENT, 3, 0, 1, "v", &result), 0);
    assert_int_equal(send(r, CLIENT, 2, 1, 1, "v", &result), LEAT_EFENCED);
    assert_int_equal(err_kafka(LEAT_EFENCED), 47);
    assert_int_equal(send(r, CLIENT, 4, 1, 1, "v", &result), LEAT_ESEQUENCE);
    assert_int_equal(err_kafka(LEAT_ESEQUENCE), 45);
    assert_int_equal(send(r, CLIENT, 4, 0, 1, "v", &result), 0);
    assert_false(result.duplicate);
    assert_int_equal(send(r, CLIENT, 3, 0, 1, "v", &result), LEAT_EFENCED);
    reopen_killed(r);
    assert_int_equal(send(r, CLIENT, 3, 1, 1, "v", &result), LEAT_EFENCED);
}

static void test_wrap(void **state)
{
    // After 2^31-1 comes 0, inside a batch too, and duplicates are recognised across it.
    struct rig *r = *state;

    expect_appended(r, CLIENT, INT32_MAX - 1, 1);
    expect_appended(r, CLIENT, INT32_MAX, 1);
    expect_appended(r, CLIENT, 0, 1);
    expect_duplicate(r, CLIENT, INT32_MAX, 1, 1);
    expect_appended(r, 8, INT32_MAX - 2, 10);
    expect_refused(r, 8, 6, 1, LEAT_ESEQUENCE);
    expect_appended(r, 8, 7, 1);
    reopen(r);
    expect_duplicate(r, 8, INT32_MAX - 2, 10, 3);
    expect_appended(r, 8, 8, 1);
}

static void test_fork(void **state)
{
    // D8: the same sequences with other bytes are a fork, never a success.
    struct rig *r = *state;
    struct append_result result;

    expect_appended(r, JOB, 0, 2);
    expect_appended(r, JOB, 2, 2);
    assert_int_equal(send(r, JOB, 0, 0, 2, "other", &result), LEAT_EFORK);
    reopen(r);
    assert_int_equal(send(r, JOB, 0, 2, 2, "other", &result), LEAT_EFORK);
    expect_refused(r, JOB, 1, 2, LEAT_EFORK);
    expect_refused(r, JOB, 3, 2, LEAT_ESEQUENCE);
}

static void test_jobs_never_forget(void **state)
{
    // For a job's id anything at or below the last sequence is a duplicate, after
    // expiry, after retention of every segment, after restarts.
    struct rig *r = *state;
    struct append_result result;
    int64_t freed;

    for (int i = 0; i < 20; i++)
        expect_appended(r, JOB, i, 1);
    expect_appended(r, CLIENT, 9, 1);
    assert_int_equal(rig_sync(r), 0);
    assert_int_equal(send(r, JOB, 0, 3, 1, "v", &result), 0);
    assert_true(result.duplicate);
    assert_int_equal(result.base_offset, -1);
    clock_fake_advance(&r->clock, 25 * 3600 * 1000);
    partition_expire_producers(r->p, 24 * 3600 * 1000);
    r->config.retention_ms = 1000;
    reopen(r);
    assert_int_equal(partition_retain(r->p, &freed, &r->e), 0);
    assert_int_equal(partition_start(r->p), partition_end(r->p));
    assert_int_equal(partition_bytes(r->p), 0);
    for (int i = 0; i < 3; i++) {
        expect_duplicate(r, JOB, 19, 1, 19);
        assert_int_equal(send(r, JOB, 0, 0, 1, "v", &result), 0);
        assert_true(result.duplicate);
        expect_refused(r, JOB, 21, 1, LEAT_ESEQUENCE);
        if (i % 2)
            reopen(r);
        else
            reopen_killed(r);
    }
    fs_fake_arm(r->fake, 0, FS_FAULT_POWER);
    rig_close(r);
    fs_fake_crash(r->fake, 0);
    assert_int_equal(rig_open(r), 0);
    expect_duplicate(r, JOB, 19, 1, 19);
    expect_appended(r, CLIENT, 3, 1); // forgotten: may begin anywhere
}

static void test_asking(void **state)
{
    // A job asks at its start what the partition has of it.
    struct rig *r = *state;
    int16_t epoch;
    int32_t last;
    int64_t offset;

    assert_int_equal(partition_producer(r->p, JOB, &epoch, &last, &offset), LEAT_ENOTFOUND);
    expect_appended(r, JOB, 0, 5);
    assert_int_equal(partition_producer(r->p, JOB, &epoch, &last, &offset), 0);
    assert_int_equal(epoch, 0);
    assert_int_equal(last, 4);
    assert_int_equal(offset, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_duplicates, setup, teardown),
        cmocka_unit_test_setup_teardown(test_gaps_and_boundaries, setup, teardown),
        cmocka_unit_test_setup_teardown(test_first_sight, setup, teardown),
        cmocka_unit_test_setup_teardown(test_epochs, setup, teardown),
        cmocka_unit_test_setup_teardown(test_wrap, setup, teardown),
        cmocka_unit_test_setup_teardown(test_fork, setup, teardown),
        cmocka_unit_test_setup_teardown(test_jobs_never_forget, setup, teardown),
        cmocka_unit_test_setup_teardown(test_asking, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
