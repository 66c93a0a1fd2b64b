// SPDX-License-Identifier: Apache-2.0
//
// The verbs: what each does to a row that is there and one that is not, how values are converted,
// how errors are classed.
#include <string.h>

#include "tests/unit/projections/fixture.h"
#include "projections/rows.h"
#include "runtime/base/heap.h"

enum { CUSTOMERS, ORDERS, ITEMS, MINUTES };

// Prepares a verb over columns named "a,b,c".
static struct table_action *action(struct fixture *fx, int table, enum table_verb verb,
                                   const char *columns)
{
    struct bytes names[16];
    struct table_shape shape = {.table = table, .verb = verb, .columns = names};
    struct table_action *a = NULL;

    while (*columns) {
        size_t n = strcspn(columns, ",");
        names[shape.n_cells++] = bytes_of(columns, n);
        columns += n + (columns[n] == ',');
    }
    ok(fx, fx->s->tables->ops->prepare(fx->s->tables, &shape, &a, &fx->e));
    return a;
}

static int run(struct fixture *fx, struct table_action *a, struct value key,
               const struct value *cells)
{
    err_clear(&fx->e);
    return fx->s->tables->ops->run(a, &key, cells, NULL, &fx->e);
}

static struct value text(const char *s)
{
    return value_text(bytes_str(s));
}

#define NONE VALUE_OF_MISSING

static void open_with_step(struct fixture *fx)
{
    open_memory(fx);
    begin(fx);
}

static void given_customer(struct fixture *fx, const char *id)
{
    struct value cells[] = {text(id), text("Ann")};

    ok(fx, run(fx, action(fx, CUSTOMERS, VERB_INSERT, "id,name"), NONE, cells));
}

static void insert_refuses_a_duplicate(void **state)
{
    // insert makes a row with the columns' defaults, and fails on a key that is there, leaving the
    // step open.
    struct fixture *fx = *state;
    struct value cells[] = {text("c1"), text("Ann")};
    struct table_action *a;

    open_with_step(fx);
    a = action(fx, CUSTOMERS, VERB_INSERT, "id,name");
    ok(fx, run(fx, a, NONE, cells));
    assert_int_equal(run(fx, a, NONE, cells), LEAT_ECONSTRAINT);
    assert_string_equal(fx->e.text, "table customers: UNIQUE constraint failed: customers.id");
    ok(fx, commit_to(fx, 1));
    assert_int_equal(ask(fx, "SELECT spent FROM customers WHERE id = 'c1' AND name = 'Ann'"), 0);
}

static void put_changes_only_what_is_given(void **state)
{
    // put updates the given columns of a row that is there, inserts one that is not, and misses
    // required columns only then.
    struct fixture *fx = *state;
    struct value all[] = {text("c1"), text("Ann"), value_int(5)};
    struct value some[] = {text("c1"), NONE, value_int(7)};
    struct value fresh[] = {text("c2"), NONE, value_int(7)};
    struct value only_key[] = {text("c1"), NONE, NONE};
    struct table_action *a;

    open_with_step(fx);
    a = action(fx, CUSTOMERS, VERB_PUT, "id,name,spent");
    ok(fx, run(fx, a, NONE, all));
    ok(fx, run(fx, a, NONE, some));
    ok(fx, run(fx, a, NONE, only_key));
    assert_int_equal(ask(fx, "SELECT spent FROM customers WHERE name = 'Ann'"), 7);
    assert_int_equal(run(fx, a, NONE, fresh), LEAT_EMISSING);
    assert_non_null(strstr(fx->e.text, "name"));
    fresh[0] = NONE;
    assert_int_equal(run(fx, a, NONE, fresh), LEAT_EMISSING);
    some[1] = VALUE_OF_NULL;
    assert_int_equal(run(fx, a, NONE, some), LEAT_ECONSTRAINT);
}

