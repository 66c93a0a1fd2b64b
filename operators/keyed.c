// SPDX-License-Identifier: Apache-2.0
//
// Entries and their rows: packing, the heap of timers, reading through, writing back.
//
// A row:  timer_at i64, ttl_at i64, body
// A body: version i64, touched i64, state (1 and a text, or 0), timers u32, each: at i64, name text
//
// Undo gives the body back as it was; that an entry is in the cache is no change.
#include "operators/keyed.h"

#include <stdlib.h>

#include "operators/groupkey.h"
#include "operators/operators.h"
#include "operators/pack.h"
#include "runtime/base/endian.h"
#include "runtime/base/heap.h"
#include "runtime/base/limits.h"

#define TAG_BOOL 4
#define TAG_DECIMAL 5

// --- keys ---

// Equal where the state's table would find them equal: SQL has neither booleans nor decimals, there
// they are blobs of their own.
int keyed_encode(struct buf *out, const struct value *parts, int n, struct err *e)
{
    int rc = 0;

    buf_clear(out);
    for (int i = 0; i < n && rc == 0; i++) {
        const struct value *v = &parts[i];
        if (v->type == VALUE_BOOL) {
            pack_u8(out, TAG_BOOL);
            pack_u8(out, v->b);
        } else if (v->type == VALUE_DECIMAL) {
            pack_u8(out, TAG_DECIMAL);
            pack_u8(out, v->scale);
            pack_i64(out, v->i);
        } else {
            rc = group_key_encode(out, v, 1, e);
        }
    }
    return rc;
}

static struct state_key row_key(const struct keyed_entry *x, int64_t at)
{
    return (struct state_key){.window = at, .window_end = at, .parts = x->k.array.items};
}

// --- the heap ---

static bool is_before(const struct keyed_entry *a, const struct keyed_entry *b)
{
    if (a->next != b->next)
        return a->next < b->next;
    return bytes_cmp(a->k.key, b->k.key) < 0;
}

static void heap_put(struct keyed *k, size_t i, struct keyed_entry *x)
{
    k->heap[i] = x;
    x->heap_at = i;
}

static void heap_up(struct keyed *k, size_t i)
{
    struct keyed_entry *x = k->heap[i];

    for (; i > 0 && is_before(x, k->heap[(i - 1) / 2]); i = (i - 1) / 2)
        heap_put(k, i, k->heap[(i - 1) / 2]);
    heap_put(k, i, x);
}

static void heap_down(struct keyed *k, size_t i)
{
    struct keyed_entry *x = k->heap[i];

    for (;;) {
        size_t c = 2 * i + 1;
        if (c + 1 < k->n_heap && is_before(k->heap[c + 1], k->heap[c]))
            c++;
        if (c >= k->n_heap || !is_before(k->heap[c], x))
            break;
        heap_put(k, i, k->heap[c]);
        i = c;
    }
    heap_put(k, i, x);
}

static void heap_move(struct keyed *k, struct keyed_entry *x, int64_t next)
{
    int64_t before = x->next;

    x->next = next;
    if (before == next)
        return;
    if (before == KEYED_NEVER) {
        if (k->n_heap == k->cap_heap) {
            k->cap_heap = k->cap_heap ? k->cap_heap * 2 : 64;
            k->heap = heap_realloc(k->heap, k->cap_heap * sizeof(struct keyed_entry *));
        }
        heap_put(k, k->n_heap++, x);
        heap_up(k, x->heap_at);
    } else if (next == KEYED_NEVER) {
        size_t i = x->heap_at;
        struct keyed_entry *last = k->heap[--k->n_heap];
        if (last == x)
            return;
        heap_put(k, i, last);
        heap_up(k, i);
        heap_down(k, last->heap_at);
    } else {
        heap_up(k, x->heap_at);
        heap_down(k, x->heap_at);
    }
}

// --- bodies ---

static void pack_text(struct buf *out, struct bytes s)
{
    buf_append_be32(out, (uint32_t)s.n);
    buf_append_bytes(out, s);
}

static int unpack_text(struct bytes *in, struct bytes *s)
{
    size_t n;

    if (in->n < 4)
        return LEAT_ECORRUPT;
    n = load_be32(in->p);
    if (n > in->n - 4)
        return LEAT_ECORRUPT;
    *s = bytes_of(in->p + 4, n);
    *in = bytes_of(in->p + 4 + n, in->n - 4 - n);
    return 0;
}

