// SPDX-License-Identifier: Apache-2.0
//
// Event-time progress of one source. Decisions only: no clock, no I/O. Essay in watermark.c.
#ifndef LEAT_ENGINE_WATERMARK_H
#define LEAT_ENGINE_WATERMARK_H

#include <stdbool.h>
#include <stdint.h>

#define WATERMARK_NONE INT64_MIN
#define DRAINED_NOT INT64_MAX

struct watermark_part {
    int64_t w;             // nothing before it is expected; WATERMARK_NONE before the first record
    int64_t last_time;     // event time of the last record
    int64_t drained_since; // wall clock; DRAINED_NOT while there is something to read
    bool idle;             // drained for so long that it holds nobody back
};

struct watermark {
    int64_t disorder_ms;
    int64_t idle_ms; // -1: never idle
    int64_t w;       // of the source
    struct watermark_part *parts;
    int n;
};

// A record with event time t was processed on partition i. True when the source's watermark moved.
bool watermark_record(struct watermark *m, int i, int64_t t);
// The clock reads `now`; drained[i]: partition i has nothing left to read. Notes since when, moves
// nothing.
void watermark_look(struct watermark *m, const bool *drained, int64_t now);
// A step begins, and its clock, which was looked at, reads `now`: partitions turn idle, the clock
// moves the source's watermark. True when it moved.
bool watermark_clock(struct watermark *m, int64_t now);
// What watermark_clock would make of the source's watermark, without doing it.
int64_t watermark_at(const struct watermark *m, int64_t now);
// The next instant at which the clock changes something of its own: a partition turns idle. With
// `due` (a time an operator waits for, or INT64_MAX), also the instant at which an idle source
// reaches it. INT64_MAX for never.
int64_t watermark_next(const struct watermark *m, int64_t now, int64_t due);
// The smallest over the partitions that count, after parts were loaded.
void watermark_loaded(struct watermark *m);

#endif
