// SPDX-License-Identifier: Apache-2.0
//
// The group coordinator, driven by hand: time is a number here.
#include "tests/unit/broker/broker_tests.h"

#include <stdio.h>
#include <string.h>

#include "runtime/base/heap.h"
#include "runtime/base/random.h"
#include "runtime/broker/group.h"

struct fixture {
    struct group_config config;
    struct group g;
    int64_t now;
    struct group_effects out;
    bool saved; // the last event asked for saving
    char waiters[64];
};

#define MEMBER_A BYTES_LIT("a")
#define MEMBER_B BYTES_LIT("b")
#define MEMBER_C BYTES_LIT("c")

static int setup(void **state)
{
    struct fixture *f = heap_zalloc(sizeof *f);

    f->config = (struct group_config){.initial_delay_ms = 3000,
                                      .session_ms_min = 6000,
                                      .session_ms_max = 1800000,
                                      .members_max = 10};
    group_init(&f->g, &f->config, BYTES_LIT("g"));
    f->now = 1000;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    group_effects_deinit(&f->out);
    group_deinit(&f->g);
    heap_free(f);
    return 0;
}

static void begin(struct fixture *f)
{
    f->out.n = 0;
    f->out.save = false;
}

static const struct group_protocol range_only[] = {{BYTES_LIT("range"), BYTES_LIT("r1")}};
static const struct group_protocol range_rr[] = {{BYTES_LIT("range"), BYTES_LIT("r1")},
                                                 {BYTES_LIT("rr"), BYTES_LIT("x")}};
static const struct group_protocol rr_range[] = {{BYTES_LIT("rr"), BYTES_LIT("x")},
                                                 {BYTES_LIT("range"), BYTES_LIT("r1")}};
static const struct group_protocol rr_only[] = {{BYTES_LIT("rr"), BYTES_LIT("x")}};
static const struct group_protocol range_new[] = {{BYTES_LIT("range"), BYTES_LIT("r2")}};

// A join of a member that may choose its own id, as versions below 4 do.
static struct group_join join_of(struct bytes id, struct bytes fresh, void *waiter)
{
    return (struct group_join){.waiter = waiter,
                               .member_id = id,
                               .fresh_id = fresh,
                               .instance = BYTES_NULL,
                               .client_id = BYTES_LIT("client"),
                               .client_host = BYTES_LIT("/127.0.0.1"),
                               .protocol_type = BYTES_LIT("consumer"),
                               .protocols = range_only,
                               .n_protocols = 1,
                               .session_ms = 10000,
                               .rebalance_ms = 60000};
}

static void when_join(struct fixture *f, const struct group_join *j)
{
    begin(f);
    group_step_join(&f->g, j, f->now, &f->out);
}

static void when_new(struct fixture *f, struct bytes id)
{
    struct group_join j = join_of(bytes_str(""), id, &f->waiters[id.p[0] - 'a']);

    when_join(f, &j);
}

static void when_rejoin(struct fixture *f, struct bytes id)
{
    struct group_join j = join_of(id, BYTES_LIT("?"), &f->waiters[id.p[0] - 'a']);

    when_join(f, &j);
}

static void when_tick(struct fixture *f, int64_t ms)
{
    f->now += ms;
    begin(f);
    group_step_tick(&f->g, f->now, &f->out);
}

static void when_sync(struct fixture *f, struct bytes id, int32_t generation, bool assigns)
{
    static const struct group_assignment as[] = {{MEMBER_A, BYTES_LIT("to a")},
                                                 {MEMBER_B, BYTES_LIT("to b")},
                                                 {MEMBER_C, BYTES_LIT("to c")}};
    struct group_sync s = {.waiter = &f->waiters[id.p[0] - 'a'],
                           .member_id = id,
                           .generation = generation,
                           .assignments = as,
                           .n_assignments = assigns ? 3 : 0};

    begin(f);
    group_step_sync(&f->g, &s, f->now, &f->out);
}

static void when_saved(struct fixture *f, int16_t error)
{
    begin(f);
    group_step_saved(&f->g, f->g.generation, error, f->now, &f->out);
}

