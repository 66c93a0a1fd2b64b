// SPDX-License-Identifier: Apache-2.0
//
// Changed jobs over real files: a job runs and leaves its file, another text of it takes the file
// up, or says why not; then rows and outputs show what has become of both. A test per class of
// change.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "operators/operators.h"
#include "projections/jobfile_internal.h"
#include "runtime/base/failpoint.h"
#include "runtime/engine/driver_log.h"
#include "runtime/engine/job.h"
#include "scripts/script.h"

#define JOB "job 'shop' { version = 1 }\n"
#define NOW INT64_C(1767225600000)

enum { STAGES = 7 }; // of an upgrade

struct rig {
    char dir[64], path[96];
    struct driver_log log;
    struct clock_fake clock;
    struct jobfile_options options;
    struct plan *plan;
    struct store *store;
    struct job *job;
    struct arena arena;
    struct buf taken;
    struct err e;
};

static int setup(void **state)
{
    struct rig *r = calloc(1, sizeof *r);

    snprintf(r->dir, sizeof r->dir, "/tmp/leat-upgrade-XXXXXX");
    if (mkdtemp(r->dir) == NULL)
        return -1;
    snprintf(r->path, sizeof r->path, "%s/1.db", r->dir);
    r->options.path = r->path;
    driver_log_init(&r->log, 1);
    clock_fake_init(&r->clock, NOW);
    arena_init(&r->arena);
    *state = r;
    return 0;
}

static void stop(struct rig *r)
{
    job_close(r->job);
    jobfile_close(r->store);
    plan_free(r->plan);
    r->job = NULL;
    r->store = NULL;
    r->plan = NULL;
}

static int teardown(void **state)
{
    static const char *const ends[] = {"1.db", "1.db-wal", "1.db-shm", "1.lock"};
    struct rig *r = *state;
    char path[128];

    failpoint_arm(NULL);
    stop(r);
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        snprintf(path, sizeof path, "%s/%s", r->dir, ends[i]);
        (void)unlink(path);
    }
    (void)rmdir(r->dir);
    driver_log_deinit(&r->log);
    arena_deinit(&r->arena);
    buf_deinit(&r->taken);
    free(r);
    return 0;
}

static struct plan *load(struct rig *r, const char *text)
{
    struct script_options o = {
        .file = "jobs/shop.lua", .text = bytes_str(text), .operators = operator_types()};
    struct plan *p;

    if (script_load(&p, &o, &r->e) != 0)
        fail_msg("%s\n%s", r->e.text, text);
    return p;
}

static int open_job(struct rig *r)
{
    struct job_config c = {.plan = r->plan,
                           .source = &r->log.source,
                           .publisher = &r->log.publisher,
                           .operators = operator_types(),
                           .clock = &r->clock.base,
                           .gap_ms = -1,
                           .inputs_may_grow = true};
    int rc = jobfile_open(&r->store, r->plan, &r->options, &r->e);

    for (int i = 0; i < r->plan->n_nodes; i++)
        if (r->plan->nodes[i].kind == NODE_SOURCE)
            (void)driver_log_topic(&r->log, r->plan->nodes[i].source.topic, 0);
    c.store = r->store;
    return rc == 0 ? job_open(&r->job, &c, &r->e) : rc;
}

// The job as this text, over what is there. 0 or the error.
static int start(struct rig *r, const char *text)
{
    stop(r);
    r->plan = load(r, text);
    return open_job(r);
}

static void started(struct rig *r, const char *text)
{
    if (start(r, text) != 0)
        fail_msg("%s", r->e.text);
}

static void run(struct rig *r)
{
    struct job_turn t = {.worked = true};

    for (int i = 0; t.worked && i < 1000; i++)
        if (job_turn(r->job, r->clock.wall, &t, &r->e) != 0)
            fail_msg("%s", r->e.text);
}

static void send(struct rig *r, const char *topic, const char *value)
{
    struct driver_topic *t = driver_log_topic(&r->log, topic, 0);
    struct batch_builder b;
    struct bytes batch;

    batch_builder_init(&b);
    batch_builder_add(&b, r->clock.wall, BYTES_NULL, bytes_str(value), NULL, 0);
    assert_int_equal(batch_builder_finish(&b, CODEC_NONE, &batch, &r->e), 0);
    (void)driver_log_append(t, 0, batch, false);
    batch_builder_deinit(&b);
    run(r);
}

