// SPDX-License-Identifier: Apache-2.0
//
// One consumer group (the classic protocol) as a step function: an event and the time in, replies
// out. It reads no clock, draws no random number and does no I/O; the shell in groups.c does that
// and holds the requests meanwhile.
//
//           first join                 all rejoined, or time is up
//   EMPTY ─────────────► PREPARING ───────────────────────────────► COMPLETING
//     ▲                   ▲  │ nobody is left        a member came,    │ the leader's assignment
//     └───────────────────┼──┘                       left or timed out │ is durable
//                         │◄───────────────────────────────────────────┤
//                         └───────────────────────── STABLE ◄──────────┘
//
// PREPARING holds joins, COMPLETING holds syncs. DEAD is a deleted group that somebody still points
// to.
//
// Static members (KIP-345) are known by instance id: they survive their process, and the next
// process with the same instance takes their place (and fences the old one) without a rebalance.
#ifndef LEAT_BROKER_GROUP_H
#define LEAT_BROKER_GROUP_H

#include "runtime/base/assert.h"
#include "runtime/base/bytes.h"
#include "runtime/base/list.h"

enum group_state { GROUP_EMPTY, GROUP_PREPARING, GROUP_COMPLETING, GROUP_STABLE, GROUP_DEAD };

// Kafka's error codes that a group answers with.
enum group_error {
    GROUP_OK = 0,
    GROUP_NOT_AVAILABLE = 15,
    GROUP_ILLEGAL_GENERATION = 22,
    GROUP_INCONSISTENT_PROTOCOL = 23,
    GROUP_INVALID_ID = 24,
    GROUP_UNKNOWN_MEMBER = 25,
    GROUP_INVALID_SESSION_TIMEOUT = 26,
    GROUP_REBALANCE = 27,
    GROUP_MEMBER_ID_REQUIRED = 79,
    GROUP_MAX_SIZE = 81,
    GROUP_FENCED_INSTANCE = 82,
};

struct group_config {
    int32_t initial_delay_ms; // the first round of an empty group waits this long for more members
    int32_t session_ms_min, session_ms_max;
    int members_max;
};

struct group_protocol {
    struct bytes name, metadata; // metadata is the client's business
};

struct group_member {
    struct link link;
    struct bytes id, instance, client_id, client_host; // owned; instance may be null
    int32_t session_ms, rebalance_ms;
    struct group_protocol *protocols; // owned, in the member's order of preference
    int n_protocols;
    struct bytes assignment; // owned
    int64_t deadline;        // silent until then: out
    void *join;              // the held JoinGroup, or NULL
    void *sync;              // the held SyncGroup, or NULL
    bool synced;             // has asked for its assignment in this generation
};

// A member id that was given out and has not joined yet.
struct group_pending {
    struct link link;
    struct bytes id;
    int64_t deadline;
};

struct group {
    const struct group_config *config;
    struct bytes id;
    enum group_state state;
    int32_t generation;
    struct bytes protocol_type, protocol; // owned; null while there is none
    struct group_member *leader;
    struct bytes former_leader; // what a static leader was called before it came back
    struct link members, pending;
    int n_members, n_pending;
    bool initial, added;    // PREPARING from EMPTY: it waits, and longer while members come
    bool saving;            // the assignment is on its way to the disk
    int64_t round_deadline; // of PREPARING and COMPLETING
    int64_t round_limit;    // of an initial round: not longer than this
    int64_t empty_since_ms; // wall clock, kept by the shell; for the expiry of offsets
};

enum group_reply_kind { GROUP_JOINED, GROUP_SYNCED };

struct group_reply {
    enum group_reply_kind kind;
    void *waiter; // what came in with the request
    int16_t error;
    struct group_member *member; // NULL with most errors; valid until the next event
    struct bytes member_id;      // of a join: what the client is to call itself
    struct bytes leader;         // of a join that succeeded
    bool tell_members;           // of a join: this one leads, list everybody
    bool skip_assignment;        // KIP-814: leads, but need not assign
};

struct group_effects {
    struct group_reply *replies;
    size_t n, cap;
    bool save; // write the group down; answer group_saved when the assignment awaits it
};

struct group_join {
    void *waiter;
    struct bytes member_id, instance; // null instance: dynamic
    struct bytes fresh_id;            // to give out if one is needed
    struct bytes client_id, client_host;
    struct bytes protocol_type;
    const struct group_protocol *protocols;
    int n_protocols;
    int32_t session_ms, rebalance_ms;
    bool id_required; // JoinGroup v4+: a newcomer must come back with the id it was given (KIP-394)
    bool may_skip;    // v9+: understands skip_assignment
};

struct group_sync {
    void *waiter;
    struct bytes member_id, instance;
    int32_t generation;
    struct bytes protocol_type, protocol; // null: not checked
    const struct group_assignment {
        struct bytes member_id, assignment;
    } * assignments;
    int n_assignments;
};

void group_init(struct group *g, const struct group_config *c, struct bytes id);
void group_deinit(struct group *g);

// Each may append to `out`; replies are in the order in which they must be sent.
void group_step_join(struct group *g, const struct group_join *j, int64_t now,
                     struct group_effects *out);
void group_step_sync(struct group *g, const struct group_sync *s, int64_t now,
                     struct group_effects *out);
// The group as of `generation` is on disk (error 0), or could not be written.
void group_step_saved(struct group *g, int32_t generation, int16_t error, int64_t now,
                      struct group_effects *out);
// member_id may be empty when the instance says enough (an administrator removes it).
int16_t group_step_leave(struct group *g, struct bytes member_id, struct bytes instance,
                         int64_t now, struct group_effects *out);
void group_step_tick(struct group *g, int64_t now, struct group_effects *out);
// Ends the group: it must be EMPTY.
void group_step_delete(struct group *g);

int16_t group_heartbeat(struct group *g, struct bytes member_id, struct bytes instance,
                        int32_t generation, int64_t now);
// Whether this member may commit offsets. generation -1: somebody from outside of the group.
int16_t group_may_commit(struct group *g, struct bytes member_id, struct bytes instance,
                         int32_t generation, int64_t now);
// When group_step_tick has something to do; INT64_MAX: not by itself.
int64_t group_deadline(const struct group *g);

void group_effects_deinit(struct group_effects *out);

// --- group_member.c: the list of members ---
struct group_member *group_member_find(const struct group *g, struct bytes id);
struct group_member *group_member_by_instance(const struct group *g, struct bytes instance);
// Also for a group that is read back from disk. Takes nothing.
struct group_member *group_member_add(struct group *g, const struct group_join *j, struct bytes id);
void group_member_update(struct group_member *m, const struct group_join *j);
void group_member_remove(struct group *g, struct group_member *m);
bool group_member_same(const struct group_member *m, const struct group_join *j);
const struct group_protocol *group_member_protocol(const struct group_member *m, struct bytes name);
// Whether a newcomer speaks the type and at least one protocol that all (but `except`) speak.
bool group_compatible(const struct group *g, const struct group_join *j,
                      const struct group_member *except);
// The protocol that all members speak and most put first. Null when there is none.
struct bytes group_vote(const struct group *g);
struct group_pending *group_pending_find(const struct group *g, struct bytes id);
void group_pending_add(struct group *g, struct bytes id, int64_t deadline);
void group_pending_remove(struct group *g, struct group_pending *p);
// An owned copy; null stays null. Freed by group_bytes_set(&b, BYTES_NULL).
void group_bytes_set(struct bytes *b, struct bytes to);

const char *group_state_name(enum group_state s);

#endif
