// SPDX-License-Identifier: Apache-2.0
//
// leat consume: records of a topic on standard output, filtered by the job language's expressions,
// plotted if asked. Reads by assignment: it joins no group and commits nothing.
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>

#include "runtime/app/commands.h"
#include "runtime/app/terminal.h"
#include "runtime/base/clock.h"
#include "runtime/base/datetime.h"
#include "runtime/base/heap.h"
#include "runtime/base/number.h"
#include "runtime/expr/expr.h"
#include "runtime/kafka/client.h"

enum {
    OFFSET_BEGINNING = -2,
    OFFSET_END = -1,
    OFFSET_TAIL = -2000,
    SELECTS_MAX = 32,
    PLOT_MAX = 60
};

struct selected {
    struct bytes name;
    struct expr *expr;
};

struct consume {
    struct args *args;
    const char *topic;
    struct kafka_client *client;
    struct fieldplan *fields;
    struct expr *where, *plot;
    struct selected selects[SELECTS_MAX];
    size_t n_selects;
    int64_t *ends; // per partition; reading without -f stops there
    int64_t *next;
    int32_t n_partitions;
    bool follow;
    int64_t limit, printed, filtered;
    double points[PLOT_MAX];
    size_t n_points;
    struct arena arena; // of one record
};

static atomic_bool interrupted;

static void on_signal(int number)
{
    (void)number;
    atomic_store(&interrupted, true);
}

// --- where to begin ---

// "earliest", "latest", an offset, or -n for n before the end.
static bool parse_from(const char *text, int64_t *offset)
{
    if (strcmp(text, "earliest") == 0)
        *offset = OFFSET_BEGINNING;
    else if (strcmp(text, "latest") == 0)
        *offset = OFFSET_END;
    else if (number_parse_int(bytes_str(text), offset) != 0)
        return false;
    else if (*offset < 0)
        *offset = OFFSET_TAIL + *offset;
    return true;
}

static int64_t first_offset(int64_t from, int64_t start, int64_t end)
{
    int64_t first = from >= 0             ? from
                    : from == OFFSET_END  ? end
                    : from <= OFFSET_TAIL ? end + (from - OFFSET_TAIL)
                                          : start;

    return first < start ? start : first > end ? end : first;
}

static int assign(struct consume *c, struct err *e)
{
    struct kafka_topic *topics;
    struct arena a;
    int64_t from, only = -1;
    size_t n;
    int rc;

    if (!parse_from(args_get(c->args, "--from", c->follow ? "latest" : "earliest"), &from))
        return err_set(e, LEAT_EUSAGE, "--from wants earliest, latest, an offset or -N");
    rc = args_int(c->args, "--partition", 0, INT32_MAX, &only, e);
    if (rc != 0)
        return rc;
    arena_init(&a);
    rc = kafka_topics(c->client, c->topic, &a, &topics, &n, e);
    if (rc != 0)
        goto out;
    c->n_partitions = topics[0].n_partitions;
    c->ends = heap_alloc((size_t)c->n_partitions * sizeof *c->ends);
    c->next = heap_alloc((size_t)c->n_partitions * sizeof *c->next);
    for (int32_t p = 0; p < c->n_partitions; p++) {
        c->ends[p] = c->next[p] = topics[0].end[p];
        if (only >= 0 && only != p)
            continue;
        c->next[p] = first_offset(from, topics[0].start[p], topics[0].end[p]);
        kafka_add(c->client, c->topic, p, c->next[p]);
    }
    rc = kafka_assign(c->client, e);
out:
    arena_deinit(&a);
    return rc;
}

static bool at_end(const struct consume *c)
{
    for (int32_t p = 0; p < c->n_partitions; p++)
        if (c->next[p] < c->ends[p])
            return false;
    return true;
}

// --- one record ---

static void event_of(const struct consume *c, const struct kafka_message *m, struct event *ev)
{
    *ev = (struct event){.topic = bytes_str(c->topic),
                         .partition = m->partition,
                         .offset = m->offset,
                         .timestamp = m->timestamp,
                         .time = m->timestamp,
                         .key = value_of_key(m->key),
                         .key_raw = m->key,
                         .headers = m->headers,
                         .n_headers = m->n_headers};
}

