// SPDX-License-Identifier: Apache-2.0
//
// The job's input partitions.
//
//   inputs_open      topics -> partitions, offsets from the store (a new job: the log's start)
//   inputs_refresh   each step: how far may be read (below that, nothing can change any more)
//   inputs_fill      one decoded head per partition that has something; heads go into the merge
//   inputs_advance   the head is done: the partition's next record becomes its head
//
// Memory: one fetch buffer per partition, sized so that all together stay below a bound, and two
// arenas: of the batch being read (when it was compressed) and of the head. A head is decoded when
// it becomes one, since the merge needs its event time; everything that processing makes goes into
// the same arena, and one reset frees it.
//
// Never jumps: a stored offset that the log does not have, a topic with another id, a partition
// that appeared under a job whose result depends on which records share one: the job stops and says
// what to do. Starting over at "latest", as consumers do by default, is how records get lost.
//
// A head that cannot be decoded still has its place: it sorts by the record's timestamp, and its
// class travels with it to where records are parked.
#include "runtime/engine/input.h"

#include "runtime/base/datetime.h"
#include "runtime/base/failpoint.h"
#include "runtime/base/heap.h"
#include "runtime/base/limits.h"
#include "runtime/engine/class.h"
#include "runtime/expr/expr.h"

#include <stdio.h>

enum {
    FETCH_ALL_BYTES = 32 * 1024 * 1024, // all partitions together
    FETCH_MAX = 1024 * 1024,
    FETCH_MIN = 64 * 1024,
};

// --- making ---

static bool order_matters(const struct plan *p)
{
    for (int i = 0; i < p->n_nodes; i++)
        if (p->nodes[i].writes_rows || p->nodes[i].kind == NODE_AGGREGATE)
            return true;
    return false;
}

void inputs_init(struct inputs *in, const struct plan *p, struct source *src, struct store *s)
{
    *in = (struct inputs){.plan = p, .source = src, .store = s, .keyed = order_matters(p)};
    in->sources = heap_zalloc((size_t)p->n_nodes * sizeof *in->sources);
    for (int i = 0; i < p->n_nodes; i++) {
        const struct plan_node *n = &p->nodes[i];
        if (n->kind != NODE_SOURCE)
            continue;
        in->sources[in->n_sources++] = (struct input_source){
            .node = i,
            .plan = &n->source,
            .fields = n->fields,
            .topic_name = bytes_str(n->source.topic),
            .entry = bytes_hash(bytes_str(n->id), 0),
            .wm = {.disorder_ms = n->source.disorder_ms,
                   .idle_ms = n->source.idle_ms,
                   .w = WATERMARK_NONE},
        };
    }
}

static void part_deinit(struct input_part *p)
{
    buf_deinit(&p->data);
    arena_deinit(&p->batch_arena);
    arena_deinit(&p->arena);
}

void inputs_deinit(struct inputs *in)
{
    for (int i = 0; i < in->n_parts; i++)
        part_deinit(&in->parts[i]);
    for (int i = 0; i < in->n_sources; i++) {
        heap_free(in->sources[i].wm.parts);
        heap_free(in->sources[i].drained);
    }
    heap_free(in->parts);
    heap_free(in->merge.heads);
    heap_free(in->sources);
    *in = (struct inputs){0};
}

#define MADE_ANEW                                                                                  \
    "the topic was deleted and made anew; its offsets start over. A new version of the job reads " \
    "the new topic from the start"

static int stop(struct err *e, const char *topic, int32_t partition, const char *why)
{
    return err_set(e, LEAT_ESTOPPED, "input %s/%d: %s", topic, partition, why);
}

static const char *topic_of(const struct inputs *in, const struct input_part *p)
{
    return in->sources[p->source].plan->topic;
}

static struct watermark_part *wm_of(const struct inputs *in, const struct input_part *p)
{
    return &in->sources[p->source].wm.parts[p->partition];
}

