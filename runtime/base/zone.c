// SPDX-License-Identifier: Apache-2.0
//
// A zone is a list of changes, each with the offset that holds from then on, and behind the last
// one the rule of the file's footer, a POSIX TZ text such as "CET-1CEST,M3.5.0,M10.5.0/3": its two
// switches of a year are worked out when asked for. Everything is in seconds inside.
//
//   changes   1) what holds before the first, 2) the file's transitions
//   rule      from the last change on, if the footer has two names
#include "runtime/base/zone.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/buf.h"
#include "runtime/base/datetime.h"
#include "runtime/base/endian.h"

enum { HOUR = 3600, DAY = 24 * HOUR, OFFSET_MAX = 26 * HOUR };
enum { FILE_BYTES_MAX = 1024 * 1024, NAME_MAX_BYTES = 64, YEAR_SECONDS = 31556952 };

struct change {
    int64_t at;
    int32_t offset; // of local time, from then on
};

// When a year's clocks are changed, in the local time before the change.
struct moment {
    char kind; // 'M': the week-th weekday of a month; 'J': day 1 to 365 without leap days; '0': day
               // 0 to 365
    int month, week, day;
    int32_t seconds; // of that day; may be of a day before or behind it
};

struct zone {
    struct change *changes; // ascending; the first holds from the beginning of time
    size_t n;
    bool has_rule;
    int32_t standard, summer; // the rule's offsets
    struct moment begin, end; // of summer time
};

struct segment {
    int64_t from, until;
    int32_t offset;
};

// --- the rule ---

