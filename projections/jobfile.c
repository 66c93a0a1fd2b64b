// SPDX-License-Identifier: Apache-2.0
//
// Opening a job file.
//
//   lock <version>.lock  ->  check the plan's tables in a scratch database  ->  open  ->  empty:
//   create everything in one transaction; else: format, job, version, plan  ->  owner_epoch + 1  ->
//   read marks and offsets
//
// A file that is empty, or whose creation did not commit, is created again. A file with tables but
// without _leat_meta is somebody else's and is left alone. Starting is opening: nothing here
// depends on how much state there is, or how many rows wait in the outbox; only the keys of parked
// records are read, and their number has a limit.
#include "projections/jobfile.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "projections/changes.h"
#include "projections/expire.h"
#include "projections/history.h"
#include "projections/hook.h"
#include "projections/jobfile_internal.h"
#include "projections/readahead.h"
#include "projections/sql_text.h"
#include "runtime/base/heap.h"
#include "runtime/base/limits.h"
#include "runtime/base/random.h"

// Changes of the plan that the file has taken up, and the commit behind which they hold. Files of
// older programs do not have it.
#define UPGRADES_TABLE                                                                             \
    "CREATE TABLE IF NOT EXISTS _leat_upgrades (id INTEGER PRIMARY KEY,"                           \
    " commit_id INTEGER NOT NULL, class TEXT NOT NULL, what TEXT NOT NULL, name TEXT NOT NULL,"    \
    " sign TEXT, text TEXT, why TEXT) STRICT;"

// Public: what these hold is promised to users (read-only), so columns are only added.
static const char schema[] =
    "CREATE TABLE _leat_meta (name TEXT PRIMARY KEY, value ANY) STRICT, WITHOUT ROWID;"
    // what the file was made for, to compare a changed plan with
    "CREATE TABLE _leat_parts (kind TEXT, name TEXT, content TEXT,"
    " PRIMARY KEY (kind, name)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE _leat_offsets (topic TEXT, topic_id BLOB, partition INTEGER,"
    " next INTEGER NOT NULL, epoch INTEGER NOT NULL, watermark INTEGER, last_time INTEGER,"
    " idle INTEGER NOT NULL, PRIMARY KEY (topic, partition)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE _leat_commits (id INTEGER PRIMARY KEY, wall INTEGER NOT NULL, vector TEXT,"
    " idle TEXT, records INTEGER, micros INTEGER) STRICT;"
    "CREATE TABLE _leat_timers (op TEXT, key BLOB, name TEXT, at INTEGER NOT NULL,"
    " PRIMARY KEY (op, key, name)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX _leat_timers_at ON _leat_timers (at);"
    "CREATE TABLE _leat_outbox (id INTEGER PRIMARY KEY, topic TEXT NOT NULL, topic_id BLOB NOT "
    "NULL,"
    " partition INTEGER NOT NULL, seq INTEGER NOT NULL, batch_no INTEGER NOT NULL, key BLOB,"
    " value BLOB, headers BLOB, n_headers INTEGER NOT NULL, time INTEGER NOT NULL,"
    " commit_id INTEGER NOT NULL, cause TEXT) STRICT;"
    "CREATE TABLE _leat_relay (topic TEXT NOT NULL, topic_id BLOB, partition INTEGER,"
    " published_seq INTEGER NOT NULL, next_seq INTEGER NOT NULL, last_batch INTEGER NOT NULL,"
    " PRIMARY KEY (topic_id, partition)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE _leat_parked (id INTEGER PRIMARY KEY AUTOINCREMENT, entry TEXT NOT NULL, key "
    "BLOB,"
    " state TEXT NOT NULL, class TEXT, message TEXT, place TEXT, tries INTEGER, next_at INTEGER,"
    " parked_at INTEGER, topic TEXT, partition INTEGER, offset INTEGER, timestamp INTEGER,"
    " time INTEGER, record_key BLOB, value BLOB, headers BLOB, n_headers INTEGER,"
    " edited BLOB, reason TEXT) STRICT;"
    // with what tells whether a key is held, so that starting does not read the records
    "CREATE INDEX _leat_parked_key ON _leat_parked (entry, key, state, class);"
    "CREATE INDEX _leat_parked_due ON _leat_parked (next_at) WHERE state = 'retry';"
    "CREATE TABLE _leat_late (op TEXT, slot INTEGER, n INTEGER NOT NULL, topic TEXT,"
    " partition INTEGER, offset INTEGER, time INTEGER, watermark INTEGER, key BLOB, value BLOB,"
    " PRIMARY KEY (op, slot)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE _leat_numbers (name TEXT PRIMARY KEY, value INTEGER NOT NULL)"
    " STRICT, WITHOUT ROWID;"
    UPGRADES_TABLE
    "CREATE TABLE _leat_columns (\"table\" TEXT, name TEXT, type TEXT,"
    " PRIMARY KEY (\"table\", name)) STRICT, WITHOUT ROWID;";

