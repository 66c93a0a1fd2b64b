// SPDX-License-Identifier: Apache-2.0
//
// The trial through the real thing: the job as a Lua file, the real engine and operators, the real
// job file in memory; only topics and the clock are the driver's.
#include "tests/model/trial.h"

#include <stdio.h>

#include "operators/operators.h"
#include "projections/jobfile_internal.h"
#include "runtime/base/heap.h"
#include "runtime/engine/driver.h"
#include "runtime/engine/driver_log.h"
#include "scripts/script.h"

// --- the job ---

#define SUMS                                                                                       \
    "{ n = count(), even = count \"x % 2 == 0\", sum = sum \"x\", avg = avg \"x\",\n"              \
    "    min = min \"x\", max = max \"x\", first = first \"x\", last = last \"x\" }\n"

static void put_source(const struct trial *t, int i, struct buf *out)
{
    const struct trial_source *s = &t->sources[i];

    buf_printf(out, "local %c = from \"%c\" { time = \"t\", ", 'a' + i, 'a' + i);
    buf_printf(out, "ahead = \"100000d\", disorder = \"%lldms\", ", (long long)s->disorder);
    if (s->idle < 0)
        buf_append_str(out, "idle = false }\n");
    else
        buf_printf(out, "idle = \"%lldms\" }\n", (long long)s->idle);
}

static void put_aggregate(const char *name, const struct trial_window *w, bool late,
                          struct buf *out)
{
    buf_printf(out, "local %s_sums = %s_windows:aggregate ", name, name);
    buf_append_str(out, SUMS);
    if (w->into)
        buf_printf(out, "%s_sums:into \"%s\"\n", name, name);
    buf_printf(out, "%s_sums:final():to \"%s.final\"\n", name, name);
    if (w->changes)
        buf_printf(out,
                   "%s_sums:changes():select { \"n\", \"sum\", before = \"$old.n\" }"
                   ":to \"%s.changes\"\n",
                   name, name);
    if (late)
        buf_printf(out, "%s_windows:late():to \"%s.late\"\n", name, name);
}

static void put_first(const struct trial *t, struct buf *out)
{
    const struct trial_window *w = &t->first;
    static const char *const kinds[] = {"size", "gap", "last"};

    buf_printf(out, "local first_windows = keyed:window { %s = \"%lldms\", grace = \"%lldms\" }\n",
               kinds[t->category], (long long)w->size, (long long)w->grace);
    if (t->category != LOOK_BACK) {
        put_aggregate("first", w, true, out);
        buf_append_str(out, "local next = first_sums:final()"
                            ":select { \"k\", x = \"n\" }:by \"k\"\n");
        return;
    }
    buf_append_str(out, "first_windows:late():to \"first.late\"\n"
                        "local results = first_windows:aggregate " SUMS
                        "results:select { \"i\", n = \"n\", even = \"even\", sum = \"sum\","
                        " min = \"min\",\n    max = \"max\", first = \"first\","
                        " last = \"last\" }:to \"first.final\"\n"
                        "local next = results:select { \"k\", x = \"n\" }:by \"k\"\n");
}

static void put_join(const struct trial *t, struct buf *out)
{
    static const char *const kinds[] = {"inner", "left", "outer"};

    buf_printf(out,
               "local joined = a:by \"k\":join(b:by \"k\", { as = \"r\", kind = \"%s\",\n"
               "    within = { \"%s%lldms\", \"%s%lldms\" }, grace = \"%lldms\" })\n"
               "joined:select { l = \"i\", r = \"r.i\" }:to \"first.final\"\n"
               "local next = joined\n",
               kinds[t->shape], t->lo < 0 ? "-" : "", (long long)(t->lo < 0 ? -t->lo : t->lo),
               t->hi < 0 ? "-" : "", (long long)(t->hi < 0 ? -t->hi : t->hi),
               (long long)t->join_grace);
}

