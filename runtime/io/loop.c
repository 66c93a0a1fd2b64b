// SPDX-License-Identifier: Apache-2.0
//
// One turn: timers, then what the sockets and other threads brought, then (in the prepare phase of
// the next libuv iteration, right before it waits) the end-of-turn hooks. Messages from other
// threads lie in a list under a short mutex; the first one into an empty list rings the async
// handle, so a burst costs one wake-up.
#include "runtime/io/loop.h"

#include <pthread.h>

#include "runtime/base/heap.h"
#include "runtime/io/loop_uv.h"

struct loop {
    uv_loop_t uv;
    uv_async_t posted;
    uv_prepare_t turn;
    struct link hooks;
    pthread_mutex_t lock; // guards messages and stopping
    struct link messages;
    bool stopping;
    _Atomic bool running;
    pthread_t thread; // valid while running
};

uv_loop_t *loop_uv(struct loop *l)
{
    return &l->uv;
}

int uv_err(struct err *e, int status, const char *what)
{
    ASSERT(status < 0);
    if (status == UV_ECANCELED)
        return err_set(e, LEAT_ECANCELED, "%s: canceled", what);
    if (status == UV_EOF)
        return err_set(e, LEAT_ECLOSED, "%s: connection closed", what);
    return err_errno(e, -status, "%s", what);
}

static void run_messages(uv_async_t *a)
{
    struct loop *l = a->data;
    struct link ready, *i;
    bool stopping;

    pthread_mutex_lock(&l->lock);
    list_take(&l->messages, &ready);
    stopping = l->stopping;
    l->stopping = false;
    pthread_mutex_unlock(&l->lock);
    while ((i = list_pop(&ready)) != NULL) {
        struct loop_message *m = container_of(i, struct loop_message, link);
        m->run(m);
    }
    if (stopping)
        uv_stop(&l->uv);
}

static void run_hooks(uv_prepare_t *p)
{
    struct loop *l = p->data;

    for (struct link *i = l->hooks.next; i != &l->hooks; i = i->next) {
        struct loop_hook *h = container_of(i, struct loop_hook, link);
        h->turn_ended(h);
    }
}

struct loop *loop_new(struct err *e)
{
    struct loop *l = heap_zalloc(sizeof *l);
    int status = uv_loop_init(&l->uv);

    if (status < 0)
        goto fail;
    status = uv_async_init(&l->uv, &l->posted, run_messages);
    if (status < 0) {
        status = uv_loop_close(&l->uv) < 0 ? UV_EBUSY : status;
        goto fail;
    }
    uv_prepare_init(&l->uv, &l->turn); // cannot fail
    uv_prepare_start(&l->turn, run_hooks);
    l->posted.data = l->turn.data = l;
    list_init(&l->hooks);
    list_init(&l->messages);
    pthread_mutex_init(&l->lock, NULL);
    return l;

fail:
    uv_err(e, status, "cannot make an event loop");
    heap_free(l);
    return NULL;
}

void loop_free(struct loop *l)
{
    if (l == NULL)
        return;
    ASSERT(!l->running);
    uv_close((uv_handle_t *)&l->posted, NULL);
    uv_close((uv_handle_t *)&l->turn, NULL);
    uv_run(&l->uv, UV_RUN_DEFAULT);
    if (uv_loop_close(&l->uv) != 0) {
        uv_print_all_handles(&l->uv, stderr);
        UNREACHABLE("a loop was freed before what hangs on it was closed");
    }
    pthread_mutex_destroy(&l->lock);
    heap_free(l);
}

static void run(struct loop *l, uv_run_mode mode)
{
    ASSERT(!l->running);
    l->thread = pthread_self();
    l->running = true;
    uv_run(&l->uv, mode);
    l->running = false;
}

void loop_run(struct loop *l)
{
    run(l, UV_RUN_DEFAULT);
}

void loop_turn(struct loop *l)
{
    run(l, UV_RUN_NOWAIT);
}

void loop_stop(struct loop *l)
{
    pthread_mutex_lock(&l->lock);
    l->stopping = true;
    pthread_mutex_unlock(&l->lock);
    uv_async_send(&l->posted);
}

void loop_post(struct loop *l, struct loop_message *m)
{
    bool first;

    pthread_mutex_lock(&l->lock);
    first = list_empty(&l->messages);
    list_push(&l->messages, &m->link);
    pthread_mutex_unlock(&l->lock);
    if (first)
        uv_async_send(&l->posted);
}

void loop_hook_add(struct loop *l, struct loop_hook *h)
{
    ASSERT(loop_on_thread(l));
    list_push(&l->hooks, &h->link);
}

void loop_hook_remove(struct loop *l, struct loop_hook *h)
{
    ASSERT(loop_on_thread(l));
    list_remove(&h->link);
}

bool loop_on_thread(const struct loop *l)
{
    return !l->running || pthread_equal(l->thread, pthread_self());
}

int64_t loop_now_ms(const struct loop *l)
{
    return (int64_t)uv_now(&l->uv);
}
