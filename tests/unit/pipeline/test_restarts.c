// SPDX-License-Identifier: Apache-2.0
//
// What a job computes is a function of its input. Random small jobs over several disordered
// partitions run twice over the same records: once straight through with all state in memory, once
// in steps of random sizes with restarts, and steps that the machine takes back, at random places,
// and with as good as no memory. Tables, outputs, parked
// and late records must be the same, byte for byte. The plan's shape, the records and the places
// each come from the seed (first argument), which is printed.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "operators/operators.h"
#include "projections/jobfile_internal.h"
#include "runtime/base/random.h"
#include "runtime/engine/driver.h"
#include "tests/support/plan_build.h"

#define START INT64_C(1767225600000)
enum { RECORDS = 250, PARTITIONS = 3, JOBS = 60, JOBS_ON_DISK = 8 };

static uint64_t seed = 1;

struct trial {
    struct plan *plan;
    struct driver *driver;
    struct random cuts;
    bool split;
    const char *path; // of the job file; NULL: in memory
    int faults;       // that fired
    int n_published; // topics in `topics`
    const char *topics[14];
    struct err e;
};

static int store_open(void *arg, const struct plan *p, struct store **out, struct err *e)
{
    struct jobfile_options o = {.path = ((struct trial *)arg)->path};

    return jobfile_open(out, p, &o, e);
}

static void store_close(void *arg, struct store *s)
{
    (void)arg;
    jobfile_close(s);
}

// User code: some records fail by themselves; sometimes the machine does, once.
static int user(void *arg, struct fn_call *c, struct err *e)
{
    struct trial *t = arg;

    if (plan_build_int(c, "x") % 17 == 3)
        return err_set(e, LEAT_ELUA, "a number that it does not like");
    if (t->split && random_below(&t->cuts, 60) == 0)
        return err_set(e, LEAT_ENOSPC, "the disk is full for a moment");
    return 0;
}

// --- random plans ---

static int to(struct trial *t, int from, enum plan_port port, const char *topic)
{
    t->topics[t->n_published++] = topic;
    return plan_build_to(t->plan, from, port, topic);
}

static void more_aggregates(struct plan *p, int agg)
{
    static const enum agg_kind kinds[] = {AGG_SUM, AGG_MIN, AGG_MAX, AGG_FIRST, AGG_LAST};
    static const char *const names[] = {"total", "least", "most", "oldest", "newest"};
    struct plan_aggregate *a = arena_zalloc(&p->arena, 6 * sizeof *a);

    a[0] = p->nodes[agg].aggregate.aggs[0];
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        a[i + 1] = (struct plan_aggregate){.name = bytes_str(names[i]),
                                           .kind = kinds[i],
                                           .arg = plan_build_expr(p, "x"),
                                           .has_arg = true};
    p->nodes[agg].aggregate.aggs = a;
    p->nodes[agg].aggregate.n = 6;
}

// Groups that are forgotten, and what is told of them.
static void forgetful(struct trial *t, struct random *r, int agg)
{
    static const int64_t ttls[] = {300, 2000, 9000};
    int n = plan_add_node(t->plan, NODE_CHANGES, t->plan->n_nodes + 1);
    struct plan_node *changes = &t->plan->nodes[n];

    t->plan->nodes[agg].aggregate.ttl_ms = ttls[random_below(r, 3)];
    changes->inputs = arena_zalloc(&t->plan->arena, sizeof *changes->inputs);
    changes->inputs[0] = (struct plan_input){.node = agg, .port = OUT_CHANGES};
    changes->n_inputs = 1;
    if (random_below(r, 2) == 0)
        n = plan_build_map(t->plan, n, user, t);
    (void)to(t, n, OUT_MAIN, "per_changed");
}

static int windowed(struct trial *t, struct random *r, int from)
{
    static const int64_t sizes[] = {1000, 5000, 20000};
    enum window_kind kind = random_below(r, 3) == 0 ? WINDOW_NONE : WINDOW_TUMBLING;
    int64_t size = kind == WINDOW_NONE ? 0 : sizes[random_below(r, 3)];
    int agg = plan_build_count(t->plan, plan_build_by(t->plan, from, "k"), kind, size);
    struct plan_window *w = &t->plan->nodes[agg].aggregate.window;

    if (kind == WINDOW_TUMBLING && random_below(r, 3) == 0) {
        w->kind = WINDOW_HOPPING;
        w->every_ms = size / 5;
    }
    if (w->kind == WINDOW_TUMBLING && random_below(r, 3) == 0) {
        w->kind = WINDOW_SESSION;
        w->size_ms = 1 + size / 4;
        w->every_ms = 0;
    }
    if (kind == WINDOW_TUMBLING && random_below(r, 2) == 0)
        w->grace_ms = (int64_t)random_below(r, 4000);
    if (random_below(r, 2) == 0)
        more_aggregates(t->plan, agg);
    if (kind == WINDOW_NONE && random_below(r, 3) > 0)
        forgetful(t, r, agg);
    return agg;
}

