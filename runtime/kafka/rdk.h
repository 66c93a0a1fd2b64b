// SPDX-License-Identifier: Apache-2.0
//
// librdkafka, loaded when it is first needed. It drags in some 8 MiB of libraries and as many
// milliseconds, which a server that only serves would pay for nothing; so the functions we use
// stand in one table that dlopen fills.
#ifndef LEAT_KAFKA_RDK_H
#define LEAT_KAFKA_RDK_H

#include <librdkafka/rdkafka.h>

#include "runtime/base/err.h"

#define RDK_FUNCTIONS(X)                                                                           \
    X(rd_kafka_conf_new)                                                                           \
    X(rd_kafka_conf_destroy)                                                                       \
    X(rd_kafka_conf_set)                                                                           \
    X(rd_kafka_conf_set_dr_msg_cb)                                                                 \
    X(rd_kafka_conf_set_error_cb)                                                                  \
    X(rd_kafka_conf_set_log_cb)                                                                    \
    X(rd_kafka_conf_set_opaque)                                                                    \
    X(rd_kafka_new)                                                                                \
    X(rd_kafka_destroy)                                                                            \
    X(rd_kafka_opaque)                                                                             \
    X(rd_kafka_poll)                                                                               \
    X(rd_kafka_flush)                                                                              \
    X(rd_kafka_purge)                                                                              \
    X(rd_kafka_outq_len)                                                                           \
    X(rd_kafka_producev)                                                                           \
    X(rd_kafka_err2str)                                                                            \
    X(rd_kafka_last_error)                                                                         \
    X(rd_kafka_topic_new)                                                                          \
    X(rd_kafka_topic_destroy)                                                                      \
    X(rd_kafka_topic_name)                                                                         \
    X(rd_kafka_metadata)                                                                           \
    X(rd_kafka_metadata_destroy)                                                                   \
    X(rd_kafka_query_watermark_offsets)                                                            \
    X(rd_kafka_topic_partition_list_new)                                                           \
    X(rd_kafka_topic_partition_list_destroy)                                                       \
    X(rd_kafka_topic_partition_list_add)                                                           \
    X(rd_kafka_assign)                                                                             \
    X(rd_kafka_poll_set_consumer)                                                                  \
    X(rd_kafka_consumer_poll)                                                                      \
    X(rd_kafka_consumer_close)                                                                     \
    X(rd_kafka_message_destroy)                                                                    \
    X(rd_kafka_message_timestamp)                                                                  \
    X(rd_kafka_message_headers)                                                                    \
    X(rd_kafka_header_get_all)                                                                     \
    X(rd_kafka_headers_new)                                                                        \
    X(rd_kafka_headers_destroy)                                                                    \
    X(rd_kafka_header_add)                                                                         \
    X(rd_kafka_NewTopic_new)                                                                       \
    X(rd_kafka_NewTopic_destroy)                                                                   \
    X(rd_kafka_NewTopic_set_config)                                                                \
    X(rd_kafka_CreateTopics)                                                                       \
    X(rd_kafka_DeleteTopic_new)                                                                    \
    X(rd_kafka_DeleteTopic_destroy)                                                                \
    X(rd_kafka_DeleteTopics)                                                                       \
    X(rd_kafka_queue_new)                                                                          \
    X(rd_kafka_queue_destroy)                                                                      \
    X(rd_kafka_queue_poll)                                                                         \
    X(rd_kafka_event_type)                                                                         \
    X(rd_kafka_event_error)                                                                        \
    X(rd_kafka_event_error_string)                                                                 \
    X(rd_kafka_event_destroy)                                                                      \
    X(rd_kafka_event_CreateTopics_result)                                                          \
    X(rd_kafka_event_DeleteTopics_result)                                                          \
    X(rd_kafka_CreateTopics_result_topics)                                                         \
    X(rd_kafka_DeleteTopics_result_topics)                                                         \
    X(rd_kafka_topic_result_error)                                                                 \
    X(rd_kafka_topic_result_error_string)

struct rdk {
    void *library;
#define X(name) __typeof__(name) *name;
    RDK_FUNCTIONS(X)
#undef X
};

// Loads the library into `r`; LEAT_EUNSUPPORTED with the package to install when it is missing.
int rdk_load(struct rdk *r, struct err *e) LEAT_CHECKED;

#endif
