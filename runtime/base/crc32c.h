// SPDX-License-Identifier: Apache-2.0
//
// CRC-32C (Castagnoli), as in Kafka's record batch v2. Dispatches once at run time: three SSE4.2
// streams joined by a table from 4 KiB up, one stream below, slicing-by-8 where the instruction is
// missing.
#ifndef LEAT_BASE_CRC32C_H
#define LEAT_BASE_CRC32C_H

#include "runtime/base/bytes.h"

uint32_t crc32c(struct bytes b);
// Continues: crc32c(ab) == crc32c_more(crc32c(a), b).
uint32_t crc32c_more(uint32_t crc, struct bytes b);
// The portable form, for tests to compare with.
uint32_t crc32c_portable(uint32_t crc, struct bytes b);

#endif
