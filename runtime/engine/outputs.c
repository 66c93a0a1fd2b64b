// SPDX-License-Identifier: Apache-2.0
//
// What a step wants to publish.
//
// Rows collect in memory, so that a record that fails takes its outputs back by moving two lengths,
// and an aborted step by moving them to zero. At the end of the step each row gets what will never
// change again: its partition (murmur2 of the key, as Kafka's own clients do; rows without a key
// stay with the partition they came from, which keeps their order) and its batch. The log finds
// duplicates by whole batches, so the boundaries are fixed here, in the step's transaction, and not
// by whoever sends them: rows of one step and one output partition share a batch up to 1000 rows or
// 256 KiB.
//
// After the commit the rows stay until the next step begins: the relay, which sends what is in the
// store, need not read them back from there.
#include "runtime/engine/outputs.h"

#include "runtime/base/heap.h"
#include "runtime/base/limits.h"
#include "runtime/base/number.h"
#include "runtime/base/varint.h"

enum {
    BATCH_ROWS_MAX = 1000,
    BATCH_BYTES_GOAL = 256 * 1024,
    ROW_BYTES_MAX = BATCH_BYTES_MAX - 512, // a batch of one row must fit
};

static void add_dest(struct outputs *o, const char *topic)
{
    if (topic == NULL || outputs_dest(o, topic) >= 0)
        return;
    o->dests = heap_realloc(o->dests, ((size_t)o->n_dests + 1) * sizeof *o->dests);
    o->dests[o->n_dests++] = (struct output_dest){.topic = topic};
}

void outputs_init(struct outputs *o, const struct plan *p)
{
    *o = (struct outputs){0};
    for (int i = 0; i < p->n_nodes; i++)
        if (p->nodes[i].kind == NODE_TO)
            add_dest(o, p->nodes[i].to.topic);
    add_dest(o, p->errors.dead);
}

void outputs_deinit(struct outputs *o)
{
    for (int i = 0; i < o->n_dests; i++)
        heap_free(o->dests[i].slots);
    heap_free(o->dests);
    heap_free(o->rows);
    buf_deinit(&o->bytes);
}

int outputs_dest(const struct outputs *o, const char *topic)
{
    for (int i = 0; i < o->n_dests; i++)
        if (strcmp(o->dests[i].topic, topic) == 0)
            return i;
    return -1;
}

int outputs_open(struct outputs *o, struct publisher *p, struct err *e)
{
    for (int i = 0; i < o->n_dests; i++) {
        struct output_dest *d = &o->dests[i];
        struct publisher_topic t;
        int rc;

        if (d->slots != NULL)
            continue;
        rc = p->ops->topic(p, d->topic, &t, e);
        if (rc != 0)
            return err_wrap(e, rc, "output topic %s", d->topic);
        ASSERT(t.n_partitions > 0);
        d->id = t.id;
        d->n_partitions = t.n_partitions;
        d->slots = heap_zalloc((size_t)t.n_partitions * sizeof *d->slots);
    }
    return 0;
}

void outputs_encode_headers(struct buf *b, const struct header *headers, size_t n)
{
    uint8_t tmp[VARINT32_MAX];

    for (size_t i = 0; i < n; i++) {
        const struct header *h = &headers[i];
        buf_append(b, tmp, varint_put_z32(tmp, (int32_t)h->name.n));
        buf_append_bytes(b, h->name);
        buf_append(b, tmp, varint_put_z32(tmp, bytes_is_null(h->value) ? -1 : (int32_t)h->value.n));
        buf_append_bytes(b, h->value);
    }
}

static int check_size(const struct outputs *o, const struct output_new *row, struct err *e)
{
    size_t n = row->key.n + row->value.n;

    for (size_t i = 0; i < row->n_headers; i++)
        n += row->headers[i].name.n + row->headers[i].value.n + 2 * VARINT32_MAX;
    if (n > ROW_BYTES_MAX || row->n_headers > RECORD_HEADERS_MAX)
        return err_set(e, LEAT_EBUDGET, "output to %s of %zu bytes: at most %d fit into a batch",
                       o->dests[row->dest].topic, n, ROW_BYTES_MAX);
    return 0;
}

static struct output_row *new_row(struct outputs *o)
{
    if (o->n == o->cap) {
        o->cap = o->cap ? o->cap * 2 : 64;
        o->rows = heap_realloc(o->rows, o->cap * sizeof *o->rows);
    }
    return &o->rows[o->n++];
}

// topic:partition@offset, once per output: printf would take longer than the row's other parts.
static void append_cause(struct buf *b, const struct output_new *row)
{
    char digits[NUMBER_TEXT_SIZE];

    buf_append_bytes(b, row->topic);
    buf_append_byte(b, ':');
    buf_append(b, digits, number_format_int(row->partition, digits));
    buf_append_byte(b, '@');
    buf_append(b, digits, number_format_int(row->offset, digits));
}

