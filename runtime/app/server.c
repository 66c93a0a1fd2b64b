// SPDX-License-Identifier: Apache-2.0
#include "runtime/app/server.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "runtime/app/admin.h"
#include "runtime/app/metrics.h"
#include "runtime/base/heap.h"
#include "runtime/base/number.h"

struct server {
    struct server_config config;
    struct broker *broker;
    struct http_server *http;
    pthread_rwlock_t lock; // write: the list of jobs changes; read: who asks from other threads
    struct hosted_job **jobs;
    size_t n_jobs;
    _Atomic int http_port; // HTTP's own threads ask for it, as soon as they are there; 0: not yet
    int64_t started_ms;
    pthread_mutex_t gate; // of jobs that suspect a record (engine/suspect.c)
    char token[ADMIN_TOKEN_SIZE];
    bool admin; // admin.json is ours
    bool ready; // so is the ready file
    size_t looked_at; // the job that server_look tried last
};

// --- start, step by step ---

static struct job_host host_of(struct server *s)
{
    return (struct job_host){.data_dir = s->config.data_dir,
                             .broker = s->broker,
                             .gate = &s->gate,
                             .from_now = s->config.from_now,
                             .drop = s->config.drop};
}

// Another job of that name would use the same files; of one outbox, it would take the rows away.
static int check_others(const struct server *s, const struct hosted_job *j, size_t except,
                        struct err *e)
{
    int rc = 0;

    for (size_t i = 0; i < s->n_jobs && rc == 0; i++) {
        if (i == except || s->jobs[i]->plan == NULL)
            continue;
        if (strcmp(s->jobs[i]->plan->job, j->plan->job) == 0)
            return err_set(e, LEAT_EEXISTS, "%s and %s are both named job \"%s\"", s->jobs[i]->file,
                           j->file, j->plan->job);
        rc = outbox_sources_apart(j->plan, s->jobs[i]->plan, e);
    }
    return rc;
}

