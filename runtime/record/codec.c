// SPDX-License-Identifier: Apache-2.0
//
// The four codecs of record batches, whole buffer to whole buffer, in the framings that Kafka's
// clients use:
//
//   gzip    RFC 1952, members may follow each other
//   snappy  one raw block (librdkafka), or the "xerial" stream of Java and others:
//             82 "SNAPPY" 00, int32 version, int32 compatible with,
//             then (int32 length, raw block)...
//   lz4     LZ4 frame
//   zstd    zstd frames
//
// The input comes from strangers, so the output has a cap and the cap is held while it grows: a
// size that a frame declares above the cap is refused before anything is allocated, and output is
// made in steps, each of which stops at one byte past the cap. That one byte is how "exactly full"
// is told from "too much".
#include "runtime/record/batch.h"

#include <lz4frame.h>
#include <snappy-c.h>
#include <zlib.h>
#include <zstd.h>

#include "runtime/base/buf.h"
#include "runtime/base/endian.h"
#include "runtime/base/heap.h"

enum {
    STEP_BYTES = 64 * 1024,
    XERIAL_HEADER = 16,
    XERIAL_BLOCK = 32 * 1024,
    SNAPPY_RATIO_MAX = 24, // a copy of 3 bytes makes at most 64
    SNAPPY_SLACK = 64,
    GZIP_LEVEL = 6,
    GZIP_WBITS = 15 + 16, // zlib: 32 KiB window, gzip wrapper
    ZSTD_LEVEL = 1,       // smaller and faster than 3 on batches of JSON
};

static const uint8_t xerial_magic[8] = {0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0};

static const char *const codec_names[] = {"none", "gzip", "snappy", "lz4", "zstd"};

// Output under construction: bytes of one inflation start at `start` in the buffer.
struct sink {
    struct buf *out;
    size_t start, max;
};

static int too_big(enum codec c, size_t max, struct err *e)
{
    return err_set(e, LEAT_ETOOBIG, "%s data inflates to more than %zu bytes", codec_names[c], max);
}

static int bad_data(enum codec c, const char *why, struct err *e)
{
    return err_set(e, LEAT_ECORRUPT, "%s data is damaged: %s", codec_names[c], why);
}

static int no_memory(enum codec c, struct err *e)
{
    return err_set(e, LEAT_ENOMEM, "no memory for %s", codec_names[c]);
}

// Room for the next step, never more than one byte past the cap; or that the cap is passed.
static int sink_room(struct sink *s, enum codec c, uint8_t **p, size_t *room, struct err *e)
{
    size_t used = s->out->n - s->start;
    size_t step = STEP_BYTES;

    if (used > s->max)
        return too_big(c, s->max, e);
    if (step > s->max - used + 1)
        step = s->max - used + 1;
    if (buf_try_reserve(s->out, step) != 0)
        return no_memory(c, e);
    *p = s->out->p + s->out->n;
    *room = s->out->cap - s->out->n;
    if (*room > s->max - used + 1)
        *room = s->max - used + 1;
    return 0;
}

static int sink_end(const struct sink *s, enum codec c, struct err *e)
{
    return s->out->n - s->start > s->max ? too_big(c, s->max, e) : 0;
}

// --- gzip ---

static voidpf gzip_alloc(voidpf arg, uInt n, uInt size)
{
    (void)arg;
    return heap_try_alloc((size_t)n * size);
}

static void gzip_free(voidpf arg, voidpf p)
{
    (void)arg;
    heap_free(p);
}

static int gzip_step(z_stream *z, struct sink *s, bool *end, struct err *e)
{
    uint8_t *p;
    size_t room;
    int zrc, rc = sink_room(s, CODEC_GZIP, &p, &room, e);

    if (rc != 0)
        return rc;
    z->next_out = p;
    z->avail_out = (uInt)room;
    zrc = inflate(z, Z_NO_FLUSH);
    s->out->n += room - z->avail_out;
    if (zrc == Z_MEM_ERROR)
        return no_memory(CODEC_GZIP, e);
    if (zrc == Z_STREAM_END) {
        *end = z->avail_in == 0;
        return inflateReset(z) == Z_OK ? 0 : bad_data(CODEC_GZIP, "next member", e);
    }
    if (zrc != Z_OK || (z->avail_in == 0 && z->avail_out > 0))
        return bad_data(CODEC_GZIP, zrc == Z_OK || zrc == Z_BUF_ERROR ? "it ends too early"
                                                                      : "not a gzip stream", e);
    return 0;
}

static int gzip_inflate(struct bytes in, struct sink *s, struct err *e)
{
    z_stream z = {.zalloc = gzip_alloc, .zfree = gzip_free};
    bool end = false;
    int rc = 0;

    z.next_in = (Bytef *)(uintptr_t)in.p;
    z.avail_in = (uInt)in.n;
    if (inflateInit2(&z, GZIP_WBITS) != Z_OK)
        return no_memory(CODEC_GZIP, e);
    while (rc == 0 && !end)
        rc = gzip_step(&z, s, &end, e);
    inflateEnd(&z);
    return rc;
}

