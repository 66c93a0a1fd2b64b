// SPDX-License-Identifier: Apache-2.0
//
// The tables of the expression tests; test_expr.c says how a row is read.
#include "tests/unit/expr/expr_tests.h"

#define EXPECT(rows) expect_rows(rows, ARRAY_LEN(rows), NULL)

// Literals are Lua's.
static void test_literals(void **state)
{
    static const struct row rows[] = {
        {"1", NULL, "1"},
        {"007", NULL, "7"},
        {"1.0", NULL, "1.0"},
        {"3.", NULL, "3.0"},
        {".5", NULL, "0.5"},
        {"00.25", NULL, "0.25"},
        {"1e2", NULL, "100.0"},
        {"1E+2", NULL, "100.0"},
        {"5.e-1", NULL, "0.5"},
        {"0x10", NULL, "16"},
        {"0XfF", NULL, "255"},
        {"0xffffffffffffffff", NULL, "-1"},
        {"0x1p4", NULL, "16.0"},
        {"0xA.8", NULL, "10.5"},
        {"9223372036854775807", NULL, "9223372036854775807"},
        {"9223372036854775808", NULL,
         "?expression \"9223372036854775808\": integer does not fit into 64 bits near column 1"},
        {"1e999", NULL, "?expression \"1e999\": malformed number near column 1"},
        {"1x", NULL, "?expression \"1x\": malformed number near column 1"},
        {"1..2", NULL, "?expression \"1..2\": malformed number near column 1"},
        {"1e", NULL, "?expression \"1e\": malformed number near column 1"},
        {"0x", NULL, "?expression \"0x\": malformed number near column 1"},
        {"'a'", NULL, "\"a\""},
        {"\"a'b\"", NULL, "\"a'b\""},
        {"'\\65\\066\\x43\\u{44}\\u{e5}'", NULL, "\"ABCD\xc3\xa5\""},
        {"'a\\n\\t\\\\\\''", NULL, "\"a\\n\\t\\\\'\""},
        {"'a\\z   b'", NULL, "\"ab\""},
        {"'a\\qb'", NULL, "?expression \"'a\\qb'\": invalid escape sequence near column 4"},
        {"'\\300'", NULL, "?expression \"'\\300'\": decimal escape too large near column 6"},
        {"'a", NULL, "?expression \"'a\": unfinished text near column 1"},
        {"true", NULL, "true"},
        {"false", NULL, "false"},
        {"nil", NULL, "nil"},
        {"dur'5m'", NULL, "300000"},
        {"dur'1h30m'", NULL, "5400000"},
        {"dur('1w')", NULL, "604800000"},
        {"dur'5'", NULL,
         "?expression \"dur'5'\": dur'5': '5' is not a duration (such as 5m, 1h30m, 7d), near "
         "column 1"},
        {"time'2026-01-01T00:00:00Z'", NULL, "1767225600000"},
        {"time '2026/01/01 01:00+01:00'", NULL, "1767225600000"},
        {"time'yesterday'", NULL,
         "?expression \"time'yesterday'\": time'yesterday': 'yesterday' is not a time, near "
         "column 1"},
        {"1 -- one", NULL, "1"},
    };

    (void)state;
    EXPECT(rows);
}

// Operators bind and associate as in Lua.
static void test_precedence(void **state)
{
    static const struct row rows[] = {
        {"1 + 2 * 3", NULL, "7"},
        {"(1 + 2) * 3", NULL, "9"},
        {"2 ^ 3 ^ 2", NULL, "512.0"},
        {"-2 ^ 2", NULL, "-4.0"},
        {"2 ^ -1", NULL, "0.5"},
        {"10 - 3 - 2", NULL, "5"},
        {"7 // 2 * 2", NULL, "6"},
        {"1 .. 2 == '12'", NULL, "true"},
        {"'a' .. 'b' .. 'c'", NULL, "\"abc\""},
        {"1 + 1 .. ''", NULL, "\"2\""},
        {"not nil == nil", NULL, "true"},
        {"not 1 == 2", NULL, "false"},
        {"1 < 2 == true", NULL, "true"},
        {"false or true and false", NULL, "false"},
        {"true or true and false", NULL, "true"},
        {"#'abc' + 1", NULL, "4"},
        {"- - 3", NULL, "3"},
        {"not not true", NULL, "true"},
        {"a.b + 1", "{\"a\":{\"b\":1}}", "2"},
        {"-a.b", "{\"a\":{\"b\":1}}", "-1"},
        {"#a.b", "{\"a\":{\"b\":\"xy\"}}", "2"},
    };

    (void)state;
    EXPECT(rows);
}

