// SPDX-License-Identifier: Apache-2.0
//
// The rules, as Kafka's classic groups have them (GroupCoordinator of Apache Kafka is the
// reference):
//
// - A round (PREPARING) ends when every known member has asked to join again and no given-out id is
// outstanding,
//   or when the longest rebalance timeout among the members has passed; dynamic members that have
//   not come by then are out. The round of an empty group ends by time only: initial_delay_ms,
//   again and again while newcomers arrive, at most their rebalance timeout.
// - COMPLETING ends when the leader's assignment is on disk. Members that do not ask for theirs
// within the rebalance
//   timeout are out.
// - A member with a held request is alive by definition; everybody else has a session deadline.
#include "runtime/broker/group.h"

#include "runtime/base/heap.h"

void group_init(struct group *g, const struct group_config *c, struct bytes id)
{
    *g = (struct group){.config = c};
    group_bytes_set(&g->id, id);
    list_init(&g->members);
    list_init(&g->pending);
}

void group_deinit(struct group *g)
{
    while (!list_empty(&g->members)) {
        struct group_member *m = container_of(g->members.next, struct group_member, link);
        m->join = m->sync = NULL;
        group_member_remove(g, m);
    }
    while (!list_empty(&g->pending))
        group_pending_remove(g, container_of(g->pending.next, struct group_pending, link));
    group_bytes_set(&g->id, BYTES_NULL);
    group_bytes_set(&g->protocol_type, BYTES_NULL);
    group_bytes_set(&g->protocol, BYTES_NULL);
    group_bytes_set(&g->former_leader, BYTES_NULL);
}

// --- effects ---
void group_effects_deinit(struct group_effects *out)
{
    heap_free(out->replies);
    *out = (struct group_effects){0};
}

static struct group_reply *reply_add(struct group_effects *out, enum group_reply_kind kind,
                                     void *waiter, int16_t error)
{
    struct group_reply *r;

    if (out->n == out->cap) {
        out->cap = out->cap ? out->cap * 2 : 8;
        out->replies = heap_realloc(out->replies, out->cap * sizeof *out->replies);
    }
    r = &out->replies[out->n++];
    *r = (struct group_reply){.kind = kind, .waiter = waiter, .error = error};
    return r;
}

static void refuse_join(const struct group_join *j, int16_t error, struct group_effects *out)
{
    reply_add(out, GROUP_JOINED, j->waiter, error)->member_id = j->member_id;
}

static struct group_reply *reply_joined(struct group *g, struct group_member *m, void *waiter,
                                        struct group_effects *out)
{
    struct group_reply *r = reply_add(out, GROUP_JOINED, waiter, GROUP_OK);

    r->member = m;
    r->member_id = m->id;
    r->leader = g->leader->id;
    r->tell_members = m == g->leader;
    return r;
}

static void answer_sync(struct group_member *m, int16_t error, struct group_effects *out)
{
    struct group_reply *r;

    if (m->sync == NULL)
        return;
    r = reply_add(out, GROUP_SYNCED, m->sync, error);
    r->member = error == GROUP_OK ? m : NULL;
    m->sync = NULL;
}

static void touch(struct group_member *m, int64_t now)
{
    m->deadline = now + m->session_ms;
}

// --- rounds ---
static int64_t longest_rebalance(const struct group *g)
{
    int64_t ms = 0;

    for (struct link *i = g->members.next; i != &g->members; i = i->next) {
        const struct group_member *m = container_of(i, struct group_member, link);
        if (m->rebalance_ms > ms)
            ms = m->rebalance_ms;
    }
    return ms;
}

static bool all_joined(const struct group *g)
{
    for (struct link *i = g->members.next; i != &g->members; i = i->next)
        if (container_of(i, struct group_member, link)->join == NULL)
            return false;
    return g->n_pending == 0;
}

static void drop_absent(struct group *g)
{
    for (struct link *i = g->members.next, *next; i != &g->members; i = next) {
        struct group_member *m = container_of(i, struct group_member, link);
        next = i->next;
        if (m->join == NULL && bytes_is_null(m->instance))
            group_member_remove(g, m);
    }
}

