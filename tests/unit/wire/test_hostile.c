// SPDX-License-Identifier: Apache-2.0
//
// Bytes that mean harm: counts and lengths that lie, and random damage.
#include "tests/unit/wire/wire_tests.h"

#include "runtime/base/endian.h"
#include "runtime/base/heap.h"
#include "runtime/base/varint.h"

// A frame of n bytes may cost this many times n of arena; measured, see test_damage.
enum { MEMORY_FACTOR = 128, MEMORY_BASE = 4096 };

static int decode(const struct wire_message *m, int version, const void *p, size_t n, size_t *used)
{
    // Exactly n bytes on the heap, so that the sanitizer sees a read behind them.
    uint8_t *body = heap_alloc(n);
    struct arena a;
    struct err e;
    void *out;
    int rc;

    if (n > 0)
        memcpy(body, p, n);
    arena_init(&a);
    out = heap_alloc(m->size);
    rc = wire_decode(m, version, bytes_of(body, n), &a, out, &e);
    *used = a.used;
    arena_deinit(&a);
    heap_free(out);
    heap_free(body);
    return rc;
}

static void expect_refused(const struct wire_message *m, int version, const void *p, size_t n)
{
    size_t used;

    assert_int_equal(decode(m, version, p, n, &used), LEAT_EPROTO);
    assert_true(used <= MEMORY_BASE);
}

// A count is checked against what is left before memory is asked for; -1 is null only where
// allowed.
static void test_counts(void **state)
{
    static const int32_t counts[] = {INT32_MAX, INT32_MIN, -1, -2, 1 << 24, 100};
    uint8_t body[64] = {0xff, 0xff, 0, 1, 0, 0, 0, 1}; // Produce: no id, acks, timeout; topic count

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
        store_be32(body + 8, (uint32_t)counts[i]);
        expect_refused(&wire_produce_request, 3, body, sizeof body);
    }
    store_be32(body + 8, 1); // one topic named "t", then the partition count
    memcpy(body + 12, "\0\1t", 3);
    for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
        store_be32(body + 15, (uint32_t)counts[i]);
        expect_refused(&wire_produce_request, 3, body, sizeof body);
    }
    store_be32(body + 15, 1); // one partition, then the length of its records
    for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
        if (counts[i] == -1)
            continue; // records may be null
        store_be32(body + 23, (uint32_t)counts[i]);
        expect_refused(&wire_produce_request, 3, body, sizeof body);
    }
}

// The same for compact lengths: 0 is null, and varints of more than five bytes or 32 bits are
// refused.
static void test_compact_counts(void **state)
{
    static const struct {
        uint8_t n, p[8];
    } counts[] = {
        {1, {0}},
        {1, {100}},
        {5, {0xff, 0xff, 0xff, 0xff, 0x0f}},
        {5, {0xff, 0xff, 0xff, 0xff, 0x07}},
        {5, {0xff, 0xff, 0xff, 0xff, 0x1f}},
        {6, {0x81, 0x80, 0x80, 0x80, 0x80, 0}},
        {2, {0x80, 0x80}},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
        uint8_t body[32] = {0, 0, 1, 0, 0, 0, 1}; // Produce v9, then the count of topics
        memcpy(body + 7, counts[i].p, counts[i].n);
        expect_refused(&wire_produce_request, 9, body, 7 + counts[i].n);
        body[7] = 2; // one topic, then the length of its name
        memcpy(body + 8, counts[i].p, counts[i].n);
        expect_refused(&wire_produce_request, 9, body, 8 + counts[i].n);
    }
}

