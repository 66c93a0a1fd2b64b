// SPDX-License-Identifier: Apache-2.0
//
// -p name=value, for every command that loads a job.
#ifndef LEAT_APP_JOB_PARAMS_H
#define LEAT_APP_JOB_PARAMS_H

#include "runtime/app/command.h"

enum { JOB_PARAMS_MAX = 64 };

// NULL-terminated. LEAT_EUSAGE.
int job_params(const struct args *a, const char *out[JOB_PARAMS_MAX + 1],
               struct err *e) LEAT_CHECKED;

#endif
