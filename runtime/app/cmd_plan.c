// SPDX-License-Identifier: Apache-2.0
//
// leat plan: what starting a job would do to what is there, before anything runs. The job's file is
// read beside whoever has it open.
#include <stdio.h>

#include "operators/operators.h"
#include "projections/jobfile.h"
#include "runtime/app/commands.h"
#include "runtime/app/job_params.h"
#include "runtime/app/job_versions.h"
#include "runtime/base/datetime.h"
#include "runtime/base/heap.h"
#include "scripts/script.h"

enum { EXIT_REBUILD = 2, TEXT_COLUMNS_MAX = 72 };

// One job on its way through.
struct outlook {
    const char *file;
    struct plan *plan;
    struct arena arena;
    struct job_versions versions;
    enum version_start start;
    struct err refused; // of VERSION_REFUSED
    int against;        // the version that it is compared with; 0: none has run
    struct jobfile_comparison c;
};

static int look(struct outlook *o, const char *data_dir, struct err *e)
{
    char *path;
    int rc = job_versions_look(data_dir, o->plan, &o->versions, e);

    if (rc != 0)
        return rc;
    o->start = job_versions_decide(o->plan, &o->versions, &o->refused);
    o->against = o->versions.there ? o->plan->version : o->versions.other;
    if (o->against == 0)
        return 0;
    path = job_version_path(data_dir, o->plan->job, o->against);
    rc = jobfile_compare(o->plan, path, &o->arena, &o->c, e);
    heap_free(path);
    if (rc != LEAT_ENOTFOUND)
        return rc;
    o->against = 0;
    return 0;
}

static bool same_version(const struct outlook *o)
{
    return o->against == o->plan->version;
}

// Starting the job as it is would read its inputs again, or is refused until it says that it may.
static bool is_rebuild(const struct outlook *o)
{
    return o->start == VERSION_REFUSED || o->start == VERSION_ANEW ||
           (same_version(o) && o->c.differences.class == UPGRADE_REBUILD);
}

static bool has_class(const struct outlook *o, enum upgrade_class class)
{
    for (int i = 0; i < o->c.differences.n; i++)
        if (o->c.differences.items[i].class == class)
            return true;
    return false;
}

// --- text ---

static size_t columns_of(const char *s)
{
    size_t n = 0;

    for (; *s; s++)
        n += ((uint8_t)*s & 0xc0) != 0x80;
    return n;
}

static void pad(size_t have, size_t want)
{
    printf("%*s", have < want ? (int)(want - have) : 0, "");
}

static void print_difference(const struct difference *d, size_t name_columns, size_t text_columns)
{
    printf("   %s %s", d->what, d->name);
    pad(strlen(d->what) + 1 + columns_of(d->name), name_columns);
    printf("   %c %s", d->sign, d->text);
    pad(columns_of(d->text), text_columns);
    printf("   %s",
           d->class == UPGRADE_REBUILD ? "REBUILD" : upgrade_class_name(d->class));
    if (d->why[0])
        printf(" (%s)", d->why);
    printf("\n");
}

static void print_differences(const struct differences *d)
{
    size_t names = 0, texts = 0;

    for (int i = 0; i < d->n; i++) {
        size_t name = strlen(d->items[i].what) + 1 + columns_of(d->items[i].name),
               text = columns_of(d->items[i].text);
        names = name > names ? name : names;
        if (text > texts)
            texts = text < TEXT_COLUMNS_MAX ? text : TEXT_COLUMNS_MAX;
    }
    for (int i = 0; i < d->n; i++)
        print_difference(&d->items[i], names, texts);
}

static void print_count(int64_t n)
{
    char digits[24];
    int len = snprintf(digits, sizeof digits, "%lld", (long long)n);

    for (int i = 0; i < len; i++)
        printf("%s%c", i > 0 && (len - i) % 3 == 0 ? "," : "", digits[i]);
}

static void print_sources(const struct plan *p)
{
    const char *before = "";

    for (int i = 0; i < p->n_nodes; i++) {
        if (p->nodes[i].kind != NODE_SOURCE)
            continue;
        printf("%s%s", before, p->nodes[i].source.topic);
        before = ", ";
    }
}

static int64_t rebuild_ms(const struct outlook *o)
{
    return o->c.per_second > 0 ? o->c.records * 1000 / o->c.per_second : -1;
}

static void print_cost(const struct outlook *o)
{
    char text[32];
    int64_t ms = rebuild_ms(o);

    if (o->c.records < 0)
        return;
    printf(" A rebuild reads ");
    print_sources(o->plan);
    printf(" from the start: up to ");
    print_count(o->c.records);
    printf(" records");
    if (ms >= 1000) {
        duration_format(ms / 1000 * 1000, text);
        printf(", ~%s at the last measured rate", text);
    }
    printf(".\n");
}

static void print_what_to_do(const struct outlook *o)
{
    int version = o->plan->version;

    if (o->start == VERSION_REFUSED) {
        printf(" Refused: %s.\n", o->refused.text);
    } else if (o->start == VERSION_ANEW) {
        printf(" Version %d begins at the start of its inputs; the file of version %d stays.\n",
               version, o->versions.other);
    } else if (is_rebuild(o)) {
        printf(" Set version = %d to build it anew beside version %d%s", version + 1, version,
               plan_again(o->plan));
        printf(o->c.differences.from_now
                   ? ", or start it with --from-now: what is there keeps the old meaning.\n"
                   : ".\n");
    }
    if (same_version(o) && has_class(o, UPGRADE_REMOVED))
        printf(" Start it with --yes: what the removed ones keep is dropped.\n");
}

