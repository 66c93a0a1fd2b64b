// SPDX-License-Identifier: Apache-2.0
//
// SQLite as we open it: what the pragmas say, what errors become, what a stranger's SQL may do.
// Each test has a directory of its own under /tmp.
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "runtime/base/failpoint.h"
#include "runtime/db/db.h"

struct fixture {
    char dir[64], path[96];
    struct db *db;
    struct err e;
};

static int remove_dir(const char *dir)
{
    DIR *d = opendir(dir);
    struct dirent *entry;
    char path[400];

    while (d != NULL && (entry = readdir(d)) != NULL) {
        snprintf(path, sizeof path, "%s/%s", dir, entry->d_name);
        (void)unlink(path);
    }
    if (d != NULL)
        closedir(d);
    return rmdir(dir);
}

static int n_files(const char *dir)
{
    DIR *d = opendir(dir);
    int n = 0;

    while (readdir(d) != NULL)
        n++;
    closedir(d);
    return n - 2;
}

static int setup(void **state)
{
    struct fixture *fx = calloc(1, sizeof *fx);

    snprintf(fx->dir, sizeof fx->dir, "/tmp/leat-db-XXXXXX");
    if (mkdtemp(fx->dir) == NULL)
        return -1;
    snprintf(fx->path, sizeof fx->path, "%s/a.db", fx->dir);
    *state = fx;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fx = *state;

    failpoint_arm(NULL);
    db_close(fx->db);
    remove_dir(fx->dir);
    free(fx);
    return 0;
}

static void open_writer(struct fixture *fx)
{
    struct db_options o = {.mode = DB_WRITER, .create = true};
    int rc = db_open(&fx->db, fx->path, &o, &fx->e);

    if (rc < 0)
        fail_msg("%s", fx->e.text);
}

static void reopen_writer(struct fixture *fx)
{
    db_close(fx->db);
    fx->db = NULL;
    open_writer(fx);
}

static struct db *open_reader(struct fixture *fx)
{
    struct db_options o = {.mode = DB_READER};
    struct db *r;

    if (db_open(&r, fx->path, &o, &fx->e) < 0)
        fail_msg("%s", fx->e.text);
    return r;
}

static void exec(struct fixture *fx, const char *sql)
{
    if (db_exec(fx->db, sql, &fx->e) < 0)
        fail_msg("%s: %s", sql, fx->e.text);
}

static int64_t ask(struct db *db, const char *sql)
{
    struct err e = {0};
    int64_t v = -1;

    if (db_query_int(db, sql, &v, &e) < 0)
        fail_msg("%s: %s", sql, e.text);
    return v;
}

static void writer_is_durable(void **state)
{
    // A writer runs in WAL with synchronous FULL and foreign keys, whatever SQLite's defaults are.
    struct fixture *fx = *state;

    open_writer(fx);
    assert_int_equal(ask(fx->db, "PRAGMA synchronous"), 2);
    assert_int_equal(ask(fx->db, "PRAGMA foreign_keys"), 1);
    assert_int_equal(ask(fx->db, "PRAGMA wal_autocheckpoint"), 0);
    assert_int_equal(ask(fx->db, "PRAGMA mmap_size"), 0);
    assert_int_equal(ask(fx->db, "PRAGMA temp_store"), 2);
    assert_int_equal(
        ask(fx->db, "SELECT count(*) FROM pragma_journal_mode WHERE journal_mode = 'wal'"), 1);
}

static void lowered_journal_is_refused(void **state)
{
    // A file that somebody took out of WAL mode is refused at open, and the message names the
    // pragma.
    struct fixture *fx = *state;
    struct db_options o = {.mode = DB_WRITER};

    open_writer(fx);
    exec(fx, "CREATE TABLE t (a)");
    db_close(fx->db);
    fx->db = NULL;
    char command[256];
    snprintf(command, sizeof command,
             "/usr/bin/python3 -c \"import sqlite3; sqlite3.connect('%s').execute('PRAGMA "
             "journal_mode=DELETE')\"",
             fx->path);
    assert_int_equal(system(command), 0);
    assert_int_equal(db_open(&fx->db, fx->path, &o, &fx->e), LEAT_EINVAL);
    assert_non_null(strstr(fx->e.text, "journal_mode"));
    assert_non_null(strstr(fx->e.text, fx->path));
}

