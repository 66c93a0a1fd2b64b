// SPDX-License-Identifier: Apache-2.0
//
// Whole jobs without a script: the engine's driver, the real operators and a real job file in
// memory. What is asked: rows and outputs of small jobs, and that they do not depend on how records
// were batched or on restarts. Seed: first argument.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "operators/operators.h"
#include "projections/jobfile.h"
#include "runtime/base/random.h"
#include "runtime/engine/driver.h"
#include "tests/support/plan_build.h"

#define START INT64_C(1767225600000)

static uint64_t seed = 1;

static int store_open(void *arg, const struct plan *p, struct store **out, struct err *e)
{
    struct jobfile_options o = {.path = NULL};

    (void)arg;
    return jobfile_open(out, p, &o, e);
}

static void store_close(void *arg, struct store *s)
{
    (void)arg;
    jobfile_close(s);
}

struct fixture {
    struct plan *plan;
    struct driver *driver;
    struct buf text;
    struct err e;
};

static void given_job(struct fixture *f, struct plan *p)
{
    struct driver_config c = {.plan = p,
                              .operators = operator_types(),
                              .stores = {.open = store_open, .close = store_close},
                              .start_ms = START,
                              .n_partitions = 1};

    *f = (struct fixture){.plan = p};
    if (plan_finish(p, &f->e) != 0 || driver_open(&f->driver, &c, &f->e) != 0)
        fail_msg("%s", f->e.text);
}

static void done(struct fixture *f)
{
    driver_close(f->driver);
    plan_free(f->plan);
    buf_deinit(&f->text);
}

static void sent(struct fixture *f, const char *topic, const char *key, const char *json,
                 int64_t time)
{
    struct driver_record r = {.key = key != NULL ? bytes_str(key) : BYTES_NULL,
                              .value = json != NULL ? bytes_str(json) : BYTES_NULL,
                              .timestamp = time};

    if (driver_send(f->driver, topic, &r, &f->e) != 0)
        fail_msg("%s", f->e.text);
}

static void ran(struct fixture *f)
{
    if (driver_run(f->driver, &f->e) != 0)
        fail_msg("%s", f->e.text);
}

// The lines of the answer, joined.
static void join_lines(struct buf *b)
{
    size_t n = 0;
    uint8_t before = 0;

    for (size_t i = 0; i < b->n; i++) {
        uint8_t c = b->p[i];

        if (c != '\n' && !(c == ' ' && before == '\n'))
            b->p[n++] = c;
        before = c;
    }
    b->n = n;
}

static const char *rows(struct fixture *f, const char *sql)
{
    struct query_request q = {.sql = bytes_str(sql)};
    struct query_answer answer;
    struct query_reader *r;
    struct arena a;

    arena_init(&a);
    buf_clear(&f->text);
    if (jobfile_reader_of(&r, driver_store(f->driver), &f->e) != 0 ||
        r->ops->run(r, &q, &a, &answer, &f->e) != 0 ||
        query_answer_json(&answer, false, &f->text, &f->e) != 0)
        fail_msg("%s", f->e.text);
    r->ops->close(r);
    arena_deinit(&a);
    join_lines(&f->text);
    return buf_cstr(&f->text);
}

static const char *published(struct fixture *f, const char *topic)
{
    const struct batch_record *records;
    size_t n = driver_take(f->driver, topic, &records);

    buf_clear(&f->text);
    for (size_t i = 0; i < n; i++)
        buf_printf(&f->text, "%.*s %.*s\n", BYTES_FMT(records[i].key), BYTES_FMT(records[i].value));
    return buf_cstr(&f->text);
}

// from in { time = t } :by k :window 10 :aggregate {n, sum} :into per, final :to closed, late :to
// late
static struct plan *windows_plan(void)
{
    struct plan *p = plan_build("windows");
    int source = plan_build_source(p, "in", "t");
    int agg = plan_build_count(p, plan_build_by(p, source, "k"), WINDOW_TUMBLING, 10000);
    struct plan_aggregate *aggs = arena_zalloc(&p->arena, 3 * sizeof(*aggs));

    aggs[0] = p->nodes[agg].aggregate.aggs[0];
    aggs[1] = (struct plan_aggregate){
        .name = BYTES_LIT("sum"), .kind = AGG_SUM, .arg = plan_build_expr(p, "x"), .has_arg = true};
    aggs[2] = (struct plan_aggregate){
        .name = BYTES_LIT("last"), .kind = AGG_LAST, .arg = plan_build_expr(p, "x"),
        .has_arg = true};
    p->nodes[agg].aggregate.aggs = aggs;
    p->nodes[agg].aggregate.n = 3;
    p->nodes[source].source.disorder_ms = 3000;
    p->nodes[source].source.ahead_ms = INT64_C(1) << 40;
    plan_build_into(p, agg, "per");
    plan_build_to(p, agg, OUT_FINAL, "closed");
    plan_build_to(p, agg, OUT_LATE, "late");
    return p;
}

