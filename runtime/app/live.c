// SPDX-License-Identifier: Apache-2.0
#include "runtime/app/live.h"

#include <math.h>
#include <stdio.h>
#include <unistd.h>

#include "runtime/app/terminal.h"

enum { LINE_EVERY_S = 10, SAID_S = 5 };

void live_init(struct live *l, struct server *s)
{
    *l = (struct live){.server = s, .terminal = isatty(STDOUT_FILENO) != 0};
    l->looked_ns = clock_mono_ns(clock_system());
}

static void measure(struct live_job *j, const struct job_status *s, double seconds)
{
    j->in_rate = (double)(s->records_in - j->records_in) / seconds;
    j->out_rate = (double)(s->records_out - j->records_out) / seconds;
    j->records_in = s->records_in;
    j->records_out = s->records_out;
    memmove(j->history, j->history + 1, sizeof j->history - sizeof j->history[0]);
    j->history[LIVE_HISTORY - 1] = j->in_rate;
}

static void rate_text(double rate, char out[16])
{
    if (rate >= 1e6)
        snprintf(out, 16, "%.1fM", rate / 1e6);
    else if (rate >= 1e3)
        snprintf(out, 16, "%.1fk", rate / 1e3);
    else
        snprintf(out, 16, "%.0f", rate);
}

static void sparkline(const double *v, struct buf *out)
{
    static const char *const bars[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    double top = 1;

    for (int i = 0; i < LIVE_HISTORY; i++)
        top = fmax(top, v[i]);
    for (int i = 0; i < LIVE_HISTORY; i++)
        buf_append_str(out, bars[(int)(v[i] / top * 7)]);
}

static void number_cell(struct table_print *t, int64_t v)
{
    char text[32];

    snprintf(text, sizeof text, "%lld", (long long)v);
    table_print_cell(t, bytes_str(text), true);
}

static void watermark_text(const struct job_status *s, char out[24])
{
    double behind = ((double)clock_wall_ms(clock_system()) - (double)s->watermark) / 1000;

    if (s->watermark == INT64_MIN)
        snprintf(out, 24, "none yet");
    else if (behind < 1)
        snprintf(out, 24, "live");
    else if (behind < 3600)
        snprintf(out, 24, "-%.1fs", behind);
    else
        snprintf(out, 24, "-%.1fd", behind / 86400);
}

static void job_row(struct table_print *t, const char *name, const struct live_job *j,
                    const struct job_status *s)
{
    struct buf spark = BUF_EMPTY;
    char text[64], in[16], out[16];

    rate_text(j->in_rate, in);
    rate_text(j->out_rate, out);
    sparkline(j->history, &spark);
    table_print_cell(t, bytes_str(name), false);
    table_print_cell(t, bytes_str(in), true);
    table_print_cell(t, buf_bytes(&spark), false);
    table_print_cell(t, bytes_str(out), true);
    number_cell(t, s->lag);
    watermark_text(s, text);
    table_print_cell(t, bytes_str(text), true);
    snprintf(text, sizeof text, "%.1f / %.1f ms", (double)s->commit_p50_us / 1000,
             (double)s->commit_p99_us / 1000);
    table_print_cell(t, bytes_str(text), true);
    number_cell(t, s->parked);
    number_cell(t, s->late);
    buf_deinit(&spark);
}

// One line below the table, cut where the terminal ends, since lines are counted to draw over them.
static void draw_remark(struct live *l, const char *mark, const char *job, const char *text)
{
    int width = terminal_width(stdout);
    struct buf line = BUF_EMPTY;

    buf_printf(&line, "  %s %s: %s", mark, job, text);
    printf("%.*s\n", width > 1 && (size_t)width <= line.n ? width - 1 : (int)line.n,
           buf_cstr(&line));
    buf_deinit(&line);
    l->lines++;
}

static void draw_remarks(struct live *l, struct hosted_job **jobs, size_t n,
                         const struct job_status *s)
{
    for (size_t i = 0; i < n; i++) {
        if (s[i].why[0] != 0)
            draw_remark(l, "!", hosted_job_name(jobs[i]), s[i].why);
        if (jobs[i]->note[0] != 0)
            draw_remark(l, "! not reloaded:", hosted_job_name(jobs[i]), jobs[i]->note);
    }
    if (l->said_ns != 0 && l->looked_ns - l->said_ns < (int64_t)SAID_S * 1000000000) {
        printf("  %s\n", l->said);
        l->lines++;
    }
}

static void draw(struct live *l, struct hosted_job **jobs, size_t n, const struct job_status *s)
{
    static const char *const columns[] = {
        "job", "in/s", "", "out/s", "lag", "watermark", "commit p50 / p99", "parked", "late"};
    struct table_print *t = table_print_new(columns, ARRAY_LEN(columns));

    if (l->lines > 0)
        printf("\x1b[%dA\x1b[J", l->lines);
    for (size_t i = 0; i < n; i++)
        job_row(t, hosted_job_name(jobs[i]), &l->jobs[i], &s[i]);
    table_print_end(t, stdout);
    l->lines = (int)n + 1;
    draw_remarks(l, jobs, n, s);
    fflush(stdout);
}

static void print_lines(struct live *l, struct hosted_job **jobs, size_t n,
                        const struct job_status *s)
{
    static const char *const states[] = {"running", "waiting", "stopped"};
    int64_t now = clock_mono_ns(clock_system());
    bool due = now - l->printed_ns >= (int64_t)LINE_EVERY_S * 1000000000;

    for (size_t i = 0; i < n; i++) {
        if (!due && s[i].state == l->jobs[i].state)
            continue;
        printf("%s %s: %lld in, %lld out, lag %lld, parked %lld, late %lld%s%s\n",
               hosted_job_name(jobs[i]), states[s[i].state], (long long)s[i].records_in,
               (long long)s[i].records_out, (long long)s[i].lag, (long long)s[i].parked,
               (long long)s[i].late, s[i].why[0] ? ": " : "", s[i].why);
    }
    if (due)
        l->printed_ns = now;
    fflush(stdout);
}

void live_look(struct live *l)
{
    struct job_status status[LIVE_JOBS_MAX];
    int64_t now = clock_mono_ns(clock_system());
    double seconds = (double)(now - l->looked_ns) / 1e9;
    struct hosted_job **jobs;
    size_t n = server_jobs(l->server, &jobs);

    if (n > LIVE_JOBS_MAX)
        n = LIVE_JOBS_MAX;
    for (size_t i = 0; i < n; i++) {
        hosted_job_read(jobs[i], &status[i]);
        measure(&l->jobs[i], &status[i], seconds > 0 ? seconds : 1);
    }
    l->looked_ns = now;
    if (l->terminal)
        draw(l, jobs, n, status);
    else
        print_lines(l, jobs, n, status);
    for (size_t i = 0; i < n; i++)
        l->jobs[i].state = status[i].state;
}

void live_say(struct live *l, const char *job, const char *what)
{
    snprintf(l->said, sizeof l->said, "%s: %s", job, what);
    l->said_ns = clock_mono_ns(clock_system());
    if (l->terminal)
        return;
    printf("%s: %s\n", job, what);
    fflush(stdout);
}

void live_end(struct live *l)
{
    if (l->terminal)
        printf("\n");
}
