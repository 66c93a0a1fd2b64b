// SPDX-License-Identifier: Apache-2.0
//
// The job file: steps all or nothing, owners fenced, outbox, parked and late rows, and what a full
// or failing disk leaves.
#include <string.h>
#include <unistd.h>

#include "tests/unit/projections/fixture.h"
#include "runtime/base/failpoint.h"
#include "runtime/base/limits.h"

static int count_offset(void *arg, const struct store_offset *o)
{
    int64_t *next = arg;

    assert_string_equal(o->topic, "events");
    assert_int_equal(o->epoch, 3);
    assert_true(o->watermark == INT64_MIN);
    assert_int_equal(o->last_time, 5);
    *next = o->next;
    return 0;
}

static int64_t stored_next(struct fixture *fx)
{
    int64_t next = -1;

    ok(fx, fx->s->ops->offsets(fx->s, count_offset, &next, &fx->e));
    return next;
}

static void identity_is_kept(void **state)
{
    // A job file keeps its incarnation and producer for life, and each opening takes the ownership
    // over.
    struct fixture *fx = *state;
    struct store before;

    open_file(fx);
    before = *fx->s;
    assert_false(uuid_is_zero(before.incarnation));
    assert_true(before.producer_id >= PRODUCER_ID_RESERVED);
    reopen(fx);
    assert_true(uuid_eq(before.incarnation, fx->s->incarnation));
    assert_true(before.producer_id == fx->s->producer_id);
    assert_int_equal(fx->s->owner_epoch, before.owner_epoch + 1);
}

static void second_owner_is_refused(void **state)
{
    // While a job has its file open nobody else can open it to write.
    struct fixture *fx = *state;
    struct jobfile_options o = {.path = fx->path};
    struct store *other;

    open_file(fx);
    assert_int_equal(jobfile_open(&other, &fx->plan, &o, &fx->e), LEAT_ELOCKED);
    assert_null(other);
}

static void foreign_files_are_refused(void **state)
{
    // Another job's file, another version's, a newer format and a database that is no job's are
    // refused untouched.
    struct fixture *fx = *state;
    struct jobfile_options o = {.path = fx->path};

    open_file(fx);
    ok(fx, db_exec(jobfile_of(fx->s)->db, "UPDATE _leat_meta SET value = 99 WHERE name = 'format'",
                   &fx->e));
    close_file(fx);
    assert_int_equal(jobfile_open(&fx->s, &fx->plan, &o, &fx->e), LEAT_EUNSUPPORTED);
    assert_non_null(strstr(fx->e.text, "newer leat"));
    unlink(fx->path);
    open_file(fx);
    close_file(fx);
    fx->plan.job = "other";
    assert_int_equal(jobfile_open(&fx->s, &fx->plan, &o, &fx->e), LEAT_EINVAL);
    fx->plan.job = "shop";
    fx->plan.version = 2;
    assert_int_equal(jobfile_open(&fx->s, &fx->plan, &o, &fx->e), LEAT_EINVAL);
}

static void step_is_all_or_nothing(void **state)
{
    // What a step wrote is there after its commit, and gone after an abort.
    struct fixture *fx = *state;

    open_file(fx);
    begin(fx);
    ok(fx, add_out(fx, 2, 0, 0, "a"));
    ok(fx, fx->s->ops->number_put(fx->s, "skipped", 3, &fx->e));
    fx->s->ops->abort(fx->s);
    assert_int_equal(fx->s->ops->outbox_waiting(fx->s), 0);
    begin(fx);
    ok(fx, add_out(fx, 2, 0, 0, "b"));
    ok(fx, commit_to(fx, 10));
    reopen(fx);
    assert_int_equal(stored_next(fx), 10);
    assert_int_equal(ask(fx, "SELECT count(*) FROM _leat_numbers"), 0);
    assert_int_equal(ask(fx, "SELECT seq FROM _leat_outbox WHERE value = CAST('b' AS BLOB)"), 0);
    assert_int_equal(
        ask(fx, "SELECT count(*) FROM _leat_commits WHERE vector = 'events:0@10' AND idle IS NULL"),
        1);
    assert_int_equal(fx->s->ops->outbox_waiting(fx->s), 1);
}

