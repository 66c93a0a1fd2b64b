// SPDX-License-Identifier: Apache-2.0
//
// One trial of the model tests: a job, and what happens to it. Both come from a seed; the real
// engine (engine.c) and the models (timeline.c and those behind model.h) get the same trial and
// write down what they see, each in a transcript. The transcripts must be equal.
#ifndef LEAT_TESTS_MODEL_TRIAL_H
#define LEAT_TESTS_MODEL_TRIAL_H

#include "runtime/base/buf.h"

enum category { WINDOWS, SESSIONS, LOOK_BACK, JOINS, CATEGORIES };
enum join_shape { INNER, LEFT, OUTER };

enum {
    SOURCES_MAX = 2,
    PARTITIONS_MAX = 6,
    KEYS_MAX = 1000,
    KEY_SIZE = 80,
    SECTIONS_MAX = 16,
};

#define TRIAL_START INT64_C(1767225600000)

enum op_kind {
    OP_RECORD,  // is sent
    OP_BATCH,   // what was sent so far is one batch of its partition, what follows another
    OP_CLOCK,   // moves by `time`
    OP_RUN,     // the job reads what is there
    OP_LOOK,    // its tables are written down
    OP_RESTART, // and the job reads what is there
};

struct op {
    uint8_t kind, source, partition;
    bool nil; // the record has no x
    int32_t key, x;
    int32_t id; // of the record, counting from 1
    int64_t time;
};

struct trial_source {
    int partitions;
    int64_t disorder, idle; // idle: -1 for false
};

struct trial_window {
    int64_t size, every, grace; // sessions: size is the gap; look-back: what they look back
    bool into, changes;         // whether its table is read, and each change of it
};

struct trial {
    uint64_t seed;
    enum category category;
    int n_sources;
    struct trial_source sources[SOURCES_MAX];
    int n_keys;
    struct trial_window first, second; // second: hopping ones beside the tumbling first
    struct trial_window upper;         // tumbling, over what the first gives
    enum join_shape shape;
    int64_t lo, hi, join_grace;
    int64_t commit_records;
    size_t cache_bytes, step_bytes; // of the operators
    struct op *ops;
    size_t n, cap;
};

void trial_make(struct trial *t, enum category c, uint64_t seed, int records);
void trial_free(struct trial *t);
// After operations were left out: of several steps of the clock in a row there is one.
void trial_settle(struct trial *t);
const char *category_name(enum category c);

// The job in its own language.
void trial_job(const struct trial *t, struct buf *out);
// The operations, a line for each.
void trial_print(const struct trial *t, struct buf *out);
// Keys are numbered in the order of their bytes.
const char *key_text(int key);
void record_json(const struct op *o, struct buf *out);

// What was seen: a section for each output topic and each table.
struct transcript {
    const char *names[SECTIONS_MAX];
    struct buf sections[SECTIONS_MAX];
    int n;
    struct buf steps; // the engine's: for each OP_RUN and OP_RESTART, 1 if it made a step
};

struct buf *transcript_section(struct transcript *t, const char *name);
void transcript_free(struct transcript *t);
// Fills `out` with the first difference; false when there is none.
bool transcript_differs(struct transcript *model, struct transcript *engine, struct buf *out);

void put_int(struct buf *out, int64_t v);
void put_float(struct buf *out, double v);
void put_bits(struct buf *out, double v);

// Runs the trial through the real engine. False: it failed, and `out` says how.
bool engine_run(const struct trial *t, struct transcript *seen, struct buf *out);
// Computes what must be seen. When a job makes a step is its own affair (it is written down in its
// file), and all else is a function of that: so the model is told.
void model_run(const struct trial *t, const struct transcript *engine, struct transcript *seen);

#endif
