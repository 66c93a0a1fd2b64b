// SPDX-License-Identifier: Apache-2.0
//
// leat init: a project to start from. Its files stand in runtime/app/project and are part of the
// binary. Nothing that is there is written over: what a folder may well have already is left as it
// is, and when anything else is in the way nothing is made.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/app/commands.h"
#include "runtime/base/arena.h"
#include "runtime/record/value.h"

#define FILE_OF(name) extern const unsigned char name[]; extern const size_t name##_size

FILE_OF(project_job);
FILE_OF(project_settings);
FILE_OF(project_luarc);
FILE_OF(project_gitignore);
FILE_OF(project_readme);
FILE_OF(project_words);

struct project_file {
    const char *path;
    const unsigned char *bytes;
    const size_t *size;
    bool may_be_there; // then it is kept
};

static const struct project_file files[] = {
    {"jobs/pageviews.lua", project_job, &project_job_size, false},
    {"leat.lua", project_settings, &project_settings_size, false},
    {"README.md", project_readme, &project_readme_size, true},
    {".luarc.json", project_luarc, &project_luarc_size, false},
    {".leat/words.lua", project_words, &project_words_size, false},
    {".gitignore", project_gitignore, &project_gitignore_size, true},
};

static int check_free(const char *dir, struct arena *a, struct err *e)
{
    struct stat st;

    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        const char *path = arena_printf(a, "%s/%s", dir, files[i].path);
        if (lstat(path, &st) == 0 && files[i].may_be_there)
            continue;
        if (lstat(path, &st) == 0)
            return err_set(e, LEAT_EEXISTS,
                           "%s is there already; nothing was written: give another folder", path);
        if (errno != ENOENT && errno != ENOTDIR)
            return err_errno(e, errno, "%s", path);
    }
    return 0;
}

// The folders of a path, as far as they are not there.
static int make_folders(char *path, struct err *e)
{
    for (char *p = strchr(path + 1, '/'); p != NULL; p = strchr(p + 1, '/')) {
        int rc;
        *p = 0;
        rc = mkdir(path, 0777);
        if (rc != 0 && errno != EEXIST)
            return err_errno(e, errno, "%s", path);
        *p = '/';
    }
    return 0;
}

static int write_file(const char *path, const struct project_file *f, struct err *e)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    size_t done = 0;
    ssize_t n = 0;

    if (fd < 0 && errno == EEXIST && f->may_be_there)
        return 0;
    if (fd < 0)
        return err_errno(e, errno, "%s", path);
    while (done < *f->size && (n = write(fd, f->bytes + done, *f->size - done)) > 0)
        done += (size_t)n;
    if (n < 0)
        (void)err_errno(e, errno, "%s", path);
    close(fd);
    return n < 0 ? LEAT_EIO : 0;
}

static int write_all(const char *dir, struct arena *a, struct err *e)
{
    int rc = check_free(dir, a, e);

    for (size_t i = 0; i < ARRAY_LEN(files) && rc == 0; i++) {
        char *path = arena_printf(a, "%s/%s", dir, files[i].path);
        rc = make_folders(path, e);
        if (rc == 0)
            rc = write_file(path, &files[i], e);
    }
    return rc;
}

static void print_json(const char *dir)
{
    struct buf out = BUF_EMPTY;

    buf_append_str(&out, "{\"folder\":");
    json_write_text(bytes_str(dir), &out);
    buf_append_str(&out, ",\"files\":[");
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        buf_append_str(&out, i ? "," : "");
        json_write_text(bytes_str(files[i].path), &out);
    }
    printf("%s]}\n", buf_cstr(&out));
    buf_deinit(&out);
}

static void print_text(const char *dir)
{
    bool here = strcmp(dir, ".") == 0;

    for (size_t i = 0; i < ARRAY_LEN(files); i++)
        printf("  %s%s%s\n", here ? "" : dir, here ? "" : "/", files[i].path);
    printf("\nNow:\n");
    if (!here)
        printf("  cd %s\n", dir);
    printf("  leat test jobs/*.lua\n  leat run jobs/*.lua\n");
}

static int init_run(struct args *a)
{
    const char *dir = a->n_positional > 0 ? a->positional[0] : ".";
    struct err e = {0};
    struct arena arena;
    int rc;

    arena_init(&arena);
    rc = write_all(dir, &arena, &e);
    arena_deinit(&arena);
    if (rc != 0)
        return command_failed(a, &e);
    if (args_has(a, "--json"))
        print_json(dir);
    else
        print_text(dir);
    return EXIT_OK;
}

const struct command command_init = {
    .name = "init",
    .arguments = "[DIR]",
    .summary = "a project to start from: a job with its test, settings, words for editors",
    .examples = "  leat init shop\n"
                "  mkdir shop && cd shop && leat init",
    .max_positional = 1,
    .run = init_run,
};
