// SPDX-License-Identifier: Apache-2.0
#include "operators/groups.h"

#include "runtime/base/heap.h"

#define LINE_BYTES 64
#define KEY_INLINE_MIN 16
#define CHUNK_BYTES (64 * 1024)
#define SLOTS_MIN 8

// Whole cache lines; what is left in the last one is room for the key.
static size_t group_size(const struct groups *gs)
{
    size_t size = sizeof(struct group) + gs->acc_bytes + KEY_INLINE_MIN;

    return (size + LINE_BYTES - 1) / LINE_BYTES * LINE_BYTES;
}

static size_t key_inline_max(const struct groups *gs)
{
    return group_size(gs) - sizeof(struct group) - gs->acc_bytes;
}

void groups_init(struct groups *gs, size_t acc_bytes)
{
    ASSERT(acc_bytes % 8 == 0);
    *gs = (struct groups){.acc_bytes = acc_bytes};
}

void groups_clear(struct groups *gs)
{
    while (gs->n_windows > 0)
        groups_window_free(gs, groups_window_take_first(gs));
    for (size_t i = 0; i < gs->n_chunks; i++)
        heap_free(gs->chunks[i]);
    gs->n_chunks = gs->chunk_used = 0;
    gs->free = NULL;
    gs->hand = 0;
    ASSERT(gs->n_groups == 0);
}

void groups_deinit(struct groups *gs)
{
    groups_clear(gs);
    heap_free(gs->windows);
    heap_free(gs->chunks);
    heap_free(gs->items);
    heap_free(gs->spare);
    *gs = (struct groups){0};
}

size_t groups_bytes(const struct groups *gs)
{
    size_t owned = gs->owned != NULL ? *gs->owned : 0;

    return gs->n_groups * (group_size(gs) + 2 * sizeof(struct group_slot)) + gs->key_bytes + owned;
}

// --- memory of groups ---

static uint8_t *line_aligned(uint8_t *p)
{
    return p + (LINE_BYTES - (uintptr_t)p % LINE_BYTES) % LINE_BYTES;
}

static struct group *group_alloc(struct groups *gs)
{
    size_t size = group_size(gs), per_chunk = CHUNK_BYTES / size;
    struct group *g = gs->free;

    if (per_chunk == 0)
        per_chunk = 1;
    if (g != NULL) {
        memcpy(&gs->free, &g->key, sizeof(gs->free));
        return g;
    }
    if (gs->n_chunks == 0 || gs->chunk_used == per_chunk) {
        if (gs->n_chunks == gs->cap_chunks) {
            gs->cap_chunks = gs->cap_chunks ? gs->cap_chunks * 2 : 16;
            gs->chunks = heap_realloc(gs->chunks, gs->cap_chunks * sizeof(*gs->chunks));
        }
        gs->chunks[gs->n_chunks++] = heap_alloc(per_chunk * size + LINE_BYTES);
        gs->chunk_used = 0;
    }
    return (struct group *)(void *)(line_aligned(gs->chunks[gs->n_chunks - 1]) +
                                    size * gs->chunk_used++);
}

static uint8_t *inline_key(const struct groups *gs, struct group *g)
{
    return (uint8_t *)g->acc + gs->acc_bytes;
}

static void group_free(struct groups *gs, struct group *g)
{
    if (gs->drop != NULL)
        gs->drop(gs->arg, g);
    if (g->key != inline_key(gs, g)) {
        gs->key_bytes -= g->key_n;
        heap_free((void *)g->key);
    }
    gs->key_bytes -= g->exact_n;
    heap_free(g->exact);
    memcpy(&g->key, &gs->free, sizeof(gs->free));
    gs->free = g;
    gs->n_groups--;
}

// --- windows ---

