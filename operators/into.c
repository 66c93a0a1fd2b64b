// SPDX-License-Identifier: Apache-2.0
//
// into(table): rows from events, one put each. Three ways in:
//
//   from an aggregate   nothing to do: the aggregate's state rows are the table's rows already
//   from a changelog    the key goes into the primary key, a tombstone deletes the row, any other
//                       record replaces it whole: columns it does not have become NULL
//   from a stream       the columns given, or all columns by name; a field that the record does not
//                       have is absent (a part of the key with that name stands in), null is NULL
//
// By name, fields that are no columns are ignored; columns given by hand must exist.
#include "operators/cells.h"
#include "runtime/base/heap.h"
#include "runtime/base/number.h"

#include <strings.h>

struct into {
    struct operator op;
    bool fused;
    bool changelog;
    int n;                      // cells
    struct bytes *names;        // of the cells
    struct plan_field **fields; // per cell: its expression, NULL for "by name"
    int *key_part;              // per cell: the part of the event's key that stands in, -1
    struct value *cells;        // reused
    // changelog: where the key goes
    int n_primary;
    struct bytes *primary;
    int *primary_cell;  // index of its cell, -1 when a mapping leaves it out
    bool *primary_int;  // an INTEGER column: text keys are read as numbers
    struct table_action *put, *del;
};

static const char *table_name(const struct operator *o)
{
    return run_plan(o->run)->tables[o->node->into.table].name;
}

static int key_part_find(const struct plan_node *node, struct bytes name)
{
    for (int i = 0; i < node->n_key_names; i++)
        if (bytes_eq_str(name, node->key_names[i]))
            return i;
    return -1;
}

static void into_cells_alloc(struct into *in, int n)
{
    size_t room = (size_t)n + 1;

    in->names = heap_zalloc(room * sizeof(*in->names));
    in->fields = heap_zalloc(room * sizeof(struct plan_field *));
    in->key_part = heap_zalloc(room * sizeof(*in->key_part));
    in->cells = heap_zalloc(room * sizeof(*in->cells));
}

static void into_add_cell(struct into *in, struct bytes name, struct plan_field *field)
{
    in->names[in->n] = name;
    in->fields[in->n] = field;
    in->key_part[in->n] = field != NULL ? -1 : key_part_find(in->op.node, name);
    in->n++;
}

// Mapped columns; in a changelog also the primary key, which the record's key fills.
static int into_columns(struct into *in, struct err *e)
{
    struct tables *t = run_tables(in->op.run);
    const struct plan_node *node = in->op.node;
    const char *const *names, *const *types, *const *primary;
    int n = t->ops->columns(t, node->into.table, &names, &types);
    int n_primary = t->ops->primary_key(t, node->into.table, &primary);

    if (n < 0 || n_primary < 0)
        return err_set(e, n < 0 ? n : n_primary, "the columns of %s are not known",
                       table_name(&in->op));
    into_cells_alloc(in, node->into.n + n + n_primary);
    for (int i = 0; i < node->into.n; i++) // prepare says which of them cannot be written
        into_add_cell(in, node->into.columns[i].name, &node->into.columns[i]);
    for (int i = 0; node->into.n == 0 && i < n; i++)
        into_add_cell(in, bytes_str(names[i]), NULL);
    return 0;
}

static int into_primary(struct into *in, struct err *e)
{
    struct tables *t = run_tables(in->op.run);
    const char *const *names, *const *types, *const *primary;
    int n = t->ops->columns(t, in->op.node->into.table, &names, &types);
    int n_primary = t->ops->primary_key(t, in->op.node->into.table, &primary);
    size_t room;

    if (n < 0 || n_primary < 1)
        return err_set(e, LEAT_EINVAL, "table %s has no primary key for a changelog",
                       table_name(&in->op));
    room = (size_t)n_primary;
    in->n_primary = n_primary;
    in->primary = heap_zalloc(room * sizeof(*in->primary));
    in->primary_cell = heap_zalloc(room * sizeof(*in->primary_cell));
    in->primary_int = heap_zalloc(room * sizeof(*in->primary_int));
    for (int i = 0; i < n_primary; i++) {
        struct bytes name = bytes_str(primary[i]);
        int column = column_find(names, n, name), cell = -1;

        for (int c = 0; c < in->n; c++)
            if (bytes_eq(in->names[c], name))
                cell = c;
        if (cell < 0) {
            cell = in->n;
            into_add_cell(in, name, NULL);
        }
        in->primary[i] = name;
        in->primary_cell[i] = cell;
        in->primary_int[i] = column >= 0 && (strcasecmp(types[column], "integer") == 0 ||
                                             strcasecmp(types[column], "int") == 0);
    }
    return 0;
}

static int into_prepare(struct into *in, struct err *e)
{
    struct tables *t = run_tables(in->op.run);
    struct table_shape put = {.table = in->op.node->into.table,
                              .verb = VERB_PUT,
                              .columns = in->names,
                              .n_cells = in->n,
                              .replaces = in->changelog};
    struct table_shape del = {.table = in->op.node->into.table,
                              .verb = VERB_DELETE,
                              .key_columns = in->primary,
                              .n_key = in->n_primary};
    int rc = t->ops->prepare(t, &put, &in->put, e);

    if (rc == 0 && in->changelog)
        rc = t->ops->prepare(t, &del, &in->del, e);
    return rc;
}

