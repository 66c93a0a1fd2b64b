// SPDX-License-Identifier: Apache-2.0
//
// A running job: the plan, its operators and the loop  collect -> merge -> process -> flush ->
// commit -> relay.
//
// job_turn does one step and returns; it never sleeps and reads no clock but the one in `now`. The
// shell (a worker thread in runtime/app, the driver in tests) calls it, waits as long as the turn
// says or until something moved, calls again.
#ifndef LEAT_ENGINE_JOB_H
#define LEAT_ENGINE_JOB_H

#include <pthread.h>

#include "runtime/base/clock.h"
#include "runtime/engine/decision.h"
#include "runtime/engine/flight.h"
#include "runtime/engine/operator.h"
#include "runtime/engine/publisher.h"
#include "runtime/engine/source.h"
#include "runtime/engine/store.h"

struct job;
struct input_drained;

struct job_config {
    const struct plan *plan; // finished; must outlive the job
    struct store *store;
    struct source *source;
    struct publisher *publisher;
    const struct operator_type *const *operators;
    struct clock *clock;  // mono_ns for the step's time cap and statistics only
    int64_t gap_ms; // a drained input does not commit more often; 0: STEP_GAP_MS_MIN, -1: no gap
    struct flight *flight;  // a page of memory that outlives the process; NULL: none
    pthread_mutex_t *gate;  // shared by all jobs of the process (suspect.c); NULL: this is the only
    bool inputs_may_grow; // tests: a partition that appears under a keyed job is no reason to stop
    // Bytes of state in memory between steps, and in one. 0: JOB_CACHE_BYTES, JOB_STEP_BYTES.
    size_t cache_bytes, step_bytes;
    // Tests: a job that takes another's place at once keeps its idle clocks. Until it is ready.
    const struct input_drained *drained;
    int n_drained;
    // Tests: asked behind each record, whether the step ends there; `records` of it so far.
    bool (*ends_step)(void *arg, int64_t records);
    void *ends_step_arg;
};

enum job_state {
    JOB_RUNNING,
    JOB_WAITING, // for a topic, for space: retried by itself; `why` says for what
    JOB_STOPPED, // needs a person; `why` says what and what to do
};

struct job_turn {
    bool worked;     // something was committed or relayed: call again at once
    int64_t wait_ms; // otherwise: call again after at most this long (at most JOB_WAIT_MS_MAX), or
                     // when a source or the relay's target moved
};

#define JOB_WAIT_MS_MAX (24 * 3600 * 1000)

struct job_status {
    enum job_state state;
    char why[ERR_TEXT_MAX];
    int64_t records_in, records_out, commits, parked, late, skipped;
    bool absent;            // it waits for a topic or a file that is not there; `why` names it
    bool done;              // the last turn found nothing that is left to do before something comes
    bool looked;            // a turn has been done: the figures below are of this run
    int64_t lag;            // records between the offsets and the stable ends
    int64_t watermark;      // smallest of the sources; INT64_MIN: none yet
    char watermark_by[128]; // topic:partition@offset of the record that moved it last
    int64_t outbox_waiting;
    int64_t commit_p50_us, commit_p99_us; // of the last 256 commits
};

int job_open(struct job **out, const struct job_config *c, struct err *e) LEAT_CHECKED;
void job_close(struct job *j); // an open step is aborted

// One step at wall clock `now` (ms). 0, or the error that stopped the job (it is also in the
// status).
int job_turn(struct job *j, int64_t now, struct job_turn *t, struct err *e) LEAT_CHECKED;

// What a person decides about parked records, all of it or nothing. On the worker's thread, between
// turns; a stopped job can be helped so too. Errors are decision_apply's.
int job_decide(struct job *j, const struct decision *d, size_t n, int64_t now,
               struct err *e) LEAT_CHECKED;

// Any thread.
void job_status(struct job *j, struct job_status *out);

#endif
