// SPDX-License-Identifier: Apache-2.0
//
// OffsetCommit: checked against the group, written to the journal as one batch, and answered when
// that is durable; only then do others see the new offsets.
#include "runtime/broker/api.h"

#include "runtime/base/trace.h"

#define TOPIC_IDS_SINCE 10

struct commit_op {
    struct journal_write write;
    struct request *request;
    struct offset_commit_response *response;
    struct committed *all; // to be made visible
    int n;
};

static void set_error(struct offset_commit_response *res, int16_t error)
{
    for (int32_t i = 0; i < res->topics.n; i++)
        for (int32_t k = 0; k < res->topics.items[i].partitions.n; k++)
            if (res->topics.items[i].partitions.items[k].error_code == KAFKA_OK)
                res->topics.items[i].partitions.items[k].error_code = error;
}

static void commit_written(struct journal_write *w, int16_t error)
{
    struct commit_op *op = container_of(w, struct commit_op, write);
    struct request *r = op->request;
    const struct offset_commit_request *q = r->body;
    struct group_entry *entry = groups_make(&r->broker->groups, q->group_id);

    if (entry == NULL && error == KAFKA_OK)
        error = KAFKA_COORDINATOR_NOT_AVAILABLE;
    if (error == KAFKA_OK)
        for (int i = 0; i < op->n; i++)
            committed_set(entry, &op->all[i]);
    else
        set_error(op->response, error);
    request_reply(r, op->response);
}

// --- what is to be committed ---
static int16_t commit_one(struct request *r, struct commit_op *op, struct topic *t,
                          const struct offset_commit_request_partition *in)
{
    struct bytes metadata =
        bytes_is_null(in->committed_metadata) ? bytes_str("") : in->committed_metadata;

    if (t == NULL || in->partition_index < 0 || in->partition_index >= t->n_partitions)
        return KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
    if (metadata.n > GROUP_METADATA_MAX)
        return KAFKA_METADATA_TOO_LARGE;
    op->all[op->n++] = (struct committed){.topic = arena_copy(&r->arena, bytes_str(t->name)),
                                          .metadata = metadata,
                                          .partition = in->partition_index,
                                          .offset = in->committed_offset,
                                          .leader_epoch = in->committed_leader_epoch,
                                          .commit_ms = clock_wall_ms(r->broker->config.clock)};
    return KAFKA_OK;
}

static void commit_topic(struct request *r, struct commit_op *op,
                         const struct offset_commit_request_topic *in,
                         struct offset_commit_response_topic *out)
{
    bool by_id = r->q.version >= TOPIC_IDS_SINCE;
    struct metadata *m = &r->broker->metadata;
    struct topic *t = by_id ? metadata_topic_by_id(m, in->topic_id) : metadata_topic(m, in->name);

    out->name = in->name;
    out->topic_id = in->topic_id;
    out->partitions.n = in->partitions.n;
    out->partitions.items =
        WIRE_NEW(&r->arena, offset_commit_response_partition, (size_t)in->partitions.n);
    for (int32_t i = 0; i < in->partitions.n; i++) {
        struct offset_commit_response_partition *p = &out->partitions.items[i];
        p->partition_index = in->partitions.items[i].partition_index;
        p->error_code = t == NULL && by_id ? KAFKA_UNKNOWN_TOPIC_ID
                                           : commit_one(r, op, t, &in->partitions.items[i]);
    }
}

static int count_partitions(const struct offset_commit_request *q)
{
    int n = 0;

    for (int32_t i = 0; i < q->topics.n; i++)
        n += q->topics.items[i].partitions.n;
    return n;
}

static int16_t check_member(struct request *r)
{
    const struct offset_commit_request *q = r->body;
    struct group_entry *entry = groups_find(&r->broker->groups, q->group_id);

    if (q->group_id.n == 0)
        return KAFKA_INVALID_GROUP_ID;
    if (entry == NULL)
        return q->generation_id_or_member_epoch < 0 ? KAFKA_OK : KAFKA_ILLEGAL_GENERATION;
    return group_may_commit(&entry->group, q->member_id, q->group_instance_id,
                            q->generation_id_or_member_epoch, broker_now(r->broker));
}

static int write_down(struct request *r, struct commit_op *op, struct err *e)
{
    const struct offset_commit_request *q = r->body;
    struct journal_batch b;
    int rc;

    journal_batch_init(&b, clock_wall_ms(r->broker->config.clock));
    for (int i = 0; i < op->n; i++)
        journal_add_offset(&b, q->group_id, &op->all[i]);
    op->write.done = commit_written;
    rc = journal_write(&r->broker->groups.journal, q->group_id, &b, &op->write, e);
    journal_batch_deinit(&b);
    return rc;
}

void api_offset_commit(struct request *r)
{
    const struct offset_commit_request *q = r->body;
    struct commit_op *op = arena_zalloc(&r->arena, sizeof *op);
    struct offset_commit_response *res = WIRE_NEW(&r->arena, offset_commit_response, 1);
    int16_t error = check_member(r);
    struct err e;

    op->request = r;
    op->response = res;
    op->all = arena_alloc(&r->arena, (size_t)count_partitions(q) * sizeof *op->all);
    res->topics.n = q->topics.n;
    res->topics.items = WIRE_NEW(&r->arena, offset_commit_response_topic, (size_t)q->topics.n);
    for (int32_t i = 0; i < q->topics.n; i++)
        commit_topic(r, op, &q->topics.items[i], &res->topics.items[i]);
    if (error == KAFKA_OK && op->n > 0) {
        int rc = write_down(r, op, &e);
        if (rc == 0)
            return; // waits for commit_written
        trace(TRACE_WARN, "broker", "offsets cannot be written down: %s", e.text);
        error = KAFKA_COORDINATOR_NOT_AVAILABLE;
    }
    set_error(res, error);
    request_reply(r, res);
}
