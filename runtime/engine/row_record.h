// SPDX-License-Identifier: Apache-2.0
//
// One row of an application's outbox table as the record a job reads. Essay in row_record.c.
#ifndef LEAT_ENGINE_ROW_RECORD_H
#define LEAT_ENGINE_ROW_RECORD_H

#include "runtime/record/event.h"
#include "runtime/record/value.h"

struct row_record {
    struct bytes key;   // BYTES_NULL: no aggregateid
    struct bytes value; // a JSON object, unless the row holds something that is no JSON
    struct header *headers;
    size_t n_headers;
};

// `row`: an object, columns by name. What is handed out lives in the arena and in the row.
void row_record_make(const struct value *row, struct arena *a, struct row_record *out);

#endif