static const struct group_reply *reply_to(struct fixture *f, struct bytes id)
{
    for (size_t i = 0; i < f->out.n; i++)
        if (f->out.replies[i].waiter == &f->waiters[id.p[0] - 'a'])
            return &f->out.replies[i];
    return NULL;
}

static void expect_reply(struct fixture *f, struct bytes id, int16_t error)
{
    const struct group_reply *r = reply_to(f, id);

    assert_non_null(r);
    assert_int_equal(r->error, error);
}

static void expect_silence(struct fixture *f)
{
    assert_int_equal(f->out.n, 0);
}

// One member, in generation 1, stable.
static void given_stable_a(struct fixture *f)
{
    f->config.initial_delay_ms = 0;
    when_new(f, MEMBER_A);
    expect_reply(f, MEMBER_A, 0);
    when_sync(f, MEMBER_A, f->g.generation, true);
    assert_true(f->out.save);
    expect_silence(f);
    when_saved(f, 0);
    expect_reply(f, MEMBER_A, 0);
    assert_int_equal(f->g.state, GROUP_STABLE);
}

// Two members, a leads, in generation 2, stable.
static void given_stable_ab(struct fixture *f)
{
    given_stable_a(f);
    when_new(f, MEMBER_B);
    when_rejoin(f, MEMBER_A);
    expect_reply(f, MEMBER_A, 0);
    expect_reply(f, MEMBER_B, 0);
    when_sync(f, MEMBER_B, 2, false);
    when_sync(f, MEMBER_A, 2, true);
    when_saved(f, 0);
    expect_reply(f, MEMBER_A, 0);
    expect_reply(f, MEMBER_B, 0);
    assert_int_equal(f->g.generation, 2);
}

static void newcomers_get_an_id_first(void **state)
{
    // From JoinGroup v4 a newcomer is told its id and must come back with it (KIP-394); one that
    // does not is forgotten.
    struct fixture *f = *state;
    struct group_join j = join_of(bytes_str(""), MEMBER_A, &f->waiters[0]);

    j.id_required = true;
    when_join(f, &j);
    expect_reply(f, MEMBER_A, GROUP_MEMBER_ID_REQUIRED);
    assert_true(bytes_eq(f->out.replies[0].member_id, MEMBER_A));
    assert_int_equal(f->g.n_members, 0);
    assert_int_equal(f->g.n_pending, 1);
    when_rejoin(f, MEMBER_A);
    expect_silence(f); // held for the initial delay
    assert_int_equal(f->g.n_members, 1);
    assert_int_equal(f->g.n_pending, 0);
    j.fresh_id = MEMBER_B;
    when_join(f, &j);
    when_tick(f, 10000);
    assert_int_equal(f->g.n_pending, 0);
    when_rejoin(f, MEMBER_B);
    expect_reply(f, MEMBER_B, GROUP_UNKNOWN_MEMBER);
}

static void an_empty_group_waits_for_more(void **state)
{
    // The first round lasts the initial delay, once more per delay in which somebody came, at most
    // the rebalance timeout.
    struct fixture *f = *state;

    when_new(f, MEMBER_A);
    expect_silence(f);
    when_tick(f, 2999);
    expect_silence(f);
    when_new(f, MEMBER_B);
    when_tick(f, 1);
    expect_silence(f); // b came: once more
    assert_int_equal(group_deadline(&f->g), f->now + 3000);
    when_tick(f, 3000);
    expect_reply(f, MEMBER_A, 0);
    expect_reply(f, MEMBER_B, 0);
    assert_true(reply_to(f, MEMBER_A)->tell_members);
    assert_false(reply_to(f, MEMBER_B)->tell_members);
    assert_true(bytes_eq(reply_to(f, MEMBER_B)->leader, MEMBER_A));
    assert_int_equal(f->g.generation, 1);
    assert_int_equal(f->g.state, GROUP_COMPLETING);
}

