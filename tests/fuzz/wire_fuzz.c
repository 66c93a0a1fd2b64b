// SPDX-License-Identifier: Apache-2.0
//
// Wire decoding. Byte 0 picks the message, byte 1 the version, the rest is the body. What decodes
// must encode, and what was encoded must decode and encode to the same bytes. The whole input is
// also read as a request frame. fuzz_wire -max_len=4096 [CORPUS]
#include "runtime/base/heap.h"
#include "runtime/wire/messages.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void body_check(const struct wire_message *m, int version, struct bytes body)
{
    struct buf first = BUF_EMPTY, second = BUF_EMPTY;
    void *out = heap_alloc(m->size);
    struct arena a;
    struct err e;

    arena_init(&a);
    a.limit = 16 * 1024 * 1024;
    if (wire_decode(m, version, body, &a, out, &e) == 0) {
        ASSERT(wire_encode(m, version, out, &first, &e) == 0);
        arena_reset(&a);
        ASSERT(wire_decode(m, version, buf_bytes(&first), &a, out, &e) == 0);
        ASSERT(wire_encode(m, version, out, &second, &e) == 0);
        ASSERT(bytes_eq(buf_bytes(&first), buf_bytes(&second)));
    }
    heap_free(out);
    buf_deinit(&first);
    buf_deinit(&second);
    arena_deinit(&a);
}

static void frame_check(struct bytes frame)
{
    struct wire_request q;
    struct err e;

    if (wire_request_decode(frame, &q, &e) == 0)
        body_check(q.api->request, q.version, q.body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct wire_message *m;

    frame_check(bytes_of(data, size));
    if (size < 2)
        return 0;
    m = wire_messages[data[0] % wire_n_messages];
    body_check(m, m->min + data[1] % (m->max - m->min + 1), bytes_of(data + 2, size - 2));
    return 0;
}
