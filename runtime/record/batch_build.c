// SPDX-License-Identifier: Apache-2.0
//
// Building record batches. The buffer starts with room for the header; records are encoded behind
// it as they come, and finish compresses them, fills the header in and takes the CRC:
//
//   buf:     [61 bytes of header][record][record]...          without a codec this is the batch
//   packed:  [61 bytes of header][compressed records]         with one
//
// The bytes depend on the calls alone (no clock, no randomness, base offset 0, leader epoch -1), so
// that a batch built twice from the same rows carries the same CRC: jobs' outboxes rest on that.
#include "runtime/record/batch.h"

#include "runtime/base/crc32c.h"
#include "runtime/base/endian.h"
#include "runtime/base/limits.h"
#include "runtime/base/varint.h"

static const struct batch_header fresh = {
    .leader_epoch = -1,
    .magic = 2,
    .last_offset_delta = -1,
    .producer_id = -1,
    .producer_epoch = -1,
    .base_sequence = -1,
};

void batch_builder_init(struct batch_builder *b)
{
    *b = (struct batch_builder){.h = fresh};
}

void batch_builder_deinit(struct batch_builder *b)
{
    buf_deinit(&b->buf);
    buf_deinit(&b->packed);
}

void batch_builder_reset(struct batch_builder *b)
{
    buf_clear(&b->buf);
    buf_clear(&b->packed);
    b->h = fresh;
}

void batch_builder_producer(struct batch_builder *b, int64_t id, int16_t epoch,
                            int32_t base_sequence)
{
    b->h.producer_id = id;
    b->h.producer_epoch = epoch;
    b->h.base_sequence = base_sequence;
}

static size_t size_bytes(struct bytes s)
{
    return varint_size_z64(bytes_is_null(s) ? -1 : (int64_t)s.n) + s.n;
}

static void put_z64(struct buf *b, int64_t v)
{
    buf_reserve(b, VARINT64_MAX);
    b->n += varint_put_z64(b->p + b->n, v);
}

static void put_bytes(struct buf *b, struct bytes s)
{
    put_z64(b, bytes_is_null(s) ? -1 : (int64_t)s.n);
    buf_append_bytes(b, s);
}

// Everything of a record up to its headers, whose encoded size is known.
static void record_begin(struct batch_builder *b, int64_t timestamp, struct bytes key,
                         struct bytes value, size_t headers_bytes, int32_t n_headers)
{
    struct batch_header *h = &b->h;
    int64_t time_delta, offset_delta = h->n_records;
    size_t size;

    if (h->n_records == 0) {
        ASSERT(b->buf.n == 0);
        buf_reserve(&b->buf, BATCH_HEADER_BYTES);
        b->buf.n = BATCH_HEADER_BYTES;
        h->base_timestamp = h->max_timestamp = timestamp;
    }
    if (timestamp > h->max_timestamp)
        h->max_timestamp = timestamp;
    time_delta = (int64_t)((uint64_t)timestamp - (uint64_t)h->base_timestamp);
    size = 1 + varint_size_z64(time_delta) + varint_size_z64(offset_delta) + size_bytes(key) +
           size_bytes(value) + varint_size_z64(n_headers) + headers_bytes;
    put_z64(&b->buf, (int64_t)size);
    buf_append_byte(&b->buf, 0);
    put_z64(&b->buf, time_delta);
    put_z64(&b->buf, offset_delta);
    put_bytes(&b->buf, key);
    put_bytes(&b->buf, value);
    put_z64(&b->buf, n_headers);
    h->n_records++;
    h->last_offset_delta++;
}

void batch_builder_add(struct batch_builder *b, int64_t timestamp, struct bytes key,
                       struct bytes value, const struct header *headers, size_t n_headers)
{
    size_t size = 0;

    for (size_t i = 0; i < n_headers; i++)
        size += size_bytes(headers[i].name) + size_bytes(headers[i].value);
    record_begin(b, timestamp, key, value, size, (int32_t)n_headers);
    for (size_t i = 0; i < n_headers; i++) {
        put_bytes(&b->buf, headers[i].name);
        put_bytes(&b->buf, headers[i].value);
    }
}

void batch_builder_add_raw(struct batch_builder *b, int64_t timestamp, struct bytes key,
                           struct bytes value, struct bytes headers, int32_t n_headers)
{
    record_begin(b, timestamp, key, value, headers.n, n_headers);
    buf_append_bytes(&b->buf, headers);
}

static void header_write(uint8_t *p, const struct batch_header *h)
{
    store_be64(p, (uint64_t)h->base_offset);
    store_be32(p + 8, (uint32_t)h->length);
    store_be32(p + 12, (uint32_t)h->leader_epoch);
    p[16] = (uint8_t)h->magic;
    store_be32(p + 17, h->crc);
    store_be16(p + 21, (uint16_t)h->attributes);
    store_be32(p + 23, (uint32_t)h->last_offset_delta);
    store_be64(p + 27, (uint64_t)h->base_timestamp);
    store_be64(p + 35, (uint64_t)h->max_timestamp);
    store_be64(p + 43, (uint64_t)h->producer_id);
    store_be16(p + 51, (uint16_t)h->producer_epoch);
    store_be32(p + 53, (uint32_t)h->base_sequence);
    store_be32(p + 57, (uint32_t)h->n_records);
}

int batch_builder_finish(struct batch_builder *b, enum codec codec, struct bytes *out,
                         struct err *e)
{
    struct buf *whole = &b->buf;

    ASSERT(b->h.n_records > 0);
    if (codec != CODEC_NONE) {
        struct bytes records = {b->buf.p + BATCH_HEADER_BYTES, b->buf.n - BATCH_HEADER_BYTES};
        buf_clear(&b->packed);
        buf_reserve(&b->packed, BATCH_HEADER_BYTES);
        b->packed.n = BATCH_HEADER_BYTES;
        int rc = codec_deflate(codec, records, &b->packed, e);
        if (rc != 0)
            return rc;
        whole = &b->packed;
    }
    if (whole->n > BATCH_BYTES_MAX_HARD)
        return err_set(e, LEAT_ETOOBIG, "a batch of %zu bytes is larger than %d", whole->n,
                       BATCH_BYTES_MAX_HARD);
    b->h.length = (int32_t)(whole->n - BATCH_PREFIX_BYTES);
    b->h.attributes = (int16_t)((b->h.attributes & ~BATCH_CODEC_MASK) | (int)codec);
    header_write(whole->p, &b->h);
    b->h.crc = crc32c(bytes_of(whole->p + 21, whole->n - 21));
    store_be32(whole->p + 17, b->h.crc);
    *out = buf_bytes(whole);
    return 0;
}
