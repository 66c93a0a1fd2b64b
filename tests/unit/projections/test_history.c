// SPDX-License-Identifier: Apache-2.0
//
// Versions of rows: what is refused at load, what each write leaves, what is answered, and all of
// it against a list of every write ever made.
#include <inttypes.h>
#include <string.h>

#include "projections/history.h"
#include "runtime/base/heap.h"
#include "runtime/base/random.h"
#include "tests/unit/projections/fixture.h"

enum { CUSTOMERS, ORDERS, ITEMS, MINUTES };

static int try_open(struct fixture *fx)
{
    struct jobfile_options o = {0};

    jobfile_close(fx->s);
    fx->s = NULL;
    return jobfile_open(&fx->s, &fx->plan, &o, &fx->e);
}

static void refused(struct fixture *fx, int table, const char *history, const char *why)
{
    fx->tables[table].history = history;
    assert_int_equal(try_open(fx), LEAT_ELOAD);
    if (strstr(fx->e.text, why) == NULL || strstr(fx->e.text, "jobs/shop.lua:") == NULL)
        fail_msg("%s: says %s", history, fx->e.text);
    fx->tables[table].history = NULL;
}

static void sql(struct fixture *fx, const char *text)
{
    struct value rows;

    ok(fx, fx->s->tables->ops->sql(fx->s->tables, bytes_str(text), NULL, &fx->a, &rows, &fx->e));
}

static int get_at(struct fixture *fx, int table, const char *key, int64_t at, struct value *row)
{
    struct value k = value_text(bytes_str(key));
    struct table_moment m = {.table = table, .key = &k, .n_key = 1, .at = at};

    err_clear(&fx->e);
    return fx->s->tables->ops->get_at(fx->s->tables, &m, &fx->a, row, &fx->e);
}

// A column of the row at that time; -1 for no row.
static int64_t number_at(struct fixture *fx, int table, const char *key, int64_t at,
                         const char *column)
{
    struct value row, v;

    ok(fx, get_at(fx, table, key, at, &row));
    if (row.type == VALUE_MISSING)
        return -1;
    ok(fx, value_member(&row, bytes_str(column), &fx->a, &v, &fx->e));
    return v.i;
}

static void what_cannot_be_kept_is_refused(void **state)
{
    // What a history cannot be, is refused with line and reason: a bad duration, names that clash,
    // rows that are an aggregate's.
    struct fixture *fx = *state;
    struct plan_view v = {.name = "Customers__History", .sql = "select 1", .line = 77};

    refused(fx, CUSTOMERS, "soon", "history = \"soon\" is no duration");
    refused(fx, CUSTOMERS, "0s", "is no duration");
    refused(fx, MINUTES, "1d", "the rows are an aggregate's");
    fx->plan.views = &v;
    fx->plan.n_views = 1;
    refused(fx, CUSTOMERS, "1d", "its table is customers__history, which stands on line 77");
    fx->plan.n_views = 0;
    fx->tables[ITEMS].name = "customers__history";
    refused(fx, CUSTOMERS, "1d", "its table is customers__history, which stands on line 20");
    fx->tables[ITEMS].name = "items";
    fx->tables[ITEMS].body = "id integer primary key, Valid_From time";
    refused(fx, ITEMS, "1d", "the column Valid_From is its own");
    fx->tables[ITEMS].body = "a integer generated always as (id), id integer primary key";
    refused(fx, ITEMS, "1d", "the computed columns must stand behind the others, and id comes");
    fx->tables[ORDERS].history = "1h30m";
    ok(fx, try_open(fx));
}

static void given_customers(struct fixture *fx)
{
    fx->tables[CUSTOMERS].history = "1000ms";
    fx->tables[ORDERS].history = "1000ms";
    open_memory(fx);
    begin(fx);
    fx->s->tables->watermark = INT64_MIN;
}

static void at(struct fixture *fx, int64_t time, const char *text)
{
    fx->s->tables->time = time;
    sql(fx, text);
}

static void keys_compare_as_the_table_does(void **state)
{
    // A key that the table finds is found in the history too.
    struct fixture *fx = *state;

    fx->tables[CUSTOMERS].body = "id text collate nocase primary key, n integer";
    fx->plan.n_tables = 1;
    given_customers(fx);
    at(fx, 10, "insert into customers values ('Ann', 1)");
    at(fx, 20, "update customers set n = 2 where id = 'aNN'");
    assert_int_equal(number_at(fx, CUSTOMERS, "ann", 19, "n"), 1);
    assert_int_equal(number_at(fx, CUSTOMERS, "ANN", 20, "n"), 2);
    at(fx, 30, "update customers set id = 'ANN' where id = 'ann'");
    assert_int_equal(ask(fx, "SELECT count(*) FROM customers__history"), 3);
    assert_int_equal(ask(fx, "SELECT count(*) FROM customers__history WHERE valid_to > 1e9"), 1);
}

