// SPDX-License-Identifier: Apache-2.0
//
// aggregate: counts records into groups, one group per (window, key). A group's row in state is the
// truth; what is here is a write-back cache over it (groups.h).
//
//   record     for each window of its time that is still open: find the group, remember its bytes
//              for undo, add. One that is not in memory is read from state, which is put off until
//              the flush where that makes no difference (awaited.h). Windows whose deadline the
//              watermark has passed are late: counted, sampled, and once on OUT_LATE
//   watermark  windows whose deadline passed are closed, first to last (close.c)
//   flush      every dirty group is written once, in (window, key) order
//   commit     clean groups may be evicted, least recently used first
//   abort      everything is forgotten and found again in state
//
// Without windows a group may have a ttl: when the watermark is past its last touch + ttl it is not
// there any more, and the next record of its key begins a new one (lives.c).
//
// A table fed by the aggregate (fused) has the groups as its rows: the same write brings the result
// columns and the packed accumulators. OUT_MAIN is that table's stream and emits nothing here.
//
// The blob of a group: version u8 = 2, number of key parts that follow u8 (all, or 0 when the
// columns tell them exactly), the parts, then each accumulator in the plan's order.
//
// Key columns forget: that 1 was true or 1.0, and in a table that the user declared whatever its
// column types convert. Then the parts in the blob say what the key was, here and when the row is
// read back; in a state table of our own the columns hold the plain number, so that equal keys are
// one row.
#include "operators/aggregate.h"

#include "operators/awaited.h"
#include "operators/groupkey.h"
#include "operators/pack.h"
#include "operators/window.h"
#include "runtime/base/heap.h"

#define BLOB_VERSION 2
#if LEAT_TESTING
#define CLOSE_ROWS_DEFAULT 3
#else
#define CLOSE_ROWS_DEFAULT 16384
#endif
#define ROWS_TOGETHER_MAX 256
#define FLUSH_TOGETHER 2048 // read, then written, while their pages are at hand

// --- open and close ---

static void drop_group(void *arg, struct group *group)
{
    struct aggregate *g = arg;

    if (group->flags & GROUP_AWAITED)
        awaited_drop(g, group);
    else
        functions_drop(&g->r.f, group->acc);
}

static int aggregate_open(struct operator *o, struct err *e)
{
    struct aggregate *g = (struct aggregate *)o;
    int rc;

    g->window = &o->node->aggregate.window;
    g->close_rows = CLOSE_ROWS_DEFAULT;
    groups_init(&g->groups, 0);
    arena_init(&g->awaited.arena);
    rc = window_check(g->window, e);
    if (rc == 0)
        rc = results_open(&g->r, o, e);
    if (rc < 0)
        return rc;
    g->ttl_ms = o->node->aggregate.ttl_ms > 0 ? o->node->aggregate.ttl_ms : 0;
    groups_init(&g->groups, g->r.f.bytes + (g->ttl_ms > 0 ? sizeof(int64_t) : 0));
    g->groups.drop = g->r.f.drops ? drop_group : NULL;
    g->groups.arg = g;
    g->groups.owned = &g->r.f.env.bytes;
    g->stale = true;
    return 0;
}

static void aggregate_close(struct operator *o)
{
    struct aggregate *g = (struct aggregate *)o;

    aggregate_drop_closing(g);
    lives_clear(g);
    buf_deinit(&g->lives);
    groups_deinit(&g->groups);
    awaited_deinit(g);
    heap_free(g->closing);
    results_close(&g->r);
}

void aggregate_limits(struct operator *o, size_t close_rows)
{
    ((struct aggregate *)o)->close_rows = close_rows;
}

// --- rows ---

uint64_t aggregate_hash(struct bytes key)
{
    return bytes_hash(key, 0);
}

// The parts go into the blob only when the key does not tell them exactly.
static int pack_group(struct aggregate *g, const struct group *group, struct err *e)
{
    buf_clear(&g->r.blob);
    pack_u8(&g->r.blob, BLOB_VERSION);
    results_pack_exact(&g->r, group_exact(group), &g->r.blob);
    return functions_pack(&g->r.f, group->acc, &g->r.blob, e);
}

