// SPDX-License-Identifier: Apache-2.0
//
// OffsetFetch: what a group has committed. An unknown group, topic or partition has committed
// nothing, which is offset -1 and no error. Version 8 asks for several groups at once; older ones
// are turned into that shape and back.
#include "runtime/broker/api.h"

#include "runtime/base/heap.h"

#define GROUPS_SINCE 8
#define TOPIC_IDS_SINCE 10

static void fill_partition(const struct group_entry *entry, struct bytes topic, int32_t partition,
                           struct offset_fetch_response_group_partition *out)
{
    const struct committed *c =
        entry != NULL && !bytes_is_null(topic) ? committed_find(entry, topic, partition) : NULL;

    out->partition_index = partition;
    out->committed_offset = c != NULL ? c->offset : -1;
    out->committed_leader_epoch = c != NULL ? c->leader_epoch : -1;
    out->metadata = c != NULL && !bytes_is_null(c->metadata) ? c->metadata : bytes_str("");
}

static void fill_asked(struct request *r, const struct group_entry *entry,
                       const struct offset_fetch_request_group_topic *in,
                       struct offset_fetch_response_group_topic *out)
{
    struct metadata *m = &r->broker->metadata;
    bool by_id = r->q.version >= TOPIC_IDS_SINCE;
    const struct topic *t = by_id ? metadata_topic_by_id(m, in->topic_id) : NULL;
    struct bytes name = by_id ? (t != NULL ? bytes_str(t->name) : BYTES_NULL) : in->name;

    out->name = in->name;
    out->topic_id = in->topic_id;
    out->partitions.n = in->partition_indexes.n;
    out->partitions.items =
        WIRE_NEW(&r->arena, offset_fetch_response_group_partition, (size_t)in->partition_indexes.n);
    for (int32_t i = 0; i < in->partition_indexes.n; i++) {
        fill_partition(entry, name, in->partition_indexes.items[i], &out->partitions.items[i]);
        if (by_id && t == NULL)
            out->partitions.items[i].error_code = KAFKA_UNKNOWN_TOPIC_ID;
    }
}

// All that the group has committed; the array is sorted, so a topic's partitions are neighbours.
static void fill_all(struct request *r, const struct group_entry *entry,
                     struct offset_fetch_response_group *out)
{
    struct committed **all;
    struct offset_fetch_response_group_topic *t = NULL;
    size_t n;

    if (entry == NULL)
        return;
    all = committed_all(entry, &n);
    out->topics.items = WIRE_NEW(&r->arena, offset_fetch_response_group_topic, n);
    for (size_t i = 0; i < n; i++) {
        const struct topic *known = metadata_topic(&r->broker->metadata, all[i]->topic);

        if (t == NULL || !bytes_eq(t->name, all[i]->topic)) {
            if (known == NULL && r->q.version >= TOPIC_IDS_SINCE)
                continue; // deleted: it has no id
            t = &out->topics.items[out->topics.n++];
            t->name = all[i]->topic;
            t->topic_id = known != NULL ? known->id : t->topic_id;
            t->partitions.items = WIRE_NEW(&r->arena, offset_fetch_response_group_partition, n - i);
        }
        fill_partition(entry, t->name, all[i]->partition, &t->partitions.items[t->partitions.n++]);
    }
    heap_free(all);
}

static void fill_group(struct request *r, const struct offset_fetch_request_group *in,
                       struct offset_fetch_response_group *out)
{
    const struct group_entry *entry = groups_find(&r->broker->groups, in->group_id);

    out->group_id = in->group_id;
    if (in->topics.n < 0) {
        fill_all(r, entry, out);
        return;
    }
    out->topics.n = in->topics.n;
    out->topics.items =
        WIRE_NEW(&r->arena, offset_fetch_response_group_topic, (size_t)in->topics.n);
    for (int32_t i = 0; i < in->topics.n; i++)
        fill_asked(r, entry, &in->topics.items[i], &out->topics.items[i]);
}

static struct offset_fetch_request_group group_of_old(struct request *r)
{
    const struct offset_fetch_request *q = r->body;
    struct offset_fetch_request_group *in = WIRE_NEW(&r->arena, offset_fetch_request_group, 1);

    in->group_id = q->group_id;
    in->topics.n = q->topics.n;
    if (q->topics.n <= 0)
        return *in;
    in->topics.items = WIRE_NEW(&r->arena, offset_fetch_request_group_topic, (size_t)q->topics.n);
    for (int32_t i = 0; i < q->topics.n; i++) {
        in->topics.items[i].name = q->topics.items[i].name;
        in->topics.items[i].partition_indexes.n = q->topics.items[i].partition_indexes.n;
        in->topics.items[i].partition_indexes.items = q->topics.items[i].partition_indexes.items;
    }
    return *in;
}

static void answer_to_old(struct request *r, const struct offset_fetch_response_group *g,
                          struct offset_fetch_response *res)
{
    res->topics.n = g->topics.n;
    res->topics.items = WIRE_NEW(&r->arena, offset_fetch_response_topic, (size_t)g->topics.n);
    for (int32_t i = 0; i < g->topics.n; i++) {
        const struct offset_fetch_response_group_topic *from = &g->topics.items[i];
        struct offset_fetch_response_topic *to = &res->topics.items[i];

        to->name = from->name;
        to->partitions.n = from->partitions.n;
        to->partitions.items =
            WIRE_NEW(&r->arena, offset_fetch_response_partition, (size_t)from->partitions.n);
        for (int32_t k = 0; k < from->partitions.n; k++) {
            const struct offset_fetch_response_group_partition *p = &from->partitions.items[k];
            to->partitions.items[k] = (struct offset_fetch_response_partition){
                p->partition_index, p->committed_offset, p->committed_leader_epoch, p->metadata,
                p->error_code};
        }
    }
}

void api_offset_fetch(struct request *r)
{
    const struct offset_fetch_request *q = r->body;
    struct offset_fetch_response *res = WIRE_NEW(&r->arena, offset_fetch_response, 1);

    if (r->q.version < GROUPS_SINCE) {
        struct offset_fetch_response_group *g = WIRE_NEW(&r->arena, offset_fetch_response_group, 1);
        struct offset_fetch_request_group in = group_of_old(r);

        fill_group(r, &in, g);
        answer_to_old(r, g, res);
    } else {
        res->groups.n = q->groups.n;
        res->groups.items = WIRE_NEW(&r->arena, offset_fetch_response_group, (size_t)q->groups.n);
        for (int32_t i = 0; i < q->groups.n; i++)
            fill_group(r, &q->groups.items[i], &res->groups.items[i]);
    }
    request_reply(r, res);
}
