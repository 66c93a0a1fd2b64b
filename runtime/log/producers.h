// SPDX-License-Identifier: Apache-2.0
//
// What a partition knows of its producers: per id the epoch and the last five batches, by which a
// repeated batch is recognised and a gap refused (Kafka's idempotent producer, KIP-98 and KIP-360).
//
// Two kinds of ids. Clients' ids behave as in Kafka. Ids from PRODUCER_ID_RESERVED up belong to
// jobs' outboxes, whose rows keep their sequence for ever: they never expire, anything at or below
// the last sequence is a duplicate however old, and an unknown id must start at 0, so that a lost
// state never lets a repeat pass as new.
#ifndef LEAT_LOG_PRODUCERS_H
#define LEAT_LOG_PRODUCERS_H

#include "runtime/base/hashmap.h"
#include "runtime/base/limits.h"
#include "runtime/record/batch.h"

struct producer_batch {
    int32_t base_sequence, last_sequence;
    int64_t base_offset, last_offset;
    uint32_t crc; // the batch's own field
};

struct producer {
    int64_t id;
    int16_t epoch;
    int64_t seen_ms; // when it last appended
    int n;
    struct producer_batch batches[PRODUCER_BATCHES_KEPT]; // oldest first
};

struct producers {
    struct hashmap map; // 8 bytes of id -> struct producer
};

void producers_init(struct producers *ps);
void producers_deinit(struct producers *ps);

enum producer_verdict { PRODUCER_APPEND, PRODUCER_DUPLICATE };

// PRODUCER_APPEND; PRODUCER_DUPLICATE with the original in *original (its base_offset is -1 when it
// is older than what is kept; last_offset is then the newest's); or LEAT_ESEQUENCE, LEAT_EFENCED,
// LEAT_EFORK, LEAT_ELIMIT.
int producers_check(const struct producers *ps, const struct batch_header *h,
                    struct producer_batch *original, struct err *e) LEAT_CHECKED;
// The batch was appended at base_offset. Also how state is rebuilt from the segments.
void producers_note(struct producers *ps, const struct batch_header *h, int64_t base_offset,
                    int64_t now_ms);
const struct producer *producers_get(const struct producers *ps, int64_t id);
void producers_expire(struct producers *ps, int64_t before_ms);

// The snapshot file: the state before `offset`.
void producers_encode(const struct producers *ps, int64_t offset, struct buf *out);
// LEAT_ECORRUPT leaves ps empty.
int producers_decode(struct producers *ps, struct bytes b, int64_t offset, struct err *e)
    LEAT_CHECKED;

#endif
