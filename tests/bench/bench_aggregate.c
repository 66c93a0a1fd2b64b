// SPDX-License-Identifier: Apache-2.0
//
// What the aggregate operator costs per record, state writes excluded: text keys at random, steps
// of 100,000 records, a null state store. CPU time, the best of some runs; a figure, never a test.
//
//   bench_aggregate [runs [most keys]]
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "operators/aggregate.h"
#include "runtime/base/heap.h"
#include "runtime/base/random.h"

#define STEP_RECORDS 100000
#define STEPS 40

struct state {
    int64_t puts;
};

struct run {
    struct plan plan;
    struct states states;
    struct state state;
    struct arena arena;
    struct buf undo_bytes;
    size_t n_undo;
    struct {
        void *p;
        size_t n, pos;
    } undo[1024];
    struct value x;
    int64_t finals;
};

// --- the run, as lean as the engine's ---

void run_undo_bytes(struct run *r, void *p, size_t n)
{
    r->undo[r->n_undo].p = p;
    r->undo[r->n_undo].n = n;
    r->undo[r->n_undo++].pos = r->undo_bytes.n;
    buf_append(&r->undo_bytes, p, n);
}

void run_undo_call(struct run *r, void (*undo)(void *arg), void *arg)
{
    (void)r, (void)undo, (void)arg;
}

int operator_emit(struct operator *o, enum plan_port port, struct event *ev, struct err *e)
{
    (void)port, (void)ev, (void)e;
    o->run->finals++;
    return 0;
}

int operator_self(struct operator *o, struct event *ev, struct err *e)
{
    return o->type->process(o, ev, INPUT_SELF, e);
}

void operator_overdue(struct operator *o)
{
    (void)o;
}

int operator_eval(struct operator *o, const struct plan_expr *x, struct event *ev,
                  struct value *out, struct err *e)
{
    (void)x, (void)ev, (void)e;
    *out = o->run->x;
    return 0;
}

int operator_call(struct operator *o, struct fn *f, struct event *ev, struct fn_call *out,
                  struct err *e)
{
    (void)o, (void)f, (void)ev, (void)out, (void)e;
    return 0;
}

struct arena *run_arena(struct run *r)
{
    return &r->arena;
}

struct tables *run_tables(struct run *r)
{
    (void)r;
    return NULL;
}

struct states *run_states(struct run *r)
{
    return &r->states;
}

const struct plan *run_plan(struct run *r)
{
    return &r->plan;
}

int64_t run_now(struct run *r)
{
    (void)r;
    return 0;
}

int run_output(struct run *r, const struct plan_node *to, struct event *ev, struct value key,
               struct bytes value, const struct header *headers, size_t n_headers, struct err *e)
{
    (void)r, (void)to, (void)ev, (void)key, (void)value, (void)headers, (void)n_headers, (void)e;
    return 0;
}

void run_late(struct run *r, struct operator *o, struct event *ev, int64_t watermark)
{
    (void)r, (void)o, (void)ev, (void)watermark;
}

void run_skipped(struct run *r, struct operator *o)
{
    (void)r, (void)o;
}

int run_number_get(struct run *r, const char *name, int64_t *v, struct err *e)
{
    (void)r, (void)name, (void)v, (void)e;
    return 0;
}

int run_number_put(struct run *r, const char *name, int64_t v, struct err *e)
{
    (void)r, (void)name, (void)v, (void)e;
    return 0;
}

const char *table_verb_name(enum table_verb v)
{
    (void)v;
    return "";
}

const char *agg_kind_name(enum agg_kind k)
{
    (void)k;
    return "";
}

static int null_open(struct states *s, const struct state_spec *spec, struct state **out,
                     struct err *e)
{
    (void)spec, (void)e;
    *out = &container_of(s, struct run, states)->state;
    return 0;
}

static int null_get(struct state *st, const struct state_key *k, struct arena *a,
                    struct bytes *blob, struct err *e)
{
    (void)st, (void)k, (void)a, (void)blob, (void)e;
    return 0;
}

static int null_put(struct state *st, const struct state_key *k, const struct value *columns,
                    struct bytes blob, struct err *e)
{
    (void)k, (void)columns, (void)blob, (void)e;
    st->puts++;
    return 0;
}

static int null_scan(struct state *st, int64_t from, int64_t to,
                     int (*each)(void *arg, const struct state_key *k, struct bytes blob),
                     void *arg, struct err *e)
{
    (void)st, (void)from, (void)to, (void)each, (void)arg, (void)e;
    return 0;
}

static const struct states_ops null_states = {
    .open = null_open, .get = null_get, .put = null_put, .scan = null_scan};

// --- the measurement ---

