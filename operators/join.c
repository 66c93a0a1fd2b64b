// SPDX-License-Identifier: Apache-2.0
//
// join with a table: the record goes on with the row under a name of its own.
//
//   inner     without a row the record is dropped
//   left      without a row it goes on as it is, and the name reads as nil
//   wait      without a row it is class `missing`: tried again until the row is there
//   at        the row as it was at that time, from the table's history: class `history` when that
//             does not reach back so far
//
// The row is the one of the moment: what an earlier record of the same step wrote is seen. A delete
// (a nil value of a changelog, or of a table's changes) has nothing to be joined on and goes on.
#include "operators/join.h"

#include "runtime/base/datetime.h"
#include "runtime/base/heap.h"

int join_values(const struct join *j, const struct value *left, const struct value *right,
                struct arena *a, struct value *out, struct err *e)
{
    struct bytes as = j->op.node->join.as;
    size_t cap = value_count(left) + 1;
    struct value_object *obj = arena_alloc(a, sizeof(*obj));
    struct value_iter it;
    struct bytes name;
    struct value v;
    int rc = 0;

    if (!value_is_nil(left) && !value_is_object(left))
        return err_set(e, LEAT_ETYPE, "the value is not an object but %s", value_type_name(left));
    *obj = (struct value_object){.names = arena_alloc(a, cap * sizeof(*obj->names)),
                                 .values = arena_alloc(a, cap * sizeof(*obj->values))};
    if (!value_is_nil(left)) {
        value_iter_init(&it, left, a);
        while ((rc = value_iter_next(&it, &name, &v, e)) == 1) {
            if (bytes_eq(name, as))
                continue;
            obj->names[obj->n] = name;
            obj->values[obj->n++] = v;
        }
    }
    if (!value_is_nil(right)) {
        obj->names[obj->n] = as;
        obj->values[obj->n++] = *right;
    }
    *out = (struct value){.type = VALUE_OBJECT, .object = obj};
    return rc;
}

// --- with a table ---

static int key_part(struct join *j, int i, const char *const *pk, struct err *e)
{
    const struct plan_join *x = &j->op.node->join;

    j->pk_of[i] = i;
    if (x->n_on == 0 || bytes_is_null(x->on[0].name))
        return 0;
    for (int k = 0; k < x->n_on; k++)
        if (bytes_eq_str(x->on[k].name, pk[i])) {
            j->pk_of[i] = k;
            return 0;
        }
    return err_set(e, LEAT_EINVAL, "on lacks column %s of the primary key", pk[i]);
}

static int table_open(struct join *j, struct err *e)
{
    const struct plan_join *x = &j->op.node->join;
    struct tables *t = run_tables(j->op.run);
    const struct plan_table *table = &run_plan(j->op.run)->tables[x->table];
    const char *const *pk;

    if (table->aggregate >= 0)
        return err_set(e, LEAT_EUNSUPPORTED,
                       "table %s is an aggregate's, which writes its rows at the end of a step: it "
                       "cannot be joined",
                       table->name);
    if (x->with == JOIN_AS_OF && t->ops->get_at == NULL)
        return err_set(e, LEAT_EUNSUPPORTED, "at is not supported by this version");
    if (x->kind == JOIN_OUTER)
        return err_set(e, LEAT_EINVAL, "a join with a table is inner or left");
    j->changelog = plan_is_changelog(run_plan(j->op.run), j->op.node);
    j->n_pk = t->ops->primary_key(t, x->table, &pk);
    if (x->n_on != 0 && x->n_on != j->n_pk)
        return err_set(e, LEAT_EINVAL, "table %s has a primary key of %d columns, on gives %d",
                       table->name, j->n_pk, x->n_on);
    j->pk_of = heap_zalloc((size_t)j->n_pk * sizeof(*j->pk_of));
    for (int i = 0; i < j->n_pk; i++) {
        int rc = key_part(j, i, pk, e);
        if (rc < 0)
            return rc;
    }
    return 0;
}

// 0 with the primary key, 1 when a part of it is nil: there is no such row.
static int table_key(struct join *j, struct event *ev, struct value *key, struct err *e)
{
    const struct plan_join *x = &j->op.node->join;
    const struct value *parts;
    bool nil = false;

    if (x->n_on == 0 && event_key_parts(ev, &parts) != j->n_pk)
        return err_set(e, LEAT_EKEY, "the record's key has %d parts, the table's %d",
                       event_key_parts(ev, &parts), j->n_pk);
    for (int i = 0; i < j->n_pk; i++) {
        int rc = 0;

        if (x->n_on == 0)
            key[i] = parts[i];
        else
            rc = operator_eval(&j->op, &x->on[j->pk_of[i]].expr, ev, &key[i], e);
        if (rc < 0)
            return err_wrap(e, rc, "on");
        nil = nil || value_is_nil(&key[i]);
    }
    return nil;
}

