// SPDX-License-Identifier: Apache-2.0
//
// Partitions: what is appended reads back, by offset and by time; rolls, retention, reopening,
// damage.
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "runtime/base/limits.h"
#include "tests/support/log_rig.h"

static uint64_t seed = 1;

static int setup(void **state)
{
    static struct rig rig;

    rig_init(&rig, seed);
    assert_int_equal(rig_open(&rig), 0);
    *state = &rig;
    return 0;
}

static int teardown(void **state)
{
    rig_deinit(*state);
    return 0;
}

static void append_many(struct rig *r, int n)
{
    for (int i = 0; i < n; i++)
        assert_int_equal(rig_append(r), 0);
    assert_int_equal(rig_sync(r), 0);
}

static void reopen(struct rig *r)
{
    rig_close(r);
    if (rig_open(r) != 0)
        fail_msg("reopen: %s", r->e.text);
}

static void expect_all(struct rig *r)
{
    assert_int_equal(rig_compare(r, partition_end(r->p)), 0);
}

static void test_empty(void **state)
{
    // A new partition is empty, readable at its end, and out of range elsewhere.
    struct rig *r = *state;
    struct buf out = BUF_EMPTY;
    int64_t next;

    assert_int_equal(partition_end(r->p), 0);
    assert_int_equal(partition_read(r->p, 0, INT64_MAX, 100, &out, &next, &r->e), 0);
    assert_int_equal(out.n, 0);
    assert_int_equal(partition_read(r->p, 1, INT64_MAX, 100, &out, &next, &r->e), LEAT_ERANGE);
    assert_int_equal(partition_read(r->p, -1, INT64_MAX, 100, &out, &next, &r->e), LEAT_ERANGE);
    reopen(r);
    assert_int_equal(partition_end(r->p), 0);
    assert_int_equal(partition_state(r->p, NULL), PARTITION_READY);
}

static void test_visible_when_synced(void **state)
{
    // The high watermark follows the sync, never the append.
    struct rig *r = *state;

    assert_int_equal(rig_append(r), 0);
    assert_true(partition_end(r->p) > 0);
    assert_int_equal(partition_hw(r->p), 0);
    assert_int_equal(rig_sync(r), 0);
    assert_int_equal(partition_hw(r->p), partition_end(r->p));
}

static void read_random(struct rig *r)
{
    struct buf out = BUF_EMPTY;
    int64_t end = partition_end(r->p), next;
    int64_t offset = (int64_t)random_below(&r->random, (uint64_t)end);
    int64_t limit = (int64_t)random_below(&r->random, (uint64_t)end + 1);
    size_t max = (size_t)random_below(&r->random, 5000);
    size_t i = 0;

    assert_int_equal(partition_read(r->p, offset, limit, max, &out, &next, &r->e), 0);
    while (r->batches[i].end <= offset)
        i++;
    for (size_t at = 0; at < out.n; i++) { // exactly the model's batches, one after the other
        assert_true(r->batches[i].bytes.n <= out.n - at);
        assert_memory_equal(out.p + at, r->batches[i].bytes.p, r->batches[i].bytes.n);
        at += r->batches[i].bytes.n;
        assert_int_equal(r->batches[i].end <= limit, true);
        assert_true(at <= max || at == r->batches[i].bytes.n);
        if (at == out.n)
            assert_int_equal(next, r->batches[i].end);
    }
    if (out.n == 0)
        assert_true(offset >= limit || r->batches[i].end > limit);
    buf_deinit(&out);
}

static void test_reads_match_model(void **state)
{
    // A read returns the whole batches from the one that holds the offset, below the limit, at
    // least one.
    struct rig *r = *state;

    append_many(r, 300);
    expect_all(r);
    for (int i = 0; i < 2000; i++)
        read_random(r);
    reopen(r);
    expect_all(r);
    for (int i = 0; i < 500; i++)
        read_random(r);
}

