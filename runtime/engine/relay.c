// SPDX-License-Identifier: Apache-2.0
//
// Publishes outbox rows of committed steps, each once.
//
//   store --scan--> batches in memory --append--> in the log --durable--> marked in the store
//                   (rows of one batch_no)        (n_sent)                (rows deleted)
//
// Why once: a row's partition, sequence and batch were fixed in its step, and the bytes of a batch
// are a function of its rows: uncompressed, timestamps from the rows. So whatever is sent again
// after a crash is the same batch under the same sequence, and the log answers with the original's
// place. Why not less: rows leave the store only when the log calls them durable. A mark is
// therefore a hint about work done; forgetting one costs a repeat, never a record.
//
//   refused (no space, busy)    this destination waits and tries again, the others go on
//   topic gone                  the same, visibly: a person has to decide
//   other content (EFORK)       the job stops: two histories share one identity
//   too many rows behind        a stuck destination keeps at most RELAY_BATCHES_MAX unsent; the
//                               rest is scanned again when there is room
//
// A turn sends what the last step left, so that with the next step its rows can leave the store all
// together, before new ones come: then they are dropped as a whole, and the new ones take the place
// of the old in the file.
//
// Order holds per output partition, by sending one batch behind the other and stopping at the first
// that is refused.
#include "runtime/engine/relay.h"

#include <stdio.h>

#include "runtime/base/failpoint.h"
#include "runtime/base/heap.h"

enum { SCAN_ROWS = 4096, SCAN_SKIP = 1, RETRY_FIRST_MS = 100, RETRY_MAX_MS = 10 * 1000 };
enum { TURN_SCANS = 64 }; // then the job is asked what else there is

// --- decisions ---

enum relay_do relay_next(const struct relay_dest *d, int64_t now)
{
    if (d->n_sent < d->n)
        return now < d->retry_at ? (d->n_sent > 0 ? RELAY_ASK : RELAY_WAIT) : RELAY_APPEND;
    return d->n_sent > 0 ? RELAY_ASK : RELAY_NOTHING;
}

void relay_appended(struct relay_dest *d, int rc, int64_t end, int64_t now)
{
    ASSERT(d->n_sent < d->n);
    if (rc == 0) {
        struct relay_batch *b = &d->batches[d->n_sent++];
        heap_free((void *)(uintptr_t)b->bytes.p);
        b->bytes = BYTES_NULL;
        b->end = end;
        d->retry_at = d->wait_ms = 0;
        d->why[0] = 0;
        return;
    }
    d->wait_ms = d->wait_ms == 0 ? RETRY_FIRST_MS : d->wait_ms * 2;
    if (d->wait_ms > RETRY_MAX_MS)
        d->wait_ms = RETRY_MAX_MS;
    d->retry_at = now + d->wait_ms;
}

void relay_durable(struct relay_dest *d, int64_t offset)
{
    int done = 0;

    while (done < d->n_sent && d->batches[done].end <= offset) {
        if (d->batches[done].last_seq > d->durable) // always, but for the negative control
            d->durable = d->batches[done].last_seq;
        done++;
    }
    if (done == 0)
        return;
    d->n -= done;
    d->n_sent -= done;
    memmove(d->batches, d->batches + done, (size_t)d->n * sizeof d->batches[0]);
}

// --- rows to batches ---

void relay_init(struct relay *r, struct store *s, struct publisher *p, const struct outputs *out)
{
    *r = (struct relay){.store = s, .publisher = p, .fresh = out, .unscanned = true};
}

void relay_deinit(struct relay *r)
{
    for (int i = 0; i < r->n_dests; i++) {
        struct relay_dest *d = r->dests[i];
        for (int k = 0; k < d->n; k++)
            heap_free((void *)(uintptr_t)d->batches[k].bytes.p);
        heap_free(d->batches);
        batch_builder_deinit(&d->open);
        heap_free(d->topic);
        heap_free(d);
    }
    heap_free(r->dests);
    *r = (struct relay){0};
}

void relay_committed(struct relay *r)
{
    r->unscanned = true;
}

static struct relay_dest *dest_of(struct relay *r, const struct outbox_row *row)
{
    struct relay_dest *d;

    for (int i = 0; i < r->n_dests; i++)
        if (r->dests[i]->partition == row->partition && uuid_eq(r->dests[i]->id, row->topic_id))
            return r->dests[i];
    r->dests = heap_realloc(r->dests, ((size_t)r->n_dests + 1) * sizeof *r->dests);
    d = heap_zalloc(sizeof *d);
    d->topic = heap_strndup((const char *)row->topic.p, row->topic.n);
    d->id = row->topic_id;
    d->partition = row->partition;
    d->durable = d->marked = -1;
    batch_builder_init(&d->open);
    r->dests[r->n_dests++] = d;
    return d;
}

