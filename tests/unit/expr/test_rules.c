// SPDX-License-Identifier: Apache-2.0
//
// The rules of the language taken one by one, each over all the operators or functions that it is
// about: Lua's precedence over every pair of operators, nil through everything, a wrong type into
// everything, and a table of results for each function that was not made by this code.
#include "tests/unit/expr/expr_tests.h"

#include <string.h>

#define EXPECT(rows) expect_rows(rows, ARRAY_LEN(rows), NULL)

// The manual's order (§3.4.8), without the operators on bits.
static const struct {
    const char *text;
    int level;
    bool right;
} binary[] = {
    {"or", 1, false}, {"and", 2, false}, {"<", 3, false},  {">", 3, false},  {"<=", 3, false},
    {">=", 3, false}, {"~=", 3, false},  {"==", 3, false}, {"..", 4, true},  {"+", 5, false},
    {"-", 5, false},  {"*", 6, false},   {"/", 6, false},  {"//", 6, false}, {"%", 6, false},
    {"^", 8, true},
};
enum { UNARY = 7, COMPARISON = 3 };

static void expect_read_as(const char *text, const char *want)
{
    struct expr *x;
    struct buf b = BUF_EMPTY;
    struct err e;

    if (expr_compile(&x, bytes_str(text), NULL, NULL, &e) != 0)
        fail_msg("%s", e.text);
    expr_normalised(x, &b);
    if (strcmp(buf_cstr(&b), want) != 0)
        fail_msg("%s is read as %s", text, buf_cstr(&b));
    expr_free(x);
    buf_deinit(&b);
}

// What has an order gives a boolean, which has none: (a < b) < c is refused before it is shown.
static bool orders_a_boolean(size_t first, size_t second)
{
    bool ordered = binary[second].level == COMPARISON && binary[second].text[1] != '=';

    return binary[first].level == COMPARISON &&
           (ordered || strchr("<>", binary[second].text[0]) != NULL);
}

// Of two operators in a row the one that binds more goes first; of equals the left one, but for ..
// and ^.
static void test_pairs_of_operators(void **state)
{
    char text[64], want[64];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(binary); i++)
        for (size_t k = 0; k < ARRAY_LEN(binary); k++) {
            bool left = binary[i].level > binary[k].level ||
                        (binary[i].level == binary[k].level && !binary[i].right);

            if (orders_a_boolean(i, k))
                continue;
            snprintf(text, sizeof text, "a %s b %s c", binary[i].text, binary[k].text);
            snprintf(want, sizeof want, left ? "(a %s b) %s c" : "a %s (b %s c)", binary[i].text,
                     binary[k].text);
            expect_read_as(text, want);
        }
}

// not, - and # bind more than any operator of two sides but ^, and may come behind one without
// brackets.
static void test_unary_operators(void **state)
{
    char text[64], want[64];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(binary); i++) {
        snprintf(text, sizeof text, "-a %s b", binary[i].text);
        snprintf(want, sizeof want, binary[i].level > UNARY ? "-(a %s b)" : "(-a) %s b",
                 binary[i].text);
        expect_read_as(text, want);
        snprintf(text, sizeof text, "a %s -b", binary[i].text);
        snprintf(want, sizeof want, "a %s (-b)", binary[i].text);
        expect_read_as(text, want);
    }
    expect_read_as("not a == b", "(not a) == b");
    expect_read_as("not a and b", "(not a) and b");
    expect_read_as("a or not b", "a or (not b)");
    expect_read_as("not a ^ b", "not (a ^ b)");
    expect_read_as("not -a", "not (-a)");
    expect_read_as("#a + b", "(#a) + b");
    expect_read_as("2 ^ - a ^ b", "2 ^ (-(a ^ b))");
}

