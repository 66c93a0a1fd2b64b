// SPDX-License-Identifier: Apache-2.0
//
// `leat test --chaos`: tests done again in variations. What must not matter does not; what makes a
// difference is found and told. A job that is right is no proof: beside it stand jobs whose results
// depend on commits or on arrival, and an engine that commits its offsets elsewhere.
#include "tests/unit/scripts/memory.h"
#include "tests/unit/scripts/support.h"

#include "operators/operators.h"
#include "scripts/test.h"

static const struct script_test_options options = {
    .operators = NULL,
    .stores = {.open = memory_open,
               .close = memory_close,
               .reopen = memory_reopen,
               .copy = memory_copy},
    .chaos = true,
};

static void run(const char *text, const struct script_test_options *like,
                struct script_test_results *r)
{
    struct script_test_options o = *like;
    struct err e = {0};

    o.operators = operator_types();
    o.script = (struct script_options){.file = "jobs/t.lua", .text = bytes_str(text)};
    script_test_results_init(r);
    if (script_tests_run(&o, r, &e) != 0)
        fail_msg("%s", e.text);
    assert_int_equal(r->n, 1);
}

static void expect_passes(const char *text, int64_t splits, int64_t crashes, int64_t orders)
{
    struct script_test_results r;

    run(text, &options, &r);
    if (!r.items[0].passed)
        fail_msg("%s", r.items[0].message);
    assert_int_equal(r.items[0].chaos.n[CHAOS_SPLIT], splits);
    assert_true(r.items[0].chaos.n[CHAOS_CRASH] >= crashes);
    assert_int_equal(r.items[0].chaos.n[CHAOS_ORDER], orders);
    script_test_results_deinit(&r);
}

// The first failure of that kind, and that its number does it again, alone.
static void expect_found(const char *text, const struct script_test_options *like,
                         enum chaos_kind kind, const char *what, const char *detail)
{
    struct script_test_options again = *like;
    struct script_test_results r;
    const struct chaos_failure *f = NULL;

    run(text, like, &r);
    for (int i = 0; i < r.items[0].chaos.n_failures; i++)
        if (r.items[0].chaos.failures[i].kind == kind)
            f = &r.items[0].chaos.failures[i];
    if (f == NULL)
        fail_msg("not found: %s", r.items[0].message != NULL ? r.items[0].message : "passed");
    assert_false(r.items[0].passed);
    assert_string_equal(f->what, what);
    if (detail != NULL)
        assert_string_equal(f->detail, detail);
    again.only_kind = kind;
    again.only_number = f->number;
    script_test_results_deinit(&r);
    run(text, &again, &r);
    assert_int_equal(r.items[0].chaos.n_failures, 1);
    assert_string_equal(r.items[0].chaos.failures[0].what, what);
    script_test_results_deinit(&r);
}

#define PRICES                                                                                     \
    "job 'prices' {}\n"                                                                            \
    "local prices = table 'prices' [[ sku text primary key, price integer not null ]]\n"

// Rows, outputs, windows, retries and an idle clock come out the same wherever commits are and
// wherever the job dies.
static void test_what_must_not_matter(void **state)
{
    (void)state;
    expect_passes(
        "job 'j' { errors = { retry = { '1s' } } }\n"
        "local stock = table 'stock' [[ id text primary key, n integer not null check (n >= 0) ]]\n"
        "local moves = from 'moves' { time = 'at' }\n"
        "moves:match 'type' {\n"
        "  New = stock:insert { id = 'id', n = '0' },\n"
        "  In = { stock:patch('id', {}), stock:add('id', { n = 'n' }) },\n"
        "}\n"
        "moves:by 'id' :window { size = '1m' }\n"
        "  :aggregate { n = count() } :final() :to 'minutes'\n"
        "test('n', function(t)\n"
        "  local function move(ty, id, n, hms)\n"
        "    t:send('moves', { type = ty, id = id, n = n, at = '2026-01-01T' .. hms .. 'Z' },\n"
        "           { key = id })\n"
        "  end\n"
        "  t:batch(function()\n"
        "    move('New', 'a', nil, '12:00:00') move('In', 'a', 4, '12:00:10')\n"
        "    move('In', 'b', 5, '12:00:20')\n"
        "  end)\n"
        "  t:parked { { key = 'b', class = 'missing' } }\n"
        "  move('In', 'a', -9, '12:00:30')\n"
        "  move('New', 'b', nil, '12:00:31')\n"
        "  t:advance '45s'\n"
        "  t:expect('minutes', {})\n"
        "  t:advance '2m'\n"
        "  t:rows('select * from stock', { { id = 'a', n = 4 } })\n"
        "end)",
        8, 16, 0);
}

