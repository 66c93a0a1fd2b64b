// SPDX-License-Identifier: Apache-2.0
//
// SQLite, opened one way. A connection is a writer, a reader or in memory, and the mode decides
// everything that must not be left to the caller: journal, durability, what a statement may touch,
// who checkpoints.
//
//   DB_WRITER   WAL, synchronous=FULL (read back after setting: a database that will not have it
//               is refused), foreign keys, no automatic checkpoint: db_checkpoint is called between
//               transactions. One per file, ever.
//   DB_READER   read-only, query_only, hardened for SQL that strangers write; never checkpoints.
//   DB_MEMORY   the writer's rules on a database that lives and dies with the connection.
//   DB_GUEST    a file that another program owns (db_guest.c): its rules stay, nothing is created,
//               nothing checkpointed. `readonly` opens it for reading only.
//
// One thread at a time uses a connection and its statements; only db_interrupt may come from
// elsewhere. Errors of SQLite are translated here and nowhere else (db_error); SQLite's own
// sentence ends the err text.
#ifndef LEAT_DB_DB_H
#define LEAT_DB_DB_H

#include "runtime/base/bytes.h"
#include "runtime/base/clock.h"
#include "runtime/base/err.h"

struct db;
struct db_stmt;
struct sqlite3;

enum db_mode { DB_WRITER, DB_READER, DB_MEMORY, DB_GUEST };

struct db_options {
    enum db_mode mode;
    bool create;    // writer: make the file if it is not there; else LEAT_ENOTFOUND
    bool throwaway; // writer: synchronous=OFF, for a file that is thrown away after a crash
                    // (rebuilds)
    bool no_final_checkpoint; // writer: leave the WAL as it is on close
    bool readonly;            // guest
    int64_t cache_bytes;      // page cache; 0 = DB_CACHE_BYTES
    int busy_ms;              // how long to wait for a lock; 0 = DB_BUSY_MS
    struct clock *clock;      // for deadlines; NULL = the machine's
    struct db_image *image;   // memory: what the database holds; the connection takes the bytes
};

// A database as bytes, as a file would hold them.
struct db_image {
    void *p;
    int64_t n;
};

#define DB_CACHE_BYTES (INT64_C(64) * 1024 * 1024)
#define DB_READER_CACHE_BYTES (INT64_C(8) * 1024 * 1024)
#define DB_BUSY_MS 250

// LEAT_ENOTFOUND, LEAT_ECORRUPT (no database), LEAT_EINVAL (durability was lowered: the text names
// the pragma), LEAT_EIO. What a process left that died while it wrote is taken back or read first,
// for a reader too: the file is then opened for writing once.
int db_open(struct db **out, const char *path, const struct db_options *o,
            struct err *e) LEAT_CHECKED;
// Rolls back what is open; all statements must have been freed. NULL is fine.
void db_close(struct db *db);
// What is committed; no transaction may be open.
int db_image(struct db *db, struct db_image *out, struct err *e) LEAT_CHECKED;
void db_image_free(struct db_image *i);
// For projections, which may speak SQLite themselves.
struct sqlite3 *db_handle(struct db *db);

// --- statements ---
// One statement, nothing behind it (LEAT_EINVAL); on a reader one that cannot write. Kept
// statements are prepared once.
int db_prepare(struct db *db, const char *sql, struct db_stmt **out, struct err *e) LEAT_CHECKED;
// Same, of n bytes.
int db_prepare_bytes(struct db *db, struct bytes sql, struct db_stmt **out,
                     struct err *e) LEAT_CHECKED;
void db_stmt_free(struct db_stmt *s);
// Whether it leaves the database as it is.
bool db_stmt_readonly(struct db_stmt *s);