// A leader must be there to assign. Returns whether there is one.
static bool elect(struct group *g)
{
    if (g->leader != NULL && g->leader->join != NULL)
        return true;
    for (struct link *i = g->members.next; i != &g->members; i = i->next) {
        struct group_member *m = container_of(i, struct group_member, link);
        if (m->join != NULL) {
            g->leader = m;
            return true;
        }
    }
    return false;
}

static void become_empty(struct group *g, struct group_effects *out)
{
    g->generation++;
    g->state = GROUP_EMPTY;
    group_bytes_set(&g->protocol, BYTES_NULL);
    out->save = true;
}

static void round_complete(struct group *g, int64_t now, struct group_effects *out)
{
    drop_absent(g);
    if (g->n_members == 0) {
        become_empty(g, out);
        return;
    }
    if (!elect(g)) { // only static members, and none of them is here: wait on
        g->round_deadline = now + longest_rebalance(g);
        return;
    }
    g->generation++;
    g->state = GROUP_COMPLETING;
    g->saving = false;
    group_bytes_set(&g->protocol, group_vote(g));
    g->round_deadline = now + longest_rebalance(g);
    for (struct link *i = g->members.next; i != &g->members; i = i->next) {
        struct group_member *m = container_of(i, struct group_member, link);
        m->synced = false;
        group_bytes_set(&m->assignment, BYTES_NULL);
        touch(m, now);
        if (m->join == NULL)
            continue;
        reply_joined(g, m, m->join, out);
        m->join = NULL;
    }
}

static void round_check(struct group *g, int64_t now, struct group_effects *out)
{
    bool none_left = g->n_members == 0;

    if (g->state != GROUP_PREPARING)
        return;
    if (g->initial ? none_left || g->config->initial_delay_ms == 0 : all_joined(g))
        round_complete(g, now, out);
}

static void round_begin(struct group *g, int64_t now, struct group_effects *out)
{
    if (g->state == GROUP_COMPLETING)
        for (struct link *i = g->members.next; i != &g->members; i = i->next)
            answer_sync(container_of(i, struct group_member, link), GROUP_REBALANCE, out);
    g->initial = g->state == GROUP_EMPTY;
    g->saving = false;
    g->state = GROUP_PREPARING;
    g->round_deadline = now + longest_rebalance(g);
    if (g->initial) {
        g->round_limit = g->round_deadline;
        g->added = false;
        if (now + g->config->initial_delay_ms < g->round_deadline)
            g->round_deadline = now + g->config->initial_delay_ms;
    }
    round_check(g, now, out);
}

// After the members changed in any other way than by joining.
static void members_changed(struct group *g, int64_t now, struct group_effects *out)
{
    if (g->state == GROUP_STABLE || g->state == GROUP_COMPLETING)
        round_begin(g, now, out);
    else
        round_check(g, now, out);
}

// --- join ---
static void join_hold(struct group *g, struct group_member *m, const struct group_join *j,
                      int64_t now, struct group_effects *out)
{
    if (m->join != NULL && m->join != j->waiter) // a client that asked again on a new connection
        reply_add(out, GROUP_JOINED, m->join, GROUP_UNKNOWN_MEMBER)->member_id = m->id;
    m->join = j->waiter;
    if (g->state == GROUP_PREPARING)
        round_check(g, now, out);
    else
        round_begin(g, now, out);
}

static void join_newcomer(struct group *g, const struct group_join *j, struct bytes id, int64_t now,
                          struct group_effects *out)
{
    struct group_member *m = group_member_add(g, j, id);

    touch(m, now);
    if (g->state == GROUP_PREPARING)
        g->added = true;
    join_hold(g, m, j, now, out);
}

static void join_without_id(struct group *g, const struct group_join *j, int64_t now,
                            struct group_effects *out)
{
    if (!j->id_required) {
        join_newcomer(g, j, j->fresh_id, now, out);
        return;
    }
    group_pending_add(g, j->fresh_id, now + j->session_ms);
    reply_add(out, GROUP_JOINED, j->waiter, GROUP_MEMBER_ID_REQUIRED)->member_id = j->fresh_id;
}

