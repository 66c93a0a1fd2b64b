// SPDX-License-Identifier: Apache-2.0
//
// Bytes to structs, driven by the tables. Everything here comes from outside, so:
//  - no read without asking how many bytes are left (reader_take is the only way to move);
//  - a length must fit into the rest, and a count times the shortest possible element too, before
//  memory is
//    asked for: a frame of n bytes can cost some multiple of n, never more;
//  - memory comes from the caller's arena by the call that may fail, so its limit holds;
//  - nesting is as deep as the schema (generate.py has no recursive structs), so the stack is
//  bounded.
//
// A flexible struct ends in tagged fields: count, then (tag, size, value). Unknown tags are
// skipped; a known one must fill its size. Order is not insisted on, as Kafka does not; of two
// equal tags the last counts.
#include "runtime/wire/wire.h"

#include "runtime/base/endian.h"
#include "runtime/base/varint.h"
#include "runtime/wire/codec.h"

struct reader {
    const uint8_t *p, *end;
    struct arena *arena;
    const struct wire_message *message;
    struct err *e;
    int version;
    bool flexible;
};

static int read_struct(struct reader *r, const struct wire_message *m, uint8_t *out);

static size_t reader_left(const struct reader *r)
{
    return (size_t)(r->end - r->p);
}

static int fail(const struct reader *r, const char *field, const char *what)
{
    return err_set(r->e, LEAT_EPROTO, "%s v%d: %s: %s", r->message->name, r->version, field, what);
}

static const uint8_t *reader_take(struct reader *r, size_t n)
{
    const uint8_t *p = r->p;

    if (reader_left(r) < n)
        return NULL;
    r->p += n;
    return p;
}

static int read_varint(struct reader *r, const char *field, uint32_t *v)
{
    size_t n = varint_u32(bytes_of(r->p, reader_left(r)), v);

    if (n == 0)
        return fail(r, field, "malformed varint");
    r->p += n;
    return 0;
}

// The length of a string or bytes, or the count of an array; -1 is null, and checked.
static int read_length(struct reader *r, const struct wire_field *f, bool two_bytes,
                       int64_t *length)
{
    bool compact = r->flexible && (f->flags & WIRE_INFLEXIBLE) == 0;
    const uint8_t *p;
    uint32_t v;

    if (compact) {
        int rc = read_varint(r, f->name, &v);
        if (rc != 0)
            return rc;
        *length = (int64_t)v - 1;
    } else {
        p = reader_take(r, two_bytes ? 2 : 4);
        if (p == NULL)
            return fail(r, f->name, "the message ends here");
        *length = two_bytes ? (int16_t)load_be16(p) : (int32_t)load_be32(p);
    }
    if (*length < -1 || *length > INT32_MAX)
        return fail(r, f->name, "negative length");
    if (*length == -1 && !wire_field_nullable(f, r->version))
        return fail(r, f->name, "null is not allowed");
    return 0;
}

static int read_bytes(struct reader *r, const struct wire_field *f, uint8_t *out)
{
    struct bytes b = BYTES_NULL;
    int64_t n;
    int rc = read_length(r, f, f->type == WIRE_STRING, &n);

    if (rc != 0)
        return rc;
    if (f->type == WIRE_STRING && n > INT16_MAX)
        return fail(r, f->name, "longer than a string may be");
    if (n >= 0) {
        b = bytes_of(reader_take(r, (size_t)n), (size_t)n);
        if (b.p == NULL)
            return fail(r, f->name, "longer than the rest of the message");
    }
    memcpy(out, &b, sizeof b);
    return 0;
}

static int read_fixed(struct reader *r, const struct wire_field *f, uint8_t *out)
{
    size_t n = wire_fixed_size(f);
    const uint8_t *p = reader_take(r, n);
    uint16_t v16;
    uint32_t v32;
    uint64_t v64;

    if (p == NULL)
        return fail(r, f->name, "the message ends here");
    switch (n) {
    case 1:
        *out = f->type == WIRE_BOOL ? *p != 0 : *p;
        break;
    case 2:
        v16 = load_be16(p);
        memcpy(out, &v16, 2);
        break;
    case 4:
        v32 = load_be32(p);
        memcpy(out, &v32, 4);
        break;
    case 8:
        v64 = load_be64(p);
        memcpy(out, &v64, 8);
        break;
    default:
        memcpy(out, p, n);
    }
    return 0;
}

static int read_memory(struct reader *r, const struct wire_field *f, size_t n, void **p)
{
    *p = arena_try_alloc(r->arena, n);
    if (*p != NULL)
        return 0;
    if (r->arena->limit != 0 && r->arena->used + n > r->arena->limit)
        return err_set(r->e, LEAT_ELIMIT, "%s v%d: %s: takes more memory than a message may",
                       r->message->name, r->version, f->name);
    return err_set(r->e, LEAT_ENOMEM, "%s v%d: %s: out of memory", r->message->name, r->version,
                   f->name);
}

static int read_optional(struct reader *r, const struct wire_field *f, uint8_t *out)
{
    const uint8_t *presence = reader_take(r, 1);
    void *p = NULL;
    int rc = 0;

    if (presence == NULL)
        return fail(r, f->name, "the message ends here");
    if ((int8_t)*presence < 0) {
        if (!wire_field_nullable(f, r->version))
            return fail(r, f->name, "null is not allowed");
    } else {
        rc = read_memory(r, f, f->of->size, &p);
        if (rc == 0)
            rc = read_struct(r, f->of, p);
    }
    memcpy(out, &p, sizeof p);
    return rc;
}

