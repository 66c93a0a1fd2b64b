// SPDX-License-Identifier: Apache-2.0
//
// Record batch v2, Kafka's unit on the wire and on disk (KIP-98, kept verbatim by us):
//
//    0  baseOffset            int64   patched at append; outside the CRC
//    8  batchLength           int32   bytes after this field
//   12  partitionLeaderEpoch  int32   patched at append; outside the CRC
//   16  magic                 int8    2
//   17  crc                   uint32  CRC-32C of everything from 21 on
//   21  attributes            int16   bits 0-2 codec, 3 timestamp type, 4 transactional, 5 control
//   23  lastOffsetDelta       int32
//   27  baseTimestamp         int64   ms
//   35  maxTimestamp          int64   ms
//   43  producerId            int64   -1 when none
//   51  producerEpoch         int16
//   53  baseSequence          int32
//   57  recordCount           int32
//   61  records               compressed as a whole when a codec is set
//
// A record: varint length, int8 attributes, varint timestampDelta (64), varint offsetDelta, varint
// key length
// (-1 null) and key, varint value length and value, varint header count, headers as (length, name,
// length, value).
#ifndef LEAT_RECORD_BATCH_H
#define LEAT_RECORD_BATCH_H

#include "runtime/base/arena.h"
#include "runtime/base/buf.h"
#include "runtime/base/err.h"
#include "runtime/record/event.h"

#define BATCH_HEADER_BYTES 61
#define BATCH_PREFIX_BYTES 12 // baseOffset and batchLength: enough to know the size

enum codec { CODEC_NONE, CODEC_GZIP, CODEC_SNAPPY, CODEC_LZ4, CODEC_ZSTD };

#define BATCH_CODEC_MASK 0x07
#define BATCH_LOG_APPEND_TIME 0x08
#define BATCH_TRANSACTIONAL 0x10
#define BATCH_CONTROL 0x20

struct batch_header {
    int64_t base_offset;
    int32_t length;
    int32_t leader_epoch;
    int8_t magic;
    uint32_t crc;
    int16_t attributes;
    int32_t last_offset_delta;
    int64_t base_timestamp, max_timestamp;
    int64_t producer_id;
    int16_t producer_epoch;
    int32_t base_sequence;
    int32_t n_records;
};

static inline size_t batch_size(const struct batch_header *h)
{
    return (size_t)h->length + BATCH_PREFIX_BYTES;
}

static inline int64_t batch_last_offset(const struct batch_header *h)
{
    return h->base_offset + h->last_offset_delta;
}

// Reads the header at the front of b. LEAT_ETORN when b ends before the batch does (needs the whole
// batch), LEAT_ECORRUPT for an impossible length or magic (zeros are not a batch).
int batch_read(struct bytes b, struct batch_header *h, struct err *e) LEAT_CHECKED;
// Reads 61 header bytes only; the rest of the batch need not be there.
int batch_read_header(struct bytes b, struct batch_header *h, struct err *e) LEAT_CHECKED;
// The CRC of a whole batch. LEAT_ECORRUPT.
int batch_check_crc(struct bytes b, const struct batch_header *h, struct err *e) LEAT_CHECKED;
// What a broker must check before appending (LogValidator.validateBatch): CRC, counts, control,
// sequence. LEAT_ECORRUPT for the CRC, LEAT_EPROTO for the rest.
int batch_validate(struct bytes b, const struct batch_header *h, struct err *e) LEAT_CHECKED;
// Writes base offset and leader epoch into the batch at p.
void batch_stamp(uint8_t *p, int64_t base_offset, int32_t leader_epoch);

struct batch_record {
    int64_t offset;
    int64_t timestamp;
    struct bytes key, value; // BYTES_NULL when null
    struct bytes headers;    // still encoded; see batch_record_headers
    int32_t n_headers;
};

struct batch_iter {
    struct batch_header header;
    struct bytes rest;
    int32_t i, last_delta;
};

// Checks the CRC. Inflates into the arena if compressed, at most `inflated_max` bytes
// (LEAT_ETOOBIG). The batch must stay valid.
int batch_iter_init(struct batch_iter *it, struct bytes batch, size_t inflated_max, struct arena *a,
                    struct err *e) LEAT_CHECKED;
// 1 = a record, 0 = end, LEAT_ECORRUPT.
int batch_iter_next(struct batch_iter *it, struct batch_record *r, struct err *e) LEAT_CHECKED;
int batch_record_headers(const struct batch_record *r, struct arena *a, struct header **out,
                         struct err *e) LEAT_CHECKED;

// Builds one batch: init, add..., finish. The same calls give the same bytes.
struct batch_builder {
    struct buf buf;    // header and records
    struct buf packed; // header and compressed records, when there is a codec
    struct batch_header h;
};
void batch_builder_init(struct batch_builder *b);
void batch_builder_deinit(struct batch_builder *b);
// Forgets the records, keeps the memory.
void batch_builder_reset(struct batch_builder *b);
void batch_builder_producer(struct batch_builder *b, int64_t id, int16_t epoch,
                            int32_t base_sequence);
void batch_builder_add(struct batch_builder *b, int64_t timestamp, struct bytes key,
                       struct bytes value, const struct header *headers, size_t n_headers);
// Headers already encoded as in batch_record.headers.
void batch_builder_add_raw(struct batch_builder *b, int64_t timestamp, struct bytes key,
                           struct bytes value, struct bytes headers, int32_t n_headers);
// Compresses, fills in the header and the CRC. The bytes are the builder's until reset.
int batch_builder_finish(struct batch_builder *b, enum codec codec, struct bytes *out,
                         struct err *e) LEAT_CHECKED;

// Whole-buffer codecs as Kafka frames them (gzip RFC 1952; snappy raw or xerial; LZ4 frame; zstd
// frame). Inflating stops at out_max: LEAT_ETOOBIG.
int codec_inflate(enum codec c, struct bytes in, size_t out_max, struct buf *out,
                  struct err *e) LEAT_CHECKED;
int codec_deflate(enum codec c, struct bytes in, struct buf *out, struct err *e) LEAT_CHECKED;

#endif
