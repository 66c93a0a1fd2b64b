// SPDX-License-Identifier: Apache-2.0
//
// Where the relay sends outbox rows. A batch keeps its partition, producer id, sequence and bytes
// for ever, so that a repeat is recognised by the receiving log.
#ifndef LEAT_ENGINE_PUBLISHER_H
#define LEAT_ENGINE_PUBLISHER_H

#include "runtime/base/uuid.h"
#include "runtime/record/batch.h"

struct publisher;

struct publisher_topic {
    struct uuid id;
    int32_t n_partitions;
};

struct publisher_ops {
    // Creates a declared output topic that does not exist.
    int (*topic)(struct publisher *p, const char *topic, struct publisher_topic *out,
                 struct err *e);
    // Appends one batch (built with the job's producer id and sequence). *end: the offset behind
    // its last record; it is durable once durable() >= *end. A repeat succeeds with the original's
    // end. LEAT_EFORK: the log holds other content under this sequence. LEAT_ENOSPC, LEAT_EBUSY:
    // try again later. LEAT_ENOTFOUND: the topic id is gone.
    int (*append)(struct publisher *p, const char *topic, struct uuid id, int32_t partition,
                  struct bytes batch, int64_t *end, struct err *e);
    // First offset not yet durable.
    int (*durable)(struct publisher *p, const char *topic, struct uuid id, int32_t partition,
                   int64_t *offset, struct err *e);
};

struct publisher {
    const struct publisher_ops *ops;
};

#endif
