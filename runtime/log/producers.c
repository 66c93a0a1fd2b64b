// SPDX-License-Identifier: Apache-2.0
//
// Sequences count records, run from 0 to 2^31-1 and wrap to 0. "At or below the last" is therefore
// a question about distance on a ring of 2^31: less than half the ring behind is below.
//
// The decision for a batch of a known producer at the same epoch:
//
//   first and last sequence equal a kept batch's    duplicate; with another CRC: LEAT_EFORK
//   first = last known + 1                          append
//   reserved id, wholly at or below the last known  duplicate; but inside the kept window it is
//                                                   LEAT_EFORK: outboxes never cut their batches
//                                                   anew
//   anything else                                   LEAT_ESEQUENCE
//
// The snapshot file, big-endian:
//
//   magic "LTPS", version 1, int64 offset, uint32 producers,
//   each: int64 id, int16 epoch, int64 seen ms, uint8 batches,
//         each: int32 first, int32 last sequence, int64 first, int64 last offset, uint32 crc
//   uint32 CRC-32C of all before it
#include "runtime/log/producers.h"

#include "runtime/base/crc32c.h"
#include "runtime/base/endian.h"
#include "runtime/base/heap.h"
#include "runtime/base/random.h"

enum {
    SNAPSHOT_MAGIC = 0x4c545053,
    SNAPSHOT_VERSION = 1,
    SNAPSHOT_HEAD = 20,
    SNAPSHOT_PRODUCER = 19,
    SNAPSHOT_BATCH = 28,
};

#define SEQUENCE_MASK 0x7fffffffu

void producers_init(struct producers *ps)
{
    hashmap_init(&ps->map, random_entropy_u64());
}

static void producers_clear(struct producers *ps)
{
    struct bytes key;
    void *value;

    for (size_t i = 0; hashmap_next(&ps->map, &i, &key, &value);)
        heap_free(value);
    hashmap_deinit(&ps->map);
}

void producers_deinit(struct producers *ps)
{
    producers_clear(ps);
}

static int32_t sequence_add(int32_t s, int32_t n)
{
    return (int32_t)(((uint32_t)s + (uint32_t)n) & SEQUENCE_MASK);
}

static bool sequence_at_or_below(int32_t s, int32_t last)
{
    return (((uint32_t)last - (uint32_t)s) & SEQUENCE_MASK) < (SEQUENCE_MASK + 1) / 2;
}

static struct producer *find(const struct producers *ps, int64_t id)
{
    uint8_t key[8];

    store_be64(key, (uint64_t)id);
    return hashmap_get(&ps->map, bytes_of(key, sizeof key));
}

const struct producer *producers_get(const struct producers *ps, int64_t id)
{
    return find(ps, id);
}

static int out_of_order(const struct batch_header *h, const char *why, int64_t expected,
                        struct err *e)
{
    return err_set(e, LEAT_ESEQUENCE, "producer %lld: sequence %d %s %lld",
                   (long long)h->producer_id, h->base_sequence, why, (long long)expected);
}

static int check_unknown(const struct producers *ps, const struct batch_header *h, struct err *e)
{
    if (h->producer_id >= PRODUCER_ID_RESERVED && h->base_sequence != 0)
        return out_of_order(h, "of an unknown job producer; expected", 0, e);
    if (ps->map.n >= PRODUCERS_PER_PARTITION_MAX && h->producer_id < PRODUCER_ID_RESERVED)
        return err_set(e, LEAT_ELIMIT, "the partition knows %d producers; no more are taken",
                       PRODUCERS_PER_PARTITION_MAX);
    return PRODUCER_APPEND;
}

static int fork_found(const struct batch_header *h, const char *what, struct err *e)
{
    return err_set(e, LEAT_EFORK,
                   "producer %lld: sequence %d was appended before with other %s",
                   (long long)h->producer_id, h->base_sequence, what);
}

