// SPDX-License-Identifier: Apache-2.0
//
// The sandbox: hostile code ends in time and as a value, never as a crash; what it may not reach is
// not there.
#include "tests/unit/scripts/support.h"

#include <time.h>

#define ANY_ERROR 1
#define SLOW_MS 60000 // of code that has to meet another bound first, however slow the build is

struct hostile {
    const char *body;
    int code;
    const char *text; // part of the message; NULL for any
};

static const struct hostile hostiles[] = {
    // C functions that loop
    {"return string.rep('', 1 << 60)", 0, NULL},
    {"return string.rep('x', 1 << 60)", LEAT_ELUA, "larger than"},
    {"return string.rep('x', 1 << 30)", LEAT_ELUA, "larger than"},
    {"return table.move({}, 1, 1 << 60, 2)", LEAT_ELUA, "nil value"},
    {"table.insert(setmetatable({}, {__len = function() return 1 << 60 end}), 1, 1)", 0, NULL},
    {"table.concat(setmetatable({}, {__len = function() return 1 << 50 end}))", 0, NULL},
    {"return table.unpack({}, 1, 1 << 60)", LEAT_ELUA, "too many"},
    {"return ('a'):rep(60000):find(('a-'):rep(30) .. 'b')", LEAT_EBUDGET, "steps"},
    {"return ('a'):rep(60000):find('.-.-.-.-b')", LEAT_EBUDGET, "steps"},
    {"return ('a'):rep(300):find(('a?'):rep(300) .. ('a'):rep(300))", LEAT_ELUA, "too complex"},
    {"return ('x'):find(('('):rep(40))", LEAT_ELUA, "too many captures"},
    // loops that try to survive
    {"while true do end", LEAT_EBUDGET, "time limit"},
    {"while true do pcall(function() while true do end end) end", LEAT_EBUDGET, "time limit"},
    {"pcall(pcall, function() while true do end end) while true do end", LEAT_EBUDGET, NULL},
    {"xpcall(function() while true do end end, function() while true do end end)", LEAT_EBUDGET,
     NULL},
    {"local t <close> = setmetatable({}, {__close = function() while true do end end}) error 'x'",
     LEAT_EBUDGET, NULL},
    {"return tostring(setmetatable({}, {__tostring = function() while true do end end}))",
     LEAT_EBUDGET, NULL},
    {"table.sort({3, 2, 1}, function() while true do end end)", LEAT_EBUDGET, NULL},
    {"('x'):gsub('x', function() while true do end end)", LEAT_EBUDGET, NULL},
    {"setmetatable({}, {__gc = function() while true do end end})", LEAT_ELUA, "__gc"},
    {"setmetatable({}, {__mode = 'k'})", LEAT_ELUA, "__mode"},
    {"coroutine.wrap(function() end)()", LEAT_ELUA, "unknown name 'coroutine'"},
    // memory
    {"local s = 'x' while true do s = s .. s end", LEAT_EBUDGET, "memory"},
    {"local t = {} for i = 1, 1 << 40 do t[i] = i end", LEAT_EBUDGET, NULL},
    {"pcall(function() local s = 'x' while true do s = s .. s end end) return 1", LEAT_EBUDGET,
     "memory"},
    {"local function f() return f() + 1 end return f()", ANY_ERROR, NULL}, // stack or time
    {"local function f() return pcall(f) end return f()", 0, NULL},
    {"local t = {} for i = 1, 190 do t = {t} end return t", LEAT_ETYPE, "nested deeper"},
    {"local t = {} t.t = t return t", LEAT_ETYPE, "nested deeper"},
    {"local t = {'x'} for i = 1, 60 do t = {t, t} end return t", LEAT_ETYPE, NULL},
    // the way out
    {"return load(string.dump(function() end))", LEAT_ELUA, "unknown name 'load'"},
    {"return string.dump(function() end)", LEAT_ELUA, "nil value"},
    {"getmetatable('').__index = 1", LEAT_ELUA, NULL},
    {"local s = string s.rep = nil", LEAT_ELUA, "belongs to the job file"},
    {"return os.time()", LEAT_ELUA, "unknown name 'os'"},
    {"return rawset({}, 1, 1)", LEAT_ELUA, "rawset"},
    {"return string.format('%p', {})", LEAT_ELUA, "addresses"},
    {"error({})", LEAT_ELUA, "table"},
    {"error(nil)", LEAT_ELUA, "no message"},
    {"error(('x'):rep(10 << 20))", LEAT_ELUA, "xxx"},
    {"error('\\xff\\xfe')", LEAT_ELUA, NULL},
    {"for k in pairs({[{}] = 1}) do end", LEAT_ELUA, "fixed order"},
    {"next({1, 2}, 1)", LEAT_ELUA, "use pairs"},
    {"v.x = 1", LEAT_ELUA, "with(v, {x = ...})"},
    {"ctx.key = 1", LEAT_ELUA, "cannot be assigned"},
    {"return ctx.kye", LEAT_ELUA, "ctx has no 'kye' (did you mean 'key'?)"},
    {"return ctx.state", LEAT_ELUA, "only there in :process"},
    {"return ctx.db", LEAT_ELUA, "not available"},
    {"return 0/0", LEAT_ENUMBER, "finite"},
    {"return {1, nil, 3}", LEAT_ETYPE, "holes"},
    {"return {1, x = 2}", LEAT_ETYPE, "not both"},
    {"return print", LEAT_ELUA, "unknown name 'print'"},
    {"from 'x'", LEAT_ELUA, "cannot be used inside a function"},
};

