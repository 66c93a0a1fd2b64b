// SPDX-License-Identifier: Apache-2.0
#include "runtime/app/hosted_job.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "operators/operators.h"
#include "projections/jobfile.h"
#include "runtime/app/decisions.h"
#include "runtime/app/flight_file.h"
#include "runtime/app/job_versions.h"
#include "runtime/app/rehearsal.h"
#include "runtime/base/datetime.h"
#include "runtime/base/heap.h"
#include "runtime/base/trace.h"
#include "runtime/engine/class.h"

// --- the read side, from HTTP's threads ---

static struct hosted_job *of_http(struct http_job *h)
{
    return container_of(h, struct hosted_job, http);
}

static struct query_reader *reader_borrow(struct http_job *h, struct err *e)
{
    struct hosted_job *j = of_http(h);
    struct query_reader *r = NULL;

    pthread_mutex_lock(&j->lock);
    if (j->n_idle > 0)
        r = j->idle[--j->n_idle];
    pthread_mutex_unlock(&j->lock);
    if (r == NULL && jobfile_reader(&r, j->plan, j->db, e) != 0)
        return NULL;
    return r;
}

static void reader_give_back(struct http_job *h, struct query_reader *r)
{
    struct hosted_job *j = of_http(h);
    bool kept = false;

    pthread_mutex_lock(&j->lock);
    if (j->n_idle < READERS_IDLE_MAX) {
        j->idle[j->n_idle++] = r;
        kept = true;
    }
    pthread_mutex_unlock(&j->lock);
    if (!kept)
        r->ops->close(r);
}

static bool wait_commit(struct http_job *h, int64_t ms)
{
    return of_http(h)->opened && worker_wait_commit(&of_http(h)->worker, ms);
}

struct deciding {
    const struct decision *decisions;
    size_t n;
};

static int decide_here(struct job *j, void *arg, struct err *e)
{
    const struct deciding *d = arg;

    return job_decide(j, d->decisions, d->n, clock_wall_ms(clock_system()), e);
}

static void decide(struct http_job *h, struct bytes body, struct http_answer *out)
{
    struct deciding d = {0};
    struct decision *decisions = NULL;
    struct err e = {0};
    struct arena a;
    int rc;

    arena_init(&a);
    rc = decisions_read(body, &a, &decisions, &d.n, &e);
    d.decisions = decisions;
    if (rc == 0 && !of_http(h)->opened)
        rc = err_set(&e, LEAT_ECLOSED, "the job is not running: %s", of_http(h)->why);
    if (rc == 0)
        rc = worker_ask(&of_http(h)->worker, decide_here, &d, &e);
    if (rc == 0)
        buf_printf(&out->body, "{\"decided\":%zu}\n", d.n);
    else
        http_answer_error(out, rc == LEAT_ENOTFOUND ? 404 : rc == LEAT_ECLOSED ? 503 : 400, "%s",
                          e.text);
    arena_deinit(&a);
}

// --- life ---

struct hosted_job *hosted_job_new(const char *file)
{
    struct hosted_job *j = heap_zalloc(sizeof *j);

    j->file = heap_strdup(file);
    pthread_mutex_init(&j->lock, NULL);
    return j;
}

static void set_up_http(struct hosted_job *j)
{
    j->http = (struct http_job){.name = j->plan->job,
                                .queries = j->plan->queries,
                                .n_queries = j->plan->n_queries,
                                .borrow = reader_borrow,
                                .give_back = reader_give_back,
                                .decide = decide,
                                .wait_commit = wait_commit};
}

int hosted_job_load(struct hosted_job *j, const struct script_options *o, struct err *e)
{
    struct script_options options = *o;
    int rc;

    ASSERT(j->plan == NULL);
    options.file = j->file;
    options.operators = operator_types();
    rc = script_load(&j->plan, &options, e);
    if (rc == 0)
        rc = jobfile_check(j->plan, NULL, e);
    if (rc == 0)
        rc = rehearse(j->plan, e);
    if (rc != 0) {
        plan_free(j->plan);
        j->plan = NULL;
        return rc;
    }
    set_up_http(j);
    return 0;
}

