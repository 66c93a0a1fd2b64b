// SPDX-License-Identifier: Apache-2.0
//
// Decimals: what is exact, what is refused. Tables for the corners; a random loop over the laws of
// arithmetic, and against doubles where those are exact (seed: first argument).
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "runtime/base/decimal.h"
#include "runtime/base/err.h"
#include "runtime/base/number.h"
#include "runtime/base/random.h"

static uint64_t seed = 1;

static struct decimal dec(const char *text)
{
    struct decimal d;

    if (decimal_parse(bytes_str(text), &d) != 0)
        fail_msg("%s", text);
    return d;
}

static const char *shown(int rc, struct decimal d, char out[NUMBER_TEXT_SIZE])
{
    if (rc == LEAT_ERANGE)
        return "range";
    if (rc != 0)
        return "invalid";
    number_format_decimal(d.i, d.scale, out);
    return out;
}

// The scale is what was written; what does not fit into 64 bits or 18 places is refused.
static void test_parse(void **state)
{
    static const char *const rows[][2] = {
        {"0", "0"},
        {"10.50", "10.50"},
        {"-10.50", "-10.50"},
        {"007.1", "7.1"},
        {".5", "0.5"},
        {"5.", "5"},
        {"-0.00", "0.00"},
        {"1e3", "1000"},
        {"1.5e1", "15"},
        {"1.25E+1", "12.5"},
        {"125e-2", "1.25"},
        {"0e99999999999", "0"},
        {"1e-18", "0.000000000000000001"},
        {"1e-19", "range"},
        {"10e-19", "0.000000000000000001"},
        {"1e19", "range"},
        {"9223372036854775807", "9223372036854775807"},
        {"-9223372036854775808", "-9223372036854775808"},
        {"9223372036854775808", "range"},
        {"-92233720368547758.08", "-92233720368547758.08"},
        {"0.123456789012345678", "0.123456789012345678"},
        {"0.1234567890123456789", "range"},
        {"10.500000000000000000000000000000000", "10.50000000000000000"},
        {"123456789.000000000000000000000000001", "range"},
        {"99999999999999999999999999", "range"},
        {"", "invalid"},
        {"-", "invalid"},
        {".", "invalid"},
        {"+1", "invalid"},
        {"1,5", "invalid"},
        {"1.2.3", "invalid"},
        {"1e", "invalid"},
        {"1e+", "invalid"},
        {"e1", "invalid"},
        {" 1", "invalid"},
        {"0x10", "invalid"},
        {"hot", "invalid"},
    };
    char text[NUMBER_TEXT_SIZE];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct decimal d = {0};
        int rc = decimal_parse(bytes_str(rows[i][0]), &d);

        assert_string_equal(shown(rc, d, text), rows[i][1]);
    }
}

// A float is the decimal that it is written as.
static void test_of_float(void **state)
{
    static const struct {
        double f;
        const char *want;
    } rows[] = {
        {0.1, "0.1"},   {10.5, "10.5"},       {5.0, "5"},       {-0.0, "0"},
        {1e15, "1000000000000000"}, {1e300, "range"}, {1e-300, "range"}, {INFINITY, "range"},
    };
    char text[NUMBER_TEXT_SIZE];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct decimal d = {0};
        int rc = decimal_of_float(rows[i].f, &d);

        assert_string_equal(shown(rc, d, text), rows[i].want);
    }
}

typedef int (*binary)(struct decimal a, struct decimal b, struct decimal *out);

static int rescaled(struct decimal a, struct decimal b, struct decimal *out)
{
    return decimal_rescale(a, (int)b.i, out);
}

static int rounded(struct decimal a, struct decimal b, struct decimal *out)
{
    return decimal_round(a, (int)b.i, out);
}

