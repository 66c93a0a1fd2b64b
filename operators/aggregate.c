// SPDX-License-Identifier: Apache-2.0
//
// aggregate: counts records into groups, one group per (window, key). A group's row in state is the
// truth; what is here is a write-back cache over it (groups.h).
//
//   record     for each window of its time that is still open: find the group (in memory, else in
//              state), remember its bytes for undo, add. Windows whose deadline the watermark has
//              passed are late: counted, sampled, and once on OUT_LATE
//   watermark  windows whose deadline passed are closed, first to last (close.c)
//   flush      every dirty group is written once, in (window, key) order
//   commit     clean groups are evicted down to the memory cap
//   abort      everything is forgotten and found again in state
//
// A table fed by the aggregate (fused) has the groups as its rows: the same write brings the result
// columns and the packed accumulators. OUT_MAIN is that table's stream and emits nothing here.
//
// The blob of a group: version u8 = 1, number of key parts that follow u8 (all, or 0 when the
// columns tell them exactly), the parts, then each accumulator in the plan's order.
//
// Key columns forget: that 1 was true or 1.0, and in a table that the user declared whatever its
// column types convert. Then the parts in the blob say what the key was, here and when the row is
// read back; in a state table of our own the columns hold the plain number, so that equal keys are
// one row.
#include "operators/aggregate.h"

#include "operators/cells.h"
#include "operators/groupkey.h"
#include "operators/pack.h"
#include "operators/window.h"
#include "runtime/base/heap.h"

#include <strings.h>

#define BLOB_VERSION 1
#define CACHE_BYTES_DEFAULT (64 * 1024 * 1024)
#define CLOSE_ROWS_DEFAULT 16384
#define ROWS_TOGETHER_MAX 256

// --- open and close ---

static void drop_group(void *arg, struct group *group)
{
    struct aggregate *g = arg;

    for (int i = 0; i < g->n; i++)
        if (g->types[i]->drop != NULL)
            g->types[i]->drop((uint8_t *)group->acc + g->at[i]);
}

static int open_functions(struct aggregate *g, struct err *e)
{
    const struct plan_node *node = g->op.node;
    size_t at = 0;
    bool drops = false;

    g->n = node->aggregate.n;
    g->types = heap_zalloc((size_t)(g->n + 1) * sizeof(*g->types));
    g->at = heap_zalloc((size_t)(g->n + 1) * sizeof(*g->at));
    g->args = heap_zalloc((size_t)(g->n + 1) * sizeof(*g->args));
    for (int i = 0; i < g->n; i++) {
        const struct plan_aggregate *a = &node->aggregate.aggs[i];

        g->types[i] = agg_type(a->kind);
        if (g->types[i] == NULL)
            return err_set(e, LEAT_EUNSUPPORTED, "%.*s: this aggregate is not supported yet",
                           BYTES_FMT(a->name));
        if (!a->has_arg && a->kind != AGG_COUNT)
            return err_set(e, LEAT_EINVAL, "%.*s: %s needs an expression", BYTES_FMT(a->name),
                           agg_kind_name(a->kind));
        g->args[i] = value_bool(true); // what count without an argument counts
        g->at[i] = at;
        at += g->types[i]->size;
        drops = drops || g->types[i]->drop != NULL;
    }
    groups_init(&g->groups, at);
    g->groups.drop = drops ? drop_group : NULL;
    g->groups.arg = g;
    return 0;
}

static const char *key_name(const struct plan_node *node, int i)
{
    return node->n_key_names > 0 ? node->key_names[i] : "key";
}

static void open_names(struct aggregate *g)
{
    const struct plan_node *node = g->op.node;
    int n = 0;

    g->n_key = node->n_key_names > 0 ? node->n_key_names : 1;
    g->names = heap_zalloc((size_t)(g->n_key + 2 + g->n) * sizeof(*g->names));
    for (int i = 0; i < g->n_key; i++)
        g->names[n++] = bytes_str(key_name(node, i));
    g->names[n++] = BYTES_LIT("window_start");
    g->names[n++] = BYTES_LIT("window_end");
    for (int i = 0; i < g->n; i++)
        g->names[n++] = node->aggregate.aggs[i].name;
    g->n_fields = n;
}

