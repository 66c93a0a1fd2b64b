// SPDX-License-Identifier: Apache-2.0
//
// leat explain: the operators of a job as a tree, and which of them run Lua per record; with
// --cost, what each takes on a sample.
#include <stdio.h>

#include "operators/operators.h"
#include "runtime/app/commands.h"
#include "runtime/app/cost.h"
#include "runtime/app/job_params.h"
#include "scripts/script.h"

enum { SAMPLES_MAX = 16, SAMPLE_SMALL = 1000 };

static const char *only_topic(const struct plan *p)
{
    const char *topic = NULL;

    for (int i = 0; i < p->n_nodes; i++) {
        if (p->nodes[i].kind != NODE_SOURCE)
            continue;
        if (topic != NULL)
            return NULL;
        topic = p->nodes[i].source.topic;
    }
    return topic;
}

static bool reads(const struct plan *p, const char *topic)
{
    for (int i = 0; i < p->n_nodes; i++)
        if (p->nodes[i].kind == NODE_SOURCE && strcmp(p->nodes[i].source.topic, topic) == 0)
            return true;
    return false;
}

static int which_topic(const struct plan *p, const struct args *a, size_t i, const char **out,
                       struct err *e)
{
    struct buf topics = BUF_EMPTY;
    int rc;

    *out = args_nth(a, "--topic", i);
    if (*out == NULL)
        *out = only_topic(p);
    if (*out != NULL && reads(p, *out))
        return 0;
    for (int k = 0; k < p->n_nodes; k++)
        if (p->nodes[k].kind == NODE_SOURCE)
            buf_printf(&topics, "%s%s", topics.n ? ", " : "", p->nodes[k].source.topic);
    if (*out == NULL)
        rc = err_set(e, LEAT_EUSAGE,
                     "the job reads %s: say with --topic of which of them the sample is",
                     buf_cstr(&topics));
    else
        rc = err_set(e, LEAT_EUSAGE, "the job does not read %s; it reads %s", *out,
                     buf_cstr(&topics));
    buf_deinit(&topics);
    return rc;
}

static int measure(const struct plan *p, const struct args *a, struct arena *arena,
                   struct cost *out, struct err *e)
{
    struct cost_sample samples[SAMPLES_MAX];
    size_t n;
    int rc = 0;

    for (n = 0; rc == 0 && n < SAMPLES_MAX && args_nth(a, "--cost", n) != NULL; n++) {
        samples[n] = (struct cost_sample){.file = args_nth(a, "--cost", n),
                                          .key = args_nth(a, "--key", n)};
        rc = which_topic(p, a, n, &samples[n].topic, e);
    }
    return rc == 0 ? cost_measure(p, samples, n, arena, out, e) : rc;
}

static int64_t per_record(int64_t ns, int64_t records)
{
    return records > 0 ? (ns + records / 2) / records : 0;
}

static void cost_text(const struct cost *c, struct buf *out)
{
    int64_t rest = per_record(c->rest_ns, c->records);

    buf_printf(out,
               "%lld records, the least of %d runs; %lld ns per record go into reading, merging "
               "and committing\n",
               (long long)c->records, c->runs, (long long)rest);
    if (c->records < SAMPLE_SMALL)
        buf_append_str(out, "the sample is small: this is mostly what the first records take\n");
    if (c->parked > 0)
        buf_printf(out, "%lld of them failed and were parked: is the sample the right one?\n",
                   (long long)c->parked);
    if (LEAT_TESTING)
        buf_append_str(out, "this is a build for tests: an optimised one takes a fraction\n");
}

static void cost_json(const struct plan *p, const struct cost *c, struct buf *out)
{
    buf_printf(out, ",\n\"cost\":{\"records\":%lld,\"parked\":%lld,\"rest_ns\":%lld,\"nodes\":[",
               (long long)c->records, (long long)c->parked,
               (long long)per_record(c->rest_ns, c->records));
    for (int i = 0; i < p->n_nodes; i++)
        buf_printf(out, "%s{\"node\":%d,\"records\":%lld,\"ns\":%lld}", i ? "," : "", i,
                   (long long)c->nodes[i].records,
                   (long long)per_record(c->nodes[i].ns, c->nodes[i].records));
    buf_append_str(out, "]}");
}

static void print(const struct plan *p, const struct args *a, const struct cost *cost)
{
    struct buf out = BUF_EMPTY;

    if (args_has(a, "--json")) {
        plan_write_json(p, &out);
        if (cost != NULL) {
            out.n--; // the brace that ends it
            cost_json(p, cost, &out);
            buf_append_byte(&out, '}');
        }
        buf_append_byte(&out, '\n');
    } else {
        plan_explain(p, cost != NULL ? cost->nodes : NULL, &out);
        if (cost != NULL)
            cost_text(cost, &out);
    }
    fwrite(out.p, 1, out.n, stdout);
    buf_deinit(&out);
}

static int explain_run(struct args *a)
{
    const char *params[JOB_PARAMS_MAX + 1];
    struct script_options o = {
        .file = a->positional[0], .params = params, .operators = operator_types()};
    bool with_cost = args_has(a, "--cost");
    struct err e = {0};
    struct arena arena;
    struct cost cost;
    struct plan *p = NULL;
    int rc = job_params(a, params, &e);

    arena_init(&arena);
    if (rc == 0)
        rc = script_load(&p, &o, &e);
    if (rc == 0 && with_cost)
        rc = measure(p, a, &arena, &cost, &e);
    if (rc == 0)
        print(p, a, with_cost ? &cost : NULL);
    plan_free(p);
    arena_deinit(&arena);
    return rc == 0 ? EXIT_OK : command_failed(a, &e);
}

const struct command command_explain = {
    .name = "explain",
    .arguments = "JOB.lua",
    .summary = "show a job's operators, where Lua runs, and what each takes",
    .details = "With --cost the job runs over the sample, on a database in memory, and each\n"
               "operator's own time is shown per record that reaches it.",
    .examples = "  leat explain examples/weather/job.lua\n"
                "  leat explain job.lua --cost sample.jsonl\n"
                "  leat explain job.lua --cost o.jsonl --topic orders --cost p.csv --topic paid\n"
                "  leat explain job.lua --json",
    .min_positional = 1,
    .max_positional = 1,
    .options = {{"--cost", 0, "FILE", "a sample, JSON lines or *.csv; repeatable"},
                {"--topic", 't', "TOPIC", "whose records they are, where the job reads several"},
                {"--key", 'k', "FIELD", "the field of the sample with the record key"},
                {"--param", 'p', "NAME=VALUE", "a parameter of the job; repeatable"}},
    .run = explain_run,
};
