// SPDX-License-Identifier: Apache-2.0
#include "tests/support/fake_store.h"

#include <stdio.h>

#include "runtime/base/failpoint.h"
#include "runtime/base/heap.h"
#include "runtime/base/limits.h"

static struct fake_store *self(struct store *s)
{
    return container_of(s, struct fake_store, store);
}

static int fault(struct fake_store *s, const char *name, struct err *e)
{
    if (s->fault_at < 0 || (s->fault_in != NULL && strcmp(s->fault_in, name) != 0))
        return 0;
    return s->fault_at-- == 0 ? err_set(e, s->fault_code, "fault in %s", name) : 0;
}

static void *dup_array(const void *p, size_t n, size_t size)
{
    void *q = heap_alloc(n * size + 1);

    if (n > 0)
        memcpy(q, p, n * size);
    return q;
}

static struct fake_contents contents_copy(const struct fake_contents *c)
{
    struct fake_contents d = *c;

    d.offsets = dup_array(c->offsets, c->n_offsets, sizeof *c->offsets);
    d.outbox = dup_array(c->outbox, c->n_outbox, sizeof *c->outbox);
    d.marks = dup_array(c->marks, c->n_marks, sizeof *c->marks);
    d.parked = dup_array(c->parked, c->n_parked, sizeof *c->parked);
    d.rows = dup_array(c->rows, c->n_rows, sizeof *c->rows);
    d.numbers = dup_array(c->numbers, c->n_numbers, sizeof *c->numbers);
    return d;
}

static void contents_free(struct fake_contents *c)
{
    heap_free(c->offsets);
    heap_free(c->outbox);
    heap_free(c->marks);
    heap_free(c->parked);
    heap_free(c->rows);
    heap_free(c->numbers);
    *c = (struct fake_contents){0};
}

#define APPEND(array, n)                                                                           \
    ((array) = heap_realloc((array), ((n) + 1) * sizeof *(array)), &(array)[(n)++])

// --- steps ---

static int store_begin(struct store *st, int64_t now, struct err *e)
{
    struct fake_store *s = self(st);
    int rc = fault(s, "begin", e);

    (void)now;
    ASSERT(!s->open);
    if (rc != 0)
        return rc;
    s->begun = contents_copy(&s->now);
    s->open = true;
    return 0;
}

static int store_savepoint(struct store *st, struct err *e)
{
    struct fake_store *s = self(st);
    int rc = fault(s, "savepoint", e);

    ASSERT(s->open && !s->savepoint);
    if (rc != 0)
        return rc;
    s->saved = contents_copy(&s->now);
    s->savepoint = true;
    s->savepoints++;
    return 0;
}

static int store_release(struct store *st, struct err *e)
{
    struct fake_store *s = self(st);

    (void)e;
    ASSERT(s->savepoint);
    contents_free(&s->saved);
    s->savepoint = false;
    return 0;
}

static int store_rollback(struct store *st, struct err *e)
{
    struct fake_store *s = self(st);

    (void)e;
    ASSERT(s->savepoint);
    contents_free(&s->now);
    s->now = s->saved;
    s->saved = (struct fake_contents){0};
    s->savepoint = false;
    return 0;
}

static void store_abort(struct store *st)
{
    struct fake_store *s = self(st);

    if (!s->open)
        return;
    if (s->savepoint)
        (void)store_release(st, NULL);
    contents_free(&s->now);
    s->now = s->begun;
    s->begun = (struct fake_contents){0};
    s->open = false;
}

static void put_offset(struct fake_store *s, const struct store_offset *o)
{
    for (size_t i = 0; i < s->now.n_offsets; i++) {
        struct store_offset *old = &s->now.offsets[i];
        if (old->partition == o->partition && strcmp(old->topic, o->topic) == 0) {
            const char *topic = old->topic;
            ASSERT(o->next >= old->next);
            ASSERT(o->watermark >= old->watermark);
            *old = *o;
            old->topic = topic;
            return;
        }
    }
    *APPEND(s->now.offsets, s->now.n_offsets) = *o;
    s->now.offsets[s->now.n_offsets - 1].topic = arena_strdup(&s->arena, o->topic);
}

