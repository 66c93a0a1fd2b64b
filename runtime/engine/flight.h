// SPDX-License-Identifier: Apache-2.0
//
// What a job is doing at this moment, in memory that outlives its process: the app maps a small
// file, the engine writes into it which record runs, with plain stores. When the process is killed,
// by itself or by others, the page still says what ran; nothing is written to disk for it. (A power
// cut may lose it, and is no record's fault.)
#ifndef LEAT_ENGINE_FLIGHT_H
#define LEAT_ENGINE_FLIGHT_H

#include "runtime/base/uuid.h"

enum flight_phase {
    FLIGHT_IDLE,   // outside of a step: nobody is to blame
    FLIGHT_STEP,   // the machine's own part of a step: flush, commit, watermarks
    FLIGHT_RECORD, // a record of a source
    FLIGHT_BORN,   // one that was born inside: a closed window, a timer, a tick
    FLIGHT_RETRY,  // a parked record, tried again
};

// Names what ran. Equal for the same thing in another run of the job.
struct flight_id {
    uint64_t entry;  // hash of where it entered
    int64_t offset;  // or the parked row's id, or a hash of key and time
    int32_t partition;
};

struct flight {
    struct uuid lineage; // of the job file: another's page says nothing
    uint32_t phase;
    uint32_t alone; // it was counted before it ran
    struct flight_id id;
};

// Stores that are in memory before whatever is called next, which the compiler does not see into.
static inline void flight_set(struct flight *f, enum flight_phase phase, struct flight_id id)
{
    f->id = id;
    f->alone = 0;
    __atomic_store_n(&f->phase, phase, __ATOMIC_RELEASE);
}

static inline void flight_phase(struct flight *f, enum flight_phase phase)
{
    __atomic_store_n(&f->phase, phase, __ATOMIC_RELEASE);
}

static inline bool flight_same(struct flight_id a, struct flight_id b)
{
    return a.entry == b.entry && a.offset == b.offset && a.partition == b.partition;
}

#endif
