// SPDX-License-Identifier: Apache-2.0
//
// Decisions about a step: when one starts, when it ends, what a failure means. No I/O. Essay in
// step.c.
#ifndef LEAT_ENGINE_STEP_H
#define LEAT_ENGINE_STEP_H

#include <stdbool.h>
#include <stdint.h>

enum step_phase { STEP_RECORDS, STEP_FLUSH, STEP_COMMIT };

enum step_verdict {
    STEP_AGAIN,         // run the batch again: what went wrong is known now
    STEP_AGAIN_CAREFUL, // run the batch again, flushing after each record
    STEP_WAIT,          // run it again later
    STEP_STOP,          // a person is needed
};

enum step_verdict step_judge(enum step_phase phase, int rc, bool careful);

// Reasons to start one.
struct step_wish {
    bool record, retry, tick, closing, unplaced;
    int64_t since_commit_ms, gap_ms;
    int64_t outbox_waiting, outbox_max;
};

enum step_start { STEP_NO, STEP_YES, STEP_TOO_SOON, STEP_BLOCKED };

enum step_start step_wanted(const struct step_wish *w);

struct step_size {
    int64_t records, bytes, parked;
    int64_t elapsed_ms;
    bool memory; // operators hold as much as they may
};

struct step_caps {
    int64_t records, bytes, every_ms, parked;
};

// How long a step may collect when the last one took so long to write: see step.c.
int64_t step_collect_ms(int64_t every_ms, int64_t write_ms);

bool step_full(const struct step_size *s, const struct step_caps *c);

// Back-off of a step that waits: 1 s, doubling, at most 30 s.
int64_t step_backoff(int64_t last_ms);

#endif