// Parameters count from 1. Text and blobs are not copied: they must live until the next db_reset or
// db_run has returned. A failed bind is kept and reported by the next db_next. BYTES_NULL binds
// NULL.
void db_bind_int(struct db_stmt *s, int i, int64_t v);
void db_bind_bool(struct db_stmt *s, int i, bool v);
void db_bind_double(struct db_stmt *s, int i, double v);
void db_bind_text(struct db_stmt *s, int i, struct bytes v);
void db_bind_str(struct db_stmt *s, int i, const char *v);
void db_bind_blob(struct db_stmt *s, int i, struct bytes v);
void db_bind_null(struct db_stmt *s, int i);
// Number of parameters; the index of ":name", "?1", "@x", 0 when there is none; the name of one,
// NULL when it has none.
int db_bind_count(struct db_stmt *s);
int db_bind_index(struct db_stmt *s, const char *name);
const char *db_bind_name(struct db_stmt *s, int i);

// 1 = a row is there, 0 = done (and reset), negative = error (and reset).
int db_next(struct db_stmt *s, struct err *e) LEAT_CHECKED;
// Runs a statement to its end, dropping rows.
int db_run(struct db_stmt *s, struct err *e) LEAT_CHECKED;
// After the first row one may stop early: the statement must be reset before the transaction ends.
void db_reset(struct db_stmt *s);

// Of the current row, from 0. Text and blobs live until the next call on the statement.
int db_column_count(struct db_stmt *s);
const char *db_column_name(struct db_stmt *s, int i);
const char *db_column_decltype(struct db_stmt *s, int i); // NULL for expressions
// "table" and "column" a result column comes from; NULL for expressions.
const char *db_column_table(struct db_stmt *s, int i);
const char *db_column_origin(struct db_stmt *s, int i);
enum db_type { DB_INT = 1, DB_DOUBLE = 2, DB_TEXT = 3, DB_BLOB = 4, DB_NULL = 5 };
enum db_type db_column_type(struct db_stmt *s, int i);
int64_t db_column_int(struct db_stmt *s, int i);
double db_column_double(struct db_stmt *s, int i);
struct bytes db_column_text(struct db_stmt *s, int i); // BYTES_NULL for NULL
struct bytes db_column_blob(struct db_stmt *s, int i); // BYTES_NULL for NULL; empty is not null

// Our own SQL, several statements, no rows wanted.
int db_exec(struct db *db, const char *sql, struct err *e) LEAT_CHECKED;
// One statement with one integer in its first row; LEAT_ENOTFOUND without a row.
int db_query_int(struct db *db, const char *sql, int64_t *out, struct err *e) LEAT_CHECKED;
// Rows that the last INSERT, UPDATE or DELETE changed itself (without foreign key actions).
int64_t db_changes(struct db *db);
int64_t db_last_rowid(struct db *db);

// --- transactions ---
int db_begin(struct db *db,
             struct err *e) LEAT_CHECKED; // IMMEDIATE; on a reader a read transaction
// Whatever the outcome, no transaction is open afterwards. Failpoints db_before_commit,
// db_after_commit.
int db_commit(struct db *db, struct err *e) LEAT_CHECKED;
// Never fails; no transaction is fine.
void db_rollback(struct db *db);
// False once an error has ended the transaction behind our back: ask after every error inside one.
bool db_in_transaction(struct db *db);
// Savepoints nest. LEAT_ESTOPPED when the transaction they belong to is gone.
int db_savepoint(struct db *db, struct err *e) LEAT_CHECKED;
int db_release(struct db *db, struct err *e) LEAT_CHECKED;
int db_rollback_to(struct db *db,
                   struct err *e) LEAT_CHECKED; // undoes and ends the innermost savepoint

// Changes when another connection has committed to the file, never by our own commits.
int db_data_version(struct db *db, int64_t *out, struct err *e) LEAT_CHECKED;
// Of a writer, inside a transaction: differs from what it was when others have committed to the
// file meanwhile, and only then.
uint32_t db_foreign_commits(struct db *db);
// Bytes of write-ahead log that the last commit left.
int64_t db_wal_bytes(struct db *db);
// Only when the WAL holds at least `from_bytes`; between transactions; waits for nobody. A WAL that
// a long reader keeps from being reset goes on growing: db_wal_bytes tells.
int db_checkpoint(struct db *db, int64_t from_bytes, struct err *e) LEAT_CHECKED;
// All of the WAL into the database file, and the WAL cut off: what a full disk needs first.
// LEAT_EBUSY while a reader is in the way.
int db_empty_wal(struct db *db, struct err *e) LEAT_CHECKED;