static int select_value(struct consume *c, const struct expr_env *env, struct buf *out,
                        struct err *e)
{
    struct value v;
    int rc = 0;

    buf_append_byte(out, '{');
    for (size_t i = 0; i < c->n_selects && rc == 0; i++) {
        rc = expr_eval(c->selects[i].expr, env, &v, e);
        if (rc != 0 || v.type == VALUE_MISSING)
            continue;
        if (out->p[out->n - 1] != '{')
            buf_append_byte(out, ',');
        json_write_text(c->selects[i].name, out);
        buf_append_byte(out, ':');
        rc = value_write_json(&v, out, e);
    }
    buf_append_byte(out, '}');
    return rc;
}

static void print_json(const struct consume *c, const struct kafka_message *m, struct bytes value,
                       struct buf *out)
{
    bool json = value.n > 0 && value.p[0] == '{';

    buf_printf(out,
               "{\"topic\":\"%s\",\"partition\":%d,\"offset\":%lld,\"timestamp\":%lld,\"key\":",
               c->topic, m->partition, (long long)m->offset, (long long)m->timestamp);
    if (bytes_is_null(m->key))
        buf_append_str(out, "null");
    else
        json_write_text(m->key, out);
    buf_append_str(out, ",\"headers\":{");
    for (size_t i = 0; i < m->n_headers; i++) {
        if (i > 0)
            buf_append_byte(out, ',');
        json_write_text(m->headers[i].name, out);
        buf_append_byte(out, ':');
        json_write_text(m->headers[i].value, out);
    }
    buf_append_str(out, "},\"value\":");
    if (bytes_is_null(value))
        buf_append_str(out, "null");
    else if (json)
        buf_append_bytes(out, value);
    else
        json_write_text(value, out);
    buf_append_str(out, "}");
}

static void add_point(struct consume *c, double v)
{
    if (c->n_points == PLOT_MAX)
        memmove(c->points, c->points + 1, (--c->n_points) * sizeof *c->points);
    c->points[c->n_points++] = v;
}

static int plot_record(struct consume *c, const struct expr_env *env, struct err *e)
{
    struct value v;
    int rc = expr_eval(c->plot, env, &v, e);

    if (rc == 0 && v.type == VALUE_INT)
        add_point(c, (double)v.i);
    else if (rc == 0 && v.type == VALUE_FLOAT)
        add_point(c, v.f);
    return rc;
}

static bool needs_view(const struct consume *c)
{
    return c->where != NULL || c->plot != NULL || c->n_selects > 0;
}

static int print_record(struct consume *c, const struct kafka_message *m, struct err *e)
{
    struct buf selected = BUF_EMPTY, out = BUF_EMPTY;
    struct bytes value = m->value;
    struct value keep = value_bool(true);
    struct event ev;
    struct expr_env env = {.event = &ev, .now = m->timestamp, .arena = &c->arena};
    int rc = 0;

    event_of(c, m, &ev);
    if (needs_view(c))
        rc = view_scan(&ev.view, c->fields, FORMAT_JSON, m->value, &c->arena, e);
    if (rc == 0 && c->where != NULL)
        rc = expr_eval(c->where, &env, &keep, e);
    if (rc != 0 || !value_truthy(&keep)) {
        c->filtered += rc == 0;
        return rc;
    }
    c->printed++;
    if (c->plot != NULL)
        return plot_record(c, &env, e);
    if (c->n_selects > 0) {
        rc = select_value(c, &env, &selected, e);
        value = buf_bytes(&selected);
    }
    if (args_has(c->args, "--json"))
        print_json(c, m, value, &out);
    else
        buf_append_bytes(&out, value);
    if (rc == 0) {
        buf_append_byte(&out, '\n');
        fwrite(out.p, 1, out.n, stdout);
    }
    buf_deinit(&selected);
    buf_deinit(&out);
    return rc;
}

// --- all of it ---

