// SPDX-License-Identifier: Apache-2.0
//
// What SQLite sees of the world through us: a copy of the system's file layer per connection, whose
// clock can be set, and the functions that would otherwise answer differently in every run.
//
// date('now') and its kin ask the file layer for the time, so one override there covers all of
// them, with their modifiers and formats. random() draws from a generator seeded by the step. Blobs
// of randomness have no use in a job and are not offered.
//
// A layer around each file holds back what a writer appends to its WAL. SQLite writes a page at a
// time, in two parts that lie across the machine's pages; written in large pieces the same bytes
// cost a third. Nobody looks at them before the sync of their commit, which writes them first: the
// commit is told to other connections behind it, and our own reads of them write them too. Without
// a sync (`throwaway`) nothing is held. Pages that a checkpoint copies are not held either: SQLite
// may tell readers of them without a sync, when one of them is in the way.
//
// In test builds the same layer counts writes and syncs and fails the n-th as a disk would.
#include <stdio.h>
#include <string.h>

#include "runtime/base/heap.h"
#include "runtime/db/db_internal.h"

// Julian day 0 to 1970, in milliseconds: SQLite's epoch.
#define JULIAN_MS INT64_C(210866760000000)

static struct db_vfs *vfs_self(sqlite3_vfs *v)
{
    return container_of(v, struct db_vfs, vfs);
}

static int vfs_time_ms(sqlite3_vfs *v, sqlite3_int64 *out)
{
    struct db_vfs *self = vfs_self(v);

    *out = JULIAN_MS + (self->fixed ? self->now_ms : clock_wall_ms(clock_system()));
    return SQLITE_OK;
}

static int vfs_time_days(sqlite3_vfs *v, double *out)
{
    sqlite3_int64 ms;

    (void)vfs_time_ms(v, &ms);
    *out = (double)ms / 86400000.0;
    return SQLITE_OK;
}

// --- files ---

// The system's layer writes less than 128 K at a time: it masks the length.
#if LEAT_TESTING
enum { HELD_MAX = 5 * 1024 };
#else
enum { HELD_MAX = 120 * 1024 };
#endif

struct db_file {
    sqlite3_file base; // must be first
    struct db_vfs *vfs;
    sqlite3_file *real; // behind this struct
    bool holds;
    uint8_t *held; // written by SQLite, not by us yet: one piece of the file
    sqlite3_int64 held_at;
    int held_n;
};

static struct db_file *self(sqlite3_file *f)
{
    return (struct db_file *)f;
}

static sqlite3_file *real(sqlite3_file *f)
{
    return self(f)->real;
}

#if LEAT_TESTING

// A place for a breakpoint.
static void fault_hit(struct db_fault *f)
{
    f->fired = true;
}

static int fault_pass(struct db_file *file, int otherwise)
{
    struct db_fault *f = &file->vfs->fault;

    if (f->left < 0)
        return SQLITE_OK;
    if (f->left > 0) {
        f->left--;
        return SQLITE_OK;
    }
    if (!f->forever)
        f->left = -1;
    fault_hit(f);
    return f->code == SQLITE_FULL ? SQLITE_FULL : otherwise;
}

#else

static int fault_pass(struct db_file *file, int otherwise)
{
    (void)file;
    (void)otherwise;
    return SQLITE_OK;
}

#endif

static int write_now(struct db_file *f, const void *p, int n, sqlite3_int64 at)
{
    int rc = fault_pass(f, SQLITE_IOERR_WRITE);

    return rc != SQLITE_OK ? rc : f->real->pMethods->xWrite(f->real, p, n, at);
}

// What could not be written stays held until it can be: SQLite rolls back, and writes over it.
static int write_held(struct db_file *f)
{
    int rc;

    if (f->held_n == 0)
        return SQLITE_OK;
    rc = write_now(f, f->held, f->held_n, f->held_at);
    if (rc == SQLITE_OK)
        f->held_n = 0;
    return rc;
}

static int file_close(sqlite3_file *f)
{
    heap_free(self(f)->held);
    return real(f)->pMethods->xClose(real(f));
}

static int file_read(sqlite3_file *file, void *p, int n, sqlite3_int64 at)
{
    struct db_file *f = self(file);
    int rc = at + n > f->held_at ? write_held(f) : SQLITE_OK;

    return rc != SQLITE_OK ? rc : f->real->pMethods->xRead(f->real, p, n, at);
}

static int file_write(sqlite3_file *file, const void *p, int n, sqlite3_int64 at)
{
    struct db_file *f = self(file);
    int rc = SQLITE_OK;

    if (!f->holds)
        return write_now(f, p, n, at);
    if (at != f->held_at + f->held_n || f->held_n + n > HELD_MAX)
        rc = write_held(f);
    if (rc != SQLITE_OK || n > HELD_MAX)
        return rc != SQLITE_OK ? rc : write_now(f, p, n, at);
    if (f->held == NULL)
        f->held = heap_alloc(HELD_MAX);
    if (f->held_n == 0)
        f->held_at = at;
    memcpy(f->held + f->held_n, p, (size_t)n);
    f->held_n += n;
    return SQLITE_OK;
}

static int file_truncate(sqlite3_file *f, sqlite3_int64 n)
{
    int rc = write_held(self(f));

    return rc != SQLITE_OK ? rc : real(f)->pMethods->xTruncate(real(f), n);
}

static int file_sync(sqlite3_file *f, int flags)
{
    int rc = write_held(self(f));

    if (rc == SQLITE_OK)
        rc = fault_pass(self(f), SQLITE_IOERR_FSYNC);
    return rc != SQLITE_OK ? rc : real(f)->pMethods->xSync(real(f), flags);
}

