// SPDX-License-Identifier: Apache-2.0
//
// Windows against a model: random records in disorder, late ones, ties, tumbling and hopping,
// commits, aborts and restarts at random places, a cache too small for the groups and windows read
// back in small pieces. The model keeps every record that counted and computes each closed window
// from scratch. Seed: first argument.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "operators/aggregate.h"
#include "operators/window.h"
#include "runtime/base/heap.h"
#include "runtime/base/number.h"
#include "runtime/base/random.h"
#include "tests/support/fake_run.h"

#define STEPS 1500
#define KEYS 9

static uint64_t seed = 1;

struct happened {
    bool is_watermark;
    int64_t time; // of the record, or the watermark
    int key;
    bool nil; // the record has no x
    int64_t x;
};

struct model {
    struct plan_window w;
    struct happened log[STEPS];
    int n, n_committed;
};

// In SQL order.
static const char *const key_json[KEYS] = {"1", "2", "10", "\"\"", "\"a\"", "\"aa\"", "\"b\"",
                                           "\"c\"", "\"long key, longer than what is inline....\""};

static struct value key_value(int i)
{
    if (i < 3)
        return value_int(i < 2 ? i + 1 : 10);
    return value_text(bytes_of(key_json[i] + 1, strlen(key_json[i]) - 2));
}

static bool in_window(const struct model *m, const struct happened *h, int key, int64_t start,
                      int64_t watermark)
{
    return !h->is_watermark && h->key == key && start <= h->time &&
           h->time < start + m->w.size_ms && start + m->w.size_ms + m->w.grace_ms > watermark;
}

// One closed group, from all records before position `to` that counted in it.
static void model_group(const struct model *m, int to, int key, int64_t start, struct buf *out)
{
    int64_t n = 0, nx = 0, sum = 0, min = 0, max = 0, first = 0, last = 0, w = INT64_MIN;
    int64_t first_at = 0, last_at = 0;

    for (int i = 0; i < to; i++) {
        const struct happened *h = &m->log[i];

        if (h->is_watermark)
            w = h->time;
        if (!in_window(m, h, key, start, w))
            continue;
        n++;
        if (h->nil)
            continue;
        if (nx == 0 || h->x < min)
            min = h->x;
        if (nx == 0 || h->x > max)
            max = h->x;
        if (nx == 0 || h->time < first_at)
            first = h->x, first_at = h->time;
        if (nx == 0 || h->time >= last_at)
            last = h->x, last_at = h->time;
        nx++;
        sum += h->x;
    }
    if (n == 0)
        return;
    buf_printf(out,
               "final key=%s time=%lld {\"k\":%s,\"window_start\":%lld,\"window_end\":%lld,"
               "\"n\":%lld,",
               key_json[key], (long long)(start + m->w.size_ms - 1), key_json[key],
               (long long)start, (long long)(start + m->w.size_ms), (long long)n);
    if (nx == 0) {
        buf_append_str(out, "\"sum\":null,\"avg\":null,\"min\":null,\"max\":null,\"first\":null,"
                            "\"last\":null}\n");
        return;
    }
    char avg[NUMBER_TEXT_SIZE];
    number_format_float((double)sum / (double)nx, avg);
    buf_printf(out,
               "\"sum\":%lld,\"avg\":%s,\"min\":%lld,\"max\":\"%lld\",\"first\":%lld,"
               "\"last\":[%lld]}\n",
               (long long)sum, avg, (long long)min, (long long)max, (long long)first,
               (long long)last);
}

static bool is_late(const struct model *m, int64_t t, int64_t w, bool *wholly)
{
    bool some = false, all = true;

    for (int64_t s = -m->w.size_ms; s <= t; s++) {
        if (s % m->w.every_ms != 0 || t < s || t >= s + m->w.size_ms)
            continue;
        if (s + m->w.size_ms + m->w.grace_ms <= w)
            some = true;
        else
            all = false;
    }
    *wholly = all;
    return some;
}

