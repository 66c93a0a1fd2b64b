// SPDX-License-Identifier: Apache-2.0
//
// The canonical text of a tree: one spacing, parentheses around every operation within another,
// constants in place. Equal trees give equal texts, and the text compiles to the same tree again.
#include "runtime/expr/ast.h"

#include "runtime/base/number.h"

static void print_text(struct bytes s, struct buf *out)
{
    buf_append_byte(out, '\'');
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = s.p[i];
        if (c == '\'' || c == '\\')
            buf_append_byte(out, '\\');
        if (c < 0x20 || c == 0x7f)
            buf_printf(out, "\\x%02x", c);
        else
            buf_append_byte(out, c);
    }
    buf_append_byte(out, '\'');
}

static void print_value(const struct value *v, struct buf *out)
{
    char text[NUMBER_TEXT_SIZE];

    switch ((enum value_type)v->type) {
    case VALUE_BOOL:
        buf_append_str(out, v->b ? "true" : "false");
        break;
    case VALUE_INT:
        buf_append(out, text, number_format_int(v->i, text));
        break;
    case VALUE_FLOAT:
        buf_append(out, text, number_format_float(v->f, text));
        break;
    case VALUE_DECIMAL:
        number_format_decimal(v->i, v->scale, text);
        buf_printf(out, "dec'%s'", text);
        break;
    case VALUE_TEXT:
    case VALUE_BYTES:
        print_text(v->s, out);
        break;
    default:
        buf_append_str(out, "nil");
    }
}

static bool is_plain_name(struct bytes s)
{
    static const char *const words[] = {"and", "or", "not", "true", "false", "nil"};

    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = s.p[i], folded = c | 0x20;
        bool digit = c >= '0' && c <= '9';
        if (!(folded >= 'a' && folded <= 'z') && c != '_' && (!digit || i == 0))
            return false;
    }
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (bytes_eq_str(s, words[i]))
            return false;
    return s.n > 0;
}

static void print_member(struct bytes name, struct buf *out)
{
    if (is_plain_name(name)) {
        buf_append_byte(out, '.');
        buf_append_bytes(out, name);
        return;
    }
    buf_append_byte(out, '[');
    print_text(name, out);
    buf_append_byte(out, ']');
}

static void print_path(const struct node *n, struct buf *out)
{
    buf_append_bytes(out, n->steps[0].name);
    for (size_t i = 1; i < n->n_steps; i++) {
        if (bytes_is_null(n->steps[i].name))
            buf_printf(out, "[%lld]", (long long)n->steps[i].index);
        else
            print_member(n->steps[i].name, out);
    }
}

static void print_meta(const struct node *n, struct buf *out)
{
    static const char *const names[] = {"$key",       "$time",   "$now",    "$topic",
                                        "$partition", "$offset", "$header", "$old"};

    buf_append_str(out, names[n->meta]);
    if (n->meta == META_HEADER)
        print_member(n->name, out);
}

static void print_operand(const struct node *n, struct buf *out)
{
    bool negative = n->kind == NODE_CONST && ((n->value.type == VALUE_INT && n->value.i < 0) ||
                                              (n->value.type == VALUE_FLOAT && n->value.f < 0));
    bool compound = n->kind == NODE_UNARY || n->kind == NODE_BINARY || negative;

    if (compound)
        buf_append_byte(out, '(');
    node_print(n, out);
    if (compound)
        buf_append_byte(out, ')');
}

static void print_call(const struct node *n, struct buf *out)
{
    buf_append_str(out, n->fn->name);
    buf_append_byte(out, '(');
    for (int i = 0; i < n->n_args; i++) {
        if (i > 0)
            buf_append_str(out, ", ");
        node_print(n->args[i], out);
    }
    buf_append_byte(out, ')');
}

static void print_index(const struct node *n, struct buf *out)
{
    const struct node *index = n->args[1];

    print_operand(n->args[0], out);
    if (index->kind == NODE_CONST && index->value.type == VALUE_TEXT) {
        print_member(index->value.s, out);
        return;
    }
    buf_append_byte(out, '[');
    node_print(index, out);
    buf_append_byte(out, ']');
}

void node_print(const struct node *n, struct buf *out)
{
    switch (n->kind) {
    case NODE_CONST:
        print_value(&n->value, out);
        return;
    case NODE_PATH:
        print_path(n, out);
        return;
    case NODE_META:
        print_meta(n, out);
        return;
    case NODE_INDEX:
        print_index(n, out);
        return;
    case NODE_UNARY:
        buf_append_str(out, op_text(n->op));
        if (n->op == OP_NOT)
            buf_append_byte(out, ' ');
        print_operand(n->args[0], out);
        return;
    case NODE_BINARY:
        print_operand(n->args[0], out);
        buf_printf(out, " %s ", op_text(n->op));
        print_operand(n->args[1], out);
        return;
    case NODE_CALL:
        print_call(n, out);
        return;
    }
}
