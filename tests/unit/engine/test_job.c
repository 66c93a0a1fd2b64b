// SPDX-License-Identifier: Apache-2.0
#include "runtime/engine/driver_log.h"
#include "tests/unit/engine/rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// from "in" -> user code -> to "out"
static int given_user(void **state)
{
    static struct rig r;

    memset(&r, 0, sizeof r);
    r.plan = plan_build("test");
    plan_build_table(r.plan, "t", "id integer primary key");
    r.plan->errors.dead = "dead";
    (void)plan_build_to(r.plan,
                        plan_build_map(r.plan, plan_build_source(r.plan, "in", NULL), rig_user, &r),
                        OUT_MAIN, "out");
    *state = &r;
    return 0;
}

static int after(void **state)
{
    rig_stop(*state);
    return 0;
}

static int decide(struct rig *r, int64_t id, enum decision_kind kind)
{
    struct decision d = {.kind = kind, .id = id, .reason = BYTES_LIT("a test")};

    return job_decide(driver_job(r->d), &d, 1, driver_now(r->d), &r->err);
}

// A plan of native operators turns records into records.
static void test_where_select_to(void **state)
{
    static const char *const fields[] = {"a", "a", "b", "n + 1", NULL};
    struct rig r = {.plan = plan_build("test")};
    int n = plan_build_source(r.plan, "in", NULL);

    (void)state;
    n = plan_build_where(r.plan, n, "n > 1");
    n = plan_build_select(r.plan, n, fields);
    (void)plan_build_to(r.plan, n, OUT_MAIN, "out");
    rig_start(&r, 1);
    rig_send(&r, "in", 0, "k", "{\"a\":\"x\",\"n\":1}");
    rig_send(&r, "in", 0, "k", "{\"a\":\"y\",\"n\":2}");
    rig_send(&r, "in", 0, NULL, "{\"a\":\"z\",\"n\":3}");
    rig_run(&r);
    rig_expect(&r, "out", "{\"a\":\"y\",\"b\":3} {\"a\":\"z\",\"b\":4}");
    assert_int_equal(r.store.savepoints, 0);
    assert_int_equal(r.store.now.n_outbox, 0); // marked
    assert_int_equal(rig_status(&r).records_in, 3);
    rig_stop(&r);
}

// A record that fails leaves nothing behind: no row, no output; the next keys go on.
static void test_all_or_nothing(void **state)
{
    struct rig *r = *state;

    rig_start(r, 1);
    rig_send(r, "in", 0, "a", "{\"n\":1}");
    rig_send(r, "in", 0, "b", "{\"n\":10,\"do\":\"lua\"}");
    rig_send(r, "in", 0, "c", "{\"n\":100}");
    rig_run(r);
    assert_int_equal(fake_store_row(&r->store, "sum"), 101);
    rig_expect(r, "out", "{\"n\":1} {\"n\":100}");
    rig_expect_parked(r, "b:lua");
    rig_expect(r, "dead", "{\"n\":10,\"do\":\"lua\"}");
}

// Later records of a parked record's key wait behind it, in order; a record that cannot be read
// holds nobody.
static void test_sequence(void **state)
{
    struct rig *r = *state;

    rig_start(r, 1);
    rig_send(r, "in", 0, "a", "{\"n\":1,\"do\":\"type\"}");
    rig_send(r, "in", 0, "a", "{\"n\":2}");
    rig_send(r, "in", 0, "b", "{broken");
    rig_send(r, "in", 0, "b", "{\"n\":3}");
    rig_send(r, "in", 0, NULL, "{\"n\":4,\"do\":\"type\"}");
    rig_send(r, "in", 0, NULL, "{\"n\":5}");
    rig_run(r);
    rig_expect(r, "out", "{\"n\":3} {\"n\":5}");
    rig_expect_parked(r, "a:type a:sequence b:decode :type");
    rig_crash(r);
    rig_send(r, "in", 0, "a", "{\"n\":6}"); // still held after a restart
    rig_run(r);
    rig_expect_parked(r, "a:type a:sequence b:decode :type a:sequence");
}

