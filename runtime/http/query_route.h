// SPDX-License-Identifier: Apache-2.0
//
// Answers one named query: parameters from path and query string, the wait for a minimum position,
// the rows as JSON.
//
// Whoever waits for a position does so under the lock of the routes, and there is always somebody
// who waits: so the wait is left when routes are to change, and taken up again behind that.
#ifndef LEAT_HTTP_QUERY_ROUTE_H
#define LEAT_HTTP_QUERY_ROUTE_H

#include <stdatomic.h>

#include "runtime/base/clock.h"
#include "runtime/http/answer.h"
#include "runtime/http/route.h"
#include "runtime/http/server.h"

// Of one server.
struct http_waits {
    atomic_int changing; // routes are to change: nobody waits now
    atomic_int waiting;  // requests that wait for a position, at most HTTP_WAITS_MAX
};

struct http_args {
    struct bytes names[64], texts[64];
    size_t n;
    struct bytes not_text; // the name of a parameter that is none; NULL
    struct bytes min_position; // header Leat-Min-Position or ?min_position=
    int64_t deadline;          // of the wait for it, monotonic
    struct http_waits *waits;
};

// False: the answer is still to come, ask again when routes have changed.
bool query_route_answer(struct http_job *j, const struct plan_query *q,
                        const struct http_args *args, struct http_answer *out);

#endif
