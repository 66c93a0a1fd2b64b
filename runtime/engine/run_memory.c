// SPDX-License-Identifier: Apache-2.0
//
// One budget for what the operators of a job hold in memory of their state.
//
// Every operator that keeps state is a cache over its rows. During a step all of them only grow,
// since what a record changed must stay until the step is committed; a step that has brought them
// to `step` bytes ends early, which a step may after any record. After the commit they are brought
// down to `cache` bytes, each by the same share of what it holds. The room between the two is what
// a step has at least, so that steps stay large when the keys are many.
//
// What a watermark makes due may be more than a step can hold, too: a window with millions of keys
// closes at once. Then the operator pauses: its watermark stays where it was, and so do those
// behind it; the step is committed, and the next one goes on there before it reads a record. So
// where it paused makes no difference. Where watermarks stand is kept with such a step, for a job
// that is restarted in between.
#include "runtime/engine/run.h"

#include "runtime/base/limits.h"

#include <stdio.h>

#define PAUSED "paused" // the number that says whether there are others

#if LEAT_TESTING
enum { ASKED_EVERY = 1 };
#else
enum { ASKED_EVERY = 8 };
#endif
enum { NAME_MAX_BYTES = 512 };

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

// --- pausing ---

bool operator_pause(struct operator* o)
{
    struct run *r = o->run;

    if (!r->paused && ++r->pauses_asked % ASKED_EVERY == 0 &&
        ((int64_t)r->out.bytes.n >= r->plan->commit.bytes || run_is_full(r)))
        r->held = r->paused = true;
    return r->paused;
}

static const char *number_name(const struct run *r, int node, char *out)
{
    snprintf(out, NAME_MAX_BYTES, "watermark:%s", r->plan->nodes[node].id);
    return out;
}

int run_keep_watermarks(struct run *r, struct err *e)
{
    char name[NAME_MAX_BYTES];
    int rc = 0;

    if (r->paused != r->was_paused)
        rc = run_number_put(r, PAUSED, r->paused, e);
    for (int i = 0; i < r->plan->n_nodes && rc == 0 && r->paused; i++)
        rc = run_number_put(r, number_name(r, i, name), r->ops[i]->watermark, e);
    return rc;
}

int run_find_watermarks(struct run *r, struct err *e)
{
    char name[NAME_MAX_BYTES];
    int64_t paused = 0;
    int rc = r->store->ops->number_get(r->store, PAUSED, &paused, e);

    for (int i = 0; i < r->plan->n_nodes && rc >= 0 && paused; i++) {
        int64_t at = INT64_MAX;

        rc = r->store->ops->number_get(r->store, number_name(r, i, name), &at, e);
        if (rc >= 0 && at < r->ops[i]->watermark)
            r->ops[i]->watermark = at;
    }
    r->was_paused = paused != 0;
    return rc < 0 ? rc : 0;
}