static void patch_wants_the_row(void **state)
{
    // patch changes a row that is there; its absence is the curable error.
    struct fixture *fx = *state;
    struct value cells[] = {value_int(3)}, none[] = {NONE};
    struct table_action *a;

    open_with_step(fx);
    a = action(fx, CUSTOMERS, VERB_PATCH, "spent");
    assert_int_equal(run(fx, a, text("c1"), cells), LEAT_EMISSING);
    assert_int_equal(run(fx, a, text("c1"), none), LEAT_EMISSING);
    given_customer(fx, "c1");
    ok(fx, run(fx, a, text("c1"), cells));
    ok(fx, run(fx, a, text("c1"), none));
    assert_int_equal(ask(fx, "SELECT spent FROM customers"), 3);
    assert_int_equal(run(fx, a, VALUE_OF_NULL, cells), LEAT_EKEY);
}

static void add_starts_from_the_default(void **state)
{
    // add increments, and makes the row from the defaults when it is not there and nothing required
    // is missing.
    struct fixture *fx = *state;
    struct value cells[] = {value_int(3)};
    struct value more[] = {text("o1"), value_int(1)};
    struct table_action *a;

    open_with_step(fx);
    a = action(fx, CUSTOMERS, VERB_ADD, "spent");
    assert_int_equal(run(fx, a, text("c1"), cells), LEAT_EMISSING);
    given_customer(fx, "c1");
    ok(fx, run(fx, a, text("c1"), cells));
    ok(fx, run(fx, a, text("c1"), cells));
    assert_int_equal(ask(fx, "SELECT spent FROM customers"), 6);
    cells[0] = VALUE_OF_NULL;
    assert_int_equal(run(fx, a, text("c1"), cells), LEAT_ETYPE);
    cells[0] = value_int(INT64_MAX);
    assert_int_equal(run(fx, a, text("c1"), cells), LEAT_ETYPE);
    assert_int_equal(ask(fx, "SELECT spent FROM customers"), 6);
    struct table_shape bad = {.table = CUSTOMERS,
                              .verb = VERB_ADD,
                              .columns = (struct bytes[]){BYTES_LIT("name")},
                              .n_cells = 1};
    assert_int_equal(fx->s->tables->ops->prepare(fx->s->tables, &bad, &a, &fx->e), LEAT_EINVAL);
    struct value mkey[] = {value_int(60000), text("a")}, n[] = {value_int(2)};
    a = action(fx, MINUTES, VERB_ADD, "n");
    err_clear(&fx->e);
    ok(fx, fx->s->tables->ops->run(a, mkey, n, NULL, &fx->e));
    ok(fx, fx->s->tables->ops->run(a, mkey, n, NULL, &fx->e));
    assert_int_equal(ask(fx, "SELECT n FROM minutes WHERE window_start = 60000 AND assetId = 'a'"),
                     4);
    (void)more;
}

static void delete_is_quiet(void **state)
{
    // delete removes the row and what hangs on it; no row is fine.
    struct fixture *fx = *state;
    bool changed;
    struct value key = text("c1");
    struct table_action *a;

    open_with_step(fx);
    given_customer(fx, "c1");
    a = action(fx, CUSTOMERS, VERB_DELETE, "");
    ok(fx, fx->s->tables->ops->run(a, &key, NULL, &changed, &fx->e));
    assert_true(changed);
    ok(fx, fx->s->tables->ops->run(a, &key, NULL, &changed, &fx->e));
    assert_false(changed);
}

static void foreign_keys_are_missing_rows(void **state)
{
    // A violated foreign key is the curable class, at once, and its message names both sides.
    struct fixture *fx = *state;
    struct value cells[] = {text("o1"), text("c-77"), text("placed"), value_int(1)};

    open_with_step(fx);
    assert_int_equal(
        run(fx, action(fx, ORDERS, VERB_INSERT, "id,customer,status,placed_at"), NONE, cells),
        LEAT_EMISSING);
    assert_string_equal(
        fx->e.text, "table orders: FOREIGN KEY orders.customer -> customers[c-77] is not there");
    ok(fx, commit_to(fx, 1));
}

