// SPDX-License-Identifier: Apache-2.0
//
// What the operators mean. nil in, nil out, but for == and ~=. Integers trap where Lua wraps; a
// float result that is not finite is an error; text is never taken for a number, nor a number for
// text except by "..". An integer beside a decimal is one; a float is not, because the result would
// depend on how the float came to its digits.
#include "runtime/expr/ast.h"

#include <math.h>

#include "runtime/base/number.h"

static bool is_number(const struct value *v)
{
    return v->type == VALUE_INT || v->type == VALUE_FLOAT || v->type == VALUE_DECIMAL;
}

static bool is_text(const struct value *v)
{
    return v->type == VALUE_TEXT || v->type == VALUE_BYTES;
}

static int overflow(struct err *e)
{
    return err_set(e, LEAT_ETYPE, "integer overflow");
}

static int64_t floor_div(int64_t a, int64_t b)
{
    int64_t q = a / b;

    return a % b != 0 && (a ^ b) < 0 ? q - 1 : q;
}

static int64_t floor_mod(int64_t a, int64_t b)
{
    int64_t m = b == -1 ? 0 : a % b;

    return m != 0 && (m ^ b) < 0 ? m + b : m;
}

static int int_arithmetic(enum op op, int64_t a, int64_t b, struct value *out, struct err *e)
{
    int64_t r = 0;
    bool over = false;

    if ((op == OP_IDIV || op == OP_MOD) && b == 0)
        return err_set(e, LEAT_ETYPE, "integer division by zero");
    switch (op) {
    case OP_ADD:
        over = __builtin_add_overflow(a, b, &r);
        break;
    case OP_SUB:
        over = __builtin_sub_overflow(a, b, &r);
        break;
    case OP_MUL:
        over = __builtin_mul_overflow(a, b, &r);
        break;
    case OP_IDIV:
        over = a == INT64_MIN && b == -1;
        r = over ? 0 : floor_div(a, b);
        break;
    default:
        r = floor_mod(a, b);
    }
    if (over)
        return overflow(e);
    *out = value_int(r);
    return 0;
}

// The signs are compared one by one: the product of two small numbers has none.
static double float_mod(double a, double b)
{
    double m = fmod(a, b);

    return (m < 0 && b > 0) || (m > 0 && b < 0) ? m + b : m;
}

static int float_arithmetic(enum op op, double a, double b, struct value *out, struct err *e)
{
    double r;

    switch (op) {
    case OP_ADD:
        r = a + b;
        break;
    case OP_SUB:
        r = a - b;
        break;
    case OP_MUL:
        r = a * b;
        break;
    case OP_DIV:
        r = a / b;
        break;
    case OP_IDIV:
        r = floor(a / b);
        break;
    case OP_MOD:
        r = float_mod(a, b);
        break;
    default:
        r = pow(a, b);
    }
    if (!isfinite(r))
        return err_set(e, LEAT_ENUMBER, "the result is not a finite number");
    *out = value_float(r);
    return 0;
}

static double to_float(const struct value *v)
{
    return v->type == VALUE_INT ? (double)v->i : v->f;
}

int op_not_exact(enum op op, bool with_float, struct err *e)
{
    if (with_float)
        return err_set(e, LEAT_ETYPE,
                       "cannot apply '%s' to a decimal and a float: make both decimals with dec(), "
                       "or both floats with num()",
                       op_text(op));
    return err_set(e, LEAT_ETYPE,
                   "cannot apply '%s' to decimals, which are exact: make floats of them with num()",
                   op_text(op));
}

static struct decimal decimal_of(const struct value *v)
{
    return (struct decimal){v->i, v->type == VALUE_DECIMAL ? v->scale : 0};
}

static int decimal_arithmetic(enum op op, const struct value *a, const struct value *b,
                              struct value *out, struct err *e)
{
    struct decimal x = decimal_of(a), y = decimal_of(b), r;
    int rc;

    if (a->type == VALUE_FLOAT || b->type == VALUE_FLOAT)
        return op_not_exact(op, true, e);
    if ((op == OP_IDIV || op == OP_MOD) && y.i == 0)
        return err_set(e, LEAT_ETYPE, "decimal division by zero");
    switch (op) {
    case OP_ADD:
        rc = decimal_add(x, y, &r);
        break;
    case OP_SUB:
        rc = decimal_sub(x, y, &r);
        break;
    case OP_MUL:
        rc = decimal_mul(x, y, &r);
        break;
    case OP_IDIV:
        rc = decimal_idiv(x, y, &r);
        break;
    case OP_MOD:
        rc = decimal_mod(x, y, &r);
        break;
    default:
        return op_not_exact(op, false, e);
    }
    if (rc != 0)
        return err_set(e, LEAT_ETYPE, "decimal overflow");
    *out = value_of_decimal(r);
    return 0;
}

