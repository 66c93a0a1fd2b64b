// SPDX-License-Identifier: Apache-2.0
//
// Checking tokens against types. A record's own fields are checked where view_scan has put them, as
// tokens: for most types a look at the first byte decides, and nothing is decoded that nobody asks
// for. Objects and arrays inside are walked once more.
#include "runtime/record/schema.h"

#include "runtime/base/datetime.h"
#include "runtime/base/decimal.h"
#include "runtime/base/endian.h"
#include "runtime/base/limits.h"

enum { SAFE_DIGITS = 18 }; // so many fit into an int64 whatever they are

// The way to a field, for messages.
struct where {
    const struct where *up;
    struct bytes name; // or BYTES_NULL and
    size_t index;      // from 1
};

struct check {
    const struct type *whole; // for its name; NULL: nothing is refused
    struct arena *arena;
    struct err *e;
};

static int check_value(const struct check *c, const struct type *t, struct value *v,
                       const struct where *at, bool *changed);

// --- messages ---

static void print_where(const struct where *at, struct buf *out)
{
    if (at->up != NULL)
        print_where(at->up, out);
    if (bytes_is_null(at->name))
        buf_printf(out, "[%zu]", at->index);
    else
        buf_printf(out, "%s%.*s", out->n > 0 ? "." : "", BYTES_FMT(at->name));
}

static void print_found(const struct check *c, const struct value *v, struct buf *out)
{
    struct value plain = *v;
    size_t before;

    buf_append_str(out, value_type_name(v));
    if (value_is_object(v) || value_is_array(v))
        return;
    if (value_force(&plain, c->arena, NULL) != 0)
        plain = *v;
    buf_append_byte(out, ' ');
    before = out->n;
    if (v->type == VALUE_BYTES || value_write_json(&plain, out, NULL) != 0)
        out->n = before - 1;
    if (out->n > before + 60) {
        out->n = before + 60;
        while (out->n > before && (out->p[out->n] & 0xc0) == 0x80)
            out->n--;
        buf_append_str(out, "...");
    }
}

static void print_wanted(const struct type *t, struct buf *out)
{
    switch (t->kind) {
    case TYPE_DECIMAL:
        if (t->precision > 0)
            buf_printf(out, "decimal(%d,%d)", t->precision, t->scale);
        else
            buf_append_str(out, "a decimal");
        return;
    case TYPE_INTEGER:
    case TYPE_ARRAY:
    case TYPE_OBJECT:
        buf_printf(out, "an %s", type_kind_name(t->kind));
        return;
    case TYPE_TEXT:
        buf_append_str(out, "text");
        return;
    default:
        buf_printf(out, "a %s", type_kind_name(t->kind));
    }
}

// "schema reading: items[2].price must be decimal(10,2), but is text "x"".
static int refuse(const struct check *c, const struct type *t, const struct value *v,
                  const struct where *at)
{
    struct buf b = BUF_EMPTY;

    if (c->whole == NULL)
        return 0;
    if (at == NULL)
        buf_append_str(&b, "the record");
    else
        print_where(at, &b);
    if (v->type == VALUE_MISSING) {
        buf_append_str(&b, " is missing");
    } else if (v->type == VALUE_NULL) {
        buf_append_str(&b, " is null");
    } else {
        buf_append_str(&b, " must be ");
        print_wanted(t, &b);
        buf_append_str(&b, ", but is ");
        print_found(c, v, &b);
    }
    (void)err_set(c->e, LEAT_ESCHEMA, "%s", buf_cstr(&b));
    buf_deinit(&b);
    return c->whole->name != NULL ? err_wrap(c->e, LEAT_ESCHEMA, "%s", c->whole->name)
                                  : LEAT_ESCHEMA;
}

static int too_large(const struct check *c, const struct where *at)
{
    struct buf b = BUF_EMPTY;

    if (c->whole == NULL)
        return 0;
    print_where(at, &b);
    (void)err_wrap(c->e, LEAT_ENUMBER, "%s", buf_cstr(&b));
    buf_deinit(&b);
    return LEAT_ENUMBER;
}

// --- scalars ---

// The text of a number that is not decoded yet; BYTES_NULL for everything else.
static struct bytes number_token(const struct value *v)
{
    bool number = v->type == VALUE_LAZY && v->format == FORMAT_JSON && v->s.p[0] != '"';

    return number ? v->s : BYTES_NULL;
}

static bool is_escaped_text(const struct value *v)
{
    return v->type == VALUE_LAZY && v->format == FORMAT_JSON && v->s.p[0] == '"';
}

static bool is_whole(struct bytes token)
{
    for (size_t i = 0; i < token.n; i++)
        if (token.p[i] == '.' || (token.p[i] | 0x20) == 'e')
            return false;
    return true;
}

