// SPDX-License-Identifier: Apache-2.0
//
// What the engine costs per record around operators: 142-byte JSON telemetry in batches of 600,
// through  from -> where  with a condition that keeps nothing, keeps all, or has a time expression;
// topics in memory, a job file in memory. CPU time; a figure, never a test. `bare` is the cost of
// reading and scanning alone, so the rest is the engine's own.
//
//   bench_engine [records]
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "operators/operators.h"
#include "projections/jobfile.h"
#include "runtime/base/limits.h"
#include "runtime/engine/driver.h"
#include "runtime/engine/driver_log.h"
#include "tests/support/plan_build.h"

#define START INT64_C(1767225600000)
#define BATCH 600

static double cpu_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int open_store(void *arg, const struct plan *p, struct store **out, struct err *e)
{
    struct jobfile_options o = {.path = NULL};

    (void)arg;
    return jobfile_open(out, p, &o, e);
}

static void close_store(void *arg, struct store *s)
{
    (void)arg;
    jobfile_close(s);
}

static void die(const char *what, const struct err *e)
{
    fprintf(stderr, "bench_engine: %s: %s\n", what, e->text);
    exit(1);
}

static void feed(struct driver *d, int64_t records)
{
    struct err e;
    char json[256];

    for (int64_t i = 0; i < records; i++) {
        struct driver_record r = {.key = BYTES_LIT("TURBINE-101"), .timestamp = START};
        int n = snprintf(json, sizeof json,
                         "{\"assetId\":\"TURBINE-%03d\",\"site\":\"north\",\"temperature\":%d.5,"
                         "\"rpm\":%d,\"status\":\"ok\",\"ts\":%lld,\"firmware\":\"2.14.1\","
                         "\"seq\":%lld}",
                         (int)(i % 1000), (int)(60 + i % 40), (int)(1000 + i % 500),
                         (long long)(START + i / 100), (long long)i);
        if (i % BATCH == 0)
            driver_batch_begin(d);
        r.value = bytes_of(json, (size_t)n);
        if (driver_send(d, "telemetry", &r, &e) != 0)
            die("send", &e);
        if ((i % BATCH == BATCH - 1 || i == records - 1) && driver_batch_end(d, &e) != 0)
            die("send", &e);
    }
}

static double measure(const char *time, const char *condition, bool window, int64_t records)
{
    struct plan *p = plan_build("bench");
    struct driver_config c = {.plan = p,
                              .operators = operator_types(),
                              .stores = {.open = open_store, .close = close_store},
                              .start_ms = START};
    int n = plan_build_source(p, "telemetry", time);
    struct driver *d;
    struct err e;
    double t;

    n = plan_build_where(p, n, condition);
    if (window)
        (void)plan_build_into(
            p, plan_build_count(p, plan_build_by(p, n, "assetId"), WINDOW_TUMBLING, 60000), "w");
    if (plan_finish(p, &e) != 0 || driver_open(&d, &c, &e) != 0)
        die("open", &e);
    feed(d, records);
    t = cpu_ns();
    if (driver_run(d, &e) != 0)
        die("run", &e);
    t = cpu_ns() - t;
    driver_close(d);
    plan_free(p);
    return t / (double)records;
}

// Batches iterated, each value scanned with one field: what any reader has to do.
static double bare(int64_t records)
{
    struct fieldplan *f = fieldplan_new();
    struct path_step step = {.name = BYTES_LIT("temperature")};
    struct driver_topic *t;
    struct arena a;
    double at, sum = 0;
    struct plan *p = plan_build("bench");
    struct driver_config c = {.plan = p,
                              .operators = operator_types(),
                              .stores = {.open = open_store, .close = close_store},
                              .start_ms = START};
    struct driver *d;
    struct err e;

    (void)plan_build_source(p, "telemetry", NULL);
    (void)fieldplan_add(f, &step, 1);
    if (plan_finish(p, &e) != 0 || driver_open(&d, &c, &e) != 0)
        die("open", &e);
    feed(d, records);
    t = driver_log_find(driver_topics(d), "telemetry");
    arena_init(&a);
    at = cpu_ns();
    for (size_t i = 0; i < t->parts[0].n; i++) {
        struct batch_iter it;
        struct batch_record r;
        if (batch_iter_init(&it, t->parts[0].batches[i].bytes, BATCH_INFLATED_MAX, &a, &e) != 0)
            die("batch", &e);
        while (batch_iter_next(&it, &r, &e) == 1) {
            struct view v;
            struct value x;
            arena_reset(&a);
            if (view_scan(&v, f, FORMAT_JSON, r.value, &a, &e) != 0 ||
                view_slot(&v, 0, &x, &e) != 0)
                die("scan", &e);
            sum += x.f;
        }
    }
    at = cpu_ns() - at;
    arena_deinit(&a);
    fieldplan_free(f);
    driver_close(d);
    plan_free(p);
    return sum < 0 ? 0 : at / (double)records;
}

int main(int argc, char **argv)
{
    int64_t records = argc > 1 ? strtoll(argv[1], NULL, 10) : 1000000;

    for (int i = 0; i < 3; i++) {
        double base = bare(records);

        printf("ns/record: bare %.0f, where none %.0f, where all %.0f, with time %.0f, "
               "window %.0f\n",
               base, measure(NULL, "temperature > 1000", false, records),
               measure(NULL, "temperature > 0", false, records),
               measure("ts", "temperature > 1000", false, records),
               measure("ts", "temperature > 0", true, records));
    }
    return 0;
}
