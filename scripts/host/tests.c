// SPDX-License-Identifier: Apache-2.0
//
// Runs the tests of a job file. The file is loaded twice: once for the job under test, once more,
// into another state, for the test functions, because a test runs while the job's own functions do.
// Each test gets its own state, driver and store. Tests that stand in a file of their own are
// loaded from there.
#include "scripts/host/testing.h"

void script_test_results_init(struct script_test_results *r)
{
    memset(r, 0, sizeof(*r));
    arena_init(&r->arena);
}

void script_test_results_deinit(struct script_test_results *r)
{
    arena_deinit(&r->arena);
}

// --- which tests there are ---

struct listing {
    struct arena *arena;
    struct script_test_result *items;
    size_t n;
};

// [.., plan.tests]
static void push_tests(lua_State *L)
{
    host_push_key(L, KEY_PLAN);
    lua_getfield(L, -1, "tests");
    lua_remove(L, -2);
}

static int list_tests(lua_State *L)
{
    struct listing *x = lua_touserdata(L, 1);

    push_tests(L);
    x->n = (size_t)lua_rawlen(L, -1);
    x->items = arena_zalloc(x->arena, (x->n + 1) * sizeof(*x->items));
    for (size_t i = 0; i < x->n; i++) {
        (void)lua_rawgeti(L, -1, (lua_Integer)i + 1);
        (void)lua_getfield(L, -1, "name");
        x->items[i].name = arena_strdup(x->arena, lua_tostring(L, -1));
        (void)lua_getfield(L, -2, "line");
        x->items[i].line = (int)lua_tointeger(L, -1);
        lua_pop(L, 3);
    }
    return 0;
}

// --- one test ---

struct plan_list {
    struct plan_list *next;
    struct plan *plan;
};

void test_keep_plan(struct testing *t, struct plan *p)
{
    struct plan_list *l = arena_alloc(&t->arena, sizeof(*l));

    *l = (struct plan_list){.next = t->plans, .plan = p};
    t->plans = l;
}

static void free_plans(struct testing *t)
{
    for (struct plan_list *l = t->plans; l != NULL; l = l->next)
        plan_free(l->plan);
}

struct running {
    struct testing *test;
    int index; // from 1
};

static int run_function(lua_State *L)
{
    struct running *x = lua_touserdata(L, 1);

    test_words_open(L);
    push_tests(L);
    (void)lua_rawgeti(L, -1, x->index);
    (void)lua_getfield(L, -1, "fn");
    test_words_push(L, x->test);
    lua_call(L, 1, 0);
    return 0;
}

// The difference, the error of the function, or that the job stopped without being asked about it.
static const char *verdict(struct testing *t, int rc, const struct err *e, const char *file,
                           int line)
{
    if (t->failure != NULL)
        return t->failure;
    if (rc != 0)
        return e->text;
    if (!t->stopped)
        return NULL;
    return arena_printf(&t->arena, "%s:%d: the job has stopped: %s", file, line, t->why);
}

// The state that test functions run in, with their file run.
static int load_tests(struct script **s, const struct script_test_options *o, struct err *e)
{
    struct script_options options = o->script;
    int rc;

    if (o->tests_file != NULL) {
        options.tests_of = o->script.file;
        options.file = o->tests_file;
        options.text = BYTES_NULL;
    }
    rc = script_new(s, &options, e);
    if (rc != 0)
        return rc;
    (*s)->time_ms = HOST_TEST_MS_MAX;
    return script_run_file(*s, e);
}

static const char *tests_file(const struct script_test_options *o)
{
    return o->tests_file != NULL ? o->tests_file : o->script.file;
}

// The test has passed: again, in variations.
static void vary(const struct testing *t, const struct script_test_options *o,
                 const struct driver_config *driver, struct script_test_results *out,
                 struct script_test_result *result)
{
    struct chaos_config c = {.driver = *driver,
                             .acts = &t->acts,
                             .test_file = tests_file(o),
                             .only_kind = o->only_kind,
                             .only = o->only_number};
    struct err e = {0};
    int rc = chaos_run(&c, &result->chaos, &out->arena, &e);

    result->varied = true;
    if (rc != 0)
        result->message = arena_printf(&out->arena, "%s:%d: in a variation: %s", tests_file(o),
                                       result->line, e.text);
    else if (result->chaos.n_failures > 0)
        result->message = arena_printf(&out->arena, "%s:%d: %s", tests_file(o), result->line,
                                       result->chaos.failures[0].what);
    result->passed = result->message == NULL;
}

static void run_one(const struct script_test_options *o, const struct plan *plan, int index,
                    struct script_test_results *out, struct script_test_result *result)
{
    struct testing t = {.options = o, .plan = plan};
    struct running x = {&t, index};
    struct script *s = NULL;
    struct err e = {0};
    const char *message;
    struct driver_config c = {.plan = plan,
                              .operators = o->operators,
                              .stores = o->stores,
                              .start_ms = TEST_START_MS,
                              .n_partitions = o->n_partitions > 0 ? o->n_partitions : 1};
    int64_t started = clock_mono_ns(clock_system());
    int rc = load_tests(&s, o, &e);

    arena_init(&t.arena);
    if (rc == 0)
        rc = driver_open(&t.driver, &c, &e);
    if (rc == 0)
        rc = host_run(&s->host, run_function, &x, 0, &e);
    message = verdict(&t, rc, &e, tests_file(o), result->line);
    result->passed = message == NULL;
    result->message = message != NULL ? arena_strdup(&out->arena, message) : NULL;
    if (t.driver != NULL)
        driver_close(t.driver);
    if (result->passed && o->chaos)
        vary(&t, o, &c, out, result);
    result->ns = clock_mono_ns(clock_system()) - started;
    acts_deinit(&t.acts);
    free_plans(&t);
    script_free(s);
    arena_deinit(&t.arena);
}

static void append(struct script_test_results *out, const struct script_test_result *r)
{
    struct script_test_result *grown =
        arena_alloc(&out->arena, (out->n + 1) * sizeof(*grown)); // tests are few

    if (out->n > 0)
        memcpy(grown, out->items, out->n * sizeof(*grown));
    grown[out->n++] = *r;
    out->items = grown;
    out->n_failed += !r->passed;
}

static int list_of(const struct script_test_options *o, struct listing *list, struct err *e)
{
    struct script *s = NULL;
    int rc = load_tests(&s, o, e);

    if (rc == 0)
        rc = host_run(&s->host, list_tests, list, 0, e);
    script_free(s);
    return rc;
}

int script_tests_run(const struct script_test_options *o, struct script_test_results *out,
                     struct err *e)
{
    struct listing list = {.arena = &out->arena};
    struct plan *plan;
    struct script_options options = o->script;
    int rc;

    options.operators = o->operators;
    rc = script_load(&plan, &options, e);
    if (rc != 0)
        return rc;
    rc = list_of(o, &list, e);
    for (size_t i = 0; i < list.n && rc == 0; i++) {
        if (o->only != NULL && strstr(list.items[i].name, o->only) == NULL)
            continue;
        run_one(o, plan, (int)i + 1, out, &list.items[i]);
        append(out, &list.items[i]);
    }
    plan_free(plan);
    return rc;
}
