// SPDX-License-Identifier: Apache-2.0
//
// leat dlq: a job's parked records, and what a person decides about them.
#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "runtime/app/commands.h"
#include "runtime/app/dlq.h"
#include "runtime/base/clock.h"
#include "runtime/base/heap.h"
#include "runtime/base/limits.h"
#include "runtime/record/value.h"

// --- list, show, export ---

static int list(struct dlq *d, struct err *e)
{
    struct buf out = BUF_EMPTY;
    size_t n = 0;

    (void)e;
    if (!args_has(d->args, "--json")) {
        dlq_print_list(d);
        return 0;
    }
    buf_append_byte(&out, '[');
    for (size_t i = 0; i < d->n; i++) {
        if (!d->rows[i].chosen)
            continue;
        buf_append_str(&out, n++ > 0 ? ",\n " : "");
        dlq_row_json(d, &d->rows[i], &out);
    }
    buf_append_str(&out, "]\n");
    fwrite(out.p, 1, out.n, stdout);
    buf_deinit(&out);
    return 0;
}

static int show(struct dlq *d, struct err *e)
{
    struct buf out = BUF_EMPTY;

    if (!dlq_narrowed(d))
        return err_set(e, LEAT_EUSAGE, "show wants ids: leat dlq list %s shows them", d->job);
    for (size_t i = 0; i < d->n; i++) {
        if (!d->rows[i].chosen)
            continue;
        if (!args_has(d->args, "--json")) {
            dlq_print_one(d, &d->rows[i]);
            continue;
        }
        buf_clear(&out);
        dlq_row_json(d, &d->rows[i], &out);
        printf("%s\n", buf_cstr(&out));
    }
    buf_deinit(&out);
    return 0;
}

// One object a line: what was chosen, and what waits behind it.
static int export_rows(struct dlq *d, struct err *e)
{
    const char *path = d->args->n_positional > 2 ? d->args->positional[2] : NULL;
    FILE *f = path != NULL ? fopen(path, "we") : stdout;
    struct buf out = BUF_EMPTY;
    size_t n = 0;
    bool ok;

    if (f == NULL)
        return err_errno(e, errno, "%s", path);
    for (size_t i = 0; i < d->n; i++) {
        bool follower = d->rows[i].row.state == PARKED_SEQUENCE;
        if (!d->rows[i].chosen && (!follower || dlq_narrowed(d)))
            continue;
        buf_clear(&out);
        dlq_row_json(d, &d->rows[i], &out);
        buf_append_byte(&out, '\n');
        fwrite(out.p, 1, out.n, f);
        n++;
    }
    buf_deinit(&out);
    ok = !ferror(f);
    if (path != NULL)
        ok = fclose(f) == 0 && ok;
    if (!ok)
        return err_errno(e, errno, "%s", path != NULL ? path : "stdout");
    if (path != NULL)
        printf("%zu record%s to %s\n", n, n == 1 ? "" : "s", path);
    return 0;
}

// --- retry, skip ---

static size_t decisions_for(struct dlq *d, enum decision_kind kind, struct decision *out)
{
    const char *reason = args_get(d->args, "--reason", NULL);
    size_t n = 0;

    for (size_t i = 0; i < d->n; i++)
        if (d->rows[i].chosen)
            out[n++] = (struct decision){
                .kind = kind, .id = d->rows[i].row.id, .reason = bytes_str(reason)};
    return n;
}

static void say_json(const char *word, const struct decision *decisions, size_t n, bool by_server)
{
    printf("{\"%s\":[", word);
    for (size_t i = 0; i < n; i++)
        printf("%s%lld", i ? "," : "", (long long)decisions[i].id);
    printf("],\"by\":\"%s\"}\n", by_server ? "server" : "file");
}

