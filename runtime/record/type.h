// SPDX-License-Identifier: Apache-2.0
//
// What is known about a value before it is seen. A schema is such a type, the columns of a table
// make one, and so does each operator out of the types of its expressions; where nothing is known,
// the type is type_any. nil is possible everywhere, so a type says what a value is when there is
// one.
//
// Types are immutable, live as long as the arena that they were made in, and may share parts.
#ifndef LEAT_RECORD_TYPE_H
#define LEAT_RECORD_TYPE_H

#include "runtime/record/value.h"

enum type_kind {
    TYPE_ANY,
    TYPE_NIL,
    TYPE_BOOL,
    TYPE_INTEGER,
    TYPE_TIME,    // an integer, ms
    TYPE_DECIMAL, // precision 0: of any
    TYPE_NUMBER,  // any of the three above, or a float
    TYPE_TEXT,    // or bytes
    TYPE_JSON,    // as any
    TYPE_ARRAY,   // of element
    TYPE_OBJECT,
    TYPE_KINDS
};

struct type {
    enum type_kind kind;
    bool optional; // in a schema: may be missing or null
    bool open;     // of an object: it may have fields that are not listed
    uint8_t precision, scale;
    const char *name; // "schema reading", "table orders"; NULL for what has none
    const struct type *element;
    const struct type_field *fields; // by name
    size_t n_fields;
};

struct type_field {
    struct bytes name;
    const struct type *type;
};

// The types without parameters. type_decimal is a decimal of any scale.
extern const struct type type_any, type_nil, type_bool, type_integer, type_time, type_decimal,
    type_number, type_text;

// "text", "decimal(10,2)", "time?": a type as schemas and columns name it. LEAT_EINVAL with a
// sentence.
int type_parse(struct bytes text, struct arena *a, const struct type **out,
               struct err *e) LEAT_CHECKED;
// An object of these, which are put in order; the last of a name counts.
const struct type *type_object(struct arena *a, struct type_field *fields, size_t n, bool open);
const struct type *type_array(struct arena *a, const struct type *element);

// A decimal whose scale is known.
const struct type *type_decimal_of(int scale);

// What the kind is called in messages: "number", "text", "object", ...
const char *type_kind_name(enum type_kind k);
// The whole type, the same text for equal types: for fingerprints and for people.
void type_print(const struct type *t, struct buf *out);
bool type_eq(const struct type *a, const struct type *b);

static inline bool type_is_known(const struct type *t)
{
    return t->kind != TYPE_ANY && t->kind != TYPE_JSON && t->kind != TYPE_NIL;
}

static inline bool type_is_number(const struct type *t)
{
    return t->kind >= TYPE_INTEGER && t->kind <= TYPE_NUMBER;
}

// Of an object: the field, or its type; NULL when there is none of that name.
const struct type_field *type_field(const struct type *t, struct bytes name);
const struct type *type_member(const struct type *t, struct bytes name);
// " (did you mean 'temperature'?)", or "". In the arena.
const char *type_suggest(const struct type *t, struct bytes name, struct arena *a);

// Whether values of these two can be compared, or be equal: false only when they never can.
bool type_comparable(const struct type *a, const struct type *b);
// Whether a value of type `have` may pass where `want` was declared: false only when it never can.
// Objects: the first field that cannot goes to *field, which may be NULL.
bool type_fits(const struct type *have, const struct type *want, const struct type_field **field);
// What is known of a value that is of either type.
const struct type *type_either(const struct type *a, const struct type *b, struct arena *arena);
// a with b's fields put over it: what set, and a join's `as`, make.
const struct type *type_with(const struct type *a, const struct type_field *over, size_t n,
                             struct arena *arena);
const struct type *type_of_value(const struct value *v);

#endif
