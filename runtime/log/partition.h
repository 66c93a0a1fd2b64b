// SPDX-License-Identifier: Apache-2.0
//
// A partition: an ordered sequence of segments on a file system, to which batches are appended as
// they came.
//
// Positions (all offsets, all atomically readable from any thread; start <= hw <= flushed <= end
// when durable):
//   start     first offset that may be read; moved by retention and DeleteRecords
//   end       log end offset (LEO): the next offset to be assigned
//   flushed   first offset not yet synced to disk
//   hw        high watermark: first offset not yet visible. Equal to `flushed`, or to `end` in
//             page-cache mode
//   lso       last stable offset: hw until there are transactions
//
// The folder explains itself: beside segments (and their .index and .snapshot) it holds
// `recovery-point` and `leader-epoch-checkpoint` (checkpoint.h). The caller makes the folder and
// syncs its parent.
//
// Life: partition_open recovers and leaves a partition READY, READ_ONLY (corruption below the last
// durable position: said once, never cut) or fails. A failed write or sync moves it to FAILED until
// restart; ENOSPC truncates back what was written and fails only that append (LEAT_ENOSPC).
//
// Threads: any thread may append, read, sync and retain; positions are atomics; no lock is held
// over a read, so reads do not wait for writes. Retention detaches a segment; a reader holds a
// reference to the one it reads. Closing needs everybody else to be done.
#ifndef LEAT_LOG_PARTITION_H
#define LEAT_LOG_PARTITION_H

#include "runtime/base/clock.h"
#include "runtime/base/uuid.h"
#include "runtime/io/fs.h"
#include "runtime/record/batch.h"

struct partition;
struct flusher;

enum partition_state { PARTITION_READY, PARTITION_READ_ONLY, PARTITION_FAILED };

struct partition_config {
    struct fs *fs;
    struct clock *clock;
    struct flusher *flusher; // syncs this partition; NULL only in tests that call partition_sync
    const char *dir;         // exists; copied
    const char *topic;       // for messages; copied
    int32_t partition;
    struct uuid topic_id;
    int32_t leader_epoch;
    bool durable;            // hw follows flushed (default), not end
    int64_t segment_bytes;   // roll at this size
    int64_t segment_ms;      // or age
    int64_t retention_bytes; // -1: no limit
    int64_t retention_ms;    // -1: for ever
    int64_t start_offset;    // as stored in metadata; at least this
    int64_t recovery_point;  // offsets below are known to be on disk
};

// What opening found; for one line in the trace and for `leat status`.
struct partition_recovery {
    int64_t scanned_bytes, cut_bytes;
    int64_t batches;
    bool torn;
};

int partition_open(struct partition **out, const struct partition_config *c,
                   struct partition_recovery *r, struct err *e) LEAT_CHECKED;
// Syncs, writes producer snapshots, frees. A FAILED partition is only freed.
void partition_close(struct partition *p);

int64_t partition_start(const struct partition *p);
int64_t partition_end(const struct partition *p);
int64_t partition_flushed(const struct partition *p);
int64_t partition_hw(const struct partition *p);
int64_t partition_lso(const struct partition *p);
int32_t partition_leader_epoch(const struct partition *p);
enum partition_state partition_state(const struct partition *p, struct err *why);
const char *partition_topic(const struct partition *p);
int32_t partition_index(const struct partition *p);
int64_t partition_bytes(const struct partition *p);
int64_t partition_retention_ms(const struct partition *p); // -1: for ever

struct append_result {
    int64_t base_offset; // of a duplicate: the original's
    int64_t end_offset;  // ack when hw >= this
    int64_t append_time; // -1 for CreateTime
    int64_t start_offset;
    bool duplicate;
};

// Appends one validated batch (batch_validate). Stamps base offset and leader epoch into `batch` in
// place. Checks the producer's sequence: LEAT_ESEQUENCE (45), LEAT_EFENCED (47: lower epoch),
// LEAT_EFORK (a duplicate with another CRC). For ids from PRODUCER_ID_RESERVED up any sequence at
// or below the last is a duplicate, and a first batch with a sequence above 0 is refused. Marks the
// partition dirty with its flusher. The bytes are in the page cache on return; they are durable
// when flushed >= end_offset.
int partition_append(struct partition *p, uint8_t *batch, const struct batch_header *h,
                     struct append_result *r, struct err *e) LEAT_CHECKED;

// Syncs what is dirty and moves flushed and hw. Called by the flusher's thread. A failure is final.
int partition_sync(struct partition *p, struct err *e) LEAT_CHECKED;

// A run of whole batches, the first of which contains `offset`, at most `bytes_max` but at least
// one batch, all below `limit` (an offset: hw or lso). The bytes go to `out` (appended). next = the
// offset to read next. LEAT_ERANGE when offset < start or > end; an empty result at the end.
// LEAT_ECORRUPT names the position.
int partition_read(struct partition *p, int64_t offset, int64_t limit, size_t bytes_max,
                   struct buf *out, int64_t *next, struct err *e) LEAT_CHECKED;

// The first record at or after `timestamp` that lies below `limit`; offset -1 when there is none.
// By record, not by batch (ListOffsets v1+).
int partition_find_time(struct partition *p, int64_t timestamp, int64_t limit, int64_t *offset,
                        int64_t *found_timestamp, struct err *e) LEAT_CHECKED;
// The first offset with the largest timestamp, and that timestamp (ListOffsets -3).
int partition_max_time(struct partition *p, int64_t limit, int64_t *offset, int64_t *timestamp,
                       struct err *e) LEAT_CHECKED;

// The largest epoch at or below `epoch` and the offset where it ends; -1 and -1 when there is none
// (OffsetForLeaderEpoch).
void partition_epoch_end(struct partition *p, int32_t epoch, int32_t *found, int64_t *end);

// Drops whole segments that retention no longer wants. Returns the bytes freed.
int partition_retain(struct partition *p, int64_t *freed, struct err *e) LEAT_CHECKED;
// DeleteRecords: start moves up to `offset`; -1 = hw. LEAT_ERANGE above hw.
int partition_delete_before(struct partition *p, int64_t offset, struct err *e) LEAT_CHECKED;

// The last sequence and the next expected, of a producer; for jobs that check their lineage at
// start. LEAT_ENOTFOUND when the partition has no state for it.
int partition_producer(struct partition *p, int64_t producer_id, int16_t *epoch,
                       int32_t *last_sequence, int64_t *last_offset) LEAT_CHECKED;

// Forgets client producers that have been silent for longer than expire_ms.
void partition_expire_producers(struct partition *p, int64_t expire_ms);

#endif
