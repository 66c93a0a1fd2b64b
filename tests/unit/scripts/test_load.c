// SPDX-License-Identifier: Apache-2.0
//
// Job files to plans: what a good file means, and what a bad one is told.
#include "tests/unit/scripts/support.h"

#include "runtime/engine/plan.h"

struct refused {
    const char *text, *error; // the error exactly, or its beginning where it ends in "..."
};

#define JOB "job 'j' { version = 1 }\n"

static const struct refused refusals[] = {
    {"frm 'a'", "jobs/t.lua:1: unknown name 'frm' (did you mean 'from'?)"},
    {"x = 1", "jobs/t.lua:1: 'x' would be a global, which a job does not have: write 'local x = "
              "...'"},
    {"job 'j' {", "jobs/t.lua:1: unexpected symbol near <eof>"},
    {"\27Lua", "jobs/t.lua..."},
    {"", "jobs/t.lua:1: no job is declared: job \"name\" { version = 1 }"},
    {"return { topics = {} }", "jobs/t.lua:1: no job is declared: job \"name\" { version = 1 }; "
                               "settings are read from files named leat.lua"},
    {"job 'A b'", "jobs/t.lua:1: job \"A b\": a name is a-z, 0-9, '.', '_' and '-', and does not "
                  "start with a dot"},
    {"job '.a'", "jobs/t.lua:1: job \".a\": ..."},
    {"job 'j' { version = 0 }", "jobs/t.lua:1: in job: version: must be a whole number from 1 up"},
    {"job 'j' { versoin = 1 }",
     "jobs/t.lua:1: unknown option 'versoin' of job (did you mean 'version'?)"},
    {"job 'j' { rebuild = { outputs = 'shout' } }",
     "jobs/t.lua:1: in rebuild: outputs is \"mute\" or \"publish\", not \"shout\""},
    {JOB "job 'k'", "jobs/t.lua:2: a file is one job: it is \"j\" already (line 1)"},
    {JOB, "jobs/t.lua:1: the job reads nothing: from \"topic\" ..."},
    {JOB "from 'a' { disorer = '5s' }",
     "jobs/t.lua:2: unknown option 'disorer' of from (did you mean 'disorder'?)"},
    {JOB "from 'a' { disorder = '5 parsecs' }",
     "jobs/t.lua:2: in from: '5 parsecs' is not a duration; write \"1h30m\", \"500ms\", \"7d\""},
    {JOB "from 'a' { format = 'jsn' }",
     "jobs/t.lua:2: in from: unknown format 'jsn' (did you mean 'json'?)"},
    {JOB "from 'a' { schema = 's' }",
     "jobs/t.lua:2: in from: schema = \"s\" is a subject of a schema registry, which this version "
     "does not have: ..."},
    {JOB "from 'a' { schema = {} }",
     "jobs/t.lua:2: in from: schema wants what schema \"name\" { ... } gives"},
    {JOB "from 'a'\n  :wher 'x > 1'\n  :to 'b'",
     "jobs/t.lua:3: a stream has no method 'wher' (did you mean 'where'?)"},
    {JOB "from 'a'\n\n  :process {}",
     "jobs/t.lua:4: in process: on = function(value, ctx) is missing"},
    {JOB "from 'a' :flatmap 'x'", "jobs/t.lua:2: :flatmap wants a function(value, ctx) that "
                                  "returns a list, not a string"},
    {JOB "from 'a' :dedupe {}",
     "jobs/t.lua:2: in dedupe: within is missing: how long an id is remembered"},
    {JOB "from 'a' :explode 'a + b'",
     "jobs/t.lua:2: in explode: the element needs a name: :explode(list, \"name\")"},
    {JOB "from 'a' :split() :to 'b'", "jobs/t.lua:2: :split wants at least one expression"},
    {JOB "from 'a' :merge('b') :to 'b'", "jobs/t.lua:2: :merge wants streams: a:merge(b, c)"},
    {JOB "from 'a' :changes() :to 'b'", "jobs/t.lua:2: a stream does not change its mind: ..."},
    {JOB "from 'a' :join(from 'b', { as = 'b', on = 'x', within = { 0, 1 } }) :to 'c'",
     "jobs/t.lua:2: in join: two streams join on their key: on, at and wait are for tables"},
    {JOB "from 'a' :join(from 'b', { as = 'b', within = { '1m', '-1m' } }) :to 'c'",
     "jobs/t.lua:2: in join: within ends before it starts"},
    {JOB "local o = table 'o' [[id text primary key]]\nfrom 'a' :into(o)\n"
         "from 'b' :join(o, { as = 'o', on = 'x', kind = 'outer' }) :to 'c'",
     "jobs/t.lua:4: in join: with a table, kind is \"inner\" or \"left\""},
    {JOB "from 'a' :by 'k' :window { gap = '0s' }",
     "jobs/t.lua:2: in window: gap must be longer than nothing"},
    {JOB "from 'a' :by 'k' :window { last = '1m', every = '1m' }",
     "jobs/t.lua:2: in window: last and every do not go together"},
    {JOB "from 'a' :by 'k' :window { size = '1m', every = '2m' }",
     "jobs/t.lua:2: in window: every is longer than size, so records would fall between"},
    {JOB "from 'a' :by 'k' :window { size = '1d', tz = 'Europe/Olso' } :aggregate { n = count() }\n"
         "  :into 't'",
     "jobs/t.lua:2: in window: there is no time zone \"Europe/Olso\": names are such as "
     "\"Europe/Oslo\", and the system's tz database must be installed"},
    {JOB "from 'a' :by 'k' :window { size = '1d', tz = '../passwd' } :aggregate { n = count() }\n"
         "  :into 't'",
     "jobs/t.lua:2: in window: \"../passwd\" is no name of a time zone"},
    {JOB "from 'a' :by 'k' :window { size = '12h', tz = 'Europe/Oslo' }",
     "jobs/t.lua:2: in window: tz is for windows of whole days: size = \"1d\""},
    {JOB "from 'a' :by 'k' :window { gap = '1d', tz = 'Europe/Oslo' }",
     "jobs/t.lua:2: in window: tz is for windows of whole days: size = \"1d\""},
    {JOB "from 'a' :by 'k' :window { size = '1d', tz = 1 }",
     "jobs/t.lua:2: in window: tz is the name of a time zone, such as \"Europe/Oslo\""},
    {JOB "from 'a' :by 'k' :aggregate { p = quantile(9, 'x') }",
     "jobs/t.lua:2: quantile wants a number from 0 to 1 first: quantile(0.95, \"field\")"},
    {JOB "from 'a' :by 'k' :aggregate { p = top('x') }",
     "jobs/t.lua:2: top wants how many first: top(3, \"amount\", { \"name\", \"amount\" })"},
    {JOB "from 'a' :by 'k' :aggregate { p = top(2000, 'x', { 'y' }) }",
     "jobs/t.lua:2: in aggregate: top keeps 1 to 1000 records"},
    {JOB "from 'a' :by 'k' :aggregate { p = 'x' }",
     "jobs/t.lua:2: in aggregate: write name = count(), name = avg \"field\", ..."},
    {JOB "from 'a' :by 'k' :aggregate { p = avg() }",
     "jobs/t.lua:2: avg wants an expression: avg \"field\""},
    {JOB "from 'a' :by 'k' :aggregate { n = count() } :to 'b'",
     "jobs/t.lua:2: an aggregate is a table, which changes: ..."},
    {JOB "from 'a' :by 'k' :aggregate { n = count() } :final()",
     "jobs/t.lua:2: :final() needs a window: without one nothing ever closes"},
    {JOB "from 'a' :by 'k' :window { size = '1m' } :late() :to 'b'",
     "jobs/t.lua:2: :late() needs an :aggregate on its window"},
    {JOB "from.outbox 'shop'", "jobs/t.lua:2: from.outbox wants {name = \"shop\", ..."},
    {JOB "from.outbox { sqlite = 'x' }", "jobs/t.lua:2: in from.outbox: name must be a text"},
    {JOB "from.outbox { name = 'a', table = 'b' }",
     "jobs/t.lua:2: in from.outbox: sqlite, the path of the database, must be a text"},
    {JOB "from.outbox { name = 'a', sqlite = 'x' }",
     "jobs/t.lua:2: in from.outbox: table must be a text"},
    {JOB "from.outbox { name = 'a', postgres = 'host=db', table = 'b' }",
     "jobs/t.lua:2: in from.outbox: postgres is not supported by this version; ..."},
    {JOB "from.outbox { name = 'a', sqlite = 'x', table = 'b', after = 'drop' }",
     "jobs/t.lua:2: in from.outbox: after is \"delete\", \"mark\" or \"keep\", not \"drop\""},
    {JOB "from.outbox { name = 'a', sqlite = 'x', tabel = 'b' }",
     "jobs/t.lua:2: unknown option 'tabel' of from.outbox (did you mean 'table'?)"},
    {JOB "from.outbox { name = 'b', sqlite = 'x', table = 'b' } :to 'b'",
     "jobs/t.lua:2: in from.outbox: \"b\" is a topic that this job writes; ..."},
    {JOB "from 'a' :to 'b'\nfrom.outbox { name = 'a', sqlite = 'x', table = 'b' } :to 'c'",
     "jobs/t.lua:3: from \"a\" stands on line 2 already: ..."},
    {JOB "local s = schema 'x'", "jobs/t.lua:2: schema \"x\" has no fields: ..."},
    {JOB "local s = schema 'x' {}", "jobs/t.lua:2: in schema: x has no fields"},
    {JOB "local s = schema 'x' { 'text' }",
     "jobs/t.lua:2: schema \"x\" wants its fields by name: { field = \"text\" }"},
    {JOB "local s = schema 'x' { a = { b = 'txt' } }",
     "jobs/t.lua:2: in schema: x.a.b: \"txt\" is not a type; there are text number integer bool "
     "time decimal(p,s) json any, with a ? behind for what may be missing"},
    {JOB "local s = schema 'x' { a = 'decimal(20,2)' }",
     "jobs/t.lua:2: in schema: x.a: a decimal is written decimal(p,s), 1 <= p <= 18 and ..."},
    {JOB "local s = schema 'x' { a = { 'text', 'number' } }",
     "jobs/t.lua:2: in schema: x.a: a list has one type: { \"text\" }"},
    {JOB "local s = schema 'x' { a = 5 }", "jobs/t.lua:2: in schema: x.a: a type is a text ..."},
    {JOB "local s = schema 'x' { a = 'text' }\nlocal t = schema 'x' { a = 'text' }",
     "jobs/t.lua:3: schema 'x' is declared twice"},
    {JOB "from 'a' :where 'x >' :to 'b'", "jobs/t.lua:2: in where: expression \"x >\": ..."},
    {JOB "from 'a' :where {} ", "jobs/t.lua:2: in where: an expression is a text, a function or a "
                                "constant, not a table"},
    {JOB "from 'a' :select { 'a + 1' } :to 'b'",
     "jobs/t.lua:2: in select: field 1 needs a name: name = \"a + 1\""},
    {JOB "from 'a' :select { 'x', x = 'y' } :to 'b'",
     "jobs/t.lua:2: in select: the field 'x' is there twice"},
    {JOB "from 'a' :map 'x'", "jobs/t.lua:2: :map wants a function(value, ctx), not a string"},
    {JOB "from 'a' :to('b', { kye = 'x' })",
     "jobs/t.lua:2: unknown option 'kye' of to (did you mean 'key'?)"},
    {JOB "from 'a' :into 'orders'", "jobs/t.lua:2: unknown table 'orders'"},
    {JOB "local o = table 'orders' [[id text primary key]]\nfrom 'a' :into 'ordres'",
     "jobs/t.lua:3: unknown table 'ordres' (did you mean 'orders'?)"},
    {JOB "from 'a' :by 'k' :window { size = '1h' } :aggregate({ n = count() }, { ttl = '1d' })"
         " :into 'o'",
     "jobs/t.lua:2: in aggregate: ttl is for aggregates without a window; rows of windows go by "
     "the ttl of their table"},
    {JOB "from 'a' :by 'k' :aggregate({ n = count() }, { ttl = 'x' }) :into 'o'",
     "jobs/t.lua:2: in aggregate: 'x' is not a duration; ..."},
    {JOB "local s = from 'a' { on_gap = 'stop' }",
     "jobs/t.lua:2: option 'on_gap' of from is not supported by this version"},
    {JOB "local o = table 'o' [[id text primary key]] { history = 'long' }",
     "jobs/t.lua:2: in table: 'long' is not a duration; write \"1h30m\", \"500ms\", \"7d\""},
    {JOB "local o = table 'o' [[id text primary key]]\n"
         "from 'a' :join(o, { on = 'o', as = 'o', at = '$time' }) :to 'b'",
     "jobs/t.lua:3: in join: at asks for rows as they were, and table o keeps none of them: "
     "table \"o\" [[...]] { history = \"30d\" }"},
    {JOB "local o = table 'o'", "jobs/t.lua:2: table \"o\" has no columns: ..."},
    {JOB "local o = table 'o' [[id text primary key]]\no:put { id = 'x' }\nfrom 'a' :to 'b'",
     "jobs/t.lua:3: o:put is an action: it belongs into a :match"},
    {JOB "local o = table 'o' [[id text primary key]]\no:changes()",
     "jobs/t.lua:3: in changes: nothing writes table o"},
    {JOB "local o = table 'o' [[id text primary key]]\nfrom 'a' :into(o)\no:changes() :into(o)",
     "jobs/t.lua:4: in into: it writes table o, whose changes() (line 4) lead here: ..."},
    {JOB "local o = table 'o' [[id text primary key]]\no:putt {}",
     "jobs/t.lua:3: a table has no method 'putt' (did you mean 'put'?)"},
    {JOB "from 'a' :match 'type'", "jobs/t.lua:2: :match has no cases: ..."},
    {JOB "from 'a' :match 'type' { X = 1 }",
     "jobs/t.lua:2: in match: X: want an action (orders:put {...}), a list of them, or a function"},
    {JOB "local n = 0\nfrom 'a' :map(function(v)\n  n = n + 1\n  return v\nend)",
     "jobs/t.lua:4: 'n' is changed here but is lost on restart: keep it in a table of the job"},
    {JOB "local n = {}\nfrom 'a' :map(function(v)\n  n.x = 1\nend)",
     "jobs/t.lua:4: 'n' is changed here but is lost on restart: keep it in a table of the job"},
    {JOB "from 'a' :map(function(v)\n  y = 1\nend)",
     "jobs/t.lua:3: a global is changed here, which a job does not have: use a local"},
    {JOB "local n = 0\nlocal function inc() n = n + 1 end\nfrom 'a' :map(function(v) inc() end)",
     "jobs/t.lua:3: 'n' is changed here but is lost on restart: keep it in a table of the job"},
    {JOB "local limit = param('limit')",
     "jobs/t.lua:2: parameter 'limit' has no default: give it with -p limit=..."},
    {JOB "query 'q' { params = { a = 'tekst' }, sql = 'select 1' }",
     "jobs/t.lua:2: in query: parameter a: \"tekst\" is not a type"},
    {JOB "local m = require 'money'", "jobs/t.lua:2: require \"money\": there is no "
                                     "jobs/lib/money.lua and no lib/money.lua"},
    {JOB "while true do end", "jobs/t.lua:2: runs longer than its time limit"},
};

