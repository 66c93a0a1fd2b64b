// SPDX-License-Identifier: Apache-2.0
//
// Decisions are taken by whoever may write the job's file, which is one at a time: the server that
// has it open is asked, and the file itself is written when nobody has.
#include "runtime/app/dlq.h"

#include "projections/jobfile.h"
#include "runtime/app/admin.h"
#include "runtime/app/decisions.h"
#include "runtime/app/http_get.h"
#include "runtime/record/value.h"

enum { SERVER_MS = 60000 };

static int in_file(struct dlq *d, const struct decision *decisions, size_t n, struct err *e)
{
    struct store_commit commit = {.now = d->now};
    struct store *s;
    int rc = jobfile_open_parked(&s, d->path, e);

    if (rc != 0)
        return rc;
    rc = s->ops->begin(s, d->now, e);
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = decision_apply(s, &decisions[i], d->now, e);
    if (rc == 0)
        rc = s->ops->commit(s, &commit, NULL, e);
    jobfile_close(s); // an open step is aborted
    return rc;
}

// What the server says about an error, without the JSON around it.
static int refused(int status, struct buf *body, struct arena *a, struct err *e)
{
    struct value root, text;

    if (value_decode(FORMAT_JSON, buf_bytes(body), a, &root, NULL) == 0 &&
        value_is_object(&root) && value_member(&root, BYTES_LIT("error"), a, &text, NULL) == 0 &&
        text.type == VALUE_TEXT)
        return err_set(e, status == 404 ? LEAT_ENOTFOUND : LEAT_EINVAL, "%.*s", BYTES_FMT(text.s));
    return err_set(e, LEAT_EPROTO, "the server answered %d: %s", status, buf_cstr(body));
}

static int in_server(struct dlq *d, const struct decision *decisions, size_t n, struct err *e)
{
    struct buf json = BUF_EMPTY, body = BUF_EMPTY;
    struct admin admin;
    struct http_ask how;
    int status = 0, rc = admin_read(d->data, &d->arena, &admin, e);

    if (rc == LEAT_ENOTFOUND)
        return err_set(e, LEAT_ELOCKED,
                       "%s is in use, but not by a server of this data folder (%s has no "
                       "admin.json)",
                       d->path, d->data);
    if (rc != 0)
        return rc;
    how = (struct http_ask){.authority = admin.http,
                            .token = admin.token,
                            .path = arena_printf(&d->arena, "/jobs/%s/parked", d->job),
                            .ms = SERVER_MS};
    decisions_write(decisions, n, &json);
    rc = http_post(&how, buf_bytes(&json), &status, &body, e);
    if (rc == 0 && status != 200)
        rc = refused(status, &body, &d->arena, e);
    buf_deinit(&json);
    buf_deinit(&body);
    return rc;
}

int dlq_decide(struct dlq *d, const struct decision *decisions, size_t n, bool *by_server,
               struct err *e)
{
    int rc = 0;

    for (size_t at = 0; at < n && rc == 0; at += DECISIONS_MAX) {
        size_t some = n - at < DECISIONS_MAX ? n - at : DECISIONS_MAX;
        rc = in_file(d, decisions + at, some, e);
        *by_server = rc == LEAT_ELOCKED;
        if (rc == LEAT_ELOCKED)
            rc = in_server(d, decisions + at, some, e);
    }
    return rc;
}
