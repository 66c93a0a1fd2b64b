// SPDX-License-Identifier: Apache-2.0
//
// Local time is what libc says that it is, in every zone of the system, and days begin where local
// dates change; what is no zone is refused.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "runtime/base/datetime.h"
#include "runtime/base/random.h"
#include "runtime/base/zone.h"

#define HOUR INT64_C(3600000)

static const char *const names[] = {
    "UTC",           "Europe/Oslo",      "Europe/Dublin",     "America/New_York",
    "Asia/Kolkata",  "Asia/Kathmandu",   "Pacific/Auckland",  "Pacific/Apia",
    "Africa/Casablanca", "America/Sao_Paulo", "America/Nuuk", "America/St_Johns",
    "Australia/Lord_Howe", "Etc/GMT+3",  "Asia/Gaza",         "Antarctica/Troll"};

static const struct zone *zone(struct arena *a, const char *name)
{
    const struct zone *z;
    struct err e;

    if (zone_load(name, a, &z, &e) != 0)
        fail_msg("%s", e.text);
    return z;
}

static int64_t at(const char *text)
{
    int64_t ms;

    assert_int_equal(datetime_parse(bytes_str(text), &ms), 0);
    return ms;
}

static int64_t libc_offset(int64_t t)
{
    time_t s = (time_t)(t / 1000);
    struct tm tm;

    assert_non_null(localtime_r(&s, &tm));
    return tm.tm_gmtoff * INT64_C(1000);
}

// From 1900 to 2300: transitions of the file and rules behind them.
static void test_offsets_are_those_of_libc(void **state)
{
    struct arena a;
    struct random r;

    (void)state;
    arena_init(&a);
    random_seed(&r, 5);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        const struct zone *z = zone(&a, names[i]);
        setenv("TZ", names[i], 1);
        tzset();
        for (int k = 0; k < 20000; k++) {
            int64_t t = at("1900-01-01") + (int64_t)random_below(&r, 400 * 8766) * HOUR;
            if (zone_offset(z, t) != libc_offset(t))
                fail_msg("%s at %lld: %lld, libc %lld", names[i], (long long)t,
                         (long long)zone_offset(z, t), (long long)libc_offset(t));
        }
    }
    unsetenv("TZ");
    arena_deinit(&a);
}

// A day begins at the first moment of its date, and every moment belongs to the day that has begun
// last.
static void test_days_begin_where_dates_change(void **state)
{
    struct arena a;
    struct random r;

    (void)state;
    arena_init(&a);
    random_seed(&r, 6);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        const struct zone *z = zone(&a, names[i]);
        for (int k = 0; k < 5000; k++) {
            int64_t t = at("1900-01-01") + (int64_t)random_below(&r, 400 * 8766) * HOUR;
            int64_t day = zone_day(z, t), start = zone_day_start(z, day);
            bool first = start - 1 + zone_offset(z, start - 1) < day * 24 * HOUR;

            if (start > t || zone_day_start(z, day + 1) <= t || !first ||
                start + zone_offset(z, start) < day * 24 * HOUR)
                fail_msg("%s at %lld: day %lld from %lld", names[i], (long long)t, (long long)day,
                         (long long)start);
        }
    }
    arena_deinit(&a);
}

static void expect_day(const char *name, const char *t, const char *start, const char *end)
{
    struct arena a;
    const struct zone *z;
    int64_t day;

    arena_init(&a);
    z = zone(&a, name);
    day = zone_day(z, at(t));
    if (zone_day_start(z, day) != at(start) || zone_day_start(z, day + 1) != at(end))
        fail_msg("%s %s: a day of %lld to %lld", name, t, (long long)zone_day_start(z, day),
                 (long long)zone_day_start(z, day + 1));
    arena_deinit(&a);
}

// Days of 23 and 25 hours, a midnight that was passed over, a day that was.
static void test_odd_days(void **state)
{
    (void)state;
    expect_day("Europe/Oslo", "2026-01-15T12:00", "2026-01-14T23:00", "2026-01-15T23:00");
    expect_day("Europe/Oslo", "2026-03-29T12:00", "2026-03-28T23:00", "2026-03-29T22:00");
    expect_day("Europe/Oslo", "2026-10-25T12:00", "2026-10-24T22:00", "2026-10-25T23:00");
    expect_day("Europe/Oslo", "2126-07-01T22:00", "2126-07-01T22:00", "2126-07-02T22:00");
    expect_day("America/Sao_Paulo", "2018-11-04T12:00", "2018-11-04T03:00", "2018-11-05T02:00");
    expect_day("Pacific/Apia", "2011-12-30T09:59", "2011-12-29T10:00", "2011-12-30T10:00");
    expect_day("Pacific/Apia", "2011-12-30T10:00", "2011-12-30T10:00", "2011-12-31T10:00");
}

