// SPDX-License-Identifier: Apache-2.0
//
// Record batches and their codecs: what is built reads back, what is damaged is refused, what
// inflates stays under its cap.
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "runtime/base/crc32c.h"
#include "runtime/base/endian.h"
#include "runtime/base/random.h"
#include "runtime/record/batch.h"

enum { INFLATED_MAX = 1 << 20 };

static struct bytes random_bytes(struct random *r, uint8_t *room, size_t n_max)
{
    size_t n = (size_t)random_below(r, n_max + 1);

    if (random_below(r, 8) == 0)
        return BYTES_NULL;
    for (size_t i = 0; i < n; i++)
        room[i] = (uint8_t)("abcdefgh"[random_below(r, 8)]);
    return bytes_of(room, n);
}

struct sample {
    int64_t timestamp;
    uint8_t key[16], value[200];
    struct bytes k, v;
    struct header headers[2];
    size_t n_headers;
};

static void sample_fill(struct sample *s, struct random *r)
{
    s->timestamp = 1700000000000 + (int64_t)random_below(r, 100000) - 50000;
    s->k = random_bytes(r, s->key, sizeof s->key);
    s->v = random_bytes(r, s->value, sizeof s->value);
    s->n_headers = (size_t)random_below(r, 3);
    s->headers[0] = (struct header){BYTES_LIT("trace"), BYTES_LIT("abc")};
    s->headers[1] = (struct header){BYTES_LIT("none"), BYTES_NULL};
}

static void build_samples(struct batch_builder *b, const struct sample *s, int n)
{
    for (int i = 0; i < n; i++)
        batch_builder_add(b, s[i].timestamp, s[i].k, s[i].v, s[i].headers, s[i].n_headers);
}

static void expect_record(const struct batch_record *r, const struct sample *s, struct arena *a)
{
    struct header *hs;

    assert_int_equal(r->timestamp, s->timestamp);
    assert_true(bytes_eq(r->key, s->k) && bytes_is_null(r->key) == bytes_is_null(s->k));
    assert_true(bytes_eq(r->value, s->v) && bytes_is_null(r->value) == bytes_is_null(s->v));
    assert_int_equal(r->n_headers, s->n_headers);
    assert_int_equal(batch_record_headers(r, a, &hs, NULL), 0);
    for (size_t i = 0; i < s->n_headers; i++) {
        assert_true(bytes_eq(hs[i].name, s->headers[i].name));
        assert_true(bytes_eq(hs[i].value, s->headers[i].value));
        assert_int_equal(bytes_is_null(hs[i].value), bytes_is_null(s->headers[i].value));
    }
}

static void round_trip(struct random *r, enum codec codec, struct batch_builder *b, struct arena *a)
{
    static struct sample s[60];
    int n = 1 + (int)random_below(r, 60);
    struct batch_header h;
    struct batch_iter it;
    struct batch_record rec;
    struct bytes out;
    struct err e = {0};

    for (int i = 0; i < n; i++)
        sample_fill(&s[i], r);
    batch_builder_reset(b);
    arena_reset(a);
    batch_builder_producer(b, 77, 3, 5);
    build_samples(b, s, n);
    assert_int_equal(batch_builder_finish(b, codec, &out, &e), 0);
    assert_int_equal(batch_read(out, &h, &e), 0);
    assert_int_equal(batch_validate(out, &h, &e), 0);
    assert_int_equal(h.n_records, n);
    assert_int_equal(h.producer_id, 77);
    assert_int_equal(batch_iter_init(&it, out, INFLATED_MAX, a, &e), 0);
    for (int i = 0; i < n; i++) {
        assert_int_equal(batch_iter_next(&it, &rec, &e), 1);
        assert_int_equal(rec.offset, i);
        expect_record(&rec, &s[i], a);
    }
    assert_int_equal(batch_iter_next(&it, &rec, &e), 0);
}

static void test_round_trip(void **state)
{
    // What a builder is given comes back from the iterator, under every codec.
    struct random r;
    struct batch_builder b;
    struct arena a;

    (void)state;
    random_seed(&r, 11);
    arena_init(&a);
    batch_builder_init(&b);
    for (int i = 0; i < 200; i++)
        round_trip(&r, (enum codec)(i % 5), &b, &a);
    batch_builder_deinit(&b);
    arena_deinit(&a);
}

static void given_batch(struct batch_builder *b, enum codec codec, int n, struct bytes *out)
{
    batch_builder_init(b);
    for (int i = 0; i < n; i++)
        batch_builder_add(b, 1000 + i, BYTES_LIT("key"), BYTES_LIT("some value, some value"), NULL,
                          0);
    assert_int_equal(batch_builder_finish(b, codec, out, NULL), 0);
}

