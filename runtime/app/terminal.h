// SPDX-License-Identifier: Apache-2.0
//
// What a person sees: aligned tables, a progress bar, a small plot. Plain text on a pipe, never a
// prompt.
#ifndef LEAT_APP_TERMINAL_H
#define LEAT_APP_TERMINAL_H

#include <stdio.h>

#include "runtime/base/buf.h"

// Columns of `f` when it is a terminal, else 0.
int terminal_width(FILE *f);

// --- tables: column widths follow the contents; numbers to the right ---

struct table_print;

struct table_print *table_print_new(const char *const *columns, size_t n);
void table_print_cell(struct table_print *t, struct bytes text, bool number);
// Prints with the header, and frees.
void table_print_end(struct table_print *t, FILE *f);
void table_print_free(struct table_print *t); // NULL is fine

// --- progress: one line on stderr, redrawn at most ten times a second; silent when not a terminal
// ---

struct progress {
    const char *what; // "telemetry"
    int64_t total;    // in the same unit as `done`; 0: unknown
    int64_t started_ns, drawn_ns;
    bool shown;
};

void progress_start(struct progress *p, const char *what, int64_t total);
// `count` records so far, `done` of `total`.
void progress_step(struct progress *p, int64_t done, int64_t count);
void progress_end(struct progress *p);

// --- plot: a line of `n` values, `height` rows of text, with an axis; more values than columns are
// averaged ---

void plot_print(const double *all, size_t n_all, int height, const char *left, const char *right,
                FILE *f);

#endif
