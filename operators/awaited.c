// SPDX-License-Identifier: Apache-2.0
#include "operators/awaited.h"

#include "runtime/base/heap.h"

#define KEYS_MAX 2048 // whose rows are read together

struct counted {
    struct counted *next;
    int64_t time;
    struct value args[];
};

struct awaited {
    struct group_window *window;
    struct group *group;
    uint64_t hash;
    bool read;
    struct awaited_now {
        struct counted *first, *last;
        uint64_t acc[]; // of what was counted since
    } now;              // what a record changes
};

// Where its accumulators will be.
static struct awaited *awaited_of(const struct group *group)
{
    struct awaited *a;

    ASSERT(group->flags & GROUP_AWAITED);
    memcpy(&a, group->acc, sizeof(a));
    return a;
}

bool awaited_may(const struct aggregate *g, const struct group_window *w)
{
    return !w->complete && g->ttl_ms == 0 && g->op.node->n_outs[OUT_CHANGES] == 0 &&
           !run_is_careful(g->op.run) && g->r.f.bytes >= sizeof(struct awaited *);
}

struct group *awaited_add(struct aggregate *g, struct group_window *w, uint64_t hash)
{
    struct group *group = group_add(&g->groups, w, buf_bytes(&g->r.key), hash);
    struct awaited *a = arena_zalloc(&g->awaited.arena, sizeof(*a) + g->r.f.bytes);

    *a = (struct awaited){.window = w, .group = group, .hash = hash};
    memcpy(group->acc, &a, sizeof(a));
    group->flags = GROUP_AWAITED;
    if (g->awaited.n == g->awaited.cap) {
        g->awaited.cap = g->awaited.cap ? g->awaited.cap * 2 : 256;
        g->awaited.all =
            heap_realloc(g->awaited.all, g->awaited.cap * sizeof(struct awaited *));
    }
    g->awaited.all[g->awaited.n++] = a;
    return group;
}

static struct counted *keep(struct aggregate *g, int64_t time)
{
    struct arena *arena = &g->awaited.arena;
    size_t n = (size_t)g->r.f.n_args;
    struct counted *c = arena_alloc(arena, sizeof(*c) + n * sizeof(*c->args));

    c->next = NULL;
    c->time = time;
    for (size_t i = 0; i < n; i++)
        c->args[i] = value_copy(&g->r.f.args[i], arena);
    return c;
}

int awaited_count(struct aggregate *g, struct group *group, int64_t time, struct err *e)
{
    struct awaited *a = awaited_of(group);
    struct counted *c;
    int rc;

    run_undo_bytes(g->op.run, &a->now, sizeof(a->now) + g->r.f.bytes);
    rc = functions_add(&g->r.f, a->now.acc, g->r.f.args, time, e);
    if (rc < 0)
        return rc;
    c = keep(g, time);
    if (a->now.last != NULL)
        a->now.last->next = c;
    else
        a->now.first = c;
    a->now.last = c;
    return 0;
}

void awaited_drop(struct aggregate *g, struct group *group)
{
    functions_drop(&g->r.f, awaited_of(group)->now.acc);
}

// --- reading ---

struct reading {
    struct aggregate *g;
    struct group **groups; // one for each key
    struct err *err;
};

// Nobody had the key before: what was counted from nothing is all there is. That is nothing when
// its records have failed later on their way.
static void take_counted(struct aggregate *g, struct group *group, struct awaited *a)
{
    bool present = (group->flags & GROUP_PRESENT) != 0;

    memcpy(group->acc, a->now.acc, g->r.f.bytes);
    group->flags = present ? GROUP_PRESENT | GROUP_DIRTY : 0;
}

// Behind the last of a failed record may hang what that record left: `last` is the end.
static int count_anew(struct aggregate *g, struct group *group, const struct awaited *a,
                      struct err *e)
{
    int rc = 0;

    if (a->now.first == NULL)
        return 0;
    for (const struct counted *c = a->now.first; c != NULL && rc == 0;
         c = c == a->now.last ? NULL : c->next)
        rc = functions_add(&g->r.f, group->acc, c->args, c->time, e);
    group->flags = GROUP_PRESENT | GROUP_DIRTY | GROUP_STORED;
    return rc;
}

static int read_row(void *arg, int i, struct bytes blob)
{
    struct reading *r = arg;
    struct aggregate *g = r->g;
    struct group *group = r->groups[i];
    struct awaited *a = awaited_of(group);
    int rc;

    a->read = true;
    if (bytes_is_null(blob)) {
        take_counted(g, group, a);
        return 0;
    }
    functions_drop(&g->r.f, a->now.acc);
    group->flags = 0;
    memset(group->acc, 0, g->r.f.bytes);
    rc = aggregate_unpack(g, group, blob, r->err);
    return rc < 0 ? rc : count_anew(g, group, a, r->err);
}

static int read_groups(struct aggregate *g, const struct group_window *w, struct group **groups,
                       int n, struct err *e)
{
    const struct states_ops *ops = run_states(g->op.run)->ops;
    struct reading r = {.g = g, .groups = groups, .err = e};
    struct run *undo = g->r.f.env.run;
    struct state_key *keys;
    int rc;

    if (n == 0)
        return 0;
    arena_reset(&g->r.arena);
    keys = arena_zalloc(&g->r.arena, (size_t)n * sizeof(*keys));
    for (int i = 0; i < n; i++) {
        keys[i].window = w->start;
        keys[i].parts = results_row_parts(&g->r, group_key(groups[i]), group_exact(groups[i]));
    }
    g->r.f.env.run = NULL; // no record's: nothing to undo
    rc = ops->get_many(g->r.state, keys, n, read_row, &r, e);
    g->r.f.env.run = undo;
    return rc;
}

int awaited_read(struct aggregate *g, const struct group_window *w,
                 const struct keysort_item *items, size_t n, struct err *e)
{
    struct group *groups[KEYS_MAX];
    int k = 0, rc = 0;

    for (size_t i = 0; i < n && rc == 0; i++) {
        struct group *group = items[i].what;

        if (group->flags & GROUP_AWAITED)
            groups[k++] = group;
        if (k < KEYS_MAX)
            continue;
        rc = read_groups(g, w, groups, k, e);
        k = 0;
    }
    return rc < 0 ? rc : read_groups(g, w, groups, k, e);
}

// What only failed records brought in. NULL: of every window.
static void forget_unread(struct aggregate *g, const struct group_window *w)
{
    for (size_t i = 0; i < g->awaited.n; i++) {
        struct awaited *a = g->awaited.all[i];

        if (a->read || a->group->listed || (w != NULL && a->window != w))
            continue;
        a->read = true;
        group_remove(&g->groups, a->window, a->group, a->hash);
    }
}

int awaited_read_all(struct aggregate *g, struct group_window *w, struct err *e)
{
    const struct keysort_item *items;
    size_t n;

    if (g->awaited.n == 0)
        return 0;
    n = groups_collect(&g->groups, w, true, &items);
    forget_unread(g, w);
    return awaited_read(g, w, items, n, e);
}

// --- the end ---

size_t awaited_bytes(const struct aggregate *g)
{
    return g->awaited.arena.used + g->awaited.cap * sizeof(struct awaited *);
}

void awaited_clear(struct aggregate *g, bool void_all)
{
    if (!void_all)
        forget_unread(g, NULL);
    g->awaited.n = 0;
    arena_reset(&g->awaited.arena);
}

void awaited_deinit(struct aggregate *g)
{
    heap_free(g->awaited.all);
    arena_deinit(&g->awaited.arena);
}
