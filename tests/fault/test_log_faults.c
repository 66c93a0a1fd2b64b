// SPDX-License-Identifier: Apache-2.0
//
// Partitions under failing disks and lost power: one scripted life (appends, syncs, rolls,
// retention, DeleteRecords, clean restarts) is repeated with the n-th operation failing, for every
// n, until none fails; power cuts are drawn several times per n. The rule is the same everywhere:
// what was said to be flushed is readable, byte for byte, at the same offsets, and the partition
// goes on.
//
// The last test proves that the others can see: without syncs the same cuts must lose data.
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "runtime/base/failpoint.h"
#include "runtime/base/heap.h"
#include "tests/support/log_rig.h"

static uint64_t seed = 1;

enum { LIFE_STEPS = 60, CUTS_PER_OP = 6, CRASHES_IN_RECOVERY = 12 };

static int live_step(struct rig *r, int i)
{
    int64_t freed;

    switch (i % 12) {
    case 3:
    case 7:
    case 10:
        return rig_sync(r);
    case 9:
        return i % 24 == 9 ? partition_retain(r->p, &freed, &r->e) : rig_append(r);
    case 11:
        if (i % 36 == 35)
            return partition_delete_before(r->p, partition_flushed(r->p) / 2, &r->e);
        if (i % 24 != 11)
            return rig_append(r);
        rig_close(r);
        return rig_open(r);
    default:
        return rig_append(r);
    }
}

// Lives until the end or until the partition is gone. Single refusals (no space) are lived with.
static void live(struct rig *r)
{
    if (r->p == NULL && rig_open(r) != 0)
        return;
    for (int i = 0; i < LIFE_STEPS && r->p != NULL; i++) {
        (void)!live_step(r, i);
        if (r->p != NULL && partition_flushed(r->p) > r->acked)
            r->acked = partition_flushed(r->p);
    }
}

static void given_rig(struct rig *r, uint64_t s)
{
    rig_init(r, s);
    r->config.segment_bytes = 3000;
    r->config.retention_bytes = 9000;
}

// 0 or what is wrong.
static const char *judge(struct rig *r)
{
    static char text[700];
    struct err why = {0};
    int64_t bad;

    if (partition_state(r->p, &why) != PARTITION_READY) {
        snprintf(text, sizeof text, "not ready: %s", why.text);
        return text;
    }
    if (partition_end(r->p) < r->acked) {
        snprintf(text, sizeof text, "end %lld, acked %lld", (long long)partition_end(r->p),
                 (long long)r->acked);
        return text;
    }
    if (partition_start(r->p) > r->acked && r->acked > 0)
        return "start beyond what was acked";
    bad = rig_compare(r, partition_end(r->p));
    if (bad != 0) {
        snprintf(text, sizeof text, "offset %lld differs: %s", (long long)bad - 1, r->e.text);
        return text;
    }
    return NULL;
}

// The newest five batches again: each is a duplicate with its old offset, whatever happened in
// between.
static void expect_duplicates(struct rig *r)
{
    int64_t end = partition_end(r->p);

    for (size_t i = r->n_batches > 5 ? r->n_batches - 5 : 0; i < r->n_batches; i++) {
        struct append_result result;
        struct bytes b = r->batches[i].bytes;
        assert_int_equal(rig_append_built(r, b, &result), 0);
        assert_true(result.duplicate);
        assert_int_equal(result.base_offset, r->batches[i].base);
        assert_int_equal(result.end_offset, r->batches[i].end);
    }
    assert_int_equal(partition_end(r->p), end);
}

static void expect_goes_on(struct rig *r)
{
    rig_accept_end(r);
    expect_duplicates(r);
    for (int i = 0; i < 10; i++)
        if (rig_append(r) != 0)
            fail_msg("append afterwards: %s", r->e.text);
    assert_int_equal(rig_sync(r), 0);
    assert_int_equal(rig_compare(r, partition_end(r->p)), 0);
}

