// SPDX-License-Identifier: Apache-2.0
#include "runtime/app/embedded.h"

#include <stdio.h>

#include "runtime/base/clock.h"
#include "runtime/base/datetime.h"
#include "runtime/base/heap.h"
#include "runtime/base/trace.h"

// --- partitions in use ---

static struct embedded_slot *slot_find(struct embedded_slots *s, const char *topic,
                                       int32_t partition)
{
    for (size_t i = 0; i < s->n; i++) {
        size_t at = (s->last + i) % s->n;

        if (s->items[at].partition != partition || strcmp(s->items[at].topic, topic) != 0)
            continue;
        s->last = at;
        return &s->items[at];
    }
    return NULL;
}

static void slot_drop(struct embedded_slots *s, struct embedded_slot *slot)
{
    broker_slot_release(slot->slot);
    *slot = s->items[--s->n];
}

static int slot_open(struct embedded_slots *s, const char *topic, int32_t partition,
                     struct embedded_slot **out, struct err *e)
{
    struct slot *slot;
    int rc = broker_partition(s->broker, bytes_str(topic), partition, &slot, e);

    if (rc != 0)
        return err_wrap(e, rc, "%s", topic);
    s->items = heap_realloc(s->items, (s->n + 1) * sizeof *s->items);
    *out = &s->items[s->n++];
    **out = (struct embedded_slot){.partition = partition, .slot = slot};
    snprintf((*out)->topic, sizeof(*out)->topic, "%s", topic);
    return 0;
}

// The open partition; one whose topic was deleted meanwhile is let go and looked for again.
static int slot_get(struct embedded_slots *s, const char *topic, int32_t partition,
                    struct embedded_slot **out, struct err *e)
{
    struct embedded_slot *found = slot_find(s, topic, partition);

    if (found != NULL && broker_slot_deleted(found->slot)) {
        slot_drop(s, found);
        found = NULL;
    }
    if (found == NULL)
        return slot_open(s, topic, partition, out, e);
    *out = found;
    return 0;
}

// The partition, if its topic is still the one that the caller knows.
static int partition_get(struct embedded_slots *s, const char *topic, struct uuid id,
                         int32_t partition, struct partition **out, struct err *e)
{
    struct embedded_slot *slot = NULL;
    int rc = slot_get(s, topic, partition, &slot, e);

    if (rc != 0)
        return rc;
    if (!uuid_eq(broker_slot_topic(slot->slot), id))
        return err_set(e, LEAT_ENOTFOUND, "topic %s was deleted and made again", topic);
    *out = broker_slot_partition(slot->slot);
    return 0;
}

// --- source ---

static struct embedded *of_source(struct source *s)
{
    return container_of(s, struct embedded, source);
}

static struct embedded_input *input_of(struct embedded *em, const char *topic)
{
    struct embedded_input *in;

    for (size_t i = 0; i < em->n_inputs; i++)
        if (strcmp(em->inputs[i].topic, topic) == 0)
            return &em->inputs[i];
    em->inputs = heap_realloc(em->inputs, (em->n_inputs + 1) * sizeof *em->inputs);
    in = &em->inputs[em->n_inputs++];
    *in = (struct embedded_input){.topic = {0}};
    snprintf(in->topic, sizeof in->topic, "%s", topic);
    return in;
}

static int source_topic(struct source *s, const char *topic, struct source_topic *out,
                        struct err *e)
{
    struct embedded *em = of_source(s);
    struct broker_topic info;
    int rc = broker_topic_info(em->slots.broker, bytes_str(topic), &info, e);

    if (rc != 0)
        return rc;
    input_of(em, topic)->id = info.id;
    *out = (struct source_topic){info.id, info.n_partitions};
    return 0;
}

static int64_t stable_end(const struct partition *p)
{
    int64_t lso = partition_lso(p), flushed = partition_flushed(p);

    return lso < flushed ? lso : flushed;
}

static int source_bounds(struct source *s, const char *topic, int32_t partition, int64_t *start,
                         int64_t *stable, struct err *e)
{
    struct embedded *em = of_source(s);
    struct partition *p;
    int rc = partition_get(&em->slots, topic, input_of(em, topic)->id, partition, &p, e);

    if (rc != 0)
        return rc;
    *start = partition_start(p);
    *stable = stable_end(p);
    return 0;
}

