// SPDX-License-Identifier: Apache-2.0
//
// Window arithmetic: which windows a time belongs to and when they close. Windows of a fixed size
// start at the multiples of `every` since the epoch (negative ones too), and are
// [start, start + size). With a time zone both are whole days and counted in local ones: a day of
// 23 or 25 hours is a day, and one that the zone skipped is none.
//
// Times are years 1 to 9999 (datetime.h) and spans at most WINDOW_SPAN_MAX, both checked at the
// door, so that no sum here overflows.
#ifndef LEAT_OPERATORS_WINDOW_H
#define LEAT_OPERATORS_WINDOW_H

#include "runtime/engine/plan.h"

#define WINDOW_SPAN_MAX (INT64_C(10000) * 366 * 24 * 3600 * 1000)
#define WINDOWS_PER_RECORD_MAX 10000 // a hopping window with more is refused at load

// LEAT_EINVAL for impossible sizes.
int window_check(const struct plan_window *w, struct err *e) LEAT_CHECKED;

// LEAT_ETIME when t is outside of the calendar.
int window_time_check(int64_t t, struct err *e) LEAT_CHECKED;

// The starts of the windows that hold t: *first, the next ones, ... *last. LEAT_ETIME when t is
// outside of the calendar.
int window_of(const struct plan_window *w, int64_t t, int64_t *first, int64_t *last,
              struct err *e) LEAT_CHECKED;

int64_t window_next(const struct plan_window *w, int64_t start);
int64_t window_end(const struct plan_window *w, int64_t start);
// The watermark that closes the window: its end + grace.
int64_t window_deadline(const struct plan_window *w, int64_t start);
// No window that starts before it is open at that watermark.
int64_t window_open_from(const struct plan_window *w, int64_t watermark);

#endif