static void expect_error(const char *got, const char *want, const char *text)
{
    size_t n = strlen(want);
    bool prefix = n > 3 && strcmp(want + n - 3, "...") == 0 && want[n - 4] != '"';

    if (strcmp(got, want) == 0 || (prefix && strncmp(got, want, n - 3) == 0))
        return;
    fail_msg("\n%s\ngot:  %s\nwant: %s", text, got, want);
}

static int load(struct plan **p, const char *text, const char *const *params, struct err *e)
{
    struct script_options o = {.file = "jobs/t.lua", .text = bytes_str(text), .params = params};

    return script_load(p, &o, e);
}

// A file that cannot be a job is refused with its file, its line and what to write instead.
static void test_refusals(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
        struct plan *p = NULL;
        struct err e = {0};
        int rc = load(&p, refusals[i].text, NULL, &e);

        if (rc == 0)
            fail_msg("loaded: %s", refusals[i].text);
        expect_error(e.text, refusals[i].error, refusals[i].text);
    }
}

static const char stock[] =
    "job 'stock' {\n"
    "  version = 3,\n"
    "  errors = { retry = { '1s', '1m' }, park = 'record', dead = 'stock.dead', limit = 7 },\n"
    "  commit = { records = 10, every = '20ms' },\n"
    "}\n"
    "local low = param('low', 5)\n"
    "local parts = table 'parts' [[\n"
    "  id text primary key, name text not null, n integer not null default 0\n"
    "]] { index = { 'name', 'n desc' } }\n"
    "local moves = from 'stock.moves' { time = 'at', disorder = '5s', idle = false }\n"
    "moves:match 'kind' {\n"
    "  Added = { parts:put { id = 'part', name = 'name' }, parts:add('part', { n = 'qty' }) },\n"
    "  Taken = function(e, ctx)\n"
    "    ctx.db.parts:add(e.part, { n = -e.qty })\n"
    "    return { part = e.part, low = low }\n"
    "  end,\n"
    "  Gone = parts:delete 'part',\n"
    "  _ = function() end,\n"
    "}\n"
    "  :where('n < ? and x ~= ?', low, nil)\n"
    "  :select { 'part', 'a.site', '$time', z = 1, b = 'upper(name)', f = function(v) return 1 "
    "end }\n"
    "  :to('stock.low', { key = 'part', headers = { src = \"'stock'\" } })\n"
    "local by = moves:by('part', 'lower(site)')\n"
    "local w = by:window { size = '1h', grace = '5m' } :name 'hourly'\n"
    "w:late():to 'stock.late'\n"
    "local agg = w:aggregate { n = count(), big = count 'qty > 9', q = sum 'qty', last = last "
    "'qty' }\n"
    "agg:into 'stock_1h'\n"
    "agg:final():to 'stock.hours'\n"
    "every '1h' :select { at = '$time' } :to 'ticks'\n"
    "query 'low' { params = { n = 'integer = 5', name = 'text?' }, sql = 'select 1', one = true }\n"
    "view 'all_parts' [[ select * from parts ]]\n"
    "test('x', function(t) end)\n";

