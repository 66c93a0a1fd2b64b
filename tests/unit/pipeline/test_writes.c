// SPDX-License-Identifier: Apache-2.0
//
// What a commit writes of a job's state, counted in SQLite's statements: one write for each key
// that changed, however often; none for what was only read; and no row is left of what is over.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "projections/jobfile_internal.h"
#include "tests/unit/pipeline/driven.h"

static const char job[] =
    "job 'j' { version = 1 }\n"
    "local s = from 'in' { time = 't' } :by 'k'\n"
    "s :aggregate { n = count(), ids = collect 'id' } :into 'counts'\n"
    "s :process { state = { n = 0 }, on = function(v, ctx)\n"
    "    if v.id then ctx.state.n = ctx.state.n + v.id ctx:timer('later', ctx.time + 5000) end\n"
    "    ctx.state.last = v.last\n"
    "    return { n = ctx.state.n }\n"
    "  end, timer = function(name, ctx) ctx.state = nil end } :to 'out'\n"
    "local o = from 'over' { time = 't' } :by 'k'\n"
    "o :window { size = '1m' } :aggregate { n = count() } :final() :to 'closed'\n"
    "o :window { last = '1m' } :aggregate { n = count() } :to 'readings'\n"
    "o :window { gap = '1m' } :aggregate { n = count() } :final() :to 'visits'\n"
    "o :dedupe { within = '1m' } :to 'first'\n"
    "local r = from 'right' { time = 't' } :by 'k'\n"
    "o :join(r, { as = 'r', within = { '-1m', '1m' } }) :to 'met'\n";

// --- statements ---

static int64_t writes;

// Of state: rows of aggregates are state too.
static int on_statement(unsigned kind, void *ctx, void *statement, void *text)
{
    const char *sql = sqlite3_sql(statement);

    (void)kind, (void)ctx;
    if (strncmp(text, "--", 2) != 0 && !sqlite3_stmt_readonly(statement) &&
        (strstr(sql, "_leat_state") != NULL || strstr(sql, "counts") != NULL))
        writes++;
    return 0;
}

// --- the job ---

static sqlite3 *db_of(struct driven *d)
{
    return db_handle(jobfile_of(driver_store(d->driver))->db);
}

static int given_job(void **state)
{
    static struct driven d;

    d = (struct driven){0};
    driven_load(&d, job);
    driven_open(&d, (struct driver_config){0});
    sqlite3_set_authorizer(db_of(&d), NULL, NULL); // this test reads the schema
    sqlite3_trace_v2(db_of(&d), SQLITE_TRACE_STMT, on_statement, NULL);
    *state = &d;
    return 0;
}

static int after(void **state)
{
    driven_close(*state);
    return 0;
}

// The writes of the one commit that takes n such records.
static int64_t writes_of(struct driven *d, int n, const char *json)
{
    writes = 0;
    for (int i = 0; i < n; i++)
        driven_send(d, "in", json);
    driven_ok(d, driver_run(d->driver, &d->e));
    return writes;
}

static int64_t number(struct driven *d, const char *sql)
{
    sqlite3_stmt *s;
    int64_t n;

    assert_int_equal(sqlite3_prepare_v2(db_of(d), sql, -1, &s, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(s), SQLITE_ROW);
    n = sqlite3_column_int64(s, 0);
    sqlite3_finalize(s);
    return n;
}

// Rows in all tables of state together.
static int64_t rows_of_state(struct driven *d)
{
    sqlite3_stmt *s;
    int64_t n = 0;
    int tables = 0;

    assert_int_equal(sqlite3_prepare_v2(db_of(d),
                                        "SELECT 'SELECT count(*) FROM \"' || name || '\"' FROM "
                                        "sqlite_schema WHERE type = 'table' AND (name GLOB "
                                        "'_leat_state_*' OR name GLOB '_leat_windows_*')",
                                        -1, &s, NULL),
                     SQLITE_OK);
    for (; sqlite3_step(s) == SQLITE_ROW; tables++)
        n += number(d, (const char *)sqlite3_column_text(s, 0));
    sqlite3_finalize(s);
    assert_true(tables >= 5);
    return n;
}

// A key that changes ten times in a commit is written as often as one that changes once.
static void test_one_write_for_a_key(void **state)
{
    struct driven *d = *state;
    int64_t first = writes_of(d, 1, "{\"k\":\"a\",\"id\":1,\"t\":1767225600000}");
    int64_t once = writes_of(d, 1, "{\"k\":\"a\",\"id\":1,\"t\":1767225600000}");

    assert_true(first > 0);
    assert_true(once > 0);
    assert_int_equal(writes_of(d, 10, "{\"k\":\"a\",\"id\":1,\"t\":1767225600000}"), once);
    assert_int_equal(number(d, "SELECT n FROM counts"), 12);
}

// A state that a function looks at, or gives the value that it has, is not written: what is left
// are the aggregate's rows.
static void test_unchanged_state_is_not_written(void **state)
{
    struct driven *d = *state;
    int64_t changed, same;

    (void)writes_of(d, 1, "{\"k\":\"a\",\"t\":1767225600000,\"last\":1}");
    changed = writes_of(d, 1, "{\"k\":\"a\",\"t\":1767225600000,\"last\":2}");
    same = writes_of(d, 1, "{\"k\":\"a\",\"t\":1767225600000,\"last\":2}");
    assert_int_equal(same, changed - 1);
    assert_int_equal(writes_of(d, 10, "{\"k\":\"a\",\"t\":1767225600000,\"last\":2}"), same);
}

// A record of each kind, in ms after the start.
static void one_of_each(struct driven *d, int64_t ms)
{
    static const char *const topics[] = {"in", "over", "right"};
    char json[80];

    (void)snprintf(json, sizeof json, "{\"k\":\"a\",\"id\":1,\"t\":%lld}",
                   (long long)(DRIVEN_START + ms));
    for (size_t i = 0; i < ARRAY_LEN(topics); i++)
        driven_send(d, topics[i], json);
    driven_ok(d, driver_run(d->driver, &d->e));
}

// Closed windows, readings that nobody looks back to, ids that are forgotten, pairs that can no
// longer meet and states that are given up leave no row: an hour later the same records make as
// many rows as there were. What nothing waits for goes with the next record.
static void test_what_is_over_leaves_no_row(void **state)
{
    struct driven *d = *state;
    int64_t n;

    one_of_each(d, 0);
    n = rows_of_state(d);
    assert_true(n >= 7);
    driven_ok(d, driver_advance(d->driver, 3600 * 1000, &d->e));
    assert_true(rows_of_state(d) <= n - 5);
    one_of_each(d, 3600 * 1000);
    assert_int_equal(rows_of_state(d), n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_one_write_for_a_key, given_job, after),
        cmocka_unit_test_setup_teardown(test_unchanged_state_is_not_written, given_job, after),
        cmocka_unit_test_setup_teardown(test_what_is_over_leaves_no_row, given_job, after),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