static void test_same_bytes(void **state)
{
    // A batch built twice from the same calls has the same bytes: an outbox row may be sent again.
    struct batch_builder x, y;
    struct bytes bx, by;

    (void)state;
    for (int c = CODEC_NONE; c <= CODEC_ZSTD; c++) {
        given_batch(&x, (enum codec)c, 20, &bx);
        given_batch(&y, (enum codec)c, 20, &by);
        assert_true(bytes_eq(bx, by));
        batch_builder_deinit(&x);
        batch_builder_deinit(&y);
    }
}

static void test_known_bytes(void **state)
{
    // The layout is Kafka's, byte for byte: one record "k" -> "v" at timestamp 1.
    static const uint8_t tail[] = {0x10, 0x00, 0x00, 0x00, 0x02, 'k', 0x02, 'v', 0x00};
    struct batch_builder b;
    struct bytes out;

    (void)state;
    batch_builder_init(&b);
    batch_builder_add(&b, 1, BYTES_LIT("k"), BYTES_LIT("v"), NULL, 0);
    assert_int_equal(batch_builder_finish(&b, CODEC_NONE, &out, NULL), 0);
    assert_int_equal(out.n, BATCH_HEADER_BYTES + sizeof tail);
    assert_memory_equal(out.p + BATCH_HEADER_BYTES, tail, sizeof tail);
    assert_int_equal(load_be32(out.p + 8), out.n - 12);
    assert_int_equal(out.p[16], 2);
    assert_int_equal(load_be64(out.p + 27), 1);
    assert_int_equal(load_be32(out.p + 57), 1);
    batch_builder_deinit(&b);
}

static void test_cut_anywhere(void **state)
{
    // A batch cut anywhere is torn, and never read past its end.
    struct batch_builder b;
    struct batch_header h;
    struct bytes out;

    (void)state;
    given_batch(&b, CODEC_NONE, 3, &out);
    for (size_t n = 0; n < out.n; n++)
        assert_int_equal(batch_read(bytes_of(out.p, n), &h, NULL), LEAT_ETORN);
    batch_builder_deinit(&b);
}

static void test_every_bit_counts(void **state)
{
    // A flipped bit after the checksum is noticed; the two fields before it are the broker's to
    // change.
    struct batch_builder b;
    struct batch_header h;
    struct bytes out;
    uint8_t copy[512];

    (void)state;
    given_batch(&b, CODEC_NONE, 3, &out);
    for (size_t bit = 16 * 8; bit < out.n * 8; bit++) {
        memcpy(copy, out.p, out.n);
        copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
        int rc = batch_read(bytes_of(copy, out.n), &h, NULL);
        if (rc == 0)
            rc = batch_validate(bytes_of(copy, out.n), &h, NULL);
        assert_true(rc == LEAT_ECORRUPT);
    }
    memcpy(copy, out.p, out.n);
    batch_stamp(copy, 12345, 7);
    assert_int_equal(batch_read(bytes_of(copy, out.n), &h, NULL), 0);
    assert_int_equal(batch_validate(bytes_of(copy, out.n), &h, NULL), 0);
    assert_int_equal(h.base_offset, 12345);
    assert_int_equal(h.leader_epoch, 7);
    batch_builder_deinit(&b);
}

static int validate_patched(struct bytes batch, size_t at, const void *patch, size_t n)
{
    struct batch_header h;
    uint8_t copy[512];
    int rc;

    assert_true(batch.n <= sizeof copy);
    memcpy(copy, batch.p, batch.n);
    memcpy(copy + at, patch, n);
    store_be32(copy + 17, crc32c(bytes_of(copy + 21, batch.n - 21)));
    rc = batch_read(bytes_of(copy, batch.n), &h, NULL);
    return rc != 0 ? rc : batch_validate(bytes_of(copy, batch.n), &h, NULL);
}

static void test_refusals(void **state)
{
    // A batch with a right checksum and wrong fields is refused before it is appended.
    struct batch_builder b;
    struct bytes out;

    (void)state;
    given_batch(&b, CODEC_NONE, 3, &out);
    assert_int_equal(validate_patched(out, 57, "\0\0\0\0", 4), LEAT_EPROTO);
    assert_int_equal(validate_patched(out, 57, "\xff\xff\xff\xff", 4), LEAT_EPROTO);
    assert_int_equal(validate_patched(out, 57, "\0\0\0\4", 4), LEAT_EPROTO);
    assert_int_equal(validate_patched(out, 23, "\0\0\0\4", 4), LEAT_EPROTO);
    assert_int_equal(validate_patched(out, 23, "\xff\0\0\0", 4), LEAT_ECORRUPT);
    assert_int_equal(validate_patched(out, 21, "\0\x20", 2), LEAT_EPROTO); // control
    assert_int_equal(validate_patched(out, 21, "\0\x08", 2), LEAT_EPROTO); // log append time
    assert_int_equal(validate_patched(out, 21, "\0\x10", 2), LEAT_EPROTO); // transaction, no id
    assert_int_equal(validate_patched(out, 21, "\0\x07", 2), LEAT_EPROTO); // codec 7
    assert_int_equal(validate_patched(out, 43, "\0\0\0\0\0\0\0\1\0\0\xff\xff\xff\xff", 14),
                     LEAT_EPROTO);
    assert_int_equal(validate_patched(out, 16, "\0", 1), LEAT_ECORRUPT);
    assert_int_equal(validate_patched(out, 16, "\1", 1), LEAT_ECORRUPT);
    assert_int_equal(validate_patched(out, 8, "\x7f\xff\xff\xff", 4), LEAT_ECORRUPT);
    assert_int_equal(validate_patched(out, 8, "\0\0\0\1", 4), LEAT_ECORRUPT);
    batch_builder_deinit(&b);
}

