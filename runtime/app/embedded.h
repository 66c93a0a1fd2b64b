// SPDX-License-Identifier: Apache-2.0
//
// The embedded broker as a job's source and publisher: two thin adapters over partitions in the
// same process.
//
// The source shows nothing at or above min(last stable, flushed), in page-cache mode too: what a
// power cut could take back must not have been consumed. The publisher appends under the job's own
// producer id, and calls a record durable when it is flushed. One of each per job, used on its
// worker's thread only; they keep the partitions they have touched open.
//
// Both hold on to the topic they know by its id. One that was deleted, and perhaps made again under
// the same name, is not found, also between two calls of the same step: the source's callers learn
// the new id by asking for the topic.
#ifndef LEAT_APP_EMBEDDED_H
#define LEAT_APP_EMBEDDED_H

#include "runtime/base/limits.h"
#include "runtime/broker/broker.h"
#include "runtime/engine/publisher.h"
#include "runtime/engine/source.h"

struct embedded_slot {
    char topic[TOPIC_NAME_MAX + 1];
    int32_t partition;
    struct slot *slot;
    bool said_past; // that what is published is older than the topic keeps it
};

// The partitions one thread has open.
struct embedded_slots {
    struct broker *broker;
    struct embedded_slot *items;
    size_t n;
    size_t last; // found; partitions are asked for in order, so the next is near
};

// A topic as the source has called it last.
struct embedded_input {
    char topic[TOPIC_NAME_MAX + 1];
    struct uuid id;
};

struct embedded {
    struct source source;
    struct publisher publisher;
    struct embedded_slots slots;
    struct embedded_input *inputs;
    size_t n_inputs;
    struct buf batch; // the copy that is stamped
};

void embedded_init(struct embedded *em, struct broker *b);
void embedded_deinit(struct embedded *em);

#endif
