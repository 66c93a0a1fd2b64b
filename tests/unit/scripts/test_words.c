// SPDX-License-Identifier: Apache-2.0
//
// `leat test`: jobs with their tests over the real engine, operators and store, in memory. With
// arguments the program runs the tests of the files named instead.
#include "tests/unit/scripts/memory.h"
#include "tests/unit/scripts/support.h"

#include <glob.h>

#include "operators/operators.h"
#include "scripts/test.h"

static int run_job_tests(const char *file, const char *text, struct script_test_results *r,
                         struct err *e)
{
    struct script_test_options o = {
        .script = {.file = file, .text = bytes_str(text)},
        .operators = operator_types(),
        .stores = {.open = memory_open, .close = memory_close, .reopen = memory_reopen},
    };

    if (text == NULL)
        o.script.text = BYTES_NULL;
    return script_tests_run(&o, r, e);
}

static void expect_all_pass(const char *file, const char *text)
{
    struct script_test_results r;
    struct err e = {0};
    int rc;

    script_test_results_init(&r);
    rc = run_job_tests(file, text, &r, &e);
    if (rc != 0)
        fail_msg("%s", e.text);
    assert_true(r.n > 0);
    for (size_t i = 0; i < r.n; i++) {
        if (!r.items[i].passed)
            fail_msg("%s: %s", r.items[i].name, r.items[i].message);
    }
    script_test_results_deinit(&r);
}

static void expect_failure(const char *text, const char *message)
{
    struct script_test_results r;
    struct err e = {0};
    int rc;

    script_test_results_init(&r);
    rc = run_job_tests("jobs/t.lua", text, &r, &e);
    if (rc != 0)
        fail_msg("%s", e.text);
    assert_int_equal(r.n, 1);
    if (r.items[0].passed)
        fail_msg("passed: %s", text);
    assert_string_equal(r.items[0].message, message);
    script_test_results_deinit(&r);
}

static const char library[] =
    "job 'loans' { version = 1, errors = { retry = { '1s' } } }\n"
    "local books = table 'books' [[ id text primary key, title text not null,\n"
    "  out integer not null default 0 check (out >= 0) ]]\n"
    "from 'library' { time = 'at' } :match 'type' {\n"
    "  Bought = books:insert { id = 'id', title = 'title' },\n"
    "  Lent = function(e, ctx)\n"
    "    local b = ctx.db.books:get(e.id) or ctx:retry 'no such book yet'\n"
    "    ctx.db.books:add(e.id, { out = 1 })\n"
    "    return { type = 'Notify', title = b.title, out = b.out + 1 }\n"
    "  end,\n"
    "  Back = books:add('id', { out = -1 }),\n"
    "}\n"
    "  :to('notes', { key = 'title', headers = { src = \"'library'\" } })\n"
    "query 'lent' { params = { min = 'integer = 1' }, sql = 'select id from books where out >= "
    ":min' "
    "}\n"
    "local function ev(t, type, id, title)\n"
    "  t:send('library', { type = type, id = id, title = title, at = '2026-01-01T12:00:00Z' },\n"
    "         { key = id })\n"
    "end\n"
    "test('a book is lent', function(t)\n"
    "  ev(t, 'Bought', 'b1', 'Emma')\n"
    "  ev(t, 'Lent', 'b1')\n"
    "  ev(t, 'Lost', 'b1')\n"
    "  t:expect('notes', { { ['$key'] = 'Emma', ['$header.src'] = 'library', out = 1 } })\n"
    "  t:expect('notes', {})\n"
    "  t:rows('select * from books', { { id = 'b1', title = 'Emma', out = 1 } })\n"
    "  t:query('lent', {}, { { id = 'b1' } })\n"
    "  t:query('lent', { min = 2 }, {})\n"
    "  t:skipped(1)\n"
    "  t:restart()\n"
    "  t:skipped(1)\n"
    "  t:parked {}\n"
    "end)\n"
    "test('what is missing is tried again, what is wrong is parked', function(t)\n"
    "  ev(t, 'Lent', 'b1')\n"
    "  ev(t, 'Back', 'b2')\n"
    "  t:parked { { key = 'b1', class = 'missing' }, { key = 'b2', class = 'missing' } }\n"
    "  t:restart()\n"
    "  t:batch(function() t:send('library', { type = 'Bought', id = 'b1', title = 'Emma', at = "
    "1767268800000 }) end)\n"
    "  t:advance '2s'\n"
    "  t:expect('notes', { { title = 'Emma' } })\n"
    "end)\n";