static void lowered_synchronous_is_refused(void **state)
{
    // A connection that would not sync its commits is refused at open, and the message names the
    // pragma.
    struct fixture *fx = *state;
    struct db_options o = {.mode = DB_WRITER, .create = true};

    failpoint_arm("db_normal");
    assert_int_equal(db_open(&fx->db, fx->path, &o, &fx->e), LEAT_EINVAL);
    assert_non_null(strstr(fx->e.text, "synchronous"));
}

static void run_raw(sqlite3 *h, const char *sql)
{
    if (sqlite3_exec(h, sql, NULL, NULL, NULL) != SQLITE_OK)
        fail_msg("%s", sqlite3_errmsg(h));
}

static void copy_file(const char *from, const char *to)
{
    char bytes[4096];
    FILE *in = fopen(from, "r"), *out = fopen(to, "w");
    size_t n;

    assert_true(in != NULL && out != NULL);
    while ((n = fread(bytes, 1, sizeof bytes, in)) > 0)
        assert_int_equal(fwrite(bytes, 1, n, out), n);
    fclose(in);
    fclose(out);
}

// The file and its journal as a process leaves them that dies in a transaction that has begun to
// write into the file.
static void given_hot_journal(struct fixture *fx)
{
    char from[120], journal[140], to[120];
    sqlite3 *h;

    (void)snprintf(from, sizeof from, "%s/b.db", fx->dir);
    (void)snprintf(journal, sizeof journal, "%s-journal", from);
    (void)snprintf(to, sizeof to, "%s-journal", fx->path);
    assert_int_equal(sqlite3_open(from, &h), SQLITE_OK);
    run_raw(h, "PRAGMA cache_size=2; CREATE TABLE t (x); INSERT INTO t VALUES (1); BEGIN; "
               "WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100) "
               "INSERT INTO t SELECT zeroblob(4000) FROM n");
    copy_file(from, fx->path);
    copy_file(journal, to);
    sqlite3_close(h);
}

static void readers_find_what_a_crash_left(void **state)
{
    // A transaction that a dead process left half-way in the file is taken back for a reader too,
    // which may not write.
    struct fixture *fx = *state;
    struct db_options o = {.mode = DB_READER};
    int64_t n = 0;

    given_hot_journal(fx);
    if (db_open(&fx->db, fx->path, &o, &fx->e) != 0)
        fail_msg("%s", fx->e.text);
    db_set_policy(fx->db, NULL);
    assert_int_equal(db_begin(fx->db, &fx->e), 0);
    assert_int_equal(db_query_int(fx->db, "SELECT count(*) FROM t", &n, &fx->e), 0);
    assert_int_equal(n, 1);
}

static void foreign_files_are_refused(void **state)
{
    // What is no database, and what is not there, is refused with the path in the message.
    struct fixture *fx = *state;
    struct db_options o = {.mode = DB_WRITER};
    FILE *f;

    assert_int_equal(db_open(&fx->db, fx->path, &o, &fx->e), LEAT_ENOTFOUND);
    assert_non_null(strstr(fx->e.text, fx->path));
    f = fopen(fx->path, "w");
    for (int i = 0; i < 1000; i++)
        fputs("this is no database ", f);
    fclose(f);
    assert_int_equal(db_open(&fx->db, fx->path, &o, &fx->e), LEAT_ECORRUPT);
    assert_non_null(strstr(fx->e.text, fx->path));
}

static int code_of(struct fixture *fx, const char *sql)
{
    err_clear(&fx->e);
    return db_exec(fx->db, sql, &fx->e);
}

