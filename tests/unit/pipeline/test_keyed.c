// SPDX-License-Identifier: Apache-2.0
//
// process and interval joins against brute force: random records, out of order, late, with ties, on
// several partitions; the job is restarted and stopped by failures on the way. What it publishes
// must be what a model says that looks at all records at once. Seed: first argument.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "operators/operators.h"
#include "projections/jobfile.h"
#include "runtime/base/failpoint.h"
#include "runtime/base/heap.h"
#include "runtime/base/random.h"
#include "runtime/engine/driver.h"
#include "tests/support/plan_build.h"

#define START INT64_C(1767225600000)
#define PARTS 3
#define DISORDER 2000
#define RECORDS 300

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

// --- the records, and the watermark as the engine defines it ---

struct sample {
    int side; // 0: left, 1: right
    int part;
    int key;
    int64_t t;
    int id;
    bool hot;
};

struct model_clock {
    int64_t w[2][PARTS];
};

static void clock_init(struct model_clock *c)
{
    for (int s = 0; s < 2; s++)
        for (int i = 0; i < PARTS; i++)
            c->w[s][i] = INT64_MIN;
}

static void clock_record(struct model_clock *c, const struct sample *x)
{
    int64_t w = x->t - DISORDER;

    if (w > c->w[x->side][x->part])
        c->w[x->side][x->part] = w;
}

static int64_t clock_of(const struct model_clock *c, int sides)
{
    int64_t w = INT64_MAX;

    for (int s = 0; s < sides; s++)
        for (int i = 0; i < PARTS; i++)
            w = c->w[s][i] < w ? c->w[s][i] : w;
    return w;
}

static int make_samples(struct sample *out, int sides, uint64_t s)
{
    struct random r;
    int64_t t = START;

    random_seed(&r, s);
    for (int i = 0; i < RECORDS; i++) {
        int64_t late = random_below(&r, 10) == 0 ? 40000 : 3000;

        t += random_below(&r, 40) == 0 ? 20000 : (int64_t)random_below(&r, 800);
        out[i] = (struct sample){.side = (int)random_below(&r, (uint64_t)sides),
                                 .part = (int)random_below(&r, PARTS),
                                 .key = (int)random_below(&r, 4),
                                 .t = (t - (int64_t)random_below(&r, (uint64_t)late)) / 100 * 100,
                                 .id = i,
                                 .hot = random_below(&r, 3) > 0};
    }
    return RECORDS;
}

// --- the job under test ---

struct fixture {
    struct plan *plan;
    struct driver *driver;
    struct err e;
};

static void given_job(struct fixture *f, struct plan *p)
{
    struct driver_config c = {.plan = p,
                              .operators = operator_types(),
                              .stores = {.open = store_open, .close = store_close},
                              .start_ms = START,
                              .n_partitions = PARTS,
                              .cache_bytes = 1 + seed % 3 * 2000,
                              .step_bytes = 1 + seed % 2 * 10000};

    *f = (struct fixture){.plan = p};
    if (plan_finish(p, &f->e) != 0 || driver_open(&f->driver, &c, &f->e) != 0)
        fail_msg("%s", f->e.text);
}

static void sent(struct fixture *f, const struct sample *x)
{
    char json[100];
    struct driver_record r = {.key = BYTES_NULL, .partition = x->part, .timestamp = START};

    snprintf(json, sizeof(json), "{\"k\":\"k%d\",\"t\":%lld,\"id\":%d,\"hot\":%s}", x->key,
             (long long)x->t, x->id, x->hot ? "true" : "false");
    r.value = bytes_str(json);
    if (driver_send(f->driver, x->side == 0 ? "left" : "right", &r, &f->e) != 0)
        fail_msg("%s", f->e.text);
}

static void take(struct fixture *f, struct buf *out)
{
    const struct batch_record *records;
    size_t n = driver_take(f->driver, "out", &records);

    for (size_t i = 0; i < n; i++)
        buf_printf(out, "%.*s\n", BYTES_FMT(records[i].value));
}

