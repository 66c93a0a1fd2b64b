// SPDX-License-Identifier: Apache-2.0
//
// Sessions against a model: random records in disorder, ties, bridges, late ones that join an open
// session, commits, aborts and restarts at random places, a cache too small for the accumulators.
// The model is a list of sessions, each a list of its records, and writes its table through at
// every record. Seed: first argument; LEAT_TEST_RUNS is how many (default 40).
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
#define KEYS 4

static uint64_t seed = 1;

struct happened {
    bool is_watermark;
    int64_t time;
    int key;
    int64_t x;
};

struct visit {
    int key;
    int64_t start, end;
    int records[STEPS]; // in order of arrival
    int n;
};

struct row {
    int key;
    int64_t start;
    bool open;
    char text[4000];
};

struct model {
    int64_t gap, grace;
    struct happened log[STEPS];
    int n, n_committed;
    // of one replay
    struct visit *open[STEPS];
    int n_open;
    struct row *rows[STEPS];
    int n_rows;
    struct buf out;
};

static const char *const key_json[KEYS] = {"1", "2.5", "\"\"", "\"a\""};

static struct value key_value(int i)
{
    if (i < 2)
        return i == 0 ? value_int(1) : value_float(2.5);
    return value_text(bytes_of("a", i == 2 ? 0 : 1));
}

// --- the model ---

static bool before(const struct model *m, int a, int b)
{
    if (m->log[a].time != m->log[b].time)
        return m->log[a].time < m->log[b].time;
    return a < b;
}

static void visit_text(const struct model *m, const struct visit *v, struct buf *out)
{
    int sorted[STEPS];
    int64_t sum = 0;

    for (int i = 0; i < v->n; i++) {
        int at = i;

        for (; at > 0 && before(m, v->records[i], sorted[at - 1]); at--)
            sorted[at] = sorted[at - 1];
        sorted[at] = v->records[i];
        sum += m->log[v->records[i]].x;
    }
    buf_printf(out, "\"n\":%d,\"sum\":%lld,\"first\":\"%lld\",\"last\":%lld,\"list\":[", v->n,
               (long long)sum, (long long)m->log[sorted[0]].x,
               (long long)m->log[sorted[v->n - 1]].x);
    for (int i = 0; i < v->n; i++)
        buf_printf(out, "%s%lld", i ? "," : "", (long long)m->log[sorted[i]].x);
    buf_append_str(out, "]");
}

static int row_index(const struct model *m, int key, int64_t start)
{
    for (int i = 0; i < m->n_rows; i++)
        if (m->rows[i]->key == key && m->rows[i]->start == start)
            return i;
    return -1;
}

static void row_delete(struct model *m, int key, int64_t start)
{
    int i = row_index(m, key, start);

    if (i < 0)
        return;
    heap_free(m->rows[i]);
    m->rows[i] = m->rows[--m->n_rows];
}

static void row_put(struct model *m, const struct visit *v, bool open)
{
    int i = row_index(m, v->key, v->start);
    struct buf text = BUF_EMPTY;
    struct row *row;

    if (i < 0) {
        i = m->n_rows++;
        m->rows[i] = heap_alloc(sizeof(struct row));
    }
    row = m->rows[i];
    row->key = v->key;
    row->start = v->start;
    row->open = open;
    buf_printf(&text, "%lld..%lld ", (long long)v->start, (long long)v->end);
    visit_text(m, v, &text);
    snprintf(row->text, sizeof(row->text), "%s", buf_cstr(&text));
    buf_deinit(&text);
}

static void model_close(struct model *m, int64_t w)
{
    for (;;) {
        int best = -1;
        struct visit *v;

        for (int i = 0; i < m->n_open; i++) {
            const struct visit *a = m->open[i], *b = best < 0 ? NULL : m->open[best];

            if (a->end + m->grace <= w &&
                (b == NULL || a->end < b->end || (a->end == b->end && a->key < b->key)))
                best = i;
        }
        if (best < 0)
            return;
        v = m->open[best];
        m->open[best] = m->open[--m->n_open];
        buf_printf(&m->out,
                   "final key=%s time=%lld {\"k\":%s,\"window_start\":%lld,\"window_end\":%lld,",
                   key_json[v->key], (long long)v->end - 1, key_json[v->key],
                   (long long)v->start, (long long)v->end);
        visit_text(m, v, &m->out);
        buf_append_str(&m->out, "}\n");
        row_put(m, v, false);
        heap_free(v);
    }
}

