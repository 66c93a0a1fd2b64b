// SPDX-License-Identifier: Apache-2.0
//
// The operators without state: nil and missing, what goes on and what is dropped, rows and outputs,
// and that a failing record leaves nothing.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/support/fake_run.h"

static const struct value keyless = {.type = VALUE_MISSING};
#define KEY(s) value_text(BYTES_LIT(s))

static struct run *given_source(bool changelog)
{
    struct run *r = fake_new();

    fake_node(r, NODE_SOURCE, -1, OUT_MAIN);
    r->nodes[0].source.changelog = changelog;
    return r;
}

static void given_sink(struct run *r, int input)
{
    int sink = fake_node(r, FAKE_SINK, input, OUT_MAIN);

    r->nodes[sink].name = "out";
}

static void given_fields(struct run *r, struct plan_field **to, int *n, const char *const *pairs)
{
    *to = arena_zalloc(&r->keep, 16 * sizeof(**to));
    for (*n = 0; pairs[*n * 2] != NULL; ++*n)
        (*to)[*n] = fake_field(r, pairs[*n * 2], pairs[*n * 2 + 1]);
}

static void given_table(struct run *r, int n_primary, int n_columns)
{
    static const char *const columns[] = {"id", "a", "b", "c"};

    r->columns = columns;
    r->n_columns = n_columns;
    r->n_primary = n_primary;
}

static void expect_sent(struct run *r, const char *json, struct value key, const char *text)
{
    buf_clear(&r->text);
    if (fake_send(r, 0, json, key, 7) != 0)
        fail_msg("%s", r->err.text);
    assert_string_equal(fake_text(r), text);
}

static void expect_refused(struct run *r, const char *json, struct value key, int rc,
                           const char *part)
{
    buf_clear(&r->text);
    r->err = (struct err){0};
    assert_int_equal(fake_send(r, 0, json, key, 7), rc);
    if (strstr(r->err.text, part) == NULL)
        fail_msg("%s", r->err.text);
    assert_string_equal(fake_text(r), "");
}

static void opened(struct run *r)
{
    if (fake_open(r) != 0)
        fail_msg("%s", r->err.text);
}

// where keeps the truthy (0 and "" too, as Lua) and drops false and every kind of nil.
static void test_where(void **state)
{
    struct run *r = given_source(false);
    int where = fake_node(r, NODE_WHERE, 0, OUT_MAIN);
    static const char *const kept[] = {"true", "0", "\"\"", "{}"};

    (void)state;
    r->nodes[where].where.condition = fake_expr(r, "ok");
    given_sink(r, where);
    opened(r);
    for (size_t i = 0; i < ARRAY_LEN(kept); i++) {
        char json[50], want[80];

        snprintf(json, sizeof(json), "{\"ok\":%s}", kept[i]);
        snprintf(want, sizeof(want), "out key=- time=7 %s\n", json);
        expect_sent(r, json, keyless, want);
    }
    expect_sent(r, "{\"ok\":false}", keyless, "");
    expect_sent(r, "{\"ok\":null}", keyless, "");
    expect_sent(r, "{}", keyless, "");
    expect_sent(r, NULL, keyless, "");
    fake_free(r);
}

// An error in a condition is the record's, never false.
static void test_where_error(void **state)
{
    struct run *r = given_source(false);
    int where = fake_node(r, NODE_WHERE, 0, OUT_MAIN);

    (void)state;
    r->nodes[where].where.condition = fake_expr(r, "!");
    given_sink(r, where);
    opened(r);
    expect_refused(r, "{}", KEY("k"), LEAT_ETYPE, "$key");
    fake_free(r);
}

// The delete of a changelog passes where, select and set untouched.
static void test_deletes_travel(void **state)
{
    struct run *r = given_source(true);
    int where = fake_node(r, NODE_WHERE, 0, OUT_MAIN), select, set;
    static const char *const fields[] = {"a", "a", NULL};

    (void)state;
    r->nodes[where].where.condition = fake_expr(r, "ok");
    select = fake_node(r, NODE_SELECT, where, OUT_MAIN);
    given_fields(r, &r->nodes[select].select.fields, &r->nodes[select].select.n, fields);
    set = fake_node(r, NODE_SET, select, OUT_MAIN);
    given_fields(r, &r->nodes[set].select.fields, &r->nodes[set].select.n, fields);
    given_sink(r, set);
    opened(r);
    expect_sent(r, NULL, KEY("k"), "out key=\"k\" time=7 -\n");
    expect_sent(r, "{\"ok\":1,\"a\":2}", KEY("k"), "out key=\"k\" time=7 {\"a\":2}\n");
    fake_free(r);
}

