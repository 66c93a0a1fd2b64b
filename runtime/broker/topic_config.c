// SPDX-License-Identifier: Apache-2.0
//
// One table: names, types, bounds. Settings with a single value are there because clients look for
// them.
#include "runtime/broker/topic_config.h"

#include <inttypes.h>

#include "runtime/base/limits.h"
#include "runtime/base/number.h"

#define NUMBER(config_name, kind, field, least, most)                                              \
    {                                                                                              \
        config_name, kind, NULL, least, most, offsetof(struct topic_config, field)                 \
    }
#define FIXED(config_name, kind, value)                                                            \
    {                                                                                              \
        config_name, kind, value, 0, 0, 0                                                          \
    }

const struct topic_config_entry topic_config_entries[] = {
    FIXED("cleanup.policy", TOPIC_CONFIG_LIST, "delete"),
    FIXED("compression.type", TOPIC_CONFIG_STRING, "producer"),
    NUMBER("max.message.bytes", TOPIC_CONFIG_INT, max_message_bytes, 1024, BATCH_BYTES_MAX_HARD),
    FIXED("message.timestamp.type", TOPIC_CONFIG_STRING, "CreateTime"),
    FIXED("min.insync.replicas", TOPIC_CONFIG_INT, "1"),
    NUMBER("retention.bytes", TOPIC_CONFIG_LONG, retention_bytes, -1, INT64_MAX),
    NUMBER("retention.ms", TOPIC_CONFIG_LONG, retention_ms, -1, INT64_MAX),
    NUMBER("segment.bytes", TOPIC_CONFIG_INT, segment_bytes, 4096, INT32_MAX),
    NUMBER("segment.ms", TOPIC_CONFIG_LONG, segment_ms, 1, INT64_MAX),
};
const size_t topic_config_n_entries = ARRAY_LEN(topic_config_entries);

const struct topic_config_entry *topic_config_find(struct bytes name)
{
    for (size_t i = 0; i < topic_config_n_entries; i++)
        if (bytes_eq_str(name, topic_config_entries[i].name))
            return &topic_config_entries[i];
    return NULL;
}

int topic_config_set(struct topic_config *c, struct bytes name, struct bytes value, struct err *e)
{
    const struct topic_config_entry *entry = topic_config_find(name);
    int64_t v;

    if (entry == NULL)
        return err_set(e, LEAT_EINVAL, "the topic setting %.*s is not known here", BYTES_FMT(name));
    if (entry->only != NULL) {
        if (!bytes_eq_str(value, entry->only))
            return err_set(e, LEAT_EINVAL, "%s can only be %s here", entry->name, entry->only);
        return 0;
    }
    if (bytes_is_null(value) || number_parse_int(value, &v) != 0 || v < entry->min ||
        v > entry->max)
        return err_set(e, LEAT_EINVAL, "%s must be a number from %" PRId64 " to %" PRId64,
                       entry->name, entry->min, entry->max);
    memcpy((char *)c + entry->at, &v, sizeof v);
    return 0;
}

void topic_config_value(const struct topic_config *c, const struct topic_config_entry *entry,
                        struct buf *out)
{
    int64_t v;

    if (entry->only != NULL) {
        buf_append_str(out, entry->only);
        return;
    }
    memcpy(&v, (const char *)c + entry->at, sizeof v);
    buf_printf(out, "%" PRId64, v);
}