static void model_text(const struct model *m, struct buf *out)
{
    int64_t w = INT64_MIN;
    bool wholly;

    for (int i = 0; i < m->n; i++) {
        const struct happened *h = &m->log[i];

        if (!h->is_watermark) {
            if (is_late(m, h->time, w, &wholly))
                buf_printf(out, "late key=%s time=%lld x\n", key_json[h->key],
                           (long long)h->time);
            continue;
        }
        for (int64_t s = -m->w.size_ms; s < h->time; s++)
            if (s % m->w.every_ms == 0 && s + m->w.size_ms + m->w.grace_ms <= h->time &&
                (w == INT64_MIN || s + m->w.size_ms + m->w.grace_ms > w))
                for (int k = 0; k < KEYS; k++)
                    model_group(m, i, k, s, out);
        w = h->time;
    }
}

// --- the real one ---

static struct run *given_run(const struct plan_window *w, bool fused)
{
    struct run *r = fake_new();
    static const char *const k_name[] = {"k"};
    static struct plan_aggregate aggs[7];
    static const char *const args[] = {NULL, "x", "x", "x", "s", "x", "l"};
    static const char *const names[] = {"n", "sum", "avg", "min", "max", "first", "last"};
    int agg, sink;

    fake_node(r, NODE_SOURCE, -1, OUT_MAIN);
    agg = fake_node(r, NODE_AGGREGATE, 0, OUT_MAIN);
    for (int i = 0; i < 7; i++) {
        aggs[i] = (struct plan_aggregate){.name = bytes_str(names[i]), .kind = (enum agg_kind)i};
        aggs[i].has_arg = args[i] != NULL;
        if (args[i] != NULL)
            aggs[i].arg = fake_expr(r, args[i]);
    }
    r->nodes[agg].aggregate.window = *w;
    r->nodes[agg].aggregate.aggs = aggs;
    r->nodes[agg].aggregate.n = 7;
    r->nodes[agg].aggregate.table = fused ? 0 : -1;
    r->nodes[agg].key_names = (const char **)k_name;
    r->nodes[agg].n_key_names = 1;
    sink = fake_node(r, FAKE_SINK, agg, OUT_FINAL);
    r->nodes[sink].name = "final";
    sink = fake_node(r, FAKE_SINK, agg, OUT_LATE);
    r->nodes[sink].name = "late";
    r->check_order = true;
    return r;
}

static void when_opened(struct run *r, size_t cache, size_t rows)
{
    assert_int_equal(fake_open(r), 0);
    aggregate_limits(r->ops[1], rows);
    r->cache_bytes = cache;
}

static int send(struct run *r, const struct happened *h)
{
    char json[200];

    if (h->nil)
        snprintf(json, sizeof(json), "{\"s\":null}");
    else
        snprintf(json, sizeof(json), "{\"x\":%lld,\"s\":\"%lld\",\"l\":[%lld]}", (long long)h->x,
                 (long long)h->x, (long long)h->x);
    return fake_send(r, 0, json, key_value(h->key), h->time);
}

// The late records' values are the records': shortened, the model does not print them.
static void shorten_late(struct run *r, struct buf *out)
{
    const char *p = fake_text(r);

    buf_clear(out);
    while (*p != 0) {
        const char *end = strchr(p, '\n'), *brace = strchr(p, '{');

        ASSERT(end != NULL);
        if (strncmp(p, "late", 4) == 0 && brace != NULL && brace < end) {
            buf_append(out, p, (size_t)(brace - p));
            buf_append_str(out, "x\n");
        } else {
            buf_append(out, p, (size_t)(end - p + 1));
        }
        p = end + 1;
    }
}

static void check_text(struct run *r, const struct model *m)
{
    struct buf want = BUF_EMPTY, got = BUF_EMPTY;

    model_text(m, &want);
    shorten_late(r, &got);
    if (strcmp(buf_cstr(&want), buf_cstr(&got)) != 0) {
        size_t i = 0;

        while (want.p[i] == got.p[i])
            i++;
        while (i > 0 && want.p[i - 1] != '\n')
            i--;
        fail_msg("seed %llu\nwant %.500s\ngot  %.500s", (unsigned long long)seed,
                 (const char *)want.p + i, (const char *)got.p + i);
    }
    buf_deinit(&want);
    buf_deinit(&got);
}