// The grammar is Lua's without functions, tables, methods, calls of values and operators on bits.
static void test_what_is_not_in_the_grammar(void **state)
{
    static const char *const texts[] = {
        "function() return a end", "{ a }", "a:b()", "a()", "a.b(c)", "f(a)(b)", "lower{a}",
        "lower nil", "...", "a | b", "a & b", "a << 1", "a >> 1", "~a", "a ~ b", "[[a]]", "a; b",
        "return a", "a, b", "local a", "$key()", "$", "a!", "a ? b : c", "not", "()", "1 2",
    };
    struct expr *x;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        if (expr_compile(&x, bytes_str(texts[i]), NULL, NULL, NULL) != LEAT_EINVAL)
            fail_msg("%s is an expression", texts[i]);
}

// A ? is any constant, takes the place of one value, and in a text it is a letter.
static void test_bound_values(void **state)
{
    const struct value values[] = {value_text(BYTES_LIT("?' or 1")), VALUE_OF_NULL,
                                   value_bool(false), value_int(INT64_MIN), value_float(0.1)};
    static const struct row rows[] = {
        {"a == ? and b == ? and c == ? and d == ? and e == ?",
         "{\"a\":\"?' or 1\",\"b\":null,\"c\":false,\"d\":-9223372036854775808,\"e\":0.1}", "true"},
        {"coalesce(?, ?, ?, ?, ?)", NULL, "\"?' or 1\""},
        {"'?' .. '=' .. ? .. coalesce(?, '-') .. text(?) .. ? .. ?", NULL,
         "\"?=?' or 1-false-92233720368547758080.1\""},
    };

    (void)state;
    expect_rows(rows, ARRAY_LEN(rows), &(struct expr_binds){values, ARRAY_LEN(values)});
}

// A call of each function that gives a value, argument by argument; @ stands for what is absent.
static const struct {
    const char *name, *args[3];
    const char *bad; // a field of $.json whose type the first argument cannot have; NULL: takes any
} calls[] = {
    {"abs", {"1"}, "t"},
    {"ceil", {"1.5"}, "t"},
    {"contains", {"'abc'", "'b'"}, "n"},
    {"dec", {"'1.5'"}, "b"},
    {"dur", {"'5m'"}, "b"},
    {"ends", {"'abc'", "'c'"}, "n"},
    {"floor", {"1.5"}, "t"},
    {"greatest", {"1", "2", "3"}, "t"},
    {"hash", {"'a'"}, "o"},
    {"hour", {"0"}, "t"},
    {"int", {"1.5"}, "b"},
    {"iso", {"0"}, "t"},
    {"least", {"1", "2", "3"}, "t"},
    {"len", {"'a'"}, "n"},
    {"lower", {"'A'"}, "n"},
    {"matches", {"'a'", "'a'"}, "n"},
    {"num", {"'1'"}, "b"},
    {"oneof", {"1", "2", "3"}, NULL},
    {"round", {"1.25", "1"}, "t"},
    {"starts", {"'abc'", "'a'"}, "n"},
    {"text", {"1"}, NULL},
    {"time", {"'2026-01-01'"}, "b"},
    {"trunc", {"0", "'1h'"}, "t"},
    {"upper", {"'a'"}, "n"},
    {"utf8len", {"'a'"}, "n"},
    {"weekday", {"0"}, "t"},
};

static void call_text(size_t i, int at, const char *instead, char *out, size_t size)
{
    size_t n = (size_t)snprintf(out, size, "%s(", calls[i].name);

    for (int k = 0; k < 3 && calls[i].args[k] != NULL; k++)
        n += (size_t)snprintf(out + n, size - n, "%s%s", k ? ", " : "",
                              k == at ? instead : calls[i].args[k]);
    snprintf(out + n, size - n, ")");
}

// Each function gives nil when any of its arguments is nil, whether missing or null; oneof asks for
// its first one only.
static void test_nil_into_functions(void **state)
{
    char text[100];
    struct row row = {text, NULL, "nil"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(calls); i++)
        for (int k = 0; k < 3 && calls[i].args[k] != NULL; k++) {
            if (strcmp(calls[i].name, "oneof") == 0 && k > 0)
                continue;
            call_text(i, k, "absent", text, sizeof text);
            row.json = "{}";
            expect_rows(&row, 1, NULL);
            row.json = "{\"absent\":null}";
            expect_rows(&row, 1, NULL);
        }
}

