// SPDX-License-Identifier: Apache-2.0
//
// leat test: runs the tests that stand in job files, each over the real engine on a database in
// memory, in virtual time.
#include <stdio.h>
#include <unistd.h>

#include "operators/operators.h"
#include "runtime/app/commands.h"
#include "runtime/app/job_params.h"
#include "runtime/app/rehearsal.h"
#include "runtime/base/number.h"
#include "runtime/record/value.h"
#include "scripts/test.h"

struct tally {
    size_t run, failed, broken; // broken: files that do not load
};

// --- text ---

static int64_t variations(const struct script_test_results *r, int kind)
{
    int64_t n = 0;

    for (size_t i = 0; i < r->n; i++)
        for (int k = 0; k < CHAOS_KINDS; k++)
            if (kind == CHAOS_KINDS || k == kind)
                n += r->items[i].chaos.n[k];
    return n;
}

static void print_variations(const struct script_test_results *r)
{
    static const char *const names[] = {"batch splits", "crashes", "partition orders"};
    const char *between = "";

    if (variations(r, CHAOS_KINDS) == 0)
        return;
    printf("   + %lld variations (", (long long)variations(r, CHAOS_KINDS));
    for (int k = 0; k < CHAOS_KINDS; k++) {
        printf("%s%s %lld", between, names[k], (long long)variations(r, k));
        between = ", ";
    }
    printf(")");
}

static bool failed_in_a_variation(const struct script_test_results *r)
{
    for (size_t i = 0; i < r->n; i++)
        if (!r->items[i].passed && r->items[i].chaos.n_failures == 0)
            return false;
    return r->n_failed > 0;
}

static void print_failure(const char *file, const struct script_test_result *t)
{
    const struct chaos_result *c = &t->chaos;

    printf("\n  %s\n", t->name);
    if (c->n_failures == 0)
        printf("  %s\n", t->message);
    for (int i = 0; i < c->n_failures; i++) {
        const struct chaos_failure *f = &c->failures[i];
        printf("  %s\n%s\n    again with  leat test %s -k \"%s\" --variation %s:%lld\n", f->what,
               f->detail, file, t->name, chaos_kind_name(f->kind), (long long)f->number);
    }
}

static void print_text(const char *file, const struct script_test_results *r)
{
    bool color = isatty(STDOUT_FILENO) != 0;

    printf("%s   %zu test%s   %zu passed", file, r->n, r->n == 1 ? "" : "s", r->n - r->n_failed);
    if (r->n_failed > 0)
        printf("   %s%zu FAILED%s%s", color ? "\x1b[31m" : "", r->n_failed,
               failed_in_a_variation(r) ? " in a variation" : "", color ? "\x1b[0m" : "");
    print_variations(r);
    printf("\n");
    for (size_t i = 0; i < r->n; i++)
        if (!r->items[i].passed)
            print_failure(file, &r->items[i]);
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

static void test_file(struct args *a, const char *file, const struct script_test_options *options,
                      struct tally *t)
{
    struct script_test_options o = *options;
    struct script_test_results results;
    struct err e = {0};

    o.script.file = file;
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
    struct tally t = {0};
    struct err e = {0};

    if (job_params(a, params, &e) != 0)
        return command_failed(a, &e);
    if (!read_variation(a, &o))
        return EXIT_USAGE;
    for (size_t i = 0; i < a->n_positional; i++)
        test_file(a, a->positional[i], &o, &t);
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
        "The engine is the real one.\n\n"
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
        "changes {latest} only the last value of each key.",
    .examples = "  leat test jobs/*.lua\n"
                "  leat test job.lua -k fine\n"
                "  leat test job.lua --chaos\n"
                "  leat test job.lua -k fine --variation crash:12\n"
                "  leat test job.lua --json | jq 'select(.passed | not)'",
    .min_positional = 1,
    .max_positional = -1,
    .options = {{"--only", 'k', "TEXT", "only tests whose name contains this"},
                {"--param", 'p', "NAME=VALUE", "a parameter of the jobs; repeatable"},
                {"--chaos", 0, NULL, "each test also in variations that must not matter"},
                {"--variation", 0, "KIND:N", "only this variation, as a failure names it"}},
    .run = test_run,
};