// The front of a blob: its version and the parts, 0 or n_key of them, which may be NULL.
static int unpack_front(const struct aggregate *g, struct bytes *in, struct value *parts,
                        struct bytes *exact)
{
    uint8_t version;
    int rc = unpack_u8(in, &version);

    if (rc < 0 || version != BLOB_VERSION)
        return LEAT_ECORRUPT;
    return results_unpack_exact(&g->r, in, parts, exact);
}

static int unreadable(const struct aggregate *g, int rc, struct err *e)
{
    return err_set(e, rc, "a state row of %s cannot be read", g->op.node->id);
}

int aggregate_row_key(struct aggregate *g, const struct state_key *k, struct bytes blob,
                      struct err *e)
{
    struct value *parts;
    struct bytes exact;

    arena_reset(&g->r.arena);
    parts = arena_alloc(&g->r.arena, (size_t)g->r.n_key * sizeof(*parts));
    if (unpack_front(g, &blob, parts, &exact) < 0)
        return unreadable(g, LEAT_ECORRUPT, e);
    buf_clear(&g->r.key);
    return group_key_encode(&g->r.key, exact.n > 0 ? parts : k->parts, g->r.n_key, e);
}

int aggregate_unpack(struct aggregate *g, struct group *group, struct bytes blob, struct err *e)
{
    struct bytes exact;
    int rc = unpack_front(g, &blob, NULL, &exact);

    if (rc == 0)
        rc = group_set_exact(&g->groups, group, exact);
    if (rc == 0)
        rc = functions_unpack(&g->r.f, group->acc, &blob);
    if (rc == 0 && g->ttl_ms > 0)
        rc = unpack_i64(&blob, group_touched(g, group));
    if (rc == 0 && blob.n > 0)
        rc = LEAT_ECORRUPT;
    if (rc < 0)
        return unreadable(g, rc, e);
    group->flags = GROUP_PRESENT | GROUP_STORED;
    return 0;
}

// In g->r.arena.
static int row_of(struct aggregate *g, const struct group_window *w, struct group *group,
                  bool closed, struct state_row *row, struct err *e)
{
    struct value *columns = NULL;
    int rc = 0;

    if (g->r.fused || g->ttl_ms > 0)
        columns = arena_alloc(&g->r.arena, (size_t)(g->r.f.n + 1) * sizeof(*columns));
    if (g->r.fused)
        functions_results(&g->r.f, group->acc, columns, &g->r.arena);
    if (g->ttl_ms > 0)
        columns[g->r.fused ? g->r.f.n : 0] = value_int(*group_touched(g, group));
    if (!closed)
        rc = pack_group(g, group, e);
    *row = (struct state_row){.key = {.window = w->start,
                                      .window_end = window_end(g->window, w->start),
                                      .parts = results_row_parts(&g->r, group_key(group),
                                                                 group_exact(group)),
                                      .fresh = !(group->flags & GROUP_STORED)},
                              .columns = columns};
    if (g->window->kind == WINDOW_NONE)
        row->key.window_end = 0;
    row->blob = closed || rc < 0 ? BYTES_NULL : arena_copy(&g->r.arena, buf_bytes(&g->r.blob));
    return rc;
}

// Is there something to write? What never had a row of its own needs none when it closes.
static bool is_wanted(const struct aggregate *g, const struct group *group, bool closed)
{
    if (!(group->flags & GROUP_PRESENT))
        return false;
    return closed ? g->r.fused || (group->flags & GROUP_STORED) : (group->flags & GROUP_DIRTY) != 0;
}

int aggregate_put(struct aggregate *g, const struct group_window *w, struct group *group,
                  bool closed, struct err *e)
{
    struct states *states = run_states(g->op.run);
    struct state_row row;
    int rc;

    if (!is_wanted(g, group, closed))
        return 0;
    arena_reset(&g->r.arena);
    rc = row_of(g, w, group, closed, &row, e);
    if (rc == 0)
        rc = states->ops->put(g->r.state, &row.key, row.columns, row.blob, e);
    if (rc == 0)
        group->flags = GROUP_PRESENT | GROUP_STORED;
    return rc;
}

