// SPDX-License-Identifier: Apache-2.0
//
// Records against schemas. A row is (a field's type, a record, what comes of it): the record as it
// reads afterwards, or the error. Every row runs over JSON with a field plan, over MessagePack of
// the same record, and over the built value; all must agree.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/record/schema.h"

struct row {
    const char *type; // of the field x
    const char *json;
    const char *want;
};

enum way { PLANNED, PLANNED_MSGPACK, BUILT, WAYS };

static const struct type *given_type(const char *text, struct arena *a)
{
    const struct type *t;
    struct err e;

    if (type_parse(bytes_str(text), a, &t, &e) != 0)
        fail_msg("%s", e.text);
    return t;
}

// {x = t}, or t itself where it is an object.
static const struct type *given_schema(const struct type *t, struct arena *a)
{
    struct type_field *f = arena_zalloc(a, sizeof *f);
    struct type *named = arena_zalloc(a, sizeof *named);

    f->name = BYTES_LIT("x");
    f->type = t;
    *named = *type_object(a, f, 1, false);
    named->name = "schema s";
    return named;
}

static struct bytes as_msgpack(const char *json, struct arena *a)
{
    struct buf b = BUF_EMPTY;
    struct value v;
    struct bytes raw = BYTES_NULL;

    assert_int_equal(value_decode(FORMAT_JSON, bytes_str(json), a, &v, NULL), 0);
    if (value_write_msgpack(&v, &b, NULL) == 0)
        raw = arena_copy(a, buf_bytes(&b));
    buf_deinit(&b);
    return raw;
}

static void show(int rc, const struct value *v, const struct err *e, char *out, size_t size)
{
    struct buf b = BUF_EMPTY;

    if (rc != 0) {
        snprintf(out, size, "!%s: %s", err_name(rc), e->text);
        return;
    }
    assert_int_equal(value_write_json(v, &b, NULL), 0);
    snprintf(out, size, "%s", buf_cstr(&b));
    buf_deinit(&b);
}

// Through the view as it is scanned; its slot says the same as its root.
static int check_scanned(const struct type *t, enum format f, struct bytes raw, struct arena *a,
                         struct value *root, struct err *e)
{
    struct fieldplan *plan = fieldplan_new();
    struct path_step step = {.name = t->fields[0].name};
    int slot = fieldplan_add(plan, &step, 1);
    struct value by_slot, by_name;
    struct view v;
    int rc = view_scan(&v, plan, f, raw, a, e);

    assert_int_equal(rc, 0);
    rc = schema_check_view(t, &slot, &v, e);
    *root = v.root;
    if (rc == 0) {
        assert_int_equal(view_slot(&v, slot, &by_slot, NULL), 0);
        assert_int_equal(view_member(&v, step.name, &by_name, NULL), 0);
        assert_int_equal(by_slot.type, by_name.type);
        assert_true(value_eq(&by_slot, &by_name, a));
        assert_true(bytes_eq(v.raw, raw));
    }
    fieldplan_free(plan);
    return rc;
}

static int check_way(const struct type *t, const char *json, enum way way, struct arena *a,
                     struct value *root, struct err *e)
{
    struct bytes raw = bytes_str(json);

    if (way == PLANNED_MSGPACK && !bytes_is_null(as_msgpack(json, a)))
        return check_scanned(t, FORMAT_MSGPACK, as_msgpack(json, a), a, root, e);
    if (way == PLANNED || way == PLANNED_MSGPACK)
        return check_scanned(t, FORMAT_JSON, raw, a, root, e);
    assert_int_equal(value_decode(FORMAT_JSON, raw, a, root, NULL), 0);
    return schema_check(t, root, a, e);
}

static void expect_type(const struct type *t, const char *json, const char *want, struct arena *a)
{
    for (enum way way = PLANNED; way < WAYS; way++) {
        struct err e = {0};
        struct value root;
        char got[ERR_TEXT_MAX + 32]; // with the name of the error before it

        show(check_way(t, json, way, a, &root, &e), &root, &e, got, sizeof got);
        if (strcmp(got, want) != 0)
            fail_msg("%s (way %d)\n  gives  %s\n  wanted %s", json, (int)way, got, want);
    }
}

