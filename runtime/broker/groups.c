// SPDX-License-Identifier: Apache-2.0
//
// One timer serves all groups: it fires at the earliest deadline of any, and then asks each.
// Deadlines that moved later meanwhile (heartbeats do that all the time) only make it fire for
// nothing.
//
// Replies of a step are all written before the first is sent, because sending may start the next
// request of a connection, and that may change the group.
#include "runtime/broker/groups.h"

#include <stdlib.h>

#include "runtime/base/heap.h"
#include "runtime/base/random.h"
#include "runtime/base/trace.h"
#include "runtime/broker/api_group.h"
#include "runtime/broker/core.h"

// --- committed offsets ---
static struct bytes committed_key(struct bytes topic, int32_t partition, struct buf *buf)
{
    buf_append_bytes(buf, topic);
    buf_append_byte(buf, 0);
    buf_append_be32(buf, (uint32_t)partition);
    return buf_bytes(buf);
}

struct committed *committed_find(const struct group_entry *entry, struct bytes topic,
                                 int32_t partition)
{
    struct buf key = BUF_EMPTY;
    struct committed *c = hashmap_get(&entry->offsets, committed_key(topic, partition, &key));

    buf_deinit(&key);
    return c;
}

static void committed_free(struct committed *c)
{
    if (c == NULL)
        return;
    group_bytes_set(&c->topic, BYTES_NULL);
    group_bytes_set(&c->metadata, BYTES_NULL);
    heap_free(c);
}

void committed_set(struct group_entry *entry, const struct committed *c)
{
    struct buf key = BUF_EMPTY;

    committed_key(c->topic, c->partition, &key);
    if (c->offset < 0) {
        committed_free(hashmap_remove(&entry->offsets, buf_bytes(&key)));
    } else {
        struct committed *copy = heap_alloc(sizeof *copy);

        *copy = *c;
        copy->topic = copy->metadata = BYTES_NULL;
        group_bytes_set(&copy->topic, c->topic);
        group_bytes_set(&copy->metadata, c->metadata);
        committed_free(hashmap_put(&entry->offsets, buf_bytes(&key), copy));
    }
    buf_deinit(&key);
}

static int by_topic(const void *a, const void *b)
{
    const struct committed *x = *(struct committed *const *)a, *y = *(struct committed *const *)b;
    int c = bytes_cmp(x->topic, y->topic);

    return c != 0 ? c : (x->partition > y->partition) - (x->partition < y->partition);
}

struct committed **committed_all(const struct group_entry *entry, size_t *n)
{
    struct committed **all = heap_alloc(entry->offsets.n * sizeof *all);
    void *value;
    size_t k = 0;

    for (size_t i = 0; hashmap_next(&entry->offsets, &i, NULL, &value);)
        all[k++] = value;
    qsort(all, k, sizeof *all, by_topic);
    *n = k;
    return all;
}

// --- entries ---
struct group_entry *groups_find(struct groups *gs, struct bytes id)
{
    return hashmap_get(&gs->by_id, id);
}

struct group_entry *groups_make(struct groups *gs, struct bytes id)
{
    struct group_entry *entry = groups_find(gs, id);

    if (entry != NULL || gs->by_id.n >= GROUPS_MAX)
        return entry;
    entry = heap_zalloc(sizeof *entry);
    entry->groups = gs;
    group_init(&entry->group, &gs->config, id);
    hashmap_init(&entry->offsets, random_entropy_u64());
    hashmap_put(&gs->by_id, id, entry);
    atomic_fetch_add(&gs->n, 1);
    return entry;
}

static void entry_free(struct group_entry *entry)
{
    void *c;

    for (size_t i = 0; hashmap_next(&entry->offsets, &i, NULL, &c);)
        committed_free(c);
    hashmap_deinit(&entry->offsets);
    group_deinit(&entry->group);
    heap_free(entry);
}

static void entry_remove(struct groups *gs, struct group_entry *entry)
{
    hashmap_remove(&gs->by_id, entry->group.id);
    atomic_fetch_sub(&gs->n, 1);
    entry_free(entry);
}

// --- writing groups down ---
struct group_save {
    struct journal_write write;
    struct groups *groups;
    struct bytes id; // owned
    int32_t generation;
};