// What went to the topic since the last look.
static void expect(struct rig *r, const char *topic, const char *values)
{
    const struct batch_record *records;
    size_t n = driver_log_take(&r->log, topic, &records);

    buf_clear(&r->taken);
    for (size_t i = 0; i < n; i++)
        buf_printf(&r->taken, "%s%.*s", i > 0 ? " " : "", BYTES_FMT(records[i].value));
    assert_string_equal(buf_cstr(&r->taken), values);
}

// The first row's columns, all rows, as text.
static void rows(struct rig *r, const char *sql, const char *want)
{
    struct db_stmt *s;
    int rc;

    buf_clear(&r->taken);
    if (db_prepare(jobfile_of(r->store)->db, sql, &s, &r->e) != 0)
        fail_msg("%s", r->e.text);
    while ((rc = db_next(s, &r->e)) == 1) {
        buf_append_str(&r->taken, r->taken.n > 0 ? " | " : "");
        for (int i = 0; i < db_column_count(s); i++)
            buf_printf(&r->taken, "%s%.*s", i > 0 ? " " : "", BYTES_FMT(db_column_text(s, i)));
    }
    db_stmt_free(s);
    assert_int_equal(rc, 0);
    assert_string_equal(buf_cstr(&r->taken), want);
}

// How the text differs from what the file was made for: "class what name: ...", a line each.
static void differs(struct rig *r, const char *text, const char *want)
{
    struct jobfile_comparison c;
    struct plan *p = load(r, text);

    if (jobfile_compare(p, r->path, &r->arena, &c, &r->e) != 0)
        fail_msg("%s", r->e.text);
    buf_clear(&r->taken);
    for (int i = 0; i < c.differences.n; i++) {
        buf_printf(&r->taken, "%s%s: ", i > 0 ? "\n" : "",
                   upgrade_class_name(c.differences.items[i].class));
        difference_print(&c.differences.items[i], &r->taken);
    }
    plan_free(p);
    assert_string_equal(buf_cstr(&r->taken), want);
}

static void refused(struct rig *r, const char *text, const char *part)
{
    int rc = start(r, text);

    if (rc != LEAT_EINVAL || strstr(r->e.text, part) == NULL)
        fail_msg("%s: %s, not: %s\n%s", err_name(rc), r->e.text, part, text);
}

#define ORDERS "local orders = table 'orders' [[id text primary key, total integer]]\n"
#define INTO "from 'events' :into(orders, { id = 'id', total = 'total' })\n"

// --- in place ---

// A comment, a moved line, a renamed local: nothing has changed, and nothing is written down.
static void comments_and_locals(void **state)
{
    static const char now[] = "-- the shop\n" JOB
                              "\nlocal all = table 'orders' [[\n  id text primary key, -- an id\n"
                              "  total integer\n]]\n"
                              "from 'events'\n  :into(all, { total = 'total', id = '(id)' })\n";
    struct rig *r = *state;

    started(r, JOB ORDERS INTO);
    send(r, "events", "{\"id\":\"a\",\"total\":1}");
    differs(r, now, "");
    started(r, now);
    send(r, "events", "{\"id\":\"b\",\"total\":2}");
    rows(r, "select * from orders", "a 1 | b 2");
    rows(r, "select count(*) from _leat_upgrades", "0");
}

// Queries, views and indexes come, change and go in place.
static void queries_views_and_indexes(void **state)
{
    static const char now[] =
        JOB "local orders = table 'orders' [[id text primary key, total integer]]\n"
            "  { index = { 'total desc' } }\n" INTO
            "view 'large' [[select id from orders where total > 5]]\n"
            "query 'one' { params = { id = 'text' }, sql = 'select * from orders where id = :id' }";
    struct rig *r = *state;

    started(r, JOB ORDERS INTO "view 'small' [[select id from orders]]\n"
               "query 'one' { params = { id = 'text' }, "
               "sql = 'select total from orders where id = :id' }");
    send(r, "events", "{\"id\":\"a\",\"total\":1}");
    send(r, "events", "{\"id\":\"b\",\"total\":7}");
    differs(r, now,
            "in place: table orders: + index total desc\n"
            "in place: view large: + is new\n"
            "in place: view small: - is gone\n"
            "in place: query one: sql \"select total from orders where id = :id\" → "
            "\"select * from orders where id = :id\"");
    started(r, now);
    rows(r, "select id from large", "b");
    rows(r, "select count(*) from sqlite_schema where name = 'small'", "0");
    rows(r, "select count(*) from sqlite_schema where name glob '_leat_index_orders_*'", "1");
    started(r, JOB ORDERS INTO);
    rows(r, "select count(*) from sqlite_schema where type = 'view'", "0");
    rows(r, "select count(*) from sqlite_schema where name glob '_leat_index_orders_*'", "0");
    rows(r, "select id from orders", "a | b");
}

