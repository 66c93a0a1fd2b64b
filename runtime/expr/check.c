// SPDX-License-Identifier: Apache-2.0
//
// What is known of an expression's parts before any record is seen, and what follows from it: a
// path that the record's type does not have, and operations that fail for every record, do not
// load. Of what is not known nothing is said; it is decided record by record.
//
//   temperature > 'hot'      number with text: refused, when a schema says what temperature is
//   temprature > 90          no such field: refused, with the name that was meant
//   a > 'hot'                a may be text: loads
#include "runtime/expr/ast.h"

#include "runtime/base/decimal.h"
#include "runtime/base/limits.h"

enum { TREE_DEPTH_MAX = 4 * EXPR_DEPTH_MAX };

// As value_type_name would call a value of it.
static const char *name_of(const struct type *t)
{
    return t->kind == TYPE_INTEGER ? "number" : type_kind_name(t->kind);
}

static bool may_be_number(const struct type *t)
{
    return !type_is_known(t) || type_is_number(t);
}

static bool may_be_text(const struct type *t)
{
    return !type_is_known(t) || t->kind == TYPE_TEXT;
}

// --- paths ---

static int no_field(struct parser *p, const struct type *of, const struct node *n,
                    struct bytes name)
{
    const char *like = type_suggest(of, name, p->arena);

    if (of->name != NULL && like[0] == 0) // nothing like it: perhaps it was not meant as a name
        like = arena_printf(p->arena, " (a text is written '%.*s')", BYTES_FMT(name));
    if (of->name != NULL)
        return err_set(p->e, LEAT_EINVAL, "%s has no field '%.*s' near column %u%s", of->name,
                       BYTES_FMT(name), n->start + 1, like);
    return err_set(p->e, LEAT_EINVAL, "there is no field '%.*s' near column %u%s",
                   BYTES_FMT(name), n->start + 1, like);
}

static int no_step(struct parser *p, const struct type *of, const struct node *n,
                   const struct path_step *step)
{
    if (bytes_is_null(step->name))
        return err_set(p->e, LEAT_EINVAL, "%s has no element %lld near column %u", name_of(of),
                       (long long)step->index, n->start + 1);
    return err_set(p->e, LEAT_EINVAL, "%s has no field '%.*s' near column %u%s", name_of(of),
                   BYTES_FMT(step->name), n->start + 1,
                   of->kind == TYPE_ARRAY ? ": an element comes first, as in items[1].sku" : "");
}

// The type behind one step from `of`.
static int step_into(struct parser *p, const struct node *n, const struct type *of,
                     const struct path_step *step, const struct type **out)
{
    *out = &type_any;
    if (!type_is_known(of))
        return 0;
    if (of->kind == TYPE_ARRAY && bytes_is_null(step->name)) {
        *out = of->element;
        return 0;
    }
    if (of->kind != TYPE_OBJECT || bytes_is_null(step->name))
        return no_step(p, of, n, step);
    *out = type_member(of, step->name);
    if (*out == NULL && !of->open)
        return no_field(p, of, n, step->name);
    *out = *out != NULL ? *out : &type_any;
    return 0;
}

int check_path(struct parser *p, struct node *n)
{
    int rc = 0;

    n->type = p->scope.value;
    for (size_t i = 0; i < n->n_steps && rc == 0; i++)
        rc = step_into(p, n, n->type, &n->steps[i], &n->type);
    return rc;
}

static int check_index(struct parser *p, struct node *n)
{
    const struct type *of = n->args[0]->type;
    const struct node *index = n->args[1];
    struct path_step step = {BYTES_NULL, 0};

    n->type = of->kind == TYPE_ARRAY ? of->element : &type_any;
    if (index->kind != NODE_CONST)
        return 0;
    if (index->value.type == VALUE_TEXT)
        step.name = index->value.s;
    else if (index->value.type == VALUE_INT)
        step.index = index->value.i;
    else
        return 0;
    return step_into(p, n, of, &step, &n->type);
}

// --- operators ---

// A field whose type was declared, or is an operator's result: comparing it with what it can never
// equal is a mistake. Among constants and results of functions it is harmless.
static bool is_field(const struct node *n)
{
    return n->kind == NODE_PATH || n->kind == NODE_INDEX || n->kind == NODE_META;
}