static void what_goes_with_others_has_ended_too(void **state)
{
    // Foreign key actions end versions like any other write, at the same time.
    struct fixture *fx = *state;

    given_customers(fx);
    at(fx, 10, "insert into customers (id, name) values ('c', 'Ann')");
    at(fx, 11, "insert into orders (id, customer, status, placed_at, lines)"
               " values ('o', 'c', 'paid', 1, 4)");
    at(fx, 30, "delete from customers");
    assert_int_equal(number_at(fx, ORDERS, "o", 29, "twice"), 8);
    assert_int_equal(number_at(fx, ORDERS, "o", 30, "twice"), -1);
    assert_int_equal(ask(fx, "SELECT valid_to FROM orders__history"), 30);
}

static void the_end_of_time_is_far(void **state)
{
    // Times at the ends of the calendar are times like others.
    struct fixture *fx = *state;

    given_customers(fx);
    at(fx, INT64_MAX, "insert into customers (id, name) values ('c', 'Ann')");
    assert_int_equal(ask(fx, "SELECT count(*) FROM customers__history WHERE valid_from < valid_to"),
                     1);
    at(fx, INT64_MIN, "update customers set spent = 1");
    assert_int_equal(ask(fx, "SELECT count(*) FROM customers__history"), 1);
    assert_int_equal(number_at(fx, CUSTOMERS, "c", INT64_MIN, "spent"), 1);
    assert_int_equal(number_at(fx, CUSTOMERS, "c", DATETIME_MAX - 1, "spent"), 1);
}

// --- files ---

static int take_up(struct fixture *fx, bool from_now, bool drop)
{
    struct jobfile_options o = {.path = fx->path, .from_now = from_now, .drop = drop};

    close_file(fx);
    return jobfile_open(&fx->s, &fx->plan, &o, &fx->e);
}

// A step that moves events:0 and its watermark.
static void commit_at(struct fixture *fx, int64_t next, int64_t w)
{
    struct store_offset o = {.topic = "events",
                             .topic_id = topic_id(1),
                             .next = next,
                             .epoch = 3,
                             .watermark = w,
                             .last_time = w};
    struct store_commit c = {.offsets = &o, .n_offsets = 1, .now = 1767225600000, .records = 1};

    ok(fx, fx->s->ops->commit(fx->s, &c, NULL, &fx->e));
}

static void a_history_begins_and_ends_in_a_file(void **state)
{
    // In a file that is there a history begins when that is said, with the rows as they are, and
    // knows nothing of before; it ends when that is said, and begins anew.
    struct fixture *fx = *state;
    struct value row;

    open_file(fx);
    begin(fx);
    sql(fx, "insert into customers (id, name, spent) values ('c', 'Ann', 7)");
    commit_at(fx, 1, 5000);
    fx->tables[CUSTOMERS].history = "1000s";
    assert_int_equal(take_up(fx, false, false), LEAT_EINVAL);
    assert_non_null(strstr(fx->e.text, "history of table customers: + is new: it would begin now"));
    ok(fx, take_up(fx, true, false));
    fx->s->tables->watermark = 5000;
    assert_int_equal(number_at(fx, CUSTOMERS, "c", 5000, "spent"), 7);
    assert_int_equal(get_at(fx, CUSTOMERS, "c", 4999, &row), LEAT_EHISTORY);
    assert_non_null(strstr(fx->e.text,
                           "table customers: its history reaches back to "
                           "1970-01-01T00:00:05.000Z, not to 1970-01-01T00:00:04.999Z"));
    fx->tables[CUSTOMERS].history = NULL;
    assert_int_equal(take_up(fx, false, false), LEAT_EINVAL);
    assert_non_null(strstr(fx->e.text, "history of table customers is gone"));
    ok(fx, take_up(fx, false, true));
    assert_int_equal(ask(fx, "SELECT count(*) FROM sqlite_schema WHERE name GLOB '*__h*'"), 0);
    assert_int_equal(ask(fx, "SELECT count(*) FROM _leat_columns WHERE \"table\" GLOB '*__h*'"), 0);
    fx->tables[CUSTOMERS].history = "1s";
    ok(fx, take_up(fx, true, false));
    assert_int_equal(ask(fx, "SELECT count(*) FROM customers__history"), 1);
}