static void expect_recovered(struct rig *r, int64_t n, uint64_t cut)
{
    const char *wrong;

    if (rig_open(r) != 0)
        fail_msg("seed %llu op %lld cut %llu: open: %s", (unsigned long long)seed, (long long)n,
                 (unsigned long long)cut, r->e.text);
    wrong = judge(r);
    if (wrong != NULL)
        fail_msg("seed %llu op %lld cut %llu: %s", (unsigned long long)seed, (long long)n,
                 (unsigned long long)cut, wrong);
    expect_goes_on(r);
}

static bool live_with_fault(struct rig *r, int64_t n, enum fs_fault kind)
{
    fs_fake_arm(r->fake, n, kind);
    live(r);
    bool fired = fs_fake_fired(r->fake);
    rig_close(r);
    fired = fired || fs_fake_fired(r->fake);
    fs_fake_arm(r->fake, 0, FS_FAULT_NONE);
    return fired;
}

static void test_power_cut_at_every_operation(void **state)
{
    // Power lost at any operation loses nothing that was flushed.
    bool fired = true;

    (void)state;
    for (int64_t n = 0; fired; n++)
        for (uint64_t cut = 0; cut < CUTS_PER_OP; cut++) {
            struct rig r;
            given_rig(&r, seed);
            fired = live_with_fault(&r, n, FS_FAULT_POWER);
            fs_fake_crash(r.fake, cut == 0 ? 0 : seed * 1000 + cut);
            expect_recovered(&r, n, cut);
            rig_deinit(&r);
        }
}

static void test_power_cut_in_recovery(void **state)
{
    // Recovery that is itself cut off, three times in a row, ends in the same place.
    (void)state;
    for (int64_t n = 20; n < 200; n += 9)
        for (int64_t k = 0; k < CRASHES_IN_RECOVERY; k++) {
            struct rig r;
            given_rig(&r, seed);
            live_with_fault(&r, n, FS_FAULT_POWER);
            for (uint64_t again = 1; again <= 3; again++) {
                fs_fake_crash(r.fake, seed * 77 + again);
                fs_fake_arm(r.fake, k, FS_FAULT_POWER);
                if (rig_open(&r) == 0 && partition_flushed(r.p) > r.acked)
                    r.acked = partition_flushed(r.p);
                rig_close(&r);
            }
            fs_fake_crash(r.fake, seed * 78);
            expect_recovered(&r, n, (uint64_t)k);
            rig_deinit(&r);
        }
}

static void each_fault(enum fs_fault kind)
{
    bool fired = true;

    for (int64_t n = 0; fired; n++) {
        struct rig r;
        given_rig(&r, seed);
        fired = live_with_fault(&r, n, kind);
        expect_recovered(&r, n, 0);
        rig_deinit(&r);
    }
}

static void test_io_error_at_every_operation(void **state)
{
    // A failed operation stops the partition or the opening; a restart serves what was
    // flushed.
    (void)state;
    each_fault(FS_FAULT_EIO);
}

static void test_no_space_at_every_operation(void **state)
{
    // A full disk fails appends, leaves no half batch, and nothing flushed is lost.
    (void)state;
    each_fault(FS_FAULT_ENOSPC);
    each_fault(FS_FAULT_SHORT);
    each_fault(FS_FAULT_FULL);
}

static void test_space_comes_back(void **state)
{
    // When there is space again, the same open partition goes on without a restart.
    int64_t ops;

    (void)state;
    struct rig r;
    given_rig(&r, seed);
    assert_int_equal(rig_open(&r), 0);
    for (int i = 0; i < 20; i++)
        assert_int_equal(rig_append(&r), 0);
    assert_int_equal(rig_sync(&r), 0);
    ops = 0;
    for (; ops < 12; ops++) {
        int64_t end;
        fs_fake_arm(r.fake, ops, FS_FAULT_FULL);
        for (int i = 0; i < 12; i++) {
            end = partition_end(r.p);
            int rc = rig_append(&r);
            assert_true(rc == 0 || rc == LEAT_ENOSPC);
            if (rc != 0)
                assert_int_equal(partition_end(r.p), end);
        }
        assert_int_equal(partition_state(r.p, NULL), PARTITION_READY);
        fs_fake_arm(r.fake, 0, FS_FAULT_NONE);
        assert_int_equal(rig_append(&r), 0);
        assert_int_equal(rig_sync(&r), 0);
        assert_int_equal(rig_compare(&r, partition_end(r.p)), 0);
    }
    rig_deinit(&r);
}

