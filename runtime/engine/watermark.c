// SPDX-License-Identifier: Apache-2.0
//
// Event-time progress of one source.
//
//   partition   w = newest event time seen - disorder. Forward only.
//               drained   position = stable end          leaves the state at its next record
//               idle      drained for idle_ms            counts no more in the minimum
//   source      w = min over its partitions that are not idle. Forward only.
//               all partitions idle and drained: w = max(w, now - disorder - idle)
//
// Forward only, also when a partition comes back from idle behind the others: an idle partition's w
// is raised along with the source's, so no w is ever below it. That is the same as remembering the
// source's w beside the minimum, and it means that the partitions' own values, which are stored
// with the offsets, are all that a restart needs. For the same reason the step by the wall clock is
// written into the partitions.
//
// What waits to be read keeps the clock out, also while its partition still counts as idle: records
// that came while the job was down or held up must not be late for having waited.
//
// The clock counts in a step only. That a look at it would move something is a reason for a step
// (watermark_at); a look that leads to none leaves no trace but since when partitions are drained.
// So what a job computes depends on its steps, which are written down, and not on how often it was
// called in between.
//
// Sums near the ends of int64 saturate: event times come from outside.
#include "runtime/engine/watermark.h"

#include "runtime/base/assert.h"

static int64_t minus(int64_t a, int64_t b)
{
    int64_t v;

    return __builtin_sub_overflow(a, b, &v) ? (b > 0 ? INT64_MIN + 1 : INT64_MAX) : v;
}

static int64_t plus(int64_t a, int64_t b)
{
    int64_t v;

    return __builtin_add_overflow(a, b, &v) ? (b > 0 ? INT64_MAX : INT64_MIN + 1) : v;
}

// The minimum over those that count; the source's own when none does.
static int64_t minimum(const struct watermark *m)
{
    int64_t w = INT64_MAX;

    for (int i = 0; i < m->n; i++)
        if (!m->parts[i].idle && m->parts[i].w < w)
            w = m->parts[i].w;
    return w == INT64_MAX ? m->w : w;
}

static bool advance(struct watermark *m)
{
    int64_t w = minimum(m);

    if (w <= m->w)
        return false;
    m->w = w;
    for (int i = 0; i < m->n; i++)
        if (m->parts[i].w < w) // only idle ones can be behind
            m->parts[i].w = w;
    return true;
}

bool watermark_record(struct watermark *m, int i, int64_t t)
{
    struct watermark_part *p = &m->parts[i];
    int64_t before = p->idle ? WATERMARK_NONE : p->w;
    int64_t w = minus(t, m->disorder_ms);

    ASSERT(i < m->n);
    p->last_time = t;
    p->idle = false;
    p->drained_since = DRAINED_NOT;
    if (w > p->w)
        p->w = w;
    // One that was ahead of the minimum cannot have been what held it.
    return before > m->w ? false : advance(m);
}

static bool all_idle(const struct watermark *m)
{
    for (int i = 0; i < m->n; i++)
        if (!m->parts[i].idle)
            return false;
    return m->n > 0;
}

static bool all_drained(const struct watermark *m)
{
    for (int i = 0; i < m->n; i++)
        if (m->parts[i].drained_since == DRAINED_NOT)
            return false;
    return true;
}

static int64_t by_clock(const struct watermark *m, int64_t now)
{
    int64_t w = minus(now, plus(m->disorder_ms, m->idle_ms));

    return w > m->w ? w : m->w;
}

// Idle, or drained for so long that it is about to be.
static bool is_out(const struct watermark *m, const struct watermark_part *p, int64_t now)
{
    return p->idle || (m->idle_ms >= 0 && p->drained_since <= now &&
                       minus(now, p->drained_since) >= m->idle_ms);
}

void watermark_look(struct watermark *m, const bool *drained, int64_t now)
{
    for (int i = 0; i < m->n; i++) {
        struct watermark_part *p = &m->parts[i];
        if (!drained[i])
            p->drained_since = DRAINED_NOT;
        else if (p->drained_since > now)
            p->drained_since = now;
    }
}

bool watermark_clock(struct watermark *m, int64_t now)
{
    int64_t before = m->w;

    for (int i = 0; i < m->n; i++)
        m->parts[i].idle = is_out(m, &m->parts[i], now);
    (void)advance(m);
    if (m->idle_ms >= 0 && all_idle(m) && all_drained(m)) {
        m->w = by_clock(m, now);
        for (int i = 0; i < m->n; i++)
            if (m->parts[i].w < m->w)
                m->parts[i].w = m->w;
    }
    return m->w > before;
}

int64_t watermark_at(const struct watermark *m, int64_t now)
{
    int64_t w = INT64_MAX;
    bool idle = m->n > 0 && m->idle_ms >= 0 && all_drained(m);

    for (int i = 0; i < m->n; i++) {
        const struct watermark_part *p = &m->parts[i];
        bool out = is_out(m, p, now);
        idle = idle && out;
        if (!out && p->w < w)
            w = p->w;
    }
    if (idle)
        return by_clock(m, now);
    return w == INT64_MAX || w < m->w ? m->w : w;
}

int64_t watermark_next(const struct watermark *m, int64_t now, int64_t due)
{
    int64_t next = INT64_MAX;
    bool idle = m->n > 0 && all_drained(m);

    if (m->idle_ms < 0)
        return INT64_MAX;
    for (int i = 0; i < m->n; i++) {
        const struct watermark_part *p = &m->parts[i];
        int64_t at =
            p->drained_since == DRAINED_NOT ? INT64_MAX : plus(p->drained_since, m->idle_ms);

        idle = idle && is_out(m, p, now);
        if (!p->idle && at > now && at < next)
            next = at;
    }
    if (idle && due != INT64_MAX) {
        int64_t at = plus(due, plus(m->disorder_ms, m->idle_ms));
        if (at > now && at < next)
            next = at;
    }
    return next;
}

void watermark_loaded(struct watermark *m)
{
    int64_t all = INT64_MAX;

    for (int i = 0; i < m->n; i++)
        all = m->parts[i].w < all ? m->parts[i].w : all;
    m->w = m->n > 0 && all_idle(m) ? all : WATERMARK_NONE;
    (void)advance(m);
}
