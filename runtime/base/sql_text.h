// SPDX-License-Identifier: Apache-2.0
//
// SQL as tokens, just enough to find types, conflict clauses and the ends of things; SQLite itself
// is the parser. Comments and blanks are skipped. Nothing is copied: tokens point into the text.
#ifndef LEAT_BASE_SQL_TEXT_H
#define LEAT_BASE_SQL_TEXT_H

#include "runtime/base/arena.h"
#include "runtime/base/buf.h"

enum sql_token_kind {
    SQL_END,
    SQL_WORD,   // identifier or keyword
    SQL_NAME,   // "quoted", [quoted] or `quoted` identifier
    SQL_STRING, // 'text' or x'00'
    SQL_NUMBER,
    SQL_PUNCT, // one byte
    SQL_BAD,   // a string, name or comment that does not end
};

struct sql_token {
    enum sql_token_kind kind;
    struct bytes text;
};

struct sql_lexer {
    const uint8_t *p, *end;
};

void sql_lexer_init(struct sql_lexer *l, struct bytes text);
struct sql_token sql_next(struct sql_lexer *l);

// Whether the token is this keyword, in any case.
bool sql_is(struct sql_token t, const char *word);
bool sql_is_punct(struct sql_token t, char c);
// The identifier without its quotes, in the arena.
char *sql_name(struct sql_token t, struct arena *a);
// Appends the token, with a blank before it where the text would run together.
void sql_append(struct buf *out, struct sql_token t);
// Appends a name in double quotes.
void sql_append_name(struct buf *out, const char *name);

#endif
