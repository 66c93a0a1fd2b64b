// SPDX-License-Identifier: Apache-2.0
//
// A record whose own statement ran so long that it had to be stopped while it wrote: SQLite then
// rolls the whole transaction back, and with it the step of all the other records.
//
//   first time   LEAT_EOVERRUN ends the step; the record is noted here
//   again        the same batch runs from the start; the noted record fails with class budget
//                before any of its code runs, is parked, and the step ends behind it
//   committed    the note is forgotten: the parked row holds the verdict
//
// The step ends behind it, so one note is enough: the next such record is of another step. What is
// noted is where the record came from and its key, because the batch may have grown meanwhile.
#ifndef LEAT_ENGINE_OVERRUN_H
#define LEAT_ENGINE_OVERRUN_H

#include "runtime/engine/plan.h"
#include "runtime/record/event.h"

struct overrun {
    bool known;
    bool met; // in this step
    int node;
    enum plan_port port;
    uint64_t id;
    char text[ERR_TEXT_MAX];
};

void overrun_note(struct overrun *o, int node, enum plan_port port, const struct event *ev,
                  const char *text);
// LEAT_EBUDGET with the text of the note when this is the noted record; else 0.
int overrun_meet(struct overrun *o, int node, enum plan_port port, const struct event *ev,
                 struct err *e) LEAT_CHECKED;

#endif
