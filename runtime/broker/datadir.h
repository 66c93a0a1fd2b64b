// SPDX-License-Identifier: Apache-2.0
//
// The data directory: one server at a time, and a format that this program knows.
//
//   VERSION   "leat data 1\n"
//   LOCK      held while a server runs; the kernel frees it with the process
//   meta.db   topics/<topic id>/<partition>/   jobs/
#ifndef LEAT_BROKER_DATADIR_H
#define LEAT_BROKER_DATADIR_H

#include "runtime/db/db.h"
#include "runtime/io/fs.h"

#define DATADIR_FORMAT 1

struct datadir {
    struct fs *fs;
    char *path;
    struct db_lock lock;
};

// Creates what is missing. LEAT_ELOCKED: another server uses it; LEAT_EUNSUPPORTED: a newer leat
// wrote it.
int datadir_open(struct datadir *d, struct fs *fs, const char *path, struct err *e) LEAT_CHECKED;
// Also after a failed open.
void datadir_close(struct datadir *d);

#endif