static void model_first_at(struct rig *r, int64_t timestamp, int64_t limit, int64_t *offset)
{
    struct arena a;

    arena_init(&a);
    *offset = -1;
    for (size_t i = 0; i < r->n_batches && *offset < 0; i++) {
        struct batch_iter it;
        struct batch_record rec;
        assert_int_equal(batch_iter_init(&it, r->batches[i].bytes, 1 << 20, &a, NULL), 0);
        while (*offset < 0 && batch_iter_next(&it, &rec, NULL) == 1)
            if (rec.timestamp >= timestamp)
                *offset = rec.offset;
    }
    if (*offset >= limit)
        *offset = -1;
    arena_deinit(&a);
}

static void test_time_lookup(void **state)
{
    // ListOffsets by time finds the first record, not batch, at or after the timestamp, below the
    // limit.
    struct rig *r = *state;
    int64_t begin = r->clock.wall - 60, offset, found, expected;

    append_many(r, 120);
    for (int64_t t = begin; t < r->clock.wall + 2; t += 13) {
        int64_t limit = (int64_t)random_below(&r->random, (uint64_t)partition_end(r->p) + 1);
        model_first_at(r, t, limit, &expected);
        assert_int_equal(partition_find_time(r->p, t, limit, &offset, &found, &r->e), 0);
        assert_int_equal(offset, expected);
        assert_true(offset < 0 ? found == -1 : found >= t);
    }
    assert_int_equal(partition_max_time(r->p, INT64_MAX, &offset, &found, &r->e), 0);
    model_first_at(r, found, INT64_MAX, &expected);
    assert_int_equal(offset, expected);
    model_first_at(r, found + 1, INT64_MAX, &expected);
    assert_int_equal(expected, -1);
}

static size_t count_files(struct rig *r, const char *suffix)
{
    size_t n = 0;

    for (size_t i = 0; fs_fake_name(r->fake, i) != NULL; i++) {
        const char *name = fs_fake_name(r->fake, i);
        n += strcmp(name + strlen(name) - strlen(suffix), suffix) == 0;
    }
    return n;
}

static void test_rolls(void **state)
{
    // A segment ends at its size or age; its files are pure batches, back to back.
    struct rig *r = *state;
    size_t n;

    append_many(r, 100);
    n = count_files(r, ".log");
    assert_true(n > 5);
    assert_in_range(count_files(r, ".index"), n - 1, n); // the active one may be saved too
    r->config.segment_ms = 1000;
    r->config.segment_bytes = 1 << 30;
    reopen(r);
    append_many(r, 1);
    clock_fake_advance(&r->clock, 2000);
    append_many(r, 1);
    assert_int_equal(count_files(r, ".log"), n + 1);
    expect_all(r);
}

static void test_retention(void **state)
{
    // Retention drops whole segments from the front, keeps what is wanted, and start never moves
    // back.
    struct rig *r = *state;
    int64_t freed, start;

    append_many(r, 200);
    r->config.retention_bytes = 20000;
    reopen(r);
    assert_int_equal(partition_retain(r->p, &freed, &r->e), 0);
    assert_true(freed > 0);
    assert_true(partition_bytes(r->p) >= 20000 && partition_bytes(r->p) < 20000 + 2 * 8192);
    start = partition_start(r->p);
    assert_true(start > 0);
    expect_all(r);
    r->config.retention_bytes = -1;
    reopen(r);
    assert_int_equal(partition_start(r->p), start);
    expect_all(r);
    r->config.retention_ms = 1000;
    reopen(r);
    clock_fake_advance(&r->clock, 100000);
    assert_int_equal(partition_retain(r->p, &freed, &r->e), 0);
    assert_int_equal(partition_bytes(r->p), 0);
    assert_int_equal(partition_start(r->p), partition_end(r->p));
    append_many(r, 3);
    reopen(r);
    expect_all(r);
}

