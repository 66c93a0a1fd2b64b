// SPDX-License-Identifier: Apache-2.0
//
// Aggregates with large state against a model that keeps every record: stddev, quantile, distinct,
// top and collect over random streams with commits, aborts, restarts and records that fail after
// the others have counted them. Seed: first argument.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <math.h>

#include "operators/aggregate.h"
#include "runtime/base/heap.h"
#include "runtime/base/number.h"
#include "runtime/base/random.h"
#include "tests/support/fake_run.h"

#define RECORDS_MAX 2500
#define END 1000000

static uint64_t seed = 1;

struct happened {
    int64_t time;
    double x;
    int id;
};

struct model {
    struct happened log[RECORDS_MAX];
    int n, n_committed;
    double spread;
    int ids;
};

// --- the real one ---

static void given_function(struct run *r, struct plan_aggregate a, const char *arg)
{
    struct plan_aggregate *slot = &r->nodes[1].aggregate.aggs[r->nodes[1].aggregate.n++];

    *slot = a;
    slot->has_arg = true;
    slot->arg = fake_expr(r, arg);
}

static struct run *given_run(void)
{
    static const char *const k_name[] = {"k"};
    struct run *r = fake_new();
    struct plan_field *fields = arena_zalloc(&r->keep, 2 * sizeof(*fields));
    int agg, sink;

    fake_node(r, NODE_SOURCE, -1, OUT_MAIN);
    agg = fake_node(r, NODE_AGGREGATE, 0, OUT_MAIN);
    r->nodes[agg].aggregate.window =
        (struct plan_window){.kind = WINDOW_TUMBLING, .size_ms = END, .every_ms = END};
    r->nodes[agg].aggregate.aggs = arena_zalloc(&r->keep, 8 * sizeof(struct plan_aggregate));
    r->nodes[agg].key_names = (const char **)k_name;
    r->nodes[agg].n_key_names = 1;
    fields[0] = fake_field(r, "id", "id");
    fields[1] = fake_field(r, "x", "x");
    given_function(r, (struct plan_aggregate){.name = BYTES_LIT("dev"), .kind = AGG_STDDEV}, "x");
    given_function(
        r, (struct plan_aggregate){.name = BYTES_LIT("p50"), .kind = AGG_QUANTILE, .q = 0.5}, "x");
    given_function(
        r, (struct plan_aggregate){.name = BYTES_LIT("p95"), .kind = AGG_QUANTILE, .q = 0.95},
        "x");
    given_function(r, (struct plan_aggregate){.name = BYTES_LIT("ids"), .kind = AGG_DISTINCT},
                   "id");
    given_function(r,
                   (struct plan_aggregate){.name = BYTES_LIT("best"), .kind = AGG_TOP, .limit = 5,
                                           .fields = fields, .n_fields = 2},
                   "x");
    given_function(r, (struct plan_aggregate){.name = BYTES_LIT("all"), .kind = AGG_COLLECT}, "s");
    given_function(r, (struct plan_aggregate){.name = BYTES_LIT("sum"), .kind = AGG_SUM}, "bad");
    sink = fake_node(r, FAKE_SINK, agg, OUT_FINAL);
    r->nodes[sink].name = "final";
    assert_int_equal(fake_open(r), 0);
    return r;
}

static int send(struct run *r, const struct happened *h, bool bad)
{
    char json[200];

    snprintf(json, sizeof(json), "{\"x\":%.17g,\"id\":\"%d\",\"s\":\"%d\",\"bad\":%s}", h->x, h->id,
             h->id, bad ? "\"text\"" : "1");
    return fake_send(r, 0, json, value_text(BYTES_LIT("a")), h->time);
}

// --- the model ---

