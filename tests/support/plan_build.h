// SPDX-License-Identifier: Apache-2.0
//
// Plans written in C, for tests of the engine without a script. User code is a C function over the
// record's fields.
#ifndef LEAT_TESTS_PLAN_BUILD_H
#define LEAT_TESTS_PLAN_BUILD_H

#include "runtime/engine/plan.h"

typedef int (*plan_build_fn)(void *arg, struct fn_call *c, struct err *e);

struct plan *plan_build(const char *job);
struct plan_expr plan_build_expr(struct plan *p, const char *text);
int plan_build_source(struct plan *p, const char *topic, const char *time);
int plan_build_every(struct plan *p, int64_t interval_ms);
int plan_build_where(struct plan *p, int from, const char *condition);
int plan_build_select(struct plan *p, int from, const char *const *names_and_texts);
int plan_build_set(struct plan *p, int from, const char *name, const char *text);
int plan_build_map(struct plan *p, int from, plan_build_fn call, void *arg);
int plan_build_by(struct plan *p, int from, const char *text);
int plan_build_count(struct plan *p, int from, enum window_kind kind, int64_t size_ms);
int plan_build_into(struct plan *p, int from, const char *table);
int plan_build_to(struct plan *p, int from, enum plan_port port, const char *topic);
int plan_build_changes(struct plan *p, const char *table);
// A second input of the node.
void plan_build_merge(struct plan *p, int node, int from);
// Something that user code may write to, so that its records run in savepoints.
void plan_build_table(struct plan *p, const char *name, const char *body);
// The member as an integer, or -1.
int64_t plan_build_int(struct fn_call *c, const char *name);
// The member's text equals s.
bool plan_build_is(struct fn_call *c, const char *name, const char *s);

#endif
