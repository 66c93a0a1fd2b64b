// SPDX-License-Identifier: Apache-2.0
//
// Look-back windows: each reading comes out once, with what the readings of its key from `last`
// before it up to itself give ([t - last, t], both ends in). Its own fields stay; an aggregate of
// the same name takes a field's place.
//
//   record     is kept, with the functions' arguments. What the watermark has reached already comes
//              out at once
//   watermark  readings with t + grace <= W come out by (time, key bytes, arrival); readings that
//              no later one can look back to are dropped
//   flush      rows of dropped readings are deleted, new and newly emitted ones written
//   abort      everything is forgotten and found again in state
//
// A reading sees those of its own time that are there when it comes out, also later arrivals (as
// SQL's RANGE does). One that comes after the watermark has passed it (t + grace < W) is late: it
// goes to OUT_LATE and comes out no more, but later readings that look back that far count it.
//
// Every reading of the last while is in memory and in a state row; a reading costs a few steps for
// each one that it looks back to. A value changes hands as it came; what an operator built travels
// as MessagePack that keeps decimals.
//
// The row: key (time, parts..., arrival number); blob: version u8 = 4, emitted u8, then the key's
// parts as they came, the value (MISSING once emitted), the arguments.
#include "operators/groupkey.h"
#include "operators/operators.h"
#include "operators/pack.h"
#include "operators/results.h"
#include "operators/window.h"
#include "runtime/base/hashmap.h"
#include "runtime/base/heap.h"

#include <stdlib.h>

#define BLOB_VERSION 4

enum reading_flag {
    READING_EMITTED = 1,
    READING_STORED = 2, // has a row
    READING_DIRTY = 4,  // differs from it
    READING_GONE = 8,   // dropped, or its record failed
    READING_LISTED = 16,
};

struct last_key {
    struct bytes key;      // group_key_encode'd
    struct reading **list; // by time, then arrival
    size_t n, cap;
    size_t refs; // readings in memory
};

struct reading {
    struct last_key *key;
    int64_t time, arrival;
    uint32_t flags;
    struct value *values; // parts, the value, the arguments; they borrow from the bytes behind
};

struct wait {
    int64_t at; // when it comes out; once emitted: when it is dropped
    struct reading *r;
};

struct last {
    struct operator op;
    const struct plan_window *window;
    struct results r;
    bool stale; // the memory is void: read it again
    int64_t next_arrival;
    struct hashmap keys;
    struct wait *heap;
    size_t n_heap, cap_heap;
    struct reading **changed; // of this step
    size_t n_changed, cap_changed;
    uint64_t *acc; // scratch
};

// --- memory ---

static int n_values(const struct last *x)
{
    return x->r.n_key + 1 + x->r.f.n_args;
}

static struct value *value_of(const struct last *x, const struct reading *r)
{
    return &r->values[x->r.n_key];
}

static struct value *args_of(const struct last *x, const struct reading *r)
{
    return &r->values[x->r.n_key + 1];
}

static void reading_push(struct reading ***list, size_t *n, size_t *cap, struct reading *r)
{
    if (*n == *cap) {
        *cap = *cap > 0 ? *cap * 2 : 8;
        *list = heap_realloc(*list, *cap * sizeof(struct reading *));
    }
    (*list)[(*n)++] = r;
}

// Keeps the packed values; LEAT_ECORRUPT when they are not that.
static int reading_new(struct last *x, struct bytes packed, struct reading **out)
{
    size_t values = (size_t)n_values(x) * sizeof(struct value);
    struct reading *r = heap_zalloc(sizeof(*r) + values + packed.n);
    struct bytes in = bytes_of((uint8_t *)(r + 1) + values, packed.n);
    int rc = 0;

    memcpy((uint8_t *)(r + 1) + values, packed.p, packed.n);
    r->values = (struct value *)(void *)(r + 1);
    for (int i = 0; i < n_values(x) && rc == 0; i++)
        rc = unpack_value(&in, &r->values[i]);
    if (rc == 0 && in.n > 0)
        rc = LEAT_ECORRUPT;
    if (rc < 0)
        heap_free(r);
    *out = rc < 0 ? NULL : r;
    return rc;
}

static struct last_key *key_of(struct last *x, struct bytes key)
{
    struct last_key *k = hashmap_get(&x->keys, key);

