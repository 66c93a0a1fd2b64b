// SPDX-License-Identifier: Apache-2.0
//
// The members of a group and what they agree on. Lists are searched from the front: a group has few
// members (GROUP_MEMBERS_MAX bounds it), and the order of joining is the order in which members are
// told to the leader.
#include "runtime/broker/group.h"

#include "runtime/base/heap.h"

void group_bytes_set(struct bytes *b, struct bytes to)
{
    const uint8_t *old = b->p;

    *b = BYTES_NULL;
    if (!bytes_is_null(to))
        *b = bytes_of(heap_strndup((const char *)to.p, to.n), to.n);
    heap_free((void *)(uintptr_t)old);
}

struct group_member *group_member_find(const struct group *g, struct bytes id)
{
    for (struct link *i = g->members.next; i != &g->members; i = i->next) {
        struct group_member *m = container_of(i, struct group_member, link);
        if (bytes_eq(m->id, id))
            return m;
    }
    return NULL;
}

struct group_member *group_member_by_instance(const struct group *g, struct bytes instance)
{
    for (struct link *i = g->members.next; i != &g->members; i = i->next) {
        struct group_member *m = container_of(i, struct group_member, link);
        if (!bytes_is_null(m->instance) && bytes_eq(m->instance, instance))
            return m;
    }
    return NULL;
}

static void protocols_free(struct group_member *m)
{
    for (int i = 0; i < m->n_protocols; i++) {
        group_bytes_set(&m->protocols[i].name, BYTES_NULL);
        group_bytes_set(&m->protocols[i].metadata, BYTES_NULL);
    }
    heap_free(m->protocols);
    m->protocols = NULL;
    m->n_protocols = 0;
}

void group_member_update(struct group_member *m, const struct group_join *j)
{
    protocols_free(m);
    m->protocols = heap_zalloc((size_t)j->n_protocols * sizeof *m->protocols);
    m->n_protocols = j->n_protocols;
    for (int i = 0; i < j->n_protocols; i++) {
        group_bytes_set(&m->protocols[i].name, j->protocols[i].name);
        group_bytes_set(&m->protocols[i].metadata, j->protocols[i].metadata);
    }
    group_bytes_set(&m->client_id, j->client_id);
    group_bytes_set(&m->client_host, j->client_host);
    m->session_ms = j->session_ms;
    m->rebalance_ms = j->rebalance_ms;
}

struct group_member *group_member_add(struct group *g, const struct group_join *j, struct bytes id)
{
    struct group_member *m = heap_zalloc(sizeof *m);

    group_bytes_set(&m->id, id);
    group_bytes_set(&m->instance, j->instance);
    group_member_update(m, j);
    list_push(&g->members, &m->link);
    g->n_members++;
    if (g->leader == NULL)
        g->leader = m;
    if (g->n_members == 1)
        group_bytes_set(&g->protocol_type, j->protocol_type);
    return m;
}

void group_member_remove(struct group *g, struct group_member *m)
{
    ASSERT(m->join == NULL && m->sync == NULL);
    list_remove(&m->link);
    g->n_members--;
    if (g->leader == m)
        g->leader =
            g->n_members > 0 ? container_of(g->members.next, struct group_member, link) : NULL;
    protocols_free(m);
    group_bytes_set(&m->id, BYTES_NULL);
    group_bytes_set(&m->instance, BYTES_NULL);
    group_bytes_set(&m->client_id, BYTES_NULL);
    group_bytes_set(&m->client_host, BYTES_NULL);
    group_bytes_set(&m->assignment, BYTES_NULL);
    heap_free(m);
}

bool group_member_same(const struct group_member *m, const struct group_join *j)
{
    if (m->n_protocols != j->n_protocols)
        return false;
    for (int i = 0; i < m->n_protocols; i++)
        if (!bytes_eq(m->protocols[i].name, j->protocols[i].name) ||
            !bytes_eq(m->protocols[i].metadata, j->protocols[i].metadata))
            return false;
    return true;
}

const struct group_protocol *group_member_protocol(const struct group_member *m, struct bytes name)
{
    for (int i = 0; i < m->n_protocols; i++)
        if (bytes_eq(m->protocols[i].name, name))
            return &m->protocols[i];
    return NULL;
}

static bool all_speak(const struct group *g, struct bytes name, const struct group_member *except)
{
    for (struct link *i = g->members.next; i != &g->members; i = i->next) {
        const struct group_member *m = container_of(i, struct group_member, link);
        if (m != except && group_member_protocol(m, name) == NULL)
            return false;
    }
    return true;
}

bool group_compatible(const struct group *g, const struct group_join *j,
                      const struct group_member *except)
{
    if (j->n_protocols == 0 || j->protocol_type.n == 0)
        return false;
    if (g->n_members == 0)
        return true;
    if (!bytes_eq(g->protocol_type, j->protocol_type))
        return false;
    for (int i = 0; i < j->n_protocols; i++)
        if (all_speak(g, j->protocols[i].name, except))
            return true;
    return false;
}

static struct bytes first_choice(const struct group *g, const struct group_member *m)
{
    for (int i = 0; i < m->n_protocols; i++)
        if (all_speak(g, m->protocols[i].name, NULL))
            return m->protocols[i].name;
    return BYTES_NULL;
}

static int votes_for(const struct group *g, struct bytes name)
{
    int n = 0;

    for (struct link *i = g->members.next; i != &g->members; i = i->next)
        n += bytes_eq(first_choice(g, container_of(i, struct group_member, link)), name);
    return n;
}

struct bytes group_vote(const struct group *g)
{
    struct bytes best = BYTES_NULL;
    int most = 0;

    if (g->n_members == 0)
        return best;
    // Every candidate is spoken by all, so the first member knows them all.
    const struct group_member *first = container_of(g->members.next, struct group_member, link);
    for (int i = 0; i < first->n_protocols; i++) {
        struct bytes name = first->protocols[i].name;
        int n = all_speak(g, name, NULL) ? votes_for(g, name) : 0;
        if (n > most) {
            most = n;
            best = name;
        }
    }
    return best;
}

struct group_pending *group_pending_find(const struct group *g, struct bytes id)
{
    for (struct link *i = g->pending.next; i != &g->pending; i = i->next) {
        struct group_pending *p = container_of(i, struct group_pending, link);
        if (bytes_eq(p->id, id))
            return p;
    }
    return NULL;
}

void group_pending_add(struct group *g, struct bytes id, int64_t deadline)
{
    struct group_pending *p = heap_zalloc(sizeof *p);

    group_bytes_set(&p->id, id);
    p->deadline = deadline;
    list_push(&g->pending, &p->link);
    g->n_pending++;
}

void group_pending_remove(struct group *g, struct group_pending *p)
{
    list_remove(&p->link);
    g->n_pending--;
    group_bytes_set(&p->id, BYTES_NULL);
    heap_free(p);
}

const char *group_state_name(enum group_state s)
{
    static const char *names[] = {"Empty", "PreparingRebalance", "CompletingRebalance", "Stable",
                                  "Dead"};

    return names[s];
}
