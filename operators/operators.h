// SPDX-License-Identifier: Apache-2.0
//
// What the operators of this folder share: their types, for the table in operators.c, and the few
// lines that more than one of them needs. An operator is one file; its private struct starts with
// `struct operator`.
#ifndef LEAT_OPERATORS_OPERATORS_H
#define LEAT_OPERATORS_OPERATORS_H

#include "runtime/engine/operator.h"

extern const struct operator_type operator_where;
extern const struct operator_type operator_select;
extern const struct operator_type operator_set;
extern const struct operator_type operator_map;
extern const struct operator_type operator_match;
extern const struct operator_type operator_by;
extern const struct operator_type operator_aggregate;
extern const struct operator_type operator_session;
extern const struct operator_type operator_last;
extern const struct operator_type operator_into;
extern const struct operator_type operator_to;
extern const struct operator_type operator_flatmap;
extern const struct operator_type operator_explode;
extern const struct operator_type operator_split;
extern const struct operator_type operator_merge;
extern const struct operator_type operator_dedupe;
extern const struct operator_type operator_changes;
extern const struct operator_type operator_process;
extern const struct operator_type operator_join;

// The event with another value. The view has no field plan: whoever receives it brings their own.
struct event event_with_value(const struct event *ev, struct value v, struct arena *a);

// Whether the stream that reaches the node is a topic of rows (changelog = true), changed at most
// by operators that keep the value's meaning. There a nil value is a delete, and travels.
bool plan_is_changelog(const struct plan *p, const struct plan_node *n);

// The parts of a key: one for a scalar, the items of an array. None when the event is keyless.
int event_key_parts(const struct event *ev, const struct value **parts);

#endif
