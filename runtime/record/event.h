// SPDX-License-Identifier: Apache-2.0
//
// An event: a record on its way through a plan. Starts as what was read from a topic; operators
// hand changed copies to the next one. Everything it points to lives in the arena of the record
// being processed.
#ifndef LEAT_RECORD_EVENT_H
#define LEAT_RECORD_EVENT_H

#include "runtime/record/view.h"

struct header {
    struct bytes name;
    struct bytes value; // may be BYTES_NULL
};

struct event {
    // where it came from: constant on the whole way
    struct bytes topic;
    int32_t partition;
    int64_t offset;
    int64_t timestamp; // the record's own, ms
    // what operators change
    int64_t time;         // event time, ms
    struct value key;     // MISSING when keyless; an array when composite
    struct bytes key_raw; // the key's original bytes while unchanged, else BYTES_NULL
    const struct header *headers;
    size_t n_headers;
    struct view view; // the value
    struct view *old; // the row before, downstream of changes(); else NULL
};

#endif