// A job's own tests run over the real engine: tables, verbs, retries, outputs, queries.
static void test_a_job_with_its_tests(void **state)
{
    (void)state;
    expect_all_pass("jobs/library.lua", library);
}

#define PARCELS_2 "job 'parcels' { version = 2 } from 'a' :to 'b'\n"
#define PASS_ON "job 'j' {} from 'a' { time = 'ts' } :where 'x > 1' :select { 'x' } :to 'b'\n"

// A failing test says where it stands and what differs.
static void test_failures(void **state)
{
    (void)state;
    expect_failure(PASS_ON "test('n', function(t)\n  t:send('a', { x = 2, ts = 0 })\n"
                           "  t:expect('b', { { x = 3 } })\nend)",
                   "jobs/t.lua:4: records of \"b\": expected 1, got 1: 1 differs\n"
                   "  1    want  {\"x\":3}\n"
                   "       got   {\"x\":2,\"$key\":null}\n"
                   "             x: want 3, got 2");
    expect_failure(PASS_ON "test('n', function(t)\n  t:expect('b', { { x = 3 } })\nend)",
                   "jobs/t.lua:3: records of \"b\": expected 1, got 0: 1 is missing\n"
                   "  1    want  {\"x\":3}\n"
                   "       got   nothing");
    expect_failure(PASS_ON "test('n', function(t)\n  t:skipped(1)\nend)",
                   "jobs/t.lua:3: skipped records: expected 1, got 0");
    expect_failure(PASS_ON "test('n', function(t)\n  t:exepct('b', {})\nend)",
                   "jobs/t.lua:3: t has no 'exepct' (did you mean 'expect'?)");
    expect_failure(PASS_ON "test('n', function(t)\n  t:send('a', {}, { kye = 1 })\nend)",
                   "jobs/t.lua:3: unknown option 'kye' of t:send (did you mean 'key'?)");
    expect_failure(PASS_ON "test('n', function(t)\n  error 'mine'\nend)", "jobs/t.lua:3: mine");
    expect_failure(PASS_ON "test('n', function(t)\n  t:stopped 'x'\nend)",
                   "jobs/t.lua:3: the job: has not stopped");
    expect_failure(PASS_ON "test('n', function(t)\n  t:upgrade 'x.lua'\nend)",
                   "jobs/t.lua:3: t:upgrade: there is no file x.lua");
    expect_failure(PASS_ON "test('n', function(t)\n  t:upgrade 'tests/jobs/upgrade/gone.lua'\nend)",
                   "jobs/t.lua:3: t:upgrade: tests/jobs/upgrade/gone.lua is job parcels, not j");
    expect_failure(PARCELS_2
                   "test('n', function(t)\n  t:upgrade 'tests/jobs/upgrade/gone.lua'\nend)",
                   "jobs/t.lua:3: t:upgrade: tests/jobs/upgrade/gone.lua is version 1: it is built "
                   "beside version 2 from the start of its topics, and takes over nothing that a "
                   "test could look at");
    expect_failure(PASS_ON
                   "test('n', function(t)\n  t:batch(function() t:expect('b', {}) end)\nend)",
                   "jobs/t.lua:3: t:batch runs at its end: look at the job behind it");
    expect_failure(PASS_ON
                   "test('n', function(t)\n  t:rows('select 1 a, 2 b', { { a = 1 } })\nend)",
                   "jobs/t.lua:3: rows: expected 1, got 1: 1 differs\n"
                   "  1    want  {\"a\":1}\n"
                   "       got   {\"a\":1,\"b\":2}\n"
                   "             b: want nothing, got 2");
}

#define SEND                                                                                       \
    "t:send('a', { x = 2, id = 'p' })"                                                             \
    " t:send('a', { x = 3, id = 'q', l = { 1, { y = 2 } } })\n"
#define PASS_ALL "job 'j' {} from 'a' :where 'x > 1' :to 'b'\n"

