// SPDX-License-Identifier: Apache-2.0
//
// Types on their way through a job: what is declared at a source or a table is known behind every
// operator that keeps it, and a job that contradicts it does not load. A row is what stands behind
// the declarations below, and the error, or NULL where it loads.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "operators/operators.h"
#include "projections/jobfile.h"
#include "scripts/script.h"

struct row {
    const char *text, *error;
};

// Line 12 is the first of what follows.
static const char declarations[] =
    "job 'j' { version = 1 }\n"
    "local line = schema 'line' { sku = 'text', price = 'decimal(10,2)', qty = 'integer' }\n"
    "local order = schema 'order' { id = 'text', at = 'time', total = 'number', paid = 'bool?',\n"
    "  lines = { line }, buyer = { name = 'text' } }\n"
    "local stock = table 'stock' [[ sku text primary key, n integer not null,\n"
    "  price decimal(10,2), seen time, note json, ok bool, twice integer as (n * 2) ]]\n"
    "from 'stock' { changelog = true } :into(stock)\n"
    "local orders = from 'orders' { time = 'at', schema = order }\n"
    "local lines = orders:explode('lines', 'line')\n"
    "local free = from 'free'\n"
    "local plain = from 'plain' { format = 'text' }\n";

static void expect_rows(const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct buf text = BUF_EMPTY;
        struct script_options o = {.file = "t.lua", .operators = operator_types()};
        struct plan *p = NULL;
        struct err e = {0};
        int rc;

        buf_append_str(&text, declarations);
        buf_append_str(&text, rows[i].text);
        o.text = buf_bytes(&text);
        rc = script_load(&p, &o, &e);
        if (rc == 0)
            rc = jobfile_check(p, NULL, &e);
        if (rc == 0 ? rows[i].error != NULL
                    : rows[i].error == NULL || strcmp(e.text, rows[i].error) != 0)
            fail_msg("%s\n  gives  %s\n  wanted %s", rows[i].text, rc == 0 ? "a plan" : e.text,
                     rows[i].error != NULL ? rows[i].error : "a plan");
        plan_free(p);
        buf_deinit(&text);
    }
}

#define EXPECT(rows) expect_rows(rows, ARRAY_LEN(rows))
#define AT "t.lua:12: in "

// The source's own expression and all that only filter or divide see the schema.
static void test_schema(void **state)
{
    static const struct row rows[] = {
        {"orders:where 'total > 5' :to 'x'", NULL},
        {"orders:where 'totl > 5' :to 'x'",
         AT "where: expression \"totl > 5\": schema order has no field 'totl' near column 1 (did "
            "you mean 'total'?)"},
        {"orders:where 'id > 5' :to 'x'", AT "where: expression \"id > 5\": id > 5: cannot compare "
                                             "text with number, near column 1"},
        {"from 'b' { schema = order, time = 'att' } :to 'x'",
         AT "from: expression \"att\": schema order has no field 'att' near column 1 (did you mean "
            "'at'?)"},
        {"orders:where 'paid' :dedupe { by = 'idd', within = '1h' } :to 'x'",
         AT "dedupe: expression \"idd\": schema order has no field 'idd' near column 1 (did you "
            "mean 'id'?)"},
        {"orders:by 'buyer.nam' :to 'x'",
         AT "by: expression \"buyer.nam\": there is no field 'nam' near column 1 (did you mean "
            "'name'?)"},
        {"local a, b = orders:split 'paid'\na:to 'x'\nb:where 'nope' :to 'x'",
         "t.lua:14: in where: expression \"nope\": schema order has no field 'nope' near column 1 "
         "(a text is written 'nope')"},
        {"orders:to('x', { key = 'nope' })",
         AT "to: expression \"nope\": schema order has no field 'nope' near column 1 "
         "(a text is written 'nope')"},
        {"free:where 'anything.at.all > 5' :to 'x'", NULL},
        {"plain:where \"contains(text, 'x')\" :to 'x'", NULL},
        {"plain:where 'txt' :to 'x'", AT "where: expression \"txt\": there is no field 'txt' near "
                                         "column 1 (did you mean 'text'?)"},
    };

    (void)state;
    EXPECT(rows);
}