static void pack_body(struct buf *out, const struct keyed_body *b)
{
    buf_clear(out);
    if (bytes_is_null(b->state) && b->n_timers == 0)
        return;
    pack_i64(out, b->version);
    pack_i64(out, b->touched);
    pack_u8(out, !bytes_is_null(b->state));
    if (!bytes_is_null(b->state))
        pack_text(out, b->state);
    buf_append_be32(out, (uint32_t)b->n_timers);
    for (size_t i = 0; i < b->n_timers; i++) {
        pack_i64(out, b->timers[i].at);
        pack_text(out, b->timers[i].name);
    }
}

static int unpack_timers(struct bytes *in, struct arena *a, struct keyed_body *b)
{
    int rc = 0;

    if (in->n < 4)
        return LEAT_ECORRUPT;
    b->n_timers = load_be32(in->p);
    *in = bytes_of(in->p + 4, in->n - 4);
    if (b->n_timers > in->n / 12)
        return LEAT_ECORRUPT;
    b->timers = arena_alloc(a, (b->n_timers + 1) * sizeof(*b->timers));
    for (size_t i = 0; i < b->n_timers && rc == 0; i++) {
        rc = unpack_i64(in, &b->timers[i].at);
        if (rc == 0)
            rc = unpack_text(in, &b->timers[i].name);
    }
    return rc;
}

int keyed_unpack(const struct keyed_entry *x, struct arena *a, struct keyed_body *out,
                 struct err *e)
{
    struct bytes in = buf_bytes(&x->body);
    uint8_t has = 0;
    int rc;

    *out = (struct keyed_body){.state = BYTES_NULL, .touched = INT64_MIN};
    if (in.n == 0)
        return 0;
    rc = unpack_i64(&in, &out->version);
    if (rc == 0)
        rc = unpack_i64(&in, &out->touched);
    if (rc == 0)
        rc = unpack_u8(&in, &has);
    if (rc == 0 && has)
        rc = unpack_text(&in, &out->state);
    if (rc == 0)
        rc = unpack_timers(&in, a, out);
    return rc == 0 ? 0 : err_set(e, rc, "the state of a key was not written by leat");
}

static int64_t first_timer(const struct keyed_body *b)
{
    int64_t first = KEYED_NEVER;

    for (size_t i = 0; i < b->n_timers; i++)
        first = b->timers[i].at < first ? b->timers[i].at : first;
    return first;
}

// A state that was kept before there was a ttl counts from its next use on.
bool keyed_expired(const struct keyed *k, const struct keyed_body *b)
{
    int64_t last;

    return k->ttl_ms > 0 && b->touched != INT64_MIN &&
           !__builtin_add_overflow(b->touched, k->ttl_ms, &last) && k->op->watermark > last;
}

// --- changing an entry ---

static void list_dirty(struct keyed *k, struct keyed_entry *x)
{
    x->rows.dirty = true;
    if (x->listed)
        return;
    if (k->n_dirty == k->cap_dirty) {
        k->cap_dirty = k->cap_dirty ? k->cap_dirty * 2 : 64;
        k->dirty = heap_realloc(k->dirty, k->cap_dirty * sizeof(struct keyed_entry *));
    }
    k->dirty[k->n_dirty++] = x;
    x->listed = true;
}

static void set_body(struct keyed *k, struct keyed_entry *x, struct bytes body, int64_t next)
{
    k->bytes -= x->body.cap;
    buf_clear(&x->body);
    buf_append_bytes(&x->body, body);
    k->bytes += x->body.cap;
    heap_move(k, x, next);
    list_dirty(k, x);
}

struct undo {
    struct keyed *k;
    struct keyed_entry *x;
    struct bytes body;
    int64_t next;
};

static void take_back(void *arg)
{
    struct undo *u = arg;

    set_body(u->k, u->x, u->body, u->next);
}

int keyed_set(struct keyed *k, struct keyed_entry *x, const struct keyed_body *b, bool undo,
              struct err *e)
{
    struct run *r = k->op->run;

    pack_body(&k->scratch, b);
    if (k->scratch.n > STATE_BYTES_MAX)
        return err_set(e, LEAT_EBUDGET,
                       "the state of this key takes %zu bytes, at most %d are allowed",
                       k->scratch.n, STATE_BYTES_MAX);
    if (bytes_eq(buf_bytes(&k->scratch), buf_bytes(&x->body)))
        return 0;
    if (undo) {
        struct undo *u = arena_alloc(run_arena(r), sizeof(*u));
        *u = (struct undo){k, x, arena_copy(run_arena(r), buf_bytes(&x->body)), x->next};
        run_undo_call(r, take_back, u);
    }
    set_body(k, x, buf_bytes(&k->scratch), first_timer(b));
    return 0;
}

