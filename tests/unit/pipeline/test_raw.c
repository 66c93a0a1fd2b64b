// SPDX-License-Identifier: Apache-2.0
//
// Rules of values and keys that show in bytes only, which a job's own tests cannot send or see. A
// case is a job, the bytes of one record, and the bytes that come out, or the class of the error.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "operators/operators.h"
#include "projections/jobfile_internal.h"
#include "runtime/engine/driver.h"
#include "runtime/engine/driver_log.h"
#include "scripts/script.h"

#define JOB "job 'raw' {} from 'in' "

#define SPACED "{ \"a\" : 1.0 ,\"type\":\"\\u0054\",\"z\":1.50e0, \"b\":[ ] }"

struct raw_case {
    const char *rule, *job, *value;
    const char *out, *class; // out NULL: nothing comes out
};

static const struct raw_case cases[] = {
    {"an untouched value is forwarded as its original bytes", JOB ":where 'a == 1' :to 'out'",
     "{ \"a\" : 1 ,\"z\":1.50e0, \"b\":[ ] }", "{ \"a\" : 1 ,\"z\":1.50e0, \"b\":[ ] }", NULL},
    {"of a key that is there twice the last counts", JOB ":select { 'a' } :to 'out'",
     "{\"a\":1,\"a\":2}", "{\"a\":2}", NULL},
    {"an integer outside of int64 is an error of class number", JOB ":where 'a > 0' :to 'out'",
     "{\"a\":9223372036854775808}", NULL, "number"},
    {"but only when it is used", JOB ":select { 'b' } :to 'out'",
     "{\"a\":9223372036854775808,\"b\":1}", "{\"b\":1}", NULL},
    {"and not where the schema says text",
     JOB "{ schema = schema 's' { a = 'text' } } :select { 'a' } :to 'out'",
     "{\"a\":9223372036854775808}", "{\"a\":\"9223372036854775808\"}", NULL},
    {"the smallest integer is one", JOB ":select { 'a' } :to 'out'",
     "{\"a\":-9223372036854775808}", "{\"a\":-9223372036854775808}", NULL},
    {"a real is written as the shortest text that reads back", JOB ":select { 'a' } :to 'out'",
     "{\"a\":0.1000000000000000055}", "{\"a\":0.1}", NULL},
    {"a real that has no double is class number", JOB ":where 'a > 0' :to 'out'", "{\"a\":1e999}",
     NULL, "number"},
    {"structure is checked whole, whatever is read", JOB ":select { 'a' } :to 'out'",
     "{\"a\":1,\"b\":[1,}", NULL, "decode"},
    {"nothing may follow the value", JOB ":select { 'a' } :to 'out'", "{\"a\":1} x", NULL,
     "decode"},
    {"so is UTF-8", JOB ":select { 'a' } :to 'out'", "{\"a\":1,\"b\":\"\xff\"}", NULL, "decode"},
    {"NaN is no JSON", JOB ":select { 'a' } :to 'out'", "{\"a\":1,\"b\":NaN}", NULL, "decode"},
    {"a real with a whole value stays a real", JOB ":select { 'a' } :to 'out'", "{\"a\":1E2}",
     "{\"a\":100.0}", NULL},
    {"a real too small for a double is zero", JOB ":select { 'a' } :to 'out'", "{\"a\":1e-999}",
     "{\"a\":0.0}", NULL},
    {"a function sees the last of equal keys too",
     JOB ":map(function(v) return { a = v.a } end) :to 'out'",
     "{\"a\":1,\"a\":{\"b\":2,\"b\":3}}", "{\"a\":{\"b\":2,\"b\":3}}", NULL},
    {"and so do its copies",
     JOB ":map(function(v) return { a = copy(v).a, b = with(v, { c = 1 }).a } end) :to 'out'",
     "{\"a\":1,\"a\":2}", "{\"a\":2,\"b\":2}", NULL},
    {"a function that uses an integer outside of int64 fails with class number",
     JOB ":map(function(v) return { a = v.a } end) :to 'out'", "{\"a\":9223372036854775808}", NULL,
     "number"},
    {"one that does not use it does not", JOB ":map(function(v) return { b = v.b } end) :to 'out'",
     "{\"a\":9223372036854775808,\"b\":1}", "{\"b\":1}", NULL},
    {"a function's NaN is an error of class number",
     JOB ":map(function(v) return { a = 0 / 0 } end) :to 'out'", "{}", NULL, "number"},
    {"and so is its infinity", JOB ":map(function(v) return { a = 1 / 0 } end) :to 'out'", "{}",
     NULL, "number"},
    {"a function that returns its record forwards the original bytes",
     JOB ":map(function(v) local x = v.a return v end) :to 'out'", SPACED, SPACED, NULL},
    {"flatmap, too", JOB ":flatmap(function(v) return { v } end) :to 'out'", SPACED, SPACED, NULL},
    {"match, too", JOB ":match 'type' { T = function(v) return v end } :to 'out'", SPACED, SPACED,
     NULL},
    {"by and dedupe leave the value as it is",
     JOB ":by 'type' :dedupe { by = 'a', within = '1h' } :to 'out'",
     SPACED, SPACED, NULL},
    {"and so do split and merge",
     "job 'raw' {} local a, b = from 'in' :split 'a == 1' a:merge(b) :to 'out'", SPACED, SPACED,
     NULL},
    {"with makes another value, and leaves the rest of it",
     JOB ":map(function(v) return with(v, { z = 2 }) end) :to 'out'", SPACED,
     "{\"a\":1.0,\"type\":\"T\",\"z\":2,\"b\":[ ]}", NULL},
    {"bytes are base64 in JSON",
     JOB "{ format = 'bytes' } :to('out', { format = 'json' })",
     "\xff\xfe\x01", "{\"bytes\":\"//4B\"}", NULL},
    {"and themselves in their own format",
     JOB "{ format = 'bytes' } :select { 'bytes' } :to('out', { format = 'bytes' })",
     "\xff\xfe\x01", "\xff\xfe\x01", NULL},
    {"a surrogate half is not text", JOB ":select { 'a' } :to 'out'",
     "{\"a\":1,\"b\":\"\\ud800\"}", NULL, "decode"},
};

