// SPDX-License-Identifier: Apache-2.0
//
// Lua's patterns (manual 6.4.1) with a budget. See pattern.c.
#ifndef LEAT_SCRIPTS_PATTERN_H
#define LEAT_SCRIPTS_PATTERN_H

#include "runtime/base/bytes.h"
#include "runtime/base/err.h"

#define PATTERN_CAPTURES_MAX 32
#define PATTERN_DEPTH_MAX 200
#define CAPTURE_OPEN (-1)     // not closed yet
#define CAPTURE_POSITION (-2) // ()

struct pattern;

struct pattern_capture {
    size_t pos;
    ptrdiff_t n; // bytes, or CAPTURE_*
};

struct pattern_match {
    size_t start, end; // of the whole match, in the subject
    int n_captures;
    struct pattern_capture captures[PATTERN_CAPTURES_MAX];
};

// Bytes of memory that pattern_compile needs for this text.
size_t pattern_size(struct bytes text);
// Compiles into `p` (pattern_size bytes). LEAT_EINVAL with Lua's wording.
int pattern_compile(struct pattern *p, struct bytes text, struct err *e) LEAT_CHECKED;
bool pattern_anchored(const struct pattern *p); // starts with ^

// The first match that starts at `from` or later (only at `from` if anchored). 1, 0, or
// LEAT_EBUDGET when the budget of steps is used up (*steps goes down to 0), LEAT_EINVAL.
int pattern_find(const struct pattern *p, struct bytes subject, size_t from, int64_t *steps,
                 struct pattern_match *m, struct err *e) LEAT_CHECKED;

#endif
