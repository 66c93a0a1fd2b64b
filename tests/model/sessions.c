// SPDX-License-Identifier: Apache-2.0
//
// Sessions, one record after the other: the open ones of each key in a list that is searched from
// end to end. A session is the list of its records; what it says is computed whenever it is asked.
//
// The table has one row for each key and start: a session that comes to begin where another, closed
// one began takes over its row, and takes it along when it begins earlier still.
#include <stdlib.h>

#include "runtime/base/heap.h"
#include "tests/model/model.h"

struct session {
    int key;
    int64_t start, end;
    size_t *items; // of the input
    size_t n, cap;
    bool row; // it has one
};

struct list {
    struct session **s;
    size_t n, cap;
};

struct sessions {
    const struct part *part;
    struct list *open;   // by key, in no order
    struct list *closed; // by key; their ends ascend, since W does
    int64_t next_due;    // nothing closes before
};

static void add(struct list *l, struct session *s)
{
    if (l->n == l->cap) {
        l->cap = l->cap > 0 ? l->cap * 2 : 4;
        l->s = heap_realloc(l->s, l->cap * sizeof(struct session *));
    }
    l->s[l->n++] = s;
}

static void session_free(struct session *s)
{
    heap_free(s->items);
    heap_free(s);
}

static void include(struct session *s, size_t item)
{
    if (s->n == s->cap) {
        s->cap = s->cap > 0 ? s->cap * 2 : 4;
        s->items = heap_realloc(s->items, s->cap * sizeof *s->items);
    }
    s->items[s->n++] = item;
}

static int index_cmp(const void *a, const void *b)
{
    size_t x = *(const size_t *)a, y = *(const size_t *)b;

    return x < y ? -1 : x > y;
}

static struct sums sum_up(const struct sessions *x, struct session *s)
{
    struct sums sums = {0};

    qsort(s->items, s->n, sizeof *s->items, index_cmp); // a bridge appends one to the other
    for (size_t i = 0; i < s->n; i++)
        sums_add(&sums, &x->part->in->items[s->items[i]]);
    return sums;
}

// --- records ---

static bool overlaps(const struct session *s, int64_t from, int64_t to)
{
    return s->start < to && from < s->end;
}

// The row under (key, start) is nobody's any more. It may be an open session's or a closed one's.
static void leave_row(struct sessions *x, int key, int64_t start)
{
    const struct list *open = &x->open[key], *closed = &x->closed[key];

    for (size_t i = 0; i < open->n; i++)
        if (open->s[i]->start == start)
            open->s[i]->row = false;
    for (size_t i = closed->n; i > 0 && closed->s[i - 1]->end > start; i--)
        if (closed->s[i - 1]->start == start)
            closed->s[i - 1]->row = false;
}

static struct session *begin(struct sessions *x, int key, int64_t from, int64_t to)
{
    struct session *s = heap_zalloc(sizeof *s);

    *s = (struct session){.key = key, .start = from, .end = to};
    add(&x->open[key], s);
    return s;
}

static void absorb(struct session *into, struct session *s)
{
    for (size_t i = 0; i < s->n; i++)
        include(into, s->items[i]);
    into->start = s->start < into->start ? s->start : into->start;
    into->end = s->end > into->end ? s->end : into->end;
    session_free(s);
}

// All that the record overlaps become one; the rows of all of them go, one comes.
static struct session *unite(struct sessions *x, int key, int64_t from, int64_t to)
{
    struct list *open = &x->open[key];
    struct session *all = NULL;
    size_t kept = 0;

    for (size_t i = 0; i < open->n; i++) {
        struct session *s = open->s[i];

        if (!overlaps(s, from, to)) {
            open->s[kept++] = s;
            continue;
        }
        leave_row(x, key, s->start);
        if (all == NULL)
            open->s[kept++] = all = s;
        else
            absorb(all, s);
    }
    open->n = kept;
    return all;
}

static void record(struct sessions *x, size_t item)
{
    const struct trial_window *w = x->part->window;
    const struct item *i = &x->part->in->items[item];
    int64_t from = i->time, to = i->time + w->size;
    struct session *s = unite(x, i->key, from, to);

    if (s == NULL && watermark_before(x->part->timeline, i->moment) >= to + w->grace) {
        put_late(transcript_section(x->part->seen, x->part->late), i);
        return;
    }
    if (s == NULL)
        s = begin(x, i->key, from, to);
    s->start = from < s->start ? from : s->start;
    s->end = to > s->end ? to : s->end;
    include(s, item);
    leave_row(x, s->key, s->start);
    s->row = true;
    if (s->end + w->grace < x->next_due)
        x->next_due = s->end + w->grace;
}

