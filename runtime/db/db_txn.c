// SPDX-License-Identifier: Apache-2.0
//
// Transactions, savepoints and checkpoints.
//
// Some errors end a transaction without being asked: a full disk, an I/O error, an interrupted
// write. What is written after that would commit on its own, without the offsets that belong to it.
// So nothing here opens a transaction implicitly: a savepoint outside of one is refused, and
// db_in_transaction is the question to ask after any error.
//
// db_commit leaves no transaction open in any case: one that failed is rolled back, and whoever
// called it starts over.
#include "runtime/base/failpoint.h"
#include "runtime/base/limits.h"
#include "runtime/db/db_internal.h"

#if LEAT_TESTING
#define WAL_CUT_BYTES (256 * 1024)
#else
#define WAL_CUT_BYTES (8 * 1024 * 1024)
#endif

static const char *own_sql(const struct db *db, enum db_own which)
{
    switch (which) {
    case DB_OWN_BEGIN:
        return db->mode == DB_READER ? "BEGIN" : "BEGIN IMMEDIATE";
    case DB_OWN_COMMIT:
        return "COMMIT";
    case DB_OWN_ROLLBACK:
        return "ROLLBACK";
    case DB_OWN_SAVE:
        return "SAVEPOINT leat";
    case DB_OWN_RELEASE:
        return "RELEASE leat";
    case DB_OWN_BACK:
        return "ROLLBACK TO leat";
    case DB_OWN_VERSION:
        return "PRAGMA data_version";
    case DB_OWN_N:
        break;
    }
    UNREACHABLE("no such statement");
}

static int own(struct db *db, enum db_own which, struct err *e)
{
    int rc;

    if (db->own[which] != NULL)
        return 0;
    rc = sqlite3_prepare_v3(db->h, own_sql(db, which), -1, SQLITE_PREPARE_PERSISTENT,
                            &db->own[which], NULL);
    return rc == SQLITE_OK ? 0 : db_error(db, rc, e);
}

// Past the policy, which is for other people's SQL. SQLite may prepare again inside of step.
static int own_step(struct db *db, enum db_own which, int64_t *out, struct err *e)
{
    int rc;

    db->trusted = true;
    rc = own(db, which, e);
    if (rc == 0) {
        rc = sqlite3_step(db->own[which]);
        if (rc == SQLITE_ROW && out != NULL)
            *out = sqlite3_column_int64(db->own[which], 0);
        rc = rc == SQLITE_DONE || rc == SQLITE_ROW ? 0 : db_error(db, rc, e);
        (void)sqlite3_reset(db->own[which]);
    }
    db->trusted = false;
    return rc;
}

static int own_run(struct db *db, enum db_own which, struct err *e)
{
    return own_step(db, which, NULL, e);
}

int db_begin(struct db *db, struct err *e)
{
    ASSERT(!db_in_transaction(db));
    return own_run(db, DB_OWN_BEGIN, e);
}

int db_commit(struct db *db, struct err *e)
{
    int rc;

    if (!db_in_transaction(db))
        return err_set(e, LEAT_ESTOPPED, "an error has ended the transaction before its commit");
    rc = failpoint("db_before_commit");
    if (rc < 0)
        err_set(e, rc, "failpoint db_before_commit");
    else
        rc = own_run(db, DB_OWN_COMMIT, e);
    if (rc < 0) {
        db_rollback(db);
        return rc;
    }
    rc = failpoint("db_after_commit");
    return rc < 0 ? err_set(e, rc, "failpoint db_after_commit") : 0;
}

void db_rollback(struct db *db)
{
    if (!db_in_transaction(db))
        return;
    // ROLLBACK cannot be left undone: even when it reports an error the transaction is gone.
    if (own_run(db, DB_OWN_ROLLBACK, NULL) < 0)
        (void)sqlite3_exec(db->h, "ROLLBACK", NULL, NULL, NULL);
}