// --- files of others ---
// Whether a guest cannot write: asked for, or the file's permissions.
bool db_guest_readonly(struct db *db);
// What numbers a table's rows. LEAT_ESQL: there is no such table, or its rows have no numbers.
struct db_rowid {
    bool own_column;    // an INTEGER PRIMARY KEY: the numbers are the table's, for ever
    bool autoincrement; // and none is given out twice
};
int db_rowid_column(struct db *db, const char *table, struct db_rowid *out,
                    struct err *e) LEAT_CHECKED;
// Puts on disk what the owner has committed so far.
int db_guest_settle(struct db *db, struct err *e) LEAT_CHECKED;

// --- determinism ---
// From now on random(), current_timestamp, 'now' and their kin answer from this time and seed.
// Writers and memory only.
void db_set_now(struct db *db, int64_t wall_ms, uint64_t seed);

// --- guarding foreign SQL ---
enum db_access_kind {
    DB_ACCESS_READ, // table, column ("" when a table is read without a column, as by count(*))
    DB_ACCESS_INSERT,
    DB_ACCESS_UPDATE, // table, column
    DB_ACCESS_DELETE,
    DB_ACCESS_CREATE_TABLE,
    DB_ACCESS_CREATE_INDEX, // table = index name, column = its table
    DB_ACCESS_CREATE_VIEW,
};

struct db_access {
    enum db_access_kind kind;
    const char *table;
    const char *column;
    const char *via; // the view through which it happens, or NULL
};

// Asked while a statement is prepared; false refuses it. Everything that has no kind above is
// refused without asking: ATTACH, PRAGMA, transactions, triggers, virtual tables, functions outside
// a list of bounded ones.
struct db_policy {
    bool (*may)(void *ctx, const struct db_access *a);
    void *ctx;
};

// NULL lifts it (our own SQL). A reader starts with a policy that refuses every table. Kept
// statements are not asked again.
void db_set_policy(struct db *db, const struct db_policy *p);
// Statements stop with LEAT_ETIMEDOUT past this moment of the clock's mono_ns; 0 = none.
void db_set_deadline(struct db *db, int64_t mono_ns);
// Larger texts and blobs are refused with LEAT_ETOOBIG.
void db_set_length_max(struct db *db, int n);
// From any thread: the running statement ends with LEAT_ETIMEDOUT.
void db_interrupt(struct db *db);

// --- errors ---
// SQLite's (extended) result code as a LEAT code: constraint, missing (foreign key), type (STRICT),
// ENOSPC, EIO, EBUSY, ETIMEDOUT (interrupted), ENOMEM, ECORRUPT, ETOOBIG; ESQL for the rest.
int db_code(int sqlite_code);
// Translates `rc` of the last call on the connection into e.
int db_error(struct db *db, int rc, struct err *e);

// --- ownership of a file ---
// An open-file-description lock on `path`, which is created; never the database's own file, because
// closing any descriptor of that would drop SQLite's locks. LEAT_ELOCKED when somebody else has it.
// The kernel frees it with the process.
struct db_lock {
    int fd; // -1 = not held
};
int db_lock_acquire(struct db_lock *l, const char *path, struct err *e) LEAT_CHECKED;
void db_lock_release(struct db_lock *l);

#if LEAT_TESTING
// The n-th write or sync of a database file (0 = the next) fails as the disk would; with `forever`,
// all after it too. n < 0 disarms. code: LEAT_EIO or LEAT_ENOSPC. For the files of this connection
// only.
void db_fault_arm(struct db *db, int64_t n, int code, bool forever);
bool db_fault_fired(struct db *db);
#endif

#endif
