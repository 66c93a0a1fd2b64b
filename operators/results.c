// SPDX-License-Identifier: Apache-2.0
#include "operators/results.h"

#include "operators/cells.h"
#include "operators/groupkey.h"
#include "operators/operators.h"
#include "operators/pack.h"
#include "runtime/base/heap.h"

#include <strings.h>

// --- open and close ---

static const char *key_name(const struct plan_node *node, int i)
{
    return node->n_key_names > 0 ? node->key_names[i] : "key";
}

static void open_names(struct results *r)
{
    const struct plan_node *node = r->op->node;
    int n = 0;

    r->n_key = node->n_key_names > 0 ? node->n_key_names : 1;
    r->names = heap_zalloc((size_t)(r->n_key + 2 + r->f.n) * sizeof(*r->names));
    for (int i = 0; i < r->n_key; i++)
        r->names[n++] = bytes_str(key_name(node, i));
    r->names[n++] = BYTES_LIT("window_start");
    r->names[n++] = BYTES_LIT("window_end");
    for (int i = 0; i < r->f.n; i++)
        r->names[n++] = node->aggregate.aggs[i].name;
    r->n_fields = n;
}

static bool has_typed_keys(struct results *r)
{
    struct tables *t = run_tables(r->op->run);
    const struct plan_node *node = r->op->node;
    const char *const *names, *const *types;
    int n = t->ops->columns(t, node->aggregate.table, &names, &types);

    for (int i = 0; i < r->n_key; i++) {
        int c = n > 0 ? column_find(names, n, bytes_str(key_name(node, i))) : -1;

        if (c < 0 || strcasecmp(types[c], "any") != 0)
            return true;
    }
    return false;
}

static int open_state(struct results *r, struct err *e)
{
    const struct plan_node *node = r->op->node;
    struct states *states = run_states(r->op->run);
    bool last = node->aggregate.window.kind == WINDOW_LAST; // has its rows elsewhere
    bool session = node->aggregate.window.kind == WINDOW_SESSION;
    const char **keys = heap_zalloc((size_t)(r->n_key + 1) * sizeof(*keys));
    const char **columns = heap_zalloc((size_t)(r->f.n + 1) * sizeof(*columns));
    struct arena names;
    struct state_spec spec = {.id = node->id,
                              .table = node->aggregate.table,
                              .windowed = node->aggregate.window.kind != WINDOW_NONE,
                              .key_names = keys,
                              .n_key = r->n_key,
                              .columns = columns,
                              .n_columns = r->f.n,
                              .n_prefix = session ? r->n_key : 0,
                              .by_key = session,
                              .ttl_ms = node->aggregate.ttl_ms > 0 ? node->aggregate.ttl_ms : 0};
    int rc;

    arena_init(&names);
    for (int i = 0; i < r->n_key; i++)
        keys[i] = key_name(node, i);
    for (int i = 0; i < r->f.n; i++)
        columns[i] = (const char *)arena_copy(&names, node->aggregate.aggs[i].name).p;
    rc = last ? 0 : states->ops->open(states, &spec, &r->state, e);
    arena_deinit(&names);
    heap_free(keys);
    heap_free(columns);
    return rc;
}

int results_open(struct results *r, struct operator *o, struct err *e)
{
    int rc;

    r->op = o;
    r->fused = o->node->aggregate.table >= 0;
    arena_init(&r->arena);
    rc = functions_open(&r->f, o, e);
    if (rc < 0)
        return rc;
    open_names(r);
    r->typed_keys = r->fused && has_typed_keys(r);
    return open_state(r, e);
}

void results_close(struct results *r)
{
    functions_close(&r->f);
    heap_free(r->names);
    buf_deinit(&r->key);
    buf_deinit(&r->blob);
    if (r->op != NULL)
        arena_deinit(&r->arena);
}

// --- keys ---

int results_key(struct results *r, const struct event *ev, const struct value **parts,
                struct err *e)
{
    int n = event_key_parts(ev, parts);

    if (n == 0)
        return err_set(e, LEAT_EKEY, "a record without a key belongs to no group: use :by");
    if (n != r->n_key)
        return err_set(e, LEAT_EKEY, "the key has %d parts instead of %d", n, r->n_key);
    buf_clear(&r->key);
    return group_key_encode(&r->key, *parts, n, e);
}

int results_exact(struct results *r, const struct value *parts, struct err *e)
{
    bool keep = r->typed_keys || !group_key_is_exact(parts, r->n_key);
    int rc = 0;

    buf_clear(&r->blob);
    for (int i = 0; i < r->n_key && rc == 0 && keep; i++)
        rc = pack_value(&r->blob, &parts[i], e);
    return rc;
}