    if (k != NULL)
        return k;
    k = heap_zalloc(sizeof(*k) + key.n);
    memcpy(k + 1, key.p, key.n);
    k->key = bytes_of(k + 1, key.n);
    hashmap_put(&x->keys, k->key, k);
    return k;
}

static void reading_free(struct last *x, struct reading *r)
{
    struct last_key *k = r->key;

    heap_free(r);
    if (--k->refs > 0)
        return;
    hashmap_remove(&x->keys, k->key);
    heap_free(k->list);
    heap_free(k);
}

static void list_add(struct reading *r, struct last_key *k)
{
    size_t i;

    reading_push(&k->list, &k->n, &k->cap, r);
    for (i = k->n - 1; i > 0 && k->list[i - 1]->time > r->time; i--)
        k->list[i] = k->list[i - 1];
    k->list[i] = r;
    r->key = k;
    k->refs++;
}

static void list_remove(struct reading *r)
{
    struct last_key *k = r->key;
    size_t i = 0;

    while (k->list[i] != r)
        i++;
    memmove(k->list + i, k->list + i + 1, (k->n - i - 1) * sizeof(struct reading *));
    k->n--;
    r->flags |= READING_GONE;
}

// --- the heap: by time, then key bytes, then arrival ---

static bool earlier(const struct wait *a, const struct wait *b)
{
    int cmp;

    if (a->at != b->at)
        return a->at < b->at;
    cmp = bytes_cmp(a->r->key->key, b->r->key->key);
    return cmp != 0 ? cmp < 0 : a->r->arrival < b->r->arrival;
}

static void sift_down(struct last *x)
{
    for (size_t i = 0;;) {
        size_t least = i;
        struct wait w = x->heap[i];

        for (size_t c = 2 * i + 1; c < 2 * i + 3 && c < x->n_heap; c++)
            if (earlier(&x->heap[c], &x->heap[least]))
                least = c;
        if (least == i)
            return;
        x->heap[i] = x->heap[least];
        x->heap[least] = w;
        i = least;
    }
}

static int64_t wait_until(const struct last *x, const struct reading *r)
{
    int64_t out = r->time + x->window->grace_ms;

    return r->flags & READING_EMITTED ? out + x->window->size_ms + 1 : out;
}

static void heap_push(struct last *x, struct reading *r)
{
    size_t i = x->n_heap++;

    if (i == x->cap_heap) {
        x->cap_heap = x->cap_heap > 0 ? x->cap_heap * 2 : 64;
        x->heap = heap_realloc(x->heap, x->cap_heap * sizeof(*x->heap));
    }
    x->heap[i] = (struct wait){.at = wait_until(x, r), .r = r};
    for (; i > 0 && earlier(&x->heap[i], &x->heap[(i - 1) / 2]); i = (i - 1) / 2) {
        struct wait w = x->heap[i];

        x->heap[i] = x->heap[(i - 1) / 2];
        x->heap[(i - 1) / 2] = w;
    }
}

static struct reading *heap_pop(struct last *x)
{
    struct reading *r = x->heap[0].r;

    x->heap[0] = x->heap[--x->n_heap];
    if (x->n_heap > 0)
        sift_down(x);
    return r;
}

// --- rows ---

static int unreadable(const struct last *x, struct err *e)
{
    return err_set(e, LEAT_ECORRUPT, "a state row of %s cannot be read", x->op.node->id);
}

static void changed(struct last *x, struct reading *r)
{
    r->flags |= READING_DIRTY;
    if (r->flags & READING_LISTED)
        return;
    r->flags |= READING_LISTED;
    reading_push(&x->changed, &x->n_changed, &x->cap_changed, r);
}

static int put_reading(struct last *x, struct reading *r, struct err *e)
{
    struct states *states = run_states(x->op.run);
    struct value none = VALUE_OF_MISSING;
    struct state_key k = {.window = r->time, .window_end = r->time + x->window->size_ms};
    struct value *parts;
    int rc = 0;

    arena_reset(&x->r.arena);
    parts = results_row_parts(&x->r, r->key->key, BYTES_NULL);
    parts[x->r.n_key] = value_int(r->arrival);
    k.parts = parts;
    if (r->flags & READING_GONE) {
        r->flags &= ~(uint32_t)READING_STORED;
        return states->ops->del(x->r.state, &k, e);
    }
    buf_clear(&x->r.blob);
    pack_u8(&x->r.blob, BLOB_VERSION);
    pack_u8(&x->r.blob, (r->flags & READING_EMITTED) != 0);
    for (int i = 0; i < n_values(x) && rc == 0; i++) {
        bool spent = i == x->r.n_key && (r->flags & READING_EMITTED);

        rc = pack_value(&x->r.blob, spent ? &none : &r->values[i], e);
    }
    k.fresh = !(r->flags & READING_STORED);
    if (rc == 0)
        rc = states->ops->put(x->r.state, &k, NULL, buf_bytes(&x->r.blob), e);
    r->flags = (r->flags | READING_STORED) & ~(uint32_t)READING_DIRTY;
    return rc;
}

