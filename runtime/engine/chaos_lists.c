// SPDX-License-Identifier: Apache-2.0
//
// Other ways to do what a test does.
//
// A segment is what a test sends between two things that are not sends: an observation, a move of
// the clock, a restart. Inside one, records of different partitions could have arrived in another
// order, and records of one partition together. Two things that have nothing to do with that must
// be kept from changing along:
//
//   the clock   A send moves it, so that another order would be at other times, and idle rules,
//               retries and ticks would come out differently. A list is made still: at the start of
//               each segment the clock goes to where it is at its end.
//   idleness    A partition that is quiet because the other order has its records later is not
//               idle. Partitions that are sent to in a segment have something coming throughout.
//
// Such a list is compared with a still one in the test's own order, not with the test. Records keep
// their timestamps, and all partitions exist from the start.
#include "runtime/engine/chaos_lists.h"

#include "runtime/base/heap.h"

static bool in_segment(const struct act *a)
{
    return a->kind == ACT_SEND || a->kind == ACT_BATCH_BEGIN || a->kind == ACT_BATCH_END ||
           a->kind == ACT_RUN;
}

// The act behind the segment that starts at i.
static size_t segment_end(const struct acts *in, size_t i)
{
    while (i < in->n && in_segment(&in->items[i]))
        i++;
    return i;
}

static bool same_partition(const struct act *a, const struct act *b)
{
    return a->record.partition == b->record.partition && strcmp(a->topic, b->topic) == 0;
}

static bool sent_before(const struct acts *in, size_t from, size_t i)
{
    for (size_t k = from; k < i; k++)
        if (in->items[k].kind == ACT_SEND && same_partition(&in->items[k], &in->items[i]))
            return true;
    return false;
}

// One act for each partition that is sent to in [from, to).
static void each_partition(const struct acts *in, size_t from, size_t to, enum act_kind kind,
                           struct acts *out)
{
    for (size_t i = from; i < to; i++) {
        struct act a = {.kind = kind,
                        .topic = in->items[i].topic,
                        .record.partition = in->items[i].record.partition};
        if (in->items[i].kind == ACT_SEND && !sent_before(in, from, i))
            acts_add(out, &a);
    }
}

static void add_kind(struct acts *out, enum act_kind kind)
{
    acts_add(out, &(struct act){.kind = kind});
}

// --- still lists ---

struct stilling {
    const struct acts *in;
    const struct chaos_still *how;
    struct acts *out;
    const struct act **sends; // of the topic
    int next;                 // its next place
};

static const struct act *act_at(struct stilling *s, const struct act *a)
{
    const struct chaos_topic *t = s->how->topic;

    if (s->how->order == NULL || strcmp(a->topic, t->name) != 0)
        return a;
    return s->sends[s->how->order[s->next++]];
}

static void send_singly(struct stilling *s, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        struct act a;
        if (s->in->items[i].kind != ACT_SEND)
            continue;
        a = *act_at(s, &s->in->items[i]);
        a.quiet = false;
        acts_add(s->out, &a);
    }
}

static void send_merged(struct stilling *s, size_t from, size_t to)
{
    const struct act *last = NULL;

    for (size_t i = from; i < to; i++) {
        struct act a = s->in->items[i];
        if (a.kind != ACT_SEND)
            continue;
        if (last == NULL || !same_partition(last, &a)) {
            if (last != NULL) {
                add_kind(s->out, ACT_BATCH_END);
                add_kind(s->out, ACT_RUN);
            }
            add_kind(s->out, ACT_BATCH_BEGIN);
        }
        last = &s->in->items[i];
        a.quiet = true;
        acts_add(s->out, &a);
    }
    if (last != NULL)
        add_kind(s->out, ACT_BATCH_END);
}

static void segment(struct stilling *s, size_t from, size_t to)
{
    struct act clock = {.kind = ACT_CLOCK};

    for (size_t i = from; i < to; i++)
        if (s->in->items[i].kind == ACT_SEND && s->in->items[i].ms > clock.ms)
            clock.ms = s->in->items[i].ms;
    acts_add(s->out, &clock);
    each_partition(s->in, from, to, ACT_COMING, s->out);
    if (s->how->merge)
        send_merged(s, from, to);
    else
        send_singly(s, from, to);
    each_partition(s->in, from, to, ACT_CAME, s->out);
    add_kind(s->out, ACT_RUN);
}

