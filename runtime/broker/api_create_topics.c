// SPDX-License-Identifier: Apache-2.0
#include "runtime/broker/api.h"

static int16_t check_shape(const struct create_topics_request_topic *in, struct err *e)
{
    if (in->assignments.n > 0) {
        for (int32_t i = 0; i < in->assignments.n; i++) {
            const struct create_topics_request_assignment *a = &in->assignments.items[i];
            if (a->partition_index < 0 || a->partition_index >= in->assignments.n ||
                a->broker_ids.n != 1 || a->broker_ids.items[0] != BROKER_ID)
                return err_set(e, 0, "there is one broker, %d", BROKER_ID),
                       KAFKA_INVALID_REPLICA_ASSIGNMENT;
        }
        if (in->num_partitions != -1 || in->replication_factor != -1)
            return err_set(e, 0, "give either assignments or numbers"), KAFKA_INVALID_REQUEST;
        return KAFKA_OK;
    }
    if (in->num_partitions == 0 || in->num_partitions < -1 ||
        in->num_partitions > PARTITIONS_PER_TOPIC_MAX)
        return err_set(e, 0, "a topic has 1 to %d partitions", PARTITIONS_PER_TOPIC_MAX),
               KAFKA_INVALID_PARTITIONS;
    if (in->replication_factor != -1 && in->replication_factor != 1)
        return err_set(e, 0, "the replication factor can only be 1: there is one broker"),
               KAFKA_INVALID_REPLICATION_FACTOR;
    return KAFKA_OK;
}

static int16_t check_configs(struct request *r, const struct create_topics_request_topic *in,
                             struct topic_config *config, struct topic_setting *settings,
                             struct err *e)
{
    (void)r;
    for (int32_t i = 0; i < in->configs.n; i++) {
        const struct create_topics_request_config *c = &in->configs.items[i];
        if (topic_config_set(config, c->name, c->value, e) < 0)
            return KAFKA_INVALID_CONFIG;
        settings[i] = (struct topic_setting){c->name, c->value};
    }
    return KAFKA_OK;
}

static bool is_twice(const struct create_topics_request *q, struct bytes name)
{
    int n = 0;

    for (int32_t i = 0; i < q->topics.n; i++)
        n += bytes_eq(q->topics.items[i].name, name);
    return n > 1;
}

static int16_t create_error(int rc)
{
    switch (rc) {
    case 0:
        return KAFKA_OK;
    case LEAT_EEXISTS:
        return KAFKA_TOPIC_EXISTS;
    case LEAT_EINVAL:
        return KAFKA_INVALID_TOPIC;
    case LEAT_ELIMIT:
        return KAFKA_POLICY_VIOLATION;
    default:
        return KAFKA_STORAGE_ERROR;
    }
}

static int16_t create(struct request *r, const struct create_topics_request_topic *in,
                      struct metadata_command *c, struct err *e)
{
    const struct create_topics_request *q = r->body;
    struct metadata *m = &r->broker->metadata;
    int rc;

    if (!q->validate_only)
        return create_error(broker_create(r->broker, c, e));
    rc = metadata_check_name(m, in->name, e);
    if (rc == 0 && metadata_topic(m, in->name) != NULL)
        rc = err_set(e, LEAT_EEXISTS, "the topic %.*s exists already", BYTES_FMT(in->name));
    return create_error(rc);
}

static void fill_configs(struct request *r, const struct topic_config *config,
                         const struct create_topics_request_topic *in,
                         struct create_topics_response_topic *out)
{
    out->configs.n = (int32_t)topic_config_n_entries;
    out->configs.items = WIRE_NEW(&r->arena, create_topics_response_config, topic_config_n_entries);
    for (size_t i = 0; i < topic_config_n_entries; i++) {
        struct create_topics_response_config *c = &out->configs.items[i];
        struct buf text = BUF_EMPTY;

        topic_config_value(config, &topic_config_entries[i], &text);
        c->name = bytes_str(topic_config_entries[i].name);
        c->value = arena_copy(&r->arena, buf_bytes(&text));
        c->config_source = 5; // default
        for (int32_t k = 0; k < in->configs.n; k++)
            if (bytes_eq(in->configs.items[k].name, c->name))
                c->config_source = 1; // of this topic
        buf_deinit(&text);
    }
}

static void create_one(struct request *r, const struct create_topics_request_topic *in,
                       struct create_topics_response_topic *out)
{
    struct topic_config config = r->broker->metadata.defaults;
    struct topic_setting *settings =
        arena_alloc(&r->arena, (size_t)in->configs.n * sizeof *settings);
    struct metadata_command c = {.kind = METADATA_TOPIC_CREATE,
                                 .name = in->name,
                                 .id = uuid_random(),
                                 .n_partitions = in->num_partitions,
                                 .settings = settings,
                                 .n_settings = in->configs.n};
    struct err e = {0};

    out->name = in->name;
    out->error_code = is_twice(r->body, in->name) ? KAFKA_INVALID_REQUEST : check_shape(in, &e);
    if (out->error_code == KAFKA_OK)
        out->error_code = check_configs(r, in, &config, settings, &e);
    if (in->assignments.n > 0)
        c.n_partitions = in->assignments.n;
    if (out->error_code == KAFKA_OK)
        out->error_code = create(r, in, &c, &e);
    if (out->error_code != KAFKA_OK) {
        out->error_message = api_text(r, &e);
        out->num_partitions = -1;
        out->replication_factor = -1;
        return;
    }
    out->topic_id = c.id;
    out->num_partitions =
        c.n_partitions == -1 ? r->broker->config.default_partitions : c.n_partitions;
    out->replication_factor = 1;
    fill_configs(r, &config, in, out);
}

void api_create_topics(struct request *r)
{
    const struct create_topics_request *q = r->body;
    struct create_topics_response *res = WIRE_NEW(&r->arena, create_topics_response, 1);

    res->topics.n = q->topics.n;
    res->topics.items = WIRE_NEW(&r->arena, create_topics_response_topic, (size_t)q->topics.n);
    for (int32_t i = 0; i < q->topics.n; i++)
        create_one(r, &q->topics.items[i], &res->topics.items[i]);
    request_reply(r, res);
}
