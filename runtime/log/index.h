// SPDX-License-Identifier: Apache-2.0
//
// The sparse index of one segment: from an offset or a timestamp to a position from which to walk.
// Bounded: when INDEX_ENTRIES_MAX is reached every second entry goes and the interval doubles, so
// that a segment of any size costs the same memory and a look-up walks a little further.
//
// An index is always derived from its segment and may be thrown away at any time.
#ifndef LEAT_LOG_INDEX_H
#define LEAT_LOG_INDEX_H

#include "runtime/base/buf.h"
#include "runtime/base/err.h"

struct index_entry {
    int64_t offset;     // of the batch at pos
    int64_t pos;
    int64_t max_before; // largest timestamp of all batches before pos; INT64_MIN when none
};

struct index {
    struct index_entry *entries;
    uint32_t n;
    int64_t interval;
};

// What an index file says about its segment.
struct index_seal {
    int64_t base_offset, end_offset, size, max_timestamp;
};

void index_init(struct index *ix);
void index_deinit(struct index *ix);
// Called for each batch in order; takes what is an interval past the last.
void index_note(struct index *ix, struct index_entry batch);
// The last entry at or below; the front of the segment when there is none.
struct index_entry index_find_offset(const struct index *ix, int64_t offset);
struct index_entry index_find_pos(const struct index *ix, int64_t pos);
// The last entry before which every timestamp is smaller.
struct index_entry index_find_time(const struct index *ix, int64_t timestamp);
// Forgets entries above pos.
void index_cut(struct index *ix, int64_t pos);

#define INDEX_SEAL_BYTES 56
void index_encode(const struct index *ix, const struct index_seal *seal, struct buf *out);
// The head alone: whether there is an intact seal. LEAT_ECORRUPT.
int index_decode_seal(struct bytes b, struct index_seal *seal, struct err *e) LEAT_CHECKED;
int index_decode(struct bytes b, struct index_seal *seal, struct index *ix, struct err *e)
    LEAT_CHECKED;

#endif