// Partitions of one source are added in order, so their number is also their place in its arrays.
static void part_add(struct inputs *in, int source, int32_t partition)
{
    struct input_source *s = &in->sources[source];
    uint32_t order = (uint32_t)(s->plan->changelog ? source : in->n_sources + source);
    size_t n = (size_t)partition + 1, all = (size_t)in->n_parts + 1;

    ASSERT(partition == s->wm.n && partition < 65536);
    in->parts = heap_realloc(in->parts, all * sizeof *in->parts);
    in->merge.heads = heap_realloc(in->merge.heads, all * sizeof *in->merge.heads);
    s->wm.parts = heap_realloc(s->wm.parts, n * sizeof *s->wm.parts);
    s->drained = heap_realloc(s->drained, n * sizeof *s->drained);
    s->wm.parts[partition] = (struct watermark_part){
        .w = s->wm.w, .last_time = WATERMARK_NONE, .drained_since = DRAINED_NOT};
    s->drained[partition] = false;
    s->wm.n = partition + 1;
    in->parts[in->n_parts++] = (struct input_part){.source = source,
                                                   .partition = partition,
                                                   .rank = order << 16 | (uint32_t)partition,
                                                   .next = -1,
                                                   .committed = -1,
                                                   .epoch = -1,
                                                   .stored_epoch = -1};
    in->fetch_bytes = FETCH_ALL_BYTES / all;
    if (in->fetch_bytes > FETCH_MAX)
        in->fetch_bytes = FETCH_MAX;
    if (in->fetch_bytes < FETCH_MIN)
        in->fetch_bytes = FETCH_MIN;
}

// --- where each partition stands ---

struct loading {
    struct inputs *in;
    struct err *err;
};

static int load_offset(void *arg, const struct store_offset *o)
{
    struct loading *l = arg;

    for (int i = 0; i < l->in->n_parts; i++) {
        struct input_part *p = &l->in->parts[i];
        struct input_source *s = &l->in->sources[p->source];
        struct watermark_part *w = wm_of(l->in, p);

        if (p->partition != o->partition || strcmp(s->plan->topic, o->topic) != 0)
            continue;
        if (!uuid_eq(o->topic_id, s->topic.id))
            return stop(l->err, o->topic, o->partition, MADE_ANEW);
        p->next = p->committed = o->next;
        p->epoch = p->stored_epoch = o->epoch;
        *w = (struct watermark_part){.w = o->watermark,
                                     .last_time = o->last_time,
                                     .drained_since = DRAINED_NOT,
                                     .idle = o->idle};
        p->stored = *w;
    }
    return 0;
}

static int start_new(struct inputs *in, struct input_part *p, bool known, struct err *e)
{
    const struct plan_source *s = in->sources[p->source].plan;
    int64_t start, stable;
    int rc = in->source->ops->bounds(in->source, s->topic, p->partition, &start, &stable, e);

    if (rc != 0)
        return rc;
    if (p->next >= 0) {
        if (p->next < start)
            return stop(e, s->topic, p->partition,
                        "records that the job has not read are gone (retention). A new version of "
                        "the job begins with what is there");
        if (p->next > stable)
            return stop(
                e, s->topic, p->partition,
                "it ends before what the job has read: was it restored from a backup?");
        return 0;
    }
    if (known && in->keyed && !in->may_grow)
        return stop(e, s->topic, p->partition,
                    "the partition is new; records of one key may now be in two. A new version "
                    "of the job reads them all from the start");
    p->next = p->first = s->from_latest ? stable : start;
    p->stored = *wm_of(in, p);
    return 0;
}

static bool has_offsets(const struct inputs *in, int source)
{
    for (int i = 0; i < in->n_parts; i++)
        if (in->parts[i].source == source && in->parts[i].committed >= 0)
            return true;
    return false;
}

static void tell_committed(struct inputs *in, const struct input_part *p)
{
    const struct source_ops *ops = in->source->ops;

    if (ops->committed != NULL)
        ops->committed(in->source, topic_of(in, p), p->partition, p->committed);
}

