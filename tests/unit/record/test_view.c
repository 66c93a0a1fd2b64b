// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/record/value_tests.h"

struct fixture {
    struct arena arena;
    struct fieldplan *plan, *listing; // listing: all members
    int device, site, sku, item, deep;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    const struct path_step device = {BYTES_LIT("device"), 0}, asset = {BYTES_LIT("asset"), 0},
                           site = {BYTES_LIT("site"), 0}, items = {BYTES_LIT("items"), 0},
                           second = {BYTES_NULL, 2}, sku = {BYTES_LIT("sku"), 0};

    assert_non_null(f);
    arena_init(&f->arena);
    f->plan = fieldplan_new();
    f->device = fieldplan_add(f->plan, &device, 1);
    f->site = fieldplan_add(f->plan, (struct path_step[]){asset, site}, 2);
    f->sku = fieldplan_add(f->plan, (struct path_step[]){items, second, sku}, 3);
    f->item = fieldplan_add(f->plan, (struct path_step[]){items, second}, 2);
    f->deep = fieldplan_add(f->plan, (struct path_step[]){asset, site, sku}, 3);
    f->listing = fieldplan_new();
    fieldplan_add_members(f->listing);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    fieldplan_free(f->plan);
    fieldplan_free(f->listing);
    arena_deinit(&f->arena);
    free(f);
    return 0;
}

// The slot's value as JSON, or "!name" of its error.
static const char *slot_text(struct fixture *f, struct view *v, int slot)
{
    struct value out;
    struct err e;
    int rc = view_slot(v, slot, &out, &e);

    if (rc != 0)
        return arena_printf(&f->arena, "!%s", err_name(rc));
    if (out.type == VALUE_MISSING)
        return "missing";
    return (const char *)json_of(&out, &f->arena).p;
}

// The same path is the same slot.
static void test_plan(void **state)
{
    struct fixture *f = *state;
    const struct path_step device = {BYTES_LIT("device"), 0};

    assert_int_equal(fieldplan_slots(f->plan), 5);
    assert_int_equal(fieldplan_add(f->plan, &device, 1), f->device);
    assert_int_equal(fieldplan_slots(f->plan), 5);
}

// Slots hold what the paths lead to: missing through nil, an error through a scalar, the last of
// duplicates.
static void test_slots(void **state)
{
    static const struct {
        const char *json;
        const char *device, *site, *sku, *item, *deep;
    } rows[] = {
        {"{}", "missing", "missing", "missing", "missing", "missing"},
        {"{\"device\":\"T\"}", "\"T\"", "missing", "missing", "missing", "missing"},
        {"{\"device\":null}", "null", "missing", "missing", "missing", "missing"},
        {"{\"dev\\u0069ce\":\"\\u0054\"}", "\"T\"", "missing", "missing", "missing", "missing"},
        {"{\"device\":1,\"device\":2}", "2", "missing", "missing", "missing", "missing"},
        {"{\"device\":{\"a\": 1}}", "{\"a\": 1}", "missing", "missing", "missing", "missing"},
        {"{\"x\":{\"device\":1}}", "missing", "missing", "missing", "missing", "missing"},
        {"{\"asset\":{\"site\":7}}", "missing", "7", "missing", "missing", "!type"},
        {"{\"asset\":{\"site\":{\"sku\":7}}}", "missing", "{\"sku\":7}", "missing", "missing", "7"},
        {"{\"asset\":null}", "missing", "missing", "missing", "missing", "missing"},
        {"{\"asset\":5}", "missing", "!type", "missing", "missing", "!type"},
        {"{\"asset\":[1]}", "missing", "!type", "missing", "missing", "!type"},
        {"{\"asset\":{\"site\":7},\"asset\":5}", "missing", "!type", "missing", "missing", "!type"},
        {"{\"asset\":5,\"asset\":{\"site\":{}}}", "missing", "{}", "missing", "missing", "missing"},
        {"{\"asset\":{\"site\":7},\"asset\":{}}", "missing", "missing", "missing", "missing",
         "missing"},
        {"{\"items\":[]}", "missing", "missing", "missing", "missing", "missing"},
        {"{\"items\":[1,{\"sku\":\"a\"},3]}", "missing", "missing", "\"a\"", "{\"sku\":\"a\"}",
         "missing"},
        {"{\"items\":[1,2]}", "missing", "missing", "!type", "2", "missing"},
        {"{\"items\":{\"sku\":1}}", "missing", "missing", "!type", "!type", "missing"},
        {"{\"device\":12345678901234567890}", "!number", "missing", "missing", "missing",
         "missing"},
        {"{\"device\":1e999}", "!number", "missing", "missing", "missing", "missing"},
        {"5", "!type", "!type", "!type", "!type", "!type"},
        {"[1]", "!type", "!type", "!type", "!type", "!type"},
        {"null", "missing", "missing", "missing", "missing", "missing"},
        {"\"a\\n\"", "!type", "!type", "!type", "!type", "!type"},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct view v;
        const char *const want[] = {rows[i].device, rows[i].site, rows[i].sku, rows[i].item,
                                    rows[i].deep};
        assert_int_equal(
            view_scan(&v, f->plan, FORMAT_JSON, bytes_str(rows[i].json), &f->arena, NULL), 0);
        for (int twice = 0; twice < 2; twice++)
            for (int slot = 0; slot < 5; slot++)
                assert_string_equal(slot_text(f, &v, slot), want[slot]);
    }
}

