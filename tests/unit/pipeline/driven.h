// SPDX-License-Identifier: Apache-2.0
//
// A job from its text, driven over topics and a job file in memory, for the tests of this folder
// that look at what it asks of its store.
#ifndef LEAT_TESTS_PIPELINE_DRIVEN_H
#define LEAT_TESTS_PIPELINE_DRIVEN_H

#include "runtime/engine/driver.h"
#include "runtime/engine/plan.h"

#define DRIVEN_START INT64_C(1767225600000) // 2026-01-01T00:00Z

struct driven {
    struct plan *plan;
    struct driver *driver;
    struct err e;
};

// Fails the test with the error's text unless rc is 0.
void driven_ok(struct driven *d, int rc);
void driven_load(struct driven *d, const char *job);
// Over the loaded plan, with one partition unless c says more, from DRIVEN_START on.
void driven_open(struct driven *d, struct driver_config c);
// A record with the key "k" and the start's timestamp.
void driven_send(struct driven *d, const char *topic, const char *json);
void driven_close(struct driven *d);

#endif
