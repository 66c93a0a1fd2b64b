// SPDX-License-Identifier: Apache-2.0
//
// Memory makes no difference. A job with every kind of state runs twice over the same random
// records, disordered and late ones among them, with keys of all types: once with all of its state
// in memory, once with as good as none, in steps of a few records and with restarts. Tables and
// topics must be the same. Seed: first argument.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "projections/jobfile.h"
#include "runtime/base/random.h"
#include "tests/unit/pipeline/all_job.h"
#include "tests/unit/pipeline/driven.h"

enum { RECORDS = 250, JOBS = 6 };

static uint64_t seed = 1;

struct trial {
    struct driven d;
    bool tight;
    struct random records, cuts;
    int64_t now;
};

static void given_job(struct trial *t)
{
    struct driver_config c = {.cache_bytes = t->tight ? 1 + random_below(&t->cuts, 3000) : SIZE_MAX,
                              .step_bytes = t->tight ? 1 + random_below(&t->cuts, 9000) : SIZE_MAX};
    struct plan *p;

    driven_load(&t->d, all_job);
    p = t->d.plan;
    for (int i = 0; i < p->n_nodes; i++)
        if (p->nodes[i].kind == NODE_SOURCE) {
            p->nodes[i].source.idle_ms = -1;
            p->nodes[i].source.ahead_ms = INT64_C(1) << 40;
        }
    driven_open(&t->d, c);
}

static void sent(struct trial *t)
{
    static const char *const forms[] = {"%d", "%d.0", "%d.5", "\"%d\"", "\"x%d\"", "true", "false"};
    struct random *r = &t->records;
    struct driver_record rec = {.key = BYTES_NULL};
    const char *topic = random_below(r, 4) == 0 ? "right" : "in";
    int key = (int)random_below(r, 12);
    char m[20], json[120];

    t->now += random_below(r, 30) == 0 ? 9000 : (int64_t)random_below(r, 600);
    snprintf(m, sizeof m, forms[random_below(r, ARRAY_LEN(forms))], key);
    snprintf(json, sizeof json, "{\"k\":\"k%d\",\"m\":%s,\"t\":%lld,\"x\":%d}", key, m,
             (long long)(t->now - (int64_t)random_below(r, 4000)) / 100 * 100,
             (int)random_below(r, 40));
    rec.value = bytes_str(json);
    rec.timestamp = DRIVEN_START;
    driven_ok(&t->d, driver_send(t->d.driver, topic, &rec, &t->d.e));
}

// Clock and records are the same for both; where steps end and the job starts again is not.
static void run_all(struct trial *t)
{
    driver_batch_begin(t->d.driver);
    for (int i = 0; i < RECORDS; i++) {
        sent(t);
        if (i % 25 != 24)
            continue;
        driven_ok(&t->d, driver_batch_end(t->d.driver, &t->d.e));
        driven_ok(&t->d, driver_run(t->d.driver, &t->d.e));
        if (t->tight && random_below(&t->cuts, 2) == 0)
            driven_ok(&t->d, driver_restart(t->d.driver, &t->d.e));
        driver_batch_begin(t->d.driver);
    }
    driven_ok(&t->d, driver_batch_end(t->d.driver, &t->d.e));
    driven_ok(&t->d, driver_run(t->d.driver, &t->d.e));
}

static void dump_rows(struct trial *t, const char *table, struct buf *out)
{
    char sql[100];
    struct query_request q = {.sql = BYTES_NULL};
    struct query_answer answer;
    struct query_reader *r;
    struct arena a;

    snprintf(sql, sizeof sql, "select * from %s", table);
    q.sql = bytes_str(sql);
    arena_init(&a);
    driven_ok(&t->d, jobfile_reader_of(&r, driver_store(t->d.driver), &t->d.e));
    driven_ok(&t->d, r->ops->run(r, &q, &a, &answer, &t->d.e));
    driven_ok(&t->d, query_answer_json(&answer, false, out, &t->d.e));
    r->ops->close(r);
    arena_deinit(&a);
    buf_append_byte(out, '\n');
}

static void dump_topic(struct trial *t, const char *topic, struct buf *out)
{
    const struct batch_record *records;
    size_t n = driver_take(t->d.driver, topic, &records);

    for (size_t i = 0; i < n; i++)
        buf_printf(out, "%s %.*s %.*s @%lld\n", topic, BYTES_FMT(records[i].key),
                   BYTES_FMT(records[i].value), (long long)records[i].timestamp);
}

static void trial(bool tight, struct buf *out)
{
    static const char *const topics[] = {"closed", "visited", "last", "once",
                                         "pairs",  "fired",   "dead", "mapped",
                                         "visit_changes"};
    struct trial t = {.tight = tight, .now = DRIVEN_START + 100000};

    random_seed(&t.records, seed);
    random_seed(&t.cuts, seed + 7);
    given_job(&t);
    run_all(&t);
    for (int i = 0; i < t.d.plan->n_tables; i++)
        if (strcmp(t.d.plan->tables[i].name, "visits") != 0) // numbers its rows
            dump_rows(&t, t.d.plan->tables[i].name, out);
    for (size_t i = 0; i < ARRAY_LEN(topics); i++)
        dump_topic(&t, topics[i], out);
    driven_close(&t.d);
}

// Names the first line that differs.
static void expect_same(struct buf *ample, struct buf *tight)
{
    size_t line = 0, i = 0;

    while (i < ample->n && i < tight->n && ample->p[i] == tight->p[i])
        if (ample->p[i++] == '\n')
            line = i;
    if (i < ample->n || i < tight->n)
        fail_msg("seed %llu\nample: %.300s\ntight: %.300s", (unsigned long long)seed,
                 (const char *)ample->p + line, (const char *)tight->p + line);
}

// What a job computes does not depend on how much of its state is in memory.
static void test_memory_does_not_matter(void **state)
{
    (void)state;
    for (int i = 0; i < JOBS; i++, seed++) {
        struct buf ample = BUF_EMPTY, tight = BUF_EMPTY;

        trial(false, &ample);
        trial(true, &tight);
        (void)buf_cstr(&ample), (void)buf_cstr(&tight); // ended by a 0
        expect_same(&ample, &tight);
        assert_true(ample.n > 10000);
        buf_deinit(&ample);
        buf_deinit(&tight);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_memory_does_not_matter)};

    if (argc > 1)
        seed = strtoull(argv[1], NULL, 10);
    printf("seed %llu\n", (unsigned long long)seed);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
