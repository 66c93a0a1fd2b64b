// SPDX-License-Identifier: Apache-2.0
//
// Time zones of the system's tz database, read once into memory: libc's belong to the process's
// environment, not to a job. Only what windows of local days ask is here. Format: RFC 8536.
//
// Times are ms since 1970-01-01 UTC in the years 1 to 9999 (datetime.h), days are local dates
// counted from 1970-01-01.
#ifndef LEAT_BASE_ZONE_H
#define LEAT_BASE_ZONE_H

#include "runtime/base/arena.h"
#include "runtime/base/err.h"

struct zone;

// "Europe/Oslo", from $TZDIR or /usr/share/zoneinfo; it lives in the arena. LEAT_EINVAL: no such
// name; LEAT_ECORRUPT: the file is no zone, or counts leap seconds.
int zone_load(const char *name, struct arena *a, const struct zone **out,
              struct err *e) LEAT_CHECKED;
// From the bytes of a TZif file of version 2 or later. LEAT_ECORRUPT.
int zone_parse(struct bytes tzif, struct arena *a, const struct zone **out,
               struct err *e) LEAT_CHECKED;

// What local time is ahead of UTC by, in ms.
int64_t zone_offset(const struct zone *z, int64_t t);
// The first moment at which the local date is that day or a later one. A day that a zone skipped
// begins when the next does.
int64_t zone_day_start(const struct zone *z, int64_t day);
// The last day that has begun: zone_day_start(d) <= t < zone_day_start(d + 1).
int64_t zone_day(const struct zone *z, int64_t t);

#endif
