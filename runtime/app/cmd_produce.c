// SPDX-License-Identifier: Apache-2.0
//
// leat produce: records from files or standard input into a topic of any Kafka cluster.
//
// A file is read twice: first it is checked whole, then it is sent. So a broken line 20,000 stops
// the command before anything was sent, and running it again after mending the line doubles
// nothing. Standard input can only be read once: there the error says how many records before it
// were sent.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/app/commands.h"
#include "runtime/app/lines.h"
#include "runtime/app/terminal.h"
#include "runtime/base/clock.h"
#include "runtime/base/heap.h"
#include "runtime/kafka/client.h"

enum { READ_BYTES = 1 << 18, SETS_MAX = 32, TEXTS_MAX = 32 };

struct produce {
    const struct args *args;
    const char *topic;
    enum lines_format format;
    bool format_given;
    const char *texts[TEXTS_MAX];
    size_t n_texts;
    struct lines_set sets[SETS_MAX];
    size_t n_sets;
    int64_t partition;
    int64_t rate;                // records per second; 0: as fast as it goes
    struct arena arena;          // of the options
    struct kafka_client *client; // NULL while checking
    struct progress progress;
    int64_t records, bytes_done, bytes_total;
};

static int parse_sets(struct produce *p)
{
    const char *text;

    for (size_t i = 0; (text = args_nth(p->args, "--set", i)) != NULL; i++) {
        const char *equals = strchr(text, '=');
        struct buf json = BUF_EMPTY;
        if (equals == NULL || equals == text)
            return usage_error(p->args, "--set wants name=value, not \"%s\"", text);
        if (p->n_sets == SETS_MAX)
            return usage_error(p->args, "more than %d --set", SETS_MAX);
        lines_cell_json(bytes_str(equals + 1), false, &json);
        p->sets[p->n_sets].name = bytes_of(text, (size_t)(equals - text));
        p->sets[p->n_sets++].json = arena_copy(&p->arena, buf_bytes(&json));
        buf_deinit(&json);
    }
    for (size_t i = 0; (text = args_nth(p->args, "--text", i)) != NULL; i++) {
        if (p->n_texts == TEXTS_MAX)
            return usage_error(p->args, "more than %d --text", TEXTS_MAX);
        p->texts[p->n_texts++] = text;
    }
    return EXIT_OK;
}

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);

    return n >= m && strcmp(s + n - m, end) == 0;
}

static void lines_open(const struct produce *p, const char *file, struct lines *l)
{
    lines_init(l);
    l->file = file;
    l->format = p->format;
    if (!p->format_given && ends_with(file, ".csv"))
        l->format = LINES_CSV;
    l->text_columns = p->texts;
    l->n_text_columns = p->n_texts;
    l->sets = p->sets;
    l->n_sets = p->n_sets;
    l->key = args_get(p->args, "--key", NULL);
}

// Holds back until record number p->records is due.
static void pace(struct produce *p)
{
    int64_t due_ns, now;

    if (p->rate == 0 || p->records % 16 != 0)
        return;
    due_ns = p->progress.started_ns + p->records * 1000000000 / p->rate;
    while ((now = clock_mono_ns(clock_system())) < due_ns)
        kafka_poll(p->client, (int)((due_ns - now) / 1000000) + 1);
}

static int send_record(struct produce *p, const struct lines_record *r, struct err *e)
{
    struct kafka_record out = {
        .key = r->key, .value = r->value, .partition = (int32_t)p->partition};

    p->records++;
    if (p->client == NULL)
        return 0;
    pace(p);
    return kafka_produce(p->client, p->topic, &out, e);
}