// As a kill leaves it: nothing is written at the end.
static void kill_partition(struct rig *r)
{
    fs_fake_arm(r->fake, 0, FS_FAULT_POWER);
    rig_close(r);
    fs_fake_arm(r->fake, 0, FS_FAULT_NONE);
}

static void test_delete_records(void **state)
{
    // DeleteRecords moves start, also inside a segment, and it stays there; above hw it is refused.
    struct rig *r = *state;
    struct buf out = BUF_EMPTY;
    int64_t next, middle;

    append_many(r, 60);
    middle = partition_end(r->p) / 2;
    assert_int_equal(partition_delete_before(r->p, partition_end(r->p) + 1, &r->e), LEAT_ERANGE);
    assert_int_equal(partition_delete_before(r->p, middle, &r->e), 0);
    assert_int_equal(partition_start(r->p), middle);
    assert_int_equal(partition_read(r->p, middle - 1, INT64_MAX, 1, &out, &next, &r->e),
                     LEAT_ERANGE);
    assert_int_equal(partition_read(r->p, middle, INT64_MAX, 1, &out, &next, &r->e), 0);
    assert_true(out.n > 0);
    kill_partition(r);
    fs_fake_crash(r->fake, 0);
    assert_int_equal(rig_open(r), 0);
    assert_int_equal(partition_start(r->p), middle);
    assert_int_equal(partition_delete_before(r->p, -1, &r->e), 0);
    assert_int_equal(partition_start(r->p), partition_end(r->p));
    append_many(r, 2);
    expect_all(r);
    buf_deinit(&out);
}

static const char *active_path(struct rig *r)
{
    const char *last = NULL;

    for (size_t i = 0; fs_fake_name(r->fake, i) != NULL; i++) {
        const char *name = fs_fake_name(r->fake, i);
        bool log = strcmp(name + strlen(name) - 4, ".log") == 0;
        if (log && (last == NULL || strcmp(name, last) > 0))
            last = name;
    }
    return last;
}

static void test_torn_tail_everywhere(void **state)
{
    // Cut anywhere in the last 200 bytes, the tail goes back to the last whole batch and
    // is counted.
    struct rig *r = *state;
    struct buf *file;
    struct buf whole = BUF_EMPTY;

    r->config.segment_bytes = 1 << 20;
    reopen(r);
    for (int i = 0; i < 10; i++)
        assert_int_equal(rig_append(r), 0);
    kill_partition(r);
    file = fs_fake_contents(r->fake, active_path(r));
    buf_append_bytes(&whole, buf_bytes(file));
    for (size_t cut = 1; cut <= 200; cut++) {
        int64_t end;
        size_t kept = 0;
        for (size_t i = 0; i < r->n_batches; i++)
            if (kept + r->batches[i].bytes.n <= whole.n - cut)
                kept += r->batches[i].bytes.n;
            else
                break;
        fs_fake_set(r->fake, active_path(r), bytes_of(whole.p, whole.n - cut));
        fs_fake_remove(r->fake, RIG_DIR "/recovery-point");
        assert_int_equal(rig_open(r), 0);
        assert_int_equal(partition_state(r->p, NULL), PARTITION_READY);
        assert_int_equal(r->recovery.torn, whole.n - cut > kept);
        assert_int_equal(r->recovery.cut_bytes, whole.n - cut - kept);
        end = partition_end(r->p);
        assert_int_equal(partition_bytes(r->p), kept);
        assert_int_equal(rig_compare(r, end), 0);
        kill_partition(r);
    }
    buf_deinit(&whole);
}

static void test_zero_tail(void **state)
{
    // Zeros behind the last batch are not a batch; they are cut and the partition goes on.
    struct rig *r = *state;
    struct buf longer = BUF_EMPTY;

    append_many(r, 5);
    kill_partition(r);
    buf_append_bytes(&longer, buf_bytes(fs_fake_contents(r->fake, active_path(r))));
    buf_reserve(&longer, 8192);
    memset(longer.p + longer.n, 0, 8192);
    longer.n += 8192;
    fs_fake_set(r->fake, active_path(r), buf_bytes(&longer));
    assert_int_equal(rig_open(r), 0);
    assert_int_equal(r->recovery.cut_bytes, 8192);
    expect_all(r);
    append_many(r, 5);
    expect_all(r);
    buf_deinit(&longer);
}