static int file_size(sqlite3_file *f, sqlite3_int64 *n)
{
    int rc = write_held(self(f));

    return rc != SQLITE_OK ? rc : real(f)->pMethods->xFileSize(real(f), n);
}

static int file_lock(sqlite3_file *f, int level)
{
    return real(f)->pMethods->xLock(real(f), level);
}

static int file_unlock(sqlite3_file *f, int level)
{
    return real(f)->pMethods->xUnlock(real(f), level);
}

static int file_reserved(sqlite3_file *f, int *out)
{
    return real(f)->pMethods->xCheckReservedLock(real(f), out);
}

static int file_control(sqlite3_file *f, int op, void *arg)
{
    return real(f)->pMethods->xFileControl(real(f), op, arg);
}

static int file_sector(sqlite3_file *f)
{
    return real(f)->pMethods->xSectorSize(real(f));
}

static int file_traits(sqlite3_file *f)
{
    return real(f)->pMethods->xDeviceCharacteristics(real(f));
}

static int file_shm_map(sqlite3_file *f, int i, int n, int extend, void volatile **out)
{
    int rc = real(f)->pMethods->xShmMap(real(f), i, n, extend, out);

    if (i == 0 && rc == SQLITE_OK)
        self(f)->vfs->wal_index = *out;
    return rc;
}

static int file_shm_lock(sqlite3_file *f, int at, int n, int flags)
{
    return real(f)->pMethods->xShmLock(real(f), at, n, flags);
}

static void file_shm_barrier(sqlite3_file *f)
{
    real(f)->pMethods->xShmBarrier(real(f));
}

static int file_shm_unmap(sqlite3_file *f, int erase)
{
    self(f)->vfs->wal_index = NULL;
    return real(f)->pMethods->xShmUnmap(real(f), erase);
}

static const sqlite3_io_methods file_methods = {
    .iVersion = 2,
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_unlock,
    .xCheckReservedLock = file_reserved,
    .xFileControl = file_control,
    .xSectorSize = file_sector,
    .xDeviceCharacteristics = file_traits,
    .xShmMap = file_shm_map,
    .xShmLock = file_shm_lock,
    .xShmBarrier = file_shm_barrier,
    .xShmUnmap = file_shm_unmap,
};

static int vfs_open(sqlite3_vfs *v, const char *path, sqlite3_file *file, int flags, int *out)
{
    sqlite3_vfs *base = sqlite3_vfs_find(NULL);
    struct db_file *f = self(file);
    int rc;

    *f = (struct db_file){.vfs = vfs_self(v), .real = (sqlite3_file *)(f + 1)};
    f->holds = f->vfs->holds_wal && (flags & SQLITE_OPEN_WAL) != 0;
    rc = base->xOpen(base, path, f->real, flags, out);
    // With methods set, SQLite closes the file even after a failed open.
    if (f->real->pMethods != NULL)
        f->base.pMethods = &file_methods;
    return rc;
}

#if LEAT_TESTING

void db_fault_arm(struct db *db, int64_t n, int code, bool forever)
{
    ASSERT(db->vfs != NULL);
    db->vfs->fault = (struct db_fault){
        .left = n, .code = code == LEAT_ENOSPC ? SQLITE_FULL : SQLITE_IOERR, .forever = forever};
}

bool db_fault_fired(struct db *db)
{
    return db->vfs->fault.fired;
}

#endif

int db_vfs_new(struct db_vfs **out, bool holds_wal, struct err *e)
{
    struct db_vfs *v = heap_zalloc(sizeof *v);

    v->vfs = *sqlite3_vfs_find(NULL);
    snprintf(v->name, sizeof v->name, "leat-%p", (void *)v);
    v->vfs.zName = v->name;
    v->vfs.pNext = NULL;
    v->vfs.xCurrentTime = vfs_time_days;
    v->vfs.xCurrentTimeInt64 = vfs_time_ms;
    v->holds_wal = holds_wal;
    v->fault.left = -1;
    v->vfs.szOsFile += (int)sizeof(struct db_file);
    v->vfs.xOpen = vfs_open;
    *out = v;
    if (sqlite3_vfs_register(&v->vfs, 0) == SQLITE_OK)
        return 0;
    *out = NULL;
    heap_free(v);
    return err_set(e, LEAT_ENOMEM, "out of memory");
}

void db_vfs_free(struct db_vfs *v)
{
    if (v == NULL)
        return;
    (void)sqlite3_vfs_unregister(&v->vfs);
    heap_free(v);
}

static void sql_random(sqlite3_context *c, int n, sqlite3_value **args)
{
    struct db *db = sqlite3_user_data(c);

    (void)n;
    (void)args;
    sqlite3_result_int64(c,
                         (int64_t)(db->seeded ? random_next(&db->random) : random_entropy_u64()));
}

int db_functions_install(struct db *db, struct err *e)
{
    int rc = sqlite3_create_function_v2(db->h, "random", 0, SQLITE_UTF8, db, sql_random, NULL, NULL,
                                        NULL);

    return rc == SQLITE_OK ? 0 : db_error(db, rc, e);
}

void db_set_now(struct db *db, int64_t wall_ms, uint64_t seed)
{
    ASSERT(db->vfs != NULL);
    db->vfs->fixed = true;
    db->vfs->now_ms = wall_ms;
    random_seed(&db->random, seed);
    db->seeded = true;
}
