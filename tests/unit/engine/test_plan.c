// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "runtime/engine/plan.h"
#include "tests/support/plan_build.h"

static void finish(struct plan *p)
{
    struct err e;

    if (plan_finish(p, &e) != 0)
        fail_msg("%s", e.text);
}

static void expect_refused(struct plan *p, const char *text)
{
    struct err e;

    assert_int_equal(plan_finish(p, &e), LEAT_ELOAD);
    if (strcmp(e.text, text) != 0)
        fail_msg("%s", e.text);
    plan_free(p);
}

// An operator's id is its path without the stateless ones, so that adding one renames no state.
static void test_ids(void **state)
{
    struct plan *p = plan_build("test");
    int n = plan_build_source(p, "in", NULL), a, b;

    (void)state;
    n = plan_build_by(p, plan_build_where(p, n, "x"), "asset.id");
    a = plan_build_count(p, n, WINDOW_TUMBLING, 1000);
    b = plan_build_count(p, n, WINDOW_TUMBLING, 5000);
    (void)plan_build_into(p, a, "minute");
    finish(p);
    assert_string_equal(p->nodes[0].id, "from[in]");
    assert_string_equal(p->nodes[a].id, "from[in]/by/window/aggregate");
    assert_string_equal(p->nodes[b].id, "from[in]/by/window/aggregate#2");
    assert_string_equal(p->nodes[5].id, "from[in]/by/window/aggregate/into[minute]");
    assert_int_equal(p->nodes[a].n_key_names, 1);
    assert_string_equal(p->nodes[a].key_names[0], "id");
    plan_free(p);
}

// A table that an aggregate names and nobody declared is made, windows first in its key.
static void test_made_table(void **state)
{
    struct plan *p = plan_build("test");
    int n = plan_build_by(p, plan_build_source(p, "in", NULL), "a");

    (void)state;
    n = plan_build_count(p, n, WINDOW_TUMBLING, 1000);
    (void)plan_build_into(p, n, "w");
    finish(p);
    assert_int_equal(p->n_tables, 1);
    assert_true(p->tables[0].generated && p->tables[0].without_rowid);
    assert_int_equal(p->tables[0].aggregate, n);
    assert_int_equal(p->nodes[n].aggregate.table, 0);
    assert_false(p->nodes[3].writes_rows);
    assert_string_equal(p->tables[0].body,
                        "window_start time not null,\nwindow_end time not null,\n"
                        "\"a\" any not null,\n\"n\" integer,\nprimary key (window_start, \"a\")");
    plan_free(p);
}

// What cannot work is refused at load, with file, line and word.
static void test_refusals(void **state)
{
    struct plan *p = plan_build("test");
    int n = plan_build_source(p, "in", NULL);

    (void)state;
    (void)plan_build_to(p, n, OUT_LATE, "late");
    expect_refused(p, "jobs/test.lua:2: in to: late() needs an aggregate before it");

    p = plan_build("test");
    n = plan_build_count(p, plan_build_source(p, "in", NULL), WINDOW_NONE, 0);
    (void)plan_build_to(p, n, OUT_FINAL, "out");
    expect_refused(p, "jobs/test.lua:3: in to: final() needs a window: without one nothing closes");

    p = plan_build("test");
    n = plan_build_count(p, plan_build_source(p, "in", NULL), WINDOW_TUMBLING, 1000);
    (void)plan_build_to(p, n, OUT_MAIN, "out");
    expect_refused(p, "jobs/test.lua:3: in to: an aggregate is a table; put :final() before it "
                      "for the windows that have closed");

    p = plan_build("test");
    (void)plan_build_into(p, plan_build_source(p, "in", NULL), "t");
    expect_refused(p, "jobs/test.lua:2: in into: table \"t\" is not declared; write  table \"t\" "
                      "[[columns]]");

    p = plan_build("test");
    n = plan_build_source(p, "in", NULL);
    p->nodes[n].name = "x";
    n = plan_build_where(p, n, "a");
    p->nodes[n].name = "x";
    expect_refused(p, "jobs/test.lua:2: in where: the name \"x\" is taken");

    p = plan_build("test");
    (void)plan_build_source(p, "in/out", NULL);
    expect_refused(p, "jobs/test.lua:1: in from: \"in/out\" is no name of a topic: those have "
                      "letters, digits, '.', '_' and '-'");
    p = plan_build("test");
    (void)plan_build_to(p, plan_build_source(p, "in", NULL), OUT_MAIN, "a topic");
    expect_refused(p, "jobs/test.lua:2: in to: \"a topic\" is no name of a topic: those have "
                      "letters, digits, '.', '_' and '-'");

    expect_refused(plan_build("test"),
                   "jobs/test.lua:1: the job reads nothing: it needs a  from \"topic\"");
}

// A bad expression names file, line and word.
static void test_bad_expression(void **state)
{
    struct plan *p = plan_build("test");
    struct err e;

    (void)state;
    (void)plan_build_where(p, plan_build_source(p, "in", NULL), "temperature >");
    assert_int_equal(plan_finish(p, &e), LEAT_ELOAD);
    assert_non_null(strstr(e.text, "jobs/test.lua:1: in where: expression \"temperature >\": "
                                   "unexpected 'end of expression'"));
    plan_free(p);
}

static uint64_t fingerprint_of(const char *condition, int line)
{
    struct plan *p = plan_build("test");
    uint64_t f;
    int n = plan_build_where(p, plan_build_source(p, "in", NULL), condition);

    p->nodes[n].line = line;
    finish(p);
    f = p->nodes[n].fingerprint;
    plan_free(p);
    return f;
}

// A fingerprint follows the meaning: not spaces and lines, but every constant.
static void test_fingerprints(void **state)
{
    (void)state;
    assert_true(fingerprint_of("a > 1", 2) == fingerprint_of("a  >  1", 9));
    assert_true(fingerprint_of("a > 1", 2) != fingerprint_of("a > 2", 2));
}

// A plan that cannot be finished, or never was, is freed whole.
static void test_unfinished(void **state)
{
    struct plan *p = plan_build("test");

    (void)state;
    (void)plan_build_where(p, plan_build_source(p, "in", "ts"), "a");
    plan_free(p);
    plan_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ids),          cmocka_unit_test(test_made_table),
        cmocka_unit_test(test_refusals),     cmocka_unit_test(test_bad_expression),
        cmocka_unit_test(test_fingerprints), cmocka_unit_test(test_unfinished),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
