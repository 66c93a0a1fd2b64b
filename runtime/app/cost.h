// SPDX-License-Identifier: Apache-2.0
//
// What each operator of a job takes per record, measured by running a sample through the real
// engine on a database in memory.
//
// The operators' hooks are called through others that read the clock before and after. Operators
// call each other depth first, so time belongs to whoever is running now: entering one stops the
// clock of its caller. What is left over is reading, decoding, merging and committing. The sample
// runs several times, and each figure is the least of them: other programs only ever add to it.
#ifndef LEAT_APP_COST_H
#define LEAT_APP_COST_H

#include "runtime/engine/explain.h"

struct cost_sample {
    const char *file;  // JSON lines, or CSV when it ends in .csv
    const char *topic; // one that the job reads
    const char *key;   // field with the record key; NULL
};

struct cost {
    struct plan_cost *nodes; // by index, in the arena
    int64_t records;         // that were sent, in each run
    int64_t rest_ns;         // outside of operators
    int64_t parked;          // of the records: they failed
    int runs;
};

// LEAT_EDECODE, LEAT_EIO (the sample), or what stopped the job.
int cost_measure(const struct plan *p, const struct cost_sample *samples, size_t n,
                 struct arena *a, struct cost *out, struct err *e) LEAT_CHECKED;

#endif