// A new column that may be null, or has a constant default: old rows have it, new ones fill it.
static void new_columns(void **state)
{
    static const char now[] =
        JOB "local orders = table 'orders' [[id text primary key, total integer,\n"
            "  note text, vip bool not null default false]]\n"
            "from 'events' :into(orders, { id = 'id', total = 'total' })\n";
    static const char then[] =
        JOB "local orders = table 'orders' [[id text primary key, total integer,\n"
            "  note text, vip bool not null default false, tags json, price decimal(10,2)]]\n"
            "from 'events' :into(orders, { id = 'id', total = 'total' })\n";
    struct rig *r = *state;

    started(r, JOB ORDERS INTO);
    send(r, "events", "{\"id\":\"a\",\"total\":1}");
    differs(r, now,
            "in place: table orders: + column note text\n"
            "in place: table orders: + column vip bool not null default false");
    started(r, now);
    send(r, "events", "{\"id\":\"b\",\"total\":2}");
    rows(r, "select id, total, note is null, vip from orders", "a 1 1 0 | b 2 1 0");
    rows(r, "select type from _leat_columns where name = 'vip'", "bool");
    rows(r, "select class, what, name, sign, text, commit_id from _leat_upgrades",
         "in place table orders + column note text 1 | "
         "in place table orders + column vip bool not null default false 1");
    started(r, then);
    started(r, then);
    rows(r, "select count(*) from _leat_upgrades", "4");
}

// What says when, and how errors and commits are dealt with, does not touch what is there.
static void settings(void **state)
{
    static const char was[] = JOB "from 'events' :by 'k'\n"
                                  "  :process { state = { n = 0 }, ttl = '1d',\n"
                                  "  on = function(v, ctx) ctx.state.n = ctx.state.n + 1\n"
                                  "    return { n = ctx.state.n } end } :to 'out'\n";
    static const char now[] = "job 'shop' { version = 1, errors = { limit = 5, park = 'record' },\n"
                              "  commit = { records = 7 } }\n"
                              "from 'events' { idle = '5s', ahead = '2h' } :by 'k'\n"
                              "  :process { state = { n = 0 }, ttl = '2d',\n"
                              "  on = function(v, ctx) ctx.state.n = ctx.state.n + 1\n"
                              "    return { n = ctx.state.n } end } :to 'out'\n";
    struct rig *r = *state;

    started(r, was);
    send(r, "events", "{\"k\":\"a\"}");
    differs(r, now,
            "in place: operator from[events]: idle 30s → 5s; ahead 1h → 2h\n"
            "in place: operator from[events]/by/process: ttl 1d → 2d\n"
            "in place: job errors: park \"key\" → \"record\"; limit 10000 → 5\n"
            "in place: job commit: records 100000 → 7");
    started(r, now);
    send(r, "events", "{\"k\":\"a\"}");
    expect(r, "out", "{\"n\":1} {\"n\":2}");
}

