// SPDX-License-Identifier: Apache-2.0
//
// The orders in which records of several partitions can arrive. No I/O. Essay in chaos_orders.c.
#ifndef LEAT_ENGINE_CHAOS_ORDERS_H
#define LEAT_ENGINE_CHAOS_ORDERS_H

#include <stdint.h>

// How many there are, the given one included: INT64_MAX for more than fit. partitions[i]: where the
// i-th record goes.
int64_t orders_count(const int32_t *partitions, int n);
// out[i]: which record is the i-th to arrive, in order number `rank` < orders_count; 0 is the order
// given.
void orders_nth(const int32_t *partitions, int n, int64_t rank, int *out);
// One of them, every one equally likely.
void orders_random(const int32_t *partitions, int n, uint64_t seed, int *out);
// All of one partition before the others, which keep their order. `first`: index into the
// partitions as they appear.
void orders_first(const int32_t *partitions, int n, int first, int *out);
int orders_partitions(const int32_t *partitions, int n); // how many different ones

#endif
