// SPDX-License-Identifier: Apache-2.0
//
// Reading record batches: header, checks, records. Nothing here trusts a length: each is compared
// with the bytes that are left before it is used, and the batch is never read past the end that its
// header gives.
//
// Three levels of looking:
//   batch_read_header   shape only: possible length, magic 2. What hopping over a segment needs
//   batch_validate      what a broker checks before it appends; records stay unread (they may be
//                       compressed)
//   batch_iter_*        the records themselves, inflated under a cap; checks the CRC again, because
//                       what was read back from a disk is not what was once validated
//
// Offsets inside a batch must rise and stay within lastOffsetDelta; compaction may leave holes,
// never disorder.
#include "runtime/record/batch.h"

#include "runtime/base/buf.h"
#include "runtime/base/crc32c.h"
#include "runtime/base/endian.h"
#include "runtime/base/limits.h"
#include "runtime/base/varint.h"

enum {
    POS_LENGTH = 8,
    POS_EPOCH = 12,
    POS_MAGIC = 16,
    POS_CRC = 17,
    POS_ATTRIBUTES = 21,
    POS_LAST_DELTA = 23,
    POS_BASE_TIME = 27,
    POS_MAX_TIME = 35,
    POS_PRODUCER_ID = 43,
    POS_PRODUCER_EPOCH = 51,
    POS_SEQUENCE = 53,
    POS_COUNT = 57,
    RECORD_BYTES_MIN = 7, // length, attributes, two deltas, key, value, header count: a byte each
};

int batch_read_header(struct bytes b, struct batch_header *h, struct err *e)
{
    if (b.n < BATCH_HEADER_BYTES)
        return err_set(e, LEAT_ETORN, "%zu bytes are less than a batch header", b.n);
    *h = (struct batch_header){
        .base_offset = (int64_t)load_be64(b.p),
        .length = (int32_t)load_be32(b.p + POS_LENGTH),
        .leader_epoch = (int32_t)load_be32(b.p + POS_EPOCH),
        .magic = (int8_t)b.p[POS_MAGIC],
        .crc = load_be32(b.p + POS_CRC),
        .attributes = (int16_t)load_be16(b.p + POS_ATTRIBUTES),
        .last_offset_delta = (int32_t)load_be32(b.p + POS_LAST_DELTA),
        .base_timestamp = (int64_t)load_be64(b.p + POS_BASE_TIME),
        .max_timestamp = (int64_t)load_be64(b.p + POS_MAX_TIME),
        .producer_id = (int64_t)load_be64(b.p + POS_PRODUCER_ID),
        .producer_epoch = (int16_t)load_be16(b.p + POS_PRODUCER_EPOCH),
        .base_sequence = (int32_t)load_be32(b.p + POS_SEQUENCE),
        .n_records = (int32_t)load_be32(b.p + POS_COUNT),
    };
    if (h->magic != 2)
        return err_set(e, LEAT_ECORRUPT, "batch magic is %d, not 2", h->magic);
    if (h->length < BATCH_HEADER_BYTES - BATCH_PREFIX_BYTES || h->length > BATCH_BYTES_MAX_HARD)
        return err_set(e, LEAT_ECORRUPT, "impossible batch length %d", h->length);
    if (h->last_offset_delta < 0 || h->base_offset < 0 ||
        h->base_offset > INT64_MAX - h->last_offset_delta - 1)
        return err_set(e, LEAT_ECORRUPT, "impossible offsets in a batch header");
    return 0;
}

int batch_read(struct bytes b, struct batch_header *h, struct err *e)
{
    int rc = batch_read_header(b, h, e);

    if (rc != 0)
        return rc;
    if (b.n < batch_size(h))
        return err_set(e, LEAT_ETORN, "batch of %zu bytes, of which %zu are there", batch_size(h),
                       b.n);
    return 0;
}

int batch_check_crc(struct bytes b, const struct batch_header *h, struct err *e)
{
    uint32_t crc;

    ASSERT(b.n >= batch_size(h));
    crc = crc32c(bytes_of(b.p + POS_ATTRIBUTES, batch_size(h) - POS_ATTRIBUTES));
    if (crc != h->crc)
        return err_set(e, LEAT_ECORRUPT, "batch checksum is %08x, its header says %08x", crc,
                       h->crc);
    return 0;
}

