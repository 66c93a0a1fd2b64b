// SPDX-License-Identifier: Apache-2.0
//
// MessagePack, both ways, by hand. Reading wants tokens without copies, bounds of its own and the
// field plan beside it, which msgpack-c's unpacker (objects in a malloc'ed zone, 2 to 7 times
// slower) does not give; writing is a first byte and a big-endian integer, less than binding a
// packer to our buffer would be.
//
// Names of members must be text, and text must be UTF-8, as in JSON. Integers beyond int64, floats
// that are not finite and extension types (but our own, in state) stay lazy tokens: they are an
// error for whoever reads them, not for the record.
#include "runtime/record/fieldplan.h"

#include <math.h>

#include "runtime/base/endian.h"
#include "runtime/base/limits.h"
#include "runtime/base/number.h"

struct reader {
    const uint8_t *start, *p, *end;
    enum format format;
    struct slots *slots;
    struct err *e;
};

static int bad(const struct reader *r, const char *why)
{
    return err_set(r->e, LEAT_EDECODE, "invalid MessagePack at byte %zu: %s",
                   (size_t)(r->p - r->start), why);
}

// What a first byte announces. A payload of `count` bytes (text, bytes, ext), elements or members
// follows.
enum kind {
    KIND_SCALAR,
    KIND_TEXT,
    KIND_BYTES,
    KIND_EXT,
    KIND_ARRAY,
    KIND_MAP,
    KIND_LAZY,
    KIND_BAD
};

struct head {
    enum kind kind;
    uint32_t bytes; // of the head itself, the first byte included
    uint32_t count;
};

static uint64_t load_uint(const uint8_t *p, uint32_t width)
{
    switch (width) {
    case 1:
        return *p;
    case 2:
        return load_be16(p);
    case 4:
        return load_be32(p);
    default:
        return load_be64(p);
    }
}

static double load_float(const uint8_t *p, uint32_t width)
{
    uint64_t u64 = width == 8 ? load_be64(p) : 0;
    uint32_t u32 = width == 4 ? load_be32(p) : 0;
    double d;
    float f;

    memcpy(&f, &u32, sizeof f);
    memcpy(&d, &u64, sizeof d);
    return width == 4 ? (double)f : d;
}

// The first bytes 0xc0 to 0xdf: kind and how many bytes of length or number follow.
static const struct {
    uint8_t kind, width;
} wide_heads[32] = {
    [0x00] = {KIND_SCALAR, 0}, [0x01] = {KIND_BAD, 0},    [0x02] = {KIND_SCALAR, 0},
    [0x03] = {KIND_SCALAR, 0}, [0x04] = {KIND_BYTES, 1},  [0x05] = {KIND_BYTES, 2},
    [0x06] = {KIND_BYTES, 4},  [0x07] = {KIND_EXT, 1},    [0x08] = {KIND_EXT, 2},
    [0x09] = {KIND_EXT, 4},    [0x0a] = {KIND_SCALAR, 4}, [0x0b] = {KIND_SCALAR, 8},
    [0x0c] = {KIND_SCALAR, 1}, [0x0d] = {KIND_SCALAR, 2}, [0x0e] = {KIND_SCALAR, 4},
    [0x0f] = {KIND_SCALAR, 8}, [0x10] = {KIND_SCALAR, 1}, [0x11] = {KIND_SCALAR, 2},
    [0x12] = {KIND_SCALAR, 4}, [0x13] = {KIND_SCALAR, 8}, [0x14] = {KIND_EXT, 0},
    [0x15] = {KIND_EXT, 0},    [0x16] = {KIND_EXT, 0},    [0x17] = {KIND_EXT, 0},
    [0x18] = {KIND_EXT, 0},    [0x19] = {KIND_TEXT, 1},   [0x1a] = {KIND_TEXT, 2},
    [0x1b] = {KIND_TEXT, 4},   [0x1c] = {KIND_ARRAY, 2},  [0x1d] = {KIND_ARRAY, 4},
    [0x1e] = {KIND_MAP, 2},    [0x1f] = {KIND_MAP, 4},
};

