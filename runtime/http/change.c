// SPDX-License-Identifier: Apache-2.0
//
// Requests that change something. A page in somebody's browser can send requests to this machine
// with whatever that browser would send along by itself; so nothing that a browser adds by itself
// counts for anything here, and a request is refused, before its body is read, unless
//
//   Authorization: Bearer TOKEN     the token of this run of the server, which stands in a file of
//                                   its data folder that only its user can read          401
//   Content-Type: application/json  which a form cannot send                             415
//   no Origin, no Sec-Fetch-Site    which a browser adds to every such request           403
//
// The Host has been checked before that, as for every request. Adding a job, say, or reading a
// file, is not offered at all: what can be changed is what is named below.
#include "runtime/http/change.h"

#include <microhttpd.h>
#include <string.h>

static const char *header(struct MHD_Connection *c, const char *name)
{
    return MHD_lookup_connection_value(c, MHD_HEADER_KIND, name);
}

// Takes as long for a wrong token of the right length as for the right one.
static bool same(const char *a, const char *b)
{
    size_t n = strlen(a);
    unsigned char difference = 0;

    if (strlen(b) != n)
        return false;
    for (size_t i = 0; i < n; i++)
        difference |= (unsigned char)(a[i] ^ b[i]);
    return difference == 0;
}

static bool has_token(struct MHD_Connection *c, const char *token)
{
    static const char scheme[] = "Bearer ";
    const char *given = header(c, "Authorization");

    return token != NULL && given != NULL && strncmp(given, scheme, sizeof scheme - 1) == 0 &&
           same(given + sizeof scheme - 1, token);
}

bool change_allowed(struct MHD_Connection *c, const char *token, struct http_answer *out)
{
    const char *type = header(c, "Content-Type");

    if (header(c, "Origin") != NULL || header(c, "Sec-Fetch-Site") != NULL)
        http_answer_error(out, 403, "nothing is changed for a page in a browser");
    else if (!has_token(c, token))
        http_answer_error(out, 401,
                          "this changes something: it needs the token of the server's data folder");
    else if (type == NULL || strcmp(type, "application/json") != 0)
        http_answer_error(out, 415, "the Content-Type must be application/json");
    else
        return true;
    return false;
}

struct bytes change_parked_job(const char *path)
{
    static const char before[] = "/jobs/", behind[] = "/parked";
    size_t n = strlen(path), around = sizeof before - 1 + sizeof behind - 1;
    struct bytes name;

    if (n <= around || strncmp(path, before, sizeof before - 1) != 0 ||
        strcmp(path + n - (sizeof behind - 1), behind) != 0)
        return BYTES_NULL;
    name = bytes_of(path + sizeof before - 1, n - around);
    return memchr(name.p, '/', name.n) == NULL ? name : BYTES_NULL;
}