static void find_sends(struct stilling *s)
{
    int n = 0;

    s->sends = heap_zalloc(((size_t)s->how->topic->n + 1) * sizeof(*s->sends));
    for (size_t i = 0; i < s->in->n; i++)
        if (s->in->items[i].kind == ACT_SEND &&
            strcmp(s->in->items[i].topic, s->how->topic->name) == 0)
            s->sends[n++] = &s->in->items[i];
}

void chaos_still(const struct acts *in, const struct chaos_still *how, struct acts *out)
{
    struct stilling s = {.in = in, .how = how, .out = out};

    acts_clear(out);
    if (how->order != NULL)
        find_sends(&s);
    each_partition(in, 0, in->n, ACT_CAME, out);
    for (size_t i = 0; i < in->n;) {
        size_t end = segment_end(in, i);
        if (end > i)
            segment(&s, i, end);
        if (end < in->n)
            acts_add(out, &in->items[end]);
        i = end + 1;
    }
    heap_free(s.sends);
}

// --- batches ---

void chaos_singly(const struct acts *in, struct acts *out)
{
    acts_clear(out);
    for (size_t i = 0; i < in->n; i++)
        if (in->items[i].kind != ACT_BATCH_BEGIN && in->items[i].kind != ACT_BATCH_END)
            acts_add(out, &in->items[i]);
}

bool chaos_has_batches(const struct acts *in)
{
    for (size_t i = 0; i < in->n; i++) {
        size_t k = i + 1;
        if (in->items[i].kind != ACT_BATCH_BEGIN)
            continue;
        for (; k < in->n && in->items[k].kind == ACT_SEND; k++)
            if (sent_before(in, i, k))
                return true;
    }
    return false;
}

bool chaos_has_neighbours(const struct acts *in)
{
    const struct act *last = NULL;

    for (size_t i = 0; i < in->n; i++) {
        const struct act *a = &in->items[i];
        if (!in_segment(a))
            last = NULL;
        if (a->kind != ACT_SEND)
            continue;
        if (last != NULL && same_partition(last, a))
            return true;
        last = a;
    }
    return false;
}

// --- topics ---

static struct chaos_topic *find_topic(struct chaos_topic **topics, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(topics[i]->name, name) == 0)
            return topics[i];
    return NULL;
}

static struct chaos_topic *topic_new(const char *name, size_t room)
{
    struct chaos_topic *t = heap_zalloc(sizeof *t);

    t->name = name;
    t->partitions = heap_zalloc(room * sizeof *t->partitions);
    t->offsets = heap_zalloc(room * sizeof *t->offsets);
    t->segments = heap_zalloc(room * sizeof *t->segments);
    return t;
}

static void topic_add(struct chaos_topic *t, int32_t partition, int segment_no)
{
    for (int i = 0; i < t->n; i++)
        t->offsets[t->n] += t->partitions[i] == partition;
    t->partitions[t->n] = partition;
    t->segments[t->n++] = segment_no;
}

struct chaos_topic **chaos_topics(const struct acts *in)
{
    struct chaos_topic **topics = heap_zalloc((in->n + 1) * sizeof(*topics));
    size_t n = 0;
    int segment_no = 0;

    for (size_t i = 0; i < in->n; i++) {
        const struct act *a = &in->items[i];
        struct chaos_topic *t;
        segment_no += !in_segment(a);
        if (a->kind != ACT_SEND)
            continue;
        t = find_topic(topics, n, a->topic);
        if (t == NULL)
            t = topics[n++] = topic_new(a->topic, in->n);
        topic_add(t, a->record.partition, segment_no);
    }
    return topics;
}

void chaos_topics_free(struct chaos_topic **topics)
{
    for (size_t i = 0; topics[i] != NULL; i++) {
        heap_free(topics[i]->partitions);
        heap_free(topics[i]->offsets);
        heap_free(topics[i]->segments);
        heap_free(topics[i]);
    }
    heap_free(topics);
}
