// SPDX-License-Identifier: Apache-2.0
//
// ttl of tables: what is refused at load, how due rows are found, and what goes with them.
#include <string.h>

#include "tests/unit/projections/fixture.h"
#include "runtime/base/heap.h"

enum { CUSTOMERS, ORDERS, ITEMS, MINUTES };

#define DAY INT64_C(86400000)

static int try_open(struct fixture *fx)
{
    struct jobfile_options o = {0};

    jobfile_close(fx->s);
    fx->s = NULL;
    return jobfile_open(&fx->s, &fx->plan, &o, &fx->e);
}

static void refused(struct fixture *fx, int table, const char *ttl, const char *why)
{
    fx->tables[table].ttl = ttl;
    assert_int_equal(try_open(fx), LEAT_ELOAD);
    if (strstr(fx->e.text, why) == NULL || strstr(fx->e.text, "jobs/shop.lua:") == NULL)
        fail_msg("%s: says %s", ttl, fx->e.text);
    fx->tables[table].ttl = NULL;
}

static void what_is_not_understood_is_refused(void **state)
{
    // A ttl is "DURATION after COLUMN", of a stored time column; anything else is refused with line
    // and reason.
    struct fixture *fx = *state;

    refused(fx, ORDERS, "90d", "is not understood: write \"90d after COLUMN\"");
    refused(fx, ORDERS, "90 days after placed_at", "is not understood");
    refused(fx, ORDERS, " after placed_at", "is not understood");
    refused(fx, ORDERS, "-1d after placed_at", "is not understood");
    refused(fx, ORDERS, "90d after ", "no column");
    refused(fx, ORDERS, "90d after placed", "the table has no column placed");
    refused(fx, ORDERS, "90d after status", "column status is text, and must be time");
    refused(fx, ORDERS, "90d after lines", "column lines is integer, and must be time");
    fx->tables[ORDERS].ttl = "  1h30m after  paid_at ";
    ok(fx, try_open(fx));
    fx->tables[CUSTOMERS].body = "id text primary key, a time, b time generated always as (a + 1)";
    refused(fx, CUSTOMERS, "1d after b", "column b is computed");
}

static void children_must_let_go(void **state)
{
    // A table that references rows that go must say what becomes of its own: cascade, or set null
    // where that is possible; also when it references rows that go with others.
    struct fixture *fx = *state;

    fx->tables[ORDERS].ttl = "1d after placed_at";
    ok(fx, try_open(fx));
    fx->tables[ITEMS].body = "id integer primary key, o text references orders";
    assert_int_equal(try_open(fx), LEAT_ELOAD);
    assert_non_null(strstr(fx->e.text, "jobs/shop.lua:20: table items: rows of orders go by their "
                                       "ttl, and items.o would hold them back: write 'references "
                                       "orders on delete cascade'"));
    fx->tables[ITEMS].body = "id integer primary key, o text not null references orders"
                             " on delete set null";
    assert_int_equal(try_open(fx), LEAT_ELOAD);
    fx->tables[ITEMS].body = "id integer primary key, o text references orders on delete set null";
    ok(fx, try_open(fx));
    fx->tables[ORDERS].ttl = NULL;
    fx->tables[CUSTOMERS].body = "id text primary key, at time";
    fx->tables[CUSTOMERS].ttl = "1d after at";
    ok(fx, try_open(fx));
    fx->tables[ITEMS].body = "id integer primary key, o text references orders";
    assert_int_equal(try_open(fx), LEAT_ELOAD); // customers take orders with them
    fx->tables[ITEMS].body = "id integer primary key, at time,"
                             " up integer references items on delete cascade";
    fx->tables[ITEMS].ttl = "1d after at";
    ok(fx, try_open(fx));
}