struct walk {
    struct random rnd;
    int64_t now, watermark, watermark_committed;
};

static void reached(struct run *r, struct model *m, struct walk *k, int64_t w)
{
    if (w <= k->watermark || m->n == STEPS)
        return;
    m->log[m->n++] = (struct happened){.is_watermark = true, .time = w};
    k->watermark = w;
    assert_int_equal(fake_watermark(r, w), 0);
}

static void commit(struct run *r, struct model *m, struct walk *k)
{
    assert_int_equal(fake_commit(r), 0);
    m->n_committed = m->n;
    k->watermark_committed = k->watermark;
}

static void go_back(struct run *r, struct model *m, struct walk *k, bool restart, size_t cache,
                    size_t rows)
{
    fake_abort(r);
    if (restart) {
        fake_close(r);
        when_opened(r, cache, rows);
    }
    m->n = m->n_committed;
    k->watermark = k->watermark_committed;
    assert_int_equal(fake_watermark(r, k->watermark), 0);
}

// A record with a value that cannot be summed leaves nothing.
static void send_bad(struct run *r, struct walk *k)
{
    struct value key = key_value((int)random_below(&k->rnd, KEYS));
    int rc = fake_send(r, 0, "{\"x\":1,\"s\":\"zzz\",\"l\":5,\"x\":\"no\"}", key, k->now + 5);

    assert_int_equal(rc, LEAT_ETYPE);
}

static void step(struct run *r, struct model *m, struct walk *k, size_t cache, size_t rows)
{
    uint64_t what = random_below(&k->rnd, 100);

    r->careful = random_below(&k->rnd, 4) == 0; // rows are read at once

    if (what < 4) {
        commit(r, m, k);
    } else if (what < 6) {
        go_back(r, m, k, what == 5, cache, rows);
    } else if (what < 9) {
        send_bad(r, k);
    } else if (what < 25) {
        reached(r, m, k, k->now - (int64_t)random_below(&k->rnd, 12));
    } else {
        struct happened h = {.time = k->now - (int64_t)random_below(&k->rnd, 25),
                             .key = (int)random_below(&k->rnd, KEYS),
                             .nil = random_below(&k->rnd, 5) == 0,
                             .x = 10 + (int64_t)random_below(&k->rnd, 80)};

        if (h.time < 0)
            h.time = 0;
        m->log[m->n++] = h;
        assert_int_equal(send(r, &h), 0);
        k->now += (int64_t)random_below(&k->rnd, 3);
    }
}

static void run_model(uint64_t s, bool fused)
{
    struct model *m = heap_zalloc(sizeof(*m));
    struct walk k = {.watermark = INT64_MIN, .watermark_committed = INT64_MIN};
    size_t cache, rows;
    struct run *r;

    random_seed(&k.rnd, s);
    m->w.size_ms = 1 + (int64_t)random_below(&k.rnd, 30);
    m->w.every_ms = random_below(&k.rnd, 2)
                        ? m->w.size_ms
                        : 1 + (int64_t)random_below(&k.rnd, (uint64_t)m->w.size_ms);
    m->w.kind = m->w.every_ms == m->w.size_ms ? WINDOW_TUMBLING : WINDOW_HOPPING;
    m->w.grace_ms = (int64_t)random_below(&k.rnd, 10);
    cache = random_below(&k.rnd, 3) ? 3000 : 1000000;
    rows = 1 + random_below(&k.rnd, 12);
    r = given_run(&m->w, fused);
    when_opened(r, cache, rows);
    while (m->n < STEPS)
        step(r, m, &k, cache, rows);
    commit(r, m, &k);
    check_text(r, m);
    fake_free(r);
    heap_free(m);
}

// Whatever the order of records, commits, aborts and restarts: each closed window goes out once,
// in order, with exactly the records that counted.
static void test_model(void **state)
{
    (void)state;
    for (int i = 0; i < 24; i++, seed++)
        run_model(seed, i % 2 == 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_model)};

    if (argc > 1)
        seed = strtoull(argv[1], NULL, 10);
    printf("seed %llu\n", (unsigned long long)seed);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
