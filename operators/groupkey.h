// SPDX-License-Identifier: Apache-2.0
//
// Group keys as bytes whose memcmp order is the order SQLite gives the same parts as columns, and
// whose equality is SQLite's: numbers by value whatever their type (1 = 1.0 = true), then text,
// then blobs. So a cache over state rows finds, sorts and merges by memcmp alone. Per part:
//
//   number   1, the value as a double (8, sign folded so that bytes sort), the exact integer (8,
//            likewise), kind (0 integer, 1 other float, 2 + scale: decimal)
//   text     2, bytes with 00 written as 00 FF, then 00 01
//   blob     3, likewise
//
// What equality forgets (that 1 was true, or 1.0) is said by group_key_is_exact; who wants the
// parts back as they came keeps them beside the key.
#ifndef LEAT_OPERATORS_GROUPKEY_H
#define LEAT_OPERATORS_GROUPKEY_H

#include "runtime/record/value.h"

// Appends the parts. LEAT_EKEY for a part that cannot be a key column.
int group_key_encode(struct buf *out, const struct value *parts, int n, struct err *e) LEAT_CHECKED;

// Whether decoding gives the very same values.
bool group_key_is_exact(const struct value *parts, int n);

// The parts as they are shown when equal keys have to look alike: whole numbers are integers.
void group_key_plain(const struct value *parts, int n, struct value *out);

// n parts of a key that group_key_encode made. Texts borrow from the key, or from the arena where
// they hold a 00.
void group_key_decode(struct bytes key, struct value *parts, int n, struct arena *a);

#endif