// A view over a built value, over JSON and over MessagePack of it answer the same.
static void test_same_over_all_forms(void **state)
{
    static const char *const names[] = {"device", "asset", "site", "items", "sku"};
    struct fixture *f = *state;
    struct random r;

    random_seed(&r, test_seed);
    for (int round = 0; round < 3000; round++) {
        struct value root = random_value(&r, &f->arena, 4), array;
        struct view built, json, msgpack;

        while (root.type != VALUE_OBJECT)
            root = random_value(&r, &f->arena, 4);
        // Make hits likely: names from the plan, on two levels, duplicates included.
        for (size_t i = 0; i < root.object->n; i++) {
            struct value *v = &root.object->values[i];
            root.object->names[i] = bytes_str(names[random_below(&r, 5)]);
            for (size_t k = 0; v->type == VALUE_OBJECT && k < v->object->n; k++)
                v->object->names[k] = bytes_str(names[random_below(&r, 5)]);
        }
        array = root;
        view_of(&built, f->plan, array, &f->arena);
        assert_int_equal(
            view_scan(&json, f->plan, FORMAT_JSON, json_of(&root, &f->arena), &f->arena, NULL), 0);
        assert_int_equal(view_scan(&msgpack, f->plan, FORMAT_MSGPACK, msgpack_of(&root, &f->arena),
                                   &f->arena, NULL),
                         0);
        for (int slot = 0; slot < 5; slot++) {
            const char *want = slot_text(f, &built, slot);
            assert_string_equal(slot_text(f, &json, slot), want);
            assert_string_equal(slot_text(f, &msgpack, slot), want);
        }
        arena_reset(&f->arena);
    }
}

// Members outside of the plan are found too, the last of duplicates, and missing ones are missing.
static void test_members(void **state)
{
    struct fixture *f = *state;
    struct value out;
    struct view v;

    assert_int_equal(view_scan(&v, f->plan, FORMAT_JSON,
                               BYTES_LIT("{\"a\":1,\"\\u0062\":\"x\\ty\",\"a\":2,\"c\":99e999}"),
                               &f->arena, NULL),
                     0);
    assert_int_equal(view_member(&v, BYTES_LIT("a"), &out, NULL), 0);
    assert_int_equal(out.i, 2);
    assert_int_equal(view_member(&v, BYTES_LIT("b"), &out, NULL), 0);
    assert_true(bytes_eq_str(out.s, "x\ty"));
    assert_int_equal(view_member(&v, BYTES_LIT("zz"), &out, NULL), 0);
    assert_int_equal(out.type, VALUE_MISSING);
    assert_int_equal(view_member(&v, BYTES_LIT("c"), &out, NULL), LEAT_ENUMBER);
    assert_int_equal(view_scan(&v, NULL, FORMAT_JSON, BYTES_LIT("[1]"), &f->arena, NULL), 0);
    assert_int_equal(view_member(&v, BYTES_LIT("a"), &out, NULL), LEAT_ETYPE);
    assert_int_equal(view_scan(&v, f->plan, FORMAT_JSON, BYTES_NULL, &f->arena, NULL), 0);
    assert_int_equal(view_member(&v, BYTES_LIT("a"), &out, NULL), 0);
    assert_int_equal(out.type, VALUE_MISSING);
    assert_string_equal(slot_text(f, &v, f->deep), "missing");
}

static const char *member_text(struct fixture *f, struct view *v, const char *name)
{
    struct value x;

    assert_int_equal(view_member(v, bytes_str(name), &x, NULL), 0);
    return x.type == VALUE_MISSING ? "missing" : (const char *)json_of(&x, &f->arena).p;
}