static int changed_cmp(const void *a, const void *b)
{
    const struct reading *x = *(struct reading *const *)a, *y = *(struct reading *const *)b;
    int cmp;

    if (x->time != y->time)
        return x->time < y->time ? -1 : 1;
    cmp = bytes_cmp(x->key->key, y->key->key);
    return cmp != 0 ? cmp : (x->arrival > y->arrival) - (x->arrival < y->arrival);
}

// What is gone is freed here: nothing but `changed` knows it any more. Unless it failed: then the
// heap does.
static int last_flush(struct operator *o, struct err *e)
{
    struct last *x = (struct last *)o;
    int rc = 0;

    if (x->n_changed > 0)
        qsort(x->changed, x->n_changed, sizeof(struct reading *), changed_cmp);
    for (size_t i = 0; i < x->n_changed && rc == 0; i++) {
        struct reading *r = x->changed[i];
        bool needs = r->flags & READING_GONE ? (r->flags & READING_STORED) != 0
                                             : (r->flags & READING_DIRTY) != 0;

        if (needs)
            rc = put_reading(x, r, e);
    }
    return rc;
}

// --- reading state ---

struct reload {
    struct last *x;
    struct err *err;
};

static int reload_row(void *arg, const struct state_key *row, struct bytes blob)
{
    struct reload *l = arg;
    struct last *x = l->x;
    struct reading *r;
    uint8_t version, emitted;
    int rc = unpack_u8(&blob, &version);

    rc = rc < 0 ? rc : unpack_u8(&blob, &emitted);
    if (rc < 0 || version != BLOB_VERSION || emitted > 1 || reading_new(x, blob, &r) < 0)
        return unreadable(x, l->err);
    buf_clear(&x->r.key);
    rc = group_key_encode(&x->r.key, r->values, x->r.n_key, l->err);
    if (rc < 0 || row->parts[x->r.n_key].type != VALUE_INT) {
        heap_free(r);
        return unreadable(x, l->err);
    }
    r->time = row->window;
    r->arrival = row->parts[x->r.n_key].i;
    r->flags = READING_STORED | (emitted ? READING_EMITTED : 0);
    if (r->arrival >= x->next_arrival)
        x->next_arrival = r->arrival + 1;
    list_add(r, key_of(x, buf_bytes(&x->r.key)));
    heap_push(x, r);
    return 0;
}

static void changed_clear(struct last *x)
{
    for (size_t i = 0; i < x->n_changed; i++) {
        struct reading *r = x->changed[i];

        r->flags &= ~(uint32_t)READING_LISTED;
        if ((r->flags & (READING_GONE | READING_EMITTED)) == (READING_GONE | READING_EMITTED))
            reading_free(x, r); // dropped; what failed is freed by the heap
    }
    x->n_changed = 0;
}

static void forget_all(struct last *x)
{
    changed_clear(x);
    for (size_t i = 0; i < x->n_heap; i++)
        reading_free(x, x->heap[i].r);
    x->n_heap = 0;
    ASSERT(x->keys.n == 0);
}

static int reload(struct last *x, struct err *e)
{
    struct reload l = {.x = x, .err = e};
    int rc;

    forget_all(x);
    x->next_arrival = 0;
    rc = run_states(x->op.run)
             ->ops->scan(x->r.state, INT64_MIN, INT64_MAX, reload_row, &l, e);
    x->stale = rc < 0;
    return rc;
}

// --- results ---

static void object_put(struct value_object *obj, struct bytes name, struct value v)
{
    for (size_t i = 0; i < obj->n; i++)
        if (bytes_eq(obj->names[i], name))
            obj->values[i] = VALUE_OF_MISSING; // the last of a name counts
    obj->names[obj->n] = name;
    obj->values[obj->n++] = v;
}

