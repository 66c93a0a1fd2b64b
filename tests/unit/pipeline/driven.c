// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/pipeline/driven.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "operators/operators.h"
#include "projections/jobfile.h"
#include "scripts/script.h"

static int store_open(void *arg, const struct plan *p, struct store **out, struct err *e)
{
    struct jobfile_options o = {0};

    (void)arg;
    return jobfile_open(out, p, &o, e);
}

static void store_close(void *arg, struct store *s)
{
    (void)arg;
    jobfile_close(s);
}

void driven_ok(struct driven *d, int rc)
{
    if (rc != 0)
        fail_msg("%s", d->e.text);
}

void driven_load(struct driven *d, const char *job)
{
    struct script_options o = {
        .file = "job.lua", .text = bytes_str(job), .operators = operator_types()};

    driven_ok(d, script_load(&d->plan, &o, &d->e));
}

void driven_open(struct driven *d, struct driver_config c)
{
    c.plan = d->plan;
    c.operators = operator_types();
    c.stores = (struct driver_store_factory){.open = store_open, .close = store_close};
    c.start_ms = DRIVEN_START;
    c.n_partitions = c.n_partitions > 0 ? c.n_partitions : 1;
    driven_ok(d, driver_open(&d->driver, &c, &d->e));
}

void driven_send(struct driven *d, const char *topic, const char *json)
{
    struct driver_record r = {
        .key = BYTES_LIT("k"), .value = bytes_str(json), .timestamp = DRIVEN_START};

    driven_ok(d, driver_send(d->driver, topic, &r, &d->e));
}

void driven_close(struct driven *d)
{
    driver_close(d->driver);
    plan_free(d->plan);
}
