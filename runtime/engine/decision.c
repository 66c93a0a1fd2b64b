// SPDX-License-Identifier: Apache-2.0
//
// What a person decides about a parked record, as changes of its row; no record runs here. The job
// finds a retry that is due, with whatever else is due, at its next turn. So the same few lines
// serve a job that runs, one that has stopped, and the file of one that is not there at all.
//
//   retry   the row is due now; those behind it wait on, and run when it is cured
//   skip    the row stays, with the reason, and is no longer parked; the next of its key is due
//   edit    the amended value stands beside the original, and is what runs from now on
#include "runtime/engine/decision.h"

#include "runtime/engine/class.h"

// Whether others wait behind such a row.
static bool is_head(const struct parked_row *row)
{
    return row->state != PARKED_SEQUENCE && !class_is_unreadable(row->class);
}

struct behind {
    int64_t first; // id of the first that waits; 0: none
    bool held;     // by another head
};

static int look_behind(void *arg, const struct parked_row *row)
{
    struct behind *b = arg;

    b->held = b->held || is_head(row);
    if (row->state == PARKED_SEQUENCE && b->first == 0)
        b->first = row->id;
    return 0;
}

static int make_due(struct store *s, struct parked_row *row, int64_t now, struct err *e)
{
    row->state = PARKED_RETRY;
    if (row->class == 0) // it waited for no fault of its own
        row->class = LEAT_EMISSING;
    row->next_at = now;
    return s->ops->park_update(s, row, e);
}

static int release(struct store *s, const struct parked_row *row, struct arena *a, int64_t now,
                   struct err *e)
{
    struct behind b = {0};
    struct parked_row next;
    int rc = s->ops->park_scan(s, &row->entry, &row->key, look_behind, &b, e);

    if (rc < 0 || b.held || b.first == 0)
        return rc;
    rc = s->ops->park_get(s, b.first, a, &next, e);
    return rc == 1 ? make_due(s, &next, now, e) : rc;
}

static int skip(struct store *s, struct parked_row *row, const struct decision *d, struct err *e)
{
    if (d->reason.n == 0)
        return err_set(e, LEAT_EINVAL, "a record is skipped for a reason: say which");
    row->state = PARKED_SKIPPED;
    row->reason = d->reason;
    return s->ops->park_update(s, row, e);
}

static int retry(struct store *s, struct parked_row *row, int64_t now, struct err *e)
{
    if (row->state == PARKED_SEQUENCE)
        return err_set(e, LEAT_EINVAL,
                       "record %lld waits behind another of its key: decide about that one first",
                       (long long)row->id);
    return make_due(s, row, now, e);
}

static int apply(struct store *s, const struct decision *d, int64_t now, struct arena *a,
                 struct err *e)
{
    struct parked_row row;
    bool head;
    int rc = s->ops->park_get(s, d->id, a, &row, e);

    if (rc == 0)
        return err_set(e, LEAT_ENOTFOUND, "no parked record has the id %lld", (long long)d->id);
    if (rc < 0)
        return rc;
    switch (d->kind) {
    case DECISION_RETRY:
        return retry(s, &row, now, e);
    case DECISION_EDIT:
        row.edited = d->value;
        return s->ops->park_update(s, &row, e);
    case DECISION_SKIP:
        head = is_head(&row) && !bytes_is_null(row.key);
        rc = skip(s, &row, d, e);
        return rc == 0 && head ? release(s, &row, a, now, e) : rc;
    }
    UNREACHABLE("a kind of decision");
}

int decision_apply(struct store *s, const struct decision *d, int64_t now, struct err *e)
{
    struct arena a;
    int rc;

    arena_init(&a);
    rc = apply(s, d, now, &a, e);
    arena_deinit(&a);
    return rc;
}
