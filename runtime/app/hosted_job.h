// SPDX-License-Identifier: Apache-2.0
//
// A job as the server hosts it: the plan from its file, its database, its worker and the readers of
// its queries.
//
//   hosted_job_load   evaluates the job file                                    (cheap; errors are
//   the author's) hosted_job_start  opens the database, starts the worker hosted_job_stop   stops
//   both; the plan stays for its last readers hosted_job_free
#ifndef LEAT_APP_HOSTED_JOB_H
#define LEAT_APP_HOSTED_JOB_H

#include "runtime/app/embedded.h"
#include "runtime/app/worker.h"
#include "runtime/http/server.h"
#include "scripts/script.h"

enum { READERS_IDLE_MAX = 4 };

struct hosted_job {
    char *file; // of the job
    char *db;   // path of its database
    struct plan *plan;
    struct store *store;
    struct embedded embedded;
    struct worker worker;
    bool opened; // hosted_job_start was called
    struct http_job http;
    pthread_mutex_t lock;
    struct query_reader *idle[READERS_IDLE_MAX];
    int n_idle;
};

// What a hosted job runs against; shared by all jobs of the server.
struct job_host {
    const char *data_dir; // jobs/<job>/<version>.db go below
    struct broker *broker;
    bool from_now, drop; // how far a changed job may go: see struct jobfile_options
};

int hosted_job_load(struct hosted_job **out, const char *file, const struct script_options *o,
                    struct err *e) LEAT_CHECKED;
int hosted_job_start(struct hosted_job *j, const struct job_host *host, struct err *e) LEAT_CHECKED;
void hosted_job_stop(struct hosted_job *j);
void hosted_job_free(struct hosted_job *j); // NULL is fine

// {"name": ..., "version": ..., "state": ..., ...}
void hosted_job_status(struct hosted_job *j, struct buf *json);

// "data/jobs/<job>/<version>.db". Owned by the caller.
char *hosted_job_path(const char *data_dir, const struct plan *p);

#endif
