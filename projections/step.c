// SPDX-License-Identifier: Apache-2.0
//
// The transaction of a step.
//
//   begin            BEGIN IMMEDIATE; nobody else may have written since it was opened
//   savepoint...     one per record whose path writes rows at once
//   commit           marks, owner_epoch, offsets compared and set, commit row, COMMIT
//
// How it fails. An error of a record leaves the transaction open; the caller rolls back to its
// savepoint. An error of the machine ends in abort: the file is as it was before begin, and what
// was remembered of the step is forgotten. After an I/O error, corruption or fencing no further
// step is begun: what the disk holds is unknown until the file is opened again.
#include <inttypes.h>
#include <stdio.h>

#include "projections/changes.h"
#include "projections/expire.h"
#include "projections/history.h"
#include "runtime/base/failpoint.h"
#include "runtime/base/limits.h"

// Pages are copied to the database file in one go, before a step when the WAL holds this much (some
// tens of milliseconds), and sooner when the job has nothing else to do.
#if LEAT_TESTING
#define CHECKPOINT_BYTES (512 * 1024)
#else
#define CHECKPOINT_BYTES (40 * 1024 * 1024)
#endif
#define CHECKPOINT_IDLE_BYTES (CHECKPOINT_BYTES / 8)
// How often the tail of _leat_commits is cut, in commits.
#define TRIM_EVERY 256

int jf_error(struct jobfile *jf, int rc, struct err *e)
{
    bool stops = rc == LEAT_EIO || rc == LEAT_ECORRUPT || rc == LEAT_EFENCED;
    bool machine = stops || rc == LEAT_ENOSPC || rc == LEAT_ENOMEM || rc == LEAT_EBUSY ||
                   rc == LEAT_EOVERRUN;

    if (rc >= 0)
        return rc;
    jf->was_full = jf->was_full || rc == LEAT_ENOSPC;
    if (stops && jf->broken.code == 0)
        err_set(&jf->broken, rc, "%s", e != NULL ? e->text : err_name(rc));
    if (jf->in_step && !machine && !db_in_transaction(jf->db)) {
        if (e != NULL)
            e->code = LEAT_ESTOPPED; // the sentence stays
        return err_wrap(e, LEAT_ESTOPPED, "this error ended the step's transaction");
    }
    return rc;
}

int jf_busy(const struct jobfile *jf, int rc, struct err *e)
{
    if (rc != LEAT_EBUSY || jf->path == NULL)
        return rc;
    return err_set(e, rc, "another program has locked %s: the job goes on when it lets go",
                   jf->path);
}

int jf_inside(struct jobfile *jf, struct err *e)
{
    if (!jf->in_step)
        return err_set(e, LEAT_EINVAL, "rows are written inside a step only");
    if (!db_in_transaction(jf->db))
        return err_set(e, LEAT_ESTOPPED, "an earlier error has ended the step's transaction");
    return 0;
}

static void forget_step(struct jobfile *jf)
{
    jf->in_step = false;
    jf->n_saves = 0;
    jf->n_added = 0;
    changes_forget(jf);
    history_forget(jf);
}

static void step_abort(struct store *s)
{
    struct jobfile *jf = jobfile_of(s);

    db_rollback(jf->db);
    if (!jf->in_step)
        return;
    outbox_aborted(jf);
    expire_forget(jf);
    states_taken_back(jf);
    jf->counts = jf->committed;
    forget_step(jf);
}

static int check_foreign_writes(struct jobfile *jf, struct err *e)
{
    if (db_foreign_commits(jf->db) == jf->foreign_commits)
        return 0;
    return err_set(e, LEAT_EFENCED,
                   "another program has written to the job's file: its rows can no longer be "
                   "trusted to follow from the input; put a copy of it back, or build a new "
                   "version of the job");
}

// Once, in the first step after operators have gone: now those that are left have opened theirs.
static int drop_unused(struct jobfile *jf, struct err *e)
{
    int rc = states_drop_unused(jf, e);

    return rc == 0 ? jf_meta_put_int(jf, "unused_state", 0, e) : rc;
}

