// SPDX-License-Identifier: Apache-2.0
//
// Stage 1 of reading JSON: where the tokens are. Private to runtime/record.
//
// The text is classified 64 bytes at a time into bit masks, and the positions of these bytes are
// listed, in order: the six structural characters outside of strings, both quotes of every string,
// and the first byte of every other run (numbers, literals, and whatever does not belong into
// JSON). Stage 2 (json.c) walks the list and hardly looks at anything between. The list is made in
// chunks, so that it needs no memory of the text's size.
#ifndef LEAT_RECORD_JSON_INDEX_H
#define LEAT_RECORD_JSON_INDEX_H

#include "runtime/base/bytes.h"

enum json_kernel { JSON_PORTABLE, JSON_SSE2, JSON_AVX2 };

// The fastest one that this machine can run.
enum json_kernel json_kernel_best(void);

#if LEAT_TESTING
#define JSON_INDEX_CHUNK 8 // refills happen all the time in tests
#else
#define JSON_INDEX_CHUNK 512
#endif

struct json_index {
    const uint8_t *p;
    size_t n;
    size_t done;        // bytes classified
    uint64_t in_string; // all ones when `done` is inside a string
    uint64_t escaped;   // 1 when the byte at `done` is escaped
    uint64_t in_run;    // 1 when the byte before `done` belongs to a run
    bool backslash;     // seen so far: a backslash,
    bool high;          // a byte beyond ASCII,
    bool control;       // a control character inside a string
    enum json_kernel kernel;
    uint32_t n_at, i_at;
    uint32_t at[JSON_INDEX_CHUNK + 64];
};

void json_index_init(struct json_index *x, struct bytes text, enum json_kernel kernel);
// Classifies on until the chunk is full or the text ends. False when there is nothing more.
bool json_index_refill(struct json_index *x);

// The next position, or the text's length at the end.
static inline uint32_t json_index_next(struct json_index *x)
{
    if (x->i_at == x->n_at && !json_index_refill(x))
        return (uint32_t)x->n;
    return x->at[x->i_at++];
}

#endif