// Turns until the record is through: steps that fail are taken back and run again, after a restart
// or, where the disk was full, a while later.
static void run_through(struct fixture *f)
{
    struct job_status status;
    int rc = driver_run(f->driver, &f->e);

    failpoint_arm(NULL);
    if (rc != 0 && driver_restart(f->driver, &f->e) != 0)
        fail_msg("%s", f->e.text);
    job_status(driver_job(f->driver), &status);
    if (status.state == JOB_WAITING)
        driver_set_now(f->driver, driver_now(f->driver) + 60000);
    if (driver_run(f->driver, &f->e) != 0)
        fail_msg("%s", f->e.text);
}

// One record per step, so that the order in which they are handled is the order of sending.
static void run_samples(struct fixture *f, const struct sample *x, int n, struct random *cuts,
                        struct buf *out)
{
    static const char *const points[] = {"after_lua=eio@1", "before_commit=enospc@1",
                                         "before_begin=enospc@1", "before_mark=enospc@1"};

    for (int i = 0; i < n; i++) {
        sent(f, &x[i]);
        if (cuts != NULL && random_below(cuts, 12) == 0)
            failpoint_arm(points[random_below(cuts, ARRAY_LEN(points))]);
        run_through(f);
        if (cuts != NULL && random_below(cuts, 12) == 0 && driver_restart(f->driver, &f->e) != 0)
            fail_msg("%s", f->e.text);
        take(f, out);
    }
}

static void done(struct fixture *f)
{
    driver_close(f->driver);
    plan_free(f->plan);
}

static void source_settings(struct plan *p, int node)
{
    p->nodes[node].source.disorder_ms = DISORDER;
    p->nodes[node].source.idle_ms = -1;
    p->nodes[node].source.ahead_ms = INT64_C(1) << 40;
}

// The order of outputs is promised within a partition.
static void to_one_partition(struct plan *p, int from)
{
    int to = plan_build_to(p, from, OUT_MAIN, "out");

    p->nodes[to].to.has_key = true;
    p->nodes[to].to.key = plan_build_expr(p, "'one'");
}

// Names the first line that differs.
static void expect_same(const struct buf *model, const struct buf *job, const char *what)
{
    size_t line = 0, i = 0;

    while (i < model->n && i < job->n && model->p[i] == job->p[i])
        if (model->p[i++] == '\n')
            line = i;
    if (i < model->n || i < job->n)
        fail_msg("seed %llu, %s, from byte %zu of %zu and %zu\nmodel: %.*s\njob:   %.*s",
                 (unsigned long long)seed, what, line, model->n, job->n,
                 (int)(model->n - line > 200 ? 200 : model->n - line),
                 (const char *)model->p + line,
                 (int)(job->n - line > 200 ? 200 : job->n - line), (const char *)job->p + line);
}

// --- interval joins ---

static struct plan *join_plan(enum join_kind kind, int64_t lo, int64_t hi, int64_t grace)
{
    static const char *const out[] = {"id", "id", "r", "r.id", "at", "$time", "k", "$key", NULL};
    struct plan *p = plan_build("join");
    int left = plan_build_source(p, "left", "t"), right = plan_build_source(p, "right", "t");
    int by_left, by_right, join;

    source_settings(p, left);
    source_settings(p, right);
    by_left = plan_build_by(p, left, "k");
    by_right = plan_build_by(p, right, "k");
    join = plan_build_where(p, by_left, "true");
    plan_build_merge(p, join, by_right);
    p->nodes[join].kind = NODE_JOIN;
    p->nodes[join].join = (struct plan_join){.with = JOIN_STREAM,
                                             .kind = kind,
                                             .as = BYTES_LIT("r"),
                                             .table = -1,
                                             .wait_ms = -1,
                                             .lo_ms = lo,
                                             .hi_ms = hi,
                                             .grace_ms = grace};
    to_one_partition(p, plan_build_select(p, join, out));
    return p;
}

