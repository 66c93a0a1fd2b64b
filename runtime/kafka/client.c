// SPDX-License-Identifier: Apache-2.0
#include "runtime/kafka/client.h"

#include <stdio.h>

#include "runtime/base/heap.h"
#include "runtime/base/trace.h"
#include "runtime/kafka/handle.h"

int kafka_error(const struct kafka_client *c, rd_kafka_resp_err_t code, const char *text,
                struct err *e)
{
    switch (code) {
    case RD_KAFKA_RESP_ERR__TRANSPORT:
    case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
    case RD_KAFKA_RESP_ERR__TIMED_OUT:
    case RD_KAFKA_RESP_ERR__MSG_TIMED_OUT:
    case RD_KAFKA_RESP_ERR__RESOLVE:
        return err_set(e, LEAT_ECONNECT,
                       "cannot reach a Kafka broker at %s (%s); is the server running?", c->brokers,
                       text);
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
        return err_set(e, LEAT_ENOTFOUND, "%s", text);
    case RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS:
        return err_set(e, LEAT_EEXISTS, "%s", text);
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
        return err_set(e, LEAT_ETOOBIG, "%s", text);
    default:
        return err_set(e, LEAT_EIO, "%s", text);
    }
}

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque)
{
    struct kafka_client *c = opaque;

    (void)rk;
    if (m->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        if (c->delivery.code == 0)
            kafka_error(c, m->err, c->rdk.rd_kafka_err2str(m->err), &c->delivery);
        return;
    }
    c->delivered++;
    if (m->partition >= c->n_acks) {
        c->acks = heap_realloc(c->acks, (size_t)(m->partition + 1) * sizeof *c->acks);
        while (c->n_acks <= m->partition)
            c->acks[c->n_acks++].last_offset = -1;
    }
    if (m->offset > c->acks[m->partition].last_offset)
        c->acks[m->partition].last_offset = m->offset;
}

static void on_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    (void)rk;
    trace(level <= 3 ? TRACE_INFO : TRACE_DEBUG, "librdkafka", "%s: %s", facility, text);
}

static void on_error(rd_kafka_t *rk, int code, const char *reason, void *opaque)
{
    struct kafka_client *c = opaque;

    (void)rk;
    if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN || code == RD_KAFKA_RESP_ERR__FATAL)
        kafka_error(c, (rd_kafka_resp_err_t)code, reason, &c->fatal);
}

struct setting {
    const char *name, *value;
};

static const struct setting producer_settings[] = {
    {"enable.idempotence", "true"},    {"linger.ms", "5"},
    {"batch.size", "1000000"},         {"queue.buffering.max.messages", "500000"},
    {"message.timeout.ms", "30000"},   {"socket.timeout.ms", "10000"},
    {"partitioner", "murmur2_random"}, {"topic.metadata.propagation.max.ms", "5000"},
};

static const struct setting consumer_settings[] = {
    {"group.id", "leat-consume"},          {"enable.auto.commit", "false"},
    {"enable.auto.offset.store", "false"}, {"auto.offset.reset", "error"},
    {"isolation.level", "read_committed"}, {"fetch.wait.max.ms", "100"},
    {"allow.auto.create.topics", "false"}, {"socket.timeout.ms", "10000"},
};

static int configure(struct kafka_client *c, rd_kafka_conf_t *conf, enum kafka_role role,
                     struct err *e)
{
    const struct setting *s = role == KAFKA_PRODUCER ? producer_settings : consumer_settings;
    size_t n = role == KAFKA_PRODUCER ? ARRAY_LEN(producer_settings) : ARRAY_LEN(consumer_settings);
    char text[256];

    if (c->rdk.rd_kafka_conf_set(conf, "bootstrap.servers", c->brokers, text, sizeof text) !=
        RD_KAFKA_CONF_OK)
        return err_set(e, LEAT_EINVAL, "--brokers %s: %s", c->brokers, text);
    for (size_t i = 0; i < n; i++)
        if (c->rdk.rd_kafka_conf_set(conf, s[i].name, s[i].value, text, sizeof text) !=
            RD_KAFKA_CONF_OK)
            return err_set(e, LEAT_EUNSUPPORTED, "librdkafka: %s", text);
    c->rdk.rd_kafka_conf_set_opaque(conf, c);
    c->rdk.rd_kafka_conf_set_log_cb(conf, on_log);
    c->rdk.rd_kafka_conf_set_error_cb(conf, on_error);
    if (role == KAFKA_PRODUCER)
        c->rdk.rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    return 0;
}

int kafka_open(struct kafka_client **out, const char *brokers, enum kafka_role role, struct err *e)
{
    struct kafka_client *c = heap_zalloc(sizeof *c);
    rd_kafka_conf_t *conf;
    char text[256];
    int rc;

    c->brokers = heap_strdup(brokers);
    rc = rdk_load(&c->rdk, e);
    if (rc != 0)
        goto fail_after_alloc;
    conf = c->rdk.rd_kafka_conf_new();
    rc = configure(c, conf, role, e);
    if (rc != 0)
        goto fail_after_conf;
    c->rk = c->rdk.rd_kafka_new(role == KAFKA_PRODUCER ? RD_KAFKA_PRODUCER : RD_KAFKA_CONSUMER,
                                conf, text, sizeof text);
    if (c->rk == NULL) {
        rc = err_set(e, LEAT_EIO, "librdkafka: %s", text);
        goto fail_after_conf;
    }
    if (role == KAFKA_CONSUMER) {
        c->rdk.rd_kafka_poll_set_consumer(c->rk);
        c->assignment = c->rdk.rd_kafka_topic_partition_list_new(8);
    }
    *out = c;
    return 0;

fail_after_conf:
    c->rdk.rd_kafka_conf_destroy(conf);
fail_after_alloc:
    heap_free(c->brokers);
    heap_free(c);
    return rc;
}

void kafka_close(struct kafka_client *c)
{
    if (c == NULL)
        return;
    if (c->message != NULL)
        c->rdk.rd_kafka_message_destroy(c->message);
    if (c->assignment != NULL) {
        c->rdk.rd_kafka_topic_partition_list_destroy(c->assignment);
        c->rdk.rd_kafka_consumer_close(c->rk);
    } else {
        c->rdk.rd_kafka_flush(c->rk, KAFKA_TIMEOUT_MS);
    }
    if (c->topic != NULL)
        c->rdk.rd_kafka_topic_destroy(c->topic);
    c->rdk.rd_kafka_destroy(c->rk);
    heap_free(c->acks);
    heap_free(c->brokers);
    heap_free(c);
}