static int arithmetic(enum op op, const struct value *a, const struct value *b, struct value *out,
                      struct err *e)
{
    if (!is_number(a) || !is_number(b)) {
        return err_set(e, LEAT_ETYPE, "cannot apply '%s' to %s and %s", op_text(op),
                       value_type_name(a), value_type_name(b));
    }
    if (a->type == VALUE_DECIMAL || b->type == VALUE_DECIMAL)
        return decimal_arithmetic(op, a, b, out, e);
    if (a->type == VALUE_INT && b->type == VALUE_INT && op != OP_DIV && op != OP_POW)
        return int_arithmetic(op, a->i, b->i, out, e);
    return float_arithmetic(op, to_float(a), to_float(b), out, e);
}

// The operand of ".." as bytes; scratch holds a number's text.
static bool concat_part(const struct value *v, char scratch[NUMBER_TEXT_SIZE], struct bytes *out)
{
    if (is_text(v)) {
        *out = v->s;
        return true;
    }
    if (v->type == VALUE_INT)
        *out = bytes_of(scratch, number_format_int(v->i, scratch));
    else if (v->type == VALUE_FLOAT)
        *out = bytes_of(scratch, number_format_float(v->f, scratch));
    else if (v->type == VALUE_DECIMAL)
        *out = bytes_of(scratch, number_format_decimal(v->i, v->scale, scratch));
    else
        return false;
    return true;
}

static int concat(const struct value *a, const struct value *b, struct arena *arena,
                  struct value *out, struct err *e)
{
    char sa[NUMBER_TEXT_SIZE], sb[NUMBER_TEXT_SIZE];
    struct bytes pa, pb;
    uint8_t *p;

    if (!concat_part(a, sa, &pa) || !concat_part(b, sb, &pb))
        return err_set(e, LEAT_ETYPE, "cannot apply '..' to %s and %s", value_type_name(a),
                       value_type_name(b));
    p = arena_try_alloc(arena, pa.n + pb.n);
    if (p == NULL)
        return err_set(e, LEAT_ENOMEM, "out of memory for a text of %zu bytes", pa.n + pb.n);
    if (pa.n > 0)
        memcpy(p, pa.p, pa.n);
    if (pb.n > 0)
        memcpy(p + pa.n, pb.p, pb.n);
    *out = (struct value){.type = a->type == VALUE_BYTES || b->type == VALUE_BYTES ? VALUE_BYTES
                                                                                   : VALUE_TEXT,
                          .s = bytes_of(p, pa.n + pb.n)};
    return 0;
}

static int compare(enum op op, const struct value *a, const struct value *b, struct value *out,
                   struct err *e)
{
    int cmp, rc = value_cmp(a, b, &cmp, e);

    if (rc != 0)
        return rc;
    *out = value_bool(op == OP_LT   ? cmp < 0
                      : op == OP_GT ? cmp > 0
                      : op == OP_LE ? cmp <= 0
                                    : cmp >= 0);
    return 0;
}

int op_binary(enum op op, const struct value *a, const struct value *b, struct arena *arena,
              struct value *out, struct err *e)
{
    if (op == OP_EQ || op == OP_NE) {
        *out = value_bool(value_eq(a, b, arena) == (op == OP_EQ));
        return 0;
    }
    if (value_is_nil(a) || value_is_nil(b)) {
        *out = VALUE_OF_NULL;
        return 0;
    }
    if (op >= OP_LT && op <= OP_GE)
        return compare(op, a, b, out, e);
    if (op == OP_CONCAT)
        return concat(a, b, arena, out, e);
    return arithmetic(op, a, b, out, e);
}

static int negate(const struct value *a, struct value *out, struct err *e)
{
    if (a->type == VALUE_FLOAT) {
        *out = value_float(-a->f);
        return 0;
    }
    if (a->type != VALUE_INT && a->type != VALUE_DECIMAL)
        return err_set(e, LEAT_ETYPE, "cannot apply '-' to %s", value_type_name(a));
    if (a->i == INT64_MIN)
        return overflow(e);
    *out = *a;
    out->i = -a->i;
    return 0;
}

int op_unary(enum op op, const struct value *a, struct value *out, struct err *e)
{
    if (value_is_nil(a)) {
        *out = VALUE_OF_NULL;
        return 0;
    }
    if (op == OP_NOT) {
        *out = value_bool(!value_truthy(a));
        return 0;
    }
    if (op == OP_NEG)
        return negate(a, out, e);
    if (is_text(a))
        *out = value_int((int64_t)a->s.n);
    else if (value_is_array(a) || value_is_object(a))
        *out = value_int((int64_t)value_count(a));
    else
        return err_set(e, LEAT_ETYPE, "%s has no length", value_type_name(a));
    return 0;
}

int op_index(const struct value *of, const struct value *index, struct arena *arena,
             struct value *out, struct err *e)
{
    if (value_is_nil(of) || value_is_nil(index)) {
        *out = VALUE_OF_MISSING;
        return 0;
    }
    if (index->type == VALUE_INT)
        return value_element(of, index->i, arena, out, e);
    if (index->type == VALUE_FLOAT && index->f == floor(index->f) && fabs(index->f) < 0x1p63)
        return value_element(of, (int64_t)index->f, arena, out, e);
    if (index->type == VALUE_TEXT)
        return value_member(of, index->s, arena, out, e);
    return err_set(e, LEAT_ETYPE, "cannot index with %s", value_type_name(index));
}
