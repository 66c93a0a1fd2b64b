// SPDX-License-Identifier: Apache-2.0
//
// The records of a stream join that wait for others: rows, and a cache of them. Essay in
// join_buffer.c.
#ifndef LEAT_OPERATORS_JOIN_BUFFER_H
#define LEAT_OPERATORS_JOIN_BUFFER_H

#include "operators/keyblock.h"
#include "runtime/base/hashmap.h"
#include "runtime/engine/operator.h"

#define JOIN_PARTS_MAX 30 // of a key

enum { SIDE_LEFT, SIDE_RIGHT, SIDES };

struct join_lane {
    struct join_record **list; // by time, then number
    size_t n, cap;
    int64_t from; // rows of records with this time or a later one are here; INT64_MAX: none are
};

struct join_key {
    struct keyblock k;
    struct join_lane lanes[SIDES];
    bool recent; // used since the eviction's hand passed
};

struct join_record {
    struct join_key *key;
    int side;
    int64_t time, expires, seq;
    size_t heap_at; // HEAP_NOT when it is not in the heap
    struct join_flags {
        bool matched;
        bool dirty, stored;
    } flags;
    bool own_key; // the value is behind the key's parts as they came
    bool listed;
    size_t dirty_at; // while listed
    size_t n;
    uint8_t value[]; // packed
};

struct join_buffer {
    struct operator *op;
    struct state *state;
    int n_key;
    bool kept[SIDES]; // those who have met nobody are emitted when they expire
    bool known;       // next_seq and whole are
    bool whole;       // all rows are in memory
    int64_t next_seq, stored_seq;
    struct hashmap keys;
    size_t hand; // where eviction goes on
    // Of the kept sides, by expiry, key, side, number: all that are not in rows yet, and of the
    // rows those that expire at `horizon` or before.
    struct join_record **heap;
    size_t n_heap, cap_heap;
    int64_t horizon;
    int64_t beyond; // of rows that expire later, the first expiry; INT64_MIN: not known
    struct join_record **dirty;
    size_t n_dirty, cap_dirty;
    size_t bytes;
    size_t written;    // rows, in this step
    int64_t purged_to; // rows that expired before it are gone
    char *number;      // the name of the one that keeps next_seq
    struct buf scratch;
};

int join_buffer_open(struct join_buffer *b, struct operator *o, struct err *e) LEAT_CHECKED;
void join_buffer_close(struct join_buffer *b);

int64_t join_expiry(const struct join_buffer *b, int side, int64_t t);

// What has to be known before the first use.
int join_buffer_know(struct join_buffer *b, struct err *e) LEAT_CHECKED;
// The key in memory; nothing is read. LEAT_EKEY.
int join_key_find(struct join_buffer *b, const struct value *parts, struct join_key **out,
                  struct err *e) LEAT_CHECKED;
// Has the records of a side in memory from `time` on, but those that have expired.
int join_lane_cover(struct join_buffer *b, struct join_key *k, int side, int64_t time,
                    struct err *e) LEAT_CHECKED;
// The first one that is not before (time, seq).
size_t join_lane_index(const struct join_lane *l, int64_t time, int64_t seq);
// Drops what has expired and nobody needs any more.
void join_key_trim(struct join_buffer *b, struct join_key *k);

struct join_new {
    int64_t time, seq;
    struct bytes value; // packed
    bool own_key;
};
struct join_record *join_record_add(struct join_buffer *b, struct join_key *k, int side,
                                    const struct join_new *r);
void join_record_drop(struct join_buffer *b, struct join_record *x);
void join_record_list(struct join_buffer *b, struct join_record *x);

// The next one of a kept side that expires before w: 1 and the record, out of the heap; or 0.
int join_buffer_next(struct join_buffer *b, int64_t w, struct join_record **out,
                     struct err *e) LEAT_CHECKED;
// When the next one expires; INT64_MAX.
int join_buffer_first(struct join_buffer *b, int64_t *at, struct err *e) LEAT_CHECKED;

int join_buffer_flush(struct join_buffer *b, struct err *e) LEAT_CHECKED;
void join_buffer_committed(struct join_buffer *b);
void join_buffer_aborted(struct join_buffer *b);
void join_buffer_shrink(struct join_buffer *b, size_t bytes);

#endif