static int double_cmp(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double model_quantile(const struct model *m, double q)
{
    double *x = heap_alloc((size_t)m->n * sizeof(*x)), v;

    for (int i = 0; i < m->n; i++)
        x[i] = m->log[i].x;
    qsort(x, (size_t)m->n, sizeof(*x), double_cmp);
    v = x[(int)ceil(q * m->n - 1e-9) - 1];
    heap_free(x);
    return v;
}

static double model_dev(const struct model *m)
{
    double mean = 0, sum = 0;

    for (int i = 0; i < m->n; i++)
        mean += m->log[i].x / m->n;
    for (int i = 0; i < m->n; i++)
        sum += (m->log[i].x - mean) * (m->log[i].x - mean);
    return sqrt(sum / (m->n - 1));
}

static int model_distinct(const struct model *m)
{
    bool *seen = heap_zalloc((size_t)m->ids);
    int n = 0;

    for (int i = 0; i < m->n; i++) {
        n += !seen[m->log[i].id];
        seen[m->log[i].id] = true;
    }
    heap_free(seen);
    return n;
}

static bool better(const struct happened *a, const struct happened *b)
{
    if (a->x != b->x)
        return a->x > b->x;
    return a->time != b->time ? a->time < b->time : a < b;
}

static const struct happened *model_best(const struct model *m, int rank)
{
    for (int i = 0; i < m->n; i++) {
        int before = 0;

        for (int k = 0; k < m->n; k++)
            before += better(&m->log[k], &m->log[i]);
        if (before == rank)
            return &m->log[i];
    }
    return NULL;
}

// --- comparing ---

static struct value member(struct run *r, const struct value *v, const char *name)
{
    struct value out;

    assert_int_equal(value_member(v, bytes_str(name), &r->keep, &out, NULL), 0);
    return out;
}

static void expect_near(double got, double want, double error, const char *what)
{
    if (fabs(got - want) > error)
        fail_msg("seed %llu: %s is %.17g instead of %.17g", (unsigned long long)seed, what, got,
                 want);
}

static int64_t text_number(const struct value *v)
{
    int64_t n = -1;

    assert_int_equal(number_parse_int(v->s, &n), 0);
    return n;
}

static void check_best(struct run *r, const struct value *list, const struct model *m)
{
    assert_int_equal(value_count(list), m->n < 5 ? m->n : 5);
    for (int i = 0; i < (int)value_count(list); i++) {
        const struct happened *h = model_best(m, i);
        struct value item, id, x;

        assert_int_equal(value_element(list, i + 1, &r->keep, &item, NULL), 0);
        id = member(r, &item, "id");
        x = member(r, &item, "x");
        assert_int_equal(text_number(&id), h->id);
        assert_true((x.type == VALUE_INT ? (double)x.i : x.f) == h->x);
    }
}

static void check_all(struct run *r, const struct value *list, const struct model *m)
{
    int64_t before = -1;
    int at = -1;

    assert_int_equal(value_count(list), m->n);
    for (int i = 0; i < m->n; i++) {
        const struct happened *next = NULL;
        struct value item;

        for (int k = 0; k < m->n; k++) {
            const struct happened *h = &m->log[k];

            if (h->time < before || (h->time == before && k <= at))
                continue;
            if (next == NULL || h->time < next->time)
                next = h;
        }
        before = next->time;
        at = (int)(next - m->log);
        assert_int_equal(value_element(list, i + 1, &r->keep, &item, NULL), 0);
        assert_int_equal(text_number(&item), next->id);
    }
}

static double number(struct run *r, const struct value *v, const char *name)
{
    struct value x = member(r, v, name);

    return x.type == VALUE_INT ? (double)x.i : x.f;
}

static void check(struct run *r, const struct model *m)
{
    const char *text = fake_text(r);
    double p50 = model_quantile(m, 0.5), p95 = model_quantile(m, 0.95);
    double sketch = m->n > 256 ? 1.0 / 256 : 0;
    int ids = model_distinct(m);
    struct value v, list;
    struct bytes json;

    assert_non_null(strchr(text, '{'));
    text = strchr(text, '{');
    json = bytes_of(text, strlen(text) - 1);
    assert_int_equal(value_decode(FORMAT_JSON, json, &r->keep, &v, &r->err), 0);
    if (m->n > 1)
        expect_near(number(r, &v, "dev"), model_dev(m), m->spread * 1e-9, "dev");
    expect_near(number(r, &v, "p50"), p50, fabs(p50) * sketch, "p50");
    expect_near(number(r, &v, "p95"), p95, fabs(p95) * sketch, "p95");
    expect_near(number(r, &v, "ids"), ids, ids > 1024 ? ids * 0.04 : 0, "ids");
    list = member(r, &v, "best");
    check_best(r, &list, m);
    list = member(r, &v, "all");
    check_all(r, &list, m);
}

static void step(struct run *r, struct model *m, struct random *rnd)
{
    uint64_t what = random_below(rnd, 200);
    struct happened h = {.time = (int64_t)random_below(rnd, 5000),
                         .x = (double)random_below(rnd, 1000) * m->spread / 1000,
                         .id = (int)random_below(rnd, (uint64_t)m->ids)};

    if (random_below(rnd, 4) == 0)
        h.x = -h.x;
    if (what < 4) {
        assert_int_equal(fake_commit(r), 0);
        m->n_committed = m->n;
    } else if (what < 6) {
        fake_abort(r);
        if (what == 5) {
            fake_close(r);
            assert_int_equal(fake_open(r), 0);
        }
        m->n = m->n_committed;
    } else if (what < 20) {
        assert_int_equal(send(r, &h, true), LEAT_ETYPE);
    } else {
        assert_int_equal(send(r, &h, false), 0);
        m->log[m->n++] = h;
    }
}

static void run_model(int records, uint64_t s)
{
    struct model *m = heap_zalloc(sizeof(*m));
    struct run *r = given_run();
    struct random rnd;

    random_seed(&rnd, s);
    m->spread = (double)(1 + random_below(&rnd, 100000)) / 100;
    m->ids = 1 + (int)random_below(&rnd, 4000);
    while (m->n < records)
        step(r, m, &rnd);
    assert_int_equal(fake_commit(r), 0);
    assert_int_equal(fake_watermark(r, END), 0);
    assert_int_equal(fake_commit(r), 0);
    check(r, m);
    assert_int_equal(r->state[0].now.n, 0);
    fake_free(r);
    heap_free(m);
}

// Whatever fails or restarts in between, each function gives what all accepted records give: small
// states exactly, sketches within the error they state.
static void test_model(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++, seed++)
        run_model(1 + (int)(seed * 7919 % 300), seed);
    for (int i = 0; i < 2; i++, seed++)
        run_model(RECORDS_MAX, seed);
}

