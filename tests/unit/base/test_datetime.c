// SPDX-License-Identifier: Apache-2.0
//
// Times and durations: tables, every day of the calendar, and random round trips (seed: first
// argument).
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "runtime/base/datetime.h"
#include "runtime/base/err.h"
#include "runtime/base/random.h"

static uint64_t seed = 1;

// The accepted forms of a time are these and no others.
static void test_parse(void **state)
{
    static const struct {
        const char *text;
        int64_t ms; // -1: refused
    } rows[] = {
        {"1970-01-01", 0},
        {"1970/01/01", 0},
        {"1970-01-01T00:00", 0},
        {"1970-01-01 00:01", 60000},
        {"1970-01-01T00:00:01", 1000},
        {"1970-01-01T00:00:01Z", 1000},
        {"1970-01-01T00:00Z", 0},
        {"1970-01-01T00:00:00.5Z", 500},
        {"1970-01-01T00:00:00.123456789Z", 123},
        {"1970-01-01T01:00:00+01:00", 0},
        {"1970-01-01T01:00:00+0100", 0},
        {"1970-01-01T00:00:00-01:30", 5400000},
        {"2026-01-01T00:00:00Z", 1767225600000},
        {"2024-02-29T12:00:00.000Z", 1709208000000},
        {"0001-01-01T00:00:00Z", DATETIME_MIN},
        {"9999-12-31T23:59:59.999Z", DATETIME_MAX},
        {"", -1},
        {"1970", -1},
        {"1970-1-1", -1},
        {"1970-01/01", -1},
        {"1970.01.01", -1},
        {"1970-13-01", -1},
        {"1970-00-01", -1},
        {"2023-02-29", -1},
        {"1900-02-29", -1},
        {"0000-01-01", -1},
        {"1970-01-01T", -1},
        {"1970-01-01T00", -1},
        {"1970-01-01T24:00", -1},
        {"1970-01-01T00:60", -1},
        {"1970-01-01T00:00:60Z", -1},
        {"1970-01-01T00:00:00.Z", -1},
        {"1970-01-01T00:00:00Zx", -1},
        {"1970-01-01T00:00:00+1", -1},
        {"1970-01-01Z", -1},
        {"1970-01-01  00:00", -1},
        {" 1970-01-01", -1},
        {"0001-01-01T00:00:00+00:01", -1},
        {"9999-12-31T23:59:59.999-00:01", -1},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int64_t ms = -2;
        int rc = datetime_parse(bytes_str(rows[i].text), &ms);
        assert_int_equal(rc, rows[i].ms == -1 ? LEAT_ETIME : 0);
        if (rc == 0)
            assert_true(ms == rows[i].ms);
    }
}

// What datetime_format writes, datetime_parse reads: on every day of ten thousand years, and at
// random times.
static void test_round_trip(void **state)
{
    struct random r;
    char text[DATETIME_TEXT_SIZE], before[DATETIME_TEXT_SIZE] = "";
    int64_t back;

    (void)state;
    for (int64_t t = DATETIME_MIN; t <= DATETIME_MAX; t += 86400000) {
        datetime_format(t, text);
        assert_true(strcmp(before, text) < 0);
        memcpy(before, text, sizeof text);
        assert_int_equal(datetime_parse(bytes_str(text), &back), 0);
        assert_true(back == t);
    }
    random_seed(&r, seed);
    for (int i = 0; i < 20000; i++) {
        int64_t t =
            DATETIME_MIN + (int64_t)random_below(&r, (uint64_t)(DATETIME_MAX - DATETIME_MIN) + 1);
        datetime_format(t, text);
        assert_int_equal(datetime_parse(bytes_str(text), &back), 0);
        assert_true(back == t);
    }
}

// Durations are sums of whole counts with units.
static void test_duration(void **state)
{
    static const struct {
        const char *text;
        int64_t ms; // -1: refused
        const char *shown;
    } rows[] = {
        {"0", 0, "0"},
        {"100ms", 100, "100ms"},
        {"1s", 1000, "1s"},
        {"5m", 300000, "5m"},
        {"1h30m", 5400000, "1h30m"},
        {"30m1h", 5400000, "1h30m"},
        {"7d", 604800000, "7d"},
        {"1w", 604800000, "7d"},
        {"90s", 90000, "1m30s"},
        {"1d1ms", 86400001, "1d1ms"},
        {"", -1, ""},
        {"5", -1, ""},
        {"00", -1, ""},
        {"m", -1, ""},
        {"-5m", -1, ""},
        {"1.5h", -1, ""},
        {"5 m", -1, ""},
        {"5y", -1, ""},
        {"5M", -1, ""},
        {"9223372036854775807d", -1, ""},
        {"99999999999999999999ms", -1, ""},
    };
    char text[32];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int64_t ms = -2;
        int rc = duration_parse(bytes_str(rows[i].text), &ms);
        assert_int_equal(rc, rows[i].ms == -1 ? LEAT_EINVAL : 0);
        if (rc != 0)
            continue;
        assert_true(ms == rows[i].ms);
        duration_format(ms, text);
        assert_string_equal(text, rows[i].shown);
    }
    duration_format(INT64_MIN, text);
    assert_string_equal(text, "-106751991167d7h12m55s808ms");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_duration),
    };

    if (argc > 1)
        seed = strtoull(argv[1], NULL, 10);
    printf("seed %llu\n", (unsigned long long)seed);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