static int store_commit(struct store *st, const struct store_commit *c, int64_t *id, struct err *e)
{
    struct fake_store *s = self(st);
    int rc = fault(s, "commit", e);

    ASSERT(s->open && !s->savepoint);
    if (rc != 0)
        return rc;
    for (size_t i = 0; i < c->n_offsets; i++)
        put_offset(s, &c->offsets[i]);
    *id = ++s->now.commits;
    contents_free(&s->begun);
    s->open = false;
    return 0;
}

static int store_offsets(struct store *st, int (*each)(void *arg, const struct store_offset *o),
                         void *arg, struct err *e)
{
    struct fake_store *s = self(st);
    int rc = fault(s, "offsets", e);

    for (size_t i = 0; i < s->now.n_offsets && rc == 0; i++)
        rc = each(arg, &s->now.offsets[i]);
    return rc;
}

// --- outbox ---

static struct fake_mark *mark_of(struct fake_store *s, struct uuid id, int32_t partition)
{
    for (size_t i = 0; i < s->now.n_marks; i++)
        if (s->now.marks[i].partition == partition && uuid_eq(s->now.marks[i].topic_id, id))
            return &s->now.marks[i];
    *APPEND(s->now.marks, s->now.n_marks) = (struct fake_mark){
        .topic_id = id, .partition = partition, .seq = -1, .batch_no = -1, .marked = -1};
    return &s->now.marks[s->now.n_marks - 1];
}

static struct bytes keep(struct fake_store *s, struct bytes b)
{
    return bytes_is_null(b) ? b : arena_copy(&s->arena, b);
}

static int store_outbox_add(struct store *st, struct outbox_row *r, struct err *e)
{
    struct fake_store *s = self(st);
    struct fake_mark *m;
    struct outbox_row *row;
    int rc = fault(s, "outbox_add", e);

    ASSERT(s->open);
    if (rc != 0)
        return rc;
    m = mark_of(s, r->topic_id, r->partition);
    r->id = ++s->now.next_outbox;
    r->seq = ++m->seq;
    ASSERT(r->batch_no == m->batch_no || r->batch_no == m->batch_no + 1);
    m->batch_no = r->batch_no;
    row = APPEND(s->now.outbox, s->now.n_outbox);
    *row = *r;
    row->topic = keep(s, r->topic);
    row->key = keep(s, r->key);
    row->value = keep(s, r->value);
    row->headers = keep(s, r->headers);
    row->cause = keep(s, r->cause);
    return 0;
}

static int store_outbox_last(struct store *st, struct uuid id, int32_t partition, int64_t *seq,
                             int64_t *batch_no, struct err *e)
{
    struct fake_mark *m = mark_of(self(st), id, partition);

    (void)e;
    *seq = m->seq;
    *batch_no = m->batch_no;
    return 0;
}

static int store_outbox_scan(struct store *st, int64_t after, int max,
                             int (*each)(void *arg, const struct outbox_row *r), void *arg,
                             struct err *e)
{
    struct fake_store *s = self(st);
    int rc = fault(s, "outbox_scan", e);

    ASSERT(!s->open);
    for (size_t i = 0; i < s->now.n_outbox && rc == 0 && max > 0; i++)
        if (s->now.outbox[i].id > after) {
            rc = each(arg, &s->now.outbox[i]);
            s->scanned++;
            max--;
        }
    return rc;
}

static int store_outbox_mark(struct store *st, struct uuid id, int32_t partition, int64_t seq,
                             struct err *e)
{
    struct fake_store *s = self(st);
    size_t n = 0;
    int rc = fault(s, "outbox_mark", e);

    if (failpoint("before_mark") != 0)
        return err_set(e, LEAT_ECANCELED, "failpoint before_mark");
    if (rc != 0)
        return rc;
    mark_of(s, id, partition)->marked = seq;
    for (size_t i = 0; i < s->now.n_outbox; i++) {
        const struct outbox_row *r = &s->now.outbox[i];
        if (r->partition != partition || !uuid_eq(r->topic_id, id) || r->seq > seq)
            s->now.outbox[n++] = *r;
    }
    s->now.n_outbox = n;
    return 0;
}