static int result_object(struct last *x, const struct reading *r, struct arena *a,
                         struct value_object **out, struct err *e)
{
    const struct value *v = value_of(x, r);
    size_t room = value_count(v) + (size_t)x->r.f.n + 1;
    struct value_object *obj = arena_zalloc(a, sizeof(*obj));
    struct value *results = arena_alloc(a, room * sizeof(*results));
    struct value_iter it;
    struct bytes name;
    struct value member;
    int rc;

    obj->names = arena_alloc(a, room * sizeof(*obj->names));
    obj->values = arena_alloc(a, room * sizeof(*obj->values));
    value_iter_init(&it, v, a);
    while ((rc = value_iter_next(&it, &name, &member, e)) > 0)
        object_put(obj, name, member);
    functions_results(&x->r.f, x->acc, results, a);
    for (int i = 0; i < x->r.f.n; i++)
        object_put(obj, x->r.f.specs[i].name, results[i]);
    *out = obj;
    return rc;
}

// The readings of its key from `last` before it up to `to`, into x->acc. Nothing here needs undo:
// it is dropped after use.
static int look_back(struct last *x, const struct reading *r, int64_t to, struct err *e)
{
    const struct last_key *k = r->key;
    size_t i = k->n;
    int rc = 0;

    while (i > 0 && k->list[i - 1]->time >= r->time - x->window->size_ms)
        i--;
    for (; i < k->n && k->list[i]->time <= to && rc == 0; i++)
        rc = functions_add(&x->r.f, x->acc, args_of(x, k->list[i]), k->list[i]->time, e);
    return rc;
}

static void acc_clear(struct last *x)
{
    functions_drop(&x->r.f, x->acc);
    memset(x->acc, 0, x->r.f.bytes);
}

// Whether its arguments go with those of all whom it may meet in an answer: a record that does not
// fit is to fail itself, not the readings that look back to it.
static int check_fit(struct last *x, const struct reading *r, struct err *e)
{
    int rc = look_back(x, r, r->time + x->window->size_ms, e);

    acc_clear(x);
    return rc;
}

static int emit(struct last *x, struct reading *r, struct err *e)
{
    struct event ev = {.partition = -1, .offset = -1, .time = r->time, .timestamp = r->time};
    struct arena a;
    struct value_object *obj;
    struct value_array parts = {.n = (size_t)x->r.n_key, .items = r->values};
    int rc = look_back(x, r, r->time, e);

    arena_init(&a);
    if (rc == 0)
        rc = result_object(x, r, &a, &obj, e);
    if (rc == 0) {
        ev.key = x->r.n_key == 1 ? r->values[0]
                                 : (struct value){.type = VALUE_ARRAY, .array = &parts};
        view_of(&ev.view, NULL, (struct value){.type = VALUE_OBJECT, .object = obj}, &a);
        rc = operator_emit(&x->op, OUT_MAIN, &ev, e);
    }
    acc_clear(x);
    arena_deinit(&a);
    return rc;
}

// --- records ---

static void undo_reading(void *arg)
{
    struct reading *r = arg;

    r->flags &= ~(uint32_t)READING_EMITTED;
    list_remove(r); // the heap finds out
}

static int pack_reading(struct last *x, const struct event *ev, const struct value *parts,
                        struct err *e)
{
    struct buf *b = &x->r.blob;
    int rc = 0;

    buf_clear(b);
    for (int i = 0; i < x->r.n_key && rc == 0; i++)
        rc = pack_value(b, &parts[i], e);
    if (rc == 0)
        rc = pack_value(b, &ev->view.root, e);
    for (int i = 0; i < x->r.f.n_args && rc == 0; i++)
        rc = pack_value(b, &x->r.f.args[i], e);
    return rc;
}

// `late`: only those that look back to it will see it.
static int keep(struct last *x, struct event *ev, const struct value *parts, bool late,
                struct reading **out, struct err *e)
{
    struct reading *r;
    int rc = functions_eval(&x->r.f, ev, e);

    rc = rc < 0 ? rc : pack_reading(x, ev, parts, e);
    if (rc < 0)
        return rc;
    rc = reading_new(x, buf_bytes(&x->r.blob), &r);
    ASSERT(rc == 0);
    r->time = ev->time;
    r->arrival = x->next_arrival++;
    r->flags = late ? READING_EMITTED : 0;
    list_add(r, key_of(x, buf_bytes(&x->r.key)));
    heap_push(x, r);
    changed(x, r);
    run_undo_call(x->op.run, undo_reading, r);
    *out = r;
    return check_fit(x, r, e);
}

