// SPDX-License-Identifier: Apache-2.0
//
// Which tests are meant, and of which job each is.
//
//   orders.lua         a job; its tests stand in it
//   orders_test.lua    tests of orders.lua, and nothing else: it is looked for in jobs/ beside the
//                      folder of the tests, then beside the tests, then beside their folder
//
//   shop/jobs/orders.lua  <-  shop/tests/orders_test.lua
//
// Another arrangement is told with --job. Nothing named means jobs/*.lua and tests/*_test.lua.
#include "runtime/app/test_files.h"

#include <glob.h>
#include <string.h>
#include <unistd.h>

#define SUFFIX "_test.lua"

void test_files_init(struct test_files *f)
{
    *f = (struct test_files){0};
    arena_init(&f->arena);
}

void test_files_deinit(struct test_files *f)
{
    arena_deinit(&f->arena);
}

static bool is_tests(const char *name)
{
    size_t n = strlen(name);

    return n > strlen(SUFFIX) && strcmp(name + n - strlen(SUFFIX), SUFFIX) == 0;
}

static void add(struct test_files *f, const char *job, const char *tests)
{
    struct test_file *grown = arena_alloc(&f->arena, (f->n + 1) * sizeof *grown); // few

    if (f->n > 0)
        memcpy(grown, f->items, f->n * sizeof *grown);
    grown[f->n++] = (struct test_file){job, tests};
    f->items = grown;
}

// "shop/tests/" -> "shop/", "tests/" -> "", and by way of ".." where the path does not tell.
static const char *parent_of(struct arena *a, const char *folder)
{
    size_t n = strlen(folder);
    const char *start;

    if (n == 0 || strcmp(folder, "/") == 0)
        return "../";
    start = folder + n - 1;
    while (start > folder && start[-1] != '/')
        start--;
    if (*start == '.')
        return arena_printf(a, "%s../", folder);
    return arena_printf(a, "%.*s", (int)(start - folder), folder);
}

static const char *find_job(struct test_files *f, const char *tests, struct err *e)
{
    const char *slash = strrchr(tests, '/'), *base = slash != NULL ? slash + 1 : tests;
    const char *folder = arena_printf(&f->arena, "%.*s", (int)(base - tests), tests);
    const char *parent = parent_of(&f->arena, folder);
    int n = (int)(strlen(base) - strlen(SUFFIX));
    const char *places[] = {
        arena_printf(&f->arena, "%sjobs/%.*s.lua", parent, n, base),
        arena_printf(&f->arena, "%s%.*s.lua", folder, n, base),
        arena_printf(&f->arena, "%s%.*s.lua", parent, n, base),
    };

    for (size_t i = 0; i < ARRAY_LEN(places); i++)
        if (access(places[i], F_OK) == 0)
            return places[i];
    (void)err_set(e, LEAT_ENOTFOUND,
                  "%s: there is no job for these tests: no %s, %s or %s. Name it with --job", tests,
                  places[0], places[1], places[2]);
    return NULL;
}

static int add_named(struct test_files *f, const char *name, const char *job, struct err *e)
{
    name = arena_strdup(&f->arena, name);
    if (job == NULL && !is_tests(name)) {
        add(f, name, NULL);
        return 0;
    }
    if (job == NULL)
        job = find_job(f, name, e);
    if (job == NULL)
        return LEAT_ENOTFOUND;
    add(f, job, name);
    return 0;
}

static int add_all(struct test_files *f, const char *pattern, struct err *e)
{
    glob_t found;
    int rc = 0;

    if (glob(pattern, 0, NULL, &found) != 0)
        return 0;
    for (size_t i = 0; i < found.gl_pathc && rc == 0; i++)
        rc = add_named(f, found.gl_pathv[i], NULL, e);
    globfree(&found);
    return rc;
}

int test_files_find(struct test_files *f, const char *const *names, size_t n, const char *job,
                    struct err *e)
{
    int rc = 0;

    for (size_t i = 0; i < n && rc == 0; i++)
        rc = add_named(f, names[i], job, e);
    if (n > 0)
        return rc;
    rc = add_all(f, "jobs/*.lua", e);
    if (rc == 0)
        rc = add_all(f, "tests/*" SUFFIX, e);
    if (rc == 0 && f->n == 0)
        rc = err_set(e, LEAT_ENOTFOUND,
                     "there is no jobs/*.lua and no tests/*" SUFFIX " here: name the files");
    return rc;
}
