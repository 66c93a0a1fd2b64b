// SPDX-License-Identifier: Apache-2.0
//
// A connection to a database that another program owns.
//
// Its rules stay as they are: journal mode, triggers, foreign keys, page size. We make no
// checkpoint, neither along the way nor at the end: the owner does, at its own pace. A guest waits
// for a lock only shortly, holds one only shortly, and cannot read a value so large that it would
// fill our memory.
//
// What the owner has committed is there for other connections at once, but need not be on disk: in
// WAL mode with synchronous=NORMAL a power cut takes the last commits back, and in DELETE mode the
// removal of a journal that was not synced brings the state before the commit back. Whoever goes by
// such rows and syncs what follows from them would be ahead of the truth. db_guest_settle closes
// that gap. It cannot help an owner that has switched syncing off.
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "runtime/base/failpoint.h"
#include "runtime/base/heap.h"
#include "runtime/base/limits.h"
#include "runtime/db/db_internal.h"

enum { GUEST_BUSY_MS = 50 };

int db_guest_configure(struct db *db, const struct db_options *o, struct err *e)
{
    (void)sqlite3_extended_result_codes(db->h, 1);
    (void)sqlite3_busy_timeout(db->h, o->busy_ms ? o->busy_ms : GUEST_BUSY_MS);
    (void)sqlite3_wal_autocheckpoint(db->h, 0);
    (void)sqlite3_db_config(db->h, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    (void)sqlite3_db_config(db->h, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    (void)sqlite3_db_config(db->h, SQLITE_DBCONFIG_ENABLE_FKEY, 1, NULL);
    (void)sqlite3_db_config(db->h, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
    (void)sqlite3_limit(db->h, SQLITE_LIMIT_LENGTH, TEXT_BYTES_MAX);
    (void)sqlite3_limit(db->h, SQLITE_LIMIT_ATTACHED, 0);
    // Makes SQLite read the file.
    return db_query_int(db, "SELECT count(*) FROM sqlite_schema", &(int64_t){0}, e);
}

bool db_guest_readonly(struct db *db)
{
    return sqlite3_db_readonly(db->h, "main") == 1;
}

// INTEGER PRIMARY KEY, or "rowid" when the row number has no column of its own.
int db_rowid_column(struct db *db, const char *table, struct db_rowid *out, struct err *e)
{
    int autoincrement = 0, rc;
    struct db_stmt *s;
    char *sql = sqlite3_mprintf("SELECT rowid FROM \"%w\"", table);
    const char *origin;

    if (sql == NULL)
        return err_set(e, LEAT_ENOMEM, "out of memory");
    rc = db_prepare(db, sql, &s, e);
    sqlite3_free(sql);
    if (rc < 0)
        return rc;
    origin = db_column_origin(s, 0);
    out->own_column = origin != NULL && strcmp(origin, "rowid") != 0;
    db_stmt_free(s);
    rc = sqlite3_table_column_metadata(db->h, "main", table, "rowid", NULL, NULL, NULL, NULL,
                                       &autoincrement);
    out->autoincrement = autoincrement != 0;
    return rc == SQLITE_OK ? 0 : db_error(db, rc, e);
}

static int sync_path(const char *path, int flags, struct err *e)
{
    int fd = open(path, flags | O_CLOEXEC), rc = 0;

    if (fd < 0)
        return errno == ENOENT ? 0 : err_errno(e, errno, "%s", path);
    if (fsync(fd) != 0)
        rc = err_errno(e, errno, "%s: cannot be synced", path);
    (void)close(fd);
    return rc;
}

// By path: SQLite's locks are on the database file and its shared memory, which are not opened
// here.
int db_guest_settle(struct db *db, struct err *e)
{
    const char *file = sqlite3_db_filename(db->h, "main"), *slash;
    char *dir;
    int rc = failpoint("db_settle");

    if (rc < 0)
        return err_set(e, rc, "failpoint db_settle");
    rc = sync_path(sqlite3_filename_wal(file), O_RDONLY, e);
    if (rc < 0)
        return rc;
    slash = strrchr(file, '/');
    dir = slash == NULL ? heap_strdup(".")
                        : heap_printf("%.*s", slash == file ? 1 : (int)(slash - file), file);
    rc = sync_path(dir, O_RDONLY | O_DIRECTORY, e);
    heap_free(dir);
    return rc;
}