int jf_own(struct jobfile *jf, enum jf_statement which, struct db_stmt **out, struct err *e)
{
    static const char *const texts[JF_N] = {
#define X(name, sql) [JF_##name] = sql,
        JF_STATEMENTS(X)
#undef X
    };
    int rc = 0;

    if (jf->own[which] == NULL)
        rc = db_prepare(jf->db, texts[which], &jf->own[which], e);
    *out = jf->own[which];
    return rc;
}

int jf_meta_int(struct jobfile *jf, const char *name, int64_t fallback, int64_t *out, struct err *e)
{
    struct db_stmt *s;
    int rc = jf_own(jf, JF_META_GET, &s, e);

    if (rc < 0)
        return rc;
    db_bind_str(s, 1, name);
    rc = db_next(s, e);
    *out = rc == 1 ? db_column_int(s, 0) : fallback;
    db_reset(s);
    return rc < 0 ? rc : 0;
}

static int meta_is_text(struct jobfile *jf, const char *name, const char *want, bool *is,
                        struct err *e)
{
    struct db_stmt *s;
    int rc = jf_own(jf, JF_META_GET, &s, e);

    if (rc < 0)
        return rc;
    db_bind_str(s, 1, name);
    rc = db_next(s, e);
    *is = rc == 1 && bytes_eq_str(db_column_text(s, 0), want);
    db_reset(s);
    return rc < 0 ? rc : 0;
}

int jf_meta_put_int(struct jobfile *jf, const char *name, int64_t v, struct err *e)
{
    struct db_stmt *s;
    int rc = jf_own(jf, JF_META_PUT, &s, e);

    if (rc < 0)
        return rc;
    db_bind_str(s, 1, name);
    db_bind_int(s, 2, v);
    return db_run(s, e);
}

int jf_meta_put_text(struct jobfile *jf, const char *name, struct bytes v, struct err *e)
{
    struct db_stmt *s;
    int rc = jf_own(jf, JF_META_PUT, &s, e);

    if (rc < 0)
        return rc;
    db_bind_str(s, 1, name);
    db_bind_text(s, 2, v);
    return db_run(s, e);
}

static int put_identity(struct jobfile *jf, struct err *e)
{
    struct uuid id = uuid_random();
    char text[UUID_TEXT_SIZE];
    int rc;

    uuid_text(id, text);
    rc = jf_meta_put_text(jf, "job", bytes_str(jf->plan->job), e);
    if (rc == 0)
        rc = jf_meta_put_int(jf, "version", jf->plan->version, e);
    if (rc == 0)
        rc = jf_meta_put_int(jf, "format", JF_FORMAT, e);
    if (rc == 0)
        rc = jf_meta_put_text(jf, "leat", bytes_str(LEAT_VERSION), e);
    if (rc == 0)
        rc = jf_meta_put_text(jf, "incarnation", bytes_str(text), e);
    if (rc == 0)
        rc = jf_meta_put_int(jf, "owner_epoch", 0, e);
    if (rc == 0)
        rc = jf_meta_put_int(jf, "state_version", jf->plan->version, e);
    // One producer per incarnation, for ever: its sequences stand in the outbox rows.
    if (rc == 0)
        rc = jf_meta_put_int(jf, "producer_id",
                             PRODUCER_ID_RESERVED | (int64_t)(random_entropy_u64() >> 2), e);
    return rc;
}