// The scalar at p, whose head says so; what cannot be had stays a lazy token.
static void read_scalar(enum format f, const uint8_t *p, const struct head *h, struct value *out)
{
    uint8_t c = *p;
    uint32_t width = h->bytes - 1;

    token_set(out, VALUE_INT, f, NULL, NULL);
    if (c < 0x80 || c >= 0xe0) {
        out->i = (int8_t)c;
    } else if (c <= 0xc3) {
        out->type = c == 0xc0 ? VALUE_NULL : VALUE_BOOL;
        out->b = c == 0xc3;
    } else if (c <= 0xcb) {
        out->type = VALUE_FLOAT;
        out->f = load_float(p + 1, width);
        if (!isfinite(out->f))
            token_set(out, VALUE_LAZY, f, p, p + h->bytes);
    } else {
        uint64_t u = load_uint(p + 1, width), unused = 64 - 8 * width;
        out->i = c >= 0xd0 ? (int64_t)(u << unused) >> unused : (int64_t)u;
        if (c == 0xcf && u > INT64_MAX)
            token_set(out, VALUE_LAZY, f, p, p + h->bytes);
    }
}

// The head at p, or KIND_BAD when it is none or cut.
static inline struct head head_read(const uint8_t *p, const uint8_t *end)
{
    struct head h = {KIND_BAD, 1, 0};
    uint32_t width;
    uint8_t c;

    if (p >= end)
        return h;
    c = *p;
    if (c < 0x80 || c >= 0xe0) {
        h.kind = KIND_SCALAR;
        return h;
    }
    if (c < 0xc0) {
        h.kind = c >= 0xa0 ? KIND_TEXT : c >= 0x90 ? KIND_ARRAY : KIND_MAP;
        h.count = c >= 0xa0 ? c & 31 : c & 15;
        return h;
    }
    width = wide_heads[c - 0xc0].width;
    if ((size_t)(end - p) < 1 + width)
        return h;
    h.kind = wide_heads[c - 0xc0].kind;
    h.bytes += width;
    if (h.kind == KIND_EXT)
        h.count = 1 + (width ? (uint32_t)load_uint(p + 1, width) : 1u << (c - 0xd4));
    else if (h.kind != KIND_BAD && h.kind != KIND_SCALAR)
        h.count = (uint32_t)load_uint(p + 1, width);
    if (h.kind == KIND_EXT && h.count == 0) // 2^32 - 1 bytes and the type
        h.kind = KIND_BAD;
    return h;
}

static bool read_decimal(enum format f, const struct head *h, const uint8_t *payload,
                         struct value *out)
{
    if (f != FORMAT_STATE || h->count != 1 + MSGPACK_DECIMAL_BYTES ||
        payload[0] != MSGPACK_DECIMAL_TYPE || payload[1] > DECIMAL_SCALE_MAX)
        return false;
    *out = value_of_decimal((struct decimal){(int64_t)load_be64(payload + 2), payload[1]});
    return true;
}

// A token without elements; r stands behind its head, which began at `first`.
static int scan_flat(struct reader *r, const struct head *h, const uint8_t *first,
                     struct value *out)
{
    const uint8_t *payload = r->p;

    if (h->kind == KIND_SCALAR) {
        read_scalar(r->format, first, h, out);
        return 0;
    }
    if ((size_t)(r->end - r->p) < h->count)
        return bad(r, "it ends in the middle");
    if (h->kind == KIND_TEXT && !bytes_is_utf8(bytes_of(payload, h->count)))
        return bad(r, "text that is not UTF-8");
    r->p += h->count;
    if (h->kind == KIND_EXT && read_decimal(r->format, h, payload, out))
        return 0;
    if (h->kind == KIND_EXT)
        token_set(out, VALUE_LAZY, r->format, first, r->p);
    else
        token_set(out, h->kind == KIND_TEXT ? VALUE_TEXT : VALUE_BYTES, r->format, payload, r->p);
    return 0;
}

static int scan_value(struct reader *r, const struct plan_node *node, int depth, struct value *out);

