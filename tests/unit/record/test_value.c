// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/record/value_tests.h"

uint64_t test_seed = 1;

uint8_t *exact_copy(struct bytes b)
{
    uint8_t *copy = malloc(b.n ? b.n : 1);

    assert_non_null(copy);
    if (b.n > 0)
        memcpy(copy, b.p, b.n);
    return copy;
}

static struct bytes random_text(struct random *r, struct arena *a)
{
    static const char *const pieces[] = {"a",
                                         "Z",
                                         "0",
                                         "\"",
                                         "\\",
                                         "\n",
                                         "\x01",
                                         "/",
                                         "\xc3\xa5",
                                         "\xe2\x82\xac",
                                         "\xf0\x9f\x98\x80",
                                         " ",
                                         "{",
                                         ",",
                                         "key"};
    struct buf b = BUF_EMPTY;
    struct bytes text;

    for (uint64_t n = random_below(r, random_below(r, 10) == 0 ? 100 : 6); n > 0; n--)
        buf_append_str(&b, pieces[random_below(r, ARRAY_LEN(pieces))]);
    text = arena_copy(a, buf_bytes(&b));
    buf_deinit(&b);
    return text;
}

static struct value random_scalar(struct random *r, struct arena *a)
{
    switch (random_below(r, 6)) {
    case 0:
        return VALUE_OF_NULL;
    case 1:
        return value_bool(random_below(r, 2));
    case 2:
        return value_int((int64_t)(random_next(r) >> random_below(r, 64)));
    case 3:
        return value_int(-(int64_t)(random_next(r) >> (1 + random_below(r, 63))));
    case 4:
        return value_float((double)(int64_t)random_next(r) / (double)(1 + random_below(r, 1000)));
    default:
        return value_text(random_text(r, a));
    }
}

struct value random_value(struct random *r, struct arena *a, int depth)
{
    size_t n = random_below(r, 6);
    struct value_array *array = arena_zalloc(a, sizeof *array);
    struct value_object *object = arena_zalloc(a, sizeof *object);
    bool is_object = random_below(r, 2);

    if (depth == 0 || random_below(r, 3) == 0)
        return random_scalar(r, a);
    array->n = object->n = n;
    array->items = object->values = arena_zalloc(a, n * sizeof *array->items);
    object->names = arena_zalloc(a, n * sizeof *object->names);
    for (size_t i = 0; i < n; i++) {
        object->names[i] = random_text(r, a);
        array->items[i] = random_value(r, a, depth - 1);
    }
    return is_object ? (struct value){.type = VALUE_OBJECT, .object = object}
                     : (struct value){.type = VALUE_ARRAY, .array = array};
}

struct bytes json_of(const struct value *v, struct arena *a)
{
    struct buf b = BUF_EMPTY;
    struct bytes text;

    assert_int_equal(value_write_json(v, &b, NULL), 0);
    text = arena_copy(a, buf_bytes(&b));
    buf_deinit(&b);
    return text;
}

struct bytes msgpack_of(const struct value *v, struct arena *a)
{
    struct buf b = BUF_EMPTY;
    struct bytes text;

    assert_int_equal(value_write_msgpack(v, &b, NULL), 0);
    text = arena_copy(a, buf_bytes(&b));
    buf_deinit(&b);
    return text;
}

