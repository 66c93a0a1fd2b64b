// SPDX-License-Identifier: Apache-2.0
#include "runtime/app/server.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "runtime/app/metrics.h"
#include "runtime/base/heap.h"
#include "runtime/base/number.h"

struct server {
    struct server_config config;
    struct broker *broker;
    struct http_server *http;
    struct hosted_job **jobs;
    size_t n_jobs, n_routed;
    _Atomic int http_port; // HTTP's own threads ask for it, as soon as they are there; 0: not yet
    int64_t started_ms;
};

// --- start, step by step ---

static int load_jobs(struct server *s, struct err *e)
{
    s->jobs = heap_zalloc((s->config.n_jobs + 1) * sizeof *s->jobs);
    for (size_t i = 0; i < s->config.n_jobs; i++) {
        int rc = hosted_job_load(&s->jobs[i], s->config.job_files[i], &s->config.script, e);
        if (rc != 0)
            return rc;
        s->n_jobs++;
        for (size_t k = 0; k < i; k++)
            if (strcmp(s->jobs[k]->plan->job, s->jobs[i]->plan->job) == 0)
                return err_set(e, LEAT_EEXISTS, "%s and %s are both named job \"%s\"",
                               s->jobs[k]->file, s->jobs[i]->file, s->jobs[i]->plan->job);
    }
    return 0;
}

static int open_broker(struct server *s, struct err *e)
{
    const struct server_config *c = &s->config;
    struct broker_config b;

    broker_config_default(&b);
    b.fs = fs_posix();
    b.clock = clock_system();
    b.data_dir = c->data_dir;
    b.host = c->kafka_host;
    b.port = c->kafka_port;
    b.auto_create = c->auto_create;
    b.durable = c->durable;
    b.default_partitions = c->default_partitions;
    b.initial_rebalance_delay_ms = c->rebalance_delay_ms;
    return broker_open(&s->broker, &b, e);
}

// What the topic was asked to be, as settings by their Kafka names.
static int topic_settings(const struct server_topic *t, char texts[2][NUMBER_TEXT_SIZE],
                          struct broker_setting out[2])
{
    int n = 0;

    if (t->retention_ms != 0) {
        number_format_int(t->retention_ms, texts[n]);
        out[n] = (struct broker_setting){"retention.ms", texts[n]};
        n++;
    }
    if (t->retention_bytes != 0) {
        number_format_int(t->retention_bytes, texts[n]);
        out[n] = (struct broker_setting){"retention.bytes", texts[n]};
        n++;
    }
    return n;
}

// A topic that is there must be what the settings say: nothing here changes one.
static int check_topic(const struct server_topic *t, const struct broker_topic *is, struct err *e)
{
    if (is->n_partitions != t->n_partitions)
        return err_set(e, LEAT_EINVAL,
                       "topic %s has %d partitions, not %d; jobs depend on the number: give the "
                       "number it has, or use another topic",
                       t->name, is->n_partitions, t->n_partitions);
    if ((t->retention_ms != 0 && is->config.retention_ms != t->retention_ms) ||
        (t->retention_bytes != 0 && is->config.retention_bytes != t->retention_bytes))
        return err_set(e, LEAT_EUNSUPPORTED,
                       "topic %s exists with retention.ms=%lld and retention.bytes=%lld; changing "
                       "settings of an existing topic is not supported yet",
                       t->name, (long long)is->config.retention_ms,
                       (long long)is->config.retention_bytes);
    return 0;
}

static int make_topics(struct server *s, struct err *e)
{
    char texts[2][NUMBER_TEXT_SIZE];
    struct broker_setting settings[2];
    struct broker_topic is;

    for (size_t i = 0; i < s->config.n_topics; i++) {
        const struct server_topic *t = &s->config.topics[i];
        int n = topic_settings(t, texts, settings);
        int rc = broker_topic_info(s->broker, bytes_str(t->name), &is, e);
        if (rc == LEAT_ENOTFOUND)
            rc =
                broker_topic_create(s->broker, bytes_str(t->name), t->n_partitions, settings, n, e);
        else if (rc == 0)
            rc = check_topic(t, &is, e);
        if (rc != 0)
            return rc;
    }
    return 0;
}

static int start_jobs(struct server *s, struct err *e)
{
    struct job_host host = {.data_dir = s->config.data_dir,
                            .broker = s->broker,
                            .from_now = s->config.from_now,
                            .drop = s->config.drop};

    for (size_t i = 0; i < s->n_jobs; i++) {
        int rc = hosted_job_start(s->jobs[i], &host, e);
        if (rc != 0)
            return rc;
    }
    return 0;
}

static void on_status(void *arg, struct buf *json)
{
    server_status(arg, json);
}

static void on_metrics(void *arg, struct buf *text)
{
    struct server *s = arg;

    metrics_write(s->broker, s->jobs, s->n_jobs, text);
}

