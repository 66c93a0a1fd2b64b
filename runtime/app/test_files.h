// SPDX-License-Identifier: Apache-2.0
//
// Which tests are meant, and of which job each is. Essay in test_files.c.
#ifndef LEAT_APP_TEST_FILES_H
#define LEAT_APP_TEST_FILES_H

#include "runtime/base/arena.h"
#include "runtime/base/err.h"

struct test_file {
    const char *job;
    const char *tests; // a file of its own; NULL: they stand in the job's
};

struct test_files {
    struct arena arena;
    struct test_file *items;
    size_t n;
};

void test_files_init(struct test_files *f);
void test_files_deinit(struct test_files *f);

// What was named, or what there is when nothing was. job: of all that are named; NULL: found for
// each by its name. LEAT_ENOTFOUND: no job for a file of tests, or nothing there.
int test_files_find(struct test_files *f, const char *const *names, size_t n, const char *job,
                    struct err *e) LEAT_CHECKED;

// Where the tests are.
static inline const char *test_file_shown(const struct test_file *f)
{
    return f->tests != NULL ? f->tests : f->job;
}

#endif