// The class of what an expression over the record ends with, or "" for a value.
static const char *class_of(const char *text, const char *json)
{
    struct arena a;
    struct event ev = {0};
    struct expr_env env = {&ev, 0, &a};
    struct expr *x;
    struct value v;
    int rc;

    arena_init(&a);
    if (expr_compile(&x, bytes_str(text), NULL, NULL, NULL) != 0)
        fail_msg("%s does not compile", text);
    assert_int_equal(view_scan(&ev.view, NULL, FORMAT_JSON, bytes_str(json), &a, NULL), 0);
    rc = expr_eval(x, &env, &v, NULL);
    expr_free(x);
    arena_deinit(&a);
    return rc == 0 ? "" : err_name(rc);
}

#define OF_EACH_TYPE "{\"n\":5,\"t\":\"5\",\"b\":true,\"o\":{\"x\":1},\"l\":[1]}"

// A function that is given a value of a wrong type is an error of class type: nothing is coerced.
static void test_wrong_type_into_functions(void **state)
{
    char text[100];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
        call_text(i, 0, calls[i].bad ? calls[i].bad : "n", text, sizeof text);
        if (strcmp(class_of(text, OF_EACH_TYPE), calls[i].bad ? "type" : "") != 0)
            fail_msg("%s: %s", text, class_of(text, OF_EACH_TYPE));
    }
}

// Every operator but and, or, == and ~= gives nil when a side is nil, whatever the other one is;
// == and ~= answer, so that a == nil asks for it.
static void test_nil_into_operators(void **state)
{
    static const char *const others[] = {"n", "t", "b", "o", "l", "nothing"};
    char text[64];
    struct row row = {text, OF_EACH_TYPE, NULL};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(binary); i++)
        for (size_t k = 0; k < ARRAY_LEN(others) && binary[i].level > 2; k++) {
            bool both = strcmp(others[k], "nothing") == 0;

            row.want = "nil";
            if (strcmp(binary[i].text, "==") == 0)
                row.want = both ? "true" : "false";
            if (strcmp(binary[i].text, "~=") == 0)
                row.want = both ? "false" : "true";
            snprintf(text, sizeof text, "absent %s %s", binary[i].text, others[k]);
            expect_rows(&row, 1, NULL);
            snprintf(text, sizeof text, "%s %s absent", others[k], binary[i].text);
            expect_rows(&row, 1, NULL);
        }
}

// Of each type with each other: numbers have arithmetic, .. takes them and text, an order is among
// numbers or among texts; everything else is class type.
static void test_types_into_operators(void **state)
{
    static const char fields[] = "ntbol";
    char text[16];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(binary); i++)
        for (int a = 0; a < 5; a++)
            for (int b = 0; b < 5; b++) {
                int level = binary[i].level;
                bool equal = strcmp(binary[i].text, "==") == 0 || binary[i].text[0] == '~';
                bool fine = level <= 2 || equal || (a == 0 && b == 0) ||
                            (level == COMPARISON && a == 1 && b == 1) ||
                            (level == 4 && a <= 1 && b <= 1);

                snprintf(text, sizeof text, "%c %s %c", fields[a], binary[i].text, fields[b]);
                if (strcmp(class_of(text, OF_EACH_TYPE), fine ? "" : "type") != 0)
                    fail_msg("%s: %s", text, class_of(text, OF_EACH_TYPE));
            }
}

#define MAX "9223372036854775807"
#define MIN "-9223372036854775808"
#define EDGES "{\"max\":" MAX ",\"min\":" MIN ",\"half\":4611686018427387904,\"m1\":-1,\"z\":0}"

