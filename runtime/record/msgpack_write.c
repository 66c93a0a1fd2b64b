// SPDX-License-Identifier: Apache-2.0
//
// Values to MessagePack, each in its shortest form, so that equal values give equal bytes:
// composite keys are compared and partitioned by them. Decimals are text. A document that is
// MessagePack already is copied as it is.
#include "runtime/record/fieldplan.h"

#include "runtime/base/endian.h"
#include "runtime/base/limits.h"
#include "runtime/base/number.h"

static void put_wide(struct buf *out, uint8_t head, uint64_t u, size_t width)
{
    uint8_t bytes[8];

    store_be64(bytes, u);
    buf_append_byte(out, head);
    buf_append(out, bytes + 8 - width, width);
}

static void put_int(struct buf *out, int64_t i)
{
    if (i >= -32 && i < 128)
        buf_append_byte(out, (uint8_t)i);
    else if (i >= 0)
        put_wide(out,
                 i <= UINT8_MAX    ? 0xcc
                 : i <= UINT16_MAX ? 0xcd
                 : i <= UINT32_MAX ? 0xce
                                   : 0xcf,
                 (uint64_t)i,
                 i <= UINT8_MAX    ? 1
                 : i <= UINT16_MAX ? 2
                 : i <= UINT32_MAX ? 4
                                   : 8);
    else
        put_wide(out,
                 i >= INT8_MIN    ? 0xd0
                 : i >= INT16_MIN ? 0xd1
                 : i >= INT32_MIN ? 0xd2
                                  : 0xd3,
                 (uint64_t)i,
                 i >= INT8_MIN    ? 1
                 : i >= INT16_MIN ? 2
                 : i >= INT32_MIN ? 4
                                  : 8);
}

// The heads of text (fix 0xa0, 0xd9 0xda 0xdb), bytes (none, 0xc4..), arrays (0x90, 0xdc 0xdd),
// maps (0x80, 0xde 0xdf).
struct heads {
    uint8_t fix, fix_max, in8, in16, in32; // 0: there is none
};
static const struct heads text_heads = {0xa0, 31, 0xd9, 0xda, 0xdb};
static const struct heads bytes_heads = {0, 0, 0xc4, 0xc5, 0xc6};
static const struct heads array_heads = {0x90, 15, 0, 0xdc, 0xdd};
static const struct heads map_heads = {0x80, 15, 0, 0xde, 0xdf};

static void put_head(struct buf *out, const struct heads *h, size_t n)
{
    if (h->fix != 0 && n <= h->fix_max)
        buf_append_byte(out, (uint8_t)(h->fix | n));
    else if (h->in8 != 0 && n <= UINT8_MAX)
        put_wide(out, h->in8, n, 1);
    else if (n <= UINT16_MAX)
        put_wide(out, h->in16, n, 2);
    else
        put_wide(out, h->in32, n, 4);
}

static void put_run(struct buf *out, const struct heads *h, struct bytes b)
{
    put_head(out, h, b.n);
    buf_append_bytes(out, b);
}

static void put_float(struct buf *out, double f)
{
    uint64_t u;

    memcpy(&u, &f, sizeof u);
    put_wide(out, 0xcb, u, 8);
}

static void put_escaped(struct buf *out, struct bytes token)
{
    put_head(out, &text_heads, json_unescape(token, NULL));
    buf_reserve(out, token.n);
    out->n += json_unescape(token, out->p + out->n);
}

static int put_lazy(struct buf *out, const struct value *v, struct err *e)
{
    struct value number = *v;
    int rc;

    if (v->format == FORMAT_MSGPACK) {
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

static int put_value(struct buf *out, const struct value *v, int depth, struct err *e);

static size_t members_written(const struct value *v)
{
    size_t n = value_count(v);

    for (size_t i = 0; v->type == VALUE_OBJECT && i < v->object->n; i++)
        n -= v->object->values[i].type == VALUE_MISSING;
    return n;
}

static int put_container(struct buf *out, const struct value *v, int depth, struct err *e)
{
    bool object = value_is_object(v);
    struct value_iter it;
    struct value name, value;
    int rc;

    if (depth >= VALUE_DEPTH_MAX)
        return err_set(e, LEAT_ETYPE, "a value nested deeper than %d", VALUE_DEPTH_MAX);
    put_head(out, object ? &map_heads : &array_heads, members_written(v));
    value_iter_init(&it, v, NULL);
    while ((rc = value_iter_raw(&it, &name, &value)) == 1) {
        if (object && value.type == VALUE_MISSING)
            continue;
        if (object && name.type == VALUE_LAZY)
            put_escaped(out, name.s);
        else if (object)
            put_run(out, &text_heads, name.s);
        rc = put_value(out, &value, depth + 1, e);
        if (rc != 0)
            return rc;
    }
    return rc;
}

static int put_value(struct buf *out, const struct value *v, int depth, struct err *e)
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
        put_run(out, &text_heads, bytes_of(text, number_format_decimal(v->i, v->scale, text)));
        return 0;
    case VALUE_TEXT:
        put_run(out, bytes_is_utf8(v->s) ? &text_heads : &bytes_heads, v->s);
        return 0;
    case VALUE_BYTES:
        put_run(out, &bytes_heads, v->s);
        return 0;
    case VALUE_LAZY:
        return put_lazy(out, v, e);
    case VALUE_DOC_ARRAY:
    case VALUE_DOC_OBJECT:
        if (v->format == FORMAT_MSGPACK && depth == 0) { // deeper: walked, so that the depth counts
            buf_append_bytes(out, v->s);
            return 0;
        }
        return put_container(out, v, depth, e);
    case VALUE_ARRAY:
    case VALUE_OBJECT:
        return put_container(out, v, depth, e);
    }
    UNREACHABLE("every type is written");
}

int value_write_msgpack(const struct value *v, struct buf *out, struct err *e)
{
    return put_value(out, v, 0, e);
}
