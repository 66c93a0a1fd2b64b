// SPDX-License-Identifier: Apache-2.0
//
// leat serve and leat run: the same server, for production and for development.
//
//   serve   topics are made by hand or in leat.lua, groups wait for their members as in Kafka, one
//   line per event run     topics appear on first use, groups start at once, a live view on a
//   terminal, jobs are reloaded when they are saved, --until end stops by itself
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <unistd.h>

#include "runtime/app/commands.h"
#include "runtime/app/live.h"
#include "runtime/app/settings_merge.h"
#include "runtime/app/watch.h"
#include "runtime/base/heap.h"
#include "runtime/base/trace.h"

enum { TICK_MS = 200, TICKS_PER_LOOK = 3, ABSENT_TICKS = 10 };

// A signal becomes a byte in a pipe: the main thread reads it between looks.
static int signal_pipe[2];

static void on_signal(int number)
{
    char byte = (char)number;

    if (write(signal_pipe[1], &byte, 1) < 0)
        return; // the pipe is full of signals already
}

static int catch_signals(struct err *e)
{
    struct sigaction action = {.sa_handler = on_signal};

    if (pipe2(signal_pipe, O_CLOEXEC | O_NONBLOCK) != 0)
        return err_set(e, LEAT_EIO, "cannot make a pipe");
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ,
           SIG_IGN); // a file size limit is then an error of write, handled like a full disk
    return 0;
}

static bool signal_within(int ms)
{
    fd_set set;
    struct timeval limit = {.tv_sec = ms / 1000, .tv_usec = (ms % 1000) * 1000};

    FD_ZERO(&set);
    FD_SET(signal_pipe[0], &set);
    return select(signal_pipe[0] + 1, &set, NULL, NULL, &limit) > 0;
}

// --- until end ---

// A job has come to its end when it has read what there is and published what it made, or when it
// has stopped. One whose input is not there has none: it waits, and would for ever. But what is not
// there may be made by another job of this run, and a job looks for it once a second. So it is
// given up when all the others have ended and it has had time to look once more. In the same way
// what one job has just published may be another's input: of several, all must have ended twice.
struct until_end {
    bool wanted;
    int ticks; // that this is so
};

static bool all_ended(struct until_end *u, struct server *s)
{
    struct hosted_job **jobs;
    struct job_status status;
    size_t n = server_jobs(s, &jobs);
    bool absent = false;

    for (size_t i = 0; i < n; i++) {
        hosted_job_read(jobs[i], &status);
        absent = absent || status.absent;
        if (!status.absent && !status.done && status.state != JOB_STOPPED) {
            u->ticks = 0;
            return false;
        }
    }
    return u->ticks++ >= (absent ? ABSENT_TICKS : n > 1 ? 1 : 0);
}

// LEAT_ESTOPPED when not all has been read.
static int judge_ends(struct server *s, struct err *e)
{
    struct hosted_job **jobs;
    struct job_status status;
    size_t n = server_jobs(s, &jobs);

    for (size_t i = 0; i < n; i++) {
        hosted_job_read(jobs[i], &status);
        if (status.state == JOB_STOPPED)
            return err_set(e, LEAT_ESTOPPED, "a job has stopped; the line above says why");
        if (status.absent)
            return err_set(e, LEAT_ESTOPPED, "job %s %s: without it there is no end to come to",
                           hosted_job_name(jobs[i]), status.why);
    }
    return 0;
}

static void greet(struct server *s, const struct server_config *c)
{
    printf("leat %s  kafka %s:%d  http %s:%d  data %s%s\n", LEAT_VERSION, c->kafka_host,
           server_kafka_port(s), c->http_host, server_http_port(s), c->data_dir,
           c->durable ? "" : "  (acks do not wait for the disk)");
    fflush(stdout);
}

// --- reloading jobs that have been saved ---

struct reloading {
    struct server *server;
    struct live *live;
    struct watch *watches; // one per job
    size_t n;
};

static void reloading_init(struct reloading *r, struct server *s, const struct server_config *c,
                           struct live *live)
{
    *r = (struct reloading){.server = s, .live = live, .n = c->n_jobs};
    r->watches = heap_zalloc((r->n + 1) * sizeof *r->watches);
    for (size_t i = 0; i < r->n; i++)
        watch_init(&r->watches[i], c->job_files[i]);
}

static void reload(struct reloading *r, size_t i)
{
    struct hosted_job **jobs;
    struct err e = {0};
    int rc = server_reload(r->server, i, &e);

    (void)server_jobs(r->server, &jobs);
    if (rc == 0)
        live_say(r->live, hosted_job_name(jobs[i]), "reloaded");
    if (rc != 0 && hosted_job_passing(rc))
        watch_again(&r->watches[i]);
    if (rc != 0 && !r->live->terminal) // there it stays below the table
        trace(TRACE_ERROR, hosted_job_name(jobs[i]), "not reloaded: %s", e.text);
}

static void reloading_look(struct reloading *r)
{
    for (size_t i = 0; i < r->n; i++)
        if (watch_look(&r->watches[i]))
            reload(r, i);
}