// What is missing is tried again by the clock, and behind a cure its followers run in order.
static void test_retry(void **state)
{
    struct rig *r = *state;

    rig_start(r, 1);
    rig_send(r, "in", 0, "a", "{\"n\":1,\"do\":\"missing\"}");
    rig_send(r, "in", 0, "a", "{\"n\":2}");
    rig_send(r, "in", 0, "a", "{\"n\":3,\"do\":\"lua\"}");
    rig_send(r, "in", 0, "a", "{\"n\":4}");
    rig_run(r);
    rig_expect_parked(r, "a:missing a:sequence a:sequence a:sequence");
    rig_expect(r, "dead", "");
    rig_send(r, "in", 0, "b", "{\"do\":\"cure\"}");
    rig_run(r);
    rig_advance(r, 999);
    rig_expect_parked(r, "a:missing a:sequence a:sequence a:sequence");
    rig_advance(r, 1);
    rig_expect_parked(r, "a:lua a:sequence"); // the follower that failed holds the rest
    rig_expect(r, "out", "{\"do\":\"cure\"} {\"n\":1,\"do\":\"missing\"} {\"n\":2}");
    rig_expect(r, "dead", "{\"n\":3,\"do\":\"lua\"}");
    assert_int_equal(fake_store_row(&r->store, "sum"), 3);
}

// A step that has taken its time ends, be it behind the first record.
static void test_slow_records(void **state)
{
    struct rig *r = *state;

    rig_start(r, 1);
    for (int i = 0; i < 10; i++)
        rig_send(r, "in", 0, "a", "{\"do\":\"slow\"}");
    rig_run(r);
    assert_true(rig_status(r).commits >= 10);
    assert_int_equal(rig_status(r).records_in, 10);
}

// When the tries are spent the record is parked for a person, and only then a dead letter.
static void test_retries_spent(void **state)
{
    struct rig *r = *state;

    rig_start(r, 1);
    rig_send(r, "in", 0, "a", "{\"do\":\"missing\"}");
    rig_run(r);
    rig_advance(r, 1000 + 10 * 1000 + 60 * 1000);
    assert_int_equal(r->store.now.parked[0].state, PARKED_RETRY);
    assert_int_equal(r->store.now.parked[0].tries, 4);
    rig_expect(r, "dead", "");
    rig_advance(r, 600 * 1000);
    assert_int_equal(r->store.now.parked[0].state, PARKED_FINAL);
    rig_expect(r, "dead", "{\"do\":\"missing\"}");
}

// A dead letter keeps key, value and timestamp and says the rest in Connect's headers.
static void test_dead_letter(void **state)
{
    struct rig *r = *state;
    const struct batch_record *recs;
    struct header *h;
    struct arena a;

    arena_init(&a);
    rig_start(r, 1);
    rig_send(r, "in", 0, "a", "{\"do\":\"lua\"}");
    rig_run(r);
    assert_int_equal(driver_take(r->d, "dead", &recs), 1);
    assert_true(bytes_eq_str(recs[0].key, "a"));
    assert_int_equal(recs[0].timestamp, RIG_START);
    assert_int_equal(batch_record_headers(&recs[0], &a, &h, &r->err), 0);
    for (int i = 0; i < recs[0].n_headers; i++) {
        if (bytes_eq_str(h[i].name, "__connect.errors.exception.class.name"))
            assert_true(bytes_eq_str(h[i].value, "lua"));
        if (bytes_eq_str(h[i].name, "__connect.errors.exception.message"))
            assert_true(bytes_eq_str(h[i].value, "jobs/test.lua:3: no total"));
        if (bytes_eq_str(h[i].name, "__connect.errors.topic"))
            assert_true(bytes_eq_str(h[i].value, "in"));
    }
    assert_int_equal(recs[0].n_headers, 10);
    arena_deinit(&a);
}

// park = "stop": what came before the bad record is committed, then the job stops and says why.
static void test_park_stop(void **state)
{
    struct rig *r = *state;

    r->plan->errors.park = PARK_STOP;
    rig_start(r, 1);
    rig_send(r, "in", 0, "a", "{\"n\":1}");
    rig_send(r, "in", 0, "b", "{\"do\":\"lua\"}");
    rig_send(r, "in", 0, "c", "{\"n\":2}");
    assert_int_equal(rig_try(r), LEAT_ESTOPPED);
    assert_non_null(strstr(r->err.text, "no total"));
    assert_int_equal(fake_store_row(&r->store, "sum"), 1);
    assert_int_equal(r->store.now.offsets[0].next, 1);
    assert_int_equal(rig_status(r).state, JOB_STOPPED);
}