// What a function cannot take is class type, and a list that grows past its bound is class budget.
static void test_refused(void **state)
{
    static const char *const bad[] = {"{\"x\":\"a\",\"id\":1,\"s\":1}",
                                      "{\"x\":1,\"id\":[1],\"s\":1}",
                                      "{\"x\":true,\"id\":1,\"s\":1}"};
    struct run *r = given_run();
    char json[64];
    int rc = 0;

    (void)state;
    for (int i = 0; i < 3; i++)
        assert_int_equal(fake_send(r, 0, bad[i], value_text(BYTES_LIT("a")), 1), LEAT_ETYPE);
    for (int i = 0; i < 10000; i++) {
        snprintf(json, sizeof(json), "{\"s\":%d}", i);
        assert_int_equal(fake_send(r, 0, json, value_text(BYTES_LIT("a")), i), 0);
    }
    rc = fake_send(r, 0, "{\"s\":1}", value_text(BYTES_LIT("a")), 1);
    assert_int_equal(rc, LEAT_EBUDGET);
    assert_int_equal(fake_send(r, 0, "{\"x\":1}", value_text(BYTES_LIT("a")), 1), 0);
    fake_free(r);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_model),
        cmocka_unit_test(test_refused),
    };

    if (argc > 1)
        seed = strtoull(argv[1], NULL, 10);
    printf("seed %llu\n", (unsigned long long)seed);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
