// SPDX-License-Identifier: Apache-2.0
//
// Opening and closing, and what SQLite's result codes mean to us.
//
// A writer asks for WAL and synchronous=FULL and reads both back. Measured with power cuts,
// everything weaker loses commits that had returned, and loses them silently; so a database that
// answers anything else is refused by name of the pragma. WAL is kept in the file's header: a file
// with content that is not in WAL mode was changed by somebody, and is refused too.
#include "runtime/db/db.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/failpoint.h"
#include "runtime/base/heap.h"
#include "runtime/base/limits.h"
#include "runtime/db/db_internal.h"

enum { SYNCHRONOUS_OFF = 0, SYNCHRONOUS_FULL = 2 };

static pthread_once_t sqlite_once = PTHREAD_ONCE_INIT;

// Statistics cost a mutex around every allocation. MULTITHREAD: our connections are used by one
// thread at a time.
static void sqlite_configure(void)
{
    (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    (void)sqlite3_config(SQLITE_CONFIG_MULTITHREAD);
    (void)sqlite3_initialize();
}

static int code_of_io(int rc)
{
    switch (rc) {
    case SQLITE_IOERR_NOMEM:
        return LEAT_ENOMEM;
    case SQLITE_IOERR_CORRUPTFS:
    case SQLITE_IOERR_DATA:
        return LEAT_ECORRUPT;
    default:
        return LEAT_EIO;
    }
}

static int code_of_constraint(int rc)
{
    switch (rc) {
    case SQLITE_CONSTRAINT_FOREIGNKEY:
        return LEAT_EMISSING;
    case SQLITE_CONSTRAINT_DATATYPE:
        return LEAT_ETYPE;
    default:
        return LEAT_ECONSTRAINT;
    }
}

int db_code(int rc)
{
    switch (rc & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return 0;
    case SQLITE_CONSTRAINT:
        return code_of_constraint(rc);
    case SQLITE_MISMATCH:
        return LEAT_ETYPE;
    case SQLITE_FULL:
        return LEAT_ENOSPC;
    case SQLITE_IOERR:
        return code_of_io(rc);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return LEAT_EBUSY;
    case SQLITE_INTERRUPT:
        return LEAT_ETIMEDOUT;
    case SQLITE_NOMEM:
        return LEAT_ENOMEM;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return LEAT_ECORRUPT;
    case SQLITE_TOOBIG:
        return LEAT_ETOOBIG;
    case SQLITE_CANTOPEN:
        return LEAT_EIO;
    default:
        return LEAT_ESQL;
    }
}

int db_error(struct db *db, int rc, struct err *e)
{
    int code = db_code(rc);

    ASSERT(code != 0);
    // A full disk reaches us as FULL or, from some calls of the file layer, as IOERR with the
    // system's reason.
    if (code == LEAT_EIO && sqlite3_system_errno(db->h) == ENOSPC)
        code = LEAT_ENOSPC;
    return err_set(e, code, "%s", sqlite3_errmsg(db->h));
}

static int pragma_int(struct db *db, const char *name, int64_t *out, struct err *e)
{
    char sql[64];

    snprintf(sql, sizeof sql, "PRAGMA %s", name);
    return db_query_int(db, sql, out, e);
}

static int journal_is_wal(struct db *db, const char *sql, bool *wal, struct err *e)
{
    struct db_stmt *s;
    int rc = db_prepare(db, sql, &s, e);

    if (rc < 0)
        return rc;
    rc = db_next(s, e);
    if (rc == 1)
        *wal = bytes_eq_str(db_column_text(s, 0), "wal");
    db_stmt_free(s);
    return rc < 0 ? rc : 0;
}

static int set_journal(struct db *db, const char *path, struct err *e)
{
    int64_t pages;
    bool wal = false;
    int rc = pragma_int(db, "page_count", &pages, e);

    if (rc == 0)
        rc = journal_is_wal(db, pages > 0 ? "PRAGMA journal_mode" : "PRAGMA journal_mode=WAL", &wal,
                            e);
    if (rc < 0)
        return rc;
    if (!wal)
        return err_set(e, LEAT_EINVAL,
                       "%s: PRAGMA journal_mode is not 'wal': somebody changed it, and without it "
                       "a power cut loses commits; "
                       "set it back with PRAGMA journal_mode=WAL",
                       path);
    return 0;
}

static int set_synchronous(struct db *db, const char *path, bool throwaway, struct err *e)
{
    int64_t want = throwaway ? SYNCHRONOUS_OFF : SYNCHRONOUS_FULL, got;
    int rc = db_exec(db, throwaway ? "PRAGMA synchronous=OFF" : "PRAGMA synchronous=FULL", e);

    if (rc == 0 && fail_switch("db_normal"))
        rc = db_exec(db, "PRAGMA synchronous=NORMAL", e);
    if (rc == 0)
        rc = pragma_int(db, "synchronous", &got, e);
    if (rc == 0 && got != want)
        rc = err_set(e, LEAT_EINVAL,
                     "%s: PRAGMA synchronous is %d and not FULL: a power cut would lose commits",
                     path, (int)got);
    // Negative control: the crash tests must notice a writer that does not sync.
    if (rc == 0 && fail_switch("db_nosync"))
        rc = db_exec(db, "PRAGMA synchronous=OFF", e);
    return rc;
}

static int set_foreign_keys(struct db *db, struct err *e)
{
    int on = 0;

    (void)sqlite3_db_config(db->h, SQLITE_DBCONFIG_ENABLE_FKEY, 1, &on);
    if (!on)
        return err_set(e, LEAT_EUNSUPPORTED, "this SQLite is built without foreign keys");
    return 0;
}

static int set_common(struct db *db, const struct db_options *o, struct err *e)
{
    char sql[256];
    int64_t cache = o->cache_bytes         ? o->cache_bytes
                    : o->mode == DB_READER ? DB_READER_CACHE_BYTES
                                           : DB_CACHE_BYTES;

    (void)sqlite3_extended_result_codes(db->h, 1);
    db->busy_ms = o->busy_ms ? o->busy_ms : DB_BUSY_MS;
    (void)sqlite3_busy_timeout(db->h, db->busy_ms);
    (void)sqlite3_db_config(db->h, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    // TRUSTED_SCHEMA stays on: without it this SQLite refuses JSON functions in checks and views.
    // The schema is ours, and what it may call goes through the policy like everything else.
    (void)sqlite3_db_config(db->h, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
    (void)sqlite3_db_config(db->h, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, NULL);
    (void)sqlite3_db_config(db->h, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
    (void)sqlite3_db_config(db->h, SQLITE_DBCONFIG_DQS_DDL, 0, NULL);
    if (o->mode == DB_READER || o->no_final_checkpoint)
        (void)sqlite3_db_config(db->h, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    // Distributions build SQLite so that it writes zeros over every page that rows have left: twice
    // the pages of a commit for a job that publishes much.
    snprintf(sql, sizeof sql,
             "PRAGMA cache_size=-%lld; PRAGMA mmap_size=0; PRAGMA temp_store=MEMORY; PRAGMA "
             "cell_size_check=1; PRAGMA secure_delete=OFF",
             (long long)(cache / 1024));
    return db_exec(db, sql, e);
}

static int on_wal(void *ctx, sqlite3 *h, const char *name, int pages)
{
    struct db *db = ctx;

    (void)h;
    (void)name;
    db->commit_pages = pages > db->wal_pages ? pages - db->wal_pages : pages;
    db->wal_pages = pages;
    db->commits++;
    return SQLITE_OK;
}

static int set_writer(struct db *db, const char *path, const struct db_options *o, struct err *e)
{
    char sql[64];
    int rc = set_foreign_keys(db, e);

    if (rc == 0 && o->mode == DB_WRITER)
        rc = set_journal(db, path, e);
    if (rc == 0 && o->mode == DB_WRITER)
        rc = set_synchronous(db, path, o->throwaway, e);
    if (rc < 0)
        return rc;
    // Takes the place of the automatic checkpoint.
    (void)sqlite3_wal_hook(db->h, on_wal, db);
    snprintf(sql, sizeof sql, "PRAGMA journal_size_limit=%d", WAL_BYTES_MAX);
    rc = db_exec(db, sql, e);
    if (rc == 0)
        rc = db_functions_install(db, e);
    return rc;
}

static int open_handle(struct db *db, const char *path, const struct db_options *o, struct err *e)
{
    int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    int rc;

    if (o->mode == DB_READER || (o->mode == DB_GUEST && o->readonly))
        flags |= SQLITE_OPEN_READONLY;
    else
        flags |=
            SQLITE_OPEN_READWRITE | (o->create || o->mode == DB_MEMORY ? SQLITE_OPEN_CREATE : 0);
    rc = sqlite3_open_v2(o->mode == DB_MEMORY ? ":memory:" : path, &db->h, flags,
                         db->vfs ? db->vfs->name : NULL);
    if (rc == SQLITE_OK)
        return 0;
    if (db->h == NULL)
        return err_set(e, LEAT_ENOMEM, "%s: out of memory", path);
    if ((rc & 0xff) == SQLITE_CANTOPEN && sqlite3_system_errno(db->h) != 0)
        return err_errno(e, sqlite3_system_errno(db->h), "%s", path);
    return err_wrap(e, db_error(db, rc, e), "%s", path);
}

// Before the guard is up: SQLite attaches the image to do this.
static int load_image(struct db *db, struct db_image *i, struct err *e)
{
    unsigned flags = SQLITE_DESERIALIZE_FREEONCLOSE | SQLITE_DESERIALIZE_RESIZEABLE;
    void *p = i->p;
    int rc;

    ASSERT(db->mode == DB_MEMORY);
    i->p = NULL; // SQLite's, even if this fails
    rc = sqlite3_deserialize(db->h, "main", p, i->n, i->n, flags);
    return rc == SQLITE_OK ? 0 : db_error(db, rc, e);
}

int db_image(struct db *db, struct db_image *out, struct err *e)
{
    sqlite3_int64 n = 0;

    ASSERT(!db_in_transaction(db));
    out->p = sqlite3_serialize(db->h, "main", &n, 0);
    out->n = n;
    return out->p != NULL ? 0 : err_set(e, LEAT_ENOMEM, "no memory for a copy of the database");
}

void db_image_free(struct db_image *i)
{
    sqlite3_free(i->p);
    i->p = NULL;
}

static int configure(struct db *db, const char *path, const struct db_options *o, struct err *e)
{
    int rc;

    if (o->mode == DB_GUEST)
        return db_guest_configure(db, o, e);
    rc = set_common(db, o, e);
    if (rc == 0 && o->mode != DB_READER)
        rc = set_writer(db, path, o, e);
    // Also makes SQLite read the file: one that is no database is found here and not at the first
    // query.
    if (rc == 0)
        rc = pragma_int(db, "page_size", &db->page_bytes, e);
    if (rc == 0)
        rc = db_query_int(db, "SELECT count(*) FROM sqlite_schema", &(int64_t){0}, e);
    db_guard_install(db);
    if (rc == 0 && o->mode == DB_READER)
        rc = db_guard_reader(db, e);
    return rc;
}

// A process that died while it made the file, or wrote a WAL that nobody has read since, leaves
// work that a connection without the right to write refuses to do.
static bool wants_recovery(const struct db *db)
{
    int rc = sqlite3_extended_errcode(db->h);

    return rc == SQLITE_READONLY_ROLLBACK || rc == SQLITE_READONLY_RECOVERY ||
           rc == SQLITE_READONLY_CANTINIT;
}

// Whoever opens it for writing and reads has SQLite do it.
static bool recover(const char *path)
{
    sqlite3 *h = NULL;
    int rc = sqlite3_open_v2(path, &h, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);

    if (rc == SQLITE_OK)
        rc = sqlite3_exec(h, "SELECT count(*) FROM sqlite_schema", NULL, NULL, NULL);
    sqlite3_close(h);
    return rc == SQLITE_OK;
}

static int open_once(struct db **out, const char *path, const struct db_options *o,
                     bool *unrecovered, struct err *e)
{
    struct db *db = heap_zalloc(sizeof *db);
    struct err cause = {0};
    int rc = 0;

    ASSERT(path != NULL || o->mode == DB_MEMORY);
    (void)pthread_once(&sqlite_once, sqlite_configure);
    *out = NULL;
    path = path != NULL ? path : ":memory:";
    db->mode = o->mode;
    db->clock = o->clock != NULL ? o->clock : clock_system();
    if (o->mode != DB_READER)
        rc = db_vfs_new(&db->vfs, o->mode == DB_WRITER && !o->throwaway, e);
    if (rc == 0)
        rc = open_handle(db, path, o, e);
    if (rc == 0 && o->image != NULL)
        rc = load_image(db, o->image, e);
    if (rc == 0) {
        rc = configure(db, path, o, &cause);
        // A lowered pragma already names its file.
        if (rc < 0)
            err_set(e, rc, rc == LEAT_EINVAL ? "%.0s%s" : "%s: %s", path, cause.text);
    }
    *unrecovered = rc < 0 && db->h != NULL && wants_recovery(db);
    if (rc < 0) {
        db_close(db);
        return rc;
    }
    *out = db;
    return 0;
}

int db_open(struct db **out, const char *path, const struct db_options *o, struct err *e)
{
    bool unrecovered;
    int rc = open_once(out, path, o, &unrecovered, e);

    if (unrecovered && o->mode == DB_READER && recover(path))
        rc = open_once(out, path, o, &unrecovered, e);
    return rc;
}

void db_close(struct db *db)
{
    int rc;

    if (db == NULL)
        return;
    if (db->h != NULL) {
        db_rollback(db);
        for (int i = 0; i < DB_OWN_N; i++)
            (void)sqlite3_finalize(db->own[i]);
        rc = sqlite3_close(db->h);
        // A statement that was not freed: our bug, and it would keep the file's locks.
        ASSERT(rc != SQLITE_BUSY);
    }
    db_vfs_free(db->vfs);
    heap_free(db);
}

struct sqlite3 *db_handle(struct db *db)
{
    return db->h;
}

void db_interrupt(struct db *db)
{
    sqlite3_interrupt(db->h);
}

void db_set_length_max(struct db *db, int n)
{
    (void)sqlite3_limit(db->h, SQLITE_LIMIT_LENGTH, n);
}
