// SPDX-License-Identifier: Apache-2.0
#include "runtime/app/job_versions.h"

#include <dirent.h>
#include <stdlib.h>

#include "projections/jobfile.h"
#include "runtime/base/heap.h"

char *job_version_path(const char *data_dir, const char *job, int version)
{
    return heap_printf("%s/jobs/%s/%d.db", data_dir, job, version);
}

static int version_of(const char *name)
{
    char *end;
    long v = strtol(name, &end, 10);

    return end != name && strcmp(end, ".db") == 0 && v > 0 && v < INT32_MAX ? (int)v : 0;
}

static int look_at(const char *data_dir, const struct plan *p, int version, struct job_versions *v,
                   struct err *e)
{
    char *path = job_version_path(data_dir, p->job, version);
    bool used = false;
    int rc = jobfile_used(path, &used, e);

    heap_free(path);
    if (version == p->version) {
        v->there = true;
        v->used = used;
    } else if (used && version > v->other) {
        v->other = version;
    }
    return rc;
}

int job_versions_look(const char *data_dir, const struct plan *p, struct job_versions *out,
                      struct err *e)
{
    char *dir = heap_printf("%s/jobs/%s", data_dir, p->job);
    DIR *d = opendir(dir);
    struct dirent *entry;
    int rc = 0;

    *out = (struct job_versions){0};
    while (d != NULL && rc == 0 && (entry = readdir(d)) != NULL)
        if (version_of(entry->d_name) != 0)
            rc = look_at(data_dir, p, version_of(entry->d_name), out, e);
    if (d != NULL)
        closedir(d);
    heap_free(dir);
    return rc;
}

enum version_start job_versions_decide(const struct plan *p, const struct job_versions *v,
                                       struct err *why)
{
    bool back = v->used && v->other > p->version;

    if (v->used && !back)
        return VERSION_GOES_ON;
    if (v->other == 0)
        return VERSION_NEW;
    if (!plan_publishes(p) || !p->rebuild.mute)
        return back ? VERSION_GOES_ON : VERSION_ANEW;
    err_set(why, LEAT_EUNSUPPORTED,
            "version %d of job %s would publish again what version %d has published: %s. Set "
            "version = %d, or say rebuild = { outputs = \"publish\" } to have it twice",
            p->version, p->job, v->other,
            back ? "going back to a version is not supported yet"
                 : "building a version with its outputs muted is not supported yet",
            v->other);
    return VERSION_REFUSED;
}
