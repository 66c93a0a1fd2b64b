// SPDX-License-Identifier: Apache-2.0
//
// A job as the server hosts it: the plan from its file, its database, its worker and the readers of
// its queries.
//
//   hosted_job_new      a file's place among the jobs
//   hosted_job_load     evaluates the file: errors are the author's, nothing is touched
//   hosted_job_check    whether it may start on what is there, with nothing touched either
//   hosted_job_start    opens the database, starts the worker
//   hosted_job_end      ends the worker, closes the database; queries are still answered
//   hosted_job_free
//
// One that cannot be loaded or started keeps its place: hosted_job_failed remembers why, and its
// status says so.
#ifndef LEAT_APP_HOSTED_JOB_H
#define LEAT_APP_HOSTED_JOB_H

#include "runtime/app/embedded.h"
#include "runtime/app/outbox_source.h"
#include "runtime/app/worker.h"
#include "runtime/http/server.h"
#include "scripts/script.h"

enum { READERS_IDLE_MAX = 4 };

struct hosted_job {
    char *file; // of the job
    char *db;   // path of its database
    struct plan *plan; // NULL: not loaded
    struct store *store;
    struct embedded embedded;
    struct outbox_source outboxes;
    struct flight *flight; // NULL: it cannot be had
    struct worker worker;
    bool opened; // the worker's parts are there
    bool routed; // its queries are
    char why[ERR_TEXT_MAX];  // it is not running, because; "" when it is
    bool passing;            // and that may be over any time: it is tried again
    char note[ERR_TEXT_MAX]; // a newer state of its file is not running, because
    struct http_job http;
    pthread_mutex_t lock;
    struct query_reader *idle[READERS_IDLE_MAX];
    int n_idle;
};

// What a hosted job runs against; shared by all jobs of the server.
struct job_host {
    const char *data_dir; // jobs/<job>/<version>.db go below
    struct broker *broker;
    pthread_mutex_t *gate; // struct job_config
    bool from_now, drop; // how far a changed job may go: see struct jobfile_options
};

struct hosted_job *hosted_job_new(const char *file);
int hosted_job_load(struct hosted_job *j, const struct script_options *o,
                    struct err *e) LEAT_CHECKED;
int hosted_job_check(struct hosted_job *j, const struct job_host *host, struct err *e) LEAT_CHECKED;
int hosted_job_start(struct hosted_job *j, const struct job_host *host, struct err *e) LEAT_CHECKED;
// The plan of one that has ended, for one that has none. They share it until the old one disowns
// it, which it must before it is freed; then nobody may ask its queries any more.
void hosted_job_adopt(struct hosted_job *j, const struct hosted_job *old);
void hosted_job_disown(struct hosted_job *old);
void hosted_job_failed(struct hosted_job *j, const struct err *e);
// Whether what keeps a job from being started may be over any time.
bool hosted_job_passing(int rc);
void hosted_job_end(struct hosted_job *j);
void hosted_job_free(struct hosted_job *j); // ends it first; NULL is fine

// The job's name, or its file when it is not loaded.
const char *hosted_job_name(const struct hosted_job *j);
// Whatever has become of it: the state of one that does not run is JOB_STOPPED, or JOB_WAITING when
// what keeps it from running may pass.
void hosted_job_read(struct hosted_job *j, struct job_status *out);
// {"name": ..., "version": ..., "state": ..., ...}
void hosted_job_status(struct hosted_job *j, struct buf *json);

#endif