static void join_again(struct group *g, struct group_member *m, const struct group_join *j,
                       int64_t now, struct group_effects *out)
{
    bool same = group_member_same(m, j);

    touch(m, now);
    if ((g->state == GROUP_COMPLETING && same) ||
        (g->state == GROUP_STABLE && same && m != g->leader)) {
        reply_joined(g, m, j->waiter, out);
        return;
    }
    group_member_update(m, j);
    join_hold(g, m, j, now, out);
}

// The process behind a static member was replaced: same place, new id.
static void join_static(struct group *g, struct group_member *m, const struct group_join *j,
                        int64_t now, struct group_effects *out)
{
    bool leads = m == g->leader;
    struct group_reply *r;

    if (m->join != NULL)
        reply_add(out, GROUP_JOINED, m->join, GROUP_FENCED_INSTANCE)->member_id = m->id;
    m->join = NULL;
    answer_sync(m, GROUP_FENCED_INSTANCE, out);
    group_bytes_set(&g->former_leader, g->leader->id);
    group_bytes_set(&m->id, j->fresh_id);
    group_member_update(m, j);
    touch(m, now);
    if (g->state != GROUP_STABLE || !bytes_eq(group_vote(g), g->protocol)) {
        join_hold(g, m, j, now, out);
        return;
    }
    out->save = true;
    r = reply_joined(g, m, j->waiter, out);
    r->skip_assignment = leads && j->may_skip;
    r->tell_members = r->skip_assignment;
    if (leads && !j->may_skip) // it must not think that it leads: it would assign
        r->leader = g->former_leader;
}

static int16_t join_check(const struct group *g, const struct group_join *j,
                          const struct group_member *known)
{
    if (g->state == GROUP_DEAD)
        return GROUP_NOT_AVAILABLE;
    if (j->session_ms < g->config->session_ms_min || j->session_ms > g->config->session_ms_max)
        return GROUP_INVALID_SESSION_TIMEOUT;
    if (!group_compatible(g, j, known))
        return GROUP_INCONSISTENT_PROTOCOL;
    if (known == NULL &&
        g->n_members + (j->member_id.n == 0 ? g->n_pending : 0) >= g->config->members_max)
        return GROUP_MAX_SIZE;
    return GROUP_OK;
}

void group_step_join(struct group *g, const struct group_join *j, int64_t now,
                     struct group_effects *out)
{
    bool is_static = !bytes_is_null(j->instance);
    struct group_member *m =
        is_static ? group_member_by_instance(g, j->instance) : group_member_find(g, j->member_id);
    struct group_pending *p = group_pending_find(g, j->member_id);
    int16_t error = join_check(g, j, m);

    if (error == GROUP_OK && j->member_id.n > 0 && m == NULL && p == NULL)
        error = GROUP_UNKNOWN_MEMBER;
    if (error == GROUP_OK && j->member_id.n > 0 && m != NULL && !bytes_eq(m->id, j->member_id))
        error = GROUP_FENCED_INSTANCE;
    if (error != GROUP_OK) {
        refuse_join(j, error, out);
    } else if (m != NULL && j->member_id.n == 0) {
        join_static(g, m, j, now, out);
    } else if (m != NULL) {
        join_again(g, m, j, now, out);
    } else if (p != NULL) {
        group_pending_remove(g, p);
        join_newcomer(g, j, j->member_id, now, out);
    } else if (is_static) {
        join_newcomer(g, j, j->fresh_id, now, out);
    } else {
        join_without_id(g, j, now, out);
    }
}

// --- sync, heartbeat, commit, leave ---
// Who is this? Used by all that come with a member id and a generation.
static int16_t member_check(const struct group *g, struct bytes id, struct bytes instance,
                            int32_t generation, struct group_member **out)
{
    if (g->state == GROUP_DEAD)
        return GROUP_NOT_AVAILABLE;
    if (!bytes_is_null(instance)) {
        *out = group_member_by_instance(g, instance);
        if (*out != NULL && !bytes_eq((*out)->id, id))
            return GROUP_FENCED_INSTANCE;
    } else {
        *out = group_member_find(g, id);
    }
    if (*out == NULL)
        return GROUP_UNKNOWN_MEMBER;
    return generation == g->generation ? GROUP_OK : GROUP_ILLEGAL_GENERATION;
}

