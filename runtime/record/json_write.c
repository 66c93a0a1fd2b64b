// SPDX-License-Identifier: Apache-2.0
//
// Values to JSON. A document that is JSON already is copied as it is, spaces and order included;
// everything else is written without spaces. What JSON cannot say is said by convention: bytes, and
// text that is not UTF-8, as base64; decimals as text. Fails on numbers that are not finite and on
// nesting that no reader of ours would accept.
#include "runtime/record/fieldplan.h"

#include <math.h>
#include <stdio.h>

#include "runtime/base/limits.h"
#include "runtime/base/number.h"

static void write_escape(uint8_t c, struct buf *out)
{
    static const char short_names[] = {['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f',
                                       ['\r'] = 'r', ['"'] = '"',  ['\\'] = '\\'};

    buf_append_byte(out, '\\');
    if (c < sizeof short_names && short_names[c] != 0)
        buf_append_byte(out, (uint8_t)short_names[c]);
    else
        buf_printf(out, "u%04x", c);
}

void json_write_text(struct bytes text, struct buf *out)
{
    size_t first = 0, i = 0;

    buf_reserve(out, text.n + 2);
    buf_append_byte(out, '"');
    while (i < text.n) {
        uint8_t c = text.p[i];
        if (c >= 0x20 && c < 0x80 && c != '"' && c != '\\') {
            i++;
            continue;
        }
        if (c >= 0x80) {
            size_t n = c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
            if (n <= text.n - i && bytes_is_utf8(bytes_of(text.p + i, n))) {
                i += n;
                continue;
            }
        }
        buf_append(out, text.p + first, i - first);
        if (c >= 0x80)
            buf_append_str(out, "\xef\xbf\xbd"); // U+FFFD
        else
            write_escape(c, out);
        first = ++i;
    }
    buf_append(out, text.p + first, text.n - first);
    buf_append_byte(out, '"');
}

static void write_base64(struct bytes b, struct buf *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    buf_append_byte(out, '"');
    for (size_t i = 0; i < b.n; i += 3) {
        size_t left = b.n - i;
        uint32_t u = (uint32_t)b.p[i] << 16 | (left > 1 ? (uint32_t)b.p[i + 1] << 8 : 0) |
                     (left > 2 ? b.p[i + 2] : 0u);
        uint8_t four[4] = {(uint8_t)digits[u >> 18], (uint8_t)digits[u >> 12 & 63],
                           left > 1 ? (uint8_t)digits[u >> 6 & 63] : '=',
                           left > 2 ? (uint8_t)digits[u & 63] : '='};
        buf_append(out, four, 4);
    }
    buf_append_byte(out, '"');
}

struct writer {
    struct buf *out;
    struct err *e;
    int indent; // -1: on one line
};

static void write_break(const struct writer *w, int depth)
{
    if (w->indent < 0)
        return;
    buf_append_byte(w->out, '\n');
    for (int i = 0; i < w->indent * depth; i++)
        buf_append_byte(w->out, ' ');
}

static int write_value(const struct writer *w, const struct value *v, int depth);

static void write_name(const struct writer *w, const struct value *name)
{
    if (name->type == VALUE_LAZY)
        buf_append_bytes(w->out, name->s); // escaped already
    else
        json_write_text(name->s, w->out);
    buf_append_str(w->out, w->indent < 0 ? ":" : ": ");
}

static int write_container(const struct writer *w, const struct value *v, int depth)
{
    bool object = value_is_object(v), any = false;
    struct value_iter it;
    struct value name, value;
    int rc;

    if (depth >= VALUE_DEPTH_MAX)
        return err_set(w->e, LEAT_ETYPE, "a value nested deeper than %d", VALUE_DEPTH_MAX);
    buf_append_byte(w->out, object ? '{' : '[');
    value_iter_init(&it, v, NULL);
    while ((rc = value_iter_raw(&it, &name, &value)) == 1) {
        if (object && value.type == VALUE_MISSING)
            continue;
        if (any)
            buf_append_byte(w->out, ',');
        any = true;
        write_break(w, depth + 1);
        if (object)
            write_name(w, &name);
        rc = write_value(w, &value, depth + 1);
        if (rc != 0)
            return rc;
    }
    if (any)
        write_break(w, depth);
    buf_append_byte(w->out, object ? '}' : ']');
    return rc;
}

static int write_number(const struct writer *w, const struct value *v)
{
    char text[NUMBER_TEXT_SIZE];
    size_t n;

    if (v->type == VALUE_INT)
        n = number_format_int(v->i, text);
    else if (isfinite(v->f))
        n = number_format_float(v->f, text);
    else
        return err_set(w->e, LEAT_ENUMBER, "a number that is not finite has no JSON");
    buf_append(w->out, text, n);
    return 0;
}

static int write_lazy(const struct writer *w, const struct value *v)
{
    struct value copy = *v;
    int rc;

    if (v->format == FORMAT_JSON) {
        buf_append_bytes(w->out, v->s);
        return 0;
    }
    rc = msgpack_force(&copy, w->e);
    ASSERT(rc != 0); // what MessagePack leaves lazy is what cannot be had
    return rc;
}

static int write_value(const struct writer *w, const struct value *v, int depth)
{
    char text[NUMBER_TEXT_SIZE];

    switch ((enum value_type)v->type) {
    case VALUE_MISSING:
    case VALUE_NULL:
        buf_append_str(w->out, "null");
        return 0;
    case VALUE_BOOL:
        buf_append_str(w->out, v->b ? "true" : "false");
        return 0;
    case VALUE_INT:
    case VALUE_FLOAT:
        return write_number(w, v);
    case VALUE_DECIMAL:
        number_format_decimal(v->i, v->scale, text);
        buf_printf(w->out, "\"%s\"", text);
        return 0;
    case VALUE_TEXT:
        if (bytes_is_utf8(v->s))
            json_write_text(v->s, w->out);
        else
            write_base64(v->s, w->out);
        return 0;
    case VALUE_BYTES:
        write_base64(v->s, w->out);
        return 0;
    case VALUE_LAZY:
        return write_lazy(w, v);
    case VALUE_DOC_ARRAY:
    case VALUE_DOC_OBJECT:
        if (v->format == FORMAT_JSON && w->indent < 0 &&
            depth + json_depth(v->s) <= VALUE_DEPTH_MAX) {
            buf_append_bytes(w->out, v->s);
            return 0;
        }
        return write_container(w, v, depth);
    case VALUE_ARRAY:
    case VALUE_OBJECT:
        return write_container(w, v, depth);
    }
    UNREACHABLE("every type is written");
}

int value_write_json(const struct value *v, struct buf *out, struct err *e)
{
    return write_value(&(struct writer){out, e, -1}, v, 0);
}

int value_write_json_pretty(const struct value *v, struct buf *out, int indent, struct err *e)
{
    return write_value(&(struct writer){out, e, indent}, v, 0);
}
