// SPDX-License-Identifier: Apache-2.0
#include "projections/cell.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "runtime/base/datetime.h"
#include "runtime/base/decimal.h"
#include "runtime/base/number.h"

static bool parse_decimal_type(struct bytes text, int *precision, int *scale)
{
    char s[32];
    char end;

    if (text.n >= sizeof s)
        return false;
    memcpy(s, text.p, text.n);
    s[text.n] = 0;
    return sscanf(s + strlen("decimal"), " ( %d , %d ) %c", precision, scale, &end) == 2 &&
           *precision >= 1 && *precision <= 18 && *scale >= 0 && *scale <= *precision;
}

bool logical_parse(struct bytes text, enum logical *type, int *precision, int *scale)
{
    static const struct {
        const char *name;
        enum logical type;
    } names[] = {
        {"any", LOGICAL_ANY},     {"text", LOGICAL_TEXT}, {"integer", LOGICAL_INTEGER},
        {"int", LOGICAL_INTEGER}, {"real", LOGICAL_REAL}, {"blob", LOGICAL_BLOB},
        {"time", LOGICAL_TIME},   {"bool", LOGICAL_BOOL}, {"json", LOGICAL_JSON},
        {"number", LOGICAL_REAL},
    };

    *precision = *scale = 0;
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (text.n == strlen(names[i].name) &&
            strncasecmp((const char *)text.p, names[i].name, text.n) == 0) {
            *type = names[i].type;
            return true;
        }
    *type = LOGICAL_DECIMAL;
    return text.n > 7 && strncasecmp((const char *)text.p, "decimal", 7) == 0 &&
           parse_decimal_type(text, precision, scale);
}

const char *logical_storage(enum logical type)
{
    switch (type) {
    case LOGICAL_ANY:
        return "ANY";
    case LOGICAL_TEXT:
    case LOGICAL_JSON:
        return "TEXT";
    case LOGICAL_REAL:
        return "REAL";
    case LOGICAL_BLOB:
        return "BLOB";
    case LOGICAL_INTEGER:
    case LOGICAL_TIME:
    case LOGICAL_BOOL:
    case LOGICAL_DECIMAL:
        return "INTEGER";
    }
    UNREACHABLE("no such logical type");
}

static int to_decimal(const struct column *c, const struct value *v, int64_t *out)
{
    struct decimal d;
    int rc = value_decimal(v, &d);

    if (rc != 0 || !decimal_fits(d, c->precision, c->scale))
        return LEAT_ETYPE;
    rc = decimal_rescale(d, c->scale, &d);
    *out = d.i;
    return rc;
}

static int to_integer(const struct value *v, int64_t *out)
{
    struct decimal d;

    switch ((enum value_type)v->type) {
    case VALUE_INT:
        *out = v->i;
        return 0;
    case VALUE_FLOAT:
        if (!(v->f >= -9.2e18 && v->f <= 9.2e18) || v->f != floor(v->f))
            return LEAT_ETYPE;
        *out = (int64_t)v->f;
        return 0;
    case VALUE_DECIMAL:
        if (decimal_rescale((struct decimal){v->i, v->scale}, 0, &d) != 0)
            return LEAT_ETYPE;
        *out = d.i;
        return 0;
    default:
        return LEAT_ETYPE;
    }
}

static int to_real(const struct value *v, double *out)
{
    switch ((enum value_type)v->type) {
    case VALUE_INT:
        *out = (double)v->i;
        return 0;
    case VALUE_FLOAT:
        *out = v->f;
        return isfinite(v->f) ? 0 : LEAT_ETYPE;
    case VALUE_DECIMAL:
        *out = decimal_to_float((struct decimal){v->i, v->scale});
        return 0;
    default:
        return LEAT_ETYPE;
    }
}

static int to_time(const struct value *v, int64_t *out)
{
    if (v->type == VALUE_TEXT)
        return datetime_parse(v->s, out) < 0 ? LEAT_ETYPE : 0;
    if (to_integer(v, out) < 0 || *out < DATETIME_MIN || *out > DATETIME_MAX)
        return LEAT_ETYPE;
    return 0;
}

static int bind_json(struct db_stmt *s, int i, const struct value *v, struct arena *tmp,
                     struct err *e)
{
    struct buf out = BUF_EMPTY;
    int rc = value_write_json(v, &out, e);

    if (rc == 0)
        db_bind_text(s, i, arena_copy(tmp, buf_bytes(&out)));
    buf_deinit(&out);
    return rc;
}

static int bind_any(struct db_stmt *s, int i, const struct value *v, struct arena *tmp,
                    struct err *e)
{
    char text[NUMBER_TEXT_SIZE];

    switch ((enum value_type)v->type) {
    case VALUE_BOOL:
        db_bind_bool(s, i, v->b);
        return 0;
    case VALUE_INT:
        db_bind_int(s, i, v->i);
        return 0;
    case VALUE_FLOAT:
        if (!isfinite(v->f))
            return LEAT_ETYPE;
        db_bind_double(s, i, v->f);
        return 0;
    case VALUE_DECIMAL:
        db_bind_text(s, i,
                     arena_copy(tmp, bytes_of(text, number_format_decimal(v->i, v->scale, text))));
        return 0;
    case VALUE_TEXT:
        db_bind_text(s, i, v->s);
        return 0;
    case VALUE_BYTES:
        db_bind_blob(s, i, v->s.p != NULL ? v->s : BYTES_LIT(""));
        return 0;
    default:
        return bind_json(s, i, v, tmp, e);
    }
}

