// SPDX-License-Identifier: Apache-2.0
//
// Text to tree: a Pratt parser with Lua's own table of binding powers. A node is folded as soon as
// it is made, so that dur'5m' / 1000 is one constant, and checked against what is known of its
// parts: 'x' + 1 does not load.
#include "runtime/expr/ast.h"

#include "runtime/base/limits.h"

// Chains such as a + b + c grow the tree to the left without recursion in the parser, but everyone
// else recurses.
enum { UNARY_POWER = 12, ARGS_MAX = 250 };

// Lua 5.4's lparser.c: left and right binding power; right below left makes an operator right
// associative.
static const struct {
    uint8_t left, right;
} powers[] = {
    [OP_OR] = {1, 1},     [OP_AND] = {2, 2},    [OP_LT] = {3, 3},    [OP_GT] = {3, 3},
    [OP_LE] = {3, 3},     [OP_GE] = {3, 3},     [OP_NE] = {3, 3},    [OP_EQ] = {3, 3},
    [OP_CONCAT] = {9, 8}, [OP_ADD] = {10, 10},  [OP_SUB] = {10, 10}, [OP_MUL] = {11, 11},
    [OP_DIV] = {11, 11},  [OP_IDIV] = {11, 11}, [OP_MOD] = {11, 11}, [OP_POW] = {14, 13},
};

static int parse_expr(struct parser *p, int power, struct node **out);

static int next(struct parser *p)
{
    return lexer_next(&p->lexer, &p->token);
}

static int unexpected(struct parser *p)
{
    const struct token *t = &p->token;

    if (t->kind == TOKEN_END)
        return err_set(p->e, LEAT_EINVAL, "unexpected 'end of expression' near column %u",
                       t->start + 1);
    return err_set(p->e, LEAT_EINVAL, "unexpected '%.*s' near column %u",
                   (int)(t->end - t->start < 40 ? t->end - t->start : 40),
                   (const char *)p->lexer.text.p + t->start, t->start + 1);
}

static bool at_op(const struct parser *p, enum op op)
{
    return p->token.kind == TOKEN_OP && p->token.op == op;
}

static int expect(struct parser *p, enum op op)
{
    return at_op(p, op) ? next(p) : unexpected(p);
}

// --- nodes ---

static struct node *node_new(struct parser *p, enum node_kind kind, uint32_t start, uint32_t end)
{
    struct node *n = arena_zalloc(p->arena, sizeof *n);

    n->kind = kind;
    n->type = &type_any;
    n->start = start;
    n->end = end;
    n->depth = 1;
    return n;
}

static void node_args(struct parser *p, struct node *n, struct node *const *args, int count)
{
    n->args = arena_alloc(p->arena, (size_t)count * sizeof(struct node *));
    n->n_args = count;
    for (int i = 0; i < count; i++) {
        n->args[i] = args[i];
        n->depth = args[i]->depth >= n->depth ? args[i]->depth + 1 : n->depth;
    }
}

// What fails while loading is the expression's fault, whatever it would be for a record.
static int wrong(struct parser *p, const struct node *n, int rc)
{
    uint32_t length = n->end - n->start;
    struct err cause = *p->e;

    if (rc == LEAT_EINVAL || rc == LEAT_ENOMEM) // says where already
        return rc;
    return err_set(p->e, LEAT_EINVAL, "%.*s: %s, near column %u", (int)(length < 80 ? length : 80),
                   (const char *)p->lexer.text.p + n->start, cause.text, n->start + 1);
}

static int fold_call(struct parser *p, const struct node *n, struct value *out)
{
    struct value *args = arena_alloc(p->arena, (size_t)n->n_args * sizeof *args);
    struct call c = {args, n->n_args, p->arena, p->e};

    for (int i = 0; i < n->n_args; i++)
        args[i] = n->args[i]->value;
    return fn_call(n->fn, &c, out);
}

static int check_constant(struct parser *p, const struct node *n)
{
    struct value args[2] = {VALUE_OF_MISSING};

    if (n->kind != NODE_CALL || n->n_args != 2 || n->args[1]->kind != NODE_CONST)
        return 0;
    args[1] = n->args[1]->value;
    return fn_check_constant(n->fn, &(struct call){args, 2, p->arena, p->e});
}

