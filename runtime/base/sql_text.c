// SPDX-License-Identifier: Apache-2.0
//
// The tokeniser follows SQLite's: double quotes, brackets and backticks quote names, single quotes
// quote text, a quote inside is doubled, "--" runs to the end of the line.
#include "runtime/base/sql_text.h"

#include <string.h>
#include <strings.h>

void sql_lexer_init(struct sql_lexer *l, struct bytes text)
{
    l->p = text.p;
    l->end = text.p + text.n;
}

static bool is_word_byte(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '$' || c >= 0x80;
}

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';
}

// False when a comment does not end.
static bool skip_blank(struct sql_lexer *l)
{
    const uint8_t *p = l->p, *q;

    for (;;) {
        while (p < l->end && is_blank(*p))
            p++;
        if (l->end - p >= 2 && p[0] == '-' && p[1] == '-') {
            q = memchr(p, '\n', (size_t)(l->end - p));
            p = q != NULL ? q : l->end;
        } else if (l->end - p >= 2 && p[0] == '/' && p[1] == '*') {
            q = memmem(p + 2, (size_t)(l->end - p - 2), "*/", 2);
            if (q == NULL)
                return false;
            p = q + 2;
        } else {
            break;
        }
    }
    l->p = p;
    return true;
}

static struct sql_token token(struct sql_lexer *l, enum sql_token_kind kind, const uint8_t *to)
{
    struct sql_token t = {.kind = kind, .text = bytes_of(l->p, (size_t)(to - l->p))};

    l->p = to;
    return t;
}

static struct sql_token quoted(struct sql_lexer *l, const uint8_t *open, enum sql_token_kind kind)
{
    uint8_t close = *open == '[' ? ']' : *open;

    for (const uint8_t *p = open + 1; p < l->end; p++) {
        if (*p != close)
            continue;
        if (close != ']' && p + 1 < l->end && p[1] == close)
            p++;
        else
            return token(l, kind, p + 1);
    }
    return token(l, SQL_BAD, l->end);
}

static struct sql_token number(struct sql_lexer *l)
{
    const uint8_t *p = l->p;

    while (p < l->end && (is_word_byte(*p) || *p == '.' ||
                          ((*p == '+' || *p == '-') && (p[-1] == 'e' || p[-1] == 'E'))))
        p++;
    return token(l, SQL_NUMBER, p);
}

struct sql_token sql_next(struct sql_lexer *l)
{
    const uint8_t *p;

    if (!skip_blank(l))
        return token(l, SQL_BAD, l->end);
    p = l->p;
    if (p >= l->end)
        return (struct sql_token){.kind = SQL_END};
    if (*p == '\'')
        return quoted(l, p, SQL_STRING);
    if ((*p == 'x' || *p == 'X') && p + 1 < l->end && p[1] == '\'')
        return quoted(l, p + 1, SQL_STRING);
    if (*p == '"' || *p == '[' || *p == '`')
        return quoted(l, p, SQL_NAME);
    if ((*p >= '0' && *p <= '9') || (*p == '.' && p + 1 < l->end && p[1] >= '0' && p[1] <= '9'))
        return number(l);
    if (!is_word_byte(*p))
        return token(l, SQL_PUNCT, p + 1);
    while (p < l->end && is_word_byte(*p))
        p++;
    return token(l, SQL_WORD, p);
}

bool sql_is(struct sql_token t, const char *word)
{
    return t.kind == SQL_WORD && t.text.n == strlen(word) &&
           strncasecmp((const char *)t.text.p, word, t.text.n) == 0;
}

bool sql_is_punct(struct sql_token t, char c)
{
    return t.kind == SQL_PUNCT && t.text.p[0] == (uint8_t)c;
}

char *sql_name(struct sql_token t, struct arena *a)
{
    char *s, *to;
    char quote;

    if (t.kind != SQL_NAME && t.kind != SQL_STRING)
        return (char *)arena_copy(a, t.text).p;
    quote = t.text.p[0] == '[' ? ']' : (char)t.text.p[0];
    s = to = (char *)arena_copy(a, bytes_of(t.text.p + 1, t.text.n - 2)).p;
    for (const char *from = s; *from; from++) {
        *to++ = *from;
        if (*from == quote && from[1] == quote)
            from++;
    }
    *to = 0;
    return s;
}

void sql_append(struct buf *out, struct sql_token t)
{
    bool wordy = t.kind != SQL_PUNCT;

    // Operators of two bytes arrive as two tokens: no blank between them.
    if (out->n > 0 && wordy && out->p[out->n - 1] != '(' && out->p[out->n - 1] != ' ' &&
        out->p[out->n - 1] != '.')
        buf_append_byte(out, ' ');
    buf_append_bytes(out, t.text);
}

void sql_append_name(struct buf *out, const char *name)
{
    buf_append_byte(out, '"');
    for (; *name; name++) {
        if (*name == '"')
            buf_append_byte(out, '"');
        buf_append_byte(out, (uint8_t)*name);
    }
    buf_append_byte(out, '"');
}