static void commits_are_kept_for_a_day(void **state)
{
    // Each commit leaves a row with its clock and offsets; now and then those of yesterday go.
    const int64_t start = 1767225600000, hour = 3600 * 1000;
    struct fixture *fx = *state;

    open_file(fx);
    for (int i = 1; i <= 300; i++) {
        begin(fx);
        ok(fx, commit_on(fx, i, i < 10 ? start : i < 20 ? start + 2 * hour : start + 25 * hour));
        if (i == 200)
            assert_int_equal(ask(fx, "SELECT count(*) FROM _leat_commits"), 200);
    }
    assert_int_equal(ask(fx, "SELECT min(wall) FROM _leat_commits"), start + 2 * hour);
    assert_int_equal(ask(fx, "SELECT count(*) FROM _leat_commits"), 291);
}

static void moved_offset_fences(void **state)
{
    // A step commits only if the stored offset is where this job left it, and its epoch is still
    // the owner's.
    struct fixture *fx = *state;

    open_file(fx);
    begin(fx);
    ok(fx, commit_to(fx, 10));
    begin(fx);
    ok(fx, db_exec(jobfile_of(fx->s)->db, "UPDATE _leat_offsets SET next = 9", &fx->e));
    assert_int_equal(commit_to(fx, 11), LEAT_EFENCED);
    assert_int_equal(stored_next(fx), 10);
    assert_int_equal(fx->s->ops->begin(fx->s, 1, &fx->e), LEAT_ESTOPPED);
    reopen(fx);
    begin(fx);
    ok(fx, db_exec(jobfile_of(fx->s)->db,
                   "UPDATE _leat_meta SET value = 77 WHERE name = 'owner_epoch'", &fx->e));
    assert_int_equal(commit_to(fx, 11), LEAT_EFENCED);
    assert_non_null(strstr(fx->e.text, "epoch"));
}

static void foreign_write_stops_the_job(void **state)
{
    // A write by another program is noticed before the next step.
    struct fixture *fx = *state;
    struct db_options o = {.mode = DB_WRITER};
    struct db *other;

    open_file(fx);
    begin(fx);
    ok(fx, commit_to(fx, 1));
    ok(fx, db_open(&other, fx->path, &o, &fx->e));
    ok(fx, db_exec(other, "INSERT INTO customers (id, name) VALUES ('x', 'y')", &fx->e));
    db_close(other);
    assert_int_equal(fx->s->ops->begin(fx->s, 1, &fx->e), LEAT_EFENCED);
    assert_non_null(strstr(fx->e.text, "another program"));
    assert_int_equal(fx->s->ops->begin(fx->s, 1, &fx->e), LEAT_ESTOPPED);
}

static void foreign_checkpoint_does_not(void **state)
{
    // A checkpoint by another program writes nothing of its own: the job goes on, also when the WAL
    // starts over behind it. A write after that is still noticed.
    struct fixture *fx = *state;
    struct db_options o = {.mode = DB_WRITER};
    struct db *other;

    open_file(fx);
    begin(fx);
    ok(fx, commit_to(fx, 1));
    ok(fx, db_open(&other, fx->path, &o, &fx->e));
    ok(fx, db_exec(other, "PRAGMA wal_checkpoint(TRUNCATE)", &fx->e));
    begin(fx);
    ok(fx, commit_to(fx, 2));
    ok(fx, db_exec(other, "PRAGMA wal_checkpoint(RESTART)", &fx->e));
    begin(fx);
    ok(fx, commit_to(fx, 3));
    ok(fx, db_exec(other, "INSERT INTO customers (id, name) VALUES ('x', 'y')", &fx->e));
    ok(fx, db_exec(other, "PRAGMA wal_checkpoint(TRUNCATE)", &fx->e));
    db_close(other);
    assert_int_equal(fx->s->ops->begin(fx->s, 1, &fx->e), LEAT_EFENCED);
}

