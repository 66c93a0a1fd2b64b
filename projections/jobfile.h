// SPDX-License-Identifier: Apache-2.0
//
// The job file: one SQLite database per job version, in which everything a step does commits
// together. This is what the app opens; the engine sees it as a store (engine/store.h), the HTTP
// side as a query reader (engine/query.h).
#ifndef LEAT_PROJECTIONS_JOBFILE_H
#define LEAT_PROJECTIONS_JOBFILE_H

#include "projections/differences.h"
#include "runtime/engine/query.h"
#include "runtime/engine/store.h"

struct jobfile_options {
    const char *path; // jobs/<job>/<version>.db; NULL: in memory
    bool throwaway;   // a rebuild: not synced, thrown away after a crash
    bool from_now;    // accept a changed plan: what is there keeps the old meaning
    bool drop;        // accept that operators and tables are gone, and what they keep with them
};

// How a plan differs from the one that a file was made for.
struct jobfile_comparison {
    struct differences differences;
    bool unused;        // nothing has been read or made yet
    int64_t records;    // that a rebuild would read, at most: what has been read so far
    int64_t per_second; // as measured over the last commits; -1: not known
};

// Opens or creates, and takes the lock beside it. The plan must be finished and outlive the store.
// LEAT_ELOAD (a table, view or index of the plan), LEAT_ELOCKED, LEAT_EUNSUPPORTED (made by a newer
// leat), LEAT_EINVAL (another job's file, or the plan has changed and needs another version),
// LEAT_ECORRUPT, LEAT_EIO.
int jobfile_open(struct store **out, const struct plan *p, const struct jobfile_options *o,
                 struct err *e) LEAT_CHECKED;
// Compares without opening it as its owner: the file may be in use. LEAT_ENOTFOUND: no file.
int jobfile_compare(const struct plan *p, const char *path, struct arena *a,
                    struct jobfile_comparison *out, struct err *e) LEAT_CHECKED;
// Opens what is committed in *s, which is in memory, once more for this plan, which may be a
// changed one, and puts it in the place of *s; that is closed. After a failure *s is as it was. Of
// the options those that accept a change count.
int jobfile_reopen(struct store **s, const struct plan *p, const struct jobfile_options *o,
                   struct err *e) LEAT_CHECKED;
// Another store in memory that holds what is committed in `of`, for the same plan: much cheaper
// than opening a new one. `of` is in memory and outlives the copy and what is reopened from it.
int jobfile_copy(struct store **out, struct store *of, struct err *e) LEAT_CHECKED;

// Whether jobfile_open would take the changes of the plan, and if not the error that it would give;
// LEAT_EINVAL. Read-only, as jobfile_compare; a file that is not there can be opened.
int jobfile_may_open(const struct plan *p, const struct jobfile_options *o,
                     struct err *e) LEAT_CHECKED;
// Whether the file's job has read or made anything. Read-only, as jobfile_compare.
int jobfile_used(const char *path, bool *used, struct err *e) LEAT_CHECKED;

// What a job has made and nobody has taken yet, per output partition.
struct jobfile_waiting {
    const char *topic;
    struct uuid topic_id;
    int32_t partition;
    int64_t rows, bytes;
    int64_t since;   // wall clock of the oldest row's commit; INT64_MIN: not known any more
    bool since_more; // or before: that commit is no longer remembered
};
// Read-only, as jobfile_compare: by topic and partition.
int jobfile_outbox(const char *path, int (*each)(void *arg, const struct jobfile_waiting *w),
                   void *arg, struct err *e) LEAT_CHECKED;
// Every row of _leat_parked, those that were skipped too, by id. Read-only, as jobfile_compare.
int jobfile_parked(const char *path, int (*each)(void *arg, const struct parked_row *r), void *arg,
                   struct err *e) LEAT_CHECKED;
// Opens the file of a job that does not run, for decisions about its parked records; what else a
// store does needs the plan. LEAT_ELOCKED: the job runs. LEAT_ENOTFOUND: there is no such job.
int jobfile_open_parked(struct store **out, const char *path, struct err *e) LEAT_CHECKED;
// An open step is aborted. NULL is fine.
void jobfile_close(struct store *s);

// Checks tables, indexes, views and queries of a plan without a file. Warnings ("jobs/a.lua:3:
// ...", one a line) go to `warnings`, which may be NULL.
int jobfile_check(const struct plan *p, struct buf *warnings, struct err *e) LEAT_CHECKED;

// A reader of the file; any thread, one each. p NULL: the plan that is stored in the file.
int jobfile_reader(struct query_reader **out, const struct plan *p, const char *path,
                   struct err *e) LEAT_CHECKED;
// A reader over an open store, on the store's own thread and between steps: for tests in memory.
int jobfile_reader_of(struct query_reader **out, struct store *s, struct err *e) LEAT_CHECKED;

#endif