static int never_equal(struct parser *p, const struct type *a, const struct type *b)
{
    bool time = (a->kind == TYPE_TIME && b->kind == TYPE_TEXT) ||
                (b->kind == TYPE_TIME && a->kind == TYPE_TEXT);

    return err_set(p->e, LEAT_ETYPE, "%s is never equal to %s%s", name_of(a), name_of(b),
                   time ? " (a time is written time'2026-01-01T00:00:00Z')" : "");
}

static bool has_order(const struct type *t)
{
    return may_be_number(t) || may_be_text(t);
}

static int check_comparison(struct parser *p, const struct node *n)
{
    const struct type *a = n->args[0]->type, *b = n->args[1]->type;

    if (n->op == OP_EQ || n->op == OP_NE) {
        if ((is_field(n->args[0]) || is_field(n->args[1])) && !type_comparable(a, b))
            return never_equal(p, a, b);
        return 0;
    }
    if (!has_order(a) || !has_order(b) || !type_comparable(a, b))
        return err_set(p->e, LEAT_ETYPE, "cannot compare %s with %s", name_of(a), name_of(b));
    return 0;
}

static bool is_float(const struct node *n)
{
    return n->kind == NODE_CONST && n->value.type == VALUE_FLOAT;
}

static int check_arithmetic(struct parser *p, const struct node *n)
{
    const struct node *a = n->args[0], *b = n->args[1];
    bool decimal = a->type->kind == TYPE_DECIMAL || b->type->kind == TYPE_DECIMAL;

    for (int i = 0; i < 2; i++) {
        const struct type *t = n->args[i]->type;
        if (!may_be_number(t) && !(n->op == OP_CONCAT && may_be_text(t)))
            return err_set(p->e, LEAT_ETYPE, "cannot apply '%s' to %s", op_text(n->op),
                           name_of(t));
    }
    if (!decimal || n->op == OP_CONCAT)
        return 0;
    return is_float(a) || is_float(b)                ? op_not_exact(n->op, true, p->e)
           : n->op == OP_DIV || n->op == OP_POW ? op_not_exact(n->op, false, p->e)
                                                : 0;
}

static int check_unary(struct parser *p, const struct node *n)
{
    const struct type *t = n->args[0]->type;
    bool fine = n->op == OP_NEG   ? may_be_number(t)
                : n->op == OP_LEN ? may_be_text(t) || t->kind == TYPE_ARRAY ||
                                        t->kind == TYPE_OBJECT
                                  : true;

    return fine ? 0
                : err_set(p->e, LEAT_ETYPE, "cannot apply '%s' to %s", op_text(n->op), name_of(t));
}

// --- calls ---

static const char *wanted(const struct fn *fn, int i, const struct type *t)
{
    bool fine, text = may_be_text(t), number = may_be_number(t);
    const char *want = fn_wants(fn, i);

    switch (fn_letter(fn, i)) {
    case 't':
        fine = text;
        break;
    case 'n':
        fine = number;
        break;
    case 'i':
        fine = number && t->kind != TYPE_DECIMAL;
        break;
    case 'd':
        fine = text || (number && t->kind != TYPE_DECIMAL);
        break;
    case 'c':
        fine = text || t->kind == TYPE_ARRAY;
        break;
    case 's':
        fine = text || number;
        break;
    default:
        fine = true;
    }
    return fine ? NULL : want;
}

static int check_call(struct parser *p, const struct node *n)
{
    for (int i = 0; i < n->n_args; i++) {
        const struct type *t = n->args[i]->type;
        const char *want = wanted(n->fn, i, t);

        if (want != NULL)
            return err_set(p->e, LEAT_ETYPE, "argument %d must be %s, not %s", i + 1, want,
                           name_of(t));
        if (n->fn->same && i > 0 && is_field(n->args[0]) &&
            !type_comparable(n->args[0]->type, t))
            return never_equal(p, n->args[0]->type, t);
    }
    return 0;
}

// --- what comes out ---

// a and b: nil or false when a is that, else b.
static const struct type *type_of_and(struct parser *p, const struct node *n)
{
    const struct type *a = n->args[0]->type, *b = n->args[1]->type;

    if (a->kind == TYPE_NIL)
        return &type_nil;
    return type_is_known(a) && a->kind != TYPE_BOOL ? b : type_either(b, &type_bool, p->arena);
}

// a or b; of `x and a or b` false does not come through.
static const struct type *type_of_or(struct parser *p, const struct node *n)
{
    const struct node *a = n->args[0];
    const struct type *first = a->type;

    if (a->kind == NODE_BINARY && a->op == OP_AND)
        first = a->args[1]->type;
    return type_either(first, n->args[1]->type, p->arena);
}

