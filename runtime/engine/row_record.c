// SPDX-License-Identifier: Apache-2.0
//
// A row of an outbox table as a record. The columns have the names that Debezium's outbox router
// expects, so that the same table can be read by either:
//
//   id             header "id"
//   type           header "eventType"
//   aggregateid    the key
//   headers        JSON object: more headers, by name
//   payload        JSON
//
// The value is the whole row, as an object with its columns' names; `payload` and `headers`, which
// a database keeps as text, stand in it as the JSON that they are. So a job says payload.total as
// it would for a topic, and columns of the application's own are there too.
//
// A payload that is no JSON must not be guessed at, nor get lost with its row. It makes a value
// that is no JSON either, at that very place, and goes the way of every record that cannot be
// decoded: parked, whole, under its key:
//
//   {"id":"e1","type":"OrderPlaced","payload":<not JSON> total=5}
#include "runtime/engine/row_record.h"

#include "runtime/base/limits.h"

static const struct value *column(const struct value *row, const char *name)
{
    const struct value_object *o = row->object;

    for (size_t i = o->n; i > 0; i--) // the last one wins, as on reading
        if (bytes_eq_str(o->names[i - 1], name) && !value_is_nil(&o->values[i - 1]))
            return &o->values[i - 1];
    return NULL;
}

// The bytes that stand for a scalar outside of JSON: of a key, of a header. BYTES_NULL for nil and
// for what has none.
static struct bytes plain(const struct value *v, struct arena *a)
{
    struct buf b = BUF_EMPTY;
    struct bytes out = BYTES_NULL;

    if (v == NULL || value_is_nil(v))
        return BYTES_NULL;
    if (value_key_bytes(v, &b, NULL) == 0)
        out = b.n > 0 ? arena_copy(a, buf_bytes(&b)) : BYTES_LIT("");
    buf_deinit(&b);
    return out;
}

static void add_header(struct row_record *r, struct bytes name, struct bytes value)
{
    r->headers[r->n_headers++] = (struct header){.name = name, .value = value};
}

// Of the column `headers`, already decoded. False: no object, or too many.
static bool more_headers(struct row_record *r, const struct value *v, struct arena *a)
{
    struct bytes name;
    struct value_iter it;
    struct value x;

    if (!value_is_object(v) || value_count(v) + r->n_headers > RECORD_HEADERS_MAX)
        return false;
    value_iter_init(&it, v, a);
    while (value_iter_next(&it, &name, &x, NULL) == 1) {
        struct bytes bytes = plain(&x, a);
        struct buf json = BUF_EMPTY;
        if (!value_is_nil(&x) && bytes_is_null(bytes) && value_write_json(&x, &json, NULL) == 0)
            bytes = arena_copy(a, buf_bytes(&json));
        buf_deinit(&json);
        add_header(r, name, bytes);
    }
    return true;
}

static bool holds_json(struct bytes name)
{
    return bytes_eq_str(name, "payload") || bytes_eq_str(name, "headers");
}

// A column that holds JSON, decoded; a test hands such a value over as it is. False: not JSON.
static bool decode_column(const struct value *v, struct arena *a, struct value *out)
{
    *out = *v;
    if (v->type != VALUE_TEXT && v->type != VALUE_BYTES)
        return true;
    return value_decode(FORMAT_JSON, v->s, a, out, NULL) == 0;
}

static void write_column(struct row_record *r, struct bytes name, const struct value *v,
                         struct arena *a, struct buf *out)
{
    struct value x = *v;
    const char *wrong = NULL;

    buf_append_byte(out, out->n > 1 ? ',' : '{');
    json_write_text(name, out);
    buf_append_byte(out, ':');
    if (holds_json(name) && !decode_column(v, a, &x))
        wrong = "<not JSON> ";
    else if (bytes_eq_str(name, "headers") && !value_is_nil(&x) && !more_headers(r, &x, a))
        wrong = "<no headers: want an object> ";
    else if ((x.type == VALUE_TEXT && !bytes_is_utf8(x.s)) || value_write_json(&x, out, NULL) != 0)
        wrong = "<not JSON> ";
    if (wrong == NULL)
        return;
    buf_append_str(out, wrong);
    if (v->type == VALUE_TEXT || v->type == VALUE_BYTES)
        buf_append_bytes(out, v->s);
}

static size_t headers_max(const struct value *row, struct arena *a)
{
    const struct value *v = column(row, "headers");
    struct value x;

    return 2 + (v != NULL && decode_column(v, a, &x) && value_is_object(&x) ? value_count(&x) : 0);
}

void row_record_make(const struct value *row, struct arena *a, struct row_record *out)
{
    struct buf value = BUF_EMPTY;
    const struct value_object *o = row->object;
    struct bytes id, type;

    ASSERT(row->type == VALUE_OBJECT);
    *out = (struct row_record){.key = plain(column(row, "aggregateid"), a)};
    out->headers = arena_alloc(a, headers_max(row, a) * sizeof *out->headers);
    id = plain(column(row, "id"), a);
    type = plain(column(row, "type"), a);
    if (!bytes_is_null(id))
        add_header(out, BYTES_LIT("id"), id);
    if (!bytes_is_null(type))
        add_header(out, BYTES_LIT("eventType"), type);
    for (size_t i = 0; i < o->n; i++)
        if (o->values[i].type != VALUE_MISSING)
            write_column(out, o->names[i], &o->values[i], a, &value);
    buf_append_str(&value, value.n > 0 ? "}" : "{}");
    out->value = arena_copy(a, buf_bytes(&value));
    buf_deinit(&value);
}
