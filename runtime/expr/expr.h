// SPDX-License-Identifier: Apache-2.0
//
// The expression language: Lua's expression grammar over the fields of a record, without functions
// and tables.
//
//   temperature > ? and $header.site ~= nil   ? is the next bound constant, $x the record's own
//   items[1].sku .. '-' .. upper(kind)        paths, elements from 1, native pure functions
//   $time - dur'5m' > time'2026-01-01'        integers, in milliseconds
//
// A text is compiled once (at load) and evaluated per record. nil propagates through comparison,
// arithmetic, .. and functions; == and ~= are two-valued; `not nil` is nil; integers trap on
// overflow instead of wrapping. An expression is immutable after compiling: threads may share it,
// each with its own env.
#ifndef LEAT_EXPR_EXPR_H
#define LEAT_EXPR_EXPR_H

#include "runtime/record/event.h"
#include "runtime/record/type.h"

struct expr;

struct expr_env {
    struct event *event; // the current record; its views memoise what is read
    int64_t now;         // $now: the step's clock, ms
    struct arena *arena; // results and temporaries live here
};

// The ? constants, in order. Copied by expr_compile. int, float, decimal, text, bytes, bool and
// nil.
struct expr_binds {
    const struct value *values;
    int n;
};

// Compiles `text`. The paths over the value are added to `plan`, which must be the plan of the
// views that the expression will see; with NULL they are resolved by walking, record by record
// (slower, same results). binds may be NULL for none. LEAT_EINVAL with a sentence such as
//   expression "temperature >": unexpected 'end of expression' near column 14
int expr_compile(struct expr **out, struct bytes text, const struct expr_binds *binds,
                 struct fieldplan *plan, struct err *e) LEAT_CHECKED;
// What the expression is about. A type that is NULL is not known; those given live longer than the
// expression.
struct expr_scope {
    struct fieldplan *plan; // as above
    const struct type *value, *old, *key;
};
// The same with types: a path that the record does not have is refused, and so is what can be right
// for no record, such as
//   expression "temprature > 90": schema reading has no field 'temprature' near column 1 (did ...)
int expr_compile_typed(struct expr **out, struct bytes text, const struct expr_binds *binds,
                       const struct expr_scope *scope, struct err *e) LEAT_CHECKED;
// What is known of the result.
const struct type *expr_type(const struct expr *x);
void expr_free(struct expr *x); // NULL is fine

// LEAT_ETYPE (wrong types, overflow, integer division by zero), LEAT_ENUMBER (an input number that
// does not fit, a result that is not finite), LEAT_ETIME, LEAT_ENOMEM. The text names the part:
// "temperature > 90: cannot ...".
int expr_eval(const struct expr *x, const struct expr_env *env, struct value *out,
              struct err *e) LEAT_CHECKED;

// The expression as it was written. Borrowed from x.
struct bytes expr_text(const struct expr *x);
// Whether it is nothing but a path over the value; then `last_name` (may be NULL) is its last name:
// "a.b" gives b, "items[1]" gives items. For naming columns. Borrowed from x.
bool expr_is_path(const struct expr *x, struct bytes *last_name);
// Whether it is a constant, such as "'placed'" or "?"; then `v` (may be NULL) is it.
bool expr_is_constant(const struct expr *x, struct value *v);
// Canonical text with the bound constants in place: equal for equal meaning of the text, for
// fingerprints.
void expr_normalised(const struct expr *x, struct buf *out);
// The paths over the value that it reads, as text ("asset.site", "items[1].sku"); i from 0. For
// explain and for checking names against a schema. A path that ends in a computed index is listed
// up to it.
int expr_paths(const struct expr *x);
struct bytes expr_path(const struct expr *x, int i);

#endif
