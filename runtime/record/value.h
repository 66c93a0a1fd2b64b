// SPDX-License-Identifier: Apache-2.0
//
// A dynamic value: what a field of a record, a constant of an expression or a column of a row is.
//
// Values borrow. Text, bytes and documents point into the record or into an arena; whoever keeps a
// value past the arena's reset copies it (value_copy). A document (VALUE_DOC_*) is an object or
// array still in its encoded form, already checked whole; its members are found on demand. A built
// object or array (VALUE_OBJECT, VALUE_ARRAY) is what operators and Lua functions make.
//
// Missing and null both read as nil (value_is_nil); they differ in writing and in has().
#ifndef LEAT_RECORD_VALUE_H
#define LEAT_RECORD_VALUE_H

#include "runtime/base/arena.h"
#include "runtime/base/buf.h"
#include "runtime/base/bytes.h"
#include "runtime/base/decimal.h"
#include "runtime/base/err.h"

// FORMAT_STATE is what the engine keeps for itself: MessagePack with decimals as decimals (an
// extension type), so that a value reads back as it was. It never leaves the job file.
enum format { FORMAT_JSON, FORMAT_MSGPACK, FORMAT_TEXT, FORMAT_BYTES, FORMAT_STATE };

enum value_type {
    VALUE_MISSING,
    VALUE_NULL,
    VALUE_BOOL,
    VALUE_INT,
    VALUE_FLOAT,
    VALUE_DECIMAL,    // i scaled by 10^scale
    VALUE_TEXT,       // s; UTF-8 where it came from JSON
    VALUE_BYTES,      // s
    VALUE_ARRAY,      // array
    VALUE_OBJECT,     // object
    VALUE_DOC_ARRAY,  // s, in `format`
    VALUE_DOC_OBJECT, // s, in `format`
    VALUE_LAZY, // s: a scalar token not decoded yet (JSON number, escaped text); see value_force
};

struct value {
    uint8_t type;   // enum value_type
    uint8_t format; // enum format; of documents and lazy tokens
    uint8_t scale;  // of decimals, 0..18
    union {
        bool b;
        int64_t i;
        double f;
        struct bytes s;
        const struct value_array *array;
        const struct value_object *object;
    };
};

struct value_array {
    size_t n;
    struct value *items;
};

// Members in writing order; a later duplicate name wins on reading.
struct value_object {
    size_t n;
    struct bytes *names;
    struct value *values;
};

#define VALUE_OF_NULL ((struct value){.type = VALUE_NULL})
#define VALUE_OF_MISSING ((struct value){.type = VALUE_MISSING})

static inline struct value value_bool(bool b)
{
    return (struct value){.type = VALUE_BOOL, .b = b};
}

static inline struct value value_int(int64_t i)
{
    return (struct value){.type = VALUE_INT, .i = i};
}

static inline struct value value_float(double f)
{
    return (struct value){.type = VALUE_FLOAT, .f = f};
}

static inline struct value value_text(struct bytes s)
{
    return (struct value){.type = VALUE_TEXT, .s = s};
}

static inline bool value_is_nil(const struct value *v)
{
    return v->type <= VALUE_NULL;
}

// Lua's truth: everything but nil and false.
static inline bool value_truthy(const struct value *v)
{
    return !value_is_nil(v) && !(v->type == VALUE_BOOL && !v->b);
}

static inline bool value_is_object(const struct value *v)
{
    return v->type == VALUE_OBJECT || v->type == VALUE_DOC_OBJECT;
}

static inline bool value_is_array(const struct value *v)
{
    return v->type == VALUE_ARRAY || v->type == VALUE_DOC_ARRAY;
}

// "number", "text", "nil", ...: for error messages.
const char *value_type_name(const struct value *v);

// Checks `raw` whole (structure, UTF-8, depth) and makes a value of it; objects and arrays stay
// documents. FORMAT_TEXT gives an object {text = raw}, FORMAT_BYTES {bytes = raw}. LEAT_EDECODE.
// Nothing is copied.
int value_decode(enum format f, struct bytes raw, struct arena *a, struct value *out,
                 struct err *e) LEAT_CHECKED;

// Decodes a lazy scalar in place; others are left alone. LEAT_ENUMBER for an integer outside int64
// or a real that is not finite.
int value_force(struct value *v, struct arena *a, struct err *e) LEAT_CHECKED;

// The member or element, forced; VALUE_MISSING when absent or when v is nil; LEAT_ETYPE when v is
// no object (array). Elements count from 1.
int value_member(const struct value *v, struct bytes name, struct arena *a, struct value *out,
                 struct err *e) LEAT_CHECKED;
int value_element(const struct value *v, int64_t i, struct arena *a, struct value *out,
                  struct err *e) LEAT_CHECKED;

// Walks members or elements in order. Names are BYTES_NULL for arrays. Values come forced.
struct value_iter {
    const struct value *of;
    size_t i;
    struct bytes rest;
    struct arena *arena;
};
void value_iter_init(struct value_iter *it, const struct value *of, struct arena *a);
// 1 = one more, 0 = end, negative = error.
int value_iter_next(struct value_iter *it, struct bytes *name, struct value *out,
                    struct err *e) LEAT_CHECKED;
// The same with lazy scalars left alone, for those that do not look at every value.
int value_iter_token(struct value_iter *it, struct bytes *name, struct value *out,
                     struct err *e) LEAT_CHECKED;

// Members or elements; 0 for scalars.
size_t value_count(const struct value *v);

// Deep copy into the arena; a lazy token is copied as it is.
struct value value_copy(const struct value *v, struct arena *a);

// The decimal that a number or its text is, exactly; a float is the one that it is written as. v is
// forced. LEAT_ETYPE for what is neither, LEAT_ENUMBER for text that is no number, or one too long.
int value_decimal(const struct value *v, struct decimal *out) LEAT_CHECKED;

static inline struct value value_of_decimal(struct decimal d)
{
    return (struct value){.type = VALUE_DECIMAL, .scale = (uint8_t)d.scale, .i = d.i};
}

// Lua's ==: no coercion but int, float and decimal by numeric value; nil equals nil; documents and
// objects by content.
bool value_eq(const struct value *a, const struct value *b, struct arena *tmp);

// Numbers with numbers, text (bytes) with text by memcmp, bools not at all: LEAT_ETYPE otherwise.
int value_cmp(const struct value *a, const struct value *b, int *cmp, struct err *e) LEAT_CHECKED;

// Writers. A missing member of an object is left out; a document in the same format is copied
// verbatim. JSON: bytes as base64, decimals as text. Msgpack: decimals as text.
int value_write_json(const struct value *v, struct buf *out, struct err *e) LEAT_CHECKED;
int value_write_msgpack(const struct value *v, struct buf *out, struct err *e) LEAT_CHECKED;
int value_write_state(const struct value *v, struct buf *out, struct err *e) LEAT_CHECKED;
// `pretty` for people: sorted nothing, one member a line.
int value_write_json_pretty(const struct value *v, struct buf *out, int indent,
                            struct err *e) LEAT_CHECKED;
void json_write_text(struct bytes text, struct buf *out); // with quotes and escapes

// The bytes of a record key: text and bytes as they are, numbers and bools as their JSON text, a
// composite (array) as a msgpack array. LEAT_EKEY for nil, or an array with a nil part, or an
// object.
int value_key_bytes(const struct value *v, struct buf *out, struct err *e) LEAT_CHECKED;
// And back: UTF-8 gives text, else bytes; null gives VALUE_MISSING.
struct value value_of_key(struct bytes key);

#endif