static void the_initial_wait_is_capped(void **state)
{
    // However many arrive, the first round ends at the rebalance timeout of the first.
    struct fixture *f = *state;
    struct group_join j = join_of(bytes_str(""), MEMBER_A, &f->waiters[0]);
    int64_t start = f->now;

    j.rebalance_ms = 7000;
    when_join(f, &j);
    for (int i = 1; i < 9 && f->g.state == GROUP_PREPARING; i++) {
        char id = (char)('a' + i);
        j.fresh_id = bytes_of(&id, 1);
        j.waiter = &f->waiters[i];
        f->now += 1000;
        when_join(f, &j);
        begin(f);
        if (group_deadline(&f->g) <= f->now)
            group_step_tick(&f->g, f->now, &f->out);
    }
    assert_int_equal(f->g.state, GROUP_COMPLETING);
    assert_int_equal(f->now - start, 7000);
}

static void followers_wait_for_the_leader(void **state)
{
    // A follower's SyncGroup is held until the leader's assignment is on disk; then each gets its
    // own.
    struct fixture *f = *state;

    given_stable_a(f);
    when_new(f, MEMBER_B);
    expect_silence(f);
    assert_int_equal(group_heartbeat(&f->g, MEMBER_A, BYTES_NULL, 1, f->now), GROUP_REBALANCE);
    when_rejoin(f, MEMBER_A);
    assert_int_equal(f->out.n, 2);
    when_sync(f, MEMBER_B, 2, false);
    expect_silence(f);
    assert_int_equal(group_heartbeat(&f->g, MEMBER_B, BYTES_NULL, 2, f->now), 0);
    when_sync(f, MEMBER_A, 2, true);
    expect_silence(f);
    assert_true(f->out.save);
    when_saved(f, 0);
    assert_int_equal(f->out.n, 2);
    assert_true(bytes_eq(reply_to(f, MEMBER_A)->member->assignment, BYTES_LIT("to a")));
    assert_true(bytes_eq(reply_to(f, MEMBER_B)->member->assignment, BYTES_LIT("to b")));
    when_sync(f, MEMBER_B, 2, false); // again, in STABLE: at once
    expect_reply(f, MEMBER_B, 0);
}

static void a_failed_save_starts_over(void **state)
{
    // When the assignment cannot be written, everybody who waits is told and the round begins
    // again.
    struct fixture *f = *state;

    f->config.initial_delay_ms = 0;
    when_new(f, MEMBER_A);
    when_sync(f, MEMBER_A, 1, true);
    when_saved(f, GROUP_NOT_AVAILABLE);
    expect_reply(f, MEMBER_A, GROUP_NOT_AVAILABLE);
    assert_int_equal(f->g.state, GROUP_PREPARING);
    when_rejoin(f, MEMBER_A);
    expect_reply(f, MEMBER_A, 0);
    assert_int_equal(f->g.generation, 2);
    begin(f);
    group_step_saved(&f->g, 1, 0, f->now, &f->out); // a late report of the old one
    assert_int_equal(f->g.state, GROUP_COMPLETING);
}

static void a_late_joiner_restarts_the_round(void **state)
{
    // Somebody who joins while assignments are awaited sends the waiting syncs away with
    // REBALANCE_IN_PROGRESS.
    struct fixture *f = *state;

    given_stable_a(f);
    when_new(f, MEMBER_B);
    when_rejoin(f, MEMBER_A);
    when_sync(f, MEMBER_B, 2, false);
    when_new(f, MEMBER_C);
    expect_reply(f, MEMBER_B, GROUP_REBALANCE);
    assert_null(reply_to(f, MEMBER_C));
    when_sync(f, MEMBER_A, 2, true);
    expect_reply(f, MEMBER_A, GROUP_REBALANCE);
    when_rejoin(f, MEMBER_A);
    when_rejoin(f, MEMBER_B);
    assert_int_equal(f->out.n, 3);
    assert_int_equal(f->g.generation, 3);
}

static void who_rejoins_matters(void **state)
{
    // In STABLE a follower that rejoins unchanged gets the generation; the leader, or a change,
    // starts a round.
    struct fixture *f = *state;
    struct group_join changed = join_of(MEMBER_B, BYTES_LIT("?"), &f->waiters[1]);

    given_stable_ab(f);
    when_rejoin(f, MEMBER_B);
    expect_reply(f, MEMBER_B, 0);
    assert_int_equal(f->g.state, GROUP_STABLE);
    changed.protocols = range_new;
    when_join(f, &changed);
    expect_silence(f);
    assert_int_equal(f->g.state, GROUP_PREPARING);
    when_rejoin(f, MEMBER_A);
    assert_int_equal(f->out.n, 2);
    when_sync(f, MEMBER_A, 3, true);
    when_sync(f, MEMBER_B, 3, false);
    when_saved(f, 0);
    when_rejoin(f, MEMBER_A);
    expect_silence(f);
    assert_int_equal(f->g.state, GROUP_PREPARING);
}