static int decide_chosen(struct dlq *d, enum decision_kind kind, struct err *e)
{
    static const char *const words[] = {[DECISION_RETRY] = "retried", [DECISION_SKIP] = "skipped"};
    struct decision *decisions = heap_alloc((d->n + 1) * sizeof *decisions);
    size_t n = decisions_for(d, kind, decisions);
    bool by_server = false;
    int rc = n > 0 ? dlq_decide(d, decisions, n, &by_server, e) : 0;

    if (rc == 0 && args_has(d->args, "--json"))
        say_json(words[kind], decisions, n, by_server);
    else if (rc == 0 && n == 0)
        printf("%s: no parked record is chosen\n", d->job);
    else if (rc == 0 && kind == DECISION_SKIP)
        printf("skipped %zu record%s; those behind %s go on%s\n", n, n == 1 ? "" : "s",
               n == 1 ? "it" : "them", by_server ? "" : " when the job runs again");
    else if (rc == 0)
        printf("%zu record%s %s tried again %s\n", n, n == 1 ? "" : "s", n == 1 ? "is" : "are",
               by_server ? "by the running job" : "when the job runs again");
    heap_free(decisions);
    return rc;
}

static int everything_meant(struct dlq *d, const char *verb, struct err *e)
{
    if (dlq_narrowed(d) || args_has(d->args, "--all"))
        return 0;
    return err_set(e, LEAT_EUSAGE, "%s wants ids, --key, --class, or --all", verb);
}

static int retry(struct dlq *d, struct err *e)
{
    int rc = everything_meant(d, "retry", e);

    return rc == 0 ? decide_chosen(d, DECISION_RETRY, e) : rc;
}

static int skip(struct dlq *d, struct err *e)
{
    int rc = everything_meant(d, "skip", e);

    if (rc == 0 && args_get(d->args, "--reason", "")[0] == 0)
        rc = err_set(e, LEAT_EUSAGE, "skip wants --reason TEXT: it is kept with the record");
    return rc == 0 ? decide_chosen(d, DECISION_SKIP, e) : rc;
}

// --- edit ---

static int read_value(const char *path, struct buf *out, struct err *e)
{
    FILE *f = path != NULL && strcmp(path, "-") != 0 ? fopen(path, "re") : stdin;
    size_t n = 1;

    if (f == NULL)
        return err_errno(e, errno, "%s", path);
    while (n > 0 && out->n <= TEXT_BYTES_MAX) {
        buf_reserve(out, 65536);
        n = fread(out->p + out->n, 1, 65536, f);
        out->n += n;
    }
    if (f != stdin)
        (void)fclose(f);
    if (out->n > TEXT_BYTES_MAX)
        return err_set(e, LEAT_ETOOBIG, "a value has at most %d bytes", TEXT_BYTES_MAX);
    return 0;
}

// What an editor puts at a file's end is not part of a JSON value.
static int check_value(struct dlq *d, struct buf *value, struct err *e)
{
    struct value v;
    int rc;

    if (args_has(d->args, "--bytes"))
        return 0;
    while (value->n > 0 && strchr(" \t\r\n", value->p[value->n - 1]) != NULL)
        value->n--;
    rc = value_decode(FORMAT_JSON, buf_bytes(value), &d->arena, &v, e);
    return rc == 0 ? 0 : err_wrap(e, rc, "the amended value (--bytes takes any)");
}

static int edit(struct dlq *d, struct err *e)
{
    struct decision decisions[2] = {{.kind = DECISION_EDIT}, {.kind = DECISION_RETRY}};
    bool again = args_has(d->args, "--retry"), by_server = false;
    struct buf value = BUF_EMPTY;
    int rc = read_value(d->args->n_positional > 3 ? d->args->positional[3] : NULL, &value, e);

    if (rc == 0)
        rc = check_value(d, &value, e);
    for (size_t i = 0; i < d->n && rc == 0; i++)
        if (d->rows[i].chosen)
            decisions[0].id = decisions[1].id = d->rows[i].row.id;
    decisions[0].value = value.n > 0 ? buf_bytes(&value) : BYTES_LIT("");
    if (rc == 0)
        rc = dlq_decide(d, decisions, again ? 2 : 1, &by_server, e);
    if (rc == 0 && args_has(d->args, "--json"))
        say_json("edited", decisions, 1, by_server);
    else if (rc == 0)
        printf("record %lld is amended%s\n", (long long)decisions[0].id,
               !again      ? "; leat dlq retry has it tried again"
               : by_server ? " and tried again by the running job"
                           : " and tried again when the job runs");
    buf_deinit(&value);
    return rc;
}

