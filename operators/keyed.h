// SPDX-License-Identifier: Apache-2.0
//
// What :process keeps per key: a state and timers, in one row per key, behind a cache.
//
// Two more tables find keys by time (dueindex.h): `timers` by when one of them has to be looked at
// next, `ttl` by when a state may be forgotten. A timer that is pushed ahead by every record costs
// no write there.
//
//   <id>          key...            -> body
//   <id>/timers   (win, key...)     -> nothing
//   <id>/ttl      (win, key...)     -> nothing
//
// Of the cache, entries with timers hang in a heap by (next time, key).
#ifndef LEAT_OPERATORS_KEYED_H
#define LEAT_OPERATORS_KEYED_H

#include "operators/dueindex.h"
#include "operators/keyblock.h"
#include "runtime/base/hashmap.h"
#include "runtime/engine/operator.h"

#define KEYED_NEVER DUE_NEVER
#define KEYED_TIMERS_MAX 1000 // of one key: class budget

struct keyed_timer {
    struct bytes name;
    int64_t at;
};

// The body of a key's row, unpacked. Texts borrow.
struct keyed_body {
    int64_t version; // of the job that wrote the state
    int64_t touched; // event time of the last use; only kept where there is a ttl
    struct bytes state; // MessagePack; BYTES_NULL: none
    struct keyed_timer *timers; // by name
    size_t n_timers;
};

struct keyed_entry {
    struct keyblock k;
    struct buf body; // packed; empty: no row
    int64_t next;    // smallest time of its timers; KEYED_NEVER
    size_t heap_at;  // in the heap while next is a time
    struct keyed_rows {
        int64_t timer_at, ttl_at; // where its index rows stand; KEYED_NEVER
        bool stored;              // has a row
        bool dirty;
    } rows;
    bool listed;
    bool recent; // used since the eviction's hand passed
};

struct keyed {
    struct operator *op;
    int64_t ttl_ms;
    int n_key;
    struct state *state;
    struct dueindex timers, ttl;
    struct hashmap entries;
    struct keyed_entry **heap;
    size_t n_heap, cap_heap;
    struct keyed_entry **dirty;
    size_t n_dirty, cap_dirty;
    size_t bytes;          // held by entries
    size_t hand;           // where eviction goes on
    struct buf scratch;
    struct arena arena;
};

int keyed_open(struct keyed *k, struct operator *o, int64_t ttl_ms, struct err *e) LEAT_CHECKED;
void keyed_close(struct keyed *k);

// A key as comparable bytes; clears `out`. LEAT_EKEY.
int keyed_encode(struct buf *out, const struct value *parts, int n, struct err *e) LEAT_CHECKED;
// The key's entry, read from its row when it is not here. LEAT_EKEY.
int keyed_find(struct keyed *k, const struct value *key, struct keyed_entry **out,
               struct err *e) LEAT_CHECKED;
// Memory in `a`, texts in the entry: copied before keyed_set.
int keyed_unpack(const struct keyed_entry *x, struct arena *a, struct keyed_body *out,
                 struct err *e) LEAT_CHECKED;
// Replaces the body, with undo when `undo`. LEAT_EBUDGET past STATE_BYTES_MAX.
int keyed_set(struct keyed *k, struct keyed_entry *x, const struct keyed_body *b, bool undo,
              struct err *e) LEAT_CHECKED;
bool keyed_expired(const struct keyed *k, const struct keyed_body *b);

int64_t keyed_due(struct keyed *k);
// The entry whose timer is the next one due at w: 1, or 0 for none.
int keyed_next(struct keyed *k, int64_t w, struct keyed_entry **out, struct err *e) LEAT_CHECKED;

int keyed_flush(struct keyed *k, struct err *e) LEAT_CHECKED;
void keyed_committed(struct keyed *k);
void keyed_aborted(struct keyed *k);
size_t keyed_held(const struct keyed *k);
void keyed_shrink(struct keyed *k, size_t bytes); // as operator_type.shrink

#endif