// A table's ttl is given, changed and taken in place; rows go by the one of now.
static void ttl_of_a_table(void **state)
{
#define WITH(ttl)                                                                                  \
    JOB "local t = table 't' [[id text primary key, at time not null]]" ttl "\n"                   \
        "from 'events' { time = 'at', ahead = '99d' } :into(t, { id = 'id', at = 'at' })\n"
    struct rig *r = *state;

    started(r, WITH(""));
    send(r, "events", "{\"id\":\"a\",\"at\":\"2026-01-01\"}");
    differs(r, WITH("{ ttl = '9d after at' }"), "in place: table t: ttl none → \"9d after at\"");
    started(r, WITH("{ ttl = '9d after at' }"));
    send(r, "events", "{\"id\":\"b\",\"at\":\"2026-01-09\"}");
    rows(r, "select id from t", "a | b");
    differs(r, WITH("{ ttl = '1d after at' }"),
            "in place: table t: ttl \"9d after at\" → \"1d after at\"");
    started(r, WITH("{ ttl = '1d after at' }"));
    send(r, "events", "{\"id\":\"c\",\"at\":\"2026-01-09T01:00\"}");
    rows(r, "select id from t", "b | c");
    started(r, WITH(""));
    send(r, "events", "{\"id\":\"d\",\"at\":\"2026-02-09\"}");
    rows(r, "select count(*) from t", "3");
}

// The plan in the file is enough for who reads it without the job: it has no operators.
static void stored_plan_is_enough_to_read(void **state)
{
    static const char text[] =
        JOB "local t = table 't' [[k text, window_start time, n integer,\n"
            "  primary key (k, window_start)]] { ttl = '9d after window_start', index = { 'n' } }\n"
            "from 'events' :by 'k' :window { size = '1m' } :aggregate { n = count() } :into(t)\n"
            "query 'all' { sql = 'select k, n from t' }";
    struct rig *r = *state;
    struct query_request request = {.sql = BYTES_LIT("select n from t")};
    struct query_answer answer;
    struct query_reader *reader;

    started(r, text);
    send(r, "events", "{\"k\":\"a\"}");
    if (jobfile_reader(&reader, NULL, r->path, &r->e) != 0 ||
        reader->ops->run(reader, &request, &r->arena, &answer, &r->e) != 0)
        fail_msg("%s", r->e.text);
    assert_int_equal(answer.n_rows, 1);
    reader->ops->close(reader);
}

// --- from now on ---

// An operator or sink downstream of all state changes at once; history keeps the old meaning.
static void stateless(void **state)
{
    static const char was[] = JOB "from 'events' :by 'k' :aggregate { n = count() } :changes()\n"
                                  "  :where 'n > 0' :select { 'n' } :to 'out'\n";
    static const char now[] = JOB "from 'events' :by 'k' :aggregate { n = count() } :changes()\n"
                                  "  :where 'n > 2' :select { 'n', twice = 'n * 2' } :to 'out'\n"
                                  "from 'others' :to 'copy'\n";
    struct rig *r = *state;

    started(r, was);
    send(r, "events", "{\"k\":\"a\"}");
    send(r, "events", "{\"k\":\"a\"}");
    expect(r, "out", "{\"n\":1} {\"n\":2}");
    differs(r, now,
            "in place, from now on: operator from[events]/by/aggregate/changes/where: "
            "condition \"n > 0\" → \"n > 2\": history keeps the old meaning\n"
            "in place, from now on: operator from[events]/by/aggregate/changes/select: "
            "twice none → \"n * 2\": history keeps the old meaning\n"
            "in place, from now on: operator from[others]: + is new: it is read from its start\n"
            "in place, from now on: operator from[others]/to[copy]: + is new: what came before is "
            "not published");
    started(r, now);
    send(r, "events", "{\"k\":\"a\"}");
    expect(r, "out", "{\"n\":3,\"twice\":6}");
    send(r, "others", "{\"x\":1}");
    expect(r, "copy", "{\"x\":1}");
    started(r, was);
    differs(r, now, "in place, from now on: operator from[events]/by/aggregate/changes/where: "
                    "condition \"n > 0\" → \"n > 2\": history keeps the old meaning\n"
                    "in place, from now on: operator from[events]/by/aggregate/changes/select: "
                    "twice none → \"n * 2\": history keeps the old meaning\n"
                    "in place, from now on: operator from[others]: + is new: it is read from its "
                    "start\nin place, from now on: operator from[others]/to[copy]: + is new: what "
                    "came before is not published");
}

// --- rebuild ---

#define COUNT "from 'events' :where 'x > 0' :by 'k' :aggregate { n = count() } :into 'counts'\n"

