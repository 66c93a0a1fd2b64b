// SPDX-License-Identifier: Apache-2.0
//
// Look-back windows. A reading comes out at the first moment at which W has reached its time +
// grace, with the readings of its key from `last` before it up to its own time that have been read
// by then; the late ones among them count too. What comes out at one moment: first the record of
// the moment itself, if W stands at its time already; then the others by time, key, arrival.
#include <stdlib.h>

#include "runtime/base/heap.h"
#include "tests/model/model.h"

struct reading {
    const struct item *item;
    size_t out; // the moment; NEVER for late ones too
    bool at_once;
    size_t place; // among all by key and time
};

struct readings {
    const struct part *part;
    struct reading *all; // as they came
    struct reading **by_time; // by key, time, arrival
    struct reading **by_out;
    size_t n, n_out;
};

static int time_cmp(const void *a, const void *b)
{
    const struct reading *x = *(struct reading *const *)a, *y = *(struct reading *const *)b;

    if (x->item->key != y->item->key)
        return x->item->key < y->item->key ? -1 : x->item->key > y->item->key;
    if (x->item->time != y->item->time)
        return x->item->time < y->item->time ? -1 : 1;
    return x < y ? -1 : x > y;
}

static int out_cmp(const void *a, const void *b)
{
    const struct reading *x = *(struct reading *const *)a, *y = *(struct reading *const *)b;

    if (x->out != y->out)
        return x->out < y->out ? -1 : 1;
    if (x->at_once != y->at_once)
        return x->at_once ? -1 : 1;
    if (x->item->time != y->item->time)
        return x->item->time < y->item->time ? -1 : 1;
    if (x->item->key != y->item->key)
        return x->item->key < y->item->key ? -1 : x->item->key > y->item->key;
    return x < y ? -1 : x > y;
}

static void read_one(struct readings *x, size_t i)
{
    const struct item *item = &x->part->in->items[i];
    struct reading *r = &x->all[i];
    int64_t w = watermark_before(x->part->timeline, item->moment);
    int64_t due = item->time + x->part->window->grace;

    *r = (struct reading){.item = item, .out = NEVER};
    x->by_time[i] = r;
    if (w > due) {
        put_late(transcript_section(x->part->seen, x->part->late), item);
        return;
    }
    r->at_once = w == due;
    r->out = r->at_once ? item->moment : first_reaching(x->part->timeline, item->moment, due);
    if (r->out != NEVER)
        x->by_out[x->n_out++] = r;
}

static struct sums look_back(const struct readings *x, const struct reading *r)
{
    struct sums s = {0};
    size_t from = r->place, to = r->place;

    while (from > 0 && x->by_time[from - 1]->item->key == r->item->key &&
           x->by_time[from - 1]->item->time >= r->item->time - x->part->window->size)
        from--;
    while (to < x->n && x->by_time[to]->item->key == r->item->key &&
           x->by_time[to]->item->time == r->item->time)
        to++;
    for (; from < to; from++)
        if (x->by_time[from]->item->moment <= r->out)
            sums_add(&s, x->by_time[from]->item);
    return s;
}

static void put_result(struct buf *out, const struct reading *r, const struct sums *s)
{
    put_head(out, r->item->time, r->item->key);
    buf_append_str(out, "{\"i\":");
    put_int(out, r->item->op->id);
    buf_append_str(out, ",\"even\":");
    put_int(out, s->even);
    if (s->n_x > 0) {
        buf_append_str(out, ",\"first\":");
        put_int(out, s->first);
        buf_append_str(out, ",\"last\":");
        put_int(out, s->last);
        buf_append_str(out, ",\"max\":");
        put_int(out, s->max);
        buf_append_str(out, ",\"min\":");
        put_int(out, s->min);
    }
    buf_append_str(out, ",\"n\":");
    put_int(out, s->n);
    if (s->n_x > 0) {
        buf_append_str(out, ",\"sum\":");
        put_int(out, s->sum);
    }
    buf_append_str(out, "}\n");
}

void model_look_back(const struct part *p, struct stream *results)
{
    struct readings x = {.part = p, .n = p->in->n};
    struct buf *out = transcript_section(p->seen, p->final);

    x.all = heap_alloc((x.n + 1) * sizeof *x.all);
    x.by_time = heap_alloc((x.n + 1) * sizeof(struct reading *));
    x.by_out = heap_alloc((x.n + 1) * sizeof(struct reading *));
    for (size_t i = 0; i < x.n; i++)
        read_one(&x, i);
    qsort(x.by_time, x.n, sizeof(struct reading *), time_cmp);
    for (size_t i = 0; i < x.n; i++)
        x.by_time[i]->place = i;
    qsort(x.by_out, x.n_out, sizeof(struct reading *), out_cmp);
    for (size_t i = 0; i < x.n_out; i++) {
        const struct reading *r = x.by_out[i];
        struct sums s = look_back(&x, r);

        put_result(out, r, &s);
        stream_push(results, (struct item){
                                 .moment = r->out, .time = r->item->time, .key = r->item->key,
                                 .x = s.n});
    }
    heap_free(x.all);
    heap_free(x.by_time);
    heap_free(x.by_out);
}