static bool on_healthy(void *arg, struct buf *why)
{
    struct server *s = arg;
    struct job_status status;

    for (size_t i = 0; i < s->n_jobs; i++) {
        job_status(s->jobs[i]->worker.job, &status);
        if (status.state != JOB_STOPPED)
            continue;
        buf_printf(why, "job %s has stopped: %s\n", s->jobs[i]->plan->job, status.why);
        return false;
    }
    buf_append_str(why, "ok\n");
    return true;
}

static int open_http(struct server *s, struct err *e)
{
    struct http_config h = {.host = s->config.http_host,
                            .port = s->config.http_port,
                            .hosts = s->config.http_hosts,
                            .n_hosts = s->config.n_http_hosts,
                            .status = on_status,
                            .metrics = on_metrics,
                            .healthy = on_healthy,
                            .arg = s};
    int rc = http_start(&s->http, &h, e);

    if (rc == 0)
        s->http_port = http_port(s->http);
    for (size_t i = 0; i < s->n_jobs && rc == 0; i++) {
        rc = http_add_job(s->http, &s->jobs[i]->http, e);
        s->n_routed += rc == 0;
    }
    return rc;
}

// Written beside and renamed, so that who waits for it reads it whole.
static int write_ready_file(const struct server *s, struct err *e)
{
    char *beside;
    FILE *f;
    bool ok;

    if (s->config.ready_file == NULL)
        return 0;
    beside = heap_printf("%s.new", s->config.ready_file);
    f = fopen(beside, "we");
    ok = f != NULL &&
         fprintf(f, "kafka=%s:%d\nhttp=%s:%d\npid=%d\n", s->config.kafka_host, server_kafka_port(s),
                 s->config.http_host, server_http_port(s), (int)getpid()) > 0;
    if (f != NULL)
        ok = fclose(f) == 0 && ok;
    ok = ok && rename(beside, s->config.ready_file) == 0;
    heap_free(beside);
    return ok ? 0 : err_errno(e, errno, "--ready-file %s", s->config.ready_file);
}

int server_start(struct server **out, const struct server_config *c, struct err *e)
{
    static int (*const steps[])(struct server *, struct err *) = {load_jobs, open_broker,
                                                                  make_topics};
    struct server *s = heap_zalloc(sizeof *s);
    int rc = 0;

    s->config = *c;
    s->started_ms = clock_mono_ms(clock_system());
    for (size_t i = 0; i < ARRAY_LEN(steps) && rc == 0; i++)
        rc = steps[i](s, e);
    if (rc == 0)
        rc = broker_start(s->broker, e);
    if (rc == 0)
        rc = start_jobs(s, e);
    if (rc == 0)
        rc = open_http(s, e);
    if (rc == 0)
        rc = write_ready_file(s, e);
    if (rc != 0) {
        server_stop(s);
        return rc;
    }
    *out = s;
    return 0;
}

void server_stop(struct server *s)
{
    if (s == NULL)
        return;
    for (size_t i = 0; i < s->n_routed; i++)
        http_remove_job(s->http, &s->jobs[i]->http);
    http_stop(s->http);
    for (size_t i = 0; i < s->n_jobs; i++)
        hosted_job_stop(s->jobs[i]);
    if (s->broker != NULL)
        broker_stop(s->broker);
    for (size_t i = 0; i < s->n_jobs; i++)
        hosted_job_free(s->jobs[i]);
    broker_free(s->broker);
    heap_free(s->jobs);
    heap_free(s);
}

// --- what it is doing ---

int server_kafka_port(const struct server *s)
{
    return broker_port(s->broker);
}

int server_http_port(const struct server *s)
{
    return s->http_port;
}

struct broker *server_broker(struct server *s)
{
    return s->broker;
}

size_t server_jobs(const struct server *s, struct hosted_job ***jobs)
{
    *jobs = s->jobs;
    return s->n_jobs;
}

void server_status(struct server *s, struct buf *json)
{
    struct broker_stats b;

    broker_stats(s->broker, &b);
    buf_printf(json,
               "{\"version\":\"%s\",\"cluster_id\":\"%s\",\"kafka\":\"%s:%d\",\"http\":\"%s:%d\","
               "\"uptime_ms\":%lld,\"durable\":%s,\"connections\":%lld,\"topics\":%lld,"
               "\"groups\":%lld,\"jobs\":[",
               LEAT_VERSION, broker_cluster_id(s->broker), s->config.kafka_host,
               server_kafka_port(s), s->config.http_host, server_http_port(s),
               (long long)(clock_mono_ms(clock_system()) - s->started_ms),
               s->config.durable ? "true" : "false", (long long)b.connections, (long long)b.topics,
               (long long)b.groups);
    for (size_t i = 0; i < s->n_jobs; i++) {
        buf_append_str(json, i ? ",\n " : "\n ");
        hosted_job_status(s->jobs[i], json);
    }
    buf_append_str(json, "]}\n");
}
