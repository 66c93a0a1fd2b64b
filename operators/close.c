// SPDX-License-Identifier: Apache-2.0
//
// A window ends: each of its groups goes out on OUT_FINAL once, in key order, with the window's
// last millisecond as event time; then its state is cleared. The clearing is left to the flush,
// which writes each row once per step.
//
// A window that is not wholly in memory is read from state. When it has more rows than close_rows,
// this goes in pieces, lowest keys first: read, emit, clear at once, again; so closing a window
// needs no more memory than keeping it open did. Where the step has had enough it pauses: what has
// gone out is cleared at once, the rest stays open for the next step.
#include "operators/aggregate.h"

#include "operators/awaited.h"
#include "operators/window.h"
#include "runtime/base/heap.h"

static int emit_final(struct aggregate *g, const struct group_window *w,
                      const struct group *group, struct err *e)
{
    struct arena *a = &g->r.arena; // of this one event: thousands may close together
    struct value *parts;
    struct event ev;

    if (g->op.node->n_outs[OUT_FINAL] == 0 || !(group->flags & GROUP_PRESENT))
        return 0;
    arena_reset(a);
    parts = arena_alloc(a, (size_t)g->r.n_key * sizeof(*parts));
    results_parts(&g->r, group_key(group), group_exact(group), parts, a);
    ev = results_event(&g->r, parts, group->acc, w->start, window_end(g->window, w->start), a);
    return operator_emit(&g->op, OUT_FINAL, &ev, e);
}

// --- reading a window that is partly in state ---

struct piece {
    struct aggregate *g;
    struct group_window *w;
    size_t rows;      // read so far
    struct buf last;  // the highest key read
    struct err *err;
};

static int piece_row(void *arg, const struct state_key *k, struct bytes blob)
{
    struct piece *p = arg;
    struct aggregate *g = p->g;
    struct group *group;
    struct bytes key;
    uint64_t hash;
    int rc;

    rc = aggregate_row_key(g, k, blob, p->err);
    if (rc < 0)
        return rc;
    key = buf_bytes(&g->r.key);
    hash = aggregate_hash(key);
    if (p->rows == 0 || bytes_cmp(key, buf_bytes(&p->last)) > 0) {
        buf_clear(&p->last);
        buf_append_bytes(&p->last, key);
    }
    if (group_find(p->w, key, hash) == NULL) {
        group = group_add(&g->groups, p->w, key, hash);
        rc = aggregate_unpack(g, group, blob, p->err);
    }
    return rc < 0 ? rc : ++p->rows == g->close_rows;
}

// 1 when there may be more rows than were read.
static int piece_read(struct piece *p, struct err *e)
{
    struct aggregate *g = p->g;

    p->rows = 0;
    p->err = e;
    return run_states(g->op.run)->ops->scan(g->r.state, p->w->start, p->w->start + 1, piece_row, p,
                                            e);
}

// Emits, clears and forgets the groups up to the last key read.
static int piece_close(struct piece *p, struct err *e)
{
    struct aggregate *g = p->g;
    const struct keysort_item *items;
    size_t n = groups_collect(&g->groups, p->w, false, &items);
    int rc = 0;

    for (size_t i = 0; i < n && rc == 0; i++) {
        struct group *group = items[i].what;

        if (bytes_cmp(items[i].key, buf_bytes(&p->last)) > 0)
            break;
        rc = emit_final(g, p->w, group, e);
        if (rc == 0)
            rc = aggregate_put(g, p->w, group, true, e);
        if (rc == 0)
            group_remove(&g->groups, p->w, group, aggregate_hash(items[i].key));
    }
    return rc;
}

// Nothing of a closing window waits for the flush as dirty: the close writes it.
static void unlist_all(struct group_window *w)
{
    for (size_t i = 0; i < w->n_dirty; i++)
        w->dirty[i]->listed = false;
    w->n_dirty = 0;
}

// What is left of a window that closes in pieces stays open until the next step.
static void list_rest(struct aggregate *g, struct group_window *w)
{
    const struct keysort_item *items;
    size_t n = groups_collect(&g->groups, w, false, &items);

    for (size_t i = 0; i < n; i++) {
        struct group *group = items[i].what;

        if (group->flags & GROUP_DIRTY)
            group_list(w, group);
    }
}

// 1: it has paused between two pieces.
static int window_complete(struct aggregate *g, struct group_window *w, struct err *e)
{
    struct piece p = {.g = g, .w = w};
    bool paused = false;
    int rc;

    while (!paused && (rc = piece_read(&p, e)) > 0) {
        rc = aggregate_flush_closing(g, e); // rows are written in order
        if (rc == 0)
            rc = piece_close(&p, e);
        if (rc < 0)
            break;
        paused = operator_pause(&g->op);
    }
    buf_deinit(&p.last);
    w->complete = rc == 0 && !paused;
    return rc < 0 ? rc : paused;
}

// Writes and forgets the first n groups, which are closed.
static int close_some(struct aggregate *g, struct group_window *w, size_t n, struct err *e)
{
    const struct keysort_item *items;
    int rc = aggregate_flush_closing(g, e);

    (void)groups_collect(&g->groups, w, false, &items);
    for (size_t i = 0; i < n && rc == 0; i++) {
        uint64_t hash = aggregate_hash(items[i].key);

        rc = aggregate_put(g, w, items[i].what, true, e);
        if (rc == 0)
            group_remove(&g->groups, w, items[i].what, hash);
    }
    return rc;
}

// 1: it has paused among them.
static int close_groups(struct aggregate *g, struct group_window *w, struct err *e)
{
    const struct keysort_item *items;
    size_t n = groups_collect(&g->groups, w, false, &items);

    for (size_t i = 0; i < n; i++) {
        int rc = emit_final(g, w, items[i].what, e);

        if (rc < 0)
            return rc;
        if (i + 1 == n || g->op.node->n_outs[OUT_FINAL] == 0 || !operator_pause(&g->op))
            continue;
        rc = close_some(g, w, i + 1, e);
        return rc < 0 ? rc : 1;
    }
    return 0;
}

int aggregate_close_first(struct aggregate *g, struct err *e)
{
    struct group_window *w = g->groups.windows[0];
    int rc = awaited_read_all(g, w, e);

    unlist_all(w);
    if (rc == 0 && !w->complete)
        rc = window_complete(g, w, e);
    if (rc == 0)
        rc = close_groups(g, w, e);
    if (rc > 0)
        list_rest(g, w);
    if (rc != 0)
        return rc;
    if (g->n_closing == g->cap_closing) {
        g->cap_closing = g->cap_closing ? g->cap_closing * 2 : 8;
        g->closing = heap_realloc(g->closing, g->cap_closing * sizeof(struct group_window *));
    }
    g->closing[g->n_closing++] = groups_window_take_first(&g->groups);
    return operator_pause(&g->op);
}

int aggregate_flush_closing(struct aggregate *g, struct err *e)
{
    for (size_t c = 0; c < g->n_closing; c++) {
        const struct keysort_item *items;
        size_t n = groups_collect(&g->groups, g->closing[c], false, &items);
        int rc = aggregate_put_all(g, g->closing[c], items, n, true, e);

        if (rc < 0)
            return rc;
    }
    aggregate_drop_closing(g);
    return 0;
}

void aggregate_drop_closing(struct aggregate *g)
{
    for (size_t c = 0; c < g->n_closing; c++)
        groups_window_free(&g->groups, g->closing[c]);
    g->n_closing = 0;
}
