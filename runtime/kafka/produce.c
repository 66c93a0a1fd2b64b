// SPDX-License-Identifier: Apache-2.0
#include "runtime/kafka/client.h"
#include "runtime/kafka/handle.h"

static rd_kafka_headers_t *make_headers(struct kafka_client *c, const struct kafka_record *r)
{
    rd_kafka_headers_t *h;

    if (r->n_headers == 0)
        return NULL;
    h = c->rdk.rd_kafka_headers_new(r->n_headers);
    for (size_t i = 0; i < r->n_headers; i++)
        c->rdk.rd_kafka_header_add(h, (const char *)r->headers[i].name.p,
                                   (ssize_t)r->headers[i].name.n, r->headers[i].value.p,
                                   (ssize_t)r->headers[i].value.n);
    return h;
}

// The queue takes a copy of key and value, and owns the headers once it has accepted them.
static rd_kafka_resp_err_t enqueue(struct kafka_client *c, const char *topic,
                                   const struct kafka_record *r)
{
    rd_kafka_headers_t *h = make_headers(c, r);
    int32_t partition = r->partition < 0 ? RD_KAFKA_PARTITION_UA : r->partition;
    void *key = (void *)(uintptr_t)r->key.p, *value = (void *)(uintptr_t)r->value.p;
    rd_kafka_resp_err_t code;

    if (h == NULL)
        return c->rdk.rd_kafka_producev(
            c->rk, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(partition),
            RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_KEY(key, r->key.n),
            RD_KAFKA_V_VALUE(value, r->value.n), RD_KAFKA_V_TIMESTAMP(r->timestamp),
            RD_KAFKA_V_END);
    code = c->rdk.rd_kafka_producev(
        c->rk, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(partition),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_KEY(key, r->key.n),
        RD_KAFKA_V_VALUE(value, r->value.n), RD_KAFKA_V_TIMESTAMP(r->timestamp),
        RD_KAFKA_V_HEADERS(h), RD_KAFKA_V_END);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        c->rdk.rd_kafka_headers_destroy(h);
    return code;
}

static int first_failure(const struct kafka_client *c, struct err *e)
{
    if (c->delivery.code != 0)
        return err_set(e, c->delivery.code, "%s", c->delivery.text);
    return 0;
}

int kafka_produce(struct kafka_client *c, const char *topic, const struct kafka_record *r,
                  struct err *e)
{
    rd_kafka_resp_err_t code;

    if (c->topic == NULL)
        c->topic = c->rdk.rd_kafka_topic_new(c->rk, topic, NULL);
    code = enqueue(c, topic, r);
    while (code == RD_KAFKA_RESP_ERR__QUEUE_FULL && c->delivery.code == 0) {
        c->rdk.rd_kafka_poll(c->rk, 100);
        code = enqueue(c, topic, r);
    }
    c->rdk.rd_kafka_poll(c->rk, 0);
    if (c->delivery.code != 0)
        return first_failure(c, e);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return kafka_error(c, code, c->rdk.rd_kafka_err2str(code), e);
    return 0;
}

void kafka_poll(struct kafka_client *c, int ms)
{
    c->rdk.rd_kafka_poll(c->rk, ms);
}

int kafka_flush(struct kafka_client *c, struct err *e)
{
    while (c->rdk.rd_kafka_outq_len(c->rk) > 0 && c->delivery.code == 0)
        c->rdk.rd_kafka_poll(c->rk, 50);
    return first_failure(c, e);
}

int64_t kafka_delivered(const struct kafka_client *c)
{
    return c->delivered;
}

void kafka_position(const struct kafka_client *c, const char *topic, struct buf *out)
{
    char separator = ':';

    buf_append_str(out, topic);
    for (int32_t p = 0; p < c->n_acks; p++) {
        if (c->acks[p].last_offset < 0)
            continue;
        buf_printf(out, "%c%d@%lld", separator, p, (long long)c->acks[p].last_offset);
        separator = ',';
    }
}
