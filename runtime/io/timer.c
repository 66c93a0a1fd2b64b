// SPDX-License-Identifier: Apache-2.0
//
// The handle must live until libuv has closed it, which takes a turn; the owner need not know:
// timer_free silences the timer at once and the close callback frees it.
#include "runtime/io/timer.h"

#include "runtime/base/heap.h"
#include "runtime/io/loop_uv.h"

struct timer {
    uv_timer_t uv;
    struct loop *loop;
    void (*fired)(void *arg);
    void *arg;
};

struct timer *timer_new(struct loop *l, void (*fired)(void *arg), void *arg)
{
    struct timer *t = heap_zalloc(sizeof *t);

    ASSERT(loop_on_thread(l));
    uv_timer_init(loop_uv(l), &t->uv); // cannot fail
    t->uv.data = t;
    t->loop = l;
    t->fired = fired;
    t->arg = arg;
    return t;
}

static void on_timer(uv_timer_t *h)
{
    struct timer *t = h->data;

    t->fired(t->arg); // may free t
}

void timer_arm(struct timer *t, int64_t ms)
{
    ASSERT(loop_on_thread(t->loop));
    uv_timer_start(&t->uv, on_timer, ms > 0 ? (uint64_t)ms : 0, 0);
}

void timer_disarm(struct timer *t)
{
    ASSERT(loop_on_thread(t->loop));
    uv_timer_stop(&t->uv);
}

static void timer_closed(uv_handle_t *h)
{
    heap_free(h->data);
}

void timer_free(struct timer *t)
{
    if (t == NULL)
        return;
    ASSERT(loop_on_thread(t->loop));
    uv_close((uv_handle_t *)&t->uv, timer_closed);
}
