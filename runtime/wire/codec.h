// SPDX-License-Identifier: Apache-2.0
//
// What decode.c, encode.c and wire.c share: how a field looks in memory.
#ifndef LEAT_WIRE_CODEC_H
#define LEAT_WIRE_CODEC_H

#include "runtime/wire/wire.h"

// Any array field. Read and written with memcpy, because the real `items` has another pointer type.
struct wire_array {
    int32_t n;
    void *items;
};

static inline struct wire_array wire_array_load(const void *at)
{
    struct wire_array array;

    memcpy(&array, at, sizeof array);
    return array;
}

static inline bool wire_field_in(const struct wire_field *f, int version)
{
    return version >= f->since && version <= f->until;
}

static inline bool wire_field_nullable(const struct wire_field *f, int version)
{
    return version >= f->null_since && version <= f->null_until;
}

// Bytes of one value in memory.
size_t wire_value_size(const struct wire_field *f);
// Bytes of one value of a type of fixed length on the wire; 0 for the others.
size_t wire_fixed_size(const struct wire_field *f);

void wire_field_default(const struct wire_field *f, void *at);
bool wire_field_is_default(const struct wire_field *f, const void *at);

// wire_encode with gaps.
int wire_encode_gaps(const struct wire_message *m, int version, const void *in,
                     struct wire_gaps *gaps, struct buf *out, struct err *e) LEAT_CHECKED;

#endif
