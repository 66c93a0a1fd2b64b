// SPDX-License-Identifier: Apache-2.0
//
// leat topics: list, create, delete; on any Kafka cluster.
#include <stdio.h>

#include "runtime/app/commands.h"
#include "runtime/app/terminal.h"
#include "runtime/kafka/client.h"
#include "runtime/record/value.h"

enum { CONFIGS_MAX = 64 };

static void number_cell(struct table_print *t, int64_t v)
{
    char text[32];

    snprintf(text, sizeof text, "%lld", (long long)v);
    table_print_cell(t, bytes_str(text), true);
}

static int64_t records_of(const struct kafka_topic *t)
{
    int64_t n = 0;

    for (int32_t p = 0; p < t->n_partitions; p++)
        n += t->end[p] - t->start[p];
    return n;
}

static void print_summary(const struct kafka_topic *topics, size_t n)
{
    static const char *const columns[] = {"topic", "partitions", "records"};
    struct table_print *t = table_print_new(columns, ARRAY_LEN(columns));

    for (size_t i = 0; i < n; i++) {
        table_print_cell(t, bytes_str(topics[i].name), false);
        number_cell(t, topics[i].n_partitions);
        number_cell(t, records_of(&topics[i]));
    }
    table_print_end(t, stdout);
}

static void print_one(const struct kafka_topic *topic)
{
    static const char *const columns[] = {"partition", "start", "end"};
    struct table_print *t = table_print_new(columns, ARRAY_LEN(columns));

    for (int32_t p = 0; p < topic->n_partitions; p++) {
        number_cell(t, p);
        number_cell(t, topic->start[p]);
        number_cell(t, topic->end[p]);
    }
    table_print_end(t, stdout);
}

static void print_json(const struct kafka_topic *topics, size_t n)
{
    struct buf out = BUF_EMPTY;

    buf_append_byte(&out, '[');
    for (size_t i = 0; i < n; i++) {
        buf_append_str(&out, i ? ",\n {\"topic\":" : "{\"topic\":");
        json_write_text(bytes_str(topics[i].name), &out);
        buf_append_str(&out, ",\"partitions\":[");
        for (int32_t p = 0; p < topics[i].n_partitions; p++)
            buf_printf(&out, "%s{\"partition\":%d,\"start\":%lld,\"end\":%lld}", p ? "," : "", p,
                       (long long)topics[i].start[p], (long long)topics[i].end[p]);
        buf_append_str(&out, "]}");
    }
    printf("%s]\n", buf_cstr(&out));
    buf_deinit(&out);
}

static int list(struct args *a, struct kafka_client *c, const char *name, struct err *e)
{
    struct kafka_topic *topics;
    struct arena arena;
    size_t n;
    int rc;

    arena_init(&arena);
    rc = kafka_topics(c, name, &arena, &topics, &n, e);
    if (rc == 0 && args_has(a, "--json"))
        print_json(topics, n);
    else if (rc == 0 && name != NULL)
        print_one(&topics[0]);
    else if (rc == 0)
        print_summary(topics, n);
    arena_deinit(&arena);
    return rc;
}

static int create(struct args *a, struct kafka_client *c, const char *name, struct err *e)
{
    const char *configs[2 * CONFIGS_MAX], *text;
    size_t n = 0;
    int64_t partitions = 1;
    struct arena arena;
    int rc;

    rc = args_int(a, "--partitions", 1, 10000, &partitions, e);
    if (rc != 0)
        return rc;
    arena_init(&arena);
    for (size_t i = 0; i < CONFIGS_MAX && (text = args_nth(a, "--config", i)) != NULL; i++) {
        const char *equals = strchr(text, '=');
        if (equals == NULL) {
            arena_deinit(&arena);
            return err_set(e, LEAT_EUSAGE, "--config wants name=value, not \"%s\"", text);
        }
        configs[n++] = (const char *)arena_copy(&arena, bytes_of(text, (size_t)(equals - text))).p;
        configs[n++] = equals + 1;
    }
    rc = kafka_create_topic(c, name, (int32_t)partitions, configs, n, e);
    if (rc == 0 && args_has(a, "--json"))
        printf("{\"created\":\"%s\",\"partitions\":%lld}\n", name, (long long)partitions);
    else if (rc == 0)
        printf("created %s with %lld partition%s\n", name, (long long)partitions,
               partitions == 1 ? "" : "s");
    arena_deinit(&arena);
    return rc;
}

static int drop(struct args *a, struct kafka_client *c, const char *name, struct err *e)
{
    int rc = kafka_delete_topic(c, name, e);

    if (rc == 0)
        printf(args_has(a, "--json") ? "{\"deleted\":\"%s\"}\n" : "deleted %s\n", name);
    return rc;
}

static int topics_run(struct args *a)
{
    const char *verb = a->n_positional > 0 ? a->positional[0] : NULL;
    bool is_create = verb != NULL && strcmp(verb, "create") == 0;
    bool is_delete = verb != NULL && strcmp(verb, "delete") == 0;
    struct kafka_client *c = NULL;
    struct err e = {0};
    int rc;

    if ((is_create || is_delete) && a->n_positional < 2)
        return usage_error(a, "%s wants the name of a topic", verb);
    if (!is_create && !is_delete && a->n_positional > 1)
        return usage_error(a, "unexpected argument \"%s\"", a->positional[1]);
    rc = kafka_open(&c, args_get(a, "--brokers", "127.0.0.1:9092"), KAFKA_PRODUCER, &e);
    if (rc == 0)
        rc = is_create   ? create(a, c, a->positional[1], &e)
             : is_delete ? drop(a, c, a->positional[1], &e)
                         : list(a, c, verb, &e);
    kafka_close(c);
    return rc == 0 ? EXIT_OK : command_failed(a, &e);
}

const struct command command_topics = {
    .name = "topics",
    .arguments = "[TOPIC | create TOPIC | delete TOPIC]",
    .summary = "list, create and delete topics",
    .examples = "  leat topics\n"
                "  leat topics telemetry\n"
                "  leat topics create telemetry --partitions 6 --config retention.ms=604800000\n"
                "  leat topics delete telemetry",
    .max_positional = 2,
    .options = {{"--brokers", 'b', "HOST:PORT", "the cluster (127.0.0.1:9092)"},
                {"--partitions", 'p', "N", "create: number of partitions (1)"},
                {"--config", 'c', "NAME=VALUE", "create: a topic setting; repeatable"}},
    .run = topics_run,
};