void hosted_job_adopt(struct hosted_job *j, const struct hosted_job *old)
{
    ASSERT(j->plan == NULL && old->store == NULL);
    j->plan = old->plan;
    set_up_http(j);
}

void hosted_job_disown(struct hosted_job *old)
{
    old->plan = NULL;
}

static int make_folder(const char *data_dir, const char *job, struct err *e)
{
    char *jobs = heap_printf("%s/jobs", data_dir), *own = heap_printf("%s/jobs/%s", data_dir, job);
    int rc = 0;

    if ((mkdir(jobs, 0755) != 0 && errno != EEXIST) || (mkdir(own, 0755) != 0 && errno != EEXIST))
        rc = err_errno(e, errno, "%s", own);
    heap_free(jobs);
    heap_free(own);
    return rc;
}

static void tell_version(const struct plan *p, const struct job_versions *v)
{
    trace(TRACE_WARN, p->job,
          "version %d begins at the start of its inputs; the file of version %d stays", p->version,
          v->other);
}

static struct jobfile_options options_of(const struct hosted_job *j, const struct job_host *host)
{
    return (struct jobfile_options){
        .path = j->db, .from_now = host->from_now, .drop = host->drop};
}

int hosted_job_check(struct hosted_job *j, const struct job_host *host, struct err *e)
{
    struct jobfile_options options;
    struct job_versions v;
    int rc = job_versions_look(host->data_dir, j->plan, &v, e);

    if (rc == 0 && job_versions_decide(j->plan, &v, e) == VERSION_REFUSED)
        rc = LEAT_EUNSUPPORTED;
    if (rc != 0)
        return rc;
    heap_free(j->db);
    j->db = job_version_path(host->data_dir, j->plan->job, j->plan->version);
    options = options_of(j, host);
    return jobfile_may_open(j->plan, &options, e);
}

// A job runs without it, too; it only cannot tell then what has ended its process.
static struct flight *map_flight(struct hosted_job *j)
{
    struct err e;

    if (flight_file_map(j->db, &j->flight, &e) != 0)
        trace(TRACE_WARN, j->plan->job, "a record that ends the process will not be found: %s",
              e.text);
    return j->flight;
}

int hosted_job_start(struct hosted_job *j, const struct job_host *host, struct err *e)
{
    struct jobfile_options options;
    struct job_config c = {.plan = j->plan, .operators = operator_types(), .clock = clock_system()};
    struct job_versions v = {0};
    int rc = hosted_job_check(j, host, e);

    if (rc == 0)
        rc = job_versions_look(host->data_dir, j->plan, &v, e);
    if (rc == 0)
        rc = make_folder(host->data_dir, j->plan->job, e);
    if (rc != 0)
        return rc;
    if (job_versions_decide(j->plan, &v, NULL) == VERSION_ANEW)
        tell_version(j->plan, &v);
    options = options_of(j, host);
    rc = jobfile_open(&j->store, j->plan, &options, e);
    if (rc != 0)
        return rc;
    embedded_init(&j->embedded, host->broker);
    c.store = j->store;
    c.source =
        outbox_source_init(&j->outboxes, j->plan, &j->embedded.source, clock_system());
    c.publisher = &j->embedded.publisher;
    c.gate = host->gate;
    c.flight = map_flight(j);
    j->opened = true;
    return worker_start(&j->worker, &c, broker_flusher(host->broker), e);
}

bool hosted_job_passing(int rc)
{
    // A lock of leat's own is another server's, and not for a moment.
    return class_is_passing(rc) && rc != LEAT_ELOCKED;
}

void hosted_job_failed(struct hosted_job *j, const struct err *e)
{
    snprintf(j->why, sizeof j->why, "%s", e->text);
    j->passing = j->plan != NULL && hosted_job_passing(e->code);
    trace(TRACE_ERROR, hosted_job_name(j), "the job is not running: %s", e->text);
}

