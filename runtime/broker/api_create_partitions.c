// SPDX-License-Identifier: Apache-2.0
#include "runtime/broker/api.h"

static int16_t add(struct request *r, const struct create_partitions_request_topic *in,
                   struct err *e)
{
    const struct create_partitions_request *q = r->body;
    struct topic *t = metadata_topic(&r->broker->metadata, in->name);

    if (t == NULL)
        return KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
    if (in->count <= t->n_partitions || in->count > PARTITIONS_PER_TOPIC_MAX)
        return err_set(e, 0, "the topic has %d partitions; there can be more, up to %d",
                       t->n_partitions, PARTITIONS_PER_TOPIC_MAX),
               KAFKA_INVALID_PARTITIONS;
    for (int32_t i = 0; i < in->assignments.n; i++)
        if (in->assignments.items[i].broker_ids.n != 1 ||
            in->assignments.items[i].broker_ids.items[0] != BROKER_ID)
            return err_set(e, 0, "there is one broker, %d", BROKER_ID),
                   KAFKA_INVALID_REPLICA_ASSIGNMENT;
    if (in->assignments.n > 0 && in->assignments.n != in->count - t->n_partitions)
        return err_set(e, 0, "one assignment for each new partition"),
               KAFKA_INVALID_REPLICA_ASSIGNMENT;
    return q->validate_only || broker_add_partitions(r->broker, t, in->count, e) == 0
               ? KAFKA_OK
               : KAFKA_STORAGE_ERROR;
}

void api_create_partitions(struct request *r)
{
    const struct create_partitions_request *q = r->body;
    struct create_partitions_response *res = WIRE_NEW(&r->arena, create_partitions_response, 1);

    res->results.n = q->topics.n;
    res->results.items =
        WIRE_NEW(&r->arena, create_partitions_response_result, (size_t)q->topics.n);
    for (int32_t i = 0; i < q->topics.n; i++) {
        struct err e = {0};

        res->results.items[i].name = q->topics.items[i].name;
        res->results.items[i].error_code = add(r, &q->topics.items[i], &e);
        if (e.text[0] != 0)
            res->results.items[i].error_message = api_text(r, &e);
    }
    request_reply(r, res);
}