static int read_value(struct reader *r, const struct wire_field *f, uint8_t *out)
{
    switch (f->type) {
    case WIRE_STRING:
    case WIRE_BYTES:
    case WIRE_RECORDS:
        return read_bytes(r, f, out);
    case WIRE_STRUCT:
        return read_struct(r, f->of, out);
    case WIRE_OPTIONAL:
        return read_optional(r, f, out);
    default:
        return read_fixed(r, f, out);
    }
}

// The least an element can take on the wire.
static size_t element_min(const struct reader *r, const struct wire_field *f)
{
    size_t n = wire_fixed_size(f);

    if (f->type == WIRE_STRUCT)
        n = f->of->min_bytes[r->version - f->of->min];
    else if (n == 0)
        n = r->flexible ? 1 : f->type == WIRE_STRING ? 2 : 4;
    return n > 0 ? n : 1;
}

static int read_array(struct reader *r, const struct wire_field *f, uint8_t *out)
{
    struct wire_array array = {0};
    size_t size = wire_value_size(f);
    int64_t n;
    int rc = read_length(r, f, false, &n);

    if (rc != 0)
        return rc;
    array.n = (int32_t)n;
    if (n > 0 && (uint64_t)n > reader_left(r) / element_min(r, f))
        return fail(r, f->name, "more elements than the rest of the message can hold");
    if (n > 0)
        rc = read_memory(r, f, (size_t)n * size, &array.items);
    for (int64_t i = 0; i < n && rc == 0; i++)
        rc = read_value(r, f, (uint8_t *)array.items + (size_t)i * size);
    memcpy(out, &array, sizeof array);
    return rc;
}

static int read_field(struct reader *r, const struct wire_field *f, uint8_t *out)
{
    return f->flags & WIRE_ARRAY ? read_array(r, f, out) : read_value(r, f, out);
}

static const struct wire_field *tagged_field(const struct reader *r, const struct wire_message *m,
                                             uint32_t tag)
{
    const struct wire_field *f = m->fields + m->n_plain;

    for (int i = 0; i < m->n_tagged; i++)
        if ((uint32_t)f[i].tag == tag && wire_field_in(&f[i], r->version))
            return &f[i];
    return NULL;
}

static int read_tag(struct reader *r, const struct wire_message *m, uint8_t *out)
{
    const struct wire_field *f;
    const uint8_t *outer_end = r->end;
    uint32_t tag, size;
    int rc = read_varint(r, "tag", &tag);

    if (rc == 0)
        rc = read_varint(r, "size of a tagged field", &size);
    if (rc != 0)
        return rc;
    if (size > reader_left(r))
        return fail(r, "tagged field", "longer than the rest of the message");
    f = tagged_field(r, m, tag);
    if (f == NULL) {
        r->p += size;
        return 0;
    }
    r->end = r->p + size;
    rc = read_field(r, f, out + f->offset);
    if (rc == 0 && r->p != r->end)
        rc = fail(r, f->name, "shorter than its tag says");
    r->end = outer_end;
    return rc;
}

static int read_tags(struct reader *r, const struct wire_message *m, uint8_t *out)
{
    uint32_t n;
    int rc = read_varint(r, "count of tagged fields", &n);

    for (uint32_t i = 0; i < n && rc == 0; i++)
        rc = read_tag(r, m, out);
    return rc;
}

static int read_struct(struct reader *r, const struct wire_message *m, uint8_t *out)
{
    const struct wire_field *f = m->fields, *tagged = f + m->n_plain, *end = tagged + m->n_tagged;
    int rc = 0;

    for (; f < tagged && rc == 0; f++) {
        if (wire_field_in(f, r->version))
            rc = read_field(r, f, out + f->offset);
        else
            wire_field_default(f, out + f->offset);
    }
    for (; f < end && rc == 0; f++)
        wire_field_default(f, out + f->offset);
    if (rc == 0 && r->flexible)
        rc = read_tags(r, m, out);
    return rc;
}

int wire_decode_front(const struct wire_message *m, int version, struct bytes *in, struct arena *a,
                      void *out, struct err *e)
{
    // An empty body still needs an address, so that an empty string is not a null one.
    const uint8_t *p = in->p != NULL ? in->p : (const uint8_t *)"";
    struct reader r = {p, p + in->n, a, m, e, version, version >= m->flexible_since};
    int rc;

    if (version < m->min || version > m->max)
        return err_set(e, LEAT_EUNSUPPORTED, "%s v%d: versions %d to %d are known", m->name,
                       version, m->min, m->max);
    rc = read_struct(&r, m, out);
    if (rc == 0)
        *in = bytes_of(r.p, reader_left(&r));
    return rc;
}

int wire_decode(const struct wire_message *m, int version, struct bytes body, struct arena *a,
                void *out, struct err *e)
{
    int rc = wire_decode_front(m, version, &body, a, out, e);

    if (rc == 0 && body.n > 0)
        rc = err_set(e, LEAT_EPROTO, "%s v%d: %zu bytes behind the end of the message", m->name,
                     version, body.n);
    return rc;
}
