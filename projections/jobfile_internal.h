// SPDX-License-Identifier: Apache-2.0
//
// What the files of this folder share: the open job file, its own statements, and what it remembers
// between steps.
//
// Everything remembered is a copy of committed rows plus what the open step changed; an abort puts
// the committed values back, and the end of a savepoint puts back what stood at its beginning.
#ifndef LEAT_PROJECTIONS_JOBFILE_INTERNAL_H
#define LEAT_PROJECTIONS_JOBFILE_INTERNAL_H

#include "projections/ddl.h"
#include "projections/jobfile.h"
#include "runtime/base/hashmap.h"

// The file's own statements, prepared when first used: X(name, sql).
#define JF_STATEMENTS(X)                                                                           \
    X(META_GET, "SELECT value FROM _leat_meta WHERE name = ?1")                                    \
    X(META_PUT, "INSERT OR ABORT INTO _leat_meta VALUES (?1, ?2)"                                  \
                " ON CONFLICT DO UPDATE SET value = excluded.value")                               \
    X(OFFSET_LIST, "SELECT topic, topic_id, partition, next, epoch, watermark, last_time, idle"    \
                   " FROM _leat_offsets ORDER BY topic, partition")                                \
    X(OFFSET_INSERT, "INSERT OR ABORT INTO _leat_offsets"                                          \
                     " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")                                   \
    X(OFFSET_MOVE, "UPDATE OR ABORT _leat_offsets SET topic_id = ?2, next = ?4, epoch = ?5,"       \
                   " watermark = ?6, last_time = ?7, idle = ?8"                                    \
                   " WHERE topic = ?1 AND partition = ?3 AND next = ?9")                           \
    X(COMMIT_ADD, "INSERT OR ABORT INTO _leat_commits VALUES (?1, ?2, ?3, ?4, ?5, ?6)")            \
    X(COMMIT_TRIM, "DELETE FROM _leat_commits WHERE wall < ?1"                                     \
                   " AND id < (SELECT min(id) FROM _leat_commits) + 512")                          \
    X(OUTBOX_ADD, "INSERT OR ABORT INTO _leat_outbox"                                              \
                  " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)")              \
    X(OUTBOX_SCAN, "SELECT id, topic, topic_id, partition, seq, batch_no, key, value, headers,"    \
                   " n_headers, time, commit_id, cause FROM _leat_outbox"                          \
                   " WHERE id > ?1 AND id <= ?2 ORDER BY id LIMIT ?3")                             \
    X(OUTBOX_IDS, "SELECT id, topic_id, partition, seq FROM _leat_outbox ORDER BY id")             \
    X(OUTBOX_DROP, "DELETE FROM _leat_outbox WHERE id BETWEEN ?1 AND ?2")                          \
    X(OUTBOX_EMPTY, "DELETE FROM _leat_outbox")                                                    \
    X(RELAY_LIST, "SELECT topic, topic_id, partition, published_seq, next_seq, last_batch"         \
                  " FROM _leat_relay")                                                             \
    X(RELAY_PUT, "INSERT OR ABORT INTO _leat_relay VALUES (?1, ?2, ?3, ?4, ?5, ?6)"                \
                 " ON CONFLICT DO UPDATE SET published_seq = excluded.published_seq,"              \
                 " next_seq = excluded.next_seq, last_batch = excluded.last_batch")                \
    X(PARK_ADD, "INSERT OR ABORT INTO _leat_parked (entry, key, state, class, message, place,"     \
                " tries, next_at, parked_at, topic, partition, offset, timestamp, time,"           \
                " record_key, value, headers, n_headers)"                                          \
                " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16,"  \
                " ?17, ?18)")                                                                      \
    X(PARK_UPDATE, "UPDATE OR ABORT _leat_parked SET state = ?2, class = ?3, message = ?4,"        \
                   " place = ?5, tries = ?6, next_at = ?7, edited = ?8, reason = ?9"               \
                   " WHERE id = ?1")                                                               \
    X(PARK_REMOVE, "DELETE FROM _leat_parked WHERE id = ?1")                                       \
    X(PARK_GET, "SELECT * FROM _leat_parked WHERE id = ?1 AND state <> 'skipped'")                 \
    X(PARK_ALL, "SELECT * FROM _leat_parked WHERE state <> 'skipped' ORDER BY id")                 \
    X(PARK_KEY, "SELECT * FROM _leat_parked WHERE entry = ?1 AND key IS ?2"                        \
                " AND state <> 'skipped' ORDER BY id")                                             \
    X(PARK_KEYS, "SELECT id, entry, key, state, class FROM _leat_parked"                           \
                 " WHERE state <> 'skipped'")                                                      \
    X(PARK_DUE, "SELECT * FROM _leat_parked WHERE state = 'retry' ORDER BY next_at, id LIMIT 1")   \
    X(LATE_PUT, "INSERT OR ABORT INTO _leat_late"                                                  \
                " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)"                                \
                " ON CONFLICT DO UPDATE SET n = excluded.n, topic = excluded.topic,"               \
                " partition = excluded.partition, offset = excluded.offset,"                       \
                " time = excluded.time, watermark = excluded.watermark, key = excluded.key,"       \
                " value = excluded.value")                                                         \
    X(LATE_LAST, "SELECT coalesce(max(n), -1) FROM _leat_late WHERE op = ?1")                      \
    X(NUMBER_GET, "SELECT value FROM _leat_numbers WHERE name = ?1")                               \
    X(NUMBER_DROP, "DELETE FROM _leat_numbers WHERE name = ?1")                                    \
    X(NUMBER_PUT, "INSERT OR ABORT INTO _leat_numbers VALUES (?1, ?2)"                             \
                  " ON CONFLICT DO UPDATE SET value = excluded.value")