static struct relay_batch *new_batch(struct relay_dest *d)
{
    if (d->n == d->cap) {
        d->cap = d->cap ? 2 * d->cap : RELAY_BATCHES_MAX;
        d->batches = heap_realloc(d->batches, (size_t)d->cap * sizeof *d->batches);
    }
    return &d->batches[d->n++];
}

static bool has_room(const struct relay_dest *d)
{
    return d->n - d->n_sent < RELAY_BATCHES_MAX;
}

// All rows of the batch are here: make its bytes.
static int close_batch(struct relay *r, struct relay_dest *d, struct err *e)
{
    struct bytes bytes;
    uint8_t *copy;
    int rc;

    if (d->open_rows == 0)
        return 0;
    ASSERT(has_room(d));
    batch_builder_producer(&d->open, r->store->producer_id, 0,
                           (int32_t)(d->open_first & INT32_MAX));
    rc = batch_builder_finish(&d->open, CODEC_NONE, &bytes, e);
    if (rc != 0)
        return rc;
    copy = heap_alloc(bytes.n);
    memcpy(copy, bytes.p, bytes.n);
    *new_batch(d) = (struct relay_batch){.bytes = bytes_of(copy, bytes.n),
                                         .batch_no = d->open_no,
                                         .first_seq = d->open_first,
                                         .last_seq = d->open_last,
                                         .end = -1};
    d->open_rows = 0;
    batch_builder_reset(&d->open);
    if (fail_switch("mark_early"))
        d->durable = d->open_last; // negative control: believes before it was told
    return 0;
}

struct scan {
    struct relay *relay;
    struct err *err;
    int rows;
};

// There are two kinds of scans in one: forward over new rows, for all destinations, and again over
// known ones, for those that had no room. The latter ends when nobody is left who has any: reading
// on to the end each time would take the square of what waits.
static void fall_behind(struct relay *r, struct relay_dest *d)
{
    d->behind = true;
    r->n_catching_up -= d->catching_up;
    d->catching_up = false;
}

static void all_caught_up(struct relay *r)
{
    for (int i = 0; i < r->n_dests; i++)
        r->dests[i]->catching_up = false;
    r->n_catching_up = 0;
}

// SCAN_SKIP when the rest of the known rows is nobody's.
static int caught_up(const struct relay *r)
{
    return r->seen < r->seen_last && r->n_catching_up == 0 ? SCAN_SKIP : 0;
}

static int scan_row(void *arg, const struct outbox_row *row)
{
    struct scan *s = arg;
    struct relay *r = s->relay;
    struct relay_dest *d = dest_of(r, row);
    int rc = 0;

    s->rows++;
    if (row->id > r->seen)
        r->seen = row->id;
    if (row->id <= d->cursor || d->behind)
        return caught_up(r);
    if (d->open_rows > 0 && d->open_no != row->batch_no)
        rc = close_batch(r, d, s->err);
    if (rc != 0)
        return rc;
    if (d->open_rows == 0 && !has_room(d)) {
        fall_behind(r, d);
        return caught_up(r);
    }
    if (d->open_rows == 0) {
        d->open_no = row->batch_no;
        d->open_first = row->seq;
    } else if (row->seq != d->open_last + 1) {
        return err_set(
            s->err, LEAT_ECORRUPT, "outbox: %s/%d: row %lld has sequence %lld after %lld", d->topic,
            d->partition, (long long)row->id, (long long)row->seq, (long long)d->open_last);
    }
    batch_builder_add_raw(&d->open, row->time, row->key, row->value, row->headers, row->n_headers);
    d->open_rows++;
    d->open_last = row->seq;
    d->cursor = row->id;
    return 0;
}

static int64_t scan_start(struct relay *r)
{
    int64_t after = r->seen;

    for (int i = 0; i < r->n_dests; i++) {
        struct relay_dest *d = r->dests[i];
        if (d->behind && d->n - d->n_sent <= RELAY_BATCHES_MAX / 2) {
            d->behind = false;
            d->catching_up = true;
            r->n_catching_up++;
            after = d->cursor < after ? d->cursor : after;
            r->unscanned = true;
        }
    }
    r->seen = after; // going back is harmless: each destination knows what it has
    return after;
}