void results_parts(const struct results *r, struct bytes key, struct bytes exact,
                   struct value *parts, struct arena *a)
{
    if (exact.n == 0) {
        group_key_decode(key, parts, r->n_key, a);
        return;
    }
    for (int i = 0; i < r->n_key; i++) {
        int rc = unpack_value(&exact, &parts[i]);

        ASSERT(rc == 0);
    }
}

// In a state table of our own the columns hold the plain number, so that equal keys are one row.
struct value *results_row_parts(struct results *r, struct bytes key, struct bytes exact)
{
    struct value *parts = arena_alloc(&r->arena, (size_t)(r->n_key + 1) * sizeof(*parts));

    results_parts(r, key, r->fused ? exact : BYTES_NULL, parts, &r->arena);
    return parts;
}

void results_pack_exact(const struct results *r, struct bytes exact, struct buf *out)
{
    pack_u8(out, exact.n == 0 ? 0 : (uint8_t)r->n_key);
    buf_append_bytes(out, exact);
}

int results_unpack_exact(const struct results *r, struct bytes *in, struct value *parts,
                         struct bytes *exact)
{
    struct value part;
    uint8_t n;
    int rc = unpack_u8(in, &n);

    if (rc < 0 || (n != 0 && n != r->n_key))
        return LEAT_ECORRUPT;
    *exact = *in;
    for (int i = 0; i < n && rc == 0; i++)
        rc = unpack_value(in, parts != NULL ? &parts[i] : &part);
    exact->n -= in->n;
    return rc;
}

// --- results ---

static struct value event_key(const struct results *r, struct value *parts, struct arena *a)
{
    struct value_array *array;

    if (r->n_key == 1)
        return parts[0];
    array = arena_alloc(a, sizeof(*array));
    *array = (struct value_array){.n = (size_t)r->n_key, .items = parts};
    return (struct value){.type = VALUE_ARRAY, .array = array};
}

struct event results_event(struct results *r, struct value *parts, const void *acc, int64_t start,
                           int64_t end, struct arena *a)
{
    struct value_object *obj = arena_alloc(a, sizeof(*obj));
    struct event ev = {.partition = -1, .offset = -1, .time = end - 1, .timestamp = end - 1};
    int i = r->n_key;

    obj->n = (size_t)r->n_fields;
    obj->names = r->names;
    obj->values = arena_alloc(a, (size_t)r->n_fields * sizeof(*obj->values));
    memcpy(obj->values, parts, (size_t)r->n_key * sizeof(*parts));
    obj->values[i++] = value_int(start);
    obj->values[i++] = value_int(end);
    functions_results(&r->f, acc, obj->values + i, a);
    ev.key = event_key(r, parts, a);
    view_of(&ev.view, NULL, (struct value){.type = VALUE_OBJECT, .object = obj}, a);
    return ev;
}

// Without windows the row has no bounds.
struct value results_row(struct results *r, struct value *parts, const void *acc, int64_t start,
                         int64_t end)
{
    struct arena *a = run_arena(r->op->run);
    struct event ev = results_event(r, parts, acc, start, end, a);
    struct value row = value_copy(&ev.view.root, a);
    struct value_object *shown = arena_alloc(a, sizeof(*shown));
    size_t key = (size_t)r->n_key, rest = (size_t)r->f.n;

    if (r->op->node->aggregate.window.kind != WINDOW_NONE)
        return row;
    *shown = *row.object;
    memmove(shown->names + key, shown->names + key + 2, rest * sizeof(*shown->names));
    memmove(shown->values + key, shown->values + key + 2, rest * sizeof(*shown->values));
    shown->n -= 2;
    return (struct value){.type = VALUE_OBJECT, .object = shown};
}

int results_changed(struct results *r, const struct event *cause, struct value *parts,
                    const struct value *old, const struct value *row, struct err *e)
{
    struct arena *a = run_arena(r->op->run);
    struct event ev = *cause;
    struct view before;

    if (value_eq(old, row, a))
        return 0;
    ev.key = event_key(r, parts, a);
    ev.key_raw = BYTES_NULL;
    ev.headers = NULL;
    ev.n_headers = 0;
    view_of(&ev.view, NULL, *row, a);
    view_of(&before, NULL, *old, a);
    ev.old = &before;
    return operator_emit(r->op, OUT_CHANGES, &ev, e);
}
