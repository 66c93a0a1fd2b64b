// SPDX-License-Identifier: Apache-2.0
//
// leat test: runs the tests that stand in job files, each over the real engine on a database in
// memory, in virtual time.
#include <stdio.h>
#include <time.h>

#include "operators/operators.h"
#include "runtime/app/commands.h"
#include "runtime/app/job_params.h"
#include "runtime/app/rehearsal.h"
#include "runtime/app/test_report.h"
#include "runtime/app/watch.h"
#include "runtime/base/heap.h"
#include "runtime/base/number.h"

enum { WATCH_MS = 150 };

struct session {
    struct args *args;
    const struct script_test_options *options;
    struct junit junit;
    size_t run, failed, broken; // broken: files that do not load
};

static void test_file(struct session *s, const struct test_file *f)
{
    struct script_test_options o = *s->options;
    struct script_test_results results;
    struct err e = {0};

    o.script.file = f->job;
    o.tests_file = f->tests;
    script_test_results_init(&results);
    if (script_tests_run(&o, &results, &e) != 0) {
        (void)command_failed(s->args, &e);
        junit_add_broken(&s->junit, f, &e);
        s->broken++;
    } else {
        if (args_has(s->args, "--json"))
            test_print_json(f, &results);
        else
            test_print_text(f, &results);
        junit_add(&s->junit, f, &results);
    }
    s->run += results.n;
    s->failed += results.n_failed;
    script_test_results_deinit(&results);
}

static int sum_up(struct session *s)
{
    const char *report = args_get(s->args, "--junit", NULL);
    struct err e = {0};

    if (!args_has(s->args, "--json"))
        printf("\n%zu passed, %zu failed\n", s->run - s->failed, s->failed + s->broken);
    (void)fflush(stdout);
    if (report != NULL && junit_write(&s->junit, report, &e) != 0)
        return command_failed(s->args, &e);
    if (s->run == 0 && s->broken == 0) {
        fprintf(stderr, "leat test: no test ran%s\n",
                args_has(s->args, "--only") ? "; is -k right?" : "");
        return EXIT_FAILED;
    }
    return s->failed + s->broken == 0 ? EXIT_OK : EXIT_FAILED;
}

// --- again, when something has been saved ---

struct watches {
    struct watch *items;
    size_t n;
};

static void watches_init(struct watches *w, const struct test_files *files)
{
    w->items = heap_zalloc(2 * files->n * sizeof *w->items + 1);
    w->n = 0;
    for (size_t i = 0; i < files->n; i++) {
        watch_init(&w->items[w->n++], files->items[i].job);
        if (files->items[i].tests != NULL)
            watch_init(&w->items[w->n++], files->items[i].tests);
    }
}

static const char *saved_file(struct watches *w)
{
    for (size_t i = 0; i < w->n; i++)
        if (watch_look(&w->items[i]))
            return w->items[i].file;
    return NULL;
}

static void wait_for_change(struct watches *w)
{
    const struct timespec pause = {.tv_nsec = WATCH_MS * 1000000L};
    const char *saved;

    while ((saved = saved_file(w)) == NULL)
        (void)nanosleep(&pause, NULL);
    printf("\n--- %s has been saved\n", saved);
}

static int run_files(struct args *a, const struct script_test_options *o,
                     const struct test_files *files)
{
    struct session s = {.args = a, .options = o};
    int rc;

    for (size_t i = 0; i < files->n; i++)
        test_file(&s, &files->items[i]);
    rc = sum_up(&s);
    junit_deinit(&s.junit);
    return rc;
}

// Where there is something to watch, it also waits until there is a reason to run again.
static int run_once(struct args *a, const struct script_test_options *o, bool *watch)
{
    struct test_files files;
    struct watches watches;
    struct err e = {0};
    int rc;

    test_files_init(&files);
    rc = test_files_find(&files, a->positional, a->n_positional, args_get(a, "--job", NULL), &e);
    watches_init(&watches, &files); // before the run: what is saved during it counts
    if (rc == 0) {
        rc = run_files(a, o, &files);
        if (*watch)
            wait_for_change(&watches);
    } else {
        rc = command_failed(a, &e);
        *watch = false;
    }
    heap_free(watches.items);
    test_files_deinit(&files);
    return rc;
}