static void sequences_have_no_gaps(void **state)
{
    // A record that is rolled back gives its sequences back; sequences count per topic id and
    // partition.
    struct fixture *fx = *state;
    int64_t seq, batch;

    open_file(fx);
    begin(fx);
    ok(fx, add_out(fx, 2, 0, 0, "a"));
    ok(fx, fx->s->ops->savepoint(fx->s, &fx->e));
    ok(fx, add_out(fx, 2, 0, 1, "lost"));
    ok(fx, add_out(fx, 2, 1, 0, "lost"));
    ok(fx, fx->s->ops->rollback_to(fx->s, &fx->e));
    assert_int_equal(fx->s->ops->outbox_waiting(fx->s), 1);
    ok(fx, fx->s->ops->savepoint(fx->s, &fx->e));
    ok(fx, add_out(fx, 2, 0, 0, "b"));
    ok(fx, add_out(fx, 2, 1, 4, "c"));
    ok(fx, fx->s->ops->release(fx->s, &fx->e));
    ok(fx, commit_to(fx, 1));
    assert_int_equal(ask(fx, "SELECT group_concat(partition || '/' || seq || '/' || id, ' ') = "
                             "'0/0/1 0/1/2 1/0/3' FROM _leat_outbox"),
                     1);
    reopen(fx);
    ok(fx, fx->s->ops->outbox_last(fx->s, topic_id(2), 1, &seq, &batch, &fx->e));
    assert_int_equal(seq, 0);
    assert_int_equal(batch, 4);
    ok(fx, fx->s->ops->outbox_last(fx->s, topic_id(3), 1, &seq, &batch, &fx->e));
    assert_int_equal(seq, -1);
}

struct seen {
    int64_t ids[16], seqs[16];
    int n;
};

static int see(void *arg, const struct outbox_row *r)
{
    struct seen *seen = arg;

    assert_true(bytes_is_null(r->headers));
    assert_true(bytes_eq_str(r->cause, "events:0@1"));
    seen->ids[seen->n] = r->id;
    seen->seqs[seen->n++] = r->seq;
    return 0;
}

static void marked_rows_go(void **state)
{
    // A mark removes what was published of its partition only, survives, and ids and sequences go
    // on where they were.
    struct fixture *fx = *state;
    struct seen seen = {.n = 0};

    open_file(fx);
    begin(fx);
    for (int i = 0; i < 3; i++) {
        ok(fx, add_out(fx, 2, 0, 0, "a"));
        ok(fx, add_out(fx, 2, 1, 0, "b"));
    }
    ok(fx, fx->s->ops->outbox_scan(fx->s, 0, 10, see, &seen, &fx->e));
    assert_int_equal(seen.n, 0); // not committed yet
    ok(fx, commit_to(fx, 1));
    ok(fx, fx->s->ops->outbox_mark(fx->s, topic_id(2), 0, 1, &fx->e));
    ok(fx, fx->s->ops->outbox_scan(fx->s, 0, 10, see, &seen, &fx->e));
    assert_int_equal(seen.n, 4);
    assert_int_equal(seen.ids[0], 2);
    assert_int_equal(fx->s->ops->outbox_waiting(fx->s), 4);
    begin(fx);
    ok(fx, fx->s->ops->outbox_mark(fx->s, topic_id(2), 0, 2, &fx->e));
    ok(fx, fx->s->ops->outbox_mark(fx->s, topic_id(2), 1, 2, &fx->e));
    ok(fx, commit_to(fx, 2));
    reopen(fx);
    assert_int_equal(fx->s->ops->outbox_waiting(fx->s), 0);
    assert_int_equal(ask(fx, "SELECT published_seq FROM _leat_relay WHERE partition = 0"), 2);
    begin(fx);
    ok(fx, add_out(fx, 2, 0, 1, "d"));
    ok(fx, commit_to(fx, 3));
    seen.n = 0;
    ok(fx, fx->s->ops->outbox_scan(fx->s, 6, 10, see, &seen, &fx->e));
    assert_int_equal(seen.n, 1);
    assert_int_equal(seen.ids[0], 7);
    assert_int_equal(seen.seqs[0], 3);
}