// --- reading ---

// Its parts in one form, whichever record brings it in: timers see them.
static struct keyed_entry *entry_new(const struct keyed *k, struct bytes key,
                                     const struct value *parts, struct arena *a)
{
    struct value *plain = arena_alloc(a, (size_t)k->n_key * sizeof(*plain));
    struct keyed_entry *x;

    group_key_plain(parts, k->n_key, plain);
    x = keyblock_new(sizeof(*x), key, plain, k->n_key);
    x->next = KEYED_NEVER;
    x->rows = (struct keyed_rows){.timer_at = KEYED_NEVER, .ttl_at = KEYED_NEVER};
    return x;
}

static size_t entry_bytes(const struct keyed_entry *x)
{
    return keyblock_bytes(sizeof(*x), &x->k) + x->k.key.n + 2 * sizeof(struct hashmap_slot) +
           x->body.cap;
}

static void entry_free(struct keyed_entry *x)
{
    buf_deinit(&x->body);
    heap_free(x);
}

static int entry_read(struct keyed *k, struct keyed_entry *x, struct err *e)
{
    struct states *s = run_states(k->op->run);
    struct state_key key = row_key(x, 0);
    struct keyed_body b;
    struct bytes row;
    int rc = s->ops->get(k->state, &key, &k->arena, &row, e);

    if (rc <= 0)
        return rc;
    rc = unpack_i64(&row, &x->rows.timer_at);
    if (rc == 0)
        rc = unpack_i64(&row, &x->rows.ttl_at);
    if (rc < 0)
        return err_set(e, rc, "the state of a key was not written by leat");
    x->rows.stored = true;
    buf_append_bytes(&x->body, row);
    rc = keyed_unpack(x, &k->arena, &b, e);
    if (rc == 0)
        heap_move(k, x, first_timer(&b));
    return rc;
}

static int find(struct keyed *k, const struct value *parts, struct keyed_entry **out,
                struct err *e)
{
    struct keyed_entry *x;
    int rc = keyed_encode(&k->scratch, parts, k->n_key, e);

    if (rc < 0)
        return rc;
    *out = hashmap_get(&k->entries, buf_bytes(&k->scratch));
    if (*out != NULL) {
        (*out)->recent = true;
        return 0;
    }
    arena_reset(&k->arena);
    x = entry_new(k, buf_bytes(&k->scratch), parts, &k->arena);
    rc = entry_read(k, x, e);
    if (rc < 0) {
        heap_move(k, x, KEYED_NEVER);
        entry_free(x);
        return rc;
    }
    x->recent = true;
    k->bytes += entry_bytes(x);
    (void)hashmap_put(&k->entries, x->k.key, x);
    *out = x;
    return 0;
}

int keyed_find(struct keyed *k, const struct value *key, struct keyed_entry **out, struct err *e)
{
    struct event ev = {.key = *key};
    const struct value *parts;
    int n = event_key_parts(&ev, &parts);

    if (n == 0)
        return err_set(e, LEAT_EKEY, "the record has no key: put :by before it");
    if (n != k->n_key)
        return err_set(e, LEAT_EKEY, "the key has %d parts, not %d", n, k->n_key);
    return find(k, parts, out, e);
}

// --- by time ---

int64_t keyed_due(struct keyed *k)
{
    int64_t due = k->n_heap > 0 ? k->heap[0]->next : KEYED_NEVER, first;

    // An error comes up again, with its words, where the operator is called.
    if (dueindex_first(&k->timers, &first, NULL) != 0)
        return INT64_MIN;
    return first < due ? first : due;
}

static int drop_row(struct dueindex *d, const struct keyed_entry *x, int64_t *at, struct err *e)
{
    int rc = *at != KEYED_NEVER ? dueindex_del(d, *at, x->k.array.items, e) : 0;

    *at = KEYED_NEVER;
    return rc;
}

static int put_row(struct dueindex *d, const struct keyed_entry *x, int64_t at, int64_t *slot,
                   struct err *e)
{
    struct due_row row = {.at = at, .parts = x->k.array.items, .note = BYTES_LIT("x")};