// What is upstream of state is refused until the version is bumped, or taken from now on; then that
// is written down, once.
static void upstream_of_state(void **state)
{
    static const char now[] =
        JOB "from 'events' :where 'x > 5' :by 'k' :aggregate { n = count() } :into 'counts'\n";
    struct rig *r = *state;

    started(r, JOB COUNT);
    send(r, "events", "{\"k\":\"a\",\"x\":1}");
    differs(r, now,
            "rebuild: operator from[events]/where: condition \"x > 0\" → \"x > 5\": it feeds "
            "from[events]/by/aggregate, which has kept the old meaning");
    refused(r, now, "the job has changed since its file was made: operator from[events]/where");
    assert_non_null(strstr(r->e.text, "Set version = 2 to build it anew beside version 1, or start "
                                      "it with --from-now"));
    r->options.from_now = true;
    started(r, now);
    r->options.from_now = false;
    send(r, "events", "{\"k\":\"a\",\"x\":2}");
    send(r, "events", "{\"k\":\"a\",\"x\":9}");
    rows(r, "select k, n from counts", "a 2");
    rows(r, "select class, what, name, commit_id from _leat_upgrades",
         "rebuild, taken from now on operator from[events]/where 1");
    started(r, now);
    rows(r, "select count(*) from _leat_upgrades", "1");
    refused(r, JOB COUNT, "condition \"x > 5\" → \"x > 0\"");
}

// A changed function of an aggregate keeps its layout or not; only the first can go on from now.
static void in_a_stateful_operator(void **state)
{
    static const char was[] =
        JOB "from 'events' :by 'k' :aggregate { n = sum 'x' } :into 'sums'\n";
    static const char now[] =
        JOB "from 'events' :by 'k' :aggregate { n = sum 'x * 10' } :into 'sums'\n";
    static const char other[] =
        JOB "from 'events' :by 'k' :aggregate { n = avg 'x' } :into 'sums'\n";
    struct rig *r = *state;

    started(r, was);
    send(r, "events", "{\"k\":\"a\",\"x\":1}");
    differs(r, now, "rebuild: operator from[events]/by/aggregate: n \"x\" → \"x * 10\": what it "
                    "keeps has the old meaning");
    r->options.from_now = true;
    refused(r, other, "this cannot be taken from now on, only by building the file anew: set "
                      "version = 2");
    started(r, now);
    send(r, "events", "{\"k\":\"a\",\"x\":2}");
    rows(r, "select n from sums", "21");
}

// A function that names ctx.db is a writer of tables; another one is not.
static void functions_that_write(void **state)
{
#define MAP(code)                                                                                  \
    JOB ORDERS "from 'events' :map(function(v, ctx)\n  " code "\n  return v end) :to 'out'"
#define BY_HELPER(n)                                                                               \
    JOB ORDERS "local function save(ctx, v)\n"                                                    \
               "  ctx.db.orders:put { id = v.id, total = " n " }\n"                                \
               "end\n"                                                                             \
               "from 'events' :map(function(v, ctx) save(ctx, v) return v end) :to 'out'"
    static const char kept[] = "rebuild: operator from[events]/map: run the code of the function "
                               "at line 3: what it keeps has the old meaning";
    struct rig *r = *state;

    started(r, MAP("ctx.db.orders:put { id = v.id, total = 1 }"));
    send(r, "events", "{\"id\":\"a\"}");
    differs(r, MAP("ctx.db.orders:put { id = v.id, total = 2 }"), kept);
    r->options.from_now = true;
    started(r, BY_HELPER("2"));
    r->options.from_now = false;
    send(r, "events", "{\"id\":\"b\"}");
    rows(r, "select * from orders", "a 1 | b 2");
    refused(r, BY_HELPER("3"), "what it keeps has the old meaning");
    differs(r, MAP("local x = v.id"), kept);
    r->options.from_now = true;
    started(r, MAP("local x = 1"));
    differs(r, MAP("local x = 2"),
            "in place, from now on: operator from[events]/map: run the code of the function at "
            "line 3: history keeps the old meaning");
}

