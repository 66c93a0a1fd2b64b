// SPDX-License-Identifier: Apache-2.0
//
// The passes of plan_finish, in the order in which they run. Each assumes those before it.
#ifndef LEAT_ENGINE_PLAN_PASSES_H
#define LEAT_ENGINE_PLAN_PASSES_H

#include "runtime/engine/plan.h"

// What writes a table stands before its changes().
int plan_pass_writers(struct plan *p, struct err *e) LEAT_CHECKED;
// Nodes in topological order (file order where free), inputs renumbered, readers of each port.
int plan_pass_order(struct plan *p, struct err *e) LEAT_CHECKED;
// Field plans of the streams; every expression compiled; native and writes_rows.
int plan_pass_fields(struct plan *p, struct err *e) LEAT_CHECKED;
// Types of what reaches the node, when its inputs are done; of what it emits, when its expressions
// are compiled and the parts of its key have names.
void plan_types_in(struct plan *p, struct plan_node *n);
void plan_types_out(struct plan *p, struct plan_node *n);
// Refuses what is written where it can never fit.
int plan_types_check(struct plan *p, struct plan_node *n, struct err *e) LEAT_CHECKED;
const struct type *plan_part_type(const struct plan_node *by, int i);
const struct type *plan_result_type(struct plan *p, const struct plan_aggregate *a);
// What the table's declaration says of its rows.
const struct type *plan_row_type(struct plan *p, int table);
// Names and types of the parts of the node's key; its inputs are done.
int plan_key_names(struct plan *p, struct plan_node *n, struct err *e) LEAT_CHECKED;
// Operator ids.
int plan_pass_names(struct plan *p, struct err *e) LEAT_CHECKED;
// Tables of aggregates, found or made.
int plan_pass_tables(struct plan *p, struct err *e) LEAT_CHECKED;
// Hashes of what each node means.
void plan_pass_fingerprints(struct plan *p);
// Warnings of what is seldom meant.
void plan_pass_lint(struct plan *p);

void plan_warn(struct plan *p, int line, const char *fmt, ...) LEAT_PRINTF(3, 4);
// "FILE:LINE: in WORD: " before the error's text; LEAT_ELOAD.
int plan_error(const struct plan *p, const struct plan_node *n, int line, struct err *e);
int plan_refuse(const struct plan *p, int line, struct err *e, const char *fmt, ...)
    LEAT_PRINTF(4, 5);

#endif
