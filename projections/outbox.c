// SPDX-License-Identifier: Apache-2.0
//
// Rows that wait to be published, and per output partition how far the relay has come.
//
// A row's sequence is given here, without gaps, inside the step; it never changes afterwards,
// because the log that receives the row knows it by (producer, partition, sequence). So a savepoint
// that is rolled back gives its sequences back. Ids ascend for ever, also when the table was empty
// in between: the relay asks for "rows after id".
//
//   _leat_relay   published_seq   all up to here are durable in the output partition; their rows
//                                 are gone
//                 next_seq        the next one to be given out
//
// Rows have no index but their id. Which ids an output partition's sequences stand for is kept in
// memory, eight bytes a row: what was published is deleted in runs of ids, all partitions together,
// which costs a third of what an index by partition and sequence did.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "projections/jobfile_internal.h"
#include "runtime/base/failpoint.h"
#include "runtime/base/heap.h"

enum { MARK_KEY_BYTES = sizeof(struct uuid) + 4 };

static struct bytes mark_key(uint8_t b[MARK_KEY_BYTES], struct uuid id, int32_t partition)
{
    memcpy(b, id.b, sizeof id.b);
    memcpy(b + sizeof id.b, &partition, 4);
    return bytes_of(b, MARK_KEY_BYTES);
}

static struct jf_mark *mark_find(struct jobfile *jf, struct uuid id, int32_t partition)
{
    uint8_t b[MARK_KEY_BYTES];

    return hashmap_get(&jf->marks, mark_key(b, id, partition));
}

static struct jf_mark *mark_make(struct jobfile *jf, struct bytes topic, struct uuid id,
                                 int32_t partition)
{
    uint8_t b[MARK_KEY_BYTES];
    struct jf_mark *m = heap_zalloc(sizeof *m);

    *m = (struct jf_mark){.topic = heap_strndup((const char *)topic.p, topic.n),
                          .topic_id = id,
                          .partition = partition,
                          .published_seq = -1,
                          .dropped_seq = -1,
                          .last_batch = -1,
                          .was_published_seq = -1,
                          .was_last_batch = -1};
    if (jf->n_marks == jf->cap_marks) {
        jf->cap_marks = jf->cap_marks ? 2 * jf->cap_marks : 16;
        jf->mark_list = heap_realloc(jf->mark_list, jf->cap_marks * sizeof(struct jf_mark *));
    }
    jf->mark_list[jf->n_marks++] = m;
    hashmap_put(&jf->marks, mark_key(b, id, partition), m);
    return m;
}

// --- the ids of rows that wait ---

static void note_id(struct jf_mark *m, int64_t seq, int64_t id)
{
    size_t i = (size_t)(seq - m->ids_from);

    ASSERT(seq <= m->ids_to);
    if (seq == m->ids_to)
        m->ids_to++;
    if (i == m->cap_ids) {
        m->cap_ids = m->cap_ids ? 2 * m->cap_ids : 64;
        m->ids = heap_realloc(m->ids, m->cap_ids * sizeof *m->ids);
    }
    m->ids[i] = id;
}

// Lets go of those whose rows are gone for good, when they are the larger part.
static void forget_ids(struct jf_mark *m)
{
    size_t gone = (size_t)(m->published_seq + 1 - m->ids_from);
    size_t left = (size_t)(m->next_seq - 1 - m->published_seq);

    if (gone <= left)
        return;
    if (left > 0)
        memmove(m->ids, m->ids + gone, left * sizeof *m->ids);
    m->ids_from = m->published_seq + 1;
}