static void flip(struct rig *r, const char *path, size_t at)
{
    struct buf copy = BUF_EMPTY;

    buf_append_bytes(&copy, buf_bytes(fs_fake_contents(r->fake, path)));
    copy.p[at] ^= 0x10;
    fs_fake_set(r->fake, path, buf_bytes(&copy));
    buf_deinit(&copy);
}

static void damage_each(struct rig *r, const char *suffix, int how)
{
    char paths[64][128];
    size_t n = 0;

    for (size_t i = 0; fs_fake_name(r->fake, i) != NULL && n < 64; i++) {
        const char *name = fs_fake_name(r->fake, i);
        if (strstr(name, suffix) != NULL)
            snprintf(paths[n++], sizeof paths[0], "%s", name);
    }
    for (size_t i = 0; i < n; i++) {
        size_t size = fs_fake_contents(r->fake, paths[i])->n;
        if (how == 0)
            fs_fake_remove(r->fake, paths[i]);
        else if (how == 1)
            flip(r, paths[i], random_below(&r->random, size));
        else
            fs_fake_set(r->fake, paths[i], bytes_of("", 0));
    }
}

static void expect_leader_epoch_byte(struct rig *r, size_t at)
{
    size_t pos = 0, i = 0;

    while (pos + r->batches[i].bytes.n <= at)
        pos += r->batches[i++].bytes.n;
    assert_in_range(at - pos, 12, 15);
}

static void test_corruption_is_not_cut(void **state)
{
    // A flipped bit below the durable position makes the partition read-only, named, and
    // cuts nothing.
    struct rig *r = *state;
    struct err why;
    size_t size;

    r->config.segment_bytes = 1 << 20;
    reopen(r);
    append_many(r, 20);
    rig_close(r);
    size = fs_fake_contents(r->fake, active_path(r))->n;
    for (size_t at = 0; at < size; at += 1 + size / 300) {
        flip(r, active_path(r), at);
        damage_each(r, ".index", 0); // with it, only the last bytes would be looked at
        assert_int_equal(rig_open(r), 0);
        if (partition_state(r->p, &why) == PARTITION_READY) {
            expect_leader_epoch_byte(r, at); // outside the checksum, as Kafka made it
        } else {
            struct append_result result;
            assert_non_null(strstr(why.text, "position"));
            assert_int_equal(rig_append_built(r, rig_build(r, 1, -1, 0), &result), LEAT_EIO);
        }
        rig_close(r);
        assert_int_equal(fs_fake_contents(r->fake, active_path(r))->n, size);
        flip(r, active_path(r), at);
    }
}

static void test_opening_is_bounded(void **state)
{
    // A clean opening checks the last bytes alone; after a kill the saved index spares the rest.
    struct rig *r = *state;
    int64_t freed;

    r->config.segment_bytes = 1 << 20;
    reopen(r);
    append_many(r, 100);
    reopen(r);
    assert_true(r->recovery.scanned_bytes < 3 * RECOVERY_VERIFY_BYTES);
    expect_all(r);
    append_many(r, 100);
    assert_int_equal(partition_retain(r->p, &freed, &r->e), 0);
    append_many(r, 2);
    kill_partition(r);
    assert_int_equal(rig_open(r), 0);
    assert_true(r->recovery.scanned_bytes < partition_bytes(r->p) / 4);
    expect_all(r);
    append_many(r, 50);
    for (int i = 0; i < 300; i++)
        read_random(r);
}