    *slot = at;
    return dueindex_put(d, &row, e);
}

// Its row is gone: the key is the heap's now, and placed again by the flush.
static int take_timer(void *arg, const struct due_row *row, struct err *e)
{
    struct keyed *k = arg;
    struct keyed_entry *x;
    int rc = find(k, row->parts, &x, e);

    if (rc == 0) {
        x->rows.timer_at = KEYED_NEVER;
        list_dirty(k, x);
    }
    return rc;
}

int keyed_next(struct keyed *k, int64_t w, struct keyed_entry **out, struct err *e)
{
    for (;;) {
        struct keyed_entry *x = k->n_heap > 0 ? k->heap[0] : NULL;
        int64_t first;
        int rc = dueindex_first(&k->timers, &first, e);

        if (rc < 0)
            return rc;
        if (first > w && (x == NULL || x->next > w))
            return 0;
        rc = x == NULL ? 0 : dueindex_is_next(&k->timers, x->next, x->k.key, e);
        if (rc == 1)
            *out = x;
        if (rc == 0)
            rc = dueindex_take(&k->timers, w, take_timer, k, e);
        if (rc != 0)
            return rc;
    }
}

// --- writing ---

static int take_ttl(void *arg, const struct due_row *row, struct err *e)
{
    struct keyed *k = arg;
    struct keyed_entry *x;
    struct keyed_body b;
    int rc = find(k, row->parts, &x, e);

    if (rc < 0)
        return rc;
    run_undo_bytes(k->op->run, &x->rows, sizeof(x->rows));
    x->rows.ttl_at = KEYED_NEVER;
    list_dirty(k, x);
    arena_reset(&k->arena);
    rc = keyed_unpack(x, &k->arena, &b, e);
    if (rc < 0 || bytes_is_null(b.state) || !keyed_expired(k, &b))
        return rc;
    b.state = BYTES_NULL;
    pack_body(&k->scratch, &b); // gone for everybody already: nothing to undo
    set_body(k, x, buf_bytes(&k->scratch), x->next);
    return 0;
}

// Some of the states that have expired go; readers do not see them any more as it is.
static int sweep(struct keyed *k, struct err *e)
{
    int64_t w = k->op->watermark, first;
    int rc;

    if (k->ttl_ms <= 0)
        return 0;
    rc = dueindex_first(&k->ttl, &first, e);
    return rc < 0 || first >= w ? rc : dueindex_take(&k->ttl, w - 1, take_ttl, k, e);
}

static int write_timer(struct keyed *k, struct keyed_entry *x, struct err *e)
{
    int rc;

    if (x->next == KEYED_NEVER || x->next >= x->rows.timer_at)
        return 0;
    rc = drop_row(&k->timers, x, &x->rows.timer_at, e);
    return rc < 0 ? rc : put_row(&k->timers, x, x->next, &x->rows.timer_at, e);
}

static int write_ttl(struct keyed *k, struct keyed_entry *x, const struct keyed_body *b,
                     struct err *e)
{
    int64_t at;

    if (k->ttl_ms <= 0 || bytes_is_null(b->state) || x->rows.ttl_at != KEYED_NEVER ||
        b->touched == INT64_MIN ||
        __builtin_add_overflow(b->touched, k->ttl_ms, &at))
        return 0;
    return put_row(&k->ttl, x, at, &x->rows.ttl_at, e);
}

static int remove_rows(struct keyed *k, struct keyed_entry *x, struct err *e)
{
    struct state_key key = row_key(x, 0);
    int rc = drop_row(&k->timers, x, &x->rows.timer_at, e);

    if (rc == 0)
        rc = drop_row(&k->ttl, x, &x->rows.ttl_at, e);
    if (rc == 0 && x->rows.stored)
        rc = run_states(k->op->run)->ops->del(k->state, &key, e);
    x->rows.stored = false;
    return rc;
}

static int write_rows(struct keyed *k, struct keyed_entry *x, struct err *e)
{
    struct state_key key = row_key(x, 0);
    struct keyed_body b;
    int rc;

    if (x->body.n == 0)
        return remove_rows(k, x, e);
    arena_reset(&k->arena);
    rc = keyed_unpack(x, &k->arena, &b, e);
    if (rc == 0)
        rc = write_timer(k, x, e);
    if (rc == 0)
        rc = write_ttl(k, x, &b, e);
    if (rc < 0)
        return rc;
    buf_clear(&k->scratch);
    pack_i64(&k->scratch, x->rows.timer_at);
    pack_i64(&k->scratch, x->rows.ttl_at);
    buf_append_bytes(&k->scratch, buf_bytes(&x->body));
    x->rows.stored = true;
    return run_states(k->op->run)->ops->put(k->state, &key, NULL, buf_bytes(&k->scratch), e);
}

