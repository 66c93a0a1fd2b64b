// SPDX-License-Identifier: Apache-2.0
#include "runtime/app/watch.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>

#include "runtime/base/heap.h"

struct mark { // of one file
    int64_t seconds, nanoseconds, size, inode;
};

static uint64_t add_file(uint64_t state, const char *path)
{
    struct stat st;
    struct mark m = {0};

    if (stat(path, &st) == 0)
        m = (struct mark){st.st_mtim.tv_sec, st.st_mtim.tv_nsec, st.st_size, (int64_t)st.st_ino};
    return bytes_hash(bytes_of(&m, sizeof m), bytes_hash(bytes_str(path), state));
}

static bool is_module(const char *name)
{
    size_t n = strlen(name);

    return name[0] != '.' && n > 4 && strcmp(name + n - 4, ".lua") == 0;
}

// The order in which a folder lists its files may change, so theirs are added up.
static uint64_t add_folder(uint64_t state, const char *path)
{
    DIR *d = opendir(path);
    struct dirent *entry;

    while (d != NULL && (entry = readdir(d)) != NULL) {
        char *file;
        if (!is_module(entry->d_name))
            continue;
        file = heap_printf("%s/%s", path, entry->d_name);
        state += add_file(1, file);
        heap_free(file);
    }
    if (d != NULL)
        closedir(d);
    return state;
}

static uint64_t state_of(const char *file)
{
    const char *slash = strrchr(file, '/');
    int n = slash != NULL ? (int)(slash - file) : 1;
    const char *dir = slash != NULL ? file : ".";
    char *beside = heap_printf("%.*s/../lib", n, dir), *within = heap_printf("%.*s/lib", n, dir);
    uint64_t state = add_folder(add_folder(add_file(0, file), beside), within);

    heap_free(beside);
    heap_free(within);
    return state;
}

void watch_init(struct watch *w, const char *file)
{
    uint64_t state = state_of(file);

    *w = (struct watch){.file = file, .known = state, .seen = state};
}

bool watch_look(struct watch *w)
{
    uint64_t before = w->seen;

    w->seen = state_of(w->file);
    if (w->seen != before || w->seen == w->known)
        return false;
    w->known = w->seen;
    return true;
}

void watch_again(struct watch *w)
{
    w->known = ~w->seen;
}
