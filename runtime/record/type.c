// SPDX-License-Identifier: Apache-2.0
//
// Types: reading and printing them, looking into them, putting them together.
#include "runtime/record/type.h"

#include <stdlib.h>

#include "runtime/base/decimal.h"
#include "runtime/base/limits.h"
#include "runtime/base/suggest.h"

const struct type type_any = {.kind = TYPE_ANY};
const struct type type_nil = {.kind = TYPE_NIL};
const struct type type_bool = {.kind = TYPE_BOOL};
const struct type type_integer = {.kind = TYPE_INTEGER};
const struct type type_time = {.kind = TYPE_TIME};
const struct type type_decimal = {.kind = TYPE_DECIMAL};
const struct type type_number = {.kind = TYPE_NUMBER};
const struct type type_text = {.kind = TYPE_TEXT};

static const struct type decimals[DECIMAL_SCALE_MAX + 1] = {
#define D(s) [s] = {.kind = TYPE_DECIMAL, .precision = DECIMAL_SCALE_MAX, .scale = s}
    D(0), D(1),  D(2),  D(3),  D(4),  D(5),  D(6),  D(7),  D(8),  D(9),
    D(10), D(11), D(12), D(13), D(14), D(15), D(16), D(17), D(18),
#undef D
};

const struct type *type_decimal_of(int scale)
{
    ASSERT(scale >= 0 && scale <= DECIMAL_SCALE_MAX);
    return &decimals[scale];
}

// As they are written.
static const char *const kind_words[TYPE_KINDS] = {
    [TYPE_ANY] = "any",         [TYPE_NIL] = "nil",   [TYPE_BOOL] = "bool",
    [TYPE_INTEGER] = "integer", [TYPE_TIME] = "time", [TYPE_DECIMAL] = "decimal",
    [TYPE_NUMBER] = "number",   [TYPE_TEXT] = "text", [TYPE_JSON] = "json",
    [TYPE_ARRAY] = "array",     [TYPE_OBJECT] = "object",
};

const char *type_kind_name(enum type_kind k)
{
    ASSERT(k < TYPE_KINDS);
    return k == TYPE_BOOL ? "boolean" : k == TYPE_ANY ? "anything" : kind_words[k];
}

// --- reading ---

static bool read_count(struct bytes *s, int *n)
{
    size_t i = 0;

    *n = 0;
    for (; i < s->n && s->p[i] >= '0' && s->p[i] <= '9' && *n < 1000; i++)
        *n = *n * 10 + (s->p[i] - '0');
    *s = bytes_of(s->p + i, s->n - i);
    return i > 0;
}

static bool skip_char(struct bytes *s, char c)
{
    while (s->n > 0 && s->p[0] == ' ')
        *s = bytes_of(s->p + 1, s->n - 1);
    if (s->n == 0 || s->p[0] != c)
        return false;
    *s = bytes_of(s->p + 1, s->n - 1);
    while (s->n > 0 && s->p[0] == ' ')
        *s = bytes_of(s->p + 1, s->n - 1);
    return true;
}

static int read_decimal(struct bytes s, struct type *t, struct err *e)
{
    int precision = 0, scale = 0;

    if (!skip_char(&s, '(') || !read_count(&s, &precision) || !skip_char(&s, ',') ||
        !read_count(&s, &scale) || !skip_char(&s, ')') || s.n > 0 || precision < 1 ||
        precision > DECIMAL_SCALE_MAX || scale > precision)
        return err_set(e, LEAT_EINVAL,
                       "a decimal is written decimal(p,s), 1 <= p <= %d and 0 <= s <= p",
                       DECIMAL_SCALE_MAX);
    t->precision = (uint8_t)precision;
    t->scale = (uint8_t)scale;
    return 0;
}

static bool find_word(struct bytes s, enum type_kind *kind)
{
    static const enum type_kind named[] = {TYPE_TEXT, TYPE_NUMBER, TYPE_INTEGER, TYPE_BOOL,
                                           TYPE_TIME, TYPE_JSON,   TYPE_ANY};

    for (size_t i = 0; i < ARRAY_LEN(named); i++)
        if (bytes_eq_str(s, kind_words[named[i]])) {
            *kind = named[i];
            return true;
        }
    return false;
}

