// SPDX-License-Identifier: Apache-2.0
//
// The two small files by which a partition's folder explains itself after a crash.
//
// `recovery-point`: what is known to be on disk, and where reading starts. Written at every roll,
// at close, when start moves, and when UNSYNCED_BYTES_MAX more have been synced; always synced
// itself. `leader-epoch-checkpoint`: Kafka's text file of (epoch, start offset) lines.
#ifndef LEAT_LOG_CHECKPOINT_H
#define LEAT_LOG_CHECKPOINT_H

#include "runtime/base/buf.h"
#include "runtime/io/fs.h"

struct checkpoint {
    int64_t generation;   // rises with each store; 0: never stored
    int64_t offset;       // everything below is on disk,
    int64_t base, pos;    // which is: the segment with this base up to pos, and all before it
    int64_t start_offset; // first offset that may be read
    int64_t unsynced_max; // at most this many bytes above it may be unsynced
};

// 1: found. 0: there is no file, or none of its slots is whole.
int checkpoint_load(struct fs *fs, struct fs_file *f, struct checkpoint *c, struct err *e)
    LEAT_CHECKED;
// Writes the next generation and syncs it.
int checkpoint_store(struct fs *fs, struct fs_file *f, struct checkpoint *c, struct err *e)
    LEAT_CHECKED;

struct epoch_start {
    int32_t epoch;
    int64_t start_offset;
};

struct epochs {
    struct epoch_start *list; // rising in both fields
    size_t n;
};

void epochs_deinit(struct epochs *es);
// Forgets what starts at or above `end`, then notes that `epoch` starts there, unless it is current
// already. Whether anything changed.
bool epochs_begin(struct epochs *es, int32_t epoch, int64_t end);
// The largest epoch <= the requested and its end offset; -1 and -1 when there is none (KIP-101,
// KIP-279).
void epochs_end_of(const struct epochs *es, int32_t epoch, int64_t end, int32_t *found,
                   int64_t *found_end);
void epochs_encode(const struct epochs *es, struct buf *out);
int epochs_decode(struct epochs *es, struct bytes text, struct err *e) LEAT_CHECKED;

// Writes dir/name by way of name.tmp, synced, then renamed. The caller syncs the folder.
int file_replace(struct fs *fs, const char *dir, const char *name, struct bytes contents,
                 struct err *e) LEAT_CHECKED;
// The whole of a small file, appended to out. LEAT_ENOTFOUND.
int file_read(struct fs *fs, const char *dir, const char *name, struct buf *out, struct err *e)
    LEAT_CHECKED;

#endif
