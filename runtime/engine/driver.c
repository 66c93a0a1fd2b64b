// SPDX-License-Identifier: Apache-2.0
//
// Drives a plan by hand. The job is the real one and so is its store; only topics and the clock are
// the driver's. Nothing sleeps: driver_run turns the job until nothing moves, and driver_advance
// jumps from one instant at which the job wants to be called to the next, so that idle partitions,
// retries, ticks and windows fire in the order and at the times they would live.
//
// A crash is the end of the job and the store as objects: what was committed is opened again, at
// once and at the same time of the clock, and the run goes on.
#include "runtime/engine/driver.h"

#include "runtime/base/heap.h"
#include "runtime/engine/crash_points.h"
#include "runtime/engine/driver_log.h"
#include "runtime/engine/job_parts.h"

enum { TURNS_MAX = 1000000 }; // without coming to rest: a job that feeds itself

struct driver_open_batch {
    struct driver_topic *topic;
    int32_t partition;
    struct batch_builder b;
};

struct driver {
    struct driver_config config;
    struct driver_log log;
    struct clock_fake clock;
    struct store *store;
    struct job *job;
    int64_t wait_ms; // what the last turn said
    bool batching;
    struct driver_open_batch *open; // while batching
    size_t n_open;
    struct crash_points points;
    struct input_drained *drained; // of the job that crashed
    int n_drained;
};

static bool ends_step(void *arg, int64_t records)
{
    const struct driver *d = arg;

    return d->config.cut_each || d->points.records + records == d->config.cut_at;
}

static int open_job(struct driver *d, struct err *e)
{
    struct job_config c = {.plan = d->config.plan,
                           .store = d->store,
                           .source = &d->log.source,
                           .publisher = &d->log.publisher,
                           .operators = d->config.operators,
                           .clock = &d->clock.base,
                           .gap_ms = d->config.gap_ms > 0 ? d->config.gap_ms : -1,
                           .cache_bytes = d->config.cache_bytes,
                           .step_bytes = d->config.step_bytes,
                           .inputs_may_grow = true,
                           .drained = d->drained,
                           .n_drained = d->n_drained,
                           .ends_step = ends_step,
                           .ends_step_arg = d,
                           .flight = d->config.flight};

    return job_open(&d->job, &c, e);
}

static void name_sources(struct driver *d)
{
    const struct plan *p = d->config.plan;

    for (int i = 0; i < p->n_nodes; i++)
        if (p->nodes[i].kind == NODE_SOURCE)
            (void)driver_log_topic(&d->log, p->nodes[i].source.topic, 0);
}

int driver_open(struct driver **out, const struct driver_config *c, struct err *e)
{
    struct driver *d = heap_zalloc(sizeof *d);
    int rc;

    d->config = *c;
    driver_log_init(&d->log, c->n_partitions);
    clock_fake_init(&d->clock, c->start_ms);
    d->points.at = c->crash_at;
    name_sources(d);
    if (c->pristine != NULL)
        rc = c->stores.copy(c->stores.arg, c->pristine, &d->store, e);
    else
        rc = c->stores.open(c->stores.arg, c->plan, &d->store, e);
    if (rc == 0) {
        crash_points_store(&d->points, d->store);
        crash_points_publisher(&d->points, &d->log.publisher);
        rc = open_job(d, e);
    }
    if (rc != 0) {
        driver_close(d);
        d = NULL;
    }
    *out = d;
    return rc;
}

static void forget_open(struct driver *d)
{
    for (size_t i = 0; i < d->n_open; i++)
        batch_builder_deinit(&d->open[i].b);
    heap_free(d->open);
    d->open = NULL;
    d->n_open = 0;
}

void driver_close(struct driver *d)
{
    if (d == NULL)
        return;
    job_close(d->job);
    if (d->store != NULL) {
        crash_points_leave(&d->points, d->store);
        d->config.stores.close(d->config.stores.arg, d->store);
    }
    forget_open(d);
    driver_log_deinit(&d->log);
    crash_points_deinit(&d->points);
    heap_free(d->drained);
    heap_free(d);
}

int64_t driver_now(const struct driver *d)
{
    return d->clock.wall;
}

void driver_set_now(struct driver *d, int64_t ms)
{
    if (ms > d->clock.wall)
        clock_fake_advance(&d->clock, ms - d->clock.wall);
}

static struct batch_builder *builder_for(struct driver *d, struct driver_topic *t,
                                         int32_t partition)
{
    for (size_t i = 0; i < d->n_open; i++)
        if (d->open[i].topic == t && d->open[i].partition == partition)
            return &d->open[i].b;
    d->open = heap_realloc(d->open, (d->n_open + 1) * sizeof *d->open);
    d->open[d->n_open] = (struct driver_open_batch){.topic = t, .partition = partition};
    batch_builder_init(&d->open[d->n_open].b);
    return &d->open[d->n_open++].b;
}

