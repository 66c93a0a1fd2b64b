// SPDX-License-Identifier: Apache-2.0
//
// Groups without windows that have a ttl. The event time of a group's last touch stands behind its
// accumulators, in memory and in its row. When the watermark is past it + ttl the group is over:
// the next record of its key finds nothing, and begins it anew. When rows of groups that are over
// go is of no matter for that; it is some at each flush, and steps go on as long as there are more.
// Nothing is told of it: changes() say what records have changed, and the first record of a new
// life is the first of its key.
//
// A group that begins anew may have to be put back as it was when the record fails, so what its
// accumulators own is kept beside until the step has ended.
#include "operators/aggregate.h"

#include "runtime/base/datetime.h"

#if LEAT_TESTING
#define SWEEP_ROWS 3
#else
#define SWEEP_ROWS 500 // forgotten per commit
#endif

int64_t *group_touched(const struct aggregate *g, struct group *group)
{
    ASSERT(g->ttl_ms > 0);
    return (int64_t *)(void *)((uint8_t *)group->acc + g->r.f.bytes);
}

bool group_is_over(const struct aggregate *g, struct group *group)
{
    int64_t last;

    return (group->flags & GROUP_PRESENT) &&
           !__builtin_add_overflow(*group_touched(g, group), g->ttl_ms, &last) &&
           g->op.watermark > last;
}

struct exact_before {
    struct aggregate *g;
    struct group *group;
    struct bytes exact;
};

static void put_exact_back(void *arg)
{
    struct exact_before *x = arg;
    int rc = group_set_exact(&x->g->groups, x->group, x->exact);

    ASSERT(rc == 0); // it was kept before
}

void group_begin_anew(struct aggregate *g, struct group *group)
{
    struct run *r = g->op.run;
    struct arena *a = run_arena(r);
    struct exact_before *x = arena_alloc(a, sizeof(*x));

    *x = (struct exact_before){g, group, arena_copy(a, group_exact(group))};
    run_undo_call(r, put_exact_back, x);
    run_undo_bytes(r, &group->flags, sizeof(group->flags) + g->groups.acc_bytes);
    if (g->r.f.drops) {
        run_undo_bytes(r, &g->lives.n, sizeof(g->lives.n));
        buf_append(&g->lives, group->acc, g->r.f.bytes);
    }
    memset(group->acc, 0, g->groups.acc_bytes);
    group->flags &= ~(uint64_t)GROUP_PRESENT;
}

void group_touch(const struct aggregate *g, struct group *group, int64_t time, bool first)
{
    int64_t *touched = group_touched(g, group);

    if (first || time > *touched)
        *touched = time;
}

int64_t lives_due(struct aggregate *g)
{
    const struct states_ops *ops = run_states(g->op.run)->ops;
    int64_t w = INT64_MAX;

    // An error comes up again, with its words, in the flush.
    return ops->sweep_due(g->r.state, &w, NULL) < 0 ? INT64_MIN + 1 : w;
}

int lives_sweep(struct aggregate *g, struct err *e)
{
    const struct states_ops *ops = run_states(g->op.run)->ops;
    int64_t w;
    int rc = ops->sweep_due(g->r.state, &w, e);

    if (rc < 0 || w > g->op.watermark)
        return rc;
    return ops->sweep(g->r.state, g->op.watermark, SWEEP_ROWS, e);
}

void lives_clear(struct aggregate *g)
{
    for (size_t at = 0; at < g->lives.n; at += g->r.f.bytes)
        functions_drop(&g->r.f, g->lives.p + at);
    buf_clear(&g->lives);
}
