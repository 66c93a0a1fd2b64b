// SPDX-License-Identifier: Apache-2.0
//
// The thread of one job: turn after turn of runtime/engine/job.h, asleep in between until a source
// moved or the turn's time is up. Everything else asks it through atomics and two conditions:
// `wake` (there may be work) and `committed` (a step went in).
//
//   starting ──job_open──► running ◄──job_turn fails──► stopped      (status says why; a decision
//   of a person may make it go on)
//                             └──worker_stop──► closing ──► joined
#ifndef LEAT_APP_WORKER_H
#define LEAT_APP_WORKER_H

#include <pthread.h>

#include "runtime/engine/job.h"
#include "runtime/log/flusher.h"

struct worker {
    struct job_config config;
    struct flusher *flusher; // whose moves wake this worker; NULL: it polls
    struct flush_watch watch;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake, committed;
    bool woken, stopping, started; // under lock
    int64_t commits;               // under lock: counts turns that worked
    pthread_cond_t answered;
    struct worker_question *question; // under lock: of another thread, waiting; NULL: none
    bool ended;                       // under lock: nobody answers any more
    bool said;                        // that the job has stopped
    struct job *job;
};

// Opens the job on the caller's thread (so that errors are the caller's) and starts its thread.
int worker_start(struct worker *w, const struct job_config *c, struct flusher *flusher,
                 struct err *e) LEAT_CHECKED;
// Finishes the turn, ends the thread and closes the job; who waits is told. After a failed start
// too.
void worker_end(struct worker *w);
// After worker_end, when nobody can ask any more.
void worker_free(struct worker *w);
// Any thread: has f run on the worker's, between turns, also when the job has stopped, and returns
// what it returned. LEAT_ECLOSED: the worker has ended.
int worker_ask(struct worker *w, int (*f)(struct job *j, void *arg, struct err *e), void *arg,
               struct err *e) LEAT_CHECKED;
// Any thread: returns after the next step, or after `ms`. False: it has ended.
bool worker_wait_commit(struct worker *w, int64_t ms);

#endif