void driver_batch_begin(struct driver *d)
{
    d->batching = true;
}

int driver_batch_end(struct driver *d, struct err *e)
{
    int rc = 0;

    for (size_t i = 0; i < d->n_open && rc == 0; i++) {
        struct bytes batch;
        rc = batch_builder_finish(&d->open[i].b, CODEC_NONE, &batch, e);
        if (rc == 0)
            (void)driver_log_append(d->open[i].topic, d->open[i].partition, batch, false);
    }
    forget_open(d);
    d->batching = false;
    return rc;
}

int driver_send(struct driver *d, const char *topic, const struct driver_record *r, struct err *e)
{
    struct driver_topic *t;

    if (r->partition < 0 || r->partition > 1000)
        return err_set(e, LEAT_EINVAL, "partition %d: a test may use 0 to 1000", r->partition);
    t = driver_log_topic(&d->log, topic, r->partition);
    batch_builder_add(builder_for(d, t, r->partition),
                      r->timestamp < 0 ? driver_now(d) : r->timestamp, r->key, r->value, r->headers,
                      r->n_headers);
    return d->batching ? 0 : driver_batch_end(d, e);
}

// Closes the store as the end of a process would and opens what is in it for this version.
static int reopen_store(struct driver *d, const struct driver_version *v, struct err *e)
{
    const struct driver_store_factory *f = &d->config.stores;
    int rc;

    if (f->reopen == NULL)
        return 0;
    crash_points_leave(&d->points, d->store);
    rc = f->reopen(f->arg, v, &d->store, e);
    crash_points_store(&d->points, d->store);
    return rc;
}

static int reopen(struct driver *d, struct err *e)
{
    int rc;

    job_close(d->job);
    d->job = NULL;
    rc = reopen_store(d, &(struct driver_version){.plan = d->config.plan}, e);
    return rc == 0 ? open_job(d, e) : rc;
}

static int resurrect(struct driver *d, struct err *e)
{
    const struct inputs *in = &d->job->in;

    d->drained = heap_realloc(d->drained, (size_t)in->n_parts * sizeof *d->drained + 1);
    d->n_drained = in->n_parts;
    inputs_drained(in, d->drained);
    crash_points_revive(&d->points);
    return reopen(d, e);
}

int driver_run(struct driver *d, struct err *e)
{
    if (d->job == NULL)
        return err_set(e, LEAT_ESTOPPED, "the job is not open: it could not be started again");
    for (int i = 0; i < TURNS_MAX; i++) {
        struct job_turn t;
        int rc = job_turn(d->job, driver_now(d), &t, e);

        if (d->points.dead) {
            rc = resurrect(d, e);
            t.worked = true;
        }
        if (rc != 0)
            return rc;
        d->wait_ms = t.wait_ms;
        if (!t.worked)
            return 0;
    }
    return err_set(e, LEAT_ELIMIT, "the job does not come to rest: does it read what it writes?");
}

int driver_advance(struct driver *d, int64_t ms, struct err *e)
{
    int64_t until = driver_now(d) + ms;

    for (;;) {
        int64_t step;
        int rc = driver_run(d, e);

        if (rc != 0 || driver_now(d) >= until)
            return rc;
        step = d->wait_ms > 0 ? d->wait_ms : 1;
        if (step > until - driver_now(d))
            step = until - driver_now(d);
        driver_set_now(d, driver_now(d) + step);
    }
}

int driver_restart(struct driver *d, struct err *e)
{
    d->n_drained = 0; // a pause: idle clocks start over
    return reopen(d, e);
}

int driver_upgrade(struct driver *d, const struct driver_version *v, struct err *e)
{
    struct err again;
    int rc;

    job_close(d->job);
    d->job = NULL;
    rc = reopen_store(d, v, e);
    if (rc == 0) {
        d->config.plan = v->plan;
        name_sources(d);
    }
    d->n_drained = 0;
    if (rc == 0)
        return open_job(d, e);
    (void)open_job(d, &again); // the version before, as it was: it has been opened once
    return rc;
}

const struct plan *driver_plan(const struct driver *d)
{
    return d->config.plan;
}

const struct crash_points *driver_points(const struct driver *d)
{
    return &d->points;
}

size_t driver_take(struct driver *d, const char *topic, const struct batch_record **records)
{
    return driver_log_take(&d->log, topic, records);
}

struct driver_log *driver_topics(struct driver *d)
{
    return &d->log;
}

struct store *driver_store(struct driver *d)
{
    return d->store;
}

struct job *driver_job(struct driver *d)
{
    return d->job;
}
