// SPDX-License-Identifier: Apache-2.0
//
// Values in state blobs, bit for bit:
//
//   type u8, then    bool u8 | int varint | float be64 (its bits) | decimal scale u8 varint
//                    text, bytes: length varint, bytes | documents: format u8, length varint, bytes
//
// Small numbers are short (zig-zag varints): state that does not fit into memory is read and
// written by pages, and what fits into one counts.
//
// Built objects and arrays are packed as MessagePack documents.
#ifndef LEAT_OPERATORS_PACK_H
#define LEAT_OPERATORS_PACK_H

#include "runtime/record/value.h"

void pack_u8(struct buf *out, uint8_t v);
void pack_i64(struct buf *out, int64_t v); // 8 bytes
void pack_int(struct buf *out, int64_t v); // 1 to 10
void pack_f64(struct buf *out, double v);
int pack_value(struct buf *out, const struct value *v, struct err *e) LEAT_CHECKED;

// Take from the front of `in`; LEAT_ECORRUPT when it ends too early. Values borrow from `in`.
int unpack_u8(struct bytes *in, uint8_t *v) LEAT_CHECKED;
int unpack_u32(struct bytes *in, uint32_t *v) LEAT_CHECKED;
int unpack_i64(struct bytes *in, int64_t *v) LEAT_CHECKED;
int unpack_int(struct bytes *in, int64_t *v) LEAT_CHECKED;
int unpack_f64(struct bytes *in, double *v) LEAT_CHECKED;
int unpack_value(struct bytes *in, struct value *v) LEAT_CHECKED;

#endif
