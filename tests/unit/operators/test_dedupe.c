// SPDX-License-Identifier: Apache-2.0
//
// dedupe against a model: which records go on, with random times, commits, aborts and restarts, and
// that its rows are bounded. Seed: first argument.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "runtime/base/random.h"
#include "tests/support/fake_run.h"

#define HOUR INT64_C(3600000)
#define IDS 12

static uint64_t seed = 1;

static struct run *given_dedupe(int64_t within)
{
    struct run *r = fake_new();
    int dedupe, sink;

    fake_node(r, NODE_SOURCE, -1, OUT_MAIN);
    dedupe = fake_node(r, NODE_DEDUPE, 0, OUT_MAIN);
    r->nodes[dedupe].dedupe.by = arena_zalloc(&r->keep, sizeof(struct plan_field));
    r->nodes[dedupe].dedupe.by[0] = fake_field(r, "id", "id");
    r->nodes[dedupe].dedupe.n = 1;
    r->nodes[dedupe].dedupe.within_ms = within;
    sink = fake_node(r, FAKE_SINK, dedupe, OUT_MAIN);
    r->nodes[sink].name = "out";
    if (fake_open(r) != 0)
        fail_msg("%s", r->err.text);
    return r;
}

// Whether it went on.
static bool sent(struct run *r, int id, int64_t time)
{
    char json[40];
    size_t before = r->text.n;

    snprintf(json, sizeof(json), id % 2 ? "{\"id\":%d}" : "{\"id\":\"%d\"}", id);
    if (fake_send(r, 0, json, VALUE_OF_MISSING, time) != 0)
        fail_msg("%s", r->err.text);
    return r->text.n > before;
}

struct model {
    bool there[IDS];
    int64_t time[IDS];
    int64_t w;
};

static bool model_sent(struct model *m, int id, int64_t time, int64_t within)
{
    if (m->there[id] && m->w <= m->time[id] + within)
        return false;
    m->there[id] = true;
    m->time[id] = time;
    return true;
}

static void one_run(uint64_t s)
{
    struct random rnd;
    int64_t within, clock = 0;
    struct model now = {.w = -2 * HOUR}, committed = now;
    struct run *r;

    random_seed(&rnd, s);
    within = (int64_t)random_below(&rnd, 3 * HOUR) + 1;
    r = given_dedupe(within);
    assert_int_equal(fake_watermark(r, now.w), 0);
    for (int i = 0; i < 600; i++) {
        int id = (int)random_below(&rnd, IDS);
        int64_t time;

        clock += (int64_t)random_below(&rnd, HOUR / 4);
        time = clock - (int64_t)random_below(&rnd, 2 * HOUR);
        if (sent(r, id, time) != model_sent(&now, id, time, within))
            fail_msg("seed %llu, record %d", (unsigned long long)s, i);
        if (random_below(&rnd, 3) == 0 && clock - HOUR > now.w) {
            now.w = clock - HOUR;
            assert_int_equal(fake_watermark(r, now.w), 0);
        }
        if (random_below(&rnd, 8) == 0) {
            assert_int_equal(fake_commit(r), 0);
            committed = now;
        } else if (random_below(&rnd, 20) == 0) {
            fake_abort(r);
            now = committed;
            assert_int_equal(fake_watermark(r, now.w), 0);
        }
    }
    assert_int_equal(fake_commit(r), 0);
    fake_free(r);
}

// The first of an id goes on, until the watermark is past its time + within; aborts take back what
// was not committed.
static void test_model(void **state)
{
    (void)state;
    for (int i = 0; i < 40; i++)
        one_run(seed + (uint64_t)i);
}

// A record that fails behind it was not the first.
static void test_undo(void **state)
{
    struct run *r = given_dedupe(HOUR);

    (void)state;
    r->fail_at = 2; // behind reading the buckets and no row: the sink is not reached
    (void)fake_send(r, 0, "{\"id\":1}", VALUE_OF_MISSING, 5);
    r->fail_at = -1;
    assert_true(sent(r, 3, 5));
    assert_false(sent(r, 3, 6));
    fake_free(r);
}

// Rows of buckets that are over are deleted, a slice a commit.
static void test_rows_go(void **state)
{
    struct run *r = given_dedupe(HOUR);

    (void)state;
    for (int i = 0; i < 1200; i++)
        assert_true(sent(r, i, 1000));
    assert_int_equal(fake_commit(r), 0);
    assert_int_equal(r->state[0].now.n, 1200);
    assert_true(sent(r, 5000, 10 * HOUR));
    assert_int_equal(fake_watermark(r, 9 * HOUR), 0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(fake_commit(r), 0);
    assert_int_equal(r->state[0].now.n, 1);
    assert_true(sent(r, 7, 10 * HOUR));
    fake_free(r);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_model),
        cmocka_unit_test(test_undo),
        cmocka_unit_test(test_rows_go),
    };

    if (argc > 1)
        seed = strtoull(argv[1], NULL, 10);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