// + - * and unary minus of integers are exact up to both ends of int64, and behind them class type.
static void test_ends_of_integers(void **state)
{
    static const struct row rows[] = {
        {"max + z", EDGES, MAX},
        {"max + 1", EDGES, "!type: max + 1: integer overflow"},
        {"max - 1 + 1", EDGES, MAX},
        {"min + m1", EDGES, "!type: min + m1: integer overflow"},
        {"min + max", EDGES, "-1"},
        {"min - z", EDGES, MIN},
        {"min - 1", EDGES, "!type: min - 1: integer overflow"},
        {"min + 1 - 1", EDGES, MIN},
        {"max - m1", EDGES, "!type: max - m1: integer overflow"},
        {"m1 - max", EDGES, MIN},
        {"z - min", EDGES, "!type: z - min: integer overflow"},
        {"half * 2", EDGES, "!type: half * 2: integer overflow"},
        {"half * -2", EDGES, MIN},
        {"min * m1", EDGES, "!type: min * m1: integer overflow"},
        {"min * 1", EDGES, MIN},
        {"min * z", EDGES, "0"},
        {"max * m1", EDGES, "-" MAX},
        {"-max", EDGES, "-" MAX},
        {"-min", EDGES, "!type: -min: integer overflow"},
        {"- -max", EDGES, MAX},
        {"abs(max)", EDGES, MAX},
        {"abs(min + 1)", EDGES, MAX},
        {"abs(min)", EDGES, "!type: abs(min): integer overflow"},
        {"min // m1", EDGES, "!type: min // m1: integer overflow"},
        {"min % m1", EDGES, "0"},
        {"min // z", EDGES, "!type: min // z: integer division by zero"},
        {"min % z", EDGES, "!type: min % z: integer division by zero"},
        {"max / 1", EDGES, "9.223372036854776e+18"},
        {"max + 1.0", EDGES, "9.223372036854776e+18"},
        {"max * 1.0 == max", EDGES, "false"},
        {"min * 1.0 == min", EDGES, "true"},
    };

    (void)state;
    EXPECT(rows);
}

// Text has an order, that of its bytes: capitals first, a beginning before the whole, UTF-8 behind
// ASCII.
static void test_order_of_text(void **state)
{
    static const char *const sorted[] = {"", "10", "9", "B", "a", "aa", "ab", "\xc3\xa5",
                                         "\xe2\x82\xac", "\xf0\x9f\x98\x80"};
    static const char *const ops[] = {"<", "<=", ">", ">="};
    char json[64];

    (void)state;
    for (int i = 0; i < (int)ARRAY_LEN(sorted); i++)
        for (int k = 0; k < (int)ARRAY_LEN(sorted); k++) {
            const bool want[] = {i < k, i <= k, i > k, i >= k};

            snprintf(json, sizeof json, "{\"a\":\"%s\",\"b\":\"%s\"}", sorted[i], sorted[k]);
            for (size_t op = 0; op < ARRAY_LEN(ops); op++) {
                char text[16];
                struct row row = {text, json, want[op] ? "true" : "false"};

                snprintf(text, sizeof text, "a %s b", ops[op]);
                expect_rows(&row, 1, NULL);
            }
        }
}

// What // and % of floats give is what Lua's floor division and its rest are, signs and all.
static void test_rests(void **state)
{
    static const struct row rows[] = {
        {"a // b", "{\"a\":7.5,\"b\":2}", "3.0"},
        {"a // b", "{\"a\":-7.5,\"b\":2}", "-4.0"},
        {"a // b", "{\"a\":7.5,\"b\":-2}", "-4.0"},
        {"a // b", "{\"a\":-7.5,\"b\":-2}", "3.0"},
        {"a % b", "{\"a\":7.5,\"b\":2}", "1.5"},
        {"a % b", "{\"a\":-7.5,\"b\":2}", "0.5"},
        {"a % b", "{\"a\":7.5,\"b\":-2}", "-0.5"},
        {"a % b", "{\"a\":-7.5,\"b\":-2}", "-1.5"},
        {"a % b", "{\"a\":-6,\"b\":3.0}", "-0.0"},
        {"a % b", "{\"a\":-1e-200,\"b\":3e-200}", "2e-200"},
        {"a % b", "{\"a\":1e-200,\"b\":-3e-200}", "-2e-200"},
        {"a // b", "{\"a\":1.5,\"b\":0}", "!number: a // b: the result is not a finite number"},
        {"a // b", "{\"a\":1,\"b\":0.0}", "!number: a // b: the result is not a finite number"},
        {"a / b", "{\"a\":0,\"b\":0}", "!number: a / b: the result is not a finite number"},
        {"a ^ b", "{\"a\":2,\"b\":10}", "1024.0"},
        {"a ^ b", "{\"a\":0,\"b\":-1}", "!number: a ^ b: the result is not a finite number"},
    };

    (void)state;
    EXPECT(rows);
}