static int create(struct jobfile *jf, struct err *e)
{
    int rc = db_exec(jf->db, schema, e);

    if (rc == 0)
        rc = put_identity(jf, e);
    for (int i = 0; i < jf->ddl.n_tables && rc == 0; i++)
        rc = db_exec(jf->db, jf->ddl.tables[i].create, e);
    if (rc == 0)
        rc = history_create(jf, e);
    if (rc == 0)
        rc = upgrade_make_views(jf, e);
    if (rc == 0)
        rc = upgrade_record(jf, e);
    return rc;
}

static int read_incarnation(struct jobfile *jf, struct err *e)
{
    struct db_stmt *s;
    int rc = jf_own(jf, JF_META_GET, &s, e);

    if (rc < 0)
        return rc;
    db_bind_str(s, 1, "incarnation");
    rc = db_next(s, e);
    if (rc == 1 && uuid_parse(db_column_text(s, 0), &jf->store.incarnation) < 0)
        rc = err_set(e, LEAT_ECORRUPT, "_leat_meta has no readable incarnation");
    db_reset(s);
    return rc < 0 ? rc : 0;
}

static int check_format(struct jobfile *jf, struct err *e)
{
    int64_t format = 0;
    int rc = jf_meta_int(jf, "format", 0, &format, e);

    if (rc == 0 && format > JF_FORMAT)
        return err_set(e, LEAT_EUNSUPPORTED,
                       "the file has format %d, this leat knows up to %d: use a newer leat",
                       (int)format, JF_FORMAT);
    return rc;
}

static int check_identity(struct jobfile *jf, struct err *e)
{
    int64_t version = 0;
    bool is_job = false;
    int rc = check_format(jf, e);

    if (rc == 0)
        rc = meta_is_text(jf, "job", jf->plan->job, &is_job, e);
    if (rc == 0)
        rc = jf_meta_int(jf, "version", 0, &version, e);
    if (rc == 0 && (!is_job || version != jf->plan->version))
        return err_set(e, LEAT_EINVAL, "the file belongs to another job or version, not to %s@%d",
                       jf->plan->job, jf->plan->version);
    return rc;
}

// Fences whoever still thinks the file is theirs.
static int take_over(struct jobfile *jf, struct err *e)
{
    int rc = jf_meta_int(jf, "owner_epoch", 0, &jf->store.owner_epoch, e);

    if (rc == 0)
        rc = jf_meta_put_int(jf, "owner_epoch", ++jf->store.owner_epoch, e);
    if (rc == 0)
        rc = jf_meta_int(jf, "producer_id", 0, &jf->store.producer_id, e);
    if (rc == 0)
        rc = read_incarnation(jf, e);
    return rc;
}

// A file that has not seen a record yet is made again, whatever has changed.
static int start_over(struct jobfile *jf, struct err *e)
{
    struct db_stmt *s;
    struct buf drops = BUF_EMPTY;
    int rc = db_prepare(jf->db,
                        "SELECT type, name FROM sqlite_schema WHERE type IN ('view', 'table')"
                        " AND name NOT GLOB 'sqlite_*' ORDER BY type DESC",
                        &s, e);

    if (rc < 0)
        return rc;
    while ((rc = db_next(s, e)) == 1) {
        buf_printf(&drops, "DROP %.*s ", BYTES_FMT(db_column_text(s, 0)));
        sql_append_name(&drops, (const char *)db_column_text(s, 1).p);
        buf_append_str(&drops, ";");
    }
    db_stmt_free(s);
    if (rc == 0)
        rc = db_exec(jf->db, buf_cstr(&drops), e);
    buf_deinit(&drops);
    return rc == 0 ? create(jf, e) : rc;
}

static int take_up(struct jobfile *jf, const struct jobfile_options *o, struct err *e)
{
    int rc = check_identity(jf, e);

    if (rc == 0)
        rc = db_exec(jf->db, UPGRADES_TABLE, e);
    if (rc == 0)
        rc = upgrade_apply(jf, o, e);
    return rc == UPGRADE_ANEW ? start_over(jf, e) : rc;
}

// What is to be opened instead of a path: a database, and of a store with the same plan the tables
// that have been checked. A copy has nothing to take up.
struct origin {
    struct db_image image;
    const struct jobfile *like;
    bool copy;
};