// Numbers are compared exactly, whatever their type; nothing else is comparable across types.
static void test_compare(void **state)
{
    const struct value big = value_int(9007199254740993), max = value_int(INT64_MAX),
                       cents = {.type = VALUE_DECIMAL, .scale = 2, .i = 1050};
    const struct {
        struct value a, b;
        int cmp;
    } rows[] = {
        {value_int(1), value_int(2), -1},
        {value_int(1), value_float(1.0), 0},
        {value_int(-1), value_float(-1.5), 1},
        {value_float(0.5), value_int(0), 1},
        {big, value_float(9007199254740992.0), 1},
        {max, value_float(0x1p63), -1},
        {value_int(INT64_MIN), value_float(-0x1p63), 0},
        {value_int(INT64_MIN), value_float(-1e300), 1},
        {value_float(1e300), max, 1},
        {cents, value_int(10), 1},
        {cents, value_float(10.5), 0},
        {cents, value_float(10.50001), -1},
        {cents, (struct value){.type = VALUE_DECIMAL, .scale = 3, .i = 10500}, 0},
        {value_text(BYTES_LIT("a")), value_text(BYTES_LIT("b")), -1},
        {value_text(BYTES_LIT("a")), value_text(BYTES_LIT("")), 1},
    };
    struct err e;
    struct value text = value_text(BYTES_LIT("5")), number = value_int(5), yes = value_bool(true);
    int cmp;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(value_cmp(&rows[i].a, &rows[i].b, &cmp, NULL), 0);
        assert_int_equal((cmp > 0) - (cmp < 0), rows[i].cmp);
        assert_int_equal(value_cmp(&rows[i].b, &rows[i].a, &cmp, NULL), 0);
        assert_int_equal((cmp > 0) - (cmp < 0), -rows[i].cmp);
        assert_int_equal(value_eq(&rows[i].a, &rows[i].b, NULL), rows[i].cmp == 0);
    }
    assert_int_equal(value_cmp(&text, &number, &cmp, &e), LEAT_ETYPE);
    assert_string_equal(e.text, "cannot compare text with number");
    assert_int_equal(value_cmp(&yes, &yes, &cmp, &e), LEAT_ETYPE);
    assert_false(value_eq(&text, &number, NULL));
}

// Equality looks through the encoding: order of members, escapes, number forms and duplicates do
// not matter.
static void test_equal_documents(void **state)
{
    static const struct {
        const char *a, *b;
        bool equal;
    } rows[] = {
        {"{\"a\":1,\"b\":[1,2]}", "{ \"b\" : [1.0, 2], \"a\":1e0}", true},
        {"{\"a\":1,\"a\":2}", "{\"a\":2}", true},
        {"{\"a\":2,\"a\":1}", "{\"a\":2}", false},
        {"{\"a\":null}", "{}", true},
        {"\"\\u0061\"", "\"a\"", true},
        {"{\"\\u0061\":1}", "{\"a\":1}", true},
        {"[1,2]", "[2,1]", false},
        {"[1,null]", "[1]", false},
        {"[]", "{}", false},
        {"12345678901234567890", "12345678901234567890", true},
        {"12345678901234567890", "12345678901234567891", false},
    };
    struct arena a;

    (void)state;
    arena_init(&a);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct value x, y;
        assert_int_equal(value_decode(FORMAT_JSON, bytes_str(rows[i].a), &a, &x, NULL), 0);
        assert_int_equal(value_decode(FORMAT_JSON, bytes_str(rows[i].b), &a, &y, NULL), 0);
        assert_int_equal(value_eq(&x, &y, &a), rows[i].equal);
        assert_int_equal(value_eq(&y, &x, &a), rows[i].equal);
    }
    arena_deinit(&a);
}

static void expect_key(struct value v, const char *want, size_t n)
{
    struct buf b = BUF_EMPTY;

    assert_int_equal(value_key_bytes(&v, &b, NULL), 0);
    assert_int_equal(b.n, n);
    assert_memory_equal(b.p, want, n);
    buf_deinit(&b);
}

// A key's bytes are its text; a composite is a msgpack array; nil and objects are no keys.
static void test_keys(void **state)
{
    struct value parts[] = {value_text(BYTES_LIT("eu")), value_int(7)};
    struct value_array array = {2, parts};
    struct value_object none = {0, NULL, NULL};
    struct value composite = {.type = VALUE_ARRAY, .array = &array}, nil = VALUE_OF_NULL,
                 object = {.type = VALUE_OBJECT, .object = &none};
    struct buf b = BUF_EMPTY;
    struct err e;

    (void)state;
    expect_key(value_text(BYTES_LIT("T-1")), "T-1", 3);
    expect_key(value_int(-42), "-42", 3);
    expect_key(value_float(1), "1.0", 3);
    expect_key(value_bool(true), "true", 4);
    expect_key(composite,
               "\x92\xa2"
               "eu\x07",
               5);
    assert_int_equal(value_key_bytes(&nil, &b, &e), LEAT_EKEY);
    assert_int_equal(value_key_bytes(&object, &b, &e), LEAT_EKEY);
    parts[1] = VALUE_OF_MISSING;
    assert_int_equal(value_key_bytes(&composite, &b, &e), LEAT_EKEY);
    assert_string_equal(e.text, "part 2 of the key is nil");
    buf_deinit(&b);
    assert_int_equal(value_of_key(BYTES_LIT("\xff")).type, VALUE_BYTES);
    assert_int_equal(value_of_key(BYTES_LIT("x")).type, VALUE_TEXT);
    assert_int_equal(value_of_key(BYTES_NULL).type, VALUE_MISSING);
}

