// SPDX-License-Identifier: Apache-2.0
#include "runtime/kafka/client.h"
#include "runtime/kafka/handle.h"

static void describe(struct kafka_client *c, const struct rd_kafka_metadata_topic *t,
                     struct arena *a, struct kafka_topic *out)
{
    size_t n = (size_t)t->partition_cnt;

    out->name = arena_strdup(a, t->topic);
    out->n_partitions = t->partition_cnt;
    out->start = arena_alloc(a, n * sizeof *out->start);
    out->end = arena_alloc(a, n * sizeof *out->end);
    for (int32_t p = 0; p < t->partition_cnt; p++)
        if (c->rdk.rd_kafka_query_watermark_offsets(c->rk, t->topic, p, &out->start[p],
                                                    &out->end[p],
                                                    KAFKA_TIMEOUT_MS) != RD_KAFKA_RESP_ERR_NO_ERROR)
            out->start[p] = out->end[p] = -1;
}

static bool internal(const char *name)
{
    return name[0] == '_' && name[1] == '_';
}

int kafka_topics(struct kafka_client *c, const char *name, struct arena *a,
                 struct kafka_topic **topics, size_t *n, struct err *e)
{
    const struct rd_kafka_metadata *md;
    rd_kafka_resp_err_t code = c->rdk.rd_kafka_metadata(c->rk, 1, NULL, &md, KAFKA_TIMEOUT_MS);

    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return kafka_error(c, code, c->rdk.rd_kafka_err2str(code), e);
    *topics = arena_alloc(a, (size_t)md->topic_cnt * sizeof **topics);
    *n = 0;
    for (int i = 0; i < md->topic_cnt; i++) {
        const struct rd_kafka_metadata_topic *t = &md->topics[i];
        if (name != NULL ? strcmp(name, t->topic) == 0 : !internal(t->topic))
            describe(c, t, a, &(*topics)[(*n)++]);
    }
    c->rdk.rd_kafka_metadata_destroy(md);
    if (name != NULL && *n == 0)
        return err_set(e, LEAT_ENOTFOUND, "there is no topic %s; `leat topics` lists them", name);
    return 0;
}

static const rd_kafka_topic_result_t **create_results(struct kafka_client *c,
                                                      const rd_kafka_event_t *ev, size_t *n)
{
    return c->rdk.rd_kafka_CreateTopics_result_topics(
        c->rdk.rd_kafka_event_CreateTopics_result((rd_kafka_event_t *)(uintptr_t)ev), n);
}

static const rd_kafka_topic_result_t **delete_results(struct kafka_client *c,
                                                      const rd_kafka_event_t *ev, size_t *n)
{
    return c->rdk.rd_kafka_DeleteTopics_result_topics(
        c->rdk.rd_kafka_event_DeleteTopics_result((rd_kafka_event_t *)(uintptr_t)ev), n);
}

// Waits for the one result of an admin request that was sent with queue `q`.
static int await(struct kafka_client *c, rd_kafka_queue_t *q, bool create, struct err *e)
{
    rd_kafka_event_t *ev = c->rdk.rd_kafka_queue_poll(q, 2 * KAFKA_TIMEOUT_MS);
    const rd_kafka_topic_result_t **results;
    rd_kafka_resp_err_t code;
    size_t n;
    int rc = 0;

    if (ev == NULL)
        return kafka_error(c, RD_KAFKA_RESP_ERR__TIMED_OUT, "no answer", e);
    code = c->rdk.rd_kafka_event_error(ev);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        rc = kafka_error(c, code, c->rdk.rd_kafka_event_error_string(ev), e);
    } else {
        results = create ? create_results(c, ev, &n) : delete_results(c, ev, &n);
        code = n == 1 ? c->rdk.rd_kafka_topic_result_error(results[0]) : RD_KAFKA_RESP_ERR_UNKNOWN;
        if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
            const char *why = n == 1 ? c->rdk.rd_kafka_topic_result_error_string(results[0]) : NULL;
            rc = kafka_error(c, code, why != NULL ? why : c->rdk.rd_kafka_err2str(code), e);
        }
    }
    c->rdk.rd_kafka_event_destroy(ev);
    return rc;
}

int kafka_create_topic(struct kafka_client *c, const char *name, int32_t n_partitions,
                       const char *const *configs, size_t n_configs, struct err *e)
{
    char text[256];
    rd_kafka_NewTopic_t *t = c->rdk.rd_kafka_NewTopic_new(name, n_partitions, 1, text, sizeof text);
    rd_kafka_queue_t *q;
    int rc;

    if (t == NULL)
        return err_set(e, LEAT_EINVAL, "topic %s: %s", name, text);
    for (size_t i = 0; i + 1 < n_configs; i += 2)
        c->rdk.rd_kafka_NewTopic_set_config(t, configs[i], configs[i + 1]);
    q = c->rdk.rd_kafka_queue_new(c->rk);
    c->rdk.rd_kafka_CreateTopics(c->rk, &t, 1, NULL, q);
    rc = await(c, q, true, e);
    c->rdk.rd_kafka_queue_destroy(q);
    c->rdk.rd_kafka_NewTopic_destroy(t);
    return err_wrap(e, rc, "create topic %s", name);
}

int kafka_delete_topic(struct kafka_client *c, const char *name, struct err *e)
{
    rd_kafka_DeleteTopic_t *t = c->rdk.rd_kafka_DeleteTopic_new(name);
    rd_kafka_queue_t *q = c->rdk.rd_kafka_queue_new(c->rk);
    int rc;

    c->rdk.rd_kafka_DeleteTopics(c->rk, &t, 1, NULL, q);
    rc = await(c, q, false, e);
    c->rdk.rd_kafka_queue_destroy(q);
    c->rdk.rd_kafka_DeleteTopic_destroy(t);
    return err_wrap(e, rc, "delete topic %s", name);
}
