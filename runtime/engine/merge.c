// SPDX-License-Identifier: Apache-2.0
//
// Which partition's head goes next: the one with the smallest event time; between equal times
// changelog sources before others (a table's row before the record that looks it up), then the
// order of sources in the file, then the partition. The last three never change while a job runs,
// so each partition carries them as one number, its rank.
//
// Within a partition offsets decide, whatever the times say: only heads compete. So the order is a
// function of the ranges that are merged and of nothing else, which is what lets a step be run
// again. Ties cannot happen: ranks are unique and a partition has one head.
#include "runtime/engine/merge.h"

#include "runtime/base/assert.h"

static bool before(const struct merge_head *a, const struct merge_head *b)
{
    return a->time != b->time ? a->time < b->time : a->rank < b->rank;
}

static void sink(struct merge *m, struct merge_head h)
{
    int i = 0;

    for (;;) {
        int child = 2 * i + 1;
        if (child >= m->n)
            break;
        if (child + 1 < m->n && before(&m->heads[child + 1], &m->heads[child]))
            child++;
        if (!before(&m->heads[child], &h))
            break;
        m->heads[i] = m->heads[child];
        i = child;
    }
    m->heads[i] = h;
}

void merge_push(struct merge *m, struct merge_head h)
{
    int i = m->n++;

    while (i > 0 && before(&h, &m->heads[(i - 1) / 2])) {
        m->heads[i] = m->heads[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    m->heads[i] = h;
}

void merge_pop(struct merge *m)
{
    ASSERT(m->n > 0);
    m->n--;
    if (m->n > 0)
        sink(m, m->heads[m->n]);
}

void merge_replace(struct merge *m, struct merge_head h)
{
    ASSERT(m->n > 0);
    sink(m, h);
}