static void expect_rows(const struct row *rows, size_t n)
{
    struct arena a;

    arena_init(&a);
    for (size_t i = 0; i < n; i++) {
        expect_type(given_schema(given_type(rows[i].type, &a), &a), rows[i].json, rows[i].want, &a);
        arena_reset(&a);
    }
    arena_deinit(&a);
}

// Each type takes what it is, says what it found instead, and reads in one form whatever was sent.
static void test_scalars(void **state)
{
    static const struct row rows[] = {
        {"text", "{\"x\":\"a\"}", "{\"x\":\"a\"}"},
        {"text", "{\"x\":\"a\\nb\"}", "{\"x\":\"a\\nb\"}"},
        {"text", "{\"x\":5}", "!schema: schema s: x must be text, but is number 5"},
        {"text", "{\"x\":true}", "!schema: schema s: x must be text, but is boolean true"},
        {"text", "{\"x\":[1]}", "!schema: schema s: x must be text, but is array"},
        {"text", "{\"x\":18446744073709551615}", "{\"x\":\"18446744073709551615\"}"},
        {"text", "{\"x\":123456789012345678901234567890}",
         "{\"x\":\"123456789012345678901234567890\"}"},
        {"number", "{\"x\":5}", "{\"x\":5}"},
        {"number", "{\"x\":-5.25}", "{\"x\":-5.25}"},
        {"number", "{\"x\":\"hot\"}", "!schema: schema s: x must be a number, but is text \"hot\""},
        {"number", "{\"x\":\"h\\u006ft\"}",
         "!schema: schema s: x must be a number, but is text \"hot\""},
        {"number", "{\"x\":9223372036854775807}", "{\"x\":9223372036854775807}"},
        {"number", "{\"x\":123456789012345678901234567890}",
         "!number: x: integer 123456789012345678901234567890 does not fit into 64 bits"},
        {"number", "{\"x\":1e999}", "!number: x: number 1e999 is out of range"},
        {"integer", "{\"x\":5}", "{\"x\":5}"},
        {"integer", "{\"x\":5.5}", "!schema: schema s: x must be an integer, but is number 5.5"},
        {"integer", "{\"x\":5.0}", "!schema: schema s: x must be an integer, but is number 5.0"},
        {"integer", "{\"x\":\"5\"}", "!schema: schema s: x must be an integer, but is text \"5\""},
        {"bool", "{\"x\":true}", "{\"x\":true}"},
        {"bool", "{\"x\":1}", "!schema: schema s: x must be a boolean, but is number 1"},
        {"time", "{\"x\":1767225600000}", "{\"x\":1767225600000}"},
        {"time", "{\"x\":\"2026-01-01T00:00:00Z\"}", "{\"x\":1767225600000}"},
        {"time", "{\"x\":\"soon\"}", "!schema: schema s: x must be a time, but is text \"soon\""},
        {"time", "{\"x\":1.5}", "!schema: schema s: x must be a time, but is number 1.5"},
        {"time", "{\"x\":999999999999999}",
         "!schema: schema s: x must be a time, but is number 999999999999999"},
        {"decimal(10,2)", "{\"x\":\"10.50\"}", "{\"x\":\"10.50\"}"},
        {"decimal(10,2)", "{\"x\":10.5}", "{\"x\":\"10.50\"}"},
        {"decimal(10,2)", "{\"x\":10}", "{\"x\":\"10.00\"}"},
        {"decimal(10,2)", "{\"x\":\"10.5000\"}", "{\"x\":\"10.50\"}"},
        {"decimal(10,2)", "{\"x\":\"10.505\"}",
         "!schema: schema s: x must be decimal(10,2), but is text \"10.505\""},
        {"decimal(10,2)", "{\"x\":123456789}",
         "!schema: schema s: x must be decimal(10,2), but is number 123456789"},
        {"decimal(10,2)", "{\"x\":1.05e1}", "{\"x\":\"10.50\"}"},
        {"decimal(10,2)", "{\"x\":\"1e1\"}",
         "!schema: schema s: x must be decimal(10,2), but is text \"1e1\""},
        {"decimal(10,2)", "{\"x\":\"ten\"}",
         "!schema: schema s: x must be decimal(10,2), but is text \"ten\""},
        {"any", "{\"x\":[1,{}]}", "{\"x\":[1,{}]}"},
        {"json", "{\"x\":\"a\"}", "{\"x\":\"a\"}"},
        {"any", "{}", "!schema: schema s: x is missing"},
    };

    (void)state;
    expect_rows(rows, sizeof rows / sizeof *rows);
}

