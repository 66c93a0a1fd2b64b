// SPDX-License-Identifier: Apache-2.0
//
// Dead letters: records that failed for good, published for who reads the `dead` topic. Essay in
// dead_letter.c.
#ifndef LEAT_ENGINE_DEAD_LETTER_H
#define LEAT_ENGINE_DEAD_LETTER_H

#include "runtime/engine/run.h"

#define PARKED_MESSAGE_MAX 1024 // of an error, in a row and in a header

// Inside a step: the record of the row, right after it failed. Nothing when the job has no dead
// topic.
int dead_letter_add(struct run *r, const struct parked_row *row, struct err *e) LEAT_CHECKED;

// Cuts at a character's end and replaces what is not UTF-8.
size_t dead_letter_text(const char *in, size_t n, char *out, size_t cap);

#endif
