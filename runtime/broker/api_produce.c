// SPDX-License-Identifier: Apache-2.0
//
// Produce: check each batch, append it, and answer when all of them are below the high watermark
// (that is, on disk: group commit, one round of the flusher acknowledges every batch that it
// found). On one node acks=1 and acks=all are the same promise; acks=0 gets no answer, and an error
// there can only be said by closing.
//
//   check and append every partition ──► nothing to wait for ──────────────► reply
//                                   └──► waits for the high watermarks ──► reply, or
//                                   REQUEST_TIMED_OUT
#include "runtime/broker/api.h"

#include "runtime/base/trace.h"

#define TIMESTAMP_AFTER_MS_MAX (3600 * 1000) // message.timestamp.after.max.ms
#define SINCE_ZSTD 7
#define BATCH_MAGIC_POS 16

struct produce_wait {
    struct slot *slot;
    int64_t end_offset;
    struct produce_response_partition *out;
};

struct produce_op {
    struct request *request;
    struct produce_response *response;
    struct produce_wait *waits;
    int n_waits;
    bool failed; // any partition
};

static int16_t refuse(struct request *r, struct produce_response_partition *out, int16_t code,
                      const char *why)
{
    out->error_message = arena_copy(&r->arena, bytes_str(why));
    return code;
}

static int16_t append_error(int rc)
{
    switch (rc) {
    case LEAT_ECORRUPT:
        return 2; // CORRUPT_MESSAGE
    case LEAT_EPROTO:
    case LEAT_ETORN:
    case LEAT_EFORK:
        return KAFKA_INVALID_RECORD;
    case LEAT_ENOSPC:
    case LEAT_EIO:
    case LEAT_ESTOPPED:
    case LEAT_EMFILE:
        return KAFKA_STORAGE_ERROR;
    default:
        return (int16_t)err_kafka(rc);
    }
}

// What the header alone tells.
static int16_t check_header(struct request *r, const struct batch_header *h, struct bytes records,
                            struct produce_response_partition *out)
{
    int64_t now = clock_wall_ms(r->broker->config.clock);

    if (batch_size(h) != records.n)
        return refuse(r, out, KAFKA_INVALID_RECORD,
                      "there must be exactly one batch per partition");
    if ((h->attributes & BATCH_CODEC_MASK) > CODEC_ZSTD)
        return refuse(r, out, KAFKA_UNSUPPORTED_COMPRESSION, "unknown compression");
    if ((h->attributes & BATCH_CODEC_MASK) == CODEC_ZSTD && r->q.version < SINCE_ZSTD)
        return refuse(r, out, KAFKA_UNSUPPORTED_COMPRESSION, "zstd needs Produce version 7");
    if (h->attributes & BATCH_TRANSACTIONAL)
        return refuse(r, out, KAFKA_INVALID_TXN_STATE, "this server has no transactions");
    if (h->producer_id >= PRODUCER_ID_RESERVED)
        return refuse(r, out, KAFKA_INVALID_PRODUCER_ID_MAPPING, "the producer id is reserved");
    if (h->max_timestamp > now && h->max_timestamp - now > TIMESTAMP_AFTER_MS_MAX)
        return refuse(r, out, KAFKA_INVALID_TIMESTAMP, "a timestamp lies too far in the future");
    return KAFKA_OK;
}

static int16_t check_batch(struct request *r, const struct topic *t, struct bytes records,
                           struct batch_header *h, struct produce_response_partition *out)
{
    struct err e = {0};
    int16_t error;
    int rc;

    if (records.n > (size_t)t->config.max_message_bytes)
        return refuse(r, out, KAFKA_MESSAGE_TOO_LARGE,
                      "the batch is larger than max.message.bytes");
    if (records.n < BATCH_HEADER_BYTES || records.p[BATCH_MAGIC_POS] != 2)
        return refuse(r, out, KAFKA_INVALID_RECORD, "the batch is not of magic 2");
    rc = batch_read(records, h, &e);
    if (rc < 0)
        return refuse(r, out, append_error(rc), e.text);
    error = check_header(r, h, records, out);
    if (error != KAFKA_OK)
        return error;
    rc = batch_validate(bytes_of(records.p, batch_size(h)), h, &e);
    return rc < 0 ? refuse(r, out, append_error(rc), e.text) : KAFKA_OK;
}

static void wait_for(struct produce_op *op, struct slot *s, int64_t end_offset,
                     struct produce_response_partition *out)
{
    op->waits[op->n_waits++] = (struct produce_wait){s, end_offset, out};
}

static int16_t append(struct request *r, struct slot *s, struct bytes records,
                      const struct batch_header *h, struct produce_response_partition *out)
{
    struct produce_op *op = r->op;
    struct append_result result;
    struct err e = {0};
    // The frame is ours, and the log stamps offset and epoch into the batch in place.
    int rc = partition_append(s->partition, (uint8_t *)(uintptr_t)records.p, h, &result, &e);

    if (rc < 0) {
        trace(TRACE_INFO, "broker", "append to %s/%d refused: %s", partition_topic(s->partition),
              partition_index(s->partition), e.text);
        return refuse(r, out, append_error(rc), e.text);
    }
    out->base_offset = result.base_offset;
    out->log_append_time_ms = result.append_time;
    out->log_start_offset = result.start_offset;
    atomic_fetch_add_explicit(&r->broker->produced_bytes, (int64_t)records.n, memory_order_relaxed);
    slot_ref(s);
    wait_for(op, s, result.end_offset, out);
    return KAFKA_OK;
}

