// SPDX-License-Identifier: Apache-2.0
#include "runtime/app/rehearsal.h"

#include "operators/operators.h"
#include "projections/jobfile.h"

static int memory_open(void *arg, const struct plan *p, struct store **out, struct err *e)
{
    struct jobfile_options in_memory = {.path = NULL};

    (void)arg;
    return jobfile_open(out, p, &in_memory, e);
}

static void memory_close(void *arg, struct store *s)
{
    (void)arg;
    jobfile_close(s);
}

static int memory_reopen(void *arg, const struct driver_version *v, struct store **s,
                         struct err *e)
{
    struct jobfile_options o = {.from_now = v->from_now, .drop = v->drop};

    (void)arg;
    return jobfile_reopen(s, v->plan, &o, e);
}

static int memory_copy(void *arg, struct store *of, struct store **out, struct err *e)
{
    (void)arg;
    return jobfile_copy(out, of, e);
}

struct driver_store_factory rehearsal_stores(void)
{
    return (struct driver_store_factory){
        .open = memory_open, .close = memory_close, .reopen = memory_reopen, .copy = memory_copy};
}

int rehearsal_open(struct driver **out, const struct plan *p,
                   const struct operator_type *const *operators, struct err *e)
{
    struct driver_config c = {.plan = p,
                              .operators = operators != NULL ? operators : operator_types(),
                              .stores = rehearsal_stores(),
                              .start_ms = clock_wall_ms(clock_system()),
                              .n_partitions = 1};

    return driver_open(out, &c, e);
}

int rehearse(const struct plan *p, struct err *e)
{
    struct driver *d;
    int rc = rehearsal_open(&d, p, NULL, e);

    driver_close(d);
    return rc;
}