struct waiting {
    const struct sample *x;
    int64_t expires;
    bool here, matched;
};

static int by_expiry(const void *a, const void *b)
{
    const struct waiting *x = *(struct waiting *const *)a, *y = *(struct waiting *const *)b;

    if (x->expires != y->expires)
        return x->expires < y->expires ? -1 : 1;
    if (x->x->key != y->x->key)
        return x->x->key < y->x->key ? -1 : 1;
    if (x->x->side != y->x->side)
        return x->x->side < y->x->side ? -1 : 1;
    return x->x->id - y->x->id;
}

static void model_line(struct buf *out, const struct sample *l, const struct sample *r, int64_t at)
{
    buf_append_str(out, "{");
    if (l != NULL)
        buf_printf(out, "\"id\":%d,", l->id);
    if (r != NULL)
        buf_printf(out, "\"r\":%d,", r->id);
    buf_printf(out, "\"at\":%lld,\"k\":\"k%d\"}\n", (long long)at, l != NULL ? l->key : r->key);
}

static int by_time(const void *a, const void *b)
{
    const struct waiting *x = *(struct waiting *const *)a, *y = *(struct waiting *const *)b;

    if (x->x->t != y->x->t)
        return x->x->t < y->x->t ? -1 : 1;
    return x->x->id - y->x->id;
}

static void model_pairs(struct waiting *all, int n, struct waiting *me, const struct plan_join *j,
                        struct buf *out)
{
    struct waiting *found[RECORDS];
    size_t m = 0;

    for (int i = 0; i < n; i++) {
        const struct sample *l = me->x->side == 0 ? me->x : all[i].x;
        const struct sample *r = me->x->side == 0 ? all[i].x : me->x;

        if (all[i].here && all[i].x->side != me->x->side && all[i].x->key == me->x->key &&
            r->t - l->t >= j->lo_ms && r->t - l->t <= j->hi_ms)
            found[m++] = &all[i];
    }
    qsort(found, m, sizeof(found[0]), by_time);
    for (size_t i = 0; i < m; i++) {
        const struct sample *l = me->x->side == 0 ? me->x : found[i]->x;
        const struct sample *r = me->x->side == 0 ? found[i]->x : me->x;

        found[i]->matched = me->matched = true;
        model_line(out, l, r, l->t > r->t ? l->t : r->t);
    }
}

static void model_expire(struct waiting *all, int n, int64_t w, const struct plan_join *j,
                         struct buf *out)
{
    struct waiting *gone[RECORDS];
    size_t m = 0;

    for (int i = 0; i < n; i++)
        if (all[i].here && all[i].expires < w)
            gone[m++] = &all[i];
    qsort(gone, m, sizeof(gone[0]), by_expiry);
    for (size_t i = 0; i < m; i++) {
        int side = gone[i]->x->side;

        gone[i]->here = false;
        if (gone[i]->matched || j->kind == JOIN_INNER || (j->kind == JOIN_LEFT && side == 1))
            continue;
        model_line(out, side == 0 ? gone[i]->x : NULL, side == 1 ? gone[i]->x : NULL,
                   gone[i]->expires);
    }
}

static int model_join(const struct sample *x, int n, const struct plan_join *j, struct buf *out)
{
    struct waiting all[RECORDS] = {0};
    struct model_clock c;
    int late = 0;

    clock_init(&c);
    for (int i = 0; i < n; i++) {
        int64_t ahead = x[i].side == 0 ? j->hi_ms : -j->lo_ms;

        all[i] = (struct waiting){&x[i], x[i].t + (ahead > 0 ? ahead : 0) + j->grace_ms, true, 0};
        if (all[i].expires < clock_of(&c, 2)) {
            all[i].here = false;
            late++;
        } else {
            model_pairs(all, i, &all[i], j, out);
        }
        clock_record(&c, &x[i]);
        model_expire(all, i + 1, clock_of(&c, 2), j, out);
    }
    return late;
}