static const struct plan_node *find(const struct plan *p, enum node_kind k, int nth)
{
    for (int i = 0; i < p->n_nodes; i++) {
        if (p->nodes[i].kind == k && nth-- == 0)
            return &p->nodes[i];
    }
    fail_msg("no node of kind %s", node_kind_name(k));
    return NULL;
}

// What a job does not say: when a commit ends, how often and when a record is tried again, how many
// may be parked.
static void test_defaults(void **state)
{
    static const int64_t retry_ms[] = {1000, 10000, 60000, 600000};
    struct plan *p = NULL;
    struct err e = {0};

    (void)state;
    assert_int_equal(load(&p, JOB "from 'a' :to 'b'", NULL, &e), 0);
    assert_int_equal(p->commit.records, 100000);
    assert_int_equal(p->commit.bytes, 32 << 20);
    assert_int_equal(p->commit.every_ms, 100);
    assert_int_equal(p->errors.n_retry, ARRAY_LEN(retry_ms));
    for (size_t i = 0; i < ARRAY_LEN(retry_ms); i++)
        assert_int_equal(p->errors.retry_ms[i], retry_ms[i]);
    assert_int_equal(p->errors.park, PARK_KEY);
    assert_int_equal(p->errors.limit, 10000);
    assert_null(p->errors.dead);
    plan_free(p);
}

