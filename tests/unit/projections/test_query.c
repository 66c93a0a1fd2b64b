// SPDX-License-Identifier: Apache-2.0
//
// Questions to the read model: parameters, types, positions, limits; and what is found at load.
#include <string.h>

#include "tests/unit/projections/fixture.h"

static struct plan_param params[] = {
    {.name = "customer", .type = "text"},
    {.name = "since", .type = "time?", .nullable = true},
    {.name = "top", .type = "integer = 50"},
};
static struct plan_query queries[] = {
    {.name = "orders_of",
     .line = 40,
     .params = params,
     .n_params = 3,
     .sql = "select * from orders where customer = :customer and (:since is null or placed_at >= "
            ":since) order by id limit :top"},
    {.name = "windows", .line = 50, .sql = "select * from minutes"},
};

static void with_queries(struct fixture *fx)
{
    params[2].fallback = value_int(50);
    fx->plan.queries = queries;
    fx->plan.n_queries = 2;
}

static void given_rows(struct fixture *fx)
{
    struct db *db = jobfile_of(fx->s)->db;

    begin(fx);
    ok(fx, db_exec(db,
                   "INSERT INTO customers (id, name) VALUES ('ann', 'Ann');"
                   "INSERT INTO orders (id, customer, status, total, placed_at, gift) VALUES"
                   " ('o1', 'ann', 'paid', 1050, 1767225600000, 1), ('o2', 'ann', 'placed', 5, "
                   "1767225601000, NULL)",
                   &fx->e));
    ok(fx, commit_to(fx, 13));
}

static struct query_reader *reader(struct fixture *fx)
{
    struct query_reader *r = NULL;

    ok(fx, jobfile_reader(&r, &fx->plan, fx->path, &fx->e));
    return r;
}

static int ask_named(struct fixture *fx, struct query_reader *r, const char *name,
                     const char *value, struct query_answer *out)
{
    struct bytes names[] = {bytes_str("customer"), bytes_str(name)},
                 texts[] = {bytes_str("ann"), bytes_str(value)};
    struct query_request q = {
        .named = &queries[0], .names = names, .texts = texts, .n_params = name != NULL ? 2 : 1};

    return r->ops->run(r, &q, &fx->a, out, &fx->e);
}

static struct value cell(const struct query_answer *a, size_t row, const char *column)
{
    for (size_t k = 0; k < a->n_columns; k++)
        if (bytes_eq_str(a->columns[k], column))
            return a->cells[row * a->n_columns + k];
    fail_msg("no column %s", column);
    return VALUE_OF_MISSING;
}

static void answers_are_typed_and_placed(void **state)
{
    // An answer shows logical types as people write them, with the position that its rows follow
    // from.
    struct fixture *fx = *state;
    struct query_answer a;
    struct query_reader *r;

    with_queries(fx);
    open_file(fx);
    given_rows(fx);
    r = reader(fx);
    ok(fx, ask_named(fx, r, NULL, NULL, &a));
    assert_int_equal(a.n_rows, 2);
    struct value placed = cell(&a, 0, "placed_at"), total = cell(&a, 0, "total"),
                 gift = cell(&a, 0, "gift");
    assert_true(bytes_eq_str(placed.s, "2026-01-01T00:00:00.000Z"));
    assert_true(bytes_eq_str(total.s, "10.50"));
    assert_true(gift.type == VALUE_BOOL && gift.b);
    assert_string_equal(a.types[0], "text");
    assert_string_equal(a.types[3], "decimal(10,2)");
    assert_true(bytes_eq_str(a.position, "events:0@12"));
    r->ops->close(r);
}

static void parameters_are_checked(void **state)
{
    // Parameters are converted by their declared type; a wrong, missing or unknown one is refused
    // by name.
    struct fixture *fx = *state;
    struct query_answer a;
    struct query_reader *r;
    struct query_request none = {.named = &queries[0]};

    with_queries(fx);
    open_file(fx);
    given_rows(fx);
    r = reader(fx);
    ok(fx, ask_named(fx, r, "top", "1", &a));
    assert_int_equal(a.n_rows, 1);
    ok(fx, ask_named(fx, r, "since", "2026-01-01T00:00:01Z", &a));
    assert_int_equal(a.n_rows, 1);
    ok(fx, ask_named(fx, r, "since", "1767225601000", &a));
    assert_int_equal(a.n_rows, 1);
    assert_int_equal(ask_named(fx, r, "top", "many", &a), LEAT_EINVAL);
    assert_string_equal(fx->e.text, "parameter top wants integer, not \"many\"");
    assert_int_equal(ask_named(fx, r, "since", "soon", &a), LEAT_EINVAL);
    assert_int_equal(ask_named(fx, r, "tip", "1", &a), LEAT_EINVAL);
    assert_int_equal(r->ops->run(r, &none, &fx->a, &a, &fx->e), LEAT_EINVAL);
    assert_non_null(strstr(fx->e.text, "customer is missing"));
    r->ops->close(r);
}

