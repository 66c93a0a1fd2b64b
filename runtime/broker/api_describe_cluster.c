// SPDX-License-Identifier: Apache-2.0
#include "runtime/broker/api.h"

void api_describe_cluster(struct request *r)
{
    const struct describe_cluster_request *q = r->body;
    struct describe_cluster_response *res = WIRE_NEW(&r->arena, describe_cluster_response, 1);

    res->cluster_id = bytes_str(r->broker->metadata.cluster_id);
    res->controller_id = BROKER_ID;
    if (r->q.version >= 1 && q->endpoint_type != 1) {
        res->error_code = 115; // MISMATCHED_ENDPOINT_TYPE: there are no separate controllers here
        res->error_message = bytes_str("this server has broker endpoints only");
    } else {
        res->brokers.n = 1;
        res->brokers.items = WIRE_NEW(&r->arena, describe_cluster_response_broker, 1);
        res->brokers.items[0].broker_id = BROKER_ID;
        res->brokers.items[0].host = api_host(r);
        res->brokers.items[0].port = broker_port(r->broker);
    }
    request_reply(r, res);
}
