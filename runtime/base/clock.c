// SPDX-License-Identifier: Apache-2.0
#include "runtime/base/clock.h"

#include <time.h>

static int64_t read_ns(clockid_t id)
{
    struct timespec ts;

    clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static int64_t system_wall_ms(struct clock *c)
{
    (void)c;
    return read_ns(CLOCK_REALTIME) / 1000000;
}

static int64_t system_mono_ns(struct clock *c)
{
    (void)c;
    return read_ns(CLOCK_MONOTONIC);
}

struct clock *clock_system(void)
{
    static struct clock system = {system_wall_ms, system_mono_ns};

    return &system;
}

static int64_t fake_wall_ms(struct clock *c)
{
    return ((struct clock_fake *)c)->wall;
}

static int64_t fake_mono_ns(struct clock *c)
{
    return ((struct clock_fake *)c)->mono;
}

void clock_fake_init(struct clock_fake *f, int64_t wall_ms)
{
    *f = (struct clock_fake){{fake_wall_ms, fake_mono_ns}, wall_ms, 1};
}

// The end of the calendar is further away than int64 has nanoseconds: then mono stands still.
void clock_fake_advance(struct clock_fake *f, int64_t ms)
{
    int64_t ns;

    if (__builtin_add_overflow(f->wall, ms, &f->wall))
        f->wall = INT64_MAX;
    if (__builtin_mul_overflow(ms, 1000000, &ns) || __builtin_add_overflow(f->mono, ns, &f->mono))
        f->mono = INT64_MAX;
}