// Streams that are joined up another way: no operator has changed, but what a table reads has.
static void rewired(void **state)
{
    static const char was[] = JOB ORDERS
        "local a, b = from 'events' :split 'x > 0'\n"
        "a:into(orders, { id = 'id' })\nb:to 'out'\n";
    static const char now[] = JOB ORDERS
        "local a, b = from 'events' :split 'x > 0'\n"
        "b:into(orders, { id = 'id' })\na:to 'out'\n";
    struct rig *r = *state;

    started(r, was);
    send(r, "events", "{\"id\":\"a\",\"x\":1}");
    differs(r, now, "rebuild: operator from[events]/into[orders]: what it reads means something "
                    "else: what it keeps has the old meaning");
}

// A column's type, a constraint, a key, the order: only a new file can have them.
static void columns_and_constraints(void **state)
{
    static const char *const changed[][2] = {
        {"id text primary key, total text", "column total integer → text: its type is another"},
        {"id text primary key, total integer check (total > 0)",
         "column total integer: its constraints are others"},
        {"id text primary key, total integer not null",
         "column total integer not null: its constraints are others"},
        {"id text primary key, total integer, check (total > 0)",
         "+ check(total> 0): rows that are there may break it"},
        {"id text primary key", "- column total integer: its values would go"},
        {"id text primary key, note text, total integer",
         "+ column note text: it stands before others: put it behind them"},
        {"id text primary key, total integer, tax integer not null",
         "+ column tax integer not null: no default"},
        {"id text primary key, total integer, tax integer not null default (1 + 1)",
         "its default is no constant"},
        {"id text primary key, total integer, at text default current_timestamp",
         "its default is no constant"},
        {"id text primary key, total integer, mail text unique",
         "a key cannot be added to rows that are there"},
        {"id text primary key, total integer, twice integer as (total * 2)",
         "a computed column cannot be added to rows that are there"},
        {"total integer, id text primary key", "the order of its columns"},
        {"id text, total integer, primary key (id, total)", "its constraints are others"},
    };
    struct rig *r = *state;
    char text[512];

    started(r, JOB ORDERS INTO);
    send(r, "events", "{\"id\":\"a\",\"total\":1}");
    for (size_t i = 0; i < ARRAY_LEN(changed); i++) {
        snprintf(text, sizeof text,
                 JOB "local orders = table 'orders' [[%s]]\n"
                     "from 'events' :into(orders, {id = 'id'})",
                 changed[i][0]);
        refused(r, text, changed[i][1]);
        r->options.from_now = true;
        refused(r, text, "this cannot be taken from now on");
        r->options.from_now = false;
    }
    started(r, JOB ORDERS INTO);
    rows(r, "select * from orders", "a 1");
}

// A new table that is fed from the start is a rebuild; from now on it begins empty.
static void new_table(void **state)
{
    static const char now[] =
        JOB ORDERS "local log = table 'log' [[id text primary key]]\n"
                   "local e = from 'events'\n"
                   "e:into(orders, { id = 'id', total = 'total' })\ne:into(log, { id = 'id' })\n";
    struct rig *r = *state;

    started(r, JOB ORDERS INTO);
    send(r, "events", "{\"id\":\"a\",\"total\":1}");
    differs(r, now,
            "rebuild: table log: + is new: it would begin empty\n"
            "rebuild: operator from[events]/into[log]: + is new: it would begin empty");
    refused(r, now, "table log: + is new");
    r->options.from_now = true;
    started(r, now);
    send(r, "events", "{\"id\":\"b\",\"total\":2}");
    rows(r, "select id from log", "b");
    rows(r, "select id from orders", "a | b");
}

// A job that has read nothing yet has nothing to keep: whatever changes is taken.
static void unused_file(void **state)
{
    struct rig *r = *state;

    started(r, JOB ORDERS INTO);
    run(r);
    differs(r, JOB COUNT,
            "in place: table counts: + is new: nothing has been read yet\n"
            "in place: table orders: - is gone: nothing has been read yet\n"
            "in place: operator from[events]/by/aggregate: + is new: nothing has been read yet\n"
            "in place: operator from[events]/by/aggregate/into[counts]: + is new: nothing has been "
            "read yet\n"
            "in place: operator from[events]/into[orders]: - is gone: nothing has been read yet");
    started(r, JOB COUNT);
    rows(r, "select count(*) from sqlite_schema where name = 'orders'", "0");
    send(r, "events", "{\"k\":\"a\",\"x\":1}");
    rows(r, "select k, n from counts", "a 1");
    refused(r, JOB ORDERS INTO, "Set version = 2");
}

