// SPDX-License-Identifier: Apache-2.0
//
// Random programs over the host's API: the input picks productions of a grammar of Lua with the
// words, libraries and ctx that a job's functions see, and the result runs as a job over the real
// engine and store. Whatever it does, it ends in time, its records are processed or parked, and so
// is one behind each.
//
//   program   := statement*
//   statement := local | assignment | if | loop | call | return | error
//   argument  := constants at the edges, views, tables, functions, other calls
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "operators/operators.h"
#include "projections/jobfile.h"
#include "runtime/base/heap.h"
#include "runtime/engine/driver.h"
#include "scripts/host/script_host.h"

#define CALL_MS 30
#define DEPTH_MAX 4
#define PROGRAM_BYTES_MAX 20000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct grammar {
    const uint8_t *at, *end;
    struct buf out;
    int depth;
};

static unsigned pick(struct grammar *g, unsigned n)
{
    return g->at < g->end ? *g->at++ % n : 0;
}

static const char *one(struct grammar *g, const char *const *list, size_t n)
{
    return list[pick(g, (unsigned)n)];
}

#define ONE(g, list) one(g, list, sizeof(list) / sizeof(list[0]))

static const char *const constants[] = {
    "nil", "null", "true", "0", "1", "-1", "2", "1 << 62", "math.mininteger", "0.5", "1e308", "0/0",
    "''", "'a'", "'x-1'", "'%w+'", "'(.-)%1'", "'[%a'", "'%b()'", "'%f[%w]'", "'2026-01-01'",
    "'1h30m'", "'select 1'", "'select * from rows'", "'update rows set n = n + ?1'", "'id'", "'n'",
    "('x'):rep(1000)", "'\\0\\xff'", "v", "v.a", "v.list", "v.list[1]", "v.no", "ctx", "ctx.db",
    "ctx.db.rows", "{}", "{ 1, 2, 3 }", "{ id = 'a', n = 1 }", "{ key = 'k' }", "array {}", "x",
    "function(a, b) return a end", "function(...) error(...) end",
    "setmetatable({}, { __index = x })",
    "setmetatable({}, { __len = function() return 1 << 50 end })", "print", "string", "math.pi",
};

static const char *const calls[] = {
    "string.rep", "string.find", "string.match", "string.gsub", "string.gmatch", "string.format",
    "string.sub", "string.byte", "string.char", "string.len", "string.lower", "string.reverse",
    "string.pack", "string.unpack", "table.insert", "table.remove", "table.concat", "table.sort",
    "table.move", "table.unpack", "table.pack", "math.floor", "math.random", "math.tointeger",
    "math.max", "math.fmod", "utf8.char", "utf8.len", "utf8.codepoint", "tostring", "tonumber",
    "type", "select", "pcall", "xpcall", "error", "assert", "rawget", "rawlen", "rawequal", "next",
    "pairs", "ipairs", "setmetatable", "getmetatable", "has", "with", "copy", "array", "dur",
    "ctx.emit", "ctx.retry", "ctx.timer", "ctx.cancel", "ctx.db.sql", "ctx.db.rows.get",
    "ctx.db.rows.put", "ctx.db.rows.insert", "ctx.db.rows.patch", "ctx.db.rows.add",
    "ctx.db.rows.delete", "from", "job", "x",
};

static const char *const methods[] = {
    "ctx:emit", "ctx:retry", "ctx:timer", "ctx.db:sql", "ctx.db.rows:get", "ctx.db.rows:put",
    "ctx.db.rows:insert", "ctx.db.rows:patch", "ctx.db.rows:add", "ctx.db.rows:delete",
};

static const char *const operations[] = {" + ", " - ", " * ", " / ", " // ", " % ", " ^ ", " .. ",
                                         " == ", " < ", " <= ", " and ", " or ", " << ", " ~ "};

static const char *const fields[] = {".a", ".list", "[1]", "['n']", ".key", ".topic", ".headers",
                                     ".state", ".time", ".__index", ".rows"};

static void expression(struct grammar *g);

static void arguments(struct grammar *g)
{
    unsigned n = pick(g, 4);

    buf_append_str(&g->out, "(");
    for (unsigned i = 0; i < n; i++) {
        if (i > 0)
            buf_append_str(&g->out, ", ");
        expression(g);
    }
    buf_append_str(&g->out, ")");
}

static void expression(struct grammar *g)
{
    if (g->depth >= DEPTH_MAX || g->out.n > PROGRAM_BYTES_MAX) {
        buf_append_str(&g->out, ONE(g, constants));
        return;
    }
    g->depth++;
    switch (pick(g, 8)) {
    case 0:
    case 1:
        buf_append_str(&g->out, ONE(g, calls));
        arguments(g);
        break;
    case 2:
        buf_append_str(&g->out, ONE(g, methods));
        arguments(g);
        break;
    case 3:
        buf_append_str(&g->out, "(");
        expression(g);
        buf_append_str(&g->out, ONE(g, operations));
        expression(g);
        buf_append_str(&g->out, ")");
        break;
    case 4:
        buf_append_str(&g->out, pick(g, 2) == 0 ? "#(" : "(");
        expression(g);
        buf_append_str(&g->out, ")");
        buf_append_str(&g->out, ONE(g, fields));
        break;
    case 5:
        buf_append_str(&g->out, "{ id = ");
        expression(g);
        buf_append_str(&g->out, ", n = ");
        expression(g);
        buf_append_str(&g->out, " }");
        break;
    default:
        buf_append_str(&g->out, ONE(g, constants));
    }
    g->depth--;
}

