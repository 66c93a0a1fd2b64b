// SPDX-License-Identifier: Apache-2.0
//
// Topics in memory, as a source and a publisher: what the driver and the engine's tests run
// against. Everything appended is durable and readable at once unless a test holds it back.
#ifndef LEAT_ENGINE_DRIVER_LOG_H
#define LEAT_ENGINE_DRIVER_LOG_H

#include "runtime/engine/publisher.h"
#include "runtime/engine/source.h"

struct driver_batch {
    struct bytes bytes; // owned
    int64_t first, last;
    bool published; // by the job, not sent by the test
};

struct driver_partition {
    struct driver_batch *batches;
    size_t n, cap;
    int64_t end;
    bool coming; // more is on its way: not idle
    bool away;   // offsets from away_from on are known, but cannot be read yet
    int64_t away_from;
};

struct driver_topic {
    char *name;
    struct uuid id;
    struct driver_partition *parts;
    int32_t n_parts;
    struct driver_taken {
        int32_t partition;
        size_t batch;
    } * published; // in order of publishing
    size_t n_published, taken;
};

// What a test may switch on at the publishing end. Negative: fails so.
struct driver_faults {
    int append;        // answer of append, before anything is done
    bool lose_answer;  // append, then answer LEAT_ETIMEDOUT
    bool hold_durable; // nothing new becomes durable
    bool no_dedupe;    // negative control: forget who sent what
    const char *stuck; // topic that refuses with LEAT_EBUSY
};

struct driver_log {
    struct source source;
    struct publisher publisher;
    struct driver_topic **topics;
    size_t n_topics;
    int32_t n_partitions; // of new topics
    uint64_t next_id;
    struct driver_faults faults;
    struct arena arena; // of taken records
};

void driver_log_init(struct driver_log *l, int32_t n_partitions);
void driver_log_deinit(struct driver_log *l);
// Made if it is not there, with that partition.
struct driver_topic *driver_log_topic(struct driver_log *l, const char *name, int32_t partition);
struct driver_topic *driver_log_find(const struct driver_log *l, const char *name);
// Removes the topic; one of the same name gets another id.
void driver_log_delete(struct driver_log *l, const char *name);
// Appends a finished batch; offset of its first record.
int64_t driver_log_append(struct driver_topic *t, int32_t partition, struct bytes batch,
                          bool published);
// What the job published to the topic, in order of publishing, from the *from-th batch on, which
// then is the one behind it. Memory is the log's until the next call.
size_t driver_log_read(struct driver_log *l, const char *topic, size_t *from,
                       const struct batch_record **out);
// The same from where the last take ended.
size_t driver_log_take(struct driver_log *l, const char *topic, const struct batch_record **out);

#endif
