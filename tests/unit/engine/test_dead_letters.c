// SPDX-License-Identifier: Apache-2.0
//
// Dead letters: what they say, what becomes of those that are too large, and that none is lost when
// their topic cannot take them.
#include "tests/unit/engine/rig.h"

#include <stdio.h>
#include <string.h>

#include "runtime/base/heap.h"
#include "runtime/base/limits.h"
#include "runtime/engine/dead_letter.h"
#include "runtime/engine/driver_log.h"

static const char *message; // what `fails` says

static int fails(void *arg, struct fn_call *c, struct err *e)
{
    (void)arg, (void)c;
    return err_set(e, LEAT_ELUA, "%s", message);
}

static void given(struct rig *r, plan_build_fn f)
{
    memset(r, 0, sizeof *r);
    r->plan = plan_build("letters");
    r->plan->errors.dead = "dead";
    (void)plan_build_to(
        r->plan, plan_build_map(r->plan, plan_build_source(r->plan, "in", NULL), f, r), OUT_MAIN,
        "out");
}

static const struct batch_record *the_letter(struct rig *r)
{
    const struct batch_record *recs;

    assert_int_equal(driver_take(r->d, "dead", &recs), 1);
    return recs;
}

static struct bytes header_of(const struct batch_record *rec, const char *name)
{
    static struct arena a;
    struct header *h;

    arena_reset(&a);
    assert_int_equal(batch_record_headers(rec, &a, &h, NULL), 0);
    for (int i = 0; i < rec->n_headers; i++)
        if (bytes_eq_str(h[i].name, name))
            return h[i].value;
    fail_msg("no header %s", name);
    return BYTES_NULL;
}

static void expect_header(const struct batch_record *rec, const char *name, const char *want)
{
    struct bytes got = header_of(rec, name);

    if (!bytes_eq_str(got, want))
        fail_msg("%s: \"%.*s\", not \"%s\"", name, BYTES_FMT(got), want);
}

// The record as it came, its own headers too, and why it is here under the names that Kafka Connect
// gave them.
static void test_headers(void **state)
{
    struct header own = {.name = BYTES_LIT("trace"), .value = BYTES_LIT("t-1")};
    struct driver_record rec = {.key = BYTES_LIT("k"),
                                .value = BYTES_LIT("{\"n\":7}"),
                                .headers = &own,
                                .n_headers = 1,
                                .partition = 2,
                                .timestamp = RIG_START - 5};
    const struct batch_record *letter;
    struct rig r;

    (void)state;
    message = "jobs/a.lua:7: no total";
    given(&r, fails);
    rig_start(&r, 3);
    assert_int_equal(driver_send(r.d, "in", &rec, &r.err), 0);
    rig_run(&r);
    letter = the_letter(&r);
    assert_true(bytes_eq_str(letter->key, "k"));
    assert_true(bytes_eq_str(letter->value, "{\"n\":7}"));
    assert_int_equal(letter->timestamp, RIG_START - 5);
    assert_int_equal(letter->n_headers, 11);
    expect_header(letter, "trace", "t-1");
    expect_header(letter, "__connect.errors.topic", "in");
    expect_header(letter, "__connect.errors.partition", "2");
    expect_header(letter, "__connect.errors.offset", "0");
    expect_header(letter, "__connect.errors.connector.name", "letters");
    expect_header(letter, "__connect.errors.task.id", "0");
    expect_header(letter, "__connect.errors.stage", "from[in]/map");
    expect_header(letter, "__connect.errors.exception.class.name", "lua");
    expect_header(letter, "__connect.errors.exception.message", "jobs/a.lua:7: no total");
    expect_header(letter, "__connect.errors.exception.stacktrace", "jobs/test.lua:2: in map");
    expect_header(letter, "leat.parked.id", "1");
    rig_stop(&r);
}

static char *large_json(size_t n)
{
    char *text = heap_alloc(n + 20);

    memset(text, 'x', n + 20);
    memcpy(text, "{\"n\":\"", 6);
    memcpy(text + n - 2, "\"}", 3);
    return text;
}

