// SPDX-License-Identifier: Apache-2.0
//
// Lua's tokens, as far as expressions have them, and two of our own: $name and ?. Numerals and text
// literals follow Lua 5.4 with one difference: a decimal integer that does not fit into 64 bits is
// an error, not a float.
#include "runtime/expr/ast.h"

#include <math.h>
#include <stdlib.h>

#include "runtime/base/number.h"

static int peek(const struct lexer *x, uint32_t ahead)
{
    return x->at + ahead < x->text.n ? x->text.p[x->at + ahead] : -1;
}

static bool is_digit(int c)
{
    return c >= '0' && c <= '9';
}

static bool is_name(int c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || is_digit(c);
}

static int hex_digit(int c)
{
    if (is_digit(c))
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int bad(const struct lexer *x, uint32_t at, const char *what)
{
    return err_set(x->e, LEAT_EINVAL, "%s near column %u", what, at + 1);
}

static int skip_spaces(struct lexer *x)
{
    for (;;) {
        int c = peek(x, 0);
        if (c == '-' && peek(x, 1) == '-')
            while (peek(x, 0) >= 0 && peek(x, 0) != '\n')
                x->at++;
        else if (c == ' ' || c == '\t' || c == '\n' || c == '\r')
            x->at++;
        else
            return c;
    }
}

// --- numerals ---

static int read_hex(struct lexer *x, struct token *t, struct bytes s)
{
    uint64_t u = 0;
    bool whole = true;
    char copy[64], *end;
    double d;

    for (size_t i = 2; i < s.n && whole; i++) {
        int digit = hex_digit(s.p[i]);
        whole = digit >= 0 && u >> 60 == 0;
        u = u << 4 | (uint64_t)(digit & 15);
    }
    if (whole && s.n > 2) {
        t->value = value_int((int64_t)u);
        return 0;
    }
    if (s.n >= sizeof copy)
        return bad(x, t->start, "malformed number");
    memcpy(copy, s.p, s.n);
    copy[s.n] = 0;
    d = strtod(copy, &end);
    if (*end != 0 || !isfinite(d) || (strpbrk(copy, ".pP") == NULL))
        return bad(x, t->start, "malformed number");
    t->value = value_float(d);
    return 0;
}

// Lua allows 5. and .5 and 007; what number_parse_float reads is JSON's form of the same.
static int read_real(struct lexer *x, struct token *t, struct bytes s)
{
    uint8_t *json = arena_alloc(x->arena, 2 * s.n + 1); // each of its dots may get a digit
    size_t n = 0, i = 0;
    double d;

    while (i + 1 < s.n && s.p[i] == '0' && is_digit(s.p[i + 1]))
        i++;
    if (s.p[i] == '.')
        json[n++] = '0';
    for (; i < s.n; i++) {
        json[n++] = s.p[i];
        if (s.p[i] == '.' && s.n > 1 && (i + 1 == s.n || !is_digit(s.p[i + 1])))
            json[n++] = '0';
    }
    if (number_parse_float(bytes_of(json, n), &d) != 0)
        return bad(x, t->start, "malformed number");
    t->value = value_float(d);
    return 0;
}

static int read_number(struct lexer *x, struct token *t)
{
    bool hex = peek(x, 0) == '0' && (peek(x, 1) | 0x20) == 'x', real = false;
    struct bytes s;
    int64_t i;

    for (;; x->at++) {
        int c = peek(x, 0), folded = c | 0x20;
        if ((c == '+' || c == '-') && x->at > t->start) {
            int before = x->text.p[x->at - 1] | 0x20;
            if (before != (hex ? 'p' : 'e'))
                break;
        } else if (!is_name(c) && c != '.') {
            break;
        }
        real = real || c == '.' || (!hex && folded == 'e');
    }
    s = bytes_of(x->text.p + t->start, x->at - t->start);
    t->kind = TOKEN_CONST;
    if (hex)
        return read_hex(x, t, s);
    if (real)
        return read_real(x, t, s);
    switch (number_parse_int(s, &i)) {
    case 0:
        t->value = value_int(i);
        return 0;
    case LEAT_ERANGE:
        return bad(x, t->start, "integer does not fit into 64 bits");
    default:
        return bad(x, t->start, "malformed number");
    }
}

// --- text ---

static size_t put_utf8(uint32_t c, uint8_t *to)
{
    size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;

    if (n == 1) {
        to[0] = (uint8_t)c;
        return 1;
    }
    for (size_t i = n - 1; i > 0; i--, c >>= 6)
        to[i] = (uint8_t)(0x80 | (c & 0x3f));
    to[0] = (uint8_t)((0xf00 >> n & 0xff) | c);
    return n;
}

// \u{XXX}; the braces and the digits.
static int read_unicode(struct lexer *x, uint8_t *to, size_t *n)
{
    uint32_t c = 0;
    bool any = false;

    if (peek(x, 0) != '{')
        return bad(x, x->at, "missing '{' in \\u{XXXX}");
    for (x->at++; hex_digit(peek(x, 0)) >= 0; x->at++, any = true) {
        c = c << 4 | (uint32_t)hex_digit(peek(x, 0));
        if (c > 0x10ffff)
            return bad(x, x->at, "UTF-8 value too large");
    }
    if (!any || peek(x, 0) != '}')
        return bad(x, x->at, "malformed \\u{XXXX}");
    x->at++;
    *n += put_utf8(c, to + *n);
    return 0;
}

// \ddd: up to three decimal digits.
static int read_decimal_escape(struct lexer *x, uint8_t *to, size_t *n)
{
    int c = 0;

    for (int i = 0; i < 3 && is_digit(peek(x, 0)); i++, x->at++)
        c = c * 10 + (peek(x, 0) - '0');
    if (c > 255)
        return bad(x, x->at, "decimal escape too large");
    to[(*n)++] = (uint8_t)c;
    return 0;
}

// x->at stands behind the backslash.
static int read_escape(struct lexer *x, uint8_t *to, size_t *n)
{
    static const char names[] = "abfnrtv\\\"'\n", means[] = "\a\b\f\n\r\t\v\\\"'\n";
    int c = peek(x, 0), high, low;
    const char *found = c > 0 ? strchr(names, c) : NULL;

    if (is_digit(c))
        return read_decimal_escape(x, to, n);
    x->at++;
    if (found != NULL) {
        to[(*n)++] = (uint8_t)means[found - names];
        return 0;
    }
    switch (c) {
    case 'u':
        return read_unicode(x, to, n);
    case 'x':
        high = hex_digit(peek(x, 0));
        low = hex_digit(peek(x, 1));
        if (high < 0 || low < 0)
            return bad(x, x->at, "hexadecimal digit expected");
        to[(*n)++] = (uint8_t)(high << 4 | low);
        x->at += 2;
        return 0;
    case 'z':
        while (peek(x, 0) == ' ' || (peek(x, 0) >= '\t' && peek(x, 0) <= '\r'))
            x->at++;
        return 0;
    default:
        return bad(x, x->at - 1, "invalid escape sequence");
    }
}

static int read_text(struct lexer *x, struct token *t)
{
    int quote = peek(x, 0);
    uint8_t *to = arena_alloc(x->arena, x->text.n - x->at + 8);
    size_t n = 0;

    for (x->at++;;) {
        int c = peek(x, 0), rc;
        if (c < 0 || c == '\n')
            return bad(x, t->start, "unfinished text");
        x->at++;
        if (c == quote)
            break;
        if (c != '\\') {
            to[n++] = (uint8_t)c;
            continue;
        }
        rc = read_escape(x, to, &n);
        if (rc != 0)
            return rc;
    }
    t->kind = TOKEN_CONST;
    t->value = value_text(bytes_of(to, n));
    return 0;
}

// --- operators ---

static const char *const op_texts[] = {
    [OP_NONE] = "",  [OP_OR] = "or",     [OP_AND] = "and",   [OP_LT] = "<",
    [OP_GT] = ">",   [OP_LE] = "<=",     [OP_GE] = ">=",     [OP_NE] = "~=",
    [OP_EQ] = "==",  [OP_CONCAT] = "..", [OP_ADD] = "+",     [OP_SUB] = "-",
    [OP_MUL] = "*",  [OP_DIV] = "/",     [OP_IDIV] = "//",   [OP_MOD] = "%",
    [OP_POW] = "^",  [OP_NOT] = "not",   [OP_NEG] = "-",     [OP_LEN] = "#",
    [OP_OPEN] = "(", [OP_CLOSE] = ")",   [OP_BRACKET] = "[", [OP_UNBRACKET] = "]",
    [OP_DOT] = ".",  [OP_COMMA] = ",",
};

const char *op_text(enum op op)
{
    ASSERT((size_t)op < ARRAY_LEN(op_texts));
    return op_texts[op];
}

// The longest operator that the text goes on with.
static enum op find_op(const struct lexer *x)
{
    enum op found = OP_NONE;
    struct bytes rest = bytes_of(x->text.p + x->at, x->text.n - x->at);

    for (size_t i = OP_LT; i < ARRAY_LEN(op_texts); i++)
        if (i != OP_NOT && i != OP_NEG && bytes_starts(rest, bytes_str(op_texts[i])) &&
            strlen(op_texts[i]) > strlen(op_texts[found]))
            found = (enum op)i;
    return found;
}

static enum op word_op(struct bytes word)
{
    if (bytes_eq_str(word, "and"))
        return OP_AND;
    if (bytes_eq_str(word, "or"))
        return OP_OR;
    return bytes_eq_str(word, "not") ? OP_NOT : OP_NONE;
}

// What other languages write where Lua has a word or another sign.
static const char *meant(const struct lexer *x, int c)
{
    switch (c) {
    case '=':
        return " (equal is written ==)";
    case '!':
        return peek(x, 1) == '=' ? " (not equal is written ~=)" : " (write not)";
    case '&':
        return " (write and)";
    case '|':
        return " (write or)";
    default:
        return "";
    }
}

static struct bytes read_name(struct lexer *x)
{
    uint32_t start = x->at;

    while (is_name(peek(x, 0)))
        x->at++;
    return bytes_of(x->text.p + start, x->at - start);
}

static void read_word(struct lexer *x, struct token *t)
{
    t->name = read_name(x);
    t->op = word_op(t->name);
    t->kind = t->op != OP_NONE ? TOKEN_OP : TOKEN_NAME;
    if (bytes_eq_str(t->name, "true") || bytes_eq_str(t->name, "false")) {
        t->kind = TOKEN_CONST;
        t->value = value_bool(t->name.p[0] == 't');
    } else if (bytes_eq_str(t->name, "nil")) {
        t->kind = TOKEN_CONST;
        t->value = VALUE_OF_NULL;
    }
}

static int read_token(struct lexer *x, struct token *t, int c)
{
    if (c < 0)
        return 0;
    if (is_digit(c) || (c == '.' && is_digit(peek(x, 1))))
        return read_number(x, t);
    if (c == '\'' || c == '"')
        return read_text(x, t);
    if (is_name(c)) {
        read_word(x, t);
        return 0;
    }
    if (c == '$') {
        x->at++;
        t->kind = TOKEN_META;
        t->name = read_name(x);
        return 0;
    }
    if (c == '?') {
        x->at++;
        t->kind = TOKEN_BIND;
        return 0;
    }
    t->op = find_op(x);
    if (t->op == OP_NONE)
        return err_set(x->e, LEAT_EINVAL, "unexpected '%c' near column %u%s",
                       c >= 0x20 && c < 0x7f ? c : '?', x->at + 1, meant(x, c));
    t->kind = TOKEN_OP;
    x->at += (uint32_t)strlen(op_text(t->op));
    return 0;
}

int lexer_next(struct lexer *x, struct token *out)
{
    int c = skip_spaces(x), rc;

    *out = (struct token){.kind = TOKEN_END, .start = x->at};
    rc = read_token(x, out, c);
    out->end = x->at;
    return rc;
}
