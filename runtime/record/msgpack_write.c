// SPDX-License-Identifier: Apache-2.0
//
// Values to MessagePack, each in its shortest form, so that equal values give equal bytes:
// composite keys are compared and partitioned by them. Decimals are text, but in state. A document
// that is MessagePack already is copied as it is. The heads are msgpack-c's business (its packer is
// inline code over a callback, and chooses the shortest form); reading is ours, in msgpack.c,
// because it must be lazy.
#include "runtime/record/fieldplan.h"

#include <msgpack/pack.h>

#include "runtime/base/limits.h"
#include "runtime/base/number.h"

static int append(void *out, const char *p, size_t n)
{
    buf_append(out, p, n);
    return 0;
}

// The packer writes into `out` at once: it is no more than the pair that its calls want.
static msgpack_packer packer(struct buf *out)
{
    return (msgpack_packer){out, append};
}

static void put_int(struct buf *out, int64_t i)
{
    msgpack_packer p = packer(out);

    msgpack_pack_int64(&p, i);
}

static void put_float(struct buf *out, double f)
{
    msgpack_packer p = packer(out);

    msgpack_pack_double(&p, f);
}

static void put_text_head(struct buf *out, size_t n)
{
    msgpack_packer p = packer(out);

    msgpack_pack_str(&p, n);
}

static void put_text(struct buf *out, struct bytes text)
{
    put_text_head(out, text.n);
    buf_append_bytes(out, text);
}

static void put_bytes(struct buf *out, struct bytes bytes)
{
    msgpack_packer p = packer(out);

    msgpack_pack_bin(&p, bytes.n);
    buf_append_bytes(out, bytes);
}

static void put_decimal(struct buf *out, const struct value *v)
{
    msgpack_packer p = packer(out);

    msgpack_pack_ext(&p, MSGPACK_DECIMAL_BYTES, MSGPACK_DECIMAL_TYPE);
    buf_append_byte(out, v->scale);
    buf_append_be64(out, (uint64_t)v->i);
}

static void put_container_head(struct buf *out, bool object, size_t n)
{
    msgpack_packer p = packer(out);

    if (object)
        msgpack_pack_map(&p, n);
    else
        msgpack_pack_array(&p, n);
}

static void put_escaped(struct buf *out, struct bytes token)
{
    put_text_head(out, json_unescape(token, NULL));
    buf_reserve(out, token.n);
    out->n += json_unescape(token, out->p + out->n);
}

static bool is_extension(uint8_t first)
{
    return (first >= 0xc7 && first <= 0xc9) || (first >= 0xd4 && first <= 0xd8);
}

static int put_lazy(struct buf *out, enum format f, const struct value *v, struct err *e)
{
    struct value number = *v;
    int rc;

    if (v->format != FORMAT_JSON && f == FORMAT_STATE && is_extension(v->s.p[0]))
        return msgpack_force(&number, e); // it could look like ours
    if (v->format != FORMAT_JSON) {
        buf_append_bytes(out, v->s);
        return 0;
    }
    if (v->s.p[0] == '"') {
        put_escaped(out, v->s);
        return 0;
    }
    rc = json_force(&number, NULL, e); // numbers need no arena
    return rc != 0 ? rc : value_write_msgpack(&number, out, e);
}

static int put_value(struct buf *out, enum format f, const struct value *v, int depth,
                     struct err *e);

static size_t members_written(const struct value *v)
{
    size_t n = value_count(v);

    for (size_t i = 0; v->type == VALUE_OBJECT && i < v->object->n; i++)
        n -= v->object->values[i].type == VALUE_MISSING;
    return n;
}

static int put_container(struct buf *out, enum format f, const struct value *v, int depth,
                         struct err *e)
{
    bool object = value_is_object(v);
    struct value_iter it;
    struct value name, value;
    int rc;

    if (depth >= VALUE_DEPTH_MAX)
        return err_set(e, LEAT_ETYPE, "a value nested deeper than %d", VALUE_DEPTH_MAX);
    put_container_head(out, object, members_written(v));
    value_iter_init(&it, v, NULL);
    while ((rc = value_iter_raw(&it, &name, &value)) == 1) {
        if (object && value.type == VALUE_MISSING)
            continue;
        if (object && name.type == VALUE_LAZY)
            put_escaped(out, name.s);
        else if (object)
            put_text(out, name.s);
        rc = put_value(out, f, &value, depth + 1, e);
        if (rc != 0)
            return rc;
    }
    return rc;
}

static int put_value(struct buf *out, enum format f, const struct value *v, int depth,
                     struct err *e)
{
    char text[NUMBER_TEXT_SIZE];

    switch ((enum value_type)v->type) {
    case VALUE_MISSING:
    case VALUE_NULL:
        buf_append_byte(out, 0xc0);
        return 0;
    case VALUE_BOOL:
        buf_append_byte(out, v->b ? 0xc3 : 0xc2);
        return 0;
    case VALUE_INT:
        put_int(out, v->i);
        return 0;
    case VALUE_FLOAT:
        put_float(out, v->f);
        return 0;
    case VALUE_DECIMAL:
        if (f == FORMAT_STATE) {
            put_decimal(out, v);
            return 0;
        }
        put_text(out, bytes_of(text, number_format_decimal(v->i, v->scale, text)));
        return 0;
    case VALUE_TEXT:
        if (bytes_is_utf8(v->s))
            put_text(out, v->s);
        else
            put_bytes(out, v->s);
        return 0;
    case VALUE_BYTES:
        put_bytes(out, v->s);
        return 0;
    case VALUE_LAZY:
        return put_lazy(out, f, v, e);
    case VALUE_DOC_ARRAY:
    case VALUE_DOC_OBJECT:
        if (v->format == f && depth == 0) { // deeper: walked, so that the depth counts
            buf_append_bytes(out, v->s);
            return 0;
        }
        return put_container(out, f, v, depth, e);
    case VALUE_ARRAY:
    case VALUE_OBJECT:
        return put_container(out, f, v, depth, e);
    }
    UNREACHABLE("every type is written");
}

int value_write_msgpack(const struct value *v, struct buf *out, struct err *e)
{
    return put_value(out, FORMAT_MSGPACK, v, 0, e);
}

int value_write_state(const struct value *v, struct buf *out, struct err *e)
{
    return put_value(out, FORMAT_STATE, v, 0, e);
}