// Open windows are rows; closed ones go out once with key and bounds; late records go aside.
static void test_windows(void **state)
{
    struct fixture f;

    (void)state;
    given_job(&f, windows_plan());
    sent(&f, "in", NULL, "{\"k\":\"a\",\"x\":1,\"t\":1767225601000}", START);
    sent(&f, "in", NULL, "{\"k\":\"b\",\"x\":2,\"t\":1767225602000}", START);
    sent(&f, "in", NULL, "{\"k\":\"a\",\"x\":5,\"t\":1767225603000}", START);
    ran(&f);
    assert_string_equal(rows(&f, "select k, n, sum, last from per"),
                        "[{\"k\":\"a\",\"n\":2,\"sum\":6,\"last\":5},"
                        "{\"k\":\"b\",\"n\":1,\"sum\":2,\"last\":2}]");
    assert_string_equal(published(&f, "closed"), "");
    assert_int_equal(driver_restart(f.driver, &f.e), 0);
    sent(&f, "in", NULL, "{\"k\":\"a\",\"x\":7,\"t\":1767225609000}", START);
    sent(&f, "in", NULL, "{\"k\":\"a\",\"x\":1,\"t\":1767225613000}", START);
    sent(&f, "in", NULL, "{\"k\":\"a\",\"x\":9,\"t\":1767225609000}", START);
    ran(&f);
    assert_string_equal(
        published(&f, "closed"),
        "a {\"k\":\"a\",\"window_start\":1767225600000,\"window_end\":1767225610000,\"n\":3,"
        "\"sum\":13,\"last\":7}\n"
        "b {\"k\":\"b\",\"window_start\":1767225600000,\"window_end\":1767225610000,\"n\":1,"
        "\"sum\":2,\"last\":2}\n");
    assert_string_equal(published(&f, "late"), "a {\"k\":\"a\",\"x\":9,\"t\":1767225609000}\n");
    assert_string_equal(rows(&f, "select k, n from per order by window_start, k"),
                        "[{\"k\":\"a\",\"n\":3},{\"k\":\"b\",\"n\":1},{\"k\":\"a\",\"n\":1}]");
    done(&f);
}

// A record that does not go with what a row holds is found, though the row is read after it: it is
// parked, and nothing of it remains; also when the window closes in the same step.
static void test_what_a_row_does_not_take(void **state)
{
    for (int closes = 0; closes < 2; closes++) {
        struct fixture f;

        (void)state;
        given_job(&f, windows_plan());
        sent(&f, "in", NULL, "{\"k\":\"a\",\"x\":9223372036854775807,\"t\":1767225601000}", START);
        sent(&f, "in", NULL, "{\"k\":\"b\",\"x\":5,\"t\":1767225601000}", START);
        ran(&f);
        assert_int_equal(driver_restart(f.driver, &f.e), 0);
        driver_batch_begin(f.driver);
        sent(&f, "in", NULL, "{\"k\":\"a\",\"x\":-1,\"t\":1767225602000}", START);
        sent(&f, "in", NULL, "{\"k\":\"a\",\"x\":7,\"t\":1767225602000}", START);
        sent(&f, "in", NULL, "{\"k\":\"b\",\"x\":1,\"t\":1767225602000}", START);
        if (closes)
            sent(&f, "in", NULL, "{\"k\":\"z\",\"x\":1,\"t\":1767225642000}", START);
        assert_int_equal(driver_batch_end(f.driver, &f.e), 0);
        ran(&f);
        assert_string_equal(rows(&f, "select k, n, sum from per where k < 'z' order by k"),
                            "[{\"k\":\"a\",\"n\":2,\"sum\":9223372036854775806},"
                            "{\"k\":\"b\",\"n\":2,\"sum\":6}]");
        assert_string_equal(rows(&f, "select class, offset from _leat_parked"),
                            "[{\"class\":\"type\",\"offset\":3}]");
        done(&f);
    }
}

static int unlucky(void *arg, struct fn_call *c, struct err *e)
{
    (void)arg;
    return plan_build_int(c, "x") == 13 ? err_set(e, LEAT_ELUA, "unlucky") : 0;
}