// At the limit of parked records the job stops before a bug parks a whole topic.
static void test_park_limit(void **state)
{
    struct rig *r = *state;

    r->plan->errors.limit = 3;
    rig_start(r, 1);
    driver_batch_begin(r->d);
    for (int i = 0; i < 10; i++)
        rig_send(r, "in", 0, NULL, "{\"do\":\"lua\"}");
    assert_int_equal(driver_batch_end(r->d, &r->err), 0);
    assert_int_equal(rig_try(r), LEAT_ESTOPPED);
    assert_int_equal(r->store.now.n_parked, 3);
    assert_int_equal(r->store.now.offsets[0].next, 3);
}

// A job that stands at the limit still does what a person decides, reads nothing meanwhile, and
// goes on when there is room.
static void test_park_limit_is_left(void **state)
{
    struct rig *r = *state;

    r->plan->errors.limit = 2;
    rig_start(r, 1);
    rig_send(r, "in", 0, "a", "{\"do\":\"lua\"}");
    rig_send(r, "in", 0, "b", "{\"do\":\"lua\"}");
    rig_send(r, "in", 0, "c", "{\"n\":1}");
    assert_int_equal(rig_try(r), LEAT_ESTOPPED);
    assert_non_null(strstr(r->err.text, "leat dlq list test"));
    rig_crash(r);
    assert_int_equal(rig_try(r), LEAT_ESTOPPED);
    assert_int_equal(decide(r, 1, DECISION_RETRY), 0);
    assert_int_equal(rig_try(r), LEAT_ESTOPPED); // it has failed again
    rig_expect(r, "out", "");
    assert_int_equal(decide(r, 2, DECISION_SKIP), 0);
    rig_run(r);
    rig_expect_parked(r, "a:lua");
    rig_expect(r, "out", "{\"n\":1}");
}

// A machine's error is not the record's: the step is taken back and run again, nothing is parked.
static void test_no_space(void **state)
{
    struct rig *r = *state;

    rig_start(r, 1);
    rig_send(r, "in", 0, "a", "{\"n\":1}");
    rig_send(r, "in", 0, "b", "{\"n\":2,\"do\":\"enospc\"}");
    rig_run(r);
    assert_int_equal(rig_status(r).state, JOB_WAITING);
    assert_non_null(strstr(rig_status(r).why, "disk full"));
    assert_int_equal(fake_store_row(&r->store, "sum"), 0);
    rig_advance(r, 10 * 1000);
    assert_int_equal(rig_status(r).state, JOB_RUNNING);
    assert_int_equal(fake_store_row(&r->store, "sum"), 3);
    rig_expect(r, "out", "{\"n\":1} {\"n\":2,\"do\":\"enospc\"}");
    rig_expect_parked(r, "");
}

// Whatever call of the store fails, and wherever: with space again, each record counted once.
static void test_store_faults(void **state)
{
    static const int codes[] = {LEAT_ENOSPC, LEAT_EIO};

    (void)state;
    for (size_t c = 0; c < 2; c++)
        for (int n = 0;; n++) {
            struct rig *r;
            void *s;
            bool fired;

            (void)given_user(&s);
            r = s;
            rig_start(r, 1);
            for (int i = 0; i < 3; i++) {
                rig_send(r, "in", 0, "a", "{\"n\":1}");
                rig_send(r, "in", 0, "b", i == 1 ? "{\"do\":\"lua\"}" : "{\"n\":10}");
            }
            r->store.fault_at = n;
            r->store.fault_code = codes[c];
            if (rig_try(r) != 0)
                rig_crash(r);
            fired = r->store.fault_at < 0;
            r->store.fault_at = -1;
            rig_advance(r, 60 * 1000);
            assert_int_equal(fake_store_row(&r->store, "sum"), 13);
            rig_expect_parked(r, "b:lua b:sequence");
            rig_expect(r, "out", "{\"n\":1} {\"n\":10} {\"n\":1} {\"n\":1}");
            rig_expect(r, "dead", "{\"do\":\"lua\"}");
            rig_stop(r);
            if (!fired)
                break;
        }
}

