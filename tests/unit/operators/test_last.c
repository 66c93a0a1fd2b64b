// SPDX-License-Identifier: Apache-2.0
//
// Look-back windows against a model: random readings in disorder, ties, late ones, records that do
// not fit, commits, aborts and restarts at random places. The model looks at every record that came
// before each reading went out. Seed: first argument; LEAT_TEST_RUNS is how many (default 40).
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "operators/operators.h"
#include "runtime/base/heap.h"
#include "runtime/base/random.h"
#include "tests/support/fake_run.h"

#define STEPS 800
#define KEYS 3

static uint64_t seed = 1;

struct happened {
    bool is_watermark;
    int64_t time;
    int key;
    int64_t x;
    bool out; // of one replay of the model
};

struct model {
    int64_t last, grace;
    struct happened log[STEPS];
    int n, n_committed;
    struct buf out;
};

static const char *const key_json[KEYS] = {"1", "\"\"", "\"a\""};

static struct value key_value(int i)
{
    return i == 0 ? value_int(1) : value_text(bytes_of("a", i == 1 ? 0 : 1));
}

// --- the model ---

// Reading i goes out when the first `to` things have happened.
static void model_emit(struct model *m, int i, int to)
{
    struct happened *h = &m->log[i];
    int64_t n = 0, sum = 0, max = 0;
    int64_t earliest = INT64_MAX, first = 0;

    for (int k = 0; k < to; k++) {
        const struct happened *o = &m->log[k];

        if (o->is_watermark || o->key != h->key || o->time > h->time ||
            o->time < h->time - m->last)
            continue;
        n++;
        sum += o->x;
        max = o->x > max ? o->x : max;
        first = o->time < earliest ? o->x : first;
        earliest = o->time < earliest ? o->time : earliest;
    }
    h->out = true;
    buf_printf(&m->out,
               "out key=%s time=%lld {\"x\":%lld,\"s\":\"%lld\",\"n\":%lld,\"sum\":%lld,"
               "\"max\":%lld,\"first\":%lld}\n",
               key_json[h->key], (long long)h->time, (long long)h->x, (long long)h->x,
               (long long)n, (long long)sum, (long long)max, (long long)first);
}

static void model_watermark(struct model *m, int to, int64_t w)
{
    for (;;) {
        int best = -1;

        for (int i = 0; i < to; i++) {
            const struct happened *a = &m->log[i], *b = best < 0 ? NULL : &m->log[best];

            if (a->is_watermark || a->out || a->time + m->grace > w)
                continue;
            if (b == NULL || a->time < b->time || (a->time == b->time && a->key < b->key))
                best = i;
        }
        if (best < 0)
            return;
        model_emit(m, best, to);
    }
}

static void model_run(struct model *m)
{
    int64_t w = INT64_MIN;

    buf_clear(&m->out);
    for (int i = 0; i < m->n; i++)
        m->log[i].out = false;
    for (int i = 0; i < m->n; i++) {
        struct happened *h = &m->log[i];

        if (h->is_watermark) {
            w = h->time;
            model_watermark(m, i, w);
        } else if (h->time + m->grace < w) {
            h->out = true;
            buf_printf(&m->out, "late key=%s time=%lld {\"x\":%lld,\"s\":\"%lld\",\"n\":true}\n",
                       key_json[h->key], (long long)h->time, (long long)h->x, (long long)h->x);
        } else if (h->time + m->grace == w) {
            model_emit(m, i, i + 1);
        }
    }
}

// --- the real one ---

static struct run *given_run(const struct model *m)
{
    static const char *const k_name[] = {"k"};
    static const char *const names[] = {"n", "sum", "max", "first"};
    static const enum agg_kind kinds[] = {AGG_COUNT, AGG_SUM, AGG_MAX, AGG_FIRST};
    struct run *r = fake_new();
    struct plan_aggregate *aggs = arena_zalloc(&r->keep, 4 * sizeof(*aggs));
    int agg, sink;

    fake_node(r, NODE_SOURCE, -1, OUT_MAIN);
    agg = fake_node(r, NODE_AGGREGATE, 0, OUT_MAIN);
    for (int i = 0; i < 4; i++) {
        aggs[i] = (struct plan_aggregate){
            .name = bytes_str(names[i]), .kind = kinds[i], .has_arg = i > 0};
        if (i > 0)
            aggs[i].arg = fake_expr(r, "x");
    }
    r->nodes[agg].aggregate.window =
        (struct plan_window){.kind = WINDOW_LAST, .size_ms = m->last, .grace_ms = m->grace};
    r->nodes[agg].aggregate.aggs = aggs;
    r->nodes[agg].aggregate.n = 4;
    r->nodes[agg].aggregate.table = -1;
    r->nodes[agg].key_names = (const char **)k_name;
    r->nodes[agg].n_key_names = 1;
    sink = fake_node(r, FAKE_SINK, agg, OUT_MAIN);
    r->nodes[sink].name = "out";
    sink = fake_node(r, FAKE_SINK, agg, OUT_LATE);
    r->nodes[sink].name = "late";
    r->check_order = true;
    assert_int_equal(fake_open(r), 0);
    return r;
}

