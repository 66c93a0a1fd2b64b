// SPDX-License-Identifier: Apache-2.0
//
// A test as a list of what it does. Each act stands for one word of a test and does what that word
// does: a send moves the clock, appends and runs to rest, unless it is part of a batch.
#include "runtime/engine/acts.h"

#include "runtime/base/heap.h"
#include "runtime/engine/driver_log.h"

void acts_add(struct acts *a, const struct act *act)
{
    if (a->n == a->cap) {
        a->cap = a->cap > 0 ? a->cap * 2 : 32;
        a->items = heap_realloc(a->items, a->cap * sizeof *a->items);
    }
    a->items[a->n++] = *act;
}

void acts_clear(struct acts *a)
{
    a->n = 0;
}

void acts_deinit(struct acts *a)
{
    heap_free(a->items);
    *a = (struct acts){0};
}

static int send(struct driver *d, const struct act *a, struct err *e)
{
    int rc;

    driver_set_now(d, a->ms);
    rc = driver_send(d, a->topic, &a->record, e);
    return rc != 0 || a->quiet ? rc : driver_run(d, e);
}

static int restart(struct driver *d, const struct act *a, struct err *e)
{
    int rc = a->kind == ACT_UPGRADE ? driver_upgrade(d, &a->to, e) : driver_restart(d, e);

    return rc == 0 ? driver_run(d, e) : rc;
}

static void expect_more(struct driver *d, const struct act *a, bool coming)
{
    struct driver_topic *t = driver_log_topic(driver_topics(d), a->topic, a->record.partition);

    t->parts[a->record.partition].coming = coming;
}

int act_do(struct driver *d, const struct act *a, struct err *e)
{
    switch (a->kind) {
    case ACT_SEND:
        return send(d, a, e);
    case ACT_BATCH_BEGIN:
        driver_batch_begin(d);
        return 0;
    case ACT_BATCH_END:
        return driver_batch_end(d, e);
    case ACT_RUN:
        return driver_run(d, e);
    case ACT_ADVANCE:
        return driver_advance(d, a->ms, e);
    case ACT_RESTART:
        return restart(d, a, e);
    case ACT_UPGRADE:
        return restart(d, a, e);
    case ACT_OBSERVE:
        return 0;
    case ACT_CLOCK:
        driver_set_now(d, a->ms);
        return 0;
    case ACT_COMING:
    case ACT_CAME:
        expect_more(d, a, a->kind == ACT_COMING);
        return 0;
    }
    UNREACHABLE("an act");
}
