// SPDX-License-Identifier: Apache-2.0
//
// Keys of sessions in memory: a hash table, and a heap by when each has to be looked at. A key is
// here with all of its open sessions or not at all.
#include "operators/groupkey.h"
#include "operators/session.h"

#include "runtime/base/heap.h"

// --- the heap: by time, then key bytes ---

static bool is_before(const struct session_key *a, const struct session_key *b)
{
    if (a->at != b->at)
        return a->at < b->at;
    return bytes_cmp(a->k.key, b->k.key) < 0;
}

static void heap_put(struct sessions *x, size_t i, struct session_key *k)
{
    x->heap[i] = k;
    k->heap_at = i;
}

static void sift_up(struct sessions *x, size_t i)
{
    struct session_key *k = x->heap[i];

    for (; i > 0 && is_before(k, x->heap[(i - 1) / 2]); i = (i - 1) / 2)
        heap_put(x, i, x->heap[(i - 1) / 2]);
    heap_put(x, i, k);
}

static void sift_down(struct sessions *x, size_t i)
{
    struct session_key *k = x->heap[i];

    for (;;) {
        size_t c = 2 * i + 1;

        if (c + 1 < x->n_heap && is_before(x->heap[c + 1], x->heap[c]))
            c++;
        if (c >= x->n_heap || !is_before(x->heap[c], k))
            break;
        heap_put(x, i, x->heap[c]);
        i = c;
    }
    heap_put(x, i, k);
}

static void heap_add(struct sessions *x, struct session_key *k)
{
    if (x->n_heap == x->cap_heap) {
        x->cap_heap = x->cap_heap > 0 ? x->cap_heap * 2 : 64;
        x->heap = heap_realloc(x->heap, x->cap_heap * sizeof(struct session_key *));
    }
    heap_put(x, x->n_heap++, k);
    k->in_heap = true;
    sift_up(x, k->heap_at);
}

static void heap_remove(struct sessions *x, struct session_key *k)
{
    size_t i = k->heap_at;
    struct session_key *last = x->heap[--x->n_heap];

    k->in_heap = false;
    if (last == k)
        return;
    heap_put(x, i, last);
    sift_up(x, i);
    sift_down(x, last->heap_at);
}

void session_key_move(struct sessions *x, struct session_key *k, int64_t at)
{
    bool was = k->in_heap;

    k->at = at;
    if (at == DUE_NEVER) {
        if (was)
            heap_remove(x, k);
    } else if (!was) {
        heap_add(x, k);
    } else {
        sift_up(x, k->heap_at);
        sift_down(x, k->heap_at);
    }
}

// --- sessions ---

int64_t session_deadline(const struct sessions *x, const struct session *s)
{
    return s->b.end + x->window->grace_ms;
}

int64_t session_key_next(const struct sessions *x, const struct session_key *k)
{
    return k->n > 0 ? session_deadline(x, k->list[0]) : DUE_NEVER;
}

static size_t session_bytes(const struct sessions *x, const struct session *s)
{
    return sizeof(*s) + x->r.f.bytes + s->exact.n + sizeof(struct session *) + 16;
}

struct session *session_new(struct sessions *x, struct session_key *k, struct bytes exact)
{
    struct session *s = heap_zalloc(sizeof(*s) + x->r.f.bytes + exact.n + 1);
    uint8_t *behind = (uint8_t *)s->acc + x->r.f.bytes;

    if (exact.n > 0)
        memcpy(behind, exact.p, exact.n);
    s->exact = bytes_of(behind, exact.n);
    s->key = k;
    s->due_at = DUE_NEVER;
    x->bytes += session_bytes(x, s);
    return s;
}

void session_free(struct sessions *x, struct session *s)
{
    x->bytes -= session_bytes(x, s);
    functions_drop(&x->r.f, s->acc);
    heap_free(s);
}

void session_keep(struct session ***list, size_t *n, size_t *cap, struct session *s)
{
    if (*n == *cap) {
        *cap = *cap > 0 ? *cap * 2 : 16;
        *list = heap_realloc(*list, *cap * sizeof(struct session *));
    }
    (*list)[(*n)++] = s;
}

