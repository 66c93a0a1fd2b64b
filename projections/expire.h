// SPDX-License-Identifier: Apache-2.0
//
// Rows that go by time. Essay in expire.c; contracts in engine/table.h.
#ifndef LEAT_PROJECTIONS_EXPIRE_H
#define LEAT_PROJECTIONS_EXPIRE_H

#include "projections/jobfile_internal.h"

struct sqlite3;

// Once, when the file is open.
void expire_load(struct jobfile *jf);
void expire_unload(struct jobfile *jf);
// For the hook: the row that sqlite is about to insert, update or delete.
void expire_note(struct jobfile *jf, struct sqlite3 *h, int op, int table);
// A version of a row of the table has got this end.
void expire_version(struct jobfile *jf, int table, int64_t end);
void expire_forget(struct jobfile *jf); // the step was taken back

int expire_due(struct tables *tables, int64_t w, int64_t *at, struct err *e);
int expire_rows(struct tables *tables, int64_t at, int max, int *n, struct err *e);
bool expire_may(const struct tables *tables, int table);

#endif
