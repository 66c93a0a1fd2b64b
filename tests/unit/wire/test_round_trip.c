// SPDX-License-Identifier: Apache-2.0
//
// Every message in every version, with random values: out, in, and out again.
#include "tests/unit/wire/wire_tests.h"

#include "runtime/base/heap.h"

enum { ROUNDS = 8 };

struct fixture {
    struct random random;
    struct arena arena;
    struct buf bytes;
    void *in, *out;
};

static void fixture_init(struct fixture *fx, const struct wire_message *m, int version)
{
    *fx = (struct fixture){.bytes = BUF_EMPTY};
    random_seed(&fx->random, test_seed * 1000003 + (uint64_t)version);
    arena_init(&fx->arena);
    fx->in = arena_alloc(&fx->arena, m->size);
    fx->out = arena_alloc(&fx->arena, m->size);
}

static void fixture_deinit(struct fixture *fx)
{
    buf_deinit(&fx->bytes);
    arena_deinit(&fx->arena);
}

static void expect_ok(const struct wire_message *m, int version, int rc, const struct err *e)
{
    if (rc != 0)
        fail_msg("seed %llu: %s v%d: %s", (unsigned long long)test_seed, m->name, version, e->text);
}

static void given_random_message(struct fixture *fx, const struct wire_message *m, int version)
{
    struct err e;

    wire_fill(&fx->random, m, version, &fx->arena, fx->in);
    buf_clear(&fx->bytes);
    expect_ok(m, version, wire_encode(m, version, fx->in, &fx->bytes, &e), &e);
}

static void round_trip(const struct wire_message *m, int version)
{
    struct fixture fx;
    struct err e;

    fixture_init(&fx, m, version);
    for (int i = 0; i < ROUNDS; i++) {
        struct buf again = BUF_EMPTY;
        int rc;

        given_random_message(&fx, m, version);
        rc = wire_decode(m, version, buf_bytes(&fx.bytes), &fx.arena, fx.out, &e);
        expect_ok(m, version, rc, &e);
        expect_ok(m, version, wire_encode(m, version, fx.out, &again, &e), &e);
        if (!bytes_eq(buf_bytes(&fx.bytes), buf_bytes(&again)))
            fail_msg("seed %llu: %s v%d changed on its way", (unsigned long long)test_seed, m->name,
                     version);
        buf_deinit(&again);
    }
    fixture_deinit(&fx);
}

// What is encoded is decoded to the same, for every message and version.
static void test_round_trip(void **state)
{
    (void)state;
    each_version(round_trip);
}

static void truncate_everywhere(const struct wire_message *m, int version)
{
    struct fixture fx;

    fixture_init(&fx, m, version);
    given_random_message(&fx, m, version);
    for (size_t n = 0; n < fx.bytes.n; n++) {
        // A block of exactly n bytes, so that the sanitizer sees a read behind it.
        uint8_t *cut = heap_alloc(n);
        struct err e;
        int rc;

        memcpy(cut, fx.bytes.p, n);
        rc = wire_decode(m, version, bytes_of(cut, n), &fx.arena, fx.out, &e);
        if (rc != LEAT_EPROTO)
            fail_msg("seed %llu: %s v%d cut to %zu of %zu bytes gave %d",
                     (unsigned long long)test_seed, m->name, version, n, fx.bytes.n, rc);
        heap_free(cut);
    }
    fixture_deinit(&fx);
}

// A message that is cut anywhere is malformed, and is not read beyond its end.
static void test_truncation(void **state)
{
    (void)state;
    each_version(truncate_everywhere);
}

static void append_a_byte(const struct wire_message *m, int version)
{
    struct fixture fx;
    struct err e;

    fixture_init(&fx, m, version);
    given_random_message(&fx, m, version);
    buf_append_byte(&fx.bytes, 0);
    assert_int_equal(wire_decode(m, version, buf_bytes(&fx.bytes), &fx.arena, fx.out, &e),
                     LEAT_EPROTO);
    fixture_deinit(&fx);
}

// Bytes behind the end of a message are an error, not padding.
static void test_trailing_byte(void **state)
{
    (void)state;
    each_version(append_a_byte);
}

static void decode_with_faults(const struct wire_message *m, int version)
{
    struct fixture fx;
    bool fired = true;

    fixture_init(&fx, m, version);
    given_random_message(&fx, m, version);
    for (int n = 0; fired; n++) {
        struct arena a;
        struct err e;
        int rc;

        arena_init(&a);
        heap_fault_arm(n, false);
        rc = wire_decode(m, version, buf_bytes(&fx.bytes), &a, fx.out, &e);
        fired = heap_fault_fired();
        heap_fault_arm(-1, false);
        assert_int_equal(rc, fired ? LEAT_ENOMEM : 0);
        arena_deinit(&a);
    }
    fixture_deinit(&fx);
}

static void encode_with_faults(const struct wire_message *m, int version)
{
    struct fixture fx;
    bool fired = true;

    fixture_init(&fx, m, version);
    given_random_message(&fx, m, version);
    for (int n = 0; fired; n++) {
        struct buf out = BUF_EMPTY;
        struct err e;
        int rc;

        heap_fault_arm(n, false);
        rc = wire_encode(m, version, fx.in, &out, &e);
        fired = heap_fault_fired();
        heap_fault_arm(-1, false);
        assert_int_equal(rc, fired ? LEAT_ENOMEM : 0);
        assert_int_equal(out.n, fired ? 0 : fx.bytes.n);
        buf_deinit(&out);
    }
    fixture_deinit(&fx);
}

// Whichever allocation fails, decoding says so and leaks nothing.
static void test_decode_faults(void **state)
{
    (void)state;
    each_version(decode_with_faults);
}

// Whichever allocation fails, encoding says so and leaves the buffer as it was.
static void test_encode_faults(void **state)
{
    (void)state;
    each_version(encode_with_faults);
}

int run_round_trip_tests(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),    cmocka_unit_test(test_truncation),
        cmocka_unit_test(test_trailing_byte), cmocka_unit_test(test_decode_faults),
        cmocka_unit_test(test_encode_faults),
    };

    return cmocka_run_group_tests_name("wire round trip", tests, NULL, NULL);
}