static bool meets_another_bound(const struct hostile *h)
{
    return h->code == LEAT_EBUDGET && h->text != NULL && strcmp(h->text, "time limit") != 0;
}

// Of this thread, as the budget is: how long it had to wait for the processor says nothing.
static int64_t cpu_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

// Every hostile function ends within its budget, with its class and a clean message.
static void test_hostile_code(void **state)
{
    struct fixture *fx = *state;

    for (size_t i = 0; i < ARRAY_LEN(hostiles); i++) {
        const struct hostile *h = &hostiles[i];
        int64_t start = cpu_ms(), took;
        int rc;

        fx->time_ms = meets_another_bound(h) ? SLOW_MS : FAST_MS;
        rc = given_function(fx, h->body);
        if (rc == 0)
            rc = when_called(fx, "{\"x\":1}");
        took = cpu_ms() - start;
        if ((h->code == ANY_ERROR ? rc == 0 : rc != h->code) || took > 15000 ||
            (h->text != NULL && strstr(fx->err.text, h->text) == NULL))
            fail_msg("%s: got %s \"%s\" after %lld ms", h->body, err_name(rc), fx->err.text,
                     (long long)took);
        assert_true(rc == 0 || bytes_is_utf8(bytes_str(fx->err.text)));
        reset(fx);
    }
}

// After a call ran out of time, the next call works in a fresh state.
static void test_spent_state_is_replaced(void **state)
{
    struct fixture *fx = *state;

    assert_int_equal(given_function(fx, "if v.x == 1 then while true do end end return {y = v.x}"),
                     0);
    assert_int_equal(when_called(fx, "{\"x\":1}"), LEAT_EBUDGET);
    assert_int_equal(when_called(fx, "{\"x\":2}"), 0);
    expect_json(&fx->call.result, "{\"y\":2}");
}

// Time is counted per call: many short calls together may take longer than the limit.
static void test_time_is_per_call(void **state)
{
    struct fixture *fx = *state;

    assert_int_equal(given_function(fx, "local n = 0 for i = 1, 100000 do n = n + i end return n"),
                     0);
    for (int i = 0; i < 400; i++) {
        assert_int_equal(when_called(fx, "{}"), 0);
        arena_reset(&fx->arena);
    }
}

// What order, text and numbers a function sees is the same in every state.
static void test_deterministic(void **state)
{
    struct fixture *fx = *state;
    char first[512] = "";

    for (int round = 0; round < 3; round++) {
        struct buf b = BUF_EMPTY;
        assert_int_equal(
            given_function(fx, "local t = {} for i = 1, 50 do t['k' .. i * 7919 % 101] = i end "
                               "local o = {} for k in pairs(t) do o[#o + 1] = k end "
                               "o[#o + 1] = tostring({}) o[#o+1] = math.random(1000) return o"),
            0);
        assert_int_equal(when_called(fx, "{}"), 0);
        assert_int_equal(value_write_json(&fx->call.result, &b, NULL), 0);
        if (round == 0)
            (void)snprintf(first, sizeof(first), "%s", buf_cstr(&b));
        assert_string_equal(first, buf_cstr(&b));
        buf_deinit(&b);
        reset(fx);
    }
}

struct expected {
    const char *body, *json, *result;
};

