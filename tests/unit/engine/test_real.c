// SPDX-License-Identifier: Apache-2.0
//
// The engine with the real operators over the real job file, in memory.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "operators/operators.h"
#include "projections/jobfile.h"
#include "runtime/engine/driver.h"
#include "tests/support/plan_build.h"

#define START INT64_C(1767225600000) // 2026-01-01T00:00Z

struct rig {
    struct plan *plan;
    struct driver *d;
    struct err err;
};

static int open_store(void *arg, const struct plan *p, struct store **out, struct err *e)
{
    struct jobfile_options o = {.path = NULL};

    (void)arg;
    return jobfile_open(out, p, &o, e);
}

static void close_store(void *arg, struct store *s)
{
    (void)arg;
    jobfile_close(s);
}

static void start(struct rig *r)
{
    struct driver_config c = {.plan = r->plan,
                              .operators = operator_types(),
                              .stores = {.open = open_store, .close = close_store},
                              .start_ms = START};
    int rc = plan_finish(r->plan, &r->err);

    if (rc == 0)
        rc = driver_open(&r->d, &c, &r->err);
    if (rc != 0)
        fail_msg("%s", r->err.text);
}

static void stop(struct rig *r)
{
    driver_close(r->d);
    plan_free(r->plan);
}

static void send(struct rig *r, const char *topic, const char *key, const char *json)
{
    struct driver_record rec = {.key = bytes_str(key), .value = bytes_str(json), .timestamp = -1};

    assert_int_equal(driver_send(r->d, topic, &rec, &r->err), 0);
    if (driver_run(r->d, &r->err) != 0)
        fail_msg("%s", r->err.text);
}

static void advance(struct rig *r, int64_t ms)
{
    if (driver_advance(r->d, ms, &r->err) != 0)
        fail_msg("%s", r->err.text);
}

static void expect(struct rig *r, const char *topic, const char *values)
{
    const struct batch_record *recs;
    size_t n = driver_take(r->d, topic, &recs);
    struct buf b = BUF_EMPTY;

    for (size_t i = 0; i < n; i++)
        buf_printf(&b, "%s%.*s", i > 0 ? " " : "", BYTES_FMT(recs[i].value));
    assert_string_equal(buf_cstr(&b), values);
    buf_deinit(&b);
}

static void expect_rows(struct rig *r, const char *sql, const char *json)
{
    struct store *s = driver_store(r->d);
    struct buf b = BUF_EMPTY;
    struct arena arena;
    struct value rows;
    int rc;

    arena_init(&arena);
    rc = s->ops->begin(s, driver_now(r->d), &r->err);
    if (rc == 0)
        rc = s->tables->ops->sql(s->tables, bytes_str(sql), NULL, &arena, &rows, &r->err);
    if (rc != 0)
        fail_msg("%s", r->err.text);
    assert_int_equal(value_write_json(&rows, &b, &r->err), 0);
    assert_string_equal(buf_cstr(&b), json);
    s->ops->abort(s);
    buf_deinit(&b);
    arena_deinit(&arena);
}

// Open windows are rows; they close once, by the clock when the source is quiet, and across
// restarts.
static void test_windows(void **state)
{
    struct rig r = {.plan = plan_build("stats")};
    int n = plan_build_source(r.plan, "in", "ts");

    (void)state;
    n = plan_build_count(r.plan, plan_build_by(r.plan, n, "a"), WINDOW_TUMBLING, 60000);
    (void)plan_build_into(r.plan, n, "per_minute");
    (void)plan_build_to(r.plan, n, OUT_FINAL, "closed");
    (void)plan_build_to(r.plan, n, OUT_LATE, "late");
    start(&r);
    send(&r, "in", NULL, "{\"a\":\"x\",\"ts\":\"2026-01-01T00:00:10Z\"}");
    send(&r, "in", NULL, "{\"a\":\"x\",\"ts\":\"2026-01-01T00:00:50Z\"}");
    expect_rows(&r, "select a, n from per_minute", "[{\"a\":\"x\",\"n\":2}]");
    expect(&r, "closed", "");
    assert_int_equal(driver_restart(r.d, &r.err), 0);
    advance(&r, 60000 + 30000 - 1);
    expect(&r, "closed", "");
    advance(&r, 1);
    expect(&r, "closed",
           "{\"a\":\"x\",\"window_start\":1767225600000,\"window_end\":1767225660000,\"n\":2}");
    assert_int_equal(driver_restart(r.d, &r.err), 0);
    send(&r, "in", NULL, "{\"a\":\"x\",\"ts\":\"2026-01-01T00:00:59Z\",\"late\":true}");
    expect(&r, "late", "{\"a\":\"x\",\"ts\":\"2026-01-01T00:00:59Z\",\"late\":true}");
    advance(&r, 3600000);
    expect(&r, "closed", "");
    expect_rows(&r, "select a, n from per_minute", "[{\"a\":\"x\",\"n\":2}]");
    stop(&r);
}

