// SPDX-License-Identifier: Apache-2.0
//
// Other ways to do what a test does: lists of acts made from a list of acts. Essay in
// chaos_lists.c.
#ifndef LEAT_ENGINE_CHAOS_LISTS_H
#define LEAT_ENGINE_CHAOS_LISTS_H

#include "runtime/engine/acts.h"

// The sends to one topic, in order. Those of one segment may change places.
struct chaos_topic {
    const char *name;
    int n;
    int32_t *partitions; // of each
    int64_t *offsets;    // of each: where it lies when it has arrived
    int *segments;       // of each: ascending
};

// The list with every segment at one instant. order: NULL, or which of the topic's sends comes at
// each of their places. merge: neighbours to one partition are one batch.
struct chaos_still {
    const struct chaos_topic *topic;
    const int *order;
    bool merge;
};

void chaos_still(const struct acts *in, const struct chaos_still *how, struct acts *out);
// The list with one batch per record: what was sent in one is still read at once.
void chaos_singly(const struct acts *in, struct acts *out);
// Whether that makes a difference, and whether merging does.
bool chaos_has_batches(const struct acts *in);
bool chaos_has_neighbours(const struct acts *in);

// The topics that are sent to, NULL behind the last.
struct chaos_topic **chaos_topics(const struct acts *in);
void chaos_topics_free(struct chaos_topic **topics);

#endif