// + and - are exact, * adds scales and rounds half to even beyond 18, // and % are Lua's.
static void test_arithmetic(void **state)
{
    static const struct {
        binary op;
        const char *a, *b, *want;
    } rows[] = {
        {decimal_add, "0.1", "0.2", "0.3"},
        {decimal_add, "10.50", "1", "11.50"},
        {decimal_add, "1", "0.000000000000000001", "1.000000000000000001"},
        {decimal_add, "10", "0.000000000000000001", "range"},
        {decimal_add, "9223372036854775807", "1", "range"},
        {decimal_sub, "1.00", "0.001", "0.999"},
        {decimal_sub, "-9223372036854775808", "1", "range"},
        {decimal_mul, "1.5", "1.5", "2.25"},
        {decimal_mul, "-0.10", "3", "-0.30"},
        {decimal_mul, "0.000000001", "0.0000000005", "0.000000000000000000"},
        {decimal_mul, "0.000000001", "0.0000000015", "0.000000000000000002"},
        {decimal_mul, "0.000000001", "0.0000000025", "0.000000000000000002"},
        {decimal_mul, "0.000000001", "-0.0000000035", "-0.000000000000000004"},
        {decimal_mul, "0.000000001", "0.00000000251", "0.000000000000000003"},
        {decimal_mul, "3037000500", "3037000500", "range"},
        {decimal_mul, "3037000499", "3037000499", "9223372030926249001"},
        {decimal_idiv, "7.5", "2", "3"},
        {decimal_idiv, "-7.5", "2", "-4"},
        {decimal_idiv, "1", "0.3", "3"},
        {decimal_idiv, "-9223372036854775808", "-1", "range"},
        {decimal_mod, "7.5", "2", "1.5"},
        {decimal_mod, "-7.5", "2", "0.5"},
        {decimal_mod, "7.5", "-2", "-0.5"},
        {decimal_mod, "1", "0.3", "0.1"},
        {rescaled, "10.5", "2", "10.50"},
        {rescaled, "10.500", "1", "10.5"},
        {rescaled, "10.501", "2", "invalid"},
        {rescaled, "9223372036854775807", "1", "range"},
        {rounded, "2.345", "2", "2.35"},
        {rounded, "-2.345", "2", "-2.35"},
        {rounded, "2.344", "2", "2.34"},
        {rounded, "2.3", "2", "2.3"},
        {rounded, "0.5", "0", "1"},
        {rounded, "-922337203685477580.8", "0", "-922337203685477581"},
    };
    char text[NUMBER_TEXT_SIZE];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct decimal d = {0};
        int rc = rows[i].op(dec(rows[i].a), dec(rows[i].b), &d);

        if (strcmp(shown(rc, d, text), rows[i].want) != 0)
            fail_msg("row %zu: %s", i, shown(rc, d, text));
    }
}

// Order is by value, whatever the scale; -x is x's opposite.
static void test_order(void **state)
{
    struct decimal d;

    (void)state;
    assert_int_equal(decimal_cmp(dec("1.5"), dec("1.50")), 0);
    assert_int_equal(decimal_cmp(dec("-1.5"), dec("1")), -1);
    assert_int_equal(decimal_cmp(dec("9223372036854775807"), dec("0.999999999999999999")), 1);
    assert_true(decimal_fits(dec("12345678.90"), 10, 2));
    assert_true(decimal_fits(dec("12345678.9"), 10, 2));
    assert_false(decimal_fits(dec("123456789"), 10, 2));
    assert_false(decimal_fits(dec("0.001"), 10, 2));
    assert_int_equal(decimal_floor(dec("-1.1")), -2);
    assert_int_equal(decimal_floor(dec("1.9")), 1);
    assert_int_equal(decimal_neg(dec("-9223372036854775808"), &d), LEAT_ERANGE);
    assert_int_equal(decimal_neg(dec("1.50"), &d), 0);
    assert_int_equal(d.i, -150);
}

static struct decimal any_decimal(struct random *r)
{
    int64_t i = (int64_t)(random_next(r) >> random_below(r, 63));

    return (struct decimal){random_below(r, 2) ? -i : i, (int)random_below(r, 19)};
}

// Whenever a result is given, it is right: the inverse gives back what was there, q * b + r is a.
static void test_laws(void **state)
{
    struct random r;

    (void)state;
    random_seed(&r, seed);
    for (int round = 0; round < 200000; round++) {
        struct decimal a = any_decimal(&r), b = any_decimal(&r), sum, back, q, rest;
        char text[NUMBER_TEXT_SIZE];

        number_format_decimal(a.i, a.scale, text);
        assert_int_equal(decimal_cmp(dec(text), a), 0);
        assert_int_equal(dec(text).scale, a.scale);
        assert_true(fabs(decimal_to_float(a) - strtod(text, NULL)) == 0);
        if (decimal_add(a, b, &sum) == 0 && decimal_sub(sum, b, &back) == 0)
            assert_int_equal(decimal_cmp(back, a), 0);
        if (b.i == 0 || decimal_idiv(a, b, &q) != 0 || decimal_mod(a, b, &rest) != 0)
            continue;
        assert_true(rest.i == 0 || (rest.i < 0) == (b.i < 0));
        if (decimal_mul(q, b, &back) == 0 && decimal_add(back, rest, &back) == 0)
            assert_int_equal(decimal_cmp(back, a), 0);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse), cmocka_unit_test(test_of_float),
        cmocka_unit_test(test_arithmetic), cmocka_unit_test(test_order),
        cmocka_unit_test(test_laws),
    };

    if (argc > 1)
        seed = strtoull(argv[1], NULL, 10);
    printf("seed %llu\n", (unsigned long long)seed);
    return cmocka_run_group_tests_name("decimal", tests, NULL, NULL);
}
