// SPDX-License-Identifier: Apache-2.0
//
// Register bytecode. Private to runtime/expr.
//
// An operand is a register (0 and up) or a constant (~index, below 0), so constants are never
// copied. Registers are handed out like a stack: a node's result lands in `dst`, its parts in the
// registers from dst on.
//
//   temperature > 90 and site ~= nil        0  SLOT    r0, slot 0
//                                           1  GT      r0, r0, k0
//                                           2  JFALSY  r0, 5
//                                           3  SLOT    r0, slot 1
//                                           4  NE      r0, r0, k1
//                                           5  RETURN  r0
#ifndef LEAT_EXPR_CODE_H
#define LEAT_EXPR_CODE_H

#include "runtime/expr/ast.h"

// Codes below OP_COMMA are the operators of ast.h: dst = a op b.
enum code {
    CODE_MOVE = OP_COMMA + 1, // dst = a
    CODE_SLOT,                // dst = slot a of the view
    CODE_ROOT,                // dst = the whole value
    CODE_META,                // dst = meta a; constant b is the header's name
    CODE_INDEX,               // dst = a[b]
    CODE_CALL,                // dst = fns[a](b registers from dst on)
    CODE_JUMP_FALSY,          // to b when register a is falsy,
    CODE_JUMP_TRUTHY,         // truthy,
    CODE_JUMP_SET,            // not nil
    CODE_RETURN,              // a
};

struct insn {
    uint16_t code, dst;
    int32_t a, b;
    uint32_t start, end; // what the text says there, for messages
};

struct expr {
    struct arena arena; // everything below
    struct bytes text, normalised;
    const struct node *tree;
    struct insn *code;
    struct value *constants;
    const struct fn **fns;
    int n_code, n_constants, n_fns, n_registers;
    struct bytes *paths;
    int n_paths;
};

// From x->tree; adds to plan (may be NULL).
int code_make(struct expr *x, struct fieldplan *plan, struct err *e) LEAT_CHECKED;

#endif