// A misspelt expression says what is wrong, and where.
static void test_syntax_errors(void **state)
{
    static const struct row rows[] = {
        {"temperature >", NULL,
         "?expression \"temperature >\": unexpected 'end of expression' near column 14"},
        {"", NULL, "?expression \"\": unexpected 'end of expression' near column 1"},
        {"a b", NULL, "?expression \"a b\": unexpected 'b' near column 3"},
        {"a + * b", NULL, "?expression \"a + * b\": unexpected '*' near column 5"},
        {"(a", NULL, "?expression \"(a\": unexpected 'end of expression' near column 3"},
        {"a)", NULL, "?expression \"a)\": unexpected ')' near column 2"},
        {"a[1", NULL, "?expression \"a[1\": unexpected 'end of expression' near column 4"},
        {"a.", NULL, "?expression \"a.\": unexpected 'end of expression' near column 3"},
        {"a.1", NULL, "?expression \"a.1\": unexpected '.1' near column 2"},
        {"a = 1", NULL,
         "?expression \"a = 1\": unexpected '=' near column 3 (equal is written ==)"},
        {"a != 1", NULL,
         "?expression \"a != 1\": unexpected '!' near column 3 (not equal is written ~=)"},
        {"!a", NULL, "?expression \"!a\": unexpected '!' near column 1 (write not)"},
        {"a & 1", NULL, "?expression \"a & 1\": unexpected '&' near column 3 (write and)"},
        {"a && b", NULL, "?expression \"a && b\": unexpected '&' near column 3 (write and)"},
        {"a || b", NULL, "?expression \"a || b\": unexpected '|' near column 3 (write or)"},
        {"{}", NULL, "?expression \"{}\": unexpected '{' near column 1"},
        {"?", NULL, "?expression \"?\": too few values: ? number 1 has none (0 given)"},
        {"lowr(a)", NULL,
         "?expression \"lowr(a)\": unknown function 'lowr' near column 1 (did you mean "
         "'lower'?)"},
        {"frobnicate(a)", NULL,
         "?expression \"frobnicate(a)\": unknown function 'frobnicate' near column 1"},
        {"lower()", NULL, "?expression \"lower()\": lower takes 1 argument, not 0, near column 1"},
        {"lower(a, b)", NULL,
         "?expression \"lower(a, b)\": lower takes 1 argument, not 2, near column 1"},
        {"oneof(a)", NULL,
         "?expression \"oneof(a)\": oneof takes at least 2 arguments, not 1, near column 1"},
        {"round(a, 1, 2)", NULL,
         "?expression \"round(a, 1, 2)\": round takes at most 2 arguments, not 3, near column 1"},
        {"trunc(a, '1 hour')", NULL,
         "?expression \"trunc(a, '1 hour')\": trunc(a, '1 hour'): '1 hour' is not a duration (such "
         "as 5m, 1h30m, 7d), near column 1"},
        {"trunc(a, 0)", NULL,
         "?expression \"trunc(a, 0)\": trunc(a, 0): a time cannot be cut to 0 ms, near column 1"},
        {"lower(a,)", NULL, "?expression \"lower(a,)\": unexpected ')' near column 9"},
        {"$foo", NULL,
         "?expression \"$foo\": unknown name '$foo' near column 1 (there are $key $time $now "
         "$topic "
         "$partition $offset $header.x $old.x)"},
        {"$header", NULL,
         "?expression \"$header\": $header wants a name: $header.x or $header['x']"},
    };

    (void)state;
    EXPECT(rows);
}