static int scan(struct relay *r, struct err *e)
{
    struct scan s = {.relay = r, .err = e};
    int64_t after = scan_start(r);
    int rc;

    if (!r->unscanned)
        return 0;
    if (outputs_hold(r->fresh, after))
        rc = outputs_scan(r->fresh, after, SCAN_ROWS, scan_row, &s);
    else
        rc = r->store->ops->outbox_scan(r->store, after, SCAN_ROWS, scan_row, &s, e);
    if (rc == SCAN_SKIP) {
        r->seen = r->seen_last;
        return 0;
    }
    if (rc != 0)
        return rc;
    if (s.rows < SCAN_ROWS || r->seen >= r->seen_last)
        all_caught_up(r);
    if (r->seen > r->seen_last)
        r->seen_last = r->seen;
    if (s.rows == SCAN_ROWS)
        return 0; // a batch may go on behind these
    r->unscanned = false;
    for (int i = 0; i < r->n_dests && rc == 0; i++)
        rc = close_batch(r, r->dests[i], e);
    return rc;
}

// --- sending ---

static int append(struct relay *r, struct relay_dest *d, int64_t now, struct err *e)
{
    const struct relay_batch *b = &d->batches[d->n_sent];
    struct err why = {0};
    int64_t end = -1;
    int rc = r->publisher->ops->append(r->publisher, d->topic, d->id, d->partition, b->bytes, &end,
                                       &why);

    if (rc == LEAT_EFORK)
        return err_set(e, LEAT_ESTOPPED,
                       "output %s/%d holds other records under this job's sequence %lld: the job "
                       "file or the log was restored or copied. %s",
                       d->topic, d->partition, (long long)b->first_seq, why.text);
    if (rc == LEAT_ESEQUENCE)
        return err_set(e, LEAT_ESTOPPED,
                       "output %s/%d does not continue at sequence %lld: was the log restored from "
                       "a backup? %s",
                       d->topic, d->partition, (long long)b->first_seq, why.text);
    relay_appended(d, rc, end, now);
    if (rc != 0)
        snprintf(d->why, sizeof d->why, "%.150s", why.text[0] ? why.text : err_name(rc));
    else if (failpoint("after_publish") != 0)
        return err_set(e, LEAT_ESTOPPED, "failpoint after_publish");
    return 0;
}

static int ask(struct relay *r, struct relay_dest *d, bool *moved)
{
    struct err why = {0};
    int64_t offset;
    int before = d->n;
    int rc = r->publisher->ops->durable(r->publisher, d->topic, d->id, d->partition, &offset, &why);

    if (rc != 0) {
        snprintf(d->why, sizeof d->why, "%.150s", why.text[0] ? why.text : err_name(rc));
        return rc;
    }
    relay_durable(d, offset);
    *moved = *moved || d->n != before;
    return 0;
}

static int turn_dest(struct relay *r, struct relay_dest *d, int64_t now, bool *moved, struct err *e)
{
    while (relay_next(d, now) == RELAY_APPEND) {
        int sent = d->n_sent;
        int rc = append(r, d, now, e);
        if (rc != 0)
            return rc;
        *moved = *moved || d->n_sent != sent;
    }
    if (d->n_sent > 0)
        (void)ask(r, d, moved); // an unreachable log is asked again next turn
    return 0;
}

int relay_turn(struct relay *r, int64_t now, bool *moved, struct err *e)
{
    int rc, scans = 0;

    do {
        rc = scan(r, e);
        for (int i = 0; i < r->n_dests && rc == 0; i++)
            rc = turn_dest(r, r->dests[i], now, moved, e);
    } while (rc == 0 && r->unscanned && ++scans < TURN_SCANS);
    if (r->unscanned)
        *moved = true;
    return rc;
}

bool relay_has_marks(const struct relay *r)
{
    for (int i = 0; i < r->n_dests; i++)
        if (r->dests[i]->durable > r->dests[i]->marked)
            return true;
    return false;
}

int relay_mark(struct relay *r, struct err *e)
{
    for (int i = 0; i < r->n_dests; i++) {
        struct relay_dest *d = r->dests[i];
        bool moved = false; // nobody asks
        int rc;

        if (d->n_sent > 0)
            (void)ask(r, d, &moved);
        if (d->durable <= d->marked)
            continue;
        rc = r->store->ops->outbox_mark(r->store, d->id, d->partition, d->durable, e);
        if (rc != 0)
            return rc;
    }
    return 0;
}

void relay_marked(struct relay *r)
{
    for (int i = 0; i < r->n_dests; i++)
        r->dests[i]->marked = r->dests[i]->durable;
}

int64_t relay_wake(const struct relay *r, int64_t now)
{
    int64_t at = INT64_MAX;

    for (int i = 0; i < r->n_dests; i++) {
        const struct relay_dest *d = r->dests[i];
        int64_t t = d->n_sent > 0 ? now + 5 : d->n > 0 ? d->retry_at : INT64_MAX;
        at = t < at ? t : at;
    }
    return at;
}

const struct relay_dest *relay_stuck(const struct relay *r)
{
    for (int i = 0; i < r->n_dests; i++)
        if (r->dests[i]->why[0] != 0)
            return r->dests[i];
    return NULL;
}