void hosted_job_end(struct hosted_job *j)
{
    if (j->opened)
        worker_end(&j->worker);
    jobfile_close(j->store);
    j->store = NULL;
}

void hosted_job_free(struct hosted_job *j)
{
    if (j == NULL)
        return;
    hosted_job_end(j);
    if (j->opened) {
        outbox_source_deinit(&j->outboxes);
        embedded_deinit(&j->embedded);
        worker_free(&j->worker);
        flight_file_unmap(j->flight);
    }
    while (j->n_idle > 0) {
        struct query_reader *r = j->idle[--j->n_idle];
        r->ops->close(r);
    }
    plan_free(j->plan);
    pthread_mutex_destroy(&j->lock);
    heap_free(j->file);
    heap_free(j->db);
    heap_free(j);
}

// --- status ---

static void number(struct buf *out, const char *name, int64_t value)
{
    buf_printf(out, ",\"%s\":%lld", name, (long long)value);
}

static void text(struct buf *out, const char *name, const char *value)
{
    buf_printf(out, ",\"%s\":", name);
    json_write_text(bytes_str(value), out);
}

static void write_queries(const struct plan *p, struct buf *out)
{
    buf_append_str(out, ",\"queries\":[");
    for (int i = 0; i < p->n_queries; i++) {
        const struct plan_query *q = &p->queries[i];
        char *path =
            q->path != NULL ? heap_strdup(q->path) : heap_printf("/q/%s/%s", p->job, q->name);
        buf_append_str(out, i ? "," : "");
        json_write_text(bytes_str(path), out);
        heap_free(path);
    }
    buf_append_str(out, "]");
}

const char *hosted_job_name(const struct hosted_job *j)
{
    return j->plan != NULL ? j->plan->job : j->file;
}

void hosted_job_read(struct hosted_job *j, struct job_status *out)
{
    *out = (struct job_status){.state = JOB_STOPPED, .looked = true, .watermark = INT64_MIN};
    if (j->why[0] == 0 && j->worker.job != NULL)
        job_status(j->worker.job, out);
    else
        snprintf(out->why, sizeof out->why, "%s", j->why);
    if (j->passing)
        out->state = JOB_WAITING;
}

static void write_figures(const struct job_status *s, struct buf *out)
{
    char watermark[DATETIME_TEXT_SIZE] = "";

    if (s->watermark >= DATETIME_MIN && s->watermark <= DATETIME_MAX)
        datetime_format(s->watermark, watermark);
    number(out, "records_in", s->records_in);
    number(out, "records_out", s->records_out);
    number(out, "commits", s->commits);
    if (s->looked)
        number(out, "lag", s->lag);
    else
        buf_append_str(out, ",\"lag\":null"); // 0 would say that all is done
    number(out, "parked", s->parked);
    number(out, "late", s->late);
    number(out, "skipped", s->skipped);
    number(out, "outbox_waiting", s->outbox_waiting);
    text(out, "watermark", watermark);
    text(out, "watermark_by", s->watermark_by);
    number(out, "commit_p50_us", s->commit_p50_us);
    number(out, "commit_p99_us", s->commit_p99_us);
}

void hosted_job_status(struct hosted_job *j, struct buf *out)
{
    static const char *const states[] = {"running", "waiting", "stopped"};
    struct job_status s;

    hosted_job_read(j, &s);
    buf_append_str(out, "{\"job\":");
    json_write_text(bytes_str(hosted_job_name(j)), out);
    number(out, "version", j->plan != NULL ? j->plan->version : 0);
    text(out, "file", j->file);
    text(out, "state", states[s.state]);
    text(out, "why", s.why);
    text(out, "note", j->note);
    write_figures(&s, out);
    if (j->plan != NULL)
        write_queries(j->plan, out);
    buf_append_str(out, "}");
}
