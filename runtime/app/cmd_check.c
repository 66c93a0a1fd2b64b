// SPDX-License-Identifier: Apache-2.0
//
// leat check: loads a job file as the server would, its tables, queries and operators included, and
// says what is wrong or unwise.
#include <stdio.h>

#include "operators/operators.h"
#include "projections/jobfile.h"
#include "runtime/app/commands.h"
#include "runtime/app/job_params.h"
#include "runtime/app/rehearsal.h"
#include "runtime/http/route.h"
#include "scripts/script.h"

// A job that was loaded, and what is unwise in it: "jobs/a.lua:7: ...", a line each.
struct checked {
    const char *file;
    struct plan *plan;
    struct buf warnings;
    int n_warnings;
};

// --- where queries are found ---

static bool is_param(const struct plan_query *q, struct bytes name)
{
    for (int i = 0; i < q->n_params; i++)
        if (bytes_eq_str(name, q->params[i].name))
            return true;
    return false;
}

// A path matches itself, which gives its parameters.
static int check_path(const struct plan *p, int i, struct err *e)
{
    const struct plan_query *q = &p->queries[i];
    struct route_match m;
    int rc = route_check(q->path, e);

    for (int k = 0; k < i && rc == 0; k++)
        if (p->queries[k].path != NULL && route_collides(p->queries[k].path, q->path))
            rc = err_set(e, LEAT_EEXISTS, "query %s claims %s too (line %d)", p->queries[k].name,
                         q->path, p->queries[k].line);
    if (rc != 0 || !route_matches(q->path, q->path, &m))
        return rc;
    for (size_t k = 0; k < m.n; k++)
        if (!is_param(q, m.params[k].name))
            return err_set(e, LEAT_EINVAL, "path \"%s\": :%.*s is not declared in params", q->path,
                           BYTES_FMT(m.params[k].name));
    return 0;
}

static int check_paths(const struct plan *p, struct err *e)
{
    for (int i = 0; i < p->n_queries; i++) {
        int rc = p->queries[i].path != NULL ? check_path(p, i, e) : 0;

        if (rc != 0)
            return err_wrap(e, rc, "%s:%d: query %s", p->file, p->queries[i].line,
                            p->queries[i].name);
    }
    return 0;
}

static int load(struct checked *c, struct args *a, struct err *e)
{
    const char *params[JOB_PARAMS_MAX + 1];
    struct script_options o = {
        .file = c->file, .params = params, .operators = operator_types()};
    int rc = job_params(a, params, e);

    if (rc == 0)
        rc = script_load(&c->plan, &o, e);
    if (rc != 0)
        return rc;
    for (int i = 0; i < c->plan->n_warnings; i++)
        buf_printf(&c->warnings, "%s\n", c->plan->warnings[i]);
    rc = jobfile_check(c->plan, &c->warnings, e);
    if (rc == 0)
        rc = check_paths(c->plan, e);
    if (rc == 0)
        rc = rehearse(c->plan, e);
    for (size_t i = 0; i < c->warnings.n; i++)
        c->n_warnings += c->warnings.p[i] == '\n';
    return rc;
}

// The next line of the warnings, without its end; false when there is none.
static bool next_warning(struct bytes *rest, struct bytes *line)
{
    const uint8_t *end = rest->n > 0 ? memchr(rest->p, '\n', rest->n) : NULL;

    if (end == NULL)
        return false;
    *line = bytes_of(rest->p, (size_t)(end - rest->p));
    *rest = bytes_of(end + 1, rest->n - line->n - 1);
    return true;
}

static void print_text(const struct checked *c)
{
    struct bytes rest = buf_bytes(&c->warnings), line;
    const struct plan *p = c->plan;

    while (next_warning(&rest, &line))
        printf("warning: %.*s\n", BYTES_FMT(line));
    printf("%s: job %s version %d: %d operators, %d tables, %d queries: ok", c->file, p->job,
           p->version, p->n_nodes, p->n_tables, p->n_queries);
    if (c->n_warnings > 0)
        printf(", %d warning%s", c->n_warnings, c->n_warnings == 1 ? "" : "s");
    printf("\n");
}

// The plan's own object, with two members more.
static void print_json(const struct checked *c)
{
    struct bytes rest = buf_bytes(&c->warnings), line;
    struct buf out = BUF_EMPTY;
    const char *before = "";

    plan_write_json(c->plan, &out);
    out.n--; // the brace that ends it
    buf_append_str(&out, ",\n\"file\":");
    json_write_text(bytes_str(c->file), &out);
    buf_append_str(&out, ",\n\"warnings\":[");
    while (next_warning(&rest, &line)) {
        buf_append_str(&out, before);
        json_write_text(line, &out);
        before = ",";
    }
    printf("%s]}\n", buf_cstr(&out));
    buf_deinit(&out);
}

static int check_file(struct args *a, const char *file, int *warnings, struct err *e)
{
    struct checked c = {.file = file};
    int rc = load(&c, a, e);

    if (rc == 0 && args_has(a, "--json"))
        print_json(&c);
    else if (rc == 0)
        print_text(&c);
    *warnings += c.n_warnings;
    buf_deinit(&c.warnings);
    plan_free(c.plan);
    return rc;
}

static int check_run(struct args *a)
{
    int exit_code = EXIT_OK, warnings = 0;

    for (size_t i = 0; i < a->n_positional; i++) {
        struct err e = {0};
        if (check_file(a, a->positional[i], &warnings, &e) != 0)
            exit_code = command_failed(a, &e);
    }
    return exit_code == EXIT_OK && warnings > 0 && args_has(a, "--strict") ? EXIT_FAILED
                                                                           : exit_code;
}

const struct command command_check = {
    .name = "check",
    .arguments = "JOB.lua...",
    .summary = "load job files and say what is wrong or unwise",
    .details =
        "Nothing runs and no data are touched. What is unwise is a warning: state that grows\n"
        "with its keys, a query that reads a whole table, an index that every event changes,\n"
        "a stream that nothing reads, a topic that comes back, windows that wait for ever.",
    .examples = "  leat check jobs/*.lua\n"
                "  leat check jobs/*.lua --strict\n"
                "  leat check job.lua --json | jq .warnings",
    .exits = "0 every file loads, 1 one does not, or with --strict there are warnings, 2 wrong "
             "usage.",
    .min_positional = 1,
    .max_positional = -1,
    .options = {{"--strict", 0, NULL, "warnings are errors"},
                {"--param", 'p', "NAME=VALUE", "a parameter of the job; repeatable"}},
    .run = check_run,
};
