// SPDX-License-Identifier: Apache-2.0
//
// __consumer_offsets: group metadata and committed offsets as records, with Kafka's keys and
// values, so that Kafka's tools can read them. The last record of a key counts; one without value
// removes it. It is replayed at start.
//
//   key    int16 version (0, 1: offset; 2: group), then OffsetCommitKey or GroupMetadataKey
//   value  int16 version (3), then OffsetCommitValue or GroupMetadataValue; null: gone
//
// The topic is made when the first group needs it.
#ifndef LEAT_BROKER_JOURNAL_H
#define LEAT_BROKER_JOURNAL_H

#include "runtime/broker/slots.h"
#include "runtime/broker/waits.h"
#include "runtime/record/batch.h"

#define JOURNAL_TOPIC "__consumer_offsets"

struct broker;
struct group;
struct groups;
struct committed;

struct journal {
    struct broker *broker;
    struct slot **slots; // by partition; NULL while the topic does not exist
    int32_t n_slots;
    struct link writes; // of struct journal_write, on their way to the disk
    int32_t compacting; // the partition at work; -1: none
};

// Waits until its records are durable; then `done`, once, never from inside journal_write.
struct journal_write {
    struct link link;
    struct wait wait;
    struct slot *slot;
    int64_t end;
    void (*done)(struct journal_write *w, int16_t error);
};

// Makes sure that the topic exists and its partitions are open.
int journal_ready(struct journal *j, struct err *e) LEAT_CHECKED;
int journal_replay(struct journal *j, struct groups *gs, struct err *e) LEAT_CHECKED;
// The canceled writes' `done` is called.
void journal_close(struct journal *j);

// Records to be written in one batch.
struct journal_batch {
    struct batch_builder builder;
    struct arena arena;
    int64_t now_ms;
    int n;
};

void journal_batch_init(struct journal_batch *b, int64_t wall_ms);
void journal_batch_deinit(struct journal_batch *b);
void journal_add_offset(struct journal_batch *b, struct bytes group, const struct committed *c);
void journal_add_offset_gone(struct journal_batch *b, struct bytes group,
                             const struct committed *c);
void journal_add_group(struct journal_batch *b, const struct group *g);
void journal_add_group_gone(struct journal_batch *b, struct bytes group);

// Appends the batch for this group. After an error `done` is never called.
int journal_write(struct journal *j, struct bytes group, struct journal_batch *b,
                  struct journal_write *w, struct err *e) LEAT_CHECKED;
// The same to a partition.
int journal_write_to(struct journal *j, struct slot *s, struct journal_batch *b,
                     struct journal_write *w, struct err *e) LEAT_CHECKED;
int32_t journal_partition(const struct journal *j, struct bytes group);

// --- journal_compact.c ---
// Until partitions can be compacted: when most of a partition is history, what counts is written
// again and the partition's start moves up to it. Called now and then; does nothing when there is
// nothing to win.
void journal_compact(struct journal *j, struct groups *gs);

#endif
