// SPDX-License-Identifier: Apache-2.0
//
// The clock seam. Two clocks that are never mixed: wall_ms for what a record or a person sees,
// mono_ns for deadlines and measuring. Tests hand in a clock that they move by hand.
#ifndef LEAT_BASE_CLOCK_H
#define LEAT_BASE_CLOCK_H

#include <stdint.h>

struct clock {
    int64_t (*wall_ms)(struct clock *c); // milliseconds since 1970-01-01 UTC
    int64_t (*mono_ns)(struct clock *c); // never goes back
};

// The machine's clocks. Shared and stateless.
struct clock *clock_system(void);

struct clock_fake {
    struct clock base;
    int64_t wall, mono;
};

void clock_fake_init(struct clock_fake *f, int64_t wall_ms);
void clock_fake_advance(struct clock_fake *f, int64_t ms);

static inline int64_t clock_wall_ms(struct clock *c)
{
    return c->wall_ms(c);
}

static inline int64_t clock_mono_ns(struct clock *c)
{
    return c->mono_ns(c);
}

static inline int64_t clock_mono_ms(struct clock *c)
{
    return c->mono_ns(c) / 1000000;
}

#endif