static void put32(uint8_t *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> (24 - 8 * i));
}

// A file of version 2 without transitions: one type, one hour ahead, and this footer.
enum { SMALL = 300 };

static size_t small_file(uint8_t *out, const char *footer)
{
    size_t n = 0;

    for (int block = 0; block < 2; block++) {
        memset(out + n, 0, 44);
        memcpy(out + n, "TZif2", 5);
        put32(out + n + 36, 1);
        put32(out + n + 40, 4);
        put32(out + n + 44, 3600);
        out[n + 48] = 0;
        out[n + 49] = 0;
        memcpy(out + n + 50, "CET", 4);
        n += 54;
    }
    return n + (size_t)snprintf((char *)out + n, SMALL - n, "\n%s\n", footer);
}

// Every footer that is not a POSIX rule, and a file that ends anywhere, is refused; nothing is read
// behind its end (sanitizers watch).
static void test_what_is_no_zone(void **state)
{
    static const char *const good[] = {"", "CET-1", "CET-1CEST,M3.5.0,M10.5.0/3",
                                       "<-02>2<-01>,M3.5.0/-1,M10.5.0/0",
                                       "XXX3EDT4,0/0,J365/23", "AAA+3:30:15BBB-1:20,J60,365"};
    static const char *const bad[] = {"C-1", "CET", "CET-1CEST", "CET-1CEST,M3.5.0",
                                      "CET-1CEST,M13.5.0,M10.5.0", "CET-1CEST,M3.6.0,M10.5.0",
                                      "CET-1CEST,M3.5.7,M10.5.0", "CET-1CEST,J0,J5",
                                      "CET-1CEST,366,5", "CET-1CEST,M3.5.0,M10.5.0/",
                                      "CET-1CEST,M3.5.0,M10.5.0x", "CET-999", "<CET-1"};
    const struct zone *z;
    struct arena a;
    struct err e;
    uint8_t file[SMALL], *exact;
    size_t n;

    (void)state;
    arena_init(&a);
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        n = small_file(file, good[i]);
        if (zone_parse(bytes_of(file, n), &a, &z, &e) != 0)
            fail_msg("%s", good[i]);
        for (size_t k = 0; k < n; k++) {
            exact = malloc(k + 1);
            memcpy(exact, file, k);
            assert_int_equal(zone_parse(bytes_of(exact, k), &a, &z, &e), LEAT_ECORRUPT);
            free(exact);
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        n = small_file(file, bad[i]);
        if (zone_parse(bytes_of(file, n), &a, &z, &e) != LEAT_ECORRUPT)
            fail_msg("%s", bad[i]);
    }
    arena_deinit(&a);
}

// Counts that lie, types that are not there, offsets beyond a day, leap seconds.
static void test_lying_headers(void **state)
{
    static const struct {
        int at;
        uint32_t v;
    } lies[] = {{54 + 20, UINT32_MAX}, {54 + 28, 1},          {54 + 32, UINT32_MAX / 9},
                {54 + 36, 0},          {54 + 40, UINT32_MAX}, {54 + 44, 100 * 3600},
                {32, UINT32_MAX},      {54, 0}};
    const struct zone *z;
    struct arena a;
    struct err e;
    uint8_t file[SMALL];

    (void)state;
    arena_init(&a);
    for (size_t i = 0; i < ARRAY_LEN(lies); i++) {
        size_t n = small_file(file, "CET-1");
        put32(file + lies[i].at, lies[i].v);
        if (zone_parse(bytes_of(file, n), &a, &z, &e) != LEAT_ECORRUPT)
            fail_msg("lie %zu", i);
    }
    arena_deinit(&a);
}

static void test_names(void **state)
{
    static const char *const bad[] = {"", "/etc/passwd", "../passwd", "Europe//Oslo", "Europe/",
                                      "Europe/Oslo\n", "Europe/Olso"};
    const struct zone *z;
    struct arena a;
    struct err e;

    (void)state;
    arena_init(&a);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(zone_load(bad[i], &a, &z, &e), LEAT_EINVAL);
    assert_true(zone_load("Europe", &a, &z, &e) < 0);
    arena_deinit(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_offsets_are_those_of_libc),
        cmocka_unit_test(test_days_begin_where_dates_change),
        cmocka_unit_test(test_odd_days),
        cmocka_unit_test(test_what_is_no_zone),
        cmocka_unit_test(test_lying_headers),
        cmocka_unit_test(test_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