// A record as large as a batch may be is parked whole; its letter says where it is.
static void test_too_large(void **state)
{
    char *value = large_json(BATCH_BYTES_MAX - 600), *key = large_json(BATCH_BYTES_MAX);
    const struct batch_record *letter;
    struct rig r;

    (void)state;
    message = "no";
    given(&r, fails);
    rig_start(&r, 1);
    rig_send(&r, "in", 0, "k", value);
    rig_run(&r);
    letter = the_letter(&r);
    assert_true(bytes_eq_str(letter->key, "k"));
    assert_true(bytes_is_null(letter->value));
    expect_header(letter, "__connect.errors.topic", "in");
    expect_header(letter, "__connect.errors.offset", "0");
    expect_header(letter, "leat.parked.id", "1");
    assert_true(bytes_eq_str(r.store.now.parked[0].value, value));
    rig_send(&r, "in", 0, key, value);
    rig_run(&r);
    letter = the_letter(&r);
    assert_true(bytes_is_null(letter->key));
    expect_header(letter, "__connect.errors.offset", "1");
    heap_free(value);
    heap_free(key);
    rig_stop(&r);
}

// Whatever an error says, its text is UTF-8 and at most 1 KiB.
static void test_any_text(void **state)
{
    static const char *const texts[] = {"\xff\xfe", "a\xc3", "\xed\xa0\x80 half a pair",
                                        "\xf0\x9f\x8d\x9e", "a\nb\x01"};
    char long_text[3000], out[PARKED_MESSAGE_MAX];
    const struct batch_record *letter;

    (void)state;
    for (size_t i = 0; i < sizeof long_text - 2; i += 2)
        memcpy(long_text + i, "\xc3\xa9", 3);
    for (size_t i = 0; i <= ARRAY_LEN(texts); i++) {
        struct rig r;
        struct bytes text;

        message = i < ARRAY_LEN(texts) ? texts[i] : long_text;
        given(&r, fails);
        rig_start(&r, 1);
        rig_send(&r, "in", 0, "k", "{}");
        rig_run(&r);
        letter = the_letter(&r);
        text = header_of(letter, "__connect.errors.exception.message");
        assert_true(text.n > 0 && text.n <= PARKED_MESSAGE_MAX && bytes_is_utf8(text));
        rig_stop(&r);
    }
    for (size_t cap = 0; cap < 10; cap++) { // cut between characters
        size_t n = dead_letter_text(long_text, 2000, out, cap);
        assert_int_equal(n, cap - cap % 2);
        assert_true(bytes_is_utf8(bytes_of(out, n)));
    }
    assert_int_equal(dead_letter_text(long_text, 2998, out, sizeof out), PARKED_MESSAGE_MAX);
}

// A dead topic that takes nothing, or is gone, costs no letter and holds up nobody else.
static void test_topic_away(void **state)
{
    struct rig r;

    (void)state;
    given(&r, rig_user);
    plan_build_table(r.plan, "t", "id integer primary key");
    rig_start(&r, 1);
    driver_topics(r.d)->faults.stuck = "dead";
    rig_send(&r, "in", 0, "a", "{\"do\":\"lua\"}");
    rig_send(&r, "in", 0, "b", "{\"n\":2}");
    rig_run(&r);
    rig_expect(&r, "out", "{\"n\":2}");
    rig_expect(&r, "dead", "");
    assert_int_equal(r.store.now.n_outbox, 1);
    assert_non_null(strstr(rig_status(&r).why, "output dead/0 waits: topic dead is stuck"));
    driver_topics(r.d)->faults.stuck = NULL;
    rig_advance(&r, 60000);
    rig_expect(&r, "dead", "{\"do\":\"lua\"}");

    driver_log_delete(driver_topics(r.d), "dead");
    rig_send(&r, "in", 0, "c", "{\"do\":\"type\"}");
    rig_send(&r, "in", 0, "b", "{\"n\":3}");
    rig_advance(&r, 60000);
    rig_expect(&r, "out", "{\"n\":3}");
    assert_int_equal(r.store.now.n_outbox, 1);
    assert_non_null(strstr(rig_status(&r).why, "dead"));
    rig_stop(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_headers),
        cmocka_unit_test(test_too_large),
        cmocka_unit_test(test_any_text),
        cmocka_unit_test(test_topic_away),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
