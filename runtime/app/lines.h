// SPDX-License-Identifier: Apache-2.0
//
// Reading records from text: lines, NDJSON, CSV. Pure: bytes in, one record at a time out, errors
// with line and column.
#ifndef LEAT_APP_LINES_H
#define LEAT_APP_LINES_H

#include "runtime/base/arena.h"
#include "runtime/base/buf.h"
#include "runtime/base/err.h"

enum lines_format { LINES_PLAIN, LINES_NDJSON, LINES_CSV };

// A field added to every object: --set name=value; the value as in a CSV cell.
struct lines_set {
    struct bytes name, json; // json: the value as JSON text
};

struct lines {
    enum lines_format format;
    const char *file;                // for messages
    const char *const *text_columns; // CSV columns that stay text whatever they look like
    size_t n_text_columns;
    const struct lines_set *sets;
    size_t n_sets;
    const char *key; // field whose value is the record key; NULL
    // internal
    struct arena arena;  // of the header
    struct bytes *cells; // of the current row
    struct bytes *columns;
    bool *is_text;
    size_t n_columns;
    int64_t line; // of the last record, from 1
};

struct lines_record {
    struct bytes key; // BYTES_NULL when none
    struct bytes value;
};

void lines_init(struct lines *l);
void lines_deinit(struct lines *l);

// Takes one record from the front of `in` (the rest of the input so far). 1: a record, in the
// arena; *used bytes are done with. 0: needs more input (or, at `end`, there is no more).
// LEAT_EDECODE: "readings.csv:12: ...".
int lines_next(struct lines *l, struct bytes in, bool end, size_t *used, struct arena *a,
               struct lines_record *out, struct err *e) LEAT_CHECKED;

// The JSON text of a cell: a number in JSON syntax stays one, else a string. For CSV cells and
// --set.
void lines_cell_json(struct bytes cell, bool text, struct buf *out);

#endif