// What cannot be right for any record does not load.
static void test_load_errors(void **state)
{
    static const struct row rows[] = {
        {"'x' > 1", NULL,
         "?expression \"'x' > 1\": 'x' > 1: cannot compare text with number, near column 1"},
        {"'5' + a", NULL,
         "?expression \"'5' + a\": '5' + a: cannot apply '+' to text, near column 1"},
        {"a or lower(b) > 5", NULL,
         "?expression \"a or lower(b) > 5\": lower(b) > 5: cannot compare text with number, near "
         "column 6"},
        {"(a > 1) > 2", NULL,
         "?expression \"(a > 1) > 2\": (a > 1) > 2: cannot compare boolean with number, near "
         "column 1"},
        {"not a + 1", NULL,
         "?expression \"not a + 1\": not a + 1: cannot apply '+' to boolean, near column 1"},
        {"upper(5)", NULL,
         "?expression \"upper(5)\": upper(5): argument 1 must be text, not number, near column 1"},
        {"-'a'", NULL, "?expression \"-'a'\": -'a': cannot apply '-' to text, near column 1"},
        {"#5", NULL, "?expression \"#5\": #5: cannot apply '#' to number, near column 1"},
        {"$topic + 1", NULL,
         "?expression \"$topic + 1\": $topic + 1: cannot apply '+' to text, near column 1"},
        {"$time == '2026-01-01'", NULL,
         "?expression \"$time == '2026-01-01'\": $time == '2026-01-01': time is never equal to "
         "text (a time is written time'2026-01-01T00:00:00Z'), near column 1"},
        {"1 // 0", NULL,
         "?expression \"1 // 0\": 1 // 0: integer division by zero, near column 1"},
        {"1 / 0", NULL,
         "?expression \"1 / 0\": 1 / 0: the result is not a finite number, near column 1"},
        {"9223372036854775807 + 1", NULL,
         "?expression \"9223372036854775807 + 1\": 9223372036854775807 + 1: integer overflow, near "
         "column 1"},
    };

    (void)state;
    EXPECT(rows);
}

// Numbers: integers stay integers and trap, floats stay finite.
static void test_arithmetic(void **state)
{
    static const struct row rows[] = {
        {"a + 1", "{\"a\":1}", "2"},
        {"a + 1", "{\"a\":1.0}", "2.0"},
        {"a + 1.5", "{\"a\":1}", "2.5"},
        {"a * b", "{\"a\":3,\"b\":-4}", "-12"},
        {"a / 2", "{\"a\":4}", "2.0"},
        {"a / 0", "{\"a\":1}", "!number: a / 0: the result is not a finite number"},
        {"a / 0", "{\"a\":0}", "!number: a / 0: the result is not a finite number"},
        {"a // 2", "{\"a\":-7}", "-4"},
        {"a // -2", "{\"a\":7}", "-4"},
        {"a // 2.0", "{\"a\":7}", "3.0"},
        {"a % 3", "{\"a\":-7}", "2"},
        {"a % -3", "{\"a\":7}", "-2"},
        {"a % 3", "{\"a\":-7.5}", "1.5"},
        {"a % -1", "{\"a\":-9223372036854775808}", "0"},
        {"a % 5", "{\"a\":-9223372036854775808}", "2"},
        {"a % -5", "{\"a\":9223372036854775807}", "-3"},
        {"a % -9223372036854775807", "{\"a\":9223372036854775806}", "-1"},
        {"a // 0", "{\"a\":1}", "!type: a // 0: integer division by zero"},
        {"a % 0", "{\"a\":1}", "!type: a % 0: integer division by zero"},
        {"a % 0.0", "{\"a\":1}", "!number: a % 0.0: the result is not a finite number"},
        {"a // -1", "{\"a\":-9223372036854775808}", "!type: a // -1: integer overflow"},
        {"a + 1", "{\"a\":9223372036854775807}", "!type: a + 1: integer overflow"},
        {"a - 1", "{\"a\":-9223372036854775808}", "!type: a - 1: integer overflow"},
        {"a * a", "{\"a\":4294967296}", "!type: a * a: integer overflow"},
        {"-a", "{\"a\":-9223372036854775808}", "!type: -a: integer overflow"},
        {"abs(a)", "{\"a\":-9223372036854775808}", "!type: abs(a): integer overflow"},
        {"a ^ 2", "{\"a\":3}", "9.0"},
        {"a ^ 0.5", "{\"a\":-1}", "!number: a ^ 0.5: the result is not a finite number"},
        {"a * 1e300", "{\"a\":1e300}", "!number: a * 1e300: the result is not a finite number"},
        {"a + 1", "{\"a\":12345678901234567890}",
         "!number: a: integer 12345678901234567890 does not fit into 64 bits"},
        {"a + 1", "{\"a\":\"5\"}", "!type: a + 1: cannot apply '+' to text and number"},
        {"1 + a * b", "{\"a\":1,\"b\":true}",
         "!type: a * b: cannot apply '*' to number and boolean"},
        {"a + b", "{\"a\":{},\"b\":[]}", "!type: a + b: cannot apply '+' to object and array"},
        {"a .. b", "{\"a\":\"x\",\"b\":5}", "\"x5\""},
        {"a .. b", "{\"a\":1,\"b\":2.0}", "\"12.0\""},
        {"a .. b", "{\"a\":\"x\",\"b\":true}",
         "!type: a .. b: cannot apply '..' to text and boolean"},
        {"#a", "{\"a\":\"\xc3\xa5\"}", "2"},
        {"#a", "{\"a\":[1,2,3]}", "3"},
        {"#a", "{\"a\":5}", "!type: #a: number has no length"},
    };

    (void)state;
    EXPECT(rows);
}

