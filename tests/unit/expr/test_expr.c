// SPDX-License-Identifier: Apache-2.0
//
// Expressions by example: rows of (expression, record, result). A result is JSON, "nil", "!class:
// text" for an error when evaluated, "?text" for one when compiled. Every row runs three ways: with
// a field plan over JSON, over MessagePack of the same record, and without a plan; all must agree.
#include "tests/unit/expr/expr_tests.h"

static void when_compiled(const char *text, const struct expr_binds *binds, struct fieldplan *plan,
                          struct expr **x, char result[ERR_TEXT_MAX + 32])
{
    struct err e = {0};
    int rc = expr_compile(x, bytes_str(text), binds, plan, &e);

    result[0] = 0;
    if (rc == 0)
        return;
    assert_int_equal(rc, e.code);
    snprintf(result, ERR_TEXT_MAX + 32, "?%s", e.text);
}

static void when_evaluated(const struct expr *x, struct event *ev, struct arena *a, char *result,
                           size_t size)
{
    struct expr_env env = {ev, 1767225600000, a};
    struct buf b = BUF_EMPTY;
    struct value v;
    struct err e = {0};
    int rc = expr_eval(x, &env, &v, &e);

    if (rc != 0)
        snprintf(result, size, "!%s: %s", err_name(rc), e.text);
    else if (value_is_nil(&v))
        snprintf(result, size, "nil");
    else {
        assert_int_equal(value_write_json(&v, &b, NULL), 0);
        snprintf(result, size, "%s", buf_cstr(&b));
    }
    buf_deinit(&b);
}

enum way { PLANNED_JSON, PLANNED_MSGPACK, UNPLANNED, WAYS };

static struct bytes given_record(const char *json, enum way way, struct arena *a)
{
    struct buf b = BUF_EMPTY;
    struct value v;
    struct bytes raw = bytes_str(json);

    if (way != PLANNED_MSGPACK)
        return raw;
    assert_int_equal(value_decode(FORMAT_JSON, raw, a, &v, NULL), 0);
    if (value_write_msgpack(&v, &b, NULL) == 0)
        raw = arena_copy(a, buf_bytes(&b));
    else
        raw = BYTES_NULL; // an integer that MessagePack cannot hold either
    buf_deinit(&b);
    return raw;
}

static const struct header headers[] = {
    {BYTES_LIT("id"), BYTES_LIT("first")},
    {BYTES_LIT("content-type"), BYTES_LIT("json")},
    {BYTES_LIT("id"), BYTES_LIT("h-1")},
    {BYTES_LIT("none"), BYTES_NULL},
};

static void evaluate(const char *text, const char *json, const struct expr_binds *binds,
                     enum way way, char *result)
{
    struct fieldplan *plan = way == UNPLANNED ? NULL : fieldplan_new();
    struct expr *x = NULL;
    struct arena a;
    struct view old;
    struct event ev = {.topic = BYTES_LIT("telemetry"),
                       .partition = 3,
                       .offset = 42,
                       .time = 1000,
                       .key = value_text(BYTES_LIT("k1")),
                       .headers = headers,
                       .n_headers = ARRAY_LEN(headers),
                       .old = &old};

    arena_init(&a);
    when_compiled(text, binds, plan, &x, result);
    if (x != NULL) {
        struct bytes raw = given_record(json, way, &a);
        enum format f = way == PLANNED_MSGPACK ? FORMAT_MSGPACK : FORMAT_JSON;

        if (bytes_is_null(raw)) {
            raw = bytes_str(json);
            f = FORMAT_JSON;
        }
        assert_int_equal(view_scan(&old, NULL, FORMAT_JSON,
                                   BYTES_LIT("{\"status\":\"new\",\"n\":{\"m\":1}}"), &a, NULL),
                         0);
        assert_int_equal(view_scan(&ev.view, plan, f, raw, &a, NULL), 0);
        when_evaluated(x, &ev, &a, result, ERR_TEXT_MAX + 32);
    }
    expr_free(x);
    fieldplan_free(plan);
    arena_deinit(&a);
}

