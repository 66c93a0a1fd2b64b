// SPDX-License-Identifier: Apache-2.0
//
// Rows that go by time: those past their table's ttl, and versions past its history. Time, for the
// tables of a job, is the smallest watermark of its sources: whoever reads a table may still have
// to look at rows of that time.
//
// On its way from where it stood to where it shall stand a watermark stops at each moment at which
// rows are due: the operators close what is due by then, then the rows go, and only then does time
// go on. So a deletion has its place among everything else that event time does, and what it tells
// (changes() of the table, each deletion a record of its own) is not late for the windows behind.
//
// A step deletes no more than EXPIRE_ROWS_MAX rows. When that is not enough the watermark is held
// where it is and the step ends; no record is read before the rest has gone, in the steps that
// follow. So the job itself never sees a row that is due, and where steps end makes no difference.
// How far the watermark had come is kept with such a step, for a job that is restarted in between.
#include "runtime/engine/run.h"

#include "runtime/base/heap.h"
#include "runtime/base/limits.h"

#define HELD_AT "expiring" // the number with which a step that held the watermark was committed

bool run_expires(const struct run *r)
{
    const struct plan *p = r->plan;

    for (int i = 0; i < p->n_tables; i++)
        if ((p->tables[i].ttl != NULL || p->tables[i].history != NULL) &&
            r->store->tables->ops->due != NULL)
            return true;
    return false;
}

int64_t run_time(const struct run *r, const int64_t *w)
{
    int64_t sources = INT64_MAX, clocks = INT64_MAX;
    bool any = false;

    for (int i = 0; i < r->plan->n_nodes; i++) {
        int64_t v = w != NULL ? w[i] : r->ops[i]->watermark;

        if (r->plan->nodes[i].kind == NODE_SOURCE) {
            any = true;
            sources = v < sources ? v : sources;
        } else if (r->plan->nodes[i].kind == NODE_EVERY) {
            clocks = v < clocks ? v : clocks;
        }
    }
    return any ? sources : clocks;
}

bool run_keeps_time(const struct run *r, int node)
{
    const struct plan_node *n = &r->plan->nodes[node];
    struct tables *t = r->store->tables;

    return r->expires && n->kind == NODE_CHANGES && n->changes.table >= 0 &&
           t->ops->expires(t, n->changes.table);
}

// --- telling ---

// The row before and after, as one value: what a parked deletion is kept as.
static struct value as_value(const struct table_change *c, struct arena *a)
{
    struct value_object *o = arena_alloc(a, sizeof *o);

    *o = (struct value_object){.names = arena_alloc(a, 2 * sizeof *o->names),
                               .values = arena_alloc(a, 2 * sizeof *o->values)};
    if (!value_is_nil(&c->row)) {
        o->names[o->n] = BYTES_LIT("row");
        o->values[o->n++] = c->row;
    }
    o->names[o->n] = BYTES_LIT("old");
    o->values[o->n++] = c->old;
    return (struct value){.type = VALUE_OBJECT, .object = o};
}

static int tell_one(struct run *r, const struct table_change *c, int64_t at, struct err *e)
{
    for (int i = 0; i < r->plan->n_nodes; i++) {
        struct operator* o = r->ops[i];
        struct event ev = {
            .partition = -1, .offset = -1, .timestamp = at, .time = at, .key = c->key};
        int rc;

        if (o->node->kind != NODE_CHANGES || o->node->changes.table != c->table)
            continue;
        ev.topic = bytes_str(o->node->id);
        view_of(&ev.view, NULL, as_value(c, &r->expire_arena), &r->expire_arena);
        r->closing = true;
        rc = operator_self(o, &ev, e);
        r->closing = false;
        if (rc != 0)
            return rc;
    }
    return 0;
}

// All are taken before the first is told: what it leads to may change rows too.
static int tell(struct run *r, int64_t at, struct err *e)
{
    struct tables *t = r->store->tables;
    struct table_change *list = NULL;
    size_t n = 0, cap = 0;
    int rc;

    arena_reset(&r->expire_arena);
    do {
        if (n == cap) {
            cap = cap ? cap * 2 : 64;
            list = heap_realloc(list, cap * sizeof *list);
        }
        rc = t->ops->next_change(t, &r->expire_arena, &list[n], e);
        n += rc == 1;
    } while (rc == 1);
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = tell_one(r, &list[i], at, e);
    heap_free(list);
    return rc;
}

// --- letting go ---

static int hold(struct run *r, int64_t w, struct err *e)
{
    r->held = true;
    return run_number_put(r, HELD_AT, w, e);
}

// The rows of one moment.
static int let_go(struct run *r, int64_t at, struct err *e)
{
    struct tables *t = r->store->tables;
    int n = 0, rc;

    r->guilty = NULL;
    t->time = at;
    rc = t->ops->expire(t, at, r->expire_left, &n, e);
    r->expire_left -= n;
    if (rc == 0 && r->watches)
        rc = tell(r, at, e);
    return rc;
}

int run_expire(struct run *r, struct err *e)
{
    struct tables *t = r->store->tables;
    int left = r->expire_left, rc = 0;
    int64_t w, at;

    if (!r->expires || r->held)
        return 0;
    w = run_time(r, NULL);
    while (rc == 0 && !r->held) {
        rc = t->ops->due(t, w, &at, e);
        if (rc != 0 || at > w)
            break;
        rc = r->expire_left > 0 ? let_go(r, at, e) : hold(r, w, e);
    }
    if (rc == 0 && r->expire_left < left && r->careful && r->closes)
        rc = run_flush(r, e); // what was told is not the next record's
    return rc;
}

// Where the source's watermark has to stop on its way to w.
static int next_stop(struct run *r, int source, int64_t w, int64_t *stop, struct err *e)
{
    struct tables *t = r->store->tables;
    int64_t from = r->ops[source]->watermark, goal, at;
    int rc;

    r->ops[source]->watermark = w;
    goal = run_time(r, NULL);
    r->ops[source]->watermark = from;
    rc = t->ops->due(t, goal, &at, e);
    *stop = rc == 0 && at <= goal && at > from && at < w ? at : w;
    return rc;
}

int run_expire_to(struct run *r, int source, int64_t w, struct err *e)
{
    int64_t stop = INT64_MIN;
    int rc;

    do {
        rc = run_expire(r, e);
        if (rc != 0 || r->held)
            return rc;
        rc = next_stop(r, source, w, &stop, e);
        if (rc == 0)
            rc = run_pass(r, source, stop, e);
    } while (rc == 0 && stop < w);
    return rc == 0 ? run_expire(r, e) : rc;
}

// --- steps ---

void run_begin(struct run *r)
{
    outputs_begin(&r->out);
    r->expire_left = EXPIRE_ROWS_MAX;
    r->held = r->paused = false;
}

int run_resume(struct run *r, struct err *e)
{
    struct tables *t = r->store->tables;
    int64_t w, at, held_at = INT64_MAX;
    int rc;

    if (!r->expires)
        return 0;
    w = run_time(r, NULL);
    rc = t->ops->due(t, w, &at, e);
    if (rc != 0 || at > w)
        return rc;
    rc = r->store->ops->number_get(r->store, HELD_AT, &held_at, e);
    for (int i = 0; i < r->plan->n_nodes && rc == 1; i++)
        if (r->plan->nodes[i].n_inputs == 0 && r->ops[i]->watermark > held_at)
            r->ops[i]->watermark = held_at;
    return rc < 0 ? rc : 0;
}