int outputs_add(struct outputs *o, const struct output_new *row, struct err *e)
{
    struct output_row *r;
    size_t pos;
    int rc = check_size(o, row, e);

    if (rc != 0)
        return rc;
    ASSERT(!o->committed);
    r = new_row(o);
    *r = (struct output_row){
        .dest = row->dest,
        .null_key = bytes_is_null(row->key),
        .null_value = bytes_is_null(row->value),
        .n_headers = (int32_t)row->n_headers,
        .partition_hint = (uint32_t)row->partition,
        .time = row->time,
        .pos = o->bytes.n,
        .key_n = (uint32_t)row->key.n,
        .value_n = row->value.n,
    };
    buf_append_bytes(&o->bytes, row->key);
    buf_append_bytes(&o->bytes, row->value);
    pos = o->bytes.n;
    outputs_encode_headers(&o->bytes, row->headers, row->n_headers);
    r->headers_n = (uint32_t)(o->bytes.n - pos);
    pos = o->bytes.n;
    append_cause(&o->bytes, row);
    r->cause_n = (uint32_t)(o->bytes.n - pos);
    return 0;
}

struct outputs_mark outputs_mark(const struct outputs *o)
{
    return (struct outputs_mark){o->n, o->bytes.n};
}

void outputs_undo(struct outputs *o, struct outputs_mark m)
{
    ASSERT(m.n <= o->n && m.bytes <= o->bytes.n);
    o->n = m.n;
    o->bytes.n = m.bytes;
}

static int slot_load(struct output_dest *d, int32_t partition, struct store *s, struct err *e)
{
    struct output_slot *slot = &d->slots[partition];
    int64_t seq;
    int rc;

    if (slot->known)
        return 0;
    rc = s->ops->outbox_last(s, d->id, partition, &seq, &slot->batch_no, e);
    slot->known = rc == 0;
    slot->rows = 0;
    return rc;
}

static int64_t batch_for(struct output_slot *slot, int64_t bytes)
{
    if (slot->rows == 0 || slot->rows >= BATCH_ROWS_MAX || slot->bytes + bytes > BATCH_BYTES_GOAL) {
        slot->batch_no++;
        slot->rows = 0;
        slot->bytes = 0;
    }
    slot->rows++;
    slot->bytes += bytes;
    return slot->batch_no;
}

// Without what is fixed when it is written.
static struct outbox_row row_of(const struct outputs *o, const struct output_row *r)
{
    const struct output_dest *d = &o->dests[r->dest];
    const uint8_t *key = o->bytes.p + r->pos, *value = key + r->key_n, *more = value + r->value_n;

    return (struct outbox_row){.topic = bytes_str(d->topic),
                               .topic_id = d->id,
                               .key = r->null_key ? BYTES_NULL : bytes_of(key, r->key_n),
                               .value = r->null_value ? BYTES_NULL : bytes_of(value, r->value_n),
                               .headers = bytes_of(more, r->headers_n),
                               .n_headers = r->n_headers,
                               .time = r->time,
                               .cause = bytes_of(more + r->headers_n, r->cause_n)};
}

static int write_row(struct outputs *o, struct output_row *r, struct store *s, struct err *e)
{
    struct output_dest *d = &o->dests[r->dest];
    struct outbox_row row = row_of(o, r);
    int rc;

    row.partition =
        r->null_key ? (int32_t)(r->partition_hint % (uint32_t)d->n_partitions)
                    : (int32_t)((bytes_murmur2(row.key) & 0x7fffffffu) % (uint32_t)d->n_partitions);
    rc = slot_load(d, row.partition, s, e);
    if (rc != 0)
        return rc;
    row.batch_no =
        batch_for(&d->slots[row.partition], (int64_t)(r->key_n + r->value_n + r->headers_n) + 32);
    rc = s->ops->outbox_add(s, &row, e);
    if (rc != 0)
        return rc;
    r->partition = row.partition;
    r->seq = row.seq;
    r->batch_no = row.batch_no;
    if (r == o->rows)
        o->first_id = row.id;
    ASSERT(row.id == o->first_id + (r - o->rows));
    return 0;
}

int outputs_write(struct outputs *o, struct store *s, struct err *e)
{
    for (size_t i = 0; i < o->n; i++) {
        int rc = write_row(o, &o->rows[i], s, e);
        if (rc != 0)
            return rc;
    }
    return 0;
}

bool outputs_hold(const struct outputs *o, int64_t after)
{
    return o->committed && o->n > 0 && after >= o->first_id - 1;
}

int outputs_scan(const struct outputs *o, int64_t after, int max,
                 int (*each)(void *arg, const struct outbox_row *r), void *arg)
{
    size_t from = (size_t)(after + 1 - o->first_id);

    for (size_t i = from; i < o->n && i - from < (size_t)max; i++) {
        const struct output_row *r = &o->rows[i];
        struct outbox_row row = row_of(o, r);
        int rc;

        row.id = o->first_id + (int64_t)i;
        row.partition = r->partition;
        row.seq = r->seq;
        row.batch_no = r->batch_no;
        rc = each(arg, &row);
        if (rc != 0)
            return rc;
    }
    return 0;
}

static void empty(struct outputs *o)
{
    o->n = 0;
    o->bytes.n = 0;
    o->committed = false;
}

// The next step starts batches of its own.
static void end_batches(struct outputs *o, bool forget)
{
    for (int i = 0; i < o->n_dests; i++)
        for (int32_t k = 0; o->dests[i].slots != NULL && k < o->dests[i].n_partitions; k++) {
            o->dests[i].slots[k].rows = 0;
            if (forget)
                o->dests[i].slots[k].known = false;
        }
}

void outputs_begin(struct outputs *o)
{
    empty(o);
}

void outputs_committed(struct outputs *o)
{
    o->committed = true;
    end_batches(o, false);
}

void outputs_aborted(struct outputs *o)
{
    empty(o);
    end_batches(o, true);
}
