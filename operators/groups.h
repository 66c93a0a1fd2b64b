// SPDX-License-Identifier: Apache-2.0
//
// The open groups of an aggregate in memory: per window a hash table from key to group, windows in
// order of their start. A cache of state rows: a window is `complete` when every group it has is
// here (it was opened by this process and nothing of it was evicted); of others a missing key must
// be asked from state.
//
// A group's address is stable. Its bytes from `flags` on are what records change and undo restores;
// everything else about it (that it exists, where it hangs) is cache, and harmless when the record
// that brought it in fails: such a group is not GROUP_PRESENT and means nothing.
//
// Nothing here iterates in hash order towards a result: groups_collect sorts.
#ifndef LEAT_OPERATORS_GROUPS_H
#define LEAT_OPERATORS_GROUPS_H

#include "operators/keysort.h"
#include "runtime/base/bytes.h"
#include "runtime/base/err.h"

enum group_flag {
    GROUP_PRESENT = 1, // has counted a record
    GROUP_DIRTY = 2,   // differs from its state row
    GROUP_STORED = 4,  // has a state row
    GROUP_AWAITED = 8, // may have one, which is not read yet (awaited.h)
};

// With one small accumulator and a short key this is one cache line.
struct group {
    const uint8_t *key; // group_key_encode'd; inline or a heap block
    uint32_t key_n;
    uint16_t exact_n;
    bool listed;    // is in its window's dirty list
    bool recent;    // touched since the eviction's hand passed
    uint8_t *exact; // the parts packed, where the key alone does not tell; else NULL
    uint64_t flags; // --- undo starts here ---
    uint64_t acc[]; // accumulators, then room for a short key
};

static inline struct bytes group_exact(const struct group *g)
{
    return bytes_of(g->exact, g->exact_n);
}

static inline struct bytes group_key(const struct group *g)
{
    return bytes_of(g->key, g->key_n);
}

struct group_slot {
    uint64_t hash;
    struct group *group; // NULL: free
};

struct group_window {
    int64_t start;
    bool complete;
    struct group_slot *slots;
    size_t n, cap;
    struct group **dirty; // listed ones, unsorted
    size_t n_dirty, cap_dirty;
};

struct groups {
    size_t acc_bytes;
    void (*drop)(void *arg, struct group *g); // frees what the accumulators own; may be NULL
    void *arg;
    const size_t *owned;      // bytes that accumulators hold elsewhere; may be NULL
    struct group_window **windows; // by start
    size_t n_windows, cap_windows;
    struct group_window *hot; // the one used last; NULL
    struct group *free;       // chained through key
    uint8_t **chunks;         // of groups
    size_t n_chunks, cap_chunks;
    size_t chunk_used;
    size_t n_groups, key_bytes;
    size_t hand; // where eviction goes on
    struct keysort_item *items, *spare;
    size_t cap_items;
};

void groups_init(struct groups *gs, size_t acc_bytes);
void groups_deinit(struct groups *gs);
// Forgets everything.
void groups_clear(struct groups *gs);
size_t groups_bytes(const struct groups *gs);

struct group_window *groups_window_find(struct groups *gs, int64_t start); // or NULL
struct group_window *groups_window_add(struct groups *gs, int64_t start, bool complete);
// Takes the window out of the open ones; groups_window_free ends it.
struct group_window *groups_window_take_first(struct groups *gs);
void groups_window_free(struct groups *gs, struct group_window *w);

// Starts to load where the key would be in the window used last.
static inline void groups_prefetch(const struct groups *gs, uint64_t hash)
{
    if (gs->hot != NULL && gs->hot->cap > 0)
        __builtin_prefetch(&gs->hot->slots[hash & (gs->hot->cap - 1)]);
}

struct group *group_find(const struct group_window *w, struct bytes key, uint64_t hash); // or NULL
// A new group with empty accumulators. The key is copied.
struct group *group_add(struct groups *gs, struct group_window *w, struct bytes key,
                        uint64_t hash);
void group_remove(struct groups *gs, struct group_window *w, struct group *g, uint64_t hash);
// Replaces it; BYTES_NULL for none. LEAT_EKEY when it is too long to keep.
int group_set_exact(struct groups *gs, struct group *g, struct bytes exact);
// Notes the group for the next flush, once.
void group_list(struct group_window *w, struct group *g);

// The window's groups (or only the listed ones) in key order. The array lives until the next call.
size_t groups_collect(struct groups *gs, const struct group_window *w, bool only_listed,
                      const struct keysort_item **out);

// Between steps, when nothing is listed: drops groups that are clean and were not used lately until
// at most `bytes` are held, or none is left to drop. Addresses change.
void groups_evict(struct groups *gs, size_t bytes);

#endif
