// SPDX-License-Identifier: Apache-2.0
//
// Group commit. One thread takes the set of dirty partitions, syncs them, moves their high
// watermarks, tells every watcher that something moved, and looks again: while one round syncs, the
// next collects.
#ifndef LEAT_LOG_FLUSHER_H
#define LEAT_LOG_FLUSHER_H

#include "runtime/base/err.h"
#include "runtime/base/list.h"

struct flusher;
struct partition;

struct flusher *flusher_new(void);
int flusher_start(struct flusher *f, struct err *e) LEAT_CHECKED;
// Finishes the round, then one more if anything is dirty; joins the thread.
void flusher_stop(struct flusher *f);
void flusher_free(struct flusher *f);

// Any thread. The partition stays known until its round is over; partition_close waits for that.
void flusher_mark(struct flusher *f, struct partition *p);
void flusher_forget(struct flusher *f, struct partition *p);

// `moved` is called on the flusher's thread (page-cache mode: on the appender's) after high
// watermarks moved. It must not block: send a message, signal a condition. Watch and unwatch from
// any thread; after unwatch returns, moved is not called any more.
struct flush_watch {
    struct link link;
    void (*moved)(struct flush_watch *w);
};
void flusher_watch(struct flusher *f, struct flush_watch *w);
void flusher_unwatch(struct flusher *f, struct flush_watch *w);
// Tells them, on this thread: of an append in page-cache mode, of a topic that is gone.
void flusher_moved(struct flusher *f);

#endif
