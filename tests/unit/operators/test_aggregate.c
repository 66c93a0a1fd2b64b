// SPDX-License-Identifier: Apache-2.0
//
// Aggregates: what each function gives, undo, keys of every type, state rows, faults. Windows in
// disorder are in test_windows.c.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "operators/aggregate.h"
#include "tests/support/fake_run.h"

#define KEY(s) value_text(BYTES_LIT(s))

static const char *const k_name[] = {"k", "k2"};

static struct run *given_window(struct plan_window w)
{
    struct run *r = fake_new();
    int agg, sink;

    fake_node(r, NODE_SOURCE, -1, OUT_MAIN);
    agg = fake_node(r, NODE_AGGREGATE, 0, OUT_MAIN);
    r->nodes[agg].aggregate.window = w;
    r->nodes[agg].aggregate.aggs = arena_zalloc(&r->keep, 8 * sizeof(struct plan_aggregate));
    r->nodes[agg].key_names = (const char **)k_name;
    r->nodes[agg].n_key_names = 1;
    sink = fake_node(r, FAKE_SINK, agg, OUT_FINAL);
    r->nodes[sink].name = "final";
    sink = fake_node(r, FAKE_SINK, agg, OUT_LATE);
    r->nodes[sink].name = "late";
    r->check_order = true;
    return r;
}

static struct run *given_tumbling(void)
{
    return given_window((struct plan_window){.kind = WINDOW_TUMBLING, .size_ms = 10,
                                             .every_ms = 10});
}

static void given_agg(struct run *r, const char *name, enum agg_kind kind, const char *arg)
{
    struct plan_aggregate *a = &r->nodes[1].aggregate.aggs[r->nodes[1].aggregate.n++];

    *a = (struct plan_aggregate){.name = bytes_str(name), .kind = kind, .has_arg = arg != NULL};
    if (arg != NULL)
        a->arg = fake_expr(r, arg);
}

static void opened(struct run *r)
{
    if (fake_open(r) != 0)
        fail_msg("%s", r->err.text);
}

static void sent(struct run *r, const char *json, int64_t time)
{
    if (fake_send(r, 0, json, KEY("a"), time) != 0)
        fail_msg("%s", r->err.text);
}

static void committed(struct run *r)
{
    assert_int_equal(fake_commit(r), 0);
}

static void restarted(struct run *r)
{
    committed(r);
    fake_close(r);
    opened(r);
}

// What the window of key "a" gives for these records, directly and with a restart after each.
static void expect_result(enum agg_kind kind, const char *arg, const char *const *records,
                          const char *want)
{
    for (int restarts = 0; restarts < 2; restarts++) {
        struct run *r = given_tumbling();
        char text[300];

        given_agg(r, "v", kind, arg);
        opened(r);
        for (int i = 0; records[i] != NULL; i++) {
            sent(r, records[i], (i * 7 + 3) % 10);
            if (restarts)
                restarted(r);
        }
        assert_int_equal(fake_watermark(r, 10), 0);
        committed(r);
        snprintf(text, sizeof(text),
                 "final key=\"a\" time=9 {\"k\":\"a\",\"window_start\":0,\"window_end\":10,"
                 "\"v\":%s}\n",
                 want);
        assert_string_equal(fake_text(r), text);
        assert_int_equal(r->state[0].now.n, 0);
        fake_free(r);
    }
}

#define RECORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

// count counts records; with an argument, those where it is truthy.
static void test_count(void **state)
{
    (void)state;
    expect_result(AGG_COUNT, NULL, RECORDS("{}", "{\"x\":null}", "{\"x\":false}"), "3");
    expect_result(AGG_COUNT, "x", RECORDS("{}", "{\"x\":null}", "{\"x\":false}", "{\"x\":0}"), "1");
}

// sum: integers stay integers, a float makes a float, nil is skipped, nothing gives nil.
static void test_sum(void **state)
{
    (void)state;
    expect_result(AGG_SUM, "x", RECORDS("{\"x\":1}", "{}", "{\"x\":-3}"), "-2");
    expect_result(AGG_SUM, "x", RECORDS("{\"x\":1}", "{\"x\":0.5}"), "1.5");
    expect_result(AGG_SUM, "x", RECORDS("{\"x\":1.0}", "{\"x\":2}"), "3.0");
    expect_result(AGG_SUM, "x", RECORDS("{}", "{\"x\":null}"), "null");
    expect_result(AGG_SUM, "x",
                  RECORDS("{\"x\":0.1}", "{\"x\":0.1}", "{\"x\":0.1}", "{\"x\":0.1}", "{\"x\":0.1}",
                          "{\"x\":0.1}", "{\"x\":0.1}", "{\"x\":0.1}", "{\"x\":0.1}",
                          "{\"x\":0.1}"),
                  "1.0");
    expect_result(AGG_SUM, "x", RECORDS("{\"x\":9223372036854775806}", "{\"x\":1}"),
                  "9223372036854775807");
}

