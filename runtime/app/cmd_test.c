// SPDX-License-Identifier: Apache-2.0
//
// leat test: runs the tests that stand in job files, each over the real engine on a database in
// memory, in virtual time.
#include <stdio.h>
#include <unistd.h>

#include "operators/operators.h"
#include "projections/jobfile.h"
#include "runtime/app/commands.h"
#include "runtime/app/job_params.h"
#include "runtime/record/value.h"
#include "scripts/test.h"

static int memory_open(void *arg, const struct plan *p, struct store **out, struct err *e)
{
    struct jobfile_options in_memory = {.path = NULL};

    (void)arg;
    return jobfile_open(out, p, &in_memory, e);
}

static void memory_close(void *arg, struct store *s)
{
    (void)arg;
    jobfile_close(s);
}

struct tally {
    size_t run, failed, broken; // broken: files that do not load
};

static void print_text(const char *file, const struct script_test_results *r)
{
    bool color = isatty(STDOUT_FILENO) != 0;

    printf("%s   %zu test%s   %zu passed", file, r->n, r->n == 1 ? "" : "s", r->n - r->n_failed);
    if (r->n_failed > 0)
        printf("   %s%zu FAILED%s", color ? "\x1b[31m" : "", r->n_failed, color ? "\x1b[0m" : "");
    printf("\n");
    for (size_t i = 0; i < r->n; i++)
        if (!r->items[i].passed)
            printf("\n  %s\n  %s\n", r->items[i].name, r->items[i].message);
}

static void print_json(const char *file, const struct script_test_results *r)
{
    struct buf out = BUF_EMPTY;

    for (size_t i = 0; i < r->n; i++) {
        buf_append_str(&out, "{\"file\":");
        json_write_text(bytes_str(file), &out);
        buf_printf(&out, ",\"line\":%d,\"test\":", r->items[i].line);
        json_write_text(bytes_str(r->items[i].name), &out);
        buf_printf(&out, ",\"passed\":%s", r->items[i].passed ? "true" : "false");
        if (!r->items[i].passed) {
            buf_append_str(&out, ",\"message\":");
            json_write_text(bytes_str(r->items[i].message), &out);
        }
        buf_append_str(&out, "}\n");
    }
    fwrite(out.p, 1, out.n, stdout);
    buf_deinit(&out);
}

static void test_file(struct args *a, const char *file, const char *const *params, struct tally *t)
{
    struct script_test_options o = {
        .script = {.file = file, .params = params},
        .operators = operator_types(),
        .stores = {memory_open, memory_close, NULL},
        .only = args_get(a, "--only", NULL),
    };
    struct script_test_results results;
    struct err e = {0};

    script_test_results_init(&results);
    if (script_tests_run(&o, &results, &e) != 0) {
        command_failed(a, &e);
        t->broken++;
    } else if (args_has(a, "--json")) {
        print_json(file, &results);
    } else {
        print_text(file, &results);
    }
    t->run += results.n;
    t->failed += results.n_failed;
    script_test_results_deinit(&results);
}

static int test_run(struct args *a)
{
    const char *params[JOB_PARAMS_MAX + 1];
    struct tally t = {0};
    struct err e = {0};

    if (job_params(a, params, &e) != 0)
        return command_failed(a, &e);
    for (size_t i = 0; i < a->n_positional; i++)
        test_file(a, a->positional[i], params, &t);
    if (!args_has(a, "--json"))
        printf("\n%zu passed, %zu failed\n", t.run - t.failed, t.failed + t.broken);
    if (t.run == 0 && t.broken == 0) {
        fprintf(stderr, "leat test: no test ran%s\n",
                args_has(a, "--only") ? "; is -k right?" : "");
        return EXIT_FAILED;
    }
    return t.failed + t.broken == 0 ? EXIT_OK : EXIT_FAILED;
}

const struct command command_test = {
    .name = "test",
    .arguments = "JOB.lua...",
    .summary = "run the tests that stand in job files",
    .details =
        "Each test gets a fresh job on a database in memory and a clock that only the test moves.\n"
        "The engine is the real one.",
    .examples = "  leat test jobs/*.lua\n"
                "  leat test job.lua -k fine\n"
                "  leat test job.lua --json | jq 'select(.passed | not)'",
    .min_positional = 1,
    .max_positional = -1,
    .options = {{"--only", 'k', "TEXT", "only tests whose name contains this"},
                {"--param", 'p', "NAME=VALUE", "a parameter of the jobs; repeatable"}},
    .run = test_run,
};