static void group_saved(struct journal_write *w, int16_t error)
{
    struct group_save *s = container_of(w, struct group_save, write);
    struct group_entry *entry = groups_find(s->groups, s->id);
    struct group_effects out = {0};

    if (entry != NULL) {
        group_step_saved(&entry->group, s->generation, error, broker_now(s->groups->broker), &out);
        groups_perform(entry, &out);
    }
    group_effects_deinit(&out);
    group_bytes_set(&s->id, BYTES_NULL);
    heap_free(s);
}

static int write_batch(struct groups *gs, struct bytes id, int32_t generation,
                       struct journal_batch *b, struct err *e)
{
    struct group_save *s = heap_zalloc(sizeof *s);
    int rc;

    s->groups = gs;
    s->generation = generation;
    s->write.done = group_saved;
    group_bytes_set(&s->id, id);
    rc = journal_write(&gs->journal, id, b, &s->write, e);
    if (rc < 0) {
        group_bytes_set(&s->id, BYTES_NULL);
        heap_free(s);
    }
    return rc;
}

static void save(struct group_entry *entry, struct group_effects *out)
{
    struct groups *gs = entry->groups;
    struct journal_batch b;
    struct err e;
    int rc;

    journal_batch_init(&b, clock_wall_ms(gs->broker->config.clock));
    journal_add_group(&b, &entry->group);
    rc = write_batch(gs, entry->group.id, entry->group.generation, &b, &e);
    journal_batch_deinit(&b);
    if (rc == 0)
        return;
    trace(TRACE_WARN, "broker", "a group cannot be written down: %s", e.text);
    group_step_saved(&entry->group, entry->group.generation, GROUP_NOT_AVAILABLE,
                     broker_now(gs->broker), out);
}

int groups_delete(struct groups *gs, struct group_entry *entry, struct err *e)
{
    struct journal_batch b;
    struct committed **all;
    size_t n;
    int rc;

    journal_batch_init(&b, clock_wall_ms(gs->broker->config.clock));
    all = committed_all(entry, &n);
    for (size_t i = 0; i < n; i++)
        journal_add_offset_gone(&b, entry->group.id, all[i]);
    heap_free(all);
    journal_add_group_gone(&b, entry->group.id);
    rc = write_batch(gs, entry->group.id, -1, &b, e);
    journal_batch_deinit(&b);
    if (rc == 0)
        entry_remove(gs, entry);
    return rc;
}

// One batch per group that has committed something for the topic.
static void forget_topic(struct group_entry *entry, struct bytes topic)
{
    struct groups *gs = entry->groups;
    struct journal_batch b;
    struct committed **all;
    struct err e;
    size_t n;

    journal_batch_init(&b, clock_wall_ms(gs->broker->config.clock));
    all = committed_all(entry, &n);
    for (size_t k = 0; k < n; k++) {
        struct committed gone = {.topic = topic, .partition = all[k]->partition, .offset = -1};

        if (!bytes_eq(all[k]->topic, topic))
            continue;
        journal_add_offset_gone(&b, entry->group.id, &gone);
        committed_set(entry, &gone);
    }
    heap_free(all);
    if (b.n > 0 && write_batch(gs, entry->group.id, -1, &b, &e) < 0)
        trace(TRACE_WARN, "broker", "offsets of a deleted topic stay: %s", e.text);
    journal_batch_deinit(&b);
}

void groups_topic_deleted(struct groups *gs, struct bytes topic)
{
    void *value;

    for (size_t i = 0; hashmap_next(&gs->by_id, &i, NULL, &value);)
        forget_topic(value, topic);
}

// --- effects and time ---
static void arm(struct groups *gs, int64_t deadline)
{
    if (deadline >= gs->armed)
        return;
    gs->armed = deadline;
    timer_arm(gs->timer, deadline - broker_now(gs->broker));
}

static bool is_nothing(const struct group_entry *entry)
{
    const struct group *g = &entry->group;

    return g->state == GROUP_EMPTY && g->n_pending == 0 && entry->offsets.n == 0;
}

