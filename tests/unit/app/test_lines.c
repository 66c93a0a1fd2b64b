// SPDX-License-Identifier: Apache-2.0
//
// Records from text: what each format makes of good and of broken input, and that errors name the
// line.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "runtime/app/lines.h"

struct lines_case {
    enum lines_format format;
    const char *in;
    const char *key; // field
    const char *out; // "key=value|key=value|...", or the error after '!'
};

static void render(struct buf *out, const struct lines_record *r)
{
    if (out->n > 0)
        buf_append_byte(out, '|');
    if (!bytes_is_null(r->key)) {
        buf_append_bytes(out, r->key);
        buf_append_byte(out, '=');
    }
    buf_append_bytes(out, r->value);
}

// Feeds the input in pieces of `piece` bytes: where a read ends must not matter.
static void read_in_pieces(const struct lines_case *c, const struct lines_set *sets, size_t n_sets,
                           size_t piece, struct buf *out)
{
    struct bytes in = bytes_str(c->in);
    static const char *const texts[] = {"zip"};
    struct lines_record r;
    struct lines l;
    struct arena a;
    struct err e = {0};
    size_t from = 0, to = 0, used;
    int rc;

    arena_init(&a);
    lines_init(&l);
    l.file = "f.csv";
    l.format = c->format;
    l.key = c->key;
    l.text_columns = texts;
    l.n_text_columns = 1;
    l.sets = sets;
    l.n_sets = n_sets;
    for (;;) {
        rc = lines_next(&l, bytes_of(in.p + from, to - from), to == in.n, &used, &a, &r, &e);
        from += used;
        if (rc == 1) {
            render(out, &r);
            continue;
        }
        if (rc < 0 || to == in.n)
            break;
        to = to + piece > in.n ? in.n : to + piece;
    }
    if (rc < 0) {
        buf_clear(out);
        buf_printf(out, "!%s", e.text);
    }
    lines_deinit(&l);
    arena_deinit(&a);
}

static void expect_case(const struct lines_case *c, const struct lines_set *sets, size_t n_sets)
{
    for (size_t piece = 1; piece < 40; piece += 3) {
        struct buf out = BUF_EMPTY;
        read_in_pieces(c, sets, n_sets, piece, &out);
        assert_string_equal(buf_cstr(&out), c->out);
        buf_deinit(&out);
    }
}

// A line is a record whatever it holds; empty lines are none.
static void plain_lines(void **state)
{
    const struct lines_case c = {LINES_PLAIN, "a b\r\n\n{x\n last", NULL, "a b|{x| last"};

    (void)state;
    expect_case(&c, NULL, 0);
}

// An NDJSON line goes out as it came, and its key field decides the key.
static void ndjson(void **state)
{
    static const struct lines_case cases[] = {
        {LINES_NDJSON, "{\"a\": 1}\n{\"a\":\"x\"}\n", "a", "1={\"a\": 1}|x={\"a\":\"x\"}"},
        {LINES_NDJSON, "{\"a\":1}\n{\"b\":1}\n", "a",
         "!f.csv:2: there is no field a to take the key from"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        expect_case(&cases[i], NULL, 0);
}

// A line that is no JSON stops the reading with its number.
static void ndjson_broken(void **state)
{
    const struct lines_case c = {LINES_NDJSON, "{}\n{\"a\":}\n", NULL, ""};
    struct buf out = BUF_EMPTY;

    (void)state;
    read_in_pieces(&c, NULL, 0, 100, &out);
    assert_true(bytes_starts(buf_bytes(&out), BYTES_LIT("!f.csv:2: ")));
    buf_deinit(&out);
}

// --set adds fields behind those that are there, also to an empty object.
static void sets_are_added(void **state)
{
    static const struct lines_set sets[] = {{BYTES_LIT("u"), BYTES_LIT("7")},
                                            {BYTES_LIT("v"), BYTES_LIT("\"w\"")}};
    static const struct lines_case cases[] = {
        {LINES_NDJSON, "{ \"a\" : 1 } \n{ }\n", "u",
         "7={ \"a\" : 1 ,\"u\":7,\"v\":\"w\"}|7={ \"u\":7,\"v\":\"w\"}"},
        {LINES_CSV, "a\n1\n", NULL, "{\"a\":1,\"u\":7,\"v\":\"w\"}"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        expect_case(&cases[i], sets, ARRAY_LEN(sets));
}

// CSV cells become numbers only in JSON syntax, empty ones are absent, quotes follow RFC 4180.
static void csv(void **state)
{
    static const struct lines_case cases[] = {
        {LINES_CSV, "t,v\n2014-01-01 00:00,73.5\nx,-1e3\r\n,01\n", NULL,
         "{\"t\":\"2014-01-01 00:00\",\"v\":73.5}|{\"t\":\"x\",\"v\":-1e3}|{\"v\":\"01\"}"},
        {LINES_CSV, "a,b\n\"x,\"\"y\"\"\nz\",2\n", "b", "2={\"a\":\"x,\\\"y\\\"\\nz\",\"b\":2}"},
        {LINES_CSV, "zip\n01234\n77\n", NULL, "{\"zip\":\"01234\"}|{\"zip\":\"77\"}"},
        {LINES_CSV,
         "\xef\xbb\xbf"
         "a\n1",
         "a", "1={\"a\":1}"},
        {LINES_CSV, "a,b\n", NULL, ""},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        expect_case(&cases[i], NULL, 0);
}

// A broken row is named by the line on which it begins.
static void csv_broken(void **state)
{
    static const struct lines_case cases[] = {
        {LINES_CSV, "a,b\n1,2\n3\n", NULL, "!f.csv:3: 1 cells where the header has 2 columns"},
        {LINES_CSV, "a\n\"x\ny\"\n\"open\n", NULL, "!f.csv:4: a quote is not closed"},
        {LINES_CSV, "a\n\"x\"y\n", NULL, "!f.csv:2: text follows a closing quote"},
        {LINES_CSV, "a,,b\n1,2,3\n", NULL, "!f.csv:1: column 2 of the header has no name"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        expect_case(&cases[i], NULL, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_lines),    cmocka_unit_test(ndjson), cmocka_unit_test(ndjson_broken),
        cmocka_unit_test(sets_are_added), cmocka_unit_test(csv),    cmocka_unit_test(csv_broken),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