// Comparison: numbers by worth, text by bytes, nothing across types; equality never fails.
static void test_comparison(void **state)
{
    static const struct row rows[] = {
        {"a > 90", "{\"a\":90.5}", "true"},
        {"a > 90", "{\"a\":90}", "false"},
        {"a >= 90", "{\"a\":90}", "true"},
        {"a < 90.5", "{\"a\":90}", "true"},
        {"a <= b", "{\"a\":1.5,\"b\":1.5}", "true"},
        {"a == 1", "{\"a\":1.0}", "true"},
        {"a == 9007199254740993", "{\"a\":9007199254740992.0}", "false"},
        {"a ~= 1", "{\"a\":2}", "true"},
        {"a < 'b'", "{\"a\":\"a\"}", "true"},
        {"a < 'B'", "{\"a\":\"a\"}", "false"},
        {"a == 'x'", "{\"a\":\"x\"}", "true"},
        {"a == '5'", "{\"a\":5}", "false"},
        {"a ~= '5'", "{\"a\":5}", "true"},
        {"a == true", "{\"a\":true}", "true"},
        {"a == b", "{\"a\":{\"x\":1,\"y\":2},\"b\":{\"y\":2,\"x\":1.0}}", "true"},
        {"a == b", "{\"a\":[1,2],\"b\":[2,1]}", "false"},
        {"temperature > 90", "{\"temperature\":\"hot\"}",
         "!type: temperature > 90: cannot compare text with number"},
        {"x and temperature > 90", "{\"x\":1,\"temperature\":\"hot\"}",
         "!type: temperature > 90: cannot compare text with number"},
        {"a < b", "{\"a\":true,\"b\":false}", "!type: a < b: cannot compare boolean with boolean"},
        {"a < b", "{\"a\":[],\"b\":{}}", "!type: a < b: cannot compare array with object"},
    };

    (void)state;
    EXPECT(rows);
}