static bool has_typed_keys(struct aggregate *g)
{
    struct tables *t = run_tables(g->op.run);
    const struct plan_node *node = g->op.node;
    const char *const *names, *const *types;
    int n = t->ops->columns(t, node->aggregate.table, &names, &types);

    for (int i = 0; i < g->n_key; i++) {
        int c = n > 0 ? column_find(names, n, bytes_str(key_name(node, i))) : -1;

        if (c < 0 || strcasecmp(types[c], "any") != 0)
            return true;
    }
    return false;
}

static int open_state(struct aggregate *g, struct err *e)
{
    const struct plan_node *node = g->op.node;
    struct states *states = run_states(g->op.run);
    const char **keys = heap_zalloc((size_t)g->n_key * sizeof(*keys));
    const char **columns = heap_zalloc((size_t)(g->n + 1) * sizeof(*columns));
    struct arena names;
    struct state_spec spec = {.id = node->id,
                              .table = node->aggregate.table,
                              .windowed = g->window->kind != WINDOW_NONE,
                              .key_names = keys,
                              .n_key = g->n_key,
                              .columns = columns,
                              .n_columns = g->n};
    int rc;

    arena_init(&names);
    for (int i = 0; i < g->n_key; i++)
        keys[i] = key_name(node, i);
    for (int i = 0; i < g->n; i++)
        columns[i] = (const char *)arena_copy(&names, node->aggregate.aggs[i].name).p;
    rc = states->ops->open(states, &spec, &g->state, e);
    arena_deinit(&names);
    heap_free(keys);
    heap_free(columns);
    return rc;
}

static int aggregate_open(struct operator *o, struct err *e)
{
    struct aggregate *g = (struct aggregate *)o;
    int rc;

    g->window = &o->node->aggregate.window;
    g->fused = o->node->aggregate.table >= 0;
    g->env.run = o->run;
    g->cache_bytes = CACHE_BYTES_DEFAULT;
    g->close_rows = CLOSE_ROWS_DEFAULT;
    arena_init(&g->arena);
    groups_init(&g->groups, 0);
    rc = window_check(g->window, e);
    if (rc == 0)
        rc = open_functions(g, e);
    if (rc < 0)
        return rc;
    open_names(g);
    g->typed_keys = g->fused && has_typed_keys(g);
    rc = open_state(g, e);
    return rc < 0 ? rc : aggregate_reload(g, e);
}

static void aggregate_close(struct operator *o)
{
    struct aggregate *g = (struct aggregate *)o;

    aggregate_drop_closing(g);
    groups_deinit(&g->groups);
    agg_env_deinit(&g->env);
    heap_free(g->closing);
    heap_free(g->types);
    heap_free(g->at);
    heap_free(g->args);
    heap_free(g->names);
    buf_deinit(&g->key);
    buf_deinit(&g->blob);
    arena_deinit(&g->arena);
}

void aggregate_limits(struct operator *o, size_t cache_bytes, size_t close_rows)
{
    struct aggregate *g = (struct aggregate *)o;

    g->cache_bytes = cache_bytes;
    g->close_rows = close_rows;
}

// --- rows ---

uint64_t aggregate_hash(struct bytes key)
{
    return bytes_hash(key, 0);
}

void aggregate_parts(struct aggregate *g, const struct group *group, struct value *parts,
                     struct arena *a)
{
    struct bytes exact = bytes_of(group->exact, group->exact_n);

    if (group->exact == NULL) {
        group_key_decode(group_key(group), parts, g->n_key, a);
        return;
    }
    for (int i = 0; i < g->n_key; i++) {
        int rc = unpack_value(&exact, &parts[i]);

        ASSERT(rc == 0);
    }
}

void aggregate_results(const struct aggregate *g, const struct group *group, struct value *out)
{
    for (int i = 0; i < g->n; i++)
        out[i] = g->types[i]->result((const uint8_t *)group->acc + g->at[i]);
}

// The parts go into the blob only when the key does not tell them exactly.
static int pack_group(struct aggregate *g, const struct group *group, struct err *e)
{
    int rc = 0;

    buf_clear(&g->blob);
    pack_u8(&g->blob, BLOB_VERSION);
    pack_u8(&g->blob, group->exact == NULL ? 0 : (uint8_t)g->n_key);
    buf_append(&g->blob, group->exact, group->exact_n);
    for (int i = 0; i < g->n && rc == 0; i++)
        rc = g->types[i]->pack((const uint8_t *)group->acc + g->at[i], &g->blob, e);
    return rc;
}