static struct parked_row parked(const char *key, enum parked_state st, int64_t next_at)
{
    return (struct parked_row){.entry = BYTES_LIT("from[events]"),
                               .key = bytes_str(key),
                               .state = st,
                               .class = st == PARKED_SEQUENCE ? 0 : LEAT_EMISSING,
                               .message = BYTES_LIT("no account"),
                               .where = BYTES_LIT("jobs/shop.lua:19"),
                               .next_at = next_at,
                               .topic = BYTES_LIT("events"),
                               .offset = 5,
                               .value = BYTES_LIT("{}")};
}

static void new_rows_take_the_place_of_old(void **state)
{
    // Rows marked in a step leave before it adds new ones: the file does not grow with rows that
    // are published in time. A step that is aborted leaves the old ones.
    struct fixture *fx = *state;
    struct seen seen = {.n = 0};
    enum { ROWS = 300 };
    int64_t pages = 0;

    open_file(fx);
    for (int step = 1; step <= 5; step++) {
        begin(fx);
        if (step > 1)
            ok(fx, fx->s->ops->outbox_mark(fx->s, topic_id(2), 0, (step - 1) * ROWS - 1, &fx->e));
        for (int i = 0; i < ROWS; i++)
            ok(fx, add_out(fx, 2, 0, step, "a row"));
        assert_int_equal(ask(fx, "SELECT count(*) FROM _leat_outbox"), ROWS);
        ok(fx, commit_to(fx, step));
        pages = step == 1 ? ask(fx, "PRAGMA page_count") : pages;
    }
    assert_in_range(ask(fx, "PRAGMA page_count"), 1, pages + 2);
    begin(fx);
    ok(fx, fx->s->ops->outbox_mark(fx->s, topic_id(2), 0, 5 * ROWS - 1, &fx->e));
    ok(fx, add_out(fx, 2, 0, 6, "a row"));
    assert_int_equal(ask(fx, "SELECT count(*) FROM _leat_outbox"), 1);
    fx->s->ops->abort(fx->s);
    reopen(fx);
    assert_int_equal(fx->s->ops->outbox_waiting(fx->s), ROWS);
    ok(fx, fx->s->ops->outbox_scan(fx->s, 4 * ROWS, 1, see, &seen, &fx->e));
    assert_int_equal(seen.seqs[0], 4 * ROWS);
}

static int count_parked(void *arg, const struct parked_row *r)
{
    assert_true(bytes_eq_str(r->where, "jobs/shop.lua:19"));
    ++*(int *)arg;
    return 0;
}

static void parked_records_wait(void **state)
{
    // Parked records keep their order, class and time, come back by key, and the next one due is
    // found.
    struct fixture *fx = *state;
    struct parked_row a = parked("k1", PARKED_RETRY, 200), b = parked("k1", PARKED_SEQUENCE, 0),
                      c = parked("k2", PARKED_RETRY, 100), keyless = parked(NULL, PARKED_FINAL, 0),
                      due;
    struct bytes entry = a.entry, key = a.key, none = BYTES_NULL;
    int n = 0;

    open_file(fx);
    begin(fx);
    ok(fx, fx->s->ops->park_add(fx->s, &a, &fx->e));
    ok(fx, fx->s->ops->park_add(fx->s, &b, &fx->e));
    ok(fx, fx->s->ops->park_add(fx->s, &c, &fx->e));
    ok(fx, fx->s->ops->park_add(fx->s, &keyless, &fx->e));
    ok(fx, commit_to(fx, 1));
    reopen(fx);
    assert_int_equal(fx->s->ops->park_count(fx->s), 4);
    assert_int_equal(fx->s->ops->park_due(fx->s, &fx->a, &due, &fx->e), 1);
    assert_int_equal(due.id, c.id);
    assert_int_equal(due.class, LEAT_EMISSING);
    assert_int_equal(due.next_at, 100);
    ok(fx, fx->s->ops->park_scan(fx->s, &entry, &key, count_parked, &n, &fx->e));
    assert_int_equal(n, 2);
    ok(fx, fx->s->ops->park_scan(fx->s, &entry, &none, count_parked, &n, &fx->e));
    assert_int_equal(n, 3);
    ok(fx, fx->s->ops->park_scan(fx->s, NULL, NULL, count_parked, &n, &fx->e));
    assert_int_equal(n, 7);
    begin(fx);
    due.state = PARKED_FINAL;
    due.class = LEAT_ELUA;
    ok(fx, fx->s->ops->park_update(fx->s, &due, &fx->e));
    ok(fx, fx->s->ops->park_remove(fx->s, a.id, &fx->e));
    assert_int_equal(fx->s->ops->park_due(fx->s, &fx->a, &due, &fx->e), 0);
    ok(fx, commit_to(fx, 2));
    assert_int_equal(
        ask(fx, "SELECT count(*) FROM _leat_parked WHERE class = 'lua' AND state = 'final'"), 1);
    assert_int_equal(fx->s->ops->park_count(fx->s), 3);
}