// A topic that is not there is waited for, visibly; one that was made anew stops the job.
static void test_topics(void **state)
{
    struct rig *r = *state;

    rig_start(r, 1);
    rig_send(r, "in", 0, "a", "{\"n\":1}");
    rig_run(r);
    r->store.now.offsets[0].next = 5;
    rig_crash(r);
    assert_int_equal(rig_try(r), LEAT_ESTOPPED);
    assert_non_null(strstr(r->err.text, "it ends before"));
    r->store.now.offsets[0].next = 1;
    r->store.now.offsets[0].topic_id.b[0] ^= 1;
    rig_crash(r);
    assert_int_equal(rig_try(r), LEAT_ESTOPPED);
    assert_non_null(strstr(r->err.text, "made anew"));
}

// Partitions merge by event time, then partition, whatever the batches were.
static void test_merge(void **state)
{
    struct rig r = {.plan = plan_build("test")};
    int n = plan_build_source(r.plan, "in", "ts");

    (void)state;
    (void)plan_build_to(r.plan, n, OUT_MAIN, "out");
    rig_start(&r, 3);
    rig_send(&r, "in", 2, "k", "{\"ts\":30}");
    rig_send(&r, "in", 0, "k", "{\"ts\":20}");
    rig_send(&r, "in", 0, "k", "{\"ts\":10}");
    rig_send(&r, "in", 1, "k", "{\"ts\":20,\"p\":1}");
    rig_send(&r, "in", 1, "k", "{\"ts\":40}");
    rig_run(&r);
    rig_expect(&r, "out", "{\"ts\":20} {\"ts\":10} {\"ts\":20,\"p\":1} {\"ts\":30} {\"ts\":40}");
    rig_stop(&r);
}

static void given_two_partitions(struct rig *r)
{
    r->plan = plan_build("test");
    (void)plan_build_to(r->plan, plan_build_source(r->plan, "in", "ts"), OUT_MAIN, "out");
    rig_start(r, 2);
    rig_send(r, "in", 0, "k", "{\"ts\":5}");
    rig_send(r, "in", 0, "k", "{\"ts\":6}");
    rig_send(r, "in", 1, "k", "{\"ts\":7}");
}

static struct driver_partition *partition(struct rig *r, int i)
{
    return &driver_log_find(driver_topics(r->d), "in")->parts[i];
}

// No step starts while a partition has records of which none can be read: the one that goes first
// may be among them.
static void test_waits_for_every_head(void **state)
{
    struct rig r = {0};

    (void)state;
    given_two_partitions(&r);
    partition(&r, 0)->away = true;
    rig_run(&r);
    rig_expect(&r, "out", "");
    partition(&r, 0)->away = false;
    rig_run(&r);
    rig_expect(&r, "out", "{\"ts\":5} {\"ts\":6} {\"ts\":7}");
    rig_stop(&r);
}

// And a step ends behind the last record of a partition that can be read when there are more.
static void test_ends_where_a_head_is_missing(void **state)
{
    struct rig r = {0};

    (void)state;
    given_two_partitions(&r);
    partition(&r, 0)->away = true;
    partition(&r, 0)->away_from = 1;
    rig_run(&r);
    rig_expect(&r, "out", "{\"ts\":5}");
    partition(&r, 0)->away = false;
    rig_run(&r);
    rig_expect(&r, "out", "{\"ts\":6} {\"ts\":7}");
    rig_stop(&r);
}

// A person may try a parked record again or drop it; those behind it then run, in order.
static void test_decided(void **state)
{
    struct rig *r = *state;

    rig_start(r, 1);
    rig_send(r, "in", 0, "a", "{\"n\":1,\"do\":\"lua\"}");
    rig_send(r, "in", 0, "a", "{\"n\":2}");
    rig_send(r, "in", 0, "a", "{\"n\":3}");
    rig_run(r);
    assert_int_equal(decide(r, 9, DECISION_RETRY), LEAT_ENOTFOUND);
    assert_int_equal(decide(r, 1, DECISION_RETRY), 0);
    rig_run(r);
    rig_expect_parked(r, "a:lua a:sequence a:sequence"); // it still fails
    assert_int_equal(decide(r, 1, DECISION_SKIP), 0);
    rig_run(r);
    rig_expect_parked(r, "");
    rig_send(r, "in", 0, "a", "{\"n\":4}");
    rig_run(r);
    rig_expect(r, "out", "{\"n\":2} {\"n\":3} {\"n\":4}");
}

