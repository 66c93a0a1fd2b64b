// SPDX-License-Identifier: Apache-2.0
//
// Cells of table rows from expressions. The rule of absence: a path that the record does not have
// is absent (the column is kept, or takes its default on insert); JSON null, and an expression that
// yields nil, is NULL.
#ifndef LEAT_OPERATORS_CELLS_H
#define LEAT_OPERATORS_CELLS_H

#include "operators/operators.h"

// Evaluates n fields into cells[0..n).
int cells_eval(struct operator *o, const struct plan_field *fields, int n, struct event *ev,
               struct value *cells, struct err *e) LEAT_CHECKED;

// The same for the parts of a key, which may not be nil: LEAT_EKEY.
int key_cells_eval(struct operator *o, const struct plan_field *fields, int n, struct event *ev,
                   struct value *cells, struct err *e) LEAT_CHECKED;

// Puts the name of a field before what is wrong with its expression, unless the expression is that
// name and stands there already. Returns rc.
int cells_blame(struct err *e, int rc, struct bytes name);

// Index of `name` in a table's columns; -1.
int column_find(const char *const *names, int n, struct bytes name);

#endif