static int load_jobs(struct server *s, struct err *e)
{
    s->jobs = heap_zalloc((s->config.n_jobs + 1) * sizeof *s->jobs);
    for (size_t i = 0; i < s->config.n_jobs; i++) {
        struct hosted_job *j = s->jobs[i] = hosted_job_new(s->config.job_files[i]);
        struct err why = {0};
        int rc = hosted_job_load(j, &s->config.script, &why);
        if (rc == 0)
            rc = check_others(s, j, i, &why);
        s->n_jobs++;
        if (rc == LEAT_ENOTFOUND) {
            *e = why;
            return rc;
        }
        if (rc != 0)
            hosted_job_failed(j, &why);
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
    if (t->n_partitions > 0 && is->n_partitions != t->n_partitions)
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

static int32_t partitions_of(const struct server *s, const struct server_topic *t)
{
    return t->n_partitions > 0 ? t->n_partitions : s->config.default_partitions;
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
            rc = broker_topic_create(s->broker, bytes_str(t->name), partitions_of(s, t), settings,
                                     n, e);
        else if (rc == 0)
            rc = check_topic(t, &is, e);
        if (rc != 0)
            return rc;
    }
    return 0;
}

static int start_jobs(struct server *s, struct err *e)
{
    struct job_host host = host_of(s);

    (void)e;
    for (size_t i = 0; i < s->n_jobs; i++) {
        struct hosted_job *j = s->jobs[i];
        struct err why = {0};
        if (j->why[0] != 0 || hosted_job_start(j, &host, &why) == 0)
            continue;
        hosted_job_end(j);
        hosted_job_failed(j, &why);
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

    pthread_rwlock_rdlock(&s->lock);
    metrics_write(s->broker, s->jobs, s->n_jobs, text);
    pthread_rwlock_unlock(&s->lock);
}

static bool on_healthy(void *arg, struct buf *why)
{
    struct server *s = arg;
    struct job_status status;
    bool healthy = true;

    pthread_rwlock_rdlock(&s->lock);
    for (size_t i = 0; i < s->n_jobs && healthy; i++) {
        hosted_job_read(s->jobs[i], &status);
        healthy = status.state != JOB_STOPPED;
        if (!healthy)
            buf_printf(why, "job %s has stopped: %s\n", hosted_job_name(s->jobs[i]), status.why);
    }
    pthread_rwlock_unlock(&s->lock);
    if (healthy)
        buf_append_str(why, "ok\n");
    return healthy;
}

// A job whose queries cannot be reached would look as if it ran.
static void add_routes(struct server *s, struct hosted_job *j)
{
    struct err e = {0};

    if (j->why[0] != 0)
        return;
    if (http_add_job(s->http, &j->http, &e) == 0) {
        j->routed = true;
        return;
    }
    hosted_job_end(j);
    hosted_job_failed(j, &e);
}

static int open_http(struct server *s, struct err *e)
{
    struct http_config h = {.host = s->config.http_host,
                            .port = s->config.http_port,
                            .hosts = s->config.http_hosts,
                            .n_hosts = s->config.n_http_hosts,
                            .token = s->token,
                            .status = on_status,
                            .metrics = on_metrics,
                            .healthy = on_healthy,
                            .arg = s};
    int rc = http_start(&s->http, &h, e);

    if (rc != 0)
        return rc;
    s->http_port = http_port(s->http);
    for (size_t i = 0; i < s->n_jobs; i++)
        add_routes(s, s->jobs[i]);
    return 0;
}

static int write_admin(struct server *s, struct err *e)
{
    char *http = heap_printf("%s:%d", s->config.http_host, server_http_port(s));
    struct admin admin = {.http = http, .token = s->token};
    int rc = admin_write(s->config.data_dir, &admin, e);

    s->admin = rc == 0;
    heap_free(http);
    return rc;
}

// One that a killed server has left says what is not so.
static int remove_ready_file(struct server *s, struct err *e)
{
    if (s->config.ready_file == NULL || unlink(s->config.ready_file) == 0 || errno == ENOENT)
        return 0;
    return err_errno(e, errno, "--ready-file %s", s->config.ready_file);
}

// Written beside and renamed, so that who waits for it reads it whole.
static int write_ready_file(struct server *s, struct err *e)
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
    s->ready = ok;
    return ok ? 0 : err_errno(e, errno, "--ready-file %s", s->config.ready_file);
}

int server_start(struct server **out, const struct server_config *c, struct err *e)
{
    // The ready file of a server that runs is behind the lock of its folder.
    static int (*const steps[])(struct server *, struct err *) = {load_jobs, open_broker,
                                                                  remove_ready_file, make_topics};
    struct server *s = heap_zalloc(sizeof *s);
    int rc = 0;

    s->config = *c;
    admin_make_token(s->token);
    pthread_rwlock_init(&s->lock, NULL);
    pthread_mutex_init(&s->gate, NULL);
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
        rc = write_admin(s, e);
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
    if (s->ready)
        (void)remove_ready_file(s, NULL);
    if (s->admin)
        admin_remove(s->config.data_dir);
    for (size_t i = 0; i < s->n_jobs; i++)
        if (s->jobs[i]->routed)
            http_remove_job(s->http, &s->jobs[i]->http);
    http_stop(s->http);
    for (size_t i = 0; i < s->n_jobs; i++)
        hosted_job_end(s->jobs[i]);
    if (s->broker != NULL)
        broker_stop(s->broker);
    for (size_t i = 0; i < s->n_jobs; i++)
        hosted_job_free(s->jobs[i]);
    broker_free(s->broker);
    pthread_rwlock_destroy(&s->lock);
    pthread_mutex_destroy(&s->gate);
    heap_free(s->jobs);
    heap_free(s);
}

// --- reloading ---

// Everything that can be found wrong while the old one runs.
static int load_again(struct server *s, size_t i, struct hosted_job *j, struct err *e)
{
    struct job_host host = host_of(s);
    int rc = hosted_job_load(j, &s->config.script, e);

    if (rc == 0)
        rc = check_others(s, j, i, e);
    if (rc == 0)
        rc = hosted_job_check(j, &host, e);
    if (rc == 0)
        rc = http_check_job(s->http, &j->http, &s->jobs[i]->http, e);
    return rc;
}

static void take_place(struct server *s, size_t i, struct hosted_job *j)
{
    struct hosted_job *old = s->jobs[i];

    http_replace_job(s->http, &old->http, &j->http);
    j->routed = true;
    s->jobs[i] = j;
}

// What ran before `j` could not start, once more. It has its plan from the old one.
static void run_again(struct server *s, size_t i, const struct job_host *host)
{
    struct hosted_job *old = s->jobs[i], *again = hosted_job_new(old->file);
    struct err e = {0};

    if (old->plan == NULL) {
        hosted_job_free(again);
        return;
    }
    hosted_job_adopt(again, old);
    if (hosted_job_start(again, host, &e) != 0) {
        hosted_job_end(again);
        hosted_job_failed(again, &e);
    }
    take_place(s, i, again);
    hosted_job_disown(old);
    hosted_job_free(old);
}

static int change_over(struct server *s, size_t i, struct hosted_job *j, struct err *e)
{
    struct job_host host = host_of(s);
    struct hosted_job *old = s->jobs[i];
    int rc;

    hosted_job_end(old);
    rc = hosted_job_start(j, &host, e);
    if (rc != 0) {
        hosted_job_free(j);
        run_again(s, i, &host);
        return rc;
    }
    take_place(s, i, j);
    hosted_job_free(old);
    return 0;
}

int server_reload(struct server *s, size_t i, struct err *e)
{
    struct hosted_job *j = hosted_job_new(s->config.job_files[i]);
    int rc = load_again(s, i, j, e);

    if (rc == 0) {
        pthread_rwlock_wrlock(&s->lock);
        rc = change_over(s, i, j, e);
        pthread_rwlock_unlock(&s->lock);
    } else {
        hosted_job_free(j);
    }
    if (rc != 0)
        snprintf(s->jobs[i]->note, sizeof s->jobs[i]->note, "%s", e->text);
    return rc;
}

// --- jobs that could not start ---

static void start_again(struct server *s, size_t i)
{
    struct job_host host = host_of(s);
    struct hosted_job *old = s->jobs[i], *again = hosted_job_new(old->file);
    struct err e = {0};
    int rc;

    hosted_job_adopt(again, old);
    rc = http_check_job(s->http, &again->http, &old->http, &e);
    if (rc == 0)
        rc = hosted_job_start(again, &host, &e);
    pthread_rwlock_wrlock(&s->lock);
    if (rc == 0) {
        take_place(s, i, again);
        hosted_job_disown(old);
        hosted_job_free(old);
    } else {
        hosted_job_disown(again);
        hosted_job_free(again);
        if (!hosted_job_passing(rc))
            hosted_job_failed(old, &e);
    }
    pthread_rwlock_unlock(&s->lock);
}

void server_look(struct server *s)
{
    for (size_t i = 0; i < s->n_jobs; i++) {
        size_t at = (s->looked_at + 1 + i) % s->n_jobs;
        if (!s->jobs[at]->passing)
            continue;
        s->looked_at = at;
        start_again(s, at);
        return;
    }
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
    pthread_rwlock_rdlock(&s->lock);
    for (size_t i = 0; i < s->n_jobs; i++) {
        buf_append_str(json, i ? ",\n " : "\n ");
        hosted_job_status(s->jobs[i], json);
    }
    pthread_rwlock_unlock(&s->lock);
    buf_append_str(json, "]}\n");
}
