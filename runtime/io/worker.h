// SPDX-License-Identifier: Apache-2.0
//
// A function that blocks, run on another thread; then its end, back on the loop. The work sees only
// its own struct, which is the worker's from submit until `done` is called.
#ifndef LEAT_IO_WORKER_H
#define LEAT_IO_WORKER_H

#include "runtime/io/loop.h"

struct work {
    void (*run)(struct work *w);              // on a pool thread
    void (*done)(struct work *w, int status); // on the loop: 0, or LEAT_ECANCELED when it never ran
};

int worker_submit(struct loop *l, struct work *w, struct err *e) LEAT_CHECKED;

#endif