// A text of Lua's reference interpreter and of the Java client stands behind each result.
static void test_functions_on_text(void **state)
{
    static const struct row rows[] = {
        {"lower('AbC-1')", NULL, "\"abc-1\""},
        {"lower 'AB'", NULL, "\"ab\""},
        {"upper('AbC-1')", NULL, "\"ABC-1\""},
        {"lower('')", NULL, "\"\""},
        {"len('')", NULL, "0"},
        {"len(a)", "{\"a\":\"\xf0\x9f\x98\x80\"}", "4"},
        {"utf8len(a)", "{\"a\":\"\xf0\x9f\x98\x80\"}", "1"},
        {"len(a)", "{\"a\":[1,[2,3]]}", "2"},
        {"starts('abc', '')", NULL, "true"},
        {"starts('a', 'abc')", NULL, "false"},
        {"ends('abc', '')", NULL, "true"},
        {"ends('abc', 'abc')", NULL, "true"},
        {"contains('abc', 'ac')", NULL, "false"},
        {"contains('', '')", NULL, "true"},
        {"contains('a.c', '.')", NULL, "true"},
        {"contains('abc', '%a')", NULL, "false"},
        {"contains(a, 'x')", "{\"a\":[\"y\",\"x\"]}", "true"},
        {"contains(a, 'x')", "{\"a\":[]}", "false"},
        {"matches('abc', 'b')", NULL, "true"},
        {"matches('abc', '^b')", NULL, "false"},
        {"matches('2026-01-01', '^%d%d%d%d%-%d%d%-%d%d$')", NULL, "true"},
        {"matches('a.b', 'a%.b')", NULL, "true"},
        {"matches('axb', 'a%.b')", NULL, "false"},
        {"text(nil)", NULL, "nil"},
        {"text('a')", NULL, "\"a\""},
        {"text(0.1 + 0.2)", NULL, "\"0.30000000000000004\""},
        {"text(1e100)", NULL, "\"1e+100\""},
        {"text(-0.0)", NULL, "\"-0.0\""},
        {"text(dec'1.50')", NULL, "\"1.50\""},
        {"text(a)", "{\"a\":{\"x\":null}}", "\"{\\\"x\\\":null}\""},
        {"hash('21')", NULL, "1173551340"},
        {"hash(21)", NULL, "1173551340"},
        {"hash('a-little-bit-long-string')", NULL, "1161502112"},
        {"hash('a-little-bit-longer-string')", NULL, "661178819"},
        {"hash('lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8')", NULL, "2088585677"},
        {"hash('abc')", NULL, "479470107"},
    };

    (void)state;
    EXPECT(rows);
}

