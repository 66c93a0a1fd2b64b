// SPDX-License-Identifier: Apache-2.0
//
// JoinGroup, SyncGroup, Heartbeat, LeaveGroup: requests to steps of the group coordinator, and its
// replies back. A join or a sync may be held; then the request is its own waiter, until the
// coordinator answers it.
#include "runtime/broker/api_group.h"

#include "runtime/base/uuid.h"
#include "runtime/broker/api.h"

#define JOIN 11

// --- replies ---
static void list_members(struct request *r, const struct group *g, struct join_group_response *res)
{
    int32_t i = 0;

    res->members.n = g->n_members;
    res->members.items = WIRE_NEW(&r->arena, join_group_response_member, (size_t)g->n_members);
    for (struct link *l = g->members.next; l != &g->members; l = l->next) {
        const struct group_member *m = container_of(l, struct group_member, link);
        const struct group_protocol *p = group_member_protocol(m, g->protocol);
        struct join_group_response_member *out = &res->members.items[i++];

        out->member_id = m->id;
        out->group_instance_id = m->instance;
        out->metadata = p != NULL && p->metadata.p != NULL ? p->metadata : bytes_str("");
    }
}

static void write_joined(struct request *r, const struct group *g, const struct group_reply *reply)
{
    struct join_group_response *res = WIRE_NEW(&r->arena, join_group_response, 1);

    res->error_code = reply->error;
    res->generation_id = -1;
    res->leader = bytes_str("");
    res->member_id = bytes_is_null(reply->member_id) ? bytes_str("") : reply->member_id;
    res->protocol_name = r->q.version >= 7 ? BYTES_NULL : bytes_str("");
    if (reply->error == GROUP_OK) {
        res->generation_id = g->generation;
        res->protocol_type = g->protocol_type;
        res->protocol_name = g->protocol;
        res->leader = reply->leader;
        res->skip_assignment = reply->skip_assignment;
        if (reply->tell_members)
            list_members(r, g, res);
    }
    request_prepare(r, res);
}

static void write_synced(struct request *r, const struct group *g, const struct group_reply *reply)
{
    struct sync_group_response *res = WIRE_NEW(&r->arena, sync_group_response, 1);

    res->error_code = reply->error;
    res->assignment = bytes_str("");
    if (reply->error == GROUP_OK) {
        res->protocol_type = g->protocol_type;
        res->protocol_name = g->protocol;
        if (!bytes_is_null(reply->member->assignment))
            res->assignment = reply->member->assignment;
    }
    request_prepare(r, res);
}

void group_reply_write(const struct group *g, const struct group_reply *reply)
{
    if (reply->kind == GROUP_JOINED)
        write_joined(reply->waiter, g, reply);
    else
        write_synced(reply->waiter, g, reply);
}

void group_reply_send(const struct group_reply *reply)
{
    request_finish(reply->waiter);
}

static void refuse(struct request *r, int16_t error)
{
    struct group_reply reply = {
        .kind = r->q.key == JOIN ? GROUP_JOINED : GROUP_SYNCED, .waiter = r, .error = error};
    group_reply_write(NULL, &reply);
    group_reply_send(&reply);
}

void group_reply_drop(void *waiter)
{
    if (waiter != NULL)
        refuse(waiter, GROUP_NOT_AVAILABLE);
}

// --- join and sync ---
static struct bytes fresh_member_id(struct request *r, struct bytes prefix)
{
    char uuid[UUID_TEXT_SIZE];
    size_t n = prefix.n < 200 ? prefix.n : 200;

    uuid_text(uuid_random(), uuid);
    return bytes_str(arena_printf(&r->arena, "%.*s-%s", (int)n, (const char *)prefix.p, uuid));
}

static struct group_join join_of(struct request *r)
{
    const struct join_group_request *q = r->body;
    struct group_protocol *p = arena_alloc(&r->arena, (size_t)q->protocols.n * sizeof *p);
    struct bytes client = bytes_is_null(r->q.client_id) ? bytes_str("") : r->q.client_id;
    bool is_static = !bytes_is_null(q->group_instance_id);

