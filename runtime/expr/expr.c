// SPDX-License-Identifier: Apache-2.0
//
// Expressions from the outside: compile (parse, make code, keep the canonical text), ask, free.
// Everything that belongs to an expression lives in its one arena.
#include "runtime/expr/expr.h"

#include "runtime/base/heap.h"
#include "runtime/base/limits.h"
#include "runtime/expr/code.h"

static void list_paths(struct expr *x, const struct node *n)
{
    struct buf text = BUF_EMPTY;
    int i = 0;

    for (int k = 0; k < n->n_args; k++)
        list_paths(x, n->args[k]);
    if (n->kind != NODE_PATH)
        return;
    node_print(n, &text);
    while (i < x->n_paths && !bytes_eq(x->paths[i], buf_bytes(&text)))
        i++;
    if (i == x->n_paths)
        x->paths[x->n_paths++] = arena_copy(&x->arena, buf_bytes(&text));
    buf_deinit(&text);
}

static int count_paths(const struct node *n)
{
    int count = n->kind == NODE_PATH;

    for (int i = 0; i < n->n_args; i++)
        count += count_paths(n->args[i]);
    return count;
}

static void describe(struct expr *x)
{
    struct buf text = BUF_EMPTY;

    node_print(x->tree, &text);
    x->normalised = arena_copy(&x->arena, buf_bytes(&text));
    buf_deinit(&text);
    x->paths = arena_alloc(&x->arena, (size_t)count_paths(x->tree) * sizeof *x->paths);
    list_paths(x, x->tree);
}

static const struct type *or_any(const struct type *t)
{
    return t != NULL ? t : &type_any;
}

static int compile(struct expr *x, const struct expr_binds *binds, const struct expr_scope *scope,
                   struct err *e)
{
    struct parser p = {
        .lexer = {.text = x->text, .arena = &x->arena, .e = e},
        .binds = binds,
        .scope = {scope->plan, or_any(scope->value), or_any(scope->old), or_any(scope->key)},
        .arena = &x->arena,
        .e = e,
    };
    struct node *tree;
    int rc;

    if (x->text.n > EXPR_BYTES_MAX)
        return err_set(e, LEAT_EINVAL, "longer than %d bytes", EXPR_BYTES_MAX);
    if (!bytes_is_utf8(x->text))
        return err_set(e, LEAT_EINVAL, "not UTF-8");
    rc = parser_run(&p, &tree);
    if (rc != 0)
        return rc;
    x->tree = tree;
    rc = code_make(x, scope->plan, e);
    if (rc == 0)
        describe(x);
    return rc;
}

int expr_compile(struct expr **out, struct bytes text, const struct expr_binds *binds,
                 struct fieldplan *plan, struct err *e)
{
    return expr_compile_typed(out, text, binds, &(struct expr_scope){.plan = plan}, e);
}

int expr_compile_typed(struct expr **out, struct bytes text, const struct expr_binds *binds,
                       const struct expr_scope *scope, struct err *e)
{
    struct expr *x = heap_zalloc(sizeof *x);
    struct err local = {0};
    int rc;

    arena_init(&x->arena);
    x->text = arena_copy(&x->arena, text);
    rc = compile(x, binds, scope, &local);
    if (rc == 0) {
        *out = x;
        return 0;
    }
    if (e != NULL)
        *e = local;
    rc = err_wrap(e, rc, "expression \"%.*s%s\"", (int)(text.n < 200 ? text.n : 200),
                  text.n > 0 ? (const char *)text.p : "", text.n < 200 ? "" : "...");
    expr_free(x);
    *out = NULL;
    return rc;
}

void expr_free(struct expr *x)
{
    if (x == NULL)
        return;
    arena_deinit(&x->arena);
    heap_free(x);
}

const struct type *expr_type(const struct expr *x)
{
    return x->tree->type;
}

struct bytes expr_text(const struct expr *x)
{
    return x->text;
}

bool expr_is_path(const struct expr *x, struct bytes *last_name)
{
    if (x->tree->kind != NODE_PATH)
        return false;
    for (size_t i = x->tree->n_steps; last_name != NULL && i-- > 0;) {
        *last_name = x->tree->steps[i].name;
        if (!bytes_is_null(*last_name))
            break;
    }
    return true;
}

bool expr_is_constant(const struct expr *x, struct value *v)
{
    if (x->tree->kind != NODE_CONST)
        return false;
    if (v != NULL)
        *v = x->tree->value;
    return true;
}

void expr_normalised(const struct expr *x, struct buf *out)
{
    buf_append_bytes(out, x->normalised);
}

int expr_paths(const struct expr *x)
{
    return x->n_paths;
}

struct bytes expr_path(const struct expr *x, int i)
{
    ASSERT(i >= 0 && i < x->n_paths);
    return x->paths[i];
}