// What builds a new value is known by its expressions; a function in between forgets it all.
static void test_built_values(void **state)
{
    static const struct row rows[] = {
        {"orders:select { 'id', cents = 'total * 100' } :where 'cents > 5' :to 'x'", NULL},
        {"orders:select { 'id', cents = 'total * 100' } :where 'total > 5' :to 'x'",
         AT "where: expression \"total > 5\": there is no field 'total' near column 1"},
        {"free:select { a = 'lower(b)' } :where 'a > 5' :to 'x'",
         AT "where: expression \"a > 5\": a > 5: cannot compare text with number, near column 1"},
        {"orders:set { total = 'text(total)' } :where 'total > 5' :to 'x'",
         AT "where: expression \"total > 5\": total > 5: cannot compare text with number, near "
            "column 1"},
        {"orders:set { extra = 1 } :where 'extra > 0 and idd' :to 'x'",
         AT "where: expression \"extra > 0 and idd\": there is no field 'idd' near column 15 (did "
            "you mean 'id'?)"},
        {"free:set { extra = 1 } :where 'extra > 0 and idd' :to 'x'", NULL},
        {"orders:map(function(v) return v end) :where 'whatever' :to 'x'", NULL},
        {"orders:select { f = function(v) return v.id end } :where 'f > 1 or f.x' :to 'x'", NULL},
        {"lines:where 'line.price * line.qty > 100' :to 'x'", NULL},
        {"lines:where 'line.prize > 100' :to 'x'",
         AT "where: expression \"line.prize > 100\": there is no field 'prize' near column 1 (did "
            "you mean 'price'?)"},
        {"lines:merge(orders):where 'line.qty > id' :to 'x'",
         AT "where: expression \"line.qty > id\": line.qty > id: cannot compare number with text, "
            "near column 1"},
        {"lines:merge(free):where 'anything' :to 'x'", NULL},
    };

    (void)state;
    EXPECT(rows);
}

// An aggregate gives its key, its window and its results.
static void test_aggregates(void **state)
{
    static const struct row rows[] = {
        {"lines:by 'line.sku' :window { size = '1d' } :aggregate { n = count(), sum = sum "
         "'line.price', first = first 'id', best = top(2, 'total', { 'id' }) }:final():where "
         "\"n > 1 and sum > 5 and first == 'x' and best[1].id == sku and window_end > 0\" :to 'x'",
         NULL},
        {"lines:by 'line.sku' :window { size = '1d' } :aggregate { n = count() }:final():where "
         "'sk == 1' :to 'x'",
         AT "where: expression \"sk == 1\": there is no field 'sk' near column 1 (did you mean "
            "'sku'?)"},
        {"lines:by 'line.sku' :aggregate { n = count() }:changes():where 'window_end > 0' :to 'x'",
         AT "where: expression \"window_end > 0\": there is no field 'window_end' near column 1"},
        {"lines:by 'line.sku' :aggregate { n = count() }:changes():where 'n > $old.m' :to 'x'",
         AT "where: expression \"n > $old.m\": there is no field 'm' near column 5 (did you mean "
            "'n'?)"},
        {"lines:by 'line.sku' :window { size = '1d' } :aggregate { f = max 'id' }:final():where "
         "'f > 1' :to 'x'",
         AT "where: expression \"f > 1\": f > 1: cannot compare text with number, near column 1"},
        {"local w = lines:by 'line.sku' :window { size = '1d' }\nw:aggregate { n = count() }:into "
         "'t'\nw:late():where 'line.nope' :to 'x'",
         "t.lua:14: in where: expression \"line.nope\": there is no field 'nope' near column 1"},
        {"orders:by 'id' :window { last = '1h' } :aggregate { n = count() } :where 'n > total and "
         "nn' :to 'x'",
         AT "where: expression \"n > total and nn\": there is no field 'nn' near column 15 (did "
            "you mean 'n'?)"},
        {"orders:by 'id' :where '$key > 1' :to 'x'",
         AT "where: expression \"$key > 1\": $key > 1: cannot compare text with number, near "
            "column 1"},
    };

    (void)state;
    EXPECT(rows);
}

// Columns are types too: of joined rows, of changes, and of what is written into them.
static void test_tables(void **state)
{
    static const struct row rows[] = {
        {"lines:join(stock, { on = 'line.sku', as = 's' }) :where \"s.n > 1 and s.price > "
         "line.price and s.seen > at and s.note.x == 1 and s.ok and s.twice > 2\" :to 'x'",
         NULL},
        {"lines:join(stock, { on = 'line.sku', as = 's' }) :where 's.m > 1' :to 'x'",
         AT "where: expression \"s.m > 1\": table stock has no field 'm' near column 1 (did you "
            "mean 'n'?)"},
        {"free:join(stock, { on = 'sku', as = 's' }) :where 's.n == s.sku' :to 'x'",
         AT "where: expression \"s.n == s.sku\": s.n == s.sku: number is never equal to text, near "
            "column 1"},
        {"orders:by 'id' :join(lines:by 'id', { as = 'l', within = { 0, '1h' } }) :where "
         "'l.line.qty > l.id' :to 'x'",
         AT "where: expression \"l.line.qty > l.id\": l.line.qty > l.id: cannot compare number "
            "with text, near column 1"},
        {"stock:changes():where 'n > $old.n and sku' :to 'x'", NULL},
        {"stock:changes():where 'n > $old.sku' :to 'x'",
         AT "where: expression \"n > $old.sku\": n > $old.sku: cannot compare number with text, "
            "near column 1"},
        {"lines:match 'id' { _ = stock:add('line.sku', { n = 'line.qty' }) }", NULL},
        {"lines:match 'id' { _ = stock:add('line.sku', { n = 'line.sku' }) }",
         AT "match: n is integer and is given text"},
        {"lines:match 'id' { _ = stock:put { sku = 'line.qty', n = 1 } }",
         AT "match: sku is text and is given integer"},
        {"lines:match 'id' { _ = stock:put { sku = 'id', n = 1, price = 'id', seen = 'id' } }",
         NULL},
        {"local t = table 't' [[ id text primary key, n integer ]]\nlines:into(t, { id = 'id', n = "
         "'paid' })",
         "t.lua:13: in into: n is integer and is given bool"},
        {"local t = table 't' [[ id text primary key, n varchar ]]\nfree:into(t)\n"
         "t:changes():where 'n > 5' :to 'x'",
         "t.lua:12: table t: unknown datatype for t.n: \"varchar\""},
    };

    (void)state;
    EXPECT(rows);
}

