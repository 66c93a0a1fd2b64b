// SPDX-License-Identifier: Apache-2.0
//
// One job over a driver and a fake store: what the tests of this folder share.
#ifndef LEAT_TESTS_ENGINE_RIG_H
#define LEAT_TESTS_ENGINE_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "runtime/engine/driver.h"
#include "tests/support/fake_store.h"
#include "tests/support/plan_build.h"

#define RIG_START INT64_C(1767225600000) // 2026-01-01T00:00Z

struct rig {
    struct plan *plan;
    struct driver *d;
    struct fake_store store;
    struct err err;
    int tries; // counted by user code
    int64_t gap_ms; // of struct driver_config
};

// Finishes the plan that the test put into r->plan and starts it.
void rig_start(struct rig *r, int32_t n_partitions);
void rig_stop(struct rig *r);
void rig_send(struct rig *r, const char *topic, int32_t partition, const char *key,
              const char *json);
void rig_run(struct rig *r);
int rig_try(struct rig *r); // run; the error is in r->err
void rig_advance(struct rig *r, int64_t ms);
// Closes the job in the middle of whatever it does and opens it again on what is committed.
void rig_crash(struct rig *r);
// What was published since: the values joined by spaces.
void rig_expect(struct rig *r, const char *topic, const char *values);
struct job_status rig_status(struct rig *r);
// "key:class key:sequence ..." of the parked rows.
void rig_expect_parked(struct rig *r, const char *text);

// The user code of most tests. Member `do`: "type", "lua", "missing" fail with that class; "cure"
// makes "missing" succeed from then on; "enospc" is the machine's. Otherwise the member n is added
// to the row "sum", and the record goes on.
int rig_user(void *arg, struct fn_call *c, struct err *e);

#endif
