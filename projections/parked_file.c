// SPDX-License-Identifier: Apache-2.0
//
// The parked records of a job, read beside the server that has its file open, or without one.
#include "projections/jobfile_internal.h"
#include "runtime/base/limits.h"

int jobfile_parked(const char *path, int (*each)(void *arg, const struct parked_row *r), void *arg,
                   struct err *e)
{
    struct db_stmt *s = NULL;
    struct db *db;
    int rc = file_open_made(path, &db, e);

    if (rc == 0) {
        db_set_length_max(db, BATCH_BYTES_MAX_HARD); // whatever a topic has let in
        rc = db_prepare(db, "SELECT * FROM _leat_parked ORDER BY id", &s, e);
        while (rc == 0 && (rc = db_next(s, e)) == 1) {
            struct parked_row r = parked_read(s);
            rc = each(arg, &r);
        }
        db_stmt_free(s);
        db_close(db);
    }
    return rc < 0 ? err_wrap(e, rc, "%s", path) : rc;
}
