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

// How long to sleep. A job that has stopped is turned as often as it is woken: it says that it has
// stopped, until somebody has helped it.
static int64_t worker_turn(struct worker *w)
{
    struct job_turn turn;
    struct err e = {0};

    if (job_turn(w->job, clock_wall_ms(w->config.clock), &turn, &e) != 0) {
        if (!w->said)
            trace(TRACE_ERROR, w->config.plan->job, "the job stopped: %s", e.text);
        w->said = true;
        return JOB_WAIT_MS_MAX;
    }
    w->said = false;
    if (turn.worked)
        worker_told(w);
    return turn.worked ? 0 : turn.wait_ms;
}

// --- questions of other threads ---

struct worker_question {
    int (*f)(struct job *j, void *arg, struct err *e);
    void *arg;
    struct err *e;
    int rc;
    bool done;
};

static bool worker_answer(struct worker *w)
{
    struct worker_question *q;

    pthread_mutex_lock(&w->lock);
    q = w->question;
    pthread_mutex_unlock(&w->lock);
    if (q == NULL)
        return false;
    q->rc = q->f(w->job, q->arg, q->e); // who asks waits, and so does the next
    pthread_mutex_lock(&w->lock);
    w->question = NULL;
    q->done = true;
    pthread_cond_broadcast(&w->answered);
    pthread_mutex_unlock(&w->lock);
    return true;
}

static void worker_ended(struct worker *w)
{
    pthread_mutex_lock(&w->lock);
    w->ended = true;
    pthread_cond_broadcast(&w->answered);
    pthread_mutex_unlock(&w->lock);
}

int worker_ask(struct worker *w, int (*f)(struct job *j, void *arg, struct err *e), void *arg,
               struct err *e)
{
    struct worker_question q = {.f = f, .arg = arg, .e = e};

    pthread_mutex_lock(&w->lock);
    while (w->question != NULL && !w->ended)
        pthread_cond_wait(&w->answered, &w->lock);
    if (!w->ended) {
        w->question = &q;
        w->woken = true;
        pthread_cond_signal(&w->wake);
    }
    while (!q.done && !w->ended)
        pthread_cond_wait(&w->answered, &w->lock);
    if (w->question == &q)
        w->question = NULL;
    pthread_mutex_unlock(&w->lock);
    return q.done ? q.rc : err_set(e, LEAT_ECLOSED, "the job is being ended");
}

static void *worker_run(void *arg)
{
    struct worker *w = arg;
    int64_t wait_ms;

    do {
        wait_ms = worker_turn(w);
        if (worker_answer(w))
            wait_ms = 0;
    } while (worker_sleep(w, wait_ms));
    worker_ended(w);
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
    pthread_cond_init(&w->answered, &attr);
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
    else
        worker_ended(w);
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
    pthread_cond_destroy(&w->answered);
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