static const struct expected library[] = {
    {"return ('key = value'):match('^(%w+)%s*=%s*(%w+)$')", "{}", "\"key\""},
    {"return {('hello'):find('l+')}", "{}", "[3,4]"},
    {"return {('a.b'):find('.', 1, true)}", "{}", "[2,2]"},
    {"return (('abc'):gsub('%w', '%0%0'))", "{}", "\"aabbcc\""},
    {"return (('hello world'):gsub('o', {o = '0'}))", "{}", "\"hell0 w0rld\""},
    {"return (('abc'):gsub('', '-'))", "{}", "\"-a-b-c-\""},
    {"return {('abc'):gsub('b*', 'x')}", "{}", "[\"xaxcx\",3]"},
    {"local o = {} for k, w in ('a=1, b=2'):gmatch('(%w+)=(%w+)') do o[#o+1] = k .. w end return o",
     "{}", "[\"a1\",\"b2\"]"},
    {"local o = {} for w in ('one two'):gmatch('%a+') do o[#o+1] = w end return o", "{}",
     "[\"one\",\"two\"]"},
    {"return ('f(a(b)c)d'):match('%b()')", "{}", "\"(a(b)c)\""},
    {"return ('THE (quick) fox'):find('%f[%a]%a+%f[%A]', 5)", "{}", "6"},
    {"return ('abab'):match('^(ab)%1$')", "{}", "\"ab\""},
    {"return ('x]y'):match('[]]')", "{}", "\"]\""},
    {"return ('a-b'):match('[%-]')", "{}", "\"-\""},
    {"return ('[[x]]'):match('%[%[(.-)%]%]')", "{}", "\"x\""},
    {"return ('héllo'):match('^%S+$')", "{}", "\"héllo\""},
    {"return {('abc'):match('()b()')}", "{}", "[2,3]"},
    {"return ('10.0.0.1 \"GET /pay HTTP/1.1\" 500'):match '^(%S+) \"(%u+) (%S+)[^\"]*\" (%d+)'",
     "{}", "\"10.0.0.1\""},
    {"return string.format('%5.2f|%s|%d|%q', 1.5, true, 3, 'x')", "{}",
     "\" 1.50|true|3|\\\"x\\\"\""},
    {"local t = {5, 1, 4} table.sort(t) return t", "{}", "[1,4,5]"},
    {"local t = {{k=1,n=1},{k=0,n=2},{k=1,n=3},{k=0,n=4}} "
     "table.sort(t, function(a, b) return a.k < b.k end) "
     "local o = {} for i, x in ipairs(t) do o[i] = x.n end return o",
     "{}", "[2,4,1,3]"},
    {"local t = {1,2,3} table.insert(t, 2, 9) table.remove(t, 1) return t", "{}", "[9,2,3]"},
    {"return table.concat({1, 'b', 2.5}, ',')", "{}", "\"1,b,2.5\""},
    {"return {pcall(error, 'x')}", "{}", "[false,\"x\"]"},
    {"return {xpcall(function(a) return a end, tostring, 1)}", "{}", "[true,1]"},
    {"return '10' + 5", "{}", "15"},
    {"return math.tointeger('500') or math.tointeger(500.0)", "{}", "500"},
    {"return next({}) == nil", "{}", "true"},
    {"return v.a.b[2].c", "{\"a\":{\"b\":[1,{\"c\":\"deep\"}]}}", "\"deep\""},
    {"return #v.list", "{\"list\":[1,2,3]}", "3"},
    {"local n = 0 for _, x in ipairs(v.list) do n = n + x end return n", "{\"list\":[1,2,3]}", "6"},
    {"local o = {} for k, x in pairs(v) do o[#o+1] = k .. x end return o", "{\"b\":2,\"a\":1}",
     "[\"a1\",\"b2\"]"},
    {"return {has(v, 'x'), has(v, 'y'), v.x == nil}", "{\"x\":null}", "[true,false,true]"},
    {"return with(v, {b = 9, c = null})", "{\"a\":1,\"b\":2}", "{\"a\":1,\"b\":9,\"c\":null}"},
    {"local t = copy(v) t.list[1] = 'x' return t", "{\"list\":[1,2],\"n\":null}",
     "{\"list\":[\"x\",2]}"},
    {"return v", "{\"z\":1.0,  \"a\":[ ]}", "{\"z\":1.0,  \"a\":[ ]}"},
    {"return copy(v)", "{\"z\":1.0,\"a\":[],\"o\":{}}", "{\"a\":[],\"o\":{},\"z\":1.0}"},
    {"return {a = array {}, b = {}, c = 1.0, d = dur '1h30m'}", "{}",
     "{\"a\":[],\"b\":{},\"c\":1.0,\"d\":5400000}"},
    {"return {ctx.topic, ctx.partition, ctx.offset, ctx.now}", "{}", "[\"orders\",0,7,1000]"},
    {"return v.id", "{\"id\":9223372036854775807}", "9223372036854775807"},
};