// A double carries 17 digits; the text of the number carries what was sent.
static void test_decimal_of_token(void **state)
{
    struct arena a;
    const struct type *t;
    struct err e;
    struct value root;
    struct buf b = BUF_EMPTY;

    (void)state;
    arena_init(&a);
    t = given_schema(given_type("decimal(18,4)", &a), &a);
    assert_int_equal(
        check_way(t, "{\"x\":12345678901234.5678}", PLANNED, &a, &root, &e), 0);
    assert_int_equal(value_write_json(&root, &b, NULL), 0);
    assert_string_equal(buf_cstr(&b), "{\"x\":\"12345678901234.5678\"}");
    buf_deinit(&b);
    arena_deinit(&a);
}

// A question mark allows missing and null, nothing else.
static void test_optional(void **state)
{
    static const struct row rows[] = {
        {"text?", "{}", "{}"},
        {"text?", "{\"x\":null}", "{\"x\":null}"},
        {"text?", "{\"x\":\"a\"}", "{\"x\":\"a\"}"},
        {"text?", "{\"x\":1}", "!schema: schema s: x must be text, but is number 1"},
        {"text", "{}", "!schema: schema s: x is missing"},
        {"text", "{\"x\":null}", "!schema: schema s: x is null"},
        {"decimal(5,1)?", "{\"y\":1}", "{\"y\":1}"},
    };

    (void)state;
    expect_rows(rows, sizeof rows / sizeof *rows);
}

// Other fields come along; of a field that comes twice the last one counts.
static void test_records(void **state)
{
    static const struct row rows[] = {
        {"text", "{\"z\":1,\"x\":\"a\",\"y\":2}", "{\"z\":1,\"x\":\"a\",\"y\":2}"},
        {"decimal(5,2)", "{\"z\":1,\"x\":1.5,\"y\":2}", "{\"z\":1,\"x\":\"1.50\",\"y\":2}"},
    };
    struct arena a;
    const struct type *number;

    (void)state;
    expect_rows(rows, 2);
    arena_init(&a);
    number = given_schema(given_type("number", &a), &a);
    expect_type(number, "[1]", "!schema: schema s: the record must be an object, but is array", &a);
    expect_type(number, "7", "!schema: schema s: the record must be an object, but is number 7",
                &a);
    expect_type(number, "null", "!schema: schema s: the record is null", &a);
    arena_deinit(&a);
}

static const struct type *object_of(struct arena *a, const char *one, const struct type *first,
                                    const char *two, const struct type *second)
{
    struct type_field f[] = {{bytes_str(one), first}, {bytes_str(two), second}};

    return type_object(a, f, 2, false);
}

// Messages name the whole way to the field; what is converted inside is seen from outside.
static void test_nested(void **state)
{
    struct arena a;
    const struct type *item, *list;

    (void)state;
    arena_init(&a);
    item = object_of(&a, "sku", given_type("text", &a), "price", given_type("decimal(8,2)", &a));
    list = given_schema(type_array(&a, item), &a);
    expect_type(list,
                "{\"x\":[{\"sku\":\"a\",\"price\":1.5},"
                "{\"price\":\"2\",\"n\":1,\"sku\":\"b\"}]}",
                "{\"x\":[{\"sku\":\"a\",\"price\":\"1.50\"},"
                "{\"price\":\"2.00\",\"n\":1,\"sku\":\"b\"}]}",
                &a);
    expect_type(list, "{\"x\":[]}", "{\"x\":[]}", &a);
    expect_type(list, "{\"x\":[{\"sku\":\"a\",\"price\":1.5},{\"sku\":\"b\"}]}",
                "!schema: schema s: x[2].price is missing", &a);
    expect_type(list, "{\"x\":[{\"sku\":\"a\",\"price\":1.5},null]}",
                "!schema: schema s: x[2] is null", &a);
    expect_type(list, "{\"x\":[5]}", "!schema: schema s: x[1] must be an object, but is number 5",
                &a);
    expect_type(list, "{\"x\":{}}", "!schema: schema s: x must be an array, but is object", &a);
    expect_type(given_schema(object_of(&a, "a", given_type("time?", &a), "b", &type_any), &a),
                "{\"x\":{\"b\":1,\"a\":\"2026-01-01\"}}", "{\"x\":{\"b\":1,\"a\":1767225600000}}",
                &a);
    arena_deinit(&a);
}

