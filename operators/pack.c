// SPDX-License-Identifier: Apache-2.0
#include "operators/pack.h"

#include "runtime/base/endian.h"
#include "runtime/base/varint.h"

void pack_u8(struct buf *out, uint8_t v)
{
    buf_append_byte(out, v);
}

void pack_i64(struct buf *out, int64_t v)
{
    buf_append_be64(out, (uint64_t)v);
}

void pack_int(struct buf *out, int64_t v)
{
    uint8_t b[VARINT64_MAX];

    buf_append(out, b, varint_put_z64(b, v));
}

void pack_f64(struct buf *out, double v)
{
    uint64_t bits;

    memcpy(&bits, &v, sizeof(bits));
    buf_append_be64(out, bits);
}

static void pack_run(struct buf *out, struct bytes s)
{
    ASSERT(s.n <= UINT32_MAX);
    pack_int(out, (int64_t)s.n);
    buf_append_bytes(out, s);
}

static int pack_built(struct buf *out, const struct value *v, struct err *e)
{
    struct buf doc = BUF_EMPTY;
    int rc = value_write_state(v, &doc, e);

    if (rc == 0) {
        pack_u8(out, v->type == VALUE_OBJECT ? VALUE_DOC_OBJECT : VALUE_DOC_ARRAY);
        pack_u8(out, FORMAT_STATE);
        pack_run(out, buf_bytes(&doc));
    }
    buf_deinit(&doc);
    return rc;
}

int pack_value(struct buf *out, const struct value *v, struct err *e)
{
    if (v->type == VALUE_OBJECT || v->type == VALUE_ARRAY)
        return pack_built(out, v, e);
    pack_u8(out, v->type);
    switch ((enum value_type)v->type) {
    case VALUE_MISSING:
    case VALUE_NULL:
        return 0;
    case VALUE_BOOL:
        pack_u8(out, v->b);
        return 0;
    case VALUE_INT:
        pack_int(out, v->i);
        return 0;
    case VALUE_FLOAT:
        pack_f64(out, v->f);
        return 0;
    case VALUE_DECIMAL:
        pack_u8(out, v->scale);
        pack_int(out, v->i);
        return 0;
    case VALUE_TEXT:
    case VALUE_BYTES:
        pack_run(out, v->s);
        return 0;
    case VALUE_DOC_ARRAY:
    case VALUE_DOC_OBJECT:
        pack_u8(out, v->format);
        pack_run(out, v->s);
        return 0;
    case VALUE_ARRAY:
    case VALUE_OBJECT:
    case VALUE_LAZY:
        break;
    }
    UNREACHABLE("values in state are forced");
}

int unpack_u8(struct bytes *in, uint8_t *v)
{
    if (in->n < 1)
        return LEAT_ECORRUPT;
    *v = in->p[0];
    *in = bytes_of(in->p + 1, in->n - 1);
    return 0;
}

int unpack_u32(struct bytes *in, uint32_t *v)
{
    if (in->n < 4)
        return LEAT_ECORRUPT;
    *v = load_be32(in->p);
    *in = bytes_of(in->p + 4, in->n - 4);
    return 0;
}

int unpack_i64(struct bytes *in, int64_t *v)
{
    if (in->n < 8)
        return LEAT_ECORRUPT;
    *v = (int64_t)load_be64(in->p);
    *in = bytes_of(in->p + 8, in->n - 8);
    return 0;
}

int unpack_int(struct bytes *in, int64_t *v)
{
    size_t n = varint_z64(*in, v);

    if (n == 0)
        return LEAT_ECORRUPT;
    *in = bytes_of(in->p + n, in->n - n);
    return 0;
}

int unpack_f64(struct bytes *in, double *v)
{
    int64_t bits;
    int rc = unpack_i64(in, &bits);

    if (rc == 0)
        memcpy(v, &bits, sizeof(bits));
    return rc;
}

static int unpack_run(struct bytes *in, struct bytes *s)
{
    int64_t n;
    int rc = unpack_int(in, &n);

    if (rc < 0 || n < 0 || (uint64_t)n > in->n)
        return LEAT_ECORRUPT;
    *s = bytes_of(in->p, (size_t)n);
    *in = bytes_of(in->p + n, in->n - (size_t)n);
    return 0;
}

static int unpack_bool(struct bytes *in, struct value *v)
{
    uint8_t b;
    int rc = unpack_u8(in, &b);

    if (rc == 0 && b > 1)
        return LEAT_ECORRUPT;
    v->b = rc == 0 && b == 1;
    return rc;
}

int unpack_value(struct bytes *in, struct value *v)
{
    uint8_t type;
    int rc = unpack_u8(in, &type);

    if (rc < 0)
        return rc;
    *v = (struct value){.type = type};
    switch (type) {
    case VALUE_MISSING:
    case VALUE_NULL:
        return 0;
    case VALUE_BOOL:
        return unpack_bool(in, v);
    case VALUE_INT:
        return unpack_int(in, &v->i);
    case VALUE_FLOAT:
        return unpack_f64(in, &v->f);
    case VALUE_DECIMAL:
        rc = unpack_u8(in, &v->scale);
        return rc < 0 || v->scale > 18 ? LEAT_ECORRUPT : unpack_int(in, &v->i);
    case VALUE_TEXT:
    case VALUE_BYTES:
        return unpack_run(in, &v->s);
    case VALUE_DOC_ARRAY:
    case VALUE_DOC_OBJECT:
        rc = unpack_u8(in, &v->format);
        if (rc < 0 || (v->format > FORMAT_MSGPACK && v->format != FORMAT_STATE))
            return LEAT_ECORRUPT;
        return unpack_run(in, &v->s);
    default:
        return LEAT_ECORRUPT;
    }
}