static int set_order(struct fixture *fx, const char *column, struct value v)
{
    struct value cells[] = {v};

    return run(fx, action(fx, ORDERS, VERB_PATCH, column), text("o1"), cells);
}

static struct value decimal(int64_t i, uint8_t scale)
{
    return (struct value){.type = VALUE_DECIMAL, .scale = scale, .i = i};
}

static void given_order(struct fixture *fx)
{
    struct value cells[] = {text("o1"), text("c1"), text("placed"),
                            text("2026-01-01T12:00:00+01:00")};

    open_with_step(fx);
    given_customer(fx, "c1");
    ok(fx, run(fx, action(fx, ORDERS, VERB_INSERT, "id,customer,status,placed_at"), NONE, cells));
}

static void values_are_converted_exactly(void **state)
{
    // Logical types take what they can hold exactly and refuse the rest as class type, never
    // coercing.
    struct fixture *fx = *state;

    given_order(fx);
    assert_int_equal(ask(fx, "SELECT placed_at FROM orders"), 1767265200000);
    ok(fx, set_order(fx, "total", decimal(105, 1)));
    assert_int_equal(ask(fx, "SELECT total FROM orders"), 1050);
    ok(fx, set_order(fx, "total", text("-0.10")));
    assert_int_equal(ask(fx, "SELECT total FROM orders"), -10);
    ok(fx, set_order(fx, "total", value_float(10.5)));
    assert_int_equal(ask(fx, "SELECT total FROM orders"), 1050);
    ok(fx, set_order(fx, "total", value_int(3)));
    assert_int_equal(ask(fx, "SELECT total FROM orders"), 300);
    assert_int_equal(set_order(fx, "total", text("0.001")), LEAT_ETYPE);
    assert_int_equal(set_order(fx, "total", text("99999999999")), LEAT_ETYPE);
    assert_int_equal(set_order(fx, "total", value_float(0.1 + 0.2)), LEAT_ETYPE);
    assert_int_equal(set_order(fx, "total", value_int(INT64_MAX)), LEAT_ETYPE);
    assert_int_equal(set_order(fx, "total", text("1e3")), LEAT_ETYPE);
    ok(fx, set_order(fx, "gift", value_bool(true)));
    assert_int_equal(set_order(fx, "gift", value_int(1)), LEAT_ETYPE);
    assert_int_equal(set_order(fx, "paid_at", text("soon")), LEAT_ETYPE);
    assert_int_equal(set_order(fx, "paid_at", value_int(INT64_MAX)), LEAT_ETYPE);
    assert_int_equal(set_order(fx, "lines", text("5")), LEAT_ETYPE);
    assert_string_equal(
        fx->e.text,
        "table orders: column lines wants integer and got text that it cannot hold exactly");
    assert_int_equal(set_order(fx, "lines", value_float(1.5)), LEAT_ETYPE);
    ok(fx, set_order(fx, "lines", value_float(4.0)));
    assert_int_equal(set_order(fx, "customer", value_int(5)), LEAT_ETYPE);
    assert_int_equal(set_order(fx, "status", text("lost")), LEAT_ECONSTRAINT);
    assert_int_equal(ask(fx, "SELECT twice FROM orders"), 8);
}