static int place_parts(struct inputs *in, struct err *e)
{
    struct loading l = {.in = in, .err = e};
    int rc = in->store->ops->offsets(in->store, load_offset, &l, e);

    for (int i = 0; i < in->n_parts && rc == 0; i++)
        rc = start_new(in, &in->parts[i], has_offsets(in, in->parts[i].source), e);
    for (int i = 0; i < in->n_parts && rc == 0; i++)
        if (in->parts[i].committed >= 0)
            tell_committed(in, &in->parts[i]);
    for (int i = 0; i < in->n_sources && rc == 0; i++)
        watermark_loaded(&in->sources[i].wm);
    for (int i = 0; i < in->n_drained && rc == 0; i++) {
        const struct input_drained *d = &in->drained[i];
        if (d->partition < in->sources[d->source].wm.n)
            in->sources[d->source].wm.parts[d->partition].drained_since = d->since;
    }
    return rc;
}

void inputs_drained(const struct inputs *in, struct input_drained *out)
{
    for (int i = 0; i < in->n_parts; i++)
        out[i] = (struct input_drained){.source = in->parts[i].source,
                                        .partition = in->parts[i].partition,
                                        .since = wm_of(in, &in->parts[i])->drained_since};
}

// A topic's absence says itself; of an outbox it matters what of it is not there.
static int waits(const struct input_source *s, const char *for_what, int rc, struct err *e)
{
    if (s->plan->outbox.path != NULL)
        return err_wrap(e, rc, "waits for outbox %s", s->plan->topic);
    return err_set(e, rc, "waits for topic %s %s", s->plan->topic, for_what);
}

int inputs_open(struct inputs *in, struct err *e)
{
    for (int i = 0; i < in->n_sources; i++) {
        struct input_source *s = &in->sources[i];
        int rc;

        if (s->open)
            continue;
        rc = in->source->ops->topic(in->source, s->plan->topic, &s->topic, e);
        if (rc != 0)
            return rc == LEAT_ENOTFOUND ? waits(s, "to exist", rc, e) : rc;
        for (int32_t k = 0; k < s->topic.n_partitions; k++)
            part_add(in, i, k);
        s->open = true;
    }
    return place_parts(in, e);
}

static int refresh_source(struct inputs *in, int i, struct err *e)
{
    struct input_source *s = &in->sources[i];
    struct source_topic t;
    int rc = in->source->ops->topic(in->source, s->plan->topic, &t, e);

    if (rc == LEAT_ENOTFOUND)
        return waits(s, "again: it is gone", rc, e);
    if (rc != 0)
        return rc;
    if (!uuid_eq(t.id, s->topic.id))
        return stop(e, s->plan->topic, 0, MADE_ANEW);
    for (int32_t k = s->topic.n_partitions; k < t.n_partitions; k++) {
        part_add(in, i, k);
        rc = start_new(in, &in->parts[in->n_parts - 1], true, e);
        if (rc != 0)
            return rc;
    }
    s->topic.n_partitions = t.n_partitions;
    return 0;
}

int inputs_refresh(struct inputs *in, struct err *e)
{
    int rc = 0;

    for (int i = 0; i < in->n_sources && rc == 0; i++)
        rc = refresh_source(in, i, e);
    for (int i = 0; i < in->n_parts && rc == 0; i++) {
        struct input_part *p = &in->parts[i];
        int64_t start, stable;

        rc = in->source->ops->bounds(in->source, topic_of(in, p), p->partition, &start, &stable, e);
        if (rc == 0 && stable > p->stable)
            p->stable = stable;
    }
    return rc;
}

// --- heads ---

// An integer is milliseconds, text is ISO 8601; anything else is no time.
static int time_of_value(const struct value *v, int64_t *t, struct err *e)
{
    if (v->type == VALUE_INT && v->i >= DATETIME_MIN && v->i <= DATETIME_MAX) {
        *t = v->i;
        return 0;
    }
    if (v->type == VALUE_TEXT && datetime_parse(v->s, t) == 0)
        return 0;
    if (v->type == VALUE_TEXT)
        return err_set(e, LEAT_ETIME, "time: \"%.*s\" is not a time",
                       (int)(v->s.n < 40 ? v->s.n : 40), (const char *)v->s.p);
    return err_set(e, LEAT_ETIME, "time: %s is not a time", value_type_name(v));
}

