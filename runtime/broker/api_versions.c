// SPDX-License-Identifier: Apache-2.0
//
// ApiVersions: what we serve. Asked in a version that we do not know, the answer has the layout of
// version 0, error 35, and the range of this one api, from which the client picks (KIP-511).
#include "runtime/broker/api.h"

#include <ctype.h>

static bool is_software_name(struct bytes s)
{
    if (s.n == 0 || !isalnum(s.p[0]) || !isalnum(s.p[s.n - 1]))
        return false;
    for (size_t i = 0; i < s.n; i++)
        if (!isalnum(s.p[i]) && s.p[i] != '-' && s.p[i] != '.')
            return false;
    return true;
}

static struct api_versions_response_api_key range_of(const struct api *api)
{
    return (struct api_versions_response_api_key){api->key, api->advertised_min, api->max};
}

void api_versions(struct request *r)
{
    const struct api_versions_request *q = r->body;
    struct api_versions_response *res = WIRE_NEW(&r->arena, api_versions_response, 1);

    res->api_keys.items = WIRE_NEW(&r->arena, api_versions_response_api_key, n_apis);
    if (r->fallback) {
        res->error_code = KAFKA_UNSUPPORTED_VERSION;
        res->api_keys.items[res->api_keys.n++] = range_of(api_find(18));
    } else if (r->q.version >= 3 && (!is_software_name(q->client_software_name) ||
                                     !is_software_name(q->client_software_version))) {
        res->error_code = KAFKA_INVALID_REQUEST;
    } else {
        for (size_t i = 0; i < n_apis; i++)
            res->api_keys.items[res->api_keys.n++] = range_of(&apis[i]);
    }
    request_reply(r, res);
}