static void test_damage_never_overreads(void **state)
{
    // Whatever the records say inside a valid frame, reading ends in records or an error.
    struct random r;
    struct arena a;
    struct batch_record rec;
    struct batch_iter it;

    (void)state;
    random_seed(&r, 3);
    arena_init(&a);
    for (int round = 0; round < 4000; round++) {
        struct batch_builder b;
        struct bytes out;
        uint8_t *copy;
        given_batch(&b, (enum codec)(round % 5), 4, &out);
        copy = arena_alloc(&a, out.n);
        memcpy(copy, out.p, out.n);
        for (int k = 0; k < 3; k++)
            copy[57 + random_below(&r, out.n - 57)] = (uint8_t)random_next(&r);
        store_be32(copy + 17, crc32c(bytes_of(copy + 21, out.n - 21)));
        int rc = batch_iter_init(&it, bytes_of(copy, out.n), INFLATED_MAX, &a, NULL);
        while (rc == 0 && (rc = batch_iter_next(&it, &rec, NULL)) == 1) {
            struct header *hs;
            rc = batch_record_headers(&rec, &a, &hs, NULL) < 0 ? -1 : 0;
        }
        batch_builder_deinit(&b);
        arena_reset(&a);
    }
    arena_deinit(&a);
}

static void test_bombs(void **state)
{
    // A decompressor stops at its cap, exactly there, and leaves the buffer as it was.
    struct buf zeros = BUF_EMPTY, packed = BUF_EMPTY, out = BUF_EMPTY;
    size_t n = 3 * 1000 * 1000;

    (void)state;
    buf_reserve(&zeros, n);
    memset(zeros.p, 0, n);
    zeros.n = n;
    for (int c = CODEC_GZIP; c <= CODEC_ZSTD; c++) {
        struct err e = {0};
        buf_clear(&packed);
        buf_clear(&out);
        buf_append_str(&out, "before");
        assert_int_equal(codec_deflate((enum codec)c, buf_bytes(&zeros), &packed, &e), 0);
        assert_int_equal(codec_inflate((enum codec)c, buf_bytes(&packed), n - 1, &out, &e),
                         LEAT_ETOOBIG);
        assert_int_equal(out.n, 6);
        assert_int_equal(codec_inflate((enum codec)c, buf_bytes(&packed), n, &out, &e), 0);
        assert_int_equal(out.n, n + 6);
        for (size_t cut = 0; cut < packed.n; cut += 1 + packed.n / 50) {
            out.n = 6;
            assert_int_not_equal(
                codec_inflate((enum codec)c, bytes_of(packed.p, cut), n, &out, &e), 0);
        }
    }
    buf_deinit(&zeros);
    buf_deinit(&packed);
    buf_deinit(&out);
}

static void test_snappy_forms(void **state)
{
    // Both snappy forms of the field are read: raw blocks and the xerial stream; a lying length is
    // refused.
    static const uint8_t raw[] = {5, 4 << 2, 'h', 'e', 'l', 'l', 'o'};
    static const uint8_t liar[] = {0x80, 0x80, 0x80, 0x20, 0, 'x'}; // claims 64 MiB
    struct buf out = BUF_EMPTY;

    (void)state;
    assert_int_equal(codec_inflate(CODEC_SNAPPY, bytes_of(raw, sizeof raw), 100, &out, NULL), 0);
    assert_true(bytes_eq_str(buf_bytes(&out), "hello"));
    assert_int_equal(codec_inflate(CODEC_SNAPPY, bytes_of(liar, sizeof liar), 100, &out, NULL),
                     LEAT_ETOOBIG);
    assert_int_equal(
        codec_inflate(CODEC_SNAPPY, bytes_of(liar, sizeof liar), 100u << 20, &out, NULL),
        LEAT_ECORRUPT);
    assert_true(out.cap < 1024);
    buf_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_same_bytes),
        cmocka_unit_test(test_known_bytes),
        cmocka_unit_test(test_cut_anywhere),
        cmocka_unit_test(test_every_bit_counts),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_damage_never_overreads),
        cmocka_unit_test(test_bombs),
        cmocka_unit_test(test_snappy_forms),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