static void reloading_deinit(struct reloading *r)
{
    heap_free(r->watches);
}

// Until a signal, or until all is done if that is to be the end. `watched` are the jobs to reload
// when they are saved; NULL: none.
static void look_on(struct server *s, const struct server_config *watched, bool until_end)
{
    struct until_end end = {.wanted = until_end};
    struct reloading reloading = {0};
    struct live live;

    live_init(&live, s);
    if (watched != NULL)
        reloading_init(&reloading, s, watched, &live);
    for (int tick = 0; !signal_within(TICK_MS) && !(end.wanted && all_ended(&end, s)); tick++) {
        reloading_look(&reloading);
        if (tick % TICKS_PER_LOOK == 0) {
            live_look(&live);
            server_look(s);
        }
    }
    reloading_deinit(&reloading);
    live_end(&live);
}

static int serve(struct args *a, bool development)
{
    bool until_end = development && args_has(a, "--until");
    struct serve_settings settings;
    struct server *server = NULL;
    struct err e = {0};
    int rc = catch_signals(&e);

    heap_keep_large_blocks();
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (rc == 0)
        rc = settings_merge(a, development, &settings, &e);
    if (rc != 0)
        return command_failed(a, &e);
    rc = server_start(&server, &settings.config, &e);
    if (rc == 0) {
        greet(server, &settings.config);
        look_on(server, development ? &settings.config : NULL, until_end);
        if (until_end)
            rc = judge_ends(server, &e);
    }
    server_stop(server);
    settings_merge_deinit(&settings);
    return rc == 0 ? EXIT_OK : command_failed(a, &e);
}

static int serve_run(struct args *a)
{
    trace_level_set(args_has(a, "--verbose") ? TRACE_DEBUG : TRACE_INFO);
    return serve(a, false);
}

static int run_run(struct args *a)
{
    const char *until = args_get(a, "--until", "end");

    if (strcmp(until, "end") != 0)
        return usage_error(a, "--until wants \"end\", not \"%s\"", until);
    if (args_has(a, "--verbose"))
        trace_level_set(TRACE_DEBUG);
    return serve(a, true);
}

#define SERVER_OPTIONS                                                                             \
    {"--data", 'd', "DIR", "where topics and jobs live (data)"},                                   \
        {"--kafka-listen", 0, "HOST:PORT", "for Kafka clients (127.0.0.1:9092; port 0: any)"},     \
        {"--http-listen", 0, "HOST:PORT", "for queries and metrics (127.0.0.1:8080)"},             \
        {"--http-host", 0, "NAME", "a name to answer for besides localhost; repeatable"},          \
        {"--topic", 't', "NAME=PARTITIONS", "make this topic at start; repeatable"},               \
        {"--param", 'p', "NAME=VALUE", "a parameter of the jobs; repeatable"},                     \
        {"--page-cache-acks", 0, NULL, "acknowledge before the disk has it (loses on power cut)"}, \
        {"--insecure", 0, NULL, "allow listening beyond this machine without authentication"},     \
        {"--from-now", 0, NULL, "a job that means something else keeps its rows and goes on"},     \
        {"--yes", 0, NULL, "drop what removed operators and tables of jobs have kept"},            \
        {"--ready-file", 0, "FILE", "write addresses here while everything listens"},              \
    {                                                                                              \
        "--verbose", 'v', NULL, "say more on stderr"                                               \
    }

const struct command command_serve = {
    .name = "serve",
    .arguments = "[leat.lua] [JOB.lua...]",
    .summary = "the broker, jobs and HTTP, for production",
    .details = "Settings come from a leat.lua (a Lua file that returns a table), then from "
               "options. Acks wait\n"
               "for fdatasync; listeners are on loopback. A topic keeps records for 7 days by "
               "their own time,\n"
               "also those that a job makes of an old input; in leat.lua:\n"
               "  return { topics = { [\"shop.orders\"] = { partitions = 6, "
               "retention = \"forever\" } } }",
    .examples = "  leat serve\n"
                "  leat serve leat.lua\n"
                "  leat serve jobs/shop.lua --data /var/lib/leat --topic shop.events=6",
    .max_positional = -1,
    .options = {SERVER_OPTIONS,
                {"--auto-create", 0, NULL, "make topics when clients first name them"}},
    .run = serve_run,
};

const struct command command_run = {
    .name = "run",
    .arguments = "JOB.lua...",
    .summary = "jobs on an embedded broker, for development, with a live view",
    .details =
        "A job that is saved is reloaded behind the step it is in, when what has changed can be\n"
        "taken up in place (`leat plan` says); else the old one goes on, and why is shown.",
    .examples = "  leat run job.lua\n"
                "  leat run jobs/*.lua -p limit=95\n"
                "  leat run job.lua --until end",
    .min_positional = 1,
    .max_positional = -1,
    .options = {SERVER_OPTIONS, {"--until", 0, "end", "stop when all input is processed"}},
    .run = run_run,
};
