// SPDX-License-Identifier: Apache-2.0
//
// The decisions of recovery and retention, without I/O: what damage means, which segments may go.
#ifndef LEAT_LOG_RECOVERY_H
#define LEAT_LOG_RECOVERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Damage was found in the last segment at `pos`; the file ends at `end`; up to `durable` it was on
// disk when the checkpoint was written; no more than `unsynced_max` bytes were ever unsynced at
// once.
struct recovery_damage {
    int64_t pos, end, durable, unsynced_max;
};

enum recovery_verdict {
    RECOVERY_CUT,       // a torn tail: bytes that were never acked
    RECOVERY_READ_ONLY, // corruption: bytes that were durable are not there any more
};

enum recovery_verdict recovery_judge(const struct recovery_damage *d);

struct retention_segment {
    int64_t end_offset, size, max_timestamp;
};

struct retention_rule {
    int64_t now_ms, retention_ms, retention_bytes; // -1: no limit
    int64_t start_offset, hw;
};

// How many segments from the front may go: those below start_offset, too old, or too many; never
// above hw. The last may be among them: it is rolled first.
size_t retention_count(const struct retention_rule *rule, const struct retention_segment *segments,
                       size_t n);

#endif