static void silence_means_out(void **state)
{
    // A member that does not heartbeat within its session is out, and the rest rebalance; the last
    // one leaves the group empty.
    struct fixture *f = *state;

    given_stable_ab(f);
    f->now += 9000;
    assert_int_equal(group_heartbeat(&f->g, MEMBER_A, BYTES_NULL, 2, f->now), 0);
    when_tick(f, 1000);
    assert_int_equal(f->g.n_members, 1);
    assert_int_equal(f->g.state, GROUP_PREPARING);
    assert_int_equal(group_heartbeat(&f->g, MEMBER_B, BYTES_NULL, 2, f->now), GROUP_UNKNOWN_MEMBER);
    when_tick(f, 9000);
    assert_int_equal(f->g.state, GROUP_EMPTY);
    assert_int_equal(f->g.n_members, 0);
    assert_true(f->out.save);
    assert_int_equal(group_deadline(&f->g), INT64_MAX);
}

static void a_round_does_not_wait_for_ever(void **state)
{
    // At the longest rebalance timeout the members that have not rejoined are out and the round
    // ends.
    struct fixture *f = *state;

    given_stable_ab(f);
    when_rejoin(f, MEMBER_A); // the leader: starts a round
    for (int i = 0; i < 59; i++) {
        f->now += 1000;
        assert_int_equal(group_heartbeat(&f->g, MEMBER_B, BYTES_NULL, 2, f->now), GROUP_REBALANCE);
        when_tick(f, 0);
        expect_silence(f);
    }
    when_tick(f, 1000);
    expect_reply(f, MEMBER_A, 0);
    assert_int_equal(f->g.n_members, 1);
    assert_int_equal(f->g.generation, 3);
}

static void who_never_syncs_is_out(void **state)
{
    // A member that joins and never asks for its assignment is out after the rebalance timeout.
    struct fixture *f = *state;

    given_stable_ab(f);
    when_rejoin(f, MEMBER_A);
    when_rejoin(f, MEMBER_B);
    when_sync(f, MEMBER_B, 3, false);
    for (int i = 0; i < 60; i++) {
        assert_int_equal(group_heartbeat(&f->g, MEMBER_A, BYTES_NULL, 3, f->now), 0);
        when_tick(f, 1000);
    }
    expect_reply(f, MEMBER_B, GROUP_REBALANCE);
    assert_int_equal(f->g.n_members, 1);
    assert_null(group_member_find(&f->g, MEMBER_A));
}

static void leaving(void **state)
{
    // Who leaves is gone at once; unknown members are told so; the last one leaves the group EMPTY.
    struct fixture *f = *state;

    given_stable_ab(f);
    begin(f);
    assert_int_equal(group_step_leave(&f->g, MEMBER_C, BYTES_NULL, f->now, &f->out),
                     GROUP_UNKNOWN_MEMBER);
    assert_int_equal(group_step_leave(&f->g, MEMBER_A, BYTES_NULL, f->now, &f->out), 0);
    assert_int_equal(f->g.state, GROUP_PREPARING);
    when_rejoin(f, MEMBER_B);
    expect_reply(f, MEMBER_B, 0);
    assert_true(reply_to(f, MEMBER_B)->tell_members);
    begin(f);
    assert_int_equal(group_step_leave(&f->g, MEMBER_B, BYTES_NULL, f->now, &f->out), 0);
    assert_int_equal(f->g.state, GROUP_EMPTY);
    assert_true(f->out.save);
}

