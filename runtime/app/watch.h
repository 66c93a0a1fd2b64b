// SPDX-License-Identifier: Apache-2.0
//
// Whether the files of a job have been saved: the job's own and its modules (lib/*.lua beside the
// folder it is in, or in it). By looking at their times and sizes: an editor may write a file in
// place, or another one and rename it, over and over, and on any kind of file system.
//
// A change counts when two looks in a row see the same: half a file is not a job.
#ifndef LEAT_APP_WATCH_H
#define LEAT_APP_WATCH_H

#include "runtime/base/bytes.h"

struct watch {
    const char *file;
    uint64_t known; // the state that was last told
    uint64_t seen;  // at the last look
};

void watch_init(struct watch *w, const char *file);
// Whether something has been saved since the last time that this was true.
bool watch_look(struct watch *w);
// What was told last is told once more.
void watch_again(struct watch *w);

#endif
