// SPDX-License-Identifier: Apache-2.0
#include "runtime/kafka/client.h"
#include "runtime/kafka/handle.h"

void kafka_add(struct kafka_client *c, const char *topic, int32_t partition, int64_t offset)
{
    rd_kafka_topic_partition_t *tp =
        c->rdk.rd_kafka_topic_partition_list_add(c->assignment, topic, partition);

    tp->offset = offset;
}

int kafka_assign(struct kafka_client *c, struct err *e)
{
    rd_kafka_resp_err_t code = c->rdk.rd_kafka_assign(c->rk, c->assignment);

    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return kafka_error(c, code, c->rdk.rd_kafka_err2str(code), e);
    return 0;
}

static void read_headers(struct kafka_client *c, rd_kafka_message_t *m, struct arena *a,
                         struct kafka_message *out)
{
    rd_kafka_headers_t *h;
    const char *name;
    const void *value;
    size_t n = 0, size;

    out->headers = NULL;
    out->n_headers = 0;
    if (c->rdk.rd_kafka_message_headers(m, &h) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return;
    while (c->rdk.rd_kafka_header_get_all(h, n, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR)
        n++;
    out->headers = arena_alloc(a, n * sizeof *out->headers);
    for (size_t i = 0; i < n; i++) {
        if (c->rdk.rd_kafka_header_get_all(h, i, &name, &value, &size) !=
            RD_KAFKA_RESP_ERR_NO_ERROR)
            break;
        out->headers[out->n_headers++] = (struct header){bytes_str(name), bytes_of(value, size)};
    }
}

int kafka_consume(struct kafka_client *c, int timeout_ms, struct arena *a, struct kafka_message *m,
                  struct err *e)
{
    rd_kafka_message_t *got;

    if (c->message != NULL)
        c->rdk.rd_kafka_message_destroy(c->message);
    c->message = got = c->rdk.rd_kafka_consumer_poll(c->rk, timeout_ms);
    if (c->fatal.code != 0)
        return err_set(e, c->fatal.code, "%s", c->fatal.text);
    if (got == NULL || got->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
        return 0;
    if (got->err != RD_KAFKA_RESP_ERR_NO_ERROR)
        return kafka_error(c, got->err,
                           got->payload != NULL ? (const char *)got->payload
                                                : c->rdk.rd_kafka_err2str(got->err),
                           e);
    *m = (struct kafka_message){
        .partition = got->partition,
        .offset = got->offset,
        .timestamp = c->rdk.rd_kafka_message_timestamp(got, NULL),
        .key = bytes_of(got->key, got->key_len),
        .value = bytes_of(got->payload, got->len),
    };
    read_headers(c, got, a, m);
    return 1;
}
