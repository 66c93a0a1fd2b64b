// SPDX-License-Identifier: Apache-2.0
//
// Answers one named query: parameters from path and query string, the wait for a minimum position,
// the rows as JSON.
#ifndef LEAT_HTTP_QUERY_ROUTE_H
#define LEAT_HTTP_QUERY_ROUTE_H

#include "runtime/base/clock.h"
#include "runtime/http/answer.h"
#include "runtime/http/route.h"
#include "runtime/http/server.h"

struct http_args {
    struct bytes names[64], texts[64];
    size_t n;
    struct bytes min_position; // header Leat-Min-Position or ?min_position=
};

void query_route_answer(struct http_job *j, const struct plan_query *q,
                        const struct http_args *args, struct http_answer *out);

#endif
