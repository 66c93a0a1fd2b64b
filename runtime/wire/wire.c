// SPDX-License-Identifier: Apache-2.0
//
// Defaults, the API table, and frames. A frame is an int32 length, a header, a body:
//
//     request   length:4 key:2 version:2 correlation:4 client_id:2+n [tags]   body
//     response  length:4 correlation:4 [tags]                                 body
//
// Tags are there when the API's version is flexible, except in an ApiVersions response: a client
// must be able to read that before it knows what the broker speaks.
#include "runtime/wire/wire.h"

#include "runtime/base/endian.h"
#include "runtime/wire/codec.h"
#include "runtime/wire/messages.h"

static const uint8_t value_sizes[] = {
    [WIRE_BOOL] = sizeof(bool),
    [WIRE_INT8] = 1,
    [WIRE_INT16] = 2,
    [WIRE_INT32] = 4,
    [WIRE_INT64] = 8,
    [WIRE_UUID] = sizeof(struct uuid),
    [WIRE_STRING] = sizeof(struct bytes),
    [WIRE_BYTES] = sizeof(struct bytes),
    [WIRE_RECORDS] = sizeof(struct bytes),
    [WIRE_STRUCT] = 0, // asks the struct
    [WIRE_OPTIONAL] = sizeof(void *),
};

size_t wire_value_size(const struct wire_field *f)
{
    return f->type == WIRE_STRUCT ? f->of->size : value_sizes[f->type];
}

size_t wire_fixed_size(const struct wire_field *f)
{
    return f->type <= WIRE_UUID ? value_sizes[f->type] : 0;
}

void wire_field_default(const struct wire_field *f, void *at)
{
    struct wire_array array = {f->fallback ? -1 : 0, NULL};
    struct bytes text = f->fallback ? BYTES_NULL : BYTES_LIT("");

    if (f->flags & WIRE_ARRAY)
        memcpy(at, &array, sizeof array);
    else if (f->type == WIRE_STRUCT)
        wire_defaults(f->of, at);
    else if (f->type == WIRE_STRING || f->type == WIRE_BYTES || f->type == WIRE_RECORDS)
        memcpy(at, &text, sizeof text);
    else if (f->type == WIRE_UUID || f->type == WIRE_OPTIONAL)
        memset(at, 0, wire_value_size(f));
    else
        memcpy(at, &f->fallback, wire_value_size(f)); // little-endian: the low bytes come first
}

static bool struct_is_default(const struct wire_message *m, const uint8_t *at)
{
    for (int i = 0; i < m->n_plain + m->n_tagged; i++)
        if (!wire_field_is_default(&m->fields[i], at + m->fields[i].offset))
            return false;
    return true;
}

// A null string counts as empty where empty is the default: then nobody can tell.
bool wire_field_is_default(const struct wire_field *f, const void *at)
{
    static const struct uuid none;
    struct bytes text;
    void *p;

    if (f->flags & WIRE_ARRAY)
        return f->fallback ? wire_array_load(at).n < 0 : wire_array_load(at).n == 0;
    switch (f->type) {
    case WIRE_STRUCT:
        return struct_is_default(f->of, at);
    case WIRE_OPTIONAL:
        memcpy(&p, at, sizeof p);
        return p == NULL;
    case WIRE_STRING:
    case WIRE_BYTES:
    case WIRE_RECORDS:
        memcpy(&text, at, sizeof text);
        return f->fallback ? bytes_is_null(text) : text.n == 0;
    case WIRE_UUID:
        return memcmp(at, &none, sizeof none) == 0;
    default:
        return memcmp(at, &f->fallback, wire_value_size(f)) == 0;
    }
}

void wire_defaults(const struct wire_message *m, void *out)
{
    for (int i = 0; i < m->n_plain + m->n_tagged; i++)
        wire_field_default(&m->fields[i], (uint8_t *)out + m->fields[i].offset);
}

void *wire_new(struct arena *a, const struct wire_message *m, size_t n)
{
    uint8_t *items = arena_alloc(a, n * m->size);

    for (size_t i = 0; i < n; i++)
        wire_defaults(m, items + i * m->size);
    return items;
}

