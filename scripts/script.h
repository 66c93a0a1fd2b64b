// SPDX-License-Identifier: Apache-2.0
//
// Job files: a Lua file in, a plan out.
#ifndef LEAT_SCRIPTS_SCRIPT_H
#define LEAT_SCRIPTS_SCRIPT_H

#include "runtime/engine/operator.h"

struct script_options {
    const char *file;  // as shown in messages; read from disk unless text is given
    struct bytes text; // the source, or BYTES_NULL
    const char *const
        *params; // "name=value", NULL-terminated; NULL for none (-p on the command line)
    const char *tests_of; // the file holds tests of the job in this file, and no job. NULL: a job
    // What this version can run; NULL: not checked.
    const struct operator_type *const *operators;
};

// Runs the file in a fresh sandbox and finishes the plan. The plan owns the Lua state through
// plan.owner: its functions run on whichever one thread runs the job. Errors: LEAT_ELOAD
// ("jobs/a.lua:3: ..."), LEAT_EBUDGET (time, memory), LEAT_ENOTFOUND or LEAT_EIO (the file).
int script_load(struct plan **out, const struct script_options *o, struct err *e) LEAT_CHECKED;

#endif