static void generations_are_checked(void **state)
{
    // Sync, heartbeat and commit with an old generation, or of a stranger, are refused with the
    // right code.
    struct fixture *f = *state;

    given_stable_ab(f);
    assert_int_equal(group_heartbeat(&f->g, MEMBER_A, BYTES_NULL, 1, f->now),
                     GROUP_ILLEGAL_GENERATION);
    assert_int_equal(group_heartbeat(&f->g, MEMBER_C, BYTES_NULL, 2, f->now), GROUP_UNKNOWN_MEMBER);
    assert_int_equal(group_may_commit(&f->g, MEMBER_A, BYTES_NULL, 1, f->now),
                     GROUP_ILLEGAL_GENERATION);
    assert_int_equal(group_may_commit(&f->g, bytes_str(""), BYTES_NULL, -1, f->now),
                     GROUP_UNKNOWN_MEMBER);
    assert_int_equal(group_may_commit(&f->g, MEMBER_A, BYTES_NULL, 2, f->now), 0);
    when_sync(f, MEMBER_A, 1, true);
    expect_reply(f, MEMBER_A, GROUP_ILLEGAL_GENERATION);
    when_rejoin(f, MEMBER_A);
    assert_int_equal(group_may_commit(&f->g, MEMBER_B, BYTES_NULL, 2, f->now), 0); // PREPARING
    when_rejoin(f, MEMBER_B);
    assert_int_equal(group_may_commit(&f->g, MEMBER_B, BYTES_NULL, 3, f->now), GROUP_REBALANCE);
}

static void outsiders_commit_to_empty_groups_only(void **state)
{
    // Generation -1 may commit while the group has no members.
    struct fixture *f = *state;

    assert_int_equal(group_may_commit(&f->g, bytes_str(""), BYTES_NULL, -1, f->now), 0);
    assert_int_equal(group_heartbeat(&f->g, MEMBER_A, BYTES_NULL, 1, f->now), GROUP_UNKNOWN_MEMBER);
    group_step_delete(&f->g);
    assert_int_equal(group_may_commit(&f->g, bytes_str(""), BYTES_NULL, -1, f->now),
                     GROUP_NOT_AVAILABLE);
}

static void protocols_must_match(void **state)
{
    // The protocol is one that all speak, by majority of first choices; who shares none is refused.
    struct fixture *f = *state;
    struct group_join j = join_of(bytes_str(""), MEMBER_A, &f->waiters[0]);

    j.protocols = range_rr;
    j.n_protocols = 2;
    when_join(f, &j);
    j.protocols = rr_range;
    j.fresh_id = MEMBER_B;
    j.waiter = &f->waiters[1];
    when_join(f, &j);
    j.protocols = rr_only;
    j.n_protocols = 1;
    j.fresh_id = MEMBER_C;
    j.waiter = &f->waiters[2];
    when_join(f, &j);
    assert_int_equal(f->g.n_members, 3);
    j.protocols = range_only;
    j.fresh_id = BYTES_LIT("d");
    j.waiter = &f->waiters[3];
    when_join(f, &j);
    expect_reply(f, BYTES_LIT("d"), GROUP_INCONSISTENT_PROTOCOL);
    j.protocols = rr_only;
    j.protocol_type = BYTES_LIT("connect");
    when_join(f, &j);
    expect_reply(f, BYTES_LIT("d"), GROUP_INCONSISTENT_PROTOCOL);
    when_tick(f, 3000);
    when_tick(f, 3000);
    assert_true(bytes_eq(f->g.protocol, BYTES_LIT("rr")));
}

static void bounds(void **state)
{
    // Session timeouts outside of the bounds and members above the maximum are refused.
    struct fixture *f = *state;
    struct group_join j = join_of(bytes_str(""), MEMBER_A, &f->waiters[0]);

    j.session_ms = 5999;
    when_join(f, &j);
    expect_reply(f, MEMBER_A, GROUP_INVALID_SESSION_TIMEOUT);
    j.session_ms = 1800001;
    when_join(f, &j);
    expect_reply(f, MEMBER_A, GROUP_INVALID_SESSION_TIMEOUT);
    f->config.members_max = 1;
    when_new(f, MEMBER_A);
    when_new(f, MEMBER_B);
    expect_reply(f, MEMBER_B, GROUP_MAX_SIZE);
}