static void check_join(enum join_kind kind, int64_t lo, int64_t hi, int64_t grace)
{
    for (int broken = 0; broken < 2; broken++) {
        struct sample x[RECORDS];
        struct buf model = BUF_EMPTY, job = BUF_EMPTY;
        struct job_status status;
        struct random cuts;
        struct fixture f;
        int n = make_samples(x, 2, seed), late;
        struct plan_join j = {.kind = kind, .lo_ms = lo, .hi_ms = hi, .grace_ms = grace};

        random_seed(&cuts, seed + 77);
        late = model_join(x, n, &j, &model);
        given_job(&f, join_plan(kind, lo, hi, grace));
        run_samples(&f, x, n, broken ? &cuts : NULL, &job);
        expect_same(&model, &job, broken ? "with failures" : "undisturbed");
        job_status(driver_job(f.driver), &status);
        assert_int_equal(status.parked, 0);
        if (!broken)
            assert_int_equal(status.late, late);
        buf_deinit(&model);
        buf_deinit(&job);
        done(&f);
    }
}

// Each pair within the interval comes out once, when its second half arrives; what met nobody comes
// out once, in the order of expiry; late records do neither.
static void test_joins(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++, seed++) {
        check_join(JOIN_INNER, -1000, 5000, 0);
        check_join(JOIN_LEFT, -1000, 5000, 1000);
        check_join(JOIN_OUTER, -3000, 3000, 0);
        check_join(JOIN_LEFT, -9000, -2000, 0);
        check_join(JOIN_OUTER, 2000, 9000, 500);
    }
}

// --- process ---

struct c_fn {
    struct fn fn;
    int (*call)(struct fn_call *c);
};

static int c_call(struct fn *f, struct fn_call *c, struct err *e)
{
    (void)e;
    return container_of(f, struct c_fn, fn)->call(c);
}

static void c_fingerprint(struct fn *f, struct buf *out)
{
    (void)f;
    buf_append_str(out, "C");
}

static void c_free(struct fn *f)
{
    heap_free(container_of(f, struct c_fn, fn));
}

static const struct fn_ops c_ops = {.call = c_call, .fingerprint = c_fingerprint, .free = c_free};

static struct fn *c_fn(int (*call)(struct fn_call *c))
{
    struct c_fn *f = heap_zalloc(sizeof(*f));

    *f = (struct c_fn){.fn = {.ops = &c_ops, .file = "test", .line = 1}, .call = call};
    return &f->fn;
}

static void ask_timer(struct fn_call *c, const char *name, int64_t at)
{
    struct fn_keyed *k = c->keyed;
    struct fn_timer *t = arena_alloc(c->arena, (k->n_timers + 1) * sizeof(*t));

    if (k->n_timers > 0)
        memcpy(t, k->timers, k->n_timers * sizeof(*t));
    t[k->n_timers++] = (struct fn_timer){.name = bytes_str(name), .at = at, .cancel = at == 0};
    k->timers = t;
}

// Counts records; "soon" moves with every hot record and is cancelled by a cold one; "once" stays
// where the first record of a state put it.
static int on_record(struct fn_call *c)
{
    struct value v = {0};
    int64_t n = c->keyed->state.type == VALUE_INT ? c->keyed->state.i : 0;

    assert_int_equal(view_member(&c->event->view, BYTES_LIT("hot"), &v, NULL), 0);
    ask_timer(c, "soon", v.b ? c->event->time + 4000 : 0);
    if (n == 0)
        ask_timer(c, "once", c->event->time - 1000);
    c->keyed->used = true;
    c->keyed->state = value_int(n + 1);
    return 0;
}