static int set_up(struct jobfile *jf, const struct jobfile_options *o, bool copy, struct err *e)
{
    int64_t n, ours;
    int rc = db_query_int(jf->db, "SELECT count(*) FROM sqlite_schema", &n, e);

    if (rc == 0)
        rc = db_query_int(jf->db, "SELECT count(*) FROM sqlite_schema WHERE name = '_leat_meta'",
                          &ours, e);
    if (rc < 0)
        return rc;
    if (n > 0 && ours == 0)
        return err_set(e, LEAT_EINVAL, "this is a database, but not a job's");
    rc = db_begin(jf->db, e);
    if (rc < 0)
        return rc;
    jf->foreign_commits = db_foreign_commits(jf->db);
    if (jf->plan == NULL)
        rc = n == 0 ? err_set(e, LEAT_ENOTFOUND, "no job has been made in it yet")
                    : check_format(jf, e);
    else if (!copy)
        rc = n == 0 ? create(jf, e) : take_up(jf, o, e);
    if (rc == 0)
        rc = take_over(jf, e);
    if (rc == 0)
        return db_commit(jf->db, e);
    db_rollback(jf->db);
    return rc;
}

static int load(struct jobfile *jf, struct err *e)
{
    int64_t unused = 0;
    int rc =
        db_query_int(jf->db, "SELECT coalesce(max(id), 0) FROM _leat_commits", &jf->commit_id, e);

    if (rc == 0)
        rc = db_query_int(jf->db, "SELECT count(*) FROM _leat_parked WHERE state <> 'skipped'",
                          &jf->counts.parked, e);
    if (rc == 0)
        rc = jf_meta_int(jf, "unused_state", 0, &unused, e);
    jf->unused_state = unused != 0;
    if (rc == 0)
        rc = outbox_load(jf, e);
    if (rc == 0)
        rc = offsets_load(jf, e);
    jf->committed = jf->counts;
    return rc;
}

int jf_scratch(const struct plan *p, struct arena *a, struct ddl *out, struct db **scratch,
               struct err *e)
{
    struct db_options o = {.mode = DB_MEMORY};
    struct db *db;
    int rc = db_open(&db, NULL, &o, e);

    if (rc < 0)
        return rc;
    // With our own tables, so that views and queries may read them.
    rc = db_exec(db, schema, e);
    if (rc == 0)
        rc = ddl_build(db, p, a, out, e);
    if (rc == 0)
        rc = jf_check_columns(p, out, e);
    if (rc < 0 || scratch == NULL)
        db_close(db);
    else
        *scratch = db;
    return rc;
}

static int make_folder(const char *path, struct err *e)
{
    char dir[1024];

    if (strlen(path) >= sizeof dir)
        return err_set(e, LEAT_EINVAL, "the path is too long: %s", path);
    for (size_t i = 1; path[i]; i++) {
        if (path[i] != '/')
            continue;
        memcpy(dir, path, i);
        dir[i] = 0;
        if (mkdir(dir, 0755) < 0 && errno != EEXIST)
            return err_errno(e, errno, "%s", dir);
    }
    return 0;
}

// jobs/shop/2.db is guarded by jobs/shop/2.lock.
static int take_lock(struct jobfile *jf, const char *path, struct err *e)
{
    size_t n = strlen(path);
    char *lock;
    int rc;

    if (n > 3 && strcmp(path + n - 3, ".db") == 0)
        n -= 3;
    lock = heap_printf("%.*s.lock", (int)n, path);
    rc = db_lock_acquire(&jf->lock, lock, e);
    heap_free(lock);
    return rc;
}

// The plan's tables, checked in a database of their own, unless that has been done.
static int find_tables(struct jobfile *jf, const struct jobfile *like, struct err *e)
{
    if (jf->plan == NULL)
        return 0;
    if (like == NULL)
        return jf_scratch(jf->plan, &jf->arena, &jf->ddl, NULL, e);
    ASSERT(like->plan == jf->plan);
    jf->like = like;
    jf->ddl = like->ddl;
    return 0;
}

static int open_file(struct jobfile *jf, const struct jobfile_options *o, struct origin *from,
                     struct err *e)
{
    struct db_options d = {.mode = o->path != NULL ? DB_WRITER : DB_MEMORY,
                           .create = jf->plan != NULL,
                           .throwaway = o->throwaway,
                           .image = from != NULL ? &from->image : NULL};
    int rc = find_tables(jf, from != NULL ? from->like : NULL, e);