void groups_perform(struct group_entry *entry, struct group_effects *out)
{
    struct groups *gs = entry->groups;

    if (out->save)
        save(entry, out);
    for (size_t i = 0; i < out->n; i++)
        group_reply_write(&entry->group, &out->replies[i]);
    arm(gs, group_deadline(&entry->group));
    if (is_nothing(entry)) {
        struct err e;
        if (!out->save || groups_delete(gs, entry, &e) < 0)
            entry_remove(gs, entry);
    }
    for (size_t i = 0; i < out->n; i++)
        group_reply_send(&out->replies[i]);
}

static void tick(struct groups *gs, struct bytes id, int64_t now)
{
    struct group_entry *entry = groups_find(gs, id);
    struct group_effects out = {0};

    if (entry == NULL)
        return; // gone while another group was served
    group_step_tick(&entry->group, now, &out);
    groups_perform(entry, &out);
    group_effects_deinit(&out);
}

static void on_timer(void *arg)
{
    struct groups *gs = arg;
    int64_t now = broker_now(gs->broker), next = INT64_MAX;
    struct bytes *due = heap_zalloc(gs->by_id.n * sizeof *due);
    size_t n = 0;
    void *value;

    gs->armed = INT64_MAX;
    for (size_t i = 0; hashmap_next(&gs->by_id, &i, NULL, &value);) {
        struct group_entry *entry = value;
        int64_t at = group_deadline(&entry->group);
        if (at <= now)
            group_bytes_set(&due[n++], entry->group.id);
        else if (at < next)
            next = at;
    }
    arm(gs, next);
    for (size_t i = 0; i < n; i++) {
        tick(gs, due[i], now);
        group_bytes_set(&due[i], BYTES_NULL);
    }
    heap_free(due);
}

// --- life ---
// Replaying tombstones leaves groups with nothing in them.
static void remove_nothings(struct groups *gs)
{
    struct group_entry **gone = heap_alloc(gs->by_id.n * sizeof(struct group_entry *));
    size_t n = 0;
    void *value;

    for (size_t i = 0; hashmap_next(&gs->by_id, &i, NULL, &value);)
        if (is_nothing(value))
            gone[n++] = value;
    for (size_t i = 0; i < n; i++)
        entry_remove(gs, gone[i]);
    heap_free(gone);
}

int groups_open(struct groups *gs, struct broker *b, struct err *e)
{
    int64_t next = INT64_MAX;
    void *value;
    int rc;

    gs->broker = b;
    gs->config = (struct group_config){.initial_delay_ms = b->config.initial_rebalance_delay_ms,
                                       .session_ms_min = b->config.session_ms_min,
                                       .session_ms_max = b->config.session_ms_max,
                                       .members_max = GROUP_MEMBERS_MAX};
    gs->armed = INT64_MAX;
    hashmap_init(&gs->by_id, random_entropy_u64());
    gs->timer = timer_new(b->loop, on_timer, gs);
    gs->journal = (struct journal){.broker = b, .compacting = -1};
    list_init(&gs->journal.writes);
    rc = journal_replay(&gs->journal, gs, e);
    if (rc < 0)
        return rc;
    remove_nothings(gs);
    for (size_t i = 0; hashmap_next(&gs->by_id, &i, NULL, &value);) {
        struct group_entry *entry = value;
        int64_t at = group_deadline(&entry->group);
        next = at < next ? at : next;
    }
    arm(gs, next);
    return 0;
}

void groups_release(struct groups *gs)
{
    void *value;

    journal_close(&gs->journal);
    for (size_t i = 0; hashmap_next(&gs->by_id, &i, NULL, &value);) {
        struct group_entry *entry = value;
        struct group *g = &entry->group;
        for (struct link *l = g->members.next; l != &g->members; l = l->next) {
            struct group_member *m = container_of(l, struct group_member, link);
            group_reply_drop(m->join);
            group_reply_drop(m->sync);
            m->join = m->sync = NULL;
        }
    }
}

void groups_close(struct groups *gs)
{
    void *value;

    if (gs->broker == NULL)
        return;
    journal_close(&gs->journal);
    for (size_t i = 0; hashmap_next(&gs->by_id, &i, NULL, &value);)
        entry_free(value);
    hashmap_deinit(&gs->by_id);
    timer_free(gs->timer);
}
