// SPDX-License-Identifier: Apache-2.0
//
// Operator state as rows, in tables of its own and fused with the table of an aggregate.
#include <string.h>

#include "projections/state_rows.h"
#include "runtime/base/endian.h"
#include "tests/unit/projections/fixture.h"

struct seen {
    struct arena *a;
    struct value parts[8];
    int64_t windows[8];
    char blobs[8][16];
    int n;
};

static int see(void *arg, const struct state_key *k, struct bytes blob)
{
    struct seen *s = arg;

    s->parts[s->n] = value_copy(&k->parts[0], s->a);
    s->windows[s->n] = k->window;
    snprintf(s->blobs[s->n], sizeof s->blobs[0], "%.*s", BYTES_FMT(blob));
    s->n++;
    return 0;
}

static struct state *open_state(struct fixture *fx, const struct state_spec *spec)
{
    struct state *st = NULL;

    ok(fx, fx->s->states->ops->open(fx->s->states, spec, &st, &fx->e));
    return st;
}

static struct state *open_own(struct fixture *fx)
{
    static const char *const names[] = {"assetId"};
    struct state_spec spec = {.id = "from[telemetry]/by/aggregate",
                              .table = -1,
                              .windowed = true,
                              .key_names = names,
                              .n_key = 1};

    return open_state(fx, &spec);
}

static struct state *open_fused(struct fixture *fx)
{
    static const char *const names[] = {"assetId"}, *const columns[] = {"n", "top"};
    struct state_spec spec = {.id = "x",
                              .table = 3,
                              .windowed = true,
                              .key_names = names,
                              .n_key = 1,
                              .columns = columns,
                              .n_columns = 2};

    return open_state(fx, &spec);
}

static void put(struct fixture *fx, struct state *st, int64_t window, struct value part,
                const struct value *columns, struct bytes blob)
{
    struct state_key k = {.window = window, .window_end = window + 60, .parts = &part};

    ok(fx, fx->s->states->ops->put(st, &k, columns, blob, &fx->e));
}

static int get(struct fixture *fx, struct state *st, int64_t window, struct value part,
               struct bytes *blob)
{
    struct state_key k = {.window = window, .parts = &part};
    int rc = fx->s->states->ops->get(st, &k, &fx->a, blob, &fx->e);

    ok(fx, rc);
    return rc;
}

static void keys_keep_their_types(void **state)
{
    // A key part of any type finds its row again, apart from look-alikes of other types, and comes
    // back as it was.
    struct fixture *fx = *state;
    struct value parts[] = {
        value_int(1),
        value_text(BYTES_LIT("1")),
        value_bool(true),
        {.type = VALUE_BYTES, .s = BYTES_LIT("1")},
        {.type = VALUE_DECIMAL, .scale = 2, .i = 100},
        value_float(1.5),
    };
    struct seen seen = {.a = &fx->a};
    struct state *st;
    struct bytes blob;

    open_file(fx);
    st = open_own(fx);
    begin(fx);
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        char text[2] = {(char)('a' + i), 0};
        put(fx, st, 60, parts[i], NULL, arena_copy(&fx->a, bytes_str(text)));
    }
    ok(fx, commit_to(fx, 1));
    reopen(fx);
    st = open_own(fx);
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        assert_int_equal(get(fx, st, 60, parts[i], &blob), 1);
        assert_int_equal(blob.p[0], 'a' + i);
    }
    assert_int_equal(get(fx, st, 120, parts[0], &blob), 0);
    ok(fx, fx->s->states->ops->scan(st, INT64_MIN, INT64_MAX, see, &seen, &fx->e));
    assert_int_equal(seen.n, ARRAY_LEN(parts));
    for (int i = 0; i < seen.n; i++)
        assert_int_equal(seen.parts[i].type, parts[seen.blobs[i][0] - 'a'].type);
}

static void windows_are_scanned_in_order(void **state)
{
    // A scan gives the rows of the windows asked for, by window and then by key; a row without
    // state goes.
    struct fixture *fx = *state;
    struct seen seen = {.a = &fx->a};
    struct state *st;

    open_memory(fx);
    st = open_own(fx);
    begin(fx);
    put(fx, st, 120, value_text(BYTES_LIT("a")), NULL, BYTES_LIT("1"));
    put(fx, st, 60, value_text(BYTES_LIT("b")), NULL, BYTES_LIT("2"));
    put(fx, st, 60, value_text(BYTES_LIT("a")), NULL, BYTES_LIT("3"));
    put(fx, st, 180, value_text(BYTES_LIT("a")), NULL, BYTES_LIT("4"));
    put(fx, st, 60, value_text(BYTES_LIT("c")), NULL, BYTES_LIT("5"));
    put(fx, st, 60, value_text(BYTES_LIT("c")), NULL, BYTES_NULL);
    put(fx, st, 60, value_text(BYTES_LIT("a")), NULL, BYTES_LIT("6"));
    ok(fx, fx->s->states->ops->scan(st, 0, 180, see, &seen, &fx->e));
    assert_int_equal(seen.n, 3);
    assert_string_equal(seen.blobs[0], "6");
    assert_string_equal(seen.blobs[1], "2");
    assert_string_equal(seen.blobs[2], "1");
    fx->s->ops->abort(fx->s);
    seen.n = 0;
    ok(fx, fx->s->states->ops->scan(st, 0, 180, see, &seen, &fx->e));
    assert_int_equal(seen.n, 0);
}

