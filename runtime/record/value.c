// SPDX-License-Identifier: Apache-2.0
//
// Values, whatever they are made of: reading members and elements, walking, copying, comparing,
// keys. The formats know how to step over their own bytes (json_doc.c, msgpack.c); this file knows
// what it means.
#include "runtime/record/value.h"

#include "runtime/base/number.h"
#include "runtime/record/fieldplan.h"

const char *value_type_name(const struct value *v)
{
    static const char *const names[] = {
        [VALUE_MISSING] = "nil",   [VALUE_NULL] = "nil",        [VALUE_BOOL] = "boolean",
        [VALUE_INT] = "number",    [VALUE_FLOAT] = "number",    [VALUE_DECIMAL] = "decimal",
        [VALUE_TEXT] = "text",     [VALUE_BYTES] = "bytes",     [VALUE_ARRAY] = "array",
        [VALUE_OBJECT] = "object", [VALUE_DOC_ARRAY] = "array", [VALUE_DOC_OBJECT] = "object",
        [VALUE_LAZY] = "number",
    };

    ASSERT(v->type < ARRAY_LEN(names));
    if (v->type == VALUE_LAZY && v->format == FORMAT_JSON && v->s.n > 0 && v->s.p[0] == '"')
        return "text";
    return names[v->type];
}

// {name = v}, for the formats that have no fields of their own.
static int wrap(const char *name, struct value v, struct arena *a, struct value *out, struct err *e)
{
    struct {
        struct value_object object;
        struct bytes name;
        struct value value;
    } *w = arena_try_alloc(a, sizeof *w);

    if (w == NULL)
        return err_set(e, LEAT_ENOMEM, "out of memory for a record");
    w->name = bytes_str(name);
    w->value = v;
    w->object = (struct value_object){1, &w->name, &w->value};
    *out = (struct value){.type = VALUE_OBJECT, .object = &w->object};
    return 0;
}

int value_decode(enum format f, struct bytes raw, struct arena *a, struct value *out, struct err *e)
{
    switch (f) {
    case FORMAT_JSON:
        return json_scan(raw, NULL, NULL, out, e);
    case FORMAT_MSGPACK:
    case FORMAT_STATE:
        return msgpack_scan(f, raw, NULL, NULL, out, e);
    case FORMAT_TEXT:
        if (!bytes_is_utf8(raw))
            return err_set(e, LEAT_EDECODE, "text is not UTF-8 at byte %zu",
                           bytes_utf8_prefix(raw));
        return wrap("text", value_text(raw), a, out, e);
    case FORMAT_BYTES:
        return wrap("bytes", (struct value){.type = VALUE_BYTES, .s = raw}, a, out, e);
    }
    return err_set(e, LEAT_EINVAL, "unknown format %d", (int)f);
}

int value_force(struct value *v, struct arena *a, struct err *e)
{
    if (v->type != VALUE_LAZY)
        return 0;
    return v->format == FORMAT_JSON ? json_force(v, a, e) : msgpack_force(v, e);
}

void value_iter_init(struct value_iter *it, const struct value *of, struct arena *a)
{
    uint32_t count;

    *it = (struct value_iter){.of = of, .arena = a};
    if (of->type != VALUE_DOC_OBJECT && of->type != VALUE_DOC_ARRAY)
        return;
    it->rest = of->format == FORMAT_JSON ? json_open(of) : msgpack_open(of, &count);
}

int value_iter_raw(struct value_iter *it, struct value *name, struct value *out)
{
    const struct value *of = it->of;

    *name = value_text(BYTES_NULL);
    if (of->type == VALUE_DOC_OBJECT || of->type == VALUE_DOC_ARRAY)
        return of->format == FORMAT_JSON
                   ? json_next(&it->rest, of->type == VALUE_DOC_OBJECT, name, out)
                   : msgpack_next(of->format, &it->rest, of->type == VALUE_DOC_OBJECT, name, out);
    if (of->type == VALUE_OBJECT && it->i < of->object->n) {
        name->s = of->object->names[it->i];
        *out = of->object->values[it->i++];
        return 1;
    }
    if (of->type == VALUE_ARRAY && it->i < of->array->n) {
        *out = of->array->items[it->i++];
        return 1;
    }
    return 0;
}