static void get_gives_logical_values(void **state)
{
    // get reads a row back in the types it was written with.
    struct fixture *fx = *state;
    struct value row, v, key = text("o1");
    struct value note;

    given_order(fx);
    ok(fx, set_order(fx, "total", decimal(1050, 2)));
    ok(fx, set_order(fx, "gift", value_bool(false)));
    ok(fx, value_decode(FORMAT_JSON, BYTES_LIT("{\"a\":[1,2]}"), &fx->a, &note, &fx->e));
    ok(fx, set_order(fx, "note", note));
    ok(fx, fx->s->tables->ops->get(fx->s->tables, ORDERS, &key, 1, &fx->a, &row, &fx->e));
    ok(fx, value_member(&row, BYTES_LIT("total"), &fx->a, &v, &fx->e));
    assert_int_equal(v.type, VALUE_DECIMAL);
    assert_int_equal(v.i, 1050);
    ok(fx, value_member(&row, BYTES_LIT("gift"), &fx->a, &v, &fx->e));
    assert_int_equal(v.type, VALUE_BOOL);
    ok(fx, value_member(&row, BYTES_LIT("placed_at"), &fx->a, &v, &fx->e));
    assert_int_equal(v.i, 1767265200000);
    ok(fx, value_member(&row, BYTES_LIT("note"), &fx->a, &v, &fx->e));
    assert_true(value_eq(&v, &note, &fx->a));
    ok(fx, value_member(&row, BYTES_LIT("paid_at"), &fx->a, &v, &fx->e));
    assert_true(value_is_nil(&v));
    key = text("o2");
    ok(fx, fx->s->tables->ops->get(fx->s->tables, ORDERS, &key, 1, &fx->a, &row, &fx->e));
    assert_int_equal(row.type, VALUE_MISSING);
}

static void shapes_are_checked(void **state)
{
    // A verb over an unknown or computed column, or without the whole key, is refused when it is
    // prepared; columns that can be written are listed.
    struct fixture *fx = *state;
    struct bytes unknown[] = {BYTES_LIT("idd")}, computed[] = {BYTES_LIT("twice")},
                 part[] = {BYTES_LIT("line")};
    struct table_shape shapes[] = {
        {.table = ORDERS, .verb = VERB_PATCH, .columns = unknown, .n_cells = 1},
        {.table = ORDERS, .verb = VERB_PATCH, .columns = computed, .n_cells = 1},
        {.table = ITEMS, .verb = VERB_PUT, .columns = part, .n_cells = 1},
        {.table = ITEMS, .verb = VERB_DELETE, .key_columns = part, .n_key = 1},
        {.table = ORDERS, .verb = VERB_DELETE, .key_columns = unknown, .n_key = 1},
    };
    static const char *const says[] = {"no column idd", "computed", "whole primary key",
                                       "whole primary key", "no column"};

    open_memory(fx);
    const char *const *names, *const *types;
    assert_int_equal(fx->s->tables->ops->columns(fx->s->tables, ORDERS, &names, &types), 9);
    assert_string_equal(names[8], "note");
    assert_string_equal(types[3], "decimal(10,2)");
    for (size_t i = 0; i < ARRAY_LEN(shapes); i++) {
        struct table_action *a;
        assert_int_equal(fx->s->tables->ops->prepare(fx->s->tables, &shapes[i], &a, &fx->e),
                         LEAT_EINVAL);
        if (strstr(fx->e.text, says[i]) == NULL)
            fail_msg("%s", fx->e.text);
    }
}

static void verbs_need_a_step(void **state)
{
    // Outside a step nothing is written, and after a rolled back savepoint nothing of the record
    // remains.
    struct fixture *fx = *state;
    struct value cells[] = {text("c1"), text("Ann")};
    struct table_action *a;

    open_memory(fx);
    a = action(fx, CUSTOMERS, VERB_INSERT, "id,name");
    assert_int_equal(run(fx, a, NONE, cells), LEAT_EINVAL);
    begin(fx);
    ok(fx, fx->s->ops->savepoint(fx->s, &fx->e));
    ok(fx, run(fx, a, NONE, cells));
    ok(fx, fx->s->ops->rollback_to(fx->s, &fx->e));
    ok(fx, commit_to(fx, 1));
    assert_int_equal(ask(fx, "SELECT count(*) FROM customers"), 0);
}

static int sql(struct fixture *fx, const char *statement, const struct value *params,
               struct value *rows)
{
    return fx->s->tables->ops->sql(fx->s->tables, bytes_str(statement), params, &fx->a, rows,
                                   &fx->e);
}

