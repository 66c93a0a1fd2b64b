// SPDX-License-Identifier: Apache-2.0
//
// Numbers as text: tables for the corners, a random loop for the rest (seed: first argument).
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "runtime/base/err.h"
#include "runtime/base/number.h"
#include "runtime/base/random.h"

static uint64_t seed = 1;

// Integers are read exactly up to both ends of int64 and refused beyond.
static void test_parse_int(void **state)
{
    static const struct {
        const char *text;
        int rc;
        int64_t v;
    } rows[] = {
        {"0", 0, 0},
        {"-0", 0, 0},
        {"42", 0, 42},
        {"-42", 0, -42},
        {"9223372036854775807", 0, INT64_MAX},
        {"-9223372036854775808", 0, INT64_MIN},
        {"9223372036854775808", LEAT_ERANGE, 0},
        {"-9223372036854775809", LEAT_ERANGE, 0},
        {"99999999999999999999999", LEAT_ERANGE, 0},
        {"99999999999999999999999x", LEAT_EINVAL, 0},
        {"", LEAT_EINVAL, 0},
        {"-", LEAT_EINVAL, 0},
        {"+1", LEAT_EINVAL, 0},
        {"1.0", LEAT_EINVAL, 0},
        {" 1", LEAT_EINVAL, 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int64_t v = 0;
        assert_int_equal(number_parse_int(bytes_str(rows[i].text), &v), rows[i].rc);
        if (rows[i].rc == 0)
            assert_true(v == rows[i].v);
    }
}

// Reals follow JSON's grammar exactly; what overflows is refused, what underflows is zero.
static void test_parse_float(void **state)
{
    static const struct {
        const char *text;
        int rc;
        double v;
    } rows[] = {
        {"0", 0, 0.0},
        {"0.1", 0, 0.1},
        {"-95.5", 0, -95.5},
        {"1e300", 0, 1e300},
        {"1E+2", 0, 100.0},
        {"25e-1", 0, 2.5},
        {"9007199254740993", 0, 9007199254740992.0},
        {"123456789012345678901234567890", 0, 123456789012345678901234567890.0},
        {"1.7976931348623157e308", 0, 1.7976931348623157e308},
        {"2.2250738585072011e-308", 0, 2.2250738585072011e-308},
        {"1e-400", 0, 0.0},
        {"0e999999999999", 0, 0.0},
        {"1e309", LEAT_ERANGE, 0},
        {"-1e309", LEAT_ERANGE, 0},
        {"1e99999999999999999999", LEAT_ERANGE, 0},
        {"", LEAT_EINVAL, 0},
        {"-", LEAT_EINVAL, 0},
        {"01", LEAT_EINVAL, 0},
        {".5", LEAT_EINVAL, 0},
        {"5.", LEAT_EINVAL, 0},
        {"5.e1", LEAT_EINVAL, 0},
        {"1e", LEAT_EINVAL, 0},
        {"1e+", LEAT_EINVAL, 0},
        {"+1", LEAT_EINVAL, 0},
        {"0x10", LEAT_EINVAL, 0},
        {"inf", LEAT_EINVAL, 0},
        {"nan", LEAT_EINVAL, 0},
        {"1 ", LEAT_EINVAL, 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        double v = -1;
        assert_int_equal(number_parse_float(bytes_str(rows[i].text), &v), rows[i].rc);
        if (rows[i].rc == 0)
            assert_true(v == rows[i].v);
    }
}

// Floats are written as the shortest text that reads back, and always look like floats.
static void test_format_float(void **state)
{
    static const struct {
        double v;
        const char *text;
    } rows[] = {
        {0.0, "0.0"},
        {-0.0, "-0.0"},
        {1.0, "1.0"},
        {95.5, "95.5"},
        {-0.1, "-0.1"},
        {0.1 + 0.2, "0.30000000000000004"},
        {1.0 / 3, "0.3333333333333333"},
        {2.0 / 3, "0.6666666666666666"},
        {1e15, "1000000000000000.0"},
        {1e16, "1e+16"},
        {1e22, "1e+22"},
        {1e300, "1e+300"},
        {1.5e300, "1.5e+300"},
        {123456789012345680.0, "1.2345678901234568e+17"},
        {9007199254740992.0, "9007199254740992.0"},
        {0.0001, "0.0001"},
        {0.00001, "1e-05"},
        {1.25e-7, "1.25e-07"},
        {5e-324, "5e-324"},
        {1.7976931348623157e308, "1.7976931348623157e+308"},
        {2.2250738585072014e-308, "2.2250738585072014e-308"},
        {2251799813685248.5, "2251799813685248.5"},
        {123456.789, "123456.789"},
    };
    char out[NUMBER_TEXT_SIZE];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        size_t n = number_format_float(rows[i].v, out);
        assert_string_equal(out, rows[i].text);
        assert_int_equal(n, strlen(out));
    }
}

static double random_double(struct random *r)
{
    uint64_t u = random_next(r);
    double d;

    if (u % 3 == 0)
        return (double)(int64_t)random_below(r, 2000000) / 1000 - 1000;
    if (u % 3 == 1)
        return (double)(int64_t)random_next(r) / (double)(random_next(r) | 1);
    do {
        u = random_next(r);
        memcpy(&d, &u, sizeof d);
    } while ((u >> 52 & 0x7ff) == 0x7ff);
    return d;
}

// Any float survives writing and reading, and the reader agrees with strtod.
static void test_float_round_trip(void **state)
{
    struct random r;
    char out[NUMBER_TEXT_SIZE];

    (void)state;
    random_seed(&r, seed);
    for (int i = 0; i < 50000; i++) {
        double v = random_double(&r), back;
        size_t n = number_format_float(v, out);

        assert_int_equal(number_parse_float(bytes_of(out, n), &back), 0);
        assert_memory_equal(&back, &v, sizeof v);
        assert_true(strtod(out, NULL) == v);
        assert_non_null(strpbrk(out, ".e"));
        snprintf(out, sizeof out, "%.*e", (int)(i % 20), v);
        assert_int_equal(number_parse_float(bytes_str(out), &back),
                         isinf(strtod(out, NULL)) ? LEAT_ERANGE : 0);
        assert_true(isinf(strtod(out, NULL)) || back == strtod(out, NULL));
    }
}

static int digits_of(const char *text)
{
    int n = 0, zeros = 0;

    for (const char *p = text; *p != 0 && *p != 'e'; p++) {
        if (*p < '0' || *p > '9')
            continue;
        zeros = *p == '0' ? zeros + 1 : 0;
        n += n > 0 || *p != '0';
    }
    return n - (n > 0 ? zeros : 0);
}

// The text of a float has as few digits as any that reads back, and of those it is the nearest, as
// printf gives it.
static void test_float_is_shortest(void **state)
{
    struct random r;
    char out[NUMBER_TEXT_SIZE], less[40], same[40];

    (void)state;
    random_seed(&r, seed);
    for (int i = 0; i < 200000; i++) {
        double v = random_double(&r);
        int n;

        if (i % 2 == 0) // sums and averages
            v = (double)random_below(&r, 1000000) / (double)(1 + random_below(&r, 10000)) * 0.01;
        if (v == 0)
            continue;
        number_format_float(v, out);
        n = digits_of(out);
        snprintf(same, sizeof same, "%.*e", n - 1, v);
        if (strtod(same, NULL) != v || digits_of(same) != n)
            fail_msg("%s is not the nearest of its length: %s", out, same);
        snprintf(less, sizeof less, "%.*e", n - 2, v);
        if (n > 1 && strtod(less, NULL) == v)
            fail_msg("%s: %s is shorter", out, less);
    }
}

// Decimals keep their scale, with a leading zero.
static void test_format_decimal(void **state)
{
    char out[NUMBER_TEXT_SIZE];

    (void)state;
    number_format_decimal(1050, 2, out);
    assert_string_equal(out, "10.50");
    number_format_decimal(-5, 3, out);
    assert_string_equal(out, "-0.005");
    number_format_decimal(INT64_MIN, 18, out);
    assert_string_equal(out, "-9.223372036854775808");
    number_format_int(INT64_MIN, out);
    assert_string_equal(out, "-9223372036854775808");
}

// Sizes take decimal and binary units and nothing else.
static void test_parse_size(void **state)
{
    int64_t v;

    (void)state;
    assert_int_equal(number_parse_size(BYTES_LIT("100"), &v), 0);
    assert_int_equal(v, 100);
    assert_int_equal(number_parse_size(BYTES_LIT("64KiB"), &v), 0);
    assert_int_equal(v, 65536);
    assert_int_equal(number_parse_size(BYTES_LIT("1 GiB"), &v), 0);
    assert_int_equal(v, 1 << 30);
    assert_int_equal(number_parse_size(BYTES_LIT("500MB"), &v), 0);
    assert_int_equal(v, 500000000);
    assert_int_equal(number_parse_size(BYTES_LIT("9000000000GiB"), &v), LEAT_ERANGE);
    assert_int_equal(number_parse_size(BYTES_LIT("1 GB "), &v), LEAT_EINVAL);
    assert_int_equal(number_parse_size(BYTES_LIT("1G"), &v), LEAT_EINVAL);
    assert_int_equal(number_parse_size(BYTES_LIT("-1"), &v), LEAT_EINVAL);
    assert_int_equal(number_parse_size(BYTES_LIT("KiB"), &v), LEAT_EINVAL);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_int),      cmocka_unit_test(test_parse_float),
        cmocka_unit_test(test_format_float),   cmocka_unit_test(test_float_round_trip),
        cmocka_unit_test(test_float_is_shortest),
        cmocka_unit_test(test_format_decimal), cmocka_unit_test(test_parse_size),
    };

    if (argc > 1)
        seed = strtoull(argv[1], NULL, 10);
    printf("seed %llu\n", (unsigned long long)seed);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