// avg is the exact sum divided once, over what is not nil.
static void test_avg(void **state)
{
    (void)state;
    expect_result(AGG_AVG, "x", RECORDS("{\"x\":90.0}", "{}", "{\"x\":96.0}"), "93.0");
    expect_result(AGG_AVG, "x", RECORDS("{\"x\":1}", "{\"x\":2}"), "1.5");
    expect_result(AGG_AVG, "x", RECORDS("{}"), "null");
}

// min and max compare numbers with numbers and text with text; the first of equals stays.
static void test_min_max(void **state)
{
    (void)state;
    expect_result(AGG_MIN, "x", RECORDS("{\"x\":2}", "{\"x\":1.5}", "{}", "{\"x\":3}"), "1.5");
    expect_result(AGG_MAX, "x", RECORDS("{\"x\":2}", "{\"x\":2.0}", "{\"x\":-3}"), "2");
    expect_result(AGG_MAX, "x", RECORDS("{\"x\":\"b\"}", "{\"x\":\"abc\"}"), "\"b\"");
    expect_result(AGG_MIN, "x", RECORDS("{\"x\":\"b\"}", "{\"x\":\"abc\"}"), "\"abc\"");
    expect_result(AGG_MIN, "x", RECORDS("{}"), "null");
}

// first and last go by event time (here 3, 0, 7, 4), and hold any value.
static void test_first_last(void **state)
{
    (void)state;
    expect_result(AGG_FIRST, "x", RECORDS("{\"x\":1}", "{\"x\":[2]}", "{\"x\":3}", "{\"x\":4}"),
                  "[2]");
    expect_result(AGG_LAST, "x",
                  RECORDS("{\"x\":1}", "{\"x\":2}", "{\"x\":{\"y\":3}}", "{\"x\":4}"), "{\"y\":3}");
    expect_result(AGG_LAST, "x", RECORDS("{\"x\":1}", "{}"), "1");
    expect_result(AGG_FIRST, "x", RECORDS("{\"x\":false}", "{}"), "false");
}

// Of equal times the first (last) that arrived.
static void test_first_last_ties(void **state)
{
    struct run *r = given_tumbling();

    (void)state;
    given_agg(r, "f", AGG_FIRST, "x");
    given_agg(r, "l", AGG_LAST, "x");
    opened(r);
    sent(r, "{\"x\":1}", 5);
    sent(r, "{\"x\":2}", 5);
    sent(r, "{\"x\":3}", 5);
    assert_int_equal(fake_watermark(r, 10), 0);
    assert_non_null(strstr(fake_text(r), "\"f\":1,\"l\":3"));
    fake_free(r);
}

// What cannot be summed or compared is class type, overflow too; a sum that is not finite is class
// number. The error names the aggregate, and the record leaves nothing.
static void test_refusals(void **state)
{
    static const struct {
        enum agg_kind kind;
        const char *first, *bad;
        int rc;
    } rows[] = {
        {AGG_SUM, "{\"x\":1}", "{\"x\":\"1\"}", LEAT_ETYPE},
        {AGG_SUM, "{\"x\":1}", "{\"x\":true}", LEAT_ETYPE},
        {AGG_SUM, "{\"x\":9223372036854775807}", "{\"x\":1}", LEAT_ETYPE},
        {AGG_SUM, "{\"x\":1e308}", "{\"x\":1e308}", LEAT_ENUMBER},
        {AGG_AVG, "{\"x\":1}", "{\"x\":[]}", LEAT_ETYPE},
        {AGG_MIN, "{\"x\":1}", "{\"x\":\"a\"}", LEAT_ETYPE},
        {AGG_MAX, "{\"x\":\"a\"}", "{\"x\":1}", LEAT_ETYPE},
        {AGG_MAX, "{\"x\":1}", "{\"x\":true}", LEAT_ETYPE},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct run *r = given_tumbling();

        given_agg(r, "n", AGG_COUNT, NULL);
        given_agg(r, "v", rows[i].kind, "x");
        opened(r);
        sent(r, rows[i].first, 1);
        assert_int_equal(fake_send(r, 0, rows[i].bad, KEY("a"), 2), rows[i].rc);
        assert_non_null(strstr(r->err.text, "v: "));
        assert_int_equal(fake_send(r, 0, rows[i].bad, KEY("a"), 2), rows[i].rc);
        assert_int_equal(fake_watermark(r, 10), 0);
        assert_non_null(strstr(fake_text(r), "\"n\":1,"));
        fake_free(r);
    }
}

