// SPDX-License-Identifier: Apache-2.0
//
// The moments of one step at which a crash leaves something different behind:
//
//   begin | work, rows in the open transaction | commit | append | known durable | mark
//         ^ 1                                ^ 2      ^ 3    ^ 4,5                   ^ 6,7
//
// Between 1 and 2 there are many more, with one outcome: the transaction is gone. A topic that is
// made (by the publisher, when a job starts) is made again by name, and counts as nothing.
//
// A dead job is not told so: each call that would change anything is refused as a failed one would
// be, and the transaction that may be open can be rolled back, which is what the operating system
// would have done.
#include "runtime/engine/crash_points.h"

#include <stdio.h>

#include "runtime/base/heap.h"

void crash_points_deinit(struct crash_points *c)
{
    heap_free(c->steps);
    c->steps = NULL;
    c->n_steps = c->cap_steps = 0;
}

void crash_points_revive(struct crash_points *c)
{
    ASSERT(c->dead);
    c->dead = false;
    c->at = 0;
}

static int refused(struct err *e)
{
    return err_set(e, LEAT_ECANCELED, "the process is dead");
}

// Whether it dies here.
static bool point(struct crash_points *c, const char *fmt, const char *topic, int32_t partition)
{
    if (c->dead || ++c->passed != c->at)
        return false;
    c->dead = true;
    if (topic != NULL)
        (void)snprintf(c->where, sizeof c->where, fmt, topic, (int)partition);
    else
        (void)snprintf(c->where, sizeof c->where, fmt, (int)c->n_steps + 1);
    return true;
}

static struct crash_points *of_store(struct store *s)
{
    return container_of(s->ops, struct crash_points, store_ops);
}

static int begin(struct store *s, int64_t now, struct err *e)
{
    struct crash_points *c = of_store(s);

    if (c->dead || point(c, "before step %d", NULL, 0))
        return refused(e);
    return c->store_was->begin(s, now, e);
}

static void note_step(struct crash_points *c, int64_t records)
{
    if (c->n_steps == c->cap_steps) {
        c->cap_steps = c->cap_steps > 0 ? c->cap_steps * 2 : 32;
        c->steps = heap_realloc(c->steps, c->cap_steps * sizeof *c->steps);
    }
    c->steps[c->n_steps++] = records;
    c->records += records;
}

static int commit(struct store *s, const struct store_commit *what, int64_t *id, struct err *e)
{
    struct crash_points *c = of_store(s);
    bool dies;
    int rc;

    if (c->dead || point(c, "in step %d, its work done, before the commit", NULL, 0))
        return refused(e);
    rc = c->store_was->commit(s, what, id, e);
    if (rc != 0)
        return rc;
    dies = point(c, "behind the commit of step %d", NULL, 0);
    note_step(c, what->records);
    return dies ? refused(e) : 0;
}

static int mark(struct store *s, struct uuid id, int32_t partition, int64_t seq, struct err *e)
{
    struct crash_points *c = of_store(s);
    int rc;

    if (c->dead || point(c, "before published rows were marked, behind step %d", NULL, 0))
        return refused(e);
    rc = c->store_was->outbox_mark(s, id, partition, seq, e);
    if (rc == 0 && point(c, "when published rows were marked, before step %d", NULL, 0))
        return refused(e);
    return rc;
}

void crash_points_store(struct crash_points *c, struct store *s)
{
    c->store_was = s->ops;
    c->store_ops = *s->ops;
    c->store_ops.begin = begin;
    c->store_ops.commit = commit;
    c->store_ops.outbox_mark = mark;
    s->ops = &c->store_ops;
}

void crash_points_leave(struct crash_points *c, struct store *s)
{
    s->ops = c->store_was;
}

// --- publisher ---

static struct crash_points *of_publisher(struct publisher *p)
{
    return container_of(p->ops, struct crash_points, publisher_ops);
}

static int append(struct publisher *p, const char *topic, struct uuid id, int32_t partition,
                  struct bytes batch, int64_t *end, struct err *e)
{
    struct crash_points *c = of_publisher(p);
    int rc;

    if (c->dead || point(c, "before a batch went out to %s/%d", topic, partition))
        return refused(e);
    rc = c->publisher_was->append(p, topic, id, partition, batch, end, e);
    if (rc == 0 && point(c, "when a batch had gone out to %s/%d", topic, partition))
        return refused(e);
    return rc;
}

static int durable(struct publisher *p, const char *topic, struct uuid id, int32_t partition,
                   int64_t *offset, struct err *e)
{
    struct crash_points *c = of_publisher(p);

    return c->dead ? refused(e)
                   : c->publisher_was->durable(p, topic, id, partition, offset, e);
}

void crash_points_publisher(struct crash_points *c, struct publisher *p)
{
    c->publisher_was = p->ops;
    c->publisher_ops = *p->ops;
    c->publisher_ops.append = append;
    c->publisher_ops.durable = durable;
    p->ops = &c->publisher_ops;
}