// Windows of what closed: a record born inside goes on like any other.
static void above(struct trial *t, struct random *r, int agg)
{
    int n = plan_build_map(t->plan, agg, user, t);

    t->plan->nodes[n].inputs[0].port = OUT_FINAL;
    n = plan_build_count(t->plan, plan_build_by(t->plan, n, "k"), WINDOW_TUMBLING, 20000);
    if (random_below(r, 2) == 0)
        (void)plan_build_into(t->plan, n, "upper");
    (void)to(t, n, OUT_FINAL, "upper_closed");
    (void)to(t, n, OUT_LATE, "upper_late");
}

// The record with the row that was there some time before.
static void as_of(struct trial *t, int from)
{
    struct plan *p = t->plan;
    int n = plan_build_select(p, from, (const char *const[]){"k", "k", "x", "x", "t", "t", NULL});
    struct plan_join *j;

    n = plan_build_where(p, n, "x >= 0");
    p->nodes[n].kind = NODE_JOIN;
    j = &p->nodes[n].join;
    *j = (struct plan_join){.with = JOIN_AS_OF, .kind = JOIN_LEFT, .as = BYTES_LIT("was"),
                            .name = "aged", .table = plan_table_find(p, "aged"), .wait_ms = -1};
    j->n_on = 2;
    j->on = arena_zalloc(&p->arena, 2 * sizeof *j->on);
    j->on[0] = (struct plan_field){BYTES_LIT("k"), plan_build_expr(p, "k")};
    j->on[1] = (struct plan_field){BYTES_LIT("s"), plan_build_expr(p, "x % 7")};
    j->at = plan_build_expr(p, "t - 900");
    (void)to(t, n, OUT_MAIN, "then");
}

// Rows that go by time, others that go with them, and what is told of both.
static void aged(struct trial *t, struct random *r, int source)
{
    static const char *const ttls[] = {"0s after t", "700ms after t", "3s after t", "15s after t"};
    static const char *const names[] = {"aged", "notes"};
    struct plan *p = t->plan;
    int from = random_below(r, 2) == 0 ? source : plan_build_where(p, source, "x % 3 > 0");

    plan_build_table(p, "aged", "k text, s integer, x integer, t time, primary key (k, s)");
    p->tables[p->n_tables - 1].ttl = ttls[random_below(r, 4)];
    if (random_below(r, 2) == 0)
        p->tables[p->n_tables - 1].history = random_below(r, 4) == 0 ? "3s" : "30s";
    if (p->tables[p->n_tables - 1].history != NULL)
        as_of(t, source);
    plan_build_table(p, "notes", "k text, s integer, x integer, primary key (x, k), foreign key"
                                 " (k, s) references aged on delete cascade");
    from = plan_build_set(p, from, "s", "x % 7");
    (void)plan_build_into(p, from, "aged");
    from = plan_build_where(p, from, "x > 40");
    (void)plan_build_into(p, from, "notes");
    for (int i = 0; i < 2; i++) {
        int n = plan_build_changes(p, names[i]), agg;

        agg = plan_build_by(p, n, "k or $old.k");
        agg = plan_build_count(p, agg, WINDOW_TUMBLING, 2000);
        p->nodes[agg].aggregate.window.grace_ms = (int64_t)random_below(r, 2) * 2000;
        (void)to(t, agg, OUT_FINAL, i ? "note_counts" : "aged_counts");
        n = plan_build_set(p, plan_build_where(p, n, "x == nil"), "x", "$old.x");
        (void)to(t, plan_build_map(p, n, user, t), OUT_MAIN, i ? "notes_gone" : "aged_gone");
    }
}

static void given_plan(struct trial *t, uint64_t s)
{
    static const char *const fields[] = {"k", "k", "x", "x * 2", NULL};
    struct plan *p = plan_build("random");
    struct random r;
    int source, n, agg;

    random_seed(&r, s);
    t->plan = p;
    source = n = plan_build_source(p, "in", random_below(&r, 4) == 0 ? NULL : "t");
    p->nodes[source].source.disorder_ms = (int64_t)random_below(&r, 3) * 1500;
    p->nodes[source].source.idle_ms = -1; // the clock moves when the machine fails
    p->nodes[source].source.ahead_ms = INT64_C(1) << 40;
    if (random_below(&r, 2) == 0)
        aged(t, &r, source);
    if (random_below(&r, 2) == 0)
        n = plan_build_where(p, n, "x > 10");
    if (random_below(&r, 2) == 0)
        n = plan_build_map(p, n, user, t);
    if (random_below(&r, 2) == 0)
        n = plan_build_select(p, n, fields);
    if (random_below(&r, 2) == 0)
        (void)to(t, n, OUT_MAIN, "out");
    agg = windowed(t, &r, n);
    if (p->nodes[agg].aggregate.window.kind == WINDOW_NONE || random_below(&r, 3) > 0)
        (void)plan_build_into(p, agg, "per");
    if (p->nodes[agg].aggregate.window.kind != WINDOW_NONE) {
        (void)to(t, agg, OUT_LATE, "late");
        (void)to(t, agg, OUT_FINAL, "closed");
        if (random_below(&r, 2) == 0)
            above(t, &r, agg);
    }
    p->errors.dead = t->topics[t->n_published++] = "dead";
    if (random_below(&r, 3) == 0)
        p->errors.park = PARK_RECORD;
    if (t->split)
        p->commit.records = (int64_t)(1 + random_below(&t->cuts, 40));
}

