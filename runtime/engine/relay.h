// SPDX-License-Identifier: Apache-2.0
//
// Publishes outbox rows of committed steps, each once. Essay in relay.c.
#ifndef LEAT_ENGINE_RELAY_H
#define LEAT_ENGINE_RELAY_H

#include "runtime/engine/outputs.h"
#include "runtime/engine/publisher.h"
#include "runtime/engine/store.h"

// Of one destination not sent yet: more rows stay in the store.
enum { RELAY_BATCHES_MAX = 8 };

struct relay_batch {
    struct bytes bytes; // owned; null once it is in the log
    int64_t batch_no;
    int64_t first_seq, last_seq;
    int64_t end; // offset behind it in the log, once appended
};

// One output partition. The first n_sent of its batches are in the log but not known to be durable.
struct relay_dest {
    char *topic;
    struct uuid id;
    int32_t partition;
    struct relay_batch *batches; // oldest first
    int n, n_sent, cap;
    int64_t cursor;   // row id up to which rows are in memory or done
    bool behind;      // rows were left in the store for want of room
    bool catching_up; // they are being scanned again
    int64_t durable;  // seq up to which rows are durable in the log; -1
    int64_t marked;   // seq up to which the store knows
    int64_t retry_at; // clock; after a refusal
    int64_t wait_ms;
    char why[160]; // of the refusal; empty when all is well
    // the batch being put together
    struct batch_builder open;
    int64_t open_no, open_first, open_last;
    int32_t open_rows;
};

enum relay_do { RELAY_NOTHING, RELAY_APPEND, RELAY_ASK, RELAY_WAIT };

struct relay {
    struct store *store;
    struct publisher *publisher;
    const struct outputs *fresh; // the last step's rows, as long as they are in memory
    struct relay_dest **dests;
    int n_dests;
    int64_t seen;      // row id up to which the store was scanned, this time
    int64_t seen_last; // and ever: below it only those that catch up have anything to find
    int n_catching_up;
    bool unscanned; // there may be rows beyond `seen`
};

// --- decisions: no I/O ---
enum relay_do relay_next(const struct relay_dest *d, int64_t now);
void relay_appended(struct relay_dest *d, int rc, int64_t end, int64_t now);
void relay_durable(struct relay_dest *d, int64_t offset);

// --- the shell ---
void relay_init(struct relay *r, struct store *s, struct publisher *p, const struct outputs *out);
void relay_deinit(struct relay *r);
// A step was committed: there may be new rows.
void relay_committed(struct relay *r);
// Sends what can be sent. *moved: something was appended or became durable. An error stops the job.
int relay_turn(struct relay *r, int64_t now, bool *moved, struct err *e) LEAT_CHECKED;
// Writes marks, into the open step or in small transactions of their own. First it asks once more
// what is durable: most of it has become so since the last turn.
bool relay_has_marks(const struct relay *r);
int relay_mark(struct relay *r, struct err *e) LEAT_CHECKED;
void relay_marked(struct relay *r); // they were committed
// When to call again; INT64_MAX when idle. Nothing appended waits for the log: it calls.
int64_t relay_wake(const struct relay *r, int64_t now);
// The first destination that is stuck, or NULL.
const struct relay_dest *relay_stuck(const struct relay *r);

#endif