// Members that a scan lists on its way are those that a walk over the checked text finds: many of
// them, escaped, nested, doubled, next to planned fields.
static void test_members_listed(void **state)
{
    static const char *const names[] = {"a", "device", "a\"\u00e9", "", "asset", "tail", "zz"};
    struct fixture *f = *state;
    struct buf json = BUF_EMPTY;
    struct random r;

    random_seed(&r, 5);
    for (int round = 0; round < 300; round++) {
        struct bytes inner_name = BYTES_LIT("a");
        struct value inner_value = value_float(0.5);
        struct value_object inner = {1, &inner_name, &inner_value};
        struct value_object object = {.n = random_below(&r, 40)};
        struct bytes some[40];
        struct value values[40], root = {.type = VALUE_OBJECT, .object = &object};
        struct fieldplan *plan = fieldplan_new();
        struct path_step step = {.name = BYTES_LIT("device")};
        struct view walked, listed;
        int slot = round % 2 ? fieldplan_add(plan, &step, 1) : -1;

        object.names = some;
        object.values = values;
        for (size_t i = 0; i < object.n; i++) {
            some[i] = bytes_str(names[random_below(&r, 6)]);
            values[i] = i % 5 == 4   ? value_text(BYTES_LIT("x\ty"))
                        : i % 5 == 3 ? (struct value){.type = VALUE_OBJECT, .object = &inner}
                                     : value_int((int64_t)random_below(&r, 1000));
        }
        buf_clear(&json);
        assert_int_equal(value_write_json(&root, &json, NULL), 0);
        fieldplan_add_members(plan);
        assert_int_equal(
            view_scan(&walked, NULL, FORMAT_JSON, buf_bytes(&json), &f->arena, NULL), 0);
        assert_int_equal(view_scan(&listed, plan, FORMAT_JSON, buf_bytes(&json), &f->arena, NULL),
                         0);
        for (size_t i = 0; i < sizeof names / sizeof *names; i++)
            assert_string_equal(member_text(f, &listed, names[i]),
                                member_text(f, &walked, names[i]));
        if (slot >= 0)
            assert_string_equal(slot_text(f, &listed, slot), member_text(f, &walked, "device"));
        fieldplan_free(plan);
        arena_reset(&f->arena);
    }
    buf_deinit(&json);
}

// The formats without fields appear as an object of one.
static void test_text_and_bytes(void **state)
{
    struct fixture *f = *state;
    const struct path_step text = {BYTES_LIT("text"), 0};
    struct fieldplan *plan = fieldplan_new();
    int slot = fieldplan_add(plan, &text, 1);
    struct view v;

    assert_int_equal(view_scan(&v, plan, FORMAT_TEXT, BYTES_LIT("hi"), &f->arena, NULL), 0);
    assert_string_equal(slot_text(f, &v, slot), "\"hi\"");
    assert_int_equal(view_scan(&v, plan, FORMAT_BYTES, BYTES_LIT("\xff"), &f->arena, NULL), 0);
    assert_string_equal(slot_text(f, &v, slot), "missing");
    assert_int_equal(view_scan(&v, plan, FORMAT_TEXT, BYTES_LIT("\xff"), &f->arena, NULL),
                     LEAT_EDECODE);
    fieldplan_free(plan);
}

static int scan_and_read(struct fixture *f, struct arena *a)
{
    struct bytes raw = BYTES_LIT("{\"\\u0064evice\":\"\\u0054\",\"asset\":{\"site\":[1]},\"x\":1}");
    struct value out;
    struct view v;
    int rc = view_scan(&v, f->plan, FORMAT_JSON, raw, a, NULL);

    if (rc == 0)
        rc = view_slot(&v, f->device, &out, NULL);
    if (rc == 0)
        rc = view_member(&v, BYTES_LIT("x"), &out, NULL);
    if (rc == 0)
        rc = view_scan(&v, f->listing, FORMAT_JSON, raw, a, NULL);
    return rc;
}

// Out of memory at any allocation of decoding is an error of that record, nothing else.
static void test_out_of_memory(void **state)
{
    struct fixture *f = *state;
    int n = 0;

    for (;; n++) {
        struct arena a;
        int rc;

        arena_init(&a);
        heap_fault_arm(n, false);
        rc = scan_and_read(f, &a);
        bool fired = heap_fault_fired();
        heap_fault_arm(-1, false);
        arena_deinit(&a);
        assert_int_equal(rc, fired ? LEAT_ENOMEM : 0);
        if (!fired)
            break;
    }
    assert_true(n >= 1);
}

// Every allocation counts: an arena that may hold nothing more fails each of them in turn.
static void test_arena_limit(void **state)
{
    struct fixture *f = *state;
    struct arena a;

    for (size_t limit = 16;; limit += 16) {
        int rc;

        arena_init(&a);
        a.limit = limit;
        rc = scan_and_read(f, &a);
        arena_deinit(&a);
        if (rc == 0)
            break;
        assert_int_equal(rc, LEAT_ENOMEM);
        assert_true(limit < 4096);
    }
}

int run_view_tests(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_plan, setup, teardown),
        cmocka_unit_test_setup_teardown(test_slots, setup, teardown),
        cmocka_unit_test_setup_teardown(test_same_over_all_forms, setup, teardown),
        cmocka_unit_test_setup_teardown(test_members, setup, teardown),
        cmocka_unit_test_setup_teardown(test_members_listed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_text_and_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_out_of_memory, setup, teardown),
        cmocka_unit_test_setup_teardown(test_arena_limit, setup, teardown),
    };

    return cmocka_run_group_tests_name("view", tests, NULL, NULL);
}