static int bind_integer(struct db_stmt *s, int i, const struct column *c, const struct value *v)
{
    int64_t n = 0;
    int rc;

    if (c->type == LOGICAL_TIME)
        rc = to_time(v, &n);
    else if (c->type == LOGICAL_DECIMAL)
        rc = to_decimal(c, v, &n);
    else if (c->type == LOGICAL_INTEGER)
        rc = to_integer(v, &n);
    else
        rc = v->type == VALUE_BOOL ? 0 : LEAT_ETYPE;
    if (rc == 0)
        db_bind_int(s, i, c->type == LOGICAL_BOOL ? v->b : n);
    return rc;
}

static int bind_typed(struct db_stmt *s, int i, const struct column *c, const struct value *v,
                      struct arena *tmp, struct err *e)
{
    double f;

    switch (c->type) {
    case LOGICAL_TEXT:
        if (v->type != VALUE_TEXT)
            return LEAT_ETYPE;
        db_bind_text(s, i, v->s.p != NULL ? v->s : BYTES_LIT(""));
        return 0;
    case LOGICAL_BLOB:
        if (v->type != VALUE_BYTES && v->type != VALUE_TEXT)
            return LEAT_ETYPE;
        db_bind_blob(s, i, v->s.p != NULL ? v->s : BYTES_LIT(""));
        return 0;
    case LOGICAL_REAL:
        if (to_real(v, &f) < 0)
            return LEAT_ETYPE;
        db_bind_double(s, i, f);
        return 0;
    case LOGICAL_JSON:
        return bind_json(s, i, v, tmp, e);
    case LOGICAL_ANY:
        return bind_any(s, i, v, tmp, e);
    default:
        return bind_integer(s, i, c, v);
    }
}

int cell_bind(struct db_stmt *s, int i, const struct column *c, const struct value *v,
              struct arena *tmp, struct err *e)
{
    struct value forced = *v;
    int rc;

    ASSERT(v->type != VALUE_MISSING);
    if (v->type == VALUE_NULL) {
        db_bind_null(s, i);
        return 0;
    }
    if (v->type == VALUE_LAZY) {
        rc = value_force(&forced, tmp, e);
        if (rc < 0)
            return err_wrap(e, rc, "column %s", c->name);
    }
    rc = bind_typed(s, i, c, &forced, tmp, e);
    if (rc == LEAT_ETYPE)
        return err_set(e, rc, "column %s wants %s and got %s%s", c->name, c->type_text,
                       value_type_name(&forced),
                       c->type == LOGICAL_DECIMAL || c->type == LOGICAL_TIME ||
                               c->type == LOGICAL_INTEGER
                           ? " that it cannot hold exactly"
                           : "");
    return rc < 0 ? err_wrap(e, rc, "column %s", c->name) : 0;
}

static int read_json(struct db_stmt *s, int i, struct arena *a, struct value *out, struct err *e)
{
    struct bytes raw = db_column_text(s, i);

    if (bytes_is_null(raw)) {
        *out = VALUE_OF_NULL;
        return 0;
    }
    return value_decode(FORMAT_JSON, arena_copy(a, raw), a, out, e);
}

static struct value read_stored(struct db_stmt *s, int i, struct arena *a)
{
    switch (db_column_type(s, i)) {
    case DB_INT:
        return value_int(db_column_int(s, i));
    case DB_DOUBLE:
        return value_float(db_column_double(s, i));
    case DB_TEXT:
        return value_text(arena_copy(a, db_column_text(s, i)));
    case DB_BLOB:
        return (struct value){.type = VALUE_BYTES, .s = arena_copy(a, db_column_blob(s, i))};
    case DB_NULL:
        break;
    }
    return VALUE_OF_NULL;
}

int cell_read(struct db_stmt *s, int i, const struct column *c, struct arena *a, struct value *out,
              struct err *e)
{
    if (c != NULL && c->type == LOGICAL_JSON)
        return read_json(s, i, a, out, e);
    *out = read_stored(s, i, a);
    if (c == NULL || out->type != VALUE_INT)
        return 0;
    if (c->type == LOGICAL_BOOL)
        *out = value_bool(out->i != 0);
    else if (c->type == LOGICAL_DECIMAL)
        *out = (struct value){.type = VALUE_DECIMAL, .scale = (uint8_t)c->scale, .i = out->i};
    return 0;
}

int cell_show(struct value *v, const struct column *c, struct arena *a, struct err *e)
{
    char text[NUMBER_TEXT_SIZE > DATETIME_TEXT_SIZE ? NUMBER_TEXT_SIZE : DATETIME_TEXT_SIZE];

    (void)e;
    if (v->type == VALUE_DECIMAL) {
        number_format_decimal(v->i, v->scale, text);
        *v = value_text(bytes_str(arena_strdup(a, text)));
    } else if (c != NULL && c->type == LOGICAL_TIME && v->type == VALUE_INT &&
               v->i >= DATETIME_MIN && v->i <= DATETIME_MAX) {
        datetime_format(v->i, text);
        *v = value_text(bytes_str(arena_strdup(a, text)));
    }
    return 0;
}
