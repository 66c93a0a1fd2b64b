// SPDX-License-Identifier: Apache-2.0
//
// DescribeGroups, ListGroups, DeleteGroups.
#include "runtime/broker/api.h"

#define NOT_FOUND_SINCE 6 // before, an unknown group is "Dead"

static struct bytes or_empty(struct bytes b)
{
    return bytes_is_null(b) ? bytes_str("") : b;
}

static void describe_member(const struct group *g, const struct group_member *m,
                            struct describe_groups_response_member *out)
{
    const struct group_protocol *p = group_member_protocol(m, g->protocol);

    out->member_id = m->id;
    out->group_instance_id = m->instance;
    out->client_id = or_empty(m->client_id);
    out->client_host = or_empty(m->client_host);
    out->member_metadata = p != NULL ? or_empty(p->metadata) : bytes_str("");
    out->member_assignment = or_empty(m->assignment);
}

static void describe_one(struct request *r, struct bytes id,
                         struct describe_groups_response_group *out)
{
    const struct group_entry *entry = groups_find(&r->broker->groups, id);
    const struct group *g;
    int32_t i = 0;

    out->group_id = id;
    if (entry == NULL) {
        out->group_state = bytes_str("Dead");
        if (r->q.version >= NOT_FOUND_SINCE) {
            out->error_code = KAFKA_GROUP_ID_NOT_FOUND;
            out->error_message = bytes_str("no such group");
        }
        return;
    }
    g = &entry->group;
    out->group_state = bytes_str(group_state_name(g->state));
    out->protocol_type = or_empty(g->protocol_type);
    out->protocol_data = or_empty(g->protocol);
    out->members.n = g->n_members;
    out->members.items = WIRE_NEW(&r->arena, describe_groups_response_member, (size_t)g->n_members);
    for (struct link *l = g->members.next; l != &g->members; l = l->next)
        describe_member(g, container_of(l, struct group_member, link), &out->members.items[i++]);
}

void api_describe_groups(struct request *r)
{
    const struct describe_groups_request *q = r->body;
    struct describe_groups_response *res = WIRE_NEW(&r->arena, describe_groups_response, 1);

    res->groups.n = q->groups.n;
    res->groups.items = WIRE_NEW(&r->arena, describe_groups_response_group, (size_t)q->groups.n);
    for (int32_t i = 0; i < q->groups.n; i++)
        describe_one(r, q->groups.items[i], &res->groups.items[i]);
    request_reply(r, res);
}

// An empty filter passes all.
static bool passes(int32_t n, const struct bytes *filter, const char *value)
{
    for (int32_t i = 0; i < n; i++)
        if (filter[i].n == strlen(value) &&
            strncasecmp((const char *)filter[i].p, value, filter[i].n) == 0)
            return true;
    return n <= 0;
}

void api_list_groups(struct request *r)
{
    const struct list_groups_request *q = r->body;
    struct groups *gs = &r->broker->groups;
    struct list_groups_response *res = WIRE_NEW(&r->arena, list_groups_response, 1);
    void *value;

    res->groups.items = WIRE_NEW(&r->arena, list_groups_response_group, gs->by_id.n);
    for (size_t i = 0; hashmap_next(&gs->by_id, &i, NULL, &value);) {
        const struct group *g = &((const struct group_entry *)value)->group;
        struct list_groups_response_group *out = &res->groups.items[res->groups.n];

        if (!passes(q->states_filter.n, q->states_filter.items, group_state_name(g->state)) ||
            !passes(q->types_filter.n, q->types_filter.items, "classic"))
            continue;
        out->group_id = g->id;
        out->protocol_type = or_empty(g->protocol_type);
        out->group_state = bytes_str(group_state_name(g->state));
        out->group_type = bytes_str("classic");
        res->groups.n++;
    }
    request_reply(r, res);
}

static int16_t delete_one(struct request *r, struct bytes id)
{
    struct groups *gs = &r->broker->groups;
    struct group_entry *entry = groups_find(gs, id);
    struct err e;

    if (entry == NULL)
        return KAFKA_GROUP_ID_NOT_FOUND;
    if (entry->group.state != GROUP_EMPTY || entry->group.n_pending > 0)
        return KAFKA_NON_EMPTY_GROUP;
    return groups_delete(gs, entry, &e) < 0 ? KAFKA_COORDINATOR_NOT_AVAILABLE : KAFKA_OK;
}

void api_delete_groups(struct request *r)
{
    const struct delete_groups_request *q = r->body;
    struct delete_groups_response *res = WIRE_NEW(&r->arena, delete_groups_response, 1);

    res->results.n = q->groups_names.n;
    res->results.items =
        WIRE_NEW(&r->arena, delete_groups_response_result, (size_t)q->groups_names.n);
    for (int32_t i = 0; i < q->groups_names.n; i++) {
        res->results.items[i].group_id = q->groups_names.items[i];
        res->results.items[i].error_code = delete_one(r, q->groups_names.items[i]);
    }
    request_reply(r, res);
}
