// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/engine/rig.h"

#include <stdio.h>
#include <string.h>

#include "runtime/base/failpoint.h"
#include "runtime/engine/driver_log.h"
#include "runtime/engine/relay.h"

enum { RECORDS = 12 };

static bool forgetful; // negative control: the log does not know what it has

// from "in" -> user code -> to "out", and what has an x also to "side"
static int given(void **state)
{
    static struct rig r;
    int n;

    memset(&r, 0, sizeof r);
    r.plan = plan_build("test");
    plan_build_table(r.plan, "t", "id integer primary key");
    n = plan_build_map(r.plan, plan_build_source(r.plan, "in", NULL), rig_user, &r);
    (void)plan_build_to(r.plan, n, OUT_MAIN, "out");
    (void)plan_build_to(r.plan, plan_build_where(r.plan, n, "x ~= nil"), OUT_MAIN, "side");
    rig_start(&r, 1);
    driver_topics(r.d)->faults.no_dedupe = forgetful;
    *state = &r;
    return 0;
}

static int after(void **state)
{
    failpoint_arm(NULL);
    rig_stop(*state);
    return 0;
}

static void send_one(struct rig *r, int i, bool side)
{
    char json[64];

    snprintf(json, sizeof json, side ? "{\"n\":%d,\"x\":1}" : "{\"n\":%d}", i);
    rig_send(r, "in", 0, "k", json);
}

// Counts what came out: 0 when each of 1..n is there once, in order.
static int wrong(struct rig *r, const char *topic, int n)
{
    const struct batch_record *recs;
    size_t got = driver_take(r->d, topic, &recs);
    int bad = got != (size_t)n;

    for (size_t i = 0; i < got && !bad; i++) {
        char json[64];
        snprintf(json, sizeof json, "{\"n\":%zu", i + 1);
        bad = !bytes_starts(recs[i].value, bytes_str(json)) || recs[i].value.p[strlen(json)] == '0';
    }
    return bad;
}

// Runs records through a job that dies at each passage of `spec` in turn. How many outcomes were
// wrong.
static int crash_loop(const char *spec)
{
    int bad = 0;

    for (int n = 1;; n++) {
        bool died = false;
        char arm[96];
        struct rig *r;
        void *s;

        (void)given(&s);
        r = s;
        for (int i = 1; i <= RECORDS; i++) {
            send_one(r, i, i % 2 == 0);
            if (i % 3 != 0)
                continue;
            snprintf(arm, sizeof arm, spec, n);
            if (!died)
                failpoint_arm(arm);
            if (rig_try(r) != 0) {
                died = true;
                failpoint_arm(strchr(spec, ',') != NULL ? strchr(spec, ',') + 1 : NULL);
                rig_crash(r);
                rig_run(r);
            }
        }
        rig_advance(r, 60000);
        bad += wrong(r, "out", RECORDS);
        bad += fake_store_row(&r->store, "sum") != RECORDS * (RECORDS + 1) / 2;
        bad += r->store.now.offsets[0].next != RECORDS;
        bad += r->store.now.n_outbox != 0;
        (void)after(&s);
        if (!died) {
            assert_true(n > 2);
            return bad;
        }
    }
}

// A job that dies at any passage of its failpoints publishes each record once and counts each once.
static void test_crashes(void **state)
{
    (void)state;
    assert_int_equal(crash_loop("after_lua=drop@%d"), 0);
    assert_int_equal(crash_loop("after_publish=drop@%d"), 0);
    assert_int_equal(crash_loop("before_mark=drop@%d"), 0);
    forgetful = true;
    assert_int_not_equal(crash_loop("after_publish=drop@%d"), 0);
    forgetful = false;
}

// An answer that got lost is asked for again, and the log knows the batch; without its memory the
// same test finds duplicates (negative control).
static void test_lost_answers(void **state)
{
    struct rig *r = *state;
    struct driver_log *log = driver_topics(r->d);

    log->faults.lose_answer = true;
    for (int i = 1; i <= 5; i++) {
        send_one(r, i, false);
        rig_run(r);
        rig_advance(r, 1000);
    }
    assert_non_null(strstr(rig_status(r).why, "no answer"));
    rig_crash(r);
    log->faults.lose_answer = false;
    rig_advance(r, 60000);
    assert_int_equal(wrong(r, "out", 5), 0);
    log->faults.no_dedupe = true;
    log->faults.lose_answer = true;
    send_one(r, 1, false);
    rig_run(r);
    log->faults.lose_answer = false;
    rig_advance(r, 60000);
    assert_int_not_equal(wrong(r, "out", 1), 0);
}

// A mark that is set before the log said durable loses records (negative control); set after it,
// none.
static void test_mark_early(void **state)
{
    for (int early = 0; early < 2; early++) {
        struct rig *r = *state;
        struct driver_log *log = driver_topics(r->d);

        failpoint_arm(early ? "mark_early" : NULL);
        log->faults.append = LEAT_EBUSY;
        send_one(r, 1, false);
        rig_run(r);
        rig_crash(r);
        log->faults.append = 0;
        rig_advance(r, 60000);
        assert_int_equal(wrong(r, "out", 1), early);
        (void)after(state);
        (void)given(state);
    }
}

