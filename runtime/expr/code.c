// SPDX-License-Identifier: Apache-2.0
//
// Tree to bytecode, in one walk. Room is counted first, so that the arrays never move.
#include "runtime/expr/code.h"

enum { REGISTERS_MAX = 60000 };

struct maker {
    struct expr *x;
    struct fieldplan *plan;
    struct err *e;
};

static int make(struct maker *m, const struct node *n, int dst);

// An upper bound of instructions, constants and functions for the tree.
static int count_nodes(const struct node *n)
{
    int count = 3 + (int)n->n_steps * 2;

    for (int i = 0; i < n->n_args; i++)
        count += 2 + count_nodes(n->args[i]);
    return count;
}

static struct insn *emit(struct maker *m, int code, int dst, int32_t a, int32_t b)
{
    struct insn *i = &m->x->code[m->x->n_code++];

    *i = (struct insn){.code = (uint16_t)code, .dst = (uint16_t)dst, .a = a, .b = b};
    if (dst >= m->x->n_registers)
        m->x->n_registers = dst + 1;
    return i;
}

static void mark(struct insn *i, const struct node *n)
{
    i->start = n->start;
    i->end = n->end;
}

static int32_t constant(struct maker *m, struct value v)
{
    m->x->constants[m->x->n_constants] = v;
    return ~(m->x->n_constants++);
}

// Where the node's value is found: a constant, or register dst after code to put it there.
static int operand(struct maker *m, const struct node *n, int dst, int32_t *where)
{
    if (n->kind == NODE_CONST) {
        *where = constant(m, n->value);
        return 0;
    }
    *where = dst;
    return make(m, n, dst);
}

static int make_path(struct maker *m, const struct node *n, int dst)
{
    struct insn *i;

    if (m->plan != NULL) {
        i = emit(m, CODE_SLOT, dst, fieldplan_add(m->plan, n->steps, n->n_steps), 0);
        mark(i, n);
        return 0;
    }
    mark(emit(m, CODE_ROOT, dst, 0, 0), n);
    for (size_t k = 0; k < n->n_steps; k++) {
        const struct path_step *step = &n->steps[k];
        struct value index =
            bytes_is_null(step->name) ? value_int(step->index) : value_text(step->name);
        mark(emit(m, CODE_INDEX, dst, dst, constant(m, index)), n);
    }
    return 0;
}

static int make_binary(struct maker *m, const struct node *n, int dst)
{
    int32_t a, b;
    struct insn *jump;
    int rc;

    if (n->op == OP_AND || n->op == OP_OR) {
        rc = make(m, n->args[0], dst);
        if (rc != 0)
            return rc;
        jump = emit(m, n->op == OP_AND ? CODE_JUMP_FALSY : CODE_JUMP_TRUTHY, dst, dst, 0);
        rc = make(m, n->args[1], dst);
        jump->b = m->x->n_code;
        return rc;
    }
    rc = operand(m, n->args[0], dst, &a);
    if (rc == 0)
        rc = operand(m, n->args[1], dst + 1, &b);
    if (rc == 0)
        mark(emit(m, (int)n->op, dst, a, b), n);
    return rc;
}

// The first argument that is not nil; those behind it are not looked at.
static int make_coalesce(struct maker *m, const struct node *n, int dst)
{
    int first = m->x->n_code;

    for (int i = 0; i < n->n_args; i++) {
        int rc = make(m, n->args[i], dst);
        if (rc != 0)
            return rc;
        if (i + 1 < n->n_args)
            emit(m, CODE_JUMP_SET, dst, dst, -1);
    }
    for (int i = first; i < m->x->n_code; i++)
        if (m->x->code[i].code == CODE_JUMP_SET && m->x->code[i].b == -1)
            m->x->code[i].b = m->x->n_code;
    return 0;
}

static int make_call(struct maker *m, const struct node *n, int dst)
{
    struct insn *call;

    if (n->fn->call == NULL)
        return make_coalesce(m, n, dst);
    for (int i = 0; i < n->n_args; i++) {
        int rc = make(m, n->args[i], dst + i);
        if (rc != 0)
            return rc;
    }
    m->x->fns[m->x->n_fns] = n->fn;
    call = emit(m, CODE_CALL, dst, m->x->n_fns++, n->n_args);
    mark(call, n);
    return 0;
}

static int make_index(struct maker *m, const struct node *n, int dst)
{
    int32_t of, index;
    int rc = operand(m, n->args[0], dst, &of);

    if (rc == 0)
        rc = operand(m, n->args[1], dst + 1, &index);
    if (rc == 0)
        mark(emit(m, CODE_INDEX, dst, of, index), n);
    return rc;
}

static int make(struct maker *m, const struct node *n, int dst)
{
    int32_t a;
    int rc;

    if (dst >= REGISTERS_MAX)
        return err_set(m->e, LEAT_EINVAL, "too large");
    switch (n->kind) {
    case NODE_CONST:
        emit(m, CODE_MOVE, dst, constant(m, n->value), 0);
        return 0;
    case NODE_PATH:
        return make_path(m, n, dst);
    case NODE_META:
        a = n->meta == META_HEADER ? constant(m, value_text(n->name)) : 0;
        mark(emit(m, CODE_META, dst, (int32_t)n->meta, a), n);
        return 0;
    case NODE_INDEX:
        return make_index(m, n, dst);
    case NODE_UNARY:
        rc = operand(m, n->args[0], dst, &a);
        if (rc == 0)
            mark(emit(m, (int)n->op, dst, a, 0), n);
        return rc;
    case NODE_BINARY:
        return make_binary(m, n, dst);
    case NODE_CALL:
        return make_call(m, n, dst);
    }
    UNREACHABLE("every node has code");
}

int code_make(struct expr *x, struct fieldplan *plan, struct err *e)
{
    struct maker m = {x, plan, e};
    size_t room = (size_t)count_nodes(x->tree) + 1;
    int rc;

    x->code = arena_alloc(&x->arena, room * sizeof *x->code);
    x->constants = arena_alloc(&x->arena, room * sizeof *x->constants);
    x->fns = arena_alloc(&x->arena, room * sizeof *x->fns);
    rc = make(&m, x->tree, 0);
    if (rc == 0)
        emit(&m, CODE_RETURN, 0, 0, 0);
    return rc;
}
