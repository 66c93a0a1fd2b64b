// SPDX-License-Identifier: Apache-2.0
//
// ListOffsets: the ends of a partition, or the first record at or after a time. Everything is below
// the high watermark (or the last stable offset, for those who read only committed records).
#include "runtime/broker/api.h"

#define LATEST (-1)
#define EARLIEST (-2)
#define MAX_TIMESTAMP (-3)
#define EARLIEST_LOCAL (-4)
#define LAST_TIERED (-5)
#define EARLIEST_PENDING (-6)
#define LEADER_EPOCH_SINCE 4

static int look_up(struct partition *p, int64_t timestamp, int64_t limit,
                   struct list_offsets_response_partition *out, struct err *e)
{
    out->offset = out->timestamp = -1;
    switch (timestamp) {
    case LATEST:
        out->offset = limit;
        return 0;
    case EARLIEST:
    case EARLIEST_LOCAL:
        out->offset = partition_start(p);
        return 0;
    case LAST_TIERED:
    case EARLIEST_PENDING:
        return 0; // nothing is ever tiered
    case MAX_TIMESTAMP:
        return partition_max_time(p, limit, &out->offset, &out->timestamp, e);
    default:
        return partition_find_time(p, timestamp, limit, &out->offset, &out->timestamp, e);
    }
}

static void list_one(struct request *r, struct bytes topic,
                     const struct list_offsets_request_partition *asked,
                     struct list_offsets_response_partition *out)
{
    const struct list_offsets_request *q = r->body;
    struct slot *s;
    struct err e;
    int64_t limit;
    int rc = slot_get(&r->broker->slots, topic, asked->partition_index, &s, &e);

    out->partition_index = asked->partition_index;
    out->offset = out->timestamp = -1;
    if (rc < 0) {
        out->error_code = api_slot_error(rc, false);
        return;
    }
    limit = q->isolation_level == 1 ? partition_lso(s->partition) : partition_hw(s->partition);
    out->error_code = api_epoch_error(s, asked->current_leader_epoch);
    if (out->error_code == KAFKA_OK && look_up(s->partition, asked->timestamp, limit, out, &e) < 0)
        out->error_code = KAFKA_STORAGE_ERROR;
    if (out->error_code == KAFKA_OK && out->offset >= 0 && r->q.version >= LEADER_EPOCH_SINCE)
        out->leader_epoch = partition_leader_epoch(s->partition);
    slot_unref(s);
}

void api_list_offsets(struct request *r)
{
    const struct list_offsets_request *q = r->body;
    struct list_offsets_response *res = WIRE_NEW(&r->arena, list_offsets_response, 1);

    res->topics.n = q->topics.n;
    res->topics.items = WIRE_NEW(&r->arena, list_offsets_response_topic, (size_t)q->topics.n);
    for (int32_t i = 0; i < q->topics.n; i++) {
        const struct list_offsets_request_topic *t = &q->topics.items[i];
        struct list_offsets_response_topic *out = &res->topics.items[i];

        out->name = t->name;
        out->partitions.n = t->partitions.n;
        out->partitions.items =
            WIRE_NEW(&r->arena, list_offsets_response_partition, (size_t)t->partitions.n);
        for (int32_t k = 0; k < t->partitions.n; k++)
            list_one(r, t->name, &t->partitions.items[k], &out->partitions.items[k]);
    }
    request_reply(r, res);
}