// A record that fails after it replaced texts brings the old ones back, for new groups too.
static void test_undo_of_texts(void **state)
{
    struct run *r = given_tumbling();

    (void)state;
    given_agg(r, "max", AGG_MAX, "x");
    given_agg(r, "last", AGG_LAST, "x");
    given_agg(r, "sum", AGG_SUM, "y");
    opened(r);
    assert_int_equal(fake_send(r, 0, "{\"x\":\"b\",\"y\":\"no\"}", KEY("b"), 1), LEAT_ETYPE);
    sent(r, "{\"x\":\"first value\"}", 1);
    sent(r, "{\"x\":\"second value\"}", 2);
    for (int i = 0; i < 3; i++)
        assert_int_equal(fake_send(r, 0, "{\"x\":\"zzz value\",\"y\":\"no\"}", KEY("a"), 3),
                         LEAT_ETYPE);
    sent(r, "{\"x\":\"a\"}", 4);
    assert_int_equal(fake_watermark(r, 10), 0);
    assert_string_equal(fake_text(r),
                        "final key=\"a\" time=9 {\"k\":\"a\",\"window_start\":0,\"window_end\":10,"
                        "\"max\":\"second value\",\"last\":\"a\",\"sum\":null}\n");
    fake_free(r);
}

// Keys keep their type and first form through state; equal numbers are one group.
static void test_key_types(void **state)
{
    const struct value keys[] = {value_bool(true), value_float(1.0), value_int(1),
                                 value_float(2.0), value_int(2), KEY("1")};

    (void)state;
    for (int restarts = 0; restarts < 2; restarts++) {
        struct run *r = given_tumbling();

        given_agg(r, "n", AGG_COUNT, NULL);
        opened(r);
        for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
            assert_int_equal(fake_send(r, 0, "{}", keys[i], 1), 0);
            if (restarts)
                restarted(r);
        }
        assert_int_equal(fake_watermark(r, 10), 0);
        assert_string_equal(
            fake_text(r),
            "final key=true time=9 {\"k\":true,\"window_start\":0,\"window_end\":10,\"n\":3}\n"
            "final key=2.0 time=9 {\"k\":2.0,\"window_start\":0,\"window_end\":10,\"n\":2}\n"
            "final key=\"1\" time=9 {\"k\":\"1\",\"window_start\":0,\"window_end\":10,\"n\":1}\n");
        fake_free(r);
    }
}

// Composite keys come back as parts and as an array; a keyless record is class key.
static void test_composite_key(void **state)
{
    struct run *r = given_tumbling();
    struct value parts[] = {KEY("a"), value_int(2)};
    struct value_array array = {.n = 2, .items = parts};
    struct value key = {.type = VALUE_ARRAY, .array = &array};

    (void)state;
    r->nodes[1].n_key_names = 2;
    given_agg(r, "n", AGG_COUNT, NULL);
    opened(r);
    assert_int_equal(fake_send(r, 0, "{}", key, 1), 0);
    assert_int_equal(fake_send(r, 0, "{}", VALUE_OF_MISSING, 1), LEAT_EKEY);
    assert_int_equal(fake_send(r, 0, "{}", KEY("a"), 1), LEAT_EKEY);
    assert_int_equal(fake_watermark(r, 10), 0);
    assert_string_equal(fake_text(r), "final key=[\"a\",2] time=9 {\"k\":\"a\",\"k2\":2,"
                                      "\"window_start\":0,\"window_end\":10,\"n\":1}\n");
    fake_free(r);
}