static void sql_reads_and_writes_the_jobs_tables(void **state)
{
    // Free SQL binds by name and by place, gives rows as objects, and writes the job's own tables
    // only.
    static const char *const hostile[] = {
        "commit",
        "rollback",
        "savepoint x",
        "begin",
        "pragma foreign_keys=0",
        "attach 'x' as y",
        "drop table customers",
        "create table x (a)",
        "insert or rollback into customers (id, name) values ('c1', 'x')",
        "replace into customers (id, name) values ('c1', 'x')",
        "insert or /* */ replace into customers (id, name) values ('c1', 'x')",
        "update _leat_offsets set next = 0",
        "delete from _leat_outbox",
        "insert into _leat_meta values ('a', 1)",
        "select 1; delete from customers",
        "select * from sqlite_schema",
        "select load_extension('x')",
        "update customers set name = 'x",
        "vacuum",
        "select printf('%.*c', 100000000, 'x')",
    };
    struct fixture *fx = *state;
    struct value rows, row, v, params;

    given_order(fx);
    for (size_t i = 0; i < ARRAY_LEN(hostile); i++)
        if (sql(fx, hostile[i], NULL, &rows) >= 0)
            fail_msg("this went through: %s", hostile[i]);
    assert_true(db_in_transaction(jobfile_of(fx->s)->db));
    ok(fx, value_decode(FORMAT_JSON, BYTES_LIT("{\"id\":\"o1\",\"lines\":3}"), &fx->a, &params,
                        &fx->e));
    ok(fx, sql(fx, "update orders set lines = :lines, gift = 1 where id = :id", &params, &rows));
    assert_int_equal(value_count(&rows), 0);
    ok(fx, value_decode(FORMAT_JSON, BYTES_LIT("[\"o1\"]"), &fx->a, &params, &fx->e));
    ok(fx, sql(fx, "select lines, gift, count(*) over () as n from orders where id = ?", &params,
               &rows));
    assert_int_equal(value_count(&rows), 1);
    ok(fx, value_element(&rows, 1, &fx->a, &row, &fx->e));
    ok(fx, value_member(&row, BYTES_LIT("lines"), &fx->a, &v, &fx->e));
    assert_int_equal(v.i, 3);
    ok(fx, value_member(&row, BYTES_LIT("gift"), &fx->a, &v, &fx->e));
    assert_int_equal(v.type, VALUE_BOOL);
    ok(fx, sql(fx, "select class from _leat_parked", NULL, &rows));
    assert_int_equal(sql(fx,
                         "with recursive n(i) as (select 1 union all select i + 1 from n) select "
                         "count(*) from n",
                         NULL, &rows),
                     LEAT_EBUDGET);
    assert_true(db_in_transaction(jobfile_of(fx->s)->db));
    ok(fx, commit_to(fx, 1));
    assert_int_equal(sql(fx, "delete from orders", NULL, &rows), LEAT_EINVAL);
    ok(fx, sql(fx, "select 1", NULL, &rows));
}

static void ended_transaction_is_noticed(void **state)
{
    // An error that ends the step's transaction stops the step, whatever class it has, and nothing
    // can be written after it.
    struct fixture *fx = *state;
    struct value rows, cells[] = {text("c1"), text("Ann")};

    open_memory(fx);
    ok(fx, db_exec(jobfile_of(fx->s)->db,
                   "DROP TABLE customers;"
                   "CREATE TABLE customers (id TEXT PRIMARY KEY ON CONFLICT ROLLBACK, name TEXT)",
                   &fx->e));
    begin(fx);
    ok(fx, sql(fx, "insert into customers (id, name) values ('c1', 'x')", NULL, &rows));
    assert_int_equal(sql(fx, "insert into customers (id, name) values ('c1', 'x')", NULL, &rows),
                     LEAT_ESTOPPED);
    assert_int_equal(fx->e.code, LEAT_ESTOPPED);
    assert_non_null(strstr(fx->e.text, "ended the step's transaction: UNIQUE"));
    assert_int_equal(run(fx, action(fx, CUSTOMERS, VERB_INSERT, "id,name"), NONE, cells),
                     LEAT_ESTOPPED);
    assert_int_equal(commit_to(fx, 1), LEAT_ESTOPPED);
    assert_int_equal(ask(fx, "SELECT count(*) FROM customers"), 0);
}