static int by_key(const void *a, const void *b)
{
    const struct keyed_entry *x = *(struct keyed_entry *const *)a;
    const struct keyed_entry *y = *(struct keyed_entry *const *)b;

    return bytes_cmp(x->k.key, y->k.key);
}

int keyed_flush(struct keyed *k, struct err *e)
{
    int rc = sweep(k, e);

    if (k->n_dirty > 1)
        qsort(k->dirty, k->n_dirty, sizeof(struct keyed_entry *), by_key);
    for (size_t i = 0; i < k->n_dirty && rc == 0; i++) {
        struct keyed_entry *x = k->dirty[i];

        if (!x->rows.dirty)
            continue;
        run_undo_bytes(k->op->run, &x->rows, sizeof(x->rows));
        rc = write_rows(k, x, e);
        x->rows.dirty = false;
    }
    return rc;
}

// --- the end of a step ---

static void clear(struct keyed *k)
{
    struct bytes key;
    void *x;

    for (size_t i = 0; hashmap_next(&k->entries, &i, &key, &x);)
        entry_free(x);
    hashmap_deinit(&k->entries);
    hashmap_init(&k->entries, 0);
    k->n_heap = k->n_dirty = k->bytes = 0;
    dueindex_forget(&k->timers);
    dueindex_forget(&k->ttl);
}

void keyed_committed(struct keyed *k)
{
    for (size_t i = 0; i < k->n_dirty; i++)
        k->dirty[i]->listed = false;
    k->n_dirty = 0;
}

size_t keyed_held(const struct keyed *k)
{
    return k->bytes;
}

static void evict(struct keyed *k, struct keyed_entry *x)
{
    heap_move(k, x, KEYED_NEVER); // its row in `timers` says when to look
    (void)hashmap_remove(&k->entries, x->k.key);
    k->bytes -= entry_bytes(x);
    entry_free(x);
}

// A clock's hand over the slots of the map. What it removes moves others to where the hand stands.
void keyed_shrink(struct keyed *k, size_t bytes)
{
    ASSERT(k->n_dirty == 0);
    for (size_t left = 2 * k->entries.cap; left > 0 && k->bytes > bytes; left--) {
        struct keyed_entry *x = k->entries.slots[k->hand & (k->entries.cap - 1)].value;

        if (x != NULL && !x->recent) {
            evict(k, x);
            continue;
        }
        if (x != NULL)
            x->recent = false;
        k->hand++;
    }
}

void keyed_aborted(struct keyed *k)
{
    clear(k);
}

static int open_state(struct keyed *k, const char *const *names, struct err *e)
{
    struct states *s = run_states(k->op->run);
    struct state_spec spec = {
        .id = k->op->node->id, .table = -1, .key_names = names, .n_key = k->n_key};

    return s->ops->open(s, &spec, &k->state, e);
}

int keyed_open(struct keyed *k, struct operator *o, int64_t ttl_ms, struct err *e)
{
    static const char *const own_key[] = {"key"};
    const char *const *names = o->node->n_key_names > 0 ? o->node->key_names : own_key;
    int rc;

    *k = (struct keyed){.op = o,
                        .ttl_ms = ttl_ms,
                        .n_key = o->node->n_key_names > 0 ? o->node->n_key_names : 1,
                        .timers = {.encode = keyed_encode},
                        .ttl = {.encode = keyed_encode}};
    hashmap_init(&k->entries, 0);
    arena_init(&k->arena);
    rc = open_state(k, names, e);
    if (rc == 0)
        rc = dueindex_open(&k->timers, o, "/timers", names, k->n_key, e);
    if (rc == 0)
        rc = dueindex_open(&k->ttl, o, "/ttl", names, k->n_key, e);
    return rc;
}

void keyed_close(struct keyed *k)
{
    if (k->op == NULL)
        return;
    clear(k);
    hashmap_deinit(&k->entries);
    heap_free(k->heap);
    heap_free(k->dirty);
    dueindex_close(&k->timers);
    dueindex_close(&k->ttl);
    buf_deinit(&k->scratch);
    arena_deinit(&k->arena);
}
