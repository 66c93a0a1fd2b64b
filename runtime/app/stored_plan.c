// SPDX-License-Identifier: Apache-2.0
#include "runtime/app/stored_plan.h"

#include <dirent.h>
#include <stdlib.h>

static const char *text_member(const struct value *object, const char *name, struct arena *a)
{
    struct value v = VALUE_OF_MISSING;

    if (value_member(object, bytes_str(name), a, &v, NULL) != 0 || v.type != VALUE_TEXT)
        return NULL;
    return (const char *)arena_copy(a, v.s).p;
}

static bool bool_member(const struct value *object, const char *name, struct arena *a)
{
    struct value v = VALUE_OF_MISSING;

    return value_member(object, bytes_str(name), a, &v, NULL) == 0 && value_truthy(&v);
}

static int read_params(const struct value *query, struct arena *a, struct plan_query *out,
                       struct err *e)
{
    struct value list, item;
    struct bytes none; // elements have no names
    struct value_iter it;
    int rc = value_member(query, BYTES_LIT("params"), a, &list, e);

    if (rc != 0)
        return rc;
    out->params = arena_zalloc(a, value_count(&list) * sizeof *out->params);
    value_iter_init(&it, &list, a);
    while ((rc = value_iter_next(&it, &none, &item, e)) == 1) {
        struct plan_param *p = &out->params[out->n_params++];
        p->name = text_member(&item, "name", a);
        p->type = text_member(&item, "type", a);
        p->nullable = bool_member(&item, "nullable", a);
        p->fallback = VALUE_OF_MISSING;
        if (!bool_member(&item, "required", a) && !p->nullable)
            rc = value_member(&item, BYTES_LIT("fallback"), a, &p->fallback, e);
        else if (p->nullable)
            p->fallback = VALUE_OF_NULL;
        if (rc < 0)
            return rc;
    }
    return rc;
}

int stored_query(struct bytes plan_json, const char *name, struct arena *a, struct plan_query *out,
                 struct err *e)
{
    struct buf names = BUF_EMPTY;
    struct value plan, list, item;
    struct bytes none; // elements have no names
    struct value_iter it;
    int rc = value_decode(FORMAT_JSON, plan_json, a, &plan, e);

    if (rc == 0)
        rc = value_member(&plan, BYTES_LIT("queries"), a, &list, e);
    if (rc != 0)
        return rc;
    value_iter_init(&it, &list, a);
    while ((rc = value_iter_next(&it, &none, &item, e)) == 1) {
        const char *found = text_member(&item, "name", a);
        if (found != NULL && strcmp(found, name) == 0) {
            *out = (struct plan_query){.name = found,
                                       .sql = text_member(&item, "sql", a),
                                       .path = text_member(&item, "path", a),
                                       .one = bool_member(&item, "one", a)};
            buf_deinit(&names);
            return read_params(&item, a, out, e);
        }
        buf_printf(&names, "%s%s", names.n ? ", " : "", found);
    }
    if (rc == 0)
        rc = err_set(e, LEAT_ENOTFOUND,
                     "there is no query \"%s\"%s%s; or give SQL that starts with select", name,
                     names.n ? "; there are: " : "", buf_cstr(&names));
    buf_deinit(&names);
    return rc;
}

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

int stored_job_path(const char *data_dir, const char *job, struct arena *a, const char **path,
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