static int fold(struct parser *p, struct node *n)
{
    struct value v;
    int rc;

    for (int i = 0; i < n->n_args; i++)
        if (n->args[i]->kind != NODE_CONST)
            return check_constant(p, n);
    if (n->n_args == 0 || (n->kind == NODE_CALL && n->fn->call == NULL))
        return 0;
    if (n->kind == NODE_UNARY)
        rc = op_unary(n->op, &n->args[0]->value, &v, p->e);
    else if (n->kind == NODE_CALL)
        rc = fold_call(p, n, &v);
    else if (n->kind == NODE_INDEX)
        rc = op_index(&n->args[0]->value, &n->args[1]->value, p->arena, &v, p->e);
    else if (n->op == OP_AND || n->op == OP_OR) {
        v = n->args[value_truthy(&n->args[0]->value) == (n->op == OP_AND)]->value;
        rc = 0;
    } else
        rc = op_binary(n->op, &n->args[0]->value, &n->args[1]->value, p->arena, &v, p->e);
    if (rc != 0)
        return rc;
    n->kind = NODE_CONST;
    n->value = v;
    n->n_args = 0;
    n->depth = 1;
    n->type = type_of_value(&v);
    return 0;
}

static int finish(struct parser *p, struct node *n)
{
    int rc = check_node(p, n);

    if (rc == 0)
        rc = fold(p, n);
    return rc == 0 ? 0 : wrong(p, n, rc);
}

// --- primaries ---

static struct node *path_node(struct parser *p, const struct token *t)
{
    struct node *n = node_new(p, NODE_PATH, t->start, t->end);

    n->steps = arena_zalloc(p->arena, sizeof *n->steps);
    n->steps[0].name = t->name;
    n->n_steps = 1;
    return n;
}

static int parse_bind(struct parser *p, struct node **out)
{
    struct node *n = node_new(p, NODE_CONST, p->token.start, p->token.end);
    int have = p->binds != NULL ? p->binds->n : 0;

    if (p->n_bound >= have)
        return err_set(p->e, LEAT_EINVAL, "too few values: ? number %d has none (%d given)",
                       p->n_bound + 1, have);
    n->value = value_copy(&p->binds->values[p->n_bound++], p->arena);
    n->type = type_of_value(&n->value);
    *out = n;
    return next(p);
}

static const struct type *type_of_meta(const struct parser *p, enum meta meta)
{
    switch (meta) {
    case META_KEY:
        return p->scope.key;
    case META_OLD:
        return p->scope.old;
    case META_TIME:
    case META_NOW:
        return &type_time;
    case META_PARTITION:
    case META_OFFSET:
        return &type_integer;
    case META_TOPIC:
    case META_HEADER:
        return &type_text;
    }
    UNREACHABLE("every meta has a type");
}

static int parse_meta(struct parser *p, struct node **out)
{
    static const char *const names[] = {
        [META_KEY] = "key",
        [META_TIME] = "time",
        [META_NOW] = "now",
        [META_TOPIC] = "topic",
        [META_PARTITION] = "partition",
        [META_OFFSET] = "offset",
        [META_HEADER] = "header",
        [META_OLD] = "old",
    };
    struct node *n = node_new(p, NODE_META, p->token.start, p->token.end);
    size_t i = 0;

    while (i < ARRAY_LEN(names) && !bytes_eq_str(p->token.name, names[i]))
        i++;
    if (i == ARRAY_LEN(names))
        return err_set(p->e, LEAT_EINVAL,
                       "unknown name '$%.*s' near column %u (there are $key $time $now $topic "
                       "$partition $offset $header.x $old.x)",
                       BYTES_FMT(p->token.name), p->token.start + 1);
    n->meta = (enum meta)i;
    n->type = type_of_meta(p, n->meta);
    *out = n;
    return next(p);
}

// The arguments, from '(' or a text literal on: f(a, b), f'x'.
static int parse_args(struct parser *p, struct node **args, int *n)
{
    int rc;

    *n = 0;
    if (p->token.kind == TOKEN_CONST) {
        args[0] = node_new(p, NODE_CONST, p->token.start, p->token.end);
        args[0]->value = p->token.value;
        args[0]->type = &type_text;
        *n = 1;
        return next(p);
    }
    rc = next(p);
    if (rc != 0 || at_op(p, OP_CLOSE))
        return rc != 0 ? rc : next(p);
    for (;;) {
        if (*n == ARGS_MAX)
            return err_set(p->e, LEAT_EINVAL, "more than %d arguments", ARGS_MAX);
        rc = parse_expr(p, 0, &args[(*n)++]);
        if (rc != 0)
            return rc;
        if (!at_op(p, OP_COMMA))
            return expect(p, OP_CLOSE);
        rc = next(p);
        if (rc != 0)
            return rc;
    }
}

