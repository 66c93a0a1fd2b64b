// SPDX-License-Identifier: Apache-2.0
#include "runtime/broker/waits.h"

static void arm(struct waits *ws, int64_t deadline)
{
    if (deadline >= ws->armed)
        return;
    ws->armed = deadline;
    timer_arm(ws->timer, deadline - loop_now_ms(ws->loop));
}

void waits_wake(struct waits *ws)
{
    int64_t now = loop_now_ms(ws->loop), next = INT64_MAX;
    struct link ready, *i;

    list_take(&ws->list, &ready); // a check may add new ones, or remove others
    while ((i = list_pop(&ready)) != NULL) {
        struct wait *w = container_of(i, struct wait, link);
        if (w->check(w, w->deadline <= now))
            continue;
        ASSERT(w->deadline > now);
        list_push(&ws->list, &w->link);
        if (w->deadline < next)
            next = w->deadline;
    }
    arm(ws, next);
}

static void on_timer(void *arg)
{
    struct waits *ws = arg;

    ws->armed = INT64_MAX;
    waits_wake(ws);
}

void waits_init(struct waits *ws, struct loop *l)
{
    ws->loop = l;
    ws->armed = INT64_MAX;
    ws->timer = timer_new(l, on_timer, ws);
    list_init(&ws->list);
}

void waits_deinit(struct waits *ws)
{
    ASSERT(list_empty(&ws->list));
    timer_free(ws->timer);
    ws->timer = NULL;
}

void waits_add(struct waits *ws, struct wait *w)
{
    list_push(&ws->list, &w->link);
    arm(ws, w->deadline);
}

void waits_remove(struct wait *w)
{
    list_remove(&w->link);
}
