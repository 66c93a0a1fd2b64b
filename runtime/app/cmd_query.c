// SPDX-License-Identifier: Apache-2.0
//
// leat query: a named query or SQL over a job's read model, straight from its file; the server may
// run or not.
#include <stdio.h>
#include <strings.h>
#include <time.h>

#include "projections/jobfile.h"
#include "runtime/app/commands.h"
#include "runtime/app/job_path.h"
#include "runtime/app/terminal.h"
#include "runtime/base/clock.h"
#include "runtime/base/heap.h"
#include "runtime/base/limits.h"

enum { PARAMS_MAX = 64 };

struct query {
    struct args *args;
    struct arena arena;
    struct query_reader *reader;
    struct query_request request;
    struct bytes names[PARAMS_MAX], texts[PARAMS_MAX];
};

// "select", "with", "explain"...: SQL rather than a name.
static bool is_sql(const char *text)
{
    return strpbrk(text, " \t\n") != NULL;
}

static int params(struct query *q, struct err *e)
{
    const char *text;
    size_t i;

    for (i = 0; (text = args_nth(q->args, "--param", i)) != NULL; i++) {
        const char *equals = strchr(text, '=');
        if (equals == NULL || i == PARAMS_MAX)
            return err_set(e, LEAT_EUSAGE, "--param wants name=value, at most %d times",
                           PARAMS_MAX);
        q->names[i] = bytes_of(text, (size_t)(equals - text));
        q->texts[i] = bytes_str(equals + 1);
    }
    q->request.names = q->names;
    q->request.texts = q->texts;
    q->request.n_params = i;
    return 0;
}

static int find_named(struct query *q, const char *name, struct err *e)
{
    const struct plan *p = q->reader->ops->plan(q->reader);
    struct buf names = BUF_EMPTY;

    for (int i = 0; i < p->n_queries; i++) {
        if (strcmp(p->queries[i].name, name) == 0)
            q->request.named = &p->queries[i];
        buf_printf(&names, "%s%s", i ? ", " : "", p->queries[i].name);
    }
    if (q->request.named == NULL)
        err_set(e, LEAT_ENOTFOUND, "job %s has no query \"%s\"%s%s; SQL starts with select", p->job,
                name, names.n ? "; it has: " : "", buf_cstr(&names));
    buf_deinit(&names);
    return q->request.named != NULL ? 0 : LEAT_ENOTFOUND;
}

static int wait_position(struct query *q, struct err *e)
{
    const char *position = args_get(q->args, "--min-position", NULL);
    struct timespec pause = {.tv_nsec = 5000000};
    int64_t wait_ms = MIN_POSITION_WAIT_MS, deadline;
    int rc = args_int(q->args, "--wait", 0, 86400000, &wait_ms, e);

    if (rc != 0 || position == NULL)
        return rc;
    deadline = clock_mono_ms(clock_system()) + wait_ms;
    for (;;) {
        rc = q->reader->ops->reached(q->reader, bytes_str(position), e);
        if (rc != 0)
            return rc < 0 ? rc : 0;
        if (clock_mono_ms(clock_system()) >= deadline)
            return err_set(e, LEAT_ETIMEDOUT,
                           "the job has not reached %s within %lld ms; `leat status` "
                           "says what it is doing",
                           position, (long long)wait_ms);
        nanosleep(&pause, NULL);
    }
}

// --- printing ---

static void cell_text(const struct value *cell, struct buf *out)
{
    buf_clear(out);
    if (cell->type == VALUE_TEXT)
        buf_append_bytes(out, cell->s);
    else if (!value_is_nil(cell) && value_write_json(cell, out, NULL) != 0)
        buf_append_str(out, "?");
}

static bool is_number(const struct value *cell)
{
    return cell->type == VALUE_INT || cell->type == VALUE_FLOAT || cell->type == VALUE_DECIMAL;
}

static void print_table(const struct query_answer *a, struct arena *arena)
{
    const char **names = arena_alloc(arena, a->n_columns * sizeof *names);
    struct buf text = BUF_EMPTY;
    struct table_print *t;

    for (size_t k = 0; k < a->n_columns; k++)
        names[k] = (const char *)arena_copy(arena, a->columns[k]).p;
    t = table_print_new(names, a->n_columns);
    for (size_t i = 0; i < a->n_rows * a->n_columns; i++) {
        cell_text(&a->cells[i], &text);
        table_print_cell(t, buf_bytes(&text), is_number(&a->cells[i]));
    }
    table_print_end(t, stdout);
    buf_deinit(&text);
}

static void csv_cell(struct bytes text, bool last)
{
    bool quote = false;

    for (size_t i = 0; i < text.n; i++)
        quote = quote || strchr(",\"\r\n", text.p[i]) != NULL;
    if (quote)
        putchar('"');
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == '"')
            putchar('"');
        putchar(text.p[i]);
    }
    if (quote)
        putchar('"');
    putchar(last ? '\n' : ',');
}

