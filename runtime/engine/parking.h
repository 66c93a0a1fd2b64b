// SPDX-License-Identifier: Apache-2.0
//
// Records that failed: what becomes of them, and who waits behind them. Essay in parking.c.
#ifndef LEAT_ENGINE_PARKING_H
#define LEAT_ENGINE_PARKING_H

#include "runtime/base/hashmap.h"
#include "runtime/engine/run.h"

// What to do with a record that failed.
struct parking_verdict {
    bool stop;               // park = "stop": the job ends before the record
    bool holds;              // followers of its key wait
    enum parked_state state; // PARKED_RETRY or PARKED_FINAL
    int64_t wait_ms;         // until the next try
};

// tries: how often it has failed, this time included.
struct parking_verdict parking_decide(const struct plan_errors *settings, int class, bool keyed,
                                      int32_t tries);

struct parking {
    const struct plan *plan;
    struct store *store;
    struct run *run;
    struct hashmap held; // entry, NUL, key
    struct buf tmp, scratch;
    int64_t count;
    int64_t next_at; // of the earliest retry; INT64_MAX
    bool dirty;      // next_at has to be asked again
};

// A record that is to be parked.
struct parking_record {
    const char *entry; // where it entered: operator id, with "/final" or "/late" for that port
    struct bytes key;  // BYTES_NULL: keyless
    const struct batch_record *record;
    struct bytes topic;
    int32_t partition;
    int64_t time;
    bool timed;
};

void parking_init(struct parking *p, const struct plan *plan, struct store *s, struct run *r);
void parking_deinit(struct parking *p);
// Reads which keys are held. Needs no step.
int parking_load(struct parking *p, struct err *e) LEAT_CHECKED;
bool parking_holds(struct parking *p, const char *entry, struct bytes key);
// Parks a failed record; a verdict of stop is the caller's to see before.
int parking_add(struct parking *p, const struct parking_record *rec, int class, const char *message,
                int64_t now, struct err *e) LEAT_CHECKED;
// Parks a record behind another of its key.
int parking_follow(struct parking *p, const struct parking_record *rec, int64_t now,
                   struct err *e) LEAT_CHECKED;
// When the next retry is due; INT64_MAX for never.
int parking_next(struct parking *p, int64_t *at, struct err *e) LEAT_CHECKED;

// How to run a parked record again: 0, a class, or the machine's error.
struct parking_again {
    int (*rerun)(void *arg, const struct parked_row *row, struct err *e);
    void *arg;
    int64_t now;
};
// Every retry that is due, and behind each that is cured its followers, in order.
int parking_retry(struct parking *p, const struct parking_again *again, struct err *e) LEAT_CHECKED;

#endif