static int64_t store_outbox_waiting(struct store *st)
{
    return (int64_t)self(st)->now.n_outbox;
}

// --- parked ---

static void keep_row(struct fake_store *s, struct parked_row *r)
{
    r->entry = keep(s, r->entry);
    r->key = keep(s, r->key);
    r->message = keep(s, r->message);
    r->where = keep(s, r->where);
    r->topic = keep(s, r->topic);
    r->record_key = keep(s, r->record_key);
    r->value = keep(s, r->value);
    r->headers = keep(s, r->headers);
    r->edited = keep(s, r->edited);
    r->reason = keep(s, r->reason);
}

static int store_park_add(struct store *st, struct parked_row *r, struct err *e)
{
    struct fake_store *s = self(st);
    int rc = fault(s, "park_add", e);

    ASSERT(s->open && !s->savepoint);
    if (rc != 0)
        return rc;
    r->id = ++s->now.next_parked;
    *APPEND(s->now.parked, s->now.n_parked) = *r;
    keep_row(s, &s->now.parked[s->now.n_parked - 1]);
    return 0;
}

static void drop_parked(struct fake_store *s, int64_t id)
{
    size_t n = 0;

    for (size_t i = 0; i < s->now.n_parked; i++)
        if (s->now.parked[i].id != id)
            s->now.parked[n++] = s->now.parked[i];
    s->now.n_parked = n;
}

static int store_park_update(struct store *st, const struct parked_row *r, struct err *e)
{
    struct fake_store *s = self(st);
    int rc = fault(s, "park_update", e);

    if (rc == 0 && r->state == PARKED_SKIPPED) // nobody asks for it again
        drop_parked(s, r->id);
    for (size_t i = 0; i < s->now.n_parked && rc == 0; i++)
        if (s->now.parked[i].id == r->id) {
            s->now.parked[i] = *r;
            keep_row(s, &s->now.parked[i]);
        }
    return rc;
}

static int store_park_remove(struct store *st, int64_t id, struct err *e)
{
    struct fake_store *s = self(st);
    int rc = fault(s, "park_remove", e);

    drop_parked(s, id);
    return rc;
}

static int store_park_get(struct store *st, int64_t id, struct arena *a, struct parked_row *out,
                          struct err *e)
{
    struct fake_store *s = self(st);

    (void)a, (void)e;
    for (size_t i = 0; i < s->now.n_parked; i++)
        if (s->now.parked[i].id == id) {
            *out = s->now.parked[i];
            return 1;
        }
    return 0;
}

static int store_park_scan(struct store *st, const struct bytes *entry, const struct bytes *key,
                           int (*each)(void *arg, const struct parked_row *r), void *arg,
                           struct err *e)
{
    struct fake_store *s = self(st);
    int rc = fault(s, "park_scan", e);

    for (size_t i = 0; i < s->now.n_parked && rc == 0; i++) {
        const struct parked_row *r = &s->now.parked[i];
        if (entry == NULL || (bytes_eq(r->entry, *entry) && bytes_eq(r->key, *key)))
            rc = each(arg, r);
    }
    return rc;
}

static int store_park_keys(struct store *st, int (*each)(void *arg, const struct parked_row *r),
                           void *arg, struct err *e)
{
    return store_park_scan(st, NULL, NULL, each, arg, e);
}

static int store_park_due(struct store *st, struct arena *a, struct parked_row *out, struct err *e)
{
    struct fake_store *s = self(st);
    const struct parked_row *best = NULL;

    (void)a, (void)e;
    for (size_t i = 0; i < s->now.n_parked; i++) {
        const struct parked_row *r = &s->now.parked[i];
        if (r->state == PARKED_RETRY && (best == NULL || r->next_at < best->next_at))
            best = r;
    }
    if (best != NULL)
        *out = *best;
    return best != NULL;
}

