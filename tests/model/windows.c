// SPDX-License-Identifier: Apache-2.0
//
// Windows of a fixed size: every record is written down once for each window that holds its time
// and has not closed yet; sorted by window and key, they are the groups.
#include <stdlib.h>

#include "runtime/base/heap.h"
#include "tests/model/model.h"

struct share {
    int64_t start;
    int key;
    size_t item;
};

struct group {
    const struct item *items; // of the input
    const struct share *shares;
    size_t n;
    size_t closed; // the moment
    int64_t start, end;
    int key;
};

struct sorting {
    struct share *shares;
    size_t n, cap;
    struct group *groups;
    size_t n_groups;
};

static int share_cmp(const void *a, const void *b)
{
    const struct share *x = a, *y = b;

    if (x->key != y->key)
        return x->key < y->key ? -1 : x->key > y->key;
    if (x->start != y->start)
        return x->start < y->start ? -1 : 1;
    return x->item < y->item ? -1 : x->item > y->item;
}

static int closing_cmp(const void *a, const void *b)
{
    const struct group *x = a, *y = b;

    if (x->closed != y->closed)
        return x->closed < y->closed ? -1 : 1;
    if (x->end != y->end)
        return x->end < y->end ? -1 : 1;
    return x->key < y->key ? -1 : x->key > y->key;
}

static void share(struct sorting *s, int64_t start, int key, size_t item)
{
    if (s->n == s->cap) {
        s->cap = s->cap > 0 ? s->cap * 2 : 1024;
        s->shares = heap_realloc(s->shares, s->cap * sizeof *s->shares);
    }
    s->shares[s->n++] = (struct share){start, key, item};
}

static void share_out(const struct part *p, struct sorting *s, struct buf *late)
{
    for (size_t i = 0; i < p->in->n; i++) {
        const struct item *x = &p->in->items[i];
        int64_t w = watermark_before(p->timeline, x->moment);
        bool missed = false;

        for (int64_t start = x->time - x->time % p->window->every;
             start + p->window->size > x->time; start -= p->window->every) {
            if (w >= start + p->window->size + p->window->grace)
                missed = true;
            else
                share(s, start, x->key, i);
        }
        if (missed && late != NULL)
            put_late(late, x);
    }
}

static void group(const struct part *p, struct sorting *s)
{
    if (s->n > 0)
        qsort(s->shares, s->n, sizeof *s->shares, share_cmp);
    s->groups = heap_alloc((s->n + 1) * sizeof *s->groups);
    for (size_t i = 0, to; i < s->n; i = to) {
        const struct share *x = &s->shares[i];
        int64_t end = x->start + p->window->size;

        for (to = i; to < s->n && s->shares[to].start == x->start && s->shares[to].key == x->key;)
            to++;
        s->groups[s->n_groups++] =
            (struct group){.items = p->in->items,
                           .shares = x,
                           .n = to - i,
                           .closed = first_reaching(p->timeline, 0, end + p->window->grace),
                           .start = x->start,
                           .end = end,
                           .key = x->key};
    }
}

// With the records of the moments before `until`.
static struct sums sum_up(const struct group *g, size_t until)
{
    struct sums s = {0};

    for (size_t i = 0; i < g->n; i++)
        if (g->items[g->shares[i].item].moment < until)
            sums_add(&s, &g->items[g->shares[i].item]);
    return s;
}

static void put_table(const struct part *p, const struct sorting *s)
{
    struct buf *out = transcript_section(p->seen, p->table);

    for (int look = 0; look < p->timeline->n_looks; look++) {
        put_look(out, look);
        for (size_t i = 0; i < s->n_groups; i++) {
            const struct group *g = &s->groups[i];
            struct sums sums = sum_up(g, p->timeline->looks[look]);

            if (sums.n > 0)
                put_row(out, g->key, g->start, g->end, &sums);
        }
    }
}

// One change of a row.
struct change {
    size_t item;
    int64_t start;
    struct sums before, after;
};

static int change_cmp(const void *a, const void *b)
{
    const struct change *x = a, *y = b;

    if (x->item != y->item)
        return x->item < y->item ? -1 : 1;
    return x->start < y->start ? -1 : x->start > y->start;
}

static void put_change(struct buf *out, const struct change *c, const struct item *i)
{
    put_head(out, i->time, i->key);
    buf_append_str(out, "{\"n\":");
    put_int(out, c->after.n);
    if (c->after.n_x > 0) {
        buf_append_str(out, ",\"sum\":");
        put_int(out, c->after.sum);
    }
    if (c->before.n > 0) {
        buf_append_str(out, ",\"before\":");
        put_int(out, c->before.n);
    }
    buf_append_str(out, "}\n");
}

// Every record changes the row of each of its windows, the earlier window's first.
static void put_changes(const struct part *p, const struct sorting *s)
{
    struct buf *out = transcript_section(p->seen, p->changes);
    struct change *all = heap_alloc((s->n + 1) * sizeof *all);
    size_t n = 0;

    for (size_t g = 0; g < s->n_groups; g++) {
        const struct group *of = &s->groups[g];
        struct sums sums = {0};

        for (size_t i = 0; i < of->n; i++) {
            struct sums before = sums;

            sums_add(&sums, &of->items[of->shares[i].item]);
            all[n++] = (struct change){of->shares[i].item, of->start, before, sums};
        }
    }
    if (n > 0)
        qsort(all, n, sizeof *all, change_cmp);
    for (size_t i = 0; i < n; i++)
        put_change(out, &all[i], &p->in->items[all[i].item]);
    heap_free(all);
}

static void put_closed(const struct part *p, struct sorting *s, struct stream *closed)
{
    struct buf *out = transcript_section(p->seen, p->final);

    if (s->n_groups > 0)
        qsort(s->groups, s->n_groups, sizeof *s->groups, closing_cmp);
    for (size_t i = 0; i < s->n_groups && s->groups[i].closed != NEVER; i++) {
        const struct group *g = &s->groups[i];
        struct sums sums = sum_up(g, NEVER);

        put_final(out, g->key, g->start, g->end, &sums);
        if (closed != NULL)
            stream_push(closed, (struct item){.moment = g->closed,
                                              .time = g->end - 1,
                                              .key = g->key,
                                              .x = sums.n});
    }
}

void model_windows(const struct part *p, struct stream *closed)
{
    struct sorting s = {0};

    share_out(p, &s, p->late != NULL ? transcript_section(p->seen, p->late) : NULL);
    group(p, &s);
    if (p->window->into)
        put_table(p, &s);
    if (p->window->changes)
        put_changes(p, &s);
    put_closed(p, &s, closed);
    heap_free(s.shares);
    heap_free(s.groups);
}