// select writes its fields in order; nil ones, missing or null, are left out.
static void test_select(void **state)
{
    struct run *r = given_source(false);
    int select = fake_node(r, NODE_SELECT, 0, OUT_MAIN);
    static const char *const fields[] = {"z", "z", "a", "b", "t", "$time", NULL};

    (void)state;
    given_fields(r, &r->nodes[select].select.fields, &r->nodes[select].select.n, fields);
    given_sink(r, select);
    opened(r);
    expect_sent(r, "{\"b\":[1],\"z\":2,\"q\":3}", KEY("k"),
                "out key=\"k\" time=7 {\"z\":2,\"a\":[1],\"t\":7}\n");
    expect_sent(r, "{\"b\":null}", KEY("k"), "out key=\"k\" time=7 {\"t\":7}\n");
    fake_free(r);
}

// set replaces in place, appends what is new, removes what becomes nil; of a member that came
// twice nothing old survives.
static void test_set(void **state)
{
    struct run *r = given_source(false);
    int set = fake_node(r, NODE_SET, 0, OUT_MAIN);
    static const char *const fields[] = {"a", "b", "n", "$time", "gone", "none", NULL};

    (void)state;
    given_fields(r, &r->nodes[set].select.fields, &r->nodes[set].select.n, fields);
    given_sink(r, set);
    opened(r);
    expect_sent(r, "{\"gone\":1,\"a\":1,\"b\":2}", keyless,
                "out key=- time=7 {\"a\":2,\"b\":2,\"n\":7}\n");
    expect_sent(r, "{\"a\":1,\"b\":5,\"a\":3,\"gone\":1,\"gone\":2}", keyless,
                "out key=- time=7 {\"b\":5,\"a\":5,\"n\":7}\n");
    expect_sent(r, "{}", keyless, "out key=- time=7 {\"n\":7}\n");
    expect_refused(r, "[1]", keyless, LEAT_ETYPE, "not an object");
    fake_free(r);
}

// by makes scalar and composite keys; a nil part or an object is class key.
static void test_by(void **state)
{
    struct run *r = given_source(false);
    int one = fake_node(r, NODE_BY, 0, OUT_MAIN), two = fake_node(r, NODE_BY, 0, OUT_MAIN);
    static const char *const a[] = {"a", "a", NULL}, *const ab[] = {"a", "a", "b", "b", NULL};

    (void)state;
    given_fields(r, &r->nodes[one].by.parts, &r->nodes[one].by.n, a);
    given_fields(r, &r->nodes[two].by.parts, &r->nodes[two].by.n, ab);
    given_sink(r, one);
    given_sink(r, two);
    opened(r);
    expect_sent(r, "{\"a\":\"x\",\"b\":2}", KEY("old"),
                "out key=\"x\" time=7 {\"a\":\"x\",\"b\":2}\n"
                "out key=[\"x\",2] time=7 {\"a\":\"x\",\"b\":2}\n");
    expect_refused(r, "{\"a\":1}", KEY("old"), LEAT_EKEY, "b is nil");
    expect_refused(r, "{\"a\":{},\"b\":1}", KEY("old"), LEAT_EKEY, "a is");
    fake_free(r);
}

// --- functions ---

enum fake_fn { FN_NIL, FN_SAME, FN_NEW, FN_EMIT, FN_FAIL };

struct test_fn {
    struct fn fn;
    enum fake_fn what;
};

static struct value object_of(struct fn_call *c, const char *name, struct value v)
{
    struct value_object *o = arena_alloc(c->arena, sizeof(*o));

    o->n = 1;
    o->names = arena_alloc(c->arena, sizeof(*o->names));
    o->values = arena_alloc(c->arena, sizeof(*o->values));
    o->names[0] = bytes_str(name);
    o->values[0] = v;
    return (struct value){.type = VALUE_OBJECT, .object = o};
}

