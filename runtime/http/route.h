// SPDX-License-Identifier: Apache-2.0
//
// Paths with parameters: "/customers/:customer/orders" against a request's path. Pure.
#ifndef LEAT_HTTP_ROUTE_H
#define LEAT_HTTP_ROUTE_H

#include "runtime/base/bytes.h"
#include "runtime/base/err.h"

enum { ROUTE_PARAMS_MAX = 8 };

struct route_param {
    struct bytes name, text; // text is still percent-decoded as the request came
};

struct route_match {
    struct route_param params[ROUTE_PARAMS_MAX];
    size_t n;
};

// "/a/:b/c": segments of [A-Za-z0-9._~-] or ":name", at most ROUTE_PARAMS_MAX parameters.
// LEAT_EINVAL says what is wrong; reserved first segments (q, status, metrics, healthz, sql,
// openapi.json, topics) too.
int route_check(const char *pattern, struct err *e) LEAT_CHECKED;
bool route_matches(const char *pattern, const char *path, struct route_match *m);
// Whether some path matches both.
bool route_collides(const char *a, const char *b);

#endif
