// SPDX-License-Identifier: Apache-2.0
//
// The inside of a partition, shared by the files of this folder that work on it:
//   partition.c   life, positions, append, sync, roll     partition_open.c   recovery
//   read.c        reads and look-ups by time              retention.c        what goes away
//
// Locks, in the order in which they are taken:
//   append_lock   one appender at a time; rolls, retention and producers' state
//   sync_lock     one sync at a time: a file tells its error once, and only one may hear it;
//                 the checkpoint
//   lock          short: the list of segments, sizes and indexes, state; never held over a write
//                 or a sync
#ifndef LEAT_LOG_PARTITION_IMPL_H
#define LEAT_LOG_PARTITION_IMPL_H

#include <pthread.h>

#include "runtime/base/list.h"
#include "runtime/log/checkpoint.h"
#include "runtime/log/partition.h"
#include "runtime/log/producers.h"
#include "runtime/log/segment.h"

enum { READ_PLACES = 8 };

// Where a reader will go on: most reads are sequential, then no index is needed.
struct read_place {
    int64_t offset, base, pos;
};

struct partition {
    // the flusher's, under its mutex
    struct link flush_link;
    bool flush_queued, flush_busy;

    struct partition_config config; // dir and topic are ours
    struct fs *fs;

    pthread_mutex_t append_lock;
    struct producers producers;
    int64_t snapshot_at; // the end that the newest snapshot of them is for; -1

    pthread_mutex_t sync_lock;
    struct checkpoint checkpoint;
    struct fs_file *checkpoint_file;
    int64_t checkpoint_bytes; // bytes_flushed when it was last stored

    pthread_mutex_t lock;
    pthread_cond_t flushed_moved;
    struct segment **segments; // by offset; the last one is active. None only when READ_ONLY
    size_t n_segments, segments_cap;
    int64_t bytes_appended, bytes_flushed; // since opening
    struct epochs epochs;
    struct err why; // of READ_ONLY and FAILED
    struct read_place places[READ_PLACES];
    unsigned place_next;

    _Atomic int state;
    _Atomic int64_t start, end, flushed, hw;
};

static inline struct segment *partition_active(const struct partition *p)
{
    return p->n_segments > 0 ? p->segments[p->n_segments - 1] : NULL;
}

// Moves to a worse state once; the first reason stays.
void partition_degrade(struct partition *p, enum partition_state state, const struct err *why);
// Adds at the end; the reference becomes the partition's.
void partition_push(struct partition *p, struct segment *s);
// fdatasync and folder sync, as the negative-control switch `nosync` allows.
int partition_sync_file(struct partition *p, struct fs_file *f, struct err *e) LEAT_CHECKED;
int partition_sync_folder(struct partition *p, struct err *e) LEAT_CHECKED;
// The producers' state before the end of the partition, synced; the folder is the caller's to sync.
int partition_snapshot(struct partition *p, struct err *e) LEAT_CHECKED;
// Ends the active segment and begins the next. Under append_lock.
int partition_roll(struct partition *p, struct err *e) LEAT_CHECKED;
// With the offset and place as they are. Takes sync_lock.
int partition_store_checkpoint(struct partition *p, struct err *e) LEAT_CHECKED;
int partition_sync_locked(struct partition *p, struct err *e) LEAT_CHECKED;
// Loads a sealed segment's index, or rebuilds it. Under lock.
int partition_load_index(struct partition *p, struct segment *s, struct err *e) LEAT_CHECKED;
// Counts batches of a segment from where it stands to `end`, headers only.
int partition_count_in(struct segment *s, int64_t end, struct err *e) LEAT_CHECKED;
// The open half: fills in a partition whose config, fs and locks are set.
int partition_recover(struct partition *p, struct partition_recovery *r, struct err *e)
    LEAT_CHECKED;

#endif