static void rows_of_windows_outlive_them(void **state)
{
    // Rows that are an aggregate's state go some time after their window has closed, never before.
    struct fixture *fx = *state;
    struct plan_window *w = &fx->nodes[1].aggregate.window;

    refused(fx, MINUTES, "1d after window_start", "give the aggregate the ttl");
    *w = (struct plan_window){
        .kind = WINDOW_TUMBLING, .size_ms = 60000, .every_ms = 60000, .grace_ms = 5000};
    refused(fx, MINUTES, "64s after window_start",
            "rows would go while their window is open: at least 1m5s after window_start");
    refused(fx, MINUTES, "4s after window_end", "at least 5s after window_end");
    fx->tables[MINUTES].ttl = "5s after window_end";
    ok(fx, try_open(fx));
    fx->tables[MINUTES].ttl = "65s after window_start";
    ok(fx, try_open(fx));
    w->kind = WINDOW_SESSION;
    refused(fx, MINUTES, "65s after window_start", "of a window go some time after window_end");
    fx->tables[MINUTES].body = "assetId text, window_start time, window_end time, n integer, last "
                               "time, primary key (window_start, assetId)";
    refused(fx, MINUTES, "65s after last", "of a window go some time after window_end");
    fx->tables[MINUTES].body = "assetId text primary key, at time references customers";
    fx->tables[CUSTOMERS].body = "id time primary key, at time";
    refused(fx, CUSTOMERS, "1d after at", "minutes.at would hold them back");
    fx->tables[MINUTES].body = "assetId text primary key, at time references customers"
                               " on delete cascade";
    refused(fx, CUSTOMERS, "1d after at", "but they are an aggregate's");
}

static void what_is_forgotten_cannot_be_referenced(void **state)
{
    // Rows that an aggregate forgets go without a word: no other row may depend on them.
    struct fixture *fx = *state;

    fx->tables[MINUTES].body = "assetId text primary key, n integer";
    fx->tables[ITEMS].body = "id integer primary key, a text references minutes on delete cascade";
    ok(fx, try_open(fx));
    fx->nodes[1].aggregate.ttl_ms = 5;
    assert_int_equal(try_open(fx), LEAT_ELOAD);
    assert_non_null(strstr(fx->e.text, "jobs/shop.lua:20: table items: it references minutes, "
                                       "whose rows are forgotten"));
}

// --- due rows ---

static int64_t due(struct fixture *fx, int64_t w)
{
    int64_t at = 0;

    ok(fx, fx->s->tables->ops->due(fx->s->tables, w, &at, &fx->e));
    return at;
}

static int expire(struct fixture *fx, int64_t at, int max)
{
    int n = -1;

    ok(fx, fx->s->tables->ops->expire(fx->s->tables, at, max, &n, &fx->e));
    return n;
}

static void sql(struct fixture *fx, const char *text)
{
    struct value rows;

    ok(fx, fx->s->tables->ops->sql(fx->s->tables, bytes_str(text), NULL, &fx->a, &rows, &fx->e));
}

static void given_orders(struct fixture *fx)
{
    fx->tables[ORDERS].ttl = "1d after placed_at";
    open_memory(fx);
    begin(fx);
    sql(fx, "insert into customers (id, name) values ('c', 'Ann')");
}

static void the_first_moment_is_known(void **state)
{
    // due() is the first watermark past column + ttl, whatever wrote the rows; never later, and
    // exact once the watermark has come to it.
    struct fixture *fx = *state;

    given_orders(fx);
    assert_int_equal(due(fx, INT64_MAX - 1), INT64_MAX);
    sql(fx, "insert into orders (id, customer, status, placed_at) values ('a', 'c', 'paid', 1000)");
    sql(fx, "insert into orders (id, customer, status, placed_at) values ('b', 'c', 'paid', -5)");
    assert_int_equal(due(fx, 0), DAY - 4);
    sql(fx, "update orders set placed_at = 2000 where id = 'b'");
    assert_int_equal(due(fx, 0), DAY - 4);
    assert_int_equal(due(fx, DAY), DAY + 1001);
    sql(fx, "update orders set placed_at = 7 where id = 'b'");
    assert_int_equal(due(fx, 0), DAY + 8);
    sql(fx, "delete from orders");
    assert_int_equal(due(fx, 2 * DAY), INT64_MAX);
    sql(fx, "insert into orders (id, customer, status, placed_at)"
            " values ('x', 'c', 'paid', 9223372036854775000)");
    assert_int_equal(due(fx, INT64_MAX), INT64_MAX); // past the end of time
}