static int compare_ids(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

static struct uuid column_uuid(struct db_stmt *s, int i)
{
    struct bytes b = db_column_blob(s, i);
    struct uuid id = {0};

    if (b.n == sizeof id.b)
        memcpy(id.b, b.p, b.n);
    return id;
}

static int load_marks(struct jobfile *jf, struct err *e)
{
    struct db_stmt *s;
    int rc = jf_own(jf, JF_RELAY_LIST, &s, e);

    if (rc < 0)
        return rc;
    while ((rc = db_next(s, e)) == 1) {
        struct jf_mark *m =
            mark_make(jf, db_column_text(s, 0), column_uuid(s, 1), (int32_t)db_column_int(s, 2));
        m->published_seq = m->was_published_seq = m->dropped_seq = db_column_int(s, 3);
        m->next_seq = m->was_next_seq = db_column_int(s, 4);
        m->last_batch = m->was_last_batch = db_column_int(s, 5);
        m->ids_from = m->ids_to = m->published_seq + 1;
    }
    return rc;
}

static int denied(const char *topic, int32_t partition, int64_t seq, struct err *e)
{
    return err_set(e, LEAT_ECORRUPT,
                   "_leat_outbox and _leat_relay disagree about sequence %lld of %s/%d: somebody "
                   "else has changed the file",
                   (long long)seq, topic, partition);
}

static int load_ids(struct jobfile *jf, struct err *e)
{
    struct db_stmt *s;
    int rc = jf_own(jf, JF_OUTBOX_IDS, &s, e);

    if (rc < 0)
        return rc;
    while ((rc = db_next(s, e)) == 1) {
        int32_t partition = (int32_t)db_column_int(s, 2);
        int64_t seq = db_column_int(s, 3);
        struct jf_mark *m = mark_find(jf, column_uuid(s, 1), partition);
        if (m == NULL || seq != m->ids_to || seq >= m->next_seq) {
            rc = denied(m != NULL ? m->topic : "?", partition, seq, e);
            db_reset(s);
            return rc;
        }
        note_id(m, seq, db_column_int(s, 0));
    }
    for (size_t i = 0; i < jf->n_marks && rc == 0; i++)
        if (jf->mark_list[i]->ids_to != jf->mark_list[i]->next_seq)
            rc = denied(jf->mark_list[i]->topic, jf->mark_list[i]->partition,
                        jf->mark_list[i]->ids_to, e);
    return rc;
}

// Sequences have no gaps: what waits need not be counted.
int outbox_load(struct jobfile *jf, struct err *e)
{
    int rc = jf_meta_int(jf, "outbox_id", 0, &jf->counts.outbox_id, e);

    if (rc == 0)
        rc = load_marks(jf, e);
    for (size_t i = 0; i < jf->n_marks; i++)
        jf->counts.waiting += jf->mark_list[i]->next_seq - 1 - jf->mark_list[i]->published_seq;
    return rc == 0 && jf->counts.waiting > 0 ? load_ids(jf, e) : rc;
}

void outbox_unload(struct jobfile *jf)
{
    for (size_t i = 0; i < jf->n_marks; i++) {
        heap_free(jf->mark_list[i]->topic);
        heap_free(jf->mark_list[i]->ids);
        heap_free(jf->mark_list[i]);
    }
    heap_free(jf->mark_list);
}

static int put_mark(struct jobfile *jf, const struct jf_mark *m, struct err *e)
{
    struct db_stmt *s;
    int rc = jf_own(jf, JF_RELAY_PUT, &s, e);

    if (rc < 0)
        return rc;
    db_bind_str(s, 1, m->topic);
    db_bind_blob(s, 2, bytes_of(m->topic_id.b, sizeof m->topic_id.b));
    db_bind_int(s, 3, m->partition);
    db_bind_int(s, 4, m->published_seq);
    db_bind_int(s, 5, m->next_seq);
    db_bind_int(s, 6, m->last_batch);
    return db_run(s, e);
}

static int drop_run(struct jobfile *jf, int64_t first, int64_t last, struct err *e)
{
    struct db_stmt *s;
    int rc = jf_own(jf, JF_OUTBOX_DROP, &s, e);

    if (rc < 0)
        return rc;
    db_bind_int(s, 1, first);
    db_bind_int(s, 2, last);
    return db_run(s, e);
}

// The ids of rows that are published and still there, of all partitions, ascending.
static int64_t *published_ids(const struct jobfile *jf, size_t *n)
{
    int64_t *ids;
    size_t k = 0;

    *n = 0;
    for (size_t i = 0; i < jf->n_marks; i++)
        *n += (size_t)(jf->mark_list[i]->published_seq - jf->mark_list[i]->dropped_seq);
    ids = heap_alloc(*n * sizeof *ids);
    for (size_t i = 0; i < jf->n_marks; i++) {
        const struct jf_mark *m = jf->mark_list[i];
        for (int64_t seq = m->dropped_seq + 1; seq <= m->published_seq; seq++)
            ids[k++] = m->ids[seq - m->ids_from];
    }
    qsort(ids, *n, sizeof *ids, compare_ids);
    return ids;
}

static int drop_some(struct jobfile *jf, struct err *e)
{
    size_t n, run;
    int64_t *ids = published_ids(jf, &n);
    int rc = 0;

    for (size_t i = 0; i < n && rc == 0; i += run) {
        run = 1;
        while (i + run < n && ids[i + run] == ids[i] + (int64_t)run)
            run++;
        rc = drop_run(jf, ids[i], ids[i + run - 1], e);
    }
    heap_free(ids);
    return rc;
}

static int drop_all(struct jobfile *jf, struct err *e)
{
    struct db_stmt *s;
    int rc = jf_own(jf, JF_OUTBOX_EMPTY, &s, e);

    return rc < 0 ? rc : db_run(s, e);
}

// When nothing is left the table is emptied, which gives its pages back without touching them.
static int drop_published(struct jobfile *jf, struct err *e)
{
    int rc = 0;

    if (!jf->outbox_undropped)
        return 0;
    rc = jf->counts.waiting == 0 ? drop_all(jf, e) : drop_some(jf, e);
    for (size_t i = 0; i < jf->n_marks && rc == 0; i++)
        jf->mark_list[i]->dropped_seq = jf->mark_list[i]->published_seq;
    jf->outbox_undropped = rc != 0;
    return rc;
}

int outbox_flush(struct jobfile *jf, struct err *e)
{
    int rc = drop_published(jf, e);

    for (size_t i = 0; i < jf->n_marks && rc == 0; i++)
        if (jf->mark_list[i]->dirty)
            rc = put_mark(jf, jf->mark_list[i], e);
    if (rc == 0 && jf->counts.outbox_id != jf->committed.outbox_id)
        rc = jf_meta_put_int(jf, "outbox_id", jf->counts.outbox_id, e);
    return rc;
}

void outbox_committed(struct jobfile *jf)
{
    for (size_t i = 0; i < jf->n_marks; i++) {
        struct jf_mark *m = jf->mark_list[i];
        m->was_published_seq = m->published_seq;
        m->was_next_seq = m->next_seq;
        m->was_last_batch = m->last_batch;
        m->dirty = false;
        forget_ids(m);
    }
}

void outbox_aborted(struct jobfile *jf)
{
    jf->outbox_undropped = false;
    for (size_t i = 0; i < jf->n_marks; i++) {
        struct jf_mark *m = jf->mark_list[i];
        m->published_seq = m->dropped_seq = m->was_published_seq;
        m->next_seq = m->was_next_seq;
        m->last_batch = m->was_last_batch;
        m->dirty = false;
    }
}

void outbox_undo(struct jobfile *jf, size_t n_added)
{
    while (jf->n_added > n_added) {
        struct jf_added *a = &jf->added[--jf->n_added];
        a->mark->next_seq--;
        a->mark->last_batch = a->last_batch;
    }
}

static void note_added(struct jobfile *jf, struct jf_mark *m)
{
    if (jf->n_saves == 0)
        return;
    if (jf->n_added == jf->cap_added) {
        jf->cap_added = jf->cap_added ? 2 * jf->cap_added : 64;
        jf->added = heap_realloc(jf->added, jf->cap_added * sizeof *jf->added);
    }
    jf->added[jf->n_added++] = (struct jf_added){.mark = m, .last_batch = m->last_batch};
}

static int insert_row(struct jobfile *jf, const struct outbox_row *r, struct err *e)
{
    struct db_stmt *s;
    int rc = jf_own(jf, JF_OUTBOX_ADD, &s, e);

    if (rc < 0)
        return rc;
    db_bind_int(s, 1, r->id);
    db_bind_text(s, 2, r->topic);
    db_bind_blob(s, 3, bytes_of(r->topic_id.b, sizeof r->topic_id.b));
    db_bind_int(s, 4, r->partition);
    db_bind_int(s, 5, r->seq);
    db_bind_int(s, 6, r->batch_no);
    db_bind_blob(s, 7, r->key);
    db_bind_blob(s, 8, r->value);
    db_bind_blob(s, 9, r->headers);
    db_bind_int(s, 10, r->n_headers);
    db_bind_int(s, 11, r->time);
    db_bind_int(s, 12, r->commit_id);
    db_bind_text(s, 13, r->cause);
    return db_run(s, e);
}

int outbox_add(struct store *store, struct outbox_row *r, struct err *e)
{
    struct jobfile *jf = jobfile_of(store);
    struct jf_mark *m;
    int rc = jf_inside(jf, e);

    if (rc == 0 && jf->n_saves == 0)
        rc = jf_error(jf, drop_published(jf, e), e); // so that the new ones take their place
    if (rc < 0)
        return rc;
    m = mark_find(jf, r->topic_id, r->partition);
    if (m == NULL)
        m = mark_make(jf, r->topic, r->topic_id, r->partition);
    ASSERT(r->batch_no >= m->last_batch);
    r->id = jf->counts.outbox_id + 1;
    r->seq = m->next_seq;
    r->commit_id = jf->commit_id + 1;
    rc = insert_row(jf, r, e);
    if (rc < 0)
        return jf_error(jf, rc, e);
    note_added(jf, m);
    note_id(m, r->seq, r->id);
    m->next_seq++;
    m->last_batch = r->batch_no;
    m->dirty = true;
    jf->counts.outbox_id++;
    jf->counts.waiting++;
    return 0;
}

int outbox_last(struct store *store, struct uuid topic_id, int32_t partition, int64_t *seq,
                int64_t *batch_no, struct err *e)
{
    const struct jf_mark *m = mark_find(jobfile_of(store), topic_id, partition);

    (void)e;
    *seq = m != NULL ? m->next_seq - 1 : -1;
    *batch_no = m != NULL ? m->last_batch : -1;
    return 0;
}

static struct outbox_row read_row(struct db_stmt *s)
{
    return (struct outbox_row){
        .id = db_column_int(s, 0),
        .topic = db_column_text(s, 1),
        .topic_id = column_uuid(s, 2),
        .partition = (int32_t)db_column_int(s, 3),
        .seq = db_column_int(s, 4),
        .batch_no = db_column_int(s, 5),
        .key = db_column_blob(s, 6),
        .value = db_column_blob(s, 7),
        .headers = db_column_blob(s, 8),
        .n_headers = (int32_t)db_column_int(s, 9),
        .time = db_column_int(s, 10),
        .commit_id = db_column_int(s, 11),
        .cause = db_column_text(s, 12),
    };
}

int outbox_scan(struct store *store, int64_t after, int max,
                int (*each)(void *arg, const struct outbox_row *r), void *arg, struct err *e)
{
    struct jobfile *jf = jobfile_of(store);
    struct db_stmt *s;
    int rc = jf_own(jf, JF_OUTBOX_SCAN, &s, e);

    if (rc < 0)
        return rc;
    db_bind_int(s, 1, after);
    db_bind_int(s, 2, jf->committed.outbox_id);
    db_bind_int(s, 3, max);
    while ((rc = db_next(s, e)) == 1) {
        struct outbox_row r = read_row(s);
        rc = each(arg, &r);
        if (rc != 0)
            break;
    }
    db_reset(s);
    return rc;
}

static void publish(struct jobfile *jf, struct jf_mark *m, int64_t seq)
{
    jf->counts.waiting -= seq - m->published_seq;
    m->published_seq = seq;
    m->dirty = true;
    jf->outbox_undropped = true;
}

// A mark of its own when the job is idle. Losing it is harmless: the rows are sent again and
// recognised.
static int mark_alone(struct jobfile *jf, struct jf_mark *m, int64_t seq, struct err *e)
{
    int rc;

    if (jf->broken.code != 0)
        return err_set(e, LEAT_ESTOPPED, "%s", jf->broken.text);
    rc = db_begin(jf->db, e);
    if (rc < 0)
        return jf_error(jf, rc, e);
    publish(jf, m, seq);
    rc = outbox_flush(jf, e);
    if (rc == 0)
        rc = db_commit(jf->db, e);
    if (rc == 0) {
        outbox_committed(jf);
        jf->committed = jf->counts;
        return 0;
    }
    db_rollback(jf->db);
    outbox_aborted(jf);
    jf->counts = jf->committed;
    return jf_error(jf, rc, e);
}

int outbox_mark(struct store *store, struct uuid topic_id, int32_t partition, int64_t seq,
                struct err *e)
{
    struct jobfile *jf = jobfile_of(store);
    struct jf_mark *m = mark_find(jf, topic_id, partition);
    int rc = failpoint("before_mark");

    if (rc < 0)
        return err_set(e, rc, "failpoint before_mark");
    ASSERT(m != NULL && seq < m->was_next_seq && jf->n_saves == 0);
    if (seq <= m->published_seq)
        return 0;
    if (jf->in_step)
        publish(jf, m, seq);
    else
        rc = mark_alone(jf, m, seq, e);
    if (rc < 0)
        return rc;
    rc = failpoint("after_mark");
    return rc < 0 ? err_set(e, rc, "failpoint after_mark") : 0;
}