static void errors_are_classed(void **state)
{
    // SQLite's errors become ours, class by class, and keep SQLite's sentence.
    struct fixture *fx = *state;

    open_writer(fx);
    exec(fx, "CREATE TABLE p (id INTEGER PRIMARY KEY, n INTEGER NOT NULL CHECK (n > 0), u TEXT "
             "UNIQUE) STRICT");
    exec(fx, "CREATE TABLE c (id INTEGER PRIMARY KEY, p INTEGER REFERENCES p(id)) STRICT");
    exec(fx, "INSERT INTO p VALUES (1, 1, 'a')");
    assert_int_equal(code_of(fx, "INSERT INTO p VALUES (1, 1, 'b')"), LEAT_ECONSTRAINT);
    assert_non_null(strstr(fx->e.text, "UNIQUE constraint failed: p.id"));
    assert_int_equal(code_of(fx, "INSERT INTO p VALUES (2, 1, 'a')"), LEAT_ECONSTRAINT);
    assert_int_equal(code_of(fx, "INSERT INTO p VALUES (2, NULL, 'b')"), LEAT_ECONSTRAINT);
    assert_int_equal(code_of(fx, "INSERT INTO p VALUES (2, 0, 'b')"), LEAT_ECONSTRAINT);
    assert_int_equal(code_of(fx, "INSERT INTO p VALUES (2, 'x', 'b')"), LEAT_ETYPE);
    assert_int_equal(code_of(fx, "INSERT INTO p VALUES ('x', 1, 'b')"), LEAT_ETYPE);
    assert_int_equal(code_of(fx, "INSERT INTO c VALUES (1, 99)"), LEAT_EMISSING);
    assert_int_equal(code_of(fx, "SELEKT"), LEAT_ESQL);
    assert_non_null(strstr(fx->e.text, "SELEKT"));
}

static void busy_and_interrupted(void **state)
{
    // A second writer is told that the file is busy; a statement past its deadline has timed out.
    struct fixture *fx = *state;
    struct db_options o = {.mode = DB_WRITER, .busy_ms = 1};
    struct db *other;

    open_writer(fx);
    exec(fx, "CREATE TABLE t (a)");
    assert_int_equal(db_open(&other, fx->path, &o, &fx->e), 0);
    assert_int_equal(db_begin(fx->db, &fx->e), 0);
    assert_int_equal(db_begin(other, &fx->e), LEAT_EBUSY);
    db_rollback(fx->db);
    db_close(other);
    db_set_deadline(fx->db, 1);
    assert_int_equal(code_of(fx, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
                                 "SELECT count(*) FROM n"),
                     LEAT_ETIMEDOUT);
    db_set_deadline(fx->db, 0);
}

static void full_disk_is_no_space(void **state)
{
    // A full file is LEAT_ENOSPC; nothing of the transaction stays, and the connection works once
    // there is space again.
    struct fixture *fx = *state;
    int rc = 0;

    open_writer(fx);
    exec(fx, "CREATE TABLE t (a); INSERT INTO t VALUES (1); PRAGMA max_page_count=20");
    assert_int_equal(db_begin(fx->db, &fx->e), 0);
    while (rc == 0)
        rc = db_exec(fx->db, "INSERT OR ABORT INTO t VALUES (randomblob(3000))", &fx->e);
    assert_int_equal(rc, LEAT_ENOSPC);
    db_rollback(fx->db);
    assert_int_equal(ask(fx->db, "SELECT count(*) FROM t"), 1);
    exec(fx, "PRAGMA max_page_count=2000");
    exec(fx, "INSERT INTO t VALUES (randomblob(30000))");
}

static int fill(struct fixture *fx)
{
    int rc = db_begin(fx->db, &fx->e);

    for (int i = 0; rc == 0 && i < 50; i++)
        rc = db_exec(fx->db, "INSERT OR ABORT INTO t VALUES (randomblob(5000))", &fx->e);
    if (rc == 0)
        return db_commit(fx->db, &fx->e);
    db_rollback(fx->db);
    return rc;
}