void expect_rows(const struct row *rows, size_t n, const struct expr_binds *binds)
{
    char result[ERR_TEXT_MAX + 32];

    for (size_t i = 0; i < n; i++) {
        for (int way = 0; way < WAYS; way++) {
            evaluate(rows[i].text, rows[i].json ? rows[i].json : "{}", binds, (enum way)way,
                     result);
            if (strcmp(result, rows[i].want) != 0)
                fail_msg("%s over %s (way %d)\n  gives  %s\n  wanted %s", rows[i].text,
                         rows[i].json ? rows[i].json : "{}", way, result, rows[i].want);
        }
    }
}

// Constants named by ? take their values in order, as many as there are.
static void test_binds(void **state)
{
    const struct value values[] = {value_int(90), value_text(BYTES_LIT("a'b")), VALUE_OF_NULL};
    static const struct row one[] = {
        {"temperature > ?", "{\"temperature\":91}", "true"},
        {"temperature > ? and ? == 1", NULL,
         "?expression \"temperature > ? and ? == 1\": too few values: ? number 2 has none (1 "
         "given)"},
        {"1", NULL, "?expression \"1\": too many values: 1 given for 0 ?"},
    };
    static const struct row three[] = {
        {"x == ? and y == ? and z == ?", "{\"x\":90,\"y\":\"a'b\"}", "true"},
    };

    (void)state;
    expect_rows(one, ARRAY_LEN(one), &(struct expr_binds){values, 1});
    expect_rows(three, ARRAY_LEN(three), &(struct expr_binds){values, 3});
}

static void expect_normalised(const char *text, const struct expr_binds *binds, const char *want)
{
    struct expr *x;
    struct buf b = BUF_EMPTY, again = BUF_EMPTY;
    struct err e;

    if (expr_compile(&x, bytes_str(text), binds, NULL, &e) != 0)
        fail_msg("%s", e.text);
    expr_normalised(x, &b);
    assert_string_equal(buf_cstr(&b), want);
    expr_free(x);
    if (expr_compile(&x, buf_bytes(&b), NULL, NULL, &e) != 0)
        fail_msg("%s", e.text);
    expr_normalised(x, &again);
    assert_true(bytes_eq(buf_bytes(&b), buf_bytes(&again)));
    expr_free(x);
    buf_deinit(&b);
    buf_deinit(&again);
}

// The canonical text tells apart what means different things, and only that; it is itself an
// expression.
static void test_normalised(void **state)
{
    const struct value limit = value_float(90.5);

    (void)state;
    expect_normalised("a>?", &(struct expr_binds){&limit, 1}, "a > 90.5");
    expect_normalised(" a+b * c ", NULL, "a + (b * c)");
    expect_normalised("(a+b)*c", NULL, "(a + b) * c");
    expect_normalised("a.b['c d'][1][\"e\"].end", NULL, "a.b['c d'][1].e.end");
    expect_normalised("x > dur'5m'", NULL, "x > 300000");
    expect_normalised("-x ^ 2", NULL, "-(x ^ 2)");
    expect_normalised("not a or #b == 0", NULL, "(not a) or ((#b) == 0)");
    expect_normalised("x - -1", NULL, "x - (-1)");
    expect_normalised("$header['content-type'] .. $old.x", NULL,
                      "$header['content-type'] .. $old.x");
    expect_normalised("a[i].b", NULL, "a[i].b");
    expect_normalised("oneof( s,'a\\n' , 'b\\'' )", NULL, "oneof(s, 'a\\x0a', 'b\\'')");
}

// Columns are named after a path's last name; anything else has no name of its own.
static void test_names(void **state)
{
    static const struct {
        const char *text, *name;
    } rows[] = {
        {"a", "a"},         {"a.b", "b"},       {"items[1]", "items"}, {"a['x y']", "x y"},
        {"a[1][2]", "a"},   {"(a)", "a"},       {"a + 1", NULL},       {"$key", NULL},
        {"items[i]", NULL}, {"lower(a)", NULL}, {"'a'", NULL},
    };
    struct expr *x;
    struct bytes name;
    struct value v;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(expr_compile(&x, bytes_str(rows[i].text), NULL, NULL, NULL), 0);
        assert_int_equal(expr_is_path(x, &name), rows[i].name != NULL);
        if (rows[i].name != NULL)
            assert_true(bytes_eq_str(name, rows[i].name));
        assert_int_equal(expr_is_constant(x, &v), i == ARRAY_LEN(rows) - 1);
        expr_free(x);
    }
}