static int table_row(struct join *j, struct event *ev, struct value *row, struct err *e)
{
    const struct plan_join *x = &j->op.node->join;
    struct tables *t = run_tables(j->op.run);
    struct arena *a = run_arena(j->op.run);
    struct value *key = arena_alloc(a, (size_t)j->n_pk * sizeof(*key));
    struct value at;
    int rc = table_key(j, ev, key, e);

    *row = VALUE_OF_MISSING;
    if (rc != 0)
        return rc < 0 ? rc : 0;
    if (x->with != JOIN_AS_OF)
        return t->ops->get(t, x->table, key, j->n_pk, a, row, e);
    rc = operator_eval(&j->op, &x->at, ev, &at, e);
    if (rc == 0 && at.type == VALUE_TEXT && datetime_parse(at.s, &at.i) == 0)
        at.type = VALUE_INT;
    if (rc == 0 && at.type != VALUE_INT)
        rc = err_set(e, LEAT_ETIME, "at is not a time but %s", value_type_name(&at));
    if (rc < 0)
        return rc;
    return t->ops->get_at(t, &(struct table_moment){x->table, key, j->n_pk, at.i}, a, row, e);
}

static int table_process(struct join *j, struct event *ev, struct err *e)
{
    const struct plan_join *x = &j->op.node->join;
    struct event out;
    struct value row, v;
    int rc;

    if (value_is_nil(&ev->view.root) && (x->kind == JOIN_LEFT || ev->old != NULL || j->changelog))
        return operator_emit(&j->op, OUT_MAIN, ev, e);
    rc = table_row(j, ev, &row, e);
    if (rc < 0)
        return rc;
    if (value_is_nil(&row) && x->wait_ms >= 0) {
        operator_waits(&j->op, x->wait_ms);
        return err_set(e, LEAT_EMISSING, "table %s has no such row yet",
                       run_plan(j->op.run)->tables[x->table].name);
    }
    if (value_is_nil(&row) && x->kind == JOIN_INNER)
        return 0;
    rc = join_values(j, &ev->view.root, &row, run_arena(j->op.run), &v, e);
    if (rc < 0)
        return rc;
    out = event_with_value(ev, v, run_arena(j->op.run));
    out.headers = NULL;
    out.n_headers = 0;
    return operator_emit(&j->op, OUT_MAIN, &out, e);
}

// --- either ---

static bool of_streams(const struct operator *o)
{
    return o->node->join.with == JOIN_STREAM;
}

static int join_open(struct operator *o, struct err *e)
{
    struct join *j = (struct join *)o;

    return of_streams(o) ? join_streams_open(j, e) : table_open(j, e);
}

static int join_process(struct operator *o, struct event *ev, int input, struct err *e)
{
    struct join *j = (struct join *)o;

    return of_streams(o) ? join_streams_process(j, ev, input, e) : table_process(j, ev, e);
}

static int join_watermark(struct operator *o, int64_t w, struct err *e)
{
    return of_streams(o) ? join_streams_watermark((struct join *)o, w, e) : 0;
}

static int64_t join_due(struct operator *o)
{
    return of_streams(o) ? join_streams_due((struct join *)o) : INT64_MAX;
}

static int join_flush(struct operator *o, struct err *e)
{
    return of_streams(o) ? join_streams_flush((struct join *)o, e) : 0;
}

static void join_committed(struct operator *o)
{
    if (of_streams(o))
        join_streams_committed((struct join *)o);
}

static void join_aborted(struct operator *o)
{
    if (of_streams(o))
        join_streams_aborted((struct join *)o);
}

static size_t join_held(struct operator *o)
{
    return of_streams(o) ? join_streams_held((struct join *)o) : 0;
}

static void join_shrink(struct operator *o, size_t bytes)
{
    if (of_streams(o))
        join_streams_shrink((struct join *)o, bytes);
}

static void join_close(struct operator *o)
{
    struct join *j = (struct join *)o;

    heap_free(j->pk_of);
    if (of_streams(o))
        join_streams_close(j);
}

const struct operator_type operator_join = {
    .kind = NODE_JOIN,
    .size = sizeof(struct join),
    .open = join_open,
    .process = join_process,
    .watermark = join_watermark,
    .due = join_due,
    .flush = join_flush,
    .committed = join_committed,
    .aborted = join_aborted,
    .held = join_held,
    .shrink = join_shrink,
    .close = join_close,
};
