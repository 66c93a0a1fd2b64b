// SPDX-License-Identifier: Apache-2.0
#include "runtime/app/decisions.h"

#include "runtime/record/value.h"

static const char *const kinds[] = {
    [DECISION_RETRY] = "retry", [DECISION_SKIP] = "skip", [DECISION_EDIT] = "edit"};

static void write_hex(struct bytes b, struct buf *json)
{
    buf_append_byte(json, '"');
    for (size_t i = 0; i < b.n; i++)
        buf_printf(json, "%02x", b.p[i]);
    buf_append_byte(json, '"');
}

void decisions_write(const struct decision *d, size_t n, struct buf *json)
{
    buf_append_str(json, "{\"decisions\":[");
    for (size_t i = 0; i < n; i++) {
        buf_printf(json, "%s{\"%s\":%lld", i ? "," : "", kinds[d[i].kind], (long long)d[i].id);
        if (d[i].kind == DECISION_SKIP) {
            buf_append_str(json, ",\"reason\":");
            json_write_text(d[i].reason, json);
        } else if (d[i].kind == DECISION_EDIT && bytes_is_utf8(d[i].value)) {
            buf_append_str(json, ",\"value\":");
            json_write_text(d[i].value, json);
        } else if (d[i].kind == DECISION_EDIT) {
            buf_append_str(json, ",\"hex\":");
            write_hex(d[i].value, json);
        }
        buf_append_byte(json, '}');
    }
    buf_append_str(json, "]}");
}

static int digit(uint8_t c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool read_hex(struct bytes text, struct arena *a, struct bytes *out)
{
    uint8_t *p = arena_alloc(a, text.n / 2 + 1);

    for (size_t i = 0; i + 1 < text.n; i += 2) {
        int hi = digit(text.p[i]), lo = digit(text.p[i + 1]);
        if (hi < 0 || lo < 0)
            return false;
        p[i / 2] = (uint8_t)(hi * 16 + lo);
    }
    *out = bytes_of(p, text.n / 2);
    return text.n % 2 == 0;
}

static struct bytes text_of(const struct value *v, const char *name, struct arena *a)
{
    struct value x;

    if (value_member(v, bytes_str(name), a, &x, NULL) != 0 || x.type != VALUE_TEXT)
        return BYTES_NULL;
    return x.s;
}

static int read_kind(const struct value *v, struct arena *a, struct decision *d, struct err *e)
{
    struct value id;

    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        int rc = value_member(v, bytes_str(kinds[i]), a, &id, e);
        if (rc != 0)
            return rc;
        if (id.type != VALUE_INT)
            continue;
        d->kind = (enum decision_kind)i;
        d->id = id.i;
        return 0;
    }
    return err_set(e, LEAT_EINVAL, "a decision is {\"retry\":ID}, {\"skip\":ID} or {\"edit\":ID}");
}

static int read_one(const struct value *v, struct arena *a, struct decision *d, struct err *e)
{
    struct bytes hex;
    int rc;

    *d = (struct decision){.reason = BYTES_NULL, .value = BYTES_NULL};
    rc = value_is_object(v) ? read_kind(v, a, d, e)
                            : err_set(e, LEAT_EINVAL, "a decision is an object");
    if (rc != 0)
        return rc;
    d->reason = text_of(v, "reason", a);
    d->value = text_of(v, "value", a);
    hex = text_of(v, "hex", a);
    if (!bytes_is_null(hex) && !read_hex(hex, a, &d->value))
        return err_set(e, LEAT_EINVAL, "\"hex\" is no hexadecimal text");
    if (d->kind == DECISION_EDIT && bytes_is_null(d->value))
        return err_set(e, LEAT_EINVAL, "an edit needs a \"value\"");
    return 0;
}

int decisions_read(struct bytes json, struct arena *a, struct decision **out, size_t *n,
                   struct err *e)
{
    struct value root, list, v;
    struct value_iter it;
    struct bytes name;
    int rc = value_decode(FORMAT_JSON, json, a, &root, e);

    if (rc == 0)
        rc = value_member(&root, BYTES_LIT("decisions"), a, &list, e);
    if (rc != 0)
        return rc;
    *n = 0;
    if (!value_is_array(&list) || value_count(&list) > DECISIONS_MAX)
        return err_set(e, LEAT_EINVAL, "\"decisions\" is a list of at most %d", DECISIONS_MAX);
    *out = arena_alloc(a, (value_count(&list) + 1) * sizeof **out);
    value_iter_init(&it, &list, a);
    while ((rc = value_iter_next(&it, &name, &v, e)) == 1) {
        rc = read_one(&v, a, &(*out)[*n], e);
        if (rc != 0)
            return rc;
        ++*n;
    }
    return rc;
}
