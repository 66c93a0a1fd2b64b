// SPDX-License-Identifier: Apache-2.0
//
// FindCoordinator: this server coordinates every group, once the topic they are written down in is
// there. There are no transactions; the answer to those who look for their coordinator is one that
// no client retries.
#include "runtime/broker/api.h"

#include "runtime/base/trace.h"

#define KEY_GROUP 0

static int16_t find_error(struct request *r, struct bytes *message)
{
    const struct find_coordinator_request *q = r->body;
    struct err e;

    *message = BYTES_NULL;
    if (r->q.version >= 1 && q->key_type != KEY_GROUP) {
        *message = bytes_str("this server has no transactions");
        return q->key_type == 1 ? KAFKA_TRANSACTIONAL_ID_AUTHORIZATION_FAILED
                                : KAFKA_INVALID_REQUEST;
    }
    if (journal_ready(&r->broker->groups.journal, &e) < 0) {
        trace(TRACE_WARN, "broker", "groups cannot be served: %s", e.text);
        *message = api_text(r, &e);
        return KAFKA_COORDINATOR_NOT_AVAILABLE;
    }
    return KAFKA_OK;
}

void api_find_coordinator(struct request *r)
{
    const struct find_coordinator_request *q = r->body;
    struct find_coordinator_response *res = WIRE_NEW(&r->arena, find_coordinator_response, 1);
    struct bytes message;
    int16_t error = find_error(r, &message);

    if (r->q.version <= 3) {
        res->error_code = error;
        res->error_message = message;
        res->node_id = error == 0 ? BROKER_ID : -1;
        res->host = error == 0 ? api_host(r) : bytes_str("");
        res->port = error == 0 ? broker_port(r->broker) : -1;
        request_reply(r, res);
        return;
    }
    res->coordinators.n = q->coordinator_keys.n;
    res->coordinators.items =
        WIRE_NEW(&r->arena, find_coordinator_response_coordinator, (size_t)q->coordinator_keys.n);
    for (int32_t i = 0; i < q->coordinator_keys.n; i++) {
        struct find_coordinator_response_coordinator *c = &res->coordinators.items[i];
        c->key = q->coordinator_keys.items[i];
        c->error_code = error;
        c->error_message = message;
        c->node_id = error == 0 ? BROKER_ID : -1;
        c->host = error == 0 ? api_host(r) : bytes_str("");
        c->port = error == 0 ? broker_port(r->broker) : -1;
    }
    request_reply(r, res);
}