static void model_record(struct model *m, int i, int64_t w)
{
    const struct happened *h = &m->log[i];
    struct visit *joined = heap_zalloc(sizeof(*joined));
    bool alone = true;

    *joined = (struct visit){
        .key = h->key, .start = h->time, .end = h->time + m->gap, .records = {i}, .n = 1};
    for (int k = 0; k < m->n_open; k++) {
        struct visit *v = m->open[k];

        if (v->key != h->key || v->start >= h->time + m->gap || h->time >= v->end)
            continue;
        alone = false;
        row_delete(m, v->key, v->start);
        for (int r = 0; r < v->n; r++)
            joined->records[joined->n++] = v->records[r];
        joined->start = v->start < joined->start ? v->start : joined->start;
        joined->end = v->end > joined->end ? v->end : joined->end;
        heap_free(v);
        m->open[k--] = m->open[--m->n_open];
    }
    if (alone && joined->end + m->grace <= w) {
        buf_printf(&m->out, "late key=%s time=%lld {\"x\":%lld,\"s\":\"%lld\"}\n",
                   key_json[h->key], (long long)h->time, (long long)h->x, (long long)h->x);
        heap_free(joined);
        return;
    }
    m->open[m->n_open++] = joined;
    row_put(m, joined, true);
}

static void model_run(struct model *m)
{
    int64_t w = INT64_MIN;

    buf_clear(&m->out);
    for (int i = 0; i < m->n; i++) {
        if (m->log[i].is_watermark) {
            w = m->log[i].time;
            model_close(m, w);
        } else {
            model_record(m, i, w);
        }
    }
}

static void model_clear(struct model *m)
{
    while (m->n_open > 0)
        heap_free(m->open[--m->n_open]);
    while (m->n_rows > 0)
        heap_free(m->rows[--m->n_rows]);
}

// --- the real one ---

static struct run *given_run(const struct model *m, bool fused)
{
    static const char *const k_name[] = {"k"};
    static const char *const names[] = {"n", "sum", "first", "last", "list"};
    static const char *const args[] = {NULL, "x", "s", "x", "x"};
    static const enum agg_kind kinds[] = {AGG_COUNT, AGG_SUM, AGG_FIRST, AGG_LAST, AGG_COLLECT};
    struct run *r = fake_new();
    struct plan_aggregate *aggs = arena_zalloc(&r->keep, 5 * sizeof(*aggs));
    int agg, sink;