struct cost {
    double process, flush; // ns per record; flush includes closing windows
    int64_t puts, finals;
};

static double cpu_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void must(int rc)
{
    if (rc < 0) {
        fprintf(stderr, "failed: %d\n", rc);
        exit(1);
    }
}

static void one_step(struct run *r, struct operator *o, struct event *ev, char (*names)[16])
{
    for (int i = 0; i < STEP_RECORDS; i++) {
        ev->key = value_text(bytes_of(names[i], 14));
        ev->time += i % 100 == 0;
        must(o->type->process(o, ev, 0, NULL));
        r->n_undo = 0;
        r->undo_bytes.n = 0;
        if (o->type->due(o) <= ev->time)
            must(o->type->watermark(o, ev->time, NULL));
        o->watermark = ev->time;
    }
}

static struct cost measure(uint32_t keys, int64_t window_ms, int n_aggs)
{
    static const enum agg_kind kinds[] = {AGG_COUNT, AGG_SUM, AGG_MIN, AGG_MAX};
    struct run *r = heap_zalloc(sizeof(*r));
    struct plan_aggregate aggs[4] = {0};
    struct plan_input reader = {.node = 0};
    struct plan_node node = {.kind = NODE_AGGREGATE, .id = "bench"};
    struct operator *o = heap_zalloc(operator_aggregate.size);
    struct event ev = {.time = 1700000040000};
    char(*batch)[16] = heap_alloc(STEP_RECORDS * sizeof(*batch)); // keys in the order of records
    struct random rnd;
    struct cost c = {0};

    r->states.ops = &null_states;
    r->x = value_float(20.5);
    arena_init(&r->arena);
    random_seed(&rnd, 11);
    for (int i = 0; i < n_aggs; i++)
        aggs[i] = (struct plan_aggregate){
            .name = BYTES_LIT("x"), .kind = kinds[i], .has_arg = kinds[i] != AGG_COUNT};
    node.aggregate.window = (struct plan_window){
        .kind = WINDOW_TUMBLING, .size_ms = window_ms, .every_ms = window_ms};
    node.aggregate.aggs = aggs;
    node.aggregate.n = n_aggs;
    node.aggregate.table = -1;
    node.outs[OUT_FINAL] = &reader;
    node.n_outs[OUT_FINAL] = 1;
    o->type = &operator_aggregate;
    o->node = &node;
    o->run = r;
    o->watermark = INT64_MIN;
    must(o->type->open(o, NULL));
    for (int s = 0; s < STEPS; s++) {
        double t0, t1;

        for (int i = 0; i < STEP_RECORDS; i++)
            snprintf(batch[i], sizeof(batch[i]), "sensor-%07d", (int)random_below(&rnd, keys));
        t0 = cpu_ns();
        one_step(r, o, &ev, batch);
        t1 = cpu_ns();
        must(o->type->flush(o, NULL));
        o->type->committed(o);
        c.process += t1 - t0;
        c.flush += cpu_ns() - t1;
    }
    c.process /= (double)STEPS * STEP_RECORDS;
    c.flush /= (double)STEPS * STEP_RECORDS;
    c.puts = r->state.puts;
    c.finals = r->finals;
    o->type->close(o);
    buf_deinit(&r->undo_bytes);
    arena_deinit(&r->arena);
    heap_free(batch);
    heap_free(o);
    heap_free(r);
    return c;
}

int main(int argc, char **argv)
{
    static const uint32_t keys[] = {1000, 100000, 1000000};
    static const int64_t windows[] = {60000, 1000};
    int runs = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 3;
    long most = argc > 2 ? strtol(argv[2], NULL, 10) : 1000000;

    printf("%8s %9s %5s %14s %12s %9s %9s\n", "keys", "window", "aggs", "records ns/rec",
           "flush ns/rec", "puts/rec", "closed/rec");
    for (size_t k = 0; k < ARRAY_LEN(keys) && keys[k] <= most; k++)
        for (size_t w = 0; w < ARRAY_LEN(windows); w++)
            for (int aggs = 1; aggs <= 4; aggs += 3) {
                struct cost best = {.process = 1e9};

                for (int i = 0; i < runs; i++) {
                    struct cost c = measure(keys[k], windows[w], aggs);

                    if (c.process + c.flush < best.process + best.flush)
                        best = c;
                }
                printf("%8u %7lld s %5d %14.1f %12.1f %9.2f %9.2f\n", keys[k],
                       (long long)(windows[w] / 1000), aggs, best.process, best.flush,
                       (double)best.puts / STEPS / STEP_RECORDS,
                       (double)best.finals / STEPS / STEP_RECORDS);
            }
    return 0;
}
