// SPDX-License-Identifier: Apache-2.0
//
// What a job asks of SQLite, statement by statement. A job with every kind of state runs, stops and
// starts again; each statement that its connections ran is explained, and none may read a table of
// state, or of rows that users keep, from one end to the other, or sort one. That is what keeps
// starting and a step independent of how much is there.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "projections/jobfile_internal.h"
#include "runtime/base/heap.h"
#include "tests/unit/pipeline/all_job.h"
#include "tests/unit/pipeline/driven.h"

// --- what was run ---

static char **texts;
static size_t n_texts;

static void remember(const char *sql)
{
    for (size_t i = 0; i < n_texts; i++)
        if (strcmp(texts[i], sql) == 0)
            return;
    texts = heap_realloc(texts, (n_texts + 1) * sizeof *texts);
    texts[n_texts++] = heap_strdup(sql);
}

static int64_t rows_read;

static int on_statement(unsigned kind, void *ctx, void *statement, void *text)
{
    (void)ctx;
    if (kind == SQLITE_TRACE_ROW)
        rows_read++;
    else if (strncmp(text, "--", 2) != 0) // of triggers
        remember(sqlite3_sql(statement));
    return 0;
}

// Every connection that is opened from here on.
static int on_open(sqlite3 *db, char **why, const struct sqlite3_api_routines *api)
{
    (void)why, (void)api;
    return sqlite3_trace_v2(db, SQLITE_TRACE_STMT | SQLITE_TRACE_ROW, on_statement, NULL);
}

static void forget(void)
{
    for (size_t i = 0; i < n_texts; i++)
        heap_free(texts[i]);
    heap_free(texts);
    texts = NULL;
    n_texts = 0;
}

// --- the job ---

static void given_job(struct driven *d)
{
    driven_load(d, all_job);
    driven_open(d, (struct driver_config){0});
}

static void sent(struct driven *d, const char *topic, int64_t t, int k, int x)
{
    char json[100];
    struct driver_record r = {.timestamp = t};

    snprintf(json, sizeof json, "{\"k\":\"k%d\",\"m\":%d,\"t\":%lld,\"x\":%d}", k, k,
             (long long)t, x);
    r.key = r.value = bytes_str(json);
    driven_ok(d, driver_send(d->driver, topic, &r, &d->e));
}

static void when_run(struct driven *d)
{
    int64_t t = driver_now(d->driver);

    for (int i = 0; i < 60; i++) {
        sent(d, "in", t + i * 700, i % 7, i);
        sent(d, "right", t + i * 700, i % 5, i);
        if (i % 20 == 19) {
            driven_ok(d, driver_run(d->driver, &d->e));
            driven_ok(d, driver_restart(d->driver, &d->e));
        }
    }
    driven_ok(d, driver_advance(d->driver, 3600 * 1000, &d->e));
}

// --- its plans ---

// Those whose rows are few by their nature, or that a limit holds.
static bool is_small(const char *detail)
{
    static const char *const small[] = {"_leat_meta",  "_leat_parts",   "_leat_offsets",
                                        "_leat_relay", "_leat_numbers", "_leat_columns",
                                        "sqlite_",     "_leat_parked USING COVERING"};

    for (size_t i = 0; i < ARRAY_LEN(small); i++)
        if (strncmp(detail, small[i], strlen(small[i])) == 0)
            return true;
    return false;
}

static bool is_explained(const char *sql)
{
    static const char *const words[] = {"SELECT", "UPDATE", "DELETE", "INSERT"};

    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (strncasecmp(sql, words[i], strlen(words[i])) == 0)
            return strstr(sql, "pragma_") == NULL; // of the schema
    return false;
}

// Of the first row by an index nothing is read but that.
static bool reads_all(const char *sql, const char *detail)
{
    if (strstr(detail, "TEMP B-TREE") != NULL)
        return true;
    if (strncmp(detail, "SCAN ", 5) != 0 || is_small(detail + 5) ||
        strncmp(detail, "SCAN CONSTANT", 13) == 0)
        return false;
    return strstr(sql, "LIMIT 1") == NULL;
}

static int findings(sqlite3 *db, const char *sql)
{
    char *text = sqlite3_mprintf("EXPLAIN QUERY PLAN %s", sql);
    sqlite3_stmt *s;
    int n = 0;

    if (sqlite3_prepare_v2(db, text, -1, &s, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    while (sqlite3_step(s) == SQLITE_ROW) {
        const char *detail = (const char *)sqlite3_column_text(s, 3);

        if (!reads_all(sql, detail))
            continue;
        print_error("%s\n    %s\n", sql, detail);
        n++;
    }
    sqlite3_finalize(s);
    sqlite3_free(text);
    return n;
}

// No statement of a job's start, steps and restart goes through a table of state or of users' rows.
static void test_nothing_is_scanned(void **state)
{
    struct driven d = {0};
    int n = 0, explained = 0;
    sqlite3 *db;

    (void)state;
    assert_int_equal(sqlite3_auto_extension((void (*)(void))on_open), SQLITE_OK);
    given_job(&d);
    when_run(&d);
    sqlite3_reset_auto_extension();
    db = db_handle(jobfile_of(driver_store(d.driver))->db);
    sqlite3_set_authorizer(db, NULL, NULL);
    for (size_t i = 0; i < n_texts; i++) {
        if (!is_explained(texts[i]))
            continue;
        n += findings(db, texts[i]);
        explained++;
    }
    assert_int_equal(n, 0);
    assert_true(explained > 60);
    forget();
    driven_close(&d);
}

// The rows that a restart and one record read, with the state of so many keys, none of which the
// watermark has to close.
static int64_t rows_of_restart(int keys)
{
    struct driven d = {0};
    int64_t t, n;

    given_job(&d);
    t = driver_now(d.driver);
    for (int i = 0; i < keys; i++) {
        sent(&d, "in", t, i, i == 13 ? 0 : i);
        sent(&d, "right", t, i, i);
    }
    driven_ok(&d, driver_run(d.driver, &d.e));
    rows_read = 0;
    driven_ok(&d, driver_restart(d.driver, &d.e));
    sent(&d, "in", t, keys, keys);
    driven_ok(&d, driver_run(d.driver, &d.e));
    n = rows_read;
    driven_close(&d);
    return n;
}

// Starting a job and going on reads as much with the state of a thousand keys as with that of ten.
static void test_starting_reads_no_state(void **state)
{
    int64_t few, many;

    (void)state;
    assert_int_equal(sqlite3_auto_extension((void (*)(void))on_open), SQLITE_OK);
    few = rows_of_restart(20);
    many = rows_of_restart(1000);
    sqlite3_reset_auto_extension();
    forget();
    assert_true(few > 20);
    if (many > few + 5)
        fail_msg("%lld rows with 20 keys, %lld with 1000", (long long)few, (long long)many);
}

// The test sees a scan when there is one.
static void test_a_scan_is_seen(void **state)
{
    sqlite3 *db;

    (void)state;
    assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "create table t (a, b)", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(findings(db, "SELECT count(*) FROM t"), 1);
    assert_int_equal(findings(db, "SELECT a FROM t WHERE rowid > 3 ORDER BY b LIMIT 1"), 1);
    assert_int_equal(findings(db, "SELECT a FROM t WHERE rowid = 3"), 0);
    sqlite3_close(db);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_scan_is_seen),
        cmocka_unit_test(test_nothing_is_scanned),
        cmocka_unit_test(test_starting_reads_no_state),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
