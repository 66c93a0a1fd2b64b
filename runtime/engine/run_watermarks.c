// SPDX-License-Identifier: Apache-2.0
//
// The way of a watermark. Nodes stand in topological order, so one pass from front to back gives
// each operator the minimum of its inputs after those have closed and emitted everything that was
// due. An operator that waits for nothing is not called; one that pauses ends the pass.
#include "runtime/engine/run.h"

static int64_t min_of_inputs(const struct run *r, int node)
{
    const struct plan_node *n = &r->plan->nodes[node];
    int64_t w = run_keeps_time(r, node) ? run_time(r, NULL) : INT64_MAX;

    for (int i = 0; i < n->n_inputs; i++) {
        int64_t v = r->ops[n->inputs[i].node]->watermark;
        w = v < w ? v : w;
    }
    return w;
}

static int close_due(struct run *r, struct operator* o, int64_t w, struct err *e)
{
    int rc = 0;

    if (o->type->watermark != NULL && (o->type->due == NULL || o->type->due(o) <= w)) {
        r->closing = true;
        rc = o->type->watermark(o, w, e);
        r->closing = false;
        r->n_undo = 0; // closing is the step's, not a record's
        r->undo_bytes.n = 0;
        if (rc != 0 && r->guilty == NULL)
            r->guilty = o->node;
    }
    if (!r->paused)
        o->watermark = w;
    return rc;
}

int run_watermark(struct run *r, int source, int64_t w, struct err *e)
{
    return r->expires ? run_expire_to(r, source, w, e) : run_pass(r, source, w, e);
}

int run_pass(struct run *r, int source, int64_t w, struct err *e)
{
    struct operator* s = r->ops[source];

    ASSERT(w >= s->watermark);
    s->watermark = w;
    if (r->expires)
        r->store->tables->watermark = run_time(r, NULL);
    if (!r->closes)
        return 0;
    r->guilty = NULL;
    for (int i = r->expires ? 0 : source + 1; i < r->plan->n_nodes; i++) {
        const struct plan_node *n = &r->plan->nodes[i];
        int64_t at;
        int rc;

        if (n->n_inputs == 0)
            continue;
        at = n->n_inputs == 1 && n->kind != NODE_CHANGES ? r->ops[n->inputs[0].node]->watermark
                                                         : min_of_inputs(r, i);
        if (at <= r->ops[i]->watermark)
            continue;
        rc = close_due(r, r->ops[i], at, e);
        if (rc != 0 || r->paused)
            return rc;
    }
    return 0;
}

static bool is_due(const struct operator* o)
{
    return o->type->watermark != NULL && o->type->due != NULL && o->type->due(
               (struct operator*)o) <= o->watermark;
}

// One that has paused, and those behind it, are not where their inputs are.
int run_catch_up(struct run *r, struct err *e)
{
    r->overdue = false;
    for (int i = 0; r->closes && i < r->plan->n_nodes && !r->paused; i++) {
        struct operator* o = r->ops[i];
        int64_t at = r->plan->nodes[i].n_inputs > 0 ? min_of_inputs(r, i) : o->watermark;
        int rc;

        if (at <= o->watermark && !is_due(o))
            continue;
        rc = close_due(r, o, at > o->watermark ? at : o->watermark, e);
        if (rc != 0)
            return rc;
    }
    return 0;
}

void run_place_watermarks(struct run *r)
{
    if (r->expires)
        r->store->tables->watermark = run_time(r, NULL);
    for (int i = 0; i < r->plan->n_nodes; i++)
        if (r->plan->nodes[i].n_inputs > 0)
            r->ops[i]->watermark = min_of_inputs(r, i);
}

// An error comes up again, with its words, in the step.
static int64_t rows_due(const struct run *r, int64_t w)
{
    struct tables *t = r->store->tables;
    int64_t at = INT64_MAX;

    if (r->expires && t->ops->due(t, w, &at, NULL) != 0)
        return INT64_MIN;
    return at;
}

bool run_would_close(const struct run *r, const int64_t *w, int64_t *scratch)
{
    for (int i = 0; i < r->plan->n_nodes; i++) {
        const struct plan_node *n = &r->plan->nodes[i];
        struct operator* o = r->ops[i];

        scratch[i] = n->n_inputs == 0 ? w[i] : run_keeps_time(r, i) ? run_time(r, w) : INT64_MAX;
        for (int k = 0; k < n->n_inputs; k++)
            if (scratch[n->inputs[k].node] < scratch[i])
                scratch[i] = scratch[n->inputs[k].node];
        if (o->type->watermark != NULL && o->type->due != NULL && o->type->due(o) <= scratch[i])
            return true;
    }
    return rows_due(r, run_time(r, w)) <= run_time(r, w);
}

int64_t run_due(const struct run *r)
{
    int64_t due = rows_due(r, INT64_MAX);

    for (int i = 0; i < r->plan->n_nodes; i++)
        if (r->ops[i]->type->due != NULL) {
            int64_t d = r->ops[i]->type->due(r->ops[i]);
            due = d < due ? d : due;
        }
    return due;
}