static void failing_disk(struct fixture *fx, int code, bool forever)
{
    int64_t before;
    int n;

    for (n = 0;; n++) {
        reopen_writer(fx);
        before = ask(fx->db, "SELECT count(*) FROM t");
        db_fault_arm(fx->db, n, code, forever);
        int rc = fill(fx);
        bool fired = db_fault_fired(fx->db);
        db_fault_arm(fx->db, -1, code, false);
        if (!fired) {
            assert_int_equal(rc, 0);
            break;
        }
        assert_int_equal(rc, code);
        assert_false(db_in_transaction(fx->db));
        reopen_writer(fx);
        int64_t after = ask(fx->db, "SELECT count(*) FROM t");
        // A failed sync may leave a whole commit behind, a failed write never a part of one.
        assert_true(after == before || after == before + 50);
        assert_int_equal(
            ask(fx->db,
                "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'"),
            0);
    }
    assert_true(n > 10);
}

static void wal_is_written_in_pieces(void **state)
{
    // A writer's WAL is written in pieces of several pages, not page by page; what was written but
    // not committed is read back by the writer and seen by nobody else.
    struct fixture *fx = *state;
    struct db *r;

    open_writer(fx);
    exec(fx, "PRAGMA cache_size=10");
    exec(fx, "CREATE TABLE t (a)");
    r = open_reader(fx);
    db_set_policy(r, NULL);
    db_fault_arm(fx->db, 300, LEAT_EIO, false); // 250 pages, each in two parts
    assert_int_equal(db_begin(fx->db, &fx->e), 0);
    for (int i = 0; i < 250; i++)
        exec(fx, "INSERT INTO t VALUES (zeroblob(3900))");
    assert_int_equal(ask(fx->db, "SELECT sum(length(a)) FROM t"), 250 * 3900);
    assert_int_equal(ask(r, "SELECT count(*) FROM t"), 0);
    assert_int_equal(db_commit(fx->db, &fx->e), 0);
    assert_false(db_fault_fired(fx->db));
    assert_int_equal(ask(r, "SELECT sum(length(a)) FROM t"), 250 * 3900);
    db_close(r);
}

static void every_write_may_fail(void **state)
{
    // Whichever write or sync of a commit fails, the commit is reported as failed, is all or
    // nothing, and the file stays sound.
    struct fixture *fx = *state;

    open_writer(fx);
    exec(fx, "CREATE TABLE t (a)");
    failing_disk(fx, LEAT_EIO, false);
    failing_disk(fx, LEAT_EIO, true);
    failing_disk(fx, LEAT_ENOSPC, false);
}

static void conflict_rollback_is_noticed(void **state)
{
    // A statement that ends the transaction leaves no way to go on as if it were open.
    struct fixture *fx = *state;

    open_writer(fx);
    exec(fx, "CREATE TABLE t (a INTEGER PRIMARY KEY ON CONFLICT ROLLBACK)");
    assert_int_equal(db_begin(fx->db, &fx->e), 0);
    assert_int_equal(db_savepoint(fx->db, &fx->e), 0);
    exec(fx, "INSERT INTO t VALUES (1)");
    assert_int_equal(code_of(fx, "INSERT INTO t VALUES (1)"), LEAT_ECONSTRAINT);
    assert_false(db_in_transaction(fx->db));
    assert_int_equal(db_savepoint(fx->db, &fx->e), LEAT_ESTOPPED);
    assert_int_equal(db_release(fx->db, &fx->e), LEAT_ESTOPPED);
    assert_int_equal(db_commit(fx->db, &fx->e), LEAT_ESTOPPED);
}

static void or_abort_overrides_the_clause(void **state)
{
    // OR ABORT in the statement wins over a conflict clause in the table.
    struct fixture *fx = *state;

    open_writer(fx);
    exec(fx, "CREATE TABLE t (a INTEGER PRIMARY KEY ON CONFLICT ROLLBACK)");
    assert_int_equal(db_begin(fx->db, &fx->e), 0);
    exec(fx, "INSERT INTO t VALUES (1)");
    assert_int_equal(code_of(fx, "INSERT OR ABORT INTO t VALUES (1)"), LEAT_ECONSTRAINT);
    assert_true(db_in_transaction(fx->db));
    assert_int_equal(db_commit(fx->db, &fx->e), 0);
    assert_int_equal(ask(fx->db, "SELECT count(*) FROM t"), 1);
}

