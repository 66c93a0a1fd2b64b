// SPDX-License-Identifier: Apache-2.0
//
// Operator state as rows. One state table per stateful operator, in the job's file; an operator is
// a write-back cache over it: get on a miss, put of each dirty key once per step in key order.
//
// A row is (window, key parts..., state blob). Key parts are stored as SQL values, so their order
// is SQLite's: numbers, then text by memcmp, then blobs. For an operator without windows, `window`
// is 0. Where an aggregate feeds a table, the row is the table's own row: put also writes the
// result columns, and the blob is a hidden column that is cleared when the window closes, which
// keeps it to one row write per dirty key.
#ifndef LEAT_ENGINE_STATE_H
#define LEAT_ENGINE_STATE_H

#include "runtime/engine/plan.h"

// A number of the job file, before an operator's id: how often the shape of its state has changed
// under rows that stayed.
#define GENERATION_NUMBER "generation:"

struct states; // all of a job
struct state;  // one operator's rows

struct state_spec {
    const char *id; // plan_node.id
    int table;      // the fused table's index, or -1
    bool windowed;
    const char *const *key_names; // of the fused table's key columns
    int n_key;
    const char *const *columns; // of the fused table's result columns
    int n_columns;
    int n_prefix; // > 0: scan_key asks by the first so many parts of the key
    bool by_key;  // and nobody asks by window: first, scan and clear are not used
    int64_t ttl_ms; // > 0: rows that were not touched for so long may be swept. No windows then
};

struct state_key {
    int64_t window; // window start, ms; 0 without windows
    int64_t window_end;
    const struct value *parts; // scalars, not nil
    bool fresh;                // put: a row with this key is not expected
};

struct state_row {
    struct state_key key;
    const struct value *columns; // as in put
    struct bytes blob;
};

// With a ttl, the event time at which a row was touched last is a column of its own: a put gives it
// as the last of `columns` (fused or not), and what get finds ends with it, 8 bytes big-endian.
struct states_ops {
    int (*open)(struct states *s, const struct state_spec *spec, struct state **out, struct err *e);
    // 1 and the blob (in the arena), or 0 when there is no row with state.
    int (*get)(struct state *st, const struct state_key *k, struct arena *a, struct bytes *blob,
               struct err *e);
    // As get, of many, in this order; reading is fastest when that is the order of the rows. `each`
    // gets the key's index and a blob that dies after it returns, or BYTES_NULL; non-zero stops and
    // is passed on.
    int (*get_many)(struct state *st, const struct state_key *keys, int n,
                    int (*each)(void *arg, int i, struct bytes blob), void *arg, struct err *e);
    // columns: n_columns values (fused) or NULL. blob BYTES_NULL: the state is done with, the row
    // stays (fused) or goes (not fused).
    int (*put)(struct state *st, const struct state_key *k, const struct value *columns,
               struct bytes blob, struct err *e);
    // What a put of each row, fresh, in this order would do. NULL: a store that has only put.
    int (*put_rows)(struct state *st, const struct state_row *rows, int n, struct err *e);
    // Fused: the state of every row of this window is done with, the rows stay. NULL: only put.
    int (*clear)(struct state *st, int64_t window, struct err *e);
    int (*del)(struct state *st, const struct state_key *k, struct err *e);
    // Not fused: deletes rows with window < before, the smallest windows first; stops, but not
    // within a window, when `most` are gone. 1: there are more, 0.
    int (*purge)(struct state *st, int64_t before, int most, struct err *e);
    // The smallest window of the rows that have state, with from <= window < to: 1, or 0 for none.
    int (*first)(struct state *st, int64_t from, int64_t to, int64_t *window, struct err *e);
    // Rows that have state, with from <= window < to, ordered by window then key. `each` gets
    // memory that dies after it returns; non-zero stops and is passed on. Do not put while
    // scanning.
    int (*scan)(struct state *st, int64_t from, int64_t to,
                int (*each)(void *arg, const struct state_key *k, struct bytes blob), void *arg,
                struct err *e);
    // The same for those whose key begins with these n_prefix parts, ordered by window, then the
    // rest of the key.
    int (*scan_key)(struct state *st, const struct value *prefix, int64_t from, int64_t to,
                    int (*each)(void *arg, const struct state_key *k, struct bytes blob), void *arg,
                    struct err *e);
    // With a ttl. The smallest watermark at which there may be something to sweep; INT64_MAX for
    // nothing. Cheap, asked often.
    int (*sweep_due)(struct state *st, int64_t *w, struct err *e);
    // Deletes some of the rows with touched + ttl < w, and looks at some others again: at most
    // `max` of each.
    int (*sweep)(struct state *st, int64_t w, int max, struct err *e);
};

struct states {
    const struct states_ops *ops;
};

#endif