static bool is_short(struct bytes token)
{
    for (size_t i = 0; i < token.n; i++)
        if ((token.p[i] | 0x20) == 'e')
            return false;
    return token.n <= SAFE_DIGITS;
}

static int check_number(const struct check *c, const struct type *t, struct value *v,
                        const struct where *at)
{
    struct bytes token = number_token(v);
    bool integer = t->kind == TYPE_INTEGER;
    int rc;

    if (!bytes_is_null(token)) {
        if (integer && !is_whole(token))
            return refuse(c, t, v, at);
        if (is_short(token))
            return 0;
    }
    rc = is_escaped_text(v) ? LEAT_ETYPE : value_force(v, c->arena, c->e);
    if (rc == LEAT_ENUMBER)
        return too_large(c, at);
    if (rc != 0 || !(v->type == VALUE_INT || (v->type == VALUE_FLOAT && !integer)))
        return refuse(c, t, v, at);
    return 0;
}

// An integer that no int64 holds, as its digits; BYTES_NULL for everything else.
static struct bytes large_integer(const struct check *c, const struct value *v)
{
    struct bytes token = number_token(v);
    struct value copy = *v;

    if (v->type == VALUE_LAZY && v->format != FORMAT_JSON && v->s.p[0] == 0xcf)
        return bytes_str(arena_printf(c->arena, "%llu", (unsigned long long)load_be64(v->s.p + 1)));
    if (bytes_is_null(token) || !is_whole(token))
        return BYTES_NULL;
    return value_force(&copy, c->arena, NULL) == LEAT_ENUMBER ? token : BYTES_NULL;
}

static int check_text(const struct check *c, const struct type *t, struct value *v,
                      const struct where *at, bool *changed)
{
    struct bytes digits;

    if (v->type == VALUE_TEXT || is_escaped_text(v))
        return 0;
    digits = large_integer(c, v);
    if (bytes_is_null(digits))
        return refuse(c, t, v, at);
    *v = value_text(digits);
    *changed = true;
    return 0;
}

static int check_time(const struct check *c, const struct type *t, struct value *v,
                      const struct where *at, bool *changed)
{
    struct value x = *v;
    int64_t ms;

    if (value_force(&x, c->arena, NULL) != 0)
        return refuse(c, t, v, at);
    if (x.type == VALUE_INT && x.i >= DATETIME_MIN && x.i <= DATETIME_MAX) {
        *v = x;
        return 0;
    }
    if (x.type != VALUE_TEXT || datetime_parse(x.s, &ms) != 0)
        return refuse(c, t, v, at);
    *v = value_int(ms);
    *changed = true;
    return 0;
}

static bool read_decimal(const struct check *c, struct value *v, struct decimal *d)
{
    struct bytes token = number_token(v);
    struct value x = *v;

    if (!bytes_is_null(token))
        return decimal_parse(token, d) == 0;
    if (value_force(&x, c->arena, NULL) != 0)
        return false;
    return value_decimal(&x, d) == 0;
}

static int check_decimal(const struct check *c, const struct type *t, struct value *v,
                         const struct where *at, bool *changed)
{
    struct decimal d;

    if (!read_decimal(c, v, &d))
        return refuse(c, t, v, at);
    if (t->precision > 0 && (!decimal_fits(d, t->precision, t->scale) ||
                             decimal_rescale(d, t->scale, &d) != 0))
        return refuse(c, t, v, at);
    *changed = *changed || v->type != VALUE_DECIMAL || v->scale != d.scale;
    *v = value_of_decimal(d);
    return 0;
}

// --- objects and arrays ---

static int check_array(const struct check *c, const struct type *t, struct value *v,
                       const struct where *up, bool *changed)
{
    size_t n = value_count(v);
    struct value_array *array = arena_try_alloc(c->arena, sizeof *array + n * sizeof(struct value));
    bool touched = false;
    struct where at = {.up = up};
    struct value_iter it;
    struct bytes name;
    int rc;

    if (array == NULL)
        return err_set(c->e, LEAT_ENOMEM, "out of memory for a list of %zu", n);
    *array = (struct value_array){.n = n, .items = (struct value *)(array + 1)};
    value_iter_init(&it, v, c->arena);
    for (size_t i = 0; i < n; i++) {
        at.index = i + 1;
        rc = value_iter_token(&it, &name, &array->items[i], c->e);
        ASSERT(rc != 0);
        if (rc == 1)
            rc = check_value(c, t->element, &array->items[i], &at, &touched);
        if (rc != 0)
            return rc;
    }
    *changed = *changed || touched;
    if (touched)
        *v = (struct value){.type = VALUE_ARRAY, .array = array};
    return 0;
}

