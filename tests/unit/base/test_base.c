// SPDX-License-Identifier: Apache-2.0
//
// What every layer stands on: errors, buffers, arenas, maps, varints, UTF-8, ids, failpoints.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>

#include "runtime/base/arena.h"
#include "runtime/base/buf.h"
#include "runtime/base/clock.h"
#include "runtime/base/err.h"
#include "runtime/base/failpoint.h"
#include "runtime/base/hashmap.h"
#include "runtime/base/heap.h"
#include "runtime/base/random.h"
#include "runtime/base/uuid.h"
#include "runtime/base/varint.h"

// An error is wrapped outside in, keeps its code, and is cut, never overrun.
static void errors_wrap(void **state)
{
    struct err e = {0};
    char long_text[2000];

    (void)state;
    assert_int_equal(err_set(&e, LEAT_ENOTFOUND, "no %s", "topic"), LEAT_ENOTFOUND);
    assert_int_equal(err_wrap(&e, LEAT_ENOTFOUND, "job %d", 7), LEAT_ENOTFOUND);
    assert_string_equal(e.text, "job 7: no topic");
    err_clear(&e);
    assert_int_equal(err_wrap(&e, LEAT_EIO, "reading"), LEAT_EIO);
    assert_string_equal(e.text, "reading: I/O error");
    memset(long_text, 'x', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = 0;
    err_set(&e, LEAT_EIO, "%s", long_text);
    assert_int_equal(strlen(e.text), ERR_TEXT_MAX - 1);
    err_wrap(&e, LEAT_EIO, "%s", long_text);
    assert_int_equal(strlen(e.text), ERR_TEXT_MAX - 1);
    assert_int_equal(err_wrap(NULL, LEAT_EIO, "x"), LEAT_EIO);
}

// A full disk is told from other failures, because it heals.
static void errno_is_translated(void **state)
{
    struct err e;

    (void)state;
    assert_int_equal(err_errno(NULL, ENOSPC, "x"), LEAT_ENOSPC);
    assert_int_equal(err_errno(&e, ENOSPC, "f"), LEAT_ENOSPC);
    assert_int_equal(err_errno(&e, EFBIG, "f"), LEAT_ENOSPC);
    assert_int_equal(err_errno(&e, EMFILE, "f"), LEAT_EMFILE);
    assert_int_equal(err_errno(&e, EROFS, "f"), LEAT_EIO);
}

// A text for people is cut behind a whole character and stays on its line.
static void texts_are_cut(void **state)
{
    static const struct {
        const char *text;
        size_t max;
        const char *want;
    } cases[] = {
        {"", 4, ""}, {"abcd", 4, "abcd"}, {"abcde", 4, "abcd…"}, {"a\nb\tc", 9, "a b c"},
        {"aéé", 3, "aé…"}, {"aéé", 2, "a…"}, {"é", 1, "…"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf b = BUF_EMPTY;
        buf_append_cut(&b, bytes_str(cases[i].text), cases[i].max);
        assert_string_equal(buf_cstr(&b), cases[i].want);
        buf_deinit(&b);
    }
}

// A buffer grows as needed; a reservation that fails leaves it as it was.
static void buffers_grow(void **state)
{
    struct buf b = BUF_EMPTY;

    (void)state;
    for (int i = 0; i < 1000; i++)
        buf_printf(&b, "%d,", i);
    assert_int_equal(b.n, 3890);
    buf_consume(&b, 3886);
    assert_string_equal(buf_cstr(&b), "999,");
    heap_fault_arm(0, false);
    assert_int_equal(buf_try_reserve(&b, 1 << 20), LEAT_ENOMEM);
    assert_true(heap_fault_fired());
    heap_fault_arm(-1, false);
    assert_string_equal(buf_cstr(&b), "999,");
    buf_deinit(&b);
}

// An arena hands out aligned memory, keeps its first block over a reset, and refuses past its
// limit.
static void arenas_bound(void **state)
{
    struct arena a;

    (void)state;
    arena_init(&a);
    void *first = arena_alloc(&a, 1);
    for (size_t n = 1; n < 100000; n *= 3)
        assert_int_equal((uintptr_t)arena_alloc(&a, n) % 16, 0);
    arena_reset(&a);
    assert_int_equal(a.used, 0);
    a.limit = 64;
    assert_non_null(arena_try_alloc(&a, 48));
    assert_null(arena_try_alloc(&a, 48));
    assert_non_null(first);
    arena_deinit(&a);
}

// A map holds what a plain array would, through growth and removal in any order.
static void maps_equal_model(void **state)
{
    enum { KEYS = 500, STEPS = 20000 };
    static int values[KEYS];
    bool in[KEYS] = {false};
    struct hashmap m;
    struct random r;
    size_t n = 0;

    (void)state;
    hashmap_init(&m, 42);
    random_seed(&r, 7);
    for (int i = 0; i < STEPS; i++) {
        int k = (int)random_below(&r, KEYS);
        struct bytes key = bytes_of(&k, sizeof k);
        if (random_below(&r, 3) > 0) {
            assert_ptr_equal(hashmap_put(&m, key, &values[k]), in[k] ? &values[k] : NULL);
            n += !in[k];
            in[k] = true;
        } else {
            assert_ptr_equal(hashmap_remove(&m, key), in[k] ? &values[k] : NULL);
            n -= in[k];
            in[k] = false;
        }
        assert_int_equal(m.n, n);
    }
    for (int k = 0; k < KEYS; k++)
        assert_ptr_equal(hashmap_get(&m, bytes_of(&k, sizeof k)), in[k] ? &values[k] : NULL);
    hashmap_deinit(&m);
}

// A varint is read back as written, is refused when cut, too long or too wide, and nothing past the
// end is read.
static void varints(void **state)
{
    static const int64_t samples[] = {0,    1,         -1,        63,        64,       -64,  -65,
                                      8191, -8192,     8192,      -8193,     300,      -300, 0x7fff,
                                      -1,   INT32_MAX, INT32_MIN, INT64_MAX, INT64_MIN};
    static const uint8_t too_long[] = {0x80, 0x80, 0x80, 0x80, 0x80, 0x80,
                                       0x80, 0x80, 0x80, 0x80, 0x01};
    static const uint8_t too_wide[] = {0xff, 0xff, 0xff, 0xff, 0x1f};
    uint8_t p[VARINT64_MAX];
    int32_t narrow;
    uint32_t u;
    int64_t v;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
        size_t n = varint_put_z64(p, samples[i]);
        assert_int_equal(n, varint_size_z64(samples[i]));
        assert_int_equal(varint_z64(bytes_of(p, n), &v), n);
        assert_true(v == samples[i]);
        assert_int_equal(varint_z64_short(bytes_of(p, n), &v), n);
        assert_true(v == samples[i]);
        if (samples[i] == (int32_t)samples[i]) {
            assert_int_equal(varint_z32_short(bytes_of(p, n), &narrow), n);
            assert_int_equal(narrow, samples[i]);
        }
        for (size_t cut = 0; cut < n; cut++) {
            assert_int_equal(varint_z64(bytes_of(p, cut), &v), 0);
            assert_int_equal(varint_z64_short(bytes_of(p, cut), &v), 0);
            assert_int_equal(varint_z32_short(bytes_of(p, cut), &narrow), 0);
        }
    }
    assert_int_equal(varint_z64(bytes_of(too_long, sizeof too_long), &v), 0);
    assert_int_equal(varint_u32(bytes_of(too_wide, sizeof too_wide), &u), 0);
}

// Text is UTF-8 only without surrogates, overlong forms, stray continuations and what lies past
// U+10FFFF.
static void utf8(void **state)
{
    static const char *const good[] = {"", "plain ascii text", "é", "\xe2\x82\xac",
                                       "\xf4\x8f\xbf\xbf"};
    static const char *const bad[] = {
        "\x80",         "\xc0\xaf",         "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82",
        "abcdefgh\xff", "\xf0\x80\x80\xaf", "\xc3(",        "\xe0\x9f\xbf"};
    char text[40];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        assert_true(bytes_is_utf8(bytes_str(good[i])));
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(bytes_is_utf8(bytes_str(bad[i])));
    for (size_t n = 1; n <= 40; n++) // wherever the stray byte is
        for (size_t at = 0; at < n; at++) {
            memset(text, 'a', n);
            assert_true(bytes_is_utf8(bytes_of(text, n)));
            text[at] = '\xff';
            assert_false(bytes_is_utf8(bytes_of(text, n)));
        }
}

// Kafka's partitioner: the values that the Java client's Utils.murmur2 gives.
static void murmur2_is_kafkas(void **state)
{
    (void)state;
    assert_int_equal((int32_t)bytes_murmur2(bytes_str("21")), -973932308);
    assert_int_equal((int32_t)bytes_murmur2(bytes_str("foobar")), -790332482);
    assert_int_equal((int32_t)bytes_murmur2(bytes_str("a-little-bit-long-string")), -985981536);
}

// A UUID's texts are its bytes; anything else does not parse.
static void uuids(void **state)
{
    struct uuid u = uuid_random(), back;
    char text[UUID_TEXT_SIZE], base64[UUID_BASE64_SIZE];

    (void)state;
    assert_int_equal(u.b[6] >> 4, 4);
    uuid_text(u, text);
    assert_int_equal(uuid_parse(bytes_str(text), &back), 0);
    assert_true(uuid_eq(u, back) && !uuid_is_zero(u));
    text[8] = 'x';
    assert_int_equal(uuid_parse(bytes_str(text), &back), LEAT_EINVAL);
    uuid_base64((struct uuid){{0xff, 0xff, 0xff}}, base64);
    assert_string_equal(base64, "____AAAAAAAAAAAAAAAAAA");
}

// A failpoint acts at the passage it was armed for, once; a switch stays on.
static void failpoints(void **state)
{
    (void)state;
    failpoint_arm("step=eio@2,full=enospc,nosync");
    assert_int_equal(failpoint("step"), 0);
    assert_int_equal(failpoint("step"), LEAT_EIO);
    assert_int_equal(failpoint("step"), 0);
    assert_int_equal(failpoint("full"), LEAT_ENOSPC);
    assert_int_equal(failpoint("full"), LEAT_ENOSPC);
    assert_true(fail_switch("nosync"));
    failpoint_arm(NULL);
    assert_int_equal(failpoint("full"), 0);
    assert_false(fail_switch("nosync"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_wrap),
        cmocka_unit_test(errno_is_translated),
        cmocka_unit_test(texts_are_cut),
        cmocka_unit_test(buffers_grow),
        cmocka_unit_test(arenas_bound),
        cmocka_unit_test(maps_equal_model),
        cmocka_unit_test(varints),
        cmocka_unit_test(utf8),
        cmocka_unit_test(murmur2_is_kafkas),
        cmocka_unit_test(uuids),
        cmocka_unit_test(failpoints),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