// A constraint that breaks when many records' aggregates are written together names the record
// that broke it; the others count.
static void test_guilty_record(void **state)
{
    struct rig r = {.plan = plan_build("guilty")};
    int n = plan_build_source(r.plan, "in", NULL);
    struct job_status s;

    (void)state;
    plan_build_table(r.plan, "counts", "a text primary key, n integer not null check (n < 3)");
    n = plan_build_count(r.plan, plan_build_by(r.plan, n, "a"), WINDOW_NONE, 0);
    (void)plan_build_into(r.plan, n, "counts");
    start(&r);
    driver_batch_begin(r.d);
    for (int i = 0; i < 4; i++) {
        struct driver_record rec = {.value = BYTES_LIT("{\"a\":\"x\"}"), .timestamp = -1};
        assert_int_equal(driver_send(r.d, "in", &rec, &r.err), 0);
    }
    assert_int_equal(driver_batch_end(r.d, &r.err), 0);
    send(&r, "in", NULL, "{\"a\":\"y\"}");
    expect_rows(&r, "select a, n from counts", "[{\"a\":\"x\",\"n\":2},{\"a\":\"y\",\"n\":1}]");
    job_status(driver_job(r.d), &s);
    assert_int_equal(s.parked, 2);
    stop(&r);
}

static int fail_first(void *arg, struct fn_call *c, struct err *e)
{
    int *tries = arg;

    return plan_build_int(c, "n") == 2 && (*tries)++ < 2 ? err_set(e, LEAT_EMISSING, "not here yet")
                                                         : 0;
}

// from in -> user code -> by a, the last v of each in an integer column
static struct plan *last_plan(int *tries)
{
    struct plan *p = plan_build("guilty");
    struct plan_aggregate *last = arena_zalloc(&p->arena, sizeof *last);
    int n = plan_build_map(p, plan_build_source(p, "in", NULL), fail_first, tries);

    *last = (struct plan_aggregate){.name = BYTES_LIT("v"),
                                    .kind = AGG_LAST,
                                    .arg = plan_build_expr(p, "v"),
                                    .has_arg = true};
    plan_build_table(p, "lasts", "a text primary key, v integer");
    n = plan_build_count(p, plan_build_by(p, n, "a"), WINDOW_NONE, 0);
    p->nodes[n].aggregate.aggs = last;
    p->nodes[n].aggregate.n = 1;
    (void)plan_build_into(p, n, "lasts");
    return p;
}

// After a batch was run again record by record, a job with nothing to do rests.
static void test_careful_ends(void **state)
{
    int tries = 0;
    struct rig r = {.plan = last_plan(&tries)};
    struct job_turn turn;

    (void)state;
    start(&r);
    send(&r, "in", NULL, "{\"a\":\"x\",\"v\":1}");
    send(&r, "in", NULL, "{\"a\":\"y\",\"v\":\"text\"}");
    expect_rows(&r, "select a, v from lasts", "[{\"a\":\"x\",\"v\":1}]");
    assert_int_equal(job_turn(driver_job(r.d), driver_now(r.d), &turn, &r.err), 0);
    assert_false(turn.worked);
    stop(&r);
}

