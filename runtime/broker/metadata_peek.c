// SPDX-License-Identifier: Apache-2.0
#include "runtime/broker/metadata_peek.h"

#include "runtime/db/db.h"

int metadata_peek_topic(const char *path, const char *name, struct uuid *id, struct err *e)
{
    struct db_options o = {.mode = DB_READER};
    struct db_stmt *s;
    struct db *db;
    int rc = db_open(&db, path, &o, e);

    if (rc < 0)
        return rc;
    db_set_policy(db, NULL);
    rc = db_prepare(db, "SELECT id FROM topics WHERE name = ?1 AND NOT deleted", &s, e);
    if (rc == 0) {
        db_bind_str(s, 1, name);
        rc = db_next(s, e);
        if (rc == 1 && db_column_blob(s, 0).n == sizeof id->b)
            memcpy(id->b, db_column_blob(s, 0).p, sizeof id->b);
        else if (rc == 1)
            rc = err_set(e, LEAT_ECORRUPT, "%s: topic %s has no readable id", path, name);
        db_stmt_free(s);
    }
    db_close(db);
    return rc;
}
