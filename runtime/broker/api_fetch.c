// SPDX-License-Identifier: Apache-2.0
//
// Fetch: whole batches as they lie on disk, below the high watermark. With less than min_bytes to
// give, and no error to tell, it waits for the watermark to move, at most max_wait_ms.
//
// Sizes (KIP-74): the first partition with data gives at least one batch, however large; after that
// each takes what is left of max_bytes. There are no fetch sessions (KIP-227 lets a server answer
// "session 0").
//
// The waiting request keeps the partitions open, and remembers at which watermarks it has looked:
// it reads again only when one has moved.
#include "runtime/broker/api.h"

#include "runtime/base/trace.h"

#define TOPIC_IDS_SINCE 13
#define STORAGE_ERROR_SINCE 6 // before, clients do not know the code
#define READ_COMMITTED 1

struct fetch_part {
    const struct fetch_request_partition *in;
    struct fetch_response_partition *out;
    struct slot *slot; // NULL with an error
    int64_t seen;      // the limit when it was last read; -1 before
};

struct fetch_op {
    struct fetch_response *response;
    struct fetch_part *parts;
    struct buf *records; // by part
    int n;
    size_t bytes; // gathered
    bool error;
};

static void fetch_drop(struct request *r)
{
    struct fetch_op *op = r->op;

    for (int i = 0; i < op->n; i++) {
        if (op->parts[i].slot != NULL)
            slot_unref(op->parts[i].slot);
        op->parts[i].slot = NULL;
        buf_deinit(&op->records[i]);
    }
}

static int64_t limit_of(const struct request *r, const struct partition *p)
{
    const struct fetch_request *q = r->body;

    return q->isolation_level == READ_COMMITTED ? partition_lso(p) : partition_hw(p);
}

static int16_t storage_error(const struct request *r)
{
    return r->q.version < STORAGE_ERROR_SINCE ? KAFKA_NOT_LEADER : KAFKA_STORAGE_ERROR;
}

static void part_fail(struct fetch_op *op, struct fetch_part *part, int16_t error)
{
    part->out->error_code = error;
    part->out->high_watermark = -1;
    op->error = true;
}

static void part_positions(struct fetch_part *part)
{
    const struct partition *p = part->slot->partition;

    part->out->high_watermark = partition_hw(p);
    part->out->last_stable_offset = partition_lso(p);
    part->out->log_start_offset = partition_start(p);
}