static void late_sample_is_a_ring(void **state)
{
    // The newest late records of each operator are kept, and no more.
    struct fixture *fx = *state;

    open_file(fx);
    begin(fx);
    for (int i = 0; i < LATE_SAMPLE_ROWS + 7; i++) {
        struct late_row r = {.op = BYTES_LIT("w"), .topic = BYTES_LIT("t"), .offset = i};
        ok(fx, fx->s->ops->late_add(fx->s, &r, &fx->e));
    }
    ok(fx, commit_to(fx, 1));
    assert_int_equal(ask(fx, "SELECT count(*) FROM _leat_late"), LATE_SAMPLE_ROWS);
    assert_int_equal(ask(fx, "SELECT min(offset) FROM _leat_late"), 7);
}

static void numbers_are_kept(void **state)
{
    // A number is the step's: absent, put, and there after a restart.
    struct fixture *fx = *state;
    int64_t v = 0;

    open_file(fx);
    assert_int_equal(fx->s->ops->number_get(fx->s, "skipped", &v, &fx->e), 0);
    begin(fx);
    ok(fx, fx->s->ops->number_put(fx->s, "skipped", 3, &fx->e));
    ok(fx, fx->s->ops->number_put(fx->s, "skipped", 4, &fx->e));
    ok(fx, commit_to(fx, 1));
    reopen(fx);
    assert_int_equal(fx->s->ops->number_get(fx->s, "skipped", &v, &fx->e), 1);
    assert_int_equal(v, 4);
}

static int step_with_rows(struct fixture *fx, int64_t next)
{
    int rc = fx->s->ops->begin(fx->s, 1, &fx->e);

    for (int i = 0; i < 20 && rc == 0; i++)
        rc = add_out(fx, 2, i % 3, next,
                     "0123456789012345678901234567890123456789012345678901234567890");
    if (rc == 0)
        return commit_to(fx, next);
    fx->s->ops->abort(fx->s);
    return rc;
}

static void check_whole(struct fixture *fx, int64_t steps)
{
    assert_int_equal(stored_next(fx), steps);
    assert_int_equal(ask(fx, "SELECT count(*) FROM _leat_outbox"), 20 * steps);
    assert_int_equal(ask(fx, "SELECT count(*) FROM _leat_commits"), steps);
    assert_int_equal(ask(fx, "SELECT sum(next_seq) FROM _leat_relay"), 20 * steps);
    assert_int_equal(fx->s->ops->outbox_waiting(fx->s), 20 * steps);
}

