// SPDX-License-Identifier: Apache-2.0
//
// What a handler answers: a status, a body, a few headers.
#ifndef LEAT_HTTP_ANSWER_H
#define LEAT_HTTP_ANSWER_H

#include "runtime/base/buf.h"

struct http_answer {
    int status;
    const char *type; // of the body
    struct buf body;
    struct buf position; // Leat-Position and ETag; empty: none
    bool truncated;      // Leat-Truncated: there are more rows than fit
};

void http_answer_deinit(struct http_answer *a);
void http_answer_error(struct http_answer *a, int status, const char *fmt, ...) LEAT_PRINTF(3, 4);

#endif
