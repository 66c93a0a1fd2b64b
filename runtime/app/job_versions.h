// SPDX-License-Identifier: Apache-2.0
//
// Which versions of a job have run in a data folder, and whether the one at hand may start beside
// them. Each version has a file of its own, and a new one reads its inputs from the start: what it
// publishes would be there twice. (To be built with its outputs muted, up to where the one before
// it stands, is what a rebuild will do; there is none yet.)
//
//   no other version has run            starts
//   its file has been used, and no      goes on
//   later version has run
//   it publishes nothing, or the job    starts from the beginning of its inputs; the files of the
//   says rebuild = {outputs =           others stay
//   "publish"}
//   else                                refused
#ifndef LEAT_APP_JOB_VERSIONS_H
#define LEAT_APP_JOB_VERSIONS_H

#include "runtime/engine/plan.h"

struct job_versions {
    bool there, used; // the file of the version at hand; used: it has read or made something
    int other;        // the highest other version that has been used; 0: none
};

enum version_start { VERSION_NEW, VERSION_GOES_ON, VERSION_ANEW, VERSION_REFUSED };

// Reads the folder. LEAT_EIO, LEAT_ECORRUPT.
int job_versions_look(const char *data_dir, const struct plan *p, struct job_versions *out,
                      struct err *e) LEAT_CHECKED;

// No I/O. Of VERSION_REFUSED `why` says what to do.
enum version_start job_versions_decide(const struct plan *p, const struct job_versions *v,
                                       struct err *why);

// "data/jobs/<job>/<version>.db". Owned by the caller.
char *job_version_path(const char *data_dir, const char *job, int version);

#endif