// --- all of it ---

static const struct verb {
    const char *name;
    int (*run)(struct dlq *d, struct err *e);
    size_t ids_max, positional_max; // of the arguments behind the job; those behind the ids
    size_t ids_min;
} verbs[] = {
    {"list", list, SIZE_MAX, 0, 0},   {"show", show, SIZE_MAX, 0, 0},
    {"retry", retry, SIZE_MAX, 0, 0}, {"edit", edit, 1, 1, 1},
    {"skip", skip, SIZE_MAX, 0, 0},   {"export", export_rows, 0, 1, 0},
};

static int dlq_run(struct args *a)
{
    const struct verb *v = NULL;
    size_t behind = a->n_positional - 2, ids;
    struct err e = {0};
    struct dlq d;
    int rc;

    for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
        if (strcmp(a->positional[0], verbs[i].name) == 0)
            v = &verbs[i];
    if (v == NULL)
        return usage_error(a, "\"%s\" is none of list, show, retry, edit, skip, export",
                           a->positional[0]);
    ids = behind < v->ids_max ? behind : v->ids_max;
    if (behind - ids > v->positional_max)
        return usage_error(a, "unexpected argument \"%s\"",
                           a->positional[2 + ids + v->positional_max]);
    if (ids < v->ids_min)
        return usage_error(a, "%s wants an id: leat dlq list %s shows them", v->name,
                           a->positional[1]);
    rc = dlq_load(&d, a, 2 + ids, &e);
    if (rc == 0)
        rc = v->run(&d, &e);
    dlq_free(&d);
    return rc == 0 ? EXIT_OK : command_failed(a, &e);
}

const struct command command_dlq = {
    .name = "dlq",
    .arguments = "list|show|retry|edit|skip|export JOB [ID...] [FILE]",
    .summary = "records that failed: look at them, have them tried again, mend or skip them",
    .details =
        "A record that fails is parked in the job's file with its reason, and what comes later "
        "with its key\nwaits behind it. Decisions are taken by the running server, which must be "
        "of the same data folder,\nor written into the file when none runs.\n"
        "  list     what is parked for itself, and how many wait behind\n"
        "  show     all about some records\n"
        "  retry    tries them again now; when one is cured, those behind it run in order\n"
        "  edit     puts another value (of FILE, or standard input) beside the original, to be "
        "tried instead\n"
        "  skip     gives them up, for a reason that is kept; those behind them go on\n"
        "  export   one JSON object a line, to FILE or standard output",
    .examples = "  leat dlq list bookings\n"
                "  leat dlq list bookings --class missing --json\n"
                "  leat dlq show bookings 118\n"
                "  leat dlq retry bookings --key m1\n"
                "  leat dlq edit bookings 118 amended.json --retry\n"
                "  leat dlq skip bookings 118 --reason \"a test order\"\n"
                "  leat dlq export bookings parked.ndjson",
    .min_positional = 2,
    .max_positional = -1,
    .options = {{"--data", 'd', "DIR", "the server's data (data)"},
                {"--id", 'i', "ID", "of this record; repeatable"},
                {"--key", 'k', "KEY", "of this key"},
                {"--class", 'c', "CLASS", "of this class: lua, missing, decode ..."},
                {"--all", 'a', NULL, "retry, skip: whatever is parked for itself"},
                {"--skipped", 0, NULL, "list, export: what has been skipped"},
                {"--reason", 'r', "TEXT", "skip: why"},
                {"--retry", 0, NULL, "edit: and try it again"},
                {"--bytes", 0, NULL, "edit: the value need not be JSON"}},
    .run = dlq_run,
};
