// SPDX-License-Identifier: Apache-2.0
//
// A growing byte buffer. Appending never fails: growth past memory ends the process (heap.h), so a
// caller that is fed from outside checks its limit before it appends. buf_try_reserve is for those
// who want to know.
#ifndef LEAT_BASE_BUF_H
#define LEAT_BASE_BUF_H

#include "runtime/base/bytes.h"
#include "runtime/base/assert.h"

struct buf {
    uint8_t *p;
    size_t n;   // bytes in use
    size_t cap; // bytes allocated
};

#define BUF_EMPTY ((struct buf){NULL, 0, 0})

void buf_deinit(struct buf *b);
// Room for `more` bytes behind n. LEAT_ENOMEM leaves the buffer as it was.
int buf_try_reserve(struct buf *b, size_t more) LEAT_CHECKED;
void buf_reserve(struct buf *b, size_t more);
void buf_append(struct buf *b, const void *p, size_t n);
// At most `max` bytes of text for people, whole characters, blanks for what would break the line;
// "…" where something is missing.
void buf_append_cut(struct buf *b, struct bytes s, size_t max);
void buf_append_bytes(struct buf *b, struct bytes s);
void buf_append_str(struct buf *b, const char *s);
void buf_append_byte(struct buf *b, uint8_t c);
void buf_printf(struct buf *b, const char *fmt, ...) LEAT_PRINTF(2, 3);
void buf_append_be16(struct buf *b, uint16_t v);
void buf_append_be32(struct buf *b, uint32_t v);
void buf_append_be64(struct buf *b, uint64_t v);
// Removes n bytes from the front.
void buf_consume(struct buf *b, size_t n);
// Puts a NUL behind the contents (not counted) and returns them as a C string.
const char *buf_cstr(struct buf *b);

static inline struct bytes buf_bytes(const struct buf *b)
{
    return (struct bytes){b->p, b->n};
}

static inline void buf_clear(struct buf *b)
{
    b->n = 0;
}

#endif