// The members as tokens; last[i] becomes the place of the type's field i, the last of its name.
static int read_members(const struct check *c, const struct type *t, const struct value *v,
                        struct value_object *o, size_t *last)
{
    struct value_iter it;
    int rc;

    for (size_t i = 0; i < t->n_fields; i++)
        last[i] = SIZE_MAX;
    value_iter_init(&it, v, c->arena);
    while ((rc = value_iter_token(&it, &o->names[o->n], &o->values[o->n], c->e)) == 1) {
        const struct type_field *f = type_field(t, o->names[o->n]);
        if (f != NULL)
            last[f - t->fields] = o->n;
        o->n++;
    }
    return rc;
}

static struct value_object *object_room(const struct check *c, size_t n)
{
    struct value_object *o = arena_try_alloc(c->arena, sizeof *o);

    if (o == NULL)
        return NULL;
    o->n = 0;
    o->names = arena_try_alloc(c->arena, (n + 1) * sizeof *o->names);
    o->values = arena_try_alloc(c->arena, (n + 1) * sizeof *o->values);
    return o->names != NULL && o->values != NULL ? o : NULL;
}

static int check_object(const struct check *c, const struct type *t, struct value *v,
                        const struct where *up, bool *changed)
{
    struct value_object *o = object_room(c, value_count(v));
    size_t *last = arena_try_alloc(c->arena, (t->n_fields + 1) * sizeof *last);
    bool touched = false;
    int rc;

    if (o == NULL || last == NULL)
        return err_set(c->e, LEAT_ENOMEM, "out of memory for the fields of an object");
    rc = read_members(c, t, v, o, last);
    for (size_t i = 0; i < t->n_fields && rc == 0; i++) {
        struct where at = {.up = up, .name = t->fields[i].name};
        struct value none = VALUE_OF_MISSING;

        rc = check_value(c, t->fields[i].type, last[i] != SIZE_MAX ? &o->values[last[i]] : &none,
                         &at, &touched);
    }
    if (rc != 0)
        return rc;
    *changed = *changed || touched;
    if (touched)
        *v = (struct value){.type = VALUE_OBJECT, .object = o};
    return 0;
}

// --- all of it ---

static int check_value(const struct check *c, const struct type *t, struct value *v,
                       const struct where *at, bool *changed)
{
    if (value_is_nil(v))
        return t->optional ? 0 : refuse(c, t, v, at);
    switch (t->kind) {
    case TYPE_ANY:
    case TYPE_JSON:
    case TYPE_NIL:
        return 0;
    case TYPE_BOOL:
        return v->type == VALUE_BOOL ? 0 : refuse(c, t, v, at);
    case TYPE_INTEGER:
    case TYPE_NUMBER:
        return check_number(c, t, v, at);
    case TYPE_TIME:
        return check_time(c, t, v, at, changed);
    case TYPE_DECIMAL:
        return check_decimal(c, t, v, at, changed);
    case TYPE_TEXT:
        return check_text(c, t, v, at, changed);
    case TYPE_ARRAY:
        return value_is_array(v) ? check_array(c, t, v, at, changed) : refuse(c, t, v, at);
    case TYPE_OBJECT:
        return value_is_object(v) ? check_object(c, t, v, at, changed) : refuse(c, t, v, at);
    case TYPE_KINDS:
        break;
    }
    UNREACHABLE("not a kind");
}

int schema_check(const struct type *t, struct value *v, struct arena *a, struct err *e)
{
    struct check c = {t, a, e};
    bool changed = false;

    return check_value(&c, t, v, NULL, &changed);
}

void schema_restore(const struct type *t, struct value *v, struct arena *a)
{
    struct check c = {NULL, a, NULL};
    bool changed = false;
    int rc = check_value(&c, t, v, NULL, &changed);

    (void)rc; // out of memory, or a document that is none: as it was
}

int schema_check_view(const struct type *t, const int *slots, struct view *v, struct err *e)
{
    struct check c = {t, v->arena, e};
    int rc = 0;

    ASSERT(t->kind == TYPE_OBJECT);
    if (v->root.type == VALUE_MISSING)
        return 0;
    if (v->root.type != VALUE_DOC_OBJECT)
        return schema_check(t, &v->root, v->arena, e);
    for (size_t i = 0; i < t->n_fields && rc == 0; i++) {
        struct where at = {.name = t->fields[i].name};
        struct value *slot = view_token(v, slots[i]), x = *slot;
        bool changed = false;

        rc = check_value(&c, t->fields[i].type, &x, &at, &changed);
        if (rc == 0 && changed)
            rc = view_replace(v, slots[i], x, e);
        else
            *slot = x; // decoded, perhaps
    }
    return rc;
}
