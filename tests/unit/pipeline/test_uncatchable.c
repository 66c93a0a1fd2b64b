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

#include "operators/operators.h"
#include "projections/jobfile_internal.h"
#include "runtime/engine/driver.h"
#include "scripts/script.h"

#define START INT64_C(1767225600000)
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

struct fixture {
    struct plan *plan;
    struct driver *driver;
    struct err e;
};

static int store_open(void *arg, const struct plan *p, struct store **out, struct err *e)
{
    struct jobfile_options o = {0};

    (void)arg;
    return jobfile_open(out, p, &o, e);
}

static void store_close(void *arg, struct store *s)
{
    (void)arg;
    jobfile_close(s);
}

static void ok(struct fixture *f, int rc)
{
    if (rc != 0)
        fail_msg("%s", f->e.text);
}

static int given_job(void **state)
{
    static struct fixture f;
    struct script_options o = {
        .file = "job.lua", .text = bytes_str(job), .operators = operator_types()};
    struct driver_config c = {.operators = operator_types(),
                              .stores = {.open = store_open, .close = store_close},
                              .start_ms = START,
                              .n_partitions = 1};

    f = (struct fixture){0};
    ok(&f, script_load(&f.plan, &o, &f.e));
    c.plan = f.plan;
    ok(&f, driver_open(&f.driver, &c, &f.e));
    *state = &f;
    return 0;
}

static int after(void **state)
{
    struct fixture *f = *state;

    driver_close(f->driver);
    plan_free(f->plan);
    return 0;
}

static void given_pages(struct fixture *f, const char *pages)
{
    struct buf sql = BUF_EMPTY;

    buf_printf(&sql, "PRAGMA max_page_count=%s; PRAGMA cache_size=4", pages);
    ok(f, db_exec(jobfile_of(driver_store(f->driver))->db, buf_cstr(&sql), &f->e));
    buf_deinit(&sql);
}

static size_t published(struct fixture *f)
{
    const struct batch_record *recs;

    return driver_take(f->driver, "out", &recs);
}

// On a full disk nothing comes out and nothing is parked; with space again the record runs as if
// nothing had been.
static void expect_waiting(struct fixture *f, const char *json)
{
    struct driver_record r = {.key = BYTES_LIT("k"), .value = bytes_str(json), .timestamp = START};
    struct job_status s;

    given_pages(f, LITTLE);
    ok(f, driver_send(f->driver, "in", &r, &f->e));
    ok(f, driver_run(f->driver, &f->e));
    assert_int_equal(published(f), 0);
    job_status(driver_job(f->driver), &s);
    assert_int_equal(s.state, JOB_WAITING);
    assert_int_equal(s.parked, 0);
    assert_int_equal(s.records_in, 0);
    given_pages(f, PLENTY);
    ok(f, driver_advance(f->driver, 1000, &f->e));
    assert_int_equal(published(f), 1);
    job_status(driver_job(f->driver), &s);
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