static void print_csv(const struct query_answer *a)
{
    struct buf text = BUF_EMPTY;

    for (size_t k = 0; k < a->n_columns; k++)
        csv_cell(a->columns[k], k + 1 == a->n_columns);
    for (size_t i = 0; i < a->n_rows * a->n_columns; i++) {
        cell_text(&a->cells[i], &text);
        csv_cell(buf_bytes(&text), (i + 1) % a->n_columns == 0);
    }
    buf_deinit(&text);
}

static int print_plot(const struct query_answer *a, const char *column, struct err *e)
{
    double *points = heap_alloc((a->n_rows + 1) * sizeof *points);
    size_t n = 0, k = 0;

    while (k < a->n_columns && !bytes_eq_str(a->columns[k], column))
        k++;
    if (k == a->n_columns) {
        heap_free(points);
        return err_set(e, LEAT_EUSAGE, "--plot: the answer has no column %s", column);
    }
    for (size_t i = 0; i < a->n_rows; i++) {
        const struct value *cell = &a->cells[i * a->n_columns + k];
        if (cell->type == VALUE_INT)
            points[n++] = (double)cell->i;
        else if (cell->type == VALUE_FLOAT)
            points[n++] = cell->f;
    }
    plot_print(points, n, 10, "first", "last", stdout);
    heap_free(points);
    return 0;
}

static int print_answer(struct query *q, const struct query_answer *a, struct err *e)
{
    const char *plot = args_get(q->args, "--plot", NULL);
    struct buf json = BUF_EMPTY;
    int rc = 0;

    if (args_has(q->args, "--json")) {
        rc = query_answer_json(a, q->request.named != NULL && q->request.named->one, &json, e);
        fwrite(json.p, 1, json.n, stdout);
        buf_deinit(&json);
    } else if (plot != NULL) {
        rc = print_plot(a, plot, e);
    } else if (args_has(q->args, "--csv")) {
        print_csv(a);
    } else {
        print_table(a, &q->arena);
    }
    if (rc == 0 && a->truncated) { // not where a program reads it as a row
        fflush(stdout);
        fprintf(stderr, "leat query: cut at %zu rows; --all has them all\n", a->n_rows);
    }
    return rc;
}

// --- all of it ---

static int ask(struct query *q, struct err *e)
{
    const char *job = q->args->positional[0], *what = q->args->positional[1], *path;
    struct query_answer answer;
    int rc = params(q, e);

    if (rc == 0)
        rc = job_path(args_get(q->args, "--data", "data"), job, &q->arena, &path, e);
    if (rc == 0)
        rc = jobfile_reader(&q->reader, NULL, path, e);
    if (rc != 0)
        return rc;
    if (is_sql(what))
        q->request.sql = bytes_str(what);
    else
        rc = find_named(q, what, e);
    if (rc == 0)
        rc = wait_position(q, e);
    q->request.rows_max = q->request.bytes_max = args_has(q->args, "--all") ? SIZE_MAX : 0;
    if (rc == 0)
        rc = q->reader->ops->run(q->reader, &q->request, &q->arena, &answer, e);
    if (rc == 0)
        rc = print_answer(q, &answer, e);
    q->reader->ops->close(q->reader);
    return rc;
}

static int query_run(struct args *a)
{
    struct query q = {.args = a};
    struct err e = {0};
    int rc;

    arena_init(&q.arena);
    rc = ask(&q, &e);
    arena_deinit(&q.arena);
    return rc == 0 ? EXIT_OK : command_failed(a, &e);
}

const struct command command_query = {
    .name = "query",
    .arguments = "JOB NAME|SQL",
    .summary = "ask a job's read model: a named query, or SQL",
    .details = "Reads the job's SQLite file, in one read transaction; the server may run or not. "
               "Time columns\n"
               "are shown as ISO text. With --min-position the query waits until the job has "
               "committed that\n"
               "far; `leat produce` prints positions.",
    .examples =
        "  leat query weather warmest -p station=seattle\n"
        "  leat query weather \"select station, count(*) from daily group by station\"\n"
        "  leat query weather \"select high from daily where station = 'seattle'\" --plot high\n"
        "  leat query weather warmest -p station=seattle --min-position weather.readings:0@17517",
    .min_positional = 2,
    .max_positional = 2,
    .options = {{"--data", 'd', "DIR", "the server's data (data)"},
                {"--param", 'p', "NAME=VALUE", "a parameter of the query; repeatable"},
                {"--csv", 0, NULL, "print CSV"},
                {"--plot", 0, "COLUMN", "draw this column"},
                {"--all", 0, NULL, "as many rows as there are, not 1000"},
                {"--min-position", 0, "POSITION", "wait until the job is there: topic:0@12,1@7"},
                {"--wait", 0, "MS", "how long to wait for it (5000)"}},
    .run = query_run,
};
