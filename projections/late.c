// SPDX-License-Identifier: Apache-2.0
//
// Samples and small numbers. Late records are kept in a ring of rows per operator: the n-th goes to
// slot n modulo the size, so the table never grows and nothing is deleted.
#include "projections/jobfile_internal.h"
#include "runtime/base/limits.h"

static int last_n(struct jobfile *jf, struct bytes op, int64_t *n, struct err *e)
{
    struct db_stmt *s;
    int rc = jf_own(jf, JF_LATE_LAST, &s, e);

    if (rc < 0)
        return rc;
    db_bind_text(s, 1, op);
    rc = db_next(s, e);
    *n = rc == 1 ? db_column_int(s, 0) : -1;
    db_reset(s);
    return rc < 0 ? rc : 0;
}

int late_add(struct store *store, const struct late_row *r, struct err *e)
{
    struct jobfile *jf = jobfile_of(store);
    struct db_stmt *s;
    int64_t n = 0;
    int rc = jf_inside(jf, e);

    if (rc == 0)
        rc = last_n(jf, r->op, &n, e);
    if (rc == 0)
        rc = jf_own(jf, JF_LATE_PUT, &s, e);
    if (rc < 0)
        return jf_error(jf, rc, e);
    db_bind_text(s, 1, r->op);
    db_bind_int(s, 2, (n + 1) % LATE_SAMPLE_ROWS);
    db_bind_int(s, 3, n + 1);
    db_bind_text(s, 4, r->topic);
    db_bind_int(s, 5, r->partition);
    db_bind_int(s, 6, r->offset);
    db_bind_int(s, 7, r->time);
    db_bind_int(s, 8, r->watermark);
    db_bind_blob(s, 9, r->key);
    db_bind_blob(s, 10, r->value);
    return jf_error(jf, db_run(s, e), e);
}

int number_get(struct store *store, const char *name, int64_t *v, struct err *e)
{
    struct db_stmt *s;
    int rc = jf_own(jobfile_of(store), JF_NUMBER_GET, &s, e);

    if (rc < 0)
        return rc;
    db_bind_str(s, 1, name);
    rc = db_next(s, e);
    if (rc == 1)
        *v = db_column_int(s, 0);
    db_reset(s);
    return rc;
}

int number_put(struct store *store, const char *name, int64_t v, struct err *e)
{
    struct jobfile *jf = jobfile_of(store);
    struct db_stmt *s;
    int rc = jf_inside(jf, e);

    if (rc == 0)
        rc = jf_own(jf, JF_NUMBER_PUT, &s, e);
    if (rc < 0)
        return rc;
    db_bind_str(s, 1, name);
    db_bind_int(s, 2, v);
    return jf_error(jf, db_run(s, e), e);
}

int number_drop(struct store *store, const char *name, struct err *e)
{
    struct jobfile *jf = jobfile_of(store);
    struct db_stmt *s;
    int rc = jf_inside(jf, e);

    if (rc == 0)
        rc = jf_own(jf, JF_NUMBER_DROP, &s, e);
    if (rc < 0)
        return jf_error(jf, rc, e);
    db_bind_str(s, 1, name);
    return jf_error(jf, db_run(s, e), e);
}