static void savepoints_nest(void **state)
{
    // Rolling back to a savepoint undoes what came after it and nothing else.
    struct fixture *fx = *state;

    open_writer(fx);
    exec(fx, "CREATE TABLE t (a)");
    assert_int_equal(db_begin(fx->db, &fx->e), 0);
    exec(fx, "INSERT INTO t VALUES (1)");
    assert_int_equal(db_savepoint(fx->db, &fx->e), 0);
    exec(fx, "INSERT INTO t VALUES (2)");
    assert_int_equal(db_savepoint(fx->db, &fx->e), 0);
    exec(fx, "INSERT INTO t VALUES (3)");
    assert_int_equal(db_rollback_to(fx->db, &fx->e), 0);
    assert_int_equal(db_release(fx->db, &fx->e), 0);
    assert_int_equal(db_savepoint(fx->db, &fx->e), 0);
    exec(fx, "INSERT INTO t VALUES (4)");
    assert_int_equal(db_rollback_to(fx->db, &fx->e), 0);
    assert_int_equal(db_commit(fx->db, &fx->e), 0);
    assert_int_equal(ask(fx->db, "SELECT sum(a) FROM t"), 3);
}

static void failpoints_around_commit(void **state)
{
    // A failure before the commit loses the transaction, one after it does not.
    struct fixture *fx = *state;

    open_writer(fx);
    exec(fx, "CREATE TABLE t (a)");
    failpoint_arm("db_before_commit=eio@1,db_after_commit=eio@1");
    assert_int_equal(db_begin(fx->db, &fx->e), 0);
    exec(fx, "INSERT INTO t VALUES (1)");
    assert_int_equal(db_commit(fx->db, &fx->e), LEAT_EIO);
    assert_int_equal(ask(fx->db, "SELECT count(*) FROM t"), 0);
    assert_int_equal(db_begin(fx->db, &fx->e), 0);
    exec(fx, "INSERT INTO t VALUES (1)");
    assert_int_equal(db_commit(fx->db, &fx->e), LEAT_EIO);
    assert_int_equal(ask(fx->db, "SELECT count(*) FROM t"), 1);
}

static void values_come_back(void **state)
{
    // Every type is read as it was bound, and null is told from empty.
    struct fixture *fx = *state;
    struct db_stmt *s;

    open_writer(fx);
    assert_int_equal(db_prepare(fx->db, "SELECT ?1, ?2, ?3, ?4, ?5, ?6, :n", &s, &fx->e), 0);
    db_bind_int(s, 1, INT64_MIN);
    db_bind_double(s, 2, 0.1);
    db_bind_text(s, 3, BYTES_LIT("a\0b"));
    db_bind_blob(s, 4, BYTES_LIT(""));
    db_bind_null(s, 5);
    db_bind_text(s, 6, BYTES_NULL);
    assert_int_equal(db_bind_index(s, ":n"), 7);
    assert_int_equal(db_next(s, &fx->e), 1);
    assert_int_equal(db_column_int(s, 0), INT64_MIN);
    assert_true(db_column_double(s, 1) == 0.1);
    assert_int_equal(db_column_text(s, 2).n, 3);
    assert_int_equal(db_column_type(s, 3), DB_BLOB);
    assert_non_null(db_column_blob(s, 3).p);
    assert_int_equal(db_column_type(s, 4), DB_NULL);
    assert_int_equal(db_column_type(s, 5), DB_NULL);
    assert_true(bytes_is_null(db_column_text(s, 5)));
    assert_int_equal(db_next(s, &fx->e), 0);
    db_stmt_free(s);
}

