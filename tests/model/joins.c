// SPDX-License-Identifier: Apache-2.0
//
// Two streams: right time - left time in [lo, hi]. Every record looks through all records of the
// other side and of its key that came before it and still wait.
//
//   waits until   W is past its time + what a partner may be later by + grace. A record that W has
//                 passed so when it comes is late
//   alone         a record of a side that is kept, if it met nobody, at the first moment at which W
//                 is past that; its event time is that time. Several: by it, key, side, arrival
#include <stdlib.h>

#include "runtime/base/heap.h"
#include "tests/model/model.h"

enum { A_LEFT, A_RIGHT };

struct waiting {
    const struct item *item;
    int64_t until;
    bool met;
};

struct joins {
    const struct part *part;
    struct waiting *all; // as they came
    size_t **of_key[2];  // by side and key: indices, in the order of time, then arrival
    size_t *n_of_key[2], *cap_of_key[2];
    struct pair *out;
    size_t n, n_out, cap_out;
};

// What comes out: a record with one that waited, or one that waited alone.
struct pair {
    size_t moment;
    bool alone;
    size_t index; // of `alone`, for order
    const struct item *left, *right;
    int64_t time;
};

static int64_t until(const struct trial *t, const struct item *i)
{
    int64_t ahead = i->source == A_LEFT ? t->hi : -t->lo;

    return i->time + (ahead > 0 ? ahead : 0) + t->join_grace;
}

static bool kept(const struct trial *t, int side)
{
    return t->shape == OUTER || (t->shape == LEFT && side == A_LEFT);
}

static void emit(struct joins *x, struct pair p)
{
    if (x->n_out == x->cap_out) {
        x->cap_out = x->cap_out > 0 ? x->cap_out * 2 : 1024;
        x->out = heap_realloc(x->out, x->cap_out * sizeof *x->out);
    }
    x->out[x->n_out++] = p;
}

static bool fits(const struct trial *t, const struct item *left, const struct item *right)
{
    int64_t later = right->time - left->time;

    return t->lo <= later && later <= t->hi;
}

static void meet(struct joins *x, size_t i, int64_t w)
{
    const struct item *item = x->all[i].item;
    int other = item->source == A_LEFT ? A_RIGHT : A_LEFT;

    for (size_t k = 0; k < x->n_of_key[other][item->key]; k++) {
        struct waiting *y = &x->all[x->of_key[other][item->key][k]];
        const struct item *left = item->source == A_LEFT ? item : y->item;
        const struct item *right = item->source == A_LEFT ? y->item : item;

        if (y->until < w || !fits(x->part->trial, left, right))
            continue;
        x->all[i].met = y->met = true;
        emit(x, (struct pair){.moment = item->moment,
                              .index = i,
                              .left = left,
                              .right = right,
                              .time = left->time > right->time ? left->time : right->time});
    }
}

// Behind those of its time; those that nobody can meet any more are dropped on the way.
static void wait(struct joins *x, size_t i, int64_t w)
{
    const struct item *item = x->all[i].item;
    size_t *n = &x->n_of_key[item->source][item->key];
    size_t *cap = &x->cap_of_key[item->source][item->key];
    size_t **list = &x->of_key[item->source][item->key], kept_n = 0, at;

    for (size_t k = 0; k < *n; k++)
        if (x->all[(*list)[k]].until >= w)
            (*list)[kept_n++] = (*list)[k];
    *n = kept_n;
    if (*n == *cap) {
        *cap = *cap > 0 ? *cap * 2 : 4;
        *list = heap_realloc(*list, *cap * sizeof **list);
    }
    for (at = *n; at > 0 && x->all[(*list)[at - 1]].item->time > item->time; at--)
        (*list)[at] = (*list)[at - 1];
    (*list)[at] = i;
    ++*n;
}

static void record(struct joins *x, size_t i, int64_t *late)
{
    const struct item *item = &x->part->in->items[i];
    int64_t w = watermark_before(x->part->timeline, item->moment);

    x->all[i] = (struct waiting){.item = item, .until = until(x->part->trial, item)};
    if (x->all[i].until < w) {
        x->all[i].met = true; // comes out no more
        ++*late;
        return;
    }
    meet(x, i, w);
    wait(x, i, w);
}