static int ask_sql(struct fixture *fx, struct query_reader *r, const char *sql, size_t rows_max,
                   struct query_answer *a)
{
    struct query_request q = {.sql = bytes_str(sql), .rows_max = rows_max, .deadline_ms = 50};

    return r->ops->run(r, &q, &fx->a, a, &fx->e);
}

static void free_sql_is_fenced(void **state)
{
    // Free SQL reads, within rows and time, and neither writes nor sees what is not the job's.
    struct fixture *fx = *state;
    struct query_answer a;
    struct query_reader *r;

    with_queries(fx);
    open_file(fx);
    given_rows(fx);
    r = reader(fx);
    ok(fx, ask_sql(fx, r, "select * from orders", 1, &a));
    assert_true(a.truncated && a.n_rows == 1);
    ok(fx, ask_sql(fx, r, "select count(*) n from _leat_commits", 0, &a));
    assert_int_equal(a.cells[0].i, 1);
    assert_string_equal(a.types[0], "integer");
    assert_true(ask_sql(fx, r, "delete from orders", 0, &a) < 0);
    assert_true(ask_sql(fx, r, "select * from sqlite_schema", 0, &a) < 0);
    assert_true(ask_sql(fx, r, "select 1; select 2", 0, &a) < 0);
    assert_int_equal(ask_sql(fx, r,
                             "with recursive n(i) as (select 1 union all select i + 1 from n) "
                             "select count(*) from n",
                             0, &a),
                     LEAT_ETIMEDOUT);
    ok(fx, ask_sql(fx, r, "select 1 x", 0, &a));
    // A connection that is only there to read never holds a step up.
    begin(fx);
    ok(fx, ask_sql(fx, r, "select count(*) from orders", 0, &a));
    ok(fx, commit_to(fx, 14));
    r->ops->close(r);
}

static void positions_are_waited_for(void **state)
{
    // A position is reached when the record it names is committed; what is no position is refused,
    // and so is one of a topic that the job does not read: it would never be reached.
    static struct plan_node sources[] = {
        {.kind = NODE_SOURCE, .source = {.topic = "events"}},
        {.kind = NODE_SOURCE, .source = {.topic = "other"}},
    };
    struct fixture *fx = *state;
    struct query_reader *r;

    with_queries(fx);
    open_file(fx);
    fx->plan.nodes = sources;
    fx->plan.n_nodes = ARRAY_LEN(sources);
    given_rows(fx);
    r = reader(fx);
    assert_int_equal(r->ops->reached(r, BYTES_LIT("events:0@12"), &fx->e), 1);
    assert_int_equal(r->ops->reached(r, BYTES_LIT("events:0@13"), &fx->e), 0);
    assert_int_equal(r->ops->reached(r, BYTES_LIT("events:0@12,1@0"), &fx->e), 0);
    assert_int_equal(r->ops->reached(r, BYTES_LIT("other:0@0;events:0@12"), &fx->e), 0);
    assert_int_equal(r->ops->reached(r, BYTES_LIT("events:0"), &fx->e), LEAT_EINVAL);
    assert_int_equal(r->ops->reached(r, BYTES_LIT("x"), &fx->e), LEAT_EINVAL);
    assert_int_equal(r->ops->reached(r, BYTES_LIT("nowhere:0@1"), &fx->e), LEAT_EINVAL);
    begin(fx);
    ok(fx, commit_to(fx, 14));
    assert_int_equal(r->ops->reached(r, BYTES_LIT("events:0@13"), &fx->e), 1);
    r->ops->close(r);
    fx->plan.n_nodes = 0;
}

