// SPDX-License-Identifier: Apache-2.0
//
// Happy path: encode the records, build a batch, append it to the group's partition, wait until its
// high watermark has passed the batch.
#include "runtime/broker/journal.h"

#include "runtime/base/endian.h"
#include "runtime/base/heap.h"
#include "runtime/base/trace.h"
#include "runtime/broker/core.h"
#include "runtime/wire/messages.h"
#include "runtime/wire/wire.h"

#define KEY_OFFSET 1
#define KEY_GROUP 2
#define VALUE_VERSION 3
#define REPLAY_BYTES (1024 * 1024)

// --- the topic ---
static int open_slots(struct journal *j, int32_t n, struct err *e)
{
    j->slots = heap_zalloc((size_t)n * sizeof(struct slot *));
    for (int32_t i = 0; i < n; i++) {
        int rc = slot_get(&j->broker->slots, BYTES_LIT(JOURNAL_TOPIC), i, &j->slots[i], e);
        if (rc < 0) {
            while (i-- > 0)
                slot_unref(j->slots[i]);
            heap_free(j->slots);
            j->slots = NULL;
            return rc;
        }
    }
    j->n_slots = n;
    return 0;
}

int journal_ready(struct journal *j, struct err *e)
{
    struct metadata_command c = {.kind = METADATA_TOPIC_CREATE,
                                 .name = BYTES_LIT(JOURNAL_TOPIC),
                                 .n_partitions = j->broker->config.offsets_partitions,
                                 .internal = true};
    struct topic *t;

    if (j->slots != NULL)
        return 0;
    t = metadata_topic(&j->broker->metadata, c.name);
    if (t == NULL) {
        int rc = broker_create(j->broker, &c, e);
        if (rc < 0)
            return rc;
        t = metadata_topic(&j->broker->metadata, c.name);
    }
    return open_slots(j, t->n_partitions, e);
}

void journal_close(struct journal *j)
{
    struct link *i;

    while ((i = list_pop(&j->writes)) != NULL) {
        struct journal_write *w = container_of(i, struct journal_write, link);
        waits_remove(&w->wait);
        slot_unref(w->slot);
        w->done(w, GROUP_NOT_AVAILABLE);
    }
    for (int32_t k = 0; k < j->n_slots; k++)
        slot_unref(j->slots[k]);
    heap_free(j->slots);
    j->slots = NULL;
    j->n_slots = 0;
}

// As Kafka places groups: Java's hash of the (ASCII) group id.
int32_t journal_partition(const struct journal *j, struct bytes group)
{
    uint32_t h = 0;

    for (size_t i = 0; i < group.n; i++)
        h = h * 31 + group.p[i];
    return (int32_t)((h & 0x7fffffff) % (uint32_t)j->n_slots);
}

// --- writing ---
void journal_batch_init(struct journal_batch *b, int64_t wall_ms)
{
    b->now_ms = wall_ms;
    b->n = 0;
    batch_builder_init(&b->builder);
    arena_init(&b->arena);
}

void journal_batch_deinit(struct journal_batch *b)
{
    batch_builder_deinit(&b->builder);
    arena_deinit(&b->arena);
}

// Version and message, in the batch's arena. What we encode ourselves always fits its schema.
static struct bytes encode(struct journal_batch *b, int prefix, const struct wire_message *m,
                           int version, const void *in)
{
    struct buf buf = BUF_EMPTY;
    struct bytes copy;
    struct err e;
    int rc;

    buf_append_be16(&buf, (uint16_t)prefix);
    rc = wire_encode(m, version, in, &buf, &e);
    if (rc < 0)
        trace(TRACE_ERROR, "journal", "cannot encode: %s", e.text);
    ASSERT(rc == 0);
    copy = arena_copy(&b->arena, buf_bytes(&buf));
    buf_deinit(&buf);
    return copy;
}

static void add(struct journal_batch *b, struct bytes key, struct bytes value)
{
    batch_builder_add(&b->builder, b->now_ms, key, value, NULL, 0);
    b->n++;
}

static struct bytes offset_key(struct journal_batch *b, struct bytes group,
                               const struct committed *c)
{
    struct offset_commit_key key = {group, c->topic, c->partition};

    return encode(b, KEY_OFFSET, &wire_offset_commit_key, 0, &key);
}

void journal_add_offset(struct journal_batch *b, struct bytes group, const struct committed *c)
{
    struct offset_commit_value *v = WIRE_NEW(&b->arena, offset_commit_value, 1);

    v->offset = c->offset;
    v->leader_epoch = c->leader_epoch;
    v->metadata = c->metadata;
    v->commit_timestamp = c->commit_ms;
    add(b, offset_key(b, group, c),
        encode(b, VALUE_VERSION, &wire_offset_commit_value, VALUE_VERSION, v));
}

void journal_add_offset_gone(struct journal_batch *b, struct bytes group, const struct committed *c)
{
    add(b, offset_key(b, group, c), BYTES_NULL);
}

static struct bytes group_key(struct journal_batch *b, struct bytes group)
{
    struct group_metadata_key key = {group};