// Late for all of its windows: counted, sampled, on to late, and in no window. Late for some
// hopping windows: once to late, and counted in the open ones.
static void test_late(void **state)
{
    struct run *r = given_window((struct plan_window){
        .kind = WINDOW_HOPPING, .size_ms = 10, .every_ms = 5, .grace_ms = 2});

    (void)state;
    given_agg(r, "n", AGG_COUNT, NULL);
    opened(r);
    assert_int_equal(fake_watermark(r, 11), 0);
    sent(r, "{}", 7); // [0,10) closes at 12, [5,15) at 17
    assert_int_equal(r->late, 0);
    assert_int_equal(fake_watermark(r, 12), 0);
    buf_clear(&r->text);
    sent(r, "{}", 7);
    assert_string_equal(fake_text(r), "late key=\"a\" time=7 {}\n");
    assert_int_equal(fake_watermark(r, 17), 0);
    assert_non_null(strstr(fake_text(r), "\"window_start\":5,\"window_end\":15,\"n\":2"));
    buf_clear(&r->text);
    sent(r, "{}", 7);
    assert_string_equal(fake_text(r), "late key=\"a\" time=7 {}\n");
    assert_int_equal(r->late, 2);
    assert_int_equal(fake_watermark(r, 1000), 0);
    assert_string_equal(fake_text(r), "late key=\"a\" time=7 {}\n");
    fake_free(r);
}

// Without a window there is one group per key, for ever; nothing is emitted, each dirty key is
// written once per step.
static void test_no_window(void **state)
{
    struct run *r = given_window((struct plan_window){.kind = WINDOW_NONE});

    (void)state;
    r->nodes[1].aggregate.table = 0;
    given_agg(r, "n", AGG_COUNT, NULL);
    opened(r);
    for (int i = 0; i < 5; i++)
        sent(r, "{}", i);
    assert_int_equal(fake_watermark(r, INT64_MAX - 1), 0);
    committed(r);
    assert_int_equal(r->puts, 1);
    restarted(r);
    sent(r, "{}", -5);
    committed(r);
    committed(r);
    assert_int_equal(r->puts, 2);
    assert_int_equal(r->state[0].now.rows[0].columns[0].i, 6);
    assert_string_equal(fake_text(r), "");
    fake_free(r);
}

// The table's row shows open windows at every commit, and stays, without state, when they close.
static void test_fused_rows(void **state)
{
    struct run *r = given_tumbling();
    struct fake_rows *rows = &r->state[0].now;

    (void)state;
    r->nodes[1].aggregate.table = 0;
    given_agg(r, "n", AGG_COUNT, NULL);
    opened(r);
    sent(r, "{}", 1);
    committed(r);
    assert_int_equal(rows->n, 1);
    assert_int_equal(rows->rows[0].columns[0].i, 1);
    assert_int_equal(rows->rows[0].window_end, 10);
    assert_false(bytes_is_null(rows->rows[0].blob));
    sent(r, "{}", 2);
    assert_int_equal(fake_watermark(r, 10), 0);
    committed(r);
    assert_int_equal(rows->rows[0].columns[0].i, 2);
    assert_true(bytes_is_null(rows->rows[0].blob));
    assert_int_equal(r->puts, 2);
    fake_free(r);
}

// A window that opens and closes within a step never reaches state, unless it is a table's row.
static void test_short_lived(void **state)
{
    (void)state;
    for (int table = -1; table < 1; table++) {
        struct run *r = given_tumbling();

        r->nodes[1].aggregate.table = table;
        given_agg(r, "n", AGG_COUNT, NULL);
        opened(r);
        sent(r, "{}", 1);
        assert_int_equal(fake_watermark(r, 10), 0);
        committed(r);
        assert_int_equal(r->puts, table + 1);
        fake_free(r);
    }
}

// A window opened by this process asks state for nothing: it knows that nothing is there.
static void test_no_needless_reads(void **state)
{
    struct run *r = given_tumbling();

    (void)state;
    given_agg(r, "n", AGG_COUNT, NULL);
    opened(r);
    for (int i = 0; i < 50; i++) {
        sent(r, "{}", i);
        if (i % 7 == 0)
            committed(r);
    }
    assert_int_equal(r->gets, 0);
    fake_free(r);
}

// A state row that cannot be read stops the job, naming the operator.
static void test_damaged_state(void **state)
{
    struct run *r = given_tumbling();

    (void)state;
    given_agg(r, "n", AGG_COUNT, NULL);
    opened(r);
    sent(r, "{}", 1);
    restarted(r);
    r->state[0].now.rows[0].blob.n--;
    r->state[0].committed.rows[0].blob.n--;
    r->careful = true; // reads at once
    assert_int_equal(fake_send(r, 0, "{}", KEY("a"), 1), LEAT_ECORRUPT);
    r->careful = false;
    assert_int_equal(fake_send(r, 0, "{}", KEY("a"), 1), 0);
    assert_int_equal(fake_commit(r), LEAT_ECORRUPT);
    fake_abort(r);
    assert_non_null(strstr(r->err.text, "n1"));
    assert_int_equal(fake_watermark(r, 10), LEAT_ECORRUPT);
    fake_free(r);
}