static void print_text(const struct outlook *o)
{
    const struct plan *p = o->plan;

    if (o->against == 0) {
        printf(" %s %d: new; it reads ", p->job, p->version);
        print_sources(p);
        printf("\n");
        return;
    }
    if (same_version(o) && o->c.differences.n == 0 && !is_rebuild(o)) {
        printf(" %s %d: nothing has changed\n", p->job, p->version);
        return;
    }
    if (same_version(o))
        printf(" %s %d\n", p->job, p->version);
    else
        printf(" %s %d → %d\n", p->job, o->against, p->version);
    print_differences(&o->c.differences);
    if (is_rebuild(o))
        print_cost(o);
    print_what_to_do(o);
}

// --- JSON ---

static void member(struct buf *out, const char *name, const char *value)
{
    buf_printf(out, ",\"%s\":", name);
    json_write_text(bytes_str(value), out);
}

static void difference_json(const struct difference *d, struct buf *out)
{
    char sign[] = {d->sign, 0};

    buf_append_str(out, "{\"class\":");
    json_write_text(bytes_str(upgrade_class_name(d->class)), out);
    member(out, "what", d->what);
    member(out, "name", d->name);
    member(out, "sign", sign);
    member(out, "text", d->text);
    member(out, "why", d->why);
    buf_printf(out, ",\"from_now\":%s,\"line\":%d}",
               d->class < UPGRADE_REBUILD || d->from_now ? "true" : "false", d->line);
}

static void print_json(const struct outlook *o)
{
    static const char *const starts[] = {"new", "goes on", "anew", "refused"};
    struct buf out = BUF_EMPTY;

    buf_append_str(&out, "{\"job\":");
    json_write_text(bytes_str(o->plan->job), &out);
    member(&out, "file", o->file);
    buf_printf(&out, ",\"version\":%d,\"against\":%d", o->plan->version, o->against);
    member(&out, "start", starts[o->start]);
    member(&out, "refused", o->start == VERSION_REFUSED ? o->refused.text : "");
    member(&out, "class", upgrade_class_name(o->c.differences.class));
    buf_printf(&out, ",\"rebuild\":%s", is_rebuild(o) ? "true" : "false");
    if (o->against != 0)
        buf_printf(&out, ",\"records\":%lld,\"rebuild_ms\":%lld", (long long)o->c.records,
                   (long long)rebuild_ms(o));
    buf_append_str(&out, ",\"differences\":[");
    for (int i = 0; i < o->c.differences.n; i++) {
        buf_append_str(&out, i ? ",\n " : "\n ");
        difference_json(&o->c.differences.items[i], &out);
    }
    printf("%s]}\n", buf_cstr(&out));
    buf_deinit(&out);
}

// --- command ---

static int plan_file(struct args *a, const char *file, bool *rebuild, struct err *e)
{
    const char *params[JOB_PARAMS_MAX + 1];
    struct outlook o = {.file = file};
    struct script_options s = {.file = file, .params = params, .operators = operator_types()};
    int rc = job_params(a, params, e);

    if (rc == 0)
        rc = script_load(&o.plan, &s, e);
    if (rc != 0)
        return rc;
    arena_init(&o.arena);
    rc = jobfile_check(o.plan, NULL, e);
    if (rc == 0)
        rc = look(&o, args_get(a, "--data", "data"), e);
    if (rc == 0 && args_has(a, "--json"))
        print_json(&o);
    else if (rc == 0)
        print_text(&o);
    *rebuild = *rebuild || (rc == 0 && is_rebuild(&o));
    arena_deinit(&o.arena);
    plan_free(o.plan);
    return rc;
}

static int plan_run(struct args *a)
{
    int exit_code = EXIT_OK;
    bool rebuild = false;

    for (size_t i = 0; i < a->n_positional; i++) {
        struct err e = {0};
        if (plan_file(a, a->positional[i], &rebuild, &e) != 0)
            exit_code = command_failed(a, &e);
    }
    return exit_code == EXIT_OK && rebuild ? EXIT_REBUILD : exit_code;
}

const struct command command_plan = {
    .name = "plan",
    .arguments = "JOB.lua...",
    .summary = "what starting a changed job would do to what is there",
    .details =
        "Compares a job with the one that its file in the data folder was made for, and says of\n"
        "each difference whether it is taken up in place, holds from now on, drops what was\n"
        "removed, or needs a rebuild. Nothing is changed; the server may be running.",
    .examples = "  leat plan jobs/orders.lua\n"
                "  leat plan jobs/*.lua --data /var/lib/leat --json",
    .exits = "0 nothing is rebuilt, 1 the operation failed (a job does not load), 2 a rebuild is "
             "needed,\nor wrong usage.",
    .min_positional = 1,
    .max_positional = -1,
    .options = {{"--data", 'd', "DIR", "where topics and jobs live (data)"},
                {"--param", 'p', "NAME=VALUE", "a parameter of the jobs; repeatable"}},
    .run = plan_run,
};