// --- closing ---

static int closing_cmp(const void *a, const void *b)
{
    const struct session *x = *(struct session *const *)a, *y = *(struct session *const *)b;

    if (x->end != y->end)
        return x->end < y->end ? -1 : 1;
    return x->key < y->key ? -1 : x->key > y->key;
}

static void finish(struct sessions *x, struct session *s, size_t moment, struct stream *out)
{
    struct sums sums = sum_up(x, s);

    put_final(transcript_section(x->part->seen, x->part->final), s->key, s->start, s->end, &sums);
    stream_push(out, (struct item){
                         .moment = moment, .time = s->end - 1, .key = s->key, .x = sums.n});
    add(&x->closed[s->key], s);
}

// Moves what is due out of the open ones of a key.
static void take_due(struct sessions *x, int key, int64_t w, struct list *due)
{
    struct list *open = &x->open[key];
    size_t kept = 0;

    for (size_t i = 0; i < open->n; i++) {
        struct session *s = open->s[i];
        int64_t at = s->end + x->part->window->grace;

        if (at <= w) {
            add(due, s);
            continue;
        }
        open->s[kept++] = s;
        x->next_due = at < x->next_due ? at : x->next_due;
    }
    open->n = kept;
}

static void close_due(struct sessions *x, size_t moment, struct stream *out)
{
    int64_t w = x->part->timeline->all[moment];
    struct list due = {0};

    if (w < x->next_due)
        return;
    x->next_due = INT64_MAX;
    for (int key = 0; key < x->part->trial->n_keys; key++)
        take_due(x, key, w, &due);
    if (due.n > 0)
        qsort(due.s, due.n, sizeof(struct session *), closing_cmp);
    for (size_t i = 0; i < due.n; i++)
        finish(x, due.s[i], moment, out);
    heap_free(due.s);
}

// --- the table ---

static int row_cmp(const void *a, const void *b)
{
    const struct session *x = *(struct session *const *)a, *y = *(struct session *const *)b;

    if (x->key != y->key)
        return x->key < y->key ? -1 : x->key > y->key;
    return x->start < y->start ? -1 : x->start > y->start;
}

static void put_table(struct sessions *x, int look)
{
    struct buf *out = transcript_section(x->part->seen, x->part->table);
    struct list rows = {0};

    put_look(out, look);
    for (int key = 0; key < x->part->trial->n_keys; key++) {
        for (size_t i = 0; i < x->open[key].n; i++)
            add(&rows, x->open[key].s[i]);
        for (size_t i = 0; i < x->closed[key].n; i++)
            if (x->closed[key].s[i]->row)
                add(&rows, x->closed[key].s[i]);
    }
    if (rows.n > 0)
        qsort(rows.s, rows.n, sizeof(struct session *), row_cmp);
    for (size_t i = 0; i < rows.n; i++) {
        struct sums sums = sum_up(x, rows.s[i]);
        put_row(out, rows.s[i]->key, rows.s[i]->start, rows.s[i]->end, &sums);
    }
    heap_free(rows.s);
}

static void lists_free(struct list *lists, int n)
{
    for (int key = 0; key < n; key++) {
        for (size_t i = 0; i < lists[key].n; i++)
            session_free(lists[key].s[i]);
        heap_free(lists[key].s);
    }
    heap_free(lists);
}

void model_sessions(const struct part *p, struct stream *closed)
{
    struct sessions x = {.part = p, .next_due = INT64_MAX};
    size_t item = 0;
    int look = 0;

    x.open = heap_zalloc((size_t)p->trial->n_keys * sizeof *x.open);
    x.closed = heap_zalloc((size_t)p->trial->n_keys * sizeof *x.closed);
    for (size_t m = 0; m <= p->timeline->n_moments; m++) {
        for (; look < p->timeline->n_looks && p->timeline->looks[look] == m; look++)
            if (p->window->into)
                put_table(&x, look);
        for (; item < p->in->n && p->in->items[item].moment == m; item++)
            record(&x, item);
        if (m < p->timeline->n_moments)
            close_due(&x, m, closed);
    }
    lists_free(x.open, p->trial->n_keys);
    lists_free(x.closed, p->trial->n_keys);
}
