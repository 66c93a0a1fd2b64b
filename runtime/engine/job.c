// SPDX-License-Identifier: Apache-2.0
//
// A running job: the loop around steps and relay. Essay in job.h.
//
//            topics missing, no space, busy
//      +--> WAITING <----------------------+
//      |       | again when retry_at comes |
//   (open) -> RUNNING ---------------------+
//              | gap in the log, fork, corruption, park = "stop", limit of parked records
//              v
//            STOPPED   until a person starts it again
//
// A job that is not ready yet (topics missing) tries to become so at every turn; one that waits for
// space still relays what is committed.
#include "runtime/engine/job.h"

#include <stdio.h>
#include <stdlib.h>

#include "runtime/base/heap.h"
#include "runtime/base/limits.h"
#include "runtime/base/trace.h"
#include "runtime/engine/class.h"
#include "runtime/engine/job_parts.h"

static void find_ticks(struct job *j)
{
    j->ticks = heap_zalloc((size_t)j->plan->n_nodes * sizeof *j->ticks);
    for (int i = 0; i < j->plan->n_nodes; i++)
        if (j->plan->nodes[i].kind == NODE_EVERY) {
            struct job_tick *t = &j->ticks[j->n_ticks++];
            t->node = i;
            snprintf(t->name, sizeof t->name, "every:%s", j->plan->nodes[i].id);
            snprintf(t->w_name, sizeof t->w_name, "every-watermark:%s", j->plan->nodes[i].id);
        }
}

int job_open(struct job **out, const struct job_config *c, struct err *e)
{
    struct job *j = heap_zalloc(sizeof *j);
    size_t n = (size_t)c->plan->n_nodes;
    int rc;

    j->config = *c;
    if (c->gap_ms == 0)
        j->config.gap_ms = STEP_GAP_MS_MIN;
    j->plan = c->plan;
    j->store = c->store;
    j->moved_part = -1;
    j->status.watermark = INT64_MIN;
    pthread_mutex_init(&j->lock, NULL);
    arena_init(&j->arena);
    j->w = heap_zalloc(n * sizeof *j->w);
    j->scratch = heap_zalloc(n * sizeof *j->scratch);
    inputs_init(&j->in, c->plan, c->source, c->store);
    j->in.may_grow = c->inputs_may_grow;
    j->in.drained = c->drained;
    j->in.n_drained = c->n_drained;
    parking_init(&j->parking, c->plan, c->store, &j->run);
    suspect_open(&j->suspect, c->flight, c->gate, c->store);
    j->in.suspect = &j->suspect;
    relay_init(&j->relay, c->store, c->publisher, &j->run.out);
    find_ticks(j);
    for (int i = 0; i < c->plan->n_tables; i++)
        if (c->plan->tables[i].aggregate >= 0 && c->plan->tables[i].constrained)
            j->constrained = true;
    rc = run_open(&j->run, c->plan, c->operators, c->store, e);
    if (c->cache_bytes > 0)
        j->run.memory.cache = c->cache_bytes;
    if (c->step_bytes > 0)
        j->run.memory.step = c->step_bytes;
    j->run.born = (struct run_born){.enter = job_born_enter,
                                   .left = job_born_left,
                                   .failed = job_born_failed,
                                   .arg = j};
    if (rc != 0) {
        job_close(j);
        j = NULL;
    }
    *out = j;
    return rc;
}

void job_close(struct job *j)
{
    if (j == NULL)
        return;
    j->store->ops->abort(j->store);
    suspect_close(&j->suspect);
    relay_deinit(&j->relay);
    parking_deinit(&j->parking);
    run_close(&j->run);
    inputs_deinit(&j->in);
    arena_deinit(&j->arena);
    buf_deinit(&j->born_key);
    heap_free(j->ticks);
    heap_free(j->w);
    heap_free(j->scratch);
    heap_free(j->offsets);
    pthread_mutex_destroy(&j->lock);
    heap_free(j);
}

// Topics, positions, held keys. Again at every turn until all is there.
static int get_ready(struct job *j, struct err *e)
{
    int rc = outputs_open(&j->run.out, j->config.publisher, e);

    if (rc == 0)
        rc = suspect_start(&j->suspect, j->store, j->now, e);
    if (rc == 0)
        rc = inputs_open(&j->in, e);
    if (rc == 0 && suspect_wants_care(&j->suspect))
        j->careful_left = j->plan->commit.records + 1;
    return rc == 0 ? job_abort(j, e) : rc;
}

static bool waits_for(int rc)
{
    return rc == LEAT_ENOTFOUND || class_is_passing(rc);
}