static bool is_leap(int year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int64_t day_of_moment(const struct moment *m, int year)
{
    int64_t first = datetime_days(year, m->kind == 'M' ? m->month : 1, 1), next, day;

    if (m->kind == 'J')
        return first + m->day - 1 + (is_leap(year) && m->day >= 60);
    if (m->kind == '0')
        return first + m->day;
    next = m->month == 12 ? datetime_days(year + 1, 1, 1) : datetime_days(year, m->month + 1, 1);
    day = first + (m->day - (first + 4) % 7 + 7) % 7 + 7 * (m->week - 1); // 1970-01-01: Thursday
    return day < next ? day : day - 7;
}

static int64_t switch_at(const struct moment *m, int year, int32_t offset)
{
    return day_of_moment(m, year) * DAY + m->seconds - offset;
}

static void put_sorted(struct change *list, int *n, struct change c)
{
    int at = (*n)++;

    for (; at > 0 && list[at - 1].at > c.at; at--)
        list[at] = list[at - 1];
    list[at] = c;
}

// The years around t are enough: the estimate is off by one at most.
static struct segment segment_by_rule(const struct zone *z, int64_t t)
{
    struct change list[10];
    struct segment s = {INT64_MIN, INT64_MAX, z->standard};
    int n = 0, year = 1970 + (int)(t / YEAR_SECONDS);

    for (int y = year - 2; y <= year + 2; y++) {
        put_sorted(list, &n, (struct change){switch_at(&z->begin, y, z->standard), z->summer});
        put_sorted(list, &n, (struct change){switch_at(&z->end, y, z->summer), z->standard});
    }
    for (int i = 0; i < n; i++) {
        if (list[i].at > t) {
            s.until = list[i].at;
            break;
        }
        s.from = list[i].at;
        s.offset = list[i].offset;
    }
    return s;
}

static struct segment segment_of(const struct zone *z, int64_t t)
{
    size_t lo = 0, hi = z->n;
    struct segment s;

    while (hi - lo > 1) {
        size_t mid = (lo + hi) / 2;
        if (z->changes[mid].at <= t)
            lo = mid;
        else
            hi = mid;
    }
    if (lo + 1 < z->n || !z->has_rule)
        return (struct segment){z->changes[lo].at, lo + 1 < z->n ? z->changes[hi].at : INT64_MAX,
                                z->changes[lo].offset};
    s = segment_by_rule(z, t);
    if (s.from < z->changes[lo].at)
        s.from = z->changes[lo].at;
    return s;
}

// --- days ---

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

int64_t zone_offset(const struct zone *z, int64_t t)
{
    return segment_of(z, floor_div(t, 1000)).offset * INT64_C(1000);
}

int64_t zone_day_start(const struct zone *z, int64_t day)
{
    int64_t local = day * DAY, at = local - OFFSET_MAX; // earlier everywhere

    for (;;) {
        struct segment s = segment_of(z, at);
        int64_t begins = local - s.offset > at ? local - s.offset : at;

        if (begins < s.until)
            return begins * 1000;
        at = s.until;
    }
}

int64_t zone_day(const struct zone *z, int64_t t)
{
    int64_t day = floor_div(t + zone_offset(z, t), INT64_C(1000) * DAY);

    while (zone_day_start(z, day) > t)
        day--;
    while (zone_day_start(z, day + 1) <= t)
        day++;
    return day;
}

// --- the footer ---

static bool read_number(const char **s, int max, int *out)
{
    char *end;
    long v;

    if (!isdigit((unsigned char)**s))
        return false;
    v = strtol(*s, &end, 10);
    *s = end;
    *out = (int)v;
    return v <= max;
}

// [+-]hh[:mm[:ss]]
static bool read_clock(const char **s, int32_t *seconds)
{
    int sign = **s == '-' ? -1 : 1, h, m = 0, sec = 0;

    *s += **s == '-' || **s == '+';
    if (!read_number(s, 167, &h))
        return false;
    if (**s == ':' && (++*s, !read_number(s, 59, &m)))
        return false;
    if (**s == ':' && (++*s, !read_number(s, 59, &sec)))
        return false;
    *seconds = sign * (h * HOUR + m * 60 + sec);
    return true;
}

// CET or <+0330>, which nobody here needs.
static bool skip_name(const char **s)
{
    const char *from = *s;

    if (*from == '<') {
        *s += strcspn(from, ">");
        return *(*s)++ == '>';
    }
    while (isalpha((unsigned char)**s))
        ++*s;
    return *s - from >= 3;
}

// ,M10.5.0/3
static bool read_moment(const char **s, struct moment *m)
{
    *m = (struct moment){.kind = '0', .seconds = 2 * HOUR};
    if (*(*s)++ != ',')
        return false;
    if (**s == 'M' || **s == 'J')
        m->kind = *(*s)++;
    if (m->kind == 'M') {
        if (!read_number(s, 12, &m->month) || m->month < 1 || *(*s)++ != '.' ||
            !read_number(s, 5, &m->week) || m->week < 1 || *(*s)++ != '.' ||
            !read_number(s, 6, &m->day))
            return false;
    } else if (!read_number(s, 365, &m->day) || (m->kind == 'J' && m->day < 1)) {
        return false;
    }
    return **s != '/' || (++*s, read_clock(s, &m->seconds));
}

// West of Greenwich is positive there. A footer without summer time says what the last change says.
static bool read_footer(const char *s, struct zone *z)
{
    int32_t west;

    if (*s == 0)
        return true;
    if (!skip_name(&s) || !read_clock(&s, &west))
        return false;
    z->standard = -west;
    if (*s == 0)
        return true;
    z->summer = z->standard + HOUR;
    if (!skip_name(&s))
        return false;
    if (*s != ',') {
        if (!read_clock(&s, &west))
            return false;
        z->summer = -west;
    }
    z->has_rule = true;
    return read_moment(&s, &z->begin) && read_moment(&s, &z->end) && *s == 0;
}

// --- the file ---

// What a header counts.
struct counts {
    size_t ut, std, leap, times, types, chars;
};

enum { HEADER_BYTES = 44, TYPE_BYTES = 6 };

static bool read_header(struct bytes b, struct counts *c)
{
    if (b.n < HEADER_BYTES || memcmp(b.p, "TZif", 4) != 0 || b.p[4] < '2')
        return false;
    *c = (struct counts){load_be32(b.p + 20), load_be32(b.p + 24), load_be32(b.p + 28),
                         load_be32(b.p + 32), load_be32(b.p + 36), load_be32(b.p + 40)};
    return c->ut <= b.n && c->std <= b.n && c->leap <= b.n && c->times <= b.n && c->types <= b.n &&
           c->chars <= b.n;
}

static size_t data_bytes(const struct counts *c, size_t time)
{
    return HEADER_BYTES + c->times * (time + 1) + c->types * TYPE_BYTES + c->chars +
           c->leap * (time + 4) + c->std + c->ut;
}

static bool read_changes(const uint8_t *times, const struct counts *c, struct arena *a,
                         struct zone *z)
{
    const uint8_t *index = times + c->times * 8, *types = index + c->times;

    z->n = c->times + 1;
    z->changes = arena_alloc(a, z->n * sizeof *z->changes);
    for (size_t i = 0; i < z->n; i++) {
        size_t type = i > 0 ? index[i - 1] : 0;
        struct change *x = &z->changes[i];

        if (type >= c->types)
            return false;
        x->at = i > 0 ? (int64_t)load_be64(times + (i - 1) * 8) : INT64_MIN;
        x->offset = (int32_t)load_be32(types + type * TYPE_BYTES);
        if (x->offset < -OFFSET_MAX || x->offset > OFFSET_MAX || (i > 0 && x->at <= x[-1].at))
            return false;
    }
    return true;
}

// The block with times of 32 bits is passed over.
static bool read_zone(struct bytes b, struct arena *a, struct zone *z)
{
    struct counts c;
    char footer[128];
    size_t n;

    if (!read_header(b, &c) || data_bytes(&c, 4) > b.n)
        return false;
    b = bytes_of(b.p + data_bytes(&c, 4), b.n - data_bytes(&c, 4));
    if (!read_header(b, &c) || data_bytes(&c, 8) > b.n || c.leap > 0 ||
        !read_changes(b.p + HEADER_BYTES, &c, a, z))
        return false;
    b = bytes_of(b.p + data_bytes(&c, 8), b.n - data_bytes(&c, 8));
    if (b.n < 2 || b.n - 2 >= sizeof footer || b.p[0] != '\n' || b.p[b.n - 1] != '\n')
        return false;
    n = b.n - 2;
    memcpy(footer, b.p + 1, n);
    footer[n] = 0;
    return read_footer(footer, z);
}

int zone_parse(struct bytes tzif, struct arena *a, const struct zone **out, struct err *e)
{
    struct zone *z = arena_zalloc(a, sizeof *z);

    if (!read_zone(tzif, a, z))
        return err_set(e, LEAT_ECORRUPT, "it is no time zone that leat can read");
    *out = z;
    return 0;
}

// Letters, digits, "_+-" and single slashes inside: nothing that leaves the folder.
static bool is_name(const char *s)
{
    size_t n = strlen(s);

    if (n == 0 || n > NAME_MAX_BYTES || s[0] == '/' || s[n - 1] == '/' || strstr(s, "//") != NULL)
        return false;
    for (; *s; s++)
        if (!isalnum((unsigned char)*s) && strchr("_+-/", *s) == NULL)
            return false;
    return true;
}

static int read_file(const char *path, struct buf *out, struct err *e)
{
    FILE *f = fopen(path, "re");
    uint8_t piece[4096];
    size_t n;
    int rc = 0;

    if (f == NULL)
        return err_errno(e, errno, "%s", path);
    while ((n = fread(piece, 1, sizeof piece, f)) > 0 && out->n < FILE_BYTES_MAX)
        buf_append(out, piece, n);
    if (ferror(f))
        rc = err_errno(e, errno, "%s", path);
    (void)fclose(f);
    return rc;
}

int zone_load(const char *name, struct arena *a, const struct zone **out, struct err *e)
{
    const char *dir = getenv("TZDIR");
    struct buf file = BUF_EMPTY;
    char path[512];
    int rc;

    if (!is_name(name))
        return err_set(e, LEAT_EINVAL, "\"%s\" is no name of a time zone", name);
    (void)snprintf(path, sizeof path, "%s/%s", dir != NULL ? dir : "/usr/share/zoneinfo", name);
    rc = read_file(path, &file, e);
    if (rc == 0)
        rc = zone_parse(buf_bytes(&file), a, out, e);
    if (rc == LEAT_ENOTFOUND)
        rc = err_set(e, LEAT_EINVAL,
                     "there is no time zone \"%s\": names are such as \"Europe/Oslo\", and the "
                     "system's tz database must be installed",
                     name);
    buf_deinit(&file);
    return rc;
}
