// SPDX-License-Identifier: Apache-2.0
//
// DeleteTopics: by name, or from version 6 by name or id. The topic is gone for everybody when the
// answer is sent; its files follow when nobody reads them any more.
#include "runtime/broker/api.h"

static void delete_one(struct request *r, struct bytes name, struct uuid id,
                       struct delete_topics_response_topic *out)
{
    bool by_id = bytes_is_null(name);
    struct metadata *m = &r->broker->metadata;
    struct topic *t = by_id ? metadata_topic_by_id(m, id) : metadata_topic(m, name);
    struct err e = {0};

    out->name = name;
    out->topic_id = id;
    if (t == NULL) {
        out->error_code = by_id ? KAFKA_UNKNOWN_TOPIC_ID : KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
        return;
    }
    out->name = arena_copy(&r->arena, bytes_str(t->name));
    out->topic_id = t->id;
    if (t->internal) {
        out->error_code = KAFKA_INVALID_TOPIC;
        out->error_message = bytes_str("the topic is internal");
    } else if (broker_delete(r->broker, t, &e) < 0) {
        out->error_code = KAFKA_STORAGE_ERROR;
        out->error_message = api_text(r, &e);
    }
}

void api_delete_topics(struct request *r)
{
    const struct delete_topics_request *q = r->body;
    struct delete_topics_response *res = WIRE_NEW(&r->arena, delete_topics_response, 1);
    bool named = r->q.version < 6;
    int32_t n = named ? q->topic_names.n : q->topics.n;

    res->responses.n = n;
    res->responses.items = WIRE_NEW(&r->arena, delete_topics_response_topic, (size_t)n);
    for (int32_t i = 0; i < n; i++) {
        struct uuid none = {{0}};
        delete_one(r, named ? q->topic_names.items[i] : q->topics.items[i].name,
                   named ? none : q->topics.items[i].topic_id, &res->responses.items[i]);
    }
    request_reply(r, res);
}