static int store_open(void *arg, const struct plan *p, struct store **out, struct err *e)
{
    struct jobfile_options o = {.path = arg};

    return jobfile_open(out, p, &o, e);
}

static void store_close(void *arg, struct store *s)
{
    (void)arg;
    jobfile_close(s);
}

static struct driver *given_partitions(const char *text, int32_t n, struct plan **plan)
{
    struct script_options script = {
        .file = "raw.lua", .text = bytes_str(text), .operators = operator_types()};
    struct driver_config c = {.operators = operator_types(),
                              .stores = {.open = store_open, .close = store_close},
                              .start_ms = INT64_C(1767225600000),
                              .n_partitions = n};
    struct driver *d = NULL;
    struct err e = {0};

    if (script_load(plan, &script, &e) != 0)
        fail_msg("%s", e.text);
    c.plan = *plan;
    if (driver_open(&d, &c, &e) != 0)
        fail_msg("%s", e.text);
    return d;
}

static struct driver *given_job(const char *text, struct plan **plan)
{
    return given_partitions(text, 1, plan);
}

static void when_sent(struct driver *d, struct bytes key, const char *value)
{
    struct driver_record r = {.key = key, .value = bytes_str(value), .timestamp = -1};
    struct err e = {0};

    if (driver_send(d, "in", &r, &e) != 0 || driver_run(d, &e) != 0)
        fail_msg("%s", e.text);
}

static void expect_parked(struct driver *d, const struct raw_case *c)
{
    struct db *db = jobfile_of(driver_store(d))->db;
    struct db_stmt *s;

    assert_int_equal(db_prepare(db, "SELECT class FROM _leat_parked", &s, NULL), 0);
    if (c->class == NULL)
        assert_int_equal(db_next(s, NULL), 0);
    else if (db_next(s, NULL) != 1 || !bytes_eq_str(db_column_text(s, 0), c->class))
        fail_msg("%s: not parked as %s", c->rule, c->class);
    db_stmt_free(s);
}

// Each case's rule.
static void test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct raw_case *c = &cases[i];
        struct plan *plan;
        struct driver *d = given_job(c->job, &plan);
        const struct batch_record *out;

        when_sent(d, BYTES_LIT("k"), c->value);
        if (driver_take(d, "out", &out) != (c->out != NULL))
            fail_msg("%s: %s", c->rule, c->out ? "nothing comes out" : "something comes out");
        if (c->out != NULL && !bytes_eq_str(out[0].value, c->out))
            fail_msg("%s: %.*s instead of %s", c->rule, BYTES_FMT(out[0].value), c->out);
        expect_parked(d, c);
        driver_close(d);
        plan_free(plan);
    }
}

// JSON may be 64 deep, and no deeper.
static void test_depth(void **state)
{
    (void)state;
    for (int depth = 64; depth <= 65; depth++) {
        struct plan *plan;
        struct driver *d = given_job(JOB ":where 'a == nil' :to 'out'", &plan);
        const struct batch_record *out;
        struct buf text = BUF_EMPTY;

        buf_append_str(&text, "{\"x\":");
        for (int i = 1; i < depth; i++)
            buf_append_byte(&text, '[');
        for (int i = 1; i < depth; i++)
            buf_append_byte(&text, ']');
        buf_append_byte(&text, '}');
        when_sent(d, BYTES_LIT("k"), buf_cstr(&text));
        assert_int_equal(driver_take(d, "out", &out), depth == 64);
        buf_deinit(&text);
        driver_close(d);
        plan_free(plan);
    }
}

