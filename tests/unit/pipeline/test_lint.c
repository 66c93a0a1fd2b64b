// SPDX-License-Identifier: Apache-2.0
//
// What `leat check` warns of, and what it does not.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "operators/operators.h"
#include "projections/jobfile.h"
#include "scripts/script.h"

#define JOB "job 'x' {}\n"
#define T "local t = table 't' [[id text primary key, n integer, at time, s text]] "

struct lint {
    const char *text, *want; // warnings without the file, a line each
};

static void warnings_of(const char *text, struct buf *out)
{
    struct script_options o = {
        .file = "j", .text = bytes_str(text), .operators = operator_types()};
    struct err e = {0};
    struct plan *p;

    if (script_load(&p, &o, &e) != 0)
        fail_msg("%s\n%s", e.text, text);
    for (int i = 0; i < p->n_warnings; i++)
        buf_printf(out, "%s\n", p->warnings[i]);
    if (jobfile_check(p, out, &e) != 0)
        fail_msg("%s\n%s", e.text, text);
    plan_free(p);
}

static void check_all(const struct lint *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct buf out = BUF_EMPTY;

        warnings_of(list[i].text, &out);
        if (strcmp(buf_cstr(&out), list[i].want) != 0)
            fail_msg("%s\n--- warns\n%s--- not\n%s", list[i].text, buf_cstr(&out), list[i].want);
        buf_deinit(&out);
    }
}

// State that is never given up.
static void growing_state(void **state)
{
    static const struct lint list[] = {
        {JOB "from 'a' :by 'k' :aggregate { n = count() } :into 'c'",
         "j:2: in aggregate: without a window its state grows with the number of keys; a ttl "
         "forgets those that have gone quiet: :aggregate({...}, {ttl = \"30d\"})\n"},
        {JOB "from 'a' :by 'k' :window { size = '1m' } :aggregate { n = count() } :into 'c'", ""},
        {JOB "from 'a' :by 'k' :aggregate({ n = count() }, { ttl = '1d' }) :into 'c'", ""},
    };

    (void)state;
    check_all(list, ARRAY_LEN(list));
}

// A stream or an aggregate that leads nowhere, a table that nobody fills.
static void unused(void **state)
{
    static const struct lint list[] = {
        {JOB "from 'a' :to 'b'\nfrom 'c'",
         "j:3: in from: nothing reads this stream: end it with :to or :into\n"},
        {JOB "local s = from 'a'\ns:where 'n > 1'\ns:to 'b'",
         "j:3: in where: nothing reads this stream: end it with :to or :into\n"},
        {JOB "from 'a' :by 'k' :window { size = '1m' } :aggregate { n = count() }",
         "j:2: in aggregate: nobody sees its results: write :into \"name\", :final() or "
         ":changes()\n"},
        {JOB T "\nfrom 'a' :to 'b'", "j:2: table t: nothing writes it\n"},
        {JOB T "\nfrom 'a' :map(function(v, ctx) ctx.db.t:put { id = v.id } end)", ""},
        {JOB T "\nfrom 'a' :match 'k' { X = t:put { id = 'id' } }", ""},
        {JOB "local x, rest = from 'a' :split 'n > 1'\nx:to 'b'", ""},
    };

    (void)state;
    check_all(list, ARRAY_LEN(list));
}

// What a job writes and reads, or where its dead records would fail again.
static void circles(void **state)
{
    static const struct lint list[] = {
        {"job 'x' { errors = { dead = 'a' } }\nfrom 'a' :to 'b'",
         "j:2: from \"a\" is also where dead records go (errors.dead): each would fail again, for "
         "ever\n"},
        {JOB "from 'a' :where 'n > 1'\n  :to 'a'",
         "j:3: in to: the job reads \"a\" too (line 2): what it writes comes back\n"},
        {"job 'x' { errors = { dead = 'd' } }\nfrom 'a' :to 'b'", ""},
    };

    (void)state;
    check_all(list, ARRAY_LEN(list));
}

