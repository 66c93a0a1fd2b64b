// SPDX-License-Identifier: Apache-2.0
//
// The parked records of one job as `leat dlq` sees them: read from its file, chosen, printed,
// decided about.
#ifndef LEAT_APP_DLQ_H
#define LEAT_APP_DLQ_H

#include "runtime/app/command.h"
#include "runtime/base/arena.h"
#include "runtime/engine/decision.h"

struct dlq_row {
    struct parked_row row;
    struct bytes type; // the record's: its field `type`, else its header eventType; or BYTES_NULL
    size_t n_behind;   // followers, when it is a head
    const char *types; // of those behind: "Opened, Closed"
    bool chosen;
};

struct dlq {
    struct args *args;
    struct arena arena;
    const char *data, *job, *path; // of the data folder; of the job, its file
    struct dlq_row *rows;          // by id
    size_t n, cap;
    size_t ids_end; // positional arguments from 2 up to here are ids
    int64_t now;
};

// --- dlq_rows.c ---

// Reads the rows of the job (positional argument 1), and chooses by ids (from 2 up to ids_end) and
// --id, or by --key, --class, --skipped. Without any of these all records that were parked for
// themselves are chosen, and none that only waits behind another.
int dlq_load(struct dlq *d, struct args *a, size_t ids_end, struct err *e) LEAT_CHECKED;
void dlq_free(struct dlq *d);
bool dlq_narrowed(const struct dlq *d); // some choice was made

// --- dlq_print.c ---

void dlq_print_list(struct dlq *d);
void dlq_print_one(struct dlq *d, const struct dlq_row *r);
void dlq_row_json(struct dlq *d, const struct dlq_row *r, struct buf *out);

// --- dlq_decide.c ---

// In the running server, or in the file when none runs. *by_server says which.
int dlq_decide(struct dlq *d, const struct decision *decisions, size_t n, bool *by_server,
               struct err *e) LEAT_CHECKED;

#endif