    return encode(b, KEY_GROUP, &wire_group_metadata_key, 0, &key);
}

static struct bytes not_null(struct bytes b)
{
    return bytes_is_null(b) ? bytes_str("") : b;
}

void journal_add_group(struct journal_batch *b, const struct group *g)
{
    struct group_metadata_value *v = WIRE_NEW(&b->arena, group_metadata_value, 1);
    int i = 0;

    v->protocol_type = not_null(g->protocol_type);
    v->generation = g->generation;
    v->protocol = g->protocol;
    v->leader = g->leader != NULL ? g->leader->id : BYTES_NULL;
    v->current_state_timestamp = b->now_ms;
    v->members.n = g->n_members;
    v->members.items = WIRE_NEW(&b->arena, group_metadata_value_member, (size_t)g->n_members);
    for (struct link *l = g->members.next; l != &g->members; l = l->next) {
        const struct group_member *m = container_of(l, struct group_member, link);
        const struct group_protocol *p = group_member_protocol(m, g->protocol);
        struct group_metadata_value_member *out = &v->members.items[i++];

        out->member_id = m->id;
        out->group_instance_id = m->instance;
        out->client_id = not_null(m->client_id);
        out->client_host = not_null(m->client_host);
        out->rebalance_timeout = m->rebalance_ms;
        out->session_timeout = m->session_ms;
        out->subscription = p != NULL ? not_null(p->metadata) : bytes_str("");
        out->assignment = not_null(m->assignment);
    }
    add(b, group_key(b, g->id),
        encode(b, VALUE_VERSION, &wire_group_metadata_value, VALUE_VERSION, v));
}

void journal_add_group_gone(struct journal_batch *b, struct bytes group)
{
    add(b, group_key(b, group), BYTES_NULL);
}

static bool write_check(struct wait *wait, bool expired)
{
    struct journal_write *w = container_of(wait, struct journal_write, wait);
    bool durable = partition_hw(w->slot->partition) >= w->end;

    (void)expired;
    if (!durable && partition_state(w->slot->partition, NULL) == PARTITION_READY)
        return false;
    list_remove(&w->link);
    slot_unref(w->slot);
    w->done(w, durable ? GROUP_OK : GROUP_NOT_AVAILABLE);
    return true;
}

int journal_write_to(struct journal *j, struct slot *slot, struct journal_batch *b,
                     struct journal_write *w, struct err *e)
{
    struct append_result result;
    struct batch_header h;
    struct bytes batch;
    int rc = batch_builder_finish(&b->builder, CODEC_NONE, &batch, e);

    if (rc == 0)
        rc = batch_read(batch, &h, e);
    if (rc == 0)
        rc = partition_append(slot->partition, (uint8_t *)(uintptr_t)batch.p, &h, &result, e);
    if (rc < 0)
        return rc;
    w->slot = slot;
    slot_ref(slot);
    w->end = result.end_offset;
    w->wait.check = write_check;
    w->wait.deadline = INT64_MAX;
    list_push(&j->writes, &w->link);
    waits_add(&j->broker->waits, &w->wait);
    // Where acks do not wait for the disk nobody may come by later.
    if (!j->broker->config.durable && !atomic_exchange(&j->broker->moved_posted, true))
        loop_post(j->broker->loop, &j->broker->moved);
    return 0;
}

int journal_write(struct journal *j, struct bytes group, struct journal_batch *b,
                  struct journal_write *w, struct err *e)
{
    int rc = journal_ready(j, e);

    return rc < 0 ? rc : journal_write_to(j, j->slots[journal_partition(j, group)], b, w, e);
}

// --- reading ---
static int replay_offset(struct groups *gs, struct bytes key, struct bytes value, int version,
                         struct arena *a, struct err *e)
{
    struct offset_commit_key k;
    struct offset_commit_value v;
    struct group_entry *entry;
    int rc = wire_decode(&wire_offset_commit_key, 0, key, a, &k, e);

    if (rc < 0)
        return rc;
    if (!bytes_is_null(value)) {
        rc = wire_decode(&wire_offset_commit_value, version, value, a, &v, e);
        if (rc < 0)
            return rc;
    }
    entry = groups_make(gs, k.group);
    if (entry == NULL)
        return err_set(e, LEAT_ELIMIT, "more than %d groups", GROUPS_MAX);
    struct committed c = {.topic = k.topic, .partition = k.partition, .offset = -1};
    if (!bytes_is_null(value)) {
        c.offset = v.offset;
        c.leader_epoch = v.leader_epoch;
        c.metadata = v.metadata;
        c.commit_ms = v.commit_timestamp;
    }
    committed_set(entry, &c);
    return 0;
}

static void restore_member(struct group *g, const struct group_metadata_value_member *m,
                           struct bytes type, struct bytes protocol, int64_t now)
{
    struct group_protocol p = {protocol, m->subscription};
    struct group_join j = {.instance = m->group_instance_id,
                           .client_id = m->client_id,
                           .client_host = m->client_host,
                           .protocol_type = type,
                           .protocols = &p,
                           .n_protocols = 1,
                           .session_ms = m->session_timeout,
                           .rebalance_ms = m->rebalance_timeout};
    struct group_member *added = group_member_add(g, &j, m->member_id);

