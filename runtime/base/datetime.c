// SPDX-License-Identifier: Apache-2.0
//
// Times and durations. The calendar is the proleptic Gregorian one, by the usual trick of starting
// years in March, so that the leap day is the last day and months follow one line (Hinnant,
// "chrono-compatible date algorithms").
#include "runtime/base/datetime.h"

#include "runtime/base/err.h"
#include "runtime/base/number.h"

enum { SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE, DAY = 24 * HOUR };

// What is left to read.
struct cursor {
    const uint8_t *p, *end;
};

static bool cursor_take(struct cursor *c, uint8_t want)
{
    if (c->p == c->end || *c->p != want)
        return false;
    c->p++;
    return true;
}

// Exactly n digits, in [low, high].
static bool cursor_number(struct cursor *c, int n, int low, int high, int *v)
{
    *v = 0;
    if (c->end - c->p < n)
        return false;
    for (; n > 0; n--, c->p++) {
        if (*c->p < '0' || *c->p > '9')
            return false;
        *v = *v * 10 + (*c->p - '0');
    }
    return *v >= low && *v <= high;
}

static int days_in_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return days[month - 1] + (month == 2 && leap);
}

int64_t datetime_days(int year, int month, int day)
{
    int y = month <= 2 ? year - 1 : year;
    int era = y / 400, yoe = y - era * 400; // y >= 0 here: years start at 1
    int doy = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    int doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;

    return (int64_t)era * 146097 + doe - 719468;
}

static bool read_date(struct cursor *c, int64_t *days)
{
    int year, month, day;
    uint8_t separator;

    if (!cursor_number(c, 4, 1, 9999, &year) || c->p == c->end)
        return false;
    separator = *c->p;
    if (separator != '-' && separator != '/')
        return false;
    if (!cursor_take(c, separator) || !cursor_number(c, 2, 1, 12, &month) ||
        !cursor_take(c, separator) || !cursor_number(c, 2, 1, days_in_month(year, month), &day))
        return false;
    *days = datetime_days(year, month, day);
    return true;
}

// ".25" is 250 ms; digits past the third are cut.
static bool read_fraction(struct cursor *c, int64_t *ms)
{
    int64_t weight = 100;
    const uint8_t *first = c->p;

    for (; c->p < c->end && *c->p >= '0' && *c->p <= '9'; c->p++, weight /= 10)
        *ms += (*c->p - '0') * weight;
    return c->p > first;
}

static bool read_clock(struct cursor *c, int64_t *ms)
{
    int hour, minute, second = 0;

    if (!cursor_number(c, 2, 0, 23, &hour) || !cursor_take(c, ':') ||
        !cursor_number(c, 2, 0, 59, &minute))
        return false;
    *ms = (int64_t)hour * HOUR + (int64_t)minute * MINUTE;
    if (!cursor_take(c, ':'))
        return true;
    if (!cursor_number(c, 2, 0, 59, &second))
        return false;
    *ms += (int64_t)second * SECOND;
    return !cursor_take(c, '.') || read_fraction(c, ms);
}

static bool read_zone(struct cursor *c, int64_t *ms)
{
    int hour, minute;
    bool east;

    *ms = 0;
    if (c->p == c->end || cursor_take(c, 'Z'))
        return true;
    east = cursor_take(c, '+');
    if (!east && !cursor_take(c, '-'))
        return false;
    if (!cursor_number(c, 2, 0, 23, &hour))
        return false;
    (void)cursor_take(c, ':');
    if (!cursor_number(c, 2, 0, 59, &minute))
        return false;
    *ms = (int64_t)hour * HOUR + (int64_t)minute * MINUTE;
    if (!east)
        *ms = -*ms;
    return true;
}

int datetime_parse(struct bytes s, int64_t *ms)
{
    struct cursor c = {s.p, s.p + s.n};
    int64_t days, clock = 0, zone = 0, t;

    if (s.n == 0 || !read_date(&c, &days))
        return LEAT_ETIME;
    if (c.p != c.end) {
        if (!cursor_take(&c, 'T') && !cursor_take(&c, ' '))
            return LEAT_ETIME;
        if (!read_clock(&c, &clock) || !read_zone(&c, &zone) || c.p != c.end)
            return LEAT_ETIME;
    }
    t = days * DAY + clock - zone;
    if (t < DATETIME_MIN || t > DATETIME_MAX)
        return LEAT_ETIME;
    *ms = t;
    return 0;
}