// The front of a blob: its version and the parts, 0 or n_key of them, which may be NULL.
static int unpack_front(const struct aggregate *g, struct bytes *in, struct value *parts,
                        struct bytes *exact)
{
    struct value part;
    uint8_t version, n;
    int rc = unpack_u8(in, &version);

    rc = rc < 0 ? rc : unpack_u8(in, &n);
    if (rc < 0 || version != BLOB_VERSION || (n != 0 && n != g->n_key))
        return LEAT_ECORRUPT;
    *exact = *in;
    for (int i = 0; i < n && rc == 0; i++)
        rc = unpack_value(in, parts != NULL ? &parts[i] : &part);
    exact->n -= in->n;
    return rc;
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

    arena_reset(&g->arena);
    parts = arena_alloc(&g->arena, (size_t)g->n_key * sizeof(*parts));
    if (unpack_front(g, &blob, parts, &exact) < 0)
        return unreadable(g, LEAT_ECORRUPT, e);
    buf_clear(&g->key);
    return group_key_encode(&g->key, exact.n > 0 ? parts : k->parts, g->n_key, e);
}

int aggregate_unpack(struct aggregate *g, struct group *group, struct bytes blob, struct err *e)
{
    struct bytes exact;
    int rc = unpack_front(g, &blob, NULL, &exact);

    if (rc == 0)
        rc = group_set_exact(&g->groups, group, exact);
    for (int i = 0; i < g->n && rc == 0; i++)
        rc = g->types[i]->unpack((uint8_t *)group->acc + g->at[i], &blob);
    if (rc == 0 && blob.n > 0)
        rc = LEAT_ECORRUPT;
    if (rc < 0)
        return unreadable(g, rc, e);
    group->flags = GROUP_PRESENT | GROUP_STORED;
    return 0;
}

// In g->arena.
static int row_of(struct aggregate *g, const struct group_window *w, const struct group *group,
                  bool closed, struct state_row *row, struct err *e)
{
    struct value *parts = arena_alloc(&g->arena, (size_t)g->n_key * sizeof(*parts));
    struct value *columns = NULL;
    int rc = 0;

    if (g->fused)
        aggregate_parts(g, group, parts, &g->arena);
    else
        group_key_decode(group_key(group), parts, g->n_key, &g->arena);
    if (g->fused) {
        columns = arena_alloc(&g->arena, (size_t)(g->n + 1) * sizeof(*columns));
        aggregate_results(g, group, columns);
    }
    if (!closed)
        rc = pack_group(g, group, e);
    *row = (struct state_row){.key = {.window = w->start,
                                      .window_end = window_end(g->window, w->start),
                                      .parts = parts,
                                      .fresh = !(group->flags & GROUP_STORED)},
                              .columns = columns};
    if (g->window->kind == WINDOW_NONE)
        row->key.window_end = 0;
    row->blob = closed || rc < 0 ? BYTES_NULL : arena_copy(&g->arena, buf_bytes(&g->blob));
    return rc;
}

// Is there something to write? What never had a row of its own needs none when it closes.
static bool is_wanted(const struct aggregate *g, const struct group *group, bool closed)
{
    if (!(group->flags & GROUP_PRESENT))
        return false;
    return closed ? g->fused || (group->flags & GROUP_STORED) : (group->flags & GROUP_DIRTY) != 0;
}

int aggregate_put(struct aggregate *g, const struct group_window *w, struct group *group,
                  bool closed, struct err *e)
{
    struct states *states = run_states(g->op.run);
    struct state_row row;
    int rc;

    if (!is_wanted(g, group, closed))
        return 0;
    arena_reset(&g->arena);
    rc = row_of(g, w, group, closed, &row, e);
    if (rc == 0)
        rc = states->ops->put(g->state, &row.key, row.columns, row.blob, e);
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
    int n_rows = 0, rc = 0;

    arena_reset(&g->arena);
    for (; *at < end && n_rows < ROWS_TOGETHER_MAX && rc == 0; ++*at) {
        struct group *group = (*at)->what;

        if ((group->flags & GROUP_STORED) || !is_wanted(g, group, closed))
            continue;
        rc = row_of(g, w, group, closed, &rows[n_rows++], e);
        group->flags = GROUP_PRESENT | GROUP_STORED; // if not: the step is aborted
    }
    return rc < 0 ? rc : states->ops->put_rows(g->state, rows, n_rows, e);
}