// A reserved id's batch that lies wholly at or below the last sequence.
static int check_old(const struct producer *p, const struct batch_header *h,
                     struct producer_batch *original, struct err *e)
{
    if (sequence_at_or_below(p->batches[0].base_sequence, h->base_sequence))
        return fork_found(h, "boundaries", e);
    *original = p->batches[p->n - 1];
    original->base_offset = -1;
    return PRODUCER_DUPLICATE;
}

static int check_known(const struct producer *p, const struct batch_header *h,
                       struct producer_batch *original, struct err *e)
{
    int32_t last = sequence_add(h->base_sequence, h->last_offset_delta);
    int32_t known = p->batches[p->n - 1].last_sequence;

    for (int i = 0; i < p->n; i++) {
        const struct producer_batch *b = &p->batches[i];
        if (b->base_sequence != h->base_sequence || b->last_sequence != last)
            continue;
        if (b->crc != h->crc)
            return fork_found(h, "content", e);
        *original = *b;
        return PRODUCER_DUPLICATE;
    }
    if (h->base_sequence == sequence_add(known, 1))
        return PRODUCER_APPEND;
    if (h->producer_id >= PRODUCER_ID_RESERVED && sequence_at_or_below(last, known) &&
        sequence_at_or_below(h->base_sequence, known))
        return check_old(p, h, original, e);
    return out_of_order(h, "is out of order; expected", sequence_add(known, 1), e);
}

int producers_check(const struct producers *ps, const struct batch_header *h,
                    struct producer_batch *original, struct err *e)
{
    const struct producer *p;

    if (h->producer_id < 0)
        return PRODUCER_APPEND;
    p = find(ps, h->producer_id);
    if (p == NULL)
        return check_unknown(ps, h, e);
    if (h->producer_epoch < p->epoch)
        return err_set(e, LEAT_EFENCED, "producer %lld: epoch %d is older than %d",
                       (long long)h->producer_id, h->producer_epoch, p->epoch);
    if (h->producer_epoch > p->epoch) {
        if (h->base_sequence != 0)
            return out_of_order(h, "of a new epoch; expected", 0, e);
        return PRODUCER_APPEND;
    }
    return check_known(p, h, original, e);
}

static struct producer *find_or_add(struct producers *ps, int64_t id)
{
    struct producer *p = find(ps, id);
    uint8_t key[8];

    if (p != NULL)
        return p;
    p = heap_zalloc(sizeof *p);
    p->id = id;
    p->epoch = -1;
    store_be64(key, (uint64_t)id);
    hashmap_put(&ps->map, bytes_of(key, sizeof key), p);
    return p;
}

void producers_note(struct producers *ps, const struct batch_header *h, int64_t base_offset,
                    int64_t now_ms)
{
    struct producer *p;

    if (h->producer_id < 0)
        return;
    p = find_or_add(ps, h->producer_id);
    if (h->producer_epoch != p->epoch) {
        p->epoch = h->producer_epoch;
        p->n = 0;
    }
    if (p->n == PRODUCER_BATCHES_KEPT) {
        memmove(p->batches, p->batches + 1, sizeof *p->batches * (PRODUCER_BATCHES_KEPT - 1));
        p->n--;
    }
    p->batches[p->n++] = (struct producer_batch){
        .base_sequence = h->base_sequence,
        .last_sequence = sequence_add(h->base_sequence, h->last_offset_delta),
        .base_offset = base_offset,
        .last_offset = base_offset + h->last_offset_delta,
        .crc = h->crc,
    };
    p->seen_ms = now_ms;
}

void producers_expire(struct producers *ps, int64_t before_ms)
{
    struct buf silent = BUF_EMPTY; // keys first: the map must not change inside its loop
    struct bytes key;
    void *value;

    for (size_t i = 0; hashmap_next(&ps->map, &i, &key, &value);) {
        const struct producer *p = value;
        if (p->id < PRODUCER_ID_RESERVED && p->seen_ms < before_ms)
            buf_append_be64(&silent, (uint64_t)p->id);
    }
    for (size_t at = 0; at < silent.n; at += 8)
        heap_free(hashmap_remove(&ps->map, bytes_of(silent.p + at, 8)));
    buf_deinit(&silent);
}