// All whole records that `in` holds so far.
static int drain(struct produce *p, struct lines *l, struct buf *in, bool end, struct err *e)
{
    struct lines_record r;
    struct arena arena;
    size_t pos = 0, used;
    int rc;

    arena_init(&arena);
    do {
        arena_reset(&arena);
        rc = lines_next(l, bytes_of(in->p + pos, in->n - pos), end, &used, &arena, &r, e);
        pos += used;
        if (rc == 1)
            rc = send_record(p, &r, e) == 0 ? 1 : e->code;
    } while (rc == 1);
    arena_deinit(&arena);
    p->bytes_done += (int64_t)pos;
    buf_consume(in, pos);
    if (p->client != NULL)
        progress_step(&p->progress, p->bytes_done, p->records);
    return rc;
}

static int read_all(struct produce *p, int fd, const char *file, struct err *e)
{
    struct buf in = BUF_EMPTY;
    struct lines l;
    ssize_t n;
    int rc;

    lines_open(p, file, &l);
    do {
        buf_reserve(&in, READ_BYTES);
        n = read(fd, in.p + in.n, READ_BYTES);
        if (n < 0) {
            rc = err_errno(e, errno, "%s", file);
            break;
        }
        in.n += (size_t)n;
        rc = drain(p, &l, &in, n == 0, e);
    } while (rc == 0 && n > 0);
    lines_deinit(&l);
    buf_deinit(&in);
    return rc;
}

