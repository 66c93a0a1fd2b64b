// SPDX-License-Identifier: Apache-2.0
//
// DeleteRecords: moves the start of a partition up. The new start is in meta.db before the log acts
// on it, so that a restart never shows again what was deleted.
#include "runtime/broker/api.h"

static int16_t delete_before(struct request *r, struct slot *s, int64_t offset, struct err *e)
{
    struct partition *p = s->partition;
    struct metadata_command c = {.kind = METADATA_PARTITION_START,
                                 .id = s->topic_id,
                                 .partition = partition_index(p),
                                 .offset = offset == -1 ? partition_hw(p) : offset};
    int rc;

    if (offset < -1 || c.offset > partition_hw(p))
        return KAFKA_OFFSET_OUT_OF_RANGE;
    if (c.offset <= partition_start(p))
        return KAFKA_OK;
    rc = metadata_apply(&r->broker->metadata, &c, e);
    if (rc == 0)
        rc = partition_delete_before(p, c.offset, e);
    return rc == 0 ? KAFKA_OK : KAFKA_STORAGE_ERROR;
}

static void delete_one(struct request *r, struct bytes topic,
                       const struct delete_records_request_partition *in,
                       struct delete_records_response_partition *out)
{
    const struct topic *t = metadata_topic(&r->broker->metadata, topic);
    struct slot *s;
    struct err e;
    int rc;

    out->partition_index = in->partition_index;
    out->low_watermark = -1;
    if (t != NULL && t->internal) {
        out->error_code = KAFKA_INVALID_TOPIC;
        return;
    }
    rc = slot_get(&r->broker->slots, topic, in->partition_index, &s, &e);
    if (rc < 0) {
        out->error_code = api_slot_error(rc, false);
        return;
    }
    out->error_code = delete_before(r, s, in->offset, &e);
    if (out->error_code == KAFKA_OK)
        out->low_watermark = partition_start(s->partition);
    slot_unref(s);
}

void api_delete_records(struct request *r)
{
    const struct delete_records_request *q = r->body;
    struct delete_records_response *res = WIRE_NEW(&r->arena, delete_records_response, 1);

    res->topics.n = q->topics.n;
    res->topics.items = WIRE_NEW(&r->arena, delete_records_response_topic, (size_t)q->topics.n);
    for (int32_t i = 0; i < q->topics.n; i++) {
        const struct delete_records_request_topic *t = &q->topics.items[i];
        struct delete_records_response_topic *out = &res->topics.items[i];

        out->name = t->name;
        out->partitions.n = t->partitions.n;
        out->partitions.items =
            WIRE_NEW(&r->arena, delete_records_response_partition, (size_t)t->partitions.n);
        for (int32_t k = 0; k < t->partitions.n; k++)
            delete_one(r, t->name, &t->partitions.items[k], &out->partitions.items[k]);
    }
    request_reply(r, res);
}
