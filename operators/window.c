// SPDX-License-Identifier: Apache-2.0
#include "operators/window.h"

#include "runtime/base/datetime.h"
#include "runtime/base/zone.h"

#define DAY_MS INT64_C(86400000)

static int span_check(int64_t span, int64_t least, const char *what, struct err *e)
{
    if (span >= least && span <= WINDOW_SPAN_MAX)
        return 0;
    return err_set(e, LEAT_EINVAL, "the window's %s of %lld ms is %s", what, (long long)span,
                   span < least ? "too short" : "too long");
}

int window_check(const struct plan_window *w, struct err *e)
{
    int rc = 0;

    switch (w->kind) {
    case WINDOW_NONE:
        return 0;
    case WINDOW_SESSION:
    case WINDOW_LAST:
        rc = span_check(w->size_ms, 1, w->kind == WINDOW_LAST ? "last" : "gap", e);
        return rc < 0 ? rc : span_check(w->grace_ms, 0, "grace", e);
    case WINDOW_TUMBLING:
    case WINDOW_HOPPING:
        break;
    }
    rc = span_check(w->size_ms, 1, "size", e);
    if (rc == 0)
        rc = span_check(w->every_ms, 1, "every", e);
    if (rc == 0)
        rc = span_check(w->grace_ms, 0, "grace", e);
    if (rc < 0)
        return rc;
    if (w->zone != NULL && (w->size_ms % DAY_MS != 0 || w->every_ms % DAY_MS != 0))
        return err_set(e, LEAT_EINVAL, "windows in a time zone are whole days");
    if (w->every_ms > w->size_ms)
        return err_set(e, LEAT_EINVAL, "every is longer than size: records between two windows "
                                       "would be lost");
    if (w->size_ms / w->every_ms > WINDOWS_PER_RECORD_MAX)
        return err_set(e, LEAT_EINVAL, "each record would be in %lld windows, at most %d are "
                                       "allowed: make every longer",
                       (long long)(w->size_ms / w->every_ms), WINDOWS_PER_RECORD_MAX);
    return 0;
}

// A window in a time zone, in days.
static int64_t size_days(const struct plan_window *w)
{
    return w->size_ms / DAY_MS;
}

static int64_t every_days(const struct plan_window *w)
{
    return w->every_ms / DAY_MS;
}

static int64_t floor_to(int64_t t, int64_t step)
{
    int64_t rest = t % step;

    return t - (rest < 0 ? rest + step : rest);
}

int window_time_check(int64_t t, struct err *e)
{
    if (t >= DATETIME_MIN && t <= DATETIME_MAX)
        return 0;
    return err_set(e, LEAT_ETIME, "the event time %lld ms is outside of the years 1 to 9999",
                   (long long)t);
}

int window_of(const struct plan_window *w, int64_t t, int64_t *first, int64_t *last, struct err *e)
{
    int rc;

    if (w->kind == WINDOW_NONE) {
        *first = *last = 0;
        return 0;
    }
    rc = window_time_check(t, e);
    if (rc < 0)
        return rc;
    if (w->zone != NULL) {
        int64_t day = zone_day(w->zone, t), every = every_days(w);
        *last = zone_day_start(w->zone, floor_to(day, every));
        *first = zone_day_start(w->zone, floor_to(day - size_days(w), every) + every);
        return 0;
    }
    *last = floor_to(t, w->every_ms);
    if (w->every_ms == w->size_ms) {
        *first = *last;
        return 0;
    }
    *first = floor_to(t - w->size_ms, w->every_ms) + w->every_ms;
    return 0;
}

int64_t window_next(const struct plan_window *w, int64_t start)
{
    if (w->zone != NULL)
        return zone_day_start(w->zone, zone_day(w->zone, start) + every_days(w));
    return start + w->every_ms;
}

int64_t window_end(const struct plan_window *w, int64_t start)
{
    if (w->zone != NULL)
        return zone_day_start(w->zone, zone_day(w->zone, start) + size_days(w));
    return w->kind == WINDOW_NONE ? INT64_MAX : start + w->size_ms;
}

int64_t window_deadline(const struct plan_window *w, int64_t start)
{
    return w->kind == WINDOW_NONE ? INT64_MAX : window_end(w, start) + w->grace_ms;
}

int64_t window_open_from(const struct plan_window *w, int64_t watermark)
{
    int64_t from;

    if (w->kind == WINDOW_NONE || __builtin_sub_overflow(watermark, w->size_ms, &from) ||
        __builtin_sub_overflow(from, w->grace_ms, &from) ||
        (w->zone != NULL && __builtin_sub_overflow(from, 2 * DAY_MS, &from))) // more than any shift
        return INT64_MIN;
    return from + 1;
}