static int parse_call(struct parser *p, const struct token *name, struct node **out)
{
    struct node **args = arena_alloc(p->arena, ARGS_MAX * sizeof(struct node *));
    const char *like;
    const struct fn *fn = fn_find(name->name, p->arena, &like);
    struct node *n;
    int count, rc;

    if (fn == NULL)
        return err_set(p->e, LEAT_EINVAL, "unknown function '%.*s' near column %u%s",
                       BYTES_FMT(name->name), name->start + 1, like);
    rc = parse_args(p, args, &count);
    if (rc != 0)
        return rc;
    if (count < fn->n_min || (fn->n_max >= 0 && count > fn->n_max))
        return err_set(
            p->e, LEAT_EINVAL, "%s takes %s%d argument%s, not %d, near column %u", fn->name,
            fn->n_max == fn->n_min ? ""
            : count < fn->n_min    ? "at least "
                                   : "at most ",
            count < fn->n_min ? fn->n_min : fn->n_max,
            (count < fn->n_min ? fn->n_min : fn->n_max) == 1 ? "" : "s", count, name->start + 1);
    n = node_new(p, NODE_CALL, name->start, p->lexer.at);
    n->end = p->token.start;
    while (n->end > n->start && p->lexer.text.p[n->end - 1] == ' ')
        n->end--;
    n->fn = fn;
    node_args(p, n, args, count);
    *out = n;
    return finish(p, n);
}

static int parse_name(struct parser *p, struct node **out)
{
    struct token name = p->token;
    int rc = next(p);

    if (rc != 0)
        return rc;
    if (at_op(p, OP_OPEN) || (p->token.kind == TOKEN_CONST && p->token.value.type == VALUE_TEXT))
        return parse_call(p, &name, out);
    *out = path_node(p, &name);
    return 0;
}

static int parse_parenthesised(struct parser *p, struct node **out)
{
    uint32_t start = p->token.start, end;
    int rc;

    if (!at_op(p, OP_OPEN))
        return unexpected(p);
    rc = next(p);
    if (rc == 0)
        rc = parse_expr(p, 0, out);
    end = p->token.end;
    if (rc == 0)
        rc = expect(p, OP_CLOSE);
    if (rc == 0) { // messages quote it with its parentheses
        (*out)->start = start;
        (*out)->end = end;
    }
    return rc;
}

static int parse_primary(struct parser *p, struct node **out)
{
    struct node *n;

    switch (p->token.kind) {
    case TOKEN_CONST:
        n = node_new(p, NODE_CONST, p->token.start, p->token.end);
        n->value = p->token.value;
        n->type = type_of_value(&n->value);
        *out = n;
        return next(p);
    case TOKEN_BIND:
        return parse_bind(p, out);
    case TOKEN_META:
        return parse_meta(p, out);
    case TOKEN_NAME:
        return parse_name(p, out);
    default:
        return parse_parenthesised(p, out);
    }
}

// --- suffixes: .name and [expr] ---

// Whether the index is a constant that can be a step of a path.
static bool constant_step(const struct node *index, struct path_step *step)
{
    *step = (struct path_step){BYTES_NULL, 0};
    if (index->kind != NODE_CONST)
        return false;
    if (index->value.type == VALUE_TEXT)
        step->name = index->value.s;
    else if (index->value.type == VALUE_INT)
        step->index = index->value.i;
    return index->value.type == VALUE_TEXT || index->value.type == VALUE_INT;
}

static int index_node(struct parser *p, struct node **of, struct node *index, uint32_t end)
{
    struct node *base = *of, *n;
    struct path_step step, *steps;
    int rc;

    if (base->kind == NODE_PATH && constant_step(index, &step)) {
        steps = arena_alloc(p->arena, (base->n_steps + 1) * sizeof *steps);
        memcpy(steps, base->steps, base->n_steps * sizeof *steps);
        steps[base->n_steps++] = step;
        base->steps = steps;
        base->end = end;
        return base->n_steps > EXPR_DEPTH_MAX ? err_set(p->e, LEAT_EINVAL, "nested too deeply") : 0;
    }
    if (base->kind == NODE_META && base->meta == META_HEADER && bytes_is_null(base->name)) {
        if (index->kind != NODE_CONST || index->value.type != VALUE_TEXT)
            return err_set(p->e, LEAT_EINVAL, "$header wants a name: $header.x or $header['x']");
        base->name = index->value.s;
        base->end = end;
        return 0;
    }
    rc = base->kind == NODE_PATH ? check_path(p, base) : 0;
    if (rc != 0)
        return rc;
    n = node_new(p, NODE_INDEX, base->start, end);
    node_args(p, n, (struct node *[]){base, index}, 2);
    *of = n;
    return finish(p, n);
}