static int consume_loop(struct consume *c, struct err *e)
{
    struct kafka_message m;

    while (!atomic_load(&interrupted) && (c->follow || !at_end(c)) &&
           (c->limit < 0 || c->printed < c->limit)) {
        arena_reset(&c->arena);
        int rc = kafka_consume(c->client, 100, &c->arena, &m, e);
        if (rc == 0)
            fflush(stdout);
        if (rc < 0)
            return rc;
        if (rc == 0)
            continue;
        c->next[m.partition] = m.offset + 1;
        rc = print_record(c, &m, e);
        if (rc != 0)
            return err_wrap(e, rc, "%s/%d@%lld", c->topic, m.partition, (long long)m.offset);
    }
    return 0;
}

static int compile(struct consume *c, const char *text, struct expr **out, struct err *e)
{
    static const struct expr_binds none;

    return expr_compile(out, bytes_str(text), &none, c->fields, e);
}

static int compile_all(struct consume *c, struct err *e)
{
    const char *text;
    int rc = 0;

    if ((text = args_get(c->args, "--where", NULL)) != NULL)
        rc = compile(c, text, &c->where, e);
    if (rc == 0 && (text = args_get(c->args, "--plot", NULL)) != NULL)
        rc = compile(c, text, &c->plot, e);
    for (size_t i = 0; rc == 0 && (text = args_nth(c->args, "--select", i)) != NULL; i++) {
        struct selected *s = &c->selects[c->n_selects];
        if (c->n_selects == SELECTS_MAX)
            return err_set(e, LEAT_EUSAGE, "more than %d --select", SELECTS_MAX);
        rc = compile(c, text, &s->expr, e);
        if (rc == 0) {
            c->n_selects++;
            if (!expr_is_path(s->expr, &s->name))
                s->name = bytes_str(text);
        }
    }
    if (rc != 0)
        e->code = rc = LEAT_EUSAGE;
    return rc;
}

static void finish(struct consume *c)
{
    if (c->n_points > 0)
        plot_print(c->points, c->n_points, 8, "older", "newer", stdout);
    kafka_close(c->client);
    expr_free(c->where);
    expr_free(c->plot);
    for (size_t i = 0; i < c->n_selects; i++)
        expr_free(c->selects[i].expr);
    fieldplan_free(c->fields);
    arena_deinit(&c->arena);
    heap_free(c->ends);
    heap_free(c->next);
}

static int consume_run(struct args *a)
{
    struct consume c = {.args = a, .topic = a->positional[0], .limit = -1};
    struct err e = {0};
    int rc;

    if (args_int(a, "--max", 1, INT64_MAX, &c.limit, &e) != 0)
        return command_failed(a, &e);
    arena_init(&c.arena);
    c.fields = fieldplan_new();
    c.follow = args_has(a, "--follow");
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    rc = compile_all(&c, &e);
    if (rc == 0)
        rc = kafka_open(&c.client, args_get(a, "--brokers", "127.0.0.1:9092"), KAFKA_CONSUMER, &e);
    if (rc == 0)
        rc = assign(&c, &e);
    if (rc == 0)
        rc = consume_loop(&c, &e);
    fflush(stdout);
    finish(&c);
    return rc == 0 ? EXIT_OK : command_failed(a, &e);
}

const struct command command_consume = {
    .name = "consume",
    .arguments = "TOPIC",
    .summary = "print the records of a topic",
    .details = "Prints each value on a line of its own, from the beginning to the present end; "
               "with -f it\n"
               "follows. Joins no group and commits nothing. Works on any Kafka cluster.",
    .examples = "  leat consume telemetry --where \"temperature > 90\"\n"
                "  leat consume telemetry -f --select assetId --select temperature\n"
                "  leat consume telemetry --from -500 --plot temperature\n"
                "  leat consume alerts -n 1 --json",
    .min_positional = 1,
    .max_positional = 1,
    .options = {{"--brokers", 'b', "HOST:PORT", "the cluster (127.0.0.1:9092)"},
                {"--follow", 'f', NULL, "wait for more"},
                {"--from", 'o', "WHERE", "earliest, latest, an offset, or -N before the end"},
                {"--max", 'n', "N", "stop after N records"},
                {"--partition", 'p', "N", "only this partition"},
                {"--where", 'w', "EXPR", "only records for which this is true"},
                {"--select", 's', "EXPR", "print an object of these instead; repeatable"},
                {"--plot", 0, "EXPR", "draw this number at the end instead of printing"}},
    .run = consume_run,
};