static int each_file(struct produce *p, struct err *e)
{
    int rc = 0;

    p->records = p->bytes_done = 0;
    for (size_t i = 1; i < p->args->n_positional && rc == 0; i++) {
        const char *file = p->args->positional[i];
        int fd = open(file, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            return err_errno(e, errno, "%s", file);
        rc = read_all(p, fd, file, e);
        close(fd);
    }
    return rc;
}

static int check_files(struct produce *p, struct err *e)
{
    int rc = each_file(p, e);
    struct err copy = *e;

    p->bytes_total = p->bytes_done;
    if (rc != 0)
        err_set(e, rc, "%.400s; nothing was sent: mend it and run the command again", copy.text);
    return rc;
}

static int send_all(struct produce *p, struct err *e)
{
    int rc, flushed;
    bool from_files = p->args->n_positional > 1;

    progress_start(&p->progress, p->topic, p->bytes_total);
    rc = from_files ? each_file(p, e) : read_all(p, STDIN_FILENO, "stdin", e);
    flushed = kafka_flush(p->client, rc == 0 ? e : NULL);
    progress_end(&p->progress);
    struct err copy = *e;
    if (rc == LEAT_EDECODE)
        err_set(e, rc, "%.400s; the %lld records before it were sent", copy.text,
                (long long)kafka_delivered(p->client));
    return rc != 0 ? rc : flushed;
}

static void report(struct produce *p, int64_t started_ns)
{
    double seconds = (double)(clock_mono_ns(clock_system()) - started_ns) / 1e9;
    struct buf position = BUF_EMPTY;

    kafka_position(p->client, p->topic, &position);
    if (args_has(p->args, "--json"))
        printf("{\"topic\":\"%s\",\"records\":%lld,\"seconds\":%.3f,\"position\":\"%s\"}\n",
               p->topic, (long long)kafka_delivered(p->client), seconds, buf_cstr(&position));
    else
        printf("%lld records to %s in %.2f s (%.0f/s), at %s\n",
               (long long)kafka_delivered(p->client), p->topic, seconds,
               (double)kafka_delivered(p->client) / (seconds > 0 ? seconds : 1),
               buf_cstr(&position));
    buf_deinit(&position);
}

static int ensure_topic(struct produce *p, struct err *e)
{
    struct kafka_topic *topics;
    struct arena a;
    int64_t partitions = 1;
    size_t n;
    int rc;

    if (!args_has(p->args, "--create"))
        return 0;
    rc = args_int(p->args, "--create", 1, 10000, &partitions, e);
    if (rc != 0)
        return rc;
    arena_init(&a);
    rc = kafka_topics(p->client, p->topic, &a, &topics, &n, e);
    if (rc == LEAT_ENOTFOUND)
        rc = kafka_create_topic(p->client, p->topic, (int32_t)partitions, NULL, 0, e);
    arena_deinit(&a);
    return rc;
}

// What the broker calls unknown is a topic, or a partition of it.
static int not_found(struct produce *p, struct err *e)
{
    struct kafka_topic *topics;
    struct arena a;
    struct err why;
    size_t n;

    arena_init(&a);
    if (kafka_topics(p->client, p->topic, &a, &topics, &n, &why) == LEAT_ENOTFOUND)
        err_set(e, LEAT_ENOTFOUND, "there is no topic %s; --create 1 makes it, with one partition",
                p->topic);
    arena_deinit(&a);
    return LEAT_ENOTFOUND;
}

static int parse_options(struct produce *p)
{
    struct err e = {0};

    p->format = args_has(p->args, "--csv")     ? LINES_CSV
                : args_has(p->args, "--lines") ? LINES_PLAIN
                                               : LINES_NDJSON;
    p->format_given = args_has(p->args, "--csv") || args_has(p->args, "--lines");
    if (p->format == LINES_PLAIN && (args_has(p->args, "--key") || args_has(p->args, "--set")))
        return usage_error(p->args, "--lines sends text as it is: --key and --set need fields");
    if (args_int(p->args, "--partition", 0, INT32_MAX, &p->partition, &e) != 0 ||
        args_int(p->args, "--rate", 1, 100000000, &p->rate, &e) != 0)
        return command_failed(p->args, &e);
    return parse_sets(p);
}

static int produce_run(struct args *a)
{
    struct produce p = {.args = a, .topic = a->positional[0], .partition = -1};
    int64_t started = clock_mono_ns(clock_system());
    struct err e = {0};
    int rc;

    arena_init(&p.arena);
    rc = parse_options(&p);
    if (rc != EXIT_OK)
        goto out;
    rc = a->n_positional > 1 ? check_files(&p, &e) : 0;
    if (rc == 0)
        rc = kafka_open(&p.client, args_get(a, "--brokers", "127.0.0.1:9092"), KAFKA_PRODUCER, &e);
    if (rc == 0)
        rc = ensure_topic(&p, &e);
    if (rc == 0)
        rc = send_all(&p, &e);
    if (rc == LEAT_ENOTFOUND && p.client != NULL) // not a file that is not there
        rc = not_found(&p, &e);
    if (rc == 0)
        report(&p, started);
    rc = rc == 0 ? EXIT_OK : command_failed(a, &e);
    kafka_close(p.client);
out:
    arena_deinit(&p.arena);
    return rc;
}

const struct command command_produce = {
    .name = "produce",
    .arguments = "TOPIC [FILE...]",
    .summary = "send records to a topic, from files or standard input",
    .details =
        "Reads NDJSON (one object per line) or, for *.csv files and with --csv, CSV with a header\n"
        "line: each row becomes a JSON object; a cell in JSON number syntax is a number, an\n"
        "empty one is absent, everything else is text. Works on any Kafka cluster.",
    .examples = "  leat produce telemetry readings.ndjson --key assetId\n"
                "  leat produce telemetry pump-7.csv --set assetId=pump-7 --key assetId\n"
                "  echo '{\"assetId\":\"T1\",\"temperature\":95.5}' | leat produce telemetry",
    .min_positional = 1,
    .max_positional = -1,
    .options = {{"--brokers", 'b', "HOST:PORT", "where to send (127.0.0.1:9092)"},
                {"--key", 'k', "FIELD", "the record key: the value of this field"},
                {"--set", 's', "NAME=VALUE", "add a field to every record; repeatable"},
                {"--csv", 0, NULL, "the input is CSV"},
                {"--lines", 0, NULL, "each line is a value as it is"},
                {"--text", 0, "COLUMN", "CSV: this column is text even if it looks like a number"},
                {"--partition", 0, "N", "send to this partition instead of by key"},
                {"--rate", 0, "N", "send at most N records per second"},
                {"--create", 0, "N", "create the topic with N partitions if it is not there"}},
    .run = produce_run,
};
