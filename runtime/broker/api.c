// SPDX-License-Identifier: Apache-2.0
//
// What is served, version by version. What is not implemented is not in here, and so not
// advertised. Maxima below those of the codec are on purpose: Produce 12 and 13 belong to
// transactions of the second kind (KIP-890).
#include "runtime/broker/api.h"

#define API(key, lo, hi, told, together, fn)                                                       \
    {                                                                                              \
        key, lo, hi, told, together, fn                                                            \
    }

// In key order.
const struct api apis[] = {
    // Versions 0 to 2 are told and refused, as Kafka does, or librdkafka stops compressing
    // (KAFKA-18659).
    API(0, 3, 11, 0, true, api_produce),           API(1, 4, 17, 4, false, api_fetch),
    API(2, 1, 10, 1, false, api_list_offsets),     API(3, 0, 13, 0, false, api_metadata),
    API(8, 2, 10, 2, false, api_offset_commit),    API(9, 1, 10, 1, false, api_offset_fetch),
    API(10, 0, 6, 0, false, api_find_coordinator), API(11, 0, 9, 0, false, api_join_group),
    API(12, 0, 4, 0, false, api_heartbeat),        API(13, 0, 5, 0, false, api_leave_group),
    API(14, 0, 5, 0, false, api_sync_group),       API(15, 0, 6, 0, false, api_describe_groups),
    API(16, 0, 5, 0, false, api_list_groups),      API(18, 0, 4, 0, false, api_versions),
    API(19, 2, 7, 2, false, api_create_topics),    API(20, 1, 6, 1, false, api_delete_topics),
    API(21, 0, 2, 0, false, api_delete_records),   API(22, 0, 5, 0, false, api_init_producer_id),
    API(32, 1, 4, 1, false, api_describe_configs), API(37, 0, 3, 0, false, api_create_partitions),
    API(42, 0, 2, 0, false, api_delete_groups),    API(60, 0, 2, 0, false, api_describe_cluster),
};
const size_t n_apis = ARRAY_LEN(apis);

const struct api *api_find(int key)
{
    for (size_t i = 0; i < n_apis; i++)
        if (apis[i].key == key)
            return &apis[i];
    return NULL;
}

struct bytes api_host(const struct request *r)
{
    return bytes_str(r->broker->config.advertised_host);
}

struct bytes api_text(struct request *r, const struct err *e)
{
    return arena_copy(&r->arena, bytes_str(e->text));
}

int16_t api_slot_error(int rc, bool by_id)
{
    if (rc == LEAT_ENOTFOUND)
        return by_id ? KAFKA_UNKNOWN_TOPIC_ID : KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
    return KAFKA_STORAGE_ERROR;
}

int16_t api_epoch_error(const struct slot *s, int32_t epoch)
{
    int32_t ours = partition_leader_epoch(s->partition);

    if (epoch < 0 || epoch == ours)
        return KAFKA_OK;
    return epoch < ours ? KAFKA_FENCED_LEADER_EPOCH : KAFKA_UNKNOWN_LEADER_EPOCH;
}
