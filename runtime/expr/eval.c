// SPDX-License-Identifier: Apache-2.0
//
// The machine: a loop over instructions. The common cases (integers and floats compared, added,
// subtracted) are decided in the loop; everything else is operators.c and functions.c. A failing
// instruction is quoted from the expression's text, so that the person sees which part of it met
// which types.
#include "runtime/expr/code.h"

#include <math.h>

enum { REGISTERS_ON_STACK = 16 };

struct machine {
    const struct expr *x;
    const struct expr_env *env;
    struct value *r;
    struct err *e;
};

static inline const struct value *operand(const struct machine *m, int32_t i)
{
    return i >= 0 ? &m->r[i] : &m->x->constants[~i];
}

static void header_value(const struct event *ev, struct bytes name, struct value *out)
{
    *out = VALUE_OF_MISSING;
    for (size_t i = ev->n_headers; i-- > 0;) { // the last of a name, as Kafka's lastHeader
        if (!bytes_eq(ev->headers[i].name, name))
            continue;
        *out = value_of_key(ev->headers[i].value);
        return;
    }
}

static int read_meta(const struct machine *m, const struct insn *i, struct value *out)
{
    const struct event *ev = m->env->event;

    switch ((enum meta)i->a) {
    case META_KEY:
        *out = ev->key;
        return value_force(out, m->env->arena, m->e);
    case META_TIME:
        *out = value_int(ev->time);
        return 0;
    case META_NOW:
        *out = value_int(m->env->now);
        return 0;
    case META_TOPIC:
        *out = ev->offset >= 0 ? value_text(ev->topic) : VALUE_OF_MISSING;
        return 0;
    case META_PARTITION:
        *out = ev->offset >= 0 ? value_int(ev->partition) : VALUE_OF_MISSING;
        return 0;
    case META_OFFSET:
        *out = ev->offset >= 0 ? value_int(ev->offset) : VALUE_OF_MISSING;
        return 0;
    case META_HEADER:
        header_value(ev, operand(m, i->b)->s, out);
        return 0;
    case META_OLD:
        *out = ev->old != NULL ? ev->old->root : VALUE_OF_MISSING;
        return value_force(out, m->env->arena, m->e);
    }
    UNREACHABLE("every meta is read");
}

static int read_root(const struct machine *m, struct value *out)
{
    *out = m->env->event->view.root;
    return value_force(out, m->env->arena, m->e);
}

static int call(const struct machine *m, const struct insn *i, struct value *out)
{
    struct call c = {&m->r[i->dst], i->b, m->env->arena, m->e};
    struct value result;
    int rc = fn_call(m->x->fns[i->a], &c, &result);

    if (rc == 0)
        *out = result;
    return rc;
}

// The comparison of two plain numbers of one type, or whether two texts are equal; false when it is
// not that.
static inline bool compare_fast(enum op op, const struct value *a, const struct value *b,
                                struct value *out)
{
    bool less, equal;

    if (a->type == VALUE_TEXT && b->type == VALUE_TEXT && op >= OP_NE) {
        *out = value_bool(bytes_eq(a->s, b->s) == (op == OP_EQ));
        return true;
    }
    if (a->type == VALUE_FLOAT && b->type == VALUE_FLOAT) {
        less = a->f < b->f;
        equal = a->f == b->f;
    } else if (a->type == VALUE_INT && b->type == VALUE_INT) {
        less = a->i < b->i;
        equal = a->i == b->i;
    } else {
        return false;
    }
    *out = value_bool(op == OP_LT   ? less
                      : op == OP_GT ? !less && !equal
                      : op == OP_LE ? less || equal
                      : op == OP_GE ? !less
                                    : equal == (op == OP_EQ));
    return true;
}

static inline bool float_fast(enum op op, double x, double y, struct value *out)
{
    double r = op == OP_ADD   ? x + y
               : op == OP_SUB ? x - y
               : op == OP_MUL ? x * y
                              : x / y;

    if (!isfinite(r))
        return false;
    out->type = VALUE_FLOAT;
    out->f = r;
    return true;
}

static inline bool int_fast(enum op op, int64_t x, int64_t y, struct value *out)
{
    int64_t r;
    bool over = op == OP_ADD   ? __builtin_add_overflow(x, y, &r)
                : op == OP_SUB ? __builtin_sub_overflow(x, y, &r)
                : op == OP_MUL ? __builtin_mul_overflow(x, y, &r)
                               : true;

    if (over)
        return false;
    out->type = VALUE_INT;
    out->i = r;
    return true;
}