    for (int32_t i = 0; i < q->protocols.n; i++)
        p[i] = (struct group_protocol){q->protocols.items[i].name, q->protocols.items[i].metadata};
    return (struct group_join){
        .waiter = r,
        .member_id = q->member_id,
        .instance = q->group_instance_id,
        .fresh_id = fresh_member_id(r, is_static ? q->group_instance_id : client),
        .client_id = client,
        .client_host = bytes_str(r->session->peer_host),
        .protocol_type = q->protocol_type,
        .protocols = p,
        .n_protocols = q->protocols.n,
        .session_ms = q->session_timeout_ms,
        .rebalance_ms = r->q.version >= 1 ? q->rebalance_timeout_ms : q->session_timeout_ms,
        .id_required = r->q.version >= 4 && !is_static,
        .may_skip = r->q.version >= 9,
    };
}

void api_join_group(struct request *r)
{
    const struct join_group_request *q = r->body;
    struct groups *gs = &r->broker->groups;
    struct group_effects out = {0};
    struct group_entry *entry;
    struct group_join j;
    struct err e;

    if (q->group_id.n == 0) {
        refuse(r, KAFKA_INVALID_GROUP_ID);
        return;
    }
    entry = journal_ready(&gs->journal, &e) == 0 ? groups_make(gs, q->group_id) : NULL;
    if (entry == NULL) {
        refuse(r, KAFKA_COORDINATOR_NOT_AVAILABLE);
        return;
    }
    j = join_of(r);
    group_step_join(&entry->group, &j, broker_now(r->broker), &out);
    groups_perform(entry, &out);
    group_effects_deinit(&out);
}

void api_sync_group(struct request *r)
{
    const struct sync_group_request *q = r->body;
    struct group_entry *entry = groups_find(&r->broker->groups, q->group_id);
    struct group_assignment *a = arena_alloc(&r->arena, (size_t)q->assignments.n * sizeof *a);
    struct group_effects out = {0};
    struct group_sync s = {.waiter = r,
                           .member_id = q->member_id,
                           .instance = q->group_instance_id,
                           .generation = q->generation_id,
                           .protocol_type = q->protocol_type,
                           .protocol = q->protocol_name,
                           .assignments = a,
                           .n_assignments = q->assignments.n};

    for (int32_t i = 0; i < q->assignments.n; i++)
        a[i] = (struct group_assignment){q->assignments.items[i].member_id,
                                         q->assignments.items[i].assignment};
    if (entry == NULL) {
        refuse(r, GROUP_UNKNOWN_MEMBER);
        return;
    }
    group_step_sync(&entry->group, &s, broker_now(r->broker), &out);
    groups_perform(entry, &out);
    group_effects_deinit(&out);
}

// --- heartbeat and leave ---
void api_heartbeat(struct request *r)
{
    const struct heartbeat_request *q = r->body;
    struct group_entry *entry = groups_find(&r->broker->groups, q->group_id);
    struct heartbeat_response *res = WIRE_NEW(&r->arena, heartbeat_response, 1);

    res->error_code = entry == NULL
                          ? GROUP_UNKNOWN_MEMBER
                          : group_heartbeat(&entry->group, q->member_id, q->group_instance_id,
                                            q->generation_id, broker_now(r->broker));
    request_reply(r, res);
}

static void leave_one(struct request *r, struct group_entry *entry,
                      const struct leave_group_request_member *in,
                      struct leave_group_response_member *out, struct group_effects *effects)
{
    out->member_id = in->member_id;
    out->group_instance_id = in->group_instance_id;
    out->error_code = entry == NULL
                          ? GROUP_UNKNOWN_MEMBER
                          : group_step_leave(&entry->group, in->member_id, in->group_instance_id,
                                             broker_now(r->broker), effects);
}

void api_leave_group(struct request *r)
{
    const struct leave_group_request *q = r->body;
    struct group_entry *entry = groups_find(&r->broker->groups, q->group_id);
    struct leave_group_response *res = WIRE_NEW(&r->arena, leave_group_response, 1);
    struct group_effects effects = {0};

    if (r->q.version < 3) {
        struct leave_group_request_member in = {.member_id = q->member_id};
        struct leave_group_response_member out;

        leave_one(r, entry, &in, &out, &effects);
        res->error_code = out.error_code;
    } else {
        res->members.n = q->members.n;
        res->members.items = WIRE_NEW(&r->arena, leave_group_response_member, (size_t)q->members.n);
        for (int32_t i = 0; i < q->members.n; i++)
            leave_one(r, entry, &q->members.items[i], &res->members.items[i], &effects);
    }
    request_prepare(r, res);
    if (entry != NULL)
        groups_perform(entry, &effects);
    group_effects_deinit(&effects);
    request_finish(r);
}
