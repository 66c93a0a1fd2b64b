// SPDX-License-Identifier: Apache-2.0
//
// The inside of a job, shared by job.c (the loop), job_step.c (one step) and job_park.c (what
// becomes of records that fail).
#ifndef LEAT_ENGINE_JOB_PARTS_H
#define LEAT_ENGINE_JOB_PARTS_H

#include <pthread.h>

#include "runtime/engine/input.h"
#include "runtime/engine/job.h"
#include "runtime/engine/parking.h"
#include "runtime/engine/relay.h"
#include "runtime/engine/run.h"
#include "runtime/engine/step.h"
#include "runtime/engine/suspect.h"

enum {
    COMMIT_SAMPLES = 256,
    CLOCK_EVERY_RECORDS = 64, // at most, and while they take no time to speak of
    CLOCK_SLOW_MS = 5,
    MEMORY_EVERY_RECORDS = 8, // one record may bring in STATE_BYTES_MAX
    SAMPLES_KEPT_MAX = 1000
};

struct job_tick {
    int node;
    char name[256]; // of the number that keeps the last one
    char w_name[256]; // of the number that keeps the watermark
    bool known;
    int64_t last;
};

struct job {
    struct job_config config;
    const struct plan *plan;
    struct store *store;
    struct inputs in;
    struct run run;
    struct parking parking;
    struct relay relay;
    struct suspect suspect;
    struct arena arena; // of retries, ticks and what the clock closes
    struct buf born_key;
    struct job_tick *ticks;
    int n_ticks;
    int64_t *w, *scratch; // by node
    struct store_offset *offsets;
    int cap_offsets;

    bool ready;           // topics known, positions loaded
    bool constrained;     // a table of an aggregate has constraints: always careful
    int64_t careful_left; // entries to run with a flush behind each
    bool again;           // a failed step is to be run again at once
    bool absent;          // what it waits for is not there
    bool nothing_left;    // found so in this turn
    bool stop_after;      // park = "stop": commit what came before, then stop
    struct err stop_err;
    int64_t now; // of the wall, never back: what records and rows see
    // The same, until the wall's clock is set back: then it goes on, as `now` does not. For what
    // waits some time in this process.
    int64_t ran;
    int64_t wall;        // at the last turn
    int64_t last_commit; // of `ran`
    bool committed_once;
    int64_t retry_at, backoff_ms; // of `ran`; while waiting
    int64_t step_started;         // ns
    int64_t step_records;
    int64_t collect_started; // ns
    // Of looks at the clock: the record of the next, how many are between, ms at the last.
    int64_t clock_at, clock_gap, clock_was;
    int64_t write_ms; // that the last step took for its flush and commit, and this one to begin
    int moved_part; // whose record moved a watermark last; -1
    int64_t moved_offset;
    int64_t records_in, records_out, commits;
    int64_t micros[COMMIT_SAMPLES];

    enum job_state state;
    struct err why;
    pthread_mutex_t lock; // of status
    struct job_status status;
};

// One step, if there is a reason for one. *worked: something was committed.
int job_step(struct job *j, bool *worked, int64_t *wait, struct err *e) LEAT_CHECKED;
// Everything in memory back to what is committed.
int job_abort(struct job *j, struct err *e) LEAT_CHECKED;

// One source record that is the next: run, parked, or behind a parked one. 1: park = "stop", it
// was not touched.
int job_record(struct job *j, struct input_part *p, struct err *e) LEAT_CHECKED;
// Whatever is due where time stands after a record: of operators, then rows.
int job_catch_up(struct job *j, struct err *e) LEAT_CHECKED;
int job_retry(void *arg, const struct parked_row *row, struct err *e);
int job_tick(struct job *j, struct job_tick *t, int64_t at, struct err *e) LEAT_CHECKED;
int job_born_enter(void *arg, struct operator* o, enum plan_port port, struct event *ev,
                   struct err *e);
void job_born_left(void *arg);
int job_born_failed(void *arg, struct operator* o, enum plan_port port, struct event *ev, int rc,
                    struct err *e);

#endif