static int source_fetch(struct source *s, const char *topic, int32_t partition, int64_t offset,
                        size_t bytes_max, struct buf *out, int64_t *next, struct err *e)
{
    struct embedded *em = of_source(s);
    struct partition *p;
    int rc = partition_get(&em->slots, topic, input_of(em, topic)->id, partition, &p, e);

    if (rc != 0)
        return rc;
    return partition_read(p, offset, stable_end(p), bytes_max, out, next, e);
}

static const struct source_ops embedded_source_ops = {
    .topic = source_topic, .bounds = source_bounds, .fetch = source_fetch};

// --- publisher ---

static struct embedded *of_publisher(struct publisher *p)
{
    return container_of(p, struct embedded, publisher);
}

static int publisher_topic(struct publisher *p, const char *topic, struct publisher_topic *out,
                           struct err *e)
{
    struct broker *b = of_publisher(p)->slots.broker;
    struct broker_topic info;
    int rc = broker_topic_info(b, bytes_str(topic), &info, e);

    if (rc == LEAT_ENOTFOUND) {
        rc = broker_topic_create(b, bytes_str(topic), -1, NULL, 0, e);
        if (rc == 0 || rc == LEAT_EEXISTS)
            rc = broker_topic_info(b, bytes_str(topic), &info, e);
    }
    if (rc == 0)
        *out = (struct publisher_topic){info.id, info.n_partitions};
    return rc;
}

// A published record has the time of its event, so what a job makes of an old input is past its
// topic's retention from the start. It can be read until its segment is closed, and then it is gone
// all at once, which nobody expects: said once for a topic, by whoever publishes.
static void say_if_past(struct embedded_slots *s, const char *topic, struct partition *part,
                        int64_t newest)
{
    int64_t keeps = partition_retention_ms(part);
    bool said = false;
    char text[32];

    if (keeps < 0 || newest >= clock_wall_ms(clock_system()) - keeps)
        return;
    for (size_t i = 0; i < s->n; i++)
        if (strcmp(s->items[i].topic, topic) == 0) {
            said = said || s->items[i].said_past;
            s->items[i].said_past = true;
        }
    if (said)
        return;
    duration_format(keeps, text);
    trace(TRACE_WARN, "jobs",
          "topic %s keeps records for %s, and what is published to it now has older times: it goes "
          "when its segment is full or as old; retention = \"forever\" keeps it",
          topic, text);
}

static int publisher_append(struct publisher *p, const char *topic, struct uuid id,
                            int32_t partition, struct bytes batch, int64_t *end, struct err *e)
{
    struct embedded *em = of_publisher(p);
    struct append_result result;
    struct batch_header h;
    struct partition *part = NULL;
    int rc = partition_get(&em->slots, topic, id, partition, &part, e);

    if (rc != 0)
        return rc;
    buf_clear(&em->batch);
    buf_append_bytes(&em->batch, batch);
    rc = batch_read(batch, &h, e);
    ASSERT(rc == 0); // the relay built it
    rc = partition_append(part, em->batch.p, &h, &result, e);
    if (rc != 0)
        return rc;
    *end = result.end_offset;
    say_if_past(&em->slots, topic, part, h.max_timestamp);
    return 0;
}

static int publisher_durable(struct publisher *p, const char *topic, struct uuid id,
                             int32_t partition, int64_t *offset, struct err *e)
{
    struct partition *part = NULL;
    int rc = partition_get(&of_publisher(p)->slots, topic, id, partition, &part, e);

    if (rc == 0)
        *offset = partition_flushed(part);
    return rc;
}

static const struct publisher_ops embedded_publisher_ops = {publisher_topic, publisher_append,
                                                            publisher_durable};

void embedded_init(struct embedded *em, struct broker *b)
{
    *em = (struct embedded){.source = {&embedded_source_ops},
                            .publisher = {&embedded_publisher_ops},
                            .slots = {.broker = b}};
}

void embedded_deinit(struct embedded *em)
{
    for (size_t i = 0; i < em->slots.n; i++)
        broker_slot_release(em->slots.items[i].slot);
    heap_free(em->slots.items);
    heap_free(em->inputs);
    buf_deinit(&em->batch);
}
