// SPDX-License-Identifier: Apache-2.0
//
// The heap seam: the only place that calls malloc. Two families, by who can answer for a failure:
// heap_try_* return NULL and are for what the outside can make large (decoders, starts of
// operations); heap_* never return NULL: out of memory there ends the process with a clear message.
// Test builds fail the n-th allocation on demand, counted across the process.
#ifndef LEAT_BASE_HEAP_H
#define LEAT_BASE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/base/assert.h"

void *heap_try_alloc(size_t n) LEAT_CHECKED;
void *heap_try_zalloc(size_t n) LEAT_CHECKED;
// On failure the old block stays valid.
void *heap_try_realloc(void *p, size_t n) LEAT_CHECKED;

void *heap_alloc(size_t n) LEAT_CHECKED;
void *heap_zalloc(size_t n) LEAT_CHECKED;
void *heap_realloc(void *p, size_t n) LEAT_CHECKED;
char *heap_strdup(const char *s) LEAT_CHECKED;
char *heap_strndup(const char *s, size_t n) LEAT_CHECKED;
char *heap_printf(const char *fmt, ...) LEAT_PRINTF(1, 2) LEAT_CHECKED;

// NULL is fine.
void heap_free(void *p);

// For a server, first of all: blocks as large as a request are kept for the next one. Otherwise
// each is mapped, faulted in page by page, and unmapped, which costs more than its checksum.
void heap_keep_large_blocks(void);

#if LEAT_TESTING
// The n-th heap_try_* from now (0 = the next) fails; with `forever`, all after it too. n < 0
// disarms.
void heap_fault_arm(int64_t n, bool forever);
// Whether the armed fault has fired since it was armed.
bool heap_fault_fired(void);
// Exists as a place for a breakpoint: called each time a fault fires.
void heap_fault_hit(void);
#endif

#endif
