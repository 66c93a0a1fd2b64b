// SPDX-License-Identifier: Apache-2.0
//
// Group keys, their order, packed values and window arithmetic.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "operators/groupkey.h"
#include "operators/keysort.h"
#include "operators/pack.h"
#include "operators/window.h"
#include "runtime/base/datetime.h"
#include "runtime/base/heap.h"
#include "runtime/base/random.h"

static struct buf encode(const struct value *parts, int n)
{
    struct buf b = BUF_EMPTY;

    assert_int_equal(group_key_encode(&b, parts, n, NULL), 0);
    return b;
}

static int key_cmp(const struct value *a, const struct value *b)
{
    struct buf x = encode(a, 1), y = encode(b, 1);
    int c = bytes_cmp(buf_bytes(&x), buf_bytes(&y));

    buf_deinit(&x);
    buf_deinit(&y);
    return (c > 0) - (c < 0);
}

#define TEXT(s) value_text(BYTES_LIT(s))

// Keys sort as SQLite sorts their columns: numbers by value, then text, then blobs.
static void test_order_is_sqls(void **state)
{
    const struct value sorted[] = {
        value_float(-1e300),
        value_int(INT64_MIN),
        value_int(-2),
        value_float(-1.5),
        value_int(-1),
        value_int(0),
        value_float(0.25),
        value_bool(true),
        value_int(9007199254740992),
        value_int(9007199254740993),
        value_int(INT64_MAX - 1),
        value_int(INT64_MAX),
        value_float(9223372036854775808.0),
        value_float(1e300),
        TEXT(""),
        TEXT("\0"),
        TEXT("\0\0"),
        TEXT("\0a"),
        TEXT("\1"),
        TEXT("a"),
        TEXT("a\0"),
        TEXT("a\0b"),
        TEXT("a\1"),
        TEXT("aa"),
        TEXT("b"),
        {.type = VALUE_BYTES, .s = BYTES_LIT("")},
        {.type = VALUE_BYTES, .s = BYTES_LIT("\xff\xff")},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(sorted); i++)
        for (size_t j = 0; j < ARRAY_LEN(sorted); j++)
            assert_int_equal(key_cmp(&sorted[i], &sorted[j]), (i > j) - (i < j));
}

// Keys that SQLite holds equal are equal.
static void test_equal_numbers_are_one_key(void **state)
{
    const struct value one[] = {value_int(1),
                                value_float(1.0),
                                value_bool(true),
                                {.type = VALUE_DECIMAL, .scale = 2, .i = 100}};
    const struct value zero = value_int(0), minus_zero = value_float(-0.0);

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(one); i++)
        for (size_t j = 0; j < ARRAY_LEN(one); j++)
            assert_int_equal(key_cmp(&one[i], &one[j]), 0);
    assert_int_equal(key_cmp(&zero, &minus_zero), 0);
    assert_true(group_key_is_exact(&one[0], 1));
    for (int i = 1; i < 4; i++)
        assert_false(group_key_is_exact(&one[i], 1));
}

// What is exact comes back as it was, several parts too.
static void test_parts_come_back(void **state)
{
    const struct value parts[] = {value_int(-7), TEXT("a\0b"), value_float(0.1), TEXT(""),
                                  {.type = VALUE_BYTES, .s = BYTES_LIT("\0\0")},
                                  value_int(INT64_MIN)};
    struct value back[ARRAY_LEN(parts)];
    struct buf b = encode(parts, ARRAY_LEN(parts));
    struct arena a;

    (void)state;
    arena_init(&a);
    group_key_decode(buf_bytes(&b), back, ARRAY_LEN(parts), &a);
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        assert_int_equal(back[i].type, parts[i].type);
        assert_true(value_eq(&back[i], &parts[i], &a));
    }
    arena_deinit(&a);
    buf_deinit(&b);
}

// An object is no key.
static void test_objects_are_refused(void **state)
{
    const struct value v = {.type = VALUE_DOC_OBJECT, .s = BYTES_LIT("{}")};
    struct buf b = BUF_EMPTY;

    (void)state;
    assert_int_equal(group_key_encode(&b, &v, 1, NULL), LEAT_EKEY);
    buf_deinit(&b);
}

// keysort gives memcmp order for any keys, whatever they share.
static void test_keysort(void **state)
{
    enum { N = 3000 };
    struct keysort_item *items = heap_alloc(2 * N * sizeof(*items));
    static char keys[N][24];
    struct random r;

    (void)state;
    random_seed(&r, 7);
    for (int round = 0; round < 40; round++) {
        size_t n = 1 + random_below(&r, round % 2 ? N : 300);

        for (size_t i = 0; i < n; i++) {
            int len = snprintf(keys[i], sizeof(keys[i]), "%s%0*d", round % 3 ? "sensor-" : "",
                               (int)random_below(&r, 12) + 1, (int)random_below(&r, 5000));
            items[i] = (struct keysort_item){.key = bytes_of(keys[i], (size_t)len)};
        }
        keysort(items, items + N, n);
        for (size_t i = 1; i < n; i++)
            assert_true(bytes_cmp(items[i - 1].key, items[i].key) <= 0);
    }
    heap_free(items);
}