static struct group_join static_join(struct fixture *f, struct bytes fresh, int i)
{
    struct group_join j = join_of(bytes_str(""), fresh, &f->waiters[i]);

    j.instance = i == 0 ? BYTES_LIT("i0") : BYTES_LIT("i1");
    j.id_required = true;
    j.may_skip = true;
    return j;
}

// Two static members a (leader) and b, stable in generation 2.
static void given_static_ab(struct fixture *f)
{
    struct group_join a = static_join(f, MEMBER_A, 0), b = static_join(f, MEMBER_B, 1);

    f->config.initial_delay_ms = 0;
    when_join(f, &a);
    expect_reply(f, MEMBER_A, 0);
    when_join(f, &b);
    a.member_id = MEMBER_A;
    when_join(f, &a);
    when_sync(f, MEMBER_A, 2, true);
    when_sync(f, MEMBER_B, 2, false);
    when_saved(f, 0);
    assert_int_equal(f->g.state, GROUP_STABLE);
}

static void a_static_member_keeps_its_place(void **state)
{
    // A restarted static member gets a new id and its old assignment without a rebalance; the old
    // id is fenced.
    struct fixture *f = *state;
    struct group_join c;

    given_static_ab(f);
    c = static_join(f, MEMBER_C, 1);
    c.waiter = &f->waiters[2];
    when_join(f, &c);
    expect_reply(f, MEMBER_C, 0);
    assert_true(bytes_eq(reply_to(f, MEMBER_C)->member_id, MEMBER_C));
    assert_false(reply_to(f, MEMBER_C)->tell_members);
    assert_true(f->out.save);
    assert_int_equal(f->g.generation, 2);
    assert_int_equal(f->g.state, GROUP_STABLE);
    when_sync(f, MEMBER_C, 2, false);
    expect_reply(f, MEMBER_C, 0);
    assert_true(bytes_eq(reply_to(f, MEMBER_C)->member->assignment, BYTES_LIT("to b")));
    assert_int_equal(group_heartbeat(&f->g, MEMBER_B, BYTES_LIT("i1"), 2, f->now),
                     GROUP_FENCED_INSTANCE);
    assert_int_equal(group_may_commit(&f->g, MEMBER_B, BYTES_LIT("i1"), 2, f->now),
                     GROUP_FENCED_INSTANCE);
    c.member_id = MEMBER_B;
    when_join(f, &c);
    expect_reply(f, MEMBER_C, GROUP_FENCED_INSTANCE);
}

static void a_static_leader_need_not_assign(void **state)
{
    // A restarted static leader is told to skip the assignment (KIP-814); an old client is not told
    // that it leads.
    struct fixture *f = *state;
    struct group_join c;

    given_static_ab(f);
    c = static_join(f, MEMBER_C, 0);
    c.waiter = &f->waiters[2];
    when_join(f, &c);
    assert_true(reply_to(f, MEMBER_C)->skip_assignment);
    assert_true(reply_to(f, MEMBER_C)->tell_members);
    assert_true(bytes_eq(reply_to(f, MEMBER_C)->leader, MEMBER_C));
    c.may_skip = false;
    c.fresh_id = BYTES_LIT("d");
    when_join(f, &c);
    assert_false(reply_to(f, MEMBER_C)->skip_assignment);
    assert_true(bytes_eq(reply_to(f, MEMBER_C)->leader, MEMBER_C)); // its former name
    assert_true(bytes_eq(reply_to(f, MEMBER_C)->member_id, BYTES_LIT("d")));
}

static void absent_static_members_stay(void **state)
{
    // A round that ends without a static member keeps it; its session still ends its membership.
    struct fixture *f = *state;

    given_static_ab(f);
    when_new(f, MEMBER_C);
    struct group_join a = static_join(f, MEMBER_A, 0);
    a.member_id = MEMBER_A;
    when_join(f, &a);
    expect_silence(f);
    for (int i = 0; i < 7; i++) {
        f->now += 9000;
        (void)group_heartbeat(&f->g, MEMBER_B, BYTES_LIT("i1"), 2, f->now);
        begin(f);
        group_step_tick(&f->g, f->now, &f->out);
    }
    expect_reply(f, MEMBER_A, 0);
    expect_reply(f, MEMBER_C, 0);
    assert_int_equal(f->g.n_members, 3);
    when_tick(f, 10001);
    assert_null(group_member_find(&f->g, MEMBER_B));
}

