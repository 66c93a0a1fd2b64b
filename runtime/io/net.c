// SPDX-License-Identifier: Apache-2.0
//
// What connections share: the receive buffer, the write-out at the end of the turn, the sweep that
// finds the silent ones, and the budget of request bytes.
//
// The budget: frames count what is allocated for them, from the first byte until the owner frees
// them. Over the limit no connection is read. That would be for ever if only half-read frames held
// the budget, so when the owner has no frame at all, one connection that is in the middle of a
// frame may go on until that frame is whole.
#include "runtime/io/net.h"

#include "runtime/base/heap.h"
#include "runtime/base/limits.h"
#include "runtime/base/trace.h"
#include "runtime/io/conn.h"

#define SWEEP_MS 1000

void net_config_default(struct net_config *c)
{
    *c = (struct net_config){
        .frame_min = 8,
        .frame_first_max = REQUEST_FIRST_BYTES_MAX,
        .frame_max = REQUEST_BYTES_MAX,
        .inflight_max = REQUEST_BYTES_INFLIGHT_MAX,
        .out_max = CONN_OUT_BYTES_MAX,
        .idle_ms = CONN_IDLE_MS_MAX,
        .stall_ms = CONN_STALL_MS_MAX,
        .conn_max = CONN_MAX,
    };
}

static void write_all(struct loop_hook *h)
{
    struct net *n = container_of(h, struct net, turn);
    struct link ready, *i;

    list_take(&n->dirty, &ready);
    while ((i = list_pop(&ready)) != NULL)
        conn_flush(container_of(i, struct conn, dirty));
}

static const char *silence(const struct conn *c, int64_t now)
{
    int64_t quiet = now - c->active_ms;

    if (c->out_bytes > 0)
        return quiet > c->net->config.stall_ms ? "does not read our replies" : NULL;
    if (c->frame != NULL || c->head_n > 0)
        return c->reading && quiet > c->net->config.stall_ms ? "stopped in the middle of a request"
                                                             : NULL;
    return !c->busy && quiet > c->net->config.idle_ms ? "was silent for too long" : NULL;
}

static void sweep(void *arg)
{
    struct net *n = arg;
    int64_t now = loop_now_ms(n->loop);

    for (struct link *i = n->conns.next; i != &n->conns; i = i->next) {
        struct conn *c = container_of(i, struct conn, link);
        const char *why = c->closing ? NULL : silence(c, now);

        if (why != NULL) {
            trace(TRACE_INFO, "net", "%s %s: closed", c->peer, why);
            conn_close(c);
        }
    }
    timer_arm(n->sweep, SWEEP_MS);
}

struct net *net_new(struct loop *l, const struct net_config *c, const struct net_hooks *hooks,
                    void *arg)
{
    struct net *n = heap_zalloc(sizeof *n);

    ASSERT(loop_on_thread(l));
    n->loop = l;
    n->config = *c;
    n->hooks = *hooks;
    n->arg = arg;
    n->scratch = heap_alloc(RECV_SCRATCH_BYTES);
    list_init(&n->conns);
    list_init(&n->dirty);
    n->turn.turn_ended = write_all;
    loop_hook_add(l, &n->turn);
    n->sweep = timer_new(l, sweep, n);
    timer_arm(n->sweep, SWEEP_MS);
    return n;
}

void net_close(struct net *n)
{
    n->closing = true;
    for (struct link *i = n->conns.next; i != &n->conns; i = i->next)
        conn_close(container_of(i, struct conn, link));
}

int net_count(const struct net *n)
{
    return n->n_conns;
}

size_t net_inflight(const struct net *n)
{
    return n->inflight;
}

void net_free(struct net *n)
{
    if (n == NULL)
        return;
    ASSERT(loop_on_thread(n->loop) && n->n_conns == 0 && n->n_handed == 0 && n->inflight == 0);
    timer_free(n->sweep);
    loop_hook_remove(n->loop, &n->turn);
    heap_free(n->scratch);
    heap_free(n);
}

static void resume_all(struct net *n)
{
    for (struct link *i = n->conns.next; i != &n->conns; i = i->next)
        conn_resume_for(container_of(i, struct conn, link), PAUSE_BUDGET);
}

static void pause_all(struct net *n)
{
    for (struct link *i = n->conns.next; i != &n->conns; i = i->next)
        conn_pause_for(container_of(i, struct conn, link), PAUSE_BUDGET);
}

static void resume_one(struct net *n)
{
    for (struct link *i = n->conns.next; i != &n->conns; i = i->next) {
        struct conn *c = container_of(i, struct conn, link);
        if (c->frame != NULL && !c->closing) {
            conn_resume_for(c, PAUSE_BUDGET);
            return;
        }
    }
}

void net_account(struct net *n, int64_t bytes)
{
    ASSERT(bytes >= 0 || n->inflight >= (size_t)-bytes);
    n->inflight += (size_t)bytes;
    if (n->inflight > n->config.inflight_max) {
        if (!n->over)
            pause_all(n);
        n->over = true;
        if (n->n_handed == 0)
            resume_one(n);
    } else if (n->over && n->inflight <= n->config.inflight_max / 4 * 3) {
        n->over = false;
        resume_all(n);
    } else if (n->over && n->n_handed == 0) {
        resume_one(n);
    }
}

void frame_free(struct frame *f)
{
    struct net *n = f->net;

    ASSERT(loop_on_thread(n->loop) && n->n_handed > 0);
    n->n_handed--;
    net_account(n, -(int64_t)f->cap);
    heap_free(f);
}