static int on_timer(struct fn_call *c)
{
    int64_t n = c->keyed->state.type == VALUE_INT ? c->keyed->state.i : 0;
    const char *name = (const char *)arena_copy(c->arena, c->event->view.root.s).p;

    if (strcmp(name, "again") != 0)
        ask_timer(c, "again", c->event->time + 1500);
    c->keyed->used = true;
    if (n >= 6)
        c->keyed->state = VALUE_OF_MISSING;
    c->result = value_text(
        bytes_str(arena_printf(c->arena, "%.*s %s %lld %lld", BYTES_FMT(c->event->key.s), name,
                               (long long)c->event->time, (long long)n)));
    return 0;
}

static struct plan *process_plan(int64_t ttl)
{
    struct plan *p = plan_build("process");
    int left = plan_build_source(p, "left", "t"), node;

    source_settings(p, left);
    node = plan_build_where(p, plan_build_by(p, left, "k"), "true");
    p->nodes[node].kind = NODE_PROCESS;
    p->nodes[node].process =
        (struct plan_process){.on = c_fn(on_record), .timer = c_fn(on_timer), .ttl_ms = ttl};
    to_one_partition(p, node);
    return p;
}

struct model_key {
    bool there;
    int64_t n, touched;
    int64_t timers[3]; // again, once, soon; 0: not set
};

static void model_use(struct model_key *k, int64_t ttl, int64_t w)
{
    if (ttl > 0 && k->there && w > k->touched + ttl)
        k->there = false;
}

static void model_touch(struct model_key *k, int64_t t)
{
    if (t > k->touched)
        k->touched = t;
}

// The first timer due by (time, key, name).
static bool model_fire(struct model_key *keys, int64_t ttl, int64_t w, int64_t before,
                       struct buf *out)
{
    static const char *const names[] = {"again", "once", "soon"};
    int key = -1, name = 0;
    struct model_key *k;
    int64_t t, n;

    for (int i = 0; i < 4; i++)
        for (int m = 0; m < 3; m++)
            if (keys[i].timers[m] != 0 && keys[i].timers[m] <= w &&
                (key < 0 || keys[i].timers[m] < keys[key].timers[name]))
                key = i, name = m;
    if (key < 0)
        return false;
    k = &keys[key];
    t = k->timers[name];
    k->timers[name] = 0;
    model_use(k, ttl, before);
    n = k->there ? k->n : 0;
    if (name != 0)
        k->timers[0] = t + 1500;
    buf_printf(out, "\"k%d %s %lld %lld\"\n", key, names[name], (long long)t, (long long)n);
    if (n >= 6)
        k->there = false;
    model_touch(k, t);
    if (!k->there && k->timers[0] == 0 && k->timers[1] == 0 && k->timers[2] == 0)
        k->touched = INT64_MIN / 2;
    return true;
}

static void model_process(const struct sample *x, int n, int64_t ttl, struct buf *out)
{
    struct model_key keys[4] = {0};
    struct model_clock c;
    int64_t before = INT64_MIN;

    clock_init(&c);
    for (int i = 0; i < 4; i++)
        keys[i].touched = INT64_MIN / 2;
    for (int i = 0; i < n; i++) {
        struct model_key *k = &keys[x[i].key];

        model_use(k, ttl, before);
        k->n = k->there ? k->n : 0;
        k->timers[2] = x[i].hot ? x[i].t + 4000 : 0;
        if (k->n == 0)
            k->timers[1] = x[i].t - 1000;
        k->there = true;
        k->n++;
        model_touch(k, x[i].t);
        clock_record(&c, &x[i]);
        while (model_fire(keys, ttl, clock_of(&c, 1), before, out))
            continue;
        before = clock_of(&c, 1);
    }
}

