// SPDX-License-Identifier: Apache-2.0
//
// One budget for what the operators of a job hold in memory of their state.
//
// Every operator that keeps state is a cache over its rows. During a step all of them only grow,
// since what a record changed must stay until the step is committed; a step that has brought them
// to `step` bytes ends early, which a step may after any record. After the commit they are brought
// down to `cache` bytes, each by the same share of what it holds. The room between the two is what
// a step has at least, so that steps stay large when the keys are many.
#include "runtime/engine/run.h"

static size_t held(const struct run *r)
{
    size_t n = 0;

    for (int i = 0; i < r->plan->n_nodes; i++)
        if (r->ops[i]->type->held != NULL)
            n += r->ops[i]->type->held(r->ops[i]);
    return n;
}

bool run_is_full(const struct run *r)
{
    return held(r) >= r->memory.step;
}

void run_shrink(struct run *r)
{
    size_t all = held(r);
    double share;

    if (all <= r->memory.cache)
        return;
    share = (double)r->memory.cache / (double)all;
    for (int i = 0; i < r->plan->n_nodes; i++) {
        struct operator* o = r->ops[i];

        if (o->type->held != NULL && o->type->shrink != NULL)
            o->type->shrink(o, (size_t)(share * (double)o->type->held(o)));
    }
}
