// SPDX-License-Identifier: Apache-2.0
//
// Numbers as text, exactly: reading refuses what it cannot represent, writing gives the shortest
// text that reads back to the same value ("1.0" for a float without fraction, so that its type
// survives).
#ifndef LEAT_BASE_NUMBER_H
#define LEAT_BASE_NUMBER_H

#include "runtime/base/bytes.h"
#include "runtime/base/assert.h"

#define NUMBER_TEXT_SIZE 32

// A decimal int64 with optional '-'. LEAT_ERANGE outside int64, LEAT_EINVAL for anything else.
int number_parse_int(struct bytes s, int64_t *v) LEAT_CHECKED;
// A finite double in JSON number syntax. LEAT_ERANGE when it overflows, LEAT_EINVAL otherwise.
int number_parse_float(struct bytes s, double *v) LEAT_CHECKED;
// Both return the length and NUL-terminate. number_format_float wants a finite value.
size_t number_format_int(int64_t v, char out[NUMBER_TEXT_SIZE]);
size_t number_format_float(double v, char out[NUMBER_TEXT_SIZE]);
// An int64 scaled by 10^scale: 1050, 2 gives "10.50". scale 0..18.
size_t number_format_decimal(int64_t v, int scale, char out[NUMBER_TEXT_SIZE]);
// "64KiB", "1 GiB", "500MB", "100": bytes. For settings.
int number_parse_size(struct bytes s, int64_t *v) LEAT_CHECKED;

#endif