// The first window at or after start.
static size_t window_index(const struct groups *gs, int64_t start)
{
    size_t lo = 0, hi = gs->n_windows;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;

        if (gs->windows[mid]->start < start)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

struct group_window *groups_window_find(struct groups *gs, int64_t start)
{
    size_t i;

    if (gs->hot != NULL && gs->hot->start == start)
        return gs->hot;
    i = window_index(gs, start);
    if (i == gs->n_windows || gs->windows[i]->start != start)
        return NULL;
    gs->hot = gs->windows[i];
    return gs->hot;
}

struct group_window *groups_window_add(struct groups *gs, int64_t start, bool complete)
{
    struct group_window *w = heap_zalloc(sizeof(*w));
    size_t i = window_index(gs, start);

    ASSERT(i == gs->n_windows || gs->windows[i]->start != start);
    w->start = start;
    w->complete = complete;
    if (gs->n_windows == gs->cap_windows) {
        gs->cap_windows = gs->cap_windows ? gs->cap_windows * 2 : 8;
        gs->windows = heap_realloc(gs->windows, gs->cap_windows * sizeof(struct group_window *));
    }
    memmove(gs->windows + i + 1, gs->windows + i,
            (gs->n_windows - i) * sizeof(struct group_window *));
    gs->windows[i] = w;
    gs->n_windows++;
    gs->hot = w;
    return w;
}

struct group_window *groups_window_take_first(struct groups *gs)
{
    struct group_window *w = gs->windows[0];

    ASSERT(gs->n_windows > 0);
    gs->n_windows--;
    memmove(gs->windows, gs->windows + 1, gs->n_windows * sizeof(struct group_window *));
    if (gs->hot == w)
        gs->hot = NULL;
    return w;
}

void groups_window_free(struct groups *gs, struct group_window *w)
{
    for (size_t i = 0; i < w->cap; i++)
        if (w->slots[i].group != NULL)
            group_free(gs, w->slots[i].group);
    heap_free(w->slots);
    heap_free(w->dirty);
    heap_free(w);
}

// --- the table of a window ---

struct group *group_find(const struct group_window *w, struct bytes key, uint64_t hash)
{
    if (w->cap == 0)
        return NULL;
    for (size_t i = hash & (w->cap - 1);; i = (i + 1) & (w->cap - 1)) {
        const struct group_slot *s = &w->slots[i];

        if (s->group == NULL)
            return NULL;
        if (s->hash == hash && bytes_eq(group_key(s->group), key))
            return s->group;
    }
}

static void slot_put(struct group_window *w, struct group *g, uint64_t hash)
{
    size_t i = hash & (w->cap - 1);

    while (w->slots[i].group != NULL)
        i = (i + 1) & (w->cap - 1);
    w->slots[i] = (struct group_slot){.hash = hash, .group = g};
}

static void window_grow(struct group_window *w)
{
    struct group_slot *old = w->slots;
    size_t n = w->cap;

    w->cap = n > 0 ? n * 2 : SLOTS_MIN;
    w->slots = heap_zalloc(w->cap * sizeof(*w->slots));
    for (size_t i = 0; i < n; i++)
        if (old[i].group != NULL)
            slot_put(w, old[i].group, old[i].hash);
    heap_free(old);
}

struct group *group_add(struct groups *gs, struct group_window *w, struct bytes key, uint64_t hash)
{
    struct group *g = group_alloc(gs);
    uint8_t *at = inline_key(gs, g);

    ASSERT(key.n <= UINT32_MAX);
    if (key.n > key_inline_max(gs)) {
        at = heap_alloc(key.n);
        gs->key_bytes += key.n;
    }
    memcpy(at, key.p, key.n);
    g->key = at;
    g->key_n = (uint32_t)key.n;
    g->exact = NULL;
    g->exact_n = 0;
    g->listed = false;
    g->recent = true;
    g->flags = 0;
    memset(g->acc, 0, gs->acc_bytes);
    if ((w->n + 1) * 2 > w->cap)
        window_grow(w);
    slot_put(w, g, hash);
    w->n++;
    gs->n_groups++;
    return g;
}

// Closes the gap: moves back every follower that its home slot still allows.
static void slot_remove(struct group_window *w, size_t i)
{
    size_t mask = w->cap - 1, hole = i;

    for (size_t j = (i + 1) & mask; w->slots[j].group != NULL; j = (j + 1) & mask) {
        size_t home = w->slots[j].hash & mask;

        if (((j - home) & mask) >= ((j - hole) & mask)) {
            w->slots[hole] = w->slots[j];
            hole = j;
        }
    }
    w->slots[hole] = (struct group_slot){0};
}

void group_remove(struct groups *gs, struct group_window *w, struct group *g, uint64_t hash)
{
    size_t i = hash & (w->cap - 1);

    ASSERT(!g->listed);
    while (w->slots[i].group != g)
        i = (i + 1) & (w->cap - 1);
    slot_remove(w, i);
    w->n--;
    group_free(gs, g);
}

int group_set_exact(struct groups *gs, struct group *g, struct bytes exact)
{
    if (exact.n > UINT16_MAX)
        return LEAT_EKEY;
    gs->key_bytes += exact.n;
    gs->key_bytes -= g->exact_n;
    heap_free(g->exact);
    g->exact = NULL;
    g->exact_n = (uint16_t)exact.n;
    if (exact.n > 0) {
        g->exact = heap_alloc(exact.n);
        memcpy(g->exact, exact.p, exact.n);
    }
    return 0;
}

void group_list(struct group_window *w, struct group *g)
{
    if (g->listed)
        return;
    if (w->n_dirty == w->cap_dirty) {
        w->cap_dirty = w->cap_dirty ? w->cap_dirty * 2 : 16;
        w->dirty = heap_realloc(w->dirty, w->cap_dirty * sizeof(struct group *));
    }
    w->dirty[w->n_dirty++] = g;
    g->listed = true;
}

// --- in order ---

static void items_reserve(struct groups *gs, size_t n)
{
    if (n <= gs->cap_items)
        return;
    gs->cap_items = n * 2;
    gs->items = heap_realloc(gs->items, gs->cap_items * sizeof(*gs->items));
    gs->spare = heap_realloc(gs->spare, gs->cap_items * sizeof(*gs->spare));
}

size_t groups_collect(struct groups *gs, const struct group_window *w, bool only_listed,
                      const struct keysort_item **out)
{
    size_t n = 0;

    items_reserve(gs, only_listed ? w->n_dirty : w->n);
    for (size_t i = 0; only_listed && i < w->n_dirty; i++)
        gs->items[n++] = (struct keysort_item){.key = group_key(w->dirty[i]), .what = w->dirty[i]};
    for (size_t i = 0; !only_listed && i < w->cap; i++) {
        struct group *g = w->slots[i].group;

        if (g != NULL)
            gs->items[n++] = (struct keysort_item){.key = group_key(g), .what = g};
    }
    keysort(gs->items, gs->spare, n);
    *out = gs->items;
    return n;
}

// --- eviction ---

static void window_evict(struct groups *gs, struct group_window *w, size_t bytes)
{
    size_t left = w->cap;

    for (size_t i = gs->hand; left > 0 && w->n > 0 && groups_bytes(gs) > bytes; left--) {
        struct group *g;

        i &= w->cap - 1;
        gs->hand = i;
        g = w->slots[i].group;
        if (g == NULL || g->listed || (g->flags & GROUP_DIRTY) || g->recent) {
            if (g != NULL)
                g->recent = false;
            i++;
            continue;
        }
        w->complete = false;
        group_remove(gs, w, g, w->slots[i].hash); // another may have moved into slot i: look again
    }
}

// What is left moves together, so that the rest can be freed.
static void groups_repack(struct groups *gs)
{
    struct groups old = *gs;

    gs->free = NULL;
    gs->chunks = NULL;
    gs->n_chunks = gs->cap_chunks = gs->chunk_used = 0;
    for (size_t i = 0; i < gs->n_windows; i++)
        for (size_t k = 0; k < gs->windows[i]->cap; k++) {
            struct group *from = gs->windows[i]->slots[k].group, *to;

            if (from == NULL)
                continue;
            ASSERT(!from->listed);
            to = group_alloc(gs);
            memcpy(to, from, group_size(gs));
            if (from->key == inline_key(gs, from))
                to->key = inline_key(gs, to);
            gs->windows[i]->slots[k].group = to;
        }
    for (size_t i = 0; i < old.n_chunks; i++)
        heap_free(old.chunks[i]);
    heap_free(old.chunks);
}

void groups_evict(struct groups *gs, size_t bytes)
{
    // Twice: the first round may only take away the second chance.
    for (int round = 0; round < 2; round++)
        for (size_t i = 0; i < gs->n_windows && groups_bytes(gs) > bytes; i++)
            window_evict(gs, gs->windows[i], bytes);
    if (gs->n_chunks > 1 && gs->n_chunks * CHUNK_BYTES / 4 > gs->n_groups * group_size(gs))
        groups_repack(gs); // not when a step's worth has just gone: the next one needs the room
}