// Reads what fits into `room`; returns the bytes.
static size_t part_read(struct request *r, struct fetch_op *op, struct fetch_part *part,
                        size_t room)
{
    struct partition *p = part->slot->partition;
    struct buf *out = &op->records[part - op->parts];
    int64_t limit = limit_of(r, p), next;
    size_t max = part->in->partition_max_bytes > 0 ? (size_t)part->in->partition_max_bytes : 0;
    struct err e;
    int rc;

    part->seen = limit;
    part_positions(part);
    if (atomic_load(&part->slot->deleted)) {
        part_fail(op, part,
                  r->q.version >= TOPIC_IDS_SINCE ? KAFKA_UNKNOWN_TOPIC_ID
                                                  : KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
        return 0;
    }
    if (part->in->fetch_offset < partition_start(p) || part->in->fetch_offset > partition_end(p)) {
        part_fail(op, part, KAFKA_OFFSET_OUT_OF_RANGE);
        part->out->log_start_offset = partition_start(p);
        return 0;
    }
    if (part->in->fetch_offset >= limit || room == 0)
        return 0;
    rc = partition_read(p, part->in->fetch_offset, limit, max < room ? max : room, out, &next, &e);
    if (rc == LEAT_ERANGE) { // retention passed by
        part_fail(op, part, KAFKA_OFFSET_OUT_OF_RANGE);
    } else if (rc < 0) {
        trace(TRACE_WARN, "broker", "%s/%d: %s", partition_topic(p), partition_index(p), e.text);
        part_fail(op, part, storage_error(r));
    }
    part->out->records = out->n > 0 ? buf_bytes(out) : bytes_str("");
    return out->n;
}

static void fetch_gather(struct request *r, struct fetch_op *op)
{
    const struct fetch_request *q = r->body;
    size_t max =
        q->max_bytes > 0 && q->max_bytes < FETCH_BYTES_MAX ? (size_t)q->max_bytes : FETCH_BYTES_MAX;

    if (op->bytes == 0 && max == 0)
        max = 1; // still one batch
    op->bytes = 0;
    for (int i = 0; i < op->n; i++) {
        struct fetch_part *part = &op->parts[i];

        buf_clear(&op->records[i]);
        part->out->records = bytes_str("");
        if (part->slot != NULL)
            op->bytes += part_read(r, op, part, op->bytes < max ? max - op->bytes : 0);
    }
}

static bool has_moved(const struct request *r, const struct fetch_op *op)
{
    for (int i = 0; i < op->n; i++) {
        const struct fetch_part *part = &op->parts[i];
        if (part->slot != NULL &&
            (part->seen != limit_of(r, part->slot->partition) || atomic_load(&part->slot->deleted)))
            return true;
    }
    return false;
}

static bool is_enough(const struct request *r, const struct fetch_op *op)
{
    const struct fetch_request *q = r->body;

    return op->error || q->min_bytes <= 0 || op->bytes >= (size_t)q->min_bytes;
}

static void fetch_reply(struct request *r)
{
    struct fetch_op *op = r->op;

    for (int i = 0; i < op->n; i++) {
        if (op->parts[i].slot != NULL)
            slot_unref(op->parts[i].slot);
        op->parts[i].slot = NULL;
        if (op->records[i].n == 0)
            buf_deinit(&op->records[i]);
    }
    request_reply_records(r, op->response, op->records, (size_t)op->n);
}

static bool fetch_check(struct wait *w, bool expired)
{
    struct request *r = container_of(w, struct request, wait);
    struct fetch_op *op = r->op;

    if (has_moved(r, op))
        fetch_gather(r, op);
    if (!expired && !is_enough(r, op))
        return false;
    fetch_reply(r);
    return true;
}

// --- the request ---
static void part_open(struct request *r, struct fetch_op *op, const struct fetch_request_topic *t,
                      struct fetch_part *part)
{
    bool by_id = r->q.version >= TOPIC_IDS_SINCE;
    struct slots *s = &r->broker->slots;
    int16_t error;
    struct err e;
    int rc = by_id ? slot_get_by_id(s, t->topic_id, part->in->partition, &part->slot, &e)
                   : slot_get(s, t->topic, part->in->partition, &part->slot, &e);

    if (rc < 0) {
        part->slot = NULL;
        error = api_slot_error(rc, by_id && metadata_topic_by_id(s->metadata, t->topic_id) == NULL);
        part_fail(op, part, error == KAFKA_STORAGE_ERROR ? storage_error(r) : error);
        return;
    }
    error = api_epoch_error(part->slot, part->in->current_leader_epoch);
    if (error == KAFKA_OK)
        return;
    slot_unref(part->slot);
    part->slot = NULL;
    part_fail(op, part, error);
}

static void fill_topic(struct request *r, struct fetch_op *op, const struct fetch_request_topic *in,
                       struct fetch_response_topic *out)
{
    const struct fetch_request *q = r->body;

    out->topic = in->topic;
    out->topic_id = in->topic_id;
    out->partitions.n = in->partitions.n;
    out->partitions.items = WIRE_NEW(&r->arena, fetch_response_partition, (size_t)in->partitions.n);
    for (int32_t i = 0; i < in->partitions.n; i++) {
        struct fetch_part *part = &op->parts[op->n++];

        *part = (struct fetch_part){&in->partitions.items[i], &out->partitions.items[i], NULL, -1};
        part->out->partition_index = part->in->partition;
        part->out->records = bytes_str("");
        part->out->aborted_transactions.n = q->isolation_level == READ_COMMITTED ? 0 : -1;
        part_open(r, op, in, part);
    }
}

static int count_partitions(const struct fetch_request *q)
{
    int n = 0;

    for (int32_t i = 0; i < q->topics.n; i++)
        n += q->topics.items[i].partitions.n;
    return n;
}

static int16_t request_error(const struct fetch_request *q)
{
    // Replicas fetch with an id; there are none, and nobody shall read beyond the watermark by
    // claiming to be one.
    if (q->replica_id >= 0 || q->replica_state.replica_id >= 0)
        return KAFKA_INVALID_REQUEST;
    return q->session_id != 0 || q->session_epoch > 0 ? KAFKA_FETCH_SESSION_ID_NOT_FOUND : KAFKA_OK;
}

void api_fetch(struct request *r)
{
    const struct fetch_request *q = r->body;
    struct fetch_op *op = arena_zalloc(&r->arena, sizeof *op);
    size_t n = (size_t)count_partitions(q);
    int64_t wait_ms = q->max_wait_ms < FETCH_WAIT_MS_MAX ? q->max_wait_ms : FETCH_WAIT_MS_MAX;

    r->op = op;
    r->drop = fetch_drop;
    op->response = WIRE_NEW(&r->arena, fetch_response, 1);
    op->response->error_code = request_error(q);
    if (op->response->error_code != KAFKA_OK) {
        request_reply(r, op->response);
        return;
    }
    op->parts = arena_alloc(&r->arena, n * sizeof *op->parts);
    op->records = arena_zalloc(&r->arena, n * sizeof *op->records);
    op->response->responses.n = q->topics.n;
    op->response->responses.items = WIRE_NEW(&r->arena, fetch_response_topic, (size_t)q->topics.n);
    for (int32_t i = 0; i < q->topics.n; i++)
        fill_topic(r, op, &q->topics.items[i], &op->response->responses.items[i]);
    fetch_gather(r, op);
    if (is_enough(r, op) || wait_ms <= 0) {
        fetch_reply(r);
        return;
    }
    r->wait.check = fetch_check;
    r->wait.deadline = broker_now(r->broker) + wait_ms;
    waits_add(&r->broker->waits, &r->wait);
}
