// SPDX-License-Identifier: Apache-2.0
//
// What a person decides about parked records, over the real job file: on a job that runs, on the
// file of one that does not.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

#include "operators/operators.h"
#include "projections/jobfile.h"
#include "runtime/engine/driver.h"
#include "tests/support/plan_build.h"

#define START INT64_C(1767225600000)

struct rig {
    char dir[64], path[96];
    struct plan *plan;
    struct driver *d;
    int runs; // of user code
    struct err e;
};

// Fails unless there is an n; keyed by the record's key.
static int needs_n(void *arg, struct fn_call *c, struct err *e)
{
    ((struct rig *)arg)->runs++;
    if (plan_build_int(c, "n") < 0)
        return err_set(e, LEAT_ELUA, "jobs/a.lua:3: n is missing");
    return 0;
}

static int store_open(void *arg, const struct plan *p, struct store **out, struct err *e)
{
    struct jobfile_options o = {.path = ((struct rig *)arg)->path, .throwaway = true};

    return jobfile_open(out, p, &o, e);
}

static void store_close(void *arg, struct store *s)
{
    (void)arg;
    jobfile_close(s);
}

static void runs(struct rig *r)
{
    if (driver_run(r->d, &r->e) != 0)
        fail_msg("%s", r->e.text);
}

