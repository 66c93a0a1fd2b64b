// SPDX-License-Identifier: Apache-2.0
//
// The versions of rows: what a table's `history` option keeps. Essays in history.c (writing and
// asking) and history_table.c (the tables themselves).
#ifndef LEAT_PROJECTIONS_HISTORY_H
#define LEAT_PROJECTIONS_HISTORY_H

#include "projections/jobfile_internal.h"
#include "projections/outline.h"
#include "runtime/base/datetime.h"

// valid_to of what is still so. Part of the file's format.
#define HISTORY_FOREVER DATETIME_MAX

struct sqlite3;

// At load: makes the history tables of the plan in the scratch database and describes them.
// LEAT_ELOAD with the job's file and line.
int history_build(struct db *scratch, const struct plan *p, struct arena *a, struct ddl *d,
                  struct err *e) LEAT_CHECKED;
// In a new file, and in one whose plan has changed.
int history_create(struct jobfile *jf, struct err *e) LEAT_CHECKED;
int history_upgrade(struct jobfile *jf, const struct outline *was, struct err *e) LEAT_CHECKED;
// The number from when on a table's history can be trusted, in the arena.
const char *history_number(const struct jobtable *t, struct arena *a);

// Once, when the file is open.
int history_load(struct jobfile *jf, struct err *e) LEAT_CHECKED;
void history_unload(struct jobfile *jf);
// For the hook: the row that sqlite is about to insert, update or delete.
void history_note(struct jobfile *jf, struct sqlite3 *h, int op, int table);
// Behind each statement that writes the job's tables: versions of the rows that it has written,
// from tables.time on. Or forgets them: the statement has failed.
int history_write(struct jobfile *jf, struct err *e) LEAT_CHECKED;
void history_forget(struct jobfile *jf);
// tables_ops.get_at
int history_get_at(struct tables *tables, const struct table_moment *m, struct arena *a,
                   struct value *row, struct err *e);

#endif
