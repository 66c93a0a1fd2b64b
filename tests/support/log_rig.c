// SPDX-License-Identifier: Apache-2.0
#include "tests/support/log_rig.h"

#include "runtime/base/heap.h"
#include "runtime/base/trace.h"

enum { RIG_PRODUCER = 42 };

void rig_init(struct rig *r, uint64_t seed)
{
    trace_level_set(TRACE_ERROR); // damage is the subject here: warnings would drown the results
    *r = (struct rig){0};
    r->fake = fs_fake_new();
    clock_fake_init(&r->clock, 1700000000000);
    random_seed(&r->random, seed);
    batch_builder_init(&r->builder);
    r->config = (struct partition_config){
        .fs = fs_fake_fs(r->fake),
        .clock = &r->clock.base,
        .dir = RIG_DIR,
        .topic = "t",
        .durable = true,
        .segment_bytes = 8192,
        .segment_ms = 0,
        .retention_bytes = -1,
        .retention_ms = -1,
    };
}

static void forget_from(struct rig *r, int64_t end)
{
    while (r->n_batches > 0 && r->batches[r->n_batches - 1].end > end)
        heap_free((void *)(uintptr_t)r->batches[--r->n_batches].bytes.p);
}

void rig_deinit(struct rig *r)
{
    rig_close(r);
    forget_from(r, -1);
    heap_free(r->batches);
    batch_builder_deinit(&r->builder);
    fs_fake_free(r->fake);
}

int rig_open(struct rig *r)
{
    return partition_open(&r->p, &r->config, &r->recovery, &r->e);
}

void rig_close(struct rig *r)
{
    partition_close(r->p);
    r->p = NULL;
}

static struct bytes noise(struct rig *r, uint8_t *room, size_t n)
{
    for (size_t i = 0; i < n; i++)
        room[i] = (uint8_t)random_next(&r->random);
    return bytes_of(room, n);
}

struct bytes rig_build(struct rig *r, int n, int64_t producer, int32_t sequence)
{
    uint8_t room[120];
    struct bytes out;

    batch_builder_reset(&r->builder);
    if (producer >= 0)
        batch_builder_producer(&r->builder, producer, 0, sequence);
    for (int i = 0; i < n; i++) {
        clock_fake_advance(&r->clock, (int64_t)random_below(&r->random, 5));
        int64_t time = r->clock.wall - (int64_t)random_below(&r->random, 50);
        struct bytes value = noise(r, room, (size_t)random_below(&r->random, sizeof room) + 1);
        batch_builder_add(&r->builder, time, BYTES_LIT("key"), value, NULL, 0);
    }
    int rc = batch_builder_finish(&r->builder, CODEC_NONE, &out, &r->e);
    ASSERT(rc == 0);
    return out;
}

int rig_append_built(struct rig *r, struct bytes batch, struct append_result *result)
{
    struct batch_header h;
    uint8_t *copy = heap_alloc(batch.n);
    int64_t end = partition_end(r->p);
    int rc = batch_read(batch, &h, &r->e);

    ASSERT(rc == 0);
    memcpy(copy, batch.p, batch.n);
    rc = partition_append(r->p, copy, &h, result, &r->e);
    if (partition_end(r->p) == end) { // an append that fails after its write may have gone in
        heap_free(copy);
        return rc;
    }
    r->batches = heap_realloc(r->batches, sizeof *r->batches * (r->n_batches + 1));
    r->batches[r->n_batches++] = (struct rig_batch){result->base_offset, result->end_offset,
                                                    h.base_timestamp, bytes_of(copy, batch.n)};
    return rc;
}

int rig_append(struct rig *r)
{
    struct append_result result;
    int n = 1 + (int)random_below(&r->random, 20);
    int rc = rig_append_built(r, rig_build(r, n, RIG_PRODUCER, r->sequence), &result);

    if (rc == 0 && !result.duplicate)
        r->sequence += n;
    if (partition_flushed(r->p) > r->acked)
        r->acked = partition_flushed(r->p);
    return rc;
}

int rig_sync(struct rig *r)
{
    int rc = partition_sync(r->p, &r->e);

    if (partition_flushed(r->p) > r->acked)
        r->acked = partition_flushed(r->p);
    return rc;
}

void rig_accept_end(struct rig *r)
{
    int16_t epoch;
    int32_t last;
    int64_t offset;

    forget_from(r, partition_end(r->p));
    r->sequence = 0;
    if (partition_producer(r->p, RIG_PRODUCER, &epoch, &last, &offset) == 0)
        r->sequence = last + 1;
    r->acked = partition_end(r->p);
}

int64_t rig_compare(struct rig *r, int64_t upto)
{
    struct buf out = BUF_EMPTY;
    int64_t bad = 0;

    for (size_t i = 0; i < r->n_batches && bad == 0; i++) {
        struct rig_batch *b = &r->batches[i];
        int64_t next;
        if (b->end > upto || b->base < partition_start(r->p))
            continue;
        buf_clear(&out);
        if (partition_read(r->p, b->base, INT64_MAX, 1, &out, &next, &r->e) != 0 ||
            !bytes_eq(buf_bytes(&out), b->bytes) || next != b->end)
            bad = b->base + 1;
    }
    buf_deinit(&out);
    return bad;
}
