// SPDX-License-Identifier: Apache-2.0
#include "runtime/app/job_path.h"

#include <dirent.h>
#include <stdlib.h>

#include "runtime/base/buf.h"

static bool version_of(const char *name, long *version)
{
    char *end;

    *version = strtol(name, &end, 10);
    return end != name && strcmp(end, ".db") == 0;
}

static void list_jobs(const char *jobs, struct buf *names)
{
    DIR *d = opendir(jobs);
    struct dirent *entry;

    while (d != NULL && (entry = readdir(d)) != NULL)
        if (entry->d_name[0] != '.')
            buf_printf(names, "%s%s", names->n ? ", " : "", entry->d_name);
    if (d != NULL)
        closedir(d);
}

int job_path(const char *data_dir, const char *job, struct arena *a, const char **path,
             struct err *e)
{
    const char *jobs = arena_printf(a, "%s/jobs", data_dir),
               *dir = arena_printf(a, "%s/%s", jobs, job);
    struct buf names = BUF_EMPTY;
    DIR *d = opendir(dir);
    struct dirent *entry;
    long version, newest = -1;
    int rc = 0;

    while (d != NULL && (entry = readdir(d)) != NULL)
        if (version_of(entry->d_name, &version) && version > newest)
            newest = version;
    if (d != NULL)
        closedir(d);
    if (newest < 0) {
        list_jobs(jobs, &names);
        rc = err_set(e, LEAT_ENOTFOUND, "no job \"%s\" has run in %s%s%s", job, data_dir,
                     names.n ? "; there are: " : " (is --data right?)", buf_cstr(&names));
        buf_deinit(&names);
        return rc;
    }
    *path = arena_printf(a, "%s/%ld.db", dir, newest);
    return 0;
}
