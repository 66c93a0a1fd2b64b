// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as JSON and as MessagePack, with a field plan: no crash, and what is accepted reads the
// same when it is written and read again.
#include <stdlib.h>

#include "runtime/record/view.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_everything(struct bytes raw, enum format f, const struct fieldplan *plan,
                            struct arena *a)
{
    struct buf text = BUF_EMPTY;
    struct value slot, member, again;
    struct view v;

    if (view_scan(&v, plan, f, raw, a, NULL) != 0)
        return;
    for (int i = 0; i < fieldplan_slots(plan); i++)
        if (view_slot(&v, i, &slot, NULL) != 0)
            continue;
    (void)!view_member(&v, BYTES_LIT("a"), &member, NULL);
    if (value_write_json(&v.root, &text, NULL) == 0) {
        if (value_decode(FORMAT_JSON, buf_bytes(&text), a, &again, NULL) != 0)
            abort();
        if (f == FORMAT_JSON && !value_eq(&v.root, &again, a))
            abort();
    }
    buf_deinit(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct path_step a = {BYTES_LIT("a"), 0}, b = {BYTES_LIT("b"), 0},
                           first = {BYTES_NULL, 1};
    struct fieldplan *plan = fieldplan_new();
    struct arena arena;

    arena_init(&arena);
    (void)fieldplan_add(plan, &a, 1);
    (void)fieldplan_add(plan, (struct path_step[]){a, b}, 2);
    (void)fieldplan_add(plan, (struct path_step[]){b, first, a}, 3);
    read_everything(bytes_of(data, size), FORMAT_JSON, plan, &arena);
    read_everything(bytes_of(data, size), FORMAT_MSGPACK, plan, &arena);
    arena_deinit(&arena);
    fieldplan_free(plan);
    return 0;
}