static void step_clock_answers(void **state)
{
    // Time and randomness in SQL come from the step's clock and seed, so that a replay gives the
    // same rows.
    struct fixture *fx = *state;
    int64_t first, second;

    open_writer(fx);
    db_set_now(fx->db, 1767225600000, 7);
    assert_int_equal(ask(fx->db, "SELECT unixepoch('now')"), 1767225600);
    assert_int_equal(ask(fx->db, "SELECT current_timestamp = '2026-01-01 00:00:00'"), 1);
    assert_int_equal(
        ask(fx->db, "SELECT current_date = '2026-01-01' AND current_time = '00:00:00'"), 1);
    assert_int_equal(ask(fx->db, "SELECT date('now', '+1 day') = '2026-01-02'"), 1);
    first = ask(fx->db, "SELECT random()");
    second = ask(fx->db, "SELECT random()");
    assert_true(first != second);
    db_set_now(fx->db, 1767225600000, 7);
    assert_true(ask(fx->db, "SELECT random()") == first);
}

static void data_version_sees_others(void **state)
{
    // The data version moves with commits of other connections only.
    struct fixture *fx = *state;
    struct db_options o = {.mode = DB_WRITER};
    struct db *other;
    int64_t a, b, c;

    open_writer(fx);
    exec(fx, "CREATE TABLE t (a)");
    assert_int_equal(db_data_version(fx->db, &a, &fx->e), 0);
    exec(fx, "INSERT INTO t VALUES (1)");
    assert_int_equal(db_data_version(fx->db, &b, &fx->e), 0);
    assert_int_equal(a, b);
    assert_int_equal(db_open(&other, fx->path, &o, &fx->e), 0);
    assert_int_equal(db_exec(other, "INSERT INTO t VALUES (2)", &fx->e), 0);
    db_close(other);
    assert_int_equal(db_data_version(fx->db, &c, &fx->e), 0);
    assert_int_not_equal(b, c);
}

static void checkpoint_resets_the_wal(void **state)
{
    // Nothing is checkpointed by itself; a checkpoint lets the next commit start the WAL over.
    struct fixture *fx = *state;
    int64_t before;

    open_writer(fx);
    exec(fx, "CREATE TABLE t (a)");
    for (int i = 0; i < 100; i++)
        exec(fx, "INSERT INTO t VALUES (randomblob(20000))");
    before = db_wal_bytes(fx->db);
    assert_true(before > 100 * 20000);
    assert_int_equal(db_checkpoint(fx->db, before + 1, &fx->e), 0);
    assert_int_equal(db_wal_bytes(fx->db), before);
    assert_int_equal(db_checkpoint(fx->db, before, &fx->e), 0);
    exec(fx, "INSERT INTO t VALUES (1)");
    assert_true(db_wal_bytes(fx->db) < 100000);
}

static int64_t wal_file_bytes(struct fixture *fx)
{
    char path[128];
    struct stat st;

    snprintf(path, sizeof path, "%s-wal", fx->path);
    return stat(path, &st) == 0 ? (int64_t)st.st_size : -1;
}

static void large_commits_are_cut_off(void **state)
{
    // The checkpoint behind a large commit cuts the WAL off, small ones leave its bytes to be
    // written over. A reader that is in the way loses nothing; then the cut comes later.
    struct fixture *fx = *state;
    struct db *r;

    open_writer(fx);
    exec(fx, "CREATE TABLE t (a)");
    exec(fx, "INSERT INTO t VALUES (randomblob(1000))");
    assert_int_equal(db_checkpoint(fx->db, 0, &fx->e), 0);
    assert_true(wal_file_bytes(fx) > 0);
    exec(fx, "INSERT INTO t VALUES (randomblob(1000000))");
    r = open_reader(fx);
    db_set_policy(r, NULL);
    assert_int_equal(db_begin(r, &fx->e), 0);
    assert_int_equal(ask(r, "SELECT count(*) FROM t"), 2);
    exec(fx, "INSERT INTO t VALUES (randomblob(1000000))");
    assert_int_equal(db_checkpoint(fx->db, 0, &fx->e), 0);
    assert_true(wal_file_bytes(fx) > 1000000);
    assert_int_equal(ask(r, "SELECT count(*) FROM t"), 2);
    assert_int_equal(db_commit(r, &fx->e), 0);
    db_close(r);
    assert_int_equal(db_checkpoint(fx->db, 0, &fx->e), 0);
    assert_int_equal(wal_file_bytes(fx), 0);
    assert_int_equal(ask(fx->db, "SELECT count(*) FROM t"), 3);
}

