// SPDX-License-Identifier: Apache-2.0
//
// An application's outbox table, read row by row in the order of its commits. Essay in
// outbox_file.c.
#ifndef LEAT_APP_OUTBOX_FILE_H
#define LEAT_APP_OUTBOX_FILE_H

#include <sys/types.h>

#include "runtime/base/arena.h"
#include "runtime/base/buf.h"
#include "runtime/base/clock.h"
#include "runtime/db/db.h"
#include "runtime/engine/plan.h"
#include "runtime/record/batch.h"

enum outbox_statement { OUTBOX_END, OUTBOX_LEAST, OUTBOX_ROWS, OUTBOX_SPAN, OUTBOX_MARKED,
                        OUTBOX_CLEAN, OUTBOX_STATEMENTS };

struct outbox_file {
    const struct plan_outbox *plan;
    const char *name; // the source's
    struct clock *clock;
    struct db *db; // NULL: not open
    dev_t dev;
    ino_t ino;
    struct db_rowid rowid;
    struct db_stmt *own[OUTBOX_STATEMENTS];
    bool looked;
    int64_t version;   // data_version at the last look
    int64_t end;       // first rowid that may not be read yet; never goes back
    int64_t committed; // rows below belong to committed steps of the job; -1: not told yet
    int64_t cleaned;   // rows below have been deleted or marked; -1: not known yet
    int64_t moved_ms;  // monotone clock: when a row came or was cleaned
    // Monotone clock: since when the application's lock keeps us from reading, from cleaning; 0: it
    // does not.
    int64_t locked_ms, clean_locked_ms;
    struct arena arena; // of one row
    struct batch_builder batch;
};

void outbox_file_init(struct outbox_file *f, const struct plan_source *s, struct clock *c);
void outbox_file_deinit(struct outbox_file *f);

// Opens the file if it is not open, and sees how far it may be read. LEAT_ENOTFOUND: no such file
// or table (yet); LEAT_EBUSY: locked for too long; LEAT_ESTOPPED: it is no outbox, or its rows went
// back. What is above `end` may be on its way.
int outbox_file_look(struct outbox_file *f, struct err *e) LEAT_CHECKED;
// Appends batches of the rows in [from, end) to `out`, about `bytes_max`; *next is where to go on.
// Nothing, with *next unchanged: not now.
int outbox_file_read(struct outbox_file *f, int64_t from, size_t bytes_max, struct buf *out,
                     int64_t *next, struct err *e) LEAT_CHECKED;
// Deletes or marks one slice of what is committed. 1: there is more; 0: done, or not now.
int outbox_file_clean(struct outbox_file *f, struct err *e) LEAT_CHECKED;

#endif
