// SPDX-License-Identifier: Apache-2.0
//
// Time as int64 milliseconds since 1970-01-01 UTC, Kafka's unit; years 1 to 9999 only, so that
// window arithmetic cannot overflow. Durations are int64 milliseconds too.
#ifndef LEAT_BASE_DATETIME_H
#define LEAT_BASE_DATETIME_H

#include "runtime/base/bytes.h"
#include "runtime/base/assert.h"

#define DATETIME_MIN (-62135596800000) // 0001-01-01T00:00:00.000Z
#define DATETIME_MAX 253402300799999   // 9999-12-31T23:59:59.999Z
#define DATETIME_TEXT_SIZE 25          // "2026-01-01T12:00:00.000Z" and a NUL

// YYYY-MM-DD or with '/', then optionally 'T' or a space, HH:MM, seconds, fraction (cut to ms),
// zone
// ('Z', "+01:00", "+0100"; none = UTC). LEAT_ETIME for anything else.
int datetime_parse(struct bytes s, int64_t *ms) LEAT_CHECKED;
// Always with three fraction digits and 'Z'. ms must be in range.
void datetime_format(int64_t ms, char out[DATETIME_TEXT_SIZE]);
// Days from 1970-01-01 to a date, which must be one of the years from 1 on.
int64_t datetime_days(int year, int month, int day);
// "1h30m", "100ms", "7d", "0": units ms s m h d w, largest first or not. LEAT_EINVAL otherwise or
// on overflow.
int duration_parse(struct bytes s, int64_t *ms) LEAT_CHECKED;
// "1h30m", "250ms": the shortest form that reads back. At most 32 bytes with the NUL.
void duration_format(int64_t ms, char out[32]);

#endif
