// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/record/value_tests.h"

static const char *const accepted[] = {
    "{}",
    "[]",
    "0",
    "-0",
    "1",
    "-1.5e+10",
    "1E5",
    "1e-5",
    "123456789012345678901234567890",
    "1e999",
    "true",
    "false",
    "null",
    "\"\"",
    "\"a\"",
    " { } ",
    "\t[\r\n1 , 2 ]\n",
    "{\"a\":1}",
    "{\"a\":1,\"a\":2}",
    "{\"\":0}",
    "{\"a\":{\"b\":[1,2,{\"c\":null}]},\"d\":\"e\"}",
    "[[],[[]],{}]",
    "[1,-2,3.5,\"x\",true,false,null]",
    "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
    "\"\\u0041\\u00e9\\u20ac\"",
    "\"\\ud83d\\ude00\"",
    "\"\\uD83D\\uDE00\"",
    "\"\\u0000\"",
    "\"\xc3\xa5\xe2\x82\xac\xf0\x9f\x98\x80\"",
    "\"\x7f\"",
    "\"\\\\\"",
    "\"\\\\\\\"\"",
    "{\"a\\\"b\":\"c,d:{}[]\"}",
    "[\"\\\\\",\"\\\\\"]",
    "[0.0,0e0,0E+0]",
    "[1]                                                                                  ",
    "                                                                       [\"0123456789\"]",
};

static const char *const refused[] = {
    "",
    " ",
    "{",
    "}",
    "[",
    "]",
    "[1",
    "[1,",
    "[1,]",
    "[,1]",
    "[1,,2]",
    "[1 2]",
    "[1;2]",
    "[1}",
    "{1:2}",
    "{\"a\"}",
    "{\"a\":}",
    "{\"a\":1,}",
    "{,\"a\":1}",
    "{\"a\":1 \"b\":2}",
    "{\"a\" 1}",
    "{\"a\"::1}",
    "{\"a\":1]",
    "{a:1}",
    "{'a':1}",
    "{\"a\":1}}",
    "{}{}",
    "{} x",
    "1 2",
    "[]\"\"",
    "\"a",
    "\"a\\\"",
    "a\"",
    "\"a\"b",
    "\"a\"\"b\"",
    "12\"a\"",
    "\"\\x\"",
    "\"\\u12\"",
    "\"\\u12g4\"",
    "\"\\ud800\"",
    "\"\\ud800x\"",
    "\"\\ud800\\u0041\"",
    "\"\\udc00\"",
    "\"\\U0041\"",
    "\"\\'\"",
    "\"a\tb\"",
    "\"a\nb\"",
    "\"\x01\"",
    "\"\xff\"",
    "\"\xc3\"",
    "\"\xc0\xaf\"",
    "\"\xed\xa0\x80\"",
    "\"\xf4\x90\x80\x80\"",
    "\xef\xbb\xbf{}",
    "\xc3\xa5",
    "+1",
    "01",
    "-01",
    "-",
    "--1",
    "1.",
    ".5",
    "-.5",
    "1.e5",
    "1e",
    "1e+",
    "1e1.5",
    "0x10",
    "1_000",
    "1a",
    "NaN",
    "-NaN",
    "Infinity",
    "nan",
    "tru",
    "truee",
    "True",
    "nul",
    "nulll",
    "fals",
    "falsey",
    "true1",
    "truefalse",
    "undefined",
    "/**/1",
    "1//x",
    "[1]//",
    "\\n",
    "[\\n1]",
    "\x0c[1]",
    "[1\x0b]",
    "[1\x1a 2]",
    "{\"a\"\x0c 1}",
    "[\"a\",\n4\n,1,",
    "{\"a\":\"b\":\"c\"}",
    "[\"a\":1]",
};

static int decode(struct bytes raw, struct err *e)
{
    struct arena a;
    struct value v;
    uint8_t *copy = exact_copy(raw);
    int rc;

    arena_init(&a);
    rc = value_decode(FORMAT_JSON, bytes_of(copy, raw.n), &a, &v, e);
    arena_deinit(&a);
    free(copy);
    return rc;
}