// --- snapshots ---

static void encode_batch(const struct producer_batch *b, struct buf *out)
{
    buf_append_be32(out, (uint32_t)b->base_sequence);
    buf_append_be32(out, (uint32_t)b->last_sequence);
    buf_append_be64(out, (uint64_t)b->base_offset);
    buf_append_be64(out, (uint64_t)b->last_offset);
    buf_append_be32(out, b->crc);
}

void producers_encode(const struct producers *ps, int64_t offset, struct buf *out)
{
    size_t head = out->n;
    struct bytes key;
    void *value;

    buf_append_be32(out, SNAPSHOT_MAGIC);
    buf_append_be32(out, SNAPSHOT_VERSION);
    buf_append_be64(out, (uint64_t)offset);
    buf_append_be32(out, (uint32_t)ps->map.n);
    for (size_t i = 0; hashmap_next(&ps->map, &i, &key, &value);) {
        const struct producer *p = value;
        buf_append_be64(out, (uint64_t)p->id);
        buf_append_be16(out, (uint16_t)p->epoch);
        buf_append_be64(out, (uint64_t)p->seen_ms);
        buf_append_byte(out, (uint8_t)p->n);
        for (int k = 0; k < p->n; k++)
            encode_batch(&p->batches[k], out);
    }
    buf_append_be32(out, crc32c(bytes_of(out->p + head, out->n - head)));
}

// The front of one producer; the bytes used, or 0 when they do not fit.
static size_t decode_producer(struct producers *ps, struct bytes b)
{
    struct producer *p;
    size_t n;

    if (b.n < SNAPSHOT_PRODUCER)
        return 0;
    n = b.p[18];
    if (n == 0 || n > PRODUCER_BATCHES_KEPT || b.n < SNAPSHOT_PRODUCER + n * SNAPSHOT_BATCH)
        return 0;
    p = find_or_add(ps, (int64_t)load_be64(b.p));
    p->epoch = (int16_t)load_be16(b.p + 8);
    p->seen_ms = (int64_t)load_be64(b.p + 10);
    p->n = (int)n;
    for (size_t i = 0; i < n; i++) {
        const uint8_t *at = b.p + SNAPSHOT_PRODUCER + i * SNAPSHOT_BATCH;
        p->batches[i] = (struct producer_batch){
            .base_sequence = (int32_t)load_be32(at),
            .last_sequence = (int32_t)load_be32(at + 4),
            .base_offset = (int64_t)load_be64(at + 8),
            .last_offset = (int64_t)load_be64(at + 16),
            .crc = load_be32(at + 24),
        };
    }
    return SNAPSHOT_PRODUCER + n * SNAPSHOT_BATCH;
}

int producers_decode(struct producers *ps, struct bytes b, int64_t offset, struct err *e)
{
    struct bytes rest;
    uint32_t n;

    if (b.n < SNAPSHOT_HEAD + 4 || load_be32(b.p) != SNAPSHOT_MAGIC ||
        load_be32(b.p + 4) != SNAPSHOT_VERSION || (int64_t)load_be64(b.p + 8) != offset ||
        crc32c(bytes_of(b.p, b.n - 4)) != load_be32(b.p + b.n - 4))
        return err_set(e, LEAT_ECORRUPT, "the producer snapshot at %lld is damaged",
                       (long long)offset);
    n = load_be32(b.p + 16);
    rest = bytes_of(b.p + SNAPSHOT_HEAD, b.n - SNAPSHOT_HEAD - 4);
    for (; n > 0; n--) {
        size_t used = decode_producer(ps, rest);
        if (used == 0)
            break;
        rest = bytes_of(rest.p + used, rest.n - used);
    }
    if (n == 0 && rest.n == 0)
        return 0;
    producers_clear(ps);
    producers_init(ps);
    return err_set(e, LEAT_ECORRUPT, "the producer snapshot at %lld is damaged", (long long)offset);
}