static void full_disk_in_a_verb(void **state)
{
    // A disk that fills up in the middle of a verb is the machine's error, and leaves nothing of
    // the step.
    struct fixture *fx = *state;
    struct table_action *a;
    struct value cells[2];
    char id[32], big[4000];
    int rc = 0;

    open_file(fx);
    ok(fx, db_exec(jobfile_of(fx->s)->db, "PRAGMA max_page_count=60; PRAGMA cache_size=4", &fx->e));
    a = action(fx, CUSTOMERS, VERB_PUT, "id,name");
    begin(fx);
    memset(big, 'x', sizeof big);
    for (int i = 0; rc == 0 && i < 1000; i++) {
        snprintf(id, sizeof id, "%d", i);
        cells[0] = text(id);
        cells[1] = value_text(bytes_of(big, sizeof big));
        rc = run(fx, a, NONE, cells);
    }
    assert_int_equal(rc, LEAT_ENOSPC);
    fx->s->ops->abort(fx->s);
    assert_int_equal(ask(fx, "SELECT count(*) FROM customers"), 0);
    begin(fx);
    ok(fx, commit_to(fx, 1));
}

// Everything that reads values of a row, with memory failing at the n-th try.
static int read_all(struct fixture *fx)
{
    struct value row, rows, v, key = text("o1");
    int rc = fx->s->tables->ops->get(fx->s->tables, ORDERS, &key, 1, &fx->a, &row, &fx->e);

    if (rc == 0)
        rc = value_member(&row, BYTES_LIT("note"), &fx->a, &v, &fx->e);
    if (rc == 0)
        rc = set_order(fx, "note", v);
    if (rc == 0)
        rc = sql(fx, "select note, total from orders", NULL, &rows);
    return rc;
}

static void memory_fails_anywhere(void **state)
{
    // Whichever allocation fails, the error says so, the step stays whole and the next try works.
    struct fixture *fx = *state;
    struct value note;

    given_order(fx);
    ok(fx, value_decode(FORMAT_JSON, BYTES_LIT("{\"a\":[1,2,{\"b\":\"\\u00e9\"}]}"), &fx->a, &note,
                        &fx->e));
    ok(fx, set_order(fx, "note", note));
    for (int n = 0;; n++) {
        int rc;
        bool fired;
        arena_deinit(&fx->a);
        arena_init(&fx->a);
        heap_fault_arm(n, false);
        rc = read_all(fx);
        fired = heap_fault_fired();
        heap_fault_arm(-1, false);
        if (!fired) {
            ok(fx, rc);
            break;
        }
        assert_true(rc == 0 || rc == LEAT_ENOMEM);
        assert_true(db_in_transaction(jobfile_of(fx->s)->db));
    }
    ok(fx, commit_to(fx, 1));
}

const struct CMUnitTest rows_tests[] = {
    T(insert_refuses_a_duplicate),
    T(put_changes_only_what_is_given),
    T(patch_wants_the_row),
    T(add_starts_from_the_default),
    T(delete_is_quiet),
    T(foreign_keys_are_missing_rows),
    T(values_are_converted_exactly),
    T(get_gives_logical_values),
    T(shapes_are_checked),
    T(verbs_need_a_step),
    T(sql_reads_and_writes_the_jobs_tables),
    T(ended_transaction_is_noticed),
    T(full_disk_in_a_verb),
    T(memory_fails_anywhere),
};
const size_t n_rows_tests = sizeof rows_tests / sizeof rows_tests[0];