// What JSON cannot say is said by convention, and what nobody could read back is refused.
static void test_write_json(void **state)
{
    struct value values[] = {
        VALUE_OF_MISSING,
        VALUE_OF_NULL,
        {.type = VALUE_BYTES, .s = BYTES_LIT("\xff\x00\x01")},
        {.type = VALUE_TEXT, .s = BYTES_LIT("\xff\x00")},
        {.type = VALUE_DECIMAL, .scale = 2, .i = -1050},
        value_float(1),
        {.type = VALUE_DOC_OBJECT, .s = BYTES_LIT("{ \"x\" : 1 }")},
    };
    struct bytes names[] = {BYTES_LIT("a"), BYTES_LIT("b"), BYTES_LIT("c"), BYTES_LIT("d"),
                            BYTES_LIT("e"), BYTES_LIT("f"), BYTES_LIT("g")};
    struct value_object object = {ARRAY_LEN(values), names, values};
    struct value v = {.type = VALUE_OBJECT, .object = &object}, nan = value_float(0.0);
    struct buf b = BUF_EMPTY;
    struct err e;

    (void)state;
    assert_int_equal(value_write_json(&v, &b, NULL), 0);
    assert_string_equal(buf_cstr(&b), "{\"b\":null,\"c\":\"/wAB\",\"d\":\"/wA=\",\"e\":\"-10.50\","
                                      "\"f\":1.0,\"g\":{ \"x\" : 1 }}");
    nan.f /= 0.0;
    assert_int_equal(value_write_json(&nan, &b, &e), LEAT_ENUMBER);
    object.n = 1;
    buf_clear(&b);
    values[0] = (struct value){.type = VALUE_DOC_ARRAY, .s = BYTES_LIT("[ 1,{}]")};
    assert_int_equal(value_write_json_pretty(&v, &b, 2, NULL), 0);
    assert_string_equal(buf_cstr(&b), "{\n  \"a\": [\n    1,\n    {}\n  ]\n}");
    buf_deinit(&b);
}

// A value that is built deeper than any reader accepts is not written.
static void test_write_depth(void **state)
{
    struct arena a;
    struct value v = {.type = VALUE_DOC_ARRAY, .s = BYTES_LIT("[[]]")};
    struct buf b = BUF_EMPTY;
    struct err e;

    (void)state;
    arena_init(&a);
    for (int depth = 2; depth <= VALUE_DEPTH_MAX; depth++) {
        struct value_array *array = arena_alloc(&a, sizeof *array);
        buf_clear(&b);
        assert_int_equal(value_write_json(&v, &b, NULL), 0);
        assert_int_equal(value_write_msgpack(&v, &b, NULL), 0);
        array->n = 1;
        array->items = arena_alloc(&a, sizeof v);
        array->items[0] = v;
        v = (struct value){.type = VALUE_ARRAY, .array = array};
    }
    assert_int_equal(value_write_json(&v, &b, &e), LEAT_ETYPE);
    assert_int_equal(value_write_msgpack(&v, &b, &e), LEAT_ETYPE);
    buf_deinit(&b);
    arena_deinit(&a);
}

