// SPDX-License-Identifier: Apache-2.0
//
// Structs to bytes, driven by the tables. What can be wrong here is our own making (a null where
// the version has none, a value that the version cannot carry), but it depends on the client's
// version, so it is an error and not an assertion: the client gets an error, the broker lives.
//
// A tagged field carries its size in front, which is known only afterwards: the value is written
// first, then moved up by the one or two bytes of the size. Tagged values are small and rare.
#include "runtime/wire/wire.h"

#include "runtime/base/endian.h"
#include "runtime/base/varint.h"
#include "runtime/wire/codec.h"

struct writer {
    struct buf *buf;
    struct wire_gaps *gaps; // NULL: records are copied
    const struct wire_message *message;
    struct err *e;
    int version;
    bool flexible;
};

static int write_struct(struct writer *w, const struct wire_message *m, const uint8_t *in);

static int fail(const struct writer *w, int code, const char *field, const char *what)
{
    return err_set(w->e, code, "%s v%d: %s: %s", w->message->name, w->version, field, what);
}

// Room for n more bytes, already counted as used; NULL when memory is out.
static uint8_t *writer_room(struct writer *w, size_t n)
{
    uint8_t *p;

    if (buf_try_reserve(w->buf, n) != 0)
        return NULL;
    p = w->buf->p + w->buf->n;
    w->buf->n += n;
    return p;
}

static int write_varint(struct writer *w, const char *field, uint32_t v)
{
    if (buf_try_reserve(w->buf, VARINT32_MAX) != 0)
        return fail(w, LEAT_ENOMEM, field, "out of memory");
    w->buf->n += varint_put_u32(w->buf->p + w->buf->n, v);
    return 0;
}

// n = -1 is null, which is checked here.
static int write_length(struct writer *w, const struct wire_field *f, bool two_bytes, int64_t n)
{
    uint8_t *p;

    if (n < 0 && !wire_field_nullable(f, w->version))
        return fail(w, LEAT_EINVAL, f->name, "null is not allowed");
    if (n > (f->type == WIRE_STRING && (f->flags & WIRE_ARRAY) == 0 ? INT16_MAX : INT32_MAX))
        return fail(w, LEAT_EINVAL, f->name, "too long");
    if (w->flexible && (f->flags & WIRE_INFLEXIBLE) == 0)
        return write_varint(w, f->name, (uint32_t)(n + 1));
    p = writer_room(w, two_bytes ? 2 : 4);
    if (p == NULL)
        return fail(w, LEAT_ENOMEM, f->name, "out of memory");
    if (two_bytes)
        store_be16(p, (uint16_t)n);
    else
        store_be32(p, (uint32_t)n);
    return 0;
}

static int gap_add(struct writer *w, const struct wire_field *f, struct bytes records)
{
    if (w->gaps->n == w->gaps->max)
        return fail(w, LEAT_ELIMIT, f->name, "more records than gaps");
    w->gaps->items[w->gaps->n++] = (struct wire_gap){w->buf->n, records};
    return 0;
}

static int write_bytes(struct writer *w, const struct wire_field *f, const uint8_t *in)
{
    struct bytes b;
    uint8_t *p;
    int rc;

    memcpy(&b, in, sizeof b);
    if (b.n > INT32_MAX)
        return fail(w, LEAT_EINVAL, f->name, "too long");
    rc = write_length(w, f, f->type == WIRE_STRING, bytes_is_null(b) ? -1 : (int64_t)b.n);
    if (rc != 0 || b.n == 0 || b.p == NULL)
        return rc;
    if (f->type == WIRE_RECORDS && w->gaps != NULL)
        return gap_add(w, f, b);
    p = writer_room(w, b.n);
    if (p == NULL)
        return fail(w, LEAT_ENOMEM, f->name, "out of memory");
    memcpy(p, b.p, b.n);
    return 0;
}

static int write_fixed(struct writer *w, const struct wire_field *f, const uint8_t *in)
{
    size_t n = wire_fixed_size(f);
    uint8_t *p = writer_room(w, n);
    uint16_t v16;
    uint32_t v32;
    uint64_t v64;

    if (p == NULL)
        return fail(w, LEAT_ENOMEM, f->name, "out of memory");
    switch (n) {
    case 2:
        memcpy(&v16, in, 2);
        store_be16(p, v16);
        break;
    case 4:
        memcpy(&v32, in, 4);
        store_be32(p, v32);
        break;
    case 8:
        memcpy(&v64, in, 8);
        store_be64(p, v64);
        break;
    default:
        memcpy(p, in, n);
    }
    return 0;
}

