// SPDX-License-Identifier: Apache-2.0
//
// leat.lua to a plain struct.
#include "tests/unit/scripts/support.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "scripts/settings.h"

struct folder {
    char path[64];
};

static void write_file(const struct folder *f, const char *name, const char *text)
{
    char path[128];
    FILE *out;

    (void)snprintf(path, sizeof(path), "%s/%s", f->path, name);
    out = fopen(path, "w");
    assert_non_null(out);
    assert_true(fputs(text, out) >= 0);
    assert_int_equal(fclose(out), 0);
}

static int setup_folder(void **state)
{
    struct folder *f = heap_zalloc(sizeof(*f));

    (void)snprintf(f->path, sizeof(f->path), "/tmp/leat_settings_XXXXXX");
    assert_non_null(mkdtemp(f->path));
    *state = f;
    return 0;
}

static int teardown_folder(void **state)
{
    static const char *const names[] = {"leat.lua", "a.lua", "b.lua"};
    struct folder *f = *state;
    char path[128];

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", f->path, names[i]);
        (void)unlink(path);
    }
    assert_int_equal(rmdir(f->path), 0);
    heap_free(f);
    return 0;
}

static int load(const struct folder *f, const char *text, struct settings *s, struct err *e)
{
    char path[128];

    write_file(f, "leat.lua", text);
    (void)snprintf(path, sizeof(path), "%s/leat.lua", f->path);
    settings_init(s);
    return settings_load(s, path, e);
}

// Every setting arrives; paths are taken from where the file stands.
static void test_settings(void **state)
{
    struct folder *f = *state;
    struct settings s;
    struct err e = {0};
    char want[128];

    write_file(f, "b.lua", "");
    write_file(f, "a.lua", "");
    if (load(f,
             "local days = 7\n"
             "return { data = 'd', listen = { kafka = '127.0.0.1:1', http = '127.0.0.1:2' },\n"
             "  jobs = { '[ab].lua' }, partitions = 3, auto_create = true,\n"
             "  topics = { ['shop.events'] = { partitions = 8, retention = 'forever' },\n"
             "             logs = { retention = days .. 'd', retention_bytes = '1GiB' } } }",
             &s, &e) != 0)
        fail_msg("%s", e.text);
    (void)snprintf(want, sizeof(want), "%s/d", f->path);
    assert_string_equal(s.data, want);
    assert_string_equal(s.http_listen, "127.0.0.1:2");
    assert_int_equal(s.n_jobs, 2);
    (void)snprintf(want, sizeof(want), "%s/a.lua", f->path);
    assert_string_equal(s.jobs[0], want);
    assert_int_equal(s.n_topics, 2);
    assert_string_equal(s.topics[0].name, "logs");
    assert_int_equal(s.topics[0].partitions, 0);
    assert_int_equal(s.topics[0].retention_ms, 7 * 86400000);
    assert_int_equal(s.topics[0].retention_bytes, 1 << 30);
    assert_int_equal(s.topics[1].partitions, 8);
    assert_int_equal(s.topics[1].retention_ms, -1);
    assert_int_equal(s.default_partitions, 3);
    assert_true(s.auto_create);
    settings_deinit(&s);
}

// A setting that is not known, or not of its kind, is an error that names it.
static void test_bad_settings(void **state)
{
    static const struct {
        const char *text, *error;
    } bad[] = {
        {"return { dta = 'x' }", "unknown setting 'dta' (did you mean 'data'?)"},
        {"return { listen = { kafak = 'x' } }",
         "listen: unknown setting 'kafak' (did you mean 'kafka'?)"},
        {"return { topics = { a = { partitions = 0 } } }",
         "topics: a: partitions: must be a whole number from 1 to 10000"},
        {"return { topics = { a = { retention = 'soon' } } }",
         "topics: a: retention: must be \"forever\" or a duration such as \"7d\""},
        {"return { kafka = { 'h:1' } }", "kafka: is not supported by this version"},
        {"return 1", "must return a table: return { data = \"data\", ... }"},
        {"return { data = os.getenv 'HOME' }", "unknown name 'os'"},
        {"return {", "unexpected symbol near <eof>"},
        {"while true do end", "runs longer than its time limit"},
    };
    struct folder *f = *state;

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct settings s;
        struct err e = {0};
        int rc = load(f, bad[i].text, &s, &e);
        if (rc != LEAT_ELOAD || strstr(e.text, bad[i].error) == NULL)
            fail_msg("%s: %s: %s", bad[i].text, err_name(rc), e.text);
        settings_deinit(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_settings, setup_folder, teardown_folder),
        cmocka_unit_test_setup_teardown(test_bad_settings, setup_folder, teardown_folder),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
