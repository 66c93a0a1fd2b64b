// SPDX-License-Identifier: Apache-2.0
//
// How long rows stay: a table's `ttl` option, read and checked. Essay in retention.c.
#ifndef LEAT_PROJECTIONS_RETENTION_H
#define LEAT_PROJECTIONS_RETENTION_H

#include "projections/ddl.h"

// Fills in the tables' ttl. LEAT_ELOAD with the job's file and line. All tables of the plan must be
// there, with their foreign keys.
int retention_read(const struct plan *p, struct ddl *d, struct err *e) LEAT_CHECKED;
// Whether an index or key of the table in this database begins with its ttl column already.
int retention_has_index(struct db *db, const struct jobtable *t, bool *has,
                        struct err *e) LEAT_CHECKED;

#endif