// + - * / of plain numbers; false when it is not that, or when there is an error to be worded.
static inline bool arithmetic_fast(enum op op, const struct value *a, const struct value *b,
                                   struct value *out)
{
    if (a->type == VALUE_FLOAT && b->type == VALUE_FLOAT)
        return float_fast(op, a->f, b->f, out);
    if (a->type == VALUE_FLOAT && b->type == VALUE_INT)
        return float_fast(op, a->f, (double)b->i, out);
    if (a->type == VALUE_INT && b->type == VALUE_FLOAT)
        return float_fast(op, (double)a->i, b->f, out);
    return a->type == VALUE_INT && b->type == VALUE_INT && int_fast(op, a->i, b->i, out);
}

static int binary(const struct machine *m, const struct insn *i, struct value *out)
{
    const struct value *a = operand(m, i->a), *b = operand(m, i->b);
    struct value result;
    int rc;

    if (i->code >= OP_LT && i->code <= OP_EQ && compare_fast((enum op)i->code, a, b, &result)) {
        *out = result;
        return 0;
    }
    if (i->code >= OP_ADD && i->code <= OP_DIV && arithmetic_fast((enum op)i->code, a, b, out))
        return 0;
    rc = op_binary((enum op)i->code, a, b, m->env->arena, &result, m->e);
    if (rc == 0)
        *out = result;
    return rc;
}

static int unary(const struct machine *m, const struct insn *i, struct value *out)
{
    struct value result;
    int rc = op_unary((enum op)i->code, operand(m, i->a), &result, m->e);

    if (rc == 0)
        *out = result;
    return rc;
}

static int index_value(const struct machine *m, const struct insn *i, struct value *out)
{
    struct value result;
    int rc = op_index(operand(m, i->a), operand(m, i->b), m->env->arena, &result, m->e);

    if (rc == 0)
        *out = result;
    return rc;
}

// Everything that is no jump.
static inline int step(const struct machine *m, const struct insn *i)
{
    struct value *dst = &m->r[i->dst];

    switch (i->code) {
    case CODE_MOVE:
        *dst = *operand(m, i->a);
        return 0;
    case CODE_SLOT:
        return view_slot(&m->env->event->view, i->a, dst, m->e);
    case CODE_ROOT:
        return read_root(m, dst);
    case CODE_META:
        return read_meta(m, i, dst);
    case CODE_INDEX:
        return index_value(m, i, dst);
    case CODE_CALL:
        return call(m, i, dst);
    case OP_NOT:
    case OP_NEG:
    case OP_LEN:
        return unary(m, i, dst);
    default:
        return binary(m, i, dst);
    }
}

static int failed(const struct machine *m, const struct insn *i, int rc)
{
    uint32_t length = i->end - i->start;

    return err_wrap(m->e, rc, "%.*s%s", (int)(length < 100 ? length : 100),
                    (const char *)m->x->text.p + i->start, length < 100 ? "" : "...");
}

static int run(const struct machine *m, struct value *out)
{
    const struct insn *code = m->x->code, *i = code;

    for (;;) {
        const struct insn *at = i++;
        int rc;

        switch (at->code) {
        case CODE_JUMP_FALSY:
            i = value_truthy(&m->r[at->a]) ? i : code + at->b;
            break;
        case CODE_JUMP_TRUTHY:
            i = value_truthy(&m->r[at->a]) ? code + at->b : i;
            break;
        case CODE_JUMP_SET:
            i = value_is_nil(&m->r[at->a]) ? i : code + at->b;
            break;
        case CODE_RETURN:
            *out = m->r[at->a];
            return 0;
        default:
            rc = step(m, at);
            if (rc != 0)
                return failed(m, at, rc);
        }
    }
}

int expr_eval(const struct expr *x, const struct expr_env *env, struct value *out, struct err *e)
{
    struct value few[REGISTERS_ON_STACK];
    struct machine m = {x, env, few, e};

    if (x->n_registers > REGISTERS_ON_STACK) {
        m.r = arena_try_alloc(env->arena, (size_t)x->n_registers * sizeof *m.r);
        if (m.r == NULL)
            return err_set(e, LEAT_ENOMEM, "out of memory for an expression");
    }
    return run(&m, out);
}
