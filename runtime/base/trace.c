// SPDX-License-Identifier: Apache-2.0
#include "runtime/base/trace.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

static atomic_int trace_level_now = TRACE_WARN;

void trace_level_set(enum trace_level level)
{
    atomic_store(&trace_level_now, (int)level);
}

static void escape_controls(char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s < 0x20 || *s == 0x7f)
            *s = '?';
}

void trace(enum trace_level level, const char *where, const char *fmt, ...)
{
    static const char *names[] = {"error", "warn ", "info ", "debug"};
    char text[1024], stamp[32];
    struct timespec ts;
    struct tm tm;
    va_list ap;

    if ((int)level > atomic_load_explicit(&trace_level_now, memory_order_relaxed))
        return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    escape_controls(text);
    clock_gettime(CLOCK_REALTIME, &ts);
    gmtime_r(&ts.tv_sec, &tm);
    strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &tm);
    fprintf(stderr, "%s.%03ldZ %s %s: %s\n", stamp, ts.tv_nsec / 1000000, names[level], where,
            text);
}