static int into_open(struct operator *o, struct err *e)
{
    struct into *in = (struct into *)o;
    const struct plan *p = run_plan(o->run);
    const struct plan_input *from = &o->node->inputs[0];
    const struct plan_node *node = &p->nodes[from->node];
    int rc;

    // What a look-back window gives is a stream, one record for each reading.
    if (node->kind == NODE_AGGREGATE && from->port == OUT_MAIN &&
        node->aggregate.window.kind != WINDOW_LAST) {
        in->fused = node->aggregate.table == o->node->into.table;
        if (!in->fused)
            return err_set(e, LEAT_EUNSUPPORTED,
                           "an aggregate's rows can be kept in one table only, and %s is not it: "
                           "send its closed windows with :final()",
                           table_name(o));
        return 0;
    }
    in->changelog = plan_is_changelog(p, o->node);
    rc = into_columns(in, e);
    if (rc == 0 && in->changelog)
        rc = into_primary(in, e);
    return rc < 0 ? rc : into_prepare(in, e);
}

// A text key of an integer column is a number in text: Kafka keys have no types.
static int key_value(struct into *in, int i, struct value *v, struct err *e)
{
    int64_t number;

    if (!in->primary_int[i] || v->type != VALUE_TEXT)
        return 0;
    if (number_parse_int(v->s, &number) < 0)
        return err_set(e, LEAT_EKEY, "the key '%.*s' is no integer, which %s.%.*s wants",
                       BYTES_FMT(v->s), table_name(&in->op), BYTES_FMT(in->primary[i]));
    *v = value_int(number);
    return 0;
}

static int changelog_key(struct into *in, const struct event *ev, struct value *key,
                         struct err *e)
{
    const struct value *parts;
    int n = event_key_parts(ev, &parts), rc = 0;

    if (n == 0)
        return err_set(e, LEAT_EKEY, "a changelog record without a key names no row of %s",
                       table_name(&in->op));
    if (n != in->n_primary)
        return err_set(e, LEAT_EKEY,
                       "the key has %d parts, the primary key of %s has %d: use :by with as many",
                       n, table_name(&in->op), in->n_primary);
    for (int i = 0; i < n && rc == 0; i++) {
        key[i] = parts[i];
        rc = key_value(in, i, &key[i], e);
    }
    return rc;
}

static int into_eval(struct into *in, struct event *ev, struct err *e)
{
    const struct value *parts;
    int n_parts = event_key_parts(ev, &parts), rc = 0;

    for (int i = 0; i < in->n && rc == 0; i++) {
        struct value *cell = &in->cells[i];

        if (in->fields[i] != NULL)
            rc = cells_eval(&in->op, in->fields[i], 1, ev, cell, e);
        else
            rc = view_member(&ev->view, in->names[i], cell, e);
        if (rc == 0 && cell->type == VALUE_MISSING && in->key_part[i] >= 0 &&
            in->key_part[i] < n_parts)
            *cell = parts[in->key_part[i]];
    }
    return rc;
}

static int changelog_process(struct into *in, struct event *ev, struct err *e)
{
    struct tables *t = run_tables(in->op.run);
    struct value *key = arena_alloc(run_arena(in->op.run), (size_t)in->n_primary * sizeof(*key));
    int rc = changelog_key(in, ev, key, e);

    if (rc < 0)
        return rc;
    if (value_is_nil(&ev->view.root))
        return t->ops->run(in->del, key, NULL, NULL, e);
    rc = into_eval(in, ev, e);
    if (rc < 0)
        return rc;
    for (int i = 0; i < in->n_primary; i++)
        in->cells[in->primary_cell[i]] = key[i];
    return t->ops->run(in->put, NULL, in->cells, NULL, e);
}

static int into_process(struct operator *o, struct event *ev, int input, struct err *e)
{
    struct into *in = (struct into *)o;
    struct tables *t = run_tables(o->run);
    int rc;

    (void)input;
    if (in->fused)
        return 0;
    if (in->changelog)
        return changelog_process(in, ev, e);
    if (!value_is_object(&ev->view.root) && in->op.node->into.n == 0)
        return err_set(e, LEAT_ETYPE, "a row of %s needs an object, not %s", table_name(o),
                       value_type_name(&ev->view.root));
    rc = into_eval(in, ev, e);
    return rc < 0 ? rc : t->ops->run(in->put, NULL, in->cells, NULL, e);
}

static void into_close(struct operator *o)
{
    struct into *in = (struct into *)o;

    heap_free(in->names);
    heap_free(in->fields);
    heap_free(in->key_part);
    heap_free(in->cells);
    heap_free(in->primary);
    heap_free(in->primary_cell);
    heap_free(in->primary_int);
}

const struct operator_type operator_into = {
    .kind = NODE_INTO,
    .size = sizeof(struct into),
    .open = into_open,
    .process = into_process,
    .close = into_close,
};
