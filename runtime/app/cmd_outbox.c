// SPDX-License-Identifier: Apache-2.0
//
// leat outbox: what jobs have made and could not publish yet, since when, and behind which topic.
// Read from the files, beside the server that has them open, or without one.
#include <dirent.h>
#include <stdio.h>

#include "projections/jobfile.h"
#include "runtime/app/commands.h"
#include "runtime/app/job_path.h"
#include "runtime/app/terminal.h"
#include "runtime/base/datetime.h"
#include "runtime/broker/metadata_peek.h"
#include "runtime/record/value.h"

struct outbox {
    const char *meta; // path of the broker's meta.db
    const char *job;  // being read
    struct arena arena;
    struct table_print *table; // NULL: JSON
    struct buf json;
    int n;
};

// Why the topic does not take them, as far as it can be told from outside.
static const char *reason(const struct outbox *o, const struct jobfile_waiting *w)
{
    struct uuid id;
    int rc = metadata_peek_topic(o->meta, w->topic, &id, NULL);

    if (rc == 0)
        return "the topic has been deleted";
    if (rc == 1 && !uuid_eq(id, w->topic_id))
        return "the topic has been deleted and made anew; these are for the one before";
    return "";
}

static void since_text(const struct jobfile_waiting *w, char out[DATETIME_TEXT_SIZE])
{
    out[0] = 0;
    if (w->since >= DATETIME_MIN && w->since <= DATETIME_MAX)
        datetime_format(w->since, out);
}

static void number_cell(struct table_print *t, int64_t v)
{
    char text[32];

    snprintf(text, sizeof text, "%lld", (long long)v);
    table_print_cell(t, bytes_str(text), true);
}

static void add_row(struct outbox *o, const struct jobfile_waiting *w, const char *why)
{
    char since[DATETIME_TEXT_SIZE];

    since_text(w, since);
    table_print_cell(o->table, bytes_str(o->job), false);
    table_print_cell(o->table, bytes_str(w->topic), false);
    number_cell(o->table, w->partition);
    number_cell(o->table, w->rows);
    number_cell(o->table, w->bytes);
    table_print_cell(o->table,
                     bytes_str(arena_printf(&o->arena, "%s%s", since,
                                            w->since_more ? " or before" : "")),
                     false);
    table_print_cell(o->table, bytes_str(why), false);
}

static void add_json(struct outbox *o, const struct jobfile_waiting *w, const char *why)
{
    char since[DATETIME_TEXT_SIZE], id[UUID_TEXT_SIZE];

    since_text(w, since);
    uuid_text(w->topic_id, id);
    buf_append_str(&o->json, "{\"job\":");
    json_write_text(bytes_str(o->job), &o->json);
    buf_append_str(&o->json, ",\"topic\":");
    json_write_text(bytes_str(w->topic), &o->json);
    buf_printf(&o->json,
               ",\"topic_id\":\"%s\",\"partition\":%d,\"rows\":%lld,\"bytes\":%lld,"
               "\"since\":\"%s\",\"or_before\":%s,\"why\":",
               id, w->partition, (long long)w->rows, (long long)w->bytes, since,
               w->since_more ? "true" : "false");
    json_write_text(bytes_str(why), &o->json);
    buf_append_str(&o->json, "}\n");
}

static int each(void *arg, const struct jobfile_waiting *w)
{
    struct outbox *o = arg;
    const char *why = reason(o, w);

    o->n++;
    if (o->table != NULL)
        add_row(o, w, why);
    else
        add_json(o, w, why);
    return 0;
}

static int read_job(struct outbox *o, const char *data_dir, const char *job, struct err *e)
{
    const char *path;
    int rc = job_path(data_dir, job, &o->arena, &path, e);

    o->job = job;
    return rc == 0 ? jobfile_outbox(path, each, o, e) : rc;
}

// A folder without a file of a job is none.
static int read_all_jobs(struct outbox *o, const char *data_dir, struct err *e)
{
    const char *dir = arena_printf(&o->arena, "%s/jobs", data_dir);
    DIR *d = opendir(dir);
    struct dirent *entry;
    int rc = 0;

    if (d == NULL)
        return err_set(e, LEAT_ENOTFOUND, "no job has run in %s (is --data right?)", data_dir);
    while (rc == 0 && (entry = readdir(d)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        rc = read_job(o, data_dir, arena_strdup(&o->arena, entry->d_name), e);
        if (rc == LEAT_ENOTFOUND)
            rc = 0;
    }
    closedir(d);
    return rc;
}

static void print(struct outbox *o)
{
    if (o->table == NULL) {
        fputs(buf_cstr(&o->json), stdout);
    } else if (o->n == 0) {
        printf("nothing waits\n");
    } else {
        table_print_end(o->table, stdout);
        o->table = NULL;
    }
}

static int outbox_run(struct args *a)
{
    static const char *const columns[] = {"job",   "topic", "partition", "rows",
                                          "bytes", "since", "why"};
    const char *data_dir = args_get(a, "--data", "data");
    struct outbox o = {0};
    struct err e = {0};
    int rc = 0;

    arena_init(&o.arena);
    o.meta = arena_printf(&o.arena, "%s/meta.db", data_dir);
    if (!args_has(a, "--json"))
        o.table = table_print_new(columns, ARRAY_LEN(columns));
    for (size_t i = 0; i < a->n_positional && rc == 0; i++)
        rc = read_job(&o, data_dir, a->positional[i], &e);
    if (a->n_positional == 0)
        rc = read_all_jobs(&o, data_dir, &e);
    if (rc == 0)
        print(&o);
    table_print_free(o.table);
    buf_deinit(&o.json);
    arena_deinit(&o.arena);
    return rc == 0 ? EXIT_OK : command_failed(a, &e);
}

const struct command command_outbox = {
    .name = "outbox",
    .arguments = "[JOB...]",
    .summary = "what jobs have made and could not publish yet",
    .details =
        "Records are published right behind the commit that made them, so this is empty, unless a\n"
        "topic does not take them: then they stay, in order, and this says since when. A topic\n"
        "that was deleted is not made again by itself; the rows for it stay until the job's file\n"
        "is built anew. `leat status` says what a running job waits for.",
    .examples = "  leat outbox\n"
                "  leat outbox shop --data /var/lib/leat --json",
    .max_positional = -1,
    .options = {{"--data", 'd', "DIR", "where topics and jobs live (data)"}},
    .run = outbox_run,
};