static void test_functions_on_numbers(void **state)
{
    static const struct row rows[] = {
        {"abs(-0.0)", NULL, "0.0"},
        {"abs(0)", NULL, "0"},
        {"abs(dec'-1.50')", NULL, "\"1.50\""},
        {"floor(5)", NULL, "5"},
        {"floor(-0.5)", NULL, "-1"},
        {"floor(2.0)", NULL, "2"},
        {"floor(dec'-1.01')", NULL, "-2"},
        {"ceil(5)", NULL, "5"},
        {"ceil(-1.5)", NULL, "-1"},
        {"ceil(1.0000001)", NULL, "2"},
        {"ceil(dec'1.01')", NULL, "2"},
        {"ceil(dec'-1.01')", NULL, "-1"},
        {"ceil(dec'2.00')", NULL, "2"},
        {"ceil(9.3e18)", NULL, "9.3e+18"},
        {"round(0.5)", NULL, "1"},
        {"round(-0.5)", NULL, "-1"},
        {"round(1.5)", NULL, "2"},
        {"round(0.49999999999999994)", NULL, "0"},
        {"round(-1.4)", NULL, "-1"},
        {"round(5, 2)", NULL, "5"},
        {"round(2.675, 2)", NULL, "2.67"},
        {"round(1234.5678, 0)", NULL, "1235.0"},
        {"round(dec'2.345', 2)", NULL, "\"2.35\""},
        {"round(dec'-2.345', 2)", NULL, "\"-2.35\""},
        {"round(dec'2.5')", NULL, "3"},
        {"least(2, 1.5)", NULL, "1.5"},
        {"least(1, 1.0)", NULL, "1"},
        {"least(5)", NULL, "5"},
        {"least('b', 'a')", NULL, "\"a\""},
        {"greatest(-1, -2)", NULL, "-1"},
        {"greatest(1, 2.5, 2)", NULL, "2.5"},
        {"greatest(dec'1.50', 1)", NULL, "\"1.50\""},
        {"greatest(a, 1)", "{\"a\":\"x\"}",
         "!type: greatest(a, 1): cannot compare number with text"},
        {"coalesce(a, b, 3)", "{\"a\":null}", "3"},
        {"coalesce(a, 3)", "{\"a\":false}", "false"},
        {"coalesce(a)", NULL, "nil"},
        {"oneof(a, 1, 2)", "{\"a\":2.0}", "true"},
        {"oneof('1', a)", "{\"a\":1}", "false"},
        {"oneof(a, b)", "{\"a\":[1],\"b\":[1]}", "true"},
        {"int(dec'-1.99')", NULL, "-1"},
        {"int(-0.9)", NULL, "0"},
        {"int('-7.9')", NULL, "-7"},
        {"int(9)", NULL, "9"},
        {"int(a)", "{\"a\":\"\"}", "!number: int(a): '' is not a number"},
        {"num('1e3')", NULL, "1000.0"},
        {"num('-0')", NULL, "0"},
        {"num(dec'1.50')", NULL, "1.5"},
        {"num(5)", NULL, "5"},
        {"num(a)", "{\"a\":\" 1\"}", "!number: num(a): ' 1' is not a number"},
        {"num(a)", "{\"a\":\"1x\"}", "!number: num(a): '1x' is not a number"},
        {"num(a)", "{\"a\":\"nan\"}", "!number: num(a): 'nan' is not a number"},
        {"num(a)", "{\"a\":\"inf\"}", "!number: num(a): 'inf' is not a number"},
        {"num(a)", "{\"a\":\"1e999\"}", "!number: num(a): '1e999' is not a number"},
        {"dec('010.50')", NULL, "\"10.50\""},
        {"dec(5)", NULL, "\"5\""},
        {"dec(0.1)", NULL, "\"0.1\""},
        {"dec(a)", "{\"a\":\"1,5\"}",
         "!number: dec(a): '1,5' is not a decimal of at most 18 digits"},
    };

    (void)state;
    EXPECT(rows);
}

#define BEFORE_TIME "{\"a\":-9223372036854775808}"