// A tagged field that lies about its size, or a count of tags that nothing follows, is refused.
static void test_tag_sizes(void **state)
{
    static const char *const tails[] = {
        "\x01",                         // one tag, nothing behind it
        "\xff\xff\xff\xff\x0f",         // four billion tags
        "\x01\x03\x02\x01\x01",         // a bool of two bytes
        "\x01\x01\x07\1\1\1\1\1\1\1",   // an int64 of seven
        "\x01\x63\x05\1\1",             // unknown, longer than the rest
        "\x01\x02\xff\xff\xff\xff\x0f", // known, of four billion bytes
    };
    static const uint8_t head[] = {0, 0, 1, 0, 0, 0, 0};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(tails); i++) {
        uint8_t body[32];
        size_t n = strlen(tails[i]);
        memcpy(body, head, sizeof head);
        memcpy(body + sizeof head, tails[i], n);
        expect_refused(&wire_api_versions_response, 3, body, sizeof head + n);
    }
}

// A compact length could make a string longer than the old encoding could: refused, as Kafka does.
static void test_long_string(void **state)
{
    static uint8_t
        body[3 + INT16_MAX + 2]; // FindCoordinator v3: length of the key, key, type, tags
    size_t used;

    (void)state;
    varint_put_u32(body, INT16_MAX + 1);
    assert_int_equal(decode(&wire_find_coordinator_request, 3, body, sizeof body, &used), 0);
    varint_put_u32(body, INT16_MAX + 2);
    expect_refused(&wire_find_coordinator_request, 3, body, sizeof body);
}

// The arena's limit stops a message that would take more memory, with an error of its own.
static void test_arena_limit(void **state)
{
    static uint8_t body[4 + 2 * 10000]; // Metadata v0: ten thousand topics with empty names
    struct metadata_request q;
    struct arena a;
    struct err e;

    (void)state;
    store_be32(body, 10000);
    arena_init(&a);
    a.limit = 64 * 1024;
    assert_int_equal(
        wire_decode(&wire_metadata_request, 0, bytes_of(body, sizeof body), &a, &q, &e),
        LEAT_ELIMIT);
    a.limit = 0;
    assert_int_equal(
        wire_decode(&wire_metadata_request, 0, bytes_of(body, sizeof body), &a, &q, &e), 0);
    assert_int_equal(q.topics.n, 10000);
    arena_deinit(&a);
}

static void damage(struct random *r, struct buf *b)
{
    static const uint8_t evil[] = {0, 1, 0x7f, 0x80, 0xff};

    for (uint64_t i = 1 + random_below(r, 4); i > 0 && b->n > 0; i--) {
        uint8_t *p = b->p + random_below(r, b->n);
        *p = random_below(r, 2) ? evil[random_below(r, sizeof evil)] : (uint8_t)random_next(r);
    }
}

static void damage_message(const struct wire_message *m, int version)
{
    struct random r;
    struct arena a;
    void *in;

    random_seed(&r, test_seed * 7919 + (uint64_t)version);
    arena_init(&a);
    in = arena_alloc(&a, m->size);
    for (int i = 0; i < 40; i++) {
        struct buf b = BUF_EMPTY;
        size_t used;
        int rc;

        wire_fill(&r, m, version, &a, in);
        assert_int_equal(wire_encode(m, version, in, &b, NULL), 0);
        damage(&r, &b);
        rc = decode(m, version, b.p, b.n, &used);
        assert_true(rc == 0 || rc == LEAT_EPROTO);
        if (used > MEMORY_BASE + MEMORY_FACTOR * b.n)
            fail_msg("seed %llu: %s v%d: %zu bytes took %zu of memory",
                     (unsigned long long)test_seed, m->name, version, b.n, used);
        buf_deinit(&b);
    }
    arena_deinit(&a);
}

// Damaged messages decode or are refused, at a cost that their length bounds.
static void test_damage(void **state)
{
    (void)state;
    each_version(damage_message);
}

int run_hostile_tests(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts),    cmocka_unit_test(test_compact_counts),
        cmocka_unit_test(test_tag_sizes), cmocka_unit_test(test_arena_limit),
        cmocka_unit_test(test_damage),    cmocka_unit_test(test_long_string),
    };

    return cmocka_run_group_tests_name("wire hostile", tests, NULL, NULL);
}
