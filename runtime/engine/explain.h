// SPDX-License-Identifier: Apache-2.0
//
// The operator tree of a plan, as text for people.
#ifndef LEAT_ENGINE_EXPLAIN_H
#define LEAT_ENGINE_EXPLAIN_H

#include "runtime/engine/plan.h"

// What running a sample through a node has taken.
struct plan_cost {
    int64_t records; // that reached it
    int64_t ns;      // in it alone, all together
};

// One line per operator; with `costs`, one per node or NULL, the nanoseconds per record too.
void plan_explain(const struct plan *p, const struct plan_cost *costs, struct buf *out);

// --- the words of a line (explain_words.c) ---

// "where temperature > 90": what the operator is, without its window.
void explain_what(const struct plan *p, const struct plan_node *n, struct buf *out);
// "window 1m +30s".
void explain_window(const struct plan_window *w, struct buf *out);
// What it keeps, reads and waits for; each with two blanks before it.
void explain_details(const struct plan *p, const struct plan_node *n, struct buf *out);

#endif