    if (rc < 0)
        return rc;
    if (o->path != NULL) {
        rc = make_folder(o->path, e);
        if (rc == 0)
            rc = take_lock(jf, o->path, e);
        if (rc < 0)
            return rc;
        jf->path = arena_strdup(&jf->arena, o->path);
    }
    rc = db_open(&jf->db, o->path, &d, e);
    if (rc < 0)
        return jf_busy(jf, rc, e);
    rc = set_up(jf, o, from != NULL && from->copy, e);
    if (rc == 0)
        rc = load(jf, e);
    if (rc == 0)
        rc = history_load(jf, e);
    if (rc == 0)
        expire_load(jf);
    if (rc == LEAT_EBUSY)
        return jf_busy(jf, rc, e);
    return rc < 0 && o->path != NULL ? err_wrap(e, rc, "%s", o->path) : rc;
}

static int open_new(struct store **out, const struct plan *p, const struct jobfile_options *o,
                    struct origin *from, struct err *e)
{
    struct jobfile *jf = heap_zalloc(sizeof *jf);
    int rc;

    *jf = (struct jobfile){.plan = p, .lock = {.fd = -1}};
    jf->store =
        (struct store){.ops = &jobfile_store_ops, .tables = &jf->tables, .states = &jf->states};
    jf->tables.ops = &jobfile_tables_ops;
    jf->states.ops = &jobfile_states_ops;
    arena_init(&jf->arena);
    arena_init(&jf->scratch);
    hashmap_init(&jf->positions, random_entropy_u64());
    hashmap_init(&jf->marks, random_entropy_u64());
    rc = open_file(jf, o, from, e);
    *out = rc == 0 ? &jf->store : NULL;
    if (rc < 0)
        jobfile_close(&jf->store);
    return rc;
}

int jobfile_open_parked(struct store **out, const char *path, struct err *e)
{
    struct jobfile_options o = {.path = path};

    return open_new(out, NULL, &o, NULL, e);
}

int jobfile_open(struct store **out, const struct plan *p, const struct jobfile_options *o,
                 struct err *e)
{
    return open_new(out, p, o, NULL, e);
}

static int open_from(struct store **out, struct jobfile *of, const struct plan *p,
                     const struct jobfile_options *o, struct origin *from, struct err *e)
{
    int rc;

    ASSERT(of->lock.fd < 0); // a file is opened again by its path
    jobfile_store_ops.abort(&of->store);
    rc = db_image(of->db, &from->image, e);
    if (rc == 0)
        rc = open_new(out, p, o, from, e);
    db_image_free(&from->image);
    return rc;
}

int jobfile_reopen(struct store **s, const struct plan *p, const struct jobfile_options *o,
                   struct err *e)
{
    struct jobfile *was = jobfile_of(*s);
    struct jobfile_options in_memory = {.from_now = o->from_now, .drop = o->drop};
    struct origin from = {.like = p == was->plan ? was->like : NULL};
    struct store *opened;
    int rc = open_from(&opened, was, p, &in_memory, &from, e);

    if (rc < 0)
        return rc;
    jobfile_close(*s);
    *s = opened;
    return 0;
}

int jobfile_copy(struct store **out, struct store *of, struct err *e)
{
    struct jobfile *jf = jobfile_of(of);
    struct jobfile_options in_memory = {.path = NULL};
    struct origin from = {.like = jf, .copy = true};

    return open_from(out, jf, jf->plan, &in_memory, &from, e);
}

void jobfile_close(struct store *s)
{
    struct jobfile *jf;

    if (s == NULL)
        return;
    jf = jobfile_of(s);
    if (jf->db != NULL)
        jobfile_store_ops.abort(s);
    readahead_unload(jf);
    rows_unload(jf);
    expire_unload(jf);
    history_unload(jf);
    changes_unload(jf);
    hook_unload(jf);
    states_unload(jf);
    for (int i = 0; i < JF_N; i++)
        db_stmt_free(jf->own[i]);
    db_close(jf->db);
    db_lock_release(&jf->lock);
    outbox_unload(jf);
    offsets_unload(jf);
    heap_free(jf->added);
    hashmap_deinit(&jf->positions);
    hashmap_deinit(&jf->marks);
    arena_deinit(&jf->arena);
    arena_deinit(&jf->scratch);
    heap_free(jf);
}