static void expect_job(const struct plan *p)
{
    assert_string_equal(p->job, "stock");
    assert_int_equal(p->version, 3);
    assert_int_equal(p->errors.n_retry, 2);
    assert_int_equal(p->errors.retry_ms[1], 60000);
    assert_int_equal(p->errors.park, PARK_RECORD);
    assert_string_equal(p->errors.dead, "stock.dead");
    assert_int_equal(p->errors.limit, 7);
    assert_int_equal(p->commit.records, 10);
    assert_int_equal(p->commit.every_ms, 20);
    assert_int_equal(p->n_views, 1);
    assert_int_equal(p->n_queries, 1);
    assert_true(p->queries[0].one);
    assert_string_equal(p->queries[0].params[0].name, "n");
    assert_int_equal(p->queries[0].params[0].fallback.i, 5);
    assert_true(p->queries[0].params[1].nullable);
    assert_string_equal(p->tables[0].name, "parts");
    assert_int_equal(p->tables[0].n_indexes, 2);
}

static void expect_match(const struct plan *p)
{
    const struct plan_node *m = find(p, NODE_MATCH, 0);
    const struct plan_case *added = &m->match.cases[0];

    assert_int_equal(m->line, 11);
    assert_int_equal(m->match.n, 4);
    assert_true(bytes_eq_str(added->type, "Added"));
    assert_int_equal(added->n_actions, 2);
    assert_int_equal(added->actions[0].verb, VERB_PUT);
    assert_int_equal(added->actions[0].n_cells, 2);
    assert_int_equal(added->actions[1].verb, VERB_ADD);
    assert_int_equal(added->actions[1].line, 12);
    assert_true(bytes_is_null(added->actions[1].key[0].name));
    assert_string_equal(added->actions[1].key[0].expr.text, "part");
    assert_non_null(m->match.cases[2].fn); // Added, Gone, Taken, _
    assert_true(bytes_is_null(m->match.cases[3].type));
}

