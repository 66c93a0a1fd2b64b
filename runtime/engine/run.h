// SPDX-License-Identifier: Apache-2.0
//
// A running plan, the engine's side. Internal to runtime/engine; operators see operator.h. Essay in
// run.c.
#ifndef LEAT_ENGINE_RUN_H
#define LEAT_ENGINE_RUN_H

#include "runtime/engine/operator.h"
#include "runtime/engine/outputs.h"
#include "runtime/engine/overrun.h"

struct run_route {
    struct operator* op;
    const struct fieldplan *fields; // what the reader's expressions were compiled against
    int input;
    bool writes; // rows at once: a savepoint must be open
};

struct run_routes {
    struct run_route *routes;
    int n;
};

struct run_undo {
    void *p;
    size_t n;   // bytes saved; 0: a call
    size_t pos; // of the saved bytes
    void (*call)(void *arg);
};

struct run_number {
    char *name;
    int64_t value;
    bool known, dirty;
};

struct run_sample {
    const struct plan_node *node;
    int64_t offset, time, watermark;
    int32_t partition;
    size_t pos; // in sample_bytes: topic, key, value
    size_t topic_n, key_n, value_n;
    bool null_key, null_value;
};

// A record that an operator makes when its watermark moves has no input record to fail with; the
// job decides about it. enter: 1 take it away (it waits behind a parked one), 0 go on; left: it has
// run. failed: 0 when it was parked, else the error that ends the step.
struct run_born {
    int (*enter)(void *arg, struct operator* o, enum plan_port port, struct event *ev,
                 struct err *e);
    void (*left)(void *arg);
    int (*failed)(void *arg, struct operator* o, enum plan_port port, struct event *ev, int rc,
                  struct err *e);
    void *arg;
};

// Bytes of state in memory, of all operators (run_memory.c).
struct run_memory {
    size_t cache; // between steps
    size_t step;  // in one: it ends early
};

struct run {
    const struct plan *plan;
    struct store *store;
    struct run_memory memory;
    struct operator** ops;    // by node
    struct run_routes *ports; // by node * OUT_PORTS + port
    bool closes;              // some operator has something to do when a watermark moves

    struct arena *arena; // of the record being processed
    int64_t now;
    bool careful; // flush after each record
    bool sp;      // a savepoint is open
    bool closing; // inside operator_type.watermark
    bool nested;  // inside a record born there
    bool watches; // changes of rows are records
    bool overdue; // an operator has something due that no watermark will call it for
    bool expires; // rows go by time
    bool held;    // the watermark waits until rows have gone, or for memory: this step ends
    bool paused;  // an operator waits for memory,
    bool was_paused; // and did in the step committed last
    int pauses_asked;
    int expire_left; // rows that this step may still delete
    struct arena expire_arena; // of what is told of them
    struct arena born_arena; // of one event of operator_self
    struct run_born born;
    struct overrun overrun;
    int64_t wait_ms; // for what the last record is missing; -1: as the job's errors say
    const struct plan_node *guilty; // where the last error came from

    struct outputs out;
    struct outputs_mark out_start; // of the record
    int *dest_of;                  // by node: index into out.dests
    struct run_undo *undo;
    size_t n_undo, cap_undo;
    struct buf undo_bytes;
    struct run_number **numbers;
    size_t n_numbers;
    struct run_number **late_of; // by node
    struct run_number *skipped, *late;
    struct run_sample *samples;
    size_t n_samples, cap_samples;
    struct buf sample_bytes;
};

int run_open(struct run *r, const struct plan *p, const struct operator_type *const *types,
             struct store *s, struct err *e) LEAT_CHECKED;
void run_close(struct run *r); // after a failed open too

// One event into the readers of (node, port), all or nothing: on an error its changes in memory,
// rows and outputs are gone, and `guilty` says where it was.
int run_enter(struct run *r, int node, enum plan_port port, struct event *ev,
              struct err *e) LEAT_CHECKED;
// The watermark of a source moved: operators close what is due, in topological order.
int run_watermark(struct run *r, int source, int64_t w, struct err *e) LEAT_CHECKED;
// Calls those that have something to do at the watermark where they stand already: an operator that
// has to read its state again does not know before.
int run_catch_up(struct run *r, struct err *e) LEAT_CHECKED;
// The same, for a job without rows that go by time, and from one stop to the next for one with.
int run_pass(struct run *r, int source, int64_t w, struct err *e) LEAT_CHECKED;
// Sets where watermarks stand, from the sources', without closing anything: after a start or an
// abort, when all that was due has been dealt with.
void run_place_watermarks(struct run *r);
// Whether an operator would have something to do if the sources' watermarks were `w` (by node).
bool run_would_close(const struct run *r, const int64_t *w, int64_t *scratch);
// The smallest time an operator waits for; INT64_MAX for none.
int64_t run_due(const struct run *r);

// Rows that go by time (run_expire.c).
bool run_expires(const struct run *r);
// The time of the tables: the smallest watermark of a source; of the operators, or by node.
int64_t run_time(const struct run *r, const int64_t *w);
// Whether the node's watermark must not be ahead of the tables'.
bool run_keeps_time(const struct run *r, int node);
// Lets go what is due where the watermarks stand. Sets `held` when there is more than a step may
// delete.
int run_expire(struct run *r, struct err *e) LEAT_CHECKED;
int run_expire_to(struct run *r, int source, int64_t w, struct err *e) LEAT_CHECKED;
void run_begin(struct run *r); // of a step
// The sources' watermarks back to where a step that was the last had to hold them.
int run_resume(struct run *r, struct err *e) LEAT_CHECKED;

// Rows whose changes() are read are watched from here on.
int run_watch(struct run *r, struct err *e) LEAT_CHECKED;
// Sends what the record has changed in watched tables, inside the record.
int run_changes(struct run *r, const struct event *cause, struct err *e) LEAT_CHECKED;
// Before the flush: what waits for the end of the step.
int run_settle(struct run *r, struct err *e) LEAT_CHECKED;
// End of step. flush: operators, then numbers and samples. LEAT_E class of a record's fault when
// what the operators wrote broke a constraint.
int run_flush(struct run *r, struct err *e) LEAT_CHECKED;
int run_write(struct run *r, struct err *e) LEAT_CHECKED;
// Writes the samples of late records early: between records, when there are many.
int run_trim(struct run *r, struct err *e) LEAT_CHECKED;
// Whether operators hold as much as one step may.
bool run_is_full(const struct run *r);
// Where watermarks stand is kept with a step in which an operator has paused,
int run_keep_watermarks(struct run *r, struct err *e) LEAT_CHECKED;
// and found again behind run_place_watermarks.
int run_find_watermarks(struct run *r, struct err *e) LEAT_CHECKED;
// After a commit: has them give back what is too much between steps.
void run_shrink(struct run *r);
void run_committed(struct run *r);
void run_aborted(struct run *r);

// "jobs/a.lua:7: in match"
void run_where(const struct run *r, char *out, size_t n);

#endif
