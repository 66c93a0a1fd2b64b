// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/projections/fixture.h"

#include <dirent.h>
#include <string.h>
#include <unistd.h>

#include "runtime/base/failpoint.h"
#include "runtime/base/heap.h"

static const char customers[] = "id text primary key,\n"
                                "name text not null,\n"
                                "orders integer not null default 0,\n"
                                "spent integer not null default 0   -- cents\n";
static const char orders[] = "id text primary key,\n"
                             "customer text not null references customers on delete cascade,\n"
                             "status text not null check (status in ('placed', 'paid')),\n"
                             "total decimal(10,2) not null default 0,\n"
                             "lines integer not null default 0,\n"
                             "placed_at time not null, paid_at time, gift bool, note json,\n"
                             "twice integer generated always as (lines * 2)";
static const char items[] = "order_id text not null references orders on delete cascade, line int,"
                            " qty real, raw blob, x any, primary key (order_id, line)";
static const char minutes[] =
    "assetId text, window_start time, window_end time, n integer, top any,"
    " primary key (window_start, assetId)";

static void make_plan(struct fixture *fx)
{
    fx->plan = (struct plan){.file = "jobs/shop.lua",
                             .job = "shop",
                             .version = 1,
                             .tables = fx->tables,
                             .n_tables = 4,
                             .nodes = fx->nodes,
                             .n_nodes = 2,
                             .fingerprint = 7};
    fx->tables[0] =
        (struct plan_table){.name = "customers", .body = customers, .line = 3, .aggregate = -1};
    fx->tables[1] =
        (struct plan_table){.name = "orders", .body = orders, .line = 9, .aggregate = -1};
    fx->tables[2] =
        (struct plan_table){.name = "items", .body = items, .line = 20, .aggregate = -1};
    fx->tables[3] =
        (struct plan_table){.name = "minutes", .body = minutes, .line = 30, .aggregate = 1};
    fx->nodes[0] = (struct plan_node){.kind = NODE_SOURCE, .id = "from[events]", .fingerprint = 1};
    fx->nodes[1] = (struct plan_node){
        .kind = NODE_AGGREGATE, .id = "from[events]/by/aggregate", .fingerprint = 2};
}

int fixture_setup(void **state)
{
    struct fixture *fx = calloc(1, sizeof *fx);

    snprintf(fx->dir, sizeof fx->dir, "/tmp/leat-job-XXXXXX");
    if (mkdtemp(fx->dir) == NULL)
        return -1;
    snprintf(fx->path, sizeof fx->path, "%s/shop/1.db", fx->dir);
    arena_init(&fx->a);
    make_plan(fx);
    *state = fx;
    return 0;
}

static void remove_all(const char *dir)
{
    DIR *d = opendir(dir);
    struct dirent *entry;
    char path[400];

    while (d != NULL && (entry = readdir(d)) != NULL) {
        snprintf(path, sizeof path, "%s/%s", dir, entry->d_name);
        if (entry->d_name[0] == '.' || unlink(path) == 0)
            continue;
        remove_all(path);
    }
    if (d != NULL)
        closedir(d);
    (void)rmdir(dir);
}

int fixture_teardown(void **state)
{
    struct fixture *fx = *state;

    failpoint_arm(NULL);
    jobfile_close(fx->s);
    arena_deinit(&fx->a);
    remove_all(fx->dir);
    free(fx);
    return 0;
}

void ok(struct fixture *fx, int rc)
{
    if (rc < 0)
        fail_msg("%s: %s", err_name(rc), fx->e.text);
}

void open_file(struct fixture *fx)
{
    struct jobfile_options o = {.path = fx->path};

    ok(fx, jobfile_open(&fx->s, &fx->plan, &o, &fx->e));
}

void open_memory(struct fixture *fx)
{
    struct jobfile_options o = {0};

    ok(fx, jobfile_open(&fx->s, &fx->plan, &o, &fx->e));
}

void close_file(struct fixture *fx)
{
    jobfile_close(fx->s);
    fx->s = NULL;
}

void reopen(struct fixture *fx)
{
    close_file(fx);
    open_file(fx);
}

int64_t ask(struct fixture *fx, const char *sql)
{
    int64_t v = -1;

    ok(fx, db_query_int(jobfile_of(fx->s)->db, sql, &v, &fx->e));
    return v;
}

void begin(struct fixture *fx)
{
    ok(fx, fx->s->ops->begin(fx->s, 1767225600000, &fx->e));
}

int commit_to(struct fixture *fx, int64_t next)
{
    return commit_on(fx, next, 1767225600000);
}

int commit_on(struct fixture *fx, int64_t next, int64_t now)
{
    struct store_offset o = {.topic = "events",
                             .topic_id = topic_id(1),
                             .next = next,
                             .epoch = 3,
                             .watermark = INT64_MIN,
                             .last_time = 5};
    struct store_commit c = {
        .offsets = &o, .n_offsets = 1, .now = now, .records = 1, .micros = 10};

    return fx->s->ops->commit(fx->s, &c, NULL, &fx->e);
}

struct uuid topic_id(uint8_t n)
{
    struct uuid u = {0};

    u.b[0] = n;
    return u;
}

int add_out(struct fixture *fx, uint8_t topic, int32_t partition, int64_t batch, const char *value)
{
    struct outbox_row r = {.topic = BYTES_LIT("out"),
                           .topic_id = topic_id(topic),
                           .partition = partition,
                           .batch_no = batch,
                           .key = BYTES_LIT("k"),
                           .value = bytes_str(value),
                           .time = 1,
                           .cause = BYTES_LIT("events:0@1")};

    return fx->s->ops->outbox_add(fx->s, &r, &fx->e);
}
