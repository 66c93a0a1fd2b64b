// SPDX-License-Identifier: Apache-2.0
#include "runtime/app/terminal.h"

#include <math.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "runtime/base/clock.h"
#include "runtime/base/heap.h"

int terminal_width(FILE *f)
{
    struct winsize w;

    if (!isatty(fileno(f)))
        return 0;
    return ioctl(fileno(f), TIOCGWINSZ, &w) == 0 && w.ws_col > 0 ? w.ws_col : 80;
}

// --- tables ---

struct table_cell {
    char *text;
    size_t width;
    bool number;
};

struct table_print {
    size_t n_columns, n_cells, cap;
    struct table_cell *cells; // the header first
};

// Characters, not bytes: continuation bytes of UTF-8 take no room.
static size_t display_width(struct bytes s)
{
    size_t n = 0;

    for (size_t i = 0; i < s.n; i++)
        n += (s.p[i] & 0xc0) != 0x80;
    return n;
}

void table_print_cell(struct table_print *t, struct bytes text, bool number)
{
    struct table_cell *c;

    if (t->n_cells == t->cap) {
        t->cap = t->cap ? t->cap * 2 : 64;
        t->cells = heap_realloc(t->cells, t->cap * sizeof *t->cells);
    }
    c = &t->cells[t->n_cells++];
    c->text = heap_strndup((const char *)text.p, text.n);
    for (char *p = c->text; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = ' ';
    c->width = display_width(text);
    c->number = number;
}

struct table_print *table_print_new(const char *const *columns, size_t n)
{
    struct table_print *t = heap_zalloc(sizeof *t);

    t->n_columns = n;
    for (size_t i = 0; i < n; i++)
        table_print_cell(t, bytes_str(columns[i]), false);
    return t;
}

static size_t column_width(const struct table_print *t, size_t column)
{
    size_t width = 0;

    for (size_t i = column; i < t->n_cells; i += t->n_columns)
        if (t->cells[i].width > width)
            width = t->cells[i].width;
    return width;
}

static void print_cell(const struct table_cell *c, size_t width, bool last, FILE *f)
{
    int pad = (int)(width - c->width);

    if (c->number)
        fprintf(f, " %*s%s", pad, "", c->text);
    else
        fprintf(f, " %s%*s", c->text, last ? 0 : pad, "");
    fputs(last ? "\n" : " ", f);
}

void table_print_end(struct table_print *t, FILE *f)
{
    size_t *widths = heap_alloc(t->n_columns * sizeof *widths);

    for (size_t k = 0; k < t->n_columns; k++)
        widths[k] = column_width(t, k);
    for (size_t i = 0; i < t->n_cells; i++) {
        size_t k = i % t->n_columns;
        // A header stands over its column the way the first row does.
        if (i < t->n_columns && i + t->n_columns < t->n_cells)
            t->cells[i].number = t->cells[i + t->n_columns].number;
        print_cell(&t->cells[i], widths[k], k + 1 == t->n_columns, f);
    }
    heap_free(widths);
    table_print_free(t);
}

void table_print_free(struct table_print *t)
{
    if (t == NULL)
        return;
    for (size_t i = 0; i < t->n_cells; i++)
        heap_free(t->cells[i].text);
    heap_free(t->cells);
    heap_free(t);
}

// --- progress ---

void progress_start(struct progress *p, const char *what, int64_t total)
{
    *p = (struct progress){.what = what, .total = total};
    p->started_ns = clock_mono_ns(clock_system());
    p->shown = isatty(STDERR_FILENO) != 0;
}

static void progress_draw(struct progress *p, int64_t done, int64_t count, int64_t now)
{
    double seconds = (double)(now - p->started_ns) / 1e9;
    double rate = seconds > 0 ? (double)count / seconds : 0;
    double share = p->total > 0 ? (double)done / (double)p->total : 0;
    int filled = (int)(share * 24);

    fprintf(stderr, "\r %s ", p->what);
    if (p->total > 0) {
        for (int i = 0; i < 24; i++)
            fputs(i < filled ? "█" : "░", stderr);
        fprintf(stderr, " %3.0f%%", share * 100);
    }
    fprintf(stderr, "  %lld records  %.0f/s", (long long)count, rate);
    if (p->total > 0 && share > 0.01 && share < 1)
        fprintf(stderr, "  eta %.0fs", seconds / share - seconds);
    fputs("\x1b[K", stderr);
    p->drawn_ns = now;
}

void progress_step(struct progress *p, int64_t done, int64_t count)
{
    int64_t now;

    if (!p->shown)
        return;
    now = clock_mono_ns(clock_system());
    if (now - p->drawn_ns >= 100000000 || (p->total > 0 && done == p->total))
        progress_draw(p, done, count, now);
}

void progress_end(struct progress *p)
{
    if (p->shown && p->drawn_ns != 0)
        fputs("\n", stderr);
}

// --- plot ---

enum { PLOT_WIDTH_MAX = 80, PLOT_AXIS_WIDTH = 12 };

static void bounds_of(const double *v, size_t n, double *low, double *high)
{
    *low = *high = v[0];
    for (size_t i = 1; i < n; i++) {
        *low = fmin(*low, v[i]);
        *high = fmax(*high, v[i]);
    }
    if (*high - *low < 1e-9) {
        *low -= 1;
        *high += 1;
    }
}

static int row_of(double v, double low, double high, int height)
{
    return (int)lround((high - v) / (high - low) * (height - 1));
}

// What stands in column i of `row`: the line runs from the value before to this one.
static const char *plot_glyph(int row, int at, int before)
{
    if (row == at && row == before)
        return "─";
    if (row == at)
        return at < before ? "╭" : "╰";
    if (row == before)
        return at < before ? "╯" : "╮";
    return (row > at && row < before) || (row < at && row > before) ? "│" : " ";
}

// At most `width` points: means of equal runs where there are more.
static size_t condense(const double *values, size_t n, double *out, size_t width)
{
    size_t n_out = n < width ? n : width;

    for (size_t i = 0; i < n_out; i++) {
        size_t from = i * n / n_out, to = (i + 1) * n / n_out;
        double sum = 0;
        for (size_t k = from; k < to; k++)
            sum += values[k];
        out[i] = sum / (double)(to - from);
    }
    return n_out;
}

void plot_print(const double *all, size_t n_all, int height, const char *left, const char *right,
                FILE *f)
{
    double values[PLOT_WIDTH_MAX], low, high;
    int room = terminal_width(f) - PLOT_AXIS_WIDTH;
    size_t width = room < 20 || room > PLOT_WIDTH_MAX ? PLOT_WIDTH_MAX : (size_t)room;
    size_t n;

    if (n_all == 0)
        return;
    n = condense(all, n_all, values, width);
    bounds_of(values, n, &low, &high);
    for (int row = 0; row < height; row++) {
        fprintf(f, " %9.2f ┤", high - (high - low) * row / (height - 1));
        int before = row_of(values[0], low, high, height);
        for (size_t i = 0; i < n; i++) {
            int at = row_of(values[i], low, high, height);
            fputs(plot_glyph(row, at, before), f);
            before = at;
        }
        fputs("\n", f);
    }
    int gap = (int)n - (int)strlen(left) - (int)strlen(right);
    fprintf(f, " %9s  %s%*s%s\n", "", left, gap > 1 ? gap : 1, "", right);
}