// The table of null and missing, row by row.
static void test_nil(void **state)
{
    static const struct row rows[] = {
        {"a == nil", NULL, "true"},
        {"a == nil", "{\"a\":null}", "true"},
        {"a == nil", "{\"a\":0}", "false"},
        {"a ~= nil", NULL, "false"},
        {"a ~= nil", "{\"a\":false}", "true"},
        {"nil == a", NULL, "true"},
        {"a == 5", NULL, "false"},
        {"a ~= 5", NULL, "true"},
        {"a == b", NULL, "true"},
        {"a < 1", NULL, "nil"},
        {"a > 1", "{\"a\":null}", "nil"},
        {"1 <= a", NULL, "nil"},
        {"a >= 'x'", NULL, "nil"},
        {"a < b", NULL, "nil"},
        {"a + 1", NULL, "nil"},
        {"1 - a", NULL, "nil"},
        {"a * 2", NULL, "nil"},
        {"a / 0", NULL, "nil"},
        {"a // 0", NULL, "nil"},
        {"a % 0", NULL, "nil"},
        {"a ^ 2", NULL, "nil"},
        {"a + 'x'", NULL,
         "?expression \"a + 'x'\": a + 'x': cannot apply '+' to text, near column 1"},
        {"a .. 'x'", NULL, "nil"},
        {"'x' .. a", NULL, "nil"},
        {"-a", NULL, "nil"},
        {"#a", NULL, "nil"},
        {"not a", NULL, "nil"},
        {"not a", "{\"a\":false}", "true"},
        {"not a", "{\"a\":0}", "false"},
        {"not (a > 90)", NULL, "nil"},
        {"not (a > 90)", "{\"a\":80}", "true"},
        {"a.b", NULL, "nil"},
        {"a.b.c", "{\"a\":null}", "nil"},
        {"a[1]", NULL, "nil"},
        {"a[b]", "{\"b\":1}", "nil"},
        {"a[b]", "{\"a\":[1]}", "nil"},
        {"lower(a)", NULL, "nil"},
        {"round(a, 2)", NULL, "nil"},
        {"starts(a, 'x')", NULL, "nil"},
        {"starts('x', a)", NULL, "nil"},
        {"least(a, 1)", NULL, "nil"},
        {"oneof(a, 1)", NULL, "nil"},
        {"oneof(a, nil)", NULL, "nil"},
        {"iso(a)", NULL, "nil"},
        {"hash(a)", NULL, "nil"},
        {"coalesce(a, 1)", NULL, "1"},
        {"coalesce(a, b)", NULL, "nil"},
        {"coalesce(a, b, 'z')", "{\"b\":false}", "false"},
        {"a or 0", NULL, "0"},
        {"a or 0", "{\"a\":false}", "0"},
        {"a or 0", "{\"a\":5}", "5"},
        {"a and 1", NULL, "nil"},
        {"a and 1", "{\"a\":false}", "false"},
        {"a and 1", "{\"a\":0}", "1"},
        {"a and a.b > 1 or 'none'", NULL, "\"none\""},
        {"a == nil or temperature > a.max", "{\"temperature\":1}", "true"},
        {"a == nil or temperature > a.max", "{\"temperature\":9,\"a\":{\"max\":5}}", "true"},
        {"a == nil or temperature > a.max", "{\"temperature\":9,\"a\":{}}", "nil"},
        {"false and 1 + b", "{\"b\":\"x\"}", "false"},
        {"a or 1 + b", "{\"a\":1,\"b\":\"x\"}", "1"},
        {"coalesce(a, b + 1)", "{\"a\":1,\"b\":\"x\"}", "1"},
    };

    (void)state;
    EXPECT(rows);
}

// Paths lead through objects and arrays, from 1; a step into a scalar is an error.
static void test_paths(void **state)
{
    static const struct row rows[] = {
        {"a.b.c", "{\"a\":{\"b\":{\"c\":7}}}", "7"},
        {"a['b'].c", "{\"a\":{\"b\":{\"c\":7}}}", "7"},
        {"a['b c']", "{\"a\":{\"b c\":7}}", "7"},
        {"items[1].sku", "{\"items\":[{\"sku\":\"s\"}]}", "\"s\""},
        {"items[2].sku", "{\"items\":[{\"sku\":\"s\"}]}", "nil"},
        {"items[0]", "{\"items\":[1]}", "nil"},
        {"items[-1]", "{\"items\":[1]}", "nil"},
        {"items[i]", "{\"items\":[1,2],\"i\":2}", "2"},
        {"items[i + 1].sku", "{\"items\":[{},{\"sku\":5}],\"i\":1}", "5"},
        {"items[#items]", "{\"items\":[1,2,3]}", "3"},
        {"items[2.0]", "{\"items\":[1,2]}", "2"},
        {"a[k]", "{\"a\":{\"x\":1},\"k\":\"x\"}", "1"},
        {"a[k]", "{\"a\":{\"x\":1},\"k\":true}", "!type: a[k]: cannot index with boolean"},
        {"(a or b).c", "{\"b\":{\"c\":1}}", "1"},
        {"a.end", "{\"a\":{\"end\":1}}", "1"},
        {"a.and", "{\"a\":{\"and\":1}}", "1"},
        {"max > 95", "{\"max\":96}", "true"},
        {"count", "{\"count\":3}", "3"},
        {"a", "{\"a\":{\"b\":[1]}}", "{\"b\":[1]}"},
        {"a.b", "{\"a\":5}", "!type: a.b: number has no field b"},
        {"a.b", "{\"a\":\"x\"}", "!type: a.b: text has no field b"},
        {"a[1]", "{\"a\":5}", "!type: a[1]: number has no element 1"},
        {"a.b", "{\"a\":[1]}", "!type: a.b: array has no field b"},
        {"a[1]", "{\"a\":{\"b\":1}}", "!type: a[1]: object has no element 1"},
        {"a", "{\"a\":1,\"a\":2}", "2"},
    };

    (void)state;
    EXPECT(rows);
}

