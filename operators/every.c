// SPDX-License-Identifier: Apache-2.0
//
// every "1h": a clock is a source. The engine offers an empty event at each step; a tick goes out
// when the step's clock has passed a multiple of the interval since the last one. Ticks missed
// meanwhile (the job was down, the machine slept) collapse into the newest. The last tick is a
// number in the job file, committed with the step, so that a restart repeats none; a new job waits
// for the next multiple.
//
// A tick is the value {time = <tick, ms>}, keyless, with that event time.
#include "operators/operators.h"

#include <stdio.h>

struct every {
    struct operator op;
    char number[256]; // its name in the job file
};

static int every_open(struct operator *o, struct err *e)
{
    struct every *ev = (struct every *)o;
    int n = snprintf(ev->number, sizeof(ev->number), "every:%s", o->node->id);

    if (o->node->every.interval_ms <= 0)
        return err_set(e, LEAT_EINVAL, "an interval must be longer than nothing");
    if (n >= (int)sizeof(ev->number))
        return err_set(e, LEAT_EINVAL, "the name of this clock is too long");
    return 0;
}

static int64_t floor_to(int64_t t, int64_t step)
{
    int64_t rest = t % step;

    return t - (rest < 0 ? rest + step : rest);
}

static struct value tick_value(int64_t tick, struct arena *a)
{
    struct value_object *obj = arena_alloc(a, sizeof(*obj));

    obj->n = 1;
    obj->names = arena_alloc(a, sizeof(*obj->names));
    obj->values = arena_alloc(a, sizeof(*obj->values));
    obj->names[0] = BYTES_LIT("time");
    obj->values[0] = value_int(tick);
    return (struct value){.type = VALUE_OBJECT, .object = obj};
}

static int every_process(struct operator *o, struct event *ev, int input, struct err *e)
{
    struct every *every = (struct every *)o;
    int64_t tick = floor_to(run_now(o->run), o->node->every.interval_ms), last;
    struct event out;
    bool first;
    int rc = run_number_get(o->run, every->number, &last, e);

    (void)input;
    if (rc < 0)
        return rc;
    first = rc == 0;
    if (!first && tick <= last)
        return 0;
    rc = run_number_put(o->run, every->number, tick, e);
    if (rc < 0 || first)
        return rc; // at the first look nothing has passed yet
    out = event_with_value(ev, tick_value(tick, run_arena(o->run)), run_arena(o->run));
    out.time = out.timestamp = tick;
    out.key = VALUE_OF_MISSING;
    out.key_raw = BYTES_NULL;
    return operator_emit(o, OUT_MAIN, &out, e);
}

const struct operator_type operator_every = {
    .kind = NODE_EVERY,
    .size = sizeof(struct every),
    .open = every_open,
    .process = every_process,
};