static void test_untouched_is_closed_as_it_was(void **state)
{
    // A partition to which nothing was appended is closed without a write, if it was found closed;
    // after a kill the closing says what the opening found.
    struct rig *r = *state;

    append_many(r, 10);
    reopen(r);
    fs_fake_arm(r->fake, 0, FS_FAULT_NONE);
    rig_close(r);
    assert_int_equal(fs_fake_ops(r->fake), 0);
    assert_int_equal(rig_open(r), 0);
    append_many(r, 10);
    kill_partition(r);
    assert_int_equal(rig_open(r), 0);
    fs_fake_arm(r->fake, 0, FS_FAULT_NONE);
    rig_close(r);
    assert_true(fs_fake_ops(r->fake) > 0);
    assert_int_equal(rig_open(r), 0);
    expect_all(r);
}

static void test_damage_above_is_cut(void **state)
{
    // The same damage above the durable position was never acked: it is cut, from its
    // batch on.
    struct rig *r = *state;
    size_t at = 0;

    r->config.segment_bytes = 1 << 20;
    reopen(r);
    append_many(r, 10); // synced, but no checkpoint says so: as after a kill
    kill_partition(r);
    for (int i = 0; i < 6; i++)
        at += r->batches[i].bytes.n;
    flip(r, active_path(r), at + 65);
    assert_int_equal(rig_open(r), 0);
    assert_int_equal(partition_state(r->p, NULL), PARTITION_READY);
    assert_true(r->recovery.torn);
    assert_int_equal(partition_end(r->p), r->batches[6].base);
    rig_accept_end(r);
    append_many(r, 3);
    expect_all(r);
}

static void test_corruption_serves_the_rest(void **state)
{
    // Around a damaged batch the others are still served.
    struct rig *r = *state;
    struct buf out = BUF_EMPTY;
    int64_t next;
    size_t at = 0;

    r->config.segment_bytes = 1 << 20;
    reopen(r);
    append_many(r, 10);
    rig_close(r);
    for (int i = 0; i < 4; i++)
        at += r->batches[i].bytes.n;
    flip(r, active_path(r), at + 70);
    damage_each(r, ".index", 0);
    assert_int_equal(rig_open(r), 0);
    assert_int_equal(partition_state(r->p, NULL), PARTITION_READ_ONLY);
    assert_int_equal(partition_read(r->p, r->batches[7].base, INT64_MAX, 1, &out, &next, &r->e), 0);
    assert_true(bytes_eq(buf_bytes(&out), r->batches[7].bytes));
    buf_deinit(&out);
}

static void expect_read_only(struct rig *r, const char *what)
{
    struct err why;

    assert_int_equal(rig_open(r), 0);
    assert_int_equal(partition_state(r->p, &why), PARTITION_READ_ONLY);
    if (strstr(why.text, what) == NULL)
        fail_msg("'%s' does not say '%s'", why.text, what);
    rig_close(r);
}

static void test_missing_pieces(void **state)
{
    // A segment that was cut, or is gone, is named; nothing is deleted for it.
    struct rig *r = *state;
    struct buf kept = BUF_EMPTY;
    char path[128], log[128];
    size_t files;

    append_many(r, 100);
    rig_close(r);
    snprintf(log, sizeof log, "%s", active_path(r));
    buf_append_bytes(&kept, buf_bytes(fs_fake_contents(r->fake, log)));
    files = count_files(r, ".log");
    fs_fake_set(r->fake, log, bytes_of(kept.p, kept.n - 1));
    expect_read_only(r, "were on disk");
    fs_fake_set(r->fake, log, bytes_of(kept.p, 0));
    expect_read_only(r, "were on disk");
    fs_fake_remove(r->fake, log);
    expect_read_only(r, "missing");
    fs_fake_set(r->fake, log, buf_bytes(&kept));
    assert_int_equal(count_files(r, ".log"), files);
    snprintf(path, sizeof path, "%s", RIG_DIR "/00000000000000000000.log");
    buf_clear(&kept);
    buf_append_bytes(&kept, buf_bytes(fs_fake_contents(r->fake, path)));
    fs_fake_set(r->fake, path, bytes_of(kept.p, kept.n - 1));
    expect_read_only(r, "cut");
    fs_fake_remove(r->fake, path);
    expect_read_only(r, "missing");
    fs_fake_set(r->fake, path, buf_bytes(&kept));
    assert_int_equal(rig_open(r), 0);
    assert_int_equal(partition_state(r->p, NULL), PARTITION_READY);
    expect_all(r);
    buf_deinit(&kept);
}