static int gzip_deflate(struct bytes in, struct buf *out, struct err *e)
{
    z_stream z = {.zalloc = gzip_alloc, .zfree = gzip_free};
    uLong bound;
    int zrc;

    if (deflateInit2(&z, GZIP_LEVEL, Z_DEFLATED, GZIP_WBITS, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return no_memory(CODEC_GZIP, e);
    bound = deflateBound(&z, (uLong)in.n);
    buf_reserve(out, bound);
    z.next_in = (Bytef *)(uintptr_t)in.p;
    z.avail_in = (uInt)in.n;
    z.next_out = out->p + out->n;
    z.avail_out = (uInt)bound;
    zrc = deflate(&z, Z_FINISH);
    deflateEnd(&z);
    ASSERT(zrc == Z_STREAM_END);
    out->n += bound - z.avail_out;
    return 0;
}

// --- snappy ---

static int snappy_block(struct bytes in, struct sink *s, struct err *e)
{
    size_t n = 0, used = s->out->n - s->start;

    if (snappy_uncompressed_length((const char *)in.p, in.n, &n) != SNAPPY_OK)
        return bad_data(CODEC_SNAPPY, "no length", e);
    if (n > s->max - used)
        return too_big(CODEC_SNAPPY, s->max, e);
    if (n / SNAPPY_RATIO_MAX > in.n + SNAPPY_SLACK)
        return bad_data(CODEC_SNAPPY, "it declares more than it can hold", e);
    if (buf_try_reserve(s->out, n + 1) != 0)
        return no_memory(CODEC_SNAPPY, e);
    if (snappy_uncompress((const char *)in.p, in.n, (char *)s->out->p + s->out->n, &n) != SNAPPY_OK)
        return bad_data(CODEC_SNAPPY, "not a snappy block", e);
    s->out->n += n;
    return 0;
}

static int snappy_inflate(struct bytes in, struct sink *s, struct err *e)
{
    int rc = 0;

    if (in.n < XERIAL_HEADER || memcmp(in.p, xerial_magic, sizeof xerial_magic) != 0)
        return snappy_block(in, s, e);
    in = bytes_of(in.p + XERIAL_HEADER, in.n - XERIAL_HEADER);
    while (rc == 0 && in.n > 0) {
        uint32_t n = in.n >= 4 ? load_be32(in.p) : UINT32_MAX;
        if (n > in.n - 4 || in.n < 4)
            return bad_data(CODEC_SNAPPY, "a block ends too early", e);
        rc = snappy_block(bytes_of(in.p + 4, n), s, e);
        in = bytes_of(in.p + 4 + n, in.n - 4 - n);
    }
    return rc;
}

static int snappy_deflate(struct bytes in, struct buf *out)
{
    buf_append(out, xerial_magic, sizeof xerial_magic);
    buf_append_be32(out, 1);
    buf_append_be32(out, 1);
    for (size_t at = 0; at < in.n; at += XERIAL_BLOCK) {
        size_t n = in.n - at < XERIAL_BLOCK ? in.n - at : XERIAL_BLOCK;
        size_t packed = snappy_max_compressed_length(n);
        buf_reserve(out, 4 + packed);
        int rc = snappy_compress((const char *)in.p + at, n, (char *)out->p + out->n + 4, &packed);
        ASSERT(rc == SNAPPY_OK);
        store_be32(out->p + out->n, (uint32_t)packed);
        out->n += 4 + packed;
    }
    return 0;
}

// --- lz4 ---

static int lz4_declared(LZ4F_dctx *d, struct bytes *in, size_t max, struct err *e)
{
    LZ4F_frameInfo_t info;
    size_t n = in->n;
    size_t lrc = LZ4F_getFrameInfo(d, &info, in->p, &n);

    if (LZ4F_isError(lrc))
        return bad_data(CODEC_LZ4, LZ4F_getErrorName(lrc), e);
    if (info.contentSize > max)
        return too_big(CODEC_LZ4, max, e);
    *in = bytes_of(in->p + n, in->n - n);
    return 0;
}

static int lz4_step(LZ4F_dctx *d, struct bytes *in, struct sink *s, bool *end, struct err *e)
{
    uint8_t *p;
    size_t made, taken = in->n, lrc;
    int rc = sink_room(s, CODEC_LZ4, &p, &made, e);

    if (rc != 0)
        return rc;
    lrc = LZ4F_decompress(d, p, &made, in->p, &taken, NULL);
    if (LZ4F_isError(lrc))
        return bad_data(CODEC_LZ4, LZ4F_getErrorName(lrc), e);
    s->out->n += made;
    *in = bytes_of(in->p + taken, in->n - taken);
    *end = lrc == 0;
    if (!*end && made == 0 && taken == 0)
        return bad_data(CODEC_LZ4, "it ends too early", e);
    return 0;
}

static int lz4_inflate(struct bytes in, struct sink *s, struct err *e)
{
    LZ4F_dctx *d;
    bool end = false;
    int rc;

    if (LZ4F_isError(LZ4F_createDecompressionContext(&d, LZ4F_VERSION)))
        return no_memory(CODEC_LZ4, e);
    rc = lz4_declared(d, &in, s->max, e);
    while (rc == 0 && !end)
        rc = lz4_step(d, &in, s, &end, e);
    LZ4F_freeDecompressionContext(d);
    return rc;
}

static int lz4_deflate(struct bytes in, struct buf *out, struct err *e)
{
    size_t n = LZ4F_compressFrameBound(in.n, NULL);

    buf_reserve(out, n);
    n = LZ4F_compressFrame(out->p + out->n, n, in.p, in.n, NULL);
    if (LZ4F_isError(n))
        return err_set(e, LEAT_ENOMEM, "lz4: %s", LZ4F_getErrorName(n));
    out->n += n;
    return 0;
}

// --- zstd ---

static int zstd_stream(ZSTD_DCtx *d, struct bytes in, struct sink *s, struct err *e)
{
    ZSTD_inBuffer zin = {in.p, in.n, 0};
    size_t left = 1;

    while (left != 0 || zin.pos < zin.size) {
        ZSTD_outBuffer zout = {0};
        uint8_t *p;
        int rc = sink_room(s, CODEC_ZSTD, &p, &zout.size, e);
        if (rc != 0)
            return rc;
        zout.dst = p;
        left = ZSTD_decompressStream(d, &zout, &zin);
        if (ZSTD_isError(left))
            return bad_data(CODEC_ZSTD, ZSTD_getErrorName(left), e);
        s->out->n += zout.pos;
        if (left != 0 && zin.pos == zin.size && zout.pos < zout.size)
            return bad_data(CODEC_ZSTD, "it ends too early", e);
    }
    return 0;
}

static int zstd_inflate(struct bytes in, struct sink *s, struct err *e)
{
    unsigned long long declared = ZSTD_getFrameContentSize(in.p, in.n);
    ZSTD_DCtx *d;
    int rc;

    if (declared == ZSTD_CONTENTSIZE_ERROR)
        return bad_data(CODEC_ZSTD, "not a zstd frame", e);
    if (declared != ZSTD_CONTENTSIZE_UNKNOWN && declared > s->max)
        return too_big(CODEC_ZSTD, s->max, e);
    d = ZSTD_createDCtx();
    if (d == NULL)
        return no_memory(CODEC_ZSTD, e);
    rc = zstd_stream(d, in, s, e);
    ZSTD_freeDCtx(d);
    return rc;
}

static int zstd_deflate(struct bytes in, struct buf *out, struct err *e)
{
    size_t n = ZSTD_compressBound(in.n);

    buf_reserve(out, n);
    n = ZSTD_compress(out->p + out->n, n, in.p, in.n, ZSTD_LEVEL);
    if (ZSTD_isError(n))
        return err_set(e, LEAT_ENOMEM, "zstd: %s", ZSTD_getErrorName(n));
    out->n += n;
    return 0;
}

// --- the table ---

int codec_inflate(enum codec c, struct bytes in, size_t out_max, struct buf *out, struct err *e)
{
    struct sink s = {out, out->n, out_max};
    int rc;

    switch (c) {
    case CODEC_NONE:
        if (in.n > out_max)
            return too_big(c, out_max, e);
        buf_append_bytes(out, in);
        return 0;
    case CODEC_GZIP:
        rc = gzip_inflate(in, &s, e);
        break;
    case CODEC_SNAPPY:
        rc = snappy_inflate(in, &s, e);
        break;
    case CODEC_LZ4:
        rc = lz4_inflate(in, &s, e);
        break;
    case CODEC_ZSTD:
        rc = zstd_inflate(in, &s, e);
        break;
    default:
        return err_set(e, LEAT_ECORRUPT, "unknown compression codec %d", (int)c);
    }
    if (rc == 0)
        rc = sink_end(&s, c, e);
    if (rc != 0)
        out->n = s.start;
    return rc;
}

int codec_deflate(enum codec c, struct bytes in, struct buf *out, struct err *e)
{
    switch (c) {
    case CODEC_NONE:
        buf_append_bytes(out, in);
        return 0;
    case CODEC_GZIP:
        return gzip_deflate(in, out, e);
    case CODEC_SNAPPY:
        return snappy_deflate(in, out);
    case CODEC_LZ4:
        return lz4_deflate(in, out, e);
    case CODEC_ZSTD:
        return zstd_deflate(in, out, e);
    }
    UNREACHABLE("no such codec");
}