static void test_functions_on_time(void **state)
{
    static const struct row rows[] = {
        {"dur'1w2d3h4m5s6ms'", NULL, "788645006"},
        {"dur '0'", NULL, "0"},
        {"dur(5)", NULL, "5"},
        {"time'1970-01-01'", NULL, "0"},
        {"time'1969-12-31T23:59:59.999Z'", NULL, "-1"},
        {"time(5)", NULL, "5"},
        {"time(a)", "{\"a\":\"2024-02-29T12:00:00.5+05:30\"}", "1709188200500"},
        {"time(a)", BEFORE_TIME,
         "!time: time(a): -9223372036854775808 is not a time in the years 1 to 9999"},
        {"iso(1709188200500)", NULL, "\"2024-02-29T06:30:00.500Z\""},
        {"iso(-62135596800000)", NULL, "\"0001-01-01T00:00:00.000Z\""},
        {"iso(253402300799999)", NULL, "\"9999-12-31T23:59:59.999Z\""},
        {"iso(a)", BEFORE_TIME,
         "!time: iso(a): -9223372036854775808 is not a time in the years 1 to 9999"},
        {"trunc(1709188200500, '1d')", NULL, "1709164800000"},
        {"trunc(1709188200500, '1w')", NULL, "1709164800000"},
        {"trunc(1709188200500, '15m')", NULL, "1709188200000"},
        {"trunc(-1, '1d')", NULL, "-86400000"},
        {"trunc(-86400000, '1d')", NULL, "-86400000"},
        {"trunc(a, '1d')", BEFORE_TIME,
         "!time: trunc(a, '1d'): -9223372036854775808 is not a time in the years 1 to 9999"},
        {"hour(1709188200500)", NULL, "6"},
        {"hour(3599999)", NULL, "0"},
        {"hour(a)", BEFORE_TIME,
         "!time: hour(a): -9223372036854775808 is not a time in the years 1 to 9999"},
        {"weekday(1709188200500)", NULL, "4"},
        {"weekday(time'2026-11-29')", NULL, "7"},
        {"weekday(time'2026-11-30')", NULL, "1"},
        {"weekday(-62135596800000)", NULL, "1"},
        {"weekday(a)", BEFORE_TIME,
         "!time: weekday(a): -9223372036854775808 is not a time in the years 1 to 9999"},
    };

    (void)state;
    EXPECT(rows);
}

// and gives its first side when that is nil or false, or when it is neither; the other side is then
// not looked at.
static void test_logic(void **state)
{
    static const struct row rows[] = {
        {"a and 1", "{\"a\":\"\"}", "1"},
        {"a and nil", "{\"a\":1}", "nil"},
        {"a or nil", NULL, "nil"},
        {"a or false", NULL, "false"},
        {"false or a", NULL, "nil"},
        {"nil and 1 + a", "{\"a\":\"x\"}", "nil"},
        {"true and 1 + a", "{\"a\":\"x\"}", "!type: 1 + a: cannot apply '+' to number and text"},
        {"0 and 'zero is true'", NULL, "\"zero is true\""},
        {"not nil", NULL, "nil"},
        {"not not a", NULL, "nil"},
        {"not (a and b)", "{\"a\":true}", "nil"},
        {"not (a or b)", "{\"b\":false}", "true"},
        {"not ''", NULL, "false"},
        {"not (a == nil)", NULL, "false"},
        {"not a == nil", NULL, "true"},
        {"not a == true", NULL, "false"},
    };

    (void)state;
    EXPECT(rows);
}

int run_rule_tests(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pairs_of_operators),
        cmocka_unit_test(test_unary_operators),
        cmocka_unit_test(test_what_is_not_in_the_grammar),
        cmocka_unit_test(test_bound_values),
        cmocka_unit_test(test_nil_into_functions),
        cmocka_unit_test(test_wrong_type_into_functions),
        cmocka_unit_test(test_nil_into_operators),
        cmocka_unit_test(test_types_into_operators),
        cmocka_unit_test(test_ends_of_integers),
        cmocka_unit_test(test_order_of_text),
        cmocka_unit_test(test_logic),
        cmocka_unit_test(test_rests),
        cmocka_unit_test(test_functions_on_text),
        cmocka_unit_test(test_functions_on_numbers),
        cmocka_unit_test(test_functions_on_time),
    };

    return cmocka_run_group_tests_name("rules", tests, NULL, NULL);
}