static int test_fn_call(struct fn *f, struct fn_call *c, struct err *e)
{
    switch (((struct test_fn *)f)->what) {
    case FN_NIL:
        return 0;
    case FN_SAME:
        c->result = c->event->view.root;
        return 0;
    case FN_NEW:
        c->result = object_of(c, "new", value_int(1));
        return 0;
    case FN_EMIT:
        c->emits = arena_zalloc(c->arena, 2 * sizeof(*c->emits));
        c->n_emits = 2;
        c->emits[0].value = object_of(c, "e", value_int(1));
        c->emits[1].value = object_of(c, "e", value_int(2));
        c->emits[1].key = KEY("other");
        c->result = object_of(c, "r", value_int(3));
        return 0;
    case FN_FAIL:
        break;
    }
    return err_set(e, LEAT_ELUA, "jobs/t.lua:3: no");
}

static const struct fn_ops test_fn_ops = {.call = test_fn_call};
static struct test_fn fn_nil = {{.ops = &test_fn_ops}, FN_NIL},
                      fn_same = {{.ops = &test_fn_ops}, FN_SAME},
                      fn_new = {{.ops = &test_fn_ops}, FN_NEW},
                      fn_emit = {{.ops = &test_fn_ops}, FN_EMIT},
                      fn_fail = {{.ops = &test_fn_ops}, FN_FAIL};

static struct run *given_map_to(struct test_fn *f)
{
    struct run *r = given_source(false);
    int map = fake_node(r, NODE_MAP, 0, OUT_MAIN), to = fake_node(r, NODE_TO, map, OUT_MAIN);

    r->nodes[map].map.fn = &f->fn;
    r->nodes[to].to.topic = "x";
    opened(r);
    return r;
}