// --- a run ---

static void check(struct trial *t, int rc)
{
    if (rc != 0)
        fail_msg("seed %llu: %s", (unsigned long long)seed, t->e.text);
}

static void send_all(struct trial *t, uint64_t s)
{
    struct random r;
    int64_t now = START;

    random_seed(&r, s + 1000003);
    driver_batch_begin(t->driver);
    for (int i = 0; i < RECORDS; i++) {
        int64_t time;
        char json[100], key[8];
        struct driver_record rec;

        now += (int64_t)random_below(&r, 400);
        time = now - (int64_t)random_below(&r, 5000);
        snprintf(key, sizeof key, "k%d", (int)random_below(&r, 9));
        snprintf(json, sizeof json, "{\"k\":\"%s\",\"x\":%d,\"t\":%lld}%s", key,
                 (int)random_below(&r, 100), (long long)time,
                 random_below(&r, 40) == 0 ? "!" : "");
        rec = (struct driver_record){.key = bytes_str(key),
                                     .value = bytes_str(json),
                                     .partition = (int32_t)random_below(&r, PARTITIONS),
                                     .timestamp = time};
        check(t, driver_send(t->driver, "in", &rec, &t->e));
        if (random_below(&r, 8) == 0) {
            check(t, driver_batch_end(t->driver, &t->e));
            driver_batch_begin(t->driver);
        }
    }
    check(t, driver_batch_end(t->driver, &t->e));
}

static struct db *db_of(struct trial *t)
{
    return jobfile_of(driver_store(t->driver))->db;
}

// One turn; on disk, with a disk that may be full at some write of it.
static void turn(struct trial *t)
{
    struct job_turn turn;

    if (t->path != NULL && random_below(&t->cuts, 2) == 0)
        db_fault_arm(db_of(t), (int64_t)random_below(&t->cuts, 25), LEAT_ENOSPC, false);
    check(t, job_turn(driver_job(t->driver), driver_now(t->driver), &turn, &t->e));
    if (t->path != NULL) {
        t->faults += db_fault_fired(db_of(t));
        db_fault_arm(db_of(t), -1, 0, false);
    }
    if (!turn.worked)
        driver_set_now(t->driver, driver_now(t->driver) + 30000);
}

static void run_in_pieces(struct trial *t)
{
    struct job_status status = {.lag = 1};

    do {
        for (uint64_t turns = random_below(&t->cuts, 6); turns > 0; turns--)
            turn(t);
        job_status(driver_job(t->driver), &status);
        check(t, driver_restart(t->driver, &t->e));
    } while (status.lag > 0);
}

static void dump_rows(struct trial *t, const char *sql, struct buf *out)
{
    struct query_request q = {.sql = bytes_str(sql)};
    struct query_answer answer;
    struct query_reader *r;
    struct arena a;

    arena_init(&a);
    check(t, jobfile_reader_of(&r, driver_store(t->driver), &t->e));
    check(t, r->ops->run(r, &q, &a, &answer, &t->e));
    check(t, query_answer_json(&answer, false, out, &t->e));
    r->ops->close(r);
    arena_deinit(&a);
    buf_append_byte(out, '\n');
}

// Order is promised per partition, that is per key.
static int by_key(const void *a, const void *b)
{
    const struct batch_record *x = *(const struct batch_record *const *)a;
    const struct batch_record *y = *(const struct batch_record *const *)b;
    int c = bytes_cmp(x->key, y->key);

    return c != 0 ? c : (x > y) - (x < y);
}

static void dump_topic(struct trial *t, const char *topic, struct buf *out)
{
    const struct batch_record *records, **sorted;
    size_t n = driver_take(t->driver, topic, &records);

    sorted = calloc(n + 1, sizeof *sorted);
    for (size_t i = 0; i < n; i++)
        sorted[i] = &records[i];
    qsort(sorted, n, sizeof *sorted, by_key);
    for (size_t i = 0; i < n; i++)
        buf_printf(out, "%s %.*s %.*s @%lld\n", topic, BYTES_FMT(sorted[i]->key),
                   BYTES_FMT(sorted[i]->value), (long long)sorted[i]->timestamp);
    free(sorted);
}