// --- rows that are read later ---

// A key that is not in memory is not read before the flush, whatever its records bring; the row
// then holds what it would have held. What only failed leaves nothing.
static void test_reading_is_put_off(void **state)
{
    struct run *r = given_tumbling();

    (void)state;
    given_agg(r, "s", AGG_SUM, "x");
    given_agg(r, "l", AGG_LAST, "y");
    opened(r);
    sent(r, "{\"x\":0.1,\"y\":\"old\"}", 1);
    restarted(r);
    r->gets = 0;
    sent(r, "{\"x\":0.2,\"y\":\"new\"}", 2);
    assert_int_equal(fake_send(r, 0, "{\"x\":\"t\"}", KEY("a"), 3), LEAT_ETYPE);
    assert_int_equal(fake_send(r, 0, "{\"x\":\"t\"}", KEY("b"), 3), LEAT_ETYPE);
    assert_int_equal(fake_send(r, 0, "{\"x\":0.3}", KEY("c"), 3), 0);
    assert_int_equal(r->gets, 0);
    assert_int_equal(fake_commit(r), 0);
    assert_int_equal(r->gets, 2);
    assert_int_equal(r->state[0].now.n, 2);
    assert_int_equal(fake_watermark(r, 10), 0);
    assert_non_null(strstr(fake_text(r), "\"s\":0.30000000000000004,\"l\":\"new\""));
    assert_non_null(strstr(fake_text(r), "\"s\":0.3,"));
    fake_free(r);
}

// --- faults ---

// Goes on where the last commit was; *from moves with each.
static int scenario(struct run *r, int *from)
{
    int rc = 0;

    for (int i = *from; i < 13 && rc == 0; i++) {
        char key = (char)('a' + i % 3);

        rc = fake_send(r, 0, "{\"x\":\"t\"}", value_text(bytes_of(&key, 1)), 8 + i);
        if (rc == 0 && i == 9)
            rc = fake_watermark(r, 12);
        if (rc == 0 && i == 12)
            rc = fake_watermark(r, 30);
        if (rc == 0 && (i % 4 == 3 || i == 12)) {
            rc = fake_commit(r);
            *from = rc == 0 ? i + 1 : *from;
        }
    }
    return rc;
}

static struct run *given_scenario(void)
{
    struct run *r = given_tumbling();

    given_agg(r, "m", AGG_MAX, "x");
    given_agg(r, "n", AGG_COUNT, NULL);
    opened(r);
    aggregate_limits(r->ops[1], 1);
    r->cache_bytes = 1;
    return r;
}

// Whatever call to state or downstream fails, abort and go on gives what no failure gives.
static void test_faults(void **state)
{
    struct run *want = given_scenario();
    int from = 0;
    bool fired = true;

    (void)state;
    assert_int_equal(scenario(want, &from), 0);
    for (int64_t n = 0; fired; n++) {
        struct run *r = given_scenario();
        int rc;

        from = 0;
        r->fail_at = n;
        rc = scenario(r, &from);
        fired = rc != 0;
        if (fired) {
            assert_int_equal(rc, LEAT_EIO);
            fake_abort(r);
            assert_int_equal(fake_watermark(r, from > 9 ? 12 : INT64_MIN), 0);
            assert_int_equal(scenario(r, &from), 0);
        }
        assert_string_equal(fake_text(r), fake_text(want));
        assert_int_equal(r->state[0].now.n, 0);
        assert_true(fired || n > 20);
        fake_free(r);
    }
    fake_free(want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_count),        cmocka_unit_test(test_sum),
        cmocka_unit_test(test_avg),          cmocka_unit_test(test_min_max),
        cmocka_unit_test(test_first_last),   cmocka_unit_test(test_first_last_ties),
        cmocka_unit_test(test_refusals),     cmocka_unit_test(test_undo_of_texts),
        cmocka_unit_test(test_key_types),    cmocka_unit_test(test_composite_key),
        cmocka_unit_test(test_late),         cmocka_unit_test(test_no_window),
        cmocka_unit_test(test_fused_rows),   cmocka_unit_test(test_short_lived),
        cmocka_unit_test(test_no_needless_reads), cmocka_unit_test(test_damaged_state),
             cmocka_unit_test(test_reading_is_put_off),
             cmocka_unit_test(test_faults),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
