// SPDX-License-Identifier: Apache-2.0
//
// Where the files of jobs are in a data folder.
#ifndef LEAT_APP_JOB_PATH_H
#define LEAT_APP_JOB_PATH_H

#include "runtime/base/arena.h"
#include "runtime/base/err.h"

// The newest version's file of a job: "DIR/jobs/JOB/N.db" with the largest N. LEAT_ENOTFOUND lists
// the jobs there are.
int job_path(const char *data_dir, const char *job, struct arena *a, const char **path,
             struct err *e) LEAT_CHECKED;

#endif