void trial_job(const struct trial *t, struct buf *out)
{
    buf_printf(out, "job \"model\" { version = 1, commit = { records = %lld } }\n",
               (long long)t->commit_records);
    for (int i = 0; i < t->n_sources; i++)
        put_source(t, i, out);
    if (t->category == JOINS) {
        put_join(t, out);
    } else {
        buf_printf(out, "local keyed = %s:by \"k\"\n", t->n_sources > 1 ? "a:merge(b)" : "a");
        put_first(t, out);
    }
    if (t->category == WINDOWS) {
        buf_printf(out,
                   "local second_windows = keyed:window { size = \"%lldms\", every = \"%lldms\", "
                   "grace = \"%lldms\" }\n",
                   (long long)t->second.size, (long long)t->second.every,
                   (long long)t->second.grace);
        put_aggregate("second", &t->second, true, out);
    }
    buf_printf(out, "local upper_windows = next:window { size = \"%lldms\", grace = \"%lldms\" }\n",
               (long long)t->upper.size, (long long)t->upper.grace);
    put_aggregate("upper", &t->upper, t->category != JOINS, out);
}

// --- running it ---

struct engine {
    const struct trial *trial;
    struct plan *plan;
    struct driver *driver;
    struct transcript *seen;
    struct buf json;
    int looks;
    struct err e;
};

static int store_open(void *arg, const struct plan *p, struct store **out, struct err *e)
{
    struct jobfile_options o = {.path = NULL};

    (void)arg;
    return jobfile_open(out, p, &o, e);
}

static void store_close(void *arg, struct store *s)
{
    (void)arg;
    jobfile_close(s);
}

static int start(struct engine *x)
{
    struct script_options script = {.file = "model.lua", .operators = operator_types()};
    struct driver_config c = {.operators = operator_types(),
                              .stores = {.open = store_open, .close = store_close},
                              .start_ms = TRIAL_START,
                              .n_partitions = 1,
                              .cache_bytes = x->trial->cache_bytes,
                              .step_bytes = x->trial->step_bytes};
    struct buf text = BUF_EMPTY;
    int rc;

    trial_job(x->trial, &text);
    script.text = buf_bytes(&text);
    rc = script_load(&x->plan, &script, &x->e);
    buf_deinit(&text);
    if (rc != 0)
        return rc;
    c.plan = x->plan;
    rc = driver_open(&x->driver, &c, &x->e);
    if (rc != 0)
        return rc;
    for (int i = 0; i < x->trial->n_sources; i++)
        (void)driver_log_topic(driver_topics(x->driver), i == 0 ? "a" : "b",
                               x->trial->sources[i].partitions - 1);
    driver_batch_begin(x->driver);
    return 0;
}

static int send(struct engine *x, const struct op *o)
{
    struct driver_record r = {.partition = o->partition, .timestamp = o->time};

    buf_clear(&x->json);
    record_json(o, &x->json);
    r.key = bytes_str(key_text(o->key));
    r.value = buf_bytes(&x->json);
    return driver_send(x->driver, o->source == 0 ? "a" : "b", &r, &x->e);
}

static int end_batch(struct engine *x)
{
    int rc = driver_batch_end(x->driver, &x->e);

    driver_batch_begin(x->driver);
    return rc;
}

static int run(struct engine *x, bool restart)
{
    struct job_status before = {0}, after;
    int rc = end_batch(x);

    if (rc == 0 && restart)
        rc = driver_restart(x->driver, &x->e);
    else if (rc == 0)
        job_status(driver_job(x->driver), &before);
    if (rc == 0)
        rc = driver_run(x->driver, &x->e);
    if (rc != 0)
        return rc;
    job_status(driver_job(x->driver), &after);
    buf_append_byte(&x->seen->steps, after.commits > before.commits);
    return 0;
}

// --- what is to be seen ---

static struct db *db_of(struct engine *x)
{
    return jobfile_of(driver_store(x->driver))->db;
}

static void put_cell(struct db_stmt *s, int i, struct buf *out)
{
    switch (db_column_type(s, i)) {
    case DB_INT:
        put_int(out, db_column_int(s, i));
        break;
    case DB_DOUBLE:
        put_bits(out, db_column_double(s, i));
        break;
    case DB_TEXT:
    case DB_BLOB:
        buf_append_bytes(out, db_column_text(s, i));
        break;
    case DB_NULL:
        break;
    }
}

