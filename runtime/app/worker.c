// SPDX-License-Identifier: Apache-2.0
#include "runtime/app/worker.h"

#include <time.h>

#include "runtime/base/trace.h"

static void deadline_in(int64_t ms, struct timespec *ts)
{
    clock_gettime(CLOCK_MONOTONIC, ts);
    ts->tv_sec += (time_t)(ms / 1000);
    ts->tv_nsec += (long)(ms % 1000) * 1000000;
    if (ts->tv_nsec >= 1000000000) {
        ts->tv_nsec -= 1000000000;
        ts->tv_sec++;
    }
}

static void worker_wake(struct worker *w)
{
    pthread_mutex_lock(&w->lock);
    w->woken = true;
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
}

static void flushed(struct flush_watch *watch)
{
    worker_wake(container_of(watch, struct worker, watch));
}

static bool worker_sleep(struct worker *w, int64_t ms)
{
    struct timespec until;
    bool go_on;

    deadline_in(ms, &until);
    pthread_mutex_lock(&w->lock);
    while (!w->woken && !w->stopping && pthread_cond_timedwait(&w->wake, &w->lock, &until) == 0)
        continue;
    w->woken = false;
    go_on = !w->stopping;
    pthread_mutex_unlock(&w->lock);
    return go_on;
}

static void worker_told(struct worker *w)
{
    pthread_mutex_lock(&w->lock);
    w->commits++;
    pthread_cond_broadcast(&w->committed);
    pthread_mutex_unlock(&w->lock);
}

static void *worker_run(void *arg)
{
    struct worker *w = arg;
    struct job_turn turn;
    struct err e = {0};
    int64_t wait_ms;

    do {
        int rc = job_turn(w->job, clock_wall_ms(w->config.clock), &turn, &e);
        if (rc != 0) {
            trace(TRACE_ERROR, w->config.plan->job, "the job stopped: %s", e.text);
            break;
        }
        if (turn.worked)
            worker_told(w);
        wait_ms = turn.worked ? 0 : turn.wait_ms;
    } while (worker_sleep(w, wait_ms));
    return NULL;
}

static void worker_init(struct worker *w)
{
    pthread_condattr_t attr;

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->wake, &attr);
    pthread_cond_init(&w->committed, &attr);
    pthread_condattr_destroy(&attr);
    w->watch.moved = flushed;
}

int worker_start(struct worker *w, const struct job_config *c, struct flusher *flusher,
                 struct err *e)
{
    int rc;

    *w = (struct worker){.config = *c, .flusher = flusher};
    worker_init(w);
    rc = job_open(&w->job, c, e);
    if (rc != 0)
        return rc;
    if (flusher != NULL)
        flusher_watch(flusher, &w->watch);
    if (pthread_create(&w->thread, NULL, worker_run, w) != 0)
        return err_set(e, LEAT_ENOMEM, "job %s: cannot start its thread", c->plan->job);
    w->started = true;
    return 0;
}

void worker_end(struct worker *w)
{
    pthread_mutex_lock(&w->lock);
    w->stopping = true;
    pthread_cond_signal(&w->wake);
    pthread_cond_broadcast(&w->committed);
    pthread_mutex_unlock(&w->lock);
    if (w->started)
        pthread_join(w->thread, NULL);
    w->started = false;
    if (w->flusher != NULL && w->job != NULL)
        flusher_unwatch(w->flusher, &w->watch);
    job_close(w->job);
    w->job = NULL;
}

void worker_free(struct worker *w)
{
    pthread_cond_destroy(&w->wake);
    pthread_cond_destroy(&w->committed);
    pthread_mutex_destroy(&w->lock);
}

bool worker_wait_commit(struct worker *w, int64_t ms)
{
    struct timespec until;
    int64_t seen;
    bool goes_on;

    deadline_in(ms, &until);
    pthread_mutex_lock(&w->lock);
    seen = w->commits;
    while (w->commits == seen && !w->stopping &&
           pthread_cond_timedwait(&w->committed, &w->lock, &until) == 0)
        continue;
    goes_on = !w->stopping;
    pthread_mutex_unlock(&w->lock);
    return goes_on;
}