// A record that fails behind the aggregate has not been counted, whether its key had a row or not.
static void test_what_fails_later_is_not_counted(void **state)
{
    struct plan *p = plan_build("later");
    int source = plan_build_source(p, "in", NULL);
    int agg = plan_build_count(p, plan_build_by(p, source, "k"), WINDOW_NONE, 0);
    struct fixture f;

    (void)state;
    plan_build_into(p, agg, "per");
    plan_build_to(p, plan_build_map(p, source, unlucky, NULL), OUT_MAIN, "out");
    given_job(&f, p);
    sent(&f, "in", NULL, "{\"k\":\"a\",\"x\":1}", START);
    ran(&f);
    assert_int_equal(driver_restart(f.driver, &f.e), 0);
    driver_batch_begin(f.driver);
    sent(&f, "in", NULL, "{\"k\":\"a\",\"x\":13}", START);
    sent(&f, "in", NULL, "{\"k\":\"b\",\"x\":13}", START);
    sent(&f, "in", NULL, "{\"k\":\"c\",\"x\":13}", START);
    sent(&f, "in", NULL, "{\"k\":\"c\",\"x\":1}", START);
    assert_int_equal(driver_batch_end(f.driver, &f.e), 0);
    ran(&f);
    assert_string_equal(rows(&f, "select k, n from per order by k"),
                        "[{\"k\":\"a\",\"n\":1},{\"k\":\"c\",\"n\":1}]");
    done(&f);
}

static void run_random(struct fixture *f, uint64_t s, bool split, struct buf *out)
{
    static const char *const keys[] = {"1", "1.0", "true", "\"a\"", "\"b\"", "2.5", "false"};
    struct random records, cuts;
    int64_t t = START;

    random_seed(&records, s);
    random_seed(&cuts, s + 1);
    for (int i = 0; i < 400; i++) {
        char json[100];

        t += (int64_t)random_below(&records, 500);
        snprintf(json, sizeof(json), "{\"k\":%s,\"x\":%d,\"t\":%lld}",
                 keys[random_below(&records, ARRAY_LEN(keys))],
                 (int)random_below(&records, 100),
                 (long long)(t - (int64_t)random_below(&records, 6000)));
        sent(f, "in", NULL, json, START);
        if (split && random_below(&cuts, 9) == 0)
            ran(f);
        if (split && random_below(&cuts, 30) == 0)
            assert_int_equal(driver_restart(f->driver, &f->e), 0);
    }
    ran(f);
    buf_append_str(out, rows(f, "select * from per"));
    buf_append_str(out, published(f, "closed"));
    buf_append_str(out, published(f, "late"));
}

// Rows and outputs are the same, byte for byte, however records were batched and whenever the job
// was restarted.
static void test_batches_do_not_matter(void **state)
{
    (void)state;
    for (int i = 0; i < 8; i++, seed++) {
        struct buf whole = BUF_EMPTY, split = BUF_EMPTY;
        struct fixture f;

        given_job(&f, windows_plan());
        run_random(&f, seed, false, &whole);
        done(&f);
        given_job(&f, windows_plan());
        run_random(&f, seed, true, &split);
        done(&f);
        assert_true(whole.n > 1000);
        if (strcmp(buf_cstr(&whole), buf_cstr(&split)) != 0)
            fail_msg("seed %llu\n%s\n---\n%s", (unsigned long long)seed, buf_cstr(&whole),
                     buf_cstr(&split));
        buf_deinit(&whole);
        buf_deinit(&split);
    }
}

// A changelog is its table: the key is the primary key, later records replace, a tombstone deletes.
static void test_changelog(void **state)
{
    struct plan *p = plan_build("log");
    int source = plan_build_source(p, "assets", NULL);
    struct fixture f;

    (void)state;
    p->nodes[source].source.changelog = true;
    plan_build_table(p, "assets", "id text primary key, model text not null, site text");
    plan_build_into(p, source, "assets");
    given_job(&f, p);
    sent(&f, "assets", "T1", "{\"model\":\"V90\",\"site\":\"north\"}", START);
    sent(&f, "assets", "T2", "{\"model\":\"V80\",\"site\":\"south\"}", START);
    ran(&f);
    sent(&f, "assets", "T1", "{\"model\":\"V91\"}", START);
    sent(&f, "assets", "T2", NULL, START);
    ran(&f);
    assert_string_equal(rows(&f, "select * from assets"),
                        "[{\"id\":\"T1\",\"model\":\"V91\",\"site\":null}]");
    done(&f);
}