// From *at on, new rows as many as go together; moves *at behind them.
static int put_new(struct aggregate *g, const struct group_window *w,
                   const struct keysort_item **at, const struct keysort_item *end, bool closed,
                   struct err *e)
{
    struct states *states = run_states(g->op.run);
    struct state_row rows[ROWS_TOGETHER_MAX];
    struct group *groups[ROWS_TOGETHER_MAX];
    int n_rows = 0, rc = 0;

    arena_reset(&g->r.arena);
    for (; *at < end && n_rows < ROWS_TOGETHER_MAX && rc == 0; ++*at) {
        struct group *group = (*at)->what;

        if ((group->flags & GROUP_STORED) || !is_wanted(g, group, closed))
            continue;
        groups[n_rows] = group;
        rc = row_of(g, w, group, closed, &rows[n_rows++], e);
    }
    if (rc == 0)
        rc = states->ops->put_rows(g->r.state, rows, n_rows, e);
    for (int i = 0; i < n_rows && rc == 0; i++)
        groups[i]->flags = GROUP_PRESENT | GROUP_STORED;
    return rc;
}

// The rows that are there, then the new ones, each in key order. Rows of a closed window that only
// lose their state lose it in one go.
int aggregate_put_all(struct aggregate *g, const struct group_window *w,
                      const struct keysort_item *items, size_t n, bool closed, struct err *e)
{
    const struct states_ops *ops = run_states(g->op.run)->ops;
    bool together = ops->put_rows != NULL, clears = closed && g->r.fused && ops->clear != NULL;
    size_t n_clear = 0;
    int rc = 0;

    for (size_t i = 0; i < n && rc == 0; i++) {
        struct group *group = items[i].what;

        if (clears && group->flags == (GROUP_PRESENT | GROUP_STORED))
            n_clear++;
        else if (!together || (group->flags & GROUP_STORED))
            rc = aggregate_put(g, w, group, closed, e);
    }
    for (const struct keysort_item *at = items; together && at < items + n && rc == 0;)
        rc = put_new(g, w, &at, items + n, closed, e);
    return n_clear == 0 || rc < 0 ? rc : ops->clear(g->r.state, w->start, e);
}

static int flush_window(struct aggregate *g, struct group_window *w, struct err *e)
{
    const struct keysort_item *items;
    size_t n = groups_collect(&g->groups, w, true, &items), k;
    int rc = 0;

    for (size_t i = 0; i < n && rc == 0; i += k) {
        k = n - i < FLUSH_TOGETHER ? n - i : FLUSH_TOGETHER;
        rc = awaited_read(g, w, items + i, k, e);
        if (rc == 0)
            rc = aggregate_put_all(g, w, items + i, k, false, e);
    }
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < n; i++)
        w->dirty[i]->listed = false;
    w->n_dirty = 0;
    return 0;
}

static int aggregate_flush(struct operator *o, struct err *e)
{
    struct aggregate *g = (struct aggregate *)o;
    int rc = aggregate_flush_closing(g, e);

    if (rc == 0 && g->ttl_ms > 0)
        rc = lives_sweep(g, e);
    for (size_t i = 0; i < g->groups.n_windows && rc == 0; i++)
        if (g->groups.windows[i]->n_dirty > 0)
            rc = flush_window(g, g->groups.windows[i], e);
    if (rc == 0)
        awaited_clear(g, false);
    return rc;
}

static void aggregate_committed(struct operator *o)
{
    struct aggregate *g = (struct aggregate *)o;

    lives_clear(g);
    agg_env_clear(&g->r.f.env);
}

static size_t aggregate_held(struct operator *o)
{
    const struct aggregate *g = (const struct aggregate *)o;

    return groups_bytes(&g->groups) + awaited_bytes(g);
}

static void aggregate_shrink(struct operator *o, size_t bytes)
{
    groups_evict(&((struct aggregate *)o)->groups, bytes);
}

static void aggregate_aborted(struct operator *o)
{
    struct aggregate *g = (struct aggregate *)o;

    aggregate_drop_closing(g);
    lives_clear(g);
    groups_clear(&g->groups);
    awaited_clear(g, true);
    agg_env_clear(&g->r.f.env);
    g->stale = true;
}

