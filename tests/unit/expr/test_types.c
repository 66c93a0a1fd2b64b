// SPDX-License-Identifier: Apache-2.0
//
// Expressions over records whose fields are declared: what loads, with which type, and what is
// refused. A row is (expression, the type of its result, or "?" and the error).
#include "tests/unit/expr/expr_tests.h"

struct typed {
    const char *text, *want;
};

static const struct type *parsed(const char *text, struct arena *a)
{
    const struct type *t;

    assert_int_equal(type_parse(bytes_str(text), a, &t, NULL), 0);
    return t;
}

static const struct type *object_of(struct arena *a, const char *const *pairs, bool open)
{
    struct type_field *f = arena_zalloc(a, 16 * sizeof *f);
    size_t n = 0;

    for (; pairs[2 * n] != NULL; n++)
        f[n] = (struct type_field){bytes_str(pairs[2 * n]), parsed(pairs[2 * n + 1], a)};
    return type_object(a, f, n, open);
}

// schema reading: scalars, an object, a list of objects.
static const struct type *reading(struct arena *a)
{
    static const char *const site[] = {"name", "text", "height", "number", NULL};
    static const char *const item[] = {"sku", "text", "price", "decimal(10,2)", "qty", "integer",
                                       NULL};
    static const char *const scalars[] = {
        "assetId", "text", "temperature", "number",        "n",   "integer",       "ok",   "bool",
        "ts",      "time", "price",       "decimal(10,2)", "vat", "decimal(5,4)?", "free", "any",
        NULL};
    const struct type *base = object_of(a, scalars, false);
    struct type_field more[] = {
        {BYTES_LIT("site"), object_of(a, site, false)},
        {BYTES_LIT("items"), type_array(a, object_of(a, item, false))},
        {BYTES_LIT("open"), object_of(a, site, true)},
    };
    struct type *named = arena_zalloc(a, sizeof *named);

    *named = *type_with(base, more, ARRAY_LEN(more), a);
    named->name = "schema reading";
    return named;
}

static void compile(const char *text, const struct expr_scope *scope, char *result, size_t size)
{
    struct expr *x;
    struct err e = {0};
    struct buf b = BUF_EMPTY;

    if (expr_compile_typed(&x, bytes_str(text), NULL, scope, &e) != 0) {
        snprintf(result, size, "?%s", e.text);
        return;
    }
    type_print(expr_type(x), &b);
    snprintf(result, size, "%s", buf_cstr(&b));
    buf_deinit(&b);
    expr_free(x);
}

static void expect_types(const struct typed *rows, size_t n)
{
    struct arena a;
    struct expr_scope scope = {0};

    arena_init(&a);
    scope.value = scope.old = reading(&a);
    scope.key = &type_text;
    for (size_t i = 0; i < n; i++) {
        char got[ERR_TEXT_MAX + 1], want[ERR_TEXT_MAX + 1];

        compile(rows[i].text, &scope, got, sizeof got);
        if (rows[i].want[0] == '?')
            snprintf(want, sizeof want, "?expression \"%s\": %s", rows[i].text, rows[i].want + 1);
        else
            snprintf(want, sizeof want, "%s", rows[i].want);
        if (strcmp(got, want) != 0)
            fail_msg("%s\n  gives  %s\n  wanted %s", rows[i].text, got, want);
    }
    arena_deinit(&a);
}

#define EXPECT(rows) expect_types(rows, ARRAY_LEN(rows))