static void statement(struct grammar *g);

static void block(struct grammar *g, const char *head, const char *between)
{
    buf_append_str(&g->out, head);
    expression(g);
    buf_append_str(&g->out, between);
    for (unsigned n = 1 + pick(g, 2); n > 0; n--)
        statement(g);
    buf_append_str(&g->out, "end\n");
}

static void statement(struct grammar *g)
{
    if (g->depth >= DEPTH_MAX || g->out.n > PROGRAM_BYTES_MAX)
        return;
    g->depth++;
    switch (pick(g, 8)) {
    case 0:
        if (pick(g, 8) == 0) // rarely: endless ones take the time limit
            block(g, "while ", " do\n");
        break;
    case 1:
        block(g, "for i = 1, 1000 do local y = i, ", "\n");
        break;
    case 2:
        block(g, "if ", " then\n");
        break;
    case 3:
        buf_append_str(&g->out, "do local t = {} t.x = ");
        expression(g);
        buf_append_str(&g->out, " x = t end\n");
        break;
    case 4:
        buf_append_str(&g->out, "if v then return ");
        expression(g);
        buf_append_str(&g->out, " end\n");
        break;
    default:
        buf_append_str(&g->out, "x = ");
        expression(g);
        buf_append_str(&g->out, "\n");
    }
    g->depth--;
}

static char *given_program(const uint8_t *data, size_t size)
{
    struct grammar g = {.at = data, .end = data + size, .out = BUF_EMPTY};

    buf_append_str(&g.out,
                   "job 'fuzz' { version = 1, errors = { retry = {} } }\n"
                   "local rows = table 'rows' [[ id text primary key, n integer check (n < 9) ]]\n"
                   "from 'in' :map(function(v, ctx)\n"
                   "if v.good then ctx.db.rows:put { id = 'good' } return v end\n"
                   "local x = v\n");
    while (g.at < g.end && g.out.n < PROGRAM_BYTES_MAX)
        statement(&g);
    buf_append_str(&g.out, "end):to 'out'\n");
    return (char *)(uintptr_t)buf_cstr(&g.out); // the buffer's memory
}

static int open_store(void *arg, const struct plan *p, struct store **out, struct err *e)
{
    struct jobfile_options o = {.path = NULL};

    (void)arg;
    return jobfile_open(out, p, &o, e);
}

static void close_store(void *arg, struct store *s)
{
    (void)arg;
    jobfile_close(s);
}

static void check(bool holds, const char *what, const char *program, const struct err *e)
{
    if (holds)
        return;
    fprintf(stderr, "%s: %s\n%s\n", what, e->text, program);
    abort();
}

// Each has a key of its own: what fails parks those behind it.
static const char *const values[] = {
    "{\"a\":1,\"list\":[1,{\"a\":\"x\"}]}",
    "{}",
    "{\"a\":null,\"list\":{\"n\":1.5},\"n\":\"%s\"}",
    "{\"a\":-9223372036854775808,\"n\":9223372036854775807,\"list\":[[],[[]],\"\",1e308]}",
    "[1,2,3]",
    "\"text\"",
    "{\"a\":{\"a\":{\"a\":{\"a\":[]}}},\"id\":\"good\",\"list\":\"abcabc\"}",
};

static void send(struct driver *d, int key, const char *value, const char *program)
{
    char name[12];
    struct driver_record r = {.value = bytes_str(value), .timestamp = -1};
    struct err e = {0};

    snprintf(name, sizeof name, "k%d", key);
    r.key = bytes_str(name);

    check(driver_send(d, "in", &r, &e) == 0 && driver_run(d, &e) == 0, "the job stopped", program,
          &e);
}

static void run_job(const struct plan *p, const char *program)
{
    struct driver_config c = {.plan = p,
                              .operators = operator_types(),
                              .stores = {.open = open_store, .close = close_store},
                              .start_ms = INT64_C(1767225600000),
                              .n_partitions = 1};
    const struct batch_record *out;
    struct err e = {0};
    struct driver *d;

    check(driver_open(&d, &c, &e) == 0, "the job does not open", program, &e);
    for (int i = 0; i < (int)ARRAY_LEN(values); i++)
        send(d, i, values[i], program);
    (void)driver_take(d, "out", &out);
    for (int i = 0; i < (int)ARRAY_LEN(values); i++) {
        int64_t parked = driver_store(d)->ops->park_count(driver_store(d));

        send(d, i, "{\"good\":true}", program);
        check(driver_take(d, "out", &out) == 1 ||
                  driver_store(d)->ops->park_count(driver_store(d)) == parked + 1,
              "the next record is gone", program, &e);
    }
    driver_close(d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *program = given_program(data, size);
    struct script_options o = {.file = "fuzz.lua", .text = bytes_str(program)};
    struct plan *p = NULL;
    struct err e = {0};

    if (script_load(&p, &o, &e) == 0) {
        struct script *s = p->owner;
        s->time_ms = CALL_MS; // from the next fresh state on
        s->host.spent = true;
        run_job(p, program);
        plan_free(p);
    } else if (strstr(e.text, "fuzz.lua:") == NULL && e.code != LEAT_EBUDGET) {
        check(false, "an error without a line", program, &e);
    }
    heap_free(program);
    return 0;
}