// Hops from window to window: one row read for each that is open. A table keeps the rows of closed
// ones; what the watermark has closed is not even looked at.
int aggregate_reload(struct aggregate *g, struct err *e)
{
    struct states *states = run_states(g->op.run);
    int64_t window, from = window_open_from(g->window, g->op.watermark);
    int rc;

    ASSERT(g->n_closing == 0);
    groups_clear(&g->groups);
    while ((rc = states->ops->first(g->r.state, from, INT64_MAX, &window, e)) > 0) {
        groups_window_add(&g->groups, window, false);
        from = window + 1;
    }
    g->stale = rc < 0;
    return rc;
}

// --- records ---

// The group as state has it, for a window that is not wholly in memory.
static int fetch_from_state(struct aggregate *g, const struct group_window *w,
                            struct group *group, const struct value *parts, struct err *e)
{
    struct states *states = run_states(g->op.run);
    struct state_key k = {.window = w->start, .parts = parts};
    struct bytes blob;
    int rc;

    arena_reset(&g->r.arena);
    if (!g->r.fused)
        k.parts = results_row_parts(&g->r, buf_bytes(&g->r.key), BYTES_NULL);
    rc = states->ops->get(g->r.state, &k, &g->r.arena, &blob, e);
    return rc > 0 ? aggregate_unpack(g, group, blob, e) : rc;
}

static int fetch_group(struct aggregate *g, struct group_window *w, uint64_t hash,
                       const struct value *parts, struct group **out, struct err *e)
{
    struct group *group = group_find(w, buf_bytes(&g->r.key), hash);
    int rc = 0;

    if (group != NULL) {
        group->recent = true;
    } else if (awaited_may(g, w)) {
        group = awaited_add(g, w, hash);
    } else {
        group = group_add(&g->groups, w, buf_bytes(&g->r.key), hash);
        if (!w->complete)
            rc = fetch_from_state(g, w, group, parts, e);
        if (rc < 0)
            group_remove(&g->groups, w, group, hash);
    }
    *out = group;
    return rc;
}

// The first record of a group says how its key is shown.
static int begin_group(struct aggregate *g, struct group *group, const struct value *parts,
                       struct err *e)
{
    int rc = results_exact(&g->r, parts, e);

    if (rc == 0 && group_set_exact(&g->groups, group, buf_bytes(&g->r.blob)) < 0)
        rc = err_set(e, LEAT_EKEY, "the key of %zu bytes is too long", g->r.blob.n);
    return rc;
}

static struct value row_now(struct aggregate *g, const struct group *group, int64_t start)
{
    struct arena *a = run_arena(g->op.run);
    struct value *parts;

    if (!(group->flags & GROUP_PRESENT))
        return VALUE_OF_MISSING;
    parts = arena_alloc(a, (size_t)g->r.n_key * sizeof(*parts));
    results_parts(&g->r, group_key(group), group_exact(group), parts, a);
    return results_row(&g->r, parts, group->acc, start, window_end(g->window, start));
}

static int changed(struct aggregate *g, const struct group *group, int64_t start,
                   const struct value *old, const struct event *ev, struct err *e)
{
    struct arena *a = run_arena(g->op.run);
    struct value *parts = arena_alloc(a, (size_t)g->r.n_key * sizeof(*parts));
    struct value row = row_now(g, group, start);

    results_parts(&g->r, group_key(group), group_exact(group), parts, a);
    return results_changed(&g->r, ev, parts, old, &row, e);
}