static int64_t store_park_count(struct store *st)
{
    return (int64_t)self(st)->now.n_parked;
}

// --- the rest ---

static int store_late_add(struct store *st, const struct late_row *r, struct err *e)
{
    (void)r, (void)e;
    self(st)->now.late++;
    return 0;
}

static struct fake_counter *counter(struct fake_counter **all, size_t *n, const char *name)
{
    for (size_t i = 0; i < *n; i++)
        if (strcmp((*all)[i].name, name) == 0)
            return &(*all)[i];
    (void)APPEND(*all, *n);
    (*all)[*n - 1] = (struct fake_counter){0};
    snprintf((*all)[*n - 1].name, sizeof(*all)[0].name, "%s", name);
    return &(*all)[*n - 1];
}

static int store_number_get(struct store *st, const char *name, int64_t *v, struct err *e)
{
    struct fake_store *s = self(st);

    (void)e;
    for (size_t i = 0; i < s->now.n_numbers; i++)
        if (strcmp(s->now.numbers[i].name, name) == 0) {
            *v = s->now.numbers[i].value;
            return 1;
        }
    return 0;
}

static int store_number_put(struct store *st, const char *name, int64_t v, struct err *e)
{
    struct fake_store *s = self(st);
    int rc = fault(s, "number_put", e);

    ASSERT(s->open);
    if (rc == 0)
        counter(&s->now.numbers, &s->now.n_numbers, name)->value = v;
    return rc;
}

static int store_number_drop(struct store *st, const char *name, struct err *e)
{
    struct fake_store *s = self(st);
    size_t n = 0;
    int rc = fault(s, "number_drop", e);

    for (size_t i = 0; i < s->now.n_numbers && rc == 0; i++)
        if (strcmp(s->now.numbers[i].name, name) != 0)
            s->now.numbers[n++] = s->now.numbers[i];
    s->now.n_numbers = rc == 0 ? n : s->now.n_numbers;
    return rc;
}

void fake_store_add(struct fake_store *s, const char *name, int64_t delta)
{
    ASSERT(s->open && s->savepoint); // or a failing record could not take it back
    counter(&s->now.rows, &s->now.n_rows, name)->value += delta;
}

int64_t fake_store_row(const struct fake_store *s, const char *name)
{
    for (size_t i = 0; i < s->now.n_rows; i++)
        if (strcmp(s->now.rows[i].name, name) == 0)
            return s->now.rows[i].value;
    return 0;
}

int64_t fake_store_number(const struct fake_store *s, const char *name)
{
    for (size_t i = 0; i < s->now.n_numbers; i++)
        if (strcmp(s->now.numbers[i].name, name) == 0)
            return s->now.numbers[i].value;
    return 0;
}

static const struct store_ops fake_ops = {
    .begin = store_begin,
    .savepoint = store_savepoint,
    .release = store_release,
    .rollback_to = store_rollback,
    .commit = store_commit,
    .abort = store_abort,
    .offsets = store_offsets,
    .outbox_add = store_outbox_add,
    .outbox_last = store_outbox_last,
    .outbox_scan = store_outbox_scan,
    .outbox_mark = store_outbox_mark,
    .outbox_waiting = store_outbox_waiting,
    .park_add = store_park_add,
    .park_update = store_park_update,
    .park_remove = store_park_remove,
    .park_get = store_park_get,
    .park_scan = store_park_scan,
    .park_keys = store_park_keys,
    .park_due = store_park_due,
    .park_count = store_park_count,
    .late_add = store_late_add,
    .number_get = store_number_get,
    .number_put = store_number_put,
    .number_drop = store_number_drop,
};

void fake_store_init(struct fake_store *s)
{
    *s = (struct fake_store){.fault_at = -1};
    s->store.ops = &fake_ops;
    s->store.producer_id = PRODUCER_ID_RESERVED;
    arena_init(&s->arena);
}

void fake_store_deinit(struct fake_store *s)
{
    store_abort(&s->store);
    contents_free(&s->now);
    arena_deinit(&s->arena);
}