static int turn_step(struct job *j, bool *worked, int64_t *wait, struct err *e)
{
    int rc = 0;

    if (j->state == JOB_WAITING && j->ran < j->retry_at) {
        *wait = j->retry_at - j->ran;
        return 0;
    }
    if (!j->ready)
        rc = get_ready(j, e);
    if (rc == 0 && j->state == JOB_WAITING && j->backoff_ms == 0)
        j->state = JOB_RUNNING;
    if (rc == 0)
        rc = job_step(j, worked, wait, e);
    if (rc == 0 && j->state == JOB_WAITING && j->ran < j->retry_at)
        *wait = j->retry_at - j->ran;
    if (waits_for(rc)) {
        j->state = JOB_WAITING;
        j->absent = rc == LEAT_ENOTFOUND;
        j->why = *e;
        j->retry_at = j->ran + 1000;
        *wait = 1000;
        return 0;
    }
    return rc;
}

// Rows of what is durable leave the store with the next step; when there is none, by themselves.
static int turn_relay(struct job *j, bool stepped, bool *worked, struct err *e)
{
    bool moved = false;
    int rc = relay_turn(&j->relay, j->ran, &moved, e);

    *worked = *worked || moved;
    if (rc != 0 || stepped || moved || !relay_has_marks(&j->relay))
        return rc;
    rc = relay_mark(&j->relay, e);
    if (rc == 0)
        relay_marked(&j->relay);
    else if (class_is_passing(rc))
        rc = 0; // the marks stay due
    *worked = *worked || rc == 0;
    return rc;
}

// step_wait: what the step said, JOB_WAIT_MS_MAX for nothing. A step that waits for time or space
// has reasons that are due already; they are no reason to ask again at once.
static int64_t next_wake(struct job *j, int64_t step_wait)
{
    int64_t at = relay_wake(&j->relay, j->ran), due, t;
    struct err e;

    if (at != INT64_MAX)
        at += j->now - j->ran;

    // Before it is ready operators do not know where the watermark stands, and what is open.
    due = j->ready ? run_due(&j->run) : INT64_MAX;
    if (step_wait < JOB_WAIT_MS_MAX)
        return at < j->now + step_wait ? at : j->now + step_wait;
    if (parking_next(&j->parking, &t, &e) == 0 && t < at)
        at = t;
    if (j->in.source->ops->poll_ms != NULL) {
        t = j->now + j->in.source->ops->poll_ms(j->in.source);
        at = t < at ? t : at;
    }
    for (int i = 0; i < j->n_ticks; i++) {
        t = j->ticks[i].last + j->plan->nodes[j->ticks[i].node].every.interval_ms;
        at = t < at ? t : at;
    }
    if (j->n_ticks > 0 && due > j->now && due < at)
        at = due; // by the clock itself
    for (int i = 0; i < j->in.n_sources; i++) {
        t = watermark_next(&j->in.sources[i].wm, j->now, due);
        at = t < at ? t : at;
    }
    return at;
}

// --- status ---

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

static void percentiles(const struct job *j, struct job_status *s)
{
    int64_t sorted[COMMIT_SAMPLES];
    size_t n = j->commits < COMMIT_SAMPLES ? (size_t)j->commits : COMMIT_SAMPLES;

    if (n == 0)
        return;
    memcpy(sorted, j->micros, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, by_value);
    s->commit_p50_us = sorted[n / 2];
    s->commit_p99_us = sorted[n - 1 - n / 100];
}

// As it is stored, until this run has counted for itself.
static int64_t number(struct job *j, const struct run_number *x)
{
    int64_t v = 0;
    struct err e;

    if (x == NULL || x->known)
        return x != NULL ? x->value : 0;
    return run_number_get(&j->run, x->name, &v, &e) < 0 ? 0 : v;
}

static int64_t smallest_watermark(const struct job *j)
{
    int64_t w = INT64_MAX;

    for (int i = 0; i < j->in.n_sources; i++) {
        int64_t at = watermark_at(&j->in.sources[i].wm, j->now);
        w = at < w ? at : w;
    }
    return w == INT64_MAX ? INT64_MIN : w;
}

