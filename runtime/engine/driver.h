// SPDX-License-Identifier: Apache-2.0
//
// Drives a plan by hand: in-memory topics as source and publisher, a virtual clock, the real engine
// and a real store (in memory). `leat test` is a thin layer over this; so are the engine's own
// tests.
#ifndef LEAT_ENGINE_DRIVER_H
#define LEAT_ENGINE_DRIVER_H

#include "runtime/engine/job.h"

// A version of the job, and what may be done to take over what another has stored.
struct driver_version {
    const struct plan *plan;
    bool from_now; // what is there keeps the old meaning
    bool drop;     // state that nobody has any more goes
};

struct crash_points;
struct driver;
struct driver_log;

// Makes an empty store for the plan (a fresh in-memory job file), and closes it.
struct driver_store_factory {
    int (*open)(void *arg, const struct plan *p, struct store **out, struct err *e);
    void (*close)(void *arg, struct store *s);
    // Opens what is committed in *s for this version, as a program that starts does, and puts it in
    // the place of *s, which is closed. After a failure *s is as it was. NULL: stores are kept.
    int (*reopen)(void *arg, const struct driver_version *v, struct store **s, struct err *e);
    // Another store with what is committed in `of`, which outlives it. NULL: only open.
    int (*copy)(void *arg, struct store *of, struct store **out, struct err *e);
    void *arg;
};

struct driver_config {
    const struct plan *plan;
    const struct operator_type *const *operators;
    struct driver_store_factory stores;
    int64_t start_ms;     // the clock; tests of users start at 2026-01-01T00:00Z
    int32_t n_partitions; // of every topic, at least 1; grows when a send names a higher one
    size_t cache_bytes, step_bytes; // as in job_config
    int64_t gap_ms; // as in job_config; 0: no gap
    struct store *pristine; // what the store is a copy of; NULL: it is opened
    int64_t crash_at;     // the job dies at this crash point and is started again; 0: it does not
    int64_t cut_at;       // a step ends behind this record, from 1; 0: nowhere
    bool cut_each;        // ... behind every record
    struct flight *flight; // as struct job_config; NULL: none
};

struct driver_record {
    struct bytes key, value;
    const struct header *headers;
    size_t n_headers;
    int32_t partition;
    int64_t timestamp; // ms
};

int driver_open(struct driver **out, const struct driver_config *c, struct err *e) LEAT_CHECKED;
void driver_close(struct driver *d);

int64_t driver_now(const struct driver *d);
void driver_set_now(struct driver *d, int64_t ms); // forward only

// Appends to the topic; processed by the next driver_run.
// The timestamp -1 is now. The source topic or partition comes into being when it is not there.
int driver_send(struct driver *d, const char *topic, const struct driver_record *r,
                struct err *e) LEAT_CHECKED;
// Turns until nothing moves any more. The error that stopped the job, if it did.
int driver_run(struct driver *d, struct err *e) LEAT_CHECKED;
// Moves the clock in small enough pieces that idle rules, retries, ticks and windows fire as they
// would live; runs after each.
int driver_advance(struct driver *d, int64_t ms, struct err *e) LEAT_CHECKED;
// Closes and reopens the job on the same store, as a restart does.
int driver_restart(struct driver *d, struct err *e) LEAT_CHECKED;
// The same with another version of the job; its plan must outlive the driver. When it cannot take
// over what is stored, the error is returned and the job goes on as it was.
int driver_upgrade(struct driver *d, const struct driver_version *v,
                   struct err *e) LEAT_CHECKED;

// Between these, everything sent to one topic partition is one batch.
void driver_batch_begin(struct driver *d);
int driver_batch_end(struct driver *d, struct err *e) LEAT_CHECKED;
// What the job published to the topic since the last take, in order of publishing; memory is the
// driver's until the next call.
size_t driver_take(struct driver *d, const char *topic, const struct batch_record **records);
// The topics behind it (engine/driver_log.h), for tests that hold back or break things there.
struct driver_log *driver_topics(struct driver *d);
struct store *driver_store(struct driver *d);
struct job *driver_job(struct driver *d);
const struct plan *driver_plan(const struct driver *d);
// What has been counted so far: for choosing where to crash and where to cut.
const struct crash_points *driver_points(const struct driver *d);

#endif