static void lock_has_one_holder(void **state)
{
    // A second holder is refused, in this process and from another; release and death free the
    // lock.
    struct fixture *fx = *state;
    struct db_lock a, b;
    char path[128];
    int status;

    snprintf(path, sizeof path, "%s/a.lock", fx->dir);
    assert_int_equal(db_lock_acquire(&a, path, &fx->e), 0);
    assert_int_equal(db_lock_acquire(&b, path, &fx->e), LEAT_ELOCKED);
    pid_t child = fork();
    if (child == 0)
        _exit(db_lock_acquire(&b, path, NULL) == LEAT_ELOCKED ? 0 : 1);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    db_lock_release(&a);
    assert_int_equal(db_lock_acquire(&b, path, &fx->e), 0);
    db_lock_release(&b);
}

static bool may_read_t(void *ctx, const struct db_access *a)
{
    (void)ctx;
    return a->kind == DB_ACCESS_READ && (strcmp(a->table, "t") == 0 || strcmp(a->table, "n") == 0);
}

static int try_read(struct db *r, const char *sql, struct err *e)
{
    struct db_stmt *s;
    int rc = db_prepare(r, sql, &s, e);

    if (rc < 0)
        return rc;
    rc = db_run(s, e);
    db_stmt_free(s);
    return rc;
}

static void reader_is_hardened(void **state)
{
    // A stranger's SQL can read what the policy allows and do nothing else: no file, no write, no
    // memory, no endless run.
    static const char *const hostile[] = {
        "VACUUM INTO '/tmp/leat-db-escaped.db'",
        "VACUUM",
        "ATTACH '/tmp/leat-db-escaped.db' AS x",
        "PRAGMA query_only=0",
        "PRAGMA journal_mode",
        "PRAGMA writable_schema=1",
        "INSERT INTO t VALUES (1)",
        "UPDATE t SET a = 1",
        "DELETE FROM t",
        "DROP TABLE t",
        "CREATE TABLE u (a)",
        "CREATE TEMP TABLE u (a)",
        "CREATE TEMP VIEW v AS SELECT 1",
        "BEGIN",
        "COMMIT",
        "SAVEPOINT x",
        "SELECT 1; DELETE FROM t",
        "SELECT 1; SELECT 2",
        "SELECT 1; -- comment",
        "",
        "-- nothing",
        "SELECT * FROM secret",
        "SELECT (SELECT max(a) FROM secret)",
        "SELECT * FROM sqlite_schema",
        "SELECT * FROM sqlite_master",
        "SELECT * FROM pragma_table_info('t')",
        "SELECT hex(zeroblob(400000000))",
        "SELECT printf('%.*c', 400000000, 'x')",
        "SELECT format('%.*c', 400000000, 'x')",
        "SELECT randomblob(400000000)",
        "SELECT replace(replace(hex(a), '0', '00000000000000000000'), '0', '000000000000000000') "
        "FROM t",
        "SELECT load_extension('x')",
        "SELECT readfile('/etc/passwd')",
        "SELECT sqlite_compileoption_get(1)",
        "SELECT fts3_tokenizer('simple')",
    };
    struct fixture *fx = *state;
    struct db_policy policy = {.may = may_read_t};
    struct db *r;
    int before;

    open_writer(fx);
    exec(fx, "CREATE TABLE t (a); CREATE TABLE secret (a); INSERT INTO t VALUES (1), (2)");
    r = open_reader(fx);
    assert_true(try_read(r, "SELECT a FROM t", &fx->e) < 0);
    db_set_policy(r, &policy);
    before = n_files(fx->dir);
    for (size_t i = 0; i < ARRAY_LEN(hostile); i++)
        if (try_read(r, hostile[i], &fx->e) >= 0)
            fail_msg("this went through: %s", hostile[i]);
    assert_int_equal(n_files(fx->dir), before);
    assert_int_not_equal(access("/tmp/leat-db-escaped.db", F_OK), 0);
    assert_int_equal(
        try_read(r, "SELECT count(*), max(upper(a)) FROM t WHERE a > 0 ORDER BY a;\n", &fx->e), 0);
    assert_int_equal(try_read(r, "SELECT value FROM json_each('[1,2]')", &fx->e), 0);
    db_close(r);
}

