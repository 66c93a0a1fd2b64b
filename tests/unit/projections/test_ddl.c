// SPDX-License-Identifier: Apache-2.0
//
// What a table's body may say, and what becomes of it.
#include <string.h>

#include "tests/unit/projections/fixture.h"
#include "runtime/base/failpoint.h"

static int try_body(struct fixture *fx, const char *body)
{
    struct jobfile_options o = {0};

    fx->plan.n_tables = 1;
    fx->tables[0].body = body;
    jobfile_close(fx->s);
    fx->s = NULL;
    return jobfile_open(&fx->s, &fx->plan, &o, &fx->e);
}

static void refused(struct fixture *fx, const char *body, const char *why)
{
    int rc = try_body(fx, body);

    if (rc != LEAT_ELOAD)
        fail_msg("%s: gave %d (%s)", body, rc, fx->e.text);
    if (strstr(fx->e.text, why) == NULL ||
        strstr(fx->e.text, "jobs/shop.lua:3: table customers") == NULL)
        fail_msg("%s: says %s", body, fx->e.text);
}

static void bad_bodies_are_refused(void **state)
{
    // A body that could end a step, escape from its parentheses or hide a missing key is refused
    // with the job's line.
    struct fixture *fx = *state;

    refused(fx, "id text primary key on conflict rollback", "on conflict");
    refused(fx, "id text primary key, n integer unique On /* x */ Conflict replace", "on conflict");
    refused(fx, "id text primary key, c text references customers deferrable initially deferred",
            "deferred");
    refused(fx, "id text primary key); drop table x; --", "')'");
    refused(fx, "id text primary key) without rowid, (a text", "')'");
    refused(fx, "id text primary key; select 1", "';'");
    refused(fx, "id text primary key, (", "not closed");
    refused(fx, "id text primary key, n text default 'x", "does not end");
    refused(fx, "id text primary key /* ", "does not end");
    refused(fx, "id text, n integer", "primary key is required");
    refused(fx, "id text primary key, n decimal(30,2)", "decimal(p,s)");
    refused(fx, "id text primary key, n varchar(10)", "unknown datatype");
    refused(fx, "id text primary key, n", "missing datatype");
    refused(fx, "id text primary key, _leat_state blob", "_leat");
    refused(fx, "id text primary key, n integer default (random() + load_extension('x'))",
            "load_extension");
    refused(fx, "id text primary key, n blob default (randomblob(9))", "randomblob");
    refused(fx, "id text primary key,, n integer", "comma");
    refused(fx, "id text primary key, id text", "duplicate column");
    refused(fx, "id text primary key, o text references nowhere", "nowhere");
    refused(fx, "id text primary key, o text, foreign key (o) references customers(name)",
            "customers");
}

static void types_are_rewritten(void **state)
{
    // Logical types become STRICT types with checks, wherever they stand, and are remembered.
    struct fixture *fx = *state;

    open_memory(fx);
    assert_int_equal(
        ask(fx, "SELECT count(*) FROM pragma_table_list WHERE name = 'orders' AND strict AND wr"),
        1);
    assert_int_equal(
        ask(fx, "SELECT count(*) FROM pragma_table_xinfo('orders') WHERE type = 'INTEGER'"), 6);
    assert_int_equal(ask(fx, "SELECT count(*) FROM _leat_columns WHERE \"table\" = 'orders' AND "
                             "type = 'decimal(10,2)'"),
                     1);
    ok(fx, try_body(fx, "id integer primary key, \"time\" time, [bool] bool check ([bool] or 1)"));
    assert_int_equal(ask(fx, "SELECT wr FROM pragma_table_list WHERE name = 'customers'"), 0);
}

static void indexes_and_views(void **state)
{
    // Indexes and views are made as declared, follow the plan when it changes, and their mistakes
    // have a line.
    struct fixture *fx = *state;
    struct plan_index x[] = {{.sql = "name desc, spent", .line = 5},
                             {.sql = "spent where spent > 0", .line = 6}};
    struct plan_view v = {
        .name = "rich", .sql = "select id from customers where spent > 100", .line = 8};

    fx->tables[0].indexes = x;
    fx->tables[0].n_indexes = 2;
    fx->plan.views = &v;
    fx->plan.n_views = 1;
    open_file(fx);
    assert_int_equal(ask(fx, "SELECT count(*) FROM sqlite_schema WHERE name GLOB '_leat_index_*'"),
                     2);
    assert_int_equal(ask(fx, "SELECT count(*) FROM rich"), 0);
    x[0].sql = "spent desc";
    v.sql = "select name from customers";
    reopen(fx);
    assert_int_equal(ask(fx, "SELECT count(*) FROM sqlite_schema WHERE sql LIKE '%spent desc%'"),
                     1);
    assert_int_equal(ask(fx, "SELECT count(*) FROM sqlite_schema WHERE name GLOB '_leat_index_*'"),
                     2);
    close_file(fx);
    struct jobfile_options o = {.path = fx->path};
    x[1].sql = "nothing";
    assert_int_equal(jobfile_open(&fx->s, &fx->plan, &o, &fx->e), LEAT_ELOAD);
    assert_non_null(strstr(fx->e.text, "jobs/shop.lua:6: index of table customers"));
    x[1].sql = "spent); drop table orders; --";
    assert_int_equal(jobfile_open(&fx->s, &fx->plan, &o, &fx->e), LEAT_ELOAD);
    x[1].sql = "spent";
    v.sql = "select nothing from customers";
    assert_int_equal(jobfile_open(&fx->s, &fx->plan, &o, &fx->e), LEAT_ELOAD);
    assert_non_null(strstr(fx->e.text, "jobs/shop.lua:8: view rich"));
}

const struct CMUnitTest ddl_tests[] = {T(bad_bodies_are_refused), T(types_are_rewritten),
                                       T(indexes_and_views)};
const size_t n_ddl_tests = sizeof ddl_tests / sizeof ddl_tests[0];
