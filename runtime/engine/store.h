// SPDX-License-Identifier: Apache-2.0
//
// The job file as the engine sees it: one transaction per step, and the rows that are not the
// user's. Implemented by projections; used on the worker thread only.
//
// A step:  begin -> (savepoint -> release | rollback_to)* -> commit | abort. Offsets, watermarks,
// state, rows, outbox, parked rows and the commit row go in together or not at all. commit refuses
// (LEAT_EFENCED) when the stored offsets or the owner epoch are not what this job last saw, and
// (LEAT_EFENCED) when another connection wrote to the file. Any other failure leaves the file as
// before begin; after LEAT_EIO, LEAT_ECORRUPT or LEAT_EFENCED the job stops.
#ifndef LEAT_ENGINE_STORE_H
#define LEAT_ENGINE_STORE_H

#include "runtime/base/uuid.h"
#include "runtime/engine/plan.h"
#include "runtime/engine/state.h"
#include "runtime/engine/table.h"

// One input partition's position, as committed.
struct store_offset {
    const char *topic;
    struct uuid topic_id;
    int32_t partition;
    int64_t next;      // next offset to read
    int32_t epoch;     // leader epoch of the last record read; -1 unknown
    int64_t watermark; // W of the partition; INT64_MIN before the first record
    int64_t last_time; // event time of the last record, INT64_MIN
    bool idle;
};

struct store_commit {
    const struct store_offset *offsets; // those that changed
    size_t n_offsets;
    int64_t now; // the step's clock
    int64_t records;
    int64_t micros; // spent so far
};

struct outbox_row {
    int64_t id; // given by the store, ascending
    struct bytes topic;
    struct uuid topic_id;
    int32_t partition;
    int64_t seq;             // 64-bit, per (topic id, partition), from 0
    int64_t batch_no;        // rows of one (topic id, partition) with equal batch_no are one batch
    struct bytes key, value; // BYTES_NULL when null
    struct bytes headers;    // encoded as in a record batch
    int32_t n_headers;
    int64_t time;
    int64_t commit_id;
    struct bytes cause; // topic:partition@offset
};

enum parked_state {
    PARKED_RETRY,    // waits for next_at
    PARKED_FINAL,    // waits for a person
    PARKED_SEQUENCE, // behind another of its key
    PARKED_SKIPPED,  // given up by a person: kept, and no longer parked
};

struct parked_row {
    int64_t id;
    struct bytes entry; // operator id where it entered
    struct bytes key;   // key bytes; BYTES_NULL when keyless
    enum parked_state state;
    int class; // LEAT_E code of the class; 0 for PARKED_SEQUENCE
    struct bytes message, where;
    int32_t tries;
    int64_t next_at; // step clock, ms
    int64_t parked_at;
    // the record
    struct bytes topic;
    int32_t partition;
    int64_t offset, timestamp, time;
    struct bytes record_key, value, headers;
    int32_t n_headers;
    struct bytes edited; // what a person put in the value's place; BYTES_NULL: nothing
    struct bytes reason; // why it was skipped
};

struct late_row {
    struct bytes op; // operator id
    struct bytes topic;
    int32_t partition;
    int64_t offset, time, watermark;
    struct bytes key, value;
};

struct store;

struct store_ops {
    int (*begin)(struct store *s, int64_t now, struct err *e);
    int (*savepoint)(struct store *s, struct err *e);
    int (*release)(struct store *s, struct err *e);
    int (*rollback_to)(struct store *s, struct err *e); // undoes and releases the savepoint
    int (*commit)(struct store *s, const struct store_commit *c, int64_t *commit_id, struct err *e);
    void (*abort)(struct store *s); // fine when no step is open

    // Offsets as committed; `each` per row.
    int (*offsets)(struct store *s, int (*each)(void *arg, const struct store_offset *o), void *arg,
                   struct err *e);

    // Outbox. add fills id, seq and commit_id; partition, topic_id and batch_no are the caller's.
    // Inside a step.
    int (*outbox_add)(struct store *s, struct outbox_row *r, struct err *e);
    // The last batch_no and seq given out for a topic partition; -1 when none.
    int (*outbox_last)(struct store *s, struct uuid topic_id, int32_t partition, int64_t *seq,
                       int64_t *batch_no, struct err *e);
    // Committed rows with id > after, in id order, at most `max`; memory dies after `each`.
    int (*outbox_scan)(struct store *s, int64_t after, int max,
                       int (*each)(void *arg, const struct outbox_row *r), void *arg,
                       struct err *e);
    // Rows of the topic partition up to seq were durably appended: delete them, remember the mark.
    // In a step, or in a small transaction of its own when none is open.
    int (*outbox_mark)(struct store *s, struct uuid topic_id, int32_t partition, int64_t seq,
                       struct err *e);
    int64_t (*outbox_waiting)(struct store *s); // rows not marked yet

    // Parked records. Inside a step. add fills id. What was skipped is no longer one of them:
    // nothing but its row is left.
    int (*park_add)(struct store *s, struct parked_row *r, struct err *e);
    // By id: state, class, message, where, tries, next_at, edited, reason.
    int (*park_update)(struct store *s, const struct parked_row *r, struct err *e);
    int (*park_remove)(struct store *s, int64_t id, struct err *e);
    // One, copied into the arena. 1 or 0.
    int (*park_get)(struct store *s, int64_t id, struct arena *a, struct parked_row *out,
                    struct err *e);
    // All, or those of one (entry, key), in id order.
    int (*park_scan)(struct store *s, const struct bytes *entry, const struct bytes *key,
                     int (*each)(void *arg, const struct parked_row *r), void *arg, struct err *e);
    // All, for finding out which keys are held: only id, entry, key, state and class are filled in.
    int (*park_keys)(struct store *s, int (*each)(void *arg, const struct parked_row *r), void *arg,
                     struct err *e);
    // The head with the smallest next_at among PARKED_RETRY. 1 or 0.
    int (*park_due)(struct store *s, struct arena *a, struct parked_row *out, struct err *e);
    int64_t (*park_count)(struct store *s);

    // A sample of late records, the newest LATE_SAMPLE_ROWS per operator. Inside a step.
    int (*late_add)(struct store *s, const struct late_row *r, struct err *e);

    // Small numbers that belong to the step: counters ("skipped", "late:<op>"), tick times
    // ("every:<op>"). Written inside a step.
    int (*number_get)(struct store *s, const char *name, int64_t *v, struct err *e); // 1 or 0
    int (*number_put)(struct store *s, const char *name, int64_t v, struct err *e);
    int (*number_drop)(struct store *s, const char *name, struct err *e); // none is fine

    // Housekeeping between steps: checkpoint, trimming. Cheap when there is nothing to do.
    int (*idle)(struct store *s, struct err *e);
};

struct store {
    const struct store_ops *ops;
    struct tables *tables;
    struct states *states;
    struct uuid incarnation;
    int64_t owner_epoch;
    int64_t producer_id; // of this incarnation, from PRODUCER_ID_RESERVED up
};

#endif