static void reader_stops_at_its_deadline(void **state)
{
    // An endless query ends at its deadline, and the connection answers the next one.
    struct fixture *fx = *state;
    struct db_policy policy = {.may = may_read_t};
    struct db *r;

    open_writer(fx);
    exec(fx, "CREATE TABLE t (a)");
    r = open_reader(fx);
    db_set_policy(r, &policy);
    db_set_deadline(r, clock_mono_ns(clock_system()) + 50 * 1000000);
    assert_int_equal(try_read(r,
                              "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
                              "SELECT count(*) FROM n",
                              &fx->e),
                     LEAT_ETIMEDOUT);
    db_set_deadline(r, clock_mono_ns(clock_system()) + INT64_C(60) * 1000000000);
    assert_int_equal(try_read(r, "SELECT count(*) FROM t", &fx->e), 0);
    db_close(r);
}

static void reader_sees_one_moment(void **state)
{
    // Inside a read transaction a reader sees one commit, and the policy does not hinder the
    // transaction itself.
    struct fixture *fx = *state;
    struct db_policy policy = {.may = may_read_t};
    struct db *r;

    open_writer(fx);
    exec(fx, "CREATE TABLE t (a)");
    r = open_reader(fx);
    db_set_policy(r, &policy);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(db_begin(r, &fx->e), 0);
        assert_int_equal(ask(r, "SELECT count(*) FROM t"), i);
        exec(fx, "INSERT INTO t VALUES (1)");
        assert_int_equal(ask(r, "SELECT count(*) FROM t"), i);
        assert_int_equal(db_commit(r, &fx->e), 0);
    }
    db_close(r);
}

static void memory_behaves_like_a_writer(void **state)
{
    // The database of tests has the same rules, without a file.
    struct fixture *fx = *state;
    struct db_options o = {.mode = DB_MEMORY};

    assert_int_equal(db_open(&fx->db, NULL, &o, &fx->e), 0);
    exec(fx, "CREATE TABLE p (a INTEGER PRIMARY KEY); CREATE TABLE c (p REFERENCES p)");
    assert_int_equal(code_of(fx, "INSERT INTO c VALUES (1)"), LEAT_EMISSING);
    assert_int_equal(db_begin(fx->db, &fx->e), 0);
    exec(fx, "INSERT INTO p VALUES (1)");
    assert_int_equal(db_commit(fx->db, &fx->e), 0);
    assert_int_equal(db_checkpoint(fx->db, 0, &fx->e), 0);
    assert_int_equal(n_files(fx->dir), 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(writer_is_durable),
        T(lowered_journal_is_refused),
        T(lowered_synchronous_is_refused),
        T(readers_find_what_a_crash_left),
        T(foreign_files_are_refused),
        T(errors_are_classed),
        T(busy_and_interrupted),
        T(full_disk_is_no_space),
        T(wal_is_written_in_pieces),
        T(every_write_may_fail),
        T(conflict_rollback_is_noticed),
        T(or_abort_overrides_the_clause),
        T(savepoints_nest),
        T(failpoints_around_commit),
        T(values_come_back),
        T(step_clock_answers),
        T(data_version_sees_others),
        T(checkpoint_resets_the_wal),
        T(large_commits_are_cut_off),
        T(lock_has_one_holder),
        T(reader_is_hardened),
        T(reader_stops_at_its_deadline),
        T(reader_sees_one_moment),
        T(memory_behaves_like_a_writer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