static void publish_status(struct job *j)
{
    const struct relay_dest *stuck = relay_stuck(&j->relay);
    struct job_status s = {.looked = true,
                           .state = j->state,
                           .absent = j->state == JOB_WAITING && j->absent,
                           .records_in = j->records_in,
                           .records_out = j->records_out,
                           .commits = j->commits,
                           .parked = j->parking.count,
                           .late = number(j, j->run.late),
                           .skipped = number(j, j->run.skipped),
                           .lag = inputs_lag(&j->in),
                           .watermark = j->ready ? smallest_watermark(j) : INT64_MIN,
                           .outbox_waiting = j->store->ops->outbox_waiting(j->store)};

    if (j->state != JOB_RUNNING)
        snprintf(s.why, sizeof s.why, "%s", j->why.text);
    else if (stuck != NULL)
        snprintf(s.why, sizeof s.why, "output %s/%d waits: %s", stuck->topic, stuck->partition,
                 stuck->why);
    if (j->moved_part >= 0) {
        const struct input_part *p = &j->in.parts[j->moved_part];
        snprintf(s.watermark_by, sizeof s.watermark_by, "%.90s:%d@%lld",
                 j->in.sources[p->source].plan->topic, p->partition, (long long)j->moved_offset);
    }
    s.done = j->nothing_left && s.lag == 0 && s.outbox_waiting == 0;
    percentiles(j, &s);
    pthread_mutex_lock(&j->lock);
    j->status = s;
    pthread_mutex_unlock(&j->lock);
}

void job_status(struct job *j, struct job_status *out)
{
    pthread_mutex_lock(&j->lock);
    *out = j->status;
    pthread_mutex_unlock(&j->lock);
}

// --- what a person decides ---

int job_decide(struct job *j, const struct decision *d, size_t n, int64_t now, struct err *e)
{
    struct store_commit c = {.now = now};
    struct err second;
    int64_t commit_id;
    int rc = j->ready ? 0 : get_ready(j, e);

    if (rc == 0)
        rc = j->store->ops->begin(j->store, now, e);
    if (rc != 0)
        return rc;
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = decision_apply(j->store, &d[i], now, e);
    if (rc == 0)
        rc = j->store->ops->commit(j->store, &c, &commit_id, e);
    if (rc != 0) {
        if (job_abort(j, &second) != 0)
            return err_wrap(e, rc, "%s", second.text);
        return rc;
    }
    rc = parking_load(&j->parking, e);
    if (rc == 0 && j->state == JOB_STOPPED)
        j->state = JOB_RUNNING; // the next turn finds out whether that helped
    return rc;
}

// --- turns ---

static int stop(struct job *j, int rc, const struct err *e)
{
    struct err second;

    if (job_abort(j, &second) != 0)
        trace(TRACE_WARN, "engine", "%s: after it stopped: %s", j->plan->job, second.text);
    j->state = JOB_STOPPED;
    j->why = *e;
    j->why.code = rc;
    publish_status(j);
    return rc;
}

// A job that stops for a record's sake has committed what came before it: that still goes out, as
// far as it can at once.
static void relay_rest(struct job *j)
{
    struct err e;
    bool moved = true;

    while (moved) {
        moved = false;
        if (relay_turn(&j->relay, j->ran, &moved, &e) != 0)
            return;
    }
}

static void read_clock(struct job *j, int64_t wall)
{
    if (wall > j->wall)
        j->ran += wall - j->wall;
    if (wall > j->now) // a clock that is set back stands still here
        j->now = wall;
    j->wall = wall;
}

int job_turn(struct job *j, int64_t now, struct job_turn *t, struct err *e)
{
    struct err local = {0};
    int64_t wait = JOB_WAIT_MS_MAX, wake;
    bool stepped = false;
    int rc;

    if (e == NULL)
        e = &local;
    *t = (struct job_turn){.wait_ms = JOB_WAIT_MS_MAX};
    if (j->state == JOB_STOPPED) {
        *e = j->why;
        return j->why.code;
    }
    j->nothing_left = false;
    read_clock(j, now);
    rc = turn_step(j, &stepped, &wait, e);
    if (rc == LEAT_ESTOPPED)
        relay_rest(j);
    t->worked = stepped || j->again;
    j->again = false;
    if (rc == 0)
        rc = turn_relay(j, stepped, &t->worked, e);
    if (rc != 0)
        return stop(j, rc, e);
    if (!t->worked) {
        rc = j->store->ops->idle != NULL ? j->store->ops->idle(j->store, e) : 0;
        if (rc != 0 && !class_is_passing(rc))
            return stop(j, rc, e);
    }
    wake = next_wake(j, wait) - j->now;
    t->wait_ms = wake < JOB_WAIT_MS_MAX ? wake : JOB_WAIT_MS_MAX;
    if (t->wait_ms < 0)
        t->wait_ms = 0;
    publish_status(j);
    return 0;
}