// Every order of two partitions is tried, and what does not depend on it passes: counts, and sums
// of reals up to rounding.
static void test_orders_that_do_not_matter(void **state)
{
    (void)state;
    expect_passes("job 'j' {} local a = from 'a' { time = 'ts' }\n"
                  "a:by 'k' :window { size = '1m' }\n"
                  "  :aggregate { n = count(), sum = sum 'x' } :into 'sums'\n"
                  "a:where 'x > 0.15' :to 'b'\n"
                  "test('n', function(t)\n"
                  "  for i = 1, 6 do\n"
                  "    local ts = '2026-01-01T12:00:0' .. i .. 'Z'\n"
                  "    t:send('a', { k = 'k', x = i / 10, ts = ts },\n"
                  "           { partition = i % 2, key = 'p' .. i % 2 })\n"
                  "  end\n"
                  "  t:rows('select n from sums', { { n = 6 } })\n"
                  "end)",
                  0, 20, 19);
}

// An order that matters is found, brought down to the two records that make the difference, and
// told with the line of the job that writes what depends on it.
static void test_an_order_that_matters(void **state)
{
    (void)state;
    expect_found(PRICES "from 'prices' :into(prices, { sku = 'sku', price = 'price' })\n"
                        "test('n', function(t)\n"
                        "  t:send('prices', { sku = 'b', price = 1 })\n"
                        "  t:send('prices', { sku = 'a', price = 10 })\n"
                        "  t:send('prices', { sku = 'c', price = 10 }, { partition = 1 })\n"
                        "  t:send('prices', { sku = 'a', price = 12 }, { partition = 3 })\n"
                        "  t:rows('select max(price) m from prices', { { m = 12 } })\n"
                        "end)",
                 &options, CHAOS_ORDER,
                 "partition order: \"price\" of table \"prices\" depends on the arrival order of "
                 "prices/0 and prices/3 (prices/3@0 before prices/0@1)   (jobs/t.lua:3)",
                 "    seen at jobs/t.lua:9\n"
                 "    was  {\"sku\":\"a\",\"price\":12}\n"
                 "    is   {\"sku\":\"a\",\"price\":10}");
}

// Nothing is moved across what the test sees: an order that it has looked at is its own.
static void test_not_across_a_look(void **state)
{
    (void)state;
    expect_passes(PRICES "from 'prices' :into(prices, { sku = 'sku', price = 'price' })\n"
                         "test('n', function(t)\n"
                         "  t:send('prices', { sku = 'a', price = 10 })\n"
                         "  t:rows('select price from prices', { { price = 10 } })\n"
                         "  t:send('prices', { sku = 'a', price = 12 }, { partition = 3 })\n"
                         "  t:rows('select price from prices', { { price = 12 } })\n"
                         "end)",
                  0, 5, 0);
}

// A result that tells where commits were is found: random() is a function of the commit.
static void test_a_commit_that_matters(void **state)
{
    (void)state;
    expect_found("job 'draw' {}\n"
                 "local tickets = table 'tickets' [[ id text primary key,\n"
                 "  lot integer not null default (random()) ]]\n"
                 "from 'sold' :into(tickets, { id = 'id' })\n"
                 "test('n', function(t)\n"
                 "  t:batch(function()\n"
                 "    t:send('sold', { id = 'a' })\n"
                 "    t:send('sold', { id = 'b' })\n"
                 "  end)\n"
                 "end)",
                 &options, CHAOS_SPLIT,
                 "batch split: one record per commit: \"lot\" of table \"tickets\" is different   "
                 "(jobs/t.lua:4)",
                 NULL);
}

// changes {latest} tells the last change of each key in a commit: how many there are may differ,
// how they end may not.
static void test_latest_changes(void **state)
{
    (void)state;
    expect_passes(PRICES "from 'prices' :into(prices, { sku = 'sku', price = 'price' })\n"
                         "prices:changes { latest = true } :to('current', { key = 'sku' })\n"
                         "test('n', function(t)\n"
                         "  t:batch(function()\n"
                         "    t:send('prices', { sku = 'a', price = 1 })\n"
                         "    t:send('prices', { sku = 'a', price = 2 })\n"
                         "    t:send('prices', { sku = 'b', price = 3 })\n"
                         "  end)\n"
                         "  t:expect('current', { { sku = 'a', price = 2 }, { sku = 'b' } })\n"
                         "end)",
                  7, 5, 0);
}

