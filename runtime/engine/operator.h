// SPDX-License-Identifier: Apache-2.0
//
// What an operator is. One `struct operator_type` per node kind, in a table that
// operators/operators.c exports and the app hands to the engine. Operators are synchronous: an
// event goes in, events go out through operator_emit before process returns (depth first). They do
// no I/O but through state, tables and the outbox of their `struct run`.
//
// Undo: whatever process changes in memory it first records (run_undo_bytes, run_undo_call), so
// that a record that fails leaves nothing. Rows written at once are undone by the store's
// savepoint. Outputs and samples are the engine's, which drops them itself.
#ifndef LEAT_ENGINE_OPERATOR_H
#define LEAT_ENGINE_OPERATOR_H

#include "runtime/engine/plan.h"
#include "runtime/engine/state.h"
#include "runtime/engine/table.h"

struct run; // the engine's side of a running plan (engine/run.h)
struct operator;

struct operator_type {
    enum node_kind kind;
    // Which nodes of the kind, where several types share one. NULL: all.
    bool (*takes)(const struct plan_node *n);
    size_t size; // of the private struct, which starts with struct operator

    // Once, before any record; tables and states are there. Failure is a load error ("table o has
    // no column idd").
    int (*open)(struct operator* o, struct err *e);
    // One event from input `input`. The event is the caller's: copy the struct to change it. An
    // error is the record's (a class) or the machine's; in both cases the engine undoes the record.
    int (*process)(struct operator* o, struct event *ev, int input, struct err *e);
    // The operator's watermark moved to `w` (after the record that moved it) and due() <= w: handle
    // everything due, emit it. Each event emitted here is a record of its own: one that fails is
    // parked at this operator and emit returns 0. An error returned here ends the step. The engine
    // sets o->watermark and passes w on downstream afterwards. Optional.
    int (*watermark)(struct operator* o, int64_t w, struct err *e);
    // The smallest watermark at which there is something to do; INT64_MAX for nothing. Cheap; asked
    // often. Optional.
    int64_t (*due)(struct operator* o);
    // All records of the step are through: send what waits for its end. Each event emitted here is
    // a record of its own, as in watermark. Comes before flush. Optional.
    int (*settle)(struct operator* o, struct err *e);
    // End of step: write dirty keys, each once, in key order. Called again only after new changes.
    // Optional.
    int (*flush)(struct operator* o, struct err *e);
    // The step committed, or was aborted: on abort all memory since the last commit is void: forget
    // and read again from state. Optional.
    void (*committed)(struct operator* o);
    void (*aborted)(struct operator* o);
    // Memory that grows with its state or with what the step has touched. Cheap; asked often.
    // Optional, and then it needs no shrink.
    size_t (*held)(struct operator* o);
    // Between steps: gives back what its rows have as well, least recently used first, until it
    // holds at most `bytes` or there is no more of that.
    void (*shrink)(struct operator* o, size_t bytes);
    void (*close)(struct operator* o); // after a failed open too. Optional.
};

struct operator
{
    const struct operator_type *type;
    const struct plan_node *node;
    struct run *run;
    int64_t watermark; // last passed to watermark()
};

// The table: one entry per kind, NULL-terminated.
const struct operator_type *const *operator_types(void); // in operators/operators.c

// The type that runs a node; NULL when the table has none.
const struct operator_type *plan_operator_type(const struct plan *p, const struct plan_node *n,
                                               const struct operator_type *const *types);
// Whether the table has them all: "FILE:LINE: :join is not supported by this version",
// LEAT_EUNSUPPORTED.
int plan_check_operators(const struct plan *p, const struct operator_type *const *types,
                         struct err *e) LEAT_CHECKED;

// --- what an operator may ask of its run ---

// Hands the event to everyone who reads that port. Stops at the first error.
int operator_emit(struct operator* o, enum plan_port port, struct event *ev,
                  struct err *e) LEAT_CHECKED;
// Only inside watermark(): the operator's own process is called with this event and INPUT_SELF, as
// a record of its own: all or nothing with everything it emits, parked at this operator when it
// fails, and then tried again in the same way. The event's value must be text, a number or JSON.
enum { INPUT_SELF = -1 };
#define OUT_SELF OUT_PORTS // how such an event enters; not a port that anyone reads
int operator_self(struct operator* o, struct event *ev, struct err *e) LEAT_CHECKED;
// Before process fails with LEAT_EMISSING: what is missing is waited for this long, whatever the
// job's retries are.
void operator_waits(struct operator* o, int64_t ms);
// due() <= the watermark where it stands already: watermark() is called once the record is done.
void operator_overdue(struct operator* o);
// Only inside watermark(), when one thing that was due has been dealt with: whether the step has
// had enough. Then watermark() returns 0 although more is due, and is called with the same w again
// by the next step, before any record; until then the operator's watermark stays where it is.
bool operator_pause(struct operator* o);
// Evaluates an expression, constant or function over the event.
int operator_eval(struct operator* o, const struct plan_expr *x, struct event *ev,
                  struct value *out, struct err *e) LEAT_CHECKED;
// Calls a function for its result and emits. Of *out, `keyed` and `upgrade_from` go in.
int operator_call(struct operator* o, struct fn *f, struct event *ev, struct fn_call *out,
                  struct err *e) LEAT_CHECKED;

struct arena *run_arena(struct run *r); // of the record being processed
struct tables *run_tables(struct run *r);
struct states *run_states(struct run *r);
const struct plan *run_plan(struct run *r);
int64_t run_now(struct run *r); // the step's clock, ms
bool run_is_careful(const struct run *r); // each record is flushed before the next

// Buffers one output record; key, value and headers are copied. Partition and sequence are fixed at
// the end of the step's record.
int run_output(struct run *r, const struct plan_node *to, struct event *ev, struct value key,
               struct bytes value, const struct header *headers, size_t n_headers,
               struct err *e) LEAT_CHECKED;
// A record that came after its window closed: counted, sampled.
void run_late(struct run *r, struct operator* o, struct event *ev, int64_t watermark);
// A type that match does not know: counted.
void run_skipped(struct run *r, struct operator* o);

// Remembers n bytes at p as they are now; restored, newest first, if the record fails.
void run_undo_bytes(struct run *r, void *p, size_t n);
// Calls undo(arg) if the record fails.
void run_undo_call(struct run *r, void (*undo)(void *arg), void *arg);

// A number kept in the job file with the step (tick times).
int run_number_get(struct run *r, const char *name, int64_t *v, struct err *e) LEAT_CHECKED;
int run_number_put(struct run *r, const char *name, int64_t v, struct err *e) LEAT_CHECKED;

#endif