static int check_counts(const struct batch_header *h, struct err *e)
{
    size_t records = batch_size(h) - BATCH_HEADER_BYTES;
    int codec = h->attributes & BATCH_CODEC_MASK;

    if (h->n_records <= 0)
        return err_set(e, LEAT_EPROTO, "batch with %d records", h->n_records);
    if (h->last_offset_delta != h->n_records - 1)
        return err_set(e, LEAT_EPROTO, "last offset delta %d does not fit %d records",
                       h->last_offset_delta, h->n_records);
    if (codec > CODEC_ZSTD)
        return err_set(e, LEAT_EPROTO, "unknown compression codec %d", codec);
    if (codec == CODEC_NONE && (size_t)h->n_records > records / RECORD_BYTES_MIN)
        return err_set(e, LEAT_EPROTO, "%d records cannot fit into %zu bytes", h->n_records,
                       records);
    return 0;
}

int batch_validate(struct bytes b, const struct batch_header *h, struct err *e)
{
    int rc;

    if (b.n != batch_size(h))
        return err_set(e, LEAT_EPROTO, "batch of %zu bytes in a field of %zu", batch_size(h), b.n);
    rc = batch_check_crc(b, h, e);
    if (rc != 0)
        return rc;
    rc = check_counts(h, e);
    if (rc != 0)
        return rc;
    if (h->attributes & BATCH_CONTROL)
        return err_set(e, LEAT_EPROTO, "control batch from a client");
    if (h->attributes & BATCH_LOG_APPEND_TIME)
        return err_set(e, LEAT_EPROTO, "timestamp type must be CreateTime");
    if (h->producer_id >= 0 && (h->base_sequence < 0 || h->producer_epoch < 0))
        return err_set(e, LEAT_EPROTO, "producer %lld without epoch or sequence",
                       (long long)h->producer_id);
    if (h->attributes & BATCH_TRANSACTIONAL && h->producer_id < 0)
        return err_set(e, LEAT_EPROTO, "transactional batch without a producer id");
    return 0;
}

void batch_stamp(uint8_t *p, int64_t base_offset, int32_t leader_epoch)
{
    store_be64(p, (uint64_t)base_offset);
    store_be32(p + POS_EPOCH, (uint32_t)leader_epoch);
}

// --- records ---

static int inflate_records(struct batch_iter *it, struct bytes packed, size_t inflated_max,
                           struct arena *a, struct err *e)
{
    struct buf out = BUF_EMPTY;
    enum codec codec = (enum codec)(it->header.attributes & BATCH_CODEC_MASK);
    uint8_t *p;
    int rc = codec_inflate(codec, packed, inflated_max, &out, e);

    if (rc != 0)
        goto done;
    p = arena_try_alloc(a, out.n);
    if (p == NULL) {
        rc = err_set(e, LEAT_ENOMEM, "no memory for a batch of %zu bytes", out.n);
        goto done;
    }
    if (out.n > 0)
        memcpy(p, out.p, out.n);
    it->rest = bytes_of(p, out.n);
done:
    buf_deinit(&out);
    return rc;
}

int batch_iter_init(struct batch_iter *it, struct bytes batch, size_t inflated_max, struct arena *a,
                    struct err *e)
{
    struct bytes records;
    int rc;

    *it = (struct batch_iter){0};
    rc = batch_read(batch, &it->header, e);
    if (rc == 0)
        rc = batch_check_crc(batch, &it->header, e);
    if (rc != 0)
        return err_wrap(e, rc, "batch at offset %lld", (long long)it->header.base_offset);
    records = bytes_of(batch.p + BATCH_HEADER_BYTES, batch_size(&it->header) - BATCH_HEADER_BYTES);
    it->rest = records;
    it->last_delta = -1;
    if ((it->header.attributes & BATCH_CODEC_MASK) != CODEC_NONE && records.n > 0) {
        rc = inflate_records(it, records, inflated_max, a, e);
        if (rc != 0)
            return rc;
    }
    if (it->header.n_records < 0 ||
        (size_t)it->header.n_records > it->rest.n / RECORD_BYTES_MIN)
        return err_set(e, LEAT_ECORRUPT, "%d records cannot fit into %zu bytes",
                       it->header.n_records, it->rest.n);
    return 0;
}

// A cursor that remembers that it failed, so that a run of fields is checked once at its end.
struct cursor {
    struct bytes b;
    bool bad;
};

static inline void skip(struct cursor *c, size_t n)
{
    c->b.p += n;
    c->b.n -= n;
}