static void file_describes_itself(void **state)
{
    // Who has the file and not the job gets the same typed answers, and finds the plan in it.
    struct fixture *fx = *state;
    struct plan_query q = {.sql = "select placed_at, gift from orders where customer = :customer"
                                  " order by id",
                           .params = params,
                           .n_params = 1};
    struct bytes name = BYTES_LIT("customer"), text = BYTES_LIT("ann");
    struct query_request ask = {.named = &q, .names = &name, .texts = &text, .n_params = 1};
    struct query_answer a;
    struct query_reader *r;

    with_queries(fx);
    open_file(fx);
    given_rows(fx);
    close_file(fx); // nobody writes it now
    ok(fx, jobfile_reader(&r, NULL, fx->path, &fx->e));
    ok(fx, r->ops->run(r, &ask, &fx->a, &a, &fx->e));
    assert_int_equal(a.n_rows, 2);
    assert_true(bytes_eq_str(a.cells[0].s, "2026-01-01T00:00:00.000Z"));
    assert_int_equal(a.cells[1].type, VALUE_BOOL);
    ok(fx, ask_sql(fx, r, "select value from _leat_meta where name = 'plan'", 0, &a));
    assert_int_equal(a.cells[0].type, VALUE_TEXT);
    assert_true(ask_sql(fx, r, "select * from sqlite_schema", 0, &a) < 0);
    assert_int_equal(r->ops->reached(r, BYTES_LIT("events:0@12"), &fx->e), 1);
    assert_int_equal(r->ops->reached(r, BYTES_LIT("nowhere:0@1"), &fx->e), LEAT_EINVAL);
    r->ops->close(r);
}

static void memory_is_asked_too(void **state)
{
    // A store in memory answers through its own connection, and packed state is not shown.
    static const char *const names[] = {"assetId"}, *const columns[] = {"n"};
    struct state_spec spec = {.id = "x",
                              .table = 3,
                              .windowed = true,
                              .key_names = names,
                              .n_key = 1,
                              .columns = columns,
                              .n_columns = 1};
    struct fixture *fx = *state;
    struct query_request q = {.named = &queries[1]};
    struct query_answer a;
    struct query_reader *r;
    struct state *st;

    with_queries(fx);
    open_memory(fx);
    ok(fx, fx->s->states->ops->open(fx->s->states, &spec, &st, &fx->e));
    given_rows(fx);
    ok(fx, jobfile_reader_of(&r, fx->s, &fx->e));
    ok(fx, r->ops->run(r, &q, &fx->a, &a, &fx->e));
    assert_int_equal(a.n_columns, 5);
    assert_true(bytes_eq_str(a.position, "events:0@12"));
    assert_true(ask_sql(fx, r, "delete from orders", 0, &a) < 0);
    r->ops->close(r);
    begin(fx);
    ok(fx, commit_to(fx, 14));
}

static void checked_at_load(void **state)
{
    // A query's mistakes are found at load with its line, and one that reads a whole table is
    // warned about.
    struct fixture *fx = *state;
    struct plan_query q = {.name = "bad", .line = 7};
    struct buf warnings = BUF_EMPTY;
    static const char *const bad[] = {"select nothing from orders",
                                      "delete from orders",
                                      "select :x from orders",
                                      "select ? from orders",
                                      "select 1; select 2",
                                      "select * from sqlite_schema",
                                      "select 'x"};

    with_queries(fx);
    ok(fx, jobfile_check(&fx->plan, &warnings, &fx->e));
    assert_non_null(
        strstr(buf_cstr(&warnings), "jobs/shop.lua:40: query orders_of reads all of table orders"));
    buf_deinit(&warnings);
    fx->plan.queries = &q;
    fx->plan.n_queries = 1;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        q.sql = bad[i];
        assert_int_equal(jobfile_check(&fx->plan, NULL, &fx->e), LEAT_ELOAD);
        assert_non_null(strstr(fx->e.text, "jobs/shop.lua:7: query bad: "));
    }
}

const struct CMUnitTest query_tests[] = {
    T(answers_are_typed_and_placed),
    T(parameters_are_checked),
    T(free_sql_is_fenced),
    T(positions_are_waited_for),
    T(file_describes_itself),
    T(memory_is_asked_too),
    T(checked_at_load),
};
const size_t n_query_tests = sizeof query_tests / sizeof query_tests[0];
