// SPDX-License-Identifier: Apache-2.0
//
// Records that others look back to, by key and time: those of a stream join that wait for their
// other halves, the readings of a look-back window. Rows, and a cache of them. Essay in lanes.c.
#ifndef LEAT_OPERATORS_LANES_H
#define LEAT_OPERATORS_LANES_H

#include "operators/keyblock.h"
#include "runtime/base/hashmap.h"
#include "runtime/engine/operator.h"

#define LANES_PARTS_MAX 30 // of a key

enum { SIDE_LEFT, SIDE_RIGHT, SIDES };

struct lane {
    struct lane_record **list; // by time, then number
    size_t n, cap;
    int64_t from; // rows of records with this time or a later one are here; INT64_MAX: none are
};

struct lane_key {
    struct keyblock k;
    struct lane lanes[SIDES];
    bool recent; // used since the eviction's hand passed
};

struct lane_record {
    struct lane_key *key;
    int side;
    int64_t time, window, seq;
    size_t heap_at; // HEAP_NOT when it is not in the heap
    struct lane_flags {
        bool done; // need not come out any more
        bool dirty, stored;
    } flags;
    bool own_key; // the key's parts, as they came, stand before the values
    bool listed;
    size_t dirty_at; // while listed
    struct value *values; // n_values, unpacked
    struct bytes packed;  // all, behind the values
    size_t spent_n;       // of them that are kept when it is done
};

// The key's parts as bytes, in place of what `out` held; equal bytes are one key.
typedef int (*lanes_encode)(struct buf *out, const struct value *parts, int n, struct err *e);

struct lanes_spec {
    const char *const *key_names;
    int n_key;
    lanes_encode encode;
    bool plain;           // keys in rows are what group_key_decode gives
    bool kept[SIDES];     // records of the side come out by time unless they are done by then
    int64_t ahead[SIDES]; // a record's window is its time + ahead
    int64_t out_ms;       // it comes out when the watermark is past its window + out,
    int64_t dead_ms;      // and nobody looks back to it when that is past its window + dead
    int n_values;         // unpacked for as long as a record is in memory; the last goes when done
};

struct lanes {
    struct operator *op;
    struct lanes_spec spec;
    struct state *state;
    bool known; // next_seq and whole are
    bool whole; // all rows are in memory
    int64_t next_seq, stored_seq;
    struct hashmap keys;
    size_t hand; // where eviction goes on
    // Of the kept sides, by window, key, side, number: all that are not in rows yet, and of the
    // rows those whose window is `horizon` or before.
    struct lane_record **heap;
    size_t n_heap, cap_heap;
    int64_t horizon;
    int64_t beyond; // of rows behind it the first window; INT64_MIN: not known
    struct lane_record **dirty;
    size_t n_dirty, cap_dirty;
    size_t bytes;
    size_t written;    // rows, in this step
    int64_t purged_to; // rows of windows before it are gone
    char *number;      // the name of the one that keeps next_seq
    struct buf scratch;
};

int lanes_open(struct lanes *b, struct operator *o, const struct lanes_spec *spec,
               struct err *e) LEAT_CHECKED;
void lanes_close(struct lanes *b); // after a failed open too

int64_t lanes_window(const struct lanes *b, int side, int64_t t);
// Whether nobody looks back to a record of that window any more.
bool lanes_dead(const struct lanes *b, int64_t window);

// What has to be known before the first use.
int lanes_know(struct lanes *b, struct err *e) LEAT_CHECKED;
// The key in memory; nothing is read. Class `key`.
int lanes_find(struct lanes *b, const struct value *parts, struct lane_key **out,
               struct err *e) LEAT_CHECKED;
// Has the records of a side in memory from `time` on, but those that are dead.
int lanes_cover(struct lanes *b, struct lane_key *k, int side, int64_t time,
                struct err *e) LEAT_CHECKED;
// The first one that is not before (time, seq).
size_t lane_index(const struct lane *l, int64_t time, int64_t seq);
// Drops what is dead.
void lanes_trim(struct lanes *b, struct lane_key *k);

struct lane_new {
    int64_t time, seq;
    struct bytes packed; // the key's parts when own_key, then values
    bool own_key, done;
};
// NULL when what is packed is not n_values values.
struct lane_record *lanes_add(struct lanes *b, struct lane_key *k, int side,
                              const struct lane_new *r);
void lanes_drop(struct lanes *b, struct lane_record *x);
void lanes_list(struct lanes *b, struct lane_record *x); // for the flush
// The key as the record brought it: n_key parts, which borrow. What is packed behind them.
int lanes_parts(const struct lanes *b, const struct lane_record *x, struct value *parts,
                struct bytes *rest) LEAT_CHECKED;

// The next one that comes out at the watermark w: 1 and the record, out of the heap; or 0.
int lanes_next(struct lanes *b, int64_t w, struct lane_record **out, struct err *e) LEAT_CHECKED;
// The watermark at which that is; INT64_MAX.
int lanes_due(struct lanes *b, int64_t *at, struct err *e) LEAT_CHECKED;

int lanes_flush(struct lanes *b, struct err *e) LEAT_CHECKED;
void lanes_committed(struct lanes *b);
void lanes_aborted(struct lanes *b);
void lanes_shrink(struct lanes *b, size_t bytes);

#endif
