// SPDX-License-Identifier: Apache-2.0
//
// Which partition's head goes next. Essay in merge.c.
#ifndef LEAT_ENGINE_MERGE_H
#define LEAT_ENGINE_MERGE_H

#include <stdbool.h>
#include <stdint.h>

struct merge_head {
    int64_t time;  // of the head
    uint32_t rank; // of the partition, unique: what decides between equal times
    int part;      // whose head
};

// A binary heap over the caller's array, which has room for one head of each partition.
struct merge {
    struct merge_head *heads;
    int n;
};

void merge_push(struct merge *m, struct merge_head h);
// The smallest (time, rank). The heap must not be empty.
static inline const struct merge_head *merge_top(const struct merge *m)
{
    return &m->heads[0];
}
void merge_pop(struct merge *m);
// Pops and pushes: what happens when a partition's next record becomes its head.
void merge_replace(struct merge *m, struct merge_head h);

#endif
