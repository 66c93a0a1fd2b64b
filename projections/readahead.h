// SPDX-License-Identifier: Apache-2.0
//
// Threads that bring pages of the job file into the machine's cache before they are asked for.
#ifndef LEAT_PROJECTIONS_READAHEAD_H
#define LEAT_PROJECTIONS_READAHEAD_H

struct jobfile;

// Ends them, if there are any: before the file is closed.
void readahead_unload(struct jobfile *jf);

#endif
