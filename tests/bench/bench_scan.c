// SPDX-License-Identifier: Apache-2.0
//
// What a record costs before anything is done with it: scanning a telemetry event of about 142
// bytes with two or three planned fields, and evaluating expressions over it. Prints ns per record,
// the median of nine runs.
//
//   cmake --build build/dev --target bench_scan && build/dev/tests/bench/bench_scan
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "runtime/base/random.h"
#include "runtime/expr/expr.h"

enum { RECORDS = 2000, ROUNDS = 50, RUNS = 9 };

struct bench {
    struct bytes json[RECORDS], msgpack[RECORDS];
    struct arena arena;
    struct fieldplan *plan;
    struct expr *expr;
    int64_t sum;
};

static double now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static void given_records(struct bench *b, struct arena *a)
{
    struct random r;

    random_seed(&r, 42);
    for (int i = 0; i < RECORDS; i++) {
        struct buf buf = BUF_EMPTY;
        struct value v;
        struct err e;
        char *text = arena_printf(
            a,
            "{\"device\":\"dev-%06u\",\"site\":\"plant-%02u\",\"ts\":%lld,\"temp\":%u.%02u,"
            "\"hum\":%u.%u,\"volt\":3.%02u,\"status\":\"%s\",\"fw\":\"2.4.%u\",\"seq\":%d}",
            (unsigned)random_below(&r, 100000), (unsigned)random_below(&r, 40),
            1700000000000LL + i * 7, (unsigned)random_below(&r, 100),
            (unsigned)random_below(&r, 100), (unsigned)random_below(&r, 100),
            (unsigned)random_below(&r, 10), (unsigned)random_below(&r, 100),
            random_below(&r, 50) ? "ok" : "fault", (unsigned)random_below(&r, 10), i);

        b->json[i] = bytes_str(text);
        if (value_decode(FORMAT_JSON, b->json[i], a, &v, &e) != 0 ||
            value_write_msgpack(&v, &buf, &e) != 0)
            abort();
        b->msgpack[i] = arena_copy(a, buf_bytes(&buf));
        buf_deinit(&buf);
    }
}

typedef void record_fn(struct bench *b, int i);

static void scan(struct bench *b, enum format f, struct bytes raw, struct event *ev)
{
    if (view_scan(&ev->view, b->plan, f, raw, &b->arena, NULL) != 0)
        abort();
}

static void scan_json(struct bench *b, int i)
{
    struct event ev = {0};

    scan(b, FORMAT_JSON, b->json[i], &ev);
    b->sum += (int64_t)ev.view.root.s.n;
}

static void eval_json(struct bench *b, int i)
{
    struct event ev = {0};
    struct expr_env env = {&ev, 0, &b->arena};
    struct value v;

    scan(b, FORMAT_JSON, b->json[i], &ev);
    if (expr_eval(b->expr, &env, &v, NULL) != 0)
        abort();
    b->sum += value_truthy(&v);
}

static void scan_msgpack(struct bench *b, int i)
{
    struct event ev = {0};

    scan(b, FORMAT_MSGPACK, b->msgpack[i], &ev);
    b->sum += (int64_t)ev.view.root.s.n;
}

static void eval_msgpack(struct bench *b, int i)
{
    struct event ev = {0};
    struct expr_env env = {&ev, 0, &b->arena};
    struct value v;

    scan(b, FORMAT_MSGPACK, b->msgpack[i], &ev);
    if (expr_eval(b->expr, &env, &v, NULL) != 0)
        abort();
    b->sum += value_truthy(&v);
}

static void member_json(struct bench *b, int i)
{
    struct event ev = {0};
    struct value v;

    scan(b, FORMAT_JSON, b->json[i], &ev);
    if (view_member(&ev.view, BYTES_LIT("hum"), &v, NULL) != 0)
        abort();
    b->sum += v.type;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static void measure(struct bench *b, const char *name, const char *text, record_fn *each)
{
    double runs[RUNS];
    struct err e;

    b->plan = fieldplan_new();
    if (expr_compile(&b->expr, bytes_str(text), NULL, b->plan, &e) != 0) {
        fprintf(stderr, "%s\n", e.text);
        exit(1);
    }
    for (int run = 0; run < RUNS; run++) {
        double start = now_ns();
        for (int round = 0; round < ROUNDS; round++) {
            for (int i = 0; i < RECORDS; i++) {
                each(b, i);
                arena_reset(&b->arena);
            }
        }
        runs[run] = (now_ns() - start) / (ROUNDS * RECORDS);
    }
    qsort(runs, RUNS, sizeof *runs, by_size);
    printf("%-16s %7.1f ns/record  (%.1f to %.1f)  %s\n", name, runs[RUNS / 2], runs[0],
           runs[RUNS - 1], text);
    expr_free(b->expr);
    fieldplan_free(b->plan);
}

int main(void)
{
    static struct bench b;
    struct arena records;
    double bytes = 0, packed = 0;

    arena_init(&records);
    given_records(&b, &records);
    for (int i = 0; i < RECORDS; i++) {
        bytes += (double)b.json[i].n / RECORDS;
        packed += (double)b.msgpack[i].n / RECORDS;
    }
    printf("# JSON %.1f bytes, MessagePack %.1f bytes a record\n", bytes, packed);
    measure(&b, "scan json", "1", scan_json);
    measure(&b, "scan json", "device and temp", scan_json);
    measure(&b, "scan json", "device and temp and status", scan_json);
    measure(&b, "scan+eval json", "temp > 90", eval_json);
    measure(&b, "scan+eval json", "status == 'fault' and temp > 90", eval_json);
    measure(&b, "scan+eval json", "temp * 1.8 + 32 > 120 or hum < 5", eval_json);
    measure(&b, "scan+member json", "temp", member_json);
    measure(&b, "scan msgpack", "device and temp", scan_msgpack);
    measure(&b, "scan+eval mp", "status == 'fault' and temp > 90", eval_msgpack);
    printf("# checksum %lld\n", (long long)b.sum);
    arena_deinit(&b.arena);
    arena_deinit(&records);
    return 0;
}
