// SPDX-License-Identifier: Apache-2.0
//
// InitProducerId for idempotent producers: a fresh id, epoch 0. An id and epoch that the client
// brings along (KIP-360) are answered with a fresh id too, as Kafka does outside of transactions.
// Transactional ids are refused.
#include "runtime/broker/api.h"

#include "runtime/base/trace.h"

void api_init_producer_id(struct request *r)
{
    const struct init_producer_id_request *q = r->body;
    struct init_producer_id_response *res = WIRE_NEW(&r->arena, init_producer_id_response, 1);
    struct err e;

    res->producer_id = -1;
    res->producer_epoch = -1;
    if (!bytes_is_null(q->transactional_id)) {
        res->error_code = q->transactional_id.n == 0 ? KAFKA_INVALID_REQUEST
                                                     : KAFKA_TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
    } else {
        res->producer_id = broker_producer_id(r->broker, &e);
        if (res->producer_id >= 0) {
            res->producer_epoch = 0;
        } else {
            trace(TRACE_WARN, "broker", "no producer id: %s", e.text);
            res->error_code = KAFKA_COORDINATOR_NOT_AVAILABLE; // clients ask again
        }
    }
    request_reply(r, res);
}
