// SPDX-License-Identifier: Apache-2.0
//
// leat check: loads a job file as the server would, its tables and queries included, and says what
// is wrong or unwise.
#include <stdio.h>

#include "operators/operators.h"
#include "projections/jobfile.h"
#include "runtime/app/commands.h"
#include "runtime/app/job_params.h"
#include "scripts/script.h"

static void print_warnings(const struct plan *p, struct buf *more)
{
    for (int i = 0; i < p->n_warnings; i++)
        printf("warning: %s\n", p->warnings[i]);
    for (const char *line = buf_cstr(more); *line;) {
        size_t n = strcspn(line, "\n");
        printf("warning: %.*s\n", (int)n, line);
        line += n + (line[n] == '\n');
    }
}

static int check_file(struct args *a, const char *file, struct err *e)
{
    const char *params[JOB_PARAMS_MAX + 1];
    struct script_options o = {.file = file, .params = params, .operators = operator_types()};
    struct buf warnings = BUF_EMPTY;
    struct plan *p;
    int rc = job_params(a, params, e);

    if (rc == 0)
        rc = script_load(&p, &o, e);
    if (rc != 0)
        return rc;
    rc = jobfile_check(p, &warnings, e);
    if (rc == 0 && args_has(a, "--json")) {
        struct buf out = BUF_EMPTY;
        plan_write_json(p, &out);
        printf("%s\n", buf_cstr(&out));
        buf_deinit(&out);
    } else if (rc == 0) {
        print_warnings(p, &warnings);
        printf("%s: job %s version %d: %d operators, %d tables, %d queries: ok\n", file, p->job,
               p->version, p->n_nodes, p->n_tables, p->n_queries);
    }
    buf_deinit(&warnings);
    plan_free(p);
    return rc;
}

static int check_run(struct args *a)
{
    int exit_code = EXIT_OK;

    for (size_t i = 0; i < a->n_positional; i++) {
        struct err e = {0};
        if (check_file(a, a->positional[i], &e) != 0)
            exit_code = command_failed(a, &e);
    }
    return exit_code;
}

const struct command command_check = {
    .name = "check",
    .arguments = "JOB.lua...",
    .summary = "load job files and say what is wrong or unwise",
    .examples = "  leat check jobs/*.lua\n"
                "  leat check job.lua --json | jq .nodes",
    .min_positional = 1,
    .max_positional = -1,
    .options = {{"--param", 'p', "NAME=VALUE", "a parameter of the job; repeatable"}},
    .run = check_run,
};