static int write_optional(struct writer *w, const struct wire_field *f, const uint8_t *in)
{
    uint8_t *presence = writer_room(w, 1);
    const uint8_t *p;

    memcpy(&p, in, sizeof p);
    if (presence == NULL)
        return fail(w, LEAT_ENOMEM, f->name, "out of memory");
    *presence = p != NULL ? 1 : 0xff;
    if (p != NULL)
        return write_struct(w, f->of, p);
    return wire_field_nullable(f, w->version)
               ? 0
               : fail(w, LEAT_EINVAL, f->name, "null is not allowed");
}

static int write_value(struct writer *w, const struct wire_field *f, const uint8_t *in)
{
    switch (f->type) {
    case WIRE_STRING:
    case WIRE_BYTES:
    case WIRE_RECORDS:
        return write_bytes(w, f, in);
    case WIRE_STRUCT:
        return write_struct(w, f->of, in);
    case WIRE_OPTIONAL:
        return write_optional(w, f, in);
    default:
        return write_fixed(w, f, in);
    }
}

static int write_array(struct writer *w, const struct wire_field *f, const uint8_t *in)
{
    struct wire_array array = wire_array_load(in);
    size_t size = wire_value_size(f);
    int rc = write_length(w, f, false, array.n < 0 ? -1 : array.n);

    ASSERT(array.n <= 0 || array.items != NULL);
    for (int32_t i = 0; i < array.n && rc == 0; i++)
        rc = write_value(w, f, (const uint8_t *)array.items + (size_t)i * size);
    return rc;
}

static int write_field(struct writer *w, const struct wire_field *f, const uint8_t *in)
{
    return f->flags & WIRE_ARRAY ? write_array(w, f, in) : write_value(w, f, in);
}

static int check_absent(const struct writer *w, const struct wire_field *f, const uint8_t *in)
{
    if ((f->flags & WIRE_IGNORABLE) != 0 || wire_field_is_default(f, in))
        return 0;
    return fail(w, LEAT_EUNSUPPORTED, f->name, "this version has no room for a value here");
}

static int write_tag(struct writer *w, const struct wire_field *f, const uint8_t *in)
{
    uint8_t size_bytes[VARINT32_MAX];
    size_t start, size, n;
    int rc = write_varint(w, f->name, (uint32_t)f->tag);

    start = w->buf->n;
    if (rc == 0)
        rc = write_field(w, f, in);
    if (rc != 0)
        return rc;
    size = w->buf->n - start;
    if (size > INT32_MAX)
        return fail(w, LEAT_EINVAL, f->name, "too long");
    n = varint_put_u32(size_bytes, (uint32_t)size);
    if (writer_room(w, n) == NULL)
        return fail(w, LEAT_ENOMEM, f->name, "out of memory");
    memmove(w->buf->p + start + n, w->buf->p + start, size);
    memcpy(w->buf->p + start, size_bytes, n);
    return 0;
}

static bool tag_present(const struct writer *w, const struct wire_field *f, const uint8_t *in)
{
    return wire_field_in(f, w->version) && !wire_field_is_default(f, in);
}

static int write_tags(struct writer *w, const struct wire_message *m, const uint8_t *in)
{
    const struct wire_field *first = m->fields + m->n_plain, *end = first + m->n_tagged;
    uint32_t n = 0;
    int rc = 0;

    for (const struct wire_field *f = first; f < end; f++)
        n += tag_present(w, f, in + f->offset);
    rc = write_varint(w, "count of tagged fields", n);
    for (const struct wire_field *f = first; f < end && rc == 0; f++)
        if (tag_present(w, f, in + f->offset))
            rc = write_tag(w, f, in + f->offset);
    return rc;
}

static int write_struct(struct writer *w, const struct wire_message *m, const uint8_t *in)
{
    const struct wire_field *f = m->fields, *tagged = f + m->n_plain, *end = tagged + m->n_tagged;
    int rc = 0;

    for (; f < end && rc == 0; f++) {
        if (!wire_field_in(f, w->version))
            rc = check_absent(w, f, in + f->offset);
        else if (f < tagged)
            rc = write_field(w, f, in + f->offset);
    }
    if (rc == 0 && w->flexible)
        rc = write_tags(w, m, in);
    return rc;
}

int wire_encode_gaps(const struct wire_message *m, int version, const void *in,
                     struct wire_gaps *gaps, struct buf *out, struct err *e)
{
    struct writer w = {out, gaps, m, e, version, version >= m->flexible_since};
    size_t n = out->n, n_gaps = gaps != NULL ? gaps->n : 0;
    int rc;

    if (version < m->min || version > m->max)
        return err_set(e, LEAT_EUNSUPPORTED, "%s v%d: versions %d to %d are known", m->name,
                       version, m->min, m->max);
    rc = write_struct(&w, m, in);
    if (rc != 0) {
        out->n = n;
        if (gaps != NULL)
            gaps->n = n_gaps;
    }
    return rc;
}

int wire_encode(const struct wire_message *m, int version, const void *in, struct buf *out,
                struct err *e)
{
    return wire_encode_gaps(m, version, in, NULL, out, e);
}