static int parse_suffix(struct parser *p, struct node **of)
{
    bool dot = at_op(p, OP_DOT);
    struct node *index;
    uint32_t end;
    int rc = next(p);

    if (rc != 0)
        return rc;
    end = p->token.end;
    if (dot) {
        // A keyword is a fine field name here: what follows a dot can be nothing else.
        if (p->token.name.n == 0 || p->token.kind == TOKEN_META)
            return unexpected(p);
        index = node_new(p, NODE_CONST, p->token.start, p->token.end);
        index->value = value_text(p->token.name);
        index->type = &type_text;
        rc = next(p);
    } else {
        rc = parse_expr(p, 0, &index);
        end = p->token.end;
        if (rc == 0)
            rc = expect(p, OP_UNBRACKET);
    }
    return rc != 0 ? rc : index_node(p, of, index, end);
}

static int parse_suffixed(struct parser *p, struct node **out)
{
    int rc = parse_primary(p, out);

    while (rc == 0 && (at_op(p, OP_DOT) || at_op(p, OP_BRACKET)))
        rc = parse_suffix(p, out);
    if (rc == 0 && (*out)->kind == NODE_META && (*out)->meta == META_HEADER &&
        bytes_is_null((*out)->name))
        return err_set(p->e, LEAT_EINVAL, "$header wants a name: $header.x or $header['x']");
    return rc == 0 && (*out)->kind == NODE_PATH ? check_path(p, *out) : rc;
}

// --- operators ---

static int parse_unary(struct parser *p, struct node **out)
{
    enum op op = p->token.kind != TOKEN_OP ? OP_NONE : p->token.op == OP_SUB ? OP_NEG : p->token.op;
    uint32_t start = p->token.start;
    struct node *operand, *n;
    int rc;

    if (op != OP_NEG && op != OP_NOT && op != OP_LEN)
        return parse_suffixed(p, out);
    rc = next(p);
    if (rc == 0)
        rc = parse_expr(p, UNARY_POWER, &operand);
    if (rc != 0)
        return rc;
    n = node_new(p, NODE_UNARY, start, operand->end);
    n->op = op;
    node_args(p, n, &operand, 1);
    *out = n;
    return finish(p, n);
}

static bool is_binary(const struct parser *p)
{
    return p->token.kind == TOKEN_OP && p->token.op >= OP_OR && p->token.op <= OP_POW;
}

static int parse_binary(struct parser *p, struct node **left)
{
    enum op op = p->token.op;
    struct node *right, *n;
    int rc = next(p);

    if (rc == 0)
        rc = parse_expr(p, powers[op].right, &right);
    if (rc != 0)
        return rc;
    n = node_new(p, NODE_BINARY, (*left)->start, right->end);
    n->op = op;
    node_args(p, n, (struct node *[]){*left, right}, 2);
    *left = n;
    return finish(p, n);
}

// Everything that binds tighter than `power`.
static int parse_expr(struct parser *p, int power, struct node **out)
{
    int rc;

    if (++p->depth > EXPR_DEPTH_MAX)
        return err_set(p->e, LEAT_EINVAL, "nested deeper than %d", EXPR_DEPTH_MAX);
    rc = parse_unary(p, out);
    while (rc == 0 && is_binary(p) && powers[p->token.op].left > power)
        rc = parse_binary(p, out);
    p->depth--;
    return rc;
}

int parser_run(struct parser *p, struct node **out)
{
    int rc = next(p);

    if (rc == 0)
        rc = parse_expr(p, 0, out);
    if (rc == 0 && p->token.kind != TOKEN_END)
        rc = unexpected(p);
    if (rc == 0 && p->binds != NULL && p->n_bound < p->binds->n)
        rc = err_set(p->e, LEAT_EINVAL, "too many values: %d given for %d ?", p->binds->n,
                     p->n_bound);
    return rc;
}