static int send(struct run *r, const struct happened *h, bool bad)
{
    char json[100];

    snprintf(json, sizeof(json), "{\"x\":%lld,\"s\":\"%lld\",\"n\":true%s}", (long long)h->x,
             (long long)h->x, bad ? ",\"x\":\"bad\"" : "");
    return fake_send(r, 0, json, key_value(h->key), h->time);
}

static void expect_text(const char *want, const char *got)
{
    size_t i = 0;

    if (strcmp(want, got) == 0)
        return;
    while (want[i] == got[i])
        i++;
    while (i > 0 && want[i - 1] != '\n')
        i--;
    fail_msg("seed %llu\nwant %.600s\ngot  %.600s", (unsigned long long)seed, want + i, got + i);
}

struct walk {
    struct random rnd;
    int64_t now, watermark, watermark_committed;
};

static void go_back(struct run *r, struct model *m, struct walk *k, bool restart)
{
    fake_abort(r);
    if (restart) {
        fake_close(r);
        assert_int_equal(fake_open(r), 0);
    }
    m->n = m->n_committed;
    k->watermark = k->watermark_committed;
    assert_int_equal(fake_watermark(r, k->watermark), 0);
}

// One that cannot be summed fails, unless it is too late for anybody to look back to.
static void send_bad(struct run *r, const struct model *m, const struct walk *k,
                     const struct happened *h)
{
    size_t text = r->text.n;
    bool seen = k->watermark == INT64_MIN || h->time + m->grace + m->last >= k->watermark;

    assert_int_equal(send(r, h, true), seen ? LEAT_ETYPE : 0);
    r->text.n = text;
}

static void step(struct run *r, struct model *m, struct walk *k)
{
    uint64_t what = random_below(&k->rnd, 100);
    struct happened h = {.time = k->now - (int64_t)random_below(&k->rnd, 30),
                         .key = (int)random_below(&k->rnd, KEYS),
                         .x = 1 + (int64_t)random_below(&k->rnd, 99)};

    if (what < 5) {
        assert_int_equal(fake_commit(r), 0);
        m->n_committed = m->n;
        k->watermark_committed = k->watermark;
    } else if (what < 7) {
        go_back(r, m, k, what == 6);
    } else if (what < 12) {
        send_bad(r, m, k, &h);
    } else if (what < 30) {
        int64_t w = k->now - (int64_t)random_below(&k->rnd, 25);

        if (w <= k->watermark)
            return;
        m->log[m->n++] = (struct happened){.is_watermark = true, .time = w};
        k->watermark = w;
        assert_int_equal(fake_watermark(r, w), 0);
    } else {
        m->log[m->n++] = h;
        assert_int_equal(send(r, &h, false), 0);
        k->now += (int64_t)random_below(&k->rnd, 4);
    }
}

static void run_model(uint64_t s)
{
    struct model *m = heap_zalloc(sizeof(*m));
    struct walk k = {.now = 1000, .watermark = INT64_MIN, .watermark_committed = INT64_MIN};
    struct run *r;

    random_seed(&k.rnd, s);
    m->last = 1 + (int64_t)random_below(&k.rnd, 40);
    m->grace = random_below(&k.rnd, 2) ? 0 : (int64_t)random_below(&k.rnd, 20);
    r = given_run(m);
    r->cache_bytes = random_below(&k.rnd, 3) ? random_below(&k.rnd, 2) * 3000 : SIZE_MAX;
    while (m->n < STEPS)
        step(r, m, &k);
    assert_int_equal(fake_commit(r), 0);
    model_run(m);
    expect_text(buf_cstr(&m->out), fake_text(r));
    // everything is dropped once nobody can look back to it, some with each commit
    assert_int_equal(fake_watermark(r, k.now + m->last + m->grace + 1), 0);
    for (int i = 0; i < STEPS && r->state[0].now.n > 0; i++)
        assert_int_equal(fake_commit(r), 0);
    assert_int_equal(r->state[0].now.n, 0);
    buf_deinit(&m->out);
    fake_free(r);
    heap_free(m);
}

// Each reading comes out once, in order, with what had come by then and lies in its span; late ones
// go aside and still count for those that look back to them.
static void test_model(void **state)
{
    const char *runs = getenv("LEAT_TEST_RUNS");
    int n = runs != NULL ? (int)strtol(runs, NULL, 10) : 40;

    (void)state;
    for (int i = 0; i < n; i++, seed++)
        run_model(seed);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_model)};

    if (argc > 1)
        seed = strtoull(argv[1], NULL, 10);
    printf("seed %llu\n", (unsigned long long)seed);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
