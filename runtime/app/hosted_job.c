// SPDX-License-Identifier: Apache-2.0
#include "runtime/app/hosted_job.h"

#include <errno.h>
#include <sys/stat.h>

#include "operators/operators.h"
#include "projections/jobfile.h"
#include "runtime/base/datetime.h"
#include "runtime/base/heap.h"

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

static void wait_commit(struct http_job *h, int64_t ms)
{
    worker_wait_commit(&of_http(h)->worker, ms);
}

// --- life ---

char *hosted_job_path(const char *data_dir, const struct plan *p)
{
    return heap_printf("%s/jobs/%s/%d.db", data_dir, p->job, p->version);
}

int hosted_job_load(struct hosted_job **out, const char *file, const struct script_options *o,
                    struct err *e)
{
    struct hosted_job *j = heap_zalloc(sizeof *j);
    struct script_options options = *o;
    int rc;

    options.file = file;
    options.operators = operator_types();
    rc = script_load(&j->plan, &options, e);
    if (rc == 0)
        rc = jobfile_check(j->plan, NULL, e);
    if (rc != 0) {
        plan_free(j->plan);
        heap_free(j);
        return rc;
    }
    j->file = heap_strdup(file);
    pthread_mutex_init(&j->lock, NULL);
    j->http = (struct http_job){.name = j->plan->job,
                                .queries = j->plan->queries,
                                .n_queries = j->plan->n_queries,
                                .borrow = reader_borrow,
                                .give_back = reader_give_back,
                                .wait_commit = wait_commit};
    *out = j;
    return 0;
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

int hosted_job_start(struct hosted_job *j, const struct job_host *host, struct err *e)
{
    struct jobfile_options options = {0};
    struct job_config c = {.plan = j->plan, .operators = operator_types(), .clock = clock_system()};
    int rc = make_folder(host->data_dir, j->plan->job, e);

    if (rc != 0)
        return rc;
    j->db = hosted_job_path(host->data_dir, j->plan);
    options.path = j->db;
    options.from_now = host->from_now;
    options.drop = host->drop;
    rc = jobfile_open(&j->store, j->plan, &options, e);
    if (rc != 0)
        return err_wrap(e, rc, "job %s", j->plan->job);
    embedded_init(&j->embedded, host->broker);
    c.store = j->store;
    c.source = &j->embedded.source;
    c.publisher = &j->embedded.publisher;
    j->opened = true;
    rc = worker_start(&j->worker, &c, broker_flusher(host->broker), e);
    return err_wrap(e, rc, "job %s", j->plan->job);
}

void hosted_job_stop(struct hosted_job *j)
{
    if (j->opened) {
        worker_stop(&j->worker);
        embedded_deinit(&j->embedded);
    }
    j->opened = false;
    while (j->n_idle > 0) {
        struct query_reader *r = j->idle[--j->n_idle];
        r->ops->close(r);
    }
    jobfile_close(j->store);
    j->store = NULL;
}

void hosted_job_free(struct hosted_job *j)
{
    if (j == NULL)
        return;
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

void hosted_job_status(struct hosted_job *j, struct buf *out)
{
    static const char *const states[] = {"running", "waiting", "stopped"};
    char watermark[DATETIME_TEXT_SIZE] = "";
    struct job_status s;

    job_status(j->worker.job, &s);
    if (s.watermark >= DATETIME_MIN && s.watermark <= DATETIME_MAX)
        datetime_format(s.watermark, watermark);
    buf_append_str(out, "{\"job\":");
    json_write_text(bytes_str(j->plan->job), out);
    number(out, "version", j->plan->version);
    text(out, "file", j->file);
    text(out, "state", states[s.state]);
    text(out, "why", s.why);
    number(out, "records_in", s.records_in);
    number(out, "records_out", s.records_out);
    number(out, "commits", s.commits);
    number(out, "lag", s.lag);
    number(out, "parked", s.parked);
    number(out, "late", s.late);
    number(out, "skipped", s.skipped);
    number(out, "outbox_waiting", s.outbox_waiting);
    text(out, "watermark", watermark);
    text(out, "watermark_by", s.watermark_by);
    number(out, "commit_p50_us", s.commit_p50_us);
    number(out, "commit_p99_us", s.commit_p99_us);
    write_queries(j->plan, out);
    buf_append_str(out, "}");
}