static inline int32_t take_z32(struct cursor *c)
{
    int32_t v = 0;
    size_t n = c->bad ? 0 : varint_z32_short(c->b, &v);

    c->bad = n == 0;
    skip(c, n);
    return v;
}

static inline int64_t take_z64(struct cursor *c)
{
    int64_t v = 0;
    size_t n = c->bad ? 0 : varint_z64_short(c->b, &v);

    c->bad = n == 0;
    skip(c, n);
    return v;
}

// Length and bytes; -1 is null.
static inline struct bytes take_bytes(struct cursor *c)
{
    static const uint8_t empty[1];
    int32_t n = take_z32(c);
    struct bytes out = BYTES_NULL;

    if (c->bad || n == -1)
        return out;
    if (n < 0 || (size_t)n > c->b.n) {
        c->bad = true;
        return out;
    }
    out = bytes_of(n > 0 ? c->b.p : empty, (size_t)n);
    skip(c, (size_t)n);
    return out;
}

static int bad_record(const struct batch_iter *it, const char *what, struct err *e)
{
    return err_set(e, LEAT_ECORRUPT, "record %d of the batch at offset %lld: %s", it->i,
                   (long long)it->header.base_offset, what);
}

static int record_place(struct batch_iter *it, struct batch_record *r, int64_t time_delta,
                        int32_t offset_delta, struct err *e)
{
    const struct batch_header *h = &it->header;

    if (offset_delta <= it->last_delta || offset_delta > h->last_offset_delta)
        return bad_record(it, "offset out of order", e);
    it->last_delta = offset_delta;
    r->offset = h->base_offset + offset_delta;
    if (h->attributes & BATCH_LOG_APPEND_TIME)
        r->timestamp = h->max_timestamp;
    else if (__builtin_add_overflow(h->base_timestamp, time_delta, &r->timestamp))
        return bad_record(it, "timestamp overflows", e);
    return 0;
}

int batch_iter_next(struct batch_iter *it, struct batch_record *r, struct err *e)
{
    struct cursor c = {it->rest, false};
    int32_t size, offset_delta;
    int64_t time_delta;
    int rc;

    if (it->i == it->header.n_records)
        return it->rest.n == 0 ? 0 : bad_record(it, "bytes after the last record", e);
    size = take_z32(&c);
    if (c.bad || size < RECORD_BYTES_MIN - 1 || (size_t)size > c.b.n)
        return bad_record(it, "impossible length", e);
    it->rest = bytes_of(c.b.p + size, c.b.n - (size_t)size);
    c.b.n = (size_t)size;
    skip(&c, 1); // attributes: unused
    time_delta = take_z64(&c);
    offset_delta = take_z32(&c);
    r->key = take_bytes(&c);
    r->value = take_bytes(&c);
    r->n_headers = take_z32(&c);
    if (c.bad || r->n_headers < 0 || (size_t)r->n_headers > c.b.n / 2)
        return bad_record(it, "fields do not fit its length", e);
    if (r->n_headers == 0 && c.b.n > 0)
        return bad_record(it, "bytes after its fields", e);
    r->headers = c.b;
    rc = record_place(it, r, time_delta, offset_delta, e);
    if (rc != 0)
        return rc;
    it->i++;
    return 1;
}

int batch_record_headers(const struct batch_record *r, struct arena *a, struct header **out,
                         struct err *e)
{
    struct cursor c = {r->headers, false};
    struct header *hs;

    *out = NULL;
    if (r->n_headers == 0)
        return 0;
    if (r->n_headers > RECORD_HEADERS_MAX)
        return err_set(e, LEAT_ELIMIT, "record %lld has %d headers; at most %d are read",
                       (long long)r->offset, r->n_headers, RECORD_HEADERS_MAX);
    hs = arena_try_alloc(a, sizeof *hs * (size_t)r->n_headers);
    if (hs == NULL)
        return err_set(e, LEAT_ENOMEM, "no memory for %d headers", r->n_headers);
    for (int32_t i = 0; i < r->n_headers; i++) {
        hs[i].name = take_bytes(&c);
        hs[i].value = take_bytes(&c);
        if (c.bad || bytes_is_null(hs[i].name))
            return err_set(e, LEAT_ECORRUPT, "header %d of record %lld is malformed", i,
                           (long long)r->offset);
    }
    if (c.b.n != 0)
        return err_set(e, LEAT_ECORRUPT, "bytes after the headers of record %lld",
                       (long long)r->offset);
    *out = hs;
    return 0;
}