// Every value is unpacked to itself, and a packed value that is cut is refused.
static void test_pack(void **state)
{
    const struct value values[] = {VALUE_OF_NULL,
                                   value_bool(true),
                                   value_int(INT64_MIN),
                                   value_float(-0.0),
                                   {.type = VALUE_DECIMAL, .scale = 3, .i = -5},
                                   TEXT("x\0y"),
                                   {.type = VALUE_BYTES, .s = BYTES_LIT("\xff")},
                                   {.type = VALUE_DOC_OBJECT, .s = BYTES_LIT("{\"a\":1}")}};
    struct buf b = BUF_EMPTY;
    struct arena a;

    (void)state;
    arena_init(&a);
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        struct value back;
        struct bytes in;

        buf_clear(&b);
        assert_int_equal(pack_value(&b, &values[i], NULL), 0);
        for (size_t cut = 0; cut < b.n; cut++) {
            in = bytes_of(b.p, cut);
            assert_int_equal(unpack_value(&in, &back), LEAT_ECORRUPT);
        }
        in = buf_bytes(&b);
        assert_int_equal(unpack_value(&in, &back), 0);
        assert_int_equal(in.n, 0);
        assert_int_equal(back.type, values[i].type);
        assert_true(value_eq(&back, &values[i], &a));
    }
    arena_deinit(&a);
    buf_deinit(&b);
}

// A time is in exactly the windows [s, s + size) with s a multiple of every, before 1970 too.
static void test_windows_of_a_time(void **state)
{
    struct random r;

    (void)state;
    random_seed(&r, 11);
    for (int i = 0; i < 20000; i++) {
        struct plan_window w = {.kind = WINDOW_HOPPING};
        int64_t t = (int64_t)random_below(&r, 2000) - 1000, first, last;

        w.size_ms = 1 + (int64_t)random_below(&r, 50);
        w.every_ms = 1 + (int64_t)random_below(&r, (uint64_t)w.size_ms);
        assert_int_equal(window_of(&w, t, &first, &last, NULL), 0);
        for (int64_t s = -1200; s < 1200; s++) {
            bool in = s % w.every_ms == 0 && s <= t && t < s + w.size_ms;
            bool said = s >= first && s <= last && (s - first) % w.every_ms == 0;

            if (in != said)
                fail_msg("t %d size %d every %d start %d", (int)t, (int)w.size_ms,
                         (int)w.every_ms, (int)s);
        }
    }
}

// Times outside of the calendar are class time; the largest spans do not overflow at its ends.
static void test_window_edges(void **state)
{
    struct plan_window w = {.kind = WINDOW_TUMBLING,
                            .size_ms = WINDOW_SPAN_MAX,
                            .every_ms = WINDOW_SPAN_MAX,
                            .grace_ms = WINDOW_SPAN_MAX};
    int64_t first, last;

    (void)state;
    assert_int_equal(window_check(&w, NULL), 0);
    assert_int_equal(window_of(&w, INT64_MAX, &first, &last, NULL), LEAT_ETIME);
    assert_int_equal(window_of(&w, INT64_MIN, &first, &last, NULL), LEAT_ETIME);
    assert_int_equal(window_of(&w, DATETIME_MIN, &first, &last, NULL), 0);
    assert_true(first <= DATETIME_MIN && window_end(&w, first) > DATETIME_MIN);
    assert_int_equal(window_of(&w, DATETIME_MAX, &first, &last, NULL), 0);
    assert_true(window_deadline(&w, last) > DATETIME_MAX);
}

// Impossible windows are refused at load with a sentence.
static void test_window_refusals(void **state)
{
    const struct plan_window bad[] = {
        {.kind = WINDOW_SESSION},
        {.kind = WINDOW_SESSION, .size_ms = 1, .grace_ms = -1},
        {.kind = WINDOW_LAST},
        {.kind = WINDOW_TUMBLING},
        {.kind = WINDOW_TUMBLING, .size_ms = 1, .every_ms = 1, .grace_ms = -1},
        {.kind = WINDOW_HOPPING, .size_ms = 5, .every_ms = 6},
        {.kind = WINDOW_HOPPING, .size_ms = 86400000, .every_ms = 1},
        {.kind = WINDOW_TUMBLING, .size_ms = INT64_MAX, .every_ms = INT64_MAX},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct err e = {0};

        assert_true(window_check(&bad[i], &e) < 0);
        assert_true(e.text[0] != 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_is_sqls),   cmocka_unit_test(test_equal_numbers_are_one_key),
        cmocka_unit_test(test_parts_come_back), cmocka_unit_test(test_objects_are_refused),
        cmocka_unit_test(test_keysort),         cmocka_unit_test(test_pack),
        cmocka_unit_test(test_windows_of_a_time), cmocka_unit_test(test_window_edges),
        cmocka_unit_test(test_window_refusals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
