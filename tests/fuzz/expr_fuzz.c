// SPDX-License-Identifier: Apache-2.0
//
// Any text as an expression, over a record of which nothing is known and over records of declared
// types: no crash, what compiles has a canonical text that compiles to itself, and what a typed
// expression gives is of the type that it was said to have. The first byte chooses the record.
#include <stdlib.h>

#include "runtime/expr/expr.h"
#include "runtime/record/schema.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_normalised(const struct expr *x)
{
    struct buf first = BUF_EMPTY, second = BUF_EMPTY;
    struct expr *again;

    expr_normalised(x, &first);
    if (expr_compile(&again, buf_bytes(&first), NULL, NULL, NULL) == 0) {
        expr_normalised(again, &second);
        if (!bytes_eq(buf_bytes(&first), buf_bytes(&second)))
            abort();
        expr_free(again);
    }
    buf_deinit(&first);
    buf_deinit(&second);
}

static const struct type *record_type(struct arena *a)
{
    static const char *const fields[][2] = {{"a", "integer?"},       {"d", "decimal(10,2)?"},
                                            {"n", "number?"},        {"s", "text?"},
                                            {"t", "time?"},          {"v", "decimal(18,9)?"},
                                            {"y", "bool?"},          {"z", "any?"}};
    struct type_field *f = arena_zalloc(a, ARRAY_LEN(fields) * sizeof *f);

    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        f[i].name = bytes_str(fields[i][0]);
        if (type_parse(bytes_str(fields[i][1]), a, &f[i].type, NULL) != 0)
            abort();
    }
    return type_object(a, f, ARRAY_LEN(fields), false);
}

static bool is_of(const struct value *v, const struct type *t)
{
    if (value_is_nil(v))
        return true;
    switch (t->kind) {
    case TYPE_BOOL:
        return v->type == VALUE_BOOL;
    case TYPE_INTEGER:
    case TYPE_TIME:
        return v->type == VALUE_INT;
    case TYPE_DECIMAL:
        return v->type == VALUE_DECIMAL && (t->precision == 0 || t->scale == v->scale);
    case TYPE_NUMBER:
        return v->type == VALUE_INT || v->type == VALUE_FLOAT || v->type == VALUE_DECIMAL;
    case TYPE_TEXT:
        return v->type == VALUE_TEXT || v->type == VALUE_BYTES;
    default:
        return true;
    }
}

static void run_typed(struct bytes text, unsigned pick)
{
    static const char *const records[] = {
        "{\"a\":1,\"d\":\"10.50\",\"n\":2.5,\"s\":\"x\",\"t\":\"2026-01-01\",\"v\":0.1,\"y\":true}",
        "{\"a\":-9223372036854775808,\"d\":\"-99999999.99\",\"n\":-0.0,\"s\":\"\",\"z\":[{}]}",
        "{\"a\":null,\"d\":0,\"n\":1e300,\"v\":\"999999999.999999999\",\"y\":false,\"z\":7}",
        "{}",
    };
    struct event ev = {.topic = BYTES_LIT("t"), .key = value_text(BYTES_LIT("k"))};
    struct arena arena;
    struct expr *x;
    struct value root, v;

    arena_init(&arena);
    struct expr_scope scope = {.value = record_type(&arena)};
    if (expr_compile_typed(&x, text, NULL, &scope, NULL) == 0) {
        struct expr_env env = {&ev, 0, &arena};
        if (value_decode(FORMAT_JSON, bytes_str(records[pick % ARRAY_LEN(records)]), &arena, &root,
                         NULL) != 0 ||
            schema_check(scope.value, &root, &arena, NULL) != 0)
            abort();
        view_of(&ev.view, NULL, root, &arena);
        if (expr_eval(x, &env, &v, NULL) == 0 && !is_of(&v, expr_type(x)))
            abort();
        expr_free(x);
    }
    arena_deinit(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char record[] =
        "{\"a\":1,\"b\":[1,{\"a\":\"x\"}],\"c\":{\"a\":2.5},\"s\":\"text\"}";
    struct fieldplan *plan = fieldplan_new();
    struct event ev = {.topic = BYTES_LIT("t"), .key = value_text(BYTES_LIT("k"))};
    struct arena arena;
    struct expr *x;
    struct value v;

    if (size > 0)
        run_typed(bytes_of(data + 1, size - 1), data[0]);
    arena_init(&arena);
    if (expr_compile(&x, bytes_of(data, size), NULL, plan, NULL) == 0) {
        struct expr_env env = {&ev, 0, &arena};
        if (view_scan(&ev.view, plan, FORMAT_JSON, bytes_str(record), &arena, NULL) != 0)
            abort();
        (void)!expr_eval(x, &env, &v, NULL);
        check_normalised(x);
        expr_free(x);
    }
    arena_deinit(&arena);
    fieldplan_free(plan);
    return 0;
}
