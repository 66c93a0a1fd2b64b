// SPDX-License-Identifier: Apache-2.0
//
// The sessions operator's insides, shared by the files that make it up: session.c (records, the
// watermark), session_keys.c (keys in memory) and session_rows.c (rows).
#ifndef LEAT_OPERATORS_SESSION_H
#define LEAT_OPERATORS_SESSION_H

#include "operators/dueindex.h"
#include "operators/keyblock.h"
#include "operators/results.h"
#include "runtime/base/hashmap.h"

enum session_flag {
    SESSION_DIRTY = 1,  // differs from its row
    SESSION_STORED = 2, // has a row, under its start
    SESSION_OVER = 4,   // absorbed or closed
};

struct session {
    struct session_key *key;
    int64_t due_at; // where its row of the due index stands; DUE_NEVER: it has none
    struct bytes exact; // behind the accumulators
    struct session_bounds {
        int64_t start, end;
        uint64_t flags;
    } b; // what a record changes, with the accumulators
    uint64_t acc[];
};

// A key in memory, with all of its open sessions.
struct session_key {
    struct keyblock k;
    struct session **list; // by start, and so by end: they do not overlap
    size_t n, cap;
    int64_t at; // when it has to be looked at: no later than the first deadline
    size_t heap_at;
    bool in_heap;
    bool listed; // among the dirty
    bool recent; // touched since the eviction's hand passed
};

// What happens to a row in the flush; of several for one row the last counts.
struct row_op {
    int64_t start;
    struct session *s;
    bool leave; // delete it
    size_t order;
};

struct due_op {
    int64_t at;
    const struct session *s;
    bool del;
};

struct sessions {
    struct operator op;
    const struct plan_window *window;
    struct results r;
    struct dueindex due;
    bool whole_known, whole; // all keys that have rows are in memory
    struct hashmap keys;
    size_t bytes; // of keys and sessions
    size_t hand;  // where eviction goes on
    struct session_key **heap;
    size_t n_heap, cap_heap;
    struct row_op *ops;
    size_t n_ops, cap_ops;
    struct due_op *dues;
    size_t n_dues, cap_dues;
    struct session_key **dirty;
    size_t n_dirty, cap_dirty;
    struct session **absorbed; // in this step, as they were, for undo
    size_t n_absorbed, cap_absorbed;
    struct session **graves; // closed in this step
    size_t n_graves, cap_graves;
};

// --- session_keys.c ---

// Whether there are any rows, before the first use: every open session has one in the due index.
int session_keys_know(struct sessions *x, struct err *e) LEAT_CHECKED;
// The key in x->r.key, whose parts came like this, with its sessions.
int session_key_find(struct sessions *x, const struct value *parts, struct session_key **out,
                     struct err *e) LEAT_CHECKED;
struct session *session_new(struct sessions *x, struct session_key *k, struct bytes exact);
void session_free(struct sessions *x, struct session *s);
void session_keep(struct session ***list, size_t *n, size_t *cap, struct session *s);
int64_t session_deadline(const struct sessions *x, const struct session *s);
// The first deadline of its sessions; DUE_NEVER.
int64_t session_key_next(const struct sessions *x, const struct session_key *k);
// Moves it in the heap; DUE_NEVER: out of it.
void session_key_move(struct sessions *x, struct session_key *k, int64_t at);
// Notes the key for the flush.
void session_key_list(struct sessions *x, struct session_key *k);
void session_keys_evict(struct sessions *x, size_t bytes);
void session_keys_clear(struct sessions *x);

// --- session_rows.c ---

int session_rows_load(struct sessions *x, struct session_key *k, struct err *e) LEAT_CHECKED;
// Its row under its start goes, or is written, with the flush.
void session_row_op(struct sessions *x, struct session *s, bool leave);
int session_rows_flush(struct sessions *x, struct err *e) LEAT_CHECKED;

#endif