static int event_time(const struct input_source *s, const struct input_raw *raw, struct event *ev,
                      struct err *e)
{
    struct expr_env env = {.event = ev, .now = raw->now, .arena = raw->arena};
    struct value v;
    int rc;

    if (!s->plan->has_time || ev->view.root.type == VALUE_MISSING)
        return 0; // the record's own: a tombstone has no fields to ask
    rc = plan_expr_eval(&s->plan->time, &env, NULL, &v, e);
    if (rc == 0)
        rc = time_of_value(&v, &ev->time, e);
    return rc;
}

static int check_time(const struct input_source *s, int64_t now, const struct event *ev,
                      struct err *e)
{
    if (ev->time < DATETIME_MIN || ev->time > DATETIME_MAX)
        return err_set(e, LEAT_ETIME, "time: %lld is not a time", (long long)ev->time);
    if (ev->time > now && ev->time - now > s->plan->ahead_ms)
        return err_set(e, LEAT_EAHEAD, "its time lies %lld s after the clock",
                       (long long)((ev->time - now) / 1000));
    return 0;
}

static int decode(const struct input_source *s, const struct input_raw *raw, struct event *ev,
                  struct err *e)
{
    const struct batch_record *r = raw->record;
    struct header *headers = NULL;
    int rc = plan_source_scan(s->plan, s->fields, r->value, raw->arena, &ev->view, e);

    if (rc == 0 && r->n_headers > 0) {
        rc = batch_record_headers(r, raw->arena, &headers, e);
        if (rc != 0)
            return LEAT_EDECODE;
        ev->headers = headers;
        ev->n_headers = (size_t)r->n_headers;
    }
    if (rc == 0)
        rc = event_time(s, raw, ev, e);
    return rc == 0 ? check_time(s, raw->now, ev, e) : rc;
}

int input_decode(const struct input_source *s, const struct input_raw *raw, struct event *ev,
                 struct err *e)
{
    const struct batch_record *r = raw->record;
    int rc;

    *ev = (struct event){
        .topic = s->topic_name,
        .partition = raw->partition,
        .offset = r->offset,
        .timestamp = r->timestamp,
        .time = r->timestamp,
        .key = value_of_key(r->key),
        .key_raw = r->key,
    };
    rc = decode(s, raw, ev, e);
    if (rc != 0 && class_of(rc) == 0) // a batch that passed its CRC and is none
        return LEAT_EDECODE;
    return class_of(rc);
}

// One that ends the process is not looked at again.
static int crash_of(const struct inputs *in, struct input_part *p, struct err *e)
{
    char text[80];

    p->event = (struct event){0};
    return err_set(e, LEAT_ECRASH, "%s", suspect_sentence(in->suspect, text));
}

static void decode_head(struct inputs *in, struct input_part *p, int64_t now)
{
    struct flight *flight = in->suspect->flight;
    enum flight_phase phase = (enum flight_phase)flight->phase;
    struct flight_id id = inputs_flight(in, p);
    const struct input_source *s = &in->sources[p->source];
    struct input_raw raw = {
        .record = &p->record, .partition = p->partition, .now = now, .arena = &p->arena};
    struct err e;

    err_clear(&e);
    arena_reset(&p->arena);
    if (in->suspect->phase != FLIGHT_IDLE && suspect_is_guilty(in->suspect, FLIGHT_RECORD, id)) {
        p->class = crash_of(in, p, &e);
    } else {
        flight_set(flight, FLIGHT_RECORD, id);
        failpoint_value("decode", p->record.value);
        p->class = input_decode(s, &raw, &p->event, &e);
        flight_phase(flight, phase);
    }
    p->has_head = true;
    p->timed = p->class == 0 || !s->plan->has_time;
    p->time = p->class == 0 ? p->event.time : p->record.timestamp;
    p->message = p->class != 0 ? arena_strdup(&p->arena, e.text) : NULL;
}

