// SPDX-License-Identifier: Apache-2.0
//
// What a failed expectation says besides the difference: the records that are parked, because that
// is most often where the missing ones are.
#include <string.h>

#include "runtime/base/buf.h"
#include "scripts/host/testing.h"

enum { HINTS_MAX = 3 };

struct hint {
    struct buf text;
    int n;
};

// Functions and table actions say themselves which line of the job they stand on.
static bool names_line(const struct parked_row *r)
{
    const uint8_t *colon = memchr(r->where.p, ':', r->where.n);

    return colon != NULL &&
           bytes_starts(r->message, bytes_of(r->where.p, (size_t)(colon - r->where.p) + 1));
}

static int hint_row(void *arg, const struct parked_row *r)
{
    struct hint *h = arg;

    if (r->state == PARKED_SEQUENCE || h->n++ >= HINTS_MAX)
        return 0;
    if (r->offset < 0) // born inside the job
        buf_printf(&h->text, "\n  parked: %.*s", BYTES_FMT(r->entry));
    else
        buf_printf(&h->text, "\n  parked: %.*s:%d@%lld", BYTES_FMT(r->topic), r->partition,
                   (long long)r->offset);
    buf_printf(&h->text, ", class %s: ", err_name(r->class));
    if (r->where.n > 0 && !names_line(r))
        buf_printf(&h->text, "%.*s: ", BYTES_FMT(r->where));
    buf_append_bytes(&h->text, r->message);
    return 0;
}

const char *test_hint(struct testing *t)
{
    struct store *s = driver_store(t->driver);
    struct hint h = {.text = BUF_EMPTY};
    const char *text = "";

    if (s->ops->park_scan(s, NULL, NULL, hint_row, &h, NULL) == 0 && h.n > 0) {
        if (h.n > HINTS_MAX)
            buf_printf(&h.text, "\n  parked: %d more", h.n - HINTS_MAX);
        text = arena_strdup(&t->arena, buf_cstr(&h.text));
    }
    buf_deinit(&h.text);
    return text;
}
