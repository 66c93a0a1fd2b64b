// SPDX-License-Identifier: Apache-2.0
//
// Job files in memory, as `leat test` has them.
#ifndef TESTS_SCRIPTS_MEMORY_H
#define TESTS_SCRIPTS_MEMORY_H

#include "projections/jobfile.h"
#include "runtime/engine/driver.h"

static inline int memory_open(void *arg, const struct plan *p, struct store **out, struct err *e)
{
    struct jobfile_options o = {.path = NULL};

    (void)arg;
    return jobfile_open(out, p, &o, e);
}

static inline void memory_close(void *arg, struct store *s)
{
    (void)arg;
    jobfile_close(s);
}

static inline int memory_reopen(void *arg, const struct driver_version *v, struct store **s,
                                struct err *e)
{
    struct jobfile_options o = {.from_now = v->from_now, .drop = v->drop};

    (void)arg;
    return jobfile_reopen(s, v->plan, &o, e);
}

static inline int memory_copy(void *arg, struct store *of, struct store **out, struct err *e)
{
    (void)arg;
    return jobfile_copy(out, of, e);
}

#endif
