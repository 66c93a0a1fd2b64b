// SPDX-License-Identifier: Apache-2.0
//
// changes: each change of a row of a table, or of an aggregate, as a record: the value is the row
// after it (nil when it was deleted), $old the row before. The engine hands over those of tables
// (what went by time as a record of its own), an aggregate its own; without options they go on as
// they come.
//
// With {latest} they wait for the end of the step: the changes of one key become one, from the row
// as it was at the last commit to the row as it is now, and go out in key order. A row that is as
// it was says nothing.
#include "operators/operators.h"

#include "runtime/base/heap.h"

#include <stdlib.h>

#define ROUNDS_MAX 100

struct waiting {
    struct bytes order; // the key, packed
    size_t at;
    struct event event;
    struct value old;
};

struct changes {
    struct operator op;
    struct arena arena; // of what waits
    struct waiting *waiting;
    size_t n, cap;
};

static int changes_open(struct operator *o, struct err *e)
{
    (void)e;
    arena_init(&((struct changes *)o)->arena);
    return 0;
}

static int keep(struct changes *c, const struct event *ev, struct err *e)
{
    struct buf packed = BUF_EMPTY;
    struct arena *a = &c->arena;
    struct waiting *w;
    int rc = value_write_msgpack(&ev->key, &packed, e);

    if (rc < 0) {
        buf_deinit(&packed);
        return rc;
    }
    run_undo_bytes(c->op.run, &c->n, sizeof(c->n));
    if (c->n == c->cap) {
        c->cap = c->cap ? c->cap * 2 : 64;
        c->waiting = heap_realloc(c->waiting, c->cap * sizeof(*c->waiting));
    }
    w = &c->waiting[c->n];
    *w = (struct waiting){.order = arena_copy(a, buf_bytes(&packed)), .at = c->n++, .event = *ev};
    w->event.topic = arena_copy(a, ev->topic);
    w->event.headers = NULL;
    w->event.n_headers = 0;
    w->event.key = value_copy(&ev->key, a);
    w->event.key_raw = BYTES_NULL;
    view_of(&w->event.view, NULL, value_copy(&ev->view.root, a), a);
    w->old = ev->old != NULL ? value_copy(&ev->old->root, a) : VALUE_OF_MISSING;
    w->event.old = NULL;
    buf_deinit(&packed);
    return 0;
}

// What went by time comes as one value, {old, row}.
static int split(struct operator *o, const struct event *ev, struct event *out, struct view *old,
                 struct err *e)
{
    struct arena *a = run_arena(o->run);
    struct value before, row;
    int rc = value_member(&ev->view.root, BYTES_LIT("old"), a, &before, e);

    if (rc == 0)
        rc = value_member(&ev->view.root, BYTES_LIT("row"), a, &row, e);
    if (rc < 0)
        return rc;
    *out = *ev;
    view_of(&out->view, NULL, row, a);
    view_of(old, NULL, before, a);
    out->old = old;
    return 0;
}

static int changes_process(struct operator *o, struct event *ev, int input, struct err *e)
{
    struct event told;
    struct view old;
    int rc;

    if (input == INPUT_SELF) {
        rc = split(o, ev, &told, &old, e);
        if (rc < 0)
            return rc;
        ev = &told;
    }
    if (o->node->changes.latest)
        return keep((struct changes *)o, ev, e);
    return operator_emit(o, OUT_MAIN, ev, e);
}

static int by_key(const void *a, const void *b)
{
    const struct waiting *x = a, *y = b;
    int c = bytes_cmp(x->order, y->order);

    return c != 0 ? c : (x->at > y->at) - (x->at < y->at);
}

// The changes of one key, first to last.
static int emit_latest(struct changes *c, struct waiting *first, struct waiting *last,
                       struct err *e)
{
    struct event ev = last->event;
    struct view old;

    if (value_eq(&first->old, &last->event.view.root, &c->arena))
        return 0;
    view_of(&old, NULL, first->old, &c->arena);
    ev.old = &old;
    return operator_emit(&c->op, OUT_MAIN, &ev, e);
}

static int emit_all(struct changes *c, struct waiting *w, size_t n, struct err *e)
{
    int rc = 0;

    qsort(w, n, sizeof(*w), by_key);
    for (size_t i = 0, k; i < n && rc == 0; i = k) {
        for (k = i + 1; k < n && bytes_eq(w[k].order, w[i].order);)
            k++;
        rc = emit_latest(c, &w[i], &w[k - 1], e);
    }
    return rc;
}

// What it leads to may change rows again.
static int changes_settle(struct operator *o, struct err *e)
{
    struct changes *c = (struct changes *)o;
    int rc = 0;

    for (int round = 0; c->n > 0 && rc == 0; round++) {
        struct waiting *w = c->waiting;
        size_t n = c->n;

        if (round == ROUNDS_MAX)
            return err_set(e, LEAT_ESTOPPED, "its changes lead to new changes without end");
        c->waiting = NULL;
        c->n = c->cap = 0;
        rc = emit_all(c, w, n, e);
        heap_free(w);
    }
    arena_reset(&c->arena);
    return rc;
}

static size_t changes_held(struct operator *o)
{
    const struct changes *c = (struct changes *)o;

    return c->arena.used + c->cap * sizeof(*c->waiting);
}

static void changes_aborted(struct operator *o)
{
    struct changes *c = (struct changes *)o;

    c->n = 0;
    arena_reset(&c->arena);
}

static void changes_close(struct operator *o)
{
    struct changes *c = (struct changes *)o;

    heap_free(c->waiting);
    arena_deinit(&c->arena);
}

const struct operator_type operator_changes = {
    .kind = NODE_CHANGES,
    .size = sizeof(struct changes),
    .open = changes_open,
    .process = changes_process,
    .settle = changes_settle,
    .aborted = changes_aborted,
    .held = changes_held,
    .close = changes_close,
};