static struct plan_field *fields(struct plan *p, int n, const char *const *pairs)
{
    struct plan_field *f = arena_zalloc(&p->arena, (size_t)(n + 1) * sizeof(*f));

    for (int i = 0; i < n; i++)
        f[i] = (struct plan_field){
            .name = pairs[2 * i] != NULL ? bytes_str(pairs[2 * i]) : BYTES_NULL,
            .expr = plan_build_expr(p, pairs[2 * i + 1])};
    return f;
}

static struct plan *shop_plan(void)
{
    static const char *const customer[] = {"id", "id", "name", "name"};
    static const char *const order[] = {"id", "id", "customer", "customer"};
    static const char *const key[] = {NULL, "customer"}, *const one[] = {"orders", "1"};
    struct plan *p = plan_build("shop");
    int source = plan_build_source(p, "in", NULL);
    int match = plan_add_node(p, NODE_MATCH, 5);
    struct plan_node *m = &p->nodes[match];

    plan_build_table(p, "customers",
                     "id text primary key, name text not null, orders integer not null default 0");
    plan_build_table(p, "orders",
                     "id text primary key, customer text not null references customers");
    m->inputs = arena_zalloc(&p->arena, sizeof(*m->inputs));
    m->inputs[0] = (struct plan_input){.node = source};
    m->n_inputs = 1;
    m->match.on = plan_build_expr(p, "type");
    m->match.n = 2;
    m->match.cases = arena_zalloc(&p->arena, 2 * sizeof(*m->match.cases));
    m->match.cases[0] = (struct plan_case){.type = BYTES_LIT("Customer"), .n_actions = 1};
    m->match.cases[0].actions = arena_zalloc(&p->arena, sizeof(struct plan_action));
    m->match.cases[0].actions[0] = (struct plan_action){
        .table = 0, .verb = VERB_PUT, .cells = fields(p, 2, customer), .n_cells = 2, .line = 6};
    m->match.cases[1] = (struct plan_case){.type = BYTES_LIT("Order"), .n_actions = 2};
    m->match.cases[1].actions = arena_zalloc(&p->arena, 2 * sizeof(struct plan_action));
    m->match.cases[1].actions[0] = (struct plan_action){.table = 0,
                                                        .verb = VERB_ADD,
                                                        .key = fields(p, 1, key),
                                                        .n_key = 1,
                                                        .cells = fields(p, 1, one),
                                                        .n_cells = 1,
                                                        .line = 7};
    m->match.cases[1].actions[1] = (struct plan_action){
        .table = 1, .verb = VERB_INSERT, .cells = fields(p, 2, order), .n_cells = 2, .line = 8};
    return p;
}

// Match writes rows; a record whose second action fails leaves nothing of the first, and is parked
// under its key; unknown types are skipped.
static void test_match(void **state)
{
    struct job_status status;
    struct fixture f;

    (void)state;
    given_job(&f, shop_plan());
    sent(&f, "in", "c1", "{\"type\":\"Customer\",\"id\":\"c1\",\"name\":\"Ann\"}", START);
    sent(&f, "in", "o1", "{\"type\":\"Order\",\"id\":\"o1\",\"customer\":\"c1\"}", START);
    sent(&f, "in", "o2", "{\"type\":\"Order\",\"id\":\"o1\",\"customer\":\"c1\"}", START);
    sent(&f, "in", "o3", "{\"type\":\"New\"}", START);
    ran(&f);
    assert_string_equal(rows(&f, "select id, orders from customers"),
                        "[{\"id\":\"c1\",\"orders\":1}]");
    job_status(driver_job(f.driver), &status);
    assert_int_equal(status.parked, 1);
    assert_int_equal(status.skipped, 1);
    if (driver_restart(f.driver, &f.e) != 0)
        fail_msg("%s", f.e.text);
    ran(&f);
    job_status(driver_job(f.driver), &status);
    assert_int_equal(status.skipped, 1); // a counter is a number of the job, not of its process
    assert_string_equal(rows(&f, "select class from _leat_parked"), "[{\"class\":\"constraint\"}]");
    done(&f);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_windows),
        cmocka_unit_test(test_what_a_row_does_not_take),
        cmocka_unit_test(test_what_fails_later_is_not_counted),
        cmocka_unit_test(test_batches_do_not_matter),
        cmocka_unit_test(test_changelog),
        cmocka_unit_test(test_match),
    };

    if (argc > 1)
        seed = strtoull(argv[1], NULL, 10);
    printf("seed %llu\n", (unsigned long long)seed);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
