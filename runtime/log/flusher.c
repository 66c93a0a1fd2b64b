// SPDX-License-Identifier: Apache-2.0
//
// The flusher's thread:
//
//   wait until something is dirty → take the whole list → sync each → tell the watchers → again
//
// What is appended during a round waits on the list for the next one: that is the group commit, and
// it needs no timer. A partition is queued at most once. `busy` marks those of the round under way;
// flusher_forget waits for it.
//
// Watchers are called under watch_lock, so that flusher_unwatch can promise silence afterwards.
// They must neither block nor watch or unwatch from inside.
#include "runtime/log/flusher.h"

#include <pthread.h>

#include "runtime/base/heap.h"
#include "runtime/log/partition_impl.h"

struct flusher {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t work, round_over;
    struct link dirty; // partitions, by flush_link
    bool started, stopping;

    pthread_mutex_t watch_lock;
    struct link watches;
};

struct flusher *flusher_new(void)
{
    struct flusher *f = heap_zalloc(sizeof *f);

    pthread_mutex_init(&f->lock, NULL);
    pthread_mutex_init(&f->watch_lock, NULL);
    pthread_cond_init(&f->work, NULL);
    pthread_cond_init(&f->round_over, NULL);
    list_init(&f->dirty);
    list_init(&f->watches);
    return f;
}

void flusher_moved(struct flusher *f)
{
    pthread_mutex_lock(&f->watch_lock);
    for (struct link *l = f->watches.next; l != &f->watches; l = l->next) {
        struct flush_watch *w = container_of(l, struct flush_watch, link);
        w->moved(w);
    }
    pthread_mutex_unlock(&f->watch_lock);
}

// Under lock on entry and exit; not while it syncs.
static void flush_round(struct flusher *f)
{
    struct link round;
    struct link *l;

    list_take(&f->dirty, &round);
    for (l = round.next; l != &round; l = l->next) {
        struct partition *p = container_of(l, struct partition, flush_link);
        p->flush_queued = false;
        p->flush_busy = true;
    }
    while ((l = list_pop(&round)) != NULL) {
        struct partition *p = container_of(l, struct partition, flush_link);
        pthread_mutex_unlock(&f->lock);
        (void)!partition_sync(p, NULL); // a failure is in the partition's state
        pthread_mutex_lock(&f->lock);
        p->flush_busy = false; // p may be forgotten from here on
        if (p->flush_queued)
            list_push(&f->dirty, &p->flush_link);
        pthread_cond_broadcast(&f->round_over);
    }
    pthread_mutex_unlock(&f->lock);
    flusher_moved(f);
    pthread_mutex_lock(&f->lock);
}

static void *flusher_main(void *arg)
{
    struct flusher *f = arg;

    pthread_mutex_lock(&f->lock);
    for (;;) {
        if (!list_empty(&f->dirty))
            flush_round(f);
        else if (f->stopping)
            break;
        else
            pthread_cond_wait(&f->work, &f->lock);
    }
    pthread_mutex_unlock(&f->lock);
    return NULL;
}

int flusher_start(struct flusher *f, struct err *e)
{
    int rc = pthread_create(&f->thread, NULL, flusher_main, f);

    if (rc != 0)
        return err_errno(e, rc, "cannot start the flusher's thread");
    f->started = true;
    return 0;
}

void flusher_stop(struct flusher *f)
{
    if (!f->started)
        return;
    pthread_mutex_lock(&f->lock);
    f->stopping = true;
    pthread_cond_signal(&f->work);
    pthread_mutex_unlock(&f->lock);
    pthread_join(f->thread, NULL);
    f->started = false;
}

void flusher_free(struct flusher *f)
{
    if (f == NULL)
        return;
    ASSERT(!f->started);
    pthread_mutex_destroy(&f->lock);
    pthread_mutex_destroy(&f->watch_lock);
    pthread_cond_destroy(&f->work);
    pthread_cond_destroy(&f->round_over);
    heap_free(f);
}

void flusher_mark(struct flusher *f, struct partition *p)
{
    pthread_mutex_lock(&f->lock);
    if (!p->flush_queued) {
        p->flush_queued = true;
        if (!p->flush_busy) // else its link is on the round's list
            list_push(&f->dirty, &p->flush_link);
        pthread_cond_signal(&f->work);
    }
    pthread_mutex_unlock(&f->lock);
}

void flusher_forget(struct flusher *f, struct partition *p)
{
    pthread_mutex_lock(&f->lock);
    while (p->flush_busy)
        pthread_cond_wait(&f->round_over, &f->lock);
    list_remove(&p->flush_link);
    p->flush_queued = false;
    pthread_mutex_unlock(&f->lock);
}

void flusher_watch(struct flusher *f, struct flush_watch *w)
{
    pthread_mutex_lock(&f->watch_lock);
    list_push(&f->watches, &w->link);
    pthread_mutex_unlock(&f->watch_lock);
}

void flusher_unwatch(struct flusher *f, struct flush_watch *w)
{
    pthread_mutex_lock(&f->watch_lock);
    list_remove(&w->link);
    pthread_mutex_unlock(&f->watch_lock);
}
