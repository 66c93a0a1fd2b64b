// SPDX-License-Identifier: Apache-2.0
//
// All groups of this server: the shell around the group coordinator, their committed offsets, and
// the internal topic in which both are written down (journal.h).
#ifndef LEAT_BROKER_GROUPS_H
#define LEAT_BROKER_GROUPS_H

#include <stdatomic.h>

#include "runtime/base/hashmap.h"
#include "runtime/broker/group.h"
#include "runtime/broker/journal.h"
#include "runtime/io/timer.h"

struct broker;

struct committed {
    struct bytes topic, metadata; // owned
    int32_t partition;
    int64_t offset;
    int32_t leader_epoch;
    int64_t commit_ms;
};

struct group_entry {
    struct group group;
    struct hashmap offsets; // topic and partition to struct committed
    struct groups *groups;
};

struct groups {
    struct broker *broker;
    struct group_config config;
    struct hashmap by_id;
    _Atomic int64_t n;
    struct timer *timer;
    int64_t armed;
    struct journal journal;
};

// Reads the journal if there is one.
int groups_open(struct groups *gs, struct broker *b, struct err *e) LEAT_CHECKED;
// Answers every request that a group holds: the server stops.
void groups_release(struct groups *gs);
void groups_close(struct groups *gs);

struct group_entry *groups_find(struct groups *gs, struct bytes id);
// NULL at GROUPS_MAX.
struct group_entry *groups_make(struct groups *gs, struct bytes id);
// Deletes an empty group and its offsets, here and in the journal.
int groups_delete(struct groups *gs, struct group_entry *entry, struct err *e) LEAT_CHECKED;
// What was committed for the topic is forgotten: one of the same name starts at its beginning.
void groups_topic_deleted(struct groups *gs, struct bytes topic);
// Does what a step asked for: sends its replies, writes the group down, and looks at the clock
// again. The entry may be gone afterwards, when nothing is left in it.
void groups_perform(struct group_entry *entry, struct group_effects *out);

struct committed *committed_find(const struct group_entry *entry, struct bytes topic,
                                 int32_t partition);
// Copies; a negative offset forgets it.
void committed_set(struct group_entry *entry, const struct committed *c);
// In topic and partition order. The array is the caller's.
struct committed **committed_all(const struct group_entry *entry, size_t *n);

#endif