static int look_at(struct engine *x, const char *table)
{
    struct buf *out = transcript_section(x->seen, table);
    struct db_stmt *s;
    char sql[300];
    int rc;

    buf_append_str(out, "look ");
    put_int(out, x->looks);
    buf_append_byte(out, '\n');
    snprintf(sql, sizeof sql,
             "SELECT k, window_start, window_end, n, even, sum, avg, min, max, first, last FROM %s"
             " ORDER BY k, window_start",
             table);
    rc = db_prepare(db_of(x), sql, &s, &x->e);
    if (rc != 0)
        return rc;
    while ((rc = db_next(s, &x->e)) == 1)
        for (int i = 0; i < 11; i++) {
            put_cell(s, i, out);
            buf_append_byte(out, i < 10 ? '|' : '\n');
        }
    db_stmt_free(s);
    return rc;
}

static int look(struct engine *x)
{
    const struct trial *t = x->trial;
    int rc = 0;

    if (t->first.into && t->category != LOOK_BACK && t->category != JOINS)
        rc = look_at(x, "first");
    if (rc == 0 && t->category == WINDOWS && t->second.into)
        rc = look_at(x, "second");
    if (rc == 0 && t->upper.into)
        rc = look_at(x, "upper");
    x->looks++;
    return rc;
}

static void take(struct engine *x, const char *topic)
{
    const struct batch_record *r;
    size_t n = driver_take(x->driver, topic, &r);
    struct buf *out = transcript_section(x->seen, topic);

    for (size_t i = 0; i < n; i++) {
        put_int(out, r[i].timestamp);
        buf_append_byte(out, ' ');
        buf_append_bytes(out, r[i].key);
        buf_append_byte(out, ' ');
        buf_append_bytes(out, r[i].value);
        buf_append_byte(out, '\n');
    }
}

static int finish(struct engine *x)
{
    static const char *const topics[] = {"first.final", "second.final", "upper.final",
                                         "first.late",  "second.late",  "upper.late",
                                         "second.changes"};
    int64_t n = 0;
    int rc = 0;

    for (size_t i = 0; i < ARRAY_LEN(topics); i++)
        take(x, topics[i]);
    if (x->trial->category == JOINS) {
        rc = db_query_int(db_of(x),
                          "SELECT coalesce(sum(value), 0) FROM _leat_numbers"
                          " WHERE name GLOB 'late:*/join'",
                          &n, &x->e);
        put_int(transcript_section(x->seen, "first.late"), n);
    }
    if (rc == 0)
        rc = db_query_int(db_of(x), "SELECT count(*) FROM _leat_parked", &n, &x->e);
    return rc == 0 && n > 0 ? err_set(&x->e, LEAT_EINVAL, "%lld records are parked", (long long)n)
                            : rc;
}

static int happen(struct engine *x, const struct op *o)
{
    switch ((enum op_kind)o->kind) {
    case OP_RECORD:
        return send(x, o);
    case OP_BATCH:
        return end_batch(x);
    case OP_CLOCK:
        driver_set_now(x->driver, driver_now(x->driver) + o->time);
        return 0;
    case OP_RUN:
        return run(x, false);
    case OP_LOOK:
        return look(x);
    case OP_RESTART:
        return run(x, true);
    }
    return 0;
}

bool engine_run(const struct trial *t, struct transcript *seen, struct buf *out)
{
    struct engine x = {.trial = t, .seen = seen};
    int rc = start(&x);

    for (size_t i = 0; i < t->n && rc == 0; i++)
        rc = happen(&x, &t->ops[i]);
    if (rc == 0)
        rc = finish(&x);
    if (rc != 0)
        buf_printf(out, "the job failed: %s\n", x.e.text);
    driver_close(x.driver);
    plan_free(x.plan);
    buf_deinit(&x.json);
    return rc == 0;
}
