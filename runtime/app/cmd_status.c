// SPDX-License-Identifier: Apache-2.0
//
// leat status: what a running server is doing, asked over HTTP.
#include <stdio.h>

#include "runtime/app/commands.h"
#include "runtime/app/http_get.h"
#include "runtime/app/terminal.h"
#include "runtime/record/value.h"

static struct bytes text_of(const struct value *object, const char *name, struct arena *a)
{
    struct value v = VALUE_OF_MISSING;

    if (value_member(object, bytes_str(name), a, &v, NULL) != 0 || v.type != VALUE_TEXT)
        return BYTES_LIT("");
    return v.s;
}

static void number_cell(struct table_print *t, const struct value *object, const char *name,
                        struct arena *a)
{
    struct value v = VALUE_OF_MISSING;
    char text[32] = "";

    if (value_member(object, bytes_str(name), a, &v, NULL) == 0 && v.type == VALUE_INT)
        snprintf(text, sizeof text, "%lld", (long long)v.i);
    table_print_cell(t, bytes_str(text), true);
}

static void job_row(struct table_print *t, const struct value *job, struct arena *a)
{
    static const char *const numbers[] = {"version", "records_in", "records_out",
                                          "lag",     "parked",     "late"};

    table_print_cell(t, text_of(job, "job", a), false);
    table_print_cell(t, text_of(job, "state", a), false);
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        number_cell(t, job, numbers[i], a);
    table_print_cell(t, text_of(job, "watermark", a), false);
}

static void print_reasons(const struct value *jobs, struct arena *a)
{
    struct bytes name;
    struct value_iter it;
    struct value job;

    value_iter_init(&it, jobs, a);
    while (value_iter_next(&it, &name, &job, NULL) == 1) {
        struct bytes why = text_of(&job, "why", a);
        if (why.n > 0)
            printf("\n ! %.*s: %.*s\n", BYTES_FMT(text_of(&job, "job", a)), BYTES_FMT(why));
    }
}

static int print_status(struct bytes body, struct arena *a, struct err *e)
{
    static const char *const columns[] = {"job", "state",  "version", "in",       "out",
                                          "lag", "parked", "late",    "watermark"};
    struct value status, jobs, job;
    struct table_print *t;
    struct bytes name;
    struct value_iter it;
    int rc = value_decode(FORMAT_JSON, body, a, &status, e);

    if (rc == 0)
        rc = value_member(&status, BYTES_LIT("jobs"), a, &jobs, e);
    if (rc != 0)
        return rc;
    printf("leat %.*s  kafka %.*s  http %.*s\n\n", BYTES_FMT(text_of(&status, "version", a)),
           BYTES_FMT(text_of(&status, "kafka", a)), BYTES_FMT(text_of(&status, "http", a)));
    t = table_print_new(columns, ARRAY_LEN(columns));
    value_iter_init(&it, &jobs, a);
    while ((rc = value_iter_next(&it, &name, &job, e)) == 1)
        job_row(t, &job, a);
    table_print_end(t, stdout);
    print_reasons(&jobs, a);
    return rc;
}

static int status_run(struct args *a)
{
    struct buf body = BUF_EMPTY;
    struct err e = {0};
    struct arena arena;
    int status, rc;

    arena_init(&arena);
    rc = http_get(args_get(a, "--http", "127.0.0.1:8080"), "/status", 5000, &status, &body, &e);
    if (rc == 0 && status != 200)
        rc = err_set(&e, LEAT_EIO, "the server answered %d: %s", status, buf_cstr(&body));
    if (rc == 0 && args_has(a, "--json"))
        fwrite(body.p, 1, body.n, stdout);
    else if (rc == 0)
        rc = print_status(buf_bytes(&body), &arena, &e);
    buf_deinit(&body);
    arena_deinit(&arena);
    return rc == 0 ? EXIT_OK : command_failed(a, &e);
}

const struct command command_status = {
    .name = "status",
    .arguments = "",
    .summary = "what a running server and its jobs are doing",
    .examples = "  leat status\n"
                "  leat status --json | jq '.jobs[] | select(.state != \"running\")'",
    .max_positional = 0,
    .options = {{"--http", 0, "HOST:PORT", "the server's HTTP port (127.0.0.1:8080)"}},
    .run = status_run,
};