// --- keys ---

static size_t key_bytes(const struct session_key *k)
{
    return keyblock_bytes(sizeof(*k), &k->k) + 2 * sizeof(struct hashmap_slot) + k->k.key.n;
}

static void key_free(struct sessions *x, struct session_key *k)
{
    for (size_t i = 0; i < k->n; i++)
        session_free(x, k->list[i]);
    if (k->in_heap)
        heap_remove(x, k);
    x->bytes -= key_bytes(k);
    heap_free(k->list);
    heap_free(k);
}

int session_keys_know(struct sessions *x, struct err *e)
{
    int64_t first;
    int rc;

    if (x->whole_known)
        return 0;
    rc = dueindex_first(&x->due, &first, e);
    x->whole_known = rc == 0;
    x->whole = first == DUE_NEVER;
    return rc;
}

// What rows are asked by: where the column types of a table decide, the parts as they came, else
// plain ones, so that equal keys are one.
static struct session_key *key_new(struct sessions *x, const struct value *parts)
{
    struct bytes key = buf_bytes(&x->r.key);
    struct value *plain;
    struct session_key *k;

    arena_reset(&x->r.arena);
    plain = arena_alloc(&x->r.arena, (size_t)x->r.n_key * sizeof(*plain));
    group_key_decode(key, plain, x->r.n_key, &x->r.arena);
    k = keyblock_new(sizeof(*k), key, x->r.typed_keys ? parts : plain, x->r.n_key);
    k->at = DUE_NEVER;
    k->recent = true;
    x->bytes += key_bytes(k);
    return k;
}

int session_key_find(struct sessions *x, const struct value *parts, struct session_key **out,
                     struct err *e)
{
    struct session_key *k = hashmap_get(&x->keys, buf_bytes(&x->r.key));
    int rc;

    *out = k;
    if (k != NULL) {
        k->recent = true;
        return 0;
    }
    k = key_new(x, parts);
    rc = x->whole ? 0 : session_rows_load(x, k, e);
    if (rc < 0) {
        key_free(x, k);
        return rc;
    }
    (void)hashmap_put(&x->keys, k->k.key, k);
    session_key_move(x, k, session_key_next(x, k));
    *out = k;
    return 0;
}

void session_key_list(struct sessions *x, struct session_key *k)
{
    if (k->listed)
        return;
    if (x->n_dirty == x->cap_dirty) {
        x->cap_dirty = x->cap_dirty > 0 ? x->cap_dirty * 2 : 16;
        x->dirty = heap_realloc(x->dirty, x->cap_dirty * sizeof(struct session_key *));
    }
    x->dirty[x->n_dirty++] = k;
    k->listed = true;
}

// A clock's hand over the slots of the map. What it removes moves others to where the hand stands.
void session_keys_evict(struct sessions *x, size_t bytes)
{
    ASSERT(x->n_dirty == 0 && x->n_graves == 0 && x->n_absorbed == 0);
    for (size_t left = 2 * x->keys.cap; left > 0 && x->bytes + x->r.f.env.bytes > bytes; left--) {
        struct session_key *k = x->keys.slots[x->hand & (x->keys.cap - 1)].value;

        if (k != NULL && !k->recent) {
            x->whole = x->whole && k->n == 0;
            (void)hashmap_remove(&x->keys, k->k.key);
            key_free(x, k);
            continue;
        }
        if (k != NULL)
            k->recent = false;
        x->hand++;
    }
}

void session_keys_clear(struct sessions *x)
{
    struct bytes key;
    void *k;

    for (size_t i = 0; i < x->n_absorbed; i++)
        session_free(x, x->absorbed[i]);
    for (size_t i = 0; i < x->n_graves; i++)
        session_free(x, x->graves[i]);
    for (size_t i = 0; hashmap_next(&x->keys, &i, &key, &k);)
        key_free(x, k);
    hashmap_deinit(&x->keys);
    hashmap_init(&x->keys, 0);
    x->n_absorbed = x->n_graves = x->n_dirty = x->n_ops = x->n_dues = 0;
    x->whole_known = false;
    ASSERT(x->n_heap == 0 && x->bytes == 0);
}
