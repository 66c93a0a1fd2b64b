// SPDX-License-Identifier: Apache-2.0
//
// What a job with outboxes reads: its outboxes from their files, everything else from `topics`.
//
// To the engine an outbox is a topic of one partition, whose offsets are row numbers. Nothing tells
// us when an application commits, so the source asks to be polled: often while rows come, less
// often when none do.
#ifndef LEAT_APP_OUTBOX_SOURCE_H
#define LEAT_APP_OUTBOX_SOURCE_H

#include "runtime/app/outbox_file.h"
#include "runtime/engine/source.h"

struct outbox_source {
    struct source source;
    struct source *topics;
    struct clock *clock;
    struct outbox_file *files;
    int n_files;
    bool more; // to clean
};

// The source to hand to the job: this one, or `topics` itself when the plan has no outbox.
struct source *outbox_source_init(struct outbox_source *s, const struct plan *p,
                                  struct source *topics, struct clock *clock);
void outbox_source_deinit(struct outbox_source *s);

// LEAT_EINVAL: the two read one table, and one of them cleans it up, so the other would lose rows.
int outbox_sources_apart(const struct plan *a, const struct plan *b, struct err *e) LEAT_CHECKED;

#endif