// The whole text is checked, whatever is read of it: exactly RFC 8259 in UTF-8 passes.
static void test_conformance(void **state)
{
    struct err e;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(accepted); i++)
        if (decode(bytes_str(accepted[i]), &e) != 0)
            fail_msg("refused %s: %s", accepted[i], e.text);
    for (size_t i = 0; i < ARRAY_LEN(refused); i++)
        if (decode(bytes_str(refused[i]), &e) != LEAT_EDECODE)
            fail_msg("accepted %s", refused[i]);
    assert_int_equal(decode(BYTES_LIT("\"a\0b\""), &e), LEAT_EDECODE);
    assert_int_equal(decode(BYTES_LIT("[1,\0]"), &e), LEAT_EDECODE);
    assert_int_equal(decode(BYTES_LIT("1\0"), &e), LEAT_EDECODE);
}

// The same verdict at any distance from the 64-byte blocks of the scanner.
static void test_every_alignment(void **state)
{
    char text[400];

    (void)state;
    for (size_t pad = 0; pad < 130; pad++) {
        for (size_t i = 0; i < ARRAY_LEN(accepted); i++) {
            int n = snprintf(text, sizeof text, "[\"%*s\",%s]", (int)pad, "", accepted[i]);
            assert_int_equal(decode(bytes_of(text, (size_t)n), NULL), 0);
        }
        for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
            int n = snprintf(text, sizeof text, "%*s%s", (int)pad, "", refused[i]);
            assert_int_equal(decode(bytes_of(text, (size_t)n), NULL), LEAT_EDECODE);
        }
    }
}

// An error names the byte and what was expected there.
static void test_error_text(void **state)
{
    struct err e;

    (void)state;
    assert_int_equal(decode(BYTES_LIT("{\"a\" 1}"), &e), LEAT_EDECODE);
    assert_string_equal(e.text, "invalid JSON at byte 5: expected ':'");
    assert_int_equal(decode(BYTES_LIT("[1,"), &e), LEAT_EDECODE);
    assert_string_equal(e.text, "invalid JSON: it ends after byte 3: expected a value");
    assert_int_equal(decode(BYTES_LIT("[\"\xc3\"]"), &e), LEAT_EDECODE);
    assert_string_equal(e.text, "invalid JSON at byte 2: not UTF-8");
}

// Nesting up to the limit passes, one more is refused.
static void test_depth(void **state)
{
    char text[2 * (VALUE_DEPTH_MAX + 1)];

    (void)state;
    memset(text, '[', VALUE_DEPTH_MAX);
    memset(text + VALUE_DEPTH_MAX, ']', VALUE_DEPTH_MAX);
    assert_int_equal(decode(bytes_of(text, 2 * VALUE_DEPTH_MAX), NULL), 0);
    memset(text, '[', VALUE_DEPTH_MAX + 1);
    memset(text + VALUE_DEPTH_MAX + 1, ']', VALUE_DEPTH_MAX + 1);
    assert_int_equal(decode(bytes_of(text, sizeof text), NULL), LEAT_EDECODE);
}

// A record cut anywhere is refused, and never read past its end.
static void test_truncation(void **state)
{
    struct bytes whole = BYTES_LIT("{\"device\":\"T-1\\u00e5\",\"t\":-12.5e3,\"ok\":true,"
                                   "\"site\":{\"name\":\"\xc3\xa5s\",\"tags\":[1,null,[\"x\"]]}}");

    (void)state;
    assert_int_equal(decode(whole, NULL), 0);
    for (size_t n = 0; n < whole.n; n++)
        assert_int_equal(decode(bytes_of(whole.p, n), NULL), LEAT_EDECODE);
}

static size_t index_all(enum json_kernel kernel, struct bytes text, uint32_t *at, unsigned *flags)
{
    struct json_index x;
    size_t n = 0;

    json_index_init(&x, text, kernel);
    while (x.i_at < x.n_at || json_index_refill(&x))
        at[n++] = x.at[x.i_at++];
    *flags = (unsigned)x.backslash | (unsigned)x.high << 1 | (unsigned)x.control << 2 |
             (unsigned)(x.in_string != 0) << 3;
    return n;
}