// A WAL that goes on behind what a reader still needs takes space that the database file lacks
// when it is emptied at last: with the disk full once, both could stay too large for it for ever.
static int make_room(struct jobfile *jf, struct err *e)
{
    int rc;

    if (!jf->was_full)
        return db_checkpoint(jf->db, CHECKPOINT_BYTES, e);
    rc = db_empty_wal(jf->db, e);
    if (rc == LEAT_EBUSY)
        return err_set(e, rc, "the disk was full: the job goes on when nobody reads from the "
                              "write-ahead log of %s, so that it can be emptied", jf->path);
    jf->was_full = rc == LEAT_ENOSPC;
    return rc;
}

static int step_begin(struct store *s, int64_t now, struct err *e)
{
    struct jobfile *jf = jobfile_of(s);
    int rc = failpoint("before_begin");

    ASSERT(!jf->in_step);
    if (rc < 0)
        return err_set(e, rc, "failpoint before_begin");
    if (jf->broken.code != 0)
        return err_set(e, LEAT_ESTOPPED, "the job's file is closed to writing since: %s",
                       jf->broken.text);
    rc = make_room(jf, e);
    if (rc == 0)
        rc = jf_busy(jf, db_begin(jf->db, e), e);
    if (rc < 0)
        return jf_error(jf, rc, e);
    rc = check_foreign_writes(jf, e);
    if (rc == 0 && jf->unused_state)
        rc = drop_unused(jf, e);
    if (rc < 0) {
        db_rollback(jf->db);
        return jf_error(jf, rc, e);
    }
    jf->in_step = true;
    jf->now = now;
    db_set_now(jf->db, now, (uint64_t)jf->commit_id + 1);
    return 0;
}

static int step_savepoint(struct store *s, struct err *e)
{
    struct jobfile *jf = jobfile_of(s);
    int rc;

    ASSERT(jf->in_step && jf->n_saves < JF_SAVEPOINTS_MAX);
    rc = db_savepoint(jf->db, e);
    if (rc == 0)
        jf->saves[jf->n_saves++] =
            (struct jf_savepoint){.counts = jf->counts, .n_added = jf->n_added};
    return jf_error(jf, rc, e);
}

static int step_release(struct store *s, struct err *e)
{
    struct jobfile *jf = jobfile_of(s);

    ASSERT(jf->n_saves > 0);
    if (--jf->n_saves == 0)
        jf->n_added = 0;
    return jf_error(jf, db_release(jf->db, e), e);
}

static int step_rollback_to(struct store *s, struct err *e)
{
    struct jobfile *jf = jobfile_of(s);
    struct jf_savepoint *save;

    ASSERT(jf->n_saves > 0);
    save = &jf->saves[--jf->n_saves];
    outbox_undo(jf, save->n_added);
    jf->counts = save->counts;
    states_taken_back(jf);
    changes_forget(jf);
    return jf_error(jf, db_rollback_to(jf->db, e), e);
}

static int check_owner(struct jobfile *jf, struct err *e)
{
    int64_t epoch = 0;
    int rc = jf_meta_int(jf, "owner_epoch", 0, &epoch, e);

    if (rc == 0 && epoch != jf->store.owner_epoch)
        rc = err_set(e, LEAT_EFENCED,
                     "owner epoch %" PRId64 " has taken the job over from epoch %" PRId64, epoch,
                     jf->store.owner_epoch);
    return rc;
}

static int add_commit_row(struct jobfile *jf, const struct store_commit *c, int64_t id,
                          struct err *e)
{
    struct buf vector = BUF_EMPTY, idle = BUF_EMPTY;
    struct db_stmt *s;
    int rc = jf_own(jf, JF_COMMIT_ADD, &s, e);