// A follower that fails without holding its key (it cannot be read) lets those behind it go on, and
// the key is free afterwards.
static void test_unreadable_follower(void **state)
{
    struct rig *r = *state;

    rig_start(r, 1);
    rig_send(r, "in", 0, "a", "{\"n\":1,\"do\":\"lua\"}");
    rig_send(r, "in", 0, "a", "{broken");
    rig_send(r, "in", 0, "a", "{\"n\":3}");
    rig_run(r);
    rig_expect_parked(r, "a:lua a:sequence a:sequence");
    assert_int_equal(decide(r, 1, DECISION_SKIP), 0);
    rig_run(r);
    rig_expect_parked(r, "a:decode");
    rig_send(r, "in", 0, "a", "{\"n\":4}");
    rig_run(r);
    rig_expect(r, "out", "{\"n\":3} {\"n\":4}");
}

// A cure frees only what waits behind the cured: with another failed record of the key in between,
// the rest waits for that one.
static void test_two_heads(void **state)
{
    struct rig *r = *state;

    rig_start(r, 1);
    rig_send(r, "in", 0, "a", "{broken");
    rig_send(r, "in", 0, "a", "{\"n\":2,\"do\":\"lua\"}");
    rig_send(r, "in", 0, "a", "{\"n\":3}");
    rig_run(r);
    rig_expect_parked(r, "a:decode a:lua a:sequence");
    assert_int_equal(decide(r, 1, DECISION_RETRY), 0);
    rig_run(r);
    rig_expect_parked(r, "a:decode a:lua a:sequence");
    rig_expect(r, "out", "");
}

// A record is a dead letter once, however often a person has it tried.
static void test_dead_letter_once(void **state)
{
    struct rig *r = *state;

    rig_start(r, 1);
    rig_send(r, "in", 0, "a", "{\"do\":\"lua\"}");
    rig_send(r, "in", 0, "b", "{\"do\":\"missing\"}");
    rig_run(r);
    rig_advance(r, 3600 * 1000);
    rig_expect(r, "dead", "{\"do\":\"lua\"} {\"do\":\"missing\"}");
    for (int64_t id = 1; id <= 2; id++)
        assert_int_equal(decide(r, id, DECISION_RETRY), 0);
    rig_run(r);
    rig_expect_parked(r, "a:lua b:missing");
    rig_expect(r, "dead", "");
}

// A job that waits for space tries again after a second: not at once, though a tick is due, and not
// only when something else wakes it.
static void test_waiting_sleeps(void **state)
{
    static const char *const fields[] = {"at", "$time", NULL};
    struct rig r = {.plan = plan_build("test")};
    struct job_turn turn;

    (void)state;
    (void)plan_build_to(r.plan,
                        plan_build_select(r.plan, plan_build_every(r.plan, 3600000), fields),
                        OUT_MAIN, "beat");
    rig_start(&r, 1);
    rig_run(&r);
    driver_set_now(r.d, driver_now(r.d) + 3600000);
    r.store.fault_in = "commit";
    r.store.fault_code = LEAT_ENOSPC;
    r.store.fault_at = 0;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(job_turn(driver_job(r.d), driver_now(r.d), &turn, &r.err), 0);
        assert_int_equal(rig_status(&r).state, JOB_WAITING);
        assert_false(turn.worked);
        assert_int_equal(turn.wait_ms, 1000);
    }
    rig_advance(&r, 1000);
    rig_expect(&r, "beat", "{\"at\":1767229200000}");
    rig_stop(&r);
}

static struct job_turn turn_at(struct rig *r, int64_t wall)
{
    struct job_turn turn;

    assert_int_equal(job_turn(driver_job(r->d), wall, &turn, &r->err), 0);
    return turn;
}

// A wall clock that is set back by an hour does not hold a job up for an hour: neither one that
// waits for space, nor the next step, which keeps its distance from the last commit.
static void test_clock_set_back(void **state)
{
    struct rig r = {.plan = plan_build("test"), .gap_ms = 2};
    int64_t now = RIG_START;

    (void)state;
    (void)plan_build_to(r.plan, plan_build_source(r.plan, "in", "t"), OUT_MAIN, "out");
    rig_start(&r, 1);
    rig_send(&r, "in", 0, NULL, "{\"t\":1}");
    assert_true(turn_at(&r, now).worked);
    rig_send(&r, "in", 0, NULL, "{\"t\":2}");
    now -= 3600000;
    assert_int_equal(turn_at(&r, now).wait_ms, 2);
    assert_true(turn_at(&r, now += 2).worked);
    while (turn_at(&r, now += 2).worked)
        continue;
    rig_expect(&r, "out", "{\"t\":1} {\"t\":2}");
    r.store.fault_in = "commit";
    r.store.fault_code = LEAT_ENOSPC;
    r.store.fault_at = 0;
    rig_send(&r, "in", 0, NULL, "{\"t\":3}");
    while (turn_at(&r, now += 2).worked)
        continue;
    assert_int_equal(rig_status(&r).state, JOB_WAITING);
    now -= 3600000;
    assert_int_equal(turn_at(&r, now).wait_ms, 1000);
    assert_true(turn_at(&r, now += 1000).worked);
    rig_expect(&r, "out", "{\"t\":3}");
    rig_stop(&r);
}