// A record that is tried again alone, and breaks a column only when its aggregate is written, fails
// by itself: neither the next record is blamed, nor is the step run again and again.
static void test_careful_retry(void **state)
{
    int tries = 0;
    struct rig r = {.plan = last_plan(&tries)};
    struct job_status s;

    (void)state;
    start(&r);
    send(&r, "in", "k", "{\"a\":\"x\",\"v\":\"text\",\"n\":2}");
    advance(&r, 1000);
    advance(&r, 10000);
    send(&r, "in", "l", "{\"a\":\"x\",\"v\":3}");
    expect_rows(&r, "select a, v from lasts", "[{\"a\":\"x\",\"v\":3}]");
    job_status(driver_job(r.d), &s);
    assert_int_equal(s.parked, 1);
    assert_int_equal(tries, 4); // one of them thrown away with its step
    stop(&r);
}

// A record born when a window closes fails by itself: it is parked at the operator that made it,
// the other windows go out, the clock tries it again, and no window closes twice.
static void test_born(void **state)
{
    struct rig r = {.plan = plan_build("born")};
    int n = plan_build_source(r.plan, "in", "ts"), tries = 0;
    struct job_status s;

    (void)state;
    n = plan_build_count(r.plan, plan_build_by(r.plan, n, "a"), WINDOW_TUMBLING, 60000);
    n = plan_build_map(r.plan, n, fail_first, &tries);
    r.plan->nodes[n].inputs[0].port = OUT_FINAL;
    (void)plan_build_to(r.plan, n, OUT_MAIN, "closed");
    start(&r);
    send(&r, "in", NULL, "{\"a\":\"x\",\"ts\":\"2026-01-01T00:00:10Z\"}");
    send(&r, "in", NULL, "{\"a\":\"x\",\"ts\":\"2026-01-01T00:00:11Z\"}");
    send(&r, "in", NULL, "{\"a\":\"y\",\"ts\":\"2026-01-01T00:00:12Z\"}");
    send(&r, "in", NULL, "{\"a\":\"z\",\"ts\":\"2026-01-01T00:01:00Z\"}");
    expect(&r, "closed",
           "{\"a\":\"y\",\"window_start\":1767225600000,\"window_end\":1767225660000,\"n\":1}");
    assert_int_equal(driver_restart(r.d, &r.err), 0);
    advance(&r, 11000);
    expect(&r, "closed",
           "{\"a\":\"x\",\"window_start\":1767225600000,\"window_end\":1767225660000,\"n\":2}");
    assert_int_equal(tries, 3);
    job_status(driver_job(r.d), &s);
    assert_int_equal(s.parked, 0);
    stop(&r);
}

static int fail_always(void *arg, struct fn_call *c, struct err *e)
{
    (void)arg, (void)c;
    return err_set(e, LEAT_ELUA, "no");
}

// The dead letter of what was born inside the job has the key and the value that it would have in a
// topic.
static void test_born_letter(void **state)
{
    struct rig r = {.plan = plan_build("born")};
    int n = plan_build_source(r.plan, "in", "ts");
    const struct batch_record *letter;

    (void)state;
    r.plan->errors.dead = "dead";
    n = plan_build_count(r.plan, plan_build_by(r.plan, n, "a"), WINDOW_TUMBLING, 1000);
    n = plan_build_map(r.plan, n, fail_always, NULL);
    r.plan->nodes[n].inputs[0].port = OUT_FINAL;
    start(&r);
    send(&r, "in", NULL, "{\"a\":\"x\",\"ts\":1000}");
    send(&r, "in", NULL, "{\"a\":\"x\",\"ts\":2000}");
    assert_int_equal(driver_take(r.d, "dead", &letter), 1);
    assert_true(bytes_eq_str(letter->key, "x"));
    assert_true(bytes_eq_str(letter->value,
                             "{\"a\":\"x\",\"window_start\":1000,\"window_end\":2000,\"n\":1}"));
    assert_int_equal(letter->timestamp, 1999);
    stop(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_windows),
        cmocka_unit_test(test_guilty_record),
        cmocka_unit_test(test_careful_ends),
        cmocka_unit_test(test_careful_retry),
        cmocka_unit_test(test_born),
        cmocka_unit_test(test_born_letter),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