static void take_assignments(struct group *g, const struct group_sync *s)
{
    for (int i = 0; i < s->n_assignments; i++) {
        struct group_member *m = group_member_find(g, s->assignments[i].member_id);
        if (m != NULL)
            group_bytes_set(&m->assignment, s->assignments[i].assignment);
    }
}

static int16_t sync_check(const struct group *g, const struct group_sync *s,
                          struct group_member **m)
{
    int16_t error = member_check(g, s->member_id, s->instance, s->generation, m);

    if (error != GROUP_OK)
        return error;
    if (!bytes_is_null(s->protocol_type) && !bytes_eq(s->protocol_type, g->protocol_type))
        return GROUP_INCONSISTENT_PROTOCOL;
    if (!bytes_is_null(s->protocol) && !bytes_eq(s->protocol, g->protocol))
        return GROUP_INCONSISTENT_PROTOCOL;
    return g->state == GROUP_PREPARING ? GROUP_REBALANCE : GROUP_OK;
}

void group_step_sync(struct group *g, const struct group_sync *s, int64_t now,
                     struct group_effects *out)
{
    struct group_member *m = NULL;
    int16_t error = sync_check(g, s, &m);

    if (error != GROUP_OK) {
        reply_add(out, GROUP_SYNCED, s->waiter, error);
        return;
    }
    touch(m, now);
    m->synced = true;
    answer_sync(m, GROUP_UNKNOWN_MEMBER, out); // asked again on a new connection
    m->sync = s->waiter;
    if (g->state == GROUP_STABLE) {
        answer_sync(m, GROUP_OK, out);
        return;
    }
    ASSERT(g->state == GROUP_COMPLETING);
    if (m == g->leader && !g->saving) {
        take_assignments(g, s);
        g->saving = true;
        out->save = true;
    }
}

void group_step_saved(struct group *g, int32_t generation, int16_t error, int64_t now,
                      struct group_effects *out)
{
    if (g->state != GROUP_COMPLETING || !g->saving || generation != g->generation)
        return; // overtaken by another round
    g->saving = false;
    if (error == GROUP_OK)
        g->state = GROUP_STABLE;
    for (struct link *i = g->members.next; i != &g->members; i = i->next) {
        struct group_member *m = container_of(i, struct group_member, link);
        if (m->sync != NULL)
            touch(m, now);
        answer_sync(m, error, out);
    }
    if (error != GROUP_OK)
        round_begin(g, now, out);
}

int16_t group_heartbeat(struct group *g, struct bytes member_id, struct bytes instance,
                        int32_t generation, int64_t now)
{
    struct group_member *m = NULL;
    int16_t error = member_check(g, member_id, instance, generation, &m);

    if (error != GROUP_OK)
        return error;
    touch(m, now);
    return g->state == GROUP_PREPARING ? GROUP_REBALANCE : GROUP_OK;
}

int16_t group_may_commit(struct group *g, struct bytes member_id, struct bytes instance,
                         int32_t generation, int64_t now)
{
    struct group_member *m = NULL;
    int16_t error;

    if (g->state == GROUP_EMPTY && generation < 0)
        return GROUP_OK;
    error = member_check(g, member_id, instance, generation, &m);
    if (error != GROUP_OK)
        return error;
    touch(m, now);
    return g->state == GROUP_COMPLETING ? GROUP_REBALANCE : GROUP_OK;
}

static void member_leaves(struct group *g, struct group_member *m, int16_t error,
                          struct group_effects *out)
{
    if (m->join != NULL)
        reply_add(out, GROUP_JOINED, m->join, error);
    m->join = NULL;
    answer_sync(m, error, out);
    group_member_remove(g, m);
}