// $names are the record's own data.
static void test_meta(void **state)
{
    static const struct row rows[] = {
        {"$key", NULL, "\"k1\""},
        {"$time", NULL, "1000"},
        {"$now", NULL, "1767225600000"},
        {"$topic", NULL, "\"telemetry\""},
        {"$partition", NULL, "3"},
        {"$offset", NULL, "42"},
        {"$header.id", NULL, "\"h-1\""},
        {"$header['content-type']", NULL, "\"json\""},
        {"$header.none", NULL, "nil"},
        {"$header.missing", NULL, "nil"},
        {"$old.status", NULL, "\"new\""},
        {"$old.n.m + 1", NULL, "2"},
        {"$old.nothing", NULL, "nil"},
        {"status == 'shipped' and $old.status ~= 'shipped'", "{\"status\":\"shipped\"}", "true"},
        {"total - ($old.total or 0)", "{\"total\":5}", "5"},
        {"iso($time)", NULL, "\"1970-01-01T00:00:01.000Z\""},
        {"$key.x", NULL, "!type: $key.x: text has no field x"},
    };

    (void)state;
    EXPECT(rows);
}

// The functions, one after the other.
static void test_functions(void **state)
{
    static const struct row rows[] = {
        {"lower('A\xc3\x85Z')", NULL, "\"a\xc3\x85z\""},
        {"upper(a)", "{\"a\":\"a\\u00e5z\"}", "\"A\xc3\xa5Z\""},
        {"upper(a)", "{\"a\":5}", "!type: upper(a): argument 1 must be text, not number"},
        {"len('abc')", NULL, "3"},
        {"len(a)", "{\"a\":{\"x\":1,\"y\":2}}", "2"},
        {"len(a)", "{\"a\":true}", "!type: len(a): boolean has no length"},
        {"utf8len('\xc3\xa5x')", NULL, "2"},
        {"starts('abc', 'ab')", NULL, "true"},
        {"starts('abc', 'b')", NULL, "false"},
        {"ends('abc', 'bc')", NULL, "true"},
        {"ends('c', 'bc')", NULL, "false"},
        {"contains('abc', 'b')", NULL, "true"},
        {"contains('abc', '')", NULL, "true"},
        {"contains(a, 2)", "{\"a\":[1,2.0]}", "true"},
        {"contains(a, 'x')", "{\"a\":5}",
         "!type: contains(a, 'x'): cannot look for text in number"},
        {"matches('T-101', '^T%-%d+$')", NULL, "true"},
        {"matches('xT-101', '^T%-%d+$')", NULL, "false"},
        {"matches('key = value', '(%w+)%s*=%s*(%w+)')", NULL, "true"},
        {"matches('abab', '(ab)%1')", NULL, "true"},
        {"matches('f(a(b)c)', '%b()$')", NULL, "true"},
        {"matches('THE (quick) fox', '%f[%a]%a+%f[%A]')", NULL, "true"},
        {"matches('', '')", NULL, "true"},
        {"matches('a-z', '[a%-]+$')", NULL, "false"},
        {"matches('x', '[^%d]')", NULL, "true"},
        {"matches('aab', 'a-b')", NULL, "true"},
        {"matches('b', 'a?b')", NULL, "true"},
        {"matches('a', '[a')", NULL,
         "?expression \"matches('a', '[a')\": matches('a', '[a'): pattern '[a': a '[' is not "
         "closed, near column 1"},
        {"matches(a, '.-.-.-.-.-.-x')",
         "{\"a\":"
         "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}",
         "!type: matches(a, '.-.-.-.-.-.-x'): pattern '.-.-.-.-.-.-x': it takes too many steps"},
        {"abs(-5)", NULL, "5"},
        {"abs(-5.5)", NULL, "5.5"},
        {"floor(-1.5)", NULL, "-2"},
        {"ceil(1.2)", NULL, "2"},
        {"floor(1e300)", NULL, "1e+300"},
        {"round(2.5)", NULL, "3"},
        {"round(-2.5)", NULL, "-3"},
        {"round(7)", NULL, "7"},
        {"round(2.345, 2)", NULL, "2.35"},
        {"round(1.005, 2)", NULL, "1.0"},
        {"round(0.125, 2)", NULL, "0.13"},
        {"round(-0.125, 2)", NULL, "-0.13"},
        {"round(1e300, 2)", NULL, "1e+300"},
        {"round(amount * fx.eur, 2)", "{\"amount\":100,\"fx\":{\"eur\":0.9}}", "90.0"},
        {"round(1.5, 99)", NULL,
         "?expression \"round(1.5, 99)\": round(1.5, 99): digits must be 0 to 15, near column "
         "1"},
        {"coalesce(nil, 2)", NULL, "2"},
        {"oneof('b', 'a', 'b')", NULL, "true"},
        {"oneof(a, 1, 2)", "{\"a\":3}", "false"},
        {"oneof(a, 1, 'x')", "{\"a\":1.0}", "true"},
        {"num('12')", NULL, "12"},
        {"num('1.5')", NULL, "1.5"},
        {"num(a)", "{\"a\":\"x\"}", "!number: num(a): 'x' is not a number"},
        {"num(a)", "{\"a\":\"99999999999999999999\"}",
         "!number: num(a): '99999999999999999999' is not a number"},
        {"num(a)", "{\"a\":true}", "!type: num(a): cannot make a number of boolean"},
        {"int(3.9)", NULL, "3"},
        {"int(-3.9)", NULL, "-3"},
        {"int('42')", NULL, "42"},
        {"int(a)", "{\"a\":1e300}", "!number: int(a): does not fit into a 64-bit integer"},
        {"text(5)", NULL, "\"5\""},
        {"text(5.0)", NULL, "\"5.0\""},
        {"text(true)", NULL, "\"true\""},
        {"text(a)", "{\"a\":[1,2]}", "\"[1,2]\""},
        {"dur(a)", "{\"a\":\"90s\"}", "90000"},
        {"dur(a)", "{\"a\":\"x\"}", "!type: dur(a): 'x' is not a duration (such as 5m, 1h30m, 7d)"},
        {"time(a)", "{\"a\":\"2026-01-01\"}", "1767225600000"},
        {"time(a)", "{\"a\":\"soon\"}", "!time: time(a): 'soon' is not a time"},
        {"time(a)", "{\"a\":1e3}",
         "!type: time(a): argument 1 must be text or an integer, not a fractional number"},
        {"iso(0)", NULL, "\"1970-01-01T00:00:00.000Z\""},
        {"iso(a)", "{\"a\":999999999999999}",
         "!time: iso(a): 999999999999999 is not a time in the years 1 to 9999"},
        {"iso(a)", "{\"a\":1.5}",
         "!type: iso(a): argument 1 must be integer, not a fractional number"},
        {"trunc(5400000, '1h')", NULL, "3600000"},
        {"trunc(-1, '1h')", NULL, "-3600000"},
        {"trunc(5400000, dur'30m')", NULL, "5400000"},
        {"trunc(a, b)", "{\"a\":5,\"b\":\"0\"}",
         "!type: trunc(a, b): a time cannot be cut to 0 ms"},
        {"hour(time'2026-01-01T13:59:00Z')", NULL, "13"},
        {"hour(-1)", NULL, "23"},
        {"weekday(0)", NULL, "4"},
        {"weekday(time'2026-01-05')", NULL, "1"},
        {"weekday(-1)", NULL, "3"},
        {"least(3, 1, 2)", NULL, "1"},
        {"greatest(3, 1.5, 'x')", NULL,
         "?expression \"greatest(3, 1.5, 'x')\": greatest(3, 1.5, 'x'): cannot compare text "
         "with number, near column 1"},
        {"greatest('a', 'b')", NULL, "\"b\""},
        {"hash('foobar')", NULL, "1357151166"},
        {"hash(a)", "{\"a\":{}}", "!type: hash(a): cannot hash object"},
        {"(window_end - window_start - dur'30m') / dur'1m'",
         "{\"window_end\":7200000,\"window_start\":3600000}", "30.0"},
    };

    (void)state;
    EXPECT(rows);
}

int run_row_tests(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_literals),      cmocka_unit_test(test_precedence),
        cmocka_unit_test(test_syntax_errors), cmocka_unit_test(test_load_errors),
        cmocka_unit_test(test_arithmetic),    cmocka_unit_test(test_comparison),
        cmocka_unit_test(test_nil),           cmocka_unit_test(test_paths),
        cmocka_unit_test(test_meta),          cmocka_unit_test(test_functions),
    };

    return cmocka_run_group_tests_name("rows", tests, NULL, NULL);
}
