// SPDX-License-Identifier: Apache-2.0
//
// Columns and their logical types: how a value becomes a cell of a STRICT table and back.
//
//   declared       stored as   value on the way in                          value on the way out
//   text           TEXT        text                                         text
//   integer, int   INTEGER     integer, or a float without fraction         integer
//   real           REAL        integer, float, decimal                      float
//   blob           BLOB        bytes, text                                  bytes
//   any            ANY         anything; a bool as 0/1, an object as JSON   as stored
//   time           INTEGER     integer ms, ISO-8601 text                    integer ms
//   bool           INTEGER     boolean                                      boolean
//   decimal(p,s)   INTEGER     decimal, integer, text, float: exactly       decimal of scale s
//   json           TEXT        anything, encoded                            decoded
//
// Nothing is coerced silently: what is not listed is LEAT_ETYPE, and the text names the column.
#ifndef LEAT_PROJECTIONS_CELL_H
#define LEAT_PROJECTIONS_CELL_H

#include "runtime/db/db.h"
#include "runtime/record/value.h"

enum logical {
    LOGICAL_ANY,
    LOGICAL_TEXT,
    LOGICAL_INTEGER,
    LOGICAL_REAL,
    LOGICAL_BLOB,
    LOGICAL_TIME,
    LOGICAL_BOOL,
    LOGICAL_DECIMAL,
    LOGICAL_JSON,
};

struct column {
    const char *name;
    const char *type_text; // as in _leat_columns: "decimal(10,2)"
    const char *fallback;  // DEFAULT as SQL; NULL
    enum logical type;
    int precision, scale; // of decimals
    int pk;               // position in the primary key from 1; 0
    bool not_null;
    bool generated;
};

// "decimal(10,2)", "text"...: false for a type that is not ours (SQLite will say what it thinks).
bool logical_parse(struct bytes text, enum logical *type, int *precision, int *scale);
// What stands in CREATE TABLE.
const char *logical_storage(enum logical type);

// Binds a value that is not MISSING. Temporaries live in `tmp` until the statement has run.
int cell_bind(struct db_stmt *s, int i, const struct column *c, const struct value *v,
              struct arena *tmp, struct err *e) LEAT_CHECKED;
// Column i of the current row; copied into the arena. c NULL: as stored.
int cell_read(struct db_stmt *s, int i, const struct column *c, struct arena *a, struct value *out,
              struct err *e) LEAT_CHECKED;
// As shown to people and sent over HTTP: time as ISO text, decimals as text.
int cell_show(struct value *v, const struct column *c, struct arena *a, struct err *e) LEAT_CHECKED;

#endif
