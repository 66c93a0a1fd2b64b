// SPDX-License-Identifier: Apache-2.0
//
// require: modules of a job, as files on disk.
#include "tests/unit/scripts/support.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

// A project in a folder of its own: jobs/t.lua, jobs/lib and lib.
struct project {
    char path[64], job[96];
    char *files[16];
    int n_files;
};

static const char *const folders[] = {"", "/lib", "/jobs", "/jobs/lib"};

static void given_file_at(struct project *p, const char *name, const char *text)
{
    char *path = heap_printf("%s/%s", p->path, name);
    FILE *out = fopen(path, "w");

    assert_non_null(out);
    assert_true(fputs(text, out) >= 0);
    assert_int_equal(fclose(out), 0);
    p->files[p->n_files++] = path;
}

static int setup_project(void **state)
{
    struct project *p = heap_zalloc(sizeof(*p));

    (void)snprintf(p->path, sizeof(p->path), "/tmp/leat_modules_XXXXXX");
    assert_non_null(mkdtemp(p->path));
    for (size_t i = 1; i < ARRAY_LEN(folders); i++) {
        char *path = heap_printf("%s%s", p->path, folders[i]);
        assert_int_equal(mkdir(path, 0755), 0);
        heap_free(path);
    }
    (void)snprintf(p->job, sizeof(p->job), "%s/jobs/t.lua", p->path);
    *state = p;
    return 0;
}

static int teardown_project(void **state)
{
    struct project *p = *state;

    while (p->n_files > 0) {
        (void)unlink(p->files[--p->n_files]);
        heap_free(p->files[p->n_files]);
    }
    for (size_t i = ARRAY_LEN(folders); i-- > 0;) {
        char *path = heap_printf("%s%s", p->path, folders[i]);
        assert_int_equal(rmdir(path), 0);
        heap_free(path);
    }
    heap_free(p);
    return 0;
}

static struct plan *when_loaded(const struct project *p, const char *text)
{
    struct script_options o = {.file = p->job, .text = bytes_str(text)};
    struct plan *plan = NULL;
    struct err e = {0};

    if (script_load(&plan, &o, &e) != 0)
        fail_msg("%s", e.text);
    return plan;
}

static void expect_loads(const struct project *p, const char *text)
{
    plan_free(when_loaded(p, text));
}

// The message ends in the text, behind the folder that it names.
static void expect_no_load(const struct project *p, const char *text, const char *message)
{
    struct script_options o = {.file = p->job, .text = bytes_str(text)};
    struct plan *plan = NULL;
    struct err e = {0};

    assert_int_equal(script_load(&plan, &o, &e), LEAT_ELOAD);
    if (strstr(e.text, message) == NULL)
        fail_msg("%s", e.text);
}

// A module is found in lib/ beside the job's file, then in lib/ beside its folder, and runs once.
static void test_where_modules_are(void **state)
{
    struct project *p = *state;

    given_file_at(p, "lib/money.lua", "return { cents = function(x) return x * 100 end }");
    given_file_at(p, "lib/near.lua", "return { n = 2 }");
    given_file_at(p, "jobs/lib/near.lua", "return { n = 1 }");
    expect_loads(p, "job 'j' {} local m = require 'money' assert(m == require 'money')\n"
                    "assert(require('near').n == 1)\n"
                    "from 'a' :map(function(v) return { c = m.cents(v.x) } end) :to 'b'");
}

// Nothing but a name from those folders, nothing in a circle, nothing once the job runs.
static void test_what_is_refused(void **state)
{
    struct project *p = *state;

    given_file_at(p, "lib/one.lua", "return require 'two'");
    given_file_at(p, "lib/two.lua", "return require 'one'");
    given_file_at(p, "lib/self.lua", "return require 'self'");
    expect_no_load(p, "job 'j' {} require '../money'", "a module is a name");
    expect_no_load(p, "job 'j' {} require '/etc/passwd'", "a module is a name");
    expect_no_load(p, "job 'j' {} require 'monye'",
                   "/jobs/t.lua:1: require \"monye\": there is no ");
    expect_no_load(p, "job 'j' {} require 'monye'", "/lib/monye.lua");
    expect_no_load(p, "job 'j' {} require 'one'",
                   "/lib/two.lua:1: require \"one\": modules require each other in a circle");
    expect_no_load(p, "job 'j' {} require 'self'",
                   "/lib/self.lua:1: require \"self\": modules require each other in a circle");
}

// A module runs in the job's sandbox: the same words, nothing of the machine, no memory between
// calls; its mistakes are told in its own file.
static void test_the_sandbox_of_modules(void **state)
{
    struct project *p = *state;

    given_file_at(p, "lib/clock.lua", "local t = 1\nreturn os.time()");
    given_file_at(p, "lib/counter.lua", "local n = 0\nreturn function() n = n + 1 return n end");
    given_file_at(p, "lib/global.lua", "cents = 100");
    given_file_at(p, "lib/typo.lua", "return {");
    expect_no_load(p, "job 'j' {} require 'clock'", "lib/clock.lua:2: ");
    expect_no_load(p,
                   "job 'j' {} local f = require 'counter'\n"
                   "from 'a' :map(function(v) return { n = f() } end) :to 'b'",
                   "lib/counter.lua:2: 'n' is changed here");
    expect_no_load(p, "job 'j' {} require 'global'", "lib/global.lua:1: ");
    expect_no_load(p, "job 'j' {} require 'typo'", "lib/typo.lua:1: ");
}

static uint64_t fingerprint_with(struct project *p, const char *money)
{
    struct plan *plan;
    uint64_t print;

    given_file_at(p, "lib/money.lua", money);
    plan = when_loaded(p, "job 'j' {} local m = require 'money'\n"
                          "from 'a' :map(function(v) return { c = m.cents(v.x) } end) :to 'b'");
    print = plan->fingerprint;
    plan_free(plan);
    return print;
}

// What a module does is part of the job, and a change of it a change of the job; how it is written
// is not.
static void test_modules_are_part_of_the_job(void **state)
{
    struct project *p = *state;
    uint64_t was = fingerprint_with(p, "return { cents = function(x) return x * 100 end }");

    assert_true(was == fingerprint_with(p, "-- of a price\n"
                                           "return { cents = function(y) return y * 100 end }"));
    assert_true(was != fingerprint_with(p, "return { cents = function(x) return x * 1000 end }"));
}

// A job that has to run again is the one that was loaded, whatever has been saved since.
static void test_modules_are_read_once(void **state)
{
    struct project *p = *state;
    struct plan *plan;
    struct script *s;
    struct err e = {0};

    given_file_at(p, "lib/two.lua", "return { a = function(v) return v end }");
    plan = when_loaded(p, "job 'j' {} local m = require 'two'\n"
                          "local s = from 'a' :map(m.a)\n"
                          "if m.b then s = s:map(m.b) end\n"
                          "s:to 'b'");
    given_file_at(p, "lib/two.lua", "local f = function(v) return v end return { a = f, b = f }");
    s = plan->owner;
    assert_int_equal(script_run_file(s, &e), 0);
    assert_int_equal(s->n_functions, 1);
    plan_free(plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_where_modules_are, setup_project, teardown_project),
        cmocka_unit_test_setup_teardown(test_what_is_refused, setup_project, teardown_project),
        cmocka_unit_test_setup_teardown(test_the_sandbox_of_modules, setup_project,
                                        teardown_project),
        cmocka_unit_test_setup_teardown(test_modules_are_part_of_the_job, setup_project,
                                        teardown_project),
        cmocka_unit_test_setup_teardown(test_modules_are_read_once, setup_project,
                                        teardown_project),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