// A field that the record does not have does not load; what is near is named.
static void test_unknown_fields(void **state)
{
    static const struct typed rows[] = {
        {"temperature > 90", "bool"},
        {"temprature > 90", "?schema reading has no field 'temprature' near column 1 (did you mean "
                            "'temperature'?)"},
        {"ok and humidity > 5", "?schema reading has no field 'humidity' near column 8 (a text is "
                                "written 'humidity')"},
        {"site.nme", "?there is no field 'nme' near column 1 (did you mean 'name'?)"},
        {"site['height']", "number"},
        {"site.name.first", "?text has no field 'first' near column 1"},
        {"items[1].price", "decimal(10,2)"},
        {"items[n].price", "decimal(10,2)"},
        {"items[n].prize",
         "?there is no field 'prize' near column 1 (did you mean 'price'?)"},
        {"items.price", "?array has no field 'price' near column 1: an element comes first, as in "
                        "items[1].sku"},
        {"site[1]", "?object has no element 1 near column 1"},
        {"temperature[1]", "?number has no element 1 near column 1"},
        {"open.whatever + 1", "number"},
        {"free.a.b[3].c", "any"},
        {"$old.temperature", "number"},
        {"$old.temprature", "?schema reading has no field 'temprature' near column 1 (did you mean "
                            "'temperature'?)"},
        {"$key.x", "?text has no field 'x' near column 1"},
        {"coalesce(temprature, 1)",
         "?schema reading has no field 'temprature' near column 10 (did you mean 'temperature'?)"},
    };

    (void)state;
    EXPECT(rows);
}

// Numbers have an order among each other, text has one, nothing else has.
static void test_comparisons(void **state)
{
    static const struct typed rows[] = {
        {"assetId > 90",
         "?assetId > 90: cannot compare text with number, near column 1"},
        {"n > 1 and temperature > 'hot'",
         "?temperature > 'hot': cannot compare number with text, near column 11"},
        {"ok < true", "?ok < true: cannot compare boolean with boolean, near column 1"},
        {"items < 3", "?items < 3: cannot compare array with number, near column 1"},
        {"price > 10", "bool"},
        {"price > temperature", "bool"},
        {"ts > 5", "bool"},
        {"ts > '2026-01-01'",
         "?ts > '2026-01-01': cannot compare time with text, near column 1"},
        {"ts > time'2026-01-01'", "bool"},
        {"temperature > free", "bool"},
        {"temperature > nil", "bool"},
        {"assetId == 5", "?assetId == 5: text is never equal to number, near column 1"},
        {"assetId ~= nil", "bool"},
        {"temperature == n", "bool"},
        {"ts == '2026-01-01'",
         "?ts == '2026-01-01': time is never equal to text (a time is written "
         "time'2026-01-01T00:00:00Z'), near column 1"},
        {"ok == 1", "?ok == 1: boolean is never equal to number, near column 1"},
        {"oneof(assetId, 'a', 5)",
         "?oneof(assetId, 'a', 5): text is never equal to number, near column 1"},
        {"oneof(n, 1, 2.5)", "bool"},
        {"lower(assetId) == 5", "bool"},
    };

    (void)state;
    EXPECT(rows);
}

// Arithmetic wants numbers, .. text or numbers; decimals do not mix with floats.
static void test_arithmetic(void **state)
{
    static const struct typed rows[] = {
        {"n + 1", "integer"},
        {"n + 1.5", "number"},
        {"n * temperature", "number"},
        {"n / 2", "number"},
        {"n // 2", "integer"},
        {"n ^ 2", "number"},
        {"ts - dur'5m'", "integer"},
        {"price + 1", "decimal(18,2)"},
        {"price * items[1].qty", "decimal(18,2)"},
        {"price * vat", "decimal(18,6)"},
        {"price + vat", "decimal(18,4)"},
        {"price // 1", "decimal(18,0)"},
        {"price % 1", "decimal(18,2)"},
        {"price * dec'0.125'", "decimal(18,5)"},
        {"price * free", "decimal"},
        {"price * temperature", "decimal"},
        {"-price", "decimal(10,2)"},
        {"price * 1.5", "?price * 1.5: cannot apply '*' to a decimal and a float: make both "
                        "decimals with dec(), or both floats with num(), near column 1"},
        {"price / 2", "?price / 2: cannot apply '/' to decimals, which are exact: make floats of "
                      "them with num(), near column 1"},
        {"num(price) / 2", "number"},
        {"price .. ' EUR'", "text"},
        {"assetId + 1", "?assetId + 1: cannot apply '+' to text, near column 1"},
        {"1 + site", "?1 + site: cannot apply '+' to object, near column 1"},
        {"assetId .. ok", "?assetId .. ok: cannot apply '..' to boolean, near column 1"},
        {"assetId .. n", "text"},
        {"-assetId", "?-assetId: cannot apply '-' to text, near column 1"},
        {"#n", "?#n: cannot apply '#' to number, near column 1"},
        {"#items + #assetId", "integer"},
        {"not site", "bool"},
    };

    (void)state;
    EXPECT(rows);
}