// Windows, timers and unmatched records behind a source that never counts as idle.
static void waiting_for_ever(void **state)
{
    static const struct lint list[] = {
        {JOB "from 'a' { idle = false }\n  :by 'k' :window { size = '1m' }\n"
             "  :aggregate { n = count() } :final() :to 'b'",
         "j:2: from \"a\" has idle = false: the windows of line 4 wait for its next record, "
         "however long that takes\n"},
        {JOB "from 'a' { idle = false } :by 'k' :process { on = function() end, timer = function() "
             "end } :to 'b'",
         "j:2: from \"a\" has idle = false: the timers of line 2 wait for its next record, however "
         "long that takes\n"},
        {JOB "from 'a' { idle = false } :where 'n > 1' :to 'b'", ""},
        {JOB "from 'a' { idle = '1m' } :by 'k' :window { size = '1m' } :aggregate { n = count() }"
             " :final() :to 'b'",
         ""},
    };

    (void)state;
    check_all(list, ARRAY_LEN(list));
}

// A named query that reads a whole table.
static void scans(void **state)
{
    static const struct lint list[] = {
        {JOB T "\nfrom 'a' :into(t, { id = 'id' })\n"
               "query 'q' { params = { s = 'text' }, sql = 'select * from t where s = :s' }",
         "j:4: query q reads all of table t: an index on what it asks for would help\n"},
        {JOB T "{ index = { 's' } }\nfrom 'a' :into(t, { id = 'id' })\n"
               "query 'q' { params = { s = 'text' }, sql = 'select * from t where s = :s' }",
         ""},
        {JOB T "\nfrom 'a' :into(t, { id = 'id' })\n"
               "query 'q' { params = { id = 'text' }, sql = 'select * from t where id = :id' }",
         ""},
    };

    (void)state;
    check_all(list, ARRAY_LEN(list));
}

// An index on what every event changes.
static void costly_indexes(void **state)
{
    static const struct lint list[] = {
        {JOB "local c = table 'c' [[k text primary key, n integer]]\n"
             "  { index = { 'n desc', 'k, n' } }\n"
             "from 'a' :by 'k' :window { last = '1h' } :aggregate { n = count() }"
             " :into(c, { k = 'k', n = 'n' })",
         ""},
        {JOB "local c = table 'c' [[window_start time, k text, n integer,\n"
             "  primary key (k, window_start)]] { index = { 'n desc', 'window_start, k' } }\n"
             "from 'a' :by 'k' :window { size = '1h' } :aggregate { n = count() } :into(c)",
         "j:2: index \"n desc\" of table c: every event changes n, and then the index too: it "
         "slows down each write\n"},
        {JOB T "{ index = { 's, at', 's' } }\n"
               "from 'a' :into(t, { id = 'id', at = '$time', s = 's' })",
         "j:2: index \"s, at\" of table t: every event changes at, and then the index too: it "
         "slows down each write\n"},
        {JOB T "{ index = { 'n' } }\nfrom 'a' :match 'k' { X = t:add('id', { n = '1' }) }",
         "j:2: index \"n\" of table t: every event changes n, and then the index too: it slows "
         "down each write\n"},
        {JOB T "{ index = { 'n' } }\n"
               "from 'a' :match 'k' { X = t:add('id', { n = '1' }),\n"
               "  Y = t:put { id = 'id', s = 's' } }",
         ""},
        {JOB T "{ index = { \"s where at > 5\" } }\n"
               "from 'a' :into(t, { id = 'id', at = '$time', s = 's' })",
         ""},
    };

    (void)state;
    check_all(list, ARRAY_LEN(list));
}

// A window behind windows with more grace than its own.
static void late_results(void **state)
{
#define FIRST "from 'a' :by 'k' :window { size = '1m', grace = '10s' } :aggregate { n = count() }\n"
    static const struct lint list[] = {
        {JOB FIRST ":final() :where 'n > 1' :by 'k'\n"
                   ":window { size = '5m' } :aggregate { n = sum 'n' } :into 'c'",
         "j:4: in window: what final() gives of line 2 comes 10s after the end of its window, and "
         "is late here when both end together: grace = \"10s\" waits for it\n"},
        {JOB FIRST ":final() :by 'k' :window { size = '5m', grace = '10s' }\n"
                   ":aggregate { n = sum 'n' } :into 'c'",
         ""},
        {JOB "from 'a' :by 'k' :window { size = '1m' } :aggregate { n = count() } :final()\n"
             ":by 'k' :window { size = '5m' } :aggregate { n = sum 'n' } :into 'c'",
         ""},
    };

    (void)state;
    check_all(list, ARRAY_LEN(list));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(growing_state),    cmocka_unit_test(unused),
        cmocka_unit_test(circles),          cmocka_unit_test(waiting_for_ever),
        cmocka_unit_test(scans),            cmocka_unit_test(costly_indexes),
        cmocka_unit_test(late_results),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
