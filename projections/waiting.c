// SPDX-License-Identifier: Apache-2.0
//
// The outbox as people want to see it: what waits, since when, behind which topic.
#include "projections/jobfile_internal.h"

static const char sql[] =
    "SELECT topic, topic_id, partition, count(*),"
    " sum(coalesce(length(key), 0) + coalesce(length(value), 0)), min(commit_id)"
    " FROM _leat_outbox GROUP BY topic, topic_id, partition ORDER BY topic, partition, topic_id";

// When the commit was, or the oldest one behind it that is remembered.
static int when(struct db_stmt *s, int64_t commit_id, struct jobfile_waiting *w, struct err *e)
{
    int rc;

    db_bind_int(s, 1, commit_id);
    rc = db_next(s, e);
    w->since = rc == 1 ? db_column_int(s, 1) : INT64_MIN;
    w->since_more = rc == 1 && db_column_int(s, 0) != commit_id;
    db_reset(s);
    return rc < 0 ? rc : 0;
}

static int each_row(struct db_stmt *rows, struct db_stmt *commits,
                    int (*each)(void *arg, const struct jobfile_waiting *w), void *arg,
                    struct err *e)
{
    struct arena a;
    int rc;

    arena_init(&a);
    while ((rc = db_next(rows, e)) == 1) {
        struct jobfile_waiting w = {
            .topic = (const char *)arena_copy(&a, db_column_text(rows, 0)).p,
            .partition = (int32_t)db_column_int(rows, 2),
            .rows = db_column_int(rows, 3),
            .bytes = db_column_int(rows, 4)};
        struct bytes id = db_column_blob(rows, 1);
        if (id.n == sizeof w.topic_id.b)
            memcpy(w.topic_id.b, id.p, id.n);
        rc = when(commits, db_column_int(rows, 5), &w, e);
        if (rc == 0)
            rc = each(arg, &w);
        if (rc != 0)
            break;
    }
    arena_deinit(&a);
    return rc;
}

int jobfile_outbox(const char *path, int (*each)(void *arg, const struct jobfile_waiting *w),
                   void *arg, struct err *e)
{
    struct db_stmt *rows = NULL, *commits = NULL;
    struct db *db;
    int rc = file_open_made(path, &db, e);

    if (rc < 0)
        return err_wrap(e, rc, "%s", path);
    rc = db_prepare(db, sql, &rows, e);
    if (rc == 0)
        rc = db_prepare(db, "SELECT id, wall FROM _leat_commits WHERE id >= ?1 ORDER BY id LIMIT 1",
                        &commits, e);
    if (rc == 0)
        rc = each_row(rows, commits, each, arg, e);
    db_stmt_free(rows);
    db_stmt_free(commits);
    db_close(db);
    return rc < 0 ? err_wrap(e, rc, "%s", path) : rc;
}
