// SPDX-License-Identifier: Apache-2.0
//
// A job file in memory, for the engine's own tests: transactions by copying everything, counters
// per key as the only rows, and a fault at the n-th call. What is committed outlives the job, so a
// test crashes a job by closing it and opens the next one on the same store.
#ifndef LEAT_TESTS_FAKE_STORE_H
#define LEAT_TESTS_FAKE_STORE_H

#include "runtime/engine/store.h"

struct fake_counter {
    char name[64];
    int64_t value;
};

struct fake_mark {
    struct uuid topic_id;
    int32_t partition;
    int64_t seq, batch_no, marked;
};

struct fake_contents {
    struct store_offset *offsets;
    size_t n_offsets;
    struct outbox_row *outbox;
    size_t n_outbox;
    struct fake_mark *marks;
    size_t n_marks;
    struct parked_row *parked;
    size_t n_parked;
    struct fake_counter *rows; // what user code wrote
    size_t n_rows;
    struct fake_counter *numbers;
    size_t n_numbers;
    int64_t next_outbox, next_parked, commits, late;
};

struct fake_store {
    struct store store;
    struct arena arena; // all bytes; freed at the end
    struct fake_contents now, begun, saved;
    bool open, savepoint;
    int savepoints; // taken so far
    int64_t scanned; // outbox rows given out
    // Faults: the call with this number from now answers fault_code; -1: none.
    int64_t fault_at;
    int fault_code;
    const char *fault_in; // only calls of this name count; NULL: all
};

void fake_store_init(struct fake_store *s);
void fake_store_deinit(struct fake_store *s);
// A change of a row, inside a step.
void fake_store_add(struct fake_store *s, const char *name, int64_t delta);
int64_t fake_store_row(const struct fake_store *s, const char *name);
int64_t fake_store_number(const struct fake_store *s, const char *name);

#endif