static int next_batch(struct input_part *p, struct err *e)
{
    struct bytes rest = bytes_of(p->data.p + p->pos, p->data.n - p->pos);
    struct batch_header h;
    int rc = batch_read(rest, &h, e);

    if (rc != 0)
        return rc;
    arena_reset(&p->batch_arena);
    rest.n = batch_size(&h);
    p->pos += rest.n;
    if (batch_last_offset(&h) < p->next)
        return 0;
    if (h.attributes & BATCH_CONTROL) {
        p->next = batch_last_offset(&h) + 1;
        return 0;
    }
    rc = batch_iter_init(&p->iter, rest, BATCH_INFLATED_MAX, &p->batch_arena, e);
    p->in_batch = rc == 0;
    if (rc == 0)
        p->epoch = h.leader_epoch;
    return rc;
}

// The next record at or behind `next` in memory. 1 found, 0 memory is used up.
static int next_record(struct input_part *p, struct err *e)
{
    for (;;) {
        int rc;

        if (!p->in_batch) {
            if (p->pos >= p->data.n)
                return 0;
            rc = next_batch(p, e);
            if (rc != 0)
                return rc;
            continue;
        }
        rc = batch_iter_next(&p->iter, &p->record, e);
        if (rc < 0)
            return rc;
        if (rc == 0) {
            int64_t end = batch_last_offset(&p->iter.header) + 1;
            p->in_batch = false;
            if (p->next < end) // compaction took the last records
                p->next = end;
        } else if (p->record.offset >= p->next) {
            return 1;
        }
    }
}

static int fetch(struct inputs *in, struct input_part *p, struct err *e)
{
    int64_t next = p->next;
    int rc;

    buf_clear(&p->data);
    p->pos = 0;
    rc = in->source->ops->fetch(in->source, topic_of(in, p), p->partition, p->next, in->fetch_bytes,
                                &p->data, &next, e);
    p->fetched = next;
    if (rc == LEAT_ERANGE)
        return stop(e, topic_of(in, p), p->partition,
                    "records that the job has not read are gone. A new version of the job "
                    "begins with what is there");
    return rc;
}

// Gives p a head if it has something to read below its stable end. 1 it has one or is drained;
// 0 there is more, but not yet here.
static int get_head(struct inputs *in, struct input_part *p, int64_t now, struct err *e)
{
    while (!p->has_head) {
        int rc = next_record(p, e);

        if (rc < 0)
            return err_wrap(e, rc, "input %s/%d behind offset %lld", topic_of(in, p), p->partition,
                            (long long)p->next);
        if (rc == 1 && p->record.offset < p->stable) {
            decode_head(in, p, now);
            return 1;
        }
        if (rc == 1 || p->next >= p->stable) {
            // Beyond what this step may see: read again by the next.
            p->in_batch = false;
            p->pos = p->data.n;
            return 1;
        }
        rc = fetch(in, p, e);
        if (rc != 0)
            return rc;
        if (p->data.n == 0 && p->fetched <= p->next)
            return 0;
        if (p->data.n == 0)
            p->next = p->fetched;
    }
    return 1;
}

static void push(struct inputs *in, struct input_part *p)
{
    merge_push(&in->merge,
               (struct merge_head){.time = p->time, .rank = p->rank, .part = (int)(p - in->parts)});
}

int inputs_fill(struct inputs *in, int64_t now, struct err *e)
{
    int all = 1;

    in->merge.n = 0;
    for (int i = 0; i < in->n_parts; i++) {
        struct input_part *p = &in->parts[i];
        int rc;

        if (p->has_head && p->class == LEAT_EAHEAD)
            decode_head(in, p, now); // the clock has moved since
        rc = get_head(in, p, now, e);
        if (rc < 0)
            return rc;
        if (rc == 0)
            all = 0;
        if (p->has_head)
            push(in, p);
    }
    return all;
}

struct input_part *inputs_head(struct inputs *in)
{
    return in->merge.n > 0 ? &in->parts[merge_top(&in->merge)->part] : NULL;
}