// Of a decimal or an integer; -1: not known.
static int scale_of(const struct type *t)
{
    return t->kind == TYPE_DECIMAL && t->precision > 0             ? t->scale
           : t->kind == TYPE_INTEGER || t->kind == TYPE_TIME ? 0
                                                             : -1;
}

static const struct type *type_of_decimals(enum op op, int a, int b)
{
    int sum = a + b < DECIMAL_SCALE_MAX ? a + b : DECIMAL_SCALE_MAX;

    if (a < 0 || b < 0)
        return &type_decimal;
    return type_decimal_of(op == OP_MUL ? sum : op == OP_IDIV ? 0 : a > b ? a : b);
}

static const struct type *type_of_arithmetic(const struct node *n)
{
    const struct type *a = n->args[0]->type, *b = n->args[1]->type;

    if (a->kind == TYPE_DECIMAL || b->kind == TYPE_DECIMAL)
        return type_of_decimals(n->op, scale_of(a), scale_of(b));
    if (n->op == OP_DIV || n->op == OP_POW)
        return &type_number;
    if ((a->kind == TYPE_INTEGER || a->kind == TYPE_TIME) &&
        (b->kind == TYPE_INTEGER || b->kind == TYPE_TIME))
        return &type_integer;
    return &type_number;
}

static const struct type *type_of_binary(struct parser *p, const struct node *n)
{
    if (n->op == OP_AND)
        return type_of_and(p, n);
    if (n->op == OP_OR)
        return type_of_or(p, n);
    if (n->op <= OP_EQ)
        return &type_bool;
    return n->op == OP_CONCAT ? &type_text : type_of_arithmetic(n);
}

static const struct type *type_of_same(const struct type *t)
{
    return t->kind == TYPE_DECIMAL   ? t
           : t->kind == TYPE_INTEGER ? &type_integer
                                     : &type_number;
}

static const struct type *type_of_rounded(const struct type *t, const struct value *digits)
{
    int scale = scale_of(t);

    if (t->kind != TYPE_DECIMAL)
        return type_of_same(t);
    if (scale < 0 || digits->type != VALUE_INT || digits->i < 0)
        return &type_decimal;
    return type_decimal_of(digits->i < scale ? (int)digits->i : scale);
}

static const struct type *type_of_whole(const struct type *t)
{
    return t->kind == TYPE_DECIMAL || t->kind == TYPE_INTEGER ? &type_integer : &type_number;
}

static const struct type *type_of_call(struct parser *p, const struct node *n)
{
    const struct type *t = n->args[0]->type;

    switch (n->fn->gives) {
    case GIVES_BOOL:
        return &type_bool;
    case GIVES_INTEGER:
        return &type_integer;
    case GIVES_TIME:
        return &type_time;
    case GIVES_TEXT:
        return &type_text;
    case GIVES_DECIMAL:
        return &type_decimal;
    case GIVES_ROUND:
        return n->n_args == 1 ? type_of_whole(t) : type_of_rounded(t, &n->args[1]->value);
    case GIVES_WHOLE:
        return type_of_whole(t);
    case GIVES_SAME:
        return type_of_same(t);
    case GIVES_EITHER:
        for (int i = 1; i < n->n_args; i++)
            t = type_either(t, n->args[i]->type, p->arena);
        return t;
    case GIVES_NUMBER:
        return &type_number;
    }
    UNREACHABLE("every function gives something");
}

int check_node(struct parser *p, struct node *n)
{
    if (n->depth > TREE_DEPTH_MAX)
        return err_set(p->e, LEAT_EINVAL, "nested too deeply");
    switch (n->kind) {
    case NODE_INDEX:
        return check_index(p, n);
    case NODE_UNARY:
        n->type = n->op == OP_NOT ? &type_bool
                  : n->op == OP_LEN ? &type_integer
                  : type_is_number(n->args[0]->type) ? n->args[0]->type
                                                     : &type_number;
        return check_unary(p, n);
    case NODE_BINARY:
        n->type = type_of_binary(p, n);
        if (n->op >= OP_LT && n->op <= OP_EQ)
            return check_comparison(p, n);
        return n->op >= OP_CONCAT ? check_arithmetic(p, n) : 0;
    case NODE_CALL:
        n->type = type_of_call(p, n);
        return check_call(p, n);
    default:
        return 0;
    }
}