// A clock ticks at multiples of its interval; ticks missed while the job was down collapse into
// one.
static void test_every(void **state)
{
    static const char *const fields[] = {"at", "$time", NULL};
    struct rig r = {.plan = plan_build("test")};

    (void)state;
    (void)plan_build_to(r.plan,
                        plan_build_select(r.plan, plan_build_every(r.plan, 3600000), fields),
                        OUT_MAIN, "beat");
    rig_start(&r, 1);
    rig_advance(&r, 3600000 - 1);
    rig_expect(&r, "beat", "");
    rig_advance(&r, 1);
    rig_expect(&r, "beat", "{\"at\":1767229200000}");
    rig_crash(&r);
    rig_run(&r);
    rig_expect(&r, "beat", "");
    driver_set_now(r.d, driver_now(r.d) + 5 * 3600000 + 77);
    rig_run(&r);
    rig_expect(&r, "beat", "{\"at\":1767247200000}");
    rig_stop(&r);
}

// Two streams that meet are each read through the fields of the node where they meet.
static void test_streams_meet(void **state)
{
    static const char *const fields[] = {"n", "m * 10", NULL};
    struct rig r = {.plan = plan_build("test")};
    int a, b, n;

    (void)state;
    a = plan_build_source(r.plan, "a", NULL);
    b = plan_build_select(r.plan, plan_build_source(r.plan, "b", NULL), fields);
    n = plan_build_where(r.plan, a, "n > 5");
    plan_build_merge(r.plan, n, b);
    (void)plan_build_to(r.plan, n, OUT_MAIN, "out");
    rig_start(&r, 1);
    rig_send(&r, "a", 0, NULL, "{\"n\":7 }");
    rig_send(&r, "a", 0, NULL, "{\"n\":3}");
    rig_send(&r, "b", 0, NULL, "{\"m\":1}");
    rig_run(&r);
    rig_expect(&r, "out", "{\"n\":7 } {\"n\":10}"); // an untouched value keeps its bytes
    rig_stop(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_where_select_to),
        cmocka_unit_test_setup_teardown(test_all_or_nothing, given_user, after),
        cmocka_unit_test_setup_teardown(test_sequence, given_user, after),
        cmocka_unit_test_setup_teardown(test_retry, given_user, after),
        cmocka_unit_test_setup_teardown(test_slow_records, given_user, after),
        cmocka_unit_test_setup_teardown(test_retries_spent, given_user, after),
        cmocka_unit_test_setup_teardown(test_dead_letter, given_user, after),
        cmocka_unit_test_setup_teardown(test_park_stop, given_user, after),
        cmocka_unit_test_setup_teardown(test_park_limit, given_user, after),
        cmocka_unit_test_setup_teardown(test_park_limit_is_left, given_user, after),
        cmocka_unit_test_setup_teardown(test_no_space, given_user, after),
        cmocka_unit_test(test_store_faults),
        cmocka_unit_test_setup_teardown(test_topics, given_user, after),
        cmocka_unit_test(test_merge),
        cmocka_unit_test(test_waits_for_every_head),
        cmocka_unit_test(test_ends_where_a_head_is_missing),
        cmocka_unit_test_setup_teardown(test_decided, given_user, after),
        cmocka_unit_test_setup_teardown(test_unreadable_follower, given_user, after),
        cmocka_unit_test_setup_teardown(test_two_heads, given_user, after),
        cmocka_unit_test_setup_teardown(test_dead_letter_once, given_user, after),
        cmocka_unit_test(test_waiting_sleeps),
        cmocka_unit_test(test_clock_set_back),
        cmocka_unit_test(test_every),
        cmocka_unit_test(test_streams_meet),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