// What goes out is checked against its schema as far as it is known.
static void test_outputs(void **state)
{
    static const struct row rows[] = {
        {"local o = schema 'o' { id = 'text', sum = 'decimal(9,2)', n = 'integer?' }\norders:"
         "select { 'id', sum = 'total' } :to('x', { schema = o })",
         NULL},
        {"local o = schema 'o' { id = 'text', sum = 'number' }\norders:select { 'id' } :to('x', "
         "{ schema = o })",
         "t.lua:13: in to: schema o wants the field 'sum', which is not there"},
        {"local o = schema 'o' { id = 'text', sum = 'number' }\norders:select { 'id', sum = 'id' } "
         ":to('x', { schema = o })",
         "t.lua:13: in to: sum is number and is given text"},
        {"local o = schema 'o' { id = 'text' }\norders:select { 'id', idd = 'id' } :to('x', "
         "{ schema = o })",
         "t.lua:13: in to: schema o has no field 'idd' (did you mean 'id'?)"},
        {"orders:to('x', { schema = order })", NULL},
        {"free:to('x', { schema = order })", NULL},
        {"free:to('x', { schema = 'subject' })",
         AT "to: schema = \"subject\" is a subject of a schema registry, which this version does "
            "not have: declare the fields, local s = schema \"subject\" { field = \"text\" }, and "
            "give schema = s"},
        {"free:to('x', { format = 'xml' })", AT "to: unknown format 'xml'"},
        {"free:where { 'a > ?', 5 } :by({ 'a .. ?', 'x' }):to('x', { key = { '? .. a', 'k' } })",
         NULL},
        {"free:select { b = { 'a > ? and ?', 5 } } :to 'x'",
         AT "select: expression \"a > ? and ?\": too few values: ? number 2 has none (1 given)"},
    };

    (void)state;
    EXPECT(rows);
}

// An aggregate or explode that no record could pass does not load; of what is not known it may be.
static void test_arguments(void **state)
{
    static const struct row rows[] = {
        {"orders:by 'id' :aggregate { n = sum 'total', m = max 'id', d = distinct 'paid',\n"
         "  q = quantile(0.5, 'at'), l = collect 'buyer', c = count 'lines' } :into 'x'",
         NULL},
        {"free:by 'id' :aggregate { n = sum 'a', m = max 'b', d = distinct 'c' } :into 'x'", NULL},
        {"orders:by 'id' :aggregate { n = sum 'id' } :into 'x'",
         AT "aggregate: n: sum wants numbers, not text"},
        {"orders:by 'id' :aggregate {\n  n = avg 'paid' } :into 'x'",
         "t.lua:13: in aggregate: n: avg wants numbers, not boolean"},
        {"orders:by 'id' :aggregate { n = stddev 'lines' } :into 'x'",
         AT "aggregate: n: stddev wants numbers, not array"},
        {"orders:by 'id' :aggregate { n = quantile(0.5, 'buyer') } :into 'x'",
         AT "aggregate: n: quantile wants numbers, not object"},
        {"orders:by 'id' :aggregate { n = max 'paid' } :into 'x'",
         AT "aggregate: n: max wants numbers or text, not boolean"},
        {"orders:by 'id' :aggregate { n = top(1, 'buyer', { 'id' }) } :into 'x'",
         AT "aggregate: n: top wants numbers or text, not object"},
        {"orders:by 'id' :aggregate { n = distinct 'buyer' } :into 'x'",
         AT "aggregate: n: distinct wants single values, not object"},
        {"orders:explode('buyer', 'b') :to 'x'", AT "explode: it wants a list, not object"},
        {"orders:explode('lines', 'l') :explode('l.sku', 's') :to 'x'",
         AT "explode: it wants a list, not text"},
        {"free:explode('a', 'b') :to 'x'", NULL},
    };

    (void)state;
    EXPECT(rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_schema),
        cmocka_unit_test(test_built_values),
        cmocka_unit_test(test_arguments),
        cmocka_unit_test(test_aggregates),
        cmocka_unit_test(test_tables),
        cmocka_unit_test(test_outputs),
    };

    return cmocka_run_group_tests_name("types", tests, NULL, NULL);
}