// A key of several parts is a MessagePack array of them; one part is itself.
static void test_key_bytes(void **state)
{
    static const uint8_t pair[] = {0x92, 0xa1, 'x', 0x01};
    struct plan *plan;
    struct driver *d = given_job(
        "job 'raw' {} local s = from 'in' s:by('a', 'b'):to 'pair' s:by 'a' :to 'one'", &plan);
    const struct batch_record *out;

    (void)state;
    when_sent(d, BYTES_LIT("k"), "{\"a\":\"x\",\"b\":1}");
    assert_int_equal(driver_take(d, "pair", &out), 1);
    assert_int_equal(out[0].key.n, sizeof pair);
    assert_memory_equal(out[0].key.p, pair, sizeof pair);
    assert_int_equal(driver_take(d, "one", &out), 1);
    assert_true(bytes_eq_str(out[0].key, "x"));
    driver_close(d);
    plan_free(plan);
}

// A key that is not UTF-8 is bytes, and goes through as it came.
static void test_binary_key(void **state)
{
    struct plan *plan;
    struct driver *d = given_job(JOB ":where 'a == 1' :to 'out'", &plan);
    const struct batch_record *out;

    (void)state;
    when_sent(d, BYTES_LIT("\xff\x00\xfe"), "{\"a\":1}");
    assert_int_equal(driver_take(d, "out", &out), 1);
    assert_int_equal(out[0].key.n, 3);
    assert_memory_equal(out[0].key.p, "\xff\x00\xfe", 3);
    driver_close(d);
    plan_free(plan);
}

// In JSON it is base64.
static void test_binary_key_in_json(void **state)
{
    struct plan *plan;
    struct driver *d = given_job(JOB ":select { k = '$key', n = '#$key' } :to 'out'", &plan);
    const struct batch_record *out;

    (void)state;
    when_sent(d, BYTES_LIT("\xff\x00\xfe"), "{}");
    assert_int_equal(driver_take(d, "out", &out), 1);
    assert_true(bytes_eq_str(out[0].value, "{\"k\":\"/wD+\",\"n\":3}"));
    driver_close(d);
    plan_free(plan);
}

// Keys, and what Utils.murmur2 of the Java client gives for them (its own test's values).
static const struct {
    const char *key;
    int32_t murmur2;
} keys[] = {
    {"21", -973932308},
    {"foobar", -790332482},
    {"a-little-bit-long-string", -985981536},
    {"a-little-bit-longer-string", -1486304829},
    {"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971},
    {"abc", 479470107},
};

// A record's partition is that of the Java client: murmur2 of the key's bytes without its sign,
// modulo the partitions, wherever the record came from.
static void test_partition_of_a_key(void **state)
{
    (void)state;
    for (int32_t n = 1; n <= 13; n++) {
        struct plan *plan;
        struct driver *d = given_partitions(
            JOB ":to 'out' from 'out' :select { p = '$partition' } :to 'seen'", n, &plan);
        const struct batch_record *out;

        for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
            char want[64];

            when_sent(d, bytes_str(keys[i].key), "{}");
            assert_int_equal(driver_take(d, "seen", &out), 1);
            snprintf(want, sizeof want, "{\"p\":%d}", (keys[i].murmur2 & 0x7fffffff) % n);
            if (!bytes_eq_str(out[0].value, want))
                fail_msg("%s of %d: %.*s", keys[i].key, (int)n, BYTES_FMT(out[0].value));
        }
        driver_close(d);
        plan_free(plan);
    }
}

// It is fixed when the record is written to the outbox: what waits there while its topic gets more
// partitions goes where it would have gone; what comes later goes by the new number.
static void test_partition_is_fixed_in_the_outbox(void **state)
{
    struct plan *plan;
    struct driver *d = given_partitions(
        JOB ":to 'out' from 'out' :select { p = '$partition', k = '$key' } :to 'seen'", 2, &plan);
    struct driver_record grows = {
        .key = BYTES_LIT("new"), .value = BYTES_LIT("{}"), .partition = 6, .timestamp = -1};
    const struct batch_record *out;

    (void)state;
    driver_topics(d)->faults.stuck = "out";
    when_sent(d, BYTES_LIT("21"), "{}"); // 0 of 2, 3 of 7
    assert_int_equal(driver_send(d, "out", &grows, NULL), 0);
    assert_int_equal(driver_restart(d, NULL), 0);
    driver_topics(d)->faults.stuck = NULL;
    assert_int_equal(driver_advance(d, 60000, NULL), 0);
    when_sent(d, BYTES_LIT("21"), "{}");
    assert_int_equal(driver_take(d, "seen", &out), 3);
    assert_true(bytes_eq_str(out[0].value, "{\"k\":\"new\",\"p\":6}"));
    assert_true(bytes_eq_str(out[1].value, "{\"k\":\"21\",\"p\":0}"));
    assert_true(bytes_eq_str(out[2].value, "{\"k\":\"21\",\"p\":3}"));
    driver_close(d);
    plan_free(plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_key_bytes),
        cmocka_unit_test(test_binary_key),
        cmocka_unit_test(test_binary_key_in_json),
        cmocka_unit_test(test_partition_of_a_key),
        cmocka_unit_test(test_partition_is_fixed_in_the_outbox),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