// A near miss is told by the fields that differ, however deep; one record too many is one
// difference and not as many as stand behind it.
static void test_differences(void **state)
{
    (void)state;
    expect_failure(PASS_ALL "test('n', function(t)\n  " SEND
                            "  t:expect('b', { { id = 'p', x = 2 },"
                            " { id = 'q', x = 4, l = { 1, { y = 3 } } } })\nend)",
                   "jobs/t.lua:4: records of \"b\": expected 2, got 2: 1 differs\n"
                   "  1    as expected\n"
                   "  2    want  {\"id\":\"q\",\"l\":[1,{\"y\":3}],\"x\":4}\n"
                   "       got   {\"id\":\"q\",\"l\":[1,{\"y\":2}],\"x\":3,\"$key\":null}\n"
                   "             l[2].y: want 3, got 2\n"
                   "             x: want 4, got 3");
    expect_failure(PASS_ALL "test('n', function(t)\n  " SEND
                            "  t:expect('b', { { id = 'q' } })\nend)",
                   "jobs/t.lua:4: records of \"b\": expected 1, got 2: 1 was not expected\n"
                   "  +    got   {\"id\":\"p\",\"x\":2,\"$key\":null}\n"
                   "  1    as expected");
    expect_failure(
        PASS_ALL "test('n', function(t)\n  " SEND
                 "  t:expect('b', { { id = 'p' }, { id = 'm', x = 7 },"
                 " { id = 'q', x = 3 } })\nend)",
        "jobs/t.lua:4: records of \"b\": expected 3, got 2: 1 is missing\n"
        "  1    as expected\n"
        "  2    want  {\"id\":\"m\",\"x\":7}\n"
        "       got   nothing\n"
        "  3    as expected");
    expect_failure(PASS_ALL "test('n', function(t)\n  " SEND
                            "  t:expect('b', { { id = 'q' }, { id = 'p' } })\nend)",
                   "jobs/t.lua:4: records of \"b\": expected 2, got 2: 1 is missing, 1 was not "
                   "expected (all are there, in another order)\n"
                   "  1    want  {\"id\":\"q\"}\n"
                   "       got   nothing\n"
                   "  2    as expected\n"
                   "  +    got   {\"id\":\"q\",\"l\":[1,{\"y\":2}],\"x\":3,\"$key\":null}");
}

// The clock follows the event times sent and the time option; it starts a new year's day.
static void test_clock(void **state)
{
    (void)state;
    expect_all_pass(
        "jobs/t.lua",
        "job 'j' {} from 'a' { time = 'ts' } :select { at = 'iso($time)', now = '$now' } :to 'b'\n"
        "from 'c' :select { at = 'iso($time)' } :to 'd'\n"
        "test('n', function(t)\n"
        "  t:send('a', { ts = '2026-01-01T12:00:00Z' })\n"
        "  t:expect('b', { { at = '2026-01-01T12:00:00.000Z', now = 1767268800000 } })\n"
        "  t:send('c', {}, { time = '12:30:00' })\n"
        "  t:advance '1m'\n"
        "  t:send('c', {})\n"
        "  t:expect('d', { { at = '2026-01-01T12:30:00.000Z' }, { at = '2026-01-01T12:31:00.000Z' "
        "} "
        "})\n"
        "end)");
}

// The own tests of every example pass.
static void test_examples(void **state)
{
    glob_t found;

    (void)state;
    assert_int_equal(glob("examples/*/job.lua", 0, NULL, &found), 0);
    assert_true(found.gl_pathc >= 6);
    for (size_t i = 0; i < found.gl_pathc; i++)
        expect_all_pass(found.gl_pathv[i], NULL);
    globfree(&found);
}

static int run_files(int n, char **files)
{
    int failed = 0;

    for (int i = 0; i < n; i++) {
        struct script_test_results r;
        struct err e = {0};
        script_test_results_init(&r);
        if (run_job_tests(files[i], NULL, &r, &e) != 0) {
            printf("%s\n", e.text);
            failed++;
        }
        for (size_t k = 0; k < r.n; k++)
            printf("%s %s: %s\n%s%s", r.items[k].passed ? "ok    " : "FAILED", files[i],
                   r.items[k].name, r.items[k].passed ? "" : r.items[k].message,
                   r.items[k].passed ? "" : "\n");
        failed += (int)r.n_failed;
        script_test_results_deinit(&r);
    }
    return failed != 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_job_with_its_tests),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_differences),
        cmocka_unit_test(test_clock),
        cmocka_unit_test(test_examples),
    };

    if (argc > 1)
        return run_files(argc - 1, argv + 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