// The rows that are there, then the new ones, each in key order. Rows of a closed window that only
// lose their state lose it in one go.
int aggregate_put_all(struct aggregate *g, const struct group_window *w,
                      const struct keysort_item *items, size_t n, bool closed, struct err *e)
{
    const struct states_ops *ops = run_states(g->op.run)->ops;
    bool together = ops->put_rows != NULL, clears = closed && g->fused && ops->clear != NULL;
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
    return n_clear == 0 || rc < 0 ? rc : ops->clear(g->state, w->start, e);
}

static int flush_window(struct aggregate *g, struct group_window *w, struct err *e)
{
    const struct keysort_item *items;
    size_t n = groups_collect(&g->groups, w, true, &items);
    int rc = aggregate_put_all(g, w, items, n, false, e);

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

    for (size_t i = 0; i < g->groups.n_windows && rc == 0; i++)
        if (g->groups.windows[i]->n_dirty > 0)
            rc = flush_window(g, g->groups.windows[i], e);
    return rc;
}

static void aggregate_committed(struct operator *o)
{
    struct aggregate *g = (struct aggregate *)o;

    agg_env_clear(&g->env);
    if (groups_bytes(&g->groups) > g->cache_bytes)
        groups_evict(&g->groups, g->cache_bytes / 4 * 3);
}

static void aggregate_aborted(struct operator *o)
{
    struct aggregate *g = (struct aggregate *)o;

    aggregate_drop_closing(g);
    groups_clear(&g->groups);
    agg_env_clear(&g->env);
    g->stale = true;
}

static int first_window(void *arg, const struct state_key *k, struct bytes blob)
{
    (void)blob;
    *(int64_t *)arg = k->window;
    return 1;
}

// Hops from window to window: one row read for each that is open.
int aggregate_reload(struct aggregate *g, struct err *e)
{
    struct states *states = run_states(g->op.run);
    int64_t window, from = INT64_MIN;
    int rc;

    ASSERT(g->n_closing == 0);
    groups_clear(&g->groups);
    while ((rc = states->ops->scan(g->state, from, INT64_MAX, first_window, &window, e)) > 0) {
        groups_window_add(&g->groups, window, false);
        from = window + 1;
    }
    g->stale = rc < 0;
    return rc;
}

// --- records ---

static int eval_args(struct aggregate *g, struct event *ev, struct err *e)
{
    const struct plan_node *node = g->op.node;

    for (int i = 0; i < g->n; i++) {
        const struct plan_aggregate *a = &node->aggregate.aggs[i];
        int rc;

        if (!a->has_arg)
            continue;
        rc = operator_eval(&g->op, &a->arg, ev, &g->args[i], e);
        if (rc < 0)
            return err_wrap(e, rc, "%.*s", BYTES_FMT(a->name));
    }
    return 0;
}

static int encode_key(struct aggregate *g, const struct event *ev, const struct value **parts,
                      struct err *e)
{
    int n = event_key_parts(ev, parts);

    if (n == 0)
        return err_set(e, LEAT_EKEY, "a record without a key belongs to no group: use :by");
    if (n != g->n_key)
        return err_set(e, LEAT_EKEY, "the key has %d parts instead of %d", n, g->n_key);
    buf_clear(&g->key);
    return group_key_encode(&g->key, *parts, n, e);
}

// The group as state has it, for a window that is not wholly in memory.
static int fetch_from_state(struct aggregate *g, const struct group_window *w,
                            struct group *group, const struct value *parts, struct err *e)
{
    struct states *states = run_states(g->op.run);
    struct state_key k = {.window = w->start, .parts = parts};
    struct value *plain;
    struct bytes blob;
    int rc;

