// SPDX-License-Identifier: Apache-2.0
//
// The engine's side of operators, in memory, for unit tests of operators: a plan built by hand,
// state rows and table rows as lists, undo, commit and abort, and a fault at the n-th call.
//
// Expressions are real, with two short forms: "=x" is x without being a path, "!" fails with class
// type where the key is text. What operators do to the outside is appended to `text`, a line each,
// and taken back with the record or step that did it.
#ifndef LEAT_TESTS_FAKE_RUN_H
#define LEAT_TESTS_FAKE_RUN_H

#include "runtime/engine/operator.h"

#define FAKE_NODES_MAX 16
#define FAKE_SINK NODE_KINDS // a node that writes what reaches it to the text

struct fake_row {
    int64_t window, window_end;
    struct value *parts;
    int n_parts;
    struct value *columns; // NULL when not fused
    int n_columns;
    struct bytes blob; // null: no state
};

struct fake_rows {
    struct fake_row *rows; // in SQL order
    size_t n, cap;
};

struct state {
    struct run *run;
    const char *id;
    bool fused, by_key;
    int n_key, n_columns, n_prefix;
    struct fake_rows now, committed;
    struct bytes last_put; // of this step, to check order
    int64_t last_window;
};

struct fake_undo {
    void *p;
    size_t n;
    uint8_t *bytes;
    void (*call)(void *arg);
};

struct table_action {
    struct table_shape shape;
    struct tables *tables;
};

struct fake_tables {
    struct tables tables;
    struct run *run;
};

struct run {
    struct plan plan;
    struct plan_node nodes[FAKE_NODES_MAX];
    struct plan_input outs[FAKE_NODES_MAX][OUT_PORTS][FAKE_NODES_MAX];
    struct operator *ops[FAKE_NODES_MAX];
    int64_t watermarks[FAKE_NODES_MAX]; // committed
    struct states states;
    struct state state[FAKE_NODES_MAX];
    int n_states;
    struct fake_tables tables;
    const char *const *columns; // of every table
    int n_columns;
    int n_primary; // the first columns
    struct table_action actions[64];
    int n_actions;
    struct expr *exprs[64];
    int n_exprs;
    struct arena keep;   // lives as long as the fake
    struct arena record; // of one record
    struct buf text;
    size_t text_committed;
    struct fake_undo undo[65536];
    size_t n_undo;
    int64_t now, number, number_committed;
    bool has_number, careful;
    int64_t late, late_committed, skipped, undo_bytes, gets, puts;
    bool check_order; // puts of one step come once each and in order
    size_t cache_bytes; // what operators may hold behind a commit
    int64_t fail_at;  // this call fails with LEAT_EIO; -1 none
    struct err err;
};

struct run *fake_new(void);
void fake_free(struct run *r);

// A node that reads (input, port); input -1 for none. Fill in the rest, then fake_open.
int fake_node(struct run *r, enum node_kind kind, int input, enum plan_port port);
struct plan_expr fake_expr(struct run *r, const char *name);
struct plan_field fake_field(struct run *r, const char *name, const char *expr);

int fake_open(struct run *r);
void fake_close(struct run *r); // drops the operators; rows stay

// One record into the readers of a node, undone if it fails. json NULL: a tombstone.
int fake_send(struct run *r, int node, const char *json, struct value key, int64_t time);
int fake_watermark(struct run *r, int64_t w);
int fake_commit(struct run *r); // flush first
void fake_abort(struct run *r);

const char *fake_text(struct run *r);

// fake_rows.c
int fake_fault(struct run *r, struct err *e);
void fake_rows_copy(struct fake_rows *to, const struct fake_rows *from);
extern const struct states_ops fake_states_ops;

#endif
