// SPDX-License-Identifier: Apache-2.0
//
// match "type" {...}: the projection verb. The expression's text picks a case: a list of row
// actions, done in order, or a function, whose values go on down the chain. A type that no case
// names goes to `_`, or is skipped and counted. A record without a type, or with one that is not
// text, is such a type too.
//
// Every action is prepared once, at load: a column that its table does not have is a load error. A
// failing action is the record's error and names the line of the action; the rows of the actions
// before it are undone with the record.
#include "operators/calls.h"
#include "operators/cells.h"
#include "runtime/base/heap.h"

#include <stdlib.h>

struct match_action {
    const struct plan_action *plan;
    struct table_action *prepared;
};

struct match_case {
    struct bytes type;
    const struct plan_case *plan;
    struct match_action *actions;
};

struct match {
    struct operator op;
    struct match_case *cases; // sorted by type
    int n_cases;
    struct match_case *other; // `_`
};

static int case_cmp(const void *a, const void *b)
{
    return bytes_cmp(((const struct match_case *)a)->type, ((const struct match_case *)b)->type);
}

// "jobs/a.lua:19 (orders:add)"
static int action_wrap(struct operator *o, const struct plan_action *a, int rc, struct err *e)
{
    const struct plan *p = run_plan(o->run);

    return err_wrap(e, rc, "%s:%d (%s:%s)", p->file, a->line, p->tables[a->table].name,
                    table_verb_name(a->verb));
}

// The names of the key's columns: as written, or the primary key for a key without names.
static int action_key_names(struct operator *o, const struct plan_action *a, struct bytes *names,
                            struct err *e)
{
    struct tables *t = run_tables(o->run);
    const char *const *primary;
    int n;

    for (int i = 0; i < a->n_key; i++)
        names[i] = a->key[i].name;
    if (a->n_key == 0 || !bytes_is_null(a->key[0].name))
        return 0;
    n = t->ops->primary_key(t, a->table, &primary);
    if (n < 0)
        return err_set(e, n, "the primary key is not known");
    if (n != a->n_key)
        return err_set(e, LEAT_EINVAL,
                       "the primary key has %d columns: give them by name, as in {%s = ...}", n,
                       n > 0 ? primary[0] : "column");
    for (int i = 0; i < n; i++)
        names[i] = bytes_str(primary[i]);
    return 0;
}

static int action_prepare(struct operator *o, const struct plan_action *a,
                          struct table_action **out, struct err *e)
{
    struct tables *t = run_tables(o->run);
    struct bytes *keys = heap_zalloc((size_t)(a->n_key + 1) * sizeof(*keys));
    struct bytes *columns = heap_zalloc((size_t)(a->n_cells + 1) * sizeof(*columns));
    struct table_shape shape = {.table = a->table,
                                .verb = a->verb,
                                .key_columns = keys,
                                .n_key = a->n_key,
                                .columns = columns,
                                .n_cells = a->n_cells};
    int rc = action_key_names(o, a, keys, e);

    for (int i = 0; i < a->n_cells; i++)
        columns[i] = a->cells[i].name;
    if (rc == 0)
        rc = t->ops->prepare(t, &shape, out, e);
    heap_free(keys);
    heap_free(columns);
    return rc < 0 ? action_wrap(o, a, rc, e) : 0;
}

static int case_open(struct operator *o, struct match_case *c, struct err *e)
{
    c->actions = heap_zalloc((size_t)(c->plan->n_actions + 1) * sizeof(*c->actions));
    for (int i = 0; i < c->plan->n_actions; i++) {
        int rc;

        c->actions[i].plan = &c->plan->actions[i];
        rc = action_prepare(o, c->actions[i].plan, &c->actions[i].prepared, e);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int match_open(struct operator *o, struct err *e)
{
    struct match *m = (struct match *)o;
    int n = o->node->match.n;

    m->cases = heap_zalloc((size_t)(n + 1) * sizeof(*m->cases));
    m->n_cases = n;
    for (int i = 0; i < n; i++) {
        m->cases[i].plan = &o->node->match.cases[i];
        m->cases[i].type = m->cases[i].plan->type;
    }
    // `_` has no type and sorts first: no bytes come before any bytes.
    qsort(m->cases, (size_t)n, sizeof(*m->cases), case_cmp);
    for (int i = 0; i < n; i++) {
        int rc = case_open(o, &m->cases[i], e);

        if (rc < 0)
            return rc;
        if (bytes_is_null(m->cases[i].type))
            m->other = &m->cases[i];
    }
    return 0;
}

static struct match_case *case_find(struct match *m, const struct value *type)
{
    struct match_case want = {.type = type->s}, *c;

    if (type->type != VALUE_TEXT || bytes_is_null(type->s))
        return m->other;
    c = bsearch(&want, m->cases, (size_t)m->n_cases, sizeof(*m->cases), case_cmp);
    if (c != NULL && !bytes_is_null(c->type))
        return c;
    return m->other;
}

static int action_run(struct operator *o, const struct match_action *a, struct event *ev,
                      struct err *e)
{
    const struct plan_action *p = a->plan;
    struct tables *t = run_tables(o->run);
    struct arena *arena = run_arena(o->run);
    struct value *key = arena_alloc(arena, (size_t)(p->n_key + 1) * sizeof(*key));
    struct value *cells = arena_alloc(arena, (size_t)(p->n_cells + 1) * sizeof(*cells));
    int rc = key_cells_eval(o, p->key, p->n_key, ev, key, e);

    if (rc == 0)
        rc = cells_eval(o, p->cells, p->n_cells, ev, cells, e);
    if (rc == 0)
        rc = t->ops->run(a->prepared, key, cells, NULL, e);
    return rc < 0 ? action_wrap(o, p, rc, e) : 0;
}

static int match_process(struct operator *o, struct event *ev, int input, struct err *e)
{
    struct match_case *c;
    struct value type;
    int rc = operator_eval(o, &o->node->match.on, ev, &type, e);

    (void)input;
    if (rc < 0)
        return rc;
    c = case_find((struct match *)o, &type);
    if (c == NULL) {
        run_skipped(o->run, o);
        return 0;
    }
    if (c->plan->fn != NULL)
        return operator_call_and_emit(o, c->plan->fn, ev, e);
    for (int i = 0; i < c->plan->n_actions; i++) {
        rc = action_run(o, &c->actions[i], ev, e);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static void match_close(struct operator *o)
{
    struct match *m = (struct match *)o;

    for (int i = 0; i < m->n_cases; i++)
        heap_free(m->cases[i].actions);
    heap_free(m->cases);
}

const struct operator_type operator_match = {
    .kind = NODE_MATCH,
    .size = sizeof(struct match),
    .open = match_open,
    .process = match_process,
    .close = match_close,
};