int inputs_advance(struct inputs *in, struct input_part *p, int64_t now, struct err *e)
{
    int rc;

    ASSERT(p->has_head);
    p->next = p->record.offset + 1;
    p->has_head = false;
    in->records++;
    rc = get_head(in, p, now, e);
    if (rc >= 0 && p->has_head)
        merge_replace(
            &in->merge,
            (struct merge_head){.time = p->time, .rank = p->rank, .part = (int)(p - in->parts)});
    else
        merge_pop(&in->merge);
    return rc;
}

// A partition is idle when nothing is coming, not when what is coming cannot be read yet.
static bool comes(const struct inputs *in, const struct input_part *p)
{
    const struct source_ops *ops = in->source->ops;

    return ops->coming != NULL && ops->coming(in->source, topic_of(in, p), p->partition);
}

void inputs_look(struct inputs *in, int64_t now)
{
    for (int i = 0; i < in->n_parts; i++) {
        struct input_part *p = &in->parts[i];
        bool coming = comes(in, p);
        in->sources[p->source].drained[p->partition] =
            !p->has_head && p->next >= p->stable && !coming;
        if (coming)
            wm_of(in, p)->idle = false;
    }
    for (int i = 0; i < in->n_sources; i++)
        watermark_look(&in->sources[i].wm, in->sources[i].drained, now);
}

void inputs_clock(struct inputs *in, int64_t now)
{
    for (int i = 0; i < in->n_sources; i++)
        (void)watermark_clock(&in->sources[i].wm, now);
}

bool inputs_waiting(const struct inputs *in)
{
    for (int i = 0; i < in->n_parts; i++)
        if (in->parts[i].has_head || in->parts[i].next < in->parts[i].stable)
            return true;
    return false;
}

int64_t inputs_lag(const struct inputs *in)
{
    int64_t lag = 0;

    for (int i = 0; i < in->n_parts; i++)
        if (in->parts[i].stable > in->parts[i].next)
            lag += in->parts[i].stable - in->parts[i].next;
    return lag;
}

// --- with the commit ---

static bool changed(const struct input_part *p, const struct watermark_part *w)
{
    return p->next != p->committed || p->epoch != p->stored_epoch || w->w != p->stored.w ||
           w->last_time != p->stored.last_time || w->idle != p->stored.idle;
}

size_t inputs_offsets(const struct inputs *in, struct store_offset *out)
{
    size_t n = 0;

    for (int i = 0; i < in->n_parts; i++) {
        const struct input_part *p = &in->parts[i];
        const struct watermark_part *w = wm_of(in, p);

        if (changed(p, w))
            out[n++] = (struct store_offset){.topic = topic_of(in, p),
                                             .topic_id = in->sources[p->source].topic.id,
                                             .partition = p->partition,
                                             .next = p->next,
                                             .epoch = p->epoch,
                                             .watermark = w->w,
                                             .last_time = w->last_time,
                                             .idle = w->idle};
    }
    return n;
}

void inputs_committed(struct inputs *in)
{
    for (int i = 0; i < in->n_parts; i++) {
        struct input_part *p = &in->parts[i];
        bool moved = p->committed != p->next;
        p->committed = p->next;
        p->stored = *wm_of(in, p);
        p->stored_epoch = p->epoch;
        if (moved)
            tell_committed(in, p);
    }
}

bool inputs_unplaced(const struct inputs *in)
{
    for (int i = 0; i < in->n_parts; i++)
        if (in->parts[i].committed < 0)
            return true;
    return false;
}

void inputs_rewind(struct inputs *in)
{
    in->merge.n = 0;
    for (int i = 0; i < in->n_parts; i++) {
        struct input_part *p = &in->parts[i];
        struct watermark_part *w = wm_of(in, p);
        int64_t since = w->drained_since;

        buf_clear(&p->data);
        p->pos = 0;
        p->in_batch = p->has_head = false;
        p->next = p->committed >= 0 ? p->committed : p->first;
        p->epoch = p->stored_epoch;
        *w = p->stored;
        w->drained_since = since;
    }
    for (int i = 0; i < in->n_sources; i++)
        watermark_loaded(&in->sources[i].wm);
}