    arena_reset(&g->arena);
    if (!g->fused) {
        plain = arena_alloc(&g->arena, (size_t)g->n_key * sizeof(*plain));
        group_key_decode(buf_bytes(&g->key), plain, g->n_key, &g->arena);
        k.parts = plain;
    }
    rc = states->ops->get(g->state, &k, &g->arena, &blob, e);
    return rc > 0 ? aggregate_unpack(g, group, blob, e) : rc;
}

static int fetch_group(struct aggregate *g, struct group_window *w, uint64_t hash,
                       const struct value *parts, struct group **out, struct err *e)
{
    struct group *group = group_find(w, buf_bytes(&g->key), hash);
    int rc = 0;

    if (group != NULL) {
        group->recent = true;
    } else {
        group = group_add(&g->groups, w, buf_bytes(&g->key), hash);
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
    bool keep = g->typed_keys || !group_key_is_exact(parts, g->n_key);
    int rc = 0;

    buf_clear(&g->blob);
    for (int i = 0; i < g->n_key && rc == 0 && keep; i++)
        rc = pack_value(&g->blob, &parts[i], e);
    if (rc == 0 && group_set_exact(&g->groups, group, buf_bytes(&g->blob)) < 0)
        rc = err_set(e, LEAT_EKEY, "the key of %zu bytes is too long", g->blob.n);
    return rc;
}

static int count_into(struct aggregate *g, int64_t start, uint64_t hash, const struct value *parts,
                      const struct event *ev, struct err *e)
{
    struct group_window *w = groups_window_find(&g->groups, start);
    struct group *group;
    int rc;

    if (w == NULL)
        w = groups_window_add(&g->groups, start, true);
    rc = fetch_group(g, w, hash, parts, &group, e);
    if (rc == 0 && !(group->flags & GROUP_PRESENT))
        rc = begin_group(g, group, parts, e);
    if (rc < 0)
        return rc;
    run_undo_bytes(g->op.run, &group->flags, sizeof(group->flags) + g->groups.acc_bytes);
    for (int i = 0; i < g->n && rc == 0; i++) {
        if (value_is_nil(&g->args[i]))
            continue;
        rc = g->types[i]->add(&g->env, (uint8_t *)group->acc + g->at[i], &g->args[i], ev->time, e);
        if (rc < 0)
            return err_wrap(e, rc, "%.*s", BYTES_FMT(g->op.node->aggregate.aggs[i].name));
    }
    group->flags |= GROUP_PRESENT | GROUP_DIRTY;
    group_list(w, group);
    return rc;
}

static int count_windows(struct aggregate *g, int64_t first, int64_t last, struct event *ev,
                         struct err *e)
{
    const struct value *parts;
    uint64_t hash;
    int rc = encode_key(g, ev, &parts, e);

    if (rc < 0)
        return rc;
    hash = aggregate_hash(buf_bytes(&g->key));
    groups_prefetch(&g->groups, hash); // while the arguments are computed
    rc = eval_args(g, ev, e);
    if (rc < 0)
        return rc;
    if (first == last)
        return count_into(g, first, hash, parts, ev, e);
    for (int64_t start = first; start <= last && rc == 0; start += g->window->every_ms)
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
    if (rc < 0)
        return rc;
    while (first <= last && window_deadline(g->window, first) <= o->watermark) {
        first += g->window->every_ms;
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

    if (g->stale)
        return INT64_MIN + 1; // any watermark there is
    if (g->groups.n_windows == 0)
        return INT64_MAX;
    return window_deadline(g->window, g->groups.windows[0]->start);
}

static int aggregate_watermark(struct operator *o, int64_t w, struct err *e)
{
    struct aggregate *g = (struct aggregate *)o;
    int rc = g->stale ? aggregate_reload(g, e) : 0;

    while (rc == 0 && aggregate_due(o) <= w)
        rc = aggregate_close_first(g, e);
    return rc;
}

const struct operator_type operator_aggregate = {
    .kind = NODE_AGGREGATE,
    .size = sizeof(struct aggregate),
    .open = aggregate_open,
    .process = aggregate_process,
    .watermark = aggregate_watermark,
    .due = aggregate_due,
    .flush = aggregate_flush,
    .committed = aggregate_committed,
    .aborted = aggregate_aborted,
    .close = aggregate_close,
};
