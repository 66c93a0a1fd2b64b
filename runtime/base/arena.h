// SPDX-License-Identifier: Apache-2.0
//
// Memory that dies together: one arena per request, per record or per plan. Blocks double up to a
// cap; arena_reset keeps the first block, so a loop over records allocates once. Not thread-safe.
#ifndef LEAT_BASE_ARENA_H
#define LEAT_BASE_ARENA_H

#include "runtime/base/bytes.h"
#include "runtime/base/assert.h"

struct arena_block;

struct arena {
    struct arena_block *blocks; // newest first
    uint8_t *at, *end;          // free room in the newest block
    size_t used;                // bytes handed out since the last reset
    size_t limit;               // arena_try_alloc refuses past this; 0 = none
};

void arena_init(struct arena *a);
void arena_deinit(struct arena *a);
void arena_reset(struct arena *a);

// 16-byte aligned. NULL when memory or the limit is exhausted.
void *arena_try_alloc(struct arena *a, size_t n) LEAT_CHECKED;
// Never NULL.
void *arena_alloc(struct arena *a, size_t n) LEAT_CHECKED;
void *arena_zalloc(struct arena *a, size_t n) LEAT_CHECKED;
// Copies; NUL-terminated beyond n, so that the result can serve as a C string.
struct bytes arena_copy(struct arena *a, struct bytes b);
char *arena_strdup(struct arena *a, const char *s);
char *arena_printf(struct arena *a, const char *fmt, ...) LEAT_PRINTF(2, 3);

#endif
