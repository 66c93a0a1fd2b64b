// SPDX-License-Identifier: Apache-2.0
//
// from "topic": the engine has read, decoded and timed the record already; it goes on as it is.
#include "operators/operators.h"

static int source_process(struct operator *o, struct event *ev, int input, struct err *e)
{
    (void)input;
    return operator_emit(o, OUT_MAIN, ev, e);
}

const struct operator_type operator_source = {
    .kind = NODE_SOURCE,
    .size = sizeof(struct operator),
    .process = source_process,
};