static void failing_disk_leaves_whole_steps(void **state)
{
    // Whichever write or sync fails, the file holds whole steps; after an I/O error the job needs
    // to be opened again.
    struct fixture *fx = *state;
    int64_t steps = 1;
    int n;

    open_file(fx);
    ok(fx, step_with_rows(fx, 1));
    for (n = 0;; n++) {
        int rc;
        db_fault_arm(jobfile_of(fx->s)->db, n, LEAT_EIO, false);
        rc = step_with_rows(fx, steps + 1);
        if (!db_fault_fired(jobfile_of(fx->s)->db)) {
            ok(fx, rc);
            check_whole(fx, ++steps);
            break;
        }
        assert_int_equal(rc, LEAT_EIO);
        assert_int_equal(fx->s->ops->begin(fx->s, 1, &fx->e), LEAT_ESTOPPED);
        reopen(fx);
        // A sync that failed may have left the commit whole in the file.
        if (stored_next(fx) == steps + 1)
            steps++;
        check_whole(fx, steps);
    }
    assert_true(n > 3);
}

static void full_disk_leaves_nothing(void **state)
{
    // A full disk at any write of a step undoes it, and the next step works when there is space
    // again.
    struct fixture *fx = *state;
    int n;

    open_file(fx);
    ok(fx, step_with_rows(fx, 1));
    for (n = 0;; n++) {
        int rc;
        db_fault_arm(jobfile_of(fx->s)->db, n, LEAT_ENOSPC, false);
        rc = step_with_rows(fx, 2);
        if (!db_fault_fired(jobfile_of(fx->s)->db))
            break;
        assert_int_equal(rc, LEAT_ENOSPC);
        db_fault_arm(jobfile_of(fx->s)->db, -1, 0, false);
        check_whole(fx, 1);
    }
    db_fault_arm(jobfile_of(fx->s)->db, -1, 0, false);
    check_whole(fx, 2);
    ok(fx, db_exec(jobfile_of(fx->s)->db, "PRAGMA max_page_count=1", &fx->e));
    int64_t steps = 2;
    while (steps < 200 && step_with_rows(fx, steps + 1) == 0)
        steps++;
    assert_int_equal(fx->e.code, LEAT_ENOSPC);
    check_whole(fx, steps);
    ok(fx, db_exec(jobfile_of(fx->s)->db, "PRAGMA max_page_count=100000", &fx->e));
    ok(fx, step_with_rows(fx, steps + 1));
    check_whole(fx, steps + 1);
}

static void copy(const char *from, const char *to)
{
    FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
    char b[4096];
    size_t n;

    assert_non_null(out);
    while (in != NULL && (n = fread(b, 1, sizeof b, in)) > 0)
        assert_int_equal(fwrite(b, 1, n, out), n);
    if (in != NULL)
        fclose(in);
    fclose(out);
}

// What a crash at this moment would leave, opened again.
static void expect_after_crash(struct fixture *fx, int64_t steps)
{
    struct fixture crashed = *fx;
    struct jobfile_options o = {.path = crashed.path};
    char from[128], to[128];

    snprintf(crashed.path, sizeof crashed.path, "%s/shop/9.db", fx->dir);
    copy(fx->path, crashed.path);
    snprintf(from, sizeof from, "%s-wal", fx->path);
    snprintf(to, sizeof to, "%s-wal", crashed.path);
    copy(from, to);
    ok(fx, jobfile_open(&crashed.s, &crashed.plan, &o, &crashed.e));
    check_whole(&crashed, steps);
    close_file(&crashed);
}

static void crash_leaves_whole_steps(void **state)
{
    // A crash inside a step leaves the steps before it; one behind a commit leaves that step too; a
    // checkpoint changes nothing.
    struct fixture *fx = *state;

    open_file(fx);
    ok(fx, step_with_rows(fx, 1));
    expect_after_crash(fx, 1);
    ok(fx, db_exec(jobfile_of(fx->s)->db, "PRAGMA cache_size=2", &fx->e)); // pages spill early
    begin(fx);
    for (int i = 0; i < 500; i++)
        ok(fx, add_out(fx, 2, 0, 2, "0123456789012345678901234567890123456789"));
    expect_after_crash(fx, 1);
    fx->s->ops->abort(fx->s);
    ok(fx, step_with_rows(fx, 2));
    expect_after_crash(fx, 2);
    ok(fx, db_checkpoint(jobfile_of(fx->s)->db, 0, &fx->e));
    expect_after_crash(fx, 2);
    ok(fx, step_with_rows(fx, 3));
    expect_after_crash(fx, 3);
}