static int16_t produce_one(struct request *r, struct bytes topic,
                           const struct produce_request_partition *in,
                           struct produce_response_partition *out)
{
    struct topic *t = metadata_topic(&r->broker->metadata, topic);
    struct batch_header h;
    struct slot *s;
    struct err e;
    int16_t error;
    int rc;

    if (t == NULL || in->index < 0 || in->index >= t->n_partitions)
        return KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
    if (t->internal)
        return refuse(r, out, KAFKA_INVALID_TOPIC, "the topic is internal");
    error = check_batch(r, t, in->records, &h, out);
    if (error != KAFKA_OK)
        return error;
    rc = slot_get(&r->broker->slots, topic, in->index, &s, &e);
    if (rc < 0)
        return api_slot_error(rc, false);
    error = append(r, s, in->records, &h, out);
    slot_unref(s);
    return error;
}

// --- waiting ---
static void produce_drop(struct request *r)
{
    struct produce_op *op = r->op;

    for (int i = 0; i < op->n_waits; i++)
        slot_unref(op->waits[i].slot);
    op->n_waits = 0;
}

static void produce_reply(struct request *r)
{
    const struct produce_request *q = r->body;
    struct produce_op *op = r->op;

    produce_drop(r);
    if (q->acks != 0)
        request_reply(r, op->response);
    else if (op->failed)
        request_abort(r);
    else
        request_reply_nothing(r);
}

// Whether the wait is over; an error is written into its partition.
static bool is_settled(struct produce_op *op, struct produce_wait *w, bool expired)
{
    struct partition *p = w->slot->partition;

    if (partition_hw(p) >= w->end_offset)
        return true;
    if (partition_state(p, NULL) == PARTITION_READY && !expired && !atomic_load(&w->slot->deleted))
        return false;
    w->out->error_code = expired ? KAFKA_TIMED_OUT : KAFKA_STORAGE_ERROR;
    w->out->base_offset = -1;
    op->failed = true;
    return true;
}

static bool is_over(struct produce_op *op, bool expired)
{
    while (op->n_waits > 0) {
        struct produce_wait *w = &op->waits[op->n_waits - 1];
        if (!is_settled(op, w, expired))
            return false;
        slot_unref(w->slot);
        op->n_waits--;
    }
    return true;
}

static bool produce_check(struct wait *w, bool expired)
{
    struct request *r = container_of(w, struct request, wait);

    if (!is_over(r->op, expired))
        return false;
    produce_reply(r);
    return true;
}

// --- the request ---
static int count_partitions(const struct produce_request *q)
{
    int n = 0;

    for (int32_t i = 0; i < q->topic_data.n; i++)
        n += q->topic_data.items[i].partition_data.n;
    return n;
}

static int16_t request_error(const struct produce_request *q)
{
    if (q->acks < -1 || q->acks > 1)
        return KAFKA_INVALID_REQUIRED_ACKS;
    return bytes_is_null(q->transactional_id) ? KAFKA_OK
                                              : KAFKA_TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
}

static void produce_topic(struct request *r, const struct produce_request_topic *in,
                          struct produce_response_topic *out, int16_t error)
{
    struct produce_op *op = r->op;

    out->name = in->name;
    out->partition_responses.n = in->partition_data.n;
    out->partition_responses.items =
        WIRE_NEW(&r->arena, produce_response_partition, (size_t)in->partition_data.n);
    for (int32_t i = 0; i < in->partition_data.n; i++) {
        struct produce_response_partition *p = &out->partition_responses.items[i];

        p->index = in->partition_data.items[i].index;
        p->base_offset = -1;
        p->error_code =
            error != KAFKA_OK ? error : produce_one(r, in->name, &in->partition_data.items[i], p);
        op->failed |= p->error_code != KAFKA_OK;
    }
}

void api_produce(struct request *r)
{
    const struct produce_request *q = r->body;
    struct produce_op *op = arena_zalloc(&r->arena, sizeof *op);
    int16_t error = request_error(q);

    r->op = op;
    r->drop = produce_drop;
    op->request = r;
    op->response = WIRE_NEW(&r->arena, produce_response, 1);
    op->waits = arena_alloc(&r->arena, (size_t)count_partitions(q) * sizeof *op->waits);
    op->response->responses.n = q->topic_data.n;
    op->response->responses.items =
        WIRE_NEW(&r->arena, produce_response_topic, (size_t)q->topic_data.n);
    for (int32_t i = 0; i < q->topic_data.n; i++)
        produce_topic(r, &q->topic_data.items[i], &op->response->responses.items[i], error);
    if (q->acks == 0 || is_over(op, false)) {
        produce_reply(r);
        return;
    }
    r->wait.check = produce_check;
    r->wait.deadline = broker_now(r->broker) + (q->timeout_ms > 0 ? q->timeout_ms : 0);
    waits_add(&r->broker->waits, &r->wait);
}
