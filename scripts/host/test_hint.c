// SPDX-License-Identifier: Apache-2.0
//
// What a failed expectation says besides the difference: the records that are parked, because that
// is most often where the missing ones are.
#include "runtime/base/buf.h"
#include "scripts/host/testing.h"

enum { HINTS_MAX = 3 };

struct hint {
    struct buf text;
    int n;
};

static int hint_row(void *arg, const struct parked_row *r)
{
    struct hint *h = arg;

    if (r->state == PARKED_SEQUENCE || h->n++ >= HINTS_MAX)
        return 0;
    buf_printf(&h->text, "\n  parked: %.*s:%d@%lld, class %s: %.*s", BYTES_FMT(r->topic),
               r->partition, (long long)r->offset, err_name(r->class), BYTES_FMT(r->message));
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