// map: nil drops, a new value replaces, the same value keeps its original bytes, emits go first.
static void test_map(void **state)
{
    static const struct {
        struct test_fn *fn;
        const char *want;
    } rows[] = {
        {&fn_nil, ""},
        {&fn_same, "to x key=\"k\" { \"a\" : 1 }\n"},
        {&fn_new, "to x key=\"k\" {\"new\":1}\n"},
        {&fn_emit,
         "to x key=\"k\" {\"e\":1}\nto x key=\"other\" {\"e\":2}\nto x key=\"k\" {\"r\":3}\n"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct run *r = given_map_to(rows[i].fn);

        expect_sent(r, "{ \"a\" : 1 }", KEY("k"), rows[i].want);
        fake_free(r);
    }
}

// A function that fails is the record's error.
static void test_map_fails(void **state)
{
    struct run *r = given_map_to(&fn_fail);

    (void)state;
    expect_refused(r, "{}", KEY("k"), LEAT_ELUA, "jobs/t.lua:3");
    fake_free(r);
}

// --- match ---

static struct plan_case *given_case(struct run *r, int match, const char *type)
{
    struct plan_node *n = &r->nodes[match];

    if (n->match.cases == NULL)
        n->match.cases = arena_zalloc(&r->keep, 8 * sizeof(*n->match.cases));
    n->match.cases[n->match.n].type = type != NULL ? bytes_str(type) : BYTES_NULL;
    return &n->match.cases[n->match.n++];
}

static struct plan_action *given_action(struct run *r, struct plan_case *c, enum table_verb verb,
                                        const char *key, const char *const *cells)
{
    struct plan_action *a;

    if (c->actions == NULL)
        c->actions = arena_zalloc(&r->keep, 4 * sizeof(*c->actions));
    a = &c->actions[c->n_actions++];
    a->verb = verb;
    a->line = 19;
    if (key != NULL) {
        a->key = arena_zalloc(&r->keep, sizeof(*a->key));
        a->key[0] = (struct plan_field){.expr = fake_expr(r, key)};
        a->n_key = 1;
    }
    given_fields(r, &a->cells, &a->n_cells, cells);
    return a;
}

static struct run *given_match(void)
{
    struct run *r = given_source(false);
    int match = fake_node(r, NODE_MATCH, 0, OUT_MAIN);
    struct plan_case *c;
    static const char *const ab[] = {"a", "x", "b", "=x", NULL}, *const none[] = {NULL};

    given_table(r, 1, 4);
    r->nodes[match].match.on = fake_expr(r, "type");
    c = given_case(r, match, "Put");
    given_action(r, c, VERB_PUT, NULL, ab);
    given_action(r, c, VERB_ADD, "id", ab);
    c = given_case(r, match, "Del");
    given_action(r, c, VERB_DELETE, "id", none);
    given_case(r, match, "Fn")->fn = &fn_new.fn;
    given_sink(r, match);
    return r;
}

// Actions run in order; a missing path is absent, null and nil expressions are NULL.
static void test_match_actions(void **state)
{
    struct run *r = given_match();

    (void)state;
    opened(r);
    expect_sent(r, "{\"type\":\"Put\",\"id\":1,\"x\":5}", keyless,
                "put t a=5 b=5\nadd t [id]=1 a=5 b=5\n");
    expect_sent(r, "{\"type\":\"Put\",\"id\":1}", keyless,
                "put t a=- b=null\nadd t [id]=1 a=- b=null\n");
    expect_sent(r, "{\"type\":\"Put\",\"id\":1,\"x\":null}", keyless,
                "put t a=null b=null\nadd t [id]=1 a=null b=null\n");
    expect_sent(r, "{\"type\":\"Del\",\"id\":1}", keyless, "delete t [id]=1\n");
    expect_sent(r, "{\"type\":\"Fn\"}", keyless, "out key=- time=7 {\"new\":1}\n");
    fake_free(r);
}

// A nil key is class key and takes the rows of earlier actions with it.
static void test_match_nil_key(void **state)
{
    struct run *r = given_match();

    (void)state;
    opened(r);
    expect_refused(r, "{\"type\":\"Put\",\"x\":5}", keyless, LEAT_EKEY, "jobs/t.lua:19 (t:add)");
    fake_free(r);
}

// Types that no case knows are skipped and counted: unknown, not there, no text.
static void test_match_skips(void **state)
{
    struct run *r = given_match();

    (void)state;
    opened(r);
    expect_sent(r, "{\"type\":\"New\"}", keyless, "");
    expect_sent(r, "{}", keyless, "");
    expect_sent(r, "{\"type\":4}", keyless, "");
    expect_sent(r, "{\"type\":\"\"}", keyless, "");
    assert_int_equal(r->skipped, 4);
    fake_free(r);
}

// `_` takes what no case knows.
static void test_match_other(void **state)
{
    struct run *r = given_match();

    (void)state;
    given_case(r, 1, NULL)->fn = &fn_new.fn;
    opened(r);
    expect_sent(r, "{\"type\":\"New\"}", keyless, "out key=- time=7 {\"new\":1}\n");
    expect_sent(r, "{}", keyless, "out key=- time=7 {\"new\":1}\n");
    expect_sent(r, "{\"type\":\"Del\",\"id\":1}", keyless, "delete t [id]=1\n");
    assert_int_equal(r->skipped, 0);
    fake_free(r);
}

// A column that the table does not have is a load error with the line.
static void test_match_column(void **state)
{
    struct run *r = given_match();
    static const char *const bad[] = {"idd", "x", NULL};

    (void)state;
    given_action(r, given_case(r, 1, "Bad"), VERB_PUT, NULL, bad);
    assert_int_equal(fake_open(r), LEAT_EINVAL);
    assert_string_equal(r->err.text, "jobs/t.lua:19 (t:put): table t has no column idd");
    fake_free(r);
}

// --- sinks ---

static struct run *given_into(bool changelog, int n_primary)
{
    struct run *r = given_source(changelog);

    given_table(r, n_primary, 4);
    fake_node(r, NODE_INTO, 0, OUT_MAIN);
    return r;
}

// By name: missing is absent, null is NULL, what is no column is ignored, a key part stands in.
static void test_into_by_name(void **state)
{
    struct run *r = given_into(false, 1);
    static const char *const names[] = {"id"};

    (void)state;
    r->nodes[1].key_names = (const char **)names;
    r->nodes[1].n_key_names = 1;
    opened(r);
    expect_sent(r, "{\"a\":1,\"b\":null,\"zz\":3}", KEY("k"), "put t id=\"k\" a=1 b=null c=-\n");
    expect_sent(r, "{\"id\":9}", KEY("k"), "put t id=9 a=- b=- c=-\n");
    expect_refused(r, NULL, KEY("k"), LEAT_ETYPE, "needs an object");
    fake_free(r);
}

// Mapped: only the columns given, which must exist.
static void test_into_mapped(void **state)
{
    struct run *r = given_into(false, 1);
    static const char *const map[] = {"id", "$key", "b", "x", NULL};

    (void)state;
    given_fields(r, &r->nodes[1].into.columns, &r->nodes[1].into.n, map);
    opened(r);
    expect_sent(r, "{\"a\":1,\"x\":2}", KEY("k"), "put t id=\"k\" b=2\n");
    fake_free(r);
}

// A changelog: the key is the primary key (a number where the column wants one), the row is
// replaced whole, a tombstone deletes it.
static void test_into_changelog(void **state)
{
    struct run *r = given_into(true, 1);

    (void)state;
    opened(r);
    expect_sent(r, "{\"id\":\"other\",\"a\":1}", KEY("42"), "put t id=42 a=1 b=- c=-\n");
    expect_sent(r, NULL, KEY("42"), "delete t [id]=42\n");
    expect_refused(r, "{}", KEY("x1"), LEAT_EKEY, "no integer");
    expect_refused(r, "{}", keyless, LEAT_EKEY, "without a key");
    fake_free(r);
}

// A composite primary key wants a key with as many parts.
static void test_into_changelog_composite(void **state)
{
    struct run *r = given_into(true, 2);
    struct value parts[] = {value_int(1), KEY("p")};
    struct value_array array = {.n = 2, .items = parts};

    (void)state;
    opened(r);
    expect_sent(r, "{\"b\":3}", (struct value){.type = VALUE_ARRAY, .array = &array},
                "put t id=1 a=\"p\" b=3 c=-\n");
    expect_refused(r, "{\"b\":3}", KEY("x"), LEAT_EKEY, "use :by");
    fake_free(r);
}

// to: the key expression, headers that replace, the original bytes, null for a tombstone.
static void test_to(void **state)
{
    struct run *r = given_source(false);
    int to = fake_node(r, NODE_TO, 0, OUT_MAIN);
    static const char *const headers[] = {"h", "a", "none", "x", "h2", "b", NULL};

    (void)state;
    r->nodes[to].to.topic = "x";
    opened(r);
    expect_sent(r, "{ \"a\":1 }", KEY("k"), "to x key=\"k\" { \"a\":1 }\n");
    expect_sent(r, NULL, keyless, "to x key=- null\n");
    fake_close(r);
    r->nodes[to].to.has_key = true;
    r->nodes[to].to.key = fake_expr(r, "a");
    given_fields(r, &r->nodes[to].to.headers, &r->nodes[to].to.n_headers, headers);
    opened(r);
    expect_sent(r, "{\"a\":\"v\",\"b\":[1, 2]}", KEY("k"),
                "to x key=\"v\" h:v h2:[1, 2] {\"a\":\"v\",\"b\":[1, 2]}\n");
    expect_refused(r, "{\"b\":1}", KEY("k"), LEAT_EKEY, "the key for x is nil");
    fake_free(r);
}

// An infrastructure error anywhere on the way comes up as it is, and the record leaves nothing.
static void test_faults(void **state)
{
    static const char *const json = "{\"type\":\"Put\",\"id\":1,\"x\":5}";

    (void)state;
    for (int64_t n = 0;; n++) {
        struct run *r = given_match();
        int rc;

        opened(r);
        r->fail_at = n;
        rc = fake_send(r, 0, json, keyless, 7);
        if (rc == 0) {
            assert_true(n >= 2);
            fake_free(r);
            return;
        }
        assert_int_equal(rc, LEAT_EIO);
        assert_string_equal(fake_text(r), "");
        fake_free(r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_where),
        cmocka_unit_test(test_where_error),
        cmocka_unit_test(test_deletes_travel),
        cmocka_unit_test(test_select),
        cmocka_unit_test(test_set),
        cmocka_unit_test(test_by),
        cmocka_unit_test(test_map),
        cmocka_unit_test(test_map_fails),
        cmocka_unit_test(test_match_actions),
        cmocka_unit_test(test_match_nil_key),
        cmocka_unit_test(test_match_skips),
        cmocka_unit_test(test_match_other),
        cmocka_unit_test(test_match_column),
        cmocka_unit_test(test_into_by_name),
        cmocka_unit_test(test_into_mapped),
        cmocka_unit_test(test_into_changelog),
        cmocka_unit_test(test_into_changelog_composite),
        cmocka_unit_test(test_to),
        cmocka_unit_test(test_faults),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