static void what_is_taken_back_is_due_again(void **state)
{
    // After an abort, and when the file is opened again, what is due is what the rows say.
    struct fixture *fx = *state;

    fx->tables[ORDERS].ttl = "1d after placed_at";
    open_file(fx);
    begin(fx);
    sql(fx, "insert into customers (id, name) values ('c', 'Ann')");
    sql(fx, "insert into orders (id, customer, status, placed_at) values ('a', 'c', 'paid', 5)");
    ok(fx, commit_to(fx, 1));
    begin(fx);
    assert_int_equal(expire(fx, due(fx, 2 * DAY), 9), 1);
    assert_int_equal(due(fx, 2 * DAY), INT64_MAX);
    fx->s->ops->abort(fx->s);
    assert_int_equal(due(fx, 2 * DAY), DAY + 6);
    reopen(fx);
    assert_int_equal(due(fx, 0), DAY + 6);
}

static void rows_go_in_slices(void **state)
{
    // At most max rows of one moment, lowest keys first; what references them goes with them.
    struct fixture *fx = *state;

    given_orders(fx);
    sql(fx, "insert into orders (id, customer, status, placed_at)"
            " with recursive n(i) as (select 7 union all select i - 1 from n where i > 1)"
            " select 'o' || i, 'c', 'paid', 5 from n");
    sql(fx, "insert into items (order_id, line) select id, 1 from orders");
    sql(fx, "insert into orders (id, customer, status, placed_at) values ('z', 'c', 'paid', 6)");
    assert_int_equal(expire(fx, due(fx, 2 * DAY), 3), 3);
    assert_int_equal(ask(fx, "SELECT count(*) FROM orders WHERE id > 'o3'"), 5);
    assert_int_equal(ask(fx, "SELECT count(*) FROM items"), 4);
    assert_int_equal(due(fx, 2 * DAY), DAY + 6);
    assert_int_equal(expire(fx, DAY + 6, 100), 4);
    assert_int_equal(due(fx, 2 * DAY), DAY + 7);
    assert_int_equal(expire(fx, DAY + 7, 100), 1);
    assert_int_equal(due(fx, 2 * DAY), INT64_MAX);
}

static void composite_keys_go_too(void **state)
{
    // So do rows with a key of several columns, and of tables whose key is the time itself; rows
    // behind computed columns are found.
    struct fixture *fx = *state;

    fx->plan.n_tables = 3;
    fx->tables[0].body = "a integer generated always as (at / 2), at time not null, k text,"
                         " primary key (k, at)";
    fx->tables[1].body = "at time primary key, n integer";
    fx->tables[2].body = "n integer, at time, primary key (at, n)";
    for (int i = 0; i < 3; i++)
        fx->tables[i].ttl = "0s after at";
    open_memory(fx);
    assert_int_equal(ask(fx, "SELECT count(*) FROM sqlite_schema WHERE name GLOB '*_ttl'"), 1);
    begin(fx);
    assert_int_equal(due(fx, 50), INT64_MAX);
    sql(fx, "insert into customers (at, k) values (10, 'x'), (10, 'y'), (11, 'x')");
    sql(fx, "insert into orders values (9, 1), (10, 2)");
    sql(fx, "insert into items values (1, 10), (2, 10), (1, 12)");
    assert_int_equal(due(fx, 50), 10);
    assert_int_equal(expire(fx, 10, 9), 1);
    assert_int_equal(due(fx, 50), 11);
    assert_int_equal(expire(fx, 11, 4), 4); // of all tables, in order
    assert_int_equal(ask(fx, "SELECT count(*) FROM items"), 2);
    assert_int_equal(due(fx, 50), 11);
    assert_int_equal(expire(fx, 11, 4), 1);
    assert_int_equal(due(fx, 50), 12);
}