bool db_in_transaction(struct db *db)
{
    return !sqlite3_get_autocommit(db->h);
}

static int own_inside(struct db *db, enum db_own which, struct err *e)
{
    if (!db_in_transaction(db))
        return err_set(e, LEAT_ESTOPPED, "an error has ended the transaction");
    return own_run(db, which, e);
}

int db_savepoint(struct db *db, struct err *e)
{
    return own_inside(db, DB_OWN_SAVE, e);
}

int db_release(struct db *db, struct err *e)
{
    return own_inside(db, DB_OWN_RELEASE, e);
}

int db_rollback_to(struct db *db, struct err *e)
{
    int rc = own_inside(db, DB_OWN_BACK, e);

    return rc < 0 ? rc : own_inside(db, DB_OWN_RELEASE, e);
}

int db_data_version(struct db *db, int64_t *out, struct err *e)
{
    return own_step(db, DB_OWN_VERSION, out, e);
}

// The WAL index counts the transactions of all who write (iChange, at byte 8 of its header, see
// SQLite's description of the format). PRAGMA data_version is no such count: it also moves when
// somebody else's checkpoint lets the WAL start over.
uint32_t db_foreign_commits(struct db *db)
{
    uint32_t all;

    ASSERT(db->mode == DB_MEMORY || db->mode == DB_WRITER);
    if (db->mode == DB_MEMORY)
        return 0;
    ASSERT(db_in_transaction(db) && db->vfs->wal_index != NULL);
    memcpy(&all, (const uint8_t *)db->vfs->wal_index + 8, sizeof all);
    return all - db->commits;
}

int64_t db_wal_bytes(struct db *db)
{
    return db->wal_pages * db->page_bytes;
}

static int cut_wal(struct db *db, int *in_wal, int *done)
{
    int rc;

    (void)sqlite3_busy_timeout(db->h, 0); // nobody waits for a reader here
    rc = sqlite3_wal_checkpoint_v2(db->h, NULL, SQLITE_CHECKPOINT_TRUNCATE, in_wal, done);
    (void)sqlite3_busy_timeout(db->h, db->busy_ms);
    return rc;
}

// Frames are not whole pages of the machine: writing over old ones reads each of them first, unless
// the machine still has it. After a commit so large that it may not, the WAL is cut off, if no
// reader is in the way; small commits go on over the old bytes, whose place on the disk is settled.
static int checkpoint(struct db *db, int *in_wal, int *done)
{
    if (db->commit_pages * db->page_bytes < WAL_CUT_BYTES)
        return sqlite3_wal_checkpoint_v2(db->h, NULL, SQLITE_CHECKPOINT_PASSIVE, in_wal, done);
    return cut_wal(db, in_wal, done);
}

int db_empty_wal(struct db *db, struct err *e)
{
    int rc;

    ASSERT(db->mode == DB_MEMORY || (db->mode == DB_WRITER && !db_in_transaction(db)));
    if (db->mode == DB_MEMORY)
        return 0;
    rc = cut_wal(db, NULL, NULL);
    if (rc != SQLITE_OK)
        return db_error(db, rc, e);
    db->wal_pages = 0;
    return 0;
}

int db_checkpoint(struct db *db, int64_t from_bytes, struct err *e)
{
    int in_wal = 0, done = 0, rc;

    ASSERT(db->mode != DB_READER && db->mode != DB_GUEST && !db_in_transaction(db));
    if (db->mode == DB_MEMORY || db_wal_bytes(db) < from_bytes || db->wal_pages == 0)
        return 0;
    rc = checkpoint(db, &in_wal, &done);
    if (rc != SQLITE_OK && rc != SQLITE_BUSY)
        return db_error(db, rc, e);
    // All of it is in the database file now: the next commit starts the WAL over, as soon as no
    // reader needs it.
    if (rc == SQLITE_OK && in_wal == done)
        db->wal_pages = 0;
    return 0;
}