static void put_number(char *out, int width, int64_t v)
{
    for (int i = width - 1; i >= 0; i--, v /= 10)
        out[i] = (char)('0' + v % 10);
}

void datetime_format(int64_t ms, char out[DATETIME_TEXT_SIZE])
{
    ASSERT(ms >= DATETIME_MIN && ms <= DATETIME_MAX);
    int64_t since = ms - DATETIME_MIN, day = since / DAY, clock = since % DAY;
    int64_t z = day + 306; // day 0 is 0001-01-01; z counts from 0000-03-01
    int64_t era = z / 146097, doe = z % 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153, month = mp < 10 ? mp + 3 : mp - 9;

    memcpy(out, "0000-00-00T00:00:00.000Z", DATETIME_TEXT_SIZE);
    put_number(out, 4, era * 400 + yoe + (month <= 2));
    put_number(out + 5, 2, month);
    put_number(out + 8, 2, doy - (153 * mp + 2) / 5 + 1);
    put_number(out + 11, 2, clock / HOUR);
    put_number(out + 14, 2, clock / MINUTE % 60);
    put_number(out + 17, 2, clock / SECOND % 60);
    put_number(out + 20, 3, clock % SECOND);
}

struct unit {
    char name[3];
    int64_t ms;
};

// Largest first, as duration_format takes them; weeks are read but written as days.
static const struct unit units[] = {{"d", DAY},    {"h", HOUR}, {"m", MINUTE},
                                    {"s", SECOND}, {"ms", 1},   {"w", 7 * (int64_t)DAY}};
enum { UNITS_WRITTEN = 5 };

static const struct unit *unit_find(struct bytes name)
{
    for (size_t i = 0; i < ARRAY_LEN(units); i++)
        if (bytes_eq_str(name, units[i].name))
            return &units[i];
    return NULL;
}

static size_t span(const uint8_t *p, const uint8_t *end, uint8_t low, uint8_t high)
{
    const uint8_t *first = p;

    while (p < end && *p >= low && *p <= high)
        p++;
    return (size_t)(p - first);
}

int duration_parse(struct bytes s, int64_t *ms)
{
    const uint8_t *p = s.p, *end = s.p + s.n;
    int64_t total = 0, count, part;

    if (bytes_eq_str(s, "0")) {
        *ms = 0;
        return 0;
    }
    if (s.n == 0)
        return LEAT_EINVAL;
    while (p < end) {
        size_t digits = span(p, end, '0', '9'), letters = span(p + digits, end, 'a', 'z');
        const struct unit *unit = unit_find(bytes_of(p + digits, letters));

        if (unit == NULL || number_parse_int(bytes_of(p, digits), &count) != 0 ||
            __builtin_mul_overflow(count, unit->ms, &part) ||
            __builtin_add_overflow(total, part, &total))
            return LEAT_EINVAL;
        p += digits + letters;
    }
    *ms = total;
    return 0;
}

void duration_format(int64_t ms, char out[32])
{
    // A negative one (a difference of times, in a message) gets a sign, which duration_parse
    // refuses.
    uint64_t left = ms < 0 ? 0 - (uint64_t)ms : (uint64_t)ms;
    char number[NUMBER_TEXT_SIZE];
    size_t n = 0;

    if (ms < 0)
        out[n++] = '-';
    for (size_t i = 0; i < UNITS_WRITTEN; i++) {
        uint64_t count = left / (uint64_t)units[i].ms;
        size_t digits, letters = strlen(units[i].name);

        left %= (uint64_t)units[i].ms;
        if (count == 0)
            continue;
        digits = number_format_int((int64_t)count, number);
        memcpy(out + n, number, digits);
        memcpy(out + n + digits, units[i].name, letters);
        n += digits + letters;
    }
    if (ms == 0)
        out[n++] = '0';
    out[n] = 0;
}
