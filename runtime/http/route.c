// SPDX-License-Identifier: Apache-2.0
#include "runtime/http/route.h"

#include <ctype.h>

static struct bytes segment(const char **p)
{
    const char *start = ++*p; // behind the slash

    while (**p && **p != '/')
        (*p)++;
    return bytes_of(start, (size_t)(*p - start));
}

static bool segment_legal(struct bytes s)
{
    size_t i = s.n > 0 && s.p[0] == ':' ? 1 : 0;

    if (i == s.n)
        return false;
    for (; i < s.n; i++)
        if (!isalnum(s.p[i]) && strchr("._~-", s.p[i]) == NULL)
            return false;
    return true;
}

int route_check(const char *pattern, struct err *e)
{
    static const char *const reserved[] = {"q",   "status",       "metrics", "healthz",
                                           "sql", "openapi.json", "topics",  "jobs"};
    const char *p = pattern;
    size_t n_params = 0;
    bool first = true;

    if (*p != '/' || p[1] == 0)
        return err_set(e, LEAT_EINVAL, "path \"%s\" must start with '/' and name something",
                       pattern);
    while (*p) {
        struct bytes s = segment(&p);
        if (!segment_legal(s))
            return err_set(
                e, LEAT_EINVAL,
                "path \"%s\": \"%.*s\" is no segment; use letters, digits and ._~- or :name",
                pattern, BYTES_FMT(s));
        n_params += s.p[0] == ':';
        for (size_t i = 0; first && i < ARRAY_LEN(reserved); i++)
            if (bytes_eq_str(s, reserved[i]))
                return err_set(e, LEAT_EINVAL, "path \"%s\": /%s is reserved", pattern,
                               reserved[i]);
        first = false;
    }
    if (n_params > ROUTE_PARAMS_MAX)
        return err_set(e, LEAT_EINVAL, "path \"%s\" has more than %d parameters", pattern,
                       ROUTE_PARAMS_MAX);
    return 0;
}

bool route_matches(const char *pattern, const char *path, struct route_match *m)
{
    m->n = 0;
    while (*pattern == '/' && *path == '/') {
        struct bytes want = segment(&pattern), got = segment(&path);
        if (want.n > 0 && want.p[0] == ':') {
            if (got.n == 0 || m->n == ROUTE_PARAMS_MAX)
                return false;
            m->params[m->n++] = (struct route_param){bytes_of(want.p + 1, want.n - 1), got};
        } else if (!bytes_eq(want, got)) {
            return false;
        }
    }
    return *pattern == 0 && *path == 0;
}

bool route_collides(const char *a, const char *b)
{
    while (*a == '/' && *b == '/') {
        struct bytes x = segment(&a), y = segment(&b);
        bool wild = (x.n > 0 && x.p[0] == ':') || (y.n > 0 && y.p[0] == ':');
        if (!wild && !bytes_eq(x, y))
            return false;
    }
    return *a == 0 && *b == 0;
}
