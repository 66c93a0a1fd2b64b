// SPDX-License-Identifier: Apache-2.0
//
// Named queries without the job's source: the plan is stored in the job file as JSON, and this
// reads the queries back out of it.
#ifndef LEAT_APP_STORED_PLAN_H
#define LEAT_APP_STORED_PLAN_H

#include "runtime/engine/query.h"

// The query of that name from the plan's JSON; memory from the arena. LEAT_ENOTFOUND lists the
// names there are.
int stored_query(struct bytes plan_json, const char *name, struct arena *a, struct plan_query *out,
                 struct err *e) LEAT_CHECKED;

// The newest version's file of a job: "DIR/jobs/JOB/N.db" with the largest N. LEAT_ENOTFOUND lists
// the jobs there are.
int stored_job_path(const char *data_dir, const char *job, struct arena *a, const char **path,
                    struct err *e) LEAT_CHECKED;

#endif
