// SPDX-License-Identifier: Apache-2.0
//
// DescribeConfigs of topics: every setting that we act on, with its source. Brokers answer with an
// empty list: what can be set there is set on the command line.
#include "runtime/broker/api.h"

#define RESOURCE_TOPIC 2
#define RESOURCE_BROKER 4
#define SOURCE_TOPIC 1
#define SOURCE_DEFAULT 5

static bool is_asked(const struct describe_configs_request_resource *in, const char *name)
{
    for (int32_t i = 0; i < in->configuration_keys.n; i++)
        if (bytes_eq_str(in->configuration_keys.items[i], name))
            return true;
    return in->configuration_keys.n < 0 || in->configuration_keys.n == 0;
}

static bool is_set(const struct topic *t, const char *name)
{
    for (int i = 0; i < t->n_settings; i++)
        if (bytes_eq_str(t->settings[i].name, name))
            return true;
    return false;
}

static void fill_config(struct request *r, const struct topic *t,
                        const struct topic_config_entry *entry,
                        struct describe_configs_response_config *out)
{
    struct buf text = BUF_EMPTY;

    topic_config_value(&t->config, entry, &text);
    out->name = bytes_str(entry->name);
    out->value = arena_copy(&r->arena, buf_bytes(&text));
    out->config_source = is_set(t, entry->name) ? SOURCE_TOPIC : SOURCE_DEFAULT;
    out->config_type = (int8_t)entry->type;
    buf_deinit(&text);
}

static void describe_topic(struct request *r, const struct describe_configs_request_resource *in,
                           struct describe_configs_response_result *out)
{
    const struct topic *t = metadata_topic(&r->broker->metadata, in->resource_name);

    if (t == NULL) {
        out->error_code = KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
        out->error_message = bytes_str("no such topic");
        return;
    }
    out->configs.items =
        WIRE_NEW(&r->arena, describe_configs_response_config, topic_config_n_entries);
    for (size_t i = 0; i < topic_config_n_entries; i++)
        if (is_asked(in, topic_config_entries[i].name))
            fill_config(r, t, &topic_config_entries[i], &out->configs.items[out->configs.n++]);
}

void api_describe_configs(struct request *r)
{
    const struct describe_configs_request *q = r->body;
    struct describe_configs_response *res = WIRE_NEW(&r->arena, describe_configs_response, 1);

    res->results.n = q->resources.n;
    res->results.items =
        WIRE_NEW(&r->arena, describe_configs_response_result, (size_t)q->resources.n);
    for (int32_t i = 0; i < q->resources.n; i++) {
        const struct describe_configs_request_resource *in = &q->resources.items[i];
        struct describe_configs_response_result *out = &res->results.items[i];

        out->resource_type = in->resource_type;
        out->resource_name = in->resource_name;
        if (in->resource_type == RESOURCE_TOPIC) {
            describe_topic(r, in, out);
        } else if (in->resource_type != RESOURCE_BROKER) {
            out->error_code = KAFKA_INVALID_REQUEST;
            out->error_message = bytes_str("only topics and brokers have settings here");
        }
    }
    request_reply(r, res);
}