static void give_up(struct joins *x, size_t i)
{
    const struct waiting *y = &x->all[i];
    size_t moment;

    if (y->met || !kept(x->part->trial, y->item->source))
        return;
    moment = first_reaching(x->part->timeline, y->item->moment, y->until + 1);
    if (moment != NEVER)
        emit(x, (struct pair){.moment = moment,
                              .alone = true,
                              .index = i,
                              .left = y->item->source == A_LEFT ? y->item : NULL,
                              .right = y->item->source == A_RIGHT ? y->item : NULL,
                              .time = y->until});
}

static int pair_cmp(const void *a, const void *b)
{
    const struct pair *x = a, *y = b;
    const struct item *i = x->left != NULL ? x->left : x->right;
    const struct item *k = y->left != NULL ? y->left : y->right;

    if (x->moment != y->moment)
        return x->moment < y->moment ? -1 : 1;
    if (x->alone != y->alone)
        return x->alone ? 1 : -1;
    if (!x->alone) // pairs of one record stay as they were found
        return x < y ? -1 : x > y;
    if (x->time != y->time)
        return x->time < y->time ? -1 : 1;
    if (i->key != k->key)
        return i->key < k->key ? -1 : i->key > k->key;
    if (i->source != k->source)
        return i->source < k->source ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

static void put_pair(struct buf *out, const struct pair *p)
{
    const struct item *any = p->left != NULL ? p->left : p->right;

    put_head(out, p->time, any->key);
    buf_append_byte(out, '{');
    if (p->left != NULL) {
        buf_append_str(out, "\"l\":");
        put_int(out, p->left->op->id);
    }
    if (p->right != NULL) {
        buf_append_str(out, p->left != NULL ? ",\"r\":" : "\"r\":");
        put_int(out, p->right->op->id);
    }
    buf_append_str(out, "}\n");
}

// Pairs were found in the order of their moments; those that waited alone are sorted in between.
static void put_all(struct joins *x, size_t n_pairs, struct stream *joined)
{
    struct buf *out = transcript_section(x->part->seen, x->part->final);
    size_t pair = 0, alone = n_pairs;

    if (x->n_out > n_pairs)
        qsort(x->out + n_pairs, x->n_out - n_pairs, sizeof *x->out, pair_cmp);
    while (pair < n_pairs || alone < x->n_out) {
        bool first = alone == x->n_out ||
                     (pair < n_pairs && x->out[pair].moment <= x->out[alone].moment);
        const struct pair *p = first ? &x->out[pair++] : &x->out[alone++];
        const struct item *left = p->left;

        put_pair(out, p);
        stream_push(joined, (struct item){.moment = p->moment,
                                          .time = p->time,
                                          .key = left != NULL ? left->key : p->right->key,
                                          .nil = left == NULL || left->nil,
                                          .x = left != NULL ? left->x : 0});
    }
}

static void lists_make(struct joins *x)
{
    size_t n = (size_t)x->part->trial->n_keys;

    for (int side = 0; side < 2; side++) {
        x->of_key[side] = heap_zalloc(n * sizeof(size_t *));
        x->n_of_key[side] = heap_zalloc(n * sizeof(size_t));
        x->cap_of_key[side] = heap_zalloc(n * sizeof(size_t));
    }
}

static void lists_free(struct joins *x)
{
    for (int side = 0; side < 2; side++) {
        for (int key = 0; key < x->part->trial->n_keys; key++)
            heap_free(x->of_key[side][key]);
        heap_free(x->of_key[side]);
        heap_free(x->n_of_key[side]);
        heap_free(x->cap_of_key[side]);
    }
}

void model_join(const struct part *p, struct stream *joined)
{
    struct joins x = {.part = p, .n = p->in->n};
    int64_t late = 0;
    size_t n_pairs;

    x.all = heap_alloc((x.n + 1) * sizeof *x.all);
    lists_make(&x);
    for (size_t i = 0; i < x.n; i++)
        record(&x, i, &late);
    n_pairs = x.n_out;
    for (size_t i = 0; i < x.n; i++)
        give_up(&x, i);
    put_all(&x, n_pairs, joined);
    put_int(transcript_section(p->seen, p->late), late);
    heap_free(x.all);
    heap_free(x.out);
    lists_free(&x);
}