const struct wire_api *wire_api(int key)
{
    size_t low = 0, high = wire_n_apis;

    while (low < high) {
        size_t middle = (low + high) / 2;
        if (wire_apis[middle].key < key)
            low = middle + 1;
        else
            high = middle;
    }
    return low < wire_n_apis && wire_apis[low].key == key ? &wire_apis[low] : NULL;
}

static int request_header_version(const struct wire_request *q)
{
    return q->version >= q->api->flexible_since ? 2 : 1;
}

static int response_header_version(const struct wire_request *q)
{
    return q->version >= q->api->flexible_since && q->key != WIRE_API_VERSIONS ? 1 : 0;
}

int wire_request_decode(struct bytes frame, struct wire_request *out, struct err *e)
{
    struct request_header head;
    int rc;

    *out = (struct wire_request){0};
    if (frame.n < 8)
        return err_set(e, LEAT_EPROTO, "request of %zu bytes: shorter than any header", frame.n);
    out->key = (int16_t)load_be16(frame.p);
    out->version = (int16_t)load_be16(frame.p + 2);
    out->correlation_id = (int32_t)load_be32(frame.p + 4);
    out->api = wire_api(out->key);
    if (out->api == NULL)
        return err_set(e, LEAT_EUNSUPPORTED, "request with API key %d: not known", out->key);
    if (out->version < out->api->min || out->version > out->api->max)
        return err_set(e, LEAT_EUNSUPPORTED, "%s request v%d: versions %d to %d are known",
                       out->api->name, out->version, out->api->min, out->api->max);
    // The header has no arrays and no optional structs, so it needs no arena.
    rc = wire_decode_front(&wire_request_header, request_header_version(out), &frame, NULL, &head,
                           e);
    out->client_id = head.client_id;
    out->body = frame;
    return rc;
}

int wire_response_decode(const struct wire_request *q, struct bytes frame, struct bytes *body,
                         struct err *e)
{
    struct response_header head;
    int rc = wire_decode_front(&wire_response_header, response_header_version(q), &frame, NULL,
                               &head, e);

    if (rc != 0)
        return rc;
    if (head.correlation_id != q->correlation_id)
        return err_set(e, LEAT_EPROTO, "%s response: correlation id %d instead of %d", q->api->name,
                       head.correlation_id, q->correlation_id);
    *body = frame;
    return 0;
}

struct part {
    const struct wire_message *type;
    int version;
    const void *in;
};

// Header and body behind four bytes that get the length of both, and of what the gaps stand for.
static int frame_encode(const struct part parts[2], struct wire_gaps *gaps, struct buf *out,
                        struct err *e)
{
    size_t start = out->n, n_gaps = gaps != NULL ? gaps->n : 0;
    uint64_t length;
    int rc = buf_try_reserve(out, 4);

    if (rc != 0)
        return err_set(e, rc, "%s: out of memory", parts[1].type->name);
    out->n += 4;
    for (int i = 0; i < 2 && rc == 0; i++)
        rc = wire_encode_gaps(parts[i].type, parts[i].version, parts[i].in, gaps, out, e);
    length = out->n - start - 4;
    for (size_t i = n_gaps; gaps != NULL && i < gaps->n; i++)
        length += gaps->items[i].records.n;
    if (rc == 0 && length > INT32_MAX)
        rc = err_set(e, LEAT_ETOOBIG, "%s: longer than a frame can be", parts[1].type->name);
    if (rc == 0) {
        store_be32(out->p + start, (uint32_t)length);
        return 0;
    }
    out->n = start;
    if (gaps != NULL)
        gaps->n = n_gaps;
    return rc;
}

int wire_response_encode(const struct wire_request *q, const void *body, struct wire_gaps *gaps,
                         struct buf *out, struct err *e)
{
    struct response_header head = {.correlation_id = q->correlation_id};
    struct part parts[2] = {{&wire_response_header, response_header_version(q), &head},
                            {q->api->response, q->version, body}};

    return frame_encode(parts, gaps, out, e);
}

int wire_request_encode(const struct wire_request *q, const void *body, struct buf *out,
                        struct err *e)
{
    struct request_header head = {q->api->key, q->version, q->correlation_id, q->client_id};
    struct part parts[2] = {{&wire_request_header, request_header_version(q), &head},
                            {q->api->request, q->version, body}};

    return frame_encode(parts, NULL, out, e);
}
