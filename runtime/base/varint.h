// SPDX-License-Identifier: Apache-2.0
//
// Unsigned LEB128 and zig-zag varints as Kafka uses them (record fields: zig-zag; compact lengths
// and tags: unsigned). Readers refuse forms longer than 5 (32-bit) or 10 (64-bit) bytes and never
// read past the end.
#ifndef LEAT_BASE_VARINT_H
#define LEAT_BASE_VARINT_H

#include "runtime/base/bytes.h"
#include "runtime/base/assert.h"

#define VARINT32_MAX 5
#define VARINT64_MAX 10

// Each reader returns the bytes used, or 0 when malformed, too long, overflowing or cut.
size_t varint_u32(struct bytes b, uint32_t *v) LEAT_CHECKED;
size_t varint_u64(struct bytes b, uint64_t *v) LEAT_CHECKED;
size_t varint_z32(struct bytes b, int32_t *v) LEAT_CHECKED;
size_t varint_z64(struct bytes b, int64_t *v) LEAT_CHECKED;

// One byte is what most of them are: decided where it is read. As the readers above.
static inline size_t varint_z64_short(struct bytes b, int64_t *v)
{
    if (b.n == 0 || b.p[0] >= 0x80)
        return varint_z64(b, v);
    *v = (int64_t)(b.p[0] >> 1) ^ -(int64_t)(b.p[0] & 1);
    return 1;
}

static inline size_t varint_z32_short(struct bytes b, int32_t *v)
{
    if (b.n == 0 || b.p[0] >= 0x80)
        return varint_z32(b, v);
    *v = (int32_t)(b.p[0] >> 1) ^ -(int32_t)(b.p[0] & 1);
    return 1;
}

// Each writer needs VARINT32_MAX or VARINT64_MAX bytes of room and returns the bytes written.
size_t varint_put_u32(uint8_t *p, uint32_t v);
size_t varint_put_u64(uint8_t *p, uint64_t v);
size_t varint_put_z32(uint8_t *p, int32_t v);
size_t varint_put_z64(uint8_t *p, int64_t v);

size_t varint_size_u32(uint32_t v);
size_t varint_size_z64(int64_t v);

#endif
