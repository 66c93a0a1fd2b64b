// SPDX-License-Identifier: Apache-2.0
//
// Record batches from a stranger, read to the end: any bytes give records or an error, within the
// cap. The checksum is set right first, so that the fuzzer spends its time behind it.
#include <stddef.h>
#include <stdint.h>

#include "runtime/base/arena.h"
#include "runtime/base/crc32c.h"
#include "runtime/base/endian.h"
#include "runtime/record/batch.h"

enum { INFLATED_MAX = 1 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_records(struct bytes b, struct arena *a)
{
    struct batch_iter it;
    struct batch_record r;
    struct header *hs;
    int64_t last = -1;

    if (batch_iter_init(&it, b, INFLATED_MAX, a, NULL) != 0)
        return;
    while (batch_iter_next(&it, &r, NULL) == 1) {
        ASSERT(r.offset > last);
        last = r.offset;
        if (batch_record_headers(&r, a, &hs, NULL) != 0)
            break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct batch_header h;
    struct arena a;
    struct bytes b;
    uint8_t *copy;

    if (size < BATCH_HEADER_BYTES || size > INFLATED_MAX)
        return 0;
    arena_init(&a);
    copy = arena_alloc(&a, size);
    memcpy(copy, data, size);
    copy[16] = 2;
    store_be32(copy + 8, (uint32_t)(size - BATCH_PREFIX_BYTES));
    store_be32(copy + 17, crc32c(bytes_of(copy + 21, size - 21)));
    b = bytes_of(copy, size);
    if (batch_read(b, &h, NULL) == 0) {
        (void)!batch_validate(b, &h, NULL);
        read_records(b, &a);
    }
    arena_deinit(&a);
    return 0;
}
