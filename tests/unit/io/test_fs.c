// SPDX-License-Identifier: Apache-2.0
//
// The file seam over the real file system: what each hook promises, and its error codes.
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "runtime/io/fs.h"

struct fixture {
    char dir[64], path[96], other[96];
    struct fs *fs;
    struct err e;
};

static int setup(void **state)
{
    static struct fixture fx;

    fx = (struct fixture){.dir = "/tmp/leat-fs-XXXXXX", .fs = fs_posix()};
    assert_non_null(mkdtemp(fx.dir));
    snprintf(fx.path, sizeof fx.path, "%s/a", fx.dir);
    snprintf(fx.other, sizeof fx.other, "%s/b", fx.dir);
    *state = &fx;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fx = *state;

    assert_int_equal(fx->fs->unlink(fx->fs, fx->path, &fx->e), 0);
    assert_int_equal(fx->fs->unlink(fx->fs, fx->other, &fx->e), 0);
    assert_int_equal(fx->fs->rmdir(fx->fs, fx->dir, &fx->e), 0);
    return 0;
}

static struct fs_file *given_file(struct fixture *fx, const char *path)
{
    struct fs_file *f = NULL;

    assert_int_equal(fx->fs->open(fx->fs, path, FS_WRITE, &f, &fx->e), 0);
    return f;
}

static void test_bytes(void **state)
{
    // Writes land where asked, reads are short only at the end, truncation cuts and extends.
    struct fixture *fx = *state;
    struct fs *fs = fx->fs;
    struct fs_file *f = given_file(fx, fx->path);
    char room[16];

    assert_int_equal(fs->write(fs, f, "hello", 5, 3, &fx->e), 0);
    assert_int_equal(fs->size(fs, f, &fx->e), 8);
    assert_int_equal(fs->read(fs, f, room, sizeof room, 0, &fx->e), 8);
    assert_memory_equal(room, "\0\0\0hello", 8);
    assert_int_equal(fs->read(fs, f, room, 2, 4, &fx->e), 2);
    assert_int_equal(fs->read(fs, f, room, 2, 100, &fx->e), 0);
    assert_int_equal(fs->truncate(fs, f, 4, &fx->e), 0);
    assert_int_equal(fs->size(fs, f, &fx->e), 4);
    assert_int_equal(fs->sync(fs, f, &fx->e), 0);
    assert_int_equal(fs->sync_dir(fs, fx->dir, &fx->e), 0);
    assert_true(fs->fd(fs, f) >= 0);
    fs->close(fs, f);
}

static int count_entry(void *arg, const char *name)
{
    assert_true(strcmp(name, "a") == 0 || strcmp(name, "b") == 0);
    return ++*(int *)arg == 5 ? LEAT_ELIMIT : 0;
}

static void test_names(void **state)
{
    // Making what exists and removing what does not are fine; other names' errors carry the path.
    struct fixture *fx = *state;
    struct fs *fs = fx->fs;
    struct fs_file *f = given_file(fx, fx->path);
    int n = 0;

    fs->close(fs, f);
    assert_int_equal(fs->mkdir(fs, fx->dir, &fx->e), 0);
    assert_int_equal(fs->unlink(fs, fx->other, &fx->e), 0);
    assert_int_equal(fs->list(fs, fx->dir, count_entry, &n, &fx->e), 0);
    assert_int_equal(n, 1);
    n = 4;
    assert_int_equal(fs->list(fs, fx->dir, count_entry, &n, &fx->e), LEAT_ELIMIT);
    assert_int_equal(fs->rename(fs, fx->path, fx->other, &fx->e), 0);
    assert_int_equal(fs->open(fs, fx->path, FS_READ, &f, &fx->e), LEAT_ENOTFOUND);
    assert_non_null(strstr(fx->e.text, fx->path));
}

static void test_lock(void **state)
{
    // A lock belongs to the open file: a second opening is refused until the first is closed.
    struct fixture *fx = *state;
    struct fs *fs = fx->fs;
    struct fs_file *first = given_file(fx, fx->path), *second = given_file(fx, fx->path);

    assert_int_equal(fs->lock(fs, first, &fx->e), 0);
    assert_int_equal(fs->lock(fs, second, &fx->e), LEAT_ELOCKED);
    fs->close(fs, given_file(fx, fx->path)); // closing a third drops nothing
    assert_int_equal(fs->lock(fs, second, &fx->e), LEAT_ELOCKED);
    fs->close(fs, first);
    assert_int_equal(fs->lock(fs, second, &fx->e), 0);
    fs->close(fs, second);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_names, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lock, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