static int given(void **state)
{
    static struct rig r;
    struct driver_config c = {.operators = operator_types(),
                              .stores = {.open = store_open, .close = store_close, .arg = &r},
                              .start_ms = START,
                              .n_partitions = 1};
    int n;

    r = (struct rig){.dir = "/tmp/leat-decisions-XXXXXX"};
    assert_non_null(mkdtemp(r.dir));
    snprintf(r.path, sizeof r.path, "%s/1.db", r.dir);
    c.plan = r.plan = plan_build("decisions");
    r.plan->errors.dead = "dead";
    n = plan_build_map(r.plan, plan_build_source(r.plan, "in", NULL), needs_n, &r);
    (void)plan_build_to(r.plan, n, OUT_MAIN, "out");
    assert_int_equal(plan_finish(r.plan, &r.e), 0);
    if (driver_open(&r.d, &c, &r.e) != 0)
        fail_msg("%s", r.e.text);
    *state = &r;
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static int after(void **state)
{
    struct rig *r = *state;

    driver_close(r->d);
    plan_free(r->plan);
    return nftw(r->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void sends(struct rig *r, const char *key, const char *json)
{
    struct driver_record rec = {
        .key = bytes_str(key), .value = bytes_str(json), .timestamp = -1};

    assert_int_equal(driver_send(r->d, "in", &rec, &r->e), 0);
    runs(r);
}

static int decides(struct rig *r, const struct decision *d, size_t n)
{
    return job_decide(driver_job(r->d), d, n, driver_now(r->d), &r->e);
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

static int describe(void *arg, const struct parked_row *row)
{
    static const char *const states[] = {"retry", "final", "sequence", "skipped"};
    struct buf *b = arg;

    buf_printf(b, "%s%lld:%s", b->n > 0 ? " " : "", (long long)row->id, states[row->state]);
    if (row->reason.n > 0)
        buf_printf(b, "(%.*s)", BYTES_FMT(row->reason));
    if (row->edited.n > 0)
        buf_printf(b, "[%.*s -> %.*s]", BYTES_FMT(row->value), BYTES_FMT(row->edited));
    return 0;
}

// "id:state(reason)[value -> edited]" of every row there is.
static void expect_rows(struct rig *r, const char *rows)
{
    struct buf b = BUF_EMPTY;

    if (jobfile_parked(r->path, describe, &b, &r->e) != 0)
        fail_msg("%s", r->e.text);
    assert_string_equal(buf_cstr(&b), rows);
    buf_deinit(&b);
}

static int64_t parked(struct rig *r)
{
    struct job_status s;

    job_status(driver_job(r->d), &s);
    return s.parked;
}

// Three of one key, the first of which fails; and one of another.
static void given_parked(struct rig *r)
{
    sends(r, "a", "{\"x\":1}");
    sends(r, "a", "{\"n\":2}");
    sends(r, "a", "{\"x\":3}");
    sends(r, "b", "{\"x\":4}");
    expect_rows(r, "1:final 2:sequence 3:sequence 4:final");
    expect(r, "dead", r->plan->errors.dead != NULL ? "{\"x\":1} {\"x\":4}" : "");
}

// A skipped record stays, with its reason, and is no longer parked: it is not counted, does not
// hold its key, and is not found again.
static void test_skip(void **state)
{
    struct rig *r = *state;
    struct decision d = {.kind = DECISION_SKIP, .id = 1, .reason = BYTES_LIT("a test record")};

    given_parked(r);
    assert_int_equal(decides(r, &d, 1), 0);
    runs(r);
    expect_rows(r, "1:skipped(a test record) 3:final 4:final");
    expect(r, "out", "{\"n\":2}");
    expect(r, "dead", "{\"x\":3}"); // it has failed for itself now
    assert_int_equal(parked(r), 2);
    assert_int_equal(decides(r, &d, 1), LEAT_ENOTFOUND);
    assert_int_equal(driver_restart(r->d, &r->e), 0);
    runs(r);
    assert_int_equal(parked(r), 2);
    d.id = 3;
    d.reason = BYTES_NULL;
    assert_int_equal(decides(r, &d, 1), LEAT_EINVAL); // for no reason
    d.reason = BYTES_LIT("x");
    assert_int_equal(decides(r, &d, 1), 0);
    sends(r, "a", "{\"n\":5}");
    expect(r, "out", "{\"n\":5}");
}

// One that only waits may be skipped too; those around it keep their order.
static void test_skip_a_follower(void **state)
{
    struct rig *r = *state;
    struct decision d[] = {{.kind = DECISION_SKIP, .id = 3, .reason = BYTES_LIT("twice")},
                           {.kind = DECISION_EDIT, .id = 1, .value = BYTES_LIT("{\"n\":1}")},
                           {.kind = DECISION_RETRY, .id = 1}};

    given_parked(r);
    assert_int_equal(decides(r, d, 3), 0);
    runs(r);
    expect_rows(r, "3:skipped(twice) 4:final");
    expect(r, "out", "{\"n\":1} {\"n\":2}");
}

// The amended value is what runs; the original stays beside it for as long as the record is parked.
static void test_edit(void **state)
{
    struct rig *r = *state;
    struct decision d[] = {{.kind = DECISION_EDIT, .id = 1, .value = BYTES_LIT("{\"y\":1}")},
                           {.kind = DECISION_RETRY, .id = 1}};

    given_parked(r);
    assert_int_equal(decides(r, d, 2), 0);
    runs(r);
    expect_rows(r, "1:final[{\"x\":1} -> {\"y\":1}] 2:sequence 3:sequence 4:final");
    expect(r, "dead", "");
    d[0].value = BYTES_LIT("{\"n\":1}");
    assert_int_equal(decides(r, d, 2), 0);
    runs(r);
    expect(r, "out", "{\"n\":1} {\"n\":2}");
    expect_rows(r, "3:final 4:final");
}

// Several decisions are one: the last of them cannot be taken, so none is.
static void test_all_or_nothing(void **state)
{
    struct rig *r = *state;
    struct decision d[] = {{.kind = DECISION_EDIT, .id = 1, .value = BYTES_LIT("{\"n\":1}")},
                           {.kind = DECISION_SKIP, .id = 4, .reason = BYTES_LIT("x")},
                           {.kind = DECISION_RETRY, .id = 3}};
    int before;

    given_parked(r);
    before = r->runs;
    assert_int_equal(decides(r, d, 3), LEAT_EINVAL);
    assert_non_null(strstr(r->e.text, "record 3 waits behind another of its key"));
    runs(r);
    expect_rows(r, "1:final 2:sequence 3:sequence 4:final");
    assert_int_equal(r->runs, before);
}

// Nobody runs the job: decisions are written into its file, and it acts by them when it starts.
static void test_without_the_job(void **state)
{
    struct rig *r = *state;
    struct decision d[] = {{.kind = DECISION_EDIT, .id = 1, .value = BYTES_LIT("{\"n\":1}")},
                           {.kind = DECISION_RETRY, .id = 1},
                           {.kind = DECISION_SKIP, .id = 4, .reason = BYTES_LIT("no such b")}};
    struct driver_config c = {.plan = r->plan,
                              .operators = operator_types(),
                              .stores = {.open = store_open, .close = store_close, .arg = r},
                              .start_ms = START + 1000,
                              .n_partitions = 1};
    struct store_commit commit = {.now = START + 500};
    struct store *s;

    r->plan->errors.dead = NULL; // the topics go with the driver
    given_parked(r);
    assert_int_equal(jobfile_open_parked(&s, r->path, &r->e), LEAT_ELOCKED);
    driver_close(r->d);
    r->d = NULL;
    assert_int_equal(jobfile_open_parked(&s, r->path, &r->e), 0);
    assert_int_equal(s->ops->begin(s, START + 500, &r->e), 0);
    for (size_t i = 0; i < ARRAY_LEN(d); i++)
        assert_int_equal(decision_apply(s, &d[i], START + 500, &r->e), 0);
    assert_int_equal(s->ops->park_count(s), 3);
    if (s->ops->commit(s, &commit, NULL, &r->e) != 0)
        fail_msg("%s", r->e.text);
    jobfile_close(s);
    expect_rows(r, "1:retry[{\"x\":1} -> {\"n\":1}] 2:sequence 3:sequence 4:skipped(no such b)");
    assert_int_equal(driver_open(&r->d, &c, &r->e), 0);
    driver_batch_begin(r->d); // the topic as it was: the file knows its id and where it stands
    for (int i = 0; i < 4; i++) {
        struct driver_record rec = {.key = BYTES_LIT("z"), .value = BYTES_LIT("{\"n\":0}")};
        assert_int_equal(driver_send(r->d, "in", &rec, &r->e), 0);
    }
    assert_int_equal(driver_batch_end(r->d, &r->e), 0);
    runs(r);
    expect(r, "out", "{\"n\":1} {\"n\":2}");
    expect_rows(r, "3:final 4:skipped(no such b)");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, given, after)
    const struct CMUnitTest tests[] = {
        TEST(test_skip),           TEST(test_skip_a_follower), TEST(test_edit),
        TEST(test_all_or_nothing), TEST(test_without_the_job),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