// Explain and the schema check see every path once.
static void test_paths(void **state)
{
    struct expr *x;

    (void)state;
    assert_int_equal(expr_compile(&x, BYTES_LIT("a.b > 1 and (a.b < c or items[k].sku == $key)"),
                                  NULL, NULL, NULL),
                     0);
    assert_int_equal(expr_paths(x), 4);
    assert_true(bytes_eq_str(expr_path(x, 0), "a.b"));
    assert_true(bytes_eq_str(expr_path(x, 1), "c"));
    assert_true(bytes_eq_str(expr_path(x, 2), "items"));
    assert_true(bytes_eq_str(expr_path(x, 3), "k"));
    expr_free(x);
}

static const char *const pieces[] = {
    "a",  ".b",     "[1]",    "[",       "]",  "(",   ")",     "+",         "-",     "*",
    "/",  "//",     "%",      "^",       "..", "#",   " and ", " or ",      " not ", "nil",
    "==", "~=",     "<",      ">=",      "1",  "2.5", "'x'",   "\"",        "?",     "$key",
    "$",  "$old.x", "lower(", "dur'5m'", ",",  "0x1", "1e5",   "coalesce(", " "};

// Texts without end, and every prefix of a text, compile or are refused; nothing else happens.
static void test_any_text(void **state)
{
    char text[200];
    struct random r;
    struct expr *x;

    (void)state;
    random_seed(&r, test_seed);
    for (int round = 0; round < 20000; round++) {
        size_t n = 0;
        for (uint64_t k = random_below(&r, 12); k > 0; k--)
            n += (size_t)snprintf(text + n, sizeof text - n, "%s",
                                  pieces[random_below(&r, ARRAY_LEN(pieces))]);
        int rc = expr_compile(&x, bytes_of(text, n), NULL, NULL, NULL);
        assert_true(rc == 0 || rc == LEAT_EINVAL);
        expr_free(x);
    }
    memset(text, '(', sizeof text);
    assert_int_equal(expr_compile(&x, bytes_of(text, sizeof text), NULL, NULL, NULL), LEAT_EINVAL);
    memset(text, '-', sizeof text);
    assert_int_equal(expr_compile(&x, bytes_of(text, sizeof text), NULL, NULL, NULL), LEAT_EINVAL);
}

// So are the longest of all: each piece many times behind each other one.
static void test_long_text(void **state)
{
    struct buf b = BUF_EMPTY;
    struct expr *x;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(pieces) * ARRAY_LEN(pieces); i++) {
        buf_clear(&b);
        buf_append_str(&b, pieces[i / ARRAY_LEN(pieces)]);
        for (int k = 0; k < 1000; k++)
            buf_append_str(&b, pieces[i % ARRAY_LEN(pieces)]);
        int rc = expr_compile(&x, buf_bytes(&b), NULL, NULL, NULL);
        assert_true(rc == 0 || rc == LEAT_EINVAL);
        expr_free(x);
    }
    buf_deinit(&b);
}

// A long chain is refused before anyone recurses over it too deeply.
static void test_long_chain(void **state)
{
    struct buf b = BUF_EMPTY;
    struct expr *x;

    (void)state;
    buf_append_str(&b, "a");
    for (int i = 0; i < 300; i++)
        buf_append_str(&b, "+a");
    assert_int_equal(expr_compile(&x, buf_bytes(&b), NULL, NULL, NULL), 0);
    expr_free(x);
    for (int i = 0; i < 300; i++)
        buf_append_str(&b, "+a");
    assert_int_equal(expr_compile(&x, buf_bytes(&b), NULL, NULL, NULL), LEAT_EINVAL);
    buf_deinit(&b);
}

uint64_t test_seed = 1;

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_binds),    cmocka_unit_test(test_normalised),
        cmocka_unit_test(test_names),    cmocka_unit_test(test_paths),
        cmocka_unit_test(test_any_text), cmocka_unit_test(test_long_text),
        cmocka_unit_test(test_long_chain),
    };

    if (argc > 1)
        test_seed = strtoull(argv[1], NULL, 10);
    printf("seed %llu\n", (unsigned long long)test_seed);
    return cmocka_run_group_tests_name("expr", tests, NULL, NULL) + run_row_tests() +
           run_type_tests() + run_rule_tests();
}