enum jf_statement {
#define X(name, sql) JF_##name,
    JF_STATEMENTS(X)
#undef X
        JF_N
};

#define JF_FORMAT 1          // of _leat_meta: what this program writes and the newest that it reads
#define JF_SAVEPOINTS_MAX 16 // depth

// A row of _leat_offsets as committed.
struct jf_position {
    int64_t next;
};

// A row of _leat_relay: the sequence of one output partition.
struct jf_mark {
    char *topic;
    struct uuid topic_id;
    int32_t partition;
    int64_t published_seq, next_seq, last_batch;             // now
    int64_t was_published_seq, was_next_seq, was_last_batch; // committed
    int64_t dropped_seq; // up to here the rows are gone
    bool dirty;
    int64_t *ids; // of the rows of sequences from ids_from up to ids_to
    int64_t ids_from, ids_to;
    size_t cap_ids;
};

// An outbox row added inside a savepoint.
struct jf_added {
    struct jf_mark *mark;
    int64_t last_batch; // before it
};

struct jf_counts {
    int64_t outbox_id, waiting, parked;
};

struct jf_savepoint {
    struct jf_counts counts;
    size_t n_added;
};

struct jobfile {
    struct store store;
    struct tables tables;
    struct states states;
    struct db *db;
    const char *path; // NULL: in memory
    struct db_lock lock;
    const struct plan *plan;
    struct arena arena;   // as long as the file is open
    struct arena scratch; // of one verb
    struct ddl ddl;
    const struct jobfile *like; // whose checked tables these are; NULL: its own
    struct db_stmt *own[JF_N];

    bool in_step;
    bool was_full; // the disk, since the WAL was emptied last
    bool unused_state;    // operators are gone whose rows are still there
    int64_t now;          // of the step
    int64_t commit_id;        // last committed
    uint32_t foreign_commits; // db_foreign_commits when the file was opened
    struct hashmap positions;
    struct hashmap marks;
    struct jf_mark **mark_list;
    size_t n_marks, cap_marks;
    struct jf_counts counts, committed;
    struct jf_savepoint saves[JF_SAVEPOINTS_MAX];
    int n_saves;
    bool outbox_undropped; // rows are marked as published and still there
    struct jf_added *added;
    size_t n_added, cap_added;

    struct err broken;            // code != 0: the reason why no further step is possible
    struct rows *rows;            // rows.c
    uint8_t *watched;             // hook.c: by table, what wants to know of its rows; NULL: nobody
    struct changes *changes;      // changes.c; NULL: nothing is watched
    struct expiry *expiry;        // expire.c; NULL: no table keeps time
    struct history *history;      // history.c; NULL: no table has one
    struct opstates *states_open; // state.c
    struct readahead *ahead;      // readahead.c; NULL: not needed so far
};

static inline struct jobfile *jobfile_of(struct store *s)
{
    return container_of(s, struct jobfile, store);
}

// The file's own statement, prepared.
int jf_own(struct jobfile *jf, enum jf_statement which, struct db_stmt **out,
           struct err *e) LEAT_CHECKED;
// Describes the plan's tables, from a database in memory that has them all; handed out when
// `scratch` is not NULL.
int jf_scratch(const struct plan *p, struct arena *a, struct ddl *out, struct db **scratch,
               struct err *e) LEAT_CHECKED;
// What every error inside a step passes through: remembers what stops the job, and makes a record's
// error the machine's when it has ended the transaction.
int jf_error(struct jobfile *jf, int rc, struct err *e);
// Another error passes; SQLite's word for a file that is locked becomes a sentence.
int jf_busy(const struct jobfile *jf, int rc, struct err *e);
// Refuses what may only happen inside a step.
int jf_inside(struct jobfile *jf, struct err *e) LEAT_CHECKED;

int jf_meta_int(struct jobfile *jf, const char *name, int64_t fallback, int64_t *out,
                struct err *e) LEAT_CHECKED;
int jf_meta_put_int(struct jobfile *jf, const char *name, int64_t v, struct err *e) LEAT_CHECKED;
int jf_meta_put_text(struct jobfile *jf, const char *name, struct bytes v,
                     struct err *e) LEAT_CHECKED;

