// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/engine/rig.h"

#include <stdio.h>

#include "operators/operators.h"

static int open_store(void *arg, const struct plan *p, struct store **out, struct err *e)
{
    struct rig *r = arg;

    (void)p, (void)e;
    fake_store_init(&r->store);
    *out = &r->store.store;
    return 0;
}

static void close_store(void *arg, struct store *s)
{
    (void)s;
    fake_store_deinit(&((struct rig *)arg)->store);
}

void rig_start(struct rig *r, int32_t n_partitions)
{
    struct driver_config c = {.plan = r->plan,
                              .operators = operator_types(),
                              .stores = {.open = open_store, .close = close_store, .arg = r},
                              .start_ms = RIG_START,
                              .n_partitions = n_partitions,
                              .gap_ms = r->gap_ms};
    int rc = plan_finish(r->plan, &r->err);

    if (rc == 0)
        rc = driver_open(&r->d, &c, &r->err);
    if (rc != 0)
        fail_msg("%s", r->err.text);
}

void rig_stop(struct rig *r)
{
    driver_close(r->d);
    plan_free(r->plan);
}

void rig_send(struct rig *r, const char *topic, int32_t partition, const char *key,
              const char *json)
{
    struct driver_record rec = {
        .key = bytes_str(key), .value = bytes_str(json), .partition = partition, .timestamp = -1};

    assert_int_equal(driver_send(r->d, topic, &rec, &r->err), 0);
}

int rig_try(struct rig *r)
{
    return driver_run(r->d, &r->err);
}

void rig_run(struct rig *r)
{
    if (rig_try(r) != 0)
        fail_msg("%s", r->err.text);
}

void rig_advance(struct rig *r, int64_t ms)
{
    if (driver_advance(r->d, ms, &r->err) != 0)
        fail_msg("%s", r->err.text);
}

void rig_crash(struct rig *r)
{
    assert_int_equal(driver_restart(r->d, &r->err), 0);
}

void rig_expect(struct rig *r, const char *topic, const char *values)
{
    const struct batch_record *recs;
    size_t n = driver_take(r->d, topic, &recs);
    struct buf b = BUF_EMPTY;

    for (size_t i = 0; i < n; i++)
        buf_printf(&b, "%s%.*s", i > 0 ? " " : "", BYTES_FMT(recs[i].value));
    assert_string_equal(buf_cstr(&b), values);
    buf_deinit(&b);
}

struct job_status rig_status(struct rig *r)
{
    struct job_status s;

    job_status(driver_job(r->d), &s);
    return s;
}

void rig_expect_parked(struct rig *r, const char *text)
{
    struct buf b = BUF_EMPTY;

    for (size_t i = 0; i < r->store.now.n_parked; i++) {
        const struct parked_row *p = &r->store.now.parked[i];
        buf_printf(&b, "%s%.*s:%s", i > 0 ? " " : "", BYTES_FMT(p->key),
                   p->state == PARKED_SEQUENCE ? "sequence" : err_name(p->class));
    }
    assert_string_equal(buf_cstr(&b), text);
    buf_deinit(&b);
}

int rig_user(void *arg, struct fn_call *c, struct err *e)
{
    struct rig *r = arg;
    int64_t n = plan_build_int(c, "n");

    fake_store_add(&r->store, "sum", n > 0 ? n : 0);
    if (plan_build_is(c, "do", "type"))
        return err_set(e, LEAT_ETYPE, "wrong type");
    if (plan_build_is(c, "do", "lua"))
        return err_set(e, LEAT_ELUA, "jobs/test.lua:3: no total");
    if (plan_build_is(c, "do", "enospc") && r->tries++ < 2)
        return err_set(e, LEAT_ENOSPC, "disk full");
    if (plan_build_is(c, "do", "missing") && fake_store_row(&r->store, "cured") == 0)
        return err_set(e, LEAT_EMISSING, "no account");
    if (plan_build_is(c, "do", "slow"))
        driver_set_now(r->d, driver_now(r->d) + 200);
    if (plan_build_is(c, "do", "cure"))
        fake_store_add(&r->store, "cured", 1);
    return 0;
}
