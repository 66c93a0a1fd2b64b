// SPDX-License-Identifier: Apache-2.0
//
// Metadata: the broker, and topics with their partitions. A topic that is not there may be made on
// the way, when the server and the client both want that. The answer has it already: Kafka says
// "unknown" this once, after which librdkafka waits for a second before it asks again.
#include "runtime/broker/api.h"

#include "runtime/base/heap.h"
#include "runtime/base/trace.h"

static void fill_broker(struct request *r, struct metadata_response *res)
{
    res->brokers.n = 1;
    res->brokers.items = WIRE_NEW(&r->arena, metadata_response_broker, 1);
    res->brokers.items[0].node_id = BROKER_ID;
    res->brokers.items[0].host = api_host(r);
    res->brokers.items[0].port = broker_port(r->broker);
    res->cluster_id = bytes_str(r->broker->metadata.cluster_id);
    res->controller_id = BROKER_ID;
}

static void fill_topic(struct request *r, const struct topic *t,
                       struct metadata_response_topic *out)
{
    int32_t *self = arena_alloc(&r->arena, sizeof *self);

    *self = BROKER_ID;
    out->name = bytes_str(t->name);
    out->topic_id = t->id;
    out->is_internal = t->internal;
    out->partitions.n = t->n_partitions;
    out->partitions.items =
        WIRE_NEW(&r->arena, metadata_response_partition, (size_t)t->n_partitions);
    for (int32_t i = 0; i < t->n_partitions; i++) {
        struct metadata_response_partition *p = &out->partitions.items[i];
        p->partition_index = i;
        p->leader_id = BROKER_ID;
        p->leader_epoch = t->partitions[i].leader_epoch;
        p->replica_nodes.n = p->isr_nodes.n = 1;
        p->replica_nodes.items = p->isr_nodes.items = self;
    }
}

static int16_t create_on_the_way(struct broker *b, struct bytes name)
{
    struct metadata_command c = {.kind = METADATA_TOPIC_CREATE, .name = name, .n_partitions = -1};
    struct err e;
    int rc;

    if (metadata_check_name(&b->metadata, name, &e) < 0)
        return KAFKA_INVALID_TOPIC;
    if (b->n_auto_topics >= TOPICS_AUTO_MAX) {
        trace(TRACE_WARN, "broker", "no more topics are made on the way: %d were", TOPICS_AUTO_MAX);
        return KAFKA_POLICY_VIOLATION;
    }
    rc = broker_create(b, &c, &e);
    if (rc == 0)
        b->n_auto_topics++;
    if (rc == 0 || rc == LEAT_EEXISTS)
        return KAFKA_OK;
    trace(TRACE_WARN, "broker", "topic %.*s cannot be made: %s", BYTES_FMT(name), e.text);
    return KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
}

static bool may_be_created(const struct request *r, const struct metadata_request_topic *asked)
{
    const struct metadata_request *q = r->body;

    return r->broker->config.auto_create && q->allow_auto_topic_creation &&
           uuid_is_zero(asked->topic_id) && !bytes_is_null(asked->name);
}

static void fill_asked(struct request *r, const struct metadata_request_topic *asked,
                       struct metadata_response_topic *out)
{
    struct broker *b = r->broker;
    bool by_id = !uuid_is_zero(asked->topic_id);
    struct topic *t = by_id ? metadata_topic_by_id(&b->metadata, asked->topic_id)
                            : metadata_topic(&b->metadata, asked->name);

    if (t == NULL && may_be_created(r, asked)) {
        out->error_code = create_on_the_way(b, asked->name);
        t = metadata_topic(&b->metadata, asked->name);
    }
    if (t != NULL) {
        fill_topic(r, t, out);
        return;
    }
    out->topic_id = asked->topic_id;
    // Nullable from version 12 only.
    out->name = bytes_is_null(asked->name) && r->q.version < 12 ? bytes_str("") : asked->name;
    if (by_id)
        out->error_code = KAFKA_UNKNOWN_TOPIC_ID;
    else if (bytes_is_null(asked->name))
        out->error_code = KAFKA_INVALID_REQUEST;
    else if (out->error_code == KAFKA_OK)
        out->error_code = KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
}

static void fill_all(struct request *r, struct metadata_response *res)
{
    size_t n;
    struct topic **all = metadata_topics(&r->broker->metadata, &n);

    res->topics.n = (int32_t)n;
    res->topics.items = WIRE_NEW(&r->arena, metadata_response_topic, n);
    for (size_t i = 0; i < n; i++)
        fill_topic(r, all[i], &res->topics.items[i]);
    heap_free(all);
}

void api_metadata(struct request *r)
{
    const struct metadata_request *q = r->body;
    struct metadata_response *res = WIRE_NEW(&r->arena, metadata_response, 1);

    fill_broker(r, res);
    if (q->topics.n < 0 || (r->q.version == 0 && q->topics.n == 0)) {
        fill_all(r, res);
    } else {
        res->topics.n = q->topics.n;
        res->topics.items = WIRE_NEW(&r->arena, metadata_response_topic, (size_t)q->topics.n);
        for (int32_t i = 0; i < q->topics.n; i++)
            fill_asked(r, &q->topics.items[i], &res->topics.items[i]);
    }
    request_reply(r, res);
}
