// SPDX-License-Identifier: Apache-2.0
//
// A look into meta.db from outside, whether a server has it open or not.
#ifndef LEAT_BROKER_METADATA_PEEK_H
#define LEAT_BROKER_METADATA_PEEK_H

#include "runtime/base/err.h"
#include "runtime/base/uuid.h"

// 1 and the id of the topic of this name, 0 when there is none. LEAT_ENOTFOUND: there is no such
// file.
int metadata_peek_topic(const char *path, const char *name, struct uuid *id,
                        struct err *e) LEAT_CHECKED;

#endif