// What must hold after every event.
static void expect_sane(struct fixture *f)
{
    int n = 0;

    for (struct link *i = f->g.members.next; i != &f->g.members; i = i->next) {
        struct group_member *m = container_of(i, struct group_member, link);
        n++;
        assert_true(m->join == NULL || f->g.state == GROUP_PREPARING);
        assert_true(m->sync == NULL || f->g.state == GROUP_COMPLETING);
    }
    assert_int_equal(n, f->g.n_members);
    assert_true((f->g.n_members == 0) == (f->g.leader == NULL));
    assert_true(f->g.state != GROUP_STABLE || n > 0);
    assert_true(f->g.state != GROUP_EMPTY || n == 0);
    for (size_t i = 0; i < f->out.n; i++)
        for (size_t k = i + 1; k < f->out.n; k++)
            assert_ptr_not_equal(f->out.replies[i].waiter, f->out.replies[k].waiter);
}

static void random_event(struct fixture *f, struct random *r, char *waiter)
{
    static const struct bytes ids[] = {BYTES_LIT("a"), BYTES_LIT("b"), BYTES_LIT("c"),
                                       BYTES_LIT("d")};
    struct bytes id = ids[random_below(r, 4)];
    struct group_join j = join_of(random_below(r, 2) ? id : bytes_str(""), id, waiter);
    struct group_sync s = {.waiter = waiter, .member_id = id, .generation = f->g.generation};

    if (group_member_find(&f->g, id) != NULL && j.member_id.n == 0)
        j.fresh_id = BYTES_LIT("e");
    j.id_required = random_below(r, 2);
    switch (random_below(r, 8)) {
    case 0:
    case 1:
    case 2:
        if (group_member_find(&f->g, j.fresh_id) == NULL || j.member_id.n > 0)
            group_step_join(&f->g, &j, f->now, &f->out);
        break;
    case 3:
    case 4:
        group_step_sync(&f->g, &s, f->now, &f->out);
        break;
    case 5:
        group_step_saved(&f->g, f->g.generation, (int16_t)(random_below(r, 8) ? 0 : 15), f->now,
                         &f->out);
        break;
    case 6:
        (void)group_step_leave(&f->g, id, BYTES_NULL, f->now, &f->out);
        break;
    default:
        f->now += (int64_t)random_below(r, 8000);
        group_step_tick(&f->g, f->now, &f->out);
        break;
    }
}

static void random_walks_keep_the_invariants(void **state)
{
    // Whatever the order of events: nobody is answered twice, held requests fit the state, the
    // group empties in the end.
    struct fixture *f = *state;
    static char waiters[200000];
    uint64_t seed = 20261123;
    struct random r;

    print_message("seed %llu\n", (unsigned long long)seed);
    random_seed(&r, seed);
    for (int i = 0; i < 200000; i++) {
        begin(f);
        random_event(f, &r, &waiters[i]);
        expect_sane(f);
    }
    for (int i = 0; i < 100 && f->g.state != GROUP_EMPTY; i++)
        when_tick(f, 70000);
    assert_int_equal(f->g.state, GROUP_EMPTY);
}

int group_tests(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        T(newcomers_get_an_id_first),
        T(an_empty_group_waits_for_more),
        T(the_initial_wait_is_capped),
        T(followers_wait_for_the_leader),
        T(a_failed_save_starts_over),
        T(a_late_joiner_restarts_the_round),
        T(who_rejoins_matters),
        T(silence_means_out),
        T(a_round_does_not_wait_for_ever),
        T(who_never_syncs_is_out),
        T(leaving),
        T(generations_are_checked),
        T(outsiders_commit_to_empty_groups_only),
        T(protocols_must_match),
        T(bounds),
        T(a_static_member_keeps_its_place),
        T(a_static_leader_need_not_assign),
        T(absent_static_members_stay),
        T(random_walks_keep_the_invariants),
#undef T
    };

    return cmocka_run_group_tests_name("group", tests, NULL, NULL);
}