static void a_longer_history_does_not_know_more(void **state)
{
    // A history that is kept longer from now on still says that it does not know what has gone;
    // shorter or longer, it goes on in place, and new columns come with what old rows are given.
    struct fixture *fx = *state;
    struct value row;

    fx->tables[CUSTOMERS].history = "1s";
    open_file(fx);
    begin(fx);
    fx->s->tables->time = 4000;
    sql(fx, "insert into customers (id, name, spent) values ('c', 'Ann', 7)");
    commit_at(fx, 1, 5000);
    fx->tables[CUSTOMERS].history = "60s";
    fx->tables[CUSTOMERS].body = "id text primary key, name text not null, orders integer not null"
                                 " default 0, spent integer not null default 0, tier integer not"
                                 " null default 3, note text";
    ok(fx, take_up(fx, false, false));
    fx->s->tables->watermark = 5000;
    assert_int_equal(number_at(fx, CUSTOMERS, "c", 4000, "tier"), 3);
    assert_int_equal(get_at(fx, CUSTOMERS, "c", 3999, &row), LEAT_EHISTORY);
    fx->s->tables->watermark = 70000;
    assert_int_equal(get_at(fx, CUSTOMERS, "c", 9999, &row), LEAT_EHISTORY);
    assert_int_equal(number_at(fx, CUSTOMERS, "c", 10000, "tier"), 3);
    begin(fx);
    at(fx, 20000, "update customers set tier = 4");
    commit_at(fx, 2, 70000);
    assert_int_equal(number_at(fx, CUSTOMERS, "c", 19999, "tier"), 3);
    assert_int_equal(number_at(fx, CUSTOMERS, "c", 20000, "tier"), 4);
    fx->tables[CUSTOMERS].history = "50s";
    ok(fx, take_up(fx, false, false));
    fx->s->tables->watermark = 70000;
    assert_int_equal(get_at(fx, CUSTOMERS, "c", 19999, &row), LEAT_EHISTORY);
}

static void a_table_goes_with_its_history(void **state)
{
    // A table that is gone from the job takes its history along; one that is new brings its own.
    struct fixture *fx = *state;

    fx->tables[ITEMS].history = "1s";
    fx->plan.n_tables = 3;
    open_file(fx);
    begin(fx);
    commit_at(fx, 1, 5);
    fx->plan.n_tables = 2;
    ok(fx, take_up(fx, false, true));
    assert_int_equal(ask(fx, "SELECT count(*) FROM sqlite_schema WHERE name GLOB 'items*'"), 0);
    fx->plan.n_tables = 3;
    ok(fx, take_up(fx, true, false));
    assert_int_equal(ask(fx, "SELECT count(*) FROM items__history"), 0);
}

// --- faults ---

static int write_some(struct fixture *fx, int64_t time)
{
    static const char *const texts[] = {
        "delete from customers where id like 'new%'",
        "insert into customers (id, name) values ('new', 'x'), ('new2', 'y')",
        "update customers set spent = spent + 1", "update customers set id = id || '!'",
        "delete from customers where id = 'new!'"};
    struct value rows;
    int rc = fx->s->ops->begin(fx->s, 1767225600000, &fx->e);

    fx->s->tables->time = time;
    for (size_t i = 0; i < ARRAY_LEN(texts) && rc == 0; i++)
        rc = fx->s->tables->ops->sql(fx->s->tables, bytes_str(texts[i]), NULL, &fx->a, &rows,
                                     &fx->e);
    if (rc == 0)
        rc = commit_to(fx, 2);
    if (rc < 0)
        fx->s->ops->abort(fx->s);
    return rc;
}

// Versions of one key follow each other, and those that are open are the table.
static void check_versions(struct fixture *fx)
{
    assert_int_equal(ask(fx, "SELECT count(*) FROM customers__history a JOIN customers__history b"
                             " ON a.id = b.id AND a.valid_from < b.valid_from"
                             " AND a.valid_to > b.valid_from"),
                     0);
    assert_int_equal(
        ask(fx, "SELECT count(*) FROM customers__history WHERE valid_from >= valid_to"), 0);
    assert_int_equal(
        ask(fx, "SELECT count(*) FROM (SELECT id, name, orders, spent FROM customers EXCEPT SELECT"
                " id, name, orders, spent FROM customers__history"
                " WHERE valid_to = 253402300799999)"),
        0);
    assert_int_equal(
        ask(fx, "SELECT (SELECT count(*) FROM customers) = (SELECT count(*) FROM"
                " customers__history WHERE valid_to = 253402300799999)"),
        1);
}

