// SPDX-License-Identifier: Apache-2.0
//
// Requests that change something: who may send one, and its body. Essay in change.c.
#ifndef LEAT_HTTP_CHANGE_H
#define LEAT_HTTP_CHANGE_H

#include "runtime/http/answer.h"

struct MHD_Connection;

// The headers are in: whether the request may change anything. If not, the answer says why.
// `token` NULL: nobody may.
bool change_allowed(struct MHD_Connection *c, const char *token, struct http_answer *out);

// "/jobs/NAME/parked": the name, or BYTES_NULL for another path.
struct bytes change_parked_job(const char *path);

#endif
