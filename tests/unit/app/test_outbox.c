// SPDX-License-Identifier: Apache-2.0
//
// An application's outbox as a job's source: what is read, what is cleaned, what is refused, and
// that nothing is lost or doubled when the job dies anywhere.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <ftw.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "operators/operators.h"
#include "projections/jobfile.h"
#include "runtime/app/outbox_source.h"
#include "runtime/base/failpoint.h"
#include "runtime/base/heap.h"
#include "runtime/base/limits.h"
#include "runtime/engine/driver_log.h"
#include "runtime/engine/job.h"
#include "scripts/script.h"

#define TABLE                                                                                      \
    "create table outbox(seq integer primary key autoincrement, id, aggregatetype, aggregateid, "  \
    "type, payload, published_at)"

struct fixture {
    char dir[64], path[96];
    sqlite3 *app; // the application's own connection
    struct plan_source source;
    struct clock_fake clock;
    struct outbox_file file;
    struct err e;
};

static void app_runs(struct fixture *f, const char *sql)
{
    char *message = NULL;

    if (sqlite3_exec(f->app, sql, NULL, NULL, &message) != SQLITE_OK)
        fail_msg("%s: %s", sql, message);
}

static int64_t app_int(struct fixture *f, const char *sql)
{
    sqlite3_stmt *s;
    int64_t v;

    assert_int_equal(sqlite3_prepare_v2(f->app, sql, -1, &s, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(s), SQLITE_ROW);
    v = sqlite3_column_int64(s, 0);
    sqlite3_finalize(s);
    return v;
}

static void app_inserts(struct fixture *f, int from, int n)
{
    char sql[200];

    app_runs(f, "begin");
    for (int i = from; i < from + n; i++) {
        snprintf(sql, sizeof sql,
                 "insert into outbox(id, aggregatetype, aggregateid, type, payload) "
                 "values ('e%d', 'order', 'o%d', 'Placed', '{\"n\":%d}')",
                 i, i % 3, i);
        app_runs(f, sql);
    }
    app_runs(f, "commit");
}

static void app_opens(struct fixture *f)
{
    assert_int_equal(sqlite3_open(f->path, &f->app), SQLITE_OK);
    app_runs(f, "pragma synchronous=off"); // nobody cuts the power here
}

static void given_file(struct fixture *f, enum outbox_after after)
{
    outbox_file_deinit(&f->file);
    f->source.outbox.after = after;
    outbox_file_init(&f->file, &f->source, &f->clock.base);
}

static int setup(void **state)
{
    static struct fixture f;

    f = (struct fixture){.dir = "/tmp/leat-outbox-XXXXXX"};
    assert_non_null(mkdtemp(f.dir));
    snprintf(f.path, sizeof f.path, "%s/app.db", f.dir);
    f.source = (struct plan_source){.topic = "shop",
                                    .outbox = {.path = f.path, .table = "outbox"}};
    clock_fake_init(&f.clock, 1767225600000);
    outbox_file_init(&f.file, &f.source, &f.clock.base);
    app_opens(&f);
    *state = &f;
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    failpoint_arm(NULL);
    outbox_file_deinit(&f->file);
    sqlite3_close(f->app);
    return nftw(f->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void looks(struct fixture *f, int64_t end)
{
    if (outbox_file_look(&f->file, &f->e) != 0)
        fail_msg("%s", f->e.text);
    assert_int_equal(f->file.end, end);
}

// Reads to the end as an engine does; "1,2,5" are the offsets.
static void reads(struct fixture *f, int64_t from, const char *offsets)
{
    struct buf data = BUF_EMPTY, text = BUF_EMPTY;
    struct batch_record r;
    struct batch_iter it;
    struct arena a;

    arena_init(&a);
    while (from < f->file.end) {
        buf_clear(&data);
        assert_int_equal(outbox_file_read(&f->file, from, 300, &data, &from, &f->e), 0);
        for (size_t pos = 0; pos < data.n;) {
            struct bytes rest = bytes_of(data.p + pos, data.n - pos);
            assert_int_equal(batch_iter_init(&it, rest, BATCH_INFLATED_MAX, &a, &f->e), 0);
            while (batch_iter_next(&it, &r, &f->e) == 1)
                buf_printf(&text, "%s%lld", text.n ? "," : "", (long long)r.offset);
            pos += batch_size(&it.header);
        }
    }
    assert_string_equal(buf_cstr(&text), offsets);
    arena_deinit(&a);
    buf_deinit(&text);
    buf_deinit(&data);
}

static void cleans(struct fixture *f, int64_t committed)
{
    int rc;

    f->file.committed = committed;
    while ((rc = outbox_file_clean(&f->file, &f->e)) == 1)
        continue;
    if (rc < 0)
        fail_msg("%s", f->e.text);
}

static void expect_why(struct fixture *f, int rc, int code, const char *why)
{
    assert_int_equal(rc, code);
    if (strstr(f->e.text, why) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", why, f->e.text);
}

// Offsets are row numbers; what the application has taken back leaves a gap.
static void test_rows_are_read_in_the_order_of_commits(void **state)
{
    struct fixture *f = *state;

    app_runs(f, "pragma journal_mode=wal; " TABLE);
    looks(f, 1);
    app_inserts(f, 1, 5);
    app_runs(f, "delete from outbox where seq in (3, 5)");
    looks(f, 6);
    reads(f, 1, "1,2,4");
    reads(f, 4, "4");
    app_runs(f, "begin; insert into outbox(id) values ('x')");
    looks(f, 6); // not committed
    app_runs(f, "rollback");
    app_inserts(f, 6, 50);
    looks(f, 56);
    reads(f, 54, "54,55");
}

// Only what is committed goes, in slices; without AUTOINCREMENT the newest row stays until a newer
// one is there.
static void test_rows_are_deleted_behind_the_commit(void **state)
{
    struct fixture *f = *state;

    app_runs(f, TABLE);
    app_inserts(f, 1, 3 * OUTBOX_SLICE_ROWS + 2);
    looks(f, 3 * OUTBOX_SLICE_ROWS + 3);
    f->file.committed = 3 * OUTBOX_SLICE_ROWS;
    assert_int_equal(outbox_file_clean(&f->file, &f->e), 1);
    assert_int_equal(app_int(f, "select count(*) from outbox"), 2 * OUTBOX_SLICE_ROWS + 2);
    cleans(f, 3 * OUTBOX_SLICE_ROWS);
    assert_int_equal(app_int(f, "select min(seq) from outbox"), 3 * OUTBOX_SLICE_ROWS);

    app_runs(f, "drop table outbox; create table outbox(seq integer primary key, id, "
                "aggregatetype, aggregateid, type, payload)");
    given_file(f, OUTBOX_DELETE);
    app_inserts(f, 1, 3);
    looks(f, 4);
    cleans(f, 4);
    assert_int_equal(app_int(f, "select min(seq) from outbox"), 3);
    app_inserts(f, 4, 1);
    looks(f, 5);
    cleans(f, 5);
    assert_int_equal(app_int(f, "select min(seq) from outbox"), 4);
    assert_int_equal(app_int(f, "select count(*) from outbox"), 1);
}

// A mark is a time; after a restart marking goes on where it stood.
static void test_rows_are_marked(void **state)
{
    struct fixture *f = *state;

    app_runs(f, TABLE);
    app_inserts(f, 1, 2 * OUTBOX_SLICE_ROWS);
    given_file(f, OUTBOX_MARK);
    looks(f, 2 * OUTBOX_SLICE_ROWS + 1);
    cleans(f, 5);
    assert_int_equal(app_int(f, "select count(*) from outbox where published_at is not null"), 4);
    assert_int_equal(app_int(f, "select max(published_at) from outbox"), 1767225600000);
    given_file(f, OUTBOX_MARK);
    clock_fake_advance(&f->clock, 1000);
    looks(f, 2 * OUTBOX_SLICE_ROWS + 1);
    cleans(f, 8);
    assert_int_equal(f->file.cleaned, 8);
    assert_int_equal(app_int(f, "select min(published_at) from outbox"), 1767225600000);
    assert_int_equal(app_int(f, "select count(*) from outbox where published_at = 1767225601000"),
                     3);
}

// after = "keep" never opens the file for writing.
static void test_keep_only_reads(void **state)
{
    struct fixture *f = *state;

    app_runs(f, TABLE);
    app_inserts(f, 1, 2);
    given_file(f, OUTBOX_KEEP);
    looks(f, 3);
    assert_true(db_guest_readonly(f->file.db));
    cleans(f, 3);
    assert_int_equal(app_int(f, "select count(*) from outbox where published_at is null"), 2);
}

// What is not there yet is waited for; what is no outbox stops the job and says why.
static void test_what_is_no_outbox(void **state)
{
    static const struct {
        const char *sql;
        enum outbox_after after;
        int code;
        const char *why;
    } cases[] = {
        {"create table other(x)", OUTBOX_DELETE, LEAT_ENOTFOUND, "has no table outbox yet"},
        {"create view outbox as select 1", OUTBOX_DELETE, LEAT_ESTOPPED, "it is a view"},
        {"create table outbox(id text primary key, aggregatetype, aggregateid, type, payload)",
         OUTBOX_DELETE, LEAT_ESTOPPED, "VACUUM may change them. Give it a column  seq integer"},
        {"create table outbox(id text primary key, aggregatetype, aggregateid, type, payload)"
         " without rowid",
         OUTBOX_DELETE, LEAT_ESTOPPED, "it is WITHOUT ROWID"},
        {"create table outbox(id integer primary key, aggregatetype, aggregateid, payload)",
         OUTBOX_DELETE, LEAT_ESTOPPED, "it has no column type; an outbox has id, aggregatetype"},
        {"create table outbox(id integer primary key, aggregatetype, aggregateid, type, payload)",
         OUTBOX_MARK, LEAT_ESTOPPED, "alter table outbox add column published_at integer"},
    };
    struct fixture *f = *state;

    assert_int_equal(unlink(f->path), 0);
    expect_why(f, outbox_file_look(&f->file, &f->e), LEAT_ENOTFOUND, "app.db: No such file");
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        (void)unlink(f->path);
        sqlite3_close(f->app);
        app_opens(f);
        app_runs(f, cases[i].sql);
        given_file(f, cases[i].after);
        expect_why(f, outbox_file_look(&f->file, &f->e), cases[i].code, cases[i].why);
    }
    given_file(f, OUTBOX_KEEP);
    assert_int_equal(truncate(f->path, 100), 0);
    expect_why(f, outbox_file_look(&f->file, &f->e), LEAT_ECORRUPT, "app.db");
}

// The application may hold its lock: nothing happens meanwhile, and after a while it is said.
static void test_a_locked_file(void **state)
{
    struct fixture *f = *state;
    struct buf out = BUF_EMPTY;
    int64_t next;

    app_runs(f, "pragma journal_mode=delete; " TABLE);
    app_inserts(f, 1, 2);
    looks(f, 3);
    app_runs(f, "begin exclusive");
    f->file.committed = 2;
    assert_int_equal(outbox_file_look(&f->file, &f->e), 0);
    assert_int_equal(outbox_file_read(&f->file, 1, 100, &out, &next, &f->e), 0);
    assert_int_equal(next, 1);
    assert_int_equal(out.n, 0);
    assert_int_equal(outbox_file_clean(&f->file, &f->e), 0);
    clock_fake_advance(&f->clock, OUTBOX_LOCKED_MS_MAX);
    expect_why(f, outbox_file_look(&f->file, &f->e), LEAT_EBUSY, "another program for 10 s");
    expect_why(f, outbox_file_read(&f->file, 1, 100, &out, &next, &f->e), LEAT_EBUSY, "10 s");
    expect_why(f, outbox_file_clean(&f->file, &f->e), LEAT_EBUSY, "10 s");
    app_runs(f, "commit");
    looks(f, 3);
    reads(f, 1, "1,2");
    cleans(f, 2);
    assert_int_equal(f->file.locked_ms + f->file.clean_locked_ms, 0);
    buf_deinit(&out);
}

// A restored, older copy, or a table whose newest row was deleted: numbers will be given again.
static void test_rows_that_went_back(void **state)
{
    struct fixture *f = *state;

    app_runs(f, TABLE);
    app_inserts(f, 1, 5);
    looks(f, 6);
    app_runs(f, "delete from outbox");
    looks(f, 6); // AUTOINCREMENT: as it should be
    assert_int_equal(unlink(f->path), 0);
    expect_why(f, outbox_file_look(&f->file, &f->e), LEAT_ENOTFOUND, "No such file");
    sqlite3_close(f->app);
    app_opens(f);
    app_runs(f, TABLE);
    app_inserts(f, 1, 4);
    expect_why(f, outbox_file_look(&f->file, &f->e), LEAT_ESTOPPED, "restored from a backup?");
    app_inserts(f, 5, 2);
    looks(f, 7);

    app_runs(f, "drop table outbox; create table outbox(seq integer primary key, id, "
                "aggregatetype, aggregateid, type, payload)");
    given_file(f, OUTBOX_KEEP);
    app_inserts(f, 1, 5);
    looks(f, 6);
    app_runs(f, "delete from outbox where seq = 5");
    expect_why(f, outbox_file_look(&f->file, &f->e), LEAT_ESTOPPED, "the newest row must stay");
}

static void test_numbers_picked_by_hand(void **state)
{
    struct fixture *f = *state;

    app_runs(f, TABLE);
    app_inserts(f, 1, 5);
    looks(f, 6);
    cleans(f, 6);
    app_runs(f, "insert into outbox(seq, id) values (2, 'late')");
    expect_why(f, outbox_file_look(&f->file, &f->e), LEAT_ESTOPPED, "row 2 appeared behind row 5");
    app_runs(f, "update outbox set seq = -2");
    expect_why(f, outbox_file_look(&f->file, &f->e), LEAT_ESTOPPED, "they are read from 1 up");
}

// A row that a power cut could take back from the application is not shown.
static void test_rows_are_durable_before_they_are_shown(void **state)
{
    struct fixture *f = *state;

    app_runs(f, "pragma journal_mode=wal; pragma synchronous=normal; " TABLE);
    looks(f, 1);
    app_inserts(f, 1, 1);
    failpoint_arm("db_settle=eio");
    assert_int_equal(outbox_file_look(&f->file, &f->e), LEAT_EIO);
    assert_int_equal(f->file.end, 1);
    failpoint_arm(NULL);
    looks(f, 2);
}

static void test_a_row_that_is_too_large(void **state)
{
    struct fixture *f = *state;
    struct buf out = BUF_EMPTY;
    int64_t next;

    app_runs(f, TABLE);
    app_runs(f, "insert into outbox(id, payload) values ('a', '1'), ('b', zeroblob(17000000))");
    looks(f, 3);
    expect_why(f, outbox_file_read(&f->file, 1, 1000000, &out, &next, &f->e), LEAT_ESTOPPED,
               "delete it or make it smaller");
    assert_int_equal(out.n, 0);
    buf_deinit(&out);
}

// --- with a job ---

static const char job_text[] = "job 'relay' { version = 1 }\n"
                               "from.outbox { name = 'shop', sqlite = param 'app', "
                               "table = 'outbox', after = param('after', 'delete') }\n"
                               "  :select { 'id', n = 'payload.n' } :to 'orders'\n";

struct trial {
    struct fixture *f;
    struct plan *plan;
    struct driver_log log; // lives as long as the broker would
    struct outbox_source outboxes;
    struct store *store;
    struct job *job;
};

static void load_plan(struct trial *t, const char *after)
{
    char *app = heap_printf("app=%s", t->f->path), *how = heap_printf("after=%s", after);
    const char *params[] = {app, how, NULL};
    struct script_options o = {.file = "relay.lua",
                               .text = bytes_str(job_text),
                               .params = params,
                               .operators = operator_types()};

    if (script_load(&t->plan, &o, &t->f->e) != 0)
        fail_msg("%s", t->f->e.text);
    heap_free(app);
    heap_free(how);
}

// Runs until the job rests, or dies at the failpoint; then everything is closed, as death does.
static void one_life(struct trial *t)
{
    char *path = heap_printf("%s/job.db", t->f->dir);
    struct jobfile_options o = {.path = path, .throwaway = true};
    struct job_config c = {.plan = t->plan,
                           .operators = operator_types(),
                           .clock = &t->f->clock.base,
                           .publisher = &t->log.publisher,
                           .gap_ms = -1};
    struct job_turn turn = {.worked = true};
    int rest = 0;

    if (jobfile_open(&t->store, t->plan, &o, &t->f->e) == 0) {
        c.store = t->store;
        c.source = outbox_source_init(&t->outboxes, t->plan, &t->log.source, &t->f->clock.base);
        assert_int_equal(job_open(&t->job, &c, &t->f->e), 0);
        while (rest < 3 && job_turn(t->job, t->f->clock.wall, &turn, &t->f->e) == 0)
            rest = turn.worked || turn.wait_ms == 0 ? 0 : rest + 1;
        job_close(t->job);
        outbox_source_deinit(&t->outboxes);
        jobfile_close(t->store);
    }
    heap_free(path);
}

// Whether the topic holds the rows 1 to n, each once, in order.
static bool all_once(struct trial *t, int n)
{
    const struct batch_record *r;
    size_t got;
    char want[64];

    driver_log_find(&t->log, "orders")->taken = 0;
    got = driver_log_take(&t->log, "orders", &r);
    for (size_t i = 0; i < got; i++) {
        snprintf(want, sizeof want, "{\"id\":\"e%zu\",\"n\":%zu}", i + 1, i + 1);
        if (!bytes_eq_str(r[i].value, want))
            return false;
    }
    return got == (size_t)n;
}

static void given_trial(struct trial *t, struct fixture *f, const char *after)
{
    *t = (struct trial){.f = f};
    driver_log_init(&t->log, 1);
    load_plan(t, after);
    app_runs(f, "drop table if exists outbox; delete from sqlite_sequence;");
}

static void end_trial(struct trial *t)
{
    char *path = heap_printf("%s/job.db", t->f->dir);

    (void)unlink(path);
    heap_free(path);
    driver_log_deinit(&t->log);
    plan_free(t->plan);
}

// Nothing tells when an application commits: it is asked 10 times a second, more often while rows
// come, at once while there is more to clean.
static void test_how_often_it_is_asked(void **state)
{
    struct fixture *f = *state;
    struct source_topic topic;
    int64_t start, stable;
    struct trial t;
    struct source *s;

    app_runs(f, TABLE);
    given_trial(&t, f, "delete");
    app_runs(f, TABLE);
    clock_fake_advance(&f->clock, 60000);
    s = outbox_source_init(&t.outboxes, t.plan, &t.log.source, &f->clock.base);
    assert_int_equal(s->ops->topic(s, "shop", &topic, &f->e), 0);
    assert_int_equal(s->ops->poll_ms(s), 100);
    app_inserts(f, 1, OUTBOX_SLICE_ROWS + 1);
    assert_int_equal(s->ops->topic(s, "shop", &topic, &f->e), 0);
    assert_int_equal(s->ops->poll_ms(s), 20);
    s->ops->committed(s, "shop", 0, OUTBOX_SLICE_ROWS + 2);
    assert_int_equal(s->ops->poll_ms(s), 0);
    for (int i = 1; i >= 0; i--) {
        assert_int_equal(s->ops->bounds(s, "shop", 0, &start, &stable, &f->e), 0);
        assert_int_equal(s->ops->poll_ms(s), i == 1 ? 0 : 20);
    }
    outbox_source_deinit(&t.outboxes);
    end_trial(&t);
}

// The job dies at the n-th passage of a failpoint, for every n until it lives through; rows come in
// between. True when everything was once and nothing is left to clean.
static bool dies_at(struct fixture *f, const char *point, const char *after, const char *control)
{
    char spec[64];
    bool good = true, fired = true;
    int n;

    for (n = 1; fired && good; n++) {
        struct trial t;
        given_trial(&t, f, after);
        app_runs(f, TABLE);
        app_inserts(f, 1, 2 * OUTBOX_SLICE_ROWS + 5);
        snprintf(spec, sizeof spec, "%s=eio@%d%s", point, n, control);
        failpoint_arm(spec);
        f->e.text[0] = 0;
        one_life(&t);
        fired = strstr(f->e.text, "failpoint") != NULL;
        app_inserts(f, 2 * OUTBOX_SLICE_ROWS + 6, 10);
        one_life(&t);
        failpoint_arm(NULL);
        one_life(&t);
        good = all_once(&t, 2 * OUTBOX_SLICE_ROWS + 15) &&
               app_int(f, "select count(*) from outbox where published_at is null") == 0;
        end_trial(&t);
    }
    assert_true(n > 2 || !good); // it died at least once
    return good;
}

// Whatever the job has just done when it dies, each row is published once and cleaned once.
static void test_dying_anywhere(void **state)
{
    static const char *const points[] = {"before_begin",  "after_lua",    "before_commit",
                                         "after_commit",  "outbox_clean", "outbox_cleaning",
                                         "db_before_commit", "db_after_commit", "after_publish"};
    struct fixture *f = *state;

    app_runs(f, "create table t(x integer primary key autoincrement)"); // makes sqlite_sequence
    for (size_t i = 0; i < ARRAY_LEN(points); i++) {
        if (!dies_at(f, points[i], "delete", ""))
            fail_msg("%s, delete", points[i]);
        if (!dies_at(f, points[i], "mark", ""))
            fail_msg("%s, mark", points[i]);
    }
}

// Control: rows that are deleted before the step that read them has committed get lost.
static void test_control_cleaning_early_loses_rows(void **state)
{
    struct fixture *f = *state;

    app_runs(f, "create table t(x integer primary key autoincrement)");
    assert_false(dies_at(f, "before_commit", "delete", ",outbox_early"));
}

// The application's disk fails or is full at any write of ours: the job stops or waits, and no row
// is lost or doubled.
static void test_any_write_fails(void **state)
{
    struct fixture *f = *state;
    bool fired = true;

    app_runs(f, "create table t(x integer primary key autoincrement)");
    for (int n = 0; fired; n++) {
        given_file(f, OUTBOX_DELETE);
        app_runs(f, "drop table if exists outbox; " TABLE);
        app_inserts(f, 1, OUTBOX_SLICE_ROWS + 5);
        looks(f, OUTBOX_SLICE_ROWS + 6);
        f->file.committed = OUTBOX_SLICE_ROWS + 3;
        db_fault_arm(f->file.db, n, n % 2 ? LEAT_ENOSPC : LEAT_EIO, false);
        while (outbox_file_clean(&f->file, &f->e) == 1)
            continue;
        fired = db_fault_fired(f->file.db);
        given_file(f, OUTBOX_DELETE);
        looks(f, OUTBOX_SLICE_ROWS + 6);
        cleans(f, OUTBOX_SLICE_ROWS + 3);
        assert_int_equal(app_int(f, "select min(seq) from outbox"), OUTBOX_SLICE_ROWS + 3);
        assert_int_equal(app_int(f, "select count(*) from outbox"), 3);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_rows_are_read_in_the_order_of_commits),
        TEST(test_rows_are_deleted_behind_the_commit),
        TEST(test_rows_are_marked),
        TEST(test_keep_only_reads),
        TEST(test_what_is_no_outbox),
        TEST(test_a_locked_file),
        TEST(test_rows_that_went_back),
        TEST(test_numbers_picked_by_hand),
        TEST(test_rows_are_durable_before_they_are_shown),
        TEST(test_a_row_that_is_too_large),
        TEST(test_how_often_it_is_asked),
        TEST(test_dying_anywhere),
        TEST(test_control_cleaning_early_loses_rows),
        TEST(test_any_write_fails),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
