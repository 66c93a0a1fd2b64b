// SPDX-License-Identifier: Apache-2.0
//
// One blocking GET or POST over loopback, for commands that ask a running server. Not a general
// HTTP client.
#ifndef LEAT_APP_HTTP_GET_H
#define LEAT_APP_HTTP_GET_H

#include "runtime/base/buf.h"
#include "runtime/base/err.h"

// `authority`: "127.0.0.1:8080". The status code and the body; LEAT_ECONNECT when nobody answers
// within `ms`.
int http_get(const char *authority, const char *path, int64_t ms, int *status, struct buf *body,
             struct err *e) LEAT_CHECKED;

// The same with a body and the server's token (admin.h), for what changes something.
struct http_ask {
    const char *authority, *path, *token;
    int64_t ms;
};
int http_post(const struct http_ask *how, struct bytes json, int *status, struct buf *body,
              struct err *e) LEAT_CHECKED;

// "HOST:PORT" into its parts; `host` has room for host_size. LEAT_EUSAGE with the option's name.
int parse_authority(const char *text, const char *option, char *host, size_t host_size, int *port,
                    struct err *e) LEAT_CHECKED;

#endif
