// SPDX-License-Identifier: Apache-2.0
//
// The queue of changed rows behind changes() of a table. Essay in changes.c.
#ifndef LEAT_PROJECTIONS_CHANGES_H
#define LEAT_PROJECTIONS_CHANGES_H

#include "projections/jobfile_internal.h"

struct sqlite3;

int changes_watch(struct tables *tables, int table, struct err *e) LEAT_CHECKED;
int changes_next(struct tables *tables, struct arena *a, struct table_change *out,
                 struct err *e) LEAT_CHECKED;
// For the hook: the row that sqlite is about to insert, update or delete (op: SQLite's).
void changes_note(struct jobfile *jf, struct sqlite3 *h, int op, int table);
// Where the queue ends; and back there, when the statement behind it has failed.
size_t changes_mark(const struct jobfile *jf);
void changes_undo(struct jobfile *jf, size_t mark);
void changes_forget(struct jobfile *jf); // all: a savepoint or the step was rolled back
void changes_unload(struct jobfile *jf);

#endif