// --- removed ---

// An operator or a table that is gone takes its rows along, when that is said.
static void removed(void **state)
{
    static const char was[] =
        JOB "local a = table 'a' [[id text primary key]]\n"
            "local b = table 'b' [[id text primary key references a]]\n"
            "local e = from 'events'\n"
            "e:into(a, { id = 'id' })\ne:into(b, { id = 'id' })\n"
            "e:dedupe { by = 'id', within = '1h' } :to 'out'\n" "e:to 'copy'\n";
    static const char now[] = JOB "from 'events' :to 'copy'\n";
    struct rig *r = *state;

    started(r, was);
    send(r, "events", "{\"id\":\"x\"}");
    expect(r, "out", "{\"id\":\"x\"}");
    differs(r, now,
            "removed: table a: - is gone: its rows go with it\n"
            "removed: table b: - is gone: its rows go with it\n"
            "in place, from now on: operator from[events]/into[a]: - is gone: what it has written "
            "stays\n"
            "in place, from now on: operator from[events]/into[b]: - is gone: what it has written "
            "stays\n"
            "removed: operator from[events]/dedupe: - is gone: what it keeps goes with it\n"
            "in place, from now on: operator from[events]/dedupe/to[out]: - is gone: what it has "
            "published stays");
    refused(r, now, "table a is gone from the job: start it with --yes to drop what it keeps");
    started(r, was);
    rows(r, "select count(*) from sqlite_schema where name glob '_leat_windows_*dedupe*'", "1");
    r->options.drop = true;
    started(r, now);
    rows(r, "select count(*) from sqlite_schema where name in ('a', 'b')", "0");
    rows(r, "select count(*) from _leat_columns", "0");
    send(r, "events", "{\"id\":\"y\"}");
    rows(r, "select count(*) from sqlite_schema where name glob '_leat_windows_*dedupe*'", "0");
    expect(r, "copy", "{\"id\":\"x\"} {\"id\":\"y\"}");
    r->options.drop = false;
    refused(r, was, "table a: + is new");
}

// --- process ---

#define PROCESS(state, more, body)                                                                 \
    JOB "from 'events' :by 'k' :process { state = " state ", " more "\n"                           \
        "  on = function(v, ctx) local s = ctx.state " body " end } :to 'out'\n"

// Only the code of process: the state stays.
static void process_code(void **state)
{
    static const char was[] = PROCESS("{ n = 0 }", "", "s.n = s.n + 1 return { n = s.n }");
    static const char now[] = PROCESS("{ n = 0 }", "", "s.n = s.n + 10 return { tens = s.n }");
    struct rig *r = *state;

    started(r, was);
    send(r, "events", "{\"k\":\"a\"}");
    differs(r, now, "in place: operator from[events]/by/process: on the code of the function at "
                    "line 2: the state stays");
    started(r, now);
    send(r, "events", "{\"k\":\"a\"}");
    expect(r, "out", "{\"n\":1} {\"tens\":11}");
}

// Another shape of the initial state needs upgrade, which sees each old state once.
static void process_shape(void **state)
{
    static const char was[] = PROCESS("{ n = 0 }", "", "s.n = s.n + 1 return { n = s.n }");
    static const char bare[] = PROCESS("{ sum = 0 }", "", "s.sum = s.sum + 1 return s");
    static const char now[] =
        PROCESS("{ sum = 0 }",
                "upgrade = function(old, from) return { sum = old.n, from = from } end,",
                "s.sum = s.sum + 1 return { sum = s.sum, from = s.from }");
    static const char again[] =
        PROCESS("{ all = 0 }", "upgrade = function(old, from) return { all = old.sum or 100 } end,",
                "s.all = s.all + 1 return { all = s.all }");
    struct rig *r = *state;

    started(r, was);
    send(r, "events", "{\"k\":\"a\"}");
    send(r, "events", "{\"k\":\"b\"}");
    refused(r, bare, "the initial state has another shape, and there is no upgrade for old ones");
    differs(r, now,
            "in place: operator from[events]/by/process: on the code of the function at line 2; "
            "upgrade none → the function at line 2; state sum none → 0; and 1 more: upgrade "
            "takes the old states over");
    started(r, now);
    send(r, "events", "{\"k\":\"a\"}");
    started(r, now);
    send(r, "events", "{\"k\":\"a\"}");
    send(r, "events", "{\"k\":\"c\"}");
    expect(r, "out", "{\"n\":1} {\"n\":1} {\"from\":1,\"sum\":2} {\"from\":1,\"sum\":3} "
                     "{\"sum\":1}");
    started(r, again);
    send(r, "events", "{\"k\":\"a\"}");
    send(r, "events", "{\"k\":\"b\"}"); // two shapes ago
    expect(r, "out", "{\"all\":4} {\"all\":101}");
}