// A path into what was converted reads the converted value.
static void test_planned_paths_below(void **state)
{
    struct path_step root = {.name = BYTES_LIT("x")};
    struct path_step below[] = {
        {.name = BYTES_LIT("x")}, {.index = 1}, {.name = BYTES_LIT("price")}};
    struct fieldplan *plan = fieldplan_new();
    int slot = fieldplan_add(plan, &root, 1), deep = fieldplan_add(plan, below, 3);
    struct arena a;
    struct view v;
    struct value price;
    const struct type *item;

    (void)state;
    arena_init(&a);
    item = object_of(&a, "sku", given_type("text", &a), "price", given_type("decimal(8,2)", &a));
    assert_int_equal(view_scan(&v, plan, FORMAT_JSON,
                               BYTES_LIT("{\"x\":[{\"sku\":\"a\",\"price\":1.5}]}"), &a, NULL),
                     0);
    assert_int_equal(schema_check_view(given_schema(type_array(&a, item), &a), &slot, &v, NULL), 0);
    assert_int_equal(view_slot(&v, deep, &price, NULL), 0);
    assert_int_equal(price.type, VALUE_DECIMAL);
    assert_int_equal(price.i, 150);
    arena_deinit(&a);
    fieldplan_free(plan);
}

// A tombstone has no fields, so there is nothing that could be wrong with them.
static void test_tombstone(void **state)
{
    struct fieldplan *plan = fieldplan_new();
    struct path_step step = {.name = BYTES_LIT("x")};
    int slot = fieldplan_add(plan, &step, 1);
    struct arena a;
    struct view v;

    (void)state;
    arena_init(&a);
    assert_int_equal(view_scan(&v, plan, FORMAT_JSON, BYTES_NULL, &a, NULL), 0);
    assert_int_equal(schema_check_view(given_schema(&type_text, &a), &slot, &v, NULL), 0);
    arena_deinit(&a);
    fieldplan_free(plan);
}

// What a type is called is read back; what is none says what there is.
static void test_type_names(void **state)
{
    static const char *const good[] = {"text", "number?", "integer",       "bool",         "time",
                                       "json", "any?",    "decimal(10,2)", "decimal(1,0)?"};
    static const char *const bad[] = {"",       "txt",           "Text",           "decimal",
                                      "float",  "decimal(0,0)",  "decimal(19,2)",  "decimal(2,3)",
                                      "text??", "decimal(10,2",  "decimal(10,2)x", "object"};
    struct arena a;
    const struct type *t;

    (void)state;
    arena_init(&a);
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct buf b = BUF_EMPTY;
        type_print(given_type(good[i], &a), &b);
        assert_string_equal(buf_cstr(&b), good[i]);
        buf_deinit(&b);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(type_parse(bytes_str(bad[i]), &a, &t, NULL), LEAT_EINVAL);
    t = given_type("decimal( 10 , 2 )", &a);
    assert_int_equal(t->precision, 10);
    arena_deinit(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scalars),  cmocka_unit_test(test_decimal_of_token),
        cmocka_unit_test(test_optional), cmocka_unit_test(test_records),
        cmocka_unit_test(test_nested),   cmocka_unit_test(test_planned_paths_below),
        cmocka_unit_test(test_tombstone), cmocka_unit_test(test_type_names),
    };

    return cmocka_run_group_tests_name("schema", tests, NULL, NULL);
}
