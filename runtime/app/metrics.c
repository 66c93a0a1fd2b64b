// SPDX-License-Identifier: Apache-2.0
#include "runtime/app/metrics.h"

#include <stdio.h>
#include <unistd.h>

static int64_t rss_bytes(void)
{
    FILE *f = fopen("/proc/self/statm", "re");
    long total, resident = 0;

    if (f == NULL)
        return 0;
    if (fscanf(f, "%ld %ld", &total, &resident) != 2)
        resident = 0;
    fclose(f);
    return (int64_t)resident * sysconf(_SC_PAGESIZE);
}

static void head(struct buf *out, const char *name, const char *type, const char *help)
{
    buf_printf(out, "# HELP leat_%s %s\n# TYPE leat_%s %s\n", name, help, name, type);
}

static void broker_metric(struct buf *out, const char *name, const char *type, const char *help,
                          int64_t value)
{
    head(out, name, type, help);
    buf_printf(out, "leat_%s %lld\n", name, (long long)value);
}

struct job_metric {
    const char *name, *type, *help;
    size_t field; // offset of an int64_t in struct job_status
};

#define JOB_METRIC(name, type, help, field)                                                        \
    {                                                                                              \
        name, type, help, offsetof(struct job_status, field)                                       \
    }

static const struct job_metric job_metrics[] = {
    JOB_METRIC("job_records_in_total", "counter", "Records read by the job.", records_in),
    JOB_METRIC("job_records_out_total", "counter", "Records published by the job.", records_out),
    JOB_METRIC("job_commits_total", "counter", "Steps committed.", commits),
    JOB_METRIC("job_lag_records", "gauge", "Records readable but not yet processed.", lag),
    JOB_METRIC("job_parked_records", "gauge", "Records that failed and wait.", parked),
    JOB_METRIC("job_late_total", "counter", "Records that came after their window closed.", late),
    JOB_METRIC("job_skipped_total", "counter", "Records of a type that match does not know.",
               skipped),
    JOB_METRIC("job_outbox_rows", "gauge", "Outbox rows not yet published.", outbox_waiting),
    JOB_METRIC("job_watermark_ms", "gauge", "Event-time progress, ms since 1970.", watermark),
    JOB_METRIC("job_commit_p50_us", "gauge", "Median step, of the last 256.", commit_p50_us),
    JOB_METRIC("job_commit_p99_us", "gauge", "99th percentile step, of the last 256.",
               commit_p99_us),
};

// No sample is better than one that is none.
static bool is_known(const struct job_metric *m, const struct job_status *s)
{
    if (m->field == offsetof(struct job_status, lag))
        return s->looked;
    return m->field != offsetof(struct job_status, watermark) || s->watermark != INT64_MIN;
}

static void job_metric_write(const struct job_metric *m, struct hosted_job **jobs, size_t n,
                             struct buf *out)
{
    struct job_status status;
    int64_t value;

    head(out, m->name, m->type, m->help);
    for (size_t i = 0; i < n; i++) {
        hosted_job_read(jobs[i], &status);
        if (!is_known(m, &status))
            continue;
        memcpy(&value, (const char *)&status + m->field, sizeof value);
        buf_printf(out, "leat_%s{job=\"%s\"} %lld\n", m->name, hosted_job_name(jobs[i]),
                   (long long)value);
    }
}

static void job_state_write(struct hosted_job **jobs, size_t n, struct buf *out)
{
    struct job_status status;

    head(out, "job_running", "gauge", "1 while the job runs, 0 while it waits or has stopped.");
    for (size_t i = 0; i < n; i++) {
        hosted_job_read(jobs[i], &status);
        buf_printf(out, "leat_job_running{job=\"%s\"} %d\n", hosted_job_name(jobs[i]),
                   status.state == JOB_RUNNING);
    }
}

void metrics_write(struct broker *b, struct hosted_job **jobs, size_t n, struct buf *text)
{
    struct broker_stats s;

    broker_stats(b, &s);
    broker_metric(text, "connections", "gauge", "Kafka connections.", s.connections);
    broker_metric(text, "requests_total", "counter", "Kafka requests.", s.requests);
    broker_metric(text, "produced_bytes_total", "counter", "Batch bytes appended by clients.",
                  s.produced_bytes);
    broker_metric(text, "topics", "gauge", "Topics.", s.topics);
    broker_metric(text, "groups", "gauge", "Consumer groups.", s.groups);
    broker_metric(text, "resident_bytes", "gauge", "Resident memory.", rss_bytes());
    job_state_write(jobs, n, text);
    for (size_t i = 0; i < ARRAY_LEN(job_metrics); i++)
        job_metric_write(&job_metrics[i], jobs, n, text);
}