static void a_row_that_cannot_go_stops_the_job(void **state)
{
    // A row whose deletion breaks a rule of the table stops the job with the reason: it is neither
    // left out nor tried for ever.
    struct fixture *fx = *state;
    int n;

    fx->tables[ITEMS].body = "id integer primary key, o text references orders on delete set null,"
                             " check (id > 5 or o is not null)";
    given_orders(fx);
    sql(fx, "insert into orders (id, customer, status, placed_at) values ('a', 'c', 'paid', 5)");
    sql(fx, "insert into items values (1, 'a')");
    assert_int_equal(due(fx, 2 * DAY), DAY + 6);
    assert_int_equal(fx->s->tables->ops->expire(fx->s->tables, DAY + 6, 9, &n, &fx->e),
                     LEAT_ESTOPPED);
    assert_non_null(strstr(fx->e.text, "table orders: a row past its ttl cannot be deleted"));
    assert_non_null(strstr(fx->e.text, "CHECK"));
}

static void finding_reads_no_table(void **state)
{
    // Looking for due rows, and deleting them, goes through an index: its own when there is none.
    struct fixture *fx = *state;
    struct plan_index x = {.sql = "placed_at, status", .line = 5};

    fx->tables[ORDERS].ttl = "1d after placed_at";
    open_memory(fx);
    assert_int_equal(ask(fx, "SELECT count(*) FROM sqlite_schema WHERE name = "
                             "'_leat_index_orders_ttl'"),
                     1);
    close_file(fx);
    fx->tables[ORDERS].indexes = &x;
    fx->tables[ORDERS].n_indexes = 1;
    open_memory(fx);
    assert_int_equal(ask(fx, "SELECT count(*) FROM sqlite_schema WHERE name GLOB '*_ttl'"), 0);
    close_file(fx);
    x.sql = "placed_at where status = 'paid'"; // not of every row
    open_memory(fx);
    assert_int_equal(ask(fx, "SELECT count(*) FROM sqlite_schema WHERE name GLOB '*_ttl'"), 1);
}

static void a_ttl_comes_and_goes_in_place(void **state)
{
    // A changed ttl needs no new version; its index follows.
    struct fixture *fx = *state;

    open_file(fx);
    begin(fx);
    sql(fx, "insert into customers (id, name) values ('c', 'Ann')");
    sql(fx, "insert into orders (id, customer, status, placed_at) values ('a', 'c', 'paid', 5)");
    ok(fx, commit_to(fx, 1));
    fx->tables[ORDERS].ttl = "2d after placed_at";
    reopen(fx);
    assert_int_equal(due(fx, 0), 2 * DAY + 6);
    fx->tables[ORDERS].ttl = "1d after paid_at";
    reopen(fx);
    assert_int_equal(due(fx, 0), INT64_MAX);
    assert_int_equal(ask(fx, "SELECT count(*) FROM sqlite_schema WHERE name GLOB '*_ttl' AND sql"
                             " LIKE '%paid_at%'"),
                     1);
    fx->tables[ORDERS].ttl = NULL;
    reopen(fx);
    assert_int_equal(ask(fx, "SELECT count(*) FROM sqlite_schema WHERE name GLOB '*_ttl'"), 0);
}

const struct CMUnitTest retention_tests[] = {
    T(what_is_not_understood_is_refused), T(children_must_let_go),
    T(rows_of_windows_outlive_them),      T(the_first_moment_is_known),
    T(what_is_taken_back_is_due_again),   T(rows_go_in_slices),
    T(composite_keys_go_too),             T(a_row_that_cannot_go_stops_the_job),
    T(what_is_forgotten_cannot_be_referenced),
    T(finding_reads_no_table),            T(a_ttl_comes_and_goes_in_place),
};
const size_t n_retention_tests = sizeof retention_tests / sizeof retention_tests[0];