static void fused_rows_are_the_tables(void **state)
{
    // Fused state is the table's own row: one row per key, results visible, and it stays when the
    // state is done with.
    struct fixture *fx = *state;
    struct value a = value_text(BYTES_LIT("a")), columns[] = {value_int(1), value_float(96.0)};
    struct seen seen = {.a = &fx->a};
    struct state *st;
    struct bytes blob;

    open_file(fx);
    st = open_fused(fx);
    begin(fx);
    put(fx, st, 60, a, columns, BYTES_LIT("s1"));
    columns[0] = value_int(2);
    put(fx, st, 60, a, columns, BYTES_LIT("s2"));
    put(fx, st, 120, a, columns, BYTES_LIT("s3"));
    ok(fx, commit_to(fx, 1));
    reopen(fx);
    st = open_fused(fx);
    assert_int_equal(get(fx, st, 60, a, &blob), 1);
    assert_true(bytes_eq_str(blob, "s2"));
    assert_int_equal(ask(fx, "SELECT count(*) FROM minutes WHERE n = 2 AND top = 96.0 AND "
                             "window_end = window_start + 60"),
                     2);
    begin(fx);
    put(fx, st, 60, a, NULL, BYTES_NULL);
    columns[0] = VALUE_OF_MISSING;
    put(fx, st, 120, a, columns, BYTES_NULL);
    ok(fx, commit_to(fx, 2));
    assert_int_equal(get(fx, st, 60, a, &blob), 0);
    assert_int_equal(ask(fx, "SELECT count(*) FROM minutes"), 2);
    assert_int_equal(ask(fx, "SELECT n FROM minutes WHERE window_start = 60"), 2);
    ok(fx, fx->s->states->ops->scan(st, 0, 1000, see, &seen, &fx->e));
    assert_int_equal(seen.n, 0);
}

static void rows_together_are_rows_one_by_one(void **state)
{
    // Rows put together are all in, also when one of them is there already; what is cleared keeps
    // its row, in its window only.
    enum { N = 75, THERE = 40 };
    struct fixture *fx = *state;
    struct value *parts = arena_zalloc(&fx->a, N * sizeof *parts);
    struct value columns[] = {value_int(5), value_float(1.5)};
    struct state_row *rows = arena_zalloc(&fx->a, N * sizeof *rows);
    struct bytes blob;
    struct state *st;

    open_file(fx);
    st = open_fused(fx);
    begin(fx);
    for (int i = 0; i < N; i++) {
        parts[i] = value_text(bytes_str(arena_printf(&fx->a, "key-%03d", i)));
        rows[i] = (struct state_row){.key = {.window = 60, .window_end = 120, .fresh = true},
                                     .columns = columns,
                                     .blob = BYTES_LIT("new")};
        rows[i].key.parts = &parts[i];
    }
    put(fx, st, 60, parts[THERE], columns, BYTES_LIT("old"));
    put(fx, st, 120, parts[0], columns, BYTES_LIT("old"));
    ok(fx, fx->s->states->ops->put_rows(st, rows, N, &fx->e));
    ok(fx, commit_to(fx, 1));
    for (int i = 0; i < N; i++) {
        assert_int_equal(get(fx, st, 60, parts[i], &blob), 1);
        assert_true(bytes_eq_str(blob, "new"));
    }
    begin(fx);
    ok(fx, fx->s->states->ops->clear(st, 60, &fx->e));
    ok(fx, commit_to(fx, 2));
    assert_int_equal(get(fx, st, 60, parts[3], &blob), 0);
    assert_int_equal(get(fx, st, 120, parts[0], &blob), 1);
    assert_int_equal(ask(fx, "SELECT count(*) FROM minutes WHERE n = 5"), N + 1);
}

// --- rows that are forgotten ---

static struct state *open_forgetful(struct fixture *fx, int table, int64_t ttl)
{
    static const char *const names[] = {"id"}, *const columns[] = {"n"};
    struct state_spec spec = {.id = "forgetful",
                              .table = table,
                              .key_names = names,
                              .n_key = 1,
                              .columns = columns,
                              .n_columns = table >= 0,
                              .ttl_ms = ttl};

    return open_state(fx, &spec);
}

static void touch(struct fixture *fx, struct state *st, int64_t key, int64_t touched)
{
    struct value columns[2] = {value_int(key * 10), value_int(touched)};

    put(fx, st, 0, value_int(key), st->fused != NULL ? columns : columns + 1, BYTES_LIT("blob"));
}

