// SPDX-License-Identifier: Apache-2.0
//
// The typed tree of an expression and what makes it: lexer, parser, functions, operators. Private
// to runtime/expr.
#ifndef LEAT_EXPR_AST_H
#define LEAT_EXPR_AST_H

#include "runtime/expr/expr.h"

// --- tokens ---
enum token_kind {
    TOKEN_END,
    TOKEN_NAME,
    TOKEN_META,  // $name
    TOKEN_CONST, // number or text
    TOKEN_BIND,  // ?
    TOKEN_OP,    // everything else; `op` says which
};

enum op {
    OP_NONE,
    OP_OR,
    OP_AND,
    OP_LT,
    OP_GT,
    OP_LE,
    OP_GE,
    OP_NE,
    OP_EQ,
    OP_CONCAT,
    OP_ADD,
    OP_SUB,
    OP_MUL,
    OP_DIV,
    OP_IDIV,
    OP_MOD,
    OP_POW,
    OP_NOT,
    OP_NEG,
    OP_LEN,
    OP_OPEN,      // (
    OP_CLOSE,     // )
    OP_BRACKET,   // [
    OP_UNBRACKET, // ]
    OP_DOT,
    OP_COMMA,
};

// How an operator is written; "" for OP_NONE.
const char *op_text(enum op op);

struct token {
    enum token_kind kind;
    enum op op;
    uint32_t start, end; // in the text
    struct bytes name;   // of TOKEN_NAME and TOKEN_META
    struct value value;  // of TOKEN_CONST
};

struct lexer {
    struct bytes text;
    uint32_t at;
    struct arena *arena; // texts with escapes
    struct err *e;
};

int lexer_next(struct lexer *x, struct token *out) LEAT_CHECKED;

// --- tree ---
enum meta {
    META_KEY,
    META_TIME,
    META_NOW,
    META_TOPIC,
    META_PARTITION,
    META_OFFSET,
    META_HEADER, // name
    META_OLD,
};

enum node_kind {
    NODE_CONST,  // value
    NODE_PATH,   // steps
    NODE_META,   // meta, name
    NODE_INDEX,  // args[0] [ args[1] ]
    NODE_UNARY,  // op args[0]
    NODE_BINARY, // args[0] op args[1]; and, or included
    NODE_CALL,   // fn(args)
};

struct fn;

struct node {
    enum node_kind kind;
    const struct type *type; // what is known of its value
    enum op op;
    enum meta meta;
    uint32_t start, end; // in the text, for messages
    int depth;           // of the tree below
    int n_args;
    struct node **args;
    const struct fn *fn;
    struct value value;
    struct bytes name;
    struct path_step *steps;
    size_t n_steps;
};

struct parser {
    struct lexer lexer;
    struct token token; // the one that comes next
    const struct expr_binds *binds;
    struct expr_scope scope; // types all set
    int n_bound;
    int depth;
    struct arena *arena;
    struct err *e;
};

// The whole text to a checked, folded tree in the arena.
int parser_run(struct parser *p, struct node **out) LEAT_CHECKED;
// Sets the node's type and refuses what cannot be right for any record. Its parts are done.
int check_node(struct parser *p, struct node *n) LEAT_CHECKED;
int check_path(struct parser *p, struct node *n) LEAT_CHECKED;
// Canonical text.
void node_print(const struct node *n, struct buf *out);

// --- meaning ---
// Operators on values; a, b are forced. and, or are not among them.
int op_unary(enum op op, const struct value *a, struct value *out, struct err *e) LEAT_CHECKED;
int op_binary(enum op op, const struct value *a, const struct value *b, struct arena *arena,
              struct value *out, struct err *e) LEAT_CHECKED;
// What cannot be had of decimals: a float beside one, or a result that is not exact.
int op_not_exact(enum op op, bool with_float, struct err *e);
int op_index(const struct value *of, const struct value *index, struct arena *arena,
             struct value *out, struct err *e) LEAT_CHECKED;

struct call {
    const struct value *args;
    int n;
    struct arena *arena;
    struct err *e;
};

enum gives {
    GIVES_BOOL,
    GIVES_INTEGER,
    GIVES_TIME,
    GIVES_DECIMAL,
    GIVES_NUMBER,
    GIVES_TEXT,
    GIVES_SAME,   // the number type of its argument
    GIVES_WHOLE,  // an integer, but of large floats
    GIVES_ROUND,  // one of the two
    GIVES_EITHER, // one of its arguments
};

struct fn {
    const char *name;
    int n_min, n_max; // n_max < 0: any number
    // One letter per argument, the last one for all after it: t text, n number, i integer, d
    // duration (text or integer), * any; and what the function looks at itself: c text or an array,
    // s text or a number.
    const char *takes;
    enum gives gives;
    bool nil_first_only; // nil propagates from the first argument only
    bool same;           // the arguments are compared with the first
    int (*call)(const struct call *c,
                struct value *out); // NULL: coalesce, which is compiled to jumps
};

// NULL when unknown; then *like says what may have been meant, or is "". In the arena.
const struct fn *fn_find(struct bytes name, struct arena *a, const char **like);
// Checks argument types, propagates nil, calls.
int fn_call(const struct fn *fn, const struct call *c, struct value *out) LEAT_CHECKED;
// What is wrong with a second argument that is a constant, whatever the first will be.
int fn_check_constant(const struct fn *fn, const struct call *c) LEAT_CHECKED;
// What argument i must be: its letter, and in words.
char fn_letter(const struct fn *fn, int i);
const char *fn_wants(const struct fn *fn, int i);

// Lua's patterns with a budget of steps: 1 = matches, 0 = does not, LEAT_ETYPE for a bad pattern or
// too much work.
int pattern_matches(struct bytes text, struct bytes pattern, struct err *e) LEAT_CHECKED;

#endif
