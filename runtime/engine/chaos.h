// SPDX-License-Identifier: Apache-2.0
//
// A test done again in all the ways that must not matter. Essay in chaos.c.
#ifndef LEAT_ENGINE_CHAOS_H
#define LEAT_ENGINE_CHAOS_H

#include "runtime/engine/acts.h"

enum chaos_kind {
    CHAOS_SPLIT, // where commits are
    CHAOS_CRASH, // where the job dies
    CHAOS_ORDER, // which partition's records arrive first
    CHAOS_KINDS
};

struct chaos_config {
    struct driver_config driver; // as of the test
    const struct acts *acts;
    const char *test_file;
    enum chaos_kind only_kind; // with only > 0: this variation and no other
    int64_t only;
};

struct chaos_failure {
    enum chaos_kind kind;
    int64_t number;   // of the variation: only = number does it again
    const char *what; // one line: the variation, what depends on it, and the job's line
    const char *detail; // lines, indented: where in the test, and what it was and is
};

struct chaos_result {
    int64_t n[CHAOS_KINDS];        // variations done
    int64_t skipped[CHAOS_KINDS];  // left out, because there are too many
    struct chaos_failure failures[CHAOS_KINDS]; // the first of each kind
    int n_failures;
};

const char *chaos_kind_name(enum chaos_kind k); // "split", "crash", "order"

// Texts lie in the arena. The error is one that keeps the test from being done again, not a
// difference.
int chaos_run(const struct chaos_config *c, struct chaos_result *out, struct arena *a,
              struct err *e) LEAT_CHECKED;

#endif
