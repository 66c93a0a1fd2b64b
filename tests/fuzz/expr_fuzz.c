// SPDX-License-Identifier: Apache-2.0
//
// Any text as an expression over one record: no crash, and what compiles has a canonical text that
// compiles to itself.
#include <stdlib.h>

#include "runtime/expr/expr.h"

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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char record[] =
        "{\"a\":1,\"b\":[1,{\"a\":\"x\"}],\"c\":{\"a\":2.5},\"s\":\"text\"}";
    struct fieldplan *plan = fieldplan_new();
    struct event ev = {.topic = BYTES_LIT("t"), .key = value_text(BYTES_LIT("k"))};
    struct arena arena;
    struct expr *x;
    struct value v;

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
