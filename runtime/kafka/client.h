// SPDX-License-Identifier: Apache-2.0
//
// The Kafka client behind `leat produce`, `consume` and `topics`: it works against any cluster. One
// client is used by one thread. Calls block up to their timeouts.
#ifndef LEAT_KAFKA_CLIENT_H
#define LEAT_KAFKA_CLIENT_H

#include "runtime/record/event.h"

struct kafka_client;

enum kafka_role { KAFKA_PRODUCER, KAFKA_CONSUMER };

// Connects lazily: what cannot be reached shows at the first call. `brokers`:
// "host:port,host:port". LEAT_EUNSUPPORTED when librdkafka is not there.
int kafka_open(struct kafka_client **out, const char *brokers, enum kafka_role role,
               struct err *e) LEAT_CHECKED;
// A producer is flushed first, for at most 10 s.
void kafka_close(struct kafka_client *c);

// --- topics ---

struct kafka_topic {
    const char *name;
    int32_t n_partitions;
    int64_t *start, *end; // per partition; -1 where the leader did not answer
};

// All topics but internal ones, or only `name`. LEAT_ECONNECT, LEAT_ENOTFOUND. Memory from the
// arena.
int kafka_topics(struct kafka_client *c, const char *name, struct arena *a,
                 struct kafka_topic **topics, size_t *n, struct err *e) LEAT_CHECKED;
// configs: name, value, name, value...
int kafka_create_topic(struct kafka_client *c, const char *name, int32_t n_partitions,
                       const char *const *configs, size_t n_configs, struct err *e) LEAT_CHECKED;
int kafka_delete_topic(struct kafka_client *c, const char *name, struct err *e) LEAT_CHECKED;

// --- producing: idempotent, acks=all ---

struct kafka_record {
    struct bytes key, value; // BYTES_NULL: null
    const struct header *headers;
    size_t n_headers;
    int32_t partition; // -1: by key
    int64_t timestamp; // 0: now
};

// Queues one record; blocks while the queue is full.
int kafka_produce(struct kafka_client *c, const char *topic, const struct kafka_record *r,
                  struct err *e) LEAT_CHECKED;
// Serves the connection for up to `ms`: for a producer that paces itself.
void kafka_poll(struct kafka_client *c, int ms);
// Waits until everything is acknowledged. The first delivery error, if any.
int kafka_flush(struct kafka_client *c, struct err *e) LEAT_CHECKED;
int64_t kafka_delivered(const struct kafka_client *c);
// Where the last acknowledged record of each partition stands: "topic:0@12,1@9".
void kafka_position(const struct kafka_client *c, const char *topic, struct buf *out);

// --- consuming, by assignment ---

struct kafka_message {
    int32_t partition;
    int64_t offset, timestamp;
    struct bytes key, value;
    struct header *headers;
    size_t n_headers;
};

// From offset (>= 0), -2 the beginning, -1 the end, or -n - 2000: n before the end. One call per
// partition, then kafka_assign.
void kafka_add(struct kafka_client *c, const char *topic, int32_t partition, int64_t offset);
int kafka_assign(struct kafka_client *c, struct err *e) LEAT_CHECKED;
// 1 a message (valid until the next call, memory from `a`), 0 nothing within the timeout, or an
// error.
int kafka_consume(struct kafka_client *c, int timeout_ms, struct arena *a, struct kafka_message *m,
                  struct err *e) LEAT_CHECKED;

#endif
