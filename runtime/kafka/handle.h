// SPDX-License-Identifier: Apache-2.0
//
// The inside of a client, shared by this folder's files.
#ifndef LEAT_KAFKA_HANDLE_H
#define LEAT_KAFKA_HANDLE_H

#include "runtime/kafka/client.h"
#include "runtime/kafka/rdk.h"

enum { KAFKA_TIMEOUT_MS = 10000 };

struct kafka_ack {
    int64_t last_offset; // per partition; -1: none yet
};

struct kafka_client {
    struct rdk rdk;
    rd_kafka_t *rk;
    char *brokers;
    // producer
    rd_kafka_topic_t *topic; // of the first record: with it librdkafka asks at once where it is
    int64_t delivered;
    struct err delivery; // the first failure
    struct kafka_ack *acks;
    int32_t n_acks;
    // consumer
    rd_kafka_topic_partition_list_t *assignment;
    rd_kafka_message_t *message; // handed out last
    struct err fatal;
};

// LEAT_ECONNECT with the brokers named for transport errors, else a code near the Kafka one.
int kafka_error(const struct kafka_client *c, rd_kafka_resp_err_t code, const char *text,
                struct err *e);

#endif
