// SPDX-License-Identifier: Apache-2.0
//
// 16-byte UUIDs (RFC 4122 version 4): topic ids (KIP-516) and incarnations. All zero means "none".
#ifndef LEAT_BASE_UUID_H
#define LEAT_BASE_UUID_H

#include "runtime/base/bytes.h"
#include "runtime/base/assert.h"

struct uuid {
    uint8_t b[16];
};

#define UUID_TEXT_SIZE 37   // 8-4-4-4-12 and a NUL
#define UUID_BASE64_SIZE 23 // Kafka's URL-safe base64 without padding, and a NUL

struct uuid uuid_random(void);
bool uuid_is_zero(struct uuid u);
bool uuid_eq(struct uuid a, struct uuid b);
void uuid_text(struct uuid u, char out[UUID_TEXT_SIZE]);
// LEAT_EINVAL unless it is the 36-character form.
int uuid_parse(struct bytes s, struct uuid *u) LEAT_CHECKED;
void uuid_base64(struct uuid u, char out[UUID_BASE64_SIZE]);

#endif
