// SPDX-License-Identifier: Apache-2.0
//
// What is the machine's fault is nobody's in the job to catch: a full disk under a function's write
// takes the step back, whatever the function does about it, and the record runs again later.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "projections/jobfile_internal.h"
#include "tests/unit/pipeline/driven.h"

#define LITTLE "60" // pages: enough for the file itself
#define PLENTY "100000"

static const char job[] =
    "job 'j' { version = 1 }\n"
    "local rows = table 'rows' [[ id text primary key, body text ]]\n"
    "local function write(ctx) ctx.db.rows:put { id = 'a', body = ('x'):rep(1 << 20) } end\n"
    "local function query(ctx)\n"
    "  local row = { id = 'a', body = ('x'):rep(1 << 20) }\n"
    "  ctx.db:sql('insert into rows values (:id, :body)', row)\n"
    "end\n"
    "local catch = {\n"
    "  pcall = function(ctx) return pcall(write, ctx) end,\n"
    "  xpcall = function(ctx) return xpcall(write, tostring, ctx) end,\n"
    "  sql = function(ctx) return pcall(query, ctx) end,\n"
    "  close = function(ctx)\n"
    "    local x <close> = setmetatable({}, { __close = function(_, e)\n"
    "      if e then error 'mine' end end })\n"
    "    write(ctx)\n"
    "  end,\n"
    "}\n"
    "from 'in' :map(function(v, ctx) catch[v.by](ctx) return { caught = v.by } end) :to 'out'\n";

static int given_job(void **state)
{
    static struct driven d;

    d = (struct driven){0};
    driven_load(&d, job);
    driven_open(&d, (struct driver_config){0});
    *state = &d;
    return 0;
}

static int after(void **state)
{
    driven_close(*state);
    return 0;
}

static void given_pages(struct driven *d, const char *pages)
{
    struct buf sql = BUF_EMPTY;

    buf_printf(&sql, "PRAGMA max_page_count=%s; PRAGMA cache_size=4", pages);
    driven_ok(d, db_exec(jobfile_of(driver_store(d->driver))->db, buf_cstr(&sql), &d->e));
    buf_deinit(&sql);
}

static size_t published(struct driven *d)
{
    const struct batch_record *recs;

    return driver_take(d->driver, "out", &recs);
}

// On a full disk nothing comes out and nothing is parked; with space again the record runs as if
// nothing had been.
static void expect_waiting(struct driven *d, const char *json)
{
    struct job_status s;

    given_pages(d, LITTLE);
    driven_send(d, "in", json);
    driven_ok(d, driver_run(d->driver, &d->e));
    assert_int_equal(published(d), 0);
    job_status(driver_job(d->driver), &s);
    assert_int_equal(s.state, JOB_WAITING);
    assert_int_equal(s.parked, 0);
    assert_int_equal(s.records_in, 0);
    given_pages(d, PLENTY);
    driven_ok(d, driver_advance(d->driver, 1000, &d->e));
    assert_int_equal(published(d), 1);
    job_status(driver_job(d->driver), &s);
    assert_int_equal(s.parked, 0);
}

static void test_pcall(void **state)
{
    expect_waiting(*state, "{\"by\":\"pcall\"}");
}

static void test_xpcall(void **state)
{
    expect_waiting(*state, "{\"by\":\"xpcall\"}");
}

static void test_sql(void **state)
{
    expect_waiting(*state, "{\"by\":\"sql\"}");
}

static void test_close(void **state)
{
    expect_waiting(*state, "{\"by\":\"close\"}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_pcall, given_job, after),
        cmocka_unit_test_setup_teardown(test_xpcall, given_job, after),
        cmocka_unit_test_setup_teardown(test_sql, given_job, after),
        cmocka_unit_test_setup_teardown(test_close, given_job, after),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