// A file with every supported word means exactly what it says.
static void test_plan_contents(void **state)
{
    const char *params[] = {"low=9", NULL};
    const struct plan_node *n;
    struct plan *p = NULL;
    struct err e = {0};
    int rc = load(&p, stock, params, &e);

    (void)state;
    if (rc != 0)
        fail_msg("%s", e.text);
    expect_job(p);
    expect_match(p);
    n = find(p, NODE_SOURCE, 0);
    assert_string_equal(n->source.topic, "stock.moves");
    assert_string_equal(n->source.time.text, "at");
    assert_int_equal(n->source.disorder_ms, 5000);
    assert_int_equal(n->source.idle_ms, -1);
    n = find(p, NODE_WHERE, 0);
    assert_int_equal(n->line, 20);
    assert_int_equal(n->where.condition.n_binds, 2);
    assert_int_equal(n->where.condition.binds[0].i, 9);
    assert_true(value_is_nil(&n->where.condition.binds[1]));
    n = find(p, NODE_SELECT, 0);
    assert_int_equal(n->select.n, 6);
    assert_true(bytes_eq_str(n->select.fields[1].name, "site"));
    assert_true(bytes_eq_str(n->select.fields[2].name, "time"));
    assert_true(bytes_eq_str(n->select.fields[3].name, "b"));
    assert_non_null(n->select.fields[4].expr.fn);
    assert_int_equal(n->select.fields[5].expr.constant.i, 1);
    n = find(p, NODE_TO, 0);
    assert_true(n->to.has_key);
    assert_int_equal(n->to.n_headers, 1);
    n = find(p, NODE_AGGREGATE, 0);
    assert_int_equal(n->aggregate.window.kind, WINDOW_TUMBLING);
    assert_int_equal(n->aggregate.window.grace_ms, 300000);
    assert_int_equal(n->aggregate.n, 4);
    assert_string_equal(n->name, "hourly");
    assert_int_equal(n->n_outs[OUT_LATE], 1);
    assert_int_equal(n->n_outs[OUT_FINAL], 1);
    n = find(p, NODE_EVERY, 0);
    assert_int_equal(n->every.interval_ms, 3600000);
    plan_free(p);
}

