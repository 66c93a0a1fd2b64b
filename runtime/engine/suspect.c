// SPDX-License-Identifier: Apache-2.0
//
// Records that kill. An error in a record's code is caught and the record parked; but a defect of
// the machine under it (of the interpreter, a library, the kernel's patience) ends the process, and
// the next one would run into the same record again, for ever.
//
//   while a step runs    the page (flight.h) says which record runs. That is all that a job pays
//                        while nothing is wrong.
//   at the next start    the page still says so: that record is suspected. The crash is counted in
//                        the job's file, by the record, before anything runs.
//   when its turn comes  what came before it is committed. It is counted once more, on disk, and
//                        runs in a transaction alone.
//      comes through     its count goes with that transaction
//      ends the process  the next start finds the count
//   CRASHES_MAX          it is parked with class crash instead of being run; its key waits, the job
//                        goes on
//
// Whoever happens to run when the process is killed from outside is suspected too, and acquitted at
// once. Jobs of one process run beside each other, so one job's crash finds another's record
// running: a job that has a suspect takes its steps under a gate, of which there is one for all
// jobs. So while a suspect runs alone no other one does, and an innocent record is not counted
// again and again with the guilty.
//
// A record that is born inside a job has no turn of its own that could be foreseen; it is counted
// at the start only, and recognised when it is born. Of the machine's own part (flush, commit)
// nobody can be blamed: the second time the step is run with a flush behind each record, so that
// the next crash has a name. If it still has none, the job stops and leaves the others alone.
#include "runtime/engine/suspect.h"

#include <inttypes.h>
#include <stdio.h>

enum {
    CRASHES_MAX = 3,
    COMMITS_WITHOUT = 1000, // and it was not met: it is gone, with its key or its window
};

void suspect_open(struct suspect *s, struct flight *page, pthread_mutex_t *gate, struct store *st)
{
    *s = (struct suspect){.gate = gate};
    s->flight = page != NULL ? page : &s->own;
    if (uuid_eq(s->flight->lineage, st->incarnation)) {
        s->phase = s->flight->phase <= FLIGHT_RETRY ? (enum flight_phase)s->flight->phase
                                                    : FLIGHT_IDLE;
        s->id = s->flight->id;
        s->alone_before = s->flight->alone != 0;
    }
    if (s->phase == FLIGHT_STEP)
        s->id = (struct flight_id){0};
    // Only counting it lets go of the page: a process that ends before that has not lost it.
    if (s->phase == FLIGHT_IDLE)
        *s->flight = (struct flight){.lineage = st->incarnation};
}

static void leave_gate(struct suspect *s)
{
    if (s->gated)
        pthread_mutex_unlock(s->gate);
    s->gated = false;
}

void suspect_close(struct suspect *s)
{
    if (s->flight != NULL && (s->phase == FLIGHT_IDLE || s->counted))
        flight_phase(s->flight, FLIGHT_IDLE);
    leave_gate(s);
}

static void name_of(const struct suspect *s, char out[64])
{
    snprintf(out, 64, "crash:%d:%016" PRIx64 ":%d:%" PRId64, (int)s->phase, s->id.entry,
             s->id.partition, s->id.offset);
}

static bool gives_up(const struct suspect *s)
{
    return s->phase == FLIGHT_STEP && s->crashes >= CRASHES_MAX;
}

// One more than the file has, in a transaction of its own. When the job gives up, its next start
// begins anew.
static int count(struct suspect *s, struct store *st, int64_t now, struct err *e)
{
    struct store_commit c = {.now = now};
    char name[64];
    int64_t n = 0;
    int rc = st->ops->begin(st, now, e);

    if (rc != 0)
        return rc;
    name_of(s, name);
    rc = st->ops->number_get(st, name, &n, e);
    if (rc >= 0) {
        s->crashes = s->counted ? n : n + 1;
        rc = gives_up(s) ? st->ops->number_drop(st, name, e)
                         : st->ops->number_put(st, name, n + 1, e);
    }
    if (rc == 0)
        return st->ops->commit(st, &c, NULL, e);
    st->ops->abort(st);
    return rc;
}

// It was counted before it ran alone.
static int recall(struct suspect *s, struct store *st, int64_t now, struct err *e)
{
    char name[64];
    int rc = st->ops->begin(st, now, e);

    if (rc != 0)
        return rc;
    name_of(s, name);
    rc = st->ops->number_get(st, name, &s->crashes, e);
    st->ops->abort(st);
    return rc < 0 ? rc : 0;
}

int suspect_start(struct suspect *s, struct store *st, int64_t now, struct err *e)
{
    int rc;

    if (s->phase == FLIGHT_IDLE || s->counted)
        return 0;
    rc = s->alone_before ? recall(s, st, now, e) : count(s, st, now, e);
    if (rc != 0)
        return rc;
    s->counted = true;
    *s->flight = (struct flight){.lineage = st->incarnation};
    if (gives_up(s))
        return err_set(e, LEAT_ESTOPPED,
                       "the process has ended %lld times while a step of this job was written: see "
                       "what ended it; starting the job again tries again",
                       (long long)s->crashes);
    return 0;
}

bool suspect_wants_care(const struct suspect *s)
{
    return s->phase == FLIGHT_STEP && s->crashes > 1;
}

void suspect_begin(struct suspect *s)
{
    if (s->phase == FLIGHT_IDLE || s->gate == NULL)
        return;
    pthread_mutex_lock(s->gate);
    s->gated = true;
}

bool suspect_is(const struct suspect *s, enum flight_phase phase, struct flight_id id)
{
    return s->phase == phase && flight_same(s->id, id);
}

bool suspect_is_guilty(const struct suspect *s, enum flight_phase phase, struct flight_id id)
{
    return suspect_is(s, phase, id) && s->crashes >= CRASHES_MAX;
}

int suspect_count(struct suspect *s, struct store *st, int64_t now, struct err *e)
{
    int rc = s->ahead ? 0 : count(s, st, now, e);

    s->ahead = s->ahead || rc == 0;
    s->alone = rc == 0;
    return rc;
}

void suspect_passed(struct suspect *s)
{
    s->cleared = true;
}

int suspect_write(struct suspect *s, struct store *st, struct err *e)
{
    char name[64];

    if (s->phase == FLIGHT_IDLE)
        return 0;
    if (s->phase == FLIGHT_STEP || s->commits >= COMMITS_WITHOUT)
        s->cleared = true;
    if (!s->cleared)
        return 0;
    name_of(s, name);
    return st->ops->number_drop(st, name, e);
}

void suspect_end(struct suspect *s, bool committed, bool drained)
{
    if (s->phase == FLIGHT_IDLE)
        return;
    s->alone = false;
    if (committed && s->cleared) {
        s->phase = FLIGHT_IDLE;
        s->ahead = false;
    }
    s->cleared = false;
    if (committed)
        s->commits = drained ? COMMITS_WITHOUT : s->commits + 1;
    leave_gate(s);
}

const char *suspect_sentence(const struct suspect *s, char out[80])
{
    snprintf(out, 80, "the process has ended %lld times while this record ran",
             (long long)s->crashes);
    return out;
}