// --- an engine that is not exactly once ---

static struct {
    const struct store_ops *was;
    struct store_ops ops;
    struct store_offset held[8];
    char topics[8][32];
    size_t n;
} leak;

// Commits everything but the offsets; those go with the next commit.
static int commit_without_offsets(struct store *s, const struct store_commit *c, int64_t *id,
                                  struct err *e)
{
    struct store_commit late = *c;
    struct store_offset held[8];

    memcpy(held, leak.held, sizeof held);
    late.offsets = held;
    late.n_offsets = leak.n;
    assert_true(c->n_offsets <= 8);
    for (size_t i = 0; i < c->n_offsets; i++) {
        leak.held[i] = c->offsets[i];
        (void)snprintf(leak.topics[i], sizeof leak.topics[i], "%s", c->offsets[i].topic);
        leak.held[i].topic = leak.topics[i];
    }
    leak.n = c->n_offsets;
    return leak.was->commit(s, &late, id, e);
}

static int open_leaking(void *arg, const struct plan *p, struct store **out, struct err *e)
{
    int rc = memory_open(arg, p, out, e);

    if (rc == 0) {
        leak.was = (*out)->ops;
        leak.ops = *leak.was;
        leak.ops.commit = commit_without_offsets;
        leak.n = 0;
        (*out)->ops = &leak.ops;
    }
    return rc;
}

// What is held dies with the process; what comes up leaks again.
static int reopen_leaking(void *arg, const struct driver_version *v, struct store **s,
                          struct err *e)
{
    int rc = memory_reopen(arg, v, s, e);

    if (rc == 0)
        (*s)->ops = &leak.ops;
    leak.n = 0;
    return rc;
}

// With the offsets' write moved out of the transaction, a crash behind a commit counts a record
// twice: the crashes of a test find that, while the test alone passes.
static void test_offsets_outside_the_transaction(void **state)
{
    static const char job[] = "job 'j' {}\n"
                              "local totals = table 'totals' [[ k text primary key, n integer ]]\n"
                              "from 'a' :match 'k' { _ = totals:add('k', { n = 'n' }) }\n"
                              "test('n', function(t)\n"
                              "  t:send('a', { k = 'x', n = 5 })\n"
                              "  t:send('a', { k = 'x', n = 2 })\n"
                              "  t:rows('select n from totals', { { n = 7 } })\n"
                              "end)";
    struct script_test_options leaking = options;

    (void)state;
    expect_passes(job, 2, 6, 0);
    leaking.stores.open = open_leaking;
    leaking.stores.reopen = reopen_leaking;
    leaking.stores.copy = NULL;
    expect_found(job, &leaking, CHAOS_CRASH,
                 "crash behind the commit of step 1: \"n\" of table \"totals\" is different   "
                 "(jobs/t.lua:2)",
                 "    seen at jobs/t.lua:7\n"
                 "    was  {\"k\":\"x\",\"n\":7}\n"
                 "    is   {\"k\":\"x\",\"n\":12}");
}

// A restart in a test goes on in every variation, on what was stored.
static void test_restarts_are_part_of_it(void **state)
{
    (void)state;
    expect_passes("job 'j' {} from 'a' :by 'k' :aggregate { n = count() } :into 'counts'\n"
                  "test('n', function(t)\n"
                  "  t:send('a', { k = 'x' })\n"
                  "  t:restart()\n"
                  "  t:send('a', { k = 'x' })\n"
                  "  t:rows('select n from counts', { { n = 2 } })\n"
                  "end)",
                  0, 6, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_must_not_matter),
        cmocka_unit_test(test_orders_that_do_not_matter),
        cmocka_unit_test(test_an_order_that_matters),
        cmocka_unit_test(test_not_across_a_look),
        cmocka_unit_test(test_a_commit_that_matters),
        cmocka_unit_test(test_latest_changes),
        cmocka_unit_test(test_offsets_outside_the_transaction),
        cmocka_unit_test(test_restarts_are_part_of_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