int value_iter_token(struct value_iter *it, struct bytes *name, struct value *out, struct err *e)
{
    struct value key;
    int rc = value_iter_raw(it, &key, out), forced;

    *name = BYTES_NULL;
    if (rc != 1)
        return rc < 0 ? err_set(e, rc, "a damaged document") : 0;
    forced = value_force(&key, it->arena, e);
    *name = key.s;
    return forced != 0 ? forced : 1;
}

int value_iter_next(struct value_iter *it, struct bytes *name, struct value *out, struct err *e)
{
    int rc = value_iter_token(it, name, out, e), forced;

    if (rc != 1)
        return rc;
    forced = value_force(out, it->arena, e);
    return forced != 0 ? forced : 1;
}

size_t value_count(const struct value *v)
{
    struct value name, value;
    struct bytes rest;
    uint32_t count;
    size_t n = 0;

    if (v->type == VALUE_ARRAY)
        return v->array->n;
    if (v->type == VALUE_OBJECT)
        return v->object->n;
    if (v->type != VALUE_DOC_ARRAY && v->type != VALUE_DOC_OBJECT)
        return 0;
    if (v->format != FORMAT_JSON) {
        msgpack_open(v, &count);
        return count;
    }
    for (rest = json_open(v); json_next(&rest, v->type == VALUE_DOC_OBJECT, &name, &value) == 1;)
        n++;
    return n;
}

static int member_of_doc(const struct value *v, struct bytes name, struct arena *a,
                         struct value *out, struct err *e)
{
    struct value_iter it;
    struct value value;
    struct bytes found;
    int rc;

    value_iter_init(&it, v, a);
    *out = VALUE_OF_MISSING;
    while ((rc = value_iter_token(&it, &found, &value, e)) == 1)
        if (bytes_eq(found, name))
            *out = value; // and on: a later duplicate wins
    return rc != 0 ? rc : value_force(out, a, e);
}

int value_member(const struct value *v, struct bytes name, struct arena *a, struct value *out,
                 struct err *e)
{
    const struct value_object *o;

    *out = VALUE_OF_MISSING;
    if (value_is_nil(v))
        return 0;
    if (v->type == VALUE_DOC_OBJECT)
        return member_of_doc(v, name, a, out, e);
    if (v->type != VALUE_OBJECT)
        return err_set(e, LEAT_ETYPE, "%s has no field %.*s", value_type_name(v), BYTES_FMT(name));
    o = v->object;
    for (size_t i = o->n; i-- > 0;) {
        if (bytes_eq(o->names[i], name)) {
            *out = o->values[i];
            return value_force(out, a, e);
        }
    }
    return 0;
}

int value_element(const struct value *v, int64_t i, struct arena *a, struct value *out,
                  struct err *e)
{
    struct value_iter it;
    struct value value;
    struct bytes name;
    int rc = 1;

    *out = VALUE_OF_MISSING;
    if (value_is_nil(v))
        return 0;
    if (!value_is_array(v))
        return err_set(e, LEAT_ETYPE, "%s has no element %lld", value_type_name(v), (long long)i);
    if (i < 1)
        return 0;
    if (v->type == VALUE_ARRAY) {
        if ((uint64_t)i <= v->array->n)
            *out = v->array->items[i - 1];
        return value_force(out, a, e);
    }
    for (value_iter_init(&it, v, a); i > 0 && rc == 1; i--)
        rc = value_iter_token(&it, &name, &value, e);
    if (rc != 1)
        return rc;
    *out = value;
    return value_force(out, a, e);
}

