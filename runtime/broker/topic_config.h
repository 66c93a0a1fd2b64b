// SPDX-License-Identifier: Apache-2.0
//
// The settings of a topic that Kafka clients can see and set. A name that we do not act on is
// refused, so that nobody believes in a setting that does nothing.
#ifndef LEAT_BROKER_TOPIC_CONFIG_H
#define LEAT_BROKER_TOPIC_CONFIG_H

#include "runtime/base/buf.h"
#include "runtime/base/err.h"

struct topic_config {
    int64_t retention_ms, retention_bytes; // -1: no limit
    int64_t segment_ms, segment_bytes;
    int64_t max_message_bytes;
};

enum topic_config_type {
    TOPIC_CONFIG_STRING = 2,
    TOPIC_CONFIG_INT = 3,
    TOPIC_CONFIG_LONG = 5,
    TOPIC_CONFIG_LIST = 7
}; // as in DescribeConfigs

struct topic_config_entry {
    const char *name;
    enum topic_config_type type;
    const char *only; // the only value there is, or NULL for a number
    int64_t min, max;
    size_t at; // of the number, in struct topic_config
};

extern const struct topic_config_entry topic_config_entries[];
extern const size_t topic_config_n_entries;

const struct topic_config_entry *topic_config_find(struct bytes name);
// LEAT_EINVAL with a sentence: unknown name, or a value that is not acceptable.
int topic_config_set(struct topic_config *c, struct bytes name, struct bytes value,
                     struct err *e) LEAT_CHECKED;
// The value in force, as text.
void topic_config_value(const struct topic_config *c, const struct topic_config_entry *entry,
                        struct buf *out);

#endif