// Nothing leaves the store before the log calls it durable.
static void test_durable(void **state)
{
    struct rig *r = *state;
    struct driver_log *log = driver_topics(r->d);

    log->faults.hold_durable = true;
    send_one(r, 1, true);
    rig_advance(r, 1000);
    assert_int_equal(r->store.now.n_outbox, 2);
    log->faults.hold_durable = false;
    rig_advance(r, 1000);
    assert_int_equal(r->store.now.n_outbox, 0);
    assert_int_equal(wrong(r, "out", 1), 0);
}

// A stuck destination blocks itself only, keeps its order, and catches up when it can.
static void test_stuck(void **state)
{
    struct rig *r = *state;
    struct driver_log *log = driver_topics(r->d);
    enum { MANY = 5 * RELAY_BATCHES_MAX };

    log->faults.stuck = "side";
    for (int i = 1; i <= MANY; i++) {
        send_one(r, i, true);
        rig_run(r);
    }
    rig_advance(r, 1000);
    assert_int_equal(wrong(r, "out", MANY), 0);
    assert_int_equal(r->store.now.n_outbox, MANY);
    assert_non_null(strstr(rig_status(r).why, "output side/0 waits: topic side is stuck"));
    log->faults.stuck = NULL;
    rig_advance(r, 60000);
    assert_int_equal(wrong(r, "side", MANY), 0);
    assert_int_equal(r->store.now.n_outbox, 0);
}

// What the last step wrote is sent from memory; the store is read when it is not there any more.
static void test_fresh_rows(void **state)
{
    struct rig *r = *state;
    struct driver_log *log = driver_topics(r->d);

    for (int i = 1; i <= 3; i++) {
        send_one(r, i, true);
        rig_run(r);
    }
    assert_int_equal(r->store.scanned, 0);
    log->faults.stuck = "out";
    send_one(r, 4, true);
    rig_run(r);
    rig_crash(r);
    log->faults.stuck = NULL;
    rig_advance(r, 60000);
    assert_int_not_equal(r->store.scanned, 0);
    assert_int_equal(wrong(r, "out", 4), 0);
    assert_int_equal(wrong(r, "side", 4), 0);
    assert_int_equal(r->store.now.n_outbox, 0);
}

// What waited long is read about once when it can go, not once for each portion of it.
static void test_catching_up(void **state)
{
    struct rig *r = *state;
    struct driver_log *log = driver_topics(r->d);
    enum { MANY = 40 * RELAY_BATCHES_MAX };
    int64_t before;

    log->faults.stuck = "side";
    for (int i = 1; i <= MANY; i++) {
        send_one(r, i, true);
        rig_run(r);
    }
    log->faults.stuck = NULL;
    before = r->store.scanned;
    rig_advance(r, 60000);
    assert_int_equal(wrong(r, "out", MANY), 0);
    assert_int_equal(wrong(r, "side", MANY), 0);
    assert_int_equal(r->store.now.n_outbox, 0);
    assert_in_range(r->store.scanned - before, MANY, 3 * MANY);
}

// Other content under this job's sequence stops it: two histories share one identity.
static void test_fork(void **state)
{
    struct rig *r = *state;

    send_one(r, 1, false);
    rig_run(r);
    r->store.now.marks[0].seq = -1; // a restored job file
    r->store.now.marks[0].batch_no = -1;
    rig_crash(r);
    send_one(r, 2, false);
    assert_int_equal(rig_try(r), LEAT_ESTOPPED);
    assert_non_null(strstr(r->err.text, "restored or copied"));
}

// The decisions by themselves: append in order, ask while something is out, wait after a refusal.
static void test_decisions(void **state)
{
    struct relay_batch batches[] = {{.last_seq = 4}, {.last_seq = 9}};
    struct relay_dest d = {.durable = -1, .batches = batches, .n = 2};

    (void)state;
    assert_int_equal(relay_next(&d, 0), RELAY_APPEND);
    relay_appended(&d, 0, 100, 0);
    assert_int_equal(relay_next(&d, 0), RELAY_APPEND);
    relay_appended(&d, LEAT_EBUSY, -1, 0);
    assert_int_equal(relay_next(&d, 99), RELAY_ASK);
    relay_durable(&d, 99);
    assert_int_equal(d.durable, -1);
    relay_durable(&d, 100);
    assert_int_equal(d.durable, 4);
    assert_int_equal(relay_next(&d, 99), RELAY_WAIT);
    assert_int_equal(relay_next(&d, 100), RELAY_APPEND);
    relay_appended(&d, 0, 105, 100);
    assert_int_equal(relay_next(&d, 100), RELAY_ASK);
    relay_durable(&d, 105);
    assert_int_equal(d.durable, 9);
    assert_int_equal(relay_next(&d, 100), RELAY_NOTHING);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decisions),
        cmocka_unit_test(test_crashes),
        cmocka_unit_test_setup_teardown(test_lost_answers, given, after),
        cmocka_unit_test_setup_teardown(test_mark_early, given, after),
        cmocka_unit_test_setup_teardown(test_durable, given, after),
        cmocka_unit_test_setup_teardown(test_stuck, given, after),
        cmocka_unit_test_setup_teardown(test_fresh_rows, given, after),
        cmocka_unit_test_setup_teardown(test_catching_up, given, after),
        cmocka_unit_test_setup_teardown(test_fork, given, after),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