// "crash:12"
static bool read_variation(const struct args *a, struct script_test_options *o)
{
    const char *text = args_get(a, "--variation", NULL);
    const char *colon = text != NULL ? strchr(text, ':') : NULL;

    if (text == NULL)
        return true;
    for (int k = 0; k < CHAOS_KINDS && colon != NULL; k++) {
        const char *name = chaos_kind_name((enum chaos_kind)k);
        if (strlen(name) != (size_t)(colon - text) || strncmp(name, text, strlen(name)) != 0)
            continue;
        o->only_kind = (enum chaos_kind)k;
        if (number_parse_int(bytes_str(colon + 1), &o->only_number) == 0 && o->only_number > 0)
            return true;
    }
    usage_error(a, "--variation wants split:N, crash:N or order:N, not \"%s\"", text);
    return false;
}

static int test_run(struct args *a)
{
    const char *params[JOB_PARAMS_MAX + 1];
    struct script_test_options o = {
        .script = {.params = params},
        .operators = operator_types(),
        .stores = rehearsal_stores(),
        .only = args_get(a, "--only", NULL),
        .chaos = args_has(a, "--chaos") || args_has(a, "--variation"),
    };
    bool watch = args_has(a, "--watch");
    struct err e = {0};
    int rc;

    if (job_params(a, params, &e) != 0)
        return command_failed(a, &e);
    if (!read_variation(a, &o))
        return EXIT_USAGE;
    if (args_has(a, "--job") && a->n_positional == 0)
        return usage_error(a, "--job is the job of the files named: name them");
    do
        rc = run_once(a, &o, &watch);
    while (watch);
    return rc;
}

const struct command command_test = {
    .name = "test",
    .arguments = "[JOB.lua | NAME_test.lua]...",
    .summary = "run the tests of jobs",
    .details =
        "Each test gets a fresh job on a database in memory and a clock that only the test moves.\n"
        "The engine is the real one.\n\n"
        "Tests stand in the job's file, or in a file of their own: tests/orders_test.lua tests\n"
        "jobs/orders.lua. A file of tests holds test(...) and what they share, and may require\n"
        "modules of lib/. Its job is looked for in jobs/ beside the folder that the tests are in,\n"
        "then beside the tests, then beside their folder; --job names another. Without arguments\n"
        "jobs/*.lua and tests/*_test.lua are run.\n\n"
        "With --chaos each test that passes is done again in all the ways that must not matter:\n"
        "  split   commits at other places: one per record, behind each record of a batch;\n"
        "          records that were sent one by one in one batch, and the other way round\n"
        "  crash   the job is killed before and behind each commit and each batch that it\n"
        "          publishes, and started again\n"
        "  order   partitions of one topic arrive in another order, each in its own (of more\n"
        "          than 200 orders a sample), between one look of the test and the next\n"
        "Rows of all tables, what is published, parked records and counters must be the same\n"
        "wherever the test looks, and at its end. What is published is compared in order; in\n"
        "another partition order per key, and reals may differ by rounding; behind\n"
        "changes {latest} only the last value of each key.\n\n"
        "With --watch all is run again when a file, or a module in lib/, has been saved; Ctrl-C\n"
        "ends it. --junit writes a report that CI servers read, --json a line for each test.",
    .examples = "  leat test jobs/*.lua\n"
                "  leat test tests/orders_test.lua --job old/orders.lua\n"
                "  leat test job.lua -k fine --watch\n"
                "  leat test job.lua --chaos\n"
                "  leat test job.lua -k fine --variation crash:12\n"
                "  leat test job.lua --json | jq 'select(.passed | not)'",
    .exits = "0 all passed, 1 a test failed (be it in a variation), a file does not load or no "
             "test ran, 2 wrong usage.",
    .min_positional = 0,
    .max_positional = -1,
    .options = {{"--only", 'k', "TEXT", "only tests whose name contains this"},
                {"--param", 'p', "NAME=VALUE", "a parameter of the jobs; repeatable"},
                {"--job", 0, "JOB.lua", "the job that the files named hold the tests of"},
                {"--watch", 0, NULL, "run again when a file has been saved"},
                {"--junit", 0, "FILE", "write a JUnit report, XML, to this file"},
                {"--chaos", 0, NULL, "each test also in variations that must not matter"},
                {"--variation", 0, "KIND:N", "only this variation, as a failure names it"}},
    .run = test_run,
};