// The heap's entry says when it comes out; the entry is found again there and put off.
static int emit_now(struct last *x, struct reading *r, struct err *e)
{
    r->flags |= READING_EMITTED;
    changed(x, r);
    return emit(x, r, e);
}

static int last_process(struct operator *o, struct event *ev, int input, struct err *e)
{
    struct last *x = (struct last *)o;
    int64_t out = ev->time + x->window->grace_ms;
    const struct value *parts;
    struct reading *r;
    int rc = x->stale ? reload(x, e) : 0;

    (void)input;
    rc = rc < 0 ? rc : window_time_check(ev->time, e);
    rc = rc < 0 ? rc : results_key(&x->r, ev, &parts, e);
    if (rc < 0)
        return rc;
    if (!value_is_object(&ev->view.root))
        return err_set(e, LEAT_ETYPE, "a look-back window adds to the fields of an object, not to "
                                      "%s", value_type_name(&ev->view.root));
    if (out < o->watermark) {
        if (out + x->window->size_ms >= o->watermark)
            rc = keep(x, ev, parts, true, &r, e);
        if (rc < 0)
            return rc;
        run_late(o->run, o, ev, o->watermark);
        return operator_emit(o, OUT_LATE, ev, e);
    }
    rc = keep(x, ev, parts, false, &r, e);
    return rc == 0 && out == o->watermark ? emit_now(x, r, e) : rc;
}

// --- the watermark ---

static int last_watermark(struct operator *o, int64_t w, struct err *e)
{
    struct last *x = (struct last *)o;
    int rc = x->stale ? reload(x, e) : 0;

    while (rc == 0 && x->n_heap > 0 && x->heap[0].at <= w) {
        int64_t at = x->heap[0].at;
        struct reading *r = heap_pop(x);

        if (r->flags & READING_GONE) {
            if (!(r->flags & READING_LISTED))
                reading_free(x, r);
            else
                r->flags |= READING_EMITTED; // the end of the step frees it
        } else if (!(r->flags & READING_EMITTED)) {
            rc = emit_now(x, r, e);
            heap_push(x, r);
        } else if (wait_until(x, r) > at) {
            heap_push(x, r); // came out as its record was read; others may look back to it yet
        } else {
            list_remove(r);
            changed(x, r);
        }
    }
    return rc;
}

static int64_t last_due(struct operator *o)
{
    struct last *x = (struct last *)o;

    if (x->stale)
        return INT64_MIN + 1; // any watermark there is
    return x->n_heap > 0 ? x->heap[0].at : INT64_MAX;
}

static void last_committed(struct operator *o)
{
    changed_clear((struct last *)o);
}

static void last_aborted(struct operator *o)
{
    struct last *x = (struct last *)o;

    forget_all(x);
    x->stale = true;
}

// --- open and close ---

static bool last_takes(const struct plan_node *n)
{
    return n->aggregate.window.kind == WINDOW_LAST;
}

static int last_open(struct operator *o, struct err *e)
{
    struct last *x = (struct last *)o;
    int rc;

    x->window = &o->node->aggregate.window;
    hashmap_init(&x->keys, 0);
    rc = window_check(x->window, e);
    rc = rc < 0 ? rc : results_open(&x->r, o, e);
    if (rc < 0)
        return rc;
    x->r.f.env.run = NULL; // accumulators do not outlive a call
    x->acc = heap_zalloc(x->r.f.bytes + 1);
    return reload(x, e);
}

static void last_close(struct operator *o)
{
    struct last *x = (struct last *)o;

    forget_all(x);
    hashmap_deinit(&x->keys);
    heap_free(x->heap);
    heap_free(x->changed);
    heap_free(x->acc);
    results_close(&x->r);
}

const struct operator_type operator_last = {
    .kind = NODE_AGGREGATE,
    .takes = last_takes,
    .size = sizeof(struct last),
    .open = last_open,
    .process = last_process,
    .watermark = last_watermark,
    .due = last_due,
    .flush = last_flush,
    .committed = last_committed,
    .aborted = last_aborted,
    .close = last_close,
};
