// SPDX-License-Identifier: Apache-2.0
//
// A user function as the engine sees it. The plan holds `struct fn`; scripts/host implements it
// over Lua. One signature for all of them: (value, ctx) in, a value out; nil drops the record.
// Functions run on the job's worker thread only. A call that fails leaves no trace: what it wrote
// is rolled back by the caller.
#ifndef LEAT_ENGINE_FN_H
#define LEAT_ENGINE_FN_H

#include "runtime/record/event.h"

struct tables;
struct fn;

// Values emitted by ctx:emit, in order, each with an optional key of its own.
struct fn_emit {
    struct value value;
    struct value key; // MISSING: keeps the event's
};

// What ctx:timer and ctx:cancel asked for, in order.
struct fn_timer {
    struct bytes name;
    int64_t at; // event time, ms
    bool cancel;
};

// Of a function of :process: what its key keeps.
struct fn_keyed {
    struct value state; // in: as it stands; out, when `used`: what it shall be, MISSING for none
    bool used;          // the function has looked at ctx.state, or assigned to it
    bool timers_allowed;
    struct fn_timer *timers;
    size_t n_timers;
};

struct fn_call {
    struct event *event;   // in; its view is what `v` reads
    int64_t now;           // the step's clock, ms
    struct arena *arena;   // results live here
    struct tables *tables; // behind ctx.db; NULL where the place has none
    uint64_t seed;         // of math.random: from topic, partition, offset
    struct fn_keyed *keyed; // behind ctx.state, ctx:timer; NULL outside of :process
    // Of upgrade(old, from): the first argument is a table and the second this number; else 0.
    int64_t upgrade_from;
    // out
    struct value result; // MISSING when nil was returned
    struct fn_emit *emits;
    size_t n_emits;
};

struct fn_ops {
    // 0, or the class of the error: LEAT_ELUA (error(), assert; text with the job's file:line),
    // LEAT_EMISSING (ctx:retry or a missing row in a verb), LEAT_ECONSTRAINT, LEAT_ETYPE,
    // LEAT_EBUDGET (time, memory), or an infrastructure code that came up through a verb (not
    // catchable by the job's pcall).
    int (*call)(struct fn *f, struct fn_call *c, struct err *e);
    // A stable description of the code (stripped bytecode and constants), for fingerprints.
    void (*fingerprint)(struct fn *f, struct buf *out);
    // Whether its code, or code that it calls, names ctx.db. NULL: it may.
    bool (*names_db)(struct fn *f);
    void (*free)(struct fn *f);
};

struct fn {
    const struct fn_ops *ops;
    const char *file; // where it was written
    int line;
};

static inline int fn_call(struct fn *f, struct fn_call *c, struct err *e)
{
    return f->ops->call(f, c, e);
}

#endif