extern const struct store_ops jobfile_store_ops; // step.c
extern const struct tables_ops jobfile_tables_ops;
extern const struct states_ops jobfile_states_ops;

// outbox.c
int outbox_load(struct jobfile *jf, struct err *e) LEAT_CHECKED;
void outbox_unload(struct jobfile *jf);
int outbox_flush(struct jobfile *jf, struct err *e) LEAT_CHECKED; // marks that the step moved
void outbox_committed(struct jobfile *jf);
void outbox_aborted(struct jobfile *jf);
void outbox_undo(struct jobfile *jf, size_t n_added);
int outbox_add(struct store *s, struct outbox_row *r, struct err *e);
int outbox_last(struct store *s, struct uuid topic_id, int32_t partition, int64_t *seq,
                int64_t *batch_no, struct err *e);
int outbox_scan(struct store *s, int64_t after, int max,
                int (*each)(void *arg, const struct outbox_row *r), void *arg, struct err *e);
int outbox_mark(struct store *s, struct uuid topic_id, int32_t partition, int64_t seq,
                struct err *e);

// offsets.c
int offsets_load(struct jobfile *jf, struct err *e) LEAT_CHECKED;
void offsets_unload(struct jobfile *jf);
int offsets_write(struct jobfile *jf, const struct store_commit *c, struct err *e) LEAT_CHECKED;
void offsets_committed(struct jobfile *jf, const struct store_commit *c);
int offsets_each(struct store *s, int (*each)(void *arg, const struct store_offset *o), void *arg,
                 struct err *e);
// "topic:0@12,1@9;other:0@3" of offsets ordered by topic; only the idle ones without "@" when
// asked.
void offsets_text(struct buf *out, const struct store_offset *o, size_t n, bool idle_only);

// parked.c
int park_add(struct store *s, struct parked_row *r, struct err *e);
int park_update(struct store *s, const struct parked_row *r, struct err *e);
int park_remove(struct store *s, int64_t id, struct err *e);
int park_get(struct store *s, int64_t id, struct arena *a, struct parked_row *out, struct err *e);
int park_scan(struct store *s, const struct bytes *entry, const struct bytes *key,
              int (*each)(void *arg, const struct parked_row *r), void *arg, struct err *e);
int park_keys(struct store *s, int (*each)(void *arg, const struct parked_row *r), void *arg,
              struct err *e);
int park_due(struct store *s, struct arena *a, struct parked_row *out, struct err *e);
// The row of a statement that has all columns of _leat_parked, in their order.
struct parked_row parked_read(struct db_stmt *s);

// late.c
int late_add(struct store *s, const struct late_row *r, struct err *e);
int number_get(struct store *s, const char *name, int64_t *v, struct err *e);
int number_put(struct store *s, const char *name, int64_t v, struct err *e);
int number_drop(struct store *s, const char *name, struct err *e);

// compare.c
int outline_of_file(struct db *db, struct arena *a, struct outline *o, struct err *e) LEAT_CHECKED;
int outline_of_plan(const struct plan *p, const struct ddl *d, struct arena *a, struct outline *o,
                    struct err *e) LEAT_CHECKED;
// A job's file, for reading beside its owner, in one transaction; without a policy. LEAT_ENOTFOUND
// also for one that is empty, or whose creation did not commit.
int file_open_made(const char *path, struct db **out, struct err *e) LEAT_CHECKED;
// Nothing has been read or made: there is no history to keep.
int file_is_unused(struct db *db, bool *unused, struct err *e) LEAT_CHECKED;

// upgrade.c
int upgrade_record(struct jobfile *jf, struct err *e) LEAT_CHECKED; // after creation
int upgrade_make_views(struct jobfile *jf, struct err *e) LEAT_CHECKED; // and indexes
// Whether the options allow these differences; LEAT_EINVAL says which they do not.
int upgrade_allowed(const struct plan *p, const struct differences *d,
                    const struct jobfile_options *o, struct err *e) LEAT_CHECKED;
// 0, or UPGRADE_ANEW: more has changed than can be taken up, but nothing is in the file yet.
#define UPGRADE_ANEW 1
int upgrade_apply(struct jobfile *jf, const struct jobfile_options *o, struct err *e) LEAT_CHECKED;

// check.c: every column that the plan's actions name is there. LEAT_ELOAD with file and line.
int jf_check_columns(const struct plan *p, const struct ddl *d, struct err *e) LEAT_CHECKED;

// query.c: what a reading statement may touch (ctx is the struct ddl), and a declared parameter's
// type ("text?" is text).
bool query_may(void *ctx, const struct db_access *a);
struct bytes query_param_type(const struct plan_param *p);

// rows.c, state.c
void rows_unload(struct jobfile *jf);
void states_unload(struct jobfile *jf);
void states_taken_back(struct jobfile *jf); // the step, or a part of it
// Drops the rows of operators that the plan no longer has: all that none has opened.
int states_drop_unused(struct jobfile *jf, struct err *e) LEAT_CHECKED;

#endif
