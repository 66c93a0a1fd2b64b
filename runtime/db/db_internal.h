// SPDX-License-Identifier: Apache-2.0
//
// What the files of this folder know of a connection.
#ifndef LEAT_DB_DB_INTERNAL_H
#define LEAT_DB_DB_INTERNAL_H

#include <sqlite3.h>

#include "runtime/base/random.h"
#include "runtime/db/db.h"

// Statements that every connection needs again and again; prepared when first used.
enum db_own {
    DB_OWN_BEGIN,
    DB_OWN_COMMIT,
    DB_OWN_ROLLBACK,
    DB_OWN_SAVE,
    DB_OWN_RELEASE,
    DB_OWN_BACK,
    DB_OWN_VERSION,
    DB_OWN_N
};

struct db_fault {
    int64_t left; // passages until it fires; < 0 disarmed
    int code;     // SQLite's
    bool forever;
    bool fired;
};

// A copy of the system's VFS, so that time, faults and the WAL belong to one connection. First
// member: SQLite hands it back to us.
struct db_vfs {
    sqlite3_vfs vfs;
    char name[48];
    bool fixed; // time comes from now_ms
    int64_t now_ms;
    bool holds_wal;
    const volatile uint8_t *wal_index; // its first piece, shared by all connections; NULL: none yet
    struct db_fault fault;
};

struct db {
    sqlite3 *h;
    enum db_mode mode;
    struct db_vfs *vfs; // NULL for readers
    struct clock *clock;
    int64_t deadline_ns;
    struct db_policy policy; // may == NULL: no policy
    bool trusted;            // one of `own` is being prepared or run: the policy is not asked
    struct random random;    // behind random() once db_set_now was called
    bool seeded;
    int64_t page_bytes;
    int busy_ms;
    int64_t wal_pages;
    int64_t commit_pages; // that the last commit added to the WAL
    uint32_t commits;     // to the WAL, by this connection
    sqlite3_stmt *own[DB_OWN_N];
};

struct db_stmt {
    struct db *db;
    sqlite3_stmt *h;
    int bind_rc; // the first bind that failed since the last reset
};

int db_vfs_new(struct db_vfs **out, bool holds_wal, struct err *e) LEAT_CHECKED;
void db_vfs_free(struct db_vfs *v);
// db_guest.c
int db_guest_configure(struct db *db, const struct db_options *o, struct err *e) LEAT_CHECKED;
// Overrides random() and the current_* constants.
int db_functions_install(struct db *db, struct err *e) LEAT_CHECKED;
// Makes SQLite ask the policy.
void db_guard_install(struct db *db);
// Limits, configuration and the refusing policy of a reader.
int db_guard_reader(struct db *db, struct err *e) LEAT_CHECKED;

#endif