    group_bytes_set(&added->assignment, m->assignment);
    added->synced = true;
    added->deadline = now + m->session_timeout;
}

static void restore_group(struct group *g, const struct group_metadata_value *v, int64_t now)
{
    group_bytes_set(&g->protocol_type, v->protocol_type);
    group_bytes_set(&g->protocol, v->protocol);
    g->generation = v->generation;
    g->state = GROUP_EMPTY;
    for (int32_t i = 0; i < v->members.n; i++)
        restore_member(g, &v->members.items[i], v->protocol_type, v->protocol, now);
    if (g->n_members == 0)
        return;
    g->state = GROUP_STABLE;
    struct group_member *leader = group_member_find(g, v->leader);
    if (leader != NULL)
        g->leader = leader;
}

static int replay_group(struct groups *gs, struct bytes key, struct bytes value, int version,
                        struct arena *a, struct err *e)
{
    struct group_metadata_key k;
    struct group_metadata_value v;
    struct group_entry *entry;
    struct bytes id;
    int rc = wire_decode(&wire_group_metadata_key, 0, key, a, &k, e);

    if (rc < 0)
        return rc;
    entry = groups_make(gs, k.group);
    if (entry == NULL)
        return err_set(e, LEAT_ELIMIT, "more than %d groups", GROUPS_MAX);
    id = arena_copy(a, entry->group.id);
    group_deinit(&entry->group);
    group_init(&entry->group, &gs->config, id);
    if (bytes_is_null(value))
        return 0;
    rc = wire_decode(&wire_group_metadata_value, version, value, a, &v, e);
    if (rc == 0)
        restore_group(&entry->group, &v, broker_now(gs->broker));
    return rc;
}

static int replay_record(struct groups *gs, const struct batch_record *r, struct arena *a,
                         struct err *e)
{
    struct bytes key = r->key, value = r->value;
    int kind, version = 0;

    if (key.n < 2 || (!bytes_is_null(value) && value.n < 2))
        return err_set(e, LEAT_ECORRUPT, "a record of %s is too short", JOURNAL_TOPIC);
    kind = load_be16(key.p);
    key = bytes_of(key.p + 2, key.n - 2);
    if (!bytes_is_null(value)) {
        version = load_be16(value.p);
        value = bytes_of(value.p + 2, value.n - 2);
    }
    if (kind == 0 || kind == KEY_OFFSET)
        return replay_offset(gs, key, value, version, a, e);
    if (kind == KEY_GROUP)
        return replay_group(gs, key, value, version, a, e);
    return 0; // of a newer kind of group: not ours
}

static int replay_batch(struct groups *gs, struct bytes batch, struct arena *a, struct err *e)
{
    struct batch_record r;
    struct batch_iter it;
    int rc = batch_iter_init(&it, batch, BATCH_INFLATED_MAX, a, e);

    if (rc < 0)
        return rc;
    while ((rc = batch_iter_next(&it, &r, e)) == 1) {
        rc = replay_record(gs, &r, a, e);
        if (rc < 0)
            return rc;
    }
    return rc;
}

static int replay_chunk(struct groups *gs, struct bytes bytes, struct err *e)
{
    struct arena a;
    int rc = 0;

    arena_init(&a);
    while (rc == 0 && bytes.n > 0) {
        struct batch_header h;

        rc = batch_read(bytes, &h, e);
        if (rc < 0)
            break;
        rc = replay_batch(gs, bytes_of(bytes.p, batch_size(&h)), &a, e);
        bytes = bytes_of(bytes.p + batch_size(&h), bytes.n - batch_size(&h));
        arena_reset(&a);
    }
    arena_deinit(&a);
    return rc;
}

static int replay_partition(struct groups *gs, struct partition *p, struct err *e)
{
    int64_t at = partition_start(p), end = partition_hw(p);
    struct buf buf = BUF_EMPTY;
    int rc = 0;

    while (rc == 0 && at < end) {
        int64_t next = at;

        buf_clear(&buf);
        rc = partition_read(p, at, end, REPLAY_BYTES, &buf, &next, e);
        if (rc == 0)
            rc = replay_chunk(gs, buf_bytes(&buf), e);
        if (next <= at)
            break;
        at = next;
    }
    buf_deinit(&buf);
    return rc;
}

int journal_replay(struct journal *j, struct groups *gs, struct err *e)
{
    int rc = 0;

    if (metadata_topic(&j->broker->metadata, BYTES_LIT(JOURNAL_TOPIC)) == NULL)
        return 0;
    rc = journal_ready(j, e);
    for (int32_t i = 0; rc == 0 && i < j->n_slots; i++)
        rc = replay_partition(gs, j->slots[i]->partition, e);
    return rc < 0 ? err_wrap(e, rc, "cannot read the groups back from %s", JOURNAL_TOPIC) : 0;
}