    fake_node(r, NODE_SOURCE, -1, OUT_MAIN);
    agg = fake_node(r, NODE_AGGREGATE, 0, OUT_MAIN);
    for (int i = 0; i < 5; i++) {
        aggs[i] = (struct plan_aggregate){
            .name = bytes_str(names[i]), .kind = kinds[i], .has_arg = args[i] != NULL};
        if (args[i] != NULL)
            aggs[i].arg = fake_expr(r, args[i]);
    }
    r->nodes[agg].aggregate.window = (struct plan_window){
        .kind = WINDOW_SESSION, .size_ms = m->gap, .grace_ms = m->grace};
    r->nodes[agg].aggregate.aggs = aggs;
    r->nodes[agg].aggregate.n = 5;
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

static void opened(struct run *r, size_t cache)
{
    assert_int_equal(fake_open(r), 0);
    r->cache_bytes = cache;
}

static int send(struct run *r, const struct happened *h, bool bad)
{
    char json[100];

    snprintf(json, sizeof(json), "{\"x\":%lld,\"s\":\"%lld\"%s}", (long long)h->x, (long long)h->x,
             bad ? ",\"x\":\"bad\"" : "");
    return fake_send(r, 0, json, key_value(h->key), h->time);
}

static void expect_text(const char *want, const char *got, const char *what)
{
    size_t i = 0;

    if (strcmp(want, got) == 0)
        return;
    while (want[i] == got[i])
        i++;
    while (i > 0 && want[i - 1] != '\n')
        i--;
    fail_msg("seed %llu %s\nwant %.600s\ngot  %.600s", (unsigned long long)seed, what, want + i,
             got + i);
}

// The model's row of a row of the real one, or NULL.
static const struct row *row_of(const struct model *m, const struct fake_row *row)
{
    for (int i = 0; i < m->n_rows; i++) {
        struct value key = key_value(m->rows[i]->key);

        if (m->rows[i]->start == row->window && value_eq(&key, &row->parts[0], NULL))
            return m->rows[i];
    }
    return NULL;
}

static void check_rows(struct run *r, const struct model *m, bool fused)
{
    static const char *const names[] = {"n", "sum", "first", "last", "list"};
    const struct fake_rows *rows = &r->state[0].now;
    size_t n = 0, open = 0;

    for (int i = 0; i < m->n_rows; i++) {
        n += fused || m->rows[i]->open;
        open += m->rows[i]->open;
    }
    assert_int_equal(rows->n, n);
    assert_int_equal(r->state[1].now.n, open); // of the due index
    for (size_t i = 0; i < rows->n; i++) {
        const struct fake_row *row = &rows->rows[i];
        const struct row *want = row_of(m, row);
        struct buf got = BUF_EMPTY;

        assert_non_null(want);
        assert_int_equal(want->open, !bytes_is_null(row->blob));
        buf_printf(&got, "%lld..%lld ", (long long)row->window, (long long)row->window_end);
        for (int c = 0; fused && c < 5; c++) {
            buf_printf(&got, "%s\"%s\":", c ? "," : "", names[c]);
            assert_int_equal(value_write_json(&row->columns[c], &got, NULL), 0);
        }
        if (fused)
            expect_text(want->text, buf_cstr(&got), "row");
        buf_deinit(&got);
    }
}

struct walk {
    struct random rnd;
    int64_t now, watermark, watermark_committed;
    size_t cache;
};

static void go_back(struct run *r, struct model *m, struct walk *k, bool restart)
{
    fake_abort(r);
    if (restart) {
        fake_close(r);
        opened(r, k->cache);
    }
    m->n = m->n_committed;
    k->watermark = k->watermark_committed;
    assert_int_equal(fake_watermark(r, k->watermark), 0);
}

static void step(struct run *r, struct model *m, struct walk *k)
{
    uint64_t what = random_below(&k->rnd, 100);
    struct happened h = {.time = k->now - (int64_t)random_below(&k->rnd, 60),
                         .key = (int)random_below(&k->rnd, KEYS),
                         .x = 1 + (int64_t)random_below(&k->rnd, 99)};

    if (what < 5) {
        assert_int_equal(fake_commit(r), 0);
        m->n_committed = m->n;
        k->watermark_committed = k->watermark;
    } else if (what < 7) {
        go_back(r, m, k, what == 6);
    } else if (what < 14) {
        int rc = send(r, &h, true);

        assert_true(rc == LEAT_ETYPE || rc == 0); // a late one is not looked at
        if (rc == 0)
            r->text.n = (size_t)((const char *)strrchr(fake_text(r), 'l') - (char *)r->text.p);
    } else if (what < 24 && k->now - 40 > k->watermark) {
        int64_t w = k->now - (int64_t)random_below(&k->rnd, 40);

        m->log[m->n++] = (struct happened){.is_watermark = true, .time = w};
        k->watermark = w;
        assert_int_equal(fake_watermark(r, w), 0);
    } else {
        m->log[m->n++] = h;
        assert_int_equal(send(r, &h, false), 0);
        k->now += (int64_t)random_below(&k->rnd, 7);
    }
}

static void run_model(uint64_t s, bool fused)
{
    struct model *m = heap_zalloc(sizeof(*m));
    struct walk k = {.now = 1000, .watermark = INT64_MIN, .watermark_committed = INT64_MIN};
    struct run *r;

    random_seed(&k.rnd, s);
    m->gap = 1 + (int64_t)random_below(&k.rnd, 30);
    m->grace = random_below(&k.rnd, 2) ? 0 : (int64_t)random_below(&k.rnd, 50);
    k.cache = random_below(&k.rnd, 3) ? 100 : 1000000;
    r = given_run(m, fused);
    opened(r, k.cache);
    while (m->n < STEPS)
        step(r, m, &k);
    assert_int_equal(fake_commit(r), 0);
    model_run(m);
    expect_text(buf_cstr(&m->out), fake_text(r), "output");
    check_rows(r, m, fused);
    model_clear(m);
    buf_deinit(&m->out);
    fake_free(r);
    heap_free(m);
}

// Whatever the order of records, commits, aborts and restarts: sessions close once, in order, with
// exactly their records, late ones go aside, and rows are those of sessions that are or were.
static void test_model(void **state)
{
    const char *runs = getenv("LEAT_TEST_RUNS");
    int n = runs != NULL ? (int)strtol(runs, NULL, 10) : 40;

    (void)state;
    for (int i = 0; i < n; i++, seed++)
        run_model(seed, i % 2 == 0);
}

// A session that closes costs its own rows, however many others of its key are open.
static void test_closing_writes_only_its_own(void **state)
{
    struct model *m = heap_zalloc(sizeof(*m));
    struct run *r;
    int64_t puts;

    (void)state;
    m->gap = 10;
    r = given_run(m, false);
    opened(r, 100);
    for (int i = 0; i < 100; i++)
        assert_int_equal(
            send(r, &(struct happened){.time = 1000 + 20 * i, .key = 1, .x = 1}, false), 0);
    assert_int_equal(fake_commit(r), 0);
    assert_int_equal(r->state[0].now.n, 100);
    assert_int_equal(fake_watermark(r, 1009), 0);
    puts = r->puts;
    assert_int_equal(fake_commit(r), 0);
    assert_int_equal(r->puts, puts);
    assert_int_equal(fake_watermark(r, 1010), 0);
    assert_int_equal(fake_commit(r), 0);
    assert_int_equal(r->state[0].now.n, 99);
    assert_int_equal(r->state[1].now.n, 99);
    assert_int_equal(r->puts, puts);
    fake_free(r);
    heap_free(m);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_model),
                                       cmocka_unit_test(test_closing_writes_only_its_own)};

    if (argc > 1)
        seed = strtoull(argv[1], NULL, 10);
    printf("seed %llu\n", (unsigned long long)seed);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
