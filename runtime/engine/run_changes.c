// SPDX-License-Identifier: Apache-2.0
//
// Changes of rows as records. What a record has changed in watched tables is taken before the
// record ends and sent from the changes() nodes of those tables, oldest first, until there is no
// more: all of it belongs to the record and fails with it. What functions do further down may
// change rows again; a record that never comes to an end is stopped.
//
// What is kept for the end of the step (changes {latest}) goes out in run_settle, each as a record
// of its own.
#include "runtime/engine/run.h"

#include "runtime/base/limits.h"

int run_watch(struct run *r, struct err *e)
{
    const struct plan *p = r->plan;
    int rc = 0;

    for (int i = 0; i < p->n_nodes && rc == 0; i++) {
        const struct plan_node *n = &p->nodes[i];
        struct tables *t = r->store->tables;

        if (n->kind != NODE_CHANGES || n->changes.table < 0)
            continue;
        if (t->ops->watch == NULL)
            return err_set(e, LEAT_EUNSUPPORTED, "%s:%d: in changes: this store cannot watch rows",
                           p->file, n->line);
        rc = t->ops->watch(t, n->changes.table, e);
        if (rc != 0)
            return err_wrap(e, rc, "%s:%d: in changes", p->file, n->line);
        r->watches = true;
    }
    return rc;
}

static int send(struct run *r, int node, const struct event *cause, const struct table_change *c,
                struct err *e)
{
    struct operator* o = r->ops[node];
    struct event ev = {.topic = cause->topic,
                       .partition = cause->partition,
                       .offset = cause->offset,
                       .timestamp = cause->timestamp,
                       .time = cause->time,
                       .key = c->key};
    struct view old;
    int rc;

    view_of(&ev.view, NULL, c->row, r->arena);
    view_of(&old, NULL, c->old, r->arena);
    ev.old = &old;
    rc = o->type->process(o, &ev, 0, e);
    if (rc != 0 && r->guilty == NULL)
        r->guilty = o->node;
    return rc;
}

static int send_all(struct run *r, const struct event *cause, const struct table_change *c,
                    struct err *e)
{
    int rc = 0;

    for (int i = 0; i < r->plan->n_nodes && rc == 0; i++)
        if (r->plan->nodes[i].kind == NODE_CHANGES && r->plan->nodes[i].changes.table == c->table)
            rc = send(r, i, cause, c, e);
    return rc;
}

int run_changes(struct run *r, const struct event *cause, struct err *e)
{
    struct tables *t = r->store->tables;
    struct table_change c;
    int n = 0, rc;

    while ((rc = t->ops->next_change(t, r->arena, &c, e)) == 1) {
        if (++n > RECORD_OUTPUTS_MAX)
            return err_set(e, LEAT_EBUDGET, "one record changes rows more than %d times",
                           RECORD_OUTPUTS_MAX);
        rc = send_all(r, cause, &c, e);
        if (rc != 0)
            return rc;
    }
    return rc;
}

int run_settle(struct run *r, struct err *e)
{
    for (int i = 0; i < r->plan->n_nodes; i++) {
        struct operator* o = r->ops[i];
        int rc;

        if (o->type->settle == NULL)
            continue;
        r->closing = true;
        rc = o->type->settle(o, e);
        r->closing = false;
        r->n_undo = 0;
        r->undo_bytes.n = 0;
        if (rc != 0) {
            r->guilty = o->node;
            return rc;
        }
    }
    return 0;
}