// Functions say what they want and what they give.
static void test_functions(void **state)
{
    static const struct typed rows[] = {
        {"upper(n)", "?upper(n): argument 1 must be text, not number, near column 1"},
        {"starts(assetId, 5)",
         "?starts(assetId, 5): argument 2 must be text, not number, near column 1"},
        {"abs(assetId)", "?abs(assetId): argument 1 must be number, not text, near column 1"},
        {"hour(price)", "?hour(price): argument 1 must be integer, not decimal, near column 1"},
        {"hour(ts)", "integer"},
        {"trunc(ts, '1h')", "time"},
        {"iso(ts)", "text"},
        {"dec(ok)", "?dec(ok): argument 1 must be text or a number, not boolean, near column 1"},
        {"dec(assetId)", "decimal"},
        {"int(price)", "integer"},
        {"round(price)", "integer"},
        {"round(price, 1)", "decimal(18,1)"},
        {"round(price, 5)", "decimal(18,2)"},
        {"round(temperature, 1)", "number"},
        {"floor(price)", "integer"},
        {"abs(price)", "decimal(10,2)"},
        {"abs(n)", "integer"},
        {"contains(items, 5)", "bool"},
        {"contains(n, 5)",
         "?contains(n, 5): argument 1 must be text or an array, not number, near column 1"},
        {"coalesce(n, 0)", "integer"},
        {"coalesce(vat, dec'0.2500')", "decimal"},
        {"least(n, temperature)", "number"},
        {"greatest(n, 'x')", "?greatest(n, 'x'): number is never equal to text, near column 1"},
        {"text(site)", "text"},
    };

    (void)state;
    EXPECT(rows);
}

// and, or carry what their sides may be.
static void test_logic(void **state)
{
    static const struct typed rows[] = {
        {"ok and n", "any"},
        {"n and assetId", "text"},
        {"temperature or 0", "number"},
        {"n or 0", "integer"},
        {"ok and 'a' or 'b'", "text"},
        {"ok and n or 0", "integer"},
        {"(ok and 'a' or 'b') + 1",
         "?(ok and 'a' or 'b') + 1: cannot apply '+' to text, near column 1"},
        {"vat or 0", "number"},
        {"ok or ok", "bool"},
        {"n or assetId", "any"},
        {"nil or n", "integer"},
    };

    (void)state;
    EXPECT(rows);
}

// Where nothing is declared nothing is refused that could be right.
static void test_unknown_records(void **state)
{
    static const struct {
        const char *text, *want;
    } rows[] = {
        {"a.b.c > 1", "bool"}, {"a + b", "number"}, {"a", "any"}, {"a or 1", "any"},
        {"$old.x", "any"},     {"$key + 1", "number"},
    };
    struct expr_scope scope = {0};
    char got[ERR_TEXT_MAX + 1];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        compile(rows[i].text, &scope, got, sizeof got);
        assert_string_equal(got, rows[i].want);
    }
}

int run_type_tests(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unknown_fields), cmocka_unit_test(test_comparisons),
        cmocka_unit_test(test_arithmetic),     cmocka_unit_test(test_functions),
        cmocka_unit_test(test_logic),          cmocka_unit_test(test_unknown_records),
    };

    return cmocka_run_group_tests_name("types", tests, NULL, NULL);
}
