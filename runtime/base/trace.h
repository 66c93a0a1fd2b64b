// SPDX-License-Identifier: Apache-2.0
//
// Diagnostics (never called a log here: that word is taken). One line per event on stderr:
//   2026-01-01T12:00:00.000Z warn  broker: topic telemetry/0: torn tail cut, 512 bytes
// Text from outside (client ids, topic names) is escaped. Safe from any thread.
#ifndef LEAT_BASE_TRACE_H
#define LEAT_BASE_TRACE_H

#include "runtime/base/assert.h"

enum trace_level { TRACE_ERROR, TRACE_WARN, TRACE_INFO, TRACE_DEBUG };

// Lines above this level are dropped; the default is TRACE_WARN.
void trace_level_set(enum trace_level level);
void trace(enum trace_level level, const char *where, const char *fmt, ...) LEAT_PRINTF(3, 4);

#endif
