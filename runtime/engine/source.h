// SPDX-License-Identifier: Apache-2.0
//
// Where a job's records come from: the embedded broker's partitions, an external cluster, an
// application's outbox, or a test's lists. Used on the worker thread; implementations do their own
// locking. Nothing above min(last stable, flushed) is ever shown: what the engine has seen cannot
// disappear.
#ifndef LEAT_ENGINE_SOURCE_H
#define LEAT_ENGINE_SOURCE_H

#include "runtime/base/uuid.h"
#include "runtime/record/batch.h"

struct source;

struct source_topic {
    struct uuid id;
    int32_t n_partitions;
};

struct source_ops {
    // LEAT_ENOTFOUND: no such topic (yet): the job waits, visibly.
    int (*topic)(struct source *s, const char *topic, struct source_topic *out, struct err *e);
    // First offset that can be read, and the first that cannot yet.
    int (*bounds)(struct source *s, const char *topic, int32_t partition, int64_t *start,
                  int64_t *stable, struct err *e);
    // Appends whole batches to `out`, the first of which contains `offset`, about `bytes_max`,
    // below `stable`; *next is where to go on. LEAT_ERANGE: the offset is gone or beyond the end:
    // the job stops.
    int (*fetch)(struct source *s, const char *topic, int32_t partition, int64_t offset,
                 size_t bytes_max, struct buf *out, int64_t *next, struct err *e);
    // Whether more is known to come behind `stable`, as from an open transaction: such a partition
    // is not idle, however long it takes. NULL: never.
    bool (*coming)(struct source *s, const char *topic, int32_t partition);
    // May be NULL. What lies below `next` has been read, and what it led to is committed: told
    // after each commit that moved it, and when the job has found where it stands.
    void (*committed)(struct source *s, const char *topic, int32_t partition, int64_t next);
    // May be NULL. Nobody tells when this source moves: ask again after at most so many ms.
    int64_t (*poll_ms)(struct source *s);
};

struct source {
    const struct source_ops *ops;
};

#endif
