// SPDX-License-Identifier: Apache-2.0
//
// Reading a source file whole.
#ifndef LEAT_SCRIPTS_SOURCE_H
#define LEAT_SCRIPTS_SOURCE_H

#include "runtime/base/bytes.h"
#include "runtime/base/err.h"

// Reads at most `max` bytes into p: who gets more than its limit refuses.
int source_read(const char *path, uint8_t *p, size_t max, size_t *n, struct err *e) LEAT_CHECKED;

#endif