static int64_t touched(struct fixture *fx, struct state *st, int64_t key)
{
    struct bytes blob;

    if (get(fx, st, 0, value_int(key), &blob) == 0)
        return -1;
    assert_int_equal(blob.n, 4 + 8);
    assert_memory_equal(blob.p, "blob", 4);
    return (int64_t)load_be64(blob.p + 4);
}

static int64_t sweep_due(struct fixture *fx, struct state *st)
{
    int64_t w = 0;

    ok(fx, fx->s->states->ops->sweep_due(st, &w, &fx->e));
    return w;
}

static void check_sweeping(struct fixture *fx, int table)
{
    struct state *st = open_forgetful(fx, table, 100);

    begin(fx);
    assert_int_equal(sweep_due(fx, st), INT64_MAX);
    for (int i = 0; i < 9; i++)
        touch(fx, st, i, 20 - i);
    assert_int_equal(sweep_due(fx, st), 113); // the first watermark past 12 + 100
    for (int i = 7; i < 9; i++)
        touch(fx, st, i, 500);
    assert_int_equal(touched(fx, st, 8), 500);
    assert_int_equal(sweep_due(fx, st), 113);
    ok(fx, fx->s->states->ops->sweep(st, 115, 1, &fx->e)); // only looks at key 8 again
    assert_int_equal(touched(fx, st, 6), 14);
    ok(fx, fx->s->states->ops->sweep(st, 115, 1, &fx->e)); // then at key 7, and key 6 goes
    assert_int_equal(touched(fx, st, 6), -1);
    assert_int_equal(touched(fx, st, 5), 15);
    assert_int_equal(touched(fx, st, 8), 500);
    assert_int_equal(sweep_due(fx, st), 116);
    ok(fx, commit_to(fx, 1));
    begin(fx);
    ok(fx, fx->s->states->ops->sweep(st, 1000, 100, &fx->e));
    assert_int_equal(sweep_due(fx, st), INT64_MAX);
    fx->s->ops->abort(fx->s);
    assert_int_equal(sweep_due(fx, st), 116); // taken back
}

static void rows_are_swept_when_they_were_not_touched(void **state)
{
    // Rows past their last touch + ttl go in slices; those touched since stay, and cost nothing
    // until they are come to.
    struct fixture *fx = *state;

    open_memory(fx);
    check_sweeping(fx, -1);
    close_file(fx);
    fx->tables[2].body = "id integer primary key, n integer not null, other text default 'x'";
    open_memory(fx);
    check_sweeping(fx, 2);
    assert_int_equal(ask(fx, "SELECT n FROM items WHERE id = 8"), 80);
}

static void commit_at(struct fixture *fx, int64_t next, int64_t w)
{
    struct store_offset o = {
        .topic = "events", .topic_id = topic_id(1), .next = next, .watermark = w, .last_time = w};
    struct store_commit c = {.offsets = &o, .n_offsets = 1, .now = 1767225600000, .records = 1};

    ok(fx, fx->s->ops->commit(fx->s, &c, NULL, &fx->e));
}

static void a_ttl_of_state_comes_and_goes_in_place(void **state)
{
    // A ttl that comes counts from when it came, for rows that were there before; one that changes
    // holds for all rows; one that goes forgets nothing any more.
    struct fixture *fx = *state;
    struct value n = value_int(1);
    struct state *st;

    fx->tables[2].body = "id integer primary key, n integer not null";
    open_file(fx);
    st = open_forgetful(fx, 2, 0);
    begin(fx);
    put(fx, st, 0, value_int(1), &n, BYTES_LIT("blob"));
    commit_at(fx, 1, 700);
    reopen(fx);
    st = open_forgetful(fx, 2, 100);
    assert_int_equal(touched(fx, st, 1), 700);
    assert_int_equal(sweep_due(fx, st), 801);
    begin(fx);
    touch(fx, st, 2, 750);
    commit_at(fx, 2, 760);
    reopen(fx);
    st = open_forgetful(fx, 2, 40);
    assert_int_equal(sweep_due(fx, st), 741);
    reopen(fx);
    st = open_forgetful(fx, 2, 5000);
    assert_int_equal(sweep_due(fx, st), 5701);
    reopen(fx);
    st = open_forgetful(fx, 2, 0);
    begin(fx);
    put(fx, st, 0, value_int(1), &n, BYTES_LIT("blob"));
    commit_at(fx, 3, 900);
    reopen(fx);
    st = open_forgetful(fx, 2, 100);
    assert_int_equal(touched(fx, st, 1), 900);
    assert_int_equal(touched(fx, st, 2), 900);
    assert_int_equal(sweep_due(fx, st), 1001);
}

const struct CMUnitTest state_tests[] = {
    T(rows_are_swept_when_they_were_not_touched),
    T(a_ttl_of_state_comes_and_goes_in_place),
T(keys_keep_their_types), T(windows_are_scanned_in_order),
                                         T(fused_rows_are_the_tables),
                                         T(rows_together_are_rows_one_by_one)};
const size_t n_state_tests = sizeof state_tests / sizeof state_tests[0];
