// SPDX-License-Identifier: Apache-2.0
//
// The handlers, one file each, and the error codes that they answer with. Kafka's numbers.
#ifndef LEAT_BROKER_API_H
#define LEAT_BROKER_API_H

#include "runtime/broker/session.h"

enum kafka_error {
    KAFKA_UNKNOWN = -1,
    KAFKA_OK = 0,
    KAFKA_OFFSET_OUT_OF_RANGE = 1,
    KAFKA_UNKNOWN_TOPIC_OR_PARTITION = 3,
    KAFKA_NOT_LEADER = 6,
    KAFKA_TIMED_OUT = 7,
    KAFKA_MESSAGE_TOO_LARGE = 10,
    KAFKA_METADATA_TOO_LARGE = 12,
    KAFKA_COORDINATOR_NOT_AVAILABLE = 15,
    KAFKA_INVALID_TOPIC = 17,
    KAFKA_INVALID_REQUIRED_ACKS = 21,
    KAFKA_ILLEGAL_GENERATION = 22,
    KAFKA_INVALID_GROUP_ID = 24,
    KAFKA_INVALID_TIMESTAMP = 32,
    KAFKA_UNSUPPORTED_VERSION = 35,
    KAFKA_TOPIC_EXISTS = 36,
    KAFKA_INVALID_PARTITIONS = 37,
    KAFKA_INVALID_REPLICATION_FACTOR = 38,
    KAFKA_INVALID_REPLICA_ASSIGNMENT = 39,
    KAFKA_INVALID_CONFIG = 40,
    KAFKA_INVALID_REQUEST = 42,
    KAFKA_POLICY_VIOLATION = 44,
    KAFKA_OUT_OF_ORDER_SEQUENCE = 45,
    KAFKA_INVALID_TXN_STATE = 48,
    KAFKA_INVALID_PRODUCER_ID_MAPPING = 49,
    KAFKA_TRANSACTIONAL_ID_AUTHORIZATION_FAILED = 53,
    KAFKA_STORAGE_ERROR = 56,
    KAFKA_NON_EMPTY_GROUP = 68,
    KAFKA_GROUP_ID_NOT_FOUND = 69,
    KAFKA_FETCH_SESSION_ID_NOT_FOUND = 70,
    KAFKA_FENCED_LEADER_EPOCH = 74,
    KAFKA_UNKNOWN_LEADER_EPOCH = 75,
    KAFKA_UNSUPPORTED_COMPRESSION = 76,
    KAFKA_INVALID_RECORD = 87,
    KAFKA_UNKNOWN_TOPIC_ID = 100,
};

void api_produce(struct request *r);
void api_fetch(struct request *r);
void api_list_offsets(struct request *r);
void api_metadata(struct request *r);
void api_offset_commit(struct request *r);
void api_offset_fetch(struct request *r);
void api_find_coordinator(struct request *r);
void api_join_group(struct request *r);
void api_heartbeat(struct request *r);
void api_leave_group(struct request *r);
void api_sync_group(struct request *r);
void api_describe_groups(struct request *r);
void api_list_groups(struct request *r);
void api_versions(struct request *r);
void api_create_topics(struct request *r);
void api_delete_topics(struct request *r);
void api_delete_records(struct request *r);
void api_init_producer_id(struct request *r);
void api_describe_configs(struct request *r);
void api_create_partitions(struct request *r);
void api_delete_groups(struct request *r);
void api_describe_cluster(struct request *r);

// "127.0.0.1" and the port that clients connect to.
struct bytes api_host(const struct request *r);
// A copy of the error's text in the request's arena.
struct bytes api_text(struct request *r, const struct err *e);
// The error of looking up a partition: unknown, or not readable.
int16_t api_slot_error(int rc, bool by_id);
// KIP-320: the client's idea of the leader epoch against ours; -1 does not ask.
int16_t api_epoch_error(const struct slot *s, int32_t epoch);

#endif