int16_t group_step_leave(struct group *g, struct bytes member_id, struct bytes instance,
                         int64_t now, struct group_effects *out)
{
    struct group_pending *p = group_pending_find(g, member_id);
    struct group_member *m;

    if (g->state == GROUP_DEAD)
        return GROUP_NOT_AVAILABLE;
    if (bytes_is_null(instance) && p != NULL) {
        group_pending_remove(g, p);
        round_check(g, now, out);
        return GROUP_OK;
    }
    m = bytes_is_null(instance) ? group_member_find(g, member_id)
                                : group_member_by_instance(g, instance);
    if (m == NULL)
        return GROUP_UNKNOWN_MEMBER;
    if (!bytes_is_null(instance) && member_id.n > 0 && !bytes_eq(m->id, member_id))
        return GROUP_FENCED_INSTANCE;
    member_leaves(g, m, GROUP_UNKNOWN_MEMBER, out);
    members_changed(g, now, out);
    return GROUP_OK;
}

// --- time ---
static bool waits(const struct group_member *m)
{
    return m->join != NULL || m->sync != NULL;
}

static void expire(struct group *g, int64_t now, struct group_effects *out)
{
    bool changed = false;

    for (struct link *i = g->pending.next, *next; i != &g->pending; i = next) {
        struct group_pending *p = container_of(i, struct group_pending, link);
        next = i->next;
        if (p->deadline > now)
            continue;
        group_pending_remove(g, p);
        changed = true;
    }
    for (struct link *i = g->members.next, *next; i != &g->members; i = next) {
        struct group_member *m = container_of(i, struct group_member, link);
        next = i->next;
        if (waits(m) || m->deadline > now)
            continue;
        group_member_remove(g, m);
        changed = true;
        if (g->state == GROUP_STABLE || g->state == GROUP_COMPLETING)
            round_begin(g, now, out);
    }
    if (changed)
        round_check(g, now, out);
}

// COMPLETING took too long: those that never asked for their assignment are out.
static void drop_unsynced(struct group *g, int64_t now, struct group_effects *out)
{
    for (struct link *i = g->members.next, *next; i != &g->members; i = next) {
        struct group_member *m = container_of(i, struct group_member, link);
        next = i->next;
        if (!m->synced)
            member_leaves(g, m, GROUP_UNKNOWN_MEMBER, out);
    }
    round_begin(g, now, out);
}

static void round_expired(struct group *g, int64_t now, struct group_effects *out)
{
    if (g->state == GROUP_COMPLETING) {
        if (!g->saving)
            drop_unsynced(g, now, out);
        else
            g->round_deadline = now + longest_rebalance(g); // the disk is slow, not the members
        return;
    }
    if (g->initial && g->added && g->round_deadline < g->round_limit) {
        g->added = false;
        g->round_deadline += g->config->initial_delay_ms;
        if (g->round_deadline > g->round_limit)
            g->round_deadline = g->round_limit;
        return;
    }
    round_complete(g, now, out);
}

void group_step_tick(struct group *g, int64_t now, struct group_effects *out)
{
    expire(g, now, out);
    if ((g->state == GROUP_PREPARING || g->state == GROUP_COMPLETING) && now >= g->round_deadline)
        round_expired(g, now, out);
}

int64_t group_deadline(const struct group *g)
{
    int64_t at = INT64_MAX;

    if (g->state == GROUP_PREPARING || g->state == GROUP_COMPLETING)
        at = g->round_deadline;
    for (struct link *i = g->members.next; i != &g->members; i = i->next) {
        const struct group_member *m = container_of(i, struct group_member, link);
        if (!waits(m) && m->deadline < at)
            at = m->deadline;
    }
    for (struct link *i = g->pending.next; i != &g->pending; i = i->next) {
        const struct group_pending *p = container_of(i, struct group_pending, link);
        if (p->deadline < at)
            at = p->deadline;
    }
    return at;
}

void group_step_delete(struct group *g)
{
    ASSERT(g->state == GROUP_EMPTY);
    g->state = GROUP_DEAD;
}