static void test_derived_files_are_rebuilt(void **state)
{
    // Indexes and snapshots removed, flipped or emptied cost nothing but time.
    static const char *const suffixes[] = {".index", ".snapshot", "leader-epoch", "recovery-point"};
    struct rig *r = *state;
    struct append_result result;

    append_many(r, 80);
    for (size_t i = 0; i < ARRAY_LEN(suffixes); i++)
        for (int how = 0; how < 3; how++) {
            rig_close(r);
            damage_each(r, suffixes[i], how);
            if (rig_open(r) != 0)
                fail_msg("%s, %d: %s", suffixes[i], how, r->e.text);
            assert_int_equal(partition_state(r->p, NULL), PARTITION_READY);
            expect_all(r);
            // the next in sequence is taken, a repeat is not
            append_many(r, 1);
            assert_int_equal(rig_append_built(r, r->batches[r->n_batches - 1].bytes, &result), 0);
            assert_true(result.duplicate);
            assert_int_equal(result.base_offset, r->batches[r->n_batches - 1].base);
        }
}

static void test_leader_epochs(void **state)
{
    // The end of an epoch is the start of the next; the file is Kafka's text.
    struct rig *r = *state;
    int64_t first_end, end;
    int32_t found;

    append_many(r, 5);
    first_end = partition_end(r->p);
    r->config.leader_epoch = 3;
    reopen(r);
    append_many(r, 5);
    partition_epoch_end(r->p, 0, &found, &end);
    assert_int_equal(found, 0);
    assert_int_equal(end, first_end);
    partition_epoch_end(r->p, 2, &found, &end);
    assert_int_equal(found, 0);
    partition_epoch_end(r->p, 9, &found, &end);
    assert_int_equal(found, 3);
    assert_int_equal(end, partition_end(r->p));
    char text[64];
    snprintf(text, sizeof text, "0\n2\n0 0\n3 %lld\n", (long long)first_end);
    assert_true(bytes_eq_str(
        buf_bytes(fs_fake_contents(r->fake, RIG_DIR "/leader-epoch-checkpoint")), text));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_empty, setup, teardown),
        cmocka_unit_test_setup_teardown(test_visible_when_synced, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reads_match_model, setup, teardown),
        cmocka_unit_test_setup_teardown(test_time_lookup, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rolls, setup, teardown),
        cmocka_unit_test_setup_teardown(test_retention, setup, teardown),
        cmocka_unit_test_setup_teardown(test_delete_records, setup, teardown),
        cmocka_unit_test_setup_teardown(test_torn_tail_everywhere, setup, teardown),
        cmocka_unit_test_setup_teardown(test_zero_tail, setup, teardown),
        cmocka_unit_test_setup_teardown(test_corruption_is_not_cut, setup, teardown),
        cmocka_unit_test_setup_teardown(test_opening_is_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(test_untouched_is_closed_as_it_was, setup, teardown),
        cmocka_unit_test_setup_teardown(test_damage_above_is_cut, setup, teardown),
        cmocka_unit_test_setup_teardown(test_corruption_serves_the_rest, setup, teardown),
        cmocka_unit_test_setup_teardown(test_missing_pieces, setup, teardown),
        cmocka_unit_test_setup_teardown(test_derived_files_are_rebuilt, setup, teardown),
        cmocka_unit_test_setup_teardown(test_leader_epochs, setup, teardown),
    };

    seed = argc > 1 ? strtoull(argv[1], NULL, 0) : random_entropy_u64() % 1000000;
    printf("seed %llu\n", (unsigned long long)seed);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
