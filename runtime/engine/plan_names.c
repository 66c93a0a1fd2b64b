// SPDX-License-Identifier: Apache-2.0
//
// Names that outlive a run: the parts of keys (columns of the tables that aggregates feed), after a
// path's last name, and the ids of operators (names of their state).
//
// An id is the path of words from the source: from[telemetry]/by/window/aggregate. where, select
// and the like are left out of the paths of those behind them, so that adding one renames no state;
// the second operator with the same path gets "#2". A name pinned by :name replaces the path.
#include "runtime/engine/plan_passes.h"

#include "runtime/base/hashmap.h"
#include "runtime/expr/expr.h"

static bool part_taken(const struct plan_node *n, int upto, struct bytes name)
{
    for (int i = 0; i < upto; i++)
        if (bytes_eq(n->by.parts[i].name, name))
            return true;
    return false;
}

static void name_part(struct plan *p, struct plan_node *n, int i)
{
    struct plan_field *f = &n->by.parts[i];
    struct bytes name = BYTES_LIT("key");
    struct bytes base;

    if (!bytes_is_null(f->name))
        return;
    if (f->expr.compiled != NULL)
        (void)expr_is_path(f->expr.compiled, &name);
    if (name.n == 0)
        name = BYTES_LIT("key");
    base = name;
    for (int k = 2; part_taken(n, i, name); k++)
        name = bytes_str(arena_printf(&p->arena, "%.*s_%d", BYTES_FMT(base), k));
    f->name = arena_copy(&p->arena, name);
}

static void key_names_by(struct plan *p, struct plan_node *n, struct plan_node *to)
{
    to->n_key_names = n->by.n;
    to->key_names = arena_alloc(&p->arena, (size_t)n->by.n * sizeof *to->key_names);
    to->key_types = arena_alloc(&p->arena, (size_t)n->by.n * sizeof *to->key_types);
    for (int i = 0; i < n->by.n; i++) {
        to->key_names[i] = (const char *)arena_copy(&p->arena, n->by.parts[i].name).p;
        to->key_types[i] = plan_part_type(n, i);
    }
}

static void key_take(struct plan *p, struct plan_node *n, const struct plan_node *from, bool first)
{
    const struct type **both;

    if (first) {
        n->n_key_names = from->n_key_names;
        n->key_names = from->key_names;
        n->key_types = from->key_types;
        return;
    }
    both = arena_alloc(&p->arena, ((size_t)n->n_key_names + 1) * sizeof *both);
    for (int i = 0; i < n->n_key_names; i++)
        both[i] = type_either(n->key_types[i], from->key_types[i], &p->arena);
    n->key_types = both;
}

int plan_key_names(struct plan *p, struct plan_node *n, struct err *e)
{
    bool of_table = n->kind == NODE_CHANGES && n->changes.name != NULL; // the table's key, unnamed

    for (int i = 0; i < n->n_inputs && !of_table; i++) {
        struct plan_node *from = &p->nodes[n->inputs[i].node];
        struct plan_node got = *n;

        if (from->kind == NODE_BY)
            key_names_by(p, from, &got);
        else
            key_take(p, &got, from, true);
        if (i > 0 && got.n_key_names != n->n_key_names)
            return plan_refuse(p, n->line, e,
                               "in %s: the streams that meet here have keys of %d and %d parts",
                               node_kind_name(n->kind), n->n_key_names, got.n_key_names);
        key_take(p, n, &got, i == 0);
    }
    if (n->kind == NODE_BY)
        for (int i = 0; i < n->by.n; i++)
            name_part(p, n, i);
    return 0;
}

static const char *last_word(struct plan *p, const struct plan_node *n)
{
    switch (n->kind) {
    case NODE_SOURCE:
        return arena_printf(&p->arena, "from[%s]", n->source.topic);
    case NODE_EVERY:
        return arena_printf(&p->arena, "every[%lldms]", (long long)n->every.interval_ms);
    case NODE_TO:
        return arena_printf(&p->arena, "to[%s]", n->to.topic);
    case NODE_INTO:
        return arena_printf(&p->arena, "into[%s]",
                            n->into.table >= 0 ? p->tables[n->into.table].name : n->into.name);
    case NODE_CHANGES:
        return n->changes.name != NULL ? arena_printf(&p->arena, "changes[%s]", n->changes.name)
                                       : "changes";
    case NODE_AGGREGATE:
        return n->aggregate.window.kind != WINDOW_NONE ? "window/aggregate" : "aggregate";
    default:
        return node_kind_name(n->kind);
    }
}

// What the ids of those behind this node start with.
static const char *path_of(struct plan *p, const char *const *paths, const struct plan_node *n,
                           const char *id)
{
    (void)p;
    return n->name == NULL && node_kind_stateless(n->kind) ? paths[n->inputs[0].node] : id;
}

static int give_id(struct plan *p, struct plan_node *n, struct hashmap *used, const char **paths,
                   struct err *e)
{
    const char *id = n->name;

    if (id == NULL) {
        const char *word = last_word(p, n);
        bool starts = n->n_inputs == 0 || (n->kind == NODE_CHANGES && n->changes.name != NULL);
        const char *base =
            starts ? word : arena_printf(&p->arena, "%s/%s", paths[n->inputs[0].node], word);
        id = base;
        for (int k = 2; hashmap_get(used, bytes_str(id)) != NULL; k++)
            id = arena_printf(&p->arena, "%s#%d", base, k);
    } else if (hashmap_get(used, bytes_str(id)) != NULL) {
        return plan_refuse(p, n->line, e, "in %s: the name \"%s\" is taken",
                           node_kind_name(n->kind), id);
    }
    n->id = id;
    hashmap_put(used, bytes_str(id), n);
    paths[n - p->nodes] = path_of(p, paths, n, id);
    return 0;
}

int plan_pass_names(struct plan *p, struct err *e)
{
    const char **paths = arena_alloc(&p->arena, (size_t)p->n_nodes * sizeof *paths);
    struct hashmap used;
    int rc = 0;

    hashmap_init(&used, 0);
    for (int i = 0; i < p->n_nodes && rc == 0; i++) {
        rc = give_id(p, &p->nodes[i], &used, paths, e);
    }
    hashmap_deinit(&used);
    return rc;
}