// Texts are digits and a point; an exponent is for numbers.
static int decimal_of_text(struct bytes s, struct decimal *out)
{
    for (size_t i = 0; i < s.n; i++)
        if ((s.p[i] | 0x20) == 'e')
            return LEAT_EINVAL;
    return decimal_parse(s, out);
}

int value_decimal(const struct value *v, struct decimal *out)
{
    int rc;

    switch ((enum value_type)v->type) {
    case VALUE_DECIMAL:
    case VALUE_INT:
        *out = (struct decimal){v->i, v->type == VALUE_DECIMAL ? v->scale : 0};
        return 0;
    case VALUE_FLOAT:
        rc = decimal_of_float(v->f, out);
        break;
    case VALUE_TEXT:
        rc = decimal_of_text(v->s, out);
        break;
    default:
        return LEAT_ETYPE;
    }
    return rc == 0 ? 0 : LEAT_ENUMBER;
}

static struct value copy_array(const struct value_array *from, struct arena *a)
{
    struct value_array *to = arena_alloc(a, sizeof *to);

    to->n = from->n;
    to->items = arena_alloc(a, from->n * sizeof *to->items);
    for (size_t i = 0; i < from->n; i++)
        to->items[i] = value_copy(&from->items[i], a);
    return (struct value){.type = VALUE_ARRAY, .array = to};
}

static struct value copy_object(const struct value_object *from, struct arena *a)
{
    struct value_object *to = arena_alloc(a, sizeof *to);

    to->n = from->n;
    to->names = arena_alloc(a, from->n * sizeof *to->names);
    to->values = arena_alloc(a, from->n * sizeof *to->values);
    for (size_t i = 0; i < from->n; i++) {
        to->names[i] = arena_copy(a, from->names[i]);
        to->values[i] = value_copy(&from->values[i], a);
    }
    return (struct value){.type = VALUE_OBJECT, .object = to};
}

struct value value_copy(const struct value *v, struct arena *a)
{
    struct value copy = *v;

    switch ((enum value_type)v->type) {
    case VALUE_TEXT:
    case VALUE_BYTES:
    case VALUE_DOC_ARRAY:
    case VALUE_DOC_OBJECT:
    case VALUE_LAZY:
        copy.s = arena_copy(a, v->s);
        return copy;
    case VALUE_ARRAY:
        return copy_array(v->array, a);
    case VALUE_OBJECT:
        return copy_object(v->object, a);
    default:
        return copy;
    }
}

int value_key_bytes(const struct value *v, struct buf *out, struct err *e)
{
    char text[NUMBER_TEXT_SIZE];
    struct value_iter it;
    struct value part, name;
    int rc, i = 0;

    if (value_is_nil(v))
        return err_set(e, LEAT_EKEY, "the key is nil");
    if (v->type == VALUE_TEXT || v->type == VALUE_BYTES) {
        buf_append_bytes(out, v->s);
        return 0;
    }
    if (v->type == VALUE_LAZY && v->format == FORMAT_JSON && v->s.p[0] == '"') {
        buf_reserve(out, v->s.n);
        out->n += json_unescape(v->s, out->p + out->n);
        return 0;
    }
    if (v->type == VALUE_DECIMAL) {
        buf_append(out, text, number_format_decimal(v->i, v->scale, text));
        return 0;
    }
    if (value_is_object(v))
        return err_set(e, LEAT_EKEY, "the key is an object");
    if (!value_is_array(v))
        return value_write_json(v, out, e);
    value_iter_init(&it, v, NULL);
    for (; (rc = value_iter_raw(&it, &name, &part)) == 1; i++)
        if (value_is_nil(&part) || value_is_object(&part))
            return err_set(e, LEAT_EKEY, "part %d of the key is %s", i + 1, value_type_name(&part));
    return rc != 0 ? rc : value_write_msgpack(v, out, e);
}

struct value value_of_key(struct bytes key)
{
    if (bytes_is_null(key))
        return VALUE_OF_MISSING;
    return (struct value){.type = bytes_is_utf8(key) ? VALUE_TEXT : VALUE_BYTES, .s = key};
}
