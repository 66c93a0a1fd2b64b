// SPDX-License-Identifier: Apache-2.0
//
// Values against a type that was declared. What a record carries in another form than it is read in
// is converted on the way, so that everybody behind sees one form:
//
//   text       text; an integer that 64 bits do not hold is its digits
//   number     a number that 64 bits hold
//   integer    the same, without point and exponent
//   bool       true or false
//   time       ms, or text as datetime_parse takes it: becomes ms
//   decimal    a number or text, exactly: becomes a decimal of the declared scale
//   any, json  anything
//   {...}      an object; fields that are not declared are let through
//   [...]      an array
//
// All but what is marked as optional must be there and not null.
#ifndef LEAT_RECORD_SCHEMA_H
#define LEAT_RECORD_SCHEMA_H

#include "runtime/record/type.h"
#include "runtime/record/view.h"

// LEAT_ESCHEMA with the field's path and what was found there, LEAT_ENUMBER for a number that does
// not fit. *v is replaced where something was converted.
int schema_check(const struct type *t, struct value *v, struct arena *a,
                 struct err *e) LEAT_CHECKED;

// The same for a record that was just scanned; slots are those of t's fields, in its order. A
// tombstone has no fields to check. The original bytes stay as they are.
int schema_check_view(const struct type *t, const int *slots, struct view *v,
                      struct err *e) LEAT_CHECKED;

// A value that was written as JSON and read back: decimals that became text are decimals again
// where the type says so. What does not fit stays as it is.
void schema_restore(const struct type *t, struct value *v, struct arena *a);

#endif