static void given_file(struct fixture *fx)
{
    fx->tables[CUSTOMERS].history = "1d";
    open_file(fx);
    begin(fx);
    at(fx, 5, "insert into customers (id, name) values ('c', 'Ann')");
    ok(fx, commit_to(fx, 1));
}

static void faults_leave_rows_and_versions_alike(void **state)
{
    // A disk that is full at any write, and memory that fails at any allocation, leave the rows and
    // their versions both as they were.
    struct fixture *fx = *state;
    bool fired = true;
    int rc = 0, fired_n = 0;

    given_file(fx);
    for (int n = 0; fired; n++) {
        db_fault_arm(jobfile_of(fx->s)->db, n, LEAT_ENOSPC, false);
        rc = write_some(fx, 6);
        fired = db_fault_fired(jobfile_of(fx->s)->db);
        db_fault_arm(jobfile_of(fx->s)->db, -1, 0, false);
        check_versions(fx);
        assert_int_equal(ask(fx, "SELECT count(*) FROM customers"), fired ? 1 : 2);
        fired_n += fired;
    }
    ok(fx, rc);
    assert_true(fired_n > 3);
    fired = true;
    for (int n = 0; fired; n++) {
        int64_t rows = ask(fx, "SELECT count(*) FROM customers");

        heap_fault_arm(n, false);
        rc = write_some(fx, 7);
        fired = heap_fault_fired();
        heap_fault_arm(-1, false);
        if (rc < 0)
            assert_int_equal(ask(fx, "SELECT count(*) FROM customers"), rows);
        else
            break;
        assert_int_equal(rc, LEAT_ENOMEM);
        check_versions(fx);
        fired_n++;
    }
    assert_true(fired_n > 6);
    check_versions(fx);
}

// --- the model ---

enum { KEYS = 6, WRITES_MAX = 4000, STEPS = 1200, KEEP = 1000 };

struct write { // in the order in which they came; n < 0: the row is gone
    int key;
    int64_t time, n;
};

struct model {
    struct write list[WRITES_MAX];
    int n_list;
    int64_t now[KEYS]; // the table; -1: no row
    int64_t w;
};

static void model_write(struct model *m, int key, int64_t time, int64_t n)
{
    if (m->now[key] == n)
        return;
    m->now[key] = n;
    assert_true(m->n_list < WRITES_MAX);
    m->list[m->n_list++] = (struct write){key, time, n};
}

static int64_t model_at(const struct model *m, int key, int64_t time)
{
    for (int i = m->n_list - 1; i >= 0; i--)
        if (m->list[i].key == key && m->list[i].time <= time)
            return m->list[i].n;
    return -1;
}

static void put(struct fixture *fx, bool there, int key, int64_t n)
{
    char text[160];

    if (there)
        snprintf(text, sizeof text, "update customers set spent = %d where id = 'k%d'", (int)n,
                 key);
    else
        snprintf(text, sizeof text,
                 "insert into customers (id, name, spent) values ('k%d', 'x', %d)", key, (int)n);
    sql(fx, text);
}

static void del(struct fixture *fx, int key)
{
    char text[100];

    snprintf(text, sizeof text, "delete from customers where id = 'k%d'", key);
    sql(fx, text);
}

static void all_up(struct model *m, int64_t time)
{
    for (int k = 0; k < KEYS; k++)
        if (m->now[k] >= 0)
            model_write(m, k, time, m->now[k] + 1);
}

// Moves a row to a key that has none.
static void move(struct fixture *fx, struct model *m, int key, int64_t time)
{
    char text[100];
    int to = (key + 1) % KEYS;

    if (m->now[key] < 0 || m->now[to] >= 0)
        return;
    snprintf(text, sizeof text, "update customers set id = 'k%d' where id = 'k%d'", to, key);
    sql(fx, text);
    model_write(m, to, time, m->now[key]);
    model_write(m, key, time, -1);
}

