// SPDX-License-Identifier: Apache-2.0
//
// Where open partitions live. A partition is opened (and recovered) when somebody first wants it;
// until then it costs nothing, so a server with many topics starts as fast as one with few. A slot
// is counted: as long as anybody holds it, the partition stays open, even when its topic is deleted
// meanwhile (`deleted` says so).
#ifndef LEAT_BROKER_SLOTS_H
#define LEAT_BROKER_SLOTS_H

#include "runtime/broker/metadata.h"
#include "runtime/log/flusher.h"
#include "runtime/log/partition.h"

struct slot {
    struct partition *partition;
    struct slots *slots;
    struct link link; // slots.open
    _Atomic int refs; // the topic's own is one of them
    _Atomic bool deleted;
    struct uuid topic_id;
};

struct slots {
    struct metadata *metadata;
    struct fs *fs;
    struct clock *clock;
    struct flusher *flusher;
    const char *data_dir;
    bool durable;
    pthread_mutex_t lock; // over opening and the list
    struct link open;
    int n_open;
};

void slots_init(struct slots *s);
// Closes every partition. Nobody may hold a slot any more.
void slots_deinit(struct slots *s);

// Any thread; may block (recovery). LEAT_ENOTFOUND: no such topic or partition.
int slot_get(struct slots *s, struct bytes topic, int32_t partition, struct slot **out,
             struct err *e) LEAT_CHECKED;
int slot_get_by_id(struct slots *s, struct uuid topic, int32_t partition, struct slot **out,
                   struct err *e) LEAT_CHECKED;
void slot_ref(struct slot *s);
void slot_unref(struct slot *s);
// The topic was just deleted: its slots close when the last holder lets go.
void slots_topic_deleted(struct slots *s, struct topic *t);
// Removes the files of deleted topics that nobody holds any more.
void slots_sweep(struct slots *s);
// Retention, and producers that have been silent for too long. Returns the bytes freed.
int64_t slots_retain(struct slots *s);

#endif
