// SPDX-License-Identifier: Apache-2.0
//
// leat explain: the operators of a job as a tree, and which of them run Lua per record.
#include <stdio.h>

#include "operators/operators.h"
#include "runtime/app/commands.h"
#include "runtime/app/job_params.h"
#include "scripts/script.h"

static int explain_run(struct args *a)
{
    const char *params[JOB_PARAMS_MAX + 1];
    struct script_options o = {
        .file = a->positional[0], .params = params, .operators = operator_types()};
    struct buf out = BUF_EMPTY;
    struct err e = {0};
    struct plan *p;
    int rc = job_params(a, params, &e);

    if (rc == 0)
        rc = script_load(&p, &o, &e);
    if (rc != 0)
        return command_failed(a, &e);
    if (args_has(a, "--json"))
        plan_write_json(p, &out);
    else
        plan_explain(p, &out);
    fwrite(out.p, 1, out.n, stdout);
    if (out.n > 0 && out.p[out.n - 1] != '\n')
        printf("\n");
    buf_deinit(&out);
    plan_free(p);
    return EXIT_OK;
}

const struct command command_explain = {
    .name = "explain",
    .arguments = "JOB.lua",
    .summary = "show a job's operators, and where Lua runs",
    .examples = "  leat explain examples/weather/job.lua\n"
                "  leat explain job.lua --json",
    .min_positional = 1,
    .max_positional = 1,
    .options = {{"--param", 'p', "NAME=VALUE", "a parameter of the job; repeatable"}},
    .run = explain_run,
};