static void busy_job_keeps_its_wal_small(void **state)
{
    // A job that is never idle still empties its write-ahead log, and an open reader does not stop
    // it.
    struct fixture *fx = *state;
    struct db_options o = {.mode = DB_READER};
    struct db *reader;
    int64_t most = 0;

    open_file(fx);
    ok(fx, db_open(&reader, fx->path, &o, &fx->e));
    for (int64_t i = 1; i <= 120; i++) {
        ok(fx, step_with_rows(fx, i));
        if (db_wal_bytes(jobfile_of(fx->s)->db) > most)
            most = db_wal_bytes(jobfile_of(fx->s)->db);
    }
    db_close(reader);
    assert_in_range(most, 512 * 1024, 768 * 1024);
    check_whole(fx, 120);
}

static void full_disk_empties_the_log_first(void **state)
{
    // After a full disk nothing is written behind what a reader still needs; when it is gone, the
    // log is emptied and the job goes on.
    struct fixture *fx = *state;
    struct db_options o = {.mode = DB_READER};
    struct db *reader;
    int64_t rows;

    open_file(fx);
    ok(fx, step_with_rows(fx, 1));
    ok(fx, db_open(&reader, fx->path, &o, &fx->e));
    ok(fx, db_begin(reader, &fx->e));
    ok(fx, db_query_int(reader, "SELECT count(*) FROM _leat_outbox", &rows, &fx->e));
    ok(fx, step_with_rows(fx, 2));
    db_fault_arm(jobfile_of(fx->s)->db, 0, LEAT_ENOSPC, false);
    assert_int_equal(step_with_rows(fx, 3), LEAT_ENOSPC);
    db_fault_arm(jobfile_of(fx->s)->db, -1, 0, false);
    assert_int_equal(step_with_rows(fx, 3), LEAT_EBUSY);
    assert_non_null(strstr(fx->e.text, "so that it can be emptied"));
    db_rollback(reader);
    ok(fx, step_with_rows(fx, 3));
    db_close(reader);
    check_whole(fx, 3);
}

static void failpoints_of_a_step(void **state)
{
    // A failure before the commit loses the step, one after it does not, and the offsets agree with
    // the rows.
    struct fixture *fx = *state;

    open_file(fx);
    failpoint_arm("before_commit=enospc@1,after_commit=enospc@1");
    assert_int_equal(step_with_rows(fx, 1), LEAT_ENOSPC);
    assert_int_equal(ask(fx, "SELECT count(*) FROM _leat_outbox"), 0);
    assert_int_equal(step_with_rows(fx, 1), LEAT_ENOSPC);
    check_whole(fx, 1);
    failpoint_arm("offsets_outside,between_commits=eio@1");
    // The negative control: rows without their offset, which the checks above would notice.
    assert_int_equal(step_with_rows(fx, 2), LEAT_EIO);
    assert_int_equal(ask(fx, "SELECT count(*) FROM _leat_outbox"), 40);
    assert_int_equal(stored_next(fx), 1);
}

const struct CMUnitTest jobfile_tests[] = {
    T(identity_is_kept),
    T(second_owner_is_refused),
    T(foreign_files_are_refused),
    T(step_is_all_or_nothing),
    T(moved_offset_fences),
    T(foreign_write_stops_the_job),
    T(foreign_checkpoint_does_not),
    T(sequences_have_no_gaps),
    T(marked_rows_go),
    T(new_rows_take_the_place_of_old),
    T(parked_records_wait),
    T(commits_are_kept_for_a_day),
    T(late_sample_is_a_ring),
    T(numbers_are_kept),
    T(failing_disk_leaves_whole_steps),
    T(full_disk_leaves_nothing),
    T(crash_leaves_whole_steps),
    T(busy_job_keeps_its_wal_small),
    T(full_disk_empties_the_log_first),
    T(failpoints_of_a_step),
};
const size_t n_jobfile_tests = sizeof jobfile_tests / sizeof jobfile_tests[0];