static void write_random(struct fixture *fx, struct model *m, struct random *r, int64_t time)
{
    int key = (int)random_below(r, KEYS);
    int64_t n = (int64_t)random_below(r, 4);

    fx->s->tables->time = time;
    switch (random_below(r, 6)) {
    case 0:
        sql(fx, "update customers set spent = spent + 1");
        all_up(m, time);
        return;
    case 1:
        del(fx, key);
        model_write(m, key, time, -1);
        return;
    case 2:
        move(fx, m, key, time);
        return;
    default:
        put(fx, m->now[key] >= 0, key, n);
        model_write(m, key, time, n);
    }
}

static void let_go(struct fixture *fx, int64_t w)
{
    const struct tables_ops *ops = fx->s->tables->ops;
    int64_t due;
    int n;

    fx->s->tables->watermark = w;
    for (;;) {
        ok(fx, ops->due(fx->s->tables, w, &due, &fx->e));
        if (due > w)
            return;
        ok(fx, ops->expire(fx->s->tables, due, 3, &n, &fx->e));
    }
}

static void ask_random(struct fixture *fx, const struct model *m, struct random *r, int64_t about)
{
    char key[8];
    int k = (int)random_below(r, KEYS);
    int64_t time = about - (int64_t)random_below(r, 2000) + 300;
    struct value row;

    snprintf(key, sizeof key, "k%d", k);
    if (time < m->w - KEEP)
        assert_int_equal(get_at(fx, CUSTOMERS, key, time, &row), LEAT_EHISTORY);
    else
        assert_int_equal(number_at(fx, CUSTOMERS, key, time, "spent"), model_at(m, k, time));
}

static void run_model(struct fixture *fx, struct model *m, uint64_t seed)
{
    struct random r;
    int64_t now = 10000;

    *m = (struct model){.w = 0};
    for (int k = 0; k < KEYS; k++)
        m->now[k] = -1;
    random_seed(&r, seed);
    for (int i = 0; i < STEPS; i++) {
        int64_t late = random_below(&r, 2) == 0 ? (int64_t)random_below(&r, 200) : 0;

        now += (int64_t)random_below(&r, 30);
        write_random(fx, m, &r, now - late);
        if (random_below(&r, 5) == 0)
            let_go(fx, m->w = now - 300);
        ask_random(fx, m, &r, now);
        arena_reset(&fx->a);
    }
    check_versions(fx);
}

static void any_history_is_the_list_of_its_writes(void **state)
{
    // At any time the history answers what the last of the writes up to then, in the order in which
    // they came, has made of the row; whatever the order of their times, and while old versions go.
    struct fixture *fx = *state;
    struct model *m = malloc(sizeof *m);
    const char *given = getenv("LEAT_SEED");
    uint64_t seed = given != NULL ? strtoull(given, NULL, 10) : 1;

    for (uint64_t s = seed; s < seed + 4; s++) {
        printf("seed %" PRIu64 "\n", s);
        given_customers(fx);
        run_model(fx, m, s);
        close_file(fx);
    }
    free(m);
}

static void old_versions_go(void **state)
{
    // What ended before the history's duration goes, a 64th of it late at most; what is still so
    // stays, however old.
    struct fixture *fx = *state;

    given_customers(fx);
    at(fx, 1, "insert into customers (id, name) values ('old', 'x'), ('c', 'y')");
    for (int i = 0; i < 50; i++)
        at(fx, 10 + 10 * i, "update customers set spent = spent + 1 where id = 'c'");
    let_go(fx, 1000);
    assert_int_equal(ask(fx, "SELECT count(*) FROM customers__history"), 52);
    let_go(fx, 1250 + 16);
    assert_int_equal(ask(fx, "SELECT count(*) FROM customers__history WHERE valid_to <= 250"), 0);
    let_go(fx, 1250 + 16);
    assert_true(ask(fx, "SELECT count(*) FROM customers__history WHERE valid_to < 300") > 0);
    let_go(fx, INT64_MAX - 1);
    assert_int_equal(ask(fx, "SELECT count(*) FROM customers__history"), 2);
}

const struct CMUnitTest history_tests[] = {
    T(what_cannot_be_kept_is_refused),      T(keys_compare_as_the_table_does),
    T(what_goes_with_others_has_ended_too), T(the_end_of_time_is_far),
    T(a_history_begins_and_ends_in_a_file), T(a_longer_history_does_not_know_more),
    T(a_table_goes_with_its_history),       T(faults_leave_rows_and_versions_alike),
    T(old_versions_go),                     T(any_history_is_the_list_of_its_writes),
};
const size_t n_history_tests = sizeof history_tests / sizeof history_tests[0];
