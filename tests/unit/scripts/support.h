// SPDX-License-Identifier: Apache-2.0
//
// One function of a job, called by hand.
#ifndef TESTS_SCRIPTS_SUPPORT_H
#define TESTS_SCRIPTS_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "runtime/base/heap.h"
#include "runtime/engine/fn.h"
#include "scripts/host/script_host.h"

#define FAST_MS 150 // time limit of a call in these tests

struct fixture {
    struct script *script;
    struct fn *fn;
    struct arena arena;
    struct event event;
    struct fn_call call;
    struct tables *tables;
    const char *params[3];
    int64_t time_ms; // 0: FAST_MS
    struct err err;
};

// Loads "job ... :map(function(v, ctx) BODY end)"; BODY starts on line 2. 0 or the error.
static inline int given_file(struct fixture *fx, const char *text)
{
    struct script_options o = {.file = "jobs/t.lua",
                               .text = bytes_str(text),
                               .params = fx->params[0] != NULL ? fx->params : NULL};
    int rc = script_new(&fx->script, &o, &fx->err);

    if (rc != 0)
        return rc;
    fx->script->time_ms = fx->time_ms > 0 ? fx->time_ms : FAST_MS;
    return script_run_file(fx->script, &fx->err);
}

static inline int given_function(struct fixture *fx, const char *body)
{
    char *text = heap_printf("job 't' {} from 'a' :map(function(v, ctx)\n%s\nend)", body);
    int rc = given_file(fx, text);

    heap_free(text);
    if (rc == 0)
        fx->fn = script_fn_new(fx->script, 1, 1);
    return rc;
}

static inline int when_called(struct fixture *fx, const char *json)
{
    int rc = view_scan(&fx->event.view, NULL, FORMAT_JSON, bytes_str(json), &fx->arena, &fx->err);

    assert_int_equal(rc, 0);
    fx->event.topic = BYTES_LIT("orders");
    fx->event.offset = 7;
    fx->call = (struct fn_call){
        .event = &fx->event, .now = 1000, .arena = &fx->arena, .seed = 42, .tables = fx->tables};
    return fn_call(fx->fn, &fx->call, &fx->err);
}

static inline int setup(void **state)
{
    struct fixture *fx = heap_zalloc(sizeof(*fx));

    arena_init(&fx->arena);
    *state = fx;
    return 0;
}

static inline void reset(struct fixture *fx)
{
    if (fx->fn != NULL)
        fx->fn->ops->free(fx->fn);
    script_free(fx->script);
    fx->fn = NULL;
    fx->script = NULL;
    arena_reset(&fx->arena);
    err_clear(&fx->err);
}

static inline int teardown(void **state)
{
    struct fixture *fx = *state;

    reset(fx);
    arena_deinit(&fx->arena);
    heap_free(fx);
    return 0;
}

static inline void expect_json(const struct value *v, const char *json)
{
    struct buf b = BUF_EMPTY;
    int rc = value_write_json(v, &b, NULL);

    assert_int_equal(rc, 0);
    assert_string_equal(buf_cstr(&b), json);
    buf_deinit(&b);
}

#endif