static void check_process(int64_t ttl)
{
    for (int broken = 0; broken < 2; broken++) {
        struct sample x[RECORDS];
        struct buf model = BUF_EMPTY, job = BUF_EMPTY;
        struct random cuts;
        struct fixture f;
        int n = make_samples(x, 1, seed);

        random_seed(&cuts, seed + 99);
        model_process(x, n, ttl, &model);
        given_job(&f, process_plan(ttl));
        run_samples(&f, x, n, broken ? &cuts : NULL, &job);
        expect_same(&model, &job, broken ? "with failures" : "undisturbed");
        assert_true(model.n > 1000);
        buf_deinit(&model);
        buf_deinit(&job);
        done(&f);
    }
}

// Timers fire once each, in the order (time, key, name), when the watermark has reached them, over
// the state as it is then; a state is gone when the watermark is past its last use by more than the
// ttl.
static void test_process(void **state)
{
    (void)state;
    for (int i = 0; i < 6; i++, seed++) {
        check_process(-1);
        check_process(5000);
    }
}

// A state that was there before there was a ttl is not forgotten for that: it counts from its next
// use on.
static void test_a_ttl_that_comes_later(void **state)
{
    const struct sample x[] = {{.key = 0, .t = START},
                               {.key = 1, .t = START + 10000},
                               {.key = 1, .t = START + 20000},
                               {.key = 0, .t = START + 20500, .hot = true},
                               {.key = 1, .t = START + 60000}};
    struct buf out = BUF_EMPTY;
    struct fixture f;

    (void)state;
    given_job(&f, process_plan(-1));
    for (size_t i = 0; i < ARRAY_LEN(x); i++) {
        for (int part = 1; part < PARTS; part++)
            sent(&f, &(struct sample){.key = 5, .t = x[i].t, .part = part});
        sent(&f, &x[i]);
        run_through(&f);
        for (int n = 0; n < f.plan->n_nodes && i == 1; n++)
            if (f.plan->nodes[n].kind == NODE_PROCESS)
                f.plan->nodes[n].process.ttl_ms = 1000;
        assert_int_equal(driver_restart(f.driver, &f.e), 0);
    }
    take(&f, &out);
    if (strstr(buf_cstr(&out), "k0 soon 1767225624500 2") == NULL)
        fail_msg("%s", buf_cstr(&out));
    buf_deinit(&out);
    done(&f);
}

// The steps that one batch takes when a step may hold so much.
static int64_t steps_of_a_batch(size_t step_bytes)
{
    struct plan *p = process_plan(-1);
    struct driver_config c = {.plan = p,
                              .operators = operator_types(),
                              .stores = {.open = store_open, .close = store_close},
                              .start_ms = START,
                              .n_partitions = 1,
                              .cache_bytes = 1,
                              .step_bytes = step_bytes};
    struct fixture f = {.plan = p};
    struct job_status status;

    if (plan_finish(p, &f.e) != 0 || driver_open(&f.driver, &c, &f.e) != 0)
        fail_msg("%s", f.e.text);
    driver_batch_begin(f.driver);
    for (int i = 0; i < 200; i++)
        sent(&f, &(struct sample){.key = i, .t = START});
    assert_int_equal(driver_batch_end(f.driver, &f.e), 0);
    assert_int_equal(driver_run(f.driver, &f.e), 0);
    job_status(driver_job(f.driver), &status);
    assert_int_equal(status.records_in, 200);
    done(&f);
    return status.commits;
}

// A step that holds as much state as it may ends; the records behind it are the next one's.
static void test_memory_ends_a_step(void **state)
{
    int64_t one, some;

    (void)state;
    one = steps_of_a_batch(SIZE_MAX);
    some = steps_of_a_batch(20000);
    assert_true(some >= one + 2 && some < one + 20);
    assert_true(steps_of_a_batch(1) >= one + 20);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_joins),
        cmocka_unit_test(test_process),
        cmocka_unit_test(test_a_ttl_that_comes_later),
        cmocka_unit_test(test_memory_ends_a_step),
    };

    if (argc > 1)
        seed = strtoull(argv[1], NULL, 10);
    printf("seed %llu\n", (unsigned long long)seed);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