// All kernels find the same tokens in anything, JSON or not.
static void test_kernels_agree(void **state)
{
    static const char alphabet[] = "\"\"\"\\\\\\{}[]:,  \n\t\r\x0c\x1a\x01"
                                   "az019-.e\xc3\xa5\xff;<Z";
    enum { MAX = 300 };
    uint8_t text[MAX];
    uint32_t want[MAX + 1], got[MAX + 1];
    struct random r;

    (void)state;
    random_seed(&r, test_seed);
    for (int round = 0; round < 20000; round++) {
        size_t n = random_below(&r, MAX + 1);
        unsigned flags, other;
        for (size_t i = 0; i < n; i++)
            text[i] = round % 2 ? (uint8_t)alphabet[random_below(&r, sizeof alphabet - 1)]
                                : (uint8_t)random_next(&r);
        size_t count = index_all(JSON_PORTABLE, bytes_of(text, n), want, &flags);
        for (int k = JSON_SSE2; k <= (int)json_kernel_best(); k++) {
            assert_int_equal(index_all((enum json_kernel)k, bytes_of(text, n), got, &other), count);
            assert_memory_equal(got, want, count * sizeof *got);
            assert_int_equal(other, flags);
        }
    }
}

// Whatever is written is read back as the same value, in both formats and across them.
static void test_round_trip(void **state)
{
    struct random r;
    struct arena a;

    (void)state;
    random_seed(&r, test_seed);
    arena_init(&a);
    for (int round = 0; round < 3000; round++) {
        struct value v = random_value(&r, &a, 4), json, msgpack;
        struct bytes text = json_of(&v, &a), packed = msgpack_of(&v, &a);

        assert_int_equal(value_decode(FORMAT_JSON, text, &a, &json, NULL), 0);
        assert_int_equal(value_decode(FORMAT_MSGPACK, packed, &a, &msgpack, NULL), 0);
        assert_true(value_eq(&v, &json, &a));
        assert_true(value_eq(&v, &msgpack, &a));
        assert_true(value_eq(&json, &msgpack, &a));
        assert_true(bytes_eq(json_of(&msgpack, &a), text));
        assert_true(bytes_eq(msgpack_of(&json, &a), packed));
        assert_true(bytes_eq(json_of(&json, &a), text));
        arena_reset(&a);
    }
    arena_deinit(&a);
}

// A damaged text never does worse than being refused: one byte changed at a time.
static void test_damage(void **state)
{
    struct random r;
    struct arena a;

    (void)state;
    random_seed(&r, test_seed);
    arena_init(&a);
    for (int round = 0; round < 3000; round++) {
        struct value v = random_value(&r, &a, 3), out;
        enum format f = round % 2 ? FORMAT_JSON : FORMAT_MSGPACK;
        struct bytes good = f == FORMAT_JSON ? json_of(&v, &a) : msgpack_of(&v, &a);
        uint8_t *copy = exact_copy(good);

        copy[random_below(&r, good.n)] = (uint8_t)random_next(&r);
        if (value_decode(f, bytes_of(copy, good.n), &a, &out, NULL) == 0) {
            struct buf b = BUF_EMPTY;
            int rc = value_write_json(&out, &b, NULL); // walks everything
            assert_true(rc == 0 || rc == LEAT_ENUMBER || rc == LEAT_ETYPE);
            buf_deinit(&b);
            assert_true(value_eq(&out, &out, &a));
        }
        free(copy);
        arena_reset(&a);
    }
    arena_deinit(&a);
}

// Text is escaped so that any reader gets the same bytes back.
static void test_write_text(void **state)
{
    struct buf b = BUF_EMPTY;

    (void)state;
    json_write_text(BYTES_LIT("a\"b\\c\n\x01\x7f/\xc3\xa5"), &b);
    assert_string_equal(buf_cstr(&b), "\"a\\\"b\\\\c\\n\\u0001\x7f/\xc3\xa5\"");
    buf_clear(&b);
    json_write_text(BYTES_LIT("x\xffy\xc3"), &b);
    assert_string_equal(buf_cstr(&b), "\"x\xef\xbf\xbdy\xef\xbf\xbd\"");
    buf_deinit(&b);
}

int run_json_tests(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conformance), cmocka_unit_test(test_every_alignment),
        cmocka_unit_test(test_error_text),  cmocka_unit_test(test_depth),
        cmocka_unit_test(test_truncation),  cmocka_unit_test(test_kernels_agree),
        cmocka_unit_test(test_round_trip),  cmocka_unit_test(test_damage),
        cmocka_unit_test(test_write_text),
    };

    return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