// The library does what Lua's manual says, and values keep their types both ways.
static void test_library_and_values(void **state)
{
    struct fixture *fx = *state;

    for (size_t i = 0; i < ARRAY_LEN(library); i++) {
        const struct expected *x = &library[i];
        int rc;

        rc = given_function(fx, x->body);
        if (rc == 0)
            rc = when_called(fx, x->json);
        if (rc != 0)
            fail_msg("%s: %s", x->body, fx->err.text);
        expect_json(&fx->call.result, x->result);
        reset(fx);
    }
}

// A value is taken once per level, whatever its size: deep and wide ones cost what they hold.
static void test_deep_values(void **state)
{
    struct fixture *fx = *state;

    assert_int_equal(given_function(fx, "local function nest(d) local t = {} "
                                        "for i = 1, 17 do t['k' .. i] = i end "
                                        "if d > 0 then t.k9 = nest(d - 1) end return t end "
                                        "return nest(50)"),
                     0);
    assert_int_equal(when_called(fx, "{}"), 0);
    assert_int_equal(fx->call.result.object->n, 17);
}

// An error of a function names the job's file and line, and ctx:retry keeps its class.
static void test_error_classes(void **state)
{
    struct fixture *fx = *state;

    assert_int_equal(given_function(fx, "\nreturn ctx:retry 'not here yet'"), 0);
    assert_int_equal(when_called(fx, "{}"), LEAT_EMISSING);
    assert_string_equal(fx->err.text, "jobs/t.lua:3: not here yet");
    reset(fx);
    assert_int_equal(given_function(fx, "assert(v.total, 'no total')"), 0);
    assert_int_equal(when_called(fx, "{}"), LEAT_ELUA);
    assert_string_equal(fx->err.text, "jobs/t.lua:2: no total");
    reset(fx);
    assert_int_equal(given_function(fx, "local ok, m = pcall(ctx.retry, ctx, 'x') error(m, 0)"), 0);
    assert_int_equal(when_called(fx, "{}"), LEAT_EMISSING);
    reset(fx);
    assert_int_equal(given_function(fx, "pcall(ctx.retry, ctx, 'x') error('other')"), 0);
    assert_int_equal(when_called(fx, "{}"), LEAT_ELUA);
}

// ctx:emit collects values in order, each with its own key.
static void test_emit(void **state)
{
    struct fixture *fx = *state;

    assert_int_equal(given_function(fx, "for i = 1, 20 do ctx:emit({i = i}, {key = 'k' .. i}) end"),
                     0);
    assert_int_equal(when_called(fx, "{}"), 0);
    assert_int_equal(fx->call.n_emits, 20);
    expect_json(&fx->call.emits[19].value, "{\"i\":20}");
    expect_json(&fx->call.emits[19].key, "\"k20\"");
    assert_int_equal(fx->call.emits[0].key.type, VALUE_TEXT);
    assert_int_equal(fx->call.result.type, VALUE_MISSING);
}

// Whatever allocation fails, loading ends with an error and leaks nothing.
static void test_every_allocation_fails_once(void **state)
{
    struct fixture *fx = *state;

    for (int64_t n = 0;; n += n < 200 ? 1 : 37) {
        int rc;
        heap_fault_arm(n, true);
        rc = given_function(fx, "return {y = v.x}");
        if (rc == 0)
            rc = when_called(fx, "{\"x\":1}");
        if (!heap_fault_fired()) {
            heap_fault_arm(-1, false);
            assert_int_equal(rc, 0);
            break;
        }
        heap_fault_arm(-1, false);
        assert_true(rc == LEAT_EBUDGET || rc == LEAT_ENOMEM || rc == 0);
        reset(fx);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_library_and_values, setup, teardown),
        cmocka_unit_test_setup_teardown(test_hostile_code, setup, teardown),
        cmocka_unit_test_setup_teardown(test_spent_state_is_replaced, setup, teardown),
        cmocka_unit_test_setup_teardown(test_time_is_per_call, setup, teardown),
        cmocka_unit_test_setup_teardown(test_deterministic, setup, teardown),
        cmocka_unit_test_setup_teardown(test_error_classes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_deep_values, setup, teardown),
        cmocka_unit_test_setup_teardown(test_emit, setup, teardown),
        cmocka_unit_test_setup_teardown(test_every_allocation_fails_once, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