static void test_failed_sync_is_final(void **state)
{
    // D11: after one failed sync nothing more is acked, however well later syncs would go.
    struct rig r;

    (void)state;
    given_rig(&r, seed);
    assert_int_equal(rig_open(&r), 0);
    assert_int_equal(rig_append(&r), 0);
    failpoint_arm("before_log_fsync=eio@1");
    assert_int_equal(rig_sync(&r), LEAT_EIO);
    failpoint_arm(NULL);
    assert_int_equal(rig_sync(&r), LEAT_EIO);
    assert_int_equal(rig_append(&r), LEAT_EIO);
    assert_int_equal(partition_hw(r.p), 0);
    assert_int_equal(partition_state(r.p, NULL), PARTITION_FAILED);
    rig_deinit(&r);
}

static void test_failpoints(void **state)
{
    // Each named step may fail at each passage; what was flushed survives.
    static const char *const points[] = {"before_log_fsync", "after_append", "roll_created",
                                         "recover_step", "retention_unlink"};
    char spec[64];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(points); i++)
        for (int at = 1; at < 14; at += 2) {
            struct rig r;
            given_rig(&r, seed);
            snprintf(spec, sizeof spec, "%s=eio@%d", points[i], at);
            failpoint_arm(spec);
            live(&r);
            rig_close(&r);
            failpoint_arm(NULL);
            expect_recovered(&r, at, i);
            rig_deinit(&r);
        }
}

static void test_no_memory(void **state)
{
    // Any allocation that may be refused is refused once: opening and reading answer with ENOMEM,
    // nothing leaks.
    bool fired = true;

    (void)state;
    for (int64_t n = 0; fired; n++) {
        struct rig r;
        struct buf out = BUF_EMPTY;
        int64_t next, offset, found;
        given_rig(&r, seed);
        assert_int_equal(rig_open(&r), 0);
        for (int i = 0; i < 20; i++)
            assert_int_equal(rig_append(&r), 0);
        assert_int_equal(rig_sync(&r), 0);
        rig_close(&r);
        heap_fault_arm(n, false);
        int rc = rig_open(&r);
        assert_true(rc == 0 || rc == LEAT_ENOMEM);
        if (rc == 0)
            rc = partition_read(r.p, 5, INT64_MAX, 5000, &out, &next, &r.e);
        if (rc == 0)
            rc = partition_find_time(r.p, r.clock.wall - 20, INT64_MAX, &offset, &found, &r.e);
        assert_true(rc == 0 || rc == LEAT_ENOMEM);
        fired = heap_fault_fired();
        heap_fault_arm(-1, false);
        buf_deinit(&out);
        rig_close(&r);
        expect_recovered(&r, n, 0);
        rig_deinit(&r);
    }
}

static void test_control_without_sync(void **state)
{
    // Negative control: with syncs left out the same cuts lose acked data, or else these tests are
    // blind.
    int lost = 0, cuts = 0;

    (void)state;
    failpoint_arm("nosync");
    for (int64_t n = 30; n < 130; n += 5, cuts++) {
        struct rig r;
        given_rig(&r, seed);
        live_with_fault(&r, n, FS_FAULT_POWER);
        fs_fake_crash(r.fake, 0);
        if (rig_open(&r) != 0 || judge(&r) != NULL)
            lost++;
        rig_deinit(&r);
    }
    failpoint_arm(NULL);
    printf("control: %d of %d cuts lost acked data\n", lost, cuts);
    assert_true(lost * 10 >= cuts * 9);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_power_cut_at_every_operation),
        cmocka_unit_test(test_power_cut_in_recovery),
        cmocka_unit_test(test_io_error_at_every_operation),
        cmocka_unit_test(test_no_space_at_every_operation),
        cmocka_unit_test(test_space_comes_back),
        cmocka_unit_test(test_failed_sync_is_final),
        cmocka_unit_test(test_failpoints),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_control_without_sync),
    };

    seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1 + random_entropy_u64() % 1000000;
    printf("seed %llu\n", (unsigned long long)seed);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
