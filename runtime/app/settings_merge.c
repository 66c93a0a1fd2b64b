// SPDX-License-Identifier: Apache-2.0
#include "runtime/app/settings_merge.h"

#include <stdio.h>

#include "runtime/app/http_get.h"
#include "runtime/app/job_params.h"
#include "runtime/base/number.h"

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);

    return n >= m && strcmp(s + n - m, end) == 0;
}

static bool is_settings_file(const char *path)
{
    const char *name = strrchr(path, '/');

    return strcmp(name != NULL ? name + 1 : path, "leat.lua") == 0;
}

static int add_job(struct serve_settings *s, const char *file, struct err *e)
{
    if (s->config.n_jobs == SERVE_JOBS_MAX)
        return err_set(e, LEAT_EUSAGE, "more than %d jobs", SERVE_JOBS_MAX);
    s->jobs[s->config.n_jobs++] = file;
    return 0;
}

static int add_topic(struct serve_settings *s, const char *text, struct err *e)
{
    const char *equals = strrchr(text, '=');
    int64_t n = 0;

    if (equals == NULL || equals == text || number_parse_int(bytes_str(equals + 1), &n) != 0 ||
        n < 1 || n > 10000)
        return err_set(e, LEAT_EUSAGE, "--topic wants NAME=PARTITIONS, not \"%s\"", text);
    if (s->config.n_topics == SERVE_TOPICS_MAX)
        return err_set(e, LEAT_EUSAGE, "more than %d topics", SERVE_TOPICS_MAX);
    s->topics[s->config.n_topics].name =
        (const char *)arena_copy(&s->arena, bytes_of(text, (size_t)(equals - text))).p;
    s->topics[s->config.n_topics++].n_partitions = (int32_t)n;
    return 0;
}

static int read_arguments(const struct args *a, struct serve_settings *s, struct err *e)
{
    int rc = 0;

    for (size_t i = 0; i < a->n_positional && rc == 0; i++) {
        const char *file = a->positional[i];
        if (is_settings_file(file))
            rc = settings_load(&s->file, file, e);
        else if (ends_with(file, ".lua"))
            rc = add_job(s, file, e);
        else
            rc = err_set(e, LEAT_EUSAGE, "\"%s\" is neither leat.lua nor a job file (*.lua)", file);
    }
    return rc;
}

static int apply_file(struct serve_settings *s, struct err *e)
{
    const struct settings *f = &s->file;
    int rc = 0;

    for (size_t i = 0; i < f->n_jobs && rc == 0; i++)
        rc = add_job(s, f->jobs[i], e);
    for (size_t i = 0; i < f->n_topics && rc == 0; i++) {
        if (s->config.n_topics == SERVE_TOPICS_MAX)
            return err_set(e, LEAT_ELOAD, "more than %d topics", SERVE_TOPICS_MAX);
        const struct settings_topic *t = &f->topics[i];
        if (t->compact)
            return err_set(e, LEAT_ELOAD, "topic %s: compact topics are not supported yet",
                           t->name);
        s->topics[s->config.n_topics++] = (struct server_topic){
            t->name, t->partitions, t->retention_ms, t->retention_bytes};
    }
    return rc;
}

static bool is_loopback(const char *host)
{
    return strncmp(host, "127.", 4) == 0 || strcmp(host, "::1") == 0 ||
           strcmp(host, "localhost") == 0;
}

static int listeners(const struct args *a, struct serve_settings *s, struct err *e)
{
    const struct settings *f = &s->file;
    const char *kafka =
        args_get(a, "--kafka-listen", f->kafka_listen != NULL ? f->kafka_listen : "127.0.0.1:9092");
    const char *http =
        args_get(a, "--http-listen", f->http_listen != NULL ? f->http_listen : "127.0.0.1:8080");
    int rc = parse_authority(kafka, "--kafka-listen", s->kafka_host, sizeof s->kafka_host,
                             &s->config.kafka_port, e);

    if (rc == 0)
        rc = parse_authority(http, "--http-listen", s->http_host, sizeof s->http_host,
                             &s->config.http_port, e);
    if (rc == 0 && !args_has(a, "--insecure") &&
        (!is_loopback(s->kafka_host) || !is_loopback(s->http_host)))
        rc = err_set(e, LEAT_EUSAGE,
                     "listening on %s would let everyone who reaches it in: there is no "
                     "authentication yet; say --insecure if that is what you want",
                     is_loopback(s->kafka_host) ? s->http_host : s->kafka_host);
    s->config.kafka_host = s->kafka_host;
    s->config.http_host = s->http_host;
    return rc;
}

static int options(const struct args *a, struct serve_settings *s, struct err *e)
{
    const char *text;
    size_t n = 0;
    int rc = listeners(a, s, e);

    for (size_t i = 0; rc == 0 && (text = args_nth(a, "--topic", i)) != NULL; i++)
        rc = add_topic(s, text, e);
    if (rc == 0)
        rc = job_params(a, s->params, e);
    while (args_nth(a, "--http-host", n) != NULL)
        n++;
    const char **hosts = arena_alloc(&s->arena, (n + 1) * sizeof *hosts);
    for (size_t i = 0; i < n; i++)
        hosts[i] = args_nth(a, "--http-host", i);
    s->config.http_hosts = hosts;
    s->config.n_http_hosts = n;
    return rc;
}

int settings_merge(const struct args *a, bool development, struct serve_settings *s, struct err *e)
{
    int rc;

    *s = (struct serve_settings){0};
    arena_init(&s->arena);
    settings_init(&s->file);
    rc = read_arguments(a, s, e);
    if (rc == 0)
        rc = apply_file(s, e);
    if (rc == 0)
        rc = options(a, s, e);
    if (rc != 0) {
        settings_merge_deinit(s);
        return rc;
    }
    s->config.data_dir = args_get(a, "--data", s->file.data != NULL ? s->file.data : "data");
    s->config.auto_create = development || args_has(a, "--auto-create") || s->file.auto_create;
    s->config.durable = !args_has(a, "--page-cache-acks");
    s->config.default_partitions = s->file.default_partitions > 0 ? s->file.default_partitions : 1;
    s->config.rebalance_delay_ms = development ? 0 : 3000;
    s->config.topics = s->topics;
    s->config.job_files = s->jobs;
    s->config.script.params = s->params;
    s->config.from_now = args_has(a, "--from-now");
    s->config.drop = args_has(a, "--yes");
    s->config.ready_file = args_get(a, "--ready-file", NULL);
    return 0;
}

void settings_merge_deinit(struct serve_settings *s)
{
    settings_deinit(&s->file);
    arena_deinit(&s->arena);
}