// What a changed process feeds, and that keeps rows, has kept the old meaning.
static void process_before_a_table(void **state)
{
    static const char was[] = JOB ORDERS
        "from 'events' :by 'id' :process { on = function(v) return { id = v.id, total = 1 } end }\n"
        "  :into(orders, { id = 'id', total = 'total' })\n";
    static const char now[] = JOB ORDERS
        "from 'events' :by 'id' :process { on = function(v) return { id = v.id, total = 2 } end }\n"
        "  :into(orders, { id = 'id', total = 'total' })\n";
    struct rig *r = *state;

    started(r, was);
    send(r, "events", "{\"id\":\"a\"}");
    refused(r, now,
            "it feeds from[events]/by/process/into[orders], which has kept the old meaning");
}

// --- all or nothing ---

// An upgrade that fails behind any of its stages, or at its commit, leaves the file as it was, for
// the old job and for another try.
static void all_or_nothing(void **state)
{
    static const char was[] =
        JOB "local orders = table 'orders' [[id text primary key, total integer]]\n"
            "local gone = table 'gone' [[id text primary key]]\nlocal e = from 'events'\n"
            "e:into(orders, { id = 'id', total = 'total' })\ne:into(gone, { id = 'id' })\n"
            "view 'v' [[select id from orders]]";
    static const char now[] =
        JOB "local orders = table 'orders' [[id text primary key, total integer, note text]]\n"
            "  { index = { 'note' } }\nlocal fresh = table 'fresh' [[id text primary key]]\n"
            "local e = from 'events'\n"
            "e:into(orders, { id = 'id', total = 'total' })\ne:into(fresh, { id = 'id' })\n"
            "view 'v' [[select note from orders]]";
    struct rig *r = *state;
    char point[64];

    started(r, was);
    send(r, "events", "{\"id\":\"a\",\"total\":1}");
    for (int i = 0; i <= STAGES; i++) {
        snprintf(point, sizeof point, "upgrade_stage=eio@%d", i + 1);
        r->options.from_now = r->options.drop = true;
        failpoint_arm(i < STAGES ? point : "db_before_commit=eio@1");
        assert_int_equal(start(r, now), LEAT_EIO);
        failpoint_arm(NULL);
        r->options.from_now = r->options.drop = false;
        started(r, was);
        rows(r, "select id from v", "a");
        rows(r, "select count(*) from pragma_table_info('orders')", "2");
        rows(r, "select name from sqlite_schema where name in ('gone', 'fresh')", "gone");
        rows(r, "select count(*) from _leat_upgrades", "0");
    }
    r->options.from_now = r->options.drop = true;
    // No stage is left out; and behind the commit it is there, whatever was said.
    failpoint_arm("upgrade_stage=eio@8,db_after_commit=enospc@1");
    assert_int_equal(start(r, now), LEAT_ENOSPC);
    failpoint_arm(NULL);
    r->options.from_now = r->options.drop = false;
    started(r, now);
    rows(r, "select count(*) from pragma_table_info('orders')", "3");
    rows(r, "select name from sqlite_schema where name in ('gone', 'fresh')", "fresh");
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(comments_and_locals),     T(queries_views_and_indexes),
        T(new_columns),             T(settings),
        T(ttl_of_a_table),          T(stored_plan_is_enough_to_read),
        T(stateless),               T(upstream_of_state),
        T(in_a_stateful_operator),  T(rewired),
        T(functions_that_write),
        T(columns_and_constraints), T(new_table),
        T(unused_file),             T(removed),
        T(process_code),            T(process_shape),
        T(process_before_a_table),  T(all_or_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