    if (rc < 0)
        return rc;
    offsets_text(&vector, c->offsets, c->n_offsets, false);
    offsets_text(&idle, c->offsets, c->n_offsets, true);
    db_bind_int(s, 1, id);
    db_bind_int(s, 2, c->now);
    db_bind_text(s, 3, buf_bytes(&vector));
    db_bind_text(s, 4, buf_bytes(&idle));
    db_bind_int(s, 5, c->records);
    db_bind_int(s, 6, c->micros);
    rc = db_run(s, e);
    buf_deinit(&vector);
    buf_deinit(&idle);
    if (rc < 0 || id % TRIM_EVERY != 0)
        return rc;
    rc = jf_own(jf, JF_COMMIT_TRIM, &s, e);
    if (rc < 0)
        return rc;
    db_bind_int(s, 1, c->now - COMMIT_LOG_KEEP_MS);
    return db_run(s, e);
}

static int write_all(struct jobfile *jf, const struct store_commit *c, int64_t id, struct err *e)
{
    int rc = jf_inside(jf, e);

    if (rc == 0)
        rc = outbox_flush(jf, e);
    if (rc == 0)
        rc = check_owner(jf, e);
    if (rc == 0 && !fail_switch("offsets_outside"))
        rc = offsets_write(jf, c, e);
    if (rc == 0)
        rc = add_commit_row(jf, c, id, e);
    if (rc == 0) {
        rc = failpoint("before_commit");
        if (rc < 0)
            err_set(e, rc, "failpoint before_commit");
    }
    return rc;
}

// Negative control: offsets in a transaction of their own. The crash tests must notice the
// difference.
static int write_outside(struct jobfile *jf, const struct store_commit *c, struct err *e)
{
    int rc = failpoint("between_commits");

    if (c->records > 0 && jf->path != NULL)
        failpoint_value("between_commits", bytes_str(jf->path));
    if (rc == 0)
        rc = db_begin(jf->db, e);
    if (rc == 0)
        rc = offsets_write(jf, c, e);
    return rc == 0 ? db_commit(jf->db, e) : rc;
}

static int step_commit(struct store *s, const struct store_commit *c, int64_t *commit_id,
                       struct err *e)
{
    struct jobfile *jf = jobfile_of(s);
    int64_t id = jf->commit_id + 1;
    int rc;

    ASSERT(jf->in_step && jf->n_saves == 0);
    rc = write_all(jf, c, id, e);
    if (rc == 0)
        rc = db_commit(jf->db, e);
    if (rc == 0 && fail_switch("offsets_outside"))
        rc = write_outside(jf, c, e);
    if (rc < 0) {
        rc = jf_error(jf, rc, e);
        step_abort(s);
        return rc;
    }
    rc = failpoint("after_commit");
    outbox_committed(jf);
    offsets_committed(jf, c);
    jf->commit_id = id;
    jf->unused_state = false;
    jf->committed = jf->counts;
    forget_step(jf);
    if (commit_id != NULL)
        *commit_id = id;
    return rc < 0 ? err_set(e, rc, "failpoint after_commit") : 0;
}

static int64_t waiting(struct store *s)
{
    return jobfile_of(s)->counts.waiting;
}

static int64_t parked(struct store *s)
{
    return jobfile_of(s)->counts.parked;
}

static int idle(struct store *s, struct err *e)
{
    struct jobfile *jf = jobfile_of(s);

    ASSERT(!jf->in_step);
    return jf_error(jf, db_checkpoint(jf->db, CHECKPOINT_IDLE_BYTES, e), e);
}

const struct store_ops jobfile_store_ops = {
    .begin = step_begin,
    .savepoint = step_savepoint,
    .release = step_release,
    .rollback_to = step_rollback_to,
    .commit = step_commit,
    .abort = step_abort,
    .offsets = offsets_each,
    .outbox_add = outbox_add,
    .outbox_last = outbox_last,
    .outbox_scan = outbox_scan,
    .outbox_mark = outbox_mark,
    .outbox_waiting = waiting,
    .park_add = park_add,
    .park_update = park_update,
    .park_remove = park_remove,
    .park_get = park_get,
    .park_scan = park_scan,
    .park_keys = park_keys,
    .park_due = park_due,
    .park_count = parked,
    .late_add = late_add,
    .number_get = number_get,
    .number_put = number_put,
    .number_drop = number_drop,
    .idle = idle,
};