static int count_into(struct aggregate *g, int64_t start, uint64_t hash, const struct value *parts,
                      const struct event *ev, struct err *e)
{
    struct group_window *w = groups_window_find(&g->groups, start);
    bool told = g->op.node->n_outs[OUT_CHANGES] > 0; // of each change
    struct value old;
    struct group *group;
    bool first;
    int rc;

    if (w == NULL)
        w = groups_window_add(&g->groups, start, true);
    rc = fetch_group(g, w, hash, parts, &group, e);
    if (rc == 0 && g->ttl_ms > 0 && group_is_over(g, group))
        group_begin_anew(g, group);
    first = rc == 0 && !(group->flags & GROUP_PRESENT);
    if (first)
        rc = begin_group(g, group, parts, e);
    if (rc < 0)
        return rc;
    if (told)
        old = row_now(g, group, start);
    run_undo_bytes(g->op.run, &group->flags, sizeof(group->flags) + g->groups.acc_bytes);
    if (group->flags & GROUP_AWAITED)
        rc = awaited_count(g, group, ev->time, e);
    else
        rc = functions_add(&g->r.f, group->acc, g->r.f.args, ev->time, e);
    if (rc < 0)
        return rc;
    group->flags |= GROUP_PRESENT | GROUP_DIRTY;
    group_list(w, group);
    if (g->ttl_ms > 0)
        group_touch(g, group, ev->time, first);
    return told ? changed(g, group, start, &old, ev, e) : 0;
}

static int count_windows(struct aggregate *g, int64_t first, int64_t last, struct event *ev,
                         struct err *e)
{
    const struct value *parts;
    uint64_t hash;
    int rc = results_key(&g->r, ev, &parts, e);

    if (rc < 0)
        return rc;
    hash = aggregate_hash(buf_bytes(&g->r.key));
    groups_prefetch(&g->groups, hash); // while the arguments are computed
    rc = functions_eval(&g->r.f, ev, e);
    if (rc < 0)
        return rc;
    if (first == last)
        return count_into(g, first, hash, parts, ev, e);
    for (int64_t start = first; start <= last && rc == 0;
         start = window_next(g->window, start))
        rc = count_into(g, start, hash, parts, ev, e);
    return rc;
}

static int aggregate_process(struct operator *o, struct event *ev, int input, struct err *e)
{
    struct aggregate *g = (struct aggregate *)o;
    int64_t first, last;
    bool late = false;
    int rc = g->stale ? aggregate_reload(g, e) : 0;

    (void)input;
    rc = rc < 0 ? rc : window_of(g->window, ev->time, &first, &last, e);
    if (rc == 0 && g->ttl_ms > 0)
        rc = window_time_check(ev->time, e);
    if (rc < 0)
        return rc;
    while (first <= last && window_deadline(g->window, first) <= o->watermark) {
        first = window_next(g->window, first);
        late = true;
    }
    if (first <= last)
        rc = count_windows(g, first, last, ev, e);
    if (rc < 0 || !late)
        return rc;
    run_late(o->run, o, ev, o->watermark);
    return operator_emit(o, OUT_LATE, ev, e);
}

// --- the watermark ---

static int64_t aggregate_due(struct operator *o)
{
    struct aggregate *g = (struct aggregate *)o;

    if (g->ttl_ms > 0)
        return lives_due(g);
    // An error comes up again, with its words, where the operator is called.
    if (g->stale && aggregate_reload(g, NULL) < 0)
        return INT64_MIN + 1; // any watermark there is
    if (g->groups.n_windows == 0)
        return INT64_MAX;
    return window_deadline(g->window, g->groups.windows[0]->start);
}

static int aggregate_watermark(struct operator *o, int64_t w, struct err *e)
{
    struct aggregate *g = (struct aggregate *)o;
    int rc = g->stale ? aggregate_reload(g, e) : 0;

    if (g->ttl_ms > 0)
        return rc; // the flush does it
    while (rc == 0 && aggregate_due(o) <= w)
        rc = aggregate_close_first(g, e);
    return rc < 0 ? rc : 0;
}

static bool aggregate_takes(const struct plan_node *n)
{
    enum window_kind k = n->aggregate.window.kind;

    return k == WINDOW_NONE || k == WINDOW_TUMBLING || k == WINDOW_HOPPING;
}

const struct operator_type operator_aggregate = {
    .kind = NODE_AGGREGATE,
    .takes = aggregate_takes,
    .size = sizeof(struct aggregate),
    .open = aggregate_open,
    .process = aggregate_process,
    .watermark = aggregate_watermark,
    .due = aggregate_due,
    .flush = aggregate_flush,
    .committed = aggregate_committed,
    .aborted = aggregate_aborted,
    .held = aggregate_held,
    .shrink = aggregate_shrink,
    .close = aggregate_close,
};