static int scan_member(struct reader *r, const struct plan_node *node, int depth)
{
    struct head h = head_read(r->p, r->end);
    const struct plan_node *child = NULL;
    const uint8_t *first = r->p;
    struct value name, value;
    int rc;

    if (h.kind != KIND_TEXT)
        return bad(r, h.kind == KIND_BAD ? "it ends in the middle" : "a name that is not text");
    r->p += h.bytes;
    rc = scan_flat(r, &h, first, &name);
    if (rc != 0)
        return rc;
    if (node != NULL && node->child != NULL)
        child = plan_member(node, name.s);
    if (child != NULL)
        plan_forget(child, r->slots);
    return scan_value(r, child, depth, &value);
}

static int scan_nested(struct reader *r, const struct head *h, const struct plan_node *node,
                       int depth, const uint8_t *first, struct value *out)
{
    bool map = h->kind == KIND_MAP, planned = node != NULL && node->child != NULL;
    struct value element;

    if (depth > VALUE_DEPTH_MAX)
        return bad(r, "nested deeper than 64");
    if ((size_t)(r->end - r->p) < (map ? 2 * (uint64_t)h->count : h->count))
        return bad(r, "it ends in the middle");
    for (uint32_t i = 0; i < h->count; i++) {
        int rc = map ? scan_member(r, node, depth)
                     : scan_value(r, planned ? plan_element(node, (int64_t)i + 1) : NULL, depth,
                                  &element);
        if (rc != 0)
            return rc;
    }
    token_set(out, map ? VALUE_DOC_OBJECT : VALUE_DOC_ARRAY, r->format, first, r->p);
    return 0;
}

static int scan_value(struct reader *r, const struct plan_node *node, int depth, struct value *out)
{
    struct head h = head_read(r->p, r->end);
    const uint8_t *first = r->p;
    int rc;

    if (h.kind == KIND_BAD)
        return bad(r,
                   r->p == r->end ? "it ends in the middle" : "a type that does not exist, or cut");
    r->p += h.bytes;
    if (h.kind == KIND_ARRAY || h.kind == KIND_MAP)
        rc = scan_nested(r, &h, node, depth + 1, first, out);
    else
        rc = scan_flat(r, &h, first, out);
    if (rc == 0 && node != NULL)
        plan_found(node, out, r->slots);
    return rc;
}

int msgpack_scan(enum format f, struct bytes raw, const struct plan_node *root,
                 struct slots *slots, struct value *out, struct err *e)
{
    struct reader r = {raw.p, raw.p, raw.p + raw.n, f, slots, e};
    int rc = scan_value(&r, root, 0, out);

    if (rc == 0 && r.p != r.end)
        return bad(&r, "something follows the value");
    return rc;
}

struct bytes msgpack_open(const struct value *doc, uint32_t *count)
{
    const uint8_t *end = doc->s.p + doc->s.n;
    struct head h = head_read(doc->s.p, end);

    ASSERT(h.kind == KIND_ARRAY || h.kind == KIND_MAP);
    *count = h.count;
    return bytes_of(doc->s.p + h.bytes, (size_t)(end - doc->s.p) - h.bytes);
}

int msgpack_next(enum format f, struct bytes *rest, bool object, struct value *name,
                 struct value *out)
{
    struct reader r = {rest->p, rest->p, rest->p + rest->n, f, NULL, NULL};

    if (rest->n == 0)
        return 0;
    if (object && scan_value(&r, NULL, 0, name) != 0)
        return LEAT_EDECODE;
    if (scan_value(&r, NULL, 0, out) != 0)
        return LEAT_EDECODE;
    *rest = bytes_of(r.p, (size_t)(r.end - r.p));
    return 1;
}

int msgpack_force(struct value *v, struct err *e)
{
    uint8_t c = v->s.n > 0 ? v->s.p[0] : 0;

    if (c == 0xcf)
        return err_set(e, LEAT_ENUMBER, "integer %llu does not fit into 64 bits",
                       (unsigned long long)load_be64(v->s.p + 1));
    if (c == 0xca || c == 0xcb)
        return err_set(e, LEAT_ENUMBER, "a number that is not finite");
    return err_set(e, LEAT_ETYPE, "a MessagePack extension type");
}
