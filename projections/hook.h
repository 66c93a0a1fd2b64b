// SPDX-License-Identifier: Apache-2.0
//
// SQLite's preupdate hook, of which a connection has one: it tells of each row of the job's tables
// before it is inserted, updated or deleted, whatever does it (verbs, free SQL, an aggregate's
// flush, foreign key actions), and passes that on to those who asked for the table.
#ifndef LEAT_PROJECTIONS_HOOK_H
#define LEAT_PROJECTIONS_HOOK_H

#include "projections/jobfile_internal.h"

enum hook_reader {
    HOOK_CHANGES = 1, // changes.c
    HOOK_EXPIRY = 2,  // expire.c
    HOOK_HISTORY = 4, // history.c
};

void hook_watch(struct jobfile *jf, int table, enum hook_reader reader);
void hook_unload(struct jobfile *jf);

struct sqlite3_value;

// What SQLite holds, as it is stored; texts and blobs in the arena.
struct value hook_value(struct sqlite3_value *v, struct arena *a);

#endif