static uint64_t fingerprint(const char *text)
{
    struct plan *p = NULL;
    struct err e = {0};
    uint64_t f;
    int rc = load(&p, text, NULL, &e);

    if (rc != 0)
        fail_msg("%s", e.text);
    f = p->fingerprint;
    plan_free(p);
    return f;
}

#define MAP "from 'a' :map(function(v) local x = v.x return {y = x * n} end) :to 'b'"

// Comments, lines, spaces and names of locals do not change a plan.
static void test_same_fingerprints(void **state)
{
    static const char *const same[][2] = {
        {JOB "local n = 5\n" MAP, JOB "-- a comment\n\nlocal n = 5 -- five\n\n" MAP},
        {JOB "local n = 5\n" MAP, JOB "local m = 5\nfrom 'a'\n  :map(function(w)\n"
                                      "  local z = w.x\n  return {y = z * m} end)\n  :to 'b'"},
        {JOB "from 'a' :where 'x > 1 and y' :to 'b'",
         JOB "from 'a' :where 'x  >  1 and(y)' :to 'b'"},
        {JOB "from 'a' :where('x > ?', 1) :to 'b'", JOB "from 'a' :where('x > 1') :to 'b'"},
        {JOB "local t = {a = 1, b = 2}\nfrom 'a' :map(function(v) return t end) :to 'b'",
         JOB "local u = {b = 2, a = 1}\nfrom 'a' :map(function(v) return u end) :to 'b'"},
        {JOB "local function f(x) return x end\nfrom 'a' :map(function(v) return f(v) end) :to 'b'",
         JOB "local g = function(y)\n  return y\nend\n\n"
             "from 'a' :map(function(v) return g(v) end) :to 'b'"},
        {JOB "local d = '1h'\nfrom 'a' :by 'k' :window { size = d } :aggregate { n = count() }"
             " :final() :to 'b'",
         JOB "from 'a' :by 'k' :window { size = '60m' } :aggregate { n = count() }"
             " :final() :to 'b'"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(same); i++)
        if (fingerprint(same[i][0]) != fingerprint(same[i][1]))
            fail_msg("these differ:\n%s\n\n%s", same[i][0], same[i][1]);
}

// What a plan does changes it: code, constants, and whatever the code reads from outside.
static void test_other_fingerprints(void **state)
{
    static const char *const other[][2] = {
        {JOB "local n = 5\n" MAP, JOB "local n = 6\n" MAP},
        {JOB "local n = 5\n" MAP, JOB "local n = 5.0\n" MAP},
        {JOB "local n = 5\n" MAP, JOB "local n = '5'\n" MAP},
        {JOB "local n = 5\n" MAP, JOB "local n = 5\nfrom 'a' :map(function(v) local x = v.x return"
                                      " {y = x + n} end) :to 'b'"},
        {JOB "from 'a' :where 'x > 1' :to 'b'", JOB "from 'a' :where 'x >= 1' :to 'b'"},
        {JOB "from 'a' :where('x > ?', 1) :to 'b'", JOB "from 'a' :where('x > ?', 2) :to 'b'"},
        {JOB "local t = {a = {1}}\nfrom 'a' :map(function(v) return t end) :to 'b'",
         JOB "local t = {a = {2}}\nfrom 'a' :map(function(v) return t end) :to 'b'"},
        {JOB "local t = setmetatable({}, {__index = {a = 1}})\n"
             "from 'a' :map(function(v) return t.a end) :to 'b'",
         JOB "local t = setmetatable({}, {__index = {a = 2}})\n"
             "from 'a' :map(function(v) return t.a end) :to 'b'"},
        {JOB "local f = math.floor\nfrom 'a' :map(function(v) return {y = f(v.x)} end) :to 'b'",
         JOB "local f = math.ceil\nfrom 'a' :map(function(v) return {y = f(v.x)} end) :to 'b'"},
        {JOB "local function f(x) return x end\nfrom 'a' :map(function(v) return f(v) end) :to 'b'",
         JOB "local function f(x) return {x = x} end\n"
             "from 'a' :map(function(v) return f(v) end) :to 'b'"},
        {JOB "from 'a' :by 'k' :aggregate { n = count(), m = count 'x' } :into 't'",
         JOB "from 'a' :by 'k' :aggregate { n = count(), m = count 'y' } :into 't'"},
        {JOB "from 'a' :by 'k' :process { state = {n = 0}, on = function() end } :to 'b'",
         JOB "from 'a' :by 'k' :process { state = {n = 1}, on = function() end } :to 'b'"},
        {JOB "from 'a' { disorder = '1s' } :to 'b'", JOB "from 'a' { disorder = '2s' } :to 'b'"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(other); i++)
        if (fingerprint(other[i][0]) == fingerprint(other[i][1]))
            fail_msg("these are one:\n%s\n\n%s", other[i][0], other[i][1]);
}

// Functions that call each other are described once each, however often they are named.
static void test_circular_fingerprints(void **state)
{
    static const char file[] =
        JOB "local a, b, c\n"
            "a = function(n) return n < 1 and 0 or a(n-1) + b(n-1) + c(n-1) end\n"
            "b = function(n) return n < 1 and %d or a(n-1) + b(n-1) + c(n-1) end\n"
            "c = function(n) return n < 1 and 2 or a(n-1) + b(n-1) + c(n-1) end\n"
            "%sfrom 'a' :map(function(v) return {y = a(v.x)} end) :to 'b'";
    char one[1024], moved[1024], other[1024];

    (void)state;
    snprintf(one, sizeof one, file, 1, "");
    snprintf(moved, sizeof moved, file, 1, "\n\n");
    snprintf(other, sizeof other, file, 3, "");
    assert_true(fingerprint(one) == fingerprint(moved));
    assert_true(fingerprint(one) != fingerprint(other));
}

// A table that a function can reach is frozen once the file has run.
static void test_frozen_tables(void **state)
{
    struct fixture *fx = *state;

    assert_int_equal(given_file(fx, JOB "local sizes = { s = 1, inner = { 1, 2 } }\n"
                                        "from 'a' :map(function(v)\n"
                                        "  local t = sizes.inner\n"
                                        "  local ok, m = pcall(function() t[1] = v.x end)\n"
                                        "  local n = 0 for _, x in ipairs(t) do n = n + x end\n"
                                        "  return { ok = ok, n = n, len = #t, all = sizes }\n"
                                        "end)"),
                     0);
    fx->fn = script_fn_new(fx->script, 1, 1);
    assert_int_equal(when_called(fx, "{\"x\":7}"), 0);
    expect_json(&fx->call.result,
                "{\"all\":{\"inner\":[1,2],\"s\":1},\"len\":2,\"n\":3,\"ok\":false}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_plan_contents),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_same_fingerprints),
        cmocka_unit_test(test_other_fingerprints),
        cmocka_unit_test(test_circular_fingerprints),
        cmocka_unit_test_setup_teardown(test_frozen_tables, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
