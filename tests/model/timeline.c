// SPDX-License-Identifier: Apache-2.0
//
// The order in which records are processed, and how far event time has come after each.
//
//   a run       when it makes a step, first the clock counts; then everything that was sent is
//               merged: of the partitions' first waiting records the one with the smallest time, of
//               equal ones that of the earlier source, of the smaller partition
//   W(p)        the largest time seen on p - disorder
//   drained     nothing waits; since when is known from the run that read the last record
//   idle        drained for `idle`; until its next record
//   W(source)   the least W(p) over partitions that are not idle; when all of them are idle and
//               drained, at least clock - disorder - idle; never back
#include "tests/model/model.h"

#include <stdlib.h>

#include "runtime/base/heap.h"

struct partition {
    size_t *ops; // sent
    size_t n, cap, next;
    int64_t w, drained_since;
    bool drained, idle;
};

struct making {
    const struct trial *trial;
    struct timeline *l;
    size_t cap;
    const uint8_t *steps; // what is left of them
    int64_t now, w[SOURCES_MAX];
    struct partition parts[SOURCES_MAX][PARTITIONS_MAX];
};

void stream_push(struct stream *s, struct item i)
{
    if (s->n == s->cap) {
        s->cap = s->cap > 0 ? s->cap * 2 : 1024;
        s->items = heap_realloc(s->items, s->cap * sizeof *s->items);
    }
    s->items[s->n++] = i;
}

void stream_free(struct stream *s)
{
    heap_free(s->items);
    *s = (struct stream){0};
}

static void moment(struct making *m)
{
    struct timeline *l = m->l;
    int64_t all = INT64_MAX;

    if (l->n_moments == m->cap) {
        m->cap = m->cap > 0 ? m->cap * 2 : 1024;
        for (int i = 0; i < m->trial->n_sources; i++)
            l->w[i] = heap_realloc(l->w[i], m->cap * sizeof *l->w[i]);
        l->all = heap_realloc(l->all, m->cap * sizeof *l->all);
    }
    for (int i = 0; i < m->trial->n_sources; i++) {
        l->w[i][l->n_moments] = m->w[i];
        all = m->w[i] < all ? m->w[i] : all;
    }
    l->all[l->n_moments++] = all;
}

static bool waits(const struct partition *p)
{
    return p->next < p->n;
}

static void advance(struct making *m, int source)
{
    int64_t least = INT64_MAX;

    for (int i = 0; i < m->trial->sources[source].partitions; i++) {
        const struct partition *p = &m->parts[source][i];
        if (!p->idle && p->w < least)
            least = p->w;
    }
    if (least != INT64_MAX && least > m->w[source])
        m->w[source] = least;
}

static void count_clock(struct making *m, int source)
{
    const struct trial_source *s = &m->trial->sources[source];
    bool all = true;

    for (int i = 0; i < s->partitions; i++) {
        struct partition *p = &m->parts[source][i];

        if (p->drained && s->idle >= 0 && m->now - p->drained_since >= s->idle && !waits(p))
            p->idle = true;
        all = all && p->idle && !waits(p);
    }
    advance(m, source);
    if (all && m->now - s->disorder - s->idle > m->w[source])
        m->w[source] = m->now - s->disorder - s->idle;
}

// The partition whose record goes next; NULL when all is read.
static struct partition *next_partition(struct making *m, int *source)
{
    struct partition *best = NULL;

    for (int i = 0; i < m->trial->n_sources; i++)
        for (int k = 0; k < m->trial->sources[i].partitions; k++) {
            struct partition *p = &m->parts[i][k];

            if (!waits(p) || (best != NULL && m->trial->ops[p->ops[p->next]].time >=
                                                  m->trial->ops[best->ops[best->next]].time))
                continue;
            best = p;
            *source = i;
        }
    return best;
}

static void process(struct making *m, struct partition *p, int source)
{
    const struct op *o = &m->trial->ops[p->ops[p->next++]];
    int64_t w = o->time - m->trial->sources[source].disorder;

    stream_push(&m->l->records, (struct item){.moment = m->l->n_moments,
                                              .time = o->time,
                                              .source = source,
                                              .key = o->key,
                                              .nil = o->nil,
                                              .x = o->x,
                                              .op = o});
    p->idle = p->drained = false;
    p->w = w > p->w ? w : p->w;
    advance(m, source);
    moment(m);
}

static void note_drained(struct making *m, bool again)
{
    for (int i = 0; i < m->trial->n_sources; i++)
        for (int k = 0; k < m->trial->sources[i].partitions; k++) {
            struct partition *p = &m->parts[i][k];

            if (!p->drained || (again && !p->idle))
                p->drained_since = m->now;
            p->drained = true;
        }
}

static void run(struct making *m)
{
    struct partition *p;
    int source;

    for (int i = 0; i < m->trial->n_sources && *m->steps; i++) {
        count_clock(m, i);
        moment(m);
    }
    m->steps++;
    while ((p = next_partition(m, &source)) != NULL)
        process(m, p, source);
    note_drained(m, false);
}

static void sent(struct making *m, size_t op)
{
    const struct op *o = &m->trial->ops[op];
    struct partition *p = &m->parts[o->source][o->partition];

    if (p->n == p->cap) {
        p->cap = p->cap > 0 ? p->cap * 2 : 256;
        p->ops = heap_realloc(p->ops, p->cap * sizeof *p->ops);
    }
    p->ops[p->n++] = op;
}

static void happen(struct making *m, size_t i)
{
    const struct op *o = &m->trial->ops[i];

    switch ((enum op_kind)o->kind) {
    case OP_RECORD:
        sent(m, i);
        return;
    case OP_CLOCK:
        m->now += o->time;
        return;
    case OP_RUN:
        run(m);
        return;
    case OP_LOOK:
        ASSERT(m->l->n_looks < 64);
        m->l->looks[m->l->n_looks++] = m->l->n_moments;
        return;
    case OP_RESTART: // since when a partition is drained is not written down
        note_drained(m, true);
        run(m);
        return;
    case OP_BATCH:
        return;
    }
}

void timeline_make(const struct trial *t, const struct buf *steps, struct timeline *out)
{
    struct making *m = heap_zalloc(sizeof *m);

    *out = (struct timeline){0};
    m->trial = t;
    m->l = out;
    m->now = TRIAL_START;
    m->steps = steps->p;
    for (int i = 0; i < t->n_sources; i++) {
        m->w[i] = W_NONE;
        for (int k = 0; k < PARTITIONS_MAX; k++)
            m->parts[i][k].w = W_NONE;
    }
    moment(m); // before anything
    for (size_t i = 0; i < t->n; i++)
        happen(m, i);
    for (int i = 0; i < t->n_sources; i++)
        for (int k = 0; k < PARTITIONS_MAX; k++)
            heap_free(m->parts[i][k].ops);
    heap_free(m);
}

void timeline_free(struct timeline *l)
{
    stream_free(&l->records);
    for (int i = 0; i < SOURCES_MAX; i++)
        heap_free(l->w[i]);
    heap_free(l->all);
    *l = (struct timeline){0};
}

int64_t watermark_before(const struct timeline *l, size_t moment)
{
    return l->all[moment - 1];
}

size_t first_reaching(const struct timeline *l, size_t from, int64_t w)
{
    size_t lo = from, hi = l->n_moments;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;

        if (l->all[mid] >= w)
            hi = mid;
        else
            lo = mid + 1;
    }
    return lo < l->n_moments ? lo : NEVER;
}