// MessagePack of others: every head is understood, and cut or wrong ones are refused.
static void test_msgpack_heads(void **state)
{
    static const struct {
        const char *raw;
        size_t n;
        int rc;           // of decoding
        const char *json; // NULL: not readable on use
    } rows[] = {
#define ROW(raw, rc, json) {raw, sizeof(raw) - 1, rc, json}
        ROW("\x7f", 0, "127"),
        ROW("\xe0", 0, "-32"),
        ROW("\xc0", 0, "null"),
        ROW("\xc2", 0, "false"),
        ROW("\xcc\xff", 0, "255"),
        ROW("\xcd\xff\xff", 0, "65535"),
        ROW("\xce\xff\xff\xff\xff", 0, "4294967295"),
        ROW("\xcf\x7f\xff\xff\xff\xff\xff\xff\xff", 0, "9223372036854775807"),
        ROW("\xcf\xff\xff\xff\xff\xff\xff\xff\xff", 0, NULL),
        ROW("\xd0\x80", 0, "-128"),
        ROW("\xd1\x80\x00", 0, "-32768"),
        ROW("\xd2\x80\x00\x00\x00", 0, "-2147483648"),
        ROW("\xd3\x80\x00\x00\x00\x00\x00\x00\x00", 0, "-9223372036854775808"),
        ROW("\xca\x3f\x80\x00\x00", 0, "1.0"),
        ROW("\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00", 0, "1.5"),
        ROW("\xcb\x7f\xf0\x00\x00\x00\x00\x00\x00", 0, NULL),
        ROW("\xa1x", 0, "\"x\""),
        ROW("\xd9\x01x", 0, "\"x\""),
        ROW("\xda\x00\x01x", 0, "\"x\""),
        ROW("\xdb\x00\x00\x00\x01x", 0, "\"x\""),
        ROW("\xc4\x01\xff", 0, "\"/w==\""),
        ROW("\xd4\x05x", 0, NULL),
        ROW("\xd8\x05"
            "0123456789abcdef",
            0, NULL),
        ROW("\xc7\x02\x05xy", 0, NULL),
        ROW("\x92\x01\x02", 0, "[1,2]"),
        ROW("\xdc\x00\x01\x01", 0, "[1]"),
        ROW("\xdd\x00\x00\x00\x01\x01", 0, "[1]"),
        ROW("\x81\xa1"
            "a\x90",
            0, "{\"a\":[]}"),
        ROW("\xde\x00\x01\xa1"
            "a\x01",
            0, "{\"a\":1}"),
        ROW("\xdf\x00\x00\x00\x01\xa1"
            "a\x01",
            0, "{\"a\":1}"),
        ROW("", LEAT_EDECODE, NULL),
        ROW("\xc1", LEAT_EDECODE, NULL),
        ROW("\x01\x02", LEAT_EDECODE, NULL),
        ROW("\xa1", LEAT_EDECODE, NULL),
        ROW("\xa1\xff", LEAT_EDECODE, NULL),
        ROW("\xdb\xff\xff\xff\xffx", LEAT_EDECODE, NULL),
        ROW("\xdd\xff\xff\xff\xff\x01", LEAT_EDECODE, NULL),
        ROW("\xdf\xff\xff\xff\xff\x01", LEAT_EDECODE, NULL),
        ROW("\xc9\xff\xff\xff\xff\x01", LEAT_EDECODE, NULL),
        ROW("\x81\x01\x01", LEAT_EDECODE, NULL),
        ROW("\xcd\xff", LEAT_EDECODE, NULL),
#undef ROW
    };
    struct arena a;
    struct value v;
    struct err e;

    (void)state;
    arena_init(&a);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        uint8_t *copy = exact_copy(bytes_of(rows[i].raw, rows[i].n));
        int rc = value_decode(FORMAT_MSGPACK, bytes_of(copy, rows[i].n), &a, &v, &e);

        assert_int_equal(rc, rows[i].rc);
        if (rc == 0 && rows[i].json == NULL)
            assert_int_not_equal(value_force(&v, &a, &e), 0);
        else if (rc == 0)
            assert_true(bytes_eq_str(json_of(&v, &a), rows[i].json));
        free(copy);
    }
    arena_deinit(&a);
}

// A copy lives on its own, whatever becomes of what it was taken from.
static void test_copy(void **state)
{
    struct random r;
    struct arena from, to;

    (void)state;
    random_seed(&r, test_seed);
    arena_init(&from);
    arena_init(&to);
    for (int i = 0; i < 300; i++) {
        struct value v = random_value(&r, &from, 3), copy;
        struct bytes before = json_of(&v, &to);

        copy = value_copy(&v, &to);
        arena_deinit(&from);
        assert_true(bytes_eq(json_of(&copy, &to), before));
        arena_reset(&to);
    }
    arena_deinit(&to);
}

int run_value_tests(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_compare),     cmocka_unit_test(test_equal_documents),
        cmocka_unit_test(test_keys),        cmocka_unit_test(test_write_json),
        cmocka_unit_test(test_write_depth), cmocka_unit_test(test_msgpack_heads),
        cmocka_unit_test(test_copy),
    };

    return cmocka_run_group_tests_name("value", tests, NULL, NULL);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        test_seed = strtoull(argv[1], NULL, 10);
    printf("seed %llu\n", (unsigned long long)test_seed);
    return run_json_tests() + run_value_tests() + run_view_tests();
}