int type_parse(struct bytes text, struct arena *a, const struct type **out, struct err *e)
{
    static const struct bytes decimal = BYTES_LIT("decimal");
    struct type *t = arena_zalloc(a, sizeof *t);
    struct bytes s = text;

    if (s.n > 0 && s.p[s.n - 1] == '?') {
        t->optional = true;
        s.n--;
    }
    *out = t;
    if (find_word(s, &t->kind))
        return 0;
    if (bytes_starts(s, decimal)) {
        t->kind = TYPE_DECIMAL;
        return read_decimal(bytes_of(s.p + decimal.n, s.n - decimal.n), t, e);
    }
    return err_set(e, LEAT_EINVAL,
                   "\"%.*s\" is not a type; there are text number integer bool time decimal(p,s) "
                   "json any, with a ? behind for what may be missing",
                   (int)(text.n < 40 ? text.n : 40), text.n > 0 ? (const char *)text.p : "");
}

// --- making ---

static int field_order(const void *a, const void *b)
{
    return bytes_cmp(((const struct type_field *)a)->name, ((const struct type_field *)b)->name);
}

// Stable, because few and often in order already.
static void sort_fields(struct type_field *f, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        struct type_field x = f[i];
        size_t k = i;

        for (; k > 0 && field_order(&x, &f[k - 1]) < 0; k--)
            f[k] = f[k - 1];
        f[k] = x;
    }
}

const struct type *type_object(struct arena *a, struct type_field *fields, size_t n, bool open)
{
    struct type *t = arena_zalloc(a, sizeof *t);
    struct type_field *kept = arena_alloc(a, (n > 0 ? n : 1) * sizeof *kept);

    sort_fields(fields, n);
    t->kind = TYPE_OBJECT;
    t->open = open;
    t->fields = kept;
    for (size_t i = 0; i < n; i++)
        if (i + 1 == n || !bytes_eq(fields[i].name, fields[i + 1].name))
            kept[t->n_fields++] = fields[i];
    return t;
}

const struct type *type_array(struct arena *a, const struct type *element)
{
    struct type *t = arena_zalloc(a, sizeof *t);

    t->kind = TYPE_ARRAY;
    t->element = element;
    return t;
}

const struct type *type_with(const struct type *a, const struct type_field *over, size_t n,
                             struct arena *arena)
{
    bool object = a->kind == TYPE_OBJECT;
    size_t had = object ? a->n_fields : 0;
    struct type_field *all = arena_alloc(arena, (had + n + 1) * sizeof *all);

    if (had > 0)
        memcpy(all, a->fields, had * sizeof *all);
    if (n > 0)
        memcpy(all + had, over, n * sizeof *all);
    return type_object(arena, all, had + n, !object || a->open);
}

// --- printing ---

static void print_object(const struct type *t, struct buf *out)
{
    buf_append_byte(out, '{');
    for (size_t i = 0; i < t->n_fields; i++) {
        buf_append_str(out, i > 0 ? ", " : "");
        buf_append_bytes(out, t->fields[i].name);
        buf_append_str(out, " = ");
        type_print(t->fields[i].type, out);
    }
    if (t->open)
        buf_append_str(out, t->n_fields > 0 ? ", ..." : "...");
    buf_append_byte(out, '}');
}

void type_print(const struct type *t, struct buf *out)
{
    if (t->kind == TYPE_OBJECT) {
        print_object(t, out);
    } else if (t->kind == TYPE_ARRAY) {
        buf_append_byte(out, '[');
        type_print(t->element, out);
        buf_append_byte(out, ']');
    } else {
        buf_append_str(out, kind_words[t->kind]);
    }
    if (t->precision > 0)
        buf_printf(out, "(%d,%d)", t->precision, t->scale);
    if (t->optional)
        buf_append_byte(out, '?');
}

static bool objects_eq(const struct type *a, const struct type *b)
{
    if (a->open != b->open || a->n_fields != b->n_fields)
        return false;
    for (size_t i = 0; i < a->n_fields; i++)
        if (!bytes_eq(a->fields[i].name, b->fields[i].name) ||
            !type_eq(a->fields[i].type, b->fields[i].type))
            return false;
    return true;
}

bool type_eq(const struct type *a, const struct type *b)
{
    if (a == b)
        return true;
    if (a->kind != b->kind || a->optional != b->optional || a->precision != b->precision ||
        a->scale != b->scale)
        return false;
    if (a->kind == TYPE_ARRAY)
        return type_eq(a->element, b->element);
    return a->kind != TYPE_OBJECT || objects_eq(a, b);
}

// --- looking ---

