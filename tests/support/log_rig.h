// SPDX-License-Identifier: Apache-2.0
//
// A partition over the fake file system, with a model beside it: every batch that was appended,
// byte for byte, and how far the partition said that it was durable. After any crash the model is
// the judge.
#ifndef LEAT_TESTS_LOG_RIG_H
#define LEAT_TESTS_LOG_RIG_H

#include "runtime/base/clock.h"
#include "runtime/base/random.h"
#include "runtime/log/partition.h"
#include "tests/support/fs_fake.h"

#define RIG_DIR "/data/t/0"

struct rig_batch {
    int64_t base, end;
    int64_t base_timestamp;
    struct bytes bytes; // owned
};

struct rig {
    struct fs_fake *fake;
    struct clock_fake clock;
    struct partition_config config;
    struct partition *p;
    struct partition_recovery recovery;
    struct err e;
    struct random random;
    struct batch_builder builder;
    struct rig_batch *batches;
    size_t n_batches;
    int64_t acked; // largest `flushed` seen
    int32_t sequence;
};

void rig_init(struct rig *r, uint64_t seed);
void rig_deinit(struct rig *r);
int rig_open(struct rig *r) LEAT_CHECKED;
void rig_close(struct rig *r);

// Builds a batch of n records from a producer (id -1: none); the bytes are the builder's.
struct bytes rig_build(struct rig *r, int n, int64_t producer, int32_t sequence);
// Appends what was built, with the batch noted in the model when it went in.
int rig_append_built(struct rig *r, struct bytes batch, struct append_result *result) LEAT_CHECKED;
// A random batch of 1 to 20 records from the rig's own producer.
int rig_append(struct rig *r) LEAT_CHECKED;
int rig_sync(struct rig *r) LEAT_CHECKED;
// What the model holds at or above the recovered end is forgotten; the sequence follows the log.
void rig_accept_end(struct rig *r);
// Every offset from start to `upto` reads back as the model's bytes. 0, or the first offset that
// does not, plus 1.
int64_t rig_compare(struct rig *r, int64_t upto);

#endif