static void dump(struct trial *t, struct buf *out)
{
    for (int i = 0; i < t->plan->n_tables; i++) {
        char sql[100];

        snprintf(sql, sizeof sql, "select * from %s", t->plan->tables[i].name);
        dump_rows(t, sql, out);
        snprintf(sql, sizeof sql, "select * from %s__history", t->plan->tables[i].name);
        if (t->plan->tables[i].history != NULL)
            dump_rows(t, sql, out);
    }
    dump_rows(t, "select entry, hex(key), state, class, message, topic, partition, offset, time"
                 " from _leat_parked order by id", out);
    dump_rows(t, "select * from _leat_late order by op, slot", out);
    dump_rows(t, "select topic, partition, next, watermark, last_time from _leat_offsets"
                 " order by topic, partition", out);
    for (int i = 0; i < t->n_published; i++)
        dump_topic(t, t->topics[i], out);
}

// The faults of the disk that it went through.
static int run_trial(uint64_t s, bool split, const char *path, struct buf *out)
{
    struct trial t = {.split = split, .path = path};
    struct driver_config c = {.operators = operator_types(),
                              .stores = {.open = store_open, .close = store_close, .arg = &t},
                              .start_ms = START,
                              .n_partitions = PARTITIONS};

    random_seed(&t.cuts, s + 77);
    given_plan(&t, s);
    c.plan = t.plan;
    c.cache_bytes = split ? 1 + random_below(&t.cuts, 2) * 3000 : SIZE_MAX;
    c.step_bytes = split ? 1 + random_below(&t.cuts, 2) * 10000 : SIZE_MAX;
    check(&t, plan_finish(t.plan, &t.e));
    check(&t, driver_open(&t.driver, &c, &t.e));
    send_all(&t, s);
    if (split)
        run_in_pieces(&t);
    t.split = false;
    check(&t, driver_advance(t.driver, 3600 * 1000, &t.e));
    dump(&t, out);
    driver_close(t.driver);
    plan_free(t.plan);
    return t.faults;
}

// The line in which the two first differ.
static void fail_at(const char *a, const char *b)
{
    const char *x = a, *y = b;

    for (const char *p = a, *q = b; *p != 0 && *p == *q; p++, q++)
        if (*p == '\n') {
            x = p + 1;
            y = q + 1;
        }
    fail_msg("seed %llu\nwhole:     %.*s\nin pieces: %.*s", (unsigned long long)seed,
             (int)(strcspn(x, "\n") < 400 ? strcspn(x, "\n") : 400), x,
             (int)(strcspn(y, "\n") < 400 ? strcspn(y, "\n") : 400), y);
}

// The bytes that both runs gave.
static size_t compare(const char *path, int *faults)
{
    struct buf whole = BUF_EMPTY, split = BUF_EMPTY;
    size_t n;

    (void)run_trial(seed, false, NULL, &whole);
    *faults += run_trial(seed, true, path, &split);
    if (strcmp(buf_cstr(&whole), buf_cstr(&split)) != 0)
        fail_at(buf_cstr(&whole), buf_cstr(&split));
    n = whole.n;
    buf_deinit(&whole);
    buf_deinit(&split);
    return n;
}

// Tables, outputs, parked and late records do not depend on where steps end, where the job is
// restarted, which steps had to be taken back, and how much of the state is in memory.
static void test_restarts_do_not_matter(void **state)
{
    size_t bytes = 0;
    int faults = 0;

    (void)state;
    for (int i = 0; i < JOBS; i++, seed++)
        bytes += compare(NULL, &faults);
    assert_true(bytes > JOBS * 1000);
}

// Nor does it matter when the disk is full for a moment.
static void test_full_disks_do_not_matter(void **state)
{
    char dir[] = "/tmp/leat-restarts-XXXXXX", path[64], command[64];
    int faults = 0;

    (void)state;
    assert_non_null(mkdtemp(dir));
    for (int i = 0; i < JOBS_ON_DISK; i++, seed++) {
        snprintf(path, sizeof path, "%s/%d.db", dir, i);
        (void)compare(path, &faults);
    }
    assert_true(faults > JOBS_ON_DISK);
    snprintf(command, sizeof command, "rm -r %s", dir);
    assert_int_equal(system(command), 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_restarts_do_not_matter),
        cmocka_unit_test(test_full_disks_do_not_matter),
    };

    if (argc > 1)
        seed = strtoull(argv[1], NULL, 10);
    printf("seed %llu\n", (unsigned long long)seed);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