const struct type_field *type_field(const struct type *t, struct bytes name)
{
    size_t low = 0, high = t->n_fields;

    while (low < high) {
        size_t mid = (low + high) / 2;
        int c = bytes_cmp(name, t->fields[mid].name);

        if (c == 0)
            return &t->fields[mid];
        if (c < 0)
            high = mid;
        else
            low = mid + 1;
    }
    return NULL;
}

const struct type *type_member(const struct type *t, struct bytes name)
{
    const struct type_field *f = type_field(t, name);

    return f != NULL ? f->type : NULL;
}

const char *type_suggest(const struct type *t, struct bytes name, struct arena *a)
{
    struct suggestion s = {.name = (const char *)arena_copy(a, name).p};

    for (size_t i = 0; i < t->n_fields; i++)
        suggest(&s, (const char *)arena_copy(a, t->fields[i].name).p);
    return arena_strdup(a, suggest_text(&s));
}

bool type_comparable(const struct type *a, const struct type *b)
{
    if (!type_is_known(a) || !type_is_known(b))
        return true;
    return a->kind == b->kind || (type_is_number(a) && type_is_number(b));
}

static bool object_fits(const struct type *have, const struct type *want,
                        const struct type_field **field)
{
    for (size_t i = 0; i < want->n_fields; i++) {
        const struct type *of = type_member(have, want->fields[i].name);

        *field = &want->fields[i];
        if (of != NULL ? !type_fits(of, want->fields[i].type, NULL)
                       : !have->open && !want->fields[i].type->optional)
            return false;
    }
    return true;
}

bool type_fits(const struct type *have, const struct type *want, const struct type_field **field)
{
    const struct type_field *first;

    if (!type_is_known(have) || !type_is_known(want))
        return true;
    switch (want->kind) {
    case TYPE_TIME:
        return have->kind == TYPE_TEXT || (type_is_number(have) && have->kind != TYPE_DECIMAL);
    case TYPE_DECIMAL:
        return have->kind == TYPE_TEXT || type_is_number(have);
    case TYPE_INTEGER:
    case TYPE_NUMBER:
        return type_is_number(have);
    case TYPE_ARRAY:
        return have->kind == TYPE_ARRAY && type_fits(have->element, want->element, NULL);
    case TYPE_OBJECT:
        return have->kind == TYPE_OBJECT &&
               object_fits(have, want, field != NULL ? field : &first);
    default:
        return have->kind == want->kind;
    }
}

static const struct type *either_object(const struct type *a, const struct type *b,
                                        struct arena *arena)
{
    struct type_field *all = arena_alloc(arena, (a->n_fields + b->n_fields + 1) * sizeof *all);
    size_t n = 0;

    for (size_t i = 0; i < a->n_fields; i++) {
        const struct type *other = type_member(b, a->fields[i].name);
        all[n++] = (struct type_field){
            a->fields[i].name, other == NULL ? b->open ? &type_any : a->fields[i].type
                                             : type_either(a->fields[i].type, other, arena)};
    }
    for (size_t i = 0; i < b->n_fields; i++)
        if (type_member(a, b->fields[i].name) == NULL)
            all[n++] = (struct type_field){b->fields[i].name,
                                           a->open ? &type_any : b->fields[i].type};
    return type_object(arena, all, n, a->open || b->open);
}

const struct type *type_either(const struct type *a, const struct type *b, struct arena *arena)
{
    if (a == b || b->kind == TYPE_NIL || (type_eq(a, b)))
        return a;
    if (a->kind == TYPE_NIL)
        return b;
    if (a->kind == TYPE_OBJECT && b->kind == TYPE_OBJECT)
        return either_object(a, b, arena);
    if (a->kind == TYPE_ARRAY && b->kind == TYPE_ARRAY)
        return type_array(arena, type_either(a->element, b->element, arena));
    if (a->kind == TYPE_DECIMAL && b->kind == TYPE_DECIMAL)
        return &type_decimal;
    if (type_is_number(a) && type_is_number(b))
        return &type_number;
    return a->kind == b->kind && type_is_known(a) ? a : &type_any;
}

const struct type *type_of_value(const struct value *v)
{
    switch ((enum value_type)v->type) {
    case VALUE_MISSING:
    case VALUE_NULL:
        return &type_nil;
    case VALUE_BOOL:
        return &type_bool;
    case VALUE_INT:
        return &type_integer;
    case VALUE_FLOAT:
        return &type_number;
    case VALUE_DECIMAL:
        return type_decimal_of(v->scale);
    case VALUE_TEXT:
    case VALUE_BYTES:
        return &type_text;
    default:
        return &type_any;
    }
}
